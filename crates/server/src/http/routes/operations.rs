//! `POST /operations/NAME`: any operation, answered as JSON lines: progress, then the end.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base::{Error, Scope};
use serde_json::Value;

use super::super::Shared;
use super::super::authenticate::principal;
use super::super::events;
use super::super::respond::{failure, late, refuse, took_too_long};
use crate::operations;
use crate::wire::ErrorBody;

pub(super) async fn call(
    State(app): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if !is_json(&headers) {
        return not_json();
    }
    let who = match principal(&app, &headers).await {
        Ok(who) => who,
        Err(error) => return failure(error.into()),
    };
    // An import by name would read a file of the server's machine; uploads have their own route.
    if name == "import" {
        return failure(
            Error::invalid("files are imported by `POST /import`")
                .hint("`headwater import --server URL` sends them there")
                .into(),
        );
    }
    // The work itself may take longer than a question may.
    let patience = Duration::from_millis(app.project.settings.limits.request_millis);
    let body = match tokio::time::timeout(patience, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(refusal)) => return refusal.into_response(),
        Err(_) => return late(patience),
    };
    let request = match json(&body) {
        Ok(request) => request,
        Err(error) => return failure(error),
    };
    events::respond(move |report| {
        Box::pin(async move {
            let work = operations::call(&app.project, &who, &name, request, report);
            // Changes take the time that they need; questions have a limit.
            if !is_question(&name) {
                return work.await;
            }
            let limit = Duration::from_millis(app.project.settings.limits.request_millis);
            match tokio::time::timeout(limit, work).await {
                Ok(answer) => answer,
                Err(_) => Err(took_too_long(limit).into()),
            }
        })
    })
    .await
}

fn is_question(name: &str) -> bool {
    operations::OPERATIONS.iter().any(|(known, scope)| *known == name && *scope == Scope::Read)
}

/// The body as JSON of any shape.
pub(super) fn json(body: &[u8]) -> Result<Value, ErrorBody> {
    mesh::exact_json(body)
        .map_err(|error| Error::invalid(format!("the body is no JSON: {error}")).into())
}

/// Whether the body says that it is JSON: a page of another site cannot send that without asking.
pub(in crate::http) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    })
}

pub(super) fn not_json() -> Response {
    refuse(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "INVALID_INPUT",
        "the body must be JSON".to_owned(),
        "send `content-type: application/json`",
    )
}
