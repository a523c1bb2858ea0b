//! Diagnostics as a terminal shows them: in come findings and the texts they speak of, out comes
//! text with an excerpt, a caret and a hint for each.

use base::Place;

use crate::load::Sources;

use super::{Diagnostic, Diagnostics, Severity};

/// The longest excerpt of a line, in characters; longer lines are cut around the fault.
const MAX_EXCERPT: usize = 140;

/// ANSI codes, or nothing.
struct Paint {
    color: bool,
}

impl Paint {
    fn wrap(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn severity(&self, severity: Severity, text: &str) -> String {
        let code = if severity == Severity::Error { "1;31" } else { "1;33" };
        self.wrap(code, text)
    }

    fn bold(&self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn frame(&self, text: &str) -> String {
        self.wrap("1;34", text)
    }

    fn hint(&self, text: &str) -> String {
        self.wrap("1;36", text)
    }
}

pub(super) fn render(diagnostics: &Diagnostics, sources: &Sources, color: bool) -> String {
    let paint = Paint { color };
    let mut text = String::new();
    for item in &diagnostics.items {
        one(item, sources, &paint, &mut text);
        text.push('\n');
    }
    text.push_str(&summary(diagnostics, &paint));
    text
}

fn summary(diagnostics: &Diagnostics, paint: &Paint) -> String {
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let (errors, warnings) = (diagnostics.errors(), diagnostics.warnings());
    match (errors, warnings) {
        (0, 0) => String::new(),
        (0, _) => paint.severity(Severity::Warning, &count(warnings, "warning")) + "\n",
        (_, 0) => paint.severity(Severity::Error, &count(errors, "error")) + "\n",
        _ => {
            let both = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
            paint.severity(Severity::Error, &both) + "\n"
        }
    }
}

fn one(item: &Diagnostic, sources: &Sources, paint: &Paint, text: &mut String) {
    let title = format!("{}[{}]", item.severity().as_str(), item.code.as_str());
    text.push_str(&paint.severity(item.severity(), &title));
    text.push_str(&paint.bold(&format!(": {}", item.message)));
    text.push('\n');
    let lines = item.also.iter().map(|also| also.place.line).chain([item.place.line]);
    let width = lines.max().unwrap_or(0).to_string().len();
    let shown = Shown { severity: item.severity(), width, sources, paint };
    shown.place(&item.place, item.length, None, text);
    for also in &item.also {
        shown.place(&also.place, also.length, Some(&also.message), text);
    }
    if let Some(hint) = &item.hint {
        let gap = " ".repeat(width);
        text.push_str(&format!("{gap} {} {} {hint}\n", paint.frame("="), paint.hint("hint:")));
    }
}

/// How the places of one finding are shown.
struct Shown<'s> {
    severity: Severity,
    width: usize,
    sources: &'s Sources,
    paint: &'s Paint,
}

impl Shown<'_> {
    /// A place with its line, and beside the mark what stands there.
    fn place(&self, place: &Place, length: usize, words: Option<&str>, text: &mut String) {
        let Shown { width, sources, paint, .. } = self;
        let gap = " ".repeat(*width);
        let mut named = place.clone();
        named.file = sources.shown_name(&place.file);
        text.push_str(&format!("{gap}{} {named}\n", paint.frame("-->")));
        let words = words.map_or_else(String::new, |words| format!(" {words}"));
        let Some(excerpt) = Excerpt::of(place, length, sources) else {
            if !words.is_empty() {
                text.push_str(&format!("{gap} {}{words}\n", paint.frame("|")));
            }
            return;
        };
        let bar = paint.frame("|");
        let marker = paint.severity(self.severity, &("^".repeat(excerpt.length) + &words));
        let number = paint.frame(&format!("{:<width$}", place.line));
        text.push_str(&format!("{gap} {bar}\n{number} {bar} {}\n", excerpt.line));
        text.push_str(&format!("{gap} {bar} {}{marker}\n", " ".repeat(excerpt.before)));
    }
}

/// The line of a fault, cut to what a terminal can show.
struct Excerpt {
    line: String,
    before: usize,
    length: usize,
}

impl Excerpt {
    fn of(place: &Place, length: usize, sources: &Sources) -> Option<Self> {
        let line = place.line.checked_sub(1)?;
        let column = place.column.checked_sub(1)?;
        let text = sources.text(&place.file)?.split('\n').nth(line)?;
        // Tabs and control characters become one space each, so that the caret stands where it must.
        let chars: Vec<char> =
            text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let from = if chars.len() > MAX_EXCERPT { column.saturating_sub(40) } else { 0 };
        let to = chars.len().min(from + MAX_EXCERPT);
        let start = if from > 0 { "…" } else { "" };
        let end = if to < chars.len() { "…" } else { "" };
        let shown: String = chars.get(from..to).unwrap_or_default().iter().collect();
        let before = column - from + start.chars().count();
        let room = shown.chars().count().saturating_sub(column - from).max(1);
        Some(Excerpt {
            line: format!("{start}{shown}{end}"),
            before,
            length: length.clamp(1, room),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    fn sample(text: &str, line: usize, column: usize, length: usize) -> (Diagnostics, Sources) {
        let place = Place { file: "catalog.graphql".to_owned(), line, column };
        let mut item =
            Diagnostic::new(Code::UnknownDirective, place, length, "unknown directive `@tabel`");
        item.hint("did you mean `@table`?");
        (Diagnostics { items: vec![item] }, Sources::from_texts([("catalog.graphql", text)]))
    }

    #[test]
    fn an_excerpt_points_at_the_fault_even_behind_tabs_and_wide_letters() {
        let (diagnostics, mut sources) = sample("\n\té @tabel {\n", 2, 4, 6);
        sources.folder = Some("schema".into());
        let expected = "error[HW0201]: unknown directive `@tabel`
 --> schema/catalog.graphql:2:4
  |
2 |  é @tabel {
  |    ^^^^^^
  = hint: did you mean `@table`?

1 error
";
        assert_eq!(diagnostics.render(&sources, false), expected);
    }

    #[test]
    fn color_changes_nothing_but_color() {
        let (diagnostics, sources) = sample("@tabel", 1, 1, 6);
        let colored = diagnostics.render(&sources, true);
        assert!(colored.contains("\u{1b}[1;31merror[HW0201]\u{1b}[0m"), "{colored:?}");
        let mut plain = String::new();
        for (index, piece) in colored.split('\u{1b}').enumerate() {
            let text = if index == 0 { piece } else { piece.split_once('m').unwrap().1 };
            plain.push_str(text);
        }
        assert_eq!(plain, diagnostics.render(&sources, false));
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let text = format!("{}@tabel{}", "x".repeat(500), "y".repeat(500));
        let (diagnostics, sources) = sample(&text, 1, 501, 6);
        let rendered = diagnostics.render(&sources, false);
        let lines: Vec<&str> = rendered.lines().collect();
        let marked: String = lines[3]
            .chars()
            .zip(lines[4].chars())
            .filter(|(_, marker)| *marker == '^')
            .map(|(c, _)| c)
            .collect();
        assert_eq!(marked, "@tabel");
        assert!(lines[3].chars().count() < 160);
    }
}
