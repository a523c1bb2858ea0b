//! `@derived(from, expr, onError)`: in come the fragment and the expression, out come the typed expression
//! and the fields it reads. Faults inside expressions are shown at their place in the file.
//!
//! What reads the stored fields of its row is settled here. What reads more is noted, and settled when the
//! API is known (`inputs`).

use apollo_compiler::ast::Selection;
use frame::{BinaryOp, DataType, Expr, Field, Node, Span, Value};

use crate::diagnostic::Code;
use crate::expression::{self, ExpressionError, Fault, Scope};
use crate::model::{Beyond, ColumnSpec, Derived, FieldId, Giver};

use super::build::{Draft, field_named};
use super::declare::{Declared, Object};
use super::directives::Text;
use super::field::{Role, Subject};
use super::inputs::{self, Pending};
use super::reference;
use super::report::{Report, Spot};
use super::shape::{Named, Shape};

/// The fields that expressions of a type may use: stored and derived ones.
pub(crate) fn scope(
    index: usize,
    object: &Object<'_>,
    declared: &Declared<'_>,
    draft: &Draft,
    roles: &[Vec<Role>],
) -> Scope {
    let mut fields = Vec::new();
    for (position, field) in object.fields.values().enumerate() {
        let nullable = !field.node.ty.is_non_null();
        let data_type = match &roles[index][position] {
            Role::Column | Role::Media => {
                draft.column(index, position).map(|ColumnSpec { data_type, .. }| data_type.clone())
            }
            Role::Derived(shape) => type_of(shape, declared),
            _ => None,
        };
        fields.extend(data_type.map(|data_type| Field::new(field.name(), data_type, nullable)));
    }
    Scope::new(fields)
}

/// The row that a derived field belongs to.
pub(crate) struct Row<'r> {
    pub(crate) scope: Scope,
    /// What its fields are.
    pub(crate) roles: &'r [Role],
}

/// The type that a derived field declares.
fn type_of(shape: &Shape, declared: &Declared<'_>) -> Option<DataType> {
    let item = match &shape.named {
        Named::Scalar(data_type) => data_type.clone(),
        Named::Id => DataType::String,
        Named::Enum(name) if declared.enums.contains_key(name.as_str()) => DataType::String,
        _ => return None,
    };
    Some(match shape.list {
        Some(nullable) => DataType::List { item: Box::new(item), nullable },
        None => item,
    })
}

/// `@derived` of one field.
pub(crate) fn derived(
    subject: Subject<'_, '_>,
    shape: &Shape,
    row: &Row<'_>,
    pending: &mut Vec<Pending>,
    report: &mut Report<'_>,
) -> Option<Derived> {
    let field = subject.field;
    let applied = field.directives.get("derived")?;
    let Some(text) = applied.text("expr") else {
        report
            .at(Code::Derived, applied.at(), "a derived field needs an expression")
            .hint("write `@derived(expr: \"…\")`");
        return None;
    };
    let decimal = shape.named == Named::Decimal && shape.list.is_none();
    let wanted = type_of(shape, subject.declared);
    if wanted.is_none() && !decimal {
        let words = format!("a derived field cannot be {}", field.node.ty);
        report.at(Code::Derived, field.at_type(), words).hint(
            "an expression gives a Boolean, Int, Long, Float, Decimal, String, Date, DateTime or UUID",
        );
        return None;
    }
    let propagates = propagates(subject, shape, report)?;
    let from = match applied.text("from") {
        Some(from) => Some((from, inputs::selections(from, report)?)),
        None => None,
    };
    let asked = Asked { subject, text, wanted: wanted.clone(), shape };
    if let Some((from, selections)) = &from
        && (leaves_row(subject, row, selections) || folds(text, &row.scope))
    {
        pending.extend(asked.pending(from.value, from.at));
        // The types of what it reads are known later; until then it has the type that it declares.
        let data_type = wanted.unwrap_or(DataType::Decimal { precision: 38, scale: 0 });
        let expr = Expr::built(Node::Literal(Value::Null), data_type);
        let beyond = Some(Beyond { from: from.value.into(), giver: Giver::Tables });
        let (inputs, text) = (Vec::new(), text.value.into());
        return Some(Derived { inputs, expr, text, beyond, propagates });
    }
    let expr = asked.parse(&row.scope, report)?;
    if !enum_constants_exist(subject, &expr, text, report) {
        return None;
    }
    let read = expression::fields_read(&expr);
    let inputs: Vec<FieldId> = match &from {
        Some((from, selections)) => fragment(subject, *from, selections, &read, report)?,
        None => {
            read.iter().filter_map(|name| Some(field_named(subject.object(), name)?.1)).collect()
        }
    };
    // A row holds no other derived field, so that one which reads others declares them in this way.
    let is_derived = |id: &FieldId| matches!(row.roles[id.0 as usize], Role::Derived(_));
    let beyond = inputs.iter().any(is_derived).then(|| {
        let from = inputs::selecting(&expression::paths_read(&expr), &row.scope.fields);
        pending.extend(asked.pending(&from, text.at));
        Beyond { from: from.into(), giver: Giver::Tables }
    });
    Some(Derived { inputs, expr, text: text.value.into(), beyond, propagates })
}

