//! One `@fetch`: in comes its use on a field or a type, out comes a [`Fetch`], or everything that is
//! wrong with it. Not here: what fields and types must have one (`rules`).

use std::ops::RangeInclusive;
use std::sync::Arc;

use apollo_compiler::parser::SourceSpan;

use crate::compile::derived::inside;
use crate::compile::directives::{Applied, Text};
use crate::compile::report::{Report, Spot};
use crate::compile::source;
use crate::diagnostic::Code;
use crate::fetch::template::{Hole, Spread, Target, Template};
use crate::fetch::{Batch, Body, Call, EntityFetch, Fetch, Next, Pages, Path, Verb};
use crate::graph::SourceKind;
use crate::model::SourceSpec;

use super::body::{self, read, template};
use super::types::{Field, Root, Type, Types};
use super::{Place, messages, rules};

const VERBS: [(&str, Verb); 5] = [
    ("get", Verb::Get),
    ("post", Verb::Post),
    ("put", Verb::Put),
    ("patch", Verb::Patch),
    ("delete", Verb::Delete),
];

const BATCH: RangeInclusive<i64> = 1..=1000;
const PAGES: RangeInclusive<i64> = 1..=100;

/// Headers that no call sets: they belong to the connection, or the rules of the source have them.
const NOT_OURS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What the holes of a call may name.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a, 'd> {
    pub(super) types: &'a Types<'d>,
    pub(super) spec: &'a SourceSpec,
    pub(super) parent: &'a Type<'d>,
    /// Nothing for a `@fetch` of the type itself.
    pub(super) field: Option<&'a Field<'d>>,
}

/// A hole, and where it stands.
struct Found {
    hole: Hole,
    spot: Spot,
    is_argument: bool,
}

/// `@fetch` of a field.
pub(super) fn field(
    place: Place<'_, '_>,
    applied: Applied<'_>,
    report: &mut Report<'_>,
) -> Option<Fetch> {
    let Place { types, spec, parent, field } = place;
    let scope = Scope { types, spec, parent, field: Some(field) };
    let (fetch, found) = fetch(scope, applied, report)?;
    rules::of_field(scope, field, applied, &fetch, report);
    arguments_are_used(scope, field, &found, applied, report);
    messages::of_call(scope, applied, &fetch, report);
    Some(fetch)
}

/// `@fetch` of a type: its holes are the fields of a key.
pub(super) fn entity(
    types: &Types<'_>,
    spec: &SourceSpec,
    parent: &Type<'_>,
    applied: Applied<'_>,
    report: &mut Report<'_>,
) -> Option<EntityFetch> {
    let scope = Scope { types, spec, parent, field: None };
    if parent.kind.is_abstract() || types.root_of(parent.name).is_some() {
        report
            .at(Code::Fetch, applied.at(), format!("`{}` has no objects of its own", parent.name))
            .hint("write `@fetch` at an object type with a `@key`, or at a field");
        return None;
    }
    let (fetch, found) = fetch(scope, applied, report)?;
    for argument in ["value", "next", "maxPages", "idempotencyKey"] {
        if applied.any(argument).is_some() {
            let words = format!("`{argument}` says nothing of an object by its key");
            let at = applied.at_argument(argument);
            report.at(Code::Fetch, at, words).hint("leave it out, or write it at a field");
        }
    }
    let mut named: Vec<&Path> = found.iter().map(|found| &found.hole.path).collect();
    named.sort_by_key(|path| path.to_string());
    named.dedup();
    let keys = parent.keys();
    let key = keys.iter().find(|key| {
        key.fields.len() == named.len() && key.fields.iter().all(|field| named.contains(&field))
    });
    if let Some(key) = key {
        messages::of_call(scope, applied, &fetch, report);
        return Some(EntityFetch { key: key.fields.clone(), fetch });
    }
    let names: Vec<String> = named.iter().map(|path| format!("`{path}`")).collect();
    let words = match names.as_slice() {
        [] => format!("the call for a `{}` names none of its keys", parent.name),
        names => format!("{} is no key of `{}`", names.join(", "), parent.name),
    };
    let place = report.spot(applied.at());
    let also: Vec<_> = keys.iter().map(|key| report.spot(key.at)).collect();
    let diagnostic = rules::both(report, place, words, &also, "its key");
    diagnostic.hint(match spec.kind {
        SourceKind::Grpc => {
            "name every field of one `@key`: `@fetch(method: \"films.Films/Get\", body: {id: \"{id}\"})`"
        }
        _ => "name every field of one `@key`: `@fetch(get: \"/films/{id}\")`",
    });
    None
}

