//! Modules whose types are tables of a database: what they offer, how they meet the lake's types, and what
//! their changes mean.

use std::path::Path;

use schema::diff::{WireEffect, diff};
use schema::{Schema, Sources};

const CATALOG: &str = "extend schema @module(name: \"catalog\", owner: \"catalog\")
type Film @key(fields: \"id\") @table(plural: \"films\") { id: ID! title: String! }
type Person @key(fields: \"id\") @table(plural: \"people\") { id: ID! name: String! }
";

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn compiled(orders: &str) -> Schema {
    let sources = Sources::from_texts([
        ("catalog.graphql", CATALOG.to_owned()),
        ("orders.graphql", orders.to_owned()),
        ("stock.graphql", file("stock.graphql")),
    ]);
    schema::compile(&sources).unwrap_or_else(|found| panic!("{}", found.render(&sources, false)))
}

fn api(schema: &Schema) -> String {
    schema::api::served_sdl(schema)
}

/// The lines of a type of an API.
fn lines<'a>(api: &'a str, start: &str) -> Vec<&'a str> {
    let from = api.find(start).unwrap_or_else(|| panic!("no `{start}`"));
    let body = api[from..].split_once("{\n").unwrap().1.split("\n}").next().unwrap();
    body.lines().map(str::trim).filter(|line| !line.starts_with('"') && !line.is_empty()).collect()
}

#[test]
fn a_database_adds_to_types_of_the_lake_and_has_none_of_their_root_fields() {
    let schema = compiled(&file("orders.graphql"));
    assert!(schema.type_named("Order").is_none(), "the lake stores no orders");
    let api = api(&schema);
    let film = lines(&api, "type Film ");
    assert!(film[0].starts_with("id: ID!") && film[1].starts_with("title: String!"), "{film:?}");
    assert!(film.iter().any(|line| line.starts_with("copies: Int")), "{film:?}");
    let query = lines(&api, "type Query ");
    let of = |start: &str| query.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(
        (of("film("), of("films("), of("order("), of("orders("), of("schemaFingerprint")),
        (1, 1, 1, 1, 1)
    );
    let orders = query.iter().find(|line| line.starts_with("orders(")).unwrap();
    assert!(!orders.contains("asOf") && orders.contains("where: OrderWhere"), "{orders}");
    // Nothing of what would be written is there, and what the lake writes stays.
    assert!(!api.contains("OrderInput") && !api.contains("createOrder"));
    assert!(lines(&api, "type Mutation ").iter().any(|line| line.starts_with("createFilm(")));
}

#[test]
fn rows_are_changed_where_the_module_says_so() {
    let header = "kind: POSTGRES, write: true";
    let schema = compiled(&file("orders.graphql").replace("kind: POSTGRES", header));
    let api = api(&schema);
    let mutation = lines(&api, "type Mutation ");
    let create = mutation.iter().find(|line| line.starts_with("createOrder(")).unwrap();
    assert!(!create.contains("idempotencyKey"), "{create}");
    assert_eq!(mutation.iter().filter(|line| line.starts_with("createFilm(")).count(), 1);
    assert!(!api.contains("createPersonList"), "people are the lake's");
}

#[test]
fn a_database_can_be_written_down_and_read_again() {
    let beside = Sources::from_texts([
        ("catalog.graphql", CATALOG.to_owned()),
        ("orders.graphql", file("orders.graphql")),
    ]);
    let alone = Sources::from_texts([("films.graphql", file("films.graphql"))]);
    for sources in [beside, alone] {
        let read = |sources: &Sources| {
            schema::compile(sources)
                .unwrap_or_else(|found| panic!("{}", found.render(sources, false)))
        };
        let schema = read(&sources);
        let again = read(&schema::canonical(&schema));
        assert_eq!(again.fingerprint, schema.fingerprint);
        assert!(diff(&schema, &again).is_empty());
    }
}

#[test]
fn what_a_change_of_a_module_means_is_seen_in_the_api_that_follows_from_it() {
    let old = compiled(&file("orders.graphql"));
    let change = |from: &str, to: &str| {
        let changes = diff(&old, &compiled(&file("orders.graphql").replace(from, to)));
        let worst = changes.iter().map(|change| change.wire).max().unwrap();
        let reasons: Vec<String> =
            changes.iter().flat_map(|change| change.wire_reasons.clone()).collect();
        assert!(changes.iter().all(|change| change.path == "@source.orders"), "{changes:?}");
        (worst, reasons.join("\n"))
    };
    let (wire, reasons) = change("  state: OrderState!\n", "");
    assert_eq!(wire, WireEffect::Breaking);
    assert!(reasons.contains("Order.state") && reasons.contains("OrderWhere.state"), "{reasons}");
    let (wire, _) = change("  state: OrderState!\n", "  state: OrderState!\n  note: String\n");
    assert!(wire < WireEffect::Breaking);
    let (wire, _) = change("kind: POSTGRES", "kind: POSTGRES, write: true");
    assert!(wire < WireEffect::Breaking);
    let (wire, _) = change("127.0.0.1", "db.internal");
    assert_eq!(wire, WireEffect::Safe);
}
