//! Media: stored before the row is written, answered with a path, compared by its vectors.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, Principal, Result};
use frame::{Distance, Field, MemoryTable, MemoryTables, Value};
use mesh::{Engine, MediaStore, Request, Settings};
use serde_json::{Value as Json, json};

use crate::fixture::compiled;

const SDL: &str = "
extend schema @module(name: \"gallery\", owner: \"design\")
type Photo @key(fields: \"id\") @table(format: LANCE, plural: \"photos\") {
  id: ID!
  image: Media @media @vector(model: \"image-small\")
  similar(first: Int = 1): [Photo!]! @nearest(on: \"image\")
}";

/// Measures nothing but the length and uses the first byte as the hash.
struct Store;

#[async_trait]
impl MediaStore for Store {
    async fn put_media(&self, _: &str, _: &str, files: Vec<Vec<u8>>) -> Result<Vec<Value>> {
        let measured = files.iter().map(|bytes| {
            let mut parts = vec![Value::Null; 13];
            parts[0] = Value::from(format!("{}", bytes[0]).as_str());
            parts[1] = Value::from("png");
            parts[2] = Value::Int(bytes.len() as i64);
            Value::Struct(parts)
        });
        Ok(measured.collect())
    }
}

fn engine(media: Option<Arc<dyn MediaStore>>) -> Engine {
    let schema = compiled(SDL);
    let tables = MemoryTables::new(Clock::system());
    let fields = vec![
        Field::new("id", frame::DataType::String, false),
        Field::new("image", schema::Schema::media_type(), true),
    ];
    let table = MemoryTable::new("Photo", fields, &["id"]).expect("known fields");
    let by_hash = |value: &Value| match value {
        Value::Struct(parts) => Some([parts[0].to_string().parse().ok()?].as_slice().into()),
        _ => None,
    };
    tables.add(table.vectors("image", Distance::L2, by_hash).expect("a field"));
    let settings = Settings { media, ..Settings::default() };
    Engine::with_settings(schema, Arc::new(tables), settings).expect("a valid API")
}

async fn ask(engine: &Engine, query: &str, variables: Json) -> Json {
    let variables = variables.as_object().cloned().unwrap_or_default();
    let request = Request { variables, ..Request::new(query, Principal::local()) };
    engine.execute(request).await.json().expect("JSON")
}

const CREATE: &str = "mutation($rows: [PhotoInput!]!) { createPhotos(inputs: $rows) { nodes { id image { bytes } } } }";

#[tokio::test]
async fn media_is_stored_and_answered_with_its_path() {
    let engine = engine(Some(Arc::new(Store)));
    let rows = json!([
        {"id": "a", "image": {"bytes": "AQID"}},
        {"id": "b"},
        {"id": "c", "image": {"bytes": "Ag=="}},
        {"id": "d", "image": {"bytes": "CQ=="}}
    ]);
    let answer = ask(&engine, CREATE, json!({ "rows": rows })).await;
    assert_eq!(answer["errors"], Json::Null);
    assert_eq!(answer["data"]["createPhotos"]["nodes"][0]["image"]["bytes"], "3");
    let query = "query($v: MediaVariant!) { photos(where: {image: {bytes: {lt: 9}}}) { nodes { id image { __typename hash url small: url(variant: $v) } similar { id } } } }";
    let answer = ask(&engine, query, json!({"v": "THUMBNAIL"})).await;
    assert_eq!(
        answer["data"]["photos"]["nodes"],
        json!([
            {"id": "a", "image": {"__typename": "Media", "hash": "1", "url": "/media/Photo/image/1", "small": "/media/Photo/image/1?thumbnail"}, "similar": [{"id": "c"}]},
            {"id": "c", "image": {"__typename": "Media", "hash": "2", "url": "/media/Photo/image/2", "small": "/media/Photo/image/2?thumbnail"}, "similar": [{"id": "a"}]},
            {"id": "d", "image": {"__typename": "Media", "hash": "9", "url": "/media/Photo/image/9", "small": "/media/Photo/image/9?thumbnail"}, "similar": [{"id": "c"}]}
        ])
    );
}

#[tokio::test]
async fn media_without_a_store_is_refused() {
    let rows = json!([{"id": "a", "image": {"bytes": "AQID"}}]);
    let answer = ask(&engine(None), CREATE, json!({ "rows": rows })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNSUPPORTED");
    let rows = json!([{"id": "a", "image": {"bytes": "not base64"}}]);
    let answer = ask(&engine(Some(Arc::new(Store))), CREATE, json!({ "rows": rows })).await;
    let message = answer["errors"][0]["message"].as_str().expect("a message");
    assert!(message.starts_with("`inputs[0].image.bytes`: not base64"), "{message}");
}
