//! What a flow matches: the fields of its key under its mask, from the netlink attributes that the daemon puts it with.
//!
//! The attributes are `enum ovs_key_attr` and `enum ovs_tunnel_key_attr` of `include/uapi/linux/openvswitch.h`, whose
//! numbers never change.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// How a field's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A number.
    Decimal,
    /// Bits.
    Hex,
    /// A MAC address.
    Mac,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident $name:literal $bits:literal $form:ident,)*) => {
        /// A field that a flow can match. Named as `ovs-ofctl` and `ovs-dpctl` name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($(#[$doc])* $field,)*
            /// An attribute that this program does not take apart, by its number; of a tunnel's attributes from 256 on.
            /// Its value is a digest of its bytes under the mask.
            Other(u16),
        }

        impl Field {
            /// Every field that has a name of its own.
            pub const NAMED: &[Self] = &[$(Self::$field),*];

            /// Its name, `udp_src`.
            pub fn name(self) -> Cow<'static, str> {
                match self {
                    $(Self::$field => $name.into(),)*
                    Self::Other(number) => format!("attr_{number}").into(),
                }
            }

            /// How wide its values are, in bits.
            pub fn bits(self) -> u32 {
                match self {
                    $(Self::$field => $bits,)*
                    Self::Other(_) => 64,
                }
            }

            /// How its values are written.
            pub fn form(self) -> Form {
                match self {
                    $(Self::$field => Form::$form,)*
                    Self::Other(_) => Form::Hex,
                }
            }
        }
    };
}

