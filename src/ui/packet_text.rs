//! A packet's headers in words, and its first bytes in hex.

use std::fmt::Write as _;

use etherparse::{ArpPacket, LaxPacketHeaders, LinkExtHeader, LinkHeader, NetHeaders, TransportHeader};

use super::{Lines, Screen, label};
use crate::{
    event::PacketBytes,
    model::{MacAddr, Packet},
};

/// The headers as lines.
pub fn headers(screen: &Screen<'_>, packet: &Packet) -> Lines {
    let theme = screen.theme;
    let Some(bytes) = &packet.bytes else {
        return vec![vec![(" the packet's bytes were not seen".to_owned(), theme.text)]];
    };
    decode(bytes)
        .into_iter()
        .map(|(name, words)| vec![(format!(" {name:<9} "), theme.quiet), (words, theme.text)])
        .collect()
}

/// The bytes in hex as lines; none where there are none.
pub fn hex(screen: &Screen<'_>, packet: &Packet) -> Lines {
    let theme = screen.theme;
    let mut lines = Lines::new();
    let Some(bytes) = &packet.bytes else { return lines };
    for (at, row) in bytes.data.chunks(16).enumerate() {
        let mut hex = String::new();
        for (i, byte) in row.iter().enumerate() {
            hex.push_str(if i == 8 { "  " } else { " " });
            let _ = write!(hex, "{byte:02x}");
        }
        let printed: String =
            row.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        lines.push(vec![
            (format!(" {:04x} ", at * 16), theme.quiet),
            (format!("{hex:<49}"), theme.text),
            (format!("  {printed}"), theme.quiet),
        ]);
    }
    let more = u64::from(bytes.len).saturating_sub(bytes.data.len() as u64);
    if more > 0 {
        lines.push(vec![(format!("      {more} more bytes were not taken"), theme.quiet)]);
    }
    lines
}

/// What each header says, the outermost first, as far as the bytes go.
fn decode(bytes: &PacketBytes) -> Vec<(&'static str, String)> {
    let Ok(found) = LaxPacketHeaders::from_ethernet(&bytes.data) else {
        return vec![("headers", "too few bytes for an Ethernet header".to_owned())];
    };
    let mut lines = Vec::new();
    if let Some(LinkHeader::Ethernet2(eth)) = &found.link {
        let (src, dst) = (MacAddr(eth.source), MacAddr(eth.destination));
        lines.push(("Ethernet", format!("{src} → {dst}  type 0x{:04x}", eth.ether_type.0)));
    }
    for ext in &found.link_exts {
        match ext {
            LinkExtHeader::Vlan(vlan) => {
                let words = format!(
                    "id {}  priority {}  type 0x{:04x}",
                    vlan.vlan_id.value(),
                    vlan.pcp.value(),
                    vlan.ether_type.0
                );
                lines.push(("VLAN", words));
            }
            LinkExtHeader::Macsec(_) => lines.push(("MACsec", "encrypted or authenticated".to_owned())),
        }
    }
    match &found.net {
        Some(NetHeaders::Ipv4(ip, _)) => {
            let (src, dst) = (std::net::Ipv4Addr::from(ip.source), std::net::Ipv4Addr::from(ip.destination));
            let fragment = match (ip.fragment_offset.value(), ip.more_fragments) {
                (0, false) => if ip.dont_fragment { "  DF" } else { "" }.to_owned(),
                (offset, more) => {
                    format!("  fragment at {}{}", offset * 8, if more { ", more follow" } else { ", the last" })
                }
            };
            let words = format!(
                "{src} → {dst}  {}  ttl {}  tos 0x{:02x}  id {}  {} bytes{fragment}",
                label::protocol(ip.protocol.0),
                ip.time_to_live,
                ip.dscp.value() << 2 | ip.ecn.value(),
                ip.identification,
                ip.total_len
            );
            lines.push(("IPv4", words));
        }
        Some(NetHeaders::Ipv6(ip, _)) => {
            let (src, dst) = (std::net::Ipv6Addr::from(ip.source), std::net::Ipv6Addr::from(ip.destination));
            let words = format!(
                "{src} → {dst}  {}  hop limit {}  {} bytes",
                label::protocol(ip.next_header.0),
                ip.hop_limit,
                ip.payload_length
            );
            lines.push(("IPv6", words));
        }
        Some(NetHeaders::Arp(arp)) => lines.push(("ARP", arp_words(arp))),
        None => {}
    }
    match &found.transport {
        Some(TransportHeader::Udp(udp)) => {
            lines.push(("UDP", format!("{} → {}  {} bytes", udp.source_port, udp.destination_port, udp.length)));
        }
        Some(TransportHeader::Tcp(tcp)) => {
            let set = [
                (tcp.syn, "SYN"),
                (tcp.ack, "ACK"),
                (tcp.fin, "FIN"),
                (tcp.rst, "RST"),
                (tcp.psh, "PSH"),
                (tcp.urg, "URG"),
                (tcp.ece, "ECE"),
                (tcp.cwr, "CWR"),
            ];
            let flags: Vec<&str> = set.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
            let words = format!(
                "{} → {}  {}  seq {}  ack {}  window {}",
                tcp.source_port,
                tcp.destination_port,
                if flags.is_empty() { "no flag".to_owned() } else { flags.join(" ") },
                tcp.sequence_number,
                tcp.acknowledgment_number,
                tcp.window_size
            );
            lines.push(("TCP", words));
        }
        Some(TransportHeader::Icmpv4(icmp)) => lines.push(("ICMP", icmp_words(&icmp.to_bytes(), icmpv4_name))),
        Some(TransportHeader::Icmpv6(icmp)) => lines.push(("ICMPv6", icmp_words(&icmp.to_bytes(), icmpv6_name))),
        _ => {}
    }
    lines
}

