//! Values of derived fields that read more than the stored fields of their rows.
//!
//! In: what the inputs of an object hold, as JSON under the names that the expression knows them by. Out:
//! the value, or why there is none: an input that failed, or an expression that does. Inputs are what the
//! caller sees of them, so that nothing follows from values that are held back but what follows from what
//! stands in their place.
//! Not here: fetching the inputs (`rows`, `service`), expressions over columns (`rows`).

use std::collections::BTreeMap;

use base::{Error, Result};
use frame::convert::array_of;
use frame::{DataType, RowInterpreter, Value};
use schema::{Derived, FieldId, FieldKind, TypeId};
use serde_json::Value as Json;

use super::rows::{Computed, RowSet, Slot};
use super::{Session, values};
use crate::error::GraphqlError;
use crate::plan::PlannedField;
use crate::respond::held;

/// The values of a field for all rows of which the inputs are there.
pub(super) fn compute(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    derived: FieldId,
    inputs: &RowSet,
) -> Slot {
    computed(session, field, id, derived, inputs)
        .map_or_else(|error| Slot::Failed(session.blame(field, &error)), Slot::Computed)
}

fn computed(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    derived: FieldId,
    inputs: &RowSet,
) -> Result<Computed> {
    let nothing = || Error::internal(format!("`{}` is not derived", field.name));
    let FieldKind::Derived(derived) = &session.object(id)?.field(derived).kind else {
        return Err(nothing());
    };
    let selection = field.inputs.as_deref().ok_or_else(nothing)?;
    let data_type = derived.expr.data_type.clone();
    let mut errors = BTreeMap::new();
    let mut values = Vec::with_capacity(inputs.batch.num_rows());
    for row in 0..inputs.batch.num_rows() {
        // Of errors beyond the limit the answer gives the number only; so does the log.
        let is_told = errors.len() < session.engine.settings.limits.errors;
        let found = match held(session, selection, inputs, row, is_told) {
            Ok(json) => value(session, derived, &json).map_err(|error| match is_told {
                true => session.blame(field, &error),
                false => GraphqlError::from(&error),
            }),
            Err(error) => Err(of_input(&field.parent, &field.name, error)),
        };
        let found = found.or_else(|error| {
            errors.insert(row, error);
            Ok::<_, Error>(Value::Null)
        });
        values.push(found?);
    }
    let array = array_of(&values, &data_type)?;
    Ok(Computed { array, data_type, errors, propagates: derived.propagates })
}

/// The error of a field whose input has one.
pub(crate) fn of_input(object: &str, field: &str, error: GraphqlError) -> GraphqlError {
    let message = format!("`{object}.{field}` lacks an input: {}", error.message);
    GraphqlError { message, path: Vec::new(), ..error }
}

/// The value of an expression over what an object's inputs hold.
pub(crate) fn value(session: &Session<'_>, derived: &Derived, inputs: &Json) -> Result<Value> {
    let read = |path: &[String], data_type: &DataType| at(inputs, path, data_type);
    RowInterpreter.evaluate_row(&derived.expr, &read, &session.principal)
}

/// What a path leads to: of a list, what it leads to in each item.
fn at(inputs: &Json, path: &[String], data_type: &DataType) -> Result<Value> {
    let misfit = |error: String| Error::invalid(format!("the input `{}`: {error}", path.join(".")));
    let mut found = inputs;
    for (index, name) in path.iter().enumerate() {
        match found {
            Json::Null => return Ok(Value::Null),
            Json::Array(_) => {
                let DataType::List { item, .. } = data_type else {
                    return Err(misfit("a list is no single value".to_owned()));
                };
                let mut items = Vec::new();
                gather(found, &path[index..], &mut items);
                let items = items.into_iter().map(|json| values::value(item, json));
                return items.collect::<Result<_, _>>().map(Value::List).map_err(misfit);
            }
            object => found = object.get(name).unwrap_or(&Json::Null),
        }
    }
    values::value(data_type, found).map_err(misfit)
}

/// What a path leads to in each item, in their order; lists in lists become one.
fn gather<'j>(json: &'j Json, path: &[String], into: &mut Vec<&'j Json>) {
    match (json, path.split_first()) {
        (Json::Array(items), _) => items.iter().for_each(|item| gather(item, path, into)),
        (Json::Null, _) | (_, None) => into.push(json),
        (object, Some((name, rest))) => {
            gather(object.get(name).unwrap_or(&Json::Null), rest, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(path: &str, data_type: DataType, expected: Option<Value>) {
        let inputs = json!({
            "team": {"name": "blue", "lead": null},
            "trips": [{"nights": 3, "tags": ["a"]}, null, {"nights": null, "tags": ["b", null]}],
            "none": null,
        });
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        assert_eq!(at(&inputs, &path, &data_type).ok(), expected, "{path:?}");
    }

    #[test]
    fn paths_lead_through_objects_and_into_every_item() {
        let list = |item| DataType::List { item: Box::new(item), nullable: true };
        check("team.name", DataType::String, Some("blue".into()));
        check("team.lead.name", DataType::String, Some(Value::Null));
        let nights = vec![Value::Int(3), Value::Null, Value::Null];
        check("trips.nights", list(DataType::Int), Some(Value::List(nights)));
        let tags = vec!["a".into(), Value::Null, "b".into(), Value::Null];
        check("trips.tags", list(DataType::String), Some(Value::List(tags)));
        check("none.nights", list(DataType::Int), Some(Value::Null));
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        check("team.name", DataType::Int, None);
        check("trips.nights", DataType::Int, None);
    }
}
