//! Actions from the ring buffer: those whose arguments are the attribute's own bytes, and those that the kernel side read
//! out of the kernel's own structs (`bpf/action_args.h`).

use std::net::{IpAddr, Ipv4Addr};

use super::wire::{self, WireAction, WireActionCt, WireActionHead, WireActionLong, WireActionTunnel};
use crate::event::{
    Action, ActionExecute, Attribute, Body, Ct, DpIfindex, Family, Labels, Mark, Nat, NatDir, PortNo, SetKey, Tunnel,
    decode_action,
};

fn executed(e: &WireActionHead, action: Action) -> Body {
    Body::ActionExecute(ActionExecute {
        dp: DpIfindex(e.dp),
        in_port: PortNo(e.in_port),
        recirc_id: e.recirc_id,
        queue_id: e.queue_id,
        action,
    })
}

fn from_args(e: &WireActionHead, args: &[u8], set_to_masked: u32) -> Option<Body> {
    let len = usize::from(e.args_len);
    let attribute = Attribute {
        nla_type: e.nla_type,
        args: &args[..len.min(args.len())],
        cut: len > args.len(),
        set_to_masked: u16::try_from(set_to_masked).ok().filter(|number| *number != 0),
    };
    decode_action(&attribute).ok().map(|action| executed(e, action))
}

pub(super) fn action(e: &WireAction) -> Option<Body> {
    from_args(&e.action, &e.args, 0)
}

pub(super) fn action_long(e: &WireActionLong) -> Option<Body> {
    from_args(&e.action, &e.args, e.set_to_masked)
}

/// Flags of `struct nf_nat_range2` (`include/uapi/linux/netfilter/nf_nat.h`).
const NF_NAT_RANGE_MAP_IPS: u32 = 1 << 0;
const NF_NAT_RANGE_PROTO_SPECIFIED: u32 = 1 << 1;
const NF_NAT_RANGE_PROTO_RANDOM: u32 = 1 << 2;
const NF_NAT_RANGE_PERSISTENT: u32 = 1 << 3;
const NF_NAT_RANGE_PROTO_RANDOM_FULLY: u32 = 1 << 4;

pub(super) fn action_ct(e: &WireActionCt) -> Body {
    let is = |flag: u32| e.flags & flag != 0;
    let family = Family::from(e.family);
    let mark = Mark { value: e.mark, mask: e.mark_mask };
    let labels = Labels { value: u128::from_ne_bytes(e.labels), mask: u128::from_ne_bytes(e.labels_mask) };
    let ct = Ct {
        zone: e.zone,
        commit: is(wire::CT_COMMIT),
        force: is(wire::CT_FORCE),
        family,
        mark: (mark.mask != 0).then_some(mark),
        labels: (labels.mask != 0).then_some(labels),
        helper: name(&e.helper),
        timeout: name(&e.timeout),
        nat: nat(e, family),
    };
    executed(&e.action, Action::Ct { args: Some(Box::new(ct)) })
}

fn nat(e: &WireActionCt, family: Family) -> Option<Nat> {
    // enum ovs_ct_nat: 1 any, 2 source, 4 destination.
    let kind = e.flags >> wire::CT_NAT_SHIFT & 7;
    let dir = match kind {
        0 => return None,
        kind if kind & 2 != 0 => Some(NatDir::Src),
        kind if kind & 4 != 0 => Some(NatDir::Dst),
        _ => None,
    };
    let is = |flag: u32| dir.is_some() && e.nat_flags & flag != 0;
    let address = |bytes: [u8; 16]| match (family, bytes) {
        (Family::Ipv6, bytes) => IpAddr::from(bytes),
        (_, [a, b, c, d, ..]) => IpAddr::from(Ipv4Addr::new(a, b, c, d)),
    };
    let addresses = is(NF_NAT_RANGE_MAP_IPS);
    let ports = is(NF_NAT_RANGE_PROTO_SPECIFIED);
    Some(Nat {
        dir,
        min_addr: addresses.then(|| address(e.min_addr)),
        max_addr: addresses.then(|| address(e.max_addr)),
        min_port: ports.then(|| u16::from_be(e.min_port)),
        max_port: ports.then(|| u16::from_be(e.max_port)),
        persistent: is(NF_NAT_RANGE_PERSISTENT),
        random: is(NF_NAT_RANGE_PROTO_RANDOM),
        fully_random: is(NF_NAT_RANGE_PROTO_RANDOM_FULLY),
    })
}

