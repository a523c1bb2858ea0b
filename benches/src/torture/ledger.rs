//! The table that suites torture, and the simple model that it is compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::record_batch::RecordBatch;
use base::rng::Rng;
use base::{Clock, Principal};
use frame::{DataType, Field, Scan, ScanRequest, SnapshotRef, Value};
use futures::TryStreamExt as _;
use lake::{Config, Lake, Limits};
use object_store::ObjectStore;
use schema::Schema;
use schema::load::Sources;

/// The type's name.
pub(crate) const TYPE: &str = "Account";

/// Its module.
pub(crate) const SDL: &str = r#"extend schema @module(name: "bank", owner: "bank")
type Account @key(fields: "id") @table(format: ICEBERG, plural: "accounts", bucket: { by: "id", count: 4 }) {
  id: ID!
  amount: Long!
  note: String
}
"#;

/// Rows by key.
pub(crate) type Rows = BTreeMap<String, (i64, Option<String>)>;

/// The compiled schema.
pub(crate) fn schema() -> Result<Arc<Schema>> {
    let sources = Sources::from_texts([("bank.graphql", SDL)]);
    schema::compile(&sources)
        .map(Arc::new)
        .map_err(|diagnostics| anyhow::anyhow!("{}", diagnostics.render(&sources, false)))
}

/// Opens a lake over these parts.
pub(crate) async fn open(
    objects: Arc<dyn ObjectStore>,
    database: meta::Database,
    rng: Rng,
) -> Result<Lake> {
    let config = Config {
        warehouse: "torture".to_owned(),
        objects,
        database,
        clock: Clock::system(),
        rng,
        limits: Limits::default(),
        compact: true,
        tends: true,
        retain: std::time::Duration::from_secs(7 * 24 * 3600),
        snapshots: None,
    };
    Ok(Lake::open(config, schema()?).await?)
}

/// The table's fields.
pub(crate) fn fields() -> Vec<Field> {
    vec![
        Field::new("id", DataType::String, false),
        Field::new("amount", DataType::Long, false),
        Field::new("note", DataType::String, true),
    ]
}

/// Rows as a batch.
pub(crate) fn batch(rows: &Rows) -> Result<RecordBatch> {
    let rows: Vec<Vec<Value>> = rows
        .iter()
        .map(|(id, (amount, note))| {
            let note = note.as_deref().map_or(Value::Null, Value::from);
            vec![Value::from(id.as_str()), Value::Int(*amount), note]
        })
        .collect();
    Ok(frame::convert::batch_of(&fields(), &rows)?)
}

/// All rows of the table, now or at a snapshot. Two rows with one key are an error.
pub(crate) async fn read(lake: &Lake, at: Option<i64>) -> Result<Rows> {
    let mut request = ScanRequest::new(TYPE, ["id", "amount", "note"], Principal::local());
    request.at = at.map(SnapshotRef::Id);
    let batches: Vec<RecordBatch> = lake.scan(request).await?.try_collect().await?;
    let mut rows = Rows::new();
    for batch in &batches {
        for row in frame::convert::rows_of(batch, &fields())? {
            let (id, amount, note) = parts(&row).context("a row has another shape")?;
            anyhow::ensure!(
                rows.insert(id.clone(), (amount, note)).is_none(),
                "`{id}` is there twice"
            );
        }
    }
    Ok(rows)
}

fn parts(row: &[Value]) -> Option<(String, i64, Option<String>)> {
    let [Value::String(id), Value::Int(amount), note] = row else {
        return None;
    };
    Some((id.to_string(), *amount, note.as_str().map(ToOwned::to_owned)))
}
