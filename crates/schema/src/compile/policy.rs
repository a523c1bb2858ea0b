//! `@scope`, `@visible` and `@classified`: in come their uses on a type, on a field or in the SDL of a
//! service, out comes what they say, or why they cannot be held to.
//!
//! A condition reads stored fields of the row and the viewer, and cannot fail: an error would tell of rows
//! that are not seen. Values that are held back read null, so that their fields are nullable, unless a mask
//! stands in place of them.

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, Directive, DirectiveList, Document, FieldDefinition, Value,
};
use frame::{BinaryOp, DataType, Expr, Field, Function, UnaryOp};

use crate::diagnostic::Code;
use crate::expression::{self, Scope};
use crate::model::{ColumnSpec, FieldId, FieldKind, Schema, ServiceScope};
use crate::policy::{Otherwise, Policy, Shown, Visible};

use super::build::Draft;
use super::declare::Object;
use super::derived::{expression_errors, inside};
use super::directives::{Applied, Directives, Text};
use super::field::{Role, Subject};
use super::names;
use super::report::Report;

/// The fields that a condition may use: those that are stored.
pub(crate) fn scope(index: usize, object: &Object<'_>, draft: &Draft) -> Scope {
    let fields = object.fields.values().enumerate().filter_map(|(position, field)| {
        let column = draft.column(index, position)?;
        Some(Field::new(field.name(), column.data_type.clone(), !field.node.ty.is_non_null()))
    });
    Scope::new(fields.collect()).with_viewer()
}

/// The policy of a type.
pub(crate) fn of_type(object: &Object<'_>, scope: &Scope, report: &mut Report<'_>) -> Policy {
    let directives = &object.directives;
    for applied in directives.iter().filter(|applied| IS_ABOUT_ROWS.contains(&applied.name())) {
        if !object.is_table() {
            report
                .at(
                    Code::Policy,
                    applied.at(),
                    format!("`@{}` is not offered on a type without `@table`", applied.name()),
                )
                .hint("put it on the fields that hold the object");
            return Policy::default();
        }
    }
    let policy = of(directives, scope, report);
    if policy.otherwise() != Otherwise::Null
        && let Some(applied) = directives.get("visible")
    {
        let words = "rows that are not seen do not exist, and nothing stands in place of them";
        report
            .at(Code::Policy, applied.at_argument("else"), words)
            .hint("take `else` out, or put `@visible` on fields");
    }
    policy
}

const IS_ABOUT_ROWS: [&str; 2] = ["scope", "visible"];

/// The policy of a field.
pub(crate) fn of_field(
    subject: Subject<'_, '_>,
    (role, column): (&Role, Option<&ColumnSpec>),
    key: &[FieldId],
    scope: &Scope,
    report: &mut Report<'_>,
) -> Policy {
    let field = subject.field;
    let policy = of(&field.directives, scope, report);
    if policy.is_open() || matches!(role, Role::Broken) {
        return policy;
    }
    let first =
        ["scope", "visible", "classified"].iter().find_map(|name| field.directives.get(name));
    let Some(first) = first else { return policy };
    let position = subject.object().fields.get_index_of(field.name());
    if key.iter().any(|id| Some(id.0 as usize) == position) {
        report
            .at(
                Code::Policy,
                first.at(),
                format!(
                    "`{}` is part of the key, which everybody sees who sees the row",
                    field.name()
                ),
            )
            .hint("put the policy on the type");
        return Policy::default();
    }
    let masks = ["visible", "classified"].iter().find_map(|name| field.directives.get(name));
    let Some(masks) = masks else { return policy };
    if !matches!(role, Role::Column | Role::Media) {
        let words = format!(
            "`@{}` is for stored fields, and `{}` follows from others",
            masks.name(),
            field.name()
        );
        report.at(Code::Policy, masks.at(), words).hint(
            "put it on the fields that it follows from: what follows from a hidden value is hidden too",
        );
        return Policy::default();
    }
    if policy.otherwise() == Otherwise::Mask {
        let is_text = column.is_some_and(|column| column.data_type == DataType::String)
            && matches!(field.node.ty.inner_named_type().as_str(), "String" | "ID");
        if !is_text {
            let words =
                format!("`{}` is no text, and a mask of it would look like a value", field.name());
            report
                .at(Code::Policy, masks.at_argument("else"), words)
                .hint("use `else: NULL` or `else: ERROR`");
            return Policy::default();
        }
        return policy;
    }
    if field.node.ty.is_non_null() {
        let words =
            format!("`{}` is never null, but reads null where it is not seen", field.name());
        report
            .at(Code::Policy, masks.at(), words)
            .hint("make the field nullable, use `else: MASK` if it is a text, or `@scope`, which hides it as a whole");
        return Policy::default();
    }
    policy
}

