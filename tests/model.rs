//! The model against events: files of them with what must come out, and arbitrary ones.

use std::net::IpAddr;

use ovscope::{
    event::{Body, DpIfindex, Event, Loss, PacketId, PortNo, Query, Ufid, UpcallCmd, UpcallId},
    model::{Dimension, Fate, FlowKey, FlowSort, Limits, Metric, Model, Stage, State, TalkerKey, UpcallEnd, Window},
};

use proptest::prelude::*;

mod events;

fn file(text: &str) -> Vec<Event> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is an event")).collect()
}

fn model_of(events: &[Event]) -> Model {
    let mut model = Model::default();
    model.apply_all(events);
    model
}

/// Recorded from a real datapath: Linux 6.12, Open vSwitch without USDT probes. All flows are deleted, then two pings:
/// the first one's request and reply miss, the second's hit the two flows.
fn first_ping() -> Vec<Event> {
    file(include_str!("events/first-ping.jsonl"))
}

const REQUEST: PacketId = PacketId(1_099_511_627_777);
const SECOND_REQUEST: PacketId = PacketId(1_099_511_627_779);

fn request_flow() -> FlowKey {
    let ufid: Ufid = "ff7732c3-da7e-41ee-ae2b-32d742303f09".parse().expect("a UFID");
    FlowKey::Ufid(DpIfindex(2), ufid)
}

#[test]
fn the_first_ping_is_followed_all_the_way() {
    let model = model_of(&first_ping());
    let packet = model.packet(REQUEST).expect("it is in the file");
    let line = packet.summary.expect("its bytes are in the file").to_string();
    assert_eq!(line, "172.200.0.1 → 172.200.0.2 icmp echo request id 316 seq 1");
    let kinds: Vec<&str> = model.timeline(packet).map(Event::kind).collect();
    assert_eq!(
        kinds,
        [
            "net_dev_queue",
            "net_dev_start_xmit",
            "skb_scrub_packet",
            "netif_rx",
            "netif_receive_skb",
            "flow_lookup",
            "upcall",
            "upcall_enqueue",
            "upcall_return",
            "upcall_recv",
            "flow_put",
            "flow_exec",
            "action_execute",
            "net_dev_queue",
            "net_dev_start_xmit",
            "skb_scrub_packet",
            "netif_rx",
            "net_dev_xmit",
            "netif_receive_skb",
        ]
    );
    assert_eq!((packet.first, packet.last), (14_861_536_019, 14_872_534_117));
    assert_eq!(packet.total(), 10_998_098);
    assert_eq!((packet.dp, packet.in_port, packet.len), (Some(DpIfindex(2)), Some(PortNo(2)), Some(98)));
    assert_eq!(packet.outputs, [PortNo(3)]);
    assert_eq!(packet.first_dev.map(|d| d.to_string()), Some("p1_r".to_owned()));
    assert_eq!(packet.last_dev.map(|d| d.to_string()), Some("p2_r".to_owned()));
    assert_eq!((model.fate(packet), packet.missed), (Fate::Forwarded, true));
    assert_eq!(model.port_name(DpIfindex(2), PortNo(3)), Some("p2_l"));
}

#[test]
fn the_first_pings_upcall_has_all_its_stages() {
    let model = model_of(&first_ping());
    let packet = model.packet(REQUEST).expect("it is in the file");
    let upcall = model.upcall(packet.upcalls[0]).expect("it is in the file");
    assert_eq!(model.upcall_end(upcall), UpcallEnd::Forwarded);
    assert_eq!((upcall.cmd, upcall.messages, upcall.returned), (Some(UpcallCmd::Miss), 1, Some((14_865_702_178, 0))));
    let stages: Vec<_> = Stage::ALL.iter().filter_map(|&stage| model.stage(upcall, stage)).collect();
    assert_eq!(
        stages,
        [
            14_863_880_591 - 14_863_609_428,
            14_864_861_253 - 14_863_880_591,
            3_827_050,
            14_869_657_007 - 14_868_688_303,
            766_734,
            14_871_577_909 - 14_871_113_176,
            14_871_577_909 - 14_863_609_428,
        ]
    );
    for stage in Stage::ALL {
        let times = model.latency(stage, Window::Session).expect("two upcalls had it");
        assert_eq!(times.count, 2, "{stage:?}");
        assert!(times.max >= model.stage(upcall, stage).expect("it has it"), "{stage:?}");
    }
    assert_eq!(model.heat().iter().flat_map(|c| c.counts).sum::<u32>(), 2);
    assert_eq!(model.heat()[0].second, 14);
}

