//! `@vector`: in come a field's directive and column type, out comes how its vectors are made and
//! compared.

use std::ops::RangeInclusive;

use frame::DataType;

use crate::diagnostic::Code;
use crate::model::{BUILT_IN_MODELS, Metric, ModelInput, Schema, VectorSpec};

use super::declare::Field;
use super::directives::Applied;
use super::report::Report;

/// How many numbers a vector may have.
pub(crate) const DIMENSIONS: RangeInclusive<u32> = 1..=16_384;

/// The length of a `Vector` column, from `@column(type:)` or `@vector(dimension:)`.
pub(crate) fn dimension_of_column(
    field: &Field<'_>,
    given: Option<&DataType>,
    report: &mut Report<'_>,
) -> Option<u32> {
    let applied = field.directives.get("vector");
    let stated = match applied {
        Some(applied) => dimension(applied, report)?,
        None => None,
    };
    let typed = match given {
        Some(DataType::Vector { dimension }) => Some(*dimension),
        _ => None,
    };
    match (stated, typed) {
        (Some(stated), Some(typed)) if stated != typed => {
            let at = applied.and_then(|applied| applied.at_argument("dimension"));
            let words = format!("the column has {typed} numbers and the vector {stated}");
            report.at(Code::Vector, at, words).hint("say it once");
            None
        }
        (stated, typed) => {
            let dimension = stated.or(typed);
            if dimension.is_none() {
                let words = format!("`{}` does not say how many numbers it has", field.name());
                report
                    .at(Code::MissingTypeParameter, field.at_type(), words)
                    .hint("write `@vector(dimension: 128)`");
            }
            dimension
        }
    }
}

/// The stated dimension; `None` when it is wrong, which has been said.
fn dimension(applied: Applied<'_>, report: &mut Report<'_>) -> Option<Option<u32>> {
    let Some(stated) = applied.int("dimension") else { return Some(None) };
    match u32::try_from(stated) {
        Ok(stated) if DIMENSIONS.contains(&stated) => Some(Some(stated)),
        _ => {
            let at = applied.at_argument("dimension");
            report
                .at(Code::Vector, at, format!("a vector cannot have {stated} numbers"))
                .hint("a vector has 1 to 16384 numbers");
            None
        }
    }
}

/// The vector of a stored field. A `Vector` column has one even without the directive.
pub(crate) fn vector(
    field: &Field<'_>,
    column: &DataType,
    report: &mut Report<'_>,
) -> Option<VectorSpec> {
    let applied = field.directives.get("vector");
    if let DataType::Vector { dimension } = column {
        if let Some(model) = applied.and_then(|applied| applied.text("model")) {
            report
                .at(
                    Code::Vector,
                    model.at,
                    "a `Vector` is brought by the user, not made by a model",
                )
                .hint("put `@vector(model:)` on the media or text field it is made of");
        }
        let metric = applied.map_or(Metric::Cosine, metric);
        return Some(VectorSpec { model: None, dimension: *dimension, metric });
    }
    let applied = applied?;
    let input = match column {
        DataType::String if field.node.ty.inner_named_type() == "String" => ModelInput::Text,
        DataType::Struct(_) if *column == Schema::media_type() => ModelInput::Image,
        _ => {
            report
                .at(Code::Vector, applied.at(), format!("`{}` cannot have a vector", field.name()))
                .hint("`@vector` is for `Media`, `String` and `Vector`");
            return None;
        }
    };
    let Some(model) = applied.text("model") else {
        let known = BUILT_IN_MODELS.iter().find(|known| known.input == input);
        report
            .at(Code::Vector, applied.at(), "the vector of this field needs a model")
            .hint(format!("write `@vector(model: \"{}\")`", known.map_or("…", |known| known.name)));
        return None;
    };
    let stated = dimension(applied, report)?;
    let known = BUILT_IN_MODELS.iter().find(|known| known.name == model.value);
    let dimension = match (known, stated) {
        (Some(known), _) if known.input != input => {
            let takes = if known.input == ModelInput::Text { "text" } else { "media" };
            report
                .at(Code::Vector, model.at, format!("the model `{}` takes {takes}", known.name))
                .hint("name a model that takes this field, or put `@vector` on another field");
            return None;
        }
        (Some(known), Some(stated)) if known.dimension != stated => {
            let words = format!("vectors of `{}` have {} numbers", known.name, known.dimension);
            report
                .at(Code::Vector, applied.at_argument("dimension"), words)
                .hint("take `dimension` out: it is known");
            return None;
        }
        (Some(known), _) => known.dimension,
        (None, Some(stated)) => stated,
        (None, None) => {
            let words = format!("the model `{}` is not built in", model.value);
            report.at(Code::Vector, model.at, words).did_you_mean(
                model.value,
                BUILT_IN_MODELS.iter().map(|known| known.name),
                |found| format!("`{found}`"),
                "say how many numbers its vectors have: `dimension: 512`",
            );
            return None;
        }
    };
    Some(VectorSpec { model: Some(model.value.into()), dimension, metric: metric(applied) })
}

fn metric(applied: Applied<'_>) -> Metric {
    match applied.choice("metric") {
        Some("L2") => Metric::L2,
        Some("DOT") => Metric::Dot,
        _ => Metric::Cosine,
    }
}
