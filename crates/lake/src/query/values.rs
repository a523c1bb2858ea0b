//! One value in its three dresses: `frame::Value`, DataFusion's `ScalarValue`, Iceberg's literal.
//!
//! In: a value of one of them. Out: the same value in another. Not here: arrays
//! (`frame::convert`).

use base::{Error, Result};
use datafusion::common::ScalarValue;
use frame::convert::array_of;
use frame::{DataType, Value};
use iceberg::spec::{Datum, Literal, PrimitiveLiteral, PrimitiveType, Type};

/// The value as DataFusion has it; `data_type` gives numbers their width and nulls their type.
pub(crate) fn to_scalar(value: &Value, data_type: &DataType) -> Result<ScalarValue> {
    let array = array_of([value], data_type)?;
    ScalarValue::try_from_array(&array, 0).map_err(|error| {
        Error::internal(format!("`{data_type}` has no single values")).caused_by(error)
    })
}

/// A bound or partition value of a manifest.
pub(crate) fn datum_to_scalar(datum: &Datum) -> Option<ScalarValue> {
    primitive_to_scalar(datum.literal(), datum.data_type())
}

/// A default value of an Iceberg column; only plain ones have any.
pub(crate) fn literal_to_scalar(literal: &Literal, data_type: &Type) -> Option<ScalarValue> {
    match (literal, data_type) {
        (Literal::Primitive(literal), Type::Primitive(data_type)) => {
            primitive_to_scalar(literal, data_type)
        }
        _ => None,
    }
}

fn primitive_to_scalar(
    literal: &PrimitiveLiteral,
    data_type: &PrimitiveType,
) -> Option<ScalarValue> {
    Some(match (literal, data_type) {
        (PrimitiveLiteral::Boolean(value), _) => ScalarValue::Boolean(Some(*value)),
        (PrimitiveLiteral::Int(days), PrimitiveType::Date) => ScalarValue::Date32(Some(*days)),
        (PrimitiveLiteral::Int(value), _) => ScalarValue::Int32(Some(*value)),
        (PrimitiveLiteral::Long(micros), PrimitiveType::Timestamptz) => {
            ScalarValue::TimestampMicrosecond(Some(*micros), Some(frame::data_type::UTC.into()))
        }
        (PrimitiveLiteral::Long(value), PrimitiveType::Long) => ScalarValue::Int64(Some(*value)),
        (PrimitiveLiteral::Float(value), _) => ScalarValue::Float32(Some(value.0)),
        (PrimitiveLiteral::Double(value), _) => ScalarValue::Float64(Some(value.0)),
        (PrimitiveLiteral::String(text), _) => ScalarValue::Utf8(Some(text.clone())),
        (PrimitiveLiteral::Binary(bytes), PrimitiveType::Fixed(size)) => {
            ScalarValue::FixedSizeBinary(i32::try_from(*size).ok()?, Some(bytes.clone()))
        }
        (PrimitiveLiteral::Binary(bytes), _) => ScalarValue::LargeBinary(Some(bytes.clone())),
        (PrimitiveLiteral::Int128(value), PrimitiveType::Decimal { precision, scale }) => {
            ScalarValue::Decimal128(
                Some(*value),
                u8::try_from(*precision).ok()?,
                i8::try_from(*scale).ok()?,
            )
        }
        (PrimitiveLiteral::UInt128(value), PrimitiveType::Uuid) => {
            ScalarValue::FixedSizeBinary(16, Some(value.to_be_bytes().to_vec()))
        }
        _ => return None,
    })
}
