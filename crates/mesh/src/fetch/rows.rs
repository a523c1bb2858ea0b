//! What is asked of rows that are there: stored and computed fields, and links to other rows.
//!
//! Several places of a document may ask for rows of one scan: fields by key at the root, `nodes` beside
//! `edges`, and derived fields for what they read. Links that lead to the same rows are fetched once, for all
//! that ask for them, whatever each asks of these.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, BooleanArray, Float32Array, RecordBatch};
use arrow::compute::concat_batches;
use base::{Error, Result};
use frame::convert::{array_of, value_at};
use frame::{BinaryOp, DataType, Expr, ScanRequest, SnapshotRef, Value};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, join_all};
use schema::{Derived, FieldId, FieldKind, ObjectType, TypeId};

use super::Session;
use super::derived::{compute, of_input};
use super::filter::Names;
use super::reference::{list, near, refer};
use crate::error::GraphqlError;
use crate::merge::Targets;
use crate::plan::{Backend, Part, PlannedField, Resolve, Selection};
use crate::policy::denied;
use crate::record::Work;

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
    /// A column of the batch, and of which rows its value is denied.
    Guarded(usize, BooleanArray),
    /// Computed.
    Computed(Computed),
    /// Rows of another scan.
    Links(Box<Links>),
    /// Nothing: the error goes to every row.
    Failed(GraphqlError),
    /// What was fetched for several fields at once; this one's rows begin at that row.
    Shared(Arc<Slot>, usize),
    /// What a later part has, once it is there.
    Later(Arc<OnceLock<Slot>>),
}

impl RowSet {
    /// The slot of a field, and the row of it that belongs to this row.
    pub(crate) fn slot(&self, index: usize, row: usize) -> (Option<&Slot>, usize) {
        match self.slots.get(index) {
            Some(Slot::Shared(slot, first)) => (Some(slot), first + row),
            Some(Slot::Later(slot)) => (slot.get(), row),
            slot => (slot, row),
        }
    }
}

/// A computed column.
pub(crate) struct Computed {
    pub(crate) array: ArrayRef,
    pub(crate) data_type: DataType,
    /// Rows for which there is no value but an error.
    pub(crate) errors: BTreeMap<usize, GraphqlError>,
    /// Whether such a row is null as a whole.
    pub(crate) propagates: bool,
}

/// The rows that one field gives for all parents.
pub(crate) struct Links {
    pub(crate) targets: Targets,
    pub(crate) rows: LinkedRows,
    /// What each parent refers to, when it refers to one row.
    pub(crate) wanted: Vec<Value>,
    /// Of which parents it is denied what they refer to, and by which field they do.
    pub(crate) denied: Option<(Arc<str>, BooleanArray)>,
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
pub(crate) fn key_columns(object: &ObjectType) -> Vec<(Arc<str>, DataType)> {
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
            Expr::field(name, data_type.clone()).predicate(BinaryOp::Eq, literal)
        });
        Expr::balanced(BinaryOp::And, parts.collect())
    };
    Expr::balanced(BinaryOp::Or, keys.iter().filter_map(one).collect())
}

impl<'a> Session<'a> {
    /// A scan of all rows with these columns.
    pub(super) fn request(&self, object: &ObjectType, columns: &[Arc<str>]) -> ScanRequest {
        ScanRequest::new(object.name.clone(), columns.iter().cloned(), self.principal.clone())
    }

    /// Runs a scan to its end, within the limit of rows.
    pub(super) async fn scan(&self, request: ScanRequest) -> Result<RecordBatch> {
        let step = self.recorder.begin(|| Work::Scan { table: request.table.clone(), rows: 0 });
        let read = self.read(request).await;
        if let Some(mut step) = step {
            if let (Some(Work::Scan { rows, .. }), Ok(batch)) = (step.work(), &read) {
                *rows = batch.num_rows();
            }
            step.end(read.as_ref().err().map(Error::kind));
        }
        read
    }

    async fn read(&self, request: ScanRequest) -> Result<RecordBatch> {
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
            _ => Err(Error::internal("this engine has no tables")),
        }
    }
}

