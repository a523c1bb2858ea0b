//! Fields of objects and interfaces: in comes what each source says of a field, out comes the
//! field of the graph.

use apollo_compiler::Name;
use indexmap::{IndexMap, IndexSet};

use super::input::same_input;
use super::{MergedField, MergedType, Merger};
use crate::compose::combine::{description, fits, marks, widest};
use crate::compose::sharing;
use crate::compose::subgraph::{SubField, TypeKind};
use crate::compose::text::Spot;
use crate::diagnostic::Code;

/// What one source says.
#[derive(Clone, Copy)]
pub(crate) struct Said<'m> {
    pub(crate) source: usize,
    pub(crate) field: &'m SubField,
    /// Whether the source says it of an `@interfaceObject` that stands for the type.
    pub(crate) standing: bool,
}

impl Said<'_> {
    pub(crate) fn spot(&self) -> Spot {
        Spot { source: self.source, span: self.field.span }
    }
}

pub(super) fn merge(merger: &mut Merger<'_, '_>, name: &Name, merged: &mut MergedType) {
    let standing = match merged.kind {
        TypeKind::Object => merger.standing(name),
        _ => Vec::new(),
    };
    let own: Vec<usize> = merged.sources.clone();
    let mut sources = own.clone();
    sources.extend(&standing);
    sources.sort_unstable();
    let mut names = IndexSet::new();
    for source in &own {
        names.extend(merger.sub(*source, name).fields.keys().cloned());
    }
    for source in &standing {
        names.extend(standing_fields(merger, *source, name));
    }
    for field in names {
        let said: Vec<Said<'_>> = sources
            .iter()
            .filter_map(|source| {
                let found = merger.field(*source, name, &field)?;
                Some(Said { source: *source, field: found, standing: standing.contains(source) })
            })
            .collect();
        if let Some(one) = one(merger, name, &field, merged.kind, &said) {
            merged.fields.insert(field, one);
        }
    }
}

fn standing_fields(merger: &Merger<'_, '_>, source: usize, name: &Name) -> Vec<Name> {
    let interfaces = merger.family.implements.get(name).into_iter().flatten();
    let found = interfaces.filter_map(|interface| merger.subgraphs[source].types.get(interface));
    let objects = found.filter(|found| found.interface_object.is_some());
    objects.flat_map(|found| found.fields.keys().cloned()).collect()
}

fn one(
    merger: &mut Merger<'_, '_>,
    parent: &Name,
    name: &Name,
    kind: TypeKind,
    said: &[Said<'_>],
) -> Option<MergedField> {
    let on = format!("{parent}.{name}");
    let (external, resolving): (Vec<Said<'_>>, Vec<Said<'_>>) =
        said.iter().partition(|said| said.field.is_external());
    if resolving.is_empty() {
        missing_on_base(merger, &on, &external);
        return None;
    }
    let sources = sharing::check(merger, parent, &on, kind, said);
    let types: Vec<_> = resolving.iter().map(|said| &said.field.ty).collect();
    let ty = match widest(&merger.family, &types) {
        Ok(ty) => ty,
        Err((a, b)) => {
            disagree(merger, Code::FieldTypeMismatch, &on, resolving[a], resolving[b]);
            types[0].clone()
        }
    };
    let mut arguments = IndexMap::new();
    for argument in argument_names(&resolving) {
        let holders: Vec<_> = resolving
            .iter()
            .map(|said| (said.source, said.field.arguments.get(&argument)))
            .collect();
        let spots: Vec<Spot> = resolving.iter().map(Said::spot).collect();
        let on = format!("{on}({argument}:)");
        if let Some(input) = same_input(merger, &on, &holders, &spots, &super::input::ARGUMENT) {
            arguments.insert(argument, input);
        }
    }
    let merged = MergedField {
        spot: resolving[0].spot(),
        description: description(resolving.iter().map(|s| s.field.description.as_ref())),
        marks: marks(resolving.iter().map(|s| (s.source, &s.field.marks))),
        ty,
        arguments,
        sources,
    };
    for said in external {
        as_resolved(merger, &on, said, &merged);
    }
    Some(merged)
}

fn argument_names(said: &[Said<'_>]) -> IndexSet<Name> {
    said.iter().flat_map(|said| said.field.arguments.keys().cloned()).collect()
}

fn missing_on_base(merger: &mut Merger<'_, '_>, on: &str, external: &[Said<'_>]) {
    let Some((first, others)) = external.split_first() else { return };
    let sources = external.iter().map(|said| &merger.names[said.source]);
    let words = format!(
        "`{on}` is `@external` wherever it is declared, in {}",
        crate::compose::report::listed(sources)
    );
    let also = others.iter().map(|said| (said.spot(), "external here too".to_owned())).collect();
    merger
        .report
        .add(Code::ExternalMissingOnBase, first.spot(), also, words)
        .hint("declare the field without `@external` in the source that resolves it");
}

fn disagree(merger: &mut Merger<'_, '_>, code: Code, on: &str, one: Said<'_>, other: Said<'_>) {
    let (a, b) = (&merger.names[one.source], &merger.names[other.source]);
    let (ours, theirs) = (&one.field.ty, &other.field.ty);
    let words = format!("`{on}` is `{ours}` in `{a}`, but `{theirs}` in `{b}`");
    let also = vec![(other.spot(), format!("`{theirs}` here"))];
    merger
        .report
        .add(code, one.spot(), also, words)
        .hint("give the field one type; only null and narrower types may differ");
}

/// An external field is declared as its owner declares it.
fn as_resolved(merger: &mut Merger<'_, '_>, on: &str, said: Said<'_>, merged: &MergedField) {
    if !fits(&merger.family, &said.field.ty, &merged.ty) {
        let words = format!(
            "`{on}` is `{}` where it is `@external`, in `{}`, but `{}` where it is resolved",
            said.field.ty, merger.names[said.source], merged.ty
        );
        let also = vec![(merged.spot, format!("`{}` here", merged.ty))];
        merger
            .report
            .add(Code::ExternalTypeMismatch, said.spot(), also, words)
            .hint(format!("declare it `{}`", merged.ty));
    }
    for (name, argument) in &merged.arguments {
        let also = |words: &str| vec![(argument.spot, words.to_owned())];
        let Some(own) = said.field.arguments.get(name) else {
            let words = format!(
                "`{on}` is `@external` in `{}` without the argument `{name}`",
                merger.names[said.source]
            );
            merger
                .report
                .add(Code::ExternalArgumentMissing, said.spot(), also("declared here"), words)
                .hint(format!("add `{name}: {}`", argument.ty));
            continue;
        };
        let spot = Spot { source: said.source, span: own.span };
        if !fits(&merger.family, &own.ty, &argument.ty) {
            let words = format!("`{on}({name}:)` is `{}` where the field is `@external`", own.ty);
            merger
                .report
                .add(Code::ExternalArgumentTypeMismatch, spot, also("resolved here"), words)
                .hint(format!("declare it `{}`", argument.ty));
        } else if own.default.is_some() && own.default != argument.default {
            let words = format!("`{on}({name}:)` has another default where it is `@external`");
            merger
                .report
                .add(Code::ExternalArgumentDefaultMismatch, spot, also("resolved here"), words)
                .hint("give it the same default");
        }
    }
}
