//! APIs with parts taken out: in comes an API as SDL, out comes what is left when some of it may not be
//! seen, and when nothing refers to what is gone.

use std::collections::HashSet;

use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::collections::IndexMap as ApolloMap;
use apollo_compiler::schema::{Component, ComponentName, ExtendedType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema as Sdl};
use base::Principal;

use crate::api::api_sdl;
use crate::graph::{Graph, SourceId, SourceKind};
use crate::model::Schema;

/// The graph without what the view of its tables and the scopes of its services hide.
pub(crate) fn reduced(whole: &Schema, view: &Schema, graph: &Graph, who: &Principal) -> Graph {
    let mut api = Sdl::clone(&graph.api);
    let before = parsed(&api_sdl(whole));
    let after = parsed(&api_sdl(view));
    subtract(&mut api, graph, &before, &after);
    for object in view.types.values().filter(|object| !object.is_shown()) {
        api.types.shift_remove(object.name.as_ref());
    }
    let scopes = whole.services.iter().flat_map(|service| &service.scopes);
    for scope in scopes.filter(|scope| !scope.is_for(who)) {
        match &scope.field {
            Some(field) => remove_member(&mut api, &scope.type_name, field),
            None => {
                api.types.shift_remove(scope.type_name.as_ref());
            }
        }
    }
    prune(&mut api);
    Graph { api: Valid::assume_valid(api), ..graph.clone() }
}

/// An API of tables of which parts were left out, without what refers to these parts.
pub(crate) fn pruned(sdl: &str) -> String {
    let mut api = parsed(sdl);
    prune(&mut api);
    api.to_string()
}

/// SDL of our own, which is well formed.
fn parsed(sdl: &str) -> Sdl {
    Sdl::parse(sdl, "api.graphql").unwrap_or_else(|failed| failed.partial)
}

/// Takes out of `api` the members that types of the tables had before and have no more. A type that is gone
/// as a whole may be a service's, too: it loses what the tables alone have, and goes when nothing comes to it.
fn subtract(api: &mut Sdl, graph: &Graph, before: &Sdl, after: &Sdl) {
    for (name, ty) in before.types.iter().filter(|(_, ty)| !ty.is_built_in()) {
        let Some(left) = after.types.get(name) else {
            for member in members(ty).iter().filter(|member| is_of_tables(graph, name, member)) {
                remove_member(api, name, member);
            }
            continue;
        };
        let left: HashSet<Name> = members(left).into_iter().collect();
        for member in members(ty).iter().filter(|member| !left.contains(*member)) {
            remove_member(api, name, member);
        }
        let arguments = after.types.get(name).map(arguments).unwrap_or_default();
        if let Some(ExtendedType::Object(object)) = api.types.get_mut(name) {
            for (field, definition) in &mut object.make_mut().fields {
                let Some(known) = arguments.iter().find(|(known, _)| known == field) else {
                    continue;
                };
                definition.make_mut().arguments.retain(|argument| known.1.contains(&argument.name));
            }
        }
    }
}

/// Whether the tables alone answer a field.
fn is_of_tables(graph: &Graph, type_name: &Name, field: &Name) -> bool {
    let sources = graph.types.get(type_name).and_then(|found| found.fields.get(field));
    let kind = |source: SourceId| graph.sources.get(source.0 as usize).map(|source| source.kind);
    sources.is_some_and(|all| all.iter().all(|one| kind(one.source) == Some(SourceKind::Lake)))
}

