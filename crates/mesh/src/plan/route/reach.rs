//! From the objects of a node to another source: by what is above, or by a key.
//!
//! Keys are searched breadth first: what can be had of the sources at hand first, then what can be had
//! through one of those that are reached so, and so on. A source that answers the field above as well
//! is reached without a key, at the same time as the first one.

use std::collections::BTreeSet;

use apollo_compiler::Name;
use apollo_compiler::ast::OperationType;
use schema::graph::{FieldSet, FieldSetPart};

use super::assign::{merge, provided};
use super::atlas::Access;
use super::draft::{Draft, DraftBelow, DraftField, DraftPart, Entity, Given, Seat, Slot};
use crate::error::GraphqlError;

/// How each source is reached from a node.
pub(super) struct Reach {
    by_source: Vec<Reached>,
    /// Stages before the objects of the node are there.
    depth: usize,
}

#[derive(Clone, Default)]
struct Reached {
    seat: Option<Seat>,
    /// By the field above: new calls and stages.
    above: Option<(usize, usize)>,
    /// By a key: how many calls, and which access.
    key: Option<(usize, usize)>,
}

/// New calls, then stages.
pub(super) type Price = (usize, usize);

impl Reach {
    /// What it takes to reach a source; nothing when it cannot be.
    pub(super) fn get(&self, source: usize) -> Option<Price> {
        let reached = self.by_source.get(source)?;
        if reached.seat.is_some() {
            return Some((0, self.depth));
        }
        let key = reached.key.map(|(calls, _)| (calls, self.depth + calls));
        [reached.above, key].into_iter().flatten().min()
    }

    /// By which access of the type a source is reached by key.
    pub(super) fn by_key(&self, source: usize) -> Option<usize> {
        self.by_source.get(source)?.key.map(|(_, access)| access)
    }
}

impl<'a> Draft<'a> {
    /// How each source is reached from a node.
    pub(super) fn reach(&self, node: usize) -> Reach {
        let sources = self.atlas.graph.sources.len();
        let mut reach = Reach { by_source: vec![Reached::default(); sources], depth: 0 };
        for slot in &self.nodes[node].bases {
            reach.depth = reach.depth.max(self.groups[slot.group].depth);
        }
        for seat in self.seats(node) {
            if let Some(reached) = reach.by_source.get_mut(self.slot(node, seat).source) {
                reached.seat.get_or_insert(seat);
            }
        }
        self.reach_above(node, &mut reach);
        self.reach_by_key(node, &mut reach);
        for (at, source) in &self.opening {
            if *at == node
                && let Some(reached) = reach.by_source.get_mut(*source)
            {
                (reached.above, reached.key) = (None, None);
            }
        }
        reach
    }

    /// The sources that answer the field above too.
    fn reach_above(&self, node: usize, reach: &mut Reach) {
        let Some((parent, field)) =
            self.nodes[node].parent.and_then(|it| Some((it.node, it.field?)))
        else {
            return;
        };
        if self.operation != OperationType::Query && self.nodes[parent].parent.is_none() {
            return;
        }
        let offers = self
            .atlas
            .offers(&self.nodes[parent].type_name, &self.nodes[parent].fields[field].name);
        let is_new = |source: usize| self.nodes[node].bases.iter().all(|it| it.source != source);
        let type_name = &self.nodes[node].type_name;
        let offers = offers.iter().filter(|offer| {
            let inner = offer.ty.inner_named_type();
            offer.is_plain()
                && is_new(offer.source)
                && !self.atlas.is_face(offer.source, inner)
                && self.atlas.possible(offer.source, inner).contains(type_name)
        });
        let offers: Vec<_> = offers.collect();
        if offers.is_empty() {
            return;
        }
        let above = self.reach(parent);
        for offer in offers {
            let source = offer.source;
            let Some(reached) = above.by_source.get(source) else { continue };
            // A call that waits for something below this field cannot give the field.
            let is_circle = reached.seat.is_some_and(|seat| {
                let slot = self.slot(parent, seat);
                slot.on != offer.on || self.waits_for(slot.group, parent, field)
            });
            if !is_circle && let Some(own) = reach.by_source.get_mut(source) {
                own.above = match reached.seat {
                    Some(seat) => Some((0, self.groups[self.slot(parent, seat).group].depth)),
                    None => above.get(source),
                };
            }
        }
    }

    /// Whether a group needs a call that is made below a field.
    fn waits_for(&self, group: usize, node: usize, field: usize) -> bool {
        if self.groups[group].after.is_empty() {
            return false;
        }
        let below = self.nodes[node].fields[field].below.nodes();
        below.into_iter().flat_map(|child| self.groups_below(child)).any(|it| self.needs(group, it))
    }

