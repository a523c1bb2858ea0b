//! Operations to fields: reads to `Query`, everything else to `Mutation`; parameters and the body to
//! arguments, of which the call is made.

use serde_json::Value as Json;

use super::Document;
use super::names::{self, Names};
use super::types::{Types, Way, is_nullable};
use crate::propose::name::{plural, singular, words};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A field of a root.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) is_read: bool,
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) ty: String,
    /// `get`, `post`, …
    pub(super) method: &'static str,
    /// The path with a query, its holes named by arguments.
    pub(super) target: String,
    /// Holes of the path, with the names that the document gives them.
    pub(super) path: Vec<(String, String)>,
    pub(super) headers: Vec<String>,
    pub(super) has_body: bool,
    pub(super) description: Option<String>,
    pub(super) is_deprecated: bool,
}

/// An argument.
#[derive(Debug)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) ty: String,
    pub(super) is_required: bool,
    pub(super) default: Option<String>,
    pub(super) description: Option<String>,
}

/// All operations that can be called with JSON.
pub(super) fn operations<'d>(
    document: &'d Document<'d>,
    types: &mut Types<'d>,
    notes: &mut Vec<String>,
) -> Vec<Field> {
    let mut fields = Vec::new();
    let (mut reads, mut changes) = (Names::default(), Names::default());
    let paths = document.root["paths"].as_object();
    for (path, item) in paths.into_iter().flatten() {
        let Some(item) = document.resolve(item) else { continue };
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let shown = format!("{} {path}", method.to_uppercase());
            let names = if method == "get" { &mut reads } else { &mut changes };
            match field(document, types, method, path, item, operation, names) {
                Ok(field) => fields.push(field),
                Err(why) => notes.push(format!("`{shown}` is left out: {why}.")),
            }
        }
    }
    fields
}

fn field<'d>(
    document: &'d Document<'d>,
    types: &mut Types<'d>,
    method: &'static str,
    path: &str,
    item: &'d Json,
    operation: &'d Json,
    names: &mut Names,
) -> Result<Field, String> {
    let wanted = match operation["operationId"].as_str().filter(|id| !words(id).is_empty()) {
        Some(id) => lowered(&names::field(id)),
        None => named(method, path),
    };
    let content = answer(document, operation)?;
    let mut made = Field {
        is_read: method == "get",
        name: names.free(&wanted),
        arguments: Vec::new(),
        ty: "Boolean".to_owned(),
        method,
        target: String::new(),
        path: Vec::new(),
        headers: Vec::new(),
        has_body: false,
        description: described(operation),
        is_deprecated: operation["deprecated"] == true,
    };
    let hint = names::type_of(&made.name);
    parameters(document, types, path, item, operation, &hint, &mut made)?;
    body(document, types, operation, &hint, &mut made)?;
    match content {
        Some(schema) => made.ty = types.of(schema, &hint, Way::Out, 0),
        None if made.is_read => return Err("it answers without JSON".to_owned()),
        None => {}
    }
    Ok(made)
}

/// A name for an operation without one: `film`, `films`, `createFilm`.
fn named(method: &str, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_one = parts.last().is_some_and(|part| part.starts_with('{'));
    let things = parts.iter().filter(|part| !part.starts_with('{')).copied();
    let things: Vec<String> = things.flat_map(words).collect();
    let things = match (is_one, method) {
        (false, "get") if parts.len() > 1 => things,
        (false, "get") => plural(&singular(&things)),
        _ => singular(&things),
    };
    let verb = match method {
        "get" => None,
        "post" => Some("create"),
        "put" => Some("replace"),
        "patch" => Some("update"),
        _ => Some("delete"),
    };
    let words: Vec<String> = verb.map(str::to_owned).into_iter().chain(things).collect();
    crate::propose::name::camel(&words)
}

