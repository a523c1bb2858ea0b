//! Rows that another source has, of which only keys are known. In: a question for keys. Out: those keys, each
//! once, as rows. Whether there are such rows is for the other source to say. Not here: any other question,
//! which is refused.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Result};
use frame::convert::batch_of;
use frame::{BinaryOp, Expr, Field, Node, ScanRequest, Value};

use crate::table::Table;

/// What is known of one row: some of its fields.
type Known = Vec<(Arc<str>, Value)>;

/// The rows with the keys that are asked for.
pub(crate) fn rows(table: &Table, request: &ScanRequest) -> Result<RecordBatch> {
    let is_plain = request.aggregate.is_none()
        && request.search.is_none()
        && request.nearest.is_none()
        && request.after.is_none()
        && request.limit_by.is_none();
    let known = request.predicate.as_ref().filter(|_| is_plain).and_then(known);
    let known = known.ok_or_else(|| refused(table))?;
    let mut seen = HashSet::new();
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for row in &known {
        let key = table.key.iter().map(|name| value(row, name).cloned());
        let key: Vec<Value> = key.collect::<Option<_>>().ok_or_else(|| refused(table))?;
        if key.iter().any(Value::is_null) || !seen.insert(key.clone()) {
            continue;
        }
        rows.push(key);
    }
    rows.truncate(request.limit.unwrap_or(usize::MAX));
    let fields = request.fields.iter().map(|name| field(table, name));
    let (places, fields): (Vec<usize>, Vec<Field>) =
        fields.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let rows: Vec<Vec<Value>> =
        rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect();
    batch_of(&fields, &rows)
}

/// The place of a field in the key, and what it is.
fn field(table: &Table, name: &str) -> Result<(usize, Field)> {
    let place = table.key.iter().position(|known| **known == *name);
    let column = table.columns.iter().find(|column| *column.field.name == *name);
    match (place, column) {
        (Some(place), Some(column)) => Ok((place, column.field.clone())),
        _ => Err(Error::not_found(format!("table `{}` has no field `{name}`", table.name))),
    }
}

fn refused(table: &Table) -> Error {
    let words =
        format!("rows of `{}` are another source's: here they are found by key only", table.name);
    Error::new(Kind::Unsupported, words)
}

/// The rows that a predicate names one by one; `None` when it does not.
fn known(predicate: &Expr) -> Option<Vec<Known>> {
    match &predicate.node {
        Node::InList(operand, values) => {
            let name = name(operand)?;
            Some(values.iter().map(|value| vec![(Arc::clone(&name), value.clone())]).collect())
        }
        Node::Binary(BinaryOp::Eq, left, right) => {
            let Node::Literal(value) = &right.node else { return None };
            Some(vec![vec![(name(left)?, value.clone())]])
        }
        Node::Binary(BinaryOp::Or, left, right) => {
            let mut all = known(left)?;
            all.extend(known(right)?);
            Some(all)
        }
        Node::Binary(BinaryOp::And, left, right) => {
            // Of a key with several fields each side names one row.
            let (left, right) = (known(left)?, known(right)?);
            let ([left], [right]) = (left.as_slice(), right.as_slice()) else { return None };
            let disagree = left
                .iter()
                .any(|(name, mine)| value(right, name).is_some_and(|other| other != mine));
            Some(if disagree { Vec::new() } else { vec![[left.clone(), right.clone()].concat()] })
        }
        _ => None,
    }
}

fn name(operand: &Expr) -> Option<Arc<str>> {
    match &operand.node {
        Node::Field(path) if path.len() == 1 => Some(path[0].as_str().into()),
        _ => None,
    }
}

fn value<'a>(row: &'a Known, name: &str) -> Option<&'a Value> {
    row.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;
    use base::Principal;
    use frame::DataType;

    fn table(key: &[&str]) -> Table {
        let column = |name: &&str| Column {
            field: Field::new(*name, DataType::Int, false),
            column: (*name).into(),
        };
        Table {
            name: "Film".into(),
            relation: None,
            columns: key.iter().map(column).collect(),
            key: key.iter().map(|name| Arc::from(*name)).collect(),
        }
    }

    fn is(name: &str, value: i64) -> Expr {
        let literal = Expr::literal(Value::Int(value), DataType::Int);
        Expr::field(name, DataType::Int).predicate(BinaryOp::Eq, literal)
    }

    fn ask(key: &[&str], predicate: Option<Expr>) -> Result<usize> {
        let request = ScanRequest {
            predicate,
            ..ScanRequest::new("Film", key.iter().copied(), Principal::local())
        };
        Ok(rows(&table(key), &request)?.num_rows())
    }

    #[test]
    fn keys_are_rows_each_once() {
        let values = vec![Value::Int(1), Value::Int(2), Value::Int(1), Value::Null];
        let listed = Expr::field("id", DataType::Int).is_in(values);
        assert_eq!(ask(&["id"], Some(listed)).expect("rows"), 2);
        let both = is("a", 1).and(is("b", 2)).predicate(BinaryOp::Or, is("a", 3).and(is("b", 4)));
        assert_eq!(ask(&["a", "b"], Some(both)).expect("rows"), 2);
    }

    #[test]
    fn what_names_no_keys_is_refused() {
        let not_equal = Expr::field("a", DataType::Int)
            .predicate(BinaryOp::Gt, Expr::literal(Value::Int(1), DataType::Int));
        for predicate in [None, Some(is("a", 1)), Some(not_equal)] {
            let error = ask(&["a", "b"], predicate).expect_err("must be refused");
            assert_eq!(error.kind(), Kind::Unsupported);
        }
    }
}
