//! Functions that make one value of a list: in come the items, out comes a value.
//!
//! Nulls among the items are passed over, as SQL's aggregates do, but by `any` and `all`, which are `OR`
//! and `AND` over the items and so three-valued. Not here: lists that are null themselves (`function`).

use base::Result;

use super::arithmetic::binary;
use super::mistyped;
use crate::{BinaryOp, DataType, Function, Value};

/// `function(list)`; the list is not null.
pub(super) fn fold(function: Function, list: &Value, result: &DataType) -> Result<Value> {
    let Value::List(items) = list else { return Err(mistyped("a function of lists", list)) };
    let mut known = items.iter().filter(|item| !item.is_null());
    Ok(match function {
        Function::Count => Value::Int(known.count() as i64),
        Function::Min => known.min().cloned().unwrap_or(Value::Null),
        Function::Max => known.max().cloned().unwrap_or(Value::Null),
        Function::Any => decided(items, true),
        Function::All => decided(items, false),
        Function::Avg => mean(known)?,
        _ => {
            let Some(first) = known.next() else { return Ok(Value::Null) };
            known.try_fold(first.clone(), |sum, item| binary(BinaryOp::Add, &sum, item, result))?
        }
    })
}

/// The item that decides, where there is one; else whether none could.
fn decided(items: &[Value], deciding: bool) -> Value {
    match items {
        items if items.contains(&Value::Boolean(deciding)) => Value::Boolean(deciding),
        items if items.contains(&Value::Null) => Value::Null,
        _ => Value::Boolean(!deciding),
    }
}

/// The mean as a float, summed in the order of the items.
fn mean<'v>(items: impl Iterator<Item = &'v Value>) -> Result<Value> {
    let (mut sum, mut count) = (0.0, 0.0);
    for item in items {
        sum += match item {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Decimal { unscaled, scale } => *unscaled as f64 / 10_f64.powi((*scale).into()),
            other => return Err(mistyped("avg", other)),
        };
        count += 1.0;
    }
    Ok(if count == 0.0 { Value::Null } else { Value::Float(sum / count) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: Function, items: &[Value], expected: Option<Value>) {
        let list = Value::List(items.to_vec());
        assert_eq!(fold(function, &list, &DataType::Long).ok(), expected, "{function:?} {list}");
    }

    #[test]
    fn nulls_are_passed_over() {
        let items = [Value::Int(3), Value::Null, Value::Int(4)];
        check(Function::Count, &items, Some(Value::Int(2)));
        check(Function::Sum, &items, Some(Value::Int(7)));
        check(Function::Avg, &items, Some(Value::Float(3.5)));
        check(Function::Min, &items, Some(Value::Int(3)));
        check(Function::Max, &items, Some(Value::Int(4)));
    }

    #[test]
    fn of_nothing_there_is_a_count_and_nothing_else() {
        check(Function::Count, &[Value::Null], Some(Value::Int(0)));
        for function in [Function::Sum, Function::Avg, Function::Min, Function::Max] {
            check(function, &[Value::Null], Some(Value::Null));
        }
        check(Function::Any, &[], Some(Value::Boolean(false)));
        check(Function::All, &[], Some(Value::Boolean(true)));
    }

    #[test]
    fn any_and_all_are_or_and_and() {
        let (yes, no) = (Value::Boolean(true), Value::Boolean(false));
        check(Function::Any, &[no.clone(), Value::Null, yes.clone()], Some(yes.clone()));
        check(Function::Any, &[no.clone(), Value::Null], Some(Value::Null));
        check(Function::All, &[yes.clone(), Value::Null, no.clone()], Some(no));
        check(Function::All, &[yes, Value::Null], Some(Value::Null));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error() {
        check(Function::Sum, &[Value::Int(i64::MAX), Value::Int(1)], None);
    }
}
