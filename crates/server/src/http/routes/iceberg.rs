//! `/iceberg/v1`: the Iceberg REST catalog over HTTP.
//!
//! In: requests as the public specification has them. Out: what `lake::rest` answers, with
//! credentials for the table's files where the client asks for them. Not here: what a call does
//! (`lake::rest`), how paths are read (`calls`), the files themselves (`crate::s3`).

mod calls;
mod grants;

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base::{Principal, Scope};
use lake::rest::{Answer, Call, Ident, Reach, Refusal};
use serde_json::{Value, json};

use super::super::authenticate::principal;
use super::super::{App, Shared};
use crate::s3::credentials::{Credentials, May, issued_for_one, lend};
use crate::s3::sign::{ToSign, sign};
use calls::Signs;
pub(super) use grants::token;

/// The region that clients are told; there is one, and it means nothing.
pub(crate) const REGION: &str = "us-east-1";

/// Where the catalog lives.
const ROOT: &str = "/iceberg/v1/";

/// Answers any request of the catalog.
pub(super) async fn serve(State(app): State<Shared>, request: Request) -> Response {
    match answer(&app, request).await {
        Ok(response) => response,
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(refusal.body())).into_response()
}

async fn answer(app: &App, request: Request) -> Result<Response, Refusal> {
    let who = principal(app, request.headers()).await?;
    app.project.refresh().await?;
    app.project.live().deployed.schema.require_all(&who, "the Iceberg catalog")?;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let headers = request.headers().clone();
    let path = uri.path().strip_prefix(ROOT).unwrap_or_default().to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    let body = body(app, request).await?;
    if path == "config" && method == Method::GET {
        return config(app, &headers, &who, &query);
    }
    if let Some(signs) = calls::signs(&method, &path)? {
        return remote_sign(app, &headers, &who, signs, &body).await;
    }
    let call = calls::parse(&method, &path, &query)?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let answer = app.project.live().lake.rest(&call, &body, &who, key).await?;
    let asked = Asked { headers: &headers, who: &who, table: named(&call, &body), call: &call };
    respond(app, &asked, answer)
}

/// A call, as its answer must know it.
struct Asked<'a> {
    headers: &'a HeaderMap,
    who: &'a Principal,
    call: &'a Call,
    /// The table that it is about.
    table: Option<Ident>,
}

/// The table that a call is about.
fn named(call: &Call, body: &Value) -> Option<Ident> {
    match call {
        Call::LoadTable(table, _) | Call::CommitTable(table) => Some(table.clone()),
        Call::CreateTable(namespace) | Call::RegisterTable(namespace) => {
            let name = body.get("name")?.as_str()?.to_owned();
            Some(Ident { namespace: namespace.clone(), name })
        }
        _ => None,
    }
}

async fn body(app: &App, request: Request) -> Result<Value, Refusal> {
    let patience = Duration::from_millis(app.project.settings.limits.request_millis);
    let taken = tokio::time::timeout(patience, Bytes::from_request(request, &())).await;
    let Ok(taken) = taken else { return Err(Refusal::bad("the body did not come in time")) };
    let bytes = taken.map_err(|refusal| Refusal::bad(refusal.body_text()))?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad(format!("the body is no JSON: {error}")))
}

/// What clients must know before they ask anything.
fn config(
    app: &App,
    headers: &HeaderMap,
    who: &Principal,
    query: &str,
) -> Result<Response, Refusal> {
    who.require(Scope::Read)?;
    let ours = &app.project.lake.config().warehouse;
    let named = calls::parameter(query, "warehouse").filter(|named| !named.is_empty());
    if let Some(named) = named {
        let plain = named.trim_start_matches("s3://").trim_end_matches('/');
        if plain != ours.as_str() {
            let text = format!("there is no warehouse `{named}`; the warehouse is `{ours}`");
            return Err(Refusal::missing("NotFoundException", text));
        }
    }
    let body = json!({
        "defaults": store(app, headers),
        "overrides": {},
        "endpoints": calls::ENDPOINTS,
        "idempotency-key-lifetime": "PT30M",
    });
    Ok(Json(body).into_response())
}

