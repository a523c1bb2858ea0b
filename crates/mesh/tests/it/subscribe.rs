//! Subscriptions: rows of tables in memory as they change, and events of services. Time stands until everybody
//! waits, and then goes on at once.

mod services;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::Principal;
use base::rng::Rng;
use mesh::{Engine, Limits, Request, Settings, Subscription, Terms};
use serde_json::{Value as Json, json};

use crate::fixture::{Fixture, fixture, fixture_with};

/// Longer than any event takes.
const LONG: Duration = Duration::from_secs(10);

async fn start(engine: &Arc<Engine>, query: &str) -> Result<Subscription, Json> {
    let request = Request::new(query, Principal::local());
    let started = engine.subscribe(request, &Terms::default()).await;
    started.map_err(|refused| refused.json().expect("JSON"))
}

async fn listen(fixture: &Fixture, query: &str) -> Subscription {
    start(&fixture.engine, query).await.expect("a subscription that starts")
}

/// The next event.
async fn next(subscription: &mut Subscription) -> Json {
    let response = tokio::time::timeout(LONG, subscription.next()).await.expect("an event");
    response.expect("a stream that goes on").json().expect("JSON")
}

/// The next event's change.
async fn change(subscription: &mut Subscription) -> Json {
    let event = next(subscription).await;
    assert_eq!(event["errors"], Json::Null, "{event}");
    let mut data = event["data"].as_object().expect("data").clone();
    data.values_mut().next().expect("a field").take()
}

/// Whether nothing comes.
async fn is_silent(subscription: &mut Subscription) -> bool {
    tokio::time::timeout(LONG, subscription.next()).await.is_err()
}

/// Upserts films; gives the snapshot.
async fn upsert(fixture: &Fixture, films: &[(&str, &str, i64)]) -> String {
    let inputs: Vec<Json> = films
        .iter()
        .map(|(id, title, year)| {
            json!({"id": id, "title": title, "year": year, "genres": [], "directorId": "p1"})
        })
        .collect();
    let query = "mutation($rows: [FilmInput!]!) { upsertFilms(inputs: $rows) { snapshot } }";
    let answer = fixture.ask_with(query, json!({ "rows": inputs })).await;
    text(&answer["data"]["upsertFilms"]["snapshot"])
}

