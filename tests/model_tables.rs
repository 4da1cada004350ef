//! The model's tables: flows, ports, handlers, talkers, the daemon's answers.

use ovscope::{
    event::{
        Body, Comm, Counters, DaemonAnswer, Datapath, DelReason, DpCounters, DpIfindex, Event, FlowCounter, FlowLookup,
        FlowOp, FlowPtr, FlowPut, FlowResult, Name, Port, PortNo, PutKind, Query, RevalResult, Revalidation, Ufid,
        UpcallCmd, UpcallCounter, UpcallId, UpcallRecv,
    },
    model::{Dimension, Evicted, Flow, FlowKey, FlowSort, Limits, Model, SECOND, State, TalkerKey},
};

const DP: DpIfindex = DpIfindex(2);

fn ufid(n: u32) -> Ufid {
    Ufid([n, 1, 2, 3])
}

fn counted(n: u32, flow: u64, sf_acts: u64, hits: u64) -> FlowCounter {
    FlowCounter {
        table: 9,
        flow: FlowPtr(flow),
        sf_acts: FlowPtr(sf_acts),
        ufid: Some(ufid(n)),
        hits,
        bytes: Some(hits * 100),
        last: 0,
    }
}

fn reading(ts: u64, flows: &[FlowCounter]) -> Event {
    let datapaths = vec![DpCounters { dp: DP, table: 9, ..DpCounters::default() }];
    let flows = flows.iter().map(|flow| FlowCounter { last: ts, ..*flow }).collect();
    Event::host(ts, Body::Counters(Box::new(Counters { datapaths, flows, ..Counters::default() })))
}

fn op(n: u32, ret: i32) -> FlowOp {
    FlowOp { dp: DP, ret, ufid: Some(ufid(n)), took_ns: 5, batch_ts: 0, batch_idx: 0, queue_id: 0 }
}

fn put(ts: u64, n: u32, ret: i32) -> Event {
    let event = Event::host(ts, Body::FlowPut(FlowPut { kind: PutKind::New, op: op(n, ret) }));
    Event { upcall: Some(UpcallId(ts)), ..event }
}

fn hit(ts: u64, dp: DpIfindex, n: u32) -> Event {
    Event::host(
        ts,
        Body::FlowLookup(FlowLookup {
            dp,
            in_port: Some(PortNo(1)),
            recirc_id: 0,
            flow: Some(FlowPtr(64)),
            sf_acts: Some(FlowPtr(65)),
            ufid: Some(ufid(n)),
            n_mask_hit: 3,
            n_cache_hit: 0,
        }),
    )
}

fn flow(model: &Model, n: u32) -> &Flow {
    model.flow(FlowKey::Ufid(DP, ufid(n))).expect("it was seen")
}

#[test]
fn a_flows_rate_is_exact_and_ends_with_its_hits() {
    let mut model = Model::default();
    model.apply(&reading(SECOND, &[counted(1, 8, 9, 100)]));
    assert_eq!((flow(&model, 1).hits(), model.hit_rate(flow(&model, 1))), (100, 0.0));
    for quarter in 1..=8 {
        model.apply(&reading(SECOND + quarter * SECOND / 4, &[counted(1, 8, 9, 100 + quarter * 50)]));
        assert!((model.hit_rate(flow(&model, 1)) - 200.0).abs() < 1e-9, "{quarter}");
        assert!((model.byte_rate(flow(&model, 1)).expect("counted") - 20_000.0).abs() < 1e-6, "{quarter}");
    }
    for quarter in 9..=16 {
        model.apply(&reading(SECOND + quarter * SECOND / 4, &[]));
    }
    assert_eq!((flow(&model, 1).hits(), model.hit_rate(flow(&model, 1))), (500, 0.0));
    assert_eq!(flow(&model, 1).bytes(), Some(50_000));
    assert_eq!(flow(&model, 1).last_hit, Some(3 * SECOND));
}

