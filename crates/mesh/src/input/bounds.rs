//! How large the value of a variable may be: items of a list, levels of lists and objects.
//!
//! In: JSON of a request with the type that it is for. Out: whether it is within the limits, before
//! anything is made of it: whoever reads a value calls itself for each level, and threads have small
//! stacks. Literals of a document are bounded by its tokens and its nesting.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use serde_json::Value as Json;

use crate::limits::Limits;

/// Levels inside a value of an own scalar: as many as the text of JSON is read with.
const SCALAR_DEPTH: usize = 128;

/// Checks the value, or says which limit it is beyond.
pub(crate) fn check(
    schema: &Schema,
    ty: &Type,
    value: &Json,
    limits: &Limits,
) -> Result<(), String> {
    bounded(schema, ty, value, limits, limits.input_depth)
}

/// Checks a value below which there may be `left` levels.
fn bounded(
    schema: &Schema,
    ty: &Type,
    value: &Json,
    limits: &Limits,
    left: usize,
) -> Result<(), String> {
    let object = schema.get_input_object(ty.inner_named_type());
    match (value, object) {
        (Json::Array(items), _) if ty.is_list() => {
            let (count, limit) = (items.len(), limits.input_items);
            if count > limit {
                return Err(format!("a list has {count} items; at most {limit} are allowed"));
            }
            let left = deeper(limits, left)?;
            items.iter().try_for_each(|item| bounded(schema, ty.item_type(), item, limits, left))
        }
        (Json::Object(given), Some(object)) => {
            let left = deeper(limits, left)?;
            given.iter().try_for_each(|(name, value)| match object.fields.get(name.as_str()) {
                Some(field) => bounded(schema, &field.ty, value, limits, left),
                // It is refused when the value is read, for its name.
                None => Ok(()),
            })
        }
        _ if nests_within(value, SCALAR_DEPTH) => Ok(()),
        _ => Err(format!("a value nests more than {SCALAR_DEPTH} levels")),
    }
}

fn deeper(limits: &Limits, left: usize) -> Result<usize, String> {
    let limit = limits.input_depth;
    left.checked_sub(1).ok_or_else(|| format!("lists and objects nest more than {limit} levels"))
}

fn nests_within(value: &Json, levels: usize) -> bool {
    match value {
        Json::Array(items) => levels > 0 && items.iter().all(|it| nests_within(it, levels - 1)),
        Json::Object(fields) => {
            levels > 0 && fields.values().all(|it| nests_within(it, levels - 1))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SDL: &str = "
        type Query { a(in: In, any: Any): Int }
        scalar Any
        input In { in: In, list: [Int!], any: Any }
    ";

    fn check(ty: &str, value: Json, expected: Result<(), &str>) {
        let schema = Schema::parse(SDL, "s").expect("a schema");
        let ty = Type::parse(ty, "t").expect("a type");
        let limits = Limits { input_items: 3, input_depth: 2, ..Limits::default() };
        let found = super::check(&schema, &ty, &value, &limits);
        assert_eq!(found, expected.map_err(str::to_owned), "{value}");
    }

    #[test]
    fn lists_and_levels_are_counted() {
        check("In", json!({"in": {"in": null}}), Ok(()));
        check("In", json!({"list": [1, 2, 3]}), Ok(()));
        let message = "a list has 4 items; at most 3 are allowed";
        check("In", json!({"list": [1, 2, 3, 4]}), Err(message));
        let message = "lists and objects nest more than 2 levels";
        check("In", json!({"in": {"in": {}}}), Err(message));
        check("In", json!({"in": {"list": []}}), Err(message));
        check("[In]", json!([{"in": {}}]), Err(message));
        // One value stands for a list of it, and is no level.
        check("[[In]]", json!({"in": {}}), Ok(()));
    }

    #[test]
    fn own_scalars_hold_what_they_like() {
        check("In", json!({"any": [[[[[1, 2, 3, 4]]]]]}), Ok(()));
        let deep = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        check("Any", deep(128), Ok(()));
        check("Any", deep(129), Err("a value nests more than 128 levels"));
        // A value that is of no use for its type is no reason to walk it without end.
        check("Int", deep(1_000), Err("a value nests more than 128 levels"));
    }
}