fields! {
    /// The pass through the datapath.
    RecircId "recirc_id" 32 Hex,
    /// The datapath's hash of the packet.
    DpHash "dp_hash" 32 Hex,
    /// The packet's priority in the host.
    SkbPriority "skb_priority" 32 Hex,
    /// The packet's mark in the host.
    SkbMark "skb_mark" 32 Hex,
    /// The port it came in by.
    InPort "in_port" 32 Decimal,
    /// The tunnel's key.
    TunId "tun_id" 64 Hex,
    /// The tunnel's outer source.
    TunSrc "tun_src" 32 Ipv4,
    /// The tunnel's outer destination.
    TunDst "tun_dst" 32 Ipv4,
    /// The same of a tunnel over IPv6.
    TunIpv6Src "tun_ipv6_src" 128 Ipv6,
    /// Likewise.
    TunIpv6Dst "tun_ipv6_dst" 128 Ipv6,
    /// The outer header's type of service.
    TunTos "tun_tos" 8 Hex,
    /// The outer header's time to live.
    TunTtl "tun_ttl" 8 Decimal,
    /// The outer UDP source port.
    TunTpSrc "tun_tp_src" 16 Decimal,
    /// The outer UDP destination port.
    TunTpDst "tun_tp_dst" 16 Decimal,
    /// What connection tracking says of it.
    CtState "ct_state" 32 Hex,
    /// The connection's zone.
    CtZone "ct_zone" 16 Decimal,
    /// The connection's mark.
    CtMark "ct_mark" 32 Hex,
    /// The connection's label.
    CtLabel "ct_label" 128 Hex,
    /// The connection's first source.
    CtNwSrc "ct_nw_src" 32 Ipv4,
    /// The connection's first destination.
    CtNwDst "ct_nw_dst" 32 Ipv4,
    /// The same of a connection over IPv6.
    CtIpv6Src "ct_ipv6_src" 128 Ipv6,
    /// Likewise.
    CtIpv6Dst "ct_ipv6_dst" 128 Ipv6,
    /// The connection's protocol.
    CtNwProto "ct_nw_proto" 8 Decimal,
    /// The connection's first source port.
    CtTpSrc "ct_tp_src" 16 Decimal,
    /// The connection's first destination port.
    CtTpDst "ct_tp_dst" 16 Decimal,
    /// Whether it has an Ethernet header, and what else it is.
    PacketType "packet_type" 32 Hex,
    /// The source MAC.
    EthSrc "eth_src" 48 Mac,
    /// The destination MAC.
    EthDst "eth_dst" 48 Mac,
    /// The outer VLAN's tag, with its bit 0x1000 for "there is one".
    VlanTci "vlan_tci" 16 Hex,
    /// The inner VLAN's tag.
    InnerVlanTci "inner_vlan_tci" 16 Hex,
    /// What kind of tag the outer VLAN's is.
    VlanTpid "vlan_tpid" 16 Hex,
    /// What kind of tag the inner VLAN's is.
    InnerVlanTpid "inner_vlan_tpid" 16 Hex,
    /// The protocol in the frame.
    EthType "eth_type" 16 Hex,
    /// The first MPLS label with its flags.
    MplsLse "mpls_lse" 32 Hex,
    /// The IPv4 source.
    Ipv4Src "ipv4_src" 32 Ipv4,
    /// The IPv4 destination.
    Ipv4Dst "ipv4_dst" 32 Ipv4,
    /// The IPv6 source.
    Ipv6Src "ipv6_src" 128 Ipv6,
    /// The IPv6 destination.
    Ipv6Dst "ipv6_dst" 128 Ipv6,
    /// The IPv6 flow label.
    Ipv6Label "ipv6_label" 32 Hex,
    /// The protocol in the packet.
    IpProto "ip_proto" 8 Decimal,
    /// The type of service or traffic class.
    IpTos "ip_tos" 8 Hex,
    /// The time to live or hop limit.
    IpTtl "ip_ttl" 8 Decimal,
    /// Whether it is a fragment: 0 no, 1 the first, 2 a later one.
    IpFrag "ip_frag" 8 Decimal,
    /// The TCP source port.
    TcpSrc "tcp_src" 16 Decimal,
    /// The TCP destination port.
    TcpDst "tcp_dst" 16 Decimal,
    /// The TCP flags.
    TcpFlags "tcp_flags" 16 Hex,
    /// The UDP source port.
    UdpSrc "udp_src" 16 Decimal,
    /// The UDP destination port.
    UdpDst "udp_dst" 16 Decimal,
    /// The SCTP source port.
    SctpSrc "sctp_src" 16 Decimal,
    /// The SCTP destination port.
    SctpDst "sctp_dst" 16 Decimal,
    /// The ICMP type.
    IcmpType "icmp_type" 8 Decimal,
    /// The ICMP code.
    IcmpCode "icmp_code" 8 Decimal,
    /// The type in `ICMPv6`.
    Icmpv6Type "icmpv6_type" 8 Decimal,
    /// The code in `ICMPv6`.
    Icmpv6Code "icmpv6_code" 8 Decimal,
    /// Who an ARP packet is from.
    ArpSpa "arp_spa" 32 Ipv4,
    /// Whom it is about.
    ArpTpa "arp_tpa" 32 Ipv4,
    /// Question or answer.
    ArpOp "arp_op" 16 Decimal,
    /// The MAC it is from.
    ArpSha "arp_sha" 48 Mac,
    /// The MAC it is about.
    ArpTha "arp_tha" 48 Mac,
    /// Whom a neighbour discovery is about.
    NdTarget "nd_target" 128 Ipv6,
    /// The MAC it is from.
    NdSll "nd_sll" 48 Mac,
    /// The MAC it is about.
    NdTll "nd_tll" 48 Mac,
}

/// One field's value and which of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldMatch {
    /// Which.
    pub field: Field,
    /// Its value under the mask: bits that do not count are 0.
    pub value: u128,
    /// Which bits count; never 0.
    pub mask: u128,
}

impl FieldMatch {
    /// Every bit of the field.
    fn all(field: Field) -> u128 {
        u128::MAX >> (128 - field.bits())
    }

    /// Whether every bit of it counts.
    pub fn is_exact(&self) -> bool {
        self.mask == Self::all(self.field)
    }

