//! The types of a service's SDL, each with all of its extensions: in comes a document, out come types
//! by name. Not here: whether they are valid GraphQL, which composition says.

use apollo_compiler::ast::{
    Definition, DirectiveList, DirectiveLocation, Document, EnumValueDefinition, FieldDefinition,
    InputValueDefinition, OperationType,
};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;

use crate::fetch::Path;

/// All object types, interfaces and unions.
pub(super) struct Types<'d> {
    types: IndexMap<&'d Name, Type<'d>>,
    /// Input types, and enums, with all of their members.
    inputs: IndexMap<&'d Name, Vec<&'d Node<InputValueDefinition>>>,
    enums: IndexMap<&'d Name, Vec<&'d Node<EnumValueDefinition>>>,
    roots: [Name; 3],
}

/// A root of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Query,
    Mutation,
    Subscription,
}

/// What kind of type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Interface,
    Union,
}

/// A type.
pub(super) struct Type<'d> {
    pub(super) name: &'d Name,
    pub(super) kind: Kind,
    /// Where its name stands.
    pub(super) at: Option<SourceSpan>,
    pub(super) directives: Vec<&'d DirectiveList>,
    pub(super) fields: IndexMap<&'d Name, Field<'d>>,
}

/// A field.
pub(super) struct Field<'d> {
    pub(super) node: &'d Node<FieldDefinition>,
    /// `@external`, at the field or at its part of the type.
    pub(super) is_external: bool,
}

/// One `@key`.
pub(super) struct Key {
    /// The fields that are no objects, in their order.
    pub(super) fields: Vec<Path>,
    pub(super) resolvable: bool,
    pub(super) at: Option<SourceSpan>,
}

impl Kind {
    pub(super) fn is_abstract(self) -> bool {
        self != Kind::Object
    }
}

impl Field<'_> {
    pub(super) fn at(&self) -> Option<SourceSpan> {
        self.node.name.location()
    }

    /// What it is, or what it is a list of.
    pub(super) fn named(&self) -> &Name {
        self.node.ty.inner_named_type()
    }
}

impl<'d> Types<'d> {
    pub(super) fn of(document: &'d Document) -> Self {
        let roots = roots(document);
        let (inputs, enums) = (IndexMap::new(), IndexMap::new());
        let mut types = Types { types: IndexMap::new(), inputs, enums, roots };
        for definition in &document.definitions {
            types.add_members(definition);
            types.add(definition);
        }
        types
    }

    fn add_members(&mut self, definition: &'d Definition) {
        match definition {
            Definition::InputObjectTypeDefinition(node) => {
                self.inputs.entry(&node.name).or_default().extend(&node.fields);
            }
            Definition::InputObjectTypeExtension(node) => {
                self.inputs.entry(&node.name).or_default().extend(&node.fields);
            }
            Definition::EnumTypeDefinition(node) => {
                self.enums.entry(&node.name).or_default().extend(&node.values);
            }
            Definition::EnumTypeExtension(node) => {
                self.enums.entry(&node.name).or_default().extend(&node.values);
            }
            _ => {}
        }
    }

    fn add(&mut self, definition: &'d Definition) {
        let (kind, directives, fields): (_, _, &'d [Node<FieldDefinition>]) = match definition {
            Definition::ObjectTypeDefinition(node) => {
                (Kind::Object, &node.directives, &node.fields)
            }
            Definition::ObjectTypeExtension(node) => (Kind::Object, &node.directives, &node.fields),
            Definition::InterfaceTypeDefinition(node) => {
                (Kind::Interface, &node.directives, &node.fields)
            }
            Definition::InterfaceTypeExtension(node) => {
                (Kind::Interface, &node.directives, &node.fields)
            }
            Definition::UnionTypeDefinition(node) => (Kind::Union, &node.directives, &[]),
            Definition::UnionTypeExtension(node) => (Kind::Union, &node.directives, &[]),
            _ => return,
        };
        let Some(name) = definition.name() else { return };
        let at = name.location();
        let new = || Type { name, kind, at, directives: Vec::new(), fields: IndexMap::new() };
        let known = self.types.entry(name).or_insert_with(new);
        known.directives.push(directives);
        for node in fields {
            let is_external = directives.has("external") || node.directives.has("external");
            known.fields.entry(&node.name).or_insert(Field { node, is_external });
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Type<'d>> {
        self.types.values()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type<'d>> {
        self.types.iter().find(|(known, _)| known.as_str() == name).map(|(_, found)| found)
    }

    /// The fields of an input type.
    pub(super) fn input(&self, name: &Name) -> Option<&[&'d Node<InputValueDefinition>]> {
        self.inputs.get(name).map(Vec::as_slice)
    }

    /// The values of an enum.
    pub(super) fn values(&self, name: &Name) -> Option<&[&'d Node<EnumValueDefinition>]> {
        self.enums.get(name).map(Vec::as_slice)
    }

    pub(super) fn root(&self, root: Root) -> Option<&Type<'d>> {
        self.get(&self.roots[root as usize])
    }

