//! Which path leads where, and what every request passes first.

mod data;
mod graphql;
mod health;
mod iceberg;
mod media;
mod operations;
mod parts;
mod streams;
mod ui;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};
use hyper::body::{Frame, SizeHint};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::limit::RequestBodyLimitLayer;

pub(super) use operations::is_json;
pub(super) use streams::Streams;

use super::respond::{late, refuse};
use super::watch::Watch;
use super::{App, Shared, events, guard, worded};

/// All routes of the server.
pub(super) fn router(app: Shared) -> Router {
    let body = usize::try_from(app.project.settings.limits.request_body.0).unwrap_or(usize::MAX);
    let upload = usize::try_from(app.project.settings.limits.upload_body.0).unwrap_or(usize::MAX);
    let settings = &app.project.settings;
    let question = settings.graphql.request_bytes.0.min(settings.limits.request_body.0);
    let question = usize::try_from(question).unwrap_or(usize::MAX);
    let questions = Router::new()
        .route("/graphql", post(graphql::post).get(graphql::get))
        .layer(DefaultBodyLimit::max(question))
        .layer(RequestBodyLimitLayer::new(question))
        .layer(middleware::from_fn_with_state(app.clone(), bound));
    let small = Router::new()
        .route("/system", post(graphql::system))
        .route("/export", post(data::export))
        .route("/media/{type}/{field}/{hash}", get(media::get))
        .route("/metrics", get(health::metrics))
        .route("/health", get(health::health))
        .layer(DefaultBodyLimit::max(body))
        .layer(RequestBodyLimitLayer::new(body))
        .layer(middleware::from_fn_with_state(app.clone(), bound));
    let operations = Router::new()
        .route("/operations/{name}", post(operations::call))
        .route("/iceberg/v1/oauth/tokens", post(iceberg::token))
        .route("/iceberg/v1/{*path}", any(iceberg::serve))
        .layer(DefaultBodyLimit::max(body))
        .layer(RequestBodyLimitLayer::new(body));
    // The default limit covers bodies that are gathered, the layer those that are streamed, and
    // those that say beforehand that they are too large.
    let large = Router::new()
        .route("/import", post(data::import))
        .layer(RequestBodyLimitLayer::new(upload));
    questions
        .merge(small)
        .merge(operations)
        .merge(large)
        .fallback(get(ui::asset))
        // One layer of functions that call each other: each layer of the library clones all below it for
        // every request.
        .layer(middleware::from_fn_with_state(app.clone(), measure))
        .layer(CompressionLayer::new().compress_when(predicate()))
        .with_state(app)
}

/// Everything large enough, but neither lines of progress nor parts of an answer: an encoder would hold
/// them back.
fn predicate() -> impl Predicate {
    DefaultPredicate::new()
        .and(NotForContentType::const_new(events::MEDIA_TYPE))
        .and(NotForContentType::const_new(parts::MEDIA_TYPE))
        .and(is_ours)
}

/// An answer to a request to S3, whose length its client has been told otherwise.
#[derive(Clone, Copy)]
struct OfS3;

fn is_ours(_: StatusCode, _: Version, _: &HeaderMap, said: &Extensions) -> bool {
    said.get::<OfS3>().is_none()
}

/// Ends a request that takes longer than is allowed, a body that never comes included.
async fn bound(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let limit = Duration::from_millis(app.project.settings.limits.request_millis);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => late(limit),
    }
}

/// Passes requests that are signed as requests to S3 are to the store, whatever their path.
async fn signed(app: &App, request: Request, next: Next) -> Response {
    if !crate::s3::is_signed(&request) {
        return worded::words(app, request, next).await;
    }
    let mut response = app.s3.answer(request).await;
    response.extensions_mut().insert(OfS3);
    response
}

/// Lets in as many requests at once as are allowed; the others are told to come back.
pub(super) async fn admit(app: &App, request: Request, next: Next) -> Response {
    // Whoever watches over the server must get through when it is full, and takes nobody's place.
    if matches!(request.uri().path(), "/health" | "/metrics") {
        return signed(app, request, next).await;
    }
    let Ok(slot) = Arc::clone(&app.slots).try_acquire_owned() else {
        app.metrics.refuse();
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "too many requests are in flight".to_owned(),
            "try again in a moment, or raise `limits.concurrent_requests`",
        );
    };
    let response = signed(app, request, next).await;
    // Streams last, and have a limit of their own.
    if streams::is_stream(&response) { response } else { held(response, slot) }
}

/// Keeps `what` until the whole body is sent: a long answer occupies its place as long as it takes.
fn held<T: Send + 'static>(response: Response, what: T) -> Response {
    response.map(|body| {
        let size = body.size_hint().exact();
        // An empty body is over at once; wrapping would only lose that it is empty.
        if size == Some(0) {
            return body;
        }
        Body::new(Held { body, _what: what })
    })
}

/// A body with something that is let go with it.
struct Held<T> {
    body: Body,
    _what: T,
}

// Nothing is pinned: the body is `Unpin` by itself, the other part is never polled.
impl<T> Unpin for Held<T> {}

impl<T> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts every request under the pattern of its route, so that the number of counters is bounded, and tells
/// of it.
async fn measure(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let flight = app.metrics.begin();
    let watch = Watch::begin(&app, &mut request);
    let response = guard::guard(&app, request, next).await;
    watch.end(response.status().as_u16());
    held(response, flight)
}
