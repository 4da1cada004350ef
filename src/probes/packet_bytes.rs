//! A packet's first bytes, as the kernel side keeps them.

use super::wire::{SNAPLEN_MAX, WireBytes};
use crate::event::PacketBytes;

/// Where the outer VLAN tag stands in a frame: behind both addresses.
const VLAN_AT: usize = 12;

/// The bytes as they are on the wire: the kernel keeps the outer VLAN tag beside them.
pub fn packet_bytes(e: &WireBytes) -> PacketBytes {
    let captured = &e.data[..(e.captured as usize).min(SNAPLEN_MAX)];
    match captured.split_at_checked(VLAN_AT) {
        Some((addresses, rest)) if e.vlan_proto != 0 => {
            // The protocol is in network order already, the tag in the host's.
            let tag = [e.vlan_proto.to_ne_bytes(), e.vlan_tci.to_be_bytes()].concat();
            PacketBytes { len: e.len.saturating_add(4), data: [addresses, &tag, rest].concat().into() }
        }
        _ => PacketBytes { len: e.len, data: captured.into() },
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[test]
    fn a_vlan_tag_beside_the_data_is_put_back_into_it() {
        let mut e = WireBytes { len: 60, captured: 14, vlan_proto: 0x8100u16.to_be(), ..Zeroable::zeroed() };
        e.vlan_tci = 0x2005;
        e.data[12..14].copy_from_slice(&[0x08, 0x00]);
        let bytes = packet_bytes(&e);
        assert_eq!(bytes.data[12..], [0x81, 0x00, 0x20, 0x05, 0x08, 0x00]);
        assert_eq!((bytes.len, bytes.data.len()), (64, 18));
        let no_tag = packet_bytes(&WireBytes { vlan_proto: 0, ..e });
        assert_eq!((no_tag.len, &no_tag.data[12..]), (60, &[0x08, 0x00][..]));
    }

    #[test]
    fn no_more_is_read_than_there_is_and_no_tag_is_put_into_half_an_address() {
        let e = WireBytes { captured: u32::MAX, vlan_proto: 1, len: u32::MAX, ..Zeroable::zeroed() };
        assert_eq!((packet_bytes(&e).data.len(), packet_bytes(&e).len), (SNAPLEN_MAX + 4, u32::MAX));
        let short = packet_bytes(&WireBytes { captured: 11, len: 11, ..e });
        assert_eq!((short.data.len(), short.len), (11, 11));
    }
}
