//! A Lance table as an earlier version of the schema sees it.
//!
//! In: the table as it is, and what became of each column. Out: a provider with the columns of the
//! earlier version, by its names and types; one that is gone reads as its default. Not here: Iceberg
//! tables, whose columns have ids (`crate::binding`).

use std::sync::Arc;

use arrow::datatypes::DataType;
use base::Result;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::catalog::view::ViewTable;
use datafusion::logical_expr::{LogicalPlanBuilder, cast, lit};
use schema::ObjectType;

use crate::binding::Binding;
use crate::query::failure;
use crate::query::translate::column;
use crate::shape;

/// The columns of the earlier version over those of the present one.
pub(super) fn seen(
    provider: Arc<dyn TableProvider>,
    binding: &Binding,
    object: &ObjectType,
) -> Result<Arc<dyn TableProvider>> {
    let present = provider.schema();
    let mut columns = Vec::new();
    for (def, spec) in object.columns() {
        let known = binding.names.iter().find(|(name, _)| *name == *spec.column);
        let now = known.and_then(|(_, now)| now.as_deref());
        let found = now.and_then(|now| present.field_with_name(now).ok());
        let wanted = spec.data_type.to_arrow();
        columns.push(match found {
            Some(field) if holds_the_same(field.data_type(), &wanted) => {
                column(field.name()).alias(spec.column.as_ref())
            }
            Some(field) => cast(column(field.name()), wanted).alias(spec.column.as_ref()),
            None => lit(shape::gone(def, spec)?).alias(spec.column.as_ref()),
        });
    }
    let plan = LogicalPlanBuilder::scan("present", provider_as_source(provider), None)
        .and_then(|rows| rows.project(columns))
        .and_then(LogicalPlanBuilder::build)
        .map_err(failure::of_query)?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Whether nested values can be taken as they are, and made the type's own when they are given out:
/// the engine refuses to cast parts that may be null to such that may not, also where none is.
fn holds_the_same(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::List(left), DataType::List(right)) => {
            is_same_part(left.data_type(), right.data_type())
        }
        (DataType::FixedSizeList(left, size), DataType::FixedSizeList(right, length)) => {
            size == length && is_same_part(left.data_type(), right.data_type())
        }
        (DataType::Struct(left), DataType::Struct(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    left.name() == right.name() && is_same_part(left.data_type(), right.data_type())
                })
        }
        _ => left == right,
    }
}

/// The same for a part. Lance has another name for the zone of times.
fn is_same_part(left: &DataType, right: &DataType) -> bool {
    match (left, right) {
        (DataType::Timestamp(left, Some(_)), DataType::Timestamp(right, Some(_))) => left == right,
        _ => holds_the_same(left, right),
    }
}
