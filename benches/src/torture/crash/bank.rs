//! The tables that are tortured, and what each row must hold.
//!
//! In: a row's mark, a number that no other change writes. Out: all its values, which follow from the
//! mark, as batches, files and pictures; and from a lake its rows, each held against its mark. Not
//! here: which rows there must be (`oracle`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::record_batch::RecordBatch;
use base::Principal;
use bytes::Bytes;
use frame::{DataType, Field, Scan, ScanRequest, SnapshotRef, Value};
use futures::TryStreamExt as _;
use lake::{Lake, MediaVariant};
use schema::Schema;
use schema::load::Sources;

/// Iceberg with a key, text and vectors.
pub(crate) const ACCOUNT: &str = "Account";
/// Iceberg without a key.
pub(crate) const EVENT: &str = "Event";
/// Lance with a key and vectors.
pub(crate) const CARD: &str = "Card";
/// Iceberg with pictures.
pub(crate) const PHOTO: &str = "Photo";
/// All of them.
pub(crate) const TYPES: [&str; 4] = [ACCOUNT, EVENT, CARD, PHOTO];

const SDL: &str = r#"extend schema @module(name: "bank", owner: "bank")
type Account @key(fields: "id") @table(format: ICEBERG, plural: "accounts", bucket: { by: "id", count: 2 }) {
  id: ID!
  mark: Long!
  note: String @search
  pad: String
  spot: Vector @vector(dimension: 4, metric: L2)
}
type Event @table(format: ICEBERG, plural: "events", sort: "mark") {
  id: ID!
  mark: Long!
  note: String @search
  pad: String
  spot: Vector @vector(dimension: 4, metric: L2)
}
type Card @key(fields: "id") @table(format: LANCE, plural: "cards") {
  id: ID!
  mark: Long!
  note: String
  pad: String
  spot: Vector @vector(dimension: 4, metric: L2)
}
type Photo @key(fields: "id") @table(format: ICEBERG, plural: "photos") {
  id: ID!
  mark: Long!
  image: Media @media @vector(model: "image-small")
}
"#;

/// Bytes of the text that rows of files have and rows of mutations do not.
const PAD: usize = 256;
/// Pixels of a side of a picture.
const SIDE: u32 = 12;

/// Rows of one type: marks by id, in the order in which they were made.
pub(crate) type Rows = Vec<(String, i64)>;

/// The compiled schema.
pub(crate) fn schema() -> Result<Arc<Schema>> {
    let sources = Sources::from_texts([("bank.graphql", SDL)]);
    schema::compile(&sources)
        .map(Arc::new)
        .map_err(|diagnostics| anyhow::anyhow!("{}", diagnostics.render(&sources, false)))
}

/// Whether a type has pictures instead of texts.
pub(crate) fn is_photo(type_name: &str) -> bool {
    type_name == PHOTO
}

/// Whether a type has text indexes.
pub(crate) fn is_searched(type_name: &str) -> bool {
    type_name == ACCOUNT || type_name == EVENT
}

/// Rows of files have odd marks and a long text.
fn is_long(mark: i64) -> bool {
    mark % 2 == 1
}

/// The word by which a row is found.
pub(crate) fn word(mark: i64) -> String {
    format!("w{mark}")
}

fn note(mark: i64) -> String {
    format!("{} drop of the river {}", word(mark), mark % 7)
}

fn pad(mark: i64) -> Option<String> {
    is_long(mark).then(|| format!("{mark} ").repeat(PAD).chars().take(PAD).collect())
}

/// The vector of a row; no other row is so near to it as itself.
pub(crate) fn spot(mark: i64) -> Vec<f32> {
    let digit = |place: i64| (mark / place % 1000) as f32;
    vec![digit(1), digit(1000), digit(1_000_000), (mark / 1_000_000_000) as f32]
}

/// The picture of a row.
pub(crate) fn picture(mark: i64) -> Bytes {
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
    let colour = mark.to_le_bytes();
    for pixel in 0..SIDE * SIDE {
        let from = if pixel % SIDE < SIDE / 2 { 0 } else { 3 };
        bytes.extend_from_slice(&colour[from..from + 3]);
    }
    bytes.into()
}

fn fields(type_name: &str) -> Vec<Field> {
    let id = Field::new("id", DataType::String, false);
    let mark = Field::new("mark", DataType::Long, false);
    if is_photo(type_name) {
        return vec![id, mark, Field::new("image", Schema::media_type(), true)];
    }
    let text = |name: &'static str| Field::new(name, DataType::String, true);
    let spot = Field::new("spot", DataType::Vector { dimension: 4 }, true);
    vec![id, mark, text("note"), text("pad"), spot]
}

