//! What is asked about flows: how often, in which order and form, how long it is kept, and when it is asked again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ovscope::{
    event::{DaemonState, DpIfindex, FlowPtr, Query, Ufid},
    ovs_rpc::Ask,
};
use tokio::{sync::Notify, time::Instant};

use crate::bench::{
    Bench, FLOW, NEW, RULES, Say, Server, ask, both_texts, detrace, get_flow, good, questions, secs, test_dir,
};

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
    bench.ask(Ask { dp: DpIfindex(2), ..ask(1) }).await;
    bench.pass(secs(1)).await;
    assert_eq!(bench.answers().iter().map(|answer| answer.dp).collect::<Vec<_>>(), [Some(DpIfindex(2)); 2]);
    assert_eq!(questions(&server)[7..], [get_flow(1), detrace(1)], "another datapath's");
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
    assert!(waiting.contains("its next revalidation fills them in"), "{waiting}");
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
        "list-commands" => {
            Say::Text("The available commands are:\n  dpctl/get-flow  [dp] ufid\n  ofproto/trace  \n".to_owned())
        }
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
