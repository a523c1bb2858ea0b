//! What a service says of its own schema to SDL: in comes the answer to the query of introspection, out
//! comes the text. What every GraphQL has is left out.

use std::fmt::Write as _;

use base::{Error, Result};
use serde_json::Value as Json;

const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

/// Nesting of types in lists that is followed.
const MOST_NESTING: usize = 10;

/// The SDL.
pub(super) fn sdl(answer: &Json) -> Result<String> {
    let schema = answer.pointer("/data/__schema").or_else(|| answer.get("__schema"));
    let schema = schema.ok_or_else(|| {
        Error::invalid("the service does not say what its schema is")
            .hint("switch its introspection on, or give its SDL by hand")
    })?;
    let types = schema["types"].as_array().ok_or_else(|| broken("types"))?;
    let mut out = String::new();
    roots(schema, &mut out);
    for found in types {
        let name = name(found)?;
        if !name.starts_with("__") && !BUILT_IN.contains(&name) {
            definition(found, name, &mut out)?;
        }
    }
    Ok(out)
}

fn broken(what: &str) -> Error {
    Error::invalid(format!("the service's answer to introspection has no `{what}`"))
}

/// A name; nothing else is written into a text.
fn name(value: &Json) -> Result<&str> {
    let name = value["name"].as_str().ok_or_else(|| broken("name"))?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name).ok_or_else(|| {
        Error::invalid(format!("the service names something `{}`", name.escape_debug()))
    })
}

fn roots(schema: &Json, out: &mut String) {
    let named = |member: &str| schema[member]["name"].as_str();
    let roots = [
        ("query", "queryType", "Query"),
        ("mutation", "mutationType", "Mutation"),
        ("subscription", "subscriptionType", "Subscription"),
    ];
    let is_usual =
        roots.iter().all(|(_, member, usual)| named(member).is_none_or(|it| it == *usual));
    if is_usual {
        return;
    }
    let parts: Vec<String> = roots
        .iter()
        .filter_map(|(word, member, _)| Some(format!("{word}: {}", named(member)?)))
        .collect();
    let _ = writeln!(out, "\nschema {{ {} }}", parts.join(" "));
}

fn definition(found: &Json, name: &str, out: &mut String) -> Result<()> {
    out.push('\n');
    described(found, "", out);
    match found["kind"].as_str() {
        Some("SCALAR") => {
            let url = found["specifiedByURL"].as_str();
            let url = url.map(|url| format!(" @specifiedBy(url: {})", Json::from(url)));
            let _ = writeln!(out, "scalar {name}{}", url.unwrap_or_default());
        }
        Some(kind @ ("OBJECT" | "INTERFACE")) => {
            let word = if kind == "OBJECT" { "type" } else { "interface" };
            let faces = names(&found["interfaces"])?;
            let faces = if faces.is_empty() {
                String::new()
            } else {
                format!(" implements {}", faces.join(" & "))
            };
            let _ = writeln!(out, "{word} {name}{faces} {{");
            for field in items(&found["fields"]) {
                described(field, "  ", out);
                let _ = write!(out, "  {}", self::name(field)?);
                arguments(field, out)?;
                let _ = writeln!(out, ": {}{}", type_text(&field["type"], 0)?, deprecated(field));
            }
            out.push_str("}\n");
        }
        Some("UNION") => {
            let members = names(&found["possibleTypes"])?;
            let _ = writeln!(out, "union {name} = {}", members.join(" | "));
        }
        Some("ENUM") => {
            let _ = writeln!(out, "enum {name} {{");
            for value in items(&found["enumValues"]) {
                described(value, "  ", out);
                let _ = writeln!(out, "  {}{}", self::name(value)?, deprecated(value));
            }
            out.push_str("}\n");
        }
        Some("INPUT_OBJECT") => {
            let _ = writeln!(out, "input {name} {{");
            for field in items(&found["inputFields"]) {
                described(field, "  ", out);
                let _ = writeln!(out, "  {}", input(field)?);
            }
            out.push_str("}\n");
        }
        _ => return Err(broken("kind")),
    }
    Ok(())
}

fn items(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn names(value: &Json) -> Result<Vec<&str>> {
    items(value).iter().map(name).collect()
}

fn described(value: &Json, indent: &str, out: &mut String) {
    if let Some(text) = value["description"].as_str().filter(|text| !text.trim().is_empty()) {
        // A JSON string is a GraphQL string.
        let _ = writeln!(out, "{indent}{}", Json::from(text.trim()));
    }
}

fn deprecated(value: &Json) -> String {
    if value["isDeprecated"] != true {
        return String::new();
    }
    match value["deprecationReason"].as_str() {
        Some(reason) => format!(" @deprecated(reason: {})", Json::from(reason)),
        None => " @deprecated".to_owned(),
    }
}

fn arguments(field: &Json, out: &mut String) -> Result<()> {
    let arguments: Vec<String> = items(&field["args"]).iter().map(input).collect::<Result<_>>()?;
    if !arguments.is_empty() {
        let _ = write!(out, "({})", arguments.join(", "));
    }
    Ok(())
}

fn input(value: &Json) -> Result<String> {
    let default = value["defaultValue"].as_str().filter(|text| is_value(text));
    let default = default.map(|text| format!(" = {text}")).unwrap_or_default();
    Ok(format!("{}: {}{default}", name(value)?, type_text(&value["type"], 0)?))
}

/// Whether a text is one value of GraphQL, so that nothing else comes in with it.
fn is_value(text: &str) -> bool {
    if crate::compile::too_deep(text).is_some() || text.len() > 10_000 {
        return false;
    }
    let wrapped = format!("query($a: A = {text}) {{ a }}");
    let parsed = apollo_compiler::ast::Document::parse(wrapped, "value.graphql");
    parsed.is_ok_and(|document| document.definitions.len() == 1)
}

fn type_text(ty: &Json, depth: usize) -> Result<String> {
    if depth > MOST_NESTING {
        return Err(Error::invalid("a type of the service nests too deeply"));
    }
    Ok(match ty["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", type_text(&ty["ofType"], depth + 1)?),
        Some("LIST") => format!("[{}]", type_text(&ty["ofType"], depth + 1)?),
        _ => name(ty)?.to_owned(),
    })
}
