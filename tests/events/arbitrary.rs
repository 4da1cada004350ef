//! Arbitrary events: every kind, with few identities so that they meet, and numbers of every size.

use ovscope::event::{
    Action, ActionExecute, Body, Capability, CapabilityState, Clock, Cookie, Counters, DaemonAnswer, DaemonFigures,
    DaemonState, DaemonTrace, Datapath, DelReason, DevPoint, DevStep, DpCounters, DpIfindex, DpStats, Drop,
    DropCounter, ErrnoCounter, Event, Field, FieldMatch, FlowCounter, FlowLookup, FlowMatch, FlowOp, FlowOperation,
    FlowPtr, FlowPut, FlowResult, FlowShape, HandlerSched, Loss, Name, OpType, PacketBytes, PacketExec, PacketId, Port,
    PortNo, PutKind, Query, RecvUpcall, RevalResult, Revalidation, Session, Stage, StageCounter, UdpifFigures, Ufid,
    Upcall, UpcallCmd, UpcallCounter, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn, Userspace,
};
use proptest::prelude::*;

/// Numbers that are mostly small and meet, sometimes of any size, sometimes at the edge.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..4, 2 => 0u64..5_000_000_000, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn word() -> impl Strategy<Value = u32> {
    number().prop_map(|n| n as u32)
}

fn errno() -> impl Strategy<Value = i32> {
    prop_oneof![3 => Just(0), 1 => Just(-11), 1 => any::<i32>()]
}

fn dp() -> impl Strategy<Value = DpIfindex> {
    (0u32..3).prop_map(DpIfindex)
}

fn ptr() -> impl Strategy<Value = FlowPtr> {
    (0u64..4).prop_map(FlowPtr)
}

fn ufid() -> impl Strategy<Value = Option<Ufid>> {
    prop::option::of((0u32..6).prop_map(|n| Ufid([n; 4])))
}

fn cmd() -> impl Strategy<Value = UpcallCmd> {
    (0u8..5).prop_map(UpcallCmd::from)
}

/// What made an action upcall.
fn why(cmd: UpcallCmd) -> Option<Box<Cookie>> {
    (cmd == UpcallCmd::Action).then(|| Box::new(Cookie::read(&[5; 48])))
}

fn bytes() -> impl Strategy<Value = Box<[u8]>> {
    let ethernet = |rest: Vec<u8>| [&[2; 12], &[8, 0, 0x45][..], &rest].concat().into_boxed_slice();
    prop::collection::vec(any::<u8>(), 0..80).prop_map(ethernet)
}

