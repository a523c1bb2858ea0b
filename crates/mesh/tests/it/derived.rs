//! Derived fields that read more than their rows: values that are written down, values that follow from
//! inputs that are asked for beside them, how often tables are asked, and what services give.

mod graph;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::rng::Rng;
use base::{Clock, Principal, Timestamp};
use mesh::{Engine, Limits, Request, Settings};
use serde_json::{Value as Json, json};

use crate::fixture::{Counting, compiled, folder, tables};
use crate::parts::{merge, payloads};

const TYPES: [(&str, &str, &str); 3] = [
    ("teams", "createTeams", "Team"),
    ("members", "createMembers", "Member"),
    ("trips", "createTrips", "Trip"),
];

fn files() -> PathBuf {
    folder().join("derived")
}

fn read(file: &str) -> String {
    let path = files().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The club with rows.
struct Club {
    engine: Arc<Engine>,
    source: Arc<Counting>,
}

impl Club {
    async fn new(rows: &Json, settings: Settings) -> Self {
        let schema = compiled(&read("club.graphqls"));
        let clock = Clock::fixed(Timestamp::parse("2026-11-23T08:00:00Z").expect("a time"));
        let source = Arc::new(Counting::over(tables(&schema, clock.clone())));
        let settings = Settings { cursor_key: [7; 32], clock, rng: Rng::seeded(7), ..settings };
        let engine = Engine::with_settings(schema, source.clone(), settings).expect("an API");
        let club = Club { engine: Arc::new(engine), source };
        fill(&club.engine, rows).await;
        club.scans();
        club
    }

    async fn usual() -> Self {
        Club::new(&usual_rows(), Settings::default()).await
    }

    async fn ask(&self, query: &str) -> Json {
        let request = Request::new(query, Principal::local());
        self.engine.execute(request).await.json().expect("JSON")
    }

    fn scans(&self) -> usize {
        self.source.scans.swap(0, Ordering::SeqCst)
    }
}

fn usual_rows() -> Json {
    serde_json::from_str(&read("rows.json")).expect("JSON")
}

async fn fill(engine: &Engine, rows: &Json) {
    for (list, field, name) in TYPES {
        let query =
            format!("mutation($rows: [{name}Input!]!) {{ {field}(inputs: $rows) {{ count }} }}");
        let Json::Object(variables) = json!({"rows": rows[list]}) else { panic!("an object") };
        let request = Request { variables, ..Request::new(query, Principal::local()) };
        let answer = engine.execute(request).await.json().expect("JSON");
        assert_eq!(answer["errors"], Json::Null, "{list}");
    }
}

/// The operations of a file, each with its name.
fn operations(text: &str) -> Vec<String> {
    let rest = text.lines().filter_map(|line| line.strip_prefix("query "));
    rest.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

#[tokio::test]
async fn every_operation_gets_its_golden_answer() {
    let club = Club::usual().await;
    for file in ["values.graphql", "explain.graphql"] {
        let text = read(file);
        let mut out = String::new();
        for name in operations(&text) {
            let request = Request {
                operation_name: Some(name.clone()),
                ..Request::new(&text, Principal::local())
            };
            let said = match file {
                "explain.graphql" => club.engine.explain(&request).expect("a plan"),
                _ => {
                    let answer = club.engine.execute(request).await.json().expect("JSON");
                    serde_json::to_string_pretty(&answer).expect("JSON") + "\n"
                }
            };
            let _ = write!(out, "// {name}\n{said}");
        }
        let golden = files().join(file).with_extension("out.txt");
        testkit::golden::compare(&golden, &out).unwrap_or_else(|difference| panic!("{difference}"));
    }
}

/// Rows of a club with so many members.
fn random_rows(rng: &Rng) -> Json {
    let maybe =
        |percent: u64, value: Json| if rng.below(100) < percent { value } else { Json::Null };
    let teams: Vec<Json> = (0..3)
        .map(|index| json!({"id": format!("t{index}"), "name": format!("team {index}")}))
        .collect();
    let mut trips = Vec::new();
    let members: Vec<Json> = (0..8)
        .map(|index| {
            for _ in 0..rng.below(5) {
                let nights = maybe(80, json!(rng.below(20)));
                let id = format!("r{}", trips.len());
                let is_abroad = rng.below(2) == 0;
                trips.push(json!({"id": id, "memberId": format!("m{index}"), "nights": nights, "isAbroad": is_abroad}));
            }
            json!({
                "id": format!("m{index}"),
                "givenName": format!("Given{}", rng.below(9)),
                "familyName": maybe(70, json!("Family")),
                "teamId": maybe(80, json!(format!("t{}", rng.below(4)))),
            })
        })
        .collect();
    json!({"teams": teams, "members": members, "trips": trips})
}

/// The numbers of a list of objects that are there.
fn numbers(list: &Json, field: &str) -> Vec<i64> {
    list.as_array().into_iter().flatten().filter_map(|item| item[field].as_i64()).collect()
}

/// What a member's derived fields must be, computed of what was asked beside them.
fn expected(member: &Json) -> Json {
    let given = member["givenName"].as_str().expect("a name");
    let full = format!("{given} {}", member["familyName"].as_str().unwrap_or_default());
    let full = full.trim();
    let team = member["team"]["name"].as_str();
    let two = numbers(&member["two"], "nights");
    let all = numbers(&member["all"], "nights");
    let is_abroad =
        member["all"].as_array().into_iter().flatten().any(|trip| trip["isAbroad"] == true);
    let sum = (!two.is_empty()).then(|| two.iter().sum::<i64>().to_string());
    let mean = (!all.is_empty()).then(|| all.iter().sum::<i64>() as f64 / all.len() as f64);
    json!({
        "displayName": team.map(|team| format!("{full} of {team}")),
        "initial": given[..1],
        "nights": sum,
        "isAbroad": is_abroad,
        "average": mean,
    })
}

#[tokio::test]
async fn values_are_those_that_follow_from_inputs_that_are_asked_for() {
    let rng = Rng::seeded(20_261_130);
    let (mut with_team, mut with_sum) = (0, 0);
    for round in 0..40 {
        let rows = random_rows(&Rng::seeded(rng.next_u64()));
        let club = Club::new(&rows, Settings::default()).await;
        let query = "{ members { nodes { displayName initial nights isAbroad average
            givenName familyName team { name } two: trips(first: 2) { nights }
            all: trips { nights isAbroad } } } }";
        let answer = club.ask(query).await;
        assert_eq!(answer["errors"], Json::Null, "{answer}");
        for member in answer["data"]["members"]["nodes"].as_array().expect("members") {
            let wanted = expected(member);
            for (field, value) in wanted.as_object().expect("an object") {
                assert_eq!(&member[field], value, "round {round}: {field} of {member}");
            }
            with_team += usize::from(!member["displayName"].is_null());
            with_sum += usize::from(!member["nights"].is_null());
        }
    }
    assert!(with_team > 100 && with_sum > 100, "{with_team} {with_sum}");
}

