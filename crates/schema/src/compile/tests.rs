//! Modules that hold the SDL of a service, compiled without composing them.

use std::time::Duration;

use base::rng::Rng;

use super::*;
use crate::model::{BreakerSpec, SourceSpec};

const HEADER: &str = r#"extend schema @module(name: "products", owner: "shop")
  @source(name: "products", kind: GRAPHQL, url: "http://127.0.0.1:4001/graphql", timeout: "2s", retry: 1, breaker: "30% of 10 in 1m", ttl: "500ms")
"#;

/// A federated service with every kind of definition, each of its texts on its own.
const PARTS: [&str; 17] = [
    r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])"#,
    "schema { query: Root mutation: Change }",
    "directive @mine(on: Int = 1, by: [String!]) repeatable on OBJECT | FIELD_DEFINITION",
    "\"A thing with an id.\"\ninterface Node { id: ID! }",
    "type Product implements Node @key(fields: \"id\") @key(fields: \"sku\") {\n  id: ID!\n  sku: String @deprecated(reason: \"use `id`\")\n  \"\"\"\n  What it costs,\n    in \"cents\".\n  \"\"\"\n  price(currency: Currency = EUR, at: Date, in: Where = {a: 1, b: [2]}): Int @mine @mine(on: 2)\n}",
    "extend type Product @shareable { parts: [Part!]! }",
    "extend type Product { other: Any }",
    "type Part { name: String! weight: Float }",
    "union Any = Product | Part",
    "extend union Any = Box",
    "type Box implements Node & Sized { id: ID! size: Int }",
    "interface Sized { size: Int }",
    "enum Currency { EUR USD @deprecated }",
    "scalar Date @specifiedBy(url: \"https://www.rfc-editor.org/rfc/rfc3339\")",
    "input Where @oneOf { a: Int b: [Int!] }",
    "type Root { product(id: ID!, first: Int): Product all: [Any!]! }",
    "type Change { buy(ids: [ID!]!): Boolean }",
];

fn module(text: &str) -> Sources {
    Sources::from_texts([("shop/products.graphql", text)])
}

fn compiled(text: &str) -> Schema {
    let sources = module(text);
    uncomposed(&sources).unwrap_or_else(|found| panic!("{}", found.render(&sources, false)))
}

fn service(parts: &[&str]) -> String {
    format!("{HEADER}\n{}\n", parts.join("\n\n"))
}

#[test]
fn a_service_keeps_its_text_and_every_place_in_it() {
    let text = service(&PARTS);
    let schema = compiled(&text);
    assert!(schema.types.is_empty() && schema.enums.is_empty());
    let [found] = schema.services.as_slice() else { panic!("{:?}", schema.services) };
    let module = &schema.modules[found.module];
    assert_eq!((&*module.name, module.owner.as_str()), ("products", "shop"));
    assert_eq!(found.place.to_string(), "shop/products.graphql:2:3");
    assert_eq!(
        found.source,
        SourceSpec {
            name: "products".into(),
            kind: crate::graph::SourceKind::GraphQl,
            url: "http://127.0.0.1:4001/graphql".into(),
            timeout: Duration::from_secs(2),
            retry: 1,
            breaker: Some(BreakerSpec { percent: 30, calls: 10, window: Duration::from_secs(60) }),
            ttl: Some(Duration::from_millis(500)),
            write: false,
            on_error: None,
            descriptors: None,
            events: crate::model::EventSpec::default(),
        }
    );
    // Bytes of the header are spaces, and all others are where they were.
    assert_eq!(found.sdl.len(), text.len());
    assert!(found.sdl[..HEADER.len()].trim().is_empty());
    assert_eq!(found.sdl[HEADER.len()..], text[HEADER.len()..]);
    assert_eq!(found.sdl.lines().count(), text.lines().count());
}

