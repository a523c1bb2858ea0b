//! References and neighbours of rows: one scan for all parents, then links.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array};
use base::{Error, Kind, Result};
use frame::convert::values_of;
use frame::{
    DataType, Expr, LimitBy, Nearest, NearestQuery, Order, ScanRequest, SnapshotRef, Value,
};
use schema::{FieldDef, FieldId, FieldKind, ObjectType, OrderBy, Reference, TypeId};
use serde_json::Value as Json;

use super::Session;
use super::filter::{order, with_key};
use super::rows::{Asked, LinkedRows, Links, attach_all, key_columns, wanted_columns, wrap};
use super::values::key_value;
use crate::merge::{self, Targets};
use crate::plan::arguments::ArgumentValues;
use crate::plan::{PlannedField, Resolve, Selection};
use crate::policy::denied;

/// The field's definition and its reference.
fn reference(object: &ObjectType, id: FieldId) -> Result<(&FieldDef, &Reference)> {
    let field = object.field(id);
    match &field.kind {
        FieldKind::Reference(reference) => Ok((field, reference)),
        _ => Err(Error::internal(format!("`{}` is not a reference", field.name))),
    }
}

/// The values of a column of the batch.
fn column_values(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<Vec<Value>> {
    // A scan that finds nothing may answer without a batch, and so without columns.
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| Error::internal(format!("the batch lacks the column `{name}`")))?;
    values_of(column.as_ref(), data_type)
}

fn stored_type(field: &FieldDef) -> Result<&DataType> {
    field
        .column()
        .map(|column| &column.data_type)
        .ok_or_else(|| Error::internal(format!("`{}` is not stored", field.name)))
}

/// The columns that the rows below fields need.
fn columns_of(fields: &[&PlannedField]) -> Vec<Arc<str>> {
    let mut columns: Vec<Arc<str>> = Vec::new();
    for column in fields.iter().flat_map(|field| wanted_columns(field)) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

/// Likewise, with one more.
fn columns_with(fields: &[&PlannedField], extra: &Arc<str>) -> Vec<Arc<str>> {
    let mut columns = columns_of(fields);
    if !columns.contains(extra) {
        columns.push(extra.clone());
    }
    columns
}

/// One row of another table for each row. For each field that asks something of these rows: its links.
pub(super) async fn refer(
    session: &Session<'_>,
    fields: &[&PlannedField],
    id: TypeId,
    reference_id: FieldId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Result<Vec<Links>> {
    let (_, reference) = reference(session.object(id)?, reference_id)?;
    let by = session.object(id)?.field(reference.by);
    let parents = column_values(batch, &by.name, stored_type(by)?)?;
    let target = session.object(reference.target)?;
    let Some((key, key_type)) = key_columns(target).into_iter().next() else {
        return Err(Error::internal(format!("`{}` has no key", target.name)));
    };
    let keys = merge::distinct(&parents);
    let mut request = session.request(target, &columns_with(fields, &key));
    request.limit = Some(keys.len());
    request.predicate = Some(Expr::field(&key, key_type.clone()).is_in(keys.clone()));
    request.at = at;
    let links = linked(session, fields, reference.target, request, at, &keys, |found| {
        let column = found.column_by_name(&key).ok_or_else(|| lacks(&key))?;
        merge::by_value(&parents, column.as_ref(), &key_type)
    });
    let links = links.await?.into_iter();
    let denied = denied(batch, &by.name).map(|rows| (by.name.clone(), rows));
    let told = |links| Links { wanted: parents.clone(), denied: denied.clone(), ..links };
    Ok(links.map(told).collect())
}

fn lacks(column: &str) -> Error {
    Error::internal(format!("the answer of a scan lacks the column `{column}`"))
}

/// Runs the scan, unless nobody asks, and links its rows.
async fn linked(
    session: &Session<'_>,
    fields: &[&PlannedField],
    target: TypeId,
    request: ScanRequest,
    at: Option<SnapshotRef>,
    keys: &[Value],
    link: impl FnOnce(&RecordBatch) -> Result<Targets>,
) -> Result<Vec<Links>> {
    let asked = fields.iter().map(|field| {
        let nothing = || Error::internal(format!("`{}` has no selection", field.name));
        field.selection().ok_or_else(nothing)
    });
    let asked: Vec<&Selection> = asked.collect::<Result<_>>()?;
    let (batch, targets) = if keys.is_empty() {
        // No parent has a key, so each parent has no row; there is nothing to scan.
        (RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())), Targets::new())
    } else {
        let batch = session.scan(request).await?;
        let targets = link(&batch)?;
        (batch, targets)
    };
    let is_wrapped = fields.iter().any(|field| matches!(field.resolve, Resolve::Neighbours(..)));
    let rows: Vec<LinkedRows> = if is_wrapped {
        let wrapped = wrap(session, &asked, target, &batch, at).await.into_iter();
        wrapped.map(LinkedRows::Wrapped).collect()
    } else {
        let rows = 0..batch.num_rows();
        let asked = asked.into_iter().map(|selection| Asked { selection, rows: rows.clone() });
        let sets = attach_all(session, target, &batch, asked.collect(), at).await.into_iter();
        sets.map(LinkedRows::Rows).collect()
    };
    let links = rows.into_iter();
    let links = links.map(|rows| Links {
        targets: targets.clone(),
        rows,
        wanted: Vec::new(),
        denied: None,
    });
    Ok(links.collect())
}

