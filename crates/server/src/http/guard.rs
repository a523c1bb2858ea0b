//! Refuses requests that a page of another site could have sent: a `Host` that is not ours (DNS
//! rebinding) and an `Origin` that is not allowed; and those whose head is too large.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::respond::refuse;
use super::routes::{admit, is_json};

/// Bytes of the headers of a request. The library below has a limit of its own, several times as large,
/// that holds only where a head comes in more than one piece.
const HEADERS: usize = 128 << 10;

/// Lets a request pass when its headers are in order.
pub(super) async fn guard(app: &App, request: Request, next: Next) -> Response {
    if size(request.headers()) > HEADERS {
        return refuse(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "LIMIT_EXCEEDED",
            format!("the headers of the request are larger than {} KiB", HEADERS >> 10),
            "send less in headers, or send it in the body",
        );
    }
    let host = host_of(&request);
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return refuse(
            StatusCode::BAD_REQUEST,
            "INVALID_INPUT",
            "the request names more than one host".to_owned(),
            "send one `Host` header",
        );
    }
    if !is_our_host(app, host.as_deref()) {
        let named = host.unwrap_or_else(|| "none".to_owned());
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "DENIED",
            format!("this server does not answer for the host `{named}`"),
            "add it with `--allow-host` or under `server.allow_hosts`",
        );
    }
    let foreign = request.headers().get_all(header::ORIGIN).iter().map(text);
    let mut foreign = foreign.filter(|origin| !is_allowed_origin(app, origin, host.as_deref()));
    if let Some(origin) = foreign.next() {
        return refuse(
            StatusCode::FORBIDDEN,
            "DENIED",
            format!("pages of `{origin}` may not call this server"),
            "add the origin with `--allow-origin` or under `server.allow_origins`",
        );
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response =
        if is_preflight(&request) { permission() } else { admit(app, request, next).await };
    harden(response.headers_mut(), origin);
    response
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn host_of(request: &Request) -> Option<String> {
    // HTTP/2 carries the host in the URI, HTTP/1 in a header.
    let named = request.headers().get(header::HOST).map(text);
    named.or_else(|| request.uri().host().map(str::to_lowercase))
}

/// Bytes that are no text must not look as if there were no header.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).to_lowercase()
}

/// Whether a browser asks for leave before it sends what a page of an allowed origin wants.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the clients that we generate send beyond what every page may.
const ALLOWED_HEADERS: &str =
    "authorization, content-type, headwater-schema, headwater-client, headwater-client-version";

fn permission() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Headers that a browser sends for a page of another site only after it has asked for leave.
const ASKED_FOR: [&str; 4] =
    ["authorization", "headwater-preflight", "apollo-require-preflight", "x-apollo-operation-name"];

/// Whether somebody meant to send this question by `GET`, or a page of another site could have made a
/// browser send it: with a picture, a script or a link, no `Origin` comes along.
pub(super) fn is_deliberate(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    // `none` is somebody who typed the address.
    if matches!(site, Some(b"same-origin" | b"none")) {
        return true;
    }
    ASKED_FOR.iter().any(|name| headers.contains_key(*name)) || is_json(headers)
}

fn is_our_host(app: &App, host: Option<&str>) -> bool {
    host.is_some_and(|host| app.hosts.iter().any(|ours| ours == without_port(host)))
}

/// `localhost:8080` → `localhost`; `[::1]:8080` → `[::1]`.
fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

fn is_allowed_origin(app: &App, origin: &str, host: Option<&str>) -> bool {
    let is_own = origin.split_once("://").map(|(_, rest)| rest) == host;
    is_own || app.origins.iter().any(|allowed| allowed == origin)
}

/// Headers that keep the UI from being framed, sniffed or made to load anything foreign.
fn harden(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    let policy = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
        worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn ports_are_cut_and_addresses_are_not() {
        assert_eq!(without_port("localhost:8080"), "localhost");
        assert_eq!(without_port("[::1]:8080"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("data.example"), "data.example");
    }
}
