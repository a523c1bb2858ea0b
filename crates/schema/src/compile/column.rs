//! Stored columns: in come fields with their `@column`, `@vector` and `@media`, out come their types,
//! names in files, and defaults. Embedded types are unfolded here, and refused when they contain
//! themselves.

use std::sync::Arc;

use frame::DataType;

use crate::diagnostic::Code;
use crate::expression::{self, Scope};
use crate::model::{ColumnSpec, Schema, TypeId, VectorSpec};

use super::declare::{Declared, Field, Object};
use super::directives::Applied;
use super::field::Role;
use super::report::Report;
use super::shape::{self, Named, Shape};
use super::{derived, names, vector};

/// By object, then by field.
pub(crate) type Columns = Vec<Vec<Option<ColumnSpec>>>;

/// How deeply embedded types may nest.
const MAX_EMBEDDED_DEPTH: usize = 16;

/// How many values one row may have, with those of embedded types.
const MAX_VALUES: usize = 2_000;

/// Columns and vectors of all types.
pub(crate) struct Built {
    pub(crate) columns: Columns,
    pub(crate) vectors: Vec<Vec<Option<VectorSpec>>>,
}

/// Builds the columns of all types.
pub(crate) fn columns(
    declared: &Declared<'_>,
    roles: &[Vec<Role>],
    report: &mut Report<'_>,
) -> Built {
    let mut builder = Builder {
        declared,
        roles,
        report,
        structs: vec![Unfolded::New; declared.objects.len()],
        built: Built { columns: Vec::new(), vectors: Vec::new() },
    };
    builder.built.columns =
        declared.objects.values().map(|object| vec![None; object.fields.len()]).collect();
    builder.built.vectors =
        declared.objects.values().map(|object| vec![None; object.fields.len()]).collect();
    for index in 0..declared.objects.len() {
        builder.object(index, 0);
    }
    for object in 0..declared.objects.len() {
        builder.stored_names(object);
    }
    builder.built
}

/// How far the unfolding of a type has come.
#[derive(Clone)]
enum Unfolded {
    New,
    Running,
    Done(Option<(Vec<frame::Field>, usize)>),
}

struct Builder<'d, 'a, 'r, 's> {
    declared: &'d Declared<'a>,
    roles: &'d [Vec<Role>],
    report: &'r mut Report<'s>,
    structs: Vec<Unfolded>,
    built: Built,
}

impl<'d, 'a> Builder<'d, 'a, '_, '_> {
    /// The columns of a type as fields of a struct, with how many values they are.
    fn object(&mut self, index: usize, depth: usize) -> Option<(Vec<frame::Field>, usize)> {
        if let Unfolded::Done(done) = &self.structs[index] {
            return done.clone();
        }
        self.structs[index] = Unfolded::Running;
        let object = &self.declared.objects[index];
        let mut fields = Some(Vec::new());
        let mut values = 0;
        for (position, field) in object.fields.values().enumerate() {
            let column = match self.roles[index][position] {
                Role::Column => self.column(index, field, depth),
                Role::Media => Some(self.media(field)),
                _ => continue,
            };
            values += column.as_ref().map_or(1, |(_, values)| *values);
            if values > MAX_VALUES {
                let words =
                    format!("a row of `{}` has more than {MAX_VALUES} values", object.name());
                self.report.at(Code::Limit, field.at(), words).hint("split the type");
                fields = None;
                break;
            }
            if let (Some((column, _)), Some(fields)) = (&column, &mut fields) {
                let nullable = !field.node.ty.is_non_null();
                fields.push(frame::Field::new(field.name(), column.data_type.clone(), nullable));
            } else {
                fields = None;
            }
            self.built.columns[index][position] = column.map(|(column, _)| column);
            self.vector(index, position, field);
        }
        let done = fields.map(|fields| (fields, values));
        self.structs[index] = Unfolded::Done(done.clone());
        done
    }

    fn media(&mut self, field: &Field<'_>) -> (ColumnSpec, usize) {
        let applied = field.directives.get("column");
        if let Some(applied) = applied {
            for argument in ["type", "default"] {
                if let Some(text) = applied.text(argument) {
                    let words = format!("a medium has no `{argument}` of its column");
                    self.report.at(Code::ColumnType, text.at, words).hint("take it out");
                }
            }
        }
        let data_type = Schema::media_type();
        let column = ColumnSpec {
            column: stored_name(field),
            data_type,
            enum_name: None,
            embedded: None,
            is_id: false,
            default: None,
        };
        (column, 13)
    }

