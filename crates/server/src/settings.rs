//! `headwater.toml`: optional, typed, validated once. A project without the file has the defaults.
//!
//! In: the file's text. Out: [`Settings`]. Not here: the environment and flags, which the CLI
//! resolves into the same values.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base::{Error, Place, Result, Secret, size};
use serde::Deserialize;

pub mod graphql;
pub mod telemetry;

pub use graphql::Graphql;
pub use telemetry::{Log, Telemetry};

/// The settings file in a project's folder.
pub const FILE: &str = "headwater.toml";

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The folder of SDL modules, below the project's folder.
    pub schema: PathBuf,
    /// What the project stands on.
    pub storage: Storage,
    /// How it is served.
    pub server: Server,
    /// Stated bounds.
    pub limits: Limits,
    /// What `/graphql` answers, and to whom.
    pub graphql: Graphql,
    /// What runs without being asked.
    pub maintenance: Maintenance,
    /// Traces and metrics over OTLP.
    pub telemetry: Telemetry,
    /// The log of requests.
    pub log: Log,
    /// How services are reached from here, by the names that the schema gives them.
    pub sources: BTreeMap<String, Source>,
    /// Passwords and keys, which no settings file holds.
    #[serde(skip)]
    pub secrets: Secrets,
}

/// Passwords and keys out of the environment; they win over the files that settings name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secrets {
    /// Of the metadata database.
    pub metadata_password: Option<Secret>,
    /// The name of the key of the object store.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<Secret>,
    /// What goes with a temporary key.
    pub session_token: Option<Secret>,
}

/// What the project stands on.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite:///path` or `postgres://…`; by default `.headwater/meta.db`.
    pub metadata: Option<String>,
    /// A file with the password of the metadata database and nothing else.
    pub metadata_password_file: Option<PathBuf>,
    /// How long one call may wait for the metadata database, all its repetitions together.
    pub metadata_patience: Span,
    /// Connections of this node to the metadata database.
    pub metadata_connections: u32,
    /// A folder or `s3://bucket/prefix`; by default `.headwater/objects`.
    pub objects: Option<String>,
    /// The logical name of the warehouse in all locations.
    pub warehouse: Option<String>,
    /// How places `s3://…` are reached.
    pub s3: S3,
}

/// How an object store that speaks S3 is reached.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct S3 {
    /// Another server than Amazon's.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// A TOML file with `access_key_id`, `secret_access_key` and, if need be, `session_token`.
    pub credentials_file: Option<PathBuf>,
    /// Take the role of the machine when there is no key.
    pub machine_role: bool,
    /// Buckets are host names instead of the first part of the path.
    pub bucket_in_host: bool,
    /// How long one request may take.
    pub request_timeout: Span,
    /// How long one call may take, all its repetitions together.
    pub patience: Span,
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            metadata: None,
            metadata_password_file: None,
            metadata_patience: Span(std::time::Duration::from_secs(30)),
            metadata_connections: 8,
            objects: None,
            warehouse: None,
            s3: S3::default(),
        }
    }
}

impl Default for S3 {
    fn default() -> Self {
        S3 {
            endpoint: None,
            region: "us-east-1".to_owned(),
            credentials_file: None,
            machine_role: false,
            bucket_in_host: false,
            request_timeout: Span(std::time::Duration::from_secs(20)),
            patience: Span(std::time::Duration::from_secs(45)),
        }
    }
}

/// How the project is served.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where `headwater up` listens; beyond loopback it demands tokens and TLS.
    pub listen: SocketAddr,
    /// Hosts that a request may name, beyond the address itself and `localhost`.
    pub allow_hosts: Vec<String>,
    /// Origins whose pages may call, beyond our own.
    pub allow_origins: Vec<String>,
    /// Certificate chain, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// TLS ends at a proxy in front.
    pub behind_proxy: bool,
    /// Tokens are demanded on loopback too.
    pub require_tokens: bool,
}

