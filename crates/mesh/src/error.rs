//! Errors as GraphQL answers carry them: a message, where in the document and in the answer, and
//! extensions for code.

use std::sync::Arc;

use base::{Error, Kind};
use serde_json::{Map, Value as Json, json};

/// One step into an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// `code`, and where they are known `table`, `owner`, `hint`.
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
    fn from(error: &Error) -> Self {
        // An internal fault's causes are for logs; every other chain tells the caller what to mend.
        let message = match error.kind() {
            Kind::Internal => error.to_string(),
            _ => base::error_chain(error).join(": "),
        };
        let mut found = GraphqlError::new(error.kind(), message);
        if let Some(hint) = error.hint_text() {
            found = found.with("hint", hint);
        }
        found
    }
}
