//! A packet's headers in words, and its first bytes in hex.

use std::fmt::Write as _;

use etherparse::{LaxPacketHeaders, LinkExtHeader, LinkHeader, NetHeaders, TransportHeader};

use super::{Lines, Screen, label};
use crate::{
    event::PacketBytes,
    model::{MacAddr, Packet},
};

/// Headers and hex, as lines.
pub fn whole(screen: &Screen<'_>, packet: &Packet) -> Lines {
    let theme = screen.theme;
    let Some(bytes) = &packet.bytes else {
        return vec![vec![(" the packet's bytes were not seen".to_owned(), theme.text)]];
    };
    let mut lines: Lines = headers(bytes)
        .into_iter()
        .map(|(name, words)| vec![(format!(" {name:<9} "), theme.quiet), (words, theme.text)])
        .collect();
    lines.push(Vec::new());
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
fn headers(bytes: &PacketBytes) -> Vec<(&'static str, String)> {
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
        Some(NetHeaders::Arp(arp)) => lines.push(("ARP", format!("operation {}", arp.operation.0))),
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
            ];
            let flags: Vec<&str> = set.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
            let words = format!(
                "{} → {}  {}  seq {}  ack {}  window {}",
                tcp.source_port,
                tcp.destination_port,
                flags.join(" "),
                tcp.sequence_number,
                tcp.acknowledgment_number,
                tcp.window_size
            );
            lines.push(("TCP", words));
        }
        Some(TransportHeader::Icmpv4(icmp)) => {
            let bytes = icmp.to_bytes();
            lines.push(("ICMP", format!("type {}  code {}", bytes[0], bytes[1])));
        }
        Some(TransportHeader::Icmpv6(icmp)) => {
            let bytes = icmp.to_bytes();
            lines.push(("ICMPv6", format!("type {}  code {}", bytes[0], bytes[1])));
        }
        _ => {}
    }
    lines
}
