//! Selections to fields: what is asked of objects of one type, merged over all fragments.
//!
//! In: selection sets, each with what `@skip` and `@include` around it demand. Out: for every
//! response key the places where it stands, each with its weakest guards. A guard that another one
//! implies is dropped, and with it the walk through its fragment; what is left is counted, so that
//! fragments under many variables end at a limit and not in a walk of exponential length. Not here:
//! what stands behind a field (`select`), values of variables.

use std::collections::HashMap;

use apollo_compiler::ast::Value as Literal;
use apollo_compiler::executable::{DirectiveList, Field, Selection as Selected, SelectionSet};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use super::defer::deferred;
use super::select::Planner;
use super::{Condition, Conditions};
use crate::error::GraphqlError;

/// What variables must say; all parts must hold. A part is the position of a variable, doubled, with
/// the value in its last bit; parts are sorted, so that one guard can be looked for in another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard(Vec<usize>);

impl Guard {
    /// The guard with one more part; `None` when the two can never hold together.
    fn and(mut self, variable: usize, expected: bool) -> Option<Self> {
        let part = variable * 2 + usize::from(expected);
        match self.0.binary_search(&part) {
            Ok(_) => Some(self),
            Err(_) if self.0.binary_search(&(part ^ 1)).is_ok() => None,
            Err(position) => {
                self.0.insert(position, part);
                Some(self)
            }
        }
    }

    /// Whether this guard holds whenever the other one does.
    fn is_implied_by(&self, other: &Guard) -> bool {
        let mut parts = other.0.iter();
        self.0.len() <= other.0.len() && self.0.iter().all(|part| parts.any(|other| other == part))
    }
}

/// Any of these must hold; none of them implies another.
#[derive(Debug, Default)]
pub(super) struct Guards(Vec<Guard>);

impl Guards {
    /// Adds a guard and drops those that imply it; false when one that is there is implied by it.
    pub(super) fn add(&mut self, guard: &Guard) -> bool {
        if self.0.iter().any(|known| known.is_implied_by(guard)) {
            return false;
        }
        self.0.retain(|known| !guard.is_implied_by(known));
        self.0.push(guard.clone());
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Guard> {
        self.0.iter()
    }
}

/// One place where a field stands, and when.
pub(super) struct Place<'a> {
    pub(super) field: &'a Node<Field>,
    pub(super) guards: Guards,
    /// The deferred fragment around it.
    pub(super) deferred: Option<u32>,
}

/// The places of a response key. A place is found by its address, as fragments are spread often, and by
/// the deferred fragment around it.
type Places<'a> = IndexMap<(*const Field, Option<u32>), Place<'a>>;

/// When a selection is asked for: what must hold, and the deferred fragment around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    pub(super) guard: Guard,
    pub(super) deferred: Option<u32>,
}

/// The fields of one type, and the fragments that were spread on the way, each with when, and inside of
/// which `@defer` by its place in the document.
#[derive(Default)]
pub(super) struct Collected<'a> {
    pub(super) fields: IndexMap<&'a Name, Places<'a>>,
    spread: HashMap<(&'a Name, Option<usize>), Guards>,
    /// The deferred fragments so far, by where their directive stands and what is around it.
    deferred: HashMap<(usize, Option<u32>), u32>,
    /// How many objects are around.
    level: usize,
}

impl Collected<'_> {
    /// Nothing yet, below so many objects.
    pub(super) fn at(level: usize) -> Self {
        Collected { level, ..Collected::default() }
    }
}

