//! `__schema` and `__type`, answered from the types of the API.
//!
//! In: a planned root field. Out: the JSON of its answer. The executor of apollo-compiler knows
//! neither `isOneOf` nor our plans, so that this one is ours; every value is there and of its type,
//! and no null bubbles. Not here: how deep a question may nest (`validate`).

use apollo_compiler::ast::{Directive, Type};
use apollo_compiler::schema::{
    Component, DirectiveDefinition, EnumValueDefinition, ExtendedType, FieldDefinition,
    InputValueDefinition, SchemaDefinition,
};
use apollo_compiler::{Name, Node};
use base::{Error, Result};
use serde_json::{Map, Value as Json};

use super::Session;
use crate::plan::{PlannedField, Resolve, Selection};

/// What an object of an introspection answer describes.
enum Described<'a> {
    Schema(&'a SchemaDefinition),
    Type(&'a ExtendedType),
    /// A type of lists, or one without null.
    Wrapped(Type),
    Field(&'a FieldDefinition),
    Input(&'a InputValueDefinition),
    Value(&'a EnumValueDefinition),
    Directive(&'a DirectiveDefinition),
}

/// What a field of such an object holds.
enum Holds<'a> {
    Leaf(Json),
    One(Option<Described<'a>>),
    Many(Vec<Described<'a>>),
}

use Holds::{Leaf, Many, One};

/// The value of an introspection field of the query.
pub(crate) fn introspect(session: &Session<'_>, field: &PlannedField) -> Result<Json> {
    let schema = &session.engine.api_schema;
    let holds = match &*field.name {
        "__schema" => One(Some(Described::Schema(&schema.schema_definition))),
        _ => {
            let arguments = session.arguments(field)?;
            One(named(session, arguments.get("name").and_then(Json::as_str).unwrap_or_default()))
        }
    };
    shown(session, field, holds)
}

fn named<'a>(session: &Session<'a>, name: &str) -> Option<Described<'a>> {
    session.engine.api_schema.types.get(name).map(Described::Type)
}

fn of_type<'a>(session: &Session<'a>, ty: &Type) -> Option<Described<'a>> {
    match ty {
        Type::Named(name) => named(session, name),
        wrapped => Some(Described::Wrapped(wrapped.clone())),
    }
}

/// Projects what a field holds to its selection.
fn shown(session: &Session<'_>, field: &PlannedField, holds: Holds<'_>) -> Result<Json> {
    let object = |described: Described<'_>| match field.selection() {
        Some(selection) => object(session, selection, &described),
        None => Err(Error::internal(format!("`{}` has no selection", field.name))),
    };
    match holds {
        Leaf(json) => Ok(json),
        One(described) => described.map_or(Ok(Json::Null), object),
        Many(all) => all.into_iter().map(object).collect::<Result<Vec<_>>>().map(Json::Array),
    }
}

fn object(session: &Session<'_>, selection: &Selection, described: &Described<'_>) -> Result<Json> {
    let mut shown_fields = Map::new();
    for field in selection.fields.iter().filter(|field| field.when.hold(&session.variables)) {
        let json = match field.resolve {
            Resolve::Typename => selection.type_name.as_str().into(),
            _ => shown(session, field, value(session, field, described)?)?,
        };
        shown_fields.insert(field.key.to_string(), json);
    }
    Ok(Json::Object(shown_fields))
}

fn value<'a>(
    session: &Session<'a>,
    field: &PlannedField,
    described: &Described<'a>,
) -> Result<Holds<'a>> {
    let with_deprecated = session.arguments(field)?.get("includeDeprecated") == Some(&true.into());
    let name = field.name.as_str();
    let found = match described {
        Described::Schema(schema) => of_schema(session, schema, name),
        Described::Type(ty) => of_definition(session, ty, name, with_deprecated),
        Described::Wrapped(ty) => of_wrapper(session, ty, name),
        Described::Field(field) => of_field(session, field, name, with_deprecated),
        Described::Input(input) => of_input(session, input, name),
        Described::Value(value) => match name {
            "name" => Some(Leaf(value.value.as_str().into())),
            "description" => Some(text(value.description.as_deref())),
            _ => deprecation(session, value.directives.get("deprecated"), name),
        },
        Described::Directive(directive) => of_directive(directive, name, with_deprecated),
    };
    found.ok_or_else(|| Error::internal(format!("`{}.{name}` describes nothing", field.parent)))
}

