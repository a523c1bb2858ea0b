//! Uses of directives: in come the directives of one definition, out come those that agree with
//! `directives.graphql`, with typed access to their arguments. Names, places, repetition and the
//! kinds of arguments are checked here for all of them alike; what an argument *means* is each
//! directive's own file.

use std::sync::LazyLock;

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, Directive, DirectiveDefinition, DirectiveList, DirectiveLocation, Document,
    EnumTypeDefinition, InputObjectTypeDefinition, InputValueDefinition, Type, Value,
};
use apollo_compiler::parser::SourceSpan;

use crate::diagnostic::Code;

use super::report::Report;

/// The definitions of all directives.
pub(crate) const DEFINITIONS: &str = include_str!("../directives.graphql");

/// The directives that are enforced; every other one is refused.
pub(crate) const ENFORCED: [&str; 22] = [
    "module",
    "source",
    "fetch",
    "wire",
    "owner",
    "scope",
    "visible",
    "classified",
    "key",
    "table",
    "column",
    "was",
    "ref",
    "media",
    "vector",
    "nearest",
    "search",
    "derived",
    "cost",
    "listSize",
    "deprecated",
    "specifiedBy",
];

/// Arguments of enforced directives that are not enforced themselves, with what to do instead.
const UNENFORCED_ARGUMENTS: [(&str, &str, &str); 2] = [
    ("vector", "from", "put `@vector(model:)` on the media or text field itself"),
    ("derived", "by", "write `expr`"),
];

struct Definitions {
    directives: Vec<Node<DirectiveDefinition>>,
    enums: Vec<Node<EnumTypeDefinition>>,
    inputs: Vec<Node<InputObjectTypeDefinition>>,
}

static KNOWN: LazyLock<Definitions> = LazyLock::new(|| {
    let mut known = Definitions { directives: Vec::new(), enums: Vec::new(), inputs: Vec::new() };
    // The text is ours and a test parses it, so the partial document is the whole one.
    let document =
        Document::parse(DEFINITIONS, "directives.graphql").unwrap_or_else(|failed| failed.partial);
    for definition in document.definitions {
        match definition {
            Definition::DirectiveDefinition(directive) => known.directives.push(directive),
            Definition::EnumTypeDefinition(enumeration) => known.enums.push(enumeration),
            Definition::InputObjectTypeDefinition(input) => known.inputs.push(input),
            _ => {}
        }
    }
    known
});

/// Directives that stand in the module of a service only.
pub(crate) const OF_SERVICES: [&str; 2] = ["fetch", "wire"];

/// The directives of one definition that may be relied on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directives<'a> {
    applied: Vec<Applied<'a>>,
    /// Whether one was refused: rules that miss a directive then keep silent.
    pub(crate) broken: bool,
}

/// One use of a directive whose arguments have the right kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied<'a> {
    node: &'a Node<Directive>,
}

/// A string argument, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) value: &'a str,
    pub(crate) at: Option<SourceSpan>,
}

impl<'a> Directives<'a> {
    /// Checks the directives of one definition.
    pub(crate) fn check(
        list: &'a DirectiveList,
        location: DirectiveLocation,
        report: &mut Report<'_>,
    ) -> Self {
        Directives::check_some(list, location, |_| true, report)
    }

    /// Checks those that have one of our names, where others may stand beside them.
    pub(crate) fn check_some(
        list: &'a DirectiveList,
        location: DirectiveLocation,
        is_ours: impl Fn(&str) -> bool,
        report: &mut Report<'_>,
    ) -> Self {
        let mut directives = Directives::default();
        for node in list.0.iter().filter(|node| is_ours(&node.name)) {
            if OF_SERVICES.contains(&node.name.as_str()) {
                of_services(node, report);
                directives.broken = true;
            } else if use_is_right(node, location, &directives, report) {
                directives.applied.push(Applied { node });
            } else {
                directives.broken = true;
            }
        }
        directives
    }

