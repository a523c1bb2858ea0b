//! Text as it comes: unpacked, without a byte-order mark, as UTF-8 bytes.
//!
//! In: raw bytes of a file. Out: a reader of bytes that claim to be UTF-8; whether they are is
//! checked record by record in `decode`, where a fault can be located.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Error, Kind, Result};

use super::sniff::Packing;
use super::{Encoding, ReadLimits};

/// Bytes that were taken from the file so far, for progress.
pub type Consumed = Arc<AtomicU64>;

/// A reader of the unpacked, transcoded text of `raw`.
pub fn reader(
    raw: Box<dyn Read + Send>,
    packing: Packing,
    encoding: Encoding,
    limits: &ReadLimits,
    consumed: Consumed,
) -> Result<Box<dyn Read + Send>> {
    let unpacked = unpack(Box::new(Counted { raw, consumed }), packing, limits.unpacked)?;
    transcode(unpacked, encoding)
}

/// Undoes gzip or Zstandard, up to `limit` bytes.
pub fn unpack(
    raw: Box<dyn Read + Send>,
    packing: Packing,
    limit: u64,
) -> Result<Box<dyn Read + Send>> {
    let unpacked: Box<dyn Read + Send> = match packing {
        Packing::None => return Ok(raw),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(raw))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(raw)?),
        Packing::Zip => return Err(Error::internal("archives are read entry by entry")),
    };
    Ok(Box::new(Bounded { inner: unpacked, left: limit }))
}

/// Looks at the byte-order mark and turns other encodings into UTF-8.
fn transcode(mut bytes: Box<dyn Read + Send>, encoding: Encoding) -> Result<Box<dyn Read + Send>> {
    let mut mark = Vec::with_capacity(3);
    bytes.by_ref().take(3).read_to_end(&mut mark).map_err(read_error)?;
    let rest = |kept: &[u8], bytes| -> Box<dyn Read + Send> {
        Box::new(io::Cursor::new(kept.to_vec()).chain(bytes))
    };
    Ok(match mark.as_slice() {
        [0xef, 0xbb, 0xbf] => bytes,
        [0xff, 0xfe, kept @ ..] => Box::new(Transcoder::new(rest(kept, bytes), Unit::Utf16Le)),
        [0xfe, 0xff, kept @ ..] => Box::new(Transcoder::new(rest(kept, bytes), Unit::Utf16Be)),
        kept if encoding == Encoding::Latin1 => {
            Box::new(Transcoder::new(rest(kept, bytes), Unit::Latin1))
        }
        kept => rest(kept, bytes),
    })
}

/// Says what failed when a reader of this module fails.
pub fn read_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(worded) => worded,
        Err(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::invalid("the file ends in the middle of its compressed data")
                    .hint("it was cut short: copy or download it again")
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Error::invalid(format!("the file's data is damaged: {error}"))
                    .hint("copy or download it again")
            }
            _ => Error::from(error),
        },
    }
}

struct Counted {
    raw: Box<dyn Read + Send>,
    consumed: Consumed,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.raw.read(buffer)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

struct Bounded {
    inner: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(
                Error::new(Kind::LimitExceeded, "the file unpacks to more than the limit")
                    .hint("unpack it and import it in parts"),
            )
        })?;
        Ok(count)
    }
}

/// How code units become characters.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Latin1,
    Utf16Le,
    Utf16Be,
}

/// Turns one- and two-byte code units into UTF-8, a piece at a time.
struct Transcoder {
    inner: Box<dyn Read + Send>,
    unit: Unit,
    input: Vec<u8>,
    output: Vec<u8>,
    given: usize,
    ended: bool,
}

const PIECE: usize = 64 << 10;

impl Transcoder {
    fn new(inner: Box<dyn Read + Send>, unit: Unit) -> Self {
        Transcoder { inner, unit, input: Vec::new(), output: Vec::new(), given: 0, ended: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.output.clear();
        self.given = 0;
        while self.output.is_empty() && !self.ended {
            let read = self.inner.by_ref().take(PIECE as u64).read_to_end(&mut self.input)?;
            self.ended = read == 0;
            self.convert();
        }
        Ok(())
    }

    fn convert(&mut self) {
        let mut text = String::with_capacity(self.input.len() * 2);
        let used = match self.unit {
            Unit::Latin1 => {
                text.extend(self.input.iter().map(|byte| windows_1252(*byte)));
                self.input.len()
            }
            Unit::Utf16Le => self.convert_utf16(u16::from_le_bytes, &mut text),
            Unit::Utf16Be => self.convert_utf16(u16::from_be_bytes, &mut text),
        };
        self.input.drain(..used);
        self.output.extend_from_slice(text.as_bytes());
    }

    /// Leaves an odd byte and the first half of a pair for the next piece.
    fn convert_utf16(&self, unit: fn([u8; 2]) -> u16, text: &mut String) -> usize {
        let pairs = self.input.chunks_exact(2);
        let mut units: Vec<u16> = pairs.map(|pair| unit([pair[0], pair[1]])).collect();
        if !self.ended && units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
            units.pop();
        }
        let decoded = char::decode_utf16(units.iter().copied());
        text.extend(decoded.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        if self.ended { self.input.len() } else { units.len() * 2 }
    }
}

impl Read for Transcoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.output.len() {
            self.refill()?;
        }
        let count = buffer.len().min(self.output.len() - self.given);
        buffer[..count].copy_from_slice(&self.output[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// ISO 8859-1 has control codes at 0x80–0x9F that no file uses; Windows-1252 has letters there.
fn windows_1252(byte: u8) -> char {
    const UPPER: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => UPPER[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], packing: Packing, encoding: Encoding) -> Result<String> {
        let raw = Box::new(io::Cursor::new(bytes.to_vec()));
        let limits = ReadLimits { unpacked: 1 << 20, ..ReadLimits::default() };
        let mut reader = reader(raw, packing, encoding, &limits, Consumed::default())?;
        let mut text = String::new();
        reader.read_to_string(&mut text).map_err(read_error)?;
        Ok(text)
    }

    #[test]
    fn marks_are_dropped_and_encodings_become_utf8() {
        let utf16: Vec<u8> = "\u{feff}naïve 🎬".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, encoding, expected) in [
            (b"\xef\xbb\xbfabc".as_slice(), Encoding::Utf8, "abc"),
            (b"na\xefve\x80".as_slice(), Encoding::Latin1, "naïve€"),
            (utf16.as_slice(), Encoding::Utf8, "naïve 🎬"),
            (b"", Encoding::Utf8, ""),
        ] {
            assert_eq!(read(bytes, Packing::None, encoding).expect("read"), expected);
        }
    }

    #[test]
    fn packed_text_is_unpacked_and_bombs_are_refused() {
        let zeros = vec![b'0'; 4 << 20];
        let packed = zstd::encode_all(zeros.as_slice(), 3).expect("packed");
        let error = read(&packed, Packing::Zstd, Encoding::Utf8).expect_err("refused");
        assert_eq!(error.kind(), Kind::LimitExceeded);
        let packed = zstd::encode_all(b"abc".as_slice(), 3).expect("packed");
        assert_eq!(read(&packed, Packing::Zstd, Encoding::Utf8).expect("read"), "abc");
        let cut = &packed[..packed.len() - 2];
        assert!(read(cut, Packing::Zstd, Encoding::Utf8).is_err());
    }
}