/// Fetches everything that is asked of the rows of `batch`, all fields at once.
pub(super) async fn attach(
    session: &Session<'_>,
    selection: &Selection,
    id: TypeId,
    batch: RecordBatch,
    at: Option<SnapshotRef>,
) -> RowSet {
    let rows = 0..batch.num_rows();
    let asked = vec![Asked { selection, rows }];
    let mut found = attach_all(session, id, &batch, asked, at).await;
    found.pop().unwrap_or(RowSet { batch, slots: Vec::new() })
}

/// What one place asks of rows of a batch.
pub(super) struct Asked<'s> {
    pub(super) selection: &'s Selection,
    pub(super) rows: Range<usize>,
}

/// A link that is fetched once for all that ask for it.
struct Link<'s> {
    /// What is asked of the rows that it leads to, each once.
    fields: Vec<&'s PlannedField>,
    /// Rows that it is asked of, each range once.
    ranges: Vec<Range<usize>>,
    askers: Vec<Asker>,
}

/// Who asks for a link.
struct Asker {
    /// The position of the place, and that of the field in it.
    place: usize,
    index: usize,
    /// Which of the link's ranges and fields it has.
    range: usize,
    field: usize,
}

/// A derived field that waits for what it reads.
struct Waiting<'s> {
    field: &'s PlannedField,
    derived: FieldId,
    /// The position of the place, and that of the field in it.
    place: usize,
    index: usize,
    /// The place that asks for its inputs.
    inputs: usize,
}

/// Fetches everything that several places ask of rows of `batch`: for each the rows that it asks of.
pub(super) fn attach_all<'s>(
    session: &'s Session<'_>,
    id: TypeId,
    batch: &'s RecordBatch,
    asked: Vec<Asked<'s>>,
    at: Option<SnapshotRef>,
) -> BoxFuture<'s, Vec<RowSet>> {
    async move {
        let mut links: Vec<Link<'s>> = Vec::new();
        let mut waiting: Vec<Waiting<'s>> = Vec::new();
        let mut sets = Vec::with_capacity(asked.len());
        let count = asked.len();
        let mut asked: VecDeque<Asked<'s>> = asked.into();
        let mut places = asked.len();
        while let Some(Asked { selection, rows }) = asked.pop_front() {
            let place = sets.len();
            let batch = batch.slice(rows.start, rows.len());
            let slots = selection.fields.iter().enumerate().map(|(index, field)| {
                if !field.when.hold(&session.variables) {
                    return Slot::Unused;
                }
                if !is_link(&field.resolve) && field.inputs.is_none() {
                    return own(session, field, id, &batch);
                }
                if let Some(slot) = session.put_off_link(field, id, &batch, at) {
                    return slot;
                }
                if let (Some(inputs), Resolve::Derived(_, derived)) =
                    (&field.inputs, &field.resolve)
                {
                    let (derived, inputs_at) = (*derived, places);
                    places += 1;
                    waiting.push(Waiting { field, derived, place, index, inputs: inputs_at });
                    asked.push_back(Asked { selection: inputs, rows: rows.clone() });
                } else {
                    ask(session, &mut links, field, &rows, (place, index));
                }
                Slot::Unused
            });
            let slots = slots.collect();
            sets.push(RowSet { batch, slots });
        }
        let fetched = join_all(links.iter().map(|link| fetch(session, link, id, batch, at))).await;
        for (link, slots) in links.iter().zip(fetched) {
            share(&mut sets, link, slots);
        }
        // The last first: what a field reads may have been derived itself.
        for Waiting { field, derived, place, index, inputs } in waiting.into_iter().rev() {
            sets[place].slots[index] = compute(session, field, id, derived, &sets[inputs]);
        }
        sets.truncate(count);
        sets
    }
    .boxed()
}

fn is_link(resolve: &Resolve) -> bool {
    matches!(
        resolve,
        Resolve::One(..) | Resolve::Many(..) | Resolve::Nearest(..) | Resolve::Neighbours(..)
    )
}