/// The names of a type's fields or values.
fn members(ty: &ExtendedType) -> Vec<Name> {
    match ty {
        ExtendedType::Object(object) => object.fields.keys().cloned().collect(),
        ExtendedType::InputObject(input) => input.fields.keys().cloned().collect(),
        ExtendedType::Enum(enumeration) => enumeration.values.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The arguments of an object's fields.
fn arguments(ty: &ExtendedType) -> Vec<(Name, Vec<Name>)> {
    let ExtendedType::Object(object) = ty else { return Vec::new() };
    let of = |definition: &FieldDefinition| {
        definition.arguments.iter().map(|argument| argument.name.clone()).collect()
    };
    object.fields.iter().map(|(name, field)| (name.clone(), of(field))).collect()
}

fn remove_member(api: &mut Sdl, type_name: &str, member: &str) {
    match api.types.get_mut(type_name) {
        Some(ExtendedType::Object(object)) => {
            object.make_mut().fields.shift_remove(member);
        }
        Some(ExtendedType::Interface(interface)) => {
            interface.make_mut().fields.shift_remove(member);
        }
        Some(ExtendedType::InputObject(input)) => {
            input.make_mut().fields.shift_remove(member);
        }
        Some(ExtendedType::Enum(enumeration)) => {
            enumeration.make_mut().values.shift_remove(member);
        }
        _ => {}
    }
}

/// Takes out what refers to nothing, and what nothing refers to, until nothing changes.
fn prune(api: &mut Sdl) {
    loop {
        let known: HashSet<Name> = api.types.keys().cloned().collect();
        let mut changed = false;
        for ty in api.types.values_mut() {
            changed |= dangling(ty, &known);
        }
        let empty: Vec<Name> =
            api.types.iter().filter(|(_, ty)| is_empty(ty)).map(|(name, _)| name.clone()).collect();
        changed |= !empty.is_empty();
        for name in empty {
            api.types.shift_remove(&name);
        }
        if !changed {
            break;
        }
    }
    unlinked_interfaces(api);
    let roots = &mut api.schema_definition;
    let is_there = |root: &Option<ComponentName>, types: &ApolloMap<_, ExtendedType>| {
        root.as_ref().is_some_and(|root| types.contains_key(&root.name))
    };
    if roots.mutation.is_some() && !is_there(&roots.mutation, &api.types) {
        roots.make_mut().mutation = None;
    }
    if roots.subscription.is_some() && !is_there(&roots.subscription, &api.types) {
        roots.make_mut().subscription = None;
    }
    let reached = reached(api);
    api.types.retain(|name, ty| ty.is_built_in() || reached.contains(name));
}

/// What an interface shows and an implementer has no more leaves no implementer.
fn unlinked_interfaces(api: &mut Sdl) {
    let interfaces: ApolloMap<Name, HashSet<Name>> = api
        .types
        .iter()
        .filter_map(|(name, ty)| match ty {
            ExtendedType::Interface(node) => {
                Some((name.clone(), node.fields.keys().cloned().collect()))
            }
            _ => None,
        })
        .collect();
    let keeps = |fields: &ApolloMap<Name, Component<FieldDefinition>>, interface: &Name| {
        interfaces
            .get(interface)
            .is_some_and(|shown| shown.iter().all(|field| fields.contains_key(field)))
    };
    for ty in api.types.values_mut() {
        match ty {
            ExtendedType::Object(node) => {
                let node = node.make_mut();
                let fields = &node.fields;
                node.implements_interfaces.retain(|interface| keeps(fields, &interface.name));
            }
            ExtendedType::Interface(node) => {
                let node = node.make_mut();
                let fields = &node.fields;
                node.implements_interfaces.retain(|interface| keeps(fields, &interface.name));
            }
            _ => {}
        }
    }
}

/// Takes out of a type what names a type that is gone; says whether there was any.
fn dangling(ty: &mut ExtendedType, known: &HashSet<Name>) -> bool {
    let is_known = |name: &Name| known.contains(name) || is_built_in(name);
    let mut changed = false;
    match ty {
        ExtendedType::Object(node) => {
            changed |= dangling_fields(&mut node.make_mut().fields, &is_known);
        }
        ExtendedType::Interface(node) => {
            changed |= dangling_fields(&mut node.make_mut().fields, &is_known);
        }
        ExtendedType::InputObject(node) => {
            let fields = &mut node.make_mut().fields;
            let before = fields.len();
            fields.retain(|_, field| is_known(field.ty.inner_named_type()));
            changed |= fields.len() != before;
        }
        ExtendedType::Union(node) => {
            let members = &mut node.make_mut().members;
            let before = members.len();
            members.retain(|member| is_known(&member.name));
            changed |= members.len() != before;
        }
        _ => {}
    }
    changed
}

fn dangling_fields(
    fields: &mut ApolloMap<Name, Component<FieldDefinition>>,
    is_known: &dyn Fn(&Name) -> bool,
) -> bool {
    let before = fields.len();
    fields.retain(|_, field| is_known(field.ty.inner_named_type()));
    let mut changed = fields.len() != before;
    for field in fields.values_mut() {
        let all = field.arguments.len();
        if field.arguments.iter().all(|argument| is_known(argument.ty.inner_named_type())) {
            continue;
        }
        let arguments = &mut field.make_mut().arguments;
        arguments.retain(|argument| is_known(argument.ty.inner_named_type()));
        changed |= arguments.len() != all;
    }
    changed
}

fn is_built_in(name: &Name) -> bool {
    matches!(name.as_str(), "Int" | "Float" | "String" | "Boolean" | "ID")
}

fn is_empty(ty: &ExtendedType) -> bool {
    match ty {
        ExtendedType::Object(node) => node.fields.is_empty(),
        ExtendedType::Interface(node) => node.fields.is_empty(),
        ExtendedType::InputObject(node) => node.fields.is_empty(),
        ExtendedType::Enum(node) => node.values.is_empty(),
        ExtendedType::Union(node) => node.members.is_empty(),
        ExtendedType::Scalar(_) => false,
    }
}

/// The types that clients can come to from the roots.
fn reached(api: &Sdl) -> HashSet<Name> {
    let roots = &api.schema_definition;
    let roots = [&roots.query, &roots.mutation, &roots.subscription];
    let mut waiting: Vec<Name> =
        roots.into_iter().flatten().map(|root| root.name.clone()).collect();
    for directive in api.directive_definitions.values() {
        let arguments = directive.arguments.iter();
        waiting.extend(arguments.map(|argument| argument.ty.inner_named_type().clone()));
    }
    let mut reached = HashSet::new();
    while let Some(name) = waiting.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        if let Some(ty) = api.types.get(&name) {
            waiting.extend(named(ty));
            waiting.extend(implementers(api, ty, &name));
        }
    }
    reached
}

/// The types that a type names.
fn named(ty: &ExtendedType) -> Vec<Name> {
    let of_fields = |fields: &ApolloMap<Name, Component<FieldDefinition>>| {
        let types = fields.values().flat_map(|field| {
            let arguments = field.arguments.iter().map(|argument| argument.ty.inner_named_type());
            std::iter::once(field.ty.inner_named_type()).chain(arguments)
        });
        types.cloned().collect::<Vec<_>>()
    };
    match ty {
        ExtendedType::Object(node) => {
            let interfaces = node.implements_interfaces.iter().map(|one| one.name.clone());
            of_fields(&node.fields).into_iter().chain(interfaces).collect()
        }
        ExtendedType::Interface(node) => of_fields(&node.fields),
        ExtendedType::InputObject(node) => {
            node.fields.values().map(|field| field.ty.inner_named_type().clone()).collect()
        }
        ExtendedType::Union(node) => node.members.iter().map(|one| one.name.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The types that stand behind an interface.
fn implementers<'a>(
    api: &'a Sdl,
    ty: &'a ExtendedType,
    name: &'a Name,
) -> impl Iterator<Item = Name> + 'a {
    let is_interface = matches!(ty, ExtendedType::Interface(_));
    let has = |node: &Node<apollo_compiler::schema::ObjectType>, name: &Name| {
        node.implements_interfaces.iter().any(|one| one.name == *name)
    };
    api.types.iter().filter_map(move |(found, ty)| match ty {
        ExtendedType::Object(node) if is_interface && has(node, name) => Some(found.clone()),
        _ => None,
    })
}
