//! The rules of one source: in come its types with their field sets as text, out come the same
//! types with the sets resolved, what follows from them (which fields are shareable, provided,
//! answered all the same), and every breach.
//!
//! Federation 1 was laxer than 2: what it let pass without meaning is taken out here, as its
//! successor does when it reads such a source.

mod external;
mod places;

use apollo_compiler::Name;
use indexmap::IndexMap;

use super::link::Link;
use super::report::Report;
use super::selection::{Fault, Named, Resolved, resolve};
use super::subgraph::{SubType, TypeKind};
use super::text::{Span, Spot};
use crate::diagnostic::Code;
use crate::graph::{FieldSet, FieldSetPart};

/// Checks and settles the types of a source.
pub(super) fn check(
    types: &mut IndexMap<Name, SubType>,
    link: &Link,
    source: &str,
    report: &mut Report<'_>,
) {
    if link.is_first() {
        forget_on_interfaces(types);
    }
    places::check(types, link, source, report);
    let mut checker = Checker { types, link, report };
    checker.keys();
    let named = checker.provides_and_requires();
    checker.interface_keys();
    checker.sharing();
    external::check(types, &named, link, report);
}

/// Federation 1 knows no entities behind interfaces.
fn forget_on_interfaces(types: &mut IndexMap<Name, SubType>) {
    for found in types.values_mut().filter(|found| found.kind == TypeKind::Interface) {
        found.keys.clear();
        for field in found.fields.values_mut() {
            (field.external, field.requires, field.provides) = (None, None, None);
        }
    }
}

/// The directives that hold a field set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Key,
    Requires,
    Provides,
}

impl Holder {
    fn name(self) -> &'static str {
        match self {
            Holder::Key => "@key",
            Holder::Requires => "@requires",
            Holder::Provides => "@provides",
        }
    }

    /// The code of a fault; nothing where the directive allows it.
    fn code(self, fault: Fault) -> Option<Code> {
        Some(match (self, fault) {
            (Holder::Key, Fault::Invalid) => Code::KeyInvalidFields,
            (Holder::Key, Fault::Arguments) => Code::KeyFieldsHasArgs,
            (Holder::Key, Fault::Directive) => Code::KeyDirectiveInFieldsArg,
            (Holder::Key, Fault::Abstract) => Code::KeyFieldsSelectInvalidType,
            (Holder::Requires, Fault::Invalid) => Code::RequiresInvalidFields,
            (Holder::Requires, Fault::Directive) => Code::RequiresDirectiveInFieldsArg,
            (Holder::Provides, Fault::Invalid) => Code::ProvidesInvalidFields,
            (Holder::Provides, Fault::Arguments) => Code::ProvidesFieldsHasArgs,
            (Holder::Provides, Fault::Directive) => Code::ProvidesDirectiveInFieldsArg,
            (Holder::Requires, Fault::Arguments | Fault::Abstract)
            | (Holder::Provides, Fault::Abstract) => return None,
        })
    }
}

/// The fields that the sets of a source name, by who names them.
#[derive(Debug, Default)]
pub(super) struct NamedFields {
    pub(super) by_provides: Vec<Named>,
    pub(super) by_requires: Vec<Named>,
}

struct Checker<'c, 'g> {
    types: &'c mut IndexMap<Name, SubType>,
    link: &'c Link,
    report: &'c mut Report<'g>,
}

impl Checker<'_, '_> {
    fn faults(&mut self, holder: Holder, resolved: &Resolved, on: &str, text: &str, span: Span) {
        let name = holder.name();
        let mut any = false;
        for (fault, words) in &resolved.faults {
            let Some(code) = holder.code(*fault) else { continue };
            if std::mem::replace(&mut any, true) {
                continue;
            }
            let words = format!("`{name}(fields: \"{text}\")` of `{on}` {words}");
            let hint = match fault {
                Fault::Invalid if holder == Holder::Key => "name fields that this source declares",
                Fault::Invalid => {
                    "name fields that this source declares; those of others as `@external`"
                }
                Fault::Arguments => "name fields without arguments",
                Fault::Directive => "name fields only",
                Fault::Abstract => "name fields of objects",
            };
            let spot = Spot { source: 0, span };
            self.report.add(code, spot, Vec::new(), words).hint(hint);
        }
    }

