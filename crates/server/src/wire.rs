//! What travels: requests and answers of every operation, as JSON. One DTO serves the command line
//! (`--json`), the operations over HTTP, and `/system`; domain types are converted here, never
//! serialised themselves. Times are RFC 3339, sizes are bytes, 64-bit ids are strings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An error as JSON: the outermost message first, then its causes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ErrorBody {
    /// The kind's stable name.
    pub code: String,
    /// What failed.
    pub message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Where in the input: `file:line:column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The next thing to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Everything that is wrong with a schema, when that is what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// One fault of a schema.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Diagnostic {
    /// Stable code, `HW0012`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// File below the schema folder.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The diagnostic with its source excerpt, as the terminal shows it, without colour.
    pub rendered: String,
}

/// How far a long operation is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done: `import films.csv`, `rewrite table films`.
    pub what: String,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Rows refused so far.
    #[serde(default)]
    pub rejected: u64,
}

/// One line of the answer of a long operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// Still going.
    Progress(Progress),
    /// The answer; nothing follows.
    Done(serde_json::Value),
    /// It failed; nothing follows.
    Error(ErrorBody),
}

/// SDL modules that travel with a request: `plan` and `apply` send the caller's files, so that a
/// remote server plans the schema that the user sees.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaText {
    /// File name below the schema folder, and its text.
    pub files: Vec<(String, String)>,
}

/// The schema's state.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckAnswer {
    /// The checked text's fingerprint.
    pub fingerprint: String,
    /// Modules.
    pub modules: usize,
    /// Types, embedded ones included.
    pub types: usize,
    /// Tables.
    pub tables: usize,
    /// Fields.
    pub fields: usize,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// What to plan.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PlanRequest {
    /// The wanted schema.
    pub schema: SchemaText,
}

/// A plan, for people and for `apply`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanAnswer {
    /// Fingerprint of the deployed schema that the plan starts from.
    pub base: String,
    /// Fingerprint of the wanted schema.
    pub target: String,
    /// Whether there is nothing to do.
    pub is_empty: bool,
    /// Changes with their effects.
    pub changes: Vec<PlanChange>,
    /// Steps in order.
    pub steps: Vec<PlanStep>,
    /// What would be lost, by name: what `--allow-destructive` must name.
    pub losses: Vec<String>,
    /// As the terminal shows it, without colour.
    pub rendered: String,
}

/// One change of the schema.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlanChange {
    /// `Film.title`.
    pub path: String,
    /// In words.
    pub message: String,
    /// `none`, `expand`, `rewrite`, `contract`, `impossible`.
    pub storage: String,
    /// `none`, `safe`, `dangerous`, `breaking`.
    pub wire: String,
}

/// Ask for credentials for the files of one table.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectRequest {
    /// The table, with its namespace: `catalog.films`.
    pub table: String,
    /// Whether its files are written too.
    #[serde(default)]
    pub write: bool,
}

/// Credentials for the files of one table, as clients of S3 take them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectAnswer {
    /// Where the table is.
    pub location: String,
    /// Name of the key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// What it may be used for, sealed.
    pub session_token: String,
    /// When they end.
    pub expires_at: String,
}

/// One step of a plan.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlanStep {
    /// `expand`, `backfill`, `switch` or `contract`: when the step does its work.
    #[serde(default)]
    pub phase: String,
    /// In words.
    pub text: String,
    /// `expand`, `rewrite`, `contract`.
    pub storage: String,
    /// What the step loses.
    pub destroys: Vec<String>,
}

/// Carry a plan out.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApplyRequest {
    /// The wanted schema.
    pub schema: SchemaText,
    /// The base that the caller reviewed; refused when the deployed schema is another by now.
    #[serde(default)]
    pub expected_base: Option<String>,
    /// Names of what may be lost.
    #[serde(default)]
    pub allow_destructive: Vec<String>,
    /// Finish an apply that was interrupted or paused, whatever `schema` says.
    #[serde(default)]
    pub resume: bool,
    /// Rows that are rewritten a second at most, while readers and writers go on.
    #[serde(default)]
    pub throttle: Option<u64>,
    /// Milliseconds for which clients of the schema before are served on; without it they are served
    /// until the change is true.
    #[serde(default)]
    pub keep_old: Option<u64>,
}

/// What became of a request about an apply.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyState {
    /// In words.
    pub text: String,
    /// The deployed version.
    pub version: i64,
}

/// Go back to the schema before the present one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UndoRequest {
    /// Only plan.
    #[serde(default)]
    pub dry_run: bool,
    /// Refused when the deployed schema is another by now.
    #[serde(default)]
    pub expected_base: Option<String>,
    /// Names of what may be lost.
    #[serde(default)]
    pub allow_destructive: Vec<String>,
}

/// What was applied.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyAnswer {
    /// Number of the schema version that is deployed now.
    pub version: i64,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Steps that ran.
    pub steps: usize,
    /// Whether an interrupted apply was resumed.
    pub resumed: bool,
    /// The plan that ran.
    pub plan: PlanAnswer,
}

/// A deployed version of the schema.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SchemaVersion {
    /// From 1.
    pub version: i64,
    /// Fingerprint.
    pub fingerprint: String,
    /// Who applied it.
    pub author: String,
    /// When.
    pub at: String,
    /// The text.
    pub files: Vec<(String, String)>,
}

/// Generate code or text from the deployed schema, or from the given one.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// `typescript`, `python`, `ddl`, `sdl` (the API).
    pub target: String,
    /// Instead of the deployed schema.
    #[serde(default)]
    pub schema: Option<SchemaText>,
}

/// Generated files.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GenerateAnswer {
    /// Path below the output folder, and text.
    pub files: Vec<(String, String)>,
}

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

/// The project at a glance.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusAnswer {
    /// Headwater's version.
    pub version: String,
    /// The deployed schema's version; 0 before the first apply.
    pub schema_version: i64,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether the files of the schema folder differ from what is deployed.
    pub pending_changes: bool,
    /// Tables with what they need.
    pub tables: Vec<TableDebt>,
    /// Applies and imports that run or wait to be resumed.
    pub running: Vec<String>,
    /// `sqlite` or `postgres`.
    pub metadata: String,
    /// Where the objects are: a folder, or `s3://bucket/prefix`.
    pub objects: String,
    /// Bytes of all tables with their media and vectors, without older snapshots.
    pub bytes: u64,
}

