//! Which fields and types may carry which directive: in come the types, out comes every directive
//! that stands where it cannot mean anything.

use apollo_compiler::Name;
use indexmap::IndexMap;

use crate::compose::link::Link;
use crate::compose::report::Report;
use crate::compose::subgraph::{SubField, SubType, TypeKind};
use crate::compose::text::{Span, Spot};
use crate::diagnostic::Code;

pub(super) fn check(
    types: &mut IndexMap<Name, SubType>,
    link: &Link,
    source: &str,
    report: &mut Report<'_>,
) {
    let mut places = Places { source, report };
    for (name, found) in types.iter() {
        places.type_rules(name, found, link);
        for (field_name, field) in &found.fields {
            let on = format!("{name}.{field_name}");
            if found.kind == TypeKind::Interface {
                places.interface_field(&on, field, link);
            } else {
                places.override_from_self(&on, field);
            }
        }
    }
}

struct Places<'p, 'g> {
    source: &'p str,
    report: &'p mut Report<'g>,
}

impl Places<'_, '_> {
    fn fault(&mut self, code: Code, span: Span, words: String, hint: &str) {
        self.report.add(code, Spot { source: 0, span }, Vec::new(), words).hint(hint);
    }

    fn type_rules(&mut self, name: &Name, found: &SubType, link: &Link) {
        if found.kind == TypeKind::Interface && link.minor.is_some_and(|minor| minor < 3) {
            for key in &found.keys {
                let words = format!("`@key` on the interface `{name}`");
                let hint = "link federation v2.3 or newer";
                self.fault(Code::KeyUnsupportedOnInterface, key.span, words, hint);
            }
        }
        if let Some(span) = found.interface_object.filter(|_| found.keys.is_empty()) {
            let words = format!("`{name}` is an `@interfaceObject` without a `@key`");
            let hint = "give it the key of the interface";
            self.fault(Code::InterfaceObjectUsageError, span, words, hint);
        }
        if let Some(span) = found.marks.inaccessible.filter(|_| name == "Query") {
            let words = "the root of queries is `@inaccessible`".to_owned();
            let hint = "hide its fields instead";
            self.fault(Code::QueryRootTypeInaccessible, span, words, hint);
        }
    }

    fn interface_field(&mut self, on: &str, field: &SubField, link: &Link) {
        if let Some(chosen) = &field.requires {
            let words = format!("`@requires` of `{on}`, a field of an interface");
            let hint = "write it at the types that implement the interface";
            self.fault(Code::RequiresUnsupportedOnInterface, chosen.span, words, hint);
        }
        if let Some(chosen) = &field.provides {
            let words = format!("`@provides` of `{on}`, a field of an interface");
            let hint = "write it at the types that implement the interface";
            self.fault(Code::ProvidesUnsupportedOnInterface, chosen.span, words, hint);
        }
        if let Some(over) = &field.over {
            let words = format!("`@override` of `{on}`, a field of an interface");
            let hint = "write it at the types that implement the interface";
            self.fault(Code::OverrideOnInterface, over.span, words, hint);
        }
        if field.shareable && !link.is_first() {
            let words = format!("`{on}` is `@shareable`, but a field of an interface");
            let hint = "mark the fields of the types that implement it";
            self.fault(Code::InvalidShareableUsage, field.span, words, hint);
        }
    }

    fn override_from_self(&mut self, on: &str, field: &SubField) {
        let Some(over) = field.over.as_ref().filter(|over| &*over.from == self.source) else {
            return;
        };
        let words = format!("`{on}` is overridden from `{}`, the source itself", over.from);
        self.fault(Code::OverrideFromSelfError, over.span, words, "name the other source");
    }
}
