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
    /// Makes the index, or brings it up to date.
    pub(crate) async fn tend_index(&self, space: &VectorSpace) -> Result<()> {
        let wrong = |error| failed("index vectors", error);
        let Some(dataset) = self.lance.dataset(&space.dataset, None, None).await? else {
            return Ok(());
        };
        let rows = dataset.count_rows(None).await.map_err(wrong)?;
        if rows < INDEXED_ROWS {
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
