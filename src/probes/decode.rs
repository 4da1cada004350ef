//! Bytes from the ring buffer become events.

use super::{
    decode_action::{action, action_ct, action_long, action_tunnel},
    reasons::Reasons,
    told,
    trace::Names,
    wire::{
        self, WIRE_ACTION, WIRE_ACTION_CT, WIRE_ACTION_LONG, WIRE_ACTION_TUNNEL, WIRE_DEVICE, WIRE_FLOW, WIRE_FLOW_DEL,
        WIRE_FLOW_EXEC, WIRE_FLOW_PUT, WIRE_FLOW_SHAPE, WIRE_PACKET, WIRE_TASK, WIRE_TRACE, WIRE_UPCALL,
        WIRE_UPCALL_ACTION, WIRE_UPCALL_ENQUEUE, WIRE_UPCALL_RECV, WIRE_UPCALL_RETURN, WireEnqueue, WireFlowShape,
        WireHead, WireOp, WirePacket, WireRecv, WireReturn, WireUpcall, WireUpcallAction, read,
    },
};
use crate::event::{
    Body, Cookie, DpIfindex, Event, FlowMatch, FlowOp, FlowPut, FlowShape, Name, PacketExec, PacketId, PortNo, PutKind,
    Told, Ufid, Upcall, UpcallCmd, UpcallEnqueue, UpcallId, UpcallRecv, UpcallReturn,
};

/// A record that is not one that this program knows: the caller counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecoded;

/// Turns records into events. Remembers what the kernel side told once and then names by a number.
#[derive(Debug, Default)]
pub struct Decoder {
    names: Names,
}

impl Decoder {
    /// Begins to read what the kernel calls its functions, before a drop in one of them is told.
    pub fn read_ahead(&mut self) {
        self.names.symbols.read_ahead();
    }

    /// Names of drop reasons.
    pub fn reasons(&mut self) -> &mut Reasons {
        &mut self.names.reasons
    }

    /// Adds to `told` what one record of the ring buffer tells: nothing, an event, or all of a packet's steps.
    pub fn decode(&mut self, bytes: &[u8], told: &mut Vec<Told>) -> Result<(), Undecoded> {
        let kind = bytes.get(wire::KIND_AT..wire::KIND_AT + 4).and_then(|b| b.try_into().ok()).ok_or(Undecoded)?;
        match u32::from_ne_bytes(kind) {
            WIRE_TRACE => self.names.trace(bytes, told).ok_or(Undecoded),
            WIRE_TASK => self.names.task(&read(bytes).ok_or(Undecoded)?).ok_or(Undecoded),
            WIRE_DEVICE => self.names.device(&read(bytes).ok_or(Undecoded)?).ok_or(Undecoded),
            WIRE_FLOW => self.names.flow(&read(bytes).ok_or(Undecoded)?).ok_or(Undecoded),
            WIRE_PACKET => {
                let packet: WirePacket = read(bytes).ok_or(Undecoded)?;
                told.push(self.names.bytes(&packet.bytes, packet.packet).into());
                Ok(())
            }
            _ => {
                told.push(with_head(bytes).ok_or(Undecoded)?.into());
                Ok(())
            }
        }
    }
}

/// An event with a [`WireHead`].
fn with_head(bytes: &[u8]) -> Option<Event> {
    let head: WireHead = read(bytes)?;
    let body = match head.kind {
        WIRE_UPCALL => Body::Upcall(upcall(&read(bytes)?)),
        WIRE_UPCALL_ACTION => upcall_action(&read(bytes)?),
        WIRE_UPCALL_ENQUEUE => enqueue(&read(bytes)?),
        WIRE_UPCALL_RETURN => upcall_return(&read(bytes)?),
        WIRE_UPCALL_RECV => recv(&read(bytes)?),
        WIRE_FLOW_PUT => put(&read(bytes)?),
        WIRE_FLOW_SHAPE => shape(&read(bytes)?),
        WIRE_FLOW_EXEC => exec(&read(bytes)?),
        WIRE_FLOW_DEL => Body::FlowDel(flow_op(&read(bytes)?)),
        WIRE_ACTION => action(&read(bytes)?)?,
        WIRE_ACTION_LONG => action_long(&read(bytes)?)?,
        WIRE_ACTION_CT => action_ct(&read(bytes)?),
        WIRE_ACTION_TUNNEL => action_tunnel(&read(bytes)?),
        kind => told::told(kind, bytes)?,
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

fn cmd(number: u32) -> UpcallCmd {
    UpcallCmd::from(number as u8)
}

fn upcall(e: &WireUpcall) -> Upcall {
    Upcall {
        dp: DpIfindex(e.dp),
        in_port: PortNo(e.in_port),
        recirc_id: e.recirc_id,
        cmd: cmd(e.cmd),
        port: e.portid,
        mru: e.mru,
        len: e.len,
        skb_hash: e.skb_hash,
        cookie: None,
    }
}

fn upcall_action(e: &WireUpcallAction) -> Body {
    let userdata = &e.userdata[..(e.userdata_len as usize).min(wire::USERDATA_MAX)];
    Body::Upcall(Upcall { cookie: Some(Box::new(Cookie::read(userdata))), ..upcall(&e.upcall) })
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

fn shape(e: &WireFlowShape) -> Body {
    let bytes = |all: &'_ [u8], len: u32| all[..(len as usize).min(all.len())].to_vec();
    let (key, mask) = (bytes(&e.key, e.key_len), bytes(&e.mask, e.mask_len));
    Body::FlowShape(Box::new(FlowShape {
        dp: DpIfindex(e.dp),
        ufid: ufid(e.ufid, e.ufid_len),
        matches: FlowMatch::read(&key, (!mask.is_empty()).then_some(&mask)),
        actions_len: e.actions_len,
        left_out: e.left_out,
    }))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Option<Event> {
        let mut told = Vec::new();
        Decoder::default().decode(bytes, &mut told).ok()?;
        Told::expanded(told).pop()
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
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..700), kind in 0u32..32) {
            let mut bytes = bytes;
            if bytes.len() >= 40 {
                bytes[36..40].copy_from_slice(&kind.to_ne_bytes());
            }
            let _ = decode(&bytes);
        }
    }
}
