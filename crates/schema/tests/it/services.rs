//! Schemas with a service whose graph is made by hand, for what a change of services shows.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Schema as Sdl;
use base::{Place, Team};
use schema::compile::fingerprint;
use schema::graph::{Graph, SourceKind};
use schema::{EventSpec, Module, Schema, ServiceModule, SourceSpec};

use crate::random::compiled;

/// A service's module.
pub(crate) const SERVICE: &str = r#"
extend schema @module(name: "products", owner: "shop") @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
  @source(name: "products", kind: GRAPHQL, url: "http://127.0.0.1:4001/graphql", timeout: "2s", retry: 1, breaker: "50% of 20 in 10s", ttl: "1m")

interface Node { id: ID! }
"A thing that is sold."
type Product implements Node @key(fields: "id") { id: ID! price(in: Currency = EUR): Int }
extend type Film @key(fields: "id") { id: ID! @external merchandise(where: Where): [Product!]! }
union Any = Product | Film
enum Currency { EUR USD }
input Where { currency: Currency = EUR }
schema { query: Root }
type Root { any(ids: [ID!]!): [Any] }
"#;

const SDL: &str = "type Product @key(fields: \"id\") { id: ID! name: String! }\ntype Query { products: [Product!]! }";
const API: &str =
    "type Product { id: ID! name: String! }\nextend type Query { products: [Product!]! }";

fn tables() -> Schema {
    compiled(
        "extend schema @module(name: \"main\", owner: \"core\")\ntype A @key(fields: \"id\") @table { id: ID! }\n",
    )
}

/// The tables with a service: asked at this address, owned by this team, with this SDL and what the
/// API has of it.
fn with_service(url: &str, owner: &str, sdl: &str, api: &str) -> Schema {
    let mut schema = tables();
    let module = Module {
        name: "shop".into(),
        owner: Team::new(owner),
        file: "shop.graphql".into(),
        text: sdl.into(),
    };
    let source = SourceSpec {
        name: "shop".into(),
        kind: SourceKind::GraphQl,
        url: url.into(),
        timeout: Duration::from_secs(2),
        retry: 0,
        breaker: None,
        ttl: None,
        write: false,
        on_error: None,
        descriptors: None,
        events: EventSpec::default(),
    };
    let place = Place { file: "shop.graphql".to_owned(), line: 1, column: 1 };
    schema.modules.push(module);
    schema.services.push(ServiceModule {
        module: 1,
        source,
        sdl: sdl.into(),
        scopes: Vec::new(),
        tables: None,
        fetches: None,
        described: Vec::new(),
        place,
    });
    let api = format!("{}\n{api}", schema::api::api_sdl(&schema));
    let api =
        Sdl::parse_and_validate(api, "api.graphql").unwrap_or_else(|f| panic!("{}", f.errors));
    let graph = Graph {
        sources: Vec::new(),
        api,
        types: indexmap::IndexMap::default(),
        derived: indexmap::IndexMap::default(),
    };
    schema.graph = Some(Arc::new(graph));
    schema.fingerprint = fingerprint(&schema);
    schema
}

/// The tables with a service of calls, one of which is this.
fn with_calls(call: &str) -> Schema {
    let sources = schema::Sources::from_texts([
        ("main.graphql", "extend schema @module(name: \"main\", owner: \"core\")\ntype A @key(fields: \"id\") @table { id: ID! }\n".to_owned()),
        ("stars.graphql", format!("extend schema @module(name: \"stars\", owner: \"critics\") @source(name: \"stars\", kind: REST, url: \"http://stars.test\")\ntype Query {{ stars(of: ID!): Int {call} }}\n")),
    ]);
    schema::compile(&sources).unwrap_or_else(|found| panic!("{}", found.render(&sources, false)))
}

/// Pairs of schemas with every kind of change of a service.
pub(crate) fn pairs() -> Vec<(Schema, Schema)> {
    let before = with_service("http://a/", "shop", SDL, API);
    let changed = |from: &str, to: &str| {
        with_service("http://a/", "shop", &SDL.replace(from, to), &API.replace(from, to))
    };
    let keyed = SDL.replace("fields: \"id\"", "fields: \"id name\"");
    vec![
        (tables(), before.clone()),
        (before.clone(), tables()),
        (before.clone(), with_service("http://b/", "shop", SDL, API)),
        (before.clone(), with_service("http://a/", "market", SDL, API)),
        (before.clone(), with_service("http://a/", "shop", &keyed, API)),
        (before.clone(), changed("name: String!", "name: String! weight: Int")),
        (before.clone(), changed("products:", "products(first: Int):")),
        (before, changed("name: String!", "name: String")),
        (
            with_calls("@fetch(get: \"/stars/{of}\")"),
            with_calls("@fetch(get: \"/v2/stars?of={of}\", result: \"data\") @wire(name: \"n\")"),
        ),
    ]
}
