//! What files a snapshot consists of.
//!
//! In: a snapshot's manifest list. Out: its data files and position deletes. Everything here is
//! immutable once written, so caches are keyed by location and never stale. Not here: which of the
//! files a predicate needs (`prune`), reading them (`provider`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use base::{Error, Kind, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, Manifest, ManifestFile, ManifestList, Snapshot,
    TableMetadata,
};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::vanished;
use crate::cache::Cache;

/// Bytes of manifests and delete files that are held, each.
const HELD_BYTES: usize = 128 << 20;
/// Files of metadata that are read at once.
const READS_AT_ONCE: usize = 16;

/// A file of a snapshot with what its manifest says beside it.
#[derive(Debug)]
pub(crate) struct FileEntry {
    /// Path, counts and bounds.
    pub(crate) file: DataFile,
    /// How its partition values were made.
    pub(crate) spec_id: i32,
    /// The data sequence number: deletes apply to files that are older.
    pub(crate) sequence: i64,
}

/// All files of one snapshot.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFiles {
    /// Data files, in the order of the manifests.
    pub(crate) data: Vec<Arc<FileEntry>>,
    /// Position-delete files.
    pub(crate) deletes: Vec<Arc<FileEntry>>,
}

/// Rows of data files that no longer count: positions in ascending order, by the file's location.
pub(crate) type DeletedRows = HashMap<String, Vec<u64>>;

/// Reads and holds metadata files.
#[derive(Debug)]
pub(crate) struct Manifests {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
    snapshots: Cache<String, Arc<SnapshotFiles>>,
    manifests: Cache<String, Arc<Vec<Arc<FileEntry>>>>,
    deletes: Cache<String, Arc<DeletedRows>>,
}

impl Manifests {
    /// Over all bytes of the lake, whose locations begin with `s3://<warehouse>/`.
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, warehouse: &str) -> Self {
        Manifests {
            objects,
            prefix: format!("s3://{warehouse}/"),
            snapshots: Cache::new(HELD_BYTES),
            manifests: Cache::new(HELD_BYTES),
            deletes: Cache::new(HELD_BYTES),
        }
    }

    /// Where the object store keeps what this location names.
    pub(crate) fn path(&self, location: &str) -> Result<Path> {
        let corrupt =
            || Error::new(Kind::Corrupt, format!("`{location}` is outside the warehouse"));
        let below = location.strip_prefix(&self.prefix).ok_or_else(corrupt)?;
        Path::parse(below).map_err(|error| corrupt().caused_by(error))
    }

    /// The files of a snapshot.
    pub(crate) async fn files(
        &self,
        metadata: &TableMetadata,
        snapshot: &Snapshot,
    ) -> Result<Arc<SnapshotFiles>> {
        let location = snapshot.manifest_list().to_owned();
        if let Some(files) = self.snapshots.get(&location) {
            return Ok(files);
        }
        let bytes = self.read(&location).await?;
        let list = ManifestList::parse_with_version(&bytes, metadata.format_version())
            .map_err(|error| corrupt(&location, error))?;
        let reads: Vec<_> = list.entries().iter().map(|file| self.manifest(file.clone())).collect();
        let manifests: Vec<Arc<Vec<Arc<FileEntry>>>> =
            stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let mut files = SnapshotFiles::default();
        for entry in manifests.iter().flat_map(|entries| entries.iter()) {
            match entry.file.content_type() {
                DataContentType::Data => files.data.push(Arc::clone(entry)),
                DataContentType::PositionDeletes => files.deletes.push(Arc::clone(entry)),
                DataContentType::EqualityDeletes => return Err(equality_deletes(&entry.file)),
            }
        }
        let files = Arc::new(files);
        let weight = (files.data.len() + files.deletes.len()) * size_of::<usize>() + 256;
        self.snapshots.put(location, Arc::clone(&files), weight);
        Ok(files)
    }

    async fn manifest(&self, manifest: ManifestFile) -> Result<Arc<Vec<Arc<FileEntry>>>> {
        let location = manifest.manifest_path.clone();
        if let Some(entries) = self.manifests.get(&location) {
            return Ok(entries);
        }
        let bytes = self.read(&location).await?;
        let parsed = Manifest::parse_avro(&bytes).map_err(|error| corrupt(&location, error))?;
        let entries = parsed.entries().iter().filter(|entry| entry.is_alive()).map(|entry| {
            Arc::new(FileEntry {
                file: entry.data_file().clone(),
                spec_id: manifest.partition_spec_id,
                sequence: entry.sequence_number().unwrap_or(manifest.sequence_number),
            })
        });
        let entries = Arc::new(entries.collect::<Vec<_>>());
        // Parsed bounds take several times the room of their compressed form.
        self.manifests.put(location, Arc::clone(&entries), bytes.len() * 6);
        Ok(entries)
    }

    /// The rows of `kept` files that no longer count.
    pub(crate) async fn deleted_rows(
        &self,
        files: &SnapshotFiles,
        kept: &[Arc<FileEntry>],
    ) -> Result<DeletedRows> {
        if files.deletes.is_empty() || kept.is_empty() {
            return Ok(DeletedRows::new());
        }
        let wanted: HashMap<&str, i64> =
            kept.iter().map(|entry| (entry.file.file_path(), entry.sequence)).collect();
        let rows: HashMap<&str, u64> =
            kept.iter().map(|entry| (entry.file.file_path(), entry.file.record_count())).collect();
        let mut reads = Vec::new();
        for delete in &files.deletes {
            let only = delete.file.referenced_data_file();
            let rows = only.as_deref().map(|path| rows.get(path).copied());
            if rows != Some(None) {
                reads.push(self.delete_file(Arc::clone(delete), rows.flatten()));
            }
        }
        let loaded: Vec<(i64, Arc<DeletedRows>)> =
            stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(merge(&wanted, &loaded))
    }

    /// What a delete file takes away; `rows` are those of the only data file that it names.
    async fn delete_file(
        &self,
        entry: Arc<FileEntry>,
        rows: Option<u64>,
    ) -> Result<(i64, Arc<DeletedRows>)> {
        let deleted = match entry.file.file_format() {
            DataFileFormat::Puffin => self.deletion_vector(&entry.file, rows).await?,
            _ => self.delete_positions(&entry.file).await?,
        };
        Ok((entry.sequence, deleted))
    }

    /// A deletion vector: one of the blobs of a Puffin file.
    async fn deletion_vector(
        &self,
        file: &DataFile,
        rows: Option<u64>,
    ) -> Result<Arc<DeletedRows>> {
        let location = file.file_path();
        let lacks = |what: &str| corrupt(location, format!("a deletion vector has no {what}"));
        let whole = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let start = whole(file.content_offset()).ok_or_else(|| lacks("offset"))?;
        let size = whole(file.content_size_in_bytes()).ok_or_else(|| lacks("size"))?;
        let path = file.referenced_data_file().ok_or_else(|| lacks("data file"))?;
        let rows = rows.ok_or_else(|| lacks("data file"))?;
        let key = format!("{location}#{start}");
        if let Some(rows) = self.deletes.get(&key) {
            return Ok(rows);
        }
        let (object, end) = (self.path(location)?, start.saturating_add(size));
        let blob = self.objects.get_range(&object, start..end);
        let blob = blob.await.map_err(|error| unread(location, error))?;
        let positions = vanished::positions(&blob, file.record_count(), rows)
            .map_err(|error| corrupt(location, error))?;
        let weight = positions.len() * size_of::<u64>() + path.len();
        let deleted = Arc::new(DeletedRows::from([(path, positions)]));
        self.deletes.put(key, Arc::clone(&deleted), weight);
        Ok(deleted)
    }

    async fn delete_positions(&self, file: &DataFile) -> Result<Arc<DeletedRows>> {
        let location = file.file_path().to_owned();
        if let Some(rows) = self.deletes.get(&location) {
            return Ok(rows);
        }
        let bytes = self.read(&location).await?;
        let weight = bytes.len() * 8;
        let rows = base::task::blocking("read-deletes", move || read_positions(bytes)).await?;
        let rows = Arc::new(rows.map_err(|error| corrupt(&location, error))?);
        self.deletes.put(location, Arc::clone(&rows), weight);
        Ok(rows)
    }

    async fn read(&self, location: &str) -> Result<Bytes> {
        let failed = |error| unread(location, error);
        let found = self.objects.get(&self.path(location)?).await.map_err(failed)?;
        found.bytes().await.map_err(failed)
    }
}

