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
mod schemas;
mod status;
pub(crate) mod superseded;
mod texts;
mod thin;
mod together;
pub(crate) mod turn;

pub use budget::BYTES_A_MINUTE;
pub use compact::Compacted;
pub use expire::Expired;
pub use orphans::{Cleaned, GRACE};
pub use round::Running;
pub use status::TableStatus;

pub(crate) use choose::Chosen;
pub(crate) use round::after_commits;

/// The table property that says how long snapshots are kept, in milliseconds.
pub(crate) const RETENTION: &str = "history.expire.max-snapshot-age-ms";

/// The lease that everything holds that removes files; a backup holds it too.
pub(crate) const REMOVAL_LEASE: &str = "lake removal";

#[cfg(test)]
mod tests;
