//! Whose turn it is: one node maintains a table at a time, and one process removes files or makes a backup.
//!
//! In: a table, or a name. Out: a turn, when nobody else has it; it is renewed until it is dropped or given
//! back. A turn at a table saves work, it guards nothing: every step of maintenance is safe beside the same
//! step elsewhere, so a clock that jumps costs double work and no more. A backup looks itself whether it
//! still has its turn. Not here: the work (`round`).

use std::time::Duration;

use base::Result;
use base::ids::NodeId;
use base::task::{self, Task};
use meta::leases::{self, Lease};

use crate::lake::Lake;
use crate::table::Table;

/// How long a dead node's turn lasts: meanwhile nothing is let go, and each commit writes a longer list.
const TIME: Duration = Duration::from_secs(30);
const RENEWAL: Duration = Duration::from_secs(10);

/// What became of work that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tended {
    /// It is done, or there was none.
    Done,
    /// Another node is at it, and may not have seen what made it due here.
    ByAnother,
}

/// A turn that is had.
pub(crate) struct Turn {
    lease: Lease,
    _renewal: Task<()>,
}

impl Turn {
    /// Takes a node's turn to do something with a table; `None` when another node has it.
    pub(super) async fn take(lake: &Lake, what: &str, table: &Table) -> Result<Option<Turn>> {
        Turn::acquire(lake, &format!("{what} {}", table.id), lake.inner.node).await
    }

    /// Takes a turn by its name; `None` when somebody has it.
    pub(super) async fn acquire(lake: &Lake, name: &str, holder: NodeId) -> Result<Option<Turn>> {
        let (database, clock) = (lake.catalog().database(), &lake.config().clock);
        let lease = leases::acquire(database, clock, name, holder, TIME).await?;
        Ok(lease.map(|lease| Turn { _renewal: renew(lake, lease.clone()), lease }))
    }

    /// What it is held by.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Fails when somebody else has taken it meanwhile, because this process stood still for long.
    pub(crate) async fn check(&self, lake: &Lake) -> Result<()> {
        let (database, clock) = (lake.catalog().database(), &lake.config().clock);
        leases::renew(database, clock, &self.lease, TIME).await.map(|_| ())
    }

    /// Gives it back.
    pub(crate) async fn end(self, lake: &Lake) -> Result<()> {
        leases::release(lake.catalog().database(), &self.lease).await
    }
}

fn renew(lake: &Lake, mut lease: Lease) -> Task<()> {
    let (database, clock) = (lake.catalog().database().clone(), lake.config().clock.clone());
    task::spawn("renew a turn", async move {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match leases::renew(&database, &clock, &lease, TIME).await {
                Ok(renewed) => lease = renewed,
                Err(error) => tracing::warn!(%error, "failed to renew a turn"),
            }
        }
    })
}
