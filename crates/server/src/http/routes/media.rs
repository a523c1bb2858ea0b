//! `/media/TYPE/FIELD/HASH`: stored media by content, the original or its thumbnail.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base::{Error, Result, Scope};
use lake::MediaVariant;
use serde::Deserialize;

use super::super::Shared;
use super::super::authenticate::principal;
use super::super::respond::failure;

/// Which form.
#[derive(Debug, Deserialize)]
pub(super) struct Variant {
    /// `original` (the default) or `thumbnail`.
    variant: Option<String>,
}

pub(super) async fn get(
    State(app): State<Shared>,
    Path((type_name, field, hash)): Path<(String, String, String)>,
    Query(variant): Query<Variant>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        principal(&app, &headers).await?.require(Scope::Read)?;
        let variant = parse(variant.variant.as_deref())?;
        app.project.refresh().await?;
        app.project.lake.media(&type_name, &field, &hash, variant).await
    };
    match found.await {
        Ok((bytes, kind)) => {
            let mut response = bytes.into_response();
            let headers = response.headers_mut();
            if let Ok(kind) = HeaderValue::from_str(kind) {
                headers.insert(header::CONTENT_TYPE, kind);
            }
            // The path names the content, so that it can never change.
            let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
            headers.insert(header::CACHE_CONTROL, forever);
            response
        }
        Err(error) => failure(error.into()),
    }
}

fn parse(variant: Option<&str>) -> Result<MediaVariant> {
    match variant {
        None | Some("original" | "ORIGINAL") => Ok(MediaVariant::Original),
        Some("thumbnail" | "THUMBNAIL") => Ok(MediaVariant::Thumbnail),
        Some(other) => Err(Error::invalid(format!("there is no variant `{other}`"))
            .hint("variants are `original` and `thumbnail`")),
    }
}
