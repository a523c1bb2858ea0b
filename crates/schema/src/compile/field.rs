//! What every field has, whatever stands behind it: in come its declaration and directives, out
//! come its role, and its names, arguments and costs. Which directives go together is decided here.

use std::sync::Arc;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::parser::SourceSpan;
use base::Place;

use crate::diagnostic::Code;
use crate::model::{Argument, Cost, FieldDef, FieldKind, ListSize, VectorSpec, Was};
use crate::policy::Policy;

use super::declare::{self, Declared, Field, Object};
use super::directives::Directives;
use super::names;
use super::report::Report;
use super::shape::{self, Named, Shape};

/// A field with what it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'d, 'a> {
    pub(crate) declared: &'d Declared<'a>,
    pub(crate) object: usize,
    pub(crate) field: &'d Field<'a>,
}

impl<'d, 'a> Subject<'d, 'a> {
    pub(crate) fn object(self) -> &'d Object<'a> {
        &self.declared.objects[self.object]
    }
}

/// What a field is, by its type and directives.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Column,
    Media,
    Reference(Shape),
    Derived(Shape),
    Nearest(Shape),
    /// Something is wrong with it, which has been said.
    Broken,
}

/// Everything about a field but what stands behind it.
pub(crate) struct Traits {
    arguments: Vec<Argument>,
    pub(crate) was: Vec<Was>,
    search: bool,
    cost: Option<Cost>,
    list_size: Option<ListSize>,
    place: Place,
}

/// The role of every field, by object and field.
pub(crate) fn roles(declared: &Declared<'_>, report: &mut Report<'_>) -> Vec<Vec<Role>> {
    declared
        .objects
        .values()
        .map(|object| {
            object.fields.values().map(|field| role(object, field, declared, report)).collect()
        })
        .collect()
}

fn role(
    object: &Object<'_>,
    field: &Field<'_>,
    declared: &Declared<'_>,
    report: &mut Report<'_>,
) -> Role {
    let shape = shape::of(field, declared, report);
    let (Some(shape), false) = (shape, field.directives.broken) else { return Role::Broken };
    if !directives_agree(object, field, report) {
        return Role::Broken;
    }
    let directives = &field.directives;
    if directives.has("derived") {
        return Role::Derived(shape);
    }
    if directives.has("ref") {
        return Role::Reference(shape);
    }
    if directives.has("nearest") {
        return Role::Nearest(shape);
    }
    match (&shape.named, directives.has("media")) {
        (Named::Object(target), _) if declared.objects[*target].is_table() => {
            let target = declared.objects[*target].name();
            let hint = missing_ref_hint(object, field, target, &shape);
            let words = format!("`{}` refers to the table `{target}` without `@ref`", field.name());
            report.at(Code::MissingRef, field.at_type(), words).hint(hint);
            Role::Broken
        }
        (Named::Media, false) => {
            report
                .at(
                    Code::MediaField,
                    field.at(),
                    format!("`{}` is Media without `@media`", field.name()),
                )
                .hint(format!("write `{}: Media @media`", field.name()));
            Role::Broken
        }
        (Named::Media, true) if shape.list.is_some() => {
            report
                .at(Code::UnsupportedField, field.at_type(), "a list of Media is not offered")
                .hint("make a table with one medium a row, and refer to it");
            Role::Broken
        }
        (Named::Media, true) => Role::Media,
        (_, true) => {
            report
                .at(Code::MediaField, field.at_type(), "`@media` is for fields of type Media")
                .hint(format!("write `{}: Media @media`", field.name()));
            Role::Broken
        }
        _ => Role::Column,
    }
}

/// The exact fix of a reference that lacks `@ref`.
fn missing_ref_hint(object: &Object<'_>, field: &Field<'_>, target: &str, shape: &Shape) -> String {
    let lower = |name: &str| {
        let mut chars = name.chars();
        let first: String = chars.next().into_iter().flat_map(char::to_lowercase).collect();
        first + chars.as_str()
    };
    if shape.list.is_some() {
        let by = format!("{}Id", lower(object.name()));
        return format!(
            "write `{}: [{target}!]! @ref(by: \"{by}\")`, where `{by}` is the field of `{target}` that holds the key of `{}`",
            field.name(),
            object.name()
        );
    }
    let by = format!("{}Id", field.name());
    if object.fields.contains_key(by.as_str()) {
        return format!("write `{}: {} @ref(by: \"{by}\")`", field.name(), field.node.ty);
    }
    format!(
        "add a field `{by}` that holds the key of `{target}`, and write `@ref(by: \"{by}\")` here"
    )
}

