//! What one request did, noted while it runs: its operation, and its calls and scans with their times.
//!
//! In: the place of the request in a trace, if there is one. Out: a [`Record`], and for each call the
//! headers by which the source continues the trace. Nobody waits for a record: a request without one
//! notes nothing. Not here: names of spans and metrics, and who is told of them (`server`).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base::Kind;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;

use crate::error::GraphqlError;
use crate::transport::TRACE;
use crate::usage::Usage;

/// Steps that one record holds; those beyond are counted.
const STEPS: usize = 512;

/// Errors of an answer that are told apart; the others are counted with it.
const FAULTS: usize = 20;

/// Bytes of a code that a service made up.
const CODE: usize = 64;

/// The name of a span in its trace.
pub type SpanId = [u8; 8];

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: [u8; 16],
    /// The span of the request, under which its steps stand.
    pub span: SpanId,
    /// Whether spans of the trace are kept.
    pub is_sampled: bool,
    /// Whether the client began it; what else it says of the trace then travels on.
    pub is_continued: bool,
}

/// What one request did.
#[derive(Debug)]
pub struct Record {
    began: Instant,
    trace: Option<Trace>,
    is_detailed: bool,
    operation: OnceLock<Operation>,
    cost: OnceLock<f64>,
    steps: Mutex<Vec<Step>>,
    left_out: AtomicUsize,
    drawn: AtomicU64,
}

/// What a request asks.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name, and what it uses.
    pub usage: Arc<Usage>,
    /// `query`, `mutation` or `subscription`.
    pub kind: &'static str,
    /// Whether its plan was there.
    pub is_planned: bool,
}

/// Something that took time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name in the trace.
    pub id: SpanId,
    /// The step, or the span of the request, that it is a part of.
    pub parent: SpanId,
    /// When it began, from the beginning of the request.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// What it was.
    pub work: Work,
    /// The code of its failure.
    pub error: Option<&'static str>,
}

/// What a step was.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// The whole operation.
    Operation,
    /// A document became a plan.
    Plan,
    /// A call of a source.
    Call(SourceCall),
    /// A scan of a table.
    Scan {
        /// The type whose table it is.
        table: Arc<str>,
        /// Rows that were read.
        rows: usize,
    },
    /// A change of a table.
    Write {
        /// The type whose table it is.
        table: Arc<str>,
    },
}

/// A call of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceCall {
    /// The source.
    pub source: Arc<str>,
    /// Who owns it.
    pub owner: Arc<str>,
    /// Whether it is the tables of this project, in this process.
    pub is_tables: bool,
    /// Objects that it was asked of; 0 when it was asked root fields.
    pub batch: usize,
    /// Bytes of the question.
    pub sent: usize,
    /// Bytes of the answer.
    pub received: usize,
}

/// An error of an answer, as a log or a counter may know it: no message, which may tell values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub code: Arc<str>,
    /// The team whose part failed, where that is known.
    pub owner: Option<Arc<str>>,
    /// The source that failed.
    pub source: Option<Arc<str>>,
    /// Under which the server's log has the cause.
    pub reference: Option<Arc<str>>,
}

/// A place in a record, under which steps are noted. By default nothing is.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Option<(Arc<Record>, SpanId)>);

/// A step that goes on; one that is dropped was given up.
#[derive(Debug)]
pub(crate) struct Begun {
    record: Arc<Record>,
    /// Nothing once it is noted.
    step: Option<Step>,
}

impl Record {
    /// The record of a request that begins now. Without details only its operation is noted.
    pub fn new(trace: Option<Trace>, is_detailed: bool) -> Arc<Self> {
        Arc::new(Record {
            began: Instant::now(),
            trace,
            is_detailed,
            operation: OnceLock::new(),
            cost: OnceLock::new(),
            steps: Mutex::default(),
            left_out: AtomicUsize::new(0),
            drawn: AtomicU64::new(0),
        })
    }

    /// The place of the request in a trace.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// How long ago the request began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is asked, once it is known.
    pub fn operation(&self) -> Option<&Operation> {
        self.operation.get()
    }

