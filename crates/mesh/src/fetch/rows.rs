//! Rows by key, and what is asked of rows that are there: computed fields, references, neighbours.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, RecordBatch, UInt32Array};
use arrow::compute::concat_batches;
use base::{Error, Kind, Result};
use frame::convert::{array_of, value_at, values_of};
use frame::{
    DataType, Expr, LimitBy, Nearest, NearestQuery, Order, ScanRequest, SnapshotRef, Value,
};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, join_all};
use schema::{FieldDef, FieldId, FieldKind, ObjectType, OrderBy, Reference, TypeId};
use serde_json::Value as Json;

use super::filter::{Names, order, predicate, with_key};
use super::values::key_value;
use super::{Session, as_of, state_of_references, values};
use crate::error::GraphqlError;
use crate::merge::{self, Targets};
use crate::plan::arguments::ArgumentValues;
use crate::plan::{Backend, PlannedField, Resolve, Selection};

/// Rows of one scan, with what is asked of them.
pub(crate) struct RowSet {
    pub(crate) batch: RecordBatch,
    /// For each field of the selection.
    pub(crate) slots: Vec<Slot>,
}

/// Where the values of one field are.
pub(crate) enum Slot {
    /// Not in the answer, or without values of its own.
    Unused,
    /// A column of the batch.
    Column(usize),
    /// Computed, with errors of single rows.
    Derived(ArrayRef, BTreeMap<usize, GraphqlError>),
    /// Rows of another scan.
    Links(Box<Links>),
    /// Nothing: the error goes to every row.
    Failed(GraphqlError),
}

/// The rows that one field gives for all parents.
pub(crate) struct Links {
    pub(crate) targets: Targets,
    pub(crate) rows: LinkedRows,
    /// What each parent refers to, when it refers to one row.
    pub(crate) wanted: Vec<Value>,
}

/// Linked rows, bare or wrapped.
pub(crate) enum LinkedRows {
    Rows(RowSet),
    Wrapped(Wrapped),
}

/// Rows in objects that say something of them: edges, neighbours.
pub(crate) struct Wrapped {
    /// For each field of the wrapper's selection: the rows, where it asks for them.
    pub(crate) nodes: Vec<Option<RowSet>>,
    pub(crate) distances: Option<Float32Array>,
}

/// The row with the key that the arguments give.
pub(super) async fn by_key(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    arguments: &ArgumentValues,
) -> Result<Option<RowSet>> {
    let object = session.object(id)?;
    let mut key = Vec::new();
    for (name, data_type) in key_columns(object) {
        let given = arguments.get(&name).unwrap_or(&Json::Null);
        let value = values::value(&data_type, given)
            .map_err(|error| Error::invalid(format!("argument `{name}`: {error}")))?;
        key.push(value);
    }
    let at = as_of(arguments)?;
    let Some(selection) = field.selection() else { return Ok(None) };
    let mut request = session.request(object, &selection.columns);
    request.predicate = keys_predicate(object, &[key]);
    request.limit = Some(1);
    request.at = at;
    let batch = session.scan(request).await?;
    if batch.num_rows() == 0 {
        return Ok(None);
    }
    Ok(Some(attach(session, selection, id, batch, state_of_references(at)).await))
}

/// Names and types of the key's columns.
pub(super) fn key_columns(object: &ObjectType) -> Vec<(Arc<str>, DataType)> {
    let key = object.table().map_or(&[][..], |table| &table.key);
    let columns = key.iter().filter_map(|id| {
        let field = object.field(*id);
        Some((field.name.clone(), field.column()?.data_type.clone()))
    });
    columns.collect()
}

/// The rows with one of these keys.
pub(super) fn keys_predicate(object: &ObjectType, keys: &[Vec<Value>]) -> Option<Expr> {
    let columns = key_columns(object);
    if let [(name, data_type)] = columns.as_slice() {
        let values = keys.iter().filter_map(|key| key.first().cloned()).collect();
        return Some(Expr::field(name, data_type.clone()).is_in(values));
    }
    let one = |key: &Vec<Value>| {
        let parts = columns.iter().zip(key).map(|((name, data_type), value)| {
            let literal = Expr::literal(value.clone(), data_type.clone());
            Expr::field(name, data_type.clone()).predicate(frame::BinaryOp::Eq, literal)
        });
        parts.reduce(Expr::and)
    };
    keys.iter().filter_map(one).reduce(|left, right| left.predicate(frame::BinaryOp::Or, right))
}

impl<'a> Session<'a> {
    /// A scan of all rows with these columns.
    pub(super) fn request(&self, object: &ObjectType, columns: &[Arc<str>]) -> ScanRequest {
        ScanRequest::new(object.name.clone(), columns.iter().cloned(), self.principal.clone())
    }

