//! What changed between two GraphQL APIs, and what each change means for callers.
//!
//! In: two SDL texts, ours or any other. Out: [`ApiChange`]s with their coordinates. The classes
//! are those of GraphQL Inspector, to which a test holds them, but for one: another reason beside
//! `@deprecated` changes nothing for a caller and is safe here. Not here: which change of the
//! central schema is behind a change of the API.

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{DirectiveDefinition, InputValueDefinition, Type};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::schema::{
    Component, EnumType, EnumValueDefinition, ExtendedType, FieldDefinition, InputObjectType, Name,
};
use base::{Error, Result};

use super::WireEffect;

/// One change of an API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiChange {
    /// `Type`, `Type.field`, `Type.field.argument`, `@directive`.
    pub path: String,
    /// What it means for callers.
    pub effect: WireEffect,
    /// What about the thing changed.
    pub aspect: Aspect,
    /// The change in one sentence, without a full stop.
    pub message: String,
    /// Whether it is felt by whoever leaves the thing out: by all who use what it belongs to.
    pub when_absent: bool,
}

/// What about a thing of an API changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Whether it is there, and its type.
    Shape,
    /// An argument.
    Argument,
    /// Its description.
    Description,
    /// `@deprecated`.
    Deprecation,
    /// Another directive on it.
    Directive,
}

/// Every change from one API to another, by path.
pub fn diff_sdl(old: &str, new: &str) -> Result<Vec<ApiChange>> {
    Ok(diff_apis(&parsed(old)?, &parsed(new)?))
}

/// The same for two APIs of ours, which are valid; were a part of one not, the rest is compared.
pub(super) fn diff_derived(old: &str, new: &str) -> Vec<ApiChange> {
    let lenient = |text: &str| match apollo_compiler::Schema::parse(text, "api.graphql") {
        Ok(api) => api,
        Err(faults) => faults.partial,
    };
    diff_apis(&lenient(old), &lenient(new))
}

fn diff_apis(old: &apollo_compiler::Schema, new: &apollo_compiler::Schema) -> Vec<ApiChange> {
    let mut differ = Differ { changes: Vec::new() };
    differ.directive_definitions(&old.directive_definitions, &new.directive_definitions);
    differ.types(&old.types, &new.types);
    differ.changes.sort();
    differ.changes
}

fn parsed(text: &str) -> Result<apollo_compiler::Schema> {
    // An API of types alone, without any query, can be compared too: no full validation here.
    apollo_compiler::Schema::parse(text, "api.graphql").map_err(|faults| {
        Error::invalid("failed to parse the SDL of an API").caused_by(faults.errors.to_string())
    })
}

/// A list of directives, whatever part of a schema it stands on.
type Usages<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

fn usages<'a>(list: impl Iterator<Item = &'a Node<apollo_compiler::ast::Directive>>) -> Usages<'a> {
    let arguments = |directive: &'a Node<apollo_compiler::ast::Directive>| {
        directive.arguments.iter().map(|a| (a.name.as_str(), a.value.to_string())).collect()
    };
    list.map(|directive| (directive.name.as_str(), arguments(directive))).collect()
}

struct Differ {
    changes: Vec<ApiChange>,
}

impl Differ {
    fn push(
        &mut self,
        path: impl Into<String>,
        effect: WireEffect,
        aspect: Aspect,
        message: impl Into<String>,
    ) {
        let (path, message) = (path.into(), message.into());
        self.changes.push(ApiChange { path, effect, aspect, message, when_absent: false });
    }

    /// A change of something that may be left out, which is felt where it is.
    fn push_absent(
        &mut self,
        path: impl Into<String>,
        effect: WireEffect,
        aspect: Aspect,
        message: impl Into<String>,
    ) {
        self.push(path, effect, aspect, message);
        if let Some(change) = self.changes.last_mut() {
            change.when_absent = true;
        }
    }

    fn description(&mut self, path: &str, old: Option<&Node<str>>, new: Option<&Node<str>>) {
        if old != new {
            let message = format!("the description of `{path}` changes");
            self.push(path, WireEffect::Safe, Aspect::Description, message);
        }
    }

    fn directive_definitions(
        &mut self,
        old: &IndexMap<Name, Node<DirectiveDefinition>>,
        new: &IndexMap<Name, Node<DirectiveDefinition>>,
    ) {
        for (name, definition) in old.iter().filter(|(_, definition)| !definition.is_built_in()) {
            let path = format!("@{name}");
            match new.get(name) {
                None => {
                    let message = format!("directive `{path}` is removed");
                    self.push(path, WireEffect::Breaking, Aspect::Shape, message);
                }
                Some(after) => self.directive_definition(&path, definition, after),
            }
        }
        let added = |name: &&Name| !old.contains_key(*name);
        for name in new.keys().filter(added) {
            let message = format!("directive `@{name}` is added");
            self.push(format!("@{name}"), WireEffect::Safe, Aspect::Shape, message);
        }
    }

