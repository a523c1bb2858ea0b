//! The static cost of an operation, by `@cost` and `@listSize` of the public cost specification.
//!
//! A field costs its weight (1 for objects, 0 for scalars unless `@cost` says otherwise) plus what is
//! asked of it or, of a derived field, what that reads, times the length of its list: the largest slicing argument, else `assumedSize`, else 1.
//! `sizedFields` pass the length on to fields of a connection.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::Field;
use apollo_compiler::schema::FieldDefinition;
use base::Kind;

use super::{Inner, PlannedField, Selection};
use crate::error::GraphqlError;
use crate::input::Variables;

/// What the plan knows of a field's cost.
#[derive(Debug, Default)]
pub(crate) struct FieldCost {
    weight: f64,
    is_list: bool,
    size: Option<Size>,
}

#[derive(Debug, Default)]
struct Size {
    assumed: Option<f64>,
    slicing: Vec<String>,
    sized: Vec<String>,
    require_one: bool,
}

impl FieldCost {
    /// Reads the directives of a field's definition.
    pub(crate) fn of(schema: &Schema, parent: &str, field: &Field, ty: &Type) -> Self {
        let definition = match schema.type_field(parent, &field.name) {
            Ok(definition) => &definition.node,
            Err(_) => &field.definition,
        };
        let inner = schema.types.get(ty.inner_named_type());
        let is_leaf = inner.is_none_or(apollo_compiler::schema::ExtendedType::is_leaf);
        let weight = weight(definition).unwrap_or(if is_leaf { 0.0 } else { 1.0 });
        FieldCost { weight, is_list: ty.is_list(), size: size(definition) }
    }
}

fn weight(definition: &FieldDefinition) -> Option<f64> {
    let value = definition.directives.get("cost")?.specified_argument_by_name("weight")?;
    value.as_str().map_or_else(|| value.to_f64(), |text| text.parse().ok())
}

fn size(definition: &FieldDefinition) -> Option<Size> {
    let directive = definition.directives.get("listSize")?;
    let names = |argument: &str| {
        let list = directive.specified_argument_by_name(argument)?.as_list()?;
        Some(list.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect())
    };
    let require = directive.specified_argument_by_name("requireOneSlicingArgument");
    Some(Size {
        assumed: directive.specified_argument_by_name("assumedSize").and_then(|size| size.to_f64()),
        slicing: names("slicingArguments").unwrap_or_default(),
        sized: names("sizedFields").unwrap_or_default(),
        require_one: require.and_then(|value| value.to_bool()).unwrap_or(true),
    })
}

/// The cost of a selection with these values of variables.
pub(crate) fn cost(
    schema: &Schema,
    selection: &Selection,
    variables: &Variables,
) -> Result<f64, GraphqlError> {
    sum(schema, selection, variables, None)
}

/// The length that a connection passes on to some of its fields.
type Passed<'a> = Option<(&'a [String], f64)>;

fn sum(
    schema: &Schema,
    selection: &Selection,
    variables: &Variables,
    passed: Passed<'_>,
) -> Result<f64, GraphqlError> {
    let mut total = 0.0;
    for field in selection.fields.iter().filter(|field| field.when.hold(variables)) {
        total += field_cost(schema, field, variables, passed)?;
    }
    Ok(total)
}

fn field_cost(
    schema: &Schema,
    field: &PlannedField,
    variables: &Variables,
    passed: Passed<'_>,
) -> Result<f64, GraphqlError> {
    let length = length(schema, field, variables)?;
    let sized = field.cost.size.as_ref().map_or(&[][..], |size| &size.sized);
    let (own, pass) = match length {
        Some(length) if !sized.is_empty() => (1.0, Some((sized, length))),
        length => (length.unwrap_or(1.0), None),
    };
    let own = match passed {
        Some((names, length)) if names.iter().any(|name| *name == *field.name) => length,
        _ if field.cost.is_list || pass.is_some() => own,
        _ => 1.0,
    };
    let inner = match &field.inner {
        // What a derived field reads costs what it would if it were asked for.
        Inner::Leaf => match &field.inputs {
            Some(inputs) => sum(schema, inputs, variables, None)?,
            None => 0.0,
        },
        Inner::Object(selection) => sum(schema, selection, variables, pass)?,
        Inner::Abstract(by_type) => {
            let mut most: f64 = 0.0;
            #[expect(clippy::iter_over_hash_type, reason = "the maximum needs no order")]
            for selection in by_type.values() {
                most = most.max(sum(schema, selection, variables, pass)?);
            }
            most
        }
    };
    Ok(own * (field.cost.weight + inner))
}

/// The length of the list that a field gives or passes on.
fn length(
    schema: &Schema,
    field: &PlannedField,
    variables: &Variables,
) -> Result<Option<f64>, GraphqlError> {
    let Some(size) = &field.cost.size else { return Ok(None) };
    // Wrong arguments are reported where the field is resolved.
    let Ok(arguments) = field.arguments.values(schema, variables) else { return Ok(None) };
    // A default counts only when the request gives no slice of its own.
    let any_given = size.slicing.iter().any(|name| arguments.is_given(name));
    let slices: Vec<f64> = size
        .slicing
        .iter()
        .filter(|name| !any_given || arguments.is_given(name))
        .filter_map(|name| arguments.get(name)?.as_f64())
        .map(|slice| slice.max(0.0))
        .collect();
    if size.require_one && !size.slicing.is_empty() && slices.len() != 1 {
        let message = format!(
            "`{}` needs exactly one of the arguments {}",
            field.name,
            size.slicing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
        return Err(GraphqlError::new(Kind::InvalidInput, message).located(&field.locations));
    }
    Ok(slices.into_iter().reduce(f64::max).or(size.assumed))
}
