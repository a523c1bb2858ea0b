//! One error type for all crates: a kind for code, and a message, a place, a hint and a source for
//! people.
//!
//! `Display` prints this level only; [`error_chain`] prints the levels below, once each, at the
//! edge (the CLI, the HTTP server). Messages are lowercase, without a full stop, and name things in
//! backticks.

use std::fmt;

/// The result of anything that can fail in Headwater.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure this is: short and stable, for code that must decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The caller's input is wrong and will be wrong again.
    InvalidInput,
    /// A named thing does not exist.
    NotFound,
    /// A thing that must be new exists already.
    AlreadyExists,
    /// Somebody else changed the same thing; reading again and retrying may succeed.
    Conflict,
    /// The caller's view is too old (a plan whose base moved, an expired cursor).
    Stale,
    /// The caller is not who it must be.
    Unauthenticated,
    /// The caller is known and may not do this.
    Denied,
    /// A stated limit (size, count, time, memory) was reached.
    LimitExceeded,
    /// A part that this needs does not answer now; retrying later may succeed.
    Unavailable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A feature that is named but not enforced or not offered here.
    Unsupported,
    /// The caller went away or asked to stop.
    Cancelled,
    /// The operating system or the network failed.
    Io,
    /// A fault of Headwater itself.
    Internal,
}

impl Kind {
    /// The stable name, as it stands in JSON output and in GraphQL `extensions.code`.
    pub fn code(self) -> &'static str {
        match self {
            Kind::InvalidInput => "INVALID_INPUT",
            Kind::NotFound => "NOT_FOUND",
            Kind::AlreadyExists => "ALREADY_EXISTS",
            Kind::Conflict => "CONFLICT",
            Kind::Stale => "STALE",
            Kind::Unauthenticated => "UNAUTHENTICATED",
            Kind::Denied => "DENIED",
            Kind::LimitExceeded => "LIMIT_EXCEEDED",
            Kind::Unavailable => "UNAVAILABLE",
            Kind::Corrupt => "CORRUPT",
            Kind::Unsupported => "UNSUPPORTED",
            Kind::Cancelled => "CANCELLED",
            Kind::Io => "IO",
            Kind::Internal => "INTERNAL",
        }
    }

    /// The kind with this stable name; [`Kind::Internal`] for an unknown one.
    pub fn from_code(code: &str) -> Self {
        const ALL: [Kind; 14] = [
            Kind::InvalidInput,
            Kind::NotFound,
            Kind::AlreadyExists,
            Kind::Conflict,
            Kind::Stale,
            Kind::Unauthenticated,
            Kind::Denied,
            Kind::LimitExceeded,
            Kind::Unavailable,
            Kind::Corrupt,
            Kind::Unsupported,
            Kind::Cancelled,
            Kind::Io,
            Kind::Internal,
        ];
        ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Kind::Internal)
    }

    /// Whether the same call may succeed later without being changed.
    pub fn is_retryable(self) -> bool {
        matches!(self, Kind::Conflict | Kind::Unavailable)
    }
}

/// Where in the user's input something stands; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file (or `<query>`, `<arguments>`) as the user named it.
    pub file: String,
    /// Line, or 0 when only the file is known.
    pub line: usize,
    /// Column in characters, or 0 when only the line is known.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// An error of any crate: see the module.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    place: Option<Place>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    may_have_happened: bool,
}

impl Error {
    /// An error of this kind; `message` says what was being done or what is wrong.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            place: None,
            hint: None,
            source: None,
            may_have_happened: false,
        }))
    }

    /// Shorthand for [`Kind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Kind::InvalidInput, message)
    }

    /// Shorthand for [`Kind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(Kind::NotFound, message)
    }

    /// Shorthand for [`Kind::Internal`]: a state that Headwater's own code must never reach.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(Kind::Internal, message)
    }

    /// Adds where in the user's input the fault lies.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    /// Adds the next thing to try; it stands beside the error, not inside its message.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Wraps this error in a level that says what was being done; kind, place and hint stay visible.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind: self.kind(),
            message: message.into(),
            place: self.0.place.clone(),
            hint: self.0.hint.clone(),
            may_have_happened: self.0.may_have_happened,
            source: Some(Box::new(self)),
        }))
    }

    /// Says that what was asked for may have happened, because the answer was lost on its way.
    #[must_use]
    pub fn may_have_happened(mut self) -> Self {
        self.0.may_have_happened = true;
        self
    }

    /// Whether what was asked for surely did not happen. When it may have, what was made ready for it may be
    /// needed; a fault of storage or of ours says nothing either way.
    pub fn nothing_happened(&self) -> bool {
        match self.kind() {
            Kind::InvalidInput
            | Kind::NotFound
            | Kind::AlreadyExists
            | Kind::Conflict
            | Kind::Stale
            | Kind::Unauthenticated
            | Kind::Denied
            | Kind::LimitExceeded
            | Kind::Unsupported => true,
            Kind::Unavailable => !self.0.may_have_happened,
            Kind::Corrupt | Kind::Cancelled | Kind::Io | Kind::Internal => false,
        }
    }

    /// The kind, for code that must decide.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// This level's message, without place, hint and causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the user's input the fault lies.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// The next thing to try.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            std::io::ErrorKind::PermissionDenied => Kind::Denied,
            std::io::ErrorKind::AlreadyExists => Kind::AlreadyExists,
            _ => Kind::Io,
        };
        Error::new(kind, error.to_string())
    }
}

/// The messages of an error and of all its causes, outermost first, without repetition.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Libraries often print their source inside their own text; saying it twice helps nobody.
        if !messages.iter().any(|earlier| earlier.contains(&text)) {
            messages.push(text);
        }
        next = cause.source();
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_this_level_and_the_chain_says_the_rest() {
        let inner = Error::new(Kind::Io, "no space left on device");
        let outer = inner.context("failed to commit table `plays`");
        assert_eq!(outer.to_string(), "failed to commit table `plays`");
        assert_eq!(outer.kind(), Kind::Io);
        assert_eq!(
            error_chain(&outer),
            ["failed to commit table `plays`", "no space left on device"]
        );
    }

    #[test]
    fn what_may_have_happened_is_said_by_every_level() {
        let lost = || Error::new(Kind::Unavailable, "no answer").may_have_happened();
        assert!(
            !lost().nothing_happened() && !lost().context("failed to commit").nothing_happened()
        );
        assert!(Error::new(Kind::Unavailable, "busy").nothing_happened());
        assert!(Error::new(Kind::Conflict, "moved").context("failed to commit").nothing_happened());
        assert!(!Error::new(Kind::Io, "no space left on device").nothing_happened());
    }

    #[test]
    fn a_cause_that_its_parent_already_prints_is_not_repeated() {
        let outer = Error::invalid("failed: bad digit").caused_by(Error::invalid("bad digit"));
        assert_eq!(error_chain(&outer), ["failed: bad digit"]);
    }

    #[test]
    fn places_print_as_editors_read_them() {
        let place = |line, column| Place { file: "a.graphql".to_owned(), line, column }.to_string();
        assert_eq!(
            [place(0, 0), place(3, 0), place(3, 7)],
            ["a.graphql", "a.graphql:3", "a.graphql:3:7"]
        );
    }
}
