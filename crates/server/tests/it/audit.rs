//! The audit of GraphQL over HTTP: `serverAudits` of the npm package `graphql-http` against a server of
//! this process. Needs `node` and what `npm ci` puts into `tests/graphql-http`; without them the suite
//! says that it was skipped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::lab::Lab;

/// What may be otherwise and is, with the reason.
const OTHERWISE: [(&str, &str); 3] = [
    ("5A70", "a GET that a page of another site could send is refused"),
    ("6A70", "a GET that a page of another site could send is refused"),
    ("D6D5", "a GET that a page of another site could send is refused"),
];

/// The folder with the audit, when it is installed.
fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/graphql-http");
    let is_there = folder.join("node_modules/graphql-http/package.json").is_file();
    if is_there && Command::new("node").arg("--version").output().is_ok() {
        return Some(folder);
    }
    // Past the capture of the test harness, which would hide it from a passing test.
    let notice = "skipped: tests/graphql-http is not installed; `cargo xtask setup` installs it\n";
    drop(std::io::stderr().write_all(notice.as_bytes()));
    None
}

/// The audits that a server does not pass, in the order of their ids, each with its name.
fn failed(folder: &Path, lab: &Lab, header: Option<&str>) -> Vec<(String, String)> {
    let url = format!("{}graphql", lab.url());
    let output = Command::new("node")
        .arg("audit.mjs")
        .arg(url)
        .args(header)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(results.len() > 60, "only {} audits", results.len());
    let text = |result: &Value, name: &str| result[name].as_str().unwrap().to_owned();
    let failed = results.iter().filter(|result| result["status"] != "ok");
    let mut failed: Vec<_> =
        failed.map(|result| (text(result, "id"), text(result, "name"))).collect();
    failed.sort();
    failed
}

#[test]
fn every_audit_of_graphql_over_http_passes() {
    let Some(folder) = installed() else { return };
    let lab = Lab::new();
    assert_eq!(failed(&folder, &lab, Some("headwater-preflight")), []);
    // Without the header, nothing but what may be otherwise is otherwise.
    let otherwise = failed(&folder, &lab, None);
    let ids: Vec<&str> = otherwise.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, OTHERWISE.map(|(id, _)| id), "{otherwise:?}");
    assert!(otherwise.iter().all(|(_, name)| name.starts_with("MAY ")), "{otherwise:?}");
}
