//! `/system`: the administration as plain GraphQL, each root field the operation of the same name.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Error, Principal, Result};
use mesh::{Engine, Root, RootResolver};
use serde_json::Value;

use crate::operations;
use crate::project::Project;

/// The schema of the administration; the UI's client is generated from it.
pub(crate) const SDL: &str = include_str!("../system.graphql");

/// An engine that answers from the operations of a project.
pub(super) fn engine(project: Arc<Project>) -> Result<Engine> {
    Engine::plain(SDL, Arc::new(Operations(project)))
}

struct Operations(Arc<Project>);

#[async_trait]
impl RootResolver for Operations {
    async fn resolve(
        &self,
        _: Root,
        field: &str,
        arguments: Value,
        principal: &Principal,
    ) -> Result<Value> {
        // Each operation has a name of its own, whichever root type it stands in.
        operations::call(&self.0, principal, field, arguments, &mut |_| {})
            .await
            .map_err(Error::from)
    }
}
