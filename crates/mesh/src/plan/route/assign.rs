//! Fields to groups: each field gets a place that gives it.
//!
//! What is fetched already comes first; then, of the sources that remain, the one that gives most of
//! what is missing, by the fewest new calls and the fewest stages. A field is placed once, and
//! everything below it at once, so that planning takes a number of steps that grows with the document
//! and not with the number of ways through the graph.

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::{OperationType, Type};
use base::Kind;
use schema::graph::{FieldSet, FieldSetPart};

use super::draft::{Asked, Draft, DraftBelow, DraftFace, DraftField, Given, Parent, Seat, Slot};
use super::reach::Reach;
use crate::error::GraphqlError;
use crate::plan::{Inner, PlannedField, Resolve, Selection};

/// A field that is still to be placed, a source that gives it, and what follows below.
struct Choice {
    source: usize,
    below: u32,
    requires: bool,
}

impl<'a> Draft<'a> {
    /// Plans what a selection asks of a node.
    pub(super) fn fill(
        &mut self,
        node: usize,
        selection: &'a Selection,
    ) -> Result<(), GraphqlError> {
        let first = self.nodes[node].fields.len();
        self.nodes[node].fields.extend(selection.fields.iter().map(shown));
        let fields = first..self.nodes[node].fields.len();
        let is_root = self.nodes[node].parent.is_none();
        if is_root && self.operation != OperationType::Query {
            return fields.into_iter().try_for_each(|field| self.begin(node, field));
        }
        self.assign(node, fields.clone().collect())?;
        // What the answer asks for is there, so that what is computed of it is asked once.
        fields.into_iter().try_for_each(|field| self.compute(node, field))
    }

    /// Places fields of a node.
    pub(super) fn assign(&mut self, node: usize, fields: Vec<usize>) -> Result<(), GraphqlError> {
        let mut rest = Vec::new();
        for field in fields {
            self.charge()?;
            if self.is_placed(node, field) {
                continue;
            }
            match self.best_seat(node, field) {
                Some(seat) => self.put(node, field, seat)?,
                None => rest.push(field),
            }
        }
        while !rest.is_empty() {
            // What was placed below may have brought fields of this node along, or a source.
            let mut still = Vec::new();
            for field in std::mem::take(&mut rest) {
                match self.is_placed(node, field) {
                    true => {}
                    false => match self.best_seat(node, field) {
                        Some(seat) => self.put(node, field, seat)?,
                        None => still.push(field),
                    },
                }
            }
            rest = still;
            let Some(first) = rest.first().copied() else { break };
            let reach = self.reach(node);
            let choices: Vec<(usize, Vec<Choice>)> =
                rest.iter().map(|field| (*field, self.choices(node, *field, &reach))).collect();
            if let Some((field, _)) = choices.iter().find(|(_, choices)| choices.is_empty()) {
                return Err(self.unanswered(node, *field));
            }
            match best_source(&choices, &reach) {
                Some(source) => {
                    let seat = self.ensure(node, source, &reach)?;
                    for (field, choices) in &choices {
                        let wants = choices.iter().any(|it| it.source == source && !it.requires);
                        if wants && !self.is_placed(node, *field) {
                            self.put(node, *field, seat)?;
                        }
                    }
                }
                None => {
                    let source = choices[0].1[0].source;
                    self.put_required(node, first, source)?;
                }
            }
        }
        Ok(())
    }

    fn is_placed(&self, node: usize, field: usize) -> bool {
        let field = &self.nodes[node].fields[field];
        let needs_none = field.shown.is_some_and(|shown| {
            matches!(shown.resolve, Resolve::Typename | Resolve::Introspection)
                || shown.inputs.is_some()
        });
        needs_none || !field.from.is_empty()
    }

