//! The index of a companion with many vectors.
//!
//! In: a companion. Out: the same with an index that covers its vectors, when they are too many to
//! be compared one by one. Vectors that came later are compared exactly until the next time. Not
//! here: searching (`nearest`).

use base::Result;
use lance::index::DatasetIndexExt;
use lance::index::vector::VectorIndexParams;
use lance_index::IndexType;
use lance_index::optimize::OptimizeOptions;

use super::Companions;
use super::nearest::metric_of;
use super::vectors::VectorSpace;
use crate::lance_store::failed;

/// Vectors below which comparing all of them is faster than an index is worth.
const INDEXED_ROWS: usize = 100_000;
/// Bits that a number of a vector is kept with in the index.
const BITS: u8 = 5;
/// Lists of an index at most.
const MOST_LISTS: usize = 4096;
/// The name of the index.
const NAME: &str = "nearest";

impl Companions {
    /// Makes the index, or brings it up to date, when there are vectors enough for one.
    pub(crate) async fn tend_index(&self, space: &VectorSpace) -> Result<()> {
        self.index_from(space, INDEXED_ROWS).await
    }

    /// Vectors that an index should cover and does not.
    pub(crate) async fn unindexed(&self, space: &VectorSpace) -> Result<u64> {
        let wrong = |error| failed("look at a vector index", error);
        let Some(dataset) = self.lance.dataset(&space.dataset, None, None).await? else {
            return Ok(0);
        };
        let rows = dataset.count_rows(None).await.map_err(wrong)?;
        if rows < INDEXED_ROWS {
            return Ok(0);
        }
        let indexes = dataset.load_indices().await.map_err(wrong)?;
        let covered = |fragment: u64| {
            let fragment = u32::try_from(fragment).unwrap_or(u32::MAX);
            let of = indexes.iter().filter(|index| index.name == NAME);
            of.filter_map(|index| index.fragment_bitmap.as_ref())
                .any(|fragments| fragments.contains(fragment))
        };
        let missing = dataset.fragments().iter().filter(|fragment| !covered(fragment.id));
        Ok(missing.filter_map(|fragment| fragment.num_rows()).sum::<usize>() as u64)
    }

    async fn index_from(&self, space: &VectorSpace, least: usize) -> Result<()> {
        let wrong = |error| failed("index vectors", error);
        let Some(dataset) = self.lance.dataset(&space.dataset, None, None).await? else {
            return Ok(());
        };
        let rows = dataset.count_rows(None).await.map_err(wrong)?;
        if rows < least {
            return Ok(());
        }
        let mut dataset = dataset.as_ref().clone();
        let indexes = dataset.load_indices().await.map_err(wrong)?;
        if indexes.iter().any(|index| index.name == NAME) {
            return dataset.optimize_indices(&OptimizeOptions::default()).await.map_err(wrong);
        }
        let lists = rows.isqrt().min(MOST_LISTS);
        let metric = metric_of(space.metric);
        // The compact form needs dimensions that fill bytes.
        let params = if space.dimension.is_multiple_of(8) {
            VectorIndexParams::ivf_rq(lists, BITS, metric)
        } else {
            VectorIndexParams::ivf_flat(lists, metric)
        };
        let name = Some(NAME.to_owned());
        let made = dataset.create_index(&["vector"], IndexType::Vector, name, &params, true).await;
        made.map(|_| ()).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use base::rng::Rng;
    use schema::Metric;

    use super::*;
    use crate::companion::content::{hash_of_text, name_of};
    use crate::companion::held::Held;
    use crate::companion::nearest::{Among, by_index, nearest};
    use crate::companion::vectors::append_vectors;

    const DIMENSION: usize = 16;

    fn vector(rng: &Rng) -> Vec<f32> {
        (0..DIMENSION).map(|_| rng.below(2000) as f32 / 1000.0 - 1.0).collect()
    }

    async fn check(metric: Metric) {
        let companions = Companions::in_memory().await;
        let space = VectorSpace {
            dataset: "_companions/t/own.vectors.lance".into(),
            model: None,
            dimension: DIMENSION,
            metric,
        };
        let rng = Rng::seeded(7);
        let one = |n: usize| (hash_of_text(&n.to_string()), vector(&rng));
        let some = |from: usize| (from..from + 600).map(one).collect();
        append_vectors(&companions, &space, some(0)).await.unwrap();
        companions.index_from(&space, 500).await.unwrap();
        // Vectors that the index does not know yet are found too.
        append_vectors(&companions, &space, some(600)).await.unwrap();
        let dataset = companions.lance.dataset(&space.dataset, None, None).await.unwrap().unwrap();
        assert_eq!(dataset.load_indices().await.unwrap().len(), 1);
        let Held::All(set) = companions.held(&space).await.unwrap() else { panic!("not held") };
        let (mut found, mut asked) = (0, 0);
        for _ in 0..20 {
            let query = vector(&rng);
            let queries = Arc::new(vec![query.clone()]);
            let all = nearest(Arc::clone(&set), metric, queries, 10, Among::All).await.unwrap();
            let flat = by_index(&dataset, &space, &query, 10, true).await.unwrap();
            for ((_, ours), theirs) in all[0].iter().zip(&flat) {
                assert!((ours - theirs.distance).abs() < 1e-4, "{ours:?} {theirs:?}");
            }
            let near = by_index(&dataset, &space, &query, 10, false).await.unwrap();
            let near: HashSet<&str> = near.iter().map(|near| near.hash.as_str()).collect();
            asked += all[0].len();
            found += all[0]
                .iter()
                .filter(|(one, _)| near.contains(name_of(set.content(*one)).as_str()))
                .count();
        }
        assert!(found * 100 >= asked * 95, "recall {found} of {asked} by {metric:?}");
    }

    #[tokio::test]
    async fn the_index_finds_what_exact_search_finds() {
        for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
            check(metric).await;
        }
    }
}
