//! Computes expressions one row at a time: the simple reference, and the evaluator for small inputs.
//!
//! In: an [`Expr`] that the schema has typed, a row (by a function from field names to values) and
//! the caller. Out: one [`Value`], or an error for overflow, division by zero and a `CAST` that
//! fails. `AND`, `OR`, `CASE` and `COALESCE` compute only what decides them. Not here: typing,
//! vectorised evaluation (the lake's DataFusion evaluator), parsing.

mod arithmetic;
mod cast;
mod fold;
mod function;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::record_batch::RecordBatch;
use base::{Error, Principal, Result};

use crate::convert::{array_of, value_at};
use crate::{BinaryOp, DataType, Evaluate, Expr, Node, UnaryOp, Value};

/// Evaluates over batches row by row.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowInterpreter;

impl Evaluate for RowInterpreter {
    fn evaluate(&self, expr: &Expr, batch: &RecordBatch, viewer: &Principal) -> Result<ArrayRef> {
        let values = (0..batch.num_rows()).map(|row| {
            self.evaluate_row(
                expr,
                &|path, data_type| field_at(batch, row, path, data_type),
                viewer,
            )
        });
        array_of(&values.collect::<Result<Vec<_>>>()?, &expr.data_type)
    }
}

/// What a row says for a field: the path of API names and the type that the expression expects.
pub type RowField<'a> = dyn Fn(&[String], &DataType) -> Result<Value> + 'a;

impl RowInterpreter {
    /// The value of `expr` for one row.
    pub fn evaluate_row(
        &self,
        expr: &Expr,
        row: &RowField<'_>,
        viewer: &Principal,
    ) -> Result<Value> {
        Row { field: row, viewer }.value(expr)
    }

    /// Whether `predicate` holds for one row; null does not.
    pub fn holds(&self, predicate: &Expr, row: &RowField<'_>, viewer: &Principal) -> Result<bool> {
        Ok(self.evaluate_row(predicate, row, viewer)? == Value::Boolean(true))
    }
}

/// The value of a field in one row of a batch; more names walk into embedded objects.
fn field_at(
    batch: &RecordBatch,
    row: usize,
    path: &[String],
    data_type: &DataType,
) -> Result<Value> {
    let missing = || Error::internal(format!("the batch lacks the field `{}`", path.join(".")));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let mut column: &dyn Array = batch.column_by_name(first).ok_or_else(missing)?.as_ref();
    for name in rest {
        if column.is_null(row) {
            return Ok(Value::Null);
        }
        let object = column.as_any().downcast_ref::<StructArray>().ok_or_else(missing)?;
        column = object.column_by_name(name).ok_or_else(missing)?.as_ref();
    }
    value_at(column, row, data_type)
}

/// One row and its reader.
struct Row<'a> {
    field: &'a RowField<'a>,
    viewer: &'a Principal,
}

impl Row<'_> {
    fn value(&self, expr: &Expr) -> Result<Value> {
        match &expr.node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Field(path) => (self.field)(path, &expr.data_type),
            Node::Viewer(attribute) => self.viewer_attribute(attribute),
            Node::Unary(op, operand) => unary(*op, &self.value(operand)?, &expr.data_type),
            Node::Binary(op, left, right) => self.binary(*op, left, right, &expr.data_type),
            Node::Case { branches, otherwise } => self.case(branches, otherwise.as_deref()),
            Node::Coalesce(operands) => self.coalesce(operands),
            Node::Call(function, arguments) => {
                let values = arguments
                    .iter()
                    .map(|argument| self.value(argument))
                    .collect::<Result<Vec<_>>>()?;
                function::call(*function, &values, &expr.data_type)
            }
            Node::InList(operand, values) => Ok(in_list(&self.value(operand)?, values)),
            Node::Contains(list, value) => contains(&self.value(list)?, value),
            Node::Cast(operand) => {
                cast::cast(&self.value(operand)?, &operand.data_type, &expr.data_type)
            }
        }
    }

    fn viewer_attribute(&self, attribute: &str) -> Result<Value> {
        match attribute {
            "id" => Ok(Value::String(self.viewer.subject.clone())),
            "team" => Ok(Value::from(self.viewer.team.as_str())),
            "scope" => Ok(Value::from(self.viewer.scope.as_str())),
            _ => Err(Error::internal(format!("a viewer has no attribute `{attribute}`"))),
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr, result: &DataType) -> Result<Value> {
        let first = self.value(left)?;
        if let BinaryOp::And | BinaryOp::Or = op {
            let deciding = Value::Boolean(op == BinaryOp::Or);
            if first == deciding {
                return Ok(deciding);
            }
            let second = self.value(right)?;
            return Ok(match (&first, &second) {
                (_, second) if *second == deciding => deciding,
                (Value::Null, _) | (_, Value::Null) => Value::Null,
                _ => Value::Boolean(op == BinaryOp::And),
            });
        }
        let second = self.value(right)?;
        if first.is_null() || second.is_null() {
            return Ok(Value::Null);
        }
        arithmetic::binary(op, &first, &second, result)
    }

    fn case(&self, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<Value> {
        for (condition, result) in branches {
            if self.value(condition)? == Value::Boolean(true) {
                return self.value(result);
            }
        }
        otherwise.map_or(Ok(Value::Null), |result| self.value(result))
    }

    fn coalesce(&self, operands: &[Expr]) -> Result<Value> {
        for operand in operands {
            let value = self.value(operand)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }
}

fn unary(op: UnaryOp, value: &Value, result: &DataType) -> Result<Value> {
    Ok(match (op, value) {
        (UnaryOp::IsNull, value) => Value::Boolean(value.is_null()),
        (UnaryOp::IsNotNull, value) => Value::Boolean(!value.is_null()),
        (_, Value::Null) => Value::Null,
        (UnaryOp::Not, Value::Boolean(boolean)) => Value::Boolean(!boolean),
        (UnaryOp::Negate, value) => arithmetic::negate(value, result)?,
        (UnaryOp::Not, value) => return Err(mistyped("NOT", value)),
    })
}

/// SQL's `IN`: a null among the values leaves a miss unknown.
fn in_list(operand: &Value, values: &[Value]) -> Value {
    match operand {
        Value::Null => Value::Null,
        operand if values.contains(operand) => Value::Boolean(true),
        _ if values.contains(&Value::Null) => Value::Null,
        _ => Value::Boolean(false),
    }
}

fn contains(list: &Value, value: &Value) -> Result<Value> {
    match (list, value) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::List(items), value) => Ok(Value::Boolean(items.contains(value))),
        (list, _) => Err(mistyped("contains", list)),
    }
}