    /// Its value in the field's way of writing, with the mask where it is not exact: `10.0.0.0/255.0.0.0`.
    pub fn text(&self) -> String {
        let write = |value| written(self.field, value);
        if self.is_exact() { write(self.value) } else { format!("{}/{}", write(self.value), write(self.mask)) }
    }
}

impl fmt::Display for FieldMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field.name(), self.text())
    }
}

/// A value as its field is written.
pub fn written(field: Field, value: u128) -> String {
    match field.form() {
        Form::Decimal => value.to_string(),
        Form::Hex => format!("{value:#x}"),
        Form::Mac => {
            let [_, _, bytes @ ..] = (value as u64).to_be_bytes();
            bytes.map(|byte| format!("{byte:02x}")).join(":")
        }
        Form::Ipv4 => Ipv4Addr::from_bits(value as u32).to_string(),
        Form::Ipv6 => Ipv6Addr::from_bits(value).to_string(),
    }
}

/// The value that [`written`] wrote; none for anything else.
fn unwritten(field: Field, text: &str) -> Option<u128> {
    let value = match field.form() {
        Form::Decimal => text.parse().ok()?,
        Form::Hex => u128::from_str_radix(text.strip_prefix("0x")?, 16).ok()?,
        Form::Mac => {
            let bytes: Vec<u128> =
                text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok().map(u128::from)).collect::<Option<_>>()?;
            bytes
                .iter()
                .take(6 * usize::from(bytes.len() == 6))
                .fold(None, |sum: Option<u128>, byte| Some(sum.unwrap_or(0) << 8 | byte))?
        }
        Form::Ipv4 => text.parse::<Ipv4Addr>().ok()?.to_bits().into(),
        Form::Ipv6 => text.parse::<Ipv6Addr>().ok()?.to_bits(),
    };
    (value <= FieldMatch::all(field)).then_some(value)
}

/// All that a flow matches, by field; what is wildcarded altogether is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FlowMatch(Box<[FieldMatch]>);

impl FlowMatch {
    /// Of these fields, in any order; the first of each counts, and none without a mask.
    pub fn new(fields: impl IntoIterator<Item = FieldMatch>) -> Self {
        let mut by_field = BTreeMap::new();
        for FieldMatch { field, value, mask } in fields {
            let mask = mask & FieldMatch::all(field);
            if mask != 0 {
                by_field.entry(field).or_insert(FieldMatch { field, value: value & mask, mask });
            }
        }
        Self(by_field.into_values().collect())
    }

    /// Of the payloads of `OVS_FLOW_ATTR_KEY` and `OVS_FLOW_ATTR_MASK`; without the second every bit counts. What is
    /// cut off or does not fit together is passed over.
    pub fn read(key: &[u8], mask: Option<&[u8]>) -> Self {
        let masks: Option<BTreeMap<Field, u128>> = mask.map(|mask| parts(mask).into_iter().collect());
        Self::new(parts(key).into_iter().map(|(field, value)| {
            let mask = masks.as_ref().map_or(u128::MAX, |masks| masks.get(&field).copied().unwrap_or(0));
            match field {
                // Digests have no bits to mask.
                Field::Other(_) if mask != 0 => FieldMatch { field, value, mask: u128::MAX },
                _ => FieldMatch { field, value, mask },
            }
        }))
    }

    /// The fields, in the order of [`Field`].
    pub fn fields(&self) -> &[FieldMatch] {
        &self.0
    }

    /// What it says of a field.
    pub fn get(&self, field: Field) -> Option<&FieldMatch> {
        self.0.binary_search_by_key(&field, |of| of.field).ok().map(|at| &self.0[at])
    }
}

impl Serialize for FlowMatch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|of| (of.field.name(), of.text())))
    }
}