    fn unanswered(&self, node: usize, field: usize) -> GraphqlError {
        let (type_name, name) = (&self.nodes[node].type_name, &self.nodes[node].fields[field].name);
        let message = format!("no source that can be reached answers `{type_name}.{name}` here");
        GraphqlError::new(Kind::Internal, message)
    }

    /// The slot at hand that gives a field with the least below it.
    fn best_seat(&mut self, node: usize, field: usize) -> Option<Seat> {
        let name = self.nodes[node].fields[field].name.clone();
        let seats = self.seats(node).into_iter().filter(|seat| self.gives(node, *seat, &name));
        let mut seats: Vec<Seat> = seats.collect();
        if seats.len() > 1 {
            seats.sort_by_cached_key(|seat| {
                self.cost_at(node, field, self.slot(node, *seat).source)
            });
        }
        seats.first().copied()
    }

    /// Whether a slot gives a field by itself.
    pub(super) fn gives(&self, node: usize, seat: Seat, name: &Name) -> bool {
        let slot = self.slot(node, seat);
        let offer = self.atlas.offer(&self.nodes[node].type_name, name, slot.source);
        let is_plain = offer.is_some_and(|offer| offer.is_plain() && offer.on == slot.on);
        is_plain || (offer.is_some() && provided(&slot.provided, name).is_some())
    }

    /// The sources that could give a field, with the least below it.
    fn choices(&mut self, node: usize, field: usize, reach: &Reach) -> Vec<Choice> {
        let atlas = self.atlas;
        let type_name = self.nodes[node].type_name.clone();
        let name = self.nodes[node].fields[field].name.clone();
        let mut found = Vec::new();
        for offer in atlas.offers(&type_name, &name) {
            let requires = offer.requires.is_some();
            let reached = if requires {
                reach.by_key(offer.source).is_some()
            } else {
                reach.get(offer.source).is_some()
            };
            if !offer.external && reached {
                found.push(Choice { source: offer.source, below: 0, requires });
            }
        }
        if found.iter().any(|choice| !choice.requires) {
            found.retain(|choice| !choice.requires);
        }
        if found.len() > 1 {
            for choice in &mut found {
                choice.below = self.cost_at(node, field, choice.source);
            }
            let least = found.iter().map(|choice| choice.below).min();
            found.retain(|choice| Some(choice.below) == least);
        }
        found
    }

    /// Places a root field of a mutation or a subscription: a call of its own, after everything that was
    /// planned before.
    fn begin(&mut self, node: usize, field: usize) -> Result<(), GraphqlError> {
        if self.is_placed(node, field) {
            return Ok(());
        }
        let name = self.nodes[node].fields[field].name.clone();
        let type_name = self.nodes[node].type_name.clone();
        let offers = self.atlas.offers(&type_name, &name).iter();
        let mut sources: Vec<usize> =
            offers.filter(|offer| offer.is_plain()).map(|offer| offer.source).collect();
        sources.sort_by_cached_key(|source| self.cost_at(node, field, *source));
        let Some(source) = sources.first().copied() else {
            return Err(self.unanswered(node, field));
        };
        let after = (0..self.groups.len()).collect();
        let seat = self.open_root(node, source, self.operation, after)?;
        self.put(node, field, seat)
    }

