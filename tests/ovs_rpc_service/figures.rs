//! What the daemon is asked about itself, how often, and what is told of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ovscope::event::{Body, DaemonFigures};

use crate::bench::{Bench, LIST, Say, Server, good, secs, test_dir};

const SHOWN: &str =
    "system@ovs-system:\n  flows         : (current 7) (avg 5) (max 12) (limit 200000)\n  dump duration : 1ms\n";
const COUNTED: &str = "flow_extract  0.0/sec  0.0/sec  0.0/sec  total: 3\n";
const MODE: &str = "ovs-system: per-cpu dispatch mode\n";

/// A daemon with this `upcall/show` that has the commands about itself.
fn counting(shown: &'static str) -> impl Fn(&str) -> Say + Send + Sync {
    move |line| match line {
        "list-commands" => {
            Say::Text(format!("{LIST}  upcall/show  \n  coverage/show  \n  dpif-netlink/dispatch-mode  \n"))
        }
        "upcall/show" => Say::Text(shown.to_owned()),
        "coverage/show" => Say::Text(COUNTED.to_owned()),
        "dpif-netlink/dispatch-mode" => Say::Text(MODE.to_owned()),
        _ => good(line),
    }
}

fn figures(bench: &mut Bench) -> Vec<DaemonFigures> {
    let told = bench.events.extract_if(.., |event| matches!(event.body, Body::DaemonFigures(_)));
    told.map(|event| if let Body::DaemonFigures(figures) = event.body { *figures } else { unreachable!() }).collect()
}

/// How often it was asked this.
fn asked(server: &Server, command: &str) -> usize {
    server.requests().iter().filter(|(_, line)| line == command).count()
}

#[tokio::test(start_paused = true)]
async fn figures_are_asked_every_five_seconds_and_how_upcalls_find_a_handler_once() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, counting(SHOWN));
    let mut bench = Bench::start(dir.path(), 20);
    bench.pass(secs(21)).await;
    let told = figures(&mut bench);
    assert_eq!(told.len(), 5, "{told:?}");
    for of in &told {
        assert_eq!((of.pid, of.udpifs[0].limit, of.coverage["flow_extract"]), (7, 200_000, 3));
        assert_eq!(of.dispatch["ovs-system"], "per-cpu");
    }
    let commands = ["upcall/show", "coverage/show", "dpif-netlink/dispatch-mode", "list-commands"];
    assert_eq!(commands.map(|command| asked(&server, command)), [5, 5, 1, 1]);
    drop(server);
    bench.pass(secs(1)).await;
    let server = Server::start(dir.path(), 8, counting(SHOWN));
    bench.pass(secs(6)).await;
    assert_eq!(asked(&server, "dpif-netlink/dispatch-mode"), 1, "another daemon may have another mode");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_without_a_datapath_of_the_kernel_is_not_asked_for_its_dispatch_mode() {
    let dir = test_dir();
    let server = Server::start(dir.path(), 7, counting("netdev@ovs-netdev:\n  flows : (current 7) (limit 9)\n"));
    let mut bench = Bench::start(dir.path(), 20);
    bench.pass(secs(6)).await;
    assert!(figures(&mut bench).iter().all(|of| of.dispatch.is_empty() && of.udpifs[0].flows == 7));
    assert_eq!(asked(&server, "dpif-netlink/dispatch-mode"), 0, "it would never reply");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_does_not_reply_is_not_asked_for_its_dispatch_mode_again() {
    let dir = test_dir();
    let (asked_once, never) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let is_asked = Arc::clone(&asked_once);
    let server = Server::start(dir.path(), 7, move |line| match line {
        "dpif-netlink/dispatch-mode" => {
            is_asked.store(true, Ordering::Relaxed);
            Say::Later(Arc::clone(&never), String::new())
        }
        _ => counting(SHOWN)(line),
    });
    let mut bench = Bench::start(dir.path(), 20);
    bench.pass(secs(60)).await;
    assert!(asked_once.load(Ordering::Relaxed));
    assert_eq!(asked(&server, "dpif-netlink/dispatch-mode"), 1);
    let told = figures(&mut bench);
    assert!(told.iter().all(|of| of.dispatch.is_empty()) && told.len() >= 3, "over a new connection: {told:?}");
}
