//! A store that counts and fails on purpose. In: any object store and a plan of faults. Out: the
//! same store, with its calls and bytes counted and the planned calls failing. Not here: losing
//! what was not synced (`unsynced_store`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use base::rng::Rng;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use parking_lot::Mutex;

/// The kinds of calls that are counted and can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reading an object, or ranges of it (one call each).
    Get,
    /// Writing an object, starting, filling or completing an upload.
    Put,
    /// Listing.
    List,
    /// Deleting one object.
    Delete,
    /// Copying or renaming.
    Copy,
}

/// How a planned call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A failure of the device.
    Broken,
    /// No space is left on the device.
    Full,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that read.
    pub gets: u64,
    /// Calls that write.
    pub puts: u64,
    /// Calls that list.
    pub lists: u64,
    /// Objects deleted.
    pub deletes: u64,
    /// Calls that copy or rename.
    pub copies: u64,
    /// Bytes handed out by reads, as far as they were asked for.
    pub bytes_read: u64,
    /// Bytes accepted by writes.
    pub bytes_written: u64,
}

/// When calls fail.
#[derive(Clone, Debug)]
enum Plan {
    Never,
    Nth { call: Option<Call>, left: u64, fault: Fault },
    From { call: Option<Call>, left: u64, fault: Fault },
    Odds { rng: Rng, one_in: u64, fault: Fault },
}

/// See the module; clones share counts and plan.
#[derive(Clone)]
pub struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    tally: Arc<Tally>,
}

struct Tally {
    calls: [AtomicU64; 5],
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    plan: Mutex<Plan>,
}

impl CountingStore {
    /// Counts the calls to `inner`; nothing fails yet.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let tally = Tally {
            calls: Default::default(),
            bytes_read: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            plan: Mutex::new(Plan::Never),
        };
        CountingStore { inner, tally: Arc::new(tally) }
    }

    /// The `nth` call from now (1 is the next) of this kind, or of any, fails; later ones work.
    pub fn fail_nth(&self, call: impl Into<Option<Call>>, nth: u64, fault: Fault) {
        *self.tally.plan.lock() = Plan::Nth { call: call.into(), left: nth, fault };
    }

    /// The `nth` call from now and all later ones fail, as on a full or dead disk.
    pub fn fail_from(&self, call: impl Into<Option<Call>>, nth: u64, fault: Fault) {
        *self.tally.plan.lock() = Plan::From { call: call.into(), left: nth, fault };
    }

    /// One call in `one_in` fails, drawn from `rng`.
    pub fn fail_at_random(&self, rng: Rng, one_in: u64, fault: Fault) {
        *self.tally.plan.lock() = Plan::Odds { rng, one_in, fault };
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        *self.tally.plan.lock() = Plan::Never;
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        let of = |call: Call| self.tally.calls[call as usize].load(Ordering::SeqCst);
        Counts {
            gets: of(Call::Get),
            puts: of(Call::Put),
            lists: of(Call::List),
            deletes: of(Call::Delete),
            copies: of(Call::Copy),
            bytes_read: self.tally.bytes_read.load(Ordering::SeqCst),
            bytes_written: self.tally.bytes_written.load(Ordering::SeqCst),
        }
    }
}

impl Tally {
    fn enter(&self, call: Call) -> Result<()> {
        self.calls[call as usize].fetch_add(1, Ordering::SeqCst);
        match self.plan.lock().next(call) {
            None => Ok(()),
            Some(fault) => Err(fault.into()),
        }
    }

    fn write(&self, call: Call, payload: &PutPayload) -> Result<()> {
        self.enter(call)?;
        self.bytes_written.fetch_add(payload.content_length() as u64, Ordering::SeqCst);
        Ok(())
    }
}

impl Plan {
    fn next(&mut self, made: Call) -> Option<Fault> {
        let concerns = |call: &Option<Call>| call.is_none_or(|call| call == made);
        match self {
            Plan::Nth { call, left, fault } if concerns(call) => {
                *left = left.checked_sub(1)?;
                (*left == 0).then_some(*fault)
            }
            Plan::From { call, left, fault } if concerns(call) => {
                *left = left.saturating_sub(1);
                (*left == 0).then_some(*fault)
            }
            Plan::Odds { rng, one_in, fault } => (rng.below(*one_in) == 0).then_some(*fault),
            _ => None,
        }
    }
}

impl From<Fault> for object_store::Error {
    fn from(fault: Fault) -> Self {
        let source = match fault {
            Fault::Broken => std::io::Error::other("a failure injected by the test"),
            Fault::Full => std::io::Error::from(std::io::ErrorKind::StorageFull),
        };
        object_store::Error::Generic { store: "CountingStore", source: Box::new(source) }
    }
}

impl fmt::Debug for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.tally.write(Call::Put, &payload)?;
        self.inner.put_opts(to, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.tally.enter(Call::Put)?;
        let inner = self.inner.put_multipart_opts(to, opts).await?;
        Ok(Box::new(CountingUpload { inner, tally: Arc::clone(&self.tally) }))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.tally.enter(Call::Get)?;
        let is_head = options.head;
        let result = self.inner.get_opts(from, options).await?;
        if !is_head {
            let bytes = result.range.end - result.range.start;
            self.tally.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        }
        Ok(result)
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.tally.enter(Call::Get)?;
        let parts = self.inner.get_ranges(from, ranges).await?;
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.tally.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let tally = Arc::clone(&self.tally);
        let counted = locations
            .and_then(move |location| {
                std::future::ready(tally.enter(Call::Delete).map(|()| location))
            })
            .boxed();
        self.inner.delete_stream(counted)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.tally.enter(Call::List) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.tally.enter(Call::List)?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.tally.enter(Call::Copy)?;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.tally.enter(Call::Copy)?;
        self.inner.rename_opts(from, to, options).await
    }
}

/// An upload whose parts are counted.
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    tally: Arc<Tally>,
}

impl fmt::Debug for CountingUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.tally.write(Call::Put, &data) {
            Ok(()) => self.inner.put_part(data),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.tally.enter(Call::Put)?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    fn store() -> CountingStore {
        CountingStore::new(Arc::new(InMemory::new()))
    }

    #[tokio::test]
    async fn calls_and_bytes_are_counted() {
        let store = store();
        let path = Path::from("a");
        store.put(&path, "hello".into()).await.unwrap();
        store.get_range(&path, 1..3).await.unwrap();
        store.head(&path).await.unwrap();
        store.delete(&path).await.unwrap();
        let expected = Counts {
            gets: 2,
            puts: 1,
            deletes: 1,
            bytes_read: 2,
            bytes_written: 5,
            ..Counts::default()
        };
        assert_eq!(store.counts(), expected);
    }

    #[tokio::test]
    async fn only_the_planned_call_fails() {
        let store = store();
        store.fail_nth(Call::Put, 2, Fault::Full);
        let mut outcomes = Vec::new();
        for name in ["a", "b", "c"] {
            outcomes.push(store.put(&Path::from(name), "x".into()).await.is_ok());
        }
        assert_eq!(outcomes, [true, false, true]);
    }

    #[tokio::test]
    async fn a_dead_store_stays_dead_until_it_heals() {
        let store = store();
        let path = Path::from("a");
        store.fail_from(None, 2, Fault::Broken);
        assert!(store.put(&path, "x".into()).await.is_ok());
        assert!(store.get(&path).await.is_err());
        assert!(store.delete(&path).await.is_err());
        store.heal();
        assert!(store.get(&path).await.is_ok());
    }
}
