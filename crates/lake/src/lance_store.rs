//! Where Lance keeps its bytes and its versions.
//!
//! In: the lake's one object store and the metadata database. Out: Lance datasets under a scheme of
//! our own, so that every byte passes that store (Lance's `file` scheme would bypass it), whose
//! versions are rows of the database, so that nothing depends on an object store's conditional
//! writes. Not here: what is in the datasets (`lance_table`, `companion`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use base::rng::Rng;
use base::{Clock, Error, Kind, Result, Timestamp};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use lance::Dataset;
use lance::dataset::builder::DatasetBuilder;
use lance::dataset::{WriteMode, WriteParams};
use lance::session::Session;
use lance_encoding::version::LanceFileVersion;
use lance_io::object_store::{
    ObjectStore as LanceObjects, ObjectStoreParams, ObjectStoreProvider, ObjectStoreRegistry,
};
use lance_table::format::{IndexMetadata, Manifest, Transaction};
use lance_table::io::commit::{
    CommitError, CommitHandler, ManifestLocation, ManifestNamingScheme, ManifestWriter,
};
use meta::{Database, Param, Row};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use url::Url;

use crate::place::Place;
use crate::{Config, Snapshot};

/// The scheme of our datasets.
const SCHEME: &str = "lake";
/// Bytes of vector indexes that are held.
const INDEX_BYTES: usize = 512 << 20;
/// Bytes of Lance's own metadata that are held.
const METADATA_BYTES: usize = 128 << 20;
/// Reads that Lance may have under way.
const READS_AT_ONCE: usize = 32;
/// Times that Lance repeats a read that broke off.
const READ_AGAIN: usize = 3;

const MIGRATIONS: &[&str] = &["CREATE TABLE lake_lance_versions (
        dataset TEXT NOT NULL,
        version BIGINT NOT NULL,
        path TEXT NOT NULL,
        size BIGINT NOT NULL,
        at BIGINT NOT NULL,
        operation TEXT NOT NULL,
        author TEXT NOT NULL,
        summary TEXT NOT NULL,
        PRIMARY KEY (dataset, version)
    )"];

/// Opens and writes datasets.
pub(crate) struct LanceStore {
    session: Arc<Session>,
    commits: Commits,
    warehouse: String,
}

impl fmt::Debug for LanceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanceStore").field("warehouse", &self.warehouse).finish_non_exhaustive()
    }
}

/// The newest version of a dataset.
pub(crate) struct Newest {
    /// Its number, which begins anew when a dataset is dropped and made again.
    pub(crate) version: u64,
    /// Its manifest, whose name nothing else ever has.
    pub(crate) path: String,
}

impl LanceStore {
    /// Over the lake's objects and database.
    pub(crate) async fn open(config: &Config) -> Result<LanceStore> {
        config.database.migrate("lake_lance", MIGRATIONS).await?;
        let registry = ObjectStoreRegistry::empty();
        registry.insert(SCHEME, Arc::new(Provider { objects: Arc::clone(&config.objects) }));
        let commits = Commits {
            database: config.database.clone(),
            rng: config.rng.clone(),
            clock: config.clock.clone(),
            place: Arc::default(),
        };
        Ok(LanceStore {
            session: Arc::new(Session::new(INDEX_BYTES, METADATA_BYTES, Arc::new(registry))),
            commits,
            warehouse: config.warehouse.clone(),
        })
    }

    /// Lets every new version check that this node knows where the objects are.
    pub(crate) fn set_place(&self, place: Place) {
        // Set once, when the project is opened.
        let _again = self.commits.place.set(place);
    }

    /// How Lance names a dataset.
    pub(crate) fn url(&self, dataset: &str) -> String {
        format!("{SCHEME}://{}/{dataset}", self.warehouse)
    }

    fn handler(&self, held: Option<&Held>) -> Arc<dyn CommitHandler> {
        Arc::new(Versions { commits: self.commits.clone(), held: held.cloned() })
    }