impl<'de> Deserialize<'de> for FlowMatch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(d)?;
        let field_match = |(name, text): (&String, &String)| {
            let field = Field::NAMED.iter().copied().find(|field| field.name() == *name);
            let field = field.or_else(|| name.strip_prefix("attr_")?.parse().ok().map(Field::Other))?;
            let (value, mask) = text.split_once('/').map_or((text.as_str(), None), |(v, m)| (v, Some(m)));
            let mask = mask.map_or(Some(FieldMatch::all(field)), |mask| unwritten(field, mask))?;
            Some(FieldMatch { field, value: unwritten(field, value)?, mask })
        };
        let fields = texts.iter().map(|named| {
            field_match(named).ok_or_else(|| D::Error::custom(format!("no field of a flow: {}={}", named.0, named.1)))
        });
        Ok(Self::new(fields.collect::<Result<Vec<_>, _>>()?))
    }
}

impl JsonSchema for FlowMatch {
    fn schema_name() -> Cow<'static, str> {
        "FlowMatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "What a flow matches: field by name, its value, and behind a slash its mask where not every bit counts. What is wildcarded is not there.",
            "additionalProperties": { "type": "string" }
        })
    }
}

/// Netlink attributes: a length with the header, a type, the payload, each padded to four bytes.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (header, _) = rest.split_first_chunk::<4>()?;
        let [a, b, c, d] = *header;
        let (len, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]) & 0x3fff);
        let payload = rest.get(4..len)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

fn big(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// A number in the host's order, of 1 to 4 bytes.
fn own(bytes: &[u8]) -> u128 {
    match *bytes {
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => big(bytes),
    }
}

/// FNV-1a: says "the same" and nothing else.
fn digest(bytes: &[u8]) -> u128 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    // Also of a mask: one that is all 0 does not count.
    if bytes.iter().all(|byte| *byte == 0) { 0 } else { hash.max(1).into() }
}

/// Every field of one level and of those within it.
fn parts(bytes: &[u8]) -> Vec<(Field, u128)> {
    let mut parts = Vec::new();
    level(bytes, 0, &mut parts);
    parts
}

