//! One object store to everybody above, which may lie in two places while it moves.
//!
//! In: calls of `object_store::ObjectStore`. Out: writes to the one place that takes them; reads from
//! the preferred place, and from the other when it is not there. Objects never change under their
//! name, so which copy is read does not matter. A delete goes to both. Not here: when the places
//! change (`place`).

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};
use parking_lot::RwLock;

/// One of the places.
#[derive(Debug)]
pub(crate) struct Side {
    /// As people name it.
    pub(crate) name: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    writing: AtomicUsize,
}

impl Side {
    pub(crate) fn new(name: &str, store: Arc<dyn ObjectStore>) -> Arc<Side> {
        Arc::new(Side { name: name.to_owned(), store, writing: AtomicUsize::new(0) })
    }

    /// Writes of this process that go there now.
    pub(crate) fn writing(&self) -> usize {
        self.writing.load(Ordering::SeqCst)
    }
}

/// The places of one moment: the first one takes writes and is read first.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    pub(crate) first: Arc<Side>,
    pub(crate) second: Option<Arc<Side>>,
}

/// Objects that may be moving; clones share the places.
#[derive(Clone, Debug)]
pub(crate) struct MovingStore {
    sides: Arc<RwLock<Sides>>,
}

/// A write under way; its place knows of it until it is dropped.
#[derive(Debug)]
struct Writing(Arc<Side>);

impl Writing {
    fn on(side: &Arc<Side>) -> Writing {
        side.writing.fetch_add(1, Ordering::SeqCst);
        Writing(Arc::clone(side))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MovingStore {
    pub(crate) fn new(first: Arc<Side>) -> MovingStore {
        MovingStore { sides: Arc::new(RwLock::new(Sides { first, second: None })) }
    }

    /// The places now.
    pub(crate) fn sides(&self) -> Sides {
        self.sides.read().clone()
    }

    /// Other places from now on; what is being written goes on where it began.
    pub(crate) fn set(&self, sides: Sides) {
        *self.sides.write() = sides;
    }

    /// The place that takes writes, with a note that one is under way: both at once, so that no
    /// write begins unnoticed while the places change.
    fn write(&self) -> (Arc<Side>, Writing) {
        let sides = self.sides.read();
        (Arc::clone(&sides.first), Writing::on(&sides.first))
    }

    /// Asks the first place, and the second when the first has no such object.
    async fn find<T, F>(&self, ask: impl Fn(Arc<dyn ObjectStore>) -> F) -> object_store::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let sides = self.sides();
        let found = ask(Arc::clone(&sides.first.store)).await;
        match (found, sides.second) {
            (Err(object_store::Error::NotFound { .. }), Some(second)) => {
                ask(Arc::clone(&second.store)).await
            }
            (found, _) => found,
        }
    }

    async fn delete_everywhere(&self, location: &Path) -> object_store::Result<()> {
        let sides = self.sides();
        let first = sides.first.store.delete(location).await;
        let Some(second) = sides.second else { return first };
        let second = second.store.delete(location).await;
        match (first, second) {
            (Err(object_store::Error::NotFound { .. }), second) => second,
            (first, Err(object_store::Error::NotFound { .. })) => first,
            (first, second) => first.and(second),
        }
    }
}

impl fmt::Display for MovingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides = self.sides();
        write!(f, "{}", sides.first.store)?;
        match sides.second {
            Some(second) => write!(f, " and {}", second.store),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl ObjectStore for MovingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let (side, _writing) = self.write();
        side.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let (side, writing) = self.write();
        let inner = side.store.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload { inner, _writing: writing }))
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let found = self.find(|store| {
            let options = options.clone();
            async move { store.get_opts(location, options).await }
        });
        let mut found = found.await?;
        // A store below a prefix tells the whole name, under which nobody finds the object here.
        found.meta.location = location.clone();
        Ok(found)
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.find(|store| async move { store.get_ranges(location, ranges).await }).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let sides = self.sides();
        if sides.second.is_none() {
            return sides.first.store.delete_stream(locations);
        }
        let store = self.clone();
        locations
            .and_then(move |location| {
                let store = store.clone();
                async move { store.delete_everywhere(&location).await.map(|()| location) }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let sides = self.sides();
        let first = sides.first.store.list(prefix);
        let Some(second) = sides.second else { return first };
        // What is copied meanwhile may be seen in both, so that names are remembered.
        let seen = Arc::new(parking_lot::Mutex::new(BTreeSet::new()));
        let second = second.store.list(prefix);
        first
            .chain(second)
            .try_filter(move |meta| std::future::ready(seen.lock().insert(meta.location.clone())))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        let sides = self.sides();
        let mut listed = sides.first.store.list_with_delimiter(prefix).await?;
        if let Some(second) = sides.second {
            let more = second.store.list_with_delimiter(prefix).await?;
            let known: BTreeSet<Path> =
                listed.objects.iter().map(|meta| meta.location.clone()).collect();
            listed
                .objects
                .extend(more.objects.into_iter().filter(|meta| !known.contains(&meta.location)));
            listed.common_prefixes.extend(more.common_prefixes);
            listed.common_prefixes.sort();
            listed.common_prefixes.dedup();
        }
        Ok(listed)
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        let (side, _writing) = self.write();
        match side.store.copy_opts(from, to, options).await {
            Err(object_store::Error::NotFound { .. }) => {
                let bytes = self.get(from).await?.bytes().await?;
                side.store.put(to, bytes.into()).await.map(|_| ())
            }
            done => done,
        }
    }
}

