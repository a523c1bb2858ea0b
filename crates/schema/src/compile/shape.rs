//! What a field's type says: in comes GraphQL's type, out comes what is named, whether it is a
//! list, and what may be null.

use apollo_compiler::ast::Type;
use frame::DataType;

use crate::diagnostic::Code;

use super::declare::{Declared, Field};
use super::report::Report;

/// A field's type, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) named: Named,
    /// Whether it is a list, and then whether its items may be null.
    pub(crate) list: Option<bool>,
    /// Whether the value (the list, if it is one) may be null.
    pub(crate) nullable: bool,
}

/// What a type names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Named {
    /// A scalar whose type is known at once.
    Scalar(DataType),
    /// `ID`.
    Id,
    /// `Decimal`, whose digits `@column(type:)` gives.
    Decimal,
    /// `Vector`, whose length a directive gives.
    Vector,
    /// `Media`.
    Media,
    /// An enum.
    Enum(String),
    /// An object type, by its position.
    Object(usize),
}

/// All scalars, for "did you mean".
const SCALARS: [&str; 14] = [
    "Boolean", "Int", "Long", "Float", "Decimal", "String", "ID", "Date", "DateTime", "UUID",
    "Bytes", "Vector", "JSON", "Media",
];

/// Names of other languages, for hints.
const FOREIGN: [(&str, &str); 14] = [
    ("Integer", "Int"),
    ("BigInt", "Long"),
    ("Int64", "Long"),
    ("Number", "Float"),
    ("Double", "Float"),
    ("Bool", "Boolean"),
    ("Text", "String"),
    ("Str", "String"),
    ("Timestamp", "DateTime"),
    ("Time", "DateTime"),
    ("Binary", "Bytes"),
    ("Blob", "Bytes"),
    ("Image", "Media"),
    ("Object", "JSON"),
];

/// Whether a name is that of a built-in scalar.
pub(crate) fn is_scalar(name: &str) -> bool {
    SCALARS.contains(&name)
}

/// Takes a field's type apart; says what is wrong with it.
pub(crate) fn of(
    field: &Field<'_>,
    declared: &Declared<'_>,
    report: &mut Report<'_>,
) -> Option<Shape> {
    let outer = &field.node.ty;
    let item = if outer.is_list() { outer.item_type() } else { outer };
    if item.is_list() {
        report
            .at(Code::ListOfLists, field.at_type(), "a list of lists is not offered")
            .hint("put the inner list into a type of its own");
        return None;
    }
    let Some(named) = named(item, declared) else {
        unknown(field, declared, report);
        return None;
    };
    let list = outer.is_list().then(|| !item.is_non_null());
    Some(Shape { named, list, nullable: !outer.is_non_null() })
}

fn named(item: &Type, declared: &Declared<'_>) -> Option<Named> {
    let name = item.inner_named_type().as_str();
    let scalar = match name {
        "Boolean" => DataType::Boolean,
        "Int" => DataType::Int,
        "Long" => DataType::Long,
        "Float" => DataType::Float,
        "String" => DataType::String,
        "Date" => DataType::Date,
        "DateTime" => DataType::DateTime,
        "UUID" => DataType::Uuid,
        "Bytes" => DataType::Bytes,
        "JSON" => DataType::Json,
        "ID" => return Some(Named::Id),
        "Decimal" => return Some(Named::Decimal),
        "Vector" => return Some(Named::Vector),
        "Media" => return Some(Named::Media),
        _ if declared.enums.contains_key(name) => return Some(Named::Enum(name.to_owned())),
        _ => return declared.objects.get_index_of(name).map(Named::Object),
    };
    Some(Named::Scalar(scalar))
}

fn unknown(field: &Field<'_>, declared: &Declared<'_>, report: &mut Report<'_>) {
    let name = field.node.ty.inner_named_type().as_str();
    let foreign = FOREIGN.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name));
    let diagnostic =
        report.at(Code::UnknownType, field.at_type(), format!("unknown type `{name}`"));
    if let Some((_, ours)) = foreign {
        diagnostic.hint(format!("did you mean `{ours}`?"));
        return;
    }
    let own = declared.objects.keys().copied().chain(declared.enums.keys().map(AsRef::as_ref));
    diagnostic.did_you_mean(
        name,
        SCALARS.into_iter().chain(own),
        |found| format!("`{found}`"),
        "no module declares it and it is not built in",
    );
}
