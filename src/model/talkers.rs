//! Who makes the upcalls of the last ten seconds.

use std::net::IpAddr;

use super::summary::MacAddr;
use crate::event::{Comm, DpIfindex, PortNo, UpcallCmd};

/// By what upcalls are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The port the packets came in by. Exact.
    InPort,
    /// The reason. Exact.
    Cmd,
    /// What `ovs_dp_upcall` returned. Exact.
    Errno,
    /// The handler's netlink port. Exact.
    Handler,
    /// Where the packets come from: IP source and protocol, else Ethernet source. Of the upcalls seen in detail.
    Source,
    /// Where they go. Of the upcalls seen in detail.
    Destination,
}

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TalkerKey {
    /// A port of a datapath.
    Port(DpIfindex, PortNo),
    /// A reason.
    Cmd(UpcallCmd),
    /// 0, or minus an errno.
    Errno(i32),
    /// A netlink port and, where a receive on it was seen, the handler's thread.
    Handler {
        /// The netlink port.
        port: u32,
        /// Thread id and name.
        task: Option<(u32, Comm)>,
    },
    /// An IP address and a protocol's number.
    Ip(IpAddr, u8),
    /// An Ethernet address.
    Mac(MacAddr),
}

/// One of those who make upcalls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Talker {
    /// Who.
    pub key: TalkerKey,
    /// Upcalls in the last ten seconds.
    pub count: u64,
    /// The same per second.
    pub per_second: f64,
    /// Its part of all upcalls of this dimension, 0 to 1.
    pub share: f64,
}

/// The biggest talkers of a dimension, and what is not among them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Talkers {
    /// The biggest first.
    pub top: Vec<Talker>,
    /// How many upcalls of the last ten seconds this dimension knows of, those of `top` among them.
    pub total: u64,
    /// Upcalls whose talker is not told apart: there were too many, or the packet's bytes were not seen.
    pub unknown: u64,
    /// Whether the numbers come from the kernel side's exact counters; else from the upcalls seen in detail.
    pub exact: bool,
}
