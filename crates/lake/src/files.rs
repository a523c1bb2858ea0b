//! What a snapshot of an Iceberg table consists of: its manifests, the data files that live in it,
//! and the position deletes that apply to each.
//!
//! In: a table's metadata and a snapshot. Out: [`LiveFile`]s; the positions deleted from one of them
//! ([`Files::deleted`]). Manifests and delete files never change, so what was read is kept, within
//! stated bounds. Not here: choosing files by a predicate (`query`, `commit::locate`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use base::{Error, Kind, Result};
use futures::TryStreamExt;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, Literal, Manifest, ManifestEntryRef, ManifestFile, ManifestList,
    PrimitiveLiteral, Snapshot, Struct, TableMetadata,
};
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::PageIndexPolicy;

use crate::cache::Cache;
use crate::failure::failed;
use crate::storage::Locations;

/// A data file of a snapshot, with the delete files that may concern it.
#[derive(Clone, Debug)]
pub struct LiveFile {
    /// The manifest's entry: the file and its sequence numbers.
    pub entry: ManifestEntryRef,
    /// The partition spec that its partition values belong to.
    pub spec_id: i32,
    /// Position-delete files that may name it.
    pub deletes: Vec<ManifestEntryRef>,
}

impl LiveFile {
    /// The data file.
    pub fn data(&self) -> &DataFile {
        self.entry.data_file()
    }

    /// Its location.
    pub fn path(&self) -> &str {
        self.entry.file_path()
    }
}

/// A delete file of a snapshot.
#[derive(Clone, Debug)]
pub struct LiveDelete {
    /// The manifest's entry.
    pub entry: ManifestEntryRef,
    /// The partition spec that its partition values belong to.
    pub spec_id: i32,
}

/// Bytes that are read at the end of a data file at first: the footer and the indexes of pages of all
/// but large files, in one request instead of three.
const FOOTER_BYTES: usize = 64 << 10;
/// Bytes of lists of manifests that are held.
const LIST_BYTES: usize = 16 << 20;
/// Bytes of manifests, of deleted positions, and of footers that are held.
const HELD_BYTES: usize = 64 << 20;
/// How many bytes in memory a byte of a packed file makes, about.
const UNPACKED: usize = 8;

/// All live files of one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Data files.
    pub data: Vec<LiveFile>,
    /// Position-delete files.
    pub deletes: Vec<LiveDelete>,
}

/// Positions deleted from data files, by the files' locations, each list sorted.
pub type Positions = HashMap<String, Vec<u64>>;

/// Reads manifests and delete files, and keeps them.
#[derive(Debug)]
pub struct Files {
    io: FileIO,
    objects: Arc<dyn ObjectStore>,
    locations: Locations,
    lists: Cache<Arc<str>, Arc<Vec<ManifestFile>>>,
    manifests: Cache<Arc<str>, Arc<Manifest>>,
    deletes: Cache<Arc<str>, Arc<Positions>>,
    footers: Cache<Arc<str>, Arc<ArrowReaderMetadata>>,
}

impl Files {
    pub(crate) fn new(io: FileIO, objects: Arc<dyn ObjectStore>, locations: Locations) -> Self {
        Files {
            io,
            objects,
            locations,
            lists: Cache::new(LIST_BYTES),
            manifests: Cache::new(HELD_BYTES),
            deletes: Cache::new(HELD_BYTES),
            footers: Cache::new(HELD_BYTES),
        }
    }

    /// The manifests of a snapshot.
    pub async fn manifest_list(
        &self,
        metadata: &TableMetadata,
        snapshot: &Snapshot,
    ) -> Result<Arc<Vec<ManifestFile>>> {
        let location = snapshot.manifest_list();
        if let Some(found) = self.lists.get(location) {
            return Ok(found);
        }
        let doing = || format!("read manifest list `{location}`");
        let input = self.io.new_input(location).map_err(failed(doing()))?;
        let bytes = input.read().await.map_err(failed(doing()))?;
        let list = ManifestList::parse_with_version(&bytes, metadata.format_version())
            .map_err(failed(doing()))?;
        let entries: Vec<ManifestFile> = list.consume_entries().into_iter().collect();
        let weight = bytes.len() * UNPACKED;
        Ok(self.lists.put(location.into(), Arc::new(entries), weight))
    }

