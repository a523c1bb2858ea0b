//! What a call sends: in comes the value of `body`, out comes JSON with holes.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::Value;

use crate::compile::derived::inside;
use crate::compile::directives::Text;
use crate::compile::report::Report;
use crate::diagnostic::Code;
use crate::fetch::Body;
use crate::fetch::template::{Fault, Template};

/// Reads a body; `None` when it is wrong, which has been said. Out as well: each text, for what is
/// said of its holes.
pub(super) fn body<'a>(
    value: &'a Node<Value>,
    texts: &mut Vec<Text<'a>>,
    report: &mut Report<'_>,
) -> Option<Body> {
    Some(match value.as_ref() {
        Value::Null => Body::Plain("null".into()),
        Value::Boolean(value) => Body::Plain(value.to_string().into()),
        Value::Int(number) => plain_number(number.as_str()),
        Value::Float(number) => plain_number(number.as_str()),
        Value::Enum(name) => Body::Plain(quoted(name)),
        Value::String(text) => {
            let text = Text { value: text, at: value.location() };
            texts.push(text);
            let template = template(text, report)?;
            match template.whole() {
                Some(hole) => Body::Whole(hole.clone()),
                None if template.holes().next().is_none() => Body::Plain(quoted(&plain(&template))),
                None => Body::Text(template),
            }
        }
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| body(item, texts, report)).collect();
            Body::List(items.into_iter().collect::<Option<_>>()?)
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| Some((name.as_str().into(), body(value, texts, report)?)))
                .collect();
            Body::Object(members.into_iter().collect::<Option<_>>()?)
        }
        Value::Variable(_) => {
            report
                .at(Code::Fetch, value.location(), "a body has no variables")
                .hint("write a hole: \"{name}\"");
            return None;
        }
    })
}

/// GraphQL writes some numbers as JSON does not.
fn plain_number(text: &str) -> Body {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    Body::Plain(parsed.map_or_else(|_| quoted(text), |number| number.to_string().into()))
}

fn quoted(text: &str) -> Arc<str> {
    serde_json::Value::from(text).to_string().into()
}

fn plain(template: &Template) -> String {
    template.to_string().replace("{{", "{").replace("}}", "}")
}

/// Reads a template, and says what is wrong with it.
pub(super) fn template(text: Text<'_>, report: &mut Report<'_>) -> Option<Template> {
    read(Template::parse(text.value), text, report)
}

/// Says what is wrong with a template.
pub(super) fn read<T>(
    parsed: Result<T, Fault>,
    text: Text<'_>,
    report: &mut Report<'_>,
) -> Option<T> {
    match parsed {
        Ok(read) => Some(read),
        Err(fault) => {
            let spot = inside(text, fault.span, report);
            report.add(Code::Fetch, spot, fault.words).hint(fault.hint);
            None
        }
    }
}
