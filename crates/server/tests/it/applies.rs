//! Applying a schema: resumed after it broke off, refused when its base moved or rows would be lost
//! unnamed, one at a time, and undone.

use std::sync::mpsc;

use base::Principal;
use serde_json::{Value, json};
use server::operations;
use testkit::TempProject;

use crate::lab::{ITEMS, Lab, SHOP, apply_request, open, run, runtime};

/// Drops a field, a table, and adds a field.
fn narrower() -> String {
    let (items, _) = SHOP.split_once("\"What somebody").unwrap();
    let items = items.replace("  reviews(first: Int = 10): [Review!]! @ref(by: \"itemId\")\n", "");
    items.replace("price: Float", "color: String")
}

fn with_color() -> String {
    SHOP.replace("price: Float", "price: Float\n  color: String")
}

/// Begins an apply and lets go of it when it reports its step number `stop`, as a killed process
/// does: nothing is cleaned up.
fn break_off(folder: &TempProject, request: Value, stop: usize) {
    let runtime = runtime();
    runtime.block_on(async {
        let (project, _) = open(folder, "").await;
        let reached = tokio::sync::Notify::new();
        let mut steps = 0;
        let mut report = |_| {
            steps += 1;
            if steps == stop {
                reached.notify_one();
            }
        };
        let owner = Principal::local();
        let work = operations::call(&project, &owner, "apply", request, &mut report);
        tokio::select! {
            biased;
            () = reached.notified() => {}
            done = work => panic!("it ended: {done:?}"),
        }
    });
}

/// Opens the folder when the lease of whoever broke off is over.
fn reopen(folder: TempProject) -> Lab {
    // The lease ends by the clock of the lab; what broke off took it at the same START.
    let lab = Lab::open(folder, "", false);
    lab.clock.advance(31_000_000);
    lab
}

#[test]
fn an_apply_that_broke_off_goes_on_where_it_stopped() {
    for stop in 1..=2 {
        let folder = TempProject::with_schema(SHOP);
        break_off(&folder, apply_request(SHOP), stop);
        let lab = reopen(folder);
        assert_eq!(lab.get("/health").json()["schemaVersion"], 0);
        let running = lab.call("status", json!({})).done()["running"].clone();
        assert!(running[0].as_str().unwrap().starts_with("apply by "), "{running}");
        let done = lab.call("apply", json!({"schema": {"files": []}, "resume": true})).done();
        assert_eq!((&done["resumed"], &done["version"]), (&json!(true), &json!(1)), "{done}");
        let lab = lab.with_items();
        assert_eq!(lab.rows("SELECT count(*) FROM reviews"), json!([["0"]]));
        assert_eq!(lab.call("status", json!({})).done()["running"], json!([]));
    }
}

#[test]
fn the_same_apply_goes_on_without_being_told_to_resume() {
    let folder = TempProject::with_schema(SHOP);
    break_off(&folder, apply_request(SHOP), 2);
    let lab = reopen(folder);
    let done = lab.call("apply", apply_request(SHOP)).done();
    assert_eq!(done["resumed"], true, "{done}");
}

#[test]
fn another_apply_waits_until_the_broken_one_is_finished() {
    let folder = TempProject::with_schema(SHOP);
    break_off(&folder, apply_request(SHOP), 2);
    let lab = reopen(folder);
    let error = lab.call("apply", apply_request(&with_color())).error();
    assert_eq!(error["code"], "CONFLICT", "{error}");
    assert!(error["message"].as_str().unwrap().contains("was interrupted after step"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("apply --resume"), "{error}");
}

#[test]
fn nothing_to_resume_is_said() {
    let error = Lab::new().call("apply", json!({"schema": {"files": []}, "resume": true})).error();
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("NOT_FOUND"), &json!("no apply was interrupted"))
    );
}

#[test]
fn a_step_that_fails_is_named_and_the_apply_can_be_resumed() {
    let lab = Lab::new().with_items();
    let objects = lab.folder.path().join(".headwater/objects");
    let aside = lab.folder.path().join("aside");
    let before = lab.call("status", json!({})).done();
    // The disk goes away under the rewrite of a column.
    let wider = SHOP.replace("price: Float", "price: String");
    std::fs::rename(&objects, &aside).unwrap();
    std::fs::write(&objects, "not a folder").unwrap();
    let error = lab.call("apply", apply_request(&wider)).error();
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(&aside, &objects).unwrap();
    assert!(error["message"].as_str().unwrap().starts_with("failed to "), "{error}");
    assert_eq!(lab.call("status", json!({})).done()["fingerprint"], before["fingerprint"]);
    let done = lab.call("apply", json!({"schema": {"files": []}, "resume": true})).done();
    assert_eq!((&done["resumed"], &done["version"]), (&json!(true), &json!(2)), "{done}");
    assert_eq!(lab.rows("SELECT price FROM items WHERE id = 'a'"), json!([["12.5"]]));
}

