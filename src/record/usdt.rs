//! Rows of what the daemon tells by its USDT probes. Their messages and batches are columns of differences: references
//! are for the kinds that every version knows (see recording.proto).

use super::{columns, decode::at, proto};
use crate::event::{FlowOperation, Nanos, OpType, RecvUpcall, Ufid, UpcallCmd};

/// The message and the batch of the row before.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Before {
    queue_id: u64,
    batch_ts: Nanos,
}

impl Before {
    /// The differences to the row before; this row takes its place.
    fn differences(&mut self, queue_id: u64, batch_ts: Nanos) -> (i64, i64) {
        let before = std::mem::replace(self, Self { queue_id, batch_ts });
        (queue_id.wrapping_sub(before.queue_id).cast_signed(), batch_ts.wrapping_sub(before.batch_ts).cast_signed())
    }

    /// The values again, from the differences.
    fn next(&mut self, queue_id: i64, batch_ts: i64) -> (u64, Nanos) {
        self.queue_id = self.queue_id.wrapping_add_signed(queue_id);
        self.batch_ts = self.batch_ts.wrapping_add_signed(batch_ts);
        (self.queue_id, self.batch_ts)
    }
}

/// Adds a row.
pub(super) fn push_recv(c: &mut columns::RecvUpcalls, before: &mut Before, row: &RecvUpcall) {
    let (queue_id, batch_ts) = before.differences(row.queue_id, row.batch_ts);
    c.cmd.push(u8::from(row.cmd).into());
    c.pkt_size.push(row.pkt_size);
    c.key_size.push(row.key_size);
    c.queue_id.push(queue_id);
    c.batch_ts.push(batch_ts);
    c.batch_idx.push(row.batch_idx);
}

/// The row again.
pub(super) fn recv(c: &proto::RecvUpcalls, row: usize, before: &mut Before, cmd: UpcallCmd) -> RecvUpcall {
    let (queue_id, batch_ts) = before.next(at(&c.queue_id, row), at(&c.batch_ts, row));
    RecvUpcall {
        cmd,
        pkt_size: at(&c.pkt_size, row),
        key_size: at(&c.key_size, row),
        queue_id,
        batch_ts,
        batch_idx: at(&c.batch_idx, row),
    }
}

/// Adds a row, whose flow is at this place of the dictionary.
pub(super) fn push_operation(c: &mut columns::FlowOperations, before: &mut Before, row: &FlowOperation, ufid: u32) {
    let (queue_id, batch_ts) = before.differences(row.queue_id, row.batch_ts);
    // The order of the variants is the order of the numbers in recording.proto.
    c.op_type.push(row.op_type as u32);
    c.ufid.push(ufid);
    c.queue_id.push(queue_id);
    c.batch_ts.push(batch_ts);
    c.batch_idx.push(row.batch_idx);
}

/// The row again; none where the operation is one of a newer version.
pub(super) fn operation(
    c: &proto::FlowOperations,
    row: usize,
    before: &mut Before,
    ufid: Option<Ufid>,
) -> Option<FlowOperation> {
    let (queue_id, batch_ts) = before.next(at(&c.queue_id, row), at(&c.batch_ts, row));
    let op_type = match at(&c.op_type, row) {
        0 => OpType::Put,
        1 => OpType::Exec,
        2 => OpType::Del,
        _ => return None,
    };
    let batch_idx = at(&c.batch_idx, row);
    Some(FlowOperation { op_type, ufid, queue_id, batch_ts, batch_idx })
}
