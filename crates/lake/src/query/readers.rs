//! Readers of Parquet files whose footers say something else than the files.
//!
//! In: readers as they are, and for each file what its footer is made to say. Out: readers that differ in
//! nothing else. Not here: what footers are made to say (`coded::reader`, `floats`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::ParquetMetaData;

/// Makes a footer say something else.
pub(super) type Change =
    Arc<dyn Fn(Arc<ParquetMetaData>) -> ParquetResult<Arc<ParquetMetaData>> + Send + Sync>;

/// Makes readers with other footers.
pub(super) struct ChangedReaders<F> {
    inner: Arc<dyn ParquetFileReaderFactory>,
    change_of: F,
}

impl<F> ChangedReaders<F>
where
    F: Fn(&PartitionedFile) -> Change + Send + Sync + 'static,
{
    /// `change_of` says how the footer of a file is changed.
    pub(super) fn over(
        inner: Arc<dyn ParquetFileReaderFactory>,
        change_of: F,
    ) -> Arc<dyn ParquetFileReaderFactory> {
        Arc::new(ChangedReaders { inner, change_of })
    }
}

impl<F> fmt::Debug for ChangedReaders<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangedReaders").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F> ParquetFileReaderFactory for ChangedReaders<F>
where
    F: Fn(&PartitionedFile) -> Change + Send + Sync + 'static,
{
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DfResult<Box<dyn AsyncFileReader + Send>> {
        let change = (self.change_of)(&file);
        let inner = self.inner.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(ChangedReader { inner, change }))
    }
}

struct ChangedReader {
    inner: Box<dyn AsyncFileReader + Send>,
    change: Change,
}

impl AsyncFileReader for ChangedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<bytes::Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<bytes::Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let change = Arc::clone(&self.change);
        let footer = self.inner.get_metadata(options);
        footer.and_then(async move |footer| change(footer)).boxed()
    }
}
