//! What a `set` writes: fields of one header, with a mask where only some of their bits are written.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap as _};
use serde_json::Value as Json;

use super::{
    keys::{self, FRAG, Field, Form, Key, Order, TUNNEL_FLAGS},
    text::alternate_hex,
};
use crate::event::{MacAddr, netlink::Attributes};

/// Fields of one header. In JSON `{"key":"ipv4","fields":{"tos":{"value":32,"mask":252},"ttl":{"value":64}}}`.
#[derive(Clone, PartialEq, Eq)]
pub struct SetKey {
    key: &'static Key,
    fields: Vec<SetField>,
}

/// One field that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SetField {
    field: &'static Field,
    value: u128,
    /// The bits that are written; none: all.
    mask: Option<u128>,
}

/// A tunnel's metadata (`struct ip_tunnel_info`), as far as a packet carries them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// The tunnel's id (VNI, GRE key).
    pub tun_id: u64,
    /// Source and destination are IPv6 addresses; else their first four bytes are IPv4.
    pub ipv6: bool,
    /// Outer source.
    pub src: [u8; 16],
    /// Outer destination.
    pub dst: [u8; 16],
    /// Outer type of service.
    pub tos: u8,
    /// Outer time to live.
    pub ttl: u8,
    /// Outer source port; 0: the tunnel chooses.
    pub tp_src: u16,
    /// Outer destination port; 0: the tunnel's own.
    pub tp_dst: u16,
    /// `TUNNEL_*` of `include/net/ip_tunnels.h`: bit 0 checksum, 2 key, 8 don't fragment, 9 OAM.
    pub flags: u32,
    /// Bytes of options (Geneve, VXLAN).
    pub options_len: u8,
}

impl SetKey {
    /// What `set` writes, from its one attribute of type `OVS_KEY_ATTR_*`: a value, or a value and a mask. With
    /// `masked`, the mask counts; the kernel makes one of its own for a `set` without. None for a key that this program
    /// does not know, or with too few bytes.
    pub(super) fn read(number: u16, bytes: &[u8], masked: bool) -> Option<Self> {
        let key = keys::by_number(number).filter(|key| key.number != keys::TUNNEL)?;
        let (value, mask) = if number == keys::NSH {
            nsh(bytes)?
        } else {
            (bytes.get(..key.size)?.to_vec(), bytes.get(key.size..2 * key.size).map(<[u8]>::to_vec))
        };
        let mask = match (masked, mask) {
            (true, None) => return None,
            (true, mask) => mask,
            (false, _) => None,
        };
        let fields = key.fields.iter().filter_map(|field| {
            let value = field.of(&value)?;
            let mask = match &mask {
                Some(mask) => Some(field.of(mask)?),
                None => None,
            };
            match mask {
                Some(0) => None,
                Some(mask) if mask != field.whole() => Some(SetField { field, value, mask: Some(mask) }),
                _ => Some(SetField { field, value, mask: None }),
            }
        });
        Some(Self { key, fields: fields.collect() })
    }

    /// Bytes it has outside of itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.fields.len() * size_of::<SetField>()
    }
}

impl From<Tunnel> for SetKey {
    /// What is 0 is left out, but for the time to live, as `ovs-dpctl dump-flows` does.
    fn from(t: Tunnel) -> Self {
        let v4 = |address: [u8; 16]| u128::from_be_bytes(address) >> 96;
        let v6 = |address: [u8; 16]| u128::from_be_bytes(address);
        let (df, csum, key, oam) = (t.flags >> 8 & 1, t.flags & 1, t.flags >> 2 & 1, t.flags >> 9 & 1);
        let value = |name: &str| -> Option<u128> {
            let (is_there, value) = match name {
                "tun_id" => (key == 1, t.tun_id.into()),
                "src" => (!t.ipv6 && v4(t.src) != 0, v4(t.src)),
                "dst" => (!t.ipv6 && v4(t.dst) != 0, v4(t.dst)),
                "ipv6_src" => (t.ipv6 && v6(t.src) != 0, v6(t.src)),
                "ipv6_dst" => (t.ipv6 && v6(t.dst) != 0, v6(t.dst)),
                "tos" => (t.tos != 0, t.tos.into()),
                "ttl" => (true, t.ttl.into()),
                "tp_src" => (t.tp_src != 0, t.tp_src.into()),
                "tp_dst" => (t.tp_dst != 0, t.tp_dst.into()),
                "options_len" => (t.options_len != 0, t.options_len.into()),
                "flags" => (true, (df | csum << 1 | key << 2 | oam << 3).into()),
                _ => return None,
            };
            is_there.then_some(value)
        };
        let key = keys::by_number(keys::TUNNEL).expect("the table has the tunnel");
        let field = |field: &'static Field| Some(SetField { field, value: value(field.name)?, mask: None });
        Self { key, fields: key.fields.iter().filter_map(field).collect() }
    }
}

