//! A fragment on an API: in come its selections, out come the fields that it gives, by the names that an
//! expression knows them by, or what is wrong with it.

use apollo_compiler::ast::{Definition, Document, Selection, Type, Value};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::executable::FieldSet;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Sdl};
use frame::{DataType, Field, Span};

use crate::compile::directives::Text;
use crate::compile::parse::words;
use crate::compile::report::Report;
use crate::diagnostic::{Code, suggest};
use crate::expression;
use crate::model::{FieldDef, Schema};

/// The fields that a fragment names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    /// Each with its type and how many objects are around it, that of the derived field counted.
    pub(super) fields: Vec<(Name, Name, usize)>,
}

/// What is wrong with a fragment.
pub(super) struct FragmentFault {
    pub(super) span: Span,
    pub(super) code: Code,
    pub(super) words: String,
    pub(super) hint: String,
}

/// The selections of a fragment.
pub(in crate::compile) fn selections(
    from: Text<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<Selection>> {
    let refuse = |words: &str, report: &mut Report<'_>| {
        report
            .at(Code::Derived, from.at, words)
            .hint("write `from: \"{ year title }\"`, or `from: \"{ team { name } }\"`");
        None
    };
    // The parser takes nesting as deep as any; a fragment of our kind has at most a few levels.
    if from.value.len() > expression::MAX_BYTES || from.value.matches(['{', '[']).count() > 64 {
        return refuse("`from` is too large", report);
    }
    let Ok(document) = Document::parse(from.value, "from") else {
        return refuse("`from` is no selection of fields", report);
    };
    let [Definition::OperationDefinition(operation)] = document.definitions.as_slice() else {
        return refuse("`from` is no selection of fields", report);
    };
    Some(operation.selection_set.clone())
}

/// The fragment that an expression needs which names fields of its row only.
pub(in crate::compile) fn selecting(paths: &[&[String]], fields: &[Field]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in paths.iter().filter_map(|path| path.first()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let selected = names.iter().map(|name| {
        let field = fields.iter().find(|field| field.name.as_ref() == *name);
        let inner = match field.map(|field| &field.data_type) {
            Some(DataType::Struct(inner)) => Some(inner),
            Some(DataType::List { item, .. }) => match item.as_ref() {
                DataType::Struct(inner) => Some(inner),
                _ => None,
            },
            _ => None,
        };
        let Some(inner) = inner else { return (*name).to_owned() };
        let of_it = paths.iter().filter(|path| path.first().is_some_and(|first| first == name));
        let rest: Vec<&[String]> =
            of_it.map(|path| &path[1..]).filter(|it| !it.is_empty()).collect();
        match rest.is_empty() {
            true => format!("{name} {{ __typename }}"),
            false => format!("{name} {}", selecting(&rest, inner)),
        }
    });
    format!("{{ {} }}", selected.collect::<Vec<_>>().join(" "))
}

/// A field that a fragment gives, under the name that the expression knows it by.
pub(super) struct Input {
    field: Field,
    span: Span,
    /// The enum whose value it is.
    of_enum: Option<Name>,
    inner: Vec<Input>,
}

/// The enum of what a path leads to.
pub(super) fn enum_at<'i>(inputs: &'i [Input], path: &[String]) -> Option<&'i Name> {
    let (first, rest) = path.split_first()?;
    let input = inputs.iter().find(|input| input.field.name.as_ref() == first)?;
    if rest.is_empty() { input.of_enum.as_ref() } else { enum_at(&input.inner, rest) }
}

pub(super) fn fields(inputs: &[Input]) -> Vec<Field> {
    inputs.iter().map(|input| input.field.clone()).collect()
}

/// The inputs that no path reads, nor anything around them.
pub(super) fn unread_in<'i>(
    inputs: &'i [Input],
    around: &mut Vec<&'i str>,
    paths: &[&[String]],
    found: &mut Vec<FragmentFault>,
) {
    for input in inputs {
        around.push(input.field.name.as_ref());
        let reads = |path: &&[String]| {
            path.len() <= around.len() && path.iter().zip(around.iter()).all(|(a, b)| a == b)
        };
        let is_read = paths.iter().any(reads);
        if !is_read && input.inner.is_empty() {
            found.push(FragmentFault {
                span: input.span,
                code: Code::Derived,
                words: format!(
                    "`from` names `{}`, which the expression does not read",
                    around.join(".")
                ),
                hint: "take it out".to_owned(),
            });
        }
        unread_in(&input.inner, around, paths, found);
        around.pop();
    }
}

