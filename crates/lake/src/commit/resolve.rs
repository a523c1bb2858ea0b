//! Decides what a change means for a table as it is now: which files come, which rows go.
//!
//! In: a [`Change`], the table, and what earlier attempts have found in its data files. Out: a
//! [`Delta`]. Run again for every attempt, so that a change is always judged by the state that it is
//! committed to. Not here: small writes (`group`).

use std::collections::HashMap;

use base::{Error, Kind, Result};
use frame::Value;
use iceberg::spec::Operation;
use schema::ObjectType;

use super::Change;
use super::delta::Delta;
use super::locate::{self, Found, Hit, Matches, Wants};
use super::positions::{self, Gone};
use crate::files::Content;
use crate::keys::{self, KeyHash};
use crate::lake::{Lake, object_named};
use crate::layout::Layout;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape;
use crate::stage::StagedFiles;
use crate::table::{Snapshot, Table};

/// What a change of one table looks at.
struct View<'a> {
    lake: &'a Lake,
    table: &'a Table,
    object: &'a ObjectType,
    layout: Layout,
}

/// What earlier attempts of a change have found.
#[derive(Default)]
pub(crate) struct Known {
    found: Found,
    staged: Option<StagedKeys>,
}

/// Where the keys of staged files are.
struct StagedKeys {
    /// The last place of each key: the file's number and the position.
    last: HashMap<KeyHash, (usize, u64)>,
    /// Places whose key came again later, by file.
    earlier: HashMap<usize, Vec<u64>>,
}

/// Decides.
pub(crate) async fn resolve(
    lake: &Lake,
    table: &Table,
    change: &Change,
    known: &mut Known,
) -> Result<Delta> {
    let schema = lake.schema();
    let object = object_named(&schema, &table.type_name)?;
    let layout = Layout::new(table.iceberg()?, &shape::key_columns(object)?)?;
    let view = View { lake, table, object, layout };
    match change {
        Change::Append(staged) | Change::Insert(staged) => view.insert(staged, known).await,
        Change::Upsert(staged) => view.upsert(staged, known).await,
        Change::Replace(staged) => view.replace(staged, known).await,
        Change::Delete(keys) => view.delete(keys, &mut known.found).await,
    }
}

