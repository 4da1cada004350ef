//! Values as `ovs-dpctl` writes them. What is read is written back as it was, to the letter.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::event::MacAddr;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// `42`
    Decimal,
    /// `0x2a`, with so many digits at least.
    Hex(usize),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number, up to 128 bits.
    Number(u128, Base),
    /// A MAC address.
    Mac(MacAddr),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// `+new-est+trk`: flags that are set, and those that are not.
    Flags(Vec<(bool, String)>),
    /// Anything else: the name of a port, `no`, `df|csum`.
    Word(String),
}

/// A value and, after a slash, which of its bits count: all of them where there is no mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The value.
    pub value: Value,
    /// The mask.
    pub mask: Option<Value>,
}

impl Value {
    /// Reads a value; what is not understood is a [`Self::Word`].
    pub fn read(text: &str) -> Self {
        // What would not be written back the same is taken as a word, which is.
        let as_it_is = |value: &Self| value.to_string() == text;
        Self::number(text)
            .or_else(|| text.parse().map(Self::Mac).ok())
            .or_else(|| text.parse().map(Self::Ipv4).ok())
            .or_else(|| text.parse().map(Self::Ipv6).ok())
            .or_else(|| Self::flags(text))
            .filter(as_it_is)
            .unwrap_or_else(|| Self::Word(text.to_owned()))
    }

    fn number(text: &str) -> Option<Self> {
        match text.strip_prefix("0x") {
            Some(digits) => {
                let padded = if digits.starts_with('0') { digits.len() } else { 1 };
                Some(Self::Number(u128::from_str_radix(digits, 16).ok()?, Base::Hex(padded)))
            }
            None => Some(Self::Number(text.parse().ok()?, Base::Decimal)),
        }
    }

    fn flags(text: &str) -> Option<Self> {
        let mut flags: Vec<(bool, String)> = Vec::new();
        for c in text.chars() {
            match (c, flags.last_mut()) {
                ('+' | '-', _) => flags.push((c == '+', String::new())),
                (c, Some((_, name))) if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                _ => return None,
            }
        }
        (!flags.is_empty()).then_some(Self::Flags(flags))
    }

    /// Whether no bit of it is set: as a mask it matches everything.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Number(number, _) => *number == 0,
            Self::Mac(mac) => *mac == MacAddr::default(),
            Self::Ipv4(ip) => ip.to_bits() == 0,
            Self::Ipv6(ip) => ip.to_bits() == 0,
            Self::Flags(_) | Self::Word(_) => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number, Base::Decimal) => number.fmt(f),
            Self::Number(number, Base::Hex(digits)) => write!(f, "0x{number:0digits$x}"),
            Self::Mac(mac) => mac.fmt(f),
            Self::Ipv4(ip) => ip.fmt(f),
            Self::Ipv6(ip) => ip.fmt(f),
            Self::Flags(flags) => {
                flags.iter().try_for_each(|(is_set, name)| write!(f, "{}{name}", if *is_set { '+' } else { '-' }))
            }
            Self::Word(text) => f.write_str(text),
        }
    }
}

impl Masked {
    /// Reads a value with its mask, if it has one: what follows the last slash.
    pub fn read(text: &str) -> Self {
        let (value, mask) = text.rsplit_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)));
        Self { value: Value::read(value), mask: mask.map(Value::read) }
    }

    /// Whether it matches everything.
    pub fn is_open(&self) -> bool {
        self.mask.as_ref().is_some_and(Value::is_zero)
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        self.mask.iter().try_for_each(|mask| write!(f, "/{mask}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        for (text, value) in [
            ("42", Value::Number(42, Base::Decimal)),
            ("0x2a", Value::Number(42, Base::Hex(1))),
            ("0x0800", Value::Number(0x800, Base::Hex(4))),
            ("02:00:00:00:00:0f", Value::Mac(MacAddr([2, 0, 0, 0, 0, 15]))),
            ("10.0.0.1", Value::Ipv4([10, 0, 0, 1].into())),
            ("fe80::1", Value::Ipv6("fe80::1".parse().expect("an address"))),
            ("+new-est", Value::Flags(vec![(true, "new".to_owned()), (false, "est".to_owned())])),
            ("p1_l", Value::Word("p1_l".to_owned())),
            ("df|csum", Value::Word("df|csum".to_owned())),
            ("007", Value::Word("007".to_owned())),
            ("0x2A", Value::Word("0x2A".to_owned())),
            ("", Value::Word(String::new())),
        ] {
            assert_eq!(Value::read(text), value);
        }
    }

    #[test]
    fn a_mask_of_nothing_is_open() {
        for (text, is_open) in [
            ("0/0", true),
            ("1.2.3.4/0.0.0.0", true),
            ("::/::", true),
            ("00:00:00:00:00:00/00:00:00:00:00:00", true),
            ("0x5/0x0", true),
            ("0", false),
            ("1.2.3.4/255.0.0.0", false),
            ("p1/x", false),
        ] {
            assert_eq!(Masked::read(text).is_open(), is_open, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(text in "(0x)?[0-9a-f]{0,40}|[0-9.]{1,15}(/[0-9.]{1,15})?|[0-9a-f:]{1,20}|[+-][a-z_+-]{0,12}|\\PC{0,20}") {
            prop_assert_eq!(Masked::read(&text).to_string(), text.clone());
            prop_assert_eq!(Value::read(&text).to_string(), text);
        }
    }
}
