//! Templates: texts with holes in braces.
//!
//! In: `/films/{id}?lang={lang}`. Out: pieces, or what is wrong and where. `{a.b}` leads into a value;
//! `{a,}` takes many values with commas between them, `{a&}` as a parameter for each; `{{` and `}}`
//! are braces. What a hole may name is not judged here (`compile::fetch`), nor how a value is written
//! into one (`mesh`), which depends on where it stands.

use std::fmt;
use std::sync::Arc;

use frame::Span;

use super::Path;

/// The longest template, in bytes.
const MAX_BYTES: usize = 4096;

/// A text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The pieces, in their order.
    pub pieces: Vec<Piece>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// What is written as it is.
    Text(Arc<str>),
    /// What a value is written into.
    Hole(Hole),
}

/// A hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Whose value.
    pub path: Path,
    /// How many values become text.
    pub spread: Spread,
    /// Where it stands in the template.
    pub span: Span,
}

/// How many values become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// `{id}`.
    One,
    /// `{id,}`: with commas between them.
    Comma,
    /// `{id&}`: a parameter for each.
    Repeat,
}

/// A path and a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// What follows the path of the source's address.
    pub path: Template,
    /// The parameters.
    pub query: Vec<Parameter>,
}

/// A parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, as it is sent.
    pub name: Arc<str>,
    /// Its value.
    pub value: Template,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the text.
    pub span: Span,
    /// What.
    pub words: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl Fault {
    fn new(start: usize, end: usize, words: impl Into<String>, hint: &'static str) -> Fault {
        Fault { span: Span { start, end }, words: words.into(), hint }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Template, Fault> {
        if text.len() > MAX_BYTES {
            let words = format!("a template has at most {MAX_BYTES} bytes");
            return Err(Fault::new(0, text.len(), words, "put long values into arguments"));
        }
        let mut template = Template::default();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let at = text.len() - rest.len();
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.push(c);
                rest = &rest[2..];
            } else if c == '{' {
                if !plain.is_empty() {
                    template.pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                }
                let end = rest.find('}').ok_or_else(|| {
                    Fault::new(
                        at,
                        text.len(),
                        "`{` is not closed",
                        "write `{name}`, or `{{` for a brace",
                    )
                })?;
                let hole = hole(&rest[1..end], at, at + end + 1)?;
                template.pieces.push(Piece::Hole(hole));
                rest = &rest[end + 1..];
            } else if c == '}' {
                return Err(Fault::new(at, at + 1, "`}` closes nothing", "write `}}` for a brace"));
            } else {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if !plain.is_empty() {
            template.pieces.push(Piece::Text(plain.into()));
        }
        Ok(template)
    }

    /// The holes, in their order.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(hole) => Some(hole),
            Piece::Text(_) => None,
        })
    }

    /// The hole that is all of the template.
    pub fn whole(&self) -> Option<&Hole> {
        match self.pieces.as_slice() {
            [Piece::Hole(hole)] => Some(hole),
            _ => None,
        }
    }
}

fn hole(text: &str, start: usize, end: usize) -> Result<Hole, Fault> {
    let (name, spread) = match (text.strip_suffix(','), text.strip_suffix('&')) {
        (Some(name), _) => (name, Spread::Comma),
        (None, Some(name)) => (name, Spread::Repeat),
        (None, None) => (text, Spread::One),
    };
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let path = Path(name.split('.').map(Arc::from).collect());
    if !path.0.iter().all(|part| is_name(part)) {
        return Err(Fault::new(
            start,
            end,
            format!("`{{{text}}}` names no argument and no field"),
            "write `{name}`, `{name.inner}`, or `{name,}` for many values",
        ));
    }
    Ok(Hole { path, spread, span: Span { start, end } })
}

impl Target {
    /// Reads a path with a query.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Target, Fault> {
        if !text.is_empty() && !text.starts_with(['/', '?']) {
            let words = "a path begins with `/`, as it follows the address of the source";
            return Err(Fault::new(0, text.len(), words, "write `/films/{id}`"));
        }
        plain(text)?;
        let (path, query) = match text.find('?') {
            Some(at) => (&text[..at], Some((at + 1, &text[at + 1..]))),
            None => (text, None),
        };
        let path = Template::parse(path)?;
        if let Some(hole) = path.holes().find(|hole| hole.spread == Spread::Repeat) {
            let (start, end) = (hole.span.start, hole.span.end);
            return Err(Fault::new(
                start,
                end,
                "`{…&}` in a path",
                "it is for parameters: `?id={id&}`",
            ));
        }
        let mut target = Target { path, query: Vec::new() };
        let Some((mut at, query)) = query else { return Ok(target) };
        for part in parameters(query) {
            target.query.push(parameter(part, at)?);
            at += part.len() + 1;
        }
        Ok(target)
    }
}

