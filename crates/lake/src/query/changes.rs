//! What became of the rows of a table between two of its states: `frame::Scan::since` and `changes`.
//!
//! ```text
//! files that came and went → their rows → hashes of those that came → rows that went, but did not come again
//!                                                                   → rows that came, but did not go before
//! ```
//!
//! In: two snapshots that are kept. Out: rows by the names of the API. Files say where to look, never what
//! changed: a compaction, or a writer that copies whole files for one row, moves rows, and a row that is
//! the same before and after is none that changed. Memory follows the rows of changed files, of which there
//! may be so many as [`MOST`]. Not here: who listens (`mesh`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use base::{Error, Kind, Result, Scope};
use frame::{BatchStream, ChangesRequest, SnapshotRef, State, WENT};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{Operation, TableMetadata};
use parking_lot::Mutex;
use schema::{ObjectType, TableFormat};

use super::columns::Columns;
use super::engine::{Engine, View, iceberg_provider, snapshot_at};
use super::manifests::FileEntry;
use super::rows::rows_of;
use crate::failure::failed;
use crate::files::Content;
use crate::keys::{KeyHash, hashes};
use crate::lake::object_named;
use crate::read::RowsWanted;
use crate::steps::since::{self, Part};
use crate::{Lake, Table, history, lance_table, shape};

/// Rows of changed files that are compared at once.
const MOST: u64 = 1_000_000;

/// Rows that can be read more than once: all columns, by the names of the API.
pub(crate) type Side =
    Box<dyn Fn() -> BoxFuture<'static, Result<BatchStream>> + Send + Sync + 'static>;

/// Both sides of a comparison.
pub(crate) struct Sides {
    pub(crate) went: Side,
    pub(crate) came: Side,
    /// How many rows each has; at most.
    pub(crate) rows: [u64; 2],
}

impl Lake {
    /// See [`frame::Scan::since`].
    pub(crate) async fn states_since(&self, type_name: &str, from: i64) -> Result<Vec<State>> {
        let table = self.table(type_name).await?;
        match &table.iceberg {
            Some(metadata) => iceberg_states(&table, metadata, from),
            None => lance_table::states_since(self, &table, from).await,
        }
    }

    /// See [`frame::Scan::changes`].
    pub(crate) async fn changed_rows(&self, request: ChangesRequest) -> Result<BatchStream> {
        request.principal.require(Scope::Read)?;
        let schema = self.schema();
        let object = object_named(&schema, &request.table)?;
        let table = self.table(&request.table).await?;
        let sides = match table.format {
            TableFormat::Iceberg => iceberg_sides(self, &table, object, &request).await?,
            TableFormat::Lance => {
                lance_table::sides(self, &table, object, [request.from, request.to]).await?
            }
        };
        let rows: u64 = sides.rows.iter().sum();
        if rows > MOST {
            // Not how many: that would tell of rows that somebody does not see.
            let text = format!("more than {MOST} rows of `{}` changed at once", table.name);
            return Err(Error::new(Kind::LimitExceeded, text)
                .hint("read the table anew, and subscribe after the snapshot of that"));
        }
        compare(sides, request.fields).await
    }
}

/// What is said of a state that is not kept any more.
pub(crate) fn forgotten(table: &Table, from: i64) -> Error {
    let text = format!("snapshot `{from}` of table `{}` is not kept any more", table.name);
    Error::not_found(text).hint(
        "what became of the table since cannot be told: read it anew, and subscribe after that",
    )
}

fn iceberg_states(table: &Table, metadata: &TableMetadata, from: i64) -> Result<Vec<State>> {
    let line = history::line(metadata);
    let first = match from {
        0 => 0,
        from => {
            let known = line.iter().position(|snapshot| snapshot.snapshot_id() == from);
            known.ok_or_else(|| forgotten(table, from))? + 1
        }
    };
    let mut before = from;
    let states = line[first..].iter().map(|snapshot| {
        let id = snapshot.snapshot_id();
        // Where states between are gone, more than this one did may lie before it.
        let follows = snapshot.parent_snapshot_id() == Some(before);
        before = id;
        State { id, is_same: follows && snapshot.summary().operation == Operation::Replace }
    });
    Ok(states.collect())
}

async fn iceberg_sides(
    lake: &Lake,
    table: &Table,
    object: &ObjectType,
    request: &ChangesRequest,
) -> Result<Sides> {
    let metadata = table.iceberg()?;
    let content = async |id: i64| -> Result<Content> {
        let snapshot = match id {
            0 => None,
            id => snapshot_at(table, metadata, Some(SnapshotRef::Id(id)))?,
        };
        lake.files().content(metadata, snapshot.map(AsRef::as_ref)).await
    };
    let (before, now) = (content(request.from).await?, content(request.to).await?);
    let since = since::since(lake, &since::state(&before), &now).await?;
    let rows = [since.gone(), since.rows() - since.gone()];
    // Both sides are seen as the later state is, or rows would differ by how they are looked at.
    let at = (request.to != 0).then_some(SnapshotRef::Id(request.to));
    let engine = Arc::clone(&lake.inner.query);
    let provider = iceberg_provider(&engine, table, Some(object), at, View::Current).await?;
    let files = Arc::new(Read { engine, columns: provider.columns, object: object.clone() });
    let side = |parts: Vec<Part>| -> Side {
        let (files, parts) = (Arc::clone(&files), Arc::new(parts));
        Box::new(move || Arc::clone(&files).rows(Arc::clone(&parts)).boxed())
    };
    Ok(Sides { went: side(since.went), came: side(since.came), rows })
}

