//! What became of rows as a caller sees them who does not see all of a table.
//!
//! ```text
//! rows that went, rows that came → those that are seen → masks → what of that is as it was before
//! ```
//!
//! In: the changes of a table. Out: the changes of what the caller sees of it, as if he had read it before
//! and after: a row that he sees no more went, one that he has come to see came, and one of which only
//! changed what he does not see is marked, so that nobody tells of it. Not here: who listens (`subscribe`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, SortField};
use base::{Error, Result};
use frame::{BatchStream, ChangesSeen, Expr, SAME, WENT};
use futures::StreamExt;

use super::mask::{Masks, failed};

/// The policies of one type for one caller, as far as changes go.
pub(super) struct Changes {
    /// Which rows are seen; `None` for all.
    rows: Option<Expr>,
    /// Of the fields that are asked, and behind them of all others of which something is seen.
    masks: Masks,
    /// How many fields are asked.
    asked: usize,
}

/// The rows that went, by a hash of what was seen of each: how often each is still to come again.
type Went = HashMap<u128, u32>;

impl Changes {
    pub(super) fn new(rows: Option<Expr>, mut masks: Masks, asked: usize) -> Self {
        rows.iter().for_each(|rows| masks.needs(rows));
        Changes { rows, masks, asked }
    }

    /// What is read, and how it is shown.
    pub(super) fn seen(self) -> ChangesSeen {
        let (reads, changes) = (self.masks.read().to_vec(), Arc::new(self));
        ChangesSeen { reads, show: Arc::new(move |rows| Arc::clone(&changes).show(rows)) }
    }

    fn show(self: Arc<Self>, rows: BatchStream) -> BatchStream {
        let mut went = Went::new();
        Box::pin(rows.map(move |batch| self.batch(&batch?, &mut went)))
    }

    fn batch(&self, batch: &RecordBatch, went: &mut Went) -> Result<RecordBatch> {
        let mut batch = self.read(batch)?;
        if let Some(rows) = &self.rows {
            let seen = self.masks.seen(&batch, rows)?;
            batch = filter_record_batch(&batch, &seen).map_err(failed)?;
        }
        self.compared(&self.masks.apply(&batch)?, went)
    }

    /// The columns that the masks read, and behind them which rows went.
    fn read(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let position = |name: &str| {
            let found = batch.schema_ref().column_with_name(name).map(|(index, _)| index);
            found.ok_or_else(|| Error::internal(format!("changes come without `{name}`")))
        };
        let names = self.masks.read().iter().map(AsRef::as_ref).chain([WENT]);
        let columns = names.map(position).collect::<Result<Vec<_>>>()?;
        batch.project(&columns).map_err(failed)
    }

    /// The asked columns, which rows went, of which nothing is new, and behind that of which values are denied.
    fn compared(&self, batch: &RecordBatch, went: &mut Went) -> Result<RecordBatch> {
        let behind = self.masks.len();
        let is_gone = batch.column(behind).as_boolean();
        let seen: Vec<ArrayRef> = (0..batch.num_columns())
            .filter(|index| *index != behind)
            .map(|index| Arc::clone(batch.column(index)))
            .collect();
        let same: BooleanArray = hashes(&seen, batch.num_rows())?
            .into_iter()
            .enumerate()
            .map(|(row, hash)| Some(is_met(went, hash, is_gone.value(row))))
            .collect();
        let schema = batch.schema_ref();
        let kept = |indexes: std::ops::Range<usize>| {
            indexes.map(|index| (schema.fields()[index].clone(), Arc::clone(batch.column(index))))
        };
        let marked = Arc::new(Field::new(SAME, DataType::Boolean, false));
        let columns = kept(0..self.asked)
            .chain(kept(behind..behind + 1))
            .chain([(marked, Arc::new(same) as ArrayRef)])
            .chain(kept(behind + 1..batch.num_columns()));
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(failed)
    }
}

/// Whether a row that came is met by one that went and looked the same.
fn is_met(went: &mut Went, hash: u128, is_gone: bool) -> bool {
    if is_gone {
        *went.entry(hash).or_default() += 1;
        return false;
    }
    let left = went.get_mut(&hash).filter(|left| **left > 0);
    left.map(|left| *left -= 1).is_some()
}

/// 128 bits of BLAKE3 over what is seen of each row.
fn hashes(columns: &[ArrayRef], rows: usize) -> Result<Vec<u128>> {
    if columns.is_empty() {
        // Rows of which nothing is seen but that they are there look alike.
        return Ok(vec![0; rows]);
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(failed)?;
    let rows = converter.convert_columns(columns).map_err(failed)?;
    let hash = |bytes: &[u8]| {
        let mut half = [0; 16];
        half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
        u128::from_le_bytes(half)
    };
    Ok(rows.iter().map(|row| hash(row.as_ref())).collect())
}
