//! Puts gathered rows in the order of the files: by partition, then as the table is sorted; of rows
//! with the same key only the last stays.

use std::collections::HashMap;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use base::Result;
use iceberg::spec::Struct;

use crate::failure::failed;
use crate::keys;
use crate::layout::Layout;

/// A row: the batch's number and the row in it.
pub(super) type Place = (usize, usize);

/// Rows of one partition, in the order of the file.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) partition: Struct,
    pub(crate) rows: Vec<Place>,
}

/// The gathered rows, in order.
#[derive(Debug)]
pub(super) struct Sorted {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) runs: Vec<Run>,
    /// Rows that were left out because their key came again.
    pub(super) duplicates: u64,
    /// One of them.
    pub(super) duplicate: Option<Place>,
}

/// What the order of rows is decided by, for one batch.
struct Sortable {
    partition: Vec<ArrayRef>,
    partition_rows: Option<Rows>,
    order: Option<Rows>,
}

/// Sorts; rows that compare equal stay in the order in which they came.
pub(super) fn sort(layout: &Layout, batches: Vec<RecordBatch>) -> Result<Sorted> {
    let sortable: Vec<Sortable> =
        batches.iter().map(|batch| sortable(layout, batch)).collect::<Result<_>>()?;
    let (mut places, duplicates, duplicate) = last_of_each_key(layout, &batches)?;
    places.sort_by(|a, b| compare(&sortable, *a, *b));
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    for place in places {
        let rows = sortable[place.0].partition_rows.as_ref();
        let key = rows.map(|rows| rows.row(place.1));
        if last != Some(key) {
            let partition = layout.partition_at(&sortable[place.0].partition, place.1)?;
            runs.push(Run { partition, rows: Vec::new() });
            last = Some(key);
        }
        if let Some(run) = runs.last_mut() {
            run.rows.push(place);
        }
    }
    Ok(Sorted { batches, runs, duplicates, duplicate })
}

fn sortable(layout: &Layout, batch: &RecordBatch) -> Result<Sortable> {
    let partition = layout.partition_columns(batch)?;
    let partition_rows = if partition.is_empty() {
        None
    } else {
        let fields = partition.iter().map(|column| SortField::new(column.data_type().clone()));
        let converter = RowConverter::new(fields.collect()).map_err(failed("sort rows"))?;
        Some(converter.convert_columns(&partition).map_err(failed("sort rows"))?)
    };
    Ok(Sortable { partition, partition_rows, order: layout.order_rows(batch)? })
}

fn compare(sortable: &[Sortable], a: Place, b: Place) -> std::cmp::Ordering {
    let (left, right) = (&sortable[a.0], &sortable[b.0]);
    let rows = |left: &Option<Rows>, right: &Option<Rows>| match (left, right) {
        (Some(left), Some(right)) => left.row(a.1).cmp(&right.row(b.1)),
        _ => std::cmp::Ordering::Equal,
    };
    rows(&left.partition_rows, &right.partition_rows).then_with(|| rows(&left.order, &right.order))
}

/// All rows, or of rows with the same key the last; then how many were left out, and one of them.
fn last_of_each_key(
    layout: &Layout,
    batches: &[RecordBatch],
) -> Result<(Vec<Place>, u64, Option<Place>)> {
    let all = batches.iter().enumerate();
    let mut places: Vec<Place> =
        all.flat_map(|(batch, rows)| (0..rows.num_rows()).map(move |row| (batch, row))).collect();
    if layout.key.is_empty() {
        return Ok((places, 0, None));
    }
    let mut last = HashMap::with_capacity(places.len());
    let mut hashes = Vec::with_capacity(batches.len());
    for (index, batch) in batches.iter().enumerate() {
        let keys = keys::hashes(&layout.key_arrays(batch))?;
        for (row, key) in keys.iter().enumerate() {
            last.insert(*key, (index, row));
        }
        hashes.push(keys);
    }
    let before = places.len();
    if last.len() == before {
        return Ok((places, 0, None));
    }
    let is_last = |place: &Place| last.get(&hashes[place.0][place.1]) == Some(place);
    let example = places.iter().copied().find(|place| !is_last(place));
    places.retain(is_last);
    Ok((places, (before - last.len()) as u64, example))
}
