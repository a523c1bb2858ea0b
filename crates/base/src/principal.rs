//! Who asks. `server` authenticates and makes a [`Principal`]; every public entry of every other
//! crate takes one and never looks at tokens or headers.

use std::fmt;
use std::sync::Arc;

/// A team's name, as `@owner` and tokens spell it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Team(Arc<str>);

impl Team {
    /// A team of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Team(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a principal may do. Each scope includes the ones listed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Queries, SQL reads, exports.
    Read,
    /// Mutations and imports.
    Write,
    /// Schema changes, tokens, maintenance, backup and restore.
    Admin,
}

impl Scope {
    /// The name, as tokens and the CLI spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        }
    }

    /// Reads a name; `None` for an unknown one.
    pub fn parse(text: &str) -> Option<Self> {
        [Scope::Read, Scope::Write, Scope::Admin].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// The audience of whoever sees everything, whatever the policies of the schema say.
pub const EVERYTHING: &str = "everything";

/// The audiences that a caller belongs to, for the policies of the schema: each once, in the order of
/// their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audiences(Arc<[Arc<str>]>);

impl Audiences {
    /// These audiences.
    pub fn new<T: Into<Arc<str>>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut names: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        names.sort();
        names.dedup();
        Audiences(names.into())
    }

    /// Whether one of them has this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| known.as_ref().cmp(name)).is_ok()
    }

    /// Their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter()
    }
}

/// The authenticated caller of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The person or service, for audit and for `viewer.id` in expressions.
    pub subject: Arc<str>,
    /// The team the caller acts for.
    pub team: Team,
    /// The widest thing the caller may do.
    pub scope: Scope,
    /// What of protected data the caller may see.
    pub audiences: Audiences,
}

impl Principal {
    /// The owner of the machine: whoever runs the CLI in process, or reaches a loopback server
    /// that has no tokens.
    pub fn local() -> Self {
        Principal {
            subject: "local".into(),
            team: Team::new("local"),
            scope: Scope::Admin,
            audiences: Audiences::new([EVERYTHING]),
        }
    }

    /// Whether policies hide nothing from the caller. Whoever may change the schema could take its
    /// policies out, so that they are not held against him.
    pub fn sees_everything(&self) -> bool {
        self.scope == Scope::Admin || self.audiences.has(EVERYTHING)
    }

    /// Succeeds when the principal holds `scope`.
    pub fn require(&self, scope: Scope) -> crate::Result<()> {
        if self.scope >= scope {
            return Ok(());
        }
        Err(crate::Error::new(
            crate::Kind::Denied,
            format!("`{}` may {} but not {}", self.subject, self.scope.as_str(), scope.as_str()),
        )
        .hint(format!("use a token with the scope `{}`", scope.as_str())))
    }
}
