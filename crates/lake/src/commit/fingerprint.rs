//! What an idempotency key stands for: a hash of everything that a request says.

use arrow::row::{RowConverter, SortField};
use base::Result;
use frame::{Value, WriteOp, WriteRequest};

use crate::failure::failed;

/// The same text for the same change, however its rows were cut into batches.
pub(crate) fn of(request: &WriteRequest) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(request.table.as_bytes());
    let (name, batches) = match &request.op {
        WriteOp::Append(batches) => ("append", batches.as_slice()),
        WriteOp::Insert(batches) => ("insert", batches.as_slice()),
        WriteOp::Upsert(batches) => ("upsert", batches.as_slice()),
        WriteOp::Update(batches) => ("update", batches.as_slice()),
        WriteOp::Delete(keys) => {
            for value in keys.iter().flatten() {
                part(kind_of(value).as_bytes());
                part(value.to_string().as_bytes());
            }
            ("delete", &[][..])
        }
    };
    part(name.as_bytes());
    let mut names: Vec<String> = Vec::new();
    for batch in batches {
        let fields = batch.schema_ref().fields();
        let present: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        if names != present {
            present.iter().for_each(|name| part(name.as_bytes()));
            names = present;
        }
        let sorts = fields.iter().map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(sorts.collect()).map_err(failed("read the rows"))?;
        let rows = converter.convert_columns(batch.columns()).map_err(failed("read the rows"))?;
        rows.iter().for_each(|row| part(row.as_ref()));
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Tells values apart that print alike.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Int(_) => "int",
        Value::String(_) => "text",
        _ => "other",
    }
}
