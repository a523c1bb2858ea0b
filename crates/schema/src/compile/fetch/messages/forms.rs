//! Which types of the schema hold which values of protobuf, by its mapping to JSON: in come a type and a
//! field of a message, out comes nothing, or what is wrong.

use apollo_compiler::Name;
use apollo_compiler::ast::Type as GraphqlType;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::own_message;
use crate::compile::fetch::types::Types;

/// A place in a message.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    kind: Kind,
    pub(super) is_list: bool,
    pub(super) is_map: bool,
    /// What errors call it.
    pub(super) told: String,
}

/// What a value is in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// A number of at most 32 bits.
    Int,
    /// A whole number of 64 bits, as a text.
    Long,
    Float,
    Boolean,
    Text,
    Enum(EnumDescriptor),
    Message(MessageDescriptor),
    /// Any value.
    Any,
}

impl Slot {
    pub(super) fn message(message: &MessageDescriptor, is_list: bool) -> Slot {
        let told = format!("`{}`", message.full_name());
        Slot { kind: Kind::Message(message.clone()), is_list, is_map: false, told }
    }

    pub(super) fn field(field: &FieldDescriptor) -> Slot {
        let told = format!("`{}.{}`", field.parent_message().full_name(), field.json_name());
        Slot { kind: field.kind(), is_list: field.is_list(), is_map: field.is_map(), told }
    }

    /// An item of a list, or a value of a map.
    pub(super) fn item(&self) -> Slot {
        let of_map = self.kind.as_message().filter(|_| self.is_map);
        let value = of_map.map(|entry| entry.map_entry_value_field());
        let kind = value.as_ref().map_or_else(|| self.kind.clone(), FieldDescriptor::kind);
        let told = format!("an item of {}", self.told);
        Slot { kind, is_list: false, is_map: false, told }
    }

    /// The message that it is, if it is one.
    pub(super) fn as_message(&self) -> Option<MessageDescriptor> {
        own_message(&self.kind).filter(|_| !self.is_list && !self.is_map)
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        let message = self.kind.as_message().filter(|_| !self.is_list && !self.is_map);
        message.is_some_and(|message| {
            message.full_name() == "google.protobuf.Empty"
                || (own_message(&self.kind).is_some() && message.fields().len() == 0)
        })
    }

    /// What a single value of it is.
    pub(super) fn form(&self) -> Form {
        match &self.kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => Form::Int,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
                Form::Long
            }
            Kind::Float | Kind::Double => Form::Float,
            Kind::Bool => Form::Boolean,
            Kind::String | Kind::Bytes => Form::Text,
            Kind::Enum(of) if of.full_name() == "google.protobuf.NullValue" => Form::Any,
            Kind::Enum(of) => Form::Enum(of.clone()),
            Kind::Message(message) => match message.full_name().strip_prefix("google.protobuf.") {
                Some("Timestamp" | "Duration" | "FieldMask" | "StringValue" | "BytesValue") => {
                    Form::Text
                }
                Some("Int32Value" | "UInt32Value") => Form::Int,
                Some("Int64Value" | "UInt64Value") => Form::Long,
                Some("FloatValue" | "DoubleValue") => Form::Float,
                Some("BoolValue") => Form::Boolean,
                Some("Struct" | "Value" | "ListValue" | "Any") => Form::Any,
                _ => Form::Message(message.clone()),
            },
        }
    }

    pub(super) fn takes_any(&self) -> bool {
        self.is_map || self.form() == Form::Any
    }

    pub(super) fn takes_text(&self) -> bool {
        let form = self.form();
        !self.is_list && (matches!(form, Form::Text | Form::Enum(_)) || self.takes_any())
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        let one = match self.form() {
            Form::Int => "a number of 32 bits".to_owned(),
            Form::Long => "a number of 64 bits".to_owned(),
            Form::Float => "a floating-point number".to_owned(),
            Form::Boolean => "a boolean".to_owned(),
            Form::Text => match &self.kind {
                Kind::Bytes => "bytes".to_owned(),
                Kind::Message(message) => format!("a `{}`", message.full_name()),
                _ => "a text".to_owned(),
            },
            Form::Enum(of) => format!("the enum `{}`", of.full_name()),
            Form::Message(message) => format!("a `{}`", message.full_name()),
            Form::Any => "any JSON".to_owned(),
        };
        match (self.is_map, self.is_list) {
            (true, _) => "a map".to_owned(),
            (_, true) => format!("a list, of which an item is {one}"),
            _ => one,
        }
    }
}

