//! `POST /iceberg/v1/oauth/tokens`: exchanges a token of Headwater for one that ends after an hour.
//!
//! In: OAuth2's client credentials, whose secret is a token of Headwater (the client's name may be
//! anything), or a token to be renewed. Out: a token that stands for the first one for an hour, and
//! no longer than it. Not here: what the token allows.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base::{Error, Kind, Scope};
use serde_json::json;

use super::super::super::Shared;
use super::calls::parameter;
use crate::tokens;

/// The grant that renews a token.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Answers a request for a token.
pub(in super::super) async fn token(
    State(app): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = String::from_utf8_lossy(&body);
    let project = &app.project;
    let secret = match parameter(&form, "grant_type").as_deref() {
        Some("client_credentials") => parameter(&form, "client_secret").or_else(|| basic(&headers)),
        Some(EXCHANGE) => parameter(&form, "subject_token"),
        other => {
            let text = format!("the grant `{}` is not offered", other.unwrap_or(""));
            return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", &text);
        }
    };
    let Some(secret) = secret else {
        let text = "the secret of the client is missing: it is a token of Headwater";
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client", text);
    };
    let scopes = parameter(&form, "scope").unwrap_or_default();
    let narrowed = scopes.split(' ').filter_map(Scope::parse).max();
    match tokens::exchange(&project.database, &project.clock, &project.keys, &secret, narrowed)
        .await
    {
        Ok(granted) => Json(json!({
            "access_token": granted.token,
            "token_type": "bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "expires_in": granted.seconds,
            "scope": granted.scope.as_str(),
        }))
        .into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Response {
    let hint = error.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
    let text = format!("{error}{hint}");
    match error.kind() {
        Kind::Unauthenticated => refuse(StatusCode::UNAUTHORIZED, "invalid_client", &text),
        _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &text),
    }
}

fn refuse(status: StatusCode, code: &str, text: &str) -> Response {
    (status, Json(json!({ "error": code, "error_description": text }))).into_response()
}

/// The secret of `Authorization: Basic`, the other way in which OAuth2 clients send it.
fn basic(headers: &HeaderMap) -> Option<String> {
    use base64::Engine as _;
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(_, secret)| secret.to_owned())
}
