//! Writes all rows of a table anew, in another shape: new columns, partitions or order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use base::{Error, Principal, Result};
use frame::RowInterpreter;
use iceberg::spec::Operation;
use schema::{FieldDef, ObjectType};

use super::{Context, StepProgress};
use crate::commit::delta::{Alter, Delta};
use crate::failure::failed;
use crate::lake::object_named;
use crate::layout::Layout;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape::{self, Match};
use crate::stage::StageWriter;
use crate::table::Table;

/// What a rewrite puts into a column that it changes.
#[derive(Clone, Copy)]
pub(super) enum Fill<'a> {
    /// Nothing changes but where rows are.
    Nothing,
    /// The default, in rows that have no value.
    Default {
        /// The column.
        id: i32,
        /// Its field.
        field: &'a FieldDef,
    },
    /// The values of another column, converted.
    From {
        /// The column.
        id: i32,
        /// The column that is read.
        source: i32,
    },
}

/// Cuts the table by the new schema's partitions and buckets.
pub(super) async fn repartition(context: &Context<'_>, type_name: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let object = object_named(context.new, type_name)?;
    let metadata = table.iceberg()?;
    let wanted = shape::partition_spec(object, metadata.current_schema())?;
    let same = |spec: &iceberg::spec::PartitionSpec| {
        let present = spec.fields().iter().map(|field| (field.source_id, field.transform));
        present.eq(wanted.fields().iter().map(|field| (field.source_id, field.transform)))
    };
    if same(metadata.default_partition_spec()) && all_of_spec(context, &table).await? {
        return Ok(());
    }
    let alter = || -> Alter {
        let wanted = wanted.clone();
        Box::new(move |builder| {
            builder.add_default_partition_spec(wanted).map_err(failed("repartition a table"))
        })
    };
    rewrite(context, &table, object, (alter(), alter()), Fill::Nothing).await
}

async fn all_of_spec(context: &Context<'_>, table: &Table) -> Result<bool> {
    let metadata = table.iceberg()?;
    let present = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    let content = context.lake.files().content(metadata, present).await?;
    let spec = metadata.default_partition_spec_id();
    Ok(content.data.iter().all(|file| file.spec_id == spec))
}

/// Orders the table as the new schema says.
pub(super) async fn resort(context: &Context<'_>, type_name: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let object = object_named(context.new, type_name)?;
    let metadata = table.iceberg()?;
    let wanted = shape::sort_order(object, metadata.current_schema())?;
    if metadata.default_sort_order().fields == wanted.fields {
        return Ok(());
    }
    let alter = || -> Alter {
        let wanted = wanted.clone();
        Box::new(move |builder| {
            let added = builder.add_sort_order(wanted).map_err(failed("sort a table"))?;
            added.set_default_sort_order(-1).map_err(failed("sort a table"))
        })
    };
    rewrite(context, &table, object, (alter(), alter()), Fill::Nothing).await
}

/// Writes all rows by the altered metadata and swaps to them. The change is given twice, because it
/// is made once to lay out the files and once in the commit.
pub(super) async fn rewrite(
    context: &Context<'_>,
    table: &Arc<Table>,
    object: &ObjectType,
    (alter, again): (Alter, Alter),
    fill: Fill<'_>,
) -> Result<()> {
    let altered = Context::altered(table, alter)?;
    let mut delta = Delta { alter: Some(again), remove_all: true, ..Delta::default() };
    let rows = table.snapshots().last().map_or(0, |last| last.rows);
    if rows > 0 {
        let key = shape::key_columns(object)?;
        let key: Vec<_> = key
            .into_iter()
            .filter(|name| altered.current_schema().field_by_name(name).is_some())
            .collect();
        let layout = Layout::new(&altered, &key)?;
        let staged = copy(context, table, layout, object, fill).await?;
        delta.operation = Some(match fill {
            Fill::Nothing => Operation::Replace,
            _ => Operation::Overwrite,
        });
        delta.rows = staged.rows as i64 - rows as i64;
        delta.made = staged.data.iter().map(|file| file.file_path().to_owned()).collect();
        delta.add_staged(&staged);
    }
    context.commit(table, delta).await
}

/// Copies the live rows into new files.
async fn copy(
    context: &Context<'_>,
    table: &Table,
    layout: Layout,
    object: &ObjectType,
    fill: Fill<'_>,
) -> Result<crate::stage::StagedFiles> {
    let metadata = table.iceberg()?;
    let present = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    let content = context.lake.files().content(metadata, present).await?;
    let source = shape::arrow_schema(metadata.current_schema())?;
    let target = Arc::clone(&layout.arrow);
    let of: u64 = table.snapshots().last().map_or(0, |last| last.rows);
    let mut stage = StageWriter::with_layout(context.lake, object, layout);
    let all: Vec<usize> = (0..source.fields().len()).collect();
    for file in &content.data {
        let gone = context.lake.files().deleted(file).await?;
        let wanted = Wanted::columns(&source, &all, RowsWanted::Except(gone))?;
        let mut rows = read::read(context.lake.files(), file.data(), wanted).await?;
        while let Some((batch, _)) = rows.next().await? {
            stage.write_physical(reshape(&batch, &target, fill)?).await?;
            (context.progress)(StepProgress { rows: stage.rows(), of });
        }
    }
    stage.finish().await
}

/// A batch of the old columns in the new ones.
fn reshape(
    batch: &RecordBatch,
    target: &arrow::datatypes::SchemaRef,
    fill: Fill<'_>,
) -> Result<RecordBatch> {
    let fields = batch.schema_ref().fields();
    let by_id: HashMap<&str, usize> = fields
        .iter()
        .enumerate()
        .filter_map(|(position, field)| Some((shape::id_of(field)?, position)))
        .collect();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(target.fields().len());
    for field in target.fields() {
        let id = shape::id_of(field).unwrap_or_default();
        let kept = by_id.get(id).map(|position| batch.column(*position));
        columns.push(match fill {
            Fill::Default { id: changed, field: def } if id == changed.to_string() => {
                default_for(def, field, kept, batch.num_rows())?
            }
            Fill::From { id: changed, source } if id == changed.to_string() => {
                let source = by_id.get(source.to_string().as_str());
                let source =
                    source.ok_or_else(|| Error::internal("the converted column is gone"))?;
                super::convert::cast(batch.column(*source), field.data_type())?
            }
            _ => match kept {
                Some(column) => shape::conform(column, field, Match::Id)?,
                None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
            },
        });
    }
    shape::physical_batch(target, columns, batch.num_rows())
}

/// The values that are there, and the default where there are none.
fn default_for(
    def: &FieldDef,
    field: &arrow::datatypes::Field,
    kept: Option<&ArrayRef>,
    rows: usize,
) -> Result<ArrayRef> {
    let default = def.column().and_then(|column| column.default.as_ref());
    let default = default.ok_or_else(|| Error::internal("a column is filled without a default"))?;
    let nothing =
        |_: &[String], _: &frame::DataType| Err(Error::internal("a default reads a field"));
    let value = RowInterpreter.evaluate_row(default, &nothing, &Principal::local())?;
    let filled = frame::convert::array_of(&vec![value; rows], &default.data_type)?;
    let filled = shape::conform(&filled, field, Match::Name)?;
    let Some(kept) = kept else { return Ok(filled) };
    let kept = shape::conform(kept, field, Match::Id)?;
    let has = arrow::compute::is_not_null(&kept).map_err(failed("fill a column"))?;
    arrow::compute::kernels::zip::zip(&has, &kept, &filled).map_err(failed("fill a column"))
}
