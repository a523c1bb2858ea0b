//! What several declarations have in common: in come types, defaults, descriptions and marks of
//! the same thing in several sources, out comes one of each, or the two that disagree.

use std::sync::Arc;

use apollo_compiler::ast::{Directive, Type, Value};
use apollo_compiler::{Name, Node};
use indexmap::IndexSet;

use super::merge::Family;
use super::subgraph::Marks;
use super::text::Spot;

/// Marks of something in the graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct MergedMarks {
    /// Hidden from clients, and where it says so.
    pub(crate) inaccessible: Option<Spot>,
    pub(crate) tags: IndexSet<Arc<str>>,
    pub(crate) deprecated: Option<Arc<str>>,
    pub(crate) specified_by: Option<Arc<str>>,
    pub(crate) one_of: bool,
    pub(crate) costs: Vec<Node<Directive>>,
}

/// All marks together; where one value is possible, the first source's.
pub(crate) fn marks<'m>(all: impl IntoIterator<Item = (usize, &'m Marks)>) -> MergedMarks {
    let mut merged = MergedMarks::default();
    for (source, marks) in all {
        if let Some(span) = marks.inaccessible {
            merged.inaccessible.get_or_insert(Spot { source, span });
        }
        merged.tags.extend(marks.tags.iter().cloned());
        merged.deprecated = merged.deprecated.or_else(|| marks.deprecated.clone());
        merged.specified_by = merged.specified_by.or_else(|| marks.specified_by.clone());
        merged.one_of |= marks.one_of;
        for cost in &marks.costs {
            if !merged.costs.iter().any(|known| known.name == cost.name) {
                merged.costs.push(cost.clone());
            }
        }
    }
    merged
}

/// The first description.
pub(crate) fn description<'d>(
    all: impl IntoIterator<Item = Option<&'d Node<str>>>,
) -> Option<Node<str>> {
    all.into_iter().flatten().next().cloned()
}

/// Whether whatever has the first type may stand where the second is expected.
pub(crate) fn fits(family: &Family, narrow: &Type, wide: &Type) -> bool {
    match (narrow, wide) {
        (Type::NonNullNamed(narrow), Type::NonNullNamed(wide) | Type::Named(wide))
        | (Type::Named(narrow), Type::Named(wide)) => {
            narrow == wide || family.is_subtype(narrow, wide)
        }
        (Type::NonNullList(narrow), Type::NonNullList(wide) | Type::List(wide))
        | (Type::List(narrow), Type::List(wide)) => fits(family, narrow, wide),
        _ => false,
    }
}

/// The widest of several types of an output, or the positions of two of which neither is wider.
pub(crate) fn widest(family: &Family, types: &[&Type]) -> Result<Type, (usize, usize)> {
    chosen(types, |kept, other| fits(family, other, kept))
}

/// The narrowest of several types of an input.
pub(crate) fn narrowest(family: &Family, types: &[&Type]) -> Result<Type, (usize, usize)> {
    chosen(types, |kept, other| fits(family, kept, other))
}

/// `covers(a, b)`: with `a` chosen, `b` needs no other choice.
fn chosen(types: &[&Type], covers: impl Fn(&Type, &Type) -> bool) -> Result<Type, (usize, usize)> {
    let mut kept = 0;
    for (index, other) in types.iter().enumerate().skip(1) {
        if covers(types[kept], other) {
            continue;
        }
        if !covers(other, types[kept]) {
            return Err((kept, index));
        }
        kept = index;
    }
    Ok(types[kept].clone())
}

/// The default that all agree on: none when one of them has none.
///
/// # Errors
/// Two different defaults, with the positions of their holders.
pub(crate) fn default(
    defaults: &[Option<&Node<Value>>],
) -> Result<Option<Node<Value>>, (usize, usize)> {
    let mut given = defaults.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?)));
    let Some((first, value)) = given.next() else { return Ok(None) };
    if let Some((other, _)) = given.find(|(_, other)| !same_value(value, other)) {
        return Err((first, other));
    }
    Ok(defaults.iter().all(Option::is_some).then(|| value.clone()))
}

/// Whether two values are one, in whatever order the fields of an object stand.
pub(crate) fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |name: &Name, value: &Value| {
                other.iter().any(|(known, other)| known == name && same_value(value, other))
            };
            one.len() == other.len() && one.iter().all(|(name, value)| has(name, value))
        }
        _ => one == other,
    }
}
