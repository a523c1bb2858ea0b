//! Which tables there are and where their present metadata is: rows of the metadata database.
//!
//! In: a type's name. Out: a [`Table`], read whole. [`Catalog::swap`] moves any number of tables to
//! new metadata in one transaction, each only when it is still at the version that the caller read,
//! together with whatever else must happen at the same moment (receipts, import journals). Not
//! here: making metadata (`commit`), the order of schema changes (`schema::plan`).

mod change;
mod seen;

pub(crate) use change::{HOLD, Turn};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use base::ids::TableId;
use base::{Clock, Error, Kind, Result, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use meta::{Database, Param, Row, Tx};
use schema::TableFormat;

use crate::cache::Cache;
use crate::failure::failed;
use crate::place::Place;
use crate::table::{Seen, Table};

/// The tables of the lake in the metadata database, one migration a line of history.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE lake_tables (
        id TEXT PRIMARY KEY,
        type_name TEXT NOT NULL UNIQUE,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL UNIQUE,
        format TEXT NOT NULL,
        metadata_location TEXT NOT NULL,
        lance_version BIGINT NOT NULL,
        search_version BIGINT NOT NULL,
        version BIGINT NOT NULL
    )",
    "CREATE TABLE lake_dropped (
        id TEXT PRIMARY KEY,
        type_name TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        format TEXT NOT NULL,
        metadata_location TEXT NOT NULL,
        lance_version BIGINT NOT NULL,
        search_version BIGINT NOT NULL,
        version BIGINT NOT NULL,
        dropped_at BIGINT NOT NULL
    )",
    "CREATE TABLE lake_receipts (
        name TEXT PRIMARY KEY,
        request TEXT NOT NULL,
        snapshot BIGINT NOT NULL,
        row_count BIGINT NOT NULL,
        at BIGINT NOT NULL
    )",
    "CREATE INDEX lake_receipts_at ON lake_receipts (at)",
];

const COLUMNS: &str = "id, type_name, namespace, name, format, metadata_location, lance_version, \
                       search_version, version";

/// A statement with its parameters, run in the transaction of a commit.
pub type Statement = (String, Vec<Param>);

/// One table's step from the version that was read to the next.
#[derive(Clone, Debug)]
pub struct Swap {
    /// The table as it was read.
    pub base: Arc<Table>,
    /// Where its metadata is now.
    pub metadata_location: Arc<str>,
    /// Version of the Lance part.
    pub lance_version: u64,
    /// Version of the text index.
    pub search_version: u64,
    /// The type's name from now on.
    pub type_name: Arc<str>,
    /// The module from now on.
    pub namespace: Arc<str>,
    /// The SQL name from now on.
    pub name: Arc<str>,
    /// The format from now on.
    pub format: TableFormat,
}

impl Swap {
    /// New metadata, and everything else as it was.
    pub fn metadata(base: &Arc<Table>, location: impl Into<Arc<str>>) -> Self {
        Swap {
            base: Arc::clone(base),
            metadata_location: location.into(),
            lance_version: base.lance_version,
            search_version: base.search_version,
            type_name: Arc::clone(&base.type_name),
            namespace: Arc::clone(&base.namespace),
            name: Arc::clone(&base.name),
            format: base.format,
        }
    }

    /// Whether the table has another name afterwards.
    fn renames(&self) -> bool {
        self.type_name != self.base.type_name || self.name != self.base.name
    }
}

/// Who swaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    /// The version of the schema that the change was made for; a newer one that is deployed makes
    /// the swap `Stale`.
    pub(crate) version: Option<i64>,
    /// The hold that the swap may pass.
    pub(crate) holder: Option<Arc<str>>,
    /// Set when the swap has ended that hold, for a hold that lasts for one commit.
    pub(crate) spent: Option<Arc<AtomicBool>>,
}

/// Bytes of table metadata that are held.
const METADATA_BYTES: usize = 64 << 20;
/// What a snapshot in it needs, about, and what a table without one does.
const SNAPSHOT_BYTES: usize = 2048;
/// What a schema in it needs, about, and what each of its columns does, in half a dozen maps.
const SCHEMA_BYTES: usize = 1024;
const COLUMN_BYTES: usize = 1024;

/// The catalog; clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    database: Database,
    io: FileIO,
    clock: Clock,
    metadata: Arc<Cache<Arc<str>, Arc<TableMetadata>>>,
    /// Where the objects are, when they may move.
    place: Arc<OnceLock<Place>>,
}

impl Catalog {
    /// Opens the catalog, migrating its tables.
    pub async fn open(database: Database, io: FileIO, clock: Clock) -> Result<Catalog> {
        database.migrate("lake", MIGRATIONS).await?;
        database.migrate("lake_change", change::MIGRATIONS).await?;
        let metadata = Arc::new(Cache::new(METADATA_BYTES));
        Ok(Catalog { database, io, clock, metadata, place: Arc::default() })
    }