fn fetch(
    scope: Scope<'_, '_>,
    applied: Applied<'_>,
    report: &mut Report<'_>,
) -> Option<(Fetch, Vec<Found>)> {
    let (call, text) = call(scope.spec, applied, report)?;
    let mut texts = vec![text];
    let headers = headers(scope.spec, applied, &mut texts, report);
    let is_method = matches!(call, Call::Method(_));
    let (body, implied) = match applied.any("body") {
        Some(value) => (Some(body::body(value, &mut texts, report)?), Vec::new()),
        None if is_method => {
            let (body, implied) = by_name(scope);
            if let Some(name) = twice(&body) {
                let words = format!("two fields of the key would be `{name}` of the request");
                report
                    .at(Code::Fetch, applied.at(), words)
                    .hint("say which is which: `body: {id: \"{id}\", orgId: \"{org.id}\"}`");
                return None;
            }
            (Some(body), implied)
        }
        None => (None, Vec::new()),
    };
    let result = path(applied, "result", report)?.unwrap_or_default();
    if let (Call::Http { verb: Verb::Get, .. }, Some(_)) = (&call, &body) {
        report
            .at(Code::Fetch, applied.at_argument("body"), "`get` sends no body")
            .hint("write parameters into the path, or `post:`");
    }
    let mut fetch = Fetch {
        call,
        headers: headers?,
        body,
        result,
        batch: None,
        pages: None,
        ttl: source::time(applied, "ttl", &source::TTL, report)?,
        on_error: None,
        idempotency_key: None,
    };
    let kept = fetch.ttl.or(scope.spec.ttl).is_some();
    fetch.on_error = source::on_error(applied, kept, report)?;
    let mut found = holes(scope, &fetch, &texts, report)?;
    let spot = report.spot(applied.at());
    let is_argument = scope.field.is_some();
    found.extend(implied.into_iter().map(|hole| Found { hole, spot, is_argument }));
    fetch.batch = batch(scope, applied, &found, report)?;
    fetch.pages = pages(applied, fetch.batch.is_some(), report)?;
    if let (true, Some(Pages { next: Next::Link, .. })) = (is_method, &fetch.pages) {
        report
            .at(Code::Fetch, applied.at_argument("next"), "gRPC has no header `Link`")
            .hint("name a field of the request and one of the answer: `next: \"pageToken=nextPageToken\"`");
        return None;
    }
    if let Some(name) = applied.text("idempotencyKey") {
        let header = header_name(name, report)?;
        if is_method && !is_free(&header, name, report) {
            return None;
        }
        fetch.idempotency_key = Some(header);
    }
    Some((fetch, found))
}

/// A request whose fields have the names of the arguments, or those of the key.
fn by_name(scope: Scope<'_, '_>) -> (Body, Vec<Hole>) {
    let paths: Vec<Path> = match scope.field {
        Some(field) => field.node.arguments.iter().map(|it| Path::of(it.name.as_str())).collect(),
        None => scope.parent.keys().into_iter().next().map(|key| key.fields).unwrap_or_default(),
    };
    let holes: Vec<Hole> = paths
        .iter()
        .filter_map(|path| Template::parse(&format!("{{{path}}}")).ok()?.whole().cloned())
        .collect();
    let members = holes.iter().map(|hole| {
        let last = hole.path.0.last().map_or("", AsRef::as_ref);
        let wire = match scope.field {
            Some(_) => last.to_owned(),
            None => rules::wire_of(scope.parent, last),
        };
        (wire.into(), Body::Whole(hole.clone()))
    });
    (Body::Object(members.collect()), holes)
}

