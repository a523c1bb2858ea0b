//! One immutable tantivy index as one object: our own `Directory` over the object store's bytes.
//!
//! In: the files of a finished index. Out: their bytes behind a small header, and from those bytes
//! the index again, read-only. Not here: where the object lies (`parts`).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};

/// The first bytes of every bundle.
const MAGIC: &[u8; 8] = b"HWTEXT\x00\x01";

/// What a bundle says before its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// Names and lengths, in the order of their bytes.
    files: Vec<(PathBuf, u64)>,
}

/// Puts the files of an index into one run of bytes.
pub(crate) fn pack(files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<Vec<u8>> {
    let listed = files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
    let header = serde_json::to_vec(&Header { files: listed })
        .map_err(|error| Error::internal("failed to describe a text index").caused_by(error))?;
    let mut packed = Vec::with_capacity(files.values().map(Vec::len).sum::<usize>() + 512);
    packed.extend_from_slice(MAGIC);
    packed.extend_from_slice(&(header.len() as u64).to_le_bytes());
    packed.extend_from_slice(&header);
    for bytes in files.values() {
        packed.extend_from_slice(bytes);
    }
    Ok(packed)
}

/// The files of a bundle as a read-only directory.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    files: Arc<HashMap<PathBuf, OwnedBytes>>,
}

impl Bundle {
    /// Opens what [`pack`] wrote.
    pub(crate) fn unpack(packed: Vec<u8>) -> Result<Bundle> {
        let corrupt = || Error::new(Kind::Corrupt, "a text index is damaged");
        let bytes = OwnedBytes::new(packed);
        let length = bytes.get(8..16).filter(|_| bytes.starts_with(MAGIC)).ok_or_else(corrupt)?;
        let length = u64::from_le_bytes(length.try_into().map_err(|_| corrupt())?);
        let start = usize::try_from(length).ok().and_then(|length| length.checked_add(16));
        let mut start = start.filter(|start| *start <= bytes.len()).ok_or_else(corrupt)?;
        let header: Header = serde_json::from_slice(&bytes[16..start]).map_err(|_| corrupt())?;
        let mut files = HashMap::new();
        for (name, length) in header.files {
            let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
            let end = end.filter(|end| *end <= bytes.len()).ok_or_else(corrupt)?;
            files.insert(name, bytes.slice(start..end));
            start = end;
        }
        Ok(Bundle { files: Arc::new(files) })
    }

    fn file(&self, path: &Path) -> std::result::Result<&OwnedBytes, OpenReadError> {
        self.files.get(path).ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a finished text index is never written")
}

impl Directory for Bundle {
    fn get_file_handle(
        &self,
        path: &Path,
    ) -> std::result::Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.file(path)?.clone()))
    }

    fn delete(&self, path: &Path) -> std::result::Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn exists(&self, path: &Path) -> std::result::Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> std::result::Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> std::result::Result<Vec<u8>, OpenReadError> {
        Ok(self.file(path)?.to_vec())
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> std::result::Result<DirectoryLock, LockError> {
        // Nobody writes, so there is nothing to keep out.
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_gives_back_its_files_and_damage_is_noticed() {
        let files = BTreeMap::from([
            (PathBuf::from("meta.json"), b"{}".to_vec()),
            (PathBuf::from("x.term"), vec![1, 2, 3]),
        ]);
        let packed = pack(&files).expect("packs");
        let bundle = Bundle::unpack(packed.clone()).expect("opens");
        for (name, bytes) in &files {
            assert_eq!(&bundle.atomic_read(name).expect("there"), bytes);
        }
        for end in [0, 7, 15, 20, packed.len() - 1] {
            let error = Bundle::unpack(packed[..end].to_vec()).expect_err("cut off");
            assert_eq!(error.kind(), Kind::Corrupt, "cut at {end}");
        }
    }
}
