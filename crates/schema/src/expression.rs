//! The expression language: in comes text and the names it may use, out comes the typed tree of
//! `frame`, or every fault with its place. `lex → parse → check → Expr`; `print` goes back to text.
//! Nothing is computed here.

mod check;
mod convert;
mod function;
mod lex;
mod parse;
mod print;
mod short;

use frame::{DataType, Expr, Field, Node, Span, UnaryOp};

pub use print::print;
pub use short::{OrderItem, PartitionItem, parse_order, parse_partition};

/// The longest expression, in bytes.
pub const MAX_BYTES: usize = 10_000;

/// How deeply an expression may nest.
pub const MAX_DEPTH: usize = 100;

/// The most operands an expression may have once `BETWEEN` and `CASE` are written out.
pub const MAX_NODES: usize = 2_000;

/// The names that an expression may use.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The fields of the row.
    pub fields: Vec<Field>,
    /// Whether `viewer.id`, `viewer.team` and `viewer.scope` may be used.
    pub viewer: bool,
    /// Whether paths lead into lists, of which functions of lists make one value.
    pub lists: bool,
}

impl Scope {
    /// The fields of a row, without the viewer.
    pub fn new(fields: Vec<Field>) -> Self {
        Scope { fields, viewer: false, lists: false }
    }

    /// With paths into lists and the functions of them: for what a derived field declares with `from`.
    #[must_use]
    pub fn with_lists(mut self) -> Self {
        self.lists = true;
        self
    }

    /// With the viewer: for rules about who may see what.
    #[must_use]
    pub fn with_viewer(mut self) -> Self {
        self.viewer = true;
        self
    }
}

/// What kind of fault an expression has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read.
    Syntax,
    /// It names something that does not exist.
    Name,
    /// Operands have the wrong types.
    Type,
}

/// One fault of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The kind.
    pub fault: Fault,
    /// Where, in bytes of the expression.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// The next thing to try.
    pub hint: Option<String>,
}