/// Stated bounds; sizes are written `512MiB`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of all queries before they spill.
    pub query_memory: Size,
    /// Memory of one import.
    pub import_memory: Size,
    /// Disk that queries may spill to.
    pub spill: Size,
    /// The body of a GraphQL or SQL request.
    pub request_body: Size,
    /// The body of an upload.
    pub upload_body: Size,
    /// Milliseconds that one request may take.
    pub request_millis: u64,
    /// Requests at once.
    pub concurrent_requests: usize,
}

/// What runs without being asked.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// Merge small files after commits.
    pub compact: bool,
    /// Tend tables beside commits; the command line says no for commands that end with their one task.
    #[serde(skip)]
    pub tends: bool,
    /// Bytes a minute that background work of one node may read.
    pub budget: Size,
    /// Between two rounds over all tables.
    pub every: Span,
    /// How long snapshots are kept where a type does not say.
    pub retain: Span,
    /// Snapshots of a table above which older ones are thinned out; with 0 they never are.
    pub snapshots: usize,
}

/// How one service is reached from here, beside what the schema says of it. Names of headers are as
/// HTTP has them; no header of a client travels to a service but those that are named here and the
/// trace context.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// In place of `@source(url:)`.
    pub url: Option<String>,
    /// Headers of clients that travel; `x-tenant-*` are all that begin so.
    pub forward: Vec<String>,
    /// Headers of clients that travel under another name.
    pub rename: BTreeMap<String, String>,
    /// Headers that the service always hears.
    pub set: BTreeMap<String, String>,
    /// Likewise; each file holds a value and nothing else.
    pub secret_files: BTreeMap<String, PathBuf>,
    /// The header in which the service hears who asks.
    pub subject_header: Option<String>,
    /// The header in which the service hears for which team.
    pub team_header: Option<String>,
    /// The header in which the service hears how many milliseconds are left.
    pub deadline_header: Option<String>,
    /// Who logs in to a database.
    pub user: Option<String>,
    /// The file that holds their password and nothing else.
    pub password_file: Option<PathBuf>,
    /// Certificates to trust in place of the system's, PEM.
    pub tls_roots: Option<PathBuf>,
    /// The certificate chain to show, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// HTTP/2 without asking first, for a service without TLS that speaks it.
    pub http2: bool,
    /// Ask for compressed answers.
    pub compression: bool,
    /// Calls at once; four times as many may wait.
    pub concurrency: Option<usize>,
    /// Bytes of an answer.
    pub answer_bytes: Option<Size>,
}

/// A number of bytes, written with a binary unit.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        size::parse_bytes(&text)
            .map(Size)
            .ok_or_else(|| format!("`{text}` is no size; write `512MiB` or `4GiB`"))
    }
}

/// A duration, written with a unit.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Span(pub std::time::Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        size::parse_duration(&text)
            .map(Span)
            .ok_or_else(|| format!("`{text}` is no duration; write `12h` or `30d`"))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            schema: PathBuf::from("schema"),
            storage: Storage::default(),
            server: Server::default(),
            limits: Limits::default(),
            graphql: Graphql::default(),
            maintenance: Maintenance::default(),
            telemetry: Telemetry::default(),
            log: Log::default(),
            sources: BTreeMap::new(),
            secrets: Secrets::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_hosts: Vec::new(),
            allow_origins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            behind_proxy: false,
            require_tokens: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            query_memory: Size(2 << 30),
            import_memory: Size(512 << 20),
            spill: Size(16 << 30),
            request_body: Size(1 << 20),
            upload_body: Size(64 << 30),
            request_millis: 60_000,
            concurrent_requests: 256,
        }
    }
}

impl Default for Maintenance {
    fn default() -> Self {
        Maintenance {
            compact: true,
            tends: true,
            budget: Size(lake::maintain::BYTES_A_MINUTE),
            every: Span(std::time::Duration::from_secs(600)),
            retain: Span(std::time::Duration::from_secs(7 * 86_400)),
            snapshots: 1000,
        }
    }
}

