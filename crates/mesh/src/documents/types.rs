//! The types of the API that a client reaches: input objects, enums and scalars of variables and answers.

use std::collections::HashSet;

use apollo_compiler::ast::{DirectiveList, InputValueDefinition, Type, VariableDefinition};
use apollo_compiler::schema::{EnumType as Values, ExtendedType, InputObjectType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};
use schema::generate::client::{
    EnumType, EnumValue, Input, InputField, Scalar, Shape, TypeOf, ValueType,
};

/// Types found so far.
pub(super) struct Reached<'a> {
    schema: &'a Valid<Schema>,
    found: HashSet<&'a Name>,
}

impl<'a> Reached<'a> {
    pub(super) fn new(schema: &'a Valid<Schema>) -> Self {
        Reached { schema, found: HashSet::new() }
    }

    /// A variable, with what its type reaches.
    pub(super) fn variable(&mut self, variable: &VariableDefinition) -> InputField {
        self.reach(variable.ty.inner_named_type());
        let default = variable.default_value.as_ref().map(ToString::to_string);
        InputField {
            name: variable.name.to_string(),
            description: None,
            required: variable.ty.is_non_null() && default.is_none(),
            ty: input_type(self.schema, &variable.ty),
            default,
        }
    }

    /// The enums and scalars of answers.
    pub(super) fn of_answers(&mut self, shapes: &[Shape]) {
        for shape in shapes {
            let variants = std::iter::once(&shape.base).chain(&shape.variants);
            for field in variants.flat_map(|variant| &variant.fields) {
                let mut ty = &field.ty;
                while let TypeOf::List(item) = &ty.of {
                    ty = item;
                }
                if let TypeOf::Scalar(name) | TypeOf::Enum(name) = &ty.of {
                    self.reach(name);
                }
            }
        }
    }

    fn reach(&mut self, name: &str) {
        let mut waiting = vec![name.to_owned()];
        while let Some(name) = waiting.pop() {
            let Some((name, found)) = self.schema.types.get_key_value(name.as_str()) else {
                continue;
            };
            if !self.found.insert(name) {
                continue;
            }
            if let ExtendedType::InputObject(input) = found {
                let inner = input.fields.values().map(|field| field.ty.inner_named_type());
                waiting.extend(inner.map(ToString::to_string));
            }
        }
    }

    /// All of them, in the order of their names.
    pub(super) fn done(self) -> (Vec<Input>, Vec<EnumType>, Vec<Scalar>) {
        let mut names: Vec<&Name> = self.found.into_iter().collect();
        names.sort();
        let (mut inputs, mut enums, mut scalars) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match &self.schema.types[name] {
                ExtendedType::InputObject(found) => inputs.push(input(self.schema, found)),
                ExtendedType::Enum(found) => enums.push(values(found)),
                ExtendedType::Scalar(found) if !found.is_built_in() => scalars.push(Scalar {
                    name: name.to_string(),
                    description: text(found.description.as_ref()),
                }),
                _ => {}
            }
        }
        (inputs, enums, scalars)
    }
}

fn input(schema: &Schema, found: &InputObjectType) -> Input {
    let fields = found.fields.values().map(|field| input_field(schema, field));
    Input {
        name: found.name.to_string(),
        description: text(found.description.as_ref()),
        fields: fields.collect(),
        one_of: found.directives.has("oneOf"),
    }
}

fn input_field(schema: &Schema, field: &InputValueDefinition) -> InputField {
    InputField {
        name: field.name.to_string(),
        description: text(field.description.as_ref()),
        ty: input_type(schema, &field.ty),
        required: field.is_required(),
        default: field.default_value.as_ref().map(ToString::to_string),
    }
}

fn values(found: &Values) -> EnumType {
    let values = found.values.values().map(|value| EnumValue {
        name: value.value.to_string(),
        description: text(value.description.as_ref()),
        deprecated: deprecation(&value.directives),
    });
    EnumType {
        name: found.name.to_string(),
        description: text(found.description.as_ref()),
        values: values.collect(),
    }
}

fn input_type(schema: &Schema, ty: &Type) -> ValueType {
    let of = match ty.is_list() {
        true => TypeOf::List(Box::new(input_type(schema, ty.item_type()))),
        false => {
            let name = ty.inner_named_type();
            leaf(schema, name).unwrap_or_else(|| TypeOf::Input(name.to_string()))
        }
    };
    ValueType { nullable: !ty.is_non_null(), of }
}

/// A type without fields; nothing for one that has some.
pub(super) fn leaf(schema: &Schema, name: &Name) -> Option<TypeOf> {
    match schema.types.get(name) {
        Some(ExtendedType::Enum(_)) => Some(TypeOf::Enum(name.to_string())),
        None | Some(ExtendedType::Scalar(_)) => Some(TypeOf::Scalar(name.to_string())),
        Some(_) => None,
    }
}

/// A description.
pub(super) fn text(description: Option<&Node<str>>) -> Option<String> {
    description.map(ToString::to_string)
}

/// Why something should not be used any more.
pub(super) fn deprecation(directives: &DirectiveList) -> Option<String> {
    let found = directives.get("deprecated")?;
    let reason = found.specified_argument_by_name("reason").and_then(|reason| reason.as_str());
    Some(reason.unwrap_or("No longer supported").to_owned())
}
