//! A map that remembers the order of its insertions, and is equal to another only in the same order.

use std::{
    hash::Hash,
    ops::{Deref, DerefMut},
};

use foldhash::fast::RandomState;
use indexmap::IndexMap;

/// An [`IndexMap`] with seeded hashes, as its keys come from the network. Nothing iterates it in the order of its hashes, so
/// what is read from it does not depend on the seed. What is evicted next depends on its order, so two maps are equal only
/// where their order is the same, too.
#[derive(Debug, Clone)]
pub struct Ordered<K, V>(IndexMap<K, V, RandomState>);

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self(IndexMap::default())
    }
}

impl<K, V> Deref for Ordered<K, V> {
    type Target = IndexMap<K, V, RandomState>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K, V> DerefMut for Ordered<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for Ordered<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice() == other.0.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_part_of_what_it_is() {
        let of = |keys: &[u32]| {
            let mut map = Ordered::default();
            for key in keys {
                map.insert(*key, key * 10);
            }
            map
        };
        assert_eq!(of(&[1, 2, 3]), of(&[1, 2, 3]));
        assert_ne!(of(&[1, 2, 3]), of(&[3, 2, 1]));
        assert_ne!(of(&[1, 2]), of(&[1, 2, 3]));
    }
}
