//! A bounded map of things that never change once read: metadata, manifests, footers, delete files,
//! index files.
//!
//! In: values with a weight. Out: the value, until newer ones of more weight than the bound pushed it
//! out, or until nobody asked for it for a while: under constant commits most of what was read soon
//! describes states that nobody looks at any more, and would fill every cache to its bound. Not here:
//! reading what is missing.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a value is held that nobody asks for.
const IDLE: Duration = Duration::from_secs(120);

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
    used: Instant,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache that holds at most `bound` of weight.
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { entries: HashMap::new(), order: BTreeMap::new(), weight: 0, tick: 0 };
        Cache { bound, state: Mutex::new(state) }
    }

    /// The value, when it is still held.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.tick += 1;
        let entry = state.entries.get_mut(key)?;
        if let Some(own) = state.order.remove(&entry.tick) {
            state.order.insert(state.tick, own);
        }
        entry.tick = state.tick;
        entry.used = Instant::now();
        Some(entry.value.clone())
    }

    /// Holds the value, lets those go that were used longest ago, and gives the value back.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) -> V {
        if weight > self.bound {
            return value;
        }
        let now = Instant::now();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.forget(&key);
        state.tick += 1;
        state.order.insert(state.tick, key.clone());
        let entry = Entry { value: value.clone(), weight, tick: state.tick, used: now };
        state.entries.insert(key, entry);
        state.weight += weight;
        state.forget_idle(now);
        while state.weight > self.bound {
            let Some((_, oldest)) = state.order.pop_first() else { break };
            state.forget(&oldest);
        }
        value
    }

    /// Lets a value go; gives it back when it was held.
    pub(crate) fn remove(&self, key: &K) -> Option<V> {
        self.state.lock().forget(key)
    }

    /// How many values are held.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().entries.len()
    }

    /// Lets all values go.
    pub(crate) fn clear(&self) {
        let state = &mut *self.state.lock();
        state.entries.clear();
        state.order.clear();
        state.weight = 0;
    }
}

impl<K: Clone + Eq + Hash, V> State<K, V> {
    fn forget(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.tick);
        self.weight -= entry.weight;
        Some(entry.value)
    }

    fn forget_idle(&mut self, now: Instant) {
        while let Some((_, oldest)) = self.order.first_key_value() {
            let used = self.entries.get(oldest).map(|entry| entry.used);
            if used.is_some_and(|used| now.saturating_duration_since(used) < IDLE) {
                return;
            }
            let oldest = oldest.clone();
            self.order.pop_first();
            self.forget(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(cache: &Cache<&str, &str>) -> [bool; 4] {
        ["a", "b", "c", "d"].map(|key| cache.get(key).is_some())
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = Cache::new(3);
        for key in ["a", "b", "c"] {
            cache.put(key, key, 1);
        }
        cache.get("a");
        cache.put("d", "d", 1);
        assert_eq!(held(&cache), [true, false, true, true]);
        cache.put("huge", "huge", 4);
        assert_eq!(cache.get("huge"), None);
    }

    #[test]
    fn what_nobody_asks_for_goes_after_a_while() {
        let cache = Cache::new(10);
        for key in ["a", "b", "c", "d"] {
            cache.put(key, key, 1);
        }
        let later = Instant::now() + IDLE;
        {
            let mut state = cache.state.lock();
            state.entries.get_mut("c").unwrap().used = later;
            state.entries.get_mut("d").unwrap().used = later;
            state.forget_idle(later);
            assert_eq!((state.weight, state.order.len()), (2, 2));
        }
        assert_eq!(held(&cache), [false, false, true, true]);
    }
}
