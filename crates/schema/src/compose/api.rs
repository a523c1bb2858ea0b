//! The API that clients see: in come the merged types, out comes a schema without what is hidden
//! and without federation, valid by the rules of GraphQL.

use apollo_compiler::ast::{
    Argument, Directive, DirectiveDefinition, DirectiveList as FieldDirectives, DirectiveLocation,
    EnumValueDefinition, FieldDefinition, InputValueDefinition, Type, Value,
};
use apollo_compiler::schema::{
    Component, ComponentName, DirectiveList, EnumType, ExtendedType, InputObjectType,
    InterfaceType, ObjectType, ScalarType, UnionType,
};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema as Sdl, name};
use indexmap::{IndexMap, IndexSet};

use super::combine::MergedMarks;
use super::merge::{Merged, MergedField, MergedInput, MergedType};
use super::report::Report;
use super::subgraph::{Subgraph, TypeKind};
use super::text::{Span, Spot};
use crate::diagnostic::Code;
use crate::rules;

/// Builds the API; nothing when the parts, though each right, are no valid schema together.
pub(crate) fn build(
    subgraphs: &[Subgraph],
    merged: &Merged,
    report: &mut Report<'_>,
) -> Option<Valid<Sdl>> {
    let mut schema = Sdl::new();
    let mut maker = Maker { merged, used: IndexSet::new() };
    for (name, found) in merged.types.iter().filter(|(_, t)| t.marks.inaccessible.is_none()) {
        if let Some(made) = maker.type_of(name, found) {
            schema.types.insert(name.clone(), made);
        }
    }
    let root = |name: Name| {
        schema.types.get(&name).filter(|found| found.is_object()).map(|_| ComponentName::from(name))
    };
    let (query, mutation, subscription) =
        (root(name!("Query")), root(name!("Mutation")), root(name!("Subscription")));
    let definition = schema.schema_definition.make_mut();
    (definition.query, definition.mutation, definition.subscription) =
        (query, mutation, subscription);
    for directive in &merged.directives {
        schema.directive_definitions.insert(directive.name.clone(), directive.clone());
    }
    if merged.types.values().any(|found| found.marks.one_of) {
        schema.directive_definitions.insert(name!("oneOf"), Node::new(one_of()));
    }
    for word in &maker.used {
        schema.directive_definitions.insert(word.name(), Node::new(word.definition()));
    }
    let mut faults: Vec<String> =
        rules::faults(&schema).into_iter().map(|fault| fault.words).collect();
    let valid = match schema.validate() {
        Ok(schema) => Some(schema),
        Err(failed) => {
            faults.extend(failed.errors.iter().map(|error| {
                let words = error.error.to_string();
                words.lines().next().unwrap_or("").trim_end_matches('.').to_owned()
            }));
            None
        }
    };
    for words in &faults {
        let spot = spot(subgraphs, merged, words);
        let words = format!("all sources taken together, {words}");
        report
            .add(Code::InvalidGraphql, spot, Vec::new(), words)
            .hint("see the GraphQL specification, section 3");
    }
    valid.filter(|_| faults.is_empty())
}

/// Where that stands which the message of a rule speaks of: the API has no places of its own.
fn spot(subgraphs: &[Subgraph], merged: &Merged, words: &str) -> Spot {
    let mut named = words.split('`').skip(1).step_by(2);
    let found = named.find_map(|named| {
        let mut parts = named.split(['.', '(', ':', ')']);
        let name = parts.next()?;
        let found = merged.types.get(name)?;
        let member = parts.next().and_then(|member| spot_in(found, member, parts.next()));
        let source = *found.sources.first()?;
        let whole = || Some(Spot { source, span: subgraphs[source].types.get(name)?.span });
        member.or_else(whole)
    });
    found.unwrap_or(Spot { source: 0, span: Span::default() })
}

/// Where a field of a type stands, or an argument of it.
fn spot_in(found: &MergedType, field: &str, argument: Option<&str>) -> Option<Spot> {
    if let Some(input) = found.inputs.get(field) {
        return Some(input.spot);
    }
    let field = found.fields.get(field)?;
    let argument = argument.and_then(|argument| field.arguments.get(argument));
    Some(argument.map_or(field.spot, |argument| argument.spot))
}

