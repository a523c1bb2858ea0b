//! Finds the rows that have given keys: which data file, which position.
//!
//! In: a set of keys and a snapshot's content. Out: live matches. Files are passed over by partition
//! and by the bounds of the key's columns; when the keys are few, row groups by bloom filter and
//! pages by their bounds. Then the key's columns alone are read. A data file never changes, so what
//! was found in one is kept for the next attempt of the same commit. Not here: what to do with the
//! rows.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use base::Result;
use iceberg::spec::{DataFile, Datum, PrimitiveLiteral, Transform};
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use parquet::bloom_filter::Sbbf;

use super::positions::Gone;
use crate::failure::failed;
use crate::files::{Content, Files, LiveFile, partition_key, partition_text};
use crate::keys::{self, KeyHash};
use crate::layout::Layout;
use crate::query::direct::zones::Zones;
use crate::read::{self, RowsWanted, Wanted};
use crate::stage::StagedFiles;

/// Keys up to which bloom filters are asked, each for each row group.
const FEW: usize = 64;

/// A position in a file, with its key.
pub(crate) type Hit = (u64, KeyHash);

/// Matches by data file, whether live or not: what one commit has found so far.
pub(crate) type Found = HashMap<String, Arc<Vec<Hit>>>;

/// Keys that are looked for, and what is known of them beforehand.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// The keys.
    pub(crate) hashes: HashSet<KeyHash>,
    /// The key's columns, when the keys are few enough to be held.
    pub(crate) columns: Vec<ArrayRef>,
    /// Bounds of groups of keys, by field id: a file that overlaps none has no match.
    pub(crate) ranges: Vec<HashMap<i32, (Datum, Datum)>>,
    /// Partitions of the keys, when the key decides the partition.
    pub(crate) partitions: Option<HashSet<String>>,
}

/// Live rows of one file that match.
#[derive(Clone, Debug)]
pub(crate) struct Matches {
    /// The file.
    pub(crate) file: LiveFile,
    /// The rows, in the order of the file.
    pub(crate) hits: Vec<Hit>,
}

impl Wants {
    /// Keys given by their columns.
    pub(crate) fn of_columns(layout: &Layout, columns: Vec<ArrayRef>) -> Result<Wants> {
        let hashes: HashSet<KeyHash> = keys::hashes(&columns)?.into_iter().collect();
        let mut range = HashMap::new();
        for (column, id) in columns.iter().zip(layout.key_ids()) {
            if let Some(bounds) = bounds_of(column) {
                range.insert(id, bounds);
            }
        }
        let partitions = partitions_of_keys(layout, &columns)?;
        Ok(Wants { hashes, columns, ranges: vec![range], partitions })
    }

    /// Keys of whole files, whose own bounds are taken.
    pub(crate) fn of_files(
        layout: &Layout,
        hashes: HashSet<KeyHash>,
        files: &[DataFile],
        spec_id: i32,
    ) -> Wants {
        let range = |file: &DataFile| {
            let bounds = layout.key_ids().into_iter().filter_map(|id| {
                let low = file.lower_bounds().get(&id)?.clone();
                Some((id, (low, file.upper_bounds().get(&id)?.clone())))
            });
            bounds.collect()
        };
        let partitions = key_decides_partition(layout)
            .then(|| files.iter().map(|file| partition_key(spec_id, file)).collect());
        Wants { hashes, columns: Vec::new(), ranges: files.iter().map(range).collect(), partitions }
    }

    /// Whether a file may have one of the keys.
    fn may_be_in(&self, layout: &Layout, spec_id: i32, file: &DataFile) -> bool {
        let same_spec = spec_id == layout.spec.spec_id();
        if let (true, Some(partitions)) = (same_spec, &self.partitions)
            && !partitions.contains(&partition_key(spec_id, file))
        {
            return false;
        }
        self.ranges.iter().any(|range| overlaps(range, file))
    }
}

/// The live rows that have one of the keys.
pub(crate) async fn locate(
    files: &Files,
    layout: &Layout,
    content: &Content,
    wants: &Wants,
    found: &mut Found,
) -> Result<Vec<Matches>> {
    let mut matches = Vec::new();
    if wants.hashes.is_empty() {
        return Ok(matches);
    }
    let may = |file: &&LiveFile| wants.may_be_in(layout, file.spec_id, file.data());
    for file in content.data.iter().filter(may) {
        let hits = match found.get(file.path()) {
            Some(hits) => Arc::clone(hits),
            None => {
                let hits = Arc::new(search(files, layout, file.data(), wants).await?);
                found.insert(file.path().to_owned(), Arc::clone(&hits));
                hits
            }
        };
        if hits.is_empty() {
            continue;
        }
        let deleted = files.deleted(file).await?;
        let live = hits.iter().filter(|(row, _)| deleted.binary_search(row).is_err());
        let hits: Vec<Hit> = live.copied().collect();
        if !hits.is_empty() {
            matches.push(Matches { file: file.clone(), hits });
        }
    }
    Ok(matches)
}

