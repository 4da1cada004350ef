//! Upcalls, from the datapath to the handler and back.

mod steps;

use super::meter::SECOND;
use crate::event::{Body, Comm, DpIfindex, Event, Nanos, PacketId, PortNo, PutKind, Ufid, UpcallCmd, UpcallId};

/// A message of an upcall given to a handler's socket, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// When.
    pub ts: Nanos,
    /// 0, or minus an errno.
    pub ret: i32,
    /// The message; 0 when none was made.
    pub queue_id: u64,
}

/// A handler took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// When.
    pub ts: Nanos,
    /// The handler's thread.
    pub tid: u32,
    /// Its name.
    pub comm: Comm,
    /// Nanoseconds in the socket's queue.
    pub wait_ns: u64,
    /// When the handler began the batch.
    pub batch_ts: Nanos,
    /// Its place in the batch, from 0.
    pub batch_idx: u32,
    /// The message.
    pub queue_id: u64,
}

/// The flow put for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutDone {
    /// When it began.
    pub ts: Nanos,
    /// Nanoseconds in the kernel.
    pub took_ns: u64,
    /// 0, or minus an errno.
    pub ret: i32,
    /// Which flow; none when it was named by its key alone.
    pub ufid: Option<Ufid>,
    /// New, or changed.
    pub kind: PutKind,
    /// The message that it answers; 0 where that is not known.
    pub queue_id: u64,
}

/// The packet given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecDone {
    /// When it began.
    pub ts: Nanos,
    /// Nanoseconds in the kernel, the actions included.
    pub took_ns: u64,
    /// 0, or minus an errno.
    pub ret: i32,
    /// The message that it answers; 0 where that is not known.
    pub queue_id: u64,
    /// The CPU that it was done on.
    pub(super) cpu: u32,
}

/// What the daemon's own probes (USDT) say that it was about to ask for, and when first. Whether the kernel did it is another
/// matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// For a flow.
    pub put: Option<Nanos>,
    /// For the packet to be given back.
    pub exec: Option<Nanos>,
}

/// An upcall. Of one that made several messages (GSO), what is here is of the first of them that was seen.
///
/// The order in which events of several CPUs came makes no difference: each step is that of the lowest message, and of those
/// the earliest, whichever came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upcall {
    /// Its identity.
    pub id: UpcallId,
    /// Its packet.
    pub packet: Option<PacketId>,
    /// When it was made; where its beginning was not seen ([`Upcall::begun`]), its first event.
    pub ts: Nanos,
    /// Whether the upcall itself was seen. Not so for one made before tracing began, or whose first events are lost
    /// or were evicted.
    pub begun: bool,
    /// The lookup that missed, where there was one.
    pub lookup: Option<Nanos>,
    /// The datapath; none where its beginning was not seen.
    pub dp: Option<DpIfindex>,
    /// The port the packet came in by; none where its beginning was not seen.
    pub in_port: Option<PortNo>,
    /// Why; none where it was not seen.
    pub cmd: Option<UpcallCmd>,
    /// What the daemon's action is for, in a word (`controller`, `sFlow`, …); none for a miss.
    pub made_by: Option<&'static str>,
    /// The netlink port of the handler it goes to; none where it was not seen.
    pub port: Option<u32>,
    /// Bytes in the packet; 0 where its beginning was not seen.
    pub len: u32,
    /// Its first message on the socket.
    pub enqueue: Option<Enqueued>,
    /// Messages that were queued.
    pub messages: u32,
    /// Messages that could not be queued.
    pub messages_refused: u32,
    /// What `ovs_dp_upcall` returned and when.
    pub returned: Option<(Nanos, i32)>,
    /// The handler's receive.
    pub recv: Option<Received>,
    /// What the daemon's own probes said that it asks for.
    pub asked: Asked,
    /// The flow put.
    pub put: Option<PutDone>,
    /// The packet given back.
    pub exec: Option<ExecDone>,
    /// The first action on the packet given back.
    pub first_action: Option<Nanos>,
    /// When its last event was so far, not counting generic points that the packet given back passed.
    pub last: Nanos,
    /// Whether `ts` is when it was made: from the upcall itself or from an event that says it.
    ts_known: bool,
    /// Which message `enqueue` is of.
    index: u32,
    /// The message and the CPU of the first action.
    action: (u64, u32),
    /// Stages that are in the histograms, as bits.
    recorded: u8,
    /// Whether it waits to be settled.
    doubted: bool,
}

