//! What a call of the planner comes to over HTTP or gRPC, for people: in comes a document, out comes a line for
//! each call that it would make, with the type or field that it is for.

use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Name};
use schema::fetch::{Fetch, Origin};

use super::Kept;

/// The calls of a document.
pub(super) fn show(rest: &Kept, document: &ExecutableDocument) -> Vec<String> {
    let mut shown = Shown { rest, document, lines: Vec::new() };
    for operation in document.operations.iter() {
        shown.set(&operation.selection_set, false);
    }
    shown.lines
}

struct Shown<'a> {
    rest: &'a Kept,
    document: &'a ExecutableDocument,
    lines: Vec<String>,
}

impl Shown<'_> {
    /// A selection; `by_key` where of its objects no more is known than their key.
    fn set(&mut self, selected: &SelectionSet, by_key: bool) {
        for selection in &selected.selections {
            match selection {
                Selection::Field(field) => self.field(&selected.ty, field, by_key),
                Selection::InlineFragment(inline) => self.set(&inline.selection_set, by_key),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name) {
                        self.set(&fragment.selection_set, by_key);
                    }
                }
            }
        }
    }

    fn field(&mut self, parent: &Name, field: &Field, by_key: bool) {
        let rest = self.rest;
        let of = rest.fetches.types.get(parent);
        let origin = of.and_then(|of| of.fields.get(&field.name)).map(|source| &source.origin);
        match origin {
            Some(Origin::Call(fetch)) => self.add(&format!("{parent}.{}", field.name), fetch),
            Some(Origin::Parent) if by_key => {
                for entity in of.iter().flat_map(|of| &of.entities) {
                    if entity.key.iter().all(|path| path.first() != field.name.as_str()) {
                        self.add(parent, &entity.fetch);
                    }
                }
            }
            _ => {}
        }
        let is_reference = matches!(origin, Some(Origin::Reference { .. }));
        self.set(&field.selection_set, is_reference || field.name == "_entities");
    }

    fn add(&mut self, of: &str, fetch: &Fetch) {
        let line = line(of, fetch);
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }
}

fn line(of: &str, fetch: &Fetch) -> String {
    let many = match &fetch.batch {
        Some(batch) => format!(", up to {} at once by `{}`", batch.most, batch.by),
        None => String::new(),
    };
    let pages = match &fetch.pages {
        Some(pages) => format!(", up to {} pages", pages.most),
        None => String::new(),
    };
    format!("{fetch} for `{of}`{many}{pages}")
}
