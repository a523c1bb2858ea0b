//! Rows by representations: what the graph asks the tables for when another source adds to their rows,
//! or they add to another source's objects.
//!
//! In: representations as Apollo Federation has them, objects with `__typename` and the fields of a
//! key. Out: for each its row or nothing, in their order. All representations of one type are one scan.

use std::collections::HashMap;
use std::fmt::Write as _;

use apollo_compiler::Name;
use base::Error;
use frame::{DataType, Value};
use futures::future::join_all;
use schema::{ObjectType, Schema, TypeId};
use serde_json::{Map, Value as Json};

use super::by_key::rows_by_key;
use super::rows::{attach, key_columns};
use super::{RowSet, Session, values};
use crate::error::GraphqlError;
use crate::plan::{Inner, PlannedField, Selection};

/// The root field that answers representations.
pub(crate) const ENTITIES: &str = "_entities";

/// What representations found.
pub(crate) struct Entities {
    /// For each type the rows that were found, or why there are none.
    pub(crate) sets: Vec<(Name, Result<RowSet, GraphqlError>)>,
    /// For each representation its set and its row there.
    pub(crate) places: Vec<Option<(usize, usize)>>,
}

/// The representations of one type.
struct Group<'a> {
    id: TypeId,
    name: &'a Name,
    selection: &'a Selection,
    /// The positions of the representations, with their keys.
    members: Vec<(usize, Vec<Value>)>,
}

/// What SDL of tables needs so that they answer representations; nothing when no table has a key.
pub(crate) fn definitions(schema: &Schema, sdl: &str) -> Option<String> {
    let has_key = |object: &&ObjectType| object.table().is_some_and(|table| !table.key.is_empty());
    let names: Vec<&str> =
        schema.types.values().filter(has_key).map(|object| object.name.as_ref()).collect();
    if names.is_empty() {
        return None;
    }
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "scalar _Any\nunion _Entity = {}", names.join(" | "));
    let extend = if sdl.starts_with("type Query {") { "extend " } else { "" };
    let field = format!("{ENTITIES}(representations: [_Any!]!): [_Entity]!");
    let _ = writeln!(text, "{extend}type Query {{ {field} }}");
    Some(text)
}

/// The rows of all representations.
pub(super) async fn entities(
    session: &Session<'_>,
    field: &PlannedField,
) -> base::Result<Entities> {
    let arguments = session.arguments(field)?;
    let Some(Json::Array(given)) = arguments.get("representations") else {
        return Err(Error::invalid("`representations` is not a list"));
    };
    let groups = groups(session, field, given)?;
    let found = join_all(groups.iter().map(|group| rows(session, group))).await;
    let mut entities = Entities { sets: Vec::new(), places: vec![None; given.len()] };
    for (group, found) in groups.iter().zip(found) {
        let number = entities.sets.len();
        let (set, by_key) = match found {
            Ok((set, by_key)) => (Ok(set), Some(by_key)),
            Err(error) => (Err(session.blame_table(field, group.id, &error)), None),
        };
        for (position, key) in &group.members {
            let row = by_key.as_ref().map_or(Some(0), |by_key| by_key.get(key).copied());
            entities.places[*position] = row.map(|row| (number, row));
        }
        entities.sets.push((group.name.clone(), set));
    }
    Ok(entities)
}

fn groups<'a>(
    session: &Session<'_>,
    field: &'a PlannedField,
    given: &[Json],
) -> base::Result<Vec<Group<'a>>> {
    let Inner::Abstract(selections) = &field.inner else {
        return Err(Error::internal("entities are of a type that is not abstract"));
    };
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (position, representation) in given.iter().enumerate() {
        let Json::Object(representation) = representation else {
            return Err(Error::invalid("a representation is not an object"));
        };
        let name = representation.get("__typename").and_then(Json::as_str).unwrap_or_default();
        let known = groups.iter().position(|group| group.name.as_str() == name);
        let group = match known {
            Some(known) => &mut groups[known],
            None => {
                let unknown = || Error::invalid(format!("there are no entities `{name}`"));
                let (name, selection) = selections.get_key_value(name).ok_or_else(unknown)?;
                let (id, _) = session.schema()?.type_named(name).ok_or_else(unknown)?;
                groups.push(Group { id, name, selection, members: Vec::new() });
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        let key = key(session.object(group.id)?, representation)?;
        group.members.push((position, key));
    }
    Ok(groups)
}

fn key(object: &ObjectType, representation: &Map<String, Json>) -> base::Result<Vec<Value>> {
    let key = key_columns(object).into_iter().map(|(name, data_type)| {
        let given = representation.get(name.as_ref()).unwrap_or(&Json::Null);
        // A service may answer an `ID` as a number, which says the same.
        let number = given.as_number().filter(|_| data_type == DataType::String);
        let text = number.map(|number| Json::from(number.to_string()));
        values::value(&data_type, text.as_ref().unwrap_or(given)).map_err(|error| {
            Error::invalid(format!("a representation of `{}`: `{name}`: {error}", object.name))
        })
    });
    key.collect()
}

/// The rows of a group, and which has which key.
async fn rows(
    session: &Session<'_>,
    group: &Group<'_>,
) -> base::Result<(RowSet, HashMap<Vec<Value>, usize>)> {
    let keys = group.members.iter().map(|(_, key)| key);
    let columns = group.selection.columns.iter();
    let (batch, by_key) = rows_by_key(session, group.id, columns, keys, None).await?;
    let set = attach(session, group.selection, group.id, batch, None).await;
    Ok((set, by_key))
}
