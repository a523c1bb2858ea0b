//! The stream of decoded batches: one task reads and cuts, several decode, the order stays.
//!
//! In: a source of rows. Out: [`Batches`]. At most `workers` pieces are decoded and as many wait, so
//! memory is bounded by their number times the limits' block size.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema};
use arrow::record_batch::RecordBatch;
use base::task::Task;
use base::{Error, Result};
use futures::stream::{BoxStream, StreamExt};
use futures::{Stream, stream};
use tokio::sync::mpsc;

use super::block::Block;
use super::columnar::{self, ColumnarDecoder};
use super::fault::{Fault, Reject};
use super::shape::Shape;
use super::text::{self, TextDecoder};
use crate::source::open::locate;
use crate::source::{Format, ReadOptions, Source};

/// Decoded records of one piece of a file.
#[derive(Clone, Debug)]
pub struct RawBatch {
    /// The good records. Columns are the shape's, but an `@media` column holds what the file had:
    /// paths, bytes, or the measures of media that are stored already.
    pub batch: RecordBatch,
    /// The number in the file of the first record, from 1.
    pub first_row: u64,
    /// Records of the piece, good or not.
    pub rows: u64,
    /// The records that were left out.
    pub rejects: Vec<Reject>,
    /// The numbers in the file of the good records, when some were left out.
    pub kept: Option<Vec<u64>>,
    /// Bytes of the file that were read when this piece was cut.
    pub consumed: u64,
}

impl RawBatch {
    /// The number in the file of a good record.
    pub fn row_number(&self, index: usize) -> u64 {
        match &self.kept {
            Some(kept) => kept[index],
            None => self.first_row + index as u64,
        }
    }
}

/// Decoded batches in the order of the file.
pub struct Batches {
    stream: BoxStream<'static, Result<RawBatch>>,
    _producer: Task<()>,
}

impl Stream for Batches {
    type Item = Result<RawBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(context)
    }
}

/// What is decoded at once.
enum Piece {
    Text(Block),
    Rows { batch: RecordBatch, first_row: u64 },
}

enum Decoder {
    Text(TextDecoder),
    Columnar(ColumnarDecoder),
}

impl Decoder {
    fn decode(&self, piece: Piece) -> Result<RawBatch> {
        match (self, piece) {
            (Decoder::Text(decoder), Piece::Text(block)) => decoder.decode(block),
            (Decoder::Columnar(decoder), Piece::Rows { batch, first_row }) => {
                decoder.decode(&batch, first_row)
            }
            _ => Err(Error::internal("a piece came to the wrong decoder")),
        }
    }
}

type Sender = mpsc::Sender<(Result<Piece>, u64)>;

