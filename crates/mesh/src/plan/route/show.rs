//! A route for people: a line for each call, and its text.

use std::fmt::Write as _;

use super::{Atlas, Below, Route};

/// What a source makes of the text of a call: a line for each call of its own.
pub(crate) type Calls<'c> = &'c dyn Fn(usize, &str) -> Vec<String>;

/// The calls of a route.
pub(crate) fn show(atlas: &Atlas, route: &Route, calls: Calls<'_>) -> String {
    let places = places(route);
    let mut out = String::new();
    for node in &route.nodes {
        for field in node.fields.iter().take(node.shown) {
            if let Below::Computed(computed) = &field.below {
                let calls: Vec<String> = computed.groups.iter().map(usize::to_string).collect();
                let beyond = computed.derived.beyond.as_ref();
                let from = beyond.map_or("", |beyond| beyond.from.as_ref());
                let _ = writeln!(
                    out,
                    "compute {}.{} after {}: {} of {from}",
                    node.type_name,
                    field.key,
                    calls.join(", "),
                    computed.derived.text
                );
            }
        }
    }
    for (index, group) in route.groups.iter().enumerate() {
        let source = atlas.source_name(group.source);
        let after: Vec<String> = group.after.iter().map(usize::to_string).collect();
        let after = match after.is_empty() {
            true => String::new(),
            false => format!(" after {}", after.join(", ")),
        };
        let when = if group.when.is_some() { ", if asked" } else { "" };
        let what = match &group.entity {
            None => "root".to_owned(),
            Some(entity) => {
                let place = places.get(group.node).map_or("", String::as_str);
                let type_name = &route.nodes[group.node].type_name;
                format!("{type_name} at `{place}` by `{}`", entity.shown)
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "call {index} of {source}{after}: {what}{when}");
        let _ = writeln!(out, "  {}", group.text);
        for line in calls(group.source, &group.text) {
            let _ = writeln!(out, "    {line}");
        }
    }
    out
}

/// Where each node stands in the answer.
fn places(route: &Route) -> Vec<String> {
    let mut places = vec![String::new(); route.nodes.len()];
    for (index, node) in route.nodes.iter().enumerate() {
        let above = places[index].clone();
        for field in &node.fields {
            let place = match above.is_empty() {
                true => field.key.to_string(),
                false => format!("{above}.{}", field.key),
            };
            match &field.below {
                Below::One(child) => places[*child] = place,
                Below::ByType(children) => {
                    children.iter().for_each(|(_, child)| places[*child].clone_from(&place));
                }
                _ => {}
            }
        }
        for (_, child) in node.face.iter().flat_map(|face| &face.by_type) {
            places[*child].clone_from(&above);
        }
    }
    places
}
