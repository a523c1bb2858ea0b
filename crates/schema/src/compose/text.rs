//! The text of a source, and places in it: in come ranges of bytes, out come files, lines and
//! columns.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::parser::SourceSpan;
use base::{Place, Team};

use crate::graph::SourceKind;

/// A source and the SDL that it gives, as its module file holds it.
#[derive(Clone, Debug)]
pub struct SourceSdl {
    /// `@source(name:)`.
    pub name: Arc<str>,
    /// What it speaks.
    pub kind: SourceKind,
    /// Where it is reached.
    pub url: Arc<str>,
    /// Who owns the module.
    pub owner: Team,
    /// The file, as diagnostics name it.
    pub file: Arc<str>,
    /// The whole text of the file.
    pub text: Arc<str>,
}

/// A range of bytes in a text; the empty one at 0 is the text as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl From<Option<SourceSpan>> for Span {
    fn from(span: Option<SourceSpan>) -> Self {
        span.map_or_else(Span::default, |span| Span {
            start: span.offset(),
            end: span.end_offset(),
        })
    }
}

/// A range in the text of one of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) source: usize,
    pub(crate) span: Span,
}

/// A text whose places are known.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    file: Arc<str>,
    text: Arc<str>,
    starts: Vec<usize>,
    /// Places elsewhere that stand for what begins at these bytes: the text of the lake is made of
    /// modules, and its faults are in them.
    pub(crate) elsewhere: HashMap<usize, Place>,
}

impl Text {
    pub(crate) fn new(file: Arc<str>, text: Arc<str>) -> Self {
        let starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Text { file, text, starts, elsewhere: HashMap::new() }
    }

    /// Line and column of a span, and how many characters of that line it covers.
    pub(crate) fn place(&self, span: Span) -> (Place, usize) {
        let length = self.text.get(span.start..span.end).unwrap_or("");
        let length = length.lines().next().unwrap_or("").chars().count();
        if let Some(place) = self.elsewhere.get(&span.start) {
            return (place.clone(), length.max(1));
        }
        let file = self.file.to_string();
        if span == Span::default() || !self.text.is_char_boundary(span.start) {
            return (Place { file, line: 0, column: 0 }, 0);
        }
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..span.start).map_or(0, |text| text.chars().count()) + 1;
        (Place { file, line, column }, length.max(1))
    }
}
