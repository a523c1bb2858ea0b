//! Turns an array of any Arrow type into the one that a field expects.
//!
//! In: an array, what the field expects. Out: an array of the field's type, with a [`Fault`] for each
//! value that does not fit. Only conversions that keep every value are done by casting.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, StructArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Fields, Float32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base::{Error, Result};
use frame::DataType;

use super::cell::{Cell, CellKind, Cells};
use super::coerce::{Rules, Slot, build, wrap};
use super::fault::{Fault, Misfit};
use super::shape::{Expect, Part};

/// Converts a column.
pub fn convert(
    slot: Slot<'_>,
    wanted: &DataType,
    array: &ArrayRef,
    rules: &Rules,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    let array = plain(array)?;
    if matches!(array.data_type(), ArrowType::Null) {
        note_nulls(slot, &array, faults);
        return Ok(if slot.nullable {
            new_null_array(&wanted.to_arrow(), array.len())
        } else {
            placeholders(slot, array.len(), rules)?
        });
    }
    match (slot.expect, array.data_type()) {
        (Expect::List(item), ArrowType::List(_)) => {
            lists(slot, item, array.as_list(), rules, faults)
        }
        (Expect::Struct(parts), ArrowType::Struct(_)) => {
            structs(slot, parts, array.as_struct(), rules, faults)
        }
        (Expect::Vector(dimension), ArrowType::List(_)) => {
            vectors(slot, *dimension, array.as_list(), faults)
        }
        (
            _,
            ArrowType::List(_) | ArrowType::Struct(_) | ArrowType::Map(..) | ArrowType::Union(..),
        ) => Err(never(slot, wanted, array.data_type())),
        (expect, from) if keeps_values(expect, wanted, from, rules) => {
            whole(slot, &cast_exactly(&array, wanted)?, &array, faults)
        }
        _ => by_text(slot, &array, rules, faults),
    }
}

/// What an `@media` column may hold: paths, bytes, or measures of stored media.
pub fn media(array: &ArrayRef, name: &str) -> Result<ArrayRef> {
    let array = plain(array)?;
    match array.data_type() {
        ArrowType::Utf8 | ArrowType::LargeBinary | ArrowType::Struct(_) => Ok(array),
        ArrowType::FixedSizeBinary(_) => cast(&array, &ArrowType::LargeBinary).map_err(wrap),
        ArrowType::Null => cast(&array, &ArrowType::Utf8).map_err(wrap),
        other => Err(Error::invalid(format!("column `{name}` is {other}, and the field is media"))
            .hint("give the bytes of the images, or paths of files")),
    }
}

/// Undoes dictionaries, views and large offsets, which say nothing about values.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    let wanted = match array.data_type() {
        ArrowType::Dictionary(_, value) => value.as_ref().clone(),
        ArrowType::RunEndEncoded(_, value) => value.data_type().clone(),
        ArrowType::LargeUtf8 | ArrowType::Utf8View => ArrowType::Utf8,
        ArrowType::Binary | ArrowType::BinaryView => ArrowType::LargeBinary,
        ArrowType::LargeList(item)
        | ArrowType::ListView(item)
        | ArrowType::LargeListView(item)
        | ArrowType::FixedSizeList(item, _) => ArrowType::List(Arc::clone(item)),
        _ => return Ok(Arc::clone(array)),
    };
    let cast = cast(array, &wanted)
        .map_err(|error| Error::invalid("a column cannot be unpacked").caused_by(error))?;
    // A dictionary may hold views, and a run the items of a dictionary.
    plain(&cast)
}

fn never(slot: Slot<'_>, wanted: &DataType, from: &ArrowType) -> Error {
    let message = format!("column `{}` is {}, and the field is {wanted}", slot.name, short(from));
    Error::invalid(message).hint("change the field's type, or convert the column")
}

fn short(from: &ArrowType) -> &'static str {
    match from {
        ArrowType::List(_) => "a list",
        ArrowType::Map(..) => "a map",
        ArrowType::Union(..) => "a union",
        _ => "a struct",
    }
}