/// Where and how the files are reached.
fn store(app: &App, headers: &HeaderMap) -> Value {
    json!({
        "s3.endpoint": app.origin_of(headers),
        "s3.path-style-access": "true",
        "s3.region": REGION,
        "client.region": REGION,
    })
}

fn respond(app: &App, asked: &Asked<'_>, answer: Answer) -> Result<Response, Refusal> {
    if let (Some(etag), Some(known)) = (&answer.etag, asked.headers.get(header::IF_NONE_MATCH))
        && known.to_str().is_ok_and(|known| known.split(',').any(|one| one.trim() == etag))
        && matches!(asked.call, Call::LoadTable(..))
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag.clone())]).into_response());
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let Some(mut body) = answer.body else { return Ok(status.into_response()) };
    if let Some(reach) = &answer.reach {
        configure(app, asked, reach, &mut body)?;
    }
    let mut response = (status, Json(body)).into_response();
    if let Some(etag) = answer.etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Adds to an answer how the client gets at the table's files.
fn configure(app: &App, asked: &Asked<'_>, reach: &Reach, body: &mut Value) -> Result<(), Refusal> {
    let wanted = asked.headers.get_all("x-iceberg-access-delegation").iter();
    let wanted: Vec<&str> =
        wanted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let writes = asked.who.scope >= Scope::Write;
    let lent = || lend(&app.project, asked.who, reach, writes, app.project.clock.now());
    let wants = |name: &str| wanted.iter().any(|one| one.trim() == name);
    if matches!(asked.call, Call::LoadCredentials(_)) || wants("vended-credentials") {
        let made = lent()?;
        let settings = settings(app, asked.headers, &made);
        let all = reach
            .locations
            .iter()
            .map(|location| json!({ "prefix": location, "config": settings }));
        body["storage-credentials"] = all.collect();
        if !matches!(asked.call, Call::LoadCredentials(_)) {
            body["config"] = settings;
        }
    } else if wants("remote-signing") {
        // A table that is only staged is nowhere to be found, so its folder goes along.
        let staged = body.get("metadata-location").is_none_or(Value::is_null);
        let endpoint = match &asked.table {
            Some(table) if !staged => calls::signer(table),
            _ => format!("v1/aws/s3/sign/{}", lent()?.session_token),
        };
        body["config"] = signed(app, asked.headers, endpoint);
    } else if body.get("config").is_some() {
        body["config"] = store(app, asked.headers);
    }
    Ok(())
}

/// What a client needs that has its requests signed here.
fn signed(app: &App, headers: &HeaderMap, endpoint: String) -> Value {
    let mut settings = store(app, headers);
    settings["s3.remote-signing-enabled"] = "true".into();
    settings["s3.signer.uri"] = format!("{}/iceberg", app.origin_of(headers)).into();
    settings["s3.signer.endpoint"] = endpoint.into();
    // PyIceberg signs so in one of its two ways to S3 alone, and must be told both.
    settings["s3.signer"] = "S3V4RestSigner".into();
    settings["py-io-impl"] = "pyiceberg.io.fsspec.FsspecFileIO".into();
    settings
}

fn settings(app: &App, headers: &HeaderMap, made: &Credentials) -> Value {
    let mut settings = store(app, headers);
    settings["s3.access-key-id"] = made.access_key.as_str().into();
    settings["s3.secret-access-key"] = made.secret_key.as_str().into();
    settings["s3.session-token"] = made.session_token.as_str().into();
    let end = made.expires.as_millis().to_string();
    settings["s3.session-token-expires-at-ms"] = end.into();
    settings
}

