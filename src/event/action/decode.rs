//! From the attribute that the kernel is about to execute to the action.

use super::{
    Action, AddMpls, CheckPktLen, Cookie, MplsLse, Nested, Nsh, Psample, PushEth, Sample, SetKey, Userspace, hex,
};
use crate::event::netlink::{Attributes, NLA_TYPE_MASK, be16_at, be32_at, mac_at, u16_at, u32_at};

/// An action's attribute as it was taken from the kernel. Bytes are in the host's order, as the kernel's own.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// As in `nlattr.nla_type`.
    pub nla_type: u16,
    /// The bytes after the attribute's header, as many as were taken.
    pub args: &'a [u8],
    /// Whether it has more.
    pub cut: bool,
    /// The running kernel's `OVS_ACTION_ATTR_SET_TO_MASKED`, for those in lists. (What is executed itself has been told
    /// apart by the kernel side.)
    pub set_to_masked: Option<u16>,
}

/// An attribute that does not hold what its action needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("action {number} has {len} bytes of arguments, too few")]
pub struct ActionError {
    number: u16,
    len: usize,
}

/// `OVS_ACTION_ATTR_SET`.
const SET: u16 = 3;
/// The kernel executes no deeper lists: `OVS_COPY_ACTIONS_MAX_DEPTH` is 16. Those of real flows have two or three.
const DEPTH_MAX: u8 = 16;

/// Reads the action.
pub fn decode_action(attribute: &Attribute<'_>) -> Result<Action, ActionError> {
    decode(attribute, DEPTH_MAX)
}

fn decode(attribute: &Attribute<'_>, depth: u8) -> Result<Action, ActionError> {
    let &Attribute { nla_type, args, cut, .. } = attribute;
    let number = nla_type & NLA_TYPE_MASK;
    let whole = || ActionError { number, len: args.len() };
    let long = |at| u32_at(args, at).ok_or_else(whole);
    let be16 = |at| be16_at(args, at).ok_or_else(whole);
    let be32 = |at| be32_at(args, at).ok_or_else(whole);
    let mac = |at| mac_at(args, at).ok_or_else(whole);
    let nested = |bytes: &[u8], cut| nested(&Attribute { args: bytes, cut, ..*attribute }, depth);
    // The kernel puts an attribute of its own before the actions of some lists.
    let internal = || Attributes(args).next().filter(|first| !first.cut);
    let rest = || {
        let mut list = Attributes(args);
        list.next();
        list.0
    };
    Ok(match number {
        1 => Action::Output { port: long(0)? },
        2 => Action::Userspace(Box::new(userspace(args))),
        SET | 11 => {
            let key = Attributes(args).next().filter(|key| !key.cut);
            let to = key.and_then(|key| SetKey::read(key.kind, key.value, number == 11)).map(Box::new);
            if number == SET { Action::Set { to } } else { Action::SetMasked { to } }
        }
        // struct ovs_action_push_vlan { __be16 vlan_tpid; __be16 vlan_tci; }: the bit for "present" is always set.
        4 => Action::PushVlan { tpid: be16(0)?, vid: be16(2)? & 0xfff, pcp: (be16(2)? >> 13) as u8 },
        5 => Action::PopVlan,
        // OVS_SAMPLE_ATTR_ARG: struct sample_arg { bool exec; u32 probability; }
        6 => {
            let probability = internal().and_then(|arg| u32_at(arg.value, 4));
            let sample = |probability| Box::new(Sample { probability, actions: nested(rest(), cut) });
            Action::Sample { args: probability.map(sample) }
        }
        7 => Action::Recirc { id: long(0)? },
        // struct ovs_action_hash { u32 hash_alg; u32 hash_basis; }
        8 => Action::Hash { algorithm: long(0)?, basis: long(4)? },
        // struct ovs_action_push_mpls { __be32 mpls_lse; __be16 mpls_ethertype; }
        9 => Action::PushMpls { lse: MplsLse(be32(0)?), ethertype: be16(4)? },
        10 => Action::PopMpls { ethertype: be16(0)? },
        // A struct of the kernel's own: bpf/action_args.h.
        12 => Action::Ct { args: None },
        // struct ovs_action_trunc { u32 max_len; }
        13 => Action::Trunc { max_len: long(0)? },
        // struct ovs_action_push_eth { struct ovs_key_ethernet addresses; }: source first
        14 => Action::PushEth { addresses: Some(PushEth { src: mac(0)?, dst: mac(6)? }) },
        15 => Action::PopEth,
        16 => Action::CtClear,
        // One OVS_KEY_ATTR_NSH.
        17 => Action::PushNsh { header: Attributes(args).next().and_then(|key| nsh(key.value)).map(Box::new) },
        18 => Action::PopNsh,
        19 => Action::Meter { id: long(0)? },
        // OVS_CLONE_ATTR_EXEC: u32
        20 => Action::Clone { actions: internal().map(|_| Box::new(nested(rest(), cut))) },
        21 => Action::CheckPktLen { args: check_pkt_len(attribute, depth).map(Box::new) },
        // struct ovs_action_add_mpls { __be32 mpls_lse; __be16 mpls_ethertype; __u16 tun_flags; }
        22 => {
            let tun_flags = u16_at(args, 6).ok_or_else(whole)?;
            Action::AddMpls { args: Some(AddMpls { lse: MplsLse(be32(0)?), ethertype: be16(4)?, tun_flags }) }
        }
        // OVS_DEC_TTL_ATTR_ACTION, 1
        23 => {
            let list = Attributes(args).find_map(|a| (a.kind == 1).then(|| Box::new(nested(a.value, a.cut))));
            Action::DecTtl { actions: list }
        }
        24 => Action::Drop { reason: long(0)? },
        25 => Action::Psample { args: psample(args).map(Box::new) },
        number => Action::Unknown { number },
    })
}

