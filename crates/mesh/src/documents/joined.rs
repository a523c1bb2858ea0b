//! Several files as one text, so that fragments are found across files and each rule sees all of them.
//!
//! In: files. Out: their texts one after the other, and for a line of the whole the file and its line.

use super::{DocumentFault, DocumentFile};
use crate::error::GraphqlError;

/// Files one after the other.
pub(super) struct Joined<'a> {
    /// The whole text.
    pub(super) text: String,
    /// Files, each with the number of lines before it.
    starts: Vec<(usize, &'a DocumentFile)>,
}

impl<'a> Joined<'a> {
    pub(super) fn of(files: &'a [DocumentFile]) -> Self {
        let mut joined = Joined { text: String::new(), starts: Vec::new() };
        let mut lines = 0;
        for file in files {
            joined.starts.push((lines, file));
            // A mark of byte order is allowed at the beginning of a file only.
            let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
            joined.text.push_str(text);
            joined.text.push('\n');
            lines += lines_of(text);
        }
        joined
    }

    /// An error of the whole text as a fault of the file in which it is.
    pub(super) fn fault(&self, mut error: GraphqlError) -> DocumentFault {
        let line = error.locations.first().map_or(1, |(line, _)| *line);
        let (_, file) = self.file(line);
        let name = file.map_or_else(String::new, |file| file.name.clone());
        // Places in other files would be read as places in this one.
        error.locations.retain(|(line, _)| self.file(*line).1.is_some_and(|it| it.name == name));
        for (line, _) in &mut error.locations {
            *line -= self.file(*line).0;
        }
        DocumentFault { file: name, error }
    }

    /// The file in which a line is, and the number of lines before that file.
    fn file(&self, line: usize) -> (usize, Option<&'a DocumentFile>) {
        let after = self.starts.partition_point(|(start, _)| *start < line);
        let found = after.checked_sub(1).and_then(|index| self.starts.get(index));
        found.map_or((0, None), |(start, file)| (*start, Some(file)))
    }
}

/// How many lines a text takes when another one follows, as GraphQL counts them.
fn lines_of(text: &str) -> usize {
    let ends = text.char_indices().filter(|(index, letter)| match letter {
        '\n' => true,
        '\r' => !text[index + 1..].starts_with('\n'),
        _ => false,
    });
    ends.count() + 1
}

#[cfg(test)]
mod tests {
    use base::Kind;

    use super::*;

    #[test]
    fn a_line_of_the_whole_is_a_line_of_a_file() {
        let file = |name: &str, text: &str| DocumentFile { name: name.into(), text: text.into() };
        let files = [file("a", "1\n2"), file("b", ""), file("c", "\u{feff}1\r\n2\n")];
        let joined = Joined::of(&files);
        let place = |line| {
            let error = GraphqlError::new(Kind::InvalidInput, "x").located(&[(line, 7), (1, 1)]);
            let fault = joined.fault(error);
            (fault.file, fault.error.locations[0].0)
        };
        let all = [1, 2, 3, 4, 5, 6].map(place);
        let wanted = [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("c", 2), ("c", 3)];
        assert_eq!(all, wanted.map(|(file, line)| (file.to_owned(), line)));
    }
}
