//! Changes as those hear them who do not see all of a table: what reading before and after would tell them, and
//! nothing else. Random changes of two databases that differ in what a caller may not see are the same events.

use std::collections::BTreeMap;
use std::time::Duration;

use base::Principal;
use base::principal::EVERYTHING;
use base::rng::Rng;
use mesh::{Request, Subscription, Terms};
use serde_json::{Value as Json, json};

use super::{Database, caller, read, reader};

/// Longer than any event takes; time stands until everybody waits, and then goes on at once.
const LONG: Duration = Duration::from_secs(10);

const PERSON: &str =
    "id name team salary bonus note phone nick iban badge dial bank yearly home { city }";
const LETTER: &str = "id personId body isPublic mark";

async fn listen(database: &Database, query: &str, who: &Principal) -> Subscription {
    let request = Request::new(query, who.clone());
    let started = database.engine.subscribe(request, &Terms::default()).await;
    started.map_err(|refused| refused.json()).expect("a subscription that starts")
}

/// Every event until nothing comes: what is told of each, and its errors.
async fn heard(subscription: &mut Subscription) -> Vec<(Json, Json)> {
    let mut heard = Vec::new();
    while let Ok(event) = tokio::time::timeout(LONG, subscription.next()).await {
        let mut event = event.expect("a stream that goes on").json().expect("JSON");
        let change = event["data"].as_object_mut().expect("data").values_mut().next();
        heard.push((change.expect("a field").take(), event["errors"].take()));
    }
    heard
}

async fn told(subscription: &mut Subscription) -> Vec<Json> {
    heard(subscription).await.into_iter().map(|(change, _)| change).collect()
}

async fn upsert(database: &Database, field: &str, row: &Json) {
    let input = if field == "People" { "PersonInput" } else { "LetterInput" };
    let query =
        format!("mutation($rows: [{input}!]!) {{ upsert{field}(inputs: $rows) {{ snapshot }} }}");
    let answer = database.change(&query, json!({"rows": [row]}), &Principal::local()).await;
    assert_eq!(answer["errors"], Json::Null, "{answer}");
}

async fn update(database: &Database, name: &str, change: &str) {
    let query = format!("mutation {{ update{name}(input: {{{change}}}) {{ snapshot }} }}");
    let answer = database.change(&query, json!({}), &Principal::local()).await;
    assert_eq!(answer["errors"], Json::Null, "{answer}");
}

async fn delete(database: &Database, name: &str, id: &str) {
    let query = format!("mutation {{ delete{name}(id: \"{id}\") {{ snapshot }} }}");
    let answer = database.change(&query, json!({}), &Principal::local()).await;
    assert_eq!(answer["errors"], Json::Null, "{answer}");
}

fn letter(id: &str, of: &str, is_public: bool, mark: i64) -> Json {
    json!({"id": id, "personId": of, "body": "words", "isPublic": is_public, "mark": mark})
}

