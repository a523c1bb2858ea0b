//! Adds, drops, brings back, renames and widens columns.

use std::sync::Arc;

use base::{Error, Result};
use iceberg::spec::{NestedField, NestedFieldRef, Schema as IcebergSchema, TableMetadata, Type};

use super::rewrite::{self, Fill};
use super::{Context, stored};
use crate::commit::delta::{Alter, Delta};
use crate::failure::failed;
use crate::shape;
use crate::table::Table;

/// Adds a column; rows that are there get the default or null.
pub(super) async fn add(context: &Context<'_>, type_name: &str, field: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let (def, column) = stored(context.after(type_name)?, field)?;
    let metadata = table.iceberg()?;
    if metadata.current_schema().field_by_name(&column.column).is_some() {
        return Ok(());
    }
    let mut next_id = metadata.last_column_id() + 1;
    let added = shape::iceberg_field(def, column, &mut next_id);
    put(context, &table, type_name, field, added).await
}

/// Brings back a column that was dropped, under the id by which old files know it.
pub(super) async fn restore(context: &Context<'_>, type_name: &str, field: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let (def, column) = stored(context.after(type_name)?, field)?;
    let metadata = table.iceberg()?;
    if metadata.current_schema().field_by_name(&column.column).is_some() {
        return Ok(());
    }
    let mut schemas: Vec<_> = metadata.schemas_iter().collect();
    schemas.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let earlier = schemas.iter().find_map(|schema| schema.field_by_name(&column.column));
    let earlier = earlier.ok_or_else(|| {
        Error::not_found(format!("table `{}` never had a column `{}`", table.name, column.column))
    })?;
    let mut restored = earlier.as_ref().clone();
    restored.required = !def.nullable;
    put(context, &table, type_name, field, restored.into()).await
}

/// Puts a column at the end. Files are rewritten only when they must hold something for it.
async fn put(
    context: &Context<'_>,
    table: &Arc<Table>,
    type_name: &str,
    field: &str,
    added: NestedFieldRef,
) -> Result<()> {
    let object = context.after(type_name)?;
    let (def, column) = stored(object, field)?;
    let lacking = rows_lacking(context, table, added.id).await?;
    if added.required && lacking > 0 && column.default.is_none() {
        let text = format!(
            "field `{type_name}.{field}` is required, but table `{}` has {lacking} rows without it",
            table.name
        );
        return Err(Error::invalid(text).hint("give it a `@column(default:)`, or make it nullable"));
    }
    let id = added.id;
    let mut fields = fields_of(table.iceberg()?);
    fields.push(added);
    let alter = with_fields(table, fields.clone())?;
    if lacking == 0 || column.default.is_none() {
        return context.commit(table, Delta { alter: Some(alter), ..Delta::default() }).await;
    }
    let both = (alter, with_fields(table, fields)?);
    rewrite::rewrite(context, table, object, both, Fill::Default { id, field: def }).await
}

/// Rows of data files in which a column is missing or null.
async fn rows_lacking(context: &Context<'_>, table: &Table, id: i32) -> Result<u64> {
    let metadata = table.iceberg()?;
    let present = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    let content = context.lake.files().content(metadata, present).await?;
    let lacking = content.data.iter().map(|file| {
        let data = file.data();
        match data.value_counts().get(&id) {
            Some(_) => data.null_value_counts().get(&id).copied().unwrap_or(0),
            None => data.record_count(),
        }
    });
    Ok(lacking.sum())
}

/// Takes a column out of the schema; files keep it for older snapshots.
pub(super) async fn drop(context: &Context<'_>, type_name: &str, field: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let (_, column) = stored(context.before(type_name)?, field)?;
    let mut fields = fields_of(table.iceberg()?);
    let before = fields.len();
    fields.retain(|kept| kept.name != column.column.as_ref());
    if fields.len() == before {
        return Ok(());
    }
    let alter = with_fields(&table, fields)?;
    context.commit(&table, Delta { alter: Some(alter), ..Delta::default() }).await
}

/// Gives a column another name.
pub(super) async fn rename(
    context: &Context<'_>,
    type_name: &str,
    from: &str,
    to: &str,
) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let (_, old) = stored(context.before(type_name)?, from)?;
    let (_, new) = stored(context.after(type_name)?, to)?;
    let schema = table.iceberg()?.current_schema();
    // It is there already when the names are equal, or an earlier run has renamed it.
    if schema.field_by_name(&new.column).is_some() {
        return Ok(());
    }
    shape::field_id(schema, &old.column)?;
    let renamed = |field: NestedFieldRef| {
        if field.name != old.column.as_ref() {
            return field;
        }
        let mut renamed = field.as_ref().clone();
        renamed.name = new.column.to_string();
        renamed.into()
    };
    let fields = fields_of(table.iceberg()?).into_iter().map(renamed).collect();
    let alter = with_fields(&table, fields)?;
    context.commit(&table, Delta { alter: Some(alter), ..Delta::default() }).await
}

/// Widens a column's type, or lets it be null.
pub(super) async fn widen(context: &Context<'_>, type_name: &str, field: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let (def, column) = stored(context.after(type_name)?, field)?;
    let metadata = table.iceberg()?;
    let id = shape::field_id(metadata.current_schema(), &column.column)?;
    let fields = fields_of(metadata);
    let found = fields.iter().find(|field| field.id == id);
    let present = found.ok_or_else(|| Error::internal("a column has an id but is not there"))?;
    let wanted = shape::iceberg_type(&column.data_type, &mut 0);
    let field_type = match (present.field_type.as_ref(), &wanted) {
        (Type::Primitive(_), Type::Primitive(_)) => wanted,
        // Only its being required changes; the ids of its parts stay.
        (nested, _) => nested.clone(),
    };
    if *present.field_type == field_type && present.required != def.nullable {
        return Ok(());
    }
    let widened = NestedField::new(id, present.name.clone(), field_type, !def.nullable);
    let widened: NestedFieldRef = widened.into();
    let replace = |field: NestedFieldRef| if field.id == id { Arc::clone(&widened) } else { field };
    let alter = with_fields(&table, fields.into_iter().map(replace).collect())?;
    context.commit(&table, Delta { alter: Some(alter), ..Delta::default() }).await
}

/// The columns of the present schema.
pub(super) fn fields_of(metadata: &TableMetadata) -> Vec<NestedFieldRef> {
    metadata.current_schema().as_struct().fields().to_vec()
}

/// The change to a schema of these columns; identifiers that went are identifiers no more.
pub(super) fn with_fields(table: &Table, fields: Vec<NestedFieldRef>) -> Result<Alter> {
    let metadata = table.iceberg()?;
    let present = metadata.current_schema();
    let required = |id: &i32| fields.iter().any(|field| field.id == *id && field.required);
    let identifiers: Vec<i32> = present.identifier_field_ids().filter(required).collect();
    let schema = IcebergSchema::builder()
        .with_schema_id(present.schema_id() + 1)
        .with_fields(fields)
        .with_identifier_field_ids(identifiers)
        .build()
        .map_err(failed(format!("change the columns of table `{}`", table.name)))?;
    let doing = format!("change the columns of table `{}`", table.name);
    Ok(Box::new(move |builder| builder.add_current_schema(schema).map_err(failed(doing))))
}
