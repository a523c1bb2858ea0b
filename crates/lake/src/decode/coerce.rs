//! Turns a column of cells into the one Arrow array that the field's type has.
//!
//! In: a [`Column`], what the field expects, the reader's rules. Out: an array with one value a
//! record, and a [`Fault`] for each value that does not fit; such a record holds a placeholder and
//! is dropped by the caller. Values with parts are in `nested`.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, GenericByteArray,
    PrimitiveArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow::datatypes::{
    ByteArrayType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, LargeBinaryType,
    TimestampMicrosecondType, Utf8Type,
};
use base::{Error, Result};
use frame::DataType;
use frame::data_type::UTC;

use super::cell::{CellKind, Column, Value};
use super::fault::{Fault, FaultKind, Misfit};
use super::shape::Expect;
use super::{json, nested, scalar, time};
use crate::source::{Epoch, ReadOptions};

/// What the user said about how values are written.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Texts that stand for no value, besides the empty one.
    pub nulls: Vec<String>,
    /// The unit of points in time that are numbers.
    pub epoch: Option<Epoch>,
    /// How dates are written.
    pub date_format: Option<String>,
    /// How points in time are written.
    pub datetime_format: Option<String>,
    /// Whether names that an embedded object does not have are passed over.
    pub ignore_unknown: bool,
    /// Depth of nested JSON.
    pub depth: usize,
}

impl Rules {
    /// The part of the options that concerns values.
    pub fn of(options: &ReadOptions) -> Rules {
        Rules {
            nulls: options.nulls.clone(),
            epoch: options.epoch,
            date_format: options.date_format.clone(),
            datetime_format: options.datetime_format.clone(),
            ignore_unknown: options.ignore_unknown,
            depth: options.limits.depth,
        }
    }

    /// Whether the text stands for no value.
    pub fn is_null(&self, text: &[u8]) -> bool {
        self.nulls.iter().any(|null| null.as_bytes() == text)
    }
}

/// A place in a row that values go to.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    /// The name for faults.
    pub name: &'a str,
    /// What a value must be.
    pub expect: &'a Expect,
    /// Whether a value may be absent.
    pub nullable: bool,
}

impl Slot<'_> {
    /// The type, for messages.
    pub fn wanted(&self) -> String {
        match self.expect {
            Expect::Scalar(data_type) => data_type.to_string(),
            Expect::Id => "ID".to_owned(),
            Expect::Enum(_) => "the enum".to_owned(),
            Expect::Vector(dimension) => format!("Vector({dimension})"),
            Expect::List(_) => "the list".to_owned(),
            Expect::Struct(_) => "the object".to_owned(),
        }
    }
}

/// What became of one cell.
pub(super) enum Outcome<T> {
    Value(T),
    Null,
    /// The record is dropped, so any value will do, as long as the array stays well-formed.
    Placeholder,
}

/// Builds the array of a column.
pub fn build(
    slot: Slot<'_>,
    column: Column<'_>,
    rules: &Rules,
    faults: &mut Vec<Fault>,
) -> Result<ArrayRef> {
    let mut walk = Walk { slot, column, rules, faults };
    Ok(match slot.expect {
        Expect::Scalar(data_type) => build_scalar(&mut walk, data_type)?,
        Expect::Id => walk.bytes::<Utf8Type, _>(|value, out| put(out, scalar::id(value)))?,
        Expect::Enum(names) => {
            walk.bytes::<Utf8Type, _>(|value, out| put(out, enum_name(value, names)))?
        }
        Expect::Vector(dimension) => nested::vectors(&mut walk, *dimension)?,
        Expect::List(item) => nested::lists(&mut walk, item)?,
        Expect::Struct(parts) => nested::structs(&mut walk, parts)?,
    })
}

fn build_scalar(walk: &mut Walk<'_>, data_type: &DataType) -> Result<ArrayRef> {
    let rules = walk.rules;
    Ok(match data_type {
        DataType::Boolean => walk.booleans(),
        DataType::Int => Arc::new(walk.primitive::<Int32Type>(scalar::int)),
        DataType::Long => Arc::new(walk.primitive::<Int64Type>(scalar::long)),
        DataType::Float => Arc::new(walk.primitive::<Float64Type>(scalar::float)),
        DataType::Decimal { precision, scale } => {
            let parse = |value: &Value<'_>| scalar::decimal(value, *precision, *scale);
            let array = walk.primitive::<Decimal128Type>(parse);
            Arc::new(array.with_data_type(data_type.to_arrow()))
        }
        DataType::String => {
            walk.bytes::<Utf8Type, _>(|value, out| put(out, scalar::string(value)))?
        }
        DataType::Json => walk.bytes::<Utf8Type, _>(|value, out| put_json(value, rules, out))?,
        DataType::Bytes => {
            walk.bytes::<LargeBinaryType, _>(|value, out| put(out, scalar::bytes(value)))?
        }
        DataType::Date => Arc::new(walk.primitive::<Date32Type>(|value| date(value, rules))),
        DataType::DateTime => {
            let array = walk.primitive::<TimestampMicrosecondType>(|value| datetime(value, rules));
            Arc::new(array.with_timezone(UTC))
        }
        DataType::Uuid => walk.uuids()?,
        other => return Err(Error::internal(format!("`{other}` is not a type without parts"))),
    })
}

