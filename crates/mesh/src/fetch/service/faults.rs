//! Errors of services, by the place in the tape that they are about.
//!
//! A path leads from the data of an answer to a value. The place is kept, and not a path of ours: who
//! writes the answer meets the value wherever it stands, also when many objects share one entity.

use std::collections::HashMap;
use std::sync::Arc;

use base::Kind;

use crate::error::GraphqlError;
use crate::tape::{At, Form, Tape};

/// All errors of one request's calls.
#[derive(Default)]
pub(crate) struct Faults {
    all: Vec<Fault>,
    /// By group and place, with the next key of the path when the place is above what the path names.
    by_place: HashMap<(usize, At), Vec<About>>,
    has_any: Vec<bool>,
}

/// An error, and the key after its place when it is about something below.
pub(crate) type About = (usize, Option<Box<[u8]>>);

struct Fault {
    error: GraphqlError,
    is_told: bool,
    /// The place is one that the writer sees, if it is in the answer at all.
    is_placed: bool,
}

impl Faults {
    pub(super) fn new(groups: usize) -> Self {
        Faults { all: Vec::new(), by_place: HashMap::new(), has_any: vec![false; groups] }
    }

    /// Adds an error that is not about a place.
    pub(super) fn add(&mut self, error: GraphqlError) -> usize {
        self.all.push(Fault { error, is_told: false, is_placed: false });
        self.all.len() - 1
    }

    /// Takes the errors of an answer. Out: the first one.
    pub(super) fn take(&mut self, group: usize, tape: &Tape, answerer: &Answerer) -> Option<usize> {
        let errors = tape.get(tape.root(), "errors")?;
        let first = self.all.len();
        for error in tape.items(errors) {
            let fault = self.add(read(tape, error, answerer));
            let path = tape.get(error, "path");
            let place = path.and_then(|path| place(tape, path));
            if let Some((at, rest)) = place {
                self.has_any[group] = true;
                self.all[fault].is_placed = rest.is_none() || tape.is_null(at);
                self.by_place.entry((group, at)).or_default().push((fault, rest));
            }
        }
        (self.all.len() > first).then_some(first)
    }

    /// The errors at a place.
    pub(crate) fn at(&self, group: usize, at: At) -> &[About] {
        if !self.has_any.get(group).is_some_and(|any| *any) {
            return &[];
        }
        self.by_place.get(&(group, at)).map_or(&[], Vec::as_slice)
    }

    /// An error that is told now.
    pub(crate) fn tell(&mut self, fault: usize) -> Option<GraphqlError> {
        let fault = self.all.get_mut(fault)?;
        fault.is_told = true;
        Some(fault.error.clone())
    }

    /// Whether the tables of this project said that the view of the request on them is too old.
    pub(crate) fn is_stale(&self) -> bool {
        self.all.iter().any(|fault| fault.error.is_stale_of_tables())
    }

    /// The errors that nobody was told of, but for those about values that are not in the answer: a
    /// source that does not know the type of an object is asked for the fields of all.
    pub(crate) fn untold(&mut self) -> Vec<GraphqlError> {
        let untold = self.all.iter_mut().filter(|fault| !fault.is_told && !fault.is_placed);
        let tell = |fault: &mut Fault| {
            fault.is_told = true;
            fault.error.clone()
        };
        untold.map(tell).collect()
    }
}

/// Who answers a call.
pub(super) struct Answerer {
    pub(super) name: Arc<str>,
    pub(super) owner: Arc<str>,
    /// The tables of this project, whose errors are words of ours already.
    pub(super) is_tables: bool,
}

/// An error of a source, as callers may know it.
fn read(tape: &Tape, error: At, answerer: &Answerer) -> GraphqlError {
    let text = |name: &str| tape.get(error, name).and_then(|at| tape.text(at));
    let message = text("message").unwrap_or_else(|| "the service tells an error".to_owned());
    let extensions = tape.get(error, "extensions");
    if let (true, Some(own)) = (answerer.is_tables, extensions)
        && let Ok(own) = serde_json::from_slice(tape.raw(own))
    {
        let found = GraphqlError { extensions: own, ..GraphqlError::new(Kind::Internal, message) };
        return found.with("source", answerer.name.as_ref());
    }
    let code = extensions.and_then(|at| tape.get(at, "code")).and_then(|at| tape.text(at));
    let retryable = extensions.and_then(|at| tape.get(at, "retryable"));
    let retryable = retryable.is_some_and(|at| tape.raw(at) == b"true");
    GraphqlError::new(Kind::Internal, message)
        .with("code", code.unwrap_or_else(|| "SERVICE_ERROR".to_owned()))
        .with("source", answerer.name.as_ref())
        .with("owner", answerer.owner.as_ref())
        .with("retryable", retryable)
}

/// Where a path leads, and the key after it when it leads further than the data goes.
fn place(tape: &Tape, path: At) -> Option<(At, Option<Box<[u8]>>)> {
    let mut at = tape.get(tape.root(), "data")?;
    for step in tape.items(path) {
        let next = match tape.form(step) {
            Form::Number => {
                let index = std::str::from_utf8(tape.raw(step)).ok()?.parse().ok()?;
                tape.items(at).nth(index)
            }
            _ => tape.get(at, &tape.text(step)?),
        };
        match next {
            Some(next) => at = next,
            None => return Some((at, Some(tape.inside(step).into()))),
        }
    }
    Some((at, None))
}