fn arp_words(arp: &ArpPacket) -> String {
    let Ok(arp) = arp.try_eth_ipv4() else {
        return format!("operation {}, not of IPv4 over Ethernet", arp.operation.0);
    };
    let (sender, target) = (arp.sender_ipv4_addr(), arp.target_ipv4_addr());
    let (by, to) = (MacAddr(arp.sender_mac), MacAddr(arp.target_mac));
    match arp.operation.0 {
        1 => format!("request: who has {target}?  tell {sender} at {by}"),
        2 => format!("reply: {sender} is at {by}  to {target} at {to}"),
        other => format!("operation {other}  {sender} at {by} → {target} at {to}"),
    }
}

/// Type and code, and of an echo its identifier and sequence.
fn icmp_words(bytes: &[u8], name: fn(u8) -> Option<&'static str>) -> String {
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let word = |place: usize| u16::from_be_bytes([at(place), at(place + 1)]);
    let known = name(at(0)).map_or_else(String::new, |name| format!(" ({name})"));
    let echo = match at(0) {
        0 | 8 | 128 | 129 => format!("  id {}  sequence {}", word(4), word(6)),
        _ => String::new(),
    };
    format!("type {}{known}  code {}{echo}", at(0), at(1))
}

/// Of IANA's ICMP types those that are met.
fn icmpv4_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "echo reply",
        3 => "destination unreachable",
        5 => "redirect",
        8 => "echo request",
        11 => "time exceeded",
        12 => "parameter problem",
        _ => return None,
    })
}

/// The same of `ICMPv6`'s.
fn icmpv6_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        143 => "multicast listener report",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn words(data: Vec<u8>) -> Vec<(&'static str, String)> {
        decode(&PacketBytes { len: data.len() as u32, data: data.into() })
    }

    fn told<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
        words.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn every_header_is_told_with_its_fields() {
        let eth = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut tcp = Vec::new();
        let builder = eth().single_vlan(etherparse::VlanId::try_new(5).expect("a good id"));
        let builder = builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 63).tcp(1000, 80, 7, 64).syn().ece().cwr();
        builder.write(&mut tcp, &[]).expect("a vector takes it");
        let tcp = words(tcp);
        assert_eq!(told(&tcp), ["Ethernet", "VLAN", "IPv4", "TCP"]);
        assert!(tcp[1].1.starts_with("id 5 ") && tcp[3].1.contains("1000 → 80  SYN ECE CWR  seq 7"), "{tcp:?}");

        let mut ping = Vec::new();
        let builder = eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 63).icmpv4_echo_request(3, 9);
        builder.write(&mut ping, &[]).expect("a vector takes it");
        let ping = words(ping);
        assert_eq!(ping[2], ("ICMP", "type 8 (echo request)  code 0  id 3  sequence 9".to_owned()));

        let mut ping6 = Vec::new();
        let builder = eth().ipv6([1; 16], [2; 16], 63).icmpv6_echo_reply(3, 9);
        builder.write(&mut ping6, &[]).expect("a vector takes it");
        let ping6 = words(ping6);
        assert_eq!(ping6[2], ("ICMPv6", "type 129 (echo reply)  code 0  id 3  sequence 9".to_owned()));
    }

    #[test]
    fn arp_says_who_asks_for_whom() {
        let mut data = vec![0xff; 6];
        data.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1]);
        data.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        let arp = words(data);
        assert_eq!(arp[1], ("ARP", "request: who has 10.0.0.2?  tell 10.0.0.1 at 02:00:00:00:00:01".to_owned()));
    }

    #[test]
    fn what_is_cut_is_told_as_far_as_it_goes() {
        let mut data = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 63).udp(1, 2);
        builder.write(&mut data, &[0; 8]).expect("a vector takes it");
        for len in 0..data.len() {
            assert!(!words(data[..len].to_vec()).is_empty(), "{len} bytes");
        }
    }
}
