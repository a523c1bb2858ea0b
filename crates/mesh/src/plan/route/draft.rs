//! A route while it is made: sets of selections grow, groups get more to give.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::{OperationType, Type};
use base::Kind;
use indexmap::IndexMap;
use schema::graph::FieldSet;

use super::Budget;
use super::atlas::Atlas;
use crate::error::GraphqlError;
use crate::plan::{Conditions, PlannedField, Selection};

/// Everything that is planned so far.
pub(super) struct Draft<'a> {
    pub(super) atlas: &'a Atlas,
    pub(super) operation: OperationType,
    pub(super) budget: &'a Budget,
    pub(super) nodes: Vec<DraftNode<'a>>,
    pub(super) groups: Vec<DraftGroup>,
    pub(super) sets: Vec<Set>,
    pub(super) scopes: Vec<Scope>,
    /// What selections cost below objects of a source, as far as anybody asked.
    pub(super) costs: HashMap<(*const Selection, usize), u32>,
    /// Calls by key that are being prepared: their keys come from elsewhere.
    pub(super) opening: Vec<(usize, usize)>,
    /// Fields whose inputs are being planned, so that a circle is seen.
    pub(super) requiring: Vec<(usize, usize)>,
    pub(super) work: usize,
}

/// One position of the answer for one type.
pub(super) struct DraftNode<'a> {
    pub(super) type_name: Name,
    pub(super) parent: Option<Parent>,
    /// What gave the object itself.
    pub(super) bases: Vec<Slot>,
    /// What was fetched for it beside.
    pub(super) extras: Vec<Slot>,
    pub(super) fields: Vec<DraftField<'a>>,
    pub(super) face: Option<DraftFace>,
}

/// A node whose source knows no concrete type: another source tells it.
pub(super) struct DraftFace {
    pub(super) seat: Seat,
    pub(super) by_type: Vec<(Name, usize)>,
}

/// Where a node hangs: below a field, or below a face.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    pub(super) node: usize,
    pub(super) field: Option<usize>,
}

/// A group at a node.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) group: usize,
    pub(super) source: usize,
    pub(super) set: usize,
    /// What the source calls the node's type.
    pub(super) on: Name,
    /// What `@provides` adds here.
    pub(super) provided: FieldSet,
    /// The source can have no object of the node's type here.
    pub(super) is_dead: bool,
}

/// Which slot of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    Base(usize),
    Extra(usize),
}

/// A field of a node: of the answer, or only to be passed on.
pub(super) struct DraftField<'a> {
    /// As it was planned; nothing where a source needs it.
    pub(super) shown: Option<&'a PlannedField>,
    /// Whether it was planned for a field that is computed of it, and not for the answer.
    pub(super) is_input: bool,
    /// When it is asked for fields that are computed of it.
    pub(super) also: Vec<Conditions>,
    /// Of a field that no source gives: what it is computed of.
    pub(super) computed: Option<Vec<DraftPart>>,
    pub(super) name: Name,
    pub(super) ty: Type,
    pub(super) arguments: Arc<Given>,
    /// Where the value comes from, with the key in that group's answer; several when objects are put
    /// together of what several sources say.
    pub(super) from: Vec<(Seat, String)>,
    pub(super) below: DraftBelow,
}

/// The arguments of a field as text, and the variables in them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) variables: Vec<Name>,
}

impl DraftField<'_> {
    /// Whether it is in the answer.
    pub(super) fn is_shown(&self) -> bool {
        self.shown.is_some() && !self.is_input
    }
}

pub(super) enum DraftBelow {
    Leaf,
    One(usize),
    ByType(Vec<(Name, usize)>),
}

impl DraftBelow {
    pub(super) fn nodes(&self) -> Vec<usize> {
        match self {
            DraftBelow::Leaf => Vec::new(),
            DraftBelow::One(node) => vec![*node],
            DraftBelow::ByType(nodes) => nodes.iter().map(|(_, node)| *node).collect(),
        }
    }
}

