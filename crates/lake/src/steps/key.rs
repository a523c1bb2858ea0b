//! Whether another key tells all rows of a table apart.

use std::collections::HashSet;

use base::{Error, Kind, Result};

use super::Context;
use crate::commit::locate::each_key;
use crate::lake::object_named;
use crate::layout::Layout;
use crate::read::RowsWanted;
use crate::shape;

/// Checks that the key is unique and never null among all rows.
pub(super) async fn check(context: &Context<'_>, type_name: &str) -> Result<()> {
    let object = object_named(context.new, type_name)?;
    if shape::key_columns(object)?.is_empty() {
        return Ok(());
    }
    // The columns of the key as the new schema names them, on the rows as they are.
    let table = context.preview(type_name).await?;
    let metadata = table.iceberg()?;
    let key = shape::key_columns(object)?;
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
        context.progress(seen.len() as u64, of);
    }
    if twice == 0 {
        return Ok(());
    }
    let text = format!(
        "`{}` is no key of table `{}`: {twice} rows have values that an earlier row has",
        key.join(", "),
        table.name
    );
    Err(Error::new(Kind::AlreadyExists, text).hint("delete the doubles first"))
}