    fn reach_by_key(&self, node: usize, reach: &mut Reach) {
        let type_name = &self.nodes[node].type_name;
        let access = self.atlas.access(type_name);
        let known = |reach: &Reach| -> Vec<usize> {
            let all = reach.by_source.iter().enumerate();
            let known =
                all.filter(|(_, it)| it.seat.is_some() || it.above.is_some() || it.key.is_some());
            known.map(|(source, _)| source).collect()
        };
        let mut sources = known(reach);
        for calls in 1..=reach.by_source.len() {
            for (index, access) in access.iter().enumerate() {
                let is_open = !self.opening.contains(&(node, access.source));
                let is_new = reach.by_source.get(access.source).is_some_and(|it| it.key.is_none());
                if is_open
                    && is_new
                    && self.is_held(node, &sources, &access.key)
                    && let Some(reached) = reach.by_source.get_mut(access.source)
                {
                    reached.key = Some((calls, index));
                }
            }
            let more = known(reach);
            if more.len() == sources.len() {
                return;
            }
            sources = more;
        }
    }

    /// Whether a key can be read off the slots of a node or of sources that are reached.
    fn is_held(&self, node: usize, sources: &[usize], key: &FieldSet) -> bool {
        let type_name = &self.nodes[node].type_name;
        key.0.iter().all(|part| {
            let part = FieldSet(vec![part.clone()]);
            sources.iter().any(|source| self.atlas.answers(*source, type_name, &part))
                || self.seats(node).into_iter().any(|seat| {
                    let slot = self.slot(node, seat);
                    is_provided(&slot.provided, &part)
                })
        })
    }

    /// A slot of the node for a source, by the cheapest way.
    pub(super) fn ensure(
        &mut self,
        node: usize,
        source: usize,
        reach: &Reach,
    ) -> Result<Seat, GraphqlError> {
        let atlas = self.atlas;
        let reached = reach.by_source.get(source).cloned().unwrap_or_default();
        let by_key = reached.key.map(|(calls, _)| (calls, reach.depth + calls));
        if let Some(above) = reached.above
            && by_key.is_none_or(|by_key| above <= by_key)
        {
            return self.lift(node, source);
        }
        let type_name = self.nodes[node].type_name.clone();
        match reached.key {
            Some((_, access)) => self.open(node, &atlas.access(&type_name)[access]),
            None => self.lift(node, source),
        }
    }

    /// Asks a further source for the field above, so that it gives the objects of this node too.
    fn lift(&mut self, node: usize, source: usize) -> Result<Seat, GraphqlError> {
        let parent = self.nodes[node].parent.and_then(|it| Some((it.node, it.field?)));
        let Some((parent, field)) = parent else {
            return Err(self.unreached(node, source));
        };
        let reach = self.reach(parent);
        let seat = match reach.by_source.get(source).and_then(|reached| reached.seat) {
            Some(seat) => seat,
            None => self.ensure(parent, source, &reach)?,
        };
        self.put(parent, field, seat)?;
        let bases = &self.nodes[node].bases;
        let found = bases.iter().rposition(|slot| slot.source == source && !slot.is_dead);
        found.map(Seat::Base).ok_or_else(|| self.unreached(node, source))
    }

    fn unreached(&self, node: usize, source: usize) -> GraphqlError {
        let (type_name, source) = (&self.nodes[node].type_name, self.atlas.source_name(source));
        let message = format!("`{source}` cannot be reached from a `{type_name}` here");
        GraphqlError::new(base::Kind::Internal, message)
    }

    /// Makes a call of a source for the objects of a node.
    pub(super) fn open(&mut self, node: usize, access: &Access) -> Result<Seat, GraphqlError> {
        if access.key.0.is_empty() {
            let after = self.bases_of(node);
            return self.open_root(node, access.source, OperationType::Query, after);
        }
        self.opening.push((node, access.source));
        let parts = self.hold(node, &access.key, true);
        self.opening.pop();
        let parts = parts?;
        let mut after = self.bases_of(node);
        self.gather(node, &parts, &mut after);
        let entity = Entity { on: access.on.clone(), key: access.key.clone(), parts };
        let group = self.add_group(access.source, node, Some(entity), after)?;
        Ok(self.seat(node, group, access.on.clone()))
    }

