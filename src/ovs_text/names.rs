//! Under which names OpenFlow matches and actions use a field.

use std::borrow::Cow;

use crate::event::Field;

/// How a rule uses a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Names {
    /// It matches it.
    Match,
    /// One of its actions reads or writes it: either makes the flow match the field.
    Action(String),
}

/// Names of a field in `ovs-ofctl`'s matches and actions, with those of NXM and OXM and of actions that are about the
/// field alone, in small letters.
fn words(field: Field) -> &'static [&'static str] {
    match field {
        Field::RecircId => &["recirc_id", "nxm_nx_recirc_id"],
        Field::DpHash => &["dp_hash", "nxm_nx_dp_hash"],
        Field::SkbPriority => &["skb_priority", "set_queue", "enqueue", "pop_queue"],
        Field::SkbMark => &["pkt_mark", "skb_mark", "nxm_nx_pkt_mark"],
        Field::InPort => &["in_port", "in_port_oxm", "nxm_of_in_port", "oxm_of_in_port"],
        Field::TunId => &["tun_id", "tunnel_id", "nxm_nx_tun_id", "oxm_of_tunnel_id"],
        Field::TunSrc => &["tun_src", "nxm_nx_tun_ipv4_src"],
        Field::TunDst => &["tun_dst", "nxm_nx_tun_ipv4_dst"],
        Field::TunIpv6Src => &["tun_ipv6_src", "nxm_nx_tun_ipv6_src"],
        Field::TunIpv6Dst => &["tun_ipv6_dst", "nxm_nx_tun_ipv6_dst"],
        Field::TunTos => &["tun_tos"],
        Field::TunTtl => &["tun_ttl"],
        Field::TunTpSrc | Field::TunTpDst | Field::Other(_) => &[],
        Field::CtState => &["ct_state", "nxm_nx_ct_state"],
        Field::CtZone => &["ct_zone", "nxm_nx_ct_zone"],
        Field::CtMark => &["ct_mark", "nxm_nx_ct_mark"],
        Field::CtLabel => &["ct_label", "nxm_nx_ct_label"],
        Field::CtNwSrc => &["ct_nw_src", "nxm_nx_ct_nw_src"],
        Field::CtNwDst => &["ct_nw_dst", "nxm_nx_ct_nw_dst"],
        Field::CtIpv6Src => &["ct_ipv6_src", "nxm_nx_ct_ipv6_src"],
        Field::CtIpv6Dst => &["ct_ipv6_dst", "nxm_nx_ct_ipv6_dst"],
        Field::CtNwProto => &["ct_nw_proto", "nxm_nx_ct_nw_proto"],
        Field::CtTpSrc => &["ct_tp_src", "nxm_nx_ct_tp_src"],
        Field::CtTpDst => &["ct_tp_dst", "nxm_nx_ct_tp_dst"],
        Field::PacketType => &["packet_type", "oxm_of_packet_type"],
        Field::EthSrc => &["dl_src", "eth_src", "nxm_of_eth_src", "oxm_of_eth_src", "mod_dl_src", "normal"],
        Field::EthDst => &["dl_dst", "eth_dst", "nxm_of_eth_dst", "oxm_of_eth_dst", "mod_dl_dst", "normal"],
        Field::VlanTci => &[
            "vlan_tci",
            "dl_vlan",
            "dl_vlan_pcp",
            "vlan_vid",
            "vlan_pcp",
            "nxm_of_vlan_tci",
            "oxm_of_vlan_vid",
            "oxm_of_vlan_pcp",
            "mod_vlan_vid",
            "mod_vlan_pcp",
            "set_vlan_vid",
            "set_vlan_pcp",
            "strip_vlan",
            "pop_vlan",
            "push_vlan",
            "normal",
        ],
        Field::InnerVlanTci => &["vlan_tci1", "dl_vlan1", "dl_vlan_pcp1"],
        Field::VlanTpid | Field::InnerVlanTpid => &["push_vlan"],
        Field::EthType => &["dl_type", "eth_type", "nxm_of_eth_type", "oxm_of_eth_type"],
        Field::MplsLse => &[
            "mpls_label",
            "mpls_tc",
            "mpls_bos",
            "mpls_ttl",
            "oxm_of_mpls_label",
            "oxm_of_mpls_tc",
            "oxm_of_mpls_bos",
            "nxm_nx_mpls_ttl",
            "set_mpls_label",
            "set_mpls_tc",
            "set_mpls_ttl",
            "dec_mpls_ttl",
            "push_mpls",
            "pop_mpls",
        ],
        Field::Ipv4Src => &["nw_src", "ip_src", "nxm_of_ip_src", "oxm_of_ipv4_src", "mod_nw_src"],
        Field::Ipv4Dst => &["nw_dst", "ip_dst", "nxm_of_ip_dst", "oxm_of_ipv4_dst", "mod_nw_dst"],
        Field::Ipv6Src => &["ipv6_src", "nxm_nx_ipv6_src", "oxm_of_ipv6_src"],
        Field::Ipv6Dst => &["ipv6_dst", "nxm_nx_ipv6_dst", "oxm_of_ipv6_dst"],
        Field::Ipv6Label => &["ipv6_label", "nxm_nx_ipv6_label", "oxm_of_ipv6_flabel"],
        Field::IpProto => &["nw_proto", "ip_proto", "nxm_of_ip_proto", "oxm_of_ip_proto"],
        Field::IpTos => &[
            "nw_tos",
            "nw_ecn",
            "ip_dscp",
            "ip_ecn",
            "nxm_of_ip_tos",
            "nxm_nx_ip_ecn",
            "oxm_of_ip_dscp",
            "oxm_of_ip_ecn",
            "mod_nw_tos",
            "mod_nw_ecn",
        ],
        Field::IpTtl => &["nw_ttl", "nxm_nx_ip_ttl", "mod_nw_ttl", "dec_ttl"],
        Field::IpFrag => &["nw_frag", "ip_frag", "nxm_nx_ip_frag"],
        Field::TcpSrc => &["tp_src", "tcp_src", "nxm_of_tcp_src", "oxm_of_tcp_src", "mod_tp_src"],
        Field::TcpDst => &["tp_dst", "tcp_dst", "nxm_of_tcp_dst", "oxm_of_tcp_dst", "mod_tp_dst"],
        Field::TcpFlags => &["tcp_flags", "nxm_nx_tcp_flags", "oxm_of_tcp_flags"],
        Field::UdpSrc => &["tp_src", "udp_src", "nxm_of_udp_src", "oxm_of_udp_src", "mod_tp_src"],
        Field::UdpDst => &["tp_dst", "udp_dst", "nxm_of_udp_dst", "oxm_of_udp_dst", "mod_tp_dst"],
        Field::SctpSrc => &["tp_src", "sctp_src", "oxm_of_sctp_src", "mod_tp_src"],
        Field::SctpDst => &["tp_dst", "sctp_dst", "oxm_of_sctp_dst", "mod_tp_dst"],
        Field::IcmpType => &["icmp_type", "nxm_of_icmp_type", "oxm_of_icmpv4_type"],
        Field::IcmpCode => &["icmp_code", "nxm_of_icmp_code", "oxm_of_icmpv4_code"],
        Field::Icmpv6Type => &["icmp_type", "icmpv6_type", "nxm_nx_icmpv6_type", "oxm_of_icmpv6_type"],
        Field::Icmpv6Code => &["icmp_code", "icmpv6_code", "nxm_nx_icmpv6_code", "oxm_of_icmpv6_code"],
        Field::ArpSpa => &["arp_spa", "nw_src", "nxm_of_arp_spa", "oxm_of_arp_spa"],
        Field::ArpTpa => &["arp_tpa", "nw_dst", "nxm_of_arp_tpa", "oxm_of_arp_tpa"],
        Field::ArpOp => &["arp_op", "nw_proto", "nxm_of_arp_op", "oxm_of_arp_op"],
        Field::ArpSha => &["arp_sha", "nxm_nx_arp_sha", "oxm_of_arp_sha"],
        Field::ArpTha => &["arp_tha", "nxm_nx_arp_tha", "oxm_of_arp_tha"],
        Field::NdTarget => &["nd_target", "nxm_nx_nd_target", "oxm_of_ipv6_nd_target"],
        Field::NdSll => &["nd_sll", "nxm_nx_nd_sll", "oxm_of_ipv6_nd_sll"],
        Field::NdTll => &["nd_tll", "nxm_nx_nd_tll", "oxm_of_ipv6_nd_tll"],
    }
}

