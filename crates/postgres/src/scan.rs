//! Questions for rows as statements. In: a request and the bound table. Out: one `SELECT` with its columns.
//! Not here: groups (`aggregate`), running it (`database`).

use base::{Error, Kind, Principal, Result};
use frame::{BinaryOp, Field, Order, ScanRequest, SnapshotRef, Value};

use crate::catalog::Bound;
use crate::expr::{Scope, Writer, value_of};
use crate::statement::Statement;

/// What `Scan::snapshot` says of every table, and the only state that may be asked for.
pub(crate) const NOW: i64 = 1;

/// A statement with what its columns are.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The statement.
    pub(crate) statement: Statement,
    /// Its columns.
    pub(crate) fields: Vec<Field>,
}

/// Refuses what a database does not do.
pub(crate) fn check(request: &ScanRequest) -> Result<()> {
    let refused = |what: &str, hint: &'static str| {
        Err(Error::new(Kind::Unsupported, format!("`{}` {what}", request.table)).hint(hint))
    };
    if request.search.is_some() {
        return refused("is a table of a database and is not searched by text", "use `where`");
    }
    if request.nearest.is_some() {
        return refused("is a table of a database and is not searched by vectors", "use `where`");
    }
    match request.at {
        None | Some(SnapshotRef::Id(NOW)) => Ok(()),
        Some(_) => {
            refused("is a table of a database, which keeps no earlier states", "leave `asOf` out")
        }
    }
}

/// The rows that are asked for, at most one more than `most`.
pub(crate) fn rows(bound: &Bound, request: &ScanRequest, most: usize) -> Result<Asked> {
    check(request)?;
    let columns = request.fields.iter().map(|name| bound.column(name));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let fields: Vec<Field> = columns.iter().map(|column| column.field.clone()).collect();
    let mut statement = Statement::default();
    let mut select = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        select.push(format!("{} AS f{index}", value_of(column)));
    }
    if select.is_empty() {
        select.push("true AS f0".to_owned());
    }
    let names = (0..select.len()).map(|index| format!("f{index}")).collect::<Vec<_>>().join(", ");
    let wanted = wanted(bound, request, &mut statement)?;
    let mut writer = Writer {
        scope: Scope::Table(bound),
        viewer: &request.principal,
        statement: &mut statement,
    };
    let keys = sort_keys(&mut writer, &request.order)?;
    let order = order_by(&keys, &request.order);
    let text = match &request.limit_by {
        None => format!("SELECT {} FROM {}{wanted}{order}", select.join(", "), bound.relation),
        Some(limit_by) => {
            let by = writer.sort_key(&limit_by.field)?.0;
            let sorted = keys.iter().enumerate().map(|(index, key)| format!(", {key} AS k{index}"));
            let sorted: String = sorted.collect();
            let outer: Vec<String> = (0..keys.len()).map(|index| format!("k{index}")).collect();
            format!(
                "SELECT {names} FROM (SELECT {}{sorted}, row_number() OVER (PARTITION BY {by}{order}) AS place \
                 FROM {}{wanted}) AS placed WHERE place <= {}{}",
                select.join(", "),
                bound.relation,
                limit_by.count,
                order_by(&outer, &request.order),
            )
        }
    };
    statement.push(&text).push(&limit(request, most));
    Ok(Asked { statement, fields })
}

/// How many rows match.
pub(crate) fn count(bound: &Bound, request: &ScanRequest) -> Result<Statement> {
    check(request)?;
    if request.aggregate.is_some() {
        return Err(Error::invalid("groups of rows are not counted"));
    }
    let mut statement = Statement::default();
    let request = ScanRequest { after: None, ..request.clone() };
    let wanted = wanted(bound, &request, &mut statement)?;
    statement.push(&format!("SELECT count(*) FROM {}{wanted}", bound.relation));
    Ok(statement)
}

