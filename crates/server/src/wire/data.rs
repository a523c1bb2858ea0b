//! What travels about rows: importing, exporting, asking, snapshots.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// Import files. A local import reads `source` itself; over HTTP the bytes are the request's body.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ImportRequest {
    /// The type of the central schema.
    pub type_name: String,
    /// A file or folder.
    pub source: PathBuf,
    /// The name to show and to sniff by, when `source` is a spooled upload.
    pub display_name: Option<String>,
    /// `append`, `upsert`, `replace`; by default `upsert` for a type with a key, else `append`.
    pub mode: Option<String>,
    /// Rows that may be refused before the import fails.
    pub max_errors: u64,
    /// Where refused rows go.
    pub rejects: Option<PathBuf>,
    /// `csv`, `tsv`, `jsonl`, `json`, `parquet`, `arrow`, `arrow-stream`, `images`; sniffed by default.
    pub format: Option<String>,
    /// One character; found by default.
    pub delimiter: Option<char>,
    /// `utf-8` or `latin1`.
    pub encoding: Option<String>,
    /// Whether the first row holds names; found by default.
    pub header: Option<bool>,
    /// Names of the columns of a file without a header; `_` skips one.
    pub columns: Option<Vec<String>>,
    /// Quotes are plain text.
    pub plain_quotes: bool,
    /// Texts that stand for no value, besides the empty one.
    pub nulls: Vec<String>,
    /// `seconds`, `millis` or `micros`: the unit of points in time that are numbers.
    pub epoch: Option<String>,
    /// How dates are written: `%d.%m.%Y`.
    pub date_format: Option<String>,
    /// How points in time are written: `%d.%m.%Y %H:%M`; taken as UTC.
    pub datetime_format: Option<String>,
    /// Pass over columns that the type has no field for.
    pub ignore_unknown: bool,
    /// Import even what was imported before.
    pub again: bool,
}

/// What an import did.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportAnswer {
    /// The type.
    pub type_name: String,
    /// Rows that are in the table because of this import.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Refused rows by reason.
    pub rejected_by_reason: Vec<(String, u64)>,
    /// The table's snapshot after it.
    pub snapshot: String,
    /// Commits.
    pub parts: u64,
    /// Rows that an earlier, interrupted run had committed.
    pub resumed_rows: u64,
    /// Whether the same bytes had been imported before, so that nothing was done.
    pub already_imported: bool,
    /// Wall seconds.
    pub seconds: f64,
    /// Where refused rows are.
    pub rejects: Option<PathBuf>,
}

/// Export a table or the answer of a SQL query.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ExportRequest {
    /// The type; or `sql`.
    pub type_name: Option<String>,
    /// The query; or `type_name`.
    pub sql: Option<String>,
    /// `csv`, `jsonl`, `parquet`, `arrow`.
    pub format: String,
    /// Snapshot id or RFC 3339 time.
    pub at: Option<String>,
}

/// A GraphQL request, as GraphQL over HTTP spells it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryRequest {
    /// The document.
    pub query: String,
    /// Which operation of it.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A request of GraphQL over HTTP: a document, or the name of one that the server has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GraphqlRequest {
    /// The document.
    pub query: Option<String>,
    /// The id of a registered document.
    pub document_id: Option<String>,
    /// Which operation of it.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
    /// `persistedQuery` names a document that was sent before; others are passed over.
    pub extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl From<QueryRequest> for GraphqlRequest {
    fn from(request: QueryRequest) -> Self {
        GraphqlRequest {
            query: Some(request.query),
            operation_name: request.operation_name,
            variables: request.variables,
            ..GraphqlRequest::default()
        }
    }
}

impl GraphqlRequest {
    /// The request for the engine, of the document that was found.
    pub(crate) fn of(
        &self,
        document: String,
        principal: base::Principal,
        headers: Arc<HeaderMap>,
    ) -> mesh::Request {
        mesh::Request {
            operation_name: self.operation_name.clone(),
            variables: self.variables.clone().unwrap_or_default(),
            headers,
            ..mesh::Request::new(document, principal)
        }
    }
}

/// A SQL query.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct SqlRequest {
    /// The text.
    pub sql: String,
    /// Snapshot id (of the one table it reads) or RFC 3339 time.
    pub at: Option<String>,
    /// At most this many rows.
    pub limit: Option<u64>,
}

/// Rows of a SQL answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SqlAnswer {
    /// Names and types of the columns.
    pub columns: Vec<(String, String)>,
    /// Rows; a value is what JSON can hold, 64-bit integers and decimals are strings.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether there were more rows than the limit.
    pub truncated: bool,
    /// Wall milliseconds.
    pub millis: f64,
}

/// A table as it is now.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableInfo {
    /// The type.
    pub type_name: String,
    /// The SQL name.
    pub name: String,
    /// The module.
    pub module: String,
    /// The owner.
    pub owner: String,
    /// `ICEBERG` or `LANCE`.
    pub format: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of data files, media and vectors.
    pub bytes: u64,
    /// Data files.
    pub files: u64,
    /// Snapshots that can be asked for.
    pub snapshots: u64,
    /// The last commit.
    pub changed_at: Option<String>,
}

/// A snapshot.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotInfo {
    /// The id.
    pub id: String,
    /// When.
    pub at: String,
    /// `append`, `overwrite`, `delete`, `replace`.
    pub operation: String,
    /// Rows in all after it.
    pub rows: u64,
    /// Bytes in all after it.
    pub bytes: u64,
    /// Files in all after it.
    pub files: u64,
    /// Who.
    pub author: String,
    /// What for.
    pub summary: String,
    /// Whether it is the present one.
    pub current: bool,
}

/// Go back to a snapshot.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RollbackRequest {
    /// The type.
    pub type_name: String,
    /// The snapshot's id.
    pub snapshot: String,
}

/// Merge small files and apply deletes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CompactRequest {
    /// The type; all when left out.
    pub type_name: Option<String>,
}

/// What a compaction did to one table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactAnswer {
    /// The type.
    pub type_name: String,
    /// Files before.
    pub files_before: u64,
    /// Files after.
    pub files_after: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
}
