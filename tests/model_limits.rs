//! Every bound holds, is as small as it is set, and what goes is counted; a bound of 0 is one of 1.

use ovscope::{
    event::{
        Body, Cookie, Counters, DaemonAnswer, DaemonState, DpIfindex, DropCounter, Event, Nanos, PortNo, Query, Ufid,
        UpcallCmd, UpcallCounter, Why,
    },
    model::{Dimension, Evicted, Limits, Model, SECOND, TalkerKey},
};

#[path = "events/storm.rs"]
mod storm;

const PACKETS: u64 = 40;

/// A storm of packets from as many sources, with counters, the daemon's answers and its comings and goings.
fn everything(limits: Limits) -> Model {
    let mut model = Model::new(limits);
    for n in 0..PACKETS {
        let ts = SECOND + n * SECOND / 10;
        for mut event in storm::upcalled_packet(n, ts) {
            event.tid = 100 + n as u32;
            if let Body::Upcall(upcall) = &mut event.body {
                upcall.cmd = UpcallCmd::Action;
                upcall.cookie = Some(Box::new(punt(n)));
            }
            model.apply(&event);
        }
        let answer = DaemonAnswer {
            dp: Some(DpIfindex(2)),
            ufid: Ufid([n as u32, 7, 7, 7]),
            sf_acts: None,
            query: Query::Detrace,
            answer: Ok("x".repeat(100)),
            took_ns: 1,
        };
        model.apply(&Event::host(ts + SECOND / 20, Body::DaemonAnswer(Box::new(answer))));
        model.apply(&Event::host(ts, Body::Daemon(DaemonState::Down { why: String::new() })));
        let up = DaemonState::Up { pid: 1, version: String::new(), round_trip_ns: 1, missing: vec![] };
        model.apply(&Event::host(ts, Body::Daemon(up)));
        model.apply(&counters(ts));
    }
    model
}

/// What a controller's rule with this cookie writes.
fn punt(rule_cookie: u64) -> Cookie {
    let why = Why::Controller {
        reason: 1,
        dont_send: false,
        continuation: false,
        recirc_id: 0,
        rule_cookie,
        controller_id: 0,
        max_len: 0xffff,
    };
    Cookie { ofp_in_port: 1, ofproto: String::new(), why }
}

fn counters(ts: Nanos) -> Event {
    let kind = |n: u32| UpcallCounter {
        dp: DpIfindex(2),
        in_port: PortNo(n),
        cmd: UpcallCmd::Miss,
        port: n,
        cpu: Some(n),
        ret: 0,
        count: ts,
    };
    let drops = (0..100).map(|reason| DropCounter { reason, name: String::new(), count: ts }).collect();
    let upcalls = (0..PACKETS as u32).map(kind).collect();
    Event::host(ts, Body::Counters(Box::new(Counters { upcalls, drops, ..Counters::default() })))
}

#[test]
fn the_defaults_hold_all_of_this() {
    let model = everything(Limits::default());
    assert_eq!(model.evicted(), Evicted { drop_reasons: 36, ..Evicted::default() });
    assert_eq!((model.packets().len() as u64, model.flow_count() as u64), (PACKETS, PACKETS));
    assert_eq!(model.talkers(Dimension::Cookie, 100).total, PACKETS);
}

