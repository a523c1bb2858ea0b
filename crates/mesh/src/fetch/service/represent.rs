//! Objects as they are passed on: raw bytes of other sources' answers between names. What is computed of an
//! object is read off it in the same way.

use apollo_compiler::ast::Type;

use super::batch::Batch;
use super::{Answers, Spot};
use crate::plan::route::{Below, Computed, Field, Group, Leaf, Part, Representation, Route};
use crate::tape::{At, Form};

/// An object, by its node, its bases and its number.
#[derive(Clone, Copy)]
struct Held<'a> {
    node: usize,
    bases: &'a [Spot],
    ordinal: Option<usize>,
    evaluate: Option<Evaluate<'a>>,
}

/// Why an object cannot be asked for: a spot that is no position.
pub(crate) type Withheld = Spot;

/// Appends the value of a computed field of which the inputs are there; false when there is none.
pub(crate) type Evaluate<'a> = &'a dyn Fn(&Computed, &[u8], &mut Vec<u8>) -> bool;

impl Answers {
    /// Adds the representation of an object to a batch. Out: its number there, or why it cannot be
    /// asked for.
    pub(super) fn represent(
        &self,
        route: &Route,
        group: &Group,
        entity: &Representation,
        ordinal: usize,
        batch: &mut Batch,
    ) -> Spot {
        let bases = route.nodes[group.node].bases;
        let start = ordinal * bases;
        let bases = self.objects[group.node].get(start..start + bases).unwrap_or_default();
        let held = Held { node: group.node, bases, ordinal: Some(ordinal), evaluate: None };
        let added = batch.add(|out| {
            out.extend_from_slice(&entity.open);
            self.parts(route, held, &entity.parts, out)?;
            out.push(b'}');
            Ok(())
        });
        match added {
            Ok(number) => Spot::of(At(number)),
            Err(withheld) => withheld,
        }
    }

    /// What an object gives of parts, as JSON, or why there is nothing. The spots are those of all its slots.
    pub(crate) fn inputs(
        &self,
        route: &Route,
        computed: &Computed,
        spots: &[Spot],
        evaluate: Evaluate<'_>,
    ) -> Result<Vec<u8>, Withheld> {
        let held =
            Held { node: computed.node, bases: spots, ordinal: None, evaluate: Some(evaluate) };
        let mut out = b"{".to_vec();
        self.parts(route, held, &computed.parts, &mut out)?;
        out.push(b'}');
        Ok(out)
    }

    fn slot_of(&self, route: &Route, held: Held<'_>, slot: usize) -> Spot {
        match (held.bases.get(slot), held.ordinal) {
            (Some(spot), _) => *spot,
            (None, Some(ordinal)) => self.slot(route, held.node, ordinal, slot),
            (None, None) => Spot::NONE,
        }
    }

    fn parts(
        &self,
        route: &Route,
        held: Held<'_>,
        parts: &[Part],
        out: &mut Vec<u8>,
    ) -> Result<(), Withheld> {
        let shape = &route.nodes[held.node];
        for part in parts {
            let field = &shape.fields[part.field];
            let is_first = out.last() == Some(&b'{');
            out.extend_from_slice(&part.quoted[usize::from(is_first)..]);
            if let Below::Computed(computed) = &field.below {
                self.computed(route, held, computed, out)?;
                continue;
            }
            let groups: Vec<usize> = field.from.iter().map(|from| shape.slots[from.slot]).collect();
            let spots: Vec<Spot> = field
                .from
                .iter()
                .zip(&groups)
                .map(|(from, group)| {
                    self.field(*group, self.slot_of(route, held, from.slot), &from.key)
                })
                .collect();
            let evaluate = held.evaluate;
            let value = Value { route, part, field, groups: &groups, evaluate };
            self.value(&value, &field.ty, &spots, out)?;
        }
        Ok(())
    }

    /// A value that is computed itself of what is read.
    fn computed(
        &self,
        route: &Route,
        held: Held<'_>,
        computed: &Computed,
        out: &mut Vec<u8>,
    ) -> Result<(), Withheld> {
        let Some(evaluate) = held.evaluate else { return Err(Spot::NONE) };
        let mut inputs = b"{".to_vec();
        self.parts(route, held, &computed.parts, &mut inputs)?;
        inputs.push(b'}');
        match evaluate(computed, &inputs, out) {
            true => Ok(()),
            false => Err(Spot::NONE),
        }
    }