/// Directives that make a field what it is, of which it has at most one.
const MAKING: [&str; 4] = ["ref", "nearest", "derived", "media"];

/// Directives that speak of a stored column.
const STORED: [&str; 3] = ["column", "search", "vector"];

fn directives_agree(object: &Object<'_>, field: &Field<'_>, report: &mut Report<'_>) -> bool {
    let mut making = field.directives.iter().filter(|applied| MAKING.contains(&applied.name()));
    let first = making.next();
    if let (Some(first), Some(second)) = (first, making.next()) {
        let words = format!("`@{}` and `@{}` exclude each other", first.name(), second.name());
        report.at(Code::ConflictingDirectives, second.at(), words).hint("keep one of them");
        return false;
    }
    if let Some(first) = first.filter(|applied| applied.name() != "media")
        && let Some(stored) = field.directives.iter().find(|a| STORED.contains(&a.name()))
    {
        let words = format!(
            "`@{}` is for stored fields, and `@{}` makes `{}` one that is not stored",
            stored.name(),
            first.name(),
            field.name()
        );
        report.at(Code::ConflictingDirectives, stored.at(), words).hint("take one of them out");
        return false;
    }
    if object.is_table() {
        return true;
    }
    let plain = ["column", "deprecated"];
    let other = field.directives.iter().find(|applied| !plain.contains(&applied.name()));
    if let Some(other) = other {
        let words = format!("`@{}` is not offered in a type without `@table`", other.name());
        report.at(Code::UnsupportedField, other.at(), words).hint(format!(
            "`{}` is stored inside rows of other types: put the field into one of them",
            object.name()
        ));
        return false;
    }
    true
}

/// Arguments, names and costs of a field.
pub(crate) fn traits(subject: Subject<'_, '_>, role: &Role, report: &mut Report<'_>) -> Traits {
    let field = subject.field;
    let arguments = arguments(field, role, report);
    Traits {
        was: was(&field.directives, field.at(), "field", report),
        search: search(field, role, report),
        cost: cost(field, report),
        list_size: list_size(subject, role, &arguments, report),
        place: report.place(report.spot(field.at())).0,
        arguments,
    }
}

fn arguments(field: &Field<'_>, role: &Role, report: &mut Report<'_>) -> Vec<Argument> {
    let allowed: &[&str] = match role {
        Role::Reference(shape) if shape.list.is_some() => &["first", "last"],
        Role::Nearest(_) => &["first"],
        Role::Broken => return Vec::new(),
        _ => &[],
    };
    let mut arguments: Vec<Argument> = Vec::new();
    for node in &field.node.arguments {
        let name = node.name.as_str();
        let at = node.name.location();
        let directives = Directives::check(
            &node.directives,
            apollo_compiler::ast::DirectiveLocation::ArgumentDefinition,
            report,
        );
        if directives.has("deprecated") {
            report
                .at(Code::UnsupportedField, at, "an argument cannot be deprecated yet")
                .hint("take `@deprecated` out");
        }
        if !allowed.contains(&name) {
            let words = format!("`{}` takes no argument `{name}`", field.name());
            let hint = match allowed {
                [] => "only list references and `@nearest` take arguments".to_owned(),
                allowed => format!("it may take `{}`", allowed.join("` and `")),
            };
            report.at(Code::FieldArgument, at, words).hint(hint);
            continue;
        }
        if arguments.iter().any(|earlier| earlier.name.as_ref() == name) {
            report.at(Code::FieldArgument, at, format!("argument `{name}` is declared twice"));
            continue;
        }
        if !matches!(node.ty.as_ref(), Type::Named(ty) if ty == "Int") {
            report
                .at(Code::FieldArgument, at, format!("argument `{name}` must be `Int`"))
                .hint(format!("write `{name}: Int = 10`"));
            continue;
        }
        let default = match node.default_value.as_deref() {
            None | Some(Value::Null) => None,
            Some(Value::Int(number)) => match number.as_str().parse::<i32>() {
                Ok(number) if number >= 0 => Some(i64::from(number)),
                _ => {
                    let words = format!("the default of `{name}` must be a count");
                    report.at(Code::FieldArgument, at, words);
                    continue;
                }
            },
            Some(_) => {
                let words = format!("the default of `{name}` must be a whole number");
                report.at(Code::FieldArgument, at, words);
                continue;
            }
        };
        arguments.push(Argument { name: name.into(), default });
    }
    let defaults: Vec<_> = arguments.iter().filter(|argument| argument.default.is_some()).collect();
    if defaults.len() > 1 {
        report
            .at(Code::FieldArgument, field.at(), "`first` and `last` cannot both have a default")
            .hint("keep the default of one of them");
    }
    arguments
}

