//! Values with parts: lists, embedded objects and vectors.
//!
//! In: cells that hold JSON arrays or objects, or values separated by `|`. Out: Arrow lists and
//! structs. Parts are cut into cells again and go through `coerce` as columns of their own.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Fields};
use base::Result;

use super::cell::{Cell, CellKind, Cells, Value};
use super::coerce::{Slot, Walk, build, wrap};
use super::fault::{Fault, Misfit};
use super::json::{self, Names};
use super::shape::Part;

/// Lists: a JSON array, or values separated by `|` where the format has no arrays.
pub(super) fn lists(walk: &mut Walk<'_>, item: &Part) -> Result<ArrayRef> {
    let count = walk.column.count();
    let mut lengths = Vec::with_capacity(count);
    let mut nulls = NullBufferBuilder::new(count);
    let mut owners: Vec<(usize, usize)> = Vec::new();
    let mut cells = Cells { width: 1, ..Cells::default() };
    for record in 0..count {
        let value = walk.column.value(record);
        let presence = walk.presence(record, &value);
        nulls.append(presence != Some(true));
        let before = cells.cells.len();
        if presence.is_none()
            && let Err(misfit) = cut_items(&value, walk.rules.depth, &mut cells)
        {
            walk.misfit(record, &value, misfit);
        }
        let length = cells.cells.len() - before;
        owners.extend((0..length).map(|index| (record, index)));
        lengths.push(length);
    }
    cells.count = cells.cells.len();
    let mut faults = Vec::new();
    let slot = Slot { name: "", expect: &item.expect, nullable: item.nullable };
    let values = build(slot, cells.column(0), walk.rules, &mut faults)?;
    walk.faults.extend(faults.into_iter().map(|fault| {
        let (record, index) = owners[fault.record];
        let inner = fault.field.clone().unwrap_or_default();
        let dotted = if inner.is_empty() {
            String::new()
        } else {
            format!(".{}", inner.trim_start_matches('.'))
        };
        let fault = Fault { field: Some(format!("[{index}]{dotted}")), ..fault };
        fault.below(walk.slot.name, record).offset(walk.column.value(record).origin)
    }));
    let field = Arc::new(ArrowField::new("item", item.data_type.to_arrow(), item.nullable));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls.finish()).map_err(wrap)?))
}

/// Appends one cell for each item.
fn cut_items(value: &Value<'_>, depth: usize, cells: &mut Cells) -> Result<(), Misfit> {
    const EXPECTED: &str = "a list: a JSON array, or values separated by `|`";
    let text = value.text.trim_ascii();
    let start = cells.bytes.len();
    match value.kind {
        CellKind::Array => {}
        CellKind::Bare | CellKind::Quoted | CellKind::String if text.starts_with(b"[") => {}
        CellKind::Bare | CellKind::Quoted => {
            cells.bytes.extend_from_slice(text);
            let mut at = start;
            for item in text.split(|byte| *byte == b'|') {
                let cell = Cell {
                    start: at as u32,
                    end: (at + item.len()) as u32,
                    origin: 0,
                    kind: CellKind::Bare,
                };
                cells.cells.push(cell);
                at += item.len() + 1;
            }
            return Ok(());
        }
        _ => return Err(Misfit::of_type(EXPECTED)),
    }
    cells.bytes.extend_from_slice(text);
    let end = cells.bytes.len();
    let items = json::items(&mut cells.bytes, start, end, depth)
        .map_err(|fault| Misfit::of_type(EXPECTED).hint(fault.message))?;
    cells.cells.extend(items);
    Ok(())
}