fn lowered(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The schema of a good answer; nothing when it says nothing.
fn answer<'d>(document: &Document<'d>, operation: &'d Json) -> Result<Option<&'d Json>, String> {
    let responses = operation["responses"].as_object();
    let mut good: Vec<(&String, &Json)> = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2') || *status == "default")
        .collect();
    good.sort_by_key(|(status, _)| *status);
    for (_, response) in &good {
        let Some(content) = document.resolve(response).map(|it| &it["content"]) else { continue };
        let Some(content) = content.as_object().filter(|content| !content.is_empty()) else {
            continue;
        };
        let json = content.iter().find(|(kind, _)| is_json(kind));
        match json {
            Some((_, media)) if media.get("schema").is_some() => return Ok(Some(&media["schema"])),
            Some(_) => return Err("nothing says what its answer is".to_owned()),
            None => {
                let kinds: Vec<&str> = content.keys().map(String::as_str).collect();
                return Err(format!("it answers with `{}`", kinds.join("`, `")));
            }
        }
    }
    Ok(None)
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json") || kind == "*/*"
}

fn parameters<'d>(
    document: &'d Document<'d>,
    types: &mut Types<'d>,
    path: &str,
    item: &'d Json,
    operation: &'d Json,
    hint: &str,
    made: &mut Field,
) -> Result<(), String> {
    let lists = [&operation["parameters"], &item["parameters"]];
    let all = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut target = path.to_owned();
    let mut query = Vec::new();
    for parameter in all.filter_map(|parameter| document.resolve(parameter)) {
        let (Some(name), Some(place)) = (parameter["name"].as_str(), parameter["in"].as_str())
        else {
            continue;
        };
        let key = (name.to_owned(), place.to_owned());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let is_required = parameter["required"] == true || place == "path";
        let Some(schema) = parameter.get("schema").filter(|schema| is_plain(document, schema))
        else {
            match is_required {
                true => return Err(format!("its parameter `{name}` is no plain value")),
                false => {
                    let shown = &made.name;
                    let note = format!(
                        "The parameter `{name}` of `{shown}` is left out: it is no plain value."
                    );
                    types.note(note);
                    continue;
                }
            }
        };
        if place == "cookie" || (place == "header" && name.eq_ignore_ascii_case("authorization")) {
            continue;
        }
        let mut argument = names::field(name);
        while made.arguments.iter().any(|known| known.name == argument) {
            argument.push('_');
        }
        let inner = format!("{hint}{}", names::type_of(name));
        let mut ty = types.of(schema, &inner, Way::In, 0);
        if place == "path" && ["String", "Int", "Long"].contains(&ty.as_str()) && is_key(name) {
            ty = "ID".to_owned();
        }
        let is_list = ty.starts_with('[');
        match place {
            "path" => {
                let many = if is_list { "," } else { "" };
                target = target.replace(&format!("{{{name}}}"), &format!("{{{argument}{many}}}"));
                made.path.push((argument.clone(), name.to_owned()));
            }
            "query" => {
                let many = if is_list && parameter["explode"] == false { "," } else { "" };
                query.push(format!("{}={{{argument}{many}}}", encoded(name)));
            }
            _ => made.headers.push(format!("{name}: {{{argument}}}")),
        }
        made.arguments.push(Argument {
            name: argument,
            ty,
            is_required: is_required && !is_nullable(document, schema),
            default: default(document, schema),
            description: described(parameter),
        });
    }
    let open = target.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    for (name, _) in open {
        let name = name.trim_end_matches(',');
        if !made.path.iter().any(|(argument, _)| argument == name) {
            return Err(format!("nothing says what `{{{name}}}` is"));
        }
    }
    if let Some(wrong) =
        target.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`|#?".contains(*c))
    {
        return Err(format!("its path has the character `{}`", wrong.escape_default()));
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    made.target = target;
    Ok(())
}

/// Whether a parameter's name is that of a key.
fn is_key(name: &str) -> bool {
    let words = words(name);
    words.last().is_some_and(|last| ["id", "key", "uuid", "code", "slug"].contains(&last.as_str()))
}

/// A parameter's name as it stands in a query.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || b"-._~[]".contains(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Whether a value is one word, or a list of words.
fn is_plain<'d>(document: &Document<'d>, schema: &'d Json) -> bool {
    let Some(schema) = document.resolve(schema) else { return false };
    let one = |schema: &Json| {
        let kinds = match &schema["type"] {
            Json::Array(kinds) => kinds.clone(),
            Json::Null => return schema["enum"].is_array(),
            kind => vec![kind.clone()],
        };
        kinds.iter().all(|kind| {
            ["string", "integer", "number", "boolean", "null"].iter().any(|it| kind == it)
        })
    };
    match schema["type"] == "array" {
        true => document.resolve(&schema["items"]).is_some_and(one),
        false => one(schema),
    }
}

/// A default that GraphQL can write without knowing more.
fn default<'d>(document: &Document<'d>, schema: &'d Json) -> Option<String> {
    let schema = document.resolve(schema)?;
    let value = schema.get("default")?;
    let is_enum = schema["enum"].is_array();
    match (&schema["type"], value) {
        (kind, Json::Bool(value)) if *kind == "boolean" => Some(value.to_string()),
        (kind, Json::Number(value)) if *kind == "integer" && value.is_i64() => {
            Some(value.to_string())
        }
        (kind, Json::Number(value)) if *kind == "number" => Some(value.to_string()),
        (kind, Json::String(text)) if *kind == "string" && !is_enum => {
            Some(Json::from(text.as_str()).to_string())
        }
        (_, Json::String(text)) if is_enum => names::value(text),
        _ => None,
    }
}

fn body<'d>(
    document: &'d Document<'d>,
    types: &mut Types<'d>,
    operation: &'d Json,
    hint: &str,
    made: &mut Field,
) -> Result<(), String> {
    let Some(body) = operation.get("requestBody").and_then(|body| document.resolve(body)) else {
        return Ok(());
    };
    let is_required = body["required"] == true;
    let content = body["content"].as_object();
    let json = content.and_then(|content| content.iter().find(|(kind, _)| is_json(kind)));
    let Some((_, media)) = json.filter(|(_, media)| media.get("schema").is_some()) else {
        let kinds: Vec<&str> =
            content.into_iter().flatten().map(|(kind, _)| kind.as_str()).collect();
        return match is_required || made.is_read {
            true => Err(format!("it takes `{}`", kinds.join("`, `"))),
            false => Ok(()),
        };
    };
    if made.is_read {
        return Err("it reads with a body".to_owned());
    }
    let mut name = "input".to_owned();
    while made.arguments.iter().any(|known| known.name == name) {
        name.push('_');
    }
    let ty = types.of(&media["schema"], &format!("{hint}Input"), Way::In, 0);
    made.arguments.push(Argument {
        name,
        ty,
        is_required,
        default: None,
        description: described(body),
    });
    made.has_body = true;
    Ok(())
}

fn described(value: &Json) -> Option<String> {
    let text = value["summary"].as_str().or_else(|| value["description"].as_str())?;
    let text: String = text.trim().chars().take(500).collect();
    (!text.is_empty()).then_some(text)
}