/// Words of a match that stand for the protocols of a packet.
const PROTOCOLS: [&str; 14] =
    ["ip", "ipv6", "arp", "rarp", "mpls", "mplsm", "icmp", "icmp6", "tcp", "tcp6", "udp", "udp6", "sctp", "sctp6"];

/// The fields that a hash of `multipath` and `bundle` is over (`flow_mask_hash_fields` in `lib/flow.c`).
fn is_hashed(hash: &str, field: Field) -> bool {
    let macs = [Field::EthSrc, Field::EthDst, Field::VlanTci, Field::InnerVlanTci];
    let ips = [Field::Ipv4Src, Field::Ipv4Dst, Field::Ipv6Src, Field::Ipv6Dst];
    let ports = [Field::TcpSrc, Field::TcpDst, Field::SctpSrc, Field::SctpDst];
    let udp = [Field::UdpSrc, Field::UdpDst];
    let proto = field == Field::IpProto;
    match hash {
        "eth_src" => field == Field::EthSrc,
        "nw_src" => [Field::Ipv4Src, Field::Ipv6Src].contains(&field),
        "nw_dst" => [Field::Ipv4Dst, Field::Ipv6Dst].contains(&field),
        "symmetric_l3" => ips.contains(&field),
        "symmetric_l3l4" => proto || ips.contains(&field) || ports.contains(&field),
        "symmetric_l3l4+udp" => proto || ips.contains(&field) || ports.contains(&field) || udp.contains(&field),
        // Since OVS 2.12 the ports of UDP are left out.
        "symmetric_l4" => proto || macs.contains(&field) || ips.contains(&field) || ports.contains(&field),
        _ => false,
    }
}