impl Settings {
    /// Reads `headwater.toml` of a project; a project without one has the defaults.
    pub fn read(project: &Path) -> Result<Self> {
        let path = project.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Settings::parse(&text, FILE),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => {
                Err(Error::from(error).context(format!("failed to read `{}`", path.display())))
            }
        }
    }

    /// Parses and validates the text of a settings file that the user knows as `file`.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let settings: Settings =
            toml::from_str(text).map_err(|error| syntax(text, file, &error))?;
        let message = settings.validate().err().or_else(|| section_that_is_no_table(text));
        match message {
            None => Ok(settings),
            Some(message) => {
                Err(Error::invalid(message).at(Place { file: file.to_owned(), line: 0, column: 0 }))
            }
        }
    }

    fn validate(&self) -> Result<(), String> {
        if self.server.tls_certificate.is_some() != self.server.tls_key.is_some() {
            return Err("`server.tls_certificate` and `server.tls_key` belong together".to_owned());
        }
        if let Some(name) = &self.storage.warehouse
            && !is_name(name)
        {
            return Err(format!(
                "`storage.warehouse` must be letters, digits, `-` and `_`, not `{name}`"
            ));
        }
        self.storage.validate()?;
        self.graphql.validate()?;
        self.telemetry.validate()?;
        if self.limits.concurrent_requests == 0 {
            return Err("`limits.concurrent_requests` must be at least 1".to_owned());
        }
        if self.limits.request_millis == 0 {
            return Err("`limits.request_millis` must be at least 1".to_owned());
        }
        if self.limits.request_body.0 < 1 << 10 || self.limits.upload_body.0 < 1 << 10 {
            return Err(
                "`limits.request_body` and `limits.upload_body` must be at least `1KiB`".to_owned()
            );
        }
        if self.maintenance.budget.0 < 1 << 20 {
            return Err("`maintenance.budget` must be at least `1MiB`".to_owned());
        }
        if self.maintenance.every.0 < std::time::Duration::from_secs(1) {
            return Err("`maintenance.every` must be at least `1s`".to_owned());
        }
        for (name, source) in &self.sources {
            source.validate().map_err(|fault| format!("`sources.{name}`: {fault}"))?;
        }
        if self.limits.query_memory.0 < 16 << 20 {
            return Err("`limits.query_memory` must be at least `16MiB`".to_owned());
        }
        if self.limits.import_memory.0 < 64 << 20 {
            return Err("`limits.import_memory` must be at least `64MiB`".to_owned());
        }
        Ok(())
    }
}

impl Source {
    fn validate(&self) -> Result<(), String> {
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return Err("`tls_certificate` and `tls_key` belong together".to_owned());
        }
        if let Some(url) = &self.url
            && !url.starts_with("http://")
            && !url.starts_with("https://")
            && !url.starts_with("postgres://")
            && !url.starts_with("postgresql://")
        {
            return Err(format!(
                "`url` must begin with `http://` or `https://`, of a database with `postgres://`, not `{url}`"
            ));
        }
        let database = self.url.as_deref().filter(|url| url.starts_with("postgres"));
        if database.is_some_and(|url| url.contains('@')) {
            let words = "`url` must not hold a user or a password: `user` and `password_file` do";
            return Err(words.to_owned());
        }
        if self.concurrency == Some(0) {
            return Err("`concurrency` must be at least 1".to_owned());
        }
        if self.answer_bytes.is_some_and(|size| size.0 < 1 << 10) {
            return Err("`answer_bytes` must be at least `1KiB`".to_owned());
        }
        Ok(())
    }
}

