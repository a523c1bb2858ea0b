//! A message as JSON, by the mapping that protobuf itself has (ProtoJSON). In: a message. Out: its JSON: fields
//! in the order of their numbers' descriptors, maps in the order of their keys, so that equal messages have equal
//! texts.
//!
//! | protobuf | JSON |
//! | --- | --- |
//! | `int64` and all whole numbers of 64 bits | a text |
//! | an enum | the name of its value, the first of several; of a value without a name its number |
//! | `bytes` | base64 |
//! | `NaN` and infinite numbers | the texts that name them |
//! | `Timestamp`, `Duration`, `FieldMask` | a text |
//! | a wrapper | its value |
//! | `Struct`, `Value`, `ListValue` | what they hold |
//! | `Any` | what it holds, with its type as `@type` |
//! | a map | an object |
//! | a field that may be absent, and is | nothing |
//!
//! One value that has no JSON (a time beyond the year 9999, an `Any` of an unknown type, or one within too many
//! others) is null, and the rest of the answer is there all the same.

use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};

/// Messages in one another. Decoding has the same limit, but an `Any` is decoded afresh.
const MOST_LEVELS: usize = 100;

/// Writes a message.
///
/// # Errors
/// When `out` does not take it.
pub(super) fn write(message: &DynamicMessage, out: &mut impl Write) -> io::Result<()> {
    Mapping { out }.message(message, 0)
}

struct Mapping<'o, W> {
    out: &'o mut W,
}

