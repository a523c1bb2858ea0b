//! What an operation uses of the API.
//!
//! In: a valid document and the operation that is to run. Out: the operation's name and the coordinates that
//! it names: fields, arguments, fields of input objects and values of enums. Documents that differ in values
//! or in aliases alone use the same. Not here: who asks how often (`server::usage`), what a change of the API
//! means to them (`schema::usage`).

use std::collections::BTreeSet;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

use crate::validate::ValidDocument;
use crate::validate::walk::{each_selection, fragments};

/// What one operation uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The hash of all that follows.
    pub id: [u8; 16],
    /// The operation's name; empty when it has none.
    pub operation: String,
    /// Coordinates in their order, each on a line: `Type.field`, `Type.field.argument`, `Input.field`,
    /// `Enum.VALUE`; an input object or an enum by itself when its values come in variables or in answers, so
    /// that any of its members may be used.
    pub coordinates: String,
}

impl Usage {
    fn new(operation: String, coordinates: &BTreeSet<String>) -> Usage {
        let lines: Vec<&str> = coordinates.iter().map(String::as_str).collect();
        let coordinates = lines.join("\n");
        let mut hasher = blake3::Hasher::new();
        hasher.update(operation.as_bytes());
        hasher.update(b"\n");
        hasher.update(coordinates.as_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Usage { id, operation, coordinates }
    }
}

/// What the operation of a document uses.
pub(crate) fn usage(schema: &Schema, valid: &ValidDocument) -> Usage {
    let (document, operation) = (&valid.document, &valid.operation);
    let mut used = Used { schema, coordinates: BTreeSet::new() };
    used.set(&operation.selection_set);
    let spread = fragments(document, &operation.selection_set);
    for (_, fragment) in document.fragments.iter().filter(|(name, _)| spread.contains(name)) {
        used.set(&fragment.selection_set);
    }
    let name = operation.name.as_ref().map(Name::to_string).unwrap_or_default();
    Usage::new(name, &used.coordinates)
}

struct Used<'a> {
    schema: &'a Schema,
    coordinates: BTreeSet<String>,
}

impl<'a> Used<'a> {
    fn set(&mut self, set: &'a SelectionSet) {
        each_selection(set, &mut |set, selection| {
            if let Selection::Field(field) = selection {
                self.field(&set.ty, field);
            }
        });
    }

    fn field(&mut self, parent: &Name, field: &'a Field) {
        // What is said of the API itself never changes.
        if field.name.starts_with("__") || parent.starts_with("__") {
            return;
        }
        let coordinate = format!("{parent}.{}", field.name);
        for argument in &field.arguments {
            self.coordinates.insert(format!("{coordinate}.{}", argument.name));
            let defined = field.definition.arguments.iter();
            if let Some(defined) = defined.clone().find(|defined| defined.name == argument.name) {
                self.value(&defined.ty, &argument.value);
            }
        }
        self.coordinates.insert(coordinate);
        let of = field.definition.ty.inner_named_type();
        if let Some(ExtendedType::Enum(_)) = self.schema.types.get(of) {
            self.coordinates.insert(of.to_string());
        }
    }

    fn value(&mut self, ty: &Type, value: &'a Value) {
        let name = ty.inner_named_type();
        match (value, self.schema.types.get(name)) {
            (Value::List(items), _) => items.iter().for_each(|item| self.value(ty, item)),
            (Value::Variable(_), Some(ExtendedType::InputObject(_) | ExtendedType::Enum(_))) => {
                self.coordinates.insert(name.to_string());
            }
            (Value::Enum(value), Some(ExtendedType::Enum(_))) => {
                self.coordinates.insert(format!("{name}.{value}"));
            }
            (Value::Object(fields), Some(ExtendedType::InputObject(input))) => {
                for (field, value) in fields {
                    self.coordinates.insert(format!("{name}.{field}"));
                    if let Some(defined) = input.fields.get(field) {
                        self.value(&defined.ty, value);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use base::{Error, Principal, Result};
    use serde_json::Value as Json;

    use super::Usage;
    use crate::{Engine, Root, RootResolver};

    const SDL: &str = "
        type Query { films(where: Where, order: [Order!], first: Int): [Film!]! node(id: ID!): Node }
        interface Node { id: ID! }
        type Film implements Node { id: ID! title: String kind: Kind }
        enum Kind { LONG SHORT }
        enum Order { TITLE KIND }
        input Where { title: Text and: [Where!] kind: Kind }
        input Text { eq: String in: [String!] }
    ";

    struct Nothing;

    #[async_trait]
    impl RootResolver for Nothing {
        async fn resolve(&self, _: Root, _: &str, _: Json, _: &Principal) -> Result<Json> {
            Err(Error::internal("nothing is run here"))
        }
    }

    fn usage(document: &str) -> Arc<Usage> {
        let engine = Engine::plain(SDL, Arc::new(Nothing)).unwrap();
        engine.usage(document, None).unwrap()
    }

    fn used(document: &str) -> Vec<String> {
        let usage = usage(document);
        let name = usage.operation.clone();
        std::iter::once(name).chain(usage.coordinates.lines().map(str::to_owned)).collect()
    }

    #[test]
    fn fields_arguments_and_what_is_given_are_used() {
        let document = "query Home { a: films(where: {title: {eq: \"x\"}, and: [{kind: LONG}]}, order: [TITLE])
            { title } ...More } fragment More on Query { node(id: 1) { __typename id ... on Film { kind } } }";
        let expected = [
            "Home",
            "Film.kind",
            "Film.title",
            "Kind",
            "Kind.LONG",
            "Node.id",
            "Order.TITLE",
            "Query.films",
            "Query.films.order",
            "Query.films.where",
            "Query.node",
            "Query.node.id",
            "Text.eq",
            "Where.and",
            "Where.kind",
            "Where.title",
        ];
        assert_eq!(used(document), expected);
    }

    #[test]
    fn of_what_comes_in_variables_the_type_is_used() {
        let document = "query($w: Where, $o: [Order!]) { films(where: $w, order: $o) { id } }";
        let expected = [
            "",
            "Film.id",
            "Order",
            "Query.films",
            "Query.films.order",
            "Query.films.where",
            "Where",
        ];
        assert_eq!(used(document), expected);
    }

    #[test]
    fn values_and_aliases_make_no_difference() {
        let first = usage("{ films(first: 1, where: {title: {eq: \"a\"}}) { id title } }");
        let other = usage("{ x: films(where: {title: {eq: \"b\"}}, first: 20) { title y: id } }");
        assert_eq!(first, other);
        assert_ne!(first.id, usage("query Q { films { id title } }").id);
    }
}
