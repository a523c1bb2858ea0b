//! A finished draft as a route: slots get numbers, texts are printed, what must be listed is found.

use std::collections::{BTreeSet, HashMap};

use apollo_compiler::ast::OperationType;
use apollo_compiler::schema::ExtendedType;
use base::Kind;
use schema::graph::{FieldSet, FieldSetPart};

use super::draft::{Draft, DraftBelow, DraftField, DraftPart, Seat};
use super::print::print;
use super::{
    Below, Computed, Expansion, Face, Field, From, Group, Inner, Leaf, Node, Part, Representation,
    Route,
};
use crate::error::GraphqlError;
use crate::plan::{Conditions, Plan, Resolve};

/// The route of a draft.
pub(super) fn finish(draft: &Draft<'_>, plan: &Plan) -> Result<Route, GraphqlError> {
    let nodes: Vec<Node> = (0..draft.nodes.len()).map(|node| finish_node(draft, node)).collect();
    let mut whens = Whens { draft, known: HashMap::new() };
    let groups: Vec<Group> =
        (0..draft.groups.len()).map(|group| finish_group(draft, plan, group, &mut whens)).collect();
    let expansions = expansions(draft, &nodes);
    let route = Route { nodes, groups, expansions };
    match ends(&route) {
        true => Ok(route),
        false => {
            let message = "the calls of the operation wait for one another";
            Err(GraphqlError::new(Kind::Internal, message))
        }
    }
}

/// Whether every call can be made, as what it needs can be had before.
fn ends(route: &Route) -> bool {
    let mut is_done = vec![false; route.groups.len()];
    let mut open: Vec<usize> = (0..route.groups.len()).collect();
    loop {
        let count = open.len();
        open.retain(|group| {
            let ready = route.groups[*group].after.iter().all(|other| is_done[*other]);
            is_done[*group] |= ready;
            !ready
        });
        if open.is_empty() || open.len() == count {
            return open.is_empty();
        }
    }
}

/// The number of a slot.
fn number(draft: &Draft<'_>, node: usize, seat: Seat) -> usize {
    match seat {
        Seat::Base(index) => index,
        Seat::Extra(index) => draft.nodes[node].bases.len() + index,
    }
}

fn finish_node(draft: &Draft<'_>, index: usize) -> Node {
    let node = &draft.nodes[index];
    let slots = node.bases.iter().chain(&node.extras).map(|slot| slot.group).collect();
    let (shown, hidden): (Vec<_>, Vec<_>) = node.fields.iter().partition(|field| field.is_shown());
    let count = shown.len();
    let fields = shown.into_iter().chain(hidden);
    let face = node
        .face
        .as_ref()
        .map(|face| Face { slot: number(draft, index, face.seat), by_type: face.by_type.clone() });
    Node {
        type_name: node.type_name.clone(),
        bases: node.bases.len(),
        slots,
        fields: fields.map(|field| finish_field(draft, index, field)).collect(),
        shown: count,
        face,
    }
}

/// The position that a field of a draft gets.
fn position(draft: &Draft<'_>, node: usize, field: usize) -> usize {
    let fields = &draft.nodes[node].fields;
    let before = fields.iter().take(field);
    match fields[field].is_shown() {
        true => before.filter(|field| field.is_shown()).count(),
        false => {
            let shown = fields.iter().filter(|field| field.is_shown()).count();
            shown + before.filter(|field| !field.is_shown()).count()
        }
    }
}

fn finish_field(draft: &Draft<'_>, node: usize, field: &DraftField<'_>) -> Field {
    let from = field
        .from
        .iter()
        .map(|(seat, key)| From { slot: number(draft, node, *seat), key: key.as_str().into() });
    let key = field.shown.map_or_else(|| field.name.as_str().into(), |shown| shown.key.clone());
    let when = field.shown.map(|shown| &shown.when);
    Field {
        quoted: quoted(",", &key),
        key,
        name: field.name.clone(),
        parent: draft.nodes[node].type_name.clone(),
        ty: field.ty.clone(),
        when: when.filter(|when| !when.0.iter().any(Vec::is_empty)).cloned(),
        locations: field.shown.map_or_else(Vec::new, |shown| shown.locations.clone()),
        from: from.collect(),
        below: below(draft, node, field),
        timing: field.shown.and_then(|shown| shown.timing.clone()),
    }
}

