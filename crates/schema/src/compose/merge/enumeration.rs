//! Enums: in come the values that each source knows and how the graph uses the type, out come the
//! values of the graph. What is only written keeps what all sources understand, what is only read
//! has all values, what is both must be the same everywhere.

use std::collections::HashMap;

use apollo_compiler::Name;
use indexmap::{IndexMap, IndexSet};

use super::{MergedType, MergedValue, Merger};
use crate::compose::combine::{description, marks};
use crate::compose::report::listed;
use crate::compose::subgraph::{SubValue, TypeKind};
use crate::compose::text::Spot;
use crate::diagnostic::Code;

/// Where an enum is used.
#[derive(Clone, Debug, Default)]
struct Usage {
    read: Option<String>,
    written: Option<String>,
}

pub(super) fn merge(merger: &mut Merger<'_, '_>, types: &mut IndexMap<Name, MergedType>) {
    let usages = usages(types);
    let none = Usage::default();
    for (name, merged) in types.iter_mut().filter(|(_, merged)| merged.kind == TypeKind::Enum) {
        one(merger, name, merged, usages.get(name).unwrap_or(&none));
    }
}

fn usages(types: &IndexMap<Name, MergedType>) -> HashMap<Name, Usage> {
    let mut usages: HashMap<Name, Usage> = HashMap::new();
    let is_enum = |name: &Name| types.get(name).is_some_and(|t| t.kind == TypeKind::Enum);
    let mut note = |name: &Name, read: bool, on: &dyn Fn() -> String| {
        if !is_enum(name) {
            return;
        }
        let usage = usages.entry(name.clone()).or_default();
        let place = if read { &mut usage.read } else { &mut usage.written };
        place.get_or_insert_with(on);
    };
    for (parent, merged) in types {
        for (name, field) in &merged.fields {
            note(field.ty.inner_named_type(), true, &|| format!("{parent}.{name}"));
            for (argument, input) in &field.arguments {
                let on = || format!("{parent}.{name}({argument}:)");
                note(input.ty.inner_named_type(), false, &on);
            }
        }
        for (name, input) in &merged.inputs {
            note(input.ty.inner_named_type(), false, &|| format!("{parent}.{name}"));
        }
    }
    usages
}

fn one(merger: &mut Merger<'_, '_>, name: &Name, merged: &mut MergedType, usage: &Usage) {
    let sources = merged.sources.clone();
    let mut names = IndexSet::new();
    for source in &sources {
        names.extend(merger.sub(*source, name).values.keys().cloned());
    }
    for value in names {
        let having: Vec<(usize, &SubValue)> = sources
            .iter()
            .filter_map(|source| Some((*source, merger.sub(*source, name).values.get(&value)?)))
            .collect();
        let everywhere = having.len() == sources.len();
        let made = MergedValue {
            description: description(having.iter().map(|(_, v)| v.description.as_ref())),
            marks: marks(having.iter().map(|(source, v)| (*source, &v.marks))),
        };
        let hidden = made.marks.inaccessible.is_some();
        match usage {
            Usage { read: Some(read), written: Some(written) } if !everywhere && !hidden => {
                let used = (read.as_str(), written.as_str());
                differs(merger, name, &value, &having, &sources, used);
            }
            Usage { read: None, written: Some(_) } if !everywhere => continue,
            _ => {}
        }
        merged.values.insert(value, made);
    }
    if merged.values.is_empty() {
        empty(merger, name, &sources);
    }
}

fn differs(
    merger: &mut Merger<'_, '_>,
    name: &Name,
    value: &Name,
    having: &[(usize, &SubValue)],
    sources: &[usize],
    (read, written): (&str, &str),
) {
    let without: Vec<usize> = sources
        .iter()
        .copied()
        .filter(|source| !having.iter().any(|(other, _)| other == source))
        .collect();
    let lacking = listed(without.iter().map(|source| &merger.names[*source]));
    let words = format!(
        "`{name}` is read as `{read}` and written as `{written}`, but {lacking} {} no value `{value}`",
        if without.len() == 1 { "has" } else { "have" }
    );
    let also = without.iter().map(|s| (merger.spot(*s, name), "not here".to_owned())).collect();
    let (source, found) = having[0];
    merger
        .report
        .add(Code::EnumValueMismatch, Spot { source, span: found.span }, also, words)
        .hint(format!("add `{value}` to every source, or use different enums to read and write"));
}

fn empty(merger: &mut Merger<'_, '_>, name: &Name, sources: &[usize]) {
    let words = format!("the sources have no value of the enum `{name}` in common");
    let others = sources[1..].iter();
    let also =
        others.map(|source| (merger.spot(*source, name), "other values".to_owned())).collect();
    merger
        .report
        .add(Code::EmptyMergedEnumType, merger.spot(sources[0], name), also, words)
        .hint("give them a value in common");
}