    /// Places a field whose source needs other fields of the object.
    fn put_required(
        &mut self,
        node: usize,
        field: usize,
        source: usize,
    ) -> Result<(), GraphqlError> {
        if self.requiring.contains(&(node, field)) {
            return Err(self.unanswered(node, field));
        }
        let atlas = self.atlas;
        let type_name = self.nodes[node].type_name.clone();
        let name = self.nodes[node].fields[field].name.clone();
        let offer = atlas.offer(&type_name, &name, source);
        let Some(requires) = offer.and_then(|offer| offer.requires.as_ref()) else {
            return Err(self.unanswered(node, field));
        };
        self.requiring.push((node, field));
        let parts = self.hold(node, requires, false)?;
        self.requiring.pop();
        let mut inputs = std::collections::BTreeSet::new();
        self.gather(node, &parts, &mut inputs);
        // A call that is made anyway takes the inputs along, unless they come from its own answer.
        let extras = self.nodes[node].extras.iter().enumerate();
        let known = extras.filter(|(_, slot)| slot.source == source).find(|(_, slot)| {
            self.groups[slot.group].entity.is_some()
                && !inputs.iter().any(|input| self.needs(*input, slot.group))
        });
        let seat = match known.map(|(index, _)| Seat::Extra(index)) {
            Some(seat) => seat,
            None => {
                let reach = self.reach(node);
                let Some(access) = reach.by_key(source) else {
                    return Err(self.unanswered(node, field));
                };
                self.open(node, &atlas.access(&type_name)[access])?
            }
        };
        let group = self.slot(node, seat).group;
        let depth = inputs.iter().map(|input| self.groups[*input].depth + 1).max().unwrap_or(0);
        let group = &mut self.groups[group];
        group.after.extend(inputs);
        group.depth = group.depth.max(depth);
        if let Some(entity) = &mut group.entity {
            merge(&mut entity.parts, parts);
        }
        self.put(node, field, seat)
    }

    /// Places a field in a slot, and everything below it.
    pub(super) fn put(
        &mut self,
        node: usize,
        field: usize,
        seat: Seat,
    ) -> Result<(), GraphqlError> {
        self.charge()?;
        let atlas = self.atlas;
        let slot = self.slot(node, seat).clone();
        let type_name = self.nodes[node].type_name.clone();
        let (name, arguments, shown) = {
            let field = &self.nodes[node].fields[field];
            (field.name.clone(), field.arguments.clone(), field.shown)
        };
        let Some(offer) = atlas.offer(&type_name, &name, slot.source) else {
            return Err(self.unanswered(node, field));
        };
        let inner = offer.ty.inner_named_type();
        let sdl = atlas.sdl(slot.source);
        let is_leaf = sdl.and_then(|sdl| sdl.types.get(inner)).is_none_or(|ty| ty.is_leaf());
        let is_abstract = (!is_leaf).then(|| atlas.is_abstract_in(slot.source, inner));
        let when = shown.map(|shown| &shown.when);
        let when = when.filter(|when| !when.0.iter().any(Vec::is_empty));
        let asked = Asked {
            key: shown.map_or(name.as_str(), |shown| &shown.key),
            name: &name,
            arguments: &arguments,
            shape: shape(&offer.ty, is_leaf),
            when,
            is_abstract,
        };
        let (key, set) = self.enter(slot.set, &slot.on, asked);
        let is_first = self.nodes[node].fields[field].from.is_empty();
        self.nodes[node].fields[field].from.push((seat, key));
        let Some(set) = set else { return Ok(()) };
        let mut below = provided(&slot.provided, &name).cloned().unwrap_or_default();
        below.0.extend(offer.provides.iter().flat_map(|provides| provides.0.iter().cloned()));
        let base = Slot { set, on: inner.clone(), provided: below, ..slot };
        match is_first {
            true => self.descend(node, field, base),
            false => {
                self.add_base(node, field, &base);
                Ok(())
            }
        }
    }

