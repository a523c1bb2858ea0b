//! The connections of a source. In: that a call needs one. Out: a kept one that is still open, or a
//! new one. Over HTTP/1.1 there are never more than calls at once, because one is opened only when no
//! other is idle; over HTTP/2 their number is set. Kept ones that nobody used for the idle time are
//! closed, also when no call comes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use base::task::Task;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::connect::{Connector, Spoken};
use super::connection::{Held, Shared, Single};
use super::health::Meters;
use super::settings::SourceSettings;

/// The connections of one source.
pub(crate) struct Pool {
    connector: Connector,
    meters: Arc<Meters>,
    idle_timeout: Duration,
    head_bytes: usize,
    shared_most: usize,
    calls_per_connection: usize,
    kept: Mutex<Kept>,
    /// Held while a connection is opened that others may be able to share.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    /// The one that was used last stands last and is taken first, so that a burst's others age.
    idle: Vec<(Instant, Box<Single>)>,
    shared: Vec<Arc<Shared>>,
    /// What the server spoke last.
    spoken: Option<Spoken>,
    sweeper: Option<Task<()>>,
    is_closed: bool,
}

impl Pool {
    pub(crate) fn new(
        connector: Connector,
        settings: &SourceSettings,
        meters: Arc<Meters>,
    ) -> Self {
        let kept = Kept { spoken: connector.spoken(), ..Kept::default() };
        Pool {
            connector,
            meters,
            idle_timeout: settings.idle_timeout,
            head_bytes: settings.head_bytes,
            shared_most: settings.shared_connections,
            calls_per_connection: settings.calls_per_connection,
            kept: Mutex::new(kept),
            opening: tokio::sync::Mutex::new(()),
        }
    }

    /// A connection that can take a call now. With `afresh` none that was kept over HTTP/1.1 is taken.
    ///
    /// # Errors
    /// With a text for the log when a new one is needed and cannot be opened.
    pub(crate) async fn take(self: &Arc<Self>, afresh: bool) -> Result<Held, String> {
        if let Some(held) = self.take_kept(afresh, self.calls_per_connection) {
            return Ok(held);
        }
        let spoken = self.kept.lock().spoken;
        if spoken == Some(Spoken::Http1) {
            return self.open().await;
        }
        let _opening = self.opening.lock().await;
        // Somebody else may have opened one meanwhile; it is also better to crowd a connection than
        // to open more than are allowed.
        let is_full = self.kept.lock().shared.len() >= self.shared_most;
        let most = if is_full { usize::MAX } else { self.calls_per_connection };
        match self.take_kept(afresh, most) {
            Some(held) => Ok(held),
            None => self.open().await,
        }
    }

    /// Keeps a connection whose call has been answered.
    pub(crate) fn give(self: &Arc<Self>, held: Held) {
        let Held::Single(mut single) = held else { return };
        single.is_used = true;
        // This also sees a server that closed right behind its answer, or said more than it should.
        if !single.is_ready() {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.is_closed {
            return;
        }
        kept.idle.push((Instant::now(), single));
        self.sweep_later(&mut kept);
    }

    /// Drops what is kept; calls that run end by themselves.
    pub(crate) fn close(&self) {
        let mut kept = self.kept.lock();
        kept.is_closed = true;
        kept.idle.clear();
        kept.shared.clear();
        kept.sweeper = None;
    }

    fn take_kept(&self, afresh: bool, most: usize) -> Option<Held> {
        let mut kept = self.kept.lock();
        kept.shared.retain(|shared| !shared.is_closed());
        let least = kept.shared.iter().min_by_key(|shared| shared.calls());
        if let Some(shared) = least.filter(|shared| shared.calls() < most) {
            return Some(shared.hold());
        }
        if afresh {
            return None;
        }
        while let Some((since, mut single)) = kept.idle.pop() {
            if since.elapsed() < self.idle_timeout && single.is_ready() {
                return Some(Held::Single(single));
            }
        }
        None
    }

    async fn open(self: &Arc<Self>) -> Result<Held, String> {
        let (bytes, spoken) = self.connector.connect().await?;
        let counted = self.meters.connection();
        let failed = |error: hyper::Error| base::error_chain(&error).join(": ");
        let held = match spoken {
            Spoken::Http1 => {
                let single = Single::open(bytes, self.head_bytes, counted).await;
                Held::Single(Box::new(single.map_err(failed)?))
            }
            Spoken::Http2 => {
                let shared = Shared::open(bytes, self.head_bytes, counted).await;
                let shared = Arc::new(shared.map_err(failed)?);
                let held = shared.hold();
                let mut kept = self.kept.lock();
                if !kept.is_closed {
                    kept.shared.push(shared);
                    self.sweep_later(&mut kept);
                }
                held
            }
        };
        self.kept.lock().spoken = Some(spoken);
        Ok(held)
    }

    /// Sees to it that what is kept is looked through later.
    fn sweep_later(self: &Arc<Self>, kept: &mut Kept) {
        if kept.sweeper.as_ref().is_some_and(|sweeper| !sweeper.is_finished()) {
            return;
        }
        let every = (self.idle_timeout / 2).max(Duration::from_millis(10));
        let sweeping = sweep(Arc::downgrade(self), every);
        kept.sweeper = Some(base::task::spawn("closing idle connections", sweeping));
    }

    /// Closes what was idle for too long; whether anything is left.
    fn sweep(&self) -> bool {
        let mut kept = self.kept.lock();
        let timeout = self.idle_timeout;
        kept.idle.retain_mut(|(since, single)| since.elapsed() < timeout && single.is_ready());
        kept.shared.retain(|shared| !shared.is_closed() && !shared.is_idle_for(timeout));
        let is_empty = kept.idle.is_empty() && kept.shared.is_empty();
        if is_empty {
            // Whoever keeps the next connection starts another sweeper; this one is about to end.
            kept.sweeper = None;
        }
        !is_empty
    }
}

async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.sweep() {
            return;
        }
    }
}
