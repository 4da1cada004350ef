//! What a packet is, in one line: decoded from its first bytes.

use std::{fmt, net::IpAddr};

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

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
    /// ICMP, ICMPv6.
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

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
