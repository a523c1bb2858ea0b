//! Bounds of what derived fields read: in come those that are settled, out come the circles that they make, and
//! those that read too much.

use crate::check::{circle_words, circles};
use crate::compile::report::Report;
use crate::diagnostic::Code;
use crate::model::Schema;

use super::{MAX_FIELDS, MAX_LEVELS, Pending, is_named, path};

/// Derived fields that read each other in a circle through their fragments, and those that read too much.
pub(super) fn bounded(schema: &Schema, pending: &[Pending], report: &mut Report<'_>) {
    let reads: Vec<Vec<(usize, usize)>> = pending
        .iter()
        .map(|one| {
            let read = one.found.iter().flat_map(|read| &read.fields);
            let derived = read.filter_map(|(parent, field, level)| {
                let other = pending.iter().position(|other| is_named(schema, other, parent, field));
                other.map(|other| (other, *level))
            });
            derived.collect()
        })
        .collect();
    let targets: Vec<Vec<usize>> =
        reads.iter().map(|reads| reads.iter().map(|(other, _)| *other).collect()).collect();
    let found = circles(&targets);
    for circle in &found {
        let names: Vec<String> = circle.iter().map(|at| path(schema, &pending[*at])).collect();
        let field = &schema.types[pending[circle[0]].object].fields[pending[circle[0]].field];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let words = circle_words(&names);
        report
            .name(Code::DerivedCycle, field.place.clone(), words)
            .hint("let one of them read stored fields only");
    }
    if found.is_empty() {
        sized(schema, pending, &reads, report);
    }
}

/// Says which fields read too much, given that none reads itself.
fn sized(
    schema: &Schema,
    pending: &[Pending],
    reads: &[Vec<(usize, usize)>],
    report: &mut Report<'_>,
) {
    let own = |one: &Pending| {
        let fields = one.found.as_ref().map_or(&[][..], |read| &read.fields);
        (fields.iter().map(|(.., level)| *level).max().unwrap_or(1), fields.len())
    };
    let owns: Vec<(usize, usize)> = pending.iter().map(own).collect();
    let mut sizes = owns.clone();
    // A chain of more rounds than this has too many levels, too.
    for _ in 0..=MAX_LEVELS {
        for index in 0..sizes.len() {
            let (mut levels, mut fields) = owns[index];
            for (other, level) in &reads[index] {
                levels = levels.max(level + sizes[*other].0);
                fields = fields.saturating_add(sizes[*other].1);
            }
            sizes[index] = (levels, fields);
        }
    }
    for (one, (levels, fields)) in pending.iter().zip(sizes) {
        let what = match (levels > MAX_LEVELS, fields > MAX_FIELDS) {
            (true, _) => format!("more than {MAX_LEVELS} levels of objects"),
            (_, true) => format!("more than {MAX_FIELDS} fields"),
            _ => continue,
        };
        let words =
            format!("`{}` reads {what}, with the derived fields below it", path(schema, one));
        report
            .at(Code::Derived, one.from.at, words)
            .hint("store a part of it, or let it read less");
    }
}
