//! The datapath's actions, each with its arguments.
//!
//! Numbers and layouts: `enum ovs_action_attr` and its structs in `include/uapi/linux/openvswitch.h`. What the
//! tracepoint sees is the kernel's internal form, which for some actions differs from that header
//! (`net/openvswitch/flow_netlink.c`); `bpf/action_args.h` reads what a pointer or a kernel's own struct holds.

mod attributes;
mod cookie;
mod ct;
mod decode;
mod keys;
mod set;
mod text;

use std::fmt::Write as _;

pub use cookie::{Cookie, Why};
pub use ct::{Ct, Family, Labels, Mark, Nat, NatDir};
pub use decode::{ActionError, Attribute, decode_action};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use set::{SetKey, Tunnel};

/// Tracepoint `openvswitch:ovs_do_execute_action`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionExecute {
    /// The datapath.
    pub dp: super::DpIfindex,
    /// The port the packet came in by.
    pub in_port: super::PortNo,
    /// The recirculation id it is at.
    pub recirc_id: u32,
    /// The message of the upcall that brought the packet back; 0 on the fast path.
    pub queue_id: u64,
    /// Which action, in JSON as `action`, with its arguments beside it.
    #[serde(flatten)]
    pub action: Action,
}

/// One action with its arguments. Where they may be missing, they were not recorded (by an older version), or stand
/// within another action's list as a pointer of the kernel's; they are there when that action is executed itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// To a port.
    Output {
        /// The port's number in the datapath.
        port: u32,
    },
    /// To userspace.
    Userspace(Box<Userspace>),
    /// Set one header.
    Set {
        /// Which, and to what.
        #[serde(flatten)]
        to: Option<Box<SetKey>>,
    },
    /// Push a VLAN header.
    PushVlan {
        /// Its ethertype.
        tpid: u16,
        /// The VLAN's id.
        vid: u16,
        /// Its priority.
        pcp: u8,
    },
    /// Pop the VLAN header.
    PopVlan,
    /// Some of the packets get further actions.
    Sample {
        /// How many, and which.
        #[serde(flatten)]
        args: Option<Box<Sample>>,
    },
    /// Look up again.
    Recirc {
        /// With this recirculation id.
        id: u32,
    },
    /// Compute a flow hash.
    Hash {
        /// `enum ovs_hash_alg`: 0 over the L4 header, 1 the same in both directions.
        algorithm: u32,
        /// Its start value.
        basis: u32,
    },
    /// Push an MPLS header.
    PushMpls {
        /// The label stack entry.
        #[serde(flatten)]
        lse: MplsLse,
        /// The ethertype after it.
        ethertype: u16,
    },
    /// Pop an MPLS header.
    PopMpls {
        /// The ethertype that remains.
        ethertype: u16,
    },
    /// Set fields under a mask.
    SetMasked {
        /// Which, and to what.
        #[serde(flatten)]
        to: Option<Box<SetKey>>,
    },
    /// Through connection tracking.
    Ct {
        /// Where and how.
        #[serde(flatten)]
        args: Option<Box<Ct>>,
    },
    /// Cut the packet for the output that follows.
    Trunc {
        /// To so many bytes.
        max_len: u32,
    },
    /// Push an Ethernet header.
    PushEth {
        /// Its addresses.
        #[serde(flatten)]
        addresses: Option<PushEth>,
    },
    /// Pop the Ethernet header.
    PopEth,
    /// Forget the connection tracking state.
    CtClear,
    /// Push an NSH header.
    PushNsh {
        /// It.
        #[serde(flatten)]
        header: Option<Box<Nsh>>,
    },
    /// Pop the NSH header.
    PopNsh,
    /// Through a meter.
    Meter {
        /// The meter's id.
        id: u32,
    },
    /// Actions on a copy.
    Clone {
        /// Which.
        #[serde(flatten)]
        actions: Option<Box<Nested>>,
    },
    /// By the packet's length.
    CheckPktLen {
        /// The length, and what is done on either side of it.
        #[serde(flatten)]
        args: Option<Box<CheckPktLen>>,
    },
    /// Push an MPLS header at a place.
    AddMpls {
        /// Which, and where.
        #[serde(flatten)]
        args: Option<AddMpls>,
    },
    /// Decrement the TTL.
    DecTtl {
        /// What is done with a packet whose TTL is used up.
        #[serde(flatten)]
        actions: Option<Box<Nested>>,
    },
    /// Drop explicitly.
    Drop {
        /// The reason the flow gives (`enum xlate_error` of the daemon); 0 is none.
        reason: u32,
    },
    /// To the psample group.
    Psample {
        /// Which.
        #[serde(flatten)]
        args: Option<Box<Psample>>,
    },
    /// A number this program does not know.
    Unknown {
        /// It.
        number: u16,
    },
}

/// To userspace, `enum ovs_userspace_attr`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Userspace {
    /// The netlink port it goes to; 0 or all ones when the dispatch decides.
    #[serde(rename = "portid")]
    pub pid: Option<u32>,
    /// The daemon's cookie (`struct user_action_cookie`), in hex.
    pub userdata: Option<String>,
    /// The same, read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cookie: Option<Cookie>,
    /// The tunnel port whose output it is to be told about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub egress_tun_port: Option<u32>,
    /// Whether the flow's actions go with it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub actions: bool,
}

/// Actions within an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Nested {
    /// They, in their order. None is a drop.
    pub actions: Vec<Action>,
    /// There are more than were taken from the kernel.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub cut: bool,
}

