//! The reader that decoders pull from: a slice that refuses to give more once the time is up, so
//! that a slow decoding ends from the inside. In: bytes and a budget. Out: `Read + Seek + BufRead`.

use std::cell::Cell;
use std::io::{BufRead, Cursor, Read, Result, Seek, SeekFrom};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The bytes of one image and the time they may take.
pub(super) struct Input<'a> {
    bytes: Cursor<&'a [u8]>,
    start: Instant,
    budget: Duration,
    overrun: Rc<Cell<bool>>,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8], start: Instant, budget: Duration) -> Self {
        Input { bytes: Cursor::new(bytes), start, budget, overrun: Rc::default() }
    }

    /// All of the bytes, wherever the reader stands.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes.get_ref()
    }

    /// Becomes true when the reader has refused for lack of time; decoders hide the cause of a
    /// failed read in too many ways to find it in their errors.
    pub(super) fn overrun(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.overrun)
    }

    fn check(&self) -> Result<()> {
        if self.start.elapsed() < self.budget {
            return Ok(());
        }
        self.overrun.set(true);
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the time budget is spent"))
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.check()?;
        self.bytes.read(buffer)
    }
}

impl BufRead for Input<'_> {
    /// Hands out 64 KiB at a time, so that the time is checked between them.
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.check()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(64 << 10)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for Input<'_> {
    fn seek(&mut self, position: SeekFrom) -> Result<u64> {
        self.check()?;
        self.bytes.seek(position)
    }
}
