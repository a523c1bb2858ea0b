//! How a version of the schema that is still served, but no longer deployed, finds its columns in a
//! table that has changed since.
//!
//! In: the binding that the switch wrote, and the table's metadata as it is now. Out: metadata that
//! reads as the earlier version had it. Columns are found by id, so a rename, a widening, an added
//! column, another key or another layout need nothing more; a converted column is read from the
//! column that took its place. Not here: which versions are served (`catalog`).

use std::sync::Arc;

use base::{Error, Kind, Result};
use iceberg::spec::{NestedFieldRef, Schema as IcebergSchema, TableMetadata};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::failure::failed;

/// The version of a stored binding.
const FORMAT: u32 = 1;
/// How the names of columns begin that a change prepares.
const COMING: &str = "__new_";
/// How the names of columns begin that only an earlier version of the schema has.
const GOING: &str = "__old_";
/// The partition spec of a table that is only read through a binding.
const NO_SPEC: i32 = i32::MAX;

/// How an earlier version finds its columns; a table that was copied into another format since has
/// no schema of its own for it, and is read by names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The Iceberg schema that the version reads by.
    pub schema_id: Option<i32>,
    /// Converted columns: the id that the version knows, and the id that holds the values now.
    pub moved: Vec<(i32, i32)>,
    /// Columns by name, in a table that has no ids of its own: what the version calls them, and what
    /// they are called now; nothing when they are gone.
    pub names: Vec<(String, Option<String>)>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    schema: Option<i32>,
    moved: Vec<(i32, i32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<(String, Option<String>)>,
}

impl Binding {
    /// The text that the catalog keeps.
    pub(crate) fn to_text(&self) -> Result<String> {
        let stored = Stored {
            format: FORMAT,
            schema: self.schema_id,
            moved: self.moved.clone(),
            names: self.names.clone(),
        };
        serde_json::to_string(&stored).map_err(failed("write a binding"))
    }

    /// Reads such a text.
    pub(crate) fn from_text(text: &str) -> Result<Binding> {
        let corrupt = |error: serde_json::Error| {
            Error::new(Kind::Corrupt, "failed to read the binding of a table").caused_by(error)
        };
        let stored: Stored = serde_json::from_str(text).map_err(corrupt)?;
        if stored.format != FORMAT {
            let text =
                format!("a binding has format {}, this program reads {FORMAT}", stored.format);
            return Err(
                Error::new(Kind::Unsupported, text).hint("use a newer version of Headwater")
            );
        }
        Ok(Binding { schema_id: stored.schema, moved: stored.moved, names: stored.names })
    }

    /// The metadata as the version reads it. Only for reading: it names no layout for new files.
    pub(crate) fn applied(&self, metadata: &TableMetadata) -> Result<TableMetadata> {
        let Some(schema_id) = self.schema_id else { return Ok(metadata.clone()) };
        let mut json = serde_json::to_value(metadata).map_err(failed("read a table's metadata"))?;
        json["current-schema-id"] = schema_id.into();
        json["default-spec-id"] = NO_SPEC.into();
        json["default-sort-order-id"] = 0.into();
        push(&mut json["partition-specs"], json!({ "spec-id": NO_SPEC, "fields": [] }));
        let unsorted = |order: &Json| order["order-id"] == 0;
        if !json["sort-orders"].as_array().is_some_and(|orders| orders.iter().any(unsorted)) {
            push(&mut json["sort-orders"], json!({ "order-id": 0, "fields": [] }));
        }
        for schema in json["schemas"].as_array_mut().into_iter().flatten() {
            if schema["schema-id"] == schema_id {
                self.move_ids(schema);
            }
        }
        serde_json::from_value(json).map_err(failed("read a table's metadata"))
    }

    fn move_ids(&self, schema: &mut Json) {
        let moved = |id: &Json| {
            let id = id.as_i64()?;
            let found = self.moved.iter().find(|(from, _)| i64::from(*from) == id);
            found.map(|(_, to)| Json::from(*to))
        };
        for field in schema["fields"].as_array_mut().into_iter().flatten() {
            if let Some(to) = moved(&field["id"]) {
                field["id"] = to;
            }
        }
        for id in schema["identifier-field-ids"].as_array_mut().into_iter().flatten() {
            if let Some(to) = moved(id) {
                *id = to;
            }
        }
    }

    /// Whether a column of this id is read from values of another type.
    pub(crate) fn converts(&self, id: i32) -> bool {
        self.moved.iter().any(|(_, to)| *to == id)
    }
}

fn push(list: &mut Json, item: Json) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

/// The name of the column that a change prepares for this one.
pub(crate) fn coming(column: &str) -> String {
    format!("{COMING}{column}")
}

/// The name of a column that only an earlier version of the schema has.
pub(crate) fn going(id: i32) -> String {
    format!("{GOING}{id}")
}

/// Whether a change prepares this column.
pub(crate) fn is_coming(name: &str) -> bool {
    name.starts_with(COMING)
}

/// Whether the deployed version does not have a column of this name.
pub(crate) fn is_hidden(name: &str) -> bool {
    is_coming(name) || name.starts_with(GOING)
}

/// The columns of a schema that the deployed version has; nothing when those are all.
pub(crate) fn shown_of(schema: &IcebergSchema) -> Option<Vec<NestedFieldRef>> {
    let fields = schema.as_struct().fields();
    if !fields.iter().any(|field| is_hidden(&field.name)) {
        return None;
    }
    Some(fields.iter().filter(|field| !is_hidden(&field.name)).map(Arc::clone).collect())
}

/// The id of the schema that has exactly the shown columns of the present one; nothing when the
/// present one hides none.
pub(crate) fn shown_schema(metadata: &TableMetadata) -> Result<Option<i32>> {
    let present = metadata.current_schema();
    let Some(shown) = shown_of(present) else { return Ok(None) };
    let key = |schema: &IcebergSchema| {
        let mut ids: Vec<i32> = schema.identifier_field_ids().collect();
        ids.sort_unstable();
        ids
    };
    let same = |schema: &&Arc<IcebergSchema>| {
        schema.as_struct().fields() == shown.as_slice() && key(schema) == key(present)
    };
    let found = metadata.schemas_iter().filter(same).map(|schema| schema.schema_id()).max();
    let found = found.ok_or_else(|| {
        Error::new(Kind::Corrupt, "a table hides columns, and has no schema without them")
    })?;
    Ok(Some(found))
}

/// The same metadata with another one of its schemas as the present one.
pub(crate) fn with_schema(metadata: &TableMetadata, schema_id: i32) -> Result<TableMetadata> {
    let mut json = serde_json::to_value(metadata).map_err(failed("read a table's metadata"))?;
    json["current-schema-id"] = schema_id.into();
    serde_json::from_value(json).map_err(failed("read a table's metadata"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_keeps_its_form() {
        let binding = Binding { schema_id: Some(3), moved: vec![(2, 9)], names: Vec::new() };
        let text = binding.to_text().unwrap();
        assert_eq!(text, r#"{"format":1,"schema":3,"moved":[[2,9]]}"#);
        assert_eq!(Binding::from_text(&text).unwrap(), binding);
        let newer = text.replace("\"format\":1", "\"format\":2");
        assert_eq!(Binding::from_text(&newer).unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(Binding::from_text("{").unwrap_err().kind(), Kind::Corrupt);
    }
}
