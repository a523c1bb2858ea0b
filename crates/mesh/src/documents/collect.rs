//! What an object of a type has in an answer: fields under their keys, as the specification collects
//! them, each with the conditions under which it is there.
//!
//! In: selection sets of one place, each with the conditions on the way to it. Out: fields and spread
//! fragments that apply to the type. Variables have no values here, so that a condition is kept as the
//! set of variables that must be true or false.

use std::collections::{BTreeSet, HashSet};

use apollo_compiler::executable::{DirectiveList, Field, Selection, SelectionSet, Value};
use apollo_compiler::{ExecutableDocument, Name, Schema};
use indexmap::IndexMap;

/// Variables, each with the value that it must have.
pub(super) type Clause = BTreeSet<(Name, bool)>;

/// A selection set, and when it is there.
pub(super) type Placed<'a> = (&'a SelectionSet, Clause);

/// Of which objects a question is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'a> {
    /// Of those of an object type.
    Type(&'a Name),
    /// Of those of any type that an interface or a union has or will have.
    Any(&'a Name),
}

/// What was found.
#[derive(Default)]
pub(super) struct Collected<'a> {
    /// Occurrences of fields by their keys.
    pub(super) fields: IndexMap<&'a Name, Vec<(&'a Field, Clause)>>,
    /// The conditions of spread fragments by their names.
    pub(super) spreads: IndexMap<&'a Name, Vec<Clause>>,
    /// How many occurrences there are.
    pub(super) count: usize,
    seen: HashSet<(&'a Name, Clause)>,
}

/// Collects what applies to objects.
pub(super) fn collect<'a>(
    schema: &Schema,
    document: &'a ExecutableDocument,
    sets: &[Placed<'a>],
    of: Of<'_>,
) -> Collected<'a> {
    let mut found = Collected::default();
    for (set, clause) in sets {
        found.set(schema, document, set, clause, of);
    }
    found
}

impl<'a> Collected<'a> {
    fn set(
        &mut self,
        schema: &Schema,
        document: &'a ExecutableDocument,
        set: &'a SelectionSet,
        clause: &Clause,
        of: Of<'_>,
    ) {
        for selection in &set.selections {
            let Some(clause) = with_conditions(clause, selection.directives()) else { continue };
            match selection {
                Selection::Field(field) => {
                    self.count += 1;
                    self.fields.entry(field.response_key()).or_default().push((field, clause));
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.type_condition.as_ref();
                    if condition.is_none_or(|condition| of.is_within(schema, condition)) {
                        self.set(schema, document, &inline.selection_set, &clause, of);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.fragment_name;
                    let Some(fragment) = document.fragments.get(name) else { continue };
                    if !of.is_within(schema, fragment.type_condition())
                        || !self.seen.insert((name, clause.clone()))
                    {
                        continue;
                    }
                    self.spreads.entry(name).or_default().push(clause.clone());
                    self.set(schema, document, &fragment.selection_set, &clause, of);
                }
            }
        }
    }
}

impl Of<'_> {
    /// Whether all of these objects are of a type.
    fn is_within(self, schema: &Schema, condition: &Name) -> bool {
        let (Of::Type(name) | Of::Any(name)) = self;
        name == condition || schema.is_subtype(condition, name)
    }
}

/// The conditions of a selection beside those on the way to it; nothing when it is never there.
fn with_conditions(clause: &Clause, directives: &DirectiveList) -> Option<Clause> {
    let mut clause = clause.clone();
    for (name, wanted) in [("include", true), ("skip", false)] {
        for directive in directives.get_all(name) {
            match directive.specified_argument_by_name("if").map(AsRef::as_ref) {
                Some(Value::Variable(variable)) => {
                    clause.insert((variable.clone(), wanted));
                }
                Some(Value::Boolean(value)) if *value != wanted => return None,
                _ => {}
            }
        }
    }
    let contradicts = clause.iter().any(|(name, value)| clause.contains(&(name.clone(), !value)));
    (!contradicts).then_some(clause)
}

/// Whether something is there whenever one of `present` holds: under each there is one that asks for no
/// more.
pub(super) fn is_certain<'c>(
    present: &[Clause],
    found: impl Iterator<Item = &'c Clause> + Clone,
) -> bool {
    present.iter().all(|clause| found.clone().any(|found| found.is_subset(clause)))
}

/// The fragment that a set consists of, when it is nothing else and on the same type.
pub(super) fn only_spread<'a>(
    document: &'a ExecutableDocument,
    set: &SelectionSet,
) -> Option<&'a Name> {
    let [Selection::FragmentSpread(spread)] = set.selections.as_slice() else { return None };
    let fragment = document.fragments.get(&spread.fragment_name)?;
    let is_same = spread.directives.is_empty() && *fragment.type_condition() == set.ty;
    is_same.then_some(&fragment.name)
}
