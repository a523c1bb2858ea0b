//! Every operation on a project, by name, with JSON in and out: the one list that the command line,
//! the operations over HTTP and `/system` share.
//!
//! In: an open [`Project`], who asks, an operation's name and its request (a DTO of
//! [`crate::wire`]). Out: its answer, with reports of progress on the way. Not here: transport,
//! authentication.

mod connect;
mod data;
mod documents;
mod generate;
mod maintain;
mod propose;
mod schemas;
mod source;
mod sources;

use base::{Error, Principal, Scope};
use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::project::Project;
use crate::tokens;
use crate::wire::{ErrorBody, Progress, TokenCreateRequest};

pub use data::export;
pub use generate::generate;
pub use maintain::restore;
pub use propose::{Proposed, propose};
pub use schemas::check;
pub(crate) use schemas::loss_name;
pub use source::{SourceProposal, SourceRequest, source};

/// Takes reports of how far a long operation is.
pub type Report<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Operations with the scope that each needs.
pub const OPERATIONS: &[(&str, Scope)] = &[
    ("apply", Scope::Admin),
    ("applyAbandon", Scope::Admin),
    ("applyContract", Scope::Admin),
    ("applyPause", Scope::Admin),
    ("backup", Scope::Admin),
    ("columns", Scope::Read),
    ("compact", Scope::Admin),
    ("connect", Scope::Read),
    ("documentList", Scope::Admin),
    ("documentRegister", Scope::Admin),
    ("documentRemove", Scope::Admin),
    ("explain", Scope::Read),
    ("generate", Scope::Read),
    ("import", Scope::Write),
    ("migrateStore", Scope::Admin),
    ("pendingPlan", Scope::Read),
    ("plan", Scope::Read),
    ("query", Scope::Read),
    ("rollback", Scope::Admin),
    ("schema", Scope::Read),
    ("schemaVersions", Scope::Read),
    ("snapshots", Scope::Read),
    ("sources", Scope::Read),
    ("sql", Scope::Read),
    ("status", Scope::Read),
    ("tables", Scope::Read),
    ("tokenCreate", Scope::Admin),
    ("tokenList", Scope::Admin),
    ("tokenRevoke", Scope::Admin),
    ("undo", Scope::Admin),
    ("undoPlan", Scope::Read),
    ("upgrade", Scope::Admin),
    ("usage", Scope::Read),
];

/// Operations for callers from whom policies hold something back; each asks for itself what it may show. The
/// others speak of the schema as a whole, or of what is stored.
const FOR_ALL: &[&str] = &["explain", "import", "query", "sql"];

/// Carries an operation out.
pub async fn call(
    project: &Project,
    principal: &Principal,
    operation: &str,
    request: Value,
    report: Report<'_>,
) -> Result<Value, ErrorBody> {
    let Some((_, scope)) = OPERATIONS.iter().find(|(name, _)| *name == operation) else {
        return Err(unknown(operation));
    };
    principal.require(*scope)?;
    refuse_request(operation, &request)?;
    project.refresh().await?;
    if !FOR_ALL.contains(&operation) {
        let schema = std::sync::Arc::clone(&project.live().deployed.schema);
        schema.require_all(principal, &format!("the operation `{operation}`"))?;
    }
    // It is as large as the largest operation, and many futures hold this one; without its type, whoever
    // calls does not build all operations once more.
    dispatch(project, principal, operation, request, report).boxed().await
}

