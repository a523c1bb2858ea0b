//! A move of the objects as two nodes see it: what each reads and writes at every step, a node that
//! missed the move, and clocks that jump.

use std::path::Path as FilePath;
use std::sync::Arc;

use base::ids::NodeId;
use base::rng::Rng;
use base::{Kind, Principal};
use frame::WriteOp;
use futures::FutureExt;
use lake::place::{Opener, Phase, Place};
use lake::rest::Call;
use lake::store::LocalStore;
use lake::{Config, Lake};
use schema::plan::Step;
use serde_json::json;

use crate::lab::{self, Lab, batch, film, row, write};
use crate::rest::set_property;

fn opener(folder: &FilePath) -> Opener {
    let folder = folder.to_path_buf();
    Arc::new(move |name| {
        let path = folder.join(name);
        async move { Ok(Arc::new(LocalStore::open(&path)?) as _) }.boxed()
    })
}

/// A node of the lab's project whose objects may move.
async fn node(lab: &Lab, seed: u64) -> (Lake, Place) {
    let database = lab.lake.config().database.clone();
    let id = NodeId::generate(&Rng::seeded(seed));
    let place = Place::open(database, id, "objects", opener(lab.folder.path())).await.unwrap();
    let config =
        Config { objects: place.objects(), rng: Rng::seeded(seed), ..lab.lake.config().clone() };
    let lake = Lake::open(config, lab.lake.schema()).await.unwrap();
    lake.set_place(place.clone());
    (lake, place)
}

async fn upsert(lake: &Lake, id: &str) -> base::Result<()> {
    let rows = vec![batch(lake, "Film", &[row(id, "t", 1)])];
    write(lake, "Film", WriteOp::Upsert(rows)).await.map(|_| ())
}

/// The objects below a folder of the lab.
fn files(lab: &Lab, folder: &str) -> usize {
    let mut found = 0;
    let mut folders = vec![lab.folder.path().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found += 1 }
        }
    }
    found
}

