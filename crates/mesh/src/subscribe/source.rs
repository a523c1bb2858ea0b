//! The events of a service: each is the answer of the call that opened the stream, and what other sources
//! add is asked for once an event.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::{Asker, Subscription, untold};
use crate::engine::{Data, Response};
use crate::error::GraphqlError;
use crate::fetch::service::{self, CallError, ServiceCall};
use crate::record::Recorder;
use crate::respond::respond_routed;

/// A stream of a service, with who listens.
struct Listener {
    asker: Asker,
    events: BoxStream<'static, Result<Bytes, CallError>>,
    is_over: bool,
}

/// Opens the stream.
pub(super) async fn start(asker: Asker) -> Result<Subscription, GraphqlError> {
    let events = open(&asker).await?;
    let listener = Box::new(Listener { asker, events, is_over: false });
    let events = futures::stream::unfold(listener, |mut listener| async move {
        listener.next().await.map(|response| (response, listener))
    });
    Ok(Subscription::new(Box::pin(events)))
}

async fn open(asker: &Asker) -> Result<BoxStream<'static, Result<Bytes, CallError>>, GraphqlError> {
    let (Data::Services(services), Some(route)) = (&asker.engine.data, &asker.plan.route) else {
        return Err(untold());
    };
    let session = asker.session();
    let (source, body) = service::opening(&session, route, services).ok_or_else(untold)?;
    let Some(service) = services.get(source) else { return Err(untold()) };
    let (principal, headers) = (&asker.principal, &asker.headers);
    let recorder = Recorder::default();
    let call = ServiceCall { body, principal, headers, is_mutation: false, recorder };
    let opened = service.subscribe(call).await;
    opened.map_err(|error| service::not_opened(&session, route, services, &error))
}

impl Listener {
    async fn next(&mut self) -> Option<Response> {
        if self.is_over {
            return None;
        }
        let event = self.events.next().await?;
        let (Data::Services(services), Some(route)) =
            (&self.asker.engine.data, &self.asker.plan.route)
        else {
            return None;
        };
        let session = self.asker.session();
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.is_over = true;
                let error = service::not_opened(&session, route, services, &error);
                return Some(Response::refusal(&[error]));
            }
        };
        let time = self.asker.engine.settings.limits.time;
        let answers = service::follow(&session, route, services, event);
        match tokio::time::timeout(time, answers).await {
            Ok(answers) => Some(respond_routed(&session, route, answers)),
            Err(_) => {
                self.is_over = true;
                Some(Response::too_late(time))
            }
        }
    }
}
