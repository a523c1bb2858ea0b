//! Objects, one by one: those that something is fetched for, and those above them.
//!
//! A node's objects are found in the order of those above them; each gets a number, which is put on it
//! in its tape. An object that is reached twice, as several objects refer to one entity, is one object.

use super::{Answers, Run, Spot, Stage};
use crate::plan::route::{Below, Route};
use crate::tape::Form;

/// What objects hang below, and where their positions stand on the stack.
struct Level<'a> {
    below: &'a Below,
    /// The group of each position.
    groups: &'a [usize],
    start: usize,
}

impl Run<'_> {
    /// Lists the objects that are known now.
    pub(super) fn expand(&mut self) {
        for index in 0..self.is_expanded.len() {
            let expansion = &self.route.expansions[index];
            let is_done = |group: &usize| self.stages[*group] == Stage::Done;
            if self.is_expanded[index] || !expansion.after.iter().all(is_done) {
                continue;
            }
            self.is_expanded[index] = true;
            let stack = std::mem::take(&mut self.scratch);
            self.scratch = match expansion.field {
                Some(field) => self.answers.expand_field(self.route, expansion.node, field, stack),
                None => self.answers.expand_face(self.route, expansion.node, stack),
            };
        }
    }
}

impl Answers {
    fn expand_field(
        &mut self,
        route: &Route,
        node: usize,
        field: usize,
        mut stack: Vec<Spot>,
    ) -> Vec<Spot> {
        let shape = &route.nodes[node];
        let field = &shape.fields[field];
        let groups: Vec<usize> = field.from.iter().map(|from| shape.slots[from.slot]).collect();
        for ordinal in 0..self.counts[node] {
            stack.clear();
            for from in &field.from {
                let spot = self.slot(route, node, ordinal, from.slot);
                stack.push(self.field(shape.slots[from.slot], spot, &from.key));
            }
            let level = Level { below: &field.below, groups: &groups, start: 0 };
            self.expand_value(route, &level, &mut stack);
        }
        stack
    }

    fn expand_value(&mut self, route: &Route, level: &Level<'_>, stack: &mut Vec<Spot>) {
        let spots = &stack[level.start..];
        match self.first(level.groups, spots) {
            Some((_, Form::Object)) => self.expand_object(route, level, stack),
            Some((_, Form::List)) => {
                let mut next = self.items(level.groups, spots);
                let start = stack.len();
                while self.next_items(level.groups, &mut next, stack) {
                    let level = Level { start, ..*level };
                    self.expand_value(route, &level, stack);
                    stack.truncate(start);
                }
            }
            _ => {}
        }
    }

    fn expand_object(&mut self, route: &Route, level: &Level<'_>, stack: &[Spot]) {
        let spots = &stack[level.start..];
        let Some((first, _)) = self.first(level.groups, spots) else { return };
        let Some(child) = self.node(level.below, level.groups[first], spots[first]) else { return };
        self.list(route, child, level.groups, spots);
    }

    /// Adds an object to a node, unless it is there. An entity that several objects share has a number
    /// from the first of them; another one is numbered where it differs.
    fn list(&mut self, route: &Route, node: usize, groups: &[usize], spots: &[Spot]) {
        if self.ordinal(route, node, groups, spots).is_some() {
            return;
        }
        for (group, spot) in groups.iter().zip(spots) {
            let (Some(at), Some(tape)) = (spot.at(), &mut self.tapes[*group]) else { continue };
            if tape.form(at) == Form::Object && tape.tag(at).is_none() {
                tape.set_tag(at, self.counts[node] as u32);
                self.counts[node] += 1;
                self.objects[node].extend(spots.iter().take(route.nodes[node].bases));
                return;
            }
        }
    }

    /// The number of an object of a node, by the positions of its bases.
    pub(crate) fn ordinal(
        &self,
        route: &Route,
        node: usize,
        groups: &[usize],
        spots: &[Spot],
    ) -> Option<usize> {
        let bases = route.nodes[node].bases;
        let spots = spots.get(..bases)?;
        groups.iter().zip(spots).find_map(|(group, spot)| {
            let tag = self.tapes[*group].as_ref()?.tag(spot.at()?)? as usize;
            let known = self.objects[node].get(tag * bases..(tag + 1) * bases)?;
            (known == spots).then_some(tag)
        })
    }

