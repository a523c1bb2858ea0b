//! The vectors of one field's contents, and how missing ones come to be.
//!
//! In: the contents of a field, data file by data file. Out: a companion with one vector for each
//! content that has one. A data file never changes, so it is looked at once. Not here: searching
//! (`nearest`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use meta::Param;
use schema::{Metric, VectorSpec};

use super::Companions;
use super::content::{hash_of_text, hash_of_vector};
use super::media::{DECODED_AT_ONCE, MediaVariant};
use crate::steps::Between;
use crate::{Lake, Table};

/// Vectors that are made before they are stored.
const MADE_AT_ONCE: usize = 1024;

/// Where the vectors of one model for one table lie. It outlives the names of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VectorSpace {
    /// Path of the companion.
    pub(crate) dataset: String,
    /// The model; none when the user brings vectors.
    pub(crate) model: Option<Arc<str>>,
    /// Numbers a vector has.
    pub(crate) dimension: usize,
    /// The distance.
    pub(crate) metric: Metric,
}

impl VectorSpace {
    /// The space of a field.
    pub(crate) fn of(table: &Table, spec: &VectorSpec) -> VectorSpace {
        let model = spec.model.as_deref().unwrap_or("own");
        // A model's name is a file's name, which may hold anything.
        let folder = if model.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            model.to_owned()
        } else {
            blake3::hash(model.as_bytes()).to_hex().to_string()
        };
        VectorSpace {
            dataset: format!("_companions/{}/{folder}-{}.vectors.lance", table.id, spec.dimension),
            model: spec.model.clone(),
            dimension: spec.dimension as usize,
            metric: spec.metric,
        }
    }
}

/// Stores vectors of contents that have none yet.
pub(crate) async fn append_vectors(
    companions: &Companions,
    space: &VectorSpace,
    vectors: Vec<(String, Vec<f32>)>,
) -> Result<()> {
    let mut new: HashMap<&str, &[f32]> = HashMap::new();
    for (hash, vector) in &vectors {
        if vector.len() != space.dimension {
            let (has, wants) = (vector.len(), space.dimension);
            return Err(Error::invalid(format!("a vector has {has} numbers instead of {wants}")));
        }
        new.insert(hash, vector);
    }
    let asked: Vec<&str> = new.keys().copied().collect();
    if let Some(found) = companions.find(&space.dataset, &asked).await? {
        new.retain(|hash, _| !found.has(hash));
    }
    if new.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(&str, &[f32])> = new.into_iter().collect();
    rows.sort_by_key(|(hash, _)| *hash);
    companions.lance.append(&space.dataset, vec![batch_of(&rows, space.dimension)?]).await
}

fn batch_of(rows: &[(&str, &[f32])], dimension: usize) -> Result<RecordBatch> {
    let hashes = StringArray::from_iter_values(rows.iter().map(|(hash, _)| *hash));
    let numbers: Float32Array =
        rows.iter().flat_map(|(_, vector)| vector.iter().copied()).map(Some).collect();
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let size = i32::try_from(dimension).unwrap_or(i32::MAX);
    let wrong = |error| Error::new(Kind::Internal, "failed to store vectors").caused_by(error);
    let vectors = FixedSizeListArray::try_new(Arc::clone(&item), size, Arc::new(numbers), None)
        .map_err(wrong)?;
    let schema = Schema::new(vec![
        Field::new("hash", DataType::Utf8, false),
        Field::new("vector", DataType::FixedSizeList(item, size), false),
    ]);
    let arrays: Vec<ArrayRef> = vec![Arc::new(hashes), Arc::new(vectors)];
    RecordBatch::try_new(Arc::new(schema), arrays).map_err(wrong)
}

/// The way of a work that makes vectors, for whoever waits for it.
pub(crate) struct Making<'a> {
    progress: &'a (dyn Fn(u64, u64) + Send + Sync),
    between: Between<'a>,
    done: u64,
    /// Rows that are to be looked at; 0 when that is not known.
    pub(crate) of: u64,
}

impl<'a> Making<'a> {
    /// `progress` hears how many rows were looked at, of how many; `between` is asked after some, and may
    /// end the work there: what was made stays.
    pub(crate) fn new(
        progress: &'a (dyn Fn(u64, u64) + Send + Sync),
        between: Between<'a>,
    ) -> Making<'a> {
        Making { progress, between, done: 0, of: 0 }
    }

    /// Nobody hears of it.
    pub(crate) fn silent() -> Making<'static> {
        let between = &|_: u64| -> BoxFuture<'static, Result<()>> { Box::pin(async { Ok(()) }) };
        Making::new(&|_, _| {}, between)
    }

    async fn made(&mut self, rows: u64) -> Result<()> {
        self.done += rows;
        (self.progress)(self.done, self.of);
        (self.between)(rows).await
    }
}

/// Contents of one data file whose vectors may be missing.
pub(crate) struct FileContents {
    /// The file's location.
    pub(crate) file: String,
    /// The field's column: media, text or vectors.
    pub(crate) column: frame::BatchStream,
}

impl Companions {
    /// Files whose contents all have their vectors, if they can have any. Once a file is among them,
    /// it stays there as long as the vectors do; so a held answer is good for all that it has, and
    /// only a file that it lacks makes it be asked for again.
    pub(crate) async fn seen_files(
        &self,
        space: &VectorSpace,
        files: &[String],
    ) -> Result<Arc<HashSet<String>>> {
        if let Some(held) = self.seen.get(&space.dataset)
            && files.iter().all(|file| held.contains(file))
        {
            return Ok(held);
        }
        let sql = "SELECT file FROM lake_vector_files WHERE dataset = $1";
        let rows = self.database.query(sql, &[space.dataset.as_str().into()]).await?;
        let seen = rows.iter().map(|row| row.text("file")).collect::<Result<HashSet<String>>>()?;
        let weight = seen.iter().map(|file| file.len() + 64).sum::<usize>();
        let seen = Arc::new(seen);
        self.seen.put(space.dataset.clone(), Arc::clone(&seen), weight);
        Ok(seen)
    }

