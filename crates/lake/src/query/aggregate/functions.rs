//! Functions of aggregates that the engine does not have, or has with another meaning.
//!
//! In: keys of rows before they are grouped, or sums and counts of groups. Out: the arithmetic of
//! `frame::aggregate`, a column at a time. Not here: how functions are put together (`aggregate`).

use std::any::Any;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType, i256,
};
use datafusion::common::{DataFusionError, Result as DfResult, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use frame::DateUnit;
use frame::aggregate::{Width, exact_mean, fit_sum};

/// Digits of the widest decimal.
const WIDEST: u8 = 38;

/// One function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    /// The beginning of the year, month, … of a date or a moment.
    FirstOf(DateUnit),
    /// The lower bound of a whole number's bucket.
    WholeBucket { width: i64 },
    /// Likewise of a float; the width by its bits.
    FloatBucket { width: u64 },
    /// Likewise of a decimal; the width at its scale.
    DecimalBucket { width: i128 },
    /// A float as a whole number of the same order.
    ToOrdered,
    /// The float again.
    FromOrdered,
    /// An exact sum as a whole number of 64 bits, if it is one.
    WholeSum,
    /// An exact sum as a decimal of 38 digits, if it has no more.
    DecimalSum,
    /// An exact sum divided by a count, with more digits after the point.
    Mean { raise: u8 },
}

impl Function {
    /// The bucket of a width.
    pub(super) fn bucket(width: Width) -> Function {
        match width {
            Width::Whole(width) => Function::WholeBucket { width },
            Width::Float(width) => Function::FloatBucket { width: width.to_bits() },
            Width::Unscaled(width) => Function::DecimalBucket { width },
        }
    }

    /// The function of these operands.
    pub(super) fn of(self, operands: Vec<Expr>) -> Expr {
        let signature = Signature::any(operands.len(), Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Udf { function: self, signature })).call(operands)
    }

    fn compute(self, operands: &[ArrayRef]) -> DfResult<ArrayRef> {
        let Some(first) = operands.first() else {
            return exec_err!("a function of aggregates was called without operands");
        };
        Ok(match self {
            Function::FirstOf(unit) => first_of(first, unit)?,
            Function::WholeBucket { width } => whole_bucket(first, width)?,
            Function::FloatBucket { width } => {
                let width = f64::from_bits(width);
                let numbers = first.as_primitive::<Float64Type>();
                let bounds: Float64Array = numbers.unary(|number| Width::of_float(width, number));
                Arc::new(bounds)
            }
            Function::DecimalBucket { width } => {
                let numbers = first.as_primitive::<Decimal128Type>();
                let (precision, scale) = (numbers.precision(), numbers.scale());
                let bounds: Decimal128Array = numbers.try_unary(|unscaled| {
                    Width::of_decimal(width, unscaled, precision).map_err(ours)
                })?;
                Arc::new(bounds.with_precision_and_scale(precision, scale)?)
            }
            Function::ToOrdered => {
                let numbers = first.as_primitive::<Float64Type>();
                let ordered: Int64Array = numbers.unary(to_ordered);
                Arc::new(ordered)
            }
            Function::FromOrdered => {
                let ordered = first.as_primitive::<Int64Type>();
                let numbers: Float64Array = ordered.unary(from_ordered);
                Arc::new(numbers)
            }
            Function::WholeSum => whole_sum(first)?,
            Function::DecimalSum => decimal_sum(first)?,
            Function::Mean { raise } => match operands {
                [sums, counts] => mean(sums, counts, raise)?,
                _ => return exec_err!("a mean needs a sum and a count"),
            },
        })
    }

    fn data_type(self, operand: &DataType) -> DfResult<DataType> {
        let widest = |raise: u8| match operand {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                let raise = i8::try_from(raise).unwrap_or(i8::MAX);
                Ok(DataType::Decimal128(WIDEST, scale.saturating_add(raise)))
            }
            other => exec_err!("a sum of `{other}` is not exact"),
        };
        match self {
            Function::ToOrdered | Function::WholeSum => Ok(DataType::Int64),
            Function::FromOrdered => Ok(DataType::Float64),
            Function::DecimalSum => widest(0),
            Function::Mean { raise } => widest(raise),
            _ => Ok(operand.clone()),
        }
    }
}

