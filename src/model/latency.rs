//! How long each stage of an upcall takes.

/// A stage of an upcall's way. Each upcall counts once in each stage that was seen of it; of one that made several
/// messages (GSO), the first message counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From the return of the lookup that missed to the upcall.
    Lookup,
    /// From the upcall to its message's being given to the handler's socket. Only where it could be.
    Enqueue,
    /// In the socket's queue: until the handler received it.
    Wait,
    /// From the receive to the first answer's begin, put or execute: the handler at work, also on the other messages of
    /// the batch.
    Translate,
    /// In the kernel, installing the flow.
    Put,
    /// From the execute's begin to the first action.
    Execute,
    /// From the lookup that missed (or the upcall, where there was no miss) to the first action on the packet given
    /// back; where it had no action, to the execute's end.
    Whole,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 7] =
        [Self::Lookup, Self::Enqueue, Self::Wait, Self::Translate, Self::Put, Self::Execute, Self::Whole];

    /// A word or two for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Enqueue => "enqueue",
            Self::Wait => "wait for handler",
            Self::Translate => "translate",
            Self::Put => "put",
            Self::Execute => "execute",
            Self::Whole => "whole",
        }
    }
}

/// Over which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The last ten monotonic seconds, the running one among them.
    Last10,
    /// Since the session began.
    Session,
}

/// Percentiles in nanoseconds, within 1 % (HDR, two digits; capped at 100 s); `max` is exact.
///
/// They are of the upcalls that were seen in detail. Where the event budget left some out
/// ([`Loss::upcalls_over_budget`](crate::event::Loss::upcalls_over_budget)), that is a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// Upcalls.
    pub count: u64,
    /// Half of them took at most this.
    pub p50: u64,
    /// 90 % of them.
    pub p90: u64,
    /// 99 % of them.
    pub p99: u64,
    /// All of them.
    pub max: u64,
}

/// Buckets of [`HeatColumn`].
pub const HEAT_BUCKETS: usize = 23;

/// Seconds of [`HeatColumn`]s kept.
pub const HEAT_SECONDS: usize = 120;

/// One second of the heat map: how many upcalls took the whole way in about so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatColumn {
    /// The monotonic second, `ts / 1_000_000_000`, in which they were done.
    pub second: u64,
    /// Counts. Bucket 0 is below 1 µs, bucket 22 from 10 s on; between them three to a decade: see [`heat_bound`].
    pub counts: [u32; HEAT_BUCKETS],
}

/// The lower bound of a heat map's bucket in nanoseconds: 0, 1 µs, 2.154 µs, 4.642 µs, 10 µs, … 10 s.
pub fn heat_bound(bucket: usize) -> u64 {
    const DECADE: [u64; 3] = [1000, 2154, 4642];
    match bucket.min(HEAT_BUCKETS - 1).checked_sub(1) {
        None => 0,
        Some(step) => DECADE[step % 3] * 10u64.pow((step / 3) as u32),
    }
}