#[tokio::test]
async fn inputs_share_scans_with_what_is_asked_for() {
    let club = Club::usual().await;
    for (query, scans) in [
        ("{ members { nodes { fullName } } }", 1),
        ("{ members { nodes { displayName } } }", 2),
        ("{ members { nodes { displayName team { id } } } }", 2),
        (
            "{ members { nodes { displayName team { id name } other: team { members { id } } } } }",
            3,
        ),
        ("{ members { nodes { nights } } }", 2),
        (
            "{ members { nodes { nights perNight average isAbroad two: trips(first: 2) { id } } } }",
            3,
        ),
        ("{ teams { nodes { nights size members { id } } } }", 3),
        ("{ a: member(id: \"m1\") { displayName } b: member(id: \"m2\") { displayName } }", 2),
    ] {
        let answer = club.ask(query).await;
        assert!(answer["data"] != Json::Null, "{answer}");
        assert_eq!(club.scans(), scans, "{query}");
    }
}

#[tokio::test]
async fn an_input_that_fails_leaves_the_field_out_and_says_so() {
    let club = Club::usual().await;
    *club.source.broken.lock() = Some("Team");
    let answer = club.ask("{ member(id: \"m1\") { fullName displayName initial } }").await;
    let found = json!({"fullName": "Ada Byron", "displayName": null, "initial": "A"});
    assert_eq!(answer["data"]["member"], found);
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    let error = &answer["errors"][0];
    let message = "`Member.displayName` lacks an input: the disk is on fire";
    assert_eq!(
        (&error["message"], &error["path"]),
        (&json!(message), &json!(["member", "displayName"]))
    );
    assert_eq!(error["extensions"]["table"], "teams", "{error}");
}

