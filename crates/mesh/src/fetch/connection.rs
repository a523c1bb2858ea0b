//! Pages: one scan from one pinned snapshot, with one row more than the page to see whether there is
//! another.

use arrow::array::{Array, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use base::{Error, Kind, Result};
use frame::convert::value_at;
use frame::{DataType, Order, ScanRequest, Search, SnapshotRef, Value};
use futures::future::{join, join_all};
use schema::{ObjectType, TypeId};
use serde_json::Value as Json;
use std::sync::{Arc, OnceLock};

use super::cursor::{Cursor, Place, QueryHash};
use super::filter::{order, with_key};
use super::later::Count;
use super::reference::page_size;
use super::rows::{RowSet, Wrapped, attach_wrapped, wanted_columns, wrapped};
use super::{Session, as_of, state_of_references};
use crate::plan::arguments::ArgumentValues;
use crate::plan::{Part, PlannedField, Resolve, Selection};

/// A page of rows.
pub(crate) struct Connection {
    /// For each field of the selection.
    pub(crate) slots: Vec<ConnectionSlot>,
    pub(crate) rows: usize,
    pub(crate) scores: Option<Float64Array>,
    pub(crate) position: Position,
}

/// What one field of a connection holds.
pub(crate) enum ConnectionSlot {
    /// Nothing of its own.
    Unused,
    Nodes(RowSet),
    Edges(Wrapped),
    Count(Count),
    /// What a later part has, once it is there.
    Later(Arc<OnceLock<Count>>),
}

/// Where the page lies.
pub(crate) struct Position {
    /// The snapshot, unless a time names the state.
    pub(crate) snapshot: Option<i64>,
    pub(crate) has_next: bool,
    pub(crate) has_previous: bool,
    /// Of each row where edges ask for them, of the first and the last where only the page does.
    pub(crate) cursors: Vec<String>,
}

/// What the arguments ask for.
struct Page {
    count: usize,
    backward: bool,
    cursor: Option<Cursor>,
    query: QueryHash,
}

/// A page of a table.
pub(super) async fn connection(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    arguments: &ArgumentValues,
) -> Result<Connection> {
    let object = session.object(id)?;
    let as_of = as_of(arguments)?;
    let mut request = wanted_rows(session, field, id, arguments)?;
    let page = page(session, arguments, &request, as_of)?;
    let (at, snapshot) = pinned(session, object, &page, as_of).await?;
    request.at = at;
    let counting = ScanRequest { limit: None, after: None, ..request.clone() };
    let (batch, has_more) = match asks_for_rows(field) {
        true => read(session, object, &page, &mut request).await?,
        false => (RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())), false),
    };
    let wanted = wanted_cursors(field);
    let position = Position {
        snapshot: matches!(at, None | Some(SnapshotRef::Id(_))).then_some(snapshot),
        has_next: if page.backward { page.cursor.is_some() } else { has_more },
        has_previous: if page.backward { has_more } else { page.cursor.is_some() },
        cursors: cursors(session, object, &page, &request, &batch, wanted, snapshot)?,
    };
    let scores = batch
        .column_by_name("_score")
        .and_then(|column| column.as_any().downcast_ref::<Float64Array>().cloned());
    let below = state_of_references(as_of);
    let Some(selection) = field.selection() else {
        return Err(Error::internal(format!("`{}` has no selection", field.name)));
    };
    let slots = slots(session, selection, id, &batch, below, &counting).await;
    Ok(Connection { slots, rows: batch.num_rows(), scores, position })
}

/// Whether anything but the count and the snapshot is asked for.
fn asks_for_rows(field: &PlannedField) -> bool {
    let fields = field.selection().map_or(&[][..], |selection| &selection.fields);
    fields.iter().any(|field| {
        matches!(field.resolve, Resolve::Part(Part::Nodes | Part::Edges | Part::PageInfo))
    })
}

