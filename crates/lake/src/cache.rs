//! A bounded map from a location to what was read there. Objects never change under their name, so
//! nothing is ever stale; when it is full, what was used longest ago goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;
use parking_lot::Mutex;

/// What is kept at each location, with the tick of its last use.
type Items<T> = IndexMap<Box<str>, (u64, Arc<T>)>;

/// What was read at each location.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    limit: usize,
    tick: AtomicU64,
    items: Mutex<Items<T>>,
}

impl<T> Cache<T> {
    /// Keeps at most `limit` items.
    pub(crate) fn new(limit: usize) -> Self {
        Cache { limit, tick: AtomicU64::new(0), items: Mutex::default() }
    }

    /// What was read at this location.
    pub(crate) fn get(&self, location: &str) -> Option<Arc<T>> {
        let mut items = self.items.lock();
        let (used, item) = items.get_mut(location)?;
        *used = self.tick.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(item))
    }

    /// Keeps an item and gives it back.
    pub(crate) fn insert(&self, location: &str, item: Arc<T>) -> Arc<T> {
        let mut items = self.items.lock();
        if items.len() >= self.limit {
            // Half goes at once, so that the sorting is paid for seldom.
            let mut used: Vec<u64> = items.values().map(|(used, _)| *used).collect();
            used.sort_unstable();
            let middle = used[used.len() / 2];
            items.retain(|_, (used, _)| *used > middle);
        }
        let tick = self.tick.fetch_add(1, Ordering::Relaxed);
        items.insert(location.into(), (tick, Arc::clone(&item)));
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_forgets_what_was_used_longest_ago() {
        let cache = Cache::new(4);
        for number in 0..4 {
            cache.insert(&number.to_string(), Arc::new(number));
        }
        assert_eq!(cache.get("0").as_deref(), Some(&0));
        cache.insert("4", Arc::new(4));
        assert_eq!(cache.get("0").as_deref(), Some(&0));
        assert_eq!(cache.get("1"), None);
        assert_eq!(cache.get("4").as_deref(), Some(&4));
    }
}
