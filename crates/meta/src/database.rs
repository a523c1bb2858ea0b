//! The open database. In: closures that work on a transaction. Out: their results, once the
//! transaction is committed. Not here: connections (`pool`) and single statements (`transaction`).
//!
//! The databases may refuse a transaction because of another one that ran at the same time. The
//! closure is then run again, after a pause, until the patience of [`Options`] is used up.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::rng::Rng;
use base::{Error, Kind, Result, Secret};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::backoff::Backoff;
use crate::failure::{Failure, gave_up};
use crate::pool::{Mode, Pool};
use crate::transaction::{at_most_one, read_once};
use crate::{Param, Row, Tx};

/// How a database is used by this process.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long one call may wait for its turn, all attempts together.
    pub patience: Duration,
    /// Connections at most: all of them on Postgres, the reading ones on SQLite.
    pub connections: u32,
    /// Where the pauses between attempts are drawn from.
    pub rng: Rng,
    /// The password of a Postgres-wire database, when it is not in the URL.
    pub password: Option<Secret>,
}

impl Options {
    /// Thirty seconds of patience and eight connections.
    pub fn new() -> Self {
        Options {
            patience: Duration::from_secs(30),
            connections: 8,
            rng: Rng::from_entropy(),
            password: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}

/// An open database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    options: Options,
}

impl Database {
    /// Opens `sqlite:///path/to/meta.db` (created when missing), `sqlite::memory:` (gone with the
    /// last clone) or `postgres://user@host/database`.
    pub async fn open(url: &str) -> Result<Self> {
        Database::open_with(url, Options::new()).await
    }

    /// Opens with other limits than the usual ones.
    pub async fn open_with(url: &str, options: Options) -> Result<Self> {
        let pool = insist(&options, || Pool::open(url, &options)).await?;
        let database = Database { shared: Arc::new(Shared { pool, options }) };
        crate::migrate::prepare(&database).await?;
        Ok(database)
    }

    /// Runs `f` on one consistent snapshot; it may run again, so it must have no other effect.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
    {
        self.run(Mode::Read, f).await
    }

    /// Runs `f` as one serialisable transaction and commits it when `f` succeeds; it may run
    /// again, so it must have no other effect. Dropping the future rolls back, unless the commit
    /// is on its way already.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
    {
        self.run(Mode::Write, f).await
    }

    /// One query, which sees one snapshot.
    pub async fn query(&self, sql: &str, params: &[Param]) -> Result<Vec<Row>> {
        let read = || read_once(&self.shared.pool, sql, params);
        insist(&self.shared.options, || self.bounded(Mode::Read, Box::pin(read()))).await
    }

    /// One query for at most one row, which sees one snapshot. It should find the row by an index:
    /// a SQLite file is read on the caller's own thread.
    pub async fn query_one(&self, sql: &str, params: &[Param]) -> Result<Option<Row>> {
        let rows = match self.shared.pool.query_in_place(sql, params) {
            Some(rows) => rows,
            None => self.query(sql, params).await?,
        };
        at_most_one(sql, rows)
    }

    /// One statement in a write transaction of its own; gives the number of changed rows.
    pub async fn execute(&self, sql: &str, params: &[Param]) -> Result<u64> {
        let (sql, params) = (Arc::<str>::from(sql), Arc::<[Param]>::from(params));
        self.write(move |tx| {
            let (sql, params) = (Arc::clone(&sql), Arc::clone(&params));
            async move { tx.execute(&sql, &params).await }.boxed()
        })
        .await
    }

    /// Brings the tables of `owner` up to date: each of `steps` runs once, in order, wherever it
    /// has not run yet. Steps are only ever appended to the list. A database that has more steps
    /// than are known here was written by a newer Headwater and is refused.
    pub async fn migrate(&self, owner: &'static str, steps: &'static [&'static str]) -> Result<()> {
        crate::migrate::migrate(self, owner, steps).await
    }

    /// How many steps have run, for each owner.
    pub async fn versions(&self) -> Result<BTreeMap<String, i64>> {
        let sql = "SELECT owner, COUNT(*) AS steps FROM meta_migrations GROUP BY owner";
        let rows = self.query(sql, &[]).await?;
        rows.iter().map(|row| Ok((row.text("owner")?, row.int("steps")?))).collect()
    }

    /// The database as people name it: a path, or a URL without its password.
    pub fn place(&self) -> &str {
        self.shared.pool.place()
    }

    /// The file of a SQLite database; `None` when it is in memory or is Postgres.
    pub fn file(&self) -> Option<&Path> {
        self.shared.pool.file()
    }

    /// Whether this is a Postgres-wire database, for code that reports it.
    pub fn is_postgres(&self) -> bool {
        self.shared.pool.is_postgres()
    }

    /// Closes all connections, also those of clones, and waits until they are closed.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    async fn run<T, F>(&self, mode: Mode, f: F) -> Result<T>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
    {
        insist(&self.shared.options, || self.bounded(mode, Box::pin(self.attempt(mode, &f)))).await
    }

    /// One attempt, which a network that swallows every packet does not hold up for ever. SQLite has
    /// no network in between, and its own waiting is bounded. An attempt comes on the heap, because
    /// what it needs would be part of the future of every caller, several times over.
    async fn bounded<T>(
        &self,
        mode: Mode,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if !self.is_postgres() {
            return attempt.await;
        }
        let limit = self.shared.options.patience;
        match tokio::time::timeout(limit, attempt).await {
            Ok(done) => done,
            Err(_) => Err(Failure::last(silent(self.place(), limit, mode))),
        }
    }

    async fn attempt<T, F>(&self, mode: Mode, f: &F) -> Result<T, Failure>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
    {
        let mut tx = Tx::begin(&self.shared.pool, mode).await?;
        let outcome = f(&mut tx).await;
        tx.finish(outcome).await
    }
}

/// The error for a database that takes what it is sent and answers nothing.
fn silent(place: &str, limit: Duration, mode: Mode) -> Error {
    let text = format!("the metadata database at `{place}` gave no answer within {limit:?}");
    let error =
        Error::new(Kind::Unavailable, text).hint("check that the database runs and can be reached");
    match mode {
        Mode::Read => error,
        Mode::Write => Error::new(Kind::Unavailable, "a change may or may not have happened")
            .hint("read the state again before you repeat the change")
            .may_have_happened()
            .caused_by(error),
    }
}

/// Attempts until one succeeds, fails for good, or the patience is used up.
pub(crate) async fn insist<T, A>(options: &Options, attempt: impl Fn() -> A) -> Result<T>
where
    A: Future<Output = Result<T, Failure>>,
{
    let mut backoff = Backoff::new(&options.rng, options.patience);
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(Failure { error, again: false }) => return Err(error),
            Err(Failure { error, again: true }) => {
                tracing::debug!(%error, "the metadata database asks for another attempt");
                if !backoff.pause().await {
                    return Err(if error.kind() == Kind::Unavailable {
                        gave_up(error)
                    } else {
                        error
                    });
                }
            }
        }
    }
}