fn of(directives: &Directives<'_>, scope: &Scope, report: &mut Report<'_>) -> Policy {
    let audiences = |applied: Option<Applied<'_>>, report: &mut Report<'_>| match applied {
        Some(applied) => named(applied, report),
        None => Vec::new(),
    };
    let class = directives.get("classified").and_then(|applied| applied.text("as"));
    let class = class.filter(|class| is_audience(*class, report)).map(|class| class.value.into());
    Policy {
        scope: audiences(directives.get("scope"), report),
        class,
        visible: directives.get("visible").and_then(|applied| visible(applied, scope, report)),
        shown: Shown::Whole,
    }
}

/// The audiences of `to:`.
fn named(applied: Applied<'_>, report: &mut Report<'_>) -> Vec<std::sync::Arc<str>> {
    let texts = applied.texts("to");
    if texts.is_empty() && applied.name() == "scope" {
        report
            .at(Code::Policy, applied.at(), "`@scope` names no audience")
            .hint("write `@scope(to: [\"finance\"])`, or take the field out");
    }
    let fine = texts.into_iter().filter(|text| is_audience(*text, report));
    let mut names: Vec<std::sync::Arc<str>> = Vec::new();
    for text in fine.collect::<Vec<_>>() {
        if !names.iter().any(|known| known.as_ref() == text.value) {
            names.push(text.value.into());
        }
    }
    names
}

fn is_audience(text: Text<'_>, report: &mut Report<'_>) -> bool {
    if text.value == base::principal::EVERYTHING {
        let words = "`everything` is the audience of whoever sees all, and is never named";
        report.at(Code::Policy, text.at, words).hint("take it out");
        return false;
    }
    let fine = names::is_audience(text.value);
    if !fine {
        report
            .at(Code::Policy, text.at, format!("`{}` is no name for an audience", text.value))
            .hint("use letters, digits, `-` and `_`");
    }
    fine
}

fn visible(applied: Applied<'_>, scope: &Scope, report: &mut Report<'_>) -> Option<Visible> {
    let otherwise = applied.choice("else").and_then(Otherwise::named).unwrap_or_default();
    let to = named(applied, report);
    let text = applied.text("if");
    if text.is_none() && to.is_empty() {
        report
            .at(Code::Policy, applied.at(), "`@visible` says neither to whom nor when")
            .hint("write `@visible(if: \"ownerId = viewer.id\")` or `@visible(to: [\"support\"])`");
        return None;
    }
    let when = match text {
        Some(text) => Some(condition(text, scope, report)?),
        None => None,
    };
    Some(Visible { to, when, text: text.map(|text| text.value.into()), otherwise })
}

fn condition(text: Text<'_>, scope: &Scope, report: &mut Report<'_>) -> Option<Expr> {
    let expr = match expression::parse_as(text.value, scope, &DataType::Boolean) {
        Ok(expr) => expr,
        Err(errors) => {
            expression_errors(text, errors, report);
            return None;
        }
    };
    if let Some(part) = may_fail(&expr) {
        let spot = inside(text, part.span, report);
        report
            .add(Code::Policy, spot, "this may fail, and an error would tell of rows that are not seen")
            .hint("a policy compares, and computes nothing: store what it needs in a field of its own");
        return None;
    }
    Some(expr)
}

/// A part of an expression whose value may be an error.
fn may_fail(expr: &Expr) -> Option<&Expr> {
    let fails = match &expr.node {
        frame::Node::Unary(op, _) => *op == UnaryOp::Negate,
        frame::Node::Binary(op, ..) => is_arithmetic(*op),
        frame::Node::Call(function, _) => !never_fails(*function),
        frame::Node::Cast(inner) => !widens(&inner.data_type, &expr.data_type),
        _ => false,
    };
    if fails {
        return Some(expr);
    }
    expression::parts_of(expr).into_iter().find_map(may_fail)
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Modulo)
}

fn never_fails(function: Function) -> bool {
    use Function::{
        Concat, ContainsText, Date, Day, EndsWith, Greatest, Hour, Least, Length, Lower, Month,
        StartsWith, Trim, Upper, Year,
    };
    matches!(
        function,
        Lower
            | Upper
            | Trim
            | Length
            | StartsWith
            | EndsWith
            | ContainsText
            | Concat
            | Least
            | Greatest
            | Year
            | Month
            | Day
            | Hour
            | Date
    )
}

fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Float, Int, Long};
    matches!((from, to), (Int, Long | Float) | (Long, Float)) || from == to
}

/// Our `@scope`s in the SDL of a service: the type, the field unless the type is meant, and the use. A
/// service that defines a directive of that name means its own.
pub(super) fn scopes(document: &Document) -> Vec<(String, Option<String>, &Node<Directive>)> {
    uses(document, "scope")
}

