//! What must hold when several nodes share a database and a bucket: one sees at once what another
//! has done, work of a killed node is finished by another, a node that is cut off says so in time,
//! and the objects move under all of them.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Victim, wait_for};

use crate::cluster::{Cluster, Node, run_on};

const SCHEMA: &str = r#"extend schema @module(name: "shop", owner: "shop")
type Item @key(fields: "id") @table(format: ICEBERG, plural: "items", bucket: { by: "id", count: 4 }) {
  id: ID!
  name: String! @search
  price: Long
}
"#;

const LIMIT: Duration = Duration::from_secs(120);

/// Two nodes with the schema deployed.
fn pair() -> Option<(Cluster, Node, Node)> {
    let cluster = Cluster::start()?;
    let folder = cluster.folder(SCHEMA);
    run_on(&folder, &["apply", "--yes"]);
    let (first, second) = (Node::start(folder), cluster.node(SCHEMA));
    Some((cluster, first, second))
}

fn create(node: &Node, id: &str) -> Result<Value, String> {
    let query = "mutation($id: ID!) { createItem(input: {id: $id, name: \"a lamp\"}, \
                 idempotencyKey: $id) { snapshot } }"
        .replace("idempotencyKey: $id", &format!("idempotencyKey: \"{id}\""));
    node.try_ask(&query, &json!({ "id": id }))
}

#[track_caller]
fn count(node: &Node) -> u64 {
    let answer = node.ask("{ items(first: 1) { totalCount } }");
    answer["items"]["totalCount"].as_u64().expect("a count")
}

/// A file of rows `0..rows`.
fn csv(rows: u64) -> Vec<u8> {
    let mut text = b"id,name,price\n".to_vec();
    for row in 0..rows {
        writeln!(text, "row-{row},a lamp of number {row},{row}").expect("a line");
    }
    text
}

#[test]
fn what_one_node_did_the_other_sees_at_once() {
    let Some((_cluster, first, second)) = pair() else { return };
    first.folder.write("items.csv", csv(1000));
    let imported = first.run(&["import", "Item", "items.csv"]);
    assert_eq!(count(&second), 1000, "{imported}");
    // Each reads what the other has just written, turn by turn.
    for round in 0..10 {
        let (writer, reader) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let id = format!("new-{round}");
        create(writer, &id).expect("a mutation");
        let found = reader.ask(&format!("{{ item(id: \"{id}\") {{ name }} }}"));
        assert_eq!(found["item"]["name"], "a lamp", "round {round}");
        // The same change over the other node is the same change.
        create(reader, &id).expect("the same mutation");
    }
    assert_eq!((count(&first), count(&second)), (1010, 1010));
    let found = second.ask("{ items(search: \"77\", first: 1) { nodes { id } } }");
    assert_eq!(found["items"]["nodes"][0]["id"], "row-77");
    // A schema that is applied over one node is served by both.
    second
        .folder
        .write("schema/main.graphql", SCHEMA.replace("price: Long", "price: Long\n  note: String"));
    second.run(&["apply", "--yes"]);
    let answer = first.ask("{ item(id: \"row-1\") { note price } }");
    assert_eq!(answer["item"], json!({ "note": null, "price": "1" }));
}

#[test]
fn imports_over_two_nodes_at_once_lose_and_double_nothing() {
    let Some((_cluster, first, second)) = pair() else { return };
    let rows = 20_000;
    let mut text = String::from_utf8(csv(rows)).expect("UTF-8");
    first.folder.write("items.csv", &text);
    text = text.replace("row-", "other-");
    second.folder.write("items.csv", &text);
    let import = |node: &Node| {
        let mut command = node.command(&["import", "Item", "items.csv"]);
        Victim::spawn(&mut command)
    };
    let (one, two, again) = (import(&first), import(&second), import(&first));
    for process in [one, two, again] {
        let (lines, well) = process.finish();
        assert!(well, "{lines:?}");
    }
    assert_eq!((count(&first), count(&second)), (2 * rows, 2 * rows));
}

#[test]
fn the_import_of_a_killed_node_is_finished_by_another() {
    let Some((_cluster, first, second)) = pair() else { return };
    let rows = 400_000;
    let file = second.folder.write("items.csv", csv(rows));
    let file = file.to_str().expect("a path");
    let mut import = first.command(&["import", "Item", file]);
    let _import = Victim::spawn(&mut import);
    wait_for("objects of the import", LIMIT, || {
        let listed = second.ask("{ items(first: 1) { totalCount } }");
        let _still_none = listed;
        running(&first).then_some(())
    });
    let _folder = first.kill();
    second.run(&["import", "Item", file]);
    assert_eq!(count(&second), rows);
    let sql = r#"{"sql": "SELECT count(DISTINCT id), sum(price) FROM items"}"#;
    let answer = second.post("/operations/sql", sql).expect("an answer");
    assert!(answer.contains(&format!("\"{rows}\"")), "{answer}");
    assert!(answer.contains(&format!("\"{}\"", rows * (rows - 1) / 2)), "{answer}");
}

/// Whether the node is busy with an import.
fn running(node: &Node) -> bool {
    let agent: ureq::Agent = ureq::Agent::new_with_defaults();
    let page = agent.get(format!("{}/metrics", node.url)).call();
    let page = page.map(|mut page| page.body_mut().read_to_string());
    let Ok(Ok(page)) = page else { return false };
    let flights = page.lines().find_map(|line| line.strip_prefix("headwater_requests_in_flight "));
    flights.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count > 1)
}

