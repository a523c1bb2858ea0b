//! Questions for groups as statements. In: a request with an aggregate and the bound table. Out: one
//! `SELECT` of one row a group. Sums and means are exact where the house says so: the database adds whole
//! numbers and decimals exactly, and means are divided as integers. Not here: rows (`scan`).

use base::{Error, Kind, Result};
use frame::aggregate::{MeasureOf, Width, mean_raise, width_of};
use frame::{Aggregate, DataType, DateUnit, Expr, GroupBy, GroupKey, ScanRequest, Value};

use crate::catalog::Bound;
use crate::encode;
use crate::expr::{Scope, Writer, ordered};
use crate::scan::{
    self, Asked, all_of, beyond, grouped_rows, limit, order_by, over_answer, sort_keys,
};
use crate::statement::{Statement, quoted};

/// The groups that are asked for.
pub(crate) fn groups(
    bound: &Bound,
    request: &ScanRequest,
    asked: &Aggregate,
    most: usize,
) -> Result<Asked> {
    scan::check(request)?;
    let fields = asked.columns(request)?;
    let mut statement = Statement::default();
    let mut writer = Writer {
        scope: Scope::Table(bound),
        viewer: &request.principal,
        statement: &mut statement,
    };
    let mut select = Vec::new();
    for key in &asked.group {
        select.push(format!("{} AS {}", key_text(&mut writer, key)?, quoted(&key.name)));
    }
    for measure in &asked.measures {
        let text = measure_text(&mut writer, &measure.of)?;
        select.push(format!("{text} AS {}", quoted(&measure.name)));
    }
    let rows = grouped_rows(bound, request, &mut statement)?;
    let places = (1..=asked.group.len()).map(|place| place.to_string()).collect::<Vec<_>>();
    let group_by = match places.is_empty() {
        true => String::new(),
        false => format!(" GROUP BY {}", places.join(", ")),
    };
    let inner = format!("SELECT {} FROM {}{rows}{group_by}", select.join(", "), bound.relation);
    let mut conditions = Vec::new();
    let mut writer = over_answer(&fields, &request.principal, &mut statement);
    if let Some(having) = &asked.having {
        conditions.push(writer.write(having)?);
    }
    if let Some(after) = &request.after {
        conditions.push(beyond(&mut writer, &request.order, after)?);
    }
    let keys = sort_keys(&mut writer, &request.order)?;
    let order = order_by(&keys, &request.order);
    let names = fields.iter().map(|field| quoted(&field.name)).collect::<Vec<_>>().join(", ");
    let wanted = all_of(&conditions);
    let limit = limit(request, most);
    statement.push(&format!("SELECT {names} FROM ({inner}) AS grouped{wanted}{order}{limit}"));
    Ok(Asked { statement, fields })
}

fn key_text(writer: &mut Writer<'_>, key: &GroupKey) -> Result<String> {
    let input = writer.write(&key.input)?;
    let data_type = &key.input.data_type;
    Ok(match (&key.by, data_type) {
        // Texts that the database takes for one are two groups all the same.
        (GroupBy::Value, _) => ordered(&input, data_type),
        (GroupBy::Truncated(unit), DataType::Date) => {
            format!("date_trunc('{}', {input}::timestamp)::date", unit_word(*unit))
        }
        (GroupBy::Truncated(unit), _) => {
            let word = unit_word(*unit);
            format!("(date_trunc('{word}', {input} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')")
        }
        (GroupBy::Bucket(width), _) => bucket(writer, &input, width, data_type)?,
    })
}

fn unit_word(unit: DateUnit) -> &'static str {
    match unit {
        DateUnit::Year => "year",
        DateUnit::Month => "month",
        DateUnit::Day => "day",
        DateUnit::Hour => "hour",
    }
}

