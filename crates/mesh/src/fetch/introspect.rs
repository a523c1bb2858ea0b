//! `__schema` and `__type`, answered from the types of the API.

use apollo_compiler::introspection::partial_execute;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use serde_json::Value as Json;

use super::Session;

/// The values of the introspection fields by their keys; null when the operation has none.
pub(crate) fn introspection(session: &Session<'_>) -> Json {
    let Some(valid) = &session.plan.introspection else { return Json::Null };
    let variables = serde_json::to_value(&session.variables)
        .and_then(serde_json::from_value::<JsonMap>)
        .unwrap_or_default();
    let answer = partial_execute(
        &session.engine.api_schema,
        &session.engine.implementers,
        &valid.document,
        &valid.operation,
        &Valid::assume_valid(variables),
    );
    // Its own errors cannot occur: document, operation and variables are valid.
    answer.ok().and_then(|answer| serde_json::to_value(answer.data).ok()).unwrap_or(Json::Null)
}
