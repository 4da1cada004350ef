//! The header fields that a `set` can name: `enum ovs_key_attr` and its structs in `include/uapi/linux/openvswitch.h`,
//! with OVS's names for them (`lib/odp-util.c`).

/// How a field's number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Decimal; in JSON a number.
    Dec,
    /// Hex; in JSON a number.
    Hex,
    /// Hex that does not fit into every reader's numbers; in JSON a string.
    Wide,
    /// In JSON a string.
    Ipv4,
    /// In JSON a string.
    Ipv6,
    /// In JSON a string.
    Mac,
    /// `enum ovs_frag_type`; in JSON a string.
    Frag,
    /// Names of [`TUNNEL_FLAGS`] with `|` between them; in JSON a string.
    Flags,
}

/// The order of bytes that a field has in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Network,
    Host,
}

/// One field: where its bits are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub name: &'static str,
    pub form: Form,
    pub order: Order,
    /// First byte.
    pub at: usize,
    /// Bytes.
    pub len: usize,
    /// Bits below it in those bytes.
    pub shift: u32,
    /// Bits it has.
    pub bits: u32,
}

/// One key: its fields in the order they are printed.
#[derive(Debug)]
pub(super) struct Key {
    /// `OVS_KEY_ATTR_*`.
    pub number: u16,
    pub name: &'static str,
    /// Bytes of the struct.
    pub size: usize,
    pub fields: &'static [Field],
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Key {}

const fn net(name: &'static str, form: Form, at: usize, len: usize) -> Field {
    Field { name, form, order: Order::Network, at, len, shift: 0, bits: len as u32 * 8 }
}

const fn host(name: &'static str, form: Form, len: usize) -> Field {
    Field { name, form, order: Order::Host, at: 0, len, shift: 0, bits: len as u32 * 8 }
}

const fn bits(name: &'static str, form: Form, (at, len): (usize, usize), shift: u32, bits: u32) -> Field {
    Field { name, form, order: Order::Network, at, len, shift, bits }
}

const PORTS: [Field; 2] = [net("src", Form::Dec, 0, 2), net("dst", Form::Dec, 2, 2)];
const TYPE_AND_CODE: [Field; 2] = [net("type", Form::Dec, 0, 1), net("code", Form::Dec, 1, 1)];

/// The numbers of the keys that are not read like the others.
pub(super) const NSH: u16 = 28;
/// `OVS_KEY_ATTR_TUNNEL`: set as a pointer, which `bpf/action_args.h` follows.
pub(super) const TUNNEL: u16 = 16;

/// What `set(tunnel(...))` names: fields of [`super::Tunnel`].
const TUNNEL_KEY: Key = Key {
    number: TUNNEL,
    name: "tunnel",
    size: 0,
    fields: &[
        net("tun_id", Form::Wide, 0, 8),
        net("src", Form::Ipv4, 0, 4),
        net("dst", Form::Ipv4, 0, 4),
        net("ipv6_src", Form::Ipv6, 0, 16),
        net("ipv6_dst", Form::Ipv6, 0, 16),
        net("tos", Form::Hex, 0, 1),
        net("ttl", Form::Dec, 0, 1),
        net("tp_src", Form::Dec, 0, 2),
        net("tp_dst", Form::Dec, 0, 2),
        net("options_len", Form::Dec, 0, 1),
        net("flags", Form::Flags, 0, 1),
    ],
};

/// OVS's names of a tunnel's flags, from bit 0.
pub(super) const TUNNEL_FLAGS: [&str; 4] = ["df", "csum", "key", "oam"];
/// `enum ovs_frag_type`, from 0.
pub(super) const FRAG: [&str; 3] = ["no", "first", "later"];

/// `struct ovs_nsh_key_base` and after it `struct ovs_nsh_key_md1`: the path header is three bytes of path and one of
/// index.
const NSH_KEY: Key = Key {
    number: NSH,
    name: "nsh",
    size: 24,
    fields: &[
        net("flags", Form::Dec, 0, 1),
        net("ttl", Form::Dec, 1, 1),
        net("mdtype", Form::Dec, 2, 1),
        net("np", Form::Dec, 3, 1),
        net("spi", Form::Hex, 4, 3),
        net("si", Form::Dec, 7, 1),
        net("c1", Form::Hex, 8, 4),
        net("c2", Form::Hex, 12, 4),
        net("c3", Form::Hex, 16, 4),
        net("c4", Form::Hex, 20, 4),
    ],
};

static KEYS: [Key; 27] = [
    NSH_KEY,
    TUNNEL_KEY,
    Key { number: 2, name: "skb_priority", size: 4, fields: &[host("skb_priority", Form::Hex, 4)] },
    Key { number: 3, name: "in_port", size: 4, fields: &[host("in_port", Form::Dec, 4)] },
    Key { number: 4, name: "eth", size: 12, fields: &[net("src", Form::Mac, 0, 6), net("dst", Form::Mac, 6, 6)] },
    Key {
        number: 5,
        name: "vlan",
        size: 2,
        fields: &[bits("vid", Form::Dec, (0, 2), 0, 12), bits("pcp", Form::Dec, (0, 2), 13, 3)],
    },
    Key { number: 6, name: "eth_type", size: 2, fields: &[net("eth_type", Form::Hex, 0, 2)] },
    Key {
        number: 7,
        name: "ipv4",
        size: 12,
        fields: &[
            net("src", Form::Ipv4, 0, 4),
            net("dst", Form::Ipv4, 4, 4),
            net("proto", Form::Dec, 8, 1),
            net("tos", Form::Hex, 9, 1),
            net("ttl", Form::Dec, 10, 1),
            net("frag", Form::Frag, 11, 1),
        ],
    },
    Key {
        number: 8,
        name: "ipv6",
        size: 40,
        fields: &[
            net("src", Form::Ipv6, 0, 16),
            net("dst", Form::Ipv6, 16, 16),
            bits("label", Form::Hex, (32, 4), 0, 20),
            net("proto", Form::Dec, 36, 1),
            net("tclass", Form::Hex, 37, 1),
            net("hlimit", Form::Dec, 38, 1),
            net("frag", Form::Frag, 39, 1),
        ],
    },
    Key { number: 9, name: "tcp", size: 4, fields: &PORTS },
    Key { number: 10, name: "udp", size: 4, fields: &PORTS },
    Key { number: 11, name: "icmp", size: 2, fields: &TYPE_AND_CODE },
    Key { number: 12, name: "icmpv6", size: 2, fields: &TYPE_AND_CODE },
    Key {
        number: 13,
        name: "arp",
        size: 24,
        fields: &[
            net("sip", Form::Ipv4, 0, 4),
            net("tip", Form::Ipv4, 4, 4),
            net("op", Form::Dec, 8, 2),
            net("sha", Form::Mac, 10, 6),
            net("tha", Form::Mac, 16, 6),
        ],
    },
    Key {
        number: 14,
        name: "nd",
        size: 28,
        fields: &[net("target", Form::Ipv6, 0, 16), net("sll", Form::Mac, 16, 6), net("tll", Form::Mac, 22, 6)],
    },
    Key { number: 15, name: "skb_mark", size: 4, fields: &[host("skb_mark", Form::Hex, 4)] },
    Key { number: 17, name: "sctp", size: 4, fields: &PORTS },
    Key { number: 18, name: "tcp_flags", size: 2, fields: &[net("tcp_flags", Form::Hex, 0, 2)] },
    Key { number: 19, name: "dp_hash", size: 4, fields: &[host("dp_hash", Form::Hex, 4)] },
    Key { number: 20, name: "recirc_id", size: 4, fields: &[host("recirc_id", Form::Hex, 4)] },
    // The uppermost entry of the label stack.
    Key {
        number: 21,
        name: "mpls",
        size: 4,
        fields: &[
            bits("label", Form::Dec, (0, 4), 12, 20),
            bits("tc", Form::Dec, (0, 4), 9, 3),
            bits("ttl", Form::Dec, (0, 4), 0, 8),
            bits("bos", Form::Dec, (0, 4), 8, 1),
        ],
    },
    Key { number: 22, name: "ct_state", size: 4, fields: &[host("ct_state", Form::Hex, 4)] },
    Key { number: 23, name: "ct_zone", size: 2, fields: &[host("ct_zone", Form::Hex, 2)] },
    Key { number: 24, name: "ct_mark", size: 4, fields: &[host("ct_mark", Form::Hex, 4)] },
    Key { number: 25, name: "ct_label", size: 16, fields: &[host("ct_label", Form::Wide, 16)] },
    Key {
        number: 26,
        name: "ct_tuple4",
        size: 16,
        fields: &[
            net("src", Form::Ipv4, 0, 4),
            net("dst", Form::Ipv4, 4, 4),
            net("proto", Form::Dec, 12, 1),
            net("tp_src", Form::Dec, 8, 2),
            net("tp_dst", Form::Dec, 10, 2),
        ],
    },
    Key {
        number: 27,
        name: "ct_tuple6",
        size: 40,
        fields: &[
            net("src", Form::Ipv6, 0, 16),
            net("dst", Form::Ipv6, 16, 16),
            net("proto", Form::Dec, 36, 1),
            net("src_port", Form::Dec, 32, 2),
            net("dst_port", Form::Dec, 34, 2),
        ],
    },
];

/// The key of a number.
pub(super) fn by_number(number: u16) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.number == number)
}

/// The key of a name.
pub(super) fn by_name(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