fn text<'a>(text: Option<&str>) -> Holds<'a> {
    Leaf(text.map_or(Json::Null, Json::from))
}

fn of_schema<'a>(
    session: &Session<'a>,
    definition: &SchemaDefinition,
    name: &str,
) -> Option<Holds<'a>> {
    let schema = &session.engine.api_schema;
    let root = |name: Option<&Name>| One(name.and_then(|name| named(session, name)));
    Some(match name {
        "description" => text(definition.description.as_deref()),
        "types" => Many(schema.types.values().map(Described::Type).collect()),
        "queryType" => root(definition.query.as_ref().map(|root| &root.name)),
        "mutationType" => root(definition.mutation.as_ref().map(|root| &root.name)),
        "subscriptionType" => root(definition.subscription.as_ref().map(|root| &root.name)),
        "directives" => {
            let all = schema.directive_definitions.values();
            Many(all.map(|directive| Described::Directive(directive)).collect())
        }
        _ => return None,
    })
}

fn of_definition<'a>(
    session: &Session<'a>,
    ty: &'a ExtendedType,
    name: &str,
    with_deprecated: bool,
) -> Option<Holds<'a>> {
    let null = Leaf(Json::Null);
    Some(match (name, ty) {
        ("kind", _) => Leaf(kind(ty).into()),
        ("name", _) => Leaf(ty.name().as_str().into()),
        ("description", _) => text(ty.description().map(|text| text.as_str())),
        ("fields", ExtendedType::Object(object)) => fields(object.fields.values(), with_deprecated),
        ("fields", ExtendedType::Interface(face)) => fields(face.fields.values(), with_deprecated),
        ("interfaces", ExtendedType::Object(object)) => {
            types(session, object.implements_interfaces.iter().map(|face| &face.name))
        }
        ("interfaces", ExtendedType::Interface(face)) => {
            types(session, face.implements_interfaces.iter().map(|face| &face.name))
        }
        ("possibleTypes", ExtendedType::Union(union)) => {
            types(session, union.members.iter().map(|member| &member.name))
        }
        ("possibleTypes", ExtendedType::Interface(face)) => {
            let implementers = session.engine.implementers.get(&face.name);
            types(session, implementers.iter().flat_map(|found| &found.objects))
        }
        ("enumValues", ExtendedType::Enum(values)) => {
            let shown = |value: &&'a EnumValueDefinition| {
                with_deprecated || !value.directives.has("deprecated")
            };
            let all = values.values.values().map(AsRef::as_ref);
            Many(all.filter(shown).map(Described::Value).collect())
        }
        ("inputFields", ExtendedType::InputObject(input)) => {
            inputs(input.fields.values().map(|field| &field.node), with_deprecated)
        }
        ("specifiedByURL", ExtendedType::Scalar(scalar)) => {
            let url = scalar.directives.get("specifiedBy");
            text(url.and_then(|it| it.specified_argument_by_name("url")).and_then(|it| it.as_str()))
        }
        ("isOneOf", ExtendedType::InputObject(input)) => Leaf(input.directives.has("oneOf").into()),
        ("ofType", _) => One(None),
        ("fields" | "interfaces" | "possibleTypes" | "enumValues" | "inputFields", _)
        | ("specifiedByURL" | "isOneOf", _) => null,
        _ => return None,
    })
}