/// A call.
pub(super) struct DraftGroup {
    pub(super) source: usize,
    /// Whose objects it gives, or adds to.
    pub(super) node: usize,
    pub(super) set: usize,
    /// Of a call by key.
    pub(super) entity: Option<Entity>,
    pub(super) after: BTreeSet<usize>,
    /// How many calls must have answered one after the other.
    pub(super) depth: usize,
}

/// What is passed on of an object.
pub(super) struct Entity {
    pub(super) on: Name,
    pub(super) key: FieldSet,
    pub(super) parts: Vec<DraftPart>,
}

/// A field of a representation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DraftPart {
    pub(super) field: usize,
    /// What it is passed on as, unless by its own name.
    pub(super) key: Option<Arc<str>>,
    pub(super) is_key: bool,
    /// Of an object: for each node below what is taken of it.
    pub(super) inner: Vec<(usize, Vec<DraftPart>)>,
}

/// A selection set in the text of a group, for one position.
pub(super) struct Set {
    pub(super) scope: usize,
    /// The type is not known before the answer is.
    pub(super) asks_typename: bool,
    /// By the name of the type in the source.
    pub(super) entries: IndexMap<Name, IndexMap<String, Entry>>,
    /// Whether each type needs a fragment of its own.
    pub(super) is_abstract: bool,
}

/// A field in the text of a group.
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) arguments: Arc<Given>,
    /// When it is asked; nothing for always.
    pub(super) when: Option<Vec<Conditions>>,
    pub(super) set: Option<usize>,
}

/// The keys of a position, over all types that it may have: what has one key has one shape.
#[derive(Default)]
pub(super) struct Scope {
    keys: HashMap<String, Taken>,
}

struct Taken {
    shape: String,
    by: Vec<(Name, Name, Arc<Given>)>,
    below: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn slot(&self, node: usize, seat: Seat) -> &Slot {
        let node = &self.nodes[node];
        match seat {
            Seat::Base(index) => &node.bases[index],
            Seat::Extra(index) => &node.extras[index],
        }
    }

    /// The slots that can give something.
    pub(super) fn seats(&self, node: usize) -> Vec<Seat> {
        let node = &self.nodes[node];
        let bases = node.bases.iter().enumerate().filter(|(_, slot)| !slot.is_dead);
        let bases = bases.map(|(index, _)| Seat::Base(index));
        bases.chain((0..node.extras.len()).map(Seat::Extra)).collect()
    }

    pub(super) fn add_node(&mut self, type_name: Name, parent: Option<Parent>) -> usize {
        let (bases, extras, fields) = (Vec::new(), Vec::new(), Vec::new());
        self.nodes.push(DraftNode { type_name, parent, bases, extras, fields, face: None });
        self.nodes.len() - 1
    }

    pub(super) fn add_set(&mut self, scope: usize, is_abstract: bool) -> usize {
        let (asks_typename, entries) = (is_abstract, IndexMap::new());
        self.sets.push(Set { scope, asks_typename, entries, is_abstract });
        self.sets.len() - 1
    }

    pub(super) fn add_scope(&mut self) -> usize {
        self.scopes.push(Scope::default());
        self.scopes.len() - 1
    }

    /// Adds a call; it is refused when there would be too many.
    pub(super) fn add_group(
        &mut self,
        source: usize,
        node: usize,
        entity: Option<Entity>,
        after: BTreeSet<usize>,
    ) -> Result<usize, GraphqlError> {
        let limit = self.budget.calls;
        if self.groups.len() >= limit {
            let message = format!("the operation needs more than {limit} calls of services");
            return Err(GraphqlError::new(Kind::LimitExceeded, message)
                .with("hint", "ask in several operations"));
        }
        let scope = self.add_scope();
        // Entities are a union of all types that have a key.
        let set = self.add_set(scope, entity.is_some());
        self.sets[set].asks_typename = false;
        let depth = after.iter().map(|group| self.groups[*group].depth + 1).max().unwrap_or(0);
        self.groups.push(DraftGroup { source, node, set, entity, after, depth });
        Ok(self.groups.len() - 1)
    }

    /// Counts steps, so that a plan ends whatever the graph is.
    pub(super) fn charge(&mut self) -> Result<(), GraphqlError> {
        self.work += 1;
        if self.work > self.budget.steps {
            let message = "the operation takes too many steps to be planned";
            return Err(GraphqlError::new(Kind::LimitExceeded, message));
        }
        Ok(())
    }

