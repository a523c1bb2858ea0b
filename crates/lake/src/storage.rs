//! Iceberg's way to bytes: its `Storage` over the lake's one object store.
//!
//! In: logical locations `s3://<warehouse>/<path>`. Out: reads and writes of the object `<path>`.
//! So metadata never says where the bytes are, and a project moves between a folder and an object
//! store without a change. Not here: the store itself (`store`), other schemes.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use base::task::{self, Task};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Bytes that are gathered before a part is sent.
const PART: usize = 8 << 20;
/// Objects that one commit has under way; whoever writes more waits.
const UNDER_WAY: usize = 32;

/// Turns logical locations of one warehouse into paths of the object store, and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    prefix: Arc<str>,
}

impl Locations {
    /// Locations of this warehouse.
    pub fn new(warehouse: &str) -> Self {
        Locations { prefix: format!("s3://{warehouse}/").into() }
    }

    /// The object behind a location.
    pub fn path(&self, location: &str) -> base::Result<Path> {
        let path = location.strip_prefix(self.prefix.as_ref()).ok_or_else(|| {
            base::Error::invalid(format!("`{location}` is not in the warehouse `{}`", self.prefix))
        })?;
        Path::parse(path).map_err(|error| {
            base::Error::invalid(format!("`{location}` is no location")).caused_by(error)
        })
    }

    /// The location of a path below the warehouse.
    pub fn location(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// Bytes that went through Iceberg's storage, for the test that none take another way.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes read.
    pub read: AtomicU64,
    /// Bytes written.
    pub written: AtomicU64,
}

/// What iceberg-rust reads and writes through. It serialises to its prefix alone, as the trait
/// demands; a copy that was deserialised has no store behind it and says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LakeStorage {
    warehouse: String,
    #[serde(skip)]
    behind: Option<Behind>,
}

#[derive(Clone, Debug)]
struct Behind {
    objects: Arc<dyn ObjectStore>,
    locations: Locations,
    traffic: Arc<Traffic>,
    /// Where whoever writes an object leaves it to be made durable.
    unsettled: Option<Unsettled>,
}

/// Objects of one commit that are on their way to the store. A commit writes half a dozen small files
/// that name each other and that nobody sees before its last word, so they are made durable beside
/// each other: the commit waits for the disk once, and not once for each.
#[derive(Clone, Default)]
pub(crate) struct Unsettled {
    puts: Arc<Mutex<Vec<Task<Result<()>>>>>,
}

impl Unsettled {
    /// Starts putting an object; when there are many already, it is waited for.
    async fn begin(&self, put: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
        if self.puts.lock().len() >= UNDER_WAY {
            return put.await;
        }
        self.puts.lock().push(task::spawn("put an object of a commit", put));
        Ok(())
    }

    /// Waits until every object is durable. The first failure is told when all have ended, so that
    /// nothing comes into being after it.
    pub(crate) async fn settle(&self) -> Result<()> {
        let puts = std::mem::take(&mut *self.puts.lock());
        let mut settled = Ok(());
        for put in puts {
            let put = put.await.map_err(from_ours).and_then(|put| put);
            settled = settled.and(put);
        }
        settled
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").finish_non_exhaustive()
    }
}

impl Behind {
    /// Puts a small object, or leaves it to whoever settles.
    async fn put(&self, path: Path, payload: PutPayload) -> Result<()> {
        let objects = Arc::clone(&self.objects);
        let put = async move { objects.put(&path, payload).await.map(|_| ()).map_err(from_store) };
        match &self.unsettled {
            Some(unsettled) => unsettled.begin(put).await,
            None => put.await,
        }
    }
}

impl LakeStorage {
    /// The storage of a warehouse whose objects are in `objects`.
    pub fn new(warehouse: &str, objects: Arc<dyn ObjectStore>, traffic: Arc<Traffic>) -> Self {
        let locations = Locations::new(warehouse);
        LakeStorage {
            warehouse: warehouse.to_owned(),
            behind: Some(Behind { objects, locations, traffic, unsettled: None }),
        }
    }

    /// The same storage, whose small objects are durable only when they are settled.
    pub(crate) fn unsettled(&self, unsettled: &Unsettled) -> Self {
        let mut storage = self.clone();
        if let Some(behind) = &mut storage.behind {
            behind.unsettled = Some(unsettled.clone());
        }
        storage
    }

    /// Iceberg's handle over this storage.
    pub fn file_io(&self) -> FileIO {
        FileIOBuilder::new(Arc::new(self.clone())).build()
    }

