//! Connections to the database that a URL names. In: a URL and options. Out: [`Pool`], which hands
//! out started transactions. Not here: what happens inside of one (`transaction`), and trying
//! again (`database`).
//!
//! SQLite gets one writing connection, for which writers of this process queue in fair order
//! instead of spinning on the file's lock, and several reading ones. A Postgres-wire database gets
//! one pool of connections, for it arbitrates by itself.

use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::{Error, Kind, Result};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, Postgres, Sqlite, SqliteConnection, Transaction};

use crate::failure::{Failure, failure};
use crate::in_place::InPlace;
use crate::{Options, Param, Row};

/// How long SQLite itself waits for another process's lock, inside one call. Longer waits are ours:
/// SQLite's own sleeps grow to 100 ms and are not fair, and a call that waits cannot be cancelled.
const BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// How long a connection that is given back may take to answer before it is thrown away.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Callers that may wait for a connection; more are turned away at once.
const WAITING_LIMIT: usize = 4096;

/// How Postgres reads where no transaction says otherwise.
const READ_BY_DEFAULT: &str =
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY";

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// A transaction that has begun, on either database.
pub(crate) enum Begun {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A connection that reads without a transaction, on either database.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Pool {
    place: String,
    waiting: AtomicUsize,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Sqlite { writer: SqlitePool, reader: SqlitePool, file: Option<Box<File>> },
    Postgres(PgPool),
}

/// A SQLite database that is not in memory.
#[derive(Debug)]
struct File {
    connect: SqliteConnectOptions,
    in_place: InPlace,
}

impl Pool {
    /// Opens the database that `url` names; SQLite creates its file, Postgres must have one.
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Pool, Failure> {
        if url == "sqlite::memory:" {
            return Ok(open_memory(options));
        }
        if let Some(path) = url.strip_prefix("sqlite://") {
            return open_file(Path::new(path), options).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return open_postgres(url, options).await;
        }
        Err(Failure::last(
            Error::invalid("the URL of the metadata database has an unknown scheme")
                .hint("write `sqlite:///path/to/meta.db` or `postgres://user@host/database`"),
        ))
    }

    /// The database as people name it: a path, or a URL without its password.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The file of a SQLite database; `None` when it is in memory or is Postgres.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.backend {
            Backend::Sqlite { file, .. } => file.as_ref().map(|file| file.connect.get_filename()),
            Backend::Postgres(_) => None,
        }
    }

    /// Whether this is a Postgres-wire database.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// Waits for a connection and begins a transaction on it.
    pub(crate) async fn begin(&self, mode: Mode) -> Result<Begun, Failure> {
        let _waiting = self.queue()?;
        let begun = match (&self.backend, mode) {
            (Backend::Sqlite { writer, .. }, Mode::Write) => {
                // IMMEDIATE takes the lock now: a transaction that reads first and writes later
                // would fail in the middle instead of waiting at the start.
                writer.begin_with("BEGIN IMMEDIATE").await.map(Begun::Sqlite)
            }
            (Backend::Sqlite { reader, .. }, Mode::Read) => {
                reader.begin_with("BEGIN").await.map(Begun::Sqlite)
            }
            (Backend::Postgres(pool), Mode::Write) => {
                let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE";
                pool.begin_with(begin).await.map(Begun::Postgres)
            }
            (Backend::Postgres(pool), Mode::Read) => pool
                .begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY")
                .await
                .map(Begun::Postgres),
        };
        begun.map_err(|error| failure(&self.place, "begin a transaction on", error))
    }

    /// Waits for a connection to read on, one statement at a time.
    pub(crate) async fn reader(&self) -> Result<Reader, Failure> {
        let _waiting = self.queue()?;
        let acquired = match &self.backend {
            Backend::Sqlite { reader, .. } => reader.acquire().await.map(Reader::Sqlite),
            Backend::Postgres(pool) => pool.acquire().await.map(Reader::Postgres),
        };
        acquired.map_err(|error| failure(&self.place, "connect to", error))
    }

    /// The rows of a statement for at most one, read on this thread; nothing where that cannot be.
    pub(crate) fn query_in_place(&self, sql: &str, params: &[Param]) -> Option<Vec<Row>> {
        let Backend::Sqlite { file: Some(file), .. } = &self.backend else { return None };
        file.in_place.query(sql, params)
    }

    /// Lets SQLite copy itself into a new file, as of one moment; `None` when this is Postgres.
    pub(crate) async fn vacuum_into(&self, path: &Path) -> Option<Result<(), Failure>> {
        let Backend::Sqlite { writer, file, .. } = &self.backend else { return None };
        // A reading connection may not do this, and the writing one must not be kept busy.
        let copied = match file {
            Some(file) => match SqliteConnection::connect_with(&file.connect).await {
                Ok(mut connection) => vacuum(&mut connection, path).await,
                Err(error) => Err(error),
            },
            None => match writer.acquire().await {
                Ok(mut connection) => vacuum(&mut connection, path).await,
                Err(error) => Err(error),
            },
        };
        Some(copied.map_err(|error| failure(&self.place, "copy", error)))
    }

    /// Closes all connections and waits until they are.
    pub(crate) async fn close(&self) {
        match &self.backend {
            Backend::Sqlite { writer, reader, file } => {
                if let Some(file) = file {
                    file.in_place.close();
                }
                reader.close().await;
                writer.close().await;
            }
            Backend::Postgres(pool) => pool.close().await,
        }
    }

    fn queue(&self) -> Result<Waiting<'_>, Failure> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_LIMIT {
            return Ok(waiting);
        }
        Err(Failure::last(
            Error::new(
                Kind::LimitExceeded,
                format!("{WAITING_LIMIT} callers wait for the metadata database already"),
            )
            .hint("try again later, or send fewer requests at once"),
        ))
    }
}

