//! The first rows of an order: which blocks may have them, and which rows they are.
//!
//! ```text
//! blocks → nearest value that each may hold → the nearest block → its rows → the best so far
//!        ↑                                                                          │
//!        └──────────── until no other block may hold a row before the worst of them ┘
//! ```
//!
//! In: blocks of a table and an order with a limit. Out: blocks one after the other, so that a page of a
//! sorted table costs the blocks that it is in. A column's bounds say which values a block may hold; what
//! they do not say is looked at first. Not here: reading rows.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, DynComparator, Scalar, make_comparator};
use arrow::compute::kernels::cmp;
use arrow::compute::{self, LexicographicalComparator, SortColumn, SortOptions};
use base::{Error, Result};

use super::blocks::MOST_BLOCKS_ORDERED;
use super::equals::is_compared;
use super::unfit;
use crate::query::manifests::FileEntry;
use crate::query::provider::IcebergProvider;
use crate::query::scan::Asked;
use crate::query::values::to_scalar;

/// A block of a file.
pub(super) type Block<'a> = (&'a Arc<FileEntry>, usize);

/// Blocks in the order in which they are worth looking into.
pub(super) struct First<'a> {
    /// The position of the column that orders first.
    pub(super) column: usize,
    /// How many rows are wanted.
    count: usize,
    options: SortOptions,
    /// Nearest first, with the nearest value that each may hold; null where that is not known.
    blocks: Vec<Block<'a>>,
    bounds: ArrayRef,
    /// How many blocks were looked into.
    seen: usize,
    /// The best values of those, in order.
    best: ArrayRef,
}

impl<'a> First<'a> {
    /// The blocks of a request with an order and a limit; nothing when their bounds say nothing about it.
    pub(super) async fn of(
        asked: &Asked,
        provider: &IcebergProvider,
        after: Option<&After>,
        blocks: &[Block<'a>],
    ) -> Result<Option<First<'a>>> {
        let (Some(item), Some(count)) = (asked.request.order.first(), asked.request.limit) else {
            return Ok(None);
        };
        let spec = asked.spec(&item.field)?;
        let column = provider.column(&spec.column)?;
        let field = provider.columns.schema.field(column);
        // Bounds pass over nulls.
        let nulls_come_first = item.nulls_first && field.is_nullable();
        if count == 0 || nulls_come_first || !is_compared(&spec.data_type) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        let mut kept = Vec::with_capacity(blocks.len());
        for of_file in blocks.chunk_by(|(one, _), (other, _)| Arc::ptr_eq(one, other)) {
            let Some((file, _)) = of_file.first() else { continue };
            if is_wide(provider, file, column).await? {
                return Ok(None);
            }
            let zones = provider.zones(file, column).await?;
            let numbers: Vec<usize> = of_file.iter().map(|(_, block)| *block).collect();
            let may = match after {
                Some(after) => {
                    let farthest = zones.nearest(&numbers, !item.descending, field.data_type())?;
                    after.may_follow(&farthest)?
                }
                None => vec![true; numbers.len()],
            };
            let numbers = numbers.into_iter().zip(may).filter(|(_, may)| *may);
            let numbers: Vec<usize> = numbers.map(|(number, _)| number).collect();
            parts.push(zones.nearest(&numbers, item.descending, field.data_type())?);
            kept.extend(numbers.into_iter().map(|number| (*file, number)));
        }
        let options = SortOptions { descending: item.descending, nulls_first: item.nulls_first };
        let empty = arrow::array::new_empty_array(field.data_type());
        let parts: Vec<&dyn Array> =
            std::iter::once(&empty).chain(&parts).map(AsRef::as_ref).collect();
        let bounds = compute::concat(&parts).map_err(unfit)?;
        let unknown_first = SortOptions { nulls_first: true, ..options };
        let order = compute::sort_to_indices(&bounds, Some(unknown_first), None).map_err(unfit)?;
        let blocks = order.values().iter().map(|at| kept[*at as usize]).collect();
        let bounds = compute::take(&bounds, &order, None).map_err(unfit)?;
        Ok(Some(First { column, count, options, blocks, bounds, seen: 0, best: empty }))
    }

