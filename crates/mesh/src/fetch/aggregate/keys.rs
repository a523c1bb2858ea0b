//! `groupBy` as keys of groups.

use std::str::FromStr;
use std::sync::Arc;

use base::{Error, Result};
use frame::aggregate::width_of;
use frame::{DataType, DateUnit, Expr, GroupBy, GroupKey, Value};
use schema::TypeId;
use serde_json::Value as Json;

use super::single;
use crate::fetch::filter::Names;
use crate::fetch::values::value;
use crate::plan::MeasureKind;

/// The keys that the argument names, each called `keys.<field>`.
pub(super) fn keys(names: Names<'_>, id: TypeId, json: Option<&Json>) -> Result<Vec<GroupKey>> {
    let items = json.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let mut keys: Vec<GroupKey> = Vec::with_capacity(items.len());
    for item in items {
        let key = key(names, id, item)?;
        if keys.iter().any(|known| known.name == key.name) {
            return Err(Error::invalid(format!("`groupBy` names a field twice: `{}`", key.name)));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn key(names: Names<'_>, id: TypeId, item: &Json) -> Result<GroupKey> {
    let (given, json) = single("groupBy", item)?;
    let object = names.schema.object(id);
    let found = names.api.field(id, given).map(|found| object.field(found.field));
    let column = found.and_then(|field| Some((field, field.column()?)));
    let Some((field, column)) = column else {
        return Err(Error::invalid(format!("`{}` cannot be grouped by `{given}`", object.name)));
    };
    let by = match json {
        Json::Object(how) => match how.get("bucket").filter(|width| !width.is_null()) {
            None => GroupBy::Value,
            Some(width) => {
                let wrong =
                    |error: String| Error::invalid(format!("`groupBy.{given}.bucket`: {error}"));
                let width = width_value(&column.data_type, width).map_err(wrong)?;
                width_of(&width, &column.data_type)
                    .map_err(|error| error.context(format!("failed to group by `{given}`")))?;
                GroupBy::Bucket(width)
            }
        },
        word => match word.as_str() {
            Some("YEAR") => GroupBy::Truncated(DateUnit::Year),
            Some("MONTH") => GroupBy::Truncated(DateUnit::Month),
            Some("DAY") => GroupBy::Truncated(DateUnit::Day),
            Some("HOUR") => GroupBy::Truncated(DateUnit::Hour),
            _ => GroupBy::Value,
        },
    };
    let name: Arc<str> = format!("{}.{}", MeasureKind::Keys.name(), field.name).into();
    Ok(GroupKey { name, input: Expr::field(&field.name, column.data_type.clone()), by })
}

/// A width comes as a `Decimal`, whatever numbers the field has.
fn width_value(data_type: &DataType, json: &Json) -> Result<Value, String> {
    match (data_type, json) {
        (DataType::Int | DataType::Long, json) => value(&DataType::Long, json),
        (DataType::Float, Json::String(digits)) => f64::from_str(digits)
            .map(Value::Float)
            .map_err(|_| format!("\"{digits}\" is not a number")),
        (data_type, json) => value(data_type, json),
    }
}
