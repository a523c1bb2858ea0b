//! Errors of the store and of the house as S3's clients know them: a code, and a sentence.

use base::{Error, Kind, error_chain};
use s3s::{S3Error, S3ErrorCode};

/// An error with its causes and its hint, in one line.
pub(super) fn text(error: &Error) -> String {
    let chain = error_chain(error).join(": ");
    match error.hint_text() {
        Some(hint) => format!("{chain}; {hint}"),
        None => chain,
    }
}

/// A refusal in words.
pub(super) fn refuse(code: S3ErrorCode, words: impl Into<String>) -> S3Error {
    S3Error::with_message(code, words.into())
}

/// An error of the house.
pub(super) fn of_ours(error: &Error) -> S3Error {
    let code = match error.kind() {
        Kind::InvalidInput | Kind::Unsupported => S3ErrorCode::InvalidRequest,
        Kind::NotFound => S3ErrorCode::NoSuchKey,
        Kind::AlreadyExists | Kind::Conflict | Kind::Stale => S3ErrorCode::PreconditionFailed,
        Kind::Denied | Kind::Unauthenticated => S3ErrorCode::AccessDenied,
        Kind::LimitExceeded => S3ErrorCode::EntityTooLarge,
        Kind::Unavailable => S3ErrorCode::ServiceUnavailable,
        _ => S3ErrorCode::InternalError,
    };
    refuse(code, text(error))
}

/// An error of the object store about this key.
pub(super) fn of_store(key: &str, error: object_store::Error) -> S3Error {
    use object_store::Error::{AlreadyExists, NotFound, NotModified, Precondition};
    match error {
        NotFound { .. } => refuse(S3ErrorCode::NoSuchKey, format!("there is no object `{key}`")),
        AlreadyExists { .. } => {
            refuse(S3ErrorCode::PreconditionFailed, format!("the object `{key}` exists already"))
        }
        Precondition { .. } => {
            refuse(S3ErrorCode::PreconditionFailed, format!("the object `{key}` is another by now"))
        }
        NotModified { .. } => {
            refuse(S3ErrorCode::NotModified, format!("the object `{key}` is the same"))
        }
        other => {
            let chain = error_chain(&other).join(": ");
            refuse(S3ErrorCode::InternalError, format!("failed at the object `{key}`: {chain}"))
        }
    }
}