/// A list of actions.
fn nested(list: &Attribute<'_>, depth: u8) -> Nested {
    let mut found = Nested { actions: Vec::new(), cut: list.cut };
    let Some(depth) = depth.checked_sub(1) else { return Nested { cut: true, ..found } };
    for action in Attributes(list.args) {
        let is_set_to_masked = list.set_to_masked == Some(action.kind);
        let nla_type = if is_set_to_masked { SET } else { action.kind };
        let attribute = Attribute { nla_type, args: action.value, cut: action.cut, ..*list };
        match decode(&attribute, depth) {
            Ok(action) => found.actions.push(action),
            Err(_) => found.cut = true,
        }
    }
    found
}

/// `OVS_CHECK_PKT_LEN_ATTR_ARG`: `struct check_pkt_len_arg { u16 pkt_len; bool exec_for_greater; ... }`; behind it always
/// what is done with packets that are not longer, and then with the longer ones.
fn check_pkt_len(attribute: &Attribute<'_>, depth: u8) -> Option<CheckPktLen> {
    let mut parts = Attributes(attribute.args);
    let len = parts.next().filter(|arg| !arg.cut).and_then(|arg| u16_at(arg.value, 0))?;
    let mut list = || match parts.next() {
        Some(part) => nested(&Attribute { args: part.value, cut: part.cut, ..*attribute }, depth),
        None => Nested { actions: Vec::new(), cut: true },
    };
    let less_equal = list();
    Some(CheckPktLen { len, less_equal, greater: list() })
}

/// `enum ovs_userspace_attr`.
fn userspace(args: &[u8]) -> Userspace {
    let list = Attributes(args);
    let long = |kind| list.find(kind).and_then(|value| u32_at(value, 0));
    let userdata = list.find(2);
    Userspace {
        pid: long(1),
        userdata: userdata.map(hex),
        cookie: userdata.map(Cookie::read),
        egress_tun_port: long(3),
        actions: list.find(4).is_some(),
    }
}

