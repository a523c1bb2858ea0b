//! Writes position-delete files: one for each partition that loses rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use base::{Error, Result};
use iceberg::spec::{
    DataContentType, DataFile, NestedField, PrimitiveType, Schema, SchemaRef, Struct, Type,
};
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriterBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::delta::{Delta, NewFile};
use super::locate::Matches;
use crate::failure::failed;
use crate::files::{FILE_PATH_ID, POSITION_ID, partition_text};
use crate::lake::Lake;
use crate::shape;
use crate::table::Table;

/// Rows of one data file that go.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) path: String,
    pub(crate) spec_id: i32,
    pub(crate) partition: Struct,
    /// Sorted, each once.
    pub(crate) rows: Vec<u64>,
}

impl Gone {
    /// All rows of these matches.
    pub(crate) fn of(matches: &Matches) -> Gone {
        let mut rows: Vec<u64> = matches.hits.iter().map(|(row, _)| *row).collect();
        rows.sort_unstable();
        Gone {
            path: matches.file.path().to_owned(),
            spec_id: matches.file.spec_id,
            partition: matches.file.data().partition().clone(),
            rows,
        }
    }
}

/// Writes the deletes and adds them to the delta, with the rows that they take away.
pub(crate) async fn delete(
    lake: &Lake,
    table: &Table,
    gone: Vec<Gone>,
    delta: &mut Delta,
) -> Result<()> {
    let mut by_partition: BTreeMap<String, Vec<Gone>> = BTreeMap::new();
    for one in gone.into_iter().filter(|one| !one.rows.is_empty()) {
        delta.rows -= one.rows.len() as i64;
        let key = partition_text(one.spec_id, &one.partition);
        by_partition.entry(key).or_default().push(one);
    }
    let location = table.iceberg()?.location().to_owned();
    for (_, mut gone) in by_partition {
        gone.sort_by(|a, b| a.path.cmp(&b.path));
        let name = lake.config().rng.uuid();
        let path = format!("{location}/data/{name}-deletes.parquet");
        delta.made.push(path.clone());
        let file = write(lake, path, &gone).await?;
        delta.add_deletes.push(NewFile { file, spec_id: gone[0].spec_id });
    }
    Ok(())
}

async fn write(lake: &Lake, location: String, gone: &[Gone]) -> Result<DataFile> {
    let doing = || format!("write position deletes `{location}`");
    let schema = schema()?;
    let level = ZstdLevel::try_new(1).map_err(failed(doing()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_truncate_length(None)
        .build();
    let output = lake.io().new_output(&location).map_err(failed(doing()))?;
    let builder = ParquetWriterBuilder::new(properties, Arc::clone(&schema));
    let mut writer = builder.build(output).await.map_err(failed(doing()))?;
    for one in gone {
        writer.write(&batch(&schema, one)?).await.map_err(failed(doing()))?;
    }
    let built = writer.close().await.map_err(failed(doing()))?;
    let lost = || Error::internal(format!("failed to {}: it has no rows", doing()));
    let mut file = built.into_iter().next().ok_or_else(lost)?;
    file.content(DataContentType::PositionDeletes)
        .partition(gone[0].partition.clone())
        .partition_spec_id(gone[0].spec_id);
    if let [only] = gone {
        file.referenced_data_file(Some(only.path.clone()));
    }
    file.build().map_err(failed(doing()))
}

fn schema() -> Result<SchemaRef> {
    let text = Type::Primitive(PrimitiveType::String);
    let long = Type::Primitive(PrimitiveType::Long);
    let fields = [
        NestedField::required(FILE_PATH_ID, "file_path", text).into(),
        NestedField::required(POSITION_ID, "pos", long).into(),
    ];
    let built = Schema::builder().with_fields(fields).build();
    Ok(Arc::new(built.map_err(failed("write position deletes"))?))
}

fn batch(schema: &SchemaRef, gone: &Gone) -> Result<RecordBatch> {
    let paths = StringArray::from_iter_values(std::iter::repeat_n(&gone.path, gone.rows.len()));
    let rows = gone.rows.iter().map(|row| i64::try_from(*row).unwrap_or(i64::MAX));
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(paths), Arc::new(Int64Array::from_iter_values(rows))];
    shape::physical_batch(&shape::arrow_schema(schema)?, columns, gone.rows.len())
}
