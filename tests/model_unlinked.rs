//! What is missing of an upcall has its reason, and none that is not known.

use ovscope::{
    event::{
        Body, Capability, CapabilityState, Counters, DaemonState, Datapath, DpIfindex, ErrnoCounter, Event, Loss,
        Nanos, UpcallId,
    },
    model::{
        AnomalyKind::{
            self, DaemonDown, DaemonUp, DatapathGone, DatapathMade, EventsLost, ExecFailed, PutFailed, UpcallFailed,
        },
        Limits, Missing, Model, SECOND, State, Strays, Unlinked,
    },
};

#[path = "events/storm.rs"]
mod storm;

const BEGIN: Nanos = 10 * SECOND;
const ID: UpcallId = UpcallId(8);

/// One upcall, without the steps that `without` names.
fn steps(without: &[&str]) -> Vec<Event> {
    let all = storm::upcalled_packet(ID.0 - 1, BEGIN + SECOND);
    all.into_iter().filter(|event| !without.contains(&event.kind())).collect()
}

fn reading(ts: Nanos) -> Event {
    Event::host(ts, Body::Counters(Box::default()))
}

fn lost(ts: Nanos, ring_full: u64) -> Event {
    Event::host(ts, Body::Loss(Loss { ring_full, ..Loss::default() }))
}

/// What is missing in these, with readings of the counters around them, and `rest` behind them.
fn missing(events: &[Event], rest: &[Event]) -> Unlinked {
    let mut model = Model::default();
    model.apply_all(&[reading(BEGIN), reading(BEGIN + SECOND / 2)]);
    model.apply_all(events);
    model.apply_all(rest);
    model.unlinked(model.upcall(ID).expect("it was seen"))
}

const LATER: Nanos = BEGIN + 8 * SECOND;

#[test]
fn nothing_is_missing_of_an_upcall_that_was_seen_all_the_way() {
    assert_eq!(missing(&steps(&[]), &[reading(LATER)]), Unlinked::default());
    // A flow that drops: nothing says that the packet should have come back.
    assert_eq!(missing(&steps(&["flow_exec", "action_execute"]), &[reading(LATER)]), Unlinked::default());
}

#[test]
fn what_may_still_come_is_waited_for() {
    let steps = steps(&["upcall_recv", "flow_put", "flow_exec", "action_execute"]);
    let recv = Some(Missing::StillWaiting);
    assert_eq!(missing(&steps, &[reading(LATER)]), Unlinked { recv, ..Unlinked::default() });
    let received = self::steps(&["flow_put", "flow_exec", "action_execute"]);
    assert_eq!(missing(&received, &[reading(LATER)]), Unlinked { answer: recv, ..Unlinked::default() });
    let put = self::steps(&["flow_exec", "action_execute"]);
    assert_eq!(missing(&put, &[]), Unlinked { exec: recv, ..Unlinked::default() });
}

#[test]
fn lost_is_only_what_a_loss_of_its_time_is_counted_of() {
    let steps = steps(&["upcall_recv"]);
    let of = |rest: &[Event]| missing(&steps, rest).recv;
    assert_eq!(of(&[reading(LATER)]), Some(Missing::Unknown), "nothing was lost");
    assert_eq!(of(&[lost(BEGIN + 2 * SECOND, 5), reading(LATER)]), Some(Missing::Lost));
    // A loss between later readings was of another time.
    assert_eq!(of(&[reading(LATER), lost(LATER + SECOND, 5)]), Some(Missing::Unknown));
    // What the event budget left out, it left out as a whole.
    let over = Event::host(BEGIN + 2 * SECOND, Body::Loss(Loss { upcalls_over_budget: 5, ..Loss::default() }));
    assert_eq!(of(&[over, reading(LATER)]), Some(Missing::Unknown));
    let waiting = self::steps(&["upcall_recv", "flow_put", "flow_exec", "action_execute"]);
    assert_eq!(missing(&waiting, &[lost(BEGIN + 2 * SECOND, 5)]).recv, Some(Missing::Lost));
    let enqueue = self::steps(&["upcall_enqueue"]);
    assert_eq!(missing(&enqueue, &[lost(BEGIN + 2 * SECOND, 5)]).enqueue, Some(Missing::Lost));
    let exec = self::steps(&["flow_exec", "action_execute"]);
    assert_eq!(missing(&exec, &[lost(BEGIN + 2 * SECOND, 5)]).exec, Some(Missing::Lost));
}

