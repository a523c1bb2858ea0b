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

/// The sum of the counters of several topics, read in a transaction of its own: it grows when any
/// of them changes.
pub async fn poll_all(database: &Database, topics: &[&str]) -> Result<i64> {
    let marks: Vec<String> = (1..=topics.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(counter), 0) AS BIGINT) AS counter FROM meta_changes \
         WHERE topic IN ({})",
        marks.join(", ")
    );
    let topics: Vec<Param> = topics.iter().map(|topic| (*topic).into()).collect();
    database.query_one(&sql, &topics).await?.map_or(Ok(0), |row| row.int("counter"))
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
