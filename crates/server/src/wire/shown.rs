//! What travels when a schema is shown: modules, types, fields, columns, explanations.

use serde::{Deserialize, Serialize};

/// The deployed schema as the UI draws it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SchemaAnswer {
    /// Its version; 0 before the first apply.
    pub version: i64,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Its modules.
    pub modules: Vec<ModuleInfo>,
    /// Its object types.
    pub types: Vec<TypeInfo>,
}

/// A module.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ModuleInfo {
    /// The name.
    pub name: String,
    /// The owner.
    pub owner: String,
    /// Its file.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Names of its types.
    pub types: Vec<String>,
}

/// An object type.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TypeInfo {
    /// The name.
    pub name: String,
    /// The description.
    pub description: Option<String>,
    /// The module.
    pub module: String,
    /// The owner.
    pub owner: String,
    /// The SQL name, of a table.
    pub table: Option<String>,
    /// `ICEBERG` or `LANCE`, of a table.
    pub format: Option<String>,
    /// Names of the key's fields.
    pub key: Vec<String>,
    /// The fields.
    pub fields: Vec<FieldInfo>,
}

/// A field.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldInfo {
    /// The name.
    pub name: String,
    /// The description.
    pub description: Option<String>,
    /// `column`, `media`, `derived`, `reference`, `nearest`.
    pub kind: String,
    /// The type as the schema spells it.
    pub type_text: String,
    /// The type that a reference leads to.
    pub target: Option<String>,
    /// Whether text search covers it.
    pub search: bool,
    /// Whether it has a vector.
    pub vector: bool,
    /// Why it is deprecated.
    pub deprecated: Option<String>,
}

/// What is in a column.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnInfo {
    /// The field.
    pub name: String,
    /// Its type.
    pub type_text: String,
    /// Rows without a value.
    pub nulls: Option<u64>,
    /// About how many different values.
    pub distinct: Option<u64>,
    /// The smallest value, as JSON.
    pub minimum: Option<serde_json::Value>,
    /// The largest value, as JSON.
    pub maximum: Option<serde_json::Value>,
}

/// A plan as text.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Explanation {
    /// The text.
    pub text: String,
}

/// What to explain: one of both.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ExplainRequest {
    /// A GraphQL document.
    pub query: Option<String>,
    /// Which operation of it.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// A SQL query.
    pub sql: Option<String>,
}

/// A request about one table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OfType {
    /// The type.
    pub type_name: String,
}
