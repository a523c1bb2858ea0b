//! What has to hold between types, fields and their calls: in come a module's types and what was read
//! of its directives, out come faults, each with both places where two texts disagree.

use apollo_compiler::Name;
use apollo_compiler::parser::SourceSpan;

use crate::compile::directives::Applied;
use crate::compile::report::{Report, Spot};
use crate::diagnostic::{Also, Code, Diagnostic};
use crate::fetch::template::Hole;
use crate::fetch::{Call, Fetch, Fetches, Origin, Path, Verb};
use crate::graph::SourceKind;
use crate::model::SourceSpec;

use super::Place;
use super::call::{Scope, changes};
use super::types::{Field, Root, Type, Types};

/// A fault at one place that other places belong to.
pub(super) fn both<'r>(
    report: &'r mut Report<'_>,
    spot: Spot,
    words: impl Into<String>,
    also: &[Spot],
    told: &str,
) -> &'r mut Diagnostic {
    let also: Vec<Also> = also
        .iter()
        .map(|spot| {
            let (place, length) = report.place(*spot);
            Also { place, length, message: told.to_owned() }
        })
        .collect();
    let diagnostic = report.add(Code::Fetch, spot, words);
    diagnostic.also = also;
    diagnostic
}

/// Whether a hole names something; `Some(true)` for an argument of the field.
pub(super) fn name_is_known(
    scope: Scope<'_, '_>,
    hole: &Hole,
    spot: Spot,
    report: &mut Report<'_>,
) -> Option<bool> {
    let first = hole.path.first();
    let arguments = scope.field.map_or(&[][..], |field| &field.node.arguments);
    if arguments.iter().any(|argument| argument.name == first) {
        return Some(true);
    }
    let is_root = scope.types.root_of(scope.parent.name).is_some();
    if !is_root && scope.parent.fields.keys().any(|name| name.as_str() == first) {
        return field_is_plain(scope, hole, spot, report);
    }
    let fields = scope.parent.fields.keys().map(|name| name.as_str());
    let fields = fields.filter(|_| !is_root);
    let candidates = arguments.iter().map(|argument| argument.name.as_str()).chain(fields);
    let what = match (scope.field, is_root) {
        (Some(field), true) => format!("no argument of `{}`", field.node.name),
        (Some(field), false) => {
            format!("no argument of `{}` and no field of `{}`", field.node.name, scope.parent.name)
        }
        (None, _) => format!("no field of `{}`", scope.parent.name),
    };
    let at = scope.field.map_or(scope.parent.at, Field::at);
    let also = [report.spot(at)];
    both(report, spot, format!("`{hole}` is {what}"), &also, "declared here").did_you_mean(
        first,
        candidates,
        |found| format!("`{{{found}}}`"),
        "name an argument of the field, or a field of the object that has it",
    );
    None
}

/// A field of the object whose value is at hand before the call.
fn field_is_plain(
    scope: Scope<'_, '_>,
    hole: &Hole,
    spot: Spot,
    report: &mut Report<'_>,
) -> Option<bool> {
    let found = scope.parent.fields.iter().find(|(name, _)| name.as_str() == hole.path.first());
    let (_, field) = found?;
    let is_made = ["fetch", "ref"].iter().any(|name| field.node.directives.has(name));
    if !is_made {
        return Some(false);
    }
    let also = [report.spot(field.at())];
    both(report, spot, format!("`{hole}` is itself fetched"), &also, "the field")
        .hint("a call is made of arguments and of fields that come with the object");
    None
}

/// Whether a field of the parent is a list.
pub(super) fn is_list(scope: Scope<'_, '_>, path: &Path) -> bool {
    let mut parent = Some(scope.parent);
    let mut is_list = false;
    for part in &path.0 {
        let Some(of) = parent else { return is_list };
        let field = of.fields.iter().find(|(name, _)| name.as_str() == part.as_ref());
        let Some((_, field)) = field else { return is_list };
        is_list |= field.node.ty.is_list();
        parent = scope.types.get(field.named());
    }
    is_list
}

