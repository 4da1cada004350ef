//! Bytes from the ring buffer become events.

use super::wire::{
    self, OP_DEL, OP_EXEC, OP_PUT, WIRE_ACTION, WIRE_DEV, WIRE_FLOW_DEL, WIRE_FLOW_EXEC, WIRE_FLOW_LOOKUP,
    WIRE_FLOW_OPERATION, WIRE_FLOW_PUT, WIRE_FLOW_RESULT, WIRE_PACKET, WIRE_RECV_UPCALL, WIRE_REVALIDATION,
    WIRE_UPCALL, WIRE_UPCALL_ENQUEUE, WIRE_UPCALL_RECV, WIRE_UPCALL_RETURN, WireAction, WireDev, WireEnqueue,
    WireFlowOperation, WireFlowResult, WireHead, WireLookup, WireOp, WirePacket, WireRecv, WireRecvUpcall, WireReturn,
    WireRevalidation, WireUpcall, read,
};
use crate::event::{
    ActionExecute, Body, DelReason, DevPoint, DevStep, DpIfindex, Event, FlowLookup, FlowOp, FlowOperation, FlowPtr,
    FlowPut, FlowResult, Name, OpType, PacketBytes, PacketExec, PacketId, PortNo, PutKind, RecvUpcall, RevalResult,
    Revalidation, Ufid, Upcall, UpcallCmd, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn, decode_action,
};

/// One event from one record of the ring buffer; none when it is not one that this program knows, which the caller
/// counts.
pub fn decode(bytes: &[u8]) -> Option<Event> {
    let head: WireHead = read(bytes)?;
    let body = match head.kind {
        WIRE_DEV => dev(&read(bytes)?)?,
        WIRE_FLOW_LOOKUP => lookup(&read(bytes)?),
        WIRE_UPCALL => upcall(&read(bytes)?),
        WIRE_UPCALL_ENQUEUE => enqueue(&read(bytes)?),
        WIRE_UPCALL_RETURN => upcall_return(&read(bytes)?),
        WIRE_UPCALL_RECV => recv(&read(bytes)?),
        WIRE_FLOW_PUT => put(&read(bytes)?),
        WIRE_FLOW_EXEC => exec(&read(bytes)?),
        WIRE_FLOW_DEL => Body::FlowDel(flow_op(&read(bytes)?)),
        WIRE_ACTION => action(&read(bytes)?)?,
        WIRE_PACKET => packet(&read(bytes)?),
        WIRE_RECV_UPCALL => recv_upcall(&read(bytes)?),
        WIRE_FLOW_OPERATION => flow_operation(&read(bytes)?)?,
        WIRE_FLOW_RESULT => flow_result(&read(bytes)?),
        WIRE_REVALIDATION => revalidation(&read(bytes)?),
        _ => return None,
    };
    Some(Event {
        ts: head.ts,
        cpu: head.cpu,
        tid: head.tid,
        pid: head.pid,
        comm: Name(head.comm),
        packet: (head.packet != 0).then_some(PacketId(head.packet)),
        upcall: (head.upcall != 0).then_some(UpcallId(head.upcall)),
        body,
    })
}

fn ufid(words: [u32; 4], len: u32) -> Option<Ufid> {
    (len != 0).then_some(Ufid(words))
}

fn dev(e: &WireDev) -> Option<Body> {
    let point = match e.point {
        0 => DevPoint::NetDevQueue,
        1 => DevPoint::NetDevStartXmit,
        2 => DevPoint::NetDevXmit,
        3 => DevPoint::NetifRx,
        4 => DevPoint::NetifReceiveSkb,
        5 => DevPoint::SkbScrubPacket,
        _ => return None,
    };
    Some(Body::Dev(DevStep { point, dev: Name(e.dev), ifindex: e.ifindex, netns: e.netns, len: e.len, ret: e.ret }))
}

