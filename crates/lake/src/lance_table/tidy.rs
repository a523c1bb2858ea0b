//! Keeps a Lance table quick: few fragments, and an index of its key.
//!
//! ```text
//! table → fragments of one size → joined ones → version → catalog swap
//!       → keys that no index has → index → version → catalog swap
//! ```
//!
//! In: a type. Out: a version that holds the same rows in fewer files, or whose keys an index finds: without
//! it each write by key looks at all rows. Fragments are joined with those of about their size, so that a
//! row is written anew as often as its fragment grows by a step. Not here: when (`maintain`), letting old
//! versions go (`maintain::lance_versions`).

use std::sync::Arc;

use base::Result;
use frame::{DataType, Field};
use futures::FutureExt;
use lance::Dataset;
use lance::dataset::optimize::{CompactionOptions, compact_files};
use lance::index::DatasetIndexExt;
use lance_index::IndexType;
use lance_index::optimize::OptimizeOptions;
use lance_index::scalar::ScalarIndexParams;

use super::{Note, Work};
use crate::Lake;
use crate::commit::contend::contended;
use crate::lake::object_named;

/// Rows up to which fragments are of one size; larger ones are left alone.
const SIZES: [usize; 3] = [4_096, 65_536, 1 << 20];
/// Fragments of one size that are worth joining without being asked.
const MANY: usize = 16;
/// Rows that need an index of their keys to be found.
const INDEXED: usize = 10_000;
/// One in so many rows that the index does not have makes it worth bringing up to date.
const UNINDEXED: usize = 10;
/// The name of the index.
const KEY: &str = "key";

/// Fragments before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) removed: u64,
    pub(crate) added: u64,
}

/// Whether there is anything to do that is worth it.
pub(crate) async fn is_due(lake: &Lake, type_name: &str) -> Result<bool> {
    let schema = lake.schema();
    let object = object_named(&schema, type_name)?;
    let table = lake.table(type_name).await?;
    let work = Work::new(lake, object, &table);
    let Some(dataset) = work.dataset().await? else { return Ok(false) };
    Ok(worth_joining(&dataset, false).is_some() || worth_indexing(&work, &dataset).await?.is_some())
}

/// Joins fragments: those of a size of which there are many, or, when somebody asked for it, all that are small
/// or have deleted rows.
pub(crate) async fn join(lake: &Lake, type_name: &str, asked: bool) -> Result<Joined> {
    let attempt = |lake: Lake| async move { try_join(&lake, type_name, asked).await }.boxed();
    contended(lake, &[type_name.into()], attempt).await
}

async fn try_join(lake: &Lake, type_name: &str, asked: bool) -> Result<Joined> {
    let schema = lake.schema();
    let object = object_named(&schema, type_name)?;
    let table = lake.table(type_name).await?;
    let work = Work::new(lake, object, &table);
    let Some(dataset) = work.dataset().await? else { return Ok(Joined::default()) };
    let Some(rows) = worth_joining(&dataset, asked) else { return Ok(Joined::default()) };
    lake.inner.budget.take(bytes_below(&dataset, rows)).await;
    let options = CompactionOptions {
        target_rows_per_fragment: rows,
        materialize_deletions_threshold: if asked { 0.0 } else { 0.1 },
        ..CompactionOptions::default()
    };
    let mut dataset = dataset.as_ref().clone();
    let done = compact_files(&mut dataset, options, None).boxed().await;
    let done = done.map_err(|error| work.writing(error))?;
    if done.fragments_removed == 0 {
        return Ok(Joined::default());
    }
    let note = Note { operation: "replace", author: "headwater", summary: "compact" };
    work.publish(note, |_| Vec::new()).await?;
    Ok(Joined { removed: done.fragments_removed as u64, added: done.fragments_added as u64 })
}

