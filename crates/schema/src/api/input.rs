//! Input types of the API: filters, orders, rows to write, keys.

use std::collections::BTreeSet;

use frame::DataType;

use super::aggregate::ordered_columns;
use super::names::answering;
use super::sdl::{deprecation, describe, graphql_type, renamed};
use crate::{ColumnSpec, FieldDef, FieldKind, ObjectType, Schema};

/// The `where` inputs of scalars and enums that the API uses, filled while types are written.
pub(super) type UsedFilters = BTreeSet<(String, Filter)>;

/// What a filter input offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Filter {
    /// Equality and order, and parts of text.
    Text,
    /// Equality and order.
    Ordered,
    /// Equality.
    Equality,
    /// Only whether there is a value.
    Presence,
    /// Items of a list.
    List,
}

/// `input FilmWhere`.
pub(super) fn where_input(
    out: &mut String,
    schema: &Schema,
    object: &ObjectType,
    used: &mut UsedFilters,
) {
    describe(
        out,
        "",
        Some(&format!("Which `{}` are wanted: all given conditions hold.", object.name)),
    );
    let name = &object.name;
    out.push_str(&format!("input {name}Where {{\n"));
    out.push_str(&format!("  and: [{name}Where!]\n  or: [{name}Where!]\n  not: {name}Where\n"));
    for field in object.fields.values().filter(|field| field.is_shown()) {
        let Some(filter) = filter_of(schema, field, used) else { continue };
        field_lines(out, field, &filter);
    }
    out.push_str("}\n\n");
}

/// A field under its present name and under those that still answer, without a place in the
/// required ones.
pub(super) fn field_lines(out: &mut String, field: &FieldDef, type_text: &str) {
    let note = deprecation(field.deprecated.as_deref());
    out.push_str(&format!("  {}: {type_text}{note}\n", field.name));
    for (name, until) in answering(&field.was) {
        let note = deprecation(Some(&renamed(&field.name, until)));
        out.push_str(&format!("  {name}: {type_text}{note}\n"));
    }
}

/// The filter input of a field; `None` when it cannot be filtered by.
fn filter_of(schema: &Schema, field: &FieldDef, used: &mut UsedFilters) -> Option<String> {
    let column = match &field.kind {
        FieldKind::Column(column) => column,
        FieldKind::Media(_) => return Some("MediaWhere".to_owned()),
        _ => return None,
    };
    if let (Some(id), DataType::Struct(_)) = (column.embedded, &column.data_type) {
        return Some(format!("{}Where", schema.object(id).name));
    }
    let (scalar, filter) = scalar_filter(column)?;
    used.insert((scalar.clone(), filter));
    Some(filter_name(&scalar, filter))
}

/// The name of a filter input.
pub(super) fn filter_name(scalar: &str, filter: Filter) -> String {
    let list = if filter == Filter::List { "List" } else { "" };
    format!("{scalar}{list}Where")
}

/// The scalar or enum that a column's filter is about, and what the filter offers.
pub(super) fn scalar_filter(column: &ColumnSpec) -> Option<(String, Filter)> {
    let scalar = |data_type: &DataType| graphql_type(data_type, Some(column), None);
    match &column.data_type {
        DataType::List { item, .. } => {
            let nested = matches!(
                item.as_ref(),
                DataType::List { .. }
                    | DataType::Struct(_)
                    | DataType::Json
                    | DataType::Vector { .. }
            );
            (!nested).then(|| (scalar(item), Filter::List))
        }
        DataType::Struct(_) => None,
        DataType::String if column.enum_name.is_some() => {
            Some((scalar(&column.data_type), Filter::Equality))
        }
        DataType::String => Some((scalar(&column.data_type), Filter::Text)),
        DataType::Boolean | DataType::Bytes => Some((scalar(&column.data_type), Filter::Equality)),
        DataType::Json | DataType::Vector { .. } => {
            Some((scalar(&column.data_type), Filter::Presence))
        }
        ordered => Some((scalar(ordered), Filter::Ordered)),
    }
}