fn lookup(e: &WireLookup) -> Body {
    let hit = e.flow != 0;
    Body::FlowLookup(FlowLookup {
        dp: DpIfindex(e.dp),
        in_port: Some(PortNo(e.in_port)),
        recirc_id: e.recirc_id,
        flow: hit.then_some(FlowPtr(e.flow)),
        sf_acts: hit.then_some(FlowPtr(e.sf_acts)),
        ufid: ufid(e.ufid, e.ufid_len),
        n_mask_hit: e.n_mask_hit,
        n_cache_hit: e.n_cache_hit,
    })
}

fn cmd(number: u32) -> UpcallCmd {
    UpcallCmd::from(number as u8)
}

fn upcall(e: &WireUpcall) -> Body {
    Body::Upcall(Upcall {
        dp: DpIfindex(e.dp),
        in_port: PortNo(e.in_port),
        recirc_id: e.recirc_id,
        cmd: cmd(e.cmd),
        port: e.portid,
        mru: e.mru,
        len: e.len,
        skb_hash: e.skb_hash,
    })
}

fn enqueue(e: &WireEnqueue) -> Body {
    Body::UpcallEnqueue(UpcallEnqueue {
        ret: e.ret,
        cmd: cmd(e.cmd),
        port: e.portid,
        upcall_ts: e.upcall_ts,
        upcall_cpu: e.upcall_cpu,
        queue_id: e.queue_id,
        index: e.index,
    })
}

fn upcall_return(e: &WireReturn) -> Body {
    Body::UpcallReturn(UpcallReturn { ret: e.ret, upcall_ts: e.upcall_ts, upcall_cpu: e.upcall_cpu })
}

fn recv(e: &WireRecv) -> Body {
    Body::UpcallRecv(UpcallRecv {
        port: e.portid,
        pkt_size: e.pkt_size,
        key_size: e.key_size,
        queue_id: e.queue_id,
        wait_ns: e.wait_ns,
        batch_ts: e.batch_ts,
        batch_idx: e.batch_idx,
    })
}

fn recv_upcall(e: &WireRecvUpcall) -> Body {
    // enum dpif_upcall_type in lib/dpif.h has them from 0, the kernel from 1.
    let cmd = UpcallCmd::from(u8::try_from(e.upcall_type).map_or(u8::MAX, |number| number.saturating_add(1)));
    Body::RecvUpcall(RecvUpcall {
        cmd,
        pkt_size: e.pkt_size,
        key_size: e.key_size,
        queue_id: e.queue_id,
        batch_ts: e.batch_ts,
        batch_idx: e.batch_idx,
    })
}

fn flow_operation(e: &WireFlowOperation) -> Option<Body> {
    let op_type = match e.op {
        OP_PUT => OpType::Put,
        OP_EXEC => OpType::Exec,
        OP_DEL => OpType::Del,
        _ => return None,
    };
    Some(Body::FlowOperation(FlowOperation {
        op_type,
        ufid: ufid(e.ufid, e.ufid_len),
        queue_id: e.queue_id,
        batch_ts: e.batch_ts,
        batch_idx: e.batch_idx,
    }))
}

fn flow_result(e: &WireFlowResult) -> Body {
    Body::FlowResult(FlowResult {
        ufid: ufid(e.ufid, e.ufid_len),
        result: RevalResult::from(e.result),
        reason: DelReason::from(e.reason),
        sweep: e.sweep != 0,
    })
}

fn revalidation(e: &WireRevalidation) -> Body {
    Body::Revalidation(Revalidation { took_ns: e.took_ns, n_flows: e.n_flows, interval_ms: e.interval_ms })
}

fn flow_op(e: &WireOp) -> FlowOp {
    FlowOp {
        dp: DpIfindex(e.dp),
        ret: e.ret,
        ufid: ufid(e.ufid, e.ufid_len),
        took_ns: e.took_ns,
        batch_ts: e.batch_ts,
        batch_idx: e.batch_idx,
        queue_id: e.queue_id,
    }
}

fn put(e: &WireOp) -> Body {
    Body::FlowPut(FlowPut { kind: if e.set == 0 { PutKind::New } else { PutKind::Set }, op: flow_op(e) })
}

