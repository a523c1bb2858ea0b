//! `frame::Scan` over the tables of both formats.
//!
//! ```text
//! ScanRequest → rows at a snapshot (all | those that match a text | those near a vector)
//!             → predicate → after → limit by → order → limit → columns by API name
//!             → predicate → groups (`aggregate`) → having → after → order → limit
//! ```
//!
//! In: one question to one table in API names. Out: batches in the Arrow forms of `frame`. Not here:
//! SQL text, how vectors and text are indexed (`companion`, `search`).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema, SchemaRef};
use async_trait::async_trait;
use base::{Error, Kind, Result, Scope};
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::displayable;
use frame::{BatchStream, ChangesRequest, ScanRequest, SnapshotRef, State};
use futures::{StreamExt, TryStreamExt};
use schema::{ColumnSpec, ObjectType, TableFormat};

use super::aggregate::schema_of;
use super::direct;
use super::engine::{View, iceberg_provider, shared, snapshot_at};
use super::failure;
use super::sql::bounded;
use super::suggest::did_you_mean;
use super::translate::{Names, SortKey, after, column, translate};
use super::values::to_scalar;
use crate::{Lake, Table, lance_table};

/// The column that numbers rows inside one value of `limit_by`.
const RANK: &str = "_rank";
/// Names of the columns that searches add.
pub(crate) const SCORE: &str = "_score";
/// The distance to the query vector.
pub(crate) const DISTANCE: &str = "_distance";
/// The index of the query vector.
pub(crate) const QUERY: &str = "_query";

#[async_trait]
impl frame::Scan for Lake {
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        let limited = request.limit.is_some();
        let (_, stream) = self.scan_all(request).await?;
        Ok(match limited {
            true => stream,
            false => bounded(stream, self.inner.config.limits.rows),
        })
    }

    async fn count(&self, request: ScanRequest) -> Result<u64> {
        request.principal.require(Scope::Read)?;
        if request.aggregate.is_some() {
            return Err(Error::invalid("groups of rows are not counted"));
        }
        let asked = Asked::new(self, request).await?;
        let rows = asked.rows(self).await?;
        let counted = rows
            .aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64)).alias("rows")])
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        let state = self.inner.query.session();
        let (_, stream) = self.inner.query.run(&state, &counted).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        single_count(&batches)
    }

    async fn snapshot(&self, table: &str) -> Result<i64> {
        let table = self.table(table).await?;
        Ok(match (table.format, &table.iceberg) {
            (TableFormat::Iceberg, Some(metadata)) => metadata.current_snapshot_id().unwrap_or(0),
            _ => i64::try_from(table.lance_version).unwrap_or(i64::MAX),
        })
    }

    async fn since(&self, table: &str, from: i64) -> Result<Vec<State>> {
        self.states_since(table, from).await
    }

    async fn changes(&self, request: ChangesRequest) -> Result<BatchStream> {
        self.changed_rows(request).await
    }
}

fn single_count(batches: &[RecordBatch]) -> Result<u64> {
    use arrow::array::AsArray;
    let first = batches.iter().find(|batch| batch.num_rows() == 1);
    let column = first.and_then(|batch| {
        batch.column(0).as_primitive_opt::<arrow::datatypes::Int64Type>().cloned()
    });
    let rows = column.and_then(|column| u64::try_from(column.value(0)).ok());
    rows.ok_or_else(|| Error::internal("a count gave no number"))
}

impl Lake {
    /// The rows that are asked for with their schema, however many there are.
    pub(crate) async fn scan_all(&self, request: ScanRequest) -> Result<(SchemaRef, BatchStream)> {
        request.principal.require(Scope::Read)?;
        let asked = Asked::new(self, request).await?;
        if asked.request.aggregate.is_none()
            && let Some(batch) = Box::pin(direct::answer(self, &asked)).await?
        {
            let schema = asked.answer_schema()?;
            let whole = Box::pin(futures::stream::once(async move { Ok(batch) }));
            return Ok((Arc::clone(&schema), conformed(whole, schema)));
        }
        let plan = asked.plan(self).await?;
        let state = self.inner.query.session();
        let (_, stream) = self.inner.query.run(&state, &plan).await?;
        let schema = asked.answer_schema()?;
        Ok((Arc::clone(&schema), conformed(stream, schema)))
    }

    /// How a scan would be planned: the engine's plan, as people read it. Small questions that are
    /// answered without a plan are shown as if they were planned.
    pub async fn explain_scan(&self, request: ScanRequest) -> Result<String> {
        request.principal.require(Scope::Read)?;
        let plan = Asked::new(self, request).await?.plan(self).await?;
        let state = self.inner.query.session();
        let physical = state.create_physical_plan(&plan).await.map_err(failure::of_query)?;
        Ok(displayable(physical.as_ref()).indent(false).to_string())
    }

