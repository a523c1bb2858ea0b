//! The one typed expression tree. `schema` parses `@derived(expr)`, policies and partitions into it,
//! `mesh` builds it from `where` arguments; [`crate::RowInterpreter`] and the lake's DataFusion
//! evaluator compute it, held equal by a property test.
//!
//! Semantics are SQL's: null in, null out, except where a node says otherwise; `AND`/`OR` are
//! three-valued and, like `CASE` and `COALESCE`, compute only the operands that decide them, from
//! left to right. Integer overflow and integer division by zero are errors; float arithmetic is
//! IEEE 754, and floats compare by its `totalOrder`, as Arrow's do. Decimals are computed at the scale
//! of the result's type: products round half away from zero, quotients are truncated.

use crate::{DataType, Value};

/// Bytes of the expression's own text, from `start` to before `end`; `0..0` for built trees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A typed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub node: Node,
    /// The type of what it computes.
    pub data_type: DataType,
    /// Where it stood.
    pub span: Span,
}

/// What an expression computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A constant.
    Literal(Value),
    /// A field of the row, by API name; more names walk into embedded objects.
    Field(Vec<String>),
    /// An attribute of the caller: `id`, `team`, `scope`.
    Viewer(String),
    /// One operand.
    Unary(UnaryOp, Box<Expr>),
    /// Two operands of one type.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `CASE WHEN … THEN … ELSE … END`; without a matching branch and without `otherwise`: null.
    Case {
        /// Conditions with their results, first match wins.
        branches: Vec<(Expr, Expr)>,
        /// The result when none matched.
        otherwise: Option<Box<Expr>>,
    },
    /// The first operand that is not null.
    Coalesce(Vec<Expr>),
    /// A listed function.
    Call(Function, Vec<Expr>),
    /// Whether the operand equals one of the values; null operand gives null.
    InList(Box<Expr>, Vec<Value>),
    /// Whether any item of the list operand equals the value.
    Contains(Box<Expr>, Value),
    /// A numeric or text conversion that cannot lose anything, or `CAST`, whose failure is an error.
    Cast(Box<Expr>),
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `NOT`.
    Not,
    /// `-`.
    Negate,
    /// `IS NULL`; never null.
    IsNull,
    /// `IS NOT NULL`; never null.
    IsNotNull,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `OR`.
    Or,
    /// `AND`.
    And,
    /// `=` (also written `==`).
    Eq,
    /// `<>` (also written `!=`).
    NotEq,
    /// `<`.
    Lt,
    /// `<=`.
    LtEq,
    /// `>`.
    Gt,
    /// `>=`.
    GtEq,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`: integers give a truncated integer, as in SQL.
    Divide,
    /// `%`.
    Modulo,
    /// `||`: text.
    Concat,
}

/// The functions of the language. Text positions count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `lower(text)`.
    Lower,
    /// `upper(text)`.
    Upper,
    /// `trim(text)`: spaces at both ends.
    Trim,
    /// `length(text)`: characters.
    Length,
    /// `substring(text, start, count)`: `start` from 1.
    Substring,
    /// `replace(text, from, to)`.
    Replace,
    /// `concat(text, …)`: nulls are empty.
    Concat,
    /// `starts_with(text, prefix)`.
    StartsWith,
    /// `ends_with(text, suffix)`.
    EndsWith,
    /// `contains(text, part)`.
    ContainsText,
    /// `abs(number)`.
    Abs,
    /// `round(float)`: half away from zero.
    Round,
    /// `floor(float)`.
    Floor,
    /// `ceil(float)`.
    Ceil,
    /// `sqrt(float)`.
    Sqrt,
    /// `ln(float)`.
    Ln,
    /// `power(float, float)`.
    Power,
    /// `least(a, …)`: nulls are passed over.
    Least,
    /// `greatest(a, …)`: nulls are passed over.
    Greatest,
    /// `year(date)`.
    Year,
    /// `month(date)`.
    Month,
    /// `day(date)`: day of the month.
    Day,
    /// `hour(datetime)`.
    Hour,
    /// `date(datetime)`: its day in UTC.
    Date,
    /// `date_diff_days(later, earlier)`.
    DateDiffDays,
    /// `count(list)`: the items that are not null.
    Count,
    /// `sum(list)`: null of no items.
    Sum,
    /// `avg(list)`: null of no items.
    Avg,
    /// `min(list)`: null of no items.
    Min,
    /// `max(list)`: null of no items.
    Max,
    /// `any(list)`: three-valued; false of no items.
    Any,
    /// `all(list)`: three-valued; true of no items.
    All,
}

impl Function {
    /// All functions with their names, in the order of the reference page.
    pub const ALL: [(&'static str, Function); 25] = [
        ("lower", Function::Lower),
        ("upper", Function::Upper),
        ("trim", Function::Trim),
        ("length", Function::Length),
        ("substring", Function::Substring),
        ("replace", Function::Replace),
        ("concat", Function::Concat),
        ("starts_with", Function::StartsWith),
        ("ends_with", Function::EndsWith),
        ("contains", Function::ContainsText),
        ("abs", Function::Abs),
        ("round", Function::Round),
        ("floor", Function::Floor),
        ("ceil", Function::Ceil),
        ("sqrt", Function::Sqrt),
        ("ln", Function::Ln),
        ("power", Function::Power),
        ("least", Function::Least),
        ("greatest", Function::Greatest),
        ("year", Function::Year),
        ("month", Function::Month),
        ("day", Function::Day),
        ("hour", Function::Hour),
        ("date", Function::Date),
        ("date_diff_days", Function::DateDiffDays),
    ];

    /// The functions that make one value of a list, with their names. They read what a derived field
    /// declares beside its row, and only the row interpreter computes them.
    pub const FOLDS: [(&'static str, Function); 7] = [
        ("count", Function::Count),
        ("sum", Function::Sum),
        ("avg", Function::Avg),
        ("min", Function::Min),
        ("max", Function::Max),
        ("any", Function::Any),
        ("all", Function::All),
    ];

    /// Whether it makes one value of a list.
    pub fn is_fold(self) -> bool {
        Function::FOLDS.iter().any(|(_, fold)| *fold == self)
    }
}

impl Expr {
    /// A tree node that code built, without a place in any text.
    pub fn built(node: Node, data_type: DataType) -> Self {
        Expr { node, data_type, span: Span::default() }
    }

    /// A field of the row.
    pub fn field(name: &str, data_type: DataType) -> Self {
        Expr::built(Node::Field(vec![name.to_owned()]), data_type)
    }

    /// A constant.
    pub fn literal(value: Value, data_type: DataType) -> Self {
        Expr::built(Node::Literal(value), data_type)
    }

    /// A comparison or connective of two operands.
    pub fn predicate(self, op: BinaryOp, other: Expr) -> Self {
        Expr::built(Node::Binary(op, Box::new(self), Box::new(other)), DataType::Boolean)
    }

    /// Both must hold.
    pub fn and(self, other: Expr) -> Self {
        self.predicate(BinaryOp::And, other)
    }

    /// All parts, connected by `op` in their order; nothing for none. The tree is only as deep as the
    /// logarithm of their number: whoever walks a tree calls itself, and a list may be long.
    pub fn balanced(op: BinaryOp, mut parts: Vec<Expr>) -> Option<Expr> {
        while parts.len() > 1 {
            let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
            let mut waiting = parts.into_iter();
            while let Some(left) = waiting.next() {
                pairs.push(match waiting.next() {
                    Some(right) => left.predicate(op, right),
                    None => left,
                });
            }
            parts = pairs;
        }
        parts.pop()
    }

    /// The operand is one of `values`.
    pub fn is_in(self, values: Vec<Value>) -> Self {
        Expr::built(Node::InList(Box::new(self), values), DataType::Boolean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The literals of a tree in order, each with how deep it stands.
    fn leaves(expr: &Expr, depth: u32, found: &mut Vec<(Value, u32)>) {
        match &expr.node {
            Node::Binary(BinaryOp::Or, left, right) => {
                leaves(left, depth + 1, found);
                leaves(right, depth + 1, found);
            }
            Node::Literal(value) => found.push((value.clone(), depth)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn many_parts_keep_their_order_in_a_tree_that_is_not_deep() {
        assert_eq!(Expr::balanced(BinaryOp::Or, Vec::new()), None);
        for (count, depth) in [(1, 0), (2, 1), (3, 2), (7, 3), (8, 3), (1_000, 10)] {
            let parts = (0..count).map(|part| Expr::literal(Value::Int(part), DataType::Long));
            let tree = Expr::balanced(BinaryOp::Or, parts.collect()).expect("some parts");
            let mut found = Vec::new();
            leaves(&tree, 0, &mut found);
            let values: Vec<Value> = found.iter().map(|(value, _)| value.clone()).collect();
            assert_eq!(values, (0..count).map(Value::Int).collect::<Vec<_>>());
            let deepest = found.iter().map(|(_, depth)| *depth).max();
            assert_eq!(deepest, Some(depth), "{count} parts");
        }
    }
}
