//! Cuts a text into blocks of whole records, in bounded memory.
//!
//! In: a reader of bytes. Out: [`Block`]s that can be decoded independently, in parallel. Quotes are
//! followed here only as far as finding the ends of records needs; `separated` and `json` judge them.

use std::io::Read;

use base::size::format_bytes;
use base::{Error, Kind, Place, Result};

use crate::source::ReadLimits;
use crate::source::text::read_error;

/// Bytes that are read at once.
const READ: usize = 256 << 10;

/// Whole records, ready to be decoded.
#[derive(Clone, Debug)]
pub struct Block {
    /// The records' bytes with whatever stands between them.
    pub bytes: Vec<u8>,
    /// Start and end of each record, without its line end.
    pub records: Vec<(u32, u32)>,
    /// Records of the file before this block.
    pub first_record: u64,
    /// The line, from 1, at which the block begins.
    pub first_line: usize,
}

/// How records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// At the line end.
    Lines {
        /// `\n`, or `\r` in files of old systems.
        end: u8,
        /// Whether lines without anything are records too.
        keep_blank: bool,
    },
    /// At the line end outside quotes.
    Quoted {
        /// `\n`, or `\r` in files of old systems.
        end: u8,
        /// Between values.
        delimiter: u8,
        /// Around values.
        quote: u8,
        /// Whether lines without anything are records too.
        keep_blank: bool,
    },
    /// At the end of each element of one JSON array.
    Elements,
}

/// The blocks of a text.
pub struct Blocks<R> {
    reader: R,
    file: String,
    cut: Cut,
    limits: ReadLimits,
    buffer: Vec<u8>,
    state: State,
    record: u64,
    line: usize,
    ended: bool,
}

/// Where the search for the next end stands.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The next byte to look at.
    at: usize,
    /// The first byte of the record.
    start: usize,
    quoted: bool,
    escaped: bool,
    depth: usize,
    /// Of a JSON array: 0 before `[`, 1 between elements, 2 inside one, 3 after `]`.
    phase: u8,
}

impl<R: Read> Blocks<R> {
    /// Cuts what `reader` gives; `file` is named in errors.
    pub fn new(reader: R, file: &str, cut: Cut, limits: &ReadLimits) -> Self {
        Blocks {
            reader,
            file: file.to_owned(),
            cut,
            limits: *limits,
            buffer: Vec::new(),
            state: State::default(),
            record: 0,
            line: 1,
            ended: false,
        }
    }

