//! A datapath's flow as `dpctl/get-flow` and `dpctl/dump-flows` write it: key under its mask, counts, actions
//! (`odp_flow_format` in `lib/odp-util.c`, `dpif_flow_stats_format` in `lib/dpif.c`). What is read is written back as it
//! was, to the letter.

use std::fmt;

use super::{
    Action, Masked,
    split::{call, comma, split},
};

macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident $name:literal [$($field:literal)*],)*) => {
        /// The parts of a flow's key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Group {
            $($(#[$doc])* $group,)*
        }

        impl Group {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$group),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$group => $name,)*
                }
            }

            /// Its fields; none of what is a single value.
            pub fn fields(self) -> &'static [&'static str] {
                match self {
                    $(Self::$group => &[$($field),*],)*
                }
            }
        }
    };
}

groups! {
    /// The pass through the datapath.
    RecircId "recirc_id" [],
    /// The datapath's hash.
    DpHash "dp_hash" [],
    /// The priority in the host.
    SkbPriority "skb_priority" [],
    /// The mark in the host.
    SkbMark "skb_mark" [],
    /// The tunnel that it came from.
    Tunnel "tunnel" ["tun_id" "src" "dst" "ipv6_src" "ipv6_dst" "tos" "ttl" "tp_src" "tp_dst"],
    /// The port.
    InPort "in_port" [],
    /// What connection tracking says.
    CtState "ct_state" [],
    /// The zone.
    CtZone "ct_zone" [],
    /// The connection's mark.
    CtMark "ct_mark" [],
    /// The connection's label.
    CtLabel "ct_label" [],
    /// The connection's first direction.
    CtTuple4 "ct_tuple4" ["src" "dst" "proto" "tp_src" "tp_dst"],
    /// The same over IPv6.
    CtTuple6 "ct_tuple6" ["src" "dst" "proto" "tp_src" "tp_dst"],
    /// What kind of packet it is.
    PacketType "packet_type" ["ns" "id"],
    /// The Ethernet header.
    Eth "eth" ["src" "dst"],
    /// The protocol in the frame, or the kind of tag.
    EthType "eth_type" [],
    /// A VLAN tag.
    Vlan "vlan" ["vid" "pcp" "cfi" "tci"],
    /// MPLS labels: those of several have their number behind their name.
    Mpls "mpls" ["label" "tc" "ttl" "bos" "lse0" "label0" "tc0" "ttl0" "bos0" "label1" "tc1" "ttl1" "bos1" "label2" "tc2" "ttl2" "bos2"],
    /// The IPv4 header.
    Ipv4 "ipv4" ["src" "dst" "proto" "tos" "ttl" "frag"],
    /// The IPv6 header.
    Ipv6 "ipv6" ["src" "dst" "label" "proto" "tclass" "hlimit" "frag"],
    /// TCP's ports.
    Tcp "tcp" ["src" "dst"],
    /// UDP's ports.
    Udp "udp" ["src" "dst"],
    /// SCTP's ports.
    Sctp "sctp" ["src" "dst"],
    /// TCP's flags.
    TcpFlags "tcp_flags" [],
    /// ICMP.
    Icmp "icmp" ["type" "code"],
    /// `ICMPv6`.
    Icmpv6 "icmpv6" ["type" "code"],
    /// Neighbour discovery.
    Nd "nd" ["target" "sll" "tll"],
    /// More of it.
    NdExt "nd_ext" ["nd_reserved" "nd_options_type"],
    /// ARP.
    Arp "arp" ["sip" "tip" "op" "sha" "tha"],
    /// A network service header.
    Nsh "nsh" ["flags" "ttl" "mdtype" "np" "spi" "si" "c1" "c2" "c3" "c4"],
}

/// How deep VLAN tags are read: deeper than the two that exist. What is deeper is [`Part::Unknown`].
const DEEPEST: usize = 8;

/// Fields of a tunnel that are written in a way of their own.
const TUNNEL_OPTIONS: [&str; 5] = ["geneve", "vxlan", "erspan", "gtpu", "flags"];

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// `recirc_id(0x1)`: one value.
    Single(Group, Masked),
    /// `ipv4(src=10.0.0.1,frag=no)`; without fields `eth()`.
    Fields(Group, Vec<Item>),
    /// `encap(…)`: what is behind a tag.
    Encap(Vec<Part>),
    /// What is none of these, as it is.
    Unknown(String),
}