#[test]
fn the_second_ping_hits_the_flow_that_the_first_one_made() {
    let model = model_of(&first_ping());
    let packet = model.packet(SECOND_REQUEST).expect("it is in the file");
    assert_eq!((packet.upcalls.len(), model.fate(packet)), (0, Fate::Forwarded));
    let flow = model.flow(request_flow()).expect("it was put");
    assert_eq!((flow.hits(), flow.upcalls, flow.deleted), (1, 1, None));
    assert_eq!(flow.last_packet, Some(SECOND_REQUEST));
    assert_eq!(flow.last_put.map(|put| (put.ret, put.took_ns)), Some((0, 766_734)));
    assert_eq!(model.flow_count(), 2);
    let first_seen = |descending| model.flow_order(|_| true, FlowSort::FirstSeen, descending);
    assert_eq!(first_seen(false).keys(0, 1), [request_flow()]);
    assert_eq!(first_seen(true).keys(1, 10), [request_flow()]);
}

#[test]
fn the_counters_of_the_ping_are_exact() {
    let model = model_of(&first_ping());
    let totals = model.totals().expect("there are counters");
    assert_eq!((totals.lookups, totals.hits, totals.misses), (4, 2, 2));
    assert_eq!((totals.upcalls, totals.upcalls_lost, totals.puts, totals.execs, totals.received), (2, 0, 2, 2, 2));
    assert_eq!((totals.dels, totals.masks_tried, totals.cache_hits), (5, 3, 1));
    for (metric, total) in [(Metric::Lookups, 4), (Metric::Upcalls, 2), (Metric::Dels, 5), (Metric::MasksTried, 3)] {
        let running = model.running(metric).expect("there are counters");
        assert_eq!(model.series(metric).sum::<u64>() + running, total, "{metric:?}");
    }
    assert_eq!(model.series_end(), Some(16));
    assert_eq!(model.condition().state, State::Quiet);
    let rows = model.datapath_rows();
    assert_eq!((rows.len(), rows[0].hits, rows[0].misses), (1, 2, 2));
    assert_eq!(rows[0].kernel_delta.map(|d| (d.n_hit, d.n_missed, d.n_flows)), Some((2, 2, 2)));
    assert_eq!((model.evicted(), model.loss().any()), (ovscope::model::Evicted::default(), false));
}

