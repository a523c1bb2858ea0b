//! Carries a schema change out on the tables, while they are read and written.
//!
//! ```text
//! Step → prepare (expand, backfill: nobody sees it) → switch (all tables at one moment) → contract
//! ```
//!
//! In: the steps of a plan, the schema before and after it. Out: tables as the new schema says, and
//! bindings by which the old one still reads them. Every part first looks what has been done, so
//! running it again does nothing. Not here: the order of steps, their journal and their pace
//! (`server::apply`).

mod contract;
mod convert;
mod create;
mod draft;
mod expand;
mod fill;
mod format;
mod give_up;
mod hold;
mod key;
pub(crate) mod since;
mod switch;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use base::{Error, Kind, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use schema::plan::{Step, in_order_of_truth};
use schema::{ColumnSpec, FieldDef, ObjectType, Schema, TableFormat};

use crate::catalog::Statement;
use crate::commit::CommitInfo;
use crate::commit::contend::contended;
use crate::commit::delta::Delta;
use crate::commit::retry::Attempts;
use crate::commit::snapshot;
use crate::companion::vectors::Making;
use crate::lake::Lake;
use crate::lance_table;
use crate::table::Table;
pub(crate) use convert::convert_or_null;
use draft::Draft;
use format::Copied;
use key::KeysRead;

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

/// Is asked between two units, after the rows that the last one wrote; an error ends the work there.
pub type Between<'a> = &'a (dyn Fn(u64) -> BoxFuture<'static, Result<()>> + Send + Sync);

/// How a change is carried out.
pub struct Control<'a> {
    /// Hears how far it has come.
    pub progress: OnProgress<'a>,
    /// Is asked between two units.
    pub between: Between<'a>,
    /// Rows that one unit rewrites at about most.
    pub unit_rows: u64,
    /// What was done before and need not be done again.
    pub done: Done,
}

/// What the work before the switch leaves to the switch, so that little is left to do while writers
/// wait.
#[derive(Debug, Default)]
pub struct Done {
    /// Columns of files whose values were checked.
    checked: Mutex<HashSet<String>>,
    /// Keys that were read, by type.
    keys: Mutex<HashMap<String, KeysRead>>,
    /// Rows that were copied, by type.
    copies: Mutex<HashMap<String, Copied>>,
    /// How often a hold was given up because too much was left to copy.
    gave_way: AtomicU32,
}

/// Rows of a unit where nobody says otherwise.
pub const UNIT_ROWS: u64 = 50_000;

impl<'a> Control<'a> {
    /// As fast as it goes.
    pub fn new(progress: OnProgress<'a>) -> Control<'a> {
        let between = &|_: u64| -> BoxFuture<'static, Result<()>> { Box::pin(async { Ok(()) }) };
        Control { progress, between, unit_rows: UNIT_ROWS, done: Done::default() }
    }
}

/// A change of the schema.
#[derive(Clone, Copy, Debug)]
pub struct SchemaChange<'a> {
    /// All its steps.
    pub steps: &'a [&'a Step],
    /// The schema before it.
    pub old: &'a Schema,
    /// The schema after it.
    pub new: &'a Schema,
}

/// What a step looks at.
struct Context<'a> {
    lake: &'a Lake,
    steps: &'a [&'a Step],
    old: &'a Schema,
    new: &'a Schema,
    control: &'a Control<'a>,
}

/// Refuses a plan with a step that cannot be carried out, before anything is touched.
pub fn check(steps: &[&Step], old: &Schema, new: &Schema) -> Result<()> {
    lance_table::refuse(steps, old, new)
}

impl Lake {
    /// Does what can be done of one step while nobody sees it.
    pub async fn prepare_step(
        &self,
        step: &Step,
        change: SchemaChange<'_>,
        control: &Control<'_>,
    ) -> Result<()> {
        let lake = self.unpinned();
        let context = Context::new(&lake, change, control);
        let mut attempts = Attempts::new(self);
        loop {
            match Box::pin(context.prepare(step, false)).await {
                Err(error) if error.kind() == Kind::Conflict => attempts.again(error).await?,
                result => return result,
            }
        }
    }

    /// Makes a change true: all its tables at one moment, with `also` in the same transaction. With
    /// `versions`, the old schema's version is bound to the columns that it knows, and served until
    /// [`Lake::contract`].
    pub async fn switch(
        &self,
        change: SchemaChange<'_>,
        versions: Option<(i64, i64)>,
        also: Vec<Statement>,
        control: &Control<'_>,
    ) -> Result<()> {
        let lake = self.unpinned();
        let context = Context::new(&lake, change, control);
        Box::pin(switch::switch(&context, versions, also)).await
    }

