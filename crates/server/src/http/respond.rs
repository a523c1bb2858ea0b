//! Answers in JSON, and the HTTP status that each kind of error has.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::Kind;

use crate::wire::ErrorBody;

/// The status for a kind of error.
pub(super) fn status(code: &str) -> StatusCode {
    let is = |kind: Kind| kind.code() == code;
    if is(Kind::InvalidInput) || is(Kind::Unsupported) || is(Kind::Cancelled) {
        StatusCode::BAD_REQUEST
    } else if is(Kind::NotFound) {
        StatusCode::NOT_FOUND
    } else if is(Kind::AlreadyExists) || is(Kind::Conflict) || is(Kind::Stale) {
        StatusCode::CONFLICT
    } else if is(Kind::Unauthenticated) {
        StatusCode::UNAUTHORIZED
    } else if is(Kind::Denied) {
        StatusCode::FORBIDDEN
    } else if is(Kind::LimitExceeded) {
        StatusCode::PAYLOAD_TOO_LARGE
    } else if is(Kind::Unavailable) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// What is said about a limit that is a time, not a size.
pub(super) fn took_too_long(limit: std::time::Duration) -> base::Error {
    base::Error::new(
        Kind::LimitExceeded,
        format!("the request took longer than {} ms", limit.as_millis()),
    )
    .hint("ask for less, or raise `limits.request_millis`")
}

/// What a request gets that did not come to its end in time.
pub(super) fn late(limit: std::time::Duration) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(ErrorBody::from(took_too_long(limit)))).into_response()
}

/// An error as a response.
pub(super) fn failure(body: ErrorBody) -> Response {
    (status(&body.code), Json(body)).into_response()
}

/// A refusal that has a status of its own.
pub(super) fn refuse(status: StatusCode, code: &str, message: String, hint: &str) -> Response {
    let body = ErrorBody {
        code: code.to_owned(),
        message,
        causes: Vec::new(),
        place: None,
        hint: Some(hint.to_owned()),
        diagnostics: Vec::new(),
    };
    (status, Json(body)).into_response()
}
