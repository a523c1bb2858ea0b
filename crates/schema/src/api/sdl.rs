//! Writes the API as SDL: the same bytes for the same schema, types in the order of their
//! declaration, filters of scalars in the order of their names, the fixed types at the end.

use frame::DataType;

use super::aggregate::aggregate_types;
use super::change::{change_types, subscription};
use super::input::{
    Filter, UsedFilters, filter_inputs, key_input, order_input, row_input, update_input,
    where_input,
};
use super::names::answering;
use super::root::{mutation, query};
use super::{DEFAULT_PAGE, DEFAULT_REFERENCES, neighbours_field_name};
use crate::view::pruned;
use crate::{
    Argument, ColumnSpec, EnumType, FieldDef, FieldKind, Holder, ListSize, ObjectType, Schema,
};

/// Directives, scalars and types that every API has.
const FIXED: &str = include_str!("fixed.graphql");

/// The whole API of a schema.
pub fn api_sdl(schema: &Schema) -> String {
    let mut out = String::new();
    query(&mut out, schema);
    mutation(&mut out, schema);
    subscription(&mut out, schema);
    let mut used = UsedFilters::new();
    let own = |object: &&ObjectType| object.name.as_ref() != "Media" && object.is_shown();
    for object in schema.types.values().filter(own) {
        object_type(&mut out, schema, object);
        if schema.holder.extends(&object.name) {
            continue;
        }
        where_input(&mut out, schema, object, &mut used);
        if schema.holder.is_writable() {
            row_input(&mut out, schema, object);
        }
        if object.table().is_some() {
            table_types(&mut out, schema, object);
            aggregate_types(&mut out, object, &mut used);
            if schema.holder == Holder::Lake {
                change_types(&mut out, object);
            }
        }
    }
    schema.enums.values().for_each(|enumeration| enum_type(&mut out, enumeration));
    media_filters(&mut used);
    filter_inputs(&mut out, &used);
    out.push_str(FIXED);
    if schema.is_view() { pruned(&out) } else { out }
}

fn enum_type(out: &mut String, enumeration: &EnumType) {
    describe(out, "", enumeration.description.as_deref());
    out.push_str(&format!("enum {} {{\n", enumeration.name));
    for (index, value) in enumeration.values.iter().enumerate() {
        let details = enumeration.details.get(index);
        describe(out, "  ", details.and_then(|details| details.description.as_deref()));
        let note = deprecation(details.and_then(|details| details.deprecated.as_deref()));
        out.push_str(&format!("  {value}{note}\n"));
    }
    out.push_str("}\n\n");
}

/// The filters that `MediaWhere`, which is fixed, uses.
fn media_filters(used: &mut UsedFilters) {
    used.insert(("String".to_owned(), Filter::Text));
    for ordered in ["DateTime", "Float", "Int", "Long"] {
        used.insert((ordered.to_owned(), Filter::Ordered));
    }
}

/// Writes a description, if there is one, as a block string.
pub(super) fn describe(out: &mut String, indent: &str, text: Option<&str>) {
    let Some(text) = text else { return };
    let text = text.replace("\"\"\"", "\\\"\"\"");
    if !text.contains('\n') && !text.ends_with(['"', '\\']) && !text.starts_with('"') {
        out.push_str(&format!("{indent}\"\"\"{text}\"\"\"\n"));
        return;
    }
    out.push_str(&format!("{indent}\"\"\"\n"));
    for line in text.lines() {
        out.push_str(format!("{indent}{line}").trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{indent}\"\"\"\n"));
}

/// ` @deprecated(reason: "…")`, or nothing.
pub(super) fn deprecation(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" @deprecated(reason: {})", quoted(reason)))
}

/// The reason that an earlier name carries.
pub(super) fn renamed(name: &str, until: &str) -> String {
    format!("renamed to `{name}`; this name answers until {until}")
}

/// A GraphQL string literal, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The API's spelling of a type; `object` names the embedded type where the column holds one.
pub(super) fn graphql_type(
    data_type: &DataType,
    column: Option<&ColumnSpec>,
    object: Option<&str>,
) -> String {
    match data_type {
        DataType::Decimal { .. } => "Decimal".to_owned(),
        DataType::Vector { .. } => "Vector".to_owned(),
        DataType::List { item, nullable } => {
            let bang = if *nullable { "" } else { "!" };
            format!("[{}{bang}]", graphql_type(item, column, object))
        }
        DataType::Struct(_) => object.unwrap_or("JSON").to_owned(),
        DataType::String => match column {
            Some(ColumnSpec { enum_name: Some(name), .. }) => name.as_ref().to_owned(),
            Some(ColumnSpec { is_id: true, .. }) => "ID".to_owned(),
            _ => "String".to_owned(),
        },
        scalar => scalar.to_string(),
    }
}