async fn dispatch(
    project: &Project,
    principal: &Principal,
    operation: &str,
    request: Value,
    report: Report<'_>,
) -> Result<Value, ErrorBody> {
    match operation {
        "apply" => answer(schemas::apply(project, principal, parse(request)?, report).await?),
        "applyAbandon" => answer(schemas::abandon(project).await?),
        "applyContract" => answer(schemas::contract(project, report).await?),
        "applyPause" => answer(schemas::pause(project).await?),
        "backup" => answer(maintain::backup(project, parse(request)?, report).await?),
        "columns" => answer(data::columns(project, parse(request)?).await?),
        "compact" => answer(maintain::compact(project, parse(request)?, report).await?),
        "connect" => answer(connect::connect(project, principal, parse(request)?).await?),
        "documentList" => answer(documents::list(project).await?),
        "documentRegister" => {
            answer(documents::register(project, principal, parse(request)?).await?)
        }
        "documentRemove" => answer(documents::remove(project, parse(request)?).await?),
        "explain" => answer(data::explain(project, principal, parse(request)?).await?),
        "generate" => answer(generate::generate_deployed(project, &parse(request)?)?),
        "import" => answer(data::import(project, principal, parse(request)?, report).await?),
        "migrateStore" => answer(maintain::migrate(project, parse(request)?, report).await?),
        "pendingPlan" => answer(schemas::pending_plan(project).await?),
        "plan" => answer(schemas::plan(project, parse(request)?).await?),
        "query" => data::query(project, principal, parse(request)?).await,
        "rollback" => answer(maintain::rollback(project, principal, parse(request)?).await?),
        "schema" => answer(schemas::deployed(project)),
        "schemaVersions" => answer(schemas::versions(project).await?),
        "snapshots" => answer(maintain::snapshots(project, parse(request)?).await?),
        "sources" => answer(sources::sources(project)),
        "sql" => answer(data::sql(project, principal, parse(request)?).await?),
        "status" => answer(maintain::status(project).await?),
        "tables" => answer(maintain::tables(project).await?),
        "tokenCreate" => answer(create_token(project, parse(request)?).await?),
        "tokenList" => answer(tokens::list(&project.database).await?),
        "tokenRevoke" => {
            let request: Named = parse(request)?;
            answer(tokens::revoke(&project.database, &project.clock, &request.id).await?)
        }
        "undo" => answer(schemas::undo(project, principal, parse(request)?, report).await?),
        "undoPlan" => answer(schemas::undo_plan(project, parse(request)?).await?),
        "upgrade" => answer(maintain::upgrade(project)),
        "usage" => answer(schemas::usage(project, parse(request)?).await?),
        _ => Err(unknown(operation)),
    }
}

/// A request that names one thing.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
}

async fn create_token(
    project: &Project,
    request: TokenCreateRequest,
) -> Result<crate::wire::TokenInfo, ErrorBody> {
    Ok(tokens::create(&project.database, &project.clock, &project.rng, &request).await?)
}

fn unknown(operation: &str) -> ErrorBody {
    let names: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    Error::not_found(format!("there is no operation `{operation}`"))
        .hint(format!("there are: {}", names.join(", ")))
        .into()
}

/// Reads a request. A list is none, though its items could stand for the fields in their order.
pub(crate) fn parse<T: DeserializeOwned>(request: Value) -> Result<T, ErrorBody> {
    if !request.is_object() {
        return Err(Error::invalid("the request has the wrong shape: it is no object")
            .hint(REQUESTS)
            .into());
    }
    serde_json::from_value(request).map_err(|error| wrong_shape(&error).into())
}

/// Where requests are described.
const REQUESTS: &str = "requests of each operation are in docs/reference/http.md";

/// Says what is wrong with a request, without names that only our own code knows.
fn wrong_shape(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let text = match text.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected an object"),
        None => text,
    };
    Error::invalid(format!("the request has the wrong shape: {text}")).hint(REQUESTS)
}

/// Operations that take nothing.
const WITHOUT_REQUEST: &[&str] = &[
    "applyAbandon",
    "applyContract",
    "applyPause",
    "documentList",
    "pendingPlan",
    "schema",
    "schemaVersions",
    "sources",
    "status",
    "tables",
    "tokenList",
    "upgrade",
];

/// Whoever sends something expects it to matter.
fn refuse_request(operation: &str, request: &Value) -> Result<(), ErrorBody> {
    let is_empty = request.is_null() || request.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty || !WITHOUT_REQUEST.contains(&operation) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{operation}` takes no request")).hint("send `{}`").into())
}

fn answer(value: impl Serialize) -> Result<Value, ErrorBody> {
    serde_json::to_value(value)
        .map_err(|error| Error::internal("failed to write an answer").caused_by(error).into())
}

#[cfg(test)]
mod tests {
    use super::OPERATIONS;

    #[test]
    fn operations_are_listed_in_order() {
        assert!(OPERATIONS.is_sorted_by_key(|(name, _)| *name));
    }
}