/// One caller in the queue for a connection.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection serves readers and writers in turn: two connections to one database in memory
/// would share SQLite's cache and fail on each other's table locks.
fn open_memory(options: &Options) -> Pool {
    let connect = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
    let only = sqlite_pool(1, options).connect_lazy_with(connect.disable_statement_logging());
    pool(
        "sqlite::memory:".to_owned(),
        Backend::Sqlite { writer: only.clone(), reader: only, file: None },
    )
}

async fn open_file(path: &Path, options: &Options) -> Result<Pool, Failure> {
    let place = path.display().to_string();
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::last(Error::from(error).context(opening(&place))))?;
    let is_new = !absolute
        .try_exists()
        .map_err(|error| Failure::last(Error::from(error).context(opening(&place))))?;
    let connect = SqliteConnectOptions::new()
        .filename(&absolute)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let writer = sqlite_pool(1, options).connect_lazy_with(connect.clone());
    let reader = sqlite_pool(options.connections, options)
        .connect_lazy_with(connect.clone().pragma("query_only", "1"));
    drop(writer.acquire().await.map_err(|error| failure(&place, "open", error))?);
    if is_new {
        sync_folder(&absolute).await.map_err(|e| Failure::last(e.context(opening(&place))))?;
    }
    let file = Some(Box::new(File { in_place: InPlace::new(&absolute), connect }));
    Ok(pool(place, Backend::Sqlite { writer, reader, file }))
}

/// A new file is only as durable as its entry in the folder.
async fn sync_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().map(Path::to_owned) else { return Ok(()) };
    base::task::blocking("sync the metadata folder", move || {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all())
    })
    .await?
    .map_err(Error::from)
}

async fn open_postgres(url: &str, options: &Options) -> Result<Pool, Failure> {
    let connect = PgConnectOptions::from_str(url).map_err(|error| {
        Failure::last(
            Error::invalid("the URL of the metadata database is not valid")
                .hint("write `postgres://user:password@host:port/database`")
                .caused_by(error),
        )
    })?;
    let mut connect = connect.application_name("headwater").disable_statement_logging();
    if let Some(password) = &options.password {
        connect = connect.password(password.reveal());
    }
    let place = postgres_place(&connect);
    // The pool tries a refused connection again and again; whoever opens wants to know at once.
    let probe = sqlx::PgConnection::connect_with(&connect);
    let probe = tokio::time::timeout(options.patience, probe).await;
    let probe = probe.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let probe =
        probe.map_err(|error| Failure { again: false, ..failure(&place, "open", error) })?;
    probe.close().await.map_err(|error| failure(&place, "open", error))?;
    let opened = PgPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.patience)
        // Waiting is what the queue is for; who waits in vain is told.
        .acquire_slow_threshold(options.patience)
        .test_before_acquire(true)
        // What is read without a transaction is read by the same rules as inside of one.
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(READ_BY_DEFAULT).await.map(|_| ()) })
        })
        // A connection that was left in the middle of a call rolls back with this ping. One that a
        // network swallows would hold its place in the pool until the system gives up on it.
        .after_release(|connection, _| {
            Box::pin(async move {
                match tokio::time::timeout(RELEASE_LIMIT, connection.ping()).await {
                    Ok(answered) => answered.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
        .connect_lazy_with(connect);
    Ok(pool(place, Backend::Postgres(opened)))
}

fn postgres_place(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or(connect.get_username());
    match connect.get_socket() {
        Some(socket) => format!("postgres://{}/{database}", socket.display()),
        None => format!("postgres://{}:{}/{database}", connect.get_host(), connect.get_port()),
    }
}

fn sqlite_pool(connections: u32, options: &Options) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(options.patience)
        .acquire_slow_threshold(options.patience)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // A transaction that was dropped is rolled back by the connection's own thread; the ping
        // waits for that. Where SQLite refuses the rollback, the connection is not used again.
        .after_release(|connection, _| {
            Box::pin(async move {
                if connection.is_in_transaction() {
                    connection.ping().await?;
                }
                Ok(!connection.is_in_transaction())
            })
        })
}

async fn vacuum(connection: &mut SqliteConnection, path: &Path) -> sqlx::Result<()> {
    let copy = sqlx::query("VACUUM INTO $1").bind(path.display().to_string());
    copy.execute(connection).await.map(|_| ())
}

fn pool(place: String, backend: Backend) -> Pool {
    Pool { place, waiting: AtomicUsize::new(0), backend }
}

fn opening(place: &str) -> String {
    format!("failed to open the metadata database at `{place}`")
}