impl<W: Write> Mapping<'_, W> {
    fn message(&mut self, message: &DynamicMessage, level: usize) -> io::Result<()> {
        if level > MOST_LEVELS {
            return self.null();
        }
        let descriptor = message.descriptor();
        match descriptor.full_name().strip_prefix("google.protobuf.") {
            Some("Any") => self.any(message, level),
            Some("Timestamp" | "Duration" | "FieldMask") => self.text_of(message),
            Some("Struct" | "ListValue") => self.sole(message, level),
            Some("Value") => match message.fields().next() {
                Some((field, value)) => self.value(&field.kind(), value, level),
                None => self.null(),
            },
            Some(name) if name.ends_with("Value") && is_wrapper(&descriptor) => {
                self.sole(message, level)
            }
            _ => {
                self.out.write_all(b"{")?;
                self.fields(message, level, true)?;
                self.out.write_all(b"}")
            }
        }
    }

    fn fields(
        &mut self,
        message: &DynamicMessage,
        level: usize,
        mut is_first: bool,
    ) -> io::Result<()> {
        for field in message.descriptor().fields() {
            if field.supports_presence() && !message.has_field(&field) {
                continue;
            }
            self.comma(&mut is_first)?;
            self.string(field.json_name())?;
            self.out.write_all(b":")?;
            self.field(&field, &message.get_field(&field), level)?;
        }
        Ok(())
    }

    /// The value of the one field that a message of protobuf's own has.
    fn sole(&mut self, message: &DynamicMessage, level: usize) -> io::Result<()> {
        match message.descriptor().fields().next() {
            Some(field) => self.field(&field, &message.get_field(&field), level),
            None => self.null(),
        }
    }

    fn field(&mut self, field: &FieldDescriptor, value: &Value, level: usize) -> io::Result<()> {
        match value {
            Value::List(items) => {
                self.out.write_all(b"[")?;
                let mut is_first = true;
                for item in items {
                    self.comma(&mut is_first)?;
                    self.value(&field.kind(), item, level)?;
                }
                self.out.write_all(b"]")
            }
            Value::Map(members) => {
                let kind = match field.kind() {
                    Kind::Message(entry) => entry.map_entry_value_field().kind(),
                    other => other,
                };
                let mut members: Vec<(&MapKey, &Value)> = members.iter().collect();
                members.sort_by_key(|(key, _)| *key);
                self.out.write_all(b"{")?;
                let mut is_first = true;
                for (key, value) in members {
                    self.comma(&mut is_first)?;
                    self.key(key)?;
                    self.out.write_all(b":")?;
                    self.value(&kind, value, level)?;
                }
                self.out.write_all(b"}")
            }
            one => self.value(&field.kind(), one, level),
        }
    }

    fn value(&mut self, kind: &Kind, value: &Value, level: usize) -> io::Result<()> {
        match (value, kind) {
            (Value::Bool(yes), _) => write!(self.out, "{yes}"),
            (Value::I32(number), _) => write!(self.out, "{number}"),
            (Value::U32(number), _) => write!(self.out, "{number}"),
            (Value::I64(number), _) => write!(self.out, "\"{number}\""),
            (Value::U64(number), _) => write!(self.out, "\"{number}\""),
            (Value::F32(number), _) if number.is_finite() => self.json(number),
            (Value::F32(number), _) => self.odd(f64::from(*number)),
            (Value::F64(number), _) if number.is_finite() => self.json(number),
            (Value::F64(number), _) => self.odd(*number),
            (Value::String(text), _) => self.string(text),
            (Value::Bytes(bytes), _) => self.string(&BASE64_STANDARD.encode(bytes)),
            (Value::EnumNumber(number), Kind::Enum(of)) => self.enumerated(of, *number),
            (Value::EnumNumber(number), _) => write!(self.out, "{number}"),
            (Value::Message(message), _) => self.message(message, level + 1),
            // Lists and maps are values of fields, and never of one another.
            (Value::List(_) | Value::Map(_), _) => self.null(),
        }
    }

    fn enumerated(&mut self, of: &EnumDescriptor, number: i32) -> io::Result<()> {
        if of.full_name() == "google.protobuf.NullValue" {
            return self.null();
        }
        // In the order in which they are declared, which no other list of them has.
        let mut declared = of.enum_descriptor_proto().value.iter();
        match declared.find(|value| value.number() == number) {
            Some(value) => self.string(value.name()),
            None => write!(self.out, "{number}"),
        }
    }

    /// What an `Any` holds: decoded here, so that its levels count.
    fn any(&mut self, message: &DynamicMessage, level: usize) -> io::Result<()> {
        let url = message.get_field_by_name("type_url");
        let url = url.as_deref().and_then(Value::as_str).unwrap_or_default();
        let name = url.rsplit_once('/').map_or("", |(_, name)| name);
        let held = message.descriptor().parent_pool().get_message_by_name(name);
        let bytes = message.get_field_by_name("value");
        let bytes = bytes.as_deref().and_then(Value::as_bytes).cloned().unwrap_or_default();
        let Some(Ok(held)) = held.map(|of| DynamicMessage::decode(of, bytes)) else {
            return self.null();
        };
        if level >= MOST_LEVELS {
            return self.null();
        }
        self.out.write_all(b"{\"@type\":")?;
        self.string(url)?;
        match is_mapped(&held.descriptor()) {
            true => {
                self.out.write_all(b",\"value\":")?;
                self.message(&held, level + 1)?;
            }
            false => self.fields(&held, level + 1, false)?,
        }
        self.out.write_all(b"}")
    }

    /// A message that is a text; null where it is beyond what the text can say.
    fn text_of(&mut self, message: &DynamicMessage) -> io::Result<()> {
        match serde_json::to_vec(message) {
            Ok(text) => self.out.write_all(&text),
            Err(_) => self.null(),
        }
    }

    fn key(&mut self, key: &MapKey) -> io::Result<()> {
        match key {
            MapKey::Bool(yes) => write!(self.out, "\"{yes}\""),
            MapKey::I32(number) => write!(self.out, "\"{number}\""),
            MapKey::I64(number) => write!(self.out, "\"{number}\""),
            MapKey::U32(number) => write!(self.out, "\"{number}\""),
            MapKey::U64(number) => write!(self.out, "\"{number}\""),
            MapKey::String(text) => self.string(text),
        }
    }

    /// A number that JSON has no spelling for.
    fn odd(&mut self, number: f64) -> io::Result<()> {
        self.out.write_all(match number {
            number if number.is_nan() => b"\"NaN\"".as_slice(),
            number if number > 0.0 => b"\"Infinity\"",
            _ => b"\"-Infinity\"",
        })
    }

    fn string(&mut self, text: &str) -> io::Result<()> {
        self.json(text)
    }

    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, value).map_err(io::Error::from)
    }

    fn comma(&mut self, is_first: &mut bool) -> io::Result<()> {
        match std::mem::take(is_first) {
            true => Ok(()),
            false => self.out.write_all(b","),
        }
    }

    fn null(&mut self) -> io::Result<()> {
        self.out.write_all(b"null")
    }
}

/// Whether a message of protobuf's own holds one scalar.
fn is_wrapper(descriptor: &MessageDescriptor) -> bool {
    let mut fields = descriptor.fields();
    let (first, second) = (fields.next(), fields.next());
    second.is_none() && first.is_some_and(|field| field.name() == "value")
}

/// Whether a message is not an object of its fields.
fn is_mapped(descriptor: &MessageDescriptor) -> bool {
    let own = descriptor.full_name().strip_prefix("google.protobuf.");
    own.is_some_and(|name| {
        matches!(name, "Any" | "Timestamp" | "Duration" | "FieldMask" | "Struct" | "Empty")
            || name.ends_with("Value")
    })
}
