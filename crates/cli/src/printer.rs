//! The one place that decides what is shown: text or JSON, with or without colour, progress or
//! silence. Standard output carries answers only; remarks and errors go to standard error.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use owo_colors::OwoColorize;
use serde::Serialize;
use server::wire::ErrorBody;

use crate::arguments::{Global, When};

/// What every command ends with.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) ErrorBody);

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        Failure(body)
    }
}

impl From<base::Error> for Failure {
    fn from(error: base::Error) -> Self {
        Failure(ErrorBody::from(&error))
    }
}

impl Failure {
    /// A mistake that the user can mend.
    pub(crate) fn user(message: impl Into<String>, hint: impl Into<String>) -> Self {
        base::Error::invalid(message).hint(hint).into()
    }
}

/// Prints answers, remarks and errors.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Printer {
    /// Settles colour and form once.
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !global.no_color && !global.json && std::io::stdout().is_terminal(),
        };
        Printer { json: global.json, quiet: global.quiet, color }
    }

    /// Whether answers are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a progress bar helps: somebody is looking, and asked for no silence.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && std::io::stderr().is_terminal()
    }

    /// Prints an answer: the value as JSON, or the text.
    pub(crate) fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) {
        if !self.json {
            return self.text(&text());
        }
        match serde_json::to_string_pretty(value) {
            Ok(json) => self.text(&json),
            Err(error) => eprintln!("error: failed to print the answer: {error}"),
        }
    }

    /// Prints to standard output; a reader that went away (`| head`) is no error.
    pub(crate) fn text(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let _reader_went_away = write!(out, "{text}{newline}").and_then(|()| out.flush());
    }

    /// Prints a remark to standard error.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet && !self.json {
            eprintln!("{text}");
        }
    }

    /// The faint form of a word.
    pub(crate) fn faint(&self, text: &str) -> String {
        if self.color { text.dimmed().to_string() } else { text.to_owned() }
    }

    /// Prints how the command ended; gives its exit code.
    pub(crate) fn exit(&self, outcome: Outcome) -> ExitCode {
        let Err(Failure(body)) = outcome else {
            return ExitCode::SUCCESS;
        };
        if self.json {
            let json = serde_json::json!({ "error": body });
            self.text(&serde_json::to_string_pretty(&json).unwrap_or_default());
        } else {
            self.error(&body);
        }
        ExitCode::from(if body.code == "INTERNAL" { 2 } else { 1 })
    }

    fn error(&self, body: &ErrorBody) {
        for diagnostic in &body.diagnostics {
            eprintln!("{}\n", diagnostic.rendered.trim_end());
        }
        let (error, hint) = if self.color {
            ("error".red().bold().to_string(), "hint".cyan().bold().to_string())
        } else {
            ("error".to_owned(), "hint".to_owned())
        };
        match &body.place {
            Some(place) => eprintln!("{error}: {}\n  --> {place}", body.message),
            None => eprintln!("{error}: {}", body.message),
        }
        for cause in &body.causes {
            eprintln!("  caused by: {cause}");
        }
        if let Some(text) = &body.hint {
            eprintln!("  {hint}: {text}");
        }
    }
}

/// Lays out rows under headers; numbers to the right, text to the left.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_number = |column: usize| {
        let mut cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .filter(|cell| !cell.is_empty())
            .peekable();
        cells.peek().is_some()
            && cells.all(|cell| {
                cell.starts_with(|c: char| c.is_ascii_digit() || c == '-') && !cell.contains('T')
            })
    };
    let right: Vec<bool> = (0..headers.len()).map(is_number).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (column, cell) in cells.enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let gap = if column > 0 { "  " } else { "" };
            text.push_str(gap);
            if right[column] {
                text.push_str(&pad);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&pad);
            }
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut headers.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let rows =
            [vec!["films".to_owned(), "1682".to_owned()], vec!["a".to_owned(), "7".to_owned()]];
        assert_eq!(table(&["table", "rows"], &rows), "table  rows\nfilms  1682\na         7");
    }
}
