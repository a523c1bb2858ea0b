//! Moves a type between formats: its rows are copied into a dataset of the other one.
//!
//! In: a table, held, and the new schema. Out: where the same table keeps its rows after the switch.
//! Rows go through the API's names and types, which both formats share. The copy is made under the
//! hold, so that no write is missed; it is bounded by the memory of an import, because writers wait
//! for it. The table keeps its id, and with it its media and vectors. Not here: which formats offer
//! what (`lance_table::refuse`).

use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Principal, Result};
use frame::ScanRequest;
use futures::TryStreamExt;
use iceberg::spec::Operation;
use schema::{ObjectType, TableFormat};

use super::switch::{Made, names_of};
use super::{Context, create, info};
use crate::binding::Binding;
use crate::catalog::Swap;
use crate::commit::delta::Delta;
use crate::commit::snapshot;
use crate::lance_table;
use crate::layout::Layout;
use crate::shape;
use crate::stage::StageWriter;
use crate::table::Table;

/// Copies the rows; gives the swap to them.
pub(super) async fn change(
    context: &Context<'_>,
    type_name: &str,
    table: &Arc<Table>,
    made: &mut Made,
) -> Result<(Option<Swap>, Binding)> {
    let object = context.after(type_name)?;
    let batches = rows(context, object, table).await?;
    let binding = Binding { names: names_of(context, table)?, ..Binding::default() };
    let swap = match shape::table_spec(object)?.format {
        TableFormat::Iceberg => to_iceberg(context, object, table, batches, made).await?,
        TableFormat::Lance => {
            let copied = lance_table::copy(context.lake, object, table, batches).await?;
            let (location, version, statements) = copied;
            made.turn.also.extend(statements);
            let mut swap = Swap::metadata(table, location);
            swap.lance_version = version;
            swap.format = TableFormat::Lance;
            swap
        }
    };
    Ok((Some(swap), binding))
}

/// All rows, by the names of the new schema.
async fn rows(
    context: &Context<'_>,
    object: &ObjectType,
    table: &Table,
) -> Result<Vec<RecordBatch>> {
    let before = context.before(&object.name)?;
    let limit = context.lake.config().limits.import_memory;
    let of = table.snapshots().last().map_or(0, |last| last.rows);
    let fields = object.columns().filter(|(def, _)| before.fields.contains_key(&def.name));
    let fields: Vec<Arc<str>> = fields.map(|(def, _)| Arc::clone(&def.name)).collect();
    let request = ScanRequest::new(Arc::clone(&table.type_name), fields, Principal::local());
    let (_, mut stream) = context.lake.scan_all(request).await?;
    let (mut batches, mut bytes, mut count) = (Vec::new(), 0, 0);
    while let Some(batch) = stream.try_next().await? {
        bytes += batch.get_array_memory_size() as u64;
        count += batch.num_rows() as u64;
        if bytes > limit {
            let text =
                format!("table `{}` is too large to be copied while writers wait", table.name);
            return Err(Error::new(Kind::LimitExceeded, text)
                .hint("raise `limits.import_memory`, or make a new type and import the rows"));
        }
        batches.push(batch);
        context.progress(count, of);
    }
    Ok(batches)
}

async fn to_iceberg(
    context: &Context<'_>,
    object: &ObjectType,
    table: &Arc<Table>,
    batches: Vec<RecordBatch>,
    made: &mut Made,
) -> Result<Swap> {
    let mut empty = create::empty(context.lake, context.new, object, TableFormat::Iceberg).await?;
    empty.id = table.id;
    empty.version = table.version;
    let layout = Layout::new(empty.iceberg()?, &shape::key_columns(object)?)?;
    let mut stage = StageWriter::with_layout(context.lake, object, layout);
    for batch in batches {
        stage.write(batch).await?;
    }
    let staged = stage.finish().await?;
    let mut delta = Delta { rows: staged.rows as i64, ..Delta::default() };
    delta.made = staged.data.iter().map(|file| file.file_path().to_owned()).collect();
    delta.operation = (!staged.is_empty()).then_some(Operation::Append);
    delta.add_staged(&staged);
    let empty = Arc::new(empty);
    let mut written = snapshot::write(context.lake, &empty, delta, &info()).await?;
    let location = match written.swap.take() {
        Some(swap) => swap.metadata_location,
        None => Arc::clone(&empty.metadata_location),
    };
    made.written.push(written);
    let mut swap = Swap::metadata(table, location);
    swap.lance_version = 0;
    swap.format = TableFormat::Iceberg;
    Ok(swap)
}
