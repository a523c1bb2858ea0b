//! Operators of two values that are not null: comparison, checked arithmetic, concatenation.
//!
//! Integers are checked against the width of the result's type. Decimals: addition, subtraction and
//! remainder are exact; a product is rounded half away from zero and a quotient truncated to the
//! result's scale, as Arrow does; what exceeds the precision is an error.

use std::cmp::Ordering;

use base::{Error, Kind, Result};

use super::mistyped;
use crate::{BinaryOp, DataType, Value};

/// `left op right`; neither is null, and `op` is not `AND` or `OR`.
pub(super) fn binary(
    op: BinaryOp,
    left: &Value,
    right: &Value,
    result: &DataType,
) -> Result<Value> {
    if let Some(holds) = comparison(op, left.cmp(right)) {
        return Ok(Value::Boolean(holds));
    }
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => integers(op, *left, *right, result),
        (Value::Float(left), Value::Float(right)) => floats(op, *left, *right),
        (
            Value::Decimal { unscaled: left, scale: left_scale },
            Value::Decimal { unscaled: right, scale: right_scale },
        ) => decimals(op, (*left, *left_scale), (*right, *right_scale), result),
        (Value::String(left), Value::String(right)) if op == BinaryOp::Concat => {
            Ok(Value::String(format!("{left}{right}").into()))
        }
        _ => Err(mistyped(symbol(op), left)),
    }
}

fn comparison(op: BinaryOp, order: Ordering) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => order.is_eq(),
        BinaryOp::NotEq => order.is_ne(),
        BinaryOp::Lt => order.is_lt(),
        BinaryOp::LtEq => order.is_le(),
        BinaryOp::Gt => order.is_gt(),
        BinaryOp::GtEq => order.is_ge(),
        _ => return None,
    })
}

fn integers(op: BinaryOp, left: i64, right: i64, result: &DataType) -> Result<Value> {
    let number = match op {
        BinaryOp::Add => left.checked_add(right),
        BinaryOp::Subtract => left.checked_sub(right),
        BinaryOp::Multiply => left.checked_mul(right),
        BinaryOp::Divide if right == 0 => return Err(division_by_zero(left)),
        BinaryOp::Modulo if right == 0 => return Err(division_by_zero(left)),
        BinaryOp::Divide => left.checked_div(right),
        // The remainder of the smallest number by -1 is 0, though the quotient does not exist.
        BinaryOp::Modulo => Some(left.wrapping_rem(right)),
        _ => return Err(mistyped(symbol(op), &Value::Int(left))),
    };
    number
        .and_then(|number| fit(number, result))
        .ok_or_else(|| overflow(&format!("{left} {} {right}", symbol(op)), result))
}

/// The integer as a value, when the type can hold it.
fn fit(number: i64, result: &DataType) -> Option<Value> {
    if *result == DataType::Int {
        i32::try_from(number).ok()?;
    }
    Some(Value::Int(number))
}

fn floats(op: BinaryOp, left: f64, right: f64) -> Result<Value> {
    Ok(Value::Float(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo => left % right,
        _ => return Err(mistyped(symbol(op), &Value::Float(left))),
    }))
}

fn decimals(op: BinaryOp, left: (i128, u8), right: (i128, u8), result: &DataType) -> Result<Value> {
    let shown = |(unscaled, scale)| Value::Decimal { unscaled, scale };
    let DataType::Decimal { precision, scale } = *result else {
        return Err(mistyped(symbol(op), &shown(left)));
    };
    if right.0 == 0 && matches!(op, BinaryOp::Divide | BinaryOp::Modulo) {
        return Err(division_by_zero(shown(left)));
    }
    decimal_result(op, left, right, scale)
        .and_then(|unscaled| fit_decimal(unscaled, precision, scale))
        .ok_or_else(|| {
            overflow(&format!("{} {} {}", shown(left), symbol(op), shown(right)), result)
        })
}

/// The digits of the result at `scale`; `None` when they overflow.
fn decimal_result(op: BinaryOp, left: (i128, u8), right: (i128, u8), scale: u8) -> Option<i128> {
    let common = left.1.max(right.1);
    let (l, r) = (rescale(left.0, left.1, common)?, rescale(right.0, right.1, common)?);
    match op {
        BinaryOp::Add => rescale(l.checked_add(r)?, common, scale),
        BinaryOp::Subtract => rescale(l.checked_sub(r)?, common, scale),
        BinaryOp::Modulo => rescale(l.wrapping_rem(r), common, scale),
        BinaryOp::Multiply => rescale(left.0.checked_mul(right.0)?, left.1 + right.1, scale),
        BinaryOp::Divide => rescale(l, 0, scale)?.checked_div(r),
        _ => None,
    }
}

