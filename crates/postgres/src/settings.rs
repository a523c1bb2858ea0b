//! Where a database is and how it is spoken to. In: an address with what files hold. Out: options of a
//! connection and of the pool. Not here: reading of files.

use std::str::FromStr;
use std::time::Duration;

use base::{Error, Result, Secret};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor};

/// A connection that lay unused for longer is asked whether it still lives.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(300);

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct Connection {
    /// `postgres://host:port/database`, with `sslmode` at most.
    pub url: String,
    /// Who logs in; without one the name of this process's user, as everywhere in Postgres.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// Certificates to trust in place of the public ones, PEM.
    pub roots: Option<String>,
    /// The certificate to show.
    pub identity: Option<Identity>,
}

/// A certificate with its key, PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The chain.
    pub chain: String,
    /// The private key.
    pub key: Secret,
}

/// How patiently and how widely a database is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a statement may run; the database ends it then by itself.
    pub timeout: Duration,
    /// Connections at most.
    pub connections: u32,
    /// Rows of an answer at most.
    pub rows: usize,
    /// Bytes of an answer at most, as they travel.
    pub bytes: usize,
    /// Whether rows may be changed. Where not, the database itself refuses it, too.
    pub writable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            timeout: Duration::from_secs(5),
            connections: 16,
            rows: 1_000_000,
            bytes: 64 << 20,
            writable: false,
        }
    }
}

/// A pool that has not connected yet.
pub(crate) fn pool(connection: &Connection, settings: &Settings) -> Result<PgPool> {
    let session = session(settings);
    Ok(PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(settings.timeout)
        .acquire_slow_threshold(settings.timeout)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move {
                if seen.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move { connection.execute(AssertSqlSafe(session)).await.map(|_| ()) })
        })
        .connect_lazy_with(options(connection)?))
}

/// What holds for all statements of a connection. Numbers and fixed words only.
fn session(settings: &Settings) -> String {
    let read_only = if settings.writable { "off" } else { "on" };
    format!(
        "SET statement_timeout = {}; SET default_transaction_read_only = {read_only}; \
         SET TimeZone = 'UTC'; SET DateStyle = 'ISO'",
        settings.timeout.as_millis().max(1)
    )
}

fn options(connection: &Connection) -> Result<PgConnectOptions> {
    let wrong = |error: sqlx::Error| {
        Error::invalid("the address of the database cannot be read")
            .hint("write `postgres://127.0.0.1:5432/shop`")
            .caused_by(error)
    };
    let mut options = PgConnectOptions::from_str(&connection.url).map_err(wrong)?;
    if !connection.url.contains("sslmode=") {
        // Who says nothing is not spoken to in the clear, unless no network is between.
        let local = matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
        options = options.ssl_mode(if local { PgSslMode::Disable } else { PgSslMode::VerifyFull });
    }
    if let Some(user) = &connection.user {
        options = options.username(user);
    }
    if let Some(password) = &connection.password {
        options = options.password(password.reveal());
    }
    if let Some(roots) = &connection.roots {
        options = options.ssl_root_cert_from_pem(roots.clone().into_bytes());
    }
    if let Some(identity) = &connection.identity {
        options = options
            .ssl_client_cert_from_pem(&identity.chain)
            .ssl_client_key_from_pem(identity.key.reveal());
    }
    Ok(options.application_name("headwater").disable_statement_logging())
}