    fn column(
        &mut self,
        object: usize,
        field: &Field<'_>,
        depth: usize,
    ) -> Option<(ColumnSpec, usize)> {
        // The roles have said what is wrong with the type; a `Column` has a right one.
        let shape = shape::of(field, self.declared, self.report)?;
        let (item, values) = self.item(object, field, &shape, depth)?;
        let data_type = match shape.list {
            Some(nullable) => DataType::List { item: Box::new(item), nullable },
            None => item,
        };
        let mut column = ColumnSpec {
            column: stored_name(field),
            data_type,
            enum_name: match &shape.named {
                Named::Enum(name) => Some(name.as_str().into()),
                _ => None,
            },
            embedded: match shape.named {
                Named::Object(index) => Some(TypeId(u32::try_from(index).ok()?)),
                _ => None,
            },
            is_id: shape.named == Named::Id,
            default: None,
        };
        if let Some(applied) = field.directives.get("column") {
            self.default(applied, field, &shape, &mut column);
        }
        Some((column, values))
    }

    /// The type of one value, with how many values it is.
    fn item(
        &mut self,
        object: usize,
        field: &Field<'_>,
        shape: &Shape,
        depth: usize,
    ) -> Option<(DataType, usize)> {
        let given = match field.directives.get("column") {
            Some(applied) if applied.text("type").is_some() => {
                Some(self.given_type(applied, shape)?)
            }
            _ => None,
        };
        let data_type = match &shape.named {
            Named::Scalar(data_type) => data_type.clone(),
            Named::Id | Named::Enum(_) => DataType::String,
            Named::Decimal => match given {
                Some(given) => given,
                None => {
                    let words = format!("`{}` does not say how many digits it has", field.name());
                    self.report
                        .at(Code::MissingTypeParameter, field.at_type(), words)
                        .hint("write `@column(type: \"decimal(18,2)\")`");
                    return None;
                }
            },
            Named::Vector => {
                if shape.list.is_some() {
                    self.report.at(
                        Code::UnsupportedField,
                        field.at_type(),
                        "a list of vectors is not offered",
                    );
                    return None;
                }
                let dimension = vector::dimension_of_column(field, given.as_ref(), self.report)?;
                DataType::Vector { dimension }
            }
            Named::Media => return None,
            Named::Object(target) => return self.embedded(object, field, *target, depth),
        };
        Some((data_type, 1))
    }

    fn embedded(
        &mut self,
        object: usize,
        field: &Field<'_>,
        target: usize,
        depth: usize,
    ) -> Option<(DataType, usize)> {
        let name = self.declared.objects[target].name();
        if target == object || matches!(self.structs[target], Unfolded::Running) {
            let words = format!("`{name}` would contain itself");
            self.report
                .at(Code::RecursiveType, field.at_type(), words)
                .hint("make it a table with `@table` and `@key`, and refer to it with `@ref`");
            return None;
        }
        if depth >= MAX_EMBEDDED_DEPTH {
            let words = format!("types nest more than {MAX_EMBEDDED_DEPTH} deep inside a row");
            self.report.at(Code::Limit, field.at_type(), words);
            return None;
        }
        let (fields, values) = self.object(target, depth + 1)?;
        Some((DataType::Struct(fields), values))
    }

    /// `@column(type:)`: digits of a decimal or the length of a vector.
    fn given_type(&mut self, applied: Applied<'_>, shape: &Shape) -> Option<DataType> {
        let text = applied.text("type")?;
        let (word, numbers) = taken_apart(text.value);
        let wrong = |report: &mut Report<'_>, words: String, hint: &str| {
            report.at(Code::ColumnType, text.at, words).hint(hint);
            None
        };
        match (&shape.named, word.as_str(), numbers.as_deref()) {
            (Named::Decimal, "decimal", Some([precision, scale])) => {
                match (u8::try_from(*precision), u8::try_from(*scale)) {
                    (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => {
                        Some(DataType::Decimal { precision, scale })
                    }
                    _ => wrong(
                        self.report,
                        format!("`{}` has digits that do not fit", text.value),
                        "at most 38 digits in all, and at most all of them after the point",
                    ),
                }
            }
            (Named::Vector, "vector", Some([dimension])) => {
                let dimension = u32::try_from(*dimension).unwrap_or(0);
                if vector::DIMENSIONS.contains(&dimension) {
                    return Some(DataType::Vector { dimension });
                }
                wrong(
                    self.report,
                    format!("a vector cannot have {} numbers", numbers.unwrap_or_default()[0]),
                    "a vector has 1 to 16384 numbers",
                )
            }
            (Named::Decimal, ..) => wrong(
                self.report,
                format!("`{}` is no type of a Decimal column", text.value),
                "write `decimal(18,2)`: digits in all, and after the point",
            ),
            (Named::Vector, ..) => wrong(
                self.report,
                format!("`{}` is no type of a Vector column", text.value),
                "write `vector(128)`",
            ),
            _ => wrong(
                self.report,
                "the column's type follows from the field's type".to_owned(),
                "take `type` out; it is for Decimal and Vector",
            ),
        }
    }

