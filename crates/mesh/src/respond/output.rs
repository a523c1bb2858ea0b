//! The text of a response and its errors: counted, and closed the same way whatever wrote the data.

use base::{Kind, size};

use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};
use crate::limits::Limits;
use crate::record::Fault;

/// What is left of the limits, in bytes and in errors.
pub(crate) type Left = (usize, usize);

/// A response that is being written.
pub(super) struct Output {
    pub(super) text: Vec<u8>,
    errors: Vec<GraphqlError>,
    /// Errors beyond the limit, which are counted only.
    more_errors: usize,
    limit: usize,
    /// Bytes that the text may have.
    bytes: usize,
    /// Bytes that the text may have with all parts that were sent.
    allowed: usize,
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
            allowed: limits.response_bytes,
            is_too_large: false,
        }
    }

    /// An empty one within what is left of the limits.
    pub(super) fn within(limits: &Limits, (bytes, limit): Left) -> Self {
        Output { bytes, limit, ..Output::new(limits) }
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

    /// Takes the text after a mark, with the errors so far, as a part of its own; what it has counts
    /// against the limits of all parts.
    pub(super) fn take_part(&mut self, mark: usize) -> (Vec<u8>, Vec<GraphqlError>) {
        let too_large = self.is_too_large().then(|| self.is_larger());
        let text = self.text.split_off(mark.min(self.text.len()));
        let mut errors = std::mem::take(&mut self.errors);
        errors.extend(too_large);
        self.bytes = self.bytes.saturating_sub(text.len());
        self.limit = self.limit.saturating_sub(errors.len());
        errors.extend(std::mem::take(&mut self.more_errors).checked_sub(1).map(|more| {
            let message = format!("{} more errors are left out", more + 1);
            GraphqlError::new(Kind::LimitExceeded, message)
        }));
        (text, errors)
    }

    /// What is left of the limits, for parts that are written later.
    pub(super) fn left(&self) -> Left {
        let bytes = self.bytes.saturating_sub(self.text.len());
        (bytes, self.limit.saturating_sub(self.errors.len()))
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
        let error = self.is_larger();
        let text = b"{\"data\":null".to_vec();
        let small =
            Output { text, errors: vec![error], more_errors: 0, is_too_large: false, ..self };
        small.finish(true)
    }

    fn is_larger(&self) -> GraphqlError {
        let message =
            format!("the answer is larger than {}", size::format_bytes(self.allowed as u64));
        let hint = "ask for fewer rows with `first`, or for fewer fields";
        GraphqlError::new(Kind::LimitExceeded, message).with("hint", hint)
    }
}
