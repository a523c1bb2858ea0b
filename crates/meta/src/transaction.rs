//! One transaction. In: statements and values. Out: counts of changed rows, and rows. Not here:
//! beginning it (`pool`), and trying it again (`database`).
//!
//! A transaction that is dropped before its commit is rolled back, so cancelling a future is safe
//! at any point. After a failed statement the transaction accepts no other and cannot commit: that
//! is how Postgres behaves, and it is made to hold on SQLite too, so that code written on one
//! database runs on the other.

use std::fmt;
use std::sync::Arc;

use base::{Error, Kind, Result};
use futures::TryStreamExt;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::sqlite::SqliteArguments;
use sqlx::{
    Arguments, AssertSqlSafe, Encode, Executor, PgConnection, Postgres, SqliteConnection, Type,
};

use crate::dialect::for_postgres;
use crate::failure::{Failure, failure};
use crate::pool::{Begun, Mode, Pool, Reader};
use crate::row::{from_postgres, from_sqlite};
use crate::{Param, Row};

/// Rows that one query may return; metadata is small, so more is a mistake.
const ROW_LIMIT: usize = 1_000_000;

/// A transaction in progress.
pub struct Tx {
    place: Arc<str>,
    mode: Mode,
    begun: Begun,
    failed: Option<Verdict>,
}

/// Whether the statement that failed is worth another attempt of the whole transaction.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    again: bool,
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("place", &self.place).field("mode", &self.mode).finish()
    }
}

impl Tx {
    pub(crate) async fn begin(pool: &Pool, mode: Mode) -> Result<Tx, Failure> {
        let begun = pool.begin(mode).await?;
        Ok(Tx { place: pool.place().into(), mode, begun, failed: None })
    }

    /// Runs one statement that returns no rows; gives the number of rows that it changed.
    pub async fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64> {
        if self.mode == Mode::Read {
            return Err(self.refuse("a read transaction was asked to execute a statement"));
        }
        self.check_usable()?;
        let done = match &mut self.begun {
            Begun::Sqlite(tx) => {
                let query = sqlx::query_with(AssertSqlSafe(sql), sqlite_arguments(params)?);
                (&mut **tx).execute(query).await.map(|done| done.rows_affected())
            }
            Begun::Postgres(tx) => {
                let sql = for_postgres(sql).into_owned();
                let query = sqlx::query_with(AssertSqlSafe(sql), postgres_arguments(params)?);
                (&mut **tx).execute(query).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(|error| self.fail(sql, error))
    }

    /// Runs one statement and gives all rows that it returns.
    pub async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>> {
        self.check_usable()?;
        let rows = match &mut self.begun {
            Begun::Sqlite(tx) => rows_of_sqlite(tx, sql, params).await,
            Begun::Postgres(tx) => rows_of_postgres(tx, sql, params).await,
        };
        match rows {
            Ok(rows) => rows,
            Err(error) => Err(self.fail(sql, error)),
        }
    }

    /// Runs one statement that returns at most one row; more are an internal error.
    pub async fn query_one(&mut self, sql: &str, params: &[Param]) -> Result<Option<Row>> {
        at_most_one(sql, self.query(sql, params).await?)
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.begun, Begun::Postgres(_))
    }

    /// Runs several statements, separated by semicolons, without values.
    pub(crate) async fn execute_script(&mut self, sql: &str) -> Result<()> {
        self.check_usable()?;
        let done = match &mut self.begun {
            Begun::Sqlite(tx) => {
                (&mut **tx).execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
            }
            Begun::Postgres(tx) => {
                let sql = for_postgres(sql).into_owned();
                (&mut **tx).execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
            }
        };
        done.map_err(|error| self.fail(sql, error))
    }

    /// Ends the transaction as the caller's outcome and the statements' success demand.
    pub(crate) async fn finish<T>(self, outcome: Result<T>) -> Result<T, Failure> {
        match (self.failed, outcome) {
            (None, Ok(value)) => self.commit().await.map(|()| value),
            (Some(Verdict { again: true }), Err(error)) => Err(self.undo(error, true).await),
            (Some(Verdict { again: true }), Ok(_)) => Err(self.undo(ignored(), true).await),
            (Some(Verdict { again: false }), Ok(_)) => Err(self.undo(ignored(), false).await),
            (_, Err(error)) => Err(self.undo(error, false).await),
        }
    }

    async fn commit(self) -> Result<(), Failure> {
        let is_postgres = self.is_postgres();
        let done = match self.begun {
            Begun::Sqlite(tx) => tx.commit().await,
            Begun::Postgres(tx) => tx.commit().await,
        };
        let Err(error) = done else { return Ok(()) };
        let answered = matches!(error, sqlx::Error::Database(_));
        let failed = failure(&self.place, "commit to", error);
        if is_postgres && !answered && self.mode == Mode::Write {
            return Err(Failure::last(unknown_outcome(failed.error)));
        }
        Err(failed)
    }

    /// Rolls back; a rollback that fails leaves it to the end of the connection, which both
    /// databases take as one.
    async fn undo(self, error: Error, again: bool) -> Failure {
        let done = match self.begun {
            Begun::Sqlite(tx) => tx.rollback().await,
            Begun::Postgres(tx) => tx.rollback().await,
        };
        if let Err(error) = done {
            tracing::debug!(place = %self.place, %error, "a rollback failed");
        }
        Failure { error, again }
    }

    fn check_usable(&self) -> Result<()> {
        match self.failed {
            None => Ok(()),
            Some(_) => Err(Error::internal(
                "a statement follows one that failed in the same metadata transaction",
            )),
        }
    }

    /// Notes that the transaction is lost and words why.
    fn fail(&mut self, sql: &str, error: sqlx::Error) -> Error {
        let failed = failed(&self.place, self.mode, sql, error);
        self.failed = Some(Verdict { again: failed.again });
        failed.error
    }

    fn refuse(&mut self, message: &str) -> Error {
        self.failed = Some(Verdict { again: false });
        Error::internal(message)
    }
}

/// Words why a statement failed.
fn failed(place: &str, mode: Mode, sql: &str, error: sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|e| e.code()).map(|c| c.into_owned());
    if mode == Mode::Read && matches!(code.as_deref(), Some("25006" | "8")) {
        let refused = Error::internal("a read transaction was asked to change data");
        return Failure::last(refused.caused_by(error));
    }
    let failed = failure(place, "run a statement on", error);
    match failed.error.kind() {
        // The statement helps whoever wrote it; users can do nothing with it.
        Kind::Internal => {
            let error = failed.error.context(format!("failed to run the statement: {sql}"));
            Failure { error, again: failed.again }
        }
        _ => failed,
    }
}

