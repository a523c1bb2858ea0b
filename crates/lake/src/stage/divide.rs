//! Divides gathered rows into runs, one a partition; of rows with the same key only the last stays.
//!
//! ```text
//! batches → number of each row's run → last of each key → columns of each run
//! ```
//!
//! In: batches as they came. Out: [`Run`]s in the order of their partitions, whose rows are in the
//! order in which they came. Rows are copied column by column, read in one line and written in one a
//! run, because picking them from all batches in their final order waits for memory at each value.
//! Not here: the order within a run (`sort`), the files (`file`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, GenericByteArray, PrimitiveArray,
    downcast_primitive,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{
    ArrowNativeType, ByteArrayType, DataType, Int32Type, LargeBinaryType, Utf8Type,
};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use base::{Error, Kind, Result};
use iceberg::spec::Struct;

use crate::failure::failed;
use crate::keys;
use crate::layout::Layout;
use crate::shape;

/// The number of rows that belong to no run, because their key came again.
const GONE: u32 = u32::MAX;

/// Partitions that are found by their value alone: buckets, days and months are below.
const SMALL: usize = 1 << 16;

/// Rows of one partition.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) partition: Struct,
    pub(super) rows: RecordBatch,
}

/// The gathered rows by partition.
#[derive(Debug)]
pub(super) struct Divided {
    pub(super) runs: Vec<Run>,
    /// Rows that were left out because their key came again.
    pub(super) duplicates: u64,
    /// One of them.
    pub(super) duplicate: Option<RecordBatch>,
}

/// Divides rows into runs.
pub(super) fn divide(layout: &Layout, batches: Vec<RecordBatch>) -> Result<Divided> {
    let (mut numbers, partitions) = number(layout, &batches)?;
    let (duplicates, duplicate) = drop_earlier(layout, &batches, &mut numbers)?;
    let duplicate = duplicate.map(|(batch, row)| batches[batch].slice(row, 1));
    let runs = Runs::new(numbers, partitions.len());
    let columns = runs.columns(batches)?;
    let rows = columns.into_iter().zip(&runs.counts);
    let rows = rows.map(|(columns, count)| shape::physical_batch(&layout.arrow, columns, *count));
    let runs = partitions.into_iter().zip(rows);
    let runs = runs.map(|(partition, rows)| Ok(Run { partition, rows: rows? }));
    Ok(Divided { runs: runs.collect::<Result<_>>()?, duplicates, duplicate })
}

/// For each row of each batch the number of its run, and the runs' partitions, in their order.
fn number(layout: &Layout, batches: &[RecordBatch]) -> Result<(Vec<Vec<u32>>, Vec<Struct>)> {
    let mut found = Partitions::new(layout);
    let mut numbers = Vec::with_capacity(batches.len());
    for batch in batches {
        let columns = layout.partition_columns(batch)?;
        numbers.push(match columns.as_slice() {
            [] => vec![found.whole(); batch.num_rows()],
            [only] if is_small(only) => found.by_value(only, &columns)?,
            _ => found.by_bytes(&columns, batch.num_rows())?,
        });
    }
    Ok(found.in_order(numbers))
}

fn is_small(column: &ArrayRef) -> bool {
    column.data_type() == &DataType::Int32 && column.null_count() == 0
}

/// The partitions that were seen so far.
struct Partitions<'a> {
    layout: &'a Layout,
    converter: Option<RowConverter>,
    /// By the bytes that are in the order of the partitions.
    numbers: HashMap<Vec<u8>, u32>,
    values: Vec<Struct>,
    /// The numbers of partitions that are small integers.
    small: Vec<u32>,
}

