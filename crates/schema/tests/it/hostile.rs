//! Inputs that want to exhaust or confuse: each is answered with words, quickly.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use schema::{Code, Diagnostics, Sources};

use crate::example::{CATALOG, PEOPLE};
use crate::services::SERVICE;

fn check(text: &str) -> Diagnostics {
    let sources = Sources::from_texts([("m.graphql", text)]);
    let started = Instant::now();
    let found = schema::inspect(&sources);
    // Rendering meets every place, so that a wrong one would show.
    found.diagnostics.render(&sources, true);
    found.diagnostics.to_json();
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    found.diagnostics
}

fn module(body: &str) -> String {
    format!("extend schema @module(name: \"m\", owner: \"t\")\n{body}")
}

fn has(found: &Diagnostics, code: Code) -> bool {
    found.items.iter().any(|item| item.code == code)
}

#[test]
fn brackets_that_nest_without_end_are_refused() {
    for bracket in ["[", "{", "(", "type T @table(bucket: [", "type T { a: ["] {
        assert!(has(&check(&module(&bracket.repeat(100_000))), Code::Limit), "{bracket}");
    }
}

#[test]
fn expressions_that_nest_or_grow_without_end_are_refused() {
    let with = |expr: &str| {
        module(&format!("type T @table {{ a: Int d: Boolean @derived(expr: \"{expr}\") }}"))
    };
    let between = (0..12).fold("a".to_owned(), |inner, _| format!("({inner} BETWEEN 1 AND 2)"));
    for expr in [
        "(".repeat(4000),
        "-".repeat(9000),
        "NOT ".repeat(2000),
        format!("a{}", " + a".repeat(2000)),
        between,
        "CASE WHEN ".repeat(900),
        "x".repeat(20_000),
        "abs(".repeat(2000),
    ] {
        assert!(
            has(&check(&with(&expr)), Code::ExpressionSyntax) || expr.starts_with('('),
            "{}",
            &expr[..20]
        );
        assert!(check(&with(&expr)).has_errors());
    }
}

#[test]
fn embedded_types_that_unfold_without_end_are_refused() {
    let doubling: String = (0..40)
        .map(|n| format!("type T{n} {{ a: T{} b: T{} }}\n", n + 1, n + 1))
        .chain(["type T40 { x: Int }\ntype Root @table { t: T0 }".to_owned()])
        .collect();
    assert!(has(&check(&module(&doubling)), Code::Limit));
    let chain: String = (0..5000)
        .map(|n| format!("type T{n} {{ a: T{} }}\n", n + 1))
        .chain(["type T5000 { x: Int }\ntype Root @table { t: T0 }".to_owned()])
        .collect();
    assert!(has(&check(&module(&chain)), Code::Limit));
}

#[test]
fn texts_without_meaning_are_refused() {
    for text in [
        "",
        " ",
        "\u{feff}",
        "\0",
        "\"",
        "\"\"\"",
        "#",
        "type",
        "type T",
        "{",
        "}",
        "@",
        "é",
        "extend schema @module",
        "\"\\u{FFFFFFFF}\" type T @table { a: Int }",
        "\"\\uD800\" type T { a: Int }",
    ] {
        assert!(check(text).has_errors(), "{text:?}");
    }
}

#[test]
fn very_many_types_are_compiled_in_time() {
    let many: String = (0..2000)
        .map(|n| format!("type T{n} @key(fields: \"id\") @table {{ id: ID! a: Int t: T{} @ref(by: \"id\") }}\n", (n + 1) % 2000))
        .collect();
    let found = check(&module(&many));
    assert!(!found.has_errors(), "{found}");
}

/// One change of a text, at a place between 0 and 1.
#[derive(Clone, Debug)]
enum Change {
    Remove(f64, usize),
    Insert(f64, String),
    Copy(f64, f64, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        "[ -~]{1,3}",
        "\\PC{1,2}",
        prop::sample::select(vec![
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "\"",
            "\"\"\"",
            "\\",
            "@",
            "!",
            ":",
            "'",
            "$",
            "#",
            "&",
            "|",
            "\n",
            "null",
            "@key",
            "@ref(by: \"id\")",
            "@table",
            "\\u12",
            "Film",
            "-1",
            "99999999999999999999",
            "1e999",
            "'\\",
            "CASE ",
            ".",
            "\0",
            "é",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        (0.0..1.0, 1_usize..20).prop_map(|(at, count)| Change::Remove(at, count)),
        (0.0..1.0, piece).prop_map(|(at, text)| Change::Insert(at, text)),
        (0.0..1.0, 0.0..1.0, 1_usize..30)
            .prop_map(|(from, to, count)| Change::Copy(from, to, count)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = |chars: &[char], at: f64| (at * chars.len() as f64) as usize;
    for change in changes {
        match change {
            Change::Remove(at, count) => {
                let from = place(&chars, *at);
                let to = (from + count).min(chars.len());
                chars.drain(from..to);
            }
            Change::Insert(at, text) => {
                let at = place(&chars, *at);
                chars.splice(at..at, text.chars());
            }
            Change::Copy(from, to, count) => {
                let from = place(&chars, *from);
                let piece = chars[from..(from + count).min(chars.len())].to_vec();
                let to = place(&chars, *to);
                chars.splice(to..to, piece);
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_schema_is_answered_and_never_panics(
        changes in prop::collection::vec(change(), 1..6),
        which in 0..3_usize,
    ) {
        check(&changed([CATALOG, PEOPLE, SERVICE][which], &changes));
    }

    #[test]
    fn whatever_is_still_accepted_reads_the_same_from_its_canonical_text(
        changes in prop::collection::vec(change(), 1..3),
    ) {
        let sources = Sources::from_texts([
            ("catalog.graphql", changed(CATALOG, &changes)),
            ("people.graphql", PEOPLE.to_owned()),
        ]);
        if let Some(schema) = schema::inspect(&sources).schema {
            let canonical = schema::canonical(&schema);
            let again = schema::compile(&canonical)
                .unwrap_or_else(|found| panic!("{}", found.render(&canonical, false)));
            prop_assert_eq!(again.fingerprint, schema.fingerprint);
        }
    }
}
