//! `@stream`: the rules of the proposal for incremental delivery. Those for `@defer` alone are
//! apollo-compiler's.
//!
//! In: a document and the types it is written for. Out: what breaks a rule: streams of what is no
//! list, labels that are no text or not the only one, streams at the roots of mutations and
//! subscriptions, streams that a subscription cannot do without, fields that are streamed in one
//! place and stand in another. Not here: delivery of anything.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::executable::{
    DirectiveList, Field, Operation, OperationType, Selection, SelectionSet,
};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use base::Kind;
use indexmap::IndexMap;

use super::walk::{each_selection, refusal};
use crate::error::GraphqlError;
use crate::limits::Limits;

/// Checks all streams of a document.
pub(super) fn check_stream(
    schema: &Schema,
    document: &ExecutableDocument,
    limits: &Limits,
) -> Vec<GraphqlError> {
    // Where the directive is unknown, that is the only thing to say of it.
    if !schema.directive_definitions.contains_key("stream") || !streams(document) {
        return Vec::new();
    }
    let mut errors = lists(document);
    errors.extend(labels(document));
    for operation in document.operations.iter() {
        errors.extend(roots(document, operation));
        if operation.is_subscription() {
            errors.extend(conditions(document, operation));
        }
        errors.extend(overlaps(document, operation, limits));
    }
    errors
}

fn stream(selection: &Selection) -> Option<&Node<Directive>> {
    selection.directives().get("stream")
}

/// The selection sets of all operations and fragments.
fn sets(document: &ExecutableDocument) -> impl Iterator<Item = &SelectionSet> {
    let operations = document.operations.iter().map(|operation| &operation.selection_set);
    operations.chain(document.fragments.values().map(|fragment| &fragment.selection_set))
}

fn streams(document: &ExecutableDocument) -> bool {
    let mut found = false;
    for set in sets(document) {
        each_selection(set, &mut |_, selection| found |= stream(selection).is_some());
    }
    found
}

fn lists(document: &ExecutableDocument) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    for set in sets(document) {
        each_selection(set, &mut |set, selection| {
            let Selection::Field(field) = selection else { return };
            if let Some(stream) = stream(selection).filter(|_| !field.ty().is_list()) {
                let message = format!("`@stream` at `{}.{}`, which is no list", set.ty, field.name);
                errors.push(refusal(document, stream.location(), message));
            }
        });
    }
    errors
}

fn labels(document: &ExecutableDocument) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    let mut seen: HashMap<&str, &Name> = HashMap::new();
    for set in sets(document) {
        each_selection(set, &mut |_, selection| {
            let incremental = ["defer", "stream"].into_iter();
            for directive in incremental.filter_map(|name| selection.directives().get(name)) {
                let Some(label) = directive.specified_argument_by_name("label") else { continue };
                if directive.name == "stream" && matches!(**label, Value::Variable(_)) {
                    let message = "the label of a `@stream` must be a text, not a variable";
                    errors.push(refusal(document, label.location(), message.to_owned()));
                }
                let Value::String(text) = label.as_ref() else { continue };
                let other = seen.insert(text, &directive.name);
                // Of two defers with one label apollo-compiler says so.
                if other.is_some_and(|other| *other == "stream" || directive.name == "stream") {
                    let message = format!("the label `{text}` is given twice");
                    errors.push(refusal(document, label.location(), message));
                }
            }
        });
    }
    errors
}

/// Calls for every selection that an operation comes to through fragments, each fragment once; below
/// one for which the call says no nothing is visited.
fn each_reached<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    visited: &mut HashSet<&'a Name>,
    visit: &mut impl FnMut(&'a Selection) -> bool,
) {
    for selection in &set.selections {
        if !visit(selection) {
            continue;
        }
        let inner = match selection {
            Selection::Field(field) => &field.selection_set,
            Selection::InlineFragment(fragment) => &fragment.selection_set,
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.fragment_name);
                match fragment.filter(|_| visited.insert(&spread.fragment_name)) {
                    Some(fragment) => &fragment.selection_set,
                    None => continue,
                }
            }
        };
        each_reached(document, inner, visited, visit);
    }
}

fn roots(document: &ExecutableDocument, operation: &Operation) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    if operation.operation_type == OperationType::Query {
        return errors;
    }
    let kind = operation.operation_type.name();
    each_reached(document, &operation.selection_set, &mut HashSet::new(), &mut |selection| {
        if let Some(stream) = stream(selection) {
            let message = format!("`@stream` at a root field of a {kind}");
            errors.push(refusal(document, stream.location(), message));
        }
        !matches!(selection, Selection::Field(_))
    });
    errors
}

