//! Several processes on one database, and processes that are killed in the middle of a write.

use std::process::Command;
use std::time::Duration;

use base::rng::Rng;
use meta::{Database, changes};
use testkit::Victim;

use crate::backends::{Place, on_each};

fn worker(place: &Place, topic: &str, count: u64) -> Victim {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meta-worker"));
    Victim::spawn(command.args([place.url.as_str(), topic, &count.to_string()]))
}

async fn stored(database: &Database, topic: &str) -> Vec<i64> {
    let sql = "SELECT number FROM test_writes WHERE topic = $1 ORDER BY number";
    let rows = database.query(sql, &[topic.into()]).await.expect("rows");
    rows.iter().map(|row| row.int("number").expect("a number")).collect()
}

#[tokio::test]
async fn two_processes_count_exactly() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let workers = ["one", "two"].map(|topic| worker(&place, topic, 40));
        for worker in workers {
            let (lines, ended_well) = worker.finish();
            assert!(ended_well);
            assert_eq!(lines.len(), 40);
        }
        assert_eq!(changes::poll(&database, "shared").await.unwrap(), 80);
        for topic in ["one", "two"] {
            assert_eq!(changes::poll(&database, topic).await.unwrap(), 40);
            assert_eq!(stored(&database, topic).await, (0..40).collect::<Vec<_>>());
        }
    })
    .await;
}

#[tokio::test]
async fn a_killed_process_loses_no_acknowledged_write() {
    on_each(async |place| {
        let database = place.open_with_tables().await;
        let rng = Rng::seeded(20);
        let mut total = 0;
        for run in 0..6 {
            let topic = format!("run {run}");
            let victim = worker(&place, &topic, 100_000);
            let lines = victim.kill_at_random(&rng, 40, Duration::from_millis(20));
            let stored = stored(&database, &topic).await;
            // One write may have been committed without its line; none may be half there.
            assert!(stored.len() == lines.len() || stored.len() == lines.len() + 1);
            assert_eq!(stored, (0..stored.len() as i64).collect::<Vec<_>>());
            let counted = changes::poll(&database, &topic).await.unwrap();
            assert_eq!(counted, stored.len() as i64);
            total += counted;
        }
        assert_eq!(changes::poll(&database, "shared").await.unwrap(), total);
    })
    .await;
}
