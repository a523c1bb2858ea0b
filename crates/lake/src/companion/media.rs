//! The bytes of media fields.
//!
//! In: encoded images. Out: the struct that stands in the row, with the bytes and a thumbnail stored
//! under the hash; or the reason why one is refused. Not here: decoding (crate `media`), rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, LargeBinaryArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use base::{Error, Kind, Result};
use bytes::Bytes;
use frame::Value;
use futures::{StreamExt, stream};
use schema::{FieldKind, VectorSpec};

use super::vectors::{VectorSpace, append_vectors};
use crate::{Lake, Table};

/// Images that are decoded at once: each may need some hundred MiB.
pub(super) const DECODED_AT_ONCE: usize = 2;

/// Which bytes of a medium are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaVariant {
    /// As they were given.
    Original,
    /// At most 256 pixels a side.
    Thumbnail,
}

/// One image, measured.
struct Prepared {
    value: Value,
    hash: String,
    bytes: Bytes,
    thumbnail: Vec<u8>,
    vector: Option<Vec<f32>>,
}

impl Lake {
    /// Stores media for a field. Gives for each the struct of `Schema::media_type` or the reason why
    /// it is refused; what it gives is durable.
    pub async fn put_media(
        &self,
        type_name: &str,
        field: &str,
        items: Vec<Bytes>,
    ) -> Result<Vec<Result<Value>>> {
        let table = self.table(type_name).await?;
        let spec = self.media_field(type_name, field)?;
        let model = match spec.as_ref().and_then(|spec| spec.model.as_deref()) {
            Some(name) => Some(self.inner.companions.model(name)?),
            None => None,
        };
        let measured: Vec<Result<Prepared>> = stream::iter(items)
            .map(|bytes| {
                let model = model.clone();
                async move {
                    base::task::blocking("measure-media", move || prepare(bytes, model.as_deref()))
                        .await?
                }
            })
            .buffered(DECODED_AT_ONCE)
            .collect()
            .await;
        self.store_media(&table, &measured).await?;
        if let Some(spec) = &spec {
            self.store_media_vectors(&table, spec, &measured).await?;
        }
        Ok(measured.into_iter().map(|one| one.map(|prepared| prepared.value)).collect())
    }

    fn media_field(&self, type_name: &str, field: &str) -> Result<Option<VectorSpec>> {
        let schema = self.schema();
        let def = schema.types.get(type_name).and_then(|object| object.fields.get(field));
        match def {
            Some(def) if matches!(def.kind, FieldKind::Media(_)) => Ok(def.vector.clone()),
            _ => Err(Error::not_found(format!("`{type_name}.{field}` is no media field"))),
        }
    }

    async fn store_media(&self, table: &Table, measured: &[Result<Prepared>]) -> Result<()> {
        let mut new: HashMap<&str, &Prepared> = HashMap::new();
        for prepared in measured.iter().flatten() {
            new.insert(&prepared.hash, prepared);
        }
        let dataset = dataset_name(table);
        let companions = &self.inner.companions;
        let asked: Vec<&str> = new.keys().copied().collect();
        if let Some(found) = companions.find(&dataset, &asked).await? {
            new.retain(|hash, _| !found.has(hash));
        }
        if new.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<&Prepared> = new.into_values().collect();
        rows.sort_by(|left, right| left.hash.cmp(&right.hash));
        companions.lance.append(&dataset, vec![media_batch(&rows)?]).await
    }

    async fn store_media_vectors(
        &self,
        table: &Table,
        spec: &VectorSpec,
        measured: &[Result<Prepared>],
    ) -> Result<()> {
        let vectors = measured
            .iter()
            .flatten()
            .filter_map(|prepared| Some((prepared.hash.clone(), prepared.vector.clone()?)));
        let space = VectorSpace::of(table, spec);
        append_vectors(&self.inner.companions, &space, vectors.collect()).await
    }

