//! Media and vectors beside the rows: what is put in comes out again, and near things are found.

use std::sync::Arc;
use std::time::Duration;

use base::{Kind, Principal};
use bytes::Bytes;
use frame::{DataType, Nearest, NearestQuery, Scan, ScanRequest, Value};
use futures::TryStreamExt;
use lake::{Change, MediaVariant, TableChange};
use object_store::ObjectStore;
use object_store::path::Path;
use schema::plan::Step;
use schema::{FieldKind, Metric, ObjectType, Schema, VectorSpec};

use crate::lab::{Lab, info, keyed, object};

/// A bitmap whose left part is of one colour and whose right part is of another.
fn bitmap(left: [u8; 3], right: [u8; 3], share: u32) -> Bytes {
    const SIDE: u32 = 48;
    let size = 54 + SIDE * SIDE * 3;
    let mut bytes = Vec::with_capacity(size as usize);
    bytes.extend_from_slice(b"BM");
    for number in [size, 0, 54, 40, SIDE, SIDE] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&24_u16.to_le_bytes());
    for number in [0, SIDE * SIDE * 3, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for pixel in 0..SIDE * SIDE {
        let colour = if pixel % SIDE < share { left } else { right };
        bytes.extend_from_slice(&colour);
    }
    bytes.into()
}

fn photo() -> ObjectType {
    let fields = [("id", DataType::String, false), ("image", Schema::media_type(), true)];
    let mut object = keyed(object("Photo", "photos", &fields), &["id"]);
    let image = object.fields.get_mut("image").unwrap();
    let FieldKind::Column(spec) = image.kind.clone() else { panic!("a column") };
    image.kind = FieldKind::Media(spec);
    let (_, dimension, _) = media::BUILT_IN.iter().find(|model| model.0 == "image-small").unwrap();
    image.vector = Some(VectorSpec {
        model: Some("image-small".into()),
        dimension: u32::try_from(*dimension).unwrap(),
        metric: Metric::Cosine,
    });
    object
}

async fn photos() -> (Lab, Vec<Bytes>, Vec<Value>) {
    let lab = Lab::new(vec![photo()]).await;
    let images = vec![
        bitmap([10, 10, 200], [10, 10, 220], 24),
        bitmap([12, 10, 198], [10, 12, 224], 20),
        bitmap([200, 220, 10], [0, 60, 10], 40),
    ];
    let put = lab.lake.put_media("Photo", "image", images.clone()).await.unwrap();
    let values: Vec<Value> = put.into_iter().map(Result::unwrap).collect();
    let rows: Vec<Vec<Value>> = values
        .iter()
        .enumerate()
        .map(|(index, value)| vec![Value::from(format!("p{index}").as_str()), value.clone()])
        .collect();
    let change = Change::Insert(lab.stage("Photo", &rows).await);
    let changes = vec![TableChange { type_name: "Photo".into(), change }];
    lab.lake.commit(changes, info("photos")).await.unwrap();
    (lab, images, values)
}