    /// Runs a scan to its end, within the limit of rows.
    pub(super) async fn scan(&self, request: ScanRequest) -> Result<RecordBatch> {
        let table = request.table.clone();
        let mut stream = self.source()?.scan(request).await?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            self.charge(batch.num_rows())?;
            batches.push(batch);
        }
        let schema = match batches.first() {
            Some(batch) => batch.schema(),
            None => return Ok(RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()))),
        };
        if batches.len() == 1 {
            return Ok(batches.remove(0));
        }
        concat_batches(&schema, &batches).map_err(|error| {
            Error::internal(format!("failed to read table `{table}`")).caused_by(error)
        })
    }

    pub(super) fn names(&self) -> Result<Names<'_>> {
        match &self.engine.backend {
            Backend::Tables { schema, api } => Ok(Names { schema, api }),
            Backend::Plain => Err(Error::internal("a plain engine has no tables")),
        }
    }
}

/// Fetches everything that is asked of the rows of `batch`, all fields at once.
pub(super) fn attach<'s>(
    session: &'s Session<'_>,
    selection: &'s Selection,
    id: TypeId,
    batch: RecordBatch,
    at: Option<SnapshotRef>,
) -> BoxFuture<'s, RowSet> {
    async move {
        let slots = selection.fields.iter().map(|field| slot(session, field, id, &batch, at));
        let slots = join_all(slots).await;
        RowSet { batch, slots }
    }
    .boxed()
}

