//! Events of several CPUs come in any order within a bounded time: what the model then has is the same. What comes later
//! than that is counted and in no wrong place.

use std::collections::{BTreeMap, VecDeque};

use ovscope::{
    event::{Body, DpIfindex, Event, FlowLookup, FlowOp, FlowPtr, FlowPut, Loss, PortNo, PutKind, Ufid, UpcallId},
    model::{Dimension, FlowKey, HandlerRow, Limits, Model, SECOND, Stage, TalkerKey, Window},
    record::Reader,
};
use proptest::prelude::*;

#[allow(dead_code, reason = "shared with the tests of the screen")]
mod made_up;
#[path = "events/storm.rs"]
mod storm;

/// Puts the handlers' steps and what follows them on CPUs of their own, as they are where handlers run beside softirqs.
fn spread(events: &mut [Event]) {
    for event in events {
        event.cpu = match &event.body {
            Body::UpcallRecv(_) | Body::FlowPut(_) | Body::FlowExec(_) | Body::ActionExecute(_) => 4 + event.tid % 4,
            // What a packet meets before the datapath may have been on another CPU.
            Body::Dev(_) => 2 + event.packet.map_or(0, |id| id.0 as u32 % 2),
            _ if event.packet.is_some() => 1,
            _ => 0,
        };
    }
}

/// The events in another order: each CPU's in its own, and none before one that is `window` older by its time.
fn shuffled(events: &[Event], window: u64, mut random: u64) -> Vec<Event> {
    let mut by_cpu: BTreeMap<u32, VecDeque<&Event>> = BTreeMap::new();
    for event in events {
        by_cpu.entry(event.cpu).or_default().push_back(event);
    }
    // The earliest time that is left in each CPU's events, from each of them on.
    let left: BTreeMap<u32, Vec<u64>> = by_cpu
        .iter()
        .map(|(cpu, events)| {
            let mut least: Vec<u64> = events.iter().map(|event| event.ts).collect();
            for at in (1..least.len()).rev() {
                least[at - 1] = least[at - 1].min(least[at]);
            }
            (*cpu, least)
        })
        .collect();
    let mut shuffled = Vec::with_capacity(events.len());
    while !by_cpu.is_empty() {
        let earliest = by_cpu.iter().map(|(cpu, rest)| left[cpu][left[cpu].len() - rest.len()]).min().unwrap_or(0);
        let may: Vec<u32> =
            by_cpu.iter().filter(|(_, rest)| rest[0].ts <= earliest + window).map(|(cpu, _)| *cpu).collect();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // One whose events are not in the order of their times may have to wait for itself.
        let cpu = match may.len() {
            0 => *by_cpu.iter().min_by_key(|(_, rest)| rest[0].ts).expect("there are some").0,
            n => may[(random >> 33) as usize % n],
        };
        let rest = by_cpu.get_mut(&cpu).expect("it has some");
        shuffled.extend(rest.pop_front().cloned());
        if rest.is_empty() {
            by_cpu.remove(&cpu);
        }
    }
    shuffled
}

fn model_of(events: &[Event]) -> Model {
    let mut model = Model::default();
    model.apply_all(events);
    // So that nothing is waited for any more.
    let end = model.now() + model.limits().lateness + 1;
    model.apply(&Event::host(end, Body::Loss(Loss::default())));
    model
}