impl ExpressionError {
    fn new(fault: Fault, span: Span, message: impl Into<String>) -> Self {
        ExpressionError { fault, span, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads an expression.
pub fn parse(text: &str, scope: &Scope) -> Result<Expr, Vec<ExpressionError>> {
    let tree = parse::parse(text).map_err(|error| vec![error])?;
    check::check(&tree, scope, None)
}

/// Reads an expression whose value must have a type; a value that only needs widening is widened.
pub fn parse_as(
    text: &str,
    scope: &Scope,
    wanted: &DataType,
) -> Result<Expr, Vec<ExpressionError>> {
    let tree = parse::parse(text).map_err(|error| vec![error])?;
    check::check(&tree, scope, Some(wanted))
}

/// The text of `docs/reference/expressions.md`.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# The expression language\n\n\
         Made from `crates/schema/src/expression/`; do not edit it by hand.\n\
         Expressions stand in `@derived(expr:)`, `@column(default:)` and, with `viewer.id`, `viewer.team` and\n\
         `viewer.scope`, in `@visible(if:)`. They are SQL's scalar expressions: null in,\n\
         null out; `AND` and `OR` are three-valued; integer overflow and division by zero are errors.\n\n\
         | form | example |\n| --- | --- |\n",
    );
    for (form, example) in FORMS {
        page.push_str(&format!("| {form} | `{}` |\n", example.replace('|', "\\|")));
    }
    page.push_str("\n| function | gives |\n| --- | --- |\n");
    for (usage, gives) in function::listed() {
        page.push_str(&format!("| `{usage}` | {gives} |\n"));
    }
    page.push_str(
        "\nOf a list that a derived field declares with `from`, a path gives a list of what it leads to in each\n\
         item (`trips.nights`), and these make one value of it. Nulls among the items are passed over; a list\n\
         that is null gives null, and one without values gives null but for `count`, `any` and `all`. The last two\n\
         are `OR` and `AND` over the items. Only the mesh computes them.\n\n| function | gives |\n| --- | --- |\n",
    );
    for (usage, gives) in function::folds() {
        page.push_str(&format!("| `{usage}` | {gives} |\n"));
    }
    page.push_str(
        "\nNumbers widen by themselves: Int to Long to Float, and Int and Long to Decimal. Constants take the type of\n\
         what stands beside them (`day >= '2024-02-29'`, `price * 0.5`). Everything else is converted with `CAST`.\n\
         Operators bind, from tight to loose: `-x`; `* / %`; `+ -`; `||`; comparisons, `IN`, `BETWEEN`, `IS`; `NOT`;\n\
         `AND`; `OR`.\n",
    );
    page.push_str(&format!(
        "\nLimits: {MAX_BYTES} bytes, {MAX_DEPTH} levels, {MAX_NODES} operands.\n"
    ));
    page
}

/// The forms of the language, each with an example that a test reads.
pub const FORMS: [(&str, &str); 14] = [
    ("numbers", "-1 + 2.5 * 1e3"),
    ("text", "'it''s'"),
    ("truth and nothing", "COALESCE(TRUE, FALSE, NULL)"),
    ("dates and times", "DATE '2024-02-29' < date(TIMESTAMP '2024-02-29T12:00:00Z')"),
    ("fields", "year + self.year"),
    ("parts of embedded objects", "poster.width"),
    ("arithmetic", "year - year % 10"),
    ("comparison (`=` or `==`, `<>` or `!=`, `<`, `<=`, `>`, `>=`)", "year >= 2000"),
    ("logic (`AND` or `&&`, `OR`, `NOT` or `!`)", "year > 2000 AND NOT title = ''"),
    ("joined text", "title || ' (' || CAST(year AS String) || ')'"),
    ("lists of constants", "year NOT IN (1999, 2000)"),
    ("ranges", "year BETWEEN 1990 AND 1999"),
    ("null tests", "year IS NOT NULL"),
    ("cases", "CASE WHEN year < 1930 THEN 'silent' ELSE 'sound' END"),
];

/// Whether an expression can be null although nothing failed.
pub fn is_nullable(expr: &Expr, scope: &Scope) -> bool {
    let any = |parts: &[Expr]| parts.iter().any(|part| is_nullable(part, scope));
    match &expr.node {
        Node::Literal(value) => *value == frame::Value::Null,
        Node::Field(path) => path_is_nullable(path, scope),
        Node::Viewer(_) => false,
        Node::Unary(UnaryOp::IsNull | UnaryOp::IsNotNull, _) => false,
        Node::Unary(_, inner) | Node::Cast(inner) => is_nullable(inner, scope),
        Node::InList(inner, _) | Node::Contains(inner, _) => is_nullable(inner, scope),
        Node::Binary(_, left, right) => is_nullable(left, scope) || is_nullable(right, scope),
        Node::Case { branches, otherwise } => {
            branches.iter().any(|(_, then)| is_nullable(then, scope))
                || otherwise.as_ref().is_none_or(|part| is_nullable(part, scope))
        }
        Node::Coalesce(parts) => parts.iter().all(|part| is_nullable(part, scope)),
        Node::Call(function, parts) => match function {
            frame::Function::Concat => false,
            frame::Function::Least | frame::Function::Greatest => {
                parts.iter().all(|part| is_nullable(part, scope))
            }
            frame::Function::Sum
            | frame::Function::Avg
            | frame::Function::Min
            | frame::Function::Max => true,
            frame::Function::Any | frame::Function::All => {
                let has_nulls =
                    |part: &Expr| matches!(part.data_type, DataType::List { nullable: true, .. });
                parts.iter().any(has_nulls) || any(parts)
            }
            _ => any(parts),
        },
    }
}

fn path_is_nullable(path: &[String], scope: &Scope) -> bool {
    let mut fields: &[Field] = &scope.fields;
    for name in path {
        match fields.iter().find(|field| field.name.as_ref() == name) {
            Some(field) if field.nullable => return true,
            Some(field) => match &field.data_type {
                DataType::Struct(inner) => fields = inner,
                // The list is there, whatever its items are.
                DataType::List { .. } => return false,
                _ => fields = &[],
            },
            None => return true,
        }
    }
    false
}

/// Days since the epoch of a date written `2024-02-29`.
pub(crate) fn date_of(text: &str) -> Option<i32> {
    convert::date(text)
}

/// The fields of the row that an expression reads, each once, in the order of their first use.
pub fn fields_read(expr: &Expr) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = vec![expr];
    while let Some(expr) = rest.pop() {
        if let Node::Field(path) = &expr.node
            && let Some(first) = path.first()
            && !found.contains(&first.as_str())
        {
            found.push(first.as_str());
        }
        let mut parts = parts_of(expr);
        parts.reverse();
        rest.extend(parts);
    }
    found
}

/// The paths that an expression reads, each once, in the order of their first use.
pub fn paths_read(expr: &Expr) -> Vec<&[String]> {
    let mut found: Vec<&[String]> = Vec::new();
    let mut rest = vec![expr];
    while let Some(expr) = rest.pop() {
        if let Node::Field(path) = &expr.node
            && !found.contains(&path.as_slice())
        {
            found.push(path);
        }
        let mut parts = parts_of(expr);
        parts.reverse();
        rest.extend(parts);
    }
    found
}

/// The operands of an expression.
pub(crate) fn parts_of(expr: &Expr) -> Vec<&Expr> {
    match &expr.node {
        Node::Literal(_) | Node::Field(_) | Node::Viewer(_) => Vec::new(),
        Node::Unary(_, inner)
        | Node::Cast(inner)
        | Node::InList(inner, _)
        | Node::Contains(inner, _) => vec![inner],
        Node::Binary(_, left, right) => vec![left, right],
        Node::Case { branches, otherwise } => branches
            .iter()
            .flat_map(|(when, then)| [when, then])
            .chain(otherwise.as_deref())
            .collect(),
        Node::Coalesce(parts) | Node::Call(_, parts) => parts.iter().collect(),
    }
}
