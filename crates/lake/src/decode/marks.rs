//! Finds the bytes that may end a value, many at a time.
//!
//! In: the bytes of a block, from the left to the right. Out: the positions of two bytes, whichever
//! comes first. Values are short, so a search that begins anew for each one costs more than looking at
//! all bytes: 64 of them become one word with a bit for each that is searched. Eight bytes are compared
//! at once within a register (Lamport, "Multiple byte processing with full-word instructions", 1975).

/// All but the highest bit of each byte.
const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
/// The lowest bit of each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// Bytes that are looked at together.
const CHUNK: usize = 64;

/// A search that goes on where it stopped; the bytes are given each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    first: u64,
    second: u64,
    /// The first byte of the chunk, and its bytes that are still to be told.
    chunk: usize,
    found: u64,
    end: usize,
}

impl Marks {
    /// Searches two bytes, which may be the same, before `end`.
    pub(super) fn new(first: u8, second: u8, bytes: &[u8], end: usize) -> Marks {
        let (first, second) = (ONES * u64::from(first), ONES * u64::from(second));
        let mut marks = Marks { first, second, chunk: 0, found: 0, end };
        marks.found = marks.chunk_at(bytes, 0);
        marks
    }

    /// The next one, which stays the next one until it is passed; the end where there is none.
    #[inline]
    pub(super) fn peek(&mut self, bytes: &[u8]) -> usize {
        while self.found == 0 {
            if self.chunk + CHUNK >= self.end {
                return self.end;
            }
            self.chunk += CHUNK;
            self.found = self.chunk_at(bytes, self.chunk);
        }
        self.chunk + self.found.trailing_zeros() as usize
    }

    /// Passes the next one.
    #[inline]
    pub(super) fn pass(&mut self) {
        self.found &= self.found.wrapping_sub(1);
    }

    /// Passes all before a position.
    pub(super) fn pass_before(&mut self, at: usize, bytes: &[u8]) {
        while self.peek(bytes) < at.min(self.end) {
            self.pass();
        }
    }

    /// The bits of a chunk's bytes before the end.
    #[inline]
    fn chunk_at(&self, bytes: &[u8], at: usize) -> u64 {
        let bytes = &bytes[at.min(self.end)..self.end];
        match bytes.first_chunk::<CHUNK>() {
            Some(chunk) => self.bits(chunk),
            None => {
                let mut chunk = [0; CHUNK];
                chunk[..bytes.len()].copy_from_slice(bytes);
                self.bits(&chunk) & !(u64::MAX << bytes.len())
            }
        }
    }

    #[inline]
    fn bits(&self, chunk: &[u8; CHUNK]) -> u64 {
        let (words, _) = chunk.as_chunks::<8>();
        words.iter().rev().fold(0, |bits, word| {
            let word = u64::from_le_bytes(*word);
            bits << 8 | gathered(equal(word, self.first) | equal(word, self.second))
        })
    }
}

/// The highest bit of each byte that both words have alike.
#[inline]
fn equal(word: u64, pattern: u64) -> u64 {
    let different = word ^ pattern;
    !(((different & LOW) + LOW) | different | LOW)
}

/// The highest bits of eight bytes side by side.
#[inline]
fn gathered(highest: u64) -> u64 {
    (highest >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn marks_are_where_a_byte_by_byte_search_finds_them(
            bytes in proptest::collection::vec(proptest::sample::select(vec![b',', b'"', b'-', 0, 0xAC, 0xFF, b'+']), 0..300),
            cut in 0_usize..300,
            skip in 0_usize..300,
        ) {
            let end = cut.min(bytes.len());
            let is_mark = |at: &usize| matches!(bytes[*at], b',' | b'"');
            let expected: Vec<usize> = (skip.min(end)..end).filter(is_mark).collect();
            let mut marks = Marks::new(b',', b'"', &bytes, end);
            marks.pass_before(skip, &bytes);
            let mut found = Vec::new();
            while marks.peek(&bytes) < end {
                found.push(marks.peek(&bytes));
                marks.pass();
            }
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
