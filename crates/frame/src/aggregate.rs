//! What one may ask of groups of rows instead of the rows themselves.
//!
//! In: an [`Aggregate`] of a [`ScanRequest`]: what rows are grouped by, what is measured of each group,
//! which groups are wanted. Out: the columns of the answer with their types, and the exact arithmetic
//! that every implementation shares. Not here: reading of rows (`memory`, the lake).
//!
//! **Groups.** Rows belong together when all keys are equal; null is a value like any other, NaN equals
//! itself, and `-0.0` is not `0.0`, as in [`Value`]. Without keys all rows are one group, which is
//! there even when it has no rows; with keys a group without rows does not exist.
//!
//! **Measures** pass over nulls, but for [`MeasureOf::Rows`]. Of no values counts are 0 and all others
//! null. A sum of `Int` is a `Long`, a sum of `Long` a `Decimal(38, 0)`, a sum of `Decimal(p, s)` a
//! `Decimal(38, s)`: exact, and an error when it does not fit. A mean of `Int` and `Long` is the exact
//! sum divided as `Float`; a mean of decimals is rounded half away from zero to at least the scale of
//! its values, and four digits more where 38 hold them. Sums and means of `Float` are rounded in no
//! particular order; NaN makes them NaN. The least and the greatest value follow the order of
//! [`Value`], in which NaN is the greatest float. A percentile is a `Float`, interpolated between the two
//! values around the place `p * (n - 1)` (`PERCENTILE_CONT` of SQL); an implementation may round the
//! share of the second to a millionth.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::i256;
use base::{Error, Kind, Result};
use chrono::{Datelike, NaiveDate};

use crate::{DataType, Expr, Field, ScanRequest, Value};

/// Digits of the widest decimal.
const WIDEST: u8 = 38;
/// Digits that a mean has after those of its values, where there is room.
const MEAN_DIGITS: u8 = 4;
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;
/// Microseconds of a day.
const DAY: i64 = 24 * HOUR;

/// Groups of rows and what is asked of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// What rows are grouped by: the first columns of the answer.
    pub group: Vec<GroupKey>,
    /// What is asked of each group: the other columns of the answer.
    pub measures: Vec<Measure>,
    /// Groups that are wanted: a predicate over the columns of the answer, by their names.
    pub having: Option<Expr>,
}

/// One thing that rows are grouped by; its column has the type of `input`.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupKey {
    /// The column's name in the answer.
    pub name: Arc<str>,
    /// What is looked at.
    pub input: Expr,
    /// What of it.
    pub by: GroupBy,
}

/// What of a value decides its group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupBy {
    /// All of it.
    Value,
    /// The beginning of the year, month, … in UTC in which a `Date` or `DateTime` lies.
    Truncated(DateUnit),
    /// The lower bound of the bucket in which a number lies: buckets have this width, and one begins
    /// at zero.
    Bucket(Value),
}

/// A part of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateUnit {
    /// From the first of January.
    Year,
    /// From the first of the month.
    Month,
    /// From midnight.
    Day,
    /// From the full hour; not of a `Date`.
    Hour,
}

/// One thing that is asked of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// The column's name in the answer.
    pub name: Arc<str>,
    /// What is measured.
    pub of: MeasureOf,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum MeasureOf {
    /// How many rows: a `Long`.
    Rows,
    /// How many values: a `Long`.
    Count(Expr),
    /// How many different values: a `Long`.
    CountDistinct(Expr),
    /// All numbers added up.
    Sum(Expr),
    /// Their mean.
    Avg(Expr),
    /// The least value.
    Min(Expr),
    /// The greatest value.
    Max(Expr),
    /// The value below which this share of the numbers lies, from 0 to 1.
    Percentile(Expr, f64),
}

impl Aggregate {
    /// What of the rows is read: the inputs of keys and measures.
    pub fn inputs(&self) -> impl Iterator<Item = &Expr> {
        let keys = self.group.iter().map(|key| &key.input);
        keys.chain(self.measures.iter().filter_map(|measure| measure.of.operand()))
    }

