//! A daemon that goes, comes, stalls, forgets or is none; and the service's own end.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ovscope::event::DaemonState;
use tokio::sync::{Notify, mpsc};

use crate::bench::{Bench, Say, Server, ask, both_texts, detrace, get_flow, good, questions, secs, test_dir, why};

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
