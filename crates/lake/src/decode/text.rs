//! Decodes blocks of text: separated values and JSON.
//!
//! In: the start of a text, to find the dialect and bind the columns; then blocks. Out: a
//! [`TextDecoder`], which turns any block into a [`RawBatch`] without looking at another.

use std::io::Read;
use std::sync::Arc;

use arrow::array::ArrayRef;
use base::{Error, Place, Result};

use super::batches::{RawBatch, assemble};
use super::block::{Block, Blocks, Cut, count};
use super::cell::{CellKind, Cells};
use super::coerce::{Rules, Slot, build};
use super::fault::{Fault, FaultKind, Reject};
use super::json::{self, Names};
use super::separated::{self, Layout};
use super::shape::Shape;
use super::{bind, defaults};
use crate::source::dialect::{self, Dialect};
use crate::source::text::{Consumed, read_error};
use crate::source::{Format, ReadOptions, Source, sniff};

/// Decodes blocks; shared by all workers.
pub struct TextDecoder {
    shape: Arc<Shape>,
    file: String,
    syntax: Syntax,
    rules: Rules,
    /// The field of each cell.
    fields: Vec<usize>,
    /// Whether record 0 is the header, so that rows count from the record after it.
    header: bool,
}

enum Syntax {
    Separated { dialect: Dialect, layout: Layout },
    Json { names: Names, depth: usize },
}

/// A text that is ready to be read block by block.
pub struct TextInput {
    /// Decodes the blocks.
    pub decoder: TextDecoder,
    /// Gives the blocks; the header is among the first one's records.
    pub blocks: Blocks<Box<dyn Read + Send>>,
    /// Records of the file that are no rows.
    pub skipped: u64,
    /// Bytes taken from the file so far.
    pub consumed: Consumed,
}

/// Looks at the start of a text and binds its columns to the fields of the shape.
pub fn open(source: &Source, shape: &Arc<Shape>, options: &ReadOptions) -> Result<TextInput> {
    let consumed = Consumed::default();
    let start = start_of(source, options)?;
    let (syntax, fields, header, cut) = match source.format {
        Format::Separated => separated(source, &start, shape, options)?,
        _ => json_lines(source, &start, shape, options)?,
    };
    let reader = source.text(options, Arc::clone(&consumed))?;
    let blocks = Blocks::new(reader, &source.name, cut, &options.limits);
    let file = source.name.to_string();
    let rules = Rules::of(options);
    let decoder = TextDecoder { shape: Arc::clone(shape), file, syntax, rules, fields, header };
    Ok(TextInput { decoder, blocks, skipped: u64::from(header), consumed })
}

/// The first bytes of the text.
pub(crate) fn start_of(source: &Source, options: &ReadOptions) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let reader = source.text(options, Consumed::default())?;
    reader.take(sniff::WINDOW as u64).read_to_end(&mut start).map_err(read_error)?;
    Ok(start)
}

/// How separated values are written, and how their records end.
pub(crate) fn dialect_of(
    start: &[u8],
    options: &ReadOptions,
    known: Option<&dyn Fn(&str) -> bool>,
) -> Result<(Dialect, Cut)> {
    let dialect = dialect::detect(start, options, known)?;
    let end = line_end(start);
    let delimiter = dialect.delimiter;
    let cut = match dialect.quote {
        Some(quote) => Cut::Quoted { end, delimiter, quote, keep_blank: false },
        None => Cut::Lines { end, keep_blank: false },
    };
    Ok((dialect, cut))
}

/// How JSON records end.
pub(crate) fn json_cut(format: Format) -> Cut {
    match format {
        Format::JsonArray => Cut::Elements,
        _ => Cut::Lines { end: b'\n', keep_blank: false },
    }
}

type Opened = (Syntax, Vec<usize>, bool, Cut);

