//! Changes of service modules: what comes, goes, is asked elsewhere or otherwise, and whose SDL
//! changes.
//!
//! In: two schemas. Out: changes whose path is `@source.<name>`, which no type has; nothing stored
//! is touched by any of them. Not here: what a changed SDL means for callers (`wire`), which only
//! the composed API says.

use base::Place;

use super::{Change, ChangeKind, WireEffect, policy};
use crate::compile::{sdl, source, unscoped};
use crate::model::{Module, Schema, ServiceModule, SourceSpec};

/// Values that a change of where they are found names.
const MOST_PLACES: usize = 5;

/// The path of a change of this source.
fn path(source: &str) -> String {
    format!("@source.{source}")
}

/// All changes of services: of those that stay, then what is added, then what is removed.
pub(super) fn changes(old: &Schema, new: &Schema, changes: &mut Vec<Change>) {
    for after in &new.services {
        if let Some(before) = old.service_named(&after.source.name) {
            of_pair((old, before), (new, after), changes);
        }
    }
    let missing = |schema: &Schema, service: &&ServiceModule| {
        schema.service_named(&service.source.name).is_none()
    };
    for added in new.services.iter().filter(|service| missing(old, service)) {
        let (name, module) = (&added.source.name, module(new, added));
        let words = format!(
            "service `{name}` is added by module `{}`, asked at {}",
            module.map_or("", |module| &module.name),
            added.source.url
        );
        changes.push(Change::new(ChangeKind::SourceAdded, path(name), &added.place, words));
    }
    for removed in old.services.iter().filter(|service| missing(new, service)) {
        let name = &removed.source.name;
        let words = format!("service `{name}` is removed");
        changes.push(Change::new(ChangeKind::SourceRemoved, path(name), &removed.place, words));
    }
}

fn module<'s>(schema: &'s Schema, service: &ServiceModule) -> Option<&'s Module> {
    schema.modules.get(service.module)
}

fn of_pair(
    (old, before): (&Schema, &ServiceModule),
    (new, after): (&Schema, &ServiceModule),
    changes: &mut Vec<Change>,
) {
    let name = &after.source.name;
    settings(&before.source, &after.source, &after.place, changes);
    let owned = |schema, service| {
        let module = module(schema, service);
        module.map(|module| format!("`{}` of team `{}`", module.name, module.owner))
    };
    let (from, to) = (owned(old, before), owned(new, after));
    if from != to {
        let words = format!(
            "service `{name}` moves from module {} to {}",
            from.unwrap_or_default(),
            to.unwrap_or_default()
        );
        changes.push(Change::new(ChangeKind::SourceModule, path(name), &after.place, words));
    }
    let shown = |module: &ServiceModule| {
        sdl::shown(&ServiceModule { sdl: unscoped(&module.sdl), ..module.clone() })
    };
    if shown(before) != shown(after) {
        let words = format!("the SDL of service `{name}` changes");
        changes.push(Change::new(ChangeKind::SourceSdl, path(name), &after.place, words));
    }
    changes.extend(policy::of_service(&path(name), before, after));
    fetches(before, after, changes);
}

/// Where values are found; that callers see nothing of it is safe to say.
fn fetches(before: &ServiceModule, after: &ServiceModule, changes: &mut Vec<Change>) {
    let name = &after.source.name;
    let (Some(old), Some(new)) = (&before.fetches, &after.fetches) else { return };
    let (old, new) = (old.places(), new.places());
    let mut told: Vec<String> = Vec::new();
    for (place, to) in &new {
        match old.get(place) {
            Some(from) if from == to => {}
            Some(from) => told.push(format!("`{place}` by {to} instead of {from}")),
            None => told.push(format!("`{place}` by {to}")),
        }
    }
    let gone = old.keys().filter(|place| !new.contains_key(*place));
    told.extend(gone.map(|place| format!("`{place}` by itself no more")));
    if told.is_empty() {
        return;
    }
    let more = told.len().saturating_sub(MOST_PLACES);
    told.truncate(MOST_PLACES);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let words = format!("service `{name}` is asked for {}", told.join(", "));
    let mut change = Change::new(ChangeKind::SourceFetch, path(name), &after.place, words);
    change.wire = WireEffect::Safe;
    changes.push(change);
}

/// Which descriptors of a service of gRPC.
fn described(source: &SourceSpec) -> String {
    let own = source.descriptors.as_ref();
    own.map_or("those that it gives itself".to_owned(), |it| format!("version {}", it.digest()))
}

/// How a service tells of events.
fn told(source: &SourceSpec) -> String {
    let path = source.events.path.as_ref().map(|path| format!(" at `{path}`"));
    format!("{}{}", source.events.protocol.as_str(), path.unwrap_or_default())
}

/// What is asked stays the same; only where and how patiently it is asked changes.
fn settings(old: &SourceSpec, new: &SourceSpec, place: &Place, changes: &mut Vec<Change>) {
    let name = &new.name;
    let on_error = |source: &SourceSpec| {
        source.on_error.map_or("the usual one".to_owned(), |it| it.as_str().to_owned())
    };
    let time = |time: Option<_>| time.map_or("none".to_owned(), source::time_text);
    let parts = [
        ("kind", old.kind.as_str().to_owned(), new.kind.as_str().to_owned()),
        ("address", old.url.to_string(), new.url.to_string()),
        ("timeout", time(Some(old.timeout)), time(Some(new.timeout))),
        ("number of retries", old.retry.to_string(), new.retry.to_string()),
        ("breaker", source::breaker_text(old.breaker), source::breaker_text(new.breaker)),
        ("ttl", time(old.ttl), time(new.ttl)),
        ("right to write", old.write.to_string(), new.write.to_string()),
        ("answer to failures", on_error(old), on_error(new)),
        ("descriptors", described(old), described(new)),
        ("way to tell of events", told(old), told(new)),
    ];
    for (what, from, to) in parts.into_iter().filter(|(_, from, to)| from != to) {
        let words = format!("the {what} of service `{name}` changes from {from} to {to}");
        let mut change = Change::new(ChangeKind::SourceSettings, path(name), place, words);
        change.wire = WireEffect::Safe;
        changes.push(change);
    }
}

#[cfg(test)]
mod tests;
