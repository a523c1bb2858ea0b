//! The functions of the expression language, on values.
//!
//! Null in, null out, except `concat`, `least` and `greatest`, which pass over nulls.

use base::{Error, Result};
use chrono::{DateTime, Datelike, NaiveDate, Timelike};

use super::arithmetic::absolute;
use super::{fold, mistyped};
use crate::{DataType, Function, Value};

/// `function(arguments…)`.
pub(super) fn call(function: Function, arguments: &[Value], result: &DataType) -> Result<Value> {
    match function {
        Function::Concat => return concat(arguments),
        Function::Least => return Ok(not_null(arguments).min().cloned().unwrap_or(Value::Null)),
        Function::Greatest => return Ok(not_null(arguments).max().cloned().unwrap_or(Value::Null)),
        _ => {}
    }
    if arguments.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    if function.is_fold() {
        return fold::fold(function, argument(arguments, 0)?, result);
    }
    match function {
        Function::Abs => absolute(argument(arguments, 0)?, result),
        Function::Round
        | Function::Floor
        | Function::Ceil
        | Function::Sqrt
        | Function::Ln
        | Function::Power => on_floats(function, arguments),
        Function::Year
        | Function::Month
        | Function::Day
        | Function::Hour
        | Function::Date
        | Function::DateDiffDays => on_dates(function, arguments),
        _ => on_text(function, arguments),
    }
}

fn not_null(arguments: &[Value]) -> impl Iterator<Item = &Value> {
    arguments.iter().filter(|value| !value.is_null())
}

fn concat(arguments: &[Value]) -> Result<Value> {
    let parts = not_null(arguments).map(text).collect::<Result<Vec<_>>>()?;
    Ok(Value::String(parts.concat().into()))
}

fn argument(arguments: &[Value], index: usize) -> Result<&Value> {
    arguments
        .get(index)
        .ok_or_else(|| Error::internal(format!("a function lacks its argument {}", index + 1)))
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| mistyped("text function", value))
}

fn on_text(function: Function, arguments: &[Value]) -> Result<Value> {
    let first = text(argument(arguments, 0)?)?;
    let second = || text(argument(arguments, 1)?);
    Ok(match function {
        Function::Lower => Value::from(first.to_lowercase().as_str()),
        Function::Upper => Value::from(first.to_uppercase().as_str()),
        Function::Trim => Value::from(first.trim_matches(' ')),
        Function::Length => Value::Int(first.chars().count() as i64),
        Function::StartsWith => Value::Boolean(first.starts_with(second()?)),
        Function::EndsWith => Value::Boolean(first.ends_with(second()?)),
        Function::ContainsText => Value::Boolean(first.contains(second()?)),
        Function::Replace => replace(first, second()?, text(argument(arguments, 2)?)?),
        Function::Substring => {
            substring(first, int(argument(arguments, 1)?)?, int(argument(arguments, 2)?)?)?
        }
        other => return Err(Error::internal(format!("`{other:?}` is not a text function"))),
    })
}

/// Replaces every occurrence; an empty `from` occurs nowhere.
fn replace(text: &str, from: &str, to: &str) -> Value {
    if from.is_empty() { Value::from(text) } else { Value::from(text.replace(from, to).as_str()) }
}

/// The characters at positions `start..start + count` that exist, counted from 1.
fn substring(text: &str, start: i64, count: i64) -> Result<Value> {
    if count < 0 {
        return Err(Error::invalid(format!("`substring` needs a count of 0 or more, not {count}")));
    }
    let end = start.saturating_add(count).max(1);
    let begin = start.max(1);
    let part: String =
        text.chars().skip((begin - 1) as usize).take((end - begin).max(0) as usize).collect();
    Ok(Value::String(part.into()))
}

fn int(value: &Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(mistyped("a position", other)),
    }
}

