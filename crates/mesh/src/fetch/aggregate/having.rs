//! `having` as a predicate over the columns of groups; what it looks at is measured.
//!
//! A condition that is null is refused, not dropped: without it more groups would come than its writer
//! meant. Lists become trees that are only as deep as the logarithm of their length.

use base::{Error, Result};
use frame::{BinaryOp, Expr};
use serde_json::Value as Json;

use super::{Asked, Place, share};
use crate::fetch::filter::{constant, not, operator};
use crate::plan::MeasureKind;

/// The predicate of the argument; `None` when it asks for nothing.
pub(super) fn having(asked: &mut Asked<'_>, json: &Json) -> Result<Option<Expr>> {
    let mut all = Vec::new();
    for (name, json) in entries("having", json)? {
        let condition = match name.as_str() {
            "and" => Some(connected(asked, BinaryOp::And, json)?),
            "or" => Some(connected(asked, BinaryOp::Or, json)?),
            // What holds for every group holds for none when it is negated.
            "not" => Some(having(asked, json)?.map_or_else(|| constant(false), not)),
            measure => on_measure(asked, measure, json)?,
        };
        all.extend(condition);
    }
    Ok(balanced(BinaryOp::And, all))
}

/// The entries of an object, none of which may be null.
fn entries<'j>(
    place: &str,
    json: &'j Json,
) -> Result<impl Iterator<Item = (&'j String, &'j Json)> + use<'j>> {
    let object = json.as_object();
    let object = object.ok_or_else(|| Error::invalid(format!("`{place}` is not an object")))?;
    match object.iter().find(|(_, json)| json.is_null()) {
        Some((name, _)) => {
            Err(Error::invalid(format!("`{place}.{name}`: null is not a condition"))
                .hint("leave it out where it is not wanted"))
        }
        None => Ok(object.iter()),
    }
}

fn connected(asked: &mut Asked<'_>, op: BinaryOp, json: &Json) -> Result<Expr> {
    let items = json.as_array().map_or(&[][..], Vec::as_slice);
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        // An alternative without conditions holds for every group.
        parts.push(having(asked, item)?.unwrap_or_else(|| constant(true)));
    }
    // None of no alternatives holds; all of no conditions do.
    Ok(balanced(op, parts).unwrap_or_else(|| constant(op == BinaryOp::And)))
}

/// The parts as a tree of the least depth.
fn balanced(op: BinaryOp, mut parts: Vec<Expr>) -> Option<Expr> {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => left.predicate(op, right),
                None => left,
            });
        }
        parts = pairs;
    }
    parts.pop()
}

fn on_measure(asked: &mut Asked<'_>, measure: &str, json: &Json) -> Result<Option<Expr>> {
    let kind = MeasureKind::named(measure)
        .ok_or_else(|| Error::invalid(format!("there is no measure `{measure}`")))?;
    let place = format!("having.{measure}");
    if kind == MeasureKind::Rows {
        let column = asked.rows()?;
        return on_column(&place, &column, json);
    }
    let (share, json) = match kind {
        MeasureKind::Percentile => (share(json.get("p"))?, json.get("of").unwrap_or(&Json::Null)),
        _ => (0.0, json),
    };
    let mut all = Vec::new();
    for (name, json) in entries(&place, json)? {
        let field = asked.field(name)?;
        let column = asked.measure(kind, field, share)?;
        all.extend(on_column(&format!("{place}.{name}"), &column, json)?);
    }
    Ok(balanced(BinaryOp::And, all))
}

/// Conditions on one column.
fn on_column(
    place: &str,
    (name, column): &(std::sync::Arc<str>, Place),
    json: &Json,
) -> Result<Option<Expr>> {
    let measured = Expr::field(name, column.data_type.clone());
    let mut all = Vec::new();
    for (operation, json) in entries(place, json)? {
        let condition = operator(&measured, operation, json);
        let wrong = |error| Error::invalid(format!("`{place}.{operation}`: {error}"));
        all.push(condition.map_err(wrong)?);
    }
    Ok(balanced(BinaryOp::And, all))
}
