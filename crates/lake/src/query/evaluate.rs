//! Computes expressions over whole batches with DataFusion.
//!
//! In: a typed expression and a batch with API names. Out: one array. It is held equal to
//! `frame::RowInterpreter` by a property test. Not here: filters of scans, which `translate` gives to
//! the planner.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use base::{Principal, Result};
use datafusion::common::DFSchema;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::ExprSchemable;
use datafusion::logical_expr::cast;
use datafusion::physical_expr::create_physical_expr;
use frame::Expr;

use super::failure;
use super::translate::{ApiNames, translate};

/// The evaluator for large batches.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataFusionEvaluator;

impl frame::Evaluate for DataFusionEvaluator {
    fn evaluate(&self, expr: &Expr, batch: &RecordBatch, viewer: &Principal) -> Result<ArrayRef> {
        let schema = DFSchema::try_from(batch.schema()).map_err(failure::of_query)?;
        let mut translated = translate(expr, &ApiNames, viewer)?;
        let wanted = expr.data_type.to_arrow();
        if translated.get_type(&schema).map_err(failure::of_query)? != wanted {
            translated = cast(translated, wanted);
        }
        let physical = create_physical_expr(&translated, &schema, &ExecutionProps::new());
        let value = physical.and_then(|physical| physical.evaluate(batch));
        let array = value.and_then(|value| value.into_array(batch.num_rows()));
        array.map(|array| Arc::clone(&array)).map_err(failure::of_query)
    }
}
