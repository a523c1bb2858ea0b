//! External fields of one source: in come the types and the fields that sets name, out come the
//! fields that a `@provides` makes reachable, and those that are external for nothing.

use std::collections::HashSet;

use apollo_compiler::Name;
use indexmap::IndexMap;

use super::NamedFields;
use crate::compose::link::Link;
use crate::compose::report::Report;
use crate::compose::selection::Named;
use crate::compose::subgraph::{SubField, SubType, TypeKind};
use crate::compose::text::Spot;
use crate::diagnostic::Code;

pub(super) fn check(
    types: &mut IndexMap<Name, SubType>,
    named: &NamedFields,
    link: &Link,
    report: &mut Report<'_>,
) {
    provide(types, &named.by_provides);
    let used = used(types, named);
    if link.is_first() {
        drop_unused(types, &used);
        return;
    }
    for (parent, found) in types.iter() {
        for (name, field) in &found.fields {
            if let Some(span) = field.external.filter(|_| field.is_external()) {
                let spot = Spot { source: 0, span };
                external_field(types, found, (parent, name, field), &used, spot, report);
            }
        }
    }
}

/// A field and the same field of every type that implements its interface.
fn with_implementations(types: &IndexMap<Name, SubType>, named: &Named) -> Vec<(Name, Name)> {
    let mut all = vec![(named.parent.clone(), named.field.clone())];
    let implementing = types.iter().filter(|(_, found)| found.implements.contains(&named.parent));
    all.extend(implementing.map(|(name, _)| (name.clone(), named.field.clone())));
    all
}

fn provide(types: &mut IndexMap<Name, SubType>, provided: &[Named]) {
    let fields: Vec<_> =
        provided.iter().flat_map(|named| with_implementations(types, named)).collect();
    for (parent, name) in fields {
        if let Some(field) = types.get_mut(&parent).and_then(|t| t.fields.get_mut(&name)) {
            field.provided = true;
            field.shareable = true;
        }
    }
}

fn used(types: &IndexMap<Name, SubType>, named: &NamedFields) -> HashSet<(Name, Name)> {
    let mut used = HashSet::new();
    let keys = types.values().flat_map(|found| &found.keys);
    let named_by_keys = keys.flat_map(|key| &key.named);
    let all = named_by_keys.chain(&named.by_provides).chain(&named.by_requires);
    used.extend(all.flat_map(|named| with_implementations(types, named)));
    for (name, found) in types {
        for interface in &found.implements {
            let fields = types.get(interface).into_iter().flat_map(|found| found.fields.keys());
            used.extend(fields.map(|field| (name.clone(), field.clone())));
        }
    }
    used
}

fn drop_unused(types: &mut IndexMap<Name, SubType>, used: &HashSet<(Name, Name)>) {
    for (parent, found) in types.iter_mut() {
        found.fields.retain(|name, field| {
            !field.is_external() || used.contains(&(parent.clone(), name.clone()))
        });
    }
}

fn external_field(
    types: &IndexMap<Name, SubType>,
    found: &SubType,
    (parent, name, field): (&Name, &Name, &SubField),
    used: &HashSet<(Name, Name)>,
    spot: Spot,
    report: &mut Report<'_>,
) {
    let here = Spot { source: spot.source, span: field.span };
    if found.kind == TypeKind::Interface {
        let words = format!("`{parent}.{name}` is `@external`, but `{parent}` is an interface");
        report
            .add(Code::ExternalOnInterface, here, Vec::new(), words)
            .hint("mark the fields of the types that implement it");
        return;
    }
    if field.marks.inaccessible.is_some() || !field.marks.tags.is_empty() {
        let words = format!("`{parent}.{name}` is `@external` and has `@inaccessible` or `@tag`");
        report
            .add(Code::MergedDirectiveApplicationOnExternal, here, Vec::new(), words)
            .hint("mark the field in the source that resolves it");
    }
    if !used.contains(&(parent.clone(), name.clone())) {
        let words = format!("`{parent}.{name}` is `@external`, but nothing here needs it");
        let key = types.get(parent).is_some_and(|found| found.keys.is_empty());
        let hint = if key {
            "leave the field out, or give the type the `@key` that needs it"
        } else {
            "leave the field out, or name it in a `@requires` or `@provides`"
        };
        report.add(Code::ExternalUnused, here, Vec::new(), words).hint(hint);
    }
}
