//! Packets that the kernel dropped, and what handlers had of the CPU.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tracepoint `skb:kfree_skb` on a recorded packet: the packet, or a clone of it, is freed as dropped. Not seen is what the
/// kernel frees with `consume_skb`, which does not count as a drop: a miss that could not be queued for -EAGAIN, and
/// before Linux 6.6 what a flow or a meter drops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drop {
    /// `enum skb_drop_reason`; from 65536 on a subsystem's own, `subsystem << 16 | reason`. Numbers differ between kernels.
    pub reason: u32,
    /// The reason's name on the traced host: `NO_SOCKET`, `OVS_DROP_METER`; empty where the kernel does not name it.
    pub name: String,
    /// Where in the kernel: `symbol+0x1f`, followed by the module's name as in /proc/kallsyms; an address in hex where the
    /// symbols could not be read.
    pub location: String,
}

impl Drop {
    /// Whether the reason is one of openvswitch's own (`enum ovs_drop_reason`, since 6.6). By its name: the subsystem's
    /// number moves between kernels.
    pub fn is_ovs(&self) -> bool {
        self.name.starts_with("OVS_DROP_")
    }
}

/// Packets that the datapath dropped for one of its own reasons since the probes were attached; exact, whether the packets
/// were recorded or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DropCounter {
    /// As in [`Drop`].
    pub reason: u32,
    /// As in [`Drop`].
    pub name: String,
    /// How many.
    pub count: u64,
}

/// What a handler's thread has done, by the scheduler's tracepoints, since it first received an upcall in this session. The
/// three times add up to the time since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HandlerSched {
    /// Its thread id.
    pub tid: u32,
    /// Nanoseconds asleep: nothing to do, or waiting for something.
    pub asleep_ns: u64,
    /// Nanoseconds on a run queue without a CPU: woken and not yet running, or preempted.
    pub runnable_ns: u64,
    /// Nanoseconds on a CPU.
    pub running_ns: u64,
    /// The longest it was runnable without a break, in nanoseconds.
    pub runnable_max_ns: u64,
    /// How often it was given a CPU.
    pub switches: u64,
}
