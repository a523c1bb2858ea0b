//! Lists of near vectors: an inverted file, held in memory.
//!
//! In: vectors. Out: centres with a list of vectors each, and for a query the lists that have its
//! neighbours. How far a list may be is measured on the vectors themselves: what part of the distance
//! to the nearest centre the lists of true neighbours exceed. A query that is unlike all vectors has
//! many centres about equally far and so looks into more lists. Sources: Jégou, Douze, Schmid,
//! "Product quantization for nearest neighbor search" (2011) §IV for the inverted file; Chen et al.,
//! "SPANN" (2021) §3.3 for choosing lists by the ratio of distances. Not here: exact distances
//! (`nearest`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, FixedSizeListArray, Float32Array};
use arrow::datatypes::{DataType, Field, Float32Type};
use base::{Error, Result};
use lance_index::vector::kmeans::{KMeans, KMeansParams, compute_partitions_arrow_array};
use lance_linalg::distance::{DistanceType, dot, l2_f32};
use schema::Metric;

/// Vectors a list that centres are trained on.
const SAMPLED: usize = 48;
/// Rounds of the training.
const ROUNDS: u32 = 12;
/// Vectors whose true neighbours are looked for to measure the reach.
const MEASURED: usize = 64;
/// Neighbours of each.
const NEIGHBOURS: usize = 10;
/// The part of the true neighbours whose lists are within the reach.
const FOUND: f64 = 0.995;
/// Lists that are looked into at least.
const LEAST: usize = 4;

/// Centres, and which vectors are near each.
#[derive(Debug)]
pub(crate) struct Lists {
    centres: Vec<f32>,
    dimension: usize,
    /// Where each list begins in the order of the vectors, and the end of the last.
    starts: Vec<usize>,
    /// How many times the squared distance of the nearest centre a list's may be.
    reach: f32,
    /// Whether directions are compared, not places.
    of_directions: bool,
}

impl Lists {
    /// Lists of these vectors, and the order that puts the vectors of one list side by side. Nothing
    /// for a metric by which a vector need not be its own nearest.
    pub(super) fn of(
        numbers: &[f32],
        dimension: usize,
        metric: Metric,
    ) -> Result<Option<(Lists, Vec<u32>)>> {
        if metric == Metric::Dot || numbers.is_empty() {
            return Ok(None);
        }
        let of_directions = metric == Metric::Cosine;
        let numbers = match of_directions {
            true => numbers.chunks_exact(dimension).flat_map(direction).collect(),
            false => numbers.to_vec(),
        };
        let count = numbers.len() / dimension;
        let lists = count.isqrt();
        let centres = trained(&numbers, dimension, lists)?;
        let of = assigned(&centres, &numbers, dimension)?;
        let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|position| of[*position as usize]);
        let mut starts = vec![0; lists + 1];
        of.iter().for_each(|list| starts[*list as usize + 1] += 1);
        (0..lists).for_each(|list| starts[list + 1] += starts[list]);
        let mut made = Lists { centres, dimension, starts, reach: 1.0, of_directions };
        made.reach = made.measured(&numbers, &of);
        Ok(Some((made, order)))
    }

    /// Positions of the vectors that are compared with a query.
    pub(super) fn near(&self, query: &[f32]) -> Vec<Range<usize>> {
        let query = match self.of_directions {
            true => direction(query),
            false => query.to_vec(),
        };
        let mut far: Vec<(f32, usize)> = self.distances(&query).zip(0..).collect();
        let least = LEAST.min(far.len());
        if least == 0 {
            return Vec::new();
        }
        far.select_nth_unstable_by(least - 1, |one, other| one.0.total_cmp(&other.0));
        let nearest = far[..least].iter().map(|(far, _)| *far).fold(f32::INFINITY, f32::min);
        let within = nearest * self.reach;
        let chosen = far.iter().enumerate().filter(|(at, (far, _))| *at < least || *far <= within);
        chosen.map(|(_, (_, list))| self.starts[*list]..self.starts[*list + 1]).collect()
    }

    fn distances(&self, query: &[f32]) -> impl Iterator<Item = f32> {
        self.centres.chunks_exact(self.dimension).map(|centre| l2_f32(query, centre))
    }

    /// The ratio within which the lists of nearly all true neighbours are.
    fn measured(&self, numbers: &[f32], of: &[u32]) -> f32 {
        let count = of.len();
        let vector = |position: usize| &numbers[position * self.dimension..][..self.dimension];
        let mut ratios = Vec::with_capacity(MEASURED * NEIGHBOURS);
        for position in (0..count).step_by((count / MEASURED).max(1)) {
            let query = vector(position);
            let centres: Vec<f32> = self.distances(query).collect();
            let nearest = centres.iter().copied().fold(f32::INFINITY, f32::min);
            let others = (0..count).filter(|other| *other != position);
            let mut far: Vec<(f32, usize)> =
                others.map(|other| (l2_f32(query, vector(other)), other)).collect();
            let some = NEIGHBOURS.min(far.len());
            if some == 0 || nearest == 0.0 {
                continue;
            }
            far.select_nth_unstable_by(some - 1, |one, other| one.0.total_cmp(&other.0));
            let lists = far[..some].iter().map(|(_, other)| of[*other] as usize);
            ratios.extend(lists.map(|list| centres[list] / nearest));
        }
        ratios.sort_by(f32::total_cmp);
        let at = (ratios.len() as f64 * FOUND) as usize;
        ratios.get(at.min(ratios.len().saturating_sub(1))).copied().unwrap_or(f32::INFINITY)
    }
}

