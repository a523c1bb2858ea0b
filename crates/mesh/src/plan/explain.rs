//! A plan as text: what is read, in which batches, and what it costs.

use std::fmt::Write as _;

use super::route::{Calls, show};
use super::{Backend, Inner, Plan, PlannedField, Resolve, Selection};

/// The plan for people; `limit` is how much it may cost, `calls` what sources make of their calls.
pub(crate) fn explain(
    plan: &Plan,
    backend: &Backend,
    (cost, limit): (f64, f64),
    calls: Calls<'_>,
) -> String {
    let mut out = String::new();
    let kind = plan.kind();
    let order = match kind {
        "mutation" => "one after the other",
        "subscription" => "once an event",
        _ => "at once",
    };
    let dear = match cost > limit {
        true => format!(": refused when it is run, as at most {limit} is allowed"),
        false => String::new(),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{kind}, root fields {order}, cost {cost}{dear}");
    selection(&mut out, backend, &plan.root, 1);
    if let (Backend::Graph(atlas), Some(route)) = (backend, &plan.route) {
        out.push_str(&show(atlas, route, calls));
    }
    out
}

fn selection(out: &mut String, backend: &Backend, selected: &Selection, depth: usize) {
    for field in &selected.fields {
        line(out, backend, field, depth);
        if let Some(inputs) = &field.inputs {
            let _ = writeln!(out, "{}reads", "  ".repeat(depth + 1));
            selection(out, backend, inputs, depth + 2);
        }
        match &field.inner {
            Inner::Leaf => {}
            // What is said of the API itself is no work worth a line each.
            _ if field.resolve == Resolve::Introspection => {}
            Inner::Object(inner) => selection(out, backend, inner, depth + 1),
            Inner::Abstract(by_type) => {
                let mut types: Vec<_> = by_type.iter().collect();
                types.sort_by_key(|(name, _)| name.as_str());
                for (name, inner) in types {
                    let _ = writeln!(out, "{}on {name}", "  ".repeat(depth + 1));
                    selection(out, backend, inner, depth + 2);
                }
            }
        }
    }
}

fn line(out: &mut String, backend: &Backend, field: &PlannedField, depth: usize) {
    let alias = if *field.key == *field.name { String::new() } else { format!("{}: ", field.key) };
    let arguments = field.arguments.shown();
    let arguments = match arguments.is_empty() {
        true => String::new(),
        false => format!("({})", arguments.join(", ")),
    };
    let work = work(backend, field).map_or_else(String::new, |work| format!("  ← {work}"));
    let guard = if field.when.0.iter().any(Vec::is_empty) { "" } else { "  if asked" };
    let _ = writeln!(out, "{}{alias}{}{arguments}{work}{guard}", "  ".repeat(depth), field.name);
}

/// What is done for a field; nothing for one that is read with its row.
fn work(backend: &Backend, field: &PlannedField) -> Option<String> {
    let Backend::Tables { schema, .. } = backend else {
        let is_plain = matches!(backend, Backend::Plain);
        return (is_plain && (*field.parent == *"Query" || *field.parent == *"Mutation"))
            .then(|| "resolver".to_owned());
    };
    let columns = columns(field);
    let target = |id: schema::TypeId, reference: schema::FieldId| match &schema
        .object(id)
        .field(reference)
        .kind
    {
        schema::FieldKind::Reference(reference) => schema.object(reference.target).name.clone(),
        _ => schema.object(id).name.clone(),
    };
    Some(match &field.resolve {
        Resolve::ByKey(id) => {
            format!("scan {} by key, columns [{columns}]", schema.object(*id).name)
        }
        Resolve::Entities => "scan each type once, by the keys of all representations".to_owned(),
        Resolve::List(id) => {
            format!("scan {}, one page, columns [{columns}]", schema.object(*id).name)
        }
        Resolve::Aggregate(id) => {
            let measured = field.selection().map(crate::fetch::measured).unwrap_or_default();
            let name = &schema.object(*id).name;
            format!("scan {name} once in groups, measures [{}]", measured.join(", "))
        }
        Resolve::Mutate(change) => {
            format!("write {}, then read back [{columns}]", schema.object(change.type_id).name)
        }
        Resolve::One(id, field) => {
            format!("scan {} once for all parents, columns [{columns}]", target(*id, *field))
        }
        Resolve::Many(id, field) => format!(
            "scan {} once for all parents, limited for each, columns [{columns}]",
            target(*id, *field)
        ),
        Resolve::Nearest(id, _) | Resolve::Neighbours(id, _) => {
            format!("nearest {} once for all parents, columns [{columns}]", schema.object(*id).name)
        }
        Resolve::Derived(id, derived) => match &schema.object(*id).field(*derived).kind {
            schema::FieldKind::Derived(derived) => format!("compute {}", derived.text),
            _ => return None,
        },
        _ => return None,
    })
}

/// The columns that a scan for this field reads.
fn columns(field: &PlannedField) -> String {
    crate::fetch::wanted_columns(field).join(", ")
}