/// `OVS_NSH_KEY_ATTR_BASE` (1, 8 bytes) and `OVS_NSH_KEY_ATTR_MD1` (2, 16 bytes), each with its mask behind it, if there
/// is one: as one value and one mask.
fn nsh(bytes: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    const PARTS: [(u16, usize); 2] = [(1, 8), (2, 16)];
    let (mut value, mut mask, mut masked) = (Vec::new(), Vec::new(), false);
    for (kind, size) in PARTS {
        let part = Attributes(bytes).find(kind);
        value.extend(part.and_then(|p| p.get(..size)).map_or_else(|| vec![0; size], <[u8]>::to_vec));
        let part_mask = part.and_then(|p| p.get(size..2 * size));
        masked |= part_mask.is_some();
        mask.extend(part_mask.map_or_else(|| vec![0; size], <[u8]>::to_vec));
    }
    Attributes(bytes).next()?;
    Some((value, masked.then_some(mask)))
}

impl Field {
    /// The field's number in its key's bytes.
    fn of(&self, bytes: &[u8]) -> Option<u128> {
        let bytes = bytes.get(self.at..self.at + self.len)?;
        let number = match self.order {
            Order::Network => bytes.iter().fold(0, |n, byte| n << 8 | u128::from(*byte)),
            Order::Host if cfg!(target_endian = "little") => {
                bytes.iter().rev().fold(0, |n, byte| n << 8 | u128::from(*byte))
            }
            Order::Host => bytes.iter().fold(0, |n, byte| n << 8 | u128::from(*byte)),
        };
        Some(number >> self.shift & self.whole())
    }

    /// The mask with all its bits.
    fn whole(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    fn text(&self, number: u128) -> String {
        match self.form {
            Form::Dec => number.to_string(),
            Form::Hex => alternate_hex(number),
            Form::Wide => format!("{number:#x}"),
            Form::Ipv4 => Ipv4Addr::from(number as u32).to_string(),
            Form::Ipv6 => Ipv6Addr::from(number).to_string(),
            Form::Mac => MacAddr::from_bits(number).to_string(),
            Form::Frag => FRAG.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned()),
            Form::Flags => {
                let set = TUNNEL_FLAGS.iter().enumerate().filter(|(i, _)| number >> i & 1 == 1);
                let names: Vec<&str> = set.map(|(_, name)| *name).collect();
                if names.is_empty() { "0".to_owned() } else { names.join("|") }
            }
        }
    }

    /// Masks of numbers are hex, whatever the number is.
    fn mask_text(&self, mask: u128) -> String {
        match self.form {
            Form::Ipv4 | Form::Ipv6 | Form::Mac => self.text(mask),
            _ => format!("{mask:#x}"),
        }
    }

    fn json(&self, number: u128) -> Json {
        match (self.form, u64::try_from(number)) {
            (Form::Dec | Form::Hex, Ok(number)) => number.into(),
            _ => self.text(number).into(),
        }
    }

    fn json_mask(&self, mask: u128) -> Json {
        match self.form {
            Form::Frag | Form::Flags => u64::try_from(mask).unwrap_or(u64::MAX).into(),
            _ => self.json(mask),
        }
    }

