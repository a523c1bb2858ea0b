//! Refusals as the reference implementation of the catalog gives them: an HTTP status, a type that
//! clients turn into an exception of theirs, and words.

use base::{Error, Kind, error_chain};
use serde_json::{Value as Json, json};

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The type, such as `NoSuchTableException`.
    pub kind: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Refusal {
    /// The body that the specification gives.
    pub fn body(&self) -> Json {
        json!({ "error": { "message": self.message, "type": self.kind, "code": self.status } })
    }

    fn new(status: u16, kind: &str, message: impl Into<String>) -> Refusal {
        Refusal { status, kind: kind.to_owned(), message: message.into() }
    }

    /// The request makes no sense.
    pub fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "BadRequestException", message)
    }

    /// An argument that the reference refuses by itself, so that its clients know the type.
    pub(super) fn argument(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "IllegalArgumentException", message)
    }

    /// What the commit brings breaks a promise of the table.
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "ValidationException", message)
    }

    /// The caller may not do it here.
    pub fn forbidden(message: impl Into<String>) -> Refusal {
        Refusal::new(403, "ForbiddenException", message)
    }

    /// There is no such thing, of a type of its own.
    pub fn missing(kind: &str, message: impl Into<String>) -> Refusal {
        Refusal::new(404, kind, message)
    }

    pub(super) fn no_namespace(name: &str) -> Refusal {
        Refusal::missing("NoSuchNamespaceException", format!("Namespace does not exist: {name}"))
    }

    pub(super) fn no_table(name: &str) -> Refusal {
        Refusal::missing("NoSuchTableException", format!("Table does not exist: {name}"))
    }

    pub(super) fn no_view(name: &str) -> Refusal {
        Refusal::missing("NoSuchViewException", format!("View does not exist: {name}"))
    }

    pub(super) fn exists(message: impl Into<String>) -> Refusal {
        Refusal::new(409, "AlreadyExistsException", message)
    }

    pub(super) fn not_empty(name: &str) -> Refusal {
        let text = format!("Namespace {name} is not empty");
        Refusal::new(409, "NamespaceNotEmptyException", text)
    }

    /// Somebody else was faster; the client reads again and tries again.
    pub(super) fn conflict(message: impl Into<String>) -> Refusal {
        Refusal::new(409, "CommitFailedException", message)
    }

    /// The commit may have happened.
    pub(super) fn unknown(error: &Error) -> Refusal {
        Refusal::new(500, "CommitStateUnknownException", words(error))
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> Refusal {
        Refusal::new(422, "UnprocessableEntityException", message)
    }

    pub(super) fn busy(message: impl Into<String>) -> Refusal {
        Refusal::new(503, "ServiceUnavailableException", message)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let text = words(&error);
        match error.kind() {
            Kind::InvalidInput => Refusal::invalid(text),
            Kind::NotFound => Refusal::missing("NotFoundException", text),
            Kind::AlreadyExists => Refusal::exists(text),
            Kind::Conflict | Kind::Stale => Refusal::conflict(text),
            Kind::Unauthenticated => Refusal::new(401, "NotAuthorizedException", text),
            Kind::Denied => Refusal::forbidden(text),
            Kind::LimitExceeded | Kind::Cancelled => Refusal::bad(text),
            Kind::Unsupported => Refusal::new(406, "UnsupportedOperationException", text),
            Kind::Unavailable => Refusal::busy(text),
            _ => Refusal::new(500, "InternalServerError", text),
        }
    }
}

/// An error with its causes and its hint, in one line.
fn words(error: &Error) -> String {
    let chain = error_chain(error).join(": ");
    match error.hint_text() {
        Some(hint) => format!("{chain}; {hint}"),
        None => chain,
    }
}