#[tokio::test(start_paused = true)]
async fn a_row_comes_when_it_is_seen_and_goes_when_it_is_not() {
    let database = Database::new(&read("schema.graphql"), "rows.json").await;
    let query = "subscription { letterChanged { kind key { id } node { mark } } }";
    let mut letters = listen(&database, query, &reader()).await;
    let came =
        |mark: i64| json!([{"kind": "UPSERTED", "key": {"id": "n"}, "node": {"mark": mark}}]);
    let went = json!([{"kind": "DELETED", "key": {"id": "n"}, "node": null}]);
    for (row, said) in [
        (letter("n", "u1", false, 1), json!([])),
        (letter("n", "u1", false, 2), json!([])),
        (letter("n", "u1", true, 2), came(2)),
        (letter("n", "u1", true, 3), came(3)),
        (letter("n", "u1", false, 3), went.clone()),
        (letter("n", "u2", false, 3), came(3)),
        (letter("n", "u3", false, 3), went),
    ] {
        upsert(&database, "Letters", &row).await;
        assert_eq!(json!(told(&mut letters).await), said, "{row}");
    }
    delete(&database, "Letter", "n").await;
    assert_eq!(told(&mut letters).await, Vec::<Json>::new());
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_not_seen_changes_nothing() {
    let database = Database::new(&read("schema.graphql"), "rows.json").await;
    let query = "subscription { personChanged { key { id } node { name salary phone iban } } }";
    let keys = "subscription { personChanged { key { id } } }";
    let paid = "subscription { personChanged(where: {salary: {gt: 1}}) { kind key { id } } }";
    let mut people = listen(&database, query, &reader()).await;
    let mut bare = listen(&database, keys, &reader()).await;
    let mut wanted = listen(&database, paid, &reader()).await;
    let mut whole = listen(&database, keys, &caller("u9", &[EVERYTHING])).await;
    let nothing = Vec::<Json>::new();
    for hidden in
        ["salary: 5", "phone: \"1\"", "nick: \"n\"", "iban: \"CH\"", "badge: 1", "note: \"\""]
    {
        update(&database, "Person", &format!("id: \"u3\", {hidden}")).await;
        assert_eq!(told(&mut people).await, nothing, "{hidden}");
        assert_eq!(told(&mut bare).await, nothing, "{hidden}");
        assert_eq!(told(&mut wanted).await, nothing, "{hidden}");
        assert_eq!(told(&mut whole).await.len(), 1, "{hidden}");
    }
    update(&database, "Person", "id: \"u3\", name: \"Carl\"").await;
    let (change, errors) = heard(&mut people).await.remove(0);
    let node = json!({"name": "Carl", "salary": null, "phone": "***", "iban": null});
    assert_eq!(change, json!({"key": {"id": "u3"}, "node": node}));
    assert_eq!(errors[0]["extensions"]["code"], "DENIED", "{errors}");
    // Of one's own row all of these are seen, whatever is asked of it.
    told(&mut bare).await;
    update(&database, "Person", "id: \"u2\", salary: 0").await;
    assert_eq!(told(&mut bare).await, vec![json!({"key": {"id": "u2"}})]);
    assert_eq!(told(&mut wanted).await, vec![json!({"kind": "DELETED", "key": {"id": "u2"}})]);
    assert_eq!(told(&mut people).await[0]["node"]["salary"], 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_a_table_of_which_nothing_is_seen() {
    let database = Database::new(&read("schema.graphql"), "rows.json").await;
    let query = "subscription { eventChanged { node { kind } } }";
    let mut mine = listen(&database, query, &reader()).await;
    let mut theirs = listen(&database, query, &caller("u2", &["press"])).await;
    let append = "mutation { appendEvent(input: {kind: \"x\"}) { count } }";
    database.change(append, json!({}), &Principal::local()).await;
    assert_eq!(told(&mut mine).await, Vec::<Json>::new());
    assert_eq!(told(&mut theirs).await, vec![json!({"node": {"kind": "x"}})]);
}

#[tokio::test(start_paused = true)]
async fn rows_of_which_nothing_is_seen_but_that_they_come_are_told() {
    let schema = read("schema.graphql");
    let plain = "type Event @table(plural: \"events\") @visible(to: [\"press\"]) {
  kind: String!
  count: Int
}";
    assert!(schema.contains(plain), "the type is as it was");
    let veiled = "type Event @table(plural: \"events\") {
  kind: String @visible(to: [\"press\"])
  count: Int @visible(to: [\"press\"])
}";
    let database = Database::new(&schema.replace(plain, veiled), "rows.json").await;
    let query = "subscription { eventChanged { kind node { kind count } } }";
    let mut events = listen(&database, query, &reader()).await;
    let mut bare = listen(&database, "subscription { eventChanged { kind } }", &reader()).await;
    let append = "mutation { appendEvent(input: {kind: \"x\", count: 1}) { count } }";
    database.change(append, json!({}), &Principal::local()).await;
    let node = json!({"kind": null, "count": null});
    assert_eq!(told(&mut events).await, vec![json!({"kind": "UPSERTED", "node": node})]);
    assert_eq!(told(&mut bare).await, vec![json!({"kind": "UPSERTED"})]);
}

/// Rows of a table by their keys, as events make them.
type Rows = BTreeMap<String, Json>;

/// What a page shows somebody.
async fn page(database: &Database, list: &str, fields: &str, who: &Principal) -> Rows {
    let query = format!("{{ {list}(first: 100) {{ nodes {{ {fields} }} }} }}");
    let answer: Json = serde_json::from_str(&database.ask(&query, who).await).expect("JSON");
    let nodes = answer["data"][list]["nodes"].as_array().expect("nodes").clone();
    nodes.into_iter().map(|node| (node["id"].as_str().expect("a key").to_owned(), node)).collect()
}

/// Rows after events. Each event says something new.
fn replay(rows: &mut Rows, events: &[Json]) {
    for event in events {
        let key = event["key"]["id"].as_str().expect("a key").to_owned();
        let before = match event["kind"].as_str() {
            Some("UPSERTED") => rows.insert(key, event["node"].clone()),
            _ => Some(rows.remove(&key).expect("a row that was seen")),
        };
        assert_ne!(before.as_ref(), Some(&event["node"]), "{event} says nothing new");
    }
}

/// A person, and the same one as the reader cannot tell it from.
fn person(rng: &Rng) -> [Json; 2] {
    let id = format!("u{}", 1 + rng.below(6));
    let drawn = |of: u64| rng.below(of);
    let maybe = |value: Json| if drawn(3) == 0 { Json::Null } else { value };
    let name = ["Ann", "Bob"][drawn(2) as usize];
    let mut one = json!({
        "id": id, "name": name, "team": maybe(json!("red")),
        "rank": 1, "salary": maybe(json!(drawn(3))), "bonus": maybe(json!(drawn(3))),
        "note": maybe(json!("plums")), "phone": drawn(2).to_string(), "nick": maybe(json!("n")),
        "iban": maybe(json!("DE")), "badge": maybe(json!(drawn(2))),
        "home": maybe(json!({"city": "A"})),
    });
    let mut other = one.clone();
    for field in ["bonus", "badge"] {
        other[field] = json!(drawn(100));
    }
    other["note"] = maybe(json!("geese"));
    other["nick"] = maybe(json!("m"));
    other["home"] = maybe(json!({"city": "B"}));
    if id != "u2" {
        other["salary"] = maybe(json!(drawn(100)));
        other["phone"] = json!(drawn(100).to_string());
        other["iban"] = maybe(json!("CH"));
    }
    if drawn(4) == 0 {
        one = other.clone();
    }
    [one, other]
}

/// A letter, likewise.
fn drawn_letter(rng: &Rng) -> [Json; 2] {
    let (id, of) = (format!("l{}", rng.below(5)), format!("u{}", 1 + rng.below(3)));
    let is_public = rng.below(2) == 0;
    let one = letter(&id, &of, is_public, rng.below(3) as i64);
    let is_seen = is_public || of == "u2";
    let other = if is_seen { one.clone() } else { letter(&id, "u1", false, rng.below(9) as i64) };
    [one, other]
}

async fn step(rng: &Rng, pair: &[Database; 2]) {
    let (people, goes) = (rng.below(2) == 0, rng.below(4) == 0);
    let rows = if people { person(rng) } else { drawn_letter(rng) };
    for (database, row) in pair.iter().zip(&rows) {
        let id = row["id"].as_str().expect("a key");
        match (people, goes) {
            (true, true) => delete(database, "Person", id).await,
            (false, true) => delete(database, "Letter", id).await,
            (true, false) => upsert(database, "People", row).await,
            (false, false) => upsert(database, "Letters", row).await,
        }
    }
}

/// Somebody who listens to one table, and what he knows of it.
struct Listener {
    list: &'static str,
    fields: &'static str,
    who: Principal,
    events: Subscription,
    rows: Rows,
}

impl Listener {
    async fn new(database: &Database, of_people: bool, who: &Principal) -> Self {
        let (list, field, fields) = match of_people {
            true => ("people", "personChanged", PERSON),
            false => ("letters", "letterChanged", LETTER),
        };
        let query =
            format!("subscription {{ {field} {{ kind key {{ id }} node {{ {fields} }} }} }}");
        let events = listen(database, &query, who).await;
        let rows = page(database, list, fields, who).await;
        Listener { list, fields, who: who.clone(), events, rows }
    }
}

#[tokio::test(start_paused = true)]
async fn events_say_what_reading_before_and_after_says() {
    let rng = Rng::seeded(20261201);
    let schema = read("schema.graphql");
    for round in 0..6 {
        let pair = [Database::new(&schema, "rows.json").await, {
            Database::new(&schema, "rows.json").await
        }];
        let audiences: [&[&str]; 5] =
            [&[], &["support"], &["PAY", "hr", "movers"], &["desk", "finance"], &[EVERYTHING]];
        let mut listeners = Vec::new();
        for audiences in audiences {
            for of_people in [true, false] {
                let who = caller("u2", audiences);
                listeners.push(Listener::new(&pair[0], of_people, &who).await);
            }
        }
        let mut others = [
            Listener::new(&pair[1], true, &reader()).await,
            Listener::new(&pair[1], false, &reader()).await,
        ];
        for _ in 0..12 {
            for _ in 0..=rng.below(3) {
                step(&rng, &pair).await;
            }
            for (index, listener) in listeners.iter_mut().enumerate() {
                let events = told(&mut listener.events).await;
                // Nobody hears of what he cannot see: the other database differs in nothing else.
                if let Some(other) = others.get_mut(index) {
                    assert_eq!(events, told(&mut other.events).await, "round {round}");
                }
                replay(&mut listener.rows, &events);
                let now = page(&pair[0], listener.list, listener.fields, &listener.who).await;
                assert_eq!(listener.rows, now, "round {round}, {:?}", listener.who);
            }
        }
    }
}
