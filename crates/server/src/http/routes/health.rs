//! `/health` for load balancers and `/metrics` for Prometheus.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::super::Shared;
use super::super::authenticate::principal;
use super::super::respond::failure;
use super::super::watch::families;
use crate::telemetry::family::render;

/// Healthy when the metadata database answers.
pub(super) async fn health(State(app): State<Shared>) -> Response {
    match app.project.refresh().await {
        Ok(()) => {
            let version = app.project.live().deployed.version;
            Json(serde_json::json!({ "status": "ok", "schemaVersion": version })).into_response()
        }
        Err(error) => failure(error.into()),
    }
}

/// Counters. Where tokens are demanded, they are demanded here, too: routes and loads are nobody
/// else's business.
pub(super) async fn metrics(State(app): State<Shared>, headers: HeaderMap) -> Response {
    if let Err(error) = principal(&app, &headers).await {
        return failure(error.into());
    }
    let families = match families(&app).await {
        Ok(families) => families,
        Err(error) => return failure(error.into()),
    };
    let mut response = render(&families).into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