fn object_type(out: &mut String, schema: &Schema, object: &ObjectType) {
    describe(out, "", object.description.as_deref());
    out.push_str(&format!("type {} {{\n", object.name));
    for field in object.fields.values().filter(|field| field.is_shown()) {
        let earlier = answering(&field.was)
            .map(|(name, until)| (name.as_ref(), Some(renamed(&field.name, until))));
        for (name, reason) in std::iter::once((field.name.as_ref(), None)).chain(earlier) {
            let note = deprecation(reason.as_deref().or(field.deprecated.as_deref()));
            row_field(out, schema, object, field, name, &note);
        }
    }
    out.push_str("}\n\n");
}

/// One field of a row under one of its names, and its sibling when it has one.
fn row_field(
    out: &mut String,
    schema: &Schema,
    object: &ObjectType,
    field: &FieldDef,
    name: &str,
    note: &str,
) {
    let notes = format!("{note}{}", costs(field));
    let arguments = arguments(schema, object, field);
    describe(out, "  ", field.description.as_deref());
    let bang = if field.nullable { "" } else { "!" };
    out.push_str(&format!(
        "  {name}{arguments}: {}{bang}{notes}\n",
        output_type(schema, object, field)
    ));
    if matches!(field.kind, FieldKind::Nearest(_)) {
        describe(out, "  ", Some(&format!("`{name}` with the distance of each row.")));
        let sibling = neighbours_field_name(name);
        out.push_str(&format!(
            "  {sibling}{arguments}: [{}Neighbour!]{bang}{notes}\n",
            object.name
        ));
    }
}

/// What a field gives, as the API spells it, without the mark for required.
pub fn output_type(schema: &Schema, object: &ObjectType, field: &FieldDef) -> String {
    match &field.kind {
        FieldKind::Column(column) => {
            let embedded = column.embedded.map(|id| schema.object(id).name.clone());
            graphql_type(&column.data_type, Some(column), embedded.as_deref())
        }
        FieldKind::Media(_) => "Media".to_owned(),
        FieldKind::Derived(derived) => graphql_type(&derived.expr.data_type, None, None),
        FieldKind::Nearest(_) => format!("[{}!]", object.name),
        FieldKind::Reference(reference) => {
            let target = &schema.object(reference.target).name;
            if reference.many { format!("[{target}!]") } else { target.as_ref().to_owned() }
        }
    }
}

/// The arguments of a field that gives rows.
fn arguments(schema: &Schema, object: &ObjectType, field: &FieldDef) -> String {
    let declared = |name: &str| field.arguments.iter().find(|argument| &*argument.name == name);
    let int = |name: &str, fallback: Option<i64>| {
        let default = declared(name).and_then(|argument: &Argument| argument.default).or(fallback);
        let default = default.map_or_else(String::new, |number| format!(" = {number}"));
        format!("{name}: Int{default}")
    };
    match &field.kind {
        FieldKind::Reference(reference) if reference.many => {
            // One default is enough: a second one would contradict it.
            let any_default = field.arguments.iter().any(|argument| argument.default.is_some());
            let fallback = (!any_default).then_some(DEFAULT_REFERENCES as i64);
            let target = &schema.object(reference.target).name;
            format!(
                "({}, {}, where: {target}Where, orderBy: [{target}OrderBy!])",
                int("first", fallback),
                int("last", None)
            )
        }
        FieldKind::Nearest(_) => {
            format!("({}, where: {}Where)", int("first", Some(10)), object.name)
        }
        _ => String::new(),
    }
}

/// `@cost` and `@listSize` as the public cost specification spells them.
fn costs(field: &FieldDef) -> String {
    let cost = field.cost.map(|cost| format!(" @cost(weight: \"{}\")", cost.weight));
    let size = field.list_size.as_ref().map(list_size).or_else(|| match &field.kind {
        FieldKind::Reference(reference) if reference.many => {
            Some(slices(&["first", "last"], &[], ""))
        }
        FieldKind::Nearest(_) => Some(slices(&["first"], &[], "")),
        _ => None,
    });
    cost.into_iter().chain(size).collect()
}