/// Directives that the API carries and GraphQL does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Carried {
    Tag,
    Cost,
    ListSize,
}

impl Carried {
    fn name(self) -> Name {
        match self {
            Carried::Tag => name!("tag"),
            Carried::Cost => name!("cost"),
            Carried::ListSize => name!("listSize"),
        }
    }

    fn definition(self) -> DirectiveDefinition {
        use DirectiveLocation::*;
        let string = || Type::Named(name!("String"));
        let strings = || Type::List(Box::new(string().non_null()));
        let (arguments, locations) = match self {
            Carried::Tag => (
                vec![argument(name!("name"), string().non_null())],
                vec![
                    FieldDefinition,
                    Object,
                    Interface,
                    Union,
                    ArgumentDefinition,
                    Scalar,
                    Enum,
                    EnumValue,
                    InputObject,
                    InputFieldDefinition,
                ],
            ),
            Carried::Cost => (
                vec![argument(name!("weight"), string().non_null())],
                vec![
                    ArgumentDefinition,
                    Enum,
                    FieldDefinition,
                    InputFieldDefinition,
                    Object,
                    Scalar,
                ],
            ),
            Carried::ListSize => (
                vec![
                    argument(name!("assumedSize"), Type::Named(name!("Int"))),
                    argument(name!("slicingArguments"), strings()),
                    argument(name!("sizedFields"), strings()),
                    argument(name!("requireOneSlicingArgument"), Type::Named(name!("Boolean"))),
                ],
                vec![FieldDefinition],
            ),
        };
        let repeatable = self == Carried::Tag;
        DirectiveDefinition {
            description: None,
            name: self.name(),
            arguments,
            repeatable,
            locations,
        }
    }
}

/// `@oneOf` as the specification defines it.
fn one_of() -> DirectiveDefinition {
    DirectiveDefinition {
        description: None,
        name: name!("oneOf"),
        arguments: Vec::new(),
        repeatable: false,
        locations: vec![DirectiveLocation::InputObject],
    }
}

fn argument(name: Name, ty: Type) -> Node<InputValueDefinition> {
    Node::new(InputValueDefinition {
        description: None,
        name,
        ty: Node::new(ty),
        default_value: None,
        directives: FieldDirectives::new(),
    })
}

struct Maker<'m> {
    merged: &'m Merged,
    used: IndexSet<Carried>,
}