    /// Makes a call of root fields.
    pub(super) fn open_root(
        &mut self,
        node: usize,
        source: usize,
        operation: OperationType,
        after: BTreeSet<usize>,
    ) -> Result<Seat, GraphqlError> {
        let Some(on) = self.atlas.root_in(source, operation).cloned() else {
            return Err(self.unreached(node, source));
        };
        let group = self.add_group(source, node, None, after)?;
        Ok(self.seat(node, group, on))
    }

    fn seat(&mut self, node: usize, group: usize, on: Name) -> Seat {
        let (source, set) = (self.groups[group].source, self.groups[group].set);
        let provided = FieldSet::default();
        let slot = Slot { group, source, set, on, provided, is_dead: false };
        self.nodes[node].extras.push(slot);
        Seat::Extra(self.nodes[node].extras.len() - 1)
    }

    /// Plans fields that are only passed on. Out: how a representation reads them.
    pub(super) fn hold(
        &mut self,
        node: usize,
        set: &FieldSet,
        is_key: bool,
    ) -> Result<Vec<DraftPart>, GraphqlError> {
        self.charge()?;
        let mut parts = Vec::new();
        for part in &set.0 {
            match part {
                FieldSetPart::Field { name, .. } if name == "__typename" => {}
                FieldSetPart::Field { name, inner } => {
                    let field = self.held(node, name);
                    self.assign(node, vec![field])?;
                    self.always(node, field);
                    let mut below = Vec::new();
                    if !inner.0.is_empty() {
                        for child in self.nodes[node].fields[field].below.nodes() {
                            below.push((child, self.hold(child, inner, is_key)?));
                        }
                    }
                    merge(&mut parts, vec![DraftPart { field, key: None, is_key, inner: below }]);
                }
                FieldSetPart::On { type_name, inner } => {
                    if self.atlas.applies(type_name, &self.nodes[node].type_name) {
                        let inner = self.hold(node, inner, is_key)?;
                        merge(&mut parts, inner);
                    }
                }
            }
        }
        Ok(parts)
    }

    /// The field of this name without arguments: one that is asked anyway, or a new one.
    fn held(&mut self, node: usize, name: &Name) -> usize {
        let fields = self.nodes[node].fields.iter();
        let mut known = fields
            .enumerate()
            .filter(|(_, field)| field.name == *name && field.arguments.text.is_empty())
            .filter(|(_, field)| !is_computed(field));
        if let Some((index, _)) = known.next() {
            return index;
        }
        let offers = self.atlas.offers(&self.nodes[node].type_name, name);
        let ty = offers.first().map(|offer| offer.ty.clone());
        let field = DraftField {
            shown: None,
            is_input: false,
            also: Vec::new(),
            computed: None,
            name: name.clone(),
            ty: ty.unwrap_or_else(|| apollo_compiler::ty!(String)),
            arguments: std::sync::Arc::new(Given::default()),
            from: Vec::new(),
            below: DraftBelow::Leaf,
        };
        self.nodes[node].fields.push(field);
        self.nodes[node].fields.len() - 1
    }

    /// A field that is passed on is asked whatever the conditions of the answer are.
    fn always(&mut self, node: usize, field: usize) {
        let from: Vec<(Seat, String)> = self.nodes[node].fields[field].from.clone();
        for (seat, key) in from {
            let slot = self.slot(node, seat);
            let (set, on) = (slot.set, slot.on.clone());
            let entries = self.sets[set].entries.get_mut(&on);
            if let Some(entry) = entries.and_then(|entries| entries.get_mut(&key)) {
                entry.when = None;
            }
        }
    }

    /// The groups that parts of a representation are read from.
    pub(super) fn gather(&self, node: usize, parts: &[DraftPart], into: &mut BTreeSet<usize>) {
        for part in parts {
            let from = self.nodes[node].fields[part.field].from.iter();
            into.extend(from.map(|(seat, _)| self.slot(node, *seat).group));
            if let Some(computed) = &self.nodes[node].fields[part.field].computed {
                self.gather(node, computed, into);
            }
            for (child, inner) in &part.inner {
                self.gather(*child, inner, into);
            }
        }
    }
}

/// Whether no source gives the field.
fn is_computed(field: &DraftField<'_>) -> bool {
    field.shown.is_some_and(|shown| shown.inputs.is_some())
}

/// Whether a set is provided whole.
fn is_provided(set: &FieldSet, wanted: &FieldSet) -> bool {
    wanted.0.iter().all(|part| match part {
        FieldSetPart::Field { name, inner } => {
            provided(set, name).is_some_and(|below| is_provided(below, inner))
        }
        FieldSetPart::On { .. } => false,
    })
}