    /// The entries of a manifest.
    pub async fn manifest(&self, file: &ManifestFile) -> Result<Arc<Manifest>> {
        // A manifest's entries inherit from the list that names it, and all lists say the same.
        if let Some(found) = self.manifests.get(file.manifest_path.as_str()) {
            return Ok(found);
        }
        let doing = format!("read manifest `{}`", file.manifest_path);
        let manifest = file.load_manifest(&self.io).await.map_err(failed(doing))?;
        let weight =
            usize::try_from(file.manifest_length).unwrap_or(usize::MAX).saturating_mul(UNPACKED);
        Ok(self.manifests.put(file.manifest_path.as_str().into(), Arc::new(manifest), weight))
    }

    /// The live files of a snapshot; nothing for a table without one.
    pub async fn content(
        &self,
        metadata: &TableMetadata,
        snapshot: Option<&Snapshot>,
    ) -> Result<Content> {
        let Some(snapshot) = snapshot else { return Ok(Content::default()) };
        let mut content = Content::default();
        for file in self.manifest_list(metadata, snapshot).await?.iter() {
            let manifest = self.manifest(file).await?;
            let spec_id = file.partition_spec_id;
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let entry = Arc::clone(entry);
                match entry.content_type() {
                    DataContentType::Data => {
                        content.data.push(LiveFile { entry, spec_id, deletes: Vec::new() });
                    }
                    DataContentType::PositionDeletes => {
                        content.deletes.push(LiveDelete { entry, spec_id });
                    }
                    DataContentType::EqualityDeletes => return Err(equality_deletes()),
                }
            }
        }
        assign_deletes(&mut content);
        Ok(content)
    }

    /// The positions deleted from a data file, sorted, each once.
    pub async fn deleted(&self, file: &LiveFile) -> Result<Vec<u64>> {
        let mut positions = Vec::new();
        for delete in &file.deletes {
            if let Some(found) = self.positions(delete.data_file()).await?.get(file.path()) {
                positions.extend_from_slice(found);
            }
        }
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }

    /// All positions of a delete file.
    pub async fn positions(&self, delete: &DataFile) -> Result<Arc<Positions>> {
        let location = delete.file_path();
        if let Some(found) = self.deletes.get(location) {
            return Ok(found);
        }
        let doing = || format!("read position deletes `{location}`");
        let builder = self.open(delete).await?;
        let mut batches = builder.build().map_err(failed(doing()))?;
        let mut positions = Positions::new();
        while let Some(batch) = batches.try_next().await.map_err(failed(doing()))? {
            let broken = || Error::new(Kind::Corrupt, format!("`{location}` has no positions"));
            let paths = batch.column_by_name("file_path").ok_or_else(broken)?;
            let paths = paths.as_string_opt::<i32>().ok_or_else(broken)?;
            let rows = batch.column_by_name("pos").ok_or_else(broken)?;
            let rows = rows.as_primitive_opt::<Int64Type>().ok_or_else(broken)?;
            for row in 0..batch.num_rows() {
                let position = u64::try_from(rows.value(row)).map_err(failed(doing()))?;
                match positions.get_mut(paths.value(row)) {
                    Some(list) => list.push(position),
                    None => {
                        positions.insert(paths.value(row).to_owned(), vec![position]);
                    }
                }
            }
        }
        positions.values_mut().for_each(|list| list.sort_unstable());
        let rows: usize = positions.values().map(Vec::len).sum();
        let weight = (rows + positions.len() * UNPACKED) * size_of::<u64>();
        Ok(self.deletes.put(location.into(), Arc::new(positions), weight))
    }

    /// A file, open for reading; its footer is kept.
    pub async fn open(
        &self,
        file: &DataFile,
    ) -> Result<ParquetRecordBatchStreamBuilder<ParquetObjectReader>> {
        let location = file.file_path();
        let mut reader = self.reader(file)?;
        let footer = match self.footers.get(location) {
            Some(footer) => footer,
            None => {
                let doing = format!("read the footer of `{location}`");
                // The index of pages comes along: few rows are read by page.
                let options =
                    ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
                let read = ArrowReaderMetadata::load_async(&mut reader, options).await;
                let read = Arc::new(read.map_err(failed(doing))?);
                let weight = read.metadata().memory_size();
                self.footers.put(location.into(), read, weight)
            }
        };
        let footer = footer.as_ref().clone();
        Ok(ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer))
    }

    /// A Parquet reader of a file.
    pub fn reader(&self, file: &DataFile) -> Result<ParquetObjectReader> {
        let path = self.locations.path(file.file_path())?;
        Ok(ParquetObjectReader::new(Arc::clone(&self.objects), path)
            .with_file_size(file.file_size_in_bytes())
            .with_footer_size_hint(FOOTER_BYTES))
    }
}

