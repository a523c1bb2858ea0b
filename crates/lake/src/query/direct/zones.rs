//! Smallest and largest values of a column, page by page.
//!
//! In: a file's footer with its page index. Out: the row ranges that may hold given values. Not here:
//! bounds of whole files, which the manifest has.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Scalar, UInt64Array, make_comparator, new_null_array,
};
use arrow::compute::kernels::{boolean, cmp};
use arrow::compute::{CastOptions, SortOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use base::{Error, Kind, Result};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use super::blocks::BLOCK_ROWS;
use super::unfit;
use crate::query::manifests::FileEntry;
use crate::query::provider::IcebergProvider;

/// What is known of a column's pages. Without a page index a row group counts as one page; without
/// any statistics the file does.
#[derive(Debug)]
pub(crate) struct Zones {
    ranges: Vec<Range<usize>>,
    /// Lower and upper bounds of each range, null where they are not known.
    bounds: Option<(ArrayRef, ArrayRef)>,
}

impl IcebergProvider {
    /// The zones of a column in a file, by the column's position in the table.
    pub(super) async fn zones(&self, file: &FileEntry, index: usize) -> Result<Arc<Zones>> {
        let id = self.columns.id(index).unwrap_or(-1);
        let data_type = self.columns.schema.field(index).data_type();
        let key = (Arc::<str>::from(file.file.file_path()), id);
        let held = self.engine.zones.get(&key);
        if let Some(zones) = held.filter(|zones| zones.is_of(data_type)) {
            return Ok(zones);
        }
        let meta = self.engine.object_meta(&file.file)?;
        let footer = self.engine.footer(&meta).await?;
        let schema = parquet_to_arrow_schema(
            footer.file_metadata().schema_descr(),
            footer.file_metadata().key_value_metadata(),
        );
        let schema = schema.map_err(|error| damaged(file, error))?;
        let source = self.columns.sources(&[index], &schema).first().copied();
        let zones = match source {
            Some(source) => {
                let name = schema.field(source).name();
                Zones::of(&footer, &schema, name, data_type)
                    .map_err(|error| damaged(file, error))?
            }
            // The file is older than the column: every row has the default.
            None => Zones::unknown(&footer),
        };
        let zones = Arc::new(zones);
        let weight = zones.ranges.len() * 48 + 256;
        self.engine.zones.put(key, Arc::clone(&zones), weight);
        Ok(zones)
    }
}

fn damaged(file: &FileEntry, error: parquet::errors::ParquetError) -> Error {
    Error::new(Kind::Corrupt, format!("failed to read `{}`", file.file.file_path()))
        .caused_by(error)
}

impl Zones {
    fn unknown(footer: &ParquetMetaData) -> Zones {
        let rows = usize::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        Zones { ranges: std::iter::once(0..rows).collect(), bounds: None }
    }

    /// Of a file's column by its name, with bounds of the wanted type.
    pub(crate) fn of(
        footer: &ParquetMetaData,
        schema: &arrow::datatypes::Schema,
        name: &str,
        wanted: &DataType,
    ) -> parquet::errors::Result<Zones> {
        let groups: Vec<usize> = (0..footer.num_row_groups()).collect();
        let descriptor = footer.file_metadata().schema_descr();
        let converter = StatisticsConverter::try_new(name, schema, descriptor)?;
        let (counts, low, high) = match (footer.column_index(), footer.offset_index()) {
            (Some(pages), Some(offsets)) => (
                converter.data_page_row_counts(offsets, footer.row_groups(), &groups)?,
                converter.data_page_mins(pages, offsets, &groups)?,
                converter.data_page_maxes(pages, offsets, &groups)?,
            ),
            _ => (
                converter.row_group_row_counts(footer.row_groups())?,
                converter.row_group_mins(footer.row_groups())?,
                converter.row_group_maxes(footer.row_groups())?,
            ),
        };
        let cast =
            |bounds: &ArrayRef| cast_with_options(bounds, wanted, &CastOptions::default()).ok();
        let (Some(counts), Some(low), Some(high)) = (counts, cast(&low), cast(&high)) else {
            return Ok(Zones::unknown(footer));
        };
        let ranges = ranges(&counts);
        let bounds =
            (low.len() == ranges.len() && high.len() == ranges.len()).then_some((low, high));
        Ok(Zones { ranges, bounds })
    }

    fn is_of(&self, wanted: &DataType) -> bool {
        self.bounds.as_ref().is_none_or(|(low, _)| low.data_type() == wanted)
    }

    /// The ranges of rows that may hold one of the values.
    pub(crate) fn holding(&self, values: &ArrayRef) -> Result<Vec<Range<usize>>> {
        let Some((low, high)) = &self.bounds else { return Ok(self.ranges.clone()) };
        let mut may = vec![false; self.ranges.len()];
        for value in 0..values.len() {
            let one = Scalar::new(values.slice(value, 1));
            let above: BooleanArray = cmp::lt_eq(low, &one).map_err(unfit)?;
            let below = cmp::gt_eq(high, &one).map_err(unfit)?;
            let within = boolean::and_kleene(&above, &below).map_err(unfit)?;
            // A bound that is not known excludes nothing.
            for (range, may) in may.iter_mut().enumerate() {
                *may |= within.is_null(range) || within.value(range);
            }
        }
        let kept = self.ranges.iter().zip(may).filter(|(range, may)| *may && !range.is_empty());
        Ok(kept.map(|(range, _)| range.clone()).collect())
    }

    /// Of each block the value nearest to the start of the order that it may hold; null where that is not
    /// known.
    pub(super) fn nearest(
        &self,
        blocks: &[usize],
        descending: bool,
        data_type: &DataType,
    ) -> Result<ArrayRef> {
        let Some((low, high)) = &self.bounds else {
            return Ok(new_null_array(data_type, blocks.len()));
        };
        let bounds = if descending { high } else { low };
        let options = SortOptions { descending, nulls_first: true };
        let compare = make_comparator(bounds, bounds, options).map_err(unfit)?;
        let nearest = blocks.iter().map(|block| {
            let (start, end) = (block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS);
            let first = self.ranges.partition_point(|range| range.end <= start);
            let within = self.ranges[first..].iter().take_while(|range| range.start < end);
            let within = first..first + within.count();
            // A bound that is not known comes before all that are.
            within.min_by(|one, other| compare(*one, *other)).map(|at| at as u64)
        });
        take(bounds, &nearest.collect::<UInt64Array>(), None).map_err(unfit)
    }
}

fn ranges(counts: &UInt64Array) -> Vec<Range<usize>> {
    let mut start = 0;
    let each = counts.iter().map(|count| {
        let end = start + usize::try_from(count.unwrap_or(0)).unwrap_or(0);
        let range = start..end;
        start = end;
        range
    });
    each.collect()
}
