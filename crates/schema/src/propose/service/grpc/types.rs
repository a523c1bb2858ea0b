//! Messages and enums as types of the schema: in come messages that methods need, out come names, types of
//! fields, and the text of all types. What has a value of its own in JSON is a scalar.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use indexmap::IndexMap;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::methods::Entity;

/// Names that no message can have.
const TAKEN: [&str; 12] = [
    "Query",
    "Mutation",
    "Subscription",
    "Int",
    "Float",
    "String",
    "Boolean",
    "ID",
    "Long",
    "JSON",
    "DateTime",
    "Bytes",
];

/// What is needed of the messages.
#[derive(Default)]
pub(super) struct Types {
    /// Names by the full names of messages and enums, of inputs with a `+`.
    names: IndexMap<String, String>,
    objects: Vec<MessageDescriptor>,
    inputs: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
    scalars: BTreeSet<&'static str>,
    pub(super) notes: Vec<String>,
}

/// A message of the service's own that says something.
pub(super) fn own(kind: &Kind) -> Option<&MessageDescriptor> {
    kind.as_message().filter(|message| {
        !message.full_name().starts_with("google.protobuf.") && message.fields().len() > 0
    })
}

/// Whether a field holds what objects are known by.
pub(super) fn is_id(field: &FieldDescriptor) -> bool {
    let is_plain = !field.is_map() && own(&field.kind()).is_none();
    let is_word = matches!(
        field.kind(),
        Kind::String | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64
    );
    let name = field.name();
    let is_called =
        ["id", "ids"].contains(&name) || name.ends_with("_id") || name.ends_with("_ids");
    is_plain && is_word && is_called
}

/// The name of a field in the schema, and what has to be said when it has another in JSON.
pub(super) fn named(field: &FieldDescriptor) -> (String, String) {
    let json = field.json_name();
    let is_legal = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && !name.starts_with("__")
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if is_legal(json) {
        return (json.to_owned(), String::new());
    }
    let name = format!("x{}", field.name().trim_start_matches('_'));
    (name, format!(" @wire(name: {})", serde_json::Value::from(json)))
}

impl Types {
    /// The type of a field that is read.
    pub(super) fn taken(&mut self, field: &FieldDescriptor) -> String {
        let named = self.named_type(field, false);
        let is_enum = !field.is_map() && self.is_enum(field);
        match (field.is_list(), is_enum) {
            (true, false) => format!("[{named}!]!"),
            // The value that says that there is none is null.
            (true, true) => format!("[{named}]!"),
            (false, true) => named,
            (false, false) if field.supports_presence() => named,
            (false, false) => format!("{named}!"),
        }
    }

    /// The type of a field that is given.
    pub(super) fn given(&mut self, field: &FieldDescriptor) -> String {
        let named = self.named_type(field, true);
        if field.is_list() { format!("[{named}!]") } else { named }
    }

    fn is_enum(&self, field: &FieldDescriptor) -> bool {
        field.kind().as_enum().is_some_and(|it| it.full_name() != "google.protobuf.NullValue")
    }

