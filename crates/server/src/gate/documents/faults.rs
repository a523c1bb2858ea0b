//! What is wrong with documents that were to be registered, or to get a client, each fault with its place.
//!
//! In: errors of the engine. Out: one refusal that lists them all, in the form in which faults of a schema
//! are listed. Not here: the checks.

use base::Kind;
use base::size::counted;
use serde_json::Value as Json;

use crate::wire::{Diagnostic, DocumentText, ErrorBody};

/// One fault of one document.
#[derive(Debug)]
pub(crate) struct Fault {
    code: String,
    message: String,
    file: String,
    /// Line and column, from 1; nothing when the whole document is at fault.
    place: Option<(usize, usize)>,
    hint: Option<String>,
}

impl Fault {
    /// An error of the engine.
    pub(crate) fn of(file: &str, error: mesh::GraphqlError) -> Self {
        let text = |name: &str| error.extensions.get(name).and_then(Json::as_str);
        Fault {
            code: text("code").unwrap_or(Kind::InvalidInput.code()).to_owned(),
            hint: text("hint").map(ToOwned::to_owned),
            place: error.locations.first().copied(),
            file: file.to_owned(),
            message: error.message,
        }
    }

    /// An id in a list of documents that belongs to another text.
    pub(super) fn of_id(file: &str, id: &str) -> Self {
        Fault {
            code: Kind::InvalidInput.code().to_owned(),
            message: "the id of the document is not the SHA-256 of its text".to_owned(),
            file: file.to_owned(),
            place: None,
            hint: Some(format!("the text has the id `{id}`; write the list anew")),
        }
    }

    fn diagnostic(self, text: &str) -> Diagnostic {
        let rendered = self.rendered(text);
        let (line, column) = self.place.unwrap_or((0, 0));
        Diagnostic {
            code: self.code,
            message: self.message,
            file: self.file,
            line,
            column,
            hint: self.hint,
            rendered,
        }
    }

    /// The fault with the line in which it is.
    fn rendered(&self, text: &str) -> String {
        let mut shown = format!("error[{}]: {}\n", self.code, self.message);
        let gap = self.place.map_or(0, |(line, _)| line.to_string().len());
        let gap = " ".repeat(gap);
        match self.place {
            Some((line, column)) => {
                let source = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
                let before: usize = source.chars().take(column.saturating_sub(1)).count();
                shown.push_str(&format!("{gap}--> {}:{line}:{column}\n", self.file));
                shown.push_str(&format!("{gap} |\n{line} | {source}\n"));
                shown.push_str(&format!("{gap} | {}^\n", " ".repeat(before)));
            }
            None => shown.push_str(&format!("{gap}--> {}\n", self.file)),
        }
        if let Some(hint) = &self.hint {
            shown.push_str(&format!("{gap} = hint: {hint}\n"));
        }
        shown
    }
}

/// The refusal of all documents, for the faults of some.
pub(super) fn refusal(faults: Vec<Fault>, documents: &[DocumentText]) -> ErrorBody {
    let mut faulty: Vec<&str> = faults.iter().map(|fault| fault.file.as_str()).collect();
    faulty.dedup();
    let count = counted(faulty.len() as u64, "document");
    let verb = if faulty.len() == 1 { "is" } else { "are" };
    let message = format!("{count} {verb} faulty, and none was registered");
    list(message, "they are checked against the deployed schema", faults, documents)
}

/// A refusal that lists faults.
pub(crate) fn list(
    message: String,
    hint: &str,
    faults: Vec<Fault>,
    documents: &[DocumentText],
) -> ErrorBody {
    let text = |file: &str| {
        let document = documents.iter().find(|document| document.file == file);
        document.map_or("", |document| document.text.as_str())
    };
    let diagnostics = faults.into_iter().map(|fault| {
        let text = text(&fault.file);
        fault.diagnostic(text)
    });
    ErrorBody {
        code: Kind::InvalidInput.code().to_owned(),
        message,
        causes: Vec::new(),
        place: None,
        hint: Some(hint.to_owned()),
        diagnostics: diagnostics.collect(),
    }
}
