//! Gives every node of a syntax tree its type: in comes the tree without types and the names it may
//! use, out comes the typed tree, or every fault in it. Conversions that lose nothing are written in
//! as `CAST`, so that evaluators meet operands of one type only.

use frame::{BinaryOp, DataType, Expr, Node, Span, UnaryOp, Value};

use super::parse::{KEYWORDS, Part, Syntax, SyntaxKind};
use super::{ExpressionError, Fault, Scope, convert, function};
use crate::diagnostic::suggest;

/// What the viewer of a request has.
const VIEWER: [&str; 3] = ["id", "team", "scope"];

pub(super) fn check(
    tree: &Syntax,
    scope: &Scope,
    wanted: Option<&DataType>,
) -> Result<Expr, Vec<ExpressionError>> {
    let mut checker = Checker { scope, errors: Vec::new() };
    let expr = checker.node(tree, wanted).and_then(|expr| match wanted {
        Some(wanted) => checker.convert(expr, wanted, "the value"),
        None => Some(expr),
    });
    match expr {
        Some(expr) if checker.errors.is_empty() => Ok(expr),
        _ => {
            // A written-out operand is checked twice.
            let mut errors = checker.errors;
            errors.sort_by_key(|error| (error.span.start, error.span.end));
            errors.dedup();
            Err(errors)
        }
    }
}

pub(super) struct Checker<'s> {
    scope: &'s Scope,
    errors: Vec<ExpressionError>,
}

