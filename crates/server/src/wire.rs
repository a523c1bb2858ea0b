//! What travels: requests and answers of every operation, as JSON. One DTO serves the command line
//! (`--json`), the operations over HTTP, and `/system`; domain types are converted here, never
//! serialised themselves. Times are RFC 3339, sizes are bytes, 64-bit ids are strings.

mod changes;
mod data;
mod project;
mod shown;

use serde::{Deserialize, Serialize};

pub use changes::*;
pub use data::*;
pub use project::*;
pub use shown::*;

/// An error as JSON: the outermost message first, then its causes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ErrorBody {
    /// The kind's stable name.
    pub code: String,
    /// What failed.
    pub message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Where in the input: `file:line:column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The next thing to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Everything that is wrong with a schema, when that is what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// One fault of a schema.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Diagnostic {
    /// Stable code, `HW0012`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// File below the schema folder.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The diagnostic with its source excerpt, as the terminal shows it, without colour.
    pub rendered: String,
}

/// How far a long operation is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done: `import films.csv`, `rewrite table films`.
    pub what: String,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Rows refused so far.
    #[serde(default)]
    pub rejected: u64,
}

/// One line of the answer of a long operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// Still going.
    Progress(Progress),
    /// The answer; nothing follows.
    Done(serde_json::Value),
    /// It failed; nothing follows.
    Error(ErrorBody),
}

impl From<&base::Error> for ErrorBody {
    fn from(error: &base::Error) -> Self {
        let mut chain = base::error_chain(error);
        let message = chain.remove(0);
        ErrorBody {
            code: error.kind().code().to_owned(),
            message,
            causes: chain,
            place: error.place().map(ToString::to_string),
            hint: error.hint_text().map(ToOwned::to_owned),
            diagnostics: Vec::new(),
        }
    }
}

impl From<base::Error> for ErrorBody {
    fn from(error: base::Error) -> Self {
        ErrorBody::from(&error)
    }
}

impl ErrorBody {
    /// Puts the name that the caller knows in the place of the name of a spooled file.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.message = self.message.replace(from, to);
        for text in self.causes.iter_mut().chain(&mut self.place).chain(&mut self.hint) {
            *text = text.replace(from, to);
        }
    }

    /// Everything that is wrong with a schema.
    pub fn from_diagnostics(
        diagnostics: &schema::Diagnostics,
        sources: &schema::load::Sources,
    ) -> Self {
        let count = diagnostics.errors();
        let plural = if count == 1 { "error" } else { "errors" };
        ErrorBody {
            code: base::Kind::InvalidInput.code().to_owned(),
            message: format!("the schema has {count} {plural}"),
            causes: Vec::new(),
            place: None,
            hint: None,
            diagnostics: findings(diagnostics, sources),
        }
    }
}

/// Each finding with its excerpt.
pub(crate) fn findings(
    diagnostics: &schema::Diagnostics,
    sources: &schema::load::Sources,
) -> Vec<Diagnostic> {
    diagnostics.items.iter().map(|item| Diagnostic::new(item, sources)).collect()
}

impl Diagnostic {
    fn new(item: &schema::Diagnostic, sources: &schema::load::Sources) -> Self {
        let alone = schema::Diagnostics { items: vec![item.clone()] };
        Diagnostic {
            code: item.code.as_str().to_owned(),
            message: item.message.clone(),
            file: item.place.file.clone(),
            line: item.place.line,
            column: item.place.column,
            hint: item.hint.clone(),
            rendered: excerpt(&alone.render(sources, false)),
        }
    }
}

/// A rendered finding without the count of findings below it.
fn excerpt(rendered: &str) -> String {
    let body = rendered.trim_end();
    let body = body.rsplit_once("\n\n").map_or(body, |(finding, _count)| finding);
    format!("{body}\n")
}

impl From<&schema::load::Sources> for SchemaText {
    fn from(sources: &schema::load::Sources) -> Self {
        let files =
            sources.files.iter().map(|source| (source.file.to_string(), source.text.to_string()));
        SchemaText { files: files.collect() }
    }
}

impl From<ErrorBody> for base::Error {
    /// Keeps the kind, the words, the place and the hint.
    fn from(body: ErrorBody) -> Self {
        let mut error = base::Error::new(base::Kind::from_code(&body.code), body.message);
        for cause in body.causes.into_iter().rev() {
            error = error.caused_by(base::Error::internal(cause));
        }
        match body.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
