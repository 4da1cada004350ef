//! Ports and handlers: what a row of their tables says.

use crate::event::{Comm, DpIfindex, Nanos, PortNo};

/// A port's upcalls, exact (kernel side counters).
#[derive(Debug, Clone, PartialEq)]
pub struct PortRow {
    /// Its datapath.
    pub dp: DpIfindex,
    /// Its number.
    pub port: PortNo,
    /// Its name, if the port is known. From outside: may hold anything.
    pub name: Option<String>,
    /// Its kind: netdev, internal, vxlan, …
    pub kind: Option<String>,
    /// Misses that went up.
    pub misses: u64,
    /// Upcalls by a `userspace` action.
    pub actions: u64,
    /// Upcalls for any other reason.
    pub others: u64,
    /// Those of all these that were lost.
    pub lost: u64,
    /// Misses per second, over the last second or two.
    pub miss_rate: f64,
    /// Action upcalls per second.
    pub action_rate: f64,
    /// Lost per second.
    pub lost_rate: f64,
}

/// A handler's thread. From the upcalls seen in detail: where the event budget left some out
/// ([`Loss::upcalls_over_budget`](crate::event::Loss::upcalls_over_budget)), a sample, but for `upcalls`.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerRow {
    /// Its thread id.
    pub tid: u32,
    /// Its name.
    pub comm: Comm,
    /// The netlink port it last received on.
    pub port: u32,
    /// Upcalls to that netlink port since the probes were attached: exact.
    pub upcalls: u64,
    /// The same per second, over the last second or two.
    pub upcall_rate: f64,
    /// Of those, the ones that could not be queued.
    pub lost: u64,
    /// Messages seen to be received.
    pub received: u64,
    /// Received per second, over the last ten.
    pub receive_rate: f64,
    /// Batches seen, the running one not counted.
    pub batches: u64,
    /// Messages in a batch, on average. 0 before the first batch is complete.
    pub batch_mean: f64,
    /// Messages in the largest batch.
    pub batch_max: u32,
    /// Half of the messages of the last 10 to 20 seconds waited at most this, in nanoseconds; none where there were none.
    pub wait_p50: Option<u64>,
    /// 99 % of them.
    pub wait_p99: Option<u64>,
    /// When it last received.
    pub last: Nanos,
}
