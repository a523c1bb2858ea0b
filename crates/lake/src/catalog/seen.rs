//! The tables as one version of the schema sees them.
//!
//! In: a version. Out: the tables that it has, under its names and with its columns, also after a
//! newer version was deployed. Not here: who writes bindings (`change`).

use std::sync::Arc;

use base::{Error, Kind, Result};
use iceberg::spec::TableMetadata;
use meta::Row;

use super::Catalog;
use crate::binding::{self, Binding};
use crate::table::{Seen, Table};

/// Every table that version `$1` has: those of the deployed version when it is that one (or comes
/// after it), otherwise those that it is bound to, dropped ones too.
const SEEN: &str = "SELECT t.id, t.type_name, t.namespace, t.name, t.format, t.metadata_location, \
     t.lance_version, t.search_version, t.version, d.version AS deployed, \
     COALESCE(b.type_name, t.type_name) AS seen_type, \
     COALESCE(b.namespace, t.namespace) AS seen_namespace, \
     COALESCE(b.name, t.name) AS seen_name, COALESCE(b.binding, '') AS binding \
     FROM lake_tables t JOIN lake_deployed d ON d.one = 1 \
     LEFT JOIN lake_bindings b ON b.table_id = t.id AND b.version = $1 \
     WHERE b.table_id IS NOT NULL OR d.version <= $1 \
     UNION ALL \
     SELECT t.id, t.type_name, t.namespace, t.name, t.format, t.metadata_location, \
     t.lance_version, t.search_version, t.version, d.version AS deployed, \
     b.type_name AS seen_type, b.namespace AS seen_namespace, b.name AS seen_name, b.binding \
     FROM lake_dropped t JOIN lake_deployed d ON d.one = 1 \
     JOIN lake_bindings b ON b.table_id = t.id AND b.version = $1";

impl Catalog {
    pub(super) async fn table_seen(&self, type_name: &str, version: i64) -> Result<Arc<Table>> {
        let sql = format!("SELECT * FROM ({SEEN}) seen WHERE seen_type = $2");
        let found = self.database.query_one(&sql, &[version.into(), type_name.into()]).await?;
        match found {
            Some(row) => self.load_seen(&row).await,
            None => {
                self.refuse_retired(version).await?;
                Err(super::no_table(type_name))
            }
        }
    }

    pub(super) async fn tables_seen(&self, version: i64) -> Result<Vec<Arc<Table>>> {
        let sql = format!("SELECT * FROM ({SEEN}) seen ORDER BY seen_name");
        let rows = self.database.query(&sql, &[version.into()]).await?;
        if rows.is_empty() {
            self.refuse_retired(version).await?;
        }
        let mut tables = Vec::with_capacity(rows.len());
        for row in &rows {
            tables.push(self.load_seen(row).await?);
        }
        Ok(tables)
    }

    /// The Iceberg schemas of a table that served versions read by.
    pub(crate) async fn bound_schemas(&self, table: &Table) -> Result<Vec<i32>> {
        let sql = "SELECT binding FROM lake_bindings WHERE table_id = $1";
        let rows = self.database.query(sql, &[table.id.to_string().into()]).await?;
        let binding = |row: &Row| Binding::from_text(&row.text("binding")?);
        let bindings: Vec<Binding> = rows.iter().map(binding).collect::<Result<_>>()?;
        Ok(bindings.into_iter().filter_map(|binding| binding.schema_id).collect())
    }

    async fn refuse_retired(&self, version: i64) -> Result<()> {
        let (deployed, oldest) = self.deployed().await?;
        if version >= oldest {
            return Ok(());
        }
        let text = format!("schema version {version} is no longer served");
        Err(Error::new(Kind::Stale, text)
            .hint(format!("the deployed version is {deployed}: generate the client again")))
    }

    async fn load_seen(&self, row: &Row) -> Result<Arc<Table>> {
        let table = self.load(row).await?;
        let mut table = table.as_ref().clone();
        table.seen.deployed = row.int("deployed")?;
        let text = row.text("binding")?;
        if text.is_empty() {
            return Ok(Arc::new(table));
        }
        let binding = Binding::from_text(&text)?;
        table.type_name = row.text("seen_type")?.into();
        table.namespace = row.text("seen_namespace")?.into();
        table.name = row.text("seen_name")?.into();
        if binding.schema_id.is_some() {
            let stored = Arc::clone(table.stored()?);
            let key = format!("{}#{text}", table.metadata_location);
            let bound = self.derived(&key, || binding.applied(&stored))?;
            table.iceberg = Some(bound);
            table.seen.stored = Some(stored);
        }
        table.seen.binding = Some(Arc::new(binding));
        Ok(Arc::new(table))
    }

    /// What is stored, and what of it the deployed version shows.
    pub(super) fn shown(
        &self,
        location: &str,
        stored: Arc<TableMetadata>,
    ) -> Result<(Arc<TableMetadata>, Seen)> {
        let Some(schema) = binding::shown_schema(&stored)? else {
            return Ok((stored, Seen::default()));
        };
        let key = format!("{location}#{schema}");
        let shown = self.derived(&key, || binding::with_schema(&stored, schema))?;
        Ok((shown, Seen { stored: Some(stored), ..Seen::default() }))
    }

    /// Metadata that was made of other metadata: as unchanging as that.
    fn derived(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<TableMetadata>,
    ) -> Result<Arc<TableMetadata>> {
        match self.metadata.get(key) {
            Some(found) => Ok(found),
            None => Ok(self.keep(key, Arc::new(make()?))),
        }
    }
}
