//! The contents whose vectors are near.
//!
//! In: query vectors and a companion. Out: for each query the nearest contents with their distances:
//! exact as long as the vectors fit into memory, or when the candidates are few; by the index of the
//! companion beyond. Not here: making vectors (`vectors`), rows (`query::near`).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{AsArray, Float32Array};
use arrow::datatypes::Float32Type;
use base::{Error, Kind, Result};
use futures::TryStreamExt;
use lance::Dataset;
use lance_linalg::distance::DistanceType;
use schema::Metric;

use super::vectors::{VectorSet, VectorSpace};
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

/// Which contents are compared.
#[derive(Clone, Debug)]
pub(crate) enum Among {
    /// All.
    All,
    /// Those with these hashes.
    Hashes(Arc<Vec<String>>),
}

/// The distance of two vectors of one length.
pub(crate) fn distance(metric: Metric, left: &[f32], right: &[f32]) -> f32 {
    match metric {
        Metric::L2 => lance_linalg::distance::l2(left, right),
        Metric::Dot => 1.0 - lance_linalg::distance::dot(left, right),
        Metric::Cosine => {
            let dot = lance_linalg::distance::dot(left, right);
            let lengths =
                lance_linalg::distance::dot(left, left) * lance_linalg::distance::dot(right, right);
            if lengths == 0.0 { 1.0 } else { 1.0 - dot / lengths.sqrt() }
        }
    }
}

/// The `count` nearest of a set to each query, nearest first.
pub(crate) async fn exact(
    set: Arc<VectorSet>,
    metric: Metric,
    queries: Arc<Vec<Vec<f32>>>,
    count: usize,
    among: Among,
) -> Result<Vec<Vec<Near>>> {
    base::task::blocking("compare-vectors", move || {
        let positions: Vec<usize> = match &among {
            Among::All => (0..set.hashes.len()).collect(),
            Among::Hashes(hashes) => {
                let mut found: Vec<usize> =
                    hashes.iter().filter_map(|hash| set.position_of(hash)).collect();
                found.sort_unstable();
                found.dedup();
                found
            }
        };
        queries.iter().map(|query| nearest_to(&set, metric, query, count, &positions)).collect()
    })
    .await
}

fn nearest_to(
    set: &VectorSet,
    metric: Metric,
    query: &[f32],
    count: usize,
    positions: &[usize],
) -> Vec<Near> {
    let mut heap: BinaryHeap<Far> = BinaryHeap::with_capacity(count.min(positions.len()) + 1);
    for position in positions {
        let far = Far(distance(metric, query, set.vector(*position)), *position);
        if heap.len() < count {
            heap.push(far);
        } else if heap.peek().is_some_and(|farthest| far < *farthest) {
            heap.pop();
            heap.push(far);
        }
    }
    let near = heap.into_sorted_vec().into_iter();
    near.map(|Far(distance, position)| Near { hash: set.hashes[position].clone(), distance })
        .collect()
}

/// A distance and whose it is; ordered by distance, then position, so that ties are decided.
#[derive(Clone, Copy, Debug)]
struct Far(f32, usize);

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
