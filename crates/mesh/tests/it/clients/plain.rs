//! A client for an API of plain SDL: interfaces, unions, one-of input objects, conditions, a subscription,
//! and names that languages have uses of their own for. Its documents are sent by their hashes.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Principal, Result};
use mesh::{Engine, Root, RootResolver};
use parking_lot::Mutex;
use schema::generate::client::{self as generated, Sending};
use serde_json::{Value as Json, json};

use super::films::recorded;
use super::{check_goldens, compile, documents, folder, model};

// As it is generated; `BLESS=1` writes it.
#[rustfmt::skip]
#[path = "../../../../../tests/clients/plain/operations.rs.txt"]
pub(crate) mod operations;

use operations::{
    By, ChangedVariables, ClassVariables, Client, ClientError, FindSearch, FindVariables, Given,
    Kind, NodeVariables, Tree, Whole,
};

fn sdl() -> String {
    std::fs::read_to_string(folder("plain").join("schema.graphql")).expect("an API")
}

struct Data(Json);

#[async_trait]
impl RootResolver for Data {
    async fn resolve(&self, _: Root, field: &str, _: Json, _: &Principal) -> Result<Json> {
        Ok(self.0[field].clone())
    }
}

fn engine() -> Engine {
    let text = std::fs::read_to_string(folder("plain").join("data.json")).expect("data");
    let data = Data(serde_json::from_str(&text).expect("JSON"));
    Engine::plain(&sdl(), Arc::new(data)).expect("an API")
}

#[test]
fn the_client_of_plain_sdl_is_as_written_down() {
    check_goldens("plain", &model(&sdl(), &documents("plain"), Sending::Persisted));
}

#[test]
fn a_client_of_registered_documents_holds_no_text() {
    let client = model(&sdl(), &documents("plain"), Sending::Id);
    let manifest = generated::manifest(&client);
    for file in
        [generated::typescript(&client), generated::python(&client), generated::rust(&client)]
    {
        assert!(!file[0].text.contains("$limit: Int! = 3"), "{}", file[0].path);
        for operation in &client.operations {
            assert!(file[0].text.contains(&operation.id), "{}", file[0].path);
            assert!(manifest.contains(&operation.id));
        }
        assert_eq!(file[1].text, manifest);
    }
    assert!(manifest.contains("$limit: Int! = 3"));
}

#[tokio::test]
async fn programs_read_variants_and_streams() {
    let client = model(&sdl(), &documents("plain"), Sending::Persisted);
    let answers = recorded(&engine(), "plain", &client).await;
    let workshop = compile::workshop(&folder("plain"), &answers);
    compile::typescript(workshop.path());
    compile::python(workshop.path());
}

/// A server that knows no document the first time, and that says what it was given for a stream.
struct Scripted {
    engine: Engine,
    known: Mutex<Vec<String>>,
    stream: Vec<&'static str>,
}

struct Body {
    kind: &'static str,
    chunks: VecDeque<Vec<u8>>,
}

impl operations::Reply for Body {
    type Error = std::fmt::Error;

    fn status(&self) -> u16 {
        200
    }

    fn content_type(&self) -> &str {
        self.kind
    }

    async fn chunk(&mut self) -> std::result::Result<Option<Vec<u8>>, std::fmt::Error> {
        Ok(self.chunks.pop_front())
    }
}

impl operations::Transport for Scripted {
    type Error = std::fmt::Error;
    type Reply = Body;

