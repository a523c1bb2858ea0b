//! What an absent value becomes: null, or the field's `@column(default:)`.

use arrow::array::{Array, ArrayRef, BooleanArray, Scalar, new_null_array};
use base::{Error, Kind, Result};
use frame::{Node, Value as Literal};

use super::cell::{Cell, CellKind, Cells};
use super::coerce::{Rules, Slot, build};
use super::shape::Target;

/// Puts the default where the array has nulls, if the field has one.
pub fn fill(array: ArrayRef, target: &Target) -> Result<ArrayRef> {
    if array.null_count() == 0 || target.default.is_none() {
        return Ok(array);
    }
    let present =
        BooleanArray::from((0..array.len()).map(|row| array.is_valid(row)).collect::<Vec<_>>());
    let default = Scalar::new(default_value(target)?);
    arrow::compute::kernels::zip::zip(&present, &array, &default)
        .map_err(|error| Error::internal("failed to fill in a default").caused_by(error))
}

/// A whole column of absent values.
pub fn absent(target: &Target, count: usize) -> Result<ArrayRef> {
    let nulls = new_null_array(&target.data_type.to_arrow(), count);
    fill(nulls, target)
}

fn default_value(target: &Target) -> Result<ArrayRef> {
    let Some(default) = &target.default else {
        return Ok(new_null_array(&target.data_type.to_arrow(), 1));
    };
    let Node::Literal(literal) = &default.node else {
        let message = format!("the default of field `{}` is not a constant", target.name);
        return Err(
            Error::new(Kind::Unsupported, message).hint("give the field a value in the file")
        );
    };
    let (kind, text) = spelled(literal, target)?;
    let end = text.len() as u32;
    let cell = Cell { start: 0, end, origin: 0, kind };
    let cells = Cells {
        bytes: text.into_bytes(),
        cells: vec![cell],
        width: 1,
        count: 1,
        faults: Vec::new(),
    };
    let mut faults = Vec::new();
    let slot = Slot { name: &target.name, expect: &target.expect, nullable: true };
    let array = build(slot, cells.column(0), &Rules::default(), &mut faults)?;
    match faults.first() {
        Some(fault) => Err(Error::internal(format!("a default does not fit: {}", fault.reason()))),
        None => Ok(array),
    }
}

/// A constant as a file would spell it.
fn spelled(literal: &Literal, target: &Target) -> Result<(CellKind, String)> {
    Ok(match literal {
        Literal::Boolean(value) => (CellKind::Quoted, value.to_string()),
        Literal::Int(value) => (CellKind::Number, value.to_string()),
        Literal::Float(value) => (CellKind::Number, value.to_string()),
        Literal::Decimal { unscaled, scale } => (CellKind::Number, format!("{unscaled}e-{scale}")),
        Literal::String(text) | Literal::Json(text) => (CellKind::Quoted, text.to_string()),
        Literal::Date(days) => {
            let micros = i64::from(*days) * 86_400_000_000;
            let text = base::Timestamp::from_micros(micros).to_string();
            (CellKind::Quoted, text.chars().take(10).collect())
        }
        Literal::DateTime(micros) => {
            (CellKind::Quoted, base::Timestamp::from_micros(*micros).to_string())
        }
        Literal::Uuid(uuid) => (CellKind::Quoted, uuid.to_string()),
        _ => {
            let message = format!("the default of field `{}` has parts", target.name);
            return Err(Error::new(Kind::Unsupported, message));
        }
    })
}