/// A name as JSON before a value.
pub(super) fn quoted(before: &str, name: &str) -> Box<[u8]> {
    let mut out = before.as_bytes().to_vec();
    crate::respond::scalar::string(&mut out, name);
    out.push(b':');
    out.into()
}

fn below(draft: &Draft<'_>, node: usize, field: &DraftField<'_>) -> Below {
    let key = (draft.nodes[node].type_name.clone(), field.name.clone());
    if let (Some(drafted), Some(derived)) = (&field.computed, draft.atlas.graph.derived.get(&key)) {
        let mut groups = BTreeSet::new();
        draft.gather(node, drafted, &mut groups);
        let parts = parts(draft, node, drafted);
        let (derived, groups) = (derived.clone(), groups.into_iter().collect());
        return Below::Computed(Box::new(Computed { derived, parts, node, groups }));
    }
    match (field.shown.map(|shown| &shown.resolve), &field.below) {
        (Some(Resolve::Typename), _) => Below::Typename,
        (Some(Resolve::Introspection), _) => Below::Introspection,
        (_, DraftBelow::One(node)) => Below::One(*node),
        (_, DraftBelow::ByType(nodes)) => Below::ByType(nodes.clone()),
        (_, DraftBelow::Leaf) => Below::Leaf(leaf(draft, field)),
    }
}

fn leaf(draft: &Draft<'_>, field: &DraftField<'_>) -> Leaf {
    let name = field.ty.inner_named_type();
    match (name.as_str(), draft.atlas.graph.api.types.get(name)) {
        ("Int", _) => Leaf::Int,
        ("Float", _) => Leaf::Float,
        ("String", _) => Leaf::String,
        ("ID", _) => Leaf::Id,
        ("Boolean", _) => Leaf::Boolean,
        (_, Some(ExtendedType::Enum(values))) => {
            Leaf::Enum(values.values.keys().cloned().collect())
        }
        _ => Leaf::Any,
    }
}

fn finish_group(draft: &Draft<'_>, plan: &Plan, index: usize, whens: &mut Whens<'_>) -> Group {
    let group = &draft.groups[index];
    let node = &draft.nodes[group.node];
    let is_root = node.parent.is_none() && group.entity.is_none();
    let operation = if is_root { draft.operation } else { OperationType::Query };
    let is_mutation = operation == OperationType::Mutation;
    let printed = print(draft, plan, index, operation);
    let entity = group.entity.as_ref().map(|entity| {
        let mut open = b"{\"__typename\":".to_vec();
        crate::respond::scalar::string(&mut open, &entity.on);
        Representation {
            quoted: quoted("", &printed.representations),
            open: open.into(),
            parts: parts(draft, group.node, &entity.parts),
            shown: shown(&entity.key),
        }
    });
    let when = whens.when(index);
    Group {
        source: group.source,
        node: group.node,
        prefix: printed.prefix,
        text: printed.text,
        variables: printed.variables,
        is_mutation,
        after: group.after.iter().copied().collect(),
        when,
        entity,
    }
}

