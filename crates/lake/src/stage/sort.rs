//! Puts gathered rows in the order of the files: by partition, then as the table is sorted; of rows
//! with the same key only the last stays.
//!
//! ```text
//! batches → last of each key → runs, one a partition → (each by itself) order
//! ```
//!
//! A row's place in the order is the bytes that [`arrow::row`] makes of its sort columns. Most of them
//! are the same in all rows (a sign, the high bytes of numbers), so the first eight that are not decide
//! nearly always, and those are compared as one number. Not here: writing the runs (`file`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use base::Result;
use iceberg::spec::Struct;

use crate::failure::failed;
use crate::keys;
use crate::layout::Layout;

/// A row: the batch's number and the row in it.
pub(super) type Place = (usize, usize);

/// Bytes that are compared as one number.
const PREFIX: usize = size_of::<u64>();

/// Rows of one partition, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) partition: Struct,
    pub(crate) rows: Vec<Place>,
}

/// The gathered rows by partition.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) batches: Vec<RecordBatch>,
    /// What the order is decided by, for each batch; nothing where the table has none.
    order: Vec<Rows>,
    /// Rows that were left out because their key came again.
    pub(super) duplicates: u64,
    /// One of them.
    pub(super) duplicate: Option<Place>,
}

/// Divides rows into runs, which are in the order of their partitions.
pub(super) fn divide(layout: &Layout, batches: Vec<RecordBatch>) -> Result<(Gathered, Vec<Run>)> {
    let (places, duplicates, duplicate) = last_of_each_key(layout, &batches)?;
    let runs = runs(layout, &batches, places)?;
    let order = batches.iter().map(|batch| layout.order_rows(batch));
    let order = order.collect::<Result<Option<Vec<Rows>>>>()?.unwrap_or_default();
    Ok((Gathered { batches, order, duplicates, duplicate }, runs))
}

impl Gathered {
    /// Sorts a run; rows that compare equal stay in the order in which they came.
    pub(super) fn sort(&self, run: &mut Run) {
        if self.order.is_empty() {
            return;
        }
        let bytes = |place: &Place| self.order[place.0].row(place.1).data();
        let deciding = Deciding::of(run.rows.iter().map(bytes));
        let number = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
        let keys = run.rows.iter().enumerate();
        let mut keys: Vec<(u64, u32)> =
            keys.map(|(row, place)| (deciding.number(bytes(place)), number(row))).collect();
        if deciding.are_all {
            keys.sort_unstable();
        } else {
            let whole = |row: u32| bytes(&run.rows[row as usize]);
            keys.sort_unstable_by(|one, other| match one.0.cmp(&other.0) {
                Ordering::Equal => whole(one.1).cmp(whole(other.1)).then(one.1.cmp(&other.1)),
                unequal => unequal,
            });
        }
        run.rows = keys.into_iter().map(|(_, row)| run.rows[row as usize]).collect();
    }
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

/// The rows of each partition, in the order of the partitions.
fn runs(layout: &Layout, batches: &[RecordBatch], places: Vec<Place>) -> Result<Vec<Run>> {
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut runs: Vec<Run> = Vec::new();
    let mut rest = places.as_slice();
    for (number, batch) in batches.iter().enumerate() {
        let here = rest.partition_point(|place| place.0 <= number);
        let (places, later) = rest.split_at(here);
        rest = later;
        let columns = layout.partition_columns(batch)?;
        let partitions = Partitions::of(&columns)?;
        // Few values come again and again, so most rows need no look at their bytes.
        let mut small: HashMap<i32, usize> = HashMap::new();
        for place in places {
            let value = partitions.small(place.1);
            let run = match value.and_then(|value| small.get(&value)) {
                Some(run) => *run,
                None => {
                    let key = partitions.key(place.1);
                    let run = match numbers.get(key) {
                        Some(run) => *run,
                        None => {
                            let partition = layout.partition_at(&columns, place.1)?;
                            runs.push(Run { partition, rows: Vec::new() });
                            numbers.insert(key.to_vec(), runs.len() - 1);
                            runs.len() - 1
                        }
                    };
                    value.map(|value| small.insert(value, run));
                    run
                }
            };
            runs[run].rows.push(*place);
        }
    }
    let by_partition: BTreeMap<Vec<u8>, usize> = numbers.into_iter().collect();
    let mut runs: Vec<Option<Run>> = runs.into_iter().map(Some).collect();
    Ok(by_partition.into_values().filter_map(|run| runs[run].take()).collect())
}

/// The partition of each row of a batch.
struct Partitions<'a> {
    rows: Option<Rows>,
    small: Option<&'a arrow::array::PrimitiveArray<Int32Type>>,
}

impl Partitions<'_> {
    fn of(columns: &[ArrayRef]) -> Result<Partitions<'_>> {
        if columns.is_empty() {
            return Ok(Partitions { rows: None, small: None });
        }
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
        let converter = RowConverter::new(fields.collect()).map_err(failed("sort rows"))?;
        let rows = converter.convert_columns(columns).map_err(failed("sort rows"))?;
        let small = match columns {
            [only] => only.as_primitive_opt::<Int32Type>().filter(|only| only.null_count() == 0),
            _ => None,
        };
        Ok(Partitions { rows: Some(rows), small })
    }

    /// The partition as a number, when it is one: a bucket, a day.
    fn small(&self, row: usize) -> Option<i32> {
        self.small.map(|values| values.value(row))
    }

    /// The partition as bytes that are in the order of the partitions.
    fn key(&self, row: usize) -> &[u8] {
        self.rows.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
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

#[cfg(test)]
mod tests {
    use base::rng::Rng;

    use super::*;

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