async fn slot(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Slot {
    if !field.when.hold(&session.variables) {
        return Slot::Unused;
    }
    let found = match &field.resolve {
        Resolve::Column(name, _) => Ok(column(batch, name)),
        Resolve::Media(_, media) => {
            session.object(id).map(|object| column(batch, &object.field(*media).name))
        }
        Resolve::Derived(_, derived) => derive(session, field, id, *derived, batch),
        Resolve::One(_, reference) => {
            refer(session, field, id, *reference, batch, at).await.map(links)
        }
        Resolve::Many(_, reference) => {
            list(session, field, id, *reference, batch, at).await.map(links)
        }
        Resolve::Nearest(_, nearest) | Resolve::Neighbours(_, nearest) => {
            near(session, field, id, *nearest, batch, at).await.map(links)
        }
        _ => Ok(Slot::Unused),
    };
    found.unwrap_or_else(|error| Slot::Failed(session.blame(field, &error)))
}

fn links(links: Links) -> Slot {
    Slot::Links(Box::new(links))
}

fn column(batch: &RecordBatch, name: &str) -> Slot {
    batch.schema().index_of(name).map_or(Slot::Unused, Slot::Column)
}

/// Computes a `@derived` field; when some row fails, the others still get their values.
fn derive(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    derived: FieldId,
    batch: &RecordBatch,
) -> Result<Slot> {
    let FieldKind::Derived(derived) = &session.object(id)?.field(derived).kind else {
        return Err(Error::internal(format!("`{}` is not derived", field.name)));
    };
    let evaluate = &session.engine.settings.evaluate;
    if let Ok(array) = evaluate.evaluate(&derived.expr, batch, &session.principal) {
        return Ok(Slot::Derived(array, BTreeMap::new()));
    }
    let mut values = Vec::with_capacity(batch.num_rows());
    let mut errors = BTreeMap::new();
    for row in 0..batch.num_rows() {
        match evaluate.evaluate(&derived.expr, &batch.slice(row, 1), &session.principal) {
            Ok(array) => values.push(value_at(array.as_ref(), 0, &derived.expr.data_type)?),
            Err(error) => {
                errors.insert(row, session.blame(field, &error));
                values.push(Value::Null);
            }
        }
    }
    Ok(Slot::Derived(array_of(&values, &derived.expr.data_type)?, errors))
}

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

/// The columns that the rows below a field need, with one more.
fn columns_with(field: &PlannedField, extra: &Arc<str>) -> Vec<Arc<str>> {
    let mut columns = wanted_columns(field);
    if !columns.contains(extra) {
        columns.push(extra.clone());
    }
    columns
}

/// The columns that the rows below a field need, bare or wrapped.
pub(crate) fn wanted_columns(field: &PlannedField) -> Vec<Arc<str>> {
    let Some(selection) = field.selection() else { return Vec::new() };
    let mut columns = selection.columns.clone();
    for inner in selection.fields.iter().filter(|inner| matches!(inner.resolve, Resolve::Part(_))) {
        for column in wanted_columns(inner) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    columns
}

/// One row of another table for each row.
async fn refer(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    reference_id: FieldId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Result<Links> {
    let (_, reference) = reference(session.object(id)?, reference_id)?;
    let by = session.object(id)?.field(reference.by);
    let parents = column_values(batch, &by.name, stored_type(by)?)?;
    let target = session.object(reference.target)?;
    let Some((key, key_type)) = key_columns(target).into_iter().next() else {
        return Err(Error::internal(format!("`{}` has no key", target.name)));
    };
    let keys = merge::distinct(&parents);
    let mut request = session.request(target, &columns_with(field, &key));
    request.limit = Some(keys.len());
    request.predicate = Some(Expr::field(&key, key_type.clone()).is_in(keys.clone()));
    request.at = at;
    let links = linked(session, field, reference.target, request, at, &keys, |found| {
        let column = found.column_by_name(&key).ok_or_else(|| lacks(&key))?;
        merge::by_value(&parents, column.as_ref(), &key_type)
    });
    let links = links.await?;
    Ok(Links { wanted: parents, ..links })
}

fn lacks(column: &str) -> Error {
    Error::internal(format!("the answer of a scan lacks the column `{column}`"))
}

/// Runs the scan, unless nobody asks, and links its rows.
async fn linked(
    session: &Session<'_>,
    field: &PlannedField,
    target: TypeId,
    request: ScanRequest,
    at: Option<SnapshotRef>,
    keys: &[Value],
    link: impl FnOnce(&RecordBatch) -> Result<Targets>,
) -> Result<Links> {
    let selection = field
        .selection()
        .ok_or_else(|| Error::internal(format!("`{}` has no selection", field.name)))?;
    let (batch, targets) = if keys.is_empty() {
        // No parent has a key, so each parent has no row; there is nothing to scan.
        (RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())), Targets::new())
    } else {
        let batch = session.scan(request).await?;
        let targets = link(&batch)?;
        (batch, targets)
    };
    let rows = match &field.resolve {
        Resolve::Neighbours(..) => {
            LinkedRows::Wrapped(wrap(session, selection, target, batch, at).await)
        }
        _ => LinkedRows::Rows(attach(session, selection, target, batch, at).await),
    };
    Ok(Links { targets, rows, wanted: Vec::new() })
}

/// Fetches what a wrapper asks of its rows.
pub(super) async fn wrap(
    session: &Session<'_>,
    selection: &Selection,
    id: TypeId,
    batch: RecordBatch,
    at: Option<SnapshotRef>,
) -> Wrapped {
    let distances = batch
        .column_by_name("_distance")
        .and_then(|column| column.as_any().downcast_ref::<Float32Array>().cloned());
    let nodes = selection.fields.iter().map(|inner| {
        let batch = batch.clone();
        async move {
            let wanted = matches!(inner.resolve, Resolve::Part(crate::plan::Part::Node))
                && inner.when.hold(&session.variables);
            match inner.selection() {
                Some(node) if wanted => Some(attach(session, node, id, batch, at).await),
                _ => None,
            }
        }
    });
    Wrapped { nodes: join_all(nodes).await, distances }
}

/// Rows of another table that refer to each row.
async fn list(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    reference_id: FieldId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Result<Links> {
    let object = session.object(id)?;
    let (_, reference) = reference(object, reference_id)?;
    let target = session.object(reference.target)?;
    let arguments = session.arguments(field)?;
    let (count, backward) = slice(session, &arguments)?;
    let Some((key, key_type)) = key_columns(object).into_iter().next() else {
        return Err(Error::internal(format!("`{}` has no key", object.name)));
    };
    let parents = column_values(batch, &key, &key_type)?;
    let keys = merge::distinct(&parents);
    let by = target.field(reference.by);
    let by_type = stored_type(by)?;
    let mut request = session.request(target, &columns_with(field, &by.name));
    let of_parents = Expr::field(&by.name, by_type.clone()).is_in(keys.clone());
    request.predicate = Some(match arguments.get("where") {
        Some(json) => match predicate(session.names()?, reference.target, json)? {
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
    linked(session, field, reference.target, request, at, &keys, |found| {
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

/// Rows of the same table that are near to each row.
async fn near(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    nearest_id: FieldId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Result<Links> {
    let object = session.object(id)?;
    let FieldKind::Nearest(nearest) = &object.field(nearest_id).kind else {
        return Err(Error::internal(format!("`{}` is not a nearest field", field.name)));
    };
    let arguments = session.arguments(field)?;
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
    let mut request = session.request(object, &wanted_columns(field));
    if let Some(json) = arguments.get("where") {
        request.predicate = predicate(session.names()?, id, json)?;
    }
    request.nearest = Some(Nearest {
        field: object.field(nearest.on).name.clone(),
        query: NearestQuery::Rows(keys.clone()),
        count,
        exact: false,
    });
    request.at = at;
    linked(session, field, id, request, at, &keys, |found| {
        let queries = found.column_by_name("_query").ok_or_else(|| lacks("_query"))?;
        let queries =
            queries.as_any().downcast_ref::<UInt32Array>().ok_or_else(|| lacks("_query"))?;
        Ok(merge::by_query(&parents, &keys, queries.values()))
    })
    .await
}