    fn behind(&self, location: &str) -> Result<(&Behind, Path)> {
        let behind = self.behind.as_ref().ok_or_else(|| {
            let text =
                format!("the storage of `{}` was deserialised and has no store", self.warehouse);
            Error::new(ErrorKind::Unexpected, text)
        })?;
        Ok((behind, behind.locations.path(location).map_err(from_ours)?))
    }
}

#[typetag::serde(name = "headwater")]
impl StorageFactory for LakeStorage {
    fn build(&self, _config: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "headwater")]
impl Storage for LakeStorage {
    async fn exists(&self, location: &str) -> Result<bool> {
        let (behind, path) = self.behind(location)?;
        match behind.objects.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(from_store(error)),
        }
    }

    async fn metadata(&self, location: &str) -> Result<FileMetadata> {
        let (behind, path) = self.behind(location)?;
        let meta = behind.objects.head(&path).await.map_err(from_store)?;
        Ok(FileMetadata { size: meta.size })
    }

    async fn read(&self, location: &str) -> Result<Bytes> {
        let (behind, path) = self.behind(location)?;
        let found = behind.objects.get(&path).await.map_err(from_store)?;
        let bytes = found.bytes().await.map_err(from_store)?;
        behind.traffic.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    async fn reader(&self, location: &str) -> Result<Box<dyn FileRead>> {
        let (behind, path) = self.behind(location)?;
        Ok(Box::new(ObjectReader { behind: behind.clone(), path }))
    }

    async fn write(&self, location: &str, bytes: Bytes) -> Result<()> {
        let (behind, path) = self.behind(location)?;
        behind.traffic.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        behind.put(path, bytes.into()).await
    }

    async fn writer(&self, location: &str) -> Result<Box<dyn FileWrite>> {
        let (behind, path) = self.behind(location)?;
        Ok(Box::new(ObjectWriter {
            behind: behind.clone(),
            path,
            gathered: BytesMut::new(),
            upload: None,
        }))
    }

    async fn delete(&self, location: &str) -> Result<()> {
        let (behind, path) = self.behind(location)?;
        match behind.objects.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(from_store(error)),
        }
    }

    async fn delete_prefix(&self, location: &str) -> Result<()> {
        let (behind, path) = self.behind(location)?;
        let mut listed = behind.objects.list(Some(&path));
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(from_store)?;
            behind.objects.delete(&meta.location).await.map_err(from_store)?;
        }
        Ok(())
    }

    async fn delete_stream(&self, mut locations: BoxStream<'static, String>) -> Result<()> {
        while let Some(location) = locations.next().await {
            self.delete(&location).await?;
        }
        Ok(())
    }

    fn new_input(&self, location: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), location.to_owned()))
    }

    fn new_output(&self, location: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), location.to_owned()))
    }
}

struct ObjectReader {
    behind: Behind,
    path: Path,
}

#[async_trait]
impl FileRead for ObjectReader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = self.behind.objects.get_range(&self.path, range).await.map_err(from_store)?;
        self.behind.traffic.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Gathers small writes; an object below one part is put at once.
struct ObjectWriter {
    behind: Behind,
    path: Path,
    gathered: BytesMut,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl ObjectWriter {
    async fn send_part(&mut self) -> Result<()> {
        let part = PutPayload::from(self.gathered.split().freeze());
        let upload = match &mut self.upload {
            Some(upload) => upload,
            empty => {
                let started = self.behind.objects.put_multipart(&self.path).await;
                empty.insert(started.map_err(from_store)?)
            }
        };
        upload.put_part(part).await.map_err(from_store)
    }
}

#[async_trait]
impl FileWrite for ObjectWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.behind.traffic.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= PART { self.send_part().await } else { Ok(()) }
    }

    async fn close(&mut self) -> Result<()> {
        if self.upload.is_none() {
            let payload = PutPayload::from(self.gathered.split().freeze());
            return self.behind.put(self.path.clone(), payload).await;
        }
        if !self.gathered.is_empty() {
            self.send_part().await?;
        }
        if let Some(mut upload) = self.upload.take() {
            upload.complete().await.map_err(from_store)?;
        }
        Ok(())
    }
}

fn from_ours(error: base::Error) -> Error {
    Error::new(ErrorKind::DataInvalid, error.to_string()).with_source(error)
}

fn from_store(error: object_store::Error) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string()).with_source(error)
}
