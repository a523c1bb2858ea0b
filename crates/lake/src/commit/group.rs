//! Small writes that share a snapshot: what many callers ask for at the same time is committed once.
//!
//! ```text
//! WriteRequest → queue of its table → one batch of requests → overlay → Delta → one snapshot → receipts
//! ```
//!
//! In: write requests of any number of callers. Out: a receipt or an error for each, as if they had
//! been made one after the other in the order in which they came. A refused one changes nothing and
//! hinders nobody. Not here: how a request changes rows (`overlay`), large imports
//! (`Lake::commit`).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base::task::Task;
use base::{Error, Kind, Result, Timestamp, error_chain};
use frame::{WriteReceipt, WriteRequest};
use iceberg::spec::Operation;
use meta::Param;
use parking_lot::Mutex;
use schema::TableFormat;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::CommitInfo;
use super::contend::Contender;
use super::delta::Delta;
use super::locate::Found;
use super::overlay::Overlay;
use super::positions;
use super::snapshot;
use crate::catalog::Statement;
use crate::lake::{Lake, object_named};
use crate::lance_table::Changes;
use crate::maintain;
use crate::maintain::turn::Tended;
use crate::successor;
use crate::table::Table;

/// Requests that wait for one table before more are refused.
const WAITING: usize = 4096;
/// Requests that share one snapshot.
const TOGETHER: usize = 256;
/// How long rivals are reckoned with after they were last met.
const RIVALRY: Duration = Duration::from_secs(1);
/// How long maintenance that another node is at is left to it, at first and at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN_MOST: Duration = Duration::from_secs(32);
/// How long a repeated idempotency key finds its first change.
pub(crate) const REMEMBERED: i64 = 24 * 3600 * 1_000_000;

/// The queues of all tables, by type.
pub(crate) type Queues = HashMap<Arc<str>, Arc<Queue>>;

/// Requests for one table, and the worker that commits them while there are any.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Pending>,
    running: bool,
    worker: Option<Task<()>>,
    maintenance: Option<Task<()>>,
    /// Whether maintenance looks at the table, and whether there was a commit since it began to.
    maintaining: bool,
    look_again: bool,
    /// When others last wanted the table at the same time.
    rivals: Option<Instant>,
}

#[derive(Debug)]
struct Pending {
    request: Arc<WriteRequest>,
    /// What the idempotency key stands for.
    fingerprint: String,
    reply: oneshot::Sender<Result<WriteReceipt>>,
}

/// An earlier change with the same idempotency key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earlier {
    pub(crate) snapshot: i64,
    pub(crate) rows: u64,
}

/// Makes one change, together with whatever else waits for the same table.
pub(crate) async fn write(lake: &Lake, request: WriteRequest) -> Result<WriteReceipt> {
    let fingerprint = super::fingerprint::of(&request)?;
    let queue = {
        // Requests of several versions of the schema say the same rows in several ways.
        let name = match lake.version() {
            Some(version) => Arc::from(format!("{version} {}", request.table)),
            None => Arc::clone(&request.table),
        };
        queue_of(&mut lake.inner.queues.lock(), &name)
    };
    let (reply, answer) = oneshot::channel();
    {
        let mut state = queue.state.lock();
        if state.waiting.len() >= WAITING {
            let text = format!("{WAITING} writes wait for table `{}` already", request.table);
            return Err(Error::new(Kind::Unavailable, text).hint("write less at the same time"));
        }
        state.waiting.push_back(Pending { request: Arc::new(request), fingerprint, reply });
        // A worker that died left its flag; its queue is taken over.
        if !state.running || state.worker.as_ref().is_some_and(Task::is_finished) {
            state.running = true;
            state.worker =
                Some(base::task::spawn("group commit", work(lake.clone(), Arc::clone(&queue))));
        }
    }
    let lost = |_| Error::new(Kind::Cancelled, "the lake was closed during a write");
    answer.await.map_err(lost)?
}

