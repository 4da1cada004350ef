//! Traces: each that is asked for is answered, when the daemon can, within the rate, and not for ever.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::bench::{Bench, Say, Server, TRACE, ask, ask_trace, good, secs, test_dir};

fn traced(server: &Server) -> Vec<String> {
    let requests = server.requests().into_iter().map(|(_, line)| line);
    requests.filter_map(|line| line.strip_prefix("ofproto/trace ").map(str::to_owned)).collect()
}

#[tokio::test(start_paused = true)]
async fn each_trace_is_answered_what_somebody_asks_for_first() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, good);
    let mut bench = Bench::start(dir.path(), 20);
    bench.pass(secs(1)).await;
    bench.asks.try_send(ask_trace(1, true).into()).expect("room");
    bench.asks.try_send(ask_trace(2, true).into()).expect("room");
    bench.asks.try_send(ask_trace(3, false).into()).expect("room");
    bench.ask(ask(1)).await;
    bench.pass(secs(2)).await;
    let answered = |port| (format!("in_port({port})"), Ok(TRACE.to_owned()));
    assert_eq!(bench.traces(), [answered(3), answered(1), answered(2)]);
    assert_eq!(traced(&server)[0], "ovs-system in_port(3)");
    assert_eq!(bench.texts().len(), 2, "the flow is asked about beside them");
    let times: Vec<_> = server.requests().into_iter().map(|(time, _)| time).collect();
    assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).as_millis() >= 50), "at the rate of all: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_and_is_not_tried_again() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| {
        if line.starts_with("ofproto/trace") {
            Say::Error("no OpenFlow port for datapath port 1\n".to_owned())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask_trace(1, true)).await;
    bench.pass(secs(30)).await;
    let why = "ovs-vswitchd traces no such packet: no OpenFlow port for datapath port 1".to_owned();
    assert_eq!(bench.traces(), [("in_port(1)".to_owned(), Err(why))]);
    assert_eq!(traced(&server).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_daemon_is_away_that_is_said_once_and_it_is_asked_when_it_is_back() {
    let dir = test_dir();
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask_trace(1, true)).await;
    bench.pass(secs(8)).await;
    let waits = bench.traces();
    assert!(matches!(&waits[..], [(_, Err(why))] if why.contains("ovs-vswitchd")), "{waits:?}");
    let _server = Server::start(dir.path(), 7, good);
    bench.pass(secs(8)).await;
    assert_eq!(bench.traces(), [("in_port(1)".to_owned(), Ok(TRACE.to_owned()))]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_never_has_time_for_it_is_let_alone() {
    let dir = test_dir();
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let server = Server::start(dir.path(), 7, move |line| {
        if line.starts_with("ofproto/trace") && is_slow.load(Ordering::Relaxed) {
            Say::Later(Arc::new(Notify::new()), String::new())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.ask(ask_trace(1, true)).await;
    bench.pass(secs(400)).await;
    assert!((1..=5).contains(&traced(&server).len()), "{:?}", traced(&server));
    let last = bench.traces().pop().expect("it says why");
    assert!(last.1.as_ref().is_err_and(|why| why.contains("did not answer")), "{last:?}");
    slow.store(false, Ordering::Relaxed);
    bench.ask(ask_trace(2, false)).await;
    bench.pass(secs(60)).await;
    assert_eq!(bench.traces().pop(), Some(("in_port(2)".to_owned(), Ok(TRACE.to_owned()))));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_without_the_command_is_not_asked_and_of_too_many_the_oldest_go() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, |line| {
        if line == "list-commands" {
            Say::Text("The available commands are:\n  dpctl/get-flow  [dp] ufid\n".to_owned())
        } else {
            good(line)
        }
    });
    let mut bench = Bench::start(dir.path(), 20);
    for port in 0..12 {
        bench.asks.try_send(ask_trace(port, true).into()).expect("room");
    }
    bench.pass(secs(2)).await;
    let traces = bench.traces();
    let too_many =
        traces.iter().filter(|(_, answer)| answer.as_ref().is_err_and(|why| why.contains("too many"))).count();
    let lacks =
        traces.iter().filter(|(_, answer)| *answer == Err("ovs-vswitchd has no ofproto/trace".to_owned())).count();
    assert_eq!((too_many, lacks, traced(&server).len()), (4, 8, 0), "{traces:?}");
}
