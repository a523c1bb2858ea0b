//! A service of calls that presents itself as a federated subgraph: what the planner asks of it is
//! GraphQL, what it is asked over the wire is HTTP, or gRPC.
//!
//! ```text
//! document → ask (fields of one level) → gather (calls, in batches) → complete (types) → … → write
//! ```
//!
//! In: calls of a route, as every [`Service`] takes them. Out: the body of an answer. All objects of a
//! level are looked at together, so that a field with a call of its own is one call a batch, or one for
//! each different object; the same call is made once. Values stay where they stand in the answers, and
//! are copied once, into the body. Not here: patience with the service (`transport`), messages of gRPC
//! (`source::grpc`), reading `@fetch` (`schema`).

mod ask;
mod call;
mod complete;
mod document;
mod events;
mod gather;
mod method;
mod object;
mod render;
mod run;
mod show;
mod write;

use std::sync::Arc;

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema as Sdl};
use base::rng::Rng;
use base::{Kind, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use schema::fetch::{Call, Fetch, Fetches, Origin};
use schema::protobuf::Descriptors;

use crate::fetch::service::{CallError, Service, ServiceCall, Told};
use crate::source::grpc::Methods;
use crate::tape::{Bounds, Tape};
use crate::transport::Transport;

use document::Documents;
use run::Run;

/// How large and how deep an answer of the service may be.
const BOUNDS: Bounds = Bounds { bytes: 256 << 20, depth: 128 };

/// A service of calls.
pub struct Rest(Arc<Kept>);

/// What is kept of a service.
struct Kept {
    transport: Arc<Transport>,
    name: Arc<str>,
    fetches: Arc<Fetches>,
    documents: Documents,
    wire: Wire,
    rng: Rng,
}

/// How it is spoken to.
enum Wire {
    Http,
    Grpc(Methods),
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
        Rest::over(name, transport, schema, fetches, (Wire::Http, rng))
    }

    /// Likewise, of a service that speaks gRPC: over HTTP/2, as the transport has to be told. Without
    /// descriptors it is asked for them before its first call.
    ///
    /// # Errors
    /// When the schema cannot be asked.
    pub fn grpc(
        name: &str,
        transport: Arc<Transport>,
        schema: &Valid<Sdl>,
        (fetches, descriptors): (Arc<Fetches>, Option<Descriptors>),
        rng: Rng,
    ) -> Result<Self> {
        let methods = Methods::new(descriptors, services(&fetches));
        Rest::over(name, transport, schema, fetches, (Wire::Grpc(methods), rng))
    }

    fn over(
        name: &str,
        transport: Arc<Transport>,
        schema: &Valid<Sdl>,
        fetches: Arc<Fetches>,
        (wire, rng): (Wire, Rng),
    ) -> Result<Self> {
        let documents = Documents::new(schema)
            .map_err(|error| error.context(format!("the source `{name}` cannot be set up")))?;
        Ok(Rest(Arc::new(Kept { transport, name: name.into(), fetches, documents, wire, rng })))
    }
}

/// The services of which methods are called.
fn services(fetches: &Fetches) -> Vec<String> {
    let of_types = fetches.types.values().flat_map(|of| {
        let fields = of.fields.values().filter_map(|source| match &source.origin {
            Origin::Call(fetch) => Some(fetch.as_ref()),
            _ => None,
        });
        of.entities.iter().map(|entity| &entity.fetch).chain(fields)
    });
    let service = |fetch: &Fetch| match &fetch.call {
        Call::Method(name) => name.split_once('/').map(|(service, _)| service.to_owned()),
        Call::Http { .. } => None,
    };
    let mut services: Vec<String> = of_types.filter_map(service).collect();
    services.sort();
    services.dedup();
    services
}

impl Kept {
    /// Whether its enums have a value for nothing.
    fn has_unspecified(&self) -> bool {
        matches!(self.wire, Wire::Grpc(_))
    }

    /// A call's body, and the document in it.
    fn read(
        &self,
        call: &ServiceCall<'_>,
    ) -> std::result::Result<(Arc<Tape>, Arc<ExecutableDocument>), CallError> {
        let unread = |cause: String| {
            CallError::new(Kind::Internal, "the call cannot be read").caused_by(cause)
        };
        let body = Tape::parse(call.body.clone(), &BOUNDS);
        let body = body.map_err(|error| unread(error.to_string()))?;
        let query = body.get(body.root(), "query").and_then(|at| body.text(at));
        let query = query.ok_or_else(|| unread("there is no text".to_owned()))?;
        let document = self.documents.get(&query).map_err(unread)?;
        Ok((Arc::new(body), document))
    }
}

impl Service for Rest {
    fn call<'a>(
        &'a self,
        call: ServiceCall<'a>,
    ) -> BoxFuture<'a, std::result::Result<Bytes, CallError>> {
        Box::pin(async move {
            let (body, document) = self.0.read(&call)?;
            Ok(Run::new(&self.0, &document, &call, body).answer().await)
        })
    }

    fn subscribe<'a>(
        &'a self,
        call: ServiceCall<'a>,
    ) -> BoxFuture<'a, std::result::Result<Told, CallError>> {
        Box::pin(events::open(&self.0, call))
    }

    fn explain(&self, query: &str) -> Vec<String> {
        let document = self.0.documents.get(query);
        document.map(|document| show::show(&self.0, &document)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("name", &self.0.name).finish_non_exhaustive()
    }
}
