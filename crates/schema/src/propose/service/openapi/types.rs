//! Schemas to types: in come schemas as operations use them, out come objects, enums, unions and inputs,
//! each once.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::Document;
use super::names::{self, Names};

/// How deep schemas are looked into that have no name.
const MOST_DEPTH: usize = 24;

/// Whether values come or go: the same schema is an object or an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Out,
    In,
}

/// A type that was made.
#[derive(Debug)]
pub(super) enum Made {
    Object {
        fields: Vec<Member>,
        description: Option<String>,
    },
    Input {
        fields: Vec<Member>,
        description: Option<String>,
    },
    /// Values with their own names.
    Enum {
        values: Vec<(String, String)>,
        description: Option<String>,
    },
    /// The property that names the type, and the members with their words.
    Union {
        property: String,
        members: Vec<(String, String)>,
    },
    Scalar(&'static str),
}

/// A field of an object or an input.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// What the service calls it.
    pub(super) wire: String,
    pub(super) ty: String,
    pub(super) is_required: bool,
    pub(super) description: Option<String>,
}

/// All types.
pub(super) struct Types<'d> {
    document: &'d Document<'d>,
    names: Names,
    /// What components became.
    known: IndexMap<(String, Way), String>,
    pub(super) made: IndexMap<String, Made>,
    /// The word by which a union tells a type.
    pub(super) words: HashMap<String, String>,
    pub(super) notes: Vec<String>,
}

impl<'d> Types<'d> {
    pub(super) fn new(document: &'d Document<'d>) -> Self {
        Types {
            document,
            names: Names::default(),
            known: IndexMap::new(),
            made: IndexMap::new(),
            words: HashMap::new(),
            notes: Vec::new(),
        }
    }

    /// The type of a schema without `!`; `hint` names what has no name of its own.
    pub(super) fn of(&mut self, schema: &'d Json, hint: &str, way: Way, depth: usize) -> String {
        if depth > MOST_DEPTH {
            return self.any(hint, "nests too deeply");
        }
        if let Some((name, component)) = self.document.component(schema) {
            let key = (name.to_owned(), way);
            if let Some(known) = self.known.get(&key) {
                return known.clone();
            }
            return self.named(component, name, way, Some(key), depth);
        }
        match self.document.resolve(schema) {
            Some(schema) => self.named(schema, hint, way, None, depth),
            None => self.any(hint, "refers to what is not in the document"),
        }
    }

    fn named(
        &mut self,
        schema: &'d Json,
        hint: &str,
        way: Way,
        key: Option<(String, Way)>,
        depth: usize,
    ) -> String {
        // A reference to a list or a scalar is that, whatever it is called.
        if let Some(only) = only_choice(schema) {
            return self.of(only, hint, way, depth + 1);
        }
        let kind = kind(schema);
        match kind.as_deref() {
            _ if schema["enum"].is_array()
                && !matches!(kind.as_deref(), Some("integer" | "number" | "boolean")) =>
            {
                self.enumeration(schema, hint, key)
            }
            Some("string") => "String".to_owned(),
            Some("boolean") => "Boolean".to_owned(),
            Some("integer") => self.integer(schema),
            Some("number") => "Float".to_owned(),
            Some("array") => {
                let one = crate::propose::name::singular(&crate::propose::name::words(hint));
                let item =
                    self.of(&schema["items"], &crate::propose::name::pascal(&one), way, depth + 1);
                let bang = if is_nullable(self.document, &schema["items"]) { "" } else { "!" };
                format!("[{item}{bang}]")
            }
            _ if schema["oneOf"].is_array() || schema["anyOf"].is_array() => {
                self.choice(schema, hint, way, key, depth)
            }
            _ => self.object(schema, hint, way, key, depth),
        }
    }

    fn integer(&mut self, schema: &Json) -> String {
        let beyond = |name: &str| {
            schema[name].as_f64().is_some_and(|bound| bound.abs() > f64::from(i32::MAX))
        };
        if schema["format"] == "int64" || beyond("maximum") || beyond("minimum") {
            return self
                .scalar("Long", "`Long` is a whole number of 64 bits, as the service writes it.");
        }
        "Int".to_owned()
    }