/// The rows of staged files that have one of the keys, to be deleted.
pub(crate) async fn in_staged(
    files: &Files,
    layout: &Layout,
    staged: &StagedFiles,
    wants: &Wants,
) -> Result<Vec<Gone>> {
    let mut gone = Vec::new();
    if wants.hashes.is_empty() {
        return Ok(gone);
    }
    let spec_id = staged.spec_id;
    for file in staged.data.iter().filter(|file| wants.may_be_in(layout, spec_id, file)) {
        let hits = search(files, layout, file, wants).await?;
        let mut rows: Vec<u64> = hits.iter().map(|(row, _)| *row).collect();
        rows.sort_unstable();
        let (path, partition) = (file.file_path().to_owned(), file.partition().clone());
        gone.push(Gone { path, spec_id, partition, rows });
    }
    Ok(gone)
}

/// All rows of a file that have one of the keys.
async fn search(
    files: &Files,
    layout: &Layout,
    file: &DataFile,
    wants: &Wants,
) -> Result<Vec<Hit>> {
    let rows = match few_rows(files, layout, file, wants).await? {
        Some(ranges) if ranges.is_empty() => return Ok(Vec::new()),
        Some(ranges) => RowsWanted::Within(ranges),
        None => RowsWanted::Except(Vec::new()),
    };
    let mut hits = Vec::new();
    each_key(files, layout, file, rows, |row, key| {
        if wants.hashes.contains(&key) {
            hits.push((row, key));
        }
    })
    .await?;
    Ok(hits)
}

/// Calls `each` with the position and key of rows of a file.
pub(crate) async fn each_key(
    files: &Files,
    layout: &Layout,
    file: &DataFile,
    rows: RowsWanted,
    mut each: impl FnMut(u64, KeyHash) + Send,
) -> Result<()> {
    let (columns, order) = layout.key_in_files();
    let wanted = Wanted::columns(&layout.arrow, &columns, rows)?;
    let mut reading = read::read(files, file, wanted).await?;
    while let Some((batch, rows)) = reading.next().await? {
        let key: Vec<ArrayRef> =
            order.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        for (row, key) in rows.iter().zip(keys::hashes(&key)?) {
            each(*row, key);
        }
    }
    Ok(())
}

/// The rows that may have one of few keys: row groups by their bloom filters, and in those pages by
/// the bounds of the key's first column, by which files are ordered. Nothing when keys are many.
async fn few_rows(
    files: &Files,
    layout: &Layout,
    file: &DataFile,
    wants: &Wants,
) -> Result<Option<Vec<Range<usize>>>> {
    let Some(first) = wants.columns.first() else { return Ok(None) };
    if first.is_empty() || first.len() > FEW {
        return Ok(None);
    }
    let mut builder = files.open(file).await?;
    let doing = || format!("look for keys in `{}`", file.file_path());
    let roots: Vec<Option<usize>> =
        layout.key.iter().map(|key| root(layout, &builder, *key)).collect();
    let mut ranges = Vec::new();
    let mut start = 0;
    for group in 0..builder.metadata().num_row_groups() {
        let mut filters = Vec::with_capacity(roots.len());
        for (root, keys) in roots.iter().zip(&wants.columns) {
            // A column that was widened since has filters of other values.
            let fields = builder.schema().fields();
            let root = root.filter(|root| fields[*root].data_type() == keys.data_type());
            let leaf = root.and_then(|root| leaf_of(builder.parquet_schema(), root));
            filters.push(match leaf {
                Some(leaf) => builder
                    .get_row_group_column_bloom_filter(group, leaf)
                    .await
                    .map_err(failed(doing()))?,
                None => None,
            });
        }
        let rows = builder.metadata().row_group(group).num_rows();
        let end = start + usize::try_from(rows).unwrap_or(0);
        if any_key_may_be(&filters, &wants.columns) {
            ranges.push(start..end);
        }
        start = end;
    }
    let name = roots.first().copied().flatten().map(|root| builder.schema().field(root).name());
    let Some(name) = name.filter(|_| is_bounded(first)) else { return Ok(Some(ranges)) };
    let footer = builder.metadata();
    let zones = Zones::of(footer, builder.schema(), name, first.data_type());
    let pages = zones.map_err(failed(doing()))?.holding(first)?;
    Ok(Some(common(&ranges, &pages)))
}

/// The position in a file of a column of the table.
fn root(
    layout: &Layout,
    builder: &ParquetRecordBatchStreamBuilder<ParquetObjectReader>,
    column: usize,
) -> Option<usize> {
    let id = layout.schema.as_struct().fields()[column].id.to_string();
    let mut fields = builder.schema().fields().iter();
    fields.position(|field| crate::shape::id_of(field) == Some(&id))
}