/// What the service calls a field.
pub(super) fn wire_of(parent: &Type<'_>, field: &str) -> String {
    let found = parent.fields.iter().find(|(name, _)| name.as_str() == field);
    let wire = found
        .and_then(|(_, field)| field.node.directives.get("wire"))
        .and_then(|wire| wire.specified_argument_by_name("name")?.as_str());
    wire.unwrap_or(field).to_owned()
}

/// What a call may be at this field.
pub(super) fn of_field(
    scope: Scope<'_, '_>,
    field: &Field<'_>,
    applied: Applied<'_>,
    fetch: &Fetch,
    report: &mut Report<'_>,
) {
    let mut fault = |at: Option<SourceSpan>, words: String, hint: &str| {
        report.at(Code::Fetch, at, words).hint(hint);
    };
    let is_change = changes(scope);
    if let (false, Call::Http { verb, .. }) = (is_change, &fetch.call)
        && !matches!(verb, Verb::Get | Verb::Post)
    {
        let words = format!("a field that is read is not fetched by {}", verb.as_str());
        fault(applied.at(), words, "fields that change something belong to `Mutation`");
    }
    let is_told = scope.types.root_of(scope.parent.name) == Some(Root::Subscription);
    if is_told && (fetch.pages.is_some() || applied.any("ttl").is_some()) {
        let words = "a stream has no pages, and nothing of it is kept".to_owned();
        fault(applied.at(), words, "leave `ttl` and `next` out");
    }
    let is_list = field.node.ty.is_list();
    if fetch.pages.is_some() && !is_list {
        let words = format!("`{}` is no list, and has no pages", field.node.name);
        fault(applied.at_argument("next"), words, "leave `next` out");
    }
    if !is_change && fetch.idempotency_key.is_some() {
        let words = "a field that is read needs no `idempotencyKey`".to_owned();
        fault(applied.at_argument("idempotencyKey"), words, "leave it out: reads may come twice");
    }
    if is_change && (applied.any("ttl").is_some() || fetch.pages.is_some()) {
        let words = "the answer of a change is not kept, and has no pages".to_owned();
        fault(applied.at(), words, "leave `ttl` and `next` out");
    }
}

/// `@ref(by:)`.
pub(super) fn reference(
    place: Place<'_, '_>,
    applied: Applied<'_>,
    report: &mut Report<'_>,
) -> Option<Origin> {
    let Place { types, parent, field, .. } = place;
    let by = applied.text("by")?;
    if applied.any("order").is_some() {
        report
            .at(Code::Fetch, applied.at_argument("order"), "a service's references have no order")
            .hint("leave `order` out");
    }
    let holder = parent.fields.iter().find(|(name, _)| name.as_str() == by.value);
    let Some((name, holder)) = holder else {
        let words = format!("`{}` has no field `{}`", parent.name, by.value);
        let names = parent.fields.keys().map(|name| name.as_str());
        report.at(Code::Fetch, by.at, words).did_you_mean(
            by.value,
            names,
            |found| format!("`{found}`"),
            "name the field that holds the key",
        );
        return None;
    };
    let also = [report.spot(holder.at())];
    let spot = report.spot(by.at);
    let target = types.get(field.named()).filter(|target| !target.kind.is_abstract());
    let key = target.and_then(|target| {
        target.keys().into_iter().find_map(|key| match key.fields.as_slice() {
            [path] if path.0.len() == 1 => Name::new(path.first()).ok(),
            _ => None,
        })
    });
    let Some(key) = key else {
        let words = format!("`{}` is no object with a key of one field", field.named());
        let also = [report.spot(target.map_or(field.at(), |target| target.at))];
        both(report, spot, words, &also, "the type")
            .hint("give the type a `@key(fields: \"id\")`, or fetch the field");
        return None;
    };
    if holder.node.ty.is_list() != field.node.ty.is_list() {
        let words = format!("of `{}` and `{}` only one is a list", field.node.name, name);
        both(report, spot, words, &also, "the field that holds the key")
            .hint("a list of keys refers to a list of objects, one key to one");
        return None;
    }
    if holder.node.directives.has("fetch") || holder.node.directives.has("ref") {
        let words = format!("`{name}` is itself fetched");
        both(report, spot, words, &also, "the field that holds the key")
            .hint("refer by a field that comes with the object");
        return None;
    }
    Some(Origin::Reference { by: (*name).clone(), key })
}

