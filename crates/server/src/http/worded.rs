//! Gives words to refusals of the framework: a body that is too large, a method that is not offered,
//! a query string that cannot be read. In: a response. Out: the same status with an [`ErrorBody`],
//! as every other refusal has it. Not here: refusals that speak for themselves.

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base::Kind;

use super::App;
use super::respond::refuse;
use base::size::format_bytes;

/// More than the framework ever says.
const LONGEST: usize = 4096;

/// Passes answers on; words those refusals that have none.
pub(super) async fn words(app: &App, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(&response) {
        return response;
    }
    let path = path.path();
    let asked = format!("{method} {path}");
    let (is_upload, is_question) = (path == "/import", path == "/graphql");
    let (limits, graphql) = (&app.project.settings.limits, &app.project.settings.graphql);
    let (name, size) = if is_upload {
        ("limits.upload_body", limits.upload_body)
    } else if is_question && graphql.request_bytes.0 < limits.request_body.0 {
        ("graphql.request_bytes", graphql.request_bytes)
    } else {
        ("limits.request_body", limits.request_body)
    };
    let allowed = response.headers().get(header::ALLOW).cloned();
    let mut answer = match status {
        StatusCode::PAYLOAD_TOO_LARGE => refuse(
            status,
            Kind::LimitExceeded.code(),
            format!("the body is larger than {}", format_bytes(size.0)),
            &format!("send less, or raise `{name}`"),
        ),
        StatusCode::METHOD_NOT_ALLOWED => {
            let hint = "the header `Allow` of this answer names the methods that are";
            refuse(status, Kind::InvalidInput.code(), format!("`{asked}` is not offered"), hint)
        }
        _ => {
            let code = match status {
                StatusCode::NOT_FOUND => Kind::NotFound.code(),
                _ if status.is_server_error() => Kind::Internal.code(),
                _ => Kind::InvalidInput.code(),
            };
            refuse(status, code, said(response).await, "the API is in docs/reference/http.md")
        }
    };
    if let Some(allowed) = allowed {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.contains("json"))
}

/// The framework's own words, in our form: lowercase, without a full stop.
async fn said(response: Response) -> String {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), LONGEST).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).trim().trim_end_matches('.').to_owned();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => status.canonical_reason().unwrap_or("refused").to_lowercase(),
    }
}
