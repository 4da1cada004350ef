//! Packets and their timelines.

use super::summary::PacketSummary;
use crate::event::{DpIfindex, FlowPtr, Name, Nanos, PacketBytes, PacketId, PortNo, Ufid, UpcallId};

/// A packet: the original, its clones and what was given back after an upcall.
///
/// Its timeline is in [`Model::timeline`](super::Model::timeline), its fate in [`Model::fate`](super::Model::fate).
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// Its identity.
    pub id: PacketId,
    /// Its first event seen.
    pub first: Nanos,
    /// Its last event seen so far.
    pub last: Nanos,
    /// Its datapath, as soon as one looked it up.
    pub dp: Option<DpIfindex>,
    /// The port it came in by, as soon as the datapath looked it up.
    pub in_port: Option<PortNo>,
    /// Its first bytes, where they were seen.
    pub bytes: Option<PacketBytes>,
    /// What they say.
    pub summary: Option<PacketSummary>,
    /// Bytes in the packet, where seen. Without the Ethernet header where only a receiving point was seen.
    pub len: Option<u32>,
    /// The device it was first seen at.
    pub first_dev: Option<Name>,
    /// The device it was last seen at.
    pub last_dev: Option<Name>,
    /// Its upcalls in their order, up to 8.
    pub upcalls: Vec<UpcallId>,
    /// The flow it last hit: its address and UFID.
    pub flow: Option<(FlowPtr, Option<Ufid>)>,
    /// Whether a lookup missed.
    pub missed: bool,
    /// Ports that an `output` action sent it to, in their order, up to 8; the rest are in `outputs_cut`.
    pub outputs: Vec<PortNo>,
    /// Outputs beyond those.
    pub outputs_cut: u32,
    /// Events of it that are not kept, as there were too many of one packet.
    pub events_cut: u32,
}

impl Packet {
    /// Nanoseconds from its first event to its last so far.
    pub fn total(&self) -> Nanos {
        self.last.saturating_sub(self.first)
    }
}

/// What became of a packet, by what was seen of it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent to at least one port: [`Packet::outputs`].
    Forwarded,
    /// A `drop` action, with its reason (an errno or 0).
    Dropped {
        /// As the flow gives it.
        reason: u32,
    },
    /// Actions were due (it hit a flow, or was given back) and none was executed: a flow that drops, unless events
    /// were lost ([`Loss::any`](crate::event::Loss::any)).
    NoAction,
    /// The daemon put a flow for it and did not give it back: it drops the packet.
    NotGivenBack,
    /// Its last upcall could not be queued: it is lost.
    Lost {
        /// Minus an errno.
        ret: i32,
    },
    /// It went up and no handler has received it so far.
    NotHandledYet,
    /// A handler received it and has not answered so far.
    NotAnsweredYet,
    /// It went up by a `userspace` action, was received, and no answer followed: that is how sampling and packets to
    /// the controller end.
    ToUserspace,
    /// It was given back and the kernel refused.
    ExecFailed {
        /// Minus an errno.
        ret: i32,
    },
    /// Other actions were executed, none of them an output.
    Consumed,
    /// Nothing that ends it was seen so far.
    InFlight,
}