    /// What the operation costs, once it is known.
    pub fn cost(&self) -> f64 {
        self.cost.get().copied().unwrap_or(0.0)
    }

    /// The steps that have ended, in the order of their ends; they are given once.
    pub fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.steps.lock())
    }

    /// How many steps there was no room for.
    pub fn left_out(&self) -> usize {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Where steps are noted right under the request.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        Recorder(Some((Arc::clone(self), self.trace.map_or([0; 8], |trace| trace.span))))
    }

    /// A name that no other step of the trace is likely to have: the request's own is random.
    fn draw(&self) -> SpanId {
        let seed = self.trace.map_or(0, |trace| u64::from_be_bytes(trace.span));
        let count = self.drawn.fetch_add(1, Ordering::Relaxed) + 1;
        mixed(seed, count).max(1).to_be_bytes()
    }

    fn note(&self, step: Step) {
        let mut steps = self.steps.lock();
        if steps.len() < STEPS {
            steps.push(step);
        } else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Spreads `count` over all numbers, differently for each seed (the finalizer of SplitMix64).
fn mixed(seed: u64, count: u64) -> u64 {
    let mut mixed = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Recorder {
    /// Notes what is asked; the first to say so is right.
    pub(crate) fn operation(&self, operation: impl FnOnce() -> Operation) {
        if let Some((record, _)) = &self.0 {
            record.operation.get_or_init(operation);
        }
    }

    /// Notes what it costs; the calls of a source in this process cost nothing beside it.
    pub(crate) fn cost(&self, cost: f64) {
        if let Some((record, _)) = &self.0 {
            record.cost.get_or_init(|| cost);
        }
    }

    /// Begins a step, where details are wanted.
    pub(crate) fn begin(&self, work: impl FnOnce() -> Work) -> Option<Begun> {
        let (record, parent) = self.0.as_ref().filter(|(record, _)| record.is_detailed)?;
        let began = record.elapsed();
        let (id, took) = (record.draw(), Duration::ZERO);
        let step = Step { id, parent: *parent, began, took, work: work(), error: None };
        Some(Begun { record: Arc::clone(record), step: Some(step) })
    }

    /// The headers of the client as a source hears them that is called in this step.
    pub(crate) fn headers(&self, client: &Arc<HeaderMap>, step: Option<&Begun>) -> Arc<HeaderMap> {
        let Some((trace, span)) =
            self.0.as_ref().and_then(|(record, span)| Some((record.trace?, *span)))
        else {
            return Arc::clone(client);
        };
        let span = step.and_then(|step| step.step.as_ref()).map_or(span, |step| step.id);
        let mut headers = HeaderMap::clone(client);
        let [parent, state] = &TRACE;
        // Hexadecimal digits can always stand in a header.
        if let Ok(value) = HeaderValue::try_from(trace.header(span)) {
            headers.insert(parent.clone(), value);
        }
        if !trace.is_continued {
            headers.remove(state);
        }
        Arc::new(headers)
    }
}

impl Trace {
    /// `traceparent`, as a span of this trace says it to those that it calls.
    fn header(&self, span: SpanId) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        let hex = |text: &mut String, bytes: &[u8]| {
            for byte in bytes {
                // Writing into a string cannot fail.
                let _infallible = write!(text, "{byte:02x}");
            }
        };
        hex(&mut text, &self.id);
        text.push('-');
        hex(&mut text, &span);
        text.push_str(if self.is_sampled { "-01" } else { "-00" });
        text
    }
}

impl Begun {
    /// Where what is a part of the step is noted.
    pub(crate) fn below(&self) -> Recorder {
        let id = self.step.as_ref().map_or([0; 8], |step| step.id);
        Recorder(Some((Arc::clone(&self.record), id)))
    }

    /// What the step is, to say more of it.
    pub(crate) fn work(&mut self) -> Option<&mut Work> {
        self.step.as_mut().map(|step| &mut step.work)
    }

    /// The step has ended.
    pub(crate) fn end(mut self, error: Option<Kind>) {
        self.note(error);
    }

    fn note(&mut self, error: Option<Kind>) {
        if let Some(step) = self.step.take() {
            let took = self.record.elapsed().saturating_sub(step.began);
            self.record.note(Step { took, error: error.map(Kind::code), ..step });
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.note(Some(Kind::Cancelled));
    }
}

impl Fault {
    /// What is told of the first errors of an answer.
    pub(crate) fn of(errors: &[GraphqlError]) -> Vec<Fault> {
        let one = |error: &GraphqlError| {
            let text = |name: &str| {
                let text = error.extensions.get(name).and_then(serde_json::Value::as_str)?;
                // Services say what they like.
                Some(Arc::from(text.get(..text.floor_char_boundary(CODE)).unwrap_or(text)))
            };
            Fault {
                code: text("code").unwrap_or_else(|| "".into()),
                owner: text("owner"),
                source: text("source"),
                reference: text("reference"),
            }
        };
        errors.iter().take(FAULTS).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(is_sampled: bool, is_continued: bool) -> Trace {
        Trace { id: [0xab; 16], span: [1; 8], is_sampled, is_continued }
    }

    #[test]
    fn a_request_without_a_record_notes_nothing() {
        let recorder = Recorder::default();
        assert!(recorder.begin(|| panic!("nobody wants to know")).is_none());
        let client = Arc::new(HeaderMap::new());
        assert!(Arc::ptr_eq(&recorder.headers(&client, None), &client));
    }

    #[test]
    fn steps_stand_under_the_one_that_they_are_a_part_of() {
        let record = Record::new(Some(trace(true, false)), true);
        let mut outer = record.recorder().begin(|| Work::Operation).unwrap();
        let inner = outer.below().begin(|| Work::Plan).unwrap();
        drop(inner);
        *outer.work().unwrap() = Work::Write { table: "Film".into() };
        outer.end(None);
        let steps = record.take_steps();
        let [inner, outer] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!((outer.parent, inner.parent), ([1; 8], outer.id));
        assert_eq!((outer.error, inner.error), (None, Some("CANCELLED")));
        assert_eq!(outer.work, Work::Write { table: "Film".into() });
        assert_ne!(inner.id, outer.id);
    }

    #[test]
    fn steps_beyond_the_bound_are_counted() {
        let record = Record::new(None, true);
        for _ in 0..STEPS + 3 {
            record.recorder().begin(|| Work::Plan).unwrap().end(None);
        }
        assert_eq!((record.take_steps().len(), record.left_out()), (STEPS, 3));
    }

    /// What a source hears of a client's trace context.
    fn check(trace: Trace, is_detailed: bool, expected: &[&str]) {
        let mut client = HeaderMap::new();
        client.insert("traceparent", HeaderValue::from_static("00-client"));
        client.insert("tracestate", HeaderValue::from_static("a=b"));
        let record = Record::new(Some(trace), is_detailed);
        let step = record.recorder().begin(|| Work::Plan);
        let heard = record.recorder().headers(&Arc::new(client), step.as_ref());
        let values: Vec<String> = TRACE
            .iter()
            .filter_map(|name| heard.get(name))
            .map(|value| value.to_str().unwrap().replace(&"ab".repeat(16), "TRACE"))
            .collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn a_source_hears_of_the_step_that_calls_it() {
        let step = mixed(u64::from_be_bytes([1; 8]), 1);
        let own = format!("00-TRACE-{step:016x}-01");
        check(trace(true, false), true, &[&own]);
        check(trace(true, true), true, &[&own, "a=b"]);
        check(trace(false, true), false, &["00-TRACE-0101010101010101-00", "a=b"]);
    }

    #[test]
    fn of_an_error_no_message_is_told() {
        let error = GraphqlError::new(Kind::Denied, "secret")
            .with("owner", "films")
            .with("code", "x".repeat(100));
        let faults = Fault::of(&vec![error; 30]);
        assert_eq!(faults.len(), FAULTS);
        assert_eq!((faults[0].code.len(), faults[0].owner.as_deref()), (CODE, Some("films")));
        assert!(!format!("{faults:?}").contains("secret"));
    }
}