/// What a part with fields has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `src=10.0.0.1`.
    Field(&'static str, Masked),
    /// A tunnel's options, `geneve({class=0x102,type=0x80,len=4,0x1})` and `flags(-df+csum+key)`: what, and what is in
    /// them.
    Option(&'static str, String),
    /// What is none of these, as it is.
    Unknown(String),
}

/// A flow's key under its mask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key(pub Vec<Part>);

/// A flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowText {
    /// `5f74d01b-…`, where it is named.
    pub ufid: Option<String>,
    /// What it matches.
    pub key: Key,
    /// `packets:3`, `used:0.310s`, `dp:ovs`: names and values, those before the actions and those after.
    pub counts: [Vec<(String, String)>; 2],
    /// Its actions; none where there are none in the text.
    pub actions: Option<Vec<Action>>,
}

impl Part {
    fn read(text: &str, depth: usize) -> Self {
        let unknown = || Self::Unknown(text.to_owned());
        let Some((name, inner)) = call(text) else { return unknown() };
        if name == "encap" && depth < DEEPEST {
            return Self::Encap(split(inner).into_iter().map(|part| Self::read(part, depth + 1)).collect());
        }
        let Some(group) = Group::ALL.iter().copied().find(|group| group.name() == name) else { return unknown() };
        if group.fields().is_empty() {
            return Self::Single(group, Masked::read(inner));
        }
        Self::Fields(group, split(inner).into_iter().map(|item| Item::read(group, item)).collect())
    }

    fn unknown(&self) -> usize {
        match self {
            Self::Single(..) => 0,
            Self::Fields(_, items) => items.iter().filter(|item| matches!(item, Item::Unknown(_))).count(),
            Self::Encap(parts) => parts.iter().map(Self::unknown).sum(),
            Self::Unknown(_) => 1,
        }
    }
}

impl Item {
    fn read(group: Group, text: &str) -> Self {
        let field = text.split_once('=').and_then(|(name, value)| {
            let name = group.fields().iter().find(|field| **field == name)?;
            Some(Self::Field(name, Masked::read(value)))
        });
        let option = || {
            let (name, inner) = call(text).filter(|_| group == Group::Tunnel)?;
            let name = TUNNEL_OPTIONS.iter().find(|option| **option == name)?;
            Some(Self::Option(name, inner.to_owned()))
        };
        field.or_else(option).unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }
}

impl Key {
    /// Reads a key. Takes any text: what is not understood is [`Part::Unknown`].
    pub fn read(text: &str) -> Self {
        Self(split(text).into_iter().map(|part| Part::read(part, 0)).collect())
    }

    /// Parts and fields that are not understood.
    pub fn unknown(&self) -> usize {
        self.0.iter().map(Part::unknown).sum()
    }
}

impl FlowText {
    /// Reads a line. Takes any text: what is not understood is an unknown part of the key, or of the actions.
    pub fn read(line: &str) -> Self {
        let (before, actions) = match line.split_once(", actions:") {
            Some((before, actions)) => (before, Some(actions)),
            None => (line, None),
        };
        let (ufid, rest) = match before.strip_prefix("ufid:").and_then(|named| named.split_once(", ")) {
            Some((ufid, rest)) => (Some(ufid.to_owned()), rest),
            None => (None, before),
        };
        let (key, counts) = counts_behind(rest);
        let (actions, behind) = actions.map_or((None, Vec::new()), |actions| {
            let (actions, behind) = counts_behind(actions);
            (Some(Action::read_all(actions)), behind)
        });
        Self { ufid, key: Key::read(key), counts: [counts, behind], actions }
    }

    /// Parts of key and actions that are not understood.
    pub fn unknown(&self) -> usize {
        self.key.unknown() + self.actions.iter().flatten().map(Action::unknown).sum::<usize>()
    }
}

/// The text before its counts, and those: `, name:what` each.
fn counts_behind(text: &str) -> (&str, Vec<(String, String)>) {
    const NAMES: [&str; 7] = ["packets", "bytes", "used", "flags", "offloaded", "dp", "dp-extra-info"];
    let mut counts = Vec::new();
    let mut rest = text;
    while let Some((before, last)) = rest.rsplit_once(", ")
        && let Some((name, said)) = last.split_once(':')
        && NAMES.contains(&name)
    {
        counts.insert(0, (name.to_owned(), said.to_owned()));
        rest = before;
    }
    (rest, counts)
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name, value) => write!(f, "{name}={value}"),
            Self::Option(name, value) => write!(f, "{name}({value})"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(group, value) => write!(f, "{}({value})", group.name()),
            Self::Fields(group, items) => {
                write!(f, "{}(", group.name())?;
                comma(f, items)?;
                f.write_str(")")
            }
            Self::Encap(parts) => {
                f.write_str("encap(")?;
                comma(f, parts)?;
                f.write_str(")")
            }
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        comma(f, &self.0)
    }
}

