//! Which fields of a type are asked for: in come selection sets with the values of variables, out come
//! fields by their keys, those that are skipped left out.

use apollo_compiler::Name;
use apollo_compiler::ast::{Type, Value as AstValue};
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use super::run::Run;
use crate::exact;

/// A field that is asked for, by all the places of the document that ask for it.
pub(super) struct Asked<'d> {
    pub(super) key: &'d Name,
    pub(super) field: &'d Field,
    pub(super) below: Vec<&'d SelectionSet>,
}

impl<'d> Asked<'d> {
    pub(super) fn ty(&self) -> &'d Type {
        self.field.ty()
    }
}

impl<'a> Run<'a> {
    /// The fields of an object type.
    pub(super) fn asked(&self, type_name: &str, sets: &[&'a SelectionSet]) -> Vec<Asked<'a>> {
        let mut found: IndexMap<&'a Name, Asked<'a>> = IndexMap::new();
        for set in sets {
            self.collect(type_name, set, &mut found);
        }
        found.into_values().collect()
    }

    fn collect(
        &self,
        type_name: &str,
        set: &'a SelectionSet,
        found: &mut IndexMap<&'a Name, Asked<'a>>,
    ) {
        for selection in &set.selections {
            if !self.is_included(selection) {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    let key = field.response_key();
                    let asked = found.entry(key).or_insert(Asked { key, field, below: Vec::new() });
                    asked.below.push(&field.selection_set);
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.type_condition.as_ref();
                    if on.is_none_or(|on| self.is_a(type_name, on)) {
                        self.collect(type_name, &inline.selection_set, found);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    let Some(fragment) = fragment else { continue };
                    if self.is_a(type_name, fragment.type_condition()) {
                        self.collect(type_name, &fragment.selection_set, found);
                    }
                }
            }
        }
    }

    fn is_included(&self, selection: &Selection) -> bool {
        let says = |directive: &str| {
            let given = selection.directives().get(directive)?;
            match given.specified_argument_by_name("if")?.as_ref() {
                AstValue::Boolean(value) => Some(*value),
                AstValue::Variable(name) => self.variable(name)?.as_bool(),
                _ => None,
            }
        };
        says("skip") != Some(true) && says("include") != Some(false)
    }

    /// Whether objects of a type are of a type, interface or union.
    pub(super) fn is_a(&self, type_name: &str, other: &str) -> bool {
        if type_name == other {
            return true;
        }
        match self.schema().types.get(other) {
            Some(ExtendedType::Union(union)) => {
                union.members.iter().any(|member| member.name == type_name)
            }
            Some(ExtendedType::Interface(_)) => {
                self.schema().get_object(type_name).is_some_and(|object| {
                    object.implements_interfaces.iter().any(|it| it.name == other)
                })
            }
            _ => false,
        }
    }

    /// The arguments of a field by the names of the schema; those that are not given are not there.
    pub(super) fn arguments(&self, field: &Field) -> Map<String, Json> {
        let mut arguments = Map::new();
        for argument in &field.definition.arguments {
            let given = field.arguments.iter().find(|given| given.name == argument.name);
            let given = given.and_then(|given| self.constant(&given.value));
            let default = || argument.default_value.as_ref().and_then(|it| self.constant(it));
            if let Some(value) = given.or_else(default) {
                arguments.insert(argument.name.to_string(), value);
            }
        }
        arguments
    }

    /// A value of the document; nothing for a variable without a value.
    fn constant(&self, value: &AstValue) -> Option<Json> {
        Some(match value {
            AstValue::Null => Json::Null,
            AstValue::Boolean(value) => (*value).into(),
            AstValue::Enum(name) => name.as_str().into(),
            AstValue::String(text) => text.as_str().into(),
            AstValue::Int(number) => serde_json::from_str(number.as_str()).unwrap_or(Json::Null),
            AstValue::Float(digits) => {
                exact::number(digits.as_str()).map_or(Json::Null, Json::Number)
            }
            AstValue::Variable(name) => return self.variable(name),
            AstValue::List(items) => {
                let items = items.iter().map(|item| self.constant(item).unwrap_or(Json::Null));
                items.collect()
            }
            AstValue::Object(members) => {
                let members = members
                    .iter()
                    .filter_map(|(name, value)| Some((name.to_string(), self.constant(value)?)));
                Json::Object(members.collect())
            }
        })
    }

    fn variable(&self, name: &Name) -> Option<Json> {
        let operation = self.document.operations.iter().next()?;
        let declared = operation.variables.iter().find(|declared| declared.name == *name);
        let given = self.variables.as_ref().and_then(|all| {
            let at = all.tape.get(all.at, name)?;
            Some(super::object::Place { tape: all.tape.clone(), at }.json())
        });
        let default = || self.constant(declared?.default_value.as_ref()?);
        given.or_else(default)
    }

    /// A value as the service has it: values of enums and fields of inputs under its own names.
    pub(super) fn wired(&self, ty: &Type, value: Json) -> Json {
        match (value, ty.is_list()) {
            (Json::Array(items), true) => {
                items.into_iter().map(|item| self.wired(ty.item_type(), item)).collect()
            }
            (Json::Null, _) => Json::Null,
            (value, true) => vec![self.wired(ty.item_type(), value)].into(),
            (value, false) => self.wired_named(ty.inner_named_type(), value),
        }
    }

    fn wired_named(&self, name: &Name, value: Json) -> Json {
        let wires = self.rest.fetches.members.get(name);
        let wire = |member: &str| {
            let known = wires.and_then(|wires| wires.get(member));
            known.map_or_else(|| member.to_owned(), ToString::to_string)
        };
        match (value, self.schema().types.get(name)) {
            (Json::String(value), Some(ExtendedType::Enum(_))) => wire(&value).into(),
            (Json::Object(members), Some(ExtendedType::InputObject(input))) => {
                let members = members.into_iter().map(|(member, value)| {
                    let ty = input.fields.get(member.as_str()).map(|field| &field.ty);
                    let value = ty.map_or(Json::Null, |ty| self.wired(ty, value));
                    (wire(&member), value)
                });
                Json::Object(members.collect())
            }
            // A whole number is an ID, too.
            (Json::Number(number), _) if name == "ID" => number.to_string().into(),
            (value, _) => value,
        }
    }
}
