//! What the values of each column look like.
//!
//! In: a table. Out: rows, nulls, smallest and largest value and about how many different ones, for
//! each column. Counts of rows are exact; values come from a bounded sample when the table is
//! large, and say so. Not here: statistics that prune files (`prune`).

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt64Type};
use base::{Error, Principal, Result};
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::functions_aggregate::expr_fn::{approx_distinct, count, max, min};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use frame::convert::value_at;
use frame::{DataType, Scan, ScanRequest, Value};
use futures::TryStreamExt;
use schema::ColumnSpec;

use super::engine::View;
use super::failure;
use super::translate::column;
use crate::Lake;

/// Rows that are looked at for values.
const SAMPLE_ROWS: usize = 200_000;

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStatistics {
    /// The API name of the field.
    pub field: Arc<str>,
    /// Its type.
    pub data_type: DataType,
    /// Rows of the table.
    pub rows: u64,
    /// Rows whose values were looked at: fewer than `rows` when the table is large.
    pub sampled: u64,
    /// Nulls among those.
    pub nulls: u64,
    /// The smallest value; `None` for types without an order, and without values.
    pub min: Option<Value>,
    /// The largest value.
    pub max: Option<Value>,
    /// About how many different values; `None` for types that cannot be compared.
    pub distinct: Option<u64>,
}

impl Lake {
    /// Statistics of each stored column of a type, in the order of its fields.
    pub async fn column_statistics(&self, type_name: &str) -> Result<Vec<ColumnStatistics>> {
        let schema = self.schema();
        let table = self.table(type_name).await?;
        let object = schema
            .types
            .get(type_name)
            .ok_or_else(|| Error::not_found(format!("there is no type `{type_name}`")))?;
        let columns: Vec<(Arc<str>, ColumnSpec)> =
            object.columns().map(|(def, spec)| (Arc::clone(&def.name), spec.clone())).collect();
        let all = ScanRequest::new(type_name, Vec::<Arc<str>>::new(), Principal::local());
        let rows = self.count(all).await?;
        let provider = self.provider(&table, None, View::Current).await?;
        let sample = LogicalPlanBuilder::scan("t", provider_as_source(provider), None)
            .and_then(|scan| scan.limit(0, Some(SAMPLE_ROWS)))
            .and_then(|sample| sample.aggregate(Vec::<Expr>::new(), questions(&columns)))
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)?;
        let answer = self.one_row(&sample).await?;
        Ok(columns
            .into_iter()
            .enumerate()
            .map(|(index, (field, spec))| statistics_of(index, field, &spec, rows, &answer))
            .collect())
    }

    async fn one_row(&self, plan: &LogicalPlan) -> Result<RecordBatch> {
        let state = self.inner.query.session();
        let (_, stream) = self.inner.query.run(&state, plan).await?;
        let batches: Vec<RecordBatch> = stream.try_collect().await?;
        let row = batches.into_iter().find(|batch| batch.num_rows() == 1);
        row.ok_or_else(|| Error::internal("statistics gave no row"))
    }
}

fn name(what: &str, index: usize) -> String {
    format!("{what}_{index}")
}

fn questions(columns: &[(Arc<str>, ColumnSpec)]) -> Vec<Expr> {
    let mut asked = vec![count(lit(1_i64)).alias("sampled")];
    for (index, (_, spec)) in columns.iter().enumerate() {
        let values = || column(spec.column.as_ref());
        asked.push(count(values()).alias(name("present", index)));
        if spec.data_type.is_ordered() {
            asked.push(min(values()).alias(name("min", index)));
            asked.push(max(values()).alias(name("max", index)));
        }
        if counts_distinct(&spec.data_type) {
            asked.push(approx_distinct(values()).alias(name("distinct", index)));
        }
    }
    asked
}

fn counts_distinct(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int | DataType::Long | DataType::String | DataType::Date | DataType::DateTime
    )
}

fn statistics_of(
    index: usize,
    field: Arc<str>,
    spec: &ColumnSpec,
    rows: u64,
    answer: &RecordBatch,
) -> ColumnStatistics {
    let value = |name: &str| {
        let array = answer.column_by_name(name).filter(|array| !array.is_null(0))?;
        value_at(array.as_ref(), 0, &spec.data_type).ok()
    };
    let number = |name: &str| {
        let array = answer.column_by_name(name)?;
        if let Some(counts) = array.as_primitive_opt::<UInt64Type>() {
            return Some(counts.value(0));
        }
        u64::try_from(array.as_primitive_opt::<Int64Type>()?.value(0)).ok()
    };
    let sampled = number("sampled").unwrap_or(0);
    let present = number(&name("present", index)).unwrap_or(0);
    ColumnStatistics {
        field,
        data_type: spec.data_type.clone(),
        rows,
        sampled,
        nulls: sampled.saturating_sub(present),
        min: value(&name("min", index)),
        max: value(&name("max", index)),
        distinct: number(&name("distinct", index)),
    }
}
