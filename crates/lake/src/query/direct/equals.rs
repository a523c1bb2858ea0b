//! The values that columns must have for a predicate to be true, and where such rows may be.
//!
//! In: a predicate. Out: for some fields a list of values, one of which each matching row has; then
//! the files, blocks and positions that may match. Not here: reading the rows.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Scalar};
use arrow::compute::kernels::{boolean, cmp};
use arrow::datatypes::Int32Type;
use arrow::row::{RowConverter, SortField};
use base::Result;
use datafusion::common::ScalarValue;
use frame::{BinaryOp, DataType, Expr, Node, Value};
use iceberg::spec::{Literal, PrimitiveLiteral, Transform};
use iceberg::transform::create_transform_function;

use super::blocks::BLOCK_ROWS;
use super::unfit;
use crate::query::manifests::FileEntry;
use crate::query::provider::IcebergProvider;
use crate::query::scan::Asked;
use crate::query::values::{datum_to_scalar, to_scalar};

/// Values up to which each is compared by itself.
const FEW: usize = 8;
/// Values that a question may name.
const MOST_VALUES: usize = 10_000;

/// Necessary conditions of a predicate, by field.
#[derive(Debug)]
pub(super) struct Equals {
    fields: BTreeMap<String, Vec<Value>>,
    /// Whether the predicate says nothing else.
    is_all_of_it: bool,
}

impl Equals {
    /// What the predicate demands; nothing when it demands no field to equal anything.
    pub(super) fn of(predicate: &Expr) -> Option<Equals> {
        let equals = demanded(predicate)?;
        (!equals.fields.is_empty()).then_some(equals)
    }

    /// The conditions on the columns of a table; nothing when a type is not compared here.
    pub(super) fn bind(self, asked: &Asked, provider: &IcebergProvider) -> Result<Option<Bound>> {
        let mut conditions = Vec::with_capacity(self.fields.len());
        let mut is_all_of_it = self.is_all_of_it;
        for (field, values) in self.fields {
            let spec = asked.spec(&field)?;
            if !is_compared(&spec.data_type) || values.len() > MOST_VALUES {
                is_all_of_it = false;
                continue;
            }
            let index = provider.column(&spec.column)?;
            let Some(id) = provider.columns.id(index) else { return Ok(None) };
            let scalars = values.iter().map(|value| to_scalar(value, &spec.data_type));
            let scalars = scalars.collect::<Result<Vec<_>>>()?;
            conditions.push(Condition::new(index, id, &spec.data_type, scalars)?);
        }
        Ok((!conditions.is_empty()).then_some(Bound { conditions, is_all_of_it }))
    }
}

/// Types whose equality is that of their bytes; floats have several zeros and many NaNs.
pub(super) fn is_compared(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int
            | DataType::Long
            | DataType::String
            | DataType::Uuid
            | DataType::Date
            | DataType::DateTime
            | DataType::Boolean
    )
}

