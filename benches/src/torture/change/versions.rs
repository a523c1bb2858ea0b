//! The schema that the suite begins with and the ten that follow it, each with what a row is by it.
//!
//! In: whether there are pictures. Out: versions: their text, and for each type its key and its fields,
//! with what each holds of a row. A change is made to every type that it can be made to. Not here: who
//! asks (`load`), which rows there are.

use serde_json::{Value, json};

use super::picture;

/// One version of the schema, as its clients know it.
pub(super) struct Version {
    pub(super) what: &'static str,
    pub(super) sdl: String,
    /// The types, in the order of [`KINDS`].
    pub(super) types: Vec<Known>,
    /// Whether writes of the version before may be refused once this one is deployed.
    pub(super) refuses: bool,
    /// Whether clients of the version before are refused once that one is not served any more.
    pub(super) breaks: bool,
    /// Whether the rows are elsewhere after it, so that earlier states cannot be read any more.
    pub(super) moves: bool,
    /// What the change destroys.
    pub(super) loses: Vec<&'static str>,
}

/// A type of which there are rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Item,
    Photo,
}

/// All of them.
pub(super) const KINDS: [Kind; 2] = [Kind::Item, Kind::Photo];

/// A type as one version knows it.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) kind: Kind,
    pub(super) key: &'static str,
    pub(super) fields: Vec<Field>,
}

/// A field as one version knows it.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// What is asked of it, when it has fields itself.
    pub(super) below: &'static str,
    /// What it holds of a row.
    pub(super) holds: fn(&Row) -> Value,
    /// How it is written; nothing when it is left to its default.
    pub(super) given: Option<fn(&Row) -> Value>,
}

/// A row, whatever its type.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: String,
    name: String,
    pub(super) size: i64,
    note: String,
}

impl Row {
    pub(super) fn new(id: String, size: i64) -> Row {
        Row { name: format!("name {size}"), note: format!("note {size}"), id, size }
    }

    pub(super) fn code(&self) -> String {
        format!("code-{}", self.id)
    }

    /// A line of a file to import.
    pub(super) fn line(&self, kind: Kind) -> String {
        let Row { id, name, size, note } = self;
        let line = format!("{id},{name},{size},{note},{}", self.code());
        match kind {
            Kind::Item => line,
            Kind::Photo => format!("{line},{}", picture::file_name(*size)),
        }
    }
}

impl Kind {
    /// The name of the type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Item => "Item",
            Kind::Photo => "Photo",
        }
    }

    /// The field that gives one row.
    pub(super) fn one(self) -> &'static str {
        match self {
            Kind::Item => "item",
            Kind::Photo => "photo",
        }
    }

    /// The columns of a file to import.
    pub(super) fn columns(self) -> &'static str {
        match self {
            Kind::Item => "id,name,size,note,code",
            Kind::Photo => "id,name,size,note,code,image",
        }
    }
}

impl Known {
    /// The value of the key.
    pub(super) fn key_of(&self, row: &Row) -> String {
        if self.key == "id" { row.id.clone() } else { row.code() }
    }

    /// What is asked of a row.
    pub(super) fn selection(&self) -> String {
        let asked: Vec<String> =
            self.fields.iter().map(|field| format!("{}{}", field.name, field.below)).collect();
        asked.join(" ")
    }

    /// What the answer must be.
    pub(super) fn answer(&self, row: &Row) -> Value {
        let fields = self.fields.iter().map(|field| (field.name.to_owned(), (field.holds)(row)));
        Value::Object(fields.collect())
    }

    /// What is written.
    pub(super) fn input(&self, row: &Row) -> Value {
        let given = self.fields.iter().filter_map(|field| Some((field.name, field.given?)));
        Value::Object(given.map(|(name, given)| (name.to_owned(), given(row))).collect())
    }
}

/// A field that is written as it is read.
fn plain(name: &'static str, holds: fn(&Row) -> Value) -> Field {
    Field { name, below: "", holds, given: Some(holds) }
}

fn first(kind: Kind) -> Known {
    let mut fields = vec![
        plain("id", |row| json!(row.id)),
        plain("name", |row| json!(row.name)),
        plain("size", |row| json!(row.size)),
        plain("note", |row| json!(row.note)),
        plain("code", |row| json!(row.code())),
    ];
    if kind == Kind::Photo {
        fields.push(Field {
            name: "image",
            below: " { format width height bytes url }",
            holds: |row| picture::described(row.size),
            given: Some(|row| picture::given(row.size)),
        });
    }
    Known { kind, key: "id", fields }
}

