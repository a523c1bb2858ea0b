//! What is known of a request while it is answered, and what is told of it when it has ended.
//!
//! In: the head of a request, then what its handler learns. Out: counts, a line of the log, spans. A request
//! that its client gives up ends, too: with status 499, as reverse proxies call it. Not here: what happens
//! within an operation (`mesh::record`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::{Timestamp, rng::Rng};
use http::HeaderMap;
use mesh::record::{Fault, Record, SpanId};

use super::context::Sampler;
use crate::gate::{Caller, Hash};
use crate::usage::Asker;

/// The status of a request whose client went away.
pub(crate) const GIVEN_UP: u16 = 499;

/// A request while it is answered.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What it does.
    pub(crate) record: Arc<Record>,
    /// The span of the client that called.
    pub(super) parent: Option<SpanId>,
    pub(crate) began: Timestamp,
    pub(crate) method: String,
    /// The pattern of the path.
    pub(crate) route: String,
    pub(super) version: &'static str,
    pub(super) scheme: &'static str,
    /// Whether anybody wants to know more than counts.
    is_detailed: bool,
    keeps_text: bool,
    who: OnceLock<Who>,
    document: OnceLock<Asked>,
    answer: OnceLock<Answered>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) asker: Asker,
    pub(super) subject: Arc<str>,
}

/// Which document was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The SHA-256 of its text, by which documents are registered.
    pub(super) hash: String,
    /// Its text, where traces have it.
    pub(super) text: Option<String>,
}

/// What came of an operation.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) outcome: Outcome,
    pub(crate) errors: usize,
    pub(crate) faults: Vec<Fault>,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Without errors.
    Whole,
    /// With errors in the answer.
    Errors,
    /// Before it began.
    Refused,
    /// Because its time was over.
    TimedOut,
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 4] =
        [Outcome::Whole, Outcome::Errors, Outcome::Refused, Outcome::TimedOut];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Outcome::Whole => "ok",
            Outcome::Errors => "errors",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timed_out",
        }
    }
}

/// What is wanted of each request.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Which traces are kept; none without one.
    pub(super) sampler: Option<Sampler>,
    /// Whether there may be a line of the log.
    pub(super) is_logged: bool,
    pub(super) keeps_text: bool,
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a http::Method,
    pub(crate) route: &'a str,
    pub(crate) version: http::Version,
    pub(crate) is_tls: bool,
    pub(crate) headers: &'a HeaderMap,
}

impl Seen {
    pub(super) fn new(wanted: &Wanted, head: Head<'_>, now: Timestamp, rng: &Rng) -> Arc<Self> {
        let place = wanted.sampler.map(|sampler| sampler.place(head.headers, rng));
        let trace = place.map(|(trace, _)| trace);
        let is_detailed = wanted.is_logged || trace.is_some_and(|trace| trace.is_sampled);
        let seen = Seen {
            record: Record::new(trace, is_detailed),
            parent: place.and_then(|(_, parent)| parent),
            began: now,
            method: known(head.method).to_owned(),
            route: head.route.to_owned(),
            version: version(head.version),
            scheme: if head.is_tls { "https" } else { "http" },
            is_detailed,
            keeps_text: wanted.keeps_text,
            who: OnceLock::new(),
            document: OnceLock::new(),
            answer: OnceLock::new(),
        };
        Arc::new(seen)
    }

    /// Hears who asks.
    pub(crate) fn caller(&self, caller: &Caller) {
        if self.is_detailed {
            let (asker, subject) = (caller.asker.clone(), Arc::clone(&caller.principal.subject));
            self.who.get_or_init(|| Who { asker, subject });
        }
    }

    /// Hears which document is asked.
    pub(crate) fn asked(&self, text: &str) {
        if self.is_detailed {
            let kept = self.keeps_text.then(|| text.to_owned());
            self.document.get_or_init(|| Asked { hash: Hash::of(text).to_string(), text: kept });
        }
    }

    /// Hears what came of the operation.
    pub(crate) fn answered(&self, response: &mesh::Response) {
        let outcome = match (response.refused, response.timed_out, response.errors) {
            (true, _, _) => Outcome::Refused,
            (_, true, _) => Outcome::TimedOut,
            (_, _, 0) => Outcome::Whole,
            _ => Outcome::Errors,
        };
        let (errors, faults) = (response.errors, response.faults.clone());
        self.answer.get_or_init(|| Answered { outcome, errors, faults });
    }

    /// What came of the operation, of a request of GraphQL.
    pub(crate) fn answer(&self) -> Option<&Answered> {
        self.answer.get()
    }

    pub(super) fn who(&self) -> Option<&Who> {
        self.who.get()
    }

    pub(super) fn document(&self) -> Option<&Asked> {
        self.document.get()
    }

    /// How long it takes until now.
    pub(crate) fn took(&self) -> Duration {
        self.record.elapsed()
    }
}

/// Methods are words that clients may make up.
fn known(method: &http::Method) -> &'static str {
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"]
        .into_iter()
        .find(|name| *name == method.as_str())
        .unwrap_or("_OTHER")
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
