//! Measures files, so that a schema can be proposed from them.
//!
//! ```text
//! source → records → ColumnMeasure (one a column) → FileProfile → schema::propose
//! ```
//!
//! In: a file that belongs to no type yet. Out: a [`FileProfile`]: for each column the narrowest type
//! that holds every value, missing and distinct values, extremes, and a sketch by which columns of
//! different files are compared. Every record is read once; memory does not grow with the file.

mod measure;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::DataType as ArrowType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base::{Error, Result};
use frame::DataType;
use schema::propose::{FileKind, FileProfile};

use crate::decode::block::Blocks;
use crate::decode::cell::CellKind;
use crate::decode::{columnar, json, separated, text};
use crate::source::images::ImageSet;
use crate::source::open::locate;
use crate::source::text::Consumed;
use crate::source::{Format, Origin, ReadOptions, Source};
use measure::ColumnMeasure;

/// Columns that are measured; a JSON file with more names than this is no table.
const COLUMNS: usize = 1000;

/// Measures one file or folder.
pub async fn profile(origin: Origin, options: ReadOptions) -> Result<FileProfile> {
    let measured = base::task::blocking("profile file", move || {
        let source = Source::open(origin, &options)?;
        measure_source(&source, &options).map_err(|error| locate(error, &source.name))
    });
    measured.await?
}

fn measure_source(source: &Source, options: &ReadOptions) -> Result<FileProfile> {
    let mut table = Table::default();
    match source.format {
        Format::Images => return images(source, options),
        Format::Separated => separated_values(source, options, &mut table)?,
        Format::JsonLines | Format::JsonArray => json_records(source, options, &mut table)?,
        _ => columnar_rows(source, &mut table)?,
    }
    Ok(FileProfile {
        file: Arc::clone(&source.name),
        kind: FileKind::Rows,
        rows: table.rows,
        bytes: source.bytes,
        columns: table.columns.into_iter().map(ColumnMeasure::finish).collect(),
    })
}

/// Columns on the way.
#[derive(Default)]
struct Table {
    columns: Vec<ColumnMeasure>,
    positions: HashMap<String, usize>,
    rows: u64,
}

impl Table {
    /// The column of this name; one that begins late had no values until now.
    fn column(&mut self, name: &str) -> Result<&mut ColumnMeasure> {
        if let Some(position) = self.positions.get(name) {
            return Ok(&mut self.columns[*position]);
        }
        if self.columns.len() == COLUMNS {
            let message = format!("the file has more than {COLUMNS} columns");
            return Err(Error::new(base::Kind::LimitExceeded, message));
        }
        let position = self.columns.len();
        self.positions.insert(name.to_owned(), position);
        self.columns.push(ColumnMeasure::new(name, self.rows));
        Ok(&mut self.columns[position])
    }

    fn end_row(&mut self) {
        self.rows += 1;
        let rows = self.rows;
        self.columns.iter_mut().for_each(|column| column.fill_up(rows));
    }
}

fn images(source: &Source, options: &ReadOptions) -> Result<FileProfile> {
    let set = ImageSet::open(source, options)?;
    Ok(FileProfile {
        file: Arc::clone(&source.name),
        kind: FileKind::Images { in_folders: set.paths.iter().any(|path| path.contains('/')) },
        rows: set.paths.len() as u64,
        bytes: source.bytes,
        columns: Vec::new(),
    })
}

fn separated_values(source: &Source, options: &ReadOptions, table: &mut Table) -> Result<()> {
    let start = text::start_of(source, options)?;
    let (dialect, cut) = text::dialect_of(&start, options, None)?;
    let reader = source.text(options, Consumed::default())?;
    let mut blocks = Blocks::new(reader, &source.name, cut, &options.limits);
    let mut width = None;
    while let Some(block) = blocks.next_block()? {
        for (index, (from, to)) in block.records.iter().enumerate() {
            let record = &block.bytes[*from as usize..*to as usize];
            let line = || {
                let before = &block.bytes[..*from as usize];
                source.place(block.first_line + crate::decode::block::count(b'\n', before), 0)
            };
            let values = separated::values(record, &dialect)
                .map_err(|fault| with_hint(Error::invalid(fault.message).at(line()), fault.hint))?;
            let first = block.first_record == 0 && index == 0;
            let expected = *width.get_or_insert(values.len());
            if values.len() != expected {
                let message = format!("expected {expected} values, found {}", values.len());
                return Err(Error::invalid(message).at(line()));
            }
            if first {
                let names = header(&values, dialect.header, options);
                for name in &names {
                    table.column(name)?;
                }
                if dialect.header {
                    continue;
                }
            }
            for (column, value) in table.columns.iter_mut().zip(&values) {
                column.add_text(value, dialect.delimiter != b'|');
            }
            table.end_row();
        }
    }
    Ok(())
}