/// Rows of another table that refer to each row, for each field that asks something of these.
pub(super) async fn list(
    session: &Session<'_>,
    fields: &[&PlannedField],
    id: TypeId,
    reference_id: FieldId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Result<Vec<Links>> {
    let object = session.object(id)?;
    let (_, reference) = reference(object, reference_id)?;
    let target = session.object(reference.target)?;
    let arguments = given(session, fields)?;
    let (count, backward) = slice(session, &arguments)?;
    let Some((key, key_type)) = key_columns(object).into_iter().next() else {
        return Err(Error::internal(format!("`{}` has no key", object.name)));
    };
    let parents = column_values(batch, &key, &key_type)?;
    let keys = merge::distinct(&parents);
    let by = target.field(reference.by);
    let by_type = stored_type(by)?;
    let mut request = session.request(target, &columns_with(fields, &by.name));
    let of_parents = Expr::field(&by.name, by_type.clone()).is_in(keys.clone());
    request.predicate = Some(match arguments.get("where") {
        Some(json) => match session.predicate(reference.target, json)? {
            Some(wanted) => of_parents.and(wanted),
            None => of_parents,
        },
        None => of_parents,
    });
    request.order = reference_order(session, target, reference, &arguments)?;
    if backward {
        request.order = request.order.iter().map(Order::reversed).collect();
    }
    request.limit_by = Some(LimitBy { field: by.name.clone(), count });
    request.at = at;
    let by_name = by.name.clone();
    linked(session, fields, reference.target, request, at, &keys, |found| {
        let column = found.column_by_name(&by_name).ok_or_else(|| lacks(&by_name))?;
        let mut targets = merge::by_value(&parents, column.as_ref(), by_type)?;
        if backward {
            targets.iter_mut().for_each(|rows| rows.reverse());
        }
        Ok(targets)
    })
    .await
}

/// How many rows, and whether from the end: what the request gives itself goes before defaults.
fn slice(session: &Session<'_>, arguments: &ArgumentValues) -> Result<(usize, bool)> {
    let given = |name| arguments.is_given(name).then(|| arguments.get(name)).flatten();
    if given("first").is_some() && given("last").is_some() {
        return Err(Error::invalid("`first` and `last` exclude each other"));
    }
    let (name, count) = match (given("first"), given("last")) {
        (Some(count), _) => ("first", Some(count)),
        (_, Some(count)) => ("last", Some(count)),
        _ => match arguments.get("last") {
            Some(count) => ("last", Some(count)),
            None => ("first", arguments.get("first")),
        },
    };
    let fallback = schema::api::DEFAULT_REFERENCES;
    let count = count.map_or(Ok(fallback), |count| page_size(session, name, count))?;
    Ok((count, name == "last"))
}

fn reference_order(
    session: &Session<'_>,
    target: &ObjectType,
    reference: &Reference,
    arguments: &ArgumentValues,
) -> Result<Vec<Order>> {
    let asked = match arguments.get("orderBy") {
        Some(json) => order(session.names()?, reference.target, json)?,
        None => Vec::new(),
    };
    let declared =
        |item: &OrderBy| Order::by(target.field(item.field).name.clone(), item.descending);
    let order =
        if asked.is_empty() { reference.order.iter().map(declared).collect() } else { asked };
    Ok(with_key(order, target))
}

/// The arguments of fields that lead to the same rows.
fn given(session: &Session<'_>, fields: &[&PlannedField]) -> Result<ArgumentValues> {
    let first = fields.first().ok_or_else(|| Error::internal("a link that nobody asks for"))?;
    session.arguments(first)
}

/// Rows of the same table that are near to each row, for each field that asks something of these.
pub(super) async fn near(
    session: &Session<'_>,
    fields: &[&PlannedField],
    id: TypeId,
    nearest_id: FieldId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Result<Vec<Links>> {
    let object = session.object(id)?;
    let FieldKind::Nearest(nearest) = &object.field(nearest_id).kind else {
        let name = &object.field(nearest_id).name;
        return Err(Error::internal(format!("`{name}` is not a nearest field")));
    };
    let arguments = given(session, fields)?;
    let count =
        arguments.get("first").map_or(Ok(10), |count| page_size(session, "first", count))?;
    let columns = key_columns(object)
        .into_iter()
        .map(|(name, data_type)| column_values(batch, &name, &data_type))
        .collect::<Result<Vec<_>>>()?;
    let parents: Vec<Value> = (0..batch.num_rows())
        .map(|row| key_value(columns.iter().map(|column| column[row].clone()).collect()))
        .collect();
    let keys = merge::distinct(&parents);
    let mut request = session.request(object, &columns_of(fields));
    if let Some(json) = arguments.get("where") {
        request.predicate = session.predicate(id, json)?;
    }
    request.nearest = Some(Nearest {
        field: object.field(nearest.on).name.clone(),
        query: NearestQuery::Rows(keys.clone()),
        count,
        exact: false,
    });
    request.at = at;
    linked(session, fields, id, request, at, &keys, |found| {
        let queries = found.column_by_name("_query").ok_or_else(|| lacks("_query"))?;
        let queries =
            queries.as_any().downcast_ref::<UInt32Array>().ok_or_else(|| lacks("_query"))?;
        Ok(merge::by_query(&parents, &keys, queries.values()))
    })
    .await
}

/// A count of rows that the limits allow.
pub(super) fn page_size(session: &Session<'_>, name: &str, count: &Json) -> Result<usize> {
    let limit = session.engine.settings.limits.page;
    let count = count.as_i64().unwrap_or(-1);
    let count = usize::try_from(count)
        .map_err(|_| Error::invalid(format!("`{name}` is a count, so not {count}")))?;
    if count > limit {
        return Err(Error::new(
            Kind::LimitExceeded,
            format!("`{name}` is {count}; at most {limit} rows are given at once"),
        ));
    }
    Ok(count)
}
