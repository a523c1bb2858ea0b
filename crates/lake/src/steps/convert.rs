//! Changes a column to another type, when every value fits it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryBuilder};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, kernels::cmp::not_distinct};
use arrow::datatypes::DataType;
use base::{Error, Kind, Result};
use iceberg::spec::{NestedFieldRef, Type};

use super::fill::{self, Fill};
use super::{Context, expand, stored};
use crate::failure::failed;
use crate::files::LiveFile;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape;
use crate::table::Table;

/// Values that a refusal shows.
const SHOWN: usize = 5;

/// Checks every row of a column that is converted, and prepares the column that takes its place. Done
/// again, it looks only at files that came since.
pub(super) async fn prepare(
    context: &Context<'_>,
    type_name: &str,
    field: &str,
    all: bool,
) -> Result<()> {
    let table = context.table_of(type_name).await?;
    let (_, old) = context.stored_before(type_name, field)?;
    let (def, column) = stored(context.after(type_name)?, field)?;
    let metadata = table.iceberg()?;
    let find = |name: &str| metadata.current_schema().field_by_name(name).map(Arc::clone);
    // After the switch the column has its new name.
    let present = find(&old.column).or_else(|| find(&column.column));
    let present = present.ok_or_else(|| {
        let text = format!("table `{}` has no column `{}`", table.name, old.column);
        Error::new(Kind::Stale, text)
    })?;
    let mut next_id = table.stored()?.last_column_id() + 1;
    let wanted = shape::iceberg_field(def, column, &mut next_id);
    let same_type = same_shape(&present.field_type, &wanted.field_type);
    let allowed = context.values_of(type_name, field);
    if same_type && present.required == wanted.required && allowed.is_none() {
        return Ok(());
    }
    check(context, &table, &present, &wanted, &allowed).await?;
    if same_type {
        return Ok(());
    }
    let Some(new) = expand::prepared(context, &table, def, column).await? else { return Ok(()) };
    fill::fill(context, type_name, Fill::From { id: new, source: present.id }, all).await
}

/// Whether two types are the same but for the ids of their parts.
pub(super) fn same_shape(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Primitive(left), Type::Primitive(right)) => left == right,
        (Type::List(left), Type::List(right)) => {
            let (left, right) = (&left.element_field, &right.element_field);
            left.required == right.required && same_shape(&left.field_type, &right.field_type)
        }
        (Type::Struct(left), Type::Struct(right)) => {
            left.fields().len() == right.fields().len()
                && left.fields().iter().zip(right.fields()).all(|(left, right)| {
                    left.name == right.name
                        && left.required == right.required
                        && same_shape(&left.field_type, &right.field_type)
                })
        }
        _ => false,
    }
}

/// Looks at every value that was not looked at before. Of an enum only the listed values are allowed.
async fn check(
    context: &Context<'_>,
    table: &Table,
    present: &NestedFieldRef,
    wanted: &NestedFieldRef,
    allowed: &Option<Vec<Arc<str>>>,
) -> Result<()> {
    let metadata = table.iceberg()?;
    let source = shape::arrow_schema(metadata.current_schema())?;
    let column = source.index_of(&present.name).map_err(failed("convert a column"))?;
    let target = iceberg::arrow::type_to_arrow_type(&wanted.field_type)
        .map_err(failed("convert a column"))?;
    let from = source.field(column).data_type();
    if !same_shape(&present.field_type, &wanted.field_type) && !can_convert(from, &target) {
        let text = format!("column `{}` cannot be converted from {from} to {target}", present.name);
        return Err(Error::new(Kind::Unsupported, text)
            .hint("add a field of the new type, fill it, and drop the old one"));
    }
    let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    let content = context.lake.files().content(metadata, snapshot).await?;
    let (mut bad, mut count) = (Vec::new(), 0_u64);
    let name = |file: &LiveFile| format!("{}:{}", present.id, file.path());
    let checked = |file: &&LiveFile| !context.control.done.checked.lock().contains(&name(file));
    for file in content.data.iter().filter(checked) {
        let gone = context.lake.files().deleted(file).await?;
        let wanted_rows = Wanted::columns(&source, &[column], RowsWanted::Except(gone))?;
        let mut rows = read::read(context.lake.files(), file.data(), wanted_rows).await?;
        while let Some((batch, _)) = rows.next().await? {
            let values = batch.column(0);
            let mut rows = misfits(values, &target, wanted.required)?;
            if let (Some(allowed), Some(texts)) = (allowed, values.as_string_opt::<i32>()) {
                let other = |row: &usize| {
                    texts.is_valid(*row)
                        && !allowed.iter().any(|one| one.as_ref() == texts.value(*row))
                };
                rows.extend((0..values.len()).filter(other));
            }
            for row in rows {
                count += 1;
                if bad.len() < SHOWN {
                    bad.push(shown(values, row)?);
                }
            }
        }
    }
    if count == 0 {
        // Rows of a file only go, so that a file that was checked stays right.
        let files = content.data.iter().map(name);
        context.control.done.checked.lock().extend(files);
        return Ok(());
    }
    let text = format!(
        "{count} rows of table `{}` have a value of `{}` that does not fit the new type: `{}`",
        table.name,
        present.name,
        bad.join("`, `")
    );
    Err(Error::invalid(text).hint("change or delete these rows first"))
}

