//! Documents that a client sent once and then names by their hash: Apollo's automatic persisted queries.
//!
//! In: documents that were found good. Out: the same by their hash, as long as there is room. What was
//! not asked for in a while leaves first, and a client whose document left sends it again. Not here: what
//! is registered for good (`documents`).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Hash;

/// What an entry takes beside its text.
pub(super) const ENTRY_BYTES: usize = 128;

/// The kept documents, in two halves of equal size. What is asked for comes into the younger one; when
/// that is full, the older one is dropped and the younger takes its place.
#[derive(Debug)]
pub(crate) struct Persisted {
    half: usize,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Hash, Arc<str>>,
    old: HashMap<Hash, Arc<str>>,
    young_bytes: usize,
    old_bytes: usize,
}

impl Persisted {
    /// Room for so many bytes; with 0 nothing is kept.
    pub(crate) fn new(bytes: u64) -> Self {
        let half = usize::try_from(bytes / 2).unwrap_or(usize::MAX);
        Persisted { half, halves: Mutex::default() }
    }

    /// Whether anything is kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.half > 0
    }

    /// The document of a hash.
    pub(crate) fn get(&self, hash: &Hash) -> Option<Arc<str>> {
        let mut halves = self.halves.lock();
        if let Some(text) = halves.young.get(hash) {
            return Some(Arc::clone(text));
        }
        let text = halves.old.remove(hash)?;
        halves.old_bytes -= size(&text);
        self.put(&mut halves, *hash, Arc::clone(&text));
        Some(text)
    }

    /// Keeps a document.
    pub(crate) fn insert(&self, hash: Hash, text: Arc<str>) {
        let mut halves = self.halves.lock();
        if size(&text) <= self.half && !halves.young.contains_key(&hash) {
            self.put(&mut halves, hash, text);
        }
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        let halves = self.halves.lock();
        halves.young_bytes + halves.old_bytes
    }

    fn put(&self, halves: &mut Halves, hash: Hash, text: Arc<str>) {
        if halves.young_bytes + size(&text) > self.half {
            halves.old = std::mem::take(&mut halves.young);
            halves.old_bytes = std::mem::take(&mut halves.young_bytes);
        }
        if let Some(again) = halves.old.remove(&hash) {
            halves.old_bytes -= size(&again);
        }
        halves.young_bytes += size(&text);
        halves.young.insert(hash, text);
    }
}

fn size(text: &str) -> usize {
    text.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> Hash {
        Hash([number; 32])
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_leaves_within_the_bytes() {
        let one = size("0123456789");
        let persisted = Persisted::new(4 * one as u64);
        for number in 0..20 {
            persisted.insert(hash(number), "0123456789".into());
            assert!(persisted.get(&hash(0)).is_some(), "asked for after {number}");
            assert!(persisted.bytes() <= 4 * one, "{number}");
        }
        let kept = (0..20).filter(|number| persisted.get(&hash(*number)).is_some()).count();
        assert!((2..=4).contains(&kept), "{kept}");
        assert!(persisted.get(&hash(1)).is_none());
    }

    #[test]
    fn a_document_larger_than_the_room_is_not_kept() {
        let persisted = Persisted::new(1000);
        persisted.insert(hash(1), "x".repeat(1000).into());
        assert_eq!((persisted.get(&hash(1)), persisted.bytes()), (None, 0));
        assert!(persisted.is_on() && !Persisted::new(0).is_on());
    }

    #[test]
    fn the_same_document_again_takes_no_room() {
        let persisted = Persisted::new(10_000);
        for _ in 0..5 {
            persisted.insert(hash(1), "text".into());
        }
        assert_eq!(persisted.bytes(), size("text"));
    }
}
