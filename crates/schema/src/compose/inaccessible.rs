//! What clients do not see: in come the merged types, out comes every place where something that
//! they see needs something that they do not.

use apollo_compiler::Name;
use apollo_compiler::ast::Value;

use super::merge::{Merged, MergedInput, MergedType};
use super::report::Report;
use super::subgraph::{Subgraph, TypeKind};
use super::text::Spot;
use crate::diagnostic::Code;

/// Checks the rules of `@inaccessible`.
pub(crate) fn check(subgraphs: &[Subgraph], merged: &Merged, report: &mut Report<'_>) {
    let mut checker = Checker { subgraphs, merged, report };
    for (name, found) in &merged.types {
        if found.marks.inaccessible.is_some() {
            continue;
        }
        checker.only_hidden(name, found);
        checker.fields(name, found);
        checker.implemented(name, found);
        for (field, input) in &found.inputs {
            checker.input(&format!("{name}.{field}"), "input field", input);
        }
    }
}

struct Checker<'c, 'g> {
    subgraphs: &'c [Subgraph],
    merged: &'c Merged,
    report: &'c mut Report<'g>,
}

impl Checker<'_, '_> {
    fn hidden(&self, name: &Name) -> Option<Spot> {
        self.merged.types.get(name)?.marks.inaccessible
    }

    fn only_hidden(&mut self, name: &Name, found: &MergedType) {
        let (what, hidden) = match found.kind {
            TypeKind::Object | TypeKind::Interface => (
                "fields",
                found.fields.values().map(|field| field.marks.inaccessible).collect::<Vec<_>>(),
            ),
            TypeKind::Input => {
                ("fields", found.inputs.values().map(|input| input.marks.inaccessible).collect())
            }
            TypeKind::Enum => {
                ("values", found.values.values().map(|value| value.marks.inaccessible).collect())
            }
            TypeKind::Union => ("members", found.members.iter().map(|m| self.hidden(m)).collect()),
            TypeKind::Scalar => return,
        };
        let Some(Some(first)) = hidden.first().copied() else { return };
        if hidden.iter().any(Option::is_none) {
            return;
        }
        let source = found.sources.first().copied().unwrap_or(0);
        let span = self.subgraphs[source].types.get(name).map_or(Default::default(), |t| t.span);
        let words = format!("clients see `{name}`, but all its {what} are `@inaccessible`");
        let also = vec![(first, "hidden here".to_owned())];
        self.report
            .add(Code::OnlyInaccessibleChildren, Spot { source, span }, also, words)
            .hint(format!("hide `{name}` too, or show one of its {what}"));
    }

    fn fields(&mut self, name: &Name, found: &MergedType) {
        for (field_name, field) in &found.fields {
            if field.marks.inaccessible.is_some() {
                continue;
            }
            let on = format!("{name}.{field_name}");
            self.referenced(&on, field.spot, field.ty.inner_named_type());
            for (argument, input) in &field.arguments {
                self.input(&format!("{on}({argument}:)"), "argument", input);
            }
        }
    }

    fn referenced(&mut self, on: &str, spot: Spot, target: &Name) {
        let Some(hidden) = self.hidden(target) else { return };
        let words = format!("clients see `{on}`, but not its type `{target}`");
        let also = vec![(hidden, format!("`{target}` is hidden here"))];
        self.report
            .add(Code::ReferencedInaccessible, spot, also, words)
            .hint(format!("hide `{on}` too, or show `{target}`"));
    }

    fn input(&mut self, on: &str, word: &str, input: &MergedInput) {
        if let Some(hidden) = input.marks.inaccessible {
            if input.ty.is_non_null() && input.default.is_none() {
                let words = format!("the {word} `{on}` is required, but clients do not see it");
                let also = vec![(hidden, "hidden here".to_owned())];
                self.report
                    .add(Code::RequiredInaccessible, input.spot, also, words)
                    .hint("make it optional, or give it a default");
            }
            return;
        }
        let target = input.ty.inner_named_type();
        self.referenced(on, input.spot, target);
        if let Some(default) = &input.default {
            self.default(on, input.spot, target, default);
        }
    }

    /// A default is a value that clients could have written.
    fn default(&mut self, on: &str, spot: Spot, target: &Name, value: &Value) {
        let Some(found) = self.merged.types.get(target) else { return };
        let hidden = match value {
            Value::List(items) => {
                items.iter().for_each(|item| self.default(on, spot, target, item));
                return;
            }
            Value::Enum(name) => found
                .values
                .get(name)
                .and_then(|value| Some((format!("{target}.{name}"), value.marks.inaccessible?))),
            Value::Object(parts) => {
                let mut first = None;
                for (name, part) in parts {
                    let Some(input) = found.inputs.get(name) else { continue };
                    match input.marks.inaccessible {
                        Some(hidden) => {
                            first.get_or_insert((format!("{target}.{name}"), hidden));
                        }
                        None => self.default(on, spot, input.ty.inner_named_type(), part),
                    }
                }
                first
            }
            _ => None,
        };
        let Some((what, hidden)) = hidden else { return };
        let words = format!("the default of `{on}` uses `{what}`, which clients do not see");
        let also = vec![(hidden, "hidden here".to_owned())];
        self.report
            .add(Code::DefaultValueUsesInaccessible, spot, also, words)
            .hint(format!("use another default, or show `{what}`"));
    }

    /// What an interface shows, the types that implement it show.
    fn implemented(&mut self, name: &Name, found: &MergedType) {
        for interface in &found.implements {
            let Some(asked) = self.merged.types.get(interface) else { continue };
            if asked.marks.inaccessible.is_some() {
                continue;
            }
            for (field, asked) in &asked.fields {
                let Some(own) = found.fields.get(field) else { continue };
                if asked.marks.inaccessible.is_some() {
                    continue;
                }
                let mut pairs = vec![(format!("{name}.{field}"), own.marks.inaccessible)];
                for argument in
                    asked.arguments.iter().filter(|(_, a)| a.marks.inaccessible.is_none())
                {
                    let own = own.arguments.get(argument.0);
                    let hidden = own.and_then(|own| own.marks.inaccessible);
                    pairs.push((format!("{name}.{field}({}:)", argument.0), hidden));
                }
                for (on, hidden) in pairs {
                    let Some(hidden) = hidden else { continue };
                    let words = format!("`{on}` is hidden, but clients see it in `{interface}`");
                    let also = vec![(asked.spot, format!("`{interface}.{field}`"))];
                    self.report
                        .add(Code::ImplementedByInaccessible, hidden, also, words)
                        .hint("hide it in the interface too, or show it");
                }
            }
        }
    }
}