async fn delete(fixture: &Fixture, id: &str) -> String {
    let query = format!("mutation {{ deleteFilm(id: \"{id}\") {{ snapshot }} }}");
    text(&fixture.ask(&query).await["data"]["deleteFilm"]["snapshot"])
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_else(|| panic!("no text: {json}")).to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_with_what_the_row_refers_to() {
    let fixture = fixture().await;
    let query = "subscription { filmChanged { __typename kind key { __typename id } snapshot
        node { title director { name } } again: node { decade } } }";
    let mut films = listen(&fixture, query).await;
    let snapshot = upsert(&fixture, &[("f1", "New", 2026)]).await;
    assert_eq!(
        change(&mut films).await,
        json!({
            "__typename": "FilmChange", "kind": "UPSERTED",
            "key": {"__typename": "FilmChangeKey", "id": "f1"}, "snapshot": snapshot,
            "node": {"title": "New", "director": {"name": "Ada Sol"}}, "again": {"decade": 2020},
        })
    );
    let snapshot = delete(&fixture, "f1").await;
    assert_eq!(
        change(&mut films).await,
        json!({
            "__typename": "FilmChange", "kind": "DELETED",
            "key": {"__typename": "FilmChangeKey", "id": "f1"}, "snapshot": snapshot,
            "node": null, "again": null,
        })
    );
    // What writes the same again changes nothing.
    upsert(&fixture, &[("f2", "Same", 1)]).await;
    change(&mut films).await;
    upsert(&fixture, &[("f2", "Same", 1)]).await;
    assert!(is_silent(&mut films).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_before_the_subscription_is_not_told() {
    let fixture = fixture().await;
    let mut first = listen(&fixture, "subscription { filmChanged { key { id } } }").await;
    upsert(&fixture, &[("a", "A", 1)]).await;
    // The watcher has not looked yet; whoever comes now begins with what is there now.
    let mut second = listen(&fixture, "subscription { filmChanged { key { id } } }").await;
    upsert(&fixture, &[("b", "B", 1)]).await;
    assert_eq!(change(&mut second).await["key"]["id"], "b");
    assert_eq!(change(&mut first).await["key"]["id"], "a");
    assert_eq!(change(&mut first).await["key"]["id"], "b");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_not_wanted_any_more_is_told_as_gone() {
    let fixture = fixture().await;
    let query = "subscription { filmChanged(where: {year: {gte: 3000}}) { kind key { id } } }";
    let mut films = listen(&fixture, query).await;
    upsert(&fixture, &[("a", "A", 2999), ("b", "B", 3000)]).await;
    assert_eq!(change(&mut films).await, json!({"kind": "UPSERTED", "key": {"id": "b"}}));
    upsert(&fixture, &[("a", "A", 3001), ("b", "B", 2000)]).await;
    assert_eq!(change(&mut films).await, json!({"kind": "UPSERTED", "key": {"id": "a"}}));
    assert_eq!(change(&mut films).await, json!({"kind": "DELETED", "key": {"id": "b"}}));
    delete(&fixture, "b").await;
    delete(&fixture, "a").await;
    assert_eq!(change(&mut films).await, json!({"kind": "DELETED", "key": {"id": "a"}}));
    assert!(is_silent(&mut films).await);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_type_without_a_key_only_come() {
    let fixture = fixture().await;
    let query = "subscription { playChanged { kind node { seconds film { title } } } }";
    let mut plays = listen(&fixture, query).await;
    let append = "mutation { appendPlay(input: {userId: \"p1\", filmId: \"f3\", \
                  at: \"2026-11-30T00:00:00Z\", seconds: 7}) { count } }";
    for _ in 0..2 {
        fixture.ask(append).await;
        let expected = json!({"kind": "UPSERTED",
            "node": {"seconds": 7, "film": {"title": "Red moon rising"}}});
        assert_eq!(change(&mut plays).await, expected);
    }
    let refused = start(&fixture.engine, "subscription { playChanged { key { id } } }").await;
    assert!(refused.expect_err("no key").to_string().contains("key"));
}

#[tokio::test(start_paused = true)]
async fn many_rows_of_one_change_are_answered_in_parts() {
    let fixture = fixture().await;
    let query = "subscription { filmChanged { key { id } snapshot node { director { name } } } }";
    let mut films = listen(&fixture, query).await;
    let names: Vec<String> = (0..200).map(|n| format!("m{n:03}")).collect();
    let rows: Vec<(&str, &str, i64)> = names.iter().map(|id| (id.as_str(), "M", 1)).collect();
    let before =
        text(&fixture.ask("{ films(first: 1) { snapshot } }").await["data"]["films"]["snapshot"]);
    let after = upsert(&fixture, &rows).await;
    fixture.scans();
    let mut found = Vec::new();
    for row in 0..200 {
        let told = change(&mut films).await;
        assert_eq!(told["node"]["director"]["name"], "Ada Sol");
        // Whoever breaks off in the middle has not seen the change.
        assert_eq!(text(&told["snapshot"]), if row == 199 { &*after } else { &*before });
        found.push(text(&told["key"]["id"]));
    }
    found.sort();
    assert_eq!(found, names);
    assert_eq!(fixture.scans(), 4, "one scan for 64 rows");
}

#[tokio::test(start_paused = true)]
async fn however_many_listen_a_table_is_looked_at_once() {
    let fixture = fixture().await;
    let query = "subscription { filmChanged { key { id } node { title } } }";
    let started = (0..100).map(|_| listen(&fixture, query));
    let mut all = futures::future::join_all(started).await;
    fixture.source.looks.store(0, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    for turn in 0..10 {
        upsert(&fixture, &[("f1", &format!("turn {turn}"), turn)]).await;
        for subscription in &mut all {
            assert_eq!(change(subscription).await["node"]["title"], format!("turn {turn}"));
        }
    }
    assert_eq!(fixture.source.changes.load(Ordering::SeqCst), 10);
    let rounds = began.elapsed().as_millis() / 250 + 2;
    let looks = fixture.source.looks.swap(0, Ordering::SeqCst);
    assert!((looks as u128) <= rounds, "{looks} looks in {rounds} rounds");
    // Who does not listen any more costs nothing.
    drop(all);
    tokio::time::sleep(LONG).await;
    fixture.source.looks.store(0, Ordering::SeqCst);
    tokio::time::sleep(LONG).await;
    assert_eq!(fixture.source.looks.load(Ordering::SeqCst), 0);
    // And the next one is served.
    let mut again = listen(&fixture, query).await;
    upsert(&fixture, &[("f1", "again", 1)]).await;
    assert_eq!(change(&mut again).await["node"]["title"], "again");
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_told_where_to_go_on() {
    let limits = Limits { queue: 3, ..Limits::default() };
    let fixture = fixture_with(Settings { limits, ..Settings::default() }).await;
    let query = "subscription { filmChanged { snapshot node { year } } }";
    let mut slow = listen(&fixture, query).await;
    let mut quick = listen(&fixture, query).await;
    for year in 0..6 {
        upsert(&fixture, &[("f1", "F", year)]).await;
        assert_eq!(change(&mut quick).await["node"]["year"], year);
    }
    let mut last = String::new();
    for year in 0..3 {
        let told = change(&mut slow).await;
        assert_eq!(told["node"]["year"], year);
        last = text(&told["snapshot"]);
    }
    let end = next(&mut slow).await;
    let error = &end["errors"][0];
    assert_eq!(end.get("data"), None);
    assert_eq!(error["message"], "more than 3 changes of `Film` wait for this subscriber");
    assert_eq!(error["extensions"]["code"], "LIMIT_EXCEEDED");
    assert_eq!(error["extensions"]["snapshot"], last);
    assert!(slow.next().await.is_none());
    // What is read by oneself waits for nobody, however much it is.
    let query = query.replace("filmChanged", &format!("filmChanged(after: \"{last}\")"));
    let mut slow = listen(&fixture, &query).await;
    for year in 3..6 {
        assert_eq!(change(&mut slow).await["node"]["year"], year);
    }
    assert!(is_silent(&mut slow).await);
}

/// A table by its keys.
type Table = BTreeMap<String, i64>;

fn apply(table: &mut Table, told: &Json) {
    let id = text(&told["key"]["id"]);
    match told["kind"].as_str() {
        Some("UPSERTED") => table.insert(id, told["node"]["year"].as_i64().expect("a year")),
        _ => table.remove(&id),
    };
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_after_a_snapshot_misses_nothing_and_hears_nothing_twice() {
    let fixture = fixture().await;
    let rng = Rng::seeded(16);
    let whole = "{ films(first: 1000) { snapshot nodes { id year } } }";
    let all = fixture.ask(whole).await["data"]["films"].clone();
    let year = |row: &Json| row["year"].as_i64().unwrap_or(-1);
    let mut table: Table = all["nodes"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (text(&row["id"]), year(row)))
        .collect();
    let mut at = text(&all["snapshot"]);
    let mut told = 0;
    for turn in 0..60 {
        let query = format!(
            "subscription {{ filmChanged(after: \"{at}\") {{ kind key {{ id }} snapshot node {{ year }} }} }}"
        );
        let mut films = listen(&fixture, &query).await;
        let mut written = 0;
        for _ in 0..rng.below(5) {
            let id = format!("r{}", rng.below(6));
            match rng.below(3) {
                0 => {
                    delete(&fixture, &id).await;
                }
                _ => {
                    written += 1;
                    upsert(&fixture, &[(&id, "R", turn * 10 + written)]).await;
                }
            }
        }
        // Hears some, and breaks off.
        for _ in 0..rng.below(4) {
            let Ok(Some(response)) = tokio::time::timeout(LONG, films.next()).await else { break };
            let event = response.json().expect("JSON")["data"]["filmChanged"].take();
            let before = table.clone();
            apply(&mut table, &event);
            assert_ne!(before, table, "an event that changes nothing was told before: {event}");
            at = text(&event["snapshot"]);
            told += 1;
        }
    }
    let query = format!(
        "subscription {{ filmChanged(after: \"{at}\") {{ kind key {{ id }} node {{ year }} }} }}"
    );
    let mut films = listen(&fixture, &query).await;
    while let Ok(Some(response)) = tokio::time::timeout(LONG, films.next()).await {
        apply(&mut table, &response.json().expect("JSON")["data"]["filmChanged"]);
    }
    let all = fixture.ask(whole).await["data"]["films"]["nodes"].clone();
    let expected: Table =
        all.as_array().expect("rows").iter().map(|row| (text(&row["id"]), year(row))).collect();
    assert_eq!(table, expected);
    assert!(told > 30, "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_begin_is_refused() {
    let fixture = fixture().await;
    for (query, expected) in [
        ("subscription { filmChanged { kind } playChanged { kind } }", "one root field"),
        ("subscription { __typename }", "introspection"),
        ("subscription { filmChanged @skip(if: false) { kind } }", "@skip"),
        ("subscription { filmChanged(where: {year: null}) { kind } }", "null"),
        ("subscription { filmChanged(after: \"77\") { kind } }", "no such snapshot"),
        ("subscription { filmChanged(after: \"soon\") { kind } }", "soon"),
        ("subscription { nobody { kind } }", "nobody"),
        ("{ films { nodes { id } } }", "no subscription"),
    ] {
        let refused = start(&fixture.engine, query).await.expect_err(query);
        assert_eq!(refused.get("data"), None, "{refused}");
        assert!(refused.to_string().contains(expected), "{query}: {refused}");
    }
    let answer = fixture.ask("subscription { filmChanged { kind } }").await;
    assert_eq!(answer["errors"][0]["message"], "a subscription is answered by a stream of events");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_compared_ends_its_streams() {
    let fixture = fixture().await;
    let mut films = listen(&fixture, "subscription { filmChanged { kind snapshot } }").await;
    let last = upsert(&fixture, &[("a", "A", 1)]).await;
    change(&mut films).await;
    *fixture.source.broken.lock() = Some("Film");
    upsert(&fixture, &[("a", "A", 2)]).await;
    let end = next(&mut films).await;
    // What only the operator can mend is told by reference.
    assert!(!end.to_string().contains("on fire"), "{end}");
    assert_eq!(end["errors"][0]["extensions"]["snapshot"], last);
    assert_eq!(end["errors"][0]["extensions"]["owner"], "catalog");
    assert!(films.next().await.is_none());
}
