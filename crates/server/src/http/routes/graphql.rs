//! `/graphql`, as the GraphQL-over-HTTP specification says, and `/system`, the administration.
//!
//! In: a request by `POST` or, for questions, by `GET`. Out: an answer in the media type that the client
//! takes. Not here: which document is meant and what it may cost (`gate`).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::authenticate::{caller, principal};
use super::super::guard::is_deliberate;
use super::super::respond::status;
use super::super::{App, Shared};
use super::operations::{is_json, json, not_json};
use super::{parts, streams};
use crate::gate::{Answer, Bill, Caller, Document, Gate};
use crate::operations;
use crate::project::Live;
use crate::telemetry::Seen;
use crate::wire::{ErrorBody, GraphqlRequest};

/// The media type that tells errors of the request from errors inside the answer.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

pub(super) async fn post(
    State(app): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(seen): Extension<Arc<Seen>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = match read(&headers, &body) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    if streams::wants_events(&headers) {
        return Box::pin(streams::events(app, headers, peer, &seen, &request, &Method::POST)).await;
    }
    let asked = async {
        let caller = known(&app, &headers, peer, &seen).await?;
        let came = Came { app: &app, headers: &headers, method: Method::POST, seen: &seen };
        answer(&came, &caller, &request).await
    };
    answered(&headers, &seen, asked.await)
}

pub(super) async fn system(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let request = match read(&headers, &body) {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let answer = async {
        let principal = principal(&app, &headers).await?;
        let query = request.query.clone().ok_or_else(|| Error::invalid("there is no `query`"))?;
        app.project.refresh().await?;
        Ok::<_, Error>(app.system.execute(request.of(query, principal, Arc::default())).await)
    };
    match answer.await {
        Ok(answer) => respond(&headers, answer, None),
        Err(error) => failed(&headers, ErrorBody::from(&error)),
    }
}

/// The request in a body.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<GraphqlRequest, Response> {
    if !is_json(headers) {
        return Err(not_json());
    }
    let hint = "send `{\"query\": \"{ … }\"}`";
    let request = json(body).and_then(|body| match body {
        Value::Array(_) => {
            Err(Error::invalid("the body is a list, and requests are answered one by one").into())
        }
        body => operations::parse(body),
    });
    request.map_err(|error| failed(headers, Error::from(error).hint(hint).into()))
}

/// Parameters of a question by `GET`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Parameters {
    fn is_empty(&self) -> bool {
        self.query.is_none() && self.document_id.is_none() && self.extensions.is_none()
    }

    fn request(self) -> Result<GraphqlRequest> {
        let object = |name: &str, text: Option<String>| {
            let parsed = text.map(|text| {
                mesh::exact_json(text.as_bytes()).and_then(serde_json::from_value::<Map<_, _>>)
            });
            let parsed = parsed.transpose();
            parsed.map_err(|error| Error::invalid(format!("`{name}` is no JSON object: {error}")))
        };
        Ok(GraphqlRequest {
            variables: object("variables", self.variables)?,
            extensions: object("extensions", self.extensions)?,
            query: self.query,
            document_id: self.document_id,
            operation_name: self.operation_name,
        })
    }
}

pub(super) async fn get(
    State(app): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(seen): Extension<Arc<Seen>>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return streams::upgraded(app, headers, peer.ip(), upgrade);
    }
    if parameters.is_empty() {
        if accepts(&headers, "text/html") {
            return Redirect::to("/#/explore").into_response();
        }
        let missing = Error::invalid("there is no `query`");
        return failed(&headers, missing.hint("send it with POST, or as a parameter").into());
    }
    if streams::wants_events(&headers) && is_deliberate(&headers) {
        return match parameters.request() {
            Ok(request) => {
                Box::pin(streams::events(app, headers, peer, &seen, &request, &Method::GET)).await
            }
            Err(error) => failed(&headers, error.into()),
        };
    }
    // Who asks is settled first: a stranger's documents are not planned, and take no plan's place.
    let asked = async {
        let caller = known(&app, &headers, peer, &seen).await?;
        if !is_deliberate(&headers) {
            let error = Error::new(Kind::Denied, "a page of another site could have sent this");
            return Err(error.hint("send the header `Headwater-Preflight: 1` along, or use POST"));
        }
        let request = parameters.request()?;
        let came = Came { app: &app, headers: &headers, method: Method::GET, seen: &seen };
        answer(&came, &caller, &request).await
    };
    answered(&headers, &seen, asked.await)
}

pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains(kind))
}

/// The header by which a client says which version of the schema it was generated from.
const SCHEMA: &str = "headwater-schema";

/// The version that a client asks for; nothing when it takes the deployed one.
pub(super) fn wanted_schema(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(SCHEMA) else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Error::invalid("the header `Headwater-Schema` is no text")
            .hint("send a version number or a fingerprint, as `headwater status` shows them")
    })?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

/// What became of a request: an answer, or a refusal that is no answer of GraphQL.
enum Outcome {
    Answered(Answer),
    Refused(Response),
}

/// How a request came.
struct Came<'a> {
    app: &'a App,
    headers: &'a HeaderMap,
    method: Method,
    seen: &'a Seen,
}

/// Who asks, which those hear who tell of requests.
pub(super) async fn known(
    app: &App,
    headers: &HeaderMap,
    peer: SocketAddr,
    seen: &Arc<Seen>,
) -> Result<Caller> {
    let caller = caller(app, headers, peer.ip()).await?;
    seen.caller(&caller);
    Ok(Caller { recorder: seen.record.recorder(), ..caller })
}

async fn answer(came: &Came<'_>, caller: &Caller, request: &GraphqlRequest) -> Result<Outcome> {
    let Came { app, headers, method, seen } = came;
    let (project, gate) = (&app.project, &app.project.gate);
    project.refresh().await?;
    let bill = match gate.begin(caller, project.clock.now()) {
        Ok(bill) => bill,
        Err(refused) => return Ok(Outcome::Answered(refused)),
    };
    let document = match gate.document(&project.database, request, caller).await? {
        Ok(document) => document,
        Err(refused) => return Ok(Outcome::Answered(refused)),
    };
    seen.asked(&document.text);
    let wanted = wanted_schema(headers)?;
    let live = project.live();
    let served = served(app, &live, wanted).await?;
    let name = request.operation_name.as_deref();
    if *method == Method::GET && served.engine.is_mutation(&document.text, name) {
        return Ok(Outcome::Refused(no_mutation(headers)));
    }
    let takes_parts = parts::are_taken(headers);
    let question = Question { gate, request, caller, document, bill, takes_parts };
    Ok(Outcome::Answered(question.settle(app, served, wanted.is_some()).await?))
}

/// A request whose document is found.
pub(super) struct Question<'a> {
    pub(super) gate: &'a Gate,
    pub(super) request: &'a GraphqlRequest,
    pub(super) caller: &'a Caller,
    pub(super) document: Document,
    pub(super) bill: Bill<'a>,
    pub(super) takes_parts: bool,
}

impl Question<'_> {
    /// Asks the version that is served, and once more the one that took its place.
    pub(super) async fn settle(&self, app: &App, served: &Live, is_wanted: bool) -> Result<Answer> {
        let answered = self.ask(served).await;
        if is_wanted || !answered.response.stale {
            return Ok(answered);
        }
        // A newer schema took the place of the one that the request began on, and the old one went
        // out of service before the request was done; nothing of it was done, so it is asked again.
        app.project.refresh().await?;
        Ok(self.ask(&app.project.live()).await)
    }

    /// The request as the engine takes it.
    pub(super) fn request(&self) -> mesh::Request {
        let Caller { principal, headers, recorder, .. } = self.caller;
        let document = self.document.text.clone();
        let request = self.request.of(document, principal.clone(), Arc::clone(headers));
        mesh::Request { recorder: recorder.clone(), ..request }
    }

    async fn ask(&self, live: &Live) -> Answer {
        let (keep, bill) = (self.document.keep(), &self.bill);
        self.gate.execute(&live.engine, self.request(), keep, bill, self.takes_parts).await
    }
}