    /// Gives up what only the old schema needs; nobody may be served by it any more.
    pub async fn contract(&self, change: SchemaChange<'_>, control: &Control<'_>) -> Result<()> {
        let lake = self.unpinned();
        let context = Context::new(&lake, change, control);
        Box::pin(contract::contract(&context)).await
    }

    /// Takes back what was prepared of a change that will not become true, so that a later one does not
    /// find it.
    pub async fn give_up(&self, change: SchemaChange<'_>, control: &Control<'_>) -> Result<()> {
        let lake = self.unpinned();
        let context = Context::new(&lake, change, control);
        Box::pin(give_up::give_up(&context)).await
    }

    /// Carries out one step from its beginning to its end, with nobody else to care for.
    pub async fn execute_step(
        &self,
        step: &Step,
        old: &Schema,
        new: &Schema,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let control = Control::new(progress);
        let change = SchemaChange { steps: &[step], old, new };
        self.prepare_step(step, change, &control).await?;
        self.switch(change, None, Vec::new(), &control).await?;
        self.contract(change, &control).await
    }
}

impl<'a> Context<'a> {
    fn new(lake: &'a Lake, change: SchemaChange<'a>, control: &'a Control<'a>) -> Context<'a> {
        let SchemaChange { steps, old, new } = change;
        Context { lake, steps, old, new, control }
    }

    fn progress(&self, rows: u64, of: u64) {
        (self.control.progress)(StepProgress { rows, of });
    }

    /// What a step can do before the switch; with `all`, under a hold, so that nothing is left.
    async fn prepare(&self, step: &Step, all: bool) -> Result<()> {
        if let Some(type_name) = about_rows(step)
            && self.table_of(type_name).await?.format == TableFormat::Lance
        {
            return lance_table::check_step(self.lake, step, self.old, self.new).await;
        }
        match step {
            Step::AddColumn { type_name, field } => expand::add(self, type_name, field, all).await,
            Step::RestoreColumn { type_name, field } => {
                expand::restore(self, type_name, field, all).await
            }
            Step::ConvertColumn { type_name, field } => {
                convert::prepare(self, type_name, field, all).await
            }
            Step::ChangeKey { type_name } => key::check(self, type_name).await,
            Step::ChangeFormat { type_name } => format::copy(self, type_name, all).await,
            Step::BuildSearch { type_name } if !all => {
                let table = self.preview(type_name).await?;
                self.lake.build_search(&table, self.after(type_name)?).await
            }
            Step::BuildVectors { type_name, field } => {
                let table = self.preview(type_name).await?;
                // Writers do not wait for an index: what it lacks is searched without it.
                let progress = |rows, of| self.progress(rows, of);
                // Who holds the table neither rests nor pauses: writers wait.
                let mut making = match all {
                    true => Making::silent(),
                    false => Making::new(&progress, self.control.between),
                };
                let object = self.after(type_name)?;
                self.lake.build_vectors(&table, object, field, !all, &mut making).await
            }
            _ => Ok(()),
        }
    }

    /// The table of a type of the new schema, under whichever name it has now.
    async fn table_of(&self, type_name: &str) -> Result<Arc<Table>> {
        if let Ok(before) = self.before(type_name)
            && let Some(table) = self.lake.catalog().find(&before.name).await?
        {
            return Ok(table);
        }
        self.lake.table(type_name).await
    }

    /// The type whose names a table's columns have now.
    fn object_of(&self, table: &Table) -> Result<&'a ObjectType> {
        match self.old.types.get(&table.type_name) {
            Some(object) if !self.is_switched(table)? => Ok(object),
            _ => self.after(&table.type_name),
        }
    }

    /// Whether a table has the columns of the new schema, as far as names tell.
    fn is_switched(&self, table: &Table) -> Result<bool> {
        let Some(object) = self.new.types.get(&table.type_name) else { return Ok(false) };
        let columns = table.iceberg()?.current_schema();
        Ok(object.columns().all(|(_, column)| columns.field_by_name(&column.column).is_some()))
    }

    /// The steps about the table of a type, in the order in which they become true.
    fn steps_of(&self, type_name: &str) -> Vec<&'a Step> {
        let about = |step: &&Step| match step {
            Step::RenameTable { to, .. } => to.as_ref() == type_name,
            step => type_of(step).is_some_and(|name| name.as_ref() == type_name),
        };
        in_order_of_truth(self.steps.iter().copied().filter(about))
    }

    /// The table as the new schema will see it.
    async fn preview(&self, type_name: &str) -> Result<Arc<Table>> {
        let table = self.table_of(type_name).await?;
        if table.format == TableFormat::Lance {
            return Ok(table);
        }
        let mut draft = Draft::of(self, &table)?;
        for step in self.steps_of(type_name) {
            draft.apply(step)?;
        }
        let drafted = draft.finish(false, self.lake.config().clock.now())?;
        let mut preview = table.as_ref().clone();
        preview.type_name = Arc::clone(&self.after(type_name)?.name);
        if let Some(metadata) = drafted.metadata {
            preview.iceberg = Some(Arc::new(metadata));
        }
        Ok(Arc::new(preview))
    }

    /// Commits what `make` makes of a table as it is at that moment, if anything; others who commit to it
    /// are waited for.
    async fn alter<T: Send>(
        &self,
        table: &Table,
        make: impl Fn(&Table) -> Result<(T, Option<Delta>)> + Send + Sync,
    ) -> Result<T> {
        let types = [Arc::clone(&table.type_name)];
        let attempt = |lake: Lake| {
            let make = &make;
            async move {
                let now = lake.catalog().find(&table.type_name).await?;
                let gone = || Error::not_found(format!("table `{}` has gone", table.name));
                let table = now.ok_or_else(gone)?;
                let (made, delta) = make(&table)?;
                if let Some(delta) = delta {
                    let written = snapshot::write(&lake, &table, delta, &info()).await?;
                    lake.publish(vec![written], &[]).await?;
                }
                Ok(made)
            }
            .boxed()
        };
        contended(self.lake, &types, attempt).await
    }

    /// The type as it was before the plan, whatever it was called.
    fn before(&self, type_name: &str) -> Result<&'a ObjectType> {
        let renamed = self.steps.iter().find_map(|step| match step {
            Step::RenameTable { from, to } if to.as_ref() == type_name => Some(from.as_ref()),
            _ => None,
        });
        if let Some((_, object)) = self.old.type_named(renamed.unwrap_or(type_name)) {
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

    /// A stored field as the old schema had it, whatever it was called.
    fn stored_before(
        &self,
        type_name: &str,
        field: &str,
    ) -> Result<(&'a FieldDef, &'a ColumnSpec)> {
        let renamed = self.steps.iter().find_map(|step| match step {
            Step::RenameColumn { type_name: of, from, to }
                if of.as_ref() == type_name && to.as_ref() == field =>
            {
                Some(from.as_ref())
            }
            _ => None,
        });
        stored(self.before(type_name)?, renamed.unwrap_or(field))
    }

    /// The values that a field may have, when its type is an enum.
    fn values_of(&self, type_name: &str, field: &str) -> Option<Vec<Arc<str>>> {
        let (_, column) = stored(self.after(type_name).ok()?, field).ok()?;
        let found = self.new.enums.get(column.enum_name.as_ref()?)?;
        Some(found.values.to_vec())
    }
}