/// A name in an array that ends with its first NUL; none is empty. From outside: a control character becomes `?`.
fn name(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    Some(text).filter(|text| !text.is_empty())
}

/// `IP_TUNNEL_INFO_IPV6` of `include/net/ip_tunnels.h`.
const IP_TUNNEL_INFO_IPV6: u8 = 2;

pub(super) fn action_tunnel(e: &WireActionTunnel) -> Body {
    let tunnel = Tunnel {
        tun_id: u64::from_be(e.tun_id),
        ipv6: e.mode & IP_TUNNEL_INFO_IPV6 != 0,
        src: e.src,
        dst: e.dst,
        tos: e.tos,
        ttl: e.ttl,
        tp_src: u16::from_be(e.tp_src),
        tp_dst: u16::from_be(e.tp_dst),
        flags: e.flags,
        options_len: e.options_len,
    };
    executed(&e.action, Action::Set { to: Some(Box::new(SetKey::from(tunnel))) })
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    fn head(nla_type: u16, args_len: u16) -> WireActionHead {
        WireActionHead { nla_type, args_len, ..WireActionHead::zeroed() }
    }

    fn text(body: Option<Body>) -> String {
        let Some(Body::ActionExecute(executed)) = body else { panic!("{body:?}") };
        executed.action.to_string()
    }

    #[test]
    fn an_action_whose_arguments_were_cut_is_read_from_what_there_is() {
        let e = WireAction { action: head(5, 500), ..WireAction::zeroed() };
        assert_eq!(text(action(&e)), "pop_vlan");
        let mut e = WireActionLong { action: head(20, 600), ..WireActionLong::zeroed() };
        e.args[..16].copy_from_slice(&[8, 0, 1, 0, 0, 0, 0, 0, 8, 0, 1, 0, 3, 0, 0, 0]);
        assert_eq!(text(action_long(&e)), "clone(3,...)");
    }

    #[test]
    fn conntrack_says_what_it_commits_and_translates() {
        let mut e = WireActionCt { action: head(12, 160), zone: 7, family: 2, ..WireActionCt::zeroed() };
        assert_eq!(text(Some(action_ct(&e))), "ct(zone=7)");
        e.flags = wire::CT_COMMIT | wire::CT_FORCE | 2 << wire::CT_NAT_SHIFT;
        (e.mark, e.mark_mask) = (5, 0xff);
        e.labels_mask[15] = 0x80;
        (e.labels_mask[0], e.labels[0]) = (0xf, 0x3);
        e.helper[..3].copy_from_slice(b"ftp");
        e.timeout[..4].copy_from_slice(b"a\x1bbc");
        (e.nat_flags, e.min_port, e.max_port) = (0b11111, 1000u16.to_be(), 2000u16.to_be());
        (e.min_addr[0], e.max_addr[0]) = (10, 11);
        assert_eq!(
            text(Some(action_ct(&e))),
            "ct(force_commit,zone=7,mark=0x5/0xff,label=0x3/0x8000000000000000000000000000000f,helper=ftp,\
             timeout=a?bc,nat(src=10.0.0.0-11.0.0.0:1000-2000,persistent,hash,random))"
        );
        e.flags = 1 << wire::CT_NAT_SHIFT;
        (e.helper, e.timeout, e.mark_mask, e.labels_mask) = Default::default();
        assert_eq!(text(Some(action_ct(&e))), "ct(zone=7,nat)");
        e.flags = 4 << wire::CT_NAT_SHIFT;
        (e.family, e.nat_flags) = (10, 1);
        assert_eq!(text(Some(action_ct(&e))), "ct(zone=7,nat(dst=a00::-b00::))");
    }

    #[test]
    fn a_tunnel_says_where_it_leads() {
        let mut e = WireActionTunnel { action: head(3, 12), ttl: 64, flags: 1 << 2, ..WireActionTunnel::zeroed() };
        e.tun_id = 9u64.to_be();
        e.dst[3] = 7;
        e.tp_dst = 4789u16.to_be();
        assert_eq!(text(Some(action_tunnel(&e))), "set(tunnel(tun_id=0x9,dst=0.0.0.7,ttl=64,tp_dst=4789,flags(key)))");
    }
}