/// Whether casting keeps every value or makes it null.
fn keeps_values(expect: &Expect, wanted: &DataType, from: &ArrowType, rules: &Rules) -> bool {
    use ArrowType as A;
    if !rules.nulls.is_empty() && matches!(from, A::Utf8 | A::Float16 | A::Float32 | A::Float64) {
        return false;
    }
    match (wanted, from) {
        (DataType::String, A::Utf8) => matches!(expect, Expect::Scalar(_) | Expect::Id),
        (DataType::Boolean, A::Boolean) => true,
        (DataType::Int | DataType::Long, from) => from.is_integer(),
        (DataType::Float, A::Float16 | A::Float32 | A::Float64) => true,
        (DataType::Float, from) => from.is_integer(),
        (DataType::Decimal { scale, .. }, A::Decimal32(_, from) | A::Decimal64(_, from)) => {
            i16::from(*from) <= i16::from(*scale)
        }
        (DataType::Decimal { scale, .. }, A::Decimal128(_, from) | A::Decimal256(_, from)) => {
            i16::from(*from) <= i16::from(*scale)
        }
        (DataType::Date, A::Date32) => true,
        (DataType::DateTime, A::Timestamp(..) | A::Date32 | A::Date64) => true,
        (DataType::Bytes, A::LargeBinary | A::FixedSizeBinary(_)) => true,
        (DataType::Uuid, A::FixedSizeBinary(16)) => true,
        _ => false,
    }
}

/// Casts; what does not fit becomes null.
fn cast_exactly(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    cast_with_options(array, &wanted.to_arrow(), &options).map_err(wrap)
}

/// Notes values that became null and nulls that may not be; faulty records get a placeholder.
fn whole(
    slot: Slot<'_>,
    converted: &ArrayRef,
    original: &ArrayRef,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    if converted.null_count() > original.null_count() {
        for row in 0..original.len() {
            if original.is_valid(row) && converted.is_null(row) {
                let misfit = Misfit::out_of_range(format!("a value that fits {}", slot.wanted()));
                faults.push(Fault::misfit(row, slot.name, &show(original, row), misfit));
            }
        }
    }
    note_nulls(slot, original, faults);
    if slot.nullable || converted.null_count() == 0 {
        return Ok(Arc::clone(converted));
    }
    // The array must be well-formed until the faulty records are dropped.
    let data = converted.to_data().into_builder().nulls(None).build().map_err(wrap)?;
    Ok(arrow::array::make_array(data))
}

fn note_nulls(slot: Slot<'_>, array: &ArrayRef, faults: &mut Vec<Fault>) {
    let nulls = array.logical_nulls();
    let Some(nulls) = nulls.filter(|nulls| !slot.nullable && nulls.null_count() > 0) else {
        return;
    };
    let missing = (0..array.len()).filter(|row| nulls.is_null(*row));
    faults.extend(missing.map(|row| Fault::missing(row, slot.name)));
}

fn placeholders(slot: Slot<'_>, count: usize, rules: &Rules) -> Result<ArrayRef> {
    let cells = Cells {
        width: 1,
        count,
        cells: vec![Cell::empty(CellKind::Skip, 0); count],
        ..Cells::default()
    };
    build(slot, cells.column(0), rules, &mut Vec::new())
}

fn show(array: &ArrayRef, row: usize) -> Vec<u8> {
    let options = FormatOptions::default();
    match ArrayFormatter::try_new(array.as_ref(), &options) {
        Ok(formatter) => formatter.value(row).to_string().into_bytes(),
        Err(_) => b"?".to_vec(),
    }
}

/// Writes each value as text and reads it by the rules of text formats.
fn by_text(
    slot: Slot<'_>,
    array: &ArrayRef,
    rules: &Rules,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)
        .map_err(|_| Error::invalid(format!("column `{}` has a type without text", slot.name)))?;
    let kind = match array.data_type() {
        ArrowType::Boolean => None,
        ArrowType::Utf8 => Some(CellKind::Quoted),
        from if from.is_numeric() => Some(CellKind::Number),
        _ => Some(CellKind::Quoted),
    };
    let mut cells = Cells { width: 1, count: array.len(), ..Cells::default() };
    for row in 0..array.len() {
        let start = cells.bytes.len() as u32;
        if array.is_null(row) {
            cells.cells.push(Cell::empty(CellKind::Null, 0));
            continue;
        }
        let text = formatter.value(row).to_string();
        if rules.is_null(text.as_bytes()) {
            cells.cells.push(Cell::empty(CellKind::Null, 0));
            continue;
        }
        let truth = if text == "true" { CellKind::True } else { CellKind::False };
        cells.bytes.extend_from_slice(text.as_bytes());
        let end = cells.bytes.len() as u32;
        cells.cells.push(Cell { start, end, origin: 0, kind: kind.unwrap_or(truth) });
    }
    build(slot, cells.column(0), rules, faults)
}

