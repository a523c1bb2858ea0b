//! Gets a commit through where many commit to the same tables.
//!
//! ```text
//! lost race → wait while somebody holds the tables → pause, or take the tables → next attempt
//! ```
//!
//! In: a commit that lost a race, and the types that it changes. Out: the moment of its next attempt,
//! and the handle to make it through. While somebody holds a table nobody else's attempt can succeed,
//! so that is waited for and is no lost race. Whoever has lost one takes the tables for itself:
//! without that, a writer whose attempt takes a little longer than another's loses to it
//! every time, for as long as the other has something to write. While there are rivals, tables are
//! taken before the first attempt. Not here: pauses (`retry`), holds
//! (`catalog::change`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::ids::TableId;
use base::task::Task;
use base::{Error, Kind, Result};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::retry::Attempts;
use crate::catalog::HOLD;
use crate::lake::Lake;

/// Races after which a commit takes its tables for itself. An attempt that is made in vain costs as
/// much as one that is not, and slows down whoever it loses to.
const PATIENCE: u32 = 1;
/// How long tables are held that were taken because there are rivals: their next commit waits as long
/// when this process dies.
const COURTESY: Duration = Duration::from_secs(2);
/// How long a commit waits for tables that others hold, in all; its own attempts do not count.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two renewals of a hold.
const RENEWAL: Duration = Duration::from_secs(3);
/// Renewals after which a hold ends by itself: writers do not wait for ever for work that does not end.
const RENEWALS: u32 = 9;
/// Between two looks whether a table is still held, in microseconds: about a third of what a commit
/// takes, so that a table is not left alone for long.
const LOOK: u64 = 8_000;

/// One commit among others.
#[derive(Debug)]
pub(crate) struct Contender {
    lake: Lake,
    attempts: Attempts,
    lost: u32,
    taken: bool,
    /// Whether somebody held the tables at the beginning.
    waited: bool,
    /// Whether a commit has ended what was taken.
    spent: Arc<AtomicBool>,
    /// Keeps what was taken for an attempt that lasts.
    renewal: Option<Task<()>>,
    /// How long others were waited for.
    patience: Duration,
    began: Instant,
}

impl Contender {
    pub(crate) fn new(lake: &Lake) -> Contender {
        Contender {
            lake: lake.clone(),
            attempts: Attempts::new(lake),
            lost: 0,
            taken: false,
            waited: false,
            spent: Arc::default(),
            renewal: None,
            patience: Duration::ZERO,
            began: Instant::now(),
        }
    }

    /// Whether others wanted the same tables at the same time.
    pub(crate) fn has_rivals(&self) -> bool {
        self.lost > 0 || self.waited
    }

    /// The handle to make the next attempt through.
    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Waits until the first attempt is worth it. With rivals that is when the tables are taken: what
    /// is attempted beside another's attempt is in vain for one of the two.
    pub(crate) async fn start(&mut self, types: &[Arc<str>], rivals: bool) -> Result<()> {
        let held = self.lake.catalog().held(self.lake.holder.as_ref()).await?;
        let take = rivals && self.lake.holder.is_none();
        if held.is_empty() && !take {
            return Ok(());
        }
        let tables = self.tables(types).await?;
        self.waited = held.iter().any(|table| tables.contains(table));
        match take && !tables.is_empty() {
            true => self.take(&tables, COURTESY).await,
            false => self.wait(&tables).await.map(|_| ()),
        }
    }

    /// Waits for a moment at which another attempt is worth it; the error comes back when there will
    /// be none.
    pub(crate) async fn again(&mut self, lost: Error, types: &[Arc<str>]) -> Result<()> {
        self.lost += 1;
        let tables = self.tables(types).await?;
        if !self.wait(&tables).await? {
            self.attempts.again(lost).await?;
        }
        // A handle that came with a hold has nothing more to take.
        let may_take = self.taken || self.lake.holder.is_none();
        if may_take && self.lost >= PATIENCE && !tables.is_empty() {
            self.take(&tables, HOLD).await?;
        }
        Ok(())
    }

    /// Gives back what was taken. What cannot be given back ends by itself.
    pub(crate) async fn end(mut self) {
        self.renewal = None;
        if self.lost > 0 {
            let millis = self.began.elapsed().as_millis() as u64;
            tracing::debug!(lost = self.lost, taken = self.taken, millis, "races of a commit");
        }
        let Some(holder) = &self.lake.holder else { return };
        if !self.taken || self.spent.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.lake.catalog().release(holder).await {
            tracing::warn!(%error, "failed to give a table back");
        }
    }

