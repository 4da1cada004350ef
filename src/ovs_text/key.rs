//! A flow's key as `ovs-dpctl` writes it, of the fields that the flow matches.

use std::fmt::Write as _;

use crate::event::{Field, FieldMatch, FlowMatch, written};

/// The key cannot be written: only a digest is known of some of its parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its key has parts that are not told of new flows ({})", names(.0))]
pub struct Unwritable(Vec<Field>);

fn names(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ")
}

/// Flags of a tunnel, by the number of their attribute.
const TUNNEL_FLAGS: [(Field, &str); 3] =
    [(Field::Other(261), "df"), (Field::Other(262), "csum"), (Field::Other(263), "oam")];

const IPV4: u128 = 0x0800;
const ARP: u128 = 0x0806;
const RARP: u128 = 0x8035;
const IPV6: u128 = 0x86dd;
const MPLS: [u128; 2] = [0x8847, 0x8848];
const LATER_FRAGMENT: u128 = 2;

/// The key in the form that `odp_flow_from_string` in `lib/odp-util.c` reads.
///
/// What the flow does not match is 0 in it. As no decision depends on that, a packet with this key goes the way of the flow's
/// packets. A flow of packets without an Ethernet header, from a layer-3 tunnel, cannot be told from one whose header does not
/// matter, and is written with one.
pub fn write_key(of: &FlowMatch) -> Result<String, Unwritable> {
    let unknown =
        |of: &FieldMatch| matches!(of.field, Field::Other(_)) && TUNNEL_FLAGS.iter().all(|(flag, _)| *flag != of.field);
    let unknown: Vec<Field> = of.fields().iter().filter(|of| unknown(of)).map(|of| of.field).collect();
    if unknown.is_empty() { Ok(Writer(of).key()) } else { Err(Unwritable(unknown)) }
}

struct Writer<'a>(&'a FlowMatch);