/// Gives each data file the delete files that may name it: of its partition, not older than it, and
/// whose range of names holds its name.
fn assign_deletes(content: &mut Content) {
    let mut by_partition: HashMap<String, Vec<&ManifestEntryRef>> = HashMap::new();
    for delete in &content.deletes {
        let key = partition_key(delete.spec_id, delete.entry.data_file());
        by_partition.entry(key).or_default().push(&delete.entry);
    }
    for file in &mut content.data {
        let key = partition_key(file.spec_id, file.entry.data_file());
        let Some(deletes) = by_partition.get(&key) else { continue };
        let may_name = |delete: &&&ManifestEntryRef| {
            delete.sequence_number() >= file.entry.sequence_number()
                && names(delete.data_file(), file.entry.file_path())
        };
        file.deletes = deletes.iter().filter(may_name).map(|entry| Arc::clone(entry)).collect();
    }
}

/// One text for each partition of each spec.
pub(crate) fn partition_key(spec_id: i32, file: &DataFile) -> String {
    partition_text(spec_id, file.partition())
}

/// As [`partition_key`], for the partition's values. A number reads alike before and after its
/// column was widened.
pub(crate) fn partition_text(spec_id: i32, partition: &Struct) -> String {
    let mut text = spec_id.to_string();
    for value in partition.iter() {
        match value {
            Some(Literal::Primitive(PrimitiveLiteral::Int(number))) => {
                text.push_str(&format!(" Long({number})"));
            }
            Some(Literal::Primitive(value)) => text.push_str(&format!(" {value:?}")),
            other => text.push_str(&format!(" {other:?}")),
        }
    }
    text
}

/// Id of the column `file_path` in position-delete files.
pub(crate) const FILE_PATH_ID: i32 = 2_147_483_546;
/// Id of the column `pos` in position-delete files.
pub(crate) const POSITION_ID: i32 = 2_147_483_545;

/// Whether a delete file may name this data file.
fn names(delete: &DataFile, path: &str) -> bool {
    use iceberg::spec::PrimitiveLiteral::String as Text;
    if let Some(only) = delete.referenced_data_file() {
        return only == path;
    }
    let low = delete.lower_bounds().get(&FILE_PATH_ID).map(|bound| bound.literal());
    let high = delete.upper_bounds().get(&FILE_PATH_ID).map(|bound| bound.literal());
    let above = !matches!(low, Some(Text(low)) if path < low.as_str());
    // A bound may be cut short, so a name that begins with it is not above it.
    let below = !matches!(high, Some(Text(high)) if path > high.as_str() && !path.starts_with(high.as_str()));
    above && below
}

fn equality_deletes() -> Error {
    Error::new(
        Kind::Unsupported,
        "the table has equality deletes of another writer, which are not read here",
    )
    .hint("let that writer compact the table first")
}