    /// The dataset at a version, or at its newest; `None` when it has none. What is changed in it is
    /// held back when `held` is given.
    pub(crate) async fn dataset(
        &self,
        dataset: &str,
        version: Option<u64>,
        held: Option<&Held>,
    ) -> Result<Option<Arc<Dataset>>> {
        if self.commits.newest(dataset).await.map_err(|error| opening(dataset, error))?.is_none() {
            return Ok(None);
        }
        let mut builder = DatasetBuilder::from_uri(self.url(dataset))
            .with_session(Arc::clone(&self.session))
            .with_commit_handler(self.handler(held));
        if let Some(version) = version {
            builder = builder.with_version(version);
        }
        let opened = builder.load().boxed().await;
        Ok(Some(Arc::new(opened.map_err(|error| failed(&format!("open `{dataset}`"), error))?)))
    }

    /// How a dataset is written: `Create` when it is new, otherwise `Append`.
    pub(crate) fn write_params(&self, mode: WriteMode, held: Option<&Held>) -> WriteParams {
        WriteParams {
            mode,
            commit_handler: Some(self.handler(held)),
            data_storage_version: Some(LanceFileVersion::V2_2),
            // Rows that are changed and removed by key leave gaps in stable ids that this version of
            // Lance does not read back, and nothing here remembers a row's id beyond one request.
            enable_stable_row_ids: false,
            enable_v2_manifest_paths: true,
            session: Some(Arc::clone(&self.session)),
            auto_cleanup: None,
            skip_auto_cleanup: true,
            ..WriteParams::default()
        }
    }

    /// Adds rows to a dataset, which is made when there is none.
    pub(crate) async fn append(
        &self,
        dataset: &str,
        batches: Vec<arrow::record_batch::RecordBatch>,
    ) -> Result<()> {
        let Some(first) = batches.first() else { return Ok(()) };
        let schema = first.schema();
        for _ in 0..CREATE_RACES {
            let exists = self.exists(dataset).await?;
            let mode = if exists { WriteMode::Append } else { WriteMode::Create };
            let reader = arrow::record_batch::RecordBatchIterator::new(
                batches.clone().into_iter().map(Ok),
                Arc::clone(&schema),
            );
            let params = self.write_params(mode, None);
            match Dataset::write(reader, &self.url(dataset), Some(params)).boxed().await {
                Ok(_) => return Ok(()),
                // Another process made the dataset at the same time: append to it.
                Err(_) if !exists && self.exists(dataset).await? => {}
                Err(error) => return Err(failed(&format!("append to `{dataset}`"), error)),
            }
        }
        Err(Error::new(Kind::Conflict, format!("`{dataset}` was changed meanwhile")))
    }

    /// The versions of a dataset, oldest first; counts are not known here.
    pub(crate) async fn versions(&self, dataset: &str) -> Result<Vec<Snapshot>> {
        let sql = "SELECT version, at, operation, author, summary FROM lake_lance_versions \
                   WHERE dataset = $1 ORDER BY version";
        let rows = self.commits.database.query(sql, &[dataset.into()]).await?;
        let snapshot = |row: &Row| {
            Ok(Snapshot {
                id: row.int("version")?,
                at: Timestamp::from_micros(row.int("at")?),
                operation: row.text("operation")?.into(),
                rows: 0,
                bytes: 0,
                files: 0,
                author: row.text("author")?.into(),
                summary: row.text("summary")?.into(),
            })
        };
        rows.iter().map(snapshot).collect()
    }

    /// Which version is the newest; none when there is none.
    pub(crate) async fn newest_manifest(&self, dataset: &str) -> Result<Option<Newest>> {
        let newest = self.commits.newest(dataset).await.map_err(|error| opening(dataset, error))?;
        Ok(newest.map(|found| Newest { version: found.version, path: found.path.to_string() }))
    }