/// `@was` of a type or field.
pub(crate) fn was(
    directives: &Directives<'_>,
    at: Option<SourceSpan>,
    what: &str,
    report: &mut Report<'_>,
) -> Vec<Was> {
    let mut found: Vec<Was> = Vec::new();
    for applied in directives.all("was") {
        let Some(name) = applied.text("name") else { continue };
        if !names::identifier(&format!("a {what}"), name.value, report.spot(name.at), report) {
            continue;
        }
        if found.iter().any(|earlier| earlier.name.as_ref() == name.value) {
            report.at(Code::Was, name.at.or(at), format!("`{}` is named twice", name.value));
            continue;
        }
        let until = applied.text("until");
        if let Some(until) = until
            && crate::expression::date_of(until.value).is_none()
        {
            report
                .at(Code::Was, until.at, format!("`{}` is no date", until.value))
                .hint("write it as `2027-01-31`");
        }
        let until = until.map(|until| until.value.into());
        found.push(Was { name: name.value.into(), until });
    }
    found
}

fn search(field: &Field<'_>, role: &Role, report: &mut Report<'_>) -> bool {
    let Some(applied) = field.directives.get("search") else { return false };
    let is_text = field.node.ty.inner_named_type() == "String";
    if matches!(role, Role::Column | Role::Media) && !is_text {
        let words = format!("`{}` is not text that can be searched", field.name());
        report
            .at(Code::Search, applied.at(), words)
            .hint("`@search` is for `String` and `[String!]`; other types are found with `where`");
    }
    true
}

fn cost(field: &Field<'_>, report: &mut Report<'_>) -> Option<Cost> {
    let applied = field.directives.get("cost")?;
    let weight = applied.number("weight")?;
    if weight < 0.0 {
        report
            .at(Code::Cost, applied.at_argument("weight"), "a weight must not be negative")
            .hint("write 0 for a field that costs nothing");
        return None;
    }
    Some(Cost { weight })
}

fn list_size(
    subject: Subject<'_, '_>,
    role: &Role,
    arguments: &[Argument],
    report: &mut Report<'_>,
) -> Option<ListSize> {
    let field = subject.field;
    let applied = field.directives.get("listSize")?;
    if !field.node.ty.is_list() && !matches!(role, Role::Broken) {
        report
            .at(Code::ListSize, applied.at(), format!("`{}` is no list", field.name()))
            .hint("`@listSize` is for fields that give lists");
    }
    let assumed_size = applied.int("assumedSize").map(u32::try_from);
    if assumed_size.is_some_and(|size| size.is_err()) {
        report.at(
            Code::ListSize,
            applied.at_argument("assumedSize"),
            "a size must not be negative",
        );
    }
    let slicing = applied.texts("slicingArguments");
    for argument in &slicing {
        let known = arguments.iter().map(|known| known.name.as_ref());
        if known.clone().any(|known| known == argument.value) {
            continue;
        }
        let words = format!("`{}` has no argument `{}`", field.name(), argument.value);
        report.at(Code::ListSize, argument.at, words).did_you_mean(
            argument.value,
            known,
            |found| format!("`{found}`"),
            &format!("declare it: `{}({}: Int)`", field.name(), argument.value),
        );
    }
    let sized = applied.texts("sizedFields");
    if let Some(first) = sized.first() {
        report
            .at(
                Code::ListSize,
                first.at,
                "`sizedFields` names fields of a connection, and this field gives a list",
            )
            .hint("take `sizedFields` out");
    }
    let texts = |texts: Vec<super::directives::Text<'_>>| -> Vec<Arc<str>> {
        texts.into_iter().map(|text| text.value.into()).collect()
    };
    Some(ListSize {
        assumed_size: assumed_size.and_then(Result::ok),
        slicing_arguments: texts(slicing),
        sized_fields: texts(sized),
        require_one_slicing_argument: applied.boolean("requireOneSlicingArgument").unwrap_or(true),
    })
}

/// The finished field.
pub(crate) fn definition(
    field: &Field<'_>,
    kind: FieldKind,
    vector: Option<VectorSpec>,
    traits: Traits,
) -> FieldDef {
    FieldDef {
        name: field.name().into(),
        description: field.node.description.as_ref().map(|text| text.as_str().into()),
        kind,
        nullable: !field.node.ty.is_non_null(),
        arguments: traits.arguments,
        was: traits.was,
        search: traits.search,
        vector,
        cost: traits.cost,
        list_size: traits.list_size,
        deprecated: declare::deprecated(&field.directives),
        policy: Policy::default(),
        place: traits.place,
    }
}