fn lists(
    slot: Slot<'_>,
    item: &Part,
    array: &ListArray,
    rules: &Rules,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    note_nulls(slot, &(Arc::new(array.clone()) as ArrayRef), faults);
    let offsets = array.offsets();
    let (first, last) = (offsets[0] as usize, offsets[array.len()] as usize);
    let values = array.values().slice(first, last - first);
    let mut found = Vec::new();
    let inner = Slot { name: "", expect: &item.expect, nullable: item.nullable };
    let values = convert(inner, &item.data_type, &values, rules, &mut found)?;
    for fault in found {
        // The last list that begins at or before the item holds it, unless it is empty.
        let at = (first + fault.record) as i32;
        let row = offsets.partition_point(|offset| *offset <= at) - 1;
        let index = at - offsets[row];
        if array.is_null(row) {
            continue;
        }
        let field = match &fault.field {
            Some(inner) if !inner.is_empty() => format!("[{index}].{inner}"),
            _ => format!("[{index}]"),
        };
        faults.push(Fault { field: Some(field), ..fault }.below(slot.name, row));
    }
    let field = Arc::new(ArrowField::new("item", item.data_type.to_arrow(), item.nullable));
    let lengths = offsets.lengths();
    let nulls = array.nulls().filter(|_| slot.nullable).cloned();
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, nulls);
    Ok(Arc::new(list.map_err(wrap)?))
}

fn structs(
    slot: Slot<'_>,
    parts: &[Part],
    array: &StructArray,
    rules: &Rules,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    note_nulls(slot, &(Arc::new(array.clone()) as ArrayRef), faults);
    let known = |name: &str| parts.iter().any(|part| part.name.as_ref() == name);
    let stranger = array.fields().iter().find(|field| !known(field.name()));
    if let Some(stranger) = stranger.filter(|_| !rules.ignore_unknown) {
        let message = format!("field `{}` has no part `{}`", slot.name, stranger.name());
        return Err(Error::invalid(message).hint("leave it out with `--ignore-unknown`"));
    }
    let (mut arrays, mut fields) = (Vec::new(), Vec::new());
    for part in parts {
        let column = match array.column_by_name(&part.name) {
            Some(column) => Arc::clone(column),
            None => new_null_array(&ArrowType::Null, array.len()),
        };
        let mut found = Vec::new();
        let inner = Slot { name: &part.name, expect: &part.expect, nullable: part.nullable };
        arrays.push(convert(inner, &part.data_type, &column, rules, &mut found)?);
        // Parts of an absent object are absent too, whatever they must be otherwise.
        let present = found.into_iter().filter(|fault| array.is_valid(fault.record));
        faults.extend(present.map(|fault| {
            let record = fault.record;
            fault.below(slot.name, record)
        }));
        fields.push(ArrowField::new(part.name.as_ref(), part.data_type.to_arrow(), part.nullable));
    }
    let nulls = array.nulls().filter(|_| slot.nullable).cloned();
    let fields = Fields::from(fields);
    let built = StructArray::try_new_with_length(fields, arrays, nulls, array.len());
    Ok(Arc::new(built.map_err(wrap)?))
}

fn vectors(
    slot: Slot<'_>,
    dimension: u32,
    array: &ListArray,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    note_nulls(slot, &(Arc::new(array.clone()) as ArrayRef), faults);
    let width = dimension as usize;
    let numbers = cast(array.values(), &ArrowType::Float32)
        .map_err(|_| never(slot, &DataType::Vector { dimension }, array.data_type()))?;
    let numbers = numbers.as_primitive::<Float32Type>();
    let mut values: Vec<f32> = Vec::with_capacity(array.len() * width);
    let mut nulls = NullBufferBuilder::new(array.len());
    for row in 0..array.len() {
        let offsets = array.offsets();
        let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
        nulls.append(array.is_valid(row) || !slot.nullable);
        if array.is_valid(row) {
            let whole = (from..to).all(|at| numbers.is_valid(at) && numbers.value(at).is_finite());
            if to - from == width && whole {
                values.extend_from_slice(&numbers.values()[from..to]);
            } else {
                let misfit = Misfit::of_type(format!("a vector of {width} finite numbers"));
                let found = format!("{} numbers", to - from);
                faults.push(Fault::misfit(row, slot.name, found.as_bytes(), misfit));
            }
        }
        values.resize((row + 1) * width, 0.0);
    }
    let field = Arc::new(ArrowField::new("item", ArrowType::Float32, false));
    let values = Arc::new(arrow::array::Float32Array::from(values));
    let width = i32::try_from(dimension).unwrap_or(i32::MAX);
    let list = FixedSizeListArray::try_new(field, width, values, nulls.finish());
    Ok(Arc::new(list.map_err(wrap)?))
}
