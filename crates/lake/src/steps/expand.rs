//! Puts columns that a change prepares into a table, hidden and optional.
//!
//! In: a column of the new schema. Out: the id under which files may hold it from now on. Nobody
//! reads it before the switch gives it its name. Not here: its values (`fill`).

use base::{Error, Result};
use iceberg::spec::{NestedField, NestedFieldRef, Schema as IcebergSchema};
use schema::{ColumnSpec, FieldDef};

use super::convert::same_shape;
use super::draft::{earlier, shown_as};
use super::fill::{self, Fill};
use super::{Context, stored};
use crate::binding;
use crate::commit::delta::{Alter, Delta};
use crate::failure::failed;
use crate::shape;
use crate::table::Table;

/// Prepares an added column, when existing rows get a value in it.
pub(super) async fn add(
    context: &Context<'_>,
    type_name: &str,
    field: &str,
    all: bool,
) -> Result<()> {
    let table = context.table_of(type_name).await?;
    let (def, column) = stored(context.after(type_name)?, field)?;
    if table.iceberg()?.current_schema().field_by_name(&column.column).is_some() {
        return Ok(());
    }
    if Fill::of_added(context, type_name, def, 0)?.is_none() {
        return match table.snapshots().last().map_or(0, |last| last.rows) {
            lacking if lacking > 0 && !def.nullable => {
                Err(required(&format!("{type_name}.{field}"), &table, lacking))
            }
            _ => Ok(()),
        };
    }
    let Some(id) = prepared(context, &table, def, column).await? else { return Ok(()) };
    match Fill::of_added(context, type_name, def, id)? {
        Some(fill) => fill::fill(context, type_name, fill, all).await,
        None => Ok(()),
    }
}

/// Prepares a column that comes back: rows that were written without it get the default.
pub(super) async fn restore(
    context: &Context<'_>,
    type_name: &str,
    field: &str,
    all: bool,
) -> Result<()> {
    let table = context.table_of(type_name).await?;
    let (def, column) = stored(context.after(type_name)?, field)?;
    if table.iceberg()?.current_schema().field_by_name(&column.column).is_some() {
        return Ok(());
    }
    let id = earlier(&table, &column.column)?.id;
    let has_default = column.default.is_some();
    let fill = Fill::Default { id, required: !def.nullable, field: def };
    let lacking = fill::lacking(context, &table, fill).await?;
    if lacking == 0 || (def.nullable && !has_default) {
        return Ok(());
    }
    if !has_default {
        return Err(required(&format!("{type_name}.{field}"), &table, lacking));
    }
    let back = |table: &Table| {
        if table.stored()?.current_schema().field_by_id(id).is_some() {
            return Ok(((), None));
        }
        let known = earlier(table, &column.column)?;
        let back = shown_as(&known, &binding::coming(&column.column), false);
        Ok(((), Some(put(table, back)?)))
    };
    context.alter(&table, back).await?;
    fill::fill(context, type_name, fill, all).await
}

fn required(field: &str, table: &Table, lacking: u64) -> Error {
    let text = format!(
        "field `{field}` is required, but table `{}` has {lacking} rows without it",
        table.name
    );
    Error::invalid(text).hint("give it a `@column(default:)`, or make it nullable")
}

/// The id of the hidden column for this one, which is made when it is missing; nothing in a table
/// without rows, whose column is made by the switch.
pub(super) async fn prepared(
    context: &Context<'_>,
    table: &Table,
    def: &FieldDef,
    column: &ColumnSpec,
) -> Result<Option<i32>> {
    let prepare = |table: &Table| {
        let metadata = table.stored()?;
        let mut next_id = metadata.last_column_id() + 1;
        let wanted = shape::iceberg_field(def, column, &mut next_id);
        let hidden = binding::coming(&wanted.name);
        if let Some(found) = metadata.current_schema().field_by_name(&hidden)
            && same_shape(&found.field_type, &wanted.field_type)
        {
            return Ok((Some(found.id), None));
        }
        if metadata.current_snapshot().is_none() {
            return Ok((None, None));
        }
        let field_type = wanted.field_type.as_ref().clone();
        let column = NestedField::new(wanted.id, hidden, field_type, false);
        Ok((Some(wanted.id), Some(put(table, column.into())?)))
    };
    context.alter(table, prepare).await
}

/// Puts a hidden column at the end, in the place of an earlier one of the same name.
fn put(table: &Table, column: NestedFieldRef) -> Result<Delta> {
    let mut fields = table.stored()?.current_schema().as_struct().fields().to_vec();
    fields.retain(|field| field.name != column.name);
    fields.push(column);
    with_fields(table, fields)
}

/// The change that gives a table these columns.
pub(super) fn with_fields(table: &Table, fields: Vec<NestedFieldRef>) -> Result<Delta> {
    let present = table.stored()?.current_schema();
    let doing = format!("change the columns of table `{}`", table.name);
    let schema = IcebergSchema::builder()
        .with_schema_id(present.schema_id() + 1)
        .with_fields(fields)
        .with_identifier_field_ids(present.identifier_field_ids())
        .build()
        .map_err(failed(doing.clone()))?;
    let alter: Alter =
        Box::new(move |builder| builder.add_current_schema(schema).map_err(failed(doing)));
    Ok(Delta { alter: Some(alter), ..Delta::default() })
}
