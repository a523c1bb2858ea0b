//! Arguments and input fields: in comes what each source says of one, out comes the one of the
//! graph when every source has it.

use apollo_compiler::Name;
use indexmap::IndexSet;

use super::{MergedInput, MergedType, Merger};
use crate::compose::combine::{default, description, marks, narrowest};
use crate::compose::report::listed;
use crate::compose::subgraph::SubInput;
use crate::compose::text::Spot;
use crate::diagnostic::Code;

/// What the faults of one kind of inputs are called.
pub(super) struct Kind {
    word: &'static str,
    missing: Code,
    types: Code,
    defaults: Code,
}

pub(super) const ARGUMENT: Kind = Kind {
    word: "argument",
    missing: Code::RequiredArgumentMissingInSomeSubgraph,
    types: Code::FieldArgumentTypeMismatch,
    defaults: Code::FieldArgumentDefaultMismatch,
};

const INPUT_FIELD: Kind = Kind {
    word: "input field",
    missing: Code::RequiredInputFieldMissingInSomeSubgraph,
    types: Code::FieldTypeMismatch,
    defaults: Code::InputFieldDefaultMismatch,
};

pub(super) fn merge(merger: &mut Merger<'_, '_>, name: &Name, merged: &mut MergedType) {
    let sources = merged.sources.clone();
    let mut names = IndexSet::new();
    for source in &sources {
        names.extend(merger.sub(*source, name).inputs.keys().cloned());
    }
    let spots: Vec<Spot> = sources.iter().map(|source| merger.spot(*source, name)).collect();
    let mut faulty = false;
    for field in names {
        let holders: Vec<_> = sources
            .iter()
            .map(|source| (*source, merger.sub(*source, name).inputs.get(&field)))
            .collect();
        let on = format!("{name}.{field}");
        faulty |= holders.iter().any(|(_, input)| input.is_some_and(SubInput::is_required));
        if let Some(input) = same_input(merger, &on, &holders, &spots, &INPUT_FIELD) {
            merged.inputs.insert(field, input);
        }
    }
    if merged.inputs.is_empty() && !faulty {
        let words = format!("the sources have no field of the input type `{name}` in common");
        let also = spots[1..].iter().map(|spot| (*spot, "the other fields".to_owned())).collect();
        merger
            .report
            .add(Code::EmptyMergedInputType, spots[0], also, words)
            .hint("give them a field in common, or different names");
    }
}

/// Merges one input; `spots` are where the holders stand, for those who lack it.
pub(super) fn same_input(
    merger: &mut Merger<'_, '_>,
    on: &str,
    holders: &[(usize, Option<&SubInput>)],
    spots: &[Spot],
    kind: &Kind,
) -> Option<MergedInput> {
    let having: Vec<(usize, &SubInput)> =
        holders.iter().filter_map(|(source, input)| Some((*source, (*input)?))).collect();
    if having.len() < holders.len() {
        let required = having.iter().find(|(_, input)| input.is_required());
        if let Some((source, input)) = required {
            missing(merger, on, (*source, input), holders, spots, kind);
        }
        return None;
    }
    let spot = |at: usize| Spot { source: having[at].0, span: having[at].1.span };
    let types: Vec<_> = having.iter().map(|(_, input)| &input.ty).collect();
    let ty = narrowest(&merger.family, &types).unwrap_or_else(|(a, b)| {
        let (one, other) = (types[a], types[b]);
        let words = format!(
            "`{on}` is `{one}` in `{}`, but `{other}` in `{}`",
            merger.names[having[a].0], merger.names[having[b].0]
        );
        let also = vec![(spot(b), format!("`{other}` here"))];
        let hint =
            format!("give the {} one type; only whether it is required may differ", kind.word);
        merger.report.add(kind.types, spot(a), also, words).hint(hint);
        one.clone()
    });
    let defaults: Vec<_> = having.iter().map(|(_, input)| input.default.as_ref()).collect();
    let default = default(&defaults).unwrap_or_else(|(a, b)| {
        let shown = |at: usize| defaults[at].map(|value| value.serialize().no_indent().to_string());
        let (one, other) = (shown(a).unwrap_or_default(), shown(b).unwrap_or_default());
        let words = format!(
            "`{on}` has the default `{one}` in `{}`, but `{other}` in `{}`",
            merger.names[having[a].0], merger.names[having[b].0]
        );
        let also = vec![(spot(b), format!("`{other}` here"))];
        merger.report.add(kind.defaults, spot(a), also, words).hint("give it one default");
        None
    });
    Some(MergedInput {
        spot: spot(0),
        description: description(having.iter().map(|(_, input)| input.description.as_ref())),
        ty,
        default,
        marks: marks(having.iter().map(|(source, input)| (*source, &input.marks))),
    })
}

fn missing(
    merger: &mut Merger<'_, '_>,
    on: &str,
    (source, input): (usize, &SubInput),
    holders: &[(usize, Option<&SubInput>)],
    spots: &[Spot],
    kind: &Kind,
) {
    let without: Vec<usize> = (0..holders.len()).filter(|at| holders[*at].1.is_none()).collect();
    let lacking = listed(without.iter().map(|at| &merger.names[holders[*at].0]));
    let words = format!(
        "the {} `{on}` is required in `{}`, but {lacking} {} no such {}",
        kind.word,
        merger.names[source],
        if without.len() == 1 { "has" } else { "have" },
        kind.word
    );
    let also = without.iter().map(|at| (spots[*at], "not here".to_owned())).collect();
    let spot = Spot { source, span: input.span };
    merger
        .report
        .add(kind.missing, spot, also, words)
        .hint("declare it in all of them, or make it optional");
}