/// Rows below which fragments are to be joined.
fn worth_joining(dataset: &Dataset, asked: bool) -> Option<usize> {
    let sizes: Vec<usize> = dataset.fragments().iter().filter_map(|one| one.num_rows()).collect();
    match asked {
        true => SIZES.last().copied(),
        false => {
            SIZES.into_iter().find(|size| sizes.iter().filter(|rows| *rows < size).count() >= MANY)
        }
    }
}

/// Bytes of the fragments with fewer rows.
fn bytes_below(dataset: &Dataset, rows: usize) -> u64 {
    let small = dataset.fragments().iter().filter(|one| one.num_rows().is_none_or(|n| n < rows));
    let files = small.flat_map(|fragment| &fragment.files);
    files.filter_map(|file| file.file_size_bytes.get()).map(|bytes| bytes.get()).sum()
}

/// Makes the index of a table's key, or brings it up to date, when that is worth it; gives whether it was.
/// Of a key of several columns the first is indexed.
pub(crate) async fn index(lake: &Lake, type_name: &str) -> Result<bool> {
    let attempt = |lake: Lake| async move { try_index(&lake, type_name).await }.boxed();
    contended(lake, &[type_name.into()], attempt).await
}

async fn try_index(lake: &Lake, type_name: &str) -> Result<bool> {
    let schema = lake.schema();
    let object = object_named(&schema, type_name)?;
    let table = lake.table(type_name).await?;
    let work = Work::new(lake, object, &table);
    let Some(column) = indexed(&work) else { return Ok(false) };
    let Some(dataset) = work.dataset().await? else { return Ok(false) };
    let Some(is_new) = worth_indexing(&work, &dataset).await? else { return Ok(false) };
    let mut dataset = dataset.as_ref().clone();
    if is_new {
        let (name, params) = (Some(KEY.to_owned()), ScalarIndexParams::default());
        let columns = [column.name.as_ref()];
        let made = dataset.create_index(&columns, IndexType::BTree, name, &params, true);
        made.boxed().await.map_err(|error| work.writing(error))?;
    } else {
        let options = OptimizeOptions::default().index_names(vec![KEY.to_owned()]);
        let brought = dataset.optimize_indices(&options).boxed().await;
        brought.map_err(|error| work.writing(error))?;
    }
    let note = Note { operation: "replace", author: "headwater", summary: "index the key" };
    work.publish(note, |_| Vec::new()).await?;
    Ok(true)
}

/// Whether an index of the key is to be made, or brought up to date; `None` when neither is worth it.
async fn worth_indexing(work: &Work<'_>, dataset: &Arc<Dataset>) -> Result<Option<bool>> {
    let wrong = |error| work.writing(error);
    let rows = dataset.count_rows(None).await.map_err(wrong)?;
    if rows < INDEXED || indexed(work).is_none() {
        return Ok(None);
    }
    let indexes = dataset.load_indices().await.map_err(wrong)?;
    let mut covered = indexes.iter().filter(|index| index.name == KEY).peekable();
    if covered.peek().is_none() {
        return Ok(Some(true));
    }
    let covered: Vec<_> = covered.filter_map(|index| index.fragment_bitmap.as_ref()).collect();
    let is_covered = |id: u64| {
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        covered.iter().any(|fragments| fragments.contains(id))
    };
    let others = dataset.fragments().iter().filter(|fragment| !is_covered(fragment.id));
    let missing: usize = others.filter_map(|fragment| fragment.num_rows()).sum();
    Ok((missing >= INDEXED.max(rows / UNINDEXED)).then_some(false))
}

/// The column of the key that can be found by the order of its values.
fn indexed<'a>(work: &'a Work<'_>) -> Option<&'a Field> {
    let first = work.key.first().map(|at| &work.fields[*at])?;
    let is_ordered = matches!(
        first.data_type,
        DataType::String | DataType::Int | DataType::Long | DataType::Date | DataType::DateTime
    );
    is_ordered.then_some(first)
}
