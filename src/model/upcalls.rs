//! Upcalls, from the datapath to the handler and back.

use crate::event::{Comm, DpIfindex, Nanos, PacketId, PortNo, PutKind, Ufid, UpcallCmd, UpcallId};

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
}

/// An upcall. Of one that made several messages (GSO), what is here is of the first of them.
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
    /// The flow put.
    pub put: Option<PutDone>,
    /// The packet given back.
    pub exec: Option<ExecDone>,
    /// The first action on the packet given back.
    pub first_action: Option<Nanos>,
    /// Its last event so far.
    pub last: Nanos,
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
    /// The packet was given back, and the flow could not be put.
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
    /// Received; not answered so far.
    ReceivedNotAnswered,
    /// Under way: a step is a second old at most and another may follow.
    InProgress,
    /// Its beginning was not seen (made before tracing began, lost or evicted), and no answer to it either.
    BeginNotSeen,
}

impl UpcallEnd {
    /// A few words for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "flow and packet",
            Self::FlowOnly => "flow only",
            Self::ExecOnly => "packet only",
            Self::PutFailed { .. } => "put failed",
            Self::ExecFailed { .. } => "execute failed",
            Self::Refused { .. } => "lost",
            Self::NotHandledYet => "not handled yet",
            Self::ReceivedNotAnswered => "not answered yet",
            Self::InProgress => "in progress",
            Self::BeginNotSeen => "begin not seen",
        }
    }
}
