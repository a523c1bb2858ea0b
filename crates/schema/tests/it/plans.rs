//! Plans: golden ones as data, and the properties of all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use schema::diff::{Change, ChangeKind, StorageEffect, WireEffect, diff, diff_sdl};
use schema::load::{Sources, read_folder};
use schema::plan::{Plan, Step, check, plan, stored, undo};
use schema::{Schema, api, compile};

use crate::inspector::{inspected, oracle};
use crate::random::{Maker, compiled};
use crate::services;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plans")
}

fn read(folder: &Path) -> (Sources, Schema) {
    if !folder.is_dir() {
        return (Sources::from_texts::<&str, &str>([]), Schema::empty());
    }
    let found = read_folder(folder).unwrap();
    // Excerpts name the file alone, wherever the repository lies.
    let name = |file: &str| file.rsplit('/').next().unwrap().to_owned();
    let sources = Sources::from_texts(
        found.files.iter().map(|source| (name(&source.file), source.text.clone())),
    );
    let schema = compile(&sources).unwrap_or_else(|faults| {
        panic!("{}: {}", folder.display(), faults.render(&sources, false))
    });
    (sources, schema)
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.join("new").is_dir()).collect();
    cases.sort();
    cases
}

/// Fingerprints follow the canonical text, which is none of this suite's business.
fn without_fingerprints(text: &str) -> String {
    let rest = text.split_once('\n').map_or(text, |(_, rest)| rest);
    format!("plan <base> → <target>\n{rest}")
}

#[test]
fn plans_are_as_written_down() {
    let cases = cases();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    let mut seen = BTreeSet::new();
    for case in cases {
        let (_, old) = read(&case.join("old"));
        let (sources, new) = read(&case.join("new"));
        let text = match plan(&old, &new) {
            Ok(plan) => {
                assert_eq!(check(&plan, &old, &new), [], "{}", case.display());
                seen.extend(plan.steps.iter().map(|step| name_of(&step.step)));
                without_fingerprints(&plan.render(false))
            }
            Err(faults) => faults.render(&sources, false),
        };
        testkit::golden::check(case.join("plan.txt"), &text);
    }
    for (old, new) in services::pairs() {
        let plan = plan(&old, &new).unwrap();
        assert_sound(&plan, &old, &new);
        seen.extend(plan.steps.iter().map(|step| name_of(&step.step)));
    }
    // Restoring is for undo alone, and has a test of its own.
    assert_eq!(seen.len(), 17, "a kind of step is in no case: {seen:?}");
}

