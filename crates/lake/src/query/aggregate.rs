//! Groups of rows: one scan, then an aggregation that the engine spills, then exact arithmetic.
//!
//! ```text
//! rows of the scan → keys and plain sums, counts, extremes (engine) → measures → having → after
//!                  → order → limit → columns by the request's names
//! ```
//!
//! In: a request with `aggregate`. Out: a plan over the one scan of its table, whose answer has the
//! columns that `frame::Aggregate` says. What several measures need is computed once. Sums are exact:
//! numbers are added as decimals wide enough that no table overflows them, and told to be too large
//! only at the end. Percentiles keep the numbers of their groups, within the query's memory, and
//! round the share of the second neighbour to a millionth. Not here: which rows there are (`scan`).

mod functions;

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use base::{Error, Result};
use datafusion::functions_aggregate::expr_fn::{count, count_distinct, max, min, sum};
use datafusion::functions_aggregate::percentile_cont::percentile_cont_udaf;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use frame::aggregate::{column_named, mean_raise, width_of};
use frame::{Aggregate, DataType, Field, GroupBy, GroupKey, MeasureOf};

use self::functions::Function;
use super::failure;
use super::scan::{Asked, sorted};
use super::translate::{ApiNames, SortKey, after, column, translate};
use super::values::to_scalar;

/// Digits of decimals whose sums the narrower decimals of the engine hold, for any table: a sum has ten
/// digits more.
const NARROW: u8 = 28;

impl Asked {
    /// The groups of these rows, and the columns of the answer.
    pub(crate) fn grouped(
        &self,
        rows: LogicalPlanBuilder,
        aggregate: &Aggregate,
    ) -> Result<LogicalPlan> {
        let columns = aggregate.columns(&self.request)?;
        let keys = aggregate
            .group
            .iter()
            .enumerate()
            .map(|(index, key)| Ok(self.key(key)?.alias(key_name(index))));
        let keys = keys.collect::<Result<Vec<Expr>>>()?;
        let mut plain = Plain::default();
        let measures = aggregate
            .measures
            .iter()
            .map(|measure| Ok(self.measure(&measure.of, &mut plain)?.alias(measure.name.as_ref())));
        let measures = measures.collect::<Result<Vec<Expr>>>()?;
        let named = aggregate.group.iter().enumerate();
        let named = named.map(|(index, key)| column(key_name(index)).alias(key.name.as_ref()));
        let answer: Vec<Expr> = named.chain(measures).collect();
        let groups = rows
            .aggregate(keys, plain.aliased())
            .and_then(|groups| groups.project(answer))
            .map_err(failure::of_query)?;
        self.arranged(groups, aggregate, &columns)
    }

