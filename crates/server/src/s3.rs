//! The S3 subset that other tools read and write tables through, on the server's own port.
//!
//! ```text
//! signed request → s3s (signature, parsing) → session token → folders → objects | uploads | lance → the lake's store
//! ```
//!
//! In: requests signed with AWS signature version 4, in the header or in the query, whatever their
//! path. Out: objects of the lake's one store under their logical names: the bucket is the
//! warehouse. Not here: who gets which credentials (`http::routes::iceberg`).

pub(crate) mod credentials;
mod list;
mod objects;
mod receive;
pub(crate) mod sign;
mod uploads;
mod words;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::project::Project;
use credentials::Keys;
use objects::Objects;

/// Answers signed requests.
pub(crate) struct S3 {
    project: Arc<Project>,
    service: S3Service,
}

impl S3 {
    /// Over a project's store.
    pub(crate) fn new(project: &Arc<Project>) -> S3 {
        let mut builder = S3ServiceBuilder::new(Objects::new(Arc::clone(project)));
        builder.set_auth(Auth { keys: project.keys.clone() });
        builder.set_access(Access { project: Arc::clone(project) });
        S3 { project: Arc::clone(project), service: builder.build() }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        // Another node may have moved the objects, or committed a version of a table.
        if let Err(error) = self.project.refresh().await {
            return (StatusCode::SERVICE_UNAVAILABLE, words::text(&error)).into_response();
        }
        let uploads = request.version() < Version::HTTP_2
            && matches!(*request.method(), Method::PUT | Method::POST);
        let request = request.map(s3s::Body::http_body_unsync);
        match self.service.call(request).await {
            Ok(response) => {
                let mut response = response.map(Body::new);
                // The rest of a refused body is not read, so that the connection is of no more use.
                if uploads && !response.status().is_success() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                response
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Whether a request is signed as requests to S3 are.
pub(crate) fn is_signed(request: &Request) -> bool {
    let in_header = request
        .headers()
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256"));
    let query = request.uri().query().unwrap_or_default();
    in_header || query.split('&').any(|pair| pair.starts_with("X-Amz-Signature="))
}

/// Knows the secret of every access key, because it is derived from its name.
struct Auth {
    keys: Keys,
}

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        Ok(self.keys.secret(access_key).into())
    }
}

/// Reads the claims of the session token; what they allow is asked where the key is known.
struct Access {
    project: Arc<Project>,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let denied = |code, text: String| S3Error::with_message(code, text);
        let Some(credentials) = context.credentials() else {
            return Err(denied(S3ErrorCode::AccessDenied, "the request is not signed".to_owned()));
        };
        let token = session_token(context).ok_or_else(|| {
            let text = "the request has no session token: credentials of the catalog come with one";
            denied(S3ErrorCode::InvalidToken, text.to_owned())
        })?;
        let project = &self.project;
        let claims = project.keys.claims(&credentials.access_key, &token, project.clock.now());
        let claims = claims.map_err(|error| {
            let code = if error.hint_text().is_some() {
                S3ErrorCode::ExpiredToken
            } else {
                S3ErrorCode::InvalidToken
            };
            denied(code, words::text(&error))
        })?;
        // Policies may have come since the credentials were made.
        let schema = Arc::clone(&project.live().deployed.schema);
        let allowed = schema.require_all(&claims.principal(), "the store");
        allowed.map_err(|error| denied(S3ErrorCode::AccessDenied, words::text(&error)))?;
        context.extensions_mut().insert(claims);
        Ok(())
    }
}

fn session_token(context: &S3AccessContext<'_>) -> Option<String> {
    if let Some(value) = context.headers().get("x-amz-security-token") {
        return value.to_str().ok().map(ToOwned::to_owned);
    }
    let query = context.uri().query()?;
    let token = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Security-Token="))?;
    sign::decoded(token)
}
