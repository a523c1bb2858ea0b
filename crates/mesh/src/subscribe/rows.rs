//! What becomes of the rows of a table, as one subscriber hears it.
//!
//! ```text
//! after → steps that were (read by itself) → steps as they come (from the watcher) → parts → responses
//! ```
//!
//! In: the root field of a subscription over tables. Out: one response a changed row. Steps come in the
//! order of the table's states, none twice and none left out. A step that is read by itself is read no
//! faster than its answers are. The last event of a step says the step's snapshot, the others the one
//! before: whoever goes on after what it heard last hears an unfinished step again from its beginning.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use base::{Error, Kind, Scope};
use frame::{BatchStream, ChangesRequest, ChangesSeen, DataType, Field, State, Value};
use futures::stream::BoxStream;
use schema::TypeId;
use tokio::sync::mpsc;

use super::step::{Part, Reader, Wanted, fields_of};
use super::watch::{Heard, Step};
use super::{Asker, Subscription, untold};
use crate::engine::{Data, Response};
use crate::error::GraphqlError;
use crate::fetch::{Event, Events, RootValue, Session, key_columns, value, wanted_columns};
use crate::plan::{PlannedField, Resolve};
use crate::respond::respond;
use crate::source::Source;

/// A subscriber.
struct Rows {
    asker: Asker,
    source: Arc<dyn Source>,
    id: TypeId,
    table: Arc<str>,
    wanted: Wanted,
    /// How the rows that the watcher reads are seen; nothing when as they are.
    seen: Option<ChangesSeen>,
    /// The state up to which everything was answered.
    at: i64,
    /// States that are there and were not heard yet.
    behind: VecDeque<State>,
    queue: mpsc::Receiver<Heard>,
    step: Option<Open>,
    shown: Option<Shown>,
    is_over: bool,
}

/// A step that is being read, one part ahead: the last event of a step is known by that nothing follows.
struct Open {
    to: i64,
    reader: Reader,
    held: Option<Part>,
}

/// Events that are being answered.
struct Shown {
    events: Arc<Events>,
    next: usize,
    /// The snapshot that the last of them says; the others say `before`.
    last: i64,
    before: i64,
}

/// Whether batches have all columns.
fn have(rows: &[RecordBatch], columns: &[Arc<str>]) -> bool {
    let has = |batch: &RecordBatch| columns.iter().all(|name| batch.column_by_name(name).is_some());
    rows.iter().all(has)
}

fn nothing() -> BatchStream {
    Box::pin(futures::stream::empty())
}

/// Starts to listen.
pub(super) async fn start(asker: Asker) -> Result<Subscription, GraphqlError> {
    let rows = begin(asker).await?;
    let events: BoxStream<'static, Response> =
        Box::pin(futures::stream::unfold(Box::new(rows), |mut rows| async move {
            rows.next().await.map(|response| (response, rows))
        }));
    Ok(Subscription::new(events))
}

async fn begin(asker: Asker) -> Result<Rows, GraphqlError> {
    let (id, source) = match (&asker.field()?.resolve, &asker.engine.data) {
        (Resolve::Changed(id), Data::Tables(source)) => (*id, Arc::clone(source)),
        _ => return Err(untold()),
    };
    let blame = |error: &Error| match asker.field() {
        Ok(field) => asker.session().blame(field, error),
        Err(error) => error,
    };
    let (wanted, after, table) = asker.asked(id).map_err(|error| blame(&error))?;
    // What the watcher reads is shared by all who listen, whatever each of them sees.
    let seen = source.changes_seen(&table, &wanted.fields, &asker.principal);
    let seen = seen.map_err(|error| blame(&error))?;
    let reads = seen.as_ref().map_or(&wanted.fields, |seen| &seen.reads);
    let places = asker.engine.settings.limits.queue;
    let watchers = &asker.engine.watchers;
    let joined = watchers.join(&source, &table, reads, places).await;
    let joined = joined.map_err(|error| blame(&error))?;
    let behind = match after {
        Some(after) => behind(source.as_ref(), &table, after, joined.at).await,
        None => Ok(VecDeque::new()),
    };
    let behind = behind.map_err(|error| blame(&error))?;
    let (at, queue) = (after.unwrap_or(joined.at), joined.queue);
    let (step, shown, is_over) = (None, None, false);
    Ok(Rows { asker, source, id, table, wanted, seen, at, behind, queue, step, shown, is_over })
}

/// The states after one, up to that from which on the watcher tells.
async fn behind(
    source: &dyn Source,
    table: &str,
    after: i64,
    joined: i64,
) -> base::Result<VecDeque<State>> {
    let states = source.since(table, after).await?;
    if after == joined {
        return Ok(VecDeque::new());
    }
    let upto = states.iter().position(|state| state.id == joined).ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("`{table}` changed while a subscription began"))
            .hint("subscribe again")
    })?;
    Ok(states.into_iter().take(upto + 1).collect())
}

impl Asker {
    fn field(&self) -> Result<&PlannedField, GraphqlError> {
        self.plan.root.fields.first().ok_or_else(untold)
    }

