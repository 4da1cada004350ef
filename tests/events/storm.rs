//! Events made for tests and benchmarks: a storm in which every packet goes up.

use ovscope::event::{
    Action, ActionExecute, Body, DevPoint, DevStep, DpIfindex, Event, FlowLookup, FlowOp, FlowPut, Name, PacketBytes,
    PacketExec, PacketId, PortNo, PutKind, Ufid, Upcall, UpcallCmd, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn,
};

/// The events of one packet that misses, makes a flow of its own and is forwarded: packet `n`, from `ts` on.
pub fn upcalled_packet(n: u64, ts: u64) -> Vec<Event> {
    let (dp, in_port, port) = (DpIfindex(2), PortNo(2), 2_434_576_541);
    let id = n + 1;
    let ufid = Some(Ufid([n as u32, 7, 7, 7]));
    let batch_ts = ts + 100_000;
    let dev = |point, name: &str, ifindex| {
        Body::Dev(DevStep { point, dev: Name::new(name), ifindex, netns: 4_026_531_840, len: 98, ret: 0 })
    };
    let before = [
        (0, dev(DevPoint::NetDevQueue, "p1_r", 2)),
        (2, dev(DevPoint::NetDevStartXmit, "p1_r", 2)),
        (4, dev(DevPoint::NetifRx, "p1_l", 4)),
        (6, dev(DevPoint::NetifReceiveSkb, "p1_l", 4)),
        (
            8,
            Body::FlowLookup(FlowLookup {
                dp,
                in_port: Some(in_port),
                recirc_id: 0,
                flow: None,
                sf_acts: None,
                ufid: None,
                n_mask_hit: 5,
                n_cache_hit: 0,
            }),
        ),
        (8, Body::PacketBytes(PacketBytes { len: 114, data: udp(n) })),
    ];
    let op = |ret| FlowOp { dp, ret, ufid, took_ns: 20_000, batch_ts, batch_idx: 0, queue_id: id };
    let after = [
        (
            9,
            Body::Upcall(Upcall {
                dp,
                in_port,
                recirc_id: 0,
                cmd: UpcallCmd::Miss,
                port,
                mru: 0,
                len: 114,
                skb_hash: 7,
                cookie: None,
            }),
        ),
        (
            11,
            Body::UpcallEnqueue(UpcallEnqueue {
                ret: 0,
                cmd: UpcallCmd::Miss,
                port,
                upcall_ts: ts + 9000,
                upcall_cpu: 1,
                queue_id: id,
                index: 0,
            }),
        ),
        (12, Body::UpcallReturn(UpcallReturn { ret: 0, upcall_ts: ts + 9000, upcall_cpu: 1 })),
        (
            100,
            Body::UpcallRecv(UpcallRecv {
                port,
                pkt_size: 114,
                key_size: 132,
                queue_id: id,
                wait_ns: 89_000,
                batch_ts,
                batch_idx: 0,
            }),
        ),
        (160, Body::FlowPut(FlowPut { kind: PutKind::New, op: op(0) })),
        (
            190,
            Body::ActionExecute(ActionExecute {
                dp,
                in_port,
                recirc_id: 0,
                queue_id: id,
                action: Action::Output { port: 3 },
            }),
        ),
        (192, dev(DevPoint::NetDevQueue, "p2_l", 5)),
        (194, dev(DevPoint::NetDevStartXmit, "p2_l", 5)),
        (196, dev(DevPoint::NetifRx, "p2_r", 2)),
        (198, dev(DevPoint::NetDevXmit, "p2_l", 5)),
        (199, dev(DevPoint::NetifReceiveSkb, "p2_r", 2)),
        (
            185,
            Body::FlowExec(PacketExec { dp, ret: 0, len: 114, took_ns: 15_000, batch_ts, batch_idx: 0, queue_id: id }),
        ),
    ];
    let event = |(at, body): (u64, Body), upcall| Event {
        cpu: 1,
        tid: 194,
        pid: 189,
        comm: Name::new("handler2"),
        packet: Some(PacketId(id)),
        upcall,
        ..Event::host(ts + at * 1000, body)
    };
    let before = before.into_iter().map(|step| event(step, None));
    before.chain(after.into_iter().map(|step| event(step, Some(UpcallId(id))))).collect()
}

/// The first bytes of a UDP packet whose source changes with `n`.
fn udp(n: u64) -> Box<[u8]> {
    let source = (n as u32 % 5000).to_be_bytes();
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 100, 0, 0, 0x40, 0, 64, 17, 0, 0];
    bytes.extend([10, 0, source[2], source[3], 172, 200, 0, 2]);
    bytes.extend([3, 0xe8, 0, 9, 0, 80, 0, 0]);
    bytes.resize(114, 0);
    bytes.into()
}