impl<'a> Planner<'a> {
    /// Collects the fields of a selection set that apply to a type.
    pub(super) fn collect(
        &mut self,
        type_name: &Name,
        set: &'a SelectionSet,
        around: &Around,
        into: &mut Collected<'a>,
    ) -> Result<(), GraphqlError> {
        for selection in &set.selections {
            self.charge(1 + around.guard.0.len())?;
            let directives = selection.directives();
            let Some(guard) = self.guarded(&around.guard, directives) else { continue };
            let around = Around { guard, deferred: around.deferred };
            match selection {
                Selected::Field(field) => self.place(field, &around, into)?,
                Selected::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.applies(&fragment.selection_set.ty, type_name)
                    {
                        let around = self.inside(directives, around, false, into);
                        self.spread(type_name, &spread.fragment_name, &around, into)?;
                    }
                }
                Selected::InlineFragment(fragment) => {
                    let condition = fragment.type_condition.as_ref();
                    if condition.is_none_or(|condition| self.applies(condition, type_name)) {
                        let around = self.inside(directives, around, true, into);
                        self.collect(type_name, &fragment.selection_set, &around, into)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is around the selections of a fragment, which may be deferred. A fragment that is spread
    /// counts once, by the first deferred fragment around it; an inline one, and one with a switch, once for
    /// each.
    fn inside(
        &mut self,
        directives: &'a DirectiveList,
        around: Around,
        is_inline: bool,
        into: &mut Collected<'a>,
    ) -> Around {
        let Some(directive) = directives.get("defer").filter(|_| self.has_parts) else {
            return around;
        };
        let Some(fragment) = deferred(directive, around.deferred, into.level) else {
            return around;
        };
        let place = std::ptr::from_ref(directives).addr();
        // One that a variable switches off is as what is around it, wherever that is.
        let is_own = is_inline || fragment.switch.is_some();
        let around_it = around.deferred.filter(|_| is_own);
        let number = *into.deferred.entry((place, around_it)).or_insert_with(|| {
            let number = self.deferred.len();
            let is_switched = fragment.switch.is_some();
            self.places.push(if is_switched { usize::MAX - number } else { place });
            self.deferred.push(fragment);
            number as u32
        });
        Around { deferred: Some(number), ..around }
    }

    fn place(
        &mut self,
        field: &'a Node<Field>,
        around: &Around,
        into: &mut Collected<'a>,
    ) -> Result<(), GraphqlError> {
        let places = into.fields.entry(field.response_key()).or_default();
        let deferred = around.deferred;
        let place = places
            .entry((std::ptr::from_ref(field.as_ref()), deferred))
            .or_insert_with(|| Place { field, guards: Guards::default(), deferred });
        self.charge(place.guards.0.len())?;
        place.guards.add(&around.guard);
        Ok(())
    }

    fn spread(
        &mut self,
        type_name: &Name,
        name: &'a Name,
        around: &Around,
        into: &mut Collected<'a>,
    ) -> Result<(), GraphqlError> {
        let document = self.document;
        let Some(fragment) = document.fragments.get(name) else { return Ok(()) };
        // What is asked at once need not be asked later.
        if let Some(at_once) = into.spread.get(&(name, None))
            && at_once.iter().any(|known| known.is_implied_by(&around.guard))
        {
            return self.charge(at_once.0.len());
        }
        let place = around.deferred.and_then(|it| self.places.get(it as usize).copied());
        let guards = into.spread.entry((name, place)).or_default();
        self.charge(guards.0.len())?;
        if guards.add(&around.guard) {
            self.collect(type_name, &fragment.selection_set, around, into)?;
        }
        Ok(())
    }

    fn applies(&self, condition: &Name, type_name: &Name) -> bool {
        condition == type_name || self.schema.is_subtype(condition, type_name)
    }

    /// The guard with what `@skip` and `@include` add; `None` when they leave the selection out.
    fn guarded(&self, guard: &Guard, directives: &DirectiveList) -> Option<Guard> {
        let mut guard = guard.clone();
        for (name, expected) in [("skip", false), ("include", true)] {
            let condition = directives.get(name).and_then(|it| it.specified_argument_by_name("if"));
            match condition.map(AsRef::as_ref) {
                Some(Literal::Boolean(value)) if *value != expected => return None,
                Some(Literal::Variable(variable)) => {
                    guard = guard.and(self.position(variable)?, expected)?;
                }
                _ => {}
            }
        }
        Some(guard)
    }

    /// The position of a declared variable; a valid document uses no other.
    fn position(&self, variable: &Name) -> Option<usize> {
        self.variables.get_index_of(variable)
    }

    /// When a field that stands at these places is in the answer.
    pub(super) fn conditions<'p>(
        &mut self,
        places: impl Iterator<Item = &'p Place<'p>>,
    ) -> Result<Conditions, GraphqlError> {
        let mut weakest = Guards::default();
        for guard in places.flat_map(|place| place.guards.iter()) {
            self.charge(weakest.0.len())?;
            weakest.add(guard);
        }
        let condition = |part: &usize| {
            let variable = self.variables.get_index(part / 2)?;
            Some(Condition { variable: (*variable).clone(), expected: part % 2 == 1 })
        };
        let all = |guard: &Guard| guard.0.iter().filter_map(condition).collect();
        Ok(Conditions(weakest.iter().map(all).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds guards, each a list of variables that must be true; `!` is said by a negative number.
    fn check(guards: &[&[i32]], expected: &[&[usize]]) {
        let mut found = Guards::default();
        for parts in guards {
            let guard = parts.iter().try_fold(Guard::default(), |guard, part| {
                guard.and(part.unsigned_abs() as usize, *part > 0)
            });
            if let Some(guard) = guard {
                found.add(&guard);
            }
        }
        let found: Vec<&[usize]> = found.0.iter().map(|guard| guard.0.as_slice()).collect();
        assert_eq!(found, expected, "{guards:?}");
    }

    #[test]
    fn only_the_weakest_guards_are_kept() {
        check(&[&[1, 2], &[1]], &[&[3]]);
        check(&[&[1], &[2, 1]], &[&[3]]);
        check(&[&[2, 1], &[1, 2]], &[&[3, 5]]);
        check(&[&[1], &[2]], &[&[3], &[5]]);
        check(&[&[1], &[]], &[&[]]);
    }

    #[test]
    fn a_guard_that_can_never_hold_is_dropped() {
        check(&[&[1, -1]], &[]);
        check(&[&[-1]], &[&[2]]);
    }
}
