//! Tables as one source of the graph, those of this project or of a database: an engine that answers in
//! the same process.

use std::sync::Arc;

use base::{Kind, Result};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use schema::Schema;
use serde_json::Value as Json;

use super::{CallError, Service, ServiceCall, Told};
use crate::engine::{Engine, Request, Response, Settings};
use crate::policy::guarded;
use crate::source::Source;
use crate::terms::Terms;

/// An engine that is asked as a service.
pub struct InProcess(pub(crate) Arc<Engine>);

impl InProcess {
    /// The tables of a schema, which answer for themselves and by their keys.
    ///
    /// # Errors
    /// When the API of the schema is refused.
    pub fn new(schema: Arc<Schema>, source: Arc<dyn Source>, settings: Settings) -> Result<Self> {
        // What policies hold back never leaves, whatever the graph asks for.
        let source = guarded(&schema, source);
        let seen = Arc::clone(&schema);
        Ok(InProcess(Arc::new(Engine::of_entities(&schema, seen, source, settings)?)))
    }
}

impl Service for InProcess {
    fn call<'a>(
        &'a self,
        call: ServiceCall<'a>,
    ) -> BoxFuture<'a, std::result::Result<Bytes, CallError>> {
        Box::pin(async move {
            let recorder = call.recorder.clone();
            let request = Request { recorder, ..request(&call)? };
            Ok(self.0.execute(request).await.body.into())
        })
    }

    fn subscribe<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Told, CallError>> {
        Box::pin(async move {
            let begun = self.0.subscribe(request(&call)?, &Terms::default()).await;
            let subscription = begun.map_err(|refused| ended(&refused))?;
            let events = futures::stream::unfold(subscription, |mut subscription| async move {
                let response = subscription.next().await?;
                let event = match response.refused {
                    true => Err(ended(&response)),
                    false => Ok(response.body.into()),
                };
                Some((event, subscription))
            });
            Ok(events.boxed())
        })
    }
}

fn request(call: &ServiceCall<'_>) -> Result<Request, CallError> {
    Request::from_json(&call.body, call.principal.clone()).map_err(|error| {
        CallError::new(Kind::Internal, "the call cannot be read")
            .caused_by(base::error_chain(&error).join(": "))
    })
}

/// Why there is no stream, or no more of it.
fn ended(response: &Response) -> CallError {
    let told = response.json().unwrap_or(Json::Null);
    let error = &told["errors"][0];
    let text = |value: &Json| value.as_str().map(str::to_owned);
    let kind = text(&error["extensions"]["code"]);
    let kind = kind.map_or(Kind::Internal, |code| Kind::from_code(&code));
    let message = text(&error["message"]).unwrap_or_else(|| "the stream ended".to_owned());
    let snapshot = text(&error["extensions"]["snapshot"]);
    CallError { snapshot, ..CallError::new(kind, message) }
}
