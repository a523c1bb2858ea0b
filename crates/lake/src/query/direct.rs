//! Answers small questions without planning a query: rows by key, filtered and ordered lists of
//! tables that are not large, the best rows of a text search.
//!
//! ```text
//! ScanRequest → equal values that are demanded → files → blocks → positions that the predicate wants
//!             → the first by order → their rows
//! ```
//!
//! In: a request. Out: the whole answer as one batch, or nothing when the question is of another kind
//! or touches too much; it is then planned as a query. Bounds and buckets choose files, page
//! statistics choose blocks of rows, and decoded blocks of columns are held, so that the next
//! question nearby reads nothing. Columns that only the answer has are read for its rows alone. Data
//! files never change, so what is held is never stale. Not here: questions that need a plan (`scan`).

mod best;
pub(crate) mod blocks;
pub(crate) mod contents;
mod equals;
mod gather;
mod near;
pub(crate) mod zones;

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{self, SortColumn, SortOptions};
use base::{Error, Kind, Result};
use frame::Evaluate;
use schema::TableFormat;

use self::blocks::BLOCK_ROWS;
use self::equals::{Bound, Equals};
use self::gather::{Places, batch};
use super::engine::{View, iceberg_provider};
use super::evaluate::DataFusionEvaluator;
use super::manifests::{DeletedRows, FileEntry};
use super::provider::IcebergProvider;
use super::scan::Asked;
use super::searched::fields_of;
use crate::Lake;

/// Blocks that one answer looks into; a question that needs more is planned.
const MOST_BLOCKS: usize = 64;
/// Rows that one answer orders.
const MOST_ROWS: usize = 16 * BLOCK_ROWS;

/// The whole answer, when the question is of this kind.
pub(crate) async fn answer(lake: &Lake, asked: &Asked) -> Result<Option<RecordBatch>> {
    let request = &asked.request;
    let planned = request.after.is_some() || request.limit_by.is_some();
    if planned || asked.table.format != TableFormat::Iceberg {
        return Ok(None);
    }
    if let Some(nearest) = &request.nearest {
        return near::answer(lake, asked, nearest).await;
    }
    if request.predicate.is_none() && request.limit.is_none() {
        return Ok(None);
    }
    if let Some(search) = &request.search {
        return best::answer(lake, asked, search).await;
    }
    let (engine, object) = (&lake.inner.query, Some(&asked.object));
    let provider =
        iceberg_provider(engine, &asked.table, object, request.at, View::Current).await?;
    let Some(places) = wanted(asked, &provider).await? else { return Ok(None) };
    rows(asked, &provider, &places).await.map(Some)
}

/// The living rows that the predicate wants; nothing when finding them touches too much.
async fn wanted(asked: &Asked, provider: &IcebergProvider) -> Result<Option<Places>> {
    let equals = match asked.request.predicate.as_ref().and_then(Equals::of) {
        Some(equals) => equals.bind(asked, provider)?,
        None => None,
    };
    let files = match &equals {
        Some(equals) => equals.files(provider)?,
        None => provider.files.data.clone(),
    };
    let Some(blocks) = candidates(provider, equals.as_ref(), &files).await? else {
        return Ok(None);
    };
    let deleted = provider.engine.manifests.deleted_rows(&provider.files, &files).await?;
    let question = Question { asked, provider, equals: equals.as_ref(), deleted };
    question.places(blocks).await
}

/// The blocks that may have wanted rows; nothing when they are too many.
async fn candidates<'a>(
    provider: &IcebergProvider,
    equals: Option<&Bound>,
    files: &'a [Arc<FileEntry>],
) -> Result<Option<Vec<(&'a Arc<FileEntry>, usize)>>> {
    let mut candidates = Vec::new();
    for file in files {
        let blocks = match equals {
            Some(equals) => equals.blocks(provider, file).await?,
            None => (0..blocks::count(file)).collect(),
        };
        candidates.extend(blocks.into_iter().map(|block| (file, block)));
        if candidates.len() > MOST_BLOCKS {
            return Ok(None);
        }
    }
    Ok(Some(candidates))
}