/// One reading statement without a transaction around it: a single statement sees one snapshot by
/// itself, and beginning and ending a transaction would each be a way to the database and back.
pub(crate) async fn read_once(
    pool: &Pool,
    sql: &str,
    params: &[Param],
) -> Result<Vec<Row>, Failure> {
    let rows = match &mut pool.reader().await? {
        Reader::Sqlite(connection) => rows_of_sqlite(connection, sql, params).await,
        Reader::Postgres(connection) => rows_of_postgres(connection, sql, params).await,
    };
    match rows {
        Ok(rows) => rows.map_err(Failure::last),
        Err(error) => Err(failed(pool.place(), Mode::Read, sql, error)),
    }
}

async fn rows_of_sqlite(
    connection: &mut SqliteConnection,
    sql: &str,
    params: &[Param],
) -> sqlx::Result<Result<Vec<Row>>> {
    let arguments = match sqlite_arguments(params) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(Err(error)),
    };
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
    let mut names = None;
    collect(connection.fetch(query), |row| from_sqlite(&row, &mut names)).await
}

async fn rows_of_postgres(
    connection: &mut PgConnection,
    sql: &str,
    params: &[Param],
) -> sqlx::Result<Result<Vec<Row>>> {
    let arguments = match postgres_arguments(params) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(Err(error)),
    };
    let query = sqlx::query_with(AssertSqlSafe(for_postgres(sql).into_owned()), arguments);
    let mut names = None;
    collect(connection.fetch(query), |row| from_postgres(&row, &mut names)).await
}

/// The only row, if there is one.
pub(crate) fn at_most_one(sql: &str, mut rows: Vec<Row>) -> Result<Option<Row>> {
    if rows.len() > 1 {
        let count = rows.len();
        return Err(Error::internal(format!("a query for at most one row gave {count}: {sql}")));
    }
    Ok(rows.pop())
}

fn ignored() -> Error {
    Error::internal(
        "a failed statement of a metadata transaction was ignored; nothing is committed",
    )
}

fn unknown_outcome(error: Error) -> Error {
    Error::new(
        Kind::Unavailable,
        "the connection to the metadata database broke during a commit: it may or may not have \
         happened",
    )
    .hint("read the state again before you repeat the change")
    .may_have_happened()
    .caused_by(error)
}

/// Gathers rows up to the limit; the outer error is the driver's, the inner one ours.
async fn collect<R>(
    mut stream: impl futures::Stream<Item = sqlx::Result<R>> + Unpin,
    mut read: impl FnMut(R) -> Result<Row>,
) -> sqlx::Result<Result<Vec<Row>>> {
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        if rows.len() == ROW_LIMIT {
            return Ok(Err(Error::new(
                Kind::LimitExceeded,
                format!("a query on the metadata database gave more than {ROW_LIMIT} rows"),
            )));
        }
        match read(row) {
            Ok(row) => rows.push(row),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(rows))
}

fn sqlite_arguments(params: &[Param]) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for param in params {
        match param.clone() {
            Param::Null => arguments.add(None::<i64>),
            Param::Int(value) => arguments.add(value),
            Param::Float(value) => arguments.add(value),
            Param::Text(value) => arguments.add(value),
            Param::Blob(value) => arguments.add(value),
            Param::Bool(value) => arguments.add(value),
        }
        .map_err(unbindable)?;
    }
    Ok(arguments)
}

fn postgres_arguments(params: &[Param]) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for param in params {
        match param.clone() {
            Param::Null => arguments.add(UntypedNull),
            Param::Int(value) => arguments.add(value),
            Param::Float(value) => arguments.add(value),
            Param::Text(value) => arguments.add(value),
            Param::Blob(value) => arguments.add(value),
            Param::Bool(value) => arguments.add(value),
        }
        .map_err(unbindable)?;
    }
    Ok(arguments)
}

fn unbindable(error: BoxDynError) -> Error {
    Error::invalid("failed to bind a value to a statement on the metadata database")
        .caused_by(error)
}

/// A null whose type Postgres takes from where it stands in the statement.
struct UntypedNull;

impl Type<Postgres> for UntypedNull {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for UntypedNull {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}
