//! Small writes that share a snapshot: what many callers ask for at the same time is committed once.
//!
//! ```text
//! WriteRequest → queue of its table → one batch of requests → one snapshot → receipts
//! ```
//!
//! In: write requests of any number of callers. Out: a receipt or an error for each, as if they had
//! been made one after the other in the order in which they came. A refused one changes nothing and
//! hinders nobody. Not here: what a batch makes of its table (`batch`), large imports
//! (`Lake::commit`).

mod batch;
mod receipt;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base::task::Task;
use base::{Error, Kind, Result, error_chain};
use frame::{WriteReceipt, WriteRequest};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::batch::{Known, try_batch};
pub(crate) use self::receipt::{earlier, forget_old, receipt, taken_meanwhile};
use super::contend::Contender;
use crate::lake::Lake;
use crate::maintain;
use crate::maintain::turn::Tended;

/// Requests that wait for one table before more are refused.
const WAITING: usize = 4096;
/// Requests that share one snapshot.
const TOGETHER: usize = 256;
/// How long rivals are reckoned with after they were last met.
const RIVALRY: Duration = Duration::from_secs(1);
/// How long maintenance that another node is at is left to it, at first and at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN_MOST: Duration = Duration::from_secs(32);

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
    let copied = match error.nothing_happened() {
        true => copied,
        false => copied.may_have_happened(),
    };
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
