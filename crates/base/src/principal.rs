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

/// The authenticated caller of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The person or service, for audit and for `viewer.id` in expressions.
    pub subject: Arc<str>,
    /// The team the caller acts for.
    pub team: Team,
    /// The widest thing the caller may do.
    pub scope: Scope,
}

impl Principal {
    /// The owner of the machine: whoever runs the CLI in process, or reaches a loopback server
    /// that has no tokens.
    pub fn local() -> Self {
        Principal { subject: "local".into(), team: Team::new("local"), scope: Scope::Admin }
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
