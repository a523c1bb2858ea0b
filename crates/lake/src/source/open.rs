//! Opens what the user named, looks at its content, and says what it is.
//!
//! In: a path, the standard input or bytes. Out: a [`Source`] that can be read any number of times.
//! The standard input and packed files whose formats need seeking are copied to a temporary file.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use base::{Error, Kind, Place, Result};
use bytes::Bytes;
use tempfile::TempPath;

use super::sniff::{self, Packing};
use super::text::{self, Consumed};
use super::{Format, ReadOptions, archive, fingerprint, images};

/// What the user named.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file or folder.
    Path(PathBuf),
    /// The standard input (`-`).
    Stdin,
    /// Bytes that came with a request, under the name that the client gave them.
    Bytes {
        /// The name, for messages and the journal.
        name: String,
        /// The content.
        bytes: Bytes,
    },
}

impl Origin {
    /// As the command line spells it: `-` is the standard input.
    pub fn named(text: &str) -> Origin {
        if text == "-" { Origin::Stdin } else { Origin::Path(PathBuf::from(text)) }
    }
}

/// A file whose format is known.
#[derive(Clone, Debug)]
pub struct Source {
    /// As the user named it, for messages.
    pub name: Arc<str>,
    /// What it is.
    pub format: Format,
    /// What is wrapped around it.
    pub packing: Packing,
    /// Its size as it lies there; of a folder, of all images in it.
    pub bytes: u64,
    pub(crate) body: Body,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    File(PathBuf),
    Spooled(Arc<TempPath>),
    Memory(Bytes),
    Folder(Arc<images::Folder>),
}

/// Bytes that can be read from any position.
pub trait ReadSeek: Read + Seek + Send + Sync {}
impl<T: Read + Seek + Send + Sync> ReadSeek for T {}

impl Source {
    /// Opens and sniffs; blocks on I/O. Errors are located at the file.
    pub fn open(origin: Origin, options: &ReadOptions) -> Result<Source> {
        let name: Arc<str> = match &origin {
            Origin::Path(path) => path.display().to_string().into(),
            Origin::Stdin => "<stdin>".into(),
            Origin::Bytes { name, .. } => name.as_str().into(),
        };
        let opened = body(origin, options).and_then(|body| identify(&name, body, options));
        opened.map_err(|error| locate(error, &name))
    }

    /// The content of the file as it lies there, packed or not.
    pub fn raw(&self) -> Result<Box<dyn ReadSeek>> {
        raw(&self.body)
    }

    /// The file's text: unpacked, as UTF-8 bytes without a byte-order mark.
    pub fn text(&self, options: &ReadOptions, consumed: Consumed) -> Result<Box<dyn Read + Send>> {
        let raw: Box<dyn Read + Send> = Box::new(self.raw()?);
        text::reader(raw, self.packing, options.encoding, &options.limits, consumed)
            .map_err(|error| locate(error, &self.name))
    }

    /// BLAKE3 of the content, in hex: equal files have equal fingerprints, whatever their names.
    pub fn fingerprint(&self) -> Result<String> {
        if let Body::Folder(folder) = &self.body {
            return folder.fingerprint();
        }
        let hash = fingerprint::of(|| self.raw(), self.bytes);
        Ok(hash.map_err(|error| locate(error, &self.name))?.to_hex().to_string())
    }

    /// Size and time of the last change, where the file system knows them: whether a file is the
    /// same as when it was looked at.
    pub(crate) fn stamp(&self) -> Result<Option<(u64, std::time::SystemTime)>> {
        let Body::File(path) = &self.body else { return Ok(None) };
        let about = std::fs::metadata(path)?;
        Ok(about.modified().ok().map(|modified| (about.len(), modified)))
    }

    /// A place in this file.
    pub fn place(&self, line: usize, column: usize) -> Place {
        Place { file: self.name.to_string(), line, column }
    }
}

/// Puts an error without a place at the file.
pub(crate) fn locate(error: Error, name: &str) -> Error {
    match error.place() {
        Some(_) => error,
        None => error.at(Place { file: name.to_owned(), line: 0, column: 0 }),
    }
}

fn raw(body: &Body) -> Result<Box<dyn ReadSeek>> {
    Ok(match body {
        Body::File(path) => Box::new(File::open(path)?),
        Body::Spooled(path) => Box::new(File::open(path.as_ref())?),
        Body::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
        Body::Folder(_) => return Err(Error::internal("a folder has no bytes of its own")),
    })
}