#[test]
fn a_stale_base_is_refused() {
    let lab = Lab::new();
    let plan = lab.call("plan", apply_request(&with_color())).done();
    lab.call("apply", apply_request(&SHOP.replace("price: Float", "price: Float\n  size: Int")))
        .done();
    let mut request = apply_request(&with_color());
    request["expectedBase"] = plan["base"].clone();
    let error = lab.call("apply", request).error();
    assert_eq!(error["code"], "STALE", "{error}");
    assert!(error["message"].as_str().unwrap().contains("it is version 2 now"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("headwater plan"), "{error}");
    let again = lab.call("undo", json!({"expectedBase": plan["base"]})).error();
    assert_eq!(again["code"], "STALE", "{again}");
}

#[test]
fn losses_must_be_named_one_by_one() {
    let lab = Lab::new().with_items();
    let plan = lab.call("plan", apply_request(&narrower())).done();
    assert_eq!(plan["losses"], json!(["Item.price", "Review"]), "{plan}");
    for allowed in [json!([]), json!(["Item.price"]), json!(["Review", "Item"])] {
        let mut request = apply_request(&narrower());
        request["allowDestructive"] = allowed.clone();
        let error = lab.call("apply", request).error();
        assert_eq!(error["code"], "DENIED", "{allowed}: {error}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("--allow-destructive Item.price,Review"), "{hint}");
        assert_eq!(lab.rows("SELECT count(price) FROM items"), json!([["3"]]));
    }
    let mut request = apply_request(&narrower());
    request["allowDestructive"] = plan["losses"].clone();
    assert_eq!(lab.call("apply", request).done()["version"], 2);
    assert_eq!(
        lab.call("sql", json!({"sql": "SELECT price FROM items"})).error()["code"],
        "INVALID_INPUT"
    );
}

#[test]
fn an_undo_brings_dropped_rows_back() {
    let lab = Lab::new().with_items();
    let reviews = b"id,itemId,stars\nr,a,5\n";
    lab.import(&json!({"typeName": "Review"}), reviews).done();
    let mut request = apply_request(&narrower());
    request["allowDestructive"] = json!(["Item.price", "Review"]);
    lab.call("apply", request).done();
    let change = "mutation { createItem(input: {id: \"d\", name: \"desk\", color: \"red\"}) { node { id } } }";
    let changed = lab.post("/graphql", &json!({ "query": change })).json();
    assert!(changed.get("errors").is_none(), "{changed}");

    let plan = lab.call("undoPlan", json!({})).done();
    assert_eq!(plan["losses"], json!(["Item.color"]), "{plan}");
    assert_eq!(lab.call("undo", json!({})).error()["code"], "DENIED");
    let done = lab.call("undo", json!({"allowDestructive": ["Item.color"]})).done();
    assert_eq!(done["version"], 3, "{done}");
    let rows = lab.rows("SELECT id, name, price FROM items ORDER BY id");
    assert_eq!(
        rows,
        json!([
            ["a", "lamp", 12.5],
            ["b", "chair", 40.0],
            ["c", "table, round", 99.25],
            ["d", "desk", null]
        ])
    );
    assert_eq!(lab.rows("SELECT id, stars FROM reviews"), json!([["r", 5]]));
}

#[test]
fn a_schema_that_was_never_applied_cannot_be_undone() {
    let lab = Lab::fresh();
    for operation in ["undo", "undoPlan"] {
        let error = lab.call(operation, json!({})).error();
        assert_eq!(error["code"], "NOT_FOUND", "{operation}: {error}");
    }
}

#[test]
fn of_two_applies_at_once_one_is_refused() {
    let folder = TempProject::with_schema(SHOP);
    let ((began, has_begun), (go_on, may_go_on)) =
        (mpsc::sync_channel(1), mpsc::sync_channel::<()>(1));
    let outcome = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            runtime().block_on(async {
                let (first, _) = open(&folder, "").await;
                let mut held = Some((began, may_go_on));
                // It is held between two steps, where it has no transaction open.
                let mut report = move |_| {
                    if let Some((began, may_go_on)) = held.take() {
                        began.send(()).unwrap();
                        may_go_on.recv().unwrap();
                    }
                };
                let owner = Principal::local();
                operations::call(&first, &owner, "apply", apply_request(SHOP), &mut report).await
            })
        });
        has_begun.recv().unwrap();
        let refused = runtime().block_on(async {
            let (second, _) = open(&folder, "").await;
            run(&second, "apply", apply_request(SHOP)).await
        });
        go_on.send(()).unwrap();
        (first.join().unwrap(), refused)
    });
    assert_eq!(outcome.0.unwrap()["version"], 1);
    let refused = outcome.1.unwrap_err();
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("CONFLICT"), &json!("another apply is running"))
    );
}