fn separated(
    source: &Source,
    start: &[u8],
    shape: &Shape,
    options: &ReadOptions,
) -> Result<Opened> {
    let known = |name: &str| bind::resolve(name.trim(), shape).is_some();
    let (dialect, cut) = dialect_of(start, options, Some(&known))?;
    let (first, place) = first_record(source, cut, options)?;
    let first = separated::values(&first, &dialect).map_err(|fault| {
        let error = Error::invalid(format!("failed to read the first record: {}", fault.message));
        let error = error.at(place.clone());
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    if first.len() > options.limits.columns {
        let message = format!(
            "the file has {} columns; the limit is {}",
            first.len(),
            options.limits.columns
        );
        return Err(Error::new(base::Kind::LimitExceeded, message).at(place));
    }
    let targets = if dialect.header {
        let names: Vec<String> = first.iter().map(|name| name.trim().to_owned()).collect();
        match &options.columns {
            Some(_) => bind::positional(names.len(), shape, options, &place)?,
            None => bind::bind(&names, shape, options, &place)?,
        }
    } else {
        bind::positional(first.len(), shape, options, &place)?
    };
    bind::check_required(&targets, shape, &place)?;
    let (layout, fields) = layout(&targets);
    // In a file of one column a blank line is a record without a value.
    let keep_blank = targets.len() == 1;
    let cut = match cut {
        Cut::Quoted { end, delimiter, quote, .. } => {
            Cut::Quoted { end, delimiter, quote, keep_blank }
        }
        Cut::Lines { end, .. } => Cut::Lines { end, keep_blank },
        other => other,
    };
    let header = dialect.header;
    Ok((Syntax::Separated { dialect, layout }, fields, header, cut))
}

/// Numbers the bound columns; cells are kept for those only.
fn layout(targets: &[Option<usize>]) -> (Layout, Vec<usize>) {
    let mut fields = Vec::new();
    let slots = targets.iter().map(|target| {
        target.map(|target| {
            fields.push(target);
            fields.len() - 1
        })
    });
    let slots = slots.collect();
    (Layout { slots, width: fields.len() }, fields)
}

fn first_record(source: &Source, cut: Cut, options: &ReadOptions) -> Result<(Vec<u8>, Place)> {
    let reader = source.text(options, Consumed::default())?;
    let mut limits = options.limits;
    limits.rows = 1;
    let mut blocks = Blocks::new(reader, &source.name, cut, &limits);
    let block = blocks.next_block()?;
    let Some(block) = block else {
        return Err(Error::invalid("the file has no records").at(source.place(0, 0)));
    };
    let Some((from, to)) = block.records.first().copied() else {
        return Err(Error::invalid("the file has no records").at(source.place(0, 0)));
    };
    let line = block.first_line + count(b'\n', &block.bytes[..from as usize]);
    Ok((block.bytes[from as usize..to as usize].to_vec(), source.place(line, 0)))
}

/// Files of old systems end lines by a carriage return alone.
fn line_end(start: &[u8]) -> u8 {
    if !start.contains(&b'\n') && start.contains(&b'\r') { b'\r' } else { b'\n' }
}

fn json_lines(
    source: &Source,
    start: &[u8],
    shape: &Shape,
    options: &ReadOptions,
) -> Result<Opened> {
    let cut = json_cut(source.format);
    let names = shape.targets.iter().map(|target| target.name.as_ref());
    let mut names = Names::new(names, options.ignore_unknown);
    let mut limits = options.limits;
    limits.block = limits.block.min(start.len().max(1));
    let mut blocks = Blocks::new(start, &source.name, cut, &limits);
    // Names are learnt from the first records, so that every later one is a single look-up.
    let Ok(Some(block)) = blocks.next_block() else {
        return Ok((Syntax::Json { names, depth: limits.depth }, all(shape), false, cut));
    };
    for (from, to) in block.records.iter().take(100) {
        let record = &block.bytes[*from as usize..*to as usize];
        let Ok(entries) = json::entries(record, limits.depth) else { continue };
        for (name, ..) in &entries {
            if names.knows(name) {
                continue;
            }
            let slot = bind::resolve(name, shape);
            if slot.is_none() && !options.ignore_unknown {
                let line = block.first_line + count(b'\n', &block.bytes[..*from as usize]);
                return Err(bind::unknown(name, shape, &source.place(line, 0)));
            }
            names.alias(name, slot);
        }
    }
    Ok((Syntax::Json { names, depth: limits.depth }, all(shape), false, cut))
}

fn all(shape: &Shape) -> Vec<usize> {
    (0..shape.targets.len()).collect()
}

impl TextDecoder {
    /// Decodes a block whose records are rows: the header is no longer among them.
    pub fn decode(&self, block: Block) -> Result<RawBatch> {
        // Positions in the block stay valid, because what is added to it stands behind them.
        let origin = Origin::of(&block);
        let first_row = block.first_record + 1 - u64::from(self.header);
        let invalid = invalid_records(&block);
        let mut cells = match &self.syntax {
            Syntax::Separated { dialect, layout } => separated::cut(block, dialect, layout),
            Syntax::Json { names, depth } => json::cut(block, names, *depth),
        };
        mark_invalid(&mut cells, &invalid);
        let mut faults = std::mem::take(&mut cells.faults);
        let arrays = self.arrays(&cells, &mut faults)?;
        let count = cells.count;
        let rejects = self.rejects(faults, &cells, &origin, first_row);
        assemble(&self.shape, arrays, count, first_row, rejects)
    }

    fn arrays(&self, cells: &Cells, faults: &mut Vec<Fault>) -> Result<Vec<ArrayRef>> {
        let build_one = |(index, target): (usize, &super::shape::Target)| {
            let slot = self.fields.iter().position(|field| *field == index);
            let Some(offset) = slot else { return defaults::absent(target, cells.count) };
            let expect = target.read_as();
            let nullable = target.nullable || target.default.is_some();
            let slot = Slot { name: &target.name, expect: &expect, nullable };
            let array = build(slot, cells.column(offset), &self.rules, faults)?;
            if target.media { Ok(array) } else { defaults::fill(array, target) }
        };
        self.shape.targets.iter().enumerate().map(build_one).collect()
    }

    fn rejects(
        &self,
        faults: Vec<Fault>,
        cells: &Cells,
        origin: &Origin,
        first_row: u64,
    ) -> Vec<(usize, Reject)> {
        let describe = |record: usize, faults: &[Fault]| {
            let (from, to) = origin.records[record];
            let original = &cells.bytes[from as usize..to as usize];
            let at = faults[0].offset.unwrap_or(from as usize).max(from as usize);
            let (line, column) = origin.position(&cells.bytes, at);
            Reject {
                kind: faults[0].kind,
                row: first_row + record as u64,
                place: Place { file: self.file.clone(), line, column },
                reason: faults.iter().map(Fault::reason).collect::<Vec<_>>().join("; "),
                hint: faults[0].hint.clone(),
                original: String::from_utf8_lossy(original).into_owned(),
            }
        };
        super::batches::by_record(faults, describe)
    }
}

/// Where a block's records stood.
struct Origin {
    records: Vec<(u32, u32)>,
    first_line: usize,
}

impl Origin {
    fn of(block: &Block) -> Origin {
        Origin { records: block.records.clone(), first_line: block.first_line }
    }

    /// Line and column of a byte of the block.
    fn position(&self, bytes: &[u8], at: usize) -> (usize, usize) {
        let before = &bytes[..at.min(bytes.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        (self.first_line + count(b'\n', before), column)
    }
}

/// Records that are not UTF-8, with their first wrong byte.
fn invalid_records(block: &Block) -> Vec<(usize, usize)> {
    if std::str::from_utf8(&block.bytes).is_ok() {
        return Vec::new();
    }
    let records = block.records.iter().enumerate();
    let invalid = records.filter_map(|(record, (from, to))| {
        let error = std::str::from_utf8(&block.bytes[*from as usize..*to as usize]).err()?;
        Some((record, *from as usize + error.valid_up_to()))
    });
    invalid.collect()
}

fn mark_invalid(cells: &mut Cells, invalid: &[(usize, usize)]) {
    for (record, at) in invalid {
        let width = cells.width;
        for cell in &mut cells.cells[record * width..(record + 1) * width] {
            cell.kind = CellKind::Skip;
        }
        cells.faults.retain(|fault| fault.record != *record);
        let byte = cells.bytes[*at];
        let message = format!("byte 0x{byte:02X} is not UTF-8");
        let hint = "if the file is Latin-1 or Windows-1252, say `--encoding latin1`";
        cells
            .faults
            .push(Fault::record(*record, FaultKind::Encoding, message).offset(*at).hint(hint));
    }
}