impl Checker<'_> {
    pub(super) fn fault(&mut self, span: Span, words: impl Into<String>) -> &mut ExpressionError {
        self.errors.push(ExpressionError::new(Fault::Type, span, words));
        let last = self.errors.len() - 1;
        &mut self.errors[last]
    }

    /// Whether lists of what is beside the row may be read.
    pub(super) fn has_lists(&self) -> bool {
        self.scope.lists
    }

    fn unknown(&mut self, span: Span, words: String) -> &mut ExpressionError {
        let error = self.fault(span, words);
        error.fault = Fault::Name;
        error
    }

    /// The typed node; `wanted` helps constants to find their type and binds nothing else.
    pub(super) fn node(&mut self, node: &Syntax, wanted: Option<&DataType>) -> Option<Expr> {
        let span = node.span;
        match &node.kind {
            SyntaxKind::Int(text) => self.integer(text, span, wanted),
            SyntaxKind::Float(text) => self.float(text, span, wanted),
            SyntaxKind::Text(text) => self.text(text, span, wanted),
            SyntaxKind::Boolean(value) => {
                Some(literal(Value::Boolean(*value), DataType::Boolean, span))
            }
            SyntaxKind::Null => self.null(span, wanted),
            SyntaxKind::Date(text) => {
                let value = convert::date(text).map(Value::Date);
                self.time(value, DataType::Date, span)
            }
            SyntaxKind::Timestamp(text) => {
                let value = convert::timestamp(text).map(Value::DateTime);
                self.time(value, DataType::DateTime, span)
            }
            SyntaxKind::Field(path) => self.field(path, span),
            SyntaxKind::Viewer(name, at) => self.viewer(name, *at, span),
            SyntaxKind::Unary(op, operand) => self.unary(*op, operand, span, wanted),
            SyntaxKind::Binary(op, left, right) => self.binary(*op, left, right, span, wanted),
            SyntaxKind::In(operand, items) => self.in_list(operand, items, span),
            SyntaxKind::Case(branches, otherwise) => {
                self.case(branches, otherwise.as_ref(), span, wanted)
            }
            SyntaxKind::Coalesce(items) => self.coalesce(items, span, wanted),
            SyntaxKind::Call(name, at, arguments) => {
                function::call(self, name, *at, arguments, span)
            }
            SyntaxKind::Cast(operand, to) => self.cast(operand, to, span),
        }
    }

    fn integer(&mut self, text: &str, span: Span, wanted: Option<&DataType>) -> Option<Expr> {
        let Ok(number) = text.parse::<i64>() else {
            self.fault(span, format!("`{text}` does not fit into 64 bits"))
                .set_hint("write it as a Float, with a point");
            return None;
        };
        let natural = if i32::try_from(number).is_ok() { DataType::Int } else { DataType::Long };
        let value = Value::Int(number);
        let wanted = wanted.filter(|wanted| wanted.is_numeric());
        let converted =
            wanted.and_then(|wanted| Some((convert::constant(&value, wanted)?, wanted.clone())));
        let (value, data_type) = converted.unwrap_or((value, natural));
        Some(literal(value, data_type, span))
    }

    fn float(&mut self, text: &str, span: Span, wanted: Option<&DataType>) -> Option<Expr> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        let Some(number) = number else {
            self.fault(span, format!("`{text}` does not fit into a Float"));
            return None;
        };
        let value = Value::Float(number);
        let decimal = wanted.filter(|wanted| matches!(wanted, DataType::Decimal { .. }));
        let converted =
            decimal.and_then(|wanted| Some((convert::constant(&value, wanted)?, wanted.clone())));
        let (value, data_type) = converted.unwrap_or((value, DataType::Float));
        Some(literal(value, data_type, span))
    }

    fn text(&mut self, text: &str, span: Span, wanted: Option<&DataType>) -> Option<Expr> {
        let value = Value::from(text);
        match wanted {
            Some(wanted @ (DataType::Date | DataType::DateTime | DataType::Uuid)) => {
                self.constant(&value, wanted, span)
            }
            _ => Some(literal(value, DataType::String, span)),
        }
    }

    fn constant(&mut self, value: &Value, to: &DataType, span: Span) -> Option<Expr> {
        let Some(converted) = convert::constant(value, to) else {
            let words = match value {
                Value::String(text) => format!("'{text}' is no {to}"),
                _ => format!("this constant is no {to}"),
            };
            self.fault(span, words).set_hint(example_of(to));
            return None;
        };
        Some(literal(converted, to.clone(), span))
    }

    fn time(&mut self, value: Option<Value>, data_type: DataType, span: Span) -> Option<Expr> {
        let Some(value) = value else {
            self.fault(span, format!("this is no {data_type}")).set_hint(example_of(&data_type));
            return None;
        };
        Some(literal(value, data_type, span))
    }

    fn null(&mut self, span: Span, wanted: Option<&DataType>) -> Option<Expr> {
        let Some(wanted) = wanted else {
            self.fault(span, "the type of this NULL is not known")
                .set_hint("say which type it is: `CAST(NULL AS Int)`");
            return None;
        };
        Some(literal(Value::Null, wanted.clone(), span))
    }

    fn field(&mut self, path: &[(String, Span)], span: Span) -> Option<Expr> {
        let mut fields = self.scope.fields.as_slice();
        let mut found: Option<&frame::Field> = None;
        // Whether a list was walked into, so that there are several values; whether one may be null.
        let (mut is_many, mut has_nulls) = (false, false);
        for (name, at) in path {
            let next = fields.iter().find(|field| field.name.as_ref() == name);
            let Some(next) = next else {
                let inside = found.map(|field| field.name.as_ref());
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_ref()).collect();
                self.unknown_field(name, *at, inside, &names);
                return None;
            };
            has_nulls |= is_many && next.nullable;
            let is_walked = self.scope.lists && names_left(path, *at);
            fields = match &next.data_type {
                DataType::Struct(inner) => inner,
                DataType::List { item, nullable } if is_walked => match item.as_ref() {
                    DataType::Struct(inner) => {
                        is_many = true;
                        has_nulls |= nullable;
                        inner
                    }
                    _ => &[],
                },
                _ => &[],
            };
            found = Some(next);
        }
        let names = path.iter().map(|(name, _)| name.clone()).collect();
        let data_type = match (is_many, found?.data_type.clone()) {
            (true, DataType::List { item, nullable }) => {
                DataType::List { item, nullable: nullable || has_nulls }
            }
            (true, item) => DataType::List { item: Box::new(item), nullable: has_nulls },
            (false, data_type) => data_type,
        };
        Some(Expr { node: Node::Field(names), data_type, span })
    }

    fn unknown_field(&mut self, name: &str, at: Span, inside: Option<&str>, names: &[&str]) {
        let near = suggest::closest(name, names.iter().copied());
        let words = match inside {
            Some(outer) if names.is_empty() => format!("`{outer}` has no fields"),
            Some(outer) => format!("`{outer}` has no field `{name}`"),
            None => format!("unknown field `{name}`"),
        };
        let all = format!("the fields are `{}`", names.join("`, `"));
        let none_allowed = inside.is_none() && names.is_empty();
        let error = self.unknown(at, words);
        match near {
            Some(near) => error.set_hint(format!("did you mean `{near}`?")),
            None if none_allowed => error.set_hint(format!(
                "no field may be used here; text is written in single quotes: '{name}'"
            )),
            None if (1..=12).contains(&names.len()) => error.set_hint(all),
            None => {}
        }
    }

    fn viewer(&mut self, name: &str, at: Span, span: Span) -> Option<Expr> {
        if !self.scope.viewer {
            self.fault(span, "the viewer may not be used here")
                .set_hint("a stored or derived value is the same for everybody");
            return None;
        }
        if !VIEWER.contains(&name) {
            let hint = match suggest::closest(name, VIEWER) {
                Some(near) => format!("did you mean `viewer.{near}`?"),
                None => "the viewer has `id`, `team` and `scope`".to_owned(),
            };
            self.unknown(at, format!("the viewer has no `{name}`")).set_hint(hint);
            return None;
        }
        Some(Expr { node: Node::Viewer(name.to_owned()), data_type: DataType::String, span })
    }

    fn unary(
        &mut self,
        op: UnaryOp,
        operand: &Syntax,
        span: Span,
        wanted: Option<&DataType>,
    ) -> Option<Expr> {
        let inner = match op {
            UnaryOp::Not => self.boolean(operand, "NOT")?,
            UnaryOp::Negate => {
                let inner = self.node(operand, wanted.filter(|wanted| wanted.is_numeric()))?;
                if !inner.data_type.is_numeric() {
                    self.fault(
                        operand.span,
                        format!("`-` takes a number, not {}", inner.data_type),
                    );
                    return None;
                }
                inner
            }
            UnaryOp::IsNull | UnaryOp::IsNotNull => self.node(operand, None)?,
        };
        // One value has one tree, however it was written.
        if let (UnaryOp::Negate, Node::Literal(value)) = (op, &inner.node)
            && let Some(value) = convert::negated(value, &inner.data_type)
        {
            return Some(literal(value, inner.data_type, span));
        }
        let data_type = match op {
            UnaryOp::Negate => inner.data_type.clone(),
            _ => DataType::Boolean,
        };
        Some(Expr { node: Node::Unary(op, Box::new(inner)), data_type, span })
    }

    fn boolean(&mut self, node: &Syntax, what: &str) -> Option<Expr> {
        let expr = self.node(node, Some(&DataType::Boolean))?;
        if expr.data_type != DataType::Boolean {
            self.fault(node.span, format!("`{what}` takes a Boolean, not {}", expr.data_type))
                .set_hint("compare it with something");
            return None;
        }
        Some(expr)
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &Syntax,
        right: &Syntax,
        span: Span,
        wanted: Option<&DataType>,
    ) -> Option<Expr> {
        use BinaryOp as B;
        match op {
            B::And | B::Or => {
                let word = if op == B::And { "AND" } else { "OR" };
                let (left, right) = (self.boolean(left, word), self.boolean(right, word));
                binary(op, left?, right?, DataType::Boolean, span)
            }
            B::Concat => self.concat(left, right, span),
            B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq => {
                self.comparison(op, left, right, span)
            }
            B::Add | B::Subtract | B::Multiply | B::Divide | B::Modulo => {
                self.arithmetic(op, left, right, span, wanted)
            }
        }
    }

    fn concat(&mut self, left: &Syntax, right: &Syntax, span: Span) -> Option<Expr> {
        let parts =
            (self.node(left, Some(&DataType::String)), self.node(right, Some(&DataType::String)));
        let (left, right) = (parts.0?, parts.1?);
        for side in [&left, &right] {
            if side.data_type == DataType::String {
                continue;
            }
            let hint = match side.data_type {
                DataType::Boolean => "write `OR` between conditions".to_owned(),
                _ => "write `CAST(… AS String)`".to_owned(),
            };
            self.fault(side.span, format!("`||` joins String, not {}", side.data_type))
                .set_hint(hint);
            return None;
        }
        binary(BinaryOp::Concat, left, right, DataType::String, span)
    }

    fn comparison(
        &mut self,
        op: BinaryOp,
        left: &Syntax,
        right: &Syntax,
        span: Span,
    ) -> Option<Expr> {
        for side in [left, right] {
            if matches!(side.kind, SyntaxKind::Null) {
                self.fault(side.span, "nothing is equal to NULL, not even NULL")
                    .set_hint("write `IS NULL` or `IS NOT NULL`");
                return None;
            }
        }
        let (left, right) = self.pair(left, right, span, None)?;
        if !left.data_type.is_ordered() {
            self.fault(span, format!("values of type {} cannot be compared", left.data_type));
            return None;
        }
        binary(op, left, right, DataType::Boolean, span)
    }

    fn arithmetic(
        &mut self,
        op: BinaryOp,
        left: &Syntax,
        right: &Syntax,
        span: Span,
        wanted: Option<&DataType>,
    ) -> Option<Expr> {
        let (left, right) = self.pair(left, right, span, wanted.filter(|w| w.is_numeric()))?;
        let data_type = match (&left.data_type, op) {
            (DataType::Int | DataType::Long | DataType::Float, _) => left.data_type.clone(),
            (DataType::Decimal { .. }, BinaryOp::Divide | BinaryOp::Modulo) => {
                self.fault(span, "a Decimal cannot be divided without losing digits")
                    .set_hint("write `CAST(… AS Float)` around both operands");
                return None;
            }
            (DataType::Decimal { precision, scale }, BinaryOp::Multiply) => {
                if scale * 2 > 38 {
                    self.fault(span, "the product has more than 38 digits after the point");
                    return None;
                }
                let precision = precision.saturating_mul(2).min(38);
                DataType::Decimal { precision, scale: scale * 2 }
            }
            (DataType::Decimal { precision, scale }, _) => {
                DataType::Decimal { precision: (precision + 1).min(38), scale: *scale }
            }
            (other, _) => {
                let words = format!("`{}` takes numbers, not {other}", symbol(op));
                let hint = match other {
                    DataType::String => "text is joined with `||`",
                    DataType::Date | DataType::DateTime => {
                        "days between two dates: `date_diff_days(later, earlier)`"
                    }
                    _ => "arithmetic is for Int, Long, Float and Decimal",
                };
                self.fault(span, words).set_hint(hint);
                return None;
            }
        };
        binary(op, left, right, data_type, span)
    }

    /// Both operands in one type. A constant takes the type of what stands beside it.
    fn pair(
        &mut self,
        left: &Syntax,
        right: &Syntax,
        span: Span,
        wanted: Option<&DataType>,
    ) -> Option<(Expr, Expr)> {
        let (left, right) = if is_constant(left) && !is_constant(right) {
            let right = self.node(right, wanted);
            let left = self.node(left, right.as_ref().map(|expr| &expr.data_type));
            (left, right)
        } else {
            let left = self.node(left, wanted);
            let hint = left.as_ref().map(|expr| &expr.data_type).filter(|_| is_constant(right));
            let right = self.node(right, hint.or(wanted));
            (left, right)
        };
        let (left, right) = (left?, right?);
        let Some(common) = convert::common(&left.data_type, &right.data_type) else {
            self.mismatch(&left, &right, span);
            return None;
        };
        Some((widen(left, &common), widen(right, &common)))
    }

    fn mismatch(&mut self, left: &Expr, right: &Expr, span: Span) {
        let words = format!("{} and {} do not go together", left.data_type, right.data_type);
        let float_and_decimal = [&left.data_type, &right.data_type].iter().all(|t| t.is_numeric());
        let hint = if float_and_decimal {
            "a Decimal is exact and a Float is not: write `CAST(… AS Float)` around the Decimal"
                .to_owned()
        } else if convert::may_cast(&right.data_type, &left.data_type) {
            format!("convert one of them, for instance with `CAST(… AS {})`", left.data_type)
        } else {
            "both sides need one type".to_owned()
        };
        self.fault(span, words).set_hint(hint);
    }

    fn in_list(&mut self, operand: &Syntax, items: &[Part], span: Span) -> Option<Expr> {
        let operand = self.node(operand, None)?;
        if items.is_empty() {
            self.fault(span, "`IN` needs at least one constant");
            return None;
        }
        if !operand.data_type.is_ordered() {
            self.fault(operand.span, format!("`IN` cannot compare {}", operand.data_type));
            return None;
        }
        let mut values = Vec::new();
        for item in items {
            let expr = self.node(item, Some(&operand.data_type))?;
            match expr.node {
                Node::Literal(Value::Null) => {
                    self.fault(item.span, "`IN` takes constants, not NULL")
                        .set_hint("add `OR … IS NULL`");
                }
                Node::Literal(value) if expr.data_type == operand.data_type => values.push(value),
                Node::Literal(_) => {
                    let words = format!("this is {}, not {}", expr.data_type, operand.data_type);
                    self.fault(item.span, words);
                }
                _ => {
                    self.fault(item.span, "`IN` takes constants")
                        .set_hint("compare with `=` and join with `OR`");
                }
            }
        }
        let node = Node::InList(Box::new(operand), values);
        Some(Expr { node, data_type: DataType::Boolean, span })
    }

    fn case(
        &mut self,
        branches: &[(Part, Part)],
        otherwise: Option<&Part>,
        span: Span,
        wanted: Option<&DataType>,
    ) -> Option<Expr> {
        let conditions: Vec<_> =
            branches.iter().map(|(when, _)| self.boolean(when, "WHEN")).collect();
        let results: Vec<&Part> = branches.iter().map(|(_, then)| then).chain(otherwise).collect();
        let mut results = self.unified(&results, "the results of CASE", wanted)?;
        let otherwise = if otherwise.is_some() { results.pop().map(Box::new) } else { None };
        let data_type = results.first()?.data_type.clone();
        let conditions: Option<Vec<Expr>> = conditions.into_iter().collect();
        let branches = conditions?.into_iter().zip(results).collect();
        Some(Expr { node: Node::Case { branches, otherwise }, data_type, span })
    }

    fn coalesce(&mut self, items: &[Part], span: Span, wanted: Option<&DataType>) -> Option<Expr> {
        if items.is_empty() {
            self.fault(span, "`COALESCE` needs at least one value");
            return None;
        }
        let items: Vec<&Part> = items.iter().collect();
        let parts = self.unified(&items, "the values of COALESCE", wanted)?;
        let data_type = parts.first()?.data_type.clone();
        Some(Expr { node: Node::Coalesce(parts), data_type, span })
    }

    /// All nodes in one type; constants take the type of the others.
    pub(super) fn unified(
        &mut self,
        nodes: &[&Part],
        what: &str,
        wanted: Option<&DataType>,
    ) -> Option<Vec<Expr>> {
        let mut common: Option<DataType> = None;
        let mut typed: Vec<Option<Expr>> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let expr = if is_constant(node) { None } else { Some(self.node(node, wanted)?) };
            common = self.joined(common, expr.as_ref(), what)?;
            typed.push(expr);
        }
        // Numbers first and NULL last, so that NULL finds a type.
        let only_null = |node: &Syntax| matches!(node.kind, SyntaxKind::Null);
        for nulls in [false, true] {
            for (node, slot) in nodes.iter().zip(&mut typed) {
                if slot.is_none() && only_null(node) == nulls {
                    let expr = self.node(node, common.as_ref().or(wanted))?;
                    common = self.joined(common, Some(&expr), what)?;
                    *slot = Some(expr);
                }
            }
        }
        let common = common?;
        typed.into_iter().map(|expr| Some(widen(expr?, &common))).collect()
    }

    fn joined(
        &mut self,
        common: Option<DataType>,
        expr: Option<&Expr>,
        what: &str,
    ) -> Option<Option<DataType>> {
        let Some(expr) = expr else { return Some(common) };
        let Some(earlier) = common else { return Some(Some(expr.data_type.clone())) };
        let joined = convert::common(&earlier, &expr.data_type);
        if joined.is_none() {
            let words = format!("{what} need one type: {earlier} and {}", expr.data_type);
            self.fault(expr.span, words);
        }
        Some(Some(joined?))
    }

    fn cast(&mut self, operand: &Syntax, to: &DataType, span: Span) -> Option<Expr> {
        let inner = self.node(operand, matches!(operand.kind, SyntaxKind::Null).then_some(to))?;
        if let Node::Literal(value) = &inner.node {
            let exact = convert::constant(value, to);
            if exact.is_some() || inner.data_type == DataType::String {
                return self.constant(value, to, span);
            }
        }
        if !convert::may_cast(&inner.data_type, to) {
            self.fault(span, format!("{} cannot be converted to {to}", inner.data_type));
            return None;
        }
        if inner.data_type == *to {
            return Some(Expr { span, ..inner });
        }
        Some(Expr { node: Node::Cast(Box::new(inner)), data_type: to.clone(), span })
    }

    /// The expression in a wanted type, when it converts by itself.
    pub(super) fn convert(&mut self, expr: Expr, wanted: &DataType, what: &str) -> Option<Expr> {
        if !convert::widens(&expr.data_type, wanted) {
            let words = format!("{what} must be {wanted}, not {}", expr.data_type);
            let constant = matches!(expr.node, Node::Literal(_));
            let castable = !constant && convert::may_cast(&expr.data_type, wanted);
            let error = self.fault(expr.span, words);
            if castable {
                error.set_hint(format!("convert it: `CAST(… AS {wanted})`"));
            }
            return None;
        }
        Some(widen(expr, wanted))
    }
}

