//! Cuts records of separated values into cells (RFC 4180, with any delimiter).
//!
//! In: a block of records, the dialect, and which columns are wanted. Out: [`Cells`]. A stray quote
//! and a record of another width than the header are faults of that record.

use super::block::Block;
use super::cell::{Cell, CellKind, Cells};
use super::fault::{Fault, FaultKind};
use super::marks::Marks;
use crate::source::dialect::Dialect;

/// Where the values of a record go.
#[derive(Clone, Debug)]
pub struct Layout {
    /// For each column of the file, the cell that it fills; `None` for columns left out.
    pub slots: Vec<Option<usize>>,
    /// Cells of a record.
    pub width: usize,
}

/// Cuts all records of a block.
pub fn cut(block: Block, dialect: &Dialect, layout: &Layout) -> Cells {
    let mut cells = Cells::new(block.bytes, layout.width, block.records.len());
    let quote = dialect.quote.unwrap_or(dialect.delimiter);
    let mut marks = Marks::new(dialect.delimiter, quote, &cells.bytes, cells.bytes.len());
    for (start, end) in &block.records {
        let (start, end) = (*start as usize, *end as usize);
        if !cut_plain(&mut cells, &mut marks, start, end, dialect, layout) {
            cells.cells.truncate(cells.count * layout.width);
            cut_record(&mut cells, start, end, dialect, layout);
        }
        cells.count += 1;
    }
    cells
}

/// Cuts a record without quotes that has as many values as the header; any other is refused.
fn cut_plain(
    cells: &mut Cells,
    marks: &mut Marks,
    start: usize,
    end: usize,
    dialect: &Dialect,
    layout: &Layout,
) -> bool {
    let base = cells.cells.len();
    cells.cells.resize(base + layout.width, Cell::empty(CellKind::Missing, start));
    marks.pass_before(start, &cells.bytes);
    let mut at = start;
    let (last, before) = match layout.slots.split_last() {
        Some(columns) => columns,
        None => return false,
    };
    for slot in before {
        let stop = marks.peek(&cells.bytes);
        if stop >= end || cells.bytes[stop] != dialect.delimiter {
            return false;
        }
        marks.pass();
        if let Some(slot) = slot {
            cells.cells[base + slot] = bare(at, stop, end).0;
        }
        at = stop + 1;
    }
    if let Some(slot) = last {
        cells.cells[base + slot] = bare(at, end, end).0;
    }
    marks.peek(&cells.bytes) >= end
}

/// The values of one record, for headers and profiles.
pub fn values(bytes: &[u8], dialect: &Dialect) -> Result<Vec<String>, Fault> {
    let mut cells = Cells::new(bytes.to_vec(), 0, 1);
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let (cell, next) = next_value(&mut cells, at, bytes.len(), dialect)?;
        let text = &cells.bytes[cell.start as usize..cell.end as usize];
        found.push(String::from_utf8_lossy(text).into_owned());
        match next {
            Some(next) => at = next,
            None => return Ok(found),
        }
    }
}

