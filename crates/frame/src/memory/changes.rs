//! What became of a table between two states, by comparing all rows of both.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use base::{Error, Result};

use super::{MemoryTable, Row};
use crate::WENT;
use crate::convert::array_of;

/// The rows that went, then the rows that came.
pub(super) fn changes(
    table: &MemoryTable,
    from: &[Row],
    to: &[Row],
    fields: &[Arc<str>],
) -> Result<Vec<RecordBatch>> {
    let columns = fields.iter().map(|field| table.position(field)).collect::<Result<Vec<_>>>()?;
    Ok(vec![
        batch(table, &columns, &without(from, to), true)?,
        batch(table, &columns, &without(to, from), false)?,
    ])
}

/// The rows that are not among the others, each as often as it is there more often.
fn without<'r>(rows: &'r [Row], others: &[Row]) -> Vec<&'r Row> {
    let mut counts: HashMap<&Row, usize> = HashMap::new();
    for row in others {
        *counts.entry(row).or_default() += 1;
    }
    let is_more = |row: &&Row| match counts.get_mut(*row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    rows.iter().filter(is_more).collect()
}

fn batch(table: &MemoryTable, columns: &[usize], rows: &[&Row], went: bool) -> Result<RecordBatch> {
    let fields = columns.iter().map(|column| table.fields[*column].to_arrow());
    let mut fields: Vec<ArrowField> = fields.collect();
    let arrays = columns.iter().map(|column| {
        array_of(rows.iter().map(|row| &row[*column]), &table.fields[*column].data_type)
    });
    let mut arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
    fields.push(ArrowField::new(WENT, ArrowType::Boolean, false));
    arrays.push(Arc::new(BooleanArray::from(vec![went; rows.len()])));
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).map_err(|error| {
        Error::internal(format!("failed to compare table `{}`", table.name)).caused_by(error)
    })
}