    /// The next block that may hold one of the first rows.
    pub(super) fn next(&mut self) -> Result<Option<Block<'a>>> {
        let may = self.may_hold(self.seen)?;
        let next = self.blocks.get(self.seen).filter(|_| may).copied();
        self.seen += 1;
        Ok(next)
    }

    /// Hears the values of rows of a block; which of these may be among the first ones.
    pub(super) fn saw(&mut self, values: ArrayRef, rows: Vec<usize>) -> Result<Vec<usize>> {
        let (values, rows) = self.not_after_worst(values, rows)?;
        let all = compute::concat(&[&self.best, &values]).map_err(unfit)?;
        let order = compute::sort_to_indices(&all, Some(self.options), Some(self.count));
        self.best = compute::take(&all, &order.map_err(unfit)?, None).map_err(unfit)?;
        Ok(self.not_after_worst(values, rows)?.1)
    }

    /// Those rows whose values do not come after the worst of the best: all, while these are too few.
    fn not_after_worst(
        &self,
        values: ArrayRef,
        rows: Vec<usize>,
    ) -> Result<(ArrayRef, Vec<usize>)> {
        let worst = self.count - 1;
        if worst >= self.best.len() || self.best.is_null(worst) {
            return Ok((values, rows));
        }
        let worst = Scalar::new(self.best.slice(worst, 1));
        let may = match self.options.descending {
            true => cmp::gt_eq(&values, &worst),
            false => cmp::lt_eq(&values, &worst),
        };
        // Nulls come last here, and what is compared with them is null: they are passed over.
        let may = may.map_err(unfit)?;
        let may = match may.null_count() {
            0 => may,
            _ => compute::prep_null_mask_filter(&may),
        };
        let values = compute::filter(&values, &may).map_err(unfit)?;
        Ok((values, may.values().set_indices().map(|at| rows[at]).collect()))
    }

    /// Whether so many blocks may hold one of the first rows that a plan is better.
    pub(super) fn is_scattered(&self) -> Result<bool> {
        self.may_hold(MOST_BLOCKS_ORDERED)
    }

    /// Whether the block at a position may hold a row before the worst of the best.
    fn may_hold(&self, at: usize) -> Result<bool> {
        if at >= self.blocks.len() {
            return Ok(false);
        }
        if self.best.len() < self.count || self.bounds.is_null(at) {
            return Ok(true);
        }
        let compare = make_comparator(&self.bounds, &self.best, self.options).map_err(unfit)?;
        // A row that is equal may come first by what orders next.
        Ok(compare(at, self.count - 1) != Ordering::Greater)
    }
}

/// The position after which rows are wanted.
pub(super) struct After {
    /// Of each item of the order: the column, the value, how they compare.
    items: Vec<(usize, ArrayRef, SortOptions)>,
}

impl After {
    /// The position that a request names.
    pub(super) fn of(asked: &Asked, provider: &IcebergProvider) -> Result<Option<After>> {
        let request = &asked.request;
        let Some(position) = &request.after else { return Ok(None) };
        if request.order.len() != position.len() {
            return Err(Error::invalid("`after` needs one value for each item of the order"));
        }
        let items = request.order.iter().zip(position).map(|(item, value)| {
            let spec = asked.spec(&item.field)?;
            let scalar = to_scalar(value, &spec.data_type)?;
            let value = scalar.to_array().map_err(crate::query::failure::of_query)?;
            let options =
                SortOptions { descending: item.descending, nulls_first: item.nulls_first };
            Ok((provider.column(&spec.column)?, value, options))
        });
        Ok(Some(After { items: items.collect::<Result<_>>()? }))
    }