    /// The groups that gave the objects of a node, and of all nodes above it.
    pub(super) fn bases_of(&self, node: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut next = Some(node);
        while let Some(index) = next {
            let node = &self.nodes[index];
            found.extend(node.bases.iter().map(|slot| slot.group));
            next = node.parent.map(|parent| parent.node);
        }
        found
    }

    /// Whether a group needs another one, however far away.
    pub(super) fn needs(&self, group: usize, other: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![group];
        while let Some(next) = open.pop() {
            if next == other {
                return true;
            }
            if seen.insert(next) {
                open.extend(&self.groups[next].after);
            }
        }
        false
    }

    /// The groups that are called for a node or for a node below it.
    pub(super) fn groups_below(&self, node: usize) -> Vec<usize> {
        let is_below = |mut at: usize| {
            loop {
                if at == node {
                    return true;
                }
                match self.nodes[at].parent {
                    Some(parent) => at = parent.node,
                    None => return false,
                }
            }
        };
        let called = self.groups.iter().enumerate();
        let called = called.filter(|(_, group)| self.nodes[group.node].parent.is_some());
        called.filter(|(_, group)| is_below(group.node)).map(|(index, _)| index).collect()
    }

    /// Asks for a field in a set. Out: the key that it gets there, and its own set when it has one.
    pub(super) fn enter(
        &mut self,
        set: usize,
        on: &Name,
        asked: Asked<'_>,
    ) -> (String, Option<usize>) {
        let scope = self.sets[set].scope;
        let key = self.key(scope, on, &asked);
        let entries = self.sets[set].entries.entry(on.clone()).or_default();
        if let Some(entry) = entries.get_mut(&key) {
            entry.when = match (entry.when.take(), asked.when) {
                (Some(mut all), Some(when)) => {
                    if !all.contains(when) {
                        all.push(when.clone());
                    }
                    Some(all)
                }
                _ => None,
            };
            return (key, entry.set);
        }
        let below = self.scopes[scope].keys.get(&key).map_or(0, |taken| taken.below);
        let inner = asked.is_abstract.map(|is_abstract| self.add_set(below, is_abstract));
        let entry = Entry {
            name: asked.name.clone(),
            arguments: asked.arguments.clone(),
            when: asked.when.map(|when| vec![when.clone()]),
            set: inner,
        };
        self.sets[set].entries.entry(on.clone()).or_default().insert(key.clone(), entry);
        (key, inner)
    }

    /// A key that means nothing else: the one that is wished, or another.
    fn key(&mut self, scope: usize, on: &Name, asked: &Asked<'_>) -> String {
        let mut key = asked.key.to_owned();
        let mut count = 0;
        loop {
            let taken = self.scopes[scope].keys.get_mut(&key);
            let Some(taken) = taken else { break };
            let own = taken.by.iter().find(|(other, _, _)| other == on);
            match own {
                Some((_, name, given)) if name == asked.name && given == asked.arguments => {
                    return key;
                }
                None if taken.shape == asked.shape => {
                    taken.by.push((on.clone(), asked.name.clone(), asked.arguments.clone()));
                    return key;
                }
                _ => {}
            }
            count += 1;
            key = format!("_{count}_{}", asked.key);
        }
        let below = self.add_scope();
        let by = vec![(on.clone(), asked.name.clone(), asked.arguments.clone())];
        let taken = Taken { shape: asked.shape.clone(), by, below };
        self.scopes[scope].keys.insert(key.clone(), taken);
        key
    }
}

/// A field that is asked in a set.
pub(super) struct Asked<'a> {
    pub(super) key: &'a str,
    pub(super) name: &'a Name,
    pub(super) arguments: &'a Arc<Given>,
    /// Its type without the names of objects, which may differ under one key.
    pub(super) shape: String,
    /// When it is asked; nothing for always.
    pub(super) when: Option<&'a Conditions>,
    /// Of an object, whether its type is known only by the answer.
    pub(super) is_abstract: Option<bool>,
}
