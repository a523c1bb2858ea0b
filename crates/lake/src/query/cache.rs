//! A bounded map of things that never change once read: manifests, delete files, index files.
//!
//! In: values with a weight. Out: the value, until newer ones of more weight than the bound pushed
//! it out. Not here: reading what is missing.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use parking_lot::Mutex;

/// Least recently used goes first; a value heavier than the whole bound is not kept.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    bound: usize,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    weight: usize,
    tick: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    tick: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache that holds at most `bound` of weight.
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { entries: HashMap::new(), order: BTreeMap::new(), weight: 0, tick: 0 };
        Cache { bound, state: Mutex::new(state) }
    }

    /// The value, when it is still held.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.tick += 1;
        let entry = state.entries.get_mut(key)?;
        state.order.remove(&entry.tick);
        entry.tick = state.tick;
        state.order.insert(state.tick, key.clone());
        Some(entry.value.clone())
    }

    /// Holds the value and lets the least recently used ones go.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        if weight > self.bound {
            return;
        }
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.forget(&key);
        state.tick += 1;
        state.order.insert(state.tick, key.clone());
        state.entries.insert(key, Entry { value, weight, tick: state.tick });
        state.weight += weight;
        while state.weight > self.bound {
            let Some((_, oldest)) = state.order.pop_first() else { return };
            state.forget(&oldest);
        }
    }
}

impl<K: Eq + Hash, V> State<K, V> {
    fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.tick);
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(3);
        for key in ["a", "b", "c"] {
            cache.put(key, key, 1);
        }
        cache.get(&"a");
        cache.put("d", "d", 1);
        assert_eq!(
            ["a", "b", "c", "d"].map(|key| cache.get(&key).is_some()),
            [true, false, true, true]
        );
        cache.put("huge", "huge", 4);
        assert_eq!(cache.get(&"huge"), None);
    }
}