/// A field that a request would have twice.
fn twice(body: &Body) -> Option<&str> {
    let Body::Object(members) = body else { return None };
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    let is_twice = |name: &&str| names.iter().filter(|known| known == &name).count() > 1;
    names.iter().copied().find(is_twice)
}

/// The one thing that is called, and its text.
fn call<'a>(
    spec: &SourceSpec,
    applied: Applied<'a>,
    report: &mut Report<'_>,
) -> Option<(Call, Text<'a>)> {
    let names = VERBS.map(|(name, _)| name);
    let given: Vec<&str> =
        names.into_iter().chain(["method"]).filter(|name| applied.text(name).is_some()).collect();
    let hint = match spec.kind {
        SourceKind::Grpc => "write `@fetch(method: \"package.Service/Method\")`",
        _ => {
            "write one of `get`, `post`, `put`, `patch` and `delete`: `@fetch(get: \"/films/{id}\")`"
        }
    };
    let name = match given.as_slice() {
        [name] => *name,
        [] => {
            report.at(Code::Fetch, applied.at(), "`@fetch` names no call").hint(hint);
            return None;
        }
        names => {
            let words = format!("`@fetch` names {} calls: `{}`", names.len(), names.join("`, `"));
            report.at(Code::Fetch, applied.at(), words).hint("keep one of them");
            return None;
        }
    };
    let text = applied.text(name)?;
    if (name == "method") != (spec.kind == SourceKind::Grpc) {
        let words = format!("a source of kind {} is not called by `{name}`", spec.kind.as_str());
        report.at(Code::Fetch, text.at, words).hint(hint);
        return None;
    }
    let verb = VERBS.iter().find(|(known, _)| *known == name).map(|(_, verb)| *verb);
    let call = match verb {
        Some(verb) => Call::Http { verb, target: read(Target::parse(text.value), text, report)? },
        None if is_method_name(text.value) => Call::Method(text.value.into()),
        None => {
            let words = format!("`{}` is no method", text.value.escape_debug());
            report.at(Code::Fetch, text.at, words).hint(hint);
            return None;
        }
    };
    Some((call, text))
}

/// `package.Service/Method`.
fn is_method_name(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.split_once('/')
        .is_some_and(|(service, method)| service.split('.').all(is_name) && is_name(method))
}

fn headers<'a>(
    spec: &SourceSpec,
    applied: Applied<'a>,
    texts: &mut Vec<Text<'a>>,
    report: &mut Report<'_>,
) -> Option<Vec<(Arc<str>, Template)>> {
    let mut headers = Vec::new();
    let mut right = true;
    for text in applied.texts("headers") {
        let Some((name, value)) = text.value.split_once(':') else {
            let words = format!("`{}` is no header", text.value.escape_debug());
            report.at(Code::Fetch, text.at, words).hint("write \"X-Name: value\"");
            right = false;
            continue;
        };
        let Some(name) = header_name(Text { value: name, at: text.at }, report) else {
            right = false;
            continue;
        };
        if spec.kind == SourceKind::Grpc && !is_free(&name, text, report) {
            right = false;
            continue;
        }
        if value.chars().any(|c| !(c.is_ascii_graphic() || c == ' ')) {
            let words = format!("the value of `{name}` has characters that no header holds");
            report.at(Code::Fetch, text.at, words).hint("write plain ASCII");
            right = false;
            continue;
        }
        // Its places are counted from the whole text, of which the name is a part.
        let whole = template(text, report)?;
        texts.push(text);
        let value = match Template::parse(value.trim()) {
            Ok(value) if whole.holes().count() == value.holes().count() => value,
            _ => {
                let words = format!("the name of header `{name}` has a hole");
                report.at(Code::Fetch, text.at, words).hint("holes stand in the value only");
                right = false;
                continue;
            }
        };
        headers.push((name, value));
    }
    right.then_some(headers)
}

