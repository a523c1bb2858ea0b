//! Decodes Parquet and Arrow: arrays that already have types, which must become the schema's.
//!
//! In: a source of record batches. Out: a [`ColumnarDecoder`]. Types that hold the same values
//! convert directly; everything else goes through its text and the same rules as text formats, so
//! that one rule decides what fits.

use std::fs::File;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use base::{Error, Result};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;

use super::batches::{RawBatch, assemble, by_record};
use super::coerce::{Rules, Slot};
use super::convert::convert;
use super::fault::{Fault, Reject};
use super::shape::Shape;
use super::{bind, defaults};
use crate::source::open::{Body, locate};
use crate::source::{Format, ReadOptions, Source};

/// Rows that are read at once.
const ROWS: usize = 16 << 10;

/// Rows with images in them that are read at once.
const IMAGE_ROWS: usize = 128;

/// Turns batches of a file into batches of the shape; shared by all workers.
pub struct ColumnarDecoder {
    shape: Arc<Shape>,
    file: String,
    rules: Rules,
    /// For each field, the column of the read batches.
    columns: Vec<Option<usize>>,
}

/// Batches of a file, each with the bytes that were read so far.
pub type Rows = Box<dyn Iterator<Item = Result<(RecordBatch, u64)>> + Send>;

/// Opens the file and binds its columns to the fields of the shape.
pub fn open(
    source: &Source,
    shape: &Arc<Shape>,
    options: &ReadOptions,
) -> Result<(ColumnarDecoder, Rows)> {
    let place = source.place(0, 0);
    let bind_columns = |schema: &SchemaRef| {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let slots = bind::bind(&names, shape, options, &place)?;
        bind::check_required(&slots, shape, &place)?;
        Ok(slots)
    };
    let at_once = if shape.media().next().is_some() { IMAGE_ROWS } else { ROWS };
    let (slots, rows) = match source.format {
        Format::Parquet => parquet_rows(source, at_once, bind_columns)?,
        _ => arrow_rows(source, at_once, bind_columns)?,
    };
    let columns =
        (0..shape.targets.len()).map(|target| slots.iter().position(|slot| *slot == Some(target)));
    let columns = columns.collect();
    let file = source.name.to_string();
    let decoder =
        ColumnarDecoder { shape: Arc::clone(shape), file, rules: Rules::of(options), columns };
    Ok((decoder, rows))
}

/// All columns of the file as they are.
pub(crate) fn all_rows(source: &Source) -> Result<Rows> {
    let every = |schema: &SchemaRef| Ok((0..schema.fields().len()).map(Some).collect());
    let (_, rows) = match source.format {
        Format::Parquet => parquet_rows(source, ROWS, every)?,
        _ => arrow_rows(source, ROWS, every)?,
    };
    Ok(rows)
}

type Slots = Vec<Option<usize>>;
type Bind<'a> = dyn Fn(&SchemaRef) -> Result<Slots> + 'a;

/// Reads only the columns that are wanted; gives the slots of those.
fn parquet_rows(
    source: &Source,
    at_once: usize,
    bind: impl Fn(&SchemaRef) -> Result<Slots>,
) -> Result<(Slots, Rows)> {
    match &source.body {
        Body::File(path) => parquet_from(File::open(path)?, source, at_once, &bind),
        Body::Spooled(path) => parquet_from(File::open(path.as_ref())?, source, at_once, &bind),
        Body::Memory(bytes) => parquet_from::<Bytes>(bytes.clone(), source, at_once, &bind),
        Body::Folder(_) => Err(Error::internal("a folder is not a Parquet file")),
    }
}

fn parquet_from<C: ChunkReader + 'static>(
    chunks: C,
    source: &Source,
    at_once: usize,
    bind: &Bind<'_>,
) -> Result<(Slots, Rows)> {
    let metadata = ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new())
        .map_err(|error| parquet_damaged(source, &error.to_string()))?;
    let slots = bind(metadata.schema())?;
    let wanted = slots.iter().enumerate().filter(|(_, slot)| slot.is_some());
    let mask = ProjectionMask::roots(metadata.parquet_schema(), wanted.map(|(index, _)| index));
    let total = metadata.metadata().file_metadata().num_rows().max(1) as u64;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, metadata)
        .with_projection(mask)
        .with_batch_size(at_once)
        .build()
        .map_err(|error| parquet_damaged(source, &error.to_string()))?;
    let slots = slots.into_iter().filter(Option::is_some).collect();
    let source = source.clone();
    let mut done = 0;
    let rows = reader.map(move |read| {
        let batch = read.map_err(|error| parquet_damaged(&source, &error.to_string()))?;
        done += batch.num_rows() as u64;
        // Columns of a row group lie apart, so bytes are told by the share of rows.
        let consumed = (u128::from(source.bytes) * u128::from(done) / u128::from(total)) as u64;
        Ok((batch, consumed))
    });
    Ok((slots, Box::new(rows)))
}