fn level(bytes: &[u8], depth: usize, parts: &mut Vec<(Field, u128)>) {
    let is_tagged = attributes(bytes).any(|(kind, _)| kind == 1);
    for (kind, payload) in attributes(bytes) {
        // Field by field: from which byte to which. Numbers on the wire are big, the host's own are its own.
        let mut cut = |layout: &[(Field, usize, usize)]| {
            let within = |&(field, from, to)| Some((field, big(payload.get(from..to)?)));
            parts.extend(layout.iter().filter_map(within));
        };
        match kind {
            // One tag in another, and no more: the kernel knows two.
            1 if depth < 2 => level(payload, depth + 1, parts),
            1 => {}
            2 => parts.push((Field::SkbPriority, own(payload))),
            3 => parts.push((Field::InPort, own(payload))),
            4 => cut(&[(Field::EthSrc, 0, 6), (Field::EthDst, 6, 12)]),
            5 => cut(&[(if depth == 0 { Field::VlanTci } else { Field::InnerVlanTci }, 0, 2)]),
            6 => cut(&[(
                match (is_tagged, depth) {
                    (false, _) => Field::EthType,
                    (true, 0) => Field::VlanTpid,
                    (true, _) => Field::InnerVlanTpid,
                },
                0,
                2,
            )]),
            7 => cut(&[
                (Field::Ipv4Src, 0, 4),
                (Field::Ipv4Dst, 4, 8),
                (Field::IpProto, 8, 9),
                (Field::IpTos, 9, 10),
                (Field::IpTtl, 10, 11),
                (Field::IpFrag, 11, 12),
            ]),
            8 => cut(&[
                (Field::Ipv6Src, 0, 16),
                (Field::Ipv6Dst, 16, 32),
                (Field::Ipv6Label, 32, 36),
                (Field::IpProto, 36, 37),
                (Field::IpTos, 37, 38),
                (Field::IpTtl, 38, 39),
                (Field::IpFrag, 39, 40),
            ]),
            9 => cut(&[(Field::TcpSrc, 0, 2), (Field::TcpDst, 2, 4)]),
            10 => cut(&[(Field::UdpSrc, 0, 2), (Field::UdpDst, 2, 4)]),
            11 => cut(&[(Field::IcmpType, 0, 1), (Field::IcmpCode, 1, 2)]),
            12 => cut(&[(Field::Icmpv6Type, 0, 1), (Field::Icmpv6Code, 1, 2)]),
            13 => cut(&[
                (Field::ArpSpa, 0, 4),
                (Field::ArpTpa, 4, 8),
                (Field::ArpOp, 8, 10),
                (Field::ArpSha, 10, 16),
                (Field::ArpTha, 16, 22),
            ]),
            14 => cut(&[(Field::NdTarget, 0, 16), (Field::NdSll, 16, 22), (Field::NdTll, 22, 28)]),
            15 => parts.push((Field::SkbMark, own(payload))),
            16 => tunnel(payload, parts),
            17 => cut(&[(Field::SctpSrc, 0, 2), (Field::SctpDst, 2, 4)]),
            18 => cut(&[(Field::TcpFlags, 0, 2)]),
            19 => parts.push((Field::DpHash, own(payload))),
            20 => parts.push((Field::RecircId, own(payload))),
            21 => cut(&[(Field::MplsLse, 0, 4)]),
            22 => parts.push((Field::CtState, own(payload))),
            23 => parts.push((Field::CtZone, own(payload))),
            24 => parts.push((Field::CtMark, own(payload))),
            25 => cut(&[(Field::CtLabel, 0, 16)]),
            26 => cut(&[
                (Field::CtNwSrc, 0, 4),
                (Field::CtNwDst, 4, 8),
                (Field::CtTpSrc, 8, 10),
                (Field::CtTpDst, 10, 12),
                (Field::CtNwProto, 12, 13),
            ]),
            27 => cut(&[
                (Field::CtIpv6Src, 0, 16),
                (Field::CtIpv6Dst, 16, 32),
                (Field::CtTpSrc, 32, 34),
                (Field::CtTpDst, 34, 36),
                (Field::CtNwProto, 36, 37),
            ]),
            29 => cut(&[(Field::PacketType, 0, 4)]),
            other => parts.push((Field::Other(other), digest(payload))),
        }
    }
}