/// Whether a call of gRPC may have a header of this name.
fn is_free(name: &str, text: Text<'_>, report: &mut Report<'_>) -> bool {
    let words = match name {
        name if name.starts_with("grpc-") => format!("`{name}` belongs to gRPC itself"),
        name if name.ends_with("-bin") => format!("`{name}` would hold bytes, and none are sent"),
        _ => return true,
    };
    report.at(Code::Fetch, text.at, words).hint("leave it out, or choose another name");
    false
}

fn header_name(text: Text<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let name = text.value.trim().to_ascii_lowercase();
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^|~".contains(&byte));
    if !plain {
        let words = format!("`{}` is no name of a header", text.value.escape_debug());
        report.at(Code::Fetch, text.at, words).hint("write \"X-Name: value\"");
        return None;
    }
    if NOT_OURS.contains(&name.as_str()) {
        let words = format!("`{name}` belongs to the connection or to the body");
        report.at(Code::Fetch, text.at, words).hint("leave it out");
        return None;
    }
    Some(name.into())
}

/// `None` when it is wrong, which has been said; `Some(None)` when it is not given.
fn path(applied: Applied<'_>, argument: &str, report: &mut Report<'_>) -> Option<Option<Path>> {
    let Some(text) = applied.text(argument) else { return Some(None) };
    let path = Path::parse(text.value);
    if path.is_none() {
        report
            .at(Code::Fetch, text.at, format!("`{argument}` is no path of names"))
            .hint("write the names that lead to the value, with dots: \"data.items\"");
    }
    path.map(Some)
}

