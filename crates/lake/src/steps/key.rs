//! Whether another key tells all rows of a table apart.
//!
//! In: a table, and what was read of it before. Out: nothing, or how many rows have a key that an
//! earlier row has. What was read is kept for as long as the change is carried out: done again, the
//! check reads the files that came since, and the rows that went since of files that it knows. So
//! the last time, while writers wait, it reads little. It keeps about 40 bytes a row. Not here: that
//! a key's columns are never null (`convert`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base::{Error, Kind, Result};

use super::Context;
use super::since::{self, State};
use crate::commit::locate::each_key;
use crate::files::Content;
use crate::keys::KeyHash;
use crate::lake::object_named;
use crate::layout::Layout;
use crate::shape;

/// What was read of a table by its new key.
#[derive(Debug, Default)]
pub(crate) struct KeysRead {
    /// The key's columns.
    ids: Vec<i32>,
    /// Files whose live rows are counted, by location.
    files: State,
    /// Live rows of each key.
    counts: HashMap<KeyHash, u32>,
    /// Rows beyond the first of their key.
    twice: u64,
}

/// Checks that the key is unique among all rows.
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
    let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    let content = context.lake.files().content(metadata, snapshot).await?;
    let before = context.control.done.keys.lock().remove(type_name).unwrap_or_default();
    let read = before.to(context, &layout, &content).await?;
    let twice = read.twice;
    context.control.done.keys.lock().insert(type_name.to_owned(), read);
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

impl KeysRead {
    /// Reads what became of the table since; everything, when it was read by other columns.
    async fn to(
        mut self,
        context: &Context<'_>,
        layout: &Layout,
        content: &Content,
    ) -> Result<KeysRead> {
        let ids = layout.key_ids();
        if self.ids != ids {
            self = KeysRead { ids, ..KeysRead::default() };
        }
        let since = since::since(context.lake, &self.files, content).await?;
        let (files, of) = (context.lake.files(), since.rows());
        let mut read = 0;
        for (parts, by) in [(since.came, 1), (since.went, -1)] {
            for part in parts {
                let count = |_, key| self.count(key, by);
                each_key(files, layout, part.file.data(), part.rows, count).await?;
                read += part.count;
                context.progress(read, of);
            }
        }
        self.files = since::state(content);
        Ok(self)
    }

    fn count(&mut self, key: KeyHash, by: i32) {
        match self.counts.entry(key) {
            Entry::Occupied(mut entry) if by > 0 => {
                *entry.get_mut() += 1;
                self.twice += 1;
            }
            Entry::Occupied(mut entry) if *entry.get() > 1 => {
                *entry.get_mut() -= 1;
                self.twice -= 1;
            }
            Entry::Occupied(entry) => {
                entry.remove();
            }
            Entry::Vacant(entry) if by > 0 => {
                entry.insert(1);
            }
            // What goes has come before.
            Entry::Vacant(_) => {}
        }
    }
}
