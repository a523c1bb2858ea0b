//! Writes rows of one partition as one Parquet file with everything that Iceberg wants to know of
//! it: field ids, counts, bounds, bloom filters, page index.

use std::collections::HashMap;

use arrow::compute::take_record_batch;
use base::{Error, Result};
use iceberg::spec::{DataFile, Datum, PrimitiveLiteral, PrimitiveType, SchemaRef};
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriterBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::divide::Run;
use super::repeats::{self, Choice};
use super::sort;
use crate::failure::failed;
use crate::lake::Lake;
use crate::layout::Layout;

/// Rows that are copied at a time.
const CHUNK: usize = 8192;
/// Rows of a row group: the unit in which readers skip.
const GROUP_ROWS: usize = 256 * 1024;
/// Rows of a page: what a look-up decodes.
const PAGE_ROWS: usize = crate::query::direct::blocks::BLOCK_ROWS;
/// Bytes of a row group, which the writer holds.
const GROUP_BYTES: usize = 64 << 20;
/// How hard compression tries.
pub(super) const LEVEL: i32 = 1;
/// Characters of a text bound in the manifest.
const BOUND: usize = 64;

/// Writes one run.
pub(super) async fn write(lake: &Lake, layout: &Layout, run: Run) -> Result<DataFile> {
    let name = lake.config().rng.uuid();
    let location = format!("{}/{name}.parquet", layout.data_location);
    let doing = || format!("write data file `{location}`");
    let output = lake.io().new_output(&location).map_err(failed(doing()))?;
    let schema = layout.schema.clone();
    let order = sort::order(layout, &run.rows)?;
    let choice = repeats::choose(&run.rows, order.as_ref())?;
    let properties = properties(layout, run.rows.num_rows(), &choice)?;
    let builder = ParquetWriterBuilder::new(properties, schema.clone());
    let mut writer = builder.build(output).await.map_err(failed(doing()))?;
    for from in (0..run.rows.num_rows()).step_by(CHUNK) {
        let rows = CHUNK.min(run.rows.num_rows() - from);
        let chunk = match &order {
            Some(order) => {
                take_record_batch(&run.rows, &order.slice(from, rows)).map_err(failed(doing()))?
            }
            None => run.rows.slice(from, rows),
        };
        writer.write(&chunk).await.map_err(failed(doing()))?;
    }
    let built = writer.close().await.map_err(failed(doing()))?;
    let mut builder = built
        .into_iter()
        .next()
        .ok_or_else(|| Error::internal(format!("failed to {}: it has no rows", doing())))?;
    builder.partition(run.partition).partition_spec_id(layout.spec.spec_id());
    if let Some(order) = layout.sort_order_id {
        builder.sort_order_id(order);
    }
    let file = builder.build().map_err(failed(doing()))?;
    let (lower, upper) = bounds(&file, &schema);
    builder.lower_bounds(lower).upper_bounds(upper).build().map_err(failed(doing()))
}

/// How files are written. Statistics are not cut short in the file, because a cut bound of one row
/// group cannot be joined with another's; the manifest's are cut afterwards.
fn properties(layout: &Layout, rows: usize, choice: &Choice) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(LEVEL).map_err(failed("write a data file"))?;
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by("headwater".to_owned())
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_truncate_length(None);
    let fields = layout.schema.as_struct().fields();
    for column in &layout.blooms {
        let path = ColumnPath::from(fields[*column].name.as_str());
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), 0.01)
            .set_column_bloom_filter_ndv(path, rows.clamp(1, GROUP_ROWS) as u64);
    }
    let path = |column: &usize| ColumnPath::from(fields[*column].name.as_str());
    for column in &choice.seldom {
        builder = builder.set_column_dictionary_enabled(path(column), false);
    }
    for column in &choice.random {
        builder = builder.set_column_compression(path(column), Compression::UNCOMPRESSED);
    }
    Ok(builder.build())
}

type Bounds = HashMap<i32, Datum>;

/// The file's bounds, with long texts cut: a lower one to its beginning, an upper one to the
/// smallest shorter text above it. Bytes have none.
fn bounds(file: &DataFile, schema: &SchemaRef) -> (Bounds, Bounds) {
    let is_binary = |id: &i32| {
        let field = schema.field_by_id(*id);
        let primitive = field.and_then(|field| field.field_type.as_primitive_type());
        matches!(primitive, Some(PrimitiveType::Binary))
    };
    let cut = |all: &Bounds, shorten: fn(&str) -> Option<String>| {
        let kept = all.iter().filter(|(id, _)| !is_binary(id));
        let short = kept.filter_map(|(id, bound)| match bound.literal() {
            PrimitiveLiteral::String(text) if text.chars().nth(BOUND).is_some() => {
                Some((*id, Datum::string(shorten(text)?)))
            }
            _ => Some((*id, bound.clone())),
        });
        short.collect()
    };
    (cut(file.lower_bounds(), shorten_lower), cut(file.upper_bounds(), shorten_upper))
}

fn shorten_lower(text: &str) -> Option<String> {
    Some(text.chars().take(BOUND).collect())
}

fn shorten_upper(text: &str) -> Option<String> {
    let mut short: Vec<char> = text.chars().take(BOUND).collect();
    while let Some(last) = short.pop() {
        // The last character is raised; one that cannot be raised is dropped, and the one before
        // it is raised instead.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            short.push(next);
            return Some(short.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_bounds_still_hold_the_text_between_them() {
        for text in ["a".repeat(100), format!("{}z", "\u{10FFFF}".repeat(70)), "é".repeat(80)] {
            assert!(shorten_lower(&text).is_some_and(|low| low.as_str() <= text.as_str()));
            assert!(shorten_upper(&text).is_none_or(|high| high.as_str() > text.as_str()));
        }
        assert_eq!(shorten_upper(&"\u{10FFFF}".repeat(70)), None);
        let before_the_gap = format!("{}\u{D7FF}{}", "a".repeat(BOUND - 1), "b".repeat(9));
        assert!(shorten_upper(&before_the_gap).is_some_and(|high| high.ends_with('\u{E000}')));
    }
}
