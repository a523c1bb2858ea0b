//! What is asked of rows that are there: stored and computed fields, and links to other rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, RecordBatch};
use arrow::compute::concat_batches;
use base::{Error, Result};
use frame::convert::{array_of, value_at};
use frame::{DataType, Expr, ScanRequest, SnapshotRef, Value};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, join_all};
use schema::{FieldId, FieldKind, ObjectType, TypeId};

use super::Session;
use super::filter::Names;
use super::reference::{list, near, refer};
use crate::error::GraphqlError;
use crate::merge::Targets;
use crate::plan::{Backend, Part, PlannedField, Resolve, Selection};

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
    /// Computed.
    Computed(Computed),
    /// Rows of another scan.
    Links(Box<Links>),
    /// Nothing: the error goes to every row.
    Failed(GraphqlError),
}

/// A computed column.
pub(crate) struct Computed {
    pub(crate) array: ArrayRef,
    pub(crate) data_type: DataType,
    /// Rows for which there is no value but an error.
    pub(crate) errors: BTreeMap<usize, GraphqlError>,
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
    let data_type = derived.expr.data_type.clone();
    let mut errors = BTreeMap::new();
    if let Ok(array) = evaluate.evaluate(&derived.expr, batch, &session.principal) {
        return Ok(Slot::Computed(Computed { array, data_type, errors }));
    }
    let mut values = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        match evaluate.evaluate(&derived.expr, &batch.slice(row, 1), &session.principal) {
            Ok(array) => values.push(value_at(array.as_ref(), 0, &data_type)?),
            Err(error) => {
                errors.insert(row, session.blame(field, &error));
                values.push(Value::Null);
            }
        }
    }
    let array = array_of(&values, &data_type)?;
    Ok(Slot::Computed(Computed { array, data_type, errors }))
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
            let wanted = matches!(inner.resolve, Resolve::Part(Part::Node))
                && inner.when.hold(&session.variables);
            match inner.selection() {
                Some(node) if wanted => Some(attach(session, node, id, batch, at).await),
                _ => None,
            }
        }
    });
    Wrapped { nodes: join_all(nodes).await, distances }
}
