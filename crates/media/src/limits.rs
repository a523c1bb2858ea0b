//! What one image may cost: every stage takes these limits and refuses what goes beyond them with
//! [`Kind::LimitExceeded`], before it allocates. Not here: limits on how many images there are.

use std::time::Duration;

use base::size::{format_bytes, format_count};
use base::{Error, Kind, Result};

/// Bounds for one image. The defaults let a 60-megapixel photograph through and keep a process that
/// decodes one image at a time below 512 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the encoded image.
    pub max_input_bytes: u64,
    /// Pixels in a row, before EXIF orientation.
    pub max_width: u32,
    /// Rows, before EXIF orientation.
    pub max_height: u32,
    /// Pixels in all.
    pub max_pixels: u64,
    /// Bytes that decoding may need at its peak, estimated from the header before it starts.
    pub max_memory: u64,
    /// Frames of an animation, pages of a TIFF, entries of an icon. Only the first frame is
    /// decoded, yet a file with a million of them is not an honest image.
    pub max_frames: u32,
    /// Wall-clock time for decoding. It is checked whenever the decoder asks for more input, so a
    /// decoder may overrun it by the time it needs for what it already holds.
    pub time_budget: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_input_bytes: 96 << 20,
            max_width: 32_768,
            max_height: 32_768,
            max_pixels: 64_000_000,
            max_memory: 384 << 20,
            max_frames: 10_000,
            time_budget: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// Refuses input that is empty or too long.
    pub(crate) fn check_input(&self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Err(Error::invalid("the image is empty (0 bytes)"));
        }
        if bytes.len() as u64 > self.max_input_bytes {
            return Err(exceeded(format!(
                "the image is {} long, more than the limit of {}",
                format_bytes(bytes.len() as u64),
                format_bytes(self.max_input_bytes)
            )));
        }
        Ok(())
    }

    /// Refuses dimensions that are zero or too large.
    pub(crate) fn check_dimensions(&self, width: u32, height: u32) -> Result<()> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(Error::new(
                Kind::Corrupt,
                format!("the image has no pixels ({width} x {height})"),
            ));
        }
        if width > self.max_width || height > self.max_height {
            return Err(exceeded(format!(
                "the image is {width} x {height} pixels, more than the limit of {} x {}",
                self.max_width, self.max_height
            )));
        }
        if pixels > self.max_pixels {
            return Err(exceeded(format!(
                "the image has {} pixels ({width} x {height}), more than the limit of {}",
                format_count(pixels),
                format_count(self.max_pixels)
            )));
        }
        Ok(())
    }

    /// Refuses a decoding whose estimated peak of memory is too high.
    pub(crate) fn check_memory(&self, needed: u64) -> Result<()> {
        if needed > self.max_memory {
            return Err(exceeded(format!(
                "decoding the image needs about {}, more than the limit of {}",
                format_bytes(needed),
                format_bytes(self.max_memory)
            )));
        }
        Ok(())
    }

    /// Refuses too many frames, pages or entries.
    pub(crate) fn check_frames(&self, frames: u32) -> Result<()> {
        if frames > self.max_frames {
            return Err(exceeded(format!(
                "the image has more than {} frames",
                format_count(u64::from(self.max_frames))
            )));
        }
        Ok(())
    }

    /// The error for an overrun [`Limits::time_budget`].
    pub(crate) fn time_exceeded(&self) -> Error {
        exceeded(format!("decoding the image took longer than {:?}", self.time_budget))
    }
}

fn exceeded(message: String) -> Error {
    Error::new(Kind::LimitExceeded, message)
        .hint("scale the image down, or raise the limit if you trust where it comes from")
}