    /// What a value of a field is, or an item of it.
    fn named_type(&mut self, field: &FieldDescriptor, is_input: bool) -> String {
        if field.is_map() {
            return self.scalar("JSON");
        }
        if is_id(field) {
            return "ID".to_owned();
        }
        match field.kind() {
            Kind::Bool => "Boolean".to_owned(),
            Kind::String => "String".to_owned(),
            Kind::Float | Kind::Double => "Float".to_owned(),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "Int".to_owned(),
            // Half of the numbers of 32 bits without a sign are beyond `Int`.
            Kind::Uint32 | Kind::Fixed32 => self.scalar("Long"),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
                self.scalar("Long")
            }
            Kind::Bytes => self.scalar("Bytes"),
            Kind::Enum(_) if !self.is_enum(field) => self.scalar("JSON"),
            Kind::Enum(of) => self.enumeration(&of),
            Kind::Message(message) => self.message(&message, is_input),
        }
    }

    /// The name of a message's type.
    pub(super) fn message(&mut self, message: &MessageDescriptor, is_input: bool) -> String {
        match message.full_name().strip_prefix("google.protobuf.") {
            Some("Timestamp") => return self.scalar("DateTime"),
            Some("Duration" | "FieldMask" | "StringValue") => return "String".to_owned(),
            Some("BoolValue") => return "Boolean".to_owned(),
            Some("FloatValue" | "DoubleValue") => return "Float".to_owned(),
            Some("Int32Value") => return "Int".to_owned(),
            Some("UInt32Value" | "Int64Value" | "UInt64Value") => return self.scalar("Long"),
            Some("BytesValue") => return self.scalar("Bytes"),
            Some(_) => return self.scalar("JSON"),
            None if message.fields().len() == 0 => return self.scalar("JSON"),
            None => {}
        }
        let key = if is_input { "+" } else { "" };
        let key = format!("{key}{}", message.full_name());
        if let Some(known) = self.names.get(&key) {
            return known.clone();
        }
        let ending = if is_input { "Input" } else { "" };
        let name = self.new_name(message.full_name(), message.package_name(), ending);
        self.names.insert(key, name.clone());
        let all = if is_input { &mut self.inputs } else { &mut self.objects };
        all.push(message.clone());
        // What it holds is needed, too.
        for field in message.fields() {
            self.named_type(&field, is_input);
        }
        name
    }

    fn enumeration(&mut self, of: &EnumDescriptor) -> String {
        if let Some(known) = self.names.get(of.full_name()) {
            return known.clone();
        }
        let name = self.new_name(of.full_name(), of.package_name(), "");
        self.names.insert(of.full_name().to_owned(), name.clone());
        self.enums.push(of.clone());
        name
    }

    fn scalar(&mut self, name: &'static str) -> String {
        self.scalars.insert(name);
        name.to_owned()
    }

    /// `films.v1.Film.Kind` is `FilmKind`, or something longer if there is one.
    fn new_name(&self, full: &str, package: &str, ending: &str) -> String {
        let own = full.strip_prefix(package).unwrap_or(full).trim_start_matches('.');
        let mut name: String = own.split('.').map(capital).collect();
        if name.starts_with("__") {
            name = format!("X{name}");
        }
        name.push_str(ending);
        let is_free = |name: &String| {
            !TAKEN.contains(&name.as_str()) && !self.names.values().any(|it| it == name)
        };
        if is_free(&name) {
            return name;
        }
        let longer: String = package.split('.').map(capital).collect::<String>() + &name;
        let numbered = (2..).map(|number| format!("{longer}{number}"));
        let mut candidates = std::iter::once(longer.clone()).chain(numbered);
        candidates.find(is_free).unwrap_or(longer)
    }

    /// The text of all types.
    pub(super) fn write(&mut self, entities: &IndexMap<String, Entity>, text: &mut String) {
        for message in self.objects.clone() {
            let full = message.full_name();
            let entity = entities.get(full);
            let found = entity.map(Entity::to_string).unwrap_or_default();
            let _ = writeln!(text, "\ntype {}{found} {{", self.names[full]);
            for field in message.fields() {
                let ((name, wire), ty) = (named(&field), self.taken(&field));
                let ty = entity.map_or(ty.clone(), |entity| entity.of_found(&field, &ty));
                let _ = writeln!(text, "  {name}: {ty}{wire}");
            }
            text.push_str("}\n");
        }
        for message in self.inputs.clone() {
            let _ =
                writeln!(text, "\ninput {} {{", self.names[&format!("+{}", message.full_name())]);
            for field in message.fields() {
                let ((name, wire), ty) = (named(&field), self.given(&field));
                let _ = writeln!(text, "  {name}: {ty}{wire}");
            }
            text.push_str("}\n");
        }
        for of in &self.enums {
            let _ = writeln!(text, "\nenum {} {{", self.names[of.full_name()]);
            let all: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
            let is_said = |name: &&String| all.len() == 1 || !name.ends_with("_UNSPECIFIED");
            for name in all.iter().filter(is_said) {
                let _ = match ["true", "false", "null"].contains(&name.as_str()) {
                    true => writeln!(text, "  x_{name} @wire(name: \"{name}\")"),
                    false => writeln!(text, "  {name}"),
                };
            }
            text.push_str("}\n");
        }
        for scalar in &self.scalars {
            let _ = write!(text, "\nscalar {scalar}\n");
        }
    }
}

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
