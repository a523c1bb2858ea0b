//! Which sources can be entered from which: in come a type and a source where a value of it is at
//! hand, out come all sources that its keys lead to, and where a field leads from one of them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use apollo_compiler::Name;

use crate::compose::merge::Merged;
use crate::compose::sharing::Lost;
use crate::compose::subgraph::{SubType, Subgraph, TypeKind};
use crate::compose::table::declared;
use crate::graph::{FieldSet, FieldSetPart};

/// A value at hand in a source, with the fields that a `@provides` above it gives besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) source: usize,
    /// Index into the sets that [`Entries`] knows; 0 is the empty one.
    given: usize,
}

impl Position {
    pub(super) fn at(source: usize) -> Self {
        Position { source, given: 0 }
    }
}

/// Answers of the questions, remembered.
pub(super) struct Entries<'s> {
    subgraphs: &'s [Subgraph],
    merged: &'s Merged,
    /// Labels of overrides that are on.
    on: HashSet<Arc<str>>,
    given: Vec<FieldSet>,
    known: HashMap<(Name, Position), Rc<[Position]>>,
    /// Questions that are being answered, with what is known so far.
    asked: Vec<((Name, Position), Vec<Position>)>,
    /// The earliest of them that was asked again meanwhile; an answer that leans on an unfinished
    /// one is not remembered.
    leaned: usize,
    /// Fields whose `@requires` is being looked at.
    requiring: Vec<(Name, Position, Name)>,
    behind: HashMap<(Name, usize), Rc<[Name]>>,
}

impl<'s> Entries<'s> {
    pub(super) fn new(
        subgraphs: &'s [Subgraph],
        merged: &'s Merged,
        on: HashSet<Arc<str>>,
    ) -> Self {
        Entries {
            subgraphs,
            merged,
            on,
            given: vec![FieldSet::default()],
            known: HashMap::new(),
            asked: Vec::new(),
            leaned: usize::MAX,
            requiring: Vec::new(),
            behind: HashMap::new(),
        }
    }

    fn giving(&mut self, set: FieldSet) -> usize {
        let known = self.given.iter().position(|known| *known == set);
        known.unwrap_or_else(|| {
            self.given.push(set);
            self.given.len() - 1
        })
    }

