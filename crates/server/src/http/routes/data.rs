//! `/import`: a file as the body. `/export`: a file as the answer.

use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base::size::format_bytes;
use base::{Error, Kind, Result, Scope, task};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::authenticate::principal;
use super::super::events;
use super::super::respond::failure;
use super::super::{App, Shared};
use super::operations::{is_json, json, not_json};
use crate::operations;
use crate::project::STATE;
use crate::wire::{ErrorBody, ExportRequest, ImportRequest};

/// Pieces of an export that may wait for a slow reader.
const PIECES: usize = 16;

/// What the limiting body says.
const TOO_LARGE: &str = "length limit exceeded";

/// How to import.
#[derive(Debug, Deserialize)]
pub(super) struct Options {
    /// An [`ImportRequest`] as JSON.
    options: String,
}

/// Spools the body into a temporary file, so that a broken upload imports nothing, then imports it.
pub(super) async fn import(
    State(app): State<Shared>,
    Query(options): Query<Options>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let prepared = async {
        let who = principal(&app, &headers).await?;
        who.require(Scope::Write)?;
        let wanted = serde_json::from_str(&options.options)
            .map_err(|error| Error::invalid(format!("`options` is no JSON: {error}")))?;
        let mut request: ImportRequest = operations::parse(wanted)
            .map_err(|body| Error::from(body).context("failed to read `options`"))?;
        let spooled = spool(&app, body).await?;
        // Files of the server's machine are none of the caller's business.
        request.source = spooled.path().to_path_buf();
        request.rejects = None;
        request.display_name.get_or_insert_with(|| "upload".to_owned());
        Ok::<_, Error>((who, request, spooled))
    };
    match prepared.await {
        Ok((who, request, spooled)) => {
            events::respond(move |report| {
                Box::pin(async move {
                    let _deleted_afterwards = spooled;
                    let request = serde_json::to_value(request).unwrap_or_default();
                    operations::call(&app.project, &who, "import", request, report).await
                })
            })
            .await
        }
        Err(error) => failure(error.into()),
    }
}

async fn spool(app: &App, body: Body) -> Result<tempfile::NamedTempFile> {
    let folder = app.project.folder.join(STATE).join("uploads");
    std::fs::create_dir_all(&folder)?;
    let file = tempfile::NamedTempFile::new_in(&folder)?;
    let mut writer = tokio::fs::File::from_std(file.reopen()?);
    let mut pieces = body.into_data_stream();
    let patience = Duration::from_millis(app.project.settings.limits.request_millis);
    // An upload may take any time, as long as it moves.
    while let Some(piece) =
        tokio::time::timeout(patience, pieces.next()).await.map_err(|_| stalled(patience))?
    {
        writer.write_all(&piece.map_err(|error| broken(app, error))?).await?;
    }
    writer.flush().await?;
    Ok(file)
}

fn stalled(patience: Duration) -> Error {
    let text = format!("the upload stood still for {} ms", patience.as_millis());
    Error::new(Kind::Unavailable, text).hint("send it again; nothing was imported")
}

fn broken(app: &App, error: axum::Error) -> Error {
    let limit = app.project.settings.limits.upload_body.0;
    let is_too_large = base::error_chain(&error).iter().any(|text| text == TOO_LARGE);
    if is_too_large {
        let text = format!("the body is larger than {}", format_bytes(limit));
        return Error::new(Kind::LimitExceeded, text)
            .hint("send less, or raise `limits.upload_body`");
    }
    Error::new(Kind::Cancelled, "the upload ended before its end")
        .hint("send it again; nothing was imported")
        .caused_by(error)
}

pub(super) async fn export(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_json(&headers) {
        return not_json();
    }
    let who = match principal(&app, &headers).await {
        Ok(who) => who,
        Err(error) => return failure(error.into()),
    };
    let request: ExportRequest = match json(&body).and_then(operations::parse) {
        Ok(request) => request,
        Err(error) => return failure(error),
    };
    let kind = content_type(&request.format);
    let (sender, mut receiver) = mpsc::channel(PIECES);
    let running = task::spawn("export over http", async move {
        let sink = Box::new(Pieces { sender: sender.clone() });
        let result = operations::export(&app.project, &who, request, sink, &mut |_| {}).await;
        if let Err(error) = result {
            // Before the first byte this becomes the answer; after it, the broken body says it.
            drop(sender.send(Err(error)).await);
        }
    });
    // A refusal must have its status, so that the first piece is waited for.
    match receiver.recv().await {
        Some(Err(error)) => failure(error),
        first => stream(first, receiver, running, kind),
    }
}

fn stream(
    first: Option<Result<Bytes, ErrorBody>>,
    receiver: mpsc::Receiver<Result<Bytes, ErrorBody>>,
    running: task::Task<()>,
    kind: &'static str,
) -> Response {
    let pieces =
        futures::stream::iter(first).chain(ReceiverStream::new(receiver)).map(move |piece| {
            let _keeps_the_work_alive = &running;
            piece.map_err(|error| std::io::Error::other(error.message))
        });
    let mut response = Body::from_stream(pieces).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn content_type(format: &str) -> &'static str {
    match format {
        "csv" => "text/csv; charset=utf-8",
        "jsonl" => "application/jsonl",
        "parquet" => "application/vnd.apache.parquet",
        _ => "application/vnd.apache.arrow.file",
    }
}

/// A writer whose pieces become the body; it blocks its own thread while the reader is slow.
struct Pieces {
    sender: mpsc::Sender<Result<Bytes, ErrorBody>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // An encoder that is dropped after an error flushes on a thread of the runtime, where
        // blocking must be announced.
        tokio::task::block_in_place(|| {
            self.sender.blocking_send(Ok(Bytes::copy_from_slice(bytes)))
        })
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
