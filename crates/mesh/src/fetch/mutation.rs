//! Changes: input to rows, one write, and the rows read back from the snapshot that it made.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Principal, Result};
use base64::Engine as _;
use frame::convert::batch_of;
use frame::{Field, RowInterpreter, SnapshotRef, Value, WriteOp, WriteReceipt, WriteRequest};
use schema::api::{MutationField, Verb};
use schema::{ColumnSpec, FieldDef, FieldKind, ObjectType, TypeId};
use serde_json::{Map, Value as Json};

use super::rows::{RowSet, attach_wrapped, key_columns, keys_predicate, wanted_columns, wrapped};
use super::{Session, values};
use crate::error::GraphqlError;
use crate::plan::PlannedField;
use crate::plan::arguments::ArgumentValues;
use crate::record::Work;

/// What a change did.
pub(crate) struct Change {
    pub(crate) receipt: WriteReceipt,
    /// For each field of the selection: the rows, where it asks for them.
    pub(crate) nodes: Vec<Option<RowSet>>,
    /// For each input its row, if it is there.
    pub(crate) targets: Vec<Option<u32>>,
    /// Why there are no rows although the change was made.
    pub(crate) unread: Option<GraphqlError>,
}

/// One row of the input, and where it stands in the arguments.
type Input = (String, Map<String, Json>);

/// Carries out one mutation field.
pub(super) async fn change(
    session: &Session<'_>,
    field: &PlannedField,
    change: MutationField,
    arguments: &ArgumentValues,
) -> Result<Change> {
    let object = session.object(change.type_id)?;
    let inputs = inputs(session, object, change, arguments)?;
    let (op, keys) = operation(session, change, object, &inputs).await?;
    let request = WriteRequest {
        table: object.name.clone(),
        op,
        idempotency_key: arguments.get("idempotencyKey").and_then(Json::as_str).map(Into::into),
        principal: session.principal.clone(),
    };
    let step = session.recorder.begin(|| Work::Write { table: object.name.clone() });
    let written = session.source()?.write(request).await;
    if let Some(step) = step {
        step.end(written.as_ref().err().map(Error::kind));
    }
    let receipt = written?;
    let rows = read_back(session, field, change.type_id, object, &keys, receipt.snapshot).await;
    Ok(match rows {
        Ok((nodes, targets)) => Change { receipt, nodes, targets, unread: None },
        // The write is durable: whoever is told that it failed would make it again.
        Err(error) => {
            let mut error = session.blame(field, &error);
            error.message = format!("the change was made, but not read back: {}", error.message);
            let targets = vec![None; keys.len()];
            Change { receipt, nodes: Vec::new(), targets, unread: Some(error) }
        }
    })
}

/// The rows of the input, each with where it stands in the arguments.
fn inputs(
    session: &Session<'_>,
    object: &ObjectType,
    change: MutationField,
    arguments: &ArgumentValues,
) -> Result<Vec<Input>> {
    let row = |place: String, json: &Json| match json {
        Json::Object(row) => Ok((place, present_names(session, change.type_id, object, row)?)),
        _ => Err(Error::internal("an input is an object")),
    };
    if change.verb == Verb::Delete && !change.many {
        let key = key_columns(object).into_iter();
        let key = key.map(|(name, _)| {
            (name.to_string(), arguments.get(&name).cloned().unwrap_or(Json::Null))
        });
        return Ok(vec![(String::new(), key.collect())]);
    }
    if !change.many {
        let input = arguments.get("input").unwrap_or(&Json::Null);
        return Ok(vec![row("input".to_owned(), input)?]);
    }
    let name = if change.verb == Verb::Delete { "keys" } else { "inputs" };
    let items = arguments.get(name).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let limit = session.engine.settings.limits.written_rows;
    if items.len() > limit {
        return Err(Error::new(
            Kind::LimitExceeded,
            format!("{} rows are given; at most {limit} are changed at once", items.len()),
        )
        .hint("import larger data with `headwater import`"));
    }
    let items = items.iter().enumerate();
    items.map(|(index, json)| row(format!("{name}[{index}]"), json)).collect()
}