#[test]
fn a_header_may_stand_among_the_services_own_directives_and_anywhere() {
    let text = "type Query { a: Int }\nextend schema\n  @module(name: \"m\", owner: \"o\") \
                @link(url: \"https://specs.apollo.dev/link/v1.0\")\n  # Käse\n  \
                @source(name: \"a\", # é\n kind: GRAPHQL, url: \"http://a\") { query: Query }\n";
    let schema = compiled(text);
    let sdl = &schema.services[0].sdl;
    assert_eq!(sdl.len(), text.len());
    assert_eq!(sdl.find("@link"), text.find("@link"));
    assert!(
        !sdl.contains("@module") && !sdl.contains("@source") && sdl.contains("{ query: Query }")
    );
    // What is left is SDL still, and says the same of the service's own things.
    let left = sdl::canonical(sdl);
    assert!(left.contains("extend schema @link(url:"), "{left}");
}

#[test]
fn usual_limits_hold_where_none_are_given() {
    let schema = compiled(
        "extend schema @module(name: \"m\", owner: \"o\") @source(name: \"a\", kind: GRAPHQL, url: \"http://a\")\ntype Query { a: Int }",
    );
    let SourceSpec { timeout, retry, breaker, ttl, .. } = &schema.services[0].source;
    assert_eq!((*timeout, *retry, *ttl), (Duration::from_secs(5), 0, None));
    assert_eq!(*breaker, Some(SourceSpec::BREAKER));
    let off = service(&["type Query { a: Int }"]).replace("30% of 10 in 1m", "off");
    assert_eq!(compiled(&off).services[0].source.breaker, None);
}

#[test]
fn plain_and_federated_services_stand_beside_tables() {
    let sources = Sources::from_texts([
        ("a.graphql", service(&["interface Film { id: ID! }", "type Query { film: Film }"])),
        (
            "b.graphql",
            "extend schema @module(name: \"b\", owner: \"o\")\ntype Film @key(fields: \"id\") @table { id: ID! }\n".to_owned(),
        ),
        (
            "c.graphql",
            "extend schema @module(name: \"c\", owner: \"o\") @source(name: \"c\", kind: GRAPHQL, url: \"http://c\")\n\
             directive @table on OBJECT\nextend type Query { c: Int }\ntype T @table { query: Int }".to_owned(),
        ),
    ]);
    let schema = uncomposed(&sources).unwrap();
    let names: Vec<_> =
        schema.services.iter().map(|found| (&*found.source.name, found.module)).collect();
    assert_eq!(names, [("products", 0), ("c", 2)]);
    assert_eq!(schema.type_named("Film").unwrap().1.module, 1);
    assert_eq!(schema.service_named("c").unwrap().source.url.as_ref(), "http://c");
    assert_eq!(schema.sources(), sources);
}

#[test]
fn the_canonical_text_of_a_service_compiles_to_the_same_schema() {
    let schema = compiled(&service(&PARTS));
    let text = canonical(&schema);
    let again = uncomposed(&text).unwrap_or_else(|found| panic!("{}", found.render(&text, false)));
    assert_eq!(canonical(&again), text);
    assert_eq!(again.fingerprint, schema.fingerprint);
    assert_eq!(again.services[0].source, schema.services[0].source);
    insta::assert_snapshot!(text.files[0].text);
}