/// How files of an Iceberg table are read.
struct Read {
    engine: Arc<Engine>,
    columns: Arc<Columns>,
    object: ObjectType,
}

impl Read {
    async fn rows(self: Arc<Self>, parts: Arc<Vec<Part>>) -> Result<BatchStream> {
        let parts =
            (0..parts.len()).map(move |index| (Arc::clone(&self), Arc::clone(&parts), index));
        let each = futures::stream::iter(parts)
            .then(|(read, parts, index)| async move { read.part(&parts[index]).await });
        Ok(Box::pin(each.try_flatten()))
    }

    async fn part(self: Arc<Self>, part: &Part) -> Result<BatchStream> {
        let file = part.file.data().clone();
        let positions = match &part.rows {
            RowsWanted::Except(gone) if gone.is_empty() => None,
            RowsWanted::Only(rows) => Some(rows.clone()),
            RowsWanted::Except(gone) => {
                let rows = 0..file.record_count();
                Some(rows.filter(|row| gone.binary_search(row).is_err()).collect())
            }
            RowsWanted::Within(_) => return Err(Error::internal("a part of a file has ranges")),
        };
        let sequence = part.file.entry.sequence_number().unwrap_or(0);
        let entry = FileEntry { file, spec_id: part.file.spec_id, sequence };
        let wanted: Vec<usize> = (0..self.columns.schema.fields().len()).collect();
        let rows = rows_of(&self.engine, &self.columns, &entry, &wanted, positions.as_deref());
        let rows = rows.await?;
        Ok(Box::pin(rows.map(move |batch| shape::api_batch(&self.object, &batch?))))
    }
}

/// How often each row of a side is still to be met on the other.
type Counts = HashMap<KeyHash, u32>;

/// The rows that are on one side only.
async fn compare(sides: Sides, fields: Vec<Arc<str>>) -> Result<BatchStream> {
    let [went, came] = sides.rows;
    let counts = match went > 0 && came > 0 {
        true => Some(count((sides.came)().await?).await?),
        // Nothing can have moved.
        false => None,
    };
    let counts = Arc::new(Mutex::new(counts));
    let fields: Arc<[Arc<str>]> = fields.into();
    let mut rows: BatchStream = Box::pin(futures::stream::empty());
    for (is_there, side, went) in [(went > 0, sides.went, true), (came > 0, sides.came, false)] {
        if is_there {
            let (counts, fields) = (Arc::clone(&counts), Arc::clone(&fields));
            // The second side is opened when the first is done: it goes by what is left of the counts.
            let batches = futures::stream::once(async move { side().await }).try_flatten();
            let kept = batches.map(move |batch| keep(&batch?, &counts, &fields, went));
            rows = Box::pin(rows.chain(kept));
        }
    }
    Ok(rows)
}

async fn count(mut rows: BatchStream) -> Result<Counts> {
    let mut counts = Counts::new();
    while let Some(batch) = rows.next().await {
        for hash in hashes(batch?.columns())? {
            *counts.entry(hash).or_default() += 1;
        }
    }
    Ok(counts)
}

/// The rows of a batch that are on its side only, with the asked columns.
fn keep(
    batch: &RecordBatch,
    counts: &Mutex<Option<Counts>>,
    fields: &[Arc<str>],
    went: bool,
) -> Result<RecordBatch> {
    let mut counts = counts.lock();
    let kept = match counts.as_mut() {
        None => None,
        Some(counts) => {
            let hashes = hashes(batch.columns())?;
            let mut kept = Vec::new();
            for (row, hash) in hashes.into_iter().enumerate() {
                let left = counts.get_mut(&hash).filter(|count| **count > 0);
                // A row that went and is still to be met came again; of those that came the ones are new
                // that nothing has met.
                let is_met = left.is_some();
                if let Some(left) = left {
                    *left -= 1;
                }
                if is_met != went {
                    kept.push(row as u64);
                }
            }
            Some(UInt64Array::from(kept))
        }
    };
    let batch = asked(batch, fields, went)?;
    match kept {
        Some(kept) => take_record_batch(&batch, &kept).map_err(failed("choose changed rows")),
        None => Ok(batch),
    }
}

/// The asked columns, and whether the rows went.
fn asked(batch: &RecordBatch, fields: &[Arc<str>], went: bool) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len() + 1);
    let mut shown: Vec<ArrowField> = Vec::with_capacity(fields.len() + 1);
    for name in fields {
        let found = batch.schema_ref().column_with_name(name);
        let (index, field) =
            found.ok_or_else(|| Error::not_found(format!("there is no stored field `{name}`")))?;
        columns.push(Arc::clone(batch.column(index)));
        shown.push(field.clone());
    }
    columns.push(Arc::new(BooleanArray::from(vec![went; batch.num_rows()])));
    shown.push(ArrowField::new(WENT, ArrowType::Boolean, false));
    RecordBatch::try_new(Arc::new(ArrowSchema::new(shown)), columns)
        .map_err(failed("show changed rows"))
}