#[test]
fn the_begin_that_was_not_seen_was_before_tracing_began_or_lost_or_let_go_of() {
    let headless = steps(&["upcall", "upcall_enqueue", "upcall_return", "flow_lookup"]);
    let of = |rest: &[Event]| missing(&headless, rest).begin;
    assert_eq!(of(&[reading(LATER)]), Some(Missing::Unknown), "it was queued while everything was seen");
    assert_eq!(of(&[lost(BEGIN + 2 * SECOND, 5)]), Some(Missing::Lost));
    // Queued before the first event that the model was given.
    let mut early = headless.clone();
    for event in &mut early {
        if let Body::UpcallRecv(recv) = &mut event.body {
            recv.wait_ns = 5 * SECOND;
        }
    }
    assert_eq!(missing(&early, &[lost(BEGIN + 2 * SECOND, 5)]).begin, Some(Missing::BeforeTracing));

    let mut model = Model::new(Limits { upcalls: 2, ..Limits::default() });
    model.apply_all(&[reading(BEGIN)]);
    let (head, tail): (Vec<Event>, Vec<Event>) =
        steps(&[]).into_iter().partition(|e| ["upcall", "upcall_enqueue", "upcall_return"].contains(&e.kind()));
    model.apply_all(&head);
    for n in 20..23 {
        model.apply_all(&storm::upcalled_packet(n, BEGIN + 2 * SECOND));
    }
    assert!(model.upcall(ID).is_none());
    model.apply_all(&tail);
    model.apply(&reading(LATER));
    let begin = model.unlinked(model.upcall(ID).expect("its end was seen")).begin;
    assert_eq!(begin, Some(Missing::Evicted));
}

#[test]
fn what_no_probe_sees_is_not_waited_for() {
    let off = |name: &str| Capability {
        name: name.to_owned(),
        state: CapabilityState::Missing,
        probe: String::new(),
        why: String::new(),
        cost: None,
    };
    let probes = |name| Event::host(LATER, Body::Probes { capabilities: vec![off(name)] });
    let untraced = Some(Missing::NotTraced);
    let steps = steps(&["upcall_recv"]);
    assert_eq!(missing(&steps, &[probes("upcall_recv")]).recv, untraced);
    assert_eq!(missing(&steps, &[probes("flow_put")]).recv, Some(Missing::Unknown));
    assert_eq!(missing(&self::steps(&["upcall"]), &[probes("upcall")]).begin, untraced);
    assert_eq!(Missing::NotTraced.name(), "not traced");
}

#[test]
fn what_belongs_to_no_upcall_is_counted() {
    let mut model = Model::default();
    let free = steps(&[]).into_iter().map(|event| Event { upcall: None, packet: None, ..event });
    model.apply_all(&free.collect::<Vec<_>>());
    assert_eq!(model.strays(), Strays { receives: 1, puts: 1, execs: 1 });
    assert_eq!(model.upcalls().len(), 0);
}

fn kinds(model: &Model) -> Vec<AnomalyKind> {
    model.anomalies().map(|anomaly| anomaly.kind).collect()
}

