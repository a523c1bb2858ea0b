//! The one expression tree in DataFusion's words.
//!
//! In: a `frame::Expr` over API names. Out: a DataFusion expression over columns, with the same
//! meaning as the row interpreter (a property test holds them equal). Comparisons stay plain, so
//! that files, pages and bloom filters can be pruned by them. Not here: parsing.

use base::{Error, Principal, Result};
use datafusion::common::{Column, ScalarValue};
use datafusion::functions::expr_fn as functions;
use datafusion::functions_nested::expr_fn::array_has;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, Operator, SortExpr, cast, lit};
use frame::{BinaryOp, DataType, Function, Node, UnaryOp};

use super::checked;
use super::values::to_scalar;

/// How names of fields become columns.
pub(crate) trait Names {
    /// The column of a field, by API name.
    fn column(&self, field: &str) -> Result<String>;
}

/// Batches whose columns have API names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiNames;

impl Names for ApiNames {
    fn column(&self, field: &str) -> Result<String> {
        Ok(field.to_owned())
    }
}

/// A column by its exact name.
pub(crate) fn column(name: impl Into<String>) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// The same expression for DataFusion.
pub(crate) fn translate(expr: &frame::Expr, names: &dyn Names, viewer: &Principal) -> Result<Expr> {
    let inner = |expr: &frame::Expr| translate(expr, names, viewer);
    Ok(match &expr.node {
        Node::Literal(value) => literal(to_scalar(value, &expr.data_type)?),
        Node::Field(path) => field(path, names)?,
        Node::Viewer(attribute) => viewer_attribute(attribute, viewer)?,
        Node::Unary(op, operand) => unary(*op, inner(operand)?, &expr.data_type),
        Node::Binary(op, left, right) => binary(*op, inner(left)?, inner(right)?, &expr.data_type),
        Node::Case { branches, otherwise } => {
            let branches = branches.iter().map(|(condition, result)| {
                Ok((Box::new(inner(condition)?), Box::new(inner(result)?)))
            });
            let otherwise = otherwise.as_deref().map(inner).transpose()?.map(Box::new);
            let when = branches.collect::<Result<Vec<_>>>()?;
            Expr::Case(Case::new(None, when, otherwise))
        }
        Node::Coalesce(operands) => coalesce(operands.iter().map(inner).collect::<Result<_>>()?),
        Node::Call(function, arguments) => {
            let arguments = arguments.iter().map(inner).collect::<Result<Vec<_>>>()?;
            call(*function, arguments, &expr.data_type)?
        }
        Node::InList(operand, values) => {
            let list = values
                .iter()
                .map(|value| Ok(literal(to_scalar(value, &operand.data_type)?)))
                .collect::<Result<Vec<_>>>()?;
            inner(operand)?.in_list(list, false)
        }
        Node::Contains(operand, value) => {
            let item = match &operand.data_type {
                DataType::List { item, .. } => item.as_ref(),
                other => return Err(Error::invalid(format!("`{other}` is not a list"))),
            };
            array_has(inner(operand)?, literal(to_scalar(value, item)?))
        }
        Node::Cast(operand) => cast(inner(operand)?, expr.data_type.to_arrow()),
    })
}

/// The engine's own function computes operands that are not needed, and fails where one fails.
fn coalesce(mut operands: Vec<Expr>) -> Expr {
    let Some(last) = operands.pop() else { return literal(ScalarValue::Null) };
    if operands.is_empty() {
        return last;
    }
    let present = |operand: Expr| (Box::new(operand.clone().is_not_null()), Box::new(operand));
    let branches = operands.into_iter().map(present).collect();
    Expr::Case(Case::new(None, branches, Some(Box::new(last))))
}

/// The engine's own function puts the new text between all letters when the old one is empty.
fn replace(text: Expr, from: Expr, to: Expr) -> Expr {
    let nothing = from.clone().eq(lit("")).and(to.clone().is_not_null());
    let replaced = functions::replace(text.clone(), from, to);
    let branches = vec![(Box::new(nothing), Box::new(text))];
    Expr::Case(Case::new(None, branches, Some(Box::new(replaced))))
}

fn literal(value: ScalarValue) -> Expr {
    Expr::Literal(value, None)
}

fn field(path: &[String], names: &dyn Names) -> Result<Expr> {
    let (first, rest) =
        path.split_first().ok_or_else(|| Error::internal("a field without a name"))?;
    let start = column(names.column(first)?);
    Ok(rest.iter().fold(start, |object, name| functions::get_field(object, name.as_str())))
}

fn viewer_attribute(attribute: &str, viewer: &Principal) -> Result<Expr> {
    Ok(lit(match attribute {
        "id" => viewer.subject.as_ref(),
        "team" => viewer.team.as_str(),
        "scope" => viewer.scope.as_str(),
        other => return Err(Error::invalid(format!("a viewer has no `{other}`"))),
    }))
}

fn unary(op: UnaryOp, operand: Expr, data_type: &DataType) -> Expr {
    match op {
        UnaryOp::Not => Expr::Not(Box::new(operand)),
        UnaryOp::Negate if is_exact(data_type) => checked::negate(operand),
        UnaryOp::Negate => Expr::Negative(Box::new(operand)),
        UnaryOp::IsNull => operand.is_null(),
        UnaryOp::IsNotNull => operand.is_not_null(),
    }
}