    /// The object with the manifest of a version; none when the version is gone.
    pub(crate) async fn manifest_path(&self, dataset: &str, version: u64) -> Result<Option<Path>> {
        match self.commits.version(dataset, version).await {
            Ok(location) => Ok(Some(location.path)),
            Err(lance::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(opening(dataset, error)),
        }
    }

    /// The dataset at a version that is stored and that nobody sees yet.
    pub(crate) async fn candidate(&self, prepared: &Prepared) -> Result<Dataset> {
        let handler = Candidate {
            versions: Versions { commits: self.commits.clone(), held: None },
            prepared: prepared.clone(),
        };
        // A session of its own: what it caches by version must not be found when the version that
        // is committed in the end is another.
        let session = Session::new(0, METADATA_BYTES, self.session.store_registry());
        let opened = DatasetBuilder::from_uri(self.url(&prepared.dataset))
            .with_session(Arc::new(session))
            .with_commit_handler(Arc::new(handler))
            .with_version(prepared.version)
            .load()
            .boxed()
            .await;
        opened.map_err(|error| opening(&prepared.dataset, error))
    }

    /// Forgets all versions of a dataset.
    pub(crate) async fn forget(&self, dataset: &str) -> Result<()> {
        let sql = "DELETE FROM lake_lance_versions WHERE dataset = $1";
        self.commits.database.execute(sql, &[dataset.into()]).await.map(|_| ())
    }

    /// The manifests of all versions of a dataset.
    pub(crate) async fn manifests(&self, dataset: &str) -> Result<Vec<(u64, Path)>> {
        let all = self.commits.all(dataset).await.map_err(|error| opening(dataset, error))?;
        Ok(all.into_iter().map(|location| (location.version, location.path)).collect())
    }

    /// Forgets all versions of all datasets below a folder.
    pub(crate) async fn forget_below(&self, folder: &str) -> Result<()> {
        let sql = "DELETE FROM lake_lance_versions WHERE dataset LIKE $1";
        let below = format!("{folder}/%");
        self.commits.database.execute(sql, &[below.into()]).await.map(|_| ())
    }

    async fn exists(&self, dataset: &str) -> Result<bool> {
        Ok(self.commits.newest(dataset).await.map_err(|error| opening(dataset, error))?.is_some())
    }
}

/// How often a dataset can come into being while we want to make it: once.
const CREATE_RACES: usize = 2;

fn opening(dataset: &str, error: lance::Error) -> Error {
    failed(&format!("open `{dataset}`"), error)
}

/// An error of Lance in our words.
pub(crate) fn failed(doing: &str, error: lance::Error) -> Error {
    let ours = error.external_source().and_then(|source| source.downcast_ref::<Error>());
    let kind = match &error {
        _ if ours.is_some() => ours.map_or(Kind::Internal, Error::kind),
        lance::Error::DatasetNotFound { .. } | lance::Error::NotFound { .. } => Kind::NotFound,
        lance::Error::CommitConflict { .. }
        | lance::Error::RetryableCommitConflict { .. }
        | lance::Error::TooMuchWriteContention { .. } => Kind::Conflict,
        lance::Error::IO { .. } => Kind::Io,
        lance::Error::CorruptFile { .. } => Kind::Corrupt,
        lance::Error::InvalidInput { .. } | lance::Error::SchemaMismatch { .. } => {
            Kind::InvalidInput
        }
        _ => Kind::Internal,
    };
    let failed = Error::new(kind, format!("failed to {doing}"));
    match ours {
        Some(_) => failed.caused_by(error),
        None => failed.caused_by(Error::new(kind, words(&error.to_string()))),
    }
}

/// What Lance says, without the place in its sources that it adds: `…, /src/writer.rs:406:24`.
fn words(text: &str) -> &str {
    match text.rsplit_once(", ") {
        Some((words, place)) if place.contains(".rs:") => words,
        _ => text,
    }
}

/// Gives Lance the one object store.
#[derive(Debug)]
struct Provider {
    objects: Arc<dyn ObjectStore>,
}

#[async_trait]
impl ObjectStoreProvider for Provider {
    async fn new_store(
        &self,
        base_path: Url,
        params: &ObjectStoreParams,
    ) -> lance::Result<LanceObjects> {
        Ok(LanceObjects::new(
            Arc::clone(&self.objects),
            base_path,
            params.block_size,
            params.object_store_wrapper.clone(),
            false,
            true,
            READS_AT_ONCE,
            READ_AGAIN,
            None,
        ))
    }
}

/// The rows that say which versions there are.
#[derive(Clone, Debug)]
struct Commits {
    database: Database,
    rng: Rng,
    clock: Clock,
    /// Where the objects are, when they may move.
    place: Arc<OnceLock<Place>>,
}

/// A version whose manifest is stored but that nobody can see before its row is inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// Path of the dataset.
    pub(crate) dataset: String,
    /// The version.
    pub(crate) version: u64,
    path: String,
    size: u64,
}

