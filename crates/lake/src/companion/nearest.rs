//! The contents whose vectors are near.
//!
//! In: query vectors and a companion. Out: for each query the nearest contents with their exact
//! distances: as long as the vectors fit into memory, of all or of the lists that are likely to have
//! them; by the index of the companion beyond. Not here: making vectors (`vectors`), rows (`query::near`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, Float32Array};
use arrow::datatypes::Float32Type;
use base::{Error, Kind, Result};
use futures::TryStreamExt;
use lance::Dataset;
use lance_linalg::distance::{DistanceType, dot, l2_f32};
use schema::Metric;

use super::held::{Part, Position, VectorSet};
use super::vectors::VectorSpace;
use crate::lance_store::failed;

/// How many times more candidates than wanted are compared exactly after the index has chosen.
const REFINE: u32 = 5;
/// Lists of the index that are looked into at least.
const LISTS: usize = 32;

/// A content near a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Near {
    /// The content.
    pub(crate) hash: String,
    /// How far it is.
    pub(crate) distance: f32,
}

/// Which vectors of a set are compared.
#[derive(Clone, Debug)]
pub(crate) enum Among {
    /// Those that can be near, by the lists that they are in.
    Likely,
    /// All.
    All,
    /// These.
    These(Arc<Vec<Position>>),
}

/// A vector of a set near a query.
pub(crate) type NearPosition = (Position, f32);

/// The `count` nearest of a set to each query, nearest first.
pub(crate) async fn nearest(
    set: Arc<VectorSet>,
    metric: Metric,
    queries: Arc<Vec<Vec<f32>>>,
    count: usize,
    among: Among,
) -> Result<Vec<Vec<NearPosition>>> {
    base::task::blocking("compare-vectors", move || {
        let one = |query: &Vec<f32>| Comparison::new(metric, query, count).over(&set, &among);
        queries.iter().map(one).collect()
    })
    .await
}

/// The vectors that are nearest to a query so far.
struct Comparison<'a> {
    metric: Metric,
    query: &'a [f32],
    length: f32,
    count: usize,
    nearest: BinaryHeap<Far>,
}

impl<'a> Comparison<'a> {
    fn new(metric: Metric, query: &'a [f32], count: usize) -> Comparison<'a> {
        let length = dot(query, query).sqrt();
        Comparison { metric, query, length, count, nearest: BinaryHeap::new() }
    }

    fn over(mut self, set: &VectorSet, among: &Among) -> Vec<NearPosition> {
        if let Among::These(positions) = among {
            for (part, position) in positions.iter() {
                let at = *position as usize;
                self.compare(*part, &set.parts()[*part as usize], at..at + 1);
            }
        } else {
            for (number, part) in (0..).zip(set.parts()) {
                let all = || std::iter::once(0..part.len()).collect();
                let likely = part.lists().filter(|_| matches!(among, Among::Likely));
                let ranges: Vec<Range<usize>> =
                    likely.map_or_else(all, |lists| lists.near(self.query));
                ranges.into_iter().for_each(|range| self.compare(number, part, range));
            }
        }
        let nearest = self.nearest.into_sorted_vec().into_iter();
        nearest.map(|Far(distance, position)| (position, distance)).collect()
    }

    fn compare(&mut self, number: u32, part: &Part, range: Range<usize>) {
        for position in range {
            let distance = self.distance(part, position);
            let at = (number, u32::try_from(position).unwrap_or(u32::MAX));
            let far = Far(distance, at);
            if self.nearest.len() < self.count {
                self.nearest.push(far);
            } else if self.nearest.peek().is_some_and(|farthest| far < *farthest) {
                self.nearest.pop();
                self.nearest.push(far);
            }
        }
    }

    /// How far a vector of a part is; a vector without a direction is one away from all.
    fn distance(&self, part: &Part, position: usize) -> f32 {
        let vector = part.vector(position);
        match self.metric {
            Metric::L2 => l2_f32(self.query, vector),
            Metric::Dot => 1.0 - dot(self.query, vector),
            Metric::Cosine => {
                let lengths = self.length * part.length(position);
                if lengths == 0.0 { 1.0 } else { 1.0 - dot(self.query, vector) / lengths }
            }
        }
    }
}

/// A distance and whose it is; ordered by distance, then position, so that ties are decided.
#[derive(Clone, Copy, Debug)]
struct Far(f32, Position);

impl Ord for Far {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Far {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Far {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Far {}

/// The nearest contents by the companion itself: its index, or all of its vectors when `exact`.
pub(crate) async fn by_index(
    dataset: &Arc<Dataset>,
    space: &VectorSpace,
    query: &[f32],
    count: usize,
    exact: bool,
) -> Result<Vec<Near>> {
    let wrong = |error| failed("search vectors", error);
    let query = Float32Array::from(query.to_vec());
    let mut scanner = dataset.scan();
    scanner.project(&["hash"]).map_err(wrong)?.nearest("vector", &query, count).map_err(wrong)?;
    scanner.distance_metric(metric_of(space.metric)).use_index(!exact);
    scanner.minimum_nprobes(LISTS).refine(REFINE);
    let batches: Vec<_> =
        scanner.try_into_stream().await.map_err(wrong)?.try_collect().await.map_err(wrong)?;
    let mut near: Vec<Near> = Vec::with_capacity(count);
    for batch in &batches {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| {
                Error::new(Kind::Internal, format!("a vector search gave no `{name}`"))
            })
        };
        let (hashes, distances) = (column("hash")?, column("_distance")?);
        let (hashes, distances) =
            (hashes.as_string::<i32>(), distances.as_primitive::<Float32Type>());
        for row in 0..batch.num_rows() {
            let hash = hashes.value(row).to_owned();
            if !near.iter().any(|known| known.hash == hash) {
                near.push(Near { hash, distance: distances.value(row) });
            }
        }
    }
    Ok(near)
}

/// Lance's name of a distance.
pub(crate) fn metric_of(metric: Metric) -> DistanceType {
    match metric {
        Metric::L2 => DistanceType::L2,
        Metric::Cosine => DistanceType::Cosine,
        Metric::Dot => DistanceType::Dot,
    }
}
