//! Identities and short names. Newtypes, so that a packet is never taken for an upcall.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A packet's identity: one for the packet, its clones and its re-injection. Unique within a session. The kernel side
/// makes it as `cpu << 40 | sequence`, a sequence for each CPU, so that it stays below 2^53 (up to 8192 CPUs) and survives
/// any JSON reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PacketId(pub u64);

/// An upcall's identity, made like [`PacketId`] from a sequence of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UpcallId(pub u64);

impl UpcallId {
    /// The CPU that it was made on.
    pub fn cpu(self) -> u32 {
        (self.0 >> 40) as u32
    }
}

/// A datapath, by the interface index of its local port, as in `struct ovs_header`. 0 where not yet known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DpIfindex(pub u32);

/// A port's number in its datapath (not its OpenFlow number, not its interface index). 0 is the local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PortNo(pub u32);

impl PortNo {
    /// No port, or an unknown one: `ODPP_NONE` of OVS, all ones.
    pub const NONE: Self = Self(u32::MAX);
}

/// The address of a `struct sw_flow` or of its actions: good for telling whether two are the same, and nothing else.
/// In JSON a string of hex digits, as 64-bit numbers do not survive every reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowPtr(pub u64);

/// A flow's unique id, 128 bits, in the four words of the kernel's `sw_flow_id.ufid`, as `ovs-dpctl` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ufid(pub [u32; 4]);

impl fmt::Display for Ufid {
    /// OVS's `UUID_FMT` (`lib/uuid.h`): 8-4-4-4-12 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth] = self.0;
        let (b, c) = ((second >> 16, second & 0xffff), (third >> 16, third & 0xffff));
        write!(f, "{first:08x}-{:04x}-{:04x}-{:04x}-{:04x}{fourth:08x}", b.0, b.1, c.0, c.1)
    }
}

/// A string that is not a UFID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a UFID: 32 hex digits as 8-4-4-4-12, with or without 'ufid:' before them")]
pub struct UfidError(String);

impl FromStr for Ufid {
    type Err = UfidError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || UfidError(s.to_owned());
        let text = s.strip_prefix("ufid:").unwrap_or(s);
        let lengths: Vec<usize> = text.split('-').map(str::len).collect();
        if lengths != [8, 4, 4, 4, 12] || !text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let hex: String = text.split('-').collect();
        let bits = u128::from_str_radix(&hex, 16).map_err(|_| bad())?;
        Ok(Self([(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32]))
    }
}

impl Serialize for Ufid {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ufid {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for FlowPtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl Serialize for FlowPtr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        hex::serialize(&self.0, s)
    }
}

impl<'de> Deserialize<'de> for FlowPtr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        hex::deserialize(d).map(Self)
    }
}

/// An address as a string of hex digits.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
    pub fn serialize<S: Serializer>(address: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{address:x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = String::deserialize(d)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

/// The name of a task or a device from the kernel: at most 15 bytes, NUL-padded. Not to be trusted: it can hold any bytes,
/// escape sequences too; [`fmt::Display`] shows control characters as `?`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(pub [u8; 16]);

/// A task's name, `TASK_COMM_LEN` bytes.
pub type Comm = Name;

impl Name {
    /// The name of `text`'s first 15 bytes.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 16];
        let mut end = text.len().min(15);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        Self(bytes)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        &self.0[..end]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String =
            String::from_utf8_lossy(self.bytes()).chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.bytes()))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&String::from_utf8_lossy(self.bytes()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(d)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ufid_reads_as_it_prints() {
        let ufid = Ufid([0x5f74_d01b, 0x0102_0304, 0xa0b0_c0d0, 0x0000_00ff]);
        assert_eq!(ufid.to_string(), "5f74d01b-0102-0304-a0b0-c0d0000000ff");
        assert_eq!(ufid.to_string().parse(), Ok(ufid));
        assert_eq!(format!("ufid:{ufid}").parse(), Ok(ufid));
    }

    #[test]
    fn what_is_no_ufid_is_refused() {
        for bad in
            ["", "ufid:", "5f74d01b", "5f74d01b-0102-0304-a0b0-c0d0000000fg", "+f74d01b-0102-0304-a0b0-c0d0000000ff"]
        {
            assert!(bad.parse::<Ufid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_shows_no_escape_sequence() {
        assert_eq!(Name(*b"a\x1b[31mb\0\0\0\0\0\0\0\0\0").to_string(), "a?[31mb");
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(Name::new("aaaaaaaaaaaaaaé").to_string(), "aaaaaaaaaaaaaa");
    }
}
