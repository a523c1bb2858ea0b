//! Our composition is that of another implementation: all cases, and sources made at random, are
//! composed by both. What both accept must be one API. Needs `node` and what `npm ci` puts into
//! `tests/composition`; without them the suite says that it was skipped.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::compose::{Services, cases, composed};
use crate::random_sources::random_sources;

/// Where we differ from the oracle, by the name of the case, and why.
const EXCEPTIONS: &str = include_str!("../compose/exceptions.json");

fn oracle() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/composition");
    let package = folder.join("node_modules/@theguild/federation-composition/package.json");
    let node = Command::new("node").arg("--version").output().is_ok();
    if package.is_file() && node {
        return Some(folder);
    }
    eprintln!("skipped: tests/composition is not installed; `cargo xtask setup` installs it");
    None
}

/// What both make of each set: `{codes, theirs, ours}`.
fn answers(folder: &Path, sets: &[Services]) -> Vec<Value> {
    let input: Vec<Value> = sets
        .iter()
        .map(|services| {
            let ours = composed(services).graph.map(|graph| graph.api.to_string());
            let services: Vec<Value> =
                services.iter().map(|(name, sdl)| json!({"name": name, "sdl": sdl})).collect();
            json!({"services": services, "ours": ours})
        })
        .collect();
    let mut child = Command::new("node")
        .arg("compose.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_vec(&input).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How the two differ; nothing when they do not.
fn difference(services: &Services, answer: &Value) -> Option<String> {
    let (theirs, ours) = (&answer["theirs"], &answer["ours"]);
    if theirs == ours {
        return None;
    }
    let mut text = String::new();
    for (name, sdl) in services {
        text += &format!("#> source {name}\n{sdl}\n");
    }
    let said = composed(services).diagnostics.to_string();
    text += &format!("--- ours: {said}\n--- theirs: {}\n", answer["codes"]);
    if !theirs.is_null() && !ours.is_null() {
        let show = |api: &Value| format!("{}{}", api["sdl"].as_str().unwrap(), api["tags"]);
        text += &format!("--- ours\n{}\n--- theirs\n{}\n", show(ours), show(theirs));
    }
    Some(text)
}

#[test]
fn every_case_is_composed_as_the_oracle_does() {
    let Some(folder) = oracle() else { return };
    let exceptions: BTreeMap<String, String> = serde_json::from_str(EXCEPTIONS).unwrap();
    let cases = cases();
    let sets: Vec<Services> = cases.iter().map(|case| case.services.clone()).collect();
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(answers(&folder, &sets)) {
        let difference = difference(&case.services, &answer);
        match (difference, exceptions.contains_key(&case.name())) {
            (Some(difference), false) => wrong.push(format!("## {}\n{difference}", case.name())),
            (None, true) => wrong.push(format!("## {}: no longer an exception", case.name())),
            _ => {}
        }
    }
    let known = |name: &String| cases.iter().any(|case| case.name() == *name);
    assert!(exceptions.keys().all(known), "an exception has no case");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn random_sources_compose_as_the_oracle_composes_them() {
    let Some(folder) = oracle() else { return };
    let sets: Vec<Services> = (0..600).map(random_sources).collect();
    let (mut accepted, mut wrong) = (0, Vec::new());
    for (seed, answer) in answers(&folder, &sets).iter().enumerate() {
        accepted += usize::from(!answer["theirs"].is_null());
        if let Some(difference) = difference(&sets[seed], answer) {
            wrong.push(format!("## seed {seed}\n{difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), sets.len(), wrong.join("\n"));
    let refused = sets.len() - accepted;
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}
