//! What a server tells of its work: traces that go on in services, metrics, and the log of requests.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};
use testkit::TempProject;

use crate::client::{self, Answer};
use crate::collector::{Collector, Manner, Span, attribute, messages};
use crate::lab::{Lab, SHOP, message};
use crate::ratings::{MODULE, Ratings};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const QUERY: &str = "query Home($n: Int) { items(first: $n) { nodes { name rating } } }";

/// A server on tables and a service, with rows.
fn lab(ratings: &Ratings, settings: &str) -> Lab {
    let settings = format!("{}{settings}", ratings.settings());
    let lab = Lab::open(TempProject::with_schema(SHOP), &settings, false);
    let files = json!([["main.graphql", SHOP], ["ratings.graphql", MODULE]]);
    lab.call("apply", json!({"schema": {"files": files}})).done();
    lab.with_items()
}

fn ask(lab: &Lab, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"query": QUERY, "variables": {"n": 3}}).to_string();
    let headers = [&[("content-type", "application/json")], headers].concat();
    lab.send("POST /graphql", &headers, body.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `traceparent` of each call that the service heard.
fn heard(ratings: &Ratings) -> Vec<String> {
    let heads = ratings.heard().into_iter().flat_map(|heard| heard.head);
    let lines = heads.map(|line| line.to_ascii_lowercase());
    lines.filter_map(|line| Some(line.strip_prefix("traceparent: ")?.to_owned())).collect()
}

fn stopped(mut lab: Lab) {
    lab.stop().join().unwrap().unwrap();
}

#[test]
fn a_trace_goes_through_the_server_into_its_services() {
    let (ratings, collector) = (Ratings::start(), Collector::start(Manner::Takes));
    let more =
        "service_name = \"films\"\nattributes = { zone = \"a\" }\nheaders = { x-key = \"k\" }\n";
    let lab = lab(&ratings, &(collector.settings() + more));
    ratings.heard();
    let context = format!("00-{TRACE}-{PARENT}-01");
    ask(&lab, &[("traceparent", &context), ("tracestate", "a=b")]);
    let heard = heard(&ratings);
    stopped(lab);
    let all = collector.spans();
    let spans: Vec<&Span> = all.iter().filter(|span| hex(&span.trace) == TRACE).collect();
    let only = |name: &str, parent: &str| -> &Span {
        let found = spans.iter().filter(|span| span.name == name && hex(&span.parent) == parent);
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{name} of {parent} in {spans:#?}");
        found[0]
    };
    let whole = only("POST /graphql", PARENT);
    assert_eq!((whole.kind, whole.is_error), (2, false));
    assert_eq!(whole.attributes["http.response.status_code"], "200");
    let query = only("query", &hex(&whole.id));
    assert_eq!(query.attributes["graphql.operation.name"], "Home");
    assert_eq!(query.attributes["headwater.document.hash"].len(), 64);
    assert!(!query.attributes.contains_key("graphql.document"), "{query:?}");
    only("plan", &hex(&query.id));
    let tables = only("call lake", &hex(&query.id));
    let below = only("execute", &hex(&tables.id));
    let scan = only("scan Item", &hex(&below.id));
    assert_eq!(scan.attributes["db.response.returned_rows"], "3");
    let call = only("call ratings", &hex(&query.id));
    assert_eq!((call.kind, tables.kind), (3, 1));
    assert_eq!(call.attributes["headwater.source.owner"], "critics");
    assert_eq!(call.attributes["headwater.batch.size"], "3");
    // The service is told of the very call that it answers.
    assert_eq!(heard, [format!("00-{TRACE}-{}-01", hex(&call.id))]);
    for span in &spans {
        assert!(whole.start <= span.start && span.end <= whole.end, "{span:?}");
    }
    assert!(!format!("{all:?}").contains("lamp"), "values of rows are in no span");
    let sent = collector.sent("/v1/traces").remove(0);
    for line in ["content-type: application/x-protobuf", "x-key: k"] {
        assert!(sent.head.contains(line), "{}", sent.head);
    }
    let resource = messages(&messages(&sent.body, 1)[0], 1).remove(0);
    let resource: BTreeMap<_, _> = messages(&resource, 1).iter().map(|a| attribute(a)).collect();
    assert_eq!((resource["service.name"].as_str(), resource["zone"].as_str()), ("films", "a"));
}

#[test]
fn who_began_a_trace_decides_whether_it_is_kept() {
    let (ratings, collector) = (Ratings::start(), Collector::start(Manner::Takes));
    let lab = lab(&ratings, &(collector.settings() + "traces = 0.0\n"));
    ratings.heard();
    ask(&lab, &[]);
    let own = heard(&ratings).remove(0);
    assert!(own.ends_with("-00") && own.len() == 55, "{own}");
    ask(&lab, &[("traceparent", &format!("00-{TRACE}-{PARENT}-00"))]);
    let passed_on = heard(&ratings).remove(0);
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")) && passed_on.ends_with("-00"));
    ask(&lab, &[("traceparent", "00-not a context")]);
    assert!(!heard(&ratings).remove(0).contains("context"));
    stopped(lab);
    assert_eq!(collector.spans().len(), 0);
}

#[test]
fn without_a_collector_nothing_is_added_to_what_services_hear() {
    let ratings = Ratings::start();
    let lab = lab(&ratings, "");
    ratings.heard();
    ask(&lab, &[]);
    assert_eq!(heard(&ratings), Vec::<String>::new());
    assert!(!lab.get("/metrics").text().contains("telemetry"));
}

#[test]
fn the_text_of_a_document_is_told_only_where_it_is_set() {
    let (ratings, collector) = (Ratings::start(), Collector::start(Manner::Takes));
    let lab = lab(&ratings, &(collector.settings() + "documents = true\n"));
    ask(&lab, &[]);
    stopped(lab);
    let texts: Vec<_> = collector
        .spans()
        .iter()
        .filter_map(|span| span.attributes.get("graphql.document").cloned())
        .collect();
    assert_eq!(texts, [QUERY]);
}

/// The number of a series on the page.
#[track_caller]
fn number(page: &str, series: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
}

#[test]
fn a_collector_that_hangs_or_refuses_harms_no_request_and_what_is_dropped_is_counted() {
    for manner in [Manner::Hangs, Manner::Refuses] {
        let (ratings, collector) = (Ratings::start(), Collector::start(manner));
        let lab = lab(&ratings, &(collector.settings() + "queue = 20\ntimeout = \"500ms\"\n"));
        for _ in 0..50 {
            assert_eq!(ask(&lab, &[]).json()["errors"], Value::Null);
        }
        let page = lab.get("/metrics").text();
        assert!(number(&page, "headwater_telemetry_spans_dropped_total") > 200, "{page}");
        assert!(number(&page, "headwater_telemetry_spans_waiting") <= 20, "{page}");
        assert_eq!(number(&page, "headwater_telemetry_spans_exported_total"), 0);
        stopped(lab);
    }
}

#[test]
fn metrics_are_reported_with_the_numbers_of_the_page() {
    let (ratings, collector) = (Ratings::start(), Collector::start(Manner::Takes));
    let lab = lab(&ratings, &collector.settings());
    ask(&lab, &[]);
    ratings.fail(true);
    ask(&lab, &[]);
    let page = lab.get("/metrics").text();
    let count = |outcome: &str| {
        let series = "headwater_graphql_operations_total{type=\"query\",outcome=\"";
        number(&page, &format!("{series}{outcome}\"}}"))
    };
    assert_eq!((count("ok"), count("errors"), count("refused")), (1, 1, 0));
    let blame =
        "headwater_graphql_errors_total{code=\"UNAVAILABLE\",owner=\"critics\",source=\"ratings\"}";
    assert!(number(&page, blame) >= 1);
    assert_eq!(number(&page, "headwater_graphql_plans_total{plan=\"kept\"}"), 1);
    assert_eq!(number(&page, "headwater_table_rows{type=\"Item\",owner=\"shop\"}"), 3);
    stopped(lab);
    let sent = collector.sent("/v1/metrics").pop().expect("a report at the end");
    let scope = messages(&messages(&sent.body, 1)[0], 2).remove(0);
    let metrics = messages(&scope, 2);
    let name = |metric: &Vec<u8>| String::from_utf8(messages(metric, 1).remove(0)).unwrap();
    let faults = metrics.iter().find(|metric| name(metric) == "headwater_graphql_errors");
    let points = messages(&messages(faults.expect("a metric"), 7)[0], 1);
    let labels: BTreeMap<_, _> = messages(&points[0], 7).iter().map(|a| attribute(a)).collect();
    assert_eq!((labels["owner"].as_str(), labels["code"].as_str()), ("critics", "UNAVAILABLE"));
}

/// The lines of the log of a server that has stopped.
fn lines(settings: &str, act: impl FnOnce(&Lab, &Ratings)) -> Vec<Value> {
    let ratings = Ratings::start();
    let lab = lab(&ratings, &format!("[log]\nfile = \"requests.log\"\n{settings}\n"));
    let path = lab.folder.path().join("requests.log");
    act(&lab, &ratings);
    let mut lab = lab;
    lab.stop().join().unwrap().unwrap();
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line["route"] == "/graphql").collect()
}

#[test]
fn each_request_has_a_line_without_what_is_secret() {
    let secret = "s3cr3t-value";
    let mut token = String::new();
    let lines = lines("requests = true", |lab, ratings| {
        token = lab.token("read");
        let bearer = format!("Bearer {token}");
        let context = format!("00-{TRACE}-{PARENT}-00");
        let headers = [
            ("authorization", bearer.as_str()),
            ("headwater-client", "web/3.1"),
            ("traceparent", &context),
        ];
        assert_eq!(ask(lab, &headers).status, 200);
        ratings.fail(true);
        ask(lab, &[]);
        let query = "query Find($id: ID!) { item(id: $id) { nme } }";
        lab.post("/graphql", &json!({"query": query, "variables": {"id": secret}}));
        lab.post(
            "/graphql",
            &json!({"query": "query Find($id: ID!) { item(id: $id) { name } }",
            "variables": {"id": [secret]}}),
        );
    });
    assert_eq!(lines.len(), 4, "{lines:#?}");
    let first = &lines[0];
    assert_eq!(first["status"], 200);
    assert_eq!((&first["operation"], &first["type"]), (&json!("Home"), &json!("query")));
    assert_eq!((&first["client"], &first["clientVersion"]), (&json!("web"), &json!("3.1")));
    assert_eq!((&first["subject"], &first["outcome"]), (&json!("reader"), &json!("ok")));
    assert!(first["millis"].as_f64().unwrap() > 0.0 && first["cost"].as_f64().unwrap() > 0.0);
    assert_eq!(first["document"].as_str().unwrap().len(), 64);
    let calls = first["calls"].as_array().unwrap();
    let called: Vec<&str> = calls.iter().map(|call| call["source"].as_str().unwrap()).collect();
    assert_eq!(called, ["lake", "ratings"]);
    assert!(calls.iter().all(|call| call["millis"].is_number()), "{first}");
    assert_eq!(first["tables"][0]["rows"], 3);
    let failed = json!({"code": "UNAVAILABLE", "owner": "critics", "source": "ratings"});
    for (name, value) in failed.as_object().unwrap() {
        assert_eq!(lines[1]["errors"][0][name], *value, "{}", lines[1]);
    }
    assert_eq!(lines[2]["outcome"], "refused");
    assert_eq!(lines[3]["errors"][0]["code"], "INVALID_INPUT");
    let all = format!("{lines:?}");
    for hidden in [secret, token.as_str(), "Bearer"] {
        assert!(!all.contains(hidden), "{all}");
    }
}

#[test]
fn slow_requests_have_a_line_in_any_case() {
    let ask_once = |lab: &Lab, _: &Ratings| drop(ask(lab, &[]));
    let slow = lines("slow = \"0s\"", ask_once);
    assert_eq!((slow.len(), &slow[0]["slow"]), (1, &json!(true)));
    assert_eq!(lines("slow = \"1h\"", ask_once), Vec::<Value>::new());
}

#[test]
fn a_request_that_its_client_gives_up_is_counted_and_logged() {
    let hung = Collector::start(Manner::Hangs);
    let settings = format!(
        "[sources.ratings]\nurl = \"http://{}/graphql\"\n[log]\nrequests = true\nfile = \"requests.log\"\n",
        hung.address
    );
    let lab = Lab::open(TempProject::with_schema(SHOP), &settings, false);
    let files = json!([["main.graphql", SHOP], ["ratings.graphql", MODULE]]);
    lab.call("apply", json!({"schema": {"files": files}})).done();
    let mut stream = client::connect(lab.address);
    let body = json!({"query": "{ topRatings { text } }"}).to_string();
    let headers = [("content-type", "application/json")];
    stream.write_all(&message("POST /graphql", &headers, body.as_bytes())).unwrap();
    while hung.sent("/graphql").is_empty() {
        std::thread::yield_now();
    }
    drop(stream);
    let series = "headwater_requests_total{route=\"/graphql\",status=\"499\"} 1";
    while !lab.get("/metrics").text().contains(series) {
        std::thread::yield_now();
    }
    let path = lab.folder.path().join("requests.log");
    let mut lab = lab;
    lab.stop().join().unwrap().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["status"] == 499).expect("a line");
    assert_eq!(line["calls"][0]["error"], "CANCELLED", "{line}");
}

#[test]
fn a_log_that_cannot_be_opened_keeps_the_server_from_starting() {
    let folder = TempProject::with_schema(SHOP).file("headwater.toml", "");
    let settings = "[log]\nrequests = true\nfile = \"nowhere/requests.log\"";
    let settings = server::Settings::parse(settings, "headwater.toml").unwrap();
    let error = crate::lab::runtime().block_on(async {
        let mut project = server::Project::open(folder.path(), settings).await.unwrap();
        project.settings.server.listen = "127.0.0.1:0".parse().unwrap();
        server::serve(project).await.err()
    });
    assert!(error.expect("refused").to_string().contains("nowhere"));
}