    /// Resolves keys, and finds the external fields that a key answers all the same.
    fn keys(&mut self) {
        let names: Vec<Name> = self.types.keys().cloned().collect();
        for name in names {
            for index in 0..self.types[&name].keys.len() {
                let key = &self.types[&name].keys[index];
                let (text, span) = (key.text.clone(), key.span);
                let resolved = resolve(self.types, &name, &text);
                self.faults(Holder::Key, &resolved, &name, &text, span);
                self.answered(&name, &resolved.named);
                let external = resolved.named.iter().any(|named| self.is_external(named));
                if let Some(found) = self.types.get_mut(&name) {
                    found.keys[index].fields = resolved.fields;
                    found.keys[index].has_external = external;
                    found.keys[index].named = resolved.named;
                }
            }
        }
    }

    fn is_external(&self, named: &Named) -> bool {
        let field = self.types.get(&named.parent).and_then(|t| t.fields.get(&named.field));
        field.is_some_and(|field| field.is_external())
    }

    /// The key of an extension is given by whoever enters the source, so its fields are known there.
    fn answered(&mut self, key_of: &Name, named: &[Named]) {
        if self.types[key_of].defined {
            return;
        }
        for named in named {
            let found = self.types.get_mut(&named.parent);
            if let Some(field) = found.and_then(|found| found.fields.get_mut(&named.field)) {
                field.answered_key = true;
            }
        }
    }

    fn provides_and_requires(&mut self) -> NamedFields {
        let mut all = NamedFields::default();
        let fields: Vec<(Name, Name)> = self
            .types
            .iter()
            .flat_map(|(parent, found)| found.fields.keys().map(|f| (parent.clone(), f.clone())))
            .collect();
        for (parent, name) in fields {
            for holder in [Holder::Requires, Holder::Provides] {
                let Some(named) = self.chosen(&parent, &name, holder) else { continue };
                match holder {
                    Holder::Requires => all.by_requires.extend(named),
                    _ => all.by_provides.extend(named),
                }
            }
        }
        all
    }

    fn chosen(&mut self, parent: &Name, name: &Name, holder: Holder) -> Option<Vec<Named>> {
        let field = self.types.get(parent)?.fields.get(name)?;
        let (chosen, target) = match holder {
            Holder::Requires => (field.requires.as_ref()?, parent.clone()),
            _ => (field.provides.as_ref()?, field.ty.inner_named_type().clone()),
        };
        let (text, span) = (chosen.text.clone(), chosen.span);
        let on = format!("{parent}.{name}");
        let composite = self.types.get(&target).is_some_and(|t| t.kind.is_composite());
        let mut resolved = if holder == Holder::Provides && !composite {
            self.provides_nothing(&on, span);
            Resolved::default()
        } else {
            resolve(self.types, &target, &text)
        };
        self.faults(holder, &resolved, &on, &text, span);
        if self.link.is_first() {
            resolved.fields = self.active(&target, resolved.fields, false);
        } else {
            self.must_be_external(holder, &resolved, &on, &text, span);
        }
        let keep = !resolved.fields.0.is_empty();
        let field = self.types.get_mut(parent)?.fields.get_mut(name)?;
        let place = match holder {
            Holder::Requires => &mut field.requires,
            _ => &mut field.provides,
        };
        match (keep, place.as_mut()) {
            (true, Some(chosen)) => chosen.fields = resolved.fields,
            _ => *place = None,
        }
        Some(resolved.named)
    }

    fn provides_nothing(&mut self, on: &str, span: Span) {
        if self.link.is_first() {
            return;
        }
        let spot = Spot { source: 0, span };
        let words = format!("`@provides` of `{on}`, which gives no objects");
        self.report
            .add(Code::ProvidesOnNonObjectField, spot, Vec::new(), words)
            .hint("leave it out");
    }