/// All that must not depend on the order: sorted by identity, as lists are in the order of coming.
fn assert_same(one: &Model, other: &Model) {
    let packets = |model: &Model| {
        let mut packets: Vec<_> = model.packets().map(|packet| (packet.clone(), model.fate(packet))).collect();
        packets.sort_by_key(|(packet, _)| packet.id);
        packets
    };
    let (a, b) = (packets(one), packets(other));
    assert_eq!(a.len(), b.len());
    for ((a, of_a), (b, of_b)) in a.iter().zip(&b) {
        assert_eq!((a, of_a), (b, of_b));
        assert!(one.timeline(a).eq(other.timeline(b)), "{a:?}");
    }
    let upcalls = |model: &Model| {
        let mut upcalls: Vec<_> = model
            .upcalls()
            .map(|u| {
                (u.id, u.packet, u.ts, u.begun, u.lookup, u.enqueue, u.messages, u.returned, u.recv, u.put, u.exec)
            })
            .zip(model.upcalls().map(|u| (u.first_action, u.last, model.upcall_end(u), Stage::ALL.map(|s| u.stage(s)))))
            .collect();
        upcalls.sort_by_key(|(upcall, _)| upcall.0);
        upcalls
    };
    for (a, b) in upcalls(one).iter().zip(&upcalls(other)) {
        assert_eq!(a, b);
    }
    assert_eq!(one.upcalls().len(), other.upcalls().len());
    let flows = |model: &Model| {
        let mut flows: Vec<_> = model
            .flows()
            .map(|f| {
                (f.key, f.flow, f.sf_acts, f.generations, f.since, f.previous(), f.first_seen, f.last_hit, f.hits())
            })
            .zip(model.flows().map(|f| (f.upcalls, f.last_put, f.puts_failed, f.deleted, f.deleted_because)))
            .zip(model.flows().map(|f| (f.masks_tried, f.last_packet, f.in_port, f.summary)))
            .collect();
        flows.sort_by_key(|((flow, _), _)| flow.0);
        flows
    };
    let (a, b) = (flows(one), flows(other));
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a, b);
    }
    for stage in Stage::ALL {
        for window in [Window::Last10, Window::Session] {
            assert_eq!(one.latency(stage, window), other.latency(stage, window), "{stage:?} {window:?}");
        }
    }
    assert_eq!(one.heat(), other.heat());
    for dimension in [Dimension::Source, Dimension::DestinationMac, Dimension::FiveTuple, Dimension::InPort] {
        assert_eq!(one.talkers(dimension, 100), other.talkers(dimension, 100), "{dimension:?}");
    }
    // Batches are parted as far as four of a thread overlap, which they do here by far more.
    let handlers = |model: &Model| {
        let without = |row: HandlerRow| HandlerRow { batches: 0, batch_mean: 0.0, batch_max: 0, ..row };
        model.handlers().into_iter().map(without).collect::<Vec<_>>()
    };
    assert_eq!(handlers(one), handlers(other));
    assert_eq!((one.totals(), one.rates(), one.ports()), (other.totals(), other.rates(), other.ports()));
    assert_eq!((one.now(), one.started(), one.late()), (other.now(), other.started(), other.late()));
}

fn weather() -> Vec<Event> {
    let mut host = made_up::Host::default();
    let mut events = host.begin();
    for weather in [made_up::STORM, made_up::LOSING, made_up::BUSY] {
        events.extend(host.seconds(2, weather));
    }
    spread(&mut events);
    events
}

fn flood() -> Vec<Event> {
    let mut events: Vec<Event> =
        (0..200).flat_map(|n| storm::upcalled_packet(n, 1_000_000_000 + n * 9_000_000)).collect();
    spread(&mut events);
    events
}

/// A real storm's events about packets, as they came from several CPUs.
fn demo() -> Vec<Event> {
    let reader = Reader::open("src/app/demo.mcap".as_ref()).expect("the bundled recording");
    let events = reader.flat_map(|batch| batch.expect("it is whole"));
    events.filter(|event| event.packet.is_some()).skip(30_000).take(12_000).collect()
}

/// Flows that are put, hit with other actions, deleted and put again by several CPUs.
fn churn() -> Vec<Event> {
    const DP: DpIfindex = DpIfindex(2);
    let at = |ms: u64, cpu, body| Event { cpu, ..Event::host(SECOND + ms * 1_000_000, body) };
    let ufid = |n: u32| Some(Ufid([n, 1, 2, 3]));
    let op = |n| FlowOp { dp: DP, ret: 0, ufid: ufid(n), took_ns: 5, batch_ts: 0, batch_idx: 0, queue_id: 0 };
    let put = |ms, n, kind| at(ms, 4, Body::FlowPut(FlowPut { kind, op: op(n) }));
    let hit = |ms, cpu, n: u32, sf_acts| {
        let (flow, sf_acts) = (Some(FlowPtr(u64::from(n) << 8)), Some(FlowPtr(sf_acts)));
        let (in_port, ufid) = (Some(PortNo(1)), ufid(n));
        at(
            ms,
            cpu,
            Body::FlowLookup(FlowLookup {
                dp: DP,
                in_port,
                recirc_id: 0,
                flow,
                sf_acts,
                ufid,
                n_mask_hit: cpu,
                n_cache_hit: 0,
            }),
        )
    };
    let mut events = Vec::new();
    for n in 0..20 {
        let begin = u64::from(n) * 40;
        events.extend([
            put(begin, n, PutKind::New),
            hit(begin + 10, n % 3, n, 100),
            hit(begin + 400, 1, n, 100),
            put(begin + 900, n, PutKind::Set),
            hit(begin + 901, n % 3, n, 200),
            hit(begin + 1500, 2, n, 200),
        ]);
        if n % 2 == 0 {
            events.push(at(begin + 1600, 5, Body::FlowDel(op(n))));
        }
    }
    events.sort_by_key(|event| event.ts);
    events
}

