//! Deletion vectors: which rows of one data file no longer count, as version 3 of the format keeps them.
//!
//! In: one blob of a Puffin file. Out: the positions in it, in ascending order. Source: the public
//! Puffin specification, blob type `deletion-vector-v1`: a length, a mark, a 64-bit Roaring bitmap in
//! its portable form, a checksum. Not here: which blob belongs to which file (`manifests`).

use base::{Error, Kind, Result};
use roaring::RoaringTreemap;

/// What stands before the bitmap.
const MARK: [u8; 4] = [0xD1, 0xD3, 0x39, 0x64];
/// Bytes of the length, of the mark and of the checksum.
const NUMBER: usize = 4;

/// The positions of a blob, which are `count` by what its manifest says and lie in a file of `rows`.
pub(super) fn positions(blob: &[u8], count: u64, rows: u64) -> Result<Vec<u64>> {
    let wrong = |text: &str| Error::new(Kind::Corrupt, format!("the deletion vector {text}"));
    let (length, rest) = blob.split_first_chunk::<NUMBER>().ok_or_else(|| wrong("is cut off"))?;
    let (body, sum) = rest.split_last_chunk::<NUMBER>().ok_or_else(|| wrong("is cut off"))?;
    if u32::from_be_bytes(*length) as usize != body.len() {
        return Err(wrong("has another length than it says"));
    }
    let mut crc = flate2::Crc::new();
    crc.update(body);
    if crc.sum() != u32::from_be_bytes(*sum) {
        return Err(wrong("does not match its checksum"));
    }
    let bitmap = body.strip_prefix(&MARK).ok_or_else(|| wrong("does not begin with its mark"))?;
    let bitmap = RoaringTreemap::deserialize_from(bitmap)
        .map_err(|error| wrong("cannot be read").caused_by(error))?;
    // A few bytes can stand for very many positions, so they are counted before they are listed.
    let within = bitmap.max().is_none_or(|last| last < rows);
    if bitmap.len() != count || !within {
        return Err(wrong("names other rows than its manifest says"));
    }
    Ok(bitmap.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(positions: &[u64]) -> Vec<u8> {
        let bitmap: RoaringTreemap = positions.iter().copied().collect();
        let mut body = MARK.to_vec();
        bitmap.serialize_into(&mut body).expect("a bitmap");
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let length = u32::try_from(body.len()).expect("a length");
        [&length.to_be_bytes()[..], &body, &crc.sum().to_be_bytes()].concat()
    }

    #[test]
    fn positions_come_out_and_nothing_else_does() {
        let rows = [1, 5, 70_000, 5_000_000_000];
        let good = blob(&rows);
        assert_eq!(positions(&good, 4, 5_000_000_001).expect("positions"), rows);
        let refused = |blob: &[u8], count, rows| {
            positions(blob, count, rows).expect_err("refused").message().to_owned()
        };
        assert_eq!(refused(&good[..3], 4, u64::MAX), "the deletion vector is cut off");
        assert_eq!(
            refused(&good[..good.len() - 1], 4, u64::MAX),
            "the deletion vector has another length than it says"
        );
        let mut changed = good.clone();
        changed[20] ^= 1;
        assert_eq!(
            refused(&changed, 4, u64::MAX),
            "the deletion vector does not match its checksum"
        );
        for (count, rows) in [(3, u64::MAX), (4, 5_000_000_000)] {
            assert_eq!(
                refused(&good, count, rows),
                "the deletion vector names other rows than its manifest says"
            );
        }
    }
}
