//! Prepared plans by the raw text of their document: oldest out first, bounded by the number of
//! plans and by all their fields together, so that a few huge documents cannot fill the memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Plan;

/// The hash of a document's text and the operation's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DocumentHash([u8; 32]);

impl DocumentHash {
    pub(crate) fn of(text: &str, operation_name: Option<&str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        // The length keeps a name from being read as the end of a text.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        if let Some(name) = operation_name {
            hasher.update(b"\0");
            hasher.update(name.as_bytes());
        }
        DocumentHash(*hasher.finalize().as_bytes())
    }
}

/// The plans of the documents that were asked last.
pub(crate) struct PlanCache {
    capacity: usize,
    field_capacity: usize,
    plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
    by_hash: HashMap<DocumentHash, Arc<Plan>>,
    by_age: VecDeque<DocumentHash>,
    fields: usize,
}

impl PlanCache {
    pub(crate) fn new(capacity: usize, field_capacity: usize) -> Self {
        PlanCache { capacity, field_capacity, plans: Mutex::default() }
    }

    pub(crate) fn get(&self, hash: &DocumentHash) -> Option<Arc<Plan>> {
        self.plans.lock().by_hash.get(hash).cloned()
    }

    pub(crate) fn insert(&self, hash: DocumentHash, plan: Arc<Plan>) {
        let mut plans = self.plans.lock();
        let fields = plan.fields;
        // Two requests may have planned one document at the same time.
        if plans.by_hash.insert(hash, plan).is_none() {
            plans.by_age.push_back(hash);
            plans.fields += fields;
        }
        while plans.by_age.len() > self.capacity || plans.fields > self.field_capacity {
            let Some(oldest) = plans.by_age.pop_front() else { return };
            plans.fields -= plans.by_hash.remove(&oldest).map_or(0, |plan| plan.fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Selection;
    use apollo_compiler::name;

    fn plan(fields: usize) -> Arc<Plan> {
        let root = Selection { type_name: name!("Query"), fields: Vec::new(), columns: Vec::new() };
        let (variables, earlier) = (Vec::new(), Vec::new());
        Arc::new(Plan {
            deferred: Vec::new(),
            is_mutation: false,
            is_subscription: false,
            variables,
            root,
            fields,
            earlier,
            route: None,
            direct: None,
            usage: Arc::default(),
        })
    }

    /// Which of the documents `0..`, with so many fields each, are kept.
    fn check(fields: &[usize], expected: &[usize]) {
        let cache = PlanCache::new(3, 10);
        let hash = |index: usize| DocumentHash::of(&index.to_string(), None);
        for (index, fields) in fields.iter().enumerate() {
            cache.insert(hash(index), plan(*fields));
        }
        let kept = (0..fields.len()).filter(|index| cache.get(&hash(*index)).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), expected, "{fields:?}");
    }

    #[test]
    fn the_oldest_plans_leave_when_there_are_too_many_or_too_large() {
        check(&[1, 1, 1, 1], &[1, 2, 3]);
        check(&[4, 4, 4], &[1, 2]);
        check(&[1, 11, 1], &[2]);
    }

    #[test]
    fn an_operation_name_is_no_part_of_the_text() {
        assert_ne!(DocumentHash::of("ab", Some("c")), DocumentHash::of("a", Some("bc")));
        assert_ne!(DocumentHash::of("a", None), DocumentHash::of("a", Some("")));
    }
}
