//! Writes files anew in units of a few, while everybody reads and writes the table.
//!
//! ```text
//! live files → those that lack something → a unit of them → rewritten files → one commit
//! ```
//!
//! In: what files may lack (a column that a change prepares, the table's partitions and order). Out:
//! a table in which none lacks it. Each unit is a commit of its own that fails only when rows of the
//! same files were changed meanwhile; what is left to do is read from the table itself, so that a
//! killed apply goes on where it stopped. Not here: what becomes visible when (`switch`).

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field as ArrowField, SchemaRef};
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Principal, Result};
use frame::{Evaluate, Expr, RowInterpreter};
use iceberg::spec::{DataFile, NestedFieldRef, TableMetadata, Type};
use schema::{FieldDef, FieldKind, ObjectType};

use super::Context;
use super::hold::Hold;
use crate::commit::retry::Attempts;
use crate::failure::failed;
use crate::files::{Content, LiveFile};
use crate::layout::Layout;
use crate::maintain::Chosen;
use crate::query::DataFusionEvaluator;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape::{self, Match};
use crate::stage::{StageWriter, StagedFiles};
use crate::table::Table;

/// Races for the same files after which a unit is written under a hold.
const RACES: u32 = 3;
/// Rows, and files, that may be left to be filled while writers wait.
pub(super) const HELD_ROWS: u64 = 2_000;
const HELD_FILES: usize = 32;

/// What a unit puts into the files that it writes anew.
#[derive(Clone, Copy)]
pub(super) enum Fill<'a> {
    /// Nothing changes but where rows are.
    Layout,
    /// The default, in rows that have no value.
    Default {
        /// The column.
        id: i32,
        /// Whether a missing value is always one that the default stands for.
        required: bool,
        /// Its field.
        field: &'a FieldDef,
    },
    /// What an expression over the old schema's fields gives.
    Derived {
        /// The column.
        id: i32,
        /// The expression.
        expr: &'a Expr,
        /// The type that its fields belong to.
        object: &'a ObjectType,
    },
    /// The values of another column, converted.
    From {
        /// The column.
        id: i32,
        /// The column that is read.
        source: i32,
    },
}

impl<'a> Fill<'a> {
    /// What existing rows get in an added column; nothing when that is null.
    pub(super) fn of_added(
        context: &Context<'a>,
        type_name: &str,
        def: &'a FieldDef,
        id: i32,
    ) -> Result<Option<Fill<'a>>> {
        let object = context.before(type_name)?;
        let was = object.fields.get(&def.name).map(|field| &field.kind);
        if let Some(FieldKind::Derived(derived)) = was
            && derived.beyond.is_none()
        {
            return Ok(Some(Fill::Derived { id, expr: &derived.expr, object }));
        }
        let has_default = def.column().is_some_and(|column| column.default.is_some());
        let required = !def.nullable;
        Ok(has_default.then_some(Fill::Default { id, required, field: def }))
    }

    fn lacks(&self, table: &TableMetadata, file: &LiveFile) -> bool {
        let data = file.data();
        match self {
            Fill::Layout => {
                let order = table.default_sort_order();
                let unsorted = !order.is_unsorted()
                    && data.sort_order_id().map(i64::from) != Some(order.order_id);
                file.spec_id != table.default_partition_spec_id() || unsorted
            }
            Fill::Default { id, required, .. } => lacks_column(table, data, *id, *required),
            Fill::Derived { id, .. } | Fill::From { id, .. } => {
                lacks_column(table, data, *id, false)
            }
        }
    }
}

/// Whether a file has no such column at all or, where every row must have a value, rows without one.
pub(super) fn lacks_column(
    table: &TableMetadata,
    file: &DataFile,
    id: i32,
    required: bool,
) -> bool {
    let field = table.current_schema().field_by_id(id);
    let leaf = field.map_or(id, first_leaf);
    match file.value_counts().get(&leaf) {
        None => file.record_count() > 0,
        Some(_) => required && file.null_value_counts().get(&leaf).is_some_and(|count| *count > 0),
    }
}

