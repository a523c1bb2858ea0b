//! Writes of clients of an earlier schema, said as the deployed one says them.
//!
//! In: a write that was asked for by an earlier version that is still served. Out: the same write in
//! the names and types of the deployed version. What the earlier version does not know gets its
//! default; what a write cannot say any more is refused in words. Not here: reads, which bindings
//! translate (`crate::binding`).

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use base::{Error, Kind, Result};
use frame::{WriteOp, WriteRequest};
use schema::plan::{FieldNow, Successor, successor};

use crate::failure::failed;
use crate::lake::Lake;
use crate::table::Table;

/// The handle that a write on this table must go through: this one, or that of the version that was
/// deployed since.
pub(crate) async fn writer(lake: &Lake, table: &Table) -> Result<Option<Lake>> {
    match lake.version() {
        Some(version) if table.seen.deployed > version => {
            lake.at_version(table.seen.deployed).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The request as the schema of `to` says it.
pub(crate) fn translated(from: &Lake, to: &Lake, request: &WriteRequest) -> Result<WriteRequest> {
    let gone = || {
        let text = format!("type `{}` is not in the deployed schema any more", request.table);
        Error::new(Kind::Stale, text).hint("generate the client again")
    };
    let now = successor(&from.schema(), &to.schema(), &request.table).ok_or_else(gone)?;
    if now.other_key {
        let text = format!("the key of type `{}` has changed", request.table);
        return Err(Error::new(Kind::Stale, text)
            .hint("rows are told apart otherwise now: generate the client again"));
    }
    let batches = |batches: &[RecordBatch]| {
        batches
            .iter()
            .map(|batch| batch_of(&now, &request.table, batch))
            .collect::<Result<Vec<_>>>()
    };
    let op = match &request.op {
        WriteOp::Append(rows) => WriteOp::Append(batches(rows)?),
        WriteOp::Insert(rows) => WriteOp::Insert(batches(rows)?),
        WriteOp::Upsert(rows) => WriteOp::Upsert(batches(rows)?),
        WriteOp::Update(rows) => WriteOp::Update(batches(rows)?),
        WriteOp::Delete(keys) => WriteOp::Delete(keys.clone()),
    };
    Ok(WriteRequest { table: Arc::clone(&now.type_name), op, ..request.clone() })
}

fn batch_of(now: &Successor, type_name: &str, batch: &RecordBatch) -> Result<RecordBatch> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let found = now.fields.iter().find(|known| known.name.as_ref() == field.name());
        match found.map(|found| &found.now) {
            Some(FieldNow::Is(name, data_type)) => {
                let wanted = data_type.to_arrow();
                let array = match array.data_type() == &wanted || wanted.is_nested() {
                    true => Arc::clone(array),
                    false => cast(array, &wanted).map_err(failed("translate a write"))?,
                };
                let data_type = array.data_type().clone();
                fields.push(ArrowField::new(name.as_ref(), data_type, field.is_nullable()));
                arrays.push(array);
            }
            // Nobody would ever read it.
            Some(FieldNow::Dropped) => {}
            Some(FieldNow::Converted) | None => {
                let text = format!("field `{type_name}.{}` has another type now", field.name());
                return Err(Error::new(Kind::Stale, text).hint("generate the client again"));
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::new(ArrowSchema::new(fields));
    RecordBatch::try_new_with_options(schema, arrays, &options).map_err(failed("translate a write"))
}