/// Within what the model allows for, less what the events of one CPU are themselves out of order by.
const WINDOW: u64 = 5 * SECOND / 2;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_order_of_several_cpus_events_gives_the_same(random: u64, window in prop_oneof![Just(WINDOW), 1_000u64..WINDOW]) {
        for events in [flood(), weather(), demo(), churn()] {
            let straight = model_of(&events);
            let other = shuffled(&events, window, random);
            prop_assert_eq!(other.len(), events.len());
            assert_same(&straight, &model_of(&other));
        }
    }
}

/// Generations are told by puts and by hits, in many more orders than the test above has time for.
#[test]
fn a_flows_generations_are_the_same_in_any_order() {
    let events = churn();
    let straight = model_of(&events);
    for n in 0..2000_u64 {
        let window = if n % 2 == 0 { WINDOW } else { WINDOW * n / 2000 };
        assert_same(&straight, &model_of(&shuffled(&events, window, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
    }
}

#[test]
fn a_model_that_went_by_the_order_of_coming_would_fail_the_test_above() {
    let events = flood();
    let came = |events: &[Event]| -> Vec<u64> {
        let model = model_of(events);
        model.packets().map(|packet| packet.id.0).collect()
    };
    assert_ne!(came(&events), came(&shuffled(&events, WINDOW, 7)), "the list is in that order, and shows it");
}

#[test]
fn what_comes_later_than_the_window_is_counted_and_makes_nothing_new() {
    let mut model = Model::new(Limits { packets: 3, upcalls: 3, ..Limits::default() });
    let first = storm::upcalled_packet(1, SECOND);
    for n in 1..=5 {
        model.apply_all(&storm::upcalled_packet(n, SECOND * n));
    }
    let before: Vec<UpcallId> = model.upcalls().map(|upcall| upcall.id).collect();
    assert_eq!((before.len(), model.late().events), (3, 0));
    // The first packet has been let go of: what comes of it now is not the begin of a new one.
    model.apply_all(&first);
    let late = model.late();
    assert_eq!((late.events, late.left_out), (first.len() as u64, first.len() as u64));
    assert_eq!(model.upcalls().map(|upcall| upcall.id).collect::<Vec<_>>(), before);
    assert!(model.packet(first[0].packet.expect("it is of a packet")).is_none());
    // One of a packet that is kept is in its place there.
    let mut step = storm::upcalled_packet(4, SECOND * 4).remove(0);
    step.ts += 1;
    model.apply(&Event::host(60 * SECOND, Body::Loss(Loss::default())));
    model.apply(&step);
    let packet = model.packet(step.packet.expect("it is of a packet")).expect("it is kept");
    assert_eq!(model.timeline(packet).nth(1), Some(&step));
    assert_eq!((model.late().events, model.late().left_out), (late.events + 1, late.left_out));
}

#[test]
fn a_packets_bytes_may_come_after_its_upcall() {
    let mut events = storm::upcalled_packet(1, SECOND);
    let bytes = events.iter().position(|e| matches!(e.body, Body::PacketBytes(_))).expect("it has bytes");
    let bytes = events.remove(bytes);
    let mut model = model_of(&events);
    assert_eq!(model.talkers(Dimension::FiveTuple, 1).unknown, 1);
    model.apply(&bytes);
    let talkers = model.talkers(Dimension::FiveTuple, 1);
    assert_eq!((talkers.unknown, talkers.total), (0, 1));
    assert!(matches!(talkers.top[0].key, TalkerKey::Tuple { ports: Some((1000, 9)), .. }), "{talkers:?}");
    let flow = model.flow(FlowKey::Ufid(DpIfindex(2), Ufid([1, 7, 7, 7]))).expect("it was put");
    assert!(flow.summary.is_some(), "its flow is told too");
}
