//! A service of calls that presents itself as a federated subgraph: what the planner asks of it is
//! GraphQL, what it is asked over the wire is HTTP.
//!
//! ```text
//! document → ask (fields of one level) → gather (calls, in batches) → complete (types) → … → write
//! ```
//!
//! In: calls of a route, as every [`Service`] takes them. Out: the body of an answer. All objects of a
//! level are looked at together, so that a field with a call of its own is one call a batch, or one for
//! each different object; the same call is made once. Values stay where they stand in the answers, and
//! are copied once, into the body. Not here: patience with the service (`transport`), reading `@fetch`
//! (`schema`).

mod ask;
mod call;
mod complete;
mod document;
mod gather;
mod object;
mod render;
mod run;
mod show;
mod write;

use std::sync::Arc;

use apollo_compiler::Schema as Sdl;
use apollo_compiler::validation::Valid;
use base::rng::Rng;
use base::{Kind, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use schema::fetch::Fetches;

use crate::fetch::service::{CallError, Service, ServiceCall};
use crate::tape::{Bounds, Tape};
use crate::transport::Transport;

use document::Documents;
use run::Run;

/// How large and how deep an answer of the service may be.
const BOUNDS: Bounds = Bounds { bytes: 256 << 20, depth: 128 };

/// A service of calls over HTTP.
pub struct Rest {
    transport: Arc<Transport>,
    name: Arc<str>,
    fetches: Arc<Fetches>,
    documents: Documents,
    rng: Rng,
}

impl Rest {
    /// The service at the other end of `transport`, whose own schema and calls these are. `rng` makes
    /// keys of changes.
    ///
    /// # Errors
    /// When the schema cannot be asked.
    pub fn new(
        name: &str,
        transport: Arc<Transport>,
        schema: &Valid<Sdl>,
        fetches: Arc<Fetches>,
        rng: Rng,
    ) -> Result<Self> {
        let documents = Documents::new(schema)
            .map_err(|error| error.context(format!("the source `{name}` cannot be set up")))?;
        Ok(Rest { transport, name: name.into(), fetches, documents, rng })
    }
}

impl Service for Rest {
    fn call<'a>(
        &'a self,
        call: ServiceCall<'a>,
    ) -> BoxFuture<'a, std::result::Result<Bytes, CallError>> {
        Box::pin(async move {
            let unread = |cause: String| {
                CallError::new(Kind::Internal, "the call cannot be read").caused_by(cause)
            };
            let body = Tape::parse(call.body.clone(), &BOUNDS);
            let body = body.map_err(|error| unread(error.to_string()))?;
            let query = body.get(body.root(), "query").and_then(|at| body.text(at));
            let query = query.ok_or_else(|| unread("there is no text".to_owned()))?;
            let document = self.documents.get(&query).map_err(unread)?;
            Ok(Run::new(self, &document, &call, Arc::new(body)).answer().await)
        })
    }

    fn explain(&self, query: &str) -> Vec<String> {
        let document = self.documents.get(query);
        document.map(|document| show::show(self, &document)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("name", &self.name).finish_non_exhaustive()
    }
}
