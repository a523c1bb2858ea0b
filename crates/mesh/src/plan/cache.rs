//! Prepared plans by the raw text of their document: a bounded map, oldest out first.

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
    plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
    by_hash: HashMap<DocumentHash, Arc<Plan>>,
    by_age: VecDeque<DocumentHash>,
}

impl PlanCache {
    pub(crate) fn new(capacity: usize) -> Self {
        PlanCache { capacity, plans: Mutex::default() }
    }

    pub(crate) fn get(&self, hash: &DocumentHash) -> Option<Arc<Plan>> {
        self.plans.lock().by_hash.get(hash).cloned()
    }

    pub(crate) fn insert(&self, hash: DocumentHash, plan: Arc<Plan>) {
        if self.capacity == 0 {
            return;
        }
        let mut plans = self.plans.lock();
        if plans.by_hash.insert(hash, plan).is_none() {
            plans.by_age.push_back(hash);
        }
        if plans.by_age.len() > self.capacity
            && let Some(oldest) = plans.by_age.pop_front()
        {
            plans.by_hash.remove(&oldest);
        }
    }
}