fn unread(location: &str, error: object_store::Error) -> Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => Kind::NotFound,
        _ => Kind::Io,
    };
    Error::new(kind, format!("failed to read `{location}`")).caused_by(error)
}

fn corrupt(location: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Corrupt, format!("failed to read `{location}`")).caused_by(error)
}

fn equality_deletes(file: &DataFile) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("`{}` holds equality deletes, which Headwater does not read", file.file_path()),
    )
    .hint("rewrite the table with the engine that wrote it, so that its deletes are applied")
}

/// The two columns of a position-delete file, `file_path` and `pos`.
fn read_positions(bytes: Bytes) -> std::result::Result<DeletedRows, parquet::errors::ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    let mut rows = DeletedRows::new();
    for batch in reader {
        let batch = batch?;
        let missing = || {
            let message = "a position-delete file lacks `file_path` or `pos`";
            parquet::errors::ParquetError::General(message.to_owned())
        };
        let paths = batch.column_by_name("file_path").ok_or_else(missing)?;
        let paths = paths.as_string_opt::<i32>().ok_or_else(missing)?;
        let positions = batch.column_by_name("pos").ok_or_else(missing)?;
        let positions = positions.as_primitive_opt::<Int64Type>().ok_or_else(missing)?;
        for row in 0..batch.num_rows() {
            let position = u64::try_from(positions.value(row)).map_err(|_| missing())?;
            match rows.get_mut(paths.value(row)) {
                Some(known) => known.push(position),
                None => {
                    rows.insert(paths.value(row).to_owned(), vec![position]);
                }
            }
        }
    }
    Ok(rows)
}

fn merge(wanted: &HashMap<&str, i64>, loaded: &[(i64, Arc<DeletedRows>)]) -> DeletedRows {
    let mut merged = DeletedRows::new();
    let mut files: Vec<_> = wanted.iter().collect();
    files.sort_unstable();
    for (path, file_sequence) in files {
        let applying = loaded.iter().filter(|(sequence, _)| sequence >= file_sequence);
        let mut positions: Vec<u64> =
            applying.filter_map(|(_, rows)| rows.get(*path)).flatten().copied().collect();
        if positions.is_empty() {
            continue;
        }
        positions.sort_unstable();
        positions.dedup();
        merged.insert((*path).to_owned(), positions);
    }
    merged
}