    /// The bytes of a medium with their media type.
    pub async fn media(
        &self,
        type_name: &str,
        field: &str,
        hash: &str,
        variant: MediaVariant,
    ) -> Result<(Bytes, &'static str)> {
        self.media_field(type_name, field)?;
        let table = self.table(type_name).await?;
        let found = self.media_bytes(&table, hash, variant).await?;
        let bytes = found.ok_or_else(|| {
            Error::not_found(format!("`{type_name}.{field}` has no medium `{hash}`"))
        })?;
        let format = ::media::sniff(&bytes, None)?;
        Ok((bytes, format.content_type()))
    }

    /// The bytes of a medium of a table; `None` when it has none of this hash.
    pub(crate) async fn media_bytes(
        &self,
        table: &Table,
        hash: &str,
        variant: MediaVariant,
    ) -> Result<Option<Bytes>> {
        let wellformed = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !wellformed {
            return Err(Error::invalid(format!("`{hash}` is no hash of a medium")));
        }
        let column = match variant {
            MediaVariant::Original => "bytes",
            MediaVariant::Thumbnail => "thumbnail",
        };
        let found = self.inner.companions.find(&dataset_name(table), &[hash]).await?;
        let Some(found) = found else { return Ok(None) };
        let row = found.row(hash, column).await?;
        Ok(row.and_then(|row| {
            let column = row.column(0).as_binary_opt::<i64>()?;
            Some(Bytes::copy_from_slice(column.value(0)))
        }))
    }
}

/// Path of the companion with the media of a table.
pub(super) fn dataset_name(table: &Table) -> String {
    format!("_companions/{}/media.lance", table.id)
}

fn prepare(bytes: Bytes, model: Option<&::media::Model>) -> Result<Prepared> {
    let measured = ::media::measure(&bytes, &::media::Limits::default())?;
    let vector = match model {
        Some(model) => Some(model.embed_image(&measured.image)?),
        None => None,
    };
    Ok(Prepared {
        value: media_value(&measured),
        hash: measured.hash,
        bytes,
        thumbnail: measured.thumbnail,
        vector,
    })
}

/// The struct of `Schema::media_type`, in the order of its fields.
fn media_value(measured: &::media::Measured) -> Value {
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let float = |number: Option<f64>| number.map_or(Value::Null, Value::Float);
    Value::Struct(vec![
        Value::from(measured.hash.as_str()),
        Value::from(measured.format.name()),
        Value::Int(i64::try_from(measured.bytes).unwrap_or(i64::MAX)),
        Value::Int(measured.width.into()),
        Value::Int(measured.height.into()),
        measured.taken_at.map_or(Value::Null, |at| Value::DateTime(at.as_micros())),
        text(&measured.camera),
        float(measured.latitude),
        float(measured.longitude),
        Value::from(measured.perceptual_hash.as_str()),
        Value::Float(measured.sharpness),
        Value::Float(measured.exposure),
        Value::from(measured.mean_color.as_str()),
    ])
}

fn media_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("hash", DataType::Utf8, false),
        Field::new("bytes", DataType::LargeBinary, false),
        Field::new("thumbnail", DataType::LargeBinary, false),
    ]))
}

fn media_batch(rows: &[&Prepared]) -> Result<RecordBatch> {
    let hashes = StringArray::from_iter_values(rows.iter().map(|row| row.hash.as_str()));
    let bytes = LargeBinaryArray::from_iter_values(rows.iter().map(|row| row.bytes.as_ref()));
    let thumbnails = LargeBinaryArray::from_iter_values(rows.iter().map(|row| &row.thumbnail));
    let arrays: Vec<ArrayRef> = vec![Arc::new(hashes), Arc::new(bytes), Arc::new(thumbnails)];
    RecordBatch::try_new(media_schema(), arrays)
        .map_err(|error| Error::new(Kind::Internal, "failed to store media").caused_by(error))
}
