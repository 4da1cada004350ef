//! What a packet's first bytes say, as the fields of a flow's key.

use etherparse::{LaxPacketHeaders, LinkExtHeader, LinkHeader, NetHeaders, TransportHeader};

use crate::event::{Field, FieldMatch, FlowMatch, PortNo};

/// A tag's bit for "there is one".
const TAGGED: u128 = 0x1000;

/// The fields of a packet that came in by this port, as far as its bytes tell them, each exact; none where not even its
/// Ethernet header is whole. What is around the packet, as a tunnel or a connection, is not in its bytes, and neither is
/// a VLAN tag that the hardware took off.
pub fn packet_key(in_port: PortNo, bytes: &[u8]) -> Option<FlowMatch> {
    let found = LaxPacketHeaders::from_ethernet(bytes).ok()?;
    let Some(LinkHeader::Ethernet2(eth)) = &found.link else { return None };
    let big = |bytes: &[u8]| bytes.iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
    let mut fields = vec![(Field::InPort, in_port.0.into()), (Field::RecircId, 0)];
    fields.extend([(Field::EthSrc, big(&eth.source)), (Field::EthDst, big(&eth.destination))]);
    let (mut kind, mut tags) = (eth.ether_type.0, 0);
    for ext in &found.link_exts {
        let LinkExtHeader::Vlan(tag) = ext else { break };
        let [tpid, tci] =
            if tags == 0 { [Field::VlanTpid, Field::VlanTci] } else { [Field::InnerVlanTpid, Field::InnerVlanTci] };
        let value = u128::from(tag.pcp.value()) << 13 | TAGGED | u128::from(tag.vlan_id.value());
        fields.extend([(tpid, kind.into()), (tci, value)]);
        (kind, tags) = (tag.ether_type.0, tags + 1);
        // The datapath knows two.
        if tags == 2 {
            break;
        }
    }
    fields.push((Field::EthType, kind.into()));
    let mut proto = 0;
    match &found.net {
        Some(NetHeaders::Ipv4(ip, _)) => {
            proto = ip.protocol.0;
            let later = ip.fragment_offset.value() > 0;
            let frag = if later { 2 } else { u128::from(ip.more_fragments) };
            fields.extend([
                (Field::Ipv4Src, big(&ip.source)),
                (Field::Ipv4Dst, big(&ip.destination)),
                (Field::IpTos, u128::from(ip.dscp.value()) << 2 | u128::from(ip.ecn.value())),
                (Field::IpTtl, ip.time_to_live.into()),
                (Field::IpFrag, frag),
            ]);
        }
        Some(NetHeaders::Ipv6(ip, more)) => {
            proto = more.next_header(ip.next_header).map_or(ip.next_header.0, |next| next.0);
            let fragment = more.fragment.as_ref();
            let frag = fragment.map_or(0, |of| if of.fragment_offset.value() > 0 { 2 } else { 1 });
            fields.extend([
                (Field::Ipv6Src, big(&ip.source)),
                (Field::Ipv6Dst, big(&ip.destination)),
                (Field::Ipv6Label, ip.flow_label.value().into()),
                (Field::IpTos, ip.traffic_class.into()),
                (Field::IpTtl, ip.hop_limit.into()),
                (Field::IpFrag, frag),
            ]);
        }
        Some(NetHeaders::Arp(arp)) => {
            fields.extend([
                (Field::ArpOp, arp.operation.0.into()),
                (Field::ArpSpa, big(arp.sender_protocol_addr())),
                (Field::ArpTpa, big(arp.target_protocol_addr())),
                (Field::ArpSha, big(arp.sender_hw_addr())),
                (Field::ArpTha, big(arp.target_hw_addr())),
            ]);
        }
        None => {}
    }
    if proto != 0 {
        fields.push((Field::IpProto, proto.into()));
    }
    match &found.transport {
        Some(TransportHeader::Udp(udp)) => {
            fields.extend([(Field::UdpSrc, udp.source_port.into()), (Field::UdpDst, udp.destination_port.into())]);
        }
        Some(TransportHeader::Tcp(tcp)) => {
            let flags = [tcp.fin, tcp.syn, tcp.rst, tcp.psh, tcp.ack, tcp.urg, tcp.ece, tcp.cwr, tcp.ns];
            let flags = flags.into_iter().zip(0..).fold(0, |sum, (flag, bit)| sum | u128::from(flag) << bit);
            fields.extend([
                (Field::TcpSrc, tcp.source_port.into()),
                (Field::TcpDst, tcp.destination_port.into()),
                (Field::TcpFlags, flags),
            ]);
        }
        Some(TransportHeader::Icmpv4(icmp)) => {
            let [kind, code, ..] = icmp.to_bytes()[..] else { return None };
            fields.extend([(Field::IcmpType, kind.into()), (Field::IcmpCode, code.into())]);
        }
        Some(TransportHeader::Icmpv6(icmp)) => {
            let [kind, code, ..] = icmp.to_bytes()[..] else { return None };
            fields.extend([(Field::Icmpv6Type, kind.into()), (Field::Icmpv6Code, code.into())]);
        }
        _ => {}
    }
    Some(FlowMatch::new(fields.into_iter().map(|(field, value)| FieldMatch { field, value, mask: u128::MAX })))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    fn texts(bytes: &[u8]) -> String {
        let key = packet_key(PortNo(3), bytes).expect("an Ethernet header");
        key.fields().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_packets_key_is_what_its_headers_say() {
        let mut bytes = Vec::new();
        let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .single_vlan(5.try_into().expect("an id"))
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 80, 1, 1)
            .syn();
        packet.write(&mut bytes, &[]).expect("memory");
        assert_eq!(
            texts(&bytes),
            "recirc_id=0x0 in_port=3 eth_src=02:00:00:00:00:01 eth_dst=02:00:00:00:00:02 vlan_tci=0x1005 \
             vlan_tpid=0x8100 eth_type=0x800 ipv4_src=10.0.0.1 ipv4_dst=10.0.0.2 ip_proto=6 ip_tos=0x0 ip_ttl=64 \
             ip_frag=0 tcp_src=1000 tcp_dst=80 tcp_flags=0x2"
        );
        let mut bytes = Vec::new();
        let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv6([1; 16], [2; 16], 9)
            .icmpv6_echo_request(1, 2);
        packet.write(&mut bytes, &[]).expect("memory");
        assert!(texts(&bytes).ends_with("ip_proto=58 ip_tos=0x0 ip_ttl=9 ip_frag=0 icmpv6_type=128 icmpv6_code=0"));
        assert_eq!(packet_key(PortNo(3), &bytes[..13]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let key = packet_key(PortNo(1), &bytes);
            prop_assert_eq!(key.is_some(), bytes.len() >= 14);
        }
    }
}