    /// The columns of the answer. Errors: `InvalidInput` for what the request cannot ask beside groups,
    /// for a name that is given twice, and for a type of which something cannot be asked.
    pub fn columns(&self, request: &ScanRequest) -> Result<Vec<Field>> {
        if !request.fields.is_empty() || request.limit_by.is_some() || request.nearest.is_some() {
            return Err(Error::invalid(
                "groups of rows have no fields, no limit for each value and no neighbours",
            ));
        }
        let keys = self.group.iter().map(GroupKey::column);
        let measures = self.measures.iter().map(Measure::column);
        let columns = keys.chain(measures).collect::<Result<Vec<Field>>>()?;
        if columns.is_empty() {
            return Err(Error::invalid("nothing is asked of the groups"));
        }
        let mut names = HashSet::new();
        match columns.iter().find(|column| !names.insert(&column.name)) {
            Some(twice) => Err(Error::invalid(format!(
                "two columns of the answer are called `{}`",
                twice.name
            ))),
            None => Ok(columns),
        }
    }
}

/// The column of an answer with this name.
pub fn column_named<'a>(columns: &'a [Field], name: &str) -> Result<(usize, &'a Field)> {
    let mut found = columns.iter().enumerate();
    found
        .find(|(_, column)| column.name.as_ref() == name)
        .ok_or_else(|| Error::not_found(format!("the answer has no column `{name}`")))
}

impl GroupKey {
    fn column(&self) -> Result<Field> {
        let data_type = &self.input.data_type;
        let wrong = |what: &str| Err(Error::invalid(format!("`{data_type}` {what}")));
        match (&self.by, data_type) {
            (GroupBy::Value, found) if !found.is_ordered() => {
                return wrong("has no values that rows can be grouped by");
            }
            (GroupBy::Truncated(DateUnit::Hour), DataType::Date) => {
                return wrong("has no hours to group by");
            }
            (GroupBy::Value, _)
            | (GroupBy::Truncated(_), DataType::Date | DataType::DateTime)
            | (GroupBy::Bucket(_), _) => {}
            (GroupBy::Truncated(_), _) => return wrong("has no calendar to group by"),
        }
        if let GroupBy::Bucket(width) = &self.by {
            width_of(width, data_type)?;
        }
        Ok(Field::new(Arc::clone(&self.name), data_type.clone(), true))
    }
}

/// The width of a bucket in the words of the type whose numbers it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Width {
    /// Of `Int` and `Long`.
    Whole(i64),
    /// Of `Float`.
    Float(f64),
    /// Of `Decimal`: digits at the scale of the type.
    Unscaled(i128),
}

/// The width for numbers of this type. Errors: `InvalidInput` when it is no such number or not above
/// zero, or when the type has no numbers.
pub fn width_of(width: &Value, data_type: &DataType) -> Result<Width> {
    let found = match (data_type, width) {
        (DataType::Int | DataType::Long, Value::Int(whole)) if *whole > 0 => {
            Some(Width::Whole(*whole))
        }
        (DataType::Float, Value::Float(float)) if float.is_finite() && *float > 0.0 => {
            Some(Width::Float(*float))
        }
        (DataType::Decimal { scale, .. }, Value::Decimal { unscaled, scale: from })
            if *unscaled > 0 =>
        {
            at_scale(*unscaled, *from, *scale).map(Width::Unscaled)
        }
        (numeric, _) if !numeric.is_numeric() => {
            return Err(Error::invalid(format!("`{data_type}` has no buckets to group by")));
        }
        _ => None,
    };
    found.ok_or_else(|| {
        Error::invalid(format!("`{width}` is not the width of a bucket of `{data_type}`"))
            .hint("a width is a number of the field's type above zero")
    })
}

/// The same number with another count of digits after the point, when none of them is lost.
fn at_scale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    let factor = 10_i128.checked_pow(u32::from(from.abs_diff(to)))?;
    match to >= from {
        true => unscaled.checked_mul(factor),
        false => (unscaled % factor == 0).then_some(unscaled / factor),
    }
}

impl Measure {
    fn column(&self) -> Result<Field> {
        let nullable =
            !matches!(self.of, MeasureOf::Rows | MeasureOf::Count(_) | MeasureOf::CountDistinct(_));
        Ok(Field::new(Arc::clone(&self.name), self.of.data_type()?, nullable))
    }
}

impl MeasureOf {
    /// What is measured; nothing when it is the rows themselves.
    pub fn operand(&self) -> Option<&Expr> {
        match self {
            MeasureOf::Rows => None,
            MeasureOf::Count(operand)
            | MeasureOf::CountDistinct(operand)
            | MeasureOf::Sum(operand)
            | MeasureOf::Avg(operand)
            | MeasureOf::Min(operand)
            | MeasureOf::Max(operand)
            | MeasureOf::Percentile(operand, _) => Some(operand),
        }
    }