#[test]
fn applying_what_is_deployed_does_nothing() {
    let lab = Lab::new();
    let done = lab.call("apply", apply_request(SHOP)).done();
    assert_eq!(
        (&done["version"], &done["steps"], &done["plan"]["isEmpty"]),
        (&json!(1), &json!(0), &json!(true))
    );
}

#[test]
fn a_reworded_description_is_deployed_without_a_step() {
    let lab = Lab::new();
    let reworded = SHOP.replace("Something to buy.", "Something for sale.");
    let done = lab.call("apply", apply_request(&reworded)).done();
    assert_eq!((&done["version"], &done["steps"]), (&json!(2), &json!(0)), "{done}");
    let schema = lab.call("schema", json!({})).done();
    assert!(schema.to_string().contains("Something for sale."), "{schema}");
}

#[test]
fn a_client_that_goes_away_leaves_an_apply_that_can_be_resumed() {
    let folder = TempProject::with_schema(SHOP);
    break_off(&folder, apply_request(SHOP), 1);
    let lab = Lab::open(folder, "", false);
    // Its lease still holds, so that nobody else walks into what it left.
    let error = lab.call("apply", apply_request(SHOP)).error();
    assert_eq!(error["message"], "another apply is running", "{error}");
    lab.clock.advance(31_000_000);
    lab.call("apply", apply_request(SHOP)).done();
    assert_eq!(lab.import(&json!({"typeName": "Item"}), ITEMS.as_bytes()).done()["rows"], 3);
}

/// A field with a default, and one that rows without a value refuse.
fn sized(size: i32, price: &str) -> String {
    let fields = format!("price: {price}\n  size: Int! @column(default: \"{size}\")");
    SHOP.replace("price: Float", &fields)
}

#[test]
fn an_apply_that_the_rows_refuse_is_given_up_and_leaves_nothing_behind() {
    let lab = Lab::new().with_items();
    let unpriced = json!({"query": "mutation { upsertItem(input: {id: \"z\", name: \"z\"}) { node { id } } }"});
    lab.post("/graphql", &unpriced);
    let refused = lab.call("apply", apply_request(&sized(1, "Float!"))).error();
    assert!(refused["message"].as_str().unwrap().starts_with("failed to "), "{refused}");
    let waits = lab.call("apply", apply_request(&with_color())).error();
    assert!(waits["hint"].as_str().unwrap().contains("apply --abandon"), "{waits}");
    let done = lab.call("applyAbandon", json!({})).done();
    assert_eq!(done["version"], 1, "{done}");
    assert!(done["text"].as_str().unwrap().starts_with("the apply is given up"), "{done}");
    assert_eq!(lab.call("status", json!({})).done()["running"], json!([]));
    // What the first one filled in is not found by the next one.
    let wanted = apply_request(&sized(2, "Float"));
    assert_eq!(lab.call("apply", wanted).done()["version"], 2);
    assert_eq!(lab.rows("SELECT DISTINCT size FROM items"), json!([[2]]));
    assert_eq!(lab.call("applyAbandon", json!({})).error()["code"], "NOT_FOUND");
}

#[test]
fn a_module_does_not_take_the_name_of_another_tools_namespace() {
    let lab = Lab::new();
    lab.post("/iceberg/v1/namespaces", &json!({"namespace": ["stock"]}));
    let request = json!({"schema": {"files": [
        ["shop.graphql", SHOP],
        ["stock.graphql", "extend schema @module(name: \"stock\", owner: \"stock\")\n\
          type Shelf @key(fields: \"id\") @table(plural: \"shelves\") { id: ID! }"],
    ]}});
    let error = lab.call("apply", request).error();
    assert_eq!(error["code"], "ALREADY_EXISTS", "{error}");
    assert!(error["message"].as_str().unwrap().contains("another tool"), "{error}");
}

#[test]
fn nobody_is_served_by_policies_that_were_replaced() {
    let lab = Lab::new().with_items();
    let stricter = SHOP.replace("price: Float", "price: Float @classified(as: \"PAY\")");
    let mut request = apply_request(&stricter);
    request["keepOld"] = json!(1000);
    let error = lab.call("apply", request).error();
    assert_eq!(error["code"], "DENIED", "{error}");
    assert!(error["message"].as_str().unwrap().starts_with("policies change"), "{error}");
    assert_eq!(lab.call("apply", apply_request(&stricter)).done()["version"], 2);
}