fn uses<'d>(
    document: &'d Document,
    name: &str,
) -> Vec<(String, Option<String>, &'d Node<Directive>)> {
    let is_own = document.definitions.iter().any(
        |definition| matches!(definition, Definition::DirectiveDefinition(own) if own.name == name),
    );
    let mut found = Vec::new();
    for definition in document.definitions.iter().filter(|_| !is_own) {
        let Some((type_name, directives, fields)) = object_parts(definition) else { continue };
        let of = |list: &'d DirectiveList| list.0.iter().filter(|one| one.name == name);
        found.extend(of(directives).map(|one| (type_name.to_owned(), None, one)));
        for field in fields {
            let field_name = || Some(field.name.to_string());
            found
                .extend(of(&field.directives).map(|one| (type_name.to_owned(), field_name(), one)));
        }
    }
    found
}

type ObjectParts<'d> = (&'d str, &'d DirectiveList, &'d [Node<FieldDefinition>]);

fn object_parts(definition: &Definition) -> Option<ObjectParts<'_>> {
    Some(match definition {
        Definition::ObjectTypeDefinition(node) => (&node.name, &node.directives, &node.fields),
        Definition::ObjectTypeExtension(node) => (&node.name, &node.directives, &node.fields),
        Definition::InterfaceTypeDefinition(node) => (&node.name, &node.directives, &node.fields),
        Definition::InterfaceTypeExtension(node) => (&node.name, &node.directives, &node.fields),
        _ => return None,
    })
}

/// What only some audiences know of a service.
pub(super) fn of_service(document: &Document, report: &mut Report<'_>) -> Vec<ServiceScope> {
    for name in ["visible", "classified"] {
        for (.., applied) in uses(document, name) {
            report
                .at(
                    Code::Policy,
                    applied.name.location(),
                    format!("`@{name}` is for tables: rows of a service are the service's own"),
                )
                .hint(
                    "hide the field with `@scope`, or let the service decide by a forwarded header",
                );
        }
    }
    let mut found = Vec::new();
    for (type_name, field, applied) in scopes(document) {
        let is_root = matches!(type_name.as_str(), "Query" | "Mutation" | "Subscription");
        if is_root && field.is_none() {
            report
                .at(
                    Code::Policy,
                    applied.name.location(),
                    format!("`{type_name}` cannot be hidden"),
                )
                .hint("hide its fields");
            continue;
        }
        let to = scope_of(applied, report);
        let (type_name, field) = (type_name.into(), field.map(Into::into));
        found.extend(to.map(|to| ServiceScope { type_name, field, to }));
    }
    found
}

fn scope_of(
    applied: &Node<Directive>,
    report: &mut Report<'_>,
) -> Option<Vec<std::sync::Arc<str>>> {
    let at = applied.name.location();
    let wrong = |report: &mut Report<'_>| {
        report
            .at(Code::Policy, at, "`@scope` names its audiences, and nothing else")
            .hint("write `@scope(to: [\"finance\"])`");
        None
    };
    let [argument] = applied.arguments.as_slice() else { return wrong(report) };
    let items: Vec<&Node<Value>> = match argument.value.as_ref() {
        Value::List(items) if argument.name == "to" => items.iter().collect(),
        Value::String(_) if argument.name == "to" => vec![&argument.value],
        _ => return wrong(report),
    };
    if items.is_empty() {
        return wrong(report);
    }
    let mut names = Vec::new();
    for item in items {
        let Some(value) = item.as_str() else { return wrong(report) };
        if !is_audience(Text { value, at: item.location() }, report) {
            return None;
        }
        names.push(value.into());
    }
    Some(names)
}

/// A reference leads where its field says, so that a mask in it would lead to another row, or to none.
pub(super) fn masked_references(schema: &Schema, report: &mut Report<'_>) {
    for object in schema.types.values() {
        for field in object.fields.values() {
            let FieldKind::Reference(reference) = &field.kind else { continue };
            let holder = if reference.many { schema.object(reference.target) } else { object };
            let by = holder.field(reference.by);
            if by.policy.otherwise() != Otherwise::Mask {
                continue;
            }
            let words = format!(
                "`{}.{}` refers by `{}`, of which a mask would lead elsewhere",
                object.name, field.name, by.name
            );
            report
                .name(Code::Policy, by.place.clone(), words)
                .hint("use `else: NULL` or `else: ERROR`");
        }
    }
}

/// Rules between tables and services: a row that is held back must not be had from a service that speaks
/// of the same type.
pub(super) fn across(schema: &Schema, report: &mut Report<'_>) {
    for service in &schema.services {
        let document = Document::parse(service.sdl.as_ref(), "service.graphql");
        let document = document.unwrap_or_else(|failed| failed.partial);
        let names = document.definitions.iter().filter_map(object_parts).map(|parts| parts.0);
        for name in names {
            let Some(object) = schema.types.get(name) else { continue };
            if object.policy.visible.is_none() {
                continue;
            }
            let words = format!(
                "rows of `{name}` are held back by `@visible`, and source `{}` adds to the type",
                service.source.name
            );
            report.name(Code::Policy, object.place.clone(), words).hint(
                "what a service says of a row could be read without asking the table: put `@visible` on \
                 fields, or take the type out of the service",
            );
        }
    }
}
