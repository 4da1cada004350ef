//! Dictionaries: values that repeat are written once in a message and named by small numbers after that.

use std::{collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;

use super::{columns, proto};

/// Bits of an identity that are a sequence; the CPU stands above them (see [`crate::event::PacketId`]).
const SEQUENCE_BITS: u32 = 40;

/// What a message refers to and does not hold, or holds in columns of different length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub &'static str);

/// Values by place: 0 is none, n is entry n - 1.
#[derive(Debug)]
pub(super) struct Places<T> {
    places: HashMap<T, u32, RandomState>,
    /// The one that was asked for last, which most often comes again.
    last: Option<(T, u32)>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { places: HashMap::default(), last: None }
    }
}

impl<T: Hash + Eq + Clone> Places<T> {
    /// The place of `value`; when it is new, `add` has to append it to the dictionary.
    pub(super) fn place(&mut self, value: T, add: impl FnOnce(&T)) -> u32 {
        if let Some((last, place)) = &self.last
            && *last == value
        {
            return *place;
        }
        let next = self.places.len() as u32 + 1;
        let place = *self.places.entry(value.clone()).or_insert_with_key(|value| {
            add(value);
            next
        });
        self.last = Some((value, place));
        place
    }
}

/// The entry at a place of `entries`.
pub(super) fn at_place<T: Clone>(entries: &[T], place: u32) -> Result<Option<T>, Malformed> {
    match place {
        0 => Ok(None),
        n => entries.get(n as usize - 1).cloned().map(Some).ok_or(Malformed("a place outside of its dictionary")),
    }
}

/// Numbers that come back soon, written as a distance from the newest: 0 none, 1 the next new one, n the one n - 2
/// before the newest.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: HashMap<u64, u32, RandomState>,
    /// In the order they were first named.
    entries: Vec<u64>,
}

impl Recent {
    /// Names a number.
    pub(super) fn reference(&mut self, number: u64) -> u32 {
        let count = self.entries.len() as u32;
        // Most often it is the one that was named last.
        if self.entries.last() == Some(&number) {
            return 2;
        }
        if let Some(&index) = self.seen.get(&number) {
            return 1 + count - index;
        }
        self.seen.insert(number, count);
        self.entries.push(number);
        1
    }

    /// As identities, and empty again.
    pub(super) fn take_ids(&mut self) -> Option<columns::Ids> {
        if self.entries.is_empty() {
            return None;
        }
        let mut before: HashMap<u32, u64> = HashMap::new();
        let mut ids = columns::Ids::default();
        for &id in &self.entries {
            let (cpu, sequence) = ((id >> SEQUENCE_BITS) as u32, id & ((1 << SEQUENCE_BITS) - 1));
            ids.cpu.push(cpu);
            // 40 bits: the difference always fits.
            ids.sequence.push(sequence.wrapping_sub(before.insert(cpu, sequence).unwrap_or(0)).cast_signed());
        }
        self.clear();
        Some(ids)
    }

    /// As times, each a difference to the one before, and empty again.
    pub(super) fn take_times(&mut self, base: u64) -> Vec<i64> {
        let mut before = base;
        let step = |&t: &u64| t.wrapping_sub(std::mem::replace(&mut before, t)).cast_signed();
        let times = self.entries.iter().map(step).collect();
        self.clear();
        times
    }

    fn clear(&mut self) {
        self.seen.clear();
        self.entries.clear();
    }
}

/// The reading side of [`Recent`].
#[derive(Debug, Default)]
pub(super) struct Named {
    entries: Vec<u64>,
    /// How many of them have been named.
    named: usize,
}

impl Named {
    pub(super) fn from_ids(ids: Option<&proto::Ids>) -> Result<Self, Malformed> {
        let Some(ids) = ids else { return Ok(Self::default()) };
        if ids.cpu.len() != ids.sequence.len() {
            return Err(Malformed("a dictionary of identities with columns of different length"));
        }
        let mut before: HashMap<u32, u64> = HashMap::new();
        let entries = std::iter::zip(&ids.cpu, &ids.sequence).map(|(&cpu, &step)| {
            let last = before.entry(cpu).or_default();
            *last = last.wrapping_add_signed(step) & ((1 << SEQUENCE_BITS) - 1);
            u64::from(cpu) << SEQUENCE_BITS | *last
        });
        Ok(Self { entries: entries.collect(), named: 0 })
    }

    pub(super) fn from_times(base: u64, times: &[i64]) -> Self {
        let entries = times.iter().scan(base, |t, &step| {
            *t = t.wrapping_add_signed(step);
            Some(*t)
        });
        Self { entries: entries.collect(), named: 0 }
    }

    /// What a reference names.
    pub(super) fn get(&mut self, reference: u32) -> Result<Option<u64>, Malformed> {
        const OUTSIDE: Malformed = Malformed("a reference outside of its dictionary");
        let index = match reference {
            0 => return Ok(None),
            1 => {
                self.named += 1;
                self.named - 1
            }
            n => self.named.checked_sub(n as usize - 1).ok_or(OUTSIDE)?,
        };
        self.entries.get(index).copied().map(Some).ok_or(OUTSIDE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_named_and_found_again(numbers in prop::collection::vec(prop_oneof![any::<u64>(), 0..9u64], 0..99)) {
            for times in [false, true] {
                let mut recent = Recent::default();
                let references: Vec<u32> = numbers.iter().map(|&n| recent.reference(n)).collect();
                let mut named = if times {
                    Named::from_times(77, &recent.take_times(77))
                } else {
                    let ids = recent.take_ids().map(|ids| proto::Ids { cpu: ids.cpu, sequence: ids.sequence });
                    Named::from_ids(ids.as_ref()).expect("whole")
                };
                let back: Vec<Option<u64>> = references.iter().map(|&r| named.get(r).expect("inside")).collect();
                prop_assert_eq!(back, numbers.iter().copied().map(Some).collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_reference_gives_an_entry_or_an_error(references in prop::collection::vec(any::<u32>(), 0..20)) {
            let mut named = Named::from_times(0, &[1, 2, 3]);
            for reference in references {
                let _ = named.get(reference);
            }
        }
    }

    #[test]
    fn the_newest_is_two_and_the_one_before_three() {
        let mut recent = Recent::default();
        assert_eq!([5, 5, 6, 5, 6].map(|n| recent.reference(n)), [1, 2, 1, 3, 2]);
    }
}