/// The version of the schema that answers a client.
pub(super) async fn served<'a>(
    app: &App,
    live: &'a Live,
    wanted: Option<&str>,
) -> Result<&'a Live> {
    let Some(version) = wanted else { return Ok(live) };
    match live.version(version) {
        Ok(served) => Ok(served),
        Err(_) if app.project.still_fits(version).await? => Ok(live),
        Err(error) => Err(error),
    }
}

fn no_mutation(headers: &HeaderMap) -> Response {
    let error = Error::invalid("a mutation cannot be asked for with GET").hint("send it with POST");
    let mut response = failed_as(headers, StatusCode::METHOD_NOT_ALLOWED, &error.into());
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

fn answered(headers: &HeaderMap, seen: &Seen, outcome: Result<Outcome>) -> Response {
    let answer = match outcome {
        Ok(Outcome::Answered(answer)) => answer,
        Ok(Outcome::Refused(response)) => return response,
        Err(error) => return failed(headers, ErrorBody::from(&error)),
    };
    seen.answered(&answer.response);
    told(headers, answer)
}

/// An answer, with what HTTP says beside it.
pub(super) fn told(headers: &HeaderMap, answer: Answer) -> Response {
    if let Some(rest) = answer.parts {
        return parts::respond(answer.response, *rest);
    }
    let mut response = respond(headers, answer.response, answer.status);
    if let Some(wait) = answer.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

fn respond(headers: &HeaderMap, answer: mesh::Response, own: Option<u16>) -> Response {
    let is_graphql = accepts(headers, GRAPHQL_RESPONSE);
    let kind = if is_graphql {
        "application/graphql-response+json; charset=utf-8"
    } else {
        "application/json; charset=utf-8"
    };
    let own = own.and_then(|own| StatusCode::from_u16(own).ok());
    let status = own.unwrap_or(match (is_graphql, answer.refused, answer.timed_out) {
        (true, true, _) => StatusCode::BAD_REQUEST,
        // Nothing is wrong with the request, and what it had begun may have been done.
        (true, _, true) => StatusCode::GATEWAY_TIMEOUT,
        // Plain JSON clients expect 200 whenever the answer is a GraphQL one.
        _ => StatusCode::OK,
    });
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A failure that is no answer of GraphQL, in the form that the client takes.
pub(super) fn failed(headers: &HeaderMap, body: ErrorBody) -> Response {
    failed_as(headers, status(&body.code), &body)
}

fn failed_as(headers: &HeaderMap, status: StatusCode, body: &ErrorBody) -> Response {
    if !accepts(headers, GRAPHQL_RESPONSE) {
        return (status, Json(body)).into_response();
    }
    let message = [std::slice::from_ref(&body.message), &body.causes].concat().join(": ");
    let mut extensions = json!({ "code": body.code });
    if let Some(hint) = &body.hint {
        extensions["hint"] = hint.as_str().into();
    }
    let answer = json!({ "errors": [{ "message": message, "extensions": extensions }] });
    let kind = HeaderValue::from_static("application/graphql-response+json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], answer.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepted: &'static str, refused: bool, timed_out: bool, status: u16) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accepted))]);
        let answer = mesh::Response { refused, timed_out, ..mesh::Response::refusal(&[]) };
        assert_eq!(respond(&headers, answer, None).status().as_u16(), status, "{accepted}");
    }

    #[test]
    fn a_request_that_took_too_long_is_not_told_to_be_wrong() {
        check(GRAPHQL_RESPONSE, false, true, 504);
        check(GRAPHQL_RESPONSE, true, false, 400);
        check(GRAPHQL_RESPONSE, false, false, 200);
        check("application/json", false, true, 200);
    }
}