    /// The tables of these types; a type that has none any more has nothing to wait for.
    async fn tables(&self, types: &[Arc<str>]) -> Result<Vec<TableId>> {
        let mut ids = Vec::with_capacity(types.len());
        for type_name in types {
            match self.lake.table(type_name).await {
                Ok(table) => ids.push(table.id),
                Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ids)
    }

    /// Waits until nobody else holds one of the tables; says whether somebody did.
    async fn wait(&mut self, tables: &[TableId]) -> Result<bool> {
        let (began, mut waited) = (self.waiting_since(), false);
        while is_held(&self.lake, tables, self.lake.holder.as_ref()).await? {
            waited = true;
            look_again(&self.lake, tables, began).await?;
        }
        self.patience = began.elapsed();
        Ok(waited)
    }

    /// When a wait began that lasted from then to now.
    fn waiting_since(&self) -> Instant {
        let now = Instant::now();
        now.checked_sub(self.patience).unwrap_or(now)
    }

    /// Takes the tables, as soon as nobody else holds one.
    async fn take(&mut self, tables: &[TableId], length: Duration) -> Result<()> {
        let holder = match &self.lake.holder {
            Some(holder) => Arc::clone(holder),
            None => self.lake.config().rng.uuid().to_string().into(),
        };
        let began = self.waiting_since();
        take(&self.lake, tables, &holder, length, began).await?;
        self.patience = began.elapsed();
        tracing::debug!(lost = self.lost, "took the tables of a commit");
        if length == HOLD {
            self.renewal = Some(renew(self.lake.clone(), Arc::clone(&holder), tables.len()));
        }
        self.lake = self.lake.holding_once(&holder, &self.spent);
        self.taken = true;
        Ok(())
    }
}

/// Tries a commit to these types until it loses no race. Each attempt is made through the handle that it
/// is given, which may hold the tables.
pub(crate) async fn contended<'a, T>(
    lake: &Lake,
    types: &[Arc<str>],
    mut attempt: impl FnMut(Lake) -> BoxFuture<'a, Result<T>> + Send,
) -> Result<T> {
    let mut contender = Contender::new(lake);
    contender.start(types, false).await?;
    let result = loop {
        match attempt(contender.lake().clone()).await {
            Err(error) if error.kind() == Kind::Conflict => {
                if let Err(error) = contender.again(error, types).await {
                    break Err(error);
                }
            }
            result => break result,
        }
    };
    contender.end().await;
    result
}

/// Holds tables as soon as nobody else holds one of them.
pub(crate) async fn take(
    lake: &Lake,
    tables: &[TableId],
    holder: &Arc<str>,
    length: Duration,
    began: Instant,
) -> Result<()> {
    loop {
        // A look costs others nothing; an attempt to write does.
        if !is_held(lake, tables, Some(holder)).await? {
            match lake.catalog().hold(tables, holder, length).await {
                Err(error) if error.kind() == Kind::Conflict => {}
                result => return result,
            }
        }
        look_again(lake, tables, began).await?;
    }
}

/// Renews a hold for as long as the task is kept, within bounds.
pub(crate) fn renew(lake: Lake, holder: Arc<str>, held: usize) -> Task<()> {
    base::task::spawn("renew a hold", async move {
        for _ in 0..RENEWALS {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = lake.catalog().renew(&holder, held, HOLD).await {
                tracing::warn!(%error, "failed to renew a hold");
                return;
            }
        }
    })
}

async fn is_held(lake: &Lake, tables: &[TableId], holder: Option<&Arc<str>>) -> Result<bool> {
    let held = lake.catalog().held(holder).await?;
    Ok(held.iter().any(|table| tables.contains(table)))
}

async fn look_again(lake: &Lake, tables: &[TableId], began: Instant) -> Result<()> {
    if began.elapsed() > LONGEST {
        let text = format!(
            "failed to commit: others held {} for {} s",
            if tables.len() == 1 { "the table" } else { "the tables" },
            LONGEST.as_secs()
        );
        return Err(Error::new(Kind::Conflict, text).hint("repeat the command"));
    }
    let pause = LOOK / 4 + lake.config().rng.below(LOOK);
    tokio::time::sleep(Duration::from_micros(pause)).await;
    Ok(())
}
