//! Every folder of `tests/graphql/route`: the calls and the answers of its cases.
//!
//! `sources.graphql` has the sources; `cases.txt` has parts, each of which begins with a line
//! `=== NAME` and is an operation, after lines `# variables {…}`, `# seed N`, `# broken N`,
//! `# refused SOURCE` and `# answers SOURCE TEXT`.

use std::fmt::Write as _;

use base::Principal;
use mesh::Request;
use serde_json::{Map, Value as Json};

use super::graph::{folder, read};
use super::service::{Failure, Federation};

/// A part of a file of cases.
struct Case<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Case<'a> {
    fn lines(&self, word: &str) -> Vec<&'a str> {
        let start = format!("# {word} ");
        self.text.lines().filter_map(|line| line.strip_prefix(&start)).collect()
    }

    fn number(&self, word: &str, default: u64) -> u64 {
        self.lines(word).first().map_or(default, |text| text.parse().expect("a number"))
    }

    fn variables(&self) -> Map<String, Json> {
        let text = self.lines("variables");
        text.first().map_or_else(Map::new, |text| serde_json::from_str(text).expect("JSON"))
    }

    fn failures(&self) -> Vec<(String, Failure)> {
        let refused = self.lines("refused").into_iter();
        let refused = refused.map(|name| (name.to_owned(), Failure::Refused));
        let answers = self.lines("answers").into_iter().map(|line| {
            let (name, text) = line.split_once(' ').expect("a source and a text");
            (name.to_owned(), Failure::Text(text.to_owned()))
        });
        refused.chain(answers).collect()
    }
}

/// Runs a case; whether it equals one service with everything is checked where no source fails.
async fn run(federation: &Federation, case: &Case<'_>) -> String {
    let mut out = format!("=== {}\n", case.name);
    let variables = case.variables();
    let broken = case.number("broken", 0);
    federation.set_world(case.number("seed", 1), broken);
    *federation.shared.failures.lock() = case.failures();
    let request = Request::new(case.text, Principal::local());
    let request = Request { variables: variables.clone(), ..request };
    let plan = federation.engine.explain(&request).expect("a plan");
    let calls = plan.lines().skip_while(|line| !line.starts_with("call "));
    calls.for_each(|line| out.push_str(&format!("{line}\n")));
    let answer = federation.ask(case.text, &variables).await;
    for (name, body) in federation.shared.calls.lock().iter() {
        let _ = writeln!(out, "asked {name} {}", body["variables"]);
    }
    out.push_str(&serde_json::to_string_pretty(&answer).expect("JSON"));
    out.push('\n');
    let wrongs = federation.shared.wrongs.lock().clone();
    assert!(wrongs.is_empty(), "{}: {wrongs:?}\n{out}", case.name);
    // The interpreter knows nothing of types.
    if case.failures().is_empty() && broken == 0 && !case.text.contains("__type(") {
        let wanted = federation.monolith(case.text, &variables).expect("a valid operation");
        assert_eq!(answer["data"], wanted.data, "{}\n{out}", case.name);
    }
    out
}

#[tokio::test]
async fn every_case_has_its_golden_calls_and_answer() {
    let entries = std::fs::read_dir(folder()).expect("graphs");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    for folder in folders {
        let federation = Federation::new(read(&folder.join("sources.graphql")));
        let text = std::fs::read_to_string(folder.join("cases.txt")).expect("cases");
        let mut out = String::new();
        for part in text.split("=== ").skip(1) {
            let (name, text) = part.split_once('\n').expect("a line that begins a part");
            out.push_str(&run(&federation, &Case { name, text }).await);
            count += 1;
        }
        if let Err(difference) = testkit::golden::compare(&folder.join("cases.out.txt"), &out) {
            wrong.push(difference);
        }
    }
    assert!(count >= 30, "there are only {count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
