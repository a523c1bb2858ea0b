//! Carries out one step of a plan on the tables: the storage side of a schema change.
//!
//! In: a `schema::plan::Step`, the schema before and after the plan. Out: the table as the step says,
//! in one commit. Every step first looks whether it has been done, so running it again does nothing;
//! a step that rewrites rows swaps to the rewritten files in that one commit too. Not here: the order
//! of steps and their journal (`server::apply`).

mod columns;
mod convert;
mod create;
mod key;
mod rewrite;

use std::sync::Arc;

use base::{Error, Kind, Result};
use iceberg::spec::TableMetadata;
use schema::plan::Step;
use schema::{ColumnSpec, FieldDef, ObjectType, Schema, TableFormat};

use crate::catalog::Swap;
use crate::commit::CommitInfo;
use crate::commit::delta::{Alter, Delta};
use crate::commit::retry::Attempts;
use crate::commit::snapshot;
use crate::lake::{Lake, object_named};
use crate::lance_table;
use crate::shape;
use crate::table::Table;

/// How far a step has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepProgress {
    /// Rows that were read or written.
    pub rows: u64,
    /// Rows in all; 0 when the step does not touch rows.
    pub of: u64,
}

/// Hears how far a step has come.
pub type OnProgress<'a> = &'a (dyn Fn(StepProgress) + Send + Sync);

/// What a step looks at.
#[derive(Clone, Copy)]
struct Context<'a> {
    lake: &'a Lake,
    old: &'a Schema,
    new: &'a Schema,
    progress: OnProgress<'a>,
}

/// Refuses a plan with a step that cannot be carried out, before anything is touched.
pub fn check(steps: &[&Step], old: &Schema, new: &Schema) -> Result<()> {
    lance_table::refuse(steps, old, new)
}

impl Lake {
    /// Carries out one step; names are those in force when the step runs (`old` before, `new` after
    /// the whole plan).
    pub async fn execute_step(
        &self,
        step: &Step,
        old: &Schema,
        new: &Schema,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let context = Context { lake: self, old, new, progress };
        let mut attempts = Attempts::new(self);
        loop {
            match Box::pin(context.run(step)).await {
                Err(error) if error.kind() == Kind::Conflict => attempts.again(error).await?,
                result => return result,
            }
        }
    }
}

impl<'a> Context<'a> {
    async fn run(&self, step: &Step) -> Result<()> {
        if let Some(table) = self.lance_table(step).await? {
            return lance_table::alter(self.lake, &table, step, self.old, self.new).await;
        }
        match step {
            Step::CreateTable { type_name } => create::create(self.lake, self.new, type_name).await,
            Step::DropTable { type_name } => self.drop_table(type_name).await,
            Step::RestoreTable { type_name } => self.restore_table(type_name).await,
            Step::RenameTable { from, to } => self.rename_table(from, to).await,
            Step::AddColumn { type_name, field } => columns::add(self, type_name, field).await,
            Step::DropColumn { type_name, field } => columns::drop(self, type_name, field).await,
            Step::RestoreColumn { type_name, field } => {
                columns::restore(self, type_name, field).await
            }
            Step::RenameColumn { type_name, from, to } => {
                columns::rename(self, type_name, from, to).await
            }
            Step::WidenColumn { type_name, field } => columns::widen(self, type_name, field).await,
            Step::ConvertColumn { type_name, field } => {
                convert::convert(self, type_name, field).await
            }
            Step::Repartition { type_name } => rewrite::repartition(self, type_name).await,
            Step::Resort { type_name } => rewrite::resort(self, type_name).await,
            Step::ChangeKey { type_name } => key::change(self, type_name).await,
            Step::SetRetention { type_name } => self.set_retention(type_name).await,
            Step::BuildSearch { .. } | Step::BuildVectors { .. } | Step::DropVectors { .. } => {
                self.lake.companion_step(step, self.old, self.new).await
            }
            Step::ChangeFormat { .. } => lance_table::refuse(&[step], self.old, self.new),
        }
    }

    /// The Lance table whose columns a step changes.
    async fn lance_table(&self, step: &Step) -> Result<Option<Arc<Table>>> {
        let (Step::AddColumn { type_name, .. }
        | Step::DropColumn { type_name, .. }
        | Step::RenameColumn { type_name, .. }
        | Step::WidenColumn { type_name, .. }) = step
        else {
            return Ok(None);
        };
        let table = self.lake.table(type_name).await?;
        Ok((table.format == TableFormat::Lance).then_some(table))
    }