/// What is asked of an expression.
struct Asked<'d, 'a, 's> {
    subject: Subject<'d, 'a>,
    text: Text<'d>,
    /// Nothing for a Decimal, which has the digits that its expression gives.
    wanted: Option<DataType>,
    shape: &'s Shape,
}

impl Asked<'_, '_, '_> {
    /// The typed expression over the fields of the row.
    fn parse(&self, scope: &Scope, report: &mut Report<'_>) -> Option<Expr> {
        match inputs::parse(self.text.value, scope, self.wanted.as_ref()) {
            Ok(expr) => {
                let name = self.subject.field.name();
                let is_nullable = self.shape.nullable;
                let fits = inputs::fits(name, is_nullable, self.wanted.as_ref(), &expr, scope);
                match fits {
                    Ok(()) => Some(expr),
                    Err((words, hint)) => {
                        report.at(Code::Derived, self.text.at, words).hint(hint);
                        None
                    }
                }
            }
            Err(errors) => {
                not_readable(self.subject, self.text, errors, report);
                None
            }
        }
    }

    /// The same for when the API is known.
    fn pending(
        &self,
        from: &str,
        at: Option<apollo_compiler::parser::SourceSpan>,
    ) -> Option<Pending> {
        let field = self.subject.field;
        let (position, ..) = field_named(self.subject.object(), field.name())?;
        Some(Pending {
            object: self.subject.object,
            field: position,
            from: inputs::Written { value: from.to_owned(), at },
            expr: inputs::Written { value: self.text.value.to_owned(), at: self.text.at },
            wanted: self.wanted.clone(),
            is_nullable: self.shape.nullable,
            found: None,
        })
    }
}

/// `onError:`, whether the object that has the field is null, too.
fn propagates(subject: Subject<'_, '_>, shape: &Shape, report: &mut Report<'_>) -> Option<bool> {
    let applied = subject.field.directives.get("derived")?;
    let choice = applied.choice("onError");
    if choice == Some("NULL") && !shape.nullable {
        let words =
            format!("`{}` is never null, and `onError: NULL` makes it so", subject.field.name());
        report.at(Code::Derived, applied.at_argument("onError"), words).hint(
            "make the field nullable, or take `onError` out: without a value its object is null",
        );
        return None;
    }
    Some(choice == Some("PROPAGATE"))
}

/// Whether a selection reads more than stored fields of the row.
fn leaves_row(subject: Subject<'_, '_>, row: &Row<'_>, selections: &[Selection]) -> bool {
    selections.iter().any(|selection| match selection {
        Selection::Field(field) if field.alias.is_none() && field.arguments.is_empty() => {
            let found = field_named(subject.object(), &field.name);
            let role = found.and_then(|(position, ..)| row.roles.get(position));
            let is_of_row = match role {
                Some(Role::Column | Role::Media | Role::Broken) => true,
                Some(_) => false,
                // What the tables do not have may be there by another source.
                None => subject.declared.services.is_empty(),
            };
            !is_of_row || !field.selection_set.is_empty()
        }
        _ => true,
    })
}

/// Whether an expression is one over lists, and none without them.
fn folds(text: Text<'_>, scope: &Scope) -> bool {
    let with_lists = scope.clone().with_lists();
    expression::parse(text.value, scope).is_err()
        && expression::parse(text.value, &with_lists).is_ok()
}

/// Whether every constant that is compared with an enum is one of its values.
fn enum_constants_exist(
    subject: Subject<'_, '_>,
    expr: &Expr,
    text: Text<'_>,
    report: &mut Report<'_>,
) -> bool {
    let enum_of = |path: &[String]| {
        let [name] = path else { return None };
        let field = subject.object().fields.get(name.as_str())?;
        let known = subject.declared.enums.get(field.node.ty.inner_named_type().as_str())?;
        let values = known.values.iter().map(ToString::to_string).collect();
        Some(KnownEnum { name: known.name.to_string(), values })
    };
    constants_exist(expr, text, &enum_of, report)
}

/// An enum that an expression reads a value of.
pub(super) struct KnownEnum {
    pub(super) name: String,
    pub(super) values: Vec<String>,
}

