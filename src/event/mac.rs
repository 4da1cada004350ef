//! Ethernet addresses, as everybody writes them: `02:00:00:00:00:01`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An Ethernet address. Two addresses are ordered as they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// The address in the low 48 bits of a number, as values of header fields hold it.
    pub fn from_bits(bits: u128) -> Self {
        let bytes = bits.to_be_bytes();
        Self(bytes.last_chunk().copied().unwrap_or_default())
    }

    /// As a number, the first byte highest.
    pub fn to_bits(self) -> u128 {
        self.0.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&parts.join(":"))
    }
}

/// Text that is not an Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an Ethernet address: six bytes in hex with colons between them")]
pub struct MacAddrError(String);

impl FromStr for MacAddr {
    type Err = MacAddrError;

    /// One or two hex digits for each byte, of either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let byte = |part: &str| {
            // `from_str_radix` would take a sign, too.
            let is_hex = part.len() <= 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            u8::from_str_radix(part, 16).ok().filter(|_| is_hex)
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        let address = bytes.and_then(|bytes| bytes.try_into().ok()).map(Self);
        address.ok_or_else(|| MacAddrError(text.to_owned()))
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_prints() {
        let address = MacAddr([2, 0, 0xab, 0, 0, 0x0f]);
        assert_eq!(address.to_string(), "02:00:ab:00:00:0f");
        assert_eq!(address.to_string().parse(), Ok(address));
        assert_eq!("2:0:AB:0:0:f".parse(), Ok(address));
        assert_eq!(MacAddr::from_bits(address.to_bits()), address);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "02:00:ab:00:00", "02:00:ab:00:00:0f:01", "02:00:ab:00:00:0g", "02:00:ab:00:00:100", "+2:0:0:0:0:0"]
        {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
