//! Changes of services, with the composed APIs given by hand.

use std::sync::Arc;

use crate::compile::uncomposed;
use crate::diff::{Change, ChangeKind, diff};
use crate::graph::Graph;
use crate::load::Sources;
use crate::model::Schema;
use crate::plan::{Plan, Step, Violation, check, plan, stored};

const TABLES: &str = "extend schema @module(name: \"catalog\", owner: \"catalog\")\n\
                      type Film @key(fields: \"id\") @table { id: ID! title: String }\n";

/// A schema of the tables and these services (name, settings, SDL), whose API is theirs and `api`.
fn schema(services: &[(&str, &str, &str)], api: &str) -> Schema {
    let modules = services.iter().map(|(name, settings, sdl)| {
        let header = format!("extend schema @module(name: \"{name}\", owner: \"shop\") @source(name: \"{name}\", kind: GRAPHQL, url: \"http://{name}/\"{settings})");
        (format!("{name}.graphql"), format!("{header}\n{sdl}\n"))
    });
    let modules = modules.chain([("catalog.graphql".to_owned(), TABLES.to_owned())]);
    let sources = Sources::from_texts(modules);
    let mut schema =
        uncomposed(&sources).unwrap_or_else(|found| panic!("{}", found.render(&sources, false)));
    if !services.is_empty() {
        let text = format!("{}\n{api}", crate::api::api_sdl(&schema));
        let api = apollo_compiler::Schema::parse_and_validate(text, "api.graphql")
            .unwrap_or_else(|faults| panic!("{}", faults.errors));
        let graph = Graph {
            sources: Vec::new(),
            api,
            types: indexmap::IndexMap::default(),
            derived: indexmap::IndexMap::default(),
        };
        schema.graph = Some(Arc::new(graph));
    }
    schema
}

fn told(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| {
        let reasons: String =
            change.wire_reasons.iter().map(|reason| format!("\n  {reason}")).collect();
        format!("{} {} {}{reasons}", change.path, change.wire, change.message)
    };
    changes.iter().map(line).collect()
}

const SHOP: &str = "type Product @key(fields: \"id\") { id: ID! name: String! }\n\
                    extend type Film @key(fields: \"id\") { id: ID! @external offers(first: Int): [Product!]! }\n\
                    schema { query: Root }\ntype Root { products: [Product!]! }";
const SHOP_API: &str = "type Product { id: ID! name: String! }\n\
                        extend type Film { offers(first: Int): [Product!]! }\n\
                        extend type Query { products: [Product!]! }";

fn sound(old: &Schema, new: &Schema) -> Plan {
    let made = plan(old, new).unwrap();
    assert_eq!(check(&made, old, new), []);
    assert_eq!(stored::from_text(&stored::to_text(&made).unwrap()).unwrap(), made);
    assert!(made.losses().is_empty() && made.storage() == crate::diff::StorageEffect::None);
    made
}

#[test]
fn a_service_comes_and_goes() {
    let (without, with) = (schema(&[], ""), schema(&[("shop", "", SHOP)], SHOP_API));
    assert_eq!(
        told(&diff(&without, &with)),
        ["@source.shop safe service `shop` is added by module `shop`, asked at http://shop/"]
    );
    assert_eq!(
        told(&diff(&with, &without)),
        ["@source.shop breaking service `shop` is removed\n  \
          field `Film.offers` is removed\n  type `Product` is removed\n  \
          field `Query.products` is removed"]
    );
    insta::assert_snapshot!("a_service_comes", sound(&without, &with).render(false));
    insta::assert_snapshot!("a_service_goes", sound(&with, &without).render(false));
}

#[test]
fn what_callers_see_of_a_changed_sdl_is_laid_at_its_door() {
    let other = ("stock", "", "extend type Query { stock: Int }");
    let old = schema(
        &[("shop", "", SHOP), other],
        &format!("{SHOP_API}\nextend type Query {{ stock: Int }}"),
    );
    let sdl = SHOP
        .replace("name: String!", "name: String weight: Float")
        .replace("products: [Product!]!", "products(first: Int!): [Product!]!");
    let api = SHOP_API
        .replace("name: String!", "name: String weight: Float")
        .replace("products: [Product!]!", "products(first: Int!): [Product!]!");
    let new =
        schema(&[("shop", "", &sdl), other], &format!("{api}\nextend type Query {{ stock: Int }}"));
    assert_eq!(
        told(&diff(&old, &new)),
        ["@source.shop breaking the SDL of service `shop` changes\n  \
          `Product.name` changes from `String!` to `String`\n  \
          argument `Query.products.first: Int!` is added\n  \
          field `Product.weight` is added"]
    );
    let made = sound(&old, &new);
    assert!(made.steps.is_empty(), "the SDL is a part of the schema itself");
    insta::assert_snapshot!(made.render(false));
}

#[test]
fn a_change_that_only_the_graph_sees_has_no_effect_on_callers() {
    let old = schema(&[("shop", "", SHOP)], SHOP_API);
    let keyed = SHOP
        .replace("@key(fields: \"id\") { id: ID! name", "@key(fields: \"id name\") { id: ID! name");
    let new = schema(&[("shop", "", &keyed)], SHOP_API);
    assert_eq!(told(&diff(&old, &new)), ["@source.shop none the SDL of service `shop` changes"]);
    let commented = schema(&[("shop", "", &format!("# hello\n{SHOP}"))], SHOP_API);
    assert_eq!(diff(&old, &commented), []);
    assert_eq!(old.fingerprint, commented.fingerprint);
}

