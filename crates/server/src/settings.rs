//! `headwater.toml`: optional, typed, validated once. A project without the file has the defaults.
//!
//! In: the file's text. Out: [`Settings`]. Not here: the environment and flags, which the CLI
//! resolves into the same values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base::{Error, Place, Result, size};
use serde::Deserialize;

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
    /// What runs without being asked.
    pub maintenance: Maintenance,
}

/// What the project stands on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite:///path` or `postgres://…`; by default `.headwater/meta.db`.
    pub metadata: Option<String>,
    /// A folder or `s3://bucket/prefix`; by default `.headwater/objects`.
    pub objects: Option<String>,
    /// The logical name of the warehouse in all locations.
    pub warehouse: Option<String>,
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
    /// How long snapshots are kept where a type does not say.
    pub retain: Span,
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
            maintenance: Maintenance::default(),
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
        Maintenance { compact: true, retain: Span(std::time::Duration::from_secs(7 * 86_400)) }
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
        if self.limits.query_memory.0 < 16 << 20 {
            return Err("`limits.query_memory` must be at least `16MiB`".to_owned());
        }
        if self.limits.import_memory.0 < 64 << 20 {
            return Err("`limits.import_memory` must be at least `64MiB`".to_owned());
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
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let error =
            Settings::parse("[server]\nlisen = \"x\"", "headwater.toml").expect_err("unknown");
        assert!(error.message().contains("lisen"), "{error}");
    }
}
