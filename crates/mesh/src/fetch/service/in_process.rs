//! The tables of this project as one source of the graph: an engine that answers in the same process.

use std::sync::Arc;

use base::Kind;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::{CallError, Service, ServiceCall};
use crate::engine::{Engine, Request};

/// An engine that is asked as a service.
pub(crate) struct InProcess(pub(crate) Arc<Engine>);

impl Service for InProcess {
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
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