    fn scalar(&mut self, name: &'static str, note: &str) -> String {
        if !self.made.contains_key(name) {
            self.names.free(name);
            self.made.insert(name.to_owned(), Made::Scalar(name));
            self.notes.push(note.to_owned());
        }
        name.to_owned()
    }

    /// Says something once.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn any(&mut self, hint: &str, why: &str) -> String {
        self.note(format!("`{hint}` {why}: it is `JSON`."));
        self.scalar("JSON", "`JSON` is any value, as the service writes it.")
    }

    /// A type that came to nothing, also for those who have its name already.
    fn gone(&mut self, name: &str, hint: &str, why: &str) -> String {
        let any = self.any(hint, why);
        self.made.shift_remove(name);
        self.known
            .values_mut()
            .filter(|known| *known == name)
            .for_each(|known| known.clone_from(&any));
        any
    }

    fn enumeration(&mut self, schema: &Json, hint: &str, key: Option<(String, Way)>) -> String {
        let mut values: Vec<(String, String)> = Vec::new();
        for value in schema["enum"].as_array().into_iter().flatten().filter(|it| !it.is_null()) {
            let made = value.as_str().and_then(|text| Some((names::value(text)?, text.to_owned())));
            match made {
                Some((name, _)) if values.iter().any(|(known, _)| *known == name) => {}
                Some(pair) => values.push(pair),
                None => return "String".to_owned(),
            }
        }
        if values.is_empty() {
            return "String".to_owned();
        }
        // The same values under one hint are one enum, whether they come or go.
        let same = self.made.iter().find(|(name, made)| {
            matches!(made, Made::Enum { values: known, .. } if *known == values)
                && name.starts_with(hint)
        });
        if let Some((name, _)) = same {
            return name.clone();
        }
        let name = self.names.named(hint);
        for way in key.iter().flat_map(|_| [Way::Out, Way::In]) {
            let component = key.as_ref().map_or("", |(component, _)| component);
            self.known.insert((component.to_owned(), way), name.clone());
        }
        self.made.insert(name.clone(), Made::Enum { values, description: description(schema) });
        name
    }

    /// One of several objects, where a property says which.
    fn choice(
        &mut self,
        schema: &'d Json,
        hint: &str,
        way: Way,
        key: Option<(String, Way)>,
        depth: usize,
    ) -> String {
        let choices = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
        let choices: Vec<&'d Json> = choices.into_iter().flatten().collect();
        let property = schema.pointer("/discriminator/propertyName").and_then(Json::as_str);
        let all_named = choices.iter().all(|it| self.document.component(it).is_some());
        let (Some(property), true, Way::Out) = (property, all_named, way) else {
            return self.any(hint, "is one of several types, and nothing says which");
        };
        let name = self.names.named(hint);
        if let Some(key) = key {
            self.known.insert(key, name.clone());
        }
        self.made.insert(name.clone(), Made::Scalar("JSON"));
        let mapping = schema.pointer("/discriminator/mapping").and_then(Json::as_object);
        let mut members: Vec<(String, String)> = Vec::new();
        for choice in choices {
            let Some((component, _)) = self.document.component(choice) else { continue };
            let reference = format!("#/components/schemas/{component}");
            let word = mapping.and_then(|mapping| {
                let is_it = |to: &Json| *to == *reference || *to == *component;
                mapping.iter().find(|(_, to)| is_it(to)).map(|(word, _)| word.clone())
            });
            let member = self.of(choice, component, way, depth + 1);
            if matches!(self.made.get(&member), Some(Made::Object { .. })) {
                let word = word.unwrap_or_else(|| component.to_owned());
                self.words.insert(member.clone(), word.clone());
                members.push((member, word));
            }
        }
        if members.is_empty() {
            return self.gone(&name, hint, "is one of several values that are no objects");
        }
        self.made.insert(name.clone(), Made::Union { property: property.to_owned(), members });
        name
    }

    fn object(
        &mut self,
        schema: &'d Json,
        hint: &str,
        way: Way,
        key: Option<(String, Way)>,
        depth: usize,
    ) -> String {
        let mut parts = Parts::default();
        parts.add(self.document, schema, 0);
        if parts.properties.is_empty() {
            return self.any(hint, "has no properties that are known");
        }
        let wanted = match way {
            Way::Out => hint.to_owned(),
            Way::In if hint.ends_with("Input") => hint.to_owned(),
            Way::In => format!("{hint}Input"),
        };
        let name = self.names.named(&wanted);
        if let Some(key) = key {
            self.known.insert(key, name.clone());
        }
        // Its place is kept, so that types come in the order in which they are met.
        self.made.insert(name.clone(), Made::Scalar("JSON"));
        let mut fields: Vec<Member> = Vec::new();
        for (wire, schema) in &parts.properties {
            let hidden = if way == Way::Out { "writeOnly" } else { "readOnly" };
            if self.document.resolve(schema).is_some_and(|schema| schema[hidden] == true) {
                continue;
            }
            let mut own = names::field(wire);
            while fields.iter().any(|known| known.name == own) {
                own.push('_');
            }
            let inner = format!("{}{}", hint.trim_end_matches("Input"), names::type_of(wire));
            let ty = self.of(schema, &inner, way, depth + 1);
            fields.push(Member {
                name: own,
                wire: (*wire).to_owned(),
                is_required: parts.required.contains(wire) && !is_nullable(self.document, schema),
                description: self.document.resolve(schema).and_then(description),
                ty,
            });
        }
        if fields.is_empty() {
            return self.gone(&name, hint, "has no properties that are known");
        }
        let description = description(schema);
        let made = match way {
            Way::Out => Made::Object { fields, description },
            Way::In => Made::Input { fields, description },
        };
        self.made.insert(name.clone(), made);
        name
    }
}