    /// Makes the nodes below a field.
    fn descend(&mut self, node: usize, field: usize, base: Slot) -> Result<(), GraphqlError> {
        let parent = Some(Parent { node, field: Some(field) });
        let shown: Option<&'a PlannedField> = self.nodes[node].fields[field].shown;
        let by_type = match shown.map(|shown| &shown.inner) {
            Some(Inner::Object(selection)) => {
                let child = self.add_node(selection.type_name.clone(), parent);
                self.nodes[child].bases.push(base);
                self.nodes[node].fields[field].below = DraftBelow::One(child);
                return self.fill(child, selection);
            }
            Some(Inner::Abstract(by_type)) => Some(by_type),
            _ => None,
        };
        if let Some(by_type) = by_type
            && self.atlas.is_face(base.source, &base.on)
        {
            return self.face(node, field, base, by_type);
        }
        let is_abstract = self.sets[base.set].is_abstract;
        let mut children = Vec::new();
        for object in self.atlas.possible(base.source, &base.on) {
            let selection = by_type.and_then(|by_type| by_type.get(&object));
            if by_type.is_some() && selection.is_none() {
                // The API does not know the type.
                continue;
            }
            let child = self.add_node(object.clone(), parent);
            self.nodes[child].bases.push(Slot { on: object.clone(), ..base.clone() });
            children.push((object, child, selection));
        }
        let named = children.iter().map(|(name, child, _)| (name.clone(), *child));
        self.nodes[node].fields[field].below = match (is_abstract, children.as_slice()) {
            (false, [(_, child, _)]) => DraftBelow::One(*child),
            _ => DraftBelow::ByType(named.collect()),
        };
        for (_, child, selection) in children {
            if let Some(selection) = selection {
                self.fill(child, selection)?;
            }
        }
        Ok(())
    }

    /// The node of a field whose source has an interface as an object. Where all types are asked the
    /// same it is enough; else another source tells the type first.
    fn face(
        &mut self,
        node: usize,
        field: usize,
        base: Slot,
        by_type: &'a std::collections::HashMap<Name, Selection>,
    ) -> Result<(), GraphqlError> {
        let atlas = self.atlas;
        let name = base.on.clone();
        let parent = Some(Parent { node, field: Some(field) });
        let face = self.add_node(name.clone(), parent);
        self.nodes[face].bases.push(base.clone());
        self.nodes[node].fields[field].below = DraftBelow::One(face);
        let mut selections: Vec<(&Name, &'a Selection)> = by_type.iter().collect();
        selections.sort_unstable_by_key(|(name, _)| name.as_str());
        if let Some((_, first)) = selections.first()
            && selections.iter().all(|(_, other)| is_same(first, other))
            && first.fields.iter().all(|field| !atlas.offers(&name, &field.name).is_empty())
        {
            return self.fill(face, first);
        }
        let reach = self.reach(face);
        let sources =
            (0..atlas.graph.sources.len()).filter(|source| !atlas.is_face(*source, &name));
        let Some(telling) = sources.filter_map(|source| reach.by_key(source)).next() else {
            let message = format!("no source that can be reached tells the type of a `{name}`");
            return Err(GraphqlError::new(Kind::Internal, message));
        };
        let seat = self.open(face, &atlas.access(&name)[telling])?;
        let told = self.slot(face, seat).clone();
        self.sets[told.set].asks_typename = true;
        let known = atlas.possible(told.source, &name);
        let mut children = Vec::new();
        for (object, selection) in selections {
            if known.contains(object) {
                let child = self.add_node(object.clone(), Some(Parent { node: face, field: None }));
                let told = Slot { on: object.clone(), ..told.clone() };
                self.nodes[child].bases.extend([told, base.clone()]);
                children.push((object.clone(), child, selection));
            }
        }
        let named = children.iter().map(|(name, child, _)| (name.clone(), *child)).collect();
        self.nodes[face].face = Some(DraftFace { seat, by_type: named });
        children.into_iter().try_for_each(|(_, child, selection)| self.fill(child, selection))
    }

    /// Adds a further source to the objects below a field.
    fn add_base(&mut self, node: usize, field: usize, base: &Slot) {
        let known = self.atlas.possible(base.source, &base.on);
        for child in self.nodes[node].fields[field].below.nodes() {
            let on = self.nodes[child].type_name.clone();
            let is_dead = !known.contains(&on);
            self.nodes[child].bases.push(Slot { on, is_dead, ..base.clone() });
            let depth = self.groups[base.group].depth + 1;
            for below in self.groups_below(child) {
                let below = &mut self.groups[below];
                below.after.insert(base.group);
                below.depth = below.depth.max(depth);
            }
        }
    }
}

/// The source that gives most fields without inputs, by the fewest calls and stages.
fn best_source(choices: &[(usize, Vec<Choice>)], reach: &Reach) -> Option<usize> {
    let plain = choices.iter().flat_map(|(_, choices)| choices).filter(|choice| !choice.requires);
    let mut sources: Vec<usize> = plain.map(|choice| choice.source).collect();
    sources.sort_unstable();
    sources.dedup();
    sources.into_iter().min_by_key(|source| {
        let gives = |choices: &[Choice]| {
            choices.iter().any(|choice| choice.source == *source && !choice.requires)
        };
        let count = choices.iter().filter(|(_, choices)| gives(choices)).count();
        (std::cmp::Reverse(count), reach.get(*source), *source)
    })
}

pub(super) fn shown(field: &PlannedField) -> DraftField<'_> {
    DraftField {
        shown: Some(field),
        is_input: false,
        also: Vec::new(),
        computed: None,
        name: field.name.clone(),
        ty: field.ty.clone(),
        arguments: Arc::new(given(field)),
        from: Vec::new(),
        below: DraftBelow::Leaf,
    }
}

