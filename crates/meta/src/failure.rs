//! What went wrong in the database. In: a driver's error. Out: [`Failure`], a worded error with a
//! kind and a hint, and whether the whole transaction is worth another attempt. Not here: the
//! attempts themselves (`database`).

use base::{Error, Kind};

/// A failed step of a transaction.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What to tell the caller.
    pub(crate) error: Error,
    /// Whether nothing was committed and the same transaction may succeed a moment later.
    pub(crate) again: bool,
}

impl Failure {
    /// A failure that another attempt would only repeat.
    pub(crate) fn last(error: Error) -> Self {
        Failure { error, again: false }
    }
}

/// The meaning of one driver error.
struct Meaning {
    kind: Kind,
    hint: Option<&'static str>,
    again: bool,
}

const DISK_FULL: &str = "free space on the disk of the metadata database, then try again";
const DAMAGED: &str = "restore the project from a backup with `headwater restore`";

/// Words an error that a driver gave while `doing` something with the database at `place`.
pub(crate) fn failure(place: &str, doing: &str, error: sqlx::Error) -> Failure {
    let meaning = meaning(&error);
    let what = match meaning.kind {
        Kind::Corrupt => format!("the metadata database at `{place}` is damaged or is not one"),
        _ => format!("failed to {doing} the metadata database at `{place}`"),
    };
    let mut worded = Error::new(meaning.kind, what);
    if let Some(hint) = meaning.hint {
        worded = worded.hint(hint);
    }
    Failure { error: worded.caused_by(error), again: meaning.again }
}

/// Adds to the last error of many attempts that no further one is made.
pub(crate) fn gave_up(error: Error) -> Error {
    Error::new(Kind::Unavailable, "the metadata database is busy; gave up after many attempts")
        .hint("try again; if it stays busy, look for a process that holds it")
        .caused_by(error)
}

fn meaning(error: &sqlx::Error) -> Meaning {
    let plain = |kind| Meaning { kind, hint: None, again: false };
    match error {
        sqlx::Error::Database(inner) => {
            let code = inner.code().unwrap_or_default();
            // SQLSTATEs have five characters; SQLite's codes are numbers of at most four digits.
            match code.parse::<u32>() {
                Ok(number) if code.len() < 5 => sqlite_meaning(number),
                _ => postgres_meaning(&code),
            }
        }
        sqlx::Error::Io(_) => Meaning {
            kind: Kind::Unavailable,
            hint: Some("check that the database runs and can be reached"),
            again: true,
        },
        sqlx::Error::PoolTimedOut => Meaning {
            kind: Kind::Unavailable,
            hint: Some("all connections stayed busy; try again later"),
            again: false,
        },
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => plain(Kind::Unavailable),
        sqlx::Error::Configuration(_) => plain(Kind::InvalidInput),
        sqlx::Error::Tls(_) => Meaning {
            kind: Kind::Unavailable,
            hint: Some("check `sslmode` and the certificates in the database URL"),
            again: false,
        },
        sqlx::Error::Protocol(_) => Meaning { kind: Kind::Unavailable, hint: None, again: true },
        _ => plain(Kind::Internal),
    }
}

/// Reads SQLite's extended result codes; the low byte is the primary code.
fn sqlite_meaning(code: u32) -> Meaning {
    const CONSTRAINT_FOREIGN_KEY: u32 = 787;
    const CONSTRAINT_PRIMARY_KEY: u32 = 1555;
    const CONSTRAINT_UNIQUE: u32 = 2067;
    const CONSTRAINT_ROW_ID: u32 = 2579;
    let (kind, hint, again) = match (code, code & 0xff) {
        (CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE | CONSTRAINT_ROW_ID, _) => {
            (Kind::AlreadyExists, None, false)
        }
        (CONSTRAINT_FOREIGN_KEY, _) => (Kind::Conflict, None, false),
        // 5 is SQLITE_BUSY (another process), 6 is SQLITE_LOCKED (this process).
        (_, 5 | 6) => (Kind::Unavailable, None, true),
        (_, 7 | 18) => (Kind::LimitExceeded, None, false),
        (_, 8 | 23 | 3) => (
            Kind::Denied,
            Some("let the user who runs Headwater write the file and its folder"),
            false,
        ),
        (_, 9) => (Kind::Cancelled, None, false),
        (_, 10) => (Kind::Io, Some("look at the disk and the system log"), false),
        (_, 11 | 26) => (Kind::Corrupt, Some(DAMAGED), false),
        (_, 13) => (Kind::Io, Some(DISK_FULL), false),
        (_, 14) => (Kind::Io, Some("check that its folder exists and may be written"), false),
        _ => (Kind::Internal, None, false),
    };
    Meaning { kind, hint, again }
}

fn postgres_meaning(code: &str) -> Meaning {
    let (kind, hint, again) = match code {
        // 23505 is a unique violation; 42P07 and 42710 are its likes for tables and other objects.
        "23505" | "42P07" | "42710" => (Kind::AlreadyExists, None, false),
        "23503" => (Kind::Conflict, None, false),
        // Serialisation failure and deadlock; 55P03 is a lock that was not to be had in time.
        "40001" | "40P01" | "55P03" => (Kind::Unavailable, None, true),
        "53100" => (Kind::Io, Some(DISK_FULL), false),
        "53200" | "54000" | "54001" | "54011" => (Kind::LimitExceeded, None, false),
        "53300" => (Kind::Unavailable, Some("raise `max_connections` of the database"), true),
        // The server stops, starts or fails over.
        "57P01" | "57P02" | "57P03" | "25006" => (Kind::Unavailable, None, true),
        "57014" => (Kind::Cancelled, None, false),
        "58030" => (Kind::Io, Some("look at the disk and the log of the database"), false),
        "XX001" | "XX002" => (Kind::Corrupt, Some(DAMAGED), false),
        "3D000" => (Kind::NotFound, Some("create the database that the URL names"), false),
        "42501" => (Kind::Denied, Some("grant the role the right to create tables"), false),
        _ if code.starts_with("28") => {
            (Kind::Denied, Some("check the user and the password in the database URL"), false)
        }
        _ if code.starts_with("08") => (Kind::Unavailable, None, true),
        _ => (Kind::Internal, None, false),
    };
    Meaning { kind, hint, again }
}
