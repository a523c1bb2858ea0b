//! A change that is slowed down, paused, broken off in any of its phases, undone before its contract,
//! or contracted by the clock.

use std::time::{Duration, Instant};

use base::Principal;
use serde_json::{Value, json};
use server::{Project, operations};
use testkit::TempProject;

use crate::change::{
    FIELDS, Field, Row, all, all_expected, ask, base, old_fields, sdl, seed, seeds, with,
};
use crate::lab::{Lab, apply_request, open, run, runtime};

/// Longer than any of these changes takes.
const LONG: Duration = Duration::from_secs(60);

/// A column with a default, and other buckets: work before the switch, and after it.
fn wider() -> String {
    let fields = format!("{FIELDS} color: String! @column(default: \"'red'\")");
    sdl("id", ", bucket: {by: \"id\", count: 4}", &fields)
}

fn wider_fields() -> Vec<Field> {
    let mut fields = old_fields();
    fields.push(("color", |_| json!("red")));
    fields
}

/// A project with the rows of `seed` under version 1.
async fn seeded() -> (TempProject, Project) {
    let folder = TempProject::with_schema(&base());
    let (one, _) = open(&folder, "").await;
    run(&one, "apply", apply_request(&base())).await.unwrap();
    seed(&one, 1).await;
    (folder, one)
}

async fn assert_rows(project: &Project, version: i64, fields: &[Field]) {
    let seen = all(project, version, "items", fields).await;
    assert_eq!(seen, all_expected(&seeds(), fields), "version {version}");
}

/// What runs, is paused or is served, as `status` says it.
async fn running(project: &Project) -> String {
    run(project, "status", json!({})).await.unwrap()["running"].to_string()
}

#[test]
fn a_throttled_change_rests_between_its_units() {
    runtime().block_on(async {
        let (_folder, one) = seeded().await;
        let mut request = apply_request(&wider());
        request["throttle"] = json!(20);
        let began = Instant::now();
        run(&one, "apply", request).await.unwrap();
        // Two of three files of 20 rows are rewritten before the switch, a second's worth each.
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
        assert_rows(&one, 2, &wider_fields()).await;
    });
}

#[test]
fn a_paused_change_stops_before_its_next_unit_and_goes_on_when_it_is_told_to() {
    runtime().block_on(async {
        let (folder, one) = seeded().await;
        let (two, _) = open(&folder, "").await;
        let reached = tokio::sync::Notify::new();
        let mut report = |progress: server::wire::Progress| {
            // The first unit is written, and its rest begins.
            if progress.rows > 0 {
                reached.notify_one();
            }
        };
        let mut request = apply_request(&wider());
        request["throttle"] = json!(20);
        let owner = Principal::local();
        let apply = operations::call(&one, &owner, "apply", request, &mut report);
        let pause = async {
            reached.notified().await;
            run(&two, "applyPause", json!({})).await.unwrap()
        };
        let (applied, _) = tokio::join!(apply, pause);
        let refused = serde_json::to_value(applied.unwrap_err()).unwrap().to_string();
        assert!(refused.contains("was paused after step"), "{refused}");
        assert!(running(&two).await.contains("paused"), "{}", running(&two).await);
        // Nobody sees what was done, and everybody reads and writes as before.
        assert_rows(&two, 1, &old_fields()).await;
        let row = Row::new("s3".to_owned(), 3);
        let text = format!("mutation {{ upsertItem(input: {}) {{ node {{ id }} }} }}", row.input());
        ask(&two, 1, &text).await.unwrap();
        let resumed = json!({"schema": {"files": []}, "resume": true, "throttle": 100_000});
        let done = run(&two, "apply", resumed).await.unwrap();
        assert_eq!((&done["resumed"], &done["version"]), (&json!(true), &json!(2)), "{done}");
        assert_rows(&two, 2, &wider_fields()).await;
        assert_eq!(running(&two).await, "[]");
    });
}

/// Begins an apply and lets go of it when it reports for the time number `stop`, as a killed process
/// does: nothing is cleaned up. Whether it ended before.
async fn ends_before(project: &Project, request: Value, stop: usize) -> bool {
    let reached = tokio::sync::Notify::new();
    let mut reports = 0;
    let mut report = |_| {
        reports += 1;
        if reports == stop {
            reached.notify_one();
        }
    };
    let owner = Principal::local();
    let work = operations::call(project, &owner, "apply", request, &mut report);
    tokio::select! {
        biased;
        () = reached.notified() => false,
        done = work => {
            done.unwrap();
            true
        }
    }
}

/// Breaks the change off at each of its reports, and resumes it.
fn check_broken_off(new: &str, fields: &[Field]) {
    runtime().block_on(async {
        for stop in 1.. {
            let (folder, one) = seeded().await;
            let ended = ends_before(&one, apply_request(new), stop).await;
            // What broke off holds its lease by the clock that both have.
            let (two, clock) = open(&folder, "").await;
            clock.advance(60_000_000);
            if ended {
                assert!(stop > 4, "only {stop} reports");
                assert_rows(&two, 2, fields).await;
                return;
            }
            let version = two.live().deployed.version;
            let (request, before) = match version {
                1 => (json!({"schema": {"files": []}, "resume": true}), old_fields()),
                // The switch has happened, and the contract is left.
                _ => (apply_request(new), fields.to_vec()),
            };
            assert_rows(&two, version, &before).await;
            run(&two, "apply", request).await.unwrap();
            run(&two, "applyContract", json!({})).await.unwrap();
            assert_rows(&two, 2, fields).await;
            assert_eq!(running(&two).await, "[]", "broken off at report {stop}");
        }
    });
}

#[test]
fn a_change_that_breaks_off_anywhere_goes_on() {
    check_broken_off(&wider(), &wider_fields());
}

#[test]
fn a_move_to_the_other_format_that_breaks_off_anywhere_goes_on() {
    check_broken_off(&sdl("id", ", format: LANCE", FIELDS), &old_fields());
}

#[test]
fn a_new_key_that_breaks_off_anywhere_goes_on() {
    check_broken_off(&sdl("code", "", FIELDS), &old_fields());
}

#[test]
fn an_undo_before_the_contract_brings_back_what_was_dropped() {
    runtime().block_on(async {
        let (_folder, one) = seeded().await;
        let dropped = FIELDS.replace("note: String ", "");
        let mut request = apply_request(&sdl("id", "", &dropped));
        request["keepOld"] = json!(3_600_000);
        request["allowDestructive"] = json!(["Item.note"]);
        run(&one, "apply", request).await.unwrap();
        assert_rows(&one, 2, &with("note", None)).await;
        run(&one, "undo", json!({})).await.unwrap();
        assert_rows(&one, 3, &old_fields()).await;
        assert_eq!(running(&one).await, "[]");
    });
}

#[test]
fn a_round_of_maintenance_contracts_when_the_time_is_over() {
    let folder = TempProject::with_schema(&base());
    let lab = Lab::open(folder, "[maintenance]\nevery = \"1s\"\n", false);
    lab.call("apply", apply_request(&base())).done();
    let mut request = apply_request(&wider());
    request["keepOld"] = json!(3_600_000);
    lab.call("apply", request).done();
    let running = || lab.call("status", json!({})).done()["running"].to_string();
    assert!(running().contains("still served"), "{}", running());
    lab.clock.advance(3_601_000_000);
    let began = Instant::now();
    while running() != "[]" {
        assert!(began.elapsed() < LONG, "{}", running());
    }
}
