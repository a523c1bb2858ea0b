//! Which columns hold keys of other files.
//!
//! In: drafts with keys. Out: the same drafts with references both ways. A reference needs both: a
//! name that says it, and values of which at least nine in ten are keys of the other file. Not here:
//! references by several columns.

use frame::DataType;

use super::draft::{Draft, DraftReference};
use super::name;

/// The share of values that must be keys of the other file.
const ENOUGH: f64 = 0.9;

/// What was found: fields of one draft hold keys of another.
struct Found {
    from: usize,
    field: usize,
    to: usize,
    overlap: f64,
}

/// Finds references and adds them on both sides.
pub(super) fn relate(drafts: &mut [Draft<'_>]) {
    let mut found = Vec::new();
    for from in 0..drafts.len() {
        for field in 0..drafts[from].fields.len() {
            let best = (0..drafts.len())
                .filter_map(|to| candidate(drafts, from, field, to))
                .max_by(|a, b| a.0.cmp(&b.0).then(a.1.overlap.total_cmp(&b.1.overlap)));
            found.extend(best.map(|(_, found)| found));
        }
    }
    for reference in &found {
        let several = found
            .iter()
            .filter(|other| (other.from, other.to) == (reference.from, reference.to))
            .count();
        unify_types(drafts, reference);
        add(drafts, reference, several > 1);
    }
}

/// Whether the field's name and values say that it holds keys of `to`, and how clearly.
fn candidate(drafts: &[Draft<'_>], from: usize, field: usize, to: usize) -> Option<(u32, Found)> {
    let target = &drafts[to];
    let key = &target.fields[target.key?];
    let held = &drafts[from].fields[field];
    if drafts[from].key == Some(field) && from == to {
        return None;
    }
    let comparable = match (&held.data_type, &key.data_type) {
        (DataType::Int | DataType::Long, DataType::Int | DataType::Long) => true,
        (a, b) => a == b,
    };
    if !comparable {
        return None;
    }
    let clarity = by_name(&held.words, &target.words, &key.words, from == to)?;
    // Two tables that share a key are two halves of one thing; the one with more rows refers.
    if drafts[from].key == Some(field)
        && drafts[from].profile.rows <= target.profile.rows
        && from < to
    {
        return None;
    }
    if drafts[from].key == Some(field) && drafts[from].profile.rows < target.profile.rows {
        return None;
    }
    let overlap = held.column.sketch.containment_in(&key.column.sketch);
    (overlap >= ENOUGH).then_some((clarity, Found { from, field, to, overlap }))
}

/// How clearly a field's name points at a key, if at all.
fn by_name(field: &[String], target: &[String], key: &[String], same: bool) -> Option<u32> {
    let whole: Vec<String> = target.iter().chain(key).cloned().collect();
    let is_plain_key = |words: &[String]| matches!(words, [one] if one == "id" || one == "key" || one == "code" || one == "uuid");
    if field == whole || (!same && field == key && !is_plain_key(key)) {
        return Some(4);
    }
    if !same && field == target {
        return Some(3);
    }
    // `authorUserId` for users with `id` or `userId`; `fromStation` for stations.
    let ends = |ending: &[String]| field.len() > ending.len() && field.ends_with(ending);
    if ends(&whole) || (!is_plain_key(key) && ends(key)) {
        return Some(2);
    }
    if ends(target) {
        return Some(1);
    }
    // `parentId` within one table.
    let parent = field.first().is_some_and(|word| word == "parent");
    (same && parent).then_some(1)
}

/// Both sides have one type: of two widths of numbers the wider, of text `ID`.
fn unify_types(drafts: &mut [Draft<'_>], found: &Found) {
    let Some(key) = drafts[found.to].key else { return };
    let wide = [&drafts[found.from].fields[found.field], &drafts[found.to].fields[key]]
        .iter()
        .any(|field| field.data_type == DataType::Long);
    for (draft, field) in [(found.from, found.field), (found.to, key)] {
        let field = &mut drafts[draft].fields[field];
        match field.data_type {
            DataType::Int if wide => field.data_type = DataType::Long,
            DataType::String => field.is_id = true,
            _ => {}
        }
    }
}

fn add(drafts: &mut [Draft<'_>], found: &Found, several: bool) {
    let from = &drafts[found.from];
    let to = &drafts[found.to];
    let field = &from.fields[found.field];
    let by = field.name.clone();
    let percent = (found.overlap * 100.0).floor();
    let distinct = field.column.sketch.distinct();
    let note =
        format!("{percent} % of the {distinct} different values are keys of `{}`", to.type_name);
    let mut role = field.words.clone();
    if role.len() > 1
        && role.last().is_some_and(|last| {
            matches!(last.as_str(), "id" | "key" | "code" | "uuid" | "no" | "number")
        })
    {
        role.pop();
    }
    let one_name = free(from, &name::camel(&role), "Row");
    let mut many = name::plural(&from.words);
    if several {
        many.push("by".to_owned());
        many.extend(role);
    }
    let many_name = free(to, &name::camel(&many), "Rows");
    let (from_type, to_type) = (from.type_name.clone(), to.type_name.clone());
    let order = latest_first(from);
    let back = format!("rows of `{from_type}` whose `{by}` is this key");
    drafts[found.from].references.push(DraftReference {
        name: one_name,
        target: to_type,
        by: by.clone(),
        many: false,
        order: None,
        note,
    });
    drafts[found.to].references.push(DraftReference {
        name: many_name,
        target: from_type,
        by,
        many: true,
        order,
        note: back,
    });
}

/// The first moment of a row orders lists, latest first.
fn latest_first(draft: &Draft<'_>) -> Option<String> {
    let moments =
        |data_type: DataType| draft.fields.iter().find(move |field| field.data_type == data_type);
    let moment = moments(DataType::DateTime).or_else(|| moments(DataType::Date))?;
    Some(format!("{} desc", moment.name))
}

/// A name that no field of the draft has.
fn free(draft: &Draft<'_>, wanted: &str, otherwise: &str) -> String {
    let taken = |name: &str| {
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        draft.fields.iter().any(|field| same(&field.name))
            || draft.references.iter().any(|reference| same(&reference.name))
            || ["and", "or", "not"].iter().any(|reserved| same(reserved))
    };
    let mut name = wanted.to_owned();
    let mut number = 1;
    while taken(&name) {
        name = format!("{wanted}{otherwise}");
        if number > 1 {
            name.push_str(&number.to_string());
        }
        number += 1;
    }
    name
}