    /// What the arguments ask for: the rows, the snapshot after which, the table.
    fn asked(&self, id: TypeId) -> base::Result<(Wanted, Option<i64>, Arc<str>)> {
        self.principal.require(Scope::Read)?;
        let session = self.session();
        let field = self.field().map_err(|error| Error::internal(error.message))?;
        let arguments = session.arguments(field)?;
        let object = session.schema()?.object(id);
        let predicate = match arguments.get("where") {
            Some(json) if !json.is_null() => session.predicate(id, json)?,
            _ => None,
        };
        let after = match arguments.get("after") {
            None => None,
            Some(json) => match value(&DataType::Long, json).map_err(Error::invalid)? {
                Value::Int(after) => Some(after),
                _ => None,
            },
        };
        let key = key_columns(object).into_iter();
        let key: Vec<Field> =
            key.map(|(name, data_type)| Field::new(name, data_type, false)).collect();
        let mut fields = wanted_columns(field);
        fields.extend(key.iter().map(|field| field.name.clone()));
        predicate.iter().for_each(|predicate| fields_of(predicate, &mut fields));
        fields.sort_unstable();
        fields.dedup();
        let settings = &self.engine.settings;
        let (evaluate, viewer) = (Arc::clone(&settings.evaluate), self.principal.clone());
        let most = settings.limits.rows;
        let wanted = Wanted { fields, key, predicate, evaluate, viewer, most };
        Ok((wanted, after, object.name.clone()))
    }
}

impl Rows {
    async fn next(&mut self) -> Option<Response> {
        loop {
            if let Some(response) = self.answer() {
                return Some(response);
            }
            if self.is_over {
                return None;
            }
            let time = self.asker.engine.settings.limits.time;
            let error = match self.advance(time).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            self.is_over = true;
            let error = error.with("snapshot", self.at.to_string());
            return Some(Response::refusal(&[error]));
        }
    }

    /// The answer to the next event that is at hand.
    fn answer(&mut self) -> Option<Response> {
        let shown = self.shown.as_mut()?;
        let (row, rows) = (shown.next, shown.events.batch.num_rows());
        shown.next += 1;
        let snapshot = if row + 1 == rows { shown.last } else { shown.before };
        let event = Event { events: Arc::clone(&shown.events), row, snapshot };
        if shown.next >= rows {
            self.shown = None;
        }
        Some(respond(&self.asker.session(), &[RootValue::Event(event)]))
    }

    /// Goes on by one part, or by one step.
    async fn advance(&mut self, time: std::time::Duration) -> Result<(), GraphqlError> {
        if self.step.is_none() {
            return self.open().await;
        }
        let gone =
            || Error::new(Kind::Unavailable, "an event took too long").hint("subscribe again");
        let moved = tokio::time::timeout(time, self.read()).await;
        moved.unwrap_or_else(|_| Err(gone())).map_err(|error| self.blame(&error))
    }

    /// Opens the next step.
    async fn open(&mut self) -> Result<(), GraphqlError> {
        let (to, rows) = match self.behind.pop_front() {
            Some(State { id, is_same: true }) => (id, Some(nothing())),
            Some(state) => (state.id, None),
            None => match self.queue.recv().await {
                Some(Ok(step)) => (step.to, self.given(&step)),
                Some(Err(error)) => return Err(self.blame(&error)),
                None => return Err(self.too_slow()),
            },
        };
        let rows = match rows {
            Some(rows) => rows,
            None => self.changes(to).await.map_err(|error| self.blame(&error))?,
        };
        self.step = Some(Open { to, reader: Reader::new(rows), held: None });
        Ok(())
    }

    /// The rows that a step brings along, if they are all that is needed.
    fn given(&self, step: &Step) -> Option<BatchStream> {
        let reads = self.seen.as_ref().map_or(&self.wanted.fields, |seen| &seen.reads);
        let rows = step.rows.as_ref().filter(|rows| have(rows, reads))?;
        if step.from != self.at {
            return None;
        }
        let rows: Vec<_> = rows.iter().cloned().map(Ok).collect();
        let rows: BatchStream = Box::pin(futures::stream::iter(rows));
        Some(match &self.seen {
            Some(seen) => (seen.show)(rows),
            None => rows,
        })
    }

    async fn changes(&mut self, to: i64) -> base::Result<BatchStream> {
        let request = ChangesRequest {
            table: Arc::clone(&self.table),
            fields: self.wanted.fields.clone(),
            from: self.at,
            to,
            principal: self.asker.principal.clone(),
        };
        self.source.changes(request).await
    }

    /// Reads a part ahead, and shows the one before it.
    async fn read(&mut self) -> base::Result<()> {
        let Some(open) = &mut self.step else { return Ok(()) };
        let next = open.reader.next(&self.wanted).await?;
        let (before, to, is_last) = (self.at, open.to, next.is_none());
        let part = std::mem::replace(&mut open.held, next);
        if is_last {
            self.at = to;
            self.step = None;
        }
        if let Some(part) = part {
            let session = self.asker.session();
            let field = self.asker.field().map_err(|error| Error::internal(error.message))?;
            let events = Events::fetch(&session, field, self.id, part.went, part.batch).await;
            let last = if is_last { to } else { before };
            self.shown = Some(Shown { events: Arc::new(events), next: 0, last, before });
        }
        Ok(())
    }

    fn blame(&self, error: &Error) -> GraphqlError {
        let session: Session<'_> = self.asker.session();
        match self.asker.field() {
            Ok(field) => session.blame(field, error),
            Err(error) => error,
        }
    }

    fn too_slow(&self) -> GraphqlError {
        let places = self.asker.engine.settings.limits.queue;
        let text =
            format!("more than {places} changes of `{}` wait for this subscriber", self.table);
        let hint = format!("subscribe again with `after: \"{}\"`, and read faster", self.at);
        GraphqlError::new(Kind::LimitExceeded, text).with("hint", hint).with("retryable", true)
    }
}