/// The scan without its page.
fn wanted_rows(
    session: &Session<'_>,
    field: &PlannedField,
    id: TypeId,
    arguments: &ArgumentValues,
) -> Result<ScanRequest> {
    let object = session.object(id)?;
    let mut request = session.request(object, &wanted_columns(field));
    if let Some(json) = arguments.get("where") {
        request.predicate = session.predicate(id, json)?;
    }
    if let Some(text) = arguments.get("search").and_then(Json::as_str) {
        request.search = Some(Search { fields: Vec::new(), text: text.to_owned() });
    }
    if let Some(json) = arguments.get("orderBy") {
        request.order = order(session.names()?, id, json)?;
    }
    // How well a row matches depends on the others, so that nobody is told who does not see them.
    if request.order.is_empty() && request.search.is_some() && object.has_all_rows() {
        request.order.push(Order::by("_score", true));
    }
    request.order = with_key(request.order, object);
    if is_keyless(object) {
        with_all_columns(&mut request.order, object);
    }
    // A cursor is made of the values that the order looks at, unless it counts rows.
    if wanted_cursors(field) != WantedCursors::None && !is_keyless(object) {
        for item in &request.order {
            if !item.field.starts_with('_') && !request.fields.contains(&item.field) {
                request.fields.push(item.field.clone());
            }
        }
    }
    Ok(request)
}

/// Which rows' cursors are in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum WantedCursors {
    None,
    /// Those of the first and the last row.
    Ends,
    All,
}

fn wanted_cursors(field: &PlannedField) -> WantedCursors {
    let own = match field.resolve {
        Resolve::Part(Part::Cursor) => WantedCursors::All,
        Resolve::Part(Part::StartCursor | Part::EndCursor) => WantedCursors::Ends,
        _ => WantedCursors::None,
    };
    let inner = field.selection().map_or(&[][..], |selection| &selection.fields);
    let parts = inner.iter().filter(|inner| matches!(inner.resolve, Resolve::Part(_)));
    parts.map(wanted_cursors).fold(own, Ord::max)
}

fn is_keyless(object: &ObjectType) -> bool {
    object.table().is_none_or(|table| table.key.is_empty())
}

/// Rows without a key are told apart by all their values.
fn with_all_columns(order: &mut Vec<Order>, object: &ObjectType) {
    let declared = object.table().map_or(&[][..], |table| &table.sort);
    for item in declared {
        let name = &object.field(item.field).name;
        if !order.iter().any(|known| known.field == *name) {
            order.push(Order::by(name.clone(), item.descending));
        }
    }
    for (field, column) in object.columns() {
        let known = order.iter().any(|known| known.field == field.name);
        if column.data_type.is_ordered() && !known && field.is_whole() {
            order.push(Order::by(field.name.clone(), false));
        }
    }
}

fn page(
    session: &Session<'_>,
    arguments: &ArgumentValues,
    request: &ScanRequest,
    as_of: Option<SnapshotRef>,
) -> Result<Page> {
    let (first, last) = (arguments.get("first"), arguments.get("last"));
    let (after, before) = (arguments.get("after"), arguments.get("before"));
    let backward = last.is_some() || (before.is_some() && first.is_none());
    let excluded = if backward { (first, after) } else { (last, before) };
    if excluded != (None, None) {
        return Err(Error::invalid("a page goes forward or backward, not both")
            .hint("use `first` with `after`, or `last` with `before`"));
    }
    let (name, count) = if backward { ("last", last) } else { ("first", first) };
    let count = match count {
        Some(count) => page_size(session, name, count)?,
        None => schema::api::DEFAULT_PAGE.min(session.engine.settings.limits.page),
    };
    let query = query_hash(arguments, request, as_of);
    let text = if backward { before } else { after };
    let cursor = match text.and_then(Json::as_str) {
        Some(text) => Some(session.engine.cursors.open(text, query)?),
        None => None,
    };
    Ok(Page { count, backward, cursor, query })
}