/// What is remembered of a version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VersionNote<'a> {
    /// When it was made.
    pub(crate) at: Timestamp,
    /// `append`, `overwrite`, `delete`.
    pub(crate) operation: &'a str,
    /// Who made it.
    pub(crate) author: &'a str,
    /// What for.
    pub(crate) summary: &'a str,
}

impl Prepared {
    /// A version whose manifest another tool has stored.
    pub(crate) fn new(dataset: &str, version: u64, path: &Path, size: u64) -> Prepared {
        Prepared { dataset: dataset.to_owned(), version, path: path.to_string(), size }
    }

    /// What makes the version visible, for the transaction that does it.
    pub(crate) fn statement(&self, note: &VersionNote<'_>) -> (String, Vec<Param>) {
        let sql = "INSERT INTO lake_lance_versions \
                   (dataset, version, path, size, at, operation, author, summary) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let number = |count: u64| Param::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let params = vec![
            self.dataset.clone().into(),
            number(self.version),
            self.path.clone().into(),
            number(self.size),
            note.at.as_micros().into(),
            note.operation.into(),
            note.author.into(),
            note.summary.into(),
        ];
        (sql.to_owned(), params)
    }
}

impl Commits {
    /// Makes a version visible that belongs to no table's pointer.
    async fn insert(&self, statement: (String, Vec<Param>)) -> Result<u64> {
        let place = self.place.get().cloned();
        self.database
            .write(move |tx| {
                let (statement, place) = (statement.clone(), place.clone());
                async move {
                    if let Some(place) = &place {
                        place.check(tx).await?;
                    }
                    tx.execute(&statement.0, &statement.1).await
                }
                .boxed()
            })
            .await
    }

    async fn newest(&self, dataset: &str) -> lance::Result<Option<ManifestLocation>> {
        let sql = "SELECT version, path, size FROM lake_lance_versions WHERE dataset = $1 \
                   ORDER BY version DESC LIMIT 1";
        let row = self.database.query_one(sql, &[dataset.into()]).await.map_err(foreign)?;
        row.map(|row| location(&row)).transpose()
    }

    async fn version(&self, dataset: &str, version: u64) -> lance::Result<ManifestLocation> {
        let sql = "SELECT version, path, size FROM lake_lance_versions \
                   WHERE dataset = $1 AND version = $2";
        let number = Param::Int(i64::try_from(version).unwrap_or(i64::MAX));
        let row = self.database.query_one(sql, &[dataset.into(), number]).await;
        match row.map_err(foreign)? {
            Some(row) => location(&row),
            None => Err(lance::Error::not_found(format!("{dataset}@{version}"))),
        }
    }

    async fn all(&self, dataset: &str) -> lance::Result<Vec<ManifestLocation>> {
        let sql = "SELECT version, path, size FROM lake_lance_versions WHERE dataset = $1 \
                   ORDER BY version DESC";
        let rows = self.database.query(sql, &[dataset.into()]).await.map_err(foreign)?;
        rows.iter().map(location).collect()
    }