#[tokio::test]
async fn a_move_is_followed_by_all_nodes_and_loses_nothing() {
    let lab = Lab::new(vec![film()]).await;
    let (first, mover) = node(&lab, 2).await;
    let (second, follower) = node(&lab, 3).await;
    upsert(&first, "a").await.unwrap();
    let follow = async {
        loop {
            follower.follow().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let moved = async { mover.migrate(&lab.clock, "elsewhere", &|_| {}).await.unwrap() };
    let moved = tokio::select! { moved = moved => moved, () = follow => unreachable!() };
    assert_eq!((moved.place.as_str(), moved.kept.as_str()), ("elsewhere", "objects"));
    assert!(moved.objects > 3, "{moved:?}");
    let old = files(&lab, "objects");
    upsert(&second, "b").await.unwrap();
    assert_eq!(files(&lab, "objects"), old, "new objects go to the new place");
    assert_eq!(lab::rows(&first, "Film").await.len(), 2);
    // The same move again has nothing to do.
    let again = mover.migrate(&lab.clock, "elsewhere", &|_| {}).await.unwrap();
    assert_eq!(again.objects, 0);
    let refused = mover.migrate(&lab.clock, "third", &|_| {}).await.unwrap_err();
    assert_eq!(refused.message(), "the objects are moving to `elsewhere` already");
    follower.follow().await.unwrap();
    let removed = mover.finish(&lab.clock, &|_| {}).await.unwrap();
    assert_eq!((removed.place.as_str(), removed.kept.as_str()), ("elsewhere", ""));
    assert_eq!(files(&lab, "objects"), 0);
    follower.follow().await.unwrap();
    upsert(&second, "c").await.unwrap();
    assert_eq!(lab::rows(&first, "Film").await.len(), 3);
    first.verify().await.unwrap();
    let refused = mover.finish(&lab.clock, &|_| {}).await.unwrap_err();
    assert_eq!(refused.message(), "there is no move to finish");
}

/// Ends the move until the first old object is removed, and dies then; gives the objects that are left.
async fn half_finish(lab: &Lab, mover: &Place) -> usize {
    let removing = tokio::sync::Notify::new();
    let report = |report: lake::place::MoveReport| {
        if report.what == "remove old objects" {
            removing.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = removing.notified() => {}
        done = mover.finish(&lab.clock, &report) => panic!("it ended: {done:?}"),
    }
    files(lab, "objects")
}

#[tokio::test]
async fn a_removal_of_old_objects_that_died_goes_on() {
    let lab = Lab::new(vec![film()]).await;
    let (lake, mover) = node(&lab, 2).await;
    upsert(&lake, "a").await.unwrap();
    let moved = mover.migrate(&lab.clock, "elsewhere", &|_| {}).await.unwrap();
    let left = half_finish(&lab, &mover).await;
    assert!(left > 0 && (left as u64) < moved.objects, "{left} of {}", moved.objects);
    assert_eq!(mover.stored().await.unwrap().phase, Phase::Switched);
    assert_eq!(lab::rows(&lake, "Film").await.len(), 1);
    // Half a minute later, whoever gives the same command ends it, and can move back.
    let late = base::Clock::fixed(base::Timestamp::from_micros(
        lab.clock.now().as_micros() + 30 * 1_000_000,
    ));
    mover.finish(&late, &|_| {}).await.unwrap();
    assert_eq!(files(&lab, "objects"), 0);
    mover.migrate(&late, "objects", &|_| {}).await.unwrap();
    mover.finish(&late, &|_| {}).await.unwrap();
    assert_eq!((files(&lab, "elsewhere"), lab::rows(&lake, "Film").await.len()), (0, 1));
    lake.verify().await.unwrap();
}

#[tokio::test]
async fn a_node_that_missed_a_whole_move_must_not_commit() {
    let lab = Lab::new(vec![film()]).await;
    let (sleeper, sleeping) = node(&lab, 2).await;
    upsert(&sleeper, "a").await.unwrap();
    let (lake, mover) = node(&lab, 3).await;
    mover.migrate(&lab.clock, "elsewhere", &|_| {}).await.unwrap();
    // It still writes to the old place; the others look there, too, and the end of the move copies it.
    upsert(&sleeper, "b").await.unwrap();
    assert_eq!(lab::rows(&lake, "Film").await.len(), 2);
    mover.finish(&lab.clock, &|_| {}).await.unwrap();
    assert_eq!(lab::rows(&lake, "Film").await.len(), 2);
    let refused = upsert(&sleeper, "c").await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable, "{refused}");
    // Nor when it has heard of the move since: what it staged before may be lost.
    sleeping.follow().await.unwrap();
    assert_eq!(upsert(&sleeper, "d").await.unwrap_err().kind(), Kind::Unavailable);
    upsert(&lake, "e").await.unwrap();
    assert_eq!(lab::rows(&lake, "Film").await.len(), 3);
    lake.verify().await.unwrap();
    // Started again, it is a node like any other.
    let (again, _) = node(&lab, 4).await;
    upsert(&again, "f").await.unwrap();
    assert_eq!(lab::rows(&lake, "Film").await.len(), 4);
}

#[tokio::test]
async fn a_node_that_missed_a_whole_move_commits_nothing_for_other_tools() {
    let lab = Lab::new(vec![film()]).await;
    let (sleeper, _) = node(&lab, 2).await;
    upsert(&sleeper, "a").await.unwrap();
    let free = json!({ "namespace": ["free"] });
    sleeper.rest(&Call::CreateNamespace, &free, &Principal::local(), None).await.unwrap();
    let (lake, mover) = node(&lab, 3).await;
    set_property(&sleeper, "before").await.unwrap();
    mover.migrate(&lab.clock, "elsewhere", &|_| {}).await.unwrap();
    mover.finish(&lab.clock, &|_| {}).await.unwrap();
    let refused = set_property(&sleeper, "after").await.unwrap_err();
    assert_eq!((refused.status, refused.kind.as_str()), (503, "ServiceUnavailableException"));
    let field = json!({ "id": 1, "name": "id", "required": true, "type": "long" });
    let schema = json!({ "type": "struct", "schema-id": 0, "fields": [field] });
    let call = Call::CreateTable(vec!["free".into()]);
    let body = json!({ "name": "made", "schema": schema });
    let refused = sleeper.rest(&call, &body, &Principal::local(), None).await.unwrap_err();
    assert_eq!((refused.status, refused.kind.as_str()), (503, "ServiceUnavailableException"));
    // Nor does it change the schema.
    let (old, new) = (sleeper.schema(), lab::schema_of(vec![film(), lab::play()]));
    let step = Step::CreateTable { type_name: "Play".into() };
    let refused = sleeper.execute_step(&step, &old, &new, &|_| {}).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable, "{refused}");
    let table = lake.table("Film").await.unwrap();
    assert_eq!(table.iceberg().unwrap().properties()["said"], "before");
    lake.rest(&call, &body, &Principal::local(), None).await.unwrap();
    lake.verify().await.unwrap();
}

#[tokio::test]
async fn a_place_that_is_not_empty_is_refused_before_anything_happens() {
    let lab = Lab::new(vec![film()]).await;
    let (lake, place) = node(&lab, 2).await;
    upsert(&lake, "a").await.unwrap();
    std::fs::create_dir(lab.folder.path().join("full")).unwrap();
    std::fs::write(lab.folder.path().join("full/x"), "x").unwrap();
    let refused = place.migrate(&lab.clock, "full", &|_| {}).await.unwrap_err();
    assert_eq!(refused.message(), "`full` is not empty: it has `x`");
    assert_eq!(place.stored().await.unwrap().phase, Phase::Settled);
}

/// A mover whose clock jumps ahead takes the lease of one that lives; the fence keeps the first from
/// changing the place any more.
#[tokio::test]
async fn a_clock_that_jumps_never_lets_two_movers_change_the_place() {
    let lab = Lab::new(vec![film()]).await;
    let (lake, first) = node(&lab, 2).await;
    let (_, second) = node(&lab, 3).await;
    upsert(&lake, "a").await.unwrap();
    let ahead = base::Clock::fixed(base::Timestamp::from_micros(
        lab.clock.now().as_micros() + 3600 * 1_000_000,
    ));
    let slow = first.migrate(&lab.clock, "one", &|_| {}).boxed();
    let fast = second.migrate(&ahead, "two", &|_| {}).boxed();
    let (slow, fast) = futures::future::join(slow, fast).await;
    let won = [&slow, &fast].iter().filter(|result| result.is_ok()).count();
    assert!(won <= 1, "{slow:?} {fast:?}");
    for refused in [slow, fast].into_iter().filter_map(Result::err) {
        assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
    }
    // Whoever won, the move can be ended from there.
    let stored = first.stored().await.unwrap();
    let target = if stored.phase == Phase::Copying { stored.other } else { stored.place };
    let late = base::Clock::fixed(base::Timestamp::from_micros(
        ahead.now().as_micros() + 3600 * 1_000_000,
    ));
    first.migrate(&late, &target, &|_| {}).await.unwrap();
    second.follow().await.unwrap();
    first.finish(&late, &|_| {}).await.unwrap();
    assert_eq!(lab::rows(&lake, "Film").await.len(), 1);
    lake.verify().await.unwrap();
}