fn is_exact(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::Float)
}

fn binary(op: BinaryOp, left: Expr, right: Expr, data_type: &DataType) -> Expr {
    // DataFusion's integers wrap around; ours must not.
    let arithmetic = |checked: fn(Expr, Expr) -> Expr, operator, left, right| {
        if is_exact(data_type) { checked(left, right) } else { plain(left, operator, right) }
    };
    match op {
        BinaryOp::Or => plain(left, Operator::Or, right),
        BinaryOp::And => plain(left, Operator::And, right),
        BinaryOp::Eq => plain(left, Operator::Eq, right),
        BinaryOp::NotEq => plain(left, Operator::NotEq, right),
        BinaryOp::Lt => plain(left, Operator::Lt, right),
        BinaryOp::LtEq => plain(left, Operator::LtEq, right),
        BinaryOp::Gt => plain(left, Operator::Gt, right),
        BinaryOp::GtEq => plain(left, Operator::GtEq, right),
        BinaryOp::Add => arithmetic(checked::add, Operator::Plus, left, right),
        BinaryOp::Subtract => arithmetic(checked::subtract, Operator::Minus, left, right),
        BinaryOp::Multiply => arithmetic(checked::multiply, Operator::Multiply, left, right),
        BinaryOp::Divide => plain(left, Operator::Divide, right),
        BinaryOp::Modulo => plain(left, Operator::Modulo, right),
        BinaryOp::Concat => plain(left, Operator::StringConcat, right),
    }
}

fn plain(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

fn call(function: Function, arguments: Vec<Expr>, data_type: &DataType) -> Result<Expr> {
    let count = arguments.len();
    let wrong = || Error::internal(format!("`{function:?}` was called with {count} arguments"));
    let part = |name: &str, argument: Expr| {
        cast(functions::date_part(lit(name), argument), data_type.to_arrow())
    };
    let mut rest = arguments.into_iter();
    let mut next = || rest.next().ok_or_else(wrong);
    Ok(match function {
        Function::Lower => functions::lower(next()?),
        Function::Upper => functions::upper(next()?),
        Function::Trim => functions::btrim(vec![next()?]),
        Function::Length => cast(functions::character_length(next()?), data_type.to_arrow()),
        Function::Substring => functions::substring(next()?, next()?, next()?),
        Function::Replace => replace(next()?, next()?, next()?),
        Function::Concat => functions::concat(rest.collect()),
        Function::StartsWith => functions::starts_with(next()?, next()?),
        Function::EndsWith => functions::ends_with(next()?, next()?),
        Function::ContainsText => functions::contains(next()?, next()?),
        Function::Abs => functions::abs(next()?),
        Function::Round => functions::round(vec![next()?]),
        Function::Floor => functions::floor(next()?),
        Function::Ceil => functions::ceil(next()?),
        Function::Sqrt => functions::sqrt(next()?),
        Function::Ln => functions::ln(next()?),
        Function::Power => functions::power(next()?, next()?),
        Function::Least => functions::least(rest.collect()),
        Function::Greatest => functions::greatest(rest.collect()),
        Function::Year => part("year", next()?),
        Function::Month => part("month", next()?),
        Function::Day => part("day", next()?),
        Function::Hour => part("hour", next()?),
        Function::Date => cast(next()?, DataType::Date.to_arrow()),
        Function::DateDiffDays => {
            let days = |date: Expr| cast(date, DataType::Int.to_arrow());
            cast(checked::subtract(days(next()?), days(next()?)), data_type.to_arrow())
        }
        // The schema lets these stand only where no table is asked.
        Function::Count
        | Function::Sum
        | Function::Avg
        | Function::Min
        | Function::Max
        | Function::Any
        | Function::All => {
            return Err(Error::internal(format!("`{function:?}` of a list is no scan's matter")));
        }
    })
}

/// One key of an order.
#[derive(Clone, Debug)]
pub(crate) struct SortKey {
    /// What is compared.
    pub(crate) expr: Expr,
    /// Largest first.
    pub(crate) descending: bool,
    /// Nulls before all values.
    pub(crate) nulls_first: bool,
}

impl SortKey {
    /// As DataFusion sorts.
    pub(crate) fn to_sort(&self) -> SortExpr {
        self.expr.clone().sort(!self.descending, self.nulls_first)
    }

    /// What is beyond this value, and what is equal to it.
    fn beyond(&self, value: &ScalarValue) -> (Expr, Expr) {
        let field = || self.expr.clone();
        if value.is_null() {
            let beyond = if self.nulls_first { field().is_not_null() } else { lit(false) };
            return (beyond, field().is_null());
        }
        let value = || literal(value.clone());
        let further = if self.descending { field().lt(value()) } else { field().gt(value()) };
        let beyond = if self.nulls_first { further } else { further.or(field().is_null()) };
        (beyond, field().eq(value()))
    }
}

/// Rows strictly after a position in an order.
pub(crate) fn after(order: &[SortKey], position: &[ScalarValue]) -> Expr {
    let mut alternatives = lit(false);
    let mut same = lit(true);
    for (key, value) in order.iter().zip(position) {
        let (beyond, equal) = key.beyond(value);
        alternatives = alternatives.or(same.clone().and(beyond));
        same = same.and(equal);
    }
    alternatives
}
