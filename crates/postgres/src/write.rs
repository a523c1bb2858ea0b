//! Changes as statements. In: a request and the bound table. Out: statements for one transaction, each with
//! what is wrong when it touches no row. Not here: running them (`database`).

use base::{Error, Kind, Result};
use frame::convert::rows_of;
use frame::{DataType, Field, Value, WriteOp, WriteRequest};

use crate::catalog::{Bound, BoundColumn};
use crate::encode;
use crate::statement::{Argument, Statement};

/// Arguments of one statement; the protocol counts them in 16 bits.
const ARGUMENTS: usize = 30_000;

/// One statement of a change.
#[derive(Debug)]
pub(crate) struct Change {
    /// The statement.
    pub(crate) statement: Statement,
    /// What is wrong when it touches no row.
    pub(crate) missing: Option<Error>,
}

impl From<Statement> for Change {
    fn from(statement: Statement) -> Self {
        Change { statement, missing: None }
    }
}

/// Rows to write, with what their columns are.
struct Given<'a> {
    columns: Vec<&'a BoundColumn>,
    rows: Vec<Vec<Value>>,
}

/// The statements of a change.
pub(crate) fn changes(bound: &Bound, request: &WriteRequest) -> Result<Vec<Change>> {
    if request.idempotency_key.is_some() {
        let words = format!(
            "`{}` is a table of a database, which remembers no keys of changes",
            bound.name
        );
        return Err(Error::new(Kind::Unsupported, words).hint("leave `idempotencyKey` out"));
    }
    if bound.key.is_empty() != matches!(request.op, WriteOp::Append(_)) {
        return Err(wrong_kind(bound));
    }
    match &request.op {
        WriteOp::Append(batches) | WriteOp::Insert(batches) => inserts(bound, batches, ""),
        WriteOp::Upsert(batches) => inserts(bound, batches, &on_conflict(bound)?),
        WriteOp::Update(batches) => updates(bound, batches),
        WriteOp::Delete(keys) => deletes(bound, keys),
    }
}

fn wrong_kind(bound: &Bound) -> Error {
    let name = &bound.name;
    if bound.key.is_empty() {
        Error::invalid(format!("table `{name}` has no key, so its rows can only be appended"))
    } else {
        Error::invalid(format!("table `{name}` has a key, so rows are inserted or upserted"))
    }
}

fn given<'a>(bound: &'a Bound, batch: &arrow::array::RecordBatch) -> Result<Given<'a>> {
    let schema = batch.schema();
    let columns = schema.fields().iter().map(|field| bound.column(field.name()));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let fields: Vec<Field> = columns.iter().map(|column| column.field.clone()).collect();
    Ok(Given { rows: rows_of(batch, &fields)?, columns })
}

/// A value in the form of its column.
fn argument(value: &Value, column: &BoundColumn) -> Result<Argument> {
    let form = &column.form;
    let made = match (value, &column.field.data_type) {
        (Value::List(items), DataType::List { .. }) => encode::list(items, form.oid, form.list),
        (Value::Null, DataType::List { .. }) => Ok(Argument { oid: form.list, bytes: None }),
        _ => match (&form.labels, value.as_str()) {
            (Some(labels), Some(text)) if !labels.iter().any(|label| label == text) => {
                Err(Error::invalid(format!("`{text}` is none of the column's values")))
            }
            _ => encode::for_column(value, form),
        },
    };
    made.map_err(|error| error.context(format!("failed to write `{}`", column.field.name)))
}

fn inserts(
    bound: &Bound,
    batches: &[arrow::array::RecordBatch],
    conflict: &str,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for batch in batches {
        let given = given(bound, batch)?;
        let names: Vec<&str> = given.columns.iter().map(|column| column.quoted.as_str()).collect();
        let at_once = (ARGUMENTS / names.len().max(1)).max(1);
        for rows in given.rows.chunks(at_once) {
            let mut statement = Statement::default();
            let values = rows.iter().map(|row| row_text(&mut statement, row, &given.columns));
            let values = values.collect::<Result<Vec<_>>>()?.join(", ");
            let (relation, names) = (&bound.relation, names.join(", "));
            statement.push(&format!("INSERT INTO {relation} ({names}) VALUES {values}{conflict}"));
            changes.push(statement.into());
        }
    }
    Ok(changes)
}

fn row_text(statement: &mut Statement, row: &[Value], columns: &[&BoundColumn]) -> Result<String> {
    let places = row.iter().zip(columns).map(|(value, column)| {
        let argument = argument(value, column)?;
        Ok(statement.place(argument))
    });
    Ok(format!("({})", places.collect::<Result<Vec<_>>>()?.join(", ")))
}

