//! Gives up what only the old schema needs.
//!
//! In: a change that is true, and an old schema that nobody is served by. Out: tables without hidden
//! columns, files in the present partitions and order, no vectors that nobody asks for. Not here: the
//! service of versions (`catalog`), dropped tables, whose files go with their retention.

use base::Result;
use schema::TableFormat;
use schema::plan::Step;

use super::fill::{self, Fill};
use super::{Context, expand, type_of};
use crate::binding;
use crate::table::Table;

pub(super) async fn contract(context: &Context<'_>) -> Result<()> {
    for step in context.steps {
        let Some(type_name) = type_of(step) else { continue };
        let table = context.lake.table(type_name).await?;
        if table.format == TableFormat::Lance {
            continue;
        }
        uncover(context, type_name).await?;
        if matches!(step, Step::Repartition { .. } | Step::Resort { .. }) {
            fill::fill(context, type_name, Fill::Layout, true).await?;
        }
    }
    for step in context.steps {
        if let Step::DropVectors { type_name, field } = step {
            let table = context.lake.table(type_name).await?;
            let (def, _) = context.stored_before(type_name, field)?;
            let (old, new) = (context.before(type_name)?, context.new.types.get(type_name));
            context.lake.drop_vectors(&table, old, new, &def.name).await?;
        }
    }
    Ok(())
}

/// Takes hidden columns out of the table's schema; files keep them for older snapshots.
async fn uncover(context: &Context<'_>, type_name: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let uncovered = |table: &Table| {
        let present = table.stored()?.current_schema();
        let Some(shown) = binding::shown_of(present) else { return Ok(((), None)) };
        Ok(((), Some(expand::with_fields(table, shown)?)))
    };
    context.alter(&table, uncovered).await
}
