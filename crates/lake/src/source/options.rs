//! What a user may say about a file that its content does not say.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Separated values: CSV with any one-byte delimiter, TSV.
    Separated,
    /// One JSON object a line.
    JsonLines,
    /// One JSON array of objects.
    JsonArray,
    /// Parquet.
    Parquet,
    /// Arrow IPC, file form.
    ArrowFile,
    /// Arrow IPC, stream form.
    ArrowStream,
    /// Images: a folder, a zip archive, or one file.
    Images,
}

impl Format {
    /// All formats with the names that options use.
    pub const NAMES: [(&'static str, Format); 8] = [
        ("csv", Format::Separated),
        ("tsv", Format::Separated),
        ("jsonl", Format::JsonLines),
        ("json", Format::JsonArray),
        ("parquet", Format::Parquet),
        ("arrow", Format::ArrowFile),
        ("arrow-stream", Format::ArrowStream),
        ("images", Format::Images),
    ];

    /// The format with this name.
    pub fn parse(name: &str) -> Option<Format> {
        Format::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    /// How messages call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Separated => "separated values",
            Format::JsonLines => "JSON Lines",
            Format::JsonArray => "a JSON array",
            Format::Parquet => "Parquet",
            Format::ArrowFile => "an Arrow file",
            Format::ArrowStream => "an Arrow stream",
            Format::Images => "images",
        }
    }

    /// Whether records are lines or pieces of text.
    pub fn is_text(self) -> bool {
        matches!(self, Format::Separated | Format::JsonLines | Format::JsonArray)
    }
}

/// How text is encoded; UTF-16 is recognised by its byte-order mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8, the default.
    #[default]
    Utf8,
    /// ISO 8859-1, with the printable characters that Windows-1252 puts at 0x80–0x9F.
    Latin1,
}

impl Encoding {
    /// The encoding with this name.
    pub fn parse(name: &str) -> Option<Encoding> {
        match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" => Some(Encoding::Utf8),
            "latin1" | "latin-1" | "iso-8859-1" | "windows-1252" => Some(Encoding::Latin1),
            _ => None,
        }
    }
}

/// The unit of points in time that are written as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epoch {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
}

impl Epoch {
    /// The unit with this name.
    pub fn parse(name: &str) -> Option<Epoch> {
        match name {
            "seconds" | "s" => Some(Epoch::Seconds),
            "millis" | "ms" => Some(Epoch::Millis),
            "micros" | "us" => Some(Epoch::Micros),
            _ => None,
        }
    }
}

/// What the user says about a file; by default everything is found out.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The format, instead of the one that the content shows.
    pub format: Option<Format>,
    /// The delimiter of separated values, instead of the one that fits the first lines.
    pub delimiter: Option<u8>,
    /// Whether quotes are plain text (`--quote none`).
    pub plain_quotes: bool,
    /// Whether the first record names the columns, instead of the guess.
    pub header: Option<bool>,
    /// Names of the columns of a file without a header; an empty name or `_` skips a column.
    pub columns: Option<Vec<String>>,
    /// The encoding of text.
    pub encoding: Encoding,
    /// Texts that stand for no value, besides the empty one.
    pub nulls: Vec<String>,
    /// The unit of points in time that are numbers; makes numbers in separated values acceptable.
    pub epoch: Option<Epoch>,
    /// How dates are written, instead of `2026-11-23`: `%d.%m.%Y`.
    pub date_format: Option<String>,
    /// How points in time are written, instead of RFC 3339: `%d.%m.%Y %H:%M`; taken as UTC.
    pub datetime_format: Option<String>,
    /// Leave out columns that the type does not have instead of refusing them.
    pub ignore_unknown: bool,
    /// Stated bounds.
    pub limits: ReadLimits,
}

/// Stated bounds of reading.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Bytes of one record.
    pub record: usize,
    /// Bytes of a block of records that is decoded at once.
    pub block: usize,
    /// Records of a block.
    pub rows: usize,
    /// Columns of a file.
    pub columns: usize,
    /// Bytes that a compressed file or an archive may unpack to.
    pub unpacked: u64,
    /// How many times larger than packed an archive's entry may unpack.
    pub ratio: u64,
    /// Entries of an archive, files of a folder.
    pub entries: usize,
    /// Bytes of one image.
    pub image: u64,
    /// Depth of nested JSON.
    pub depth: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        ReadLimits {
            record: 16 << 20,
            // With the cells that it is cut into, about what the second cache of a core holds.
            block: 512 << 10,
            rows: 1 << 16,
            columns: 10_000,
            unpacked: 1 << 40,
            ratio: 200,
            entries: 1_000_000,
            image: 64 << 20,
            depth: 64,
        }
    }
}