type Bound = (&'static str, fn(&mut Limits, usize), fn(&Model) -> usize, fn(&Evicted) -> u64);

/// Each bound by itself: how it is set, how much there is of what it bounds, and how much of it went.
const BOUNDS: [Bound; 13] = [
    ("packets", |l, n| l.packets = n, |m| m.packets().len(), |e| e.packets),
    ("packet_events", |l, n| l.packet_events = n, |m| m.packets().map(|p| m.timeline(p).len()).sum(), |e| e.packets),
    ("packet_bytes", |l, n| l.packet_bytes = n, |m| m.packets().len(), |e| e.packets),
    ("upcalls", |l, n| l.upcalls = n, |m| m.upcalls().len(), |e| e.upcalls),
    ("flows", |l, n| l.flows = n, Model::flow_count, |e| e.flows),
    ("talkers", |l, n| l.talkers = n, |m| m.talkers(Dimension::FiveTuple, 100).top.len(), |e| e.talkers),
    ("talkers", |l, n| l.talkers = n, |m| m.talkers(Dimension::Cookie, 100).top.len(), |e| e.talkers),
    ("upcall_kinds", |l, n| l.upcall_kinds = n, |m| m.talkers(Dimension::InPort, 100).top.len(), |e| e.upcall_kinds),
    ("handlers", |l, n| l.handlers = n, |m| m.handlers().len(), |e| e.handlers),
    ("answers", |l, n| l.answers = n, answers, |e| e.answers),
    ("answer_bytes", |l, n| l.answer_bytes = n * 100, answers, |e| e.answers),
    ("anomalies", |l, n| l.anomalies = n, |m| m.anomalies().len(), |e| e.anomalies),
    ("drop_reasons", |l, n| l.drop_reasons = n, |m| m.drops().len(), |e| e.drop_reasons),
];

fn answers(model: &Model) -> usize {
    model.flows().filter(|flow| model.answer(flow, Query::Detrace).is_some()).count()
}

#[test]
fn every_bound_holds_and_what_goes_is_counted() {
    for (name, set, count, gone) in BOUNDS {
        for bound in [0, 1, 3] {
            let mut limits = Limits::default();
            set(&mut limits, bound);
            let model = everything(limits);
            // So few bytes hold no packet's: the last one's are kept without the rest.
            let most = if name == "packet_bytes" { 1 } else { bound.max(1) };
            assert!(count(&model) <= most, "{name} {bound}: {}", count(&model));
            assert!(gone(&model.evicted()) > 0, "{name} {bound}: {:?}", model.evicted());
            if name != "packet_events" {
                assert!(count(&model) > 0, "{name} {bound}: nothing is left");
            }
        }
    }
}

#[test]
fn what_a_packet_has_too_many_of_is_counted_with_it() {
    for bound in [0, 1, 5] {
        let model = everything(Limits { events_per_packet: bound, ..Limits::default() });
        let packet = model.packets().next().expect("there are packets");
        assert_eq!(model.timeline(packet).len(), bound.max(1));
        // 17 events besides its bytes.
        assert_eq!(packet.events_cut as usize, 17 - bound.max(1));
    }
}

#[test]
fn kinds_that_have_no_room_are_counted_once_however_often_they_are_read() {
    let model = everything(Limits { upcall_kinds: 3, drop_reasons: 2, ..Limits::default() });
    let evicted = model.evicted();
    assert_eq!((evicted.upcall_kinds, evicted.drop_reasons), (PACKETS - 3, 98));
}

#[test]
fn a_punt_is_counted_by_the_rule_that_makes_it_and_other_upcalls_are_not() {
    let mut model = Model::default();
    for n in 0..10 {
        for mut event in storm::upcalled_packet(n, SECOND + n) {
            if let Body::Upcall(upcall) = &mut event.body {
                upcall.cmd = if n < 8 { UpcallCmd::Action } else { UpcallCmd::Miss };
                let sampled = Cookie { why: Why::Ipfix { output_port: 1 }, ..punt(0) };
                upcall.cookie = match n {
                    0..=4 => Some(Box::new(punt(0xabc))),
                    5 => Some(Box::new(punt(0xdef))),
                    6 => Some(Box::new(sampled)),
                    _ => None,
                };
            }
            model.apply(&event);
        }
    }
    let talkers = model.talkers(Dimension::Cookie, 5);
    let counts: Vec<(TalkerKey, u64)> = talkers.top.iter().map(|talker| (talker.key, talker.count)).collect();
    assert_eq!(counts, [(TalkerKey::Cookie(0xabc), 5), (TalkerKey::Cookie(0xdef), 1)]);
    assert_eq!((talkers.unknown, talkers.short, talkers.exact), (1, 0, false));
}

#[test]
fn a_snapshot_of_a_packet_outlives_it() {
    let mut model = Model::new(Limits { packets: 2, ..Limits::default() });
    let events = storm::upcalled_packet(1, SECOND);
    model.apply_all(&events);
    let id = events[0].packet.expect("it is of a packet");
    let snapshot = model.packet_snapshot(id).expect("it is kept");
    assert_eq!(snapshot.events, model.timeline(&snapshot.packet).cloned().collect::<Vec<_>>());
    assert_eq!((snapshot.events.len(), snapshot.upcalls.len()), (17, 1));
    for n in 2..5 {
        model.apply_all(&storm::upcalled_packet(n, SECOND + n));
    }
    assert_eq!(model.packet_snapshot(id), None);
    assert_eq!(snapshot.packet.id, id);
}
