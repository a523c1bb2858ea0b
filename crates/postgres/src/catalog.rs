//! What the database says of its tables. In: a [`Table`] and the catalog. Out: a [`Bound`] table, whose
//! columns are known to hold what their fields say, with the names and types that statements use; or the
//! first reason why not, with what to write instead. Asked once, and again when a statement finds the table
//! changed.

use std::sync::Arc;

use base::{Error, Kind, Result};
use frame::{DataType, Field};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{AssertSqlSafe, Row};

use crate::failure::failure;
use crate::statement::quoted;
use crate::table::{Column, Table};

/// Types of the database, by their fixed numbers.
pub(crate) mod oid {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const CHAR: u32 = 18;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const NUMERIC: u32 = 1700;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const JSONB: u32 = 3802;
}

/// A table as the database has it.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The name of the type.
    pub(crate) name: Arc<str>,
    /// The relation as a statement writes it.
    pub(crate) relation: String,
    /// The columns, in the order of the table's.
    pub(crate) columns: Vec<BoundColumn>,
    /// The fields of the key.
    pub(crate) key: Vec<Arc<str>>,
}

/// A column as the database has it.
#[derive(Clone, Debug)]
pub(crate) struct BoundColumn {
    /// Its name, its type and whether it may be null, as questions have it.
    pub(crate) field: Field,
    /// Its name as a statement writes it.
    pub(crate) quoted: String,
    /// The type of the column, of a list that of its items.
    pub(crate) form: Form,
}

/// A type of the database that is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Its number.
    pub(crate) oid: u32,
    /// The number of lists of it.
    pub(crate) list: u32,
    /// Of an enum its values.
    pub(crate) labels: Option<Arc<[String]>>,
    /// Whether texts that differ may be equal.
    pub(crate) loose: bool,
}

/// The columns of a relation, those of domains as the types behind them, those of lists as their items.
const COLUMNS: &str = "WITH RECURSIVE col AS (
  SELECT a.attnum, a.attname, a.atttypid AS typ, a.atttypmod AS mod, a.attcollation AS coll, 0 AS depth
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT col.attnum, col.attname, t.typbasetype,
    CASE WHEN col.mod = -1 THEN t.typtypmod ELSE col.mod END, col.coll, col.depth + 1
  FROM col JOIN pg_catalog.pg_type t ON t.oid = col.typ WHERE t.typtype = 'd'
), base AS (
  SELECT DISTINCT ON (attnum) * FROM col ORDER BY attnum, depth DESC
)
SELECT base.attname::text AS name, pg_catalog.format_type(base.typ, base.mod) AS shown, base.mod AS mod,
  (item.oid IS NOT NULL) AS is_list, coalesce(item.oid, t.oid)::int8 AS oid,
  coalesce(item.typarray, t.typarray)::int8 AS list,
  (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
    WHERE e.enumtypid = coalesce(item.oid, t.oid)) AS labels,
  NOT coalesce(c.collisdeterministic, true) AS loose
FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typ
LEFT JOIN pg_catalog.pg_type item ON item.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_catalog.pg_collation c ON c.oid = base.coll";

/// What the catalog says of one column.
struct Found {
    name: String,
    shown: String,
    modifier: i32,
    is_list: bool,
    form: Form,
}

/// Asks the database for a table. What does not fit is for operators to mend, and told to the log.
pub(crate) async fn bind(pool: &PgPool, table: &Table) -> Result<Bound> {
    let looked_up = look_up(pool, table).await;
    looked_up.map_err(|error| match error.kind() {
        Kind::Internal => {
            let words =
                format!("the database's table of `{}` is not as the schema says", table.name);
            Error::internal(words).caused_by(error)
        }
        _ => error,
    })
}

async fn look_up(pool: &PgPool, table: &Table) -> Result<Bound> {
    let Some(called) = &table.relation else {
        return Err(Error::internal(format!("`{}` is no table of the database", table.name)));
    };
    let relation = relation(called);
    let asked = sqlx::query(AssertSqlSafe(COLUMNS)).bind(&relation).fetch_all(pool).await;
    let told = |error| failure("look up", &table.name, error);
    let rows = asked.map_err(told)?;
    let found: Vec<Found> = rows.iter().map(found).collect::<sqlx::Result<_>>().map_err(told)?;
    if found.is_empty() {
        return Err(misfit(format!("the database has no table `{called}`"))
            .hint("`@table(name:)` says how the database calls it, with its schema: \"sales.orders\"; or its user may not see it"));
    }
    let columns = table.columns.iter().map(|column| bound(called, column, &found));
    Ok(Bound {
        name: Arc::clone(&table.name),
        relation,
        columns: columns.collect::<Result<_>>()?,
        key: table.key.clone(),
    })
}

/// `schema.table` as a statement writes it.
fn relation(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(name),
    }
}