fn op() -> impl Strategy<Value = FlowOp> {
    (dp(), errno(), ufid(), number(), number(), word(), number()).prop_map(
        |(dp, ret, ufid, took_ns, batch_ts, batch_idx, queue_id)| FlowOp {
            dp,
            ret,
            ufid,
            took_ns,
            batch_ts,
            batch_idx,
            queue_id,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        word().prop_map(|port| Action::Output { port }),
        Just(Action::Ct { args: None }),
        word().prop_map(|reason| Action::Drop { reason }),
        "[0-9a-f]{0,300}".prop_map(|cookie| {
            let to = Userspace { cookie: Some(Cookie::read(cookie.as_bytes())), ..Userspace::default() };
            Action::Userspace(Box::new(Userspace { userdata: Some(cookie), ..to }))
        }),
    ]
}

fn on_the_way() -> impl Strategy<Value = Body> {
    let lookup = (dp(), prop::option::of(ptr()), prop::option::of(ptr()), ufid(), word(), word()).prop_map(
        |(dp, flow, sf_acts, ufid, n_mask_hit, recirc_id)| {
            let in_port = Some(PortNo(n_mask_hit % 3));
            Body::FlowLookup(FlowLookup { dp, in_port, recirc_id, flow, sf_acts, ufid, n_mask_hit, n_cache_hit: 0 })
        },
    );
    let upcall = (dp(), 0u32..3, cmd(), word(), word()).prop_map(|(dp, in_port, cmd, port, len)| {
        Body::Upcall(Upcall {
            dp,
            in_port: PortNo(in_port),
            recirc_id: 0,
            cmd,
            port,
            mru: 0,
            len,
            skb_hash: 0,
            cookie: why(cmd),
        })
    });
    let enqueue = (errno(), cmd(), number(), number(), 0u32..3).prop_map(|(ret, cmd, upcall_ts, queue_id, index)| {
        Body::UpcallEnqueue(UpcallEnqueue { ret, cmd, port: 7, upcall_ts, upcall_cpu: 0, queue_id, index })
    });
    let returned = (errno(), number())
        .prop_map(|(ret, upcall_ts)| Body::UpcallReturn(UpcallReturn { ret, upcall_ts, upcall_cpu: 0 }));
    let recv =
        (word(), number(), number(), number(), word()).prop_map(|(port, queue_id, wait_ns, batch_ts, batch_idx)| {
            Body::UpcallRecv(UpcallRecv { port, pkt_size: 1, key_size: 1, queue_id, wait_ns, batch_ts, batch_idx })
        });
    let exec = (dp(), errno(), number(), number()).prop_map(|(dp, ret, took_ns, batch_ts)| {
        Body::FlowExec(PacketExec { dp, ret, len: 1, took_ns, batch_ts, batch_idx: 0, queue_id: 0 })
    });
    let execute = (dp(), action()).prop_map(|(dp, action)| {
        Body::ActionExecute(ActionExecute { dp, in_port: PortNo(1), recirc_id: 0, queue_id: 0, action })
    });
    let dev = word().prop_map(|len| {
        let (point, dev) = (DevPoint::NetifRx, Name::new("eth0"));
        Body::Dev(DevStep { point, dev, ifindex: 1, netns: 1, len, ret: 0 })
    });
    let kind = prop_oneof![Just(PutKind::New), Just(PutKind::Set)];
    prop_oneof![
        lookup,
        upcall,
        enqueue,
        returned,
        recv,
        (kind, op()).prop_map(|(kind, op)| Body::FlowPut(FlowPut { kind, op })),
        exec,
        op().prop_map(Body::FlowDel),
        execute,
        dev,
        prop_oneof![Just(2u32), 0x3_0000u32..0x3_000d, any::<u32>()].prop_map(|reason| {
            let (name, location) = ("METER".to_owned(), "f+0x1".to_owned());
            Body::Drop(Drop { reason, name, location })
        }),
        (word(), bytes()).prop_map(|(len, data)| Body::PacketBytes(PacketBytes { len, data })),
    ]
}

fn told() -> impl Strategy<Value = Body> {
    let recv =
        (cmd(), word(), number(), number(), word()).prop_map(|(cmd, pkt_size, queue_id, batch_ts, batch_idx)| {
            Body::RecvUpcall(RecvUpcall { cmd, pkt_size, key_size: 1, queue_id, batch_ts, batch_idx })
        });
    let op_type = prop_oneof![Just(OpType::Put), Just(OpType::Exec), Just(OpType::Del)];
    let operation =
        (op_type, ufid(), number(), number(), word()).prop_map(|(op_type, ufid, queue_id, batch_ts, batch_idx)| {
            Body::FlowOperation(FlowOperation { op_type, ufid, queue_id, batch_ts, batch_idx })
        });
    let result = (ufid(), word(), word(), any::<bool>()).prop_map(|(ufid, result, reason, sweep)| {
        let (result, reason) = (RevalResult::from(result), DelReason::from(reason));
        Body::FlowResult(FlowResult { ufid, result, reason, sweep })
    });
    let round = (number(), number(), word())
        .prop_map(|(took_ns, n_flows, interval_ms)| Body::Revalidation(Revalidation { took_ns, n_flows, interval_ms }));
    let field = (prop::sample::select(Field::NAMED), any::<u128>(), any::<u128>())
        .prop_map(|(field, value, mask)| FieldMatch { field, value, mask });
    let shape = (dp(), ufid(), prop::collection::vec(field, 0..6), word(), number()).prop_map(
        |(dp, ufid, fields, actions_len, left_out)| {
            let matches = FlowMatch::new(fields);
            Body::FlowShape(Box::new(FlowShape { dp, ufid, matches, actions_len, left_out }))
        },
    );
    prop_oneof![recv, operation, result, round, shape]
}

fn counters() -> impl Strategy<Value = Counters> {
    let datapath = (dp(), number(), number(), number(), 0u64..3).prop_map(|(dp, hits, misses, mask_hits, table)| {
        DpCounters { dp, table, hits, misses, mask_hits, cache_hits: hits }
    });
    let upcall = (dp(), word(), cmd(), word(), errno(), number()).prop_map(|(dp, in_port, cmd, port, ret, count)| {
        UpcallCounter { dp, in_port: PortNo(in_port), cmd, port, cpu: port.checked_sub(1), ret, count }
    });
    let outcome = (errno(), number()).prop_map(|(ret, count)| ErrnoCounter { ret, count });
    let flow =
        (0u64..3, ptr(), ptr(), ufid(), number(), number()).prop_map(|(table, flow, sf_acts, ufid, hits, last)| {
            FlowCounter { table, flow, sf_acts, ufid, hits, bytes: hits.checked_sub(1), last }
        });
    (
        prop::collection::vec(datapath, 0..4),
        prop::collection::vec(upcall, 0..6),
        prop::collection::vec(outcome, 0..3),
        prop::collection::vec(flow, 0..6),
        number(),
        prop::collection::vec((0u32..4, number()), 0..3),
        prop::collection::vec((prop::sample::select(&Stage::ALL[..]), number(), 0u16..400, number()), 0..4),
    )
        .prop_map(|(datapaths, upcalls, outcomes, flows, received, pairs, stages)| Counters {
            datapaths,
            upcalls,
            puts: outcomes.clone(),
            execs: outcomes.clone(),
            dels: outcomes,
            received,
            flows,
            flow_hits_uncounted: 0,
            drops: pairs.iter().map(|&(reason, count)| DropCounter { reason, name: String::new(), count }).collect(),
            handlers: pairs
                .iter()
                .map(|&(tid, ns)| HandlerSched { tid, asleep_ns: ns, running_ns: ns / 2, ..HandlerSched::default() })
                .collect(),
            stages: stages
                .into_iter()
                .map(|(stage, max, bucket, count)| StageCounter { stage, max, buckets: vec![(bucket, count)] })
                .collect(),
        })
}

fn around() -> impl Strategy<Value = Body> {
    let session = ("[ab]", number(), number()).prop_map(|(host, monotonic, wall)| {
        let clock = Clock { monotonic, wall, utc_offset: 0 };
        Body::Session(Box::new(Session { host, clock, ..Session::default() }))
    });
    let datapath = (dp(), word(), prop::option::of(number())).prop_map(|(dp, port, n)| {
        let stats = n.map(|n| DpStats {
            n_hit: n,
            n_missed: n,
            n_lost: n,
            n_flows: n,
            n_mask_hit: n,
            n_cache_hit: n,
            n_masks: n as u32,
        });
        let port = Port { port: PortNo(port), name: "p".to_owned(), kind: "netdev".to_owned(), ifindex: 1 };
        Datapath { dp, name: "d".to_owned(), ports: vec![port], stats }
    });
    let answer = (prop::option::of(dp()), 0u32..6, prop::option::of(ptr()), "[a-z]{0,200}").prop_map(
        |(dp, ufid, sf_acts, text)| {
            let (ufid, query) = (Ufid([ufid; 4]), Query::Detrace);
            Body::DaemonAnswer(Box::new(DaemonAnswer { dp, ufid, sf_acts, query, answer: Ok(text), took_ns: 1 }))
        },
    );
    let trace = (dp(), "[a-z]{1,2}", "[a-z]{0,200}").prop_map(|(dp, key, text)| {
        let text = format!("bridge(\"br0\")\n 0. udp, priority 1\n    {text}\n\nMegaflow: udp,tp_src=1\n");
        let (ufid, sample_of) = (None, Some(Field::UdpSrc));
        Body::DaemonTrace(Box::new(DaemonTrace { dp, ufid, key, sample_of, answer: Ok(text), took_ns: 1 }))
    });
    let udpif = (number(), number(), number()).prop_map(|(flows, limit, dump_ms)| {
        let name = "system@ovs-system".to_owned();
        UdpifFigures { name, flows, flows_average: flows, flows_max: flows, limit, dump_ms }
    });
    let counted =
        prop::collection::btree_map("(upcall_flow_limit_(hit|kill)|rev_flow_table|mac_learning_moved)", number(), 0..4);
    let figures = (0u32..2, prop::collection::vec(udpif, 0..2), counted).prop_map(|(pid, udpifs, coverage)| {
        let dispatch = std::iter::once(("ovs-system".to_owned(), "per-cpu".to_owned())).collect();
        Body::DaemonFigures(Box::new(DaemonFigures { pid, udpifs, coverage, dispatch }))
    });
    let capability = Capability {
        name: "upcall".to_owned(),
        state: CapabilityState::Attached,
        probe: String::new(),
        why: String::new(),
        cost: None,
    };
    prop_oneof![
        6 => counters().prop_map(|counters| Body::Counters(Box::new(counters))),
        2 => number().prop_map(|n| Body::Loss(Loss { ring_full: n, ..Loss::default() })),
        1 => session,
        2 => prop::collection::vec(datapath, 0..4).prop_map(|datapaths| Body::Datapaths { datapaths }),
        1 => Just(Body::Probes { capabilities: vec![capability] }),
        1 => Just(Body::Daemon(DaemonState::Down { why: "no socket".to_owned() })),
        2 => answer,
        2 => trace,
        2 => figures,
    ]
}

/// Any event.
pub fn event() -> impl Strategy<Value = Event> {
    let id = || prop::option::weighted(0.9, number());
    (number(), 0u32..4, id(), id(), prop_oneof![6 => on_the_way(), 2 => around(), 1 => told()]).prop_map(
        |(ts, tid, packet, upcall, body)| Event {
            tid,
            packet: packet.map(PacketId),
            upcall: upcall.map(UpcallId),
            ..Event::host(ts, body)
        },
    )
}