/// Whether texts that are compared with values of enums are such values; reports those that are not.
pub(super) fn constants_exist(
    expr: &Expr,
    text: Text<'_>,
    enum_of: &dyn Fn(&[String]) -> Option<KnownEnum>,
    report: &mut Report<'_>,
) -> bool {
    let mut right = true;
    let mut rest = vec![expr];
    while let Some(expr) = rest.pop() {
        rest.extend(expression::parts_of(expr));
        let compared: Vec<(&Expr, &Value, Span)> = match &expr.node {
            Node::Binary(BinaryOp::Eq | BinaryOp::NotEq, a, b) => [(a, b), (b, a)]
                .into_iter()
                .filter_map(|(field, constant)| match &constant.node {
                    Node::Literal(value) => Some((&**field, value, constant.span)),
                    _ => None,
                })
                .collect(),
            Node::InList(field, values) => {
                values.iter().map(|value| (&**field, value, expr.span)).collect()
            }
            _ => Vec::new(),
        };
        for (field, value, span) in compared {
            let (Node::Field(path), Value::String(value)) = (&field.node, value) else { continue };
            let Some(known) = enum_of(path) else { continue };
            if known.values.iter().any(|known| known == value.as_ref()) {
                continue;
            }
            let spot = inside(text, span, report);
            let values: Vec<&str> = known.values.iter().map(AsRef::as_ref).collect();
            let all = format!("its values are {}", values.join(", "));
            let words = format!("`{}` has no value `{value}`", known.name);
            report.add(Code::ExpressionName, spot, words).did_you_mean(
                value,
                values,
                |found| format!("`'{found}'`"),
                &all,
            );
            right = false;
        }
    }
    right
}

/// What an expression may name.
const READABLE: &str = "an expression reads stored fields, and derived ones that are no Decimal; what is beside \
     the row it declares: `from: \"{ team { name } }\"`";

/// Reports faults of an expression; a name that is a reference says so.
fn not_readable(
    subject: Subject<'_, '_>,
    text: Text<'_>,
    mut errors: Vec<ExpressionError>,
    report: &mut Report<'_>,
) {
    for error in &mut errors {
        let name = text.value.get(error.span.start..error.span.end).unwrap_or_default();
        let Some(field) = subject.object().fields.get(name) else { continue };
        if error.fault != Fault::Name {
            continue;
        }
        let other = ["ref", "nearest"].into_iter().find(|other| field.directives.has(other));
        if field.directives.has("derived") && field.node.ty.inner_named_type() == "Decimal" {
            error.message =
                format!("`{name}` is a derived Decimal, whose digits are not known here");
            error.hint = Some(READABLE.to_owned());
        } else if let Some(other) = other {
            error.message = format!("`{name}` has `@{other}`: it is no value of this row");
            error.hint = Some(READABLE.to_owned());
        }
    }
    // A field that is wrong itself is not in the scope; that has been said.
    errors.retain(|error| {
        let name = text.value.get(error.span.start..error.span.end).unwrap_or_default();
        let broken = subject.object().fields.get(name);
        error.fault != Fault::Name || error.hint.as_deref() == Some(READABLE) || broken.is_none()
    });
    expression_errors(text, errors, report);
}

