//! What happens to one packet on its way: the generic stack, the lookup, the upcall and back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cookie, DpIfindex, FlowMatch, FlowPtr, Name, Nanos, PortNo, Ufid};

/// A generic point of the network stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DevPoint {
    /// Tracepoint `net:net_dev_queue`: given to a device's queue.
    NetDevQueue,
    /// Tracepoint `net:net_dev_start_xmit`: handed to the driver.
    NetDevStartXmit,
    /// Tracepoint `net:net_dev_xmit`: the driver took it (`ret` 0) or not.
    NetDevXmit,
    /// Tracepoint `net:netif_rx`: queued for receiving on this CPU.
    NetifRx,
    /// Tracepoint `net:netif_receive_skb`: received from a device.
    NetifReceiveSkb,
    /// Function `skb_scrub_packet`: stripped of its metadata on the way to another namespace.
    SkbScrubPacket,
}

impl DevPoint {
    /// The point of a number, on the kernel side (`enum wire_what`) and in recordings: the place among the variants.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::NetDevQueue,
            1 => Self::NetDevStartXmit,
            2 => Self::NetDevXmit,
            3 => Self::NetifRx,
            4 => Self::NetifReceiveSkb,
            5 => Self::SkbScrubPacket,
            _ => return None,
        })
    }

    /// The kernel's name for it, which is also its `type` in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetDevQueue => "net_dev_queue",
            Self::NetDevStartXmit => "net_dev_start_xmit",
            Self::NetDevXmit => "net_dev_xmit",
            Self::NetifRx => "netif_rx",
            Self::NetifReceiveSkb => "netif_receive_skb",
            Self::SkbScrubPacket => "skb_scrub_packet",
        }
    }
}

/// A packet at a generic point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DevStep {
    /// The point; in JSON it is the event's `type`.
    #[serde(rename = "type")]
    pub point: DevPoint,
    /// The device.
    pub dev: Name,
    /// The device's index in its namespace.
    pub ifindex: u32,
    /// The inode of the device's network namespace, as in `/proc/PID/ns/net`.
    pub netns: u32,
    /// Bytes in the packet, `skb->len`.
    pub len: u32,
    /// The driver's answer at `net_dev_xmit`, else 0.
    pub ret: i32,
}

/// The return of `ovs_flow_tbl_lookup_stats`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowLookup {
    /// The datapath.
    pub dp: DpIfindex,
    /// The port the packet came in by; none where the lookup's key was not seen.
    pub in_port: Option<PortNo>,
    /// The recirculation id it was looked up with; 0 on the first pass.
    pub recirc_id: u32,
    /// The flow that was hit; none is a miss.
    pub flow: Option<FlowPtr>,
    /// That flow's actions at the time: the same UFID may come back with others.
    pub sf_acts: Option<FlowPtr>,
    /// That flow's UFID; none on a miss, and for flows that have only a key.
    pub ufid: Option<Ufid>,
    /// Masks that were tried.
    pub n_mask_hit: u32,
    /// Masks found through the mask cache.
    pub n_cache_hit: u32,
}

/// Why a packet is sent up; `enum ovs_packet_cmd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpcallCmd {
    /// `OVS_PACKET_CMD_MISS`, 1: no flow matched.
    Miss,
    /// `OVS_PACKET_CMD_ACTION`, 2: a `userspace` action.
    Action,
    /// Any other number the kernel gave.
    #[serde(untagged)]
    Other(u8),
}

impl From<u8> for UpcallCmd {
    fn from(cmd: u8) -> Self {
        match cmd {
            1 => Self::Miss,
            2 => Self::Action,
            other => Self::Other(other),
        }
    }
}

impl From<UpcallCmd> for u8 {
    fn from(cmd: UpcallCmd) -> Self {
        match cmd {
            UpcallCmd::Miss => 1,
            UpcallCmd::Action => 2,
            UpcallCmd::Other(other) => other,
        }
    }
}

/// Tracepoint `openvswitch:ovs_dp_upcall`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upcall {
    /// The datapath.
    pub dp: DpIfindex,
    /// The port the packet came in by.
    pub in_port: PortNo,
    /// The recirculation id it missed with.
    pub recirc_id: u32,
    /// Why it goes up.
    pub cmd: UpcallCmd,
    /// The netlink port (socket) of the handler it goes to. 0: nobody listens.
    pub port: u32,
    /// The largest fragment of a reassembled packet, in bytes; 0 when it was not fragmented.
    pub mru: u32,
    /// Bytes in the packet, `skb->len`.
    pub len: u32,
    /// The packet's flow hash in the kernel, `skb->hash`.
    pub skb_hash: u32,
    /// What the daemon wrote into the `userspace` action that makes it: why. Only with `cmd` action.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cookie: Option<Box<Cookie>>,
}