/// What must not change between pages.
fn query_hash(
    arguments: &ArgumentValues,
    request: &ScanRequest,
    as_of: Option<SnapshotRef>,
) -> QueryHash {
    let wanted = arguments.get("where").map(Json::to_string);
    let search = request.search.as_ref().map(|search| &search.text);
    let text = format!("{}|{:?}|{wanted:?}|{search:?}|{as_of:?}", request.table, request.order);
    let mut hash = QueryHash::default();
    hash.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    hash
}

/// The state that all pages are read from, and its id.
async fn pinned(
    session: &Session<'_>,
    object: &ObjectType,
    page: &Page,
    as_of: Option<SnapshotRef>,
) -> Result<(Option<SnapshotRef>, i64)> {
    let id = match (&page.cursor, as_of) {
        (Some(cursor), _) => cursor.snapshot,
        (None, Some(SnapshotRef::Id(id))) => id,
        // A time names the same state for ever, so it pins as well as an id does.
        (None, Some(time)) => return Ok((Some(time), 0)),
        (None, None) => session.source()?.snapshot(&object.name).await?,
    };
    if let Some(time @ SnapshotRef::Time(_)) = as_of {
        return Ok((Some(time), 0));
    }
    Ok(((id != 0).then_some(SnapshotRef::Id(id)), id))
}

impl Page {
    /// Rows before the page, for types without a key.
    fn offset(&self) -> usize {
        match self.cursor.as_ref().map(|cursor| &cursor.place) {
            Some(Place::Offset(rows)) => usize::try_from(*rows).unwrap_or(usize::MAX),
            _ => 0,
        }
    }
}

/// Reads the page and whether there is a row behind it.
async fn read(
    session: &Session<'_>,
    object: &ObjectType,
    page: &Page,
    request: &mut ScanRequest,
) -> Result<(RecordBatch, bool)> {
    let mut skip = 0;
    if is_keyless(object) {
        if page.backward {
            return Err(Error::new(
                Kind::Unsupported,
                format!("`{}` has no key, so its pages go only forward", object.name),
            )
            .hint("reverse `orderBy` and use `first`"));
        }
        skip = page.offset();
        let limit = session.engine.settings.limits.offset;
        if skip > limit {
            return Err(Error::new(
                Kind::LimitExceeded,
                format!("a page of a type without a key lies at most {limit} rows deep"),
            )
            .hint("narrow `where` instead of turning more pages"));
        }
    } else if let Some(Place::Row(values)) = page.cursor.as_ref().map(|cursor| &cursor.place) {
        request.after = Some(values.clone());
    }
    let order = request.order.clone();
    if page.backward {
        request.order = order.iter().map(Order::reversed).collect();
    }
    request.limit = Some(skip + page.count + 1);
    let batch = session.scan(request.clone()).await.map_err(|error| stale(error, page))?;
    request.order = order;
    let rows = batch.num_rows().saturating_sub(skip);
    let kept = rows.min(page.count);
    let batch = batch.slice(skip.min(batch.num_rows()), kept);
    let batch = if page.backward { reversed(&batch)? } else { batch };
    Ok((batch, rows > page.count))
}

/// A cursor's snapshot that is gone is not the caller's mistake.
fn stale(error: Error, page: &Page) -> Error {
    if page.cursor.is_some() && error.kind() == Kind::NotFound {
        return Error::new(Kind::Stale, "the cursor's snapshot is no longer kept")
            .hint("start again from the first page")
            .caused_by(error);
    }
    error
}

fn reversed(batch: &RecordBatch) -> Result<RecordBatch> {
    let rows: UInt32Array = (0..batch.num_rows() as u32).rev().collect();
    take_record_batch(batch, &rows)
        .map_err(|error| Error::internal("failed to turn a page around").caused_by(error))
}

