//! Arguments of a field: constants are coerced when the plan is made, the rest for each request.

use std::sync::Arc;

use apollo_compiler::ast::{Type, Value as Literal};
use apollo_compiler::{Node, Schema};
use serde_json::{Map, Value as Json};

use crate::input::{Variables, literal};

/// The arguments of one field.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Arguments(Vec<PlannedArgument>);

#[derive(Debug, PartialEq)]
struct PlannedArgument {
    name: Arc<str>,
    ty: Type,
    default: Option<Json>,
    value: Given,
    /// What the document says.
    literal: Option<Node<Literal>>,
}

#[derive(Debug, PartialEq)]
enum Given {
    Absent,
    Constant(Json),
    Dynamic(Node<Literal>),
}

/// The values of a field's arguments in one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArgumentValues {
    pub(crate) values: Map<String, Json>,
    /// Names whose value is the default.
    pub(crate) defaulted: Vec<Arc<str>>,
}

impl ArgumentValues {
    /// The value, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Whether the request gave the value itself.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.get(name).is_some() && !self.defaulted.iter().any(|default| &**default == name)
    }
}

impl Arguments {
    /// Plans the arguments of a field of the document.
    pub(crate) fn plan(
        schema: &Schema,
        field: &apollo_compiler::executable::Field,
    ) -> Result<Self, String> {
        let no_variables = Variables::new();
        let planned = field.definition.arguments.iter().map(|definition| {
            let given = field.arguments.iter().find(|given| given.name == definition.name);
            let default = match &definition.default_value {
                Some(default) => literal(schema, &definition.ty, default, &no_variables)?,
                None => None,
            };
            let value = match given {
                None => Given::Absent,
                Some(given) if has_variable(&given.value) => Given::Dynamic(given.value.clone()),
                Some(given) => {
                    let value = literal(schema, &definition.ty, &given.value, &no_variables)
                        .map_err(|error| format!("argument `{}`: {error}", definition.name))?;
                    value.map_or(Given::Absent, Given::Constant)
                }
            };
            let ty = definition.ty.as_ref().clone();
            let literal = given.map(|given| given.value.clone());
            Ok(PlannedArgument {
                name: definition.name.as_str().into(),
                ty,
                default,
                value,
                literal,
            })
        });
        Ok(Arguments(planned.collect::<Result<_, String>>()?))
    }

    /// The values for one request.
    pub(crate) fn values(
        &self,
        schema: &Schema,
        variables: &Variables,
    ) -> Result<ArgumentValues, String> {
        let mut found = ArgumentValues::default();
        for argument in &self.0 {
            let value = match &argument.value {
                Given::Absent => None,
                Given::Constant(value) => Some(value.clone()),
                Given::Dynamic(value) => {
                    // An absent variable in a required place falls back to the default, if any.
                    let ty = match argument.default {
                        Some(_) => argument.ty.clone().nullable(),
                        None => argument.ty.clone(),
                    };
                    literal(schema, &ty, value, variables)
                        .map_err(|error| format!("argument `{}`: {error}", argument.name))?
                }
            };
            if value.as_ref().is_some_and(Json::is_null) && argument.ty.is_non_null() {
                return Err(format!("argument `{}`: null is not allowed", argument.name));
            }
            match (value, &argument.default) {
                (Some(value), _) => {
                    found.values.insert(argument.name.to_string(), value);
                }
                (None, Some(default)) => {
                    found.values.insert(argument.name.to_string(), default.clone());
                    found.defaulted.push(argument.name.clone());
                }
                (None, None) => {}
            }
        }
        Ok(found)
    }

    /// The arguments that the document gives, as it says them.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&str, &Node<Literal>)> {
        self.0.iter().filter_map(|argument| Some((&*argument.name, argument.literal.as_ref()?)))
    }

    /// The arguments as a plan shows them.
    pub(crate) fn shown(&self) -> Vec<String> {
        let shown = self.0.iter().filter_map(|argument| match &argument.value {
            Given::Absent => None,
            Given::Constant(value) => Some(format!("{}: {value}", argument.name)),
            Given::Dynamic(value) => Some(format!("{}: {value}", argument.name)),
        });
        shown.collect()
    }
}

fn has_variable(value: &Literal) -> bool {
    match value {
        Literal::Variable(_) => true,
        Literal::List(items) => items.iter().any(|item| has_variable(item)),
        Literal::Object(fields) => fields.iter().any(|(_, value)| has_variable(value)),
        _ => false,
    }
}