/// What maintenance owes to a table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableDebt {
    /// The type.
    pub type_name: String,
    /// Rows.
    pub rows: u64,
    /// Data files.
    pub files: u64,
    /// Files so small that compaction would merge them.
    pub small_files: u64,
    /// Position-delete files that compaction would apply.
    pub delete_files: u64,
    /// Snapshots older than the retention.
    pub expired_snapshots: u64,
    /// Rows that a text or vector index does not cover yet.
    pub unindexed_rows: u64,
    /// Bytes of files that nothing needs, as the last round counted them.
    pub orphan_bytes: u64,
}

/// Make a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenCreateRequest {
    /// Who will use it: `viewer.id`.
    pub subject: String,
    /// The team.
    pub team: String,
    /// `read`, `write`, `admin`.
    pub scope: String,
    /// `30d`; without it the token does not expire.
    pub expires_in: Option<String>,
}

/// A token; the secret is shown once, at creation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// For `token revoke`.
    pub id: String,
    /// Who uses it.
    pub subject: String,
    /// The team.
    pub team: String,
    /// The scope.
    pub scope: String,
    /// When it was made.
    pub created_at: String,
    /// When it ends.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The secret, only in the answer to its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Make or read a backup; paths are the server's own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The folder.
    pub folder: PathBuf,
}