    /// The next block of at most the limits' records and about the limits' bytes; `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        let mut records = Vec::new();
        let mut end = 0;
        loop {
            while let Some((from, to, next)) = self.next_record() {
                if from < to || self.keeps_blank() {
                    records.push((from as u32, to as u32));
                }
                end = next;
                if end >= self.limits.block || records.len() >= self.limits.rows {
                    return Ok(Some(self.take(records, end)));
                }
            }
            if self.ended {
                self.finish(&mut records, &mut end)?;
                let block = (!records.is_empty()).then(|| self.take(records, end));
                return Ok(block);
            }
            self.check_record_size()?;
            if self.buffer.len() >= self.limits.block && !records.is_empty() {
                return Ok(Some(self.take(records, end)));
            }
            self.fill()?;
        }
    }

    fn keeps_blank(&self) -> bool {
        matches!(
            self.cut,
            Cut::Lines { keep_blank: true, .. } | Cut::Quoted { keep_blank: true, .. }
        )
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        let mut piece = self.reader.by_ref().take(READ as u64);
        match piece.read_to_end(&mut self.buffer) {
            Ok(filled) => {
                self.ended = filled < READ;
                Ok(())
            }
            Err(error) => Err(read_error(error).at(self.place())),
        }
    }

    /// Start, end and the byte after the line end of the next whole record in the buffer.
    fn next_record(&mut self) -> Option<(usize, usize, usize)> {
        match self.cut {
            Cut::Lines { end, .. } => {
                let found = memchr(end, &self.buffer[self.state.at..]);
                let found = found.map(|found| self.state.at + found);
                if found.is_none() {
                    self.state.at = self.buffer.len();
                }
                self.line_record(found)
            }
            Cut::Quoted { end, delimiter, quote, .. } => {
                let found = self.end_outside_quotes(end, delimiter, quote);
                self.line_record(found)
            }
            Cut::Elements => self.next_element(),
        }
    }

    fn line_record(&mut self, found: Option<usize>) -> Option<(usize, usize, usize)> {
        let end = found?;
        let start = std::mem::replace(&mut self.state.start, end + 1);
        self.state.at = end + 1;
        Some((start, trim_return(&self.buffer, start, end), end + 1))
    }

    /// A quote opens only where a value begins, so that an inch sign in a value swallows nothing.
    fn end_outside_quotes(&mut self, end: u8, delimiter: u8, quote: u8) -> Option<usize> {
        let bytes = &self.buffer;
        let mut at = self.state.at;
        while at < bytes.len() {
            if self.state.quoted {
                let Some(found) = memchr(quote, &bytes[at..]) else { break };
                at += found + 1;
                match bytes.get(at) {
                    Some(next) if *next == quote => at += 1,
                    Some(_) => self.state.quoted = false,
                    // Whether the quote is doubled shows when the next bytes are read.
                    None if !self.ended => {
                        self.state.at = at - 1;
                        return None;
                    }
                    None => self.state.quoted = false,
                }
                continue;
            }
            let Some(found) = memchr2(end, quote, &bytes[at..]) else { break };
            at += found;
            if bytes[at] == end {
                return Some(at);
            }
            let opens = at == self.state.start || bytes[at - 1] == delimiter;
            self.state.quoted = opens;
            at += 1;
        }
        self.state.at = bytes.len();
        None
    }

    fn next_element(&mut self) -> Option<(usize, usize, usize)> {
        while self.state.at < self.buffer.len() {
            let at = self.state.at;
            let byte = self.buffer[at];
            let state = &mut self.state;
            match (state.phase, byte) {
                (0, b'[') => state.phase = 1,
                (1, b']') => state.phase = 3,
                (0..=1, byte)
                    if byte.is_ascii_whitespace() || (byte == b',' && state.phase == 1) => {}
                (3, byte) if byte.is_ascii_whitespace() => {}
                (2, _) => {
                    if let Some(end) = state.inside(byte) {
                        let start = state.start;
                        state.phase = 1;
                        // The bracket that ends the array ends its last element too.
                        let next = if end { at } else { at + 1 };
                        state.at = next;
                        let to = if end { at } else { at + 1 };
                        let to = start + self.buffer[start..to].trim_ascii_end().len();
                        return Some((start, to, next));
                    }
                }
                _ => {
                    *state = State { at, start: at, phase: 2, ..State::default() };
                    continue;
                }
            }
            self.state.at += 1;
        }
        None
    }

    /// What is left at the end of the file.
    fn finish(&mut self, records: &mut Vec<(u32, u32)>, end: &mut usize) -> Result<()> {
        let (start, length) = (self.state.start.max(*end), self.buffer.len());
        if self.cut == Cut::Elements {
            if self.state.phase != 3 && (length > 0 || self.record > 0) {
                return Err(Error::invalid("the JSON array is never closed by `]`")
                    .at(self.place_after(length))
                    .hint("the file was cut short: copy or download it again"));
            }
        } else if start < length {
            let to = trim_return(&self.buffer, start, length);
            records.push((start as u32, to as u32));
        }
        *end = length;
        self.state.start = length;
        Ok(())
    }

    fn take(&mut self, records: Vec<(u32, u32)>, end: usize) -> Block {
        // Room for all of the next block, which would be copied again and again while it grows.
        let mut rest = Vec::with_capacity(self.limits.block + 2 * READ);
        rest.extend_from_slice(&self.buffer[end..]);
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.truncate(end);
        self.state.at = self.state.at.saturating_sub(end);
        self.state.start = self.state.start.saturating_sub(end);
        let first_line = self.line;
        let newline = match self.cut {
            Cut::Lines { end, .. } | Cut::Quoted { end, .. } => end,
            Cut::Elements => b'\n',
        };
        self.line += count(newline, &bytes);
        let first_record = self.record;
        self.record += records.len() as u64;
        Block { bytes, records, first_record, first_line }
    }

    fn check_record_size(&self) -> Result<()> {
        let size = self.buffer.len() - self.state.start;
        if size <= self.limits.record {
            return Ok(());
        }
        let limit = format_bytes(self.limits.record as u64);
        let hint = if self.state.quoted {
            "a quote is opened and never closed: close it, or use `--quote none` if quotes are plain text"
        } else {
            "is the file really lines of records?"
        };
        Err(Error::new(Kind::LimitExceeded, format!("a record is longer than {limit}"))
            .at(self.place_after(self.state.start))
            .hint(hint))
    }

    fn place(&self) -> Place {
        self.place_after(0)
    }

    fn place_after(&self, offset: usize) -> Place {
        let line = self.line + count(b'\n', &self.buffer[..offset.min(self.buffer.len())]);
        Place { file: self.file.clone(), line, column: 0 }
    }
}

