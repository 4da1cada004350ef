//! Actions as numbers: which one, and two arguments; as JSON, where there are more.

use std::{collections::HashMap, hash::Hash};

use serde::Serialize;

use super::dictionary::Malformed;
use crate::event::{Action, MplsLse, Userspace};

/// Values that are written once per message, as JSON, and referred to by their places: 0 is none, n is entry n - 1.
#[derive(Debug)]
pub(super) struct Wholes<T>(HashMap<T, u32>);

impl<T> Default for Wholes<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Hash + Eq + Clone + Serialize> Wholes<T> {
    /// The place of `value`; when it is new, its JSON is appended to `entries`.
    pub(super) fn place(&mut self, value: &T, entries: &mut Vec<String>) -> u32 {
        if let Some(&place) = self.0.get(value) {
            return place;
        }
        entries.push(serde_json::to_string(value).expect("plain data with string keys is always JSON"));
        let place = entries.len() as u32;
        self.0.insert(value.clone(), place);
        place
    }
}

/// Whether an action has more than its numbers can hold.
pub(super) fn has_more(action: &Action) -> bool {
    match action {
        Action::Userspace(_) => true,
        Action::Set { to } | Action::SetMasked { to } => to.is_some(),
        Action::Sample { args } => args.is_some(),
        Action::Ct { args } => args.is_some(),
        Action::PushEth { addresses } => addresses.is_some(),
        Action::PushNsh { header } => header.is_some(),
        Action::Clone { actions } | Action::DecTtl { actions } => actions.is_some(),
        Action::CheckPktLen { args } => args.is_some(),
        Action::AddMpls { args } => args.is_some(),
        Action::Psample { args } => args.is_some(),
        _ => false,
    }
}

/// One action as it is in its columns; `ActionExecutes` in `recording.proto` says what the arguments are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub action: u32,
    pub first: u64,
    pub second: u32,
}

/// Where a tag's priority begins in its control information.
const VLAN_PRIO_SHIFT: u32 = 13;

/// An action's numbers; `place` gives the place of a string in the dictionary.
pub(super) fn to_numbers(action: &Action, place: impl FnOnce(&str) -> u32) -> Numbers {
    let with = |action, first: u32, second: u32| Numbers { action, first: first.into(), second };
    match *action {
        Action::Output { port } => with(1, port, 0),
        Action::Userspace(ref to) => Numbers {
            action: 2,
            first: to.pid.map_or(0, |pid| u64::from(pid) + 1),
            second: to.userdata.as_deref().map_or(0, place),
        },
        Action::Set { .. } => with(3, 0, 0),
        Action::PushVlan { tpid, vid, pcp } => with(4, tpid.into(), u32::from(pcp) << VLAN_PRIO_SHIFT | u32::from(vid)),
        Action::PopVlan => with(5, 0, 0),
        Action::Sample { .. } => with(6, 0, 0),
        Action::Recirc { id } => with(7, id, 0),
        Action::Hash { algorithm, basis } => with(8, algorithm, basis),
        Action::PushMpls { lse: MplsLse(lse), ethertype } => with(9, lse, ethertype.into()),
        Action::PopMpls { ethertype } => with(10, ethertype.into(), 0),
        Action::SetMasked { .. } => with(11, 0, 0),
        Action::Ct { .. } => with(12, 0, 0),
        Action::Trunc { max_len } => with(13, max_len, 0),
        Action::PushEth { .. } => with(14, 0, 0),
        Action::PopEth => with(15, 0, 0),
        Action::CtClear => with(16, 0, 0),
        Action::PushNsh { .. } => with(17, 0, 0),
        Action::PopNsh => with(18, 0, 0),
        Action::Meter { id } => with(19, id, 0),
        Action::Clone { .. } => with(20, 0, 0),
        Action::CheckPktLen { .. } => with(21, 0, 0),
        Action::AddMpls { .. } => with(22, 0, 0),
        Action::DecTtl { .. } => with(23, 0, 0),
        Action::Drop { reason } => with(24, reason, 0),
        Action::Psample { .. } => with(25, 0, 0),
        Action::Unknown { number } => with(0, number.into(), 0),
    }
}

/// The action that some numbers stand for; `string` gives the string at a place. A number of a newer version becomes an
/// unknown action with that number.
pub(super) fn from_numbers(
    Numbers { action, first, second }: Numbers,
    string: impl FnOnce(u32) -> Result<Option<String>, Malformed>,
) -> Result<Action, Malformed> {
    const TOO_BIG: Malformed = Malformed("an action's argument that is too big");
    let long = u32::try_from(first).map_err(|_| TOO_BIG);
    let short = u16::try_from(first).map_err(|_| TOO_BIG);
    let second_short = u16::try_from(second).map_err(|_| TOO_BIG);
    Ok(match action {
        0 => Action::Unknown { number: short? },
        1 => Action::Output { port: long? },
        2 => Action::Userspace(Box::new(Userspace {
            pid: first.checked_sub(1).map(u32::try_from).transpose().map_err(|_| TOO_BIG)?,
            userdata: string(second)?,
            ..Userspace::default()
        })),
        3 => Action::Set { to: None },
        4 => Action::PushVlan {
            tpid: short?,
            vid: second_short? & ((1 << VLAN_PRIO_SHIFT) - 1),
            pcp: (second_short? >> VLAN_PRIO_SHIFT) as u8,
        },
        5 => Action::PopVlan,
        6 => Action::Sample { args: None },
        7 => Action::Recirc { id: long? },
        8 => Action::Hash { algorithm: long?, basis: second },
        9 => Action::PushMpls { lse: MplsLse(long?), ethertype: second_short? },
        10 => Action::PopMpls { ethertype: short? },
        11 => Action::SetMasked { to: None },
        12 => Action::Ct { args: None },
        13 => Action::Trunc { max_len: long? },
        14 => Action::PushEth { addresses: None },
        15 => Action::PopEth,
        16 => Action::CtClear,
        17 => Action::PushNsh { header: None },
        18 => Action::PopNsh,
        19 => Action::Meter { id: long? },
        20 => Action::Clone { actions: None },
        21 => Action::CheckPktLen { args: None },
        22 => Action::AddMpls { args: None },
        23 => Action::DecTtl { actions: None },
        24 => Action::Drop { reason: long? },
        25 => Action::Psample { args: None },
        newer => Action::Unknown { number: u16::try_from(newer).map_err(|_| TOO_BIG)? },
    })
}
