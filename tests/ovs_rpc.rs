//! The control socket's client against a server that is slow, odd, or hangs up.

mod ovs_server;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ovs_server::{Say, Server, search};
use ovscope::ovs_rpc::{CallError, Client, Command, MAX_REPLY};
use tokio::sync::Notify;

/// Long: nothing that is to succeed comes near it.
const PATIENT: Duration = Duration::from_secs(30);
/// Short: what is to fail never comes.
const SHORT: Duration = Duration::from_millis(20);

async fn connect(dir: &Path) -> Client {
    Client::new(search(dir).find().await.expect("the server listens"))
}

/// A client, and what `say` makes of its first command.
async fn first_call(say: impl Fn(&str) -> Say + Send + Sync + 'static) -> (Result<String, CallError>, Client) {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let _server = Server::start(dir.path(), 7, say);
    let mut client = connect(dir.path()).await;
    (client.call(&Command::Version, PATIENT).await, client)
}

#[tokio::test]
async fn commands_get_their_texts_one_after_another() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let server = Server::start(dir.path(), 7, |line| Say::Text(format!("{line}\n")));
    let mut client = connect(dir.path()).await;
    assert_eq!((client.pid(), client.path()), (7, &*dir.path().join("ovs-vswitchd.7.ctl")));
    for command in [Command::Version, Command::ListCommands, Command::UpcallShow, Command::CoverageShow] {
        assert_eq!(client.call(&command, PATIENT).await.expect("its text"), format!("{command}\n"));
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_reply_in_single_bytes_and_a_very_long_one_are_whole() {
    let text = "caf\u{e9} \"{[\\\n\u{1b}".repeat(20);
    let dripped = text.clone();
    let (answer, _) = first_call(move |_| Say::Drip(dripped.clone())).await;
    assert_eq!(answer.expect("its text"), text);
    let long = "x".repeat(MAX_REPLY / 2);
    let sent = long.clone();
    let (answer, _) = first_call(move |_| Say::Text(sent.clone())).await;
    assert_eq!(answer.expect("its text"), long);
}

#[tokio::test]
async fn a_refusal_is_the_daemons_own_word_and_leaves_the_connection_good() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let _server = Server::start(dir.path(), 7, |line| match line {
        "version" => Say::Text("3.1".to_owned()),
        _ => Say::Error("\"dpctl/show\" is not a valid command\n".to_owned()),
    });
    let mut client = connect(dir.path()).await;
    let error = client.call(&Command::DpctlShow, PATIENT).await.expect_err("refused");
    assert_eq!(error.to_string(), "ovs-vswitchd refuses dpctl/show: \"dpctl/show\" is not a valid command");
    assert!(!error.ends_connection());
    assert_eq!(client.call(&Command::Version, PATIENT).await.expect("its text"), "3.1");
}

#[tokio::test]
async fn what_is_no_reply_ends_the_connection_and_says_what_to_do() {
    let endless = [b"{\"id\":1,\"result\":\"".to_vec(), vec![b'a'; MAX_REPLY]].concat();
    let other = br#"{"id":9,"result":"","error":null}"#.to_vec();
    let deep = [b"{\"id\":1,\"result\":".to_vec(), vec![b'['; 100_000], vec![b']'; 100_000], b"}".to_vec()].concat();
    let closed_only = b"]}".to_vec();
    for (bytes, why) in [
        (deep, "a JSON object that is no reply"),
        (closed_only, "where a JSON object should begin"),
        (vec![0xff, 0xfe, 0], "where a JSON object should begin"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "where a JSON object should begin"),
        (b"{\"id\":1,}".to_vec(), "a JSON object that is no reply"),
        (endless, "a reply of more than"),
        (other, "a reply to 9 that nobody waits for"),
    ] {
        let (answer, _) = first_call(move |_| Say::Raw(bytes.clone())).await;
        let error = answer.expect_err("no reply");
        assert!(error.to_string().contains(why), "{error}");
        assert!(error.to_string().contains("What to do: name the right socket with --ovs-rundir"), "{error}");
        assert!(error.ends_connection());
    }
}