#[test]
fn who_made_the_upcalls_is_known() {
    let model = model_of(&first_ping());
    let ports = model.talkers(Dimension::InPort, 10);
    assert!(ports.exact);
    assert_eq!(
        ports.top.iter().map(|t| (t.key, t.count)).collect::<Vec<_>>(),
        [(TalkerKey::Port(DpIfindex(2), PortNo(2)), 1), (TalkerKey::Port(DpIfindex(2), PortNo(3)), 1)]
    );
    let sources = model.talkers(Dimension::Source, 1);
    assert_eq!((sources.top.len(), sources.total, sources.unknown, sources.exact), (1, 2, 0, false));
    assert_eq!(sources.top[0].key, TalkerKey::Ip(IpAddr::from([172, 200, 0, 1]), 1));
    let handlers = model.talkers(Dimension::Handler, 10);
    let [one] = &handlers.top[..] else { panic!("{handlers:?}") };
    let TalkerKey::Handler { port: 2_434_576_541, task: Some((194, comm)) } = one.key else { panic!("{one:?}") };
    assert_eq!((comm.to_string(), one.count, one.share), ("handler2".to_owned(), 2, 1.0));
    let rows = model.handlers();
    assert_eq!((rows.len(), rows[0].received, rows[0].upcalls, rows[0].batches), (1, 2, 2, 1));
    let rows = model.ports();
    assert_eq!(rows.iter().map(|r| r.misses).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(rows[2].name.as_deref(), Some("p1_l"));
}

#[test]
fn any_order_within_a_reading_gives_the_same_upcall() {
    let events = first_ping();
    let begin = events.iter().position(|e| e.packet.is_some()).expect("there are packets");
    let end = begin + events[begin..].iter().position(|e| matches!(e.body, Body::Counters(_))).expect("and counters");
    let straight = model_of(&events);
    let packet = straight.packet(REQUEST).expect("it is in the file");
    for turn in 1..end - begin {
        let mut turned = events.clone();
        turned[begin..end].rotate_left(turn);
        let model = model_of(&turned);
        let same = model.packet(REQUEST).expect("it is in the file");
        assert!(model.timeline(same).eq(straight.timeline(packet)), "{turn}");
        let (a, b) = (model.upcall(UpcallId(REQUEST.0)), straight.upcall(UpcallId(REQUEST.0)));
        let (a, b) = (a.expect("it is in the file"), b.expect("it is in the file"));
        assert_eq!((a.enqueue, a.recv, a.put, a.exec), (b.enqueue, b.recv, b.put, b.exec), "{turn}");
        assert_eq!((a.ts, a.begun, a.first_action, a.last), (b.ts, b.begun, b.first_action, b.last), "{turn}");
    }
}

/// Written by hand: one upcall for each way that one can end, and how the model must name it.
#[test]
fn every_end_of_an_upcall_has_its_name() {
    let model = model_of(&file(include_str!("events/ends.jsonl")));
    let ends: Vec<(u64, UpcallEnd)> = model.upcalls().map(|u| (u.id.0, model.upcall_end(u))).collect();
    assert_eq!(
        ends,
        [
            (1, UpcallEnd::Forwarded),
            (2, UpcallEnd::FlowOnly),
            (3, UpcallEnd::ExecOnly),
            (4, UpcallEnd::PutFailed { ret: -28 }),
            (5, UpcallEnd::ExecFailed { ret: -22 }),
            (6, UpcallEnd::Refused { ret: -11 }),
            (7, UpcallEnd::NotHandledYet),
            (8, UpcallEnd::ReceivedNotAnswered),
            (9, UpcallEnd::ReceivedNotAnswered),
            (10, UpcallEnd::Forwarded),
            (11, UpcallEnd::Forwarded),
            (12, UpcallEnd::BeginNotSeen),
            (13, UpcallEnd::Unknown),
            (15, UpcallEnd::InProgress),
        ]
    );
    let fates: Vec<(u64, Fate)> = model.packets().map(|p| (p.id.0, model.fate(p))).collect();
    assert_eq!(
        fates,
        [
            (1, Fate::Forwarded),
            (2, Fate::NotGivenBack),
            (3, Fate::NoAction),
            (4, Fate::Forwarded),
            (5, Fate::ExecFailed { ret: -22 }),
            (6, Fate::Lost { ret: -11 }),
            (7, Fate::NotHandledYet),
            (8, Fate::NotAnsweredYet),
            (9, Fate::ToUserspace),
            (10, Fate::Forwarded),
            (11, Fate::Forwarded),
            (12, Fate::NotAnsweredYet),
            (13, Fate::InFlight),
            (14, Fate::Dropped { reason: 0 }),
            (15, Fate::InFlight),
        ]
    );
    let of = |id| *model.upcall(UpcallId(id)).expect("it is in the file");
    // Received before tracing began: what is not known is not made up.
    let unlinked = of(10);
    assert_eq!((unlinked.begun, unlinked.cmd, unlinked.dp), (false, None, None));
    assert_eq!((model.stage(&unlinked, Stage::Wait), model.stage(&unlinked, Stage::Whole)), (Some(900), None));
    // A large packet in three messages: the first one's way is the upcall's.
    let gso = of(11);
    assert_eq!((gso.messages, gso.messages_refused), (3, 0));
    assert_eq!((gso.enqueue.map(|e| e.queue_id), gso.recv.map(|r| r.batch_idx)), (Some(110), Some(0)));
    assert_eq!(model.latency(Stage::Wait, Window::Session).map(|p| p.count), Some(8));
    // Of two it is not known whether what was received is their first message, until nothing is to be waited for.
    let mut later = model.clone();
    later.apply(&Event::host(model.now() + model.limits().lateness + 1, Body::Loss(Loss::default())));
    assert_eq!(later.latency(Stage::Wait, Window::Session).map(|p| p.count), Some(10));
    // One that could not be queued was not queued in any time.
    assert_eq!(model.latency(Stage::Enqueue, Window::Session).map(|p| p.count), Some(9));
}

#[test]
fn a_session_on_another_host_begins_anew() {
    let mut events = first_ping();
    let Body::Session(session) = &events[0].body else { panic!("a session comes first") };
    let mut other = session.clone();
    other.host = "another".to_owned();
    let (ts, same) = (events.last().expect("there are events").ts, Event::host(1, events[0].body.clone()));
    let other = Event::host(5, Body::Session(other));
    // Said again, it changes nothing.
    let mut model = model_of(&events);
    let packets = model.packets().len();
    model.apply(&same);
    model.apply(&Event { ts, ..same });
    assert_eq!((model.packets().len(), model.totals().map(|t| t.lookups)), (packets, Some(4)));
    model.apply(&other);
    assert_eq!((model.packets().len(), model.totals(), model.now()), (0, None, 5));
    events.insert(0, other);
    assert_eq!(model_of(&events).totals().map(|t| t.lookups), Some(4));
}

#[test]
fn probes_attached_anew_give_no_negative_rates() {
    let events = first_ping();
    let mut model = model_of(&events);
    let Body::Session(session) = &events[0].body else { panic!("a session comes first") };
    let mut again = session.clone();
    again.clock.monotonic += 1;
    model.apply(&Event::host(model.now(), Body::Session(again)));
    assert_eq!((model.packets().len(), model.upcalls().len(), model.totals()), (0, 0, None));
    assert_eq!(model.evicted().packets, 4);
    let before: u64 = model.series(Metric::Lookups).sum::<u64>() + model.running(Metric::Lookups).unwrap_or(0);
    for event in &events {
        let mut later = event.clone();
        later.ts += 20_000_000_000;
        if !matches!(later.body, Body::Session(_)) {
            model.apply(&later);
        }
    }
    let after = model.series(Metric::Lookups).sum::<u64>() + model.running(Metric::Lookups).unwrap_or(0);
    assert_eq!((after - before, model.totals().map(|t| t.lookups)), (4, Some(4)));
}

#[test]
fn the_limits_hold_in_a_storm() {
    let limits = Limits { packets: 50, packet_events: 600, upcalls: 40, flows: 30, talkers: 16, ..Limits::default() };
    let mut model = Model::new(limits);
    for n in 0..5000 {
        for event in events::storm::upcalled_packet(n, 1_000_000_000 + n * 200_000) {
            model.apply(&event);
        }
        assert!(model.packets().len() <= 50 && model.upcalls().len() <= 40 && model.flow_count() <= 30);
        assert!(model.packets().map(|p| model.timeline(p).len()).sum::<usize>() <= 600);
    }
    let evicted = model.evicted();
    assert_eq!(evicted.packets, 5000 - model.packets().len() as u64);
    assert_eq!(evicted.upcalls, 5000 - 40);
    assert_eq!(evicted.flows, 5000 - 30);
    // All of them are in the percentiles, and the biggest talker is known.
    assert_eq!(model.latency(Stage::Whole, Window::Session).map(|p| p.count), Some(5000));
    let sources = model.talkers(Dimension::Source, 3);
    assert_eq!(sources.total, 5000);
    assert_eq!(model.upcalls().map(|u| model.upcall_end(u)).filter(|e| *e == UpcallEnd::Forwarded).count(), 40);
}

/// Reads all that can be read, and holds it against the limits.
fn read_everything(model: &Model) {
    let limits = model.limits();
    assert!(model.packets().len() <= limits.packets && model.upcalls().len() <= limits.upcalls);
    assert!(model.flow_count() <= limits.flows && model.handlers().len() <= limits.handlers);
    let mut events = 0;
    for packet in model.packets() {
        let times: Vec<u64> = model.timeline(packet).map(|e| e.ts).collect();
        assert!(times.is_sorted() && times.len() <= limits.events_per_packet);
        assert!(times.iter().all(|ts| (packet.first..=packet.last).contains(ts)));
        assert_eq!(model.packet(packet.id), Some(packet));
        events += times.len();
        let _ = (model.fate(packet), packet.total(), packet.summary.map(|s| s.to_string()));
    }
    assert!(events <= limits.packet_events);
    for upcall in model.upcalls() {
        assert_eq!(model.upcall(upcall.id), Some(upcall));
        let _ = (model.upcall_end(upcall), Stage::ALL.map(|stage| model.stage(upcall, stage)));
    }
    for flow in model.flows() {
        assert!(model.hit_rate(flow).is_finite());
        let _ = (model.flow(flow.key).expect("its key"), model.answer(flow, Query::Detrace));
    }
    for sort in SORTS {
        for descending in [false, true] {
            let mut order = model.flow_order(|_| true, sort, descending);
            let all = order.keys(0, usize::MAX);
            for (place, key) in all.iter().enumerate() {
                assert_eq!(order.place(*key), Some(place));
            }
            assert_eq!(all.len(), model.flow_count());
            let mut order = model.flow_order(|_| true, sort, descending);
            assert_eq!(order.keys(1, 2), all.iter().skip(1).take(2).copied().collect::<Vec<_>>());
        }
    }
    for dimension in DIMENSIONS {
        let talkers = model.talkers(dimension, 2);
        assert!(talkers.top.len() <= 2 && talkers.top.iter().all(|t| t.share > 0.0 && t.share <= 1.0));
        assert!(talkers.top.iter().all(|t| t.per_second.is_finite() && t.count <= talkers.total));
    }
    for stage in Stage::ALL {
        for window in [Window::Last10, Window::Session] {
            if let Some(p) = model.latency(stage, window) {
                assert!(p.p50 <= p.p90 && p.p90 <= p.p99 && p.p99 <= p.max && p.count > 0);
            }
        }
    }
    let _ =
        (model.totals(), model.rates(), model.datapath_rows(), model.ports(), model.heat(), model.wall(model.now()));
    let _ = (model.condition(), model.series(Metric::Flows).len(), model.running(Metric::Flows), model.series_end());
}

const SORTS: [FlowSort; 13] = [
    FlowSort::Hits,
    FlowSort::HitRate,
    FlowSort::Upcalls,
    FlowSort::LastHit,
    FlowSort::FirstSeen,
    FlowSort::LastPut,
    FlowSort::MasksTried,
    FlowSort::Deleted,
    FlowSort::Bytes,
    FlowSort::Generations,
    FlowSort::InPort,
    FlowSort::LastPacket,
    FlowSort::Ufid,
];

const DIMENSIONS: [Dimension; 6] = [
    Dimension::InPort,
    Dimension::Cmd,
    Dimension::Errno,
    Dimension::Handler,
    Dimension::Source,
    Dimension::Destination,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_events_make_it_panic_or_grow(events in prop::collection::vec(events::arbitrary::event(), 0..80), small: bool) {
        let tight = Limits {
            packets: 3,
            packet_events: 9,
            events_per_packet: 4,
            packet_bytes: 150,
            upcalls: 3,
            flows: 3,
            talkers: 2,
            upcall_kinds: 2,
            handlers: 2,
            answers: 2,
            answer_bytes: 100,
            drop_reasons: 2,
            datapaths: 2,
            anomalies: 2,
            verdicts: 2,
            shapes: 2,
            lateness: 1,
        };
        let mut model = Model::new(if small { tight } else { Limits::default() });
        for event in &events {
            model.apply(event);
            if small {
                read_everything(&model);
            }
        }
        read_everything(&model);
        read_everything(&model.clone());
    }
}
