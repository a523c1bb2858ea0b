//! Rows by key at the root: fields that ask the same state of one table share a scan, and the scans
//! below it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Result};
use frame::convert::rows_of;
use frame::{Field, SnapshotRef, Value};
use futures::future::join_all;
use schema::TypeId;
use serde_json::Value as Json;

use super::rows::{Asked, attach_all, key_columns, keys_predicate};
use super::{RootValue, Session, as_of, state_of_references, values};
use crate::plan::{PlannedField, Resolve};

/// Fields that one scan answers.
struct Group {
    id: TypeId,
    at: Option<SnapshotRef>,
    /// The positions of the fields, with the keys that they ask for.
    members: Vec<(usize, Vec<Value>)>,
}

/// The values of the wanted fields that ask for a row by its key, by the position of the field.
pub(super) async fn by_key(
    session: &Session<'_>,
    fields: &[PlannedField],
    is_wanted: &(dyn Fn(&PlannedField) -> bool + Sync),
) -> HashMap<usize, RootValue> {
    let mut groups: Vec<Group> = Vec::new();
    let mut found = HashMap::new();
    for (position, field) in fields.iter().enumerate() {
        let Resolve::ByKey(id) = field.resolve else { continue };
        if !field.when.hold(&session.variables) || !is_wanted(field) {
            continue;
        }
        match key(session, field, id) {
            Ok((key, at)) => match groups.iter_mut().find(|group| group.id == id && group.at == at)
            {
                Some(group) => group.members.push((position, key)),
                None => groups.push(Group { id, at, members: vec![(position, key)] }),
            },
            Err(error) => {
                found.insert(position, RootValue::Failed(session.blame(field, &error)));
            }
        }
    }
    let rows = groups.iter().map(|group| answer(session, fields, group));
    found.extend(join_all(rows).await.into_iter().flatten());
    found
}

fn key(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
) -> Result<(Vec<Value>, Option<SnapshotRef>)> {
    let arguments = session.arguments(field)?;
    let key = key_columns(session.object(id)?).into_iter().map(|(name, data_type)| {
        let given = arguments.get(&name).unwrap_or(&Json::Null);
        values::value(&data_type, given)
            .map_err(|error| Error::invalid(format!("argument `{name}`: {error}")))
    });
    Ok((key.collect::<Result<_>>()?, as_of(&arguments)?))
}

async fn answer(
    session: &Session<'_>,
    fields: &[PlannedField],
    group: &Group,
) -> Vec<(usize, RootValue)> {
    let scanned = match scan(session, fields, group).await {
        Ok(scanned) => scanned,
        Err(error) => {
            let failed = |position: usize| session.blame(&fields[position], &error);
            let members = group.members.iter();
            return members.map(|(at, _)| (*at, RootValue::Failed(failed(*at)))).collect();
        }
    };
    let (batch, rows) = &scanned;
    let below = state_of_references(group.at);
    let asked = group.members.iter().map(|(position, key)| {
        let (row, selection) = (*rows.get(key)?, fields[*position].selection()?);
        Some(Asked { selection, rows: row..row + 1 })
    });
    let asked: Vec<Option<Asked<'_>>> = asked.collect();
    let is_there: Vec<bool> = asked.iter().map(Option::is_some).collect();
    let asked = asked.into_iter().flatten().collect();
    let mut found = attach_all(session, group.id, batch, asked, below).await.into_iter();
    let members = group.members.iter().zip(is_there);
    let values = members.map(|((position, _), is_there)| {
        (*position, RootValue::Row(if is_there { found.next() } else { None }))
    });
    values.collect()
}

/// The rows of all members, and where each key's row is.
async fn scan(session: &Session<'_>, fields: &[PlannedField], group: &Group) -> Result<KeyedRows> {
    let selections = group.members.iter().filter_map(|(position, _)| fields[*position].selection());
    let columns = selections.flat_map(|selection| &selection.columns);
    let keys = group.members.iter().map(|(_, key)| key);
    rows_by_key(session, group.id, columns, keys, group.at).await
}

/// Rows of one scan, and where each key's row is.
pub(super) type KeyedRows = (RecordBatch, HashMap<Vec<Value>, usize>);

/// The rows with these keys in one scan, with these columns and those of the key.
pub(super) async fn rows_by_key<'k>(
    session: &Session<'_>,
    id: TypeId,
    columns: impl Iterator<Item = &'k Arc<str>>,
    keys: impl Iterator<Item = &'k Vec<Value>>,
    at: Option<SnapshotRef>,
) -> Result<KeyedRows> {
    let object = session.object(id)?;
    let key = key_columns(object);
    let mut wanted: Vec<Arc<str>> = Vec::new();
    for column in columns.cloned().chain(key.iter().map(|(name, _)| name.clone())) {
        if !wanted.contains(&column) {
            wanted.push(column);
        }
    }
    let mut seen = HashSet::new();
    let keys: Vec<Vec<Value>> = keys.filter(|key| seen.insert(*key)).cloned().collect();
    let mut request = session.request(object, &wanted);
    request.predicate = keys_predicate(object, &keys);
    request.limit = Some(keys.len());
    request.at = at;
    let batch = session.scan(request).await?;
    let key: Vec<Field> =
        key.into_iter().map(|(name, data_type)| Field::new(name, data_type, false)).collect();
    let rows = rows_of(&batch, &key)?.into_iter().enumerate();
    let rows = rows.map(|(row, key)| (key, row)).collect();
    Ok((batch, rows))
}