    /// What federation 1 keeps of a set: the fields that are external.
    fn active(&self, parent: &Name, set: FieldSet, below_external: bool) -> FieldSet {
        let parts = set.0.into_iter().filter_map(|part| match part {
            FieldSetPart::On { type_name, inner } => {
                let inner = self.active(&type_name, inner, below_external);
                (!inner.0.is_empty()).then_some(FieldSetPart::On { type_name, inner })
            }
            FieldSetPart::Field { name, inner } => {
                let known = self.types.get(parent).and_then(|found| found.fields.get(&name))?;
                let external = below_external || known.is_external();
                if inner.0.is_empty() {
                    return external.then_some(FieldSetPart::Field { name, inner });
                }
                let inner = self.active(known.ty.inner_named_type(), inner, external);
                (!inner.0.is_empty()).then_some(FieldSetPart::Field { name, inner })
            }
        });
        FieldSet(parts.collect())
    }

    fn must_be_external(
        &mut self,
        holder: Holder,
        resolved: &Resolved,
        on: &str,
        text: &str,
        span: Span,
    ) {
        let code = match holder {
            Holder::Requires => Code::RequiresFieldsMissingExternal,
            _ => Code::ProvidesFieldsMissingExternal,
        };
        let wrong = resolved
            .named
            .iter()
            .find(|named| named.leaf && !named.below_external && !self.is_external(named));
        let Some(named) = wrong else { return };
        let Named { parent, field, .. } = named;
        let known = self.types[parent].fields[field].span;
        let name = holder.name();
        let words = format!(
            "`{name}(fields: \"{text}\")` of `{on}` names `{parent}.{field}`, which is not `@external`"
        );
        let also = vec![(Spot { source: 0, span: known }, "resolved here already".to_owned())];
        self.report
            .add(code, Spot { source: 0, span }, also, words)
            .hint(format!("leave it out of `{name}`, or mark the field `@external`"));
    }

    /// Types have the keys of their interfaces.
    fn interface_keys(&mut self) {
        for (name, interface) in self.types.iter() {
            if interface.kind != TypeKind::Interface {
                continue;
            }
            for key in &interface.keys {
                let lacking = self.types.iter().filter(|(_, found)| {
                    found.kind == TypeKind::Object
                        && found.implements.contains(name)
                        && !found.keys.iter().any(|own| {
                            same_set(&own.fields, &key.fields)
                                && (own.resolvable || !key.resolvable)
                        })
                });
                for (lacks, found) in lacking {
                    let text = &key.text;
                    let words = format!(
                        "`{lacks}` implements `{name}` without its `@key(fields: \"{text}\")`"
                    );
                    let spot = Spot { source: 0, span: found.span };
                    let also = vec![(Spot { source: 0, span: key.span }, "the key".to_owned())];
                    self.report
                        .add(Code::InterfaceKeyNotOnImplementation, spot, also, words)
                        .hint(format!("give `{lacks}` the key"));
                }
            }
        }
    }

    /// Keys and what is provided may be resolved by several sources; federation 1 lets all be.
    fn sharing(&mut self) {
        if self.link.is_first() {
            let fields = self.types.values_mut().flat_map(|found| found.fields.values_mut());
            fields.for_each(|field| field.shareable = true);
            return;
        }
        let keys = self.types.values().flat_map(|found| &found.keys);
        let named: Vec<Named> = keys.flat_map(|key| key.named.iter().cloned()).collect();
        for named in named {
            let found = self.types.get_mut(&named.parent);
            if let Some(field) = found.and_then(|found| found.fields.get_mut(&named.field)) {
                field.shareable = true;
            }
        }
    }
}

/// Whether two sets choose the same, in whatever order.
pub(super) fn same_set(one: &FieldSet, other: &FieldSet) -> bool {
    let same = |a: &FieldSetPart, b: &FieldSetPart| match (a, b) {
        (
            FieldSetPart::Field { name: a, inner: one },
            FieldSetPart::Field { name: b, inner: other },
        )
        | (
            FieldSetPart::On { type_name: a, inner: one },
            FieldSetPart::On { type_name: b, inner: other },
        ) => a == b && same_set(one, other),
        _ => false,
    };
    one.0.len() == other.0.len() && one.0.iter().all(|a| other.0.iter().any(|b| same(a, b)))
}
