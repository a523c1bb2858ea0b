//! What is wrong with one record, and how it is told: as the located error that ends an import, or
//! as a line of the rejects file.

use std::fmt;

use base::{Error, Place};

/// Characters of a wrong value that a message shows.
const SHOWN: usize = 60;

/// The kinds that rejected records are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// Bytes that are not text in the expected encoding.
    Encoding,
    /// A quote where none may stand, or one that is never closed.
    Quote,
    /// More or fewer fields than the header.
    Ragged,
    /// Not JSON.
    Syntax,
    /// A field that the type does not have.
    UnknownField,
    /// No value for a required field.
    Missing,
    /// A value that is not of the field's type.
    Type,
    /// A value of the right type outside what the type can hold.
    Range,
    /// A name that the enum does not have.
    Enum,
    /// A record over the size limit.
    TooLong,
    /// An image that cannot be taken.
    Media,
}

impl FaultKind {
    /// The name in reports and rejects files.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Encoding => "encoding",
            FaultKind::Quote => "quote",
            FaultKind::Ragged => "ragged",
            FaultKind::Syntax => "syntax",
            FaultKind::UnknownField => "unknown-field",
            FaultKind::Missing => "missing",
            FaultKind::Type => "type",
            FaultKind::Range => "range",
            FaultKind::Enum => "enum",
            FaultKind::TooLong => "too-long",
            FaultKind::Media => "media",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one value does not fit, before anybody knows where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The kind.
    pub kind: FaultKind,
    /// What was expected instead: `an integer of 32 bits`.
    pub expected: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Misfit {
    /// A value that is not of the type.
    pub fn of_type(expected: impl Into<String>) -> Self {
        Misfit { kind: FaultKind::Type, expected: expected.into(), hint: None }
    }

    /// A value that the type cannot hold.
    pub fn out_of_range(expected: impl Into<String>) -> Self {
        Misfit { kind: FaultKind::Range, expected: expected.into(), hint: None }
    }

    /// Adds what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What is wrong with one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// Position of the record in its block or batch.
    pub record: usize,
    /// First byte of the offending value in the block; the record's own start when unknown.
    pub offset: Option<usize>,
    /// The field (`address.city`, `tags[2]`), when one is to blame.
    pub field: Option<String>,
    /// What is wrong: `expected an integer, found \`abc\``.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Fault {
    /// A value that does not fit.
    pub fn misfit(record: usize, field: &str, found: &[u8], misfit: Misfit) -> Self {
        Fault {
            kind: misfit.kind,
            record,
            offset: None,
            field: Some(field.to_owned()),
            message: format!("expected {}, found {}", misfit.expected, shown(found)),
            hint: misfit.hint,
        }
    }

    /// No value for a required field.
    pub fn missing(record: usize, field: &str) -> Self {
        Fault {
            kind: FaultKind::Missing,
            record,
            offset: None,
            field: Some(field.to_owned()),
            message: "the value is missing, and the field is required".to_owned(),
            hint: None,
        }
    }

    /// Something wrong with the record as a whole.
    pub fn record(record: usize, kind: FaultKind, message: impl Into<String>) -> Self {
        Fault { kind, record, offset: None, field: None, message: message.into(), hint: None }
    }

    /// Adds where in the block it stands.
    #[must_use]
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Adds what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts the field below an outer one: `city` becomes `address.city`.
    #[must_use]
    pub fn below(mut self, outer: &str, record: usize) -> Self {
        self.record = record;
        self.field = Some(match self.field {
            Some(inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            Some(inner) => format!("{outer}.{inner}"),
            None => outer.to_owned(),
        });
        self
    }

    /// The reason, without place: for the rejects file.
    pub fn reason(&self) -> String {
        match &self.field {
            Some(field) => format!("field `{field}`: {}", self.message),
            None => self.message.clone(),
        }
    }
}

/// A record that was left out, with everything a person needs to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The kind of the first fault.
    pub kind: FaultKind,
    /// The record's number in the file, from 1, without the header.
    pub row: u64,
    /// Where it stands.
    pub place: Place,
    /// What is wrong, all faults of the record.
    pub reason: String,
    /// What to try.
    pub hint: Option<String>,
    /// The record as it was.
    pub original: String,
}

impl Reject {
    /// The error that ends an import which may not leave records out.
    pub fn into_error(self) -> Error {
        let error = Error::invalid(format!("failed to read row {}: {}", self.row, self.reason));
        let error = error.at(self.place);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// A value for a message: cut, quoted, without control characters.
pub fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * SHOWN + 4)]);
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    let clean: String = cut.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("`{clean}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_dirty_values_are_cut_and_cleaned() {
        assert_eq!(shown(b"abc"), "`abc`");
        assert_eq!(shown(b"a\nb"), "`a\u{fffd}b`");
        assert_eq!(shown("é".repeat(100).as_bytes()), format!("`{}…`", "é".repeat(60)));
    }

    #[test]
    fn faults_of_parts_name_the_whole_path() {
        let fault = Fault::missing(3, "city").below("address", 9);
        assert_eq!((fault.field.as_deref(), fault.record), (Some("address.city"), 9));
        let fault = Fault::missing(3, "[2]").below("tags", 9);
        assert_eq!(fault.field.as_deref(), Some("tags[2]"));
    }
}
