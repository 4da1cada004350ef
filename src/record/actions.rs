//! Actions as numbers: which one, and two arguments.

use super::dictionary::Malformed;
use crate::event::Action;

/// One action as it stands in its columns; `ActionExecutes` in `recording.proto` says what the arguments are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub action: u32,
    pub first: u64,
    pub second: u32,
}

/// An action's numbers; `place` gives the place of a string in the dictionary.
pub(super) fn to_numbers(action: &Action, place: impl FnOnce(&str) -> u32) -> Numbers {
    let with = |action, first: u32, second: u32| Numbers { action, first: first.into(), second };
    match *action {
        Action::Output { port } => with(1, port, 0),
        Action::Userspace { pid, ref userdata } => Numbers {
            action: 2,
            first: pid.map_or(0, |pid| u64::from(pid) + 1),
            second: userdata.as_deref().map_or(0, place),
        },
        Action::Set => with(3, 0, 0),
        Action::PushVlan { tpid, tci } => with(4, tpid.into(), tci.into()),
        Action::PopVlan => with(5, 0, 0),
        Action::Sample => with(6, 0, 0),
        Action::Recirc { id } => with(7, id, 0),
        Action::Hash { algorithm, basis } => with(8, algorithm, basis),
        Action::PushMpls { lse, ethertype } => with(9, lse, ethertype.into()),
        Action::PopMpls { ethertype } => with(10, ethertype.into(), 0),
        Action::SetMasked => with(11, 0, 0),
        Action::Ct => with(12, 0, 0),
        Action::Trunc { max_len } => with(13, max_len, 0),
        Action::PushEth => with(14, 0, 0),
        Action::PopEth => with(15, 0, 0),
        Action::CtClear => with(16, 0, 0),
        Action::PushNsh => with(17, 0, 0),
        Action::PopNsh => with(18, 0, 0),
        Action::Meter { id } => with(19, id, 0),
        Action::Clone => with(20, 0, 0),
        Action::CheckPktLen => with(21, 0, 0),
        Action::AddMpls => with(22, 0, 0),
        Action::DecTtl => with(23, 0, 0),
        Action::Drop { reason } => with(24, reason, 0),
        Action::Psample => with(25, 0, 0),
        Action::Unknown { number } => with(0, number.into(), 0),
    }
}

/// The action of some numbers; `string` gives the string at a place. A number from a newer program is an action that
/// this one does not know, under that number.
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
        2 => Action::Userspace {
            pid: first.checked_sub(1).map(u32::try_from).transpose().map_err(|_| TOO_BIG)?,
            userdata: string(second)?,
        },
        3 => Action::Set,
        4 => Action::PushVlan { tpid: short?, tci: second_short? },
        5 => Action::PopVlan,
        6 => Action::Sample,
        7 => Action::Recirc { id: long? },
        8 => Action::Hash { algorithm: long?, basis: second },
        9 => Action::PushMpls { lse: long?, ethertype: second_short? },
        10 => Action::PopMpls { ethertype: short? },
        11 => Action::SetMasked,
        12 => Action::Ct,
        13 => Action::Trunc { max_len: long? },
        14 => Action::PushEth,
        15 => Action::PopEth,
        16 => Action::CtClear,
        17 => Action::PushNsh,
        18 => Action::PopNsh,
        19 => Action::Meter { id: long? },
        20 => Action::Clone,
        21 => Action::CheckPktLen,
        22 => Action::AddMpls,
        23 => Action::DecTtl,
        24 => Action::Drop { reason: long? },
        25 => Action::Psample,
        newer => Action::Unknown { number: u16::try_from(newer).map_err(|_| TOO_BIG)? },
    })
}
