//! The text of a response and its errors: counted, and closed the same way whatever wrote the data.

use base::Kind;

use crate::engine::Response;
use crate::error::{GraphqlError, PathPart};

/// A response that is being written.
pub(super) struct Output {
    pub(super) text: Vec<u8>,
    errors: Vec<GraphqlError>,
    /// Errors beyond the limit, which are counted only.
    more_errors: usize,
    limit: usize,
}

impl Output {
    /// An empty one that lists so many errors.
    pub(super) fn new(limit: usize) -> Self {
        let text = Vec::with_capacity(4096);
        Output { text, errors: Vec::new(), more_errors: 0, limit }
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
        Response { body: self.text, refused: false, timed_out: false, errors: count, stale }
    }
}
