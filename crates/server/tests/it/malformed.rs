//! Malformed requests as data. A file of `tests/malformed/http` is one class; a case is a title
//! (`# …`), a request (`> …`) and the golden answer (`< …`), which `BLESS=1` writes anew.
//!
//! ```text
//! # a title
//! > POST /operations/sql
//! > content-type: application/json
//! >
//! > {"sql": 1}
//! < 200 INVALID_INPUT
//! < what is wrong
//! < hint: what to do
//! ```
//!
//! Requests get `Host`, `Connection` and `Content-Length` unless they name them; `-` leaves one
//! out. `\xNN`, `\r`, `\n` and `\\` are bytes, `{{N*text}}` is a text N times. Not here: settings.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::client::{self, Answer};
use crate::lab::{Lab, message};

/// Small bounds, so that a case reaches them.
const SETTINGS: &str =
    "[limits]\nrequest_body = \"2KiB\"\nupload_body = \"4KiB\"\nrequest_millis = 1000";

/// One case: what is asked, and where its answer stands in the file.
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) input: Vec<String>,
}

/// The cases of a file; answers are not read, they are written anew and compared as a whole.
pub(crate) fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            cases.push(Case { title: title.to_owned(), input: Vec::new() });
        } else if let Some(line) = line.strip_prefix("> ").or((line == ">").then_some("")) {
            cases.last_mut().expect("a title before the input").input.push(line.to_owned());
        } else {
            assert!(line.is_empty() || line.starts_with("< "), "`{line}` belongs to nothing");
        }
    }
    cases
}

/// Runs all files of a folder through `answer`, which gives lines, and compares.
#[track_caller]
pub(crate) fn check_folder(
    folder: &str,
    least: (usize, usize),
    mut answer: impl FnMut(&Case) -> Vec<String>,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/malformed").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut differences) = (0, Vec::new());
    for file in &files {
        let mut actual = String::new();
        for case in cases(&std::fs::read_to_string(file).unwrap()) {
            count += 1;
            writeln!(actual, "# {}", case.title).unwrap();
            for line in &case.input {
                writeln!(actual, "{}", format!("> {line}").trim_end()).unwrap();
            }
            for line in answer(&case) {
                writeln!(actual, "< {line}").unwrap();
            }
            actual.push('\n');
        }
        differences.extend(testkit::golden::compare(file, &actual).err());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(files.len() >= least.0 && count >= least.1, "{} classes, {count} cases", files.len());
}

#[test]
fn every_malformed_request_has_its_words() {
    let lab = Lab::with(SETTINGS).with_items();
    let tokens = [lab.token("read"), lab.token("write")];
    check_folder("http", (12, 60), |case| {
        let request = request(case, &tokens);
        let answer = client::exchange(lab.address, &request);
        lab.assert_healthy();
        described(answer.as_ref(), &case.title)
    });
    assert_eq!(lab.rows("SELECT count(*) FROM items"), serde_json::json!([["3"]]));
}

fn request(case: &Case, tokens: &[String; 2]) -> Vec<u8> {
    let mut lines = case.input.iter();
    let first = bytes(lines.next().expect("a first line"));
    let mut headers = Vec::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let line = line.replace("{{READ}}", &tokens[0]).replace("{{WRITE}}", &tokens[1]);
        headers.push(line);
    }
    let body = lines.map(|line| bytes(line)).collect::<Vec<_>>().join(&b'\n');
    // A head that stands in escapes is sent as it is.
    if let Some(raw) = first.strip_prefix(b"RAW ") {
        return raw.to_vec();
    }
    let split = |line: &String| -> (Vec<u8>, Vec<u8>) {
        let (name, value) = line.split_once(':').expect("a header");
        (bytes(name), bytes(value.trim()))
    };
    let headers: Vec<(Vec<u8>, Vec<u8>)> = headers.iter().map(split).collect();
    assemble(&first, &headers, &body)
}