#[test]
fn a_flow_that_is_new_between_two_readings_got_its_hits_there() {
    let mut model = Model::default();
    model.apply(&reading(SECOND, &[]));
    model.apply(&reading(SECOND + SECOND / 4, &[counted(1, 8, 9, 10)]));
    assert!((model.hit_rate(flow(&model, 1)) - 40.0).abs() < 1e-9);
}

#[test]
fn a_flow_that_comes_back_keeps_its_hits_and_is_another_generation() {
    let mut model = Model::default();
    model.apply(&put(1, 1, 0));
    model.apply(&reading(SECOND, &[counted(1, 8, 9, 10)]));
    model.apply(&reading(2 * SECOND, &[counted(1, 8, 10, 15)]));
    assert_eq!((flow(&model, 1).hits(), flow(&model, 1).generations), (15, 1));
    model.apply(&Event::host(3 * SECOND, Body::FlowDel(op(1, 0))));
    assert_eq!(flow(&model, 1).deleted, Some(3 * SECOND));
    // What the last reading before its end had not counted does not bring it back to life.
    model.apply(&reading(3 * SECOND + 1, &[counted(1, 8, 10, 16)]));
    assert_eq!((flow(&model, 1).deleted, flow(&model, 1).hits()), (Some(3 * SECOND), 16));
    model.apply(&put(4 * SECOND, 1, -17));
    assert_eq!((flow(&model, 1).deleted, flow(&model, 1).puts_failed), (Some(3 * SECOND), 1));
    model.apply(&put(4 * SECOND + 1, 1, 0));
    model.apply(&reading(5 * SECOND, &[counted(1, 80, 90, 4)]));
    let flow = flow(&model, 1);
    assert_eq!((flow.deleted, flow.hits(), flow.generations, flow.upcalls), (None, 20, 2, 3));
    assert_eq!((flow.flow, flow.sf_acts), (Some(FlowPtr(80)), Some(FlowPtr(90))));
    assert_eq!(model.flow_count(), 1);
}

#[test]
fn a_flow_of_an_unknown_datapath_is_of_the_only_one() {
    let mut model = Model::default();
    let only = Datapath { dp: DP, name: "ovs-system".to_owned(), ..Datapath::default() };
    model.apply(&Event::host(1, Body::Datapaths { datapaths: vec![only] }));
    model.apply(&hit(2, DpIfindex(0), 1));
    model.apply(&hit(3, DP, 1));
    assert_eq!((model.flow_count(), flow(&model, 1).masks_tried), (1, Some(3)));
}

fn asked_first(model: &Model) -> FlowKey {
    model.flows().next().expect("a flow").key
}

#[test]
fn flows_are_sorted_and_cut_as_asked() {
    let mut model = Model::default();
    let flows: Vec<FlowCounter> = (0..100).map(|n| counted(n, u64::from(n), 1, u64::from(n / 2))).collect();
    model.apply(&reading(SECOND, &flows));
    let numbers = |keys: Vec<FlowKey>| -> Vec<u32> { keys.iter().filter_map(|k| k.ufid()).map(|u| u.0[0]).collect() };
    let top = |sort, descending, offset, n| numbers(model.flow_order(|_| true, sort, descending).keys(offset, n));
    assert_eq!(top(FlowSort::Hits, true, 0, 5), [98, 99, 96, 97, 94]);
    assert_eq!(top(FlowSort::Hits, false, 3, 2), [3, 4]);
    assert_eq!(top(FlowSort::Hits, true, 98, 5), [0, 1]);
    assert_eq!(top(FlowSort::Hits, true, 100, 5), Vec::<u32>::new());
    let odd = |flow: &Flow| flow.hits() % 2 == 1;
    let mut order = model.flow_order(odd, FlowSort::Hits, true);
    assert_eq!((numbers(order.keys(1, 2)), order.len()), (vec![99, 94], 50));
    // Each is asked about once and in the order of all, so that what is known of them can lie beside them.
    let mut asked = Vec::new();
    let order = model.flow_order(
        |flow| {
            asked.push(flow.key);
            false
        },
        FlowSort::Ufid,
        false,
    );
    assert!(order.is_empty() && order.place(asked_first(&model)).is_none());
    assert_eq!(asked, model.flows().map(|flow| flow.key).collect::<Vec<_>>());
    assert_eq!(top(FlowSort::Ufid, false, 0, 3), [0, 1, 2]);
}

