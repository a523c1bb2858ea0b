//! Reading objects: whole, by range, or only their metadata.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path as FilePath;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attributes, GetOptions, GetResult, GetResultPayload, ObjectMeta, Result};

use super::disk::{Disk, tag};
use super::{generic, io_error};

/// Opens an object.
pub(super) fn get(disk: &Disk, location: Path, options: &GetOptions) -> Result<GetResult> {
    let path = disk.file_of(&location)?;
    let (file, meta) = open(&path, location)?;
    options.check_preconditions(&meta)?;
    let range = match &options.range {
        Some(range) => range.as_range(meta.size).map_err(generic)?,
        None => 0..meta.size,
    };
    Ok(GetResult {
        payload: GetResultPayload::File(file, path),
        meta,
        range,
        attributes: Attributes::default(),
    })
}

/// Reads several ranges of one object.
pub(super) fn ranges(disk: &Disk, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let path = disk.file_of(location)?;
    let (file, meta) = open(&path, location.clone())?;
    ranges.iter().map(|range| read_range(&file, &path, meta.size, range)).collect()
}

fn read_range(file: &File, path: &FilePath, size: u64, range: &Range<u64>) -> Result<Bytes> {
    let end = range.end.min(size);
    if range.start >= end && range.start < range.end {
        return Err(generic(base::Error::invalid(format!(
            "`{}` has {size} bytes, but bytes from {} were asked for",
            path.display(),
            range.start
        ))));
    }
    let length = usize::try_from(end.saturating_sub(range.start)).map_err(generic)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start).map_err(|error| io_error(error, "read", path))?;
    Ok(bytes.into())
}

fn open(path: &FilePath, location: Path) -> Result<(File, ObjectMeta)> {
    let fail = |error| io_error(error, "read", path);
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return Err(fail(std::io::ErrorKind::NotFound.into()));
    }
    Ok((file, object_meta(location, &metadata)))
}

/// What the store says of an object.
pub(super) fn object_meta(location: Path, metadata: &std::fs::Metadata) -> ObjectMeta {
    let modified = metadata.modified().map(chrono::DateTime::from).unwrap_or_default();
    ObjectMeta {
        location,
        last_modified: modified,
        size: metadata.len(),
        e_tag: Some(tag(metadata)),
        version: None,
    }
}