/// The queue of this name. When it is a new one, those go that nobody writes to: each version of the schema
/// that was served has had its own.
fn queue_of(queues: &mut Queues, name: &Arc<str>) -> Arc<Queue> {
    if let Some(queue) = queues.get(name) {
        return Arc::clone(queue);
    }
    // Writers, the worker and maintenance each hold their queue while they have to do with it.
    queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    Arc::clone(queues.entry(Arc::clone(name)).or_default())
}

/// Commits what waits until nothing does.
async fn work(lake: Lake, queue: Arc<Queue>) {
    loop {
        let (type_name, rivals) = {
            let mut state = queue.state.lock();
            let Some(first) = state.waiting.front() else {
                state.running = false;
                return;
            };
            let recent = |met: Instant| met.elapsed() < RIVALRY;
            (Arc::clone(&first.request.table), state.rivals.is_some_and(recent))
        };
        let types = [Arc::clone(&type_name)];
        let mut contender = Contender::new(&lake);
        let ready = contender.start(&types, rivals).await;
        // What came while the table was waited for goes with the rest.
        let batch: Vec<Pending> = {
            let mut state = queue.state.lock();
            let count = state.waiting.len().min(TOGETHER);
            state.waiting.drain(..count).collect()
        };
        if commit_batch(contender, ready, batch).await {
            queue.state.lock().rivals = Some(Instant::now());
        }
        nudge(&lake, &type_name);
    }
}

/// Lets maintenance look at the table beside whatever else goes on. One that does already looks once
/// more when it is done, for it may have read the table before this commit.
pub(crate) fn nudge(lake: &Lake, type_name: &Arc<str>) {
    if !lake.config().tends {
        return;
    }
    let queue = queue_of(&mut lake.inner.queues.lock(), type_name);
    let mut state = queue.state.lock();
    state.look_again = true;
    // One that died left its flag.
    if !state.maintaining || state.maintenance.as_ref().is_none_or(Task::is_finished) {
        state.maintaining = true;
        let work = maintain(lake.clone(), Arc::clone(type_name), Arc::clone(&queue));
        state.maintenance = Some(base::task::spawn("maintenance", work));
    }
}

/// Maintains the table as long as there are commits that it has not seen, or another node is at it.
async fn maintain(lake: Lake, type_name: Arc<str>, queue: Arc<Queue>) {
    let mut pause = LOOK_AGAIN;
    loop {
        {
            let mut state = queue.state.lock();
            state.maintaining = std::mem::take(&mut state.look_again);
            if !state.maintaining {
                return;
            }
        }
        match maintain::after_commits(&lake, &type_name).await {
            Tended::Done => pause = LOOK_AGAIN,
            Tended::ByAnother => {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LOOK_AGAIN_MOST);
                queue.state.lock().look_again = true;
            }
        }
    }
}

/// Commits requests together and answers each; says whether others wanted the table meanwhile.
async fn commit_batch(
    mut contender: Contender,
    mut ready: Result<()>,
    batch: Vec<Pending>,
) -> bool {
    let types: Vec<Arc<str>> =
        batch.first().map(|pending| Arc::clone(&pending.request.table)).into_iter().collect();
    let mut known = Known::default();
    let answers = loop {
        if let Err(error) = ready {
            break Err(error);
        }
        // What an attempt writes goes to the store together.
        match try_batch(&contender.lake().unsettled(), &batch, &mut known).await {
            // A newer schema was deployed under the commit: the next attempt is made for that one.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::Stale) => {
                ready = contender.again(error, &types).await;
            }
            result => break result,
        }
    };
    let rivals = contender.has_rivals();
    contender.end().await;
    match answers {
        Ok(answers) => {
            for (pending, answer) in batch.into_iter().zip(answers) {
                // The caller may have gone; its change stands all the same.
                let _gone = pending.reply.send(answer);
            }
        }
        Err(error) => {
            for pending in batch {
                let _gone = pending.reply.send(Err(copy(&error)));
            }
        }
    }
    rivals
}

/// What the attempts of one batch have found in data files, which never change.
#[derive(Debug, Default)]
struct Known {
    /// The version of the schema and the columns by which it was found.
    by: (i64, i32),
    found: Found,
}

