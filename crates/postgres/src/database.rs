//! The database behind `Scan` and `Write`. In: requests. Out: answers, read within the limits that are set;
//! a table that turns out to be another than the catalog said is looked up again, once, and so is a question
//! asked again whose connection was lost. Not here: what statements say (`scan`, `aggregate`, `write`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use base::{Error, Kind, Result};
use frame::convert::batch_of;
use frame::{BatchStream, Field, Scan, ScanRequest, Value, Write, WriteReceipt, WriteRequest};
use futures::TryStreamExt as _;
use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Postgres, Row};

use crate::catalog::{self, Bound};
use crate::failure::{failure, has_changed, is_lost};
use crate::scan::{self, Asked, NOW};
use crate::settings::{self, Connection, Settings};
use crate::statement::Statement;
use crate::table::Table;
use crate::{aggregate, decode, keys, write};

/// Rows in one batch of an answer.
const BATCH_ROWS: usize = 8_192;

/// A database with the connections to it; tables of several schemas may share one.
pub struct Database {
    pub(crate) pool: PgPool,
    pub(crate) settings: Settings,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Database {
    /// A database to which nothing is connected yet: what is wrong beyond the address shows when it is asked.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(connection: &Connection, settings: Settings) -> Result<Database> {
        Ok(Database { pool: settings::pool(connection, &settings)?, settings })
    }

    /// Connections that are open now.
    pub fn connections(&self) -> u32 {
        self.pool.size()
    }

    /// Closes all connections and waits until they are.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Tables of a database.
#[derive(Debug)]
pub struct Tables {
    database: Arc<Database>,
    tables: HashMap<Arc<str>, Table>,
    /// What the catalog says of those that were asked for.
    bound: Mutex<HashMap<Arc<str>, Arc<Bound>>>,
}

/// Why a statement has no answer.
enum Trouble {
    /// The database or the way to it.
    Driver(sqlx::Error),
    /// Its answer.
    Answer { column: usize, error: Error },
    /// A limit of ours.
    Limit(Error),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Trouble::Driver(error)
    }
}

/// The rows of an answer, by column order.
type Rows = Vec<Vec<Value>>;

impl Tables {
    /// These tables of a database.
    pub fn new(database: Arc<Database>, tables: impl IntoIterator<Item = Table>) -> Tables {
        let tables = tables.into_iter().map(|table| (Arc::clone(&table.name), table)).collect();
        Tables { database, tables, bound: Mutex::default() }
    }

    fn table(&self, name: &str) -> Result<&Table> {
        let known = self.tables.get(name);
        known.ok_or_else(|| Error::not_found(format!("there is no table `{name}`")))
    }

    /// The table as the database has it.
    pub(crate) async fn bound(&self, name: &str) -> Result<Arc<Bound>> {
        if let Some(known) = self.bound.lock().get(name) {
            return Ok(Arc::clone(known));
        }
        let bound = Arc::new(catalog::bind(&self.database.pool, self.table(name)?).await?);
        self.bound.lock().insert(Arc::clone(&bound.name), Arc::clone(&bound));
        Ok(bound)
    }

    /// The answer to a question, which is made anew when the table has changed.
    async fn ask(
        &self,
        table: &str,
        make: impl Fn(&Bound) -> Result<Asked> + Send + Sync,
        fault: impl Fn(usize) -> Option<Error> + Send + Sync,
    ) -> Result<(Vec<Field>, Rows)> {
        let mut again = true;
        loop {
            let bound = self.bound(table).await?;
            let asked = make(&bound)?;
            let trouble = match self.rows(&asked).await {
                Ok(rows) => return Ok((asked.fields, rows)),
                Err(trouble) => trouble,
            };
            let error = match trouble {
                Trouble::Driver(error) => error,
                Trouble::Answer { column, error } => return Err(fault(column).unwrap_or(error)),
                Trouble::Limit(error) => return Err(error),
            };
            let (changed, lost) = (has_changed(&error), is_lost(&error));
            if changed {
                self.bound.lock().remove(table);
            }
            if !std::mem::take(&mut again) || !(changed || lost) {
                return Err(failure("read", table, error));
            }
        }
    }

    /// Runs a statement and reads its answer within the limits.
    async fn rows(&self, asked: &Asked) -> Result<Rows, Trouble> {
        let mut connection = self.database.pool.acquire().await?;
        let read = self.read(&mut connection, asked).await;
        if let Err(Trouble::Driver(error)) = &read
            && has_changed(error)
        {
            // What was prepared for the earlier form of the table would fail again.
            connection.clear_cached_statements().await?;
        }
        read
    }

    async fn read(
        &self,
        connection: &mut PoolConnection<Postgres>,
        asked: &Asked,
    ) -> Result<Rows, Trouble> {
        let arguments = asked.statement.bound().map_err(sqlx::Error::Encode)?;
        let query = sqlx::query_with(AssertSqlSafe(asked.statement.text.as_str()), arguments);
        let mut answer = query.fetch(&mut **connection);
        let (mut rows, mut bytes) = (Vec::new(), 0_usize);
        while let Some(row) = answer.try_next().await? {
            rows.push(values(&row, &asked.fields, &mut bytes)?);
            self.check_size(rows.len(), bytes).map_err(Trouble::Limit)?;
        }
        Ok(rows)
    }