/// Adds who asks for a link to those that ask for the same rows. What is asked of these may differ only where
/// the rows that it leads from do not, so that nothing is fetched for rows that nobody asked it of.
fn ask<'s>(
    session: &Session<'_>,
    links: &mut Vec<Link<'s>>,
    field: &'s PlannedField,
    rows: &Range<usize>,
    (place, index): (usize, usize),
) {
    let known = links.iter().position(|link| {
        let asks_the_same = link.fields.len() == 1 && link.fields[0].asks_as(field);
        let is_of_these = link.ranges.iter().all(|range| range == rows);
        (asks_the_same || (is_of_these && link.fields[0].leads_as(field)))
            && link.fields.iter().all(|known| session.may_share(known, field))
    });
    let known = known.unwrap_or_else(|| {
        links.push(Link { fields: Vec::new(), ranges: Vec::new(), askers: Vec::new() });
        links.len() - 1
    });
    let Link { fields, ranges, askers } = &mut links[known];
    let range = ranges.iter().position(|range| range == rows).unwrap_or_else(|| {
        ranges.push(rows.clone());
        ranges.len() - 1
    });
    let own = fields.iter().position(|known| known.asks_as(field)).unwrap_or_else(|| {
        fields.push(field);
        fields.len() - 1
    });
    askers.push(Asker { place, index, range, field: own });
}

/// For each field a slot for the rows of all ranges, one range after the other.
async fn fetch(
    session: &Session<'_>,
    link: &Link<'_>,
    id: TypeId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Vec<Slot> {
    let rows = match link.ranges.as_slice() {
        [rows] => Ok(batch.slice(rows.start, rows.len())),
        ranges => {
            let parts: Vec<RecordBatch> =
                ranges.iter().map(|rows| batch.slice(rows.start, rows.len())).collect();
            concat_batches(&batch.schema(), &parts)
                .map_err(|error| Error::internal("failed to gather rows").caused_by(error))
        }
    };
    match rows {
        Ok(rows) => linked(session, &link.fields, id, &rows, at).await,
        Err(error) => failed(session, &link.fields, &error),
    }
}

fn failed(session: &Session<'_>, fields: &[&PlannedField], error: &Error) -> Vec<Slot> {
    fields.iter().map(|field| Slot::Failed(session.blame(field, error))).collect()
}

/// What a field that is fetched by itself gives for all rows of a batch.
pub(super) async fn link(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    rows: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Slot {
    let nothing = Slot::Unused;
    if let (Some(inputs), Resolve::Derived(_, derived)) = (&field.inputs, &field.resolve) {
        let inputs = attach(session, inputs, id, rows.clone(), at).await;
        return compute(session, field, id, *derived, &inputs);
    }
    linked(session, &[field], id, rows, at).await.pop().unwrap_or(nothing)
}

/// What a link gives for all rows of a batch, for each field that asks something of the rows it leads to.
async fn linked(
    session: &Session<'_>,
    fields: &[&PlannedField],
    id: TypeId,
    rows: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Vec<Slot> {
    let Some(first) = fields.first() else { return Vec::new() };
    let found = match &first.resolve {
        Resolve::One(_, reference) => refer(session, fields, id, *reference, rows, at).await,
        Resolve::Many(_, reference) => list(session, fields, id, *reference, rows, at).await,
        Resolve::Nearest(_, nearest) | Resolve::Neighbours(_, nearest) => {
            near(session, fields, id, *nearest, rows, at).await
        }
        _ => Err(Error::internal(format!("`{}` links nothing", first.name))),
    };
    match found {
        Ok(links) => links.into_iter().map(|links| Slot::Links(Box::new(links))).collect(),
        Err(error) => failed(session, fields, &error),
    }
}

/// Gives slots to all that asked for them.
fn share(sets: &mut [RowSet], link: &Link<'_>, slots: Vec<Slot>) {
    for (position, slot) in slots.into_iter().enumerate() {
        let askers = link.askers.iter().filter(|asker| asker.field == position);
        share_one(sets, link, &askers.collect::<Vec<_>>(), slot);
    }
}

fn share_one(sets: &mut [RowSet], link: &Link<'_>, askers: &[&Asker], slot: Slot) {
    if let ([asker], [_]) = (askers, link.ranges.as_slice()) {
        sets[asker.place].slots[asker.index] = slot;
        return;
    }
    let slot = Arc::new(slot);
    let mut firsts = Vec::with_capacity(link.ranges.len());
    let mut first = 0;
    for range in &link.ranges {
        firsts.push(first);
        first += range.len();
    }
    for asker in askers {
        let shared = Slot::Shared(slot.clone(), firsts[asker.range]);
        sets[asker.place].slots[asker.index] = shared;
    }
}

/// What the row itself holds.
fn own(session: &Session<'_>, field: &PlannedField, id: TypeId, batch: &RecordBatch) -> Slot {
    let found = match &field.resolve {
        Resolve::Column(name, _) => Ok(column(batch, name)),
        Resolve::Media(_, media) => {
            session.object(id).map(|object| column(batch, &object.field(*media).name))
        }
        Resolve::Derived(_, derived) => derive(session, field, id, *derived, batch),
        _ => Ok(Slot::Unused),
    };
    found.unwrap_or_else(|error| Slot::Failed(session.blame(field, &error)))
}

fn column(batch: &RecordBatch, name: &str) -> Slot {
    let Ok(index) = batch.schema_ref().index_of(name) else { return Slot::Unused };
    match denied(batch, name) {
        Some(rows) => Slot::Guarded(index, rows),
        None => Slot::Column(index),
    }
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
    let mut errors = without_inputs(field, derived, batch);
    if let Ok(array) = evaluate.evaluate(&derived.expr, batch, &session.principal) {
        let propagates = derived.propagates;
        return Ok(Slot::Computed(Computed { array, data_type, errors, propagates }));
    }
    let mut values = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        if errors.contains_key(&row) {
            values.push(Value::Null);
            continue;
        }
        match evaluate.evaluate(&derived.expr, &batch.slice(row, 1), &session.principal) {
            Ok(array) => values.push(value_at(array.as_ref(), 0, &data_type)?),
            Err(error) => {
                // Of errors beyond the limit the answer gives the number only; so does the log.
                let error = match errors.len() < session.engine.settings.limits.errors {
                    true => session.blame(field, &error),
                    false => GraphqlError::from(&error),
                };
                errors.insert(row, error);
                values.push(Value::Null);
            }
        }
    }
    let array = array_of(&values, &data_type)?;
    let propagates = derived.propagates;
    Ok(Slot::Computed(Computed { array, data_type, errors, propagates }))
}

/// The rows of which a value that a derived field reads is denied.
fn without_inputs(
    field: &PlannedField,
    derived: &Derived,
    batch: &RecordBatch,
) -> BTreeMap<usize, GraphqlError> {
    let mut errors = BTreeMap::new();
    for name in schema::expression::fields_read(&derived.expr) {
        let Some(rows) = denied(batch, name) else { continue };
        let input = GraphqlError::denied(&field.parent, name);
        let error = of_input(&field.parent, &field.name, input);
        let hidden = rows.iter().enumerate().filter(|(_, hidden)| *hidden == Some(true));
        errors.extend(hidden.map(|(row, _)| (row, error.clone())));
    }
    errors
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

/// The selections that a wrapper asks its rows with, for each of its fields.
pub(super) fn wrapped<'s>(
    session: &Session<'_>,
    selection: &'s Selection,
) -> Vec<Option<&'s Selection>> {
    let of = |inner: &'s PlannedField| {
        let wanted = matches!(inner.resolve, Resolve::Part(Part::Node | Part::Nodes))
            && inner.when.hold(&session.variables);
        inner.selection().filter(|_| wanted)
    };
    selection.fields.iter().map(of).collect()
}