/// `enum ovs_nsh_key_attr`: 1 base, 2 context, 3 other metadata.
fn nsh(args: &[u8]) -> Option<Nsh> {
    let list = Attributes(args);
    let base = list.find(1)?;
    let path = be32_at(base, 4)?;
    let &[flags, ttl, mdtype, np, ..] = base else { return None };
    let context = list.find(2).and_then(|md1| {
        let word = |n: usize| be32_at(md1, 4 * n);
        Some([word(0)?, word(1)?, word(2)?, word(3)?])
    });
    Some(Nsh { flags, ttl, mdtype, np, spi: path >> 8, si: path as u8, context, md2: list.find(3).map(hex) })
}

/// `enum ovs_psample_attr`: 1 group, 2 cookie.
fn psample(args: &[u8]) -> Option<Psample> {
    let list = Attributes(args);
    Some(Psample { group: list.find(1).and_then(|value| u32_at(value, 0))?, cookie: list.find(2).map(hex) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One attribute, padded.
    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [(value.len() as u16 + 4).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn read(nla_type: u16, args: &[u8]) -> Result<Action, ActionError> {
        decode_action(&Attribute { nla_type, args, cut: false, set_to_masked: Some(27) })
    }

    fn text(nla_type: u16, args: &[u8]) -> String {
        let action = read(nla_type, args).expect("whole");
        let json = serde_json::to_string(&action).expect("plain data");
        assert_eq!(serde_json::from_str::<Action>(&json).expect("its own form"), action, "{json}");
        action.to_string()
    }

    #[test]
    fn output_names_its_port() {
        assert_eq!(read(1, &3u32.to_ne_bytes()), Ok(Action::Output { port: 3 }));
    }

    #[test]
    fn too_few_bytes_are_refused_with_their_number() {
        let refused = read(7, &[1, 2]).expect_err("two bytes are no u32");
        assert_eq!(refused.to_string(), "action 7 has 2 bytes of arguments, too few");
    }

    #[test]
    fn userspace_gives_all_that_is_there() {
        let args = [nla(1, &7u32.to_ne_bytes()), nla(2, &[0xde, 0xad]), nla(3, &4u32.to_ne_bytes()), nla(4, &[])];
        assert_eq!(text(2, &args.concat()), "userspace(pid=7,userdata(dead),actions,tunnel_out_port=4)");
    }

    #[test]
    fn a_broken_attribute_ends_the_list_and_nothing_else() {
        let nothing = Ok(Action::Userspace(Box::default()));
        assert_eq!(read(2, &[200, 0, 1, 0, 1]), nothing);
        assert_eq!(read(2, &[0, 0, 0, 0]), nothing);
    }

    #[test]
    fn a_nested_flag_in_the_type_changes_nothing() {
        assert_eq!(read(0x8000 | 5, &[]), Ok(Action::PopVlan));
    }

    #[test]
    fn headers_that_are_pushed_print_as_the_daemon_prints_them() {
        assert_eq!(text(4, &[0x81, 0, 0x70, 0x05]), "push_vlan(vid=5,pcp=3)");
        assert_eq!(text(4, &[0x88, 0xa8, 0x10, 0x05]), "push_vlan(tpid=0x88a8,vid=5,pcp=0)");
        assert_eq!(
            text(9, &[0, 6, 0x4b, 0x40, 0x88, 0x47, 0, 0]),
            "push_mpls(label=100,tc=5,ttl=64,bos=1,eth_type=0x8847)"
        );
        assert_eq!(text(10, &[8, 0]), "pop_mpls(eth_type=0x800)");
        assert_eq!(
            text(22, &[0, 6, 0x4b, 0x40, 0x88, 0x47, 1, 0]),
            "add_mpls(label=100,tc=5,ttl=64,bos=1,eth_type=0x8847)"
        );
        let eth = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        assert_eq!(text(14, &eth), "push_eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)");
        let base = nla(1, &[0, 63, 1, 3, 0, 0, 5, 255]);
        let words: Vec<u8> = (1..5u32).flat_map(u32::to_be_bytes).collect();
        let md1 = [base, nla(2, &words)].concat();
        assert_eq!(
            text(17, &nla(28, &md1)),
            "push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x5,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4)"
        );
        let md2 = [nla(1, &[0, 63, 2, 3, 0, 0, 5, 255]), nla(3, &[0, 0x10, 0x20, 0x30])].concat();
        assert_eq!(text(17, &nla(28, &md2)), "push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x5,si=255,md2=0x102030)");
    }

    #[test]
    fn small_actions_print_as_the_daemon_prints_them() {
        assert_eq!(text(7, &0x11u32.to_ne_bytes()), "recirc(0x11)");
        assert_eq!(text(8, &[0u32.to_ne_bytes(), 9u32.to_ne_bytes()].concat()), "hash(l4(9))");
        assert_eq!(text(13, &100u32.to_ne_bytes()), "trunc(100)");
        assert_eq!(text(19, &2u32.to_ne_bytes()), "meter(2)");
        assert_eq!(text(24, &0u32.to_ne_bytes()), "drop");
        assert_eq!(
            [text(5, &[]), text(15, &[]), text(16, &[]), text(18, &[])],
            ["pop_vlan", "pop_eth", "ct_clear", "pop_nsh()"]
        );
        let psample = [nla(1, &9u32.to_ne_bytes()), nla(2, &[0x0a, 0x0b])].concat();
        assert_eq!(text(25, &psample), "psample(group=9,cookie=0xa0b)");
        assert_eq!(text(99, &[1]), "action99");
    }

    #[test]
    fn lists_begin_with_what_the_kernel_put_before_them() {
        let output = |port: u32| nla(1, &port.to_ne_bytes());
        let arg = nla(3, &[[0; 4], 2_147_483_647u32.to_ne_bytes()].concat());
        assert_eq!(text(6, &[arg, output(2)].concat()), "sample(sample=50.0%,actions(2))");
        let exec = nla(1, &1u32.to_ne_bytes());
        assert_eq!(text(20, &[exec.clone(), output(2), output(3)].concat()), "clone(2,3)");
        let len = nla(4, &[100, 0, 1, 1]);
        let lists = [len, nla(3, &output(2)), nla(2, &[output(3), nla(5, &[])].concat())].concat();
        assert_eq!(text(21, &lists), "check_pkt_len(size=100,gt(3,pop_vlan),le(2))");
        assert_eq!(text(23, &nla(1, &[])), "dec_ttl(le_1(drop))");
        // A set, in the kernel's own number and with the kernel's own mask.
        let mark = nla(15, &[5u32.to_ne_bytes(), [0xff; 4]].concat());
        assert_eq!(text(20, &[exec.clone(), nla(27, &mark)].concat()), "clone(set(skb_mark(0x5)))");
        // Conntrack in a list is a struct with pointers.
        assert_eq!(text(20, &[exec, nla(12, &[1; 40])].concat()), "clone(ct)");
    }

    #[test]
    fn a_list_that_was_not_taken_as_a_whole_says_so() {
        let exec = nla(1, &1u32.to_ne_bytes());
        let list = [exec, nla(1, &2u32.to_ne_bytes()), nla(1, &3u32.to_ne_bytes())].concat();
        let cut = Attribute { nla_type: 20, args: &list[..18], cut: true, set_to_masked: None };
        assert_eq!(decode_action(&cut).expect("a list").to_string(), "clone(2,...)");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(prop_oneof![3 => 0u8..32, 1 => any::<u8>()], 0..200),
            number in 0u16..40,
            cut in any::<bool>(),
        ) {
            let attribute = Attribute { nla_type: number, args: &bytes, cut, set_to_masked: Some(27) };
            if let Ok(action) = decode_action(&attribute) {
                let _ = action.to_string();
                let json = serde_json::to_string(&action).expect("plain data");
                prop_assert_eq!(serde_json::from_str::<Action>(&json).expect("its own form"), action);
            }
        }
    }
}