#[test]
fn flows_that_are_met_outlive_those_that_are_not() {
    let mut model = Model::new(Limits { flows: 10, ..Limits::default() });
    for n in 0..200 {
        model.apply(&put(u64::from(n), n, 0));
        model.apply(&hit(u64::from(n), DP, 3.min(n)));
    }
    assert_eq!(model.flow_count(), 10);
    assert_eq!(flow(&model, 3).first_seen, 3);
    assert_eq!(model.evicted(), Evicted { flows: 190, ..model.evicted() });
}

fn upcalls(ts: u64, counts: &[(u32, UpcallCmd, u32, i32, u64)]) -> Event {
    let counter = |&(port, cmd, socket, ret, count): &_| UpcallCounter {
        dp: DP,
        in_port: PortNo(port),
        cmd,
        port: socket,
        cpu: Some(port % 2),
        ret,
        count,
    };
    let upcalls = counts.iter().map(counter).collect();
    Event::host(ts, Body::Counters(Box::new(Counters { upcalls, ..Counters::default() })))
}

fn recv(ts: u64, tid: u32, port: u32, batch_ts: u64, batch_idx: u32, wait_ns: u64) -> Event {
    let body = UpcallRecv { port, pkt_size: 1, key_size: 1, queue_id: ts, wait_ns, batch_ts, batch_idx };
    Event { tid, comm: Name::new(&format!("handler{tid}")), ..Event::host(ts, Body::UpcallRecv(body)) }
}

#[test]
fn ports_reasons_and_outcomes_are_exact() {
    let mut model = Model::default();
    let known = Port { port: PortNo(1), name: "p1_l".to_owned(), kind: "netdev".to_owned(), ifindex: 4 };
    let datapaths = vec![Datapath { dp: DP, ports: vec![known], ..Datapath::default() }];
    model.apply(&Event::host(1, Body::Datapaths { datapaths }));
    let (miss, action) = (UpcallCmd::Miss, UpcallCmd::Action);
    model.apply(&upcalls(100 * SECOND, &[(1, miss, 70, 0, 1000)]));
    assert!(model.talkers(Dimension::InPort, 5).top.is_empty(), "when the first 1000 were is not known");
    model.apply(&recv(100 * SECOND + 1, 31, 70, 100 * SECOND + 1, 0, 5));
    for second in 1..=20 {
        let n = second * 100;
        model.apply(&upcalls(
            (100 + second) * SECOND,
            &[(1, miss, 70, 0, 1000 + n * 6), (1, miss, 70, -11, n), (2, action, 71, 0, n * 3)],
        ));
    }
    let ports = model.ports();
    assert_eq!((ports[0].name.as_deref(), ports[0].misses, ports[0].lost), (Some("p1_l"), 15_000, 2000));
    assert!((ports[0].miss_rate - 700.0).abs() < 1e-9 && (ports[0].lost_rate - 100.0).abs() < 1e-9);
    assert_eq!((ports[1].name.as_deref(), ports[1].actions, ports[1].misses), (None, 6000, 0));
    let top = |dimension| -> Vec<(TalkerKey, u64)> {
        let talkers = model.talkers(dimension, 5);
        assert!(talkers.exact && talkers.total == 10_000 && talkers.unknown == 0);
        talkers.top.iter().map(|t| (t.key, t.count)).collect()
    };
    let port = |n| TalkerKey::Port(DP, PortNo(n));
    assert_eq!(top(Dimension::InPort), [(port(1), 7000), (port(2), 3000)]);
    assert_eq!(top(Dimension::Cmd), [(TalkerKey::Cmd(miss), 7000), (TalkerKey::Cmd(action), 3000)]);
    assert_eq!(top(Dimension::Cpu), [(TalkerKey::Cpu(1), 7000), (TalkerKey::Cpu(0), 3000)]);
    assert_eq!(top(Dimension::Errno), [(TalkerKey::Errno(0), 9000), (TalkerKey::Errno(-11), 1000)]);
    let task: Option<(u32, Comm)> = Some((31, Name::new("handler31")));
    let handlers = [(TalkerKey::Handler { port: 70, task }, 7000), (TalkerKey::Handler { port: 71, task: None }, 3000)];
    assert_eq!(top(Dimension::Handler), handlers);
    assert_eq!(model.condition().state, State::Losing);
    let rows = model.handlers();
    assert_eq!((rows[0].tid, rows[0].upcalls, rows[0].lost), (31, 15_000, 2000));
    assert!((rows[0].upcall_rate - 700.0).abs() < 1e-9);
}

