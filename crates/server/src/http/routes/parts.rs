//! Answers in parts over HTTP: `multipart/mixed`, each part the JSON of one payload.
//!
//! In: the first part of an answer and the stream of the others. Out: a body that begins with the first
//! and has each other as soon as it is there, with the delimiter behind it, so that a client knows that
//! a part is whole without waiting for the next. When the client goes away, the body is dropped, and the
//! request with it. Not here: what the parts are (`mesh::Engine::deliver`).

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt as _, stream};

/// What the body is, without its boundary.
pub(super) const MEDIA_TYPE: &str = "multipart/mixed";

/// What stands before each part, after the delimiter.
const HEAD: &[u8] = b"\r\nContent-Type: application/json; charset=utf-8\r\n\r\n";

/// Whether a client takes parts, in the form that we have: ids, as the specification's proposal has them
/// since 2023. Who names an earlier form gets one answer, which the proposal allows of any form.
pub(super) fn are_taken(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|it| it.to_str().ok());
    accepted.flat_map(|accepted| accepted.split(',')).any(takes_parts)
}

fn takes_parts(accepted: &str) -> bool {
    let mut words = accepted.split(';').map(str::trim);
    let is_parts = words.next().is_some_and(|kind| kind.eq_ignore_ascii_case(MEDIA_TYPE));
    let parameters = words.filter_map(|word| word.split_once('='));
    let refuses = |(name, value): (&str, &str)| {
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
        match name.as_str() {
            "deferspec" => true,
            "incrementalspec" => value != "v0.2",
            "q" => value.parse() == Ok(0.0),
            _ => false,
        }
    };
    is_parts && !parameters.into_iter().any(refuses)
}

/// The answer with its parts.
pub(super) fn respond(first: mesh::Response, rest: mesh::Parts) -> Response {
    let begin = [b"\r\n---".to_vec(), framed(&first.body, false)].concat();
    let begin = stream::once(async move { Bytes::from(begin) });
    let rest = rest.map(|part| Bytes::from(framed(&part.body, part.is_last)));
    let body = Body::from_stream(begin.chain(rest).map(Ok::<_, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("multipart/mixed; boundary=\"-\"")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

/// A part with the delimiter that ends it, or the one that ends all.
fn framed(json: &[u8], is_last: bool) -> Vec<u8> {
    let end: &[u8] = if is_last { b"\r\n-----\r\n" } else { b"\r\n---" };
    [HEAD, json, end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_for_those_who_take_them_in_this_form() {
        for (accept, wanted) in [
            ("multipart/mixed", true),
            ("application/json, multipart/mixed", true),
            ("Multipart/Mixed ; q=0.5", true),
            ("multipart/mixed;incrementalSpec=v0.2,application/graphql-response+json", true),
            ("multipart/mixed;incrementalSpec=v1", false),
            ("multipart/mixed;deferSpec=20220824,application/json", false),
            ("multipart/mixed;deferSpec=20220824, multipart/mixed", true),
            ("multipart/mixed;q=0", false),
            ("multipart/related", false),
            ("application/json", false),
            ("*/*", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]);
            assert_eq!(are_taken(&headers), wanted, "{accept}");
        }
        assert!(!are_taken(&HeaderMap::new()));
    }

    #[test]
    fn a_part_ends_with_its_delimiter() {
        let first = [b"\r\n---".to_vec(), framed(b"{}", false)].concat();
        let body = [first, framed(b"[]", true)].concat();
        let head = "\r\nContent-Type: application/json; charset=utf-8\r\n\r\n";
        let wanted = format!("\r\n---{head}{{}}\r\n---{head}[]\r\n-----\r\n");
        assert_eq!(String::from_utf8(body).unwrap(), wanted);
    }
}
