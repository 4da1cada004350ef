//! Netlink attributes (`struct nlattr`): a length that counts the header, a type, the value, padded to four bytes.

use super::MacAddr;

/// `nla_type` without its flag bits, `NLA_TYPE_MASK`.
pub(super) const NLA_TYPE_MASK: u16 = 0x3fff;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    /// Its number, without flag bits.
    pub kind: u16,
    /// Its value, as far as the bytes go.
    pub value: &'a [u8],
    /// Whether the value goes on beyond the bytes.
    pub cut: bool,
}

/// The attributes in some bytes, up to the first that is not one. The last may be cut off.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (len, kind) = (usize::from(u16_at(self.0, 0)?), u16_at(self.0, 2)? & NLA_TYPE_MASK);
        if len < 4 {
            self.0 = &[];
            return None;
        }
        let cut = len > self.0.len();
        let value = &self.0[4..len.min(self.0.len())];
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Attribute { kind, value, cut })
    }
}

impl<'a> Attributes<'a> {
    /// The value of the first attribute of a kind that is whole.
    pub(super) fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.clone().find_map(|a| (a.kind == kind && !a.cut).then_some(a.value))
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// A number in the host's order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

/// A number in the host's order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

/// A number in network order.
pub(super) fn be16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// A number in network order.
pub(super) fn be32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// A number in network order.
pub(super) fn be64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// An Ethernet address.
pub(super) fn mac_at(bytes: &[u8], at: usize) -> Option<MacAddr> {
    array(bytes, at).map(MacAddr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_attribute_is_the_last_and_is_said_to_be_cut() {
        let mut bytes = vec![8, 0, 1, 0, 7, 0, 0, 0];
        bytes.extend([200, 0, 2, 0, 5]);
        let found: Vec<_> = Attributes(&bytes).collect();
        assert_eq!(
            found,
            [Attribute { kind: 1, value: &[7, 0, 0, 0], cut: false }, Attribute { kind: 2, value: &[5], cut: true }]
        );
        assert_eq!((Attributes(&bytes).find(1), Attributes(&bytes).find(2)), (Some(&[7, 0, 0, 0][..]), None));
    }

    #[test]
    fn what_is_no_attribute_ends_the_list() {
        assert_eq!(Attributes(&[3, 0, 1, 0, 9, 9]).next(), None);
        assert_eq!(Attributes(&[0, 0, 0]).next(), None);
    }
}