    /// A table at a state, as DataFusion sees it: physical column names.
    pub(crate) async fn provider(
        &self,
        table: &Table,
        at: Option<SnapshotRef>,
        view: View,
    ) -> Result<Arc<dyn TableProvider>> {
        let schema = self.schema();
        let object = schema.types.get(&table.type_name);
        match table.format {
            TableFormat::Iceberg => {
                Ok(shared(iceberg_provider(&self.inner.query, table, object, at, view).await?))
            }
            TableFormat::Lance => lance_table::provider(self, table, object, at).await,
        }
    }
}

/// A request with the table that it is about.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: ScanRequest,
    pub(crate) table: Arc<Table>,
    pub(crate) object: ObjectType,
}

/// API names of a type's fields to columns of its files.
impl Names for ObjectType {
    fn column(&self, field: &str) -> Result<String> {
        let (_, def) = self.field_named(field).ok_or_else(|| unknown_field(self, field))?;
        let column = def.column().ok_or_else(|| unknown_field(self, field))?;
        Ok(column.column.as_ref().to_owned())
    }
}

fn unknown_field(object: &ObjectType, field: &str) -> Error {
    let error = Error::not_found(format!("type `{}` has no stored field `{field}`", object.name));
    match did_you_mean(field, object.columns().map(|(def, _)| def.name.as_ref())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

impl Asked {
    async fn new(lake: &Lake, request: ScanRequest) -> Result<Asked> {
        let schema = lake.schema();
        let object = schema.types.get(&request.table).filter(|object| object.table().is_some());
        let Some(object) = object else {
            let error = Error::not_found(format!("there is no table `{}`", request.table));
            let names = schema.tables().map(|(_, object, _)| object.name.as_ref());
            return Err(match did_you_mean(&request.table, names) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        let table = lake.table(&request.table).await?;
        if let Some(metadata) = &table.iceberg {
            snapshot_at(&table, metadata, request.at)?;
        }
        Ok(Asked { object: object.clone(), table, request })
    }

    /// The rows that are wanted, unordered, with all columns of the table.
    async fn rows(&self, lake: &Lake) -> Result<LogicalPlanBuilder> {
        match &self.request.nearest {
            Some(nearest) => self.near(lake, nearest).await,
            None => self.filtered(self.provider(lake).await?),
        }
    }

    /// The rows of the table at the asked state, or those of them that the search finds.
    pub(crate) async fn provider(&self, lake: &Lake) -> Result<Arc<dyn TableProvider>> {
        match &self.request.search {
            None => lake.provider(&self.table, self.request.at, View::Current).await,
            Some(search) => self.searched(lake, search).await,
        }
    }

    /// The rows of a provider that the predicate wants.
    pub(crate) fn filtered(&self, provider: Arc<dyn TableProvider>) -> Result<LogicalPlanBuilder> {
        let scan = LogicalPlanBuilder::scan("t", provider_as_source(provider), None);
        let rows = scan.map_err(failure::of_query)?;
        let Some(predicate) = &self.request.predicate else { return Ok(rows) };
        let predicate = translate(predicate, &self.object, &self.request.principal)?;
        rows.filter(predicate).map_err(failure::of_query)
    }

    /// What is asked, as a plan.
    async fn plan(&self, lake: &Lake) -> Result<LogicalPlan> {
        let rows = self.rows(lake).await?;
        match &self.request.aggregate {
            Some(aggregate) => self.grouped(rows, aggregate),
            None => self.arrange(rows),
        }
    }

    fn arrange(&self, rows: LogicalPlanBuilder) -> Result<LogicalPlan> {
        let order = self.order()?;
        let rows = self.skip_to_position(rows, &order)?;
        let rows = self.limit_each(rows, &order)?;
        let columns = self.answer_columns()?;
        sorted(rows, &order, self.request.limit)
            .and_then(|rows| rows.project(columns))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)
    }

    fn order(&self) -> Result<Vec<SortKey>> {
        let given = self.request.order.iter().map(|item| {
            Ok(SortKey {
                expr: self.sort_column(&item.field)?,
                descending: item.descending,
                nulls_first: item.nulls_first,
            })
        });
        let order = given.collect::<Result<Vec<_>>>()?;
        let by = |name, descending| SortKey { expr: column(name), descending, nulls_first: false };
        Ok(match (order.is_empty(), &self.request.nearest, &self.request.search) {
            (true, Some(_), _) => vec![by(QUERY, false), by(DISTANCE, false)],
            (true, None, Some(_)) => vec![by(SCORE, true)],
            _ => order,
        })
    }

    fn sort_column(&self, field: &str) -> Result<Expr> {
        let found = (field == SCORE && self.request.search.is_some())
            || (field == DISTANCE && self.request.nearest.is_some());
        if found {
            return Ok(column(field));
        }
        self.require_order(field)?;
        Ok(column(self.spec(field)?.column.as_ref()))
    }

    /// Fails for a field whose values have no order.
    pub(crate) fn require_order(&self, field: &str) -> Result<()> {
        let data_type = &self.spec(field)?.data_type;
        if data_type.is_ordered() {
            return Ok(());
        }
        Err(Error::invalid(format!("field `{field}` of type `{data_type}` has no order")))
    }

    /// The names of the fields that are asked for.
    pub(crate) fn field_names(&self) -> Vec<String> {
        self.request.fields.iter().map(|name| name.as_ref().to_owned()).collect()
    }

    /// The stored column behind a field.
    pub(crate) fn spec(&self, field: &str) -> Result<&ColumnSpec> {
        let found = self.object.field_named(field).and_then(|(_, def)| def.column());
        found.ok_or_else(|| unknown_field(&self.object, field))
    }

    fn skip_to_position(
        &self,
        rows: LogicalPlanBuilder,
        order: &[SortKey],
    ) -> Result<LogicalPlanBuilder> {
        let Some(position) = &self.request.after else { return Ok(rows) };
        if self.request.order.len() != position.len() {
            return Err(Error::invalid("`after` needs one value for each item of the order"));
        }
        let values = self.request.order.iter().zip(position).map(|(item, value)| {
            match item.field.as_ref() {
                SCORE | DISTANCE => to_scalar(value, &frame::DataType::Float),
                field => to_scalar(value, &self.spec(field)?.data_type),
            }
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        rows.filter(after(order, &values)).map_err(failure::of_query)
    }

    fn limit_each(
        &self,
        rows: LogicalPlanBuilder,
        order: &[SortKey],
    ) -> Result<LogicalPlanBuilder> {
        let Some(limit_by) = &self.request.limit_by else { return Ok(rows) };
        let group = column(self.object.column(&limit_by.field)?);
        let most = i64::try_from(limit_by.count).unwrap_or(i64::MAX);
        let rank = row_number()
            .partition_by(vec![group])
            .order_by(order.iter().map(SortKey::to_sort).collect())
            .build()
            .map_err(failure::of_query)?;
        rows.window(vec![rank.alias(RANK)])
            .and_then(|rows| rows.filter(column(RANK).lt_eq(lit(most))))
            .map_err(failure::of_query)
    }

    fn answer_columns(&self) -> Result<Vec<Expr>> {
        let fields = self
            .request
            .fields
            .iter()
            .map(|field| Ok(column(self.object.column(field)?).alias(field.as_ref())));
        let mut columns = fields.collect::<Result<Vec<_>>>()?;
        columns.extend(self.extra_fields().iter().map(|field| column(field.name())));
        Ok(columns)
    }

    fn extra_fields(&self) -> Vec<ArrowField> {
        let mut fields = Vec::new();
        if self.request.search.is_some() {
            fields.push(ArrowField::new(SCORE, ArrowType::Float64, false));
        }
        if self.request.nearest.is_some() {
            fields.push(ArrowField::new(DISTANCE, ArrowType::Float32, false));
            fields.push(ArrowField::new(QUERY, ArrowType::UInt32, false));
        }
        fields
    }

    fn answer_schema(&self) -> Result<SchemaRef> {
        if let Some(aggregate) = &self.request.aggregate {
            return Ok(schema_of(&aggregate.columns(&self.request)?));
        }
        let mut fields = Vec::with_capacity(self.request.fields.len() + 3);
        for name in &self.request.fields {
            let spec = self.spec(name)?;
            let nullable = self.object.fields.get(name).is_none_or(|def| def.nullable);
            // Rows from before a required column was added have none of it in an older state.
            let nullable = nullable || self.request.at.is_some();
            let field = frame::Field::new(Arc::clone(name), spec.data_type.clone(), nullable);
            fields.push(field.to_arrow());
        }
        fields.extend(self.extra_fields());
        Ok(Arc::new(Schema::new(fields)))
    }
}

/// The first rows in an order.
pub(crate) fn sorted(
    rows: LogicalPlanBuilder,
    order: &[SortKey],
    limit: Option<usize>,
) -> datafusion::common::Result<LogicalPlanBuilder> {
    match (order.is_empty(), limit) {
        (true, None) => Ok(rows),
        // The engine cannot sort for no rows.
        (true, limit) | (false, limit @ Some(0)) => rows.limit(0, limit),
        (false, limit) => rows.sort_with_limit(order.iter().map(SortKey::to_sort), limit),
    }
}

/// The stream in exactly the asked schema; one empty batch carries it when there are no rows.
fn conformed(stream: BatchStream, schema: SchemaRef) -> BatchStream {
    let empty = RecordBatch::new_empty(Arc::clone(&schema));
    let mut came = false;
    let batches = stream.map(move |batch| conform(&batch?, &schema)).map(Some);
    let end = futures::stream::once(async { None });
    let with_columns = batches.chain(end).filter_map(move |batch| {
        let batch = match batch {
            Some(batch) => Some(batch),
            None if came => None,
            None => Some(Ok(empty.clone())),
        };
        came = true;
        async move { batch }
    });
    Box::pin(with_columns)
}

fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let arrays = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
        if array.data_type() == field.data_type() {
            return Ok(Arc::clone(array));
        }
        cast_with_options(array, field.data_type(), &strict)
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    arrays
        .collect::<std::result::Result<Vec<ArrayRef>, _>>()
        .and_then(|arrays| RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options))
        .map_err(|error| {
            Error::new(Kind::Corrupt, "stored rows do not fit the schema").caused_by(error)
        })
}