    async fn drop_table(&self, type_name: &str) -> Result<()> {
        match self.lake.catalog().find(type_name).await? {
            Some(table) => {
                self.lake.catalog().drop_table(&table, self.lake.config().clock.now()).await
            }
            None => Ok(()),
        }
    }

    async fn restore_table(&self, type_name: &str) -> Result<()> {
        if self.lake.catalog().find(type_name).await?.is_some()
            || self.lake.catalog().restore_table(type_name).await?
        {
            return Ok(());
        }
        let text = format!("the table of type `{type_name}` was dropped and its files are gone");
        Err(Error::not_found(text).hint("restore it from a backup"))
    }

    async fn rename_table(&self, from: &str, to: &str) -> Result<()> {
        let object = object_named(self.new, to)?;
        let spec = shape::table_spec(object)?;
        let namespace = create::namespace_of(self.new, object);
        let table = match self.lake.catalog().find(from).await? {
            Some(table) => table,
            // An earlier run has renamed it.
            None => self.lake.table(to).await?,
        };
        let done = table.type_name == object.name
            && table.name == spec.name
            && table.namespace == namespace;
        if done {
            return Ok(());
        }
        let mut swap = Swap::metadata(&table, Arc::clone(&table.metadata_location));
        swap.type_name = Arc::clone(&object.name);
        swap.name = Arc::clone(&spec.name);
        swap.namespace = namespace;
        self.lake.catalog().swap(&[swap], &[]).await
    }

    async fn set_retention(&self, type_name: &str) -> Result<()> {
        const KEY: &str = crate::maintain::RETENTION;
        let table = self.lake.table(type_name).await?;
        let retain = shape::table_spec(object_named(self.new, type_name)?)?.retain;
        let wanted = retain.map(|retain| retain.as_millis().to_string());
        if table.iceberg()?.properties().get(KEY) == wanted.as_ref() {
            return Ok(());
        }
        let alter: Alter = Box::new(move |builder| {
            let doing = "set the retention of a table";
            let changed = match wanted {
                Some(wanted) => builder.set_properties([(KEY.to_owned(), wanted)].into()),
                None => builder.remove_properties(&[KEY.to_owned()]),
            };
            changed.map_err(crate::failure::failed(doing))
        });
        self.commit(&table, Delta { alter: Some(alter), ..Delta::default() }).await
    }

    /// Commits what a step makes of a table.
    async fn commit(&self, table: &Arc<Table>, delta: Delta) -> Result<()> {
        let info = CommitInfo {
            author: "schema".into(),
            summary: "schema change".into(),
            ..CommitInfo::default()
        };
        let written = snapshot::write(self.lake, table, delta, &info).await?;
        self.lake.publish(vec![written], &[]).await.map(|_| ())
    }

    /// The metadata as it would be after a change, to lay out files by.
    fn altered(table: &Table, alter: Alter) -> Result<TableMetadata> {
        let metadata = table.iceberg()?;
        let seen = base::Timestamp::from_micros(metadata.last_updated_ms().saturating_mul(1000));
        snapshot::altered(metadata, None, alter, seen)
    }

    /// The type as it was before the plan, whatever it was called.
    fn before(&self, type_name: &str) -> Result<&'a ObjectType> {
        if let Some((_, object)) = self.old.type_named(type_name) {
            return Ok(object);
        }
        let renamed = self.new.type_named(type_name).and_then(|(_, object)| {
            object.was.iter().find_map(|was| self.old.type_named(&was.name))
        });
        let found = renamed.map(|(_, object)| object);
        found.ok_or_else(|| Error::not_found(format!("the schema had no type `{type_name}`")))
    }

    /// The type after the plan, or before it when it has gone.
    fn after(&self, type_name: &str) -> Result<&'a ObjectType> {
        match self.new.type_named(type_name) {
            Some((_, object)) => Ok(object),
            None => self.before(type_name),
        }
    }
}

/// A stored field of a type, or an error that names it.
fn stored<'a>(object: &'a ObjectType, field: &str) -> Result<(&'a FieldDef, &'a ColumnSpec)> {
    let found = object.field_named(field).and_then(|(_, def)| Some((def, def.column()?)));
    found.ok_or_else(|| {
        Error::not_found(format!("type `{}` has no stored field `{field}`", object.name))
    })
}