/// Embedded objects, from JSON objects.
pub(super) fn structs(walk: &mut Walk<'_>, parts: &[Part]) -> Result<ArrayRef> {
    const EXPECTED: &str = "a JSON object";
    let count = walk.column.count();
    let names = Names::new(parts.iter().map(|part| part.name.as_ref()), walk.rules.ignore_unknown);
    let mut nulls = NullBufferBuilder::new(count);
    let mut cells = Cells { width: parts.len(), count, ..Cells::default() };
    for record in 0..count {
        let value = walk.column.value(record);
        let presence = walk.presence(record, &value);
        nulls.append(presence != Some(true));
        let found = match presence {
            None => cut_parts(&value, &names, walk.rules.depth, &mut cells.bytes),
            Some(_) => Ok(None),
        };
        match found {
            Ok(Some(found)) => cells.cells.extend(found),
            other => {
                let skip = Cell::empty(CellKind::Skip, 0);
                cells.cells.resize((record + 1) * parts.len(), skip);
                if let Err(fault) = other {
                    let misfit = Misfit {
                        kind: fault.kind,
                        expected: EXPECTED.to_owned(),
                        hint: Some(fault.message),
                    };
                    walk.misfit(record, &value, misfit);
                }
            }
        }
    }
    let (mut arrays, mut fields) = (Vec::new(), Vec::new());
    for (index, part) in parts.iter().enumerate() {
        let mut faults = Vec::new();
        let slot = Slot { name: &part.name, expect: &part.expect, nullable: part.nullable };
        arrays.push(build(slot, cells.column(index), walk.rules, &mut faults)?);
        fields.push(ArrowField::new(part.name.as_ref(), part.data_type.to_arrow(), part.nullable));
        walk.faults.extend(faults.into_iter().map(|fault| {
            let record = fault.record;
            fault.below(walk.slot.name, record).offset(walk.column.value(record).origin)
        }));
    }
    let array =
        StructArray::try_new_with_length(Fields::from(fields), arrays, nulls.finish(), count);
    Ok(Arc::new(array.map_err(wrap)?))
}

fn cut_parts(
    value: &Value<'_>,
    names: &Names,
    depth: usize,
    bytes: &mut Vec<u8>,
) -> Result<Option<Vec<Cell>>, Fault> {
    let start = bytes.len();
    bytes.extend_from_slice(value.text);
    let end = bytes.len();
    json::parts(bytes, start, end, names, depth).map(Some)
}

/// Vectors: as many finite numbers as the type says.
pub(super) fn vectors(walk: &mut Walk<'_>, dimension: u32) -> Result<ArrayRef> {
    let count = walk.column.count();
    let width = dimension as usize;
    let mut values: Vec<f32> = Vec::with_capacity(count * width);
    let mut nulls = NullBufferBuilder::new(count);
    for record in 0..count {
        let value = walk.column.value(record);
        let presence = walk.presence(record, &value);
        nulls.append(presence != Some(true));
        if presence.is_none() {
            match vector(&value, width, walk.rules.depth) {
                Ok(numbers) => values.extend(numbers),
                Err(misfit) => walk.misfit(record, &value, misfit),
            }
        }
        values.resize((record + 1) * width, 0.0);
    }
    let field = Arc::new(ArrowField::new("item", ArrowType::Float32, false));
    let width = i32::try_from(dimension).unwrap_or(i32::MAX);
    let values = Arc::new(Float32Array::from(values));
    let array = FixedSizeListArray::try_new(field, width, values, nulls.finish());
    Ok(Arc::new(array.map_err(wrap)?))
}

fn vector(value: &Value<'_>, width: usize, depth: usize) -> Result<Vec<f32>, Misfit> {
    let expected = || format!("a vector: a JSON array of {width} numbers");
    let mut cells = Cells { width: 1, ..Cells::default() };
    cut_items(value, depth, &mut cells)
        .map_err(|misfit| Misfit { expected: expected(), ..misfit })?;
    if cells.cells.len() != width {
        let hint = format!("it has {} numbers", cells.cells.len());
        return Err(Misfit::of_type(expected()).hint(hint));
    }
    let number = |cell: &Cell| {
        let text = &cells.bytes[cell.start as usize..cell.end as usize];
        let text = std::str::from_utf8(text).ok()?.trim();
        let finite = text.parse::<f32>().ok().filter(|number| number.is_finite());
        finite.filter(|_| matches!(cell.kind, CellKind::Number | CellKind::Bare))
    };
    cells.cells.iter().map(|cell| number(cell).ok_or_else(|| Misfit::of_type(expected()))).collect()
}