#[tokio::test]
async fn what_is_read_counts_in_the_cost_and_against_the_limits() {
    let cost = |explained: &str| {
        let rest = explained.split("cost ").nth(1).expect("a cost");
        rest.split(['\n', ':']).next().expect("a number").parse::<f64>().expect("a number")
    };
    let club = Club::usual().await;
    let explain = |query: &str| {
        let request = Request::new(query, Principal::local());
        cost(&club.engine.explain(&request).expect("a plan"))
    };
    let (plain, derived, asked) = (
        explain("{ members(first: 10) { nodes { id } } }"),
        explain("{ members(first: 10) { nodes { nights } } }"),
        explain("{ members(first: 10) { nodes { trips(first: 2) { nights } } } }"),
    );
    assert!(plain < derived, "{plain} {derived}");
    assert!((derived - asked).abs() < 1e-9, "{derived} {asked}");
    for limits in
        [Limits { rows: 2, ..Limits::default() }, Limits { fields: 3, ..Limits::default() }]
    {
        let schema = compiled(&read("club.graphqls"));
        let settings = Settings { limits, ..Settings::default() };
        let engine = Engine::with_settings(schema, club.source.clone(), settings).expect("an API");
        let ask = async |query: &str| {
            let request = Request::new(query, Principal::local());
            engine.execute(request).await.json().expect("JSON")
        };
        let answer = ask("{ member(id: \"m1\") { fullName } }").await;
        assert_eq!(answer["errors"], Json::Null, "{answer}");
        let answer = ask("{ member(id: \"m1\") { nights } }").await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{answer}");
    }
}

#[test]
fn parts_make_the_answer_in_one_piece() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let settings = Settings { incremental: true, ..Settings::default() };
    let club = runtime.block_on(Club::new(&usual_rows(), settings));
    for query in [
        "{ member(id: \"m1\") { id ... @defer { displayName } } }",
        "{ members { nodes { id ... @defer { displayName team { id } nights } } } }",
        "{ members { nodes { displayName ... @defer { team { name } } } } }",
        "{ teams { nodes { ... @defer(label: \"a\") { nights } ... @defer(label: \"b\") { size nights } } } }",
        "{ members { nodes @stream(initialCount: 1) { id displayName } } }",
    ] {
        let plain = query.replace("@defer(label: \"a\")", "").replace("@defer(label: \"b\")", "");
        let plain = plain.replace("@defer", "").replace("@stream(initialCount: 1)", "");
        let whole = runtime.block_on(club.ask(&plain));
        club.scans();
        let request = Request::new(query, Principal::local());
        let parts = runtime.block_on(payloads(&club.engine, request));
        assert!(parts.len() > 1, "{query}");
        let made = merge(&parts).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(made.data, whole["data"], "{query}");
    }
    // What only the later part needs is not waited for.
    let request = Request::new(
        "{ member(id: \"m1\") { id ... @defer { displayName } } }",
        Principal::local(),
    );
    let first = runtime.block_on(async {
        match club.engine.deliver(request, &mesh::Terms::default()).await {
            mesh::Answer::Parts(first, _) => first.json().expect("JSON"),
            mesh::Answer::Whole(_) => panic!("there are parts"),
        }
    });
    assert_eq!(first["data"]["member"], json!({"id": "m1"}));
}

#[tokio::test]
async fn rows_read_back_after_a_change_have_their_derived_fields() {
    let club = Club::usual().await;
    let query = "mutation { updateMember(input: {id: \"m3\", teamId: \"t2\"}) { node { displayName nights } } }";
    let answer = club.ask(query).await;
    let node = &answer["data"]["updateMember"]["node"];
    assert_eq!(*node, json!({"displayName": "Cy Day of red", "nights": "0"}), "{answer}");
}
