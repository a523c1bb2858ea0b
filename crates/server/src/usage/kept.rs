//! Requests by day in the metadata database.
//!
//! In: what nodes counted. Out: rows that only grow in their numbers, until their days are over; and what they
//! say of the last days. An operation's coordinates are kept once. Not here: counting.

use base::{Result, Timestamp};
use futures::FutureExt as _;
use meta::{Database, Param, Tx};
use schema::usage::{Operation, Usage};

use super::{Counts, DAYS, Key, day_of};

/// Migrations of the tables of usage.
pub(crate) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE server_usage_operations (
        id TEXT PRIMARY KEY,
        operation TEXT NOT NULL,
        coordinates TEXT NOT NULL
    )",
    "CREATE TABLE server_usage (
        day BIGINT NOT NULL,
        operation TEXT NOT NULL,
        client TEXT NOT NULL,
        version TEXT NOT NULL,
        requests BIGINT NOT NULL,
        PRIMARY KEY (day, operation, client, version)
    )",
    "CREATE INDEX server_usage_operation ON server_usage (operation)",
];

fn name_of(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

type Statement = (&'static str, Vec<Param>);

/// Adds what was counted.
pub(super) async fn write(database: &Database, counts: &Counts, now: Timestamp) -> Result<()> {
    if counts.requests.is_empty() {
        return Ok(());
    }
    // All or nothing: what failed is written again.
    let mut statements: Vec<Statement> = Vec::with_capacity(counts.requests.len());
    let operations = counts.operations.iter().map(|(id, usage)| {
        let sql = "INSERT INTO server_usage_operations (id, operation, coordinates) \
                   VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
        let (operation, coordinates) = (usage.operation.as_str(), usage.coordinates.as_str());
        (sql, vec![name_of(id).into(), operation.into(), coordinates.into()])
    });
    statements.extend(operations);
    statements.extend(counts.requests.iter().map(|(key, requests)| added(key, *requests)));
    let oldest = day_of(now) - DAYS;
    database
        .write(move |tx| {
            let statements = statements.clone();
            async move {
                for (sql, params) in &statements {
                    tx.execute(sql, params).await?;
                }
                forget_before(tx, oldest).await
            }
            .boxed()
        })
        .await
}

fn added(key: &Key, requests: u64) -> Statement {
    let sql = "INSERT INTO server_usage (day, operation, client, version, requests) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (day, operation, client, version) \
               DO UPDATE SET requests = server_usage.requests + excluded.requests";
    let params = vec![
        key.day.into(),
        name_of(&key.operation).into(),
        key.asker.client.as_ref().into(),
        key.asker.version.as_ref().into(),
        i64::try_from(requests).unwrap_or(i64::MAX).into(),
    ];
    (sql, params)
}

/// Lets days go that are over, and operations that nobody asked since.
async fn forget_before(tx: &mut Tx, oldest: i64) -> Result<()> {
    let gone = tx.execute("DELETE FROM server_usage WHERE day < $1", &[oldest.into()]).await?;
    if gone > 0 {
        let sql = "DELETE FROM server_usage_operations WHERE NOT EXISTS \
                   (SELECT 1 FROM server_usage u WHERE u.operation = server_usage_operations.id)";
        tx.execute(sql, &[]).await?;
    }
    Ok(())
}

/// What was asked in the last days, the present one included, by operation and client.
pub(crate) async fn read(database: &Database, now: Timestamp, days: i64) -> Result<Usage> {
    let (today, since) = (day_of(now), day_of(now) - days + 1);
    let sql = "SELECT u.client, u.version, u.operation AS id, o.operation, o.coordinates, \
               CAST(SUM(u.requests) AS BIGINT) AS requests, MAX(u.day) AS last \
               FROM server_usage u JOIN server_usage_operations o ON o.id = u.operation \
               WHERE u.day >= $1 \
               GROUP BY u.client, u.version, u.operation, o.operation, o.coordinates \
               ORDER BY u.client, u.version, o.operation, u.operation";
    let rows = database.query(sql, &[since.into()]).await?;
    let operations = rows
        .iter()
        .map(|row| {
            Ok(Operation {
                client: row.text("client")?,
                version: row.text("version")?,
                operation: row.text("operation")?,
                requests: u64::try_from(row.int("requests")?).unwrap_or(0),
                days_ago: u64::try_from(today - row.int("last")?).unwrap_or(0),
                coordinates: row.text("coordinates")?.lines().map(str::to_owned).collect(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let first = database.query_one("SELECT MIN(day) AS first FROM server_usage", &[]).await?;
    let first = first.map(|row| row.opt_int("first")).transpose()?.flatten();
    let days = first.map_or(0, |first| (today - first.max(since) + 1).max(1));
    Ok(Usage { operations, days: u64::try_from(days).unwrap_or(0) })
}