/// An upload that its place knows of until it has ended.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    _writing: Writing,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn names(store: &dyn ObjectStore) -> Vec<String> {
        let mut names: Vec<String> = store
            .list(None)
            .map_ok(|meta| meta.location.to_string())
            .try_collect()
            .await
            .expect("a list");
        names.sort();
        names
    }

    #[tokio::test]
    async fn reads_find_what_lies_in_either_place_and_writes_go_to_the_first() {
        let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
        let store = MovingStore::new(Side::new("old", Arc::clone(&old) as _));
        store.put(&Path::from("a"), "1".into()).await.expect("a write");
        let first = Side::new("new", Arc::clone(&new) as _);
        let second = store.sides().first;
        store.set(Sides { first, second: Some(second) });
        store.put(&Path::from("b"), "2".into()).await.expect("a write");
        new.put(&Path::from("a"), "1".into()).await.expect("a copy");
        assert_eq!(names(&store).await, ["a", "b"]);
        assert_eq!((names(&*old).await, names(&*new).await.len()), (vec!["a".to_owned()], 2));
        new.delete(&Path::from("a")).await.expect("a delete");
        let found = store.get(&Path::from("a")).await.expect("the other copy");
        assert_eq!(found.bytes().await.expect("bytes"), "1");
        store.delete(&Path::from("a")).await.expect("a delete");
        assert!(store.get(&Path::from("a")).await.is_err());
    }

    #[tokio::test]
    async fn what_is_found_below_a_prefix_has_the_name_that_was_asked_for() {
        let below = object_store::prefix::PrefixStore::new(InMemory::new(), "project");
        let store = MovingStore::new(Side::new("below", Arc::new(below)));
        let path = Path::from("a/b");
        store.put(&path, "1".into()).await.expect("a write");
        assert_eq!(store.head(&path).await.expect("a head").location, path);
        assert_eq!(store.get(&path).await.expect("a read").meta.location, path);
    }

    #[tokio::test]
    async fn an_upload_is_known_where_it_began_until_it_ends() {
        let (old, new) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
        let store = MovingStore::new(Side::new("old", Arc::clone(&old) as _));
        let mut upload = store.put_multipart(&Path::from("a")).await.expect("an upload");
        let before = store.sides().first;
        let first = Side::new("new", new as _);
        store.set(Sides { first, second: Some(Arc::clone(&before)) });
        assert_eq!(before.writing(), 1);
        upload.put_part("1".into()).await.expect("a part");
        upload.complete().await.expect("an object");
        drop(upload);
        assert_eq!(before.writing(), 0);
        assert_eq!(names(&*old).await, ["a"]);
    }
}