/// The parameters of a query; the `&` of `{id&}` is not between two.
fn parameters(query: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in query.match_indices('&') {
        if !query[at..].starts_with("&}") {
            parts.push(&query[start..at]);
            start = at + 1;
        }
    }
    parts.push(&query[start..]);
    parts
}

fn parameter(part: &str, at: usize) -> Result<Parameter, Fault> {
    let end = at + part.len();
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    if name.is_empty() || name.contains(['{', '}']) {
        let words = format!("`{part}` is no parameter with a name");
        return Err(Fault::new(at, end, words, "write `name={value}`"));
    }
    let start = at + name.len() + 1;
    let mut value = Template::parse(value).map_err(|fault| Fault {
        span: Span { start: fault.span.start + start, end: fault.span.end + start },
        ..fault
    })?;
    for piece in &mut value.pieces {
        if let Piece::Hole(hole) = piece {
            hole.span = Span { start: hole.span.start + start, end: hole.span.end + start };
        }
    }
    Ok(Parameter { name: name.into(), value })
}

/// Refuses characters that no target has outside of holes, and steps up.
fn plain(text: &str) -> Result<(), Fault> {
    let wrong = text.char_indices().find(|(_, c)| {
        !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '|' | '#')
    });
    if let Some((at, c)) = wrong {
        let words = format!("`{}` cannot stand in an address", c.escape_default());
        return Err(Fault::new(at, at + c.len_utf8(), words, "write it as `%20`, by its bytes"));
    }
    let path = text.split('?').next().unwrap_or_default();
    let lower = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    if lower.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Fault::new(0, path.len(), "the path has a step up", "name the path in full"));
    }
    Ok(())
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.spread {
            Spread::One => "",
            Spread::Comma => ",",
            Spread::Repeat => "&",
        };
        write!(f, "{{{}{end}}}", self.path)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Hole(hole) => write!(f, "{hole}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        for (index, parameter) in self.query.iter().enumerate() {
            let sign = if index == 0 { '?' } else { '&' };
            write!(f, "{sign}{}={}", parameter.name, parameter.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_and_print() {
        let texts = [
            "",
            "/",
            "/films/{id}",
            "/a-{x.y}/{z,}.json?lang={lang}&ids={ids,}&all=true",
            "?id={id&}",
            "/films?id={id&}&lang={lang}",
            "/films?a={a&}&b={b&}",
            "/x?t={{a}}{b}",
        ];
        for text in texts {
            assert_eq!(Target::parse(text).unwrap().to_string(), text);
        }
        let target = Target::parse("/films?id={id&}&l={lang}").unwrap();
        let holes: Vec<_> = target.query.iter().flat_map(|it| it.value.holes()).collect();
        assert_eq!((holes[0].spread, holes[0].span.start), (Spread::Repeat, 10));
        assert_eq!((holes[1].path.to_string().as_str(), holes[1].span.start), ("lang", 18));
    }

    #[test]
    fn faults_say_where() {
        let cases = [
            ("films", "begins with `/`", 0),
            ("//ok/{id", "is not closed", 5),
            ("/a}", "closes nothing", 2),
            ("/{}", "names no argument", 1),
            ("/{a b}", "cannot stand", 3),
            ("/{1a}", "names no argument", 1),
            ("/{a..b}", "names no argument", 1),
            ("/{a&}", "in a path", 1),
            ("/a?{b}=1", "no parameter with a name", 3),
            ("/a?b=1&=2", "no parameter with a name", 7),
            ("/a?b={c", "is not closed", 5),
            ("/a?b=x{c", "is not closed", 6),
            ("/a#b", "cannot stand", 2),
            ("/a\\b", "cannot stand", 2),
            ("/a/../b", "step up", 0),
            ("/a/%2E%2e/b", "step up", 0),
        ];
        for (text, words, at) in cases {
            let fault = Target::parse(text).expect_err(text);
            assert!(fault.words.contains(words), "{text}: {fault:?}");
            assert_eq!(fault.span.start, at, "{text}: {fault:?}");
        }
    }

    #[test]
    fn texts_keep_their_braces() {
        let template = Template::parse("{{{a}}}").unwrap();
        assert_eq!(template.to_string(), "{{{a}}}");
        assert_eq!(template.pieces.len(), 3);
        assert!(Template::parse("{a}").unwrap().whole().is_some());
    }
}
