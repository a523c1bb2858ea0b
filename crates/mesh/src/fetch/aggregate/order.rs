//! `orderBy` of groups: by keys and measures, and at last by the keys, so that no two groups tie.

use base::{Error, Result};
use frame::Order;
use serde_json::Value as Json;

use super::{Asked, share, single};
use crate::plan::MeasureKind;

/// The order of the groups; what it looks at is measured.
pub(super) fn order(asked: &mut Asked<'_>, json: Option<&Json>) -> Result<Vec<Order>> {
    let items = json.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let mut order = items.iter().map(|item| sort_key(asked, item)).collect::<Result<Vec<_>>>()?;
    for key in &asked.aggregate.group {
        if !order.iter().any(|item| item.field == key.name) {
            order.push(Order::by(key.name.clone(), false));
        }
    }
    Ok(order)
}

fn sort_key(asked: &mut Asked<'_>, item: &Json) -> Result<Order> {
    let (measure, json) = single("orderBy", item)?;
    let kind = MeasureKind::named(measure)
        .ok_or_else(|| Error::invalid(format!("there is no measure `{measure}`")))?;
    if kind == MeasureKind::Rows {
        return Ok(Order::by(asked.rows()?.0, *json == "DESC"));
    }
    let (share, json) = match kind {
        MeasureKind::Percentile => (share(json.get("p"))?, json.get("of").unwrap_or(&Json::Null)),
        _ => (0.0, json),
    };
    let (field, direction) = single(&format!("orderBy.{measure}"), json)?;
    let field = asked.field(field)?;
    let (column, _) = asked.measure(kind, field, share)?;
    Ok(Order::by(column, *direction == "DESC"))
}
