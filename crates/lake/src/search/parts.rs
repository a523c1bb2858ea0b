//! Where the indexes of data files lie, and how missing ones come to be.
//!
//! In: a data file's texts. Out: its parts, opened; built and stored first when nobody did yet. A
//! file is cut into parts, so that building and searching are bounded in memory however large the
//! file is. Not here: asking them (`find`).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use frame::BatchStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use tantivy::{Index, ReloadPolicy, Searcher};

use super::build::{PartBuilder, tokenizers};
use super::bundle::Bundle;
use crate::cache::Cache;
use crate::failure::failed as store_failed;

/// The format of bundles and of how texts are cut; another one gives other names.
const FORMAT: u32 = 1;
/// Rows of one part at most.
const PART_ROWS: u64 = 1 << 18;
/// Bytes of text of one part at about most.
const PART_BYTES: usize = 48 << 20;
/// Bytes of opened parts that are held.
const HELD_BYTES: usize = 256 << 20;

/// A data file to be searched.
pub(crate) struct FileTexts {
    /// What tells it, and the searched fields, from all others: its location, a line of its own, and the
    /// fields; never reused.
    pub(crate) key: String,
    /// Rows of the file, deleted ones too.
    pub(crate) rows: u64,
    /// The texts of all rows in the order of the file: one string column a field.
    pub(crate) read:
        Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<BatchStream>> + Send + Sync>,
}

impl FileTexts {
    /// The location of the data file.
    fn data_file(&self) -> &str {
        self.key.split('\n').next().unwrap_or_default()
    }
}

/// The stored list of a file's parts, written when all of them are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredParts {
    format: u32,
    rows: Vec<u64>,
    /// The data file that it is about, so that the clean-up knows when it is not needed any more;
    /// lists of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// One part: documents are rows `start..` of its file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Part {
    path: Path,
    /// The position of its first row.
    pub(crate) start: u64,
}

/// The text indexes of a lake.
#[derive(Debug)]
pub(crate) struct TextIndexes {
    objects: Arc<dyn ObjectStore>,
    parts: Cache<String, Arc<Vec<Part>>>,
    opened: Cache<Path, Searcher>,
    building: tokio::sync::Mutex<()>,
}

