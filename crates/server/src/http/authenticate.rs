//! Turns the `Authorization` header into a [`Principal`]. Nothing else of the house looks at it.

use axum::http::{HeaderMap, header};
use base::{Error, Kind, Principal, Result};

use super::App;
use crate::tokens;

/// Who sent a request. Without a token that is the machine's owner, and only where the server
/// demands none.
pub(super) async fn principal(app: &App, headers: &HeaderMap) -> Result<Principal> {
    // PyIceberg 0.12 writes its missing token out in this way.
    let given = headers.get(header::AUTHORIZATION).filter(|value| *value != "Bearer None");
    let Some(value) = given else {
        if app.demands_tokens {
            return Err(Error::new(Kind::Unauthenticated, "this server demands a token")
                .hint("send `Authorization: Bearer hw_…`; `headwater token create` makes one"));
        }
        return Ok(Principal::local());
    };
    let token =
        value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(|| {
            Error::new(Kind::Unauthenticated, "the `Authorization` header is no bearer token")
                .hint("send `Authorization: Bearer hw_…`")
        })?;
    let token_text = token.trim();
    if tokens::is_exchanged(token_text) {
        let project = &app.project;
        return tokens::authenticate_exchanged(
            &project.database,
            &project.clock,
            &project.keys,
            token_text,
        )
        .await;
    }
    tokens::authenticate(&app.project.database, &app.project.clock, token.trim()).await
}