fn list_size(size: &ListSize) -> String {
    let names = |names: &[std::sync::Arc<str>]| {
        names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    if let Some(assumed) = size.assumed_size {
        parts.push(format!("assumedSize: {assumed}"));
    }
    if !size.slicing_arguments.is_empty() {
        parts.push(format!("slicingArguments: [{}]", names(&size.slicing_arguments)));
    }
    if !size.sized_fields.is_empty() {
        parts.push(format!("sizedFields: [{}]", names(&size.sized_fields)));
    }
    parts.push(format!("requireOneSlicingArgument: {}", size.require_one_slicing_argument));
    format!(" @listSize({})", parts.join(", "))
}

/// The `@listSize` that the API gives of itself.
pub(super) fn slices(arguments: &[&str], sized: &[&str], assumed: &str) -> String {
    let quote =
        |names: &[&str]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let sized =
        if sized.is_empty() { String::new() } else { format!(", sizedFields: [{}]", quote(sized)) };
    format!(
        " @listSize({assumed}slicingArguments: [{}]{sized}, requireOneSlicingArgument: false)",
        quote(arguments)
    )
}

/// The `@listSize` of a field that gives a connection.
pub(super) fn connection_size() -> String {
    let assumed = format!("assumedSize: {DEFAULT_PAGE}, ");
    slices(&["first", "last"], &["edges", "nodes"], &assumed)
}

/// The types that only tables have.
fn table_types(out: &mut String, schema: &Schema, object: &ObjectType) {
    let name = &object.name;
    order_input(out, object);
    connection(out, object);
    let is_nearest =
        |field: &FieldDef| matches!(field.kind, FieldKind::Nearest(_)) && field.is_shown();
    if object.fields.values().any(is_nearest) {
        describe(out, "", Some(&format!("A `{name}` that is near, nearest first.")));
        out.push_str(&format!(
            "type {name}Neighbour {{\n  node: {name}!\n  distance: Float!\n}}\n\n"
        ));
    }
    if schema.holder.is_writable() && object.table().is_some_and(|table| !table.key.is_empty()) {
        update_input(out, schema, object);
        key_input(out, object);
        payloads(out, name);
    }
}

fn connection(out: &mut String, object: &ObjectType) {
    let name = &object.name;
    describe(out, "", Some(&format!("A page of `{name}`.")));
    out.push_str(&format!("type {name}Connection {{\n"));
    for (text, field) in [
        ("The rows with their cursors.", format!("edges: [{name}Edge!]!")),
        ("The rows.", format!("nodes: [{name}!]!")),
        ("Where the page lies.", "pageInfo: PageInfo!".to_owned()),
        ("Rows in all pages; counted only when it is asked for.", "totalCount: Int".to_owned()),
        (
            "The snapshot that all pages are read from; null when `asOf` names a time.",
            "snapshot: Long".to_owned(),
        ),
    ] {
        describe(out, "  ", Some(text));
        out.push_str(&format!("  {field}\n"));
    }
    out.push_str("}\n\n");
    describe(out, "", Some(&format!("A `{name}` in a page.")));
    out.push_str(&format!("type {name}Edge {{\n  node: {name}!\n  cursor: String!\n"));
    if is_searchable(object) && object.has_all_rows() {
        describe(out, "  ", Some("How well it matches `search`."));
        out.push_str("  score: Float\n");
    }
    out.push_str("}\n\n");
}

/// Whether the type has a text index.
pub(super) fn is_searchable(object: &ObjectType) -> bool {
    object.fields.values().any(|field| field.search)
}

fn payloads(out: &mut String, name: &str) {
    let shared = "  \"\"\"The snapshot in which the change is visible.\"\"\"\n  snapshot: Long!\n  \
        \"\"\"Whether the change had been made before under the same idempotency key.\"\"\"\n  \
        replayed: Boolean!\n";
    describe(out, "", Some(&format!("What a change of one `{name}` did.")));
    out.push_str(&format!(
        "type {name}Payload {{\n  \"\"\"The row after the change.\"\"\"\n  node: {name}\n{shared}}}\n\n"
    ));
    describe(out, "", Some(&format!("What a change of several `{name}` did: all or nothing.")));
    out.push_str(&format!(
        "type {name}ListPayload {{\n  \"\"\"The rows after the change, in the order of the \
         input.\"\"\"\n  nodes: [{name}]!\n  \"\"\"Rows that were added or changed.\"\"\"\n  \
         count: Int!\n{shared}}}\n\n"
    ));
}
