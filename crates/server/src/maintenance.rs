//! When tables are maintained: in rounds while a server runs. What a round does is `lake`'s.

use std::sync::Arc;
use std::time::Duration;

use base::task::{self, Task};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::project::Project;

/// Between two rounds. Compaction follows commits by itself; rounds find what was left.
const PERIOD: Duration = Duration::from_secs(600);

/// Makes rounds until its handle is dropped.
pub(crate) fn start(project: Arc<Project>) -> Task<()> {
    task::spawn("maintain tables", async move {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
