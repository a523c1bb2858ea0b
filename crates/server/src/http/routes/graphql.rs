//! `/graphql`, as the GraphQL-over-HTTP specification says, and `/system`, the administration.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base::{Error, Principal, Result};
use mesh::Request;
use serde::Deserialize;

use super::super::authenticate::principal;
use super::super::respond::{failure, refuse};
use super::super::{App, Shared};
use super::operations::{is_json, json, not_json};
use crate::operations;
use crate::wire::{ErrorBody, QueryRequest};

/// The media type that tells errors of the request from errors inside the answer.
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

pub(super) async fn post(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    answer_post(&app, &headers, &body, Which::Project).await
}

pub(super) async fn system(State(app): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    answer_post(&app, &headers, &body, Which::System).await
}

/// Which engine is asked.
#[derive(Clone, Copy)]
enum Which {
    Project,
    System,
}

async fn answer_post(app: &App, headers: &HeaderMap, body: &[u8], which: Which) -> Response {
    if !is_json(headers) {
        return not_json();
    }
    match json(body).and_then(operations::parse) {
        Ok(request) => execute(app, headers, request, which).await,
        Err(error) => failure(Error::from(error).hint("send `{\"query\": \"{ … }\"}`").into()),
    }
}

/// Parameters of a question by `GET`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
}

pub(super) async fn get(
    State(app): State<Shared>,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Response {
    let Some(query) = parameters.query else {
        if accepts(&headers, "text/html") {
            return Redirect::to("/#/explore").into_response();
        }
        return failure(
            Error::invalid("there is no `query`")
                .hint("send it with POST, or as a parameter")
                .into(),
        );
    };
    let variables = match parameters.variables.as_deref().map(serde_json::from_str).transpose() {
        Ok(variables) => variables,
        Err(error) => {
            return failure(
                Error::invalid(format!("`variables` is no JSON object: {error}")).into(),
            );
        }
    };
    // Who asks is settled first: a stranger's documents are not planned, and take no plan's place.
    let principal = match principal(&app, &headers).await {
        Ok(principal) => principal,
        Err(error) => return failure(ErrorBody::from(&error)),
    };
    let live = app.project.live();
    let asked = wanted_schema(&headers).ok().flatten();
    let asked = asked.and_then(|version| live.version(version).ok());
    let engine = &asked.unwrap_or(live.as_ref()).engine;
    if engine.is_mutation(&query, parameters.operation_name.as_deref()) {
        return refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "INVALID_INPUT",
            "a mutation cannot be asked for with GET".to_owned(),
            "send it with POST",
        );
    }
    let request = QueryRequest { query, operation_name: parameters.operation_name, variables };
    answered(&headers, answer(&app, &headers, principal, request, Which::Project).await)
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains(kind))
}

async fn execute(app: &App, headers: &HeaderMap, request: QueryRequest, which: Which) -> Response {
    let answer = match principal(app, headers).await {
        Ok(principal) => answer(app, headers, principal, request, which).await,
        Err(error) => Err(error),
    };
    answered(headers, answer)
}

fn answered(headers: &HeaderMap, answer: Result<mesh::Response>) -> Response {
    match answer {
        Ok(answer) => respond(headers, answer),
        Err(error) => failure(ErrorBody::from(&error)),
    }
}

/// The header by which a client says which version of the schema it was generated from.
const SCHEMA: &str = "headwater-schema";

/// The version that a client asks for; nothing when it takes the deployed one.
fn wanted_schema(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(SCHEMA) else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Error::invalid("the header `Headwater-Schema` is no text")
            .hint("send a version number or a fingerprint, as `headwater status` shows them")
    })?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    principal: Principal,
    request: QueryRequest,
    which: Which,
) -> Result<mesh::Response> {
    app.project.refresh().await?;
    let wanted = wanted_schema(headers)?;
    let live = app.project.live();
    // Only services hear of them, by rules that name them.
    let has_services = !live.deployed.schema.services.is_empty()
        || live.before.as_ref().is_some_and(|live| !live.deployed.schema.services.is_empty());
    let client = if has_services { Arc::new(headers.clone()) } else { Arc::default() };
    let request = || Request {
        query: request.query.clone(),
        operation_name: request.operation_name.clone(),
        variables: request.variables.clone().unwrap_or_default(),
        principal: principal.clone(),
        headers: Arc::clone(&client),
    };
    let answered = match (which, wanted) {
        (Which::System, _) => app.system.execute(request()).await,
        (Which::Project, Some(version)) => {
            let served = live.version(version).ok();
            let served = match served {
                Some(served) => served,
                None if app.project.still_fits(version).await? => live.as_ref(),
                None => live.version(version)?,
            };
            served.engine.execute(request()).await
        }
        (Which::Project, None) => live.engine.execute(request()).await,
    };
    if wanted.is_some() || !answered.stale {
        return Ok(answered);
    }
    // A newer schema took the place of the one that the request began on, and the old one went
    // out of service before the request was done; nothing of it was done, so it is asked again.
    app.project.refresh().await?;
    match which {
        Which::System => Ok(answered),
        Which::Project => Ok(app.project.live().engine.execute(request()).await),
    }
}

fn respond(headers: &HeaderMap, answer: mesh::Response) -> Response {
    let is_graphql = accepts(headers, GRAPHQL_RESPONSE);
    let kind = if is_graphql {
        "application/graphql-response+json; charset=utf-8"
    } else {
        "application/json; charset=utf-8"
    };
    let status = match (is_graphql, answer.refused, answer.timed_out) {
        (true, true, _) => StatusCode::BAD_REQUEST,
        // Nothing is wrong with the request, and what it had begun may have been done.
        (true, _, true) => StatusCode::GATEWAY_TIMEOUT,
        // Plain JSON clients expect 200 whenever the answer is a GraphQL one.
        _ => StatusCode::OK,
    };
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepted: &'static str, refused: bool, timed_out: bool, status: u16) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accepted))]);
        let answer =
            mesh::Response { body: Vec::new(), refused, timed_out, errors: 1, stale: false };
        assert_eq!(respond(&headers, answer).status().as_u16(), status, "{accepted}");
    }

    #[test]
    fn a_request_that_took_too_long_is_not_told_to_be_wrong() {
        check(GRAPHQL_RESPONSE, false, true, 504);
        check(GRAPHQL_RESPONSE, true, false, 400);
        check(GRAPHQL_RESPONSE, false, false, 200);
        check("application/json", false, true, 200);
    }
}
