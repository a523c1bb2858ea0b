//! Turns the `Authorization` header into a [`Principal`]. Nothing else of the house looks at it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use base::{Error, Kind, Principal, Result};
use mesh::Recorder;

use super::App;
use crate::gate::Caller;
use crate::gate::budget::Client;
use crate::tokens;
use crate::usage::Asker;

/// Who asks a question, and who pays for it: whom the token speaks for, the owner of the machine, or, where
/// a proxy stands in front, whoever is behind it.
pub(super) async fn caller(app: &App, headers: &HeaderMap, peer: IpAddr) -> Result<Caller> {
    let principal = principal(app, headers).await?;
    let is_proxied = app.project.settings.server.behind_proxy;
    let client = if token(headers).is_some() {
        Client::Subject(principal.subject.clone())
    } else if is_proxied || !peer.is_loopback() {
        Client::at(forwarded(headers).filter(|_| is_proxied).unwrap_or(peer))
    } else {
        Client::Owner
    };
    let asker = Asker::of(headers, &principal.subject);
    let is_known = !matches!(client, Client::Address(_));
    let live = app.project.live();
    let has_services = !live.deployed.schema.services.is_empty()
        || live.before.as_ref().is_some_and(|live| !live.deployed.schema.services.is_empty());
    // Only services hear of them, by rules that name them.
    let headers = if has_services { Arc::new(headers.clone()) } else { Arc::default() };
    let recorder = Recorder::default();
    Ok(Caller { principal, client, is_known, headers, asker, recorder })
}

/// The header with the token. PyIceberg 0.12 writes a missing token out in a way of its own.
fn token(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(header::AUTHORIZATION).filter(|value| *value != "Bearer None")
}

/// The address that the proxy in front saw: the last one, for those before it are what the client said.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// Who sent a request. Without a token that is the machine's owner, and only where the server
/// demands none.
pub(super) async fn principal(app: &App, headers: &HeaderMap) -> Result<Principal> {
    let Some(value) = token(headers) else {
        if app.demands_tokens {
            return Err(Error::new(Kind::Unauthenticated, "this server demands a token")
                .hint("send `Authorization: Bearer hw_…`; `headwater token create` makes one"));
        }
        return Ok(Principal::local());
    };
    let token_text =
        value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).ok_or_else(|| {
            Error::new(Kind::Unauthenticated, "the `Authorization` header is no bearer token")
                .hint("send `Authorization: Bearer hw_…`")
        })?;
    let token_text = token_text.trim();
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
    tokens::authenticate(&app.project.database, &app.project.clock, token_text).await
}