/// Some of the packets get further actions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// How many of 4294967295 (`UINT32_MAX`).
    pub probability: u32,
    /// What is done with those.
    #[serde(flatten)]
    pub actions: Nested,
}

/// By the packet's length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CheckPktLen {
    /// The length it is compared with, in bytes.
    pub len: u16,
    /// What is done with a longer one.
    pub greater: Nested,
    /// And with any other.
    pub less_equal: Nested,
}

/// An entry of the MPLS label stack, as a number; in JSON its parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "MplsParts", into = "MplsParts")]
pub struct MplsLse(pub u32);

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
struct MplsParts {
    label: u32,
    tc: u8,
    ttl: u8,
    bos: u8,
}

impl From<MplsLse> for MplsParts {
    fn from(MplsLse(lse): MplsLse) -> Self {
        Self { label: lse >> 12, tc: (lse >> 9 & 7) as u8, ttl: lse as u8, bos: (lse >> 8 & 1) as u8 }
    }
}

impl From<MplsParts> for MplsLse {
    fn from(MplsParts { label, tc, ttl, bos }: MplsParts) -> Self {
        Self(label << 12 | u32::from(tc & 7) << 9 | u32::from(bos & 1) << 8 | u32::from(ttl))
    }
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EthAddr(pub [u8; 6]);

impl Serialize for EthAddr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&text::mac(self.0))
    }
}

impl<'de> Deserialize<'de> for EthAddr {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
        let address = bytes.and_then(|bytes| bytes.try_into().ok()).map(Self);
        address.ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not an Ethernet address")))
    }
}

/// An Ethernet header that is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PushEth {
    /// Its source.
    pub src: EthAddr,
    /// Its destination.
    pub dst: EthAddr,
}

/// An MPLS header that is pushed at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct AddMpls {
    /// The label stack entry.
    #[serde(flatten)]
    pub lse: MplsLse,
    /// The packet's ethertype from then on.
    pub ethertype: u16,
    /// `OVS_MPLS_L3_TUNNEL_FLAG_MASK`, 1: before the L3 header; 0: before the packet.
    pub tun_flags: u16,
}

/// An NSH header (RFC 8300).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Nsh {
    /// Flags.
    pub flags: u8,
    /// Time to live.
    pub ttl: u8,
    /// Which metadata follow: 1 four words of context, 2 what has a length of its own.
    pub mdtype: u8,
    /// The protocol after it: 1 IPv4, 2 IPv6, 3 Ethernet.
    pub np: u8,
    /// Service path identifier, 24 bits.
    pub spi: u32,
    /// Service index.
    pub si: u8,
    /// The four words of context.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context: Option<[u32; 4]>,
    /// Other metadata, in hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub md2: Option<String>,
}

/// To the psample group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Psample {
    /// The group's number.
    pub group: u32,
    /// What its readers get with the packet, in hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cookie: Option<String>,
}

impl Action {
    /// The action's name in the field's own words, as `ovs-dpctl dump-flows` prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Output { .. } => "output",
            Self::Userspace(_) => "userspace",
            Self::Set { .. } => "set",
            Self::PushVlan { .. } => "push_vlan",
            Self::PopVlan => "pop_vlan",
            Self::Sample { .. } => "sample",
            Self::Recirc { .. } => "recirc",
            Self::Hash { .. } => "hash",
            Self::PushMpls { .. } => "push_mpls",
            Self::PopMpls { .. } => "pop_mpls",
            Self::SetMasked { .. } => "set_masked",
            Self::Ct { .. } => "ct",
            Self::Trunc { .. } => "trunc",
            Self::PushEth { .. } => "push_eth",
            Self::PopEth => "pop_eth",
            Self::CtClear => "ct_clear",
            Self::PushNsh { .. } => "push_nsh",
            Self::PopNsh => "pop_nsh",
            Self::Meter { .. } => "meter",
            Self::Clone { .. } => "clone",
            Self::CheckPktLen { .. } => "check_pkt_len",
            Self::AddMpls { .. } => "add_mpls",
            Self::DecTtl { .. } => "dec_ttl",
            Self::Drop { .. } => "drop",
            Self::Psample { .. } => "psample",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Roughly how many bytes it has outside of itself.
    pub fn heap_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Userspace(to) => {
                let cookie = to.cookie.as_ref().map_or(0, Cookie::heap_bytes);
                size_of::<Userspace>() + text(&to.userdata) + cookie
            }
            Self::Set { to: Some(to) } | Self::SetMasked { to: Some(to) } => size_of::<SetKey>() + to.heap_bytes(),
            Self::Sample { args: Some(sample) } => size_of::<Sample>() + sample.actions.heap_bytes(),
            Self::Ct { args: Some(ct) } => size_of::<Ct>() + ct.heap_bytes(),
            Self::PushNsh { header: Some(nsh) } => size_of::<Nsh>() + text(&nsh.md2),
            Self::Clone { actions: Some(actions) } | Self::DecTtl { actions: Some(actions) } => {
                size_of::<Nested>() + actions.heap_bytes()
            }
            Self::CheckPktLen { args: Some(args) } => {
                size_of::<CheckPktLen>() + args.greater.heap_bytes() + args.less_equal.heap_bytes()
            }
            Self::Psample { args: Some(args) } => size_of::<Psample>() + text(&args.cookie),
            _ => 0,
        }
    }
}

impl Nested {
    fn heap_bytes(&self) -> usize {
        self.actions.iter().map(|action| size_of::<Action>() + action.heap_bytes()).sum()
    }
}

/// Two digits for each byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
