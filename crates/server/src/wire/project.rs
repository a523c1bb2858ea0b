//! What travels about a project as a whole: its state, tokens, backups, where its objects are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// The services of the schema, as the process that answers has seen them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceState>,
}

/// How a service does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceState {
    /// `@source(name:)`.
    pub name: String,
    /// Calls that were asked for since the process began to use the service.
    pub calls: u64,
    /// Those that were not answered.
    pub failed: u64,
    /// How long a call took in the mean, in milliseconds.
    pub mean_millis: f64,
    /// Calls that run or wait now.
    pub in_flight: u64,
    /// `closed` when calls are sent, `open` when none is, `half open` when one at a time is, to try;
    /// `off` without a breaker.
    pub breaker: String,
}

/// A service, as the process that answers has seen it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceInfo {
    /// `@source(name:)`.
    pub name: String,
    /// The team that owns its module.
    pub owner: String,
    /// Where it is reached.
    pub url: String,
    /// Calls that were asked for since the process began to use the service.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that were not, by kind.
    pub errors: SourceErrors,
    /// Tries beyond the first.
    pub retries: u64,
    /// Tries that the retry budget did not pay for.
    pub retries_refused: u64,
    /// `closed` when calls are sent, `open` when none is, `half open` when one at a time is, to try;
    /// `off` without a breaker.
    pub breaker: String,
    /// How often the breaker opened.
    pub breaker_opened: u64,
    /// Calls that run now.
    pub in_flight: u64,
    /// Calls that wait for a place now.
    pub queued: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// Calls that an earlier answer served within its time to live.
    pub cache_hits: u64,
    /// Calls with a time to live that none did.
    pub cache_misses: u64,
    /// Calls that failed and were served by an older answer.
    pub cache_stale: u64,
    /// Bytes of bodies that were sent.
    pub bytes_sent: u64,
    /// Bytes of bodies that were received, as they travelled.
    pub bytes_received: u64,
    /// The median of the times of calls, in milliseconds; nothing without calls.
    pub p50_millis: Option<f64>,
    /// The time below which 95 of a hundred calls ended.
    pub p95_millis: Option<f64>,
    /// The time below which 99 of a hundred calls ended.
    pub p99_millis: Option<f64>,
    /// Calls by how long they took, quickest first.
    pub latency: Vec<LatencyBucket>,
}

/// Calls of a service that were not answered, by kind.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceErrors {
    /// Out of time.
    pub timeout: u64,
    /// Not reached.
    pub connect: u64,
    /// Not sent: the breaker is open, or too many wait.
    pub refused: u64,
    /// Not HTTP, not whole, not the right type.
    pub protocol: u64,
    /// Beyond a limit.
    pub too_large: u64,
    /// A status that is a failure.
    pub status: u64,
    /// Given up by who asked, or because the service was taken away.
    pub cancelled: u64,
}

/// Calls that took about so long.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyBucket {
    /// The upper end in milliseconds; nothing for the last one, which has none.
    pub up_to_millis: Option<f64>,
    /// Calls.
    pub calls: u64,
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
    /// Audiences of the schema's policies; `everything` for all.
    #[serde(default)]
    pub audiences: Vec<String>,
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
    /// What of protected data it shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
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

/// Register documents of a client.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DocumentRegisterRequest {
    /// Which program sends them; empty when nobody says.
    #[serde(default)]
    pub client: String,
    /// The documents.
    pub documents: Vec<DocumentText>,
}

/// A document to register.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DocumentText {
    /// Where it stands: a file's name, for messages.
    pub file: String,
    /// The document, as clients send it.
    pub text: String,
    /// The SHA-256 of the text, when the client's tools have written it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What a registration did.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRegisterAnswer {
    /// Whose documents.
    pub client: String,
    /// Documents that are new.
    pub registered: u64,
    /// Documents that this client had registered before.
    pub known: u64,
}

/// A registered document.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentInfo {
    /// The SHA-256 of its text, in hexadecimal.
    pub id: String,
    /// The names of its operations; empty when its only one has none.
    pub name: String,
    /// Which program sends it.
    pub client: String,
    /// How long its text is.
    pub bytes: u64,
    /// Who registered it.
    pub author: String,
    /// When.
    pub at: String,
}

/// Remove registered documents: those of these ids, of a client, or of both.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DocumentRemoveRequest {
    /// Their ids.
    pub ids: Vec<String>,
    /// Whose.
    pub client: Option<String>,
}

/// What a removal did.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRemoveAnswer {
    /// How many are gone.
    pub removed: u64,
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
