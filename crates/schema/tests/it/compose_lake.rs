//! The lake beside services: tables are entities that services extend, and a field that both claim
//! is a conflict with both places.

use base::Team;
use schema::api::Api;
use schema::compose::{Composition, SourceSdl, compose, lake, read};
use schema::graph::{SourceId, SourceKind};
use schema::{Code, Sources};

const CATALOG: &str = "extend schema @module(name: \"catalog\", owner: \"catalog\")
type Film @key(fields: \"id\") @table(plural: \"films\") {
  id: ID!
  title: String!
}
type Play @table { at: DateTime! }
";

const LINK: &str = "extend schema @module(name: \"reviews\", owner: \"web\") @source(name: \"reviews\", kind: GRAPHQL, url: \"http://reviews\")
  @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@external\", \"@requires\", \"@shareable\"])
";

fn sources(service: &str) -> (Sources, String) {
    let service = format!("{LINK}{service}");
    (Sources::from_texts([("catalog.graphql", CATALOG)]), service)
}

fn composed(service: &str) -> Composition {
    let (catalog, service) = sources(service);
    let schema = schema::compile(&catalog).unwrap();
    let tables = lake(&schema, &Api::new(&schema), Team::new("catalog")).unwrap();
    let service = SourceSdl {
        name: "reviews".into(),
        kind: SourceKind::GraphQl,
        url: "http://reviews".into(),
        owner: Team::new("web"),
        file: "reviews.graphql".into(),
        text: service.into(),
    };
    compose(&[tables, read(&service).unwrap()])
}

#[test]
fn a_service_adds_a_field_to_a_table() {
    let found = composed(
        "type Film @key(fields: \"id\") { id: ID! title: String! @external stars: Int slug: String @requires(fields: \"title\") }
         type PageInfo @shareable { hasNextPage: Boolean! }",
    );
    assert_eq!(found.diagnostics.items, []);
    let graph = found.graph.unwrap();
    assert_eq!(graph.sources[0].kind, SourceKind::Lake);
    let film = &graph.types["Film"];
    let key = &film.sources[&SourceId(0)].keys[0];
    assert!(key.resolvable && key.fields.0.len() == 1, "{key:?}");
    let holders = |field: &str| film.fields[field].iter().map(|f| f.source.0).collect::<Vec<_>>();
    assert_eq!((holders("stars"), holders("id")), (vec![1], vec![0, 1]));
    assert!(graph.api.get_object("FilmConnection").is_some());
    assert!(graph.api.get_object("Query").unwrap().fields.contains_key("films"));
    assert!(film.fields["title"][1].external);
}

#[test]
fn a_field_of_a_table_that_a_service_claims_is_a_conflict_with_both_places() {
    let found = composed("type Film @key(fields: \"id\") {\n  id: ID!\n  title: String!\n}");
    assert!(found.graph.is_none());
    let [fault] = found.diagnostics.items.as_slice() else { panic!("{}", found.diagnostics) };
    assert_eq!(fault.code, Code::InvalidFieldSharing);
    let places: Vec<String> = std::iter::once(&fault.place)
        .chain(fault.also.iter().map(|also| &also.place))
        .map(ToString::to_string)
        .collect();
    assert_eq!(places, ["catalog.graphql:4:3", "reviews.graphql:5:3"]);
    assert!(fault.hint.is_some());
}