/// The fields of `from: "{ year }"`, which must be those that the expression reads.
fn fragment(
    subject: Subject<'_, '_>,
    from: Text<'_>,
    selections: &[Selection],
    read: &[&str],
    report: &mut Report<'_>,
) -> Option<Vec<FieldId>> {
    let names = selections.iter().filter_map(|selection| match selection {
        Selection::Field(field) => Some(field.name.as_str()),
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    let mut inputs = Vec::new();
    for name in &names {
        let Some((_, id, _)) = field_named(subject.object(), name) else {
            reference::unknown_field(subject.object(), Text { value: name, at: from.at }, report);
            return None;
        };
        inputs.push(id);
    }
    for name in read {
        if !names.contains(name) {
            report
                .at(
                    Code::Derived,
                    from.at,
                    format!("the expression reads `{name}`, which `from` does not name"),
                )
                .hint("take `from` out: the fields follow from the expression");
            return None;
        }
    }
    if let Some(unread) = names.iter().find(|name| !read.contains(*name)) {
        report
            .at(
                Code::Derived,
                from.at,
                format!("`from` names `{unread}`, which the expression does not read"),
            )
            .hint("take it out");
        return None;
    }
    Some(inputs)
}

/// Reports the faults of an expression at their places in the file.
pub(crate) fn expression_errors(
    text: Text<'_>,
    errors: Vec<ExpressionError>,
    report: &mut Report<'_>,
) {
    for error in errors {
        let spot = inside(text, error.span, report);
        let code = match error.fault {
            Fault::Syntax => Code::ExpressionSyntax,
            Fault::Name => Code::ExpressionName,
            Fault::Type => Code::ExpressionType,
        };
        let diagnostic = report.add(code, spot, error.message);
        if let Some(hint) = error.hint {
            diagnostic.hint(hint);
        }
    }
}

/// The spot of some bytes of a string's value. Escapes and block strings make the value differ from
/// what is written; where the two cannot be matched, the whole string is the spot.
pub(crate) fn inside(text: Text<'_>, span: Span, report: &Report<'_>) -> Spot {
    let whole = report.spot(text.at);
    let Spot { file, range: Some((start, _)) } = whole else { return whole };
    let raw = report.text(whole);
    match written(raw, text.value, span) {
        Some((from, to)) => Spot::bytes(file, start + from, start + to),
        None => whole,
    }
}

/// Where the bytes `span` of a string's value stand in its written form.
fn written(raw: &str, value: &str, span: Span) -> Option<(usize, usize)> {
    let quote = if raw.starts_with("\"\"\"") { 3 } else { 1 };
    let body = raw.get(quote..raw.len().checked_sub(quote)?)?;
    let (from, to) = if let Some(shift) = body.find(value) {
        (shift + span.start, shift + span.end)
    } else {
        let positions =
            if quote == 3 { block_positions(body, value)? } else { escaped_positions(body) };
        (*positions.get(span.start)?, *positions.get(span.end)?)
    };
    Some((quote + from, quote + to.max(from)))
}

/// For each byte of the value, the byte of the written text where its character begins; then the
/// end.
fn escaped_positions(body: &str) -> Vec<usize> {
    let mut positions = Vec::new();
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        let (length, bytes) = if c != '\\' {
            (c.len_utf8(), c.len_utf8())
        } else if body[at + 1..].starts_with("u{") {
            let end = body[at..].find('}').map_or(body.len() - at, |end| end + 1);
            (end, hex_width(&body[at + 3..(at + end).saturating_sub(1).max(at + 3)]))
        } else if body[at + 1..].starts_with('u') {
            let end = (at + 6).min(body.len());
            (end - at, hex_width(body.get(at + 2..end).unwrap_or("")))
        } else {
            (2.min(body.len() - at), 1)
        };
        positions.extend(std::iter::repeat_n(at, bytes));
        at += length;
    }
    positions.push(body.len());
    positions
}

/// The same for a block string, whose indentation and blank first and last lines are no part of the
/// value; `None` when the value is not found again.
fn block_positions(body: &str, value: &str) -> Option<Vec<usize>> {
    let blank = |line: &str| line.chars().all(|c| c == ' ' || c == '\t');
    let mut at = 0;
    let mut lines: Vec<(usize, &str)> = Vec::new();
    for line in body.split_inclusive('\n') {
        lines.push((at, line.trim_end_matches(['\r', '\n'])));
        at += line.len();
    }
    let width = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let indented = lines.iter().skip(1).filter(|(_, line)| !blank(line));
    let indent = indented.map(|(_, line)| width(line)).min().unwrap_or(0);
    let first = lines.iter().position(|(_, line)| !blank(line))?;
    let last = lines.iter().rposition(|(_, line)| !blank(line))?;
    let mut positions = Vec::new();
    let mut text = String::new();
    for (index, (start, line)) in lines.iter().enumerate().take(last + 1).skip(first) {
        if index > first {
            positions.push(start - 1);
            text.push('\n');
        }
        let cut = if index == 0 { 0 } else { indent.min(line.len()) };
        let shown = line.get(cut..)?;
        positions.extend((0..shown.len()).map(|byte| start + cut + byte));
        text.push_str(shown);
    }
    positions.push(positions.last()? + 1);
    (text == value).then_some(positions)
}

fn hex_width(digits: &str) -> usize {
    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_in_strings_with_escapes_are_found_where_they_are_written() {
        let place = |raw: &str, value: &str, start, end| {
            written(raw, value, Span { start, end })
                .map(|(from, to)| &raw[from..to])
                .map(str::to_owned)
        };
        assert_eq!(place("\"a + yaer\"", "a + yaer", 4, 8).as_deref(), Some("yaer"));
        assert_eq!(place(r#""'\"' || yaer""#, "'\"' || yaer", 7, 11).as_deref(), Some("yaer"));
        assert_eq!(place(r#""'\u00e9' + b""#, "'é' + b", 7, 8).as_deref(), Some("b"));
        assert_eq!(place(r#""'\u{1F600}' + b""#, "'😀' + b", 9, 10).as_deref(), Some("b"));
        assert_eq!(place("\"\"\"\n  a + b\n\"\"\"", "a + b", 4, 5).as_deref(), Some("b"));
        let raw = "\"\"\"\n\n  a +\r\n    b -\n  c \n \"\"\"";
        assert_eq!(place(raw, "a +\n  b -\nc ", 6, 7).as_deref(), Some("b"));
        assert_eq!(place(raw, "a +\n  b -\nc ", 10, 12).as_deref(), Some("c "));
    }
}