    fn value(
        &self,
        value: &Value<'_>,
        ty: &Type,
        spots: &[Spot],
        out: &mut Vec<u8>,
    ) -> Result<(), Withheld> {
        let given = value.groups.iter().zip(spots).find(|(group, spot)| {
            self.form(**group, **spot).is_some_and(|form| form != Form::Null)
        });
        let Some((group, spot)) = given else {
            return self.nothing(value, ty, spots, out);
        };
        let (Some(tape), Some(at)) = (&self.tapes[*group], spot.at()) else {
            return Err(Spot::NONE);
        };
        let form = tape.form(at);
        if value.part.inner.is_empty() && !(form == Form::List && value.is_shown_id()) {
            value.leaf(tape.raw(at), form, out);
            return Ok(());
        }
        match form {
            Form::Object => self.object(value, spots, out),
            Form::List => {
                out.push(b'[');
                let mut next = self.items(value.groups, spots);
                let mut items = Vec::with_capacity(spots.len());
                let mut is_first = true;
                while self.next_items(value.groups, &mut next, &mut items) {
                    if !is_first {
                        out.push(b',');
                    }
                    is_first = false;
                    self.value(value, ty.item_type(), &items, out)?;
                    items.clear();
                }
                out.push(b']');
                Ok(())
            }
            _ => Err(Spot::NONE),
        }
    }

    /// A value that is not there: null where that may be passed on.
    fn nothing(
        &self,
        value: &Value<'_>,
        ty: &Type,
        spots: &[Spot],
        out: &mut Vec<u8>,
    ) -> Result<(), Withheld> {
        for (group, spot) in value.groups.iter().zip(spots) {
            if spot.fault().is_some() {
                return Err(*spot);
            }
            let faults = spot.at().map_or(&[][..], |at| self.faults.at(*group, at));
            if let Some((fault, _)) = faults.first() {
                return Err(Spot::failed(*fault));
            }
        }
        let is_null = value
            .groups
            .iter()
            .zip(spots)
            .any(|(group, spot)| self.form(*group, *spot) == Some(Form::Null));
        // What nobody gave is null for whoever sees the object, and so for what is computed of it; another
        // source might take it for a value.
        let is_there = is_null || value.evaluate.is_some();
        if !is_there || value.part.is_key || ty.is_non_null() {
            return Err(Spot::NONE);
        }
        out.extend_from_slice(b"null");
        Ok(())
    }

    fn object(&self, value: &Value<'_>, spots: &[Spot], out: &mut Vec<u8>) -> Result<(), Withheld> {
        let Some((first, _)) = self.first(value.groups, spots) else { return Err(Spot::NONE) };
        let (group, anchor) = (value.groups[first], spots[first]);
        let Some(node) = self.node(&value.field.below, group, anchor) else {
            return Err(Spot::NONE);
        };
        let inner = value.part.inner.iter().find(|(known, _)| *known == node);
        let Some((_, inner)) = inner else {
            out.extend_from_slice(b"{}");
            return Ok(());
        };
        let ordinal = self.ordinal(value.route, node, value.groups, spots);
        out.extend_from_slice(&inner.open);
        let held = Held { node, bases: spots, ordinal, evaluate: value.evaluate };
        self.parts(value.route, held, &inner.parts, out)?;
        out.push(b'}');
        Ok(())
    }
}

/// A field that is passed on, while its value is written.
struct Value<'a> {
    route: &'a Route,
    part: &'a Part,
    field: &'a Field,
    groups: &'a [usize],
    evaluate: Option<Evaluate<'a>>,
}

impl Value<'_> {
    /// Whether it is an ID as callers see it: a text, also where a source gives a number.
    fn is_shown_id(&self) -> bool {
        self.evaluate.is_some() && matches!(&self.field.below, Below::Leaf(Leaf::Id))
    }

    /// Writes a leaf: as it came for another source, as it is shown for what is computed.
    fn leaf(&self, raw: &[u8], form: Form, out: &mut Vec<u8>) {
        if form == Form::Number && self.is_shown_id() {
            out.push(b'"');
            out.extend_from_slice(raw);
            out.push(b'"');
        } else {
            out.extend_from_slice(raw);
        }
    }
}