/// The properties of an object with those of all its parts.
#[derive(Default)]
struct Parts<'d> {
    properties: IndexMap<&'d str, &'d Json>,
    required: Vec<&'d str>,
}

impl<'d> Parts<'d> {
    fn add(&mut self, document: &Document<'d>, schema: &'d Json, depth: usize) {
        let Some(schema) = document.resolve(schema).filter(|_| depth < MOST_DEPTH) else { return };
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            self.properties.insert(name, property);
        }
        let required = schema["required"].as_array().into_iter().flatten();
        self.required.extend(required.filter_map(Json::as_str));
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.add(document, part, depth + 1);
        }
    }
}

/// The one thing that a schema says beside null: `anyOf: [X, null]`, `allOf: [X]`.
fn only_choice(schema: &Json) -> Option<&Json> {
    if schema["properties"].is_object() {
        return None;
    }
    let list = ["oneOf", "anyOf", "allOf"].iter().find_map(|name| schema[*name].as_array())?;
    let mut choices = list.iter().filter(|choice| choice["type"] != "null");
    let first = choices.next()?;
    choices.next().is_none().then_some(first)
}

/// The type of a schema, with or without saying so.
fn kind(schema: &Json) -> Option<String> {
    match &schema["type"] {
        Json::String(kind) => Some(kind.clone()),
        Json::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Json::as_str).filter(|kind| *kind != "null");
            let first = kinds.next()?;
            kinds.next().is_none().then(|| first.to_owned())
        }
        _ if schema["properties"].is_object() || schema["allOf"].is_array() => {
            Some("object".into())
        }
        _ if schema["items"].is_object() => Some("array".into()),
        _ => None,
    }
}

/// Whether null is a value of a schema.
pub(super) fn is_nullable<'d>(document: &Document<'d>, schema: &'d Json) -> bool {
    let Some(schema) = document.resolve(schema) else { return true };
    let has_null = |value: &Json| {
        value
            .as_array()
            .is_some_and(|all| all.iter().any(|it| *it == "null" || it["type"] == "null"))
    };
    schema["nullable"] == true
        || has_null(&schema["type"])
        || has_null(&schema["oneOf"])
        || has_null(&schema["anyOf"])
        || schema["enum"].as_array().is_some_and(|all| all.iter().any(Json::is_null))
}

fn description(value: &Json) -> Option<String> {
    let text = value["description"].as_str().or_else(|| value["title"].as_str())?;
    let text: String = text.trim().chars().take(500).collect();
    (!text.is_empty()).then_some(text)
}