/// How an upcall ended, or where it stands. By what was seen; an end whose event was lost
/// ([`Loss::any`](crate::event::Loss::any)) looks like one that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpcallEnd {
    /// A flow was put and the packet given back.
    Forwarded,
    /// A flow was put and the packet not given back within a second: it is dropped.
    FlowOnly,
    /// The packet was given back and no flow put: the flow limit, the slow path, or another upcall's put.
    ExecOnly,
    /// The daemon's own probes said that it asks for this, and what the kernel did with the flow or the packet was not seen. A
    /// packet whose actions were seen counts as asked for.
    Asked {
        /// A flow.
        put: bool,
        /// The packet given back.
        exec: bool,
    },
    /// The flow could not be put. The packet may have been given back all the same: [`Upcall::exec`].
    PutFailed {
        /// Minus an errno.
        ret: i32,
    },
    /// The packet was given back and the kernel refused.
    ExecFailed {
        /// Minus an errno.
        ret: i32,
    },
    /// It could not be queued: the packet is lost.
    Refused {
        /// Minus an errno.
        ret: i32,
    },
    /// Queued; no handler has received it so far.
    NotHandledYet,
    /// Received; not answered so far. Action upcalls mostly are not.
    ReceivedNotAnswered,
    /// Under way: its last step is a second old at most, and another may follow.
    InProgress,
    /// Received; its beginning was not seen (made before tracing began, lost or evicted), and no answer so far.
    BeginNotSeen,
    /// It was made, and nothing more was seen for a second, not even whether it was queued: events were lost, or their probes
    /// are missing.
    Unknown,
}

impl UpcallEnd {
    /// A few words for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "flow and packet",
            Self::FlowOnly => "flow only",
            Self::ExecOnly => "packet only",
            Self::Asked { put: true, exec: true } => "both asked",
            Self::Asked { put: true, .. } => "flow asked",
            Self::Asked { .. } => "packet asked",
            Self::PutFailed { .. } => "put failed",
            Self::ExecFailed { .. } => "execute failed",
            Self::Refused { .. } => "lost",
            Self::NotHandledYet => "not handled yet",
            Self::ReceivedNotAnswered => "not answered yet",
            Self::InProgress => "in progress",
            Self::BeginNotSeen => "begin not seen",
            Self::Unknown => "unknown",
        }
    }
}

impl Upcall {
    pub(super) fn new(id: UpcallId, ts: Nanos) -> Self {
        Self {
            id,
            packet: None,
            ts,
            begun: false,
            lookup: None,
            dp: None,
            in_port: None,
            cmd: None,
            made_by: None,
            port: None,
            len: 0,
            enqueue: None,
            messages: 0,
            messages_refused: 0,
            returned: None,
            recv: None,
            asked: Asked::default(),
            put: None,
            exec: None,
            first_action: None,
            last: ts,
            ts_known: false,
            index: u32::MAX,
            action: (0, 0),
            recorded: 0,
            doubted: false,
        }
    }

    /// How it ended, or where it stands at `now`.
    pub fn end(&self, now: Nanos) -> UpcallEnd {
        let settled = now.saturating_sub(self.last) >= SECOND;
        let Asked { put: asked_put, exec: asked_exec } = self.asked;
        let both = UpcallEnd::Asked { put: true, exec: true };
        if let Some(exec) = self.exec {
            return match self.put {
                _ if exec.ret != 0 => UpcallEnd::ExecFailed { ret: exec.ret },
                Some(put) if put.ret != 0 => UpcallEnd::PutFailed { ret: put.ret },
                Some(_) => UpcallEnd::Forwarded,
                None if asked_put.is_some() => both,
                None => UpcallEnd::ExecOnly,
            };
        }
        let refused = match self.returned {
            Some((_, ret)) if ret != 0 => Some(ret),
            _ => self.enqueue.filter(|e| e.ret != 0 && self.messages == 0).map(|e| e.ret),
        };
        let queued = self.messages > 0 || matches!(self.returned, Some((_, 0)));
        match (self.put, self.first_action, self.recv) {
            (Some(_), ..) | (_, Some(_), _) if !settled => UpcallEnd::InProgress,
            (Some(put), ..) if put.ret != 0 => UpcallEnd::PutFailed { ret: put.ret },
            (Some(_), Some(_), _) => UpcallEnd::Forwarded,
            (Some(_), None, _) if asked_exec.is_some() => both,
            (Some(_), None, _) => UpcallEnd::FlowOnly,
            (None, Some(_), _) if asked_put.is_some() => both,
            (None, Some(_), _) => UpcallEnd::ExecOnly,
            (None, None, _) if self.asked != Asked::default() && !settled => UpcallEnd::InProgress,
            (None, None, _) if self.asked != Asked::default() => {
                UpcallEnd::Asked { put: asked_put.is_some(), exec: asked_exec.is_some() }
            }
            (None, None, Some(_)) if !self.begun && self.enqueue.is_none() => UpcallEnd::BeginNotSeen,
            (None, None, Some(_)) => UpcallEnd::ReceivedNotAnswered,
            (None, None, None) => match refused {
                Some(ret) => UpcallEnd::Refused { ret },
                None if queued => UpcallEnd::NotHandledYet,
                None if settled => UpcallEnd::Unknown,
                None => UpcallEnd::InProgress,
            },
        }
    }
}

/// Whether an event says something of its upcall. Generic points of the packet given back do not.
pub fn concerns_upcall(event: &Event) -> bool {
    matches!(
        event.body,
        Body::Upcall(_)
            | Body::UpcallEnqueue(_)
            | Body::UpcallReturn(_)
            | Body::UpcallRecv(_)
            | Body::FlowPut(_)
            | Body::FlowExec(_)
            | Body::ActionExecute(_)
            | Body::FlowOperation(_)
    )
}
