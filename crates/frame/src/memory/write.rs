//! Makes one change of one table: a new snapshot, or an error and nothing.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Result, Timestamp};

use super::{Held, MemorySnapshot, MemoryTable, Row};
use crate::convert::{batch_of, rows_of, value_at};
use crate::{Value, WriteOp, WriteReceipt, WriteRequest};

/// How long a repeated idempotency key finds its first change: a day.
const REMEMBERED_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// A change that was made under an idempotency key.
pub(super) struct Done {
    change: u64,
    at: Timestamp,
    receipt: WriteReceipt,
}

/// Makes the change that the request names.
pub(super) fn write(
    held: &mut Held,
    request: &WriteRequest,
    now: Timestamp,
) -> Result<WriteReceipt> {
    let change = fingerprint(&held.table, &request.op)?;
    held.done.retain(|_, done| now.as_micros() - done.at.as_micros() < REMEMBERED_MICROS);
    if let Some(done) = request.idempotency_key.as_ref().and_then(|key| held.done.get(key)) {
        return done.again(change);
    }
    let (rows, changed) = apply(&held.table, &held.latest(), &request.op)?;
    let id = held.latest_id() + 1;
    held.snapshots.push(MemorySnapshot { id, time: now, rows: Arc::new(rows) });
    let receipt = WriteReceipt { snapshot: id, rows: changed, replayed: false };
    if let Some(key) = &request.idempotency_key {
        held.done.insert(key.clone(), Done { change, at: now, receipt: receipt.clone() });
    }
    Ok(receipt)
}

impl Done {
    fn again(&self, change: u64) -> Result<WriteReceipt> {
        if self.change == change {
            return Ok(WriteReceipt { replayed: true, ..self.receipt.clone() });
        }
        Err(Error::new(Kind::Conflict, "the idempotency key was used for another change")
            .hint("use a new key for each change"))
    }
}

/// A hash of everything that the change says.
fn fingerprint(table: &MemoryTable, op: &WriteOp) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(op).hash(&mut hasher);
    match op {
        WriteOp::Append(batches)
        | WriteOp::Insert(batches)
        | WriteOp::Upsert(batches)
        | WriteOp::Update(batches) => {
            for batch in batches {
                for field in batch.schema().fields() {
                    field.name().hash(&mut hasher);
                }
                rows_of(batch, &table.fields)?.hash(&mut hasher);
            }
        }
        WriteOp::Delete(keys) => keys.hash(&mut hasher),
    }
    Ok(hasher.finish())
}

/// The rows after the change, and how many of them it touched.
fn apply(table: &MemoryTable, before: &[Row], op: &WriteOp) -> Result<(Vec<Row>, u64)> {
    let mut rows = before.to_vec();
    if table.key.is_empty() != matches!(op, WriteOp::Append(_)) {
        return Err(wrong_kind(table));
    }
    let positions: HashMap<Vec<Value>, usize> =
        before.iter().enumerate().map(|(index, row)| (table.key_of(row), index)).collect();
    let count = match op {
        WriteOp::Append(batches) => {
            let new = new_rows(table, batches)?;
            let count = new.len();
            rows.extend(new);
            count
        }
        WriteOp::Insert(batches) => put(table, &mut rows, positions, batches, true)?,
        WriteOp::Upsert(batches) => put(table, &mut rows, positions, batches, false)?,
        WriteOp::Update(batches) => update(table, &mut rows, &positions, batches)?,
        WriteOp::Delete(keys) => {
            rows.retain(|row| !keys.contains(&table.key_of(row)));
            before.len() - rows.len()
        }
    };
    Ok((rows, count as u64))
}

fn wrong_kind(table: &MemoryTable) -> Error {
    let name = &table.name;
    if table.key.is_empty() {
        Error::invalid(format!("table `{name}` has no key, so its rows can only be appended"))
    } else {
        Error::invalid(format!("table `{name}` has a key, so rows are inserted or upserted"))
    }
}

/// Whole rows, checked for required fields.
fn new_rows(table: &MemoryTable, batches: &[RecordBatch]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for batch in batches {
        check_columns(table, batch)?;
        rows.extend(rows_of(batch, &table.fields)?.into_iter().map(Row::from));
    }
    // Building a batch checks every required field.
    batch_of(&table.fields, &rows)?;
    Ok(rows)
}

fn check_columns(table: &MemoryTable, batch: &RecordBatch) -> Result<()> {
    batch.schema().fields().iter().try_for_each(|field| table.position(field.name()).map(|_| ()))
}

fn put(
    table: &MemoryTable,
    rows: &mut Vec<Row>,
    mut positions: HashMap<Vec<Value>, usize>,
    batches: &[RecordBatch],
    only_new: bool,
) -> Result<usize> {
    let new = new_rows(table, batches)?;
    let count = new.len();
    for row in new {
        let key = table.key_of(&row);
        match positions.get(&key) {
            Some(_) if only_new => return Err(exists(table, &key)),
            Some(position) => rows[*position] = row,
            None => {
                positions.insert(key, rows.len());
                rows.push(row);
            }
        }
    }
    Ok(count)
}

fn exists(table: &MemoryTable, key: &[Value]) -> Error {
    Error::new(
        Kind::AlreadyExists,
        format!("table `{}` already has a row with the key `{}`", table.name, shown(key)),
    )
    .hint("use an upsert to replace it")
}

fn shown(key: &[Value]) -> String {
    key.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

fn update(
    table: &MemoryTable,
    rows: &mut [Row],
    positions: &HashMap<Vec<Value>, usize>,
    batches: &[RecordBatch],
) -> Result<usize> {
    let mut count = 0;
    for batch in batches {
        check_columns(table, batch)?;
        for (index, changes) in rows_of(batch, &table.fields)?.into_iter().enumerate() {
            let key = table.key_of(&changes);
            let position = *positions.get(&key).ok_or_else(|| {
                Error::not_found(format!(
                    "table `{}` has no row with the key `{}`",
                    table.name,
                    shown(&key)
                ))
            })?;
            rows[position] = changed(table, &rows[position], batch, index)?;
            count += 1;
        }
    }
    batch_of(&table.fields, rows)?;
    Ok(count)
}

/// The row with the columns that the batch has.
fn changed(table: &MemoryTable, row: &Row, batch: &RecordBatch, index: usize) -> Result<Row> {
    let values = table.fields.iter().zip(row.iter()).map(|(field, old)| {
        match batch.column_by_name(&field.name) {
            Some(column) => value_at(column.as_ref(), index, &field.data_type),
            None => Ok(old.clone()),
        }
    });
    values.collect()
}
