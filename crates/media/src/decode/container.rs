//! Walks a file's outer structure without decoding a pixel. In: the bytes. Out: how many pictures
//! there are, how much working memory a pixel costs, how often a decoder will pass over the pixels;
//! or an error for a file that ends before its end marker, which tolerant decoders would fill with
//! grey. Every walk is linear in the input.

use base::{Error, Kind, Result};

use crate::decode::truncated;
use crate::sniff::Format;

/// What the walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// Frames, pages or entries.
    pub(super) frames: u32,
    /// Bytes a pixel that the decoder needs beside its output.
    pub(super) working_bytes_per_pixel: u64,
    /// Passes over all pixels: the scans of a progressive JPEG.
    pub(super) passes: u64,
    /// Width and height, where they can be read before a decoder allocates anything by them.
    pub(super) promised: Option<(u32, u32)>,
}

impl Container {
    fn still(working_bytes_per_pixel: u64) -> Self {
        Container { frames: 1, working_bytes_per_pixel, passes: 1, promised: None }
    }

    /// Refuses a small file that makes the decoder pass over many pixels many times.
    pub(super) fn check_work(&self, width: u32, height: u32) -> Result<()> {
        const MAX_WORK: u64 = 2_000_000_000;
        let work = self.passes.saturating_mul(u64::from(width) * u64::from(height));
        if self.passes > 1 && work > MAX_WORK {
            let message =
                format!("the image has {} scans over {width} x {height} pixels", self.passes);
            return Err(Error::new(Kind::LimitExceeded, message));
        }
        Ok(())
    }
}

/// Walks `bytes`, which [`crate::sniff()`] has called a `format`.
pub(super) fn inspect(format: Format, bytes: &[u8]) -> Result<Container> {
    match format {
        Format::Jpeg => jpeg(bytes).ok_or_else(|| truncated(format)),
        Format::Png => png(bytes).ok_or_else(|| truncated(format)),
        Format::Gif => gif(bytes).ok_or_else(|| truncated(format)),
        Format::WebP => webp(bytes).ok_or_else(|| truncated(format)),
        Format::Tiff => tiff(bytes),
        Format::Ico => Ok(Container { frames: count_at(bytes, 4), ..Container::still(0) }),
        Format::Bmp | Format::Qoi | Format::Tga | Format::Pnm => Ok(Container::still(0)),
    }
}

fn count_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 2).map_or(0, |pair| u32::from(u16::from_le_bytes([pair[0], pair[1]])))
}

fn big_u16(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_be_bytes([pair[0], pair[1]])))
}

fn big_u32(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_be_bytes([four[0], four[1], four[2], four[3]])).ok()
}

fn little_u32(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes([four[0], four[1], four[2], four[3]])).ok()
}

/// Segments up to the end marker. `None`: the file ends before it.
fn jpeg(bytes: &[u8]) -> Option<Container> {
    let mut at = 2;
    let (mut passes, mut working) = (0, 1);
    loop {
        let marker = next_marker(bytes, &mut at)?;
        match marker {
            0xd9 => return Some(Container { passes, ..Container::still(working) }),
            // Markers without a body: restarts, TEM and (in broken files) a second start.
            0x01 | 0xd0..=0xd8 => continue,
            // A progressive picture keeps the coefficients of all components as 16-bit numbers.
            0xc2 | 0xc6 | 0xca | 0xce => {
                working = 2 * u64::from(*bytes.get(at + 7)?).clamp(1, 4) + 1;
            }
            0xda => passes += 1,
            _ => {}
        }
        at = at.checked_add(big_u16(bytes, at)?.max(2))?;
    }
}

/// Skips entropy-coded bytes up to the next marker (`ff` and neither `00` nor another `ff`).
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let offset = bytes.get(*at..)?.iter().position(|&byte| byte == 0xff)?;
        *at += offset + 1;
        match *bytes.get(*at)? {
            0x00 => *at += 1,
            0xff => {}
            marker => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}

/// Chunks up to `IEND`; `acTL` counts the frames of an animation.
fn png(bytes: &[u8]) -> Option<Container> {
    let mut at = 8;
    let side = |at| big_u32(bytes, at).and_then(|side| u32::try_from(side).ok());
    let promised = side(16).zip(side(20));
    let mut container = Container { promised, ..Container::still(0) };
    loop {
        let length = big_u32(bytes, at)?;
        let body = at.checked_add(8)?;
        match bytes.get(at + 4..body)? {
            b"IEND" => return Some(container),
            b"acTL" => container.frames = u32::try_from(big_u32(bytes, body)?).ok()?,
            _ => {}
        }
        at = body.checked_add(length)?.checked_add(4)?;
    }
}

