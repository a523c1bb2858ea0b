//! Whether a dictionary of a column's values is worth its place.
//!
//! In: the rows of a file. Out: the columns whose values seldom come again, of which a dictionary
//! would be as large as the values, and filling it the dearest part of writing them. How many
//! values there are is estimated from a sample by how many came once and how many twice. Source:
//! Chao, "Nonparametric estimation of the number of classes in a population" (1984). Not here:
//! the writing (`file`).

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use base::Result;
use base::rng::Rng;

use super::sort::Place;
use crate::failure::failed;

/// Rows below which a dictionary is small whatever is in it.
const FEW: usize = 8192;
/// Rows of the sample.
const SAMPLE: usize = 2048;
/// How often each value must come, on average, for a dictionary.
const OFTEN: f64 = 4.0;

/// The positions of columns whose values seldom come again in these rows.
pub(super) fn seldom(batches: &[RecordBatch], rows: &[Place]) -> Result<Vec<usize>> {
    if rows.len() < FEW {
        return Ok(Vec::new());
    }
    // Drawn, because every n-th row of a sorted column would have a value of its own.
    let rng = Rng::seeded(rows.len() as u64);
    let sample: Vec<Place> =
        (0..SAMPLE).map(|_| rows[rng.below(rows.len() as u64) as usize]).collect();
    let most = rows.len() as f64 / OFTEN;
    let mut seldom = Vec::new();
    for position in 0..batches.first().map_or(0, RecordBatch::num_columns) {
        let parts: Vec<&dyn Array> =
            batches.iter().map(|batch| batch.column(position).as_ref()).collect();
        if parts[0].data_type().is_nested() {
            continue;
        }
        let drawn = interleave(&parts, &sample).map_err(failed("sample rows"))?;
        if values(&drawn)? > most {
            seldom.push(position);
        }
    }
    Ok(seldom)
}

/// How many values the rows of a sample were drawn from.
fn values(sample: &ArrayRef) -> Result<f64> {
    let field = SortField::new(sample.data_type().clone());
    let converter = RowConverter::new(vec![field]).map_err(failed("sample rows"))?;
    let rows =
        converter.convert_columns(std::slice::from_ref(sample)).map_err(failed("sample rows"))?;
    let mut counts: HashMap<&[u8], u32> = HashMap::with_capacity(sample.len());
    for row in &rows {
        *counts.entry(row.data()).or_default() += 1;
    }
    let times = |count| counts.values().filter(|times| **times == count).count() as f64;
    let (once, twice) = (times(1), times(2));
    // In the form that holds when none came twice.
    Ok(counts.len() as f64 + once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Int64Array, StringArray};

    #[test]
    fn columns_of_few_values_have_dictionaries_and_others_have_none() {
        let rng = Rng::seeded(3);
        let count = 60_000;
        let drawn =
            |below: u64| -> Vec<i64> { (0..count).map(|_| rng.below(below) as i64).collect() };
        let texts = drawn(30).into_iter().map(|number| format!("text {number}"));
        let columns: [(&str, ArrayRef); 5] = [
            ("few", Arc::new(Int64Array::from(drawn(50)))),
            ("some", Arc::new(Int64Array::from(drawn(4_000)))),
            ("many", Arc::new(Int64Array::from(drawn(50_000)))),
            ("each", Arc::new(Int64Array::from((0..count).collect::<Vec<i64>>()))),
            ("texts", Arc::new(StringArray::from_iter_values(texts))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows: Vec<Place> = (0..count as usize).map(|row| (0, row)).collect();
        assert_eq!(seldom(std::slice::from_ref(&batch), &rows).unwrap(), [2, 3]);
        assert_eq!(seldom(&[batch], &rows[..100]).unwrap(), [0; 0]);
    }
}