    /// The objects below a face: they have the numbers of those of the face, as many of which are of
    /// another type.
    fn expand_face(&mut self, route: &Route, node: usize, stack: Vec<Spot>) -> Vec<Spot> {
        let shape = &route.nodes[node];
        let Some(face) = &shape.face else { return stack };
        let group = shape.slots[face.slot];
        let count = self.counts[node];
        for (_, child) in &face.by_type {
            self.counts[*child] = count;
            self.objects[*child] = vec![Spot::NONE; count * route.nodes[*child].bases];
        }
        for ordinal in 0..count {
            let told = self.slot(route, node, ordinal, face.slot);
            if self.form(group, told) != Some(Form::Object) {
                continue;
            }
            let Some(child) = self.by_type(&face.by_type, group, told) else { continue };
            let start = ordinal * route.nodes[child].bases;
            self.objects[child][start] = told;
            for base in 0..shape.bases {
                let spot = self.slot(route, node, ordinal, base);
                self.objects[child][start + 1 + base] = spot;
            }
        }
        stack
    }

    /// The first of several positions of one value that is an object or a list.
    pub(crate) fn first(&self, groups: &[usize], spots: &[Spot]) -> Option<(usize, Form)> {
        let forms = groups.iter().zip(spots).map(|(group, spot)| self.form(*group, *spot));
        let mut found = forms.enumerate().filter_map(|(index, form)| Some((index, form?)));
        found.find(|(_, form)| matches!(form, Form::Object | Form::List))
    }

    /// The node of an object.
    pub(crate) fn node(&self, below: &Below, group: usize, spot: Spot) -> Option<usize> {
        match below {
            Below::One(node) => Some(*node),
            Below::ByType(by_type) => self.by_type(by_type, group, spot),
            _ => None,
        }
    }

    pub(crate) fn by_type(
        &self,
        by_type: &[(apollo_compiler::Name, usize)],
        group: usize,
        spot: Spot,
    ) -> Option<usize> {
        let tape = self.tapes[group].as_ref()?;
        let name = tape.get(spot.at()?, "__typename")?;
        let name = tape.inside(name);
        let found = by_type.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, node)| *node)
    }

    /// Where the items of lists begin.
    pub(crate) fn items(&self, groups: &[usize], spots: &[Spot]) -> Vec<Spot> {
        let first = |(group, spot): (&usize, &Spot)| match (self.form(*group, *spot), spot.at()) {
            (Some(Form::List), Some(at)) => Spot::of(crate::tape::At(at.0 + 1)),
            (Some(Form::Null), Some(at)) => {
                // Why there is no list is why there are no items.
                let fault = self.faults.at(*group, at).first();
                fault.map_or(Spot::NONE, |(fault, _)| Spot::failed(*fault))
            }
            (_, Some(_)) => Spot::NONE,
            (_, None) => *spot,
        };
        groups.iter().zip(spots).map(first).collect()
    }

    /// Puts the next item of each list on the stack; false when the first list that there is has ended.
    pub(crate) fn next_items(
        &self,
        groups: &[usize],
        next: &mut [Spot],
        stack: &mut Vec<Spot>,
    ) -> bool {
        let start = stack.len();
        let mut goes_on = None;
        for (group, next) in groups.iter().zip(next) {
            let (Some(at), Some(tape)) = (next.at(), &self.tapes[*group]) else {
                stack.push(*next);
                continue;
            };
            let is_item = tape.form(at) != Form::Close;
            goes_on.get_or_insert(is_item);
            stack.push(if is_item { *next } else { Spot::NONE });
            *next = if is_item { Spot::of(tape.after(at)) } else { *next };
        }
        let goes_on = goes_on.unwrap_or(false);
        if !goes_on {
            stack.truncate(start);
        }
        goes_on
    }
}