impl Known {
    /// What was found by these columns. Keys of another type have other hashes.
    fn of(&mut self, table: &Table) -> Result<&mut Found> {
        let by = (table.seen.deployed, table.iceberg()?.current_schema_id());
        if self.by != by {
            *self = Known { by, found: Found::new() };
        }
        Ok(&mut self.found)
    }
}

async fn try_batch(
    lake: &Lake,
    batch: &[Pending],
    known: &mut Known,
) -> Result<Vec<Result<WriteReceipt>>> {
    let Some(first) = batch.first() else { return Ok(Vec::new()) };
    let table = match lake.table(&first.request.table).await {
        Ok(table) => table,
        // The version that the requests were made for is not served any more.
        Err(error) => return Ok(batch.iter().map(|_| Err(copy(&error))).collect()),
    };
    let (mut answers, fresh, twins) = replayed(lake, batch).await?;
    let newer = match successor::writer(lake, &table).await {
        Ok(newer) => newer,
        // This process cannot learn the deployed schema, and no repetition cures that.
        Err(error) => return Ok(batch.iter().map(|_| Err(copy(&error))).collect()),
    };
    let (lake, table, requests) = match &newer {
        None => {
            let same = |pending: &Pending| Ok(Arc::clone(&pending.request));
            (lake, table, batch.iter().map(same).collect::<Vec<Result<_>>>())
        }
        Some(newer) => {
            let say = |pending: &Pending| {
                successor::translated(lake, newer, &pending.request).map(Arc::new)
            };
            let requests: Vec<Result<Arc<WriteRequest>>> = batch.iter().map(say).collect();
            let Some(said) = requests.iter().find_map(|said| said.as_ref().ok()) else {
                return Ok(requests.into_iter().map(|said| said.and_then(|_| lost())).collect());
            };
            (newer, newer.table(&said.table).await?, requests)
        }
    };
    let asked = Asked { lake, table: &table, batch, requests: &requests, fresh: &fresh };
    let (id, made) = match table.format {
        TableFormat::Iceberg => asked.of_iceberg(known.of(&table)?, &mut answers).await?,
        TableFormat::Lance => asked.of_lance(&mut answers).await?,
    };
    for (index, rows) in made {
        answers[index] = Some(Ok(WriteReceipt { snapshot: id, rows, replayed: false }));
    }
    for (index, first) in twins {
        let same = batch[index].fingerprint == batch[first].fingerprint;
        answers[index] = Some(match &answers[first] {
            Some(Ok(receipt)) if same => Ok(WriteReceipt { replayed: true, ..receipt.clone() }),
            Some(Err(error)) if same => Err(copy(error)),
            _ => Err(key_is_taken(batch[index].request.idempotency_key.as_deref())),
        });
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect())
}

/// The requests of a batch, as the deployed schema says them.
struct Asked<'a> {
    lake: &'a Lake,
    table: &'a Arc<Table>,
    batch: &'a [Pending],
    requests: &'a [Result<Arc<WriteRequest>>],
    /// Those that are made now.
    fresh: &'a [usize],
}

/// Requests that were made, each with the rows that it touched.
type Made = Vec<(usize, u64)>;

