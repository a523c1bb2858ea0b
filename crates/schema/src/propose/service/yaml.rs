//! YAML as JSON: in comes a text, out comes the value. Aliases are refused beyond a bound, so that a small
//! text cannot become a large value; keys are texts, as JSON has them.

use base::{Error, Place, Result};
use serde_json::{Map, Value as Json};
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::{Marker, TScalarStyle};

/// Nesting.
const MOST_DEPTH: usize = 100;

/// Values, those of aliases counted each time.
const MOST_VALUES: usize = 1_000_000;

/// The first document of a text. Events are taken one by one: the parser's own reader recurses.
pub(super) fn read(text: &str) -> Result<Json> {
    let mut reader = Reader::default();
    let mut parser = Parser::new_from_str(text);
    while reader.root.is_none() {
        let (event, at) = parser.next_token().map_err(|error| {
            fault(*error.marker(), format!("the document is no YAML: {}", error.info()))
        })?;
        if event == Event::StreamEnd {
            break;
        }
        reader.event(event).map_err(|words| fault(at, words.to_owned()))?;
    }
    Ok(reader.root.unwrap_or(Json::Null))
}

fn fault(at: Marker, words: String) -> Error {
    let place = Place { file: "document".to_owned(), line: at.line(), column: at.col() + 1 };
    Error::invalid(words).at(place)
}

/// What is open.
enum Open {
    List(Vec<Json>),
    Object(Map<String, Json>, Option<String>),
}

#[derive(Default)]
struct Reader {
    open: Vec<(Open, usize)>,
    anchors: Vec<(usize, Json, usize)>,
    root: Option<Json>,
    values: usize,
}

impl Reader {
    fn event(&mut self, event: Event) -> std::result::Result<(), &'static str> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err("the document has too many values");
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text =
                    style != TScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                let value = if is_text { Json::from(text) } else { plain(&text) };
                self.add(value, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.enter(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.enter(Open::Object(Map::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, anchor)) = self.open.pop() else { return Ok(()) };
                let value = match open {
                    Open::List(items) => Json::from(items),
                    Open::Object(members, _) => Json::from(members),
                };
                let size = size(&value);
                self.add(value, anchor, size)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.iter().find(|(known, ..)| *known == anchor).cloned();
                let (_, value, size) = known.ok_or("an alias names what is still open")?;
                self.values = self.values.saturating_add(size);
                if self.values > MOST_VALUES {
                    return Err("the document has too many values");
                }
                self.add(value, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, open: Open, anchor: usize) -> std::result::Result<(), &'static str> {
        if self.open.len() >= MOST_DEPTH {
            return Err("the document nests too deeply");
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn add(
        &mut self,
        value: Json,
        anchor: usize,
        size: usize,
    ) -> std::result::Result<(), &'static str> {
        if anchor > 0 {
            self.anchors.push((anchor, value.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Object(members, key), _)) => match key.take() {
                None => {
                    *key = Some(match value {
                        Json::String(text) => text,
                        Json::Array(_) | Json::Object(_) => return Err("a key is no text"),
                        other => other.to_string(),
                    });
                }
                Some(name) => drop(members.insert(name, value)),
            },
        }
        Ok(())
    }
}

fn size(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Json::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// A plain scalar by the core schema of YAML 1.2.
fn plain(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => match serde_json::from_str(text) {
            Ok(Json::Number(number)) => Json::Number(number),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_reads_as_json() {
        let text = "openapi: 3.0.3\ninfo: {title: 'a: b', version: \"1\"}\n200:\n  - x\n  - 1.5\n  - ~\n  - true\n  - >\n    long\n    text\n";
        let expected = json!({"openapi": "3.0.3", "info": {"title": "a: b", "version": "1"},
                              "200": ["x", 1.5, null, true, "long text\n"]});
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("a: &x [1, 2]\nb: *x\n").unwrap(), json!({"a": [1, 2], "b": [1, 2]}));
        assert_eq!(read("").unwrap(), Json::Null);
    }

    #[test]
    fn what_would_grow_without_end_is_refused() {
        let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(read(&bomb).unwrap_err().to_string().contains("too many values"));
        let deep = "[".repeat(200);
        assert!(read(&deep).is_err());
        let told = read("a: [b\nc: d").unwrap_err();
        assert!(told.place().is_some_and(|place| place.line > 0), "{told}");
    }
}
