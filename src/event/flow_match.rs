//! What a flow matches: the fields of its key under its mask.

mod key;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::MacAddr;
use key::parts;

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
            /// An attribute that this program does not take apart, by its number; 256 more for a tunnel's attributes.
            /// Its value is a digest of the attribute's bytes.
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
    /// The recirculation id: which pass through the datapath it is.
    RecircId "recirc_id" 32 Hex,
    /// The datapath's hash of the packet.
    DpHash "dp_hash" 32 Hex,
    /// The packet's priority in the host's stack (`skb->priority`).
    SkbPriority "skb_priority" 32 Hex,
    /// The packet's mark in the host's stack (`skb->mark`).
    SkbMark "skb_mark" 32 Hex,
    /// The port it came in by.
    InPort "in_port" 32 Decimal,
    /// The tunnel's key.
    TunId "tun_id" 64 Hex,
    /// The tunnel's outer source.
    TunSrc "tun_src" 32 Ipv4,
    /// The tunnel's outer destination.
    TunDst "tun_dst" 32 Ipv4,
    /// The outer source of a tunnel over IPv6.
    TunIpv6Src "tun_ipv6_src" 128 Ipv6,
    /// The outer destination of a tunnel over IPv6.
    TunIpv6Dst "tun_ipv6_dst" 128 Ipv6,
    /// The outer header's type of service.
    TunTos "tun_tos" 8 Hex,
    /// The outer header's time to live.
    TunTtl "tun_ttl" 8 Decimal,
    /// The outer UDP source port.
    TunTpSrc "tun_tp_src" 16 Decimal,
    /// The outer UDP destination port.
    TunTpDst "tun_tp_dst" 16 Decimal,
    /// What connection tracking says of the packet, bits `OVS_CS_F_*`.
    CtState "ct_state" 32 Hex,
    /// The connection's zone.
    CtZone "ct_zone" 16 Decimal,
    /// The connection's mark.
    CtMark "ct_mark" 32 Hex,
    /// The connection's label.
    CtLabel "ct_label" 128 Hex,
    /// The source address of the connection's original direction.
    CtNwSrc "ct_nw_src" 32 Ipv4,
    /// The destination address of the connection's original direction.
    CtNwDst "ct_nw_dst" 32 Ipv4,
    /// The same source over IPv6.
    CtIpv6Src "ct_ipv6_src" 128 Ipv6,
    /// The same destination over IPv6.
    CtIpv6Dst "ct_ipv6_dst" 128 Ipv6,
    /// The connection's protocol.
    CtNwProto "ct_nw_proto" 8 Decimal,
    /// The source port of the connection's original direction.
    CtTpSrc "ct_tp_src" 16 Decimal,
    /// The destination port of the connection's original direction.
    CtTpDst "ct_tp_dst" 16 Decimal,
    /// Namespace and type of the packet: 0 is Ethernet, anything else has no Ethernet header.
    PacketType "packet_type" 32 Hex,
    /// The source MAC.
    EthSrc "eth_src" 48 Mac,
    /// The destination MAC.
    EthDst "eth_dst" 48 Mac,
    /// The outer VLAN's tag, with its bit 0x1000 for "there is one".
    VlanTci "vlan_tci" 16 Hex,
    /// The inner VLAN's tag.
    InnerVlanTci "inner_vlan_tci" 16 Hex,
    /// The outer tag's TPID.
    VlanTpid "vlan_tpid" 16 Hex,
    /// The inner tag's TPID.
    InnerVlanTpid "inner_vlan_tpid" 16 Hex,
    /// The Ethertype behind the VLAN tags.
    EthType "eth_type" 16 Hex,
    /// The uppermost MPLS label stack entry.
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
    /// The IP protocol.
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
    /// ARP: the sender's IP address.
    ArpSpa "arp_spa" 32 Ipv4,
    /// ARP: the target's IP address.
    ArpTpa "arp_tpa" 32 Ipv4,
    /// ARP: 1 request, 2 reply.
    ArpOp "arp_op" 16 Decimal,
    /// ARP: the sender's MAC.
    ArpSha "arp_sha" 48 Mac,
    /// ARP: the target's MAC.
    ArpTha "arp_tha" 48 Mac,
    /// Neighbour discovery: the target address.
    NdTarget "nd_target" 128 Ipv6,
    /// Neighbour discovery: the source link-layer address option.
    NdSll "nd_sll" 48 Mac,
    /// Neighbour discovery: the target link-layer address option.
    NdTll "nd_tll" 48 Mac,
}

impl Field {
    /// The field of this name, as [`Field::name`] gives it.
    pub fn named(name: &str) -> Option<Self> {
        let named = Self::NAMED.iter().copied().find(|field| field.name() == name);
        named.or_else(|| name.strip_prefix("attr_")?.parse().ok().map(Self::Other))
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format!("no field of a flow: {name}")))
    }
}

impl JsonSchema for Field {
    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "A field that a flow can match, `udp_src`." })
    }
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

/// A value in the notation of its field.
pub fn written(field: Field, value: u128) -> String {
    match field.form() {
        Form::Decimal => value.to_string(),
        Form::Hex => format!("{value:#x}"),
        Form::Mac => MacAddr::from_bits(value).to_string(),
        Form::Ipv4 => Ipv4Addr::from_bits(value as u32).to_string(),
        Form::Ipv6 => Ipv6Addr::from_bits(value).to_string(),
    }
}

/// The value that [`written`] wrote; none for anything else.
fn unwritten(field: Field, text: &str) -> Option<u128> {
    let value = match field.form() {
        Form::Decimal => text.parse().ok()?,
        Form::Hex => u128::from_str_radix(text.strip_prefix("0x")?, 16).ok()?,
        Form::Mac => text.parse::<MacAddr>().ok()?.to_bits(),
        Form::Ipv4 => text.parse::<Ipv4Addr>().ok()?.to_bits().into(),
        Form::Ipv6 => text.parse::<Ipv6Addr>().ok()?.to_bits(),
    };
    (value <= FieldMatch::all(field)).then_some(value)
}

/// All that a flow matches, by field. A field that is wildcarded altogether is absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FlowMatch(Box<[FieldMatch]>);

impl FlowMatch {
    /// A match on these fields, given in any order. Of a field that stands twice the first counts; one whose mask is 0
    /// is left out.
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

    /// Reads the payloads of `OVS_FLOW_ATTR_KEY` and `OVS_FLOW_ATTR_MASK`; without the second every bit counts.
    /// Attributes that are cut off, or that only one of the two has, are passed over.
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

    /// The match on a field; none where the field is wildcarded.
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
            let field = Field::named(name)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    }
}
