//! Takes deletions along that happened to files while their rows were written anew.
//!
//! In: the files that were read, the files that were written, and the table as it is now. Out: the rows
//! of the new files to delete, because they were deleted in the old ones meanwhile; they are found by
//! the table's key. A `Conflict` where there is none, or where an old file has gone. Without this, a
//! large file could not be written anew while single rows of it change. Not here: the commit
//! (`compact`).

use arrow::array::{Array, ArrayRef};
use base::{Error, Kind, Result};
use std::sync::Arc;

use crate::commit::locate::{self, Wants};
use crate::commit::positions::Gone;
use crate::failure::failed;
use crate::files::{Content, LiveFile};
use crate::lake::Lake;
use crate::layout::Layout;
use crate::read::{self, RowsWanted, Wanted};
use crate::stage::StagedFiles;
use crate::table::Table;

/// The rows of staged files that went from the chosen ones since those were read.
pub(super) async fn deletions(
    lake: &Lake,
    table: &Table,
    content: &Content,
    chosen: &[LiveFile],
    staged: &StagedFiles,
) -> Result<Vec<Gone>> {
    staged.check_schema(table)?;
    let mut went = Vec::new();
    for file in chosen {
        let now = content.data.iter().find(|now| now.path() == file.path());
        let now = now.ok_or_else(|| changed(table))?;
        let (before, after) = (lake.files().deleted(file).await?, lake.files().deleted(now).await?);
        if before.iter().any(|row| after.binary_search(row).is_err()) {
            return Err(changed(table));
        }
        let rows: Vec<u64> =
            after.into_iter().filter(|row| before.binary_search(row).is_err()).collect();
        if !rows.is_empty() {
            went.push((file, rows));
        }
    }
    if went.is_empty() {
        return Ok(Vec::new());
    }
    let layout = Layout::new(table.iceberg()?, &key_of(table)?)?;
    let (columns, count) = keys(lake, &layout, went).await?;
    let wants = Wants::of_columns(&layout, columns)?;
    let gone = locate::in_staged(lake.files(), &layout, staged, &wants).await?;
    if gone.iter().map(|gone| gone.rows.len()).sum::<usize>() != count {
        return Err(changed(table));
    }
    Ok(gone)
}

/// The columns that tell the rows of a table apart.
fn key_of(table: &Table) -> Result<Vec<Arc<str>>> {
    let schema = table.iceberg()?.current_schema();
    let fields = schema.as_struct().fields().iter();
    let is_key = |id: i32| schema.identifier_field_ids().any(|key| key == id);
    let names: Vec<Arc<str>> =
        fields.filter(|field| is_key(field.id)).map(|field| field.name.as_str().into()).collect();
    if names.is_empty() { Err(changed(table)) } else { Ok(names) }
}

/// The keys of these rows, and how many they are.
async fn keys(
    lake: &Lake,
    layout: &Layout,
    went: Vec<(&LiveFile, Vec<u64>)>,
) -> Result<(Vec<ArrayRef>, usize)> {
    let (wanted_columns, places) = layout.key_in_files();
    let mut read = Vec::with_capacity(went.len());
    for (file, rows) in went {
        let wanted = Wanted::columns(&layout.arrow, &wanted_columns, RowsWanted::Only(rows))?;
        read.push(read::read_all(lake.files(), file.data(), wanted).await?);
    }
    let mut columns = Vec::with_capacity(places.len());
    for place in places {
        let parts: Vec<&dyn Array> = read.iter().map(|rows| rows.column(place).as_ref()).collect();
        columns.push(arrow::compute::concat(&parts).map_err(failed("read keys"))?);
    }
    Ok((columns, read.iter().map(|rows| rows.num_rows()).sum()))
}

fn changed(table: &Table) -> Error {
    let text = format!("rows of table `{}` were changed while files were rewritten", table.name);
    Error::new(Kind::Conflict, text)
}
