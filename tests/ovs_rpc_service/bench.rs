//! A service, a daemon of our own, and a clock that stands until it is moved.

use std::{path::Path, time::Duration};

use ovscope::{
    event::{Body, DaemonAnswer, DaemonState, DaemonTrace, DpIfindex, Event, Field, FlowPtr, Query, Ufid},
    ovs_rpc::{Ask, AskTrace, Config, KeyText, Question, spawn},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, advance},
};

use crate::ovs_server::search;
pub use crate::ovs_server::{Say, Server};

pub const NEW: &str = "ovs-vswitchd (Open vSwitch) 3.5.0\n";
pub const LIST: &str = "The available commands are:\n  dpctl/get-flow  [dp] ufid\n  ofproto/detrace  UFID [pmd=PMD-ID]\n  ofproto/trace  \n  version\n";
pub const FLOW: &str = "recirc_id(0),in_port(2), packets:3, actions:3\n";
pub const TRACE: &str = "Flow: udp\n\nbridge(\"br0\")\n 0. udp, priority 1\n    drop\n\nMegaflow: udp\n";
pub const RULES: &str = "bridge br0:\n  table_id=0, priority=0,actions=NORMAL\n";

/// A daemon that knows everything; its list of commands comes in pieces, as long ones do.
pub fn good(line: &str) -> Say {
    if line == "list-commands" {
        return Say::Drip(LIST.to_owned());
    }
    Say::Text(
        match line.split(' ').next() {
            Some("version") => NEW,
            Some("dpctl/get-flow") => FLOW,
            Some("ofproto/trace") => TRACE,
            _ => RULES,
        }
        .to_owned(),
    )
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn ask(flow: u32) -> Ask {
    Ask { ufid: Ufid([flow; 4]), dp: DpIfindex(1), datapath: "ovs-system".to_owned(), sf_acts: Some(FlowPtr(7)) }
}

/// A sample for a port, or what somebody asks of it.
pub fn ask_trace(port: u32, is_sample: bool) -> AskTrace {
    let key = KeyText::new(&format!("in_port({port})")).expect("a key");
    let sample_of = is_sample.then_some(Field::UdpSrc);
    AskTrace { dp: DpIfindex(4), datapath: "ovs-system".to_owned(), key, ufid: None, packet: None, sample_of }
}

/// How a flow's question looks at the daemon.
pub fn get_flow(flow: u32) -> String {
    format!("dpctl/get-flow --names ufid:{}", Ufid([flow; 4]))
}

pub fn detrace(flow: u32) -> String {
    format!("ofproto/detrace ufid:{}", Ufid([flow; 4]))
}

/// A service, and what it said that was not looked at yet.
pub struct Bench {
    pub asks: mpsc::Sender<Question>,
    pub out: mpsc::Receiver<Vec<Event>>,
    pub service: JoinHandle<()>,
    pub events: Vec<Event>,
}

impl Bench {
    pub fn start(dir: &Path, rate: u32) -> Self {
        let (asks, asked) = mpsc::channel(64);
        let (told, out) = mpsc::channel(64);
        let begin = Instant::now();
        let clock = move || 1 + begin.elapsed().as_nanos() as u64;
        let config = Config { search: search(dir), rate, ..Config::new(None) };
        Self { asks, out, service: spawn(config, asked, told, clock), events: Vec::new() }
    }

    /// Lets everything happen that can happen now. The clock stands: it moves by itself only where nothing is ready.
    pub async fn settle(&mut self) {
        for _ in 0..40 {
            tokio::task::yield_now().await;
            while let Ok(events) = self.out.try_recv() {
                self.events.extend(events);
            }
        }
    }

    /// Lets time pass, all of what happens in it included.
    pub async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.settle().await;
        while Instant::now() < end {
            advance(Duration::from_millis(10)).await;
            self.settle().await;
        }
    }

    pub async fn ask(&mut self, question: impl Into<Question>) {
        self.asks.send(question.into()).await.expect("the service lives");
        self.settle().await;
    }

    /// What it said of the daemon since the last time.
    pub fn states(&mut self) -> Vec<DaemonState> {
        let states = self.events.extract_if(.., |event| matches!(event.body, Body::Daemon(_)));
        states.map(|event| if let Body::Daemon(state) = event.body { state } else { unreachable!() }).collect()
    }

    /// What it answered since the last time.
    pub fn answers(&mut self) -> Vec<DaemonAnswer> {
        let answers = self.events.extract_if(.., |event| matches!(event.body, Body::DaemonAnswer(_)));
        answers
            .map(|event| if let Body::DaemonAnswer(answer) = event.body { *answer } else { unreachable!() })
            .collect()
    }

    /// What it said of traces since the last time: the key and the answer.
    pub fn traces(&mut self) -> Vec<(String, Result<String, String>)> {
        let traces = self.events.extract_if(.., |event| matches!(event.body, Body::DaemonTrace(_)));
        let traces =
            traces.map(|event| if let Body::DaemonTrace(trace) = event.body { *trace } else { unreachable!() });
        traces.map(|DaemonTrace { key, answer, .. }| (key, answer)).collect()
    }

    /// The same, without what does not matter mostly.
    pub fn texts(&mut self) -> Vec<(Query, Result<String, String>)> {
        self.answers().into_iter().map(|answer| (answer.query, answer.answer)).collect()
    }
}

pub fn both_texts() -> Vec<(Query, Result<String, String>)> {
    vec![(Query::GetFlow, Ok(FLOW.to_owned())), (Query::Detrace, Ok(RULES.to_owned()))]
}

pub fn why(state: &DaemonState) -> &str {
    if let DaemonState::Down { why } = state { why } else { panic!("it is up: {state:?}") }
}

/// The commands about flows.
pub fn questions(server: &Server) -> Vec<String> {
    server.requests().into_iter().map(|(_, line)| line).filter(|line| line.contains("ufid:")).collect()
}

pub fn test_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for the test")
}