    /// The number that [`Self::json`] or [`Self::json_mask`] wrote.
    fn number_of(&self, json: &Json) -> Option<u128> {
        if let Some(number) = json.as_u64() {
            return Some(number.into());
        }
        let text = json.as_str()?;
        match self.form {
            Form::Dec | Form::Hex => None,
            Form::Wide => u128::from_str_radix(text.strip_prefix("0x")?, 16).ok(),
            Form::Ipv4 => text.parse::<Ipv4Addr>().ok().map(|a| u32::from(a).into()),
            Form::Ipv6 => text.parse::<Ipv6Addr>().ok().map(u128::from),
            Form::Mac => text.parse::<MacAddr>().ok().map(MacAddr::to_bits),
            Form::Frag => {
                let name = FRAG.iter().position(|name| *name == text).map(|n| n as u128);
                name.or_else(|| text.parse().ok())
            }
            Form::Flags if text == "0" => Some(0),
            Form::Flags => text.split('|').try_fold(0, |flags, name| {
                TUNNEL_FLAGS.iter().position(|flag| *flag == name).map(|bit| flags | 1 << bit)
            }),
        }
    }
}

/// As `ovs-dpctl dump-flows` prints it (`format_odp_key_attr`); what a mask leaves alone is left out.
impl fmt::Display for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.key.name)?;
        for (SetField { field, value, mask }, i) in self.fields.iter().zip(0..) {
            f.write_str(if i > 0 { "," } else { "" })?;
            let value = field.text(*value);
            match (field.form, field.name == self.key.name) {
                (Form::Flags, _) => write!(f, "{}({value})", field.name)?,
                (_, true) => write!(f, "{value}")?,
                (_, false) => write!(f, "{}={value}", field.name)?,
            }
            if let Some(mask) = mask {
                write!(f, "/{}", field.mask_text(*mask))?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Hash for SetKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.number.hash(state);
        for field in &self.fields {
            (field.field.name, field.value, field.mask).hash(state);
        }
    }
}