async fn near(lab: &Lab, field: &str, query: NearestQuery, type_name: &str) -> Vec<String> {
    let mut request = ScanRequest::new(type_name, ["id"], Principal::local());
    request.nearest = Some(Nearest { field: field.into(), query, count: 1, exact: false });
    let batches: Vec<_> = lab.lake.scan(request).await.unwrap().try_collect().await.unwrap();
    let ids = batches.iter().flat_map(|batch| {
        frame::convert::values_of(batch.column(0).as_ref(), &DataType::String).unwrap()
    });
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn media_come_out_as_they_went_in_with_a_thumbnail() {
    let (lab, images, values) = photos().await;
    let Value::Struct(parts) = &values[0] else { panic!("a struct") };
    let hash = parts[0].as_str().unwrap();
    let get = |variant| lab.lake.media("Photo", "image", hash, variant);
    let (bytes, content_type) = get(MediaVariant::Original).await.unwrap();
    assert_eq!((bytes, content_type), (images[0].clone(), "image/bmp"));
    let (thumbnail, content_type) = get(MediaVariant::Thumbnail).await.unwrap();
    assert!(content_type.starts_with("image/") && !thumbnail.is_empty());
    let absent = "0".repeat(64);
    let missing = lab.lake.media("Photo", "image", &absent, MediaVariant::Original).await;
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    let hostile = lab.lake.media("Photo", "image", "' OR 1=1", MediaVariant::Original).await;
    assert_eq!(hostile.unwrap_err().kind(), Kind::InvalidInput);
}

/// Files with media of photos.
async fn media_files(lab: &Lab) -> usize {
    let id = &lab.lake.table("Photo").await.unwrap().id;
    let folder = Path::from(format!("_companions/{id}/media.lance/data"));
    let listed = lab.lake.config().objects.list(Some(&folder));
    listed.try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test]
async fn media_that_came_one_by_one_are_joined() {
    let (lab, _, _) = photos().await;
    let mut put = Vec::new();
    for number in 0..20 {
        let image = bitmap([number, 0, 0], [0, number, 9], 10);
        let value = lab.lake.put_media("Photo", "image", vec![image.clone()]).await.unwrap();
        let Ok(Value::Struct(parts)) = &value[0] else { panic!("a struct") };
        put.push((parts[0].as_str().unwrap().to_owned(), image));
    }
    assert_eq!(media_files(&lab).await, 21);
    lab.lake.maintain().await.unwrap();
    assert_eq!(media_files(&lab).await, 22, "requests may still read those of before");
    let like = || NearestQuery::Rows(vec!["p0".into()]);
    for hours in [0, 2] {
        lab.clock.advance(hours * 3600 * 1_000_000);
        lab.lake.maintain().await.unwrap();
        lab.lake.clean_orphans(Duration::ZERO).await.unwrap();
        for lake in [&lab.lake, &lab.other(hours as u64 + 2).await] {
            for (hash, image) in &put {
                let media = lake.media("Photo", "image", hash, MediaVariant::Original);
                assert_eq!(media.await.unwrap().0, image);
            }
        }
        assert_eq!(near(&lab, "image", like(), "Photo").await, ["p1"]);
    }
    assert_eq!(media_files(&lab).await, 1);
}

#[tokio::test]
async fn a_broken_image_is_refused_and_its_neighbours_are_not() {
    let lab = Lab::new(vec![photo()]).await;
    let good = bitmap([1, 2, 3], [4, 5, 6], 10);
    let put = lab
        .lake
        .put_media("Photo", "image", vec![good.slice(..80), good.clone(), good])
        .await
        .unwrap();
    assert!(put[0].is_err());
    assert_eq!(put[1].as_ref().unwrap(), put[2].as_ref().unwrap());
}

#[tokio::test]
async fn like_images_are_near_and_vectors_can_be_dropped_and_built_again() {
    let (lab, _, _) = photos().await;
    let like = || NearestQuery::Rows(vec!["p0".into()]);
    assert_eq!(near(&lab, "image", like(), "Photo").await, ["p1"]);
    let schema = lab.lake.schema();
    let mut without = schema.as_ref().clone();
    let object = without.types.get_mut("Photo").unwrap();
    object.fields.get_mut("image").unwrap().vector = None;
    let (type_name, field): (Arc<str>, Arc<str>) = ("Photo".into(), "image".into());
    let drop = Step::DropVectors { type_name: type_name.clone(), field: field.clone() };
    for _ in 0..2 {
        lab.lake.execute_step(&drop, &schema, &without, &|_| {}).await.unwrap();
    }
    let build = Step::BuildVectors { type_name, field };
    lab.lake.execute_step(&build, &without, &schema, &|_| {}).await.unwrap();
    assert_eq!(near(&lab, "image", like(), "Photo").await, ["p1"]);
}

#[tokio::test]
async fn vectors_that_the_user_brings_are_searched_by_their_distance() {
    let dimension = 4;
    let fields = [("id", DataType::String, false), ("place", DataType::Vector { dimension }, true)];
    let mut object = keyed(object("Spot", "spots", &fields), &["id"]);
    object.fields.get_mut("place").unwrap().vector =
        Some(VectorSpec { model: None, dimension, metric: Metric::L2 });
    let lab = Lab::new(vec![object]).await;
    let spot = |id: &str, at: f32| vec![id.into(), Value::Vector([at, 0.0, 0.0, 1.0].into())];
    let rows = [spot("a", 1.0), spot("b", 5.0), spot("c", 9.0), vec!["d".into(), Value::Null]];
    let change = Change::Insert(lab.stage("Spot", &rows).await);
    let changes = vec![TableChange { type_name: "Spot".into(), change }];
    lab.lake.commit(changes, info("spots")).await.unwrap();
    let asked = vec![vec![8.0, 0.0, 0.0, 1.0], vec![0.0, 0.0, 0.0, 1.0]];
    assert_eq!(near(&lab, "place", NearestQuery::Vectors(asked), "Spot").await, ["c", "a"]);
    let mut request = ScanRequest::new("Spot", ["id"], Principal::local());
    let query = NearestQuery::Vectors(vec![vec![1.0]]);
    request.nearest = Some(Nearest { field: "place".into(), query, count: 1, exact: true });
    let error = lab.lake.scan(request).await.err().unwrap();
    assert_eq!(error.to_string(), "a vector of 1 numbers cannot be compared with one of 4");
}
