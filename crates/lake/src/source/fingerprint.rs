//! BLAKE3 of a file, on all cores.
//!
//! In: how the file is opened, and its length. Out: the hash that any BLAKE3 of the whole file gives.
//! The file is cut where the tree of BLAKE3 is ("BLAKE3: one function, fast everywhere", 2.1), so
//! that each piece is a subtree that can be hashed without the others.

use std::io::{Read, SeekFrom};

use base::{Error, Kind, Result};
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use super::open::ReadSeek;

/// Bytes that are hashed at a time.
const PIECE: u64 = 8 << 20;

/// Hashes what `open` opens, all of its `bytes`; blocks.
pub(super) fn of(
    open: impl Fn() -> Result<Box<dyn ReadSeek>> + Sync,
    bytes: u64,
) -> Result<blake3::Hash> {
    in_pieces(open, bytes, PIECE)
}

fn in_pieces(
    open: impl Fn() -> Result<Box<dyn ReadSeek>> + Sync,
    bytes: u64,
    piece: u64,
) -> Result<blake3::Hash> {
    let mut pieces = Vec::new();
    cut(0, bytes, piece, &mut pieces);
    let hasher = |index: usize| -> Result<blake3::Hasher> {
        let (from, length) = pieces[index];
        let mut reader = open()?;
        reader.seek(SeekFrom::Start(from))?;
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(from).update_reader(reader.take(length))?;
        if hasher.count() == length { Ok(hasher) } else { Err(changed()) }
    };
    if pieces.len() == 1 {
        return Ok(hasher(0)?.finalize());
    }
    let value = |index| hasher(index).map(|hasher| hasher.finalize_non_root());
    let values: Vec<ChainingValue> =
        base::task::parallel(pieces.len(), value).into_iter().collect::<Result<_>>()?;
    let left = left_subtree_len(bytes);
    let mut values = values.into_iter();
    let one = merge(left, piece, &mut values)?;
    let other = merge(bytes - left, piece, &mut values)?;
    Ok(merge_subtrees_root(&one, &other, Mode::Hash))
}

fn changed() -> Error {
    Error::new(Kind::Conflict, "the file changed while it was read").hint("try it again")
}

/// The subtrees of a range, none longer than `piece` where it can be cut, from left to right.
fn cut(from: u64, length: u64, piece: u64, pieces: &mut Vec<(u64, u64)>) {
    if length <= piece {
        return pieces.push((from, length));
    }
    let left = left_subtree_len(length);
    cut(from, left, piece, pieces);
    cut(from + left, length - left, piece, pieces);
}

/// The value of a range from those of its pieces.
fn merge(
    length: u64,
    piece: u64,
    values: &mut impl Iterator<Item = ChainingValue>,
) -> Result<ChainingValue> {
    if length <= piece {
        return values.next().ok_or_else(|| Error::internal("a piece of a file has no hash"));
    }
    let left = left_subtree_len(length);
    let one = merge(left, piece, values)?;
    let other = merge(length - left, piece, values)?;
    Ok(merge_subtrees_non_root(&one, &other, Mode::Hash))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use base::rng::Rng;

    use super::*;

    #[test]
    fn pieces_have_the_hash_of_the_whole() {
        let rng = Rng::seeded(3);
        for round in 0..300 {
            let chunks = rng.below(20) * 1024;
            let length = if round < 3 { round } else { chunks + rng.below(3) };
            let bytes: Vec<u8> = (0..length).map(|_| rng.below(256) as u8).collect();
            let open = || Ok(Box::new(Cursor::new(bytes.clone())) as Box<dyn ReadSeek>);
            let found = in_pieces(open, length, 1024 << rng.below(3)).unwrap();
            assert_eq!(found, blake3::hash(&bytes), "{length}");
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_refused() {
        let open = || Ok(Box::new(Cursor::new(vec![7_u8; 5000])) as Box<dyn ReadSeek>);
        assert_eq!(in_pieces(open, 6000, 1024).unwrap_err().kind(), Kind::Conflict);
    }
}