/// `LIMIT`, as a number of our own.
pub(crate) fn limit(request: &ScanRequest, most: usize) -> String {
    let beyond = most.saturating_add(1);
    format!(" LIMIT {}", request.limit.unwrap_or(beyond).min(beyond))
}

/// ` WHERE …`, or nothing.
fn wanted(bound: &Bound, request: &ScanRequest, statement: &mut Statement) -> Result<String> {
    let mut writer = Writer { scope: Scope::Table(bound), viewer: &request.principal, statement };
    let mut conditions = Vec::new();
    if let Some(predicate) = &request.predicate {
        conditions.push(writer.write(predicate)?);
    }
    if let Some(after) = request.after.as_ref().filter(|_| request.aggregate.is_none()) {
        conditions.push(beyond(&mut writer, &request.order, after)?);
    }
    Ok(all_of(&conditions))
}

/// ` WHERE …` of the rows that `predicate` leaves, for groups.
pub(crate) fn grouped_rows(
    bound: &Bound,
    request: &ScanRequest,
    statement: &mut Statement,
) -> Result<String> {
    wanted(bound, request, statement)
}

/// ` WHERE` all of these, or nothing.
pub(crate) fn all_of(conditions: &[String]) -> String {
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    }
}

/// What each item of an order sorts by.
pub(crate) fn sort_keys(writer: &mut Writer<'_>, order: &[Order]) -> Result<Vec<String>> {
    order.iter().map(|item| Ok(writer.sort_key(&item.field)?.0)).collect()
}

/// ` ORDER BY …`, or nothing.
pub(crate) fn order_by(keys: &[String], order: &[Order]) -> String {
    let items = keys.iter().zip(order).map(|(key, item)| {
        let direction = if item.descending { "DESC" } else { "ASC" };
        let nulls = if item.nulls_first { "FIRST" } else { "LAST" };
        format!("{key} {direction} NULLS {nulls}")
    });
    let items: Vec<String> = items.collect();
    match items.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", items.join(", ")),
    }
}

/// Rows strictly after a position in an order: beyond it in one item and equal to it in all before.
pub(crate) fn beyond(writer: &mut Writer<'_>, order: &[Order], after: &[Value]) -> Result<String> {
    if after.len() != order.len() {
        return Err(Error::invalid("`after` needs one value for each item of the order"));
    }
    let mut alternatives = Vec::new();
    let mut same: Vec<String> = Vec::new();
    for (item, value) in order.iter().zip(after) {
        if let Some(further) = further(writer, item, value)? {
            let all: Vec<&str> =
                same.iter().map(String::as_str).chain([further.as_str()]).collect();
            alternatives.push(format!("({})", all.join(" AND ")));
        }
        same.push(match value.is_null() {
            true => format!("({} IS NULL)", writer.sort_key(&item.field)?.0),
            false => writer.compare(&item.field, BinaryOp::Eq, value)?,
        });
    }
    match alternatives.is_empty() {
        true => Ok("false".to_owned()),
        false => Ok(format!("({})", alternatives.join(" OR "))),
    }
}

/// What is beyond one value of one item; nothing may be.
fn further(writer: &mut Writer<'_>, item: &Order, value: &Value) -> Result<Option<String>> {
    let key = writer.sort_key(&item.field)?.0;
    if value.is_null() {
        return Ok(item.nulls_first.then(|| format!("({key} IS NOT NULL)")));
    }
    let op = if item.descending { BinaryOp::Lt } else { BinaryOp::Gt };
    let further = writer.compare(&item.field, op, value)?;
    Ok(Some(match item.nulls_first {
        true => further,
        false => format!("({further} OR {key} IS NULL)"),
    }))
}

/// A writer of expressions over an answer.
pub(crate) fn over_answer<'a>(
    columns: &'a [Field],
    viewer: &'a Principal,
    statement: &'a mut Statement,
) -> Writer<'a> {
    Writer { scope: Scope::Answer(columns), viewer, statement }
}
