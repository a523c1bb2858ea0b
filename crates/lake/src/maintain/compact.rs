//! Joins small files of a partition, applies position deletes, and puts rows in order.
//!
//! In: a type's name. Out: the same rows in fewer files, in a snapshot of operation `replace`. A row
//! that is deleted or replaced meanwhile is deleted in the new files too (`carry`); in a table without
//! a key it makes the compaction start again. Not here: which files are worth it (`choose`),
//! repartitioning (`steps`).

use std::collections::HashSet;
use std::sync::Arc;

use base::{Error, Kind, Result};
use iceberg::spec::Operation;
use schema::TableFormat;

use super::budget::Budget;
use super::carry;
use super::choose::{self, Aim, Chosen, Deleted, choose};
use super::turn::{Tended, Turn};
use crate::binding;
use crate::commit::CommitInfo;
use crate::commit::contend::Contender;
use crate::commit::delta::Delta;
use crate::commit::positions::{self, Gone};
use crate::commit::retry::Attempts;
use crate::commit::snapshot;
use crate::files::{Content, LiveFile};
use crate::lake::{Lake, object_named};
use crate::lance_table::tidy;
use crate::layout::Layout;
use crate::read::{self, RowsWanted, Wanted};
use crate::shape;
use crate::stage::{StageWriter, StagedFiles};
use crate::table::Table;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Data files that went.
    pub removed: u64,
    /// Data files that came.
    pub added: u64,
    /// Delete files that went.
    pub removed_deletes: u64,
    /// Rows that were written anew.
    pub rows: u64,
}

impl Lake {
    /// Compacts a table: every partition with more than one small file or with deletes.
    pub async fn compact(&self, type_name: &str) -> Result<Compacted> {
        if self.table(type_name).await?.format == TableFormat::Lance {
            return self.tidy(type_name, Aim::Everything).await;
        }
        self.unpinned().compact_for(type_name, Aim::Everything, None).await
    }

    /// Joins the fragments of a Lance table, and tends the index of its key.
    async fn tidy(&self, type_name: &str, aim: Aim) -> Result<Compacted> {
        let lake = self.unpinned();
        let mut done = Compacted::default();
        loop {
            let joined = tidy::join(&lake, type_name, aim == Aim::Everything).await?;
            if joined == tidy::Joined::default() {
                break;
            }
            done.removed += joined.removed;
            done.added += joined.added;
            if aim == Aim::Everything {
                break;
            }
        }
        tidy::index(&lake, type_name).await?;
        Ok(done)
    }

