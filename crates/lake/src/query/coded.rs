//! Groups rows by one text column without looking at the text of each row.
//!
//! ```text
//! Partial aggregation by a column ← scan of files that hold the column by a dictionary
//!   ⇒ aggregation by codes (`exec`) ← the same scan, which gives dictionary arrays (`reader`)
//! ```
//!
//! In: a physical plan. Out: the same plan, in which such pairs are replaced; what it answers is the
//! same. Files say for each column whether their writer chose a dictionary (`stage`), and rows then
//! hold codes: a code is looked up in the groups once a dictionary, not once a row. Not here: how
//! groups of several nodes are put together, which stays the engine's.

mod exec;
mod reader;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
// Two types have this name; the reader of footers holds this one.
use datafusion::datasource::physical_plan::parquet::metadata::CachedParquetMetaData;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode, Partitioning};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use self::exec::GroupByCodesExec;
use self::reader::coded_readers;

/// Bytes of a dictionary, as stored, up to which its column is read by codes. Writers that do not
/// choose give up on a dictionary at about a megabyte, and the rows after it have no codes.
const DICTIONARY_BYTES: i64 = 64 << 10;

/// The type of a text column that is read by codes.
pub(crate) fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The rule; it knows footers that are held, and leaves a plan over files that it does not know as
/// it is.
#[derive(Debug)]
pub(crate) struct GroupByCodes {
    pub(crate) footers: Arc<dyn FileMetadataCache>,
}

impl PhysicalOptimizerRule for GroupByCodes {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let coded = match node.as_any().downcast_ref::<AggregateExec>() {
                Some(aggregate) => self.by_codes(aggregate)?,
                None => None,
            };
            Ok(match coded {
                Some(coded) => Transformed::yes(coded),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "group_by_codes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl GroupByCodes {
    fn by_codes(&self, aggregate: &AggregateExec) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let Some(by) = grouped_column(aggregate) else { return Ok(None) };
        let Some(input) = self.coded(aggregate.input(), by.index())? else { return Ok(None) };
        Ok(Some(Arc::new(GroupByCodesExec::try_new(aggregate, by.clone(), input)?)))
    }

    /// The plan with this column of its output as codes; nothing when it cannot be had.
    fn coded(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        index: usize,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(scan) = plan.as_any().downcast_ref::<DataSourceExec>() {
            return self.coded_scan(scan, index);
        }
        if !passes_on(plan, index) {
            return Ok(None);
        }
        let Some(child) = self.coded(plan.children()[0], index)? else { return Ok(None) };
        Arc::clone(plan).with_new_children(vec![child]).map(Some)
    }

    fn coded_scan(
        &self,
        scan: &DataSourceExec,
        index: usize,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let config = scan.data_source().as_any().downcast_ref::<FileScanConfig>();
        let Some(config) = config else { return Ok(None) };
        let source = config.file_source.as_any().downcast_ref::<ParquetSource>();
        let Some(source) = source else { return Ok(None) };
        let Some(projected) = projected_columns(config) else { return Ok(None) };
        let schema = Arc::clone(config.file_source.table_schema().file_schema());
        let name = schema.field(projected[index]).name().clone();
        let predicate = config.file_source.filter();
        let untouched = predicate.as_ref().is_none_or(|expr| !mentions(expr, &name));
        if !untouched || !self.all_hold_codes(config, &name) {
            return Ok(None);
        }
        let Some(readers) = source.parquet_file_reader_factory() else { return Ok(None) };
        let readers = coded_readers(Arc::clone(readers), &name);
        let coded = ParquetSource::new(TableSchema::from_file_schema(with_codes(&schema, &name)))
            .with_table_parquet_options(source.table_parquet_options().clone())
            .with_parquet_file_reader_factory(readers);
        let coded = match predicate {
            Some(predicate) => coded.with_predicate(predicate),
            None => coded,
        };
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(Arc::new(coded))
            .with_projection_indices(Some(projected))?
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    /// Whether the writers of all files chose a dictionary for the column.
    fn all_hold_codes(&self, config: &FileScanConfig, name: &str) -> bool {
        let files = config.file_groups.iter().flat_map(|group| group.iter());
        let mut footers = files.map(|file| {
            let held = self.footers.get(&file.object_meta.location)?;
            let held = held.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
            Some(holds_codes(held.parquet_metadata(), name))
        });
        footers.all(|holds| holds == Some(true))
    }
}

/// The one text column by which a first, unordered aggregation groups; nothing when it does anything
/// that codes do not serve.
fn grouped_column(aggregate: &AggregateExec) -> Option<&Column> {
    let group = aggregate.group_expr();
    let [(expr, _)] = group.expr() else { return None };
    let column = expr.as_any().downcast_ref::<Column>()?;
    let input = aggregate.input_schema();
    let is_text = matches!(input.field(column.index()).data_type(), DataType::Utf8);
    let plain = *aggregate.mode() == AggregateMode::Partial
        && group.is_single()
        && aggregate.limit_options().is_none()
        && *aggregate.input_order_mode() == InputOrderMode::Linear;
    let served = aggregate.aggr_expr().iter().all(|function| {
        function.groups_accumulator_supported()
            && function.order_bys().is_empty()
            && function.expressions().iter().all(|expr| !mentions(expr, column.name()))
    });
    let filters = aggregate.filter_expr().iter().flatten();
    let served = served && filters.into_iter().all(|expr| !mentions(expr, column.name()));
    (is_text && plain && served).then_some(column)
}

/// Whether a plan gives a column of its only input on as it is, at the same place.
fn passes_on(plan: &Arc<dyn ExecutionPlan>, index: usize) -> bool {
    if let Some(repartition) = plan.as_any().downcast_ref::<RepartitionExec>() {
        return matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_));
    }
    let Some(filter) = plan.as_any().downcast_ref::<FilterExec>() else { return false };
    let name = plan.schema().field(index).name().clone();
    filter.projection().is_none() && !mentions(filter.predicate(), &name)
}

fn mentions(expr: &Arc<dyn PhysicalExpr>, name: &str) -> bool {
    collect_columns(expr).iter().any(|column| column.name() == name)
}

/// The columns of the table that a scan gives, when it gives them as they are.
fn projected_columns(config: &FileScanConfig) -> Option<Vec<usize>> {
    let projection = config.file_source.projection()?;
    let columns = projection.iter().map(|one| {
        let column = one.expr.as_any().downcast_ref::<Column>()?;
        (column.name() == one.alias).then(|| column.index())
    });
    columns.collect()
}

fn with_codes(schema: &Schema, name: &str) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.name() == name {
        true => Arc::new(field.as_ref().clone().with_data_type(coded_type())),
        false => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Whether all rows of a file hold the column by codes of small dictionaries. A renamed column has
/// another name in older files, and is then read as text.
fn holds_codes(footer: &ParquetMetaData, name: &str) -> bool {
    footer.row_groups().iter().all(|group| {
        let column = group.columns().iter().find(|column| column.column_path().parts() == [name]);
        column.is_some_and(has_small_dictionary)
    })
}

fn has_small_dictionary(column: &ColumnChunkMetaData) -> bool {
    let start = column.dictionary_page_offset();
    start.is_some_and(|start| column.data_page_offset() - start <= DICTIONARY_BYTES)
}
