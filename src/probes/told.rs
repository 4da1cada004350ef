//! What a daemon with USDT probes tells, from the ring buffer.

use super::wire::{
    OP_DEL, OP_EXEC, OP_PUT, WIRE_FLOW_OPERATION, WIRE_FLOW_RESULT, WIRE_RECV_UPCALL, WIRE_REVALIDATION,
    WireFlowOperation, WireFlowResult, WireRecvUpcall, WireRevalidation, read,
};
use crate::event::{
    Body, DelReason, FlowOperation, FlowResult, OpType, RecvUpcall, RevalResult, Revalidation, Ufid, UpcallCmd,
};

/// What a record of this kind tells; none when it is not one of these.
pub fn told(kind: u32, bytes: &[u8]) -> Option<Body> {
    Some(match kind {
        WIRE_RECV_UPCALL => recv_upcall(&read(bytes)?),
        WIRE_FLOW_OPERATION => flow_operation(&read(bytes)?)?,
        WIRE_FLOW_RESULT => flow_result(&read(bytes)?),
        WIRE_REVALIDATION => revalidation(&read(bytes)?),
        _ => return None,
    })
}

fn ufid(words: [u32; 4], len: u32) -> Option<Ufid> {
    (len != 0).then_some(Ufid(words))
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

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn the_daemons_number_of_an_upcalls_kind_is_one_less_than_the_kernels() {
        let cmd = |upcall_type| {
            let e = WireRecvUpcall { upcall_type, ..Zeroable::zeroed() };
            match told(WIRE_RECV_UPCALL, bytemuck::bytes_of(&e)) {
                Some(Body::RecvUpcall(recv)) => recv.cmd,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((cmd(0), cmd(1)), (UpcallCmd::Miss, UpcallCmd::Action));
        assert_eq!(cmd(u32::MAX), UpcallCmd::Other(u8::MAX), "a number of another daemon's does not wrap");
    }

    #[test]
    fn an_operation_that_is_none_is_refused() {
        let e = WireFlowOperation { op: 9, ..Zeroable::zeroed() };
        assert_eq!(told(WIRE_FLOW_OPERATION, bytemuck::bytes_of(&e)), None);
    }
}