/// Rows as a batch; the pictures of photos are stored on the way.
pub(crate) async fn batch(lake: &Lake, type_name: &str, rows: &Rows) -> base::Result<RecordBatch> {
    let mut values = Vec::with_capacity(rows.len());
    let mut images = Vec::new();
    if is_photo(type_name) {
        let pictures = rows.iter().map(|(_, mark)| picture(*mark)).collect();
        for stored in lake.put_media(PHOTO, "image", pictures).await? {
            images.push(stored?);
        }
    }
    for (index, (id, mark)) in rows.iter().enumerate() {
        let mut row = vec![Value::from(id.as_str()), Value::Int(*mark)];
        match images.get(index) {
            Some(image) => row.push(image.clone()),
            None => row.extend(texts(*mark)),
        }
        values.push(row);
    }
    frame::convert::batch_of(&fields(type_name), &values)
}

fn texts(mark: i64) -> [Value; 3] {
    let pad = pad(mark).as_deref().map_or(Value::Null, Value::from);
    [Value::from(note(mark).as_str()), pad, Value::Vector(spot(mark).into())]
}

/// Writes rows as a CSV file, pictures as files beside it.
pub(crate) fn write_csv(path: &Path, type_name: &str, rows: &Rows) -> Result<()> {
    let photo = is_photo(type_name);
    let mut text = String::from(if photo { "id,mark,image\n" } else { "id,mark,note,pad,spot\n" });
    for (id, mark) in rows {
        if photo {
            let name = format!("{mark}.bmp");
            std::fs::write(path.with_file_name(&name), picture(*mark))?;
            text.push_str(&format!("{id},{mark},{name}\n"));
        } else {
            let (note, pad) = (note(*mark), pad(*mark).unwrap_or_default());
            let spot: Vec<String> = spot(*mark).iter().map(f32::to_string).collect();
            text.push_str(&format!("{id},{mark},{note},{pad},\"[{}]\"\n", spot.join(",")));
        }
    }
    std::fs::write(path, text).context("failed to write a file to import")
}

/// All rows of a type, now or at a snapshot, by id. A row whose values do not follow from its mark, or
/// an id that is there twice, is an error.
pub(crate) async fn read(
    lake: &Lake,
    type_name: &str,
    at: Option<i64>,
) -> Result<BTreeMap<String, i64>> {
    let fields = fields(type_name);
    let names: Vec<Arc<str>> = fields.iter().map(|field| Arc::clone(&field.name)).collect();
    let mut request = ScanRequest::new(type_name, names, Principal::local());
    request.at = at.map(SnapshotRef::Id);
    let batches: Vec<RecordBatch> = lake.scan(request).await?.try_collect().await?;
    let mut rows = BTreeMap::new();
    for batch in &batches {
        for row in frame::convert::rows_of(batch, &fields)? {
            let (id, mark) = checked(type_name, &row)
                .with_context(|| format!("a row of `{type_name}` is not as it was written"))?;
            ensure!(rows.insert(id.clone(), mark).is_none(), "`{type_name}` has `{id}` twice");
        }
    }
    Ok(rows)
}

fn checked(type_name: &str, row: &[Value]) -> Result<(String, i64)> {
    let (Some(Value::String(id)), Some(Value::Int(mark))) = (row.first(), row.get(1)) else {
        anyhow::bail!("it has no id or no mark: {row:?}");
    };
    if !is_photo(type_name) {
        ensure!(row[2..] == texts(*mark), "`{id}` with mark {mark} holds {:?}", &row[2..]);
    }
    Ok((id.to_string(), *mark))
}

/// Holds the pictures of some photos against their marks.
pub(crate) async fn check_pictures(lake: &Lake, rows: &BTreeMap<String, i64>) -> Result<()> {
    let fields = fields(PHOTO);
    let names: Vec<Arc<str>> = fields.iter().map(|field| Arc::clone(&field.name)).collect();
    let request = ScanRequest::new(PHOTO, names, Principal::local());
    let batches: Vec<RecordBatch> = lake.scan(request).await?.try_collect().await?;
    for batch in &batches {
        for row in frame::convert::rows_of(batch, &fields)? {
            let (id, mark) = checked(PHOTO, &row)?;
            let Some(Value::Struct(image)) = row.get(2) else {
                anyhow::bail!("photo `{id}` has no picture");
            };
            let hash = image.first().and_then(Value::as_str).context("a picture has no hash")?;
            let stored = lake.media(PHOTO, "image", hash, MediaVariant::Original).await;
            let (bytes, _) = stored.with_context(|| format!("failed to read picture of `{id}`"))?;
            ensure!(bytes == picture(mark), "the picture of `{id}` is not what was stored");
            ensure!(rows.get(&id) == Some(&mark), "photo `{id}` changed while it was read");
        }
    }
    Ok(())
}