impl<'a> Partitions<'a> {
    fn new(layout: &'a Layout) -> Partitions<'a> {
        let (numbers, values, small) = (HashMap::new(), Vec::new(), vec![GONE; SMALL]);
        Partitions { layout, converter: None, numbers, values, small }
    }

    /// The one partition of a table without any.
    fn whole(&mut self) -> u32 {
        if self.values.is_empty() {
            self.values.push(Struct::empty());
            self.numbers.insert(Vec::new(), 0);
        }
        0
    }

    /// Few values come again and again, so that most rows need no look at their bytes.
    fn by_value(&mut self, only: &ArrayRef, columns: &[ArrayRef]) -> Result<Vec<u32>> {
        let values = only.as_primitive::<Int32Type>().values();
        let mut numbers = Vec::with_capacity(values.len());
        for (row, value) in values.iter().enumerate() {
            let small = usize::try_from(*value).ok().filter(|value| *value < SMALL);
            let known = small.map_or(GONE, |small| self.small[small]);
            if known != GONE {
                numbers.push(known);
                continue;
            }
            let one = [only.slice(row, 1)];
            let rows = self.bytes(&one)?;
            let number = self.find(rows.row(0).data(), columns, row)?;
            if let Some(small) = small {
                self.small[small] = number;
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn by_bytes(&mut self, columns: &[ArrayRef], count: usize) -> Result<Vec<u32>> {
        let rows = self.bytes(columns)?;
        (0..count).map(|row| self.find(rows.row(row).data(), columns, row)).collect()
    }

    fn bytes(&mut self, columns: &[ArrayRef]) -> Result<arrow::row::Rows> {
        if self.converter.is_none() {
            let field = |column: &ArrayRef| SortField::new(column.data_type().clone());
            let converter = RowConverter::new(columns.iter().map(field).collect());
            self.converter = Some(converter.map_err(failed("divide rows"))?);
        }
        let converter = self.converter.as_ref();
        let converter = converter.ok_or_else(|| Error::internal("partitions without bytes"))?;
        converter.convert_columns(columns).map_err(failed("divide rows"))
    }

    fn find(&mut self, bytes: &[u8], columns: &[ArrayRef], row: usize) -> Result<u32> {
        if let Some(number) = self.numbers.get(bytes) {
            return Ok(*number);
        }
        let number = u32::try_from(self.values.len()).ok().filter(|number| *number != GONE);
        let number = number.ok_or_else(|| Error::internal("more partitions than rows"))?;
        self.values.push(self.layout.partition_at(columns, row)?);
        self.numbers.insert(bytes.to_vec(), number);
        Ok(number)
    }

    /// Numbers the partitions anew, in their order.
    fn in_order(self, mut numbers: Vec<Vec<u32>>) -> (Vec<Vec<u32>>, Vec<Struct>) {
        let by_bytes: BTreeMap<Vec<u8>, u32> = self.numbers.into_iter().collect();
        let mut anew = vec![GONE; self.values.len()];
        for (number, before) in (0..).zip(by_bytes.values()) {
            anew[*before as usize] = number;
        }
        for number in numbers.iter_mut().flatten() {
            *number = anew[*number as usize];
        }
        let values = self.values;
        let in_order = by_bytes.values().map(|before| values[*before as usize].clone());
        let in_order = in_order.collect();
        (numbers, in_order)
    }
}

/// Takes rows whose key comes again later from their runs: how many those are, and one of them.
fn drop_earlier(
    layout: &Layout,
    batches: &[RecordBatch],
    numbers: &mut [Vec<u32>],
) -> Result<(u64, Option<(usize, usize)>)> {
    if layout.key.is_empty() {
        return Ok((0, None));
    }
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut last = HashMap::with_capacity(rows);
    let (mut gone, mut example) = (0, None);
    for (index, batch) in batches.iter().enumerate() {
        for (row, key) in keys::hashes(&layout.key_arrays(batch))?.into_iter().enumerate() {
            if let Some((batch, row)) = last.insert(key, (index, row)) {
                numbers[batch][row] = GONE;
                gone += 1;
                // The first of the rows that are left out, in the order in which they came.
                example = Some(example.map_or((batch, row), |first| (batch, row).min(first)));
            }
        }
    }
    Ok((gone, example))
}

/// Which run each row goes to.
struct Runs {
    numbers: Vec<Vec<u32>>,
    /// Rows of each run.
    counts: Vec<usize>,
    /// For each run its rows as batch and row, for columns that are copied no faster way.
    places: OnceLock<Vec<Vec<(usize, usize)>>>,
}

impl Runs {
    fn new(numbers: Vec<Vec<u32>>, runs: usize) -> Runs {
        let mut counts = vec![0; runs];
        for number in numbers.iter().flatten().filter(|number| **number != GONE) {
            counts[*number as usize] += 1;
        }
        Runs { numbers, counts, places: OnceLock::new() }
    }

    /// The columns of each run. A column of the batches is let go once it is copied.
    fn columns(&self, batches: Vec<RecordBatch>) -> Result<Vec<Vec<ArrayRef>>> {
        let width = batches.first().map_or(0, RecordBatch::num_columns);
        let column = |at: usize| batches.iter().map(|batch| Arc::clone(batch.column(at))).collect();
        let columns: Vec<Mutex<Vec<ArrayRef>>> = (0..width).map(column).map(Mutex::new).collect();
        drop(batches);
        let copied = base::task::parallel(width, |at| {
            let mut column = columns[at].lock().unwrap_or_else(PoisonError::into_inner);
            self.column(std::mem::take(&mut *column))
        });
        let mut divided = vec![Vec::with_capacity(width); self.counts.len()];
        for parts in copied {
            divided.iter_mut().zip(parts?).for_each(|(run, part)| run.push(part));
        }
        Ok(divided)
    }

    fn column(&self, column: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
        let Some(first) = column.first() else { return Ok(Vec::new()) };
        macro_rules! primitive {
            ($kind:ty) => {
                Ok(self.primitives::<$kind>(&column))
            };
        }
        let data_type = first.data_type().clone();
        downcast_primitive! {
            data_type => (primitive),
            DataType::Utf8 => self.texts::<Utf8Type>(&column),
            DataType::LargeBinary => self.texts::<LargeBinaryType>(&column),
            _ => self.others(&column),
        }
    }

    fn primitives<T: ArrowPrimitiveType>(&self, column: &[ArrayRef]) -> Vec<ArrayRef> {
        let room = self.counts.iter().map(|count| Vec::with_capacity(*count));
        let mut runs: Vec<Vec<T::Native>> = room.collect();
        for (array, numbers) in column.iter().zip(&self.numbers) {
            let values = array.as_primitive::<T>().values();
            for (value, number) in values.iter().zip(numbers) {
                if let Some(run) = runs.get_mut(*number as usize) {
                    run.push(*value);
                }
            }
        }
        let data_type = column[0].data_type();
        let array = |(values, nulls): (Vec<T::Native>, Option<NullBuffer>)| {
            let array = PrimitiveArray::<T>::new(values.into(), nulls);
            Arc::new(array.with_data_type(data_type.clone())) as ArrayRef
        };
        runs.into_iter().zip(self.nulls(column)).map(array).collect()
    }

    fn texts<T: ByteArrayType>(&self, column: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let too_long = || {
            Error::new(Kind::LimitExceeded, "the texts of a part are longer than 2 GiB")
                .hint("import the file in several")
        };
        let offsets = self.counts.iter().map(|count| {
            let mut offsets = Vec::with_capacity(count + 1);
            offsets.push(T::Offset::default());
            offsets
        });
        let mut offsets: Vec<Vec<T::Offset>> = offsets.collect();
        let mut bytes: Vec<Vec<u8>> = vec![Vec::new(); self.counts.len()];
        for (array, numbers) in column.iter().zip(&self.numbers) {
            let array = array.as_bytes::<T>();
            let (ends, data) = (array.value_offsets(), array.value_data());
            for (span, number) in ends.windows(2).zip(numbers) {
                let Some(run) = bytes.get_mut(*number as usize) else { continue };
                run.extend_from_slice(&data[span[0].as_usize()..span[1].as_usize()]);
                let end = T::Offset::from_usize(run.len()).ok_or_else(too_long)?;
                offsets[*number as usize].push(end);
            }
        }
        let parts = offsets.into_iter().zip(bytes).zip(self.nulls(column));
        let array = |((offsets, bytes), nulls): ((Vec<T::Offset>, Vec<u8>), _)| {
            let offsets = OffsetBuffer::new(offsets.into());
            let array = GenericByteArray::<T>::try_new(offsets, bytes.into(), nulls);
            Ok(Arc::new(array.map_err(failed("divide rows"))?) as ArrayRef)
        };
        parts.map(array).collect()
    }

    /// Where the values of each run are absent.
    fn nulls(&self, column: &[ArrayRef]) -> Vec<Option<NullBuffer>> {
        if column.iter().all(|array| array.null_count() == 0) {
            return vec![None; self.counts.len()];
        }
        let room = self.counts.iter().map(|count| NullBufferBuilder::new(*count));
        let mut runs: Vec<NullBufferBuilder> = room.collect();
        for (array, numbers) in column.iter().zip(&self.numbers) {
            for (row, number) in numbers.iter().enumerate() {
                if let Some(run) = runs.get_mut(*number as usize) {
                    run.append(array.is_valid(row));
                }
            }
        }
        runs.into_iter().map(|mut run| run.finish()).collect()
    }

    fn others(&self, column: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let arrays: Vec<&dyn Array> = column.iter().map(AsRef::as_ref).collect();
        let places = self.places.get_or_init(|| self.places());
        let part = |places: &Vec<(usize, usize)>| {
            interleave(&arrays, places).map_err(failed("divide rows"))
        };
        places.iter().map(part).collect()
    }

    fn places(&self) -> Vec<Vec<(usize, usize)>> {
        let room = self.counts.iter().map(|count| Vec::with_capacity(*count));
        let mut runs: Vec<Vec<(usize, usize)>> = room.collect();
        for (batch, numbers) in self.numbers.iter().enumerate() {
            for (row, number) in numbers.iter().enumerate() {
                if let Some(run) = runs.get_mut(*number as usize) {
                    run.push((batch, row));
                }
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests;
