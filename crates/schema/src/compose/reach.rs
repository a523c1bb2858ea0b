//! Whether every field that clients see can be reached on every path that they can take: in come
//! the merged types, out comes each field that cannot, with the path and why no source that has
//! the field can be entered there.
//!
//! The search goes over states: a type of the API and the sources in which a value of it may be at
//! hand. A field leads on from every source that has it and that can be entered from there by keys
//! (`entry`); if none has, the field is unreachable on this path. A state that offers more than one
//! seen before needs no second look.

mod entry;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_compiler::Name;

use super::merge::Merged;
use super::report::Report;
use super::subgraph::{Subgraph, TypeKind};
use crate::diagnostic::Code;
use entry::{Entries, Position};

/// States that are looked at; far above what real graphs need.
const MAX_STATES: usize = 200_000;

/// Labels of `@override` whose combinations are all tried; of more, all on, all off, and each alone.
const MAX_LABELS: usize = 4;

/// Checks that the API can be answered, whichever labels of overrides are on.
pub(crate) fn check(subgraphs: &[Subgraph], merged: &Merged, report: &mut Report<'_>) {
    for on in settings(merged) {
        let mut search = Search {
            subgraphs,
            merged,
            entries: Entries::new(subgraphs, merged, on),
            states: Vec::new(),
            seen: HashMap::new(),
            told: HashSet::new(),
            report,
        };
        search.run();
        if report.has_errors() {
            return;
        }
    }
}

/// The sets of labels that are on.
fn settings(merged: &Merged) -> Vec<HashSet<Arc<str>>> {
    let fields = merged.types.values().flat_map(|found| found.fields.values());
    let labels = fields.flat_map(|field| &field.sources).filter_map(|h| h.label.clone());
    let mut labels: Vec<Arc<str>> = labels.collect();
    labels.sort();
    labels.dedup();
    if labels.len() <= MAX_LABELS {
        let sets = 0..1_u32 << labels.len();
        return sets
            .map(|set| {
                let on = labels.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0);
                on.map(|(_, label)| label.clone()).collect()
            })
            .collect();
    }
    let mut sets = vec![HashSet::new(), labels.iter().cloned().collect()];
    sets.extend(labels.into_iter().map(|label| HashSet::from([label])));
    sets
}

/// A type and where a value of it may be at hand.
struct State {
    type_name: Name,
    positions: Vec<Position>,
    /// The state before, and how it led here.
    parent: Option<(usize, Step)>,
}

/// How one state leads to the next.
#[derive(Clone)]
enum Step {
    Field(Name),
    On(Name),
}

struct Search<'s, 'r, 'g> {
    subgraphs: &'s [Subgraph],
    merged: &'s Merged,
    entries: Entries<'s>,
    states: Vec<State>,
    seen: HashMap<Name, Vec<Vec<Position>>>,
    /// Fields that have been reported.
    told: HashSet<(Name, Name)>,
    report: &'r mut Report<'g>,
}

impl Search<'_, '_, '_> {
    fn run(&mut self) {
        for root in ["Query", "Mutation", "Subscription"] {
            let Some((name, found)) = self.merged.types.get_key_value(root) else { continue };
            let positions = found.sources.iter().map(|source| Position::at(*source)).collect();
            self.push(name.clone(), positions, None);
        }
        let mut next = 0;
        while next < self.states.len() && next < MAX_STATES {
            let type_name = self.states[next].type_name.clone();
            match self.merged.types.get(&type_name).map(|found| found.kind) {
                Some(TypeKind::Object) => self.object(next, &type_name),
                Some(TypeKind::Interface | TypeKind::Union) => self.behind(next, &type_name),
                _ => {}
            }
            next += 1;
        }
        if self.states.len() > MAX_STATES {
            let spot = super::text::Spot { source: 0, span: Default::default() };
            let words = format!("the graph has more than {MAX_STATES} ways to reach its types");
            self.report
                .add(Code::Limit, spot, Vec::new(), words)
                .hint("give the entities fewer kinds of keys");
        }
    }

    fn push(
        &mut self,
        type_name: Name,
        mut positions: Vec<Position>,
        parent: Option<(usize, Step)>,
    ) {
        positions.sort_unstable();
        positions.dedup();
        let seen = self.seen.entry(type_name.clone()).or_default();
        let known = |less: &Vec<Position>| less.iter().all(|p| positions.binary_search(p).is_ok());
        if seen.iter().any(known) {
            return;
        }
        seen.push(positions.clone());
        self.states.push(State { type_name, positions, parent });
    }

    /// Every visible field of an object leads on.
    fn object(&mut self, state: usize, type_name: &Name) {
        let merged = self.merged;
        let mut reached = Vec::new();
        for position in self.states[state].positions.clone() {
            reached.extend(self.entries.reachable(type_name, position).iter().copied());
        }
        reached.sort_unstable();
        reached.dedup();
        for (name, field) in &merged.types[type_name].fields {
            if field.marks.inaccessible.is_some() {
                continue;
            }
            let next: Vec<Position> = reached
                .iter()
                .filter_map(|position| self.entries.step(type_name, *position, name))
                .collect();
            if next.is_empty() {
                self.unreachable(state, type_name, name);
                continue;
            }
            let target = field.ty.inner_named_type();
            if merged.types.get(target).is_some_and(|found| found.kind.is_composite()) {
                let parent = Some((state, Step::Field(name.clone())));
                self.push(target.clone(), next, parent);
            }
        }
    }

    /// A value of an interface or union is of one of the types that some source has behind it.
    fn behind(&mut self, state: usize, type_name: &Name) {
        let merged = self.merged;
        let positions = self.states[state].positions.clone();
        let mut types: Vec<(Name, Vec<Position>)> = Vec::new();
        for position in positions {
            for behind in self.entries.behind(type_name, position.source).iter() {
                match types.iter_mut().find(|(known, _)| known == behind) {
                    Some((_, positions)) => positions.push(position),
                    None => types.push((behind.clone(), vec![position])),
                }
            }
        }
        for (behind, positions) in types {
            if merged.types.get(&behind).is_none_or(|found| found.marks.inaccessible.is_some()) {
                continue;
            }
            let parent = Some((state, Step::On(behind.clone())));
            self.push(behind, positions, parent);
        }
    }
}
