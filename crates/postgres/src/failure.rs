//! What went wrong in a database, as kinds. In: an error of the driver and what was being done. Out: our
//! error, whose message says what callers may know. The database's own words name constraints, addresses and
//! users, so that they go to the log only.

use base::{Error, Kind};

/// The error for one of the driver's.
pub(crate) fn failure(doing: &str, table: &str, error: sqlx::Error) -> Error {
    let code = code(&error);
    let (kind, words, hint) = match (&error, code.as_deref()) {
        (sqlx::Error::Database(_), Some(code)) => of_code(code),
        (sqlx::Error::PoolTimedOut, _) => {
            (Kind::Unavailable, "no connection became free in time", Some("try again later"))
        }
        (sqlx::Error::Tls(_), _) => (
            Kind::Unavailable,
            "the database cannot be spoken to in secret",
            Some("`?sslmode=` in the address says how, `tls_roots` whom to trust"),
        ),
        (sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed, _) => {
            (Kind::Unavailable, "the database does not answer", None)
        }
        _ => (Kind::Internal, "the database answered otherwise than was asked", None),
    };
    let failed = Error::new(kind, format!("failed to {doing} `{table}`: {words}"));
    tracing::warn!(table, code, "failed to {doing} a table of a database: {error}");
    match hint {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// The SQLSTATE of an error that the database told.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|told| told.code()).map(|code| code.into_owned())
}

/// Whether the table may be another than was read of the catalog.
pub(crate) fn has_changed(error: &sqlx::Error) -> bool {
    // Undefined columns, tables and functions; types that do not fit; a plan that is kept for another form.
    matches!(
        code(error).as_deref(),
        Some("42703" | "42P01" | "42883" | "42804" | "0A000" | "XX000")
    )
}

/// Whether the connection was lost before anything was told.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    let ended = matches!(code(error).as_deref(), Some("57P01" | "57P02" | "57P03"));
    ended || matches!(error, sqlx::Error::Io(_))
}

type Told = (Kind, &'static str, Option<&'static str>);

fn of_code(code: &str) -> Told {
    match code {
        "23505" => (Kind::AlreadyExists, "a row with these values is there already", None),
        "23503" => (Kind::InvalidInput, "a row that it refers to is not there", None),
        "23502" => (Kind::InvalidInput, "a column that must not be null would be", None),
        "23514" | "44000" => {
            (Kind::InvalidInput, "a rule of the database forbids the values", None)
        }
        "21000" => (Kind::InvalidInput, "two rows of the change have one key", None),
        "25006" => (Kind::Denied, "rows of this database are only read", None),
        "28000" | "28P01" => (
            Kind::Unavailable,
            "the database refuses the user or the password",
            Some("`user` and `password_file` of the source in headwater.toml say who logs in"),
        ),
        "3D000" => (Kind::Unavailable, "the server has no such database", None),
        "42501" => {
            (Kind::Unavailable, "the database's user may not do this", Some("grant it the right"))
        }
        "40001" | "40P01" | "55P03" => {
            (Kind::Conflict, "somebody else changes the same rows", Some("try again"))
        }
        "57014" => (Kind::Unavailable, "the statement took too long", Some("ask for less")),
        "53300" => (Kind::Unavailable, "the database has no connection to give", None),
        // A class each: connections, operators who intervene, resources.
        _ if ["08", "57", "53"].contains(&code.get(..2).unwrap_or_default()) => {
            (Kind::Unavailable, "the database does not answer", None)
        }
        "22003" => (
            Kind::InvalidInput,
            "a number exceeds its type",
            Some("narrow `where`, or group by more"),
        ),
        "22012" => (Kind::InvalidInput, "something is divided by zero", None),
        _ if code.starts_with("22") => (Kind::InvalidInput, "a value does not fit", None),
        "42703" | "42P01" | "42883" | "42804" | "0A000" => {
            (Kind::Unavailable, "the table is another than the schema says", None)
        }
        _ => (Kind::Internal, "the database refuses the statement", None),
    }
}
