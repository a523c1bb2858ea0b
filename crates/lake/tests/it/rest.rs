//! Commits of other tools beside what else happens to a table: holds of schema changes, and moves of
//! the objects that a node has missed (`place`).

use std::time::Duration;

use base::{Kind, Principal};
use frame::WriteOp;
use lake::Lake;
use lake::catalog::Swap;
use lake::rest::{Answer, Call, Ident, Refusal};
use serde_json::json;

use crate::lab::{Lab, batch, film, row, write};

/// How long the hold of a test lasts.
const HELD: Duration = Duration::from_secs(10);

/// What a tool says that only changes a property of the table.
pub(crate) async fn set_property(lake: &Lake, value: &str) -> Result<Answer, Refusal> {
    let call = Call::CommitTable(Ident { namespace: vec!["test".into()], name: "films".into() });
    let update = json!({ "action": "set-properties", "updates": { "said": value } });
    let body = json!({ "requirements": [], "updates": [update] });
    lake.rest(&call, &body, &Principal::local(), None).await
}

/// Holds the table as a schema change of another node does.
async fn hold(lab: &Lab) {
    let table = lab.lake.table("Film").await.unwrap();
    let until = lab.clock.now().as_micros() + i64::try_from(HELD.as_micros()).unwrap();
    let sql = "INSERT INTO lake_holds (table_id, holder, until) VALUES ($1, $2, $3)";
    let params = [table.id.to_string().into(), "a change".into(), until.into()];
    lab.lake.catalog().database().execute(sql, &params).await.unwrap();
}

async fn holds(lab: &Lab) -> i64 {
    let sql = "SELECT COUNT(*) AS held FROM lake_holds";
    let row = lab.lake.catalog().database().query_one(sql, &[]).await.unwrap();
    row.unwrap().int("held").unwrap()
}

async fn filled() -> Lab {
    let lab = Lab::new(vec![film()]).await;
    let rows = vec![batch(&lab.lake, "Film", &[row("a", "t", 1)])];
    write(&lab.lake, "Film", WriteOp::Upsert(rows)).await.unwrap();
    lab
}

fn advance(lab: &Lab, by: Duration) {
    lab.clock.advance(i64::try_from(by.as_micros()).unwrap());
}

#[tokio::test]
async fn no_swap_passes_a_hold_and_the_first_after_it_takes_it_away() {
    let lab = filled().await;
    hold(&lab).await;
    let table = lab.lake.table("Film").await.unwrap();
    let swap = [Swap::metadata(&table, table.metadata_location.as_ref())];
    for _ in 0..2 {
        let refused = lab.lake.catalog().swap(&swap, &[]).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
        assert_eq!(lab.lake.table("Film").await.unwrap().version, table.version);
        assert_eq!(holds(&lab).await, 1, "whoever is refused breaks nothing");
        advance(&lab, HELD / 2 - Duration::from_micros(1));
    }
    advance(&lab, Duration::from_micros(2));
    lab.lake.catalog().swap(&swap, &[]).await.unwrap();
    assert_eq!(lab.lake.table("Film").await.unwrap().version, table.version + 1);
    assert_eq!(holds(&lab).await, 0, "its holder must learn that the table has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_another_tool_waits_for_a_held_table() {
    let lab = filled().await;
    hold(&lab).await;
    let before = lab.lake.table("Film").await.unwrap().version;
    let lake = lab.lake.clone();
    let mut commit = Box::pin(set_property(&lake, "late"));
    // It looks at the table many times meanwhile, and finds it held.
    let looks = async {
        for _ in 0..200 {
            assert_eq!(lab.lake.table("Film").await.unwrap().version, before);
        }
    };
    tokio::select! {
        done = &mut commit => panic!("it passed the hold: {done:?}"),
        () = looks => {}
    }
    advance(&lab, HELD);
    let answer = commit.await.unwrap().body.unwrap();
    let end = lab.clock.now().as_micros() / 1000;
    assert_eq!(answer["metadata"]["properties"]["said"], "late");
    assert_eq!(answer["metadata"]["last-updated-ms"], end, "it was made after the hold");
    assert_eq!((lab.lake.table("Film").await.unwrap().version, holds(&lab).await), (before + 1, 0));
}