    async fn mark_seen(&self, space: &VectorSpace, file: &str) -> Result<()> {
        let sql = "INSERT INTO lake_vector_files (dataset, file) VALUES ($1, $2) \
                   ON CONFLICT (dataset, file) DO NOTHING";
        let params: [Param; 2] = [space.dataset.as_str().into(), file.into()];
        self.database.execute(sql, &params).await.map(|_| ())
    }

    /// Forgets which files were looked at, so that they are looked at again.
    pub(crate) async fn forget_seen(&self, space: &VectorSpace) -> Result<()> {
        self.seen.put(space.dataset.clone(), Arc::default(), 0);
        let sql = "DELETE FROM lake_vector_files WHERE dataset = $1";
        self.database.execute(sql, &[space.dataset.as_str().into()]).await.map(|_| ())
    }

    /// Forgets the same of all companions below a folder.
    pub(crate) async fn forget_seen_below(&self, folder: &str) -> Result<()> {
        let sql = "DELETE FROM lake_vector_files WHERE dataset LIKE $1";
        self.database.execute(sql, &[format!("{folder}/%").into()]).await.map(|_| ())
    }
}

impl Lake {
    /// Makes the vectors that the contents of a file lack.
    pub(crate) async fn make_vectors(
        &self,
        table: &Table,
        space: &VectorSpace,
        mut contents: FileContents,
        making: &mut Making<'_>,
    ) -> Result<()> {
        let companions = &self.inner.companions;
        let _turn = companions.making.lock().await;
        while let Some(batch) = contents.column.try_next().await? {
            let mut from = 0;
            while from < batch.num_rows() {
                let rows = MADE_AT_ONCE.min(batch.num_rows() - from);
                let column = batch.column(0).slice(from, rows);
                let made = self.vectors_of(table, space, &column).await?;
                append_vectors(companions, space, made).await?;
                making.made(rows as u64).await?;
                from += rows;
            }
        }
        companions.mark_seen(space, &contents.file).await
    }

    async fn vectors_of(
        &self,
        table: &Table,
        space: &VectorSpace,
        column: &ArrayRef,
    ) -> Result<Vec<(String, Vec<f32>)>> {
        match column.data_type() {
            DataType::FixedSizeList(..) => Ok(own_vectors(column)),
            DataType::Utf8 => self.text_vectors(space, column).await,
            _ => self.media_vectors(table, space, column).await,
        }
    }

    async fn text_vectors(
        &self,
        space: &VectorSpace,
        column: &ArrayRef,
    ) -> Result<Vec<(String, Vec<f32>)>> {
        let Some(name) = &space.model else { return Ok(Vec::new()) };
        let model = self.inner.companions.model(name)?;
        let texts: HashMap<String, String> = column
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(|text| (hash_of_text(text), text.to_owned()))
            .collect();
        let missing = self.missing(space, texts.keys().cloned().collect()).await?;
        base::task::blocking("embed-text", move || {
            missing
                .into_iter()
                .map(|hash| {
                    let vector = model.embed_text(&texts[&hash])?;
                    Ok((hash, vector))
                })
                .collect()
        })
        .await?
    }

    async fn media_vectors(
        &self,
        table: &Table,
        space: &VectorSpace,
        column: &ArrayRef,
    ) -> Result<Vec<(String, Vec<f32>)>> {
        let Some(name) = &space.model else { return Ok(Vec::new()) };
        let model = self.inner.companions.model(name)?;
        let hashes = super::content::hashes(column).map_err(|error| {
            Error::new(Kind::Corrupt, "a media column has no hashes").caused_by(error)
        })?;
        let hashes: HashSet<String> = hashes.iter().flatten().map(str::to_owned).collect();
        let missing = stream::iter(self.missing(space, hashes).await?);
        let made = missing.map(|hash| self.media_vector(table, &model, hash));
        let made = made.buffered(DECODED_AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(made.into_iter().flatten().collect())
    }

    /// The vector of a medium; nothing when its bytes are not there.
    async fn media_vector(
        &self,
        table: &Table,
        model: &Arc<::media::Model>,
        hash: String,
    ) -> Result<Option<(String, Vec<f32>)>> {
        let Some(bytes) = self.media_bytes(table, &hash, MediaVariant::Original).await? else {
            return Ok(None);
        };
        let model = Arc::clone(model);
        let vector = base::task::blocking("embed-media", move || {
            let decoded = ::media::decode(&bytes, &::media::Limits::default())?;
            model.embed_image(&decoded.image)
        });
        Ok(Some((hash, vector.await??)))
    }

    async fn missing(&self, space: &VectorSpace, hashes: HashSet<String>) -> Result<Vec<String>> {
        let mut hashes = hashes;
        let asked: Vec<&str> = hashes.iter().map(String::as_str).collect();
        if let Some(found) = self.inner.companions.find(&space.dataset, &asked).await? {
            hashes.retain(|hash| !found.has(hash));
        }
        let mut missing: Vec<String> = hashes.into_iter().collect();
        missing.sort();
        Ok(missing)
    }
}

fn own_vectors(column: &ArrayRef) -> Vec<(String, Vec<f32>)> {
    let vectors = column.as_fixed_size_list().iter().flatten().map(|vector| {
        let numbers = vector.as_primitive::<Float32Type>().values().to_vec();
        (hash_of_vector(&numbers), numbers)
    });
    vectors.collect()
}