    /// Whether its columns are too large for their blocks to be held.
    pub(super) async fn is_wide(
        &self,
        provider: &IcebergProvider,
        files: &[Arc<FileEntry>],
    ) -> Result<bool> {
        for file in files {
            for (column, ..) in &self.items {
                if is_wide(provider, file, *column).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The rows of a block that come after the position.
    pub(super) async fn rows(
        &self,
        provider: &IcebergProvider,
        (file, block): Block<'_>,
        rows: Vec<usize>,
    ) -> Result<Vec<usize>> {
        let columns: Vec<usize> = self.items.iter().map(|(column, ..)| *column).collect();
        let columns = provider.blocks(file, &columns, block).await?;
        let compare = columns.iter().zip(&self.items).map(|(column, (_, value, options))| {
            make_comparator(column, value, *options).map_err(unfit)
        });
        let compare = compare.collect::<Result<Vec<DynComparator>>>()?;
        let place = |row: usize| {
            let orders = compare.iter().map(|compare| compare(row, 0));
            orders.fold(Ordering::Equal, Ordering::then)
        };
        let by_first = match (columns.first(), self.items.first()) {
            (Some(column), Some((_, value, options))) => by_first(column, value, *options)?,
            _ => None,
        };
        let comes_after = |row: usize| match &by_first {
            Some((past, level)) if past.is_valid(row) => {
                past.value(row) || level.value(row) && place(row) == Ordering::Greater
            }
            _ => place(row) == Ordering::Greater,
        };
        Ok(rows.into_iter().filter(|row| comes_after(*row)).collect())
    }

    /// Of the farthest values of blocks: whether the block may hold rows after the position.
    fn may_follow(&self, farthest: &ArrayRef) -> Result<Vec<bool>> {
        let Some((_, value, options)) = self.items.first() else {
            return Ok(vec![true; farthest.len()]);
        };
        let compare = make_comparator(farthest, value, *options).map_err(unfit)?;
        let may = |at| farthest.is_null(at) || compare(at, 0) != Ordering::Less;
        Ok((0..farthest.len()).map(may).collect())
    }
}

/// Of the column that orders first: which values come after this one, and which are the same. Null where a
/// value is none; nothing when this one is none.
fn by_first(
    column: &ArrayRef,
    value: &ArrayRef,
    options: SortOptions,
) -> Result<Option<(BooleanArray, BooleanArray)>> {
    if value.is_null(0) {
        return Ok(None);
    }
    let value = Scalar::new(Arc::clone(value));
    let past = match options.descending {
        true => cmp::lt(column, &value),
        false => cmp::gt(column, &value),
    };
    let level = cmp::eq(column, &value).map_err(unfit)?;
    Ok(Some((past.map_err(unfit)?, level)))
}

async fn is_wide(provider: &IcebergProvider, file: &FileEntry, column: usize) -> Result<bool> {
    let is_narrow = provider.columns.schema.field(column).data_type().is_primitive();
    Ok(!is_narrow && provider.is_wide(file, column).await?)
}

/// Which of so many rows come first, in order.
pub(super) fn first_of(keys: &[SortColumn], rows: usize, count: usize) -> Result<Vec<usize>> {
    let compare = LexicographicalComparator::try_new(keys).map_err(unfit)?;
    let mut first: Vec<usize> = (0..rows).collect();
    if count < rows {
        first.select_nth_unstable_by(count, |one, other| compare.compare(*one, *other));
        first.truncate(count);
    }
    first.sort_unstable_by(|one, other| compare.compare(*one, *other));
    Ok(first)
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use base::rng::Rng;

    use super::*;

    /// Of each of the first values, ties of the last one included, all rows are kept.
    #[test]
    fn no_row_that_may_be_among_the_first_is_passed_over() {
        let rng = Rng::seeded(12);
        for round in 0..500 {
            let options = SortOptions { descending: rng.below(2) == 0, nulls_first: false };
            let count = 1 + rng.below(6) as usize;
            let best = arrow::array::new_empty_array(&arrow::datatypes::DataType::Int32);
            let bounds = Arc::clone(&best);
            let mut first =
                First { column: 0, count, options, blocks: Vec::new(), bounds, seen: 0, best };
            let (mut all, mut kept) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                let value = |_| (rng.below(4) > 0).then(|| rng.below(9) as i32);
                let values: Vec<Option<i32>> = (0..rng.below(8)).map(value).collect();
                let array: ArrayRef = Arc::new(Int32Array::from(values.clone()));
                let rows = first.saw(array, (0..values.len()).collect()).expect("rows");
                kept.extend(rows.into_iter().map(|row| values[row]));
                all.extend(values);
            }
            let place = |value: &Option<i32>| match value {
                Some(value) => (false, if options.descending { -value } else { *value }),
                None => (true, 0),
            };
            all.sort_by_key(place);
            kept.sort_by_key(place);
            let last = all.get(count - 1).or(all.last()).copied();
            let expected =
                all.iter().filter(|value| last.is_some_and(|last| place(value) <= place(&last)));
            let expected: Vec<_> = expected.copied().collect();
            assert_eq!(kept.get(..expected.len()), Some(expected.as_slice()), "round {round}");
        }
    }
}
