//! Gives a table another key, when it tells all rows apart.

use std::collections::HashSet;

use base::{Error, Kind, Result};
use iceberg::spec::Schema as IcebergSchema;

use super::{Context, StepProgress};
use crate::commit::delta::{Alter, Delta};
use crate::commit::locate::each_key;
use crate::failure::failed;
use crate::lake::object_named;
use crate::layout::Layout;
use crate::read::RowsWanted;
use crate::shape;

/// Checks that the key is unique and never null, then makes it the table's identifier.
pub(super) async fn change(context: &Context<'_>, type_name: &str) -> Result<()> {
    let table = context.lake.table(type_name).await?;
    let object = object_named(context.new, type_name)?;
    let key = shape::key_columns(object)?;
    let metadata = table.iceberg()?;
    let schema = metadata.current_schema();
    let fields = super::columns::fields_of(metadata);
    let mut wanted = shape::identifier_ids(object, &fields)?;
    wanted.sort_unstable();
    let mut present: Vec<i32> = schema.identifier_field_ids().collect();
    present.sort_unstable();
    if !key.is_empty() {
        let layout = Layout::new(metadata, &key)?;
        let of = table.snapshots().last().map_or(0, |last| last.rows);
        let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
        let content = context.lake.files().content(metadata, snapshot).await?;
        let (mut seen, mut twice) = (HashSet::new(), 0_u64);
        for file in &content.data {
            let rows = RowsWanted::Except(context.lake.files().deleted(file).await?);
            each_key(context.lake.files(), &layout, file.data(), rows, |_, key| {
                twice += u64::from(!seen.insert(key));
            })
            .await?;
            (context.progress)(StepProgress { rows: seen.len() as u64, of });
        }
        if twice > 0 {
            let text = format!(
                "`{}` is no key of table `{}`: {twice} rows have values that an earlier row has",
                key.join(", "),
                table.name
            );
            return Err(Error::new(Kind::AlreadyExists, text).hint("delete the doubles first"));
        }
    }
    if wanted == present {
        return Ok(());
    }
    let changed = IcebergSchema::builder()
        .with_schema_id(schema.schema_id() + 1)
        .with_fields(fields)
        .with_identifier_field_ids(wanted)
        .build()
        .map_err(failed(format!("change the key of table `{}`", table.name)))?;
    let alter: Alter = Box::new(move |builder| {
        builder.add_current_schema(changed).map_err(failed("change a key"))
    });
    context.commit(&table, Delta { alter: Some(alter), ..Delta::default() }).await
}
