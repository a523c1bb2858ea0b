//! Groups of rows, in the plainest way: every group keeps its rows, and every measure walks them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::datatypes::i256;
use base::{Error, Result};

use super::scan::{matching_rows, value_in};
use super::{MemoryTable, Row};
use crate::aggregate::{
    Aggregate, GroupBy, GroupKey, MeasureOf, Width, column_named, exact_mean, fit_sum, mean_raise,
    width_of,
};
use crate::convert::batch_of;
use crate::{DataType, Expr, Field, RowInterpreter, ScanRequest, Value};

/// One group: its keys and its rows.
type Group = (Vec<Value>, Vec<Row>);

/// The groups that are asked for, as one batch.
pub(super) fn aggregate(
    table: &MemoryTable,
    rows: &[Row],
    request: &ScanRequest,
    asked: &Aggregate,
) -> Result<RecordBatch> {
    let columns = asked.columns(request)?;
    let mut answer = Vec::new();
    for (keys, rows) in groups(table, rows, request, asked)? {
        let measures = asked.measures.iter().map(|asked| measure(table, &rows, request, &asked.of));
        let row = keys.into_iter().map(Ok).chain(measures).collect::<Result<Vec<Value>>>()?;
        if is_wanted(&columns, &row, request, asked)? {
            answer.push(row);
        }
    }
    arrange(&columns, &mut answer, request)?;
    batch_of(&columns, &answer)
}

