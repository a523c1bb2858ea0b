//! Every file `tests/services/cases/*.txt`: modules, recorded exchanges and queries, with golden calls and
//! answers beside it in `*.out.txt`. The calls are part of what is golden, so that one too many shows.
//!
//! A file has parts that begin with `--- `: `module FILE`, `rows` (a mutation that fills the tables),
//! a method with a target and perhaps a body (an exchange: status, headers, an empty line, the body),
//! and `query NAME` (after a line `# variables {…}`).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use base::Principal;
use mesh::Request;
use serde_json::{Map, Value as Json};

use super::lab::Lab;
use crate::transport::server::answer;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/services/cases")
}

/// A file of cases.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) modules: Vec<(String, String)>,
    pub(crate) rows: Option<String>,
    exchanges: HashMap<String, String>,
    pub(crate) queries: Vec<(String, String)>,
}

pub(crate) fn read(text: &str) -> File {
    let mut file = File::default();
    for part in text.split("\n--- ").map(|part| part.trim_start_matches("--- ")) {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let body = body.trim_end();
        match head.split_once(' ') {
            Some(("module", name)) => file.modules.push((name.to_owned(), body.to_owned())),
            Some(("query", name)) => file.queries.push((name.to_owned(), body.to_owned())),
            Some(_) => drop(file.exchanges.insert(head.to_owned(), exchange(body))),
            None if head == "rows" => file.rows = Some(body.to_owned()),
            None => {}
        }
    }
    file
}

fn exchange(text: &str) -> String {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().expect("a status").to_owned() + " X";
    let mut headers: String = lines.map(|line| format!("{line}\r\n")).collect();
    if !headers.contains("content-type") && !body.is_empty() {
        headers.push_str("content-type: application/json\r\n");
    }
    answer(&status, &headers, body)
}

async fn run(file: File) -> String {
    let exchanges = file.exchanges;
    let answerer = Arc::new(move |method: &str, target: &str, body: &str| {
        let line = format!("{method} {target} {body}");
        let unknown = || answer("500 Unknown", "content-type: text/plain\r\n", "no exchange");
        exchanges.get(line.trim_end()).cloned().unwrap_or_else(unknown)
    });
    let lab = Lab::open(&file.modules, answerer).await;
    if let Some(rows) = file.rows {
        let filled = lab.ask(&rows, Map::new()).await;
        assert_eq!(filled["errors"], Json::Null, "{filled}");
        lab.heard();
    }
    let mut out = String::new();
    for (name, query) in file.queries {
        let _ = writeln!(out, "=== {name}");
        let answer = asked(&lab, &query, &mut out).await;
        for line in lab.heard() {
            let _ = writeln!(out, "asked {line}");
        }
        let _ = writeln!(out, "{}", serde_json::to_string_pretty(&answer).expect("JSON"));
    }
    out
}

/// The answer to a query; its calls, as they are planned, are written before it.
pub(crate) async fn asked(lab: &Lab, query: &str, out: &mut String) -> Json {
    let variables = query.lines().find_map(|line| line.strip_prefix("# variables "));
    let variables: Map<String, Json> =
        variables.map_or_else(Map::new, |text| serde_json::from_str(text).expect("JSON"));
    let request = Request::new(query, Principal::local());
    let request = Request { variables: variables.clone(), ..request };
    let plan = lab.engine.explain(&request).expect("a plan");
    for line in plan.lines().filter(|line| line.starts_with("    ") && line.contains(" for `")) {
        let _ = writeln!(out, "plan {}", line.trim());
    }
    lab.ask(query, variables).await
}

#[tokio::test]
async fn every_case_has_its_golden_calls_and_answers() {
    let entries = std::fs::read_dir(folder()).expect("cases");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| !path.to_string_lossy().ends_with(".out.txt"));
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a file of cases");
        let out = run(read(&text)).await;
        let golden = path.with_extension("out.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &out).expect("a golden file");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != out {
            wrong.push(format!("{}\n{out}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nrun with BLESS=1 to accept", wrong.join("\n"));
}
