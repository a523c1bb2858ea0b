//! Spans as OTLP has them, under the names of OpenTelemetry's semantic conventions for HTTP and GraphQL.
//!
//! In: what was noted of a request. Out: spans, and the bytes of a request that exports them. What has no
//! name there has one that begins with `headwater.`. Values of variables, paths with parameters and
//! messages of errors are in none. Not here: sending (`export`).

use std::time::Duration;

use base::Timestamp;
use mesh::record::{SpanId, Step, Work};

use super::proto::Message;
use super::seen::Seen;

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    trace: [u8; 16],
    id: SpanId,
    parent: Option<SpanId>,
    name: String,
    kind: SpanKind,
    /// In nanoseconds of Unix time.
    start: u64,
    end: u64,
    attributes: Vec<(&'static str, Attribute)>,
    is_error: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Clone, Debug, PartialEq)]
enum Attribute {
    Text(String),
    Number(i64),
    Yes(bool),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Attribute::Text(text.to_owned())
    }
}

impl From<usize> for Attribute {
    fn from(number: usize) -> Self {
        Attribute::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// The code of a span that failed.
const ERROR: u64 = 2;

/// The flag of a trace that is kept.
const SAMPLED: u32 = 1;

/// The spans of a request that has ended with this status, if its trace is kept.
pub(super) fn spans(seen: &Seen, steps: &[Step], status: u16, took: Duration) -> Vec<Span> {
    let Some(trace) = seen.record.trace().filter(|trace| trace.is_sampled) else {
        return Vec::new();
    };
    let whole = Span {
        trace: trace.id,
        id: trace.span,
        parent: seen.parent,
        name: format!("{} {}", seen.method, seen.route),
        kind: SpanKind::Server,
        start: nanos(seen.began),
        end: nanos(seen.began) + span_nanos(took),
        attributes: of_request(seen, status),
        is_error: status >= 500,
    };
    let parts = steps.iter().map(|step| of_step(seen, trace.id, step));
    std::iter::once(whole).chain(parts).collect()
}

fn of_request(seen: &Seen, status: u16) -> Vec<(&'static str, Attribute)> {
    let mut attributes: Vec<(&'static str, Attribute)> = vec![
        ("http.request.method", seen.method.as_str().into()),
        ("http.route", seen.route.as_str().into()),
        ("http.response.status_code", usize::from(status).into()),
        ("network.protocol.version", seen.version.into()),
        ("url.scheme", seen.scheme.into()),
    ];
    // A path that a pattern stands for may hold a credential.
    if !seen.route.contains('{') {
        attributes.push(("url.path", seen.route.as_str().into()));
    }
    if status >= 500 {
        attributes.push(("error.type", Attribute::Text(status.to_string())));
    }
    if seen.record.left_out() > 0 {
        attributes.push(("headwater.spans.left_out", seen.record.left_out().into()));
    }
    attributes
}

fn of_step(seen: &Seen, trace: [u8; 16], step: &Step) -> Span {
    let (name, kind, mut attributes) = match &step.work {
        // What the tables' own engine does as a source of the graph.
        Work::Operation if !is_whole(seen, step) => {
            ("execute".to_owned(), SpanKind::Internal, Vec::new())
        }
        work => of_work(seen, work),
    };
    if let Some(code) = step.error {
        attributes.push(("error.type", code.into()));
    }
    let start = nanos(seen.began) + span_nanos(step.began);
    Span {
        trace,
        id: step.id,
        parent: Some(step.parent),
        name,
        kind,
        start,
        end: start + span_nanos(step.took),
        attributes,
        is_error: step.error.is_some(),
    }
}

/// Whether a step is right under the request.
fn is_whole(seen: &Seen, step: &Step) -> bool {
    seen.record.trace().is_some_and(|trace| trace.span == step.parent)
}

fn of_work(seen: &Seen, work: &Work) -> (String, SpanKind, Vec<(&'static str, Attribute)>) {
    match work {
        Work::Operation => {
            let (name, attributes) = of_operation(seen);
            (name.to_owned(), SpanKind::Internal, attributes)
        }
        Work::Plan => ("plan".to_owned(), SpanKind::Internal, Vec::new()),
        Work::Call(call) => {
            let kind = if call.is_tables { SpanKind::Internal } else { SpanKind::Client };
            let attributes = vec![
                ("headwater.source.name", call.source.as_ref().into()),
                ("headwater.source.owner", call.owner.as_ref().into()),
                ("headwater.batch.size", call.batch.into()),
                ("http.request.body.size", call.sent.into()),
                ("http.response.body.size", call.received.into()),
            ];
            (format!("call {}", call.source), kind, attributes)
        }
        Work::Scan { table, rows } => {
            let attributes = vec![
                ("db.operation.name", "scan".into()),
                ("db.collection.name", table.as_ref().into()),
                ("db.response.returned_rows", (*rows).into()),
            ];
            (format!("scan {table}"), SpanKind::Internal, attributes)
        }
        Work::Write { table } => {
            let attributes = vec![
                ("db.operation.name", "write".into()),
                ("db.collection.name", table.as_ref().into()),
            ];
            (format!("write {table}"), SpanKind::Internal, attributes)
        }
    }
}

fn of_operation(seen: &Seen) -> (&'static str, Vec<(&'static str, Attribute)>) {
    let Some(operation) = seen.record.operation() else {
        return ("GraphQL Operation", Vec::new());
    };
    let mut attributes: Vec<(&'static str, Attribute)> = vec![
        ("graphql.operation.type", operation.kind.into()),
        ("headwater.plan.kept", Attribute::Yes(operation.is_planned)),
        ("headwater.cost", Attribute::Number(seen.record.cost() as i64)),
    ];
    if !operation.usage.operation.is_empty() {
        attributes.push(("graphql.operation.name", operation.usage.operation.as_str().into()));
    }
    if let Some(document) = seen.document() {
        attributes.push(("headwater.document.hash", document.hash.as_str().into()));
        if let Some(text) = &document.text {
            attributes.push(("graphql.document", text.as_str().into()));
        }
    }
    (operation.kind, attributes)
}

/// In nanoseconds of Unix time; what was before it is its beginning.
pub(super) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(0).saturating_mul(1_000)
}

fn span_nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// `ExportTraceServiceRequest`; `resource` writes the resource.
pub(super) fn encode(spans: &[Span], resource: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.message(1, resource);
        of_resource.message(2, |of_scope| {
            of_scope.message(1, super::scope);
            for span in spans {
                of_scope.message(2, |message| span.encode(message));
            }
        });
    });
    request.into_bytes()
}

impl Span {
    fn encode(&self, message: &mut Message) {
        message.bytes(1, &self.trace);
        message.bytes(2, &self.id);
        if let Some(parent) = &self.parent {
            message.bytes(4, parent);
        }
        message.text(5, &self.name);
        message.varint(6, self.kind as u64);
        message.fixed(7, self.start);
        message.fixed(8, self.end);
        for (name, value) in &self.attributes {
            message.message(9, |attribute| {
                attribute.text(1, name);
                attribute.message(2, |any| match value {
                    Attribute::Text(text) => any.text(1, text),
                    Attribute::Yes(yes) => any.varint(2, u64::from(*yes)),
                    Attribute::Number(number) => any.int(3, *number),
                });
            });
        }
        if self.is_error {
            message.message(15, |status| status.varint(3, ERROR));
        }
        message.fixed32(16, SAMPLED);
    }
}
