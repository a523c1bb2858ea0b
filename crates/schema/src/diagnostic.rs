//! What is wrong with a schema, and where: in come codes, places and words from every stage, out
//! come terminal text with an excerpt, and JSON. Nothing is decided here; every code stands in the
//! registry of [`code`], from which the reference page is made.

pub mod code;
mod render;
pub mod suggest;

use std::fmt;

use base::{Error, Kind, Place};
use serde_json::{Value, json};

pub use code::{Code, Severity};

use crate::load::Sources;

/// One fault (or warning) in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// What is wrong, in lowercase, without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// Characters that are wrong, from `place` on; 0 when only the line or file is known.
    pub length: usize,
    /// The next thing to try.
    pub hint: Option<String>,
    /// Other places that belong to the fault: where two texts disagree, the second one.
    pub also: Vec<Also>,
}

/// A further place of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Also {
    /// Where.
    pub place: Place,
    /// Characters that are meant, from `place` on.
    pub length: usize,
    /// What stands there.
    pub message: String,
}

impl Also {
    fn to_json(&self) -> Value {
        json!({
            "message": self.message,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "length": self.length,
        })
    }
}

impl Diagnostic {
    /// A diagnostic without a hint.
    pub fn new(code: Code, place: Place, length: usize, message: impl Into<String>) -> Self {
        Diagnostic { code, message: message.into(), place, length, hint: None, also: Vec::new() }
    }

    /// Adds the next thing to try.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" when one of the candidates is near to what was written, else `otherwise`.
    pub fn did_you_mean<'c>(
        &mut self,
        written: &str,
        candidates: impl IntoIterator<Item = &'c str>,
        quote: impl Fn(&str) -> String,
        otherwise: &str,
    ) -> &mut Self {
        match suggest::closest(written, candidates) {
            Some(found) => self.hint(format!("did you mean {}?", quote(found))),
            None if otherwise.is_empty() => self,
            None => self.hint(otherwise),
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Everything that was found, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The findings.
    pub items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Whether there is at least one error (not only warnings).
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.items.iter().filter(|item| item.severity() == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.items.len() - self.errors()
    }

    /// Puts the findings in the order of files, lines and columns, each once.
    pub(crate) fn sort(&mut self) {
        let key = |item: &Diagnostic| {
            (item.place.file.clone(), item.place.line, item.place.column, item.code.as_str())
        };
        self.items.sort_by_key(key);
        self.items.dedup();
    }

    /// The findings as a terminal shows them, each with an excerpt of the source, and their count.
    pub fn render(&self, sources: &Sources, color: bool) -> String {
        render::render(self, sources, color)
    }

    /// The findings as JSON, for `--json` and editors.
    pub fn to_json(&self) -> Value {
        let items = self.items.iter().map(|item| {
            let mut object = json!({
                "code": item.code.as_str(),
                "severity": item.severity().as_str(),
                "message": item.message,
                "file": item.place.file,
                "line": item.place.line,
                "column": item.place.column,
                "length": item.length,
                "hint": item.hint,
            });
            if !item.also.is_empty() {
                object["also"] = item.also.iter().map(Also::to_json).collect();
            }
            object
        });
        Value::Array(items.collect())
    }
}

impl fmt::Display for Diagnostics {
    /// One line a finding: for logs, and where the sources are not at hand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            let Diagnostic { code, message, place, .. } = item;
            write!(
                f,
                "{newline}{place}: {}[{}]: {message}",
                item.severity().as_str(),
                code.as_str()
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for Error {
    /// The first error, and how many there are in all.
    fn from(diagnostics: Diagnostics) -> Self {
        let count = diagnostics.errors();
        let first = diagnostics.items.iter().find(|item| item.severity() == Severity::Error);
        let Some(first) = first else {
            return Error::internal("a schema was refused without an error");
        };
        let more =
            if count > 1 { format!(" (and {} more errors)", count - 1) } else { String::new() };
        let kind = match first.code {
            Code::NotEnforced | Code::UnsupportedDefinition | Code::UnsupportedField => {
                Kind::Unsupported
            }
            Code::Limit => Kind::LimitExceeded,
            _ => Kind::InvalidInput,
        };
        let mut error =
            Error::new(kind, format!("{}{more}", first.message)).at(first.place.clone());
        if let Some(hint) = &first.hint {
            error = error.hint(hint.clone());
        }
        error
    }
}