impl fmt::Display for FlowText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ufid.iter().try_for_each(|ufid| write!(f, "ufid:{ufid}, "))?;
        self.key.fmt(f)?;
        let [before, behind] = &self.counts;
        before.iter().try_for_each(|(name, said)| write!(f, ", {name}:{said}"))?;
        if let Some(actions) = &self.actions {
            f.write_str(", actions:")?;
            comma(f, actions)?;
        }
        behind.iter().try_for_each(|(name, said)| write!(f, ", {name}:{said}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ovs_text::{Base, Value};

    /// Every group in the forms that OVS writes them in; each is understood, and written back as it is.
    const KEYS: &[&str] = &[
        "recirc_id(0),dp_hash(0/0),skb_priority(0/0),in_port(p1),skb_mark(0/0),packet_type(ns=0,id=0)",
        "recirc_id(0x1f),in_port(2),ct_state(+new-est+trk),ct_zone(0x5/0),ct_mark(0x1/0xff),ct_label(0x1/0xffff)",
        "ct_state(0x21/0x25),ct_tuple4(src=10.0.0.1/255.0.0.0,dst=10.0.0.2,proto=6,tp_src=1,tp_dst=80/0xff00)",
        "ct_tuple6(src=fe80::1,dst=fe80::2/ffff::,proto=17,tp_src=1/0,tp_dst=2)",
        "tunnel(tun_id=0x7f10354/0xffff,src=10.10.10.10,dst=20.20.20.20,tos=0x8,ttl=64,tp_src=1,tp_dst=4789,flags(-df+csum+key))",
        "tunnel(tun_id=0x0,ipv6_src=2001:cafe::92,ipv6_dst=2001:cafe::1,geneve({class=0x102,type=0x80,len=4,0xa/0xff}),flags(csum|key))",
        "tunnel(tun_id=0x1,src=1.1.1.1,dst=1.1.1.2,ttl=64,vxlan(gbp(id=10,flags=0x8)),flags(df|key))",
        "tunnel(tun_id=0x1,src=1.1.1.1,dst=1.1.1.2,ttl=64,erspan(ver=2,dir=1,hwid=0x7),flags(key))",
        "tunnel(tun_id=0x1,src=1.1.1.1,dst=1.1.1.2,ttl=64,gtpu(flags=0x30,msgtype=255),flags(key))",
        "in_port(1),eth(src=00:01:02:03:04:05/ff:ff:ff:00:00:00,dst=10:11:12:13:14:15),eth_type(0x0800)",
        "in_port(1),eth(),eth_type(0x88cc)",
        "eth_type(0x8100),vlan(vid=99,pcp=7/0x4),encap(eth_type(0x0800),ipv4(src=35.8.2.41,frag=no))",
        "eth_type(0x88a8),vlan(vid=1,pcp=0,cfi=0),encap(eth_type(0x8100),vlan(tci=0x1002),encap(eth_type(0x0806)))",
        "eth_type(0x8847),mpls(label=100/0xfffff,tc=3/7,ttl=64/0xff,bos=1/1)",
        "eth_type(0x8847),mpls(label0=100,tc0=3,ttl0=64,bos0=0,label1=101,tc1=3,ttl1=64,bos1=1)",
        "ipv4(src=35.8.2.41/255.0.0.0,dst=172.16.0.20,proto=5/0,tos=0x3/0x3,ttl=128,frag=first)",
        "ipv6(src=::1,dst=::2/ffff::,label=0/0xfffff,proto=10,tclass=0x70,hlimit=128/0,frag=later)",
        "tcp(src=80,dst=8080/0xff00),tcp_flags(0x12/0xfff)",
        "udp(src=81,dst=6632),sctp(src=1,dst=2),tcp_flags(+syn-ack)",
        "icmp(type=1,code=2/0),icmpv6(type=135,code=0),nd(target=::3/::,sll=00:05:06:07:08:09,tll=00:05:06:07:08:0a)",
        "nd_ext(nd_reserved=0x0,nd_options_type=2)",
        "arp(sip=1.2.3.4,tip=5.6.7.8/255.255.0.0,op=1,sha=00:0f:10:11:12:13,tha=00:14:15:16:17:18)",
        "nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x123456,si=255,c1=0x11223344,c2=0x0,c3=0x0,c4=0x0)",
        "eth_type(0/0xffff)",
        "skb_priority(0x1234/0xff),in_port(1/0xff),eth_type(0x1200/0xff00),skb_mark(0x1200/0xfff0)",
        "ct_state(-new+est-rel-rpl-inv+trk-snat-dnat),ct_mark(0x10305070/0xf0f0f0f0),ct_label(0x1234567890abcdef1234567890abcdef/0x102030405060708090a0b0c0d0e0f0)",
        "tunnel(tun_id=0x7/0xff,src=10.1.0.0/255.255.0.0,dst=10.2.0.7,ttl=64,vxlan(gbp(id=11/0xff,flags=0x8)),flags(oam|csum|key))",
        "tunnel(tun_id=0x7,geneve({class=0,type=0,len=4,0xa/0xff}{class=0xffff,type=0x1,len=4,0xffffffff}),flags(csum|key))",
        "tunnel(tun_id=0x7,src=10.0.0.1,dst=10.0.0.2,ttl=128,erspan(ver=1/0,idx=0x7/0xf),flags(df|key)),recirc_id(0)",
        "eth_type(0x0806),arp(sip=1.2.3.4/255.255.255.250,op=1/0xf0,sha=00:0f:10:11:12:13/ff:ff:ff:ff:ff:00,tha=00:14:15:16:17:18)",
        "eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=136/0xf0,code=0),nd(target=::3/::250,tll=00:0a:0b:0c:0d:0e/ff:ff:ff:ff:ff:00)",
        "eth_type(0x0800),ipv4(proto=132/0xf0,frag=no),sctp(src=82/0xff00,dst=83)",
        "packet_type(ns=1,id=0x894f),eth_type(0x894f),nsh(flags=0/0x3,ttl=63/0x3f,mdtype=1,np=1,spi=0x7/0xffffff,si=255,c1=0x1/0xff)",
        "eth_type(0x8100),vlan(vid=99/0xff0,pcp=7/0xe),encap(eth_type(0x8847),mpls(label=9/0xff,tc=7/7,ttl=64/0xff,bos=0))",
    ];

    #[test]
    fn every_group_is_understood_and_written_back() {
        for text in KEYS {
            let key = Key::read(text);
            assert_eq!(key.to_string(), *text);
            assert_eq!(key.unknown(), 0, "{text}: {key:?}");
        }
        for group in Group::ALL {
            assert!(KEYS.iter().any(|key| key.contains(&format!("{}(", group.name()))), "{group:?} has no case");
        }
    }

    #[test]
    fn what_is_not_known_is_kept_and_counted() {
        let text = "in_port(1),new_thing(5),ipv4(src=1.2.3.4,odd=7),tunnel(what(1)),encap(x),<empty>,a(b";
        let key = Key::read(text);
        assert_eq!((key.to_string().as_str(), key.unknown()), (text, 6));
    }

    #[test]
    fn depth_has_a_bound() {
        let text = "encap(".repeat(5000) + &")".repeat(5000);
        let key = Key::read(&text);
        assert_eq!((key.to_string(), key.unknown()), (text, 1));
    }

    #[test]
    fn a_flow_has_key_counts_and_actions() {
        let text = "ufid:5f74d01b-0102-0304-a0b0-c0d0000000ff, recirc_id(0),in_port(p1),eth_type(0x0800),\
                    ipv4(src=10.0.0.0/255.0.0.0,frag=no), packets:3, bytes:294, used:0.310s, flags:SP., dp:ovs, \
                    actions:ct(commit),set(ipv4(dst=1.2.3.4)),3, dp-extra-info:miniflow_bits(4,1)";
        let flow = FlowText::read(text);
        assert_eq!((flow.to_string().as_str(), flow.unknown()), (text, 0));
        assert_eq!(flow.ufid.as_deref(), Some("5f74d01b-0102-0304-a0b0-c0d0000000ff"));
        let Part::Fields(Group::Ipv4, items) = &flow.key.0[3] else { panic!("{flow:?}") };
        let mask = Some(Value::Ipv4([255, 0, 0, 0].into()));
        assert_eq!(items[0], Item::Field("src", Masked { value: Value::Ipv4([10, 0, 0, 0].into()), mask }));
        let eth_type = Masked { value: Value::Number(0x800, Base::Hex(4)), mask: None };
        assert_eq!(flow.key.0[2], Part::Single(Group::EthType, eth_type));
        assert_eq!(flow.counts[0][2], ("used".to_owned(), "0.310s".to_owned()));
        assert_eq!(flow.counts[1].len(), 1);
        assert_eq!(flow.actions.map(|actions| actions.len()), Some(3));
        assert_eq!(FlowText::read("").to_string(), "");
    }

    proptest! {
        #[test]
        fn any_text_is_written_back_as_it_was(text in "((ufid:)?[a-z_0-9]{0,9}[(]?([a-z]{1,5}=)?[0-9a-fx.:/]{0,12}[)]?(, |,)?){0,8}(, packets:[0-9])?(, actions:[a-z(),0-9]{0,20})?|\\PC{0,60}") {
            prop_assert_eq!(FlowText::read(&text).to_string(), text.clone());
            prop_assert_eq!(Key::read(&text).to_string(), text);
        }

        #[test]
        fn known_parts_put_together_are_known(parts in prop::collection::vec(prop::sample::select(KEYS), 1..4)) {
            let text = parts.join(",");
            let key = Key::read(&text);
            prop_assert_eq!((key.to_string(), key.unknown()), (text, 0));
        }
    }
}
