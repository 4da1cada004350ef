//! How much the model keeps, and what it had to let go.

use super::meter::SECOND;
use crate::event::Nanos;

/// Bounds of everything that grows with traffic. The defaults keep the model below about 120 MB in an endless storm.
/// A bound of 0 is taken as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Packets kept. The oldest goes first.
    pub packets: usize,
    /// Events kept in all timelines together. When they are full, the oldest packet goes with its events.
    pub packet_events: usize,
    /// Events kept of one packet. Those that follow are counted in [`Packet::events_cut`](super::Packet::events_cut).
    pub events_per_packet: usize,
    /// Bytes kept of packets' contents and of actions' cookies, together.
    pub packet_bytes: usize,
    /// Upcalls kept. The oldest goes first.
    pub upcalls: usize,
    /// Flows kept. One that has not been met for long goes first.
    pub flows: usize,
    /// Talkers that are told apart within ten seconds, in each dimension that is counted of the upcalls seen in detail.
    pub talkers: usize,
    /// Distinct (datapath, in-port, reason, handler, CPU, outcome) of upcall counters.
    pub upcall_kinds: usize,
    /// Handlers' threads.
    pub handlers: usize,
    /// The daemon's answers. The one renewed longest ago goes first.
    pub answers: usize,
    /// Bytes of the daemon's answers together, but for the last one.
    pub answer_bytes: usize,
    /// The datapath's own reasons to drop packets, and likewise the daemon's to delete flows.
    pub drop_reasons: usize,
    /// Datapaths with figures of their own, and twice as many flow tables.
    pub datapaths: usize,
    /// Anomalies. The oldest goes first.
    pub anomalies: usize,
    /// Verdicts that are over. The oldest goes first.
    pub verdicts: usize,
    /// New flows whose matches are compared. The oldest goes first.
    pub shapes: usize,
    /// How much later than events after it an event may come and still be put in its place, in nanoseconds. It has to be longer
    /// than the kernel side holds a packet's steps back (2 s) and the ring buffer waits to be read. At most 9 s are taken.
    pub lateness: Nanos,
}

/// The longest [`Limits::lateness`]: the last ten seconds are kept second by second, and the running one is not over.
const LATEST: Nanos = 9 * SECOND;

impl Limits {
    /// [`Limits::lateness`] within its bounds.
    pub(super) fn lateness(&self) -> Nanos {
        self.lateness.clamp(1, LATEST)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packets: 20_000,
            packet_events: 250_000,
            events_per_packet: 256,
            packet_bytes: 8 << 20,
            upcalls: 20_000,
            flows: 100_000,
            talkers: 4096,
            upcall_kinds: 16_384,
            handlers: 128,
            answers: 4096,
            answer_bytes: 4 << 20,
            drop_reasons: 64,
            datapaths: 256,
            anomalies: 1024,
            verdicts: 64,
            shapes: 2048,
            lateness: 3 * SECOND,
        }
    }
}

/// What was let go to stay within [`Limits`], since the start of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Packets with their timelines.
    pub packets: u64,
    /// Upcalls.
    pub upcalls: u64,
    /// Flows. One that is met again begins anew, with the hits that the kernel counted for it.
    pub flows: u64,
    /// Talkers that were merged into "others".
    pub talkers: u64,
    /// Kinds of upcall counters that had no room, in the reading that had the most of them: they are in the totals and in
    /// no table.
    pub upcall_kinds: u64,
    /// Handlers' threads.
    pub handlers: u64,
    /// Answers of the daemon.
    pub answers: u64,
    /// Reasons to drop packets that had no room, in the reading that had the most of them; or deletions whose reason had none.
    pub drop_reasons: u64,
    /// Datapaths that had no room, in the reading that had the most of them: they are in the totals and in no table.
    pub datapaths: u64,
    /// Anomalies.
    pub anomalies: u64,
    /// Verdicts that are over.
    pub verdicts: u64,
}
