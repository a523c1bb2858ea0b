//! Keeps others from committing to tables while something is finished on them.
//!
//! In: tables. Out: a hold, renewed until it is given back, and the handle whose commits pass it. Who
//! holds must not count on it: a process that stood still may have lost its hold, and the transaction
//! at the end looks whether it has (`catalog::change`). Not here: writers that wait (`contend`).

use std::sync::Arc;

use base::Result;
use base::ids::TableId;
use base::task::Task;
use tokio::time::Instant;

use crate::catalog::HOLD;
use crate::commit::contend;
use crate::lake::Lake;

/// Tables that are held.
pub(super) struct Hold {
    /// The handle whose commits pass the hold.
    pub(super) lake: Lake,
    /// Its name.
    pub(super) holder: Arc<str>,
    _renewal: Task<()>,
}

impl Hold {
    /// Holds the tables, as soon as nobody else holds one of them.
    pub(super) async fn take(lake: &Lake, tables: &[TableId]) -> Result<Hold> {
        let holder: Arc<str> = lake.config().rng.uuid().to_string().into();
        contend::take(lake, tables, &holder, HOLD, Instant::now()).await?;
        let renewal = contend::renew(lake.clone(), Arc::clone(&holder), tables.len());
        Ok(Hold { lake: lake.holding(&holder), holder, _renewal: renewal })
    }

    /// Gives the tables back.
    pub(super) async fn end(self) -> Result<()> {
        self.lake.catalog().release(&self.holder).await
    }
}
