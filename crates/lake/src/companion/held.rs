//! The vectors of a companion in memory.
//!
//! ```text
//! newest version → held already | held before: what was added since | all of it → parts
//!                → one part in lists, made beside the answers
//! ```
//!
//! In: a companion that is small enough. Out: its vectors in parts that never change, for exact
//! search or by lists of near ones. A companion only grows, so a newer version adds a part; many or
//! large new parts are joined and put into lists in the background, and are compared one by one until
//! then. Not here: which vectors are near (`nearest`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use arrow::record_batch::RecordBatch;
use base::Result;
use futures::StreamExt;
use lance::Dataset;
use lance_linalg::distance::dot;
use schema::Metric;

use super::content::{Content, content_named};
use super::lists::Lists;
use super::places::{Fragments, filters};
use super::vectors::VectorSpace;
use super::{Companions, HELD_VECTOR_BYTES};
use crate::lance_store::failed;

/// Bytes that are held for a vector beside its numbers.
const BESIDE: usize = 128;
/// Vectors below which comparing all is as fast as choosing lists.
const LISTED: usize = 20_000;
/// Parts past which they are joined.
const MOST_PARTS: usize = 8;

/// The vectors of a companion at one version.
#[derive(Debug, Default)]
pub(crate) struct VectorSet {
    parts: Vec<Arc<Part>>,
    /// What was read: the manifest of the version, and the fragments of it.
    manifest: String,
    fragments: Fragments,
}

/// Vectors that were read together.
#[derive(Debug)]
pub(crate) struct Part {
    /// Contents, in the order of the vectors.
    contents: Vec<Content>,
    /// The vectors one after another.
    numbers: Vec<f32>,
    /// The Euclidean length of each vector.
    lengths: Vec<f32>,
    dimension: usize,
    positions: HashMap<Content, u32>,
    lists: Option<Lists>,
    /// Whether it has been through the making of lists, also when it can have none.
    settled: bool,
}

/// A vector of a set: its part, and where it stands there.
pub(crate) type Position = (u32, u32);

impl VectorSet {
    /// How many vectors there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// The parts, which together are all.
    pub(crate) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// Where the vector of a content stands.
    pub(crate) fn position_of(&self, content: &Content) -> Option<Position> {
        self.parts.iter().enumerate().find_map(|(part, held)| {
            let position = held.positions.get(content)?;
            Some((u32::try_from(part).ok()?, *position))
        })
    }

    /// The content of a vector.
    pub(crate) fn content(&self, (part, position): Position) -> &Content {
        &self.parts[part as usize].contents[position as usize]
    }

    /// The vector of a content that is named in hex.
    pub(crate) fn vector_of(&self, hash: &str) -> Option<&[f32]> {
        let (part, position) = self.position_of(&content_named(hash)?)?;
        Some(self.parts[part as usize].vector(position as usize))
    }

    fn weight(&self) -> usize {
        self.parts.iter().map(|part| part.numbers.len() * 4 + part.len() * BESIDE).sum()
    }

    /// Whether many vectors have not been put into lists, or are in too many parts.
    fn is_untidy(&self) -> bool {
        let loose: usize =
            self.parts.iter().filter(|part| !part.settled).map(|part| part.len()).sum();
        self.parts.len() > MOST_PARTS || loose >= LISTED.max(self.len() / 4)
    }

    /// The same vectors in one part.
    fn joined(&self, metric: Metric) -> VectorSet {
        let dimension = self.parts.first().map_or(0, |part| part.dimension);
        let mut all = Part::new(dimension, self.len());
        for part in &self.parts {
            for position in 0..part.len() {
                all.push(part.contents[position], part.vector(position));
            }
        }
        let part = match all.len() >= LISTED {
            true => all.in_lists(metric),
            false => all,
        };
        VectorSet {
            parts: vec![Arc::new(part)],
            manifest: self.manifest.clone(),
            fragments: self.fragments.clone(),
        }
    }
}