fn kind(ty: &ExtendedType) -> &'static str {
    match ty {
        ExtendedType::Scalar(_) => "SCALAR",
        ExtendedType::Object(_) => "OBJECT",
        ExtendedType::Interface(_) => "INTERFACE",
        ExtendedType::Union(_) => "UNION",
        ExtendedType::Enum(_) => "ENUM",
        ExtendedType::InputObject(_) => "INPUT_OBJECT",
    }
}

fn types<'a, 'n>(session: &Session<'a>, names: impl Iterator<Item = &'n Name>) -> Holds<'a> {
    Many(names.filter_map(|name| named(session, name)).collect())
}

fn fields<'a>(
    all: impl Iterator<Item = &'a Component<FieldDefinition>>,
    with_deprecated: bool,
) -> Holds<'a> {
    let shown = |field: &&'a Component<FieldDefinition>| {
        with_deprecated || !field.directives.has("deprecated")
    };
    Many(all.filter(shown).map(|field| Described::Field(field)).collect())
}

fn inputs<'a>(
    all: impl Iterator<Item = &'a Node<InputValueDefinition>>,
    with_deprecated: bool,
) -> Holds<'a> {
    let shown = |input: &&'a Node<InputValueDefinition>| {
        with_deprecated || !input.directives.has("deprecated")
    };
    Many(all.filter(shown).map(|input| Described::Input(input)).collect())
}

/// A type around another one: it has a kind and what it is around, and nothing else.
fn of_wrapper<'a>(session: &Session<'a>, ty: &Type, name: &str) -> Option<Holds<'a>> {
    let inner = match ty {
        Type::List(inner) => inner.as_ref().clone(),
        other => other.clone().nullable(),
    };
    Some(match name {
        "kind" => Leaf(if ty.is_non_null() { "NON_NULL" } else { "LIST" }.into()),
        "ofType" => One(of_type(session, &inner)),
        _ => Leaf(Json::Null),
    })
}

fn of_field<'a>(
    session: &Session<'a>,
    field: &'a FieldDefinition,
    name: &str,
    with_deprecated: bool,
) -> Option<Holds<'a>> {
    match name {
        "name" => Some(Leaf(field.name.as_str().into())),
        "description" => Some(text(field.description.as_deref())),
        "args" => Some(inputs(field.arguments.iter(), with_deprecated)),
        "type" => Some(One(of_type(session, &field.ty))),
        _ => deprecation(session, field.directives.get("deprecated"), name),
    }
}

fn of_input<'a>(
    session: &Session<'a>,
    input: &'a InputValueDefinition,
    name: &str,
) -> Option<Holds<'a>> {
    match name {
        "name" => Some(Leaf(input.name.as_str().into())),
        "description" => Some(text(input.description.as_deref())),
        "type" => Some(One(of_type(session, &input.ty))),
        "defaultValue" => {
            let default = input.default_value.as_ref();
            Some(text(default.map(|it| it.serialize().no_indent().to_string()).as_deref()))
        }
        _ => deprecation(session, input.directives.get("deprecated"), name),
    }
}

fn of_directive<'a>(
    directive: &'a DirectiveDefinition,
    name: &str,
    with_deprecated: bool,
) -> Option<Holds<'a>> {
    Some(match name {
        "name" => Leaf(directive.name.as_str().into()),
        "description" => text(directive.description.as_deref()),
        "args" => inputs(directive.arguments.iter(), with_deprecated),
        "locations" => Leaf(directive.locations.iter().map(|place| place.name()).collect()),
        "isRepeatable" => Leaf(directive.repeatable.into()),
        _ => return None,
    })
}

fn deprecation<'a>(
    session: &Session<'a>,
    directive: Option<&Node<Directive>>,
    name: &str,
) -> Option<Holds<'a>> {
    match name {
        "isDeprecated" => Some(Leaf(directive.is_some().into())),
        "deprecationReason" => {
            let schema = &session.engine.api_schema;
            let reason = directive.and_then(|it| it.argument_by_name("reason", schema).ok());
            Some(text(reason.and_then(|reason| reason.as_str())))
        }
        _ => None,
    }
}