#[test]
fn how_a_service_is_asked_is_said_and_safe() {
    let old = schema(&[("shop", ", timeout: \"2s\", ttl: \"1m\"", SHOP)], SHOP_API);
    let mut new = schema(&[("shop", ", retry: 2, breaker: \"off\"", SHOP)], SHOP_API);
    new.services[0].source.url = "https://shop.example/graphql".into();
    assert_eq!(
        told(&diff(&old, &new)),
        [
            "@source.shop safe the address of service `shop` changes from http://shop/ to https://shop.example/graphql",
            "@source.shop safe the timeout of service `shop` changes from 2s to 5s",
            "@source.shop safe the number of retries of service `shop` changes from 0 to 2",
            "@source.shop safe the breaker of service `shop` changes from 50% of 20 in 10s to off",
            "@source.shop safe the ttl of service `shop` changes from 1m to none",
        ]
    );
    let made = sound(&old, &new);
    let source = Arc::from("shop");
    assert_eq!(made.steps.len(), 1);
    assert_eq!(made.steps[0].step, Step::ChangeSource { source });
    insta::assert_snapshot!(made.render(false));
}

#[test]
fn a_module_with_another_name_or_owner_is_the_same_service() {
    let old = schema(&[("shop", "", SHOP)], SHOP_API);
    let mut new = old.clone();
    new.modules[old.services[0].module].name = "market".into();
    assert_eq!(
        told(&diff(&old, &new)),
        [
            "@source.shop none service `shop` moves from module `shop` of team `shop` to `market` of team `shop`"
        ]
    );
    assert!(sound(&old, &new).steps.is_empty());
}

#[test]
fn what_a_table_changes_is_not_laid_at_a_services_door() {
    let old = schema(&[("shop", "", SHOP)], SHOP_API);
    let table = TABLES.replace("title: String", "title: String @deprecated(reason: \"x\")");
    let sources = old.sources().files.into_iter().map(|source| match source.file.as_ref() {
        "catalog.graphql" => (source.file, Arc::from(table.as_str())),
        _ => (source.file, Arc::from(source.text.replace("name: String!", "name: ID!"))),
    });
    let mut new = uncomposed(&Sources::from_texts(sources)).unwrap();
    let api = format!(
        "{}\n{}",
        crate::api::api_sdl(&new),
        SHOP_API.replace("name: String!", "name: ID!")
    );
    let api = apollo_compiler::Schema::parse_and_validate(api, "api.graphql").unwrap();
    new.graph = Some(Arc::new(Graph {
        sources: Vec::new(),
        api,
        types: indexmap::IndexMap::default(),
        derived: indexmap::IndexMap::default(),
    }));
    let changes = diff(&old, &new);
    let kinds: Vec<_> = changes.iter().map(|change| (change.kind, change.wire.name())).collect();
    assert_eq!(kinds, [(ChangeKind::Deprecated, "safe"), (ChangeKind::SourceSdl, "breaking")]);
}

#[test]
fn the_checker_sees_a_service_that_is_forgotten_or_changed_for_nothing() {
    let (without, with) = (schema(&[], ""), schema(&[("shop", "", SHOP)], SHOP_API));
    let made = sound(&without, &with);
    let mut less = made.clone();
    less.steps.clear();
    let forgotten = Violation::WrongSource { source: "shop".to_owned() };
    assert_eq!(check(&less, &without, &with), [forgotten]);
    let mut more = plan(&with, &with).unwrap();
    more.steps.clone_from(&made.steps);
    let found = check(&more, &with, &with);
    assert!(matches!(found.as_slice(), [Violation::CannotRun { step: 0, .. }]), "{found:?}");
}

/// A service of calls.
fn calls(sdl: &str) -> Schema {
    let header = "extend schema @module(name: \"shop\", owner: \"shop\") @source(name: \"shop\", kind: REST, url: \"http://shop/\")";
    let modules =
        [("shop.graphql", format!("{header}\n{sdl}\n")), ("catalog.graphql", TABLES.to_owned())];
    let sources = Sources::from_texts(modules);
    crate::compile(&sources).unwrap_or_else(|found| panic!("{}", found.render(&sources, false)))
}

#[test]
fn other_calls_are_said_and_safe_and_break_nobody() {
    let old = calls(
        "type Query { offer(id: ID!): Offer @fetch(get: \"/offers/{id}\") }\ntype Offer { name: String kind: Kind }\nenum Kind { NEW }",
    );
    let new = calls(
        "type Query { offer(id: ID!): Offer @fetch(post: \"/offers\", body: {id: \"{id}\"}, result: \"data\", ttl: \"1s\") }\n\
         type Offer { name: String @wire(name: \"title\") kind: Kind }\nenum Kind { NEW @wire(name: \"new\") }",
    );
    assert_ne!(old.fingerprint, new.fingerprint);
    assert_eq!(
        told(&diff(&old, &new)),
        ["@source.shop safe service `shop` is asked for `Kind.NEW` by the name \"new\", \
          `Offer.name` by the name \"title\", `Query.offer` by POST /offers, body {id: {id}}, result \"data\", \
          kept for 1s instead of GET /offers/{id}"]
    );
    let back = diff(&new, &old);
    assert_eq!(back.len(), 1, "{back:?}");
    sound(&old, &new);
    let seen = calls(
        "type Query { offer(id: ID!): Offer @fetch(get: \"/offers/{id}\") }\ntype Offer { name: Int kind: Kind }\nenum Kind { NEW }",
    );
    let kinds: Vec<ChangeKind> = diff(&old, &seen).iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::SourceSdl]);
}