    /// Stores the manifest under a name that nobody else uses.
    async fn store(
        &self,
        manifest: &mut Manifest,
        indices: Option<Vec<IndexMetadata>>,
        base_path: &Path,
        objects: &LanceObjects,
        write: ManifestWriter,
        transaction: Option<Transaction>,
    ) -> lance::Result<Prepared> {
        let name = format!("{:020}-{}.manifest", u64::MAX - manifest.version, self.rng.uuid());
        let path = base_path.clone().join("_versions").join(name);
        let written = write(objects, manifest, indices, &path, transaction).await?;
        Ok(Prepared {
            dataset: base_path.to_string(),
            version: manifest.version,
            path: path.to_string(),
            size: written.size as u64,
        })
    }
}

impl Prepared {
    fn location(&self) -> lance::Result<ManifestLocation> {
        Ok(ManifestLocation {
            version: self.version,
            path: Path::parse(&self.path)?,
            size: Some(self.size),
            naming_scheme: ManifestNamingScheme::V2,
            e_tag: None,
        })
    }
}

fn location(row: &Row) -> lance::Result<ManifestLocation> {
    let number = |column| {
        let number = row.int(column).map_err(foreign)?;
        u64::try_from(number).map_err(|_| lance::Error::internal("a version is negative"))
    };
    Ok(ManifestLocation {
        version: number("version")?,
        path: Path::parse(row.text("path").map_err(foreign)?)?,
        size: Some(number("size")?),
        naming_scheme: ManifestNamingScheme::V2,
        e_tag: None,
    })
}

fn foreign(error: Error) -> lance::Error {
    lance::Error::external(Box::new(error))
}

/// Reads and makes versions for Lance.
#[derive(Clone, Debug)]
struct Versions {
    commits: Commits,
    /// Where a new version is kept back; without it, one is visible as soon as it is stored.
    held: Option<Held>,
}

/// Keeps the new version back until the transaction of a commit makes it visible.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The version that the change is made on.
    base: u64,
    prepared: Arc<Mutex<Option<Prepared>>>,
}

impl Held {
    /// For a change of a table that is at version `base`; 0 when it is new.
    pub(crate) fn on(base: u64) -> Held {
        Held { base, prepared: Arc::default() }
    }

    /// The version that was prepared.
    pub(crate) fn take(&self) -> Result<Prepared> {
        let prepared = self.prepared.lock().take();
        prepared.ok_or_else(|| Error::internal("a change of a Lance table prepared no version"))
    }
}

impl Versions {
    async fn show(
        &self,
        prepared: Prepared,
        objects: &LanceObjects,
    ) -> std::result::Result<ManifestLocation, CommitError> {
        let location = prepared.location()?;
        if let Some(held) = &self.held {
            *held.prepared.lock() = Some(prepared);
            return Ok(location);
        }
        let (at, operation) = (self.commits.clock.now(), "append");
        let note = VersionNote { at, operation, author: "headwater", summary: "companion" };
        match self.commits.insert(prepared.statement(&note)).await {
            Ok(_) => Ok(location),
            Err(error) if error.kind() == Kind::AlreadyExists => {
                // What stays behind when this fails is an object that nothing names.
                let _ = objects.inner.delete(&location.path).await;
                Err(CommitError::CommitConflict)
            }
            Err(error) => Err(CommitError::OtherError(foreign(error))),
        }
    }
}

#[async_trait]
impl CommitHandler for Versions {
    async fn resolve_latest_location(
        &self,
        base_path: &Path,
        _objects: &LanceObjects,
    ) -> lance::Result<ManifestLocation> {
        let newest = self.commits.newest(base_path.as_ref()).await?;
        newest.ok_or_else(|| lance::Error::not_found(base_path.to_string()))
    }

    async fn resolve_version_location(
        &self,
        base_path: &Path,
        version: u64,
        _objects: &dyn ObjectStore,
    ) -> lance::Result<ManifestLocation> {
        self.commits.version(base_path.as_ref(), version).await
    }

