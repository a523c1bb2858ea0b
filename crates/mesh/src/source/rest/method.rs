//! One call of a method of gRPC: in comes the JSON of a request, out comes what was said, as JSON. Reads and
//! changes are what they are over HTTP; how a call went is what its status says.
//!
//! | status | what it is |
//! | --- | --- |
//! | `OK` | an answer |
//! | `NOT_FOUND` | null of a read, an error of a change |
//! | `INVALID_ARGUMENT`, `OUT_OF_RANGE` | the caller's fault, in the service's words |
//! | `PERMISSION_DENIED`, `UNAUTHENTICATED` | denied |
//! | `ALREADY_EXISTS`, `ABORTED`, `FAILED_PRECONDITION` | a conflict |
//! | all others | a failure of the service, of which only the log says more |

use std::sync::Arc;

use base::Kind;
use http::{HeaderValue, header};
use prost_reflect::MethodDescriptor;
use schema::fetch::Fetch;

use super::BOUNDS;
use super::call::{MOST_WORDS, Said};
use super::object::Place;
use super::run::Run;
use super::write::Fault;
use crate::source::grpc::{self, Methods, Unframed};
use crate::tape::Tape;
use crate::transport::{self, Answer, Content, GrpcStatus, grpc_status};

impl Run<'_> {
    /// Calls a method; `call` is as it would be over HTTP.
    pub(super) async fn method(
        &self,
        methods: &Methods,
        (name, fetch): (&str, &Fetch),
        mut call: transport::Call,
        is_change: bool,
    ) -> Result<Said, Fault> {
        let method = self.described(methods, (name, fetch), &call).await?;
        self.prepare(&method, &mut call)?;
        if let Some(freshness) = &mut call.freshness {
            freshness.keep = is_well;
        }
        let answered = self.rest.transport.call(&call).await;
        let answer = answered.map_err(|error| self.unanswered(fetch, &error))?;
        match grpc_status(&answer.headers, answer.trailers.as_ref()) {
            Some((GrpcStatus::Ok, _)) => {}
            Some((GrpcStatus::NotFound, _)) if !is_change => return Ok(Said::NotFound),
            Some((status, words)) => return Err(self.unwell(fetch, status, &words)),
            None => return Err(self.broken(fetch, "there is no status")),
        }
        self.answer_of(fetch, &method, answer).await
    }

    /// What is known of a method.
    pub(super) async fn described(
        &self,
        methods: &Methods,
        (name, fetch): (&str, &Fetch),
        call: &transport::Call,
    ) -> Result<MethodDescriptor, Fault> {
        let found = methods.get(name, &self.rest.transport, call).await.map_err(|error| {
            self.log(fetch, &error.detail);
            let words = format!("`{}` did not answer: {}", self.rest.name, error.words);
            let mut fault = Fault::wrong(words);
            fault.retryable = error.retryable;
            fault
        })?;
        found.filter(|method| !method.is_client_streaming()).ok_or_else(|| {
            self.log(fetch, "the service has no such method, or one that takes a stream");
            Fault::wrong(format!("`{}` has no method that this field could call", self.rest.name))
        })
    }

    /// Makes a call of gRPC of what would be sent as JSON.
    pub(super) fn prepare(
        &self,
        method: &MethodDescriptor,
        call: &mut transport::Call,
    ) -> Result<(), Fault> {
        // What a whole body is not given for is a request without fields.
        let text = std::str::from_utf8(&call.body).unwrap_or_default();
        let text = if matches!(text, "" | "null") { "{}" } else { text };
        let request = grpc::encode(&method.input(), text);
        let request = request.map_err(|detail| {
            let words = format!(
                "`{}` cannot be asked for this, which is no `{}`: {detail}",
                self.rest.name,
                method.input().full_name()
            );
            Fault::new(Kind::InvalidInput, words)
        })?;
        // The members of a map are encoded in any order.
        call.question = Some(std::mem::replace(&mut call.body, grpc::framed(&request)));
        call.content = Content::Grpc;
        call.headers.remove(header::ACCEPT);
        call.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(())
    }

    async fn answer_of(
        &self,
        fetch: &Fetch,
        method: &MethodDescriptor,
        answer: Answer,
    ) -> Result<Said, Fault> {
        let limit = self.rest.transport.answer_bytes();
        let messages = grpc::messages(answer.body, &answer.headers, limit).await;
        let messages = messages.map_err(|error| self.unframed(fetch, error))?;
        if !method.is_server_streaming() && messages.len() == 1 && says_nothing(method) {
            return Ok(Said::Nothing);
        }
        let output = method.output();
        let json = grpc::json(&output, messages, method.is_server_streaming(), limit).await;
        let json = json.map_err(|detail| self.broken(fetch, &detail))?;
        self.place(fetch, json).map(|place| Said::Json(place, None))
    }

    /// JSON of our own as a value.
    pub(super) fn place(&self, fetch: &Fetch, json: bytes::Bytes) -> Result<Place, Fault> {
        let tape = Tape::parse(json, &BOUNDS);
        let tape = tape.map_err(|error| self.broken(fetch, &error.to_string()))?;
        Ok(Place::root(Arc::new(tape)))
    }

    pub(super) fn unframed(&self, fetch: &Fetch, error: Unframed) -> Fault {
        match error {
            Unframed::Broken(detail) => self.broken(fetch, &detail),
            Unframed::TooLarge => {
                let words = format!("the answer of `{}` is too large", self.rest.name);
                Fault::new(Kind::LimitExceeded, words)
            }
        }
    }

    pub(super) fn broken(&self, fetch: &Fetch, detail: &str) -> Fault {
        self.log(fetch, detail);
        Fault::wrong(format!("`{}` did not answer with what it says it does", self.rest.name))
    }

    /// A status that is not well: words of the service are for whoever made the call where it is his to
    /// mend it, and else for the log.
    pub(super) fn unwell(&self, fetch: &Fetch, status: GrpcStatus, words: &str) -> Fault {
        use GrpcStatus as S;
        let kind = match status {
            S::InvalidArgument | S::OutOfRange => Kind::InvalidInput,
            S::NotFound => Kind::NotFound,
            S::AlreadyExists | S::FailedPrecondition | S::Aborted => Kind::Conflict,
            S::PermissionDenied | S::Unauthenticated => Kind::Denied,
            _ => {
                self.log(fetch, &format!("{status}: {}", words.escape_debug()));
                let words = format!("`{}` did not answer: {status}", self.rest.name);
                let mut fault = Fault::wrong(words);
                fault.retryable = status.may_pass();
                return fault;
            }
        };
        let told: String = words.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
        let words = match told.is_empty() {
            true => format!("`{}` refused the call with {status}", self.rest.name),
            false => format!("`{}` refused the call with {status}: {told}", self.rest.name),
        };
        let mut fault = Fault::new(kind, words);
        fault.retryable = status == S::Aborted;
        fault
    }
}

/// Whether an answer is worth keeping.
fn is_well(answer: &Answer) -> bool {
    let status = grpc_status(&answer.headers, answer.trailers.as_ref());
    status.is_some_and(|(status, _)| status == GrpcStatus::Ok)
}

/// Whether a method says that all is well and nothing else.
fn says_nothing(method: &MethodDescriptor) -> bool {
    method.output().fields().len() == 0
}
