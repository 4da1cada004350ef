//! What the daemon writes into a `userspace` action for itself: `struct user_action_cookie` of OVS's `lib/odp-util.h`,
//! 48 bytes, the same from 2.17 to 3.5. It says why a packet is sent up by an action, with no question to the daemon.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{
    ids::hex,
    netlink::{be16_at, be64_at, u16_at, u32_at},
};

/// `sizeof(struct user_action_cookie)`.
const LEN: usize = 48;

/// A daemon's cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cookie {
    /// The OpenFlow port the packet came in by; 0xffff (`OFPP_NONE`) when it did not come in by one.
    pub ofp_in_port: u32,
    /// The bridge's identity in the daemon, a UUID.
    pub ofproto: String,
    /// Why; in JSON `type`, with its fields beside it.
    #[serde(flatten)]
    pub why: Why,
}

/// Why an action sends a packet up; `enum user_action_cookie_type`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Why {
    /// A sample for the bridge's sFlow.
    Sflow {
        /// VLAN id it leaves with; 0 is none.
        vid: u16,
        /// And its priority.
        pcp: u8,
        /// The output as sFlow writes it (`SFL_FLOW_SAMPLE_TYPE`).
        output: u32,
    },
    /// The daemon has to handle every packet of this flow.
    SlowPath {
        /// Why, `enum slow_path_reason`: cfm, bfd, lacp, stp, lldp, action, match; or bits in hex.
        reasons: Vec<String>,
    },
    /// An OpenFlow `sample` action.
    FlowSample {
        /// Of 65535.
        probability: u16,
        /// The IPFIX collector set.
        collector_set_id: u32,
        /// Observation domain.
        obs_domain_id: u32,
        /// Observation point.
        obs_point_id: u32,
        /// Where it leaves, a port of the datapath; all ones is none.
        output_port: u32,
        /// `enum nx_action_sample_direction`: 0 not said, 1 ingress, 2 egress.
        direction: u8,
    },
    /// A sample for the bridge's IPFIX.
    Ipfix {
        /// Where it leaves, a port of the datapath; all ones is none.
        output_port: u32,
    },
    /// For an OpenFlow controller.
    Controller {
        /// `enum ofp_packet_in_reason`: 0 no match, 1 an action, 2 invalid TTL, ...
        reason: u16,
        /// The daemon drops it instead.
        dont_send: bool,
        /// It is a continuation: the controller gives it back.
        continuation: bool,
        /// Where its way through the tables goes on.
        recirc_id: u32,
        /// The cookie of the OpenFlow rule that punts it, in hex.
        #[serde(with = "hex")]
        #[schemars(with = "crate::event::FlowPtr")]
        rule_cookie: u64,
        /// Which controllers.
        controller_id: u16,
        /// Bytes of it that are sent; 0xffff is all.
        max_len: u16,
    },
    /// Not a cookie that this program knows.
    Other {
        /// Its bytes, two hex digits each.
        userdata: String,
    },
}

/// `SLOW_PATH_REASONS`, from bit 0.
const SLOW_PATH: [&str; 7] = ["cfm", "bfd", "lacp", "stp", "lldp", "action", "match"];

impl Cookie {
    /// Reads the bytes of `OVS_USERSPACE_ATTR_USERDATA`. What is no cookie is kept as it is.
    pub fn read(bytes: &[u8]) -> Self {
        Self::known(bytes).unwrap_or_else(|| Self {
            ofp_in_port: 0xffff,
            ofproto: String::new(),
            why: Why::Other { userdata: super::hex(bytes) },
        })
    }

    fn known(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LEN {
            return None;
        }
        let (byte, short) = (|at: usize| bytes.get(at).copied(), |at| u16_at(bytes, at));
        let long = |at| u32_at(bytes, at);
        let why = match short(0)? {
            1 => {
                let tci = be16_at(bytes, 24)?;
                Why::Sflow { vid: tci & 0xfff, pcp: (tci >> 13) as u8, output: long(28)? }
            }
            2 => Why::SlowPath { reasons: slow_path_reasons(long(28)?) },
            3 => Why::FlowSample {
                probability: short(24)?,
                collector_set_id: long(28)?,
                obs_domain_id: long(32)?,
                obs_point_id: long(36)?,
                output_port: long(40)?,
                direction: byte(44)?,
            },
            4 => Why::Ipfix { output_port: long(24)? },
            5 => Why::Controller {
                dont_send: byte(24)? != 0,
                continuation: byte(25)? != 0,
                reason: short(26)?,
                recirc_id: long(28)?,
                rule_cookie: be64_at(bytes, 32)?,
                controller_id: short(40)?,
                max_len: short(42)?,
            },
            _ => return None,
        };
        let uuid = crate::event::Ufid([long(8)?, long(12)?, long(16)?, long(20)?]);
        Some(Self { ofp_in_port: long(4)?, ofproto: uuid.to_string(), why })
    }

    /// What sends it up, in a word.
    pub fn name(&self) -> &'static str {
        match self.why {
            Why::Sflow { .. } => "sFlow",
            Why::SlowPath { .. } => "slow_path",
            Why::FlowSample { .. } => "flow_sample",
            Why::Ipfix { .. } => "ipfix",
            Why::Controller { .. } => "controller",
            Why::Other { .. } => "userdata",
        }
    }

    /// The same with what there is to know about it, short enough for a line.
    pub fn brief(&self) -> String {
        match &self.why {
            Why::Controller { reason, dont_send, continuation, rule_cookie, controller_id, max_len, .. } => {
                let dont_send = if *dont_send { ",not sent" } else { "" };
                let continuation = if *continuation { ",continuation" } else { "" };
                format!(
                    "controller(reason={reason},rule cookie={rule_cookie:#x},id={controller_id},max_len={max_len}\
                     {dont_send}{continuation})"
                )
            }
            _ => self.to_string(),
        }
    }

    /// Bytes it has outside of itself.
    pub fn heap_bytes(&self) -> usize {
        self.ofproto.len()
            + match &self.why {
                Why::SlowPath { reasons } => reasons.iter().map(|r| size_of::<String>() + r.len()).sum(),
                Why::Other { userdata } => userdata.len(),
                _ => 0,
            }
    }
}