impl Maker<'_> {
    fn seen(&self, name: &Name) -> bool {
        self.merged.types.get(name).is_none_or(|found| found.marks.inaccessible.is_none())
    }

    fn type_of(&mut self, name: &Name, found: &MergedType) -> Option<ExtendedType> {
        let (name, description) = (name.clone(), found.description.clone());
        let directives = self.directives(&found.marks).into_iter().map(Component::from);
        let directives = DirectiveList(directives.collect());
        let seen =
            |names: &IndexSet<Name>| -> apollo_compiler::collections::IndexSet<ComponentName> {
                names
                    .iter()
                    .filter(|name| self.seen(name))
                    .cloned()
                    .map(ComponentName::from)
                    .collect()
            };
        Some(match found.kind {
            TypeKind::Object => ExtendedType::Object(Node::new(ObjectType {
                description,
                name,
                implements_interfaces: seen(&found.implements),
                directives,
                fields: self.fields(&found.fields)?,
            })),
            TypeKind::Interface => ExtendedType::Interface(Node::new(InterfaceType {
                description,
                name,
                implements_interfaces: seen(&found.implements),
                directives,
                fields: self.fields(&found.fields)?,
            })),
            TypeKind::Union => ExtendedType::Union(Node::new(UnionType {
                description,
                name,
                directives,
                members: seen(&found.members),
            })),
            TypeKind::Enum => ExtendedType::Enum(Node::new(EnumType {
                description,
                name,
                directives,
                values: self.values(found),
            })),
            TypeKind::Input => ExtendedType::InputObject(Node::new(InputObjectType {
                description,
                name,
                directives,
                fields: self.inputs(&found.inputs),
            })),
            TypeKind::Scalar => {
                ExtendedType::Scalar(Node::new(ScalarType { description, name, directives }))
            }
        })
    }

    /// Visible fields; nothing when there are none: a root that only knew others' machinery.
    fn fields(
        &mut self,
        fields: &IndexMap<Name, MergedField>,
    ) -> Option<apollo_compiler::collections::IndexMap<Name, Component<FieldDefinition>>> {
        let seen = fields.iter().filter(|(_, field)| field.marks.inaccessible.is_none());
        let made = seen.map(|(name, field)| {
            let arguments = self.inputs(&field.arguments);
            let definition = FieldDefinition {
                description: field.description.clone(),
                name: name.clone(),
                arguments: arguments.into_values().map(|argument| argument.node).collect(),
                ty: field.ty.clone(),
                directives: FieldDirectives(self.directives(&field.marks)),
            };
            (name.clone(), Component::from(definition))
        });
        let made: apollo_compiler::collections::IndexMap<_, _> = made.collect();
        (!made.is_empty()).then_some(made)
    }

    fn inputs(
        &mut self,
        inputs: &IndexMap<Name, MergedInput>,
    ) -> apollo_compiler::collections::IndexMap<Name, Component<InputValueDefinition>> {
        let seen = inputs.iter().filter(|(_, input)| input.marks.inaccessible.is_none());
        let made = seen.map(|(name, input)| {
            let definition = InputValueDefinition {
                description: input.description.clone(),
                name: name.clone(),
                ty: Node::new(input.ty.clone()),
                default_value: input.default.clone(),
                directives: FieldDirectives(self.directives(&input.marks)),
            };
            (name.clone(), Component::from(definition))
        });
        made.collect()
    }

    fn values(
        &mut self,
        found: &MergedType,
    ) -> apollo_compiler::collections::IndexMap<Name, Component<EnumValueDefinition>> {
        let seen = found.values.iter().filter(|(_, value)| value.marks.inaccessible.is_none());
        let made = seen.map(|(name, value)| {
            let definition = EnumValueDefinition {
                description: value.description.clone(),
                value: name.clone(),
                directives: FieldDirectives(self.directives(&value.marks)),
            };
            (name.clone(), Component::from(definition))
        });
        made.collect()
    }

    fn directives(&mut self, marks: &MergedMarks) -> Vec<Node<Directive>> {
        let mut made = Vec::new();
        if let Some(reason) = &marks.deprecated {
            made.push(directive(name!("deprecated"), name!("reason"), reason));
        }
        if let Some(url) = &marks.specified_by {
            made.push(directive(name!("specifiedBy"), name!("url"), url));
        }
        if marks.one_of {
            made.push(Node::new(Directive::new(name!("oneOf"))));
        }
        for tag in &marks.tags {
            self.used.insert(Carried::Tag);
            made.push(directive(name!("tag"), name!("name"), tag));
        }
        for cost in &marks.costs {
            let weighed = cost.specified_argument_by_name("weight").is_some();
            let carried = if weighed { Carried::Cost } else { Carried::ListSize };
            self.used.insert(carried);
            made.push(Node::new(Directive {
                name: carried.name(),
                arguments: cost.arguments.iter().map(as_text).collect(),
            }));
        }
        made
    }
}

/// Weights are texts in the public cost specification and numbers in federation's.
fn as_text(argument: &Node<Argument>) -> Node<Argument> {
    if argument.name != "weight" || argument.value.as_str().is_some() {
        return argument.clone();
    }
    let text = argument.value.serialize().no_indent().to_string();
    Node::new(Argument { name: argument.name.clone(), value: Node::new(Value::String(text)) })
}

fn directive(name: Name, argument: Name, value: &str) -> Node<Directive> {
    let value = Node::new(Value::String(value.to_owned()));
    Node::new(Directive { name, arguments: vec![Node::new(Argument { name: argument, value })] })
}
