//! `/graphql`, as the GraphQL-over-HTTP specification says, and `/system`, the administration.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base::{Error, Result};
use mesh::{Engine, Request};
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
    if app.project.live().engine.is_mutation(&query, parameters.operation_name.as_deref()) {
        return refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "INVALID_INPUT",
            "a mutation cannot be asked for with GET".to_owned(),
            "send it with POST",
        );
    }
    let request = QueryRequest { query, operation_name: parameters.operation_name, variables };
    execute(&app, &headers, request, Which::Project).await
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains(kind))
}

async fn execute(app: &App, headers: &HeaderMap, request: QueryRequest, which: Which) -> Response {
    match answer(app, headers, request, which).await {
        Ok(answer) => respond(headers, answer),
        Err(error) => failure(ErrorBody::from(&error)),
    }
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    request: QueryRequest,
    which: Which,
) -> Result<mesh::Response> {
    let principal = principal(app, headers).await?;
    app.project.refresh().await?;
    let request = Request {
        query: request.query,
        operation_name: request.operation_name,
        variables: request.variables.unwrap_or_default(),
        principal,
    };
    let live = app.project.live();
    let engine: &Engine = match which {
        Which::Project => &live.engine,
        Which::System => &app.system,
    };
    Ok(engine.execute(request).await)
}

fn respond(headers: &HeaderMap, answer: mesh::Response) -> Response {
    let is_graphql = accepts(headers, GRAPHQL_RESPONSE);
    let kind = if is_graphql {
        "application/graphql-response+json; charset=utf-8"
    } else {
        "application/json; charset=utf-8"
    };
    // Plain JSON clients expect 200 whenever the answer is a GraphQL one.
    let status =
        if is_graphql && answer.refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