/// What becomes of a row whose key is there: all other known columns are replaced.
fn on_conflict(bound: &Bound) -> Result<String> {
    let key = bound.key.iter().map(|name| Ok(bound.column(name)?.quoted.as_str()));
    let key = key.collect::<Result<Vec<_>>>()?;
    let others = bound.columns.iter().filter(|column| !bound.key.contains(&column.field.name));
    let set: Vec<String> =
        others.map(|column| format!("{0} = EXCLUDED.{0}", column.quoted)).collect();
    let action = match set.is_empty() {
        // So that the row counts as one that was written.
        true => format!("UPDATE SET {0} = EXCLUDED.{0}", key[0]),
        false => format!("UPDATE SET {}", set.join(", ")),
    };
    Ok(format!(" ON CONFLICT ({}) DO {action}", key.join(", ")))
}

fn updates(bound: &Bound, batches: &[arrow::array::RecordBatch]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for batch in batches {
        let given = given(bound, batch)?;
        for row in &given.rows {
            changes.push(update(bound, &given.columns, row)?);
        }
    }
    Ok(changes)
}

fn update(bound: &Bound, columns: &[&BoundColumn], row: &[Value]) -> Result<Change> {
    let mut statement = Statement::default();
    let (mut set, mut same, mut key) = (Vec::new(), Vec::new(), Vec::new());
    for (column, value) in columns.iter().zip(row) {
        let place = statement.place(argument(value, column)?);
        let text = format!("{} = {place}", column.quoted);
        if bound.key.contains(&column.field.name) {
            same.push(text);
            key.push(value.to_string());
        } else {
            set.push(text);
        }
    }
    if same.len() != bound.key.len() {
        return Err(Error::invalid(format!("a change of `{}` lacks its key", bound.name)));
    }
    if set.is_empty() {
        // Nothing changes, and the row must be there all the same.
        set.extend(same.first().cloned());
    }
    let (set, same) = (set.join(", "), same.join(" AND "));
    statement.push(&format!("UPDATE {} SET {set} WHERE {same}", bound.relation));
    let key = key.join(", ");
    let missing =
        Error::not_found(format!("table `{}` has no row with the key `{key}`", bound.name));
    Ok(Change { statement, missing: Some(missing) })
}

fn deletes(bound: &Bound, keys: &[Vec<Value>]) -> Result<Vec<Change>> {
    let columns = bound.key.iter().map(|name| bound.column(name));
    let columns: Vec<&BoundColumn> = columns.collect::<Result<_>>()?;
    let names = columns.iter().map(|column| column.quoted.as_str()).collect::<Vec<_>>().join(", ");
    let at_once = (ARGUMENTS / columns.len().max(1)).max(1);
    let mut changes = Vec::new();
    for keys in keys.chunks(at_once) {
        let mut statement = Statement::default();
        let places = keys.iter().map(|key| row_text(&mut statement, key, &columns));
        let places = places.collect::<Result<Vec<_>>>()?.join(", ");
        statement.push(&format!("DELETE FROM {} WHERE ({names}) IN ({places})", bound.relation));
        changes.push(statement.into());
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::{Form, oid};

    fn bound(key: &[&str]) -> Bound {
        let column = |name: &str, oid, data_type| BoundColumn {
            field: Field::new(name, data_type, true),
            quoted: format!("\"{name}\""),
            form: Form { oid, list: 0, labels: None, loose: false },
        };
        Bound {
            name: "Seat".into(),
            relation: "\"seat\"".to_owned(),
            columns: vec![
                column("hall", oid::TEXT, DataType::String),
                column("number", oid::INT4, DataType::Int),
            ],
            key: key.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    #[test]
    fn a_row_whose_every_column_is_its_key_is_written_all_the_same() {
        let conflict = on_conflict(&bound(&["hall", "number"])).expect("a conflict");
        let expected =
            " ON CONFLICT (\"hall\", \"number\") DO UPDATE SET \"hall\" = EXCLUDED.\"hall\"";
        assert_eq!(conflict, expected);
        let conflict = on_conflict(&bound(&["hall"])).expect("a conflict");
        assert_eq!(
            conflict,
            " ON CONFLICT (\"hall\") DO UPDATE SET \"number\" = EXCLUDED.\"number\""
        );
    }

    #[test]
    fn keys_are_deleted_together() {
        let keys = [vec![Value::from("a"), Value::from(1)], vec![Value::from("b"), Value::from(2)]];
        let changes = deletes(&bound(&["hall", "number"]), &keys).expect("changes");
        assert_eq!(changes.len(), 1);
        assert_eq!(
            changes[0].statement.text,
            "DELETE FROM \"seat\" WHERE (\"hall\", \"number\") IN (($1, $2), ($3, $4))"
        );
    }
}
