//! Answers that are used again: within their time to live in place of a call, and for longer when the
//! source fails. In: calls as they would be sent, and their answers. Out: an earlier answer. The key is
//! the whole call with *all* its headers, so that two clients share an answer only when the source
//! could not tell them apart; only the trace context is left out, which by its specification (W3C Trace
//! Context) must not change an answer. Nothing that the source says about caching is looked at: `ttl`
//! decides. The bytes that are kept are bounded; what was not used for the longest time leaves first.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base::Timestamp;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use parking_lot::Mutex;

use super::call::{Answer, Freshness};
use super::headers::TRACE;

/// What one entry costs beside its bytes: maps, header tables.
const ENTRY: usize = 512;

/// The hash of a whole call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

/// An earlier answer.
#[derive(Debug)]
pub(crate) enum Found {
    /// Within its time to live.
    Fresh(Answer),
    /// Beyond it, and good when the source fails.
    Stale(Answer),
    Nothing,
}

/// The answers of one source.
#[derive(Debug)]
pub(crate) struct Cache {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<CacheKey, Entry>,
    /// The keys by their last use.
    by_use: BTreeMap<u64, CacheKey>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    bytes: usize,
    used: u64,
    at: Timestamp,
    fresh: Duration,
    stale: Duration,
}

impl CacheKey {
    /// The key of a call; every part stands behind its length, so that no two calls read the same.
    pub(crate) fn of(
        method: &Method,
        target: &PathAndQuery,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(method.as_str().as_bytes());
        part(target.as_str().as_bytes());
        part(body);
        let mut sent: Vec<(&str, &[u8])> = headers
            .iter()
            .filter(|(name, _)| !TRACE.contains(name))
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        // The values of one header keep their order, which may mean something.
        sent.sort_by_key(|(name, _)| *name);
        for (name, value) in sent {
            part(name.as_bytes());
            part(value);
        }
        CacheKey(*hasher.finalize().as_bytes())
    }
}

impl Cache {
    pub(crate) fn new(limit: usize) -> Self {
        Cache { limit, kept: Mutex::default() }
    }

    /// What is kept for a call.
    pub(crate) fn find(&self, key: &CacheKey, now: Timestamp) -> Found {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let Some(entry) = kept.entries.get_mut(key) else { return Found::Nothing };
        // A clock that was put back makes an answer no younger than it was.
        let age = now.as_micros().saturating_sub(entry.at.as_micros()).unsigned_abs();
        let age = Duration::from_micros(age);
        if age >= entry.fresh.saturating_add(entry.stale) {
            kept.remove(key);
            return Found::Nothing;
        }
        kept.uses += 1;
        kept.by_use.remove(&entry.used);
        entry.used = kept.uses;
        kept.by_use.insert(entry.used, *key);
        let answer = entry.answer.clone();
        if age < entry.fresh { Found::Fresh(answer) } else { Found::Stale(answer) }
    }

    /// Keeps an answer.
    pub(crate) fn keep(
        &self,
        key: CacheKey,
        answer: &Answer,
        freshness: &Freshness,
        now: Timestamp,
    ) {
        let headers = answer.headers.iter().chain(answer.trailers.iter().flatten());
        let head: usize = headers.map(|(name, value)| name.as_str().len() + value.len()).sum();
        let bytes = ENTRY + head + answer.body.len();
        if bytes > self.limit {
            return;
        }
        // The body may be a small part of a large buffer, which would be kept with it.
        let body = Bytes::copy_from_slice(&answer.body);
        let answer = Answer { body, ..answer.clone() };
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        kept.remove(&key);
        kept.uses += 1;
        let (used, at) = (kept.uses, now);
        let (fresh, stale) = (freshness.ttl, freshness.stale);
        kept.entries.insert(key, Entry { answer, bytes, used, at, fresh, stale });
        kept.by_use.insert(used, key);
        kept.bytes += bytes;
        while kept.bytes > self.limit {
            let Some((_, oldest)) = kept.by_use.pop_first() else { return };
            kept.remove(&oldest);
        }
    }

    /// Entries and bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let kept = self.kept.lock();
        (kept.entries.len(), kept.bytes)
    }
}

impl Kept {
    fn remove(&mut self, key: &CacheKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::transport::call::Origin;

    const SECOND: i64 = 1_000_000;
    const FRESHNESS: Freshness =
        Freshness { ttl: Duration::from_secs(10), stale: Duration::from_secs(20), keep: |_| true };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    fn answer(bytes: usize) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![b'x'; bytes]),
            trailers: None,
            origin: Origin::Source,
        }
    }

    fn key(target: &str, headers: &[(&str, &str)], body: &str) -> CacheKey {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<http::HeaderName>().unwrap(), http::HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = headers.iter().map(pair).collect();
        let body = Bytes::copy_from_slice(body.as_bytes());
        CacheKey::of(&Method::GET, &target.parse().unwrap(), &headers, &body)
    }

    #[test]
    fn answers_are_fresh_then_stale_then_gone() {
        let cache = Cache::new(10_000);
        let key = key("/", &[], "");
        cache.keep(key, &answer(10), &FRESHNESS, at(100));
        let states = [105, 109, 110, 129, 130, 105].map(|now| match cache.find(&key, at(now)) {
            Found::Fresh(_) => "fresh",
            Found::Stale(_) => "stale",
            Found::Nothing => "nothing",
        });
        assert_eq!(states, ["fresh", "fresh", "stale", "stale", "nothing", "nothing"]);
        assert_eq!(cache.size(), (0, 0));
    }

    #[test]
    fn what_was_not_used_leaves_first_and_the_bytes_hold() {
        let cache = Cache::new(3 * (ENTRY + 100));
        let keys = ["/a", "/b", "/c", "/d"].map(|target| key(target, &[], ""));
        for key in &keys[..3] {
            cache.keep(*key, &answer(100), &FRESHNESS, at(0));
        }
        assert!(matches!(cache.find(&keys[0], at(1)), Found::Fresh(_)));
        cache.keep(keys[3], &answer(100), &FRESHNESS, at(1));
        let kept = keys.map(|key| !matches!(cache.find(&key, at(2)), Found::Nothing));
        assert_eq!(kept, [true, false, true, true]);
        cache.keep(keys[1], &answer(3 * (ENTRY + 100)), &FRESHNESS, at(2));
        assert_eq!(cache.size(), (3, 3 * (ENTRY + 100)), "an answer beyond the limit is not kept");
        cache.keep(keys[0], &answer(200), &FRESHNESS, at(2));
        assert_eq!(cache.size(), (2, 2 * ENTRY + 300), "an answer is replaced by a later one");
    }

    #[test]
    fn keys_differ_by_all_that_the_source_hears() {
        let plain = key("/a", &[("x-user", "1")], "b");
        for other in [
            key("/b", &[("x-user", "1")], "b"),
            key("/a", &[("x-user", "2")], "b"),
            key("/a", &[("x-user", "1"), ("x-user", "1")], "b"),
            key("/a", &[("x-user", "1")], ""),
            key("/a", &[], "b"),
        ] {
            assert_ne!(plain, other);
        }
        assert_eq!(plain, key("/a", &[("traceparent", "00-7"), ("x-user", "1")], "b"));
        let both = [("x-b", "2"), ("x-a", "1")];
        assert_eq!(key("/", &both, ""), key("/", &[both[1], both[0]], ""));
    }
}
