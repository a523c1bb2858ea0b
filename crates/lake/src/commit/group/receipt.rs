//! What is remembered of changes that have an idempotency key.
//!
//! In: a key and what it stands for. Out: the change that was made for it within the last day; statements that
//! belong to the commit of a change. Not here: what a change is (`fingerprint`).

use base::{Error, Kind, Result, Timestamp};
use meta::Param;

use crate::catalog::Statement;
use crate::lake::Lake;

/// How long a repeated idempotency key finds its first change.
const REMEMBERED: i64 = 24 * 3600 * 1_000_000;

/// An earlier change with the same idempotency key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Earlier {
    pub(crate) snapshot: i64,
    pub(crate) rows: u64,
}

/// The change that an idempotency key stands for, when it was made within the last day. The same
/// key for another change is a `Conflict` that no repetition cures.
pub(crate) async fn earlier(lake: &Lake, key: &str, request: &str) -> Result<Option<Earlier>> {
    let since = lake.config().clock.now().as_micros() - REMEMBERED;
    let sql = "SELECT request, snapshot, row_count FROM lake_receipts WHERE name = $1 AND at >= $2";
    let params = [key.into(), since.into()];
    let Some(row) = lake.catalog().database().query_one(sql, &params).await? else {
        return Ok(None);
    };
    if row.text("request")? != request {
        return Err(key_is_taken(Some(key)));
    }
    let rows = u64::try_from(row.int("row_count")?).unwrap_or(0);
    Ok(Some(Earlier { snapshot: row.int("snapshot")?, rows }))
}

/// A receipt that exists by now was written by another process: the next attempt finds it.
pub(crate) fn taken_meanwhile(error: Error) -> Error {
    if error.kind() != Kind::AlreadyExists {
        return error;
    }
    Error::new(Kind::Conflict, "the same change was committed meanwhile").caused_by(error)
}

pub(super) fn key_is_taken(key: Option<&str>) -> Error {
    let text = format!("the idempotency key `{}` was used for another change", key.unwrap_or(""));
    Error::new(Kind::Conflict, text).hint("use a new key for each change")
}

/// The statement that forgets changes of more than a day ago, so that their names are free again.
pub(crate) fn forget_old(now: Timestamp) -> Statement {
    let before = now.as_micros() - REMEMBERED;
    ("DELETE FROM lake_receipts WHERE at < $1".to_owned(), vec![before.into()])
}

/// The statement that remembers a change; it fails when the name is taken.
pub(crate) fn receipt(
    key: &str,
    request: &str,
    snapshot: i64,
    rows: u64,
    now: Timestamp,
) -> Statement {
    let sql = "INSERT INTO lake_receipts (name, request, snapshot, row_count, at) \
               VALUES ($1, $2, $3, $4, $5)";
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let params: Vec<Param> =
        vec![key.into(), request.into(), snapshot.into(), rows.into(), now.as_micros().into()];
    (sql.to_owned(), params)
}