/// Mutations of a node that dies in the middle of them: what was acknowledged is there, once.
#[test]
fn acknowledged_mutations_outlive_their_node() {
    let Some((_cluster, first, second)) = pair() else { return };
    let first = std::sync::Arc::new(first);
    let acknowledged = std::sync::Mutex::new(Vec::new());
    let url = first.url.clone();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (first, acknowledged) = (&first, &acknowledged);
            scope.spawn(move || {
                for number in 0..10_000 {
                    let id = format!("{thread}-{number}");
                    match create(first, &id) {
                        Ok(_) => acknowledged.lock().expect("a lock").push(id),
                        Err(_) => return,
                    }
                }
            });
        }
        wait_for("some acknowledged mutations", LIMIT, || {
            (acknowledged.lock().expect("a lock").len() > 40).then_some(())
        });
        first.end();
    });
    let acknowledged = acknowledged.into_inner().expect("a lock");
    assert!(acknowledged.len() > 40, "{url}");
    // A client that got no answer repeats its change over another node, by the same key.
    for id in &acknowledged {
        create(&second, id).expect("the same change");
    }
    let sql = r#"{"sql": "SELECT count(*), count(DISTINCT id) FROM items", "limit": 10}"#;
    let answer = second.post("/operations/sql", sql).expect("an answer");
    let total = count(&second);
    assert!(
        total >= acknowledged.len() as u64 && total <= acknowledged.len() as u64 + 8,
        "{total}"
    );
    assert_eq!(answer.matches(&format!("\"{total}\"")).count(), 2, "{answer}");
}

#[test]
fn a_node_that_is_cut_off_says_so_in_time_and_comes_back() {
    let Some((cluster, first, second)) = pair() else { return };
    let (cut_off, wires) = cluster.wired_node(SCHEMA);
    create(&cut_off, "before").expect("a mutation");
    for (name, wire) in [("metadata", &wires.metadata), ("objects", &wires.objects)] {
        for swallowed in [false, true] {
            if swallowed {
                wire.swallow()
            } else {
                wire.refuse()
            }
            let id = format!("{name}-{swallowed}");
            let began = Instant::now();
            let refused = create(&cut_off, &id).expect_err("nothing is behind the wire");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(20), "{id}: {took:?} {refused}");
            assert!(refused.contains("UNAVAILABLE"), "{id}: {refused}");
            // The others go on meanwhile.
            create(&first, &format!("{id}-meanwhile")).expect("a mutation of another node");
            wire.heal();
            let query = format!("{{ item(id: \"{id}-meanwhile\") {{ id }} }}");
            wait_for("the node to come back", LIMIT, || {
                let found = cut_off.try_ask(&query, &json!({})).ok()?;
                (found["item"]["id"] == format!("{id}-meanwhile")).then_some(())
            });
            create(&cut_off, &id).expect("the same change again");
            assert_eq!(second.ask(&format!("{{ item(id: \"{id}\") {{ id }} }}"))["item"]["id"], id);
        }
    }
    assert_eq!(count(&second), 9);
}

#[test]
fn objects_move_under_running_nodes_and_back() {
    let Some((cluster, first, second)) = pair() else { return };
    first.folder.write("items.csv", csv(2000));
    first.run(&["import", "Item", "items.csv"]);
    let place = tempfile::tempdir().expect("a folder");
    let local = place.path().join("objects");
    let local = local.to_str().expect("a path");
    let mut expected = 2000;
    for (round, to) in [local, cluster.objects.as_str()].into_iter().enumerate() {
        // A move that dies goes on where it was.
        let mut moving = Victim::spawn(&mut first.command(&["migrate-store", "--to", to]));
        wait_for("the move to begin", LIMIT, || {
            let status = second.run(&["status"]);
            let running = status["running"].to_string();
            running.contains("moving the objects").then_some(())
        });
        moving.kill();
        for number in 0..5 {
            let writer = if number % 2 == 0 { &first } else { &second };
            create(writer, &format!("{round}-{number}")).expect("a mutation during the move");
        }
        expected += 5;
        let moved = wait_for("the move to end", LIMIT, || {
            let output = second.command(&["migrate-store", "--to", to]).output().expect("a run");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // The dead mover's request may still be carried out by its server.
            output.status.success().then(|| serde_json::from_str::<Value>(&text).expect("JSON"))
        });
        assert_eq!(moved["place"], to);
        create(&first, &format!("{round}-after")).expect("a mutation after the switch");
        expected += 1;
        assert_eq!((count(&first), count(&second)), (expected, expected));
        let removed = second.run(&["migrate-store", "--finish"]);
        assert_eq!((&removed["place"], &removed["kept"]), (&json!(to), &json!("")));
        assert!(removed["objects"].as_u64().expect("a count") > 10, "{removed}");
        assert_eq!((count(&first), count(&second)), (expected, expected));
    }
    // Nothing is left where the objects were for a while.
    let left = walk(place.path());
    assert!(left.is_empty(), "{left:?}");
    let again = cluster.node(SCHEMA);
    assert_eq!(count(&again), expected);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