#[test]
fn what_went_wrong_is_found_with_its_time() {
    let mut model = Model::default();
    let mut failed = steps(&[]);
    for event in &mut failed {
        match &mut event.body {
            Body::UpcallReturn(e) => e.ret = -11,
            Body::FlowPut(e) => e.op.ret = -28,
            Body::FlowExec(e) => e.ret = -22,
            _ => {}
        }
    }
    let counted = |ts, n| {
        let puts = vec![ErrnoCounter { ret: -28, count: n }, ErrnoCounter { ret: -17, count: n }];
        Event::host(ts, Body::Counters(Box::new(Counters { puts, ..Counters::default() })))
    };
    model.apply(&counted(BEGIN, 4));
    model.apply_all(&failed);
    model.apply(&counted(BEGIN + SECOND + SECOND / 4, 6));
    // Those of errno 28 were seen in detail, those of errno 17 only counted.
    assert_eq!(kinds(&model), [UpcallFailed(-11), PutFailed(-28), ExecFailed(-22), PutFailed(-17)]);
    assert_eq!(model.anomalies().map(|a| a.count).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert_eq!(
        model.anomalies().next().map(|a| a.ts),
        Some(failed.iter().find(|e| e.kind() == "upcall_return").expect("it has one").ts)
    );

    let mut model = Model::default();
    let datapath = |dp| Datapath { dp: DpIfindex(dp), ..Datapath::default() };
    let up = DaemonState::Up { pid: 9, version: String::new(), round_trip_ns: 1, missing: vec![] };
    let down = DaemonState::Down { why: "no socket".to_owned() };
    for (n, body) in (1..).zip([
        Body::Datapaths { datapaths: vec![datapath(2)] },
        Body::Daemon(up.clone()),
        Body::Loss(Loss { not_sampled: 9, ..Loss::default() }),
        Body::Daemon(down.clone()),
        Body::Daemon(down),
        Body::Daemon(up),
        Body::Datapaths { datapaths: vec![datapath(5)] },
        Body::Loss(Loss { ring_full: 7, ..Loss::default() }),
    ]) {
        model.apply(&Event::host(n * SECOND, body));
    }
    let [gone, made] = [DatapathGone(DpIfindex(2)), DatapathMade(DpIfindex(5))];
    assert_eq!(kinds(&model), [DaemonDown, DaemonUp, gone, made, EventsLost]);
    let words: Vec<String> = model.anomalies().map(ToString::to_string).collect();
    assert_eq!(words[0], "the daemon does not answer");
    assert_eq!(words[4], "7 events lost");
}

#[test]
fn a_wait_is_long_beside_those_of_the_last_seconds() {
    let mut model = Model::default();
    for n in 0..200 {
        model.apply_all(&storm::upcalled_packet(n, SECOND + n * 1_000_000));
    }
    let waits = |model: &mut Model, n: u64, ts: Nanos, wait: Nanos| {
        for mut event in storm::upcalled_packet(n, ts) {
            if let Body::UpcallRecv(recv) = &mut event.body {
                recv.wait_ns = wait;
            }
            model.apply(&event);
        }
    };
    waits(&mut model, 300, SECOND + 900_000_000, 80_000_000);
    assert_eq!(kinds(&model), [], "nothing is usual in the first second");
    waits(&mut model, 301, 2 * SECOND, 300_000);
    waits(&mut model, 302, 2 * SECOND + 5, 80_000_000);
    let long: Vec<String> = model.anomalies().map(ToString::to_string).collect();
    assert_eq!(long, ["1 message waited long, up to 80.0 ms"]);
}

#[test]
fn a_storm_begins_and_ends_once() {
    let mut model = Model::default();
    let mut misses = 0;
    let datapath = |lookups, misses| ovscope::event::DpCounters {
        dp: DpIfindex(2),
        table: 1,
        hits: lookups - misses,
        misses,
        ..ovscope::event::DpCounters::default()
    };
    for quarter in 0..80u64 {
        // Quiet, then at exactly half of the lookups, a little more or less, then quiet again.
        misses += if (16..60).contains(&quarter) { 150 + quarter % 2 * 2 } else { 0 };
        let datapaths = vec![datapath(quarter * 300 + misses % 2, misses)];
        let counters = Counters { datapaths, ..Counters::default() };
        model.apply(&Event::host(SECOND + quarter * SECOND / 4, Body::Counters(Box::new(counters))));
    }
    let storms = kinds(&model);
    let changes = |to: fn(State) -> bool| {
        let changed = |kind: &&AnomalyKind| matches!(kind, AnomalyKind::Condition(_, after) if to(*after));
        storms.iter().filter(changed).count()
    };
    assert_eq!((changes(|to| to == State::Storm), changes(|to| to != State::Storm)), (1, 1), "{storms:?}");
}
