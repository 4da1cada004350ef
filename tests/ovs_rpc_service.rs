//! The service against a daemon of our own, on a clock of our own: how often it asks, what it keeps, what it says.

mod ovs_server;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ovs_server::{Say, Server, search};
use ovscope::{
    event::{Body, DaemonAnswer, DaemonState, Event, FlowPtr, Query, Ufid},
    ovs_rpc::{Ask, Config, spawn},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, advance},
};

const NEW: &str = "ovs-vswitchd (Open vSwitch) 3.5.0\n";
const LIST: &str =
    "The available commands are:\n  dpctl/get-flow  [dp] ufid\n  ofproto/detrace  UFID [pmd=PMD-ID]\n  version\n";
const FLOW: &str = "recirc_id(0),in_port(2), packets:3, actions:3\n";
const RULES: &str = "bridge br0:\n  table_id=0, priority=0,actions=NORMAL\n";

/// A daemon that knows everything; its list of commands comes in pieces, as long ones do.
fn good(line: &str) -> Say {
    if line == "list-commands" {
        return Say::Drip(LIST.to_owned());
    }
    Say::Text(
        match line.split(' ').next() {
            Some("version") => NEW,
            Some("dpctl/get-flow") => FLOW,
            _ => RULES,
        }
        .to_owned(),
    )
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ask(flow: u32) -> Ask {
    Ask { ufid: Ufid([flow; 4]), datapath: "ovs-system".to_owned(), sf_acts: Some(FlowPtr(7)) }
}

/// How a flow's question looks at the daemon.
fn get_flow(flow: u32) -> String {
    format!("dpctl/get-flow --names ufid:{}", Ufid([flow; 4]))
}

fn detrace(flow: u32) -> String {
    format!("ofproto/detrace ufid:{}", Ufid([flow; 4]))
}

/// A service, and what it said that was not looked at yet.
struct Bench {
    asks: mpsc::Sender<Ask>,
    out: mpsc::Receiver<Vec<Event>>,
    service: JoinHandle<()>,
    events: Vec<Event>,
}

impl Bench {
    fn start(dir: &Path, rate: u32) -> Self {
        let (asks, asked) = mpsc::channel(64);
        let (told, out) = mpsc::channel(64);
        let begin = Instant::now();
        let clock = move || 1 + begin.elapsed().as_nanos() as u64;
        let config = Config { search: search(dir), rate, ..Config::new(None) };
        Self { asks, out, service: spawn(config, asked, told, clock), events: Vec::new() }
    }

    /// Lets everything happen that can happen now. The clock stands: it moves by itself only where nothing is ready.
    async fn settle(&mut self) {
        for _ in 0..40 {
            tokio::task::yield_now().await;
            while let Ok(events) = self.out.try_recv() {
                self.events.extend(events);
            }
        }
    }

    /// Lets time pass, all of what happens in it included.
    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.settle().await;
        while Instant::now() < end {
            advance(Duration::from_millis(10)).await;
            self.settle().await;
        }
    }

    async fn ask(&mut self, flow: Ask) {
        self.asks.send(flow).await.expect("the service lives");
        self.settle().await;
    }

    /// What it said of the daemon since the last time.
    fn states(&mut self) -> Vec<DaemonState> {
        let states = self.events.extract_if(.., |event| matches!(event.body, Body::Daemon(_)));
        states.map(|event| if let Body::Daemon(state) = event.body { state } else { unreachable!() }).collect()
    }

    /// What it answered since the last time.
    fn answers(&mut self) -> Vec<DaemonAnswer> {
        let answers = self.events.extract_if(.., |event| matches!(event.body, Body::DaemonAnswer(_)));
        answers
            .map(|event| if let Body::DaemonAnswer(answer) = event.body { *answer } else { unreachable!() })
            .collect()
    }

    /// The same, without what does not matter mostly.
    fn texts(&mut self) -> Vec<(Query, Result<String, String>)> {
        self.answers().into_iter().map(|answer| (answer.query, answer.answer)).collect()
    }
}

fn both_texts() -> Vec<(Query, Result<String, String>)> {
    vec![(Query::GetFlow, Ok(FLOW.to_owned())), (Query::Detrace, Ok(RULES.to_owned()))]
}

fn why(state: &DaemonState) -> &str {
    if let DaemonState::Down { why } = state { why } else { panic!("it is up: {state:?}") }
}

/// The commands about flows.
fn questions(server: &Server) -> Vec<String> {
    server.requests().into_iter().map(|(_, line)| line).filter(|line| line.contains("ufid:")).collect()
}

fn test_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