fn cut_record(cells: &mut Cells, start: usize, end: usize, dialect: &Dialect, layout: &Layout) {
    let base = cells.cells.len();
    cells.cells.resize(base + layout.width, Cell::empty(CellKind::Missing, start));
    let mut at = start;
    let mut column = 0;
    loop {
        let (cell, next) = match next_value(cells, at, end, dialect) {
            Ok(found) => found,
            Err(fault) => return cells.fail(Fault { record: cells.count, ..fault }),
        };
        if let Some(Some(slot)) = layout.slots.get(column) {
            cells.cells[base + slot] = cell;
        }
        column += 1;
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    if column != layout.slots.len() {
        cells.fail(ragged(cells.count, start, column, layout.slots.len(), dialect));
    }
}

fn ragged(record: usize, start: usize, found: usize, expected: usize, dialect: &Dialect) -> Fault {
    let values = if found == 1 { "value" } else { "values" };
    let message = format!("expected {expected} values, found {found} {values}");
    let hint = if found > expected {
        format!("put values that hold `{}` into quotes", printable(dialect.delimiter))
    } else {
        "write the missing values as empty ones".to_owned()
    };
    Fault::record(record, FaultKind::Ragged, message).offset(start).hint(hint)
}

fn printable(delimiter: u8) -> String {
    if delimiter == b'\t' { "a tab".to_owned() } else { char::from(delimiter).to_string() }
}

/// The value that begins at `at`, and where the next one begins.
fn next_value(
    cells: &mut Cells,
    at: usize,
    end: usize,
    dialect: &Dialect,
) -> Result<(Cell, Option<usize>), Fault> {
    match dialect.quote {
        Some(quote) if at < end && cells.bytes[at] == quote => {
            quoted_value(cells, at, end, quote, dialect.delimiter)
        }
        Some(quote) => {
            let found = memchr::memchr2(dialect.delimiter, quote, &cells.bytes[at..end]);
            let stop = found.map_or(end, |found| at + found);
            if stop < end && cells.bytes[stop] == quote {
                return Err(stray(stop));
            }
            Ok(bare(at, stop, end))
        }
        None => {
            let found = memchr::memchr(dialect.delimiter, &cells.bytes[at..end]);
            Ok(bare(at, found.map_or(end, |found| at + found), end))
        }
    }
}

fn bare(at: usize, stop: usize, end: usize) -> (Cell, Option<usize>) {
    let cell = Cell { start: at as u32, end: stop as u32, origin: at as u32, kind: CellKind::Bare };
    (cell, (stop < end).then_some(stop + 1))
}

fn quoted_value(
    cells: &mut Cells,
    open: usize,
    end: usize,
    quote: u8,
    delimiter: u8,
) -> Result<(Cell, Option<usize>), Fault> {
    let mut at = open + 1;
    let mut doubled = false;
    let close = loop {
        let Some(found) = memchr::memchr(quote, &cells.bytes[at..end]) else {
            return Err(Fault::record(0, FaultKind::Quote, "a quote is opened and never closed")
                .offset(open)
                .hint("close it, or use `--quote none` if quotes are plain text"));
        };
        at += found;
        if at + 1 < end && cells.bytes[at + 1] == quote {
            doubled = true;
            at += 2;
            continue;
        }
        break at;
    };
    if close + 1 < end && cells.bytes[close + 1] != delimiter {
        return Err(after_quote(close + 1, delimiter));
    }
    let (start, stop) =
        if doubled { undouble(cells, open + 1, close, quote) } else { (open + 1, close) };
    let origin = open as u32;
    let cell = Cell { start: start as u32, end: stop as u32, origin, kind: CellKind::Quoted };
    Ok((cell, (close + 1 < end).then_some(close + 2)))
}

/// Copies a value with its doubled quotes made single to the end of the bytes.
fn undouble(cells: &mut Cells, from: usize, to: usize, quote: u8) -> (usize, usize) {
    let start = cells.bytes.len();
    let mut at = from;
    while at < to {
        let byte = cells.bytes[at];
        cells.bytes.push(byte);
        at += if byte == quote { 2 } else { 1 };
    }
    (start, cells.bytes.len())
}

fn stray(at: usize) -> Fault {
    Fault::record(0, FaultKind::Quote, "a quote stands inside a value that is not quoted")
        .offset(at)
        .hint("quote the whole value and double the quotes in it, or use `--quote none`")
}

fn after_quote(at: usize, delimiter: u8) -> Fault {
    let delimiter = printable(delimiter);
    let message = format!("a closing quote is followed by something else than `{delimiter}`");
    Fault::record(0, FaultKind::Quote, message)
        .offset(at)
        .hint("double the quotes that belong to the value, or use `--quote none`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect { delimiter: b',', quote: Some(b'"'), header: true };

    #[track_caller]
    fn check(record: &str, expected: Result<&[&str], &str>) {
        match (values(record.as_bytes(), &DIALECT), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{record}"),
            (Err(fault), Err(part)) => assert!(fault.message.contains(part), "{fault:?}"),
            (found, _) => panic!("{record}: {found:?}"),
        }
    }

    #[test]
    fn quotes_follow_the_standard() {
        check("a,b", Ok(&["a", "b"]));
        check("", Ok(&[""]));
        check("a,", Ok(&["a", ""]));
        check(",,", Ok(&["", "", ""]));
        check("\"a,b\",\"say \"\"hi\"\"\"", Ok(&["a,b", "say \"hi\""]));
        check("\"\",x", Ok(&["", "x"]));
        check("\"line\nend\",1", Ok(&["line\nend", "1"]));
        check("5\" pipe,x", Err("inside a value"));
        check("\"a\"b,x", Err("followed by"));
        check("\"a,x", Err("never closed"));
    }
}