fn exec(e: &WireOp) -> Body {
    Body::FlowExec(PacketExec {
        dp: DpIfindex(e.dp),
        ret: e.ret,
        len: e.len,
        took_ns: e.took_ns,
        batch_ts: e.batch_ts,
        batch_idx: e.batch_idx,
        queue_id: e.queue_id,
    })
}

fn action(e: &WireAction) -> Option<Body> {
    let args = &e.args[..usize::from(e.args_len).min(wire::ACTION_ARGS_MAX)];
    Some(Body::ActionExecute(ActionExecute {
        dp: DpIfindex(e.dp),
        in_port: PortNo(e.in_port),
        recirc_id: e.recirc_id,
        queue_id: e.queue_id,
        action: decode_action(e.nla_type, args).ok()?,
    }))
}

/// Where the outer VLAN tag stands in a frame: behind both addresses.
const VLAN_AT: usize = 12;

/// The kernel keeps the outer VLAN tag beside the data: it is put back to where it is on the wire.
fn packet(e: &WirePacket) -> Body {
    let captured = (e.captured as usize).min(wire::SNAPLEN_MAX);
    let mut data = e.data[..captured].to_vec();
    let mut len = e.len;
    if e.vlan_proto != 0 && captured >= VLAN_AT {
        // The protocol is in network order already, the tag in the host's.
        let tag = [e.vlan_proto.to_ne_bytes(), e.vlan_tci.to_be_bytes()].concat();
        data.splice(VLAN_AT..VLAN_AT, tag);
        len = len.saturating_add(4);
    }
    Body::PacketBytes(PacketBytes { len, data: data.into() })
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    use super::*;

    fn head(kind: u32) -> WireHead {
        WireHead { ts: 5, packet: 7, kind, comm: *b"handler3\0\0\0\0\0\0\0\0", ..Zeroable::zeroed() }
    }

    #[test]
    fn a_vlan_tag_beside_the_data_is_put_back_into_it() {
        let mut e = WirePacket { head: head(WIRE_PACKET), len: 60, captured: 14, ..Zeroable::zeroed() };
        e.data[12..14].copy_from_slice(&[0x08, 0x00]);
        e.vlan_proto = 0x8100u16.to_be();
        e.vlan_tci = 0x2005;
        let event = decode(bytemuck::bytes_of(&e)).expect("whole");
        let Body::PacketBytes(bytes) = event.body else { panic!("{event:?}") };
        assert_eq!(bytes.data[12..], [0x81, 0x00, 0x20, 0x05, 0x08, 0x00]);
        assert_eq!((bytes.len, bytes.data.len()), (64, 18));
    }

    #[test]
    fn a_miss_has_no_flow() {
        let e = WireLookup { head: head(WIRE_FLOW_LOOKUP), n_mask_hit: 5, ..Zeroable::zeroed() };
        let event = decode(bytemuck::bytes_of(&e)).expect("whole");
        assert_eq!((event.ts, event.packet, event.upcall), (5, Some(PacketId(7)), None));
        let Body::FlowLookup(lookup) = event.body else { panic!("{event:?}") };
        assert_eq!((lookup.flow, lookup.ufid, lookup.n_mask_hit), (None, None, 5));
    }

    #[test]
    fn an_action_whose_arguments_were_cut_is_read_from_what_there_is() {
        let e = WireAction { head: head(WIRE_ACTION), nla_type: 5, args_len: 500, ..Zeroable::zeroed() };
        assert!(decode(bytemuck::bytes_of(&e)).is_some());
    }

    #[test]
    fn every_cut_of_every_kind_is_refused() {
        let whole = vec![0u8; size_of::<WirePacket>()];
        for kind in 0..32u32 {
            for len in 0..size_of::<WireHead>() {
                let mut bytes = whole[..len].to_vec();
                if len >= 40 {
                    bytes[36..40].copy_from_slice(&kind.to_ne_bytes());
                }
                assert!(decode(&bytes).is_none());
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u32..32) {
            let mut bytes = bytes;
            if bytes.len() >= 40 {
                bytes[36..40].copy_from_slice(&kind.to_ne_bytes());
            }
            let _ = decode(&bytes);
        }
    }
}
