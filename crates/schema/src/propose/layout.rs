//! How large files are laid out.
//!
//! In: a draft with its key and references. Out: the same draft with buckets, partitions and order,
//! where the file is large enough for them to matter. Not here: small files, which one data file
//! holds.

use chrono::{DateTime, NaiveDate};
use frame::DataType;

use super::draft::{Draft, DraftField};

/// Below this a table is one data file, and every division makes it slower.
const LARGE_ROWS: u64 = 1_000_000;
const LARGE_BYTES: u64 = 256 << 20;

/// What one bucket should hold.
const BUCKET_BYTES: u64 = 128 << 20;

/// What one partition should hold at least.
const PARTITION_ROWS: u64 = 500_000;

/// Adds the layout of a large table.
pub(super) fn lay_out(draft: &mut Draft<'_>) {
    let (rows, bytes) = (draft.profile.rows, draft.profile.bytes);
    if draft.fields.is_empty() || (rows < LARGE_ROWS && bytes < LARGE_BYTES) {
        return;
    }
    let moment = draft.fields.iter().find(|field| field.data_type == DataType::DateTime);
    let moment =
        moment.or_else(|| draft.fields.iter().find(|field| field.data_type == DataType::Date));
    let moment = moment.map(|field| (field.name.clone(), divided(field, rows)));
    let by_reference = draft.references.iter().find(|reference| !reference.many);
    let bucketed = match draft.key {
        Some(key) => Some(draft.fields[key].name.clone()),
        None => by_reference.map(|reference| reference.by.clone()),
    };
    if let Some(by) = &bucketed {
        let count = (bytes / BUCKET_BYTES).clamp(4, 256).next_power_of_two();
        draft.layout.push(format!("bucket: {{ by: \"{by}\", count: {count} }}"));
        draft.notes.push(format!(
            "{count} buckets by `{by}`: {rows} rows in {} MiB, looked up and joined by it",
            bytes >> 20
        ));
    }
    match moment {
        Some((name, Some(part))) => {
            draft.layout.push(format!("partition: \"{part}({name})\""));
            draft.notes.push(format!(
                "one partition a {part} of `{name}`: about {PARTITION_ROWS} rows or more in each"
            ));
            draft.layout.push(format!("sort: \"{name}\""));
        }
        Some((name, None)) => draft.layout.push(format!("sort: \"{name}\"")),
        None => draft.layout.extend(bucketed.map(|by| format!("sort: \"{by}\""))),
    }
}

/// The finest part of a date of which each holds enough rows.
fn divided(field: &DraftField<'_>, rows: u64) -> Option<&'static str> {
    let day = |text: &str| {
        let date = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok();
        date.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.date_naive()))
    };
    let first = day(field.column.min.as_deref()?)?;
    let last = day(field.column.max.as_deref()?)?;
    let days = u64::try_from((last - first).num_days()).ok()?.max(1);
    let parts = [("day", days), ("month", days / 30), ("year", days / 365)];
    let enough = |(_, count): &&(&str, u64)| *count > 1 && rows / count >= PARTITION_ROWS;
    parts.iter().find(enough).map(|(part, _)| *part)
}
