//! Change polling: a counter per topic that grows with every change, in the writer's own
//! transaction. In: a topic. Out: its counter. Not here: what changed; whoever sees a counter grow
//! reads the tables again.

use base::Result;
use futures::FutureExt;

use crate::{Database, Param, Tx};

pub(crate) const TABLE: &str = "CREATE TABLE meta_changes (
    topic TEXT NOT NULL PRIMARY KEY,
    counter BIGINT NOT NULL
)";

const BUMP: &str = "INSERT INTO meta_changes (topic, counter) VALUES ($1, 1)
    ON CONFLICT (topic) DO UPDATE SET counter = meta_changes.counter + 1";

/// Counts one change of `topic`, if the transaction commits; gives the new counter.
pub async fn bump(tx: &mut Tx, topic: &str) -> Result<i64> {
    let row = tx.query_one(&format!("{BUMP} RETURNING counter"), &[topic.into()]).await?;
    row.map_or(Ok(0), |row| row.int("counter"))
}

/// The statement that counts one change of `topic`, for a transaction that takes statements.
pub fn statement(topic: &str) -> (String, Vec<Param>) {
    (BUMP.to_owned(), vec![topic.into()])
}

/// The counter of `topic`; 0 when it never changed.
pub async fn current(tx: &mut Tx, topic: &str) -> Result<i64> {
    let row =
        tx.query_one("SELECT counter FROM meta_changes WHERE topic = $1", &[topic.into()]).await?;
    row.map_or(Ok(0), |row| row.int("counter"))
}

/// The counters of several topics, each by itself and in their order, read as one row.
pub async fn poll_each<const N: usize>(database: &Database, topics: [&str; N]) -> Result<[i64; N]> {
    let counter = |number: usize| {
        format!(
            "COALESCE((SELECT counter FROM meta_changes WHERE topic = ${number}), 0) AS c{number}"
        )
    };
    let counters: Vec<String> = (1..=N).map(counter).collect();
    let sql = format!("SELECT {}", counters.join(", "));
    let mut found = [0; N];
    if let Some(row) = database.query_one(&sql, &topics.map(Param::from)).await? {
        for (number, counter) in (1..).zip(&mut found) {
            *counter = row.int(&format!("c{number}"))?;
        }
    }
    Ok(found)
}

/// The counter of `topic`, read in a transaction of its own.
pub async fn poll(database: &Database, topic: &str) -> Result<i64> {
    let topic = topic.to_owned();
    database
        .read(move |tx| {
            let topic = topic.clone();
            async move { current(tx, &topic).await }.boxed()
        })
        .await
}