#[tokio::test]
async fn a_reply_without_end_is_read_no_further_than_its_bound() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    // The text of a reply begins, and then nothing but braces that open: each is a byte of one reply.
    let (answer, client) = first_call(move |_| Say::Endless(vec![b'{'; 65_536], Arc::clone(&counted))).await;
    let error = answer.expect_err("it never ends");
    assert!(error.to_string().contains("a reply of more than") && error.ends_connection(), "{error}");
    drop(client);
    // What the kernel keeps of a connection is some hundred kilobytes.
    let taken = taken.load(Ordering::Relaxed);
    assert!((MAX_REPLY..MAX_REPLY + (2 << 20)).contains(&taken), "{taken} bytes were taken");
}

#[tokio::test]
async fn half_a_reply_and_blanks_without_end_are_not_waited_for() {
    let blanks = || Say::Endless(vec![b' '; 4096], Arc::default());
    let half = || Say::Raw(b"{\"id\":1,\"result\":\"abc".to_vec());
    for say in [&blanks as &(dyn Fn() -> Say + Sync), &half] {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let (tell, told) = (say(), Mutex::new(None));
        *told.lock().expect("a mutex") = Some(tell);
        let take = move |_: &str| told.lock().expect("a mutex").take().expect("one request");
        let server = Server::start(dir.path(), 7, take);
        let mut client = connect(dir.path()).await;
        let error = client.call(&Command::Version, SHORT).await.expect_err("it never ends");
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
        // Nothing more is sent to it.
        assert!(client.call(&Command::DpifShow, SHORT).await.is_err());
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_daemon_that_goes_in_the_middle_of_a_reply_is_gone() {
    for bytes in [&b""[..], b"{\"id\":1,\"resu"] {
        let (answer, _) = first_call(|_| Say::Hangup(bytes.to_vec())).await;
        let error = answer.expect_err("it hung up");
        assert!(matches!(error, CallError::Closed(_)) && error.ends_connection(), "{error}");
        assert!(error.to_string().contains("it ended or starts anew"), "{error}");
    }
}

#[tokio::test]
async fn a_second_reply_to_one_request_is_noticed() {
    let twice = br#"{"id":1,"result":"a","error":null}{"id":1,"result":"b","error":null}"#;
    let (answer, mut client) = first_call(|_| Say::Raw(twice.to_vec())).await;
    assert_eq!(answer.expect("the first"), "a");
    let error = client.watch().await.expect_err("nobody asked for it");
    assert!(error.to_string().contains("a reply to 1 that nobody waits for"), "{error}");
}

#[tokio::test]
async fn a_late_reply_is_taken_before_anything_else_is_sent() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let now = Arc::new(Notify::new());
    let told = Arc::clone(&now);
    let server = Server::start(dir.path(), 7, move |line| match line {
        "version" => Say::Later(Arc::clone(&told), "late".to_owned()),
        _ => Say::Text("the right one".to_owned()),
    });
    let mut client = connect(dir.path()).await;
    for _ in 0..3 {
        let error = client.call(&Command::Version, SHORT).await.expect_err("it is stalled");
        assert!(matches!(error, CallError::TimedOut { .. }) && !error.ends_connection(), "{error}");
        assert!(error.to_string().contains("did not answer version within 20ms"), "{error}");
    }
    assert_eq!(server.requests().len(), 1, "a stalled daemon gets no heap of requests");
    now.notify_one();
    assert_eq!(client.call(&Command::DpifShow, PATIENT).await.expect("its text"), "the right one");
}

#[tokio::test]
async fn an_idle_connection_says_when_the_daemon_goes() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let server = Server::start(dir.path(), 7, |_| Say::Text("3.1".to_owned()));
    let mut client = connect(dir.path()).await;
    client.call(&Command::Version, PATIENT).await.expect("its text");
    drop(server);
    assert!(matches!(client.watch().await, Err(CallError::Closed(_))));
    assert!(search(dir.path()).find().await.expect_err("it is gone").to_string().contains("left over"));
}
