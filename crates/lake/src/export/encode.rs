//! One encoder a format.
//!
//! In: batches of one schema. Out: bytes in a writer, and how many.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use frame::DataType;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::ExportFormat;
use super::text;

/// Writes batches in one format.
pub(super) struct Encoder {
    form: Form,
    written: Arc<AtomicU64>,
}

type Out = BufWriter<Counted>;

enum Form {
    Separated { out: Out, delimiter: u8, types: Vec<Option<DataType>> },
    JsonLines { out: Out, types: Vec<Option<DataType>> },
    Parquet(Box<ArrowWriter<Out>>),
    Arrow(Box<FileWriter<Out>>),
}

impl Encoder {
    /// Begins a file: writes the header, where the format has one.
    pub(super) fn new(
        format: ExportFormat,
        schema: &SchemaRef,
        types: Vec<Option<DataType>>,
        writer: Box<dyn Write + Send>,
    ) -> Result<Encoder> {
        let written = Arc::new(AtomicU64::new(0));
        let counted = Counted { writer, written: Arc::clone(&written) };
        let mut out = BufWriter::with_capacity(256 << 10, counted);
        let form = match format {
            ExportFormat::Csv | ExportFormat::Tsv => {
                let delimiter = if format == ExportFormat::Csv { b',' } else { b'\t' };
                let mut line = Vec::new();
                text::header(schema, delimiter, &mut line);
                out.write_all(&line).map_err(failed)?;
                Form::Separated { out, delimiter, types }
            }
            ExportFormat::JsonLines => Form::JsonLines { out, types },
            ExportFormat::Parquet => {
                let level = ZstdLevel::try_new(3).map_err(parquet_failed)?;
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties));
                Form::Parquet(Box::new(writer.map_err(parquet_failed)?))
            }
            ExportFormat::Arrow => {
                Form::Arrow(Box::new(FileWriter::try_new(out, schema).map_err(arrow_failed)?))
            }
        };
        Ok(Encoder { form, written })
    }

    /// Writes one batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.form {
            Form::Separated { out, delimiter, types } => {
                let mut lines = Vec::new();
                text::separated(batch, types, *delimiter, &mut lines)?;
                out.write_all(&lines).map_err(failed)
            }
            Form::JsonLines { out, types } => {
                let mut lines = Vec::new();
                text::json_lines(batch, types, &mut lines)?;
                out.write_all(&lines).map_err(failed)
            }
            Form::Parquet(writer) => writer.write(batch).map_err(parquet_failed),
            Form::Arrow(writer) => writer.write(batch).map_err(arrow_failed),
        }
    }

    /// Bytes that reached the writer so far.
    pub(super) fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends the file; gives its bytes.
    pub(super) fn finish(self) -> Result<u64> {
        let mut out = match self.form {
            Form::Separated { out, .. } | Form::JsonLines { out, .. } => out,
            Form::Parquet(writer) => writer.into_inner().map_err(parquet_failed)?,
            Form::Arrow(writer) => writer.into_inner().map_err(arrow_failed)?,
        };
        out.flush().map_err(failed)?;
        Ok(self.written.load(Ordering::Relaxed))
    }
}

fn failed(error: io::Error) -> Error {
    Error::from(error).context("failed to write exported rows")
}

fn parquet_failed(error: parquet::errors::ParquetError) -> Error {
    Error::new(Kind::Io, "failed to write exported rows").caused_by(error)
}

fn arrow_failed(error: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Io, "failed to write exported rows").caused_by(error)
}

struct Counted {
    writer: Box<dyn Write + Send>,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(buffer)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
