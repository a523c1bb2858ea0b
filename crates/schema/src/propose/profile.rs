//! What was measured of a file: the input of a proposal.
//!
//! In: values, one at a time, from whoever reads the file. Out: counts, extremes and a [`Sketch`]
//! that estimates distinct counts and how many values of one column occur in another. Not here:
//! any guess about the schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use frame::DataType;

/// What was measured of one file or folder.
#[derive(Clone, Debug, PartialEq)]
pub struct FileProfile {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// What it holds.
    pub kind: FileKind,
    /// Rows (or images) that were counted.
    pub rows: u64,
    /// Its size in bytes; of a folder, of all images in it.
    pub bytes: u64,
    /// Its columns, in order; empty for images.
    pub columns: Vec<ColumnProfile>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Rows of columns: CSV, TSV, JSON Lines, Parquet, Arrow.
    Rows,
    /// A folder or an archive of images. Its rows have the fields `id` (the path below the folder),
    /// `folder` (the part of the path before the file's name, null at the top) and `image`.
    Images {
        /// Whether any image lies in a sub-folder, whose name is then worth keeping.
        in_folders: bool,
    },
}

/// What was measured of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnProfile {
    /// The header as it stands in the file.
    pub header: Arc<str>,
    /// The narrowest type that holds every value; `None` when every value is missing.
    pub data_type: Option<DataType>,
    /// Missing values.
    pub nulls: u64,
    /// The distinct values, by hash.
    pub sketch: Sketch,
    /// The smallest value, as text, in the order of the type.
    pub min: Option<Arc<str>>,
    /// The largest value, as text, in the order of the type.
    pub max: Option<Arc<str>>,
    /// Characters of the longest value, when the type is text.
    pub longest: u64,
    /// Characters of all values together, when the type is text.
    pub characters: u64,
    /// Values with a space inside, when the type is text.
    pub with_spaces: u64,
    /// Whether values never decrease from row to row.
    pub ascending: bool,
}

/// The smallest hashes of a set of values (bottom-k): enough to estimate how many distinct values
/// there are and how many of them another set has too. Exact up to [`Sketch::CAPACITY`] values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    smallest: BTreeSet<u64>,
    full: bool,
}

impl Sketch {
    /// How many hashes are kept.
    pub const CAPACITY: usize = 4096;

    /// Adds a value by its canonical text: numbers without leading zeros or an empty fraction, so
    /// that `1`, `1.0` and `"1"` in different files meet.
    pub fn insert(&mut self, text: &str) {
        let digest = blake3::hash(text.as_bytes());
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        self.insert_hash(u64::from_le_bytes(first));
    }

    fn insert_hash(&mut self, hash: u64) {
        if self.full && self.smallest.last().is_some_and(|largest| hash > *largest) {
            return;
        }
        self.smallest.insert(hash);
        if self.smallest.len() > Self::CAPACITY {
            self.smallest.pop_last();
            self.full = true;
        }
    }

    /// Adds every value of another sketch: for files that are read in parts.
    pub fn merge(&mut self, other: &Sketch) {
        for hash in &other.smallest {
            self.insert_hash(*hash);
        }
        // Values that the other sketch let go are all above its largest, so ours must not claim to
        // know them.
        if other.full {
            let limit = other.smallest.last().copied().unwrap_or(u64::MAX);
            self.smallest.retain(|hash| *hash <= limit);
            self.full = true;
        }
    }

    /// The number of distinct values: exact while [`Sketch::is_exact`], else within about 2 %.
    pub fn distinct(&self) -> u64 {
        let kept = self.smallest.len();
        match self.smallest.last() {
            Some(largest) if self.full => {
                let share = *largest as f64 / u64::MAX as f64;
                ((kept - 1) as f64 / share).round() as u64
            }
            _ => kept as u64,
        }
    }

    /// Whether no value was let go.
    pub fn is_exact(&self) -> bool {
        !self.full
    }

    /// The share of this set's values that the other set has too; 0 for an empty set.
    pub fn containment_in(&self, other: &Sketch) -> f64 {
        // Below the smaller of the two limits both sketches know every value, so that part is a
        // fair sample of both sets.
        let limit = self.known_up_to().min(other.known_up_to());
        let mut sample = 0_u64;
        let mut shared = 0_u64;
        for hash in self.smallest.range(..=limit) {
            sample += 1;
            shared += u64::from(other.smallest.contains(hash));
        }
        if sample == 0 { 0.0 } else { shared as f64 / sample as f64 }
    }

    fn known_up_to(&self) -> u64 {
        match self.smallest.last() {
            Some(largest) if self.full => *largest,
            _ => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(numbers: impl Iterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::default();
        numbers.for_each(|number| sketch.insert(&number.to_string()));
        sketch
    }

    #[test]
    fn small_sets_are_counted_exactly() {
        let small = sketch((0..1000).chain(0..500));
        assert!(small.is_exact());
        assert_eq!(small.distinct(), 1000);
        assert_eq!(sketch(0..250).containment_in(&small), 1.0);
        assert_eq!(small.containment_in(&sketch(0..250)), 0.25);
        assert_eq!(Sketch::default().containment_in(&small), 0.0);
    }

    #[test]
    fn large_sets_are_estimated_within_five_percent() {
        let large = sketch(0..100_000);
        assert!(!large.is_exact());
        assert!((large.distinct() as f64 - 100_000.0).abs() < 5_000.0, "{}", large.distinct());
        let half = sketch(50_000..150_000);
        assert!((half.containment_in(&large) - 0.5).abs() < 0.05);
    }

    #[test]
    fn a_sketch_of_parts_is_the_sketch_of_the_whole() {
        let mut parts = sketch(0..30_000);
        parts.merge(&sketch(20_000..60_000));
        assert_eq!(parts.smallest.iter().rev().take(1000).count(), 1000);
        let whole = sketch(0..60_000);
        assert_eq!(parts, whole);
    }
}
