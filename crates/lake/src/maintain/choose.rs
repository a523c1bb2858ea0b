//! Which files of a partition a compaction writes anew, and which of its delete files it joins.
//!
//! In: the files of a snapshot, and how many of their rows are deleted. Out: the next partition that is
//! worth work, with the files. Files are joined with files of about their size, so that a row is written
//! anew as often as its file grows by a step, and not whenever a few rows have come: a large file
//! beside single-row commits stays as it is, and its deletions are joined among themselves until a
//! tenth of its rows is gone. Not here: reading and writing (`compact`).

use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::spec::{DataFile, ManifestEntryRef};

use crate::files::{Content, LiveFile, partition_key};

/// Bytes below which a data file is small.
const SMALL: u64 = 32 << 20;
/// Bytes below which files are of one size: to write them anew costs what it costs to commit.
const TINY: u64 = 256 << 10;
/// Each size is that many times the one before.
const STEP: u64 = 4;
/// Tiny files of one partition that are worth joining without being asked.
const MANY_TINY: usize = 16;
/// Larger files of one size that are.
const MANY: usize = 8;
/// Delete files of one partition that are worth joining, or applying, without being asked.
const MANY_DELETES: usize = 16;
/// Positions below which delete files are of one size.
const FEW_POSITIONS: u64 = 4096;
/// One in so many rows deleted makes a file worth writing anew.
const DELETED: u64 = 10;
/// Bytes that one pass reads of a partition.
const PASS: u64 = 512 << 20;

/// What a compaction is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Every partition with more than one small file or with deletes: somebody asked for it.
    Everything,
    /// What is worth its cost.
    Worth,
}

/// Work on one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    /// Files that are written anew as fewer, without what is deleted of them.
    pub(crate) files: Vec<LiveFile>,
    /// The partition whose other delete files are joined.
    pub(crate) join: Option<String>,
}

/// Deleted rows of data files, by the files' locations.
pub(super) type Deleted = HashMap<String, u64>;

/// A partition's files.
#[derive(Default)]
struct Partition<'a> {
    files: Vec<&'a LiveFile>,
    deletes: BTreeMap<&'a str, &'a DataFile>,
}

/// Whether a compaction would join the file with others.
pub(crate) fn is_small(file: &LiveFile) -> bool {
    size(file) < SMALL
}

/// The next partition that is worth it; one that was passed is not chosen again.
pub(super) fn choose(
    content: &Content,
    deleted: &Deleted,
    aim: Aim,
    passed: &mut HashSet<String>,
) -> Option<Chosen> {
    let mut partitions: BTreeMap<String, Partition<'_>> = BTreeMap::new();
    for file in &content.data {
        let partition = partitions.entry(partition_key(file.spec_id, file.data())).or_default();
        partition.files.push(file);
        let named = file.deletes.iter().map(|entry| (entry.file_path(), entry.data_file()));
        partition.deletes.extend(named);
    }
    for (key, partition) in partitions {
        let chosen = match aim {
            Aim::Everything => partition.everything(),
            Aim::Worth => partition.worth(&key, deleted),
        };
        if (!chosen.files.is_empty() || chosen.join.is_some()) && passed.insert(key) {
            return Some(chosen);
        }
    }
    None
}

impl Partition<'_> {
    fn everything(&self) -> Chosen {
        let may = |file: &&&LiveFile| is_small(file) || !file.deletes.is_empty();
        let files: Vec<&LiveFile> = self.files.iter().filter(may).copied().collect();
        let is_worth = files.len() > 1 || !self.deletes.is_empty();
        Chosen { files: if is_worth { one_pass(files) } else { Vec::new() }, join: None }
    }

    fn worth(&self, key: &str, deleted: &Deleted) -> Chosen {
        let mut sizes: BTreeMap<u32, Vec<&LiveFile>> = BTreeMap::new();
        for file in self.files.iter().filter(|file| is_small(file)) {
            sizes.entry(step(size(file))).or_default().push(file);
        }
        // Files of one size take the smaller ones along.
        let full = |(size, files): (&u32, &Vec<&LiveFile>)| {
            (files.len() >= if *size == 0 { MANY_TINY } else { MANY }).then_some(*size)
        };
        let mut most = sizes.iter().rev().find_map(full);
        let joins = joined(self.deletes.values().copied()).len() >= MANY_DELETES;
        if joins && sizes.get(&0).is_some_and(|tiny| tiny.len() > 1) {
            most = most.max(Some(0));
        }
        let is_heavy = |file: &LiveFile| {
            let gone = deleted.get(file.path()).copied().unwrap_or(0);
            gone > 0 && gone.saturating_mul(DELETED) >= file.data().record_count()
        };
        let is_chosen = |file: &&&LiveFile| {
            let joined = is_small(file) && most.is_some_and(|most| step(size(file)) <= most);
            joined || (joins && is_heavy(file))
        };
        let files = self.files.iter().filter(is_chosen).copied().collect();
        Chosen { files: one_pass(files), join: joins.then(|| key.to_owned()) }
    }
}

/// The delete files that are joined: the smaller ones, as long as they are not written anew for the
/// sake of much fewer positions than they have.
pub(super) fn joined<'a>(deletes: impl Iterator<Item = &'a DataFile>) -> Vec<&'a DataFile> {
    let mut deletes: Vec<&DataFile> = deletes.collect();
    deletes.sort_by_key(|file| file.record_count());
    let mut positions = 0;
    let fits = |file: &&DataFile| {
        let fits = file.record_count() <= FEW_POSITIONS.max(2 * positions);
        positions += file.record_count();
        fits
    };
    deletes.into_iter().take_while(fits).collect()
}

/// Whether a delete file belongs to a partition.
pub(super) fn is_of(spec_id: i32, entry: &ManifestEntryRef, partition: &str) -> bool {
    partition_key(spec_id, entry.data_file()) == partition
}

/// As many files as one pass may read, small ones first.
fn one_pass(mut files: Vec<&LiveFile>) -> Vec<LiveFile> {
    files.sort_by_key(|file| size(file));
    let mut bytes = 0;
    files.retain(|file| {
        bytes += size(file);
        bytes <= PASS || bytes == size(file)
    });
    files.into_iter().cloned().collect()
}

fn size(file: &LiveFile) -> u64 {
    file.data().file_size_in_bytes()
}

/// Which of the sizes a file has, from 0.
fn step(bytes: u64) -> u32 {
    (bytes / TINY).checked_ilog(STEP).map_or(0, |step| step + 1)
}

#[cfg(test)]
mod tests;
