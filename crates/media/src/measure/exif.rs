//! Reads the few EXIF tags that Headwater shows. In: a TIFF structure of unknown honesty. Out:
//! orientation, time, camera, position. At most four directories of at most 512 entries are looked
//! at and nothing is copied but the texts that are kept, so no block can cost more than its length.

use base::Timestamp;
use image::metadata::Orientation;

/// What the tags say; a tag that is missing or makes no sense is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exif {
    pub(crate) taken_at: Option<Timestamp>,
    pub(crate) camera: Option<String>,
    pub(crate) latitude: Option<f64>,
    pub(crate) longitude: Option<f64>,
}

const MAKE: u16 = 0x010f;
const MODEL: u16 = 0x0110;
const ORIENTATION: u16 = 0x0112;
const EXIF_DIRECTORY: u16 = 0x8769;
const GPS_DIRECTORY: u16 = 0x8825;
const TAKEN: u16 = 0x9003;
const OFFSET: u16 = 0x9011;
const FRACTION: u16 = 0x9291;

/// How the picture must be turned to stand upright.
pub(crate) fn orientation(block: &[u8]) -> Orientation {
    let turned = Block::open(block).and_then(|block| {
        let value = block.entry(block.first, ORIENTATION)?.short()?;
        Orientation::from_exif(u8::try_from(value).ok()?)
    });
    turned.unwrap_or(Orientation::NoTransforms)
}

/// Reads the tags.
pub(crate) fn read(block: &[u8]) -> Exif {
    let Some(block) = Block::open(block) else { return Exif::default() };
    let sub =
        |tag| block.entry(block.first, tag).and_then(|entry| entry.long()).map(|at| at as usize);
    let gps = sub(GPS_DIRECTORY);
    Exif {
        taken_at: sub(EXIF_DIRECTORY).and_then(|directory| taken_at(&block, directory)),
        camera: camera(&block),
        latitude: gps.and_then(|at| coordinate(&block, at, 1, b'S', 90.0)),
        longitude: gps.and_then(|at| coordinate(&block, at, 3, b'W', 180.0)),
    }
}

/// The whole block when it is small; of a TIFF image, whose tags may lie anywhere, at most 16 MiB.
pub(crate) fn relevant_head(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..bytes.len().min(16 << 20))
}

/// `2026:11:23 08:00:00` with `+01:00` and a fraction in tags of their own. A camera that does not
/// say its offset is taken to stand in UTC.
fn taken_at(block: &Block<'_>, directory: usize) -> Option<Timestamp> {
    let text = block.text(directory, TAKEN)?;
    let (date, time) = text.trim().split_once(' ')?;
    let offset = block.text(directory, OFFSET).filter(|text| text.len() == 6);
    let fraction = block.text(directory, FRACTION).map(|text| text.trim().to_owned());
    let fraction = fraction
        .filter(|text| (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()))
        .map_or_else(String::new, |digits| format!(".{digits}"));
    let stamp = |offset: &str| format!("{}T{time}{fraction}{offset}", date.replace(':', "-"));
    offset
        .and_then(|offset| Timestamp::parse(&stamp(&offset)))
        .or_else(|| Timestamp::parse(&stamp("Z")))
}

/// Make and model; makers who repeat themselves in the model are named once.
fn camera(block: &Block<'_>) -> Option<String> {
    let make = block.text(block.first, MAKE).filter(|text| !text.is_empty());
    let model = block.text(block.first, MODEL).filter(|text| !text.is_empty());
    match (make, model) {
        (Some(make), Some(model)) => {
            let first = make.split(' ').next().unwrap_or_default().to_lowercase();
            let repeated = model.to_lowercase().starts_with(&first);
            Some(if repeated { model } else { format!("{make} {model}") })
        }
        (make, model) => model.or(make),
    }
}

/// Degrees, minutes and seconds with a letter for the half of the globe in the tag before.
fn coordinate(
    block: &Block<'_>,
    directory: usize,
    letter: u16,
    negative: u8,
    most: f64,
) -> Option<f64> {
    let half = *block.text(directory, letter)?.as_bytes().first()?;
    let entry = block.entry(directory, letter + 1)?;
    let part = |index| entry.rational(index);
    let degrees = part(0)? + part(1).unwrap_or(0.0) / 60.0 + part(2).unwrap_or(0.0) / 3600.0;
    let signed = if half.eq_ignore_ascii_case(&negative) { -degrees } else { degrees };
    (signed.is_finite() && signed.abs() <= most).then_some(signed)
}

struct Block<'a> {
    bytes: &'a [u8],
    little: bool,
    first: usize,
}

struct Entry<'a> {
    block: &'a Block<'a>,
    /// The TIFF type: 2 text, 3 short, 4 long, 5 rational.
    kind: u16,
    count: u32,
    /// Where the twelve bytes of the entry keep its value or the offset of it.
    value: usize,
}

impl<'a> Block<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        // Some writers keep the JPEG segment's prefix.
        let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        let little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let mut block = Block { bytes, little, first: 0 };
        block.first = block.u32(4)? as usize;
        Some(block)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let pair: [u8; 2] = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let four: [u8; 4] = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    }

    fn entry(&'a self, directory: usize, tag: u16) -> Option<Entry<'a>> {
        const MAX_ENTRIES: usize = 512;
        let count = usize::from(self.u16(directory)?).min(MAX_ENTRIES);
        let start = directory.checked_add(2)?;
        (0..count).map(|index| start + 12 * index).find(|&at| self.u16(at) == Some(tag)).and_then(
            |at| {
                Some(Entry {
                    block: self,
                    kind: self.u16(at + 2)?,
                    count: self.u32(at + 4)?,
                    value: at + 8,
                })
            },
        )
    }

    /// At most 128 bytes, up to the first zero, in printable characters.
    fn text(&self, directory: usize, tag: u16) -> Option<String> {
        let entry = self.entry(directory, tag).filter(|entry| entry.kind == 2)?;
        let length = (entry.count as usize).min(128);
        let start = if entry.count <= 4 { entry.value } else { self.u32(entry.value)? as usize };
        let bytes = self.bytes.get(start..start.checked_add(length)?)?;
        let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        Some(text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned())
    }
}

impl Entry<'_> {
    fn short(&self) -> Option<u16> {
        (self.kind == 3).then(|| self.block.u16(self.value)).flatten()
    }

    fn long(&self) -> Option<u32> {
        (self.kind == 4 || self.kind == 13).then(|| self.block.u32(self.value)).flatten()
    }

    fn rational(&self, index: usize) -> Option<f64> {
        if self.kind != 5 || index >= self.count as usize {
            return None;
        }
        let at = (self.block.u32(self.value)? as usize).checked_add(8 * index)?;
        let (above, below) = (self.block.u32(at)?, self.block.u32(at.checked_add(4)?)?);
        (below != 0).then(|| f64::from(above) / f64::from(below))
    }
}