fn with_hint(error: Error, hint: Option<String>) -> Error {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Names of the columns; a doubled or empty one is numbered.
fn header(first: &[String], header: bool, options: &ReadOptions) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(first.len());
    for (index, value) in first.iter().enumerate() {
        let given = options.columns.as_ref().and_then(|columns| columns.get(index));
        let name = match given {
            Some(name) => name.clone(),
            None if header => value.trim().to_owned(),
            None => String::new(),
        };
        let numbered = name.is_empty() || names.contains(&name);
        names.push(if numbered { format!("{name}column{}", index + 1) } else { name });
    }
    names
}

fn json_records(source: &Source, options: &ReadOptions, table: &mut Table) -> Result<()> {
    let cut = text::json_cut(source.format);
    let reader = source.text(options, Consumed::default())?;
    let mut blocks = Blocks::new(reader, &source.name, cut, &options.limits);
    while let Some(block) = blocks.next_block()? {
        for (from, to) in &block.records {
            let record = &block.bytes[*from as usize..*to as usize];
            let entries = json::entries(record, options.limits.depth).map_err(|fault| {
                let before = &block.bytes[..*from as usize];
                let line = block.first_line + crate::decode::block::count(b'\n', before);
                Error::invalid(fault.message).at(source.place(line, 0))
            })?;
            for (name, kind, value) in &entries {
                let column = table.column(name)?;
                match kind {
                    CellKind::Null => {}
                    CellKind::String => column.add_string(value),
                    CellKind::Number => column.add_number(value),
                    CellKind::True | CellKind::False => column.add_boolean(value),
                    CellKind::Array => column.add_array(value, options.limits.depth),
                    _ => column.add_json(value),
                }
            }
            table.end_row();
        }
    }
    Ok(())
}

fn columnar_rows(source: &Source, table: &mut Table) -> Result<()> {
    for read in columnar::all_rows(source)? {
        let (batch, _) = read?;
        columnar_batch(&batch, table)?;
    }
    Ok(())
}

fn columnar_batch(batch: &RecordBatch, table: &mut Table) -> Result<()> {
    let schema = batch.schema();
    let before = table.rows;
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let known = data_type(field.data_type());
        let column = table.column(field.name())?;
        column.known = known.clone();
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(|_| {
            Error::invalid(format!("column `{}` has a type without text", field.name()))
        })?;
        for row in 0..array.len() {
            if array.is_valid(row) {
                column.add_known(&formatter.value(row).to_string());
            } else {
                column.fill_up(before + row as u64 + 1);
            }
        }
    }
    table.rows = before + batch.num_rows() as u64;
    let rows = table.rows;
    table.columns.iter_mut().for_each(|column| column.fill_up(rows));
    Ok(())
}

