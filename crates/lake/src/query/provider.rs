//! An Iceberg table as DataFusion sees it.
//!
//! In: a table at one snapshot. Out: a plan that reads only the files, row groups and pages that the
//! filters need, files spread over the cores, deleted rows left out, with exact statistics. Not
//! here: which snapshot (`engine`), what files it has (`manifests`).

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result as DfResult, Statistics, ToDFSchema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::TableMetadata;
use object_store::ObjectMeta;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;

use super::columns::{ByFieldId, Columns};
use super::engine::Engine;
use super::floats::{true_bounds, without_nan};
use super::manifests::{FileEntry, SnapshotFiles};
use super::prune::{file_statistics, prune};

/// Files up to which a plan knows the footers of all.
const FOOTERS_BEFORE: usize = 256;
const FOOTERS_AT_ONCE: usize = 8;

/// One snapshot of an Iceberg table.
#[derive(Clone, Debug)]
pub(crate) struct IcebergProvider {
    pub(crate) engine: Arc<Engine>,
    pub(crate) metadata: Arc<TableMetadata>,
    pub(crate) columns: Arc<Columns>,
    pub(crate) files: Arc<SnapshotFiles>,
}

#[async_trait]
impl TableProvider for IcebergProvider {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        // Files, row groups and pages are left out by them; the rows that remain are filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let predicate = self.predicate(state, filters)?;
        let kept = prune(&self.metadata, &self.columns, &self.files.data, predicate.as_ref());
        self.plan(&kept, projection, predicate, limit).await
    }

    fn statistics(&self) -> Option<Statistics> {
        if !self.files.deletes.is_empty() {
            return None;
        }
        let files: Vec<_> = self
            .files
            .data
            .iter()
            .map(|entry| file_statistics(&entry.file, 0, &self.columns))
            .collect();
        Statistics::try_merge_iter(&files, &self.columns.schema).ok()
    }
}

