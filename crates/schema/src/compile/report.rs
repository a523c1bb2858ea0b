//! Where faults are gathered: in come codes, words and spots from every stage, out come
//! `Diagnostics` with lines and columns. A spot is a range of bytes in one file.

use apollo_compiler::parser::{FileId, SourceSpan};
use base::Place;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::load::Sources;

/// A range of bytes in one file; without a range: the file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) file: usize,
    pub(crate) range: Option<(usize, usize)>,
}

impl Spot {
    /// A file as a whole.
    pub(crate) fn file(file: usize) -> Self {
        Spot { file, range: None }
    }

    /// Some bytes of a file.
    pub(crate) fn bytes(file: usize, start: usize, end: usize) -> Self {
        Spot { file, range: Some((start, end)) }
    }
}

/// Gathers diagnostics and knows the texts they speak of.
pub(crate) struct Report<'s> {
    sources: &'s Sources,
    ids: Vec<(FileId, usize)>,
    line_starts: Vec<Vec<usize>>,
    found: Diagnostics,
}

impl<'s> Report<'s> {
    pub(crate) fn new(sources: &'s Sources) -> Self {
        let starts = |text: &str| {
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
        };
        Report {
            sources,
            ids: Vec::new(),
            line_starts: sources.files.iter().map(|source| starts(&source.text)).collect(),
            found: Diagnostics::default(),
        }
    }

    /// Remembers which file the parser means by an id.
    pub(crate) fn identify(&mut self, id: FileId, file: usize) {
        self.ids.push((id, file));
    }

    /// The spot of a parsed node. Every node of ours is parsed, so it has one; a node without is
    /// shown as the first file.
    pub(crate) fn spot(&self, at: Option<SourceSpan>) -> Spot {
        let Some(span) = at else { return Spot::file(0) };
        let file = self.ids.iter().find(|(id, _)| *id == span.file_id()).map_or(0, |found| found.1);
        Spot::bytes(file, span.offset(), span.end_offset())
    }

    /// The text that a spot covers.
    pub(crate) fn text(&self, spot: Spot) -> &'s str {
        let text: &'s str = &self.sources.files[spot.file].text;
        spot.range.and_then(|(start, end)| text.get(start..end)).unwrap_or("")
    }

    /// Line and column of a spot, and how many characters of that line it covers.
    pub(crate) fn place(&self, spot: Spot) -> (Place, usize) {
        let source = &self.sources.files[spot.file];
        let file = source.file.to_string();
        let Some((start, end)) = spot.range else {
            return (Place { file, line: 0, column: 0 }, 0);
        };
        let start = floor_boundary(&source.text, start);
        let end = floor_boundary(&source.text, end).max(start);
        let starts = &self.line_starts[spot.file];
        let line = starts.partition_point(|line_start| *line_start <= start);
        let line_start = starts[line.saturating_sub(1)];
        let column = source.text[line_start..start].chars().count() + 1;
        let first_line = source.text[start..end].lines().next().unwrap_or("");
        (Place { file, line, column }, first_line.chars().count().max(1))
    }

    /// Adds a finding; the caller may add a hint to what it gives back.
    pub(crate) fn add(
        &mut self,
        code: Code,
        spot: Spot,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let (place, length) = self.place(spot);
        self.found.items.push(Diagnostic::new(code, place, length, message));
        let last = self.found.items.len() - 1;
        &mut self.found.items[last]
    }

    /// Adds a finding at a parsed node.
    pub(crate) fn at(
        &mut self,
        code: Code,
        at: Option<SourceSpan>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let spot = self.spot(at);
        self.add(code, spot, message)
    }

    /// Adds a finding about the name that stands at a place.
    pub(crate) fn name(
        &mut self,
        code: Code,
        place: Place,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let line = self
            .sources
            .text(&place.file)
            .and_then(|text| text.split('\n').nth(place.line.saturating_sub(1)));
        let rest = line.unwrap_or_default().chars().skip(place.column.saturating_sub(1));
        let length = rest.take_while(|c| c.is_alphanumeric() || *c == '_').count().max(1);
        self.found.items.push(Diagnostic::new(code, place, length, message));
        let last = self.found.items.len() - 1;
        &mut self.found.items[last]
    }

    /// Adds what another stage found.
    pub(crate) fn extend(&mut self, found: Diagnostics) {
        self.found.items.extend(found.items);
    }

    /// Whether anything found so far refuses the schema.
    pub(crate) fn has_errors(&self) -> bool {
        self.found.has_errors()
    }

    /// Everything found, in the order of files and lines.
    pub(crate) fn finish(mut self) -> Diagnostics {
        for item in &mut self.found.items {
            item.hint.get_or_insert_with(|| item.code.usual_hint().to_owned());
        }
        self.found.sort();
        self.found
    }
}

/// The nearest position at or before `at` where a character begins.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