#[test]
fn rates_that_are_old_are_not_shown_as_now() {
    let mut model = Model::default();
    for second in 1..5 {
        model.apply(&upcalls(second * SECOND, &[(1, UpcallCmd::Miss, 70, 0, second * 2000)]));
    }
    assert_eq!(model.condition().state, State::Storm);
    model.apply(&recv(7 * SECOND, 31, 70, 7 * SECOND, 0, 5));
    assert!(model.rates().is_some());
    model.apply(&recv(7 * SECOND + 1, 31, 70, 7 * SECOND, 1, 5));
    assert_eq!((model.rates(), model.condition().state), (None, State::Waiting));
    assert_eq!(model.totals().map(|t| t.upcalls), Some(8000));
}

#[test]
fn a_handlers_batches_and_waits() {
    let mut model = Model::default();
    for batch in 0..10u64 {
        let batch_ts = SECOND + batch * 1000;
        for idx in 0..=batch as u32 {
            model.apply(&recv(batch_ts + u64::from(idx), 31, 70, batch_ts, idx, 1000 * (batch + 1)));
        }
    }
    let rows = model.handlers();
    // The tenth batch may go on.
    assert_eq!((rows[0].batches, rows[0].batch_max, rows[0].received, rows[0].port), (9, 9, 55, 70));
    assert!((rows[0].batch_mean - 5.0).abs() < 1e-9);
    let (p50, p99) = (rows[0].wait_p50.expect("it received"), rows[0].wait_p99.expect("it received"));
    assert!(p50.abs_diff(7000) <= 70 && p99.abs_diff(10_000) <= 100, "{p50} {p99}");
    model.apply(&upcalls(31 * SECOND, &[]));
    assert_eq!((model.handlers()[0].wait_p50, model.handlers()[0].receive_rate), (None, 0.0));
}

#[test]
fn handlers_are_bounded_and_the_longest_silent_goes() {
    let mut model = Model::new(Limits { handlers: 3, ..Limits::default() });
    for tid in [1, 2, 3, 1, 4] {
        let ts = model.now() + SECOND;
        model.apply(&recv(ts, tid, tid, ts, 0, 1));
    }
    let mut tids: Vec<u32> = model.handlers().iter().map(|row| row.tid).collect();
    tids.sort_unstable();
    assert_eq!((tids, model.evicted().handlers), (vec![1, 3, 4], 1));
}

fn answer(dp: Option<DpIfindex>, n: u32, sf_acts: Option<u64>, text: &str) -> Event {
    let (ufid, sf_acts, answer) = (ufid(n), sf_acts.map(FlowPtr), Ok(text.to_owned()));
    Event::host(
        1,
        Body::DaemonAnswer(Box::new(DaemonAnswer { dp, ufid, sf_acts, query: Query::Detrace, answer, took_ns: 9 })),
    )
}

#[test]
fn an_answer_belongs_to_its_datapaths_flow() {
    let mut model = Model::default();
    let other = DpIfindex(3);
    model.apply(&put(1, 1, 0));
    let op = FlowOp { dp: other, ..op(1, 0) };
    model.apply(&Event::host(1, Body::FlowPut(FlowPut { kind: PutKind::New, op })));
    let said = |model: &Model, dp| {
        let flow = model.flow(FlowKey::Ufid(dp, ufid(1))).expect("it was put");
        model.answer(flow, Query::Detrace).and_then(|answer| answer.answer.clone().ok())
    };
    model.apply(&answer(None, 1, None, "of an older recording"));
    assert_eq!([DP, other].map(|dp| said(&model, dp).is_some()), [true, true]);
    model.apply(&answer(Some(other), 1, None, "the other's"));
    assert_eq!(said(&model, DP).as_deref(), Some("of an older recording"));
    assert_eq!(said(&model, other).as_deref(), Some("the other's"));
}

