//! The moment at which a change becomes true.
//!
//! ```text
//! steps → catch up → hold their tables → what came last → drafts → files → one transaction
//! ```
//!
//! In: all steps of a plan, prepared. Out: every table as the new schema says, at once, with whatever
//! else belongs to that moment; or nothing. Writers wait from the hold on. What they wrote since the
//! steps were prepared is filled, checked and copied before that, again and again until it is little;
//! under the hold only the rest is. A hold that was lost makes all of it begin again. Not here: the
//! transaction itself (`catalog::change`).

use std::collections::BTreeSet;
use std::sync::Arc;

use base::{Kind, Result};
use schema::TableFormat;
use schema::plan::Step;
use tokio::time::Instant;

use super::draft::Draft;
use super::hold::Hold;
use super::{Context, create, format, info, type_of};
use crate::binding::Binding;
use crate::catalog::{Statement, Swap, Turn};
use crate::commit::delta::Delta;
use crate::commit::retry::Attempts;
use crate::commit::snapshot::{self, Written};
use crate::lance_table;
use crate::shape;
use crate::table::Table;

/// What was made for the transaction, and goes when it fails.
#[derive(Default)]
pub(super) struct Made {
    pub(super) turn: Turn,
    pub(super) written: Vec<Written>,
}

pub(super) async fn switch(
    context: &Context<'_>,
    versions: Option<(i64, i64)>,
    also: Vec<Statement>,
) -> Result<()> {
    let mut attempts = Attempts::new(context.lake);
    loop {
        match once(context, versions, &also).await {
            Err(error) if error.kind() == Kind::Conflict => attempts.again(error).await?,
            result => return result,
        }
    }
}

async fn once(
    context: &Context<'_>,
    versions: Option<(i64, i64)>,
    also: &[Statement],
) -> Result<()> {
    for step in context.steps {
        Box::pin(context.prepare(step, false)).await?;
    }
    let types: BTreeSet<&Arc<str>> =
        context.steps.iter().filter_map(|step| type_of(step)).collect();
    let mut held = Vec::with_capacity(types.len());
    for type_name in &types {
        held.push(context.table_of(type_name).await?.id);
    }
    let hold = Hold::take(context.lake, &held).await?;
    let began = Instant::now();
    let result = under_hold(context, &hold, held.len(), &types, versions, also).await;
    tracing::info!(tables = held.len(), millis = began.elapsed().as_millis() as u64, "held");
    // A switch has ended its hold already.
    if result.is_err() {
        hold.end().await?;
    }
    result
}

async fn under_hold(
    context: &Context<'_>,
    hold: &Hold,
    held: usize,
    types: &BTreeSet<&Arc<str>>,
    versions: Option<(i64, i64)>,
    also: &[Statement],
) -> Result<()> {
    let holding = Context { lake: &hold.lake, ..*context };
    for step in context.steps {
        Box::pin(holding.prepare(step, true)).await?;
    }
    let mut made = Made::default();
    made.turn.versions = versions;
    made.turn.holder = Some(Arc::clone(&hold.holder));
    made.turn.held = held as u64;
    made.turn.also = also.to_vec();
    let result = match fill_in(&holding, types, &mut made).await {
        Ok(()) => context.lake.catalog().turn(made.turn).await,
        Err(error) => Err(error),
    };
    // When the answer was lost the switch may have happened, and then the files are needed.
    if let Err(error) = &result
        && error.nothing_happened()
    {
        context.lake.undo_all(&made.written).await;
    }
    result
}

/// Makes everything that the transaction moves to.
async fn fill_in(
    context: &Context<'_>,
    types: &BTreeSet<&Arc<str>>,
    made: &mut Made,
) -> Result<()> {
    let before = context.lake.catalog().tables(None).await?;
    let mut bindings = Vec::with_capacity(before.len());
    for type_name in types {
        let table = context.table_of(type_name).await?;
        let binding = one(context, type_name, &table, made).await?;
        bindings.push((table.id, binding));
    }
    for step in context.steps {
        match step {
            Step::CreateTable { type_name } => {
                made.turn
                    .created
                    .extend(create::create(context.lake, context.new, type_name).await?);
            }
            Step::DropTable { type_name } => {
                made.turn.dropped.extend(context.lake.catalog().find(type_name).await?);
            }
            Step::RestoreTable { type_name }
                if context.lake.catalog().find(type_name).await?.is_none() =>
            {
                made.turn.restored.push(Arc::clone(type_name));
            }
            _ => {}
        }
    }
    if made.turn.versions.is_some() {
        for table in before {
            let changed = bindings.iter().find(|(id, _)| *id == table.id);
            let binding = match changed {
                Some((_, binding)) => binding.clone(),
                None => unchanged(&table),
            };
            made.turn.bindings.push((table.id, table, binding));
        }
    }
    Ok(())
}