    /// Checks those of a service that is no GraphQL: they say where its values are.
    pub(crate) fn check_service(
        list: &'a DirectiveList,
        location: DirectiveLocation,
        report: &mut Report<'_>,
    ) -> Self {
        let mut directives = Directives::default();
        let is_ours = |name: &str| OF_SERVICES.contains(&name) || name == "ref";
        for node in list.0.iter().filter(|node| is_ours(&node.name)) {
            if use_is_right(node, location, &directives, report) {
                directives.applied.push(Applied { node });
            } else {
                directives.broken = true;
            }
        }
        directives
    }

    /// The use of this directive, when there is one.
    pub(crate) fn get(&self, name: &str) -> Option<Applied<'a>> {
        self.all(name).next()
    }

    /// Whether this directive is used.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All uses of a repeatable directive.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = Applied<'a>> {
        self.applied.iter().copied().filter(move |applied| applied.node.name == name)
    }

    /// All uses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Applied<'a>> {
        self.applied.iter().copied()
    }
}

impl<'a> Applied<'a> {
    /// The directive's name.
    pub(crate) fn name(self) -> &'a str {
        &self.node.name
    }

    /// An argument of any kind.
    pub(crate) fn any(self, name: &str) -> Option<&'a Node<Value>> {
        self.value(name)
    }

    /// Where the use stands.
    pub(crate) fn at(self) -> Option<SourceSpan> {
        self.node.location()
    }

    fn value(self, name: &str) -> Option<&'a Node<Value>> {
        let argument = self.node.arguments.iter().find(|argument| argument.name == name)?;
        if argument.value.is_null() { None } else { Some(&argument.value) }
    }

    /// Where an argument's value stands; the whole use, when it is absent.
    pub(crate) fn at_argument(self, name: &str) -> Option<SourceSpan> {
        self.value(name).map_or(self.at(), Node::location)
    }

    /// A string argument.
    pub(crate) fn text(self, name: &str) -> Option<Text<'a>> {
        text_of(self.value(name)?)
    }

    /// A list of strings, or one.
    pub(crate) fn texts(self, name: &str) -> Vec<Text<'a>> {
        match self.value(name).map(|value| (value, value.as_ref())) {
            Some((_, Value::List(items))) => items.iter().filter_map(text_of).collect(),
            Some((value, _)) => text_of(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// An integer argument.
    pub(crate) fn int(self, name: &str) -> Option<i64> {
        int_of(self.value(name)?)
    }

    /// A number, or its text.
    pub(crate) fn number(self, name: &str) -> Option<f64> {
        number_of(self.value(name)?)
    }

    /// A boolean argument.
    pub(crate) fn boolean(self, name: &str) -> Option<bool> {
        self.value(name)?.to_bool()
    }

    /// An enum argument.
    pub(crate) fn choice(self, name: &str) -> Option<&'a str> {
        match self.value(name)?.as_ref() {
            Value::Enum(choice) => Some(choice.as_str()),
            _ => None,
        }
    }

    /// A string inside an object argument.
    pub(crate) fn inner_text(self, name: &str, inner: &str) -> Option<Text<'a>> {
        text_of(self.inner(name, inner)?)
    }

    /// An integer inside an object argument, and where it stands.
    pub(crate) fn inner_int(self, name: &str, inner: &str) -> Option<(i64, Option<SourceSpan>)> {
        let value = self.inner(name, inner)?;
        Some((int_of(value)?, value.location()))
    }

    fn inner(self, name: &str, inner: &str) -> Option<&'a Node<Value>> {
        match self.value(name)?.as_ref() {
            Value::Object(fields) => {
                fields.iter().find(|(field, _)| field == inner).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

fn text_of(value: &Node<Value>) -> Option<Text<'_>> {
    match value.as_ref() {
        Value::String(text) => Some(Text { value: text, at: value.location() }),
        _ => None,
    }
}

fn int_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

fn number_of(value: &Value) -> Option<f64> {
    let number: f64 = match value {
        Value::Int(number) => number.as_str().parse().ok()?,
        Value::Float(number) => number.as_str().parse().ok()?,
        Value::String(number) => number.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn of_services(node: &Node<Directive>, report: &mut Report<'_>) {
    let words = format!("`@{}` belongs into the module of a service", node.name);
    report.at(Code::WrongLocation, node.name.location(), words).hint(
        "declare the field in a module with `@source(kind: REST, …)`, as a part of the same type",
    );
}

fn use_is_right(
    node: &Node<Directive>,
    location: DirectiveLocation,
    earlier: &Directives<'_>,
    report: &mut Report<'_>,
) -> bool {
    let name = node.name.as_str();
    let at = node.name.location();
    let Some(definition) = KNOWN.directives.iter().find(|known| known.name == name) else {
        let known = KNOWN.directives.iter().map(|known| known.name.as_str());
        report.at(Code::UnknownDirective, at, format!("unknown directive `@{name}`")).did_you_mean(
            name,
            known,
            |found| format!("`@{found}`"),
            "the directives are listed in the reference of the schema language",
        );
        return false;
    };
    if !ENFORCED.contains(&name) {
        report
            .at(Code::NotEnforced, at, format!("`@{name}` is not enforced yet"))
            .hint("take it out: a directive that nothing enforces is refused, never ignored");
        return false;
    }
    if !definition.locations.contains(&location) {
        let places: Vec<_> = definition.locations.iter().map(|place| words_of(*place)).collect();
        report
            .at(
                Code::WrongLocation,
                at,
                format!("`@{name}` does not belong on {}", words_of(location)),
            )
            .hint(format!("it belongs on {}", places.join(" or ")));
        return false;
    }
    if !definition.repeatable && earlier.has(name) {
        report
            .at(Code::RepeatedDirective, at, format!("`@{name}` stands here twice"))
            .hint("keep one of them");
        return false;
    }
    arguments_are_right(node, definition, report)
}

fn arguments_are_right(
    node: &Node<Directive>,
    definition: &DirectiveDefinition,
    report: &mut Report<'_>,
) -> bool {
    let directive = node.name.as_str();
    let mut right = true;
    for (index, argument) in node.arguments.iter().enumerate() {
        let name = argument.name.as_str();
        let at = argument.name.location();
        let twice = node.arguments[..index].iter().any(|earlier| earlier.name == name);
        let known = definition.arguments.iter().find(|known| known.name == name);
        let unenforced = UNENFORCED_ARGUMENTS
            .iter()
            .find(|(of, unenforced, _)| *of == directive && *unenforced == name);
        right &= match (known, unenforced) {
            _ if twice => {
                report.at(
                    Code::UnknownArgument,
                    at,
                    format!("`@{directive}` is given `{name}` twice"),
                );
                false
            }
            (_, Some((.., instead))) => {
                let words = format!("argument `{name}` of `@{directive}` is not enforced yet");
                report.at(Code::NotEnforced, at, words).hint(*instead);
                false
            }
            (None, _) => {
                unknown_argument(directive, name, at, definition, report);
                false
            }
            (Some(known), _) => {
                value_is_right(&argument.value, &known.ty, &format!("`{name}`"), report)
            }
        };
    }
    for missing in required(&definition.arguments) {
        if !node.arguments.iter().any(|argument| argument.name == missing.name) && right {
            let words = format!("`@{directive}` needs its argument `{}`", missing.name);
            report
                .at(Code::MissingArgument, node.location(), words)
                .hint(format!("write `@{directive}({}: …)`", missing.name));
            right = false;
        }
    }
    right
}

fn unknown_argument(
    directive: &str,
    name: &str,
    at: Option<SourceSpan>,
    definition: &DirectiveDefinition,
    report: &mut Report<'_>,
) {
    let names: Vec<&str> =
        definition.arguments.iter().map(|argument| argument.name.as_str()).collect();
    let all = match names.as_slice() {
        [] => format!("`@{directive}` takes no arguments"),
        names => format!("its arguments are `{}`", names.join("`, `")),
    };
    report
        .at(Code::UnknownArgument, at, format!("`@{directive}` has no argument `{name}`"))
        .did_you_mean(name, names, |found| format!("`{found}`"), &all);
}

fn required(
    arguments: &[Node<InputValueDefinition>],
) -> impl Iterator<Item = &Node<InputValueDefinition>> {
    arguments
        .iter()
        .filter(|argument| argument.ty.is_non_null() && argument.default_value.is_none())
}

/// Whether a value has the kind that an argument wants; says so when not.
fn value_is_right(value: &Node<Value>, wanted: &Type, what: &str, report: &mut Report<'_>) -> bool {
    if value.is_null() {
        if wanted.is_non_null() {
            wrong(value, what, &expected(wanted), report);
        }
        return !wanted.is_non_null();
    }
    if wanted.is_list() {
        return match value.as_ref() {
            Value::List(items) => {
                // Every item is looked at, so that every fault is told.
                let mut right = true;
                for item in items {
                    right &= value_is_right(item, wanted.item_type(), what, report);
                }
                right
            }
            // GraphQL reads one value where a list is wanted as a list of one.
            _ => value_is_right(value, wanted.item_type(), what, report),
        };
    }
    let name = wanted.inner_named_type().as_str();
    if let Some(input) = KNOWN.inputs.iter().find(|input| input.name == name) {
        return object_is_right(value, input, what, report);
    }
    if let Some(enumeration) = KNOWN.enums.iter().find(|known| known.name == name) {
        return choice_is_right(value, enumeration, what, report);
    }
    let right = match (name, value.as_ref()) {
        ("String", Value::String(_)) | ("Boolean", Value::Boolean(_)) => true,
        ("Int", value) => int_of(value).is_some_and(|number| i32::try_from(number).is_ok()),
        ("Weight", value) => number_of(value).is_some(),
        ("Json", _) => true,
        _ => false,
    };
    if !right {
        wrong(value, what, &expected(wanted), report);
    }
    right
}

fn wrong(value: &Node<Value>, what: &str, expected: &str, report: &mut Report<'_>) {
    let words = format!("{what} must be {expected}");
    let diagnostic = report.at(Code::WrongValue, value.location(), words);
    match (expected, value.as_ref()) {
        ("a string", Value::Enum(name)) => {
            diagnostic.hint(format!("write it in quotes: \"{name}\""));
        }
        ("a string", Value::Int(number)) => {
            diagnostic.hint(format!("write it in quotes: \"{}\"", number.as_str()));
        }
        ("a whole number", Value::String(text)) if text.parse::<i32>().is_ok() => {
            diagnostic.hint(format!("write it without quotes: {text}"));
        }
        _ => {}
    }
}

fn object_is_right(
    value: &Node<Value>,
    input: &InputObjectTypeDefinition,
    what: &str,
    report: &mut Report<'_>,
) -> bool {
    let names: Vec<&str> = input.fields.iter().map(|field| field.name.as_str()).collect();
    let shape = format!("{{{}: …}}", names.join(": …, "));
    let Value::Object(fields) = value.as_ref() else {
        wrong(value, what, &format!("an object `{shape}`"), report);
        return false;
    };
    let mut right = true;
    for (index, (name, inner)) in fields.iter().enumerate() {
        if fields[..index].iter().any(|(earlier, _)| earlier == name) {
            report.at(
                Code::UnknownArgument,
                name.location(),
                format!("{what} gives `{name}` twice"),
            );
            right = false;
            continue;
        }
        match input.fields.iter().find(|field| field.name == *name) {
            Some(field) => {
                right &= value_is_right(inner, &field.ty, &format!("`{name}` of {what}"), report);
            }
            None => {
                report
                    .at(Code::UnknownArgument, name.location(), format!("{what} has no `{name}`"))
                    .did_you_mean(
                        name,
                        names.iter().copied(),
                        |found| format!("`{found}`"),
                        &format!("it is `{shape}`"),
                    );
                right = false;
            }
        }
    }
    for missing in required(&input.fields) {
        if right && !fields.iter().any(|(name, _)| *name == missing.name) {
            let words = format!("{what} needs `{}`", missing.name);
            report
                .at(Code::MissingArgument, value.location(), words)
                .hint(format!("it is `{shape}`"));
            right = false;
        }
    }
    right
}

fn choice_is_right(
    value: &Node<Value>,
    enumeration: &EnumTypeDefinition,
    what: &str,
    report: &mut Report<'_>,
) -> bool {
    let choices: Vec<&str> = enumeration.values.iter().map(|value| value.value.as_str()).collect();
    let all = choices.join(", ");
    let written = match value.as_ref() {
        Value::Enum(name) if choices.contains(&name.as_str()) => return true,
        Value::Enum(name) => name.as_str(),
        Value::String(text) if choices.contains(&text.to_uppercase().as_str()) => {
            report
                .at(Code::WrongValue, value.location(), format!("{what} must be one of {all}"))
                .hint(format!("write it without quotes: {}", text.to_uppercase()));
            return false;
        }
        _ => "",
    };
    report
        .at(Code::WrongValue, value.location(), format!("{what} must be one of {all}"))
        .did_you_mean(written, choices, |found| format!("`{found}`"), "");
    false
}

fn expected(wanted: &Type) -> String {
    match wanted.inner_named_type().as_str() {
        "String" => "a string".to_owned(),
        "Int" => "a whole number".to_owned(),
        "Weight" => "a number".to_owned(),
        "Boolean" => "`true` or `false`".to_owned(),
        other => format!("a `{other}`"),
    }
}

fn words_of(location: DirectiveLocation) -> &'static str {
    match location {
        DirectiveLocation::Schema => "`extend schema`",
        DirectiveLocation::Object => "a type",
        DirectiveLocation::FieldDefinition => "a field",
        DirectiveLocation::ArgumentDefinition => "an argument of a field",
        DirectiveLocation::Enum => "an enum",
        DirectiveLocation::EnumValue => "a value of an enum",
        DirectiveLocation::Scalar => "a scalar",
        DirectiveLocation::Interface => "an interface",
        DirectiveLocation::Union => "a union",
        DirectiveLocation::InputFieldDefinition => "a field of an input type",
        DirectiveLocation::InputObject => "an input type",
        _ => "this kind of definition",
    }
}

/// The page that lists all directives, with those that are not enforced yet marked.
pub(crate) fn reference_page() -> String {
    let mut page = String::from(
        "# Directives of the central schema\n\n\
         Made from `crates/schema/src/directives.graphql`; do not edit it by hand.\n\
         A directive or argument that is not enforced yet is refused, never ignored.\n\n",
    );
    for definition in &KNOWN.directives {
        let enforced = ENFORCED.contains(&definition.name.as_str());
        let waits = if enforced { "" } else { " (not enforced yet)" };
        page.push_str(&format!("## `@{}`{waits}\n\n```graphql\n", definition.name));
        page.push_str(definition.to_string().trim_end());
        page.push_str("\n```\n\n");
        for (directive, argument, instead) in UNENFORCED_ARGUMENTS {
            if definition.name == directive {
                page.push_str(&format!("Not enforced yet: `{argument}`; {instead}.\n\n"));
            }
        }
    }
    page.push_str("## Types of arguments\n\n```graphql\n");
    for enumeration in &KNOWN.enums {
        page.push_str(enumeration.to_string().trim_end());
        page.push('\n');
    }
    for input in &KNOWN.inputs {
        page.push_str(input.to_string().trim_end());
        page.push('\n');
    }
    page.push_str(
        "```\n\n`Weight` is a number, or its text as the public cost specification writes it; `Json` is any value.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_valid_graphql_and_define_every_enforced_directive() {
        assert!(Document::parse(DEFINITIONS, "directives.graphql").is_ok());
        for name in ENFORCED {
            assert!(KNOWN.directives.iter().any(|known| known.name == name), "{name}");
        }
        for (directive, argument, _) in UNENFORCED_ARGUMENTS {
            let known = KNOWN.directives.iter().find(|known| known.name == directive).unwrap();
            assert!(known.arguments.iter().any(|known| known.name == argument), "{argument}");
        }
    }
}