#[test]
fn an_answer_belongs_to_one_generation_of_its_flow() {
    let mut model = Model::new(Limits { answers: 2, ..Limits::default() });
    let answer = |n, sf_acts, text: &str| answer(Some(DP), n, sf_acts, text);
    let said = |model: &Model, query| model.answer(flow(model, 1), query).and_then(|a| a.answer.clone().ok());
    model.apply(&put(1, 1, 0));
    model.apply(&answer(1, None, "early"));
    assert_eq!(said(&model, Query::Detrace).as_deref(), Some("early"));
    assert_eq!(said(&model, Query::GetFlow), None);
    model.apply(&reading(SECOND, &[counted(1, 8, 9, 10)]));
    model.apply(&answer(1, Some(9), "exact"));
    assert_eq!(said(&model, Query::Detrace).as_deref(), Some("exact"));
    model.apply(&reading(2 * SECOND, &[counted(1, 8, 10, 11)]));
    assert_eq!(said(&model, Query::Detrace), None, "that was another generation");
    model.apply(&answer(2, None, "another flow"));
    assert_eq!(model.evicted().answers, 1);
}

fn decided(ts: u64, n: u32, result: RevalResult, reason: DelReason) -> Event {
    Event::host(ts, Body::FlowResult(FlowResult { ufid: Some(ufid(n)), result, reason, sweep: false }))
}

fn deleted(ts: u64, n: u32, ret: i32) -> Event {
    Event::host(ts, Body::FlowDel(op(n, ret)))
}

#[test]
fn a_deleted_flow_has_the_reason_that_its_revalidator_gave_and_none_that_is_older() {
    let mut model = Model::default();
    model.apply(&Event::host(1, Body::Datapaths { datapaths: vec![Datapath { dp: DP, ..Datapath::default() }] }));
    let flow = |model: &Model, n| {
        let flow = model.flow(FlowKey::Ufid(DP, ufid(n))).expect("it was put");
        (flow.deleted, flow.deleted_because)
    };
    model.apply_all(&[put(2, 1, 0), put(2, 2, 0), put(2, 3, 0)]);
    model.apply(&decided(5, 1, RevalResult::Delete, DelReason::FlowIdle));
    model.apply(&decided(5, 2, RevalResult::Modify, DelReason::None));
    assert_eq!(flow(&model, 1), (None, None), "not deleted yet");
    model.apply_all(&[deleted(6, 1, 0), deleted(6, 2, 0), deleted(6, 3, -2)]);
    assert_eq!(flow(&model, 1), (Some(6), Some(DelReason::FlowIdle)));
    assert_eq!(flow(&model, 2), (Some(6), None), "another decision is no reason");
    assert_eq!(flow(&model, 3), (None, None), "it could not be deleted");

    // It comes back, and goes by another hand.
    model.apply(&decided(7, 1, RevalResult::Delete, DelReason::Purge));
    model.apply_all(&[put(8, 1, 0), deleted(9, 1, 0)]);
    assert_eq!(flow(&model, 1), (Some(9), None));
    assert_eq!(model.revalidators().deleted(), [(DelReason::FlowIdle, 1), (DelReason::Purge, 1)]);
}

#[test]
fn the_last_round_of_revalidators_is_the_one_that_began_last() {
    let mut model = Model::default();
    for (ts, took_ns) in [(10, 5), (30, 7), (20, 9)] {
        let round = Revalidation { took_ns, n_flows: 3, interval_ms: 500 };
        model.apply(&Event::host(ts, Body::Revalidation(round)));
    }
    let seen = model.revalidators();
    assert_eq!(seen.last.as_ref().map(|(ts, round)| (*ts, round.took_ns)), Some((30, 7)));
    assert_eq!((seen.rounds, seen.longest), (3, 9));
}
