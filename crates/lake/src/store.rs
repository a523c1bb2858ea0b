//! The object store of one machine: objects are files of a folder, and nothing is acknowledged
//! before it is durable.
//!
//! In: calls of `object_store::ObjectStore`. Out: files below the folder, at the object's path. A
//! write goes to a file of its own under `.tmp`, is synced, moved into place, and the folder that
//! now names it is synced, with every folder that was made for it, before the call returns. Of files
//! that are deleted together each folder is synced once, after all of them. Several processes may
//! share the folder. Not here: what the objects mean, conditional updates by tag (the lake's pointers
//! live in `meta`).

mod disk;
mod list;
pub(crate) mod moving;
mod read;
mod s3;
mod upload;

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use base::Result;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode,
};

use disk::Disk;
pub use s3::{S3Keys, S3Options, S3Place, open_s3};

/// Files that are deleted before their folders are synced; as many as S3 deletes with one request.
const DELETED_TOGETHER: usize = 1000;

/// Called after each sync with the file or folder that is now durable; an error counts as the
/// sync's own. Tests model crashes and full disks with it.
pub type SyncHook = Arc<dyn Fn(&FilePath) -> std::io::Result<()> + Send + Sync>;

/// Whether writes wait for the disk.
#[derive(Clone, Default)]
pub enum Durability {
    /// They do: files, then the folders that name them.
    #[default]
    Full,
    /// As [`Durability::Full`], and the hook hears of each sync.
    Watched(SyncHook),
    /// They do not: the sabotage that proves that the crash tests see a missing sync.
    Skip,
}

impl fmt::Debug for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Full => "Full",
            Durability::Watched(_) => "Watched",
            Durability::Skip => "Skip",
        })
    }
}

/// Objects in a folder of this machine; clones share it.
#[derive(Clone, Debug)]
pub struct LocalStore {
    disk: Arc<Disk>,
}

impl LocalStore {
    /// Opens the folder, making it when it is missing, and removes the temporary files that dead
    /// processes left.
    pub fn open(folder: &FilePath) -> Result<LocalStore> {
        LocalStore::open_with(folder, Durability::Full)
    }

    /// As [`LocalStore::open`], with a say in how writes wait for the disk.
    pub fn open_with(folder: &FilePath, sync: Durability) -> Result<LocalStore> {
        let disk = Disk::open(folder, sync).map_err(|error| {
            base::Error::from(error)
                .context(format!("failed to open the object folder `{}`", folder.display()))
        })?;
        Ok(LocalStore { disk: Arc::new(disk) })
    }

    /// The folder.
    pub fn folder(&self) -> &FilePath {
        self.disk.folder()
    }

    /// Runs blocking file work off the runtime's threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> object_store::Result<T> + Send + 'static,
    ) -> object_store::Result<T> {
        let disk = Arc::clone(&self.disk);
        match base::task::blocking("local store", move || work(&disk)).await {
            Ok(result) => result,
            Err(error) => Err(generic(error)),
        }
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalStore({})", self.folder().display())
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return Err(not_offered("a conditional update")),
        };
        let location = location.clone();
        self.run(move |disk| {
            let mut file = disk.temporary()?;
            for chunk in payload.iter() {
                file.write(chunk)?;
            }
            disk.publish(file, &location, create)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let location = location.clone();
        let disk = Arc::clone(&self.disk);
        self.run(move |_| upload::start(disk, location)).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let location = location.clone();
        self.run(move |disk| read::get(disk, location, &options)).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> object_store::Result<Vec<bytes::Bytes>> {
        let (location, ranges) = (location.clone(), ranges.to_vec());
        self.run(move |disk| read::ranges(disk, &location, &ranges)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let store = self.clone();
        let delete = move |page: Vec<object_store::Result<Path>>| {
            let store = store.clone();
            async move {
                let deleted = store.run(move |disk| Ok(disk.delete_all(page))).await;
                stream::iter(deleted.unwrap_or_else(|error| vec![Err(error)]))
            }
        };
        locations.chunks(DELETED_TOGETHER).then(delete).flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        list::all(Arc::clone(&self.disk), prefix.cloned())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        self.run(move |disk| list::level(disk, &prefix)).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        let (from, to) = (from.clone(), to.clone());
        let create = matches!(options.mode, CopyMode::Create);
        self.run(move |disk| disk.copy(&from, &to, create)).await
    }

    async fn rename_opts(
        &self,
        from: &Path,
        to: &Path,
        options: RenameOptions,
    ) -> object_store::Result<()> {
        let (from, to) = (from.clone(), to.clone());
        let create = matches!(options.target_mode, RenameTargetMode::Create);
        self.run(move |disk| disk.rename(&from, &to, create)).await
    }
}

/// An error of the store that has no variant of its own.
fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store: "local", source: error.into() }
}

fn not_offered(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "LocalStore".to_owned(),
    }
}

/// An operating system's error about an object, in words.
fn io_error(error: std::io::Error, doing: &str, path: &FilePath) -> object_store::Error {
    use std::io::ErrorKind;
    let shown = path.display().to_string();
    match error.kind() {
        ErrorKind::NotFound => object_store::Error::NotFound { path: shown, source: error.into() },
        ErrorKind::AlreadyExists => {
            object_store::Error::AlreadyExists { path: shown, source: error.into() }
        }
        ErrorKind::PermissionDenied => {
            object_store::Error::PermissionDenied { path: shown, source: error.into() }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => generic(
            base::Error::new(
                base::Kind::LimitExceeded,
                format!("the disk is full: failed to {doing} `{shown}`"),
            )
            .hint("free space on this disk, then repeat the command; nothing was changed")
            .caused_by(error),
        ),
        _ => generic(base::Error::from(error).context(format!("failed to {doing} `{shown}`"))),
    }
}

#[cfg(test)]
mod tests;