fn info() -> CommitInfo {
    CommitInfo { author: "schema".into(), summary: "schema change".into(), ..CommitInfo::default() }
}

/// The type that a step names, when its table is there before and after.
fn type_of(step: &Step) -> Option<&Arc<str>> {
    match step {
        Step::CreateTable { .. }
        | Step::DropTable { .. }
        | Step::RestoreTable { .. }
        | Step::ChangeSource { .. } => None,
        Step::RenameTable { to, .. } => Some(to),
        Step::AddColumn { type_name, .. }
        | Step::DropColumn { type_name, .. }
        | Step::RestoreColumn { type_name, .. }
        | Step::RenameColumn { type_name, .. }
        | Step::WidenColumn { type_name, .. }
        | Step::ConvertColumn { type_name, .. }
        | Step::Repartition { type_name }
        | Step::Resort { type_name }
        | Step::ChangeKey { type_name }
        | Step::ChangeFormat { type_name }
        | Step::BuildSearch { type_name }
        | Step::BuildVectors { type_name, .. }
        | Step::DropVectors { type_name, .. }
        | Step::SetRetention { type_name } => Some(type_name),
    }
}

/// The type of a step that looks at rows before the switch.
fn about_rows(step: &Step) -> Option<&Arc<str>> {
    match step {
        Step::AddColumn { type_name, .. }
        | Step::RestoreColumn { type_name, .. }
        | Step::ConvertColumn { type_name, .. }
        | Step::ChangeKey { type_name } => Some(type_name),
        _ => None,
    }
}

/// A stored field of a type, or an error that names it.
fn stored<'a>(object: &'a ObjectType, field: &str) -> Result<(&'a FieldDef, &'a ColumnSpec)> {
    let found = object.field_named(field).and_then(|(_, def)| Some((def, def.column()?)));
    found.ok_or_else(|| {
        Error::not_found(format!("type `{}` has no stored field `{field}`", object.name))
    })
}
