//! The common form of text formats: records cut into [`Cell`]s that point into their bytes.
//!
//! In: whatever `separated` and `json` find. Out: columns of cells, which `coerce` turns into arrays.
//! A cell is a span and a kind; its text is copied only where quotes or escapes must go.

use super::fault::Fault;

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// Nothing: the record has no such field.
    Missing,
    /// JSON's `null`.
    Null,
    /// Part of a record that is absent or wrong as a whole: no value, and no fault either.
    Skip,
    /// Separated value without quotes.
    Bare,
    /// Separated value in quotes.
    Quoted,
    /// JSON string, unescaped.
    String,
    /// JSON number.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// JSON array, as its text.
    Array,
    /// JSON object, as its text.
    Object,
}

/// One value of one record.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// First byte in [`Cells::bytes`].
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Where it stood in the block before quotes or escapes were removed.
    pub origin: u32,
    /// What it is.
    pub kind: CellKind,
}

impl Cell {
    /// A cell without text.
    pub fn empty(kind: CellKind, origin: usize) -> Cell {
        Cell { start: 0, end: 0, origin: origin as u32, kind }
    }
}

/// Records cut into cells, `width` a record.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    /// The block, followed by texts whose quotes or escapes were removed.
    pub bytes: Vec<u8>,
    /// Record after record.
    pub cells: Vec<Cell>,
    /// Cells of a record.
    pub width: usize,
    /// Records.
    pub count: usize,
    /// What is wrong with records as a whole; their cells are [`CellKind::Skip`].
    pub faults: Vec<Fault>,
}

impl Cells {
    /// Room for `count` records of `width` cells over `bytes`.
    pub fn new(bytes: Vec<u8>, width: usize, count: usize) -> Cells {
        let cells = Vec::with_capacity(width * count);
        Cells { bytes, cells, width, count: 0, faults: Vec::new() }
    }

    /// Replaces the last record's cells so far by nothing and notes what is wrong with it.
    pub fn fail(&mut self, fault: Fault) {
        self.cells.truncate(self.count * self.width);
        let skip = Cell::empty(CellKind::Skip, fault.offset.unwrap_or(0));
        self.cells.resize((self.count + 1) * self.width, skip);
        self.faults.push(fault);
    }

    /// The cells of one column.
    pub fn column(&self, offset: usize) -> Column<'_> {
        Column {
            bytes: &self.bytes,
            cells: &self.cells,
            stride: self.width,
            offset,
            count: self.count,
        }
    }
}

/// One value of each record.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    bytes: &'a [u8],
    cells: &'a [Cell],
    stride: usize,
    offset: usize,
    count: usize,
}

/// A cell with its text.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// What it is.
    pub kind: CellKind,
    /// Its text.
    pub text: &'a [u8],
    /// Where it stood in the block.
    pub origin: usize,
}

impl<'a> Column<'a> {
    /// Values in the column.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The value of one record.
    pub fn value(&self, record: usize) -> Value<'a> {
        let cell = self.cells[record * self.stride + self.offset];
        Value {
            kind: cell.kind,
            text: &self.bytes[cell.start as usize..cell.end as usize],
            origin: cell.origin as usize,
        }
    }
}
