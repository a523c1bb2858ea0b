//! Policies: two databases that differ in what a caller may not see give him the same bytes, through every
//! door (`tests/graphql/policy/probes.txt`) and for random documents; whoever sees everything sees the
//! difference; and each policy that is taken out of the schema is missed by a probe.

mod changes;
mod random;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::principal::{Audiences, EVERYTHING};
use base::rng::Rng;
use base::{Clock, Principal, Scope, Team, Timestamp};
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh::{Answer, CallError, Engine, Request, Service, ServiceCall, Settings, Terms};
use serde_json::{Value as Json, json};

use crate::fixture::{Counting, compiled, folder, tables};

const TYPES: [(&str, &str, &str); 4] = [
    ("people", "createPeople", "Person"),
    ("letters", "createLetters", "Letter"),
    ("audits", "createAudits", "Audit"),
    ("events", "appendEvents", "Event"),
];

fn read(file: &str) -> String {
    let path = folder().join("policy").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A caller who may read and write, of these audiences.
pub(crate) fn caller(subject: &str, audiences: &[&str]) -> Principal {
    Principal {
        subject: subject.into(),
        team: Team::new("red"),
        scope: Scope::Write,
        audiences: Audiences::new(audiences.iter().copied()),
    }
}

fn reader() -> Principal {
    caller("u2", &[])
}

/// A database with rows of a file.
pub(crate) struct Database {
    engine: Arc<Engine>,
    source: Arc<Counting>,
}

impl Database {
    pub(crate) async fn new(sdl: &str, rows: &str) -> Self {
        let schema = compiled(sdl);
        let start = Timestamp::parse("2026-11-23T08:00:00Z").expect("a time");
        let clock = Clock::fixed(start);
        let source = Arc::new(Counting::over(tables(&schema, clock.clone())));
        let settings =
            Settings { cursor_key: [7; 32], clock, rng: Rng::seeded(7), ..Settings::default() };
        let engine = Engine::with_settings(schema, source.clone(), settings).expect("an API");
        let engine = Arc::new(engine);
        let database = Database { engine, source };
        let rows: Json = serde_json::from_str(&read(rows)).expect("JSON");
        let whole = Principal::local();
        for (list, field, name) in TYPES {
            let query = format!(
                "mutation($rows: [{name}Input!]!) {{ {field}(inputs: $rows) {{ snapshot }} }}"
            );
            let answer = database.change(&query, json!({"rows": rows[list]}), &whole).await;
            assert_eq!(answer["errors"], Json::Null, "{answer}");
        }
        database.source.scans.store(0, Ordering::SeqCst);
        database
    }

    async fn pair(sdl: &str) -> [Self; 2] {
        [Database::new(sdl, "rows.json").await, Database::new(sdl, "other.json").await]
    }

    pub(crate) async fn ask(&self, query: &str, who: &Principal) -> String {
        let response = self.engine.execute(Request::new(query, who.clone())).await;
        String::from_utf8(response.body).expect("UTF-8")
    }

    async fn change(&self, query: &str, variables: Json, who: &Principal) -> Json {
        let Json::Object(variables) = variables else { panic!("variables are an object") };
        let request = Request { variables, ..Request::new(query, who.clone()) };
        self.engine.execute(request).await.json().expect("JSON")
    }

    /// Scans and counts since the last time.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let take = |count: &std::sync::atomic::AtomicUsize| count.swap(0, Ordering::SeqCst);
        (take(&self.source.scans), take(&self.source.counts))
    }
}

/// The probes: name, document, and whether whoever sees everything sees a difference.
fn probes() -> Vec<(String, String, bool)> {
    let text = read("probes.txt");
    let parts = text.split("\n# ").skip(1);
    let probes = parts.map(|part| {
        let (name, document) = part.split_once('\n').expect("a document");
        let differs = !name.starts_with("= ");
        (name.trim_start_matches("= ").to_owned(), document.trim().to_owned(), differs)
    });
    probes.collect()
}

#[tokio::test]
async fn parts_of_an_answer_hold_to_policies_as_whole_answers_do() {
    let database = Database::new(&read("schema.graphql"), "rows.json").await;
    let deliver = async |query: &str, who: Principal| match database
        .engine
        .deliver(Request::new(query, who), &Terms::default())
        .await
    {
        Answer::Whole(response) | Answer::Parts(response, _) => {
            String::from_utf8(response.body).expect("UTF-8")
        }
    };
    for query in [
        "{ people { nodes { id salary bonus note } totalCount } letters { nodes { id body } } }",
        "{ people { nodes { rank } } }",
        "{ audits { totalCount } }",
    ] {
        assert_eq!(deliver(query, reader()).await, database.ask(query, &reader()).await);
        let whole = Principal::local();
        assert_eq!(deliver(query, whole.clone()).await, database.ask(query, &whole).await);
    }
}