/// A request with what it is asked of.
struct Question<'a> {
    asked: &'a Asked,
    provider: &'a IcebergProvider,
    equals: Option<&'a Bound>,
    deleted: DeletedRows,
}

impl Question<'_> {
    /// The living rows that the predicate wants; nothing when they are too many.
    async fn places(&self, blocks: Vec<(&Arc<FileEntry>, usize)>) -> Result<Option<Places>> {
        let request = &self.asked.request;
        let any_do = request.order.is_empty() && request.nearest.is_none();
        let enough = any_do.then_some(request.limit).flatten();
        let mut places = Places::default();
        for (file, block) in blocks {
            // Without an order any rows will do.
            if enough.is_some_and(|enough| places.rows.len() >= enough) {
                break;
            }
            let mut rows = self.wanted(file, block).await?;
            if let Some(gone) = self.deleted.get(file.file.file_path()) {
                let start = block * BLOCK_ROWS;
                rows.retain(|row| gone.binary_search(&((start + row) as u64)).is_err());
            }
            places.add(file, block, rows);
            if places.rows.len() > MOST_ROWS {
                return Ok(None);
            }
        }
        Ok(Some(places))
    }

    /// Positions in a block of the rows that the predicate wants.
    async fn wanted(&self, file: &Arc<FileEntry>, block: usize) -> Result<Vec<usize>> {
        let rows = match self.equals {
            Some(equals) => equals.rows(self.provider, file, block).await?,
            None => (0..blocks::rows(file, block)).collect(),
        };
        let Some(predicate) = &self.asked.request.predicate else { return Ok(rows) };
        if rows.is_empty() || self.equals.is_some_and(|equals| equals.is_all_of_it) {
            return Ok(rows);
        }
        let mut names = Vec::new();
        fields_of(predicate, &mut names);
        let mut places = Places::default();
        places.add(file, block, rows.clone());
        let columns = gather::columns(self.asked, self.provider, &places, &mut names).await?;
        let batch = batch(&names, columns, rows.len())?;
        let viewer = &self.asked.request.principal;
        let holds = DataFusionEvaluator.evaluate(predicate, &batch, viewer)?;
        let holds: &BooleanArray = holds.as_boolean();
        let kept = rows.iter().enumerate();
        let kept = kept.filter(|(at, _)| holds.is_valid(*at) && holds.value(*at));
        Ok(kept.map(|(_, row)| *row).collect())
    }
}

/// The answer: the first rows by order, with the asked columns in their order.
async fn rows(asked: &Asked, provider: &IcebergProvider, places: &Places) -> Result<RecordBatch> {
    let request = &asked.request;
    let count = request.limit.unwrap_or(usize::MAX).min(places.rows.len());
    let chosen = match request.order.is_empty() {
        true => places.first(count),
        false => places.taken(&ordered(asked, provider, places, count).await?),
    };
    let names = asked.field_names();
    let columns = gather::named(asked, provider, &chosen, &names).await?;
    batch(&names, columns, count)
}

/// Which rows come first.
async fn ordered(
    asked: &Asked,
    provider: &IcebergProvider,
    places: &Places,
    count: usize,
) -> Result<Vec<usize>> {
    let order = &asked.request.order;
    for item in order {
        asked.require_order(&item.field)?;
    }
    if places.rows.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = order.iter().map(|item| item.field.as_ref().to_owned()).collect();
    let columns = gather::named(asked, provider, places, &names).await?;
    let keys = order.iter().zip(columns).map(|(item, values)| {
        let options = SortOptions { descending: item.descending, nulls_first: item.nulls_first };
        SortColumn { values, options: Some(options) }
    });
    let keys: Vec<SortColumn> = keys.collect();
    let first = compute::lexsort_to_indices(&keys, Some(count)).map_err(unfit)?;
    Ok(first.values().iter().map(|index| *index as usize).collect())
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Corrupt, "stored rows do not fit the table").caused_by(error)
}
