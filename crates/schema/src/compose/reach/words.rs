//! Why a field cannot be reached, in words: in comes the state that the path led to, out comes the
//! path as a query and, for each source that has the field, what keeps it from being entered.

use apollo_compiler::Name;

use super::entry::Position;
use super::{Search, Step};
use crate::compose::report::listed;
use crate::compose::table::declared;
use crate::compose::text::Spot;
use crate::diagnostic::Code;
use crate::graph::FieldSetPart;

impl Search<'_, '_, '_> {
    /// Reports a field, once.
    pub(super) fn unreachable(&mut self, state: usize, type_name: &Name, name: &Name) {
        if !self.told.insert((type_name.clone(), name.clone())) {
            return;
        }
        let positions = self.states[state].positions.clone();
        let mut here: Vec<&str> =
            positions.iter().map(|p| self.subgraphs[p.source].source.name.as_ref()).collect();
        here.dedup();
        let path = self.path(state, name);
        let words = format!(
            "`{type_name}.{name}` cannot be reached on the path `{path}`, which leads to {}",
            listed(here)
        );
        let mut also: Vec<(Spot, String)> = Vec::new();
        let field = &self.merged.types[type_name].fields[name];
        for holding in field.sources.clone() {
            let Some(own) = declared(self.subgraphs, self.merged, type_name, name, &holding) else {
                continue;
            };
            if own.is_external() {
                continue;
            }
            for position in &positions {
                also.push(self.why(type_name, name, *position, holding.source));
            }
        }
        if let Some(arrival) = self.arrival(state, &positions) {
            also.push(arrival);
        }
        also.dedup();
        let hint = format!(
            "give `{type_name}` a `@key` that both sides know, or declare `{name}` as `@shareable` where the path leads"
        );
        self.report.add(Code::SatisfiabilityError, field.spot, also, words).hint(hint);
    }

    /// Why a source that has the field is of no help from a position.
    fn why(
        &mut self,
        type_name: &Name,
        name: &Name,
        from: Position,
        source: usize,
    ) -> (Spot, String) {
        let there = self.subgraphs[source].source.name.clone();
        let here = self.subgraphs[from.source].source.name.clone();
        let field = &self.merged.types[type_name].fields[name];
        let holding = field.sources.iter().find(|holding| holding.source == source);
        let declared =
            holding.and_then(|h| declared(self.subgraphs, self.merged, type_name, name, h));
        let at = |span| Spot { source, span };
        let own = declared.map_or(Default::default(), |own| own.span);
        let reached = self.entries.reachable(type_name, from);
        if reached.iter().any(|position| position.source == source) {
            return match declared.and_then(|own| own.requires.as_ref()) {
                Some(chosen) => (
                    at(chosen.span),
                    format!("`{there}` requires `{}`, which cannot be had there", chosen.text),
                ),
                None => (at(own), format!("`{there}` gave the field away")),
            };
        }
        let Some(local) = self.entries.local(source, type_name) else {
            return (at(own), format!("`{there}` does not know `{type_name}`"));
        };
        let Some(key) = local.entries().next() else {
            let words = format!("`{there}` has no `@key` of `{type_name}` to be entered by");
            return (at(local.span), words);
        };
        let missing: Vec<&FieldSetPart> = key
            .fields
            .0
            .iter()
            .filter(|part| !self.entries.can_give_part(part, type_name, &reached))
            .collect();
        let missing = listed(missing.iter().map(|part| match part {
            FieldSetPart::Field { name, .. } => name.as_str(),
            FieldSetPart::On { type_name, .. } => type_name.as_str(),
        }));
        let words = format!(
            "`{there}` is entered by `{}`, but {missing} cannot be had from `{here}`",
            key.text
        );
        (at(key.span), words)
    }

    /// The field by which the path came here.
    fn arrival(&self, state: usize, positions: &[Position]) -> Option<(Spot, String)> {
        let mut state = state;
        loop {
            let (before, step) = self.states[state].parent.as_ref()?;
            if let Step::Field(name) = step {
                let parent = &self.states[*before].type_name;
                let field = self.merged.types.get(parent)?.fields.get(name)?;
                let source = positions.first()?.source;
                let holding = field.sources.iter().find(|holding| holding.source == source)?;
                let own = declared(self.subgraphs, self.merged, parent, name, holding)?;
                return Some((
                    Spot { source, span: own.span },
                    format!("the path comes here by `{parent}.{name}`"),
                ));
            }
            state = *before;
        }
    }

    /// The path as a document.
    fn path(&self, state: usize, last: &Name) -> String {
        let mut steps = Vec::new();
        let mut at = state;
        while let Some((before, step)) = &self.states[at].parent {
            steps.push(step.clone());
            at = *before;
        }
        let mut text = self.states[at].type_name.to_lowercase();
        for step in steps.iter().rev() {
            match step {
                Step::Field(name) => text += &format!(" {{ {name}"),
                Step::On(name) => text += &format!(" {{ ... on {name}"),
            }
        }
        text += &format!(" {{ {last}");
        text + &" }".repeat(steps.len() + 1)
    }
}