fn demanded(expr: &Expr) -> Option<Equals> {
    match &expr.node {
        Node::Binary(BinaryOp::And, left, right) => Some(both(demanded(left), demanded(right))),
        Node::Binary(BinaryOp::Or, left, right) => either(demanded(left)?, demanded(right)?),
        Node::Binary(BinaryOp::Eq, left, right) => match (&left.node, &right.node) {
            (Node::Field(path), Node::Literal(value))
            | (Node::Literal(value), Node::Field(path)) => one(path, vec![value.clone()]),
            _ => None,
        },
        Node::InList(operand, values) => match &operand.node {
            Node::Field(path) => one(path, values.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn one(path: &[String], mut values: Vec<Value>) -> Option<Equals> {
    let [name] = path else { return None };
    // Nothing equals null.
    values.retain(|value| !value.is_null());
    Some(Equals { fields: BTreeMap::from([(name.clone(), values)]), is_all_of_it: true })
}

/// Both sides must hold; what is not understood of one side is left to the whole predicate.
fn both(left: Option<Equals>, right: Option<Equals>) -> Equals {
    let is_all_of_it =
        matches!((&left, &right), (Some(l), Some(r)) if l.is_all_of_it && r.is_all_of_it);
    let mut fields: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, values) in [left, right].into_iter().flatten().flat_map(|side| side.fields) {
        match fields.get_mut(&name) {
            Some(known) => known.retain(|value| values.contains(value)),
            None => {
                fields.insert(name, values);
            }
        }
    }
    Equals { fields, is_all_of_it }
}

/// One side must hold: only fields that both name are demanded to have a value of either.
fn either(left: Equals, mut right: Equals) -> Option<Equals> {
    let single = left.fields.len() == 1 && right.fields.len() == 1;
    let is_all_of_it = single && left.is_all_of_it && right.is_all_of_it;
    let mut fields = BTreeMap::new();
    for (name, mut values) in left.fields {
        let Some(more) = right.fields.remove(&name) else { continue };
        values.extend(more);
        fields.insert(name, values);
    }
    let is_all_of_it = is_all_of_it && !fields.is_empty();
    (!fields.is_empty()).then_some(Equals { fields, is_all_of_it })
}

/// Conditions on columns of one table.
#[derive(Debug)]
pub(super) struct Bound {
    conditions: Vec<Condition>,
    /// Whether the predicate says nothing else.
    pub(super) is_all_of_it: bool,
}

impl Bound {
    /// The files that may have matching rows.
    pub(super) fn files(&self, provider: &IcebergProvider) -> Result<Vec<Arc<FileEntry>>> {
        let mut buckets: Vec<HashMap<u32, HashSet<i32>>> =
            vec![HashMap::new(); self.conditions.len()];
        let mut kept = Vec::new();
        for file in &provider.files.data {
            let mut may = true;
            for (condition, buckets) in self.conditions.iter().zip(&mut buckets) {
                may = may
                    && condition.bucket_may(provider, file, buckets)?
                    && condition.bounds_may(file);
            }
            if may {
                kept.push(Arc::clone(file));
            }
        }
        Ok(kept)
    }

    /// The blocks of a file that may have matching rows.
    pub(super) async fn blocks(
        &self,
        provider: &IcebergProvider,
        file: &FileEntry,
    ) -> Result<Vec<usize>> {
        let rows = usize::try_from(file.file.record_count()).unwrap_or(usize::MAX);
        let mut kept: Vec<bool> = vec![true; rows.div_ceil(BLOCK_ROWS)];
        for condition in &self.conditions {
            let zones = provider.zones(file, condition.index).await?;
            let mut may = vec![false; kept.len()];
            for zone in zones.holding(&condition.values)? {
                let (first, last) = (zone.start / BLOCK_ROWS, (zone.end - 1) / BLOCK_ROWS);
                may[first..=last.min(kept.len() - 1)].fill(true);
            }
            kept.iter_mut().zip(may).for_each(|(kept, may)| *kept &= may);
        }
        Ok(kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(block, _)| block).collect())
    }

    /// Positions in a block of the rows that fulfil the conditions.
    pub(super) async fn rows(
        &self,
        provider: &IcebergProvider,
        file: &FileEntry,
        block: usize,
    ) -> Result<Vec<usize>> {
        let wanted: Vec<usize> = self.conditions.iter().map(|condition| condition.index).collect();
        let columns = provider.blocks(file, &wanted, block).await?;
        let mut all: Option<BooleanArray> = None;
        for (condition, column) in self.conditions.iter().zip(&columns) {
            let here = condition.holds(column)?;
            all = Some(match all {
                None => here,
                Some(before) => boolean::and(&before, &here).map_err(unfit)?,
            });
        }
        let Some(all) = all else { return Ok(Vec::new()) };
        Ok((0..all.len()).filter(|row| all.is_valid(*row) && all.value(*row)).collect())
    }
}

/// A column and the values that it may have.
#[derive(Debug)]
struct Condition {
    index: usize,
    id: i32,
    scalars: Vec<ScalarValue>,
    /// The same values as an array.
    values: ArrayRef,
    /// The same values in a form that is hashed, when there are many.
    many: Option<(RowConverter, HashSet<Box<[u8]>>)>,
}

impl Condition {
    fn new(
        index: usize,
        id: i32,
        data_type: &DataType,
        scalars: Vec<ScalarValue>,
    ) -> Result<Condition> {
        let arrow = data_type.to_arrow();
        let values = match scalars.is_empty() {
            true => arrow::array::new_empty_array(&arrow),
            false => ScalarValue::iter_to_array(scalars.iter().cloned())
                .map_err(crate::query::failure::of_query)?,
        };
        let many = match scalars.len() > FEW {
            false => None,
            true => {
                let converter = RowConverter::new(vec![SortField::new(arrow)]).map_err(unfit)?;
                let rows = converter.convert_columns(&[Arc::clone(&values)]).map_err(unfit)?;
                let set = rows.iter().map(|row| row.as_ref().into()).collect();
                Some((converter, set))
            }
        };
        Ok(Condition { index, id, scalars, values, many })
    }

    /// Which rows of a column have one of the values.
    fn holds(&self, column: &ArrayRef) -> Result<BooleanArray> {
        if let Some((converter, set)) = &self.many {
            let rows = converter.convert_columns(&[Arc::clone(column)]).map_err(unfit)?;
            let holds = rows.iter().map(|row| set.contains(row.as_ref()));
            return Ok(holds.collect::<Vec<bool>>().into());
        }
        let mut all = BooleanArray::from(vec![false; column.len()]);
        for value in 0..self.values.len() {
            let one = Scalar::new(self.values.slice(value, 1));
            let here = cmp::eq(column, &one).map_err(unfit)?;
            all = boolean::or_kleene(&all, &here).map_err(unfit)?;
        }
        Ok(all)
    }

    /// Whether the file's bucket is one of the values'.
    fn bucket_may(
        &self,
        provider: &IcebergProvider,
        file: &FileEntry,
        known: &mut HashMap<u32, HashSet<i32>>,
    ) -> Result<bool> {
        let Some(spec) = provider.metadata.partition_spec_by_id(file.spec_id) else {
            return Ok(true);
        };
        let bucket =
            spec.fields().iter().enumerate().find_map(|(position, field)| match field.transform {
                Transform::Bucket(count) if field.source_id == self.id => Some((position, count)),
                _ => None,
            });
        let Some((position, count)) = bucket else { return Ok(true) };
        let of_file = match file.file.partition().fields().get(position) {
            Some(Some(Literal::Primitive(PrimitiveLiteral::Int(bucket)))) => *bucket,
            // Nulls are in no bucket, and no value equals null.
            Some(None) => return Ok(false),
            _ => return Ok(true),
        };
        if let Some(buckets) = known.get(&count) {
            return Ok(buckets.contains(&of_file));
        }
        let wrong = crate::failure::failed("find the buckets of values");
        let hashed = create_transform_function(&Transform::Bucket(count))
            .and_then(|function| function.transform(Arc::clone(&self.values)))
            .map_err(wrong)?;
        let hashed = arrow::array::AsArray::as_primitive::<Int32Type>(hashed.as_ref());
        let buckets: HashSet<i32> = hashed.iter().flatten().collect();
        let may = buckets.contains(&of_file);
        known.insert(count, buckets);
        Ok(may)
    }

    /// Whether a value lies within the file's bounds.
    fn bounds_may(&self, file: &FileEntry) -> bool {
        let bound = |bounds: &HashMap<i32, iceberg::spec::Datum>| {
            let scalar = datum_to_scalar(bounds.get(&self.id)?)?;
            scalar.cast_to(self.values.data_type()).ok()
        };
        let (low, high) = (bound(file.file.lower_bounds()), bound(file.file.upper_bounds()));
        let below = |value: &ScalarValue, bound: &Option<ScalarValue>, order: Ordering| {
            bound.as_ref().and_then(|bound| value.partial_cmp(bound)) == Some(order)
        };
        self.scalars.iter().any(|value| {
            !below(value, &low, Ordering::Less) && !below(value, &high, Ordering::Greater)
        })
    }
}
