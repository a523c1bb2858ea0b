//! Writes rows to a file.
//!
//! ```text
//! ScanRequest | SQL → BatchStream → Encoder (CSV, JSON Lines, Parquet, Arrow) → file | writer
//! ```
//!
//! In: an [`ExportRequest`]. Out: bytes that `import` reads back into the same rows (an `@media`
//! column is written as its measures, not as its bytes), and an [`ExportReport`]. A file appears under
//! its name only when it is whole and synced; memory holds one batch.

mod encode;
mod text;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use base::{Error, Principal, Result};
use frame::{BatchStream, DataType, ScanRequest, SnapshotRef};
use futures::StreamExt;
use tempfile::NamedTempFile;

use encode::Encoder;

use crate::lake::object_named;
use crate::{Lake, SqlAnswer};

/// What the rows are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// Values separated by commas, with a header.
    Csv,
    /// Values separated by tabs, with a header.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    /// Parquet with zstd.
    Parquet,
    /// Arrow IPC, file form.
    Arrow,
}

impl ExportFormat {
    /// All formats with their names, which are the usual endings of files too.
    pub const NAMES: [(&'static str, ExportFormat); 5] = [
        ("csv", ExportFormat::Csv),
        ("tsv", ExportFormat::Tsv),
        ("jsonl", ExportFormat::JsonLines),
        ("parquet", ExportFormat::Parquet),
        ("arrow", ExportFormat::Arrow),
    ];

    /// The format with this name.
    pub fn parse(name: &str) -> Option<ExportFormat> {
        ExportFormat::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// Where the bytes go.
pub enum ExportSink {
    /// A file, replaced as a whole when the export succeeds.
    File(PathBuf),
    /// Anything else; flushed at the end.
    Writer(Box<dyn Write + Send>),
}

/// How far an export is, and in the end what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Rows that were written.
    pub rows: u64,
    /// Bytes that were written.
    pub bytes: u64,
}

/// Rows on their way out: batches, their schema, and the types of the central schema where known
/// (they tell JSON from text).
pub struct Rows {
    /// The schema of the batches.
    pub schema: SchemaRef,
    /// The type of each column.
    pub types: Vec<Option<DataType>>,
    /// The batches.
    pub stream: BatchStream,
}

impl From<SqlAnswer> for Rows {
    fn from(answer: SqlAnswer) -> Rows {
        let types = vec![None; answer.schema.fields().len()];
        Rows { schema: answer.schema, types, stream: answer.stream }
    }
}

impl Lake {
    /// All rows of a type with all its stored fields, by API name, as they are now or were.
    pub async fn rows(
        &self,
        type_name: &str,
        at: Option<SnapshotRef>,
        principal: &Principal,
    ) -> Result<Rows> {
        let schema = self.schema();
        let object = object_named(&schema, type_name)?;
        schema.require_whole(object, principal, "an export")?;
        let fields = object.columns().map(|(def, _)| Arc::clone(&def.name));
        let types = object.columns().map(|(_, spec)| Some(spec.data_type.clone())).collect();
        let request = ScanRequest { at, ..ScanRequest::new(type_name, fields, principal.clone()) };
        let (schema, stream) = self.scan_all(request).await?;
        Ok(Rows { schema, types, stream })
    }
}

/// Writes all rows.
pub async fn write(
    rows: Rows,
    format: ExportFormat,
    sink: ExportSink,
    progress: &mut (dyn FnMut(ExportReport) + Send),
) -> Result<ExportReport> {
    match sink {
        ExportSink::Writer(writer) => encode_all(rows, format, writer, progress).await,
        ExportSink::File(path) => {
            let doing = || format!("failed to write `{}`", path.display());
            let folder = folder_of(&path);
            let temporary = NamedTempFile::new_in(&folder)
                .map_err(|error| Error::from(error).context(doing()))?;
            let writer = temporary.reopen().map_err(|error| Error::from(error).context(doing()))?;
            let report = encode_all(rows, format, Box::new(writer), progress).await?;
            let finish =
                base::task::blocking("finish export", move || finish(temporary, &path, &folder));
            finish.await?.map(|()| report)
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Makes the file durable and gives it its name.
fn finish(temporary: NamedTempFile, path: &Path, folder: &Path) -> Result<()> {
    let doing = || format!("failed to write `{}`", path.display());
    let wrap = |error: std::io::Error| Error::from(error).context(doing());
    temporary.as_file().sync_all().map_err(wrap)?;
    temporary.persist(path).map_err(|error| wrap(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrap)
}

async fn encode_all(
    mut rows: Rows,
    format: ExportFormat,
    writer: Box<dyn Write + Send>,
    progress: &mut (dyn FnMut(ExportReport) + Send),
) -> Result<ExportReport> {
    let mut encoder = Encoder::new(format, &rows.schema, rows.types, writer)?;
    let mut report = ExportReport::default();
    let read = loop {
        let batch = match rows.stream.next().await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error),
            Some(Ok(batch)) => batch,
        };
        report.rows += batch.num_rows() as u64;
        let encoding = base::task::blocking("encode", move || {
            let result = encoder.write(&batch);
            (encoder, result)
        });
        let (back, result) = encoding.await?;
        encoder = back;
        if result.is_err() {
            break result;
        }
        report.bytes = encoder.bytes();
        progress(report);
    };
    // An encoder writes when it is dropped, too, so that it ends on this thread either way.
    let finish = move || read.and_then(|()| encoder.finish());
    report.bytes = base::task::blocking("encode", finish).await??;
    Ok(report)
}
