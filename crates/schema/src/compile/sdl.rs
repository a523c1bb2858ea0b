//! The one way to write a service's SDL down: in comes its text, out comes the same SDL in an order
//! and spacing that do not depend on how it was written. Whatever GraphQL gives no order (the
//! definitions, fields, arguments, values, members) is ordered by name; directives stay as they
//! are, because repeated ones are read in their order.

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, Document, FieldDefinition, InputValueDefinition};

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
