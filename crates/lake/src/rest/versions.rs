//! What the versions of the table format allow, in the words of the reference.
//!
//! In: schemas and versions that a client sends. Out: a refusal of what a version does not have, so
//! that no table is kept which its own readers must refuse. Not here: what SQL reads of them.

use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, NestedField, PrimitiveType, Schema, TableMetadata, Type};
use serde_json::Value as Json;

use super::Refusal;

/// The newest version that is kept.
const NEWEST: u64 = 3;
/// Types with parts, and those without that have no numbers in their names.
const KNOWN: [&str; 16] = [
    "struct",
    "list",
    "map",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timestamp_ns",
    "timestamptz_ns",
    "string",
    "uuid",
];

/// The version that a new table is to have, as its property says it.
pub(super) fn version(said: Option<&str>) -> Result<FormatVersion, Refusal> {
    match said {
        None | Some("2") => Ok(FormatVersion::V2),
        Some("1") => Ok(FormatVersion::V1),
        Some("3") => Ok(FormatVersion::V3),
        Some(other) => Err(Refusal::argument(format!(
            "Unsupported format version: v{other} (supported: v{NEWEST})"
        ))),
    }
}

/// Refuses versions of an update that the library cannot even read.
pub(super) fn check_sent(update: &Json) -> Result<(), Refusal> {
    let said = |name: &str| update.get(name).and_then(Json::as_str);
    if said("action") == Some("add-schema") {
        return check_types(update.get("schema").unwrap_or(&Json::Null));
    }
    let wanted = update.get("format-version").and_then(Json::as_u64);
    match wanted.filter(|version| *version > NEWEST) {
        Some(version) if said("action") == Some("upgrade-format-version") => {
            Err(Refusal::argument(format!(
                "Cannot upgrade table to unsupported format version: v{version} (supported: v{NEWEST})"
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses to go back to an earlier version.
pub(super) fn check_upgrades(
    metadata: &TableMetadata,
    updates: &[TableUpdate],
) -> Result<(), Refusal> {
    let present = metadata.format_version();
    for update in updates {
        if let TableUpdate::UpgradeFormatVersion { format_version } = update
            && *format_version < present
        {
            let text = format!("Cannot downgrade {present} table to {format_version}");
            return Err(Refusal::argument(text));
        }
    }
    Ok(())
}

/// Refuses a schema with types that nobody knows here, by the name of the column.
pub(super) fn check_types(schema: &Json) -> Result<(), Refusal> {
    let parts = [schema.get("element"), schema.get("key"), schema.get("value")];
    let fields = schema.get("fields").and_then(Json::as_array).into_iter().flatten();
    for (name, part) in fields
        .map(|field| {
            let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
            (name, field.get("type").unwrap_or(&Json::Null))
        })
        .chain(parts.into_iter().flatten().map(|part| ("", part)))
    {
        match part.as_str() {
            Some(text) if !is_known(text) => {
                return Err(Refusal::argument(format!(
                    "Cannot parse type string: {text}, of column `{name}`; no table of this catalog has such columns"
                )));
            }
            Some(_) => {}
            None => check_types(part)?,
        }
    }
    Ok(())
}

fn is_known(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let with_numbers = name.starts_with("decimal(") || name.starts_with("fixed[");
    with_numbers || name == "binary" || KNOWN.contains(&name.as_str())
}

/// Refuses columns that this version of the format does not have.
pub(super) fn check_columns(schema: &Schema, version: FormatVersion) -> Result<(), Refusal> {
    if version >= FormatVersion::V3 {
        return Ok(());
    }
    let mut problems = Vec::new();
    for field in schema.as_struct().fields() {
        find_newer(field, &field.name, &mut problems);
    }
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_by_key(|(id, _)| *id);
    let lines: Vec<String> = problems.into_iter().map(|(_, text)| format!("\n- {text}")).collect();
    Err(Refusal::invalid(format!("Invalid schema for {version}:{}", lines.concat())))
}

/// Collects what only version 3 has of a column and its parts, by the ids of the fields.
fn find_newer(field: &NestedField, name: &str, problems: &mut Vec<(i32, String)>) {
    if let Some(default) = &field.initial_default {
        let text = format!(
            "Invalid initial default for {name}: non-null default ({}) is not supported until v3",
            shown(default)
        );
        problems.push((field.id, text));
    }
    match field.field_type.as_ref() {
        Type::Primitive(kind @ (PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs)) => {
            let text = format!("Invalid type for {name}: {kind} is not supported until v3");
            problems.push((field.id, text));
        }
        Type::Primitive(_) => {}
        Type::Struct(parts) => {
            for part in parts.fields() {
                find_newer(part, &format!("{name}.{}", part.name), problems);
            }
        }
        Type::List(list) => {
            find_newer(&list.element_field, &format!("{name}.element"), problems);
        }
        Type::Map(map) => {
            find_newer(&map.key_field, &format!("{name}.key"), problems);
            find_newer(&map.value_field, &format!("{name}.value"), problems);
        }
    }
}

/// A default as a person writes it.
fn shown(default: &iceberg::spec::Literal) -> String {
    use iceberg::spec::{Literal, PrimitiveLiteral};
    match default {
        Literal::Primitive(PrimitiveLiteral::Int(value)) => value.to_string(),
        Literal::Primitive(PrimitiveLiteral::Long(value)) => value.to_string(),
        Literal::Primitive(PrimitiveLiteral::Boolean(value)) => value.to_string(),
        Literal::Primitive(PrimitiveLiteral::String(value)) => value.clone(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Json, expected: &str) {
        let refused = check_types(&schema).err().or_else(|| {
            let schema: Schema = serde_json::from_value(schema).expect("a schema");
            check_columns(&schema, FormatVersion::V3).expect("version 3 has them all");
            check_columns(&schema, FormatVersion::V2).err()
        });
        assert_eq!(refused.map_or_else(String::new, |refusal| refusal.message), expected);
    }

    fn column(kind: &Json) -> Json {
        let field = json!({ "id": 1, "name": "a", "required": false, "type": kind });
        json!({ "type": "struct", "schema-id": 0, "fields": [field] })
    }

    #[test]
    fn what_a_version_lacks_is_said_as_the_reference_says_it() {
        for kind in ["long", "decimal(9,2)", "fixed[16]", "binary", "timestamptz"] {
            check(column(&json!(kind)), "");
        }
        check(
            column(&json!("timestamp_ns")),
            "Invalid schema for v2:\n- Invalid type for a: timestamp_ns is not supported until v3",
        );
        let list = json!({ "type": "list", "element-id": 2, "element-required": false, "element": "timestamptz_ns" });
        check(
            column(&list),
            "Invalid schema for v2:\n- Invalid type for a.element: timestamptz_ns is not supported until v3",
        );
        let mut defaulted = column(&json!("long"));
        defaulted["fields"][0]["initial-default"] = json!(5);
        check(
            defaulted,
            "Invalid schema for v2:\n- Invalid initial default for a: non-null default (5) is not supported until v3",
        );
        check(
            column(&json!("variant")),
            "Cannot parse type string: variant, of column `a`; no table of this catalog has such columns",
        );
        let inner = json!({ "type": "list", "element-id": 2, "element-required": false, "element": column(&json!("geometry")) });
        check(
            column(&inner),
            "Cannot parse type string: geometry, of column `a`; no table of this catalog has such columns",
        );
    }

    #[test]
    fn versions_that_nobody_knows_are_refused() {
        assert_eq!(version(Some("3")), Ok(FormatVersion::V3));
        let refused = version(Some("9")).expect_err("refused");
        assert_eq!(refused.message, "Unsupported format version: v9 (supported: v3)");
        let sent = json!({ "action": "upgrade-format-version", "format-version": 4 });
        let refused = check_sent(&sent).expect_err("refused");
        assert_eq!((refused.status, refused.kind.as_str()), (400, "IllegalArgumentException"));
    }
}