impl Part {
    fn new(dimension: usize, rows: usize) -> Part {
        Part {
            contents: Vec::with_capacity(rows),
            numbers: Vec::with_capacity(rows * dimension),
            lengths: Vec::with_capacity(rows),
            dimension,
            positions: HashMap::with_capacity(rows),
            lists: None,
            settled: false,
        }
    }

    /// How many vectors there are.
    pub(crate) fn len(&self) -> usize {
        self.contents.len()
    }

    /// The vector at a position.
    pub(crate) fn vector(&self, position: usize) -> &[f32] {
        &self.numbers[position * self.dimension..(position + 1) * self.dimension]
    }

    /// The Euclidean length of the vector at a position.
    pub(crate) fn length(&self, position: usize) -> f32 {
        self.lengths[position]
    }

    /// The lists that the vectors are in, if they are.
    pub(crate) fn lists(&self) -> Option<&Lists> {
        self.lists.as_ref()
    }

    fn push(&mut self, content: Content, vector: &[f32]) {
        self.positions.insert(content, u32::try_from(self.contents.len()).unwrap_or(u32::MAX));
        self.contents.push(content);
        self.numbers.extend_from_slice(vector);
        self.lengths.push(dot(vector, vector).sqrt());
    }

    /// Adds vectors of contents that no earlier part has; two processes may have stored the same.
    fn add(&mut self, batch: &RecordBatch, before: &[Arc<Part>]) {
        let hashes = batch.column(0).as_string::<i32>();
        let vectors = batch.column(1).as_fixed_size_list();
        let numbers = vectors.values().as_primitive::<Float32Type>().values();
        for row in 0..batch.num_rows() {
            let Some(content) = content_named(hashes.value(row)) else { continue };
            let known = before.iter().any(|part| part.positions.contains_key(&content));
            if known || self.positions.contains_key(&content) {
                continue;
            }
            let start = (vectors.offset() + row) * self.dimension;
            self.push(content, &numbers[start..start + self.dimension]);
        }
    }

    /// The same vectors in lists, when they can be: all are compared where they cannot.
    fn in_lists(self, metric: Metric) -> Part {
        let made = Lists::of(&self.numbers, self.dimension, metric).unwrap_or_else(|error| {
            tracing::warn!(%error, "vectors stay without lists");
            None
        });
        let Some((lists, order)) = made else { return Part { settled: true, ..self } };
        let mut part = Part::new(self.dimension, self.len());
        for position in order {
            part.push(self.contents[position as usize], self.vector(position as usize));
        }
        Part { lists: Some(lists), settled: true, ..part }
    }
}

/// The vectors of these contents.
pub(crate) async fn subset(
    dataset: &Arc<Dataset>,
    dimension: usize,
    hashes: &[String],
) -> Result<VectorSet> {
    let wrong = |error| failed("read a companion", error);
    let mut part = Part::new(dimension, hashes.len());
    for filter in filters(hashes) {
        let mut scanner = dataset.scan();
        scanner.project(&["hash", "vector"]).map_err(wrong)?.filter(&filter).map_err(wrong)?;
        let mut batches = scanner.try_into_stream().await.map_err(wrong)?;
        while let Some(batch) = batches.next().await {
            part.add(&batch.map_err(wrong)?, &[]);
        }
    }
    Ok(VectorSet { parts: vec![Arc::new(part)], ..VectorSet::default() })
}

/// A companion as it can be searched.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// It has no vectors.
    Nothing,
    /// All of its vectors.
    All(Arc<VectorSet>),
    /// Too many to be held.
    Beyond(Arc<Dataset>),
}