/// The lower bound of the bucket in which a number lies. The rest of a division has the sign of the number,
/// so that below zero a width is added to it.
fn bucket(
    writer: &mut Writer<'_>,
    input: &str,
    width: &Value,
    data_type: &DataType,
) -> Result<String> {
    match width_of(width, data_type)? {
        Width::Whole(width) => {
            let cast = if *data_type == DataType::Int { "int4" } else { "int8" };
            // As `numeric`, so that no step leaves the type before the last one does.
            let (number, width) = (format!("{input}::numeric"), format!("{width}::numeric"));
            Ok(format!("({number} - mod(mod({number}, {width}) + {width}, {width}))::{cast}"))
        }
        Width::Float(width) => {
            let place = encode::plain(&Value::Float(width), &DataType::Float)?;
            let place = writer.statement.place(place);
            // Adding zero makes one bucket of both zeros.
            Ok(format!("(floor({input} / {place}) * {place} + 0::float8)"))
        }
        Width::Unscaled(_) => {
            let place = writer.statement.place(encode::plain(width, data_type)?);
            Ok(format!("({input} - mod(mod({input}, {place}) + {place}, {place}))"))
        }
    }
}

fn measure_text(writer: &mut Writer<'_>, of: &MeasureOf) -> Result<String> {
    let mut operand = |expr: &Expr| writer.write(expr);
    Ok(match of {
        MeasureOf::Rows => "count(*)".to_owned(),
        MeasureOf::Count(expr) => format!("count({})", operand(expr)?),
        MeasureOf::CountDistinct(expr) => {
            format!("count(DISTINCT {})", ordered(&operand(expr)?, &expr.data_type))
        }
        MeasureOf::Sum(expr) => format!("sum({})", operand(expr)?),
        MeasureOf::Avg(expr) => mean(&operand(expr)?, &expr.data_type),
        MeasureOf::Min(expr) => extreme("min", &operand(expr)?, &expr.data_type),
        MeasureOf::Max(expr) => extreme("max", &operand(expr)?, &expr.data_type),
        MeasureOf::Percentile(expr, share) => {
            let text = operand(expr)?;
            let share = encode::plain(&Value::Float(*share), &DataType::Float)?;
            let place = writer.statement.place(share);
            format!("percentile_cont({place}) WITHIN GROUP (ORDER BY {text}::float8)")
        }
    })
}

/// The mean. Of decimals half away from zero at its scale: as the quotient of whole numbers, because the
/// database rounds a quotient of decimals before anybody else can.
fn mean(text: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::Float => format!("avg({text})"),
        DataType::Decimal { scale, .. } => {
            let digits = scale + mean_raise(data_type);
            format!(
                "(sign(sum({text})) * div(2 * abs(sum({text})) * 1e{digits}::numeric + count({text}), \
                 2 * nullif(count({text}), 0)::numeric) * 1e-{digits}::numeric)"
            )
        }
        _ => format!("(sum({text})::float8 / nullif(count({text}), 0)::float8)"),
    }
}

/// The least or the greatest value. Not every type that has an order has these in the database.
fn extreme(which: &str, text: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean if which == "min" => format!("bool_and({text})"),
        DataType::Boolean => format!("bool_or({text})"),
        DataType::String => format!("{which}({text} COLLATE \"C\")"),
        DataType::Uuid => format!("{which}({text}::text COLLATE \"C\")::uuid"),
        DataType::Bytes => {
            format!("decode({which}(encode({text}, 'hex') COLLATE \"C\"), 'hex')")
        }
        _ => format!("{which}({text})"),
    }
}

/// The error for a sum that its type does not hold, in the words of every other table.
pub(crate) fn too_large(asked: &Aggregate, column: usize) -> Option<Error> {
    let measure = asked.measures.get(column.checked_sub(asked.group.len())?)?;
    let MeasureOf::Sum(_) = measure.of else { return None };
    let data_type = measure.of.data_type().ok()?;
    Some(
        Error::new(
            Kind::InvalidInput,
            format!("failed to add up the rows of a group: the sum exceeds `{data_type}`"),
        )
        .hint("narrow `where`, or group by more"),
    )
}
