//! Which path leads where, and what every request passes first.

mod data;
mod graphql;
mod health;
mod media;
mod operations;
mod ui;

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;

use super::respond::refuse;
use super::{Shared, guard};

/// All routes of the server.
pub(super) fn router(app: Shared) -> Router {
    let body = usize::try_from(app.project.settings.limits.request_body.0).unwrap_or(usize::MAX);
    let upload = usize::try_from(app.project.settings.limits.upload_body.0).unwrap_or(usize::MAX);
    let small = Router::new()
        .route("/graphql", post(graphql::post).get(graphql::get))
        .route("/system", post(graphql::system))
        .route("/operations/{name}", post(operations::call))
        .route("/export", post(data::export))
        .route("/media/{type}/{field}/{hash}", get(media::get))
        .route("/metrics", get(health::metrics))
        .route("/health", get(health::health))
        .layer(DefaultBodyLimit::max(body));
    let large =
        Router::new().route("/import", post(data::import)).layer(DefaultBodyLimit::max(upload));
    small
        .merge(large)
        .fallback(get(ui::asset))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), admit))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(middleware::from_fn_with_state(app.clone(), measure))
        .with_state(app)
}

/// Lets in as many requests at once as are allowed; the others are told to come back.
async fn admit(State(app): State<Shared>, request: Request, next: Next) -> Response {
    // Whoever watches over the server must get through when it is full.
    let is_probe = matches!(request.uri().path(), "/health" | "/metrics");
    let Ok(_slot) = app.slots.try_acquire() else {
        if is_probe {
            return next.run(request).await;
        }
        app.metrics.refuse();
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "too many requests are in flight".to_owned(),
            "try again in a moment, or raise `limits.concurrent_requests`",
        );
    };
    next.run(request).await
}

/// Counts every request under the pattern of its route, so that the number of counters is bounded.
async fn measure(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned());
    let start = Instant::now();
    app.metrics.begin();
    let response = next.run(request).await;
    app.metrics.end(&route, response.status().as_u16(), start.elapsed());
    response
}
