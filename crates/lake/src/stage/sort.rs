//! The order of the rows of a file.
//!
//! In: the rows of one run. Out: their positions as the table is sorted; rows that compare equal stay
//! in the order in which they came. Sort columns of numbers, dates and times are packed into one
//! integer a row, each in as few bits as its values need, with the row's position behind them; what
//! does not fit is compared by the bytes that [`arrow::row`] makes of it. Most of those are the same in
//! all rows, so the first eight that are not decide nearly always, and are compared as one number. Not
//! here: dividing rows into runs (`divide`), writing them (`file`).

use std::cmp::Ordering;
use std::ops::{BitOr, Shl};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use arrow::row::Rows;
use base::Result;

use crate::layout::Layout;

/// Bytes that are compared as one number.
const PREFIX: usize = size_of::<u64>();
/// Bits by which numbers are put in order at a time: their counts fit into the nearest cache.
const DIGIT: u32 = 11;
/// Rows below which counting digits costs more than it saves.
const FEW: usize = 4096;

/// The positions of the rows in the order of the table; `None` where it has none.
pub(super) fn order(layout: &Layout, rows: &RecordBatch) -> Result<Option<UInt32Array>> {
    let columns = layout.order_columns(rows);
    if columns.is_empty() {
        return Ok(None);
    }
    let positions = match packed(&columns) {
        Some(positions) => positions,
        None => by_bytes(&layout.order_rows(&columns)?),
    };
    Ok(Some(positions.into()))
}

/// By one integer a row; `None` where the columns do not fit into one.
fn packed(columns: &[(ArrayRef, SortOptions)]) -> Option<Vec<u32>> {
    let narrow = |(column, options): &(ArrayRef, SortOptions)| Narrow::of(column, *options);
    let columns = columns.iter().map(narrow).collect::<Option<Vec<_>>>()?;
    let rows = columns.first()?.numbers.len();
    let position_bits = u64::BITS - (rows as u64).leading_zeros();
    let bits = columns.iter().map(|column| column.bits).sum::<u32>();
    let positions: Vec<u32> = if bits + position_bits <= u64::BITS {
        let keys = in_order(joined::<u64>(&columns, position_bits), position_bits, bits);
        let mask = (1 << position_bits) - 1;
        keys.into_iter().map(|key| (key & mask) as u32).collect()
    } else if bits + position_bits <= u128::BITS {
        let mut keys = joined::<u128>(&columns, position_bits);
        keys.sort_unstable();
        let mask = (1 << position_bits) - 1;
        keys.into_iter().map(|key| (key & mask) as u32).collect()
    } else {
        return None;
    };
    Some(positions)
}

/// The numbers of a row behind each other, the most significant first, and its position behind them.
fn joined<K>(columns: &[Narrow], position_bits: u32) -> Vec<K>
where
    K: Copy + From<u64> + Shl<u32, Output = K> + BitOr<Output = K>,
{
    let rows = columns.first().map_or(0, |column| column.numbers.len());
    let mut keys = vec![K::from(0); rows];
    for column in columns {
        let pairs = keys.iter_mut().zip(&column.numbers);
        pairs.for_each(|(key, number)| *key = *key << column.bits | K::from(*number));
    }
    keys.iter_mut().zip(0..).for_each(|(key, row)| *key = *key << position_bits | K::from(row));
    keys
}

/// Sorts by `bits` bits above the lowest `shift`; equal ones stay as they are (a radix sort from the
/// last digit on).
fn in_order(mut keys: Vec<u64>, shift: u32, bits: u32) -> Vec<u64> {
    if keys.len() < FEW {
        keys.sort_unstable();
        return keys;
    }
    let mut sorted = vec![0; keys.len()];
    for shift in (shift..shift + bits).step_by(DIGIT as usize) {
        let digit = |key: u64| (key >> shift & ((1 << DIGIT) - 1)) as usize;
        let mut starts = vec![0_usize; 1 << DIGIT];
        keys.iter().for_each(|key| starts[digit(*key)] += 1);
        let mut before = 0;
        for start in &mut starts {
            before += std::mem::replace(start, before);
        }
        for key in &keys {
            let start = &mut starts[digit(*key)];
            sorted[*start] = *key;
            *start += 1;
        }
        std::mem::swap(&mut keys, &mut sorted);
    }
    keys
}

