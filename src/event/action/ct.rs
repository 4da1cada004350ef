//! Through connection tracking: the arguments of `ct`.
//!
//! The kernel executes `struct ovs_conntrack_info` (`net/openvswitch/conntrack.c`), which differs between kernels:
//! `bpf/action_args.h` reads it field by field.

use std::{fmt, net::IpAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{alternate_hex, list};

/// What `ct` is to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Ct {
    /// The connection tracking zone.
    pub zone: u16,
    /// The connection becomes known, if it is not.
    pub commit: bool,
    /// And a known one that goes the other way is replaced.
    pub force: bool,
    /// What it tracks.
    pub family: Family,
    /// Sets the connection's mark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mark: Option<Mark>,
    /// Sets the connection's labels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub labels: Option<Labels>,
    /// The helper's name, such as `ftp`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub helper: Option<String>,
    /// The timeout policy's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout: Option<String>,
    /// Translates addresses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nat: Option<Nat>,
}

/// `NFPROTO_*` of the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// `NFPROTO_IPV4`, 2.
    Ipv4,
    /// `NFPROTO_IPV6`, 10.
    Ipv6,
    /// Another number.
    #[serde(untagged)]
    Other(u16),
}

impl From<u16> for Family {
    fn from(number: u16) -> Self {
        match number {
            2 => Self::Ipv4,
            10 => Self::Ipv6,
            other => Self::Other(other),
        }
    }
}

/// Bits of a connection's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// Their values.
    pub value: u32,
    /// Which.
    pub mask: u32,
}

/// Bits of a connection's labels. In JSON strings of hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Labels {
    /// Their values.
    #[serde(with = "super::text::wide")]
    #[schemars(with = "String")]
    pub value: u128,
    /// Which.
    #[serde(with = "super::text::wide")]
    #[schemars(with = "String")]
    pub mask: u128,
}

/// Translation of addresses and ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Nat {
    /// Which end; none: as the connection was translated when it was committed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dir: Option<NatDir>,
    /// The first address it may become.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min_addr: Option<IpAddr>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_addr: Option<IpAddr>,
    /// The first port it may become.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min_port: Option<u16>,
    /// The last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_port: Option<u16>,
    /// One host always becomes the same address (`NF_NAT_RANGE_PERSISTENT`).
    pub persistent: bool,
    /// The port is found by a hash (`NF_NAT_RANGE_PROTO_RANDOM`); OVS calls this `hash`.
    pub random: bool,
    /// The port is random (`NF_NAT_RANGE_PROTO_RANDOM_FULLY`); OVS calls this `random`.
    pub fully_random: bool,
}

/// The end that is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NatDir {
    /// The source.
    Src,
    /// The destination.
    Dst,
}

impl Ct {
    /// Bytes it has outside of itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.helper.as_ref().map_or(0, String::len) + self.timeout.as_ref().map_or(0, String::len)
    }
}

/// As `ovs-dpctl dump-flows` prints it (`format_odp_conntrack_action`).
impl fmt::Display for Ct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        if self.commit {
            parts.push(if self.force { "force_commit" } else { "commit" }.to_owned());
        }
        if self.zone != 0 {
            parts.push(format!("zone={}", self.zone));
        }
        if let Some(Mark { value, mask }) = self.mark {
            parts.push(format!("mark={}/{}", alternate_hex(value.into()), alternate_hex(mask.into())));
        }
        if let Some(Labels { value, mask }) = self.labels {
            let mask = if mask == u128::MAX { String::new() } else { format!("/{}", alternate_hex(mask)) };
            parts.push(format!("label={}{mask}", alternate_hex(value)));
        }
        parts.extend(self.helper.iter().map(|name| format!("helper={name}")));
        parts.extend(self.timeout.iter().map(|name| format!("timeout={name}")));
        parts.extend(self.nat.iter().map(Nat::to_string));
        f.write_str("ct")?;
        if parts.is_empty() { Ok(()) } else { write!(f, "({})", list(&parts)) }
    }
}

/// As OVS prints it (`format_odp_ct_nat`).
impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nat")?;
        let Some(dir) = self.dir else { return Ok(()) };
        f.write_str(if dir == NatDir::Src { "(src" } else { "(dst" })?;
        if let Some(min) = self.min_addr {
            let address = |address: IpAddr| match address {
                IpAddr::V6(v6) if self.min_port.is_some() => format!("[{v6}]"),
                other => other.to_string(),
            };
            write!(f, "={}", address(min))?;
            if let Some(max) = self.max_addr.filter(|max| *max != min) {
                write!(f, "-{}", address(max))?;
            }
            if let Some(min) = self.min_port {
                write!(f, ":{min}")?;
                if let Some(max) = self.max_port.filter(|max| *max != min) {
                    write!(f, "-{max}")?;
                }
            }
        }
        for (is_set, word) in [(self.persistent, ",persistent"), (self.random, ",hash"), (self.fully_random, ",random")]
        {
            if is_set {
                f.write_str(word)?;
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_the_daemon_prints_it() {
        let mut ct = Ct {
            zone: 5,
            commit: true,
            force: false,
            family: Family::Ipv4,
            mark: Some(Mark { value: 1, mask: 0xff }),
            labels: Some(Labels { value: 0x10, mask: u128::MAX }),
            helper: Some("ftp".to_owned()),
            timeout: None,
            nat: Some(Nat {
                dir: Some(NatDir::Src),
                min_addr: Some([10, 0, 0, 1].into()),
                max_addr: Some([10, 0, 0, 9].into()),
                min_port: Some(1000),
                max_port: Some(2000),
                persistent: true,
                random: false,
                fully_random: true,
            }),
        };
        assert_eq!(
            ct.to_string(),
            "ct(commit,zone=5,mark=0x1/0xff,label=0x10,helper=ftp,nat(src=10.0.0.1-10.0.0.9:1000-2000,persistent,random))"
        );
        let json = serde_json::to_string(&ct).expect("plain data");
        assert_eq!(serde_json::from_str::<Ct>(&json).expect("its own form"), ct);
        ct = Ct { zone: 0, commit: false, mark: None, labels: None, helper: None, nat: None, ..ct };
        assert_eq!(ct.to_string(), "ct");
    }

    #[test]
    fn an_ipv6_address_with_a_port_stands_in_brackets() {
        let address: IpAddr = "fd00::1".parse().expect("an address");
        let nat = Nat {
            dir: Some(NatDir::Dst),
            min_addr: Some(address),
            max_addr: Some(address),
            min_port: Some(80),
            max_port: Some(80),
            persistent: false,
            random: true,
            fully_random: false,
        };
        assert_eq!(nat.to_string(), "nat(dst=[fd00::1]:80,hash)");
        assert_eq!(Nat { dir: None, ..nat }.to_string(), "nat");
    }
}
