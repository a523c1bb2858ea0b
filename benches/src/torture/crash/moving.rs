//! Moves of the objects: a worker that moves them to the other place and back, nodes that follow, and
//! the same command again after the mover died.
//!
//! In: places of one project. Out: moves, until the end comes, which may be tied to a step of theirs.
//! Not here: what a move does (`lake::place`), what must hold afterwards (`places`, `verdict`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use base::Clock;
use base::task::Task;
use lake::place::{Phase, Place, Stored};
use testkit::ending_store::EndingStore;

use super::diary::{Diary, Line};
use super::places::FOLDER;
use super::verdict::Project;

/// Between two looks of a node at where the objects are, as `headwater up` does.
const FOLLOW: Duration = Duration::from_secs(1);

/// Whoever moves, and when the world ends with it.
#[derive(Debug)]
pub(crate) struct Mover {
    bucket: String,
    /// The report of a step with which the end comes; 0 is none.
    step: u64,
    later: Duration,
    store: EndingStore,
    reports: AtomicU64,
}

impl Mover {
    pub(crate) fn new(bucket: &str, step: u64, later: Duration, store: &EndingStore) -> Arc<Mover> {
        let (bucket, store) = (bucket.to_owned(), store.clone());
        Arc::new(Mover { bucket, step, later, store, reports: AtomicU64::new(0) })
    }

    /// One move, or the rest of one, and the removal of the old objects.
    pub(crate) async fn run(&self, place: &Place, diary: &Diary) -> Result<()> {
        let clock = Clock::system();
        let to = target(&place.stored().await?, &self.bucket);
        let moved = place.migrate(&clock, &to, &|_| self.report()).await?;
        diary.write(&Line::Tended { what: format!("move of {} objects", moved.objects) })?;
        let removed = place.finish(&clock, &|_| self.report()).await?;
        diary.write(&Line::Tended { what: format!("removal of {} objects", removed.objects) })
    }

    fn report(&self) {
        if self.reports.fetch_add(1, Ordering::SeqCst) + 1 == self.step {
            self.store.end_in(self.later);
        }
    }
}

/// Where a move goes, or the next one.
fn target(stored: &Stored, bucket: &str) -> String {
    match stored.phase {
        Phase::Copying => stored.other.clone(),
        Phase::Switched => stored.place.clone(),
        Phase::Settled if stored.place == FOLDER => bucket.to_owned(),
        Phase::Settled => FOLDER.to_owned(),
    }
}

/// Keeps a node at what the others agreed upon.
pub(crate) fn follow(place: Place, diary: &Arc<Diary>) -> Task<Result<()>> {
    let diary = Arc::clone(diary);
    base::task::spawn("follow the objects", async move {
        loop {
            if let Err(error) = place.follow().await {
                let error = format!("a node did not follow: {error}");
                return diary.write(&Line::Failed { worker: u64::MAX, error });
            }
            tokio::time::sleep(FOLLOW).await;
        }
    })
}

/// What time does for the lease of a mover that died: half a minute passes.
pub(crate) async fn forget_lease(project: &Project) -> Result<()> {
    let sql = "UPDATE meta_leases SET expires_at = 0 WHERE name = 'lake move' AND expires_at > 0";
    project.database().await?.execute(sql, &[]).await?;
    Ok(())
}

/// The same command again, as one gives it after a mover died, and then the command that ends the
/// move. Nothing is done when the mover died before it had begun, or after it had ended.
pub(crate) async fn resume(project: &Project) -> Result<()> {
    forget_lease(project).await?;
    let Some(place) = project.place(project.database().await?).await? else { return Ok(()) };
    let stored = place.stored().await?;
    if stored.phase == Phase::Settled {
        return Ok(());
    }
    let (clock, to) = (Clock::system(), target(&stored, ""));
    place.migrate(&clock, &to, &|_| {}).await?;
    place.finish(&clock, &|_| {}).await?;
    let stored = place.stored().await?;
    ensure!(
        (stored.phase, &stored.place) == (Phase::Settled, &to),
        "a move to `{to}` ended as {stored:?}"
    );
    Ok(())
}
