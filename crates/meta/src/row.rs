//! Rows that come out of queries. In: a driver's row. Out: [`Row`], plain values by column name,
//! alike for both databases. Not here: running the query (`transaction`).

use std::sync::Arc;

use base::{Error, Kind, Result};
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Row as _, TypeInfo, ValueRef};

use crate::Param;

/// One row; values are asked for by column name.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    names: Arc<[String]>,
    values: Vec<Param>,
}

impl Row {
    /// Values in the order of the column names.
    pub(crate) fn new(names: Arc<[String]>, values: Vec<Param>) -> Row {
        Row { names, values }
    }

    /// The column names, in the order of the query.
    pub fn columns(&self) -> &[String] {
        &self.names
    }

    /// The values, in the order of the query.
    pub fn values(&self) -> &[Param] {
        &self.values
    }

    /// A `BIGINT` that is not null.
    pub fn int(&self, column: &str) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    /// A `BIGINT`, or `None` when it is null.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        match self.value(column)? {
            Param::Null => Ok(None),
            Param::Int(value) => Ok(Some(*value)),
            other => Err(mistyped(column, "a BIGINT", other)),
        }
    }

    /// A `TEXT` that is not null.
    pub fn text(&self, column: &str) -> Result<String> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// A `TEXT`, or `None` when it is null.
    pub fn opt_text(&self, column: &str) -> Result<Option<String>> {
        match self.value(column)? {
            Param::Null => Ok(None),
            Param::Text(value) => Ok(Some(value.clone())),
            other => Err(mistyped(column, "a TEXT", other)),
        }
    }

    /// A `BLOB` that is not null.
    pub fn blob(&self, column: &str) -> Result<Vec<u8>> {
        self.opt_blob(column)?.ok_or_else(|| null(column))
    }

    /// A `BLOB`, or `None` when it is null.
    pub fn opt_blob(&self, column: &str) -> Result<Option<Vec<u8>>> {
        match self.value(column)? {
            Param::Null => Ok(None),
            Param::Blob(value) => Ok(Some(value.clone())),
            other => Err(mistyped(column, "a BLOB", other)),
        }
    }

    /// A `BOOLEAN` that is not null.
    pub fn bool(&self, column: &str) -> Result<bool> {
        match self.value(column)? {
            Param::Null => Err(null(column)),
            Param::Bool(value) => Ok(*value),
            // SQLite has no booleans of its own and keeps them as 0 and 1.
            Param::Int(0) => Ok(false),
            Param::Int(1) => Ok(true),
            other => Err(mistyped(column, "a BOOLEAN", other)),
        }
    }

    /// A `DOUBLE PRECISION` that is not null.
    pub fn float(&self, column: &str) -> Result<f64> {
        self.opt_float(column)?.ok_or_else(|| null(column))
    }

    /// A `DOUBLE PRECISION`, or `None` when it is null.
    pub fn opt_float(&self, column: &str) -> Result<Option<f64>> {
        match self.value(column)? {
            Param::Null => Ok(None),
            Param::Float(value) => Ok(Some(*value)),
            Param::Int(value) => Ok(Some(*value as f64)),
            other => Err(mistyped(column, "a DOUBLE PRECISION", other)),
        }
    }

    fn value(&self, column: &str) -> Result<&Param> {
        let index = self.names.iter().position(|name| name == column).ok_or_else(|| {
            Error::internal(format!(
                "the query has no column `{column}`; it has `{}`",
                self.names.join("`, `")
            ))
        })?;
        Ok(&self.values[index])
    }
}

fn null(column: &str) -> Error {
    Error::internal(format!("column `{column}` of the metadata database is null"))
}

fn mistyped(column: &str, expected: &str, found: &Param) -> Error {
    let found = match found {
        Param::Null => "null",
        Param::Int(_) => "a BIGINT",
        Param::Float(_) => "a DOUBLE PRECISION",
        Param::Text(_) => "a TEXT",
        Param::Blob(_) => "a BLOB",
        Param::Bool(_) => "a BOOLEAN",
    };
    Error::internal(format!(
        "column `{column}` of the metadata database holds {found}, not {expected}"
    ))
}

/// Reads a row of SQLite by the storage class of each value.
pub(crate) fn from_sqlite(row: &SqliteRow, names: &mut Option<Arc<[String]>>) -> Result<Row> {
    let names = shared_names(names, || row.columns().iter().map(|c| c.name().to_owned()).collect());
    let mut values = Vec::with_capacity(names.len());
    for index in 0..names.len() {
        values.push(sqlite_value(row, index).map_err(|error| undecodable(&names[index], error))?);
    }
    Ok(Row { names, values })
}