    /// The type of the measure. Errors: `InvalidInput` for an operand of which it cannot be asked.
    pub fn data_type(&self) -> Result<DataType> {
        let refused = |what: &str, operand: &Expr| {
            Err(Error::invalid(format!("`{}` {what}", operand.data_type)))
        };
        match self {
            MeasureOf::Rows | MeasureOf::Count(_) => Ok(DataType::Long),
            MeasureOf::CountDistinct(operand) if operand.data_type.is_ordered() => {
                Ok(DataType::Long)
            }
            MeasureOf::CountDistinct(operand) => {
                refused("has no values that can be told apart", operand)
            }
            MeasureOf::Min(operand) | MeasureOf::Max(operand) => {
                match operand.data_type.is_ordered() {
                    true => Ok(operand.data_type.clone()),
                    false => refused("has no order", operand),
                }
            }
            MeasureOf::Sum(operand) => match sum_type(&operand.data_type) {
                Some(data_type) => Ok(data_type),
                None => refused("has no sum", operand),
            },
            MeasureOf::Avg(operand) => match mean_type(&operand.data_type) {
                Some(data_type) => Ok(data_type),
                None => refused("has no mean", operand),
            },
            MeasureOf::Percentile(operand, _) if !operand.data_type.is_numeric() => {
                refused("has no percentiles", operand)
            }
            MeasureOf::Percentile(_, share) if !(0.0..=1.0).contains(share) => {
                Err(Error::invalid(format!("`{share}` is not a share from 0 to 1")))
            }
            MeasureOf::Percentile(..) => Ok(DataType::Float),
        }
    }
}

/// The type of a sum of numbers of this type; `None` when they are no numbers.
pub fn sum_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int => Some(DataType::Long),
        DataType::Long => Some(DataType::Decimal { precision: WIDEST, scale: 0 }),
        DataType::Float => Some(DataType::Float),
        DataType::Decimal { scale, .. } => {
            Some(DataType::Decimal { precision: WIDEST, scale: *scale })
        }
        _ => None,
    }
}

/// The type of a mean of numbers of this type; `None` when they are no numbers.
pub fn mean_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int | DataType::Long | DataType::Float => Some(DataType::Float),
        DataType::Decimal { precision, scale } => {
            // A mean has no more digits before the point than its values.
            let before = precision.saturating_sub(*scale);
            let scale = (scale + MEAN_DIGITS).min(WIDEST.saturating_sub(before)).max(*scale);
            Some(DataType::Decimal { precision: WIDEST, scale })
        }
        _ => None,
    }
}

/// The digits of an exact sum as its type holds them. Errors: `InvalidInput` when it does not.
pub fn fit_sum(sum: i256, data_type: &DataType) -> Result<i128> {
    let fits = |sum: &i128| match data_type {
        DataType::Decimal { precision, .. } => 10_u128
            .checked_pow(u32::from(*precision))
            .is_some_and(|bound| sum.unsigned_abs() < bound),
        _ => i64::try_from(*sum).is_ok(),
    };
    sum.to_i128().filter(fits).ok_or_else(|| {
        Error::new(
            Kind::InvalidInput,
            format!("failed to add up the rows of a group: the sum exceeds `{data_type}`"),
        )
        .hint("narrow `where`, or group by more")
    })
}

/// The digits of the mean of `count` decimals with this sum, with `raise` more digits after the point,
/// rounded half away from zero; `None` for no values, and for a sum that no such values have.
pub fn exact_mean(sum: i256, count: i64, raise: u8) -> Option<i128> {
    if count <= 0 {
        return None;
    }
    let factor = i256::from_i128(10_i128.checked_pow(u32::from(raise))?);
    let (raised, count) = (sum.checked_mul(factor)?, i256::from_i128(i128::from(count)));
    let (quotient, rest) = (raised.checked_div(count)?, raised.checked_rem(count)?);
    let twice = rest.wrapping_abs().checked_add(rest.wrapping_abs())?;
    let away = if twice >= count { sum.signum() } else { i256::ZERO };
    quotient.checked_add(away)?.to_i128()
}

