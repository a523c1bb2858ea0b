//! Answers of long operations: JSON lines of progress while it goes on, then one line with the end.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base::task;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::respond::failure;
use crate::operations::Report;
use crate::wire::{ErrorBody, Event, Progress};

/// What the lines are.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// Lines that may wait for a slow reader.
const LINES: usize = 64;

/// Work that reports.
type Work = Box<dyn for<'a> FnOnce(Report<'a>) -> BoxFuture<'a, Result<Value, ErrorBody>> + Send>;

/// Starts the work and streams what it says; what is refused before it began has the status of its
/// error. When the reader goes away, the work is stopped: what it acknowledged is kept, and the
/// same request goes on from there.
pub(super) async fn respond(
    work: impl for<'a> FnOnce(Report<'a>) -> BoxFuture<'a, Result<Value, ErrorBody>> + Send + 'static,
) -> Response {
    let (sender, mut receiver) = mpsc::channel(LINES);
    let running = task::spawn("answer an operation", run(Box::new(work), sender));
    let first = match receiver.recv().await {
        Some(Event::Error(error)) => return failure(error),
        first => first,
    };
    // The task lives as long as the stream: it is dropped, and so aborted, with the body.
    let events = futures::stream::iter(first).chain(ReceiverStream::new(receiver));
    let lines = events.map(move |event| {
        let _keeps_the_work_alive = &running;
        Ok::<Bytes, std::convert::Infallible>(line(&event))
    });
    let mut response = Body::from_stream(lines).into_response();
    let kind = HeaderValue::from_static(MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn run(work: Work, sender: mpsc::Sender<Event>) {
    let reports = sender.clone();
    let mut report = move |progress: Progress| {
        // A reader that cannot keep up loses reports, never the end.
        drop(reports.try_send(Event::Progress(progress)));
    };
    let event = match work(&mut report).await {
        Ok(answer) => Event::Done(answer),
        Err(error) => Event::Error(error),
    };
    // Nobody is left to tell when this fails.
    drop(sender.send(event).await);
}

fn line(event: &Event) -> Bytes {
    let mut text = serde_json::to_string(event).unwrap_or_default();
    text.push('\n');
    text.into()
}
