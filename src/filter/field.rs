//! The fields of `--where`: what they are, at which places they are known, and where their words are in the record.

use std::fmt;

/// A field; `struct filter_fields` in bpf/maps.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The port that the packet came in by, in its datapath.
    InPort,
    /// The datapath: the interface index of its local port.
    Dp,
    /// The UFID of the flow that the packet hit last.
    Ufid,
    /// The recirculation id of the packet as it is looked up or sent up.
    RecircId,
    /// Why the packet is sent up.
    Cmd,
    /// The netlink port that it is sent up to.
    Portid,
    /// The CPU.
    Cpu,
    /// The name of the thread that was running on the CPU, whoever's packet that handled.
    Comm,
    /// The packet's length in bytes, with its Ethernet header.
    Len,
    /// Why the packet is dropped: `enum skb_drop_reason`, and above it the subsystems' own.
    Reason,
}

/// Every field.
pub const FIELDS: [Field; 10] = [
    Field::InPort,
    Field::Dp,
    Field::Ufid,
    Field::RecircId,
    Field::Cmd,
    Field::Portid,
    Field::Cpu,
    Field::Comm,
    Field::Len,
    Field::Reason,
];

/// Bytes of a thread's name, with the zero at its end; `TASK_COMM_LEN`.
pub const COMM_LEN: usize = 16;
/// The word that is 0 where no UFID is known.
pub const UFID_LEN_WORD: usize = 7;
/// The word that is 0 where a dropped packet's place in a datapath is not known.
pub const DP_WORD: usize = 1;

impl Field {
    /// Its name in an expression.
    pub fn name(self) -> &'static str {
        match self {
            Self::InPort => "in_port",
            Self::Dp => "dp",
            Self::Ufid => "ufid",
            Self::RecircId => "recirc_id",
            Self::Cmd => "cmd",
            Self::Portid => "portid",
            Self::Cpu => "cpu",
            Self::Comm => "comm",
            Self::Len => "len",
            Self::Reason => "reason",
        }
    }

    /// The field with this name.
    pub fn of(name: &str) -> Option<Self> {
        FIELDS.into_iter().find(|field| field.name() == name)
    }

    /// Its first word in the record, of 32 bits each.
    pub fn word(self) -> usize {
        match self {
            Self::InPort => 0,
            Self::Dp => DP_WORD,
            Self::RecircId => 2,
            Self::Cmd => 3,
            Self::Portid => 4,
            Self::Cpu => 5,
            Self::Len => 6,
            Self::Ufid => 8,
            Self::Reason => 12,
            Self::Comm => 13,
        }
    }

    /// Whether it has an order, so that < and > mean something.
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::InPort | Self::RecircId | Self::Portid | Self::Cpu | Self::Len)
    }

    /// Whether it is known at a place.
    pub fn is_known_at(self, place: Place) -> bool {
        match self {
            Self::InPort | Self::Dp | Self::Ufid | Self::RecircId | Self::Cpu | Self::Comm | Self::Len => true,
            Self::Cmd | Self::Portid => place == Place::Upcall,
            Self::Reason => place == Place::Drop,
        }
    }

    /// The word of the record that is 0 where a place that usually knows the field does not know it this time; none where it
    /// always does.
    pub fn known_by(self, place: Place) -> Option<usize> {
        match self {
            Self::Ufid => Some(UFID_LEN_WORD),
            Self::InPort | Self::Dp | Self::RecircId => (place == Place::Drop).then_some(DP_WORD),
            _ => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where `--where` is judged; `enum filter_place`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After a lookup that hit.
    Lookup,
    /// As a packet is sent up.
    Upcall,
    /// As it is dropped, where the reason is asked for.
    Drop,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_known_somewhere() {
        for field in FIELDS {
            assert_eq!(Field::of(field.name()), Some(field));
            assert_ne!(field.is_known_at(Place::Upcall), field == Field::Reason, "{field}");
            assert_ne!(field.is_known_at(Place::Drop), [Field::Cmd, Field::Portid].contains(&field), "{field}");
        }
        assert_eq!(Field::of("reasons"), None);
    }
}
