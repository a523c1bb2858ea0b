//! Plans of large graphs: many ways through a graph are no reason for many steps.

use std::fmt::Write as _;
use std::time::Instant;

use base::Principal;
use mesh::Request;

use super::graph::compose;
use super::service::Federation;

/// A graph in which each of so many sources has most fields of each of so many types, and each type
/// refers to all others.
fn wide(sources: usize, types: usize) -> String {
    let mut out = String::new();
    for source in 0..sources {
        let _ = writeln!(out, "=== s{source}\ntype Query {{");
        for ty in 0..types {
            let _ = writeln!(out, "  t{ty}: T{ty} @shareable");
        }
        let _ = writeln!(out, "}}");
        for ty in 0..types {
            let _ = writeln!(out, "type T{ty} @key(fields: \"id\") {{ id: ID!");
            for other in 0..types {
                let _ = writeln!(out, "  to{other}: T{other} @shareable");
            }
            let _ = writeln!(out, "  own{source}: String  common: Int @shareable }}");
        }
    }
    out
}

/// A selection so deep that asks for one field of each source at each level.
fn deep(sources: usize, types: usize, depth: usize) -> String {
    let mut fields: Vec<String> = (0..sources).map(|source| format!("own{source}")).collect();
    fields.push("common".to_owned());
    if depth > 0 {
        for other in 0..2 {
            let inner = deep(sources, types, depth - 1);
            fields.push(format!("to{} {inner}", (other + depth) % types));
        }
    }
    format!("{{ {} }}", fields.join(" "))
}

#[test]
fn a_document_with_many_ways_through_the_graph_is_planned_at_once() {
    let (sources, types) = (8, 6);
    let federation = Federation::new(compose(&wide(sources, types)));
    let text = format!("{{ t0 {} }}", deep(sources, types, 4));
    let request = Request::new(&text, Principal::local());
    let start = Instant::now();
    let plan = federation.engine.explain(&request).expect("a plan");
    let time = start.elapsed();
    let calls = plan.lines().filter(|line| line.starts_with("call ")).count();
    // All sources answer the root field, so that nothing is fetched by key.
    assert_eq!(calls, sources, "{time:?}\n{plan}");
    // An exponential search would take years; how fast it is is measured elsewhere.
    assert!(time.as_secs() < 20, "{time:?}");
}