impl IcebergProvider {
    fn predicate(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> DfResult<Option<Arc<dyn PhysicalExpr>>> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(None) };
        let schema = Arc::clone(&self.columns.schema).to_dfschema()?;
        Ok(Some(state.create_physical_expr(filter, &schema)?))
    }

    async fn plan(
        &self,
        kept: &[Arc<FileEntry>],
        projection: Option<&Vec<usize>>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        if kept.is_empty() {
            let schema = match projection {
                Some(indices) => Arc::new(self.columns.schema.project(indices)?),
                None => Arc::clone(&self.columns.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        if limit.is_none() && self.reads_text(projection) {
            self.hold_footers(kept).await?;
        }
        let files = self.partitioned_files(kept).await?;
        let config =
            FileScanConfigBuilder::new(self.engine.store_url.clone(), self.source(kept, predicate))
                .with_statistics(self.merged_statistics(&files))
                .with_file_group(FileGroup::new(files))
                .with_projection_indices(projection.cloned())?
                .with_limit(limit)
                .with_expr_adapter(Some(Arc::new(ByFieldId(Arc::clone(&self.columns)))))
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn reads_text(&self, projection: Option<&Vec<usize>>) -> bool {
        let fields = self.columns.schema.fields();
        match projection {
            Some(indices) => {
                indices.iter().any(|index| *fields[*index].data_type() == DataType::Utf8)
            }
            None => false,
        }
    }

    /// Reads the footers that the scan will need before it is planned: they say which texts the files
    /// hold by codes.
    async fn hold_footers(&self, kept: &[Arc<FileEntry>]) -> DfResult<()> {
        if kept.len() > FOOTERS_BEFORE {
            return Ok(());
        }
        let footers = kept.iter().map(|entry| {
            let (engine, entry) = (Arc::clone(&self.engine), Arc::clone(entry));
            async move {
                let meta = engine.object_meta(&entry.file)?;
                engine.footer(&meta).await.map(|_held| ())
            }
        });
        let footers: Vec<_> = footers.collect();
        let footers = stream::iter(footers).buffer_unordered(FOOTERS_AT_ONCE);
        footers.try_collect::<()>().await.map_err(outside)
    }

    fn source(
        &self,
        kept: &[Arc<FileEntry>],
        predicate: Option<Arc<dyn PhysicalExpr>>,
    ) -> Arc<ParquetSource> {
        let schema = TableSchema::from_file_schema(Arc::clone(&self.columns.schema));
        let readers = CachedParquetFileReaderFactory::new(
            Arc::clone(&self.engine.objects),
            self.engine.footers(),
        );
        let source = ParquetSource::new(schema)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true)
            .with_parquet_file_reader_factory(self.with_true_bounds(kept, Arc::new(readers)));
        Arc::new(match predicate {
            Some(predicate) => source.with_predicate(predicate),
            None => source,
        })
    }

    /// Readers that give no bounds of floats which may be NaN.
    fn with_true_bounds(
        &self,
        kept: &[Arc<FileEntry>],
        inner: Arc<dyn ParquetFileReaderFactory>,
    ) -> Arc<dyn ParquetFileReaderFactory> {
        let fields = self.columns.schema.fields().iter();
        if !fields.clone().any(|field| field.data_type().is_floating()) {
            return inner;
        }
        let safe = kept.iter().filter_map(|entry| {
            let meta = self.engine.object_meta(&entry.file).ok()?;
            Some((meta.location, Arc::new(without_nan(&entry.file))))
        });
        true_bounds(inner, safe.collect())
    }

    async fn partitioned_files(&self, kept: &[Arc<FileEntry>]) -> DfResult<Vec<PartitionedFile>> {
        let deleted = self.engine.manifests.deleted_rows(&self.files, kept).await;
        let deleted = deleted.map_err(outside)?;
        let mut files = Vec::with_capacity(kept.len());
        for entry in kept {
            let meta = self.engine.object_meta(&entry.file).map_err(outside)?;
            let gone = deleted.get(entry.file.file_path()).map_or(&[][..], Vec::as_slice);
            let statistics = file_statistics(&entry.file, gone.len() as u64, &self.columns);
            let mut file = PartitionedFile::new_from_meta(meta.clone());
            if !gone.is_empty() {
                let footer = self.engine.footer(&meta).await.map_err(outside)?;
                file = file.with_extensions(Arc::new(access_plan(&footer, gone)));
            }
            files.push(file.with_statistics(Arc::new(statistics)));
        }
        Ok(files)
    }

    fn merged_statistics(&self, files: &[PartitionedFile]) -> Statistics {
        let known = files.iter().filter_map(|file| file.statistics.as_deref());
        Statistics::try_merge_iter(known, &self.columns.schema).unwrap_or_else(|_| Statistics {
            num_rows: Precision::Absent,
            ..Statistics::new_unknown(&self.columns.schema)
        })
    }
}

fn outside(error: base::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Everything of a file but the rows at `gone`, whose positions ascend.
pub(crate) fn access_plan(footer: &ParquetMetaData, gone: &[u64]) -> ParquetAccessPlan {
    let mut groups = Vec::with_capacity(footer.num_row_groups());
    let (mut start, mut rest) = (0_u64, gone);
    for group in footer.row_groups() {
        let end = start + u64::try_from(group.num_rows()).unwrap_or(0);
        let (here, later) = rest.split_at(rest.partition_point(|position| *position < end));
        groups.push(group_access(start, end, here));
        (start, rest) = (end, later);
    }
    ParquetAccessPlan::new(groups)
}

fn group_access(start: u64, end: u64, gone: &[u64]) -> RowGroupAccess {
    if gone.is_empty() {
        return RowGroupAccess::Scan;
    }
    if gone.len() as u64 == end - start {
        return RowGroupAccess::Skip;
    }
    let (mut selectors, mut at) = (Vec::with_capacity(gone.len() * 2 + 1), start);
    for position in gone {
        selectors.push(RowSelector::select(rows_between(at, *position)));
        selectors.push(RowSelector::skip(1));
        at = position + 1;
    }
    selectors.push(RowSelector::select(rows_between(at, end)));
    selectors.retain(|selector| selector.row_count > 0);
    RowGroupAccess::Selection(RowSelection::from(selectors))
}

fn rows_between(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}

/// How DataFusion names the one object store.
pub(crate) fn store_url(warehouse: &str) -> base::Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(format!("s3://{warehouse}")).map_err(|error| {
        base::Error::invalid(format!("`{warehouse}` cannot name a warehouse")).caused_by(error)
    })
}

/// An object whose bytes never change, so that neither its time nor its tag matters.
pub(crate) fn immutable_object(location: object_store::path::Path, size: u64) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size,
        e_tag: None,
        version: None,
    }
}
