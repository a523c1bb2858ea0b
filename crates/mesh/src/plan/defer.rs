//! When parts of an answer may come: what `@defer` and `@stream` say of fragments and lists.
//!
//! In: directives of a valid document. Out: for each fragment that may come later a [`Deferred`], for
//! each list whose items may a [`Streamed`], and for each field by which fragments it is asked
//! ([`Timing`]). Values of variables are not looked at: whether a part comes later at all is known only
//! with them (`incremental::schedule`). Not here: the parts.

use std::sync::Arc;

use apollo_compiler::ast::{Directive, Value as Literal};
use apollo_compiler::executable::Field;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use serde_json::{Map, Value as Json};

use super::collect::Place;
use super::select::Planner;
use super::{Conditions, PlannedField, Selection};
use crate::error::GraphqlError;
use crate::validate::walk::each_selection;

/// A fragment that may come later than what is around it, in one selection of the plan.
#[derive(Debug)]
pub(crate) struct Deferred {
    pub(crate) label: Option<Arc<str>>,
    /// The variable that must not be false.
    pub(crate) switch: Option<Name>,
    /// The deferred fragment around this one.
    pub(crate) parent: Option<u32>,
    /// How many objects are around the one that it is asked of.
    pub(crate) level: usize,
}

/// A list whose items may come later.
#[derive(Debug)]
pub(crate) struct Streamed {
    pub(crate) label: Option<Arc<str>>,
    /// The variable that must not be false.
    pub(crate) switch: Option<Name>,
    pub(crate) initial: Initial,
    /// The first deferred fragment that is inside the items; those before are around the list, and say
    /// nothing of items that come by themselves.
    pub(crate) floor: u32,
}

/// How many items are not waited for.
#[derive(Debug)]
pub(crate) enum Initial {
    Given(i64),
    Variable(Name),
}

/// What decides when a field is in the answer, of a document that has parts.
#[derive(Debug)]
pub(crate) struct Timing {
    /// The number of the field in the plan; what is above has a lower one.
    pub(crate) number: u32,
    /// The fragments that ask for it, each with when it does; nothing where it is asked at once.
    pub(crate) places: Vec<(Option<u32>, Conditions)>,
    pub(crate) stream: Option<Streamed>,
}

impl Streamed {
    /// How many items are in the first part; negative ones are refused by whoever writes the list.
    pub(crate) fn initial(&self, variables: &Map<String, Json>) -> i64 {
        match &self.initial {
            Initial::Given(count) => *count,
            Initial::Variable(name) => {
                variables.get(name.as_str()).and_then(Json::as_i64).unwrap_or(0)
            }
        }
    }
}

/// Whether a directive that a variable switches does something.
pub(crate) fn is_on(switch: Option<&Name>, variables: &Map<String, Json>) -> bool {
    switch.is_none_or(|name| variables.get(name.as_str()) != Some(&Json::Bool(false)))
}

/// Whether a document asks for parts at all.
pub(super) fn asks_for_parts(schema: &Schema, document: &ExecutableDocument) -> bool {
    let known = |name: &str| schema.directive_definitions.contains_key(name);
    if !known("defer") && !known("stream") {
        return false;
    }
    let operations = document.operations.iter().map(|operation| &operation.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.selection_set);
    let mut found = false;
    for set in operations.chain(fragments) {
        each_selection(set, &mut |_, selection| {
            let directives = selection.directives();
            found |= directives.has("defer") || directives.has("stream");
        });
    }
    found
}

/// What a directive says of its label and of what switches it; nothing when it is switched off.
fn said(directive: &Directive) -> Option<(Option<Arc<str>>, Option<Name>)> {
    let switch = match directive.specified_argument_by_name("if").map(AsRef::as_ref) {
        Some(Literal::Boolean(false)) => return None,
        Some(Literal::Variable(name)) => Some(name.clone()),
        _ => None,
    };
    let label = directive.specified_argument_by_name("label");
    Some((label.and_then(|label| label.as_str()).map(Into::into), switch))
}

/// What a `@defer` makes of a fragment inside another one.
pub(super) fn deferred(
    directive: &Directive,
    parent: Option<u32>,
    level: usize,
) -> Option<Deferred> {
    let (label, switch) = said(directive)?;
    Some(Deferred { label, switch, parent, level })
}

impl Planner<'_> {
    /// When a field that stands at these places is in the answer; nothing in a document without parts.
    pub(super) fn timing(
        &mut self,
        number: usize,
        places: &[Place<'_>],
    ) -> Result<Option<Arc<Timing>>, GraphqlError> {
        if !self.has_parts {
            return Ok(None);
        }
        let mut fragments: Vec<Option<u32>> = places.iter().map(|place| place.deferred).collect();
        fragments.sort_unstable();
        fragments.dedup();
        let mut timed = Vec::new();
        if fragments != [None] {
            for fragment in fragments {
                let own = places.iter().filter(|place| place.deferred == fragment);
                timed.push((fragment, self.conditions(own)?));
            }
        }
        let stream = streamed(places[0].field, self.deferred.len() as u32);
        Ok(Some(Arc::new(Timing { number: number as u32, places: timed, stream })))
    }
}

fn streamed(field: &Field, floor: u32) -> Option<Streamed> {
    let directive = field.directives.get("stream")?;
    let (label, switch) = said(directive)?;
    let initial = match directive.specified_argument_by_name("initialCount").map(AsRef::as_ref) {
        Some(Literal::Variable(name)) => Initial::Variable(name.clone()),
        Some(value) => Initial::Given(value.to_i32().unwrap_or(0).into()),
        None => Initial::Given(0),
    };
    Some(Streamed { label, switch, initial, floor })
}

impl PlannedField {
    /// The number of the field, in a document with parts.
    pub(crate) fn number(&self) -> Option<u32> {
        Some(self.timing.as_ref()?.number)
    }
}

impl Selection {
    /// The field with a number. Numbers are given from above to below, and from the first to the last.
    pub(crate) fn find(&self, number: u32) -> Option<&PlannedField> {
        let after = self.fields.partition_point(|field| field.number() <= Some(number));
        let field = self.fields.get(after.checked_sub(1)?)?;
        if field.number() == Some(number) {
            return Some(field);
        }
        match &field.inner {
            super::Inner::Leaf => None,
            super::Inner::Object(inner) => inner.find(number),
            super::Inner::Abstract(by_type) => {
                let first =
                    |inner: &&Selection| inner.fields.first().and_then(PlannedField::number);
                let before = by_type.values().filter(|inner| first(inner) <= Some(number));
                before.max_by_key(first)?.find(number)
            }
        }
    }
}