/// Blocks up to the trailer.
fn gif(bytes: &[u8]) -> Option<Container> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut frames = 0;
    loop {
        match *bytes.get(at)? {
            0x3b => return Some(Container { frames, ..Container::still(4) }),
            0x21 => at += 2,
            0x2c => {
                frames += 1;
                at += 11 + table(*bytes.get(at + 9)?);
            }
            // The decoder will say what is wrong with an unknown block.
            _ => return Some(Container { frames, ..Container::still(4) }),
        }
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// The RIFF length must be there; `ANMF` chunks are frames.
fn webp(bytes: &[u8]) -> Option<Container> {
    let end = little_u32(bytes, 4)?.checked_add(8)?;
    bytes.get(..end)?;
    // Canvas, frame and the planes of the lossy coder, each at its dearest.
    let mut container = Container { frames: 0, ..Container::still(10) };
    let mut at = 12;
    while let Some(length) = little_u32(&bytes[..end], at + 4) {
        container.frames += u32::from(&bytes[at..at + 4] == b"ANMF");
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length & 1)?;
    }
    container.frames = container.frames.max(1);
    Some(container)
}

/// The chain of directories. One that loops is damaged, and so is an entry that promises more values
/// than the file has bytes: the decoder would allocate by the promise.
fn tiff(bytes: &[u8]) -> Result<Container> {
    if bytes.get(2..4).is_some_and(|version| version.contains(&43)) {
        return Err(Error::new(
            Kind::Unsupported,
            "the tiff image is a BigTIFF, which is not decoded",
        )
        .hint("save it as a classic TIFF, or as PNG"));
    }
    let tiff = Tiff { bytes, little: bytes[0] == b'I' };
    let damaged = |what: &str| Error::new(Kind::Corrupt, format!("the tiff image {what}"));
    let (mut frames, mut place) = (0u32, tiff.u32(4));
    while let Some(at) = place.filter(|&at| at != 0) {
        frames += 1;
        // Each directory takes six bytes or more, so more of them than that means a loop.
        if frames as usize > bytes.len() / 6 {
            return Err(damaged("has a loop in its list of pages"));
        }
        let entries = tiff.u16(at).unwrap_or(0);
        // Only the first page is decoded; the entries of others do not matter.
        if frames == 1 && (0..entries).any(|index| tiff.lies(at + 2 + 12 * index)) {
            return Err(damaged("promises more values than the file holds"));
        }
        place = tiff.u32(at + 2 + 12 * entries);
    }
    // Decoder buffer and output exist at the same time, and CMYK has a fourth sample.
    Ok(Container { frames, ..Container::still(8) })
}

struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl Tiff<'_> {
    fn u16(&self, at: usize) -> Option<usize> {
        let little = || self.bytes.get(at..at + 2).map(|_| count_at(self.bytes, at) as usize);
        if self.little { little() } else { big_u16(self.bytes, at) }
    }

    fn u32(&self, at: usize) -> Option<usize> {
        if self.little { little_u32(self.bytes, at) } else { big_u32(self.bytes, at) }
    }

    /// Whether the entry here claims more bytes than the file has.
    fn lies(&self, entry: usize) -> bool {
        let size = match self.u16(entry + 2) {
            Some(3 | 8) => 2,
            Some(4 | 9 | 11 | 13) => 4,
            Some(5 | 10 | 12) => 8,
            _ => 1,
        };
        self.u32(entry + 4).is_some_and(|count| count.saturating_mul(size) > self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_never_panics_on_any_prefix_or_single_byte() {
        let starts: [(Format, &[u8]); 5] = [
            (Format::Jpeg, &[0xff, 0xd8, 0xff, 0xda, 0, 2, 7, 0xff, 0, 0xff, 0xd0, 0xff, 0xd9]),
            (Format::Png, b"\x89PNG\r\n\x1a\n\0\0\0\x08acTL\0\0\0\x05\0\0\0\0CRC_\0\0\0\0IEND"),
            (Format::Gif, b"GIF89a\x01\0\x01\0\x80\0\0______,\0\0\0\0\x01\0\x01\0\0\x02\x01_\0;"),
            (Format::WebP, b"RIFF\x0c\0\0\0WEBPANMF\0\0\0\0"),
            (Format::Tiff, b"II*\0\x08\0\0\0\0\0\0\0\0\0"),
        ];
        for (format, bytes) in starts {
            assert!(inspect(format, bytes).is_ok(), "{format:?}");
            for end in 4..bytes.len() {
                let _ = inspect(format, &bytes[..end]);
            }
            for at in 4..bytes.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut bent = bytes.to_vec();
                    bent[at] = value;
                    let _ = inspect(format, &bent);
                }
            }
        }
    }

    #[test]
    fn frames_and_scans_are_counted() {
        let apng = b"\x89PNG\r\n\x1a\n\0\0\0\x08acTL\0\0\0\x05\0\0\0\0CRC_\0\0\0\0IEND";
        assert_eq!(inspect(Format::Png, apng).expect("whole").frames, 5);
        let scans = [0xff, 0xd8, 0xff, 0xda, 0, 2, 1, 0xff, 0xda, 0, 2, 1, 0xff, 0xd9];
        assert_eq!(inspect(Format::Jpeg, &scans).expect("whole").passes, 2);
        let looped = b"II*\0\x08\0\0\0\0\0\x08\0\0\0";
        assert_eq!(inspect(Format::Tiff, looped).expect_err("loops").kind(), Kind::Corrupt);
    }
}