impl Asked<'_> {
    /// Commits what the requests make of an Iceberg table; gives the snapshot.
    async fn of_iceberg(&self, found: &mut Found, answers: &mut Answers) -> Result<(i64, Made)> {
        let Asked { lake, table, batch, .. } = *self;
        let mut overlay = Overlay::new(lake, table, &self.wanted(), found).await?;
        let made = self.make(answers, |request| overlay.apply(request));
        let (delta, info) = delta_of(lake, table, overlay, &made, batch).await?;
        let written = snapshot::write(lake, table, delta, &info).await?;
        let id = written.snapshot.id;
        let receipts = self.receipts(&made, id);
        lake.publish(vec![written], &receipts).await.map_err(taken_meanwhile)?;
        Ok((id, made))
    }

    /// Likewise of a Lance table; gives the version.
    async fn of_lance(&self, answers: &mut Answers) -> Result<(i64, Made)> {
        let schema = self.lake.schema();
        let object = object_named(&schema, &self.table.type_name)?;
        let mut changes = Changes::new(self.lake, object, self.table, &self.wanted()).await?;
        let made = self.make(answers, |request| changes.apply(request));
        let (author, summary) = words(&made, self.batch);
        let receipts = |id: i64| self.receipts(&made, id);
        let id = changes.publish(&author, &summary, receipts).await?;
        Ok((id, made))
    }

    fn wanted(&self) -> Vec<Arc<WriteRequest>> {
        let requests = self.fresh.iter().map(|index| &self.requests[*index]);
        requests.filter_map(|request| request.as_ref().ok().map(Arc::clone)).collect()
    }

    /// Makes one request after the other; those that are refused are answered.
    fn make(
        &self,
        answers: &mut Answers,
        mut apply: impl FnMut(&WriteRequest) -> Result<u64>,
    ) -> Made {
        let mut made = Vec::new();
        for index in self.fresh {
            let said = self.requests[*index].as_ref().map_err(copy);
            match said.and_then(|request| apply(request)) {
                Ok(rows) => made.push((*index, rows)),
                Err(error) => answers[*index] = Some(Err(error)),
            }
        }
        made
    }

    /// The statements that remember what was made.
    fn receipts(&self, made: &[(usize, u64)], snapshot: i64) -> Vec<Statement> {
        let now = self.lake.config().clock.now();
        let remembered = made.iter().filter_map(|(index, rows)| {
            let pending = &self.batch[*index];
            let key = pending.request.idempotency_key.as_ref()?;
            Some(receipt(key, &pending.fingerprint, snapshot, *rows, now))
        });
        let mut receipts: Vec<Statement> = remembered.collect();
        if !receipts.is_empty() {
            receipts.insert(0, forget_old(now));
        }
        receipts
    }
}

/// Who made the requests, and what they are.
fn words(made: &[(usize, u64)], batch: &[Pending]) -> (String, String) {
    let mut authors: Vec<&str> =
        made.iter().map(|(index, _)| batch[*index].request.principal.subject.as_ref()).collect();
    authors.sort_unstable();
    authors.dedup();
    let summary = match made.len() {
        1 => "mutation".to_owned(),
        count => format!("{count} mutations"),
    };
    (authors.join(", "), summary)
}

fn lost() -> Result<WriteReceipt> {
    Err(Error::internal("a write was neither made nor refused"))
}

type Answers = Vec<Option<Result<WriteReceipt>>>;