impl ExpressionError {
    pub(super) fn set_hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

/// Whether a path goes on after the name at this place.
fn names_left(path: &[(String, Span)], at: Span) -> bool {
    path.last().is_some_and(|(_, last)| *last != at)
}

/// Whether a word may stand as a field name without `self.`.
pub(super) fn is_plain_name(name: &str) -> bool {
    !KEYWORDS.contains(&name.to_ascii_lowercase().as_str())
}

fn is_constant(node: &Syntax) -> bool {
    matches!(
        node.kind,
        SyntaxKind::Int(_) | SyntaxKind::Float(_) | SyntaxKind::Text(_) | SyntaxKind::Null
    )
}

pub(super) fn literal(value: Value, data_type: DataType, span: Span) -> Expr {
    Expr { node: Node::Literal(value), data_type, span }
}

fn binary(op: BinaryOp, left: Expr, right: Expr, data_type: DataType, span: Span) -> Option<Expr> {
    Some(Expr { node: Node::Binary(op, Box::new(left), Box::new(right)), data_type, span })
}

/// The expression in a wider type; constants are converted at once.
fn widen(expr: Expr, to: &DataType) -> Expr {
    if expr.data_type == *to {
        return expr;
    }
    if let Node::Literal(value) = &expr.node
        && let Some(converted) = convert::constant(value, to)
    {
        return literal(converted, to.clone(), expr.span);
    }
    let span = expr.span;
    Expr { node: Node::Cast(Box::new(expr)), data_type: to.clone(), span }
}

/// How an operator is written.
pub(super) fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "OR",
        BinaryOp::And => "AND",
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "<>",
        BinaryOp::Lt => "<",
        BinaryOp::LtEq => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::GtEq => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::Concat => "||",
    }
}

fn example_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date => "a date is written '2024-02-29'",
        DataType::DateTime => "a time is written '2024-02-29T12:00:00Z'",
        DataType::Uuid => "a UUID is written '6f1b1c3e-0c1f-4d36-9a53-0f5a8a5b2c11'",
        DataType::Decimal { .. } => {
            "a Decimal has at most its type's digits before and after the point"
        }
        DataType::Boolean => "a Boolean is true or false",
        _ => "the value must fit the type",
    }
}
