//! Which column of a file goes to which field: by the exact name, then by an earlier or physical
//! name, then without regard to case, underscores, spaces and hyphens.
//!
//! In: the names that a file has. Out: for each the position of its field, or `None` for one that is
//! left out. An unknown or doubled name, and a required field without a column, are errors.

use base::{Error, Place, Result};

use super::shape::{Shape, Target};
use crate::source::ReadOptions;

/// Finds the field of each named column; `place` is where the names stand.
pub fn bind(
    names: &[String],
    shape: &Shape,
    options: &ReadOptions,
    place: &Place,
) -> Result<Vec<Option<usize>>> {
    let mut taken: Vec<Option<&str>> = vec![None; shape.targets.len()];
    let mut slots = Vec::with_capacity(names.len());
    for name in names {
        let slot = if is_skipped(name, options) { None } else { resolve(name, shape) };
        match slot {
            Some(slot) => {
                if let Some(earlier) = taken[slot].replace(name) {
                    return Err(doubled(earlier, name, &shape.targets[slot], place));
                }
            }
            None if is_skipped(name, options) || options.ignore_unknown => {}
            None => return Err(unknown(name, shape, place)),
        }
        slots.push(slot);
    }
    Ok(slots)
}

/// The field that a name means.
pub fn resolve(name: &str, shape: &Shape) -> Option<usize> {
    let position = |wanted: &dyn Fn(&Target) -> bool| shape.targets.iter().position(wanted);
    let loose = loose(name);
    position(&|target| target.name.as_ref() == name)
        .or_else(|| position(&|target| target.aliases.iter().any(|alias| alias.as_ref() == name)))
        .or_else(|| position(&|target| self::loose(&target.name) == loose))
        .or_else(|| {
            position(&|target| target.aliases.iter().any(|alias| self::loose(alias) == loose))
        })
}

/// Refuses a file without a column for a required field that has no default.
pub fn check_required(slots: &[Option<usize>], shape: &Shape, place: &Place) -> Result<()> {
    let given = |index: usize| slots.contains(&Some(index));
    let missing = shape
        .targets
        .iter()
        .enumerate()
        .find(|(index, target)| !target.nullable && target.default.is_none() && !given(*index));
    let Some((_, target)) = missing else { return Ok(()) };
    let message = format!(
        "the file has no column for the required field `{}` of `{}`",
        target.name, shape.type_name
    );
    Err(Error::invalid(message).at(place.clone()).hint(
        "name the column so, name columns with `--columns a,b,c`, or make the field nullable",
    ))
}

/// A file without a header: the columns are named by the user, or are the fields in their order.
pub fn positional(
    width: usize,
    shape: &Shape,
    options: &ReadOptions,
    place: &Place,
) -> Result<Vec<Option<usize>>> {
    if let Some(columns) = &options.columns {
        if columns.len() != width {
            let message =
                format!("`--columns` names {} columns, and the file has {width}", columns.len());
            return Err(Error::invalid(message)
                .at(place.clone())
                .hint("name every column; `_` skips one"));
        }
        return bind(columns, shape, options, place);
    }
    if width != shape.targets.len() {
        let message = format!(
            "the file has no header and {width} columns, and `{}` has {} fields",
            shape.type_name,
            shape.targets.len()
        );
        return Err(Error::invalid(message)
            .at(place.clone())
            .hint("name the columns with `--columns a,b,c` (`_` skips one), or say `--header`"));
    }
    Ok((0..width).map(Some).collect())
}

/// A column that the user told to skip.
fn is_skipped(name: &str, options: &ReadOptions) -> bool {
    options.columns.is_some() && (name.is_empty() || name == "_")
}

/// The letters and digits of a name, in lower case.
pub fn loose(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.'));
    kept.flat_map(char::to_lowercase).collect()
}

/// The error for a column that the type does not have.
pub fn unknown(name: &str, shape: &Shape, place: &Place) -> Error {
    let message = format!("type `{}` has no field `{name}`", shape.type_name);
    let error = Error::invalid(message).at(place.clone());
    match did_you_mean(name, shape) {
        Some(similar) => {
            error.hint(format!("did you mean `{similar}`? or leave it out with `--ignore-unknown`"))
        }
        None => error.hint("add the field to the type, or leave it out with `--ignore-unknown`"),
    }
}

fn doubled(first: &str, second: &str, target: &Target, place: &Place) -> Error {
    let message = if first == second {
        format!("column `{first}` occurs twice")
    } else {
        format!("columns `{first}` and `{second}` both name the field `{}`", target.name)
    };
    Error::invalid(message).at(place.clone()).hint("rename or remove one of them")
}

fn did_you_mean<'s>(name: &str, shape: &'s Shape) -> Option<&'s str> {
    let loose_name = loose(name);
    let distance = |target: &Target| distance(&loose_name, &loose(&target.name));
    let nearest = shape.targets.iter().min_by_key(|target| distance(target))?;
    // Two swapped letters count twice, and are the commonest slip.
    let allowed = (loose_name.chars().count() / 3).max(2).min(loose_name.chars().count() / 2);
    (distance(nearest) <= allowed).then_some(nearest.name.as_ref())
}

/// How many letters must be put in, taken out or changed to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
