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
//! statistics choose blocks of rows, also those with the first rows of an order, and decoded blocks of
//! columns are held, so that the next question nearby reads nothing. Columns that only the answer has are read for its rows alone. Data
//! files never change, so what is held is never stale. Not here: questions that need a plan (`scan`).

mod best;
pub(crate) mod blocks;
pub(crate) mod contents;
mod equals;
mod first;
mod gather;
mod near;
pub(crate) mod zones;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{self, SortColumn, SortOptions};
use base::{Error, Kind, Result};
use frame::Evaluate;
use schema::TableFormat;

use self::blocks::BLOCK_ROWS;
use self::equals::{Bound, Equals, is_compared};
use self::first::{After, Block, First, first_of};
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
/// Blocks among which one answer chooses by their bounds.
const MOST_CANDIDATES: usize = 4096;
/// Rows that one answer orders.
const MOST_ROWS: usize = 16 * BLOCK_ROWS;

/// The whole answer, when the question is of this kind.
pub(crate) async fn answer(lake: &Lake, asked: &Asked) -> Result<Option<RecordBatch>> {
    let request = &asked.request;
    if request.limit_by.is_some()
        || !is_followed(asked)?
        || asked.table.format != TableFormat::Iceberg
    {
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

/// Whether rows after a position are found here: by columns whose values compare as they are stored.
fn is_followed(asked: &Asked) -> Result<bool> {
    let request = &asked.request;
    if request.after.is_none() {
        return Ok(true);
    }
    if request.search.is_some() || request.nearest.is_some() {
        return Ok(false);
    }
    for item in &request.order {
        let data_type = &asked.spec(&item.field)?.data_type;
        if !is_compared(data_type) {
            return Ok(false);
        }
    }
    Ok(true)
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
    let is_page = asked.request.predicate.is_none() && !asked.request.order.is_empty();
    let most = if is_page { MOST_CANDIDATES } else { MOST_BLOCKS };
    let Some(blocks) = candidates(provider, equals.as_ref(), &files, most).await? else {
        return Ok(None);
    };
    let after = After::of(asked, provider)?;
    if let Some(after) = &after
        && after.is_wide(provider, &files).await?
    {
        return Ok(None);
    }
    let first = First::of(asked, provider, after.as_ref(), &blocks).await?;
    let deleted = provider.engine.manifests.deleted_rows(&provider.files, &files).await?;
    let question = Question { asked, provider, equals: equals.as_ref(), after, deleted };
    match first {
        Some(first) => question.first(first).await,
        None if blocks.len() > MOST_BLOCKS => Ok(None),
        None => question.places(blocks).await,
    }
}

/// The blocks that may have wanted rows; nothing when they are too many.
async fn candidates<'a>(
    provider: &IcebergProvider,
    equals: Option<&Bound>,
    files: &'a [Arc<FileEntry>],
    most: usize,
) -> Result<Option<Vec<Block<'a>>>> {
    let mut candidates = Vec::new();
    for file in files {
        let blocks = match equals {
            Some(equals) => equals.blocks(provider, file).await?,
            None => (0..blocks::count(file)).collect(),
        };
        candidates.extend(blocks.into_iter().map(|block| (file, block)));
        if candidates.len() > most {
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
    after: Option<After>,
    deleted: DeletedRows,
}

impl Question<'_> {
    /// The living rows that the predicate wants; nothing when they are too many.
    async fn places(&self, blocks: Vec<Block<'_>>) -> Result<Option<Places>> {
        let request = &self.asked.request;
        let any_do = request.order.is_empty() && request.nearest.is_none();
        let enough = any_do.then_some(request.limit).flatten();
        let mut places = Places::default();
        for (file, block) in blocks {
            // Without an order any rows will do.
            if enough.is_some_and(|enough| places.rows.len() >= enough) {
                break;
            }
            places.add(file, block, self.living((file, block)).await?);
            if places.rows.len() > MOST_ROWS {
                return Ok(None);
            }
        }
        Ok(Some(places))
    }

    /// Those rows of them among which the first ones are; nothing when they are too many.
    async fn first(&self, mut first: First<'_>) -> Result<Option<Places>> {
        let mut places = Places::default();
        while let Some((file, block)) = first.next()? {
            let mut rows = self.living((file, block)).await?;
            if !rows.is_empty() {
                let values = self.provider.blocks(file, &[first.column], block).await?;
                rows = first.saw(cut(&values[0], &rows)?, rows)?;
            }
            places.add(file, block, rows);
            if places.rows.len() > MOST_ROWS || first.is_scattered()? {
                return Ok(None);
            }
        }
        Ok(Some(places))
    }

    /// Positions in a block of the living rows that are wanted.
    async fn living(&self, (file, block): Block<'_>) -> Result<Vec<usize>> {
        let mut rows = self.wanted(file, block).await?;
        if let Some(gone) = self.deleted.get(file.file.file_path()) {
            let start = block * BLOCK_ROWS;
            rows.retain(|row| gone.binary_search(&((start + row) as u64)).is_err());
        }
        match &self.after {
            Some(after) => after.rows(self.provider, (file, block), rows).await,
            None => Ok(rows),
        }
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
    first_of(&keys, places.rows.len(), count)
}

/// The values of some rows of a block.
fn cut(values: &ArrayRef, rows: &[usize]) -> Result<ArrayRef> {
    if rows.len() == values.len() {
        return Ok(Arc::clone(values));
    }
    let rows: UInt64Array = rows.iter().map(|row| *row as u64).collect();
    compute::take(values, &rows, None).map_err(unfit)
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Corrupt, "stored rows do not fit the table").caused_by(error)
}