/// The same number with another count of digits after the point, rounded half away from zero.
pub(super) fn rescale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return unscaled.checked_mul(10_i128.checked_pow(u32::from(to - from))?);
    }
    let factor = 10_i128.checked_pow(u32::from(from - to))?;
    let (quotient, remainder) = (unscaled / factor, unscaled % factor);
    let away = i128::from(remainder.unsigned_abs() * 2 >= factor.unsigned_abs());
    Some(quotient + away * unscaled.signum())
}

/// The decimal as a value, when the precision can hold it.
pub(super) fn fit_decimal(unscaled: i128, precision: u8, scale: u8) -> Option<Value> {
    let bound = 10_u128.checked_pow(u32::from(precision))?;
    (unscaled.unsigned_abs() < bound).then_some(Value::Decimal { unscaled, scale })
}

/// `-value`; the value is not null.
pub(super) fn negate(value: &Value, result: &DataType) -> Result<Value> {
    match value {
        Value::Int(number) => number
            .checked_neg()
            .and_then(|number| fit(number, result))
            .ok_or_else(|| overflow(&format!("-({number})"), result)),
        Value::Float(number) => Ok(Value::Float(-number)),
        Value::Decimal { unscaled, scale } => {
            Ok(Value::Decimal { unscaled: -unscaled, scale: *scale })
        }
        other => Err(mistyped("-", other)),
    }
}

/// `abs(value)`; the value is not null.
pub(super) fn absolute(value: &Value, result: &DataType) -> Result<Value> {
    match value {
        Value::Float(number) => Ok(Value::Float(number.abs())),
        Value::Int(number) if *number < 0 => negate(value, result),
        Value::Decimal { unscaled, .. } if *unscaled < 0 => negate(value, result),
        Value::Int(_) | Value::Decimal { .. } => Ok(value.clone()),
        other => Err(mistyped("abs", other)),
    }
}

pub(super) fn overflow(what: &str, result: &DataType) -> Error {
    Error::new(Kind::InvalidInput, format!("failed to compute `{what}`: it exceeds `{result}`"))
}

fn division_by_zero(left: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidInput, format!("failed to divide `{left}` by zero"))
        .hint("guard it: `CASE WHEN b <> 0 THEN a / b END`")
}

fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "OR",
        BinaryOp::And => "AND",
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "<>",
        BinaryOp::Lt => "<",
        BinaryOp::LtEq => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::GtEq => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::Concat => "||",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(unscaled: i128, scale: u8) -> Value {
        Value::Decimal { unscaled, scale }
    }

    const DECIMAL: DataType = DataType::Decimal { precision: 6, scale: 2 };

    #[test]
    fn integers_overflow_at_the_width_of_their_type() {
        let sum = |result| {
            binary(BinaryOp::Add, &Value::Int(i32::MAX.into()), &Value::Int(1), result)
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            sum(&DataType::Int),
            Err("failed to compute `2147483647 + 1`: it exceeds `Int`".to_owned())
        );
        assert_eq!(sum(&DataType::Long), Ok(Value::Int(1 << 31)));
    }

    #[test]
    fn integer_division_truncates_and_refuses_zero() {
        let divide = |left: i64, right: i64| {
            binary(BinaryOp::Divide, &left.into(), &right.into(), &DataType::Long).ok()
        };
        assert_eq!(divide(-7, 2), Some(Value::Int(-3)));
        assert_eq!(divide(1, 0), None);
        assert_eq!(divide(i64::MIN, -1), None);
    }

    #[test]
    fn decimals_keep_the_scale_of_the_result() {
        let compute = |op, left: Value, right: Value| binary(op, &left, &right, &DECIMAL).ok();
        assert_eq!(compute(BinaryOp::Add, decimal(15, 1), decimal(225, 2)), Some(decimal(375, 2)));
        assert_eq!(
            compute(BinaryOp::Multiply, decimal(105, 2), decimal(15, 1)),
            Some(decimal(158, 2))
        );
        assert_eq!(compute(BinaryOp::Divide, decimal(20, 1), decimal(3, 0)), Some(decimal(66, 2)));
        assert_eq!(compute(BinaryOp::Multiply, decimal(999_999, 2), decimal(2, 0)), None);
        assert_eq!(compute(BinaryOp::Divide, decimal(1, 0), decimal(0, 0)), None);
    }

    proptest! {
        #[test]
        fn integer_arithmetic_agrees_with_wide_arithmetic(left: i64, right: i64) {
            let wide = |op: BinaryOp| {
                let (left, right) = (i128::from(left), i128::from(right));
                let number = match op {
                    BinaryOp::Add => left + right,
                    BinaryOp::Subtract => left - right,
                    BinaryOp::Multiply => left * right,
                    _ if right == 0 => return None,
                    BinaryOp::Divide => left / right,
                    _ => left % right,
                };
                i64::try_from(number).ok().map(Value::Int)
            };
            for op in [BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide, BinaryOp::Modulo] {
                let ours = binary(op, &Value::Int(left), &Value::Int(right), &DataType::Long).ok();
                prop_assert_eq!(ours, wide(op));
            }
        }
    }
}