fn shown(values: &ArrayRef, row: usize) -> Result<String> {
    if values.is_null(row) {
        return Ok("null".to_owned());
    }
    arrow::util::display::array_value_to_string(values, row).map_err(failed("show a value"))
}

/// Rows whose value has no equal in the target type.
fn misfits(values: &ArrayRef, target: &DataType, required: bool) -> Result<Vec<usize>> {
    let converted = convert_or_null(values, target)?;
    let is_text = matches!(values.data_type(), DataType::Utf8);
    // Texts have many spellings of one value, so only other types must come back as they were.
    let back = if is_text { None } else { Some(convert_or_null(&converted, values.data_type())?) };
    let same = match &back {
        Some(back) if !back.data_type().is_nested() => {
            Some(not_distinct(back, values).map_err(failed("compare values"))?)
        }
        _ => None,
    };
    let fits = |row: &usize| {
        if values.is_null(*row) {
            return !required;
        }
        converted.is_valid(*row) && same.as_ref().is_none_or(|same| same.value(*row))
    };
    Ok((0..values.len()).filter(|row| !fits(row)).collect())
}

fn can_convert(from: &DataType, to: &DataType) -> bool {
    let is_uuid = |data_type: &DataType| matches!(data_type, DataType::FixedSizeBinary(16));
    match (from, to) {
        (DataType::Utf8, to) if is_uuid(to) => true,
        (from, DataType::Utf8) if is_uuid(from) => true,
        _ => can_cast_types(from, to),
    }
}

/// The values in another type; those that do not fit are null.
pub(crate) fn convert_or_null(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if let (DataType::Utf8, DataType::FixedSizeBinary(16)) = (values.data_type(), to) {
        let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), 16);
        for text in values.as_string::<i32>() {
            match text.and_then(|text| uuid::Uuid::parse_str(text).ok()) {
                Some(uuid) => {
                    builder.append_value(uuid.as_bytes()).map_err(failed("read a UUID"))?
                }
                None => builder.append_null(),
            }
        }
        return Ok(Arc::new(builder.finish()));
    }
    if let (DataType::FixedSizeBinary(16), DataType::Utf8) = (values.data_type(), to) {
        let text = |bytes: Option<&[u8]>| {
            bytes.and_then(|bytes| uuid::Uuid::from_slice(bytes).ok()).map(|uuid| uuid.to_string())
        };
        let texts: arrow::array::StringArray =
            values.as_fixed_size_binary().iter().map(text).collect();
        return Ok(Arc::new(texts));
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    cast_with_options(values, to, &options).map_err(failed("convert a column"))
}

/// The values in another type; all were checked before.
pub(super) fn cast(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let converted = convert_or_null(values, to)?;
    if converted.null_count() > values.null_count() {
        let text = "a row that does not fit the new type was written meanwhile";
        return Err(
            Error::invalid(text).hint("change or delete it, then `headwater apply --resume`")
        );
    }
    Ok(converted)
}