/// The schema types every expression, so this is our own fault.
fn mistyped(what: &str, value: &Value) -> Error {
    Error::internal(format!("failed to compute `{what}` of `{value}`: it has another type"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use crate::convert::{batch_of, values_of};

    const VALUES: [Value; 3] = [Value::Null, Value::Boolean(false), Value::Boolean(true)];

    fn constant(expr: &Expr) -> Result<Value> {
        RowInterpreter.evaluate_row(expr, &|_, _| Ok(Value::Null), &Principal::local())
    }

    fn literal(value: &Value) -> Expr {
        Expr::literal(value.clone(), DataType::Boolean)
    }

    #[test]
    fn connectives_are_three_valued() {
        // With null between false and true, AND is the smaller and OR the larger of the two.
        let level = |value: &Value| match value {
            Value::Boolean(true) => 2,
            Value::Null => 1,
            _ => 0,
        };
        for left in &VALUES {
            for right in &VALUES {
                let both = constant(&literal(left).and(literal(right))).expect("booleans");
                assert_eq!(level(&both), level(left).min(level(right)), "{left} AND {right}");
                let either = literal(left).predicate(BinaryOp::Or, literal(right));
                let either = constant(&either).expect("booleans");
                assert_eq!(level(&either), level(left).max(level(right)), "{left} OR {right}");
            }
        }
    }

    #[test]
    fn what_does_not_decide_is_not_computed() {
        let number = |n: i64| Expr::literal(Value::Int(n), DataType::Int);
        let divide = Node::Binary(BinaryOp::Divide, Box::new(number(1)), Box::new(number(0)));
        let broken = Expr::built(divide, DataType::Int).predicate(BinaryOp::Eq, number(1));
        assert!(constant(&broken).is_err());
        let guarded = literal(&Value::Boolean(false)).and(broken);
        assert_eq!(constant(&guarded).ok(), Some(Value::Boolean(false)));
    }

    #[test]
    fn a_null_in_the_list_leaves_a_miss_unknown() {
        let find = |n: i64, list: Vec<Value>| {
            constant(&Expr::literal(Value::Int(n), DataType::Int).is_in(list)).expect("a list")
        };
        assert_eq!(find(1, vec![Value::Null, Value::Int(1)]), Value::Boolean(true));
        assert_eq!(find(2, vec![Value::Null, Value::Int(1)]), Value::Null);
        assert_eq!(find(2, vec![Value::Int(1)]), Value::Boolean(false));
    }

    #[test]
    fn a_path_walks_into_embedded_objects() {
        let object = DataType::Struct(vec![Field::new("city", DataType::String, true)]);
        let fields = [Field::new("home", object, true)];
        let rows = [vec![Value::Struct(vec!["Oslo".into()])], vec![Value::Null]];
        let batch = batch_of(&fields, &rows).expect("a batch");
        let path = vec!["home".to_owned(), "city".to_owned()];
        let expr = Expr::built(Node::Field(path), DataType::String);
        let cities = RowInterpreter.evaluate(&expr, &batch, &Principal::local()).expect("cities");
        let cities = values_of(&cities, &DataType::String).expect("text");
        assert_eq!(cities, [Value::from("Oslo"), Value::Null]);
    }
}