    fn check_size(&self, rows: usize, bytes: usize) -> Result<()> {
        let settings = &self.database.settings;
        let (what, most) = match (rows > settings.rows, bytes > settings.bytes) {
            (true, _) => ("rows", settings.rows),
            (_, true) => ("bytes", settings.bytes),
            _ => return Ok(()),
        };
        let words = format!("an answer of the database has more than {most} {what}");
        Err(Error::new(Kind::LimitExceeded, words)
            .hint("ask for fewer rows with `first` and `where`"))
    }

    /// Runs statements in one transaction; each says how many rows it must touch, if that matters.
    pub(crate) async fn change(&self, table: &str, changes: Vec<write::Change>) -> Result<u64> {
        let told = |error| failure("change", table, error);
        let mut connection = self.database.pool.acquire().await.map_err(told)?;
        let mut transaction = connection.begin().await.map_err(told)?;
        let mut touched = 0;
        for change in changes {
            let arguments = change.statement.bound().map_err(sqlx::Error::Encode).map_err(told)?;
            let text = AssertSqlSafe(change.statement.text.as_str());
            let done = sqlx::query_with(text, arguments).execute(&mut *transaction).await;
            let rows = done.map_err(|error| {
                if has_changed(&error) {
                    self.bound.lock().remove(table);
                }
                told(error)
            });
            let rows = rows?.rows_affected();
            if rows == 0
                && let Some(missing) = change.missing
            {
                transaction.rollback().await.map_err(told)?;
                return Err(missing);
            }
            touched += rows;
        }
        transaction.commit().await.map_err(told)?;
        Ok(touched)
    }

    /// Whether rows may be changed.
    pub(crate) fn is_writable(&self) -> bool {
        self.database.settings.writable
    }
}

fn values(row: &PgRow, fields: &[Field], bytes: &mut usize) -> Result<Vec<Value>, Trouble> {
    let each = fields.iter().enumerate().map(|(column, field)| {
        let raw = row.try_get_raw(column)?;
        let raw = match sqlx::ValueRef::is_null(&raw) {
            true => None,
            false => Some(raw.as_bytes().map_err(sqlx::Error::Decode)?),
        };
        *bytes += raw.map_or(0, <[u8]>::len);
        decode::value(raw, field).map_err(|error| Trouble::Answer { column, error })
    });
    each.collect()
}

/// An answer in batches; one without rows is one batch, too.
fn batches(fields: &[Field], rows: &Rows) -> Result<Vec<RecordBatch>> {
    if rows.is_empty() {
        return Ok(vec![batch_of::<Vec<Value>>(fields, &[])?]);
    }
    rows.chunks(BATCH_ROWS).map(|rows| batch_of(fields, rows)).collect()
}

#[async_trait]
impl Scan for Tables {
    async fn scan(&self, request: ScanRequest) -> Result<BatchStream> {
        let table = self.table(&request.table)?;
        if table.relation.is_none() {
            let batch = keys::rows(table, &request)?;
            return Ok(Box::pin(futures::stream::iter([Ok(batch)])));
        }
        let most = self.database.settings.rows;
        let asked = |bound: &Bound| match &request.aggregate {
            Some(asked) => aggregate::groups(bound, &request, asked, most),
            None => scan::rows(bound, &request, most),
        };
        let fault = |column| {
            request.aggregate.as_ref().and_then(|asked| aggregate::too_large(asked, column))
        };
        let (fields, rows) = self.ask(&request.table, asked, fault).await?;
        let batches = batches(&fields, &rows)?;
        Ok(Box::pin(futures::stream::iter(batches.into_iter().map(Ok))))
    }

    async fn count(&self, request: ScanRequest) -> Result<u64> {
        let counted = Field::new("count", frame::DataType::Long, false);
        let asked = |bound: &Bound| {
            let statement: Statement = scan::count(bound, &request)?;
            Ok(Asked { statement, fields: vec![counted.clone()] })
        };
        let (_, rows) = self.ask(&request.table, asked, |_| None).await?;
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Int(count)) => Ok(count.cast_unsigned()),
            _ => Err(Error::internal("the database counted nothing")),
        }
    }

    async fn snapshot(&self, table: &str) -> Result<i64> {
        self.table(table).map(|_| NOW)
    }
}

#[async_trait]
impl Write for Tables {
    async fn write(&self, request: WriteRequest) -> Result<WriteReceipt> {
        if !self.is_writable() {
            let words = format!("rows of `{}` are only read", request.table);
            return Err(
                Error::new(Kind::Denied, words).hint("`@source(write: true)` allows changes")
            );
        }
        let bound = self.bound(&request.table).await?;
        let changes = write::changes(&bound, &request)?;
        let rows = self.change(&request.table, changes).await?;
        Ok(WriteReceipt { snapshot: NOW, rows, replayed: false })
    }
}
