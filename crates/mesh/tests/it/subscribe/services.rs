//! Events of a service: each runs the rest of the plan, and who leaves is noticed at the service.

use std::sync::Arc;

use base::{Clock, Kind};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use mesh::{CallError, Engine, Request, Service, ServiceCall, Settings, Told};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::{change, next, start};
use crate::fixture::tables;

const NEWS: &str = "extend schema @module(name: \"news\", owner: \"desk\")
  @source(name: \"news\", kind: GRAPHQL, url: \"http://news\")
  @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\"])
type Query { latest: Note }
type Subscription { published(topic: String): Note }
type Note @key(fields: \"id\") { id: ID!  text: String! }
";

const READERS: &str = "extend schema @module(name: \"readers\", owner: \"floor\")
  @source(name: \"readers\", kind: GRAPHQL, url: \"http://readers\")
  @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\"])
type Query { busiest: Note }
type Note @key(fields: \"id\") { id: ID!  readers: Int }
";

/// A service that says what it is told to.
struct News {
    asked: Arc<Mutex<Vec<Json>>>,
    streams: Mutex<Option<mpsc::Receiver<Result<Bytes, CallError>>>>,
}

impl Service for News {
    fn call<'a>(&'a self, _: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async { Err(CallError::new(Kind::Unavailable, "it only publishes")) })
    }

    fn subscribe<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Told, CallError>> {
        Box::pin(async move {
            self.asked.lock().push(serde_json::from_slice(&call.body).expect("JSON"));
            let stream = self.streams.lock().take();
            match stream {
                Some(stream) => Ok(futures::stream::unfold(stream, |mut stream| async move {
                    stream.recv().await.map(|said| (said, stream))
                })
                .boxed()),
                None => Err(CallError::new(Kind::Unavailable, "there is one stream")
                    .caused_by("news:4000 says no")),
            }
        })
    }
}

/// Counts letters as readers.
struct Readers(Arc<Mutex<Vec<Json>>>);

impl Service for Readers {
    fn call<'a>(&'a self, call: ServiceCall<'a>) -> BoxFuture<'a, Result<Bytes, CallError>> {
        Box::pin(async move {
            let body: Json = serde_json::from_slice(&call.body).expect("JSON");
            self.0.lock().push(body.clone());
            let notes = body["variables"]["representations"].as_array().expect("notes").iter();
            let read = |note: &Json| json!({"readers": note["id"].as_str().unwrap_or("").len()});
            let notes: Vec<Json> = notes.map(read).collect();
            Ok(json!({"data": {"_entities": notes}}).to_string().into())
        })
    }
}

type Asked = Arc<Mutex<Vec<Json>>>;
type Speaker = mpsc::Sender<Result<Bytes, CallError>>;

fn engine() -> (Arc<Engine>, Speaker, Asked, Asked) {
    let sources = schema::Sources::from_texts([
        (
            "films.graphql",
            "extend schema @module(name: \"films\", owner: \"reels\")\ntype Film @key(fields: \"id\") @table(format: ICEBERG, plural: \"films\") { id: ID! year: Int }",
        ),
        ("news.graphql", NEWS),
        ("readers.graphql", READERS),
    ]);
    let schema = match schema::compile(&sources) {
        Ok(schema) => Arc::new(schema),
        Err(diagnostics) => panic!("{}", diagnostics.render(&sources, false)),
    };
    let tables = Arc::new(tables(&schema, Clock::system()));
    let (speaker, stream) = mpsc::channel(1);
    let (news, readers) = (Asked::default(), Asked::default());
    let services: Vec<Arc<dyn Service>> = vec![
        Arc::new(News { asked: Arc::clone(&news), streams: Mutex::new(Some(stream)) }),
        Arc::new(Readers(Arc::clone(&readers))),
    ];
    let engine = Engine::federated(schema, tables, services, Settings::default());
    (Arc::new(engine.expect("a graph")), speaker, news, readers)
}

fn published(id: &str, text: &str) -> Result<Bytes, CallError> {
    let note = json!({"__typename": "Note", "id": id, "text": text});
    Ok(json!({"data": {"published": note}}).to_string().into())
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_service_is_completed_by_others() {
    let (engine, speaker, news, readers) = engine();
    let query = "subscription { published(topic: \"cats\") { text readers } }";
    let mut notes = start(&engine, query).await.expect("a stream");
    let asked = news.lock()[0]["query"].as_str().expect("a text").to_owned();
    assert!(asked.starts_with("subscription{published(topic:\"cats\")"), "{asked}");
    for (id, text) in [("a", "one"), ("bbb", "two")] {
        speaker.send(published(id, text)).await.expect("a listener");
        assert_eq!(change(&mut notes).await, json!({"text": text, "readers": id.len()}));
    }
    assert_eq!(readers.lock().len(), 2, "one call an event");
    // An event may be an error, and the stream goes on.
    let failed = json!({"data": {"published": null}, "errors": [{"message": "lost"}]}).to_string();
    speaker.send(Ok(failed.into())).await.expect("a listener");
    let event = next(&mut notes).await;
    assert_eq!(
        (&event["data"]["published"], &event["errors"][0]["message"]),
        (&Json::Null, &json!("lost"))
    );
    // The service ends, and so does the stream.
    drop(speaker);
    assert!(notes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_noticed_at_the_service() {
    let (engine, speaker, ..) = engine();
    let notes = start(&engine, "subscription { published { text } }").await.expect("a stream");
    assert!(!speaker.is_closed());
    drop(notes);
    speaker.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_told_with_its_source() {
    let (engine, speaker, ..) = engine();
    let query = "subscription { published { text } }";
    let mut notes = start(&engine, query).await.expect("a stream");
    let broken = CallError::new(Kind::Unavailable, "the connection broke").caused_by("10.0.0.1");
    speaker.send(Err(broken)).await.expect("a listener");
    let end = next(&mut notes).await;
    let error = &end["errors"][0];
    assert_eq!(error["message"], "`news` did not answer: the connection broke");
    assert_eq!(
        (&error["extensions"]["source"], &error["extensions"]["owner"]),
        (&json!("news"), &json!("desk"))
    );
    assert!(!end.to_string().contains("10.0.0.1"), "{end}");
    assert!(notes.next().await.is_none());
    // One that does not begin is the answer to the request.
    let refused = start(&engine, query).await.expect_err("no second stream");
    assert_eq!(refused["errors"][0]["message"], "`news` did not answer: there is one stream");
}

#[tokio::test(start_paused = true)]
async fn rows_of_tables_are_told_beside_services() {
    let (engine, ..) = engine();
    let query = "subscription { filmChanged { kind key { id } node { year } } }";
    let mut films = start(&engine, query).await.expect("a stream");
    let create = "mutation { createFilm(input: {id: \"f\", year: 7}) { replayed } }";
    let answer = engine.execute(Request::new(create, base::Principal::local())).await;
    assert_eq!(answer.errors, 0);
    let expected = json!({"kind": "UPSERTED", "key": {"id": "f"}, "node": {"year": 7}});
    assert_eq!(change(&mut films).await, expected);
}