/// Files count values of columns that hold nothing else.
fn first_leaf(field: &NestedFieldRef) -> i32 {
    match field.field_type.as_ref() {
        Type::Primitive(_) => field.id,
        Type::List(list) => first_leaf(&list.element_field),
        Type::Map(map) => first_leaf(&map.key_field),
        Type::Struct(parts) => parts.fields().first().map_or(field.id, first_leaf),
    }
}

/// Rows in files that lack something.
pub(super) async fn lacking(context: &Context<'_>, table: &Table, fill: Fill<'_>) -> Result<u64> {
    let metadata = table.stored()?;
    let content = present(context, table).await?;
    let files = content.data.iter().filter(|file| fill.lacks(metadata, file));
    Ok(files.map(|file| file.data().record_count()).sum())
}

async fn present(context: &Context<'_>, table: &Table) -> Result<Content> {
    let metadata = table.stored()?;
    let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    context.lake.files().content(metadata, snapshot).await
}

/// Fills until nothing lacks, or, when the rest will be filled under a hold, until that is little.
pub(super) async fn fill(
    context: &Context<'_>,
    type_name: &str,
    fill: Fill<'_>,
    all: bool,
) -> Result<()> {
    let (mut attempts, mut races) = (Attempts::new(context.lake), 0);
    let mut units = Units { most: None, done: 0, all };
    loop {
        // Taken before the table is read, for what is read now must still hold when it is replaced.
        let hold = match races >= RACES && !all {
            true => {
                let table = context.table_of(type_name).await?.id;
                Some(Hold::take(context.lake, &[table]).await?)
            }
            false => None,
        };
        let lake = hold.as_ref().map_or(context.lake, |hold| &hold.lake);
        let result = units.next(context, lake, type_name, fill).await;
        if let Some(hold) = hold {
            hold.end().await?;
        }
        match result {
            Ok(None) => return Ok(()),
            Ok(Some(rows)) => {
                races = 0;
                // Who holds the table neither rests nor pauses: writers wait.
                if !all {
                    (context.control.between)(rows).await?;
                }
            }
            Err(error) if error.kind() == Kind::Conflict => {
                races += 1;
                attempts.again(error).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// How far a fill has come.
struct Units {
    /// Rows that lacked something at the beginning.
    most: Option<u64>,
    done: u64,
    /// Whether nothing may be left.
    all: bool,
}

impl Units {
    /// Fills the next unit and says how many rows that were; `None` when what is left is little enough.
    async fn next(
        &mut self,
        context: &Context<'_>,
        lake: &crate::Lake,
        type_name: &str,
        fill: Fill<'_>,
    ) -> Result<Option<u64>> {
        let table = Arc::new(context.table_of(type_name).await?.whole());
        let metadata = Arc::clone(table.stored()?);
        let content = present(context, &table).await?;
        let left = content.data.iter().filter(|file| fill.lacks(&metadata, file));
        let left: Vec<LiveFile> = left.cloned().collect();
        let rows: u64 = left.iter().map(|file| file.data().record_count()).sum();
        let of = *self.most.get_or_insert(rows);
        context.progress(of.saturating_sub(rows), of);
        let few = HELD_ROWS.min(context.control.unit_rows);
        let chased = self.done > 16 + 4 * of.div_ceil(context.control.unit_rows.max(1));
        // Writers that are always faster must not keep a change from its switch, nor a layout, which
        // later compactions mend as well, from its end.
        let enough = match fill {
            Fill::Layout => chased,
            _ => !self.all && ((rows <= few && left.len() <= HELD_FILES) || chased),
        };
        if rows == 0 || enough {
            return Ok(None);
        }
        let unit = first_unit(left, context.control.unit_rows);
        let staged = stage(context, &table, &unit, fill).await?;
        let chosen = Chosen { files: unit, join: None };
        let done = lake.replace_files(&table, &content, &chosen, &staged, "schema change").await?;
        self.done += 1;
        Ok(Some(done.rows))
    }
}

fn first_unit(files: Vec<LiveFile>, rows: u64) -> Vec<LiveFile> {
    let mut sum = 0;
    let fits = |file: &LiveFile| {
        let before = sum;
        sum += file.data().record_count();
        before == 0 || sum <= rows
    };
    files.into_iter().take_while(fits).collect()
}

async fn stage(
    context: &Context<'_>,
    table: &Table,
    unit: &[LiveFile],
    fill: Fill<'_>,
) -> Result<StagedFiles> {
    let metadata = table.stored()?;
    // Until the switch the table has the names of the old schema, afterwards those of the new one.
    let object = context.object_of(table)?;
    let layout = Layout::new(metadata, &shape::key_columns(object)?)?;
    let columns = Arc::clone(&layout.arrow);
    let mut stage = StageWriter::with_layout(context.lake, object, layout);
    let all: Vec<usize> = (0..columns.fields().len()).collect();
    for file in unit {
        let gone = context.lake.files().deleted(file).await?;
        let wanted = Wanted::columns(&columns, &all, RowsWanted::Except(gone))?;
        let mut rows = read::read(context.lake.files(), file.data(), wanted).await?;
        while let Some((batch, _)) = rows.next().await? {
            stage.write_physical(filled(&batch, &columns, fill)?).await?;
        }
    }
    stage.finish().await
}

/// A batch with what it lacked.
fn filled(batch: &RecordBatch, columns: &SchemaRef, fill: Fill<'_>) -> Result<RecordBatch> {
    let id = match fill {
        Fill::Layout => return Ok(batch.clone()),
        Fill::Default { id, .. } | Fill::Derived { id, .. } | Fill::From { id, .. } => id,
    };
    let place = position(columns, id)?;
    let field = columns.field(place);
    let mut arrays = batch.columns().to_vec();
    arrays[place] = match fill {
        Fill::Layout => return Ok(batch.clone()),
        Fill::Default { field: def, .. } => {
            default_for(def, field, &arrays[place], batch.num_rows())?
        }
        Fill::Derived { expr, object, .. } => computed(expr, object, batch, field)?,
        Fill::From { source, .. } => {
            super::convert::cast(&arrays[position(columns, source)?], field.data_type())?
        }
    };
    shape::physical_batch(columns, arrays, batch.num_rows())
}

fn position(columns: &SchemaRef, id: i32) -> Result<usize> {
    let id = id.to_string();
    let found = columns.fields().iter().position(|field| shape::id_of(field) == Some(&id));
    found.ok_or_else(|| Error::new(Kind::Conflict, "the columns of a table changed meanwhile"))
}

/// The values that are there, and the default where there are none.
fn default_for(
    def: &FieldDef,
    field: &ArrowField,
    kept: &ArrayRef,
    rows: usize,
) -> Result<ArrayRef> {
    let default = def.column().and_then(|column| column.default.as_ref());
    let default = default.ok_or_else(|| Error::internal("a column is filled without a default"))?;
    let nothing =
        |_: &[String], _: &frame::DataType| Err(Error::internal("a default reads a field"));
    let value = RowInterpreter.evaluate_row(default, &nothing, &Principal::local())?;
    let filled = frame::convert::array_of(&vec![value; rows], &default.data_type)?;
    let filled = shape::conform(&filled, field, Match::Name)?;
    let has = arrow::compute::is_not_null(kept).map_err(failed("fill a column"))?;
    arrow::compute::kernels::zip::zip(&has, kept, &filled).map_err(failed("fill a column"))
}

/// What the expression gives for each row.
fn computed(
    expr: &Expr,
    object: &ObjectType,
    batch: &RecordBatch,
    field: &ArrowField,
) -> Result<ArrayRef> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (def, column) in object.columns() {
        let Some(array) = batch.column_by_name(&column.column) else { continue };
        let wanted = frame::Field::new(Arc::clone(&def.name), column.data_type.clone(), true);
        let wanted = wanted.to_arrow();
        arrays.push(shape::conform(array, &wanted, Match::Name)?);
        fields.push(wanted);
    }
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let rows = shape::physical_batch(&schema, arrays, batch.num_rows())?;
    let values = DataFusionEvaluator.evaluate(expr, &rows, &Principal::local())?;
    shape::conform(&values, field, Match::Name)
}