/// Fetches what the fields of several wrappers ask of the same rows, for each field of each.
pub(super) async fn attach_wrapped(
    session: &Session<'_>,
    wrappers: Vec<Vec<Option<&Selection>>>,
    id: TypeId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Vec<Vec<Option<RowSet>>> {
    let rows = 0..batch.num_rows();
    let asked = wrappers.iter().flatten().flatten().copied();
    let asked = asked.map(|selection| Asked { selection, rows: rows.clone() }).collect();
    let mut found = attach_all(session, id, batch, asked, at).await.into_iter();
    let mut each = |asked: Option<&Selection>| asked.and_then(|_| found.next());
    wrappers.into_iter().map(|fields| fields.into_iter().map(&mut each).collect()).collect()
}

/// Fetches what wrappers ask of the same rows, for each of them.
pub(super) async fn wrap(
    session: &Session<'_>,
    selections: &[&Selection],
    id: TypeId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
) -> Vec<Wrapped> {
    let distances = batch
        .column_by_name("_distance")
        .and_then(|column| column.as_any().downcast_ref::<Float32Array>().cloned());
    let wrappers = selections.iter().map(|selection| wrapped(session, selection)).collect();
    let nodes = attach_wrapped(session, wrappers, id, batch, at).await.into_iter();
    nodes.map(|nodes| Wrapped { nodes, distances: distances.clone() }).collect()
}
