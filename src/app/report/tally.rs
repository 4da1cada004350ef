//! Counts by key, of as many keys as there is room for.

use std::{cmp::Reverse, hash::Hash};

use indexmap::IndexMap;

/// Counts; what finds no room is counted together.
#[derive(Debug, Clone)]
pub struct Tally<K> {
    counts: IndexMap<K, u64>,
    limit: usize,
    others: u64,
}

impl<K: Hash + Eq + Ord + Clone> Tally<K> {
    /// Of so many keys at most.
    pub fn new(limit: usize) -> Self {
        Self { counts: IndexMap::new(), limit, others: 0 }
    }

    /// Counts one.
    pub fn add(&mut self, key: K) {
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
        } else if self.counts.len() < self.limit {
            self.counts.insert(key, 1);
        } else {
            self.others += 1;
        }
    }

    /// The `n` most frequent, and how many are not among them.
    pub fn top(&self, n: usize) -> (Vec<(K, u64)>, u64) {
        let mut all: Vec<(&K, u64)> = self.counts.iter().map(|(key, count)| (key, *count)).collect();
        all.sort_by_key(|(key, count)| (Reverse(*count), (*key).clone()));
        let others = all.iter().skip(n).fold(self.others, |sum, (_, count)| sum + count);
        (all.into_iter().take(n).map(|(key, count)| (key.clone(), count)).collect(), others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_the_rest_is_counted() {
        let mut tally = Tally::new(3);
        for key in ["b", "a", "c", "a", "d", "b", "d"] {
            tally.add(key);
        }
        assert_eq!(tally.top(2), (vec![("a", 2), ("b", 2)], 3), "d found no room");
        assert_eq!(tally.top(9).1, 2);
    }
}
