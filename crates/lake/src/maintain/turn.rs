//! Whose turn it is: one node maintains a table at a time.
//!
//! In: a table. Out: a turn, when nobody else has it; it is renewed until it is dropped or given
//! back. The turn saves work, it guards nothing: every step of maintenance is safe beside the same
//! step elsewhere, so a clock that jumps costs double work and no more. Not here: the work (`round`).

use std::time::Duration;

use base::Result;
use base::task::{self, Task};
use meta::leases::{self, Lease};

use crate::lake::Lake;
use crate::table::Table;

/// How long a dead node's turn lasts: meanwhile nothing is let go, and each commit writes a longer list.
const TIME: Duration = Duration::from_secs(30);
const RENEWAL: Duration = Duration::from_secs(10);

/// A node's turn at a table.
pub(super) struct Turn {
    lease: Lease,
    _renewal: Task<()>,
}

impl Turn {
    /// Takes the turn to do something; `None` when another node has it.
    pub(super) async fn take(lake: &Lake, what: &str, table: &Table) -> Result<Option<Turn>> {
        let (database, clock) = (lake.catalog().database(), &lake.config().clock);
        let name = format!("{what} {}", table.id);
        let node = lake.inner.node;
        let Some(lease) = leases::acquire(database, clock, &name, node, TIME).await? else {
            return Ok(None);
        };
        Ok(Some(Turn { _renewal: renew(lake, lease.clone()), lease }))
    }

    /// Gives it back.
    pub(super) async fn end(self, lake: &Lake) -> Result<()> {
        leases::release(lake.catalog().database(), &self.lease).await
    }
}

fn renew(lake: &Lake, mut lease: Lease) -> Task<()> {
    let (database, clock) = (lake.catalog().database().clone(), lake.config().clock.clone());
    task::spawn("renew a turn at a table", async move {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match leases::renew(&database, &clock, &lease, TIME).await {
                Ok(renewed) => lease = renewed,
                Err(error) => tracing::warn!(%error, "failed to renew a turn at a table"),
            }
        }
    })
}