/// The names of a slow path's reasons, and what has no name as bits in hex.
fn slow_path_reasons(bits: u32) -> Vec<String> {
    let named = SLOW_PATH.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
    let mut reasons: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
    let rest = bits >> SLOW_PATH.len() << SLOW_PATH.len();
    if rest != 0 {
        reasons.push(format!("{rest:#x}"));
    }
    reasons
}

/// As `ovs-dpctl dump-flows` prints it (`format_odp_userspace_action`).
impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Sflow { vid, pcp, output } => write!(f, "sFlow(vid={vid},pcp={pcp},output={output})"),
            Why::SlowPath { reasons } if reasons.is_empty() => f.write_str("slow_path(0)"),
            Why::SlowPath { reasons } => write!(f, "slow_path({})", reasons.join(",")),
            Why::FlowSample { probability, collector_set_id, obs_domain_id, obs_point_id, output_port, direction } => {
                let direction = match direction {
                    1 => ",ingress",
                    2 => ",egress",
                    _ => "",
                };
                write!(
                    f,
                    "flow_sample(probability={probability},collector_set_id={collector_set_id},\
                     obs_domain_id={obs_domain_id},obs_point_id={obs_point_id},output_port={output_port}{direction})"
                )
            }
            Why::Ipfix { output_port } => write!(f, "ipfix(output_port={output_port})"),
            Why::Controller { reason, dont_send, continuation, recirc_id, rule_cookie, controller_id, max_len } => {
                let rule_cookie = super::text::alternate_hex((*rule_cookie).into());
                write!(
                    f,
                    "controller(reason={reason},dont_send={},continuation={},recirc_id={recirc_id},\
                     rule_cookie={rule_cookie},controller_id={controller_id},max_len={max_len})",
                    u8::from(*dont_send),
                    u8::from(*continuation),
                )
            }
            Why::Other { userdata } => write!(f, "userdata({userdata})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(kind: u16, union: &[u8]) -> Cookie {
        let mut bytes = [0u8; LEN];
        bytes[..2].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..8].copy_from_slice(&3u32.to_ne_bytes());
        bytes[8..12].copy_from_slice(&0x0102_0304_u32.to_ne_bytes());
        bytes[24..24 + union.len()].copy_from_slice(union);
        Cookie::read(&bytes)
    }

    #[test]
    fn a_controllers_cookie_names_the_rule_that_punts() {
        let mut union = vec![0, 1];
        union.extend(1u16.to_ne_bytes());
        union.extend(7u32.to_ne_bytes());
        union.extend(0x1234_5678_9abc_def0u64.to_be_bytes());
        union.extend(9u16.to_ne_bytes());
        union.extend(128u16.to_ne_bytes());
        let cookie = cookie(5, &union);
        assert_eq!((cookie.ofp_in_port, &cookie.ofproto[..8]), (3, "01020304"));
        assert_eq!(
            cookie.to_string(),
            "controller(reason=1,dont_send=0,continuation=1,recirc_id=7,rule_cookie=0x123456789abcdef0,\
             controller_id=9,max_len=128)"
        );
        assert_eq!(cookie.brief(), "controller(reason=1,rule cookie=0x123456789abcdef0,id=9,max_len=128,continuation)");
        let json = serde_json::to_value(&cookie).expect("plain data");
        assert_eq!((&json["type"], &json["rule_cookie"]), (&"controller".into(), &"123456789abcdef0".into()));
        assert_eq!(serde_json::from_value::<Cookie>(json).expect("its own form"), cookie);
    }

    #[test]
    fn a_slow_paths_reasons_are_bits() {
        let union = |bits: u32| [[0; 4], bits.to_ne_bytes()].concat();
        assert_eq!(cookie(2, &union(0b10_0010)).to_string(), "slow_path(bfd,action)");
        assert_eq!(cookie(2, &union(0x180)).to_string(), "slow_path(0x180)");
        assert_eq!(cookie(2, &union(0)).to_string(), "slow_path(0)");
    }

    #[test]
    fn samples_say_where_the_packet_leaves() {
        // VLAN 5 with priority 3 and the tag's bit.
        let union = [&[0x70, 0x05, 0, 0][..], &0x4000_0002u32.to_ne_bytes()].concat();
        assert_eq!(cookie(1, &union).to_string(), "sFlow(vid=5,pcp=3,output=1073741826)");
        assert_eq!(cookie(4, &u32::MAX.to_ne_bytes()).to_string(), "ipfix(output_port=4294967295)");
        let mut union = 65535u16.to_ne_bytes().to_vec();
        union.extend([0, 0]);
        for n in [1u32, 2, 3, 4] {
            union.extend(n.to_ne_bytes());
        }
        union.push(2);
        assert_eq!(
            cookie(3, &union).to_string(),
            "flow_sample(probability=65535,collector_set_id=1,obs_domain_id=2,obs_point_id=3,output_port=4,egress)"
        );
    }

    #[test]
    fn what_is_no_cookie_is_kept() {
        assert_eq!(Cookie::read(&[0xde, 0xad]).to_string(), "userdata(dead)");
        assert_eq!(cookie(9, &[]).name(), "userdata");
    }
}
