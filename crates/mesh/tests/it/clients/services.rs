//! A client for tables and a service: types, arguments and scalars of the service's own.

use std::sync::Arc;

use base::{Clock, Principal};
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh::documents::DocumentFile;
use mesh::{CallError, Engine, Request, Service, ServiceCall, Settings};
use schema::generate::client::{self as generated, Sending, TypeOf};
use serde_json::json;

use super::accept::accept;
use super::model;
use crate::fixture::{compiled, tables};

const SDL: &str = "extend schema @module(name: \"desk\", owner: \"desk\")
  @source(name: \"desk\", kind: GRAPHQL, url: \"http://desk\")
scalar Money
interface Named { name: String }
type Note implements Named { name: String  price(in: Currency! = EUR, at: Spot): Money }
type Person implements Named { name: String }
enum Currency { EUR NOK }
input Spot { day: String!  hour: Int = 12 }
type Query { found(spots: [Spot!]): [Named!] }
";

const DOCUMENT: &str = "query Found($spots: [Spot!]) {
  schemaFingerprint
  found(spots: $spots) { name ... on Note { price(in: NOK) } }
}";

const SAID: &str = r#"{"data":{"found":[
  {"__typename":"Note","name":"n","price":{"cents":5}}, {"__typename":"Person","name":"p"}
]}}"#;

/// Says the same whatever it is asked.
struct Says;

impl Service for Says {
    fn call<'a>(&'a self, _: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async { Ok(Bytes::from_static(SAID.as_bytes())) })
    }
}

#[tokio::test]
async fn types_of_services_are_in_a_client() {
    let schema = compiled(SDL);
    let sdl = schema::api::served_sdl(&schema);
    let file = DocumentFile { name: "found".to_owned(), text: DOCUMENT.to_owned() };
    let client = model(&sdl, &[file], Sending::Text);
    let operation = &client.operations[0];
    let source = Arc::new(tables(&schema, Clock::system()));
    let services: Vec<Arc<dyn Service>> = vec![Arc::new(Says)];
    let engine = Engine::federated(schema, source, services, Settings::default()).expect("a graph");
    let mut request = Request::new(&operation.text, Principal::local());
    request.variables.insert("spots".to_owned(), json!([{"day": "today"}]));
    let answer = engine.execute(request).await.json().expect("JSON");
    assert_eq!(answer["errors"], json!(null), "{answer}");
    assert_eq!(answer["data"]["found"][0]["price"], json!({"cents": 5}));
    assert_eq!(accept(&client, operation.shape, &answer["data"]), Ok(()));
    let scalars: Vec<_> = client.scalars.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(scalars, ["Money"]);
    let spot = client.input("Spot").expect("an input object of the service");
    assert!(
        spot.fields[0].required
            && matches!(&spot.fields[1].ty.of, TypeOf::Scalar(it) if it == "Int")
    );
    assert!(generated::typescript(&client)[0].text.contains("price: Money | null;"));
}
