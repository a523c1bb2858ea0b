//! The UI's files, compiled into the binary. Paths that are no file give the page, which routes
//! by itself.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use base::Error;
use rust_embed::RustEmbed;

use super::super::respond::failure;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Files;

/// What is shown when the binary was built without the UI.
const ABSENT: &str = "<!doctype html><title>Headwater</title><h1>Headwater is running</h1>\
    <p>This binary was built without its UI. Install Node.js, run <code>cargo xtask setup</code> and \
    <code>cargo xtask demo</code>. The API answers at <code>/graphql</code>.</p>";

pub(super) async fn asset(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Files::get(path) {
        return serve(path, file);
    }
    // A missing script or picture is a fault; only pages fall back to the one page there is.
    if path.contains('.') {
        let missing = Error::not_found(format!("there is no file `/{path}`"));
        return failure(missing.hint("the UI is at `/`, the API at `/graphql`").into());
    }
    match Files::get("index.html") {
        Some(file) => serve("index.html", file),
        None => Html(ABSENT).into_response(),
    }
}

fn serve(path: &str, file: rust_embed::EmbeddedFile) -> Response {
    let kind = file.metadata.mimetype().to_owned();
    let mut response = file.data.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    // Bundled files carry a digest in their names; the page itself must be asked for anew.
    let caching = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
