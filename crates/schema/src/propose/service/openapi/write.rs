//! The module as text: types in the order in which they were met, then the roots.

use std::fmt::Write as _;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::keys::Key;
use super::operations::{Argument, Field};
use super::types::{Made, Member, Types};

/// Writes all definitions.
pub(super) fn module(
    types: &Types<'_>,
    fields: &[Field],
    keys: &IndexMap<String, Key>,
    out: &mut String,
) {
    root("Query", fields.iter().filter(|field| field.is_read), out);
    root("Mutation", fields.iter().filter(|field| !field.is_read), out);
    for (name, made) in &types.made {
        definition(types, name, made, keys.get(name), out);
    }
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

fn described(description: Option<&String>, indent: &str, out: &mut String) {
    if let Some(description) = description {
        let _ = writeln!(out, "{indent}{}", quoted(description));
    }
}

fn root<'f>(name: &str, fields: impl Iterator<Item = &'f Field>, out: &mut String) {
    let mut fields = fields.peekable();
    if fields.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "\ntype {name} {{");
    for field in fields {
        described(field.description.as_ref(), "  ", out);
        let _ = write!(out, "  {}", field.name);
        arguments(&field.arguments, out);
        let _ =
            write!(out, ": {}\n    @fetch({}: {}", field.ty, field.method, quoted(&field.target));
        if !field.headers.is_empty() {
            let headers: Vec<String> = field.headers.iter().map(|header| quoted(header)).collect();
            let _ = write!(out, ", headers: [{}]", headers.join(", "));
        }
        if field.has_body {
            let input = field.arguments.last().map_or("input", |argument| &argument.name);
            let _ = write!(out, ", body: \"{{{input}}}\"");
        }
        out.push(')');
        out.push_str(if field.is_deprecated { " @deprecated\n" } else { "\n" });
    }
    out.push_str("}\n");
}

fn arguments(arguments: &[Argument], out: &mut String) {
    if arguments.is_empty() {
        return;
    }
    let plain = arguments.iter().all(|argument| argument.description.is_none());
    let (open, between, close) = if plain { ("(", ", ", ")") } else { ("(\n", "\n", "\n  )") };
    out.push_str(open);
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        if !plain {
            described(argument.description.as_ref(), "    ", out);
            out.push_str("    ");
        }
        let bang = if argument.is_required { "!" } else { "" };
        let default =
            argument.default.as_ref().map(|text| format!(" = {text}")).unwrap_or_default();
        let _ = write!(out, "{}: {}{bang}{default}", argument.name, argument.ty);
    }
    out.push_str(close);
}

fn definition(types: &Types<'_>, name: &str, made: &Made, key: Option<&Key>, out: &mut String) {
    out.push('\n');
    match made {
        Made::Object { fields, description } => {
            described(description.as_ref(), "", out);
            let wire = types.words.get(name).filter(|word| *word != name);
            let wire = wire.map(|word| format!(" @wire(name: {})", quoted(word)));
            let keyed = key.map(|key| {
                format!(" @key(fields: \"{}\") @fetch(get: {})", key.field, quoted(&key.target))
            });
            let (wire, keyed) = (wire.unwrap_or_default(), keyed.unwrap_or_default());
            let _ = writeln!(out, "type {name}{keyed}{wire} {{");
            members(fields, key.map(|key| key.field.as_str()), out);
            out.push_str("}\n");
        }
        Made::Input { fields, description } => {
            described(description.as_ref(), "", out);
            let _ = writeln!(out, "input {name} {{");
            members(fields, None, out);
            out.push_str("}\n");
        }
        Made::Enum { values, description } => {
            described(description.as_ref(), "", out);
            let _ = writeln!(out, "enum {name} {{");
            for (value, wire) in values {
                let _ = writeln!(out, "  {value}{}", wired(value, wire));
            }
            out.push_str("}\n");
        }
        Made::Union { property, members } => {
            let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            let _ = writeln!(
                out,
                "union {name} @wire(name: {}) = {}",
                quoted(property),
                names.join(" | ")
            );
        }
        Made::Scalar(scalar) if *scalar == name => {
            let _ = writeln!(out, "scalar {name}");
        }
        // A type that came to nothing.
        Made::Scalar(_) => out.truncate(out.len() - 1),
    }
}

fn wired(name: &str, wire: &str) -> String {
    if name == wire { String::new() } else { format!(" @wire(name: {})", quoted(wire)) }
}

fn members(fields: &[Member], key: Option<&str>, out: &mut String) {
    for field in fields {
        described(field.description.as_ref(), "  ", out);
        let is_key = key == Some(field.name.as_str());
        let (ty, bang) = match is_key {
            true => ("ID", "!"),
            false => (field.ty.as_str(), if field.is_required { "!" } else { "" }),
        };
        let _ = writeln!(out, "  {}: {ty}{bang}{}", field.name, wired(&field.name, &field.wire));
    }
}
