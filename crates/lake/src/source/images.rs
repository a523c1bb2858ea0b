//! Sets of images: a folder, a zip archive, or a single file, with the file of facts beside them.
//!
//! In: a [`Source`] of images. Out: entries in the order of their paths, their bytes, and the
//! sidecar (`metadata.csv`, `metadata.tsv` or `metadata.jsonl` at the top). Not here: what becomes of
//! a path or of a sidecar's columns (`import`), decoding of images (`media`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base::size::format_bytes;
use base::{Error, Kind, Result};
use bytes::Bytes;

use super::archive::{Archive, is_noise};
use super::open::Body;
use super::sniff::Packing;
use super::{Origin, ReadLimits, ReadOptions, Source};

/// Names that a sidecar may have.
pub const SIDECARS: [&str; 4] =
    ["metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet"];

/// Folders inside folders that are looked into.
const DEPTH: usize = 32;

/// A folder's files, listed once so that every pass sees the same set.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    files: Vec<(String, u64)>,
}

impl Folder {
    /// Lists the files below `root`, in the order of their paths; links to folders are not followed.
    pub fn list(root: &Path, limits: &ReadLimits) -> Result<Folder> {
        let mut files = Vec::new();
        list_into(root, "", limits, 0, &mut files)?;
        files.sort();
        if files.is_empty() {
            return Err(Error::invalid(format!("folder `{}` holds no files", root.display())));
        }
        Ok(Folder { root: root.to_path_buf(), files })
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    /// BLAKE3 over paths and contents, in hex.
    pub fn fingerprint(&self) -> Result<String> {
        let mut all = blake3::Hasher::new();
        for (path, _) in &self.files {
            let mut one = blake3::Hasher::new();
            one.update_reader(File::open(self.root.join(path))?)?;
            all.update(&(path.len() as u64).to_le_bytes());
            all.update(path.as_bytes());
            all.update(one.finalize().as_bytes());
        }
        Ok(all.finalize().to_hex().to_string())
    }
}

fn list_into(
    folder: &Path,
    prefix: &str,
    limits: &ReadLimits,
    depth: usize,
    files: &mut Vec<(String, u64)>,
) -> Result<()> {
    if depth > DEPTH {
        let message = format!("folder `{}` is nested deeper than {DEPTH}", folder.display());
        return Err(Error::new(Kind::LimitExceeded, message));
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            let shown = entry.path().display().to_string();
            return Err(Error::invalid(format!("the name of `{shown}` is not UTF-8"))
                .hint("rename the file"));
        };
        if is_noise(&name) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            list_into(&entry.path(), &format!("{path}/"), limits, depth + 1, files)?;
        } else if let Ok(about) = std::fs::metadata(entry.path())
            && about.is_file()
        {
            files.push((path, about.len()));
        }
        if files.len() > limits.entries {
            let message = format!("the folder holds more than {} files", limits.entries);
            return Err(Error::new(Kind::LimitExceeded, message));
        }
    }
    Ok(())
}

/// Images that can be read one by one.
pub struct ImageSet {
    /// Paths below the folder or inside the archive, sorted, without the sidecar.
    pub paths: Vec<String>,
    reader: Reader,
    sidecar: Option<usize>,
    limits: ReadLimits,
}

enum Reader {
    Folder { root: PathBuf },
    Archive { archive: Box<Archive>, indexes: Vec<usize>, sidecar: Option<usize> },
    Single(Box<Source>),
}

impl ImageSet {
    /// Lists the images of a source.
    pub fn open(source: &Source, options: &ReadOptions) -> Result<ImageSet> {
        let limits = options.limits;
        if let Body::Folder(folder) = &source.body {
            let mut paths: Vec<_> = folder.files.iter().map(|(path, _)| path.clone()).collect();
            let sidecar = take_sidecar(&mut paths);
            let reader = Reader::Folder { root: folder.root.clone() };
            let sidecar = sidecar.map(|(name, _)| name);
            return Ok(ImageSet { paths, reader, sidecar, limits });
        }
        if source.packing != Packing::Zip {
            let path = Path::new(source.name.as_ref());
            let name = path
                .file_name()
                .map_or(source.name.to_string(), |name| name.to_string_lossy().into_owned());
            let reader = Reader::Single(Box::new(source.clone()));
            return Ok(ImageSet { paths: vec![name], reader, sidecar: None, limits });
        }
        let mut archive = Archive::open(source.raw()?, &limits)?;
        let entries = archive.entries()?;
        let mut paths: Vec<_> = entries.iter().map(|entry| entry.path.clone()).collect();
        let mut indexes: Vec<_> = entries.iter().map(|entry| entry.index).collect();
        let found = take_sidecar(&mut paths);
        let sidecar = found.map(|(_, position)| indexes.remove(position));
        let archive = Box::new(archive);
        let reader = Reader::Archive { archive, indexes, sidecar };
        Ok(ImageSet { paths, reader, sidecar: found.map(|(name, _)| name), limits })
    }

    /// The bytes of the image at this position.
    pub fn read(&mut self, position: usize) -> Result<Bytes> {
        let limit = self.limits.image;
        match &mut self.reader {
            Reader::Folder { root } => {
                read_bounded(&mut File::open(root.join(&self.paths[position]))?, limit)
            }
            Reader::Single(source) => read_bounded(&mut source.raw()?, limit),
            Reader::Archive { archive, indexes, .. } => {
                Ok(archive.read(indexes[position], limit)?.into())
            }
        }
    }

    /// The file of facts about the images, when there is one.
    pub fn sidecar(&mut self, options: &ReadOptions) -> Result<Option<Source>> {
        let Some(name) = self.sidecar.map(|index| SIDECARS[index]) else { return Ok(None) };
        let origin = match &mut self.reader {
            Reader::Folder { root } => Origin::Path(root.join(name)),
            Reader::Archive { archive, sidecar: Some(index), .. } => Origin::Bytes {
                name: name.to_owned(),
                bytes: archive.read(*index, self.limits.unpacked)?.into(),
            },
            _ => return Ok(None),
        };
        let options = ReadOptions { format: None, ..options.clone() };
        Source::open(origin, &options).map(Some)
    }
}

/// Removes the sidecar from the paths; gives its position in [`SIDECARS`] and in the paths.
fn take_sidecar(paths: &mut Vec<String>) -> Option<(usize, usize)> {
    for (name, sidecar) in SIDECARS.iter().enumerate() {
        if let Some(position) = paths.iter().position(|path| path == sidecar) {
            paths.remove(position);
            return Some((name, position));
        }
    }
    None
}

/// Reads a file that may not be larger than `limit`.
pub(crate) fn read_bounded(from: &mut dyn Read, limit: u64) -> Result<Bytes> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("the image is larger than {}", format_bytes(limit));
        return Err(Error::new(Kind::LimitExceeded, message));
    }
    Ok(bytes.into())
}
