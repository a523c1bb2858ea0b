//! Puts media where a file has paths or bytes.
//!
//! In: decoded batches whose `@media` columns hold what the file had. Out: batches in the shape of the
//! type, with the media stored and measured. Paths are relative to the file's folder and stay below
//! it. A medium that cannot be taken is a fault of its record.

use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType as ArrowType;
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Place, Result};
use bytes::Bytes;
use frame::Value;
use frame::convert::array_of;
use futures::StreamExt;
use schema::Schema;

use super::RowBatches;
use crate::Lake;
use crate::decode::{FaultKind, RawBatch, Reject, Shape};
use crate::source::images::read_bounded;
use crate::source::{Origin, ReadLimits};

/// Bytes of media that are held at once.
const HELD: usize = 64 << 20;

/// The folder that paths in the file are relative to; none for bytes that came without one.
pub(super) fn base_folder(origin: &Origin) -> Option<PathBuf> {
    let Origin::Path(path) = origin else { return None };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Some(folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf))
}

/// Replaces the `@media` columns of all batches.
pub(super) fn attach(
    lake: &Lake,
    shape: Arc<Shape>,
    base: Option<PathBuf>,
    batches: RowBatches,
    file: Arc<str>,
) -> RowBatches {
    if shape.media().next().is_none() {
        return batches;
    }
    let attached = Attach { lake: lake.clone(), shape, base, file };
    let attached = Arc::new(attached);
    batches
        .then(move |raw| {
            let attached = Arc::clone(&attached);
            async move { attached.batch(raw?).await }
        })
        .boxed()
}

struct Attach {
    lake: Lake,
    shape: Arc<Shape>,
    base: Option<PathBuf>,
    file: Arc<str>,
}

impl Attach {
    async fn batch(&self, raw: RawBatch) -> Result<RawBatch> {
        let mut columns = raw.batch.columns().to_vec();
        let mut faults: Vec<(usize, Error)> = Vec::new();
        for index in self.shape.media() {
            let (array, failed) = self.column(index, &columns[index]).await?;
            columns[index] = array;
            faults.extend(failed);
        }
        leave_out(raw, &self.shape, columns, faults, &self.file)
    }

    async fn column(
        &self,
        index: usize,
        array: &ArrayRef,
    ) -> Result<(ArrayRef, Vec<(usize, Error)>)> {
        let target = &self.shape.targets[index];
        let mut values = vec![Value::Null; array.len()];
        let mut faults = Vec::new();
        let mut held: Vec<(usize, Bytes)> = Vec::new();
        for row in 0..array.len() {
            if array.is_null(row) {
                continue;
            }
            match self.bytes(array, row, &target.name) {
                Ok(bytes) => held.push((row, bytes)),
                Err(error) if error.kind() == Kind::Unsupported => return Err(error),
                Err(error) => faults.push((row, error)),
            }
            if held.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() >= HELD {
                put(&self.lake, &self.shape, &target.name, &mut held, &mut values, &mut faults)
                    .await?;
            }
        }
        put(&self.lake, &self.shape, &target.name, &mut held, &mut values, &mut faults).await?;
        Ok((array_of(values.iter(), &Schema::media_type())?, faults))
    }

    fn bytes(&self, array: &ArrayRef, row: usize, field: &str) -> Result<Bytes> {
        match array.data_type() {
            ArrowType::LargeBinary => {
                Ok(Bytes::copy_from_slice(array.as_binary::<i64>().value(row)))
            }
            ArrowType::Utf8 => self.file_at(array.as_string::<i32>().value(row), field),
            _ => Err(Error::new(
                Kind::Unsupported,
                format!("field `{field}` has the measures of media and not the media themselves"),
            )
            .hint("import the images, from a column of bytes or of paths")),
        }
    }

    fn file_at(&self, path: &str, field: &str) -> Result<Bytes> {
        let Some(base) = &self.base else {
            let message = format!("field `{field}` has paths, and there is no folder to look in");
            return Err(Error::new(Kind::Unsupported, message)
                .hint("import from a folder, or put the images' bytes into the file"));
        };
        let relative = Path::new(path);
        let below = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !below {
            return Err(Error::invalid(format!("path `{path}` leads out of the file's folder"))
                .hint("write paths relative to the file"));
        }
        let mut file = File::open(base.join(relative))
            .map_err(|error| Error::from(error).context(format!("there is no image `{path}`")))?;
        read_bounded(&mut file, ReadLimits::default().image)
    }
}

/// Stores what is held and notes the values by row.
pub(super) async fn put(
    lake: &Lake,
    shape: &Shape,
    field: &str,
    held: &mut Vec<(usize, Bytes)>,
    values: &mut [Value],
    faults: &mut Vec<(usize, Error)>,
) -> Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    let (rows, items): (Vec<usize>, Vec<Bytes>) = std::mem::take(held).into_iter().unzip();
    let stored = lake.put_media(&shape.type_name, field, items).await?;
    for (row, value) in rows.into_iter().zip(stored) {
        match value {
            Ok(value) => values[row] = value,
            Err(error) => faults.push((row, error)),
        }
    }
    Ok(())
}

/// Leaves out the records whose media cannot be taken.
pub(super) fn leave_out(
    raw: RawBatch,
    shape: &Shape,
    columns: Vec<ArrayRef>,
    mut faults: Vec<(usize, Error)>,
    file: &str,
) -> Result<RawBatch> {
    // A missing medium of a required field fails when the batch takes the type's shape, so faulty
    // records go first.
    faults.sort_by_key(|(row, _)| *row);
    faults.dedup_by_key(|(row, _)| *row);
    let count = raw.batch.num_rows();
    let mut keep = vec![true; count];
    let mut rejects = raw.rejects.clone();
    for (row, error) in &faults {
        keep[*row] = false;
        rejects.push(reject(raw.row_number(*row), error, file));
    }
    rejects.sort_by_key(|reject| reject.row);
    let kept = (0..count).filter(|row| keep[*row]).map(|row| raw.row_number(row)).collect();
    let filter = BooleanArray::from(keep);
    let columns = columns.iter().map(|column| {
        arrow::compute::filter(column, &filter)
            .map_err(|error| Error::internal("failed to leave records out").caused_by(error))
    });
    let batch = RecordBatch::try_new(shape.arrow(), columns.collect::<Result<_>>()?)
        .map_err(|error| Error::internal("media are not in the type's shape").caused_by(error))?;
    Ok(RawBatch { batch, rejects, kept: Some(kept), ..raw })
}

fn reject(row: u64, error: &Error, file: &str) -> Reject {
    let place = Place { file: file.to_owned(), line: 0, column: 0 };
    Reject {
        kind: FaultKind::Media,
        row,
        place: error.place().cloned().unwrap_or(place),
        reason: base::error_chain(error).join(": "),
        hint: error.hint_text().map(str::to_owned),
        original: String::new(),
    }
}