/// Signs a request to the store for a client that has no credentials.
async fn remote_sign(
    app: &App,
    headers: &HeaderMap,
    who: &Principal,
    signs: Signs,
    body: &Value,
) -> Result<Response, Refusal> {
    let text = |name: &str| {
        let value = body.get(name).and_then(Value::as_str);
        value.ok_or_else(|| Refusal::bad(format!("the body has no `{name}`")))
    };
    let uri: http::Uri =
        text("uri")?.parse().map_err(|_| Refusal::bad("`uri` is no address of an object"))?;
    let (method, region) = (text("method")?.to_uppercase(), text("region")?);
    let reads = matches!(method.as_str(), "GET" | "HEAD");
    who.require(if reads { Scope::Read } else { Scope::Write })?;
    let origin = app.origin_of(headers);
    let named = format!(
        "{}://{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", |authority| authority.as_str())
    );
    if named != origin {
        return Err(Refusal::forbidden(format!("only requests to `{origin}` are signed")));
    }
    let key = key_of(app, &uri, body)
        .ok_or_else(|| Refusal::forbidden("the request is about no object of the warehouse"))?;
    let reach = reach_for(app, who, &signs, &key).await?;
    let issued = issued_for_one(app.project.clock.now());
    let credentials = lend(&app.project, who, &reach, who.scope >= Scope::Write, issued)?;
    let locations = app.project.lake.locations();
    let inside = |location: &String| {
        let folder = locations.path(location).map(|path| path.to_string()).unwrap_or_default();
        key.strip_prefix(&folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !reach.locations.iter().any(inside) {
        return Err(Refusal::forbidden(format!("`{key}` is not among the files of the table")));
    }
    let given = body.get("headers").and_then(Value::as_object).into_iter().flatten();
    let given = given.map(|(name, values)| {
        let values = values.as_array().into_iter().flatten().filter_map(Value::as_str);
        (name.to_lowercase(), values.collect::<Vec<_>>().join(","))
    });
    let request = ToSign { method: &method, uri: &uri, region, headers: given.collect() };
    let signed = sign(request, &credentials, app.project.clock.now());
    let signed: serde_json::Map<String, Value> =
        signed.into_iter().map(|(name, value)| (name, json!([value]))).collect();
    let answer = json!({ "uri": text("uri")?, "headers": signed });
    let cacheable = if reads { "private" } else { "no-cache" };
    Ok(([(header::CACHE_CONTROL, cacheable)], Json(answer)).into_response())
}

/// The object of an address, or the first one of a list of them.
fn key_of(app: &App, uri: &http::Uri, body: &Value) -> Option<String> {
    let bucket = format!("/{}/", app.project.lake.config().warehouse);
    let path = calls::decoded(uri.path()).unwrap_or_default();
    let key = path.strip_prefix(&bucket).filter(|key| !key.is_empty()).map(ToOwned::to_owned);
    let listed = || calls::parameter(uri.query().unwrap_or_default(), "prefix");
    let deleted = || {
        let text = body.get("body")?.as_str()?;
        let (_, rest) = text.split_once("<Key>")?;
        Some(rest.split_once("</Key>")?.0.to_owned())
    };
    key.or_else(listed).or_else(deleted)
}

/// What credentials reach that a request is signed with.
async fn reach_for(app: &App, who: &Principal, signs: &Signs, key: &str) -> Result<Reach, Refusal> {
    let lake = &app.project.live().lake;
    let found = match signs {
        Signs::Of(table) => {
            let call = Call::LoadCredentials(table.clone());
            lake.rest(&call, &Value::Null, who, None).await?.reach
        }
        Signs::Staged(token) => {
            let claims = app.project.keys.claims_of(who, token, app.project.clock.now())?;
            let locations = claims.folders.iter().map(|one| lake.locations().location(one));
            Some(Reach { locations: locations.collect(), owned: claims.may != May::All })
        }
        Signs::Any => lake.reach_of(key).await?,
    };
    found.ok_or_else(|| Refusal::forbidden("the object belongs to no table of the catalog"))
}

impl App {
    /// Scheme and host as the client wrote them: what it can reach us by.
    pub(crate) fn origin_of(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| self.address.to_string(), ToOwned::to_owned);
        let tls = self.project.settings.server.tls_certificate.is_some()
            || self.project.settings.server.behind_proxy;
        format!("{}://{host}", if tls { "https" } else { "http" })
    }
}