impl TextIndexes {
    /// Over all bytes of the lake.
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        TextIndexes {
            objects,
            parts: Cache::new(1 << 16),
            opened: Cache::new(HELD_BYTES),
            building: tokio::sync::Mutex::new(()),
        }
    }

    /// The parts of a file below `folder`, built when they are missing.
    pub(crate) async fn parts(&self, folder: &Path, file: &FileTexts) -> Result<Arc<Vec<Part>>> {
        let key = key_of(folder, file);
        if let Some(parts) = self.parts.get(&key) {
            return Ok(parts);
        }
        let stored = match self.stored(&key).await? {
            Some(stored) => stored,
            None => self.build(&key, file).await?,
        };
        let mut start = 0;
        let mut parts = Vec::with_capacity(stored.rows.len());
        for (number, rows) in stored.rows.iter().enumerate() {
            parts.push(Part { path: part_path(&key, number), start });
            start += rows;
        }
        let parts = Arc::new(parts);
        self.parts.put(key, Arc::clone(&parts), 1);
        Ok(parts)
    }

    async fn stored(&self, key: &str) -> Result<Option<StoredParts>> {
        let path = list_path(key);
        let found = match self.objects.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        let bytes = found.map_err(store_failed(format!("read the text index `{path}`")))?;
        let stored: StoredParts =
            serde_json::from_slice(&bytes).map_err(|error| unreadable(&path).caused_by(error))?;
        Ok(Some(stored))
    }

    async fn build(&self, key: &str, file: &FileTexts) -> Result<StoredParts> {
        // One at a time, so that memory is bounded; whoever waited finds it done.
        let _turn = self.building.lock().await;
        if let Some(stored) = self.stored(key).await? {
            return Ok(stored);
        }
        let mut rows = Vec::new();
        let mut part: Option<PartBuilder> = None;
        let mut batches = (file.read)().await?;
        while let Some(batch) = batches.next().await {
            let filled = add(part.take(), batch?).await?;
            if filled.rows() >= PART_ROWS || filled.bytes() >= PART_BYTES {
                rows.push(filled.rows());
                self.store_part(key, rows.len() - 1, filled).await?;
            } else {
                part = Some(filled);
            }
        }
        if let Some(last) = part {
            rows.push(last.rows());
            self.store_part(key, rows.len() - 1, last).await?;
        }
        if rows.iter().sum::<u64>() != file.rows {
            return Err(Error::new(Kind::Corrupt, "a data file has not the rows it should have"));
        }
        let stored = StoredParts { format: FORMAT, rows, file: Some(file.data_file().to_owned()) };
        let bytes = serde_json::to_vec(&stored)
            .map_err(|error| Error::internal("failed to list a text index").caused_by(error))?;
        self.put(&list_path(key), bytes).await?;
        Ok(stored)
    }

    /// Of the objects of one folder, those that are still needed: parts and lists of data files that
    /// live. Parts without their list were left by a builder that died.
    pub(crate) async fn needed(
        &self,
        objects: &[Path],
        lives: impl Fn(&str) -> bool,
    ) -> Result<HashSet<Path>> {
        let mut keys: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
        for path in objects {
            let text = path.as_ref();
            let start = text.rfind('/').map_or(0, |slash| slash + 1);
            let end = text[start..].find('.').map_or(text.len(), |dot| start + dot);
            keys.entry(text[..end].to_owned()).or_default().push(path);
        }
        let mut needed = HashSet::new();
        for (key, paths) in keys {
            let Some(stored) = self.stored(&key).await? else { continue };
            if stored.file.as_deref().is_none_or(&lives) {
                needed.extend(paths.into_iter().cloned());
            }
        }
        Ok(needed)
    }

    /// The objects below a folder that are about these data files.
    pub(crate) async fn about(&self, folder: &Path, files: &[&String]) -> Result<Vec<Path>> {
        let names: HashSet<String> = files.iter().map(|file| short_hash(file)).collect();
        let is_about = |meta: &ObjectMeta| {
            let name = meta.location.filename().and_then(|name| name.split_once('-'));
            std::future::ready(name.is_some_and(|(file, _)| names.contains(file)))
        };
        let listed = self.objects.list(Some(folder)).try_filter(is_about);
        let listed: object_store::Result<Vec<ObjectMeta>> = listed.try_collect().await;
        let listed = listed.map_err(store_failed(format!("list `{folder}`")))?;
        Ok(listed.into_iter().map(|meta| meta.location).collect())
    }

    async fn store_part(&self, key: &str, number: usize, part: PartBuilder) -> Result<()> {
        let packed = base::task::blocking("finish-text-index", move || part.finish()).await??;
        self.put(&part_path(key, number), packed).await
    }

    async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<()> {
        let stored = self.objects.put(path, bytes.into()).await;
        stored.map_err(store_failed(format!("store `{path}`")))?;
        Ok(())
    }

    /// A part, opened.
    pub(crate) async fn open(&self, part: &Part) -> Result<Searcher> {
        if let Some(searcher) = self.opened.get(&part.path) {
            return Ok(searcher);
        }
        let doing = || format!("read the text index `{}`", part.path);
        let found = self.objects.get(&part.path).await.map_err(store_failed(doing()))?;
        let bytes = found.bytes().await.map_err(store_failed(doing()))?.to_vec();
        let weight = bytes.len() + 4096;
        let searcher = base::task::blocking("open-text-index", move || open(bytes)).await??;
        self.opened.put(part.path.clone(), searcher.clone(), weight);
        Ok(searcher)
    }
}

async fn add(part: Option<PartBuilder>, batch: RecordBatch) -> Result<PartBuilder> {
    base::task::blocking("build-text-index", move || {
        let mut part = match part {
            Some(part) => part,
            None => PartBuilder::new(batch.num_columns())?,
        };
        let columns: Vec<_> = batch.columns().iter().map(|c| c.as_string::<i32>()).collect();
        for row in 0..batch.num_rows() {
            part.add(columns.iter().map(|column| {
                (!arrow::array::Array::is_null(*column, row)).then(|| column.value(row))
            }))?;
        }
        Ok(part)
    })
    .await?
}

fn open(bytes: Vec<u8>) -> Result<Searcher> {
    let failed = |error: tantivy::TantivyError| {
        Error::new(Kind::Corrupt, "failed to open a text index").caused_by(error)
    };
    let mut index = Index::open(Bundle::unpack(bytes)?).map_err(failed)?;
    index.set_tokenizers(tokenizers());
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into();
    let reader: tantivy::IndexReader = reader.map_err(failed)?;
    Ok(reader.searcher())
}

/// What the names of a file's parts begin with: what tells the data file, so that all that is about it is
/// found without being read, then what tells the searched fields. No two files share a part.
fn key_of(folder: &Path, file: &FileTexts) -> String {
    let fields = short_hash(&format!("{FORMAT}\n{}", file.key));
    format!("{folder}/{}-{fields}", short_hash(file.data_file()))
}

/// Half of a hash: enough to tell the files of a table from each other.
fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// The object that is there when all parts of a file are.
pub(crate) fn list_of(folder: &Path, file: &FileTexts) -> Path {
    list_path(&key_of(folder, file))
}

fn list_path(key: &str) -> Path {
    Path::from(format!("{key}.json"))
}

fn part_path(key: &str, number: usize) -> Path {
    Path::from(format!("{key}.{number}.text"))
}

fn unreadable(path: &Path) -> Error {
    Error::new(Kind::Io, format!("failed to read the text index `{path}`"))
}