/// Types whose bounds are those of their values, whoever wrote the file.
fn is_bounded(column: &ArrayRef) -> bool {
    matches!(column.data_type(), DataType::Utf8 | DataType::Int32 | DataType::Int64)
}

/// What is within a range of both sides, which are sorted.
fn common(left: &[Range<usize>], right: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut common = Vec::new();
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let (start, end) = (one.start.max(other.start), one.end.min(other.end));
        if start < end {
            common.push(start..end);
        }
        if one.end < other.end {
            left.next()
        } else {
            right.next()
        };
    }
    common
}

fn leaf_of(schema: &parquet::schema::types::SchemaDescriptor, root: usize) -> Option<usize> {
    (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root)
}

fn any_key_may_be(filters: &[Option<Sbbf>], columns: &[ArrayRef]) -> bool {
    let rows = columns.first().map_or(0, |column| column.len());
    (0..rows).any(|row| {
        filters.iter().zip(columns).all(|(filter, column)| match filter {
            Some(filter) => may_be(filter, column, row),
            None => true,
        })
    })
}

/// Whether the filter may hold the value; types that are not asked may be there.
fn may_be(filter: &Sbbf, column: &ArrayRef, row: usize) -> bool {
    match column.data_type() {
        DataType::Utf8 => filter.check(&column.as_string::<i32>().value(row)),
        DataType::Int32 => filter.check(&column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => filter.check(&column.as_primitive::<Int64Type>().value(row)),
        DataType::FixedSizeBinary(_) => filter.check(column.as_fixed_size_binary().value(row)),
        _ => true,
    }
}

/// Smallest and largest of the types whose bounds are compared.
fn bounds_of(column: &ArrayRef) -> Option<(Datum, Datum)> {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let low = texts.iter().flatten().min()?;
            Some((Datum::string(low), Datum::string(texts.iter().flatten().max()?)))
        }
        DataType::Int32 => {
            let numbers = column.as_primitive::<Int32Type>();
            Some((Datum::int(min(numbers)?), Datum::int(max(numbers)?)))
        }
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>();
            Some((Datum::long(min(numbers)?), Datum::long(max(numbers)?)))
        }
        _ => None,
    }
}

/// Whether the bounds of a file and of keys have values in common, in every column of the key.
fn overlaps(range: &HashMap<i32, (Datum, Datum)>, file: &DataFile) -> bool {
    let apart = |id: i32, low: &Datum, high: &Datum| {
        let below = file.upper_bounds().get(&id).is_some_and(|bound| is_less(bound, low));
        let above = file.lower_bounds().get(&id).is_some_and(|bound| is_less(high, bound));
        below || above
    };
    let mut separate = false;
    for (id, (low, high)) in range_items(range) {
        separate |= apart(id, low, high);
    }
    !separate
}

fn range_items(
    range: &HashMap<i32, (Datum, Datum)>,
) -> impl Iterator<Item = (i32, &(Datum, Datum))> {
    let mut ids: Vec<i32> = range.keys().copied().collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(|id| Some((id, range.get(&id)?)))
}

/// Compares across the widening from `Int` to `Long`; what cannot be compared is not less.
fn is_less(left: &Datum, right: &Datum) -> bool {
    use PrimitiveLiteral::{Int, Long, String as Text};
    match (left.literal(), right.literal()) {
        (Int(left), Long(right)) => i64::from(*left) < *right,
        (Long(left), Int(right)) => *left < i64::from(*right),
        (Text(left), Text(right)) => left < right,
        _ => left < right,
    }
}

/// Whether rows with one key always have one partition.
fn key_decides_partition(layout: &Layout) -> bool {
    let ids = layout.key_ids();
    let fields = layout.spec.fields();
    !fields.is_empty()
        && fields.iter().all(|field| {
            ids.contains(&field.source_id) && !matches!(field.transform, Transform::Void)
        })
}

fn partitions_of_keys(layout: &Layout, columns: &[ArrayRef]) -> Result<Option<HashSet<String>>> {
    if !key_decides_partition(layout) {
        return Ok(None);
    }
    let partitions = layout.partitions_of_keys(columns)?;
    let spec_id = layout.spec.spec_id();
    Ok(Some(partitions.iter().map(|partition| partition_text(spec_id, partition)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_lists_of_ranges_have_in_common_is_in_both() {
        let check = |left: &[Range<usize>], right: &[Range<usize>], expected: &[Range<usize>]| {
            assert_eq!(common(left, right), expected);
            assert_eq!(common(right, left), expected);
        };
        check(&[0..10, 20..30], &[0..3, 3..6, 9..22, 29..40], &[0..3, 3..6, 9..10, 20..22, 29..30]);
        check(&[0..10, 30..31], &[10..20, 25..30], &[]);
        check(&[], &[0..1, 2..3], &[]);
    }
}