/// The type of the schema that holds every value of an Arrow type; text where there is none.
fn data_type(from: &ArrowType) -> DataType {
    use ArrowType as A;
    match from {
        A::Boolean => DataType::Boolean,
        A::Int8 | A::Int16 | A::Int32 | A::UInt8 | A::UInt16 => DataType::Int,
        A::Int64 | A::UInt32 | A::UInt64 => DataType::Long,
        A::Float16 | A::Float32 | A::Float64 => DataType::Float,
        A::Decimal128(precision, scale) if *scale >= 0 => {
            DataType::Decimal { precision: *precision, scale: scale.unsigned_abs() }
        }
        A::Date32 => DataType::Date,
        A::Date64 | A::Timestamp(..) => DataType::DateTime,
        A::Binary | A::LargeBinary | A::BinaryView | A::FixedSizeBinary(_) => DataType::Bytes,
        A::Dictionary(_, value) => data_type(value),
        A::FixedSizeList(item, width) if item.data_type().is_floating() => {
            DataType::Vector { dimension: width.unsigned_abs() }
        }
        A::List(item) | A::LargeList(item) | A::ListView(item) | A::FixedSizeList(item, _) => {
            DataType::List { item: Box::new(data_type(item.data_type())), nullable: true }
        }
        A::Struct(_) | A::Map(..) => DataType::Json,
        _ => DataType::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) -> FileProfile {
        let origin = Origin::Bytes { name: "f".to_owned(), bytes: text.to_owned().into() };
        let options = ReadOptions::default();
        let source = Source::open(origin, &options).expect("opened");
        let profile = measure_source(&source, &options).expect("measured");
        let found = profile.columns.iter().map(|column| {
            let data_type =
                column.data_type.as_ref().map_or("none".to_owned(), ToString::to_string);
            (column.header.to_string(), data_type)
        });
        let expected: Vec<_> =
            expected.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect();
        assert_eq!(found.collect::<Vec<_>>(), expected);
        profile
    }

    #[test]
    fn the_narrowest_type_that_holds_every_value_is_found() {
        let text = "id,year,views,score,on,day,at,code,genres,uuid,title,none,zip\n\
            1,1995,3000000000,8.3,true,1995-12-15,2026-11-23 08:00,a,Action|Crime,67e55044-10b1-426f-9247-bb680e5fe0c8,Heat it up,,00501\n\
            2,1979,5,8,no,1979-05-25,2026-11-23T08:00:01Z,b,Horror,67e55044-10b1-426f-9247-bb680e5fe0c9,Alien,,10001\n\
            3,,6,7e0,yes,1979-05-26,2026-11-24,b,Horror|SciFi,67e55044-10b1-426f-9247-bb680e5fe0c7,Alien,,10001\n";
        let profile = check(
            text,
            &[
                ("id", "Int"),
                ("year", "Int"),
                ("views", "Long"),
                ("score", "Float"),
                ("on", "Boolean"),
                ("day", "Date"),
                ("at", "DateTime"),
                ("code", "String"),
                ("genres", "[String!]"),
                ("uuid", "UUID"),
                ("title", "String"),
                ("none", "none"),
                ("zip", "String"),
            ],
        );
        let column = |index: usize| &profile.columns[index];
        assert_eq!(profile.rows, 3);
        assert_eq!(
            (column(0).sketch.distinct(), column(0).nulls, column(0).ascending),
            (3, 0, true)
        );
        assert_eq!((column(1).nulls, column(1).ascending), (1, false));
        assert_eq!(
            (column(2).min.as_deref(), column(2).max.as_deref()),
            (Some("5"), Some("3000000000"))
        );
        assert_eq!(
            (column(10).longest, column(10).characters, column(10).with_spaces),
            (10, 20, 1)
        );
        assert_eq!(column(11).nulls, 3);
    }

    #[test]
    fn json_values_bring_their_types() {
        let text = "{\"a\": 1, \"b\": \"1\", \"c\": [\"x\"], \"d\": {\"e\": 1}}\n\
            {\"a\": 1.5, \"c\": [], \"f\": true, \"g\": [1, 2]}\n";
        let profile = check(
            text,
            &[
                ("a", "Float"),
                ("b", "String"),
                ("c", "[String!]"),
                ("d", "JSON"),
                ("f", "Boolean"),
                ("g", "[Int!]"),
            ],
        );
        assert_eq!(profile.columns.iter().map(|c| c.nulls).collect::<Vec<_>>(), [0, 1, 0, 1, 1, 1]);
    }

    #[test]
    fn a_file_without_a_header_gets_numbered_columns() {
        check(
            "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
            &[("column1", "Int"), ("column2", "Int"), ("column3", "Int"), ("column4", "Int")],
        );
    }
}
