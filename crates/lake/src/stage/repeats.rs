//! How each column of a file is best written: with a dictionary of its values or without one, and
//! compressed or not.
//!
//! In: the rows of a file and their order. Out: the columns whose values seldom come again, of which a
//! dictionary would be as large as the values, and filling it the dearest part of writing them; and the
//! columns whose codes are as good as random, which compression only makes slower to write and to read.
//! How many values there are is estimated from a sample by how many came once and how many twice
//! (Chao, "Nonparametric estimation of the number of classes in a population", 1984); what compression
//! would save is tried on a stretch of the file. Not here: the writing (`file`).

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use base::Result;
use base::rng::Rng;

use crate::failure::failed;

/// Rows below which a dictionary is small whatever is in it.
const FEW: usize = 8192;
/// Rows of the sample, and of the stretch that is compressed.
const SAMPLE: usize = 2048;
/// How often each value must come, on average, for a dictionary.
const OFTEN: f64 = 4.0;
/// The share of a column that compression must save.
const WORTH: f64 = 0.1;
/// The share of a dictionary that compression is taken to save.
const OF_DICTIONARY: f64 = 0.5;

/// Positions of columns that are written otherwise than most.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Without a dictionary.
    pub(super) seldom: Vec<usize>,
    /// With a dictionary, and not compressed.
    pub(super) random: Vec<usize>,
}

/// Chooses by the rows of a file, which will be written in this order.
pub(super) fn choose(rows: &RecordBatch, order: Option<&UInt32Array>) -> Result<Choice> {
    let count = rows.num_rows();
    let mut choice = Choice::default();
    if count < FEW {
        return Ok(choice);
    }
    // Drawn, because every n-th row of a sorted column would have a value of its own.
    let rng = Rng::seeded(count as u64);
    let sample: UInt32Array = (0..SAMPLE).map(|_| rng.below(count as u64) as u32).collect();
    let stretch = match order {
        Some(order) => order.slice((count - SAMPLE) / 2, SAMPLE),
        None => (0..SAMPLE).map(|row| ((count - SAMPLE) / 2 + row) as u32).collect(),
    };
    for (position, column) in rows.columns().iter().enumerate() {
        if column.data_type().is_nested() {
            continue;
        }
        let drawn = Drawn::of(column, &sample)?;
        let values = drawn.values();
        if values > count as f64 / OFTEN {
            choice.seldom.push(position);
        } else if saved(count, values, drawn.width(), &Drawn::of(column, &stretch)?)? < WORTH {
            choice.random.push(position);
        }
    }
    Ok(choice)
}

/// The share of a column with a dictionary that compression saves.
fn saved(rows: usize, values: f64, width: f64, stretch: &Drawn) -> Result<f64> {
    let codes = rows as f64 * values.max(2.0).log2().ceil() / 8.0;
    let dictionary = values * width;
    let of_codes = 1.0 - stretch.compressed()?.min(1.0);
    Ok((codes * of_codes + dictionary * OF_DICTIONARY) / (codes + dictionary))
}

/// Some values of a column, as bytes.
struct Drawn {
    rows: Rows,
}

impl Drawn {
    fn of(column: &ArrayRef, positions: &UInt32Array) -> Result<Drawn> {
        let drawn = take(column, positions, None).map_err(failed("sample rows"))?;
        let field = SortField::new(drawn.data_type().clone());
        let converter = RowConverter::new(vec![field]).map_err(failed("sample rows"))?;
        let rows = converter.convert_columns(&[drawn]).map_err(failed("sample rows"))?;
        Ok(Drawn { rows })
    }

    /// How many values the column has, about.
    fn values(&self) -> f64 {
        let mut counts: HashMap<&[u8], u32> = HashMap::with_capacity(SAMPLE);
        for row in &self.rows {
            *counts.entry(row.data()).or_default() += 1;
        }
        let times = |count| counts.values().filter(|times| **times == count).count() as f64;
        let (once, twice) = (times(1), times(2));
        // In the form that holds when none came twice.
        counts.len() as f64 + once * (once - 1.0).max(0.0) / (2.0 * (twice + 1.0))
    }

    /// Bytes of a value, about.
    fn width(&self) -> f64 {
        let bytes: usize = self.rows.iter().map(|row| row.data().len()).sum();
        bytes as f64 / SAMPLE as f64
    }

    /// What is left of the codes of these values when they are compressed, as a share.
    fn compressed(&self) -> Result<f64> {
        let mut distinct: Vec<&[u8]> = self.rows.iter().map(|row| row.data()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let bits = distinct.len().next_power_of_two().trailing_zeros().max(1);
        let code = |row: &[u8]| distinct.partition_point(|value| *value < row) as u64;
        let packed = packed(self.rows.iter().map(|row| code(row.data())), bits);
        let level = super::file::LEVEL;
        let compressed =
            zstd::bulk::compress(&packed, level).map_err(failed("compress a sample"))?;
        Ok(compressed.len() as f64 / packed.len() as f64)
    }
}

/// Codes side by side, each in so many bits.
fn packed(codes: impl Iterator<Item = u64>, bits: u32) -> Vec<u8> {
    let (mut bytes, mut word, mut filled) = (Vec::new(), 0_u64, 0);
    for code in codes {
        word |= code << filled;
        filled += bits;
        while filled >= u8::BITS {
            bytes.push((word & 0xFF) as u8);
            word >>= u8::BITS;
            filled -= u8::BITS;
        }
    }
    if filled > 0 {
        bytes.push((word & 0xFF) as u8);
    }
    bytes
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
        let again = (0..count).map(|row| row % 50).collect::<Vec<i64>>();
        let columns: [(&str, ArrayRef); 6] = [
            ("few", Arc::new(Int64Array::from(drawn(50)))),
            ("some", Arc::new(Int64Array::from(drawn(4_000)))),
            ("many", Arc::new(Int64Array::from(drawn(50_000)))),
            ("each", Arc::new(Int64Array::from((0..count).collect::<Vec<i64>>()))),
            ("texts", Arc::new(StringArray::from_iter_values(texts))),
            ("again", Arc::new(Int64Array::from(again))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let choice = choose(&batch, None).unwrap();
        // The dictionary of `some` is a third of the column, and the codes of `again` repeat.
        assert_eq!(choice, Choice { seldom: vec![2, 3], random: vec![0, 4] });
        let backwards: UInt32Array = (0..count as u32).rev().collect();
        assert_eq!(choose(&batch, Some(&backwards)).unwrap(), choice);
        assert_eq!(choose(&batch.slice(0, 100), None).unwrap(), Choice::default());
    }

    #[test]
    fn codes_are_packed_without_gaps() {
        assert_eq!(packed([1, 2, 3].into_iter(), 3), [0b1101_0001, 0b0000_0000]);
        assert_eq!(packed([5, 6].into_iter(), 11), [5, 0b0011_0000, 0]);
        assert_eq!(packed(std::iter::empty(), 4), [0; 0]);
    }
}