    /// The table of this type as it is now, as a version of the schema sees it.
    pub async fn table(&self, type_name: &str, version: Option<i64>) -> Result<Arc<Table>> {
        if let Some(version) = version {
            return self.table_seen(type_name, version).await;
        }
        let sql = format!("SELECT {COLUMNS} FROM lake_tables WHERE type_name = $1");
        let found = self.database.query_one(&sql, &[type_name.into()]).await?;
        let row = found.ok_or_else(|| no_table(type_name))?;
        self.load(&row).await
    }

    /// The table of this type, if there is one.
    pub async fn find(&self, type_name: &str) -> Result<Option<Arc<Table>>> {
        match self.table(type_name, None).await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All tables of one moment, by name, as a version of the schema sees them.
    pub async fn tables(&self, version: Option<i64>) -> Result<Vec<Arc<Table>>> {
        if let Some(version) = version {
            return self.tables_seen(version).await;
        }
        let sql = format!("SELECT {COLUMNS} FROM lake_tables ORDER BY name");
        let rows = self.database.query(&sql, &[]).await?;
        let mut tables = Vec::with_capacity(rows.len());
        for row in &rows {
            tables.push(self.load(row).await?);
        }
        Ok(tables)
    }

    /// The table with this id, when it lives or can be restored.
    pub(crate) async fn by_id(&self, id: TableId) -> Result<Option<Arc<Table>>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM lake_tables WHERE id = $1 UNION ALL \
             SELECT {COLUMNS} FROM lake_dropped WHERE id = $1 AND type_name <> ''"
        );
        match self.database.query_one(&sql, &[id.to_string().into()]).await? {
            Some(row) => Ok(Some(self.load(&row).await?)),
            None => Ok(None),
        }
    }

    /// Moves tables to new metadata, all or none, with `also` in the same transaction. `Conflict`
    /// when one has moved since it was read, or is held.
    pub async fn swap(&self, swaps: &[Swap], also: &[Statement]) -> Result<()> {
        self.swap_as(swaps, also, &Writer::default()).await
    }

    /// The same for a writer that stands for a version of the schema: `Stale` when a newer one is
    /// deployed by the time of the transaction.
    pub(crate) async fn swap_as(
        &self,
        swaps: &[Swap],
        also: &[Statement],
        writer: &Writer,
    ) -> Result<()> {
        swaps.iter().try_for_each(|swap| swap.base.refuse_earlier())?;
        let (swaps, also, writer) = (swaps.to_vec(), also.to_vec(), writer.clone());
        let now = self.clock.now();
        let spent = writer.spent.clone();
        self.publish(move |tx| {
            let (swaps, also, writer) = (swaps.clone(), also.clone(), writer.clone());
            swap_all(tx, swaps, also, writer, now).boxed()
        })
        .await?;
        if let Some(spent) = spent {
            spent.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Runs a transaction that makes objects of this node visible: nothing of it happens when the
    /// node missed a move of the objects, because the others may not find what it wrote.
    pub(crate) async fn publish<T, F>(&self, work: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
    {
        let (place, work) = (self.place.get().cloned(), Arc::new(work));
        self.database
            .write(move |tx| {
                let (place, work) = (place.clone(), Arc::clone(&work));
                async move {
                    if let Some(place) = &place {
                        place.check(tx).await?;
                    }
                    work(tx).await
                }
                .boxed()
            })
            .await
    }

    /// Tables that were dropped and can be restored, with the moment, and that no version which is
    /// served reads.
    pub async fn dropped(&self) -> Result<Vec<(Arc<Table>, Timestamp)>> {
        let sql = format!(
            "SELECT {COLUMNS}, dropped_at FROM lake_dropped t WHERE type_name <> '' AND NOT EXISTS \
             (SELECT 1 FROM lake_bindings b WHERE b.table_id = t.id) ORDER BY dropped_at"
        );
        let mut dropped = Vec::new();
        for row in &self.database.query(&sql, &[]).await? {
            let at = Timestamp::from_micros(row.int("dropped_at")?);
            dropped.push((self.load(row).await?, at));
        }
        Ok(dropped)
    }

    /// Makes a dropped table one that nobody can restore, so that its files may go. A table without
    /// the name of a type is never found by one.
    pub(crate) async fn bury(&self, id: TableId) -> Result<()> {
        let sql = "UPDATE lake_dropped SET type_name = '' WHERE id = $1";
        self.database.execute(sql, &[id.to_string().into()]).await.map(|_| ())
    }

    /// Tables that nobody can restore and whose files are going: id and location of the metadata.
    pub(crate) async fn buried(&self) -> Result<Vec<(TableId, String)>> {
        let sql = "SELECT id, metadata_location FROM lake_dropped WHERE type_name = '' ORDER BY id";
        let rows = self.database.query(sql, &[]).await?;
        rows.iter().map(|row| Ok((id_of(row)?, row.text("metadata_location")?))).collect()
    }

    /// Forgets a dropped table whose files are gone.
    pub async fn forget(&self, id: TableId) -> Result<()> {
        let sql = "DELETE FROM lake_dropped WHERE id = $1";
        self.database.execute(sql, &[id.to_string().into()]).await.map(|_| ())
    }

    /// Lets every commit check that this node knows where the objects are.
    pub(crate) fn set_place(&self, place: Place) {
        // Set once, when the project is opened.
        let _again = self.place.set(place);
    }

    /// The database, for the other owners of rows beside the tables.
    pub fn database(&self) -> &Database {
        &self.database
    }

    async fn load(&self, row: &Row) -> Result<Arc<Table>> {
        let location = row.text("metadata_location")?;
        let format = match row.text("format")?.as_str() {
            "iceberg" => TableFormat::Iceberg,
            "lance" => TableFormat::Lance,
            other => {
                return Err(Error::new(Kind::Corrupt, format!("unknown table format `{other}`")));
            }
        };
        let (iceberg, seen) = match format {
            TableFormat::Iceberg => {
                let (shown, seen) = self.shown(&location, self.metadata(&location).await?)?;
                (Some(shown), seen)
            }
            TableFormat::Lance => (None, Seen::default()),
        };
        Ok(Arc::new(Table {
            id: id_of(row)?,
            type_name: row.text("type_name")?.into(),
            namespace: row.text("namespace")?.into(),
            name: row.text("name")?.into(),
            format,
            metadata_location: location.into(),
            iceberg,
            lance_version: count(row, "lance_version")?,
            search_version: count(row, "search_version")?,
            version: row.int("version")?,
            seen,
        }))
    }

    /// Metadata files never change, so one that was read once is kept.
    pub(crate) async fn metadata(&self, location: &str) -> Result<Arc<TableMetadata>> {
        if let Some(found) = self.metadata.get(location) {
            return Ok(found);
        }
        let doing = format!("read table metadata `{location}`");
        let read = TableMetadata::read_from(&self.io, location).await.map_err(failed(doing))?;
        Ok(self.keep(location, Arc::new(read)))
    }

    /// Keeps metadata that this process has just written.
    pub(crate) fn remember(&self, location: &str, metadata: Arc<TableMetadata>) {
        self.keep(location, metadata);
    }

    fn keep(&self, location: &str, metadata: Arc<TableMetadata>) -> Arc<TableMetadata> {
        let weight = weight_of(&metadata);
        self.metadata.put(location.into(), metadata, weight)
    }
}

/// What metadata needs in memory, about.
fn weight_of(metadata: &TableMetadata) -> usize {
    let columns = metadata.schemas_iter().map(|schema| schema.as_struct().fields().len());
    let schemas = columns.map(|columns| SCHEMA_BYTES + columns * COLUMN_BYTES).sum::<usize>();
    let weight = metadata.snapshots().len() * SNAPSHOT_BYTES + schemas;
    // However long its history is, the newest of a few tables is held.
    SNAPSHOT_BYTES + weight.min(METADATA_BYTES / 8)
}

fn id_of(row: &Row) -> Result<TableId> {
    id_in(row, "id")
}

fn id_in(row: &Row, column: &str) -> Result<TableId> {
    let id = uuid::Uuid::parse_str(&row.text(column)?).map_err(failed("read a table's id"))?;
    Ok(TableId::from_uuid(id))
}

fn count(row: &Row, column: &str) -> Result<u64> {
    u64::try_from(row.int(column)?)
        .map_err(|_| Error::new(Kind::Corrupt, format!("`{column}` of a table is negative")))
}

fn format_name(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Iceberg => "iceberg",
        TableFormat::Lance => "lance",
    }
}

fn row_params(table: &Table) -> Vec<Param> {
    vec![
        table.id.to_string().into(),
        table.type_name.as_ref().into(),
        table.namespace.as_ref().into(),
        table.name.as_ref().into(),
        format_name(table.format).into(),
        table.metadata_location.as_ref().into(),
        Param::Int(table.lance_version as i64),
        Param::Int(table.search_version as i64),
        table.version.into(),
    ]
}

/// What is said of a type without a table.
fn no_table(type_name: &str) -> Error {
    Error::not_found(format!("type `{type_name}` has no table"))
        .hint("run `headwater apply` to create the tables of the schema")
}

pub(crate) async fn swap_all(
    tx: &mut Tx,
    swaps: Vec<Swap>,
    also: Vec<Statement>,
    writer: Writer,
    now: Timestamp,
) -> Result<()> {
    if let Some(version) = writer.version {
        refuse_older(tx, version).await?;
    }
    for swap in &swaps {
        swap_one(tx, swap, writer.holder.as_deref(), now).await?;
    }
    for (sql, params) in &also {
        tx.execute(sql, params).await?;
    }
    if let (Some(holder), true) = (&writer.holder, writer.spent.is_some()) {
        change::end_holds(tx, holder).await?;
    }
    Ok(())
}

/// The fence: what was made for an earlier version of the schema is not committed to a later one.
async fn refuse_older(tx: &mut Tx, version: i64) -> Result<()> {
    let sql = "SELECT version FROM lake_deployed WHERE one = 1 AND version > $1";
    match tx.query_one(sql, &[version.into()]).await? {
        None => Ok(()),
        Some(row) => {
            let deployed = row.int("version")?;
            let text = format!(
                "the change was made for schema version {version}, and {deployed} is deployed"
            );
            Err(Error::new(Kind::Stale, text).hint("repeat the command"))
        }
    }
}

async fn swap_one(tx: &mut Tx, swap: &Swap, holder: Option<&str>, now: Timestamp) -> Result<()> {
    let sql = "UPDATE lake_tables SET metadata_location = $1, lance_version = $2, \
               search_version = $3, type_name = $4, namespace = $5, name = $6, format = $7, \
               version = version + 1 WHERE id = $8 AND version = $9 AND NOT EXISTS \
               (SELECT 1 FROM lake_holds h WHERE h.table_id = $8 AND h.holder <> $10 \
               AND h.until > $11)";
    let params = [
        swap.metadata_location.as_ref().into(),
        Param::Int(swap.lance_version as i64),
        Param::Int(swap.search_version as i64),
        swap.type_name.as_ref().into(),
        swap.namespace.as_ref().into(),
        swap.name.as_ref().into(),
        format_name(swap.format).into(),
        swap.base.id.to_string().into(),
        swap.base.version.into(),
        holder.unwrap_or("").into(),
        now.as_micros().into(),
    ];
    if tx.execute(sql, &params).await? != 1 {
        let text = format!("table `{}` was changed meanwhile", swap.base.name);
        return Err(Error::new(Kind::Conflict, text));
    }
    change::break_hold(tx, swap.base.id, holder.unwrap_or("")).await
}

async fn drop_one(tx: &mut Tx, table: Arc<Table>, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM lake_tables WHERE id = $1 AND version = $2";
    if tx.execute(sql, &[table.id.to_string().into(), table.version.into()]).await? != 1 {
        let text = format!("table `{}` was changed meanwhile", table.name);
        return Err(Error::new(Kind::Conflict, text));
    }
    let sql = format!(
        "INSERT INTO lake_dropped ({COLUMNS}, dropped_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    );
    let mut params = row_params(&table);
    params.push(now.as_micros().into());
    tx.execute(&sql, &params).await.map(|_| ())
}

async fn restore_one(tx: &mut Tx, type_name: String) -> Result<bool> {
    let sql = "SELECT id FROM lake_dropped WHERE type_name = $1 ORDER BY dropped_at DESC LIMIT 1";
    let Some(row) = tx.query_one(sql, &[type_name.into()]).await? else { return Ok(false) };
    let id = row.text("id")?;
    let sql = format!(
        "INSERT INTO lake_tables ({COLUMNS}) SELECT {COLUMNS} FROM lake_dropped WHERE id = $1"
    );
    tx.execute(&sql, &[id.clone().into()]).await?;
    tx.execute("DELETE FROM lake_dropped WHERE id = $1", &[id.into()]).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use iceberg::spec::{
        FormatVersion, NestedField, PartitionSpec, PrimitiveType, Schema, SortOrder,
        TableMetadataBuilder, Type,
    };

    use super::*;

    fn schema(columns: i32) -> Schema {
        let column = |id: i32| {
            let string = Type::Primitive(PrimitiveType::String);
            Arc::new(NestedField::optional(id, format!("c{id}"), string))
        };
        Schema::builder().with_fields((1..=columns).map(column)).build().unwrap()
    }

    #[test]
    fn a_table_weighs_what_its_schemas_do() {
        let (spec, order) = (PartitionSpec::unpartition_spec(), SortOrder::unsorted_order());
        let (place, format) = ("s3://test/a".to_owned(), FormatVersion::V2);
        let mut builder =
            TableMetadataBuilder::new(schema(10), spec, order, place, format, HashMap::new())
                .unwrap();
        let one = weight_of(&builder.clone().build().unwrap().metadata);
        for columns in 11..31 {
            builder = builder.add_current_schema(schema(columns)).unwrap();
        }
        let many = weight_of(&builder.build().unwrap().metadata);
        assert!(many - one >= 20 * 10 * COLUMN_BYTES, "{one} {many}");
    }
}