/// The input with earlier names replaced by the present ones.
fn present_names(
    session: &Session<'_>,
    id: TypeId,
    object: &ObjectType,
    given: &Map<String, Json>,
) -> Result<Map<String, Json>> {
    let mut row = Map::new();
    for (name, json) in given {
        let field = session.names()?.api.field(id, name);
        let present = field.map_or(name.as_str(), |found| &object.field(found.field).name);
        if row.insert(present.to_owned(), json.clone()).is_some() {
            return Err(Error::invalid(format!("`{name}` is an earlier name of `{present}`"))
                .hint("give only one of them"));
        }
    }
    Ok(row)
}

/// The write, and the keys of its rows.
async fn operation(
    session: &Session<'_>,
    change: MutationField,
    object: &ObjectType,
    inputs: &[Input],
) -> Result<(WriteOp, Vec<Vec<Value>>)> {
    let keys = inputs
        .iter()
        .map(|(place, row)| {
            let key = key_columns(object).into_iter().map(|(name, data_type)| {
                let json = row.get(name.as_ref()).unwrap_or(&Json::Null);
                match values::value(&data_type, json) {
                    Ok(Value::Null) => Err(required(place, &name)),
                    Ok(value) => Ok(value),
                    Err(error) => Err(misfit(place, &name, &error)),
                }
            });
            key.collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?;
    let op = match change.verb {
        Verb::Delete => WriteOp::Delete(keys.clone()),
        Verb::Update => WriteOp::Update(updates(session, object, inputs).await?),
        Verb::Create => WriteOp::Insert(whole_rows(session, object, inputs).await?),
        Verb::Upsert => WriteOp::Upsert(whole_rows(session, object, inputs).await?),
        Verb::Append => WriteOp::Append(whole_rows(session, object, inputs).await?),
    };
    Ok((op, keys))
}

fn required(place: &str, field: &str) -> Error {
    Error::invalid(format!("`{}` is required", within(place, field)))
}

fn misfit(place: &str, field: &str, error: &str) -> Error {
    Error::invalid(format!("`{}`: {error}", within(place, field)))
}

fn within(place: &str, field: &str) -> String {
    if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") }
}

/// One batch with every column: fields that are left out get their default or null.
async fn whole_rows(
    session: &Session<'_>,
    object: &ObjectType,
    inputs: &[Input],
) -> Result<Vec<RecordBatch>> {
    let columns: Vec<(&FieldDef, &ColumnSpec)> = object.columns().collect();
    Ok(vec![batch(session, object, &columns, inputs).await?])
}

/// One batch for each set of columns that rows change.
async fn updates(
    session: &Session<'_>,
    object: &ObjectType,
    inputs: &[Input],
) -> Result<Vec<RecordBatch>> {
    let mut by_columns: BTreeMap<Vec<&str>, Vec<Input>> = BTreeMap::new();
    for input in inputs {
        let given = object.columns().map(|(field, _)| field.name.as_ref());
        let given = given.filter(|name| input.1.contains_key(*name)).collect();
        by_columns.entry(given).or_default().push(input.clone());
    }
    let mut batches = Vec::with_capacity(by_columns.len());
    for (names, inputs) in &by_columns {
        let columns: Vec<(&FieldDef, &ColumnSpec)> =
            object.columns().filter(|(field, _)| names.contains(&field.name.as_ref())).collect();
        batches.push(batch(session, object, &columns, inputs).await?);
    }
    Ok(batches)
}

async fn batch(
    session: &Session<'_>,
    object: &ObjectType,
    columns: &[(&FieldDef, &ColumnSpec)],
    inputs: &[Input],
) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(field, column)| {
            Field::new(field.name.clone(), column.data_type.clone(), field.nullable)
        })
        .collect();
    let mut rows: Vec<Vec<Value>> = vec![Vec::with_capacity(fields.len()); inputs.len()];
    for (field, column) in columns {
        let values = match field.kind {
            FieldKind::Media(_) => media_values(session, object, field, inputs).await?,
            _ => column_values(field, column, inputs, &session.principal)?,
        };
        for ((row, value), (place, _)) in rows.iter_mut().zip(values).zip(inputs) {
            if value.is_null() && !field.nullable {
                return Err(required(place, &field.name));
            }
            row.push(value);
        }
    }
    batch_of(&fields, &rows)
}

