//! Takes back what a change prepared that will not become true.
//!
//! In: the steps of a change before its switch. Out: tables without the hidden columns that it put there,
//! which a later change would find half filled with values of another meaning. What was built beside the
//! rows stays: it is found again, or nothing names it and it goes with the orphans. Not here: what only an
//! earlier version needs (`contract`).

use base::{Kind, Result};
use schema::TableFormat;

use super::{Context, expand, type_of};
use crate::binding;
use crate::table::Table;

pub(super) async fn give_up(context: &Context<'_>) -> Result<()> {
    for step in context.steps {
        let Some(type_name) = type_of(step) else { continue };
        let table = match context.table_of(type_name).await {
            Ok(table) => table,
            // The change would have made it.
            Err(error) if error.kind() == Kind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if table.format == TableFormat::Iceberg {
            context.alter(&table, without_coming).await?;
        }
    }
    Ok(())
}

/// The table without the columns that a change prepared.
fn without_coming(table: &Table) -> Result<((), Option<crate::commit::delta::Delta>)> {
    let present = table.stored()?.current_schema().as_struct().fields();
    let kept: Vec<_> =
        present.iter().filter(|field| !binding::is_coming(&field.name)).cloned().collect();
    match kept.len() == present.len() {
        true => Ok(((), None)),
        false => Ok(((), Some(expand::with_fields(table, kept)?))),
    }
}