    /// The type as a source has it: its own, or an `@interfaceObject` that stands for it.
    pub(super) fn local(&self, source: usize, type_name: &Name) -> Option<&'s SubType> {
        let types = &self.subgraphs[source].types;
        if let Some(found) = types.get(type_name) {
            return Some(found);
        }
        let interfaces = self.merged.family.implements.get(type_name)?;
        let mut objects = interfaces.iter().filter_map(|interface| types.get(interface));
        objects.find(|found| found.interface_object.is_some())
    }

    /// The object types that a source may have behind an interface or union.
    pub(super) fn behind(&mut self, type_name: &Name, source: usize) -> Rc<[Name]> {
        let key = (type_name.clone(), source);
        if let Some(known) = self.behind.get(&key) {
            return known.clone();
        }
        let own = self.subgraphs[source].types.get(type_name);
        let found: Rc<[Name]> = match own {
            Some(own) if own.interface_object.is_some() => {
                let all = self.merged.types.iter().filter(|(name, found)| {
                    found.kind == TypeKind::Object && self.merged.family.is_subtype(name, type_name)
                });
                all.map(|(name, _)| name.clone()).collect()
            }
            Some(own) if own.kind == TypeKind::Union => own.members.keys().cloned().collect(),
            Some(_) => {
                let all = self.subgraphs[source].types.iter().filter(|(_, found)| {
                    found.kind == TypeKind::Object && found.implements.contains(type_name)
                });
                all.map(|(name, _)| name.clone()).collect()
            }
            None => Rc::from([]),
        };
        self.behind.insert(key, found.clone());
        found
    }

    /// All places where the value is at hand once keys have been followed, the given one first.
    pub(super) fn reachable(&mut self, type_name: &Name, from: Position) -> Rc<[Position]> {
        let key = (type_name.clone(), from);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        if let Some(at) = self.asked.iter().position(|(asked, _)| *asked == key) {
            self.leaned = self.leaned.min(at);
            return self.asked[at].1.as_slice().into();
        }
        let own = self.asked.len();
        let before = std::mem::replace(&mut self.leaned, usize::MAX);
        self.asked.push((key.clone(), vec![from]));
        while self.enter_one(type_name, own) {}
        let (_, found) = self.asked.pop().unwrap_or((key.clone(), vec![from]));
        let found: Rc<[Position]> = found.into();
        if self.leaned >= own && self.requiring.is_empty() {
            self.known.insert(key, found.clone());
        }
        let still = if self.leaned < own { self.leaned } else { usize::MAX };
        self.leaned = before.min(still);
        found
    }

    /// Adds a source that can be entered from those known so far; `false` when there is none.
    fn enter_one(&mut self, type_name: &Name, own: usize) -> bool {
        for source in 0..self.subgraphs.len() {
            let reached = self.asked[own].1.clone();
            if reached.iter().any(|position| position.source == source) {
                continue;
            }
            if self.can_enter(type_name, source, &reached) {
                self.asked[own].1.push(Position::at(source));
                return true;
            }
        }
        false
    }

    fn can_enter(&mut self, type_name: &Name, source: usize, from: &[Position]) -> bool {
        let Some(local) = self.local(source, type_name) else { return false };
        if type_name == "Query" {
            return true;
        }
        local.entries().any(|key| self.can_give(&key.fields, type_name, from))
    }

    /// Whether the fields of a set can be had from these positions.
    pub(super) fn can_give(&mut self, set: &FieldSet, type_name: &Name, from: &[Position]) -> bool {
        set.0.iter().all(|part| self.can_give_part(part, type_name, from))
    }

    pub(super) fn can_give_part(
        &mut self,
        part: &FieldSetPart,
        type_name: &Name,
        from: &[Position],
    ) -> bool {
        match part {
            FieldSetPart::On { type_name: on, inner } => {
                let applies = on == type_name || self.merged.family.is_subtype(type_name, on);
                !applies || self.can_give(inner, type_name, from)
            }
            FieldSetPart::Field { name, .. } if name == "__typename" => true,
            FieldSetPart::Field { name, inner } => {
                let Some(field) =
                    self.merged.types.get(type_name).and_then(|found| found.fields.get(name))
                else {
                    return false;
                };
                let target = field.ty.inner_named_type().clone();
                from.iter().any(|position| {
                    self.step(type_name, *position, name)
                        .is_some_and(|next| self.can_give_below(inner, &target, next))
                })
            }
        }
    }

    fn can_give_below(&mut self, inner: &FieldSet, target: &Name, at: Position) -> bool {
        if inner.0.is_empty() {
            return true;
        }
        match self.merged.types.get(target).map(|found| found.kind) {
            Some(TypeKind::Object) => {
                let reached = self.reachable(target, at);
                self.can_give(inner, target, &reached)
            }
            Some(TypeKind::Interface | TypeKind::Union) => {
                let behind = self.behind(target, at.source);
                behind.iter().all(|name| {
                    let reached = self.reachable(name, at);
                    self.can_give(inner, name, &reached)
                })
            }
            _ => true,
        }
    }

    /// Where a field of an object leads from a position, without leaving the source.
    pub(super) fn step(&mut self, type_name: &Name, at: Position, name: &Name) -> Option<Position> {
        let merged = self.merged;
        let field = merged.types.get(type_name)?.fields.get(name)?;
        let holding = field.sources.iter().find(|holding| holding.source == at.source)?;
        let own = declared(self.subgraphs, merged, type_name, name, holding)?;
        let given = self.given_below(at, type_name, name);
        if given.is_none() {
            let lost = match &holding.lost {
                Some(Lost::Always) => true,
                Some(Lost::When(label)) => self.on.contains(label),
                None => false,
            };
            let off = holding.label.as_ref().is_some_and(|label| !self.on.contains(label));
            if lost || off || own.is_external() {
                return None;
            }
            if let Some(requires) = &own.requires
                && !self.can_require(&requires.fields, type_name, at, name)
            {
                return None;
            }
        }
        let mut below = given.unwrap_or_default();
        if let Some(provides) = &own.provides {
            below.0.extend(provides.fields.0.iter().cloned());
        }
        Some(Position { source: at.source, given: self.giving(below) })
    }

    /// What a `@provides` above gives below a field; nothing when it does not give the field.
    fn given_below(&self, at: Position, type_name: &Name, name: &Name) -> Option<FieldSet> {
        let mut below = None;
        self.collect(&self.given[at.given], type_name, name, &mut below);
        below
    }

    fn collect(&self, set: &FieldSet, type_name: &Name, name: &Name, below: &mut Option<FieldSet>) {
        for part in &set.0 {
            match part {
                FieldSetPart::Field { name: given, inner } if given == name => {
                    let below = below.get_or_insert_with(FieldSet::default);
                    below.0.extend(inner.0.iter().cloned());
                }
                FieldSetPart::On { type_name: on, inner }
                    if on == type_name || self.merged.family.is_subtype(type_name, on) =>
                {
                    self.collect(inner, type_name, name, below);
                }
                _ => {}
            }
        }
    }

    /// Whether what a field requires can be had: at hand, or fetched from other sources; then the
    /// source must be entered again.
    fn can_require(
        &mut self,
        fields: &FieldSet,
        type_name: &Name,
        at: Position,
        name: &Name,
    ) -> bool {
        let asking = (type_name.clone(), at, name.clone());
        if self.requiring.contains(&asking) {
            return false;
        }
        self.requiring.push(asking);
        let mut can = self.can_give(fields, type_name, &[at]);
        if !can && self.comes_back(type_name, at.source) {
            let reached = self.reachable(type_name, at);
            can = self.can_give(fields, type_name, &reached);
        }
        self.requiring.pop();
        can
    }

    /// Whether a source has a key whose fields it knows itself.
    fn comes_back(&self, type_name: &Name, source: usize) -> bool {
        let local = self.local(source, type_name);
        local.is_some_and(|local| local.entries().any(|key| !key.has_external))
    }
}