fn found(row: &PgRow) -> sqlx::Result<Found> {
    let number = |name: &str| {
        row.try_get::<i64, _>(name).map(|number| u32::try_from(number).unwrap_or_default())
    };
    Ok(Found {
        name: row.try_get("name")?,
        shown: row.try_get("shown")?,
        modifier: row.try_get("mod")?,
        is_list: row.try_get("is_list")?,
        form: Form {
            oid: number("oid")?,
            list: number("list")?,
            labels: row.try_get::<Option<Vec<String>>, _>("labels")?.map(Into::into),
            loose: row.try_get("loose")?,
        },
    })
}

fn bound(called: &str, column: &Column, found: &[Found]) -> Result<BoundColumn> {
    let Some(known) = found.iter().find(|known| *known.name == *column.column) else {
        let words = format!("table `{called}` has no column `{}`", column.column);
        return Err(misfit(words).hint("`@column(name:)` says how the database calls it"));
    };
    let field = &column.field;
    let fits = match &field.data_type {
        DataType::List { item, .. } => {
            known.is_list && holds(item, known) && !is_textual(item, known)
        }
        single => !known.is_list && holds(single, known),
    };
    if !fits {
        let words = format!(
            "column `{}` of `{called}` is `{}`, which `{}` of type `{}` does not hold",
            known.name, known.shown, field.name, field.data_type
        );
        return Err(
            misfit(words).hint("the guide says which type holds which; a view can cast the column")
        );
    }
    Ok(BoundColumn { field: field.clone(), quoted: quoted(&known.name), form: known.form.clone() })
}

fn misfit(words: String) -> Error {
    Error::internal(words)
}

/// Whether the values of a type of the database are all values of ours. One that may have values beyond,
/// as a `numeric` without digits, is checked value by value.
fn holds(data_type: &DataType, found: &Found) -> bool {
    let oid = found.form.oid;
    match data_type {
        DataType::Boolean => oid == oid::BOOL,
        DataType::Int => [oid::INT2, oid::INT4].contains(&oid),
        DataType::Long => [oid::INT2, oid::INT4, oid::INT8].contains(&oid),
        DataType::Float => [oid::FLOAT4, oid::FLOAT8].contains(&oid),
        DataType::Decimal { precision, scale } => {
            oid == oid::NUMERIC && digits_fit(found.modifier, *precision, *scale)
        }
        DataType::String => {
            found.form.labels.is_some()
                || [oid::TEXT, oid::VARCHAR, oid::BPCHAR, oid::NAME, oid::CHAR].contains(&oid)
                || is_textual(data_type, found)
        }
        DataType::Bytes => oid == oid::BYTEA,
        DataType::Date => oid == oid::DATE,
        DataType::DateTime => [oid::TIMESTAMP, oid::TIMESTAMPTZ].contains(&oid),
        DataType::Uuid => oid == oid::UUID,
        DataType::Json => [oid::JSON, oid::JSONB].contains(&oid),
        DataType::Vector { .. } | DataType::List { .. } | DataType::Struct(_) => false,
    }
}

/// Whether text stands for something else: keys are often numbers that an `ID` shows as text.
fn is_textual(data_type: &DataType, found: &Found) -> bool {
    *data_type == DataType::String && found.form.is_number_or_uuid()
}

/// Whether all of `numeric(p, s)` fits; the database keeps both in one number.
fn digits_fit(modifier: i32, precision: u8, scale: u8) -> bool {
    if modifier < 4 {
        return true;
    }
    let packed = modifier - 4;
    let (digits, own) = (packed >> 16 & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024);
    let (precision, scale) = (i32::from(precision), i32::from(scale));
    own <= scale && digits - own <= precision - scale
}

impl Form {
    /// Whether it is one of those that text may stand for.
    pub(crate) fn is_number_or_uuid(&self) -> bool {
        [oid::INT2, oid::INT4, oid::INT8, oid::UUID].contains(&self.oid)
    }
}

impl Bound {
    /// The column of a field.
    pub(crate) fn column(&self, field: &str) -> Result<&BoundColumn> {
        self.columns.iter().find(|column| *column.field.name == *field).ok_or_else(|| {
            Error::not_found(format!("table `{}` has no field `{field}`", self.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_with_their_schema_apart() {
        assert_eq!(relation("orders"), "\"orders\"");
        assert_eq!(relation("sales.Orders \"b\""), "\"sales\".\"Orders \"\"b\"\"\"");
    }

    #[test]
    fn digits_fit_when_both_parts_do() {
        let modifier = |precision: i32, scale: i32| (precision << 16 | scale & 0x7ff) + 4;
        assert!(digits_fit(-1, 12, 2));
        assert!(digits_fit(modifier(12, 2), 12, 2));
        assert!(digits_fit(modifier(10, 0), 12, 2));
        assert!(!digits_fit(modifier(12, 0), 12, 2));
        assert!(!digits_fit(modifier(5, 3), 12, 2));
        assert!(digits_fit(modifier(3, -2), 5, 0));
    }
}
