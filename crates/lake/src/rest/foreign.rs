//! What other tools keep in the catalog: namespaces that the central schema does not own, their
//! tables and their views, as rows of the metadata database.
//!
//! In: names. Out: rows, and statements that move a row to new metadata only when it is still at the
//! version that was read. Not here: what the metadata says.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::ids::TableId;
use base::{Error, Kind, Result};
use iceberg::spec::TableMetadata;
use meta::{Param, Row, Tx};
use schema::TableFormat;

use super::{Ident, Namespace, Refusal};
use crate::table::Seen;
use crate::{Lake, Table};

/// The catalog's own tables, one migration a line of history.
pub(super) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE lake_foreign_namespaces (
        name TEXT PRIMARY KEY,
        properties TEXT NOT NULL
    )",
    "CREATE TABLE lake_foreign_tables (
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        metadata_location TEXT NOT NULL,
        version BIGINT NOT NULL,
        PRIMARY KEY (namespace, name)
    )",
    "CREATE TABLE lake_rest_answers (
        name TEXT PRIMARY KEY,
        request TEXT NOT NULL,
        status BIGINT NOT NULL,
        body TEXT NOT NULL,
        at BIGINT NOT NULL
    )",
];

/// What stands between the parts of a namespace in the database and in paths.
const SEPARATOR: &str = "\u{1f}";

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// An Iceberg table.
    Table,
    /// An Iceberg view.
    View,
}

/// A table or a view of another tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Its name.
    pub(crate) ident: Ident,
    /// What it is.
    pub(crate) kind: Shown,
    /// Where its present metadata is.
    pub(crate) location: String,
    /// Grows with every commit.
    pub(crate) version: i64,
}

impl Shown {
    fn as_str(self) -> &'static str {
        match self {
            Shown::Table => "table",
            Shown::View => "view",
        }
    }
}

/// A namespace's name as it is stored.
pub(super) fn stored(namespace: &Namespace) -> String {
    namespace.join(SEPARATOR)
}

/// A namespace's name as people read it.
pub(super) fn shown(namespace: &Namespace) -> String {
    namespace.join(".")
}

fn parts(stored: &str) -> Namespace {
    stored.split(SEPARATOR).map(ToOwned::to_owned).collect()
}

/// Properties of a namespace.
pub(super) type Properties = BTreeMap<String, String>;

fn read_properties(row: &Row) -> Result<Properties> {
    serde_json::from_str(&row.text("properties")?).map_err(|error| {
        Error::new(Kind::Corrupt, "the properties of a namespace cannot be read").caused_by(error)
    })
}

/// All namespaces of other tools, by name.
pub(super) async fn namespaces(lake: &Lake) -> Result<Vec<Namespace>> {
    let sql = "SELECT name FROM lake_foreign_namespaces ORDER BY name";
    let rows = lake.catalog().database().query(sql, &[]).await?;
    rows.iter().map(|row| Ok(parts(&row.text("name")?))).collect()
}

/// The properties of a namespace; nothing when there is none of this name.
pub(super) async fn properties(lake: &Lake, namespace: &Namespace) -> Result<Option<Properties>> {
    let sql = "SELECT properties FROM lake_foreign_namespaces WHERE name = $1";
    let name = stored(namespace);
    let row = lake.catalog().database().query_one(sql, &[name.into()]).await?;
    row.as_ref().map(read_properties).transpose()
}

const COLUMNS: &str = "namespace, name, kind, metadata_location, version";

fn read(row: &Row) -> Result<Foreign> {
    let kind = match row.text("kind")?.as_str() {
        "table" => Shown::Table,
        "view" => Shown::View,
        other => return Err(Error::new(Kind::Corrupt, format!("there is no kind `{other}`"))),
    };
    Ok(Foreign {
        ident: Ident { namespace: parts(&row.text("namespace")?), name: row.text("name")? },
        kind,
        location: row.text("metadata_location")?,
        version: row.int("version")?,
    })
}

