//! Flows: hits, rates, who put them and when they went.

use super::{meter::Meter, summary::PacketSummary};
use crate::event::{DpIfindex, FlowPtr, Nanos, PacketId, PortNo, PutKind, Ufid};

/// A flow's identity on the screen: it stays the same when the flow gets new actions, or is deleted and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowKey {
    /// By its UFID, in a datapath (0 where that is not known).
    Ufid(DpIfindex, Ufid),
    /// One that is known by its key alone: by its address.
    Ptr(DpIfindex, FlowPtr),
}

/// The last put of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPut {
    /// When it began.
    pub ts: Nanos,
    /// New, or changed.
    pub kind: PutKind,
    /// 0, or minus an errno.
    pub ret: i32,
    /// Nanoseconds in the kernel.
    pub took_ns: u64,
}

/// A flow of the datapath (megaflow).
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Its identity.
    pub key: FlowKey,
    /// Its UFID; none when it is known by its key alone.
    pub ufid: Option<Ufid>,
    /// Its datapath; 0 where that is not known.
    pub dp: DpIfindex,
    /// Its address, as soon as a packet hit it.
    pub flow: Option<FlowPtr>,
    /// Its actions, as of the last hit: another address is another generation.
    pub sf_acts: Option<FlowPtr>,
    /// Times that its actions were seen to have changed.
    pub generations: u32,
    /// When it was first seen: put, hit or counted.
    pub first_seen: Nanos,
    /// When its hits were last seen to have grown: at most a quarter second after the hit.
    pub last_hit: Option<Nanos>,
    /// Upcalls that were answered with a put of it.
    pub upcalls: u64,
    /// Its last put.
    pub last_put: Option<LastPut>,
    /// Puts of it that failed.
    pub puts_failed: u32,
    /// When it was deleted, if it was not put or hit since.
    pub deleted: Option<Nanos>,
    /// Masks that were tried when a recorded packet last hit it.
    pub masks_tried: Option<u32>,
    /// The last recorded packet that hit it or made it.
    pub last_packet: Option<PacketId>,
    /// The port that packet came in by.
    pub in_port: Option<PortNo>,
    /// What that packet looked like.
    pub summary: Option<PacketSummary>,
    pub(super) hits: Meter,
}

impl Flow {
    /// Hits since the probes were attached, exact but for
    /// [`Counters::flow_hits_uncounted`](crate::event::Counters::flow_hits_uncounted).
    pub fn hits(&self) -> u64 {
        self.hits.value()
    }
}

/// What flows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowSort {
    /// Hits since the probes were attached.
    Hits,
    /// Hits per second.
    HitRate,
    /// Upcalls answered with a put of it.
    Upcalls,
    /// When it was last hit.
    LastHit,
    /// When it was first seen.
    FirstSeen,
    /// When it was last put.
    LastPut,
    /// Masks tried at its last recorded hit.
    MasksTried,
    /// When it was deleted; those that were not come as the smallest.
    Deleted,
}
