//! A flow's key, or its mask, as the daemon puts it: netlink attributes numbered by `enum ovs_key_attr` and
//! `enum ovs_tunnel_key_attr` (`include/uapi/linux/openvswitch.h`), whose numbers never change.

use super::Field;
use crate::event::netlink::Attributes;

/// The whole attributes of a list.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    Attributes(bytes).filter(|attribute| !attribute.cut).map(|attribute| (attribute.kind, attribute.value))
}

/// A number in network order.
fn big(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// A number in the host's order.
fn own(bytes: &[u8]) -> u128 {
    let add = |sum, byte: &u8| sum << 8 | u128::from(*byte);
    if cfg!(target_endian = "little") { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
}

/// FNV-1a: two equal digests mean the same bytes, and nothing else.
fn digest(bytes: &[u8]) -> u128 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    // Masks are digested as well, and one that is all 0 must stay 0: the attribute does not count.
    if bytes.iter().all(|byte| *byte == 0) { 0 } else { hash.max(1).into() }
}

/// Every field of a key, or of a mask, and of the levels within it.
pub fn parts(bytes: &[u8]) -> Vec<(Field, u128)> {
    let mut parts = Vec::new();
    level(bytes, 0, &mut parts);
    parts
}

fn level(bytes: &[u8], depth: usize, parts: &mut Vec<(Field, u128)>) {
    let is_tagged = attributes(bytes).any(|(kind, _)| kind == 1);
    for (kind, payload) in attributes(bytes) {
        // Field by field, from which byte to which, in network order.
        let mut cut = |layout: &[(Field, usize, usize)]| {
            let within = |&(field, from, to)| Some((field, big(payload.get(from..to)?)));
            parts.extend(layout.iter().filter_map(within));
        };
        match kind {
            // The kernel parses two tags, and so does this.
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
            // `ovs_u128` in OVS, and printed as one number.
            25 => parts.push((Field::CtLabel, own(payload))),
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
            // Flags have no value: being there is all they say. 14 is padding.
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

    use super::super::{Field, FlowMatch};

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
    fn a_connections_label_is_one_number_in_the_hosts_order() {
        let label = 0x1234_5678_9abc_def0_0000_0000_0000_0001_u128;
        let of = FlowMatch::read(&attr(25, &label.to_ne_bytes()), Some(&attr(25, &0xff_u128.to_ne_bytes())));
        assert_eq!(texts(&of), ["ct_label=0x1/0xff"]);
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

    proptest! {
        #[test]
        fn any_bytes_are_read(key in prop::collection::vec(any::<u8>(), 0..300), mask in prop::collection::vec(any::<u8>(), 0..300)) {
            let of = FlowMatch::read(&key, Some(&mask));
            prop_assert!(of.fields().iter().all(|f| f.mask != 0 && f.value & !f.mask == 0));
        }
    }
}