impl Serialize for SetKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let fields = self.fields.iter().map(|f| {
            let mut object = serde_json::Map::new();
            object.insert("value".to_owned(), f.field.json(f.value));
            if let Some(mask) = f.mask {
                object.insert("mask".to_owned(), f.field.json_mask(mask));
            }
            (f.field.name.to_owned(), Json::Object(object))
        });
        let mut map = s.serialize_map(Some(2))?;
        map.serialize_entry("key", self.key.name)?;
        map.serialize_entry("fields", &Json::Object(fields.collect()))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for SetKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            key: String,
            fields: serde_json::Map<String, Json>,
        }
        let Form { key, fields } = Form::deserialize(d)?;
        let unknown = |what: &str| D::Error::custom(format!("'{what}' is not a field that this version knows"));
        let key = keys::by_name(&key).ok_or_else(|| unknown(&key))?;
        if let Some(name) = fields.keys().find(|name| !key.fields.iter().any(|f| f.name == *name)) {
            return Err(unknown(name));
        }
        // In the table's order: a JSON object has none of its own.
        let found = key.fields.iter().filter_map(|field| fields.get(field.name).map(|json| (field, json)));
        let fields = found.map(|(field, json)| {
            let number = |part: &Json| field.number_of(part).ok_or_else(|| unknown(field.name));
            let value = number(json.get("value").ok_or_else(|| unknown(field.name))?)?;
            let mask = json.get("mask").map(number).transpose()?;
            Ok(SetField { field, value, mask })
        });
        Ok(Self { key, fields: fields.collect::<Result<_, D::Error>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways(set: &SetKey) {
        let json = serde_json::to_string(set).expect("plain data");
        assert_eq!(&serde_json::from_str::<SetKey>(&json).expect("its own form"), set, "{json}");
    }

    #[test]
    fn a_mask_says_which_bits_and_what_it_leaves_alone_is_left_out() {
        let mut bytes = [0u8; 24];
        (bytes[9], bytes[10], bytes[21], bytes[22]) = (0x20, 64, 0xfc, 0xff);
        let set = SetKey::read(7, &bytes, true).expect("whole");
        assert_eq!(set.to_string(), "ipv4(tos=0x20/0xfc,ttl=64)");
        assert_eq!(
            serde_json::to_string(&set).expect("plain data"),
            r#"{"key":"ipv4","fields":{"tos":{"mask":252,"value":32},"ttl":{"value":64}}}"#
        );
        both_ways(&set);
    }

    #[test]
    fn without_a_mask_every_field_is_written() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 17, 0, 64, 0];
        let text = "ipv4(src=1.2.3.4,dst=5.6.7.8,proto=17,tos=0,ttl=64,frag=no)";
        let set = SetKey::read(7, &bytes, false).expect("whole");
        assert_eq!(set.to_string(), text);
        both_ways(&set);
        // As the kernel executes it, with a mask of its own behind the value.
        let set = SetKey::read(7, &[bytes, [0xff; 12]].concat(), false).expect("whole");
        assert_eq!(set.to_string(), text);
    }

    #[test]
    fn keys_of_one_number_are_printed_bare() {
        let set = SetKey::read(15, &0x12u32.to_ne_bytes(), false).expect("whole");
        assert_eq!(set.to_string(), "skb_mark(0x12)");
        let set = SetKey::read(15, &[0x12u32.to_ne_bytes(), 0xffu32.to_ne_bytes()].concat(), true).expect("whole");
        assert_eq!(set.to_string(), "skb_mark(0x12/0xff)");
        both_ways(&set);
    }

    #[test]
    fn every_key_reads_back_what_it_wrote() {
        for number in 0..40 {
            let Some(key) = keys::by_number(number).filter(|k| ![keys::NSH, keys::TUNNEL].contains(&k.number)) else {
                continue;
            };
            let value: Vec<u8> = (1..=key.size as u8).collect();
            let mask: Vec<u8> = (1..=key.size as u8).map(|n| if n % 3 == 0 { 0xff } else { 0xf0 }).collect();
            let masked = SetKey::read(number, &[&value[..], &mask].concat(), true).expect("whole");
            assert_eq!(masked.fields.len(), key.fields.len(), "{masked}");
            both_ways(&masked);
            both_ways(&SetKey::read(number, &value, false).expect("whole"));
            assert!(SetKey::read(number, &value[1..], false).is_none());
            assert!(SetKey::read(number, &value, true).is_none());
        }
    }

    #[test]
    fn other_headers_read_as_the_daemon_prints_them() {
        let text = |number, bytes: &[u8]| SetKey::read(number, bytes, false).expect("whole").to_string();
        assert_eq!(
            text(4, &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xff]),
            "eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:ff)"
        );
        assert_eq!(text(21, &[0, 0x06, 0x4b, 0x40]), "mpls(label=100,tc=5,ttl=64,bos=1)");
        let mut v6 = [0u8; 40];
        (v6[0], v6[15], v6[31], v6[35], v6[36], v6[38]) = (0xfd, 1, 1, 9, 58, 64);
        assert_eq!(text(8, &v6), "ipv6(src=fd00::1,dst=::1,label=0x9,proto=58,tclass=0,hlimit=64,frag=no)");
        let base = [&[12u8, 0, 1, 0][..], &[0, 63, 1, 3, 0, 0, 5, 255]].concat();
        assert_eq!(text(28, &base), "nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x5,si=255,c1=0,c2=0,c3=0,c4=0)");
        let masked = [&[20u8, 0, 1, 0][..], &[0, 63, 0, 0, 0, 0, 0, 0], &[0, 255, 0, 0, 0, 0, 0, 0]].concat();
        let nsh = SetKey::read(28, &masked, true).expect("whole");
        assert_eq!(nsh.to_string(), "nsh(ttl=63)");
        both_ways(&nsh);
    }

    #[test]
    fn a_tunnel_leaves_out_what_it_does_not_set() {
        let mut tunnel = Tunnel { tun_id: 5, ttl: 64, tp_dst: 4789, flags: 1 << 8 | 1 << 2, ..Tunnel::default() };
        tunnel.dst[..4].copy_from_slice(&[172, 31, 1, 1]);
        let set = SetKey::from(tunnel);
        assert_eq!(set.to_string(), "tunnel(tun_id=0x5,dst=172.31.1.1,ttl=64,tp_dst=4789,flags(df|key))");
        both_ways(&set);
        let set = SetKey::from(Tunnel { ipv6: true, src: [1; 16], options_len: 8, ..Tunnel::default() });
        assert_eq!(set.to_string(), "tunnel(ipv6_src=101:101:101:101:101:101:101:101,ttl=0,options_len=8,flags(0))");
        both_ways(&set);
    }
}