/// One message on a handler's socket, or the failure to put it there: the return of `queue_userspace_packet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpcallEnqueue {
    /// 0, or minus an errno: -EAGAIN the socket is full, -ENOTCONN nobody listens, -ECONNREFUSED it is gone.
    pub ret: i32,
    /// Why the packet goes up.
    pub cmd: UpcallCmd,
    /// The netlink port it was sent to.
    pub port: u32,
    /// When its upcall began.
    pub upcall_ts: Nanos,
    /// The CPU of the upcall.
    pub upcall_cpu: u32,
    /// The message's identity, the same when it is received. 0 when no message was made.
    pub queue_id: u64,
    /// Which of the upcall's messages this is, from 0 (GSO makes several).
    pub index: u32,
}

/// The return of `ovs_dp_upcall`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpcallReturn {
    /// 0, or minus an errno.
    pub ret: i32,
    /// When its upcall began.
    pub upcall_ts: Nanos,
    /// The CPU of the upcall.
    pub upcall_cpu: u32,
}

/// A handler received an upcall's message: the return of `skb_recv_datagram` with that very message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpcallRecv {
    /// The netlink port it was received on.
    pub port: u32,
    /// Bytes of the packet in the message.
    pub pkt_size: u32,
    /// Bytes of the flow key in the message.
    pub key_size: u32,
    /// The message's identity, as in its [`UpcallEnqueue`].
    pub queue_id: u64,
    /// Nanoseconds since the enqueue.
    pub wait_ns: u64,
    /// When the handler began this batch: its first receive.
    pub batch_ts: Nanos,
    /// Its place in the batch, from 0.
    pub batch_idx: u32,
}

/// How a flow was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PutKind {
    /// `OVS_FLOW_CMD_NEW`.
    New,
    /// `OVS_FLOW_CMD_SET`: an existing flow got new actions.
    Set,
}

/// A flow was installed or changed: `ovs_flow_cmd_new` / `ovs_flow_cmd_set`. The event's time is the call's begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowPut {
    /// New, or changed.
    pub kind: PutKind,
    /// What was done and how it went.
    #[serde(flatten)]
    pub op: FlowOp,
}

/// An operation on a flow, in the thread that asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowOp {
    /// The datapath.
    pub dp: DpIfindex,
    /// 0, or minus an errno.
    pub ret: i32,
    /// The flow; none where it was named by its key alone.
    pub ufid: Option<Ufid>,
    /// Nanoseconds in the kernel.
    pub took_ns: u64,
    /// When the handler began the batch that this belongs to; 0 where it belongs to none.
    pub batch_ts: Nanos,
    /// Its place in that batch.
    pub batch_idx: u32,
    /// The message of the upcall it answers, as in its [`UpcallEnqueue`]; 0 where it answers none.
    pub queue_id: u64,
}

/// What a new flow matches. There is one for at most 200 flows a second, and none for a flow whose match is uncommonly
/// long; `left_out` counts the others. It comes with the [`FlowPut`] of the same time and thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowShape {
    /// The datapath.
    pub dp: DpIfindex,
    /// The flow.
    pub ufid: Option<Ufid>,
    /// The fields of its key that its mask lets count.
    pub matches: FlowMatch,
    /// Bytes of its actions as netlink attributes; 0 where it drops.
    pub actions_len: u32,
    /// New flows without such an event so far, since the probes were attached.
    pub left_out: u64,
}

/// A packet given back with actions: `ovs_packet_cmd_execute`. The event's time is the call's begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PacketExec {
    /// The datapath.
    pub dp: DpIfindex,
    /// 0, or minus an errno.
    pub ret: i32,
    /// Bytes in the packet.
    pub len: u32,
    /// Nanoseconds in the kernel, all the actions included.
    pub took_ns: u64,
    /// When the handler began the batch that this belongs to; 0 where it belongs to none.
    pub batch_ts: Nanos,
    /// Its place in that batch.
    pub batch_idx: u32,
    /// The message of the upcall it answers, as in its [`UpcallEnqueue`]; 0 where it answers none.
    pub queue_id: u64,
}

/// The first bytes of a packet, from its Ethernet header on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PacketBytes {
    /// Bytes in the whole packet.
    pub len: u32,
    /// The first of those bytes. In JSON base64.
    #[serde(with = "base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub data: Box<[u8]>,
}

mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Box<[u8]>, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map(Vec::into_boxed_slice).map_err(D::Error::custom)
    }
}