impl View<'_> {
    async fn insert(&self, staged: &StagedFiles, known: &mut Known) -> Result<Delta> {
        staged.check_schema(self.table)?;
        let mut delta = self.added(staged, Operation::Append);
        if self.layout.key.is_empty() || staged.is_empty() {
            return Ok(delta);
        }
        if let Some(key) = &staged.duplicate {
            return Err(self.twice(key));
        }
        let keys = self.staged_keys(staged, &mut known.staged).await?;
        if let Some((file, rows)) = keys.earlier.iter().min_by_key(|(file, _)| **file) {
            return Err(self.twice(&self.key_at(&staged.data[*file], rows[0]).await?));
        }
        let wants = self.wants(staged, keys);
        let matches = self.locate(&wants, &mut known.found).await?;
        if let Some((first, (row, _))) =
            matches.first().and_then(|first| Some((first, first.hits.first()?)))
        {
            let key = self.key_at(first.file.data(), *row).await?;
            return Err(already_exists(&self.table.name, &key));
        }
        delta.rows = staged.rows as i64;
        Ok(delta)
    }

    async fn upsert(&self, staged: &StagedFiles, known: &mut Known) -> Result<Delta> {
        staged.check_schema(self.table)?;
        self.must_have_key("an upsert")?;
        let mut delta = self.added(staged, Operation::Append);
        if staged.is_empty() {
            return Ok(delta);
        }
        let keys = self.staged_keys(staged, &mut known.staged).await?;
        let matches = self.locate(&self.wants(staged, keys), &mut known.found).await?;
        let mut gone: Vec<Gone> = matches.iter().map(Gone::of).collect();
        gone.extend(self.earlier(staged, keys));
        if !gone.is_empty() {
            delta.operation = Some(Operation::Overwrite);
        }
        positions::delete(self.lake, self.table, gone, &mut delta).await?;
        Ok(delta)
    }

    async fn replace(&self, staged: &StagedFiles, known: &mut Known) -> Result<Delta> {
        staged.check_schema(self.table)?;
        let mut delta = self.added(staged, Operation::Overwrite);
        delta.operation = Some(Operation::Overwrite);
        delta.remove_all = true;
        if !self.layout.key.is_empty() {
            let keys = self.staged_keys(staged, &mut known.staged).await?;
            let gone = self.earlier(staged, keys);
            positions::delete(self.lake, self.table, gone, &mut delta).await?;
        }
        let present = self.table.iceberg()?.current_snapshot();
        delta.rows -= present.map_or(0, |snapshot| Snapshot::of(snapshot).rows as i64);
        Ok(delta)
    }

    async fn delete(&self, keys: &[Vec<Value>], found: &mut Found) -> Result<Delta> {
        self.must_have_key("a deletion by key")?;
        let mut delta = Delta::default();
        let wants = Wants::of_columns(&self.layout, keys::arrays_of(self.object, keys)?)?;
        let matches = self.locate(&wants, found).await?;
        if !matches.is_empty() {
            delta.operation = Some(Operation::Delete);
        }
        let gone = matches.iter().map(Gone::of).collect();
        positions::delete(self.lake, self.table, gone, &mut delta).await?;
        Ok(delta)
    }

    fn added(&self, staged: &StagedFiles, operation: Operation) -> Delta {
        let mut delta = Delta { rows: staged.rows as i64, ..Delta::default() };
        delta.add_staged(staged);
        if !staged.is_empty() {
            delta.operation = Some(operation);
        }
        delta
    }

    async fn content(&self) -> Result<Content> {
        let metadata = self.table.iceberg()?;
        let present = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
        self.lake.files().content(metadata, present).await
    }

    async fn locate(&self, wants: &Wants, found: &mut Found) -> Result<Vec<Matches>> {
        let content = self.content().await?;
        locate::locate(self.lake.files(), &self.layout, &content, wants, found).await
    }

    fn wants(&self, staged: &StagedFiles, keys: &StagedKeys) -> Wants {
        let hashes = keys.last.keys().copied().collect();
        Wants::of_files(&self.layout, hashes, &staged.data, staged.spec_id)
    }

    /// The keys of staged files, which are the same in every attempt.
    async fn staged_keys<'k>(
        &self,
        staged: &StagedFiles,
        known: &'k mut Option<StagedKeys>,
    ) -> Result<&'k StagedKeys> {
        let keys = match known.take() {
            Some(keys) => keys,
            None => self.keys_of(staged).await?,
        };
        Ok(known.insert(keys))
    }

    async fn keys_of(&self, staged: &StagedFiles) -> Result<StagedKeys> {
        let mut keys = StagedKeys { last: HashMap::new(), earlier: HashMap::new() };
        for (number, file) in staged.data.iter().enumerate() {
            let all = RowsWanted::Except(Vec::new());
            let add = |row, key| {
                if let Some((file, row)) = keys.last.insert(key, (number, row)) {
                    keys.earlier.entry(file).or_default().push(row);
                }
            };
            locate::each_key(self.lake.files(), &self.layout, file, all, add).await?;
        }
        keys.earlier.values_mut().for_each(|rows| rows.sort_unstable());
        Ok(keys)
    }

    /// The staged rows whose key came again later, as rows to delete.
    fn earlier(&self, staged: &StagedFiles, keys: &StagedKeys) -> Vec<Gone> {
        let numbered = staged.data.iter().enumerate();
        let gone = numbered.filter_map(|(number, file)| {
            Some(Gone {
                path: file.file_path().to_owned(),
                spec_id: staged.spec_id,
                partition: file.partition().clone(),
                rows: keys.earlier.get(&number)?.clone(),
            })
        });
        gone.collect()
    }

    async fn key_at(&self, file: &iceberg::spec::DataFile, row: u64) -> Result<String> {
        let columns = RowsWanted::Only(vec![row]);
        let mut order = self.layout.key.clone();
        order.sort_unstable();
        let wanted = Wanted::columns(&self.layout.arrow, &order, columns)?;
        let batch = read::read_all(self.lake.files(), file, wanted).await?;
        let place = |column: &usize| order.iter().position(|other| other == column).unwrap_or(0);
        let key: Vec<_> =
            self.layout.key.iter().map(|column| batch.column(place(column)).clone()).collect();
        keys::shown(self.object, &key, 0)
    }

    fn must_have_key(&self, what: &str) -> Result<()> {
        if self.layout.key.is_empty() {
            return Err(no_key(&self.table.name, what));
        }
        Ok(())
    }

    fn twice(&self, key: &str) -> Error {
        let text =
            format!("the new rows of table `{}` have the key `{key}` twice", self.table.name);
        Error::new(Kind::AlreadyExists, text).hint("use an upsert to keep the last of them")
    }
}

/// The refusal of a change that needs a key.
pub(crate) fn no_key(table: &str, what: &str) -> Error {
    Error::invalid(format!("table `{table}` has no key, which {what} needs"))
        .hint("give the type a `@key`, or append")
}

/// The refusal of a row whose key is taken.
pub(crate) fn already_exists(table: &str, key: &str) -> Error {
    let text = format!("table `{table}` already has a row with the key `{key}`");
    Error::new(Kind::AlreadyExists, text).hint("use an upsert to replace it")
}

/// The hits as a map from key to place.
pub(crate) fn by_key(matches: &[Matches]) -> HashMap<KeyHash, (usize, u64)> {
    let numbered = matches.iter().enumerate();
    let pairs = numbered.flat_map(|(file, matches)| {
        matches.hits.iter().map(move |(row, key): &Hit| (*key, (file, *row)))
    });
    pairs.collect()
}
