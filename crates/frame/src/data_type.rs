//! The types that a field of the central schema can have, each with exactly one Arrow form.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Fields, TimeUnit};

/// The time zone of every `DateTime` column, spelt as Iceberg spells it.
pub const UTC: &str = "+00:00";

/// The type of a value, without its nullability.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// GraphQL `Boolean`.
    Boolean,
    /// GraphQL `Int`: 32 bits.
    Int,
    /// `Long`: 64 bits; a string on the wire.
    Long,
    /// GraphQL `Float`: 64 bits.
    Float,
    /// `Decimal`: exact; a string on the wire.
    Decimal {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// GraphQL `String`, `ID`, and enums (by name): UTF-8.
    String,
    /// `Bytes`: base64 on the wire.
    Bytes,
    /// `Date`: days since the epoch.
    Date,
    /// `DateTime`: microseconds since the epoch, UTC.
    DateTime,
    /// `UUID`.
    Uuid,
    /// `JSON`: kept as its text.
    Json,
    /// `Vector`: 32-bit floats of a fixed count.
    Vector {
        /// How many.
        dimension: u32,
    },
    /// A list; `nullable` says whether its items may be null.
    List {
        /// The items' type.
        item: Box<DataType>,
        /// Whether items may be null.
        nullable: bool,
    },
    /// An embedded object.
    Struct(Vec<Field>),
}

/// A named, typed, possibly nullable place in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The API name.
    pub name: Arc<str>,
    /// The type.
    pub data_type: DataType,
    /// Whether the value may be null.
    pub nullable: bool,
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<Arc<str>>, data_type: DataType, nullable: bool) -> Self {
        Field { name: name.into(), data_type, nullable }
    }

    /// The Arrow form.
    pub fn to_arrow(&self) -> ArrowField {
        ArrowField::new(self.name.as_ref(), self.data_type.to_arrow(), self.nullable)
    }
}

impl DataType {
    /// The one Arrow type that batches of Headwater use for this type.
    pub fn to_arrow(&self) -> ArrowType {
        match self {
            DataType::Boolean => ArrowType::Boolean,
            DataType::Int => ArrowType::Int32,
            DataType::Long => ArrowType::Int64,
            DataType::Float => ArrowType::Float64,
            DataType::Decimal { precision, scale } => {
                // A scale is at most 38, so it fits; a larger one is refused when the schema is checked.
                ArrowType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
            }
            DataType::String | DataType::Json => ArrowType::Utf8,
            DataType::Bytes => ArrowType::LargeBinary,
            DataType::Date => ArrowType::Date32,
            DataType::DateTime => ArrowType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            DataType::Uuid => ArrowType::FixedSizeBinary(16),
            DataType::Vector { dimension } => ArrowType::FixedSizeList(
                Arc::new(ArrowField::new("item", ArrowType::Float32, false)),
                i32::try_from(*dimension).unwrap_or(i32::MAX),
            ),
            DataType::List { item, nullable } => {
                ArrowType::List(Arc::new(ArrowField::new("item", item.to_arrow(), *nullable)))
            }
            DataType::Struct(fields) => {
                ArrowType::Struct(fields.iter().map(Field::to_arrow).collect::<Fields>())
            }
        }
    }

    /// Whether values of this type have a total order that `orderBy` and `<` can use.
    pub fn is_ordered(&self) -> bool {
        !matches!(
            self,
            DataType::Json | DataType::Vector { .. } | DataType::List { .. } | DataType::Struct(_)
        )
    }

    /// Whether arithmetic applies.
    pub fn is_numeric(&self) -> bool {
        matches!(self, DataType::Int | DataType::Long | DataType::Float | DataType::Decimal { .. })
    }
}

impl fmt::Display for DataType {
    /// As the schema spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Boolean => f.write_str("Boolean"),
            DataType::Int => f.write_str("Int"),
            DataType::Long => f.write_str("Long"),
            DataType::Float => f.write_str("Float"),
            DataType::Decimal { precision, scale } => write!(f, "Decimal({precision}, {scale})"),
            DataType::String => f.write_str("String"),
            DataType::Bytes => f.write_str("Bytes"),
            DataType::Date => f.write_str("Date"),
            DataType::DateTime => f.write_str("DateTime"),
            DataType::Uuid => f.write_str("UUID"),
            DataType::Json => f.write_str("JSON"),
            DataType::Vector { dimension } => write!(f, "Vector({dimension})"),
            DataType::List { item, nullable: true } => write!(f, "[{item}]"),
            DataType::List { item, nullable: false } => write!(f, "[{item}!]"),
            DataType::Struct(fields) => {
                f.write_str("{")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    let bang = if field.nullable { "" } else { "!" };
                    write!(f, "{comma}{}: {}{bang}", field.name, field.data_type)?;
                }
                f.write_str("}")
            }
        }
    }
}