/// How many digits a mean has after those of its values.
pub fn mean_raise(values: &DataType) -> u8 {
    match (values, mean_type(values)) {
        (DataType::Decimal { scale, .. }, Some(DataType::Decimal { scale: wider, .. })) => {
            wider - scale
        }
        _ => 0,
    }
}

impl DateUnit {
    /// The first day of the year, month, … in which a day since the epoch lies. Errors: `InvalidInput`
    /// for days that no calendar has.
    pub fn first_day(self, days: i32) -> Result<i32> {
        let first = match self {
            DateUnit::Day | DateUnit::Hour => Some(days),
            _ => NaiveDate::from_epoch_days(days).and_then(|date| {
                let month = if self == DateUnit::Year { 1 } else { date.month() };
                NaiveDate::from_ymd_opt(date.year(), month, 1).map(|date| date.to_epoch_days())
            }),
        };
        first.ok_or_else(|| beyond(&Value::Date(days)))
    }

    /// The moment at which the year, month, … began in which a microsecond since the epoch lies.
    /// Errors: `InvalidInput` for times that no calendar has.
    pub fn first_moment(self, micros: i64) -> Result<i64> {
        let unit = if self == DateUnit::Hour { HOUR } else { DAY };
        let whole = micros.div_euclid(unit);
        let first = match self {
            DateUnit::Day | DateUnit::Hour => whole.checked_mul(unit),
            _ => match i32::try_from(whole) {
                Ok(days) => i64::from(self.first_day(days)?).checked_mul(DAY),
                Err(_) => None,
            },
        };
        first.ok_or_else(|| beyond(&Value::DateTime(micros)))
    }
}

fn beyond(value: &Value) -> Error {
    Error::invalid(format!("failed to group by `{value}`: it lies beyond the calendar"))
}

impl Width {
    /// The lower bound of the bucket of a whole number, which `limit` bounds too. Errors: `InvalidInput`
    /// when the bucket begins below what the type holds.
    pub fn of_whole(width: i64, number: i64, limit: i64) -> Result<i64> {
        let bound = number.div_euclid(width).checked_mul(width).filter(|bound| *bound >= limit);
        bound.ok_or_else(|| too_low(&Value::Int(number)))
    }

    /// The lower bound of the bucket of a float; NaN and the infinities are their own.
    pub fn of_float(width: f64, number: f64) -> f64 {
        let buckets = (number / width).floor();
        // Where numbers lie farther apart than buckets each has one of its own. Adding zero makes one
        // bucket of both zeros.
        if buckets.is_finite() { buckets * width + 0.0 } else { number }
    }

    /// The lower bound of the bucket of a decimal of the same scale. Errors: `InvalidInput` when the
    /// bucket begins below what `precision` digits hold.
    pub fn of_decimal(width: i128, unscaled: i128, precision: u8) -> Result<i128> {
        let holds = |bound: &i128| {
            10_u128
                .checked_pow(u32::from(precision))
                .is_some_and(|limit| bound.unsigned_abs() < limit)
        };
        let bound = unscaled.div_euclid(width).checked_mul(width).filter(holds);
        bound.ok_or_else(|| too_low(&Value::Decimal { unscaled, scale: 0 }))
    }
}

