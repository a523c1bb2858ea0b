//! Keys of rows as fixed-size values that can be held in sets of millions.
//!
//! In: the key's columns. Out: one [`KeyHash`] a row: 128 bits of BLAKE3 over the values, in a form
//! that is equal exactly when the values are. Two different keys of one table share a hash with a
//! chance of 2^-128 a pair, so equal hashes count as equal keys. Not here: ordering keys.

use arrow::array::{Array, ArrayRef};
use arrow::row::{RowConverter, SortField};
use base::Result;
use frame::{DataType, Value};
use schema::ObjectType;

use crate::failure::failed;
use crate::shape;

/// A row's key.
pub(crate) type KeyHash = u128;

/// The key of each row.
pub(crate) fn hashes(columns: &[ArrayRef]) -> Result<Vec<KeyHash>> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(failed("read keys"))?;
    let rows = converter.convert_columns(columns).map_err(failed("read keys"))?;
    Ok(rows.iter().map(|row| hash(row.as_ref())).collect())
}

fn hash(bytes: &[u8]) -> KeyHash {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    u128::from_le_bytes(half)
}

/// The types of the key's fields, in the key's order.
pub(crate) fn types(object: &ObjectType) -> Result<Vec<DataType>> {
    let key = &shape::table_spec(object)?.key;
    key.iter().map(|field| Ok(shape::column_of(object, *field)?.data_type.clone())).collect()
}

/// Names of the key's fields in the API.
pub(crate) fn field_names(object: &ObjectType) -> Result<Vec<&str>> {
    let key = &shape::table_spec(object)?.key;
    Ok(key.iter().map(|field| object.field(*field).name.as_ref()).collect())
}

/// The columns of keys that were given as values.
pub(crate) fn arrays_of(object: &ObjectType, keys: &[Vec<Value>]) -> Result<Vec<ArrayRef>> {
    let types = types(object)?;
    for key in keys {
        if key.len() != types.len() || key.iter().any(Value::is_null) {
            let names = field_names(object)?.join("`, `");
            return Err(base::Error::invalid(format!(
                "a key of `{}` has {} values, one for each of `{names}`, and none may be null",
                object.name,
                types.len()
            )));
        }
    }
    let column = |(index, data_type): (usize, &DataType)| {
        frame::convert::array_of(keys.iter().map(|key| &key[index]), data_type)
    };
    types.iter().enumerate().map(column).collect()
}

/// A key as people read it: `7` or `(7, "a")`.
pub(crate) fn shown(object: &ObjectType, columns: &[ArrayRef], row: usize) -> Result<String> {
    let mut parts = Vec::new();
    for (column, data_type) in columns.iter().zip(types(object)?) {
        parts.push(
            frame::convert::value_at(column.as_ref() as &dyn Array, row, &data_type)?.to_string(),
        );
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { format!("({})", parts.join(", ")) })
}
