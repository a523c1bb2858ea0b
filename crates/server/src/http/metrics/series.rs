//! Series by their labels: found without a lock that others wait for, and never more than a bound.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::RwLock;

/// Series of one name; those beyond are one.
const MOST: usize = 1_000;

/// The labels of a series.
pub(super) trait Key: Clone + Eq + Hash + Ord {
    /// Those of all series that there is no room for.
    fn other() -> Self;
}

impl Key for String {
    fn other() -> Self {
        "other".to_owned()
    }
}

/// Series by their labels.
#[derive(Debug)]
pub(super) struct Series<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K, V> Default for Series<K, V> {
    fn default() -> Self {
        Series(RwLock::default())
    }
}

impl<K: Key, V: Default> Series<K, V> {
    /// The series with these labels.
    pub(super) fn of<Q>(&self, labels: &Q) -> Arc<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(found) = self.0.read().get(labels) {
            return Arc::clone(found);
        }
        let mut all = self.0.write();
        let labels = match all.len() < MOST || all.contains_key(labels) {
            true => labels.to_owned(),
            false => K::other(),
        };
        Arc::clone(all.entry(labels).or_default())
    }

    /// All of them, in the order of their labels.
    pub(super) fn all(&self) -> Vec<(K, Arc<V>)> {
        let all = self.0.read();
        let mut all: Vec<_> =
            all.iter().map(|(labels, value)| (labels.clone(), Arc::clone(value))).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn series_beyond_the_bound_are_one() {
        let series: Series<String, AtomicU64> = Series::default();
        for round in 1..=2 {
            for number in 0..MOST + 7 {
                series.of(&format!("{number:06}")).fetch_add(1, Ordering::Relaxed);
            }
            let all = series.all();
            assert_eq!(all.len(), MOST + 1);
            let count = |index: usize| all[index].1.load(Ordering::Relaxed);
            assert_eq!((count(0), count(MOST)), (round, round * 7));
            assert_eq!(all[MOST].0, "other");
        }
    }
}