impl Companions {
    /// The vectors of a companion, all of them when they are few enough to be held.
    pub(crate) async fn held(&self, space: &VectorSpace) -> Result<Held> {
        let Some(manifest) = self.lance.newest_manifest(&space.dataset).await? else {
            return Ok(Held::Nothing);
        };
        let of_now = |set: &Arc<VectorSet>| set.manifest == manifest.path;
        if let Some(set) = self.held.get(&space.dataset).filter(of_now) {
            // The lists of another companion may have been under way when it was read.
            self.tidy(space, &set);
            return Ok(Held::All(set));
        }
        let _turn = self.reading.lock().await;
        let before = self.held.get(&space.dataset);
        if let Some(set) = before.clone().filter(of_now) {
            return Ok(Held::All(set));
        }
        let version = Some(manifest.version);
        let Some(dataset) = self.lance.dataset(&space.dataset, version, None).await? else {
            return Ok(Held::Nothing);
        };
        let wrong = |error| failed("read vectors", error);
        let rows = dataset.count_rows(None).await.map_err(wrong)?;
        if rows.saturating_mul(space.dimension * size_of::<f32>() + BESIDE) > HELD_VECTOR_BYTES {
            return Ok(Held::Beyond(dataset));
        }
        let set = read(&dataset, space.dimension, before, manifest.path).await?;
        let set = Arc::new(set);
        self.held.put(space.dataset.clone(), Arc::clone(&set), set.weight());
        self.tidy(space, &set);
        Ok(Held::All(set))
    }

    /// Puts the vectors of a set into lists, beside the answers that go on with it as it is.
    fn tidy(&self, space: &VectorSpace, set: &Arc<VectorSet>) {
        if !set.is_untidy() {
            return;
        }
        let mut under_way = self.tidying.lock();
        if under_way.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (held, set, space) = (Arc::clone(&self.held), Arc::clone(set), space.clone());
        *under_way = Some(base::task::spawn("list-vectors", async move {
            let (from, metric) = (Arc::clone(&set), space.metric);
            let joined = base::task::blocking("list-vectors", move || from.joined(metric)).await;
            match joined {
                Ok(joined) => replace(&held, &space, &set, joined),
                Err(error) => tracing::warn!(%error, "vectors stay without lists"),
            }
        }));
    }
}

/// Holds the joined set instead of the one that it was made of, with the parts that came meanwhile.
fn replace(held: &super::HeldSets, space: &VectorSpace, from: &VectorSet, joined: VectorSet) {
    let Some(now) = held.get(&space.dataset) else { return };
    let same = now.parts.len() >= from.parts.len()
        && now.parts.iter().zip(&from.parts).all(|(one, other)| Arc::ptr_eq(one, other));
    if !same {
        return;
    }
    let later = now.parts[from.parts.len()..].iter().cloned();
    let set = VectorSet {
        parts: joined.parts.into_iter().chain(later).collect(),
        manifest: now.manifest.clone(),
        fragments: now.fragments.clone(),
    };
    let weight = set.weight();
    held.put(space.dataset.clone(), Arc::new(set), weight);
}

/// The vectors of a version: what is new in it when it has all that was read before.
async fn read(
    dataset: &Arc<Dataset>,
    dimension: usize,
    before: Option<Arc<VectorSet>>,
    manifest: String,
) -> Result<VectorSet> {
    let wrong = |error| failed("read vectors", error);
    let fragments = Fragments::of(dataset);
    let before = before.filter(|before| before.fragments.lead_to(&fragments));
    let (mut parts, known) = match &before {
        Some(before) => (before.parts.clone(), before.fragments.clone()),
        None => (Vec::new(), Fragments::default()),
    };
    let new = known.missing(dataset);
    if !new.is_empty() {
        let rows = new.iter().filter_map(|fragment| fragment.num_rows()).sum();
        let mut part = Part::new(dimension, rows);
        let mut scanner = dataset.scan();
        scanner.project(&["hash", "vector"]).map_err(wrong)?.with_fragments(new);
        let mut batches = scanner.try_into_stream().await.map_err(wrong)?;
        while let Some(batch) = batches.next().await {
            part.add(&batch.map_err(wrong)?, &parts);
        }
        // Fragments that were joined hold what was read before.
        if part.len() > 0 {
            parts.push(Arc::new(part));
        }
    }
    Ok(VectorSet { parts, manifest, fragments })
}