    async fn send(
        &self,
        request: operations::Request,
    ) -> std::result::Result<Body, std::fmt::Error> {
        let body: Json = serde_json::from_str(&request.body).expect("JSON");
        if request.headers.contains(&("accept".to_owned(), "text/event-stream".to_owned())) {
            let chunks = self.stream.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
            return Ok(Body { kind: "text/event-stream; charset=utf-8", chunks });
        }
        let hash = body["extensions"]["persistedQuery"]["sha256Hash"].as_str().expect("a hash");
        let is_known = self.known.lock().iter().any(|known| known == hash);
        if !is_known {
            self.known.lock().push(hash.to_owned());
            assert_eq!(body.get("query"), None);
            let unknown = json!({"errors": [{"message": "PersistedQueryNotFound",
                "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}]});
            return Ok(Body {
                kind: "application/json",
                chunks: [unknown.to_string().into()].into(),
            });
        }
        let asked = mesh::Request::from_json(request.body.as_bytes(), Principal::local());
        let answer = self.engine.execute(asked.expect("a request")).await.body;
        Ok(Body { kind: "application/json", chunks: [answer].into() })
    }
}

fn client(stream: &[&'static str]) -> Client<Scripted> {
    let transport = Scripted { engine: engine(), known: Mutex::default(), stream: stream.to_vec() };
    Client::new(transport, "scripted")
}

#[tokio::test]
async fn objects_in_rust_are_told_apart_by_their_types() {
    let client = client(&[]);
    let found = client.find(&FindVariables::new(true)).await.expect("found").search;
    let FindSearch::Book(book) = &found[0] else { panic!("no book: {found:?}") };
    assert_eq!((book.pages, &book.kind, book.name.as_deref()), (7, &Kind::EBook, Some("Red")));
    assert_eq!(book.tags, Some(vec![Some(vec!["a".into(), "b".into()]), None]));
    let owner = book.owner.as_ref().expect("an owner");
    assert_eq!((owner.id.as_str(), owner.age), ("p", None));
    let FindSearch::Person(person) = &found[1] else { panic!("no person: {found:?}") };
    assert_eq!(person.age, Some(9));
    let FindSearch::Note(note) = &found[3] else { panic!("no note: {found:?}") };
    assert_eq!(note.text.as_deref(), Some("hello"));
    let whole = serde_json::to_value(&found).expect("JSON");
    let read: Vec<FindSearch> = serde_json::from_value(whole.clone()).expect("an answer");
    assert_eq!(read, found);
    assert_eq!(whole[1]["friend"]["__typename"], "Thing");
}

#[tokio::test]
async fn a_type_and_a_value_that_came_later_are_kept() {
    let later = json!({"__typename": "Map", "id": "m", "name": null});
    let read: Whole = serde_json::from_value(later.clone()).expect("a node");
    let Whole::Other(other) = &read else { panic!("it is known: {read:?}") };
    assert_eq!((other.typename.as_str(), other.id.as_str()), ("Map", "m"));
    assert_eq!(serde_json::to_value(&read).expect("JSON"), later);
    let kind: Kind = serde_json::from_value(json!("SCROLL")).expect("a kind");
    assert_eq!(kind, Kind::Other("SCROLL".to_owned()));
    assert_eq!(serde_json::to_value(kind).expect("JSON"), "SCROLL");
}

#[tokio::test]
async fn inputs_are_as_they_are_given() {
    let tree = Tree {
        name: Given::Null,
        by: By::Kinds(vec![Kind::Paper]).into(),
        self_: Tree { class: Kind::Mro.into(), ..Tree::default() }.into(),
        ..Tree::default()
    };
    let written = serde_json::to_value(&tree).expect("JSON");
    assert_eq!(
        written,
        json!({"name": null, "self": {"class": "mro"}, "by": {"kinds": ["PAPER"]}})
    );
    let client = client(&[]);
    let variables = ClassVariables { self_: tree.into(), ..ClassVariables::default() };
    let answer = client.class(&variables).await.expect("an answer");
    assert_eq!(answer.type_.as_deref(), Some("a \"tree\""));
    let mut variables = NodeVariables::new("p".to_owned());
    (variables.yes, variables.no) = (Given::Value(false), Given::Value(true));
    assert!(client.node(&variables).await.expect("an answer").node.is_none());
}

#[tokio::test]
async fn a_stream_is_read_to_its_end() {
    let next = "event: next\r\ndata: {\"data\":{\"changed\":{\"id\":\"1\",\"at\":\"7\",\"node\":null}}}\r\n\r\n";
    let (head, rest) = next.split_at(20);
    let client_of = |end| {
        client(&[
            ":\n\n",
            head,
            rest,
            "event: next\ndata: {\"errors\":\ndata: [{\"message\":\"no\"}]}\n\n",
            end,
        ])
    };
    for (end, is_whole) in [("event: complete\ndata:\n\n", true), ("", false)] {
        let client = client_of(end);
        let mut changes = client.changed(&ChangedVariables::default()).await.expect("a stream");
        let first = changes.next().await.expect("an event").expect("data");
        assert_eq!((first.changed.id.as_str(), first.changed.at.0), ("1", 7));
        let second = changes.next().await.expect("an event").expect_err("an error");
        assert_eq!(second.to_string(), "no");
        match changes.next().await {
            None => assert!(is_whole),
            Some(Err(ClientError::Graphql { errors, .. })) => {
                assert!(!is_whole && errors[0].is_retryable())
            }
            other => panic!("{other:?}"),
        }
    }
}