/// All tables and views of other tools, by name.
pub(super) async fn all(lake: &Lake) -> Result<Vec<Foreign>> {
    let sql = format!("SELECT {COLUMNS} FROM lake_foreign_tables ORDER BY namespace, name");
    lake.catalog().database().query(&sql, &[]).await?.iter().map(read).collect()
}

/// The tables or views of one namespace, by name.
pub(super) async fn listed(lake: &Lake, namespace: &Namespace, kind: Shown) -> Result<Vec<Ident>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM lake_foreign_tables WHERE namespace = $1 AND kind = $2 ORDER BY name"
    );
    let params = [stored(namespace).into(), kind.as_str().into()];
    let rows = lake.catalog().database().query(&sql, &params).await?;
    rows.iter().map(|row| Ok(read(row)?.ident)).collect()
}

/// What has this name.
pub(super) async fn find(lake: &Lake, ident: &Ident) -> Result<Option<Foreign>> {
    let sql =
        format!("SELECT {COLUMNS} FROM lake_foreign_tables WHERE namespace = $1 AND name = $2");
    let params = [stored(&ident.namespace).into(), ident.name.as_str().into()];
    let row = lake.catalog().database().query_one(&sql, &params).await?;
    row.as_ref().map(read).transpose()
}

/// What a transaction must find when it runs.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A new row, in a namespace that exists.
    Create { ident: Ident, kind: Shown, location: String },
    /// A row that is still at this version, of the same metadata, moves to other metadata: another table
    /// that was made under the name counts from the first version too.
    Move { from: Foreign, location: String },
}

/// Does one step; the refusal is the one that its client expects.
pub(super) async fn step(tx: &mut Tx, step: &Step) -> Result<Result<(), Refusal>> {
    match step {
        Step::Create { ident, kind, location } => create(tx, ident, *kind, location).await,
        Step::Move { from, location } => {
            let sql = "UPDATE lake_foreign_tables SET metadata_location = $1, \
                       version = version + 1 \
                       WHERE namespace = $2 AND name = $3 AND version = $4 AND metadata_location = $5";
            let params = [
                location.as_str().into(),
                stored(&from.ident.namespace).into(),
                from.ident.name.as_str().into(),
                from.version.into(),
                from.location.as_str().into(),
            ];
            if tx.execute(sql, &params).await? == 1 {
                return Ok(Ok(()));
            }
            let text = format!("{} was changed meanwhile", from.ident.shown());
            Ok(Err(Refusal::conflict(text)))
        }
    }
}

async fn create(
    tx: &mut Tx,
    ident: &Ident,
    kind: Shown,
    location: &str,
) -> Result<Result<(), Refusal>> {
    let namespace = stored(&ident.namespace);
    let sql = "SELECT name FROM lake_foreign_namespaces WHERE name = $1";
    if tx.query_one(sql, &[namespace.clone().into()]).await?.is_none() {
        return Ok(Err(Refusal::no_namespace(&shown(&ident.namespace))));
    }
    if let Some(refusal) = taken(tx, ident, kind).await? {
        return Ok(Err(refusal));
    }
    let sql = format!("INSERT INTO lake_foreign_tables ({COLUMNS}) VALUES ($1, $2, $3, $4, $5)");
    let params: [Param; 5] = [
        namespace.into(),
        ident.name.as_str().into(),
        kind.as_str().into(),
        location.into(),
        1_i64.into(),
    ];
    tx.execute(&sql, &params).await?;
    Ok(Ok(()))
}

/// What has this name.
async fn present(tx: &mut Tx, ident: &Ident) -> Result<Option<Shown>> {
    let sql =
        format!("SELECT {COLUMNS} FROM lake_foreign_tables WHERE namespace = $1 AND name = $2");
    let params = [stored(&ident.namespace).into(), ident.name.as_str().into()];
    let row = tx.query_one(&sql, &params).await?;
    row.map(|row| Ok(read(&row)?.kind)).transpose()
}