    /// The wanted groups in their order.
    fn arranged(
        &self,
        groups: LogicalPlanBuilder,
        aggregate: &Aggregate,
        columns: &[Field],
    ) -> Result<LogicalPlan> {
        let mut groups = groups;
        if let Some(having) = &aggregate.having {
            let having = translate(having, &ApiNames, &self.request.principal)?;
            groups = groups.filter(having).map_err(failure::of_query)?;
        }
        let order = self.request.order.iter().map(|item| {
            column_named(columns, &item.field)?;
            Ok(SortKey {
                expr: column(item.field.as_ref()),
                descending: item.descending,
                nulls_first: item.nulls_first,
            })
        });
        let order = order.collect::<Result<Vec<SortKey>>>()?;
        if let Some(position) = &self.request.after {
            if position.len() != order.len() {
                return Err(Error::invalid("`after` needs one value for each item of the order"));
            }
            let values = self.request.order.iter().zip(position).map(|(item, value)| {
                to_scalar(value, &column_named(columns, &item.field)?.1.data_type)
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            groups = groups.filter(after(&order, &values)).map_err(failure::of_query)?;
        }
        sorted(groups, &order, self.request.limit)
            .and_then(LogicalPlanBuilder::build)
            .map_err(failure::of_query)
    }

    fn key(&self, key: &GroupKey) -> Result<Expr> {
        let input = self.operand(&key.input)?;
        Ok(match &key.by {
            GroupBy::Value => input,
            GroupBy::Truncated(unit) => Function::FirstOf(*unit).of(vec![input]),
            GroupBy::Bucket(width) => {
                Function::bucket(width_of(width, &key.input.data_type)?).of(vec![input])
            }
        })
    }

    fn operand(&self, expr: &frame::Expr) -> Result<Expr> {
        translate(expr, &self.object, &self.request.principal)
    }

    /// A measure over what the engine computes.
    fn measure(&self, of: &MeasureOf, plain: &mut Plain) -> Result<Expr> {
        Ok(match of {
            MeasureOf::Rows => plain.column(count(lit(1_i64))),
            MeasureOf::Count(expr) => plain.column(count(self.operand(expr)?)),
            MeasureOf::CountDistinct(expr) => plain.column(count_distinct(self.operand(expr)?)),
            MeasureOf::Min(expr) => extreme(min, self.operand(expr)?, &expr.data_type, plain),
            MeasureOf::Max(expr) => extreme(max, self.operand(expr)?, &expr.data_type, plain),
            MeasureOf::Sum(expr) => {
                let sum = plain.column(total(self.operand(expr)?, &expr.data_type));
                match of.data_type()? {
                    DataType::Float => sum,
                    DataType::Long => Function::WholeSum.of(vec![sum]),
                    _ => Function::DecimalSum.of(vec![sum]),
                }
            }
            MeasureOf::Avg(expr) => {
                let operand = self.operand(expr)?;
                let rows = plain.column(count(operand.clone()));
                let sum = plain.column(total(operand, &expr.data_type));
                match &expr.data_type {
                    DataType::Decimal { .. } => {
                        Function::Mean { raise: mean_raise(&expr.data_type) }.of(vec![sum, rows])
                    }
                    _ => cast(sum, ArrowType::Float64) / cast(rows, ArrowType::Float64),
                }
            }
            MeasureOf::Percentile(expr, share) => {
                let number = cast(self.operand(expr)?, ArrowType::Float64);
                // The engine takes the ends for its own extremes, which do not order NaN.
                match *share {
                    0.0 => extreme(min, number, &DataType::Float, plain),
                    1.0 => extreme(max, number, &DataType::Float, plain),
                    share => plain.column(percentile_cont_udaf().call(vec![number, lit(share)])),
                }
            }
        })
    }
}

fn key_name(index: usize) -> String {
    format!("k{index}")
}

/// The Arrow schema of columns of an answer.
pub(crate) fn schema_of(columns: &[Field]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(Field::to_arrow).collect::<Vec<_>>()))
}

/// The least or the greatest value. The engine's own extremes of floats depend on the order of rows as
/// soon as one of them is NaN, so that floats are compared by whole numbers of the same order.
fn extreme(
    function: fn(Expr) -> Expr,
    operand: Expr,
    data_type: &DataType,
    plain: &mut Plain,
) -> Expr {
    match data_type {
        DataType::Float => {
            let ordered = plain.column(function(Function::ToOrdered.of(vec![operand])));
            Function::FromOrdered.of(vec![ordered])
        }
        _ => plain.column(function(operand)),
    }
}

/// All numbers added up, in a decimal that no table overflows.
fn total(operand: Expr, data_type: &DataType) -> Expr {
    let scale_of = |scale: u8| i8::try_from(scale).unwrap_or(i8::MAX);
    sum(match data_type {
        DataType::Int => cast(operand, ArrowType::Decimal128(10, 0)),
        DataType::Long => cast(operand, ArrowType::Decimal128(19, 0)),
        DataType::Decimal { precision, scale } if *precision > NARROW => {
            cast(operand, ArrowType::Decimal256(*precision, scale_of(*scale)))
        }
        _ => operand,
    })
}

/// What the engine computes of each group, once for all measures that need it.
#[derive(Debug, Default)]
struct Plain {
    functions: Vec<Expr>,
}

impl Plain {
    /// The column of a function.
    fn column(&mut self, function: Expr) -> Expr {
        let known = self.functions.iter().position(|known| *known == function);
        let index = known.unwrap_or_else(|| {
            self.functions.push(function);
            self.functions.len() - 1
        });
        column(format!("a{index}"))
    }

    fn aliased(self) -> Vec<Expr> {
        let functions = self.functions.into_iter().enumerate();
        functions.map(|(index, function)| function.alias(format!("a{index}"))).collect()
    }
}