impl Storage {
    fn validate(&self) -> Result<(), String> {
        let url = self.metadata.as_deref().unwrap_or_default();
        let who = url.split_once("://").map_or("", |(_, rest)| rest);
        let who = who.split_once('@').map_or("", |(who, _)| who);
        if who.contains(':') || url.contains("password=") {
            return Err("`storage.metadata` must not hold a password: set \
                        HEADWATER_METADATA_PASSWORD or `storage.metadata_password_file`"
                .to_owned());
        }
        let known = ["sqlite://", "postgres://", "postgresql://"];
        if !url.is_empty() && !known.iter().any(|scheme| url.starts_with(scheme)) {
            return Err("`storage.metadata` must be `sqlite:///path/to/meta.db` or \
                        `postgres://user@host/database`"
                .to_owned());
        }
        if self.metadata_connections == 0 || self.metadata_connections > 1000 {
            return Err("`storage.metadata_connections` must be between 1 and 1000".to_owned());
        }
        if let Some(objects) = &self.objects
            && objects.contains("://")
        {
            lake::store::S3Place::parse(objects)
                .map_err(|error| format!("`storage.objects`: {}", error.message()))?;
        }
        if let Some(endpoint) = &self.s3.endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return Err(format!(
                "`storage.s3.endpoint` must begin with `http://` or `https://`, not `{endpoint}`"
            ));
        }
        let shortest = std::time::Duration::from_millis(100);
        for (name, span) in [
            ("metadata_patience", self.metadata_patience),
            ("s3.request_timeout", self.s3.request_timeout),
            ("s3.patience", self.s3.patience),
        ] {
            if span.0 < shortest {
                return Err(format!("`storage.{name}` must be at least `100ms`"));
            }
        }
        Ok(())
    }
}

/// A list would pass for a table: its items for the settings in their order.
fn section_that_is_no_table(text: &str) -> Option<String> {
    let sections: toml::Table = toml::from_str(text).ok()?;
    let is_list = |value: &toml::Value| value.is_array();
    let (name, _) = sections.iter().find(|(_, value)| is_list(value))?;
    Some(format!("`{name}` must be a table, not a list"))
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.chars().all(is_part)
}

fn syntax(text: &str, file: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = &text[..text.floor_char_boundary(start)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Error::invalid(error.message().trim_end_matches('.').to_owned())
        .at(Place { file: file.to_owned(), line, column })
        .hint("all settings are in docs/reference/settings.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = Settings::parse(text, "headwater.toml").expect_err("must be refused");
        let place = error.place().map(ToString::to_string).unwrap_or_default();
        assert_eq!(format!("{place} {error}"), expected);
    }

    #[test]
    fn an_empty_file_has_the_defaults() {
        assert_eq!(Settings::parse("", "x").expect("valid"), Settings::default());
    }

    #[test]
    fn tables_are_tended_whatever_a_file_says() {
        let read = |text: &str| Settings::parse(text, "x");
        let settings = read("[maintenance]\ncompact = false").expect("valid");
        assert!(settings.maintenance.tends && !settings.maintenance.compact);
        assert!(read("[maintenance]\ntends = false").is_err());
    }

    #[test]
    fn mistakes_are_located() {
        check(
            "[limits]\nquery_memory = \"2 GB\"",
            "headwater.toml:2:16 `2 GB` is no size; write `512MiB` or `4GiB`",
        );
        check(
            "[server]\ntls_key = \"k.pem\"",
            "headwater.toml `server.tls_certificate` and `server.tls_key` belong together",
        );
        check(
            "[limits]\nconcurrent_requests = 0",
            "headwater.toml `limits.concurrent_requests` must be at least 1",
        );
        check(
            "[storage]\nmetadata = \"postgres://ann:swordfish@db/lake\"",
            "headwater.toml `storage.metadata` must not hold a password: set \
             HEADWATER_METADATA_PASSWORD or `storage.metadata_password_file`",
        );
        check(
            "[storage]\nmetadata = \"mysql://db/lake\"",
            "headwater.toml `storage.metadata` must be `sqlite:///path/to/meta.db` or \
             `postgres://user@host/database`",
        );
        check(
            "[sources.reviews]\nurl = \"127.0.0.1:4001\"",
            "headwater.toml `sources.reviews`: `url` must begin with `http://` or `https://`, of a \
             database with `postgres://`, not \
             `127.0.0.1:4001`",
        );
        check(
            "[storage]\nobjects = \"gs://films\"",
            "headwater.toml `storage.objects`: `gs://films` is no place of objects",
        );
        check(
            "[storage.s3]\nendpoint = \"127.0.0.1:8333\"",
            "headwater.toml `storage.s3.endpoint` must begin with `http://` or `https://`, not \
             `127.0.0.1:8333`",
        );
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let error =
            Settings::parse("[server]\nlisen = \"x\"", "headwater.toml").expect_err("unknown");
        assert!(error.message().contains("lisen"), "{error}");
    }
}
