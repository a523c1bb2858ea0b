//! Which column tells the rows of a file apart.
//!
//! In: drafts. Out: the same drafts with their keys. A key has a value in every row, never the same
//! twice, and a name that people give to keys. Not here: keys of several columns.

use frame::DataType;

use super::draft::{Draft, DraftField};

/// Below this a column is unique by chance.
const ENOUGH: u32 = 40;

/// Chooses the key of every draft that has one.
pub(super) fn choose(drafts: &mut [Draft<'_>]) {
    for draft in drafts {
        let rated = draft
            .fields
            .iter()
            .enumerate()
            .filter_map(|(position, field)| Some((rating(draft, position, field)?, position)));
        // The earlier column wins a tie.
        let best = rated.max_by_key(|(rating, position)| (*rating, usize::MAX - position));
        match best.filter(|(rating, _)| *rating >= ENOUGH) {
            Some((_, position)) => take(draft, position),
            None if draft.profile.rows > 0 && !draft.fields.is_empty() => draft.notes.push(
                "no column tells all rows apart by name and value, so that rows are only appended"
                    .to_owned(),
            ),
            None => {}
        }
    }
}

fn take(draft: &mut Draft<'_>, position: usize) {
    let rows = draft.profile.rows;
    let field = &mut draft.fields[position];
    let distinct = field.column.sketch.distinct();
    field.note = if field.column.sketch.is_exact() {
        format!("key: {distinct} different values in {rows} rows, none missing")
    } else {
        format!("key: about {distinct} different values in {rows} rows, none missing")
    };
    field.is_id = field.data_type == DataType::String;
    draft.key = Some(position);
}

/// How good a key the column is; `None` when it cannot be one.
fn rating(draft: &Draft<'_>, position: usize, field: &DraftField<'_>) -> Option<u32> {
    let rows = draft.profile.rows;
    let fits = matches!(
        field.data_type,
        DataType::String | DataType::Int | DataType::Long | DataType::Uuid
    );
    if !fits || rows == 0 || field.column.nulls > 0 || !is_unique(field, rows) {
        return None;
    }
    let last = field.words.last().map_or("", String::as_str);
    let own = field.words.len() > 1 && draft.words.ends_with(&field.words[..field.words.len() - 1]);
    let by_name = match last {
        "id" | "uuid" | "guid" if field.words.len() == 1 => 100,
        "id" | "uuid" | "key" | "code" | "no" | "number" if own => 90,
        "key" | "code" | "slug" | "isbn" | "sku" | "ean" | "email" if field.words.len() == 1 => 70,
        "id" | "uuid" => 50,
        _ if field.words == draft.words => 60,
        _ if field.data_type == DataType::Uuid => 60,
        _ => 0,
    };
    // A first column that counts up, or that holds short words, is a key by custom.
    let counts_up =
        matches!(field.data_type, DataType::Int | DataType::Long) && field.column.ascending;
    let short = field.data_type == DataType::String
        && field.column.longest <= 40
        && field.column.with_spaces == 0;
    let by_place = if position == 0 && (counts_up || short) && rows > 1 { 45 } else { 0 };
    // One row proves nothing by its values.
    let proven = rows > 1 || by_name >= 70;
    Some(if proven { by_name.max(by_place) } else { 0 })
}

fn is_unique(field: &DraftField<'_>, rows: u64) -> bool {
    let distinct = field.column.sketch.distinct();
    if field.column.sketch.is_exact() {
        distinct == rows
    } else {
        // The estimate is good to about two percent; the import refuses what is twice there.
        distinct as f64 >= rows as f64 * 0.95
    }
}