pub(super) fn given(field: &PlannedField) -> Given {
    let mut given = Given::default();
    for (name, value) in field.arguments.given() {
        let separator = if given.text.is_empty() { "" } else { "," };
        let value_text = value.serialize().no_indent().to_string();
        given.text.push_str(&format!("{separator}{name}:{value_text}"));
        variables(value, &mut given.variables);
    }
    given
}

fn variables(value: &apollo_compiler::ast::Value, into: &mut Vec<Name>) {
    use apollo_compiler::ast::Value as Literal;
    match value {
        Literal::Variable(name) if !into.contains(name) => into.push(name.clone()),
        Literal::List(items) => items.iter().for_each(|item| variables(item, into)),
        Literal::Object(fields) => fields.iter().for_each(|(_, value)| variables(value, into)),
        _ => {}
    }
}

/// What is provided below a field; nothing when the field is not.
pub(super) fn provided<'s>(set: &'s FieldSet, name: &Name) -> Option<&'s FieldSet> {
    set.0.iter().find_map(|part| match part {
        FieldSetPart::Field { name: own, inner } if own == name => Some(inner),
        FieldSetPart::Field { .. } => None,
        FieldSetPart::On { inner, .. } => provided(inner, name),
    })
}

/// A type without the names of objects.
fn shape(ty: &Type, is_leaf: bool) -> String {
    let text = ty.to_string();
    if is_leaf { text } else { text.replace(ty.inner_named_type().as_str(), "{}") }
}

/// Whether two types are asked the same, and not which of them it is.
fn is_same(one: &Selection, other: &Selection) -> bool {
    let fields = |field: &PlannedField| (field.key.clone(), field.name.clone());
    one.fields.len() == other.fields.len()
        && one.fields.iter().zip(&other.fields).all(|(one, other)| {
            fields(one) == fields(other)
                && one.resolve != Resolve::Typename
                && one.when == other.when
                && one.ty == other.ty
                && given(one) == given(other)
                && one.locations == other.locations
        })
}

/// Adds parts of a representation to others.
pub(super) fn merge(into: &mut Vec<super::draft::DraftPart>, parts: Vec<super::draft::DraftPart>) {
    for part in parts {
        let same = |known: &&mut super::draft::DraftPart| {
            known.field == part.field && known.key == part.key
        };
        match into.iter_mut().find(same) {
            None => into.push(part),
            Some(known) => {
                known.is_key |= part.is_key;
                for (node, inner) in part.inner {
                    match known.inner.iter_mut().find(|(own, _)| *own == node) {
                        Some((_, own)) => merge(own, inner),
                        None => known.inner.push((node, inner)),
                    }
                }
            }
        }
    }
}