/// The text of a schema, and how it changes.
struct Text {
    types: Vec<(Known, Lines)>,
}

/// What stands in the text of a type.
struct Lines {
    table: &'static str,
    fields: Vec<&'static str>,
}

impl Text {
    fn first(pictures: bool) -> Text {
        let kinds = KINDS.into_iter().filter(|kind| pictures || *kind == Kind::Item);
        let types = kinds.map(|kind| {
            let mut fields =
                vec!["id: ID!", "name: String!", "size: Int!", "note: String", "code: String!"];
            if kind == Kind::Photo {
                fields.push("image: Media! @media");
            }
            (first(kind), Lines { table: "", fields })
        });
        Text { types: types.collect() }
    }

    /// Changes the line of a field.
    fn line(&mut self, field: &str, line: &'static str) {
        let begins = format!("{field}:");
        for (_, lines) in &mut self.types {
            let fields = lines.fields.iter_mut();
            fields.filter(|known| known.starts_with(&begins)).for_each(|known| *known = line);
        }
    }

    /// Changes what clients know of a field.
    fn field(&mut self, name: &str, now: Field) {
        for (known, _) in &mut self.types {
            let fields = known.fields.iter_mut();
            fields.filter(|field| field.name == name).for_each(|field| *field = now);
        }
    }

    fn version(&self, what: &'static str) -> Version {
        let mut sdl = String::from("extend schema @module(name: \"main\", owner: \"core\")\n");
        for (known, lines) in &self.types {
            let (name, one) = (known.kind.name(), known.kind.one());
            sdl.push_str(&format!(
                "type {name} @key(fields: \"{}\") @table(plural: \"{one}s\"{}) {{\n  {}\n}}\n",
                known.key,
                lines.table,
                lines.fields.join("\n  ")
            ));
        }
        let types = self.types.iter().map(|(known, _)| known.clone()).collect();
        Version { what, sdl, types, refuses: false, breaks: false, moves: false, loses: Vec::new() }
    }
}

/// The schema that everything begins with, and the ten that follow it.
pub(super) fn all(pictures: bool) -> Vec<Version> {
    let mut text = Text::first(pictures);
    let mut all = vec![text.version("the first schema")];
    for (known, lines) in &mut text.types {
        lines.fields.push("color: String! @column(default: \"'red'\")");
        known.fields.push(Field { name: "color", below: "", holds: |_| json!("red"), given: None });
    }
    all.push(text.version("a column with a default"));
    text.line("name", "name: String! @search");
    text.line("image", "image: Media! @media @vector(model: \"image-small\")");
    all.push(text.version("text search and vectors"));
    text.line("name", "title: String! @search @was(name: \"name\")");
    text.field("name", plain("title", |row| json!(row.name)));
    all.push(Version { breaks: true, ..text.version("another name") });
    text.line("size", "size: Long!");
    text.field("size", plain("size", |row| json!(row.size.to_string())));
    all.push(Version { breaks: true, ..text.version("a wider number") });
    text.line("note", "note: String!");
    all.push(Version { refuses: true, breaks: true, ..text.version("a required field") });
    let mut loses = Vec::new();
    for (known, lines) in &mut text.types {
        known.fields.retain(|field| field.name != "color");
        lines.fields.retain(|line| !line.starts_with("color:"));
        loses.push(if known.kind == Kind::Item { "Item.color" } else { "Photo.color" });
    }
    all.push(Version { loses, breaks: true, ..text.version("a dropped column") });
    text.types.iter_mut().for_each(|(_, lines)| lines.table = BUCKETS);
    all.push(text.version("buckets"));
    text.types.iter_mut().for_each(|(_, lines)| lines.table = SORTED);
    all.push(text.version("another order"));
    text.types.iter_mut().for_each(|(known, _)| known.key = "code");
    all.push(Version { refuses: true, breaks: true, ..text.version("another key") });
    // The other format has no text search.
    text.line("title", "title: String! @was(name: \"name\")");
    text.types.iter_mut().for_each(|(_, lines)| lines.table = ", format: LANCE");
    all.push(Version { moves: true, ..text.version("another format") });
    all
}

const BUCKETS: &str = ", bucket: {by: \"id\", count: 4}";
const SORTED: &str = ", bucket: {by: \"id\", count: 4}, sort: \"size desc\"";