fn tunnel(bytes: &[u8], parts: &mut Vec<(Field, u128)>) {
    for (kind, payload) in attributes(bytes) {
        let part = match kind {
            0 => (Field::TunId, big(payload)),
            1 => (Field::TunSrc, big(payload)),
            2 => (Field::TunDst, big(payload)),
            3 => (Field::TunTos, big(payload)),
            4 => (Field::TunTtl, big(payload)),
            9 => (Field::TunTpSrc, big(payload)),
            10 => (Field::TunTpDst, big(payload)),
            12 => (Field::TunIpv6Src, big(payload)),
            13 => (Field::TunIpv6Dst, big(payload)),
            // Flags are there or not, and only padding is nothing.
            5..=7 => (Field::Other(256 + kind), 1),
            14 => continue,
            other => (Field::Other(256u16.saturating_add(other)), digest(payload)),
        };
        parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attr(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [(4 + payload.len() as u16).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn texts(of: &FlowMatch) -> Vec<String> {
        of.fields().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_udp_packets_key_under_its_mask() {
        let ipv4 = [172, 200, 0, 1, 172, 200, 0, 2, 17, 0, 64, 0];
        let key = [
            attr(3, &7u32.to_ne_bytes()),
            attr(4, &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]),
            attr(6, &[8, 0]),
            attr(7, &ipv4),
            attr(10, &[3, 232, 0, 9]),
        ]
        .concat();
        let mask = [
            attr(3, &u32::MAX.to_ne_bytes()),
            attr(4, &[255; 12]),
            attr(6, &[255, 255]),
            attr(7, &[255, 255, 0, 0, 0, 0, 0, 0, 255, 0, 0, 255]),
            attr(10, &[255, 255, 0, 0]),
        ]
        .concat();
        let of = FlowMatch::read(&key, Some(&mask));
        assert_eq!(
            texts(&of),
            [
                "in_port=7",
                "eth_src=02:00:00:00:00:01",
                "eth_dst=02:00:00:00:00:02",
                "eth_type=0x800",
                "ipv4_src=172.200.0.0/255.255.0.0",
                "ip_proto=17",
                "ip_frag=0",
                "udp_src=1000",
            ]
        );
        assert_eq!(of.get(Field::UdpSrc).map(|f| (f.value, f.is_exact())), Some((1000, true)));
        assert_eq!(of.get(Field::UdpDst), None, "wildcarded");
        assert_eq!(FlowMatch::read(&key, None).get(Field::UdpDst).map(|f| f.value), Some(9), "no mask: all counts");
    }

    #[test]
    fn tags_stand_for_themselves_and_not_for_the_protocol() {
        let inner = [attr(6, &[8, 0]), attr(7, &[0; 12])].concat();
        let key = [attr(6, &[0x81, 0]), attr(5, &[0x10, 5]), attr(1, &inner)].concat();
        let of = FlowMatch::read(&key, None);
        assert_eq!(texts(&of)[..3], ["vlan_tci=0x1005", "vlan_tpid=0x8100", "eth_type=0x800"]);
    }

    #[test]
    fn a_tunnels_fields_and_what_is_not_known() {
        let tunnel = [attr(0, &[0, 0, 0, 0, 0, 0, 0, 42]), attr(1, &[10, 0, 0, 1]), attr(8, &[1, 2, 3, 4])].concat();
        let key = [attr(16, &tunnel), attr(40, &[9, 9])].concat();
        let (of, other) = (FlowMatch::read(&key, None), FlowMatch::read(&attr(40, &[9, 8]), None));
        assert_eq!(texts(&of)[..2], ["tun_id=0x2a", "tun_src=10.0.0.1"]);
        assert!(of.get(Field::Other(264)).is_some());
        assert_ne!(of.get(Field::Other(40)), other.get(Field::Other(40)), "told apart though not understood");
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for text in [r#"{"no_such":"1"}"#, r#"{"udp_src":"65536"}"#, r#"{"eth_src":"02:00"}"#, r#"{"ip_ttl":"x"}"#] {
            let error = serde_json::from_str::<FlowMatch>(text).expect_err("refused").to_string();
            assert!(error.contains("no field of a flow"), "{error}");
        }
    }

    #[test]
    fn names_are_different() {
        let names: std::collections::BTreeSet<_> = Field::NAMED.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::NAMED.len());
    }

    proptest! {
        #[test]
        fn its_json_form_gives_it_back(values in prop::collection::vec((0..Field::NAMED.len() + 1, any::<u128>(), any::<u128>()), 0..20)) {
            let field = |at: usize| Field::NAMED.get(at).copied().unwrap_or(Field::Other(77));
            let of = FlowMatch::new(values.into_iter().map(|(at, value, mask)| FieldMatch { field: field(at), value, mask }));
            let text = serde_json::to_string(&of).expect("plain");
            prop_assert_eq!(serde_json::from_str::<FlowMatch>(&text).expect("its own"), of);
        }

        #[test]
        fn any_bytes_are_read(key in prop::collection::vec(any::<u8>(), 0..300), mask in prop::collection::vec(any::<u8>(), 0..300)) {
            let of = FlowMatch::read(&key, Some(&mask));
            prop_assert!(of.fields().iter().all(|f| f.mask != 0 && f.value & !f.mask == 0));
        }
    }
}
