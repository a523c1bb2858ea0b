//! Reads Avro files without the libraries that wrote them.
//!
//! In: the bytes of an object container file, not compressed. Out: its records as JSON, with which the
//! walk over Iceberg's manifests finds its way. Not here: other codecs, logical types.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// Bytes and how far they were read.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(..count).context("an Avro file ends too early")?;
        self.bytes = &self.bytes[count..];
        Ok(taken)
    }

    /// A number in variable length, signs folded in.
    fn long(&mut self) -> Result<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        bail!("a number of an Avro file has no end")
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.long()?).context("a length of an Avro file is negative")
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// Blocks of items until an empty one.
    fn items(&mut self, mut read: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        loop {
            let mut count = self.long()?;
            if count < 0 {
                self.long()?;
                count = -count;
            }
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                read(self)?;
            }
        }
    }
}

/// The records of a file.
pub(crate) fn records(file: &[u8]) -> Result<Vec<Value>> {
    let mut input = Input { bytes: file };
    ensure!(input.take(4)? == b"Obj\x01", "no Avro file");
    let mut header = BTreeMap::new();
    input.items(|input| {
        header.insert(input.text()?, input.bytes()?.to_vec());
        Ok(())
    })?;
    let codec = header.get("avro.codec").map_or(&b"null"[..], Vec::as_slice);
    ensure!(codec == b"null", "an Avro file is compressed");
    let schema: Value =
        serde_json::from_slice(header.get("avro.schema").context("an Avro file has no schema")?)?;
    let mut named = BTreeMap::new();
    learn(&schema, &mut named);
    let mark = input.take(16)?;
    let mut records = Vec::new();
    while !input.bytes.is_empty() {
        let count = input.long()?;
        input.long()?;
        for _ in 0..count {
            records.push(value(&schema, &named, &mut input)?);
        }
        ensure!(input.take(16)? == mark, "a block of an Avro file has another mark");
    }
    Ok(records)
}

/// Types that are named once and referred to afterwards.
fn learn(schema: &Value, named: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| learn(branch, named)),
        Value::Object(parts) => {
            if let Some(name) = parts.get("name").and_then(Value::as_str)
                && parts.get("type").is_some_and(Value::is_string)
            {
                named.insert(name.to_owned(), schema.clone());
            }
            for part in ["type", "items", "values"] {
                parts.get(part).into_iter().for_each(|inner| learn(inner, named));
            }
            let fields = parts.get("fields").and_then(Value::as_array);
            fields.into_iter().flatten().for_each(|field| {
                field.get("type").into_iter().for_each(|inner| learn(inner, named));
            });
        }
        _ => {}
    }
}

fn value(schema: &Value, named: &BTreeMap<String, Value>, input: &mut Input<'_>) -> Result<Value> {
    match schema {
        Value::Array(branches) => {
            let branch = branches.get(input.length()?).context("a union has no such branch")?;
            value(branch, named, input)
        }
        Value::String(name) => simple(name, named, input),
        Value::Object(parts) => match parts.get("type") {
            Some(Value::String(name)) => complex(name, parts, named, input),
            Some(inner) => value(inner, named, input),
            None => bail!("an Avro type without a name"),
        },
        other => bail!("`{other}` is no Avro type"),
    }
}

fn complex(
    name: &str,
    parts: &Map<String, Value>,
    named: &BTreeMap<String, Value>,
    input: &mut Input<'_>,
) -> Result<Value> {
    match name {
        "record" => {
            let mut record = Map::new();
            for field in parts.get("fields").and_then(Value::as_array).into_iter().flatten() {
                let name = field["name"].as_str().unwrap_or_default().to_owned();
                record.insert(name, value(&field["type"], named, input)?);
            }
            Ok(Value::Object(record))
        }
        "array" => {
            let mut items = Vec::new();
            input.items(|input| {
                items.push(value(&parts["items"], named, input)?);
                Ok(())
            })?;
            Ok(Value::Array(items))
        }
        "map" => {
            let mut entries = Map::new();
            input.items(|input| {
                let key = input.text()?;
                entries.insert(key, value(&parts["values"], named, input)?);
                Ok(())
            })?;
            Ok(Value::Object(entries))
        }
        "fixed" => {
            let size = parts.get("size").and_then(Value::as_u64).unwrap_or(0);
            Ok(json!(input.take(usize::try_from(size)?)?.len()))
        }
        simple_name => simple(simple_name, named, input),
    }
}

fn simple(name: &str, named: &BTreeMap<String, Value>, input: &mut Input<'_>) -> Result<Value> {
    Ok(match name {
        "null" => Value::Null,
        "boolean" => json!(input.take(1)?[0] != 0),
        "int" | "long" => json!(input.long()?),
        "float" => json!(input.take(4)?.len()),
        "double" => json!(input.take(8)?.len()),
        "string" => json!(input.text()?),
        // Nobody looks at what these say.
        "bytes" => json!(input.bytes()?.len()),
        _ => {
            let known = named.get(name).with_context(|| format!("Avro type `{name}`"))?;
            return value(known, named, input);
        }
    })
}