/// Like [`message`], for headers that may not be text.
fn assemble(first: &[u8], headers: &[(Vec<u8>, Vec<u8>)], body: &[u8]) -> Vec<u8> {
    let names: Vec<String> =
        headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    let absent: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "-")).collect();
    let ours = message("", &absent, body);
    let rest = ours.strip_prefix(b" HTTP/1.1\r\n").unwrap();
    let mut request = [first, b" HTTP/1.1\r\n"].concat();
    for (name, value) in headers.iter().filter(|(_, value)| value != b"-") {
        request.extend([name, &b": "[..], value, b"\r\n"].concat());
    }
    request.extend_from_slice(rest);
    request
}

/// Reads the escapes.
fn bytes(text: &str) -> Vec<u8> {
    let mut text = text.to_owned();
    while let Some((before, rest)) = text.clone().split_once("{{") {
        let (inner, after) = rest.split_once("}}").expect("closed braces");
        let (count, piece) = inner.split_once('*').expect("`N*text`");
        text = format!("{before}{}{after}", piece.repeat(count.parse().unwrap()));
    }
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&kind, after) = rest.split_first().expect("an escape");
        rest = after;
        match kind {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[2..];
            }
            // JSON has escapes of its own.
            other => bytes.extend([b'\\', other].iter().skip(usize::from(other == b'\\'))),
        }
    }
    bytes
}

/// An answer in lines. Every one must be an error with words, or come from below HTTP.
fn described(answer: Option<&Answer>, title: &str) -> Vec<String> {
    let Some(answer) = answer else { return vec!["closed without an answer".to_owned()] };
    if answer.body.is_empty() && matches!(answer.status, 400 | 414 | 431) {
        return vec![format!("{} without a body: this is no HTTP", answer.status)];
    }
    let is_stream = answer.header("content-type").is_some_and(|kind| kind.contains("ndjson"));
    assert!(!answer.text().contains("{\"done\""), "`{title}` is no error: {}", answer.text());
    let value = if is_stream { answer.error() } else { answer.json() };
    let mut lines = Vec::new();
    match value["errors"].as_array() {
        Some(errors) => {
            lines.push(format!("{} GraphQL", answer.status));
            errors.iter().for_each(|error| graphql_error(error, &mut lines));
        }
        None => error(answer.status, &value, &mut lines),
    }
    assert!(lines.len() > 1, "`{title}` is no error: {value}");
    assert!(answer.status != 500 && !lines[0].contains("INTERNAL"), "`{title}`: {value}");
    lines
}

fn error(status: u16, value: &Value, lines: &mut Vec<String>) {
    let (Some(code), Some(message)) = (value["code"].as_str(), value["message"].as_str()) else {
        return;
    };
    lines.push(format!("{status} {code}"));
    push(lines, "", message);
    for cause in value["causes"].as_array().into_iter().flatten() {
        push(lines, "because: ", cause.as_str().unwrap());
    }
    for diagnostic in value["diagnostics"].as_array().into_iter().flatten() {
        push(lines, "", diagnostic["rendered"].as_str().unwrap());
    }
    for name in ["place", "hint"] {
        if let Some(text) = value[name].as_str() {
            push(lines, &format!("{name}: "), text);
        }
    }
}

fn graphql_error(error: &Value, lines: &mut Vec<String>) {
    let extensions = &error["extensions"];
    push(
        lines,
        &format!("{} ", extensions["code"].as_str().unwrap()),
        error["message"].as_str().unwrap(),
    );
    if let Some(place) = error["locations"].get(0) {
        lines.push(format!("place: {}:{}", place["line"], place["column"]));
    }
    if let Some(hint) = extensions["hint"].as_str() {
        push(lines, "hint: ", hint);
    }
}

/// Several lines are shown as such; numbers that change from run to run are not shown.
pub(crate) fn push(lines: &mut Vec<String>, prefix: &str, text: &str) {
    for (index, line) in text.lines().enumerate() {
        let prefix = if index == 0 { prefix } else { "  " };
        lines.push(format!("{prefix}{line}").trim_end().to_owned());
    }
}
