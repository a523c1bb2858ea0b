//! A store that acknowledges writes before they are anywhere but in its memory: the sabotage that
//! proves that crash tests see a lost write. In: any object store. Out: the same, whose newest few
//! objects are held back; whoever asks this store finds them, a crash does not. Not here: crashes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Mutex;

/// See the module; clones share what is held back.
#[derive(Clone)]
pub struct HastyStore {
    inner: Arc<dyn ObjectStore>,
    memory: Arc<InMemory>,
    held: Arc<Mutex<VecDeque<Path>>>,
    most: usize,
}

impl HastyStore {
    /// Holds back the newest `most` objects.
    pub fn new(inner: Arc<dyn ObjectStore>, most: usize) -> Self {
        HastyStore { inner, memory: Arc::new(InMemory::new()), held: Arc::default(), most }
    }

    /// Writes the oldest ones until only `most` are left.
    async fn flush(&self, held: &mut VecDeque<Path>, most: usize) -> Result<()> {
        while held.len() > most {
            let Some(oldest) = held.front().cloned() else { return Ok(()) };
            match self.memory.get(&oldest).await {
                Ok(found) => {
                    self.inner.put(&oldest, found.bytes().await?.into()).await?;
                    self.memory.delete(&oldest).await?;
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            held.pop_front();
        }
        Ok(())
    }

    async fn flush_all(&self) -> Result<()> {
        let mut held = self.held.lock().await;
        self.flush(&mut held, 0).await
    }
}

impl fmt::Debug for HastyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HastyStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Display for HastyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HastyStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for HastyStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let mut held = self.held.lock().await;
        let result = self.memory.put_opts(to, payload, opts).await?;
        held.push_back(to.clone());
        self.flush(&mut held, self.most).await?;
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, opts).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        // Under the lock, an object is in one of the two places and not on its way between them.
        let _held = self.held.lock().await;
        match self.memory.get_opts(from, options.clone()).await {
            Err(object_store::Error::NotFound { .. }) => self.inner.get_opts(from, options).await,
            found => found,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let _held = store.held.lock().await;
                    if store.memory.head(&location).await.is_ok() {
                        store.memory.delete(&location).await?;
                        return Ok(location);
                    }
                    store.inner.delete(&location).await.map(|()| location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        futures::stream::once(async move {
            store.flush_all().await?;
            Ok::<_, object_store::Error>(store.inner.list(prefix.as_ref()))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.flush_all().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.flush_all().await?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_objects_are_found_here_and_nowhere_else() {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let store = HastyStore::new(Arc::clone(&inner), 1);
        let (old, new) = (Path::from("old"), Path::from("new"));
        store.put(&old, "1".into()).await.expect("stored");
        store.put(&new, "2".into()).await.expect("stored");
        assert!(store.head(&old).await.is_ok() && store.head(&new).await.is_ok());
        assert!(inner.head(&old).await.is_ok() && inner.head(&new).await.is_err());
        assert_eq!(store.list(None).try_collect::<Vec<_>>().await.expect("listed").len(), 2);
    }
}
