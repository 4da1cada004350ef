//! What a packet is, in one line: decoded from its first bytes.

use std::{fmt, net::IpAddr};

use etherparse::{IpNumber, LaxNetSlice, LaxSlicedPacket, LinkSlice};

use crate::event::MacAddr;

/// What could be read of a packet's headers. `Display` gives one line: `172.200.0.1:1000 → 172.200.0.2:9 udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketSummary {
    /// Source address.
    pub eth_src: MacAddr,
    /// Destination address.
    pub eth_dst: MacAddr,
    /// The outermost VLAN id in the packet's bytes. A tag that the hardware took off is not in them.
    pub vlan: Option<u16>,
    /// The ethertype behind the VLAN tags.
    pub ether_type: u16,
    /// What is in it.
    pub net: NetSummary,
}

/// The network layer, as far as it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetSummary {
    /// IPv4 or IPv6.
    Ip {
        /// Source.
        src: IpAddr,
        /// Destination.
        dst: IpAddr,
        /// The protocol's number (IANA).
        proto: u8,
        /// What follows.
        l4: L4Summary,
    },
    /// ARP for IPv4 over Ethernet.
    Arp {
        /// 1 request, 2 reply.
        op: u16,
        /// Sender.
        sender: IpAddr,
        /// Target.
        target: IpAddr,
    },
    /// Something else, or cut short.
    Other,
}

/// The transport layer, as far as it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L4Summary {
    /// TCP, UDP.
    Ports {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP for IPv4 or IPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier and sequence of an echo.
        echo: Option<(u16, u16)>,
    },
    /// A later fragment: its ports are in the first.
    Fragment,
    /// Something else, or cut short.
    Other,
}

impl PacketSummary {
    /// Reads a packet's first bytes, from its Ethernet header on; none where not even that is whole. What is cut or
    /// broken further in ends the reading there.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let sliced = LaxSlicedPacket::from_ethernet(bytes).ok()?;
        let Some(LinkSlice::Ethernet2(eth)) = &sliced.link else { return None };
        let inner = sliced.ether_payload().map_or(eth.ether_type(), |payload| payload.ether_type);
        Some(Self {
            eth_src: MacAddr(eth.source()),
            eth_dst: MacAddr(eth.destination()),
            vlan: sliced.vlan_ids().first().map(|id| id.value()),
            ether_type: inner.0,
            net: sliced.net.as_ref().map_or(NetSummary::Other, read_net),
        })
    }

    /// Where it comes from, for those who look at IP addresses.
    pub fn ip_src(&self) -> Option<IpAddr> {
        match self.net {
            NetSummary::Ip { src, .. } => Some(src),
            NetSummary::Arp { sender, .. } => Some(sender),
            NetSummary::Other => None,
        }
    }

    /// The protocol's name or number: `udp`, `icmp`, `arp`, `proto 89`, `0x88cc`.
    pub fn proto(&self) -> String {
        match self.net {
            NetSummary::Ip { proto, .. } => proto_name(proto).map_or_else(|| format!("proto {proto}"), str::to_owned),
            NetSummary::Arp { .. } => "arp".to_owned(),
            NetSummary::Other => format!("0x{:04x}", self.ether_type),
        }
    }
}

fn read_net(net: &LaxNetSlice<'_>) -> NetSummary {
    let (src, dst, payload, later): (IpAddr, IpAddr, _, _) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let later = header.fragments_offset().value() != 0;
            (header.source_addr().into(), header.destination_addr().into(), ip.payload(), later)
        }
        LaxNetSlice::Ipv6(ip) => {
            let later = ip.extensions().clone().into_iter().any(
                |ext| matches!(ext, etherparse::Ipv6ExtensionSlice::Fragment(f) if f.fragment_offset().value() != 0),
            );
            (ip.header().source_addr().into(), ip.header().destination_addr().into(), ip.payload(), later)
        }
        LaxNetSlice::Arp(arp) => return read_arp(arp),
    };
    let proto = payload.ip_number;
    let l4 = if later { L4Summary::Fragment } else { read_l4(proto, payload.payload) };
    NetSummary::Ip { src, dst, proto: proto.0, l4 }
}

/// The first bytes are enough, and more of them may not have been taken.
fn read_l4(proto: IpNumber, bytes: &[u8]) -> L4Summary {
    let word = |at: usize| bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes);
    match proto {
        IpNumber::TCP | IpNumber::UDP | IpNumber::SCTP | IpNumber::UDP_LITE => match (word(0), word(2)) {
            (Some(src), Some(dst)) => L4Summary::Ports { src, dst },
            _ => L4Summary::Other,
        },
        IpNumber::ICMP | IpNumber::IPV6_ICMP => {
            let &[kind, code, ..] = bytes else { return L4Summary::Other };
            // Echo reply and request: RFC 792, RFC 4443.
            let is_echo = if proto == IpNumber::ICMP { matches!(kind, 0 | 8) } else { matches!(kind, 128 | 129) };
            L4Summary::Icmp { kind, code, echo: word(4).zip(word(6)).filter(|_| is_echo) }
        }
        _ => L4Summary::Other,
    }
}

