//! One watcher a table, however many listen, and only while somebody does.
//!
//! In: listeners, each with the columns that it needs. Out: for each the [`Step`]s of the table from the
//! moment it joined, in their order. The watcher looks for a new snapshot a few times a second; what became
//! of the rows is read once and shared, and too much of it is left to each listener to read at its own
//! pace. A listener whose queue is full is let go: it hears nothing more. Not here: what a step means to
//! a listener (`rows`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use base::task::{self, Task};
use base::{Error, Principal, Result};
use frame::{ChangesRequest, State};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::source::Source;

/// How often a table is looked at.
const PACE: Duration = Duration::from_millis(250);

/// Bytes of rows that a step carries; with more, each listener reads them for itself.
const STEP_BYTES: usize = 4 << 20;

/// What became of a table from one state to the next.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) from: i64,
    pub(super) to: i64,
    /// As [`frame::Scan::changes`] gives them, with the columns of all who listened then; nothing when
    /// they are too many to be held.
    pub(super) rows: Option<Vec<RecordBatch>>,
}

/// What a listener hears: steps, or at last why there are no more.
pub(super) type Heard = std::result::Result<Arc<Step>, Arc<Error>>;

/// A listener's end.
pub(super) struct Joined {
    /// The state from which on it hears.
    pub(super) at: i64,
    pub(super) queue: mpsc::Receiver<Heard>,
}

/// The watchers of an engine, by table.
#[derive(Default)]
pub(crate) struct Watchers {
    tables: Arc<Mutex<HashMap<Arc<str>, Entry>>>,
}

struct Entry {
    door: Arc<Door>,
    _task: Task<()>,
}

/// Where those wait who come; they are as many as there may be streams.
#[derive(Default)]
struct Door {
    waiting: Mutex<Vec<Join>>,
    bell: Notify,
}

struct Join {
    fields: Vec<Arc<str>>,
    sender: mpsc::Sender<Heard>,
    reply: oneshot::Sender<std::result::Result<i64, Arc<Error>>>,
}

struct Member {
    fields: Vec<Arc<str>>,
    sender: mpsc::Sender<Heard>,
}

impl Watchers {
    /// Begins to listen to a table; of its queue's places each takes one step.
    pub(super) async fn join(
        &self,
        source: &Arc<dyn Source>,
        table: &Arc<str>,
        fields: &[Arc<str>],
        places: usize,
    ) -> std::result::Result<Joined, Arc<Error>> {
        let (sender, queue) = mpsc::channel(places.max(1));
        let (reply, at) = oneshot::channel();
        let join = Join { fields: fields.to_vec(), sender, reply };
        {
            let mut tables = self.tables.lock();
            let entry = tables.entry(Arc::clone(table));
            let entry = entry.or_insert_with(|| self.watch(source, table));
            // A watcher takes itself out of the map before it ends, so that this one hears.
            entry.door.waiting.lock().push(join);
            entry.door.bell.notify_one();
        }
        let at = at.await.map_err(|_| Arc::new(Error::internal("a watcher ended")))??;
        Ok(Joined { at, queue })
    }

    fn watch(&self, source: &Arc<dyn Source>, table: &Arc<str>) -> Entry {
        let door = Arc::new(Door::default());
        let watcher = Watcher {
            tables: Arc::clone(&self.tables),
            source: Arc::clone(source),
            table: Arc::clone(table),
            door: Arc::clone(&door),
            pending: Vec::new(),
            members: Vec::new(),
            at: None,
        };
        Entry { door, _task: task::spawn("watch a table", watcher.run()) }
    }
}

struct Watcher {
    tables: Arc<Mutex<HashMap<Arc<str>, Entry>>>,
    source: Arc<dyn Source>,
    table: Arc<str>,
    door: Arc<Door>,
    pending: Vec<Join>,
    members: Vec<Member>,
    /// The last state that was told; nothing while nobody listens.
    at: Option<i64>,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            self.pending.append(&mut self.door.waiting.lock());
            self.members.retain(|member| !member.sender.is_closed());
            if self.members.is_empty() {
                // Whoever comes now has no use for what was before.
                self.at = None;
            }
            if self.members.is_empty() && self.pending.is_empty() && self.is_left() {
                return;
            }
            match self.round().await {
                Ok(at) => self.let_in(at),
                Err(error) => self.fail(error),
            }
            // Whoever comes is not kept waiting.
            drop(tokio::time::timeout(PACE, self.door.bell.notified()).await);
        }
    }

    /// Ends the watch, unless somebody has just come.
    fn is_left(&mut self) -> bool {
        let mut tables = self.tables.lock();
        self.pending.append(&mut self.door.waiting.lock());
        let is_left = self.pending.is_empty();
        if is_left {
            tables.remove(&self.table);
        }
        is_left
    }

    /// Tells all listeners what came to pass; gives the state that they know then.
    async fn round(&mut self) -> Result<i64> {
        let now = self.source.snapshot(&self.table).await?;
        let Some(mut from) = self.at else {
            self.at = Some(now);
            return Ok(now);
        };
        if from == now {
            return Ok(now);
        }
        for state in self.source.since(&self.table, from).await? {
            let step = Arc::new(self.step(from, state).await?);
            // Whoever has no place for it has waited too long.
            self.members.retain(|member| member.sender.try_send(Ok(Arc::clone(&step))).is_ok());
            from = state.id;
            self.at = Some(from);
        }
        Ok(from)
    }

    async fn step(&self, from: i64, state: State) -> Result<Step> {
        let to = state.id;
        if state.is_same {
            return Ok(Step { from, to, rows: Some(Vec::new()) });
        }
        let fields: BTreeSet<&Arc<str>> =
            self.members.iter().flat_map(|member| &member.fields).collect();
        let mut stream = self
            .source
            .changes(ChangesRequest {
                table: Arc::clone(&self.table),
                fields: fields.into_iter().cloned().collect(),
                from,
                to,
                // Each listener was asked for its scope, and gets no more than its own question.
                principal: Principal::local(),
            })
            .await?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            if bytes > STEP_BYTES {
                return Ok(Step { from, to, rows: None });
            }
            if batch.num_rows() > 0 {
                rows.push(batch);
            }
        }
        Ok(Step { from, to, rows: Some(rows) })
    }

    fn let_in(&mut self, at: i64) {
        for join in self.pending.drain(..) {
            if join.reply.send(Ok(at)).is_ok() {
                self.members.push(Member { fields: join.fields, sender: join.sender });
            }
        }
    }

    /// What passes by itself is waited out by those who listen; whoever comes is told in any case.
    fn fail(&mut self, error: Error) {
        let (may_pass, error) = (error.kind().is_retryable(), Arc::new(error));
        for join in self.pending.drain(..) {
            drop(join.reply.send(Err(Arc::clone(&error))));
        }
        if may_pass {
            let told = base::error_chain(error.as_ref()).join(": ");
            tracing::warn!(table = %self.table, "a watched table cannot be read: {told}");
            return;
        }
        for member in self.members.drain(..) {
            drop(member.sender.try_send(Err(Arc::clone(&error))));
        }
    }
}