/// Whether a field of the schema holds what comes.
pub(super) fn taken(types: &Types<'_>, ty: &GraphqlType, slot: &Slot) -> Result<(), String> {
    fits(types, ty, slot, |name, form| match name {
        "Int" => matches!(form, Form::Int),
        "Float" => matches!(form, Form::Float | Form::Int),
        "String" => matches!(form, Form::Text | Form::Enum(_) | Form::Long),
        "ID" => matches!(form, Form::Text | Form::Enum(_) | Form::Int | Form::Long),
        "Boolean" => matches!(form, Form::Boolean),
        "Long" => matches!(form, Form::Int | Form::Long),
        _ => true,
    })
}

/// Whether a field of a request takes a value of the schema.
pub(super) fn given(types: &Types<'_>, ty: &GraphqlType, slot: &Slot) -> Result<(), String> {
    fits(types, ty, slot, |name, form| match name {
        "Int" => matches!(form, Form::Int | Form::Long | Form::Float),
        "Float" => matches!(form, Form::Float),
        "String" => matches!(form, Form::Text | Form::Enum(_)),
        "ID" => matches!(form, Form::Text | Form::Enum(_) | Form::Int | Form::Long),
        "Boolean" => matches!(form, Form::Boolean),
        "Long" => matches!(form, Form::Int | Form::Long | Form::Float),
        _ => true,
    })
}

fn fits(
    types: &Types<'_>,
    ty: &GraphqlType,
    slot: &Slot,
    scalar: fn(&str, &Form) -> bool,
) -> Result<(), String> {
    let named = ty.inner_named_type();
    let misfit = || Err(format!("{} is {}, and no `{ty}`", slot.told, slot.words()));
    let is_of_ours = ["Int", "Float", "String", "ID", "Boolean", "Long"].contains(&named.as_str());
    let is_object = types.get(named).is_some() || types.input(named).is_some();
    let is_other_scalar = !is_of_ours && !is_object && types.values(named).is_none();
    if slot.is_map || slot.form() == Form::Any {
        // A scalar of the service's own holds any JSON, lists too.
        let fine = is_other_scalar && !(slot.is_map && ty.is_list());
        return if fine { Ok(()) } else { misfit() };
    }
    if is_other_scalar && !ty.is_list() && slot.is_list {
        return Ok(());
    }
    if ty.is_list() != slot.is_list {
        return misfit();
    }
    let form = slot.form();
    if let Some(values) = types.values(named) {
        return match form {
            Form::Enum(of) => values.iter().try_for_each(|value| {
                let wire = value.directives.get("wire");
                let wire = wire.and_then(|it| it.specified_argument_by_name("name")?.as_str());
                has_value(&of, named, wire.unwrap_or(&value.value))
            }),
            Form::Text => Ok(()),
            _ => misfit(),
        };
    }
    let fine = match (&form, is_object) {
        (Form::Message(_), true) => true,
        (_, true) => false,
        (Form::Message(_), false) => is_other_scalar,
        (form, false) => scalar(named, form),
    };
    if fine { Ok(()) } else { misfit() }
}

fn has_value(of: &EnumDescriptor, named: &Name, wire: &str) -> Result<(), String> {
    match of.get_value_by_name(wire) {
        Some(_) => Ok(()),
        None => Err(format!("`{named}` has `{wire}`, which the enum `{}` has not", of.full_name())),
    }
}
