//! The text of a response and its errors: counted, and closed the same way whatever wrote the data.

use base::{Kind, size};

use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::limits::Limits;
use crate::record::Fault;

/// A response that is being written.
pub(super) struct Output {
    pub(super) text: Vec<u8>,
    errors: Vec<GraphqlError>,
    /// Errors beyond the limit, which are counted only.
    more_errors: usize,
    limit: usize,
    /// Bytes that the text may have.
    bytes: usize,
    /// Whether it had more: nothing of it is sent, and writing ends.
    is_too_large: bool,
}

impl Output {
    /// An empty one within these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        Output {
            text: Vec::with_capacity(4096),
            errors: Vec::new(),
            more_errors: 0,
            limit: limits.errors,
            bytes: limits.response_bytes,
            is_too_large: false,
        }
    }

    /// Whether the text became larger than is allowed; it is so for good.
    pub(super) fn is_too_large(&mut self) -> bool {
        self.is_too_large |= self.text.len() > self.bytes;
        self.is_too_large
    }

    /// Adds an error; where it is, is asked only when it is listed.
    pub(super) fn report(&mut self, error: GraphqlError, path: impl FnOnce() -> Vec<PathPart>) {
        if self.is_full() {
            self.leave_out();
        } else {
            self.errors.push(GraphqlError { path: path(), ..error });
        }
    }

    /// Whether the answer has as many errors as it may have; more are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= self.limit
    }

    /// Counts an error that is not told.
    pub(super) fn leave_out(&mut self) {
        self.more_errors += 1;
    }

    /// Closes the response; `is_empty` says that every root field is null.
    pub(super) fn finish(mut self, is_empty: bool) -> Response {
        if self.is_too_large() {
            return self.too_large();
        }
        let mut count = self.errors.len();
        if self.more_errors > 0 {
            let message = format!("{} more errors are left out", self.more_errors);
            self.errors.push(GraphqlError::new(Kind::LimitExceeded, message));
            count += self.more_errors;
        }
        if !self.errors.is_empty() {
            let errors: Vec<_> = self.errors.iter().map(GraphqlError::to_json).collect();
            self.text.extend_from_slice(b",\"errors\":");
            self.text.extend_from_slice(serde_json::Value::Array(errors).to_string().as_bytes());
        }
        self.text.push(b'}');
        let stale = is_empty && count > 0 && self.errors.iter().all(GraphqlError::is_stale);
        let faults = Fault::of(&self.errors);
        let (body, errors) = (self.text, count);
        Response { body, refused: false, timed_out: false, errors, faults, stale }
    }

    /// The answer in the place of one that is larger than is allowed. What the request did is done.
    fn too_large(self) -> Response {
        let message =
            format!("the answer is larger than {}", size::format_bytes(self.bytes as u64));
        let hint = "ask for fewer rows with `first`, or for fewer fields";
        let error = GraphqlError::new(Kind::LimitExceeded, message).with("hint", hint);
        let text = b"{\"data\":null".to_vec();
        let small =
            Output { text, errors: vec![error], more_errors: 0, is_too_large: false, ..self };
        small.finish(true)
    }
}