/// A column whose values are counted from the first one in the order on.
struct Narrow {
    numbers: Vec<u64>,
    bits: u32,
}

impl Narrow {
    /// `None` for other columns than numbers, dates and times without nulls.
    fn of(column: &ArrayRef, options: SortOptions) -> Option<Narrow> {
        if column.null_count() > 0 {
            return None;
        }
        let long = |value: i64| value.cast_unsigned() ^ 1 << 63;
        let mut numbers: Vec<u64> = match column.data_type() {
            DataType::Int32 => {
                let values = column.as_primitive::<Int32Type>().values();
                values.iter().map(|value| long(i64::from(*value))).collect()
            }
            DataType::Date32 => {
                let values = column.as_primitive::<Date32Type>().values();
                values.iter().map(|value| long(i64::from(*value))).collect()
            }
            DataType::Int64 => {
                column.as_primitive::<Int64Type>().values().iter().copied().map(long).collect()
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = column.as_primitive::<TimestampMicrosecondType>().values();
                values.iter().copied().map(long).collect()
            }
            // The order of all doubles, as IEEE 754 has it.
            DataType::Float64 => {
                let values = column.as_primitive::<Float64Type>().values().iter();
                let bits = values.map(|value| value.to_bits().cast_signed());
                bits.map(|bits| long(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()))
                    .collect()
            }
            _ => return None,
        };
        let (least, most) = numbers
            .iter()
            .fold((u64::MAX, 0), |(least, most), number| (least.min(*number), most.max(*number)));
        for number in &mut numbers {
            *number = if options.descending { most - *number } else { *number - least };
        }
        let unit = unit_of(&numbers);
        if unit > 1 {
            numbers.iter_mut().for_each(|number| *number /= unit);
        }
        let widest = most.saturating_sub(least) / unit;
        Some(Narrow { numbers, bits: u64::BITS - widest.leading_zeros() })
    }
}

/// What all of the numbers are multiples of: points in time are often whole seconds or milliseconds.
fn unit_of(numbers: &[u64]) -> u64 {
    let divides = |unit: &u64| numbers.iter().all(|number| number % unit == 0);
    [1_000_000, 1_000].into_iter().find(divides).unwrap_or(1)
}

/// By the bytes of the rows.
fn by_bytes(rows: &Rows) -> Vec<u32> {
    let deciding = Deciding::of((0..rows.num_rows()).map(|row| rows.row(row).data()));
    let number = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
    let keys = rows.iter().enumerate();
    let mut keys: Vec<(u64, u32)> =
        keys.map(|(row, bytes)| (deciding.number(bytes.data()), number(row))).collect();
    if deciding.are_all {
        keys.sort_unstable();
    } else {
        let whole = |row: u32| rows.row(row as usize);
        keys.sort_unstable_by(|one, other| match one.0.cmp(&other.0) {
            Ordering::Equal => whole(one.1).cmp(&whole(other.1)).then(one.1.cmp(&other.1)),
            unequal => unequal,
        });
    }
    keys.into_iter().map(|(_, row)| row).collect()
}

/// The bytes that decide an order first: those that some rows have otherwise than others.
#[derive(Debug)]
struct Deciding {
    positions: Vec<usize>,
    /// Whether no other byte can decide.
    are_all: bool,
}

