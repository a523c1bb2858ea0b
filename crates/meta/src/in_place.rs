//! Small reads of a SQLite file on the thread that asks. In: a statement for at most one row. Out: its
//! rows. Not here: long reads and everything that writes (`transaction`).
//!
//! The driver behind [`crate::Tx`] gives every connection a thread of its own, so that each statement
//! costs two wake-ups, several times what SQLite needs to look a row up by its key. A row that is
//! looked up in place costs a few microseconds, and it is as fresh: the statement sees every commit,
//! also of other processes, that had returned before it began. Whatever does not go smoothly here is
//! left to the driver, which tries again and words what it cannot do.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};

use crate::{Param, Row};

/// Connections that wait for the next read; a thread that finds none opens one.
const IDLE: usize = 8;
/// Statements that each connection keeps prepared.
const PREPARED: usize = 64;

/// The reading connections of one file.
#[derive(Debug)]
pub(crate) struct InPlace {
    file: PathBuf,
    /// Nothing once the database is closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl InPlace {
    pub(crate) fn new(file: &Path) -> InPlace {
        InPlace { file: file.to_owned(), idle: Mutex::new(Some(Vec::new())) }
    }

    /// The rows, or nothing when the driver has to be asked.
    pub(crate) fn query(&self, sql: &str, params: &[Param]) -> Option<Vec<Row>> {
        let connection = match self.idle.lock().as_mut()?.pop() {
            Some(connection) => connection,
            None => self.connect().ok()?,
        };
        let rows = rows(&connection, sql, params);
        // A connection that failed may be in any state.
        let rows = rows.ok().flatten()?;
        if let Some(idle) = self.idle.lock().as_mut().filter(|idle| idle.len() < IDLE) {
            idle.push(connection);
        }
        Some(rows)
    }

    /// Closes the connections; no read is answered here any more.
    pub(crate) fn close(&self) {
        let closed = self.idle.lock().take();
        drop(closed);
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags)?;
        // Whoever would have to wait is not served in place.
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Ok(connection)
    }
}

/// The rows of a statement; nothing when a value is not one of ours.
fn rows(
    connection: &Connection,
    sql: &str,
    params: &[Param],
) -> rusqlite::Result<Option<Vec<Row>>> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let names: std::sync::Arc<[String]> =
        statement.column_names().into_iter().map(str::to_owned).collect();
    let (mut found, mut rows) = (Vec::new(), statement.raw_query());
    while let Some(row) = rows.next()? {
        let values = (0..names.len()).map(|index| row.get_ref(index).map(param));
        let values: rusqlite::Result<Option<Vec<Param>>> = values.collect();
        let Some(values) = values? else { return Ok(None) };
        found.push(Row::new(std::sync::Arc::clone(&names), values));
    }
    Ok(Some(found))
}

/// Binds by the number in the placeholder: SQLite itself numbers them as they come.
fn bind(statement: &mut CachedStatement<'_>, params: &[Param]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let number = statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok());
        let number: usize = number.unwrap_or(index);
        let param = number.checked_sub(1).and_then(|at| params.get(at));
        let param = param.ok_or(rusqlite::Error::InvalidParameterCount(params.len(), number))?;
        statement.raw_bind_parameter(index, value(param))?;
    }
    Ok(())
}

fn value(param: &Param) -> Value {
    match param {
        Param::Null => Value::Null,
        Param::Int(value) => Value::Integer(*value),
        Param::Float(value) => Value::Real(*value),
        Param::Text(value) => Value::Text(value.clone()),
        Param::Blob(value) => Value::Blob(value.clone()),
        Param::Bool(value) => Value::Integer(i64::from(*value)),
    }
}

fn param(value: ValueRef<'_>) -> Option<Param> {
    Some(match value {
        ValueRef::Null => Param::Null,
        ValueRef::Integer(value) => Param::Int(value),
        ValueRef::Real(value) => Param::Float(value),
        ValueRef::Text(value) => Param::Text(std::str::from_utf8(value).ok()?.to_owned()),
        ValueRef::Blob(value) => Param::Blob(value.to_vec()),
    })
}
