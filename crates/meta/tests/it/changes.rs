//! Change counters: they grow with commits and only with them.

use base::{Error, Result};
use futures::FutureExt;
use meta::{Database, changes};

use crate::backends::on_each;

async fn bump(database: &Database, commits: bool) -> Result<i64> {
    database
        .write(move |tx| {
            async move {
                let counter = changes::bump(tx, "tables").await?;
                if commits { Ok(counter) } else { Err(Error::invalid("rolled back")) }
            }
            .boxed()
        })
        .await
}

#[tokio::test]
async fn a_counter_grows_with_committed_changes_only() {
    on_each(async |place| {
        let database = place.open().await;
        assert_eq!(changes::poll(&database, "tables").await.unwrap(), 0);
        assert_eq!(bump(&database, true).await.unwrap(), 1);
        assert!(bump(&database, false).await.is_err());
        assert_eq!(bump(&database, true).await.unwrap(), 2);
        assert_eq!(changes::poll(&database, "tables").await.unwrap(), 2);
        assert_eq!(changes::poll(&database, "other").await.unwrap(), 0);
        let all = changes::poll_each(&database, ["other", "tables"]).await.unwrap();
        assert_eq!(all, [0, 2], "each by itself, in the order of the question");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_two_handles_lose_no_change() {
    on_each(async |place| {
        let handles = [place.open().await, place.open().await];
        let writers = (0..4).map(|index| {
            let database = handles[index % 2].clone();
            base::task::spawn("writer", async move {
                for _ in 0..15 {
                    bump(&database, true).await?;
                }
                Ok::<(), Error>(())
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(changes::poll(&handles[0], "tables").await.unwrap(), 60);
    })
    .await;
}
