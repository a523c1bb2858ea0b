//! Who resolves a field: in comes what every source says of it, out come its holders, and every
//! claim that another source disputes (`@override`, fields of several sources without
//! `@shareable`).

use std::sync::Arc;

use apollo_compiler::Name;

use super::merge::{Merger, Said};
use super::report::listed;
use super::subgraph::TypeKind;
use crate::diagnostic::Code;

/// A source that declares a field.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) source: usize,
    /// Another source took it over: always, or when the label is on.
    pub(crate) lost: Option<Lost>,
    /// It took the field over only when the label is on.
    pub(crate) label: Option<Arc<str>>,
    /// It is declared by the `@interfaceObject` that stands for the type.
    pub(crate) standing: bool,
}

/// How far a field was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Always,
    When(Arc<str>),
}

/// Checks who resolves a field and lists the holders.
pub(crate) fn check(
    merger: &mut Merger<'_, '_>,
    parent: &Name,
    on: &str,
    kind: TypeKind,
    said: &[Said<'_>],
) -> Vec<Holding> {
    let mut holders: Vec<Holding> = said
        .iter()
        .map(|said| Holding {
            source: said.source,
            lost: None,
            label: said.field.over.as_ref().and_then(|over| over.label.clone()),
            standing: said.standing,
        })
        .collect();
    for taker in said.iter().filter(|said| said.field.over.is_some()) {
        over(merger, parent, on, taker, said, &mut holders);
    }
    if kind == TypeKind::Object {
        shared(merger, parent, on, said, &holders);
    }
    holders
}

fn over(
    merger: &mut Merger<'_, '_>,
    parent: &Name,
    on: &str,
    taker: &Said<'_>,
    said: &[Said<'_>],
    holders: &mut [Holding],
) {
    let Some(over) = &taker.field.over else { return };
    let here = super::text::Spot { source: taker.source, span: over.span };
    let is_object = taker.standing || merger.sub(taker.source, parent).interface_object.is_some();
    if is_object {
        let words = format!("`@override` of `{on}`, a field of an `@interfaceObject`");
        merger
            .report
            .add(Code::OverrideCollisionWithAnotherDirective, here, Vec::new(), words)
            .hint("take it over where the types are defined");
        return;
    }
    if !merger.names.iter().any(|name| **name == *over.from) {
        let words = format!("`{on}` is overridden from `{}`, which is no source", over.from);
        let names: Vec<String> = merger.names.clone();
        merger.report.add(Code::FromSubgraphDoesNotExist, here, Vec::new(), words).did_you_mean(
            &over.from,
            names.iter().map(String::as_str),
            |name| format!("`{name}`"),
            "name a source of the graph, or leave `@override` out",
        );
        return;
    }
    let from = said.iter().position(|other| merger.names[other.source] == *over.from);
    let Some(at) = from.filter(|at| said[*at].source != taker.source) else { return };
    let other = &said[at];
    if let Some(theirs) = &other.field.over {
        let words = format!(
            "`{}` overrides `{on}` from `{}`, which overrides it from `{}`",
            merger.names[taker.source], over.from, theirs.from
        );
        let spot = super::text::Spot { source: other.source, span: theirs.span };
        let also = vec![(spot, "overridden here too".to_owned())];
        merger
            .report
            .add(Code::OverrideSourceHasOverride, here, also, words)
            .hint("keep one `@override` of the field");
        return;
    }
    let collision = if taker.field.is_external() {
        Some(("@external", taker))
    } else if other.field.requires.is_some() {
        Some(("@requires", other))
    } else if other.field.provides.is_some() {
        Some(("@provides", other))
    } else {
        None
    };
    if let Some((directive, who)) = collision {
        let words = format!(
            "`{}` overrides `{on}`, which has `{directive}` in `{}`",
            merger.names[taker.source], merger.names[who.source]
        );
        let also = vec![(who.spot(), format!("`{directive}` here"))];
        merger
            .report
            .add(Code::OverrideCollisionWithAnotherDirective, here, also, words)
            .hint("take one of the directives out");
        return;
    }
    let lost = over.label.clone().map_or(Lost::Always, Lost::When);
    holders[at].lost = Some(lost);
}

/// A field is resolved by one source, or by several that all share it.
fn shared(
    merger: &mut Merger<'_, '_>,
    parent: &Name,
    on: &str,
    said: &[Said<'_>],
    holders: &[Holding],
) {
    let resolving: Vec<&Said<'_>> = said
        .iter()
        .zip(holders)
        .filter(|(said, holder)| {
            holder.lost.is_none() && (!said.field.is_external() || said.field.provided)
        })
        .map(|(said, _)| said)
        .collect();
    let is_stream = parent == "Subscription";
    let unshared = |said: &&&Said<'_>| is_stream || !said.field.shareable;
    let Some(first) = resolving.iter().find(unshared).copied() else { return };
    if resolving.len() < 2 {
        return;
    }
    let names = listed(resolving.iter().map(|said| &merger.names[said.source]));
    let holding = resolving.iter().filter(unshared).map(|said| &merger.names[said.source]);
    let words = if is_stream {
        format!("`{on}` is resolved by {names}; a subscription has one source")
    } else {
        format!("`{on}` is resolved by {names}, but not `@shareable` in {}", listed(holding))
    };
    let others = resolving.iter().filter(|said| said.source != first.source);
    let also = others.map(|said| {
        let state = if unshared(&said) { "not shareable here either" } else { "shareable here" };
        (said.spot(), state.to_owned())
    });
    let also = also.collect();
    let hint = if is_stream {
        "leave the field to one source"
    } else {
        "leave the field to its owner, mark it `@shareable` in all of them, or take it over by `@override(from:)`"
    };
    merger.report.add(Code::InvalidFieldSharing, first.spot(), also, words).hint(hint);
}
