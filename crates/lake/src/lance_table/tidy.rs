//! Keeps a Lance table quick: few fragments, and an index of its key.
//!
//! ```text
//! table → fragments of one size → joined ones → version → catalog swap
//!       → keys that no index has → index → version → catalog swap
//! ```
//!
//! In: a type. Out: a version that holds the same rows in fewer files, or whose keys an index finds: without
//! it each write by key looks at all rows. Not here: which fragments are worth joining (`lance_fragments`),
//! when (`maintain`), letting old versions go (`maintain::lance_versions`).

use std::collections::HashMap;
use std::sync::Arc;

use base::Result;
use frame::{DataType, Field};
use futures::FutureExt;
use lance::Dataset;
use lance::dataset::CommitBuilder;
use lance::dataset::transaction::{Operation, Transaction};
use lance::index::DatasetIndexExt;
use lance_index::IndexType;
use lance_index::scalar::ScalarIndexParams;
use lance_table::format::{Fragment, IndexMetadata};

use super::{Note, Work};
use crate::Lake;
use crate::commit::contend::contended;
use crate::lake::object_named;
use crate::lance_fragments;

/// Rows that need an index of their keys to be found.
const INDEXED: usize = 10_000;
/// One in so many rows that the index does not have makes it worth making anew.
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
    let joins =
        lance_fragments::plan(&dataset, false).await.map_err(|error| work.writing(error))?;
    Ok(joins.is_some() || worth_indexing(&work, &dataset).await?)
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
    let wrong = |error| work.writing(error);
    let Some(plan) = lance_fragments::plan(&dataset, asked).await.map_err(wrong)? else {
        return Ok(Joined::default());
    };
    lake.inner.budget.take(lance_fragments::read_by(&plan)).await;
    let done = lance_fragments::join(&dataset, &plan).await.map_err(wrong)?;
    let note = Note { operation: "replace", author: "headwater", summary: "compact" };
    work.publish(note, |_| Vec::new()).await?;
    Ok(Joined { removed: done.fragments_removed as u64, added: done.fragments_added as u64 })
}

/// Makes the index of a table's key anew when that is worth it; gives whether it was. Of a key of several
/// columns the first is indexed. It is made beside changes, on the version that is there when it begins, and
/// covers what is left of that version's fragments when it is done: rows that came meanwhile lie in others.
pub(crate) async fn index(lake: &Lake, type_name: &str) -> Result<bool> {
    let made = {
        let schema = lake.schema();
        let object = object_named(&schema, type_name)?;
        let table = lake.table(type_name).await?;
        make(&Work::new(lake, object, &table)).await?
    };
    let Some(made) = made else { return Ok(false) };
    let attempt = |lake: Lake| {
        let made = made.clone();
        async move { use_index(&lake, type_name, made).await }.boxed()
    };
    contended(lake, &[type_name.into()], attempt).await
}

/// An index whose files are written, and the fragments that it was made of.
#[derive(Clone, Debug)]
pub(super) struct Made {
    index: IndexMetadata,
    fragments: Arc<Vec<Fragment>>,
}

/// Writes the index of the key when that is worth it.
pub(super) async fn make(work: &Work<'_>) -> Result<Option<Made>> {
    let Some(dataset) = work.dataset().await? else { return Ok(None) };
    if !worth_indexing(work, &dataset).await? {
        return Ok(None);
    }
    let Some(column) = indexed(work) else { return Ok(None) };
    let mut dataset = dataset.as_ref().clone();
    let fragments = Arc::clone(dataset.fragments());
    let (columns, params) = ([column.name.as_ref()], ScalarIndexParams::default());
    let mut builder = dataset.create_index_builder(&columns, IndexType::BTree, &params);
    builder = builder.name(KEY.to_owned()).replace(true);
    let index = builder.execute_uncommitted().boxed().await.map_err(|error| work.writing(error))?;
    Ok(Some(Made { index, fragments }))
}

/// Makes the version with the index the table's.
async fn use_index(lake: &Lake, type_name: &str, made: Made) -> Result<bool> {
    let schema = lake.schema();
    let object = object_named(&schema, type_name)?;
    let table = lake.table(type_name).await?;
    let work = Work::new(lake, object, &table);
    if !prepare(&work, made).await? {
        return Ok(false);
    }
    let note = Note { operation: "replace", author: "headwater", summary: "index the key" };
    work.publish(note, |_| Vec::new()).await?;
    Ok(true)
}

/// Prepares a version that has the index; gives whether there was anything left for it to find.
pub(super) async fn prepare(work: &Work<'_>, made: Made) -> Result<bool> {
    let Some(dataset) = work.dataset().await? else { return Ok(false) };
    let Made { mut index, fragments } = made;
    let same = unchanged(&fragments, dataset.fragments());
    let has_column = index.fields.iter().all(|id| dataset.schema().field_by_id(*id).is_some());
    if same.is_empty() || !has_column {
        return Ok(false);
    }
    index.fragment_bitmap = Some(same.into_iter().collect());
    let indexes = dataset.load_indices().await.map_err(|error| work.writing(error))?;
    let removed = indexes.iter().filter(|one| one.name == KEY).cloned().collect();
    let operation = Operation::CreateIndex { new_indices: vec![index], removed_indices: removed };
    let change = Transaction::new(dataset.version_id(), operation, None);
    let committed = CommitBuilder::new(Arc::clone(&dataset)).with_max_retries(0);
    let committed = committed.with_skip_auto_cleanup(true).execute(change);
    committed.boxed().await.map_err(|error| work.writing(error))?;
    Ok(true)
}

/// The fragments that have the files they had; those whose rows were deleted are among them.
fn unchanged(before: &[Fragment], now: &[Fragment]) -> Vec<u32> {
    let before: HashMap<u64, &Fragment> = before.iter().map(|one| (one.id, one)).collect();
    let same = |one: &&Fragment| before.get(&one.id).is_some_and(|was| was.files == one.files);
    now.iter().filter(same).filter_map(|one| u32::try_from(one.id).ok()).collect()
}

/// Whether many rows are found by no index.
async fn worth_indexing(work: &Work<'_>, dataset: &Dataset) -> Result<bool> {
    let wrong = |error| work.writing(error);
    let rows = dataset.count_rows(None).await.map_err(wrong)?;
    if rows < INDEXED || indexed(work).is_none() {
        return Ok(false);
    }
    let indexes = dataset.load_indices().await.map_err(wrong)?;
    let index = indexes.iter().find(|index| index.name == KEY);
    let covered = index.and_then(|index| index.fragment_bitmap.as_ref());
    let is_covered = |one: &Fragment| {
        let id = u32::try_from(one.id);
        covered.is_some_and(|covered| id.is_ok_and(|id| covered.contains(id)))
    };
    let others = dataset.fragments().iter().filter(|one| !is_covered(one));
    let missing: usize = others.filter_map(Fragment::num_rows).sum();
    Ok(missing >= INDEXED.max(rows / UNINDEXED))
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
