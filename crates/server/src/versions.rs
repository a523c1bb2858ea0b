//! Deployed versions of the schema, kept in the metadata database with author, time and text.

use std::sync::Arc;

use base::{Error, Kind, Result, Timestamp};
use lake::catalog::Statement;
use meta::{Database, Row};
use schema::Schema;
use schema::load::Sources;

use crate::wire::{SchemaText, SchemaVersion};

/// The table of versions.
pub(crate) const MIGRATION: &str = "CREATE TABLE server_schema_versions (
    version BIGINT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    files TEXT NOT NULL,
    author TEXT NOT NULL,
    at BIGINT NOT NULL
)";

/// Topic of the change counter that every deployed schema bumps.
pub(crate) const TOPIC: &str = "schema";

const COLUMNS: &str = "version, fingerprint, files, author, at";

/// A deployed schema.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// From 1; 0 before the first apply.
    pub version: i64,
    /// The compiled schema.
    pub schema: Arc<Schema>,
}

/// The deployed schema, compiled anew from its text.
pub(crate) async fn current(database: &Database) -> Result<Deployed> {
    let sql = format!("SELECT {COLUMNS} FROM server_schema_versions ORDER BY version DESC LIMIT 1");
    match database.query_one(&sql, &[]).await? {
        Some(row) => deployed(&row),
        None => Ok(Deployed { version: 0, schema: Arc::new(Schema::empty()) }),
    }
}

/// The version before `version`, whose schema `undo` goes back to.
pub(crate) async fn before(database: &Database, version: i64) -> Result<Deployed> {
    let sql = format!(
        "SELECT {COLUMNS} FROM server_schema_versions WHERE version < $1 ORDER BY version DESC LIMIT 1"
    );
    match database.query_one(&sql, &[version.into()]).await? {
        Some(row) => deployed(&row),
        None if version > 0 => Ok(Deployed { version: 0, schema: Arc::new(Schema::empty()) }),
        None => Err(Error::not_found("no schema was applied yet, so there is nothing to undo")),
    }
}

/// One version.
pub(crate) async fn at(database: &Database, version: i64) -> Result<Deployed> {
    if version == 0 {
        return Ok(Deployed { version, schema: Arc::new(Schema::empty()) });
    }
    let sql = format!("SELECT {COLUMNS} FROM server_schema_versions WHERE version = $1");
    match database.query_one(&sql, &[version.into()]).await? {
        Some(row) => deployed(&row),
        None => Err(Error::not_found(format!("there is no schema version {version}"))),
    }
}

/// The newest version of this fingerprint or number.
pub(crate) async fn find(database: &Database, wanted: &str) -> Result<Option<Deployed>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM server_schema_versions WHERE fingerprint = $1 OR version = $2 \
         ORDER BY version DESC LIMIT 1"
    );
    let number = wanted.parse().unwrap_or(0_i64);
    let row = database.query_one(&sql, &[wanted.into(), number.into()]).await?;
    row.as_ref().map(deployed).transpose()
}

/// The statements that record a schema as the deployed one, for the transaction of its switch.
pub(crate) fn record(
    version: i64,
    schema: &Schema,
    author: &str,
    at: Timestamp,
) -> Result<Vec<Statement>> {
    let files = serde_json::to_string(&SchemaText::from(&schema.sources()).files)
        .map_err(|error| Error::internal("failed to write a schema's text").caused_by(error))?;
    let sql = format!("INSERT INTO server_schema_versions ({COLUMNS}) VALUES ($1, $2, $3, $4, $5)");
    let params = vec![
        version.into(),
        schema.fingerprint.to_string().into(),
        files.into(),
        author.into(),
        at.as_micros().into(),
    ];
    Ok(vec![(sql, params), meta::changes::statement(TOPIC)])
}

/// All versions, newest first.
pub(crate) async fn list(database: &Database) -> Result<Vec<SchemaVersion>> {
    let sql = format!("SELECT {COLUMNS} FROM server_schema_versions ORDER BY version DESC");
    database
        .query(&sql, &[])
        .await?
        .iter()
        .map(|row| {
            Ok(SchemaVersion {
                version: row.int("version")?,
                fingerprint: row.text("fingerprint")?,
                author: row.text("author")?,
                at: Timestamp::from_micros(row.int("at")?).to_string(),
                files: files(row)?,
            })
        })
        .collect()
}

fn files(row: &Row) -> Result<Vec<(String, String)>> {
    serde_json::from_str(&row.text("files")?).map_err(|error| {
        Error::new(Kind::Corrupt, "the text of a deployed schema cannot be read").caused_by(error)
    })
}

fn deployed(row: &Row) -> Result<Deployed> {
    let sources = Sources::from_texts(files(row)?);
    let schema = schema::compile(&sources).map_err(|diagnostics| {
        Error::new(
            Kind::Unsupported,
            "the deployed schema is not understood by this version of Headwater",
        )
        .caused_by(Error::invalid(diagnostics.render(&sources, false)))
        .hint("use the version of Headwater that applied it, or a newer one")
    })?;
    Ok(Deployed { version: row.int("version")?, schema: Arc::new(schema) })
}
