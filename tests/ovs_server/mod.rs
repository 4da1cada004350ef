//! A daemon for tests: listens on a control socket, speaks its protocol strictly, and answers as the test says.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ovscope::ovs_rpc::Search;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::Notify,
    task::JoinSet,
    time::Instant,
};

/// All that a daemon may be sent: commands that only read. (The form of each: `ovs-appctl list-commands`.)
const READING: [&str; 12] = [
    "version",
    "list-commands",
    "dpctl/get-flow",
    "dpctl/show",
    "dpctl/dump-dps",
    "dpif/show",
    "ofproto/detrace",
    "ofproto/trace",
    "upcall/show",
    "coverage/show",
    "dpif-netlink/dispatch-mode",
    "fdb/stats-show",
];

/// How a request is answered.
pub enum Say {
    /// Its text.
    Text(String),
    /// An error, as OVS 3.1 writes it: without a `result`.
    Error(String),
    /// These bytes, as they are.
    Raw(Vec<u8>),
    /// The text, a byte at a time.
    Drip(String),
    /// These bytes again and again, for as long as anybody takes them; how many were taken.
    Endless(Vec<u8>, Arc<AtomicUsize>),
    /// These bytes, and then the end of the connection.
    Hangup(Vec<u8>),
    /// The text, once it is told to.
    Later(Arc<Notify>, String),
}

/// Answers a command line, such as `version` or `ofproto/detrace ufid:…`.
pub type Answer = dyn Fn(&str) -> Say + Send + Sync;

/// What came in: the commands, and what a real daemon would have closed the connection for.
#[derive(Default)]
struct Log {
    requests: Vec<(Instant, String)>,
    faults: Vec<String>,
}

/// The daemon. When it is dropped it is gone, its connections too, and leaves its socket behind as a killed one does.
pub struct Server {
    log: Arc<Mutex<Log>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Listens in `dir` as process `pid`.
    pub fn start(dir: &Path, pid: u32, answer: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let path = dir.join(format!("ovs-vswitchd.{pid}.ctl"));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).expect("a socket in the test's directory");
        std::fs::write(dir.join("ovs-vswitchd.pid"), format!("{pid}\n")).expect("a pid file beside it");
        let log = Arc::default();
        let mut tasks = JoinSet::new();
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&log));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&seen)));
            }
        });
        Self { log, _tasks: tasks }
    }

    /// When which commands came. Fails the test when anything else came.
    pub fn requests(&self) -> Vec<(Instant, String)> {
        let log = self.log.lock().expect("nothing panics with it");
        assert_eq!(log.faults, [""; 0], "what is sent must be right");
        log.requests.clone()
    }
}

/// A search in this directory only.
pub fn search(dir: &Path) -> Search {
    Search::with_rundir(Some(PathBuf::from(dir)), None)
}

async fn serve(mut stream: UnixStream, answer: Arc<Answer>, log: Arc<Mutex<Log>>) {
    let mut bytes = Vec::new();
    loop {
        let request = loop {
            let mut requests = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
            if let Some(Ok(request)) = requests.next() {
                let alone = requests.byte_offset() == bytes.len();
                bytes.clear();
                break if alone { parse(&request) } else { Err("two requests at a time".to_owned()) };
            }
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        };
        let (line, id) = {
            let mut log = log.lock().expect("nothing panics with it");
            match request {
                Ok((line, id)) => {
                    log.requests.push((Instant::now(), line.clone()));
                    (line, id)
                }
                Err(fault) => return log.faults.push(fault),
            }
        };
        let ok = |text: &str| json!({"id": id, "result": text, "error": null}).to_string().into_bytes();
        let (pieces, end): (Vec<Vec<u8>>, bool) = match answer(&line) {
            Say::Text(text) => (vec![ok(&text)], false),
            Say::Error(text) => (vec![json!({"id": id, "error": text}).to_string().into_bytes()], false),
            Say::Raw(bytes) => (vec![bytes], false),
            Say::Drip(text) => (ok(&text).into_iter().map(|b| vec![b]).collect(), false),
            Say::Endless(bytes, taken) => loop {
                match stream.write(&bytes).await {
                    Ok(count) => taken.fetch_add(count, Ordering::Relaxed),
                    Err(_) => return,
                };
            },
            Say::Hangup(bytes) => (vec![bytes], true),
            Say::Later(told, text) => {
                told.notified().await;
                (vec![ok(&text)], false)
            }
        };
        for piece in pieces {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        if end {
            return;
        }
    }
}

/// As strict as `jsonrpc_msg_from_json` and `process_command`.
fn parse(request: &Value) -> Result<(String, u64), String> {
    let fault = || format!("no request: {request}");
    let object = request.as_object().ok_or_else(fault)?;
    if object.keys().any(|key| !["id", "method", "params"].contains(&key.as_str())) {
        return Err(fault());
    }
    let word = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(fault);
    let params = request["params"].as_array().ok_or_else(fault)?;
    let words: Vec<String> = std::iter::once(&request["method"]).chain(params).map(word).collect::<Result<_, _>>()?;
    if !READING.contains(&words[0].as_str()) {
        return Err(format!("not a command that only reads: {request}"));
    }
    Ok((words.join(" "), request["id"].as_u64().ok_or_else(fault)?))
}
