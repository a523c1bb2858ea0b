//! Columns of a Lance table: added, dropped, renamed, widened; and what such a table does not offer,
//! said before anything is touched.
//!
//! In: a step of a plan. Out: a version whose columns are those of the step; doing it again finds
//! nothing left to do. A table without rows has no dataset and takes its columns with the first ones.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema as ArrowSchema;
use base::{Error, Kind, Principal, Result};
use frame::{Field, RowInterpreter};
use futures::FutureExt;
use lance::Dataset;
use lance::dataset::{BatchUDF, ColumnAlteration, NewColumnTransform};
use schema::plan::Step;
use schema::{ColumnSpec, FieldDef, ObjectType, Schema, TableFormat};

use super::{Note, Work, types};
use crate::catalog::Statement;
use crate::lake::object_named;
use crate::lance_store::failed;
use crate::{Lake, Table};

/// Refuses the steps that cannot be carried out, for the whole plan at once.
pub(crate) fn refuse(steps: &[&Step], old: &Schema, new: &Schema) -> Result<()> {
    steps.iter().try_for_each(|step| refuse_mixed(step, steps))?;
    steps.iter().try_for_each(|step| refuse_one(step, old, new))
}

/// A copy into another format takes columns as they are.
fn refuse_mixed(step: &Step, steps: &[&Step]) -> Result<()> {
    let Step::ChangeFormat { type_name } = step else { return Ok(()) };
    let changes = |other: &&Step| match other {
        Step::AddColumn { type_name: of, .. }
        | Step::RestoreColumn { type_name: of, .. }
        | Step::RenameColumn { type_name: of, .. }
        | Step::ConvertColumn { type_name: of, .. }
        | Step::ChangeKey { type_name: of } => of == type_name,
        Step::RenameTable { to, .. } => to == type_name,
        _ => false,
    };
    if !steps.iter().any(changes) {
        return Ok(());
    }
    let text = format!("type `{type_name}`: the format changes together with columns or names");
    Err(Error::new(Kind::Unsupported, text)
        .hint("apply the change of the format first, and the other changes after it"))
}

fn refuse_one(step: &Step, old: &Schema, new: &Schema) -> Result<()> {
    let is_lance = |name: &str| {
        let object = new.types.get(name).or_else(|| old.types.get(name));
        let table = object.and_then(|object| object.table());
        table.is_some_and(|table| table.format == TableFormat::Lance)
    };
    let (type_name, what, hint) = match step {
        Step::CreateTable { type_name }
        | Step::BuildSearch { type_name }
        | Step::ChangeFormat { type_name }
            if is_lance(type_name) && searches(new, type_name) =>
        {
            (
                type_name,
                "text search in Lance tables is not offered",
                "use `@table(format: ICEBERG)`, or leave `@search` out",
            )
        }
        Step::RestoreColumn { type_name, .. } if is_lance(type_name) => (
            type_name,
            "a column that was dropped from a Lance table does not come back",
            "read the rows as they were with `headwater export --at`, and import them",
        ),
        Step::ConvertColumn { type_name, .. }
        | Step::ChangeKey { type_name }
        | Step::SetRetention { type_name }
            if is_lance(type_name) =>
        {
            (
                type_name,
                "keys, retention and conversions of a Lance table do not change",
                "use `@table(format: ICEBERG)` for a type that is changed so",
            )
        }
        _ => return Ok(()),
    };
    Err(Error::new(Kind::Unsupported, format!("type `{type_name}`: {what}")).hint(hint))
}

fn searches(schema: &Schema, type_name: &str) -> bool {
    let object = schema.types.get(type_name);
    object.is_some_and(|object| object.fields.values().any(|field| field.search))
}

/// A new version of a Lance table, with the statements that make it visible.
pub(crate) type Altered = Option<(u64, Vec<Statement>)>;

/// Carries out the steps about columns of a Lance table, in a version that nobody sees yet.
pub(crate) async fn alter(
    lake: &Lake,
    table: &Arc<Table>,
    steps: &[&Step],
    old: &Schema,
    new: &Schema,
) -> Result<Altered> {
    let Some(object) = new.types.get(&table.type_name).or_else(|| renamed(table, steps, new))
    else {
        return Ok(None);
    };
    let before = object_named(old, &table.type_name).unwrap_or(object);
    let work = Work::new(lake, object, table);
    let Some(dataset) = work.dataset().await? else { return Ok(None) };
    let mut dataset = dataset.as_ref().clone();
    let mut changed = false;
    for step in steps {
        changed |= match step {
            Step::AddColumn { field, .. } => add(&mut dataset, stored(object, field)?).await?,
            Step::DropColumn { field, .. } => {
                let (_, column) = stored(before, field)?;
                drop_column(&mut dataset, &column.column).await?
            }
            Step::RenameColumn { from, to, .. } => {
                let (_, was) = stored(before, from)?;
                let (_, is) = stored(object, to)?;
                rename(&mut dataset, &was.column, &is.column).await?
            }
            Step::WidenColumn { field, .. } => widen(&mut dataset, stored(object, field)?).await?,
            _ => false,
        };
    }
    if !changed {
        return Ok(None);
    }
    let note = Note { operation: "schema", author: "schema", summary: "schema change" };
    work.prepared(note).map(Some)
}

