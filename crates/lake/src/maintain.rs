//! Keeps tables healthy: joins small files and applies deletes, lets old snapshots go, removes files
//! that nothing needs, goes back to an earlier snapshot, and says how things stand.
//!
//! In: a type's name. Out: a report of what was done. Each kind of work has a file of its own; none
//! of them changes what a query answers, except a rollback. Not here: when they run (`server`), other
//! than the compaction that follows commits by itself.

pub(crate) mod budget;
mod carry;
pub(crate) mod choose;
mod compact;
pub(crate) mod doomed;
mod expire;
mod lance_versions;
mod needed;
mod orphans;
mod rollback;
mod round;
mod status;
pub(crate) mod superseded;
mod texts;
mod turn;

pub use budget::BYTES_A_MINUTE;
pub use compact::Compacted;
pub use expire::Expired;
pub(crate) use orphans::HELD;
pub use orphans::{Cleaned, GRACE};
pub use round::Running;
pub use status::TableStatus;

pub(crate) use choose::Chosen;

use base::Kind;

use crate::lake::Lake;

/// What small commits make necessary between two rounds. A failure is logged and changes nothing: the
/// next commit tries again.
pub(crate) async fn after_commits(lake: &Lake, type_name: &str) {
    if lake.config().compact {
        compact::when_worth(lake, type_name).await;
    }
    match lake.unpinned().expire_when_due(type_name).await {
        Ok(done) if done != Expired::default() => {
            tracing::info!(type_name, snapshots = done.snapshots, "let old snapshots go");
        }
        Ok(_) => {}
        // The type was renamed or dropped, or its columns were changed: whoever writes next knows.
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Stale) => {}
        Err(error) => tracing::warn!(type_name, %error, "failed to let old snapshots go"),
    }
    if let Err(error) = lake.remove_superseded().await {
        tracing::warn!(%error, "failed to remove superseded metadata");
    }
}

/// The table property that says how long snapshots are kept, in milliseconds.
pub(crate) const RETENTION: &str = "history.expire.max-snapshot-age-ms";

/// The lease that everything holds that removes files; a backup holds it too.
pub(crate) const REMOVAL_LEASE: &str = "lake removal";