fn parts(draft: &Draft<'_>, node: usize, drafted: &[DraftPart]) -> Vec<Part> {
    let part = |part: &DraftPart| {
        let field = &draft.nodes[node].fields[part.field];
        // Which type an object inside a representation has is said where it could be several.
        let is_abstract = matches!(field.below, DraftBelow::ByType(_));
        let inner = part.inner.iter().map(|(child, drafted)| {
            let mut open = b"{".to_vec();
            if is_abstract {
                open.extend_from_slice(b"\"__typename\":");
                crate::respond::scalar::string(&mut open, &draft.nodes[*child].type_name);
            }
            (*child, Inner { open: open.into(), parts: parts(draft, *child, drafted) })
        });
        Part {
            quoted: quoted(",", part.key.as_deref().unwrap_or(&field.name)),
            field: position(draft, node, part.field),
            is_key: part.is_key,
            inner: inner.collect(),
        }
    };
    drafted.iter().map(part).collect()
}

/// A set of fields for people.
fn shown(set: &FieldSet) -> String {
    let part = |part: &FieldSetPart| match part {
        FieldSetPart::Field { name, inner } if inner.0.is_empty() => name.to_string(),
        FieldSetPart::Field { name, inner } => format!("{name} {{ {} }}", shown(inner)),
        FieldSetPart::On { type_name, inner } => {
            format!("... on {type_name} {{ {} }}", shown(inner))
        }
    };
    set.0.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// When groups are called: when any field is asked that they or groups after them give.
struct Whens<'a> {
    draft: &'a Draft<'a>,
    known: HashMap<usize, Option<Vec<Conditions>>>,
}

impl Whens<'_> {
    fn when(&mut self, group: usize) -> Option<Vec<Conditions>> {
        if let Some(known) = self.known.get(&group) {
            return known.clone();
        }
        let found = self.found(group);
        self.known.insert(group, found.clone());
        found
    }

    fn found(&mut self, group: usize) -> Option<Vec<Conditions>> {
        let draft = self.draft;
        let node = &draft.nodes[draft.groups[group].node];
        let own = node.extras.iter().position(|slot| slot.group == group).map(Seat::Extra)?;
        if node.face.as_ref().is_some_and(|face| face.seat == own) {
            return None;
        }
        let mut all: Vec<Conditions> = Vec::new();
        let given = node.fields.iter().filter(|it| it.from.iter().any(|(seat, _)| *seat == own));
        for field in given {
            let own = field.shown.filter(|_| field.is_shown()).map(|shown| &shown.when);
            for when in own.into_iter().chain(&field.also) {
                if when.0.iter().any(Vec::is_empty) {
                    return None;
                }
                all.push(when.clone());
            }
        }
        for (other, drafted) in draft.groups.iter().enumerate() {
            let Some(entity) = &drafted.entity else { continue };
            let mut read = BTreeSet::new();
            draft.gather(drafted.node, &entity.parts, &mut read);
            if other != group && read.contains(&group) {
                all.extend(self.when(other)?);
            }
        }
        all.dedup();
        (!all.is_empty()).then_some(all)
    }
}

/// The fields whose objects are listed.
fn expansions(draft: &Draft<'_>, nodes: &[Node]) -> Vec<Expansion> {
    let mut is_listed = vec![false; nodes.len()];
    for index in (0..nodes.len()).rev() {
        is_listed[index] |= nodes[index].slots.len() > nodes[index].bases;
        if is_listed[index]
            && let Some(parent) = draft.nodes[index].parent
        {
            is_listed[parent.node] = true;
        }
    }
    let mut found = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let above = draft.bases_of(index);
        if let Some(face) = &node.face {
            let after = above.iter().copied().chain([node.slots[face.slot]]).collect();
            found.push(Expansion { node: index, field: None, after });
        }
        for (position, field) in node.fields.iter().enumerate() {
            let below = match &field.below {
                Below::One(child) => std::slice::from_ref(child).to_vec(),
                Below::ByType(children) => children.iter().map(|(_, child)| *child).collect(),
                _ => continue,
            };
            if below.iter().any(|child| is_listed[*child]) {
                let own = field.from.iter().map(|from| node.slots[from.slot]);
                let after: BTreeSet<usize> = above.iter().copied().chain(own).collect();
                let after = after.into_iter().collect();
                found.push(Expansion { node: index, field: Some(position), after });
            }
        }
    }
    found
}