/// What a backup or restore moved.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BackupAnswer {
    /// The folder.
    pub folder: PathBuf,
    /// Tables.
    pub tables: u64,
    /// Objects copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Move the objects to another place.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MoveRequest {
    /// `s3://bucket/prefix`, or a folder of the nodes: start a move there, or go on with it.
    pub to: Option<String>,
    /// End a move: remove the old objects.
    pub finish: bool,
}

/// What a move did.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MoveAnswer {
    /// Where the objects are now.
    pub place: String,
    /// Where the old ones are kept; empty when they were removed.
    pub kept: String,
    /// Objects copied, or removed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Bring stored formats up to this version of Headwater.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpgradeAnswer {
    /// In words, what was brought up; empty when everything is current.
    pub upgraded: Vec<String>,
}

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
#[serde(deny_unknown_fields, default)]
pub struct ExplainRequest {
    /// A GraphQL document.
    pub query: Option<String>,
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

impl From<&base::Error> for ErrorBody {
    fn from(error: &base::Error) -> Self {
        let mut chain = base::error_chain(error);
        let message = chain.remove(0);
        ErrorBody {
            code: error.kind().code().to_owned(),
            message,
            causes: chain,
            place: error.place().map(ToString::to_string),
            hint: error.hint_text().map(ToOwned::to_owned),
            diagnostics: Vec::new(),
        }
    }
}

impl From<base::Error> for ErrorBody {
    fn from(error: base::Error) -> Self {
        ErrorBody::from(&error)
    }
}

impl ErrorBody {
    /// Puts the name that the caller knows in the place of the name of a spooled file.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.message = self.message.replace(from, to);
        for text in self.causes.iter_mut().chain(&mut self.place).chain(&mut self.hint) {
            *text = text.replace(from, to);
        }
    }

    /// Everything that is wrong with a schema.
    pub fn from_diagnostics(
        diagnostics: &schema::Diagnostics,
        sources: &schema::load::Sources,
    ) -> Self {
        let count = diagnostics.errors();
        let plural = if count == 1 { "error" } else { "errors" };
        ErrorBody {
            code: base::Kind::InvalidInput.code().to_owned(),
            message: format!("the schema has {count} {plural}"),
            causes: Vec::new(),
            place: None,
            hint: None,
            diagnostics: findings(diagnostics, sources),
        }
    }
}

/// Each finding with its excerpt.
pub(crate) fn findings(
    diagnostics: &schema::Diagnostics,
    sources: &schema::load::Sources,
) -> Vec<Diagnostic> {
    diagnostics.items.iter().map(|item| Diagnostic::new(item, sources)).collect()
}

impl Diagnostic {
    fn new(item: &schema::Diagnostic, sources: &schema::load::Sources) -> Self {
        let alone = schema::Diagnostics { items: vec![item.clone()] };
        Diagnostic {
            code: item.code.as_str().to_owned(),
            message: item.message.clone(),
            file: item.place.file.clone(),
            line: item.place.line,
            column: item.place.column,
            hint: item.hint.clone(),
            rendered: excerpt(&alone.render(sources, false)),
        }
    }
}

/// A rendered finding without the count of findings below it.
fn excerpt(rendered: &str) -> String {
    let body = rendered.trim_end();
    let body = body.rsplit_once("\n\n").map_or(body, |(finding, _count)| finding);
    format!("{body}\n")
}

impl From<&schema::load::Sources> for SchemaText {
    fn from(sources: &schema::load::Sources) -> Self {
        let files =
            sources.files.iter().map(|source| (source.file.to_string(), source.text.to_string()));
        SchemaText { files: files.collect() }
    }
}

impl From<ErrorBody> for base::Error {
    /// Keeps the kind, the words, the place and the hint.
    fn from(body: ErrorBody) -> Self {
        let mut error = base::Error::new(base::Kind::from_code(&body.code), body.message);
        for cause in body.causes.into_iter().rev() {
            error = error.caused_by(base::Error::internal(cause));
        }
        match body.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