fn groups(
    table: &MemoryTable,
    rows: &[Row],
    request: &ScanRequest,
    asked: &Aggregate,
) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<Vec<Value>, usize> = HashMap::new();
    if asked.group.is_empty() {
        places.insert(Vec::new(), 0);
        groups.push((Vec::new(), Vec::new()));
    }
    for row in matching_rows(table, rows, request)? {
        let keys = asked.group.iter().map(|key| key_of(table, &row, request, key));
        let keys = keys.collect::<Result<Vec<Value>>>()?;
        let place = *places.entry(keys.clone()).or_insert_with(|| {
            groups.push((keys, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(row);
    }
    Ok(groups)
}

fn key_of(table: &MemoryTable, row: &Row, request: &ScanRequest, key: &GroupKey) -> Result<Value> {
    let value = operand(table, row, request, &key.input)?;
    Ok(match (&key.by, value) {
        (GroupBy::Truncated(unit), Value::Date(days)) => Value::Date(unit.first_day(days)?),
        (GroupBy::Truncated(unit), Value::DateTime(micros)) => {
            Value::DateTime(unit.first_moment(micros)?)
        }
        (GroupBy::Bucket(_), Value::Null) => Value::Null,
        (GroupBy::Bucket(width), value) => {
            bucket(width_of(width, &key.input.data_type)?, value, &key.input.data_type)?
        }
        (_, value) => value,
    })
}

/// The lower bound of a number's bucket.
fn bucket(width: Width, value: Value, data_type: &DataType) -> Result<Value> {
    let least = if *data_type == DataType::Int { i32::MIN.into() } else { i64::MIN };
    Ok(match (width, value, data_type) {
        (Width::Whole(width), Value::Int(number), _) => {
            Value::Int(Width::of_whole(width, number, least)?)
        }
        (Width::Float(width), Value::Float(number), _) => {
            Value::Float(Width::of_float(width, number))
        }
        (
            Width::Unscaled(width),
            Value::Decimal { unscaled, scale },
            DataType::Decimal { precision, .. },
        ) => Value::Decimal { unscaled: Width::of_decimal(width, unscaled, *precision)?, scale },
        (_, other, _) => {
            return Err(Error::internal(format!("`{other}` is no number to group by")));
        }
    })
}

fn operand(table: &MemoryTable, row: &Row, request: &ScanRequest, expr: &Expr) -> Result<Value> {
    RowInterpreter.evaluate_row(expr, &|path, _| value_in(table, row, path), &request.principal)
}

fn measure(
    table: &MemoryTable,
    rows: &[Row],
    request: &ScanRequest,
    of: &MeasureOf,
) -> Result<Value> {
    let values = |expr: &Expr| {
        let values = rows.iter().map(|row| operand(table, row, request, expr));
        let mut values = values.collect::<Result<Vec<Value>>>()?;
        values.retain(|value| !value.is_null());
        Ok::<_, Error>(values)
    };
    let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(match of {
        MeasureOf::Rows => count(rows.len()),
        MeasureOf::Count(expr) => count(values(expr)?.len()),
        MeasureOf::CountDistinct(expr) => {
            count(values(expr)?.into_iter().collect::<HashSet<Value>>().len())
        }
        MeasureOf::Min(expr) => values(expr)?.into_iter().min().unwrap_or(Value::Null),
        MeasureOf::Max(expr) => values(expr)?.into_iter().max().unwrap_or(Value::Null),
        MeasureOf::Sum(expr) => sum(&values(expr)?, &of.data_type()?)?,
        MeasureOf::Avg(expr) => mean(&values(expr)?, &expr.data_type)?,
        MeasureOf::Percentile(expr, share) => percentile(&values(expr)?, *share),
    })
}

/// The exact sum of numbers that are no floats.
fn exact_sum(values: &[Value]) -> i256 {
    let digits = values.iter().map(|value| match value {
        Value::Int(number) => i128::from(*number),
        Value::Decimal { unscaled, .. } => *unscaled,
        _ => 0,
    });
    // No table has so many rows that 256 bits overflow.
    digits.fold(i256::ZERO, |sum, digits| sum.wrapping_add(i256::from_i128(digits)))
}

fn sum(values: &[Value], data_type: &DataType) -> Result<Value> {
    if values.is_empty() {
        return Ok(Value::Null);
    }
    Ok(match data_type {
        DataType::Float => Value::Float(values.iter().map(float).fold(0.0, |sum, one| sum + one)),
        DataType::Decimal { scale, .. } => {
            Value::Decimal { unscaled: fit_sum(exact_sum(values), data_type)?, scale: *scale }
        }
        whole => {
            let sum = fit_sum(exact_sum(values), whole)?;
            Value::Int(i64::try_from(sum).unwrap_or(i64::MAX))
        }
    })
}

fn mean(values: &[Value], data_type: &DataType) -> Result<Value> {
    if values.is_empty() {
        return Ok(Value::Null);
    }
    let count = values.len() as f64;
    Ok(match data_type {
        DataType::Float => {
            Value::Float(values.iter().map(float).fold(0.0, |sum, one| sum + one) / count)
        }
        DataType::Decimal { scale, .. } => {
            let raise = mean_raise(data_type);
            let mean = exact_mean(exact_sum(values), values.len() as i64, raise);
            let unscaled = mean.ok_or_else(|| Error::internal("a mean exceeds its values"))?;
            Value::Decimal { unscaled, scale: scale + raise }
        }
        _ => Value::Float(exact_sum(values).to_i128().unwrap_or_default() as f64 / count),
    })
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        Value::Int(number) => *number as f64,
        Value::Decimal { unscaled, scale } => *unscaled as f64 / 10_f64.powi(i32::from(*scale)),
        _ => f64::NAN,
    }
}

fn percentile(values: &[Value], share: f64) -> Value {
    let mut values: Vec<f64> = values.iter().map(float).collect();
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return Value::Null };
    let place = share * last as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    let beyond = place.fract();
    Value::Float(if beyond == 0.0 { low } else { low + (high - low) * beyond })
}

fn is_wanted(
    columns: &[Field],
    row: &[Value],
    request: &ScanRequest,
    asked: &Aggregate,
) -> Result<bool> {
    let Some(having) = &asked.having else { return Ok(true) };
    let column = |path: &[String], _: &DataType| {
        let (place, _) = column_named(columns, &path.join("."))?;
        Ok(row[place].clone())
    };
    RowInterpreter.holds(having, &column, &request.principal)
}

/// Sorts the groups, and leaves out those before the position and beyond the limit.
fn arrange(columns: &[Field], rows: &mut Vec<Vec<Value>>, request: &ScanRequest) -> Result<()> {
    let places = request.order.iter().map(|item| Ok(column_named(columns, &item.field)?.0));
    let places = places.collect::<Result<Vec<usize>>>()?;
    let compare = |value: &dyn Fn(usize, usize) -> Ordering| {
        let each = (0..places.len()).map(|item| value(item, places[item]));
        each.fold(Ordering::Equal, Ordering::then)
    };
    rows.sort_by(|left, right| {
        compare(&|item, place| request.order[item].compare(&left[place], &right[place]))
    });
    if let Some(after) = &request.after {
        if after.len() != places.len() {
            return Err(Error::invalid("`after` needs one value for each item of the order"));
        }
        rows.retain(|row| {
            compare(&|item, place| request.order[item].compare(&row[place], &after[item])).is_gt()
        });
    }
    rows.truncate(request.limit.unwrap_or(usize::MAX));
    Ok(())
}

#[cfg(test)]
mod tests;