fn on_floats(function: Function, arguments: &[Value]) -> Result<Value> {
    let float = |index| match argument(arguments, index)? {
        Value::Float(number) => Ok(*number),
        other => Err(mistyped("float function", other)),
    };
    let first: f64 = float(0)?;
    Ok(Value::Float(match function {
        Function::Round => first.round(),
        Function::Floor => first.floor(),
        Function::Ceil => first.ceil(),
        Function::Sqrt => first.sqrt(),
        Function::Ln => first.ln(),
        Function::Power => first.powf(float(1)?),
        other => return Err(Error::internal(format!("`{other:?}` is not a float function"))),
    }))
}

fn on_dates(function: Function, arguments: &[Value]) -> Result<Value> {
    let first = argument(arguments, 0)?;
    let number = match function {
        Function::Year => i64::from(day(first)?.year()),
        Function::Month => i64::from(day(first)?.month()),
        Function::Day => i64::from(day(first)?.day()),
        Function::Hour => match first {
            Value::DateTime(micros) => i64::from(time(*micros)?.hour()),
            other => return Err(mistyped("hour", other)),
        },
        Function::Date => return Ok(Value::Date(day(first)?.to_epoch_days())),
        _ => {
            let later = i64::from(day(first)?.to_epoch_days());
            later - i64::from(day(argument(arguments, 1)?)?.to_epoch_days())
        }
    };
    Ok(Value::Int(number))
}

/// The day of a date, or of a moment in UTC.
fn day(value: &Value) -> Result<NaiveDate> {
    match value {
        Value::Date(days) => NaiveDate::from_epoch_days(*days)
            .ok_or_else(|| Error::invalid(format!("`{value}` is beyond the calendar"))),
        Value::DateTime(micros) => Ok(time(*micros)?.date_naive()),
        other => Err(mistyped("date function", other)),
    }
}

fn time(micros: i64) -> Result<DateTime<chrono::Utc>> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Error::invalid(format!("`{micros}` µs is beyond the calendar")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: Function, arguments: &[Value], expected: Value) {
        assert_eq!(
            call(function, arguments, &DataType::String).ok(),
            Some(expected),
            "{function:?}"
        );
    }

    #[test]
    fn text_functions_count_characters() {
        let text = Value::from("größe");
        check(Function::Upper, std::slice::from_ref(&text), Value::from("GRÖSSE"));
        check(Function::Length, std::slice::from_ref(&text), Value::Int(5));
        check(
            Function::Substring,
            &[text.clone(), Value::Int(2), Value::Int(2)],
            Value::from("rö"),
        );
        check(Function::Substring, &[text.clone(), Value::Int(0), Value::Int(2)], Value::from("g"));
        check(Function::Substring, &[text.clone(), Value::Int(9), Value::Int(2)], Value::from(""));
        check(Function::Replace, &[text, "ö".into(), "oe".into()], Value::from("groeße"));
        check(Function::Trim, &["  a b ".into()], Value::from("a b"));
    }

    #[test]
    fn nulls_pass_through_or_are_passed_over() {
        check(Function::Lower, &[Value::Null], Value::Null);
        check(Function::Concat, &["a".into(), Value::Null, "b".into()], Value::from("ab"));
        check(Function::Least, &[Value::Null, Value::Int(3), Value::Int(2)], Value::Int(2));
        check(Function::Greatest, &[Value::Null, Value::Null], Value::Null);
    }

    #[test]
    fn dates_are_those_of_utc() {
        let moment = Value::DateTime(-1);
        check(Function::Year, std::slice::from_ref(&moment), Value::Int(1969));
        check(Function::Hour, std::slice::from_ref(&moment), Value::Int(23));
        check(Function::Date, &[moment], Value::Date(-1));
        check(Function::DateDiffDays, &[Value::Date(10), Value::Date(3)], Value::Int(7));
    }

    #[test]
    fn floats_round_half_away_from_zero() {
        check(Function::Round, &[Value::Float(-2.5)], Value::Float(-3.0));
        check(Function::Power, &[Value::Float(2.0), Value::Float(3.0)], Value::Float(8.0));
    }
}
