//! The datapath's actions, from the attribute that the kernel is about to execute.
//!
//! Numbers and layouts: `enum ovs_action_attr` and its structs in `include/uapi/linux/openvswitch.h`. What the
//! tracepoint sees is the kernel's internal form, which for some actions differs from that header
//! (`net/openvswitch/flow_netlink.c`): those are named here with the arguments that have the same form everywhere.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Tracepoint `openvswitch:ovs_do_execute_action`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// One action with its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// To a port.
    Output {
        /// The port's number in the datapath.
        port: u32,
    },
    /// To userspace.
    Userspace {
        /// The netlink port it goes to; 0 or all ones when the dispatch decides.
        #[serde(rename = "portid")]
        pid: Option<u32>,
        /// The daemon's cookie (`struct user_action_cookie`), in hex.
        userdata: Option<String>,
    },
    /// Set one header.
    Set,
    /// Push a VLAN header.
    PushVlan {
        /// Its ethertype.
        tpid: u16,
        /// Its tag control information, without the bit that says "present".
        tci: u16,
    },
    /// Pop the VLAN header.
    PopVlan,
    /// Some of the packets get further actions.
    Sample,
    /// Look up again.
    Recirc {
        /// With this recirculation id.
        id: u32,
    },
    /// Compute a flow hash.
    Hash {
        /// `enum ovs_hash_alg`.
        algorithm: u32,
        /// Its start value.
        basis: u32,
    },
    /// Push an MPLS header.
    PushMpls {
        /// The label stack entry.
        lse: u32,
        /// The ethertype after it.
        ethertype: u16,
    },
    /// Pop an MPLS header.
    PopMpls {
        /// The ethertype that remains.
        ethertype: u16,
    },
    /// Set fields under a mask.
    SetMasked,
    /// Through connection tracking.
    Ct,
    /// Cut the packet for the output that follows.
    Trunc {
        /// To so many bytes.
        max_len: u32,
    },
    /// Push an Ethernet header.
    PushEth,
    /// Pop the Ethernet header.
    PopEth,
    /// Forget the connection tracking state.
    CtClear,
    /// Push an NSH header.
    PushNsh,
    /// Pop the NSH header.
    PopNsh,
    /// Through a meter.
    Meter {
        /// The meter's id.
        id: u32,
    },
    /// Actions on a copy.
    Clone,
    /// By the packet's length.
    CheckPktLen,
    /// Push an MPLS header at a place.
    AddMpls,
    /// Decrement the TTL.
    DecTtl,
    /// Drop explicitly.
    Drop {
        /// The reason the flow gives; an errno or 0.
        reason: u32,
    },
    /// To the psample group.
    Psample,
    /// A number this program does not know.
    Unknown {
        /// It.
        number: u16,
    },
}

/// An attribute that does not hold what its action needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("action {number} has {len} bytes of arguments, too few")]
pub struct ActionError {
    number: u16,
    len: usize,
}

/// `nla_type` without its flag bits, `NLA_TYPE_MASK`.
const NLA_TYPE_MASK: u16 = 0x3fff;
/// The bit that says "a tag is present" in a TCI of the kernel's.
const VLAN_CFI_MASK: u16 = 0x1000;