fn unchanged(table: &Table) -> Binding {
    let schema_id = table.iceberg.as_ref().map(|metadata| metadata.current_schema_id());
    Binding { schema_id, ..Binding::default() }
}

/// Makes the next state of one table; gives how the old schema finds its columns in it.
async fn one(
    context: &Context<'_>,
    type_name: &Arc<str>,
    table: &Arc<Table>,
    made: &mut Made,
) -> Result<Binding> {
    let steps = context.steps_of(type_name);
    let object = context.after(type_name)?;
    let spec = shape::table_spec(object)?;
    let copies = |step: &&Step| matches!(step, Step::ChangeFormat { .. });
    let (mut swap, binding) = match table.format {
        format if steps.iter().any(copies) && format != spec.format => {
            format::change(context, type_name, table, made).await?
        }
        TableFormat::Iceberg => iceberg(context, &steps, table, made).await?,
        TableFormat::Lance => lance(context, &steps, table, made).await?,
    };
    let namespace = create::namespace_of(context.new, object);
    let named =
        table.type_name == object.name && table.name == spec.name && table.namespace == namespace;
    if !named {
        let swap =
            swap.get_or_insert_with(|| Swap::metadata(table, Arc::clone(&table.metadata_location)));
        swap.type_name = Arc::clone(&object.name);
        swap.name = Arc::clone(&spec.name);
        swap.namespace = namespace;
    }
    made.turn.swaps.extend(swap);
    Ok(binding)
}

async fn iceberg(
    context: &Context<'_>,
    steps: &[&Step],
    table: &Arc<Table>,
    made: &mut Made,
) -> Result<(Option<Swap>, Binding)> {
    let mut draft = Draft::of(context, table)?;
    for step in steps {
        draft.apply(step)?;
    }
    let keep_old = made.turn.versions.is_some();
    let drafted = draft.finish(keep_old, context.lake.config().clock.now())?;
    let Some(metadata) = drafted.metadata else { return Ok((None, drafted.binding)) };
    let delta = Delta { whole: Some(metadata), ..Delta::default() };
    let mut written = snapshot::write(context.lake, table, delta, &info()).await?;
    let swap = written.swap.take();
    made.written.push(written);
    Ok((swap, drafted.binding))
}

async fn lance(
    context: &Context<'_>,
    steps: &[&Step],
    table: &Arc<Table>,
    made: &mut Made,
) -> Result<(Option<Swap>, Binding)> {
    let altered = lance_table::alter(context.lake, table, steps, context.old, context.new).await?;
    let names = names_of(context, table)?;
    let binding = Binding { names, ..Binding::default() };
    let Some((version, statements)) = altered else { return Ok((None, binding)) };
    made.turn.also.extend(statements);
    let mut swap = Swap::metadata(table, Arc::clone(&table.metadata_location));
    swap.lance_version = version;
    Ok((Some(swap), binding))
}

/// What became of each column of a table that finds them by name.
pub(super) fn names_of(
    context: &Context<'_>,
    table: &Table,
) -> Result<Vec<(String, Option<String>)>> {
    let Some(old) = context.old.types.get(&table.type_name) else { return Ok(Vec::new()) };
    let pairing = schema::diff::Pairing::of(context.old, context.new);
    let Some(pair) = pairing.pair_of_old(&old.name) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for (def, column) in old.columns() {
        let now = pair.fields.iter().find(|fields| fields.old.name == def.name);
        let now = now.and_then(|fields| fields.new.column());
        names.push((column.column.to_string(), now.map(|now| now.column.to_string())));
    }
    Ok(names)
}
