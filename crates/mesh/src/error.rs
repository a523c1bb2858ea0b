//! Errors as GraphQL answers carry them: a message, where in the document and in the answer, and
//! extensions for code.

use std::sync::Arc;

use base::{Error, Kind};
use schema::graph::TABLES;
use serde_json::{Map, Value as Json, json};

/// How a hint begins that names what was probably meant.
const SUGGESTION: &str = "did you mean";

/// One step into an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPart {
    /// A response key.
    Key(Arc<str>),
    /// A position in a list.
    Index(usize),
}

/// One item of `errors`.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphqlError {
    /// What is wrong.
    pub message: String,
    /// Lines and columns of the document.
    pub locations: Vec<(usize, usize)>,
    /// Where in `data`; empty for an error of the whole request.
    pub path: Vec<PathPart>,
    /// `code`, and where they are known `table`, `owner`, `hint`; `reference` finds the log's line.
    pub extensions: Box<Map<String, Json>>,
}

impl GraphqlError {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let mut extensions = Map::new();
        extensions.insert("code".to_owned(), kind.code().into());
        if kind.is_retryable() {
            extensions.insert("retryable".to_owned(), true.into());
        }
        GraphqlError {
            message: message.into(),
            locations: Vec::new(),
            path: Vec::new(),
            extensions: Box::new(extensions),
        }
    }

    /// A value is not for this caller, whether there is one or not (`else: ERROR` of `@visible`).
    pub(crate) fn denied(object: &str, field: &str) -> Self {
        GraphqlError::new(Kind::Denied, format!("`{object}.{field}` is not shown to you here"))
    }

    /// NaN and the infinite numbers are floats like others, but JSON has no spelling for them.
    pub(crate) fn not_finite(object: &str, field: &str) -> Self {
        let message =
            format!("the value of `{object}.{field}` is NaN or infinite, which JSON cannot say");
        GraphqlError::new(Kind::Unsupported, message)
    }

    /// Adds something for code to read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Adds where in the document.
    #[must_use]
    pub fn located(mut self, locations: &[(usize, usize)]) -> Self {
        self.locations = locations.to_vec();
        self
    }

    /// Adds where in the answer.
    #[must_use]
    pub fn at(mut self, path: &[PathPart]) -> Self {
        self.path = path.to_vec();
        self
    }

    /// Says which name was probably meant.
    pub(crate) fn suggesting(self, name: &str) -> Self {
        self.with("hint", format!("{SUGGESTION} `{name}`?"))
    }

    /// Says it no more: a suggestion names what is there.
    pub(crate) fn without_suggestion(mut self) -> Self {
        let hint = self.extensions.get("hint").and_then(Json::as_str);
        if hint.is_some_and(|hint| hint.starts_with(SUGGESTION)) {
            self.extensions.remove("hint");
        }
        self
    }

    /// Whether the caller's view is too old.
    pub(crate) fn is_stale(&self) -> bool {
        self.extensions.get("code").is_some_and(|code| code == Kind::Stale.code())
    }

    /// Likewise, of what the tables answered as a source of a graph.
    pub(crate) fn is_stale_of_tables(&self) -> bool {
        self.is_stale() && self.extensions.get("source").is_some_and(|source| source == TABLES)
    }

    /// As it stands in the answer.
    pub fn to_json(&self) -> Json {
        let mut error = Map::new();
        error.insert("message".to_owned(), self.message.clone().into());
        if !self.locations.is_empty() {
            let locations = self.locations.iter();
            let locations: Vec<Json> =
                locations.map(|(line, column)| json!({"line": line, "column": column})).collect();
            error.insert("locations".to_owned(), locations.into());
        }
        if !self.path.is_empty() {
            let path = self.path.iter().map(|part| match part {
                PathPart::Key(key) => Json::from(key.as_ref()),
                PathPart::Index(index) => Json::from(*index),
            });
            error.insert("path".to_owned(), path.collect::<Vec<_>>().into());
        }
        error.insert("extensions".to_owned(), Json::Object(self.extensions.as_ref().clone()));
        Json::Object(error)
    }
}

impl From<&Error> for GraphqlError {
    /// The error as a caller may know it. The causes of faults that only an operator can mend are for
    /// the log: they name files, addresses and keys.
    fn from(error: &Error) -> Self {
        let message = match error.kind() {
            Kind::Io => "the storage did not answer as it must".to_owned(),
            Kind::Corrupt => "what is stored cannot be read".to_owned(),
            Kind::Internal => error.to_string(),
            _ => base::error_chain(error).join(": "),
        };
        let found = GraphqlError::new(error.kind(), message);
        match error.hint_text() {
            Some(hint) if !is_for_operators(error.kind()) => found.with("hint", hint),
            _ => found,
        }
    }
}

/// Whether the caller can do nothing about such a fault, and is told little of it.
pub(crate) fn is_for_operators(kind: Kind) -> bool {
    matches!(kind, Kind::Internal | Kind::Corrupt | Kind::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller is told of an error whose levels each name a secret.
    fn check(kind: Kind, expected: &str) {
        let inner = Error::new(kind, "no file `/secret`").hint("look into `/secret`");
        let error = GraphqlError::from(&inner.context("failed to read"));
        assert_eq!(error.message, expected, "{kind:?}");
        assert_eq!(error.extensions.contains_key("hint"), !is_for_operators(kind), "{kind:?}");
    }

    #[test]
    fn causes_that_only_an_operator_can_mend_are_not_told() {
        check(Kind::Io, "the storage did not answer as it must");
        check(Kind::Corrupt, "what is stored cannot be read");
        check(Kind::Internal, "failed to read");
    }

    #[test]
    fn causes_that_the_caller_can_mend_are_told() {
        check(Kind::InvalidInput, "failed to read: no file `/secret`");
    }
}
