//! The one way to write a service's SDL down: in comes its text, out comes the same SDL in an order
//! and spacing that do not depend on how it was written. Whatever GraphQL gives no order (the
//! definitions, fields, arguments, values, members) is ordered by name; directives stay as they
//! are, because repeated ones are read in their order.

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, DirectiveList, Document, FieldDefinition, InputValueDefinition,
};

use crate::model::ServiceModule;

/// The canonical text.
pub(crate) fn canonical(sdl: &str) -> String {
    let mut definitions: Vec<(String, String)> = definitions(sdl)
        .into_iter()
        .map(|definition| {
            let name = definition.name().map_or(String::new(), ToString::to_string);
            (name, definition.to_string())
        })
        .collect();
    definitions.sort();
    let mut text = String::new();
    for (_, definition) in definitions {
        text.push('\n');
        text.push_str(definition.trim_end());
        text.push('\n');
    }
    text
}

/// The canonical text of what callers can see of a service: without what says where its values are,
/// where it is ours to say that.
pub(crate) fn shown(service: &ServiceModule) -> String {
    if service.fetches.is_none() {
        return canonical(&service.sdl);
    }
    let mut texts: Vec<String> = definitions(&service.sdl)
        .into_iter()
        .map(|mut definition| {
            plain(&mut definition);
            definition.to_string()
        })
        .collect();
    texts.sort();
    texts.join("\n")
}

/// Takes our directives out of a definition.
fn plain(definition: &mut Definition) {
    let on = |list: &mut DirectiveList| {
        list.0.retain(|directive| !["fetch", "wire", "ref"].contains(&directive.name.as_str()));
    };
    let fields = |fields: &mut Vec<Node<FieldDefinition>>| {
        fields.iter_mut().for_each(|field| on(&mut field.make_mut().directives));
    };
    let inputs = |inputs: &mut Vec<Node<InputValueDefinition>>| {
        inputs.iter_mut().for_each(|input| on(&mut input.make_mut().directives));
    };
    match definition {
        Definition::ObjectTypeDefinition(node) => {
            let node = node.make_mut();
            on(&mut node.directives);
            fields(&mut node.fields);
        }
        Definition::ObjectTypeExtension(node) => {
            let node = node.make_mut();
            on(&mut node.directives);
            fields(&mut node.fields);
        }
        Definition::InterfaceTypeDefinition(node) => on(&mut node.make_mut().directives),
        Definition::InterfaceTypeExtension(node) => on(&mut node.make_mut().directives),
        Definition::UnionTypeDefinition(node) => on(&mut node.make_mut().directives),
        Definition::UnionTypeExtension(node) => on(&mut node.make_mut().directives),
        Definition::EnumTypeDefinition(node) => {
            node.make_mut().values.iter_mut().for_each(|it| on(&mut it.make_mut().directives));
        }
        Definition::EnumTypeExtension(node) => {
            node.make_mut().values.iter_mut().for_each(|it| on(&mut it.make_mut().directives));
        }
        Definition::InputObjectTypeDefinition(node) => inputs(&mut node.make_mut().fields),
        Definition::InputObjectTypeExtension(node) => inputs(&mut node.make_mut().fields),
        _ => {}
    }
}

/// The definitions as they come, each with its parts in order.
pub(crate) fn definitions(sdl: &str) -> Vec<Definition> {
    // Compiling has parsed this text, so the partial document is the whole one.
    let document = Document::parse(sdl, "service.graphql").unwrap_or_else(|failed| failed.partial);
    let mut definitions = document.definitions;
    definitions.iter_mut().for_each(order);
    definitions
}

/// Orders the parts of a definition.
fn order(definition: &mut Definition) {
    match definition {
        Definition::SchemaDefinition(node) => {
            node.make_mut().root_operations.sort_by_key(|root| root.0.name());
        }
        Definition::SchemaExtension(node) => {
            node.make_mut().root_operations.sort_by_key(|root| root.0.name());
        }
        Definition::DirectiveDefinition(node) => {
            let node = node.make_mut();
            inputs(&mut node.arguments);
            node.locations.sort_by_key(|location| location.name());
        }
        Definition::ObjectTypeDefinition(node) => {
            let node = node.make_mut();
            node.implements_interfaces.sort();
            fields(&mut node.fields);
        }
        Definition::ObjectTypeExtension(node) => {
            let node = node.make_mut();
            node.implements_interfaces.sort();
            fields(&mut node.fields);
        }
        Definition::InterfaceTypeDefinition(node) => {
            let node = node.make_mut();
            node.implements_interfaces.sort();
            fields(&mut node.fields);
        }
        Definition::InterfaceTypeExtension(node) => {
            let node = node.make_mut();
            node.implements_interfaces.sort();
            fields(&mut node.fields);
        }
        Definition::UnionTypeDefinition(node) => node.make_mut().members.sort(),
        Definition::UnionTypeExtension(node) => node.make_mut().members.sort(),
        Definition::EnumTypeDefinition(node) => {
            node.make_mut().values.sort_by(|a, b| a.value.cmp(&b.value));
        }
        Definition::EnumTypeExtension(node) => {
            node.make_mut().values.sort_by(|a, b| a.value.cmp(&b.value));
        }
        Definition::InputObjectTypeDefinition(node) => inputs(&mut node.make_mut().fields),
        Definition::InputObjectTypeExtension(node) => inputs(&mut node.make_mut().fields),
        Definition::ScalarTypeDefinition(_)
        | Definition::ScalarTypeExtension(_)
        | Definition::OperationDefinition(_)
        | Definition::FragmentDefinition(_) => {}
    }
}

fn fields(fields: &mut [Node<FieldDefinition>]) {
    for field in fields.iter_mut() {
        inputs(&mut field.make_mut().arguments);
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
}

fn inputs(inputs: &mut [Node<InputValueDefinition>]) {
    inputs.sort_by(|a, b| a.name.cmp(&b.name));
}
