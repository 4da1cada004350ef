//! A packet: what its events say of it, and what became of it.

use super::{
    meter::SECOND,
    summary::PacketSummary,
    upcalls::{Upcall, UpcallEnd},
};
use crate::event::{
    Action, Body, DpIfindex, Drop, Event, FlowPtr, Name, Nanos, PacketBytes, PacketId, PortNo, Ufid, UpcallCmd,
    UpcallId,
};

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
    /// Bytes in the packet, where seen: at its upcall, else at the first point that says it; without the Ethernet header where
    /// that was a receiving point.
    pub len: Option<u32>,
    /// The device it was first seen at.
    pub first_dev: Option<Name>,
    /// The device it was last seen at.
    pub last_dev: Option<Name>,
    /// Its upcalls in their order: if there are more than 8, the first 7 and the last.
    pub upcalls: Vec<UpcallId>,
    /// The flow it last hit: its address and UFID.
    pub flow: Option<(FlowPtr, Option<Ufid>)>,
    /// Whether a lookup missed.
    pub missed: bool,
    /// Ports that an `output` action sent it to, in their order, up to 8; the rest are counted in `outputs_cut`.
    pub outputs: Vec<PortNo>,
    /// Outputs beyond those.
    pub outputs_cut: u32,
    /// Events of it that are not kept, because one packet had too many.
    pub events_cut: u32,
    /// Actions executed on it.
    pub(super) actions: u32,
    /// The last time that the datapath dropped it, or a clone of it, for a reason of its own: since Linux 6.6.
    pub dropped: Option<Drop>,
    /// The reason of a `drop` action.
    pub(super) drop: Option<u32>,
    /// When and on which CPU it was at `first_dev` and at `last_dev`.
    dev_at: [(Nanos, u32); 2],
    /// When its bytes were reported.
    bytes_at: Option<Nanos>,
    /// Where `len` is from.
    len_from: LenFrom,
}

/// What a packet's length is known from, the best source last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LenFrom {
    Nothing,
    Dev,
    Bytes,
    Upcall,
}

/// Upcalls and outputs that are kept of a packet.
const FEW: usize = 8;

impl Packet {
    pub(super) fn new(id: PacketId, ts: Nanos) -> Self {
        Self {
            id,
            first: ts,
            last: ts,
            dp: None,
            in_port: None,
            bytes: None,
            summary: None,
            len: None,
            first_dev: None,
            last_dev: None,
            upcalls: Vec::new(),
            flow: None,
            missed: false,
            outputs: Vec::new(),
            outputs_cut: 0,
            events_cut: 0,
            actions: 0,
            dropped: None,
            drop: None,
            dev_at: [(0, 0); 2],
            bytes_at: None,
            len_from: LenFrom::Nothing,
        }
    }

    /// Forgets what its events said, so that they can be applied again in another order.
    pub(super) fn unsay(&mut self) {
        let (outputs, upcalls) = (std::mem::take(&mut self.outputs), std::mem::take(&mut self.upcalls));
        let (bytes, summary, at) = (self.bytes.take(), self.summary, self.bytes_at);
        *self = Self { events_cut: self.events_cut, outputs, upcalls, ..Self::new(self.id, Nanos::MAX) };
        self.outputs.clear();
        self.upcalls.clear();
        self.last = 0;
        if let (Some(bytes), Some(at)) = (bytes, at) {
            self.note_bytes(at, bytes, summary);
        }
    }

    /// Takes its bytes, the earliest ones.
    pub(super) fn note_bytes(&mut self, ts: Nanos, bytes: PacketBytes, summary: Option<PacketSummary>) {
        self.first = self.first.min(ts);
        self.last = self.last.max(ts);
        self.say_len(LenFrom::Bytes, bytes.len);
        self.bytes_at = Some(ts);
        self.summary = summary;
        self.bytes = Some(bytes);
    }

    /// Whether it made upcalls of which its bytes are not known.
    pub(super) fn is_unseen(&self) -> bool {
        self.bytes.is_none() && !self.upcalls.is_empty()
    }

    fn say_len(&mut self, from: LenFrom, len: u32) {
        if from > self.len_from || (from == LenFrom::Upcall && self.len_from == from) {
            self.len_from = from;
            self.len = Some(len);
        }
    }

    /// Whether an event that comes late has the same effect as it would have had in its place: most do.
    pub(super) fn can_be_late(&self, event: &Event) -> bool {
        event.upcall.is_none_or(|upcall| self.upcalls.contains(&upcall))
            && match &event.body {
                Body::FlowLookup(_) | Body::Upcall(_) => false,
                Body::ActionExecute(e) => match e.action {
                    Action::Output { .. } => self.outputs.is_empty(),
                    Action::Drop { .. } => self.drop.is_none(),
                    _ => true,
                },
                Body::Drop(e) => self.dropped.is_none() || !e.is_ovs(),
                Body::Dev(_) => self.len_from > LenFrom::Dev,
                _ => true,
            }
    }