    fn directive_definition(
        &mut self,
        path: &str,
        old: &DirectiveDefinition,
        new: &DirectiveDefinition,
    ) {
        self.description(path, old.description.as_ref(), new.description.as_ref());
        if old.repeatable && !new.repeatable {
            let message = format!("`{path}` is no longer repeatable");
            self.push(path, WireEffect::Dangerous, Aspect::Shape, message);
        }
        for location in old.locations.iter().filter(|at| !new.locations.contains(at)) {
            let message = format!("`{path}` is no longer allowed on {location}");
            self.push(path, WireEffect::Breaking, Aspect::Shape, message);
        }
        for location in new.locations.iter().filter(|at| !old.locations.contains(at)) {
            let message = format!("`{path}` is allowed on {location}");
            self.push(path, WireEffect::Safe, Aspect::Shape, message);
        }
        // A new argument of a directive changes nothing where it is left out.
        self.arguments(path, &old.arguments, &new.arguments, WireEffect::Safe);
    }

    fn types(
        &mut self,
        old: &IndexMap<apollo_compiler::schema::NamedType, ExtendedType>,
        new: &IndexMap<apollo_compiler::schema::NamedType, ExtendedType>,
    ) {
        for (name, before) in old.iter().filter(|(_, before)| !before.is_built_in()) {
            match new.get(name) {
                Some(after) => self.type_pair(name, before, after),
                None => {
                    let message = format!("type `{name}` is removed");
                    self.push(name.as_str(), WireEffect::Breaking, Aspect::Shape, message);
                }
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            let message = format!("type `{name}` is added");
            self.push(name.as_str(), WireEffect::Safe, Aspect::Shape, message);
        }
    }

    fn type_pair(&mut self, name: &Name, old: &ExtendedType, new: &ExtendedType) {
        self.description(name, old.description(), new.description());
        match (old, new) {
            (ExtendedType::Object(old), ExtendedType::Object(new)) => {
                self.members(name, &old.implements_interfaces, &new.implements_interfaces);
                self.fields(name, &old.fields, &new.fields);
            }
            (ExtendedType::Interface(old), ExtendedType::Interface(new)) => {
                self.members(name, &old.implements_interfaces, &new.implements_interfaces);
                self.fields(name, &old.fields, &new.fields);
            }
            (ExtendedType::InputObject(old), ExtendedType::InputObject(new)) => {
                self.input(name, old, new);
            }
            (ExtendedType::Enum(old), ExtendedType::Enum(new)) => self.enumeration(name, old, new),
            (ExtendedType::Union(old), ExtendedType::Union(new)) => {
                self.members(name, &old.members, &new.members);
            }
            (ExtendedType::Scalar(_), ExtendedType::Scalar(_)) => {}
            _ => {
                let message = format!("`{name}` becomes another kind of type");
                self.push(name.as_str(), WireEffect::Breaking, Aspect::Shape, message);
                return;
            }
        }
        let bare = |found: &ExtendedType| {
            found.directives().iter().map(|usage| usage.node.clone()).collect::<Vec<_>>()
        };
        let (old, new) = (bare(old), bare(new));
        self.usages(name, &usages(old.iter()), &usages(new.iter()));
    }

    /// Interfaces of a type, or members of a union.
    fn members<T>(&mut self, name: &str, old: &T, new: &T)
    where
        for<'t> &'t T: IntoIterator<Item = &'t apollo_compiler::schema::ComponentName>,
    {
        let names = |list: &T| -> Vec<String> {
            list.into_iter().map(|item| item.name.to_string()).collect()
        };
        let (old, new) = (names(old), names(new));
        for gone in old.iter().filter(|item| !new.contains(item)) {
            let message = format!("`{gone}` no longer belongs to `{name}`");
            self.push(name, WireEffect::Breaking, Aspect::Shape, message);
        }
        for made in new.iter().filter(|item| !old.contains(item)) {
            let message = format!("`{made}` belongs to `{name}`");
            self.push(name, WireEffect::Dangerous, Aspect::Shape, message);
        }
    }

    fn fields(
        &mut self,
        type_name: &str,
        old: &IndexMap<Name, Component<FieldDefinition>>,
        new: &IndexMap<Name, Component<FieldDefinition>>,
    ) {
        for (name, before) in old {
            let path = format!("{type_name}.{name}");
            match new.get(name) {
                Some(after) => self.field(&path, before, after),
                None => {
                    let message = format!("field `{path}` is removed");
                    self.push(path, WireEffect::Breaking, Aspect::Shape, message);
                }
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            let path = format!("{type_name}.{name}");
            let message = format!("field `{path}` is added");
            self.push(path, WireEffect::Safe, Aspect::Shape, message);
        }
    }

    fn field(&mut self, path: &str, old: &FieldDefinition, new: &FieldDefinition) {
        self.description(path, old.description.as_ref(), new.description.as_ref());
        if old.ty != new.ty {
            let safe = answers_fit(&old.ty, &new.ty);
            let effect = if safe { WireEffect::Safe } else { WireEffect::Breaking };
            let message = format!("`{path}` changes from `{}` to `{}`", old.ty, new.ty);
            self.push(path, effect, Aspect::Shape, message);
        }
        self.arguments(path, &old.arguments, &new.arguments, WireEffect::Dangerous);
        self.usages(path, &usages(old.directives.iter()), &usages(new.directives.iter()));
    }

    /// `optional_added` is the effect of an argument that may be left out.
    fn arguments(
        &mut self,
        owner: &str,
        old: &[Node<InputValueDefinition>],
        new: &[Node<InputValueDefinition>],
        optional_added: WireEffect,
    ) {
        for before in old {
            let path = format!("{owner}.{}", before.name);
            match new.iter().find(|after| after.name == before.name) {
                Some(after) => self.input_value(&path, before, after, Aspect::Argument),
                None => {
                    let message = format!("argument `{path}` is removed");
                    self.push(path, WireEffect::Breaking, Aspect::Argument, message);
                }
            }
        }
        for after in new.iter().filter(|after| !old.iter().any(|old| old.name == after.name)) {
            let path = format!("{owner}.{}", after.name);
            let effect = if after.is_required() { WireEffect::Breaking } else { optional_added };
            let message = format!("argument `{path}: {}` is added", after.ty);
            self.push_absent(path, effect, Aspect::Argument, message);
        }
    }

    fn input_value(
        &mut self,
        path: &str,
        old: &InputValueDefinition,
        new: &InputValueDefinition,
        aspect: Aspect,
    ) {
        self.description(path, old.description.as_ref(), new.description.as_ref());
        let text =
            |value: &InputValueDefinition| value.default_value.as_ref().map(ToString::to_string);
        if text(old) != text(new) {
            let message = format!("the default of `{path}` changes");
            self.push_absent(path, WireEffect::Dangerous, aspect, message);
        }
        if old.ty != new.ty {
            let safe = inputs_fit(&old.ty, &new.ty);
            let effect = if safe { WireEffect::Safe } else { WireEffect::Breaking };
            let message = format!("`{path}` changes from `{}` to `{}`", old.ty, new.ty);
            match new.is_required() && !old.is_required() {
                true => self.push_absent(path, effect, aspect, message),
                false => self.push(path, effect, aspect, message),
            }
        }
        self.usages(path, &usages(old.directives.iter()), &usages(new.directives.iter()));
    }

    fn input(&mut self, type_name: &str, old: &InputObjectType, new: &InputObjectType) {
        for (name, before) in &old.fields {
            let path = format!("{type_name}.{name}");
            match new.fields.get(name) {
                Some(after) => self.input_value(&path, before, after, Aspect::Shape),
                None => {
                    let message = format!("input field `{path}` is removed");
                    self.push(path, WireEffect::Breaking, Aspect::Shape, message);
                }
            }
        }
        for (name, after) in new.fields.iter().filter(|(name, _)| !old.fields.contains_key(*name)) {
            let path = format!("{type_name}.{name}");
            let effect = match (&after.default_value, after.ty.is_non_null()) {
                (None, false) => WireEffect::Safe,
                (None, true) => WireEffect::Breaking,
                // Callers that leave it out now send the default.
                (Some(_), _) => WireEffect::Dangerous,
            };
            let message = format!("input field `{path}: {}` is added", after.ty);
            self.push_absent(path, effect, Aspect::Shape, message);
        }
    }

    fn enumeration(&mut self, type_name: &str, old: &EnumType, new: &EnumType) {
        for (name, before) in &old.values {
            let path = format!("{type_name}.{name}");
            match new.values.get(name) {
                Some(after) => self.enum_value(&path, before, after),
                None => {
                    let message = format!("enum value `{path}` is removed");
                    self.push(path, WireEffect::Breaking, Aspect::Shape, message);
                }
            }
        }
        for name in new.values.keys().filter(|name| !old.values.contains_key(*name)) {
            let path = format!("{type_name}.{name}");
            let message = format!("enum value `{path}` is added, which callers may not expect");
            self.push(path, WireEffect::Dangerous, Aspect::Shape, message);
        }
    }

    fn enum_value(&mut self, path: &str, old: &EnumValueDefinition, new: &EnumValueDefinition) {
        self.description(path, old.description.as_ref(), new.description.as_ref());
        self.usages(path, &usages(old.directives.iter()), &usages(new.directives.iter()));
    }

    /// Directives that stand on a part of the API.
    fn usages(&mut self, path: &str, old: &Usages<'_>, new: &Usages<'_>) {
        for (name, arguments) in new {
            let aspect = aspect_of(name);
            match old.get(name) {
                None => {
                    let effect = match *name {
                        "deprecated" => WireEffect::Safe,
                        "oneOf" => WireEffect::Breaking,
                        _ => WireEffect::Dangerous,
                    };
                    let message = format!("`@{name}` is added to `{path}`");
                    self.push(format!("{path}.@{name}"), effect, aspect, message);
                }
                Some(before) => self.usage_arguments(path, name, before, arguments),
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            let effect = match *name {
                "deprecated" | "oneOf" => WireEffect::Safe,
                _ => WireEffect::Dangerous,
            };
            let message = format!("`@{name}` is removed from `{path}`");
            self.push(format!("{path}.@{name}"), effect, aspect_of(name), message);
        }
    }

    fn usage_arguments(
        &mut self,
        path: &str,
        name: &str,
        old: &BTreeMap<&str, String>,
        new: &BTreeMap<&str, String>,
    ) {
        let aspect = aspect_of(name);
        for (argument, value) in
            old.iter().filter(|(argument, value)| new.get(**argument) != Some(*value))
        {
            let effect = if aspect == Aspect::Deprecation {
                WireEffect::Safe
            } else {
                WireEffect::Dangerous
            };
            let message = format!("`{argument}` of `@{name}` on `{path}` is no longer {value}");
            self.push(format!("{path}.@{name}.{argument}"), effect, aspect, message);
        }
        for argument in new.keys().filter(|argument| !old.contains_key(*argument)) {
            let message = format!("`{argument}` of `@{name}` on `{path}` is given");
            self.push(format!("{path}.@{name}.{argument}"), WireEffect::Safe, aspect, message);
        }
    }
}

fn aspect_of(directive: &str) -> Aspect {
    if directive == "deprecated" { Aspect::Deprecation } else { Aspect::Directive }
}

/// Whether every answer of the new type is one that callers of the old type expect.
fn answers_fit(old: &Type, new: &Type) -> bool {
    let nulls = new.is_non_null() || !old.is_non_null();
    nulls
        && match (old.is_list(), new.is_list()) {
            (true, true) => answers_fit(old.item_type(), new.item_type()),
            (false, false) => old.inner_named_type() == new.inner_named_type(),
            _ => false,
        }
}

/// Whether every value that callers of the old type send is one of the new type.
fn inputs_fit(old: &Type, new: &Type) -> bool {
    let nulls = old.is_non_null() || !new.is_non_null();
    nulls
        && match (old.is_list(), new.is_list()) {
            (true, true) => inputs_fit(old.item_type(), new.item_type()),
            (false, false) => old.inner_named_type() == new.inner_named_type(),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &[(&str, WireEffect)]) {
        let changes = diff_sdl(old, new).unwrap();
        let found: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.effect)).collect();
        assert_eq!(found, expected, "{changes:#?}");
    }

    #[test]
    fn answers_may_become_stricter_and_inputs_looser() {
        check(
            "type Query { a: [Int], b: Int! c(x: Int!): Int }",
            "type Query { a: [Int!]!, b: Int c(x: Int): Int }",
            &[
                ("Query.a", WireEffect::Safe),
                ("Query.b", WireEffect::Breaking),
                ("Query.c.x", WireEffect::Safe),
            ],
        );
    }

    #[test]
    fn a_required_input_breaks_and_an_optional_one_does_not() {
        check(
            "type Query { a(i: I): Int } input I { x: Int }",
            "type Query { a(i: I, j: Int): Int } input I { x: Int y: Int! z: Int w: Int = 1 }",
            &[
                ("I.w", WireEffect::Dangerous),
                ("I.y", WireEffect::Breaking),
                ("I.z", WireEffect::Safe),
                ("Query.a.j", WireEffect::Dangerous),
            ],
        );
    }

    #[test]
    fn an_enum_that_grows_is_dangerous_and_one_that_shrinks_breaks() {
        check(
            "type Query { a: E } enum E { A B }",
            "type Query { a: E } enum E { B C }",
            &[("E.A", WireEffect::Breaking), ("E.C", WireEffect::Dangerous)],
        );
    }
}
