//! Parses each module: in come texts, out come GraphQL documents and the syntax errors in words. A
//! text that nests too deeply never reaches the parser, so that no input can exhaust the stack.

use apollo_compiler::ast::Document;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{FileId, Parser};

use crate::diagnostic::Code;
use crate::load::{MAX_FILE_BYTES, MAX_FILES, Sources};
use crate::protobuf;

use super::report::{Report, Spot};

/// How deeply brackets may nest: far above any real schema, far below any stack.
const MAX_NESTING: usize = 64;

/// Syntax errors that are reported for one file; the parser stumbles again and again over one fault.
const MAX_SYNTAX_ERRORS: usize = 50;

/// One module's document.
pub(crate) struct ParsedFile {
    /// Position in the sources.
    pub(crate) file: usize,
    /// What parsed.
    pub(crate) document: Document,
    /// Whether that is all of the text.
    pub(crate) complete: bool,
}

/// All modules, and whether all of every text was understood.
pub(crate) struct Parsed {
    pub(crate) files: Vec<ParsedFile>,
    pub(crate) complete: bool,
}

/// Parses every file.
pub(crate) fn parse(sources: &Sources, report: &mut Report<'_>) -> Parsed {
    let mut parsed = Parsed { files: Vec::new(), complete: true };
    if sources.files.len() > MAX_FILES {
        let count = sources.files.len();
        let words = format!("the schema has {count} files; at most {MAX_FILES} are read");
        report.add(Code::Limit, Spot::file(MAX_FILES), words);
        parsed.complete = false;
    }
    for (file, source) in sources.files.iter().enumerate().take(MAX_FILES) {
        if !fits(&source.text, file, report) {
            parsed.complete = false;
            continue;
        }
        if protobuf::is_proto(&source.file) || protobuf::is_set(&source.file) {
            continue;
        }
        let (document, complete) = parse_one(&source.text, &source.file, file, report);
        parsed.complete &= complete;
        parsed.files.push(ParsedFile { file, document, complete });
    }
    parsed
}

fn fits(text: &str, file: usize, report: &mut Report<'_>) -> bool {
    if text.len() as u64 > MAX_FILE_BYTES {
        let size = base::size::format_bytes(text.len() as u64);
        let most = base::size::format_bytes(MAX_FILE_BYTES);
        report
            .add(
                Code::Limit,
                Spot::file(file),
                format!("the file has {size}; at most {most} are read"),
            )
            .hint("split it into several modules");
        return false;
    }
    if let Some(at) = too_deep(text) {
        report
            .add(
                Code::Limit,
                Spot::bytes(file, at, at + 1),
                format!("brackets nest more than {MAX_NESTING} deep"),
            )
            .hint("look for a bracket that is not closed");
        return false;
    }
    true
}

/// Where brackets first nest too deeply; strings and comments are passed over.
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += bytes[at..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - at),
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Some(at);
                }
                at += 1;
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

/// One past the end of the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let block = bytes[start..].starts_with(b"\"\"\"");
    let quote: &[u8] = if block { b"\"\"\"" } else { b"\"" };
    let mut at = start + quote.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' && (!block || bytes[at + 1..].starts_with(quote)) {
            at += if block { 1 + quote.len() } else { 2 };
        } else if bytes[at..].starts_with(quote) {
            return at + quote.len();
        } else if !block && bytes[at] == b'\n' {
            return at;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn parse_one(text: &str, name: &str, file: usize, report: &mut Report<'_>) -> (Document, bool) {
    let (document, errors) = match Parser::new().parse_ast(text, name) {
        Ok(document) => return identified(document, file, report, true),
        Err(failed) => (failed.partial, failed.errors),
    };
    let (document, _) = identified(document, file, report, false);
    let mut spots: Vec<(Spot, String)> = errors
        .iter()
        .map(|error| (report.spot(error.error.location()), error.error.to_string()))
        .collect();
    spots.sort_by_key(|(spot, _)| spot.range);
    // After a fault the parser stumbles over everything up to the next definition; only the first
    // word of it helps.
    let mut last = None;
    let mut count = 0;
    for (spot, message) in spots {
        let start = spot.range.map_or(0, |(start, _)| start);
        let again = last.is_some_and(|last| !begins_definition(text.get(last..start)));
        if again || count >= MAX_SYNTAX_ERRORS {
            continue;
        }
        last = Some(start);
        count += 1;
        report.add(Code::Syntax, spot, words(&message));
    }
    (document, false)
}

/// Whether a definition begins on a line of its own between two faults.
fn begins_definition(between: Option<&str>) -> bool {
    const WORDS: [&str; 10] = [
        "type",
        "enum",
        "extend",
        "scalar",
        "schema",
        "interface",
        "union",
        "input",
        "directive",
        "query",
    ];
    let lines = between.unwrap_or("").split('\n').skip(1);
    lines.into_iter().any(|line| {
        WORDS.iter().any(|word| {
            line.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
    })
}

fn identified(
    document: Document,
    file: usize,
    report: &mut Report<'_>,
    complete: bool,
) -> (Document, bool) {
    for id in document.sources.keys().filter(|id| **id != FileId::BUILT_IN) {
        report.identify(*id, file);
    }
    (document, complete)
}

/// The parser's message with its token names as they are written.
pub(crate) fn words(message: &str) -> String {
    const PHRASES: [(&str, &str); 6] = [
        ("syntax error: ", ""),
        ("a StringValue, Name or OperationDefinition", "a definition such as `type`"),
        ("expected definition", "expected a definition such as `type`"),
        ("expected Field Definition", "expected a field"),
        ("expected a Type", "expected a type"),
        ("valid Value", "value"),
    ];
    const TOKENS: [(&str, &str); 15] = [
        ("L_CURLY", "`{`"),
        ("R_CURLY", "`}`"),
        ("L_PAREN", "`(`"),
        ("R_PAREN", "`)`"),
        ("L_BRACK", "`[`"),
        ("R_BRACK", "`]`"),
        ("COLON", "`:`"),
        ("BANG", "`!`"),
        ("DOLLAR", "`$`"),
        ("PIPE", "`|`"),
        ("EQ", "`=`"),
        ("AT", "`@`"),
        ("AMP", "`&`"),
        ("IDENT", "a name"),
        ("EOF", "the end of the file"),
    ];
    let message = PHRASES
        .iter()
        .fold(message.to_owned(), |text, (phrase, words)| text.replace(phrase, words));
    let message: String = message
        .split_inclusive(' ')
        .map(|word| {
            let bare = word.trim_end_matches([' ', ',']);
            let token = TOKENS.iter().find(|(token, _)| *token == bare);
            token.map_or(word.to_owned(), |(_, words)| word.replace(bare, words))
        })
        .collect();
    // Only the first line: the parser quotes the rest of the text in some messages.
    let first = message.lines().next().unwrap_or("the text cannot be read").trim();
    let mut characters = first.chars();
    let lower: String = characters.next().into_iter().flat_map(char::to_lowercase).collect();
    format!("{lower}{}", characters.as_str()).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_but_not_those_in_strings_and_comments() {
        let deep = "[".repeat(MAX_NESTING + 1);
        assert_eq!(too_deep(&deep), Some(MAX_NESTING));
        assert_eq!(too_deep(&format!("\"{deep}\" #{deep}\n \"\"\"{deep}\"{deep}\"\"\"")), None);
        assert_eq!(too_deep(&format!("\"\\\"{deep}\"")), None);
        assert_eq!(too_deep(&"[]".repeat(1000)), None);
        assert_eq!(too_deep("\"\\"), None);
    }
}