    /// Applies an event; all its events are applied in the order of their times.
    pub(super) fn note(&mut self, event: &Event) {
        self.first = self.first.min(event.ts);
        self.last = self.last.max(event.ts);
        match &event.body {
            Body::FlowLookup(e) => {
                self.dp = self.dp.or(Some(e.dp));
                self.in_port = self.in_port.or(e.in_port);
                if let Some(flow) = e.flow {
                    self.flow = Some((flow, e.ufid));
                } else {
                    self.missed = true;
                }
            }
            Body::Upcall(e) => {
                self.dp = self.dp.or(Some(e.dp));
                self.in_port = self.in_port.or(Some(e.in_port));
                self.say_len(LenFrom::Upcall, e.len);
            }
            Body::ActionExecute(e) => {
                self.actions = self.actions.saturating_add(1);
                match e.action {
                    Action::Output { port } if self.outputs.len() < FEW => self.outputs.push(PortNo(port)),
                    Action::Output { .. } => self.outputs_cut = self.outputs_cut.saturating_add(1),
                    Action::Drop { reason } => self.drop = Some(reason),
                    _ => {}
                }
            }
            Body::Drop(e) if e.is_ovs() => self.dropped = Some(e.clone()),
            Body::Dev(e) => {
                let at = (event.ts, event.cpu);
                if self.first_dev.is_none() || at < self.dev_at[0] {
                    self.first_dev = Some(e.dev);
                    self.dev_at[0] = at;
                }
                if self.last_dev.is_none() || at >= self.dev_at[1] {
                    self.last_dev = Some(e.dev);
                    self.dev_at[1] = at;
                }
                self.say_len(LenFrom::Dev, e.len);
            }
            _ => {}
        }
        if let Some(upcall) = event.upcall
            && self.upcalls.last() != Some(&upcall)
            && !self.upcalls.contains(&upcall)
        {
            if self.upcalls.len() == FEW {
                self.upcalls.pop();
            }
            self.upcalls.push(upcall);
        }
    }

    /// What became of it, given its last upcall.
    pub(super) fn fate(&self, upcall: Option<&Upcall>, now: Nanos) -> Fate {
        let settled = now.saturating_sub(self.last) >= SECOND;
        let end = upcall.map(|u| u.end(now));
        let is_action = upcall.is_some_and(|u| u.cmd == Some(UpcallCmd::Action));
        let executed = if self.actions > 0 { Fate::Consumed } else { Fate::NoAction };
        if !self.outputs.is_empty() {
            return Fate::Forwarded;
        }
        if let Some(reason) = self.drop {
            return Fate::Dropped { reason };
        }
        if self.dropped.is_some() {
            return Fate::DroppedFor;
        }
        match end {
            Some(UpcallEnd::Refused { ret }) => Fate::Lost { ret },
            Some(UpcallEnd::ExecFailed { ret }) => Fate::ExecFailed { ret },
            Some(UpcallEnd::NotHandledYet) => Fate::NotHandledYet,
            Some(UpcallEnd::ReceivedNotAnswered) if is_action && settled => Fate::ToUserspace,
            Some(UpcallEnd::ReceivedNotAnswered | UpcallEnd::BeginNotSeen) => Fate::NotAnsweredYet,
            Some(UpcallEnd::FlowOnly | UpcallEnd::Asked { exec: false, .. }) => Fate::NotGivenBack,
            Some(UpcallEnd::Asked { .. }) if self.actions > 0 => executed,
            Some(UpcallEnd::PutFailed { .. }) if upcall.is_some_and(|u| u.exec.is_none()) => Fate::NotGivenBack,
            Some(UpcallEnd::Forwarded | UpcallEnd::ExecOnly | UpcallEnd::PutFailed { .. }) => executed,
            None if settled && (self.flow.is_some() || self.actions > 0) => executed,
            // What became of the packet that the daemon asked to give back is not known.
            Some(UpcallEnd::InProgress | UpcallEnd::Unknown | UpcallEnd::Asked { .. }) | None => Fate::InFlight,
        }
    }

    /// Nanoseconds from its first event to its last so far.
    pub fn total(&self) -> Nanos {
        self.last.saturating_sub(self.first)
    }
}

/// A packet with all that is kept of it, apart from the model: at most
/// [`Limits::events_per_packet`](super::Limits::events_per_packet) events.
#[derive(Debug, Clone, PartialEq)]
pub struct PacketSnapshot {
    /// The packet.
    pub packet: Packet,
    /// Its events in the order of their times.
    pub events: Vec<Event>,
    /// Those of its upcalls that are kept.
    pub upcalls: Vec<Upcall>,
    /// What became of it so far.
    pub fate: Fate,
}

/// What became of a packet, by what was seen of it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent to at least one port: [`Packet::outputs`].
    Forwarded,
    /// A `drop` action, with its reason (an errno or 0).
    Dropped {
        /// The reason in the flow's action.
        reason: u32,
    },
    /// The datapath dropped it, for the reason that it gave: [`Packet::dropped`].
    DroppedFor,
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

impl Fate {
    /// How bad it is, from 0: lost is worse than dropped by a flow, and under way is worse than done.
    pub fn badness(self) -> u8 {
        match self {
            Self::Forwarded => 0,
            Self::Consumed => 1,
            Self::ToUserspace => 2,
            Self::InFlight => 3,
            Self::NotAnsweredYet => 4,
            Self::NotHandledYet => 5,
            Self::NotGivenBack => 6,
            Self::NoAction => 7,
            Self::Dropped { .. } => 8,
            Self::DroppedFor => 9,
            Self::ExecFailed { .. } => 10,
            Self::Lost { .. } => 11,
        }
    }
}