/// Starts decoding a source of rows after its first `skip` rows, with `workers` at once.
pub async fn open(
    source: Source,
    shape: Arc<Shape>,
    options: ReadOptions,
    skip: u64,
    workers: usize,
) -> Result<Batches> {
    let name = Arc::clone(&source.name);
    let opened =
        base::task::blocking("open source", move || prepare(source, &shape, &options, skip));
    let (decoder, produce) = opened.await?.map_err(|error| locate(error, &name))?;
    let decoder = Arc::new(decoder);
    let (sender, receiver) = mpsc::channel(workers.max(1));
    let producer = base::task::spawn("read source", async move {
        // The error of a panicking reader arrives at the receiver as a stream without an end mark.
        let closing = sender.clone();
        if let Err(error) = base::task::blocking("read source", move || produce(&sender)).await {
            let _ = closing.send((Err(damaged(error)), 0)).await;
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let stream = pieces
        .map(move |(piece, consumed)| {
            decode_one(Arc::clone(&decoder), piece, consumed, Arc::clone(&name))
        })
        .buffered(workers.max(1));
    Ok(Batches { stream: stream.boxed(), _producer: producer })
}

async fn decode_one(
    decoder: Arc<Decoder>,
    piece: Result<Piece>,
    consumed: u64,
    name: Arc<str>,
) -> Result<RawBatch> {
    let decoded = match piece {
        Ok(piece) => base::task::blocking("decode", move || decoder.decode(piece)).await?,
        Err(error) => Err(error),
    };
    match decoded {
        Ok(batch) => Ok(RawBatch { consumed, ..batch }),
        Err(error) => Err(locate(error, &name)),
    }
}

/// Libraries may panic on crafted bytes; that is the file's fault and must be told so.
fn damaged(error: Error) -> Error {
    Error::invalid("the file is damaged in a way that its reader does not survive").caused_by(error)
}

type Produce = Box<dyn FnOnce(&Sender) + Send>;

fn prepare(
    source: Source,
    shape: &Arc<Shape>,
    options: &ReadOptions,
    skip: u64,
) -> Result<(Decoder, Produce)> {
    if source.format.is_text() {
        let input = text::open(&source, shape, options)?;
        let (mut blocks, consumed) = (input.blocks, input.consumed);
        let skip = skip + input.skipped;
        let produce = move |sender: &Sender| {
            let next = || blocks.next_block();
            produce_blocks(next, skip, sender, &consumed);
        };
        return Ok((Decoder::Text(input.decoder), Box::new(produce)));
    }
    if source.format == Format::Images {
        return Err(Error::internal("images are not read as rows"));
    }
    let (decoder, reader) = columnar::open(&source, shape, options)?;
    let produce = move |sender: &Sender| produce_rows(reader, skip, sender);
    Ok((Decoder::Columnar(decoder), Box::new(produce)))
}

fn produce_blocks(
    mut next: impl FnMut() -> Result<Option<Block>>,
    skip: u64,
    sender: &Sender,
    consumed: &AtomicU64,
) {
    loop {
        let mut block = match next() {
            Ok(Some(block)) => block,
            Ok(None) => return,
            Err(error) => return drop(sender.blocking_send((Err(error), 0))),
        };
        let left = skip.saturating_sub(block.first_record).min(block.records.len() as u64);
        block.records.drain(..left as usize);
        block.first_record += left;
        if block.records.is_empty() {
            continue;
        }
        let bytes = consumed.load(Ordering::Relaxed);
        // Nobody listens any more when the import was stopped.
        if sender.blocking_send((Ok(Piece::Text(block)), bytes)).is_err() {
            return;
        }
    }
}

fn produce_rows(reader: columnar::Rows, skip: u64, sender: &Sender) {
    let mut before = 0;
    for read in reader {
        let (batch, consumed) = match read {
            Ok(read) => read,
            Err(error) => return drop(sender.blocking_send((Err(error), 0))),
        };
        let rows = batch.num_rows() as u64;
        let left = skip.saturating_sub(before).min(rows);
        let first_row = before + left + 1;
        before += rows;
        if left == rows {
            continue;
        }
        let batch = batch.slice(left as usize, (rows - left) as usize);
        if sender.blocking_send((Ok(Piece::Rows { batch, first_row }), consumed)).is_err() {
            return;
        }
    }
}

/// Groups faults by record and describes each record once.
pub(super) fn by_record(
    mut faults: Vec<Fault>,
    describe: impl Fn(usize, &[Fault]) -> Reject,
) -> Vec<(usize, Reject)> {
    faults.sort_by_key(|fault| fault.record);
    faults
        .chunk_by(|a, b| a.record == b.record)
        .map(|faults| (faults[0].record, describe(faults[0].record, faults)))
        .collect()
}

/// Leaves the faulty records out.
pub(super) fn assemble(
    shape: &Shape,
    mut arrays: Vec<ArrayRef>,
    count: usize,
    first_row: u64,
    rejects: Vec<(usize, Reject)>,
) -> Result<RawBatch> {
    let mut kept = None;
    if !rejects.is_empty() {
        let mut keep = vec![true; count];
        rejects.iter().for_each(|(record, _)| keep[*record] = false);
        let numbers = keep.iter().enumerate().filter(|(_, keep)| **keep);
        kept = Some(numbers.map(|(record, _)| first_row + record as u64).collect());
        let keep = BooleanArray::from(keep);
        for array in &mut arrays {
            *array = arrow::compute::filter(array, &keep)
                .map_err(|error| Error::internal("failed to leave records out").caused_by(error))?;
        }
    }
    let fields = shape.targets.iter().zip(&arrays).map(|(target, array)| {
        ArrowField::new(target.name.as_ref(), array.data_type().clone(), target.nullable)
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema, arrays)
        .map_err(|error| Error::internal("failed to assemble a batch").caused_by(error))?;
    let rejects = rejects.into_iter().map(|(_, reject)| reject).collect();
    Ok(RawBatch { batch, first_row, rows: count as u64, rejects, kept, consumed: 0 })
}