fn read_arp(arp: &etherparse::ArpPacketSlice<'_>) -> NetSummary {
    let v4 = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    match (v4(arp.sender_protocol_addr()), v4(arp.target_protocol_addr())) {
        (Some(sender), Some(target)) => NetSummary::Arp { op: arp.operation().0, sender, target },
        _ => NetSummary::Other,
    }
}

/// A protocol's usual name (IANA protocol numbers), of those that are met in a datapath.
pub fn proto_name(proto: u8) -> Option<&'static str> {
    Some(match proto {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        17 => "udp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        112 => "vrrp",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

impl fmt::Display for PacketSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.net {
            NetSummary::Ip { src, dst, l4, .. } => {
                match l4 {
                    L4Summary::Ports { src: sport, dst: dport } => {
                        write!(
                            f,
                            "{} → {} ",
                            std::net::SocketAddr::new(src, sport),
                            std::net::SocketAddr::new(dst, dport)
                        )?;
                    }
                    _ => write!(f, "{src} → {dst} ")?,
                }
                f.write_str(&self.proto())?;
                match l4 {
                    L4Summary::Icmp { kind, code, echo } => fmt_icmp(f, kind, code, echo)?,
                    L4Summary::Fragment => f.write_str(" fragment")?,
                    L4Summary::Ports { .. } | L4Summary::Other => {}
                }
            }
            NetSummary::Arp { op: 1, sender, target } => write!(f, "arp who-has {target} tell {sender}")?,
            NetSummary::Arp { op: 2, sender, .. } => write!(f, "arp reply {sender} is-at {}", self.eth_src)?,
            NetSummary::Arp { op, sender, target } => write!(f, "arp op {op} {sender} → {target}")?,
            NetSummary::Other => write!(f, "{} → {} {}", self.eth_src, self.eth_dst, self.proto())?,
        }
        match self.vlan {
            Some(vlan) => write!(f, " vlan {vlan}"),
            None => Ok(()),
        }
    }
}

fn fmt_icmp(f: &mut fmt::Formatter<'_>, kind: u8, code: u8, echo: Option<(u16, u16)>) -> fmt::Result {
    match echo {
        Some((id, seq)) => {
            let what = if matches!(kind, 8 | 128) { "request" } else { "reply" };
            write!(f, " echo {what} id {id} seq {seq}")
        }
        None => write!(f, " type {kind} code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    fn line(bytes: &[u8]) -> String {
        PacketSummary::read(bytes).expect("an Ethernet header").to_string()
    }

    #[test]
    fn udp_in_a_vlan() {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .single_vlan(etherparse::VlanId::try_new(7).expect("below 4096"))
            .ipv4([172, 200, 0, 1], [172, 200, 0, 2], 64)
            .udp(1000, 9)
            .write(&mut bytes, &[0; 60])
            .expect("a vector takes it");
        assert_eq!(line(&bytes), "172.200.0.1:1000 → 172.200.0.2:9 udp vlan 7");
        // The same when only the ports' bytes were taken.
        assert_eq!(line(&bytes[..14 + 4 + 20 + 4]), "172.200.0.1:1000 → 172.200.0.2:9 udp vlan 7");
        assert_eq!(line(&bytes[..14 + 4 + 20 + 3]), "172.200.0.1 → 172.200.0.2 udp vlan 7");
        assert_eq!(line(&bytes[..14 + 4]), "02:00:00:00:00:01 → 02:00:00:00:00:02 0x0800 vlan 7");
        assert_eq!(PacketSummary::read(&bytes[..13]), None);
    }

    #[test]
    fn echo_over_both_ips() {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .icmpv4_echo_request(5, 6)
            .write(&mut bytes, &[])
            .expect("a vector takes it");
        assert_eq!(line(&bytes), "10.0.0.1 → 10.0.0.2 icmp echo request id 5 seq 6");
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv6([1; 16], [2; 16], 64)
            .icmpv6_echo_reply(7, 8)
            .write(&mut bytes, &[])
            .expect("a vector takes it");
        assert!(line(&bytes).ends_with(" icmpv6 echo reply id 7 seq 8"));
    }

    #[test]
    fn a_later_fragment_has_no_ports() {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(1, 2)
            .write(&mut bytes, &[0; 8])
            .expect("a vector takes it");
        bytes[14 + 7] = 16;
        assert_eq!(line(&bytes), "10.0.0.1 → 10.0.0.2 udp fragment");
    }

    #[test]
    fn arp_asks_and_answers() {
        let mut bytes = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6];
        bytes.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        assert_eq!(line(&bytes), "arp who-has 10.0.0.2 tell 10.0.0.1");
        bytes[14 + 7] = 2;
        assert_eq!(line(&bytes), "arp reply 10.0.0.1 is-at 02:00:00:00:00:01");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0usize..6) {
            let mut bytes = bytes;
            if let Some(ether_type) = bytes.get_mut(12..14) {
                let known = [[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0], [0x88, 0xa8], [0x88, 0xcc]];
                ether_type.copy_from_slice(&known[kind]);
            }
            if let Some(summary) = PacketSummary::read(&bytes) {
                let _ = summary.to_string();
            }
        }
    }
}
