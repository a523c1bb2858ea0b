//! Readers of Parquet files that give one text column by its codes.
//!
//! In: readers as they are. Out: the same, whose footers ask Arrow's reader to keep the dictionary of
//! the column: it follows the Arrow schema that a file carries, and here the file seems to carry
//! one. Not here: which columns are worth it (`coded`).

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema, parquet_to_arrow_schema};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder};

use super::coded_type;
use crate::query::readers::{Change, ChangedReaders};

/// Readers that give `column` by codes.
pub(super) fn coded_readers(
    inner: Arc<dyn ParquetFileReaderFactory>,
    column: &str,
) -> Arc<dyn ParquetFileReaderFactory> {
    let column: Arc<str> = column.into();
    let change: Change = Arc::new(move |footer| with_codes(&footer, &column));
    ChangedReaders::over(inner, move |_| Arc::clone(&change))
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
