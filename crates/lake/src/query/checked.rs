//! Exact arithmetic that fails instead of wrapping around.
//!
//! In: integer or decimal operands. Out: their sum, difference, product or negation, or an error on
//! overflow. DataFusion's own operators wrap; floats use those. Not here: division, which is
//! checked by the engine itself.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// `left + right`.
pub(crate) fn add(left: Expr, right: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(Checked::udf(Op::Add)));
    FUNCTION.call(vec![left, right])
}

/// `left - right`.
pub(crate) fn subtract(left: Expr, right: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(Checked::udf(Op::Subtract)));
    FUNCTION.call(vec![left, right])
}

/// `left * right`.
pub(crate) fn multiply(left: Expr, right: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(Checked::udf(Op::Multiply)));
    FUNCTION.call(vec![left, right])
}

/// `-operand`.
pub(crate) fn negate(operand: Expr) -> Expr {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(Checked::udf(Op::Negate)));
    FUNCTION.call(vec![operand])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Subtract,
    Multiply,
    Negate,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Op,
    signature: Signature,
}

impl Checked {
    fn udf(op: Op) -> ScalarUDF {
        let operands = if op == Op::Negate { 1 } else { 2 };
        let signature = Signature::any(operands, Volatility::Immutable);
        ScalarUDF::new_from_impl(Checked { op, signature })
    }

    fn kernel(&self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self.op {
            Op::Add => numeric::add(left, right),
            Op::Subtract => numeric::sub(left, right),
            Op::Multiply => numeric::mul(left, right),
            Op::Negate => numeric::neg(left.get().0),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        match self.op {
            Op::Add => "checked_add",
            Op::Subtract => "checked_subtract",
            Op::Multiply => "checked_multiply",
            Op::Negate => "checked_negate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DfResult<DataType> {
        // The kernels know the type, also of decimals whose precision grows.
        let Some(left) = arguments.first() else {
            return exec_err!("`{}` was called without operands", self.name());
        };
        let left = arrow::array::new_empty_array(left);
        let right = arguments.get(1).map(arrow::array::new_empty_array);
        let right = right.as_ref().unwrap_or(&left);
        Ok(self.kernel(&left, right)?.data_type().clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(left) = arrays.first() else {
            return exec_err!("`{}` was called without operands", self.name());
        };
        let right = arrays.get(1).unwrap_or(left);
        Ok(ColumnarValue::Array(self.kernel(left, right)?))
    }
}