fn name_of(step: &Step) -> String {
    let text = format!("{step:?}");
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn assert_sound(plan: &Plan, old: &Schema, new: &Schema) {
    let violations = check(plan, old, new);
    assert!(violations.is_empty(), "{violations:?}\n{}", plan.render(false));
    let text = stored::to_text(plan).unwrap();
    assert_eq!(&stored::from_text(&text).unwrap(), plan);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn every_plan_leads_to_the_new_schema_and_back(seed: u64) {
        let maker = Maker::seeded(seed);
        let before = maker.model();
        let after = maker.changed(&before);
        let (before, after) = (before.sdl(), after.sdl());
        let (old, new) = (compiled(&before), compiled(&after));
        for (from, to) in [(&old, &new), (&new, &old)] {
            match plan(from, to) {
                Ok(plan) => {
                    assert_sound(&plan, from, to);
                    // What is lost is said exactly when something is given up.
                    let contracts = plan.steps.iter().any(|step| {
                        step.storage == StorageEffect::Contract && !matches!(step.step, Step::DropVectors { .. })
                    });
                    prop_assert_eq!(contracts, !plan.losses().is_empty());
                }
                Err(faults) => {
                    prop_assert!(faults.items.iter().all(|fault| fault.hint.is_some()));
                }
            }
            if let Ok(plan) = undo(from, to) {
                assert_sound(&plan, from, to);
            }
        }
    }

    #[test]
    fn a_schema_does_not_differ_from_itself(seed: u64) {
        let text = Maker::seeded(seed).model().sdl();
        let schema = compiled(&text);
        prop_assert_eq!(diff(&schema, &schema), []);
        prop_assert!(plan(&schema, &schema).unwrap().is_empty());
    }
}

#[test]
fn most_random_changes_can_be_planned() {
    let (mut planned, mut refused) = (0, 0);
    for seed in 0..40 {
        let maker = Maker::seeded(seed);
        let before = maker.model();
        let after = maker.changed(&before);
        match plan(&compiled(&before.sdl()), &compiled(&after.sdl())) {
            Ok(_) => planned += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(planned >= 20 && refused >= 2, "{planned} planned, {refused} refused");
}

#[test]
fn the_strongest_wire_effect_is_inspectors() {
    let Some(folder) = oracle() else { return };
    let pairs: Vec<_> = (0..60)
        .map(|seed| {
            let maker = Maker::seeded(seed);
            let before = maker.model();
            let after = maker.changed(&before);
            (compiled(&before.sdl()), compiled(&after.sdl()))
        })
        .collect();
    let apis: Vec<_> =
        pairs.iter().map(|(old, new)| (api::api_sdl(old), api::api_sdl(new))).collect();
    let answers = inspected(&folder, &apis);
    let mut breaking = 0;
    for (((old, new), sdl), theirs) in pairs.iter().zip(&apis).zip(answers) {
        let strongest = theirs.iter().map(|(_, level)| match level.as_str() {
            "BREAKING" => WireEffect::Breaking,
            _ => WireEffect::Dangerous,
        });
        let theirs = strongest.max();
        let ours = diff(old, new).iter().map(|change| change.wire).max();
        let ours = ours.filter(|effect| *effect >= WireEffect::Dangerous);
        assert_eq!(ours, theirs, "{}\n{}\n{:#?}", sdl.0, sdl.1, diff_sdl(&sdl.0, &sdl.1));
        breaking += u32::from(ours == Some(WireEffect::Breaking));
    }
    assert!(breaking > 10, "only {breaking} pairs break anybody");
}

#[test]
fn an_undo_restores_what_was_dropped() {
    let with = "extend schema @module(name: \"main\", owner: \"core\")\n\
                type A @key(fields: \"id\") @table { id: ID! year: Int! }\n\
                type B @key(fields: \"id\") @table { id: ID! }\n";
    let without = "extend schema @module(name: \"main\", owner: \"core\")\n\
                   type A @key(fields: \"id\") @table { id: ID! }\n";
    let (with, without) = (compiled(with), compiled(without));
    let forward = plan(&with, &without).unwrap();
    assert_eq!(
        forward.losses(),
        ["column `a.year` of every row", "table `b` with all its rows (id)"]
    );
    let back = undo(&without, &with).unwrap();
    let steps: Vec<_> = back.steps.iter().map(|step| name_of(&step.step)).collect();
    assert_eq!(steps, ["RestoreTable", "RestoreColumn"]);
    assert_eq!(check(&back, &without, &with), []);
    // Going there as if it were new is refused: nobody knows the year of a row.
    assert!(plan(&without, &with).is_err());
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let before = compiled(
        "extend schema @module(name: \"m\", owner: \"core\")\ntype A @key(fields: \"id\") @table { id: ID! year: Int }\n",
    );
    let after = compiled(
        "extend schema @module(name: \"m\", owner: \"core\")\ntype A @key(fields: \"id\") @table { id: ID! length: Int }\ntype B @table { x: Int }\n",
    );
    let sound = plan(&before, &after).unwrap();
    assert_eq!(check(&sound, &before, &after), []);
    for step in 0..sound.steps.len() {
        let mut less = sound.clone();
        less.steps.remove(step);
        assert!(!check(&less, &before, &after).is_empty(), "without step {step}");
    }
    let mut reversed = sound.clone();
    reversed.steps.reverse();
    assert!(!check(&reversed, &before, &after).is_empty());
    let mut silent = sound.clone();
    silent.steps.iter_mut().for_each(|step| step.destroys.clear());
    assert!(!check(&silent, &before, &after).is_empty());
    assert!(!check(&sound, &after, &before).is_empty());
}

#[test]
fn a_stored_plan_keeps_its_form() {
    let case = folder().join("much_changes_at_once");
    let (_, old) = read(&case.join("old"));
    let (_, new) = read(&case.join("new"));
    let mut plan = plan(&old, &new).unwrap();
    plan.base = "base".into();
    plan.target = "target".into();
    let text = stored::to_text(&plan).unwrap();
    testkit::golden::check(case.join("stored.v3.json"), &text);
    for version in ["stored.v1.json", "stored.v2.json"] {
        let before = std::fs::read_to_string(case.join(version)).unwrap();
        assert_eq!(stored::from_text(&before).unwrap(), plan, "an older plan is still read");
    }
    let json = serde_json::to_string_pretty(&plan.to_json()).unwrap();
    testkit::golden::check(case.join("plan.json"), &(json + "\n"));
    let newer = text.replace("\"version\": 3", "\"version\": 4");
    assert_eq!(stored::from_text(&newer).unwrap_err().kind(), base::Kind::Unsupported);
    assert_eq!(stored::from_text("{").unwrap_err().kind(), base::Kind::Corrupt);
}

/// The effects that a kind of change has among these, mildest first.
fn effects(kind: ChangeKind, changes: &[Change]) -> (Vec<&'static str>, Vec<&'static str>) {
    let found = || changes.iter().filter(|change| change.kind == kind);
    let storage: BTreeSet<_> = found().map(|change| change.storage).collect();
    let wire: BTreeSet<_> = found().map(|change| change.wire).collect();
    (
        storage.into_iter().map(StorageEffect::name).collect(),
        wire.into_iter().map(WireEffect::name).collect(),
    )
}

#[test]
fn the_page_of_changes_is_that_of_the_cases() {
    let mut page = String::from(include_str!("changes.head.md"));
    let mut changes = Vec::new();
    for case in cases() {
        let ((_, old), (_, new)) = (read(&case.join("old")), read(&case.join("new")));
        changes.extend(diff(&old, &new));
    }
    for (old, new) in services::pairs() {
        changes.extend(diff(&old, &new));
    }
    for kind in ChangeKind::ALL {
        let (storage, wire) = effects(*kind, &changes);
        assert!(!storage.is_empty(), "no case shows `{}`", kind.code());
        let generated: Vec<_> = kind.generated().iter().map(|what| what.name()).collect();
        page += &format!(
            "| `{}` `{}` | {} | {} | {} | {} |\n",
            kind.mark().sign(),
            kind.code(),
            kind.line(),
            storage.join(", "),
            wire.join(", "),
            generated.join(", "),
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/changes.md");
    testkit::golden::check(path, &page);
}

#[test]
fn a_first_plan_of_many_tables_is_made_and_checked_at_once() {
    let mut text = String::from("extend schema @module(name: \"m\", owner: \"core\")\n");
    for number in 0..150 {
        text += &format!(
            "type T{number} @key(fields: \"id\") @table {{ id: ID! a: Int b: String @search }}\n"
        );
    }
    let new = compiled(&text);
    let plan = plan(&Schema::empty(), &new).unwrap();
    assert_eq!(plan.steps.len(), 150);
    assert_eq!(check(&plan, &Schema::empty(), &new), []);
}