/// Answers those whose idempotency key was used before; then the requests to make now, and those
/// that repeat an earlier one of the same batch, each with that one.
async fn replayed(
    lake: &Lake,
    batch: &[Pending],
) -> Result<(Answers, Vec<usize>, Vec<(usize, usize)>)> {
    let mut answers: Answers = Vec::with_capacity(batch.len());
    let (mut fresh, mut twins) = (Vec::new(), Vec::new());
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, pending) in batch.iter().enumerate() {
        answers.push(None);
        let Some(key) = pending.request.idempotency_key.as_deref() else {
            fresh.push(index);
            continue;
        };
        if let Some(first) = seen.get(key) {
            twins.push((index, *first));
            continue;
        }
        seen.insert(key, index);
        match earlier(lake, key, &pending.fingerprint).await {
            Ok(Some(Earlier { snapshot, rows })) => {
                answers[index] = Some(Ok(WriteReceipt { snapshot, rows, replayed: true }));
            }
            Ok(None) => fresh.push(index),
            Err(error) if error.kind() == Kind::Conflict => answers[index] = Some(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok((answers, fresh, twins))
}

async fn delta_of(
    lake: &Lake,
    table: &Arc<Table>,
    overlay: Overlay<'_>,
    made: &[(usize, u64)],
    batch: &[Pending],
) -> Result<(Delta, CommitInfo)> {
    let mut delta = Delta::default();
    let (rows, gone) = overlay.finish()?;
    if !rows.is_empty() {
        let mut stage = lake.stage_for(table).await?;
        for batch in rows {
            stage.write_physical(batch).await?;
        }
        let staged = stage.finish().await?;
        delta.rows += staged.rows as i64;
        delta.made.extend(staged.data.iter().map(|file| file.file_path().to_owned()));
        delta.add_staged(&staged);
    }
    delta.operation = match (delta.add.is_empty(), gone.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Operation::Append),
        (true, false) => Some(Operation::Delete),
        (false, false) => Some(Operation::Overwrite),
    };
    positions::delete(lake, table, gone, &mut delta).await?;
    let (author, summary) = words(made, batch);
    let info =
        CommitInfo { author: author.into(), summary: summary.into(), ..CommitInfo::default() };
    Ok((delta, info))
}

/// The change that an idempotency key stands for, when it was made within the last day. The same
/// key for another change is a `Conflict` that no repetition cures.
pub(crate) async fn earlier(lake: &Lake, key: &str, request: &str) -> Result<Option<Earlier>> {
    let since = lake.config().clock.now().as_micros() - REMEMBERED;
    let sql = "SELECT request, snapshot, row_count FROM lake_receipts WHERE name = $1 AND at >= $2";
    let params = [key.into(), since.into()];
    let Some(row) = lake.catalog().database().query_one(sql, &params).await? else {
        return Ok(None);
    };
    if row.text("request")? != request {
        return Err(key_is_taken(Some(key)));
    }
    let rows = u64::try_from(row.int("row_count")?).unwrap_or(0);
    Ok(Some(Earlier { snapshot: row.int("snapshot")?, rows }))
}

/// A receipt that exists by now was written by another process: the next attempt finds it.
pub(crate) fn taken_meanwhile(error: Error) -> Error {
    if error.kind() != Kind::AlreadyExists {
        return error;
    }
    Error::new(Kind::Conflict, "the same change was committed meanwhile").caused_by(error)
}

fn key_is_taken(key: Option<&str>) -> Error {
    let text = format!("the idempotency key `{}` was used for another change", key.unwrap_or(""));
    Error::new(Kind::Conflict, text).hint("use a new key for each change")
}

/// The statement that forgets changes of more than a day ago, so that their names are free again.
pub(crate) fn forget_old(now: Timestamp) -> Statement {
    let before = now.as_micros() - REMEMBERED;
    ("DELETE FROM lake_receipts WHERE at < $1".to_owned(), vec![before.into()])
}

/// The statement that remembers a change; it fails when the name is taken.
pub(crate) fn receipt(
    key: &str,
    request: &str,
    snapshot: i64,
    rows: u64,
    now: Timestamp,
) -> Statement {
    let sql = "INSERT INTO lake_receipts (name, request, snapshot, row_count, at) \
               VALUES ($1, $2, $3, $4, $5)";
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let params: Vec<Param> =
        vec![key.into(), request.into(), snapshot.into(), rows.into(), now.as_micros().into()];
    (sql.to_owned(), params)
}

/// The same error for one more caller.
fn copy(error: &Error) -> Error {
    let mut copied: Option<Error> = None;
    for message in error_chain(error).into_iter().rev() {
        let outer = Error::new(error.kind(), message);
        copied = Some(match copied {
            Some(inner) => outer.caused_by(inner),
            None => outer,
        });
    }
    let copied = copied.unwrap_or_else(|| Error::new(error.kind(), error.message()));
    match error.hint_text() {
        Some(hint) => copied.hint(hint),
        None => copied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_queue_takes_the_place_of_those_that_nobody_uses() {
        let mut queues = Queues::new();
        let used = queue_of(&mut queues, &"1 Film".into());
        for version in 2..100 {
            queue_of(&mut queues, &format!("{version} Film").into());
            assert!(queues.len() <= 2, "{queues:?}");
        }
        assert!(Arc::ptr_eq(&used, &queue_of(&mut queues, &"1 Film".into())));
    }
}