#[test]
fn the_fingerprint_sees_changes_of_a_service_and_not_how_it_is_written() {
    let text = service(&PARTS);
    let original = compiled(&text).fingerprint;
    let same = [
        (
            "type Part { name: String! weight: Float }",
            "type Part { weight: Float # kg\n name: String! }",
        ),
        ("EUR USD @deprecated", "USD @deprecated EUR"),
        ("Product | Part", "| Part | Product"),
        ("(id: ID!, first: Int)", "(first: Int id: ID!)"),
        ("timeout: \"2s\", retry: 1", "retry: 1, timeout: \"2000ms\""),
        ("Node & Sized", "Sized & Node"),
        ("OBJECT | FIELD_DEFINITION", "FIELD_DEFINITION | OBJECT"),
        ("query: Root mutation: Change", "mutation: Change, query: Root"),
    ];
    for (from, to) in same {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        assert_eq!(compiled(&changed).fingerprint, original, "{to}");
    }
    for (from, to) in [
        ("weight: Float", "weight: Float!"),
        ("@key(fields: \"sku\")", "@key(fields: \"sku\", resolvable: false)"),
        (
            "@key(fields: \"id\") @key(fields: \"sku\")",
            "@key(fields: \"sku\") @key(fields: \"id\")",
        ),
        ("Currency = EUR", "Currency = USD"),
        ("in \"cents\"", "in cents"),
        ("v2.3", "v2.4"),
        ("repeatable ", ""),
        ("timeout: \"2s\"", "timeout: \"3s\""),
        ("ttl: \"500ms\"", "ttl: \"501ms\""),
        ("4001", "4002"),
        ("30%", "31%"),
        ("owner: \"shop\"", "owner: \"stock\""),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        assert_ne!(compiled(&changed).fingerprint, original, "{from}");
    }
}

#[test]
fn any_order_of_definitions_is_one_schema() {
    let original = compiled(&service(&PARTS)).fingerprint;
    for seed in 0..50 {
        let rng = Rng::seeded(seed);
        let mut parts = PARTS.to_vec();
        for at in (1..parts.len()).rev() {
            parts.swap(at, rng.below(at as u64 + 1) as usize);
        }
        let mut lines = parts.join("\n# So it goes.\n\n");
        // The header, too, may stand anywhere.
        match seed % 3 {
            0 => lines.insert_str(0, HEADER),
            1 => lines.push_str(&format!("\n{HEADER}")),
            _ => lines = format!("{}\n{HEADER}\n{}", &parts[0], parts[1..].join("\n")),
        }
        assert_eq!(compiled(&lines).fingerprint, original, "{lines}");
    }
}

/// Words that mean something in SDL, put in anywhere.
const PIECES: [&str; 20] = [
    "\"",
    "\"\"\"",
    "\\",
    "#",
    "\n",
    "{",
    "}",
    "(",
    ")",
    "@key(fields: \"id\")",
    "@source",
    "@module",
    "extend ",
    "schema",
    " & Node",
    "= null",
    "!",
    "é",
    "type X { a: Int }",
    "\"\"\"\n  a\n    b\"\"\"",
];

#[test]
fn whatever_is_still_accepted_of_a_damaged_service_reads_the_same_from_its_canonical_text() {
    let (text, mut accepted) = (service(&PARTS), 0);
    for seed in 0..1000 {
        let rng = Rng::seeded(seed);
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..1 + rng.below(2) {
            let at = rng.below(chars.len() as u64) as usize;
            if rng.below(2) == 0 {
                let end = (at + 1 + rng.below(12) as usize).min(chars.len());
                chars.drain(at..end);
            } else {
                let piece = PIECES[rng.below(PIECES.len() as u64) as usize];
                chars.splice(at..at, piece.chars());
            }
        }
        let sources = module(&chars.into_iter().collect::<String>());
        let Ok(schema) = uncomposed(&sources) else { continue };
        accepted += 1;
        for found in &schema.services {
            let whole = &schema.modules[found.module].text;
            assert_eq!(found.sdl.len(), whole.len(), "{whole}");
            assert!(apollo_compiler::ast::Document::parse(&*found.sdl, "a").is_ok(), "{whole}");
        }
        let again = canonical(&schema);
        let same = uncomposed(&again).unwrap_or_else(|found| {
            panic!("{whole}\n{}", found.render(&again, false), whole = sources.files[0].text)
        });
        assert_eq!(same.fingerprint, schema.fingerprint, "{}", sources.files[0].text);
    }
    assert!(accepted > 100, "only {accepted} were accepted");
}