/// The inputs of [`UsedFilters`].
pub(super) fn filter_inputs(out: &mut String, used: &UsedFilters) {
    for (scalar, filter) in used {
        describe(out, "", Some(&filter_description(scalar, *filter)));
        out.push_str(&format!("input {} {{\n", filter_name(scalar, *filter)));
        let one: &[&str] = match filter {
            Filter::Text => {
                &["eq", "ne", "lt", "lte", "gt", "gte", "contains", "startsWith", "endsWith"]
            }
            Filter::Ordered => &["eq", "ne", "lt", "lte", "gt", "gte"],
            Filter::Equality => &["eq", "ne"],
            Filter::List => &["has"],
            Filter::Presence => &[],
        };
        let many: &[&str] = match filter {
            Filter::Presence => &[],
            Filter::List => &["hasAny", "hasAll"],
            _ => &["in", "notIn"],
        };
        // Parts of an id are looked for as text.
        let of_one = |op: &str| match op {
            "contains" | "startsWith" | "endsWith" => "String".to_owned(),
            _ => scalar.clone(),
        };
        one.iter().for_each(|op| out.push_str(&format!("  {op}: {}\n", of_one(op))));
        many.iter().for_each(|op| out.push_str(&format!("  {op}: [{scalar}!]\n")));
        out.push_str("  isNull: Boolean\n}\n\n");
    }
}

fn filter_description(scalar: &str, filter: Filter) -> String {
    match filter {
        Filter::List => format!("Conditions on a list of `{scalar}`: all given ones hold."),
        _ => format!(
            "Conditions on a `{scalar}`: all given ones hold; none holds for null but `isNull`."
        ),
    }
}

/// `input FilmOrderBy`.
pub(super) fn order_input(out: &mut String, object: &ObjectType) {
    describe(
        out,
        "",
        Some(&format!("One sort key of `{}`: exactly one field is given.", object.name)),
    );
    out.push_str(&format!("input {}OrderBy {{\n", object.name));
    for (field, _) in ordered_columns(object) {
        field_lines(out, field, "SortDirection");
    }
    out.push_str("}\n\n");
}

/// `input FilmInput`: a whole row.
pub(super) fn row_input(out: &mut String, schema: &Schema, object: &ObjectType) {
    describe(
        out,
        "",
        Some(&format!(
            "A whole `{}`; fields that are left out get their default or null.",
            object.name
        )),
    );
    out.push_str(&format!("input {}Input {{\n", object.name));
    for (field, column) in object.columns().filter(|(field, _)| field.is_whole()) {
        let renamed = answering(&field.was).next().is_some();
        let required =
            !field.nullable && column.default.is_none() && field.deprecated.is_none() && !renamed;
        let bang = if required { "!" } else { "" };
        field_lines(out, field, &format!("{}{bang}", input_type(schema, field, column)));
    }
    out.push_str("}\n\n");
}

/// `input FilmUpdate`: the key and what changes.
pub(super) fn update_input(out: &mut String, schema: &Schema, object: &ObjectType) {
    let key = object.table().map_or(&[][..], |table| &table.key);
    describe(
        out,
        "",
        Some(&format!(
            "Which `{}` to change, and its new values; fields that are left out stay.",
            object.name
        )),
    );
    out.push_str(&format!("input {}Update {{\n", object.name));
    for (index, field) in object.fields.values().enumerate() {
        let Some(column) = field.column().filter(|_| field.is_whole()) else { continue };
        let is_key = key.iter().any(|id| id.0 as usize == index);
        let required = is_key && answering(&field.was).next().is_none();
        let bang = if required { "!" } else { "" };
        field_lines(out, field, &format!("{}{bang}", input_type(schema, field, column)));
    }
    out.push_str("}\n\n");
}

/// `input FilmKey`.
pub(super) fn key_input(out: &mut String, object: &ObjectType) {
    describe(out, "", Some(&format!("The key of a `{}`.", object.name)));
    out.push_str(&format!("input {}Key {{\n", object.name));
    for (field, column) in key_columns(object) {
        out.push_str(&format!("  {}: {}!\n", field.name, key_type(column)));
    }
    out.push_str("}\n\n");
}

/// The fields of the key, in its order.
pub(super) fn key_columns(object: &ObjectType) -> impl Iterator<Item = (&FieldDef, &ColumnSpec)> {
    let key = object.table().map_or(&[][..], |table| &table.key);
    key.iter().filter_map(|id| {
        let field = object.field(*id);
        Some((field, field.column()?))
    })
}

pub(super) fn key_type(column: &ColumnSpec) -> String {
    graphql_type(&column.data_type, Some(column), None)
}

fn input_type(schema: &Schema, field: &FieldDef, column: &ColumnSpec) -> String {
    if matches!(field.kind, FieldKind::Media(_)) {
        return "MediaInput".to_owned();
    }
    let embedded = column.embedded.map(|id| format!("{}Input", schema.object(id).name));
    graphql_type(&column.data_type, Some(column), embedded.as_deref())
}
