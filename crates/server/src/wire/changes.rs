//! What travels about schemas: checking, planning, applying, generating.

use serde::{Deserialize, Serialize};

use super::{Diagnostic, DocumentText};

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
    /// Those of them that hold the SDL of a service.
    #[serde(default)]
    pub services: usize,
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
    /// Whom it hurts; nothing when it hurts nobody, or nothing was counted yet.
    #[serde(default)]
    pub usage: Option<ChangeUsage>,
}

/// Whom a change hurts, by what was asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChangeUsage {
    /// The days that were counted.
    pub days: u64,
    /// Requests that used what changes.
    pub requests: u64,
    /// Who made them, the most eager first.
    pub consumers: Vec<ChangeConsumer>,
}

/// One version of a client.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChangeConsumer {
    /// Its name.
    pub client: String,
    /// Its version; empty when it says none.
    pub version: String,
    /// The operations that used it; of one without a name, the empty one.
    pub operations: Vec<String>,
    /// Its requests.
    pub requests: u64,
}

/// Ask what was used.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct UsageRequest {
    /// A type, a field or an argument of the API: `Film`, `Film.title`, `Query.films.first`; everything
    /// when left out.
    pub coordinate: Option<String>,
    /// The last days, the present one included; 30 when left out, 90 at most.
    pub days: Option<i64>,
}

/// What was used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UsageAnswer {
    /// The days that were counted; 0 when nothing was.
    pub days: u64,
    /// By coordinate.
    pub coordinates: Vec<UsageOf>,
}

/// How one coordinate of the API was used.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UsageOf {
    /// `Film.title`.
    pub coordinate: String,
    /// The team that owns it; empty for what teams share and for what services declare.
    pub owner: String,
    /// Requests that used it.
    pub requests: u64,
    /// Who used it, by client, version and operation.
    pub by: Vec<UsageBy>,
}

/// One operation of one version of a client.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageBy {
    /// The client.
    pub client: String,
    /// Its version; empty when it says none.
    pub version: String,
    /// The operation; empty when it has no name.
    pub operation: String,
    /// Requests.
    pub requests: u64,
    /// How many days ago it was asked last.
    pub days_ago: u64,
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
    /// `typescript`, `python`, `ddl`, `sdl` (the API); with documents `typescript`, `python`, `rust`.
    pub target: String,
    /// Instead of the deployed schema.
    #[serde(default)]
    pub schema: Option<SchemaText>,
    /// The operations and fragments of a program: a typed client for them is generated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentText>,
    /// How that client names its documents: `text`, `persisted` (by their hashes) or `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// What the program calls itself: `web`, or `web/3.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// Generated files.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GenerateAnswer {
    /// Path below the output folder, and text.
    pub files: Vec<(String, String)>,
}