impl Writer<'_> {
    fn value(&self, field: Field) -> u128 {
        self.0.get(field).map_or(0, |of| of.value)
    }

    fn has(&self, fields: &[Field]) -> bool {
        fields.iter().any(|field| self.0.get(*field).is_some())
    }

    /// `name(a=1,b=2)`, all of them.
    fn group(&self, name: &str, fields: &[(&str, Field)]) -> String {
        let fields: Vec<String> =
            fields.iter().map(|(name, field)| format!("{name}={}", written(*field, self.value(*field)))).collect();
        format!("{name}({})", fields.join(","))
    }

    fn key(&self) -> String {
        let mut parts = Vec::new();
        for (name, field) in [
            ("recirc_id", Field::RecircId),
            ("dp_hash", Field::DpHash),
            ("skb_priority", Field::SkbPriority),
            ("skb_mark", Field::SkbMark),
            ("ct_state", Field::CtState),
            ("ct_zone", Field::CtZone),
            ("ct_mark", Field::CtMark),
            ("ct_label", Field::CtLabel),
            ("in_port", Field::InPort),
        ] {
            if field == Field::RecircId || self.has(&[field]) {
                parts.push(format!("{name}({})", written(field, self.value(field))));
            }
        }
        parts.extend(self.connection());
        parts.extend(self.tunnel());
        if self.has(&[Field::PacketType]) {
            let of = self.value(Field::PacketType);
            parts.push(format!("packet_type(ns={},id={:#x})", of >> 16, of & 0xffff));
        }
        // Namespace 0 is Ethernet's.
        if self.value(Field::PacketType) >> 16 == 0 {
            parts.push(self.group("eth", &[("src", Field::EthSrc), ("dst", Field::EthDst)]));
        }
        let tags = [(Field::VlanTpid, Field::VlanTci), (Field::InnerVlanTpid, Field::InnerVlanTci)];
        let tags = tags.into_iter().filter(|(tpid, tci)| self.has(&[*tpid, *tci]));
        let mut text = parts.join(",");
        let mut open = 0;
        for (tpid, tci) in tags {
            let (tpid, tci) = (if self.has(&[tpid]) { self.value(tpid) } else { 0x8100 }, self.value(tci));
            let (vid, pcp, cfi) = (tci & 0xfff, tci >> 13, tci >> 12 & 1);
            let comma = if text.ends_with('(') { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(text, "{comma}eth_type({tpid:#06x}),vlan(vid={vid},pcp={pcp},cfi={cfi}),encap(");
            open += 1;
        }
        let payload = self.payload();
        if !text.ends_with('(') && !payload.is_empty() {
            text.push(',');
        }
        text.push_str(&payload);
        text.push_str(&")".repeat(open));
        text
    }

    fn connection(&self) -> Option<String> {
        let rest = [("proto", Field::CtNwProto), ("tp_src", Field::CtTpSrc), ("tp_dst", Field::CtTpDst)];
        let with = |name, src, dst| self.group(name, &[&[("src", src), ("dst", dst)][..], &rest[..]].concat());
        if self.has(&[Field::CtIpv6Src, Field::CtIpv6Dst]) {
            Some(with("ct_tuple6", Field::CtIpv6Src, Field::CtIpv6Dst))
        } else if self.has(&[Field::CtNwSrc, Field::CtNwDst, Field::CtNwProto, Field::CtTpSrc, Field::CtTpDst]) {
            Some(with("ct_tuple4", Field::CtNwSrc, Field::CtNwDst))
        } else {
            None
        }
    }

    fn tunnel(&self) -> Option<String> {
        let fields = [
            ("tun_id", Field::TunId),
            ("src", Field::TunSrc),
            ("dst", Field::TunDst),
            ("ipv6_src", Field::TunIpv6Src),
            ("ipv6_dst", Field::TunIpv6Dst),
            ("tos", Field::TunTos),
            ("ttl", Field::TunTtl),
            ("tp_src", Field::TunTpSrc),
            ("tp_dst", Field::TunTpDst),
        ];
        let there = |field: Field| self.has(&[field]);
        let fields = fields.into_iter().filter(|(_, field)| there(*field));
        let mut parts: Vec<String> =
            fields.map(|(name, field)| format!("{name}={}", written(field, self.value(field)))).collect();
        let flags: Vec<&str> =
            TUNNEL_FLAGS.into_iter().filter(|(flag, _)| there(*flag)).map(|(_, name)| name).collect();
        if !flags.is_empty() {
            parts.push(format!("flags({})", flags.join("|")));
        }
        (!parts.is_empty()).then(|| format!("tunnel({})", parts.join(",")))
    }

    /// From the protocol in the frame on.
    fn payload(&self) -> String {
        if !self.has(&[Field::EthType]) {
            return String::new();
        }
        let eth_type = self.value(Field::EthType);
        let mut parts = vec![format!("eth_type({eth_type:#06x})")];
        let frag = ["no", "first", "later"].get(self.value(Field::IpFrag) as usize).copied().unwrap_or("no");
        match eth_type {
            IPV4 => {
                let ip = [
                    ("src", Field::Ipv4Src),
                    ("dst", Field::Ipv4Dst),
                    ("proto", Field::IpProto),
                    ("tos", Field::IpTos),
                    ("ttl", Field::IpTtl),
                ];
                let ip = self.group("ipv4", &ip);
                parts.push(format!("{},frag={frag})", ip.trim_end_matches(')')));
                self.transport(1, &mut parts);
            }
            IPV6 => {
                let ip = [
                    ("src", Field::Ipv6Src),
                    ("dst", Field::Ipv6Dst),
                    ("label", Field::Ipv6Label),
                    ("proto", Field::IpProto),
                    ("tclass", Field::IpTos),
                    ("hlimit", Field::IpTtl),
                ];
                let ip = self.group("ipv6", &ip);
                parts.push(format!("{},frag={frag})", ip.trim_end_matches(')')));
                self.transport(58, &mut parts);
            }
            ARP | RARP => {
                let arp = [
                    ("sip", Field::ArpSpa),
                    ("tip", Field::ArpTpa),
                    ("op", Field::ArpOp),
                    ("sha", Field::ArpSha),
                    ("tha", Field::ArpTha),
                ];
                parts.push(self.group("arp", &arp));
            }
            _ if MPLS.contains(&eth_type) => {
                let lse = self.value(Field::MplsLse);
                let (label, tc, bos, ttl) = (lse >> 12, lse >> 9 & 7, lse >> 8 & 1, lse & 0xff);
                parts.push(format!("mpls(label={label},tc={tc},ttl={ttl},bos={bos})"));
            }
            _ => {}
        }
        parts.join(",")
    }

    fn transport(&self, icmp: u128, parts: &mut Vec<String>) {
        if self.value(Field::IpFrag) == LATER_FRAGMENT {
            return;
        }
        match self.value(Field::IpProto) {
            6 => {
                parts.push(self.group("tcp", &[("src", Field::TcpSrc), ("dst", Field::TcpDst)]));
                if self.has(&[Field::TcpFlags]) {
                    parts.push(format!("tcp_flags({})", written(Field::TcpFlags, self.value(Field::TcpFlags))));
                }
            }
            17 => parts.push(self.group("udp", &[("src", Field::UdpSrc), ("dst", Field::UdpDst)])),
            132 => parts.push(self.group("sctp", &[("src", Field::SctpSrc), ("dst", Field::SctpDst)])),
            1 if icmp == 1 => parts.push(self.group("icmp", &[("type", Field::IcmpType), ("code", Field::IcmpCode)])),
            58 if icmp == 58 => {
                parts.push(self.group("icmpv6", &[("type", Field::Icmpv6Type), ("code", Field::Icmpv6Code)]));
                if self.has(&[Field::NdTarget, Field::NdSll, Field::NdTll]) {
                    let nd = [("target", Field::NdTarget), ("sll", Field::NdSll), ("tll", Field::NdTll)];
                    parts.push(self.group("nd", &nd));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(fields: &[(Field, u128)]) -> FlowMatch {
        FlowMatch::new(fields.iter().map(|&(field, value)| FieldMatch { field, value, mask: u128::MAX }))
    }

    const IN: (Field, u128) = (Field::InPort, 3);

    #[test]
    fn a_udp_flow_is_written_with_0_for_what_it_does_not_match() {
        let udp = of(&[IN, (Field::EthType, IPV4), (Field::IpProto, 17), (Field::IpFrag, 0), (Field::UdpSrc, 1000)]);
        assert_eq!(
            write_key(&udp).as_deref(),
            Ok("recirc_id(0x0),in_port(3),eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),eth_type(0x0800),\
                ipv4(src=0.0.0.0,dst=0.0.0.0,proto=17,tos=0x0,ttl=0,frag=no),udp(src=1000,dst=0)")
        );
    }

    #[test]
    fn tags_tunnels_and_connections_have_their_own_forms() {
        let text = |fields: &[(Field, u128)]| write_key(&of(fields)).expect("nothing but what has a name");
        let arp = [IN, (Field::VlanTci, 0x3005), (Field::EthType, ARP), (Field::ArpOp, 1)];
        assert!(text(&arp).ends_with(
            ",eth_type(0x8100),vlan(vid=5,pcp=1,cfi=1),encap(eth_type(0x0806),arp(sip=0.0.0.0,tip=0.0.0.0,op=1,\
             sha=00:00:00:00:00:00,tha=00:00:00:00:00:00))"
        ));
        let double = [IN, (Field::VlanTpid, 0x88a8), (Field::InnerVlanTci, 0x1007), (Field::EthType, 0x88cc)];
        assert!(text(&double).ends_with(
            ",eth_type(0x88a8),vlan(vid=0,pcp=0,cfi=0),encap(eth_type(0x8100),vlan(vid=7,pcp=0,cfi=1),\
             encap(eth_type(0x88cc)))"
        ));
        let tunnel = [IN, (Field::TunId, 42), (Field::TunSrc, 0x0a00_0001), (Field::Other(262), 1)];
        assert!(text(&tunnel).contains("in_port(3),tunnel(tun_id=0x2a,src=10.0.0.1,flags(csum)),eth("));
        let tracked = [IN, (Field::RecircId, 7), (Field::CtState, 0x21), (Field::CtNwProto, 6)];
        assert!(text(&tracked).starts_with(
            "recirc_id(0x7),ct_state(0x21),in_port(3),ct_tuple4(src=0.0.0.0,dst=0.0.0.0,proto=6,tp_src=0,tp_dst=0),"
        ));
        let later = [IN, (Field::EthType, IPV4), (Field::IpProto, 17), (Field::IpFrag, 2)];
        assert!(text(&later).ends_with("frag=later)"), "a later fragment has no ports");
        let ip = [IN, (Field::PacketType, 0x1_0800), (Field::EthType, IPV4)];
        assert!(text(&ip).contains("packet_type(ns=1,id=0x800),eth_type("), "no Ethernet header");
        assert!(
            text(&[IN, (Field::EthType, MPLS[0]), (Field::MplsLse, 0x5140)])
                .ends_with("mpls(label=5,tc=0,ttl=64,bos=1)")
        );
        assert!(
            text(&[IN, (Field::EthType, IPV6), (Field::IpProto, 58), (Field::NdTarget, 1)])
                .ends_with("icmpv6(type=0,code=0),nd(target=::1,sll=00:00:00:00:00:00,tll=00:00:00:00:00:00)")
        );
    }

    #[test]
    fn a_match_within_a_tag_needs_no_protocol() {
        let tagged = of(&[IN, (Field::VlanTci, 0x1005)]);
        assert!(write_key(&tagged).is_ok_and(|key| key.ends_with("vlan(vid=5,pcp=0,cfi=1),encap()")));
    }

    #[test]
    fn what_only_a_digest_is_known_of_is_not_made_up() {
        let geneve = of(&[IN, (Field::TunId, 1), (Field::Other(264), 0xfeed)]);
        let why = write_key(&geneve).expect_err("its options are not known").to_string();
        assert_eq!(why, "its key has parts that are not told of new flows (attr_264)");
    }

    proptest! {
        #[test]
        fn any_match_is_one_word_of_balanced_parts(fields in prop::collection::vec((0..Field::NAMED.len(), any::<u128>()), 0..20)) {
            let fields: Vec<_> = fields.into_iter().map(|(at, value)| (Field::NAMED[at], value)).collect();
            let text = write_key(&of(&fields)).expect("all have names");
            prop_assert!(text.starts_with("recirc_id(") && !text.contains(char::is_whitespace), "{text}");
            prop_assert_eq!(text.matches('(').count(), text.matches(')').count());
            prop_assert!(!text.contains(",,") && !text.contains("(,") && !text.contains(",)"));
        }
    }
}