fn arrow_rows(
    source: &Source,
    at_once: usize,
    bind: impl Fn(&SchemaRef) -> Result<Slots>,
) -> Result<(Slots, Rows)> {
    let named = source.clone();
    let fail = move |error: arrow::error::ArrowError| arrow_damaged(&named, &error.to_string());
    let raw = std::io::BufReader::with_capacity(1 << 20, source.raw()?);
    let size = source.bytes;
    let (schema, batches): (_, Box<dyn Iterator<Item = _> + Send>) = match source.format {
        Format::ArrowFile => {
            let reader = FileReader::try_new(raw, None).map_err(&fail)?;
            (reader.schema(), Box::new(reader))
        }
        _ => {
            let reader = StreamReader::try_new(raw, None).map_err(&fail)?;
            (reader.schema(), Box::new(reader))
        }
    };
    let slots = bind(&schema)?;
    let mut consumed = 0;
    let rows = batches.map(move |read| {
        let batch: RecordBatch = read.map_err(&fail)?;
        consumed = size.min(consumed + batch.get_array_memory_size() as u64);
        Ok((batch, consumed))
    });
    Ok((slots, Box::new(rows.flat_map(move |read| in_pieces(read, at_once)))))
}

/// Whoever wrote the file chose the size of its batches; ours are bounded.
fn in_pieces(read: Result<(RecordBatch, u64)>, at_once: usize) -> Vec<Result<(RecordBatch, u64)>> {
    match read {
        Ok((batch, consumed)) => (0..batch.num_rows())
            .step_by(at_once)
            .map(|at| Ok((batch.slice(at, at_once.min(batch.num_rows() - at)), consumed)))
            .collect(),
        Err(error) => vec![Err(error)],
    }
}

fn parquet_damaged(source: &Source, detail: &str) -> Error {
    let detail = detail.trim_start_matches("Parquet error: ");
    locate(Error::invalid(format!("the Parquet file is damaged: {detail}")), &source.name)
        .hint("it was cut short or changed: copy or write it again")
}

fn arrow_damaged(source: &Source, detail: &str) -> Error {
    locate(Error::invalid(format!("the Arrow data is damaged: {detail}")), &source.name)
        .hint("it was cut short or changed: copy or write it again")
}

impl ColumnarDecoder {
    /// Decodes a batch whose first record has this number in the file.
    pub fn decode(&self, batch: &RecordBatch, first_row: u64) -> Result<RawBatch> {
        let mut faults = Vec::new();
        let count = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.shape.targets.len());
        for (target, column) in self.shape.targets.iter().zip(&self.columns) {
            let Some(column) = column else {
                arrays.push(defaults::absent(target, count)?);
                continue;
            };
            let array = batch.column(*column);
            if target.media {
                arrays.push(super::convert::media(array, &target.name)?);
                continue;
            }
            let nullable = target.nullable || target.default.is_some();
            let slot = Slot { name: &target.name, expect: &target.expect, nullable };
            let array = convert(slot, &target.data_type, array, &self.rules, &mut faults)
                .map_err(|error| locate(error, &self.file))?;
            arrays.push(defaults::fill(array, target)?);
        }
        let describe = |record: usize, faults: &[Fault]| Reject {
            kind: faults[0].kind,
            row: first_row + record as u64,
            place: base::Place { file: self.file.clone(), line: 0, column: 0 },
            reason: faults.iter().map(Fault::reason).collect::<Vec<_>>().join("; "),
            hint: faults[0].hint.clone(),
            original: as_json(&batch.slice(record, 1)),
        };
        assemble(&self.shape, arrays, count, first_row, by_record(faults, describe))
    }
}

/// A row for people: not every Arrow type has a JSON form, and then the type must do.
fn as_json(row: &RecordBatch) -> String {
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    if writer.write(row).and_then(|()| writer.finish()).is_err() {
        return format!("a row of {} columns", row.num_columns());
    }
    String::from_utf8_lossy(&text).trim_end().to_owned()
}