fn column_values(
    field: &FieldDef,
    column: &ColumnSpec,
    inputs: &[Input],
    viewer: &Principal,
) -> Result<Vec<Value>> {
    let no_fields = |path: &[String], _: &frame::DataType| {
        Err(Error::internal(format!("a default reads `{}`", path.join("."))))
    };
    let values =
        inputs.iter().map(|(place, row)| match (row.get(field.name.as_ref()), &column.default) {
            (Some(json), _) => values::value(&column.data_type, json)
                .map_err(|error| misfit(place, &field.name, &error)),
            (None, Some(default)) => RowInterpreter.evaluate_row(default, &no_fields, viewer),
            (None, None) => Ok(Value::Null),
        });
    values.collect()
}

/// Stores the media that the rows bring.
async fn media_values(
    session: &Session<'_>,
    object: &ObjectType,
    field: &FieldDef,
    inputs: &[Input],
) -> Result<Vec<Value>> {
    let mut files = Vec::new();
    let mut brings = Vec::with_capacity(inputs.len());
    for (place, row) in inputs {
        let media = row.get(field.name.as_ref()).filter(|json| !json.is_null());
        brings.push(media.is_some());
        if let Some(media) = media {
            let text = media.get("bytes").and_then(Json::as_str).unwrap_or_default();
            let bytes = base64::prelude::BASE64_STANDARD.decode(text).map_err(|error| {
                misfit(place, &format!("{}.bytes", field.name), &format!("not base64: {error}"))
            })?;
            files.push(bytes);
        }
    }
    let mut stored = Vec::new().into_iter();
    if !files.is_empty() {
        let store = session.engine.settings.media.as_ref().ok_or_else(|| {
            Error::new(Kind::Unsupported, "this server takes no media by GraphQL")
                .hint("import it with `headwater import`")
        })?;
        stored = store.put_media(&object.name, &field.name, files).await?.into_iter();
    }
    let values = brings.into_iter().map(|brings| match brings {
        true => stored.next().ok_or_else(|| Error::internal("a stored file was not measured")),
        false => Ok(Value::Null),
    });
    values.collect()
}

type ReadBack = (Vec<Option<RowSet>>, Vec<Option<u32>>);

/// The changed rows, where the request asks for them, as the change left them.
async fn read_back(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    object: &ObjectType,
    keys: &[Vec<Value>],
    snapshot: i64,
) -> Result<ReadBack> {
    let Some(selection) = field.selection() else { return Ok((Vec::new(), Vec::new())) };
    let asked = wrapped(session, selection);
    if keys.is_empty() || asked.iter().all(Option::is_none) {
        return Ok((asked.iter().map(|_| None).collect(), vec![None; keys.len()]));
    }
    let key: Vec<(Arc<str>, frame::DataType)> = key_columns(object);
    let mut columns = wanted_columns(field);
    for (name, _) in &key {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    let mut request = session.request(object, &columns);
    request.predicate = keys_predicate(object, keys);
    request.at = Some(SnapshotRef::Id(snapshot));
    let batch = session.scan(request).await?;
    let found = found_rows(&batch, &key)?;
    let targets = keys.iter().map(|key| found.get(key).copied()).collect();
    let nodes = attach_wrapped(session, vec![asked], id, &batch, None).await.pop();
    Ok((nodes.unwrap_or_default(), targets))
}

fn found_rows(
    batch: &RecordBatch,
    key: &[(Arc<str>, frame::DataType)],
) -> Result<BTreeMap<Vec<Value>, u32>> {
    let fields: Vec<Field> = key
        .iter()
        .map(|(name, data_type)| Field::new(name.clone(), data_type.clone(), false))
        .collect();
    let rows = frame::convert::rows_of(batch, &fields)?.into_iter();
    Ok(rows.enumerate().map(|(row, key)| (key, row as u32)).collect())
}