/// Every hole with its place, in the order of the texts.
fn holes(
    scope: Scope<'_, '_>,
    fetch: &Fetch,
    texts: &[Text<'_>],
    report: &mut Report<'_>,
) -> Option<Vec<Found>> {
    let mut found = Vec::new();
    let mut right = true;
    for text in texts {
        // A text of a body that has no holes is no template, so that reading it again is no fault.
        let spots = spots(*text, fetch, report);
        for (hole, spot) in spots {
            let known = rules::name_is_known(scope, &hole, spot, report);
            right &= known.is_some();
            found.push(Found { hole, spot, is_argument: known == Some(true) });
        }
    }
    right.then_some(found)
}

fn spots(text: Text<'_>, fetch: &Fetch, report: &Report<'_>) -> Vec<(Hole, Spot)> {
    let holes: Vec<Hole> = match Target::parse(text.value) {
        Ok(target) if text.value.starts_with(['/', '?']) => {
            let query = target.query.iter().flat_map(|parameter| parameter.value.holes());
            target.path.holes().chain(query).cloned().collect()
        }
        _ => {
            let template = Template::parse(text.value).unwrap_or_default();
            template.holes().cloned().collect()
        }
    };
    let known = fetch.holes();
    let is_ours = |hole: &Hole| known.iter().any(|known| known.path == hole.path);
    let ours = holes.into_iter().filter(is_ours);
    ours.map(|hole| {
        let spot = inside(text, hole.span, report);
        (hole, spot)
    })
    .collect()
}

/// The hole that takes the values of many objects: it names no argument, and not a list.
fn batch(
    scope: Scope<'_, '_>,
    applied: Applied<'_>,
    found: &[Found],
    report: &mut Report<'_>,
) -> Option<Option<Batch>> {
    let many: Vec<&Found> = found
        .iter()
        .filter(|found| found.hole.spread != Spread::One && !found.is_argument)
        .filter(|found| !rules::is_list(scope, &found.hole.path))
        .collect();
    let (key, value) = (path(applied, "key", report)?, path(applied, "value", report)?);
    let most = number(applied, "maxBatch", &BATCH, report)?;
    let Some(first) = many.first() else {
        for argument in ["key", "value", "maxBatch"] {
            if applied.any(argument).is_some() {
                let words = format!("`{argument}` is for calls that take many objects at once");
                report
                    .at(Code::Fetch, applied.at_argument(argument), words)
                    .hint("write `{id,}` for the field that tells them apart; `result` says where one value stands");
                return None;
            }
        }
        return Some(None);
    };
    if let Some(second) = many.iter().find(|other| other.hole.path != first.hole.path) {
        let words = format!("`{}` and `{}` both take many values", first.hole, second.hole);
        let spot = second.spot;
        let also = [first.spot];
        rules::both(report, spot, words, &also, "the first of them")
            .hint("a call takes the values of one field at once");
        return None;
    }
    let by = first.hole.path.clone();
    let own = rules::wire_of(scope.parent, by.0.last().map_or("", AsRef::as_ref));
    Some(Some(Batch {
        key: key.unwrap_or_else(|| Path::of(own)),
        by,
        value,
        most: most.and_then(|most| usize::try_from(most).ok()).unwrap_or(100),
    }))
}

fn pages(applied: Applied<'_>, is_batch: bool, report: &mut Report<'_>) -> Option<Option<Pages>> {
    let most = number(applied, "maxPages", &PAGES, report)?;
    let Some(text) = applied.text("next") else {
        if most.is_some() {
            report
                .at(Code::Fetch, applied.at_argument("maxPages"), "`maxPages` without `next`")
                .hint("say how the next page is found: `next: \"link\"`");
        }
        return Some(None);
    };
    if is_batch {
        report
            .at(Code::Fetch, text.at, "a call for many objects at once has no pages")
            .hint("lower `maxBatch`, so that one page is enough");
        return None;
    }
    let next = match text.value.split_once('=') {
        None if text.value == "link" => Next::Link,
        Some((parameter, path)) if is_parameter(parameter) => Next::Cursor {
            parameter: parameter.into(),
            path: Path::parse(path)
                .filter(|path| !path.0.is_empty())
                .or_else(|| next_fault(text.at, report))?,
        },
        _ => next_fault(text.at, report)?,
    };
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(10);
    Some(Some(Pages { next, most }))
}

fn is_parameter(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~[]".contains(&byte))
}

fn next_fault<T>(at: Option<SourceSpan>, report: &mut Report<'_>) -> Option<T> {
    report.at(Code::Fetch, at, "`next` does not say how the next page is found").hint(
        "write `next: \"link\"` for the header `Link`, or `next: \"cursor=meta.next\"` for a parameter and where its value stands",
    );
    None
}

fn number(
    applied: Applied<'_>,
    argument: &str,
    bounds: &RangeInclusive<i64>,
    report: &mut Report<'_>,
) -> Option<Option<i64>> {
    let Some(number) = applied.int(argument) else { return Some(None) };
    if bounds.contains(&number) {
        return Some(Some(number));
    }
    let words = format!("`{argument}` is between {} and {}", bounds.start(), bounds.end());
    report.at(Code::Fetch, applied.at_argument(argument), words).hint("choose a number within it");
    None
}

/// An argument that no call hears of would be ignored.
fn arguments_are_used(
    scope: Scope<'_, '_>,
    field: &Field<'_>,
    found: &[Found],
    applied: Applied<'_>,
    report: &mut Report<'_>,
) {
    for argument in &field.node.arguments {
        let name = argument.name.as_str();
        let is_used =
            found.iter().any(|found| found.is_argument && found.hole.path.first() == name);
        if !is_used {
            let spot = report.spot(argument.name.location());
            let also = [report.spot(applied.at())];
            let words = format!("the call does not hear of the argument `{name}`");
            let example = match scope.spec.kind {
                SourceKind::Grpc => format!("`body: {{{name}: \"{{{name}}}\"}}`"),
                _ => format!("`?{name}={{{name}}}`"),
            };
            rules::both(report, spot, words, &also, "the call")
                .hint(format!("write it into the call: {example}"));
        }
    }
}

/// Whether changes are made by what is called.
pub(super) fn changes(scope: Scope<'_, '_>) -> bool {
    scope.field.is_some() && scope.types.root_of(scope.parent.name) == Some(Root::Mutation)
}