    async fn compact_for(
        &self,
        type_name: &str,
        aim: Aim,
        budget: Option<&Budget>,
    ) -> Result<Compacted> {
        let mut attempts = Attempts::new(self);
        let mut done = Compacted::default();
        let mut passed = HashSet::new();
        loop {
            let table = self.table(type_name).await?;
            // A file that lacks a prepared column must not be joined with one that has it: what it
            // lacks could not be told from nulls any more.
            if is_prepared(&table)? {
                return Ok(done);
            }
            let table = Arc::new(table.whole());
            let content = present(self, &table).await?;
            let deleted = self.deleted_rows(&content, aim).await?;
            let Some(chosen) = choose(&content, &deleted, aim, &mut passed) else {
                return Ok(done);
            };
            if let Some(budget) = budget {
                let bytes = chosen.files.iter().map(|file| file.data().file_size_in_bytes()).sum();
                budget.take(bytes).await;
            }
            match self.compact_files(&table, &content, chosen).await {
                Ok(one) => done = done.plus(one),
                Err(error) if error.kind() == Kind::Conflict => {
                    passed.clear();
                    attempts.again(error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Rewrites the chosen files and commits, as long as nobody else changes them.
    async fn compact_files(
        &self,
        table: &Arc<Table>,
        content: &Content,
        chosen: Chosen,
    ) -> Result<Compacted> {
        let staged = self.rewrite(table, &chosen.files).await?;
        self.replace_files(table, content, &chosen, &staged, "compact").await
    }

    /// How many rows of each file are deleted, as far as it matters what a compaction is after.
    async fn deleted_rows(&self, content: &Content, aim: Aim) -> Result<Deleted> {
        let mut deleted = Deleted::new();
        for file in content.data.iter().filter(|file| aim == Aim::Worth && !file.deletes.is_empty())
        {
            let rows = self.files().deleted(file).await?.len() as u64;
            deleted.insert(file.path().to_owned(), rows);
        }
        Ok(deleted)
    }

    /// Puts staged files in the place of the chosen ones. Rows of those that others delete meanwhile
    /// are deleted in the staged ones too, where a key tells which they are.
    pub(crate) async fn replace_files(
        &self,
        table: &Arc<Table>,
        content: &Content,
        chosen: &Chosen,
        staged: &StagedFiles,
        why: &str,
    ) -> Result<Compacted> {
        let types = [Arc::clone(&table.type_name)];
        let mut contender = Contender::new(self);
        let (mut table, mut content) = (Arc::clone(table), content.clone());
        let result = loop {
            let lake = contender.lake().clone();
            match lake.swap_files(&table, &content, chosen, staged, why).await {
                Ok(Some(done)) => break Ok(done),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            let text = format!("table `{}` was changed meanwhile", table.name);
            if let Err(error) = contender.again(Error::new(Kind::Conflict, text), &types).await {
                break Err(error);
            }
            match lake.table(&table.type_name).await {
                Ok(now) => table = Arc::new(now.whole()),
                Err(error) => break Err(error),
            }
            match present(&lake, &table).await {
                Ok(now) => content = now,
                Err(error) => break Err(error),
            }
        };
        contender.end().await;
        // When the answer was lost the files may be those of the table.
        if result.as_ref().is_err_and(|error| error.nothing_happened()) {
            self.discard(staged).await;
        }
        result
    }

    async fn rewrite(&self, table: &Table, chosen: &[LiveFile]) -> Result<StagedFiles> {
        let schema = self.schema();
        let object = object_named(&schema, &table.type_name)?;
        let layout = Layout::new(table.iceberg()?, &shape::key_columns(object)?)?;
        let columns = Arc::clone(&layout.arrow);
        let mut stage = StageWriter::with_layout(self, object, layout);
        let all: Vec<usize> = (0..columns.fields().len()).collect();
        for file in chosen {
            let gone = self.files().deleted(file).await?;
            let wanted = Wanted::columns(&columns, &all, RowsWanted::Except(gone))?;
            let mut rows = read::read(self.files(), file.data(), wanted).await?;
            while let Some((batch, _)) = rows.next().await? {
                stage.write_physical(batch).await?;
            }
        }
        stage.finish().await
    }

    /// One attempt; nothing when another commit was faster. A `Conflict` is one that no repetition
    /// cures: the files have gone.
    async fn swap_files(
        &self,
        table: &Arc<Table>,
        content: &Content,
        chosen: &Chosen,
        staged: &StagedFiles,
        why: &str,
    ) -> Result<Option<Compacted>> {
        let lake = self.unsettled();
        let mut gone = carry::deletions(self, table, content, &chosen.files, staged).await?;
        let mut delta = Delta { operation: Some(Operation::Replace), ..Delta::default() };
        delta.remove = chosen.files.iter().map(|file| file.path().to_owned()).collect();
        let applied = self.applied_deletes(content, &delta.remove).await?;
        delta.remove.extend(applied);
        if let Some(partition) = &chosen.join {
            let (joined, positions) = self.join_deletes(content, partition, &delta.remove).await?;
            delta.remove.extend(joined);
            gone.extend(positions);
        }
        let removed_deletes = (delta.remove.len() - chosen.files.len()) as u64;
        delta.add_staged(staged);
        positions::delete(&lake, table, gone, &mut delta).await?;
        // Who deleted these rows has counted them.
        delta.rows = 0;
        let info =
            CommitInfo { author: "headwater".into(), summary: why.into(), ..CommitInfo::default() };
        let written = snapshot::write(&lake, table, delta, &info).await?;
        match lake.publish(vec![written], &[]).await {
            Err(error) if error.kind() == Kind::Conflict => return Ok(None),
            published => published?,
        };
        Ok(Some(Compacted {
            removed: chosen.files.len() as u64,
            added: staged.data.len() as u64,
            removed_deletes,
            rows: staged.rows,
        }))
    }

    /// Delete files of a partition to be joined, and what they delete of files that stay.
    async fn join_deletes(
        &self,
        content: &Content,
        partition: &str,
        removed: &HashSet<String>,
    ) -> Result<(Vec<String>, Vec<Gone>)> {
        let deletes = content.deletes.iter().filter(|delete| {
            choose::is_of(delete.spec_id, &delete.entry, partition)
                && !removed.contains(delete.entry.file_path())
        });
        let joined = choose::joined(deletes.map(|delete| delete.entry.data_file()));
        let joined: HashSet<&str> = joined.into_iter().map(|file| file.file_path()).collect();
        let mut gone = Vec::new();
        for file in content.data.iter().filter(|file| !removed.contains(file.path())) {
            let mut some = file.clone();
            some.deletes.retain(|delete| joined.contains(delete.file_path()));
            let rows = self.files().deleted(&some).await?;
            let (path, partition) = (file.path().to_owned(), file.data().partition().clone());
            gone.push(Gone { path, spec_id: file.spec_id, partition, rows });
        }
        let mut joined: Vec<String> = joined.into_iter().map(str::to_owned).collect();
        joined.sort_unstable();
        Ok((joined, gone))
    }

    /// Delete files that name no data file that stays.
    async fn applied_deletes(
        &self,
        content: &Content,
        removed: &HashSet<String>,
    ) -> Result<Vec<String>> {
        let live: HashSet<&str> = content.data.iter().map(|file| file.path()).collect();
        let mut applied = Vec::new();
        for delete in &content.deletes {
            let positions = self.files().positions(delete.entry.data_file()).await?;
            let mut named: Vec<&String> = positions.keys().collect();
            named.sort_unstable();
            if named.iter().all(|path| removed.contains(*path) || !live.contains(path.as_str())) {
                applied.push(delete.entry.file_path().to_owned());
            }
        }
        Ok(applied)
    }
}

impl Compacted {
    fn plus(self, other: Compacted) -> Compacted {
        Compacted {
            removed: self.removed + other.removed,
            added: self.added + other.added,
            removed_deletes: self.removed_deletes + other.removed_deletes,
            rows: self.rows + other.rows,
        }
    }
}

async fn present(lake: &Lake, table: &Table) -> Result<Content> {
    let metadata = table.iceberg()?;
    let snapshot = metadata.current_snapshot().map(|snapshot| snapshot.as_ref());
    lake.files().content(metadata, snapshot).await
}

/// Whether a change prepares columns of the table.
fn is_prepared(table: &Table) -> Result<bool> {
    let columns = table.stored()?.current_schema().as_struct().fields();
    Ok(columns.iter().any(|field| binding::is_coming(&field.name)))
}

impl Lake {
    /// Compacts once small commits have left enough behind, unless another node does: two that rewrite
    /// the same files undo each other's work.
    pub(super) async fn compact_when_worth(&self, type_name: &str) -> Result<Tended> {
        let table = self.table(type_name).await?;
        if table.format == TableFormat::Lance {
            if !tidy::is_due(&self.unpinned(), type_name).await? {
                return Ok(Tended::Done);
            }
            let Some(turn) = Turn::take(self, "compact", &table).await? else {
                return Ok(Tended::ByAnother);
            };
            let done = self.tidy(type_name, Aim::Worth).await;
            return turn.end(self).await.and(done.map(|_| Tended::Done));
        }
        if is_prepared(&table)? {
            return Ok(Tended::Done);
        }
        let content = present(self, &table.whole()).await?;
        let deleted = self.deleted_rows(&content, Aim::Worth).await?;
        if choose(&content, &deleted, Aim::Worth, &mut HashSet::new()).is_none() {
            return Ok(Tended::Done);
        }
        let Some(turn) = Turn::take(self, "compact", &table).await? else {
            return Ok(Tended::ByAnother);
        };
        let done = self.compact_for(type_name, Aim::Worth, Some(&self.inner.budget)).await;
        turn.end(self).await?;
        let done = done?;
        if done != Compacted::default() {
            tracing::info!(type_name, removed = done.removed, added = done.added, "compacted");
        }
        Ok(Tended::Done)
    }
}
