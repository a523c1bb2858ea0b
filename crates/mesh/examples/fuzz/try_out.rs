//! Tries inputs out: what panics, breaks a rule or takes too long is found.
//!
//! In: targets, seeds, numbers. Out: inputs with what is wrong with them. What ends the whole process is for
//! the parent process to find: the input that is being tried stands in a file. Not here: keeping (`main`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use base::rng::Rng;
use tokio::runtime::Runtime;

use super::mutate::mutated;
use super::targets::{Kind, Targets};

/// An input that something is wrong with.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) input: String,
    pub(crate) what: String,
}

/// Tries inputs of one kind, made of seeds.
pub(crate) struct Tries<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) targets: &'a Targets,
    pub(crate) seeds: &'a [String],
    pub(crate) rng: &'a Rng,
    /// Where the input stands while it is tried.
    pub(crate) current: Option<&'a Path>,
}

impl Tries<'_> {
    /// Makes an input and tries it out.
    pub(crate) fn one(&self, kind: Kind) -> std::io::Result<Option<Found>> {
        let seed = self.seeds.get(self.rng.below(self.seeds.len() as u64) as usize);
        let input = mutated(seed.map_or("", String::as_str), self.seeds, self.rng);
        if let Some(current) = self.current {
            std::fs::write(current, &input)?;
        }
        let what = wrong(|| self.runtime.block_on(self.targets.run(kind, &input)));
        Ok(what.map(|what| Found { kind, input, what }))
    }
}

/// What is wrong, a panic included.
pub(crate) fn wrong(work: impl FnOnce() -> Result<(), String>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(format!("it panicked: {}", text.unwrap_or("without a word")))
        }
    }
}