#[tokio::test(start_paused = true)]
async fn no_second_has_more_requests_than_the_rate() {
    for rate in [1, 3, 7, 20] {
        let dir = test_dir();
        let server = Server::start(dir.path(), 7, good);
        let mut bench = Bench::start(dir.path(), rate);
        // A cursor that runs over flows faster than any rate, for 20 seconds.
        for flow in 0..1000 {
            bench.ask(ask(flow)).await;
            bench.pass(Duration::from_millis(20)).await;
        }
        let times: Vec<Instant> = server.requests().into_iter().map(|(time, _)| time).collect();
        for (index, first) in times.iter().enumerate() {
            let within = times[index..].iter().take_while(|time| **time - *first < secs(1)).count();
            assert!(within <= rate as usize, "{within} in a second at a rate of {rate}");
        }
        assert!(times.len() >= 15 * rate as usize, "it asks at all: {} at a rate of {rate}", times.len());
        let healthy = server.requests().iter().filter(|(_, line)| line == "version").count();
        assert!((4..=6).contains(&healthy), "the daemon's health is looked at all the same: {healthy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_is_answered_in_two_events_and_the_daemon_is_told_of() {
    let dir = test_dir();
    let _server = Server::start(dir.path(), 7, good);
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(1)).await;
    assert_eq!(
        bench.states(),
        [DaemonState::Up { pid: 7, version: NEW.trim_end().to_owned(), round_trip_ns: 0, missing: vec![] }]
    );
    let answers = bench.answers();
    assert!(answers.iter().all(|a| a.ufid == Ufid([1; 4]) && a.sf_acts == Some(FlowPtr(7))));
    assert_eq!(answers.into_iter().map(|a| (a.query, a.answer)).collect::<Vec<_>>(), both_texts());
    bench.pass(secs(10)).await;
    assert_eq!(bench.states().len(), 2, "its health every five seconds");
}

#[tokio::test(start_paused = true)]
async fn the_newest_ask_is_answered_and_those_before_it_are_not() {
    let dir = test_dir();
    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let server = Server::start(dir.path(), 7, move |line| {
        if line == get_flow(1) { Say::Later(Arc::clone(&waits), FLOW.to_owned()) } else { good(line) }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(Duration::from_millis(300)).await;
    for flow in [2, 3, 4] {
        bench.ask(ask(flow)).await;
    }
    go.notify_one();
    bench.pass(secs(1)).await;
    assert_eq!(questions(&server), [get_flow(1), get_flow(4), detrace(4)]);
    let flows: Vec<Ufid> = bench.answers().iter().map(|answer| answer.ufid).collect();
    assert_eq!(flows, [1, 4, 4].map(|flow| Ufid([flow; 4])));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_generation_and_so_long() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, good);
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(1)).await;
    assert_eq!(bench.texts(), both_texts());
    for flow in [2, 1, 1] {
        bench.ask(ask(flow)).await;
        bench.pass(secs(1)).await;
    }
    assert_eq!(bench.texts().len(), 6, "each ask is answered");
    assert_eq!(questions(&server), [get_flow(1), detrace(1), get_flow(2), detrace(2)], "flow 1 from memory");
    bench.pass(secs(6)).await;
    bench.ask(ask(1)).await;
    bench.pass(secs(1)).await;
    assert_eq!(bench.texts().len(), 2);
    assert_eq!(questions(&server)[4..], [get_flow(1)], "its counts are old, its rules are not");
    bench.ask(Ask { sf_acts: Some(FlowPtr(8)), ..ask(1) }).await;
    bench.pass(secs(1)).await;
    assert_eq!(bench.texts(), both_texts());
    assert_eq!(questions(&server)[5..], [get_flow(1), detrace(1)], "another generation");
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_not_there_yet_are_asked_for_until_they_are() {
    let dir = test_dir();
    let tries = AtomicUsize::new(0);
    let server = Server::start(dir.path(), 7, move |line| match line {
        _ if line == detrace(1) && tries.fetch_add(1, Ordering::Relaxed) < 4 => {
            Say::Text("Cache was not found for system@ovs-system\n".to_owned())
        }
        _ => good(line),
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(30)).await;
    let texts = bench.texts();
    assert_eq!(texts.len(), 3, "the failure is told once: {texts:?}");
    let waiting = texts[1].1.as_ref().expect_err("not yet");
    assert!(waiting.contains("a later revalidation fills them in; it is asked again"), "{waiting}");
    assert_eq!(texts[2], (Query::Detrace, Ok(RULES.to_owned())));
    let times: Vec<Instant> =
        server.requests().into_iter().filter(|(_, line)| *line == detrace(1)).map(|(time, _)| time).collect();
    let waits: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis() as u64 / 100).collect();
    assert_eq!(waits, [5, 10, 20, 40], "ever more rarely, and no more when it was answered");
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_is_not_the_last_asked_is_not_asked_for_again() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| {
        if line == detrace(1) { Say::Text("UFID was not found for system@ovs-system\n".to_owned()) } else { good(line) }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(Duration::from_millis(300)).await;
    assert!(bench.texts()[1].1.as_ref().expect_err("gone").contains("does not know this flow"));
    bench.ask(ask(2)).await;
    bench.pass(secs(30)).await;
    assert_eq!(questions(&server).iter().filter(|line| **line == detrace(1)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_without_detrace_is_not_asked_for_it() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| match line {
        "version" => Say::Text("ovs-vswitchd (Open vSwitch) 3.1.0\n".to_owned()),
        "list-commands" => Say::Text("The available commands are:\n  dpctl/get-flow  [dp] ufid\n".to_owned()),
        _ => good(line),
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(5)).await;
    let texts = bench.texts();
    let lacks = Err("ovs-vswitchd 3.1 has no ofproto/detrace: it came with OVS 3.4".to_owned());
    assert_eq!(texts, [(Query::Detrace, lacks), (Query::GetFlow, Ok(FLOW.to_owned()))]);
    assert_eq!(questions(&server), [get_flow(1)]);
    let states = bench.states();
    assert!(matches!(&states[0], DaemonState::Up { missing, .. } if *missing == ["ofproto/detrace"]), "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_releases_with_detrace_are_told_the_pmd() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| match line {
        "version" => Say::Text("ovs-vswitchd (Open vSwitch) 3.4.1\n".to_owned()),
        _ => good(line),
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(1)).await;
    assert_eq!(questions(&server), [get_flow(1), format!("{} pmd=2147483647", detrace(1))]);
}

#[tokio::test(start_paused = true)]
async fn where_there_are_several_datapaths_the_flows_is_named() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| {
        if line.contains("--names") {
            Say::Error("ovs-vswitchd: multiple datapaths, specify one\novs-vswitchd: datapath not found\n".to_owned())
        } else if line.contains("system@other ") {
            Say::Error("ovs-vswitchd: datapath not found (Invalid argument)\n".to_owned())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    for (flow, datapath) in [(1, "ovs-system"), (2, "ovs-system"), (3, ""), (4, "other")] {
        bench.ask(Ask { datapath: datapath.to_owned(), ..ask(flow) }).await;
        bench.pass(secs(1)).await;
    }
    let named = |flow: u32, name| format!("dpctl/get-flow system@{name} ufid:{}", Ufid([flow; 4]));
    let asked: Vec<String> = questions(&server).into_iter().filter(|line| line.contains("get-flow")).collect();
    let expected =
        [get_flow(1), named(1, "ovs-system"), named(2, "ovs-system"), get_flow(3), named(4, "other"), get_flow(4)];
    assert_eq!(asked, expected);
    let texts = bench.texts();
    assert_eq!((&texts[..2], &texts[2..4]), (&both_texts()[..], &both_texts()[..]));
    for failed in [&texts[4], &texts[6]] {
        let why = failed.1.as_ref().expect_err("which one is not known");
        assert!(why.contains("ovs-vswitchd has several datapaths"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_is_gone_is_said_to_be() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| {
        if line == get_flow(1) {
            Say::Error("ovs-vswitchd: getting flow (No such file or directory)\n".to_owned())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    for wait in [1, 3, 1] {
        bench.ask(ask(1)).await;
        bench.pass(secs(wait)).await;
    }
    let gone = "the datapath has no such flow any more (ovs-vswitchd: getting flow (No such file or directory))";
    let texts = bench.texts();
    assert_eq!(texts.iter().filter(|(_, text)| *text == Err(gone.to_owned())).count(), 3, "{texts:?}");
    assert_eq!(questions(&server).iter().filter(|line| **line == get_flow(1)).count(), 2, "kept for two seconds");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_starts_anew_is_found_again_and_asked_again() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, good);
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(1)).await;
    assert_eq!((bench.states().len(), bench.texts()), (1, both_texts()));
    drop(server);
    bench.settle().await;
    let states = bench.states();
    assert!(why(&states[0]).contains("it ended or starts anew"), "at once: {states:?}");
    bench.pass(secs(60)).await;
    let states = bench.states();
    assert!(why(&states[0]).contains("left over from a daemon that is gone"), "{states:?}");
    assert_eq!(states.len(), 1, "it is said once");

    bench.ask(ask(2)).await;
    assert!(
        bench.texts().iter().all(|(_, text)| text.as_ref().is_err_and(|why| why.contains("no ovs-vswitchd found")))
    );
    let server = Server::start(dir.path(), 8, good);
    bench.pass(secs(6)).await;
    assert!(matches!(bench.states()[0], DaemonState::Up { pid: 8, .. }));
    assert_eq!(bench.texts(), both_texts());
    assert_eq!(questions(&server), [get_flow(2), detrace(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_goes_in_the_middle_of_an_answer_is_asked_anew() {
    let dir = test_dir();
    let tries = AtomicUsize::new(0);
    let server = Server::start(dir.path(), 7, move |line| {
        if line == detrace(1) && tries.fetch_add(1, Ordering::Relaxed) == 0 {
            Say::Hangup(b"{\"id\":4,\"result\":\"bridge".to_vec())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(3)).await;
    let states = bench.states();
    assert!(why(&states[1]).contains("it ended or starts anew") && states.len() == 3, "{states:?}");
    let texts = bench.texts();
    assert!(texts[1].1.as_ref().is_err_and(|why| why.contains("it ended or starts anew")), "{texts:?}");
    assert_eq!(texts[2..], both_texts());
    assert_eq!(questions(&server), [get_flow(1), detrace(1), get_flow(1), detrace(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_daemon_gets_no_more_requests_and_is_up_when_it_answers() {
    let dir = test_dir();
    let go = Arc::new(Notify::new());
    let (waits, stalled) = (Arc::clone(&go), AtomicUsize::new(0));
    let server = Server::start(dir.path(), 7, move |line| {
        if line == get_flow(1) && stalled.fetch_add(1, Ordering::Relaxed) == 0 {
            Say::Later(Arc::clone(&waits), "stale\n".to_owned())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(25)).await;
    let states = bench.states();
    assert!(matches!(&states[0], DaemonState::Up { .. }));
    assert!(why(&states[1]).contains("did not answer dpctl/get-flow within 1s: its main thread is busy or stopped"));
    assert!(states.len() <= 3, "it is said for each command once: {states:?}");
    assert_eq!(server.requests().len(), 3, "version, list-commands, get-flow, and nothing more");
    assert!(bench.texts().iter().all(|(_, text)| text.is_err()));
    go.notify_one();
    bench.settle().await;
    bench.pass(secs(1)).await;
    assert!(matches!(bench.states()[0], DaemonState::Up { .. }));
    let mut texts = bench.texts();
    texts.sort_by_key(|(query, _)| *query as usize);
    assert_eq!(texts, both_texts(), "asked anew: the late answer is nobody's");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_never_comes_is_not_waited_for_for_ever() {
    let dir = test_dir();
    let never = Arc::new(Notify::new());
    let (waits, tries) = (Arc::clone(&never), AtomicUsize::new(0));
    let server = Server::start(dir.path(), 7, move |line| {
        if line == detrace(1) && tries.fetch_add(1, Ordering::Relaxed) == 0 {
            Say::Later(Arc::clone(&waits), String::new())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask(1)).await;
    bench.pass(secs(60)).await;
    let states = bench.states();
    assert!(matches!(states.last(), Some(DaemonState::Up { .. })), "{states:?}");
    let texts = bench.texts();
    assert_eq!(texts[texts.len() - 2..], both_texts());
    assert_eq!(questions(&server), [get_flow(1), detrace(1), get_flow(1), detrace(1)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_daemon_is_tried_ever_more_rarely() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |_| Say::Raw(b"HTTP/1.1 400 Bad Request\r\n".to_vec()));
    let mut bench = Bench::start(dir.path(), 20);
    bench.pass(secs(60)).await;
    let states = bench.states();
    assert_eq!(states.len(), 1, "{states:?}");
    assert!(why(&states[0]).contains("does not speak as ovs-vswitchd does"));
    assert!((10..=17).contains(&server.requests().len()), "{}", server.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_nothing_leaves_the_daemon_alone() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, good);
    let mut bench = Bench::start(dir.path(), 0);
    bench.ask(ask(1)).await;
    bench.pass(secs(10)).await;
    assert!(why(&bench.states()[0]).contains("the rate is 0. What to do: give --rpc-rate another number"));
    assert_eq!(bench.texts().len(), 2);
    assert_eq!(server.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_listens_and_not_when_nobody_asks() {
    let dir = test_dir();
    let _server = Server::start(dir.path(), 7, good);
    let Bench { asks, out, service, events } = Bench::start(dir.path(), 20);
    drop(asks);
    let mut bench = Bench { asks: mpsc::channel(1).0, out, service, events };
    bench.pass(secs(11)).await;
    assert_eq!(bench.states().len(), 3);
    let Bench { out, service, .. } = bench;
    drop(out);
    service.await.expect("it ends by itself");
}