fn sqlite_value(row: &SqliteRow, index: usize) -> sqlx::Result<Param> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Param::Null);
    }
    let class = raw.type_info().name().to_owned();
    Ok(match class.as_str() {
        "INTEGER" => Param::Int(row.try_get_unchecked(index)?),
        "REAL" => Param::Float(row.try_get_unchecked(index)?),
        "BLOB" => Param::Blob(row.try_get_unchecked(index)?),
        "BOOLEAN" => Param::Bool(row.try_get_unchecked(index)?),
        _ => Param::Text(row.try_get_unchecked(index)?),
    })
}

/// Reads a row of a Postgres-wire database by the declared type of each column.
pub(crate) fn from_postgres(row: &PgRow, names: &mut Option<Arc<[String]>>) -> Result<Row> {
    let names = shared_names(names, || row.columns().iter().map(|c| c.name().to_owned()).collect());
    let mut values = Vec::with_capacity(names.len());
    for index in 0..names.len() {
        values.push(postgres_value(row, index, &names[index])?);
    }
    Ok(Row { names, values })
}

fn postgres_value(row: &PgRow, index: usize, column: &str) -> Result<Param> {
    let wrap = |error| undecodable(column, error);
    let raw = row.try_get_raw(index).map_err(wrap)?;
    if raw.is_null() {
        return Ok(Param::Null);
    }
    let declared = raw.type_info().name().to_owned();
    Ok(match declared.as_str() {
        "BOOL" => Param::Bool(row.try_get(index).map_err(wrap)?),
        "INT8" => Param::Int(row.try_get(index).map_err(wrap)?),
        "INT4" => Param::Int(i64::from(row.try_get::<i32, _>(index).map_err(wrap)?)),
        "INT2" => Param::Int(i64::from(row.try_get::<i16, _>(index).map_err(wrap)?)),
        "FLOAT8" => Param::Float(row.try_get(index).map_err(wrap)?),
        "FLOAT4" => Param::Float(f64::from(row.try_get::<f32, _>(index).map_err(wrap)?)),
        "BYTEA" => Param::Blob(row.try_get(index).map_err(wrap)?),
        "TEXT" | "VARCHAR" | "NAME" | "CHAR" | "UNKNOWN" => {
            Param::Text(row.try_get_unchecked(index).map_err(wrap)?)
        }
        "NUMERIC" => numeric(&raw, column)?,
        other => return Err(unoffered(column, other)),
    })
}

/// Reads the binary form of `NUMERIC`, which is what Postgres makes of `SUM(BIGINT)`: a count of
/// base-10000 digits, the weight of the first, a sign and a scale, then the digits.
fn numeric(raw: &PgValueRef<'_>, column: &str) -> Result<Param> {
    let bytes = raw.as_bytes().map_err(|error| unoffered(column, &error.to_string()))?;
    let words: Vec<i16> =
        bytes.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
    let [_, weight, sign, _, digits @ ..] = words.as_slice() else {
        return Err(unoffered(column, "NUMERIC"));
    };
    let negative = match sign.cast_unsigned() {
        0x0000 => false,
        0x4000 => true,
        _ => return Err(unoffered(column, "NUMERIC that is not finite")),
    };
    let mut whole: i128 = 0;
    for place in 0..=i32::from(*weight) {
        let digit = digits.get(place.cast_unsigned() as usize).copied().unwrap_or(0);
        whole = whole.saturating_mul(10_000).saturating_add(i128::from(digit));
    }
    let fractions = usize::try_from(i32::from(*weight) + 1).unwrap_or(0);
    if digits.iter().skip(fractions).any(|digit| *digit != 0) || *weight < -1 {
        return Err(unoffered(column, "NUMERIC with a fraction"));
    }
    i64::try_from(if negative { -whole } else { whole })
        .map(Param::Int)
        .map_err(|_| unoffered(column, "NUMERIC beyond a BIGINT"))
}

fn shared_names(
    names: &mut Option<Arc<[String]>>,
    read: impl FnOnce() -> Vec<String>,
) -> Arc<[String]> {
    Arc::clone(names.get_or_insert_with(|| read().into()))
}

fn undecodable(column: &str, error: sqlx::Error) -> Error {
    Error::new(Kind::Corrupt, format!("failed to read column `{column}` of the metadata database"))
        .caused_by(error)
}

fn unoffered(column: &str, declared: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("column `{column}` of the metadata database has the type {declared}"),
    )
    .hint("cast it to BIGINT, DOUBLE PRECISION, TEXT, BLOB or BOOLEAN in the query")
}
