//! How errors of the libraries below become Headwater's: the kind is found in the chain of causes,
//! so that a full disk is still a full disk after three libraries have wrapped it.

use base::{Error, Kind};

/// Wraps a library's error in what was being done.
pub(crate) fn failed<E>(doing: impl Into<String>) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let doing = doing.into();
    move |error| {
        let (kind, hint) = kind_of(&error);
        let wrapped = Error::new(kind, format!("failed to {doing}")).caused_by(error);
        match hint {
            Some(hint) => wrapped.hint(hint),
            None => wrapped,
        }
    }
}

/// What to do when the object store answers nothing, or nothing that makes sense.
const UNREACHABLE: &str =
    "check that the object store runs and can be reached, then repeat the request";

/// The kind and hint of the first cause that has one.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> (Kind, Option<String>) {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return (ours.kind(), ours.hint_text().map(str::to_owned));
        }
        match error.downcast_ref::<object_store::Error>() {
            Some(object_store::Error::NotFound { .. }) => return (Kind::NotFound, None),
            Some(object_store::Error::PermissionDenied { .. }) => return (Kind::Denied, None),
            Some(object_store::Error::Unauthenticated { .. }) => return (Kind::Denied, None),
            Some(object_store::Error::Generic { store: "S3", .. }) => {
                return (Kind::Unavailable, Some(UNREACHABLE.to_owned()));
            }
            _ => {}
        }
        next = error.source();
    }
    (Kind::Io, None)
}
