//! Readers of Parquet files that give one text column by its codes.
//!
//! In: readers as they are. Out: the same, whose footers ask Arrow's reader to keep the dictionary of
//! the column: it follows the Arrow schema that a file carries, and here the file seems to carry
//! one. Not here: which columns are worth it (`coded`).

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema, parquet_to_arrow_schema};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder};

use super::coded_type;

/// Makes readers that give `column` by codes.
#[derive(Debug)]
pub(super) struct CodedReaders {
    pub(super) inner: Arc<dyn ParquetFileReaderFactory>,
    pub(super) column: Arc<str>,
}

impl ParquetFileReaderFactory for CodedReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DfResult<Box<dyn AsyncFileReader + Send>> {
        let inner = self.inner.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(CodedReader { inner, column: Arc::clone(&self.column) }))
    }
}

struct CodedReader {
    inner: Box<dyn AsyncFileReader + Send>,
    column: Arc<str>,
}

impl AsyncFileReader for CodedReader {
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
        let column = Arc::clone(&self.column);
        let footer = self.inner.get_metadata(options);
        footer.and_then(async move |footer| with_codes(&footer, &column)).boxed()
    }
}

/// The footer as it would be, had the file been written from codes.
fn with_codes(footer: &ParquetMetaData, column: &str) -> ParquetResult<Arc<ParquetMetaData>> {
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
    let fields = schema.fields().iter().map(|field| {
        match field.name() == column && *field.data_type() == DataType::Utf8 {
            true => Arc::new(field.as_ref().clone().with_data_type(coded_type())),
            false => Arc::clone(field),
        }
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let says = KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), encode_arrow_schema(&schema));
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(vec![says]),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let footer = ParquetMetaDataBuilder::new(file)
        .set_row_groups(footer.row_groups().to_vec())
        .set_column_index(footer.column_index().cloned())
        .set_offset_index(footer.offset_index().cloned())
        .build();
    Ok(Arc::new(footer))
}