impl Deciding {
    /// Of these keys. A byte that all keys have, and all have alike, decides nothing; what lies
    /// behind the end of the shortest key may.
    fn of<'a>(keys: impl Iterator<Item = &'a [u8]> + Clone) -> Deciding {
        let Some(first) = keys.clone().next() else {
            return Deciding { positions: Vec::new(), are_all: true };
        };
        let mut differs = vec![0; first.len()];
        let mut longest = first.len();
        for key in keys {
            longest = longest.max(key.len());
            differs.truncate(key.len());
            differs.iter_mut().zip(key.iter().zip(first)).for_each(|(d, (a, b))| *d |= a ^ b);
        }
        let shortest = differs.len();
        let within = (0..shortest).filter(|position| differs[*position] != 0);
        let mut positions: Vec<usize> = within.chain(shortest..longest).take(PREFIX + 1).collect();
        // Behind its end a short key has no byte, which is not the same as one that is zero.
        let are_all = positions.len() <= PREFIX && longest == shortest;
        positions.truncate(PREFIX);
        Deciding { positions, are_all }
    }

    fn number(&self, key: &[u8]) -> u64 {
        let byte = |position: &usize| u64::from(key.get(*position).copied().unwrap_or(0));
        let number = self.positions.iter().fold(0, |number, at| number << 8 | byte(at));
        number << (8 * (PREFIX - self.positions.len()) % 64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Float64Array, Int32Array, Int64Array, TimestampMicrosecondArray,
    };
    use arrow::row::{RowConverter, SortField};
    use base::rng::Rng;

    use super::*;

    fn drawn(rng: &Rng, kind: u64, rows: usize) -> ArrayRef {
        let wide = |_| rng.below(u64::MAX).cast_signed() >> rng.below(64);
        let values: Vec<i64> = match rng.below(3) {
            0 => (0..rows).map(wide).collect(),
            1 => (0..rows).map(|_| rng.below(5).cast_signed() - 2).collect(),
            _ => (0..rows).map(|_| (rng.below(100).cast_signed() - 50) * 1_000_000).collect(),
        };
        let narrow = || values.iter().map(|value| *value as i32);
        match kind {
            0 => Arc::new(narrow().collect::<Int32Array>()),
            1 => Arc::new(Date32Array::from_iter_values(narrow())),
            2 => Arc::new(Int64Array::from(values)),
            3 => Arc::new(TimestampMicrosecondArray::from(values)),
            _ => {
                let odd = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN];
                let float = |value: &i64| match value {
                    -2..4 => odd[(value + 2) as usize],
                    _ => *value as f64 / 7.0,
                };
                Arc::new(values.iter().map(float).collect::<Float64Array>())
            }
        }
    }

    #[test]
    fn packed_columns_are_in_the_order_of_their_bytes() {
        let rng = Rng::seeded(8);
        let mut packed_ones = 0;
        for round in 0..200 {
            let rows = if round % 20 == 0 { 3 * FEW } else { 1 + rng.below(50) as usize };
            let column = |_| {
                let options = SortOptions { descending: rng.below(2) == 0, nulls_first: false };
                (drawn(&rng, rng.below(5), rows), options)
            };
            let columns: Vec<_> = (0..=rng.below(3)).map(column).collect();
            let fields = columns.iter().map(|(column, options)| {
                SortField::new_with_options(column.data_type().clone(), *options)
            });
            let converter = RowConverter::new(fields.collect()).unwrap();
            let arrays: Vec<ArrayRef> =
                columns.iter().map(|(column, _)| Arc::clone(column)).collect();
            let expected = by_bytes(&converter.convert_columns(&arrays).unwrap());
            if let Some(found) = packed(&columns) {
                packed_ones += 1;
                assert_eq!(found, expected, "round {round}: {columns:?}");
            }
        }
        assert!(packed_ones > 100, "{packed_ones}");
    }

    fn sorted(keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let deciding = Deciding::of(keys.iter().map(Vec::as_slice));
        let mut sorted = keys.to_vec();
        sorted.sort_by(|one, other| {
            let prefix = deciding.number(one).cmp(&deciding.number(other));
            prefix.then_with(|| if deciding.are_all { Ordering::Equal } else { one.cmp(other) })
        });
        sorted
    }

    #[test]
    fn the_deciding_bytes_decide_as_all_bytes_do() {
        let rng = Rng::seeded(5);
        for round in 0..400 {
            let (fixed, length) = (round % 2 == 0, 1 + rng.below(14) as usize);
            let same: Vec<bool> = (0..length).map(|_| rng.below(2) == 0).collect();
            let key = |_| -> Vec<u8> {
                let length = if fixed { length } else { rng.below(length as u64 + 1) as usize };
                let byte = |at: usize| if same[at] { 7 } else { rng.below(3) as u8 };
                (0..length).map(byte).collect()
            };
            let keys: Vec<Vec<u8>> = (0..30).map(key).collect();
            let mut expected = keys.clone();
            expected.sort();
            assert_eq!(sorted(&keys), expected, "round {round}");
        }
        assert_eq!(sorted(&[]), Vec::<Vec<u8>>::new());
    }
}
