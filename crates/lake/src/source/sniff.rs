//! Tells what bytes are by looking at them, never at a file's name.
//!
//! In: the first bytes. Out: the packing around the content, the format of the content, or a worded
//! refusal that names what the file is instead.

use base::{Error, Kind, Result};

use super::Format;

/// Bytes that are enough to tell any known format.
pub const WINDOW: usize = 64 << 10;

/// What is wrapped around the content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Nothing.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// A zip archive.
    Zip,
}

/// Formats that are recognised only to be refused in words: magic, offset, name, hint.
const FOREIGN: [(&[u8], usize, &str, &str); 13] = [
    (b"\xfd7zXZ\0", 0, "an xz archive", "unpack it first: `xz -d FILE`"),
    (b"BZh", 0, "a bzip2 archive", "unpack it first: `bzip2 -d FILE`"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive", "unpack it first: `7z x FILE`"),
    (b"Rar!", 0, "a RAR archive", "unpack it first"),
    (b"ustar", 257, "a tar archive", "unpack it first: `tar xf FILE`"),
    (b"%PDF-", 0, "a PDF document", "export the data as CSV"),
    (
        b"SQLite format 3\0",
        0,
        "an SQLite database",
        "export a table: `sqlite3 -header -csv FILE 'select …'`",
    ),
    (b"Obj\x01", 0, "an Avro file", "convert it to Parquet"),
    (b"ORC", 0, "an ORC file", "convert it to Parquet"),
    (b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file", "convert it to Parquet"),
    (b"\x93NUMPY", 0, "a NumPy array", "convert it to Parquet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "an old Office document", "save the sheet as CSV"),
    (b"\x80\x04\x95", 0, "a Python pickle", "convert it to Parquet"),
];

/// Starts of image files; `media` looks at the whole content later.
const IMAGES: [&[u8]; 9] = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"qoif",
    b"\0\0\x01\0",
];

/// What is wrapped around the content.
pub fn packing(start: &[u8]) -> Packing {
    match start {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Packing::Zip,
        _ => Packing::None,
    }
}

/// Whether the bytes begin as an image does.
pub fn is_image(start: &[u8]) -> bool {
    let riff = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP".as_slice());
    // Two letters are not enough to call text an image: a bitmap names its size next.
    let bitmap = |magic: &[u8]| magic != b"BM" || start.get(6..10) == Some(&[0; 4]);
    riff || IMAGES.iter().any(|magic| start.starts_with(magic) && bitmap(magic))
}

/// What the unpacked content is; `start` are its first bytes, `whole` says that there are no more.
pub fn format(start: &[u8], whole: bool) -> Result<Format> {
    if let Some((_, _, name, hint)) = FOREIGN
        .iter()
        .find(|(magic, at, ..)| start.get(*at..).is_some_and(|s| s.starts_with(magic)))
    {
        return Err(Error::new(Kind::Unsupported, format!("the file is {name}")).hint(*hint));
    }
    if start.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if start.starts_with(b"ARROW1") {
        return Ok(Format::ArrowFile);
    }
    if is_arrow_stream(start) {
        return Ok(Format::ArrowStream);
    }
    if is_image(start) {
        return Ok(Format::Images);
    }
    text_format(start, whole)
}

fn is_arrow_stream(start: &[u8]) -> bool {
    // A continuation marker and the length of the schema message, which is never large.
    start.starts_with(&[0xff; 4])
        && start
            .get(4..8)
            .and_then(|length| length.try_into().ok())
            .is_some_and(|length| u32::from_le_bytes(length) < 64 << 20)
}

fn text_format(start: &[u8], whole: bool) -> Result<Format> {
    let text = start.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(start);
    let utf16 = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
    if !utf16 && text.contains(&0) {
        return Err(Error::invalid("the file is binary data of no known format").hint(
            "known are CSV, TSV, JSON Lines, JSON, Parquet, Arrow, images, and these in gzip, zstd or zip",
        ));
    }
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None if whole => Err(Error::invalid("the file is empty")),
        Some(b'{') => Ok(Format::JsonLines),
        Some(b'[') if is_json_array(text) => Ok(Format::JsonArray),
        _ => Ok(Format::Separated),
    }
}

/// A bracket can also begin a cell of separated values; only an object or an end may follow in an
/// array of records.
fn is_json_array(text: &[u8]) -> bool {
    let mut rest = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    rest.next() == Some(&b'[') && matches!(rest.next(), Some(b'{' | b']') | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_format() {
        let cases: [(&[u8], Format); 9] = [
            (b"PAR1....", Format::Parquet),
            (b"ARROW1\0\0", Format::ArrowFile),
            (b"\xff\xff\xff\xff\x10\0\0\0", Format::ArrowStream),
            (b"\x89PNG\r\n\x1a\n....", Format::Images),
            (b"  {\"a\": 1}\n", Format::JsonLines),
            (b"[ {\"a\": 1}]", Format::JsonArray),
            (b"[1];x\n", Format::Separated),
            (b"a,b\n", Format::Separated),
            (b"BMW,Audi\n1,2\n", Format::Separated),
        ];
        for (bytes, expected) in cases {
            assert_eq!(format(bytes, true).expect("known"), expected, "{bytes:?}");
        }
    }

    #[test]
    fn foreign_formats_are_refused_by_name() {
        for (start, name) in [
            (b"SQLite format 3\0".as_slice(), "SQLite"),
            (b"%PDF-1.7", "PDF"),
            (b"a\0b", "binary"),
            (b" \n ", "empty"),
        ] {
            let error = format(start, true).expect_err("refused");
            assert!(error.message().contains(name), "{error}");
        }
    }
}
