//! Whether texts that other tools wrote are values of the enums that the schema says.
//!
//! In: rows by the names of their columns. Out: nothing, or which text is no value of which field. Enums
//! are looked for in columns, in lists, and in the parts of embedded objects. Not here: rows that come by
//! Headwater's own decoding, which takes nothing else.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use base::{Error, Result};
use schema::{ColumnSpec, EnumType, FieldDef, ObjectType, Schema};

/// Refuses rows with a text that is no value of its enum.
pub(crate) fn check(schema: &Schema, object: &ObjectType, batch: &RecordBatch) -> Result<()> {
    object.columns().try_for_each(|(field, column)| {
        let array = batch.column_by_name(&column.column);
        array.map_or(Ok(()), |array| check_column(schema, object, (field, column), array))
    })
}

/// Whether such rows are looked at for the column.
pub(crate) fn are_in(schema: &Schema, column: &ColumnSpec) -> bool {
    let embedded = column.embedded.map(|id| schema.object(id));
    column.enum_name.is_some()
        || embedded.is_some_and(|parts| parts.columns().any(|(_, part)| are_in(schema, part)))
}

fn check_column(
    schema: &Schema,
    object: &ObjectType,
    (field, column): (&FieldDef, &ColumnSpec),
    array: &ArrayRef,
) -> Result<()> {
    let items = items_of(array)?;
    if let Some(known) = column.enum_name.as_ref().and_then(|name| schema.enums.get(name)) {
        return check_texts(known, object, field, &items);
    }
    let (Some(id), Some(parts)) = (column.embedded, items.as_struct_opt()) else { return Ok(()) };
    let embedded = schema.object(id);
    embedded.columns().try_for_each(|(field, column)| {
        let Some(part) = parts.column_by_name(&column.column) else { return Ok(()) };
        // What lies below an object that is missing is no value of anybody.
        let part = match parts.nulls() {
            Some(nulls) => {
                let there = arrow::array::BooleanArray::new(nulls.inner().clone(), None);
                compute::filter(part, &there).map_err(crate::failure::failed("look at enums"))?
            }
            None => Arc::clone(part),
        };
        check_column(schema, embedded, (field, column), &part)
    })
}

fn check_texts(
    known: &EnumType,
    object: &ObjectType,
    field: &FieldDef,
    items: &ArrayRef,
) -> Result<()> {
    let Some(texts) = items.as_string_opt::<i32>() else { return Ok(()) };
    let is_value = |text: &str| known.values.iter().any(|value| value.as_ref() == text);
    match texts.iter().flatten().find(|text| !is_value(text)) {
        None => Ok(()),
        Some(text) => Err(Error::invalid(format!(
            "`{text}` is no value of the enum `{}` of field `{}.{}`",
            known.name, object.name, field.name
        ))),
    }
}

/// The items of lists, of lists of lists too; anything else as it is.
fn items_of(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let (first, last) = match lists.value_offsets() {
                [first, .., last] => (*first as usize, *last as usize),
                _ => (0, 0),
            };
            items_of(&lists.values().slice(first, last - first))
        }
        _ => Ok(Arc::clone(array)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ListArray, StringArray, StructArray};
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Field;

    const SDL: &str = r#"extend schema @module(name: "lab", owner: "lab")
enum Colour { RED GREEN }
type Part { colour: Colour! name: String }
type Thing @key(fields: "id") @table(plural: "things") {
  id: Long!
  colour: Colour
  all: [Colour!]
  part: Part
  parts: [Part!]
}
"#;

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn listed(items: ArrayRef) -> ArrayRef {
        let field = Arc::new(Field::new("item", items.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([items.len()]);
        Arc::new(ListArray::new(field, offsets, items, None))
    }

    fn parts(values: &[&str], nulls: Option<Vec<bool>>) -> ArrayRef {
        let colours = texts(values);
        let field = Field::new("colour", DataType::Utf8, true);
        Arc::new(StructArray::new(vec![field].into(), vec![colours], nulls.map(NullBuffer::from)))
    }

    fn found(column: &str, array: ArrayRef) -> Result<()> {
        let sources = schema::load::Sources::from_texts([("lab.graphql", SDL)]);
        let schema = schema::compile(&sources).expect("a schema");
        let batch = RecordBatch::try_from_iter([(column, array)]).expect("rows");
        check(&schema, &schema.types["Thing"], &batch)
    }

    #[test]
    fn texts_are_looked_at_wherever_an_enum_is() {
        for (column, good, bad) in [
            ("colour", texts(&["RED", "GREEN"]), texts(&["RED", "BLUE"])),
            ("all", listed(texts(&["RED"])), listed(texts(&["BLUE"]))),
            ("part", parts(&["RED"], None), parts(&["BLUE"], None)),
            ("parts", listed(parts(&["RED"], None)), listed(parts(&["BLUE"], None))),
        ] {
            assert!(found(column, good).is_ok(), "{column}");
            let refused = found(column, bad).expect_err(column);
            assert!(refused.message().contains("`BLUE` is no value of the enum `Colour`"));
        }
        assert!(found("part", parts(&["RED", ""], Some(vec![true, false]))).is_ok());
    }
}
