//! One GraphQL service of the demo graph, or the whole of it: a request's bytes in, an answer's bytes out.
//!
//! Any selection is answered rightly, for each gateway plans in its own way. Answers are kept by the
//! request's bytes, so that a source that is asked the same again costs next to nothing, as a source must
//! that is not what is measured. Not here: HTTP, delays, failures.

use std::collections::HashMap;

use anyhow::{Result, bail};
use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::graph::Object;

/// The services with their SDL, in the order in which they are numbered.
pub(crate) const SERVICES: [(&str, &str); 4] = [
    ("accounts", include_str!("../../../tests/federation/accounts.graphql")),
    ("products", include_str!("../../../tests/federation/products.graphql")),
    ("reviews", include_str!("../../../tests/federation/reviews.graphql")),
    ("inventory", include_str!("../../../tests/federation/inventory.graphql")),
];

/// Bytes of kept answers, past which none is added.
const KEPT: usize = 256 << 20;

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    schema: Valid<Schema>,
    /// What `_service` answers; the whole graph has none.
    sdl: Option<&'static str>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Bytes, Bytes>,
    bytes: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    query: String,
    #[serde(default)]
    variables: Option<JsonMap>,
    #[serde(default)]
    operation_name: Option<String>,
}

impl Service {
    /// A service with a schema: a federated one with the SDL that it tells, or the whole graph.
    pub(crate) fn over(text: &str, sdl: Option<&'static str>) -> Result<Service> {
        // Federation's directives are applied without being defined: that is no fault here.
        let schema = match Schema::parse(text, "service.graphql") {
            Ok(schema) => Valid::assume_valid(schema),
            Err(error) => bail!("the SDL of a service is broken: {}", error.errors),
        };
        Ok(Service { schema, sdl, kept: Mutex::default() })
    }

    /// Answers a request's body.
    pub(crate) fn answer(&self, body: &Bytes) -> Bytes {
        if let Some(answer) = self.kept.lock().answers.get(body) {
            return answer.clone();
        }
        let answer = Bytes::from(self.compute(body).unwrap_or_else(|message| {
            serde_json::json!({ "errors": [{ "message": message }] }).to_string()
        }));
        let mut kept = self.kept.lock();
        if kept.bytes < KEPT {
            kept.bytes += body.len() + answer.len();
            kept.answers.insert(body.clone(), answer.clone());
        }
        answer
    }

    fn compute(&self, body: &[u8]) -> Result<String, String> {
        let request: Request = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let document =
            ExecutableDocument::parse_and_validate(&self.schema, request.query, "query.graphql")
                .map_err(|error| error.errors.to_string())?;
        let name = request.operation_name.as_deref();
        let failed = |error: apollo_compiler::request::RequestError| error.message().to_string();
        let operation = document.operations.get(name).map_err(failed)?;
        let root = match operation.operation_type {
            apollo_compiler::ast::OperationType::Mutation => "Mutation",
            _ => "Query",
        };
        let variables = request.variables.unwrap_or_default();
        let response = Execution::new(&self.schema, &document)
            .operation(operation)
            .raw_variable_values(&variables)
            .enable_schema_introspection(true)
            .execute_sync(&Object::Root(root, self.sdl))
            .map_err(failed)?;
        serde_json::to_string(&response).map_err(|error| error.to_string())
    }
}