    async fn version_exists(
        &self,
        base_path: &Path,
        version: u64,
        _objects: &dyn ObjectStore,
        _naming_scheme: ManifestNamingScheme,
    ) -> lance::Result<bool> {
        match self.commits.version(base_path.as_ref(), version).await {
            Ok(_) => Ok(true),
            Err(lance::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list_manifest_locations<'a>(
        &self,
        base_path: &Path,
        _objects: &'a LanceObjects,
        _sorted_descending: bool,
    ) -> BoxStream<'a, lance::Result<ManifestLocation>> {
        let (commits, base) = (self.commits.clone(), base_path.to_string());
        let listed = async move {
            match commits.all(&base).await {
                Ok(locations) => locations.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        };
        listed.map(futures::stream::iter).flatten_stream().boxed()
    }

    fn list_manifest_locations_since<'a>(
        &self,
        base_path: &Path,
        objects: &'a LanceObjects,
        since_version: u64,
    ) -> BoxStream<'a, lance::Result<ManifestLocation>> {
        let newer = move |location: &lance::Result<ManifestLocation>| {
            let older = location.as_ref().is_ok_and(|found| found.version <= since_version);
            futures::future::ready(!older)
        };
        self.list_manifest_locations(base_path, objects, true).filter(newer).boxed()
    }

    async fn commit(
        &self,
        manifest: &mut Manifest,
        indices: Option<Vec<IndexMetadata>>,
        base_path: &Path,
        object_store: &LanceObjects,
        manifest_writer: ManifestWriter,
        _naming_scheme: ManifestNamingScheme,
        transaction: Option<Transaction>,
    ) -> std::result::Result<ManifestLocation, CommitError> {
        if self.held.as_ref().is_some_and(|held| manifest.version != held.base + 1) {
            // Somebody was faster; the change must be made again on what they left.
            let message = "the table was changed meanwhile";
            return Err(CommitError::OtherError(foreign(Error::new(Kind::Conflict, message))));
        }
        let prepared = self
            .commits
            .store(manifest, indices, base_path, object_store, manifest_writer, transaction)
            .await?;
        self.show(prepared, object_store).await
    }

    async fn delete(&self, base_path: &Path) -> lance::Result<()> {
        let sql = "DELETE FROM lake_lance_versions WHERE dataset = $1";
        let forgotten = self.commits.database.execute(sql, &[base_path.to_string().into()]).await;
        forgotten.map(|_| ()).map_err(foreign)
    }
}

/// Reads one version that has no row yet, and makes none.
#[derive(Clone, Debug)]
struct Candidate {
    versions: Versions,
    prepared: Prepared,
}

#[async_trait]
impl CommitHandler for Candidate {
    async fn resolve_latest_location(
        &self,
        _base_path: &Path,
        _objects: &LanceObjects,
    ) -> lance::Result<ManifestLocation> {
        self.prepared.location()
    }

    async fn resolve_version_location(
        &self,
        base_path: &Path,
        version: u64,
        objects: &dyn ObjectStore,
    ) -> lance::Result<ManifestLocation> {
        if version == self.prepared.version {
            return self.prepared.location();
        }
        self.versions.resolve_version_location(base_path, version, objects).await
    }

    async fn commit(
        &self,
        _manifest: &mut Manifest,
        _indices: Option<Vec<IndexMetadata>>,
        _base_path: &Path,
        _object_store: &LanceObjects,
        _manifest_writer: ManifestWriter,
        _naming_scheme: ManifestNamingScheme,
        _transaction: Option<Transaction>,
    ) -> std::result::Result<ManifestLocation, CommitError> {
        let message = "a version that is only looked at was changed";
        Err(CommitError::OtherError(foreign(Error::internal(message))))
    }

    async fn delete(&self, _base_path: &Path) -> lance::Result<()> {
        Err(foreign(Error::internal("a version that is only looked at was deleted")))
    }
}
