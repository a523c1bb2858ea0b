//! `/media/TYPE/FIELD/HASH`: stored media by content, the original or its thumbnail.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base::{Error, Kind, Principal, Result, Scope};
use lake::MediaVariant;
use schema::{Schema, Sight};
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
        let who = principal(&app, &headers).await?;
        who.require(Scope::Read)?;
        let variant = parse(variant.variant.as_deref())?;
        app.project.refresh().await?;
        allow(&app.project.live().deployed.schema, &who, &type_name, &field)?;
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

/// Stored bytes are told by nobody but their row who may see them: whoever does not see all rows, or not
/// the field in all of them, gets none.
fn allow(schema: &Schema, who: &Principal, type_name: &str, field: &str) -> Result<()> {
    let Some((_, object)) = schema.type_named(type_name) else { return Ok(()) };
    let Some((_, found)) = object.field_named(field) else { return Ok(()) };
    let sights = [object.policy.sight(who), found.policy.sight(who)];
    if sights.contains(&Sight::Hidden) {
        return Err(Error::not_found(format!("`{type_name}.{field}` is no media field")));
    }
    if sights.iter().all(|sight| *sight == Sight::Whole) {
        return Ok(());
    }
    let text = format!("media of `{type_name}.{field}` are for callers who see them in all rows");
    Err(Error::new(Kind::Denied, text).hint("use a token with `--audience everything`"))
}

fn parse(variant: Option<&str>) -> Result<MediaVariant> {
    match variant {
        None | Some("original" | "ORIGINAL") => Ok(MediaVariant::Original),
        Some("thumbnail" | "THUMBNAIL") => Ok(MediaVariant::Thumbnail),
        Some(other) => Err(Error::invalid(format!("there is no variant `{other}`"))
            .hint("variants are `original` and `thumbnail`")),
    }
}
