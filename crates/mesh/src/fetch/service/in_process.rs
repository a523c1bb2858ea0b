//! Tables as one source of the graph, those of this project or of a database: an engine that answers in
//! the same process.

use std::sync::Arc;

use base::{Kind, Result};
use bytes::Bytes;
use futures::future::BoxFuture;

use schema::Schema;

use super::{CallError, Service, ServiceCall};
use crate::engine::{Engine, Request, Settings};
use crate::source::Source;

/// An engine that is asked as a service.
pub struct InProcess(pub(crate) Arc<Engine>);

impl InProcess {
    /// The tables of a schema, which answer for themselves and by their keys.
    ///
    /// # Errors
    /// When the API of the schema is refused.
    pub fn new(schema: Arc<Schema>, source: Arc<dyn Source>, settings: Settings) -> Result<Self> {
        Ok(InProcess(Arc::new(Engine::of_entities(schema, source, settings)?)))
    }
}

impl Service for InProcess {
    fn call<'a>(
        &'a self,
        call: ServiceCall<'a>,
    ) -> BoxFuture<'a, std::result::Result<Bytes, CallError>> {
        Box::pin(async move {
            let request =
                Request::from_json(&call.body, call.principal.clone()).map_err(|error| {
                    CallError::new(Kind::Internal, "the call cannot be read")
                        .caused_by(base::error_chain(&error).join(": "))
                })?;
            let request = Request { recorder: call.recorder, ..request };
            Ok(self.0.execute(request).await.body.into())
        })
    }
}
