//! The most recent things by identity, in the order in which they came.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use foldhash::fast::RandomState;

/// A queue whose items are also found by key. Places are counted from the first item ever, so that those in the map stay valid
/// while the front is removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Recent<K: Eq + Hash, V> {
    places: HashMap<K, u64, RandomState>,
    queue: VecDeque<(K, V)>,
    base: u64,
}

impl<K: Eq + Hash, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { places: HashMap::default(), queue: VecDeque::new(), base: 0 }
    }
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    fn place(&self, key: K) -> Option<usize> {
        // Most events are about the item that came last: no need to hash for them.
        match self.queue.back() {
            Some((last, _)) if *last == key => Some(self.queue.len() - 1),
            _ => self.places.get(&key).map(|place| (place - self.base) as usize),
        }
    }

    pub fn get(&self, key: K) -> Option<&V> {
        Some(&self.queue.get(self.place(key)?)?.1)
    }

    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.place(key)?;
        Some(&mut self.queue.get_mut(place)?.1)
    }

    /// Appends an item that is not there yet; there will be `limit` items at most.
    pub fn push(&mut self, key: K, value: V, limit: usize) {
        reserve_within(&mut self.queue, limit);
        self.places.insert(key, self.base + self.queue.len() as u64);
        self.queue.push_back((key, value));
    }

    pub fn pop_front(&mut self) -> Option<V> {
        let (key, value) = self.queue.pop_front()?;
        self.places.remove(&key);
        self.base += 1;
        Some(value)
    }

    pub fn front(&self) -> Option<&V> {
        self.queue.front().map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &V> + DoubleEndedIterator + Clone {
        self.queue.iter().map(|(_, value)| value)
    }
}

/// Makes room for one more in a queue that grows to `limit` at most. A ring of twice the size would be used all around, and so
/// take twice the memory.
pub fn reserve_within<T>(queue: &mut VecDeque<T>, limit: usize) {
    let len = queue.len();
    if len == queue.capacity() {
        queue.reserve_exact(len.max(64).min(limit.saturating_sub(len)).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found_after_the_front_went() {
        let mut recent = Recent::default();
        for key in 0..10 {
            recent.push(key, key * 10, 4);
            if recent.len() > 3 {
                recent.pop_front();
            }
        }
        assert_eq!(recent.iter().copied().collect::<Vec<_>>(), [70, 80, 90]);
        assert_eq!((recent.get(6), recent.get(7), recent.get(9)), (None, Some(&70), Some(&90)));
    }
}