/// How a rule with this match and these actions, one action per text, uses the field; the match first.
pub fn names(field: Field, matches: &str, actions: &[String]) -> Vec<Names> {
    let mut found = Vec::new();
    if is_matched(field, matches) {
        found.push(Names::Match);
    }
    found.extend(actions.iter().filter(|action| is_used(field, action)).map(|action| Names::Action(action.clone())));
    found
}

fn is_matched(field: Field, matches: &str) -> bool {
    let of_protocol = matches!(field, Field::EthType | Field::IpProto);
    matches.split(',').map(str::trim).any(|part| match part.split_once('=') {
        Some((name, _)) => words(field).contains(&name),
        None => words(field).contains(&part) || of_protocol && PROTOCOLS.contains(&part),
    })
}

fn is_used(field: Field, action: &str) -> bool {
    let small = action.trim().to_ascii_lowercase();
    let hashes = ["multipath(", "bundle(", "bundle_load("];
    if let Some(inner) = hashes.iter().find_map(|name| small.strip_prefix(name)) {
        // What the hash is written to is no field of a packet.
        return is_hashed(inner.split(',').next().unwrap_or_default(), field);
    }
    // `learn` speaks of fields of the rule that it makes, too: those of the packet are what it copies.
    let read: Cow<'_, str> = match small.split_once("learn(") {
        Some((before, learn)) => (before.to_owned() + &learned(learn)).into(),
        None => small.as_str().into(),
    };
    read.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| words(field).contains(&word))
}

/// Of `NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[],NXM_OF_VLAN_TCI[0..11],eth_type=0x800` what
/// is read of the packet.
fn learned(specs: &str) -> String {
    let read = |spec: &str| -> String {
        if let Some((_, from)) = spec.split_once('=') {
            return from.to_owned();
        }
        spec.split_once("->").map_or(spec, |(from, _)| from).to_owned()
    };
    specs.split(',').map(read).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(field: Field, matches: &str, actions: &[&str]) -> Vec<Names> {
        names(field, matches, &actions.iter().map(|action| (*action).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_match_names_its_fields_and_no_others() {
        assert_eq!(said(Field::UdpSrc, "udp,in_port=1,tp_src=0x5/0xff", &[]), [Names::Match]);
        assert_eq!(said(Field::UdpDst, "udp,in_port=1,tp_src=5", &[]), []);
        assert_eq!(said(Field::EthType, "tcp", &[]), [Names::Match], "the protocol's name is a match on it");
        assert_eq!(said(Field::Ipv4Src, "tcp,nw_dst=1.2.3.4,reg0=0x1", &[]), []);
        assert_eq!(said(Field::InPort, "", &[]), []);
    }

    #[test]
    fn an_action_that_reads_or_writes_a_field_names_it() {
        let copy = "move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]";
        assert_eq!(said(Field::UdpSrc, "udp", &[copy, "resubmit(,1)"]), [Names::Action(copy.to_owned())]);
        assert_eq!(said(Field::UdpDst, "udp", &[copy]), []);
        for (field, action) in [
            (Field::EthSrc, "NORMAL"),
            (Field::IpTtl, "dec_ttl"),
            (Field::Ipv4Dst, "set_field:1.2.3.4->ip_dst"),
            (Field::TcpSrc, "ct(commit,exec(move:NXM_OF_TCP_SRC[]->NXM_NX_CT_MARK[0..15]))"),
            (Field::TcpDst, "multipath(symmetric_l4,1024,modulo_n,4,0,NXM_NX_REG1[])"),
            (Field::UdpSrc, "bundle(symmetric_l3l4+udp,0,hrw,ofport,members:1,2)"),
            (Field::EthSrc, "learn(table=9,eth_type=0x800,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])"),
            (Field::VlanTci, "learn(table=9,NXM_OF_VLAN_TCI[0..11],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[])"),
        ] {
            assert_eq!(said(field, "", &[action]), [Names::Action(action.to_owned())], "{field:?}");
        }
        for (field, action) in [
            (Field::UdpSrc, "multipath(symmetric_l4,1024,modulo_n,4,0,NXM_NX_REG1[])"),
            (Field::EthDst, "learn(table=9,eth_type=0x800,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])"),
            (Field::EthType, "learn(table=9,eth_type=0x800,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])"),
            (Field::UdpSrc, "output:2"),
            (Field::UdpSrc, "group:1"),
        ] {
            assert_eq!(said(field, "", &[action]), [], "{field:?} {action}");
        }
    }

    #[test]
    fn names_are_in_small_letters() {
        let all = Field::NAMED.iter().flat_map(|field| words(*field));
        assert!(all.clone().count() > 100);
        all.for_each(|word| assert_eq!(*word, word.to_ascii_lowercase()));
    }
}