impl State {
    /// Looks at one byte inside an element; `Some` when the element ends with it (`false`) or
    /// before it (`true`).
    fn inside(&mut self, byte: u8) -> Option<bool> {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return None;
        }
        match byte {
            b'"' => self.quoted = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 1 => self.depth -= 1,
            b'}' | b']' if self.depth == 1 => {
                self.depth = 0;
                return Some(false);
            }
            b',' | b']' if self.depth == 0 => return Some(true),
            _ => {}
        }
        None
    }
}

fn trim_return(bytes: &[u8], start: usize, end: usize) -> usize {
    if end > start && bytes[end - 1] == b'\r' { end - 1 } else { end }
}

/// How many times a byte occurs.
pub(crate) fn count(byte: u8, bytes: &[u8]) -> usize {
    memchr::memchr_iter(byte, bytes).count()
}

fn memchr(byte: u8, bytes: &[u8]) -> Option<usize> {
    memchr::memchr(byte, bytes)
}

fn memchr2(first: u8, second: u8, bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(first, second, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTED: Cut = Cut::Quoted { end: b'\n', delimiter: b',', quote: b'"', keep_blank: false };

    fn cut(text: &str, cut: Cut, block: usize) -> Result<Vec<String>> {
        let limits = ReadLimits { block, record: 64, ..ReadLimits::default() };
        let mut blocks = Blocks::new(text.as_bytes(), "f", cut, &limits);
        let mut records = Vec::new();
        while let Some(block) = blocks.next_block()? {
            assert_eq!(block.first_record, records.len() as u64);
            records.extend(block.records.iter().map(|(from, to)| {
                String::from_utf8_lossy(&block.bytes[*from as usize..*to as usize]).into_owned()
            }));
        }
        Ok(records)
    }

    #[test]
    fn records_end_at_line_ends_outside_quotes() {
        let text = "a,\"b\nc\"\r\n\n\"x\"\"\n\",5\" pipe\nlast";
        for block in [1, 4, 1000] {
            let records = cut(text, QUOTED, block).expect("cut");
            assert_eq!(records, ["a,\"b\nc\"", "\"x\"\"\n\",5\" pipe", "last"]);
        }
    }

    #[test]
    fn bytes_may_be_read_in_pieces_that_end_anywhere() {
        let record = "k,\"a \"\"quoted\"\" word, and\nanother\",1";
        for before in 0..record.len() + 2 {
            let first = "x".repeat(READ - before);
            let text = format!("{first}\n{record}\n{record}\n");
            let limits = ReadLimits::default();
            let mut blocks = Blocks::new(text.as_bytes(), "f", QUOTED, &limits);
            let block = blocks.next_block().expect("readable").expect("records");
            let found = block.records.iter().map(|(from, to)| to - from).collect::<Vec<_>>();
            let length = record.len() as u32;
            assert_eq!(
                found,
                [first.len() as u32, length, length],
                "{before} bytes before the end"
            );
        }
    }

    #[test]
    fn elements_of_an_array_are_records() {
        let text = "[ {\"a\": \"]}\\\"\"},\n {\"b\": [1, {}]}, 3 ]\n";
        for block in [1, 1000] {
            let records = cut(text, Cut::Elements, block).expect("cut");
            assert_eq!(records, ["{\"a\": \"]}\\\"\"}", "{\"b\": [1, {}]}", "3"]);
        }
        let error = cut("[{\"a\": 1},", Cut::Elements, 10).expect_err("refused");
        assert!(error.message().contains("never closed"), "{error}");
    }

    #[test]
    fn a_record_over_the_limit_is_refused_where_it_begins() {
        let text = format!("a\n\"{}", "x".repeat(600 << 10));
        let error = cut(&text, QUOTED, 1000).expect_err("refused");
        assert_eq!(error.kind(), Kind::LimitExceeded);
        assert_eq!(error.place().expect("located").line, 2);
        assert!(error.hint_text().expect("hinted").contains("quote"));
    }
}