impl Action {
    /// The action's name in the field's own words, as `ovs-dpctl dump-flows` prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Output { .. } => "output",
            Self::Userspace { .. } => "userspace",
            Self::Set => "set",
            Self::PushVlan { .. } => "push_vlan",
            Self::PopVlan => "pop_vlan",
            Self::Sample => "sample",
            Self::Recirc { .. } => "recirc",
            Self::Hash { .. } => "hash",
            Self::PushMpls { .. } => "push_mpls",
            Self::PopMpls { .. } => "pop_mpls",
            Self::SetMasked => "set_masked",
            Self::Ct => "ct",
            Self::Trunc { .. } => "trunc",
            Self::PushEth => "push_eth",
            Self::PopEth => "pop_eth",
            Self::CtClear => "ct_clear",
            Self::PushNsh => "push_nsh",
            Self::PopNsh => "pop_nsh",
            Self::Meter { .. } => "meter",
            Self::Clone => "clone",
            Self::CheckPktLen => "check_pkt_len",
            Self::AddMpls => "add_mpls",
            Self::DecTtl => "dec_ttl",
            Self::Drop { .. } => "drop",
            Self::Psample => "psample",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Reads the action from its attribute's type (as in `nlattr.nla_type`) and the bytes after the attribute's header.
/// Bytes are in the host's order, as the kernel's own.
pub fn decode_action(nla_type: u16, args: &[u8]) -> Result<Action, ActionError> {
    let number = nla_type & NLA_TYPE_MASK;
    let short = || ActionError { number, len: args.len() };
    let u32_at = |at: usize| args.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
    let be16_at = |at: usize| args.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes);
    let be32_at = |at: usize| args.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    Ok(match number {
        1 => Action::Output { port: u32_at(0).ok_or_else(short)? },
        2 => decode_userspace(args),
        3 => Action::Set,
        // struct ovs_action_push_vlan { __be16 vlan_tpid; __be16 vlan_tci; }
        4 => Action::PushVlan {
            tpid: be16_at(0).ok_or_else(short)?,
            tci: be16_at(2).ok_or_else(short)? & !VLAN_CFI_MASK,
        },
        5 => Action::PopVlan,
        6 => Action::Sample,
        7 => Action::Recirc { id: u32_at(0).ok_or_else(short)? },
        // struct ovs_action_hash { u32 hash_alg; u32 hash_basis; }
        8 => Action::Hash { algorithm: u32_at(0).ok_or_else(short)?, basis: u32_at(4).ok_or_else(short)? },
        // struct ovs_action_push_mpls { __be32 mpls_lse; __be16 mpls_ethertype; }
        9 => Action::PushMpls { lse: be32_at(0).ok_or_else(short)?, ethertype: be16_at(4).ok_or_else(short)? },
        10 => Action::PopMpls { ethertype: be16_at(0).ok_or_else(short)? },
        11 => Action::SetMasked,
        12 => Action::Ct,
        // struct ovs_action_trunc { u32 max_len; }
        13 => Action::Trunc { max_len: u32_at(0).ok_or_else(short)? },
        14 => Action::PushEth,
        15 => Action::PopEth,
        16 => Action::CtClear,
        17 => Action::PushNsh,
        18 => Action::PopNsh,
        19 => Action::Meter { id: u32_at(0).ok_or_else(short)? },
        20 => Action::Clone,
        21 => Action::CheckPktLen,
        22 => Action::AddMpls,
        23 => Action::DecTtl,
        24 => Action::Drop { reason: u32_at(0).ok_or_else(short)? },
        25 => Action::Psample,
        number => Action::Unknown { number },
    })
}

/// `enum ovs_userspace_attr`: 1 PID, 2 USERDATA.
fn decode_userspace(args: &[u8]) -> Action {
    let (mut pid, mut userdata) = (None, None);
    for (kind, value) in Attributes(args) {
        match kind {
            1 => pid = value.try_into().ok().map(u32::from_ne_bytes),
            2 => userdata = Some(hex(value)),
            _ => {}
        }
    }
    Action::Userspace { pid, userdata }
}

/// The netlink attributes in some bytes: type and value of each, up to the first that does not fit.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let word = |at: usize| self.0.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes);
        let (len, kind) = (usize::from(word(0)?), word(2)? & NLA_TYPE_MASK);
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    }
}

/// Two digits for each byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_names_its_port() {
        assert_eq!(decode_action(1, &3u32.to_ne_bytes()), Ok(Action::Output { port: 3 }));
    }

    #[test]
    fn too_few_bytes_are_refused_with_their_number() {
        let refused = decode_action(7, &[1, 2]).expect_err("two bytes are no u32");
        assert_eq!(refused.to_string(), "action 7 has 2 bytes of arguments, too few");
    }

    #[test]
    fn userspace_gives_pid_and_cookie_and_passes_over_the_rest() {
        let mut args = Vec::new();
        for (kind, value) in [(1u16, &7u32.to_ne_bytes()[..]), (2, &[0xde, 0xad, 0xbe]), (4, &[])] {
            args.extend((value.len() as u16 + 4).to_ne_bytes());
            args.extend(kind.to_ne_bytes());
            args.extend(value);
            args.resize(args.len().next_multiple_of(4), 0);
        }
        assert_eq!(
            decode_action(2, &args),
            Ok(Action::Userspace { pid: Some(7), userdata: Some("deadbe".to_owned()) })
        );
    }

    #[test]
    fn a_broken_attribute_ends_the_list_and_nothing_else() {
        assert_eq!(decode_action(2, &[200, 0, 1, 0, 1]), Ok(Action::Userspace { pid: None, userdata: None }));
        assert_eq!(decode_action(2, &[0, 0, 0, 0]), Ok(Action::Userspace { pid: None, userdata: None }));
    }

    #[test]
    fn a_nested_flag_in_the_type_changes_nothing() {
        assert_eq!(decode_action(0x8000 | 5, &[]), Ok(Action::PopVlan));
    }
}