    /// Which root a type is, if any.
    pub(super) fn root_of(&self, name: &str) -> Option<Root> {
        let all = [Root::Query, Root::Mutation, Root::Subscription];
        all.into_iter().find(|root| self.roots[*root as usize] == name)
    }
}

fn roots(document: &Document) -> [Name; 3] {
    use apollo_compiler::name;
    let mut roots = [name!("Query"), name!("Mutation"), name!("Subscription")];
    for definition in &document.definitions {
        let named = match definition {
            Definition::SchemaDefinition(node) => &node.root_operations,
            Definition::SchemaExtension(node) => &node.root_operations,
            _ => continue,
        };
        for operation in named {
            let root = match operation.0 {
                OperationType::Query => Root::Query,
                OperationType::Mutation => Root::Mutation,
                OperationType::Subscription => Root::Subscription,
            };
            roots[root as usize] = operation.1.clone();
        }
    }
    roots
}

impl Type<'_> {
    pub(super) fn location(&self) -> DirectiveLocation {
        match self.kind {
            Kind::Object => DirectiveLocation::Object,
            Kind::Interface => DirectiveLocation::Interface,
            Kind::Union => DirectiveLocation::Union,
        }
    }

    /// Its keys that can be read; what is wrong with others composition says.
    pub(super) fn keys(&self) -> Vec<Key> {
        let uses = self.directives.iter().flat_map(|list| list.get_all("key"));
        let keys = uses.filter_map(|key| {
            let text = key.specified_argument_by_name("fields")?.as_str()?;
            let resolvable = key.specified_argument_by_name("resolvable");
            let resolvable = resolvable.and_then(|value| value.to_bool()).unwrap_or(true);
            Some(Key { fields: leaves(text)?, resolvable, at: key.location() })
        });
        keys.collect()
    }

    /// Whether one of its keys has this field.
    pub(super) fn is_key(&self, field: &str) -> bool {
        self.keys().iter().any(|key| key.fields.iter().any(|path| path.first() == field))
    }
}

/// The fields of a set that are no objects: of `id org { id }` it is `id` and `org.id`.
fn leaves(text: &str) -> Option<Vec<Path>> {
    let spaced = text.replace('{', " { ").replace('}', " } ").replace(',', " ");
    let mut leaves: Vec<Path> = Vec::new();
    let mut above: Vec<std::sync::Arc<str>> = Vec::new();
    for word in spaced.split_whitespace() {
        match word {
            "{" => above = leaves.pop()?.0,
            "}" => drop(above.pop()?),
            "..." => return None,
            name => {
                let name = std::sync::Arc::from(name);
                leaves.push(Path(above.iter().cloned().chain([name]).collect()));
            }
        }
    }
    (above.is_empty() && !leaves.is_empty()).then_some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_into_objects() {
        let shown = |text: &str| {
            leaves(text).map(|all| all.iter().map(Path::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(shown("id"), Some("id".to_owned()));
        assert_eq!(shown("a b{c d{e}} f"), Some("a b.c b.d.e f".to_owned()));
        for wrong in ["", "{", "a }", "a {", "... on B { c }"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