fn renamed<'a>(table: &Table, steps: &[&Step], new: &'a Schema) -> Option<&'a ObjectType> {
    steps.iter().find_map(|step| match step {
        Step::RenameTable { from, to } if *from == table.type_name => new.types.get(to),
        _ => None,
    })
}

/// Refuses a required column without a default, when there are rows.
pub(crate) async fn check_step(lake: &Lake, step: &Step, old: &Schema, new: &Schema) -> Result<()> {
    refuse_one(step, old, new)?;
    let Step::AddColumn { type_name, field } = step else { return Ok(()) };
    let Some(object) = new.types.get(type_name) else { return Ok(()) };
    let (def, column) = stored(object, field)?;
    let before = object.was.iter().map(|was| &was.name).chain([&object.name]);
    for name in before {
        let Some(table) = lake.catalog().find(name).await? else { continue };
        if table.lance_version > 0 && column.default.is_none() && !def.nullable {
            return Err(lacks(def));
        }
    }
    Ok(())
}

fn lacks(def: &FieldDef) -> Error {
    let text = format!("field `{}` is required, and rows are there without it", def.name);
    Error::invalid(text).hint("give it a `@column(default:)`, or make it nullable")
}

fn stored<'a>(object: &'a ObjectType, field: &str) -> Result<(&'a FieldDef, &'a ColumnSpec)> {
    let found = object.field_named(field).and_then(|(_, def)| Some((def, def.column()?)));
    found.ok_or_else(|| {
        Error::not_found(format!("type `{}` has no stored field `{field}`", object.name))
    })
}

fn has(dataset: &Dataset, column: &str) -> bool {
    dataset.schema().field(column).is_some()
}

fn wrong(error: lance::Error) -> Error {
    failed("change the columns of a Lance table", error)
}

async fn add(dataset: &mut Dataset, (def, column): (&FieldDef, &ColumnSpec)) -> Result<bool> {
    if has(dataset, &column.column) {
        return Ok(false);
    }
    let nullable = def.nullable || column.default.is_none();
    let field = Field::new(Arc::clone(&column.column), column.data_type.clone(), nullable);
    let schema = Arc::new(ArrowSchema::new(vec![types::field_of_lance(&field.to_arrow())]));
    let transform = match &column.default {
        None if !def.nullable => return Err(lacks(def)),
        None => NewColumnTransform::AllNulls(schema),
        Some(default) => {
            let nothing =
                |_: &[String], _: &frame::DataType| Err(Error::internal("a default reads a field"));
            let value = RowInterpreter.evaluate_row(default, &nothing, &Principal::local())?;
            let data_type = column.data_type.clone();
            let ours = Arc::new(ArrowSchema::new(vec![field.to_arrow()]));
            let mapper = move |batch: &RecordBatch| {
                let values = vec![value.clone(); batch.num_rows()];
                frame::convert::array_of(&values, &data_type)
                    .and_then(|array| types::batch(&ours, array))
                    .and_then(|batch| types::of_lance(&batch))
                    .map_err(|error| lance::Error::external(Box::new(error)))
            };
            NewColumnTransform::BatchUDF(BatchUDF {
                mapper: Box::new(mapper),
                output_schema: schema,
                result_checkpoint: None,
            })
        }
    };
    dataset.add_columns(transform, None, None).boxed().await.map_err(wrong)?;
    Ok(true)
}

async fn drop_column(dataset: &mut Dataset, column: &str) -> Result<bool> {
    if !has(dataset, column) {
        return Ok(false);
    }
    dataset.drop_columns(&[column]).boxed().await.map_err(wrong)?;
    Ok(true)
}

async fn rename(dataset: &mut Dataset, from: &str, to: &str) -> Result<bool> {
    if has(dataset, to) {
        return Ok(false);
    }
    let change = ColumnAlteration::new(from.to_owned()).rename(to.to_owned());
    dataset.alter_columns(&[change]).boxed().await.map_err(wrong)?;
    Ok(true)
}

async fn widen(dataset: &mut Dataset, (_, column): (&FieldDef, &ColumnSpec)) -> Result<bool> {
    let field = Field::new(Arc::clone(&column.column), column.data_type.clone(), true).to_arrow();
    let field = types::field_of_lance(&field);
    let present = dataset.schema().field(&column.column).map(|field| field.data_type());
    if present.as_ref() == Some(field.data_type()) {
        return Ok(false);
    }
    let change =
        ColumnAlteration::new(column.column.to_string()).cast_to(field.data_type().clone());
    dataset.alter_columns(&[change]).boxed().await.map_err(wrong)?;
    Ok(true)
}
