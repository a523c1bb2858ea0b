//! The Iceberg REST catalog, as calls with JSON in and JSON out.
//!
//! ```text
//! Call → namespaces | tables | views | commit (requirements → updates → check → swap) → Answer | Refusal
//! ```
//!
//! In: what a client of the public Iceberg REST specification asks, parsed from method and path by
//! `server`. Out: the body that the specification gives, or a refusal of its types. Namespaces that
//! are modules of the central schema show its Iceberg tables: rows come in checked, columns
//! follow the schema. All other namespaces are the tools' own. Not here: HTTP, tokens, credentials.

mod check;
mod commit;
mod foreign;
mod idempotency;
mod json;
mod namespaces;
mod refusal;
mod tables;
mod versions;
mod views;

use base::{Principal, Result as BaseResult, Scope};
use serde_json::Value as Json;

use crate::Lake;
pub use refusal::Refusal;

/// The parts of a namespace's name.
pub type Namespace = Vec<String>;

/// A table or a view by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ident {
    /// Where it is.
    pub namespace: Namespace,
    /// Its own name.
    pub name: String,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Where the page before ended; none (or empty) for the first.
    pub token: Option<String>,
    /// How many at most; everything when there is none.
    pub size: Option<usize>,
}

/// Which snapshots of a table are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// All.
    All,
    /// Those that a branch or a tag names.
    Refs,
}

/// What can be asked of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    ListNamespaces { parent: Option<Namespace>, page: Page },
    CreateNamespace,
    LoadNamespace(Namespace),
    NamespaceExists(Namespace),
    DropNamespace(Namespace),
    UpdateProperties(Namespace),
    ListTables(Namespace, Page),
    CreateTable(Namespace),
    RegisterTable(Namespace),
    LoadTable(Ident, Snapshots),
    TableExists(Ident),
    CommitTable(Ident),
    DropTable { table: Ident, purge: bool },
    UnregisterTable(Ident),
    RenameTable,
    ReportMetrics(Ident),
    LoadCredentials(Ident),
    CommitTransaction,
    ListViews(Namespace, Page),
    CreateView(Namespace),
    RegisterView(Namespace),
    LoadView(Ident),
    ViewExists(Ident),
    ReplaceView(Ident),
    DropView(Ident),
    RenameView,
}

/// What an answer says beside its body, and what `server` makes of it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; none for an empty answer.
    pub body: Option<Json>,
    /// Stays while the body does.
    pub etag: Option<String>,
    /// The table that the answer gives, for which a client may want credentials.
    pub reach: Option<Reach>,
}

/// What credentials for a table must reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Locations, without a slash at the end.
    pub locations: Vec<String>,
    /// Whether its files are the central schema's: then they are added, never replaced.
    pub owned: bool,
}

/// An answer or a refusal.
pub type Outcome = Result<Answer, Refusal>;

impl Answer {
    fn ok(body: Json) -> Answer {
        Answer { status: 200, body: Some(body), ..Answer::default() }
    }

    fn empty() -> Answer {
        Answer { status: 204, ..Answer::default() }
    }
}

impl Ident {
    fn shown(&self) -> String {
        let mut parts: Vec<&str> = self.namespace.iter().map(String::as_str).collect();
        parts.push(&self.name);
        parts.join(".")
    }
}

impl Call {
    /// What a caller must be allowed.
    fn scope(&self) -> Scope {
        match self {
            Call::ListNamespaces { .. }
            | Call::LoadNamespace(_)
            | Call::NamespaceExists(_)
            | Call::ListTables(..)
            | Call::LoadTable(..)
            | Call::TableExists(_)
            | Call::ReportMetrics(_)
            | Call::LoadCredentials(_)
            | Call::ListViews(..)
            | Call::LoadView(_)
            | Call::ViewExists(_) => Scope::Read,
            _ => Scope::Write,
        }
    }

    /// Whether the call changes anything, so that a repetition must not do it again.
    fn changes(&self) -> bool {
        self.scope() > Scope::Read
    }
}

impl Lake {
    /// Answers one call. `key` is the client's idempotency key: a call that was answered before
    /// under the same key is not made again.
    pub async fn rest(
        &self,
        call: &Call,
        body: &Json,
        who: &Principal,
        key: Option<&str>,
    ) -> Outcome {
        who.require(call.scope())?;
        match key.filter(|_| call.changes()) {
            Some(key) => idempotency::once(self, key, call, body, who).await,
            None => answer(self, call, body, who).await,
        }
    }

    /// Makes the rows of the catalog's own tables possible.
    pub(crate) async fn open_rest(database: &meta::Database) -> BaseResult<()> {
        database.migrate("lake_rest", foreign::MIGRATIONS).await
    }
}

async fn answer(lake: &Lake, call: &Call, body: &Json, who: &Principal) -> Outcome {
    match call {
        Call::ListNamespaces { parent, page } => {
            namespaces::list(lake, parent.as_ref(), page).await
        }
        Call::CreateNamespace => namespaces::create(lake, body).await,
        Call::LoadNamespace(namespace) => namespaces::load(lake, namespace).await,
        Call::NamespaceExists(namespace) => {
            namespaces::load(lake, namespace).await.map(|_| Answer::empty())
        }
        Call::DropNamespace(namespace) => namespaces::drop(lake, namespace).await,
        Call::UpdateProperties(namespace) => namespaces::update(lake, namespace, body).await,
        Call::ListTables(namespace, page) => tables::list(lake, namespace, page).await,
        Call::CreateTable(namespace) => tables::create(lake, namespace, body).await,
        Call::RegisterTable(namespace) => tables::register(lake, namespace, body).await,
        Call::LoadTable(table, snapshots) => tables::load(lake, table, *snapshots).await,
        Call::TableExists(table) => tables::exists(lake, table).await,
        Call::CommitTable(table) => commit::one(lake, table, body, who).await,
        Call::DropTable { table, purge } => tables::drop(lake, table, *purge).await,
        Call::UnregisterTable(table) => tables::unregister(lake, table).await,
        Call::RenameTable => tables::rename(lake, body).await,
        Call::ReportMetrics(table) => tables::exists(lake, table).await,
        Call::LoadCredentials(table) => tables::reach(lake, table).await,
        Call::CommitTransaction => commit::many(lake, body, who).await,
        Call::ListViews(namespace, page) => views::list(lake, namespace, page).await,
        Call::CreateView(namespace) => views::create(lake, namespace, body).await,
        Call::RegisterView(namespace) => views::register(lake, namespace, body).await,
        Call::LoadView(view) => views::load(lake, view).await,
        Call::ViewExists(view) => views::load(lake, view).await.map(|_| Answer::empty()),
        Call::ReplaceView(view) => views::replace(lake, view, body).await,
        Call::DropView(view) => views::drop(lake, view).await,
        Call::RenameView => views::rename(lake, body).await,
    }
}