/// How a call is written.
fn example(spec: &SourceSpec) -> &'static str {
    match spec.kind {
        SourceKind::Grpc => "method: \"films.Films/GetFilm\"",
        _ => "get: \"/films/{id}\"",
    }
}

/// A field that comes with its object takes no arguments, and roots have no objects.
pub(super) fn without_call(place: Place<'_, '_>, report: &mut Report<'_>) {
    let Place { types, spec, parent, field } = place;
    let has_calls = |root| root != Root::Subscription || spec.kind == SourceKind::Grpc;
    if types.root_of(parent.name).is_some_and(has_calls) {
        let machinery = ["_service", "_entities"].contains(&field.node.name.as_str());
        if !machinery {
            let words = format!("`{}.{}` has no `@fetch`", parent.name, field.node.name);
            report
                .at(Code::Fetch, field.at(), words)
                .hint(format!("say what is called: `@fetch({})`", example(spec)));
        }
        return;
    }
    if let Some(argument) = field.node.arguments.first() {
        let words = format!("`{}` comes with its object, and hears no arguments", field.node.name);
        report
            .at(Code::Fetch, argument.name.location(), words)
            .hint("leave the arguments out, or give the field a `@fetch`");
    }
}

/// What concerns whole types.
pub(super) fn check(
    types: &Types<'_>,
    spec: &SourceSpec,
    fetches: &Fetches,
    report: &mut Report<'_>,
) {
    for found in types.all() {
        if types.root_of(found.name).is_some() {
            continue;
        }
        if found.kind.is_abstract() {
            is_told_apart(types, fetches, found, report);
        } else {
            objects_are_found(spec, fetches, found, report);
        }
    }
}

/// An interface or union that some field has must say which property names the type.
fn is_told_apart(types: &Types<'_>, fetches: &Fetches, found: &Type<'_>, report: &mut Report<'_>) {
    let told = fetches.types.get(found.name).is_some_and(|of| of.wire.is_some());
    let user =
        types.all().flat_map(|of| of.fields.values()).find(|field| field.named() == found.name);
    let Some(user) = user.filter(|_| !told) else { return };
    let spot = report.spot(found.at);
    let also = [report.spot(user.at())];
    let words = format!("nothing says which type an object of `{}` is", found.name);
    both(report, spot, words, &also, "a field that has it").hint(
        "name the property: `@wire(name: \"kind\")` here, and `@wire(name: \"…\")` at each type for its value",
    );
}

/// Objects that other sources may ask for by a key must be found by it, if anything but the key comes
/// with them.
fn objects_are_found(
    spec: &SourceSpec,
    fetches: &Fetches,
    found: &Type<'_>,
    report: &mut Report<'_>,
) {
    let Some(of) = fetches.types.get(found.name) else { return };
    let keys = found.keys();
    let comes_with_it = found.fields.iter().find(|(name, field)| {
        let is_plain = !field.node.directives.has("fetch") && !field.node.directives.has("ref");
        is_plain && !field.is_external && !found.is_key(name)
    });
    let Some((name, field)) = comes_with_it else { return };
    for key in keys.iter().filter(|key| key.resolvable) {
        let is_served = of.entities.iter().any(|entity| {
            entity.key.len() == key.fields.len()
                && entity.key.iter().all(|path| key.fields.contains(path))
        });
        // A `@fetch` that is wrong has been told.
        let uses = found.directives.iter().map(|list| list.get_all("fetch").count());
        if is_served || uses.sum::<usize>() > of.entities.len() {
            continue;
        }
        let spot = report.spot(key.at);
        let also = [report.spot(field.at())];
        let words = format!("no call finds a `{}` by this key, to give its `{name}`", found.name);
        both(report, spot, words, &also, "the field").hint(format!(
            "give the type a `@fetch({})`, or write `resolvable: false` into the key",
            example(spec)
        ));
    }
}
