//! Images made by code: honest ones by encoders, crooked ones byte by byte.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

/// A picture with a gradient, so that damage shows.
pub(crate) fn gradient(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let scale = |at: u32, all: u32| (at * 255 / all.max(1)) as u8;
        Rgba([scale(x, width), scale(y, height), 90, if x < width / 2 { 255 } else { 128 }])
    })
}

/// Encodes a picture.
pub(crate) fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("the encoder takes this picture");
    bytes.into_inner()
}

/// The gradient in each format that can be decoded, with the name that sniffing gives it.
pub(crate) fn every_format() -> Vec<(&'static str, Vec<u8>)> {
    let rgba = DynamicImage::ImageRgba8(gradient(40, 24));
    let rgb = DynamicImage::ImageRgb8(rgba.to_rgb8());
    vec![
        ("jpeg", encode(&rgb, ImageFormat::Jpeg)),
        ("png", encode(&rgba, ImageFormat::Png)),
        ("gif", encode(&rgba, ImageFormat::Gif)),
        ("webp", encode(&rgba, ImageFormat::WebP)),
        ("bmp", encode(&rgb, ImageFormat::Bmp)),
        ("tiff", encode(&rgb, ImageFormat::Tiff)),
        ("ico", encode(&rgba, ImageFormat::Ico)),
        ("qoi", encode(&rgba, ImageFormat::Qoi)),
        ("tga", encode(&rgb, ImageFormat::Tga)),
        ("pnm", encode(&rgb, ImageFormat::Pnm)),
    ]
}

/// The checksum of PNG chunks.
fn crc(bytes: &[u8]) -> u32 {
    let step = |mut sum: u32, byte: &u8| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
        sum
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// A chunk with its length and checksum.
pub(crate) fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), body].concat();
    let length = (body.len() as u32).to_be_bytes();
    [length.as_slice(), &named, &crc(&named).to_be_bytes()].concat()
}

/// Data as zlib wraps it, uncompressed.
pub(crate) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = data.chunks(0xffff).collect();
    for (index, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        out.push(u8::from(index + 1 == blocks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (mut low, mut high) = (1u32, 0u32);
    for byte in data {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    out.extend((high << 16 | low).to_be_bytes());
    out
}

/// A PNG with this header and these chunks.
pub(crate) fn png(width: u32, height: u32, depth: u8, color: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = [size.as_slice(), &[depth, color, 0, 0, 0]].concat();
    let start = [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header)].concat();
    [start, chunks.concat(), chunk(b"IEND", &[])].concat()
}

/// One TIFF directory entry: tag, type, count, and the value or where it is.
pub(crate) type Entry = (u16, u16, u32, u32);

/// A little-endian TIFF structure: the header, one directory at 8, then `data`.
pub(crate) fn tiff(entries: &[Entry], next: u32, data: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend(directory(entries, next));
    out.extend_from_slice(data);
    out
}

/// A directory alone.
pub(crate) fn directory(entries: &[Entry], next: u32) -> Vec<u8> {
    let mut out = (entries.len() as u16).to_le_bytes().to_vec();
    for (tag, kind, count, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend(next.to_le_bytes());
    out
}

/// An uncompressed TIFF picture of 8-bit samples.
pub(crate) fn tiff_picture(
    width: u32,
    height: u32,
    photometric: u32,
    samples: u32,
    pixels: &[u8],
) -> Vec<u8> {
    const ENTRIES: u32 = 9;
    let after = 8 + 2 + 12 * ENTRIES + 4;
    // The sizes of four samples fit no entry, so they lie behind the directory.
    let bits = if samples <= 2 { 8 | 8 << 16 } else { after };
    let entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, bits),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, after + 8),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, pixels.len() as u32),
    ];
    tiff(&entries, 0, &[&[8, 0, 8, 0, 8, 0, 8, 0], pixels].concat())
}

/// A JPEG of one grey-valued 8 x 8 block a component (all coefficients zero), or larger by
/// repeating it; `frame` is the frame marker: 0xc0 baseline, 0xc2 progressive.
pub(crate) fn jpeg_blocks(
    width: u16,
    height: u16,
    components: u8,
    frame: u8,
    scans: usize,
) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        let length = (body.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], length.as_slice(), body].concat()
    };
    let mut out = vec![0xff, 0xd8];
    if components == 4 {
        // Adobe's mark, transform 0: four inks, stored inverted.
        out.extend(segment(0xee, b"Adobe\0\x64\0\0\0\0\0"));
    }
    out.extend(segment(0xdb, &[&[0], [1u8; 64].as_slice()].concat()));
    let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let of_each: Vec<u8> = (1..=components).flat_map(|id| [id, 0x11, 0]).collect();
    out.extend(segment(frame, &[&[8], size.as_slice(), &[components], &of_each].concat()));
    // One code of one bit each: "no difference" and "end of block".
    let one_code = [&[1], [0u8; 15].as_slice(), &[0]].concat();
    out.extend(segment(0xc4, &[&[0x00], one_code.as_slice()].concat()));
    out.extend(segment(0xc4, &[&[0x10], one_code.as_slice()].concat()));
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    for _ in 0..scans {
        let selectors: Vec<u8> = (1..=components).flat_map(|id| [id, 0]).collect();
        let progressive = frame == 0xc2;
        let range = if progressive { [0, 0, 0] } else { [0, 63, 0] };
        out.extend(segment(0xda, &[&[components], selectors.as_slice(), &range].concat()));
        let bits = blocks * usize::from(components) * if progressive { 1 } else { 2 };
        // Of many scans each is cut short: that there are many is what they are for.
        let most = if scans > 100 { 8 } else { usize::MAX };
        out.resize(out.len() + bits.div_ceil(8).min(most), 0);
    }
    out.extend([0xff, 0xd9]);
    out
}

/// A JPEG with an EXIF block.
pub(crate) fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let body = [b"Exif\0\0", exif].concat();
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &body, &jpeg[2..]].concat()
}
