//! Interfaces over several sources: in come the merged types, out comes every interface that a
//! type does not live up to once all sources are together.

use apollo_compiler::Name;
use indexmap::IndexMap;

use super::{MergedField, MergedType, Merger};
use crate::compose::combine::fits;
use crate::compose::report::listed;
use crate::compose::subgraph::TypeKind;
use crate::compose::text::Spot;
use crate::diagnostic::Code;

pub(super) fn check(merger: &mut Merger<'_, '_>, types: &IndexMap<Name, MergedType>) {
    for (name, merged) in types {
        for interface in &merged.implements {
            let Some(asked) = types.get(interface) else { continue };
            for (field, asked) in &asked.fields {
                match merged.fields.get(field) {
                    None => lacks_field(merger, name, merged, interface, field, asked),
                    Some(own) => as_asked(merger, (name, own), interface, field, asked),
                }
            }
        }
        if merged.kind == TypeKind::Interface {
            interface_objects(merger, types, name, merged);
            keys(merger, types, name, merged);
        }
    }
}

fn lacks_field(
    merger: &mut Merger<'_, '_>,
    name: &Name,
    merged: &MergedType,
    interface: &Name,
    field: &Name,
    asked: &MergedField,
) {
    let words = format!(
        "`{interface}.{field}`, which `{}` declares, is missing in `{name}`",
        merger.names[asked.spot.source]
    );
    let implementing =
        merged.sources.iter().find(|s| merger.sub(**s, name).implements.contains(interface));
    let at = implementing.or(merged.sources.first()).copied().unwrap_or(0);
    let also = vec![(merger.spot(at, name), format!("implements `{interface}`"))];
    merger
        .report
        .add(Code::InterfaceFieldNoImplem, asked.spot, also, words)
        .hint(format!("declare `{field}` in `{name}`, in any source"));
}

/// The merged field fits the merged interface.
fn as_asked(
    merger: &mut Merger<'_, '_>,
    (name, own): (&Name, &MergedField),
    interface: &Name,
    field: &Name,
    asked: &MergedField,
) {
    let also = || vec![(asked.spot, format!("`{interface}.{field}`"))];
    if !fits(&merger.family, &own.ty, &asked.ty) {
        let words = format!(
            "`{name}.{field}` is `{}`, but `{interface}.{field}` is `{}`, all sources taken together",
            own.ty, asked.ty
        );
        let hint = "give the field of the type the type of the interface's, or a narrower one";
        merger.report.add(Code::InvalidGraphql, own.spot, also(), words).hint(hint);
    }
    for (argument, input) in &asked.arguments {
        if own.arguments.get(argument).is_none_or(|found| found.ty != input.ty) {
            let words = format!(
                "`{name}.{field}` has no argument `{argument}: {}`, which `{interface}.{field}` has",
                input.ty
            );
            let hint = "give the field the interface's arguments in every source";
            merger.report.add(Code::InvalidGraphql, own.spot, also(), words).hint(hint);
        }
    }
    for (argument, input) in &own.arguments {
        let required = input.ty.is_non_null() && input.default.is_none();
        if required && !asked.arguments.contains_key(argument) {
            let words = format!(
                "`{name}.{field}` requires `{argument}`, which `{interface}.{field}` does not have"
            );
            let hint = "make it optional, or give it to the interface";
            merger.report.add(Code::InvalidGraphql, own.spot, also(), words).hint(hint);
        }
    }
}

/// An `@interfaceObject` needs its interface with a key elsewhere, and none of its types beside it.
fn interface_objects(
    merger: &mut Merger<'_, '_>,
    types: &IndexMap<Name, MergedType>,
    name: &Name,
    merged: &MergedType,
) {
    let is_object = |merger: &Merger<'_, '_>, source: usize| {
        merger.sub(source, name).interface_object.is_some()
    };
    let objects: Vec<usize> =
        merged.sources.iter().copied().filter(|source| is_object(merger, *source)).collect();
    let Some(&first) = objects.first() else { return };
    if objects.len() == merged.sources.len() {
        let words = format!("`{name}` is an `@interfaceObject`, but no source has the interface");
        let others = objects[1..].iter();
        let also = others.map(|s| (merger.spot(*s, name), "an object here too".to_owned()));
        let also = also.collect();
        merger
            .report
            .add(Code::InterfaceObjectUsageError, merger.spot(first, name), also, words)
            .hint(format!("define `interface {name}` with a `@key` in another source"));
    }
    for source in objects {
        let beside = types.iter().find(|(other, found)| {
            found.kind == TypeKind::Object
                && found.implements.contains(name)
                && merger.subgraphs[source].types.contains_key(*other)
        });
        let Some((other, _)) = beside else { continue };
        let words = format!(
            "`{}` has `{name}` as an `@interfaceObject` and defines `{other}`, which implements it",
            merger.names[source]
        );
        let also = vec![(merger.spot(source, other), "defined here".to_owned())];
        merger
            .report
            .add(Code::InterfaceObjectUsageError, merger.spot(source, name), also, words)
            .hint("leave one of them out");
    }
}

/// A source that can be entered at an interface knows every type behind it.
fn keys(
    merger: &mut Merger<'_, '_>,
    types: &IndexMap<Name, MergedType>,
    name: &Name,
    merged: &MergedType,
) {
    for source in &merged.sources {
        let found = merger.sub(*source, name);
        let Some(key) = found.entries().next() else { continue };
        if found.interface_object.is_some() {
            continue;
        }
        let known = &merger.subgraphs[*source].types;
        let missing: Vec<(&Name, &MergedType)> = types
            .iter()
            .filter(|(other, found)| {
                found.kind == TypeKind::Object
                    && found.implements.contains(name)
                    && !known.get(*other).is_some_and(|own| own.implements.contains(name))
            })
            .collect();
        if missing.is_empty() {
            continue;
        }
        let names = listed(missing.iter().map(|(name, _)| name.as_str()));
        let words = format!(
            "`{}` resolves the interface `{name}` by `@key(fields: \"{}\")`, but does not have {names}",
            merger.names[*source], key.text
        );
        let also = missing.iter().filter_map(|(other, found)| {
            let source = found.sources.first()?;
            Some((merger.spot(*source, other), format!("implements `{name}`")))
        });
        let also = also.collect();
        let spot = Spot { source: *source, span: key.span };
        let hint = format!("define {names} there, or write `resolvable: false` in the key");
        merger
            .report
            .add(Code::InterfaceKeyMissingImplementationType, spot, also, words)
            .hint(hint);
    }
}