#[tokio::test]
async fn no_door_tells_of_what_is_held_back() {
    let [one, other] = Database::pair(&read("schema.graphql")).await;
    let (mut golden, mut wrong) = (String::new(), Vec::new());
    for (name, document, differs) in probes() {
        let answer = one.ask(&document, &reader()).await;
        let scans = one.asked();
        if answer != other.ask(&document, &reader()).await || scans != other.asked() {
            wrong.push(format!("`{name}` tells of what is held back: {answer}"));
        }
        let hidden = ["90", "91", "92", "93", "94", "council", "KEEPER", "WATCHER"];
        if let Some(found) = hidden.iter().find(|hidden| answer.contains(*hidden))
            && !document.contains(found)
            && !answer.contains("cursor")
        {
            wrong.push(format!("`{name}` holds `{found}`: {answer}"));
        }
        let whole = [one.ask(&document, &Principal::local()).await, {
            other.ask(&document, &Principal::local()).await
        }];
        if (whole[0] != whole[1]) != differs {
            wrong.push(format!("`{name}` for whoever sees everything: {whole:#?}"));
        }
        one.asked();
        other.asked();
        let _ = write!(golden, "# {name}\n{document}\n{answer}\n\n");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = folder().join("policy/probes.out.txt");
    testkit::golden::compare(&path, &golden).unwrap_or_else(|difference| panic!("{difference}"));
}

/// Each policy, as it stands in the schema.
const POLICIES: [&str; 15] = [
    " @classified(as: \"PAY\") @visible(if: \"id = viewer.id\")",
    " @visible(to: [\"finance\"])",
    " @scope(to: [\"board\"])",
    " @scope(to: [\"council\"])",
    " @visible(to: [\"hr\"])",
    " @classified(as: \"FACE\")",
    " @visible(to: [\"movers\"])",
    " @visible(to: [\"desk\"], if: \"id = viewer.id\", else: MASK)",
    " @classified(as: \"NICK\") @visible(to: [\"desk\"], else: MASK)",
    " @visible(if: \"id = viewer.id\", else: ERROR)",
    " @visible(to: [\"desk\"], else: ERROR)",
    " @scope(to: [\"hr\"])",
    " @visible(to: [\"support\"], if: \"personId = viewer.id OR isPublic\")",
    " @scope(to: [\"auditors\"])",
    " @visible(to: [\"press\"])",
];

#[tokio::test]
async fn each_policy_that_is_taken_out_is_missed_by_a_probe() {
    let sdl = read("schema.graphql");
    for policy in POLICIES {
        let without = sdl.replacen(policy, "", 1);
        assert_ne!(without, sdl, "{policy}");
        let [one, other] = Database::pair(&without).await;
        let mut missed = 0;
        for (_, document, _) in probes() {
            missed += usize::from(
                one.ask(&document, &reader()).await != other.ask(&document, &reader()).await,
            );
        }
        assert!(missed > 0, "no probe misses `{policy}`");
    }
}

#[tokio::test]
async fn audiences_open_what_policies_name() {
    let [one, _] = Database::pair(&read("schema.graphql")).await;
    let data = |text: String| serde_json::from_str::<Json>(&text).expect("JSON")["data"].clone();
    let ask = async |query: &str, audiences: &[&str]| {
        data(one.ask(query, &caller("u9", audiences)).await)
    };
    let salary = "{ person(id: \"u1\") { salary bonus } }";
    assert_eq!(ask(salary, &[]).await, json!({"person": {"salary": null, "bonus": null}}));
    assert_eq!(ask(salary, &["PAY"]).await, json!({"person": {"salary": 9001, "bonus": null}}));
    let both = json!({"person": {"salary": 9001, "bonus": 9100}});
    assert_eq!(ask(salary, &["PAY", "finance"]).await, both);
    assert_eq!(ask(salary, &[EVERYTHING]).await, both);
    let desk = "{ person(id: \"u1\") { phone nick badge } }";
    let masked = json!({"person": {"phone": "***", "nick": "***", "badge": null}});
    assert_eq!(ask(desk, &["PAY"]).await, masked);
    let own = json!({"person": {"phone": "9501", "nick": "9601", "badge": 9801}});
    assert_eq!(ask(desk, &["desk"]).await, own);
    assert_eq!(ask(desk, &["NICK"]).await["person"]["nick"], "9601");
    let order = "{ people(orderBy: [{salary: DESC}], first: 1) { nodes { id } } }";
    assert_eq!(ask(order, &["PAY"]).await, json!({"people": {"nodes": [{"id": "u4"}]}}));
    assert_eq!(ask(order, &["finance"]).await, Json::Null);
    let reports = "{ person(id: \"u1\") { reports { id } note } }";
    let found = json!({"person": {
        "reports": [{"id": "u2"}, {"id": "u3"}], "note": "secretly fond of plums0"
    }});
    assert_eq!(ask(reports, &["hr"]).await, found);
    assert_eq!(ask("{ letters { totalCount } }", &[]).await, json!({"letters": {"totalCount": 2}}));
    let all = json!({"letters": {"totalCount": 5}});
    assert_eq!(ask("{ letters { totalCount } }", &["support"]).await, all);
    assert_eq!(ask("{ audits { totalCount } }", &["auditors"]).await["audits"]["totalCount"], 2);
}

#[tokio::test]
async fn what_is_not_seen_is_not_written() {
    let [one, _] = Database::pair(&read("schema.graphql")).await;
    let who = reader();
    let refused = async |query: &str| {
        let answer = one.change(query, json!({}), &who).await;
        answer["errors"][0]["message"].as_str().unwrap_or_default().to_owned()
    };
    let update = "mutation { updatePerson(input: {id: \"u2\", salary: 1}) { snapshot } }";
    assert!(refused(update).await.contains("salary"), "{}", refused(update).await);
    // A row that is replaced whole would lose what its writer does not see; its rank is required.
    for field in [
        "upsertPerson(input: {id: \"u2\", name: \"B\"})",
        "createPerson(input: {id: \"u8\", name: \"B\"})",
    ] {
        let words = refused(&format!("mutation {{ {field} {{ snapshot }} }}")).await;
        assert!(words.contains("Person"), "{words}");
    }
    // A key that is taken by a row that is not seen would tell of it.
    for field in [
        "createLetter(input: {id: \"l4\", personId: \"u2\", isPublic: true})",
        "deleteLetter(id: \"l4\")",
    ] {
        let words = refused(&format!("mutation {{ {field} {{ snapshot }} }}")).await;
        assert!(words.contains("Letter"), "{words}");
    }
    let update =
        "mutation { updatePerson(input: {id: \"u1\", name: \"Anna\"}) { node { name salary } } }";
    let answer = one.change(update, json!({}), &who).await;
    assert_eq!(answer["data"]["updatePerson"]["node"], json!({"name": "Anna", "salary": null}));
    let kept = one.ask("{ person(id: \"u1\") { salary rank } }", &Principal::local()).await;
    assert_eq!(kept, r#"{"data":{"person":{"salary":9001,"rank":9201}}}"#);
    // What is only added tells of nothing.
    let append = "mutation { appendEvent(input: {kind: \"rain\"}) { snapshot } }";
    assert_eq!(one.change(append, json!({}), &who).await["errors"], Json::Null);
}

#[tokio::test]
async fn explain_shows_the_plan_of_the_caller() {
    let [one, other] = Database::pair(&read("schema.graphql")).await;
    for (name, document, _) in probes() {
        let explain = |database: &Database| {
            let request = Request::new(document.as_str(), reader());
            let explained = database.engine.explain(&request);
            explained.unwrap_or_else(|error| error.to_string())
        };
        assert_eq!(explain(&one), explain(&other), "{name}");
    }
    let request = Request::new("{ people { nodes { rank } } }", reader());
    let words = one.engine.explain(&request).expect_err("hidden").to_string();
    assert!(words.contains("rank"), "{words}");
    let request = Request { principal: Principal::local(), ..request };
    assert!(one.engine.explain(&request).is_ok());
}

#[tokio::test]
async fn more_views_than_are_kept_are_told_apart() {
    let [one, _] = Database::pair(&read("schema.graphql")).await;
    // More views than are kept: each caller gets his own all the same, and so does the first again.
    for bits in (0..34_u32).chain([0, 1]) {
        let names = ["PAY", "finance", "hr", "board", "FACE", "support"];
        let held = names.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        let held: Vec<&str> = held.map(|(_, name)| *name).collect();
        let answer = one.ask("{ person(id: \"u1\") { salary } }", &caller("u9", &held)).await;
        assert_eq!(answer.contains("9001"), held.contains(&"PAY"), "{held:?} {answer}");
    }
}

const DESK: &str = "extend schema @module(name: \"desk\", owner: \"desk\")
  @source(name: \"desk\", kind: GRAPHQL, url: \"http://desk\")
type Query { note: Note  plan: Plan @scope(to: [\"board\"]) }
type Note { text: String  secret: String @scope(to: [\"hr\"])  plan: Plan  kind: Kind }
type Plan @scope(to: [\"board\"]) { text: String }
enum Kind { OPEN CLOSED }
";

const STORE: &str = "extend schema @module(name: \"store\", owner: \"store\")
type Thing @key(fields: \"id\") @table(plural: \"things\") {
  id: ID!  price: Int @scope(to: [\"sales\"])  cost: Int @visible(to: [\"sales\"])
}
type Deal @key(fields: \"id\") @table(plural: \"deals\") @scope(to: [\"sales\"]) { id: ID! }
";

/// Keeps what it is asked, and answers with a note.
#[derive(Default)]
struct Recording(parking_lot::Mutex<Vec<String>>);

impl Service for Recording {
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        self.0.lock().push(String::from_utf8_lossy(&call.body).into_owned());
        let note = r#"{"data":{"note":{"text":"seen","secret":"told"},"plan":{"text":"told"}}}"#;
        Box::pin(async move { Ok(Bytes::from_static(note.as_bytes())) })
    }
}

#[tokio::test]
async fn what_is_hidden_of_a_service_is_not_asked_for() {
    let sources = schema::Sources::from_texts([("desk.graphql", DESK), ("store.graphql", STORE)]);
    let schema = match schema::compile(&sources) {
        Ok(schema) => Arc::new(schema),
        Err(found) => panic!("{}", found.render(&sources, false)),
    };
    let (desk, store) = (Arc::new(Recording::default()), tables(&schema, Clock::system()));
    let services: Vec<Arc<dyn Service>> = vec![desk.clone()];
    let engine = Engine::federated(schema, Arc::new(store), services, Settings::default());
    let engine = engine.expect("a graph");
    let ask = async |query: &str, audiences: &[&str]| {
        let request = Request::new(query, caller("u9", audiences));
        engine.execute(request).await.json().expect("JSON")
    };
    for (query, audience, hidden) in [
        ("{ note { text secret } }", "hr", "secret"),
        ("{ plan { text } }", "board", "plan"),
        ("{ things { nodes { id price } } }", "sales", "price"),
        ("{ deals { nodes { id } } }", "sales", "deals"),
        ("{ things(orderBy: [{cost: ASC}]) { nodes { id } } }", "sales", "cost"),
        ("{ note { text } things(where: {price: {eq: 1}}) { nodes { id } } }", "sales", "price"),
    ] {
        desk.0.lock().clear();
        let refused = ask(query, &[]).await;
        let message = refused["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(hidden) && refused["data"] == Json::Null, "{query}: {refused}");
        assert!(desk.0.lock().is_empty(), "{query}");
        let open = ask(query, &[audience]).await;
        assert_eq!(open["errors"], Json::Null, "{query}");
    }
    // Values of variables are held against the same API: names that are hidden are as good as made up.
    for (query, variables) in [
        (
            "query($w: ThingWhere) { things(where: $w) { nodes { id } } }",
            json!({"w": {"price": {"eq": 1}}}),
        ),
        (
            "query($o: [ThingOrderBy!]) { things(orderBy: $o) { nodes { id } } }",
            json!({"o": [{"price": "ASC"}]}),
        ),
        (
            "mutation($i: ThingInput!) { createThing(input: $i) { snapshot } }",
            json!({"i": {"id": "x", "price": 1, "cost": 2}}),
        ),
    ] {
        let ask = async |variables: Json| {
            let mut request = Request::new(query, caller("u9", &[]));
            request.variables = variables.as_object().expect("variables").clone();
            engine.execute(request).await.json().expect("JSON")
        };
        let refused = ask(variables.clone()).await;
        let made_up = variables.to_string().replace("price", "prise");
        let as_made_up = ask(serde_json::from_str(&made_up).expect("JSON")).await;
        let same = as_made_up.to_string().replace("prise", "price");
        assert_ne!(refused["errors"], Json::Null, "{query}: {refused}");
        assert_eq!(refused.to_string(), same, "{query}");
    }
    // What is left is answered, and names nothing that is hidden.
    let seen = ask("{ note { text } things { nodes { id cost } totalCount } }", &[]).await;
    assert_eq!(seen["data"]["note"], json!({"text": "seen"}), "{seen}");
    let types =
        ask("{ __schema { types { name fields { name } inputFields { name } } } }", &[]).await;
    let types = types.to_string();
    for hidden in ["secret", "Plan", "plan", "price", "Deal", "deals"] {
        assert!(!types.contains(&format!("\"{hidden}\"")), "{hidden} in {types}");
    }
    for shown in ["Kind", "Note", "ThingWhere", "cost"] {
        assert!(types.contains(&format!("\"{shown}\"")), "{shown} not in {types}");
    }
    assert!(desk.0.lock().iter().all(|call| !call.contains("secret")));
}