/// A subscription answers in parts already, so that its streams must be able to be switched off.
fn conditions(document: &ExecutableDocument, operation: &Operation) -> Vec<GraphqlError> {
    let mut errors = Vec::new();
    each_reached(document, &operation.selection_set, &mut HashSet::new(), &mut |selection| {
        if may_be_left_out(selection.directives()) {
            return false;
        }
        if let Some(stream) = stream(selection).filter(|stream| is_fixed(stream)) {
            let message = "`@stream` in a subscription, which answers in parts already".to_owned();
            let error = refusal(document, stream.location(), message);
            errors.push(error.with("hint", "switch it off: `@stream(if: false)`"));
        }
        true
    });
    errors
}

/// Whether nothing can switch a stream off.
fn is_fixed(stream: &Directive) -> bool {
    let condition = stream.specified_argument_by_name("if").map(AsRef::as_ref);
    !matches!(condition, Some(Value::Boolean(false) | Value::Variable(_)))
}

/// Whether `@skip` or `@include` may leave a selection out.
fn may_be_left_out(directives: &DirectiveList) -> bool {
    [("skip", false), ("include", true)].into_iter().any(|(name, kept)| {
        directives.get(name).is_some_and(|directive| {
            let condition = directive.specified_argument_by_name("if");
            condition.and_then(|condition| condition.to_bool()) != Some(kept)
        })
    })
}

/// Fields that stand in the same place of the answer, by their key.
type Merged<'a> = IndexMap<&'a Name, Vec<&'a Node<Field>>>;

/// What was looked at while fields were merged.
struct Overlaps<'a> {
    document: &'a ExecutableDocument,
    /// Groups of fields whose selections were merged already, by their addresses.
    known: HashSet<Vec<*const Field>>,
    reported: HashSet<*const Field>,
    errors: Vec<GraphqlError>,
    work: usize,
}

/// A list that is streamed stands in one place only: two could not agree on what has come already.
fn overlaps(
    document: &ExecutableDocument,
    operation: &Operation,
    limits: &Limits,
) -> Vec<GraphqlError> {
    let mut overlaps = Overlaps {
        document,
        known: HashSet::new(),
        reported: HashSet::new(),
        errors: Vec::new(),
        work: limits.selections,
    };
    match overlaps.check(&[&operation.selection_set]) {
        Some(()) => overlaps.errors,
        None => {
            let message =
                format!("the operation merges more than {} selections", limits.selections);
            vec![GraphqlError::new(Kind::LimitExceeded, message)]
        }
    }
}

impl<'a> Overlaps<'a> {
    /// Checks sets that stand in the same place; nothing when there is too much to do.
    fn check(&mut self, sets: &[&'a SelectionSet]) -> Option<()> {
        let mut merged = Merged::new();
        let mut visited = HashSet::new();
        for set in sets {
            self.merge(set, &mut merged, &mut visited)?;
        }
        let mut fields: Vec<*const Field> =
            merged.values().flatten().map(|field| std::ptr::from_ref(field.as_ref())).collect();
        fields.sort_unstable();
        if !self.known.insert(fields) {
            return Some(());
        }
        for fields in merged.values() {
            self.report(fields);
            let sets: Vec<&SelectionSet> =
                fields.iter().map(|field| &field.selection_set).collect();
            if sets.iter().any(|set| !set.selections.is_empty()) {
                self.check(&sets)?;
            }
        }
        Some(())
    }

    fn merge(
        &mut self,
        set: &'a SelectionSet,
        merged: &mut Merged<'a>,
        visited: &mut HashSet<&'a Name>,
    ) -> Option<()> {
        for selection in &set.selections {
            self.work = self.work.checked_sub(1)?;
            match selection {
                Selection::Field(field) => {
                    merged.entry(field.response_key()).or_default().push(field);
                }
                Selection::InlineFragment(fragment) => {
                    self.merge(&fragment.selection_set, merged, visited)?;
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    if let Some(fragment) =
                        fragment.filter(|_| visited.insert(&spread.fragment_name))
                    {
                        self.merge(&fragment.selection_set, merged, visited)?;
                    }
                }
            }
        }
        Some(())
    }

    fn report(&mut self, fields: &[&'a Node<Field>]) {
        let [_, .., second] = fields else { return };
        let streamed = fields.iter().find(|field| field.directives.has("stream"));
        let Some(streamed) = streamed else { return };
        if self.reported.insert(std::ptr::from_ref(streamed.as_ref())) {
            let key = second.response_key();
            let message = format!("`{key}` is streamed in one place and stands in another");
            let error = refusal(self.document, streamed.location(), message);
            self.errors.push(error.with("hint", "give each of them an alias of its own"));
        }
    }
}