/// One pass over a column.
pub(super) struct Walk<'a> {
    pub(super) slot: Slot<'a>,
    pub(super) column: Column<'a>,
    pub(super) rules: &'a Rules,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Walk<'_> {
    /// Parses each value and gives what became of it to `push`, in order.
    pub(super) fn each<T>(
        &mut self,
        parse: impl Fn(&Value<'_>) -> Result<T, Misfit>,
        mut push: impl FnMut(Outcome<T>),
    ) {
        for record in 0..self.column.count() {
            let value = self.column.value(record);
            push(match self.presence(record, &value) {
                None => match parse(&value) {
                    Ok(parsed) => Outcome::Value(parsed),
                    Err(misfit) => {
                        self.misfit(record, &value, misfit);
                        Outcome::Placeholder
                    }
                },
                Some(true) => Outcome::Null,
                Some(false) => Outcome::Placeholder,
            });
        }
    }

    /// `None` when there is a value to parse, `Some(true)` for a null, `Some(false)` for a
    /// placeholder (a missing value of a required field is noted as a fault).
    #[inline]
    pub(super) fn presence(&mut self, record: usize, value: &Value<'_>) -> Option<bool> {
        match is_absent(value, self.rules, self.slot.expect) {
            true => self.absence(record, value),
            false => None,
        }
    }

    fn absence(&mut self, record: usize, value: &Value<'_>) -> Option<bool> {
        if value.kind == CellKind::Skip {
            return Some(self.slot.nullable);
        }
        if !self.slot.nullable {
            let fault = Fault::missing(record, self.slot.name).offset(value.origin);
            let textual = value.kind == CellKind::Bare && is_text(self.slot.expect);
            self.faults.push(match textual {
                true => fault.hint("an empty text is written `\"\"`"),
                false => fault,
            });
        }
        Some(self.slot.nullable)
    }

    pub(super) fn misfit(&mut self, record: usize, value: &Value<'_>, misfit: Misfit) {
        let fault = Fault::misfit(record, self.slot.name, value.text, misfit);
        self.faults.push(fault.offset(value.origin));
    }

    fn primitive<T: ArrowPrimitiveType>(
        &mut self,
        parse: impl Fn(&Value<'_>) -> Result<T::Native, Misfit>,
    ) -> PrimitiveArray<T> {
        let count = self.column.count();
        let mut values = Vec::with_capacity(count);
        let mut nulls = NullBufferBuilder::new(count);
        self.each(parse, |outcome| {
            note(&mut nulls, !matches!(outcome, Outcome::Null));
            values.push(match outcome {
                Outcome::Value(value) => value,
                _ => T::Native::default(),
            });
        });
        PrimitiveArray::new(values.into(), nulls.finish())
    }

    fn booleans(&mut self) -> ArrayRef {
        let mut values = Vec::with_capacity(self.column.count());
        let mut nulls = NullBufferBuilder::new(self.column.count());
        self.each(scalar::boolean, |outcome| {
            nulls.append(!matches!(outcome, Outcome::Null));
            values.push(matches!(outcome, Outcome::Value(true)));
        });
        Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls.finish()))
    }

    fn uuids(&mut self) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(self.column.count() * 16);
        let mut nulls = NullBufferBuilder::new(self.column.count());
        self.each(scalar::uuid, |outcome| {
            nulls.append(!matches!(outcome, Outcome::Null));
            values.extend_from_slice(&match outcome {
                Outcome::Value(value) => value,
                _ => [0; 16],
            });
        });
        let array = FixedSizeBinaryArray::try_new(16, Buffer::from_vec(values), nulls.finish());
        Ok(Arc::new(array.map_err(wrap)?))
    }

    /// Text and bytes, appended to one buffer without a copy of each.
    fn bytes<T, F>(&mut self, append: F) -> Result<ArrayRef>
    where
        T: ByteArrayType,
        F: Fn(&Value<'_>, &mut Vec<u8>) -> Result<(), Misfit>,
    {
        let count = self.column.count();
        let mut lengths = Vec::with_capacity(count);
        let mut values = Vec::new();
        let mut nulls = NullBufferBuilder::new(count);
        for record in 0..count {
            let before = values.len();
            let value = self.column.value(record);
            let presence = self.presence(record, &value);
            if presence.is_none()
                && let Err(misfit) = append(&value, &mut values)
            {
                values.truncate(before);
                self.misfit(record, &value, misfit);
            }
            lengths.push(values.len() - before);
            note(&mut nulls, presence != Some(true));
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        let array = GenericByteArray::<T>::try_new(offsets, values.into(), nulls.finish());
        Ok(Arc::new(array.map_err(wrap)?))
    }
}

/// Notes whether there is a value: most columns have one everywhere, which costs an addition then.
#[inline]
fn note(nulls: &mut NullBufferBuilder, is_there: bool) {
    match is_there {
        true => nulls.append_non_null(),
        false => note_absence(nulls),
    }
}

#[cold]
fn note_absence(nulls: &mut NullBufferBuilder) {
    nulls.append_null();
}

pub(super) fn wrap(error: arrow::error::ArrowError) -> Error {
    Error::internal("failed to build a column").caused_by(error)
}

/// Whether there is nothing to parse. An empty value is none; an empty value in quotes is an empty
/// text, or no bytes, where those are expected.
#[inline]
fn is_absent(value: &Value<'_>, rules: &Rules, expect: &Expect) -> bool {
    match value.kind {
        CellKind::Missing | CellKind::Null | CellKind::Skip => true,
        CellKind::Bare => value.text.is_empty() || rules.is_null(value.text),
        CellKind::Quoted => value.text.is_empty() && !may_be_empty(expect),
        CellKind::String => !rules.nulls.is_empty() && rules.is_null(value.text),
        _ => false,
    }
}

fn may_be_empty(expect: &Expect) -> bool {
    is_text(expect) || matches!(expect, Expect::Scalar(DataType::Bytes))
}

fn is_text(expect: &Expect) -> bool {
    matches!(expect, Expect::Scalar(DataType::String) | Expect::Id)
}

fn put(out: &mut Vec<u8>, value: Result<impl AsRef<[u8]>, Misfit>) -> Result<(), Misfit> {
    out.extend_from_slice(value?.as_ref());
    Ok(())
}

fn put_json(value: &Value<'_>, rules: &Rules, out: &mut Vec<u8>) -> Result<(), Misfit> {
    match value.kind {
        CellKind::Bare | CellKind::Quoted => {
            json::validate(value.text, rules.depth).map_err(|fault| Misfit {
                kind: FaultKind::Syntax,
                expected: "JSON".to_owned(),
                hint: Some(format!("{}; a text is written with quotes: `\"text\"`", fault.message)),
            })?;
            out.extend_from_slice(value.text.trim_ascii());
            Ok(())
        }
        // The escapes are gone, so the text gets new ones.
        CellKind::String => serde_json::to_writer(out, &String::from_utf8_lossy(value.text))
            .map_err(|_| Misfit::of_type("JSON")),
        _ => {
            out.extend_from_slice(value.text);
            Ok(())
        }
    }
}

fn enum_name<'a>(value: &Value<'_>, names: &'a [Arc<str>]) -> Result<&'a [u8], Misfit> {
    let text = scalar::text_of(value).unwrap_or_default();
    if let Some(name) = names.iter().find(|name| name.as_bytes() == text) {
        return Ok(name.as_bytes());
    }
    let shown: Vec<_> = names.iter().take(8).map(|name| name.as_ref()).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    let misfit = Misfit {
        kind: FaultKind::Enum,
        expected: format!("one of {}{more}", shown.join(", ")),
        hint: None,
    };
    let similar = names.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(text));
    Err(match similar {
        Some(name) => misfit.hint(format!("did you mean `{name}`?")),
        None => misfit,
    })
}

fn date(value: &Value<'_>, rules: &Rules) -> Result<i32, Misfit> {
    let text = scalar::text_of(value).filter(|_| value.kind != CellKind::Number);
    time::date(text.unwrap_or_default(), rules.date_format.as_deref())
}

fn datetime(value: &Value<'_>, rules: &Rules) -> Result<i64, Misfit> {
    let text = scalar::text_of(value).unwrap_or_default();
    let number = value.kind == CellKind::Number || rules.epoch.is_some();
    if number && let Ok(number) = scalar::long(value) {
        return time::from_epoch(number, rules.epoch);
    }
    if value.kind == CellKind::Number {
        return fractional_seconds(value);
    }
    time::datetime(text, rules.datetime_format.as_deref())
}

/// `1763884800.25` counts seconds, as Python's `time.time()` does.
fn fractional_seconds(value: &Value<'_>) -> Result<i64, Misfit> {
    let misfit = || Misfit::of_type("seconds since 1970 with at most six digits after the point");
    let micros = scalar::decimal_parts(value.text, 6).map_err(|_| misfit())?;
    i64::try_from(micros).map_err(|_| misfit())
}