fn direction(vector: &[f32]) -> Vec<f32> {
    let length = dot(vector, vector).sqrt();
    let length = if length == 0.0 { 1.0 } else { length };
    vector.iter().map(|number| number / length).collect()
}

fn trained(numbers: &[f32], dimension: usize, lists: usize) -> Result<Vec<f32>> {
    let count = numbers.len() / dimension;
    let step = (count / (lists * SAMPLED).max(1)).max(1);
    let sample: Vec<f32> =
        numbers.chunks_exact(dimension).step_by(step).flatten().copied().collect();
    let params = KMeansParams::new(None, ROUNDS, 1, DistanceType::L2);
    let trained = KMeans::new_with_params(&vectors(sample, dimension)?, lists, &params);
    let centres = trained.map_err(unlisted)?.centroids;
    Ok(centres.as_primitive::<Float32Type>().values().to_vec())
}

/// The list of each vector: that of the nearest centre.
fn assigned(centres: &[f32], numbers: &[f32], dimension: usize) -> Result<Vec<u32>> {
    let centres = vectors(centres.to_vec(), dimension)?;
    let numbers = vectors(numbers.to_vec(), dimension)?;
    let assigned = compute_partitions_arrow_array(&centres, &numbers, DistanceType::L2);
    let (lists, _) = assigned.map_err(unlisted)?;
    // A vector that is not a number is near nothing, so any list will do.
    Ok(lists.into_iter().map(|list| list.unwrap_or(0)).collect())
}

fn vectors(numbers: Vec<f32>, dimension: usize) -> Result<FixedSizeListArray> {
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let size = i32::try_from(dimension).unwrap_or(i32::MAX);
    FixedSizeListArray::try_new(item, size, Arc::new(Float32Array::from(numbers)), None)
        .map_err(unlisted)
}

fn unlisted(error: arrow::error::ArrowError) -> Error {
    Error::internal("failed to put vectors into lists").caused_by(error)
}

#[cfg(test)]
mod tests {
    use base::rng::Rng;

    use super::*;

    const DIMENSION: usize = 16;

    fn numbers(count: usize, groups: u64, spread: f32) -> Vec<f32> {
        let rng = Rng::seeded(7);
        let number = || rng.below(1 << 20) as f32 / (1 << 20) as f32 - 0.5;
        let middles: Vec<f32> = (0..groups as usize * DIMENSION).map(|_| number()).collect();
        let near = |_| {
            let middle = &middles[rng.below(groups) as usize * DIMENSION..][..DIMENSION];
            middle.iter().map(|middle| middle + spread * number()).collect::<Vec<f32>>()
        };
        (0..count).flat_map(near).collect()
    }

    /// The part of the true neighbours that the chosen lists have, and the part that is compared.
    fn found(numbers: &[f32], queries: &[f32], metric: Metric) -> (f64, f64) {
        let (lists, order) = Lists::of(numbers, DIMENSION, metric).unwrap().unwrap();
        let count = numbers.len() / DIMENSION;
        let vector = |position: usize| &numbers[position * DIMENSION..][..DIMENSION];
        let (mut hits, mut all, mut compared, mut asked) = (0, 0_u32, 0, 0);
        for query in queries.chunks_exact(DIMENSION) {
            let chosen: Vec<u32> =
                lists.near(query).into_iter().flat_map(|range| order[range].to_vec()).collect();
            let far = |position: usize| match metric {
                Metric::Cosine => 1.0 - dot(&direction(query), &direction(vector(position))),
                _ => l2_f32(query, vector(position)),
            };
            let mut truth: Vec<u32> = (0..count as u32).collect();
            truth.sort_by(|one, other| far(*one as usize).total_cmp(&far(*other as usize)));
            hits += truth[..10].iter().filter(|one| chosen.contains(one)).count();
            (all, compared, asked) = (all + 10, compared + chosen.len(), asked + 1);
        }
        (hits as f64 / f64::from(all), compared as f64 / (asked * count) as f64)
    }

    #[test]
    fn the_lists_of_near_centres_have_the_neighbours() {
        let grouped = numbers(4_000, 60, 0.3);
        for metric in [Metric::L2, Metric::Cosine] {
            let (recall, compared) = found(&grouped, &grouped[..40 * DIMENSION], metric);
            assert!(recall >= 0.97 && compared < 0.5, "{metric:?}: {recall} of {compared}");
        }
    }

    #[test]
    fn where_nothing_is_grouped_and_for_strange_queries_more_is_compared() {
        let flat = numbers(4_000, 4_000, 1.0);
        let strange: Vec<f32> = flat[..40 * DIMENSION].iter().map(|number| 3.0 - number).collect();
        for queries in [&flat[..40 * DIMENSION], &strange] {
            let (recall, _) = found(&flat, queries, Metric::L2);
            assert!(recall >= 0.95, "{recall}");
        }
    }
}