/// Reads a fragment on an API.
pub(super) struct Reader<'s> {
    pub(super) schema: &'s Schema,
    pub(super) api: &'s Valid<Sdl>,
    pub(super) read: Read,
    pub(super) faults: Vec<FragmentFault>,
}

impl Reader<'_> {
    fn fault(&mut self, at: Option<SourceSpan>, words: String, hint: impl Into<String>) {
        let (span, code) = (span_of(at), Code::Derived);
        self.faults.push(FragmentFault { span, code, words, hint: hint.into() });
    }

    pub(super) fn set(
        &mut self,
        parent: &str,
        selections: &[Selection],
        level: usize,
    ) -> Vec<Input> {
        let mut inputs: Vec<Input> = Vec::new();
        for selection in selections {
            let Selection::Field(field) = selection else {
                let at = match selection {
                    Selection::InlineFragment(fragment) => fragment.location(),
                    Selection::FragmentSpread(spread) => spread.location(),
                    Selection::Field(field) => field.location(),
                };
                let hint = "an input is a field of one type: interfaces and unions are not read";
                self.fault(at, "`from` selects fields, without fragments".to_owned(), hint);
                continue;
            };
            let Some(input) = self.field(parent, field, level) else { continue };
            if inputs.iter().any(|known| known.field.name == input.field.name) {
                let words = format!("`{}` is named twice", input.field.name);
                let hint = "give one of them another name: `last: trips(last: 1) { nights }`";
                self.fault(field.location(), words, hint);
                continue;
            }
            inputs.push(input);
        }
        inputs
    }

    fn field(
        &mut self,
        parent: &str,
        field: &apollo_compiler::ast::Field,
        level: usize,
    ) -> Option<Input> {
        let at = field.name.location();
        if field.name == "__typename" {
            return None;
        }
        if let Some(directive) = field.directives.first() {
            let words = format!("`from` has no use for `@{}`", directive.name);
            self.fault(directive.location(), words, "take it out");
            return None;
        }
        if field.arguments.iter().any(|argument| has_variable(&argument.value)) {
            let words = format!("`{}` is given a variable", field.name);
            self.fault(at, words, "inputs are the same for everybody: write a constant");
            return None;
        }
        let Ok(found) = self.api.type_field(parent, &field.name) else {
            self.unknown(parent, &field.name);
            return None;
        };
        if let Some(present) = self.present_name(parent, &field.name) {
            let words = format!("`{}` is an earlier name, which ends some day", field.name);
            self.fault(at, words, format!("write `{present}`"));
            return None;
        }
        let ty = found.ty.clone();
        if let Ok(parent) = Name::new(parent) {
            self.read.fields.push((parent, field.name.clone(), level));
        }
        let inner_type = ty.inner_named_type().clone();
        let (item, inner) = match self.api.types.get(&inner_type) {
            Some(ExtendedType::Object(_)) => {
                if field.selection_set.is_empty() {
                    let words = format!("`{}` is a {inner_type}: say what of it", field.name);
                    let hint = format!("write `{} {{ … }}`", field.name);
                    self.fault(at, words, hint);
                    return None;
                }
                let inner = self.set(&inner_type, &field.selection_set, level + 1);
                (DataType::Struct(fields(&inner)), inner)
            }
            Some(ExtendedType::Interface(_) | ExtendedType::Union(_)) => {
                let words = format!("`{}` may be of several types", field.name);
                self.fault(at, words, "an input is a field of one type");
                return None;
            }
            Some(ExtendedType::Enum(_)) => (DataType::String, Vec::new()),
            _ => (self.scalar(parent, field, &inner_type)?, Vec::new()),
        };
        let (data_type, nullable) = wrapped(&ty, item);
        let key = field.alias.as_ref().unwrap_or(&field.name);
        let field = Field::new(key.as_str(), data_type, nullable);
        let is_enum = matches!(self.api.types.get(&inner_type), Some(ExtendedType::Enum(_)));
        let of_enum = is_enum.then_some(inner_type);
        Some(Input { field, span: span_of(key.location()), of_enum, inner })
    }

    /// The type of a scalar. What a column holds, the model knows better than the API.
    fn scalar(
        &mut self,
        parent: &str,
        field: &apollo_compiler::ast::Field,
        name: &Name,
    ) -> Option<DataType> {
        let object = self.schema.types.get(parent);
        let column = object.and_then(|object| object.fields.get(field.name.as_str())?.column());
        if let Some(column) = column {
            return Some(match &column.data_type {
                DataType::List { item, .. } => item.as_ref().clone(),
                data_type => data_type.clone(),
            });
        }
        Some(match name.as_str() {
            "Int" => DataType::Int,
            "Float" => DataType::Float,
            "String" | "ID" => DataType::String,
            "Boolean" => DataType::Boolean,
            "Long" => DataType::Long,
            "Date" => DataType::Date,
            "DateTime" => DataType::DateTime,
            "UUID" => DataType::Uuid,
            _ => {
                let words = format!("an expression cannot read `{}`, a {name}", field.name);
                let hint = match name.as_str() {
                    "Decimal" => "how many digits it has is not known here",
                    _ => {
                        "it reads Boolean, Int, Long, Float, String, ID, Date, DateTime, UUID and enums"
                    }
                };
                self.fault(field.name.location(), words, hint);
                return None;
            }
        })
    }

    /// What a field is called today of which this is an earlier name.
    fn present_name(&self, parent: &str, name: &str) -> Option<String> {
        let object = self.schema.types.get(parent)?;
        if object.fields.contains_key(name) {
            return None;
        }
        let renamed = |field: &&FieldDef| field.was.iter().any(|was| was.name.as_ref() == name);
        object.fields.values().find(renamed).map(|field| field.name.to_string())
    }

    fn unknown(&mut self, parent: &str, name: &Name) {
        let names: Vec<&str> = match self.api.types.get(parent) {
            Some(ExtendedType::Object(object)) => {
                object.fields.keys().map(|name| name.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let near = suggest::closest(name, names.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if (1..=12).contains(&names.len()) => {
                format!("its fields are `{}`", names.join("`, `"))
            }
            None => "name a field of the API".to_owned(),
        };
        self.faults.push(FragmentFault {
            span: span_of(name.location()),
            code: Code::UnknownField,
            words: format!("`{parent}` has no field `{name}`"),
            hint,
        });
    }

    /// Whether arguments are what the API takes.
    pub(super) fn arguments(&mut self, object: &str, from: &str) {
        let Ok(name) = Name::new(object) else { return };
        if !self.faults.is_empty() {
            return;
        }
        let Err(failed) = FieldSet::parse_and_validate(self.api, name, from, "from") else {
            return;
        };
        if let Some(error) = failed.errors.iter().next() {
            let words = words(&error.error.to_string());
            self.fault(error.error.location(), words, "see what the API takes");
        }
    }
}

fn span_of(at: Option<SourceSpan>) -> Span {
    at.map_or(Span::default(), |at| Span { start: at.offset(), end: at.end_offset() })
}

/// A type of the API over what its items are, and whether it may be null.
fn wrapped(ty: &Type, item: DataType) -> (DataType, bool) {
    match ty {
        Type::Named(_) => (item, true),
        Type::NonNullNamed(_) => (item, false),
        Type::List(inner) | Type::NonNullList(inner) => {
            let (item, nullable) = wrapped(inner, item);
            (DataType::List { item: Box::new(item), nullable }, !ty.is_non_null())
        }
    }
}

fn has_variable(value: &Value) -> bool {
    match value {
        Value::Variable(_) => true,
        Value::List(items) => items.iter().any(|item| has_variable(item)),
        Value::Object(fields) => fields.iter().any(|(_, value)| has_variable(value)),
        _ => false,
    }
}