fn too_low(value: &Value) -> Error {
    Error::invalid(format!(
        "failed to group by `{value}`: its bucket begins below what the field's type holds"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(year: i32, month: u32, day: u32) -> i32 {
        NaiveDate::from_ymd_opt(year, month, day).expect("a date").to_epoch_days()
    }

    #[test]
    fn the_calendar_begins_where_people_say() {
        let first = |unit: DateUnit, days| unit.first_day(days).expect("a day");
        assert_eq!(first(DateUnit::Year, day(1968, 2, 29)), day(1968, 1, 1));
        assert_eq!(first(DateUnit::Month, day(2026, 12, 31)), day(2026, 12, 1));
        let before_the_epoch = -1;
        assert_eq!(DateUnit::Hour.first_moment(before_the_epoch).expect("a time"), -HOUR);
        assert_eq!(DateUnit::Day.first_moment(before_the_epoch).expect("a time"), -DAY);
        let year = DateUnit::Year.first_moment(before_the_epoch).expect("a time");
        assert_eq!(year, i64::from(day(1969, 1, 1)) * DAY);
        assert!(DateUnit::Month.first_day(i32::MAX).is_err());
        assert!(DateUnit::Day.first_moment(i64::MIN).is_err());
    }

    #[test]
    fn buckets_begin_at_zero_and_below_it() {
        assert_eq!(Width::of_whole(10, -1, i64::MIN).expect("a bucket"), -10);
        assert_eq!(Width::of_whole(10, 19, i64::MIN).expect("a bucket"), 10);
        assert!(Width::of_whole(10, i32::MIN.into(), i32::MIN.into()).is_err());
        assert_eq!(Width::of_float(0.5, -0.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(Width::of_float(0.5, -0.1), -0.5);
        assert_eq!(Width::of_float(1e-300, 1e300), 1e300);
        assert!(Width::of_float(0.5, f64::NAN).is_nan());
        assert_eq!(Width::of_decimal(25, -1, 5).expect("a bucket"), -25);
        assert!(Width::of_decimal(25, -99_999, 5).is_err());
    }

    #[test]
    fn widths_are_numbers_of_the_type_above_zero() {
        let price = DataType::Decimal { precision: 8, scale: 2 };
        let decimal = |unscaled, scale| Value::Decimal { unscaled, scale };
        let width = |value: Value, data_type: &DataType| width_of(&value, data_type).ok();
        assert_eq!(width(decimal(5, 1), &price), Some(Width::Unscaled(50)));
        assert_eq!(width(decimal(5, 3), &price), None);
        assert_eq!(width(Value::Int(0), &DataType::Int), None);
        assert_eq!(width(Value::Float(f64::NAN), &DataType::Float), None);
        assert_eq!(width(Value::Float(f64::INFINITY), &DataType::Float), None);
        assert_eq!(width(Value::Int(5), &DataType::String), None);
    }

    #[test]
    fn means_are_rounded_half_away_from_zero() {
        let mean = |sum: i128, count, raise| exact_mean(i256::from_i128(sum), count, raise);
        assert_eq!(mean(5, 2, 0), Some(3));
        assert_eq!(mean(-5, 2, 0), Some(-3));
        assert_eq!(mean(10, 3, 4), Some(33_333));
        assert_eq!(mean(-20, 3, 4), Some(-66_667));
        assert_eq!(mean(0, 7, 4), Some(0));
        assert_eq!(mean(1, 0, 4), None);
        assert_eq!(mean_raise(&DataType::Decimal { precision: 12, scale: 2 }), 4);
        assert_eq!(mean_raise(&DataType::Decimal { precision: 38, scale: 2 }), 0);
        assert_eq!(mean_raise(&DataType::Decimal { precision: 37, scale: 2 }), 1);
    }

    #[test]
    fn a_sum_that_does_not_fit_is_told_in_words() {
        let most = i256::from_i128(i128::from(i64::MAX));
        assert_eq!(fit_sum(most, &DataType::Long).expect("fits"), i128::from(i64::MAX));
        let error = fit_sum(most.wrapping_add(i256::ONE), &DataType::Long).expect_err("too large");
        let expected = "failed to add up the rows of a group: the sum exceeds `Long`";
        assert_eq!(error.to_string(), expected);
        let decimal = DataType::Decimal { precision: 38, scale: 2 };
        assert!(fit_sum(i256::from_i128(10_i128.pow(38)), &decimal).is_err());
        assert!(fit_sum(i256::MAX, &decimal).is_err());
    }

    proptest! {
        #[test]
        fn a_number_lies_in_its_bucket(number: i64, width in 1_i64..1 << 40) {
            if let Ok(bound) = Width::of_whole(width, number, i64::MIN) {
                prop_assert!(bound % width == 0 && bound <= number);
                prop_assert!(i128::from(number) < i128::from(bound) + i128::from(width));
            }
        }

        #[test]
        fn a_moment_lies_in_its_unit(micros in -(1_i64 << 55)..1 << 55) {
            let units = [DateUnit::Hour, DateUnit::Day, DateUnit::Month, DateUnit::Year];
            let firsts = units.map(|unit| unit.first_moment(micros).expect("in the calendar"));
            // Every larger unit begins no later, and a beginning is its own beginning.
            prop_assert!(firsts.windows(2).all(|pair| pair[1] <= pair[0]) && firsts[0] <= micros);
            for (unit, first) in units.into_iter().zip(firsts) {
                prop_assert_eq!(unit.first_moment(first).expect("in the calendar"), first);
            }
        }
    }
}