/// Bits of a float, turned so that whole numbers have the order of `f64::total_cmp`.
fn to_ordered(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The float that [`to_ordered`] turned: turning twice changes nothing.
fn from_ordered(ordered: i64) -> f64 {
    f64::from_bits((ordered ^ (((ordered >> 63) as u64) >> 1) as i64) as u64)
}

fn ours(error: base::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn first_of(array: &ArrayRef, unit: DateUnit) -> DfResult<ArrayRef> {
    if let Some(days) = array.as_primitive_opt::<Date32Type>() {
        let first: Date32Array = days.try_unary(|days| unit.first_day(days).map_err(ours))?;
        return Ok(Arc::new(first));
    }
    let Some(moments) = array.as_primitive_opt::<TimestampMicrosecondType>() else {
        return exec_err!("`{}` has no calendar", array.data_type());
    };
    let first: TimestampMicrosecondArray =
        moments.try_unary(|micros| unit.first_moment(micros).map_err(ours))?;
    Ok(Arc::new(first.with_timezone_opt(moments.timezone())))
}

fn whole_bucket(array: &ArrayRef, width: i64) -> DfResult<ArrayRef> {
    if let Some(numbers) = array.as_primitive_opt::<Int32Type>() {
        let bounds: Int32Array = numbers.try_unary(|number| {
            let bound = Width::of_whole(width, number.into(), i32::MIN.into()).map_err(ours)?;
            // A bound is no larger than its number, and no smaller than the limit.
            Ok::<_, DataFusionError>(i32::try_from(bound).unwrap_or(number))
        })?;
        return Ok(Arc::new(bounds));
    }
    let numbers = array.as_primitive::<Int64Type>();
    let bounds: Int64Array =
        numbers.try_unary(|number| Width::of_whole(width, number, i64::MIN).map_err(ours))?;
    Ok(Arc::new(bounds))
}

/// The exact sums of groups.
fn sums(array: &ArrayRef) -> DfResult<Vec<Option<i256>>> {
    if let Some(narrow) = array.as_primitive_opt::<Decimal128Type>() {
        return Ok(narrow.iter().map(|sum| sum.map(i256::from_i128)).collect());
    }
    match array.as_primitive_opt::<Decimal256Type>() {
        Some(wide) => Ok(wide.iter().collect()),
        None => exec_err!("a sum of `{}` is not exact", array.data_type()),
    }
}

fn whole_sum(array: &ArrayRef) -> DfResult<ArrayRef> {
    let fit = |sum: i256| {
        let sum = fit_sum(sum, &frame::DataType::Long).map_err(ours)?;
        Ok(i64::try_from(sum).unwrap_or(i64::MAX))
    };
    let fitted = sums(array)?.into_iter().map(|sum| sum.map(fit).transpose());
    Ok(Arc::new(fitted.collect::<DfResult<Int64Array>>()?))
}

fn scale_of(array: &ArrayRef) -> u8 {
    match array.data_type() {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            u8::try_from(*scale).unwrap_or(0)
        }
        _ => 0,
    }
}

fn decimals(values: impl Iterator<Item = DfResult<Option<i128>>>, scale: u8) -> DfResult<ArrayRef> {
    let values = values.collect::<DfResult<Decimal128Array>>()?;
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    Ok(Arc::new(values.with_precision_and_scale(WIDEST, scale)?))
}

fn decimal_sum(array: &ArrayRef) -> DfResult<ArrayRef> {
    let scale = scale_of(array);
    let data_type = frame::DataType::Decimal { precision: WIDEST, scale };
    let fit = |sum: i256| fit_sum(sum, &data_type).map_err(ours);
    decimals(sums(array)?.into_iter().map(|sum| sum.map(fit).transpose()), scale)
}

fn mean(array: &ArrayRef, counts: &ArrayRef, raise: u8) -> DfResult<ArrayRef> {
    let counts = counts.as_primitive::<Int64Type>();
    let means = sums(array)?.into_iter().zip(counts.iter()).map(|(sum, count)| {
        Ok(sum.zip(count).and_then(|(sum, count)| exact_mean(sum, count, raise)))
    });
    decimals(means, scale_of(array) + raise)
}

/// The function as the engine takes it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Udf {
    function: Function,
    signature: Signature,
}

impl ScalarUDFImpl for Udf {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        match self.function {
            Function::FirstOf(_) => "first_of",
            Function::WholeBucket { .. }
            | Function::FloatBucket { .. }
            | Function::DecimalBucket { .. } => "bucket",
            Function::ToOrdered => "to_ordered",
            Function::FromOrdered => "from_ordered",
            Function::WholeSum | Function::DecimalSum => "fit_sum",
            Function::Mean { .. } => "exact_mean",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DfResult<DataType> {
        match arguments.first() {
            Some(operand) => self.function.data_type(operand),
            None => exec_err!("`{}` was called without operands", self.name()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        Ok(ColumnarValue::Array(self.function.compute(&arrays)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whole_numbers_have_the_order_of_their_floats(left: u64, right: u64) {
            let (left, right) = (f64::from_bits(left), f64::from_bits(right));
            prop_assert_eq!(to_ordered(left).cmp(&to_ordered(right)), left.total_cmp(&right));
            prop_assert_eq!(from_ordered(to_ordered(left)).to_bits(), left.to_bits());
        }
    }
}
