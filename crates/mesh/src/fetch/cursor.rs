//! Cursors: opaque, versioned, authenticated; each pins a snapshot and a place in one order.
//!
//! The text is base64 of a version, the snapshot, a hash of the query that the cursor belongs to, the
//! place, and a truncated HMAC-SHA256 over all of them. A cursor that we did not make, or that belongs
//! to another query, is refused.

use base::{Error, Kind, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use frame::Value;
use hmac::{Hmac, Mac};
use sha2::Sha256;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;

/// The key that signs cursors.
#[derive(Clone)]
pub(crate) struct CursorKey([u8; 32]);

/// A hash of what must not change between pages.
pub(crate) type QueryHash = [u8; 8];

/// A place between two rows of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cursor {
    pub(crate) snapshot: i64,
    pub(crate) query: QueryHash,
    pub(crate) place: Place,
}

/// Where in the order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// At the row with these values of the order's items.
    Row(Vec<Value>),
    /// After so many rows: for types without a key.
    Offset(u64),
}

impl CursorKey {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        CursorKey(key)
    }

    fn tag(&self, bytes: &[u8]) -> Result<[u8; TAG_BYTES]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .map_err(|error| Error::internal("a cursor key has 32 bytes").caused_by(error))?;
        mac.update(bytes);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG_BYTES]);
        Ok(tag)
    }

    /// The text of a cursor.
    pub(crate) fn seal(&self, cursor: &Cursor) -> Result<String> {
        let mut bytes = vec![VERSION];
        bytes.extend(cursor.snapshot.to_le_bytes());
        bytes.extend(cursor.query);
        match &cursor.place {
            Place::Row(values) => {
                bytes.push(0);
                for value in values {
                    write(&mut bytes, value)?;
                }
            }
            Place::Offset(rows) => {
                bytes.push(1);
                bytes.extend(rows.to_le_bytes());
            }
        }
        bytes.extend(self.tag(&bytes)?);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The cursor of a text that [`CursorKey::seal`] made for the same query.
    pub(crate) fn open(&self, text: &str, query: QueryHash) -> Result<Cursor> {
        let foreign = || {
            Error::invalid("the cursor is not one of this server")
                .hint("pass on an `endCursor` or `startCursor` unchanged")
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| foreign())?;
        let (signed, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or_else(foreign)?;
        if !equal(&self.tag(signed)?, tag) {
            return Err(foreign());
        }
        let mut reader = Reader(signed);
        if reader.byte().ok_or_else(foreign)? != VERSION {
            return Err(Error::new(Kind::Stale, "the cursor was made by another version")
                .hint("start again from the first page"));
        }
        let cursor = reader.cursor().ok_or_else(foreign)?;
        if cursor.query != query {
            return Err(Error::invalid("the cursor belongs to another query")
                .hint("keep `where`, `orderBy`, `search` and `asOf` the same between pages"));
        }
        Ok(cursor)
    }
}

/// Compares in a time that does not depend on where the tags differ.
fn equal(left: &[u8; TAG_BYTES], right: &[u8; TAG_BYTES]) -> bool {
    left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

fn write(bytes: &mut Vec<u8>, value: &Value) -> Result<()> {
    let text = |bytes: &mut Vec<u8>, tag: u8, text: &[u8]| {
        bytes.push(tag);
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
    };
    match value {
        Value::Null => bytes.push(0),
        Value::Boolean(boolean) => bytes.extend([1, u8::from(*boolean)]),
        Value::Int(number) => {
            bytes.push(2);
            bytes.extend(number.to_le_bytes());
        }
        Value::Float(number) => {
            bytes.push(3);
            bytes.extend(number.to_le_bytes());
        }
        Value::Decimal { unscaled, scale } => {
            bytes.extend([4, *scale]);
            bytes.extend(unscaled.to_le_bytes());
        }
        Value::String(string) => text(bytes, 5, string.as_bytes()),
        Value::Bytes(blob) => text(bytes, 6, blob),
        Value::Date(days) => {
            bytes.push(7);
            bytes.extend(days.to_le_bytes());
        }
        Value::DateTime(micros) => {
            bytes.push(8);
            bytes.extend(micros.to_le_bytes());
        }
        Value::Uuid(uuid) => {
            bytes.push(9);
            bytes.extend(uuid.as_bytes());
        }
        other => return Err(Error::internal(format!("`{other}` cannot be a sort key"))),
    }
    Ok(())
}

/// Reads what [`CursorKey::seal`] wrote; `None` at anything else.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u64::from_le_bytes(self.array()?)).ok()?;
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }

    fn cursor(&mut self) -> Option<Cursor> {
        let snapshot = i64::from_le_bytes(self.array()?);
        let query = self.array()?;
        let place = match self.byte()? {
            0 => {
                let mut values = Vec::new();
                while !self.0.is_empty() {
                    values.push(self.value()?);
                }
                Place::Row(values)
            }
            1 => Place::Offset(u64::from_le_bytes(self.array()?)),
            _ => return None,
        };
        Some(Cursor { snapshot, query, place })
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            0 => Value::Null,
            1 => Value::Boolean(self.byte()? == 1),
            2 => Value::Int(i64::from_le_bytes(self.array()?)),
            3 => Value::Float(f64::from_le_bytes(self.array()?)),
            4 => {
                let scale = self.byte()?;
                Value::Decimal { unscaled: i128::from_le_bytes(self.array()?), scale }
            }
            5 => Value::from(std::str::from_utf8(self.bytes()?).ok()?),
            6 => Value::Bytes(self.bytes()?.into()),
            7 => Value::Date(i32::from_le_bytes(self.array()?)),
            8 => Value::DateTime(i64::from_le_bytes(self.array()?)),
            9 => Value::Uuid(uuid::Uuid::from_bytes(self.array()?)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let values = vec![
            Value::Null,
            Value::Boolean(true),
            Value::Int(-7),
            Value::Float(0.5),
            Value::Decimal { unscaled: -125, scale: 2 },
            "größe".into(),
            Value::Bytes([1, 2].as_slice().into()),
            Value::Date(3),
            Value::DateTime(4),
            Value::Uuid(uuid::Uuid::from_u128(5)),
        ];
        Cursor { snapshot: 9, query: [1; 8], place: Place::Row(values) }
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let key = CursorKey::new([7; 32]);
        for cursor in [cursor(), Cursor { place: Place::Offset(50), ..cursor() }] {
            let text = key.seal(&cursor).expect("sort keys");
            assert_eq!(key.open(&text, [1; 8]).expect("our own"), cursor);
        }
    }

    #[test]
    fn no_changed_cursor_is_accepted() {
        let key = CursorKey::new([7; 32]);
        let text = key.seal(&cursor()).expect("sort keys");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).expect("base64");
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert!(key.open(&changed, [1; 8]).is_err(), "byte {position}");
        }
        assert!(CursorKey::new([8; 32]).open(&text, [1; 8]).is_err());
        assert_eq!(
            key.open(&text, [2; 8]).expect_err("another query").to_string(),
            "the cursor belongs to another query"
        );
    }
}