fn body(origin: Origin, options: &ReadOptions) -> Result<Body> {
    match origin {
        Origin::Bytes { bytes, .. } => Ok(Body::Memory(bytes)),
        Origin::Stdin => spool(&mut io::stdin().lock(), options.limits.unpacked),
        Origin::Path(path) => path_body(path, options),
    }
}

fn path_body(path: PathBuf, options: &ReadOptions) -> Result<Body> {
    let about = std::fs::metadata(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found(format!("there is no file `{}`", path.display()))
        }
        _ => Error::from(error).context(format!("failed to open `{}`", path.display())),
    })?;
    if about.is_dir() {
        return Ok(Body::Folder(Arc::new(images::Folder::list(&path, &options.limits)?)));
    }
    if about.is_file() {
        return Ok(Body::File(path));
    }
    // A pipe can be read once only, and everything here is read at least twice.
    spool(&mut File::open(&path)?, options.limits.unpacked)
}

/// Copies what can be read once only, or needs unpacking, to a file that goes when nobody holds it.
pub(crate) fn spool(from: &mut dyn Read, limit: u64) -> Result<Body> {
    let mut file = tempfile::NamedTempFile::new()?;
    let copied =
        io::copy(&mut from.take(limit.saturating_add(1)), &mut file).map_err(text::read_error)?;
    if copied > limit {
        return Err(Error::new(Kind::LimitExceeded, "the input is larger than the limit"));
    }
    file.flush()?;
    Ok(Body::Spooled(Arc::new(file.into_temp_path())))
}

fn identify(name: &Arc<str>, body: Body, options: &ReadOptions) -> Result<Source> {
    if let Body::Folder(folder) = &body {
        let bytes = folder.bytes();
        let packing = Packing::None;
        return Ok(Source { name: name.clone(), format: Format::Images, packing, bytes, body });
    }
    let bytes = raw(&body)?.seek(io::SeekFrom::End(0))?;
    let mut start = Vec::new();
    raw(&body)?.take(sniff::WINDOW as u64).read_to_end(&mut start)?;
    let packing = sniff::packing(&start);
    if packing == Packing::Zip {
        return identify_archive(name, body, bytes, options);
    }
    let unpacked = unpacked_start(&body, packing, options)?;
    let whole = unpacked.len() < sniff::WINDOW;
    let format = match options.format {
        Some(format) => format,
        None => sniff::format(&unpacked, whole)?,
    };
    if whole && unpacked.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("the file is empty"));
    }
    let source = Source { name: name.clone(), format, packing, bytes, body };
    if packing != Packing::None && !format.is_text() {
        return unpacked_copy(&source, options);
    }
    Ok(source)
}

fn unpacked_start(body: &Body, packing: Packing, options: &ReadOptions) -> Result<Vec<u8>> {
    let raw: Box<dyn Read + Send> = Box::new(raw(body)?);
    let mut start = Vec::new();
    let unpacked = text::unpack(raw, packing, options.limits.unpacked)?;
    let window = sniff::WINDOW as u64;
    unpacked.take(window).read_to_end(&mut start).map_err(text::read_error)?;
    Ok(start)
}

/// Parquet, Arrow and images are read from any position, which packed bytes do not allow.
fn unpacked_copy(source: &Source, options: &ReadOptions) -> Result<Source> {
    let raw: Box<dyn Read + Send> = Box::new(source.raw()?);
    let limit = options.limits.unpacked;
    let body = spool(&mut text::unpack(raw, source.packing, limit)?, limit)?;
    Ok(Source { body, packing: Packing::None, ..source.clone() })
}

fn identify_archive(
    name: &Arc<str>,
    body: Body,
    bytes: u64,
    options: &ReadOptions,
) -> Result<Source> {
    match archive::look(raw(&body)?, &options.limits)? {
        archive::Content::Images => {
            let format = Format::Images;
            Ok(Source { name: name.clone(), format, packing: Packing::Zip, bytes, body })
        }
        archive::Content::OneFile(entry) => {
            let mut archive = archive::Archive::open(raw(&body)?, &options.limits)?;
            let inner = archive.spool(entry)?;
            let mut start = [0; 4];
            // One level is a convenience; more of them are how archives grow without end.
            if raw(&inner)?.read_exact(&mut start).is_ok() && sniff::packing(&start) == Packing::Zip
            {
                return Err(Error::new(Kind::Unsupported, "the archive holds another archive")
                    .hint("unpack the outer one first"));
            }
            identify(name, inner, options)
        }
    }
}
