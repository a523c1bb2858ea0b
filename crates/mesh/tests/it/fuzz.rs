//! Inputs at random, and those that once did harm: nothing panics, hangs, or answers what is no answer.

#[path = "../../examples/fuzz/corpus.rs"]
mod corpus;
#[path = "../../examples/fuzz/mutate.rs"]
mod mutate;
#[path = "../../examples/fuzz/targets.rs"]
mod targets;
#[path = "../../examples/fuzz/try_out.rs"]
mod try_out;

use std::path::PathBuf;

use base::rng::Rng;
use targets::{Kind, Targets};
use try_out::{Tries, wrong};

/// Inputs of each kind in a test run; `cargo xtask torture mesh` tries for an hour.
const INPUTS: usize = 100;

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn inputs_that_are_kept_do_no_harm() {
    let (targets, runtime) = (Targets::new().expect("engines"), runtime());
    let mut count = 0;
    for kind in Kind::ALL {
        for (file, input) in corpus::kept(&tests(), kind).expect("a folder") {
            let found = wrong(|| runtime.block_on(targets.run(kind, &input)));
            assert_eq!(found, None, "{}", file.display());
            count += 1;
        }
    }
    assert!(count >= 15, "there are {count} inputs");
}

/// Inputs that the seed 7 makes of a kind.
fn check(kind: Kind) {
    let (targets, runtime, rng) = (Targets::new().expect("engines"), runtime(), Rng::seeded(7));
    let seeds = corpus::seeds(&tests(), kind).expect("seeds");
    assert!(seeds.len() > 2, "{kind:?} has {} seeds", seeds.len());
    let tries =
        Tries { runtime: &runtime, targets: &targets, seeds: &seeds, rng: &rng, current: None };
    for _ in 0..INPUTS {
        if let Some(found) = tries.one(kind).expect("no file is written") {
            panic!("{} {}\n{}", found.kind.name(), found.what, found.input);
        }
    }
}

#[test]
fn random_documents_do_no_harm() {
    check(Kind::Documents);
}

#[test]
fn random_variables_do_no_harm() {
    check(Kind::Variables);
}

#[test]
fn random_sdl_does_no_harm() {
    check(Kind::Sdl);
}

#[test]
fn random_requests_do_no_harm() {
    check(Kind::Requests);
}

#[test]
fn random_answers_of_services_do_no_harm() {
    check(Kind::Answers);
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let made = |seed: u64| {
        let (rng, others) = (Rng::seeded(seed), ["{ b }".to_owned()]);
        (0..50).map(|_| mutate::mutated("{ a(x: \"y\") }", &others, &rng)).collect::<Vec<_>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    let changed = made(1).iter().filter(|text| *text != "{ a(x: \"y\") }").count();
    assert!(changed > 40, "{changed}");
}

#[test]
fn a_panic_and_a_broken_rule_are_found() {
    assert_eq!(wrong(|| Ok(())), None);
    assert_eq!(wrong(|| Err("wrong".to_owned())), Some("wrong".to_owned()));
    assert_eq!(wrong(|| panic!("no {}", 7)), Some("it panicked: no 7".to_owned()));
}
