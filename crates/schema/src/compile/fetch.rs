//! Where the values of a service are that does not speak GraphQL: in comes the SDL of its module,
//! out come its [`Fetches`], or everything that is wrong with `@fetch`, `@wire` and `@ref` in it.
//!
//! ```text
//! Document → types → (call, body) of each @fetch → rules → Fetches
//! ```
//!
//! Not here: what composition says of the same SDL (`compose`); making calls (`mesh`).

mod body;
mod call;
mod messages;
mod rules;
mod types;

use std::sync::Arc;

use apollo_compiler::Name;
use apollo_compiler::ast::{DirectiveList, DirectiveLocation};
use apollo_compiler::ast::{Document, EnumValueDefinition, InputValueDefinition};
use indexmap::IndexMap;

use crate::diagnostic::Code;
use crate::fetch::{Fetches, FieldSource, Origin, TypeFetches};
use crate::graph::SourceKind;
use crate::model::SourceSpec;

use super::directives::{Applied, Directives};
use super::report::Report;
use types::{Field, Root, Type, Types};

/// A field while it is judged.
#[derive(Clone, Copy)]
struct Place<'a, 'd> {
    types: &'a Types<'d>,
    spec: &'a SourceSpec,
    parent: &'a Type<'d>,
    field: &'a Field<'d>,
}

/// Reads all that a module says of its values.
pub(super) fn fetches(document: &Document, spec: &SourceSpec, report: &mut Report<'_>) -> Fetches {
    let types = Types::of(document);
    let mut fetches = Fetches {
        members: members(document, report),
        on_error: spec.on_error,
        ttl: spec.ttl,
        ..Fetches::default()
    };
    if let Some(stream) = types.root(Root::Subscription).filter(|_| spec.kind == SourceKind::Rest) {
        report
            .at(Code::Fetch, stream.at, "a service of calls has no subscriptions")
            .hint("leave the type out");
    }
    for found in types.all() {
        let of = type_of(&types, spec, found, report);
        fetches.types.insert(found.name.clone(), of);
    }
    elsewhere(document, report);
    rules::check(&types, spec, &fetches, report);
    messages::of_types(&types, spec, &fetches, report);
    fetches
}

/// Our directives at definitions where they mean nothing.
fn elsewhere(document: &Document, report: &mut Report<'_>) {
    use apollo_compiler::ast::Definition;
    for definition in &document.definitions {
        let location = match definition {
            Definition::SchemaDefinition(_) | Definition::SchemaExtension(_) => {
                DirectiveLocation::Schema
            }
            Definition::ScalarTypeDefinition(_) | Definition::ScalarTypeExtension(_) => {
                DirectiveLocation::Scalar
            }
            Definition::EnumTypeDefinition(_) | Definition::EnumTypeExtension(_) => {
                DirectiveLocation::Enum
            }
            Definition::InputObjectTypeDefinition(_) | Definition::InputObjectTypeExtension(_) => {
                DirectiveLocation::InputObject
            }
            _ => continue,
        };
        Directives::check_service(definition.directives(), location, report);
    }
}

fn type_of(
    types: &Types<'_>,
    spec: &SourceSpec,
    found: &Type<'_>,
    report: &mut Report<'_>,
) -> TypeFetches {
    let mut of = TypeFetches::default();
    for list in &found.directives {
        let directives = Directives::check_service(list, found.location(), report);
        for applied in directives.iter() {
            match applied.name() {
                "wire" => of.wire = wire(applied, report).or(of.wire),
                "fetch" => of.entities.extend(call::entity(types, spec, found, applied, report)),
                _ => {}
            }
        }
    }
    for field in found.fields.values() {
        let place = Place { types, spec, parent: found, field };
        if let Some(source) = field_of(place, report) {
            of.fields.insert(field.node.name.clone(), source);
        }
    }
    of
}

/// `None` when it is wrong, which has been said.
fn field_of(place: Place<'_, '_>, report: &mut Report<'_>) -> Option<FieldSource> {
    let Place { field, parent, .. } = place;
    let list = &field.node.directives;
    let directives = Directives::check_service(list, DirectiveLocation::FieldDefinition, report);
    let name: Arc<str> = field.node.name.as_str().into();
    let wire = directives.get("wire").map(|applied| wire(applied, report));
    let wire = wire.map_or(Some(name), |wire| wire)?;
    for argument in &field.node.arguments {
        let location = DirectiveLocation::ArgumentDefinition;
        Directives::check_service(&argument.directives, location, report);
    }
    let mut calls = directives.all("fetch");
    let (call, second) = (calls.next(), calls.next());
    if let Some(second) = second {
        report
            .at(Code::Fetch, second.at(), "a field has one `@fetch`")
            .hint("keep one of them; a type may have one for each of its keys");
    }
    let origin = match (call, directives.get("ref")) {
        (Some(call), Some(reference)) => {
            report
                .at(Code::Fetch, reference.at(), "`@fetch` and `@ref` exclude each other")
                .hint("keep the one that says where the value is");
            let _judged = call::field(place, call, report);
            return None;
        }
        (Some(call), None) => Origin::Call(Box::new(call::field(place, call, report)?)),
        (None, Some(reference)) => rules::reference(place, reference, report)?,
        (None, None) if directives.broken => return None,
        (None, None) => Origin::Parent,
    };
    if !matches!(origin, Origin::Call(_)) {
        rules::without_call(place, report);
    }
    if parent.kind.is_abstract() && !matches!(origin, Origin::Parent) {
        report
            .at(Code::Fetch, field.at(), "a field of an interface is fetched by its types")
            .hint("write the directive at the field of each type that implements it");
        return None;
    }
    Some(FieldSource { wire, origin })
}

fn wire(applied: Applied<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let name = applied.text("name")?;
    if name.value.is_empty() {
        report
            .at(Code::Fetch, name.at, "`@wire` gives an empty name")
            .hint("write the name by which the service calls it");
        return None;
    }
    Some(name.value.into())
}

/// What the service calls values of enums and fields of input types.
fn members(
    document: &Document,
    report: &mut Report<'_>,
) -> IndexMap<Name, IndexMap<Name, Arc<str>>> {
    use apollo_compiler::ast::Definition;
    let mut members: IndexMap<Name, IndexMap<Name, Arc<str>>> = IndexMap::new();
    let mut add =
        |of: &Name, name: &Name, list: &DirectiveList, location, report: &mut Report<'_>| {
            let directives = Directives::check_service(list, location, report);
            if let Some(wire) = directives.get("wire").and_then(|applied| wire(applied, report)) {
                members.entry(of.clone()).or_default().insert(name.clone(), wire);
            }
        };
    let values = |list: &[apollo_compiler::Node<EnumValueDefinition>]| list.to_vec();
    let inputs = |list: &[apollo_compiler::Node<InputValueDefinition>]| list.to_vec();
    for definition in &document.definitions {
        let (of, values, inputs) = match definition {
            Definition::EnumTypeDefinition(node) => (&node.name, values(&node.values), vec![]),
            Definition::EnumTypeExtension(node) => (&node.name, values(&node.values), vec![]),
            Definition::InputObjectTypeDefinition(node) => {
                (&node.name, vec![], inputs(&node.fields))
            }
            Definition::InputObjectTypeExtension(node) => {
                (&node.name, vec![], inputs(&node.fields))
            }
            _ => continue,
        };
        for value in &values {
            let location = DirectiveLocation::EnumValue;
            add(of, &value.value, &value.directives, location, report);
        }
        for input in &inputs {
            let location = DirectiveLocation::InputFieldDefinition;
            add(of, &input.name, &input.directives, location, report);
        }
    }
    members
}
