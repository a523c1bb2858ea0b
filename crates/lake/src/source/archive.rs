//! Zip archives: what they hold, and their entries, without ever trusting what they say about
//! themselves.
//!
//! In: a seekable file. Out: entries' names and bytes. Sizes are counted while unpacking, so that an
//! archive that lies about them gains nothing; nothing is written under an entry's own name.

use std::io::Read;

use base::size::format_bytes;
use base::{Error, Kind, Result};
use zip::ZipArchive;
use zip::result::ZipError;

use super::open::{Body, ReadSeek, spool};
use super::{ReadLimits, sniff};

/// Unpacked bytes below which the ratio is not looked at: small files of one repeated byte are no
/// danger.
const RATIO_FLOOR: u64 = 8 << 20;

/// Entries that are opened to find out what an archive holds.
const LOOKED_AT: usize = 256;

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images, and perhaps a file about them.
    Images,
    /// One file of data, at this position.
    OneFile(usize),
}

/// An open archive.
pub struct Archive {
    zip: ZipArchive<Box<dyn ReadSeek>>,
    limits: ReadLimits,
    unpacked: u64,
}

/// An entry that is a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the archive.
    pub index: usize,
    /// The path inside the archive.
    pub path: String,
    /// Bytes as packed.
    pub packed: u64,
}

/// Finds out what the archive holds.
pub fn look(file: Box<dyn ReadSeek>, limits: &ReadLimits) -> Result<Content> {
    let mut archive = Archive::open(file, limits)?;
    let entries = archive.entries()?;
    if entries.iter().any(|entry| entry.path == "xl/workbook.xml") {
        return Err(Error::new(Kind::Unsupported, "the file is an Excel workbook")
            .hint("save each sheet as CSV"));
    }
    if entries.is_empty() {
        return Err(Error::invalid("the archive holds no files"));
    }
    for entry in entries.iter().take(LOOKED_AT) {
        if sniff::is_image(&archive.start(entry.index)?) {
            return Ok(Content::Images);
        }
    }
    match entries.as_slice() {
        [only] => Ok(Content::OneFile(only.index)),
        [first, second, ..] => {
            let count = entries.len();
            Err(Error::new(
                Kind::Unsupported,
                format!(
                    "the archive holds {count} files (`{}`, `{}`, …) and no images",
                    first.path, second.path
                ),
            )
            .hint("unpack it and import each file into its type"))
        }
        [] => Err(Error::invalid("the archive holds no files")),
    }
}

impl Archive {
    /// Reads the list of entries.
    pub fn open(file: Box<dyn ReadSeek>, limits: &ReadLimits) -> Result<Archive> {
        let zip = ZipArchive::new(file).map_err(archive_error)?;
        if zip.len() > limits.entries {
            return Err(Error::new(
                Kind::LimitExceeded,
                format!("the archive holds {} entries; the limit is {}", zip.len(), limits.entries),
            ));
        }
        Ok(Archive { zip, limits: *limits, unpacked: 0 })
    }

    /// The files, in the order of their paths, without what operating systems add.
    pub fn entries(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(self.zip.len());
        for index in 0..self.zip.len() {
            let file = self.zip.by_index_raw(index).map_err(archive_error)?;
            let path = file.name().replace('\\', "/");
            if !file.is_dir() && !is_noise(&path) {
                entries.push(Entry { index, path, packed: file.compressed_size() });
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// The bytes of one entry, up to `limit`.
    pub fn read(&mut self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let ratio = self.limits.ratio;
        let left = self.limits.unpacked.saturating_sub(self.unpacked);
        let mut file = self.zip.by_index(index).map_err(archive_error)?;
        let name = file.name().to_owned();
        let allowed = allowed(file.compressed_size(), ratio).min(limit).min(left);
        let mut bytes = Vec::new();
        file.by_ref()
            .take(allowed.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(&name, &error))?;
        if bytes.len() as u64 > allowed {
            return Err(too_large(&name, allowed));
        }
        self.unpacked += bytes.len() as u64;
        Ok(bytes)
    }

    /// Copies one entry to a temporary file.
    pub(crate) fn spool(&mut self, index: usize) -> Result<Body> {
        let limits = self.limits;
        let mut file = self.zip.by_index(index).map_err(archive_error)?;
        let name = file.name().to_owned();
        // Text of one repeated line packs much better than an image does, and it is read as a
        // stream, so only the absolute limit holds here.
        let allowed = limits.unpacked;
        spool(&mut file, allowed).map_err(|error| match error.kind() {
            Kind::LimitExceeded => too_large(&name, allowed),
            _ => error.context(format!("failed to unpack `{name}`")),
        })
    }

    fn start(&mut self, index: usize) -> Result<Vec<u8>> {
        let mut file = self.zip.by_index(index).map_err(archive_error)?;
        let name = file.name().to_owned();
        let mut start = Vec::new();
        file.by_ref().take(64).read_to_end(&mut start).map_err(|error| damaged(&name, &error))?;
        Ok(start)
    }
}

fn allowed(packed: u64, ratio: u64) -> u64 {
    packed.saturating_mul(ratio).max(RATIO_FLOOR)
}

/// Whether a path is something that operating systems add: hidden files, resource forks.
pub(crate) fn is_noise(path: &str) -> bool {
    path.split('/').any(|part| {
        part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db" || part == "desktop.ini"
    })
}

fn too_large(name: &str, allowed: u64) -> Error {
    Error::new(
        Kind::LimitExceeded,
        format!("entry `{name}` unpacks to more than {}", format_bytes(allowed)),
    )
    .hint("an archive whose entries unpack to far more than their packed size may be a zip bomb")
}

fn damaged(name: &str, error: &std::io::Error) -> Error {
    Error::invalid(format!("entry `{name}` of the archive is damaged: {error}"))
        .hint("copy or download the archive again")
}

fn archive_error(error: ZipError) -> Error {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            Error::new(Kind::Unsupported, "the archive is encrypted")
                .hint("unpack it first, with its password")
        }
        ZipError::UnsupportedArchive(what) => {
            Error::new(Kind::Unsupported, format!("the archive cannot be read: {what}"))
                .hint("unpack it first")
        }
        ZipError::Io(error) => Error::invalid(format!("the archive is damaged: {error}"))
            .hint("copy or download it again"),
        other => Error::invalid(format!("the archive is damaged: {other}"))
            .hint("copy or download it again"),
    }
}
