//! A method of gRPC that answers with a stream: in comes the call of a subscription, out comes the body of an
//! answer for each message, until the service has no more. Nothing is read ahead, and whoever drops the
//! stream ends it at the service.

use std::sync::Arc;

use apollo_compiler::executable::SelectionSet;
use apollo_compiler::{ExecutableDocument, Name};
use base::{Kind, Principal};
use bytes::Bytes;
use http::HeaderMap;
use prost_reflect::MethodDescriptor;
use schema::fetch::{Call, Fetch, Origin};

use super::ask::Asked;
use super::object::Value;
use super::run::Run;
use super::write::Fault;
use super::{Kept, Wire};
use crate::fetch::service::{CallError, ServiceCall, Told};
use crate::record::Recorder;
use crate::source::grpc::{self, Frames};
use crate::tape::Tape;
use crate::transport::{AnswerStream, GrpcStatus, grpc_status};

/// A stream while somebody listens.
struct Listener {
    asked: Question,
    method: MethodDescriptor,
    stream: AnswerStream,
    frames: Frames,
    is_over: bool,
}

/// Who asks for what.
struct Question {
    kept: Arc<Kept>,
    document: Arc<ExecutableDocument>,
    body: Arc<Tape>,
    principal: Principal,
    headers: Arc<HeaderMap>,
}

/// The one field of a subscription, and what is called for it.
struct Root<'q> {
    name: &'q Name,
    asked: Asked<'q>,
    fetch: &'q Fetch,
}

/// Opens the stream.
pub(super) async fn open(kept: &Arc<Kept>, call: ServiceCall<'_>) -> Result<Told, CallError> {
    let (body, document) = kept.read(&call)?;
    let asked = Question {
        kept: Arc::clone(kept),
        document,
        body,
        principal: call.principal.clone(),
        headers: Arc::clone(call.headers),
    };
    let (method, stream) = asked.begin().await?;
    let limit = kept.transport.answer_bytes();
    let frames = Frames::new(stream.headers(), limit);
    let frames = frames.map_err(|error| untold().caused_by(format!("{error:?}")))?;
    let listener = Listener { asked, method, stream, frames, is_over: false };
    let events = futures::stream::unfold(Box::new(listener), |mut listener| async move {
        listener.next().await.map(|event| (event, listener))
    });
    Ok(Box::pin(events))
}

fn untold() -> CallError {
    CallError::new(Kind::Unavailable, "it does not tell of events as it says it does")
}

fn failed(fault: Fault) -> CallError {
    CallError::new(fault.kind, fault.words)
}

impl Question {
    fn call(&self) -> ServiceCall<'_> {
        ServiceCall {
            body: Bytes::new(),
            principal: &self.principal,
            headers: &self.headers,
            is_mutation: false,
            recorder: Recorder::default(),
        }
    }

    /// Calls the method; out comes the beginning of its stream.
    async fn begin(&self) -> Result<(MethodDescriptor, AnswerStream), CallError> {
        let call = self.call();
        let run = Run::new(&self.kept, &self.document, &call, Arc::clone(&self.body));
        let root = root(&run).ok_or_else(untold)?;
        let (Wire::Grpc(methods), Call::Method(name)) = (&self.kept.wire, &root.fetch.call) else {
            return Err(untold());
        };
        let sent = run.sent(root.name, &root.asked, root.fetch).map_err(failed)?;
        let mut call = run.outgoing(root.fetch, &sent, false);
        call.freshness = None;
        let method = run.described(methods, (name, root.fetch), &call).await.map_err(failed)?;
        if !method.is_server_streaming() {
            return Err(untold().caused_by(format!("`{name}` answers once")));
        }
        run.prepare(&method, &mut call).map_err(failed)?;
        let stream = self.kept.transport.call_stream(&call).await;
        let stream = stream.map_err(|error| failed(run.unanswered(root.fetch, &error)))?;
        match grpc_status(stream.headers(), None) {
            None | Some((GrpcStatus::Ok, _)) => Ok((method, stream)),
            Some((status, words)) => Err(failed(run.unwell(root.fetch, status, &words))),
        }
    }
}

/// The root field that is asked for.
fn root<'q>(run: &Run<'q>) -> Option<Root<'q>> {
    let operation = run.document.operations.iter().next()?;
    let selected: &'q SelectionSet = &operation.selection_set;
    let asked = run.asked(&selected.ty, &[selected]).into_iter().next()?;
    match &run.source(&selected.ty, &asked.field.name)?.origin {
        Origin::Call(fetch) => Some(Root { name: &selected.ty, asked, fetch }),
        _ => None,
    }
}

impl Listener {
    /// The next event; after an error there is none.
    async fn next(&mut self) -> Option<Result<Bytes, CallError>> {
        if self.is_over {
            return None;
        }
        let event = self.message().await.transpose()?;
        let event = match event {
            Ok(message) => self.event(message).await,
            Err(error) => Err(error),
        };
        self.is_over = event.is_err();
        Some(event)
    }

    /// The next message; nothing at the end of a stream that went well.
    async fn message(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let broken = |error| untold().caused_by(format!("{error:?}"));
            if let Some(message) = self.frames.next().await.map_err(broken)? {
                return Ok(Some(message));
            }
            match self.stream.next().await {
                Some(Ok(piece)) => self.frames.push(&piece),
                Some(Err(error)) => {
                    let words = format!("the stream broke off: {error}");
                    return Err(CallError::new(error.kind.kind(), words).caused_by(error.detail));
                }
                None if self.frames.is_amid() => {
                    return Err(untold().caused_by("the stream ends within a message"));
                }
                None => return self.end(),
            }
        }
    }

    fn end(&self) -> Result<Option<Bytes>, CallError> {
        match grpc_status(self.stream.headers(), self.stream.trailers()) {
            Some((GrpcStatus::Ok, _)) => Ok(None),
            Some((status, words)) => {
                let call = self.asked.call();
                let run = self.run(&call);
                let root = root(&run).ok_or_else(untold)?;
                Err(failed(run.unwell(root.fetch, status, &words)))
            }
            None => Err(untold().caused_by("the stream does not say how it went")),
        }
    }

    fn run<'q>(&'q self, call: &'q ServiceCall<'q>) -> Run<'q> {
        let Question { kept, document, body, .. } = &self.asked;
        Run::new(kept, document, call, Arc::clone(body))
    }

    /// The answer that a message makes.
    async fn event(&self, message: Bytes) -> Result<Bytes, CallError> {
        let call = self.asked.call();
        let run = self.run(&call);
        let root = root(&run).ok_or_else(untold)?;
        let limit = self.asked.kept.transport.answer_bytes();
        let json = grpc::json(&self.method.output(), vec![message], false, limit).await;
        let json = json.map_err(|detail| untold().caused_by(detail))?;
        let place = run.place(root.fetch, json).map_err(failed)?;
        let value = run.result(root.fetch, &place).map_err(failed)?;
        let value = value.map_or(Value::Null, Value::Place);
        Ok(run.event(root.name, &root.asked, value).await)
    }
}
