//! When tables are maintained: in rounds while a server runs. What a round does is `lake`'s.

use std::sync::Arc;
use std::time::Duration;

use base::Result;
use base::task::{self, Task};
use lake::maintain::TableStatus;
use parking_lot::Mutex;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::project::Project;

/// How old a count of what maintenance owes may be before it is made again.
const FRESH: Duration = Duration::from_secs(60);
/// Between two removals of what is due.
const REMOVAL: Duration = Duration::from_secs(60);

/// Between two writes of what was asked.
const USAGE: Duration = Duration::from_secs(60);

/// Maintains the tables, and writes down what was asked, until the handles are dropped.
pub(crate) fn start(project: &Arc<Project>) -> [Task<()>; 3] {
    [rounds(Arc::clone(project)), removals(Arc::clone(project)), usage(Arc::clone(project))]
}

/// Makes rounds. Compaction follows commits by itself; rounds find what was left.
fn rounds(project: Arc<Project>) -> Task<()> {
    let period = project.settings.maintenance.every.0;
    task::spawn("maintain tables", async move {
        let mut ticks = ticks(period);
        loop {
            ticks.tick().await;
            if let Err(error) = crate::apply::contract_when_due(&project).await {
                tracing::warn!(%error, "failed to give up what an earlier schema needed");
            }
            if let Err(error) = project.lake.maintain().await {
                tracing::warn!(%error, "failed to maintain tables");
            }
        }
    })
}

/// Removes files whose time is over: constant commits leave a hundred a second.
fn removals(project: Arc<Project>) -> Task<()> {
    let period = project.settings.maintenance.every.0.min(REMOVAL);
    task::spawn("remove files", async move {
        let mut ticks = ticks(period);
        loop {
            ticks.tick().await;
            if let Err(error) = project.lake.remove_due().await {
                tracing::warn!(%error, "failed to remove files");
            }
        }
    })
}

/// Writes down what was asked.
fn usage(project: Arc<Project>) -> Task<()> {
    task::spawn("write usage", async move {
        let mut ticks = ticks(USAGE);
        loop {
            ticks.tick().await;
            write_usage(&project).await;
        }
    })
}

/// Writes down what was asked since the last time; what cannot be written now is written later.
pub(crate) async fn write_usage(project: &Project) {
    let written = project.gate.usages.write(&project.database, project.clock.now()).await;
    if let Err(error) = written {
        tracing::warn!(%error, "failed to write down what was asked");
    }
}

/// Ticks, the first after a period; a late one delays those after it.
fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What maintenance owes, counted once a minute at most however often it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Debt {
    last: Mutex<Option<(Instant, Arc<Vec<TableStatus>>)>>,
}

impl Debt {
    /// The debt of all tables.
    pub(crate) async fn of(&self, project: &Project) -> Result<Arc<Vec<TableStatus>>> {
        if let Some((at, tables)) = self.last.lock().as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(tables));
        }
        let tables = Arc::new(project.lake.status().await?);
        *self.last.lock() = Some((Instant::now(), Arc::clone(&tables)));
        Ok(tables)
    }
}
