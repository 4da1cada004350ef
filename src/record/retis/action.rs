//! An action by its name in an event file.

use super::line::{ActionExecute, Nat};
use crate::event::{Action, Ct, Family, Nat as CtNat};

/// The flags of `ct` in the files: their own, not the kernel's.
mod flag {
    pub const COMMIT: u32 = 1;
    pub const FORCE: u32 = 1 << 1;
    pub const IP4: u32 = 1 << 2;
    pub const IP6: u32 = 1 << 3;
    pub const NAT_RANDOM: u32 = 1 << 9;
    pub const NAT_PERSISTENT: u32 = 1 << 10;
    pub const NAT_FULLY_RANDOM: u32 = 1 << 11;
}

/// The action; none for a name that is not known. An action whose arguments are not in the files, and which is nothing
/// without them, is known by its number (`enum ovs_action_attr`) only.
pub fn action(e: &ActionExecute) -> Option<Action> {
    let unknown = |number| Action::Unknown { number };
    Some(match e.action.as_deref()? {
        "output" => Action::Output { port: e.port? },
        "userspace" => Action::Userspace(Box::default()),
        "set" => Action::Set { to: None },
        "push_vlan" => unknown(4),
        "pop_vlan" => Action::PopVlan,
        "sample" => Action::Sample { args: None },
        "recirc" => Action::Recirc { id: e.id? },
        "hash" => unknown(8),
        "push_mpls" => unknown(9),
        "pop_mpls" => unknown(10),
        "set_masked" => Action::SetMasked { to: None },
        "ct" => Action::Ct { args: ct(e).map(Box::new) },
        "trunc" => unknown(13),
        "push_eth" => Action::PushEth { addresses: None },
        "pop_eth" => Action::PopEth,
        "ct_clear" => Action::CtClear,
        "push_nsh" => Action::PushNsh { header: None },
        "pop_nsh" => Action::PopNsh,
        "meter" => unknown(19),
        "clone" => Action::Clone { actions: None },
        "check_pkt_len" => Action::CheckPktLen { args: None },
        "add_mpls" => Action::AddMpls { args: None },
        "dec_ttl" => Action::DecTtl { actions: None },
        "drop" => Action::Drop { reason: e.reason? },
        "psample" => Action::Psample { args: None },
        _ => return None,
    })
}

fn ct(e: &ActionExecute) -> Option<Ct> {
    let flags = e.flags?;
    let is = |flag| flags & flag != 0;
    let family = match flags & (flag::IP4 | flag::IP6) {
        flag::IP4 => Family::Ipv4,
        flag::IP6 => Family::Ipv6,
        // Both or none: NFPROTO_UNSPEC.
        _ => Family::Other(0),
    };
    let nat = e.nat.as_ref().map(|Nat { dir, min_addr, max_addr, min_port, max_port }| {
        let address = |text: &Option<String>| text.as_ref()?.parse().ok();
        CtNat {
            dir: *dir,
            min_addr: address(min_addr),
            max_addr: address(max_addr),
            min_port: *min_port,
            max_port: *max_port,
            persistent: is(flag::NAT_PERSISTENT),
            random: is(flag::NAT_RANDOM),
            fully_random: is(flag::NAT_FULLY_RANDOM),
        }
    });
    Some(Ct {
        zone: e.zone_id?,
        commit: is(flag::COMMIT),
        force: is(flag::FORCE),
        family,
        mark: None,
        labels: None,
        helper: None,
        timeout: None,
        nat,
    })
}
