//! Commits of other tools beside what else happens to a table: holds of schema changes, and moves of
//! the objects that a node has missed (`place`).

use std::time::Duration;

use base::{Kind, Principal};
use frame::WriteOp;
use lake::Lake;
use lake::catalog::Swap;
use lake::rest::{Answer, Call, Ident, Refusal};
use object_store::ObjectStoreExt as _;
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

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_answered_by_how_things_are() {
    let lab = Lab::new(vec![film()]).await;
    let (lake, who) = (&lab.lake, Principal::local());
    let key = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    let namespace = vec!["tools".to_owned()];
    lake.rest(&Call::CreateNamespace, &json!({ "namespace": namespace }), &who, None)
        .await
        .unwrap();
    let call = Call::CreateTable(namespace);
    let field = json!({ "id": 1, "name": "id", "required": false, "type": "long" });
    let schema = json!({ "type": "struct", "schema-id": 0, "fields": [field] });
    let body = json!({ "name": "told", "schema": schema });
    let first = lake.rest(&call, &body, &who, Some(key)).await.unwrap();
    let location = |answer: &Answer| answer.body.as_ref().unwrap()["metadata-location"].clone();
    let kept = lake.rest(&call, &body, &who, Some(key)).await.unwrap();
    assert_eq!((location(&kept), &kept.reach), (location(&first), &first.reach));
    assert!(first.reach.is_some());
    // The node died after the commit and before the answer was kept.
    let sql = "UPDATE lake_rest_answers SET status = 1, body = '' WHERE name = $1";
    assert_eq!(lake.catalog().database().execute(sql, &[key.into()]).await.unwrap(), 1);
    let again = lake.rest(&call, &body, &who, Some(key)).await.unwrap();
    assert_eq!((location(&again), &again.reach), (location(&first), &first.reach));
}

#[tokio::test]
async fn a_commit_prepared_for_a_table_does_not_reach_another_one_of_its_name() {
    let lab = Lab::new(vec![film()]).await;
    let (lake, who) = (&lab.lake, Principal::local());
    let namespace = vec!["tools".to_owned()];
    lake.rest(&Call::CreateNamespace, &json!({ "namespace": namespace }), &who, None)
        .await
        .unwrap();
    let field = json!({ "id": 1, "name": "id", "required": false, "type": "long" });
    let schema = json!({ "type": "struct", "schema-id": 0, "fields": [field] });
    let body = json!({ "name": "told", "schema": schema });
    let table = Ident { namespace: namespace.clone(), name: "told".to_owned() };
    let create = Call::CreateTable(namespace);
    let first = lake.rest(&create, &body, &who, None).await.unwrap();
    let uuid = first.body.as_ref().unwrap()["metadata"]["table-uuid"].clone();
    lake.rest(&Call::DropTable { table: table.clone(), purge: false }, &json!({}), &who, None)
        .await
        .unwrap();
    lake.rest(&create, &body, &who, None).await.unwrap();
    let requirement = json!({ "type": "assert-table-uuid", "uuid": uuid });
    let update = json!({ "action": "set-properties", "updates": { "said": "x" } });
    let body = json!({ "requirements": [requirement], "updates": [update] });
    let refused = lake.rest(&Call::CommitTable(table), &body, &who, None).await.unwrap_err();
    assert_eq!(refused.kind, "CommitFailedException");
}

#[tokio::test]
async fn old_metadata_of_a_tools_table_goes_when_the_table_wants_it() {
    let lab = Lab::new(vec![film()]).await;
    let (lake, who) = (&lab.lake, Principal::local());
    let namespace = vec!["tools".to_owned()];
    lake.rest(&Call::CreateNamespace, &json!({ "namespace": namespace }), &who, None)
        .await
        .unwrap();
    let field = json!({ "id": 1, "name": "id", "required": false, "type": "long" });
    let schema = json!({ "type": "struct", "schema-id": 0, "fields": [field] });
    let properties = json!({
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "2",
    });
    let body = json!({ "name": "told", "schema": schema, "properties": properties });
    let made = lake.rest(&Call::CreateTable(namespace.clone()), &body, &who, None).await.unwrap();
    let mut locations = vec![made.body.unwrap()["metadata-location"].as_str().unwrap().to_owned()];
    let commit = Call::CommitTable(Ident { namespace, name: "told".to_owned() });
    for number in 0..4 {
        let said = json!({ "said": number.to_string() });
        let update = json!({ "action": "set-properties", "updates": said });
        let body = json!({ "requirements": [], "updates": [update] });
        let answer = lake.rest(&commit, &body, &who, None).await.unwrap();
        let location = &answer.body.unwrap()["metadata-location"];
        locations.push(location.as_str().unwrap().to_owned());
    }
    let mut there = Vec::new();
    for location in &locations {
        let path = lake.locations().path(location).unwrap();
        there.push(lake.config().objects.head(&path).await.is_ok());
    }
    assert_eq!(there, [false, false, true, true, true]);
}