/// The refusal of a name that something has.
async fn taken(tx: &mut Tx, ident: &Ident, kind: Shown) -> Result<Option<Refusal>> {
    let Some(there) = present(tx, ident).await? else { return Ok(None) };
    let name = ident.shown();
    Ok(Some(Refusal::exists(match (kind, there) {
        (Shown::Table, Shown::Table) => format!("Table already exists: {name}"),
        (Shown::View, Shown::View) => format!("View already exists: {name}"),
        (Shown::Table, Shown::View) => format!("View with same name already exists: {name}"),
        (Shown::View, Shown::Table) => format!("Table with same name already exists: {name}"),
    })))
}

/// Takes a row out.
pub(super) async fn remove(tx: &mut Tx, found: &Foreign) -> Result<bool> {
    let sql = "DELETE FROM lake_foreign_tables \
               WHERE namespace = $1 AND name = $2 AND version = $3 AND metadata_location = $4";
    let params = [
        stored(&found.ident.namespace).into(),
        found.ident.name.as_str().into(),
        found.version.into(),
        found.location.as_str().into(),
    ];
    Ok(tx.execute(sql, &params).await? == 1)
}

/// Gives a row another name.
pub(super) async fn rename(tx: &mut Tx, from: &Foreign, to: &Ident) -> Result<Result<(), Refusal>> {
    let namespace = stored(&to.namespace);
    let sql = "SELECT name FROM lake_foreign_namespaces WHERE name = $1";
    if tx.query_one(sql, &[namespace.clone().into()]).await?.is_none() {
        return Ok(Err(Refusal::no_namespace(&shown(&to.namespace))));
    }
    if let Some(there) = present(tx, to).await? {
        let kind = if there == Shown::Table { "Table" } else { "View" };
        let (from, to) = (from.ident.shown(), to.shown());
        let text = format!("Cannot rename {from} to {to}. {kind} already exists");
        return Ok(Err(Refusal::exists(text)));
    }
    let sql = "UPDATE lake_foreign_tables SET namespace = $1, name = $2, version = version + 1 \
               WHERE namespace = $3 AND name = $4 AND version = $5 AND metadata_location = $6";
    let params = [
        namespace.into(),
        to.name.as_str().into(),
        stored(&from.ident.namespace).into(),
        from.ident.name.as_str().into(),
        from.version.into(),
        from.location.as_str().into(),
    ];
    if tx.execute(sql, &params).await? == 1 {
        return Ok(Ok(()));
    }
    Ok(Err(Refusal::conflict(format!("{} was changed meanwhile", from.ident.shown()))))
}

impl Lake {
    /// The names of namespaces that other tools made, with points between their parts.
    pub async fn foreign_namespaces(&self) -> Result<Vec<String>> {
        Ok(namespaces(self).await?.iter().map(shown).collect())
    }
}

/// A table of another tool, with its metadata.
pub(crate) type Loaded = (Foreign, Arc<TableMetadata>);

impl Lake {
    /// The Iceberg tables that other tools made, as SQL reads them: of no type.
    pub(crate) async fn foreign_as_tables(&self) -> Result<Vec<Arc<Table>>> {
        let found = self.foreign_tables().await?.into_iter();
        let table = |(found, metadata): Loaded| {
            Arc::new(Table {
                id: TableId::from_uuid(metadata.uuid()),
                type_name: "".into(),
                namespace: shown(&found.ident.namespace).into(),
                name: found.ident.name.into(),
                format: TableFormat::Iceberg,
                metadata_location: found.location.into(),
                iceberg: Some(metadata),
                lance_version: 0,
                search_version: 0,
                version: found.version,
                seen: Seen::default(),
            })
        };
        Ok(found.map(table).collect())
    }

    /// The Iceberg tables that other tools made, with their metadata; one whose metadata cannot be
    /// read is left out, because it must not stand in the way of the others.
    pub(crate) async fn foreign_tables(&self) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::new();
        for found in all(self).await?.into_iter().filter(|one| one.kind == Shown::Table) {
            match self.catalog().metadata(&found.location).await {
                Ok(metadata) => loaded.push((found, metadata)),
                Err(error) => {
                    tracing::warn!(table = %found.ident.shown(), %error, "metadata cannot be read");
                }
            }
        }
        Ok(loaded)
    }
}