/// The cursors that are wanted: of each row, or of the first and the last.
fn cursors(
    session: &Session<'_>,
    object: &ObjectType,
    page: &Page,
    request: &ScanRequest,
    batch: &RecordBatch,
    wanted: WantedCursors,
    snapshot: i64,
) -> Result<Vec<String>> {
    let rows = match (wanted, batch.num_rows()) {
        (WantedCursors::None, _) | (_, 0) => return Ok(Vec::new()),
        (WantedCursors::Ends, rows) => vec![0, rows - 1],
        (WantedCursors::All, rows) => (0..rows).collect(),
    };
    let seal = |place| session.engine.cursors.seal(&Cursor { snapshot, query: page.query, place });
    if is_keyless(object) {
        let before = page.offset();
        return rows.iter().map(|row| seal(Place::Offset((before + row + 1) as u64))).collect();
    }
    let columns = request
        .order
        .iter()
        .map(|item| sort_column(object, batch, &item.field))
        .collect::<Result<Vec<_>>>()?;
    let texts = rows.iter().map(|row| {
        let values =
            columns.iter().map(|(column, data_type)| value_at(column.as_ref(), *row, data_type));
        seal(Place::Row(values.collect::<Result<Vec<Value>>>()?))
    });
    texts.collect()
}

fn sort_column(
    object: &ObjectType,
    batch: &RecordBatch,
    name: &str,
) -> Result<(Arc<dyn Array>, DataType)> {
    let data_type = match object.field_named(name).and_then(|(_, field)| field.column()) {
        Some(column) => column.data_type.clone(),
        None => DataType::Float,
    };
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| Error::internal(format!("the page lacks the column `{name}`")))?;
    Ok((column.clone(), data_type))
}

/// What the fields of a connection hold; what `nodes` and `edges` ask of the rows is fetched together.
async fn slots(
    session: &Session<'_>,
    selection: &Selection,
    id: TypeId,
    batch: &RecordBatch,
    at: Option<SnapshotRef>,
    counting: &ScanRequest,
) -> Vec<ConnectionSlot> {
    let asked = selection.fields.iter().map(|field| match (&field.resolve, field.selection()) {
        _ if !field.when.hold(&session.variables) => Vec::new(),
        (Resolve::Part(Part::Nodes), nodes) => vec![nodes],
        (Resolve::Part(Part::Edges), Some(edges)) => wrapped(session, edges),
        _ => Vec::new(),
    });
    let rows = attach_wrapped(session, asked.collect(), id, batch, at);
    let counts = selection.fields.iter().map(|field| count(session, field, counting));
    let (rows, counts) = join(rows, join_all(counts)).await;
    let each = selection.fields.iter().zip(rows).zip(counts);
    let each = each.map(|((field, mut rows), count)| match (&field.resolve, count) {
        (_, Some(count)) => count,
        (Resolve::Part(Part::Nodes), None) => {
            rows.pop().flatten().map_or(ConnectionSlot::Unused, ConnectionSlot::Nodes)
        }
        (Resolve::Part(Part::Edges), None) => {
            ConnectionSlot::Edges(Wrapped { nodes: rows, distances: None })
        }
        _ => ConnectionSlot::Unused,
    });
    each.collect()
}

/// How many rows there are in all pages, if the field asks for that.
async fn count(
    session: &Session<'_>,
    field: &PlannedField,
    counting: &ScanRequest,
) -> Option<ConnectionSlot> {
    let asks = field.resolve == Resolve::Part(Part::TotalCount);
    if !asks || !field.when.hold(&session.variables) {
        return None;
    }
    if let Some(count) = session.put_off_count(field, counting) {
        return Some(ConnectionSlot::Later(count));
    }
    Some(ConnectionSlot::Count(counted(session, field, counting.clone()).await))
}

/// How many rows a scan would give.
pub(super) async fn counted(
    session: &Session<'_>,
    field: &PlannedField,
    request: ScanRequest,
) -> Count {
    let count = match session.source() {
        Ok(source) => source.count(request).await,
        Err(error) => Err(error),
    };
    count.map_err(|error| session.blame(field, &error))
}