    fn default(
        &mut self,
        applied: Applied<'_>,
        field: &Field<'_>,
        shape: &Shape,
        column: &mut ColumnSpec,
    ) {
        let Some(text) = applied.text("default") else { return };
        let simple = !matches!(
            column.data_type,
            DataType::List { .. }
                | DataType::Struct(_)
                | DataType::Vector { .. }
                | DataType::Bytes
                | DataType::Json
        );
        if !simple {
            let words = format!("a column of type {} cannot have a default", column.data_type);
            self.report.at(Code::ColumnDefault, text.at, words).hint("take `default` out");
            return;
        }
        let expr = match expression::parse_as(text.value, &Scope::default(), &column.data_type) {
            Ok(expr) => expr,
            Err(errors) => {
                derived::expression_errors(text, errors, self.report);
                return;
            }
        };
        if !shape.nullable && expression::is_nullable(&expr, &Scope::default()) {
            let words = format!("`{}` is not null, and its default is", field.name());
            self.report.at(Code::ColumnDefault, text.at, words).hint("give a value");
            return;
        }
        if let (Named::Enum(name), frame::Node::Literal(frame::Value::String(value))) =
            (&shape.named, &expr.node)
        {
            let values = self.declared.enums[name.as_str()].values.iter().map(AsRef::as_ref);
            if !values.clone().any(|known: &str| known == value.as_ref()) {
                self.report
                    .at(Code::ColumnDefault, text.at, format!("`{name}` has no value `{value}`"))
                    .did_you_mean(value, values, |found| format!("`'{found}'`"), "");
                return;
            }
        }
        column.default = Some(expr);
    }

    fn vector(&mut self, object: usize, position: usize, field: &Field<'_>) {
        let Some(column) = &self.built.columns[object][position] else { return };
        self.built.vectors[object][position] =
            vector::vector(field, &column.data_type, self.report);
    }

    /// Names of columns in files: allowed, and each once.
    fn stored_names(&mut self, object: usize) {
        let declared: &'d Object<'a> = &self.declared.objects[object];
        let mut taken: Vec<(String, &str)> = Vec::new();
        for (position, field) in declared.fields.values().enumerate() {
            let Some(column) = &self.built.columns[object][position] else { continue };
            let name = column.column.clone();
            let given = field.directives.get("column").filter(|a| a.text("name").is_some());
            let at = given.map_or(field.at(), |applied| applied.at_argument("name"));
            if let (Some(given), false) = (given, declared.is_table()) {
                self.report
                    .at(
                        Code::UnsupportedField,
                        given.at_argument("name"),
                        "a part of a row keeps the field's name",
                    )
                    .hint("take `name` out, or rename the field");
                continue;
            }
            if name.starts_with("__") && given.is_none() {
                // The field's own name is refused already.
                continue;
            }
            if !names::is_identifier(&name) {
                let spot = self.report.spot(at);
                names::identifier("a column", &name, spot, self.report);
                continue;
            }
            let lower = name.to_lowercase();
            if let Some((_, earlier)) = taken.iter().find(|(known, _)| *known == lower) {
                let words = format!(
                    "`{}` and `{earlier}` would both be stored in the column `{name}`",
                    field.name()
                );
                self.report
                    .at(Code::ColumnName, at, words)
                    .hint("give one of them another `@column(name:)`; case does not count");
                continue;
            }
            taken.push((lower, field.name()));
        }
    }
}

fn stored_name(field: &Field<'_>) -> Arc<str> {
    let given = field.directives.get("column").and_then(|applied| applied.text("name"));
    given.map_or(field.name(), |name| name.value).into()
}

/// `decimal(10,2)` as its word and numbers.
fn taken_apart(text: &str) -> (String, Option<Vec<u64>>) {
    let (word, rest) = text.split_once('(').unwrap_or((text, ""));
    let numbers = rest.trim_end().strip_suffix(')').and_then(|inside| {
        inside.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<u64>>>()
    });
    (word.trim().to_ascii_lowercase(), numbers)
}
