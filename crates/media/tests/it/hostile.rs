//! Hostile images: each is refused with a golden reason, in little memory and without a panic. The
//! table in `snapshots/` is the contract: name, kind, the chain of messages.

use base::error_chain;
use image::{DynamicImage, ImageFormat, RgbImage};
use media::{Limits, decode, measure};

use crate::memory::peak_of;
use crate::samples::{self, chunk, encode, gradient, jpeg_blocks, png, tiff, tiff_picture, zlib};

/// Small limits, so that a bomb that slips through costs a test little.
fn limits() -> Limits {
    Limits {
        max_input_bytes: 4 << 20,
        max_width: 20_000,
        max_height: 20_000,
        max_pixels: 4_000_000,
        max_memory: 16 << 20,
        max_frames: 100,
        ..Limits::default()
    }
}

fn pngs() -> Vec<(&'static str, Vec<u8>)> {
    let good = encode(&DynamicImage::ImageRgba8(gradient(40, 24)), ImageFormat::Png);
    let data = |bytes: &[u8]| chunk(b"IDAT", &zlib(bytes));
    let mut bad_checksum = good.clone();
    let middle = bad_checksum.len() / 2;
    bad_checksum[middle] ^= 0x55;
    let mut bad_header = good.clone();
    bad_header[29] ^= 0x55;
    let text = [b"comment\0\0".as_slice(), &zlib(&vec![b'x'; 3 << 20])].concat();
    vec![
        ("png of 60000 x 60000", png(60_000, 60_000, 8, 6, &[data(&[0])])),
        ("png of 19000 x 19000", png(19_000, 19_000, 1, 0, &[data(&[0])])),
        ("png of no width", png(0, 10, 8, 2, &[data(&[0])])),
        ("png of impossible depth", png(4, 4, 3, 2, &[data(&[0; 64])])),
        ("png with a wrong checksum", bad_checksum),
        ("png with a wrong header checksum", bad_header),
        ("png without data", png(4, 4, 8, 2, &[])),
        ("png with too little data", png(4, 4, 8, 2, &[data(&[0; 7])])),
        ("png whose data is no zlib", png(4, 4, 8, 2, &[chunk(b"IDAT", b"not zlib at all")])),
        ("png of palette colours without a palette", png(1, 1, 8, 3, &[data(&[0, 9])])),
        ("png with a huge text", png(1, 1, 8, 0, &[chunk(b"zTXt", &text), data(&[0, 9])])),
        ("png cut in the middle", good[..good.len() / 2].to_vec()),
        ("png of its signature alone", good[..8].to_vec()),
        (
            "png with an animation of a billion frames",
            png(1, 1, 8, 0, &[chunk(b"acTL", &[59, 154, 202, 0, 0, 0, 0, 0]), data(&[0, 9])]),
        ),
        ("png that needs more memory than allowed", png(1900, 1900, 16, 6, &[data(&[0])])),
    ]
}

fn jpegs() -> Vec<(&'static str, Vec<u8>)> {
    let good = encode(
        &DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(gradient(40, 24)).to_rgb8()),
        ImageFormat::Jpeg,
    );
    let mut no_end = good.clone();
    no_end.truncate(good.len() - 2);
    let exif = tiff(&[(0x0112, 3, 1, 6)], 8, &[]);
    let mut thumbnail_only =
        samples::with_exif(&good, &[b"II*\0\x08\0\0\0", good.as_slice()].concat());
    thumbnail_only.truncate(thumbnail_only.len() - good.len() / 2);
    vec![
        ("jpeg of 65500 x 65500", jpeg_header(65_500, 65_500)),
        ("jpeg of no height", jpeg_header(16, 0)),
        ("jpeg cut in the middle", good[..good.len() / 2].to_vec()),
        ("jpeg without an end", no_end),
        ("jpeg cut, with a whole thumbnail inside", thumbnail_only),
        ("jpeg of its first bytes alone", vec![0xff, 0xd8, 0xff, 0xe0]),
        ("jpeg of 2000 scans", jpeg_blocks(1600, 1600, 1, 0xc2, 2000)),
        ("jpeg with arithmetic coding", jpeg_blocks(8, 8, 1, 0xc9, 1)),
        ("jpeg whose exif loops is accepted", samples::with_exif(&good, &exif)),
    ]
}

/// A JPEG that promises a size and has no pixels.
fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg_blocks(8, 8, 3, 0xc0, 1);
    let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame") + 5;
    bytes[at..at + 2].copy_from_slice(&height.to_be_bytes());
    bytes[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn tiffs() -> Vec<(&'static str, Vec<u8>)> {
    let small = tiff_picture(2, 2, 1, 1, &[1, 2, 3, 4]);
    let mut huge_count = small.clone();
    // The count of strip offsets becomes four billion.
    huge_count[8 + 2 + 12 * 5 + 4..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    vec![
        ("tiff of 4 billion x 4 billion", tiff_picture(u32::MAX, u32::MAX, 1, 1, &[0])),
        ("tiff of 15000 x 15000", tiff_picture(15_000, 15_000, 1, 1, &[0])),
        ("tiff with strips out of the file", tiff_picture(1000, 1000, 1, 1, &[0])),
        ("tiff with four billion strips", huge_count),
        ("tiff whose pages loop", tiff(&[], 8, &[])),
        ("tiff without tags", tiff(&[], 0, &[])),
        ("tiff of its header alone", b"II*\0\x08\0\0\0".to_vec()),
        ("tiff of the big kind", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec()),
        ("tiff of palette colours", tiff_picture(2, 2, 3, 1, &[0, 1, 2, 3])),
    ]
}

fn others() -> Vec<(&'static str, Vec<u8>)> {
    let rgba = DynamicImage::ImageRgba8(gradient(40, 24));
    let made = |format| encode(&rgba, format);
    let patched = |format, at: usize, bytes: &[u8]| {
        let mut made = made(format);
        made[at..at + bytes.len()].copy_from_slice(bytes);
        made
    };
    let gif = made(ImageFormat::Gif);
    let many_frames: Vec<u8> = {
        let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
        [b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".as_slice(), &frame.repeat(200), b";"]
            .concat()
    };
    // An icon with one entry of this size in its directory.
    let icon = |width: u8, height: u8, inner: &[u8]| {
        let length = (inner.len() as u32).to_le_bytes();
        let directory =
            [&[0, 0, 1, 0, 1, 0, width, height, 0, 0, 1, 0, 32, 0], length.as_slice()].concat();
        [directory.as_slice(), &22u32.to_le_bytes(), inner].concat()
    };
    let nested = icon(0, 0, &png(60_000, 60_000, 8, 6, &[chunk(b"IDAT", &zlib(&[0]))]));
    let icon_in_icon = icon(40, 24, &made(ImageFormat::Ico));
    vec![
        ("gif of 65535 x 65535", patched(ImageFormat::Gif, 6, &[255; 4])),
        ("gif cut in the middle", gif[..gif.len() / 2].to_vec()),
        ("gif without a frame", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
        ("gif of 200 frames", many_frames),
        ("gif of no size", patched(ImageFormat::Gif, 6, &[0; 4])),
        ("webp whose length lies", patched(ImageFormat::WebP, 4, &[255, 255, 255, 127])),
        (
            "webp of noise",
            [b"RIFF\x14\0\0\0WEBPVP8L\x08\0\0\0".as_slice(), &[0x2f, 255, 255, 255, 255, 1, 2, 3]]
                .concat(),
        ),
        (
            "webp of a canvas of 16 million x 16 million",
            [b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0".as_slice(), &[255; 6]].concat(),
        ),
        ("webp without a picture", b"RIFF\x04\0\0\0WEBP".to_vec()),
        (
            "bmp of 2 billion x 2 billion",
            patched(ImageFormat::Bmp, 18, &[255, 255, 255, 127, 255, 255, 255, 127]),
        ),
        ("bmp of negative width", patched(ImageFormat::Bmp, 18, &[255; 4])),
        ("bmp cut in the middle", made(ImageFormat::Bmp)[..500].to_vec()),
        ("qoi of 4 billion x 4 billion", patched(ImageFormat::Qoi, 4, &[255; 8])),
        ("qoi of no size", patched(ImageFormat::Qoi, 4, &[0; 8])),
        (
            "tga of 65535 x 65535, compressed",
            [
                &[0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 24, 0],
                [0u8; 9].as_slice(),
            ]
            .concat(),
        ),
        ("pnm of a size with 30 digits", b"P6 999999999999999999999999999999 1 255\n".to_vec()),
        ("pnm of 60000 x 60000", b"P5 60000 60000 255\n".to_vec()),
        ("pnm without pixels", b"P6 10 10 255\n".to_vec()),
        (
            "icon without entries",
            vec![0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0],
        ),
        ("icon that holds a png of 60000 x 60000", nested),
        ("icon that holds an icon", icon_in_icon),
        (
            "svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec(),
        ),
        (
            "html that calls itself an image",
            b"<!DOCTYPE html><html><body>GIF89a</body></html>".to_vec(),
        ),
        ("zip", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        ("nothing", Vec::new()),
        ("one byte", vec![0x89]),
        ("zeros", vec![0; 4096]),
        ("five mebibytes", [made(ImageFormat::Png), vec![0; 5 << 20]].concat()),
    ]
}

fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    [pngs(), jpegs(), tiffs(), others()].concat()
}

#[test]
fn each_hostile_image_is_refused_for_its_golden_reason() {
    let mut table = String::new();
    for (name, bytes) in corpus() {
        let answer = match decode(&bytes, &limits()) {
            Ok(decoded) => {
                format!("accepted, {} x {}", decoded.image.width(), decoded.image.height())
            }
            Err(error) => format!("{}: {}", error.kind().code(), error_chain(&error).join(" <- ")),
        };
        table.push_str(&format!("{name}\n    {answer}\n"));
    }
    insta::assert_snapshot!("hostile", table);
}

#[test]
fn no_hostile_image_costs_more_memory_than_the_limit() {
    for (name, bytes) in corpus() {
        let (_, peak) = peak_of(|| drop(measure(&bytes, &limits())));
        // Two mebibytes for tables, error texts and the reader's own copy of what it reads.
        let allowed = limits().max_memory as usize + (2 << 20);
        assert!(peak <= allowed, "{name} needed {peak} bytes, {allowed} are allowed");
    }
}

/// The encoder's own choice of colours takes seconds without optimisation.
fn quick_gif(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut bytes, 30);
    let (width, height) = (picture.width(), picture.height());
    let pixels = picture.to_rgba8();
    encoder.encode(&pixels, width, height, image::ExtendedColorType::Rgba8).expect("a picture");
    drop(encoder);
    bytes
}

#[test]
fn an_honest_large_image_stays_within_the_estimate() {
    let large = DynamicImage::ImageRgb8(RgbImage::from_fn(700, 500, |x, y| {
        image::Rgb([(x % 251) as u8, (y % 241) as u8, 7])
    }));
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
    ] {
        let bytes =
            if format == ImageFormat::Gif { quick_gif(&large) } else { encode(&large, format) };
        let generous = Limits { max_memory: 1 << 30, ..Limits::default() };
        let (result, peak) = peak_of(|| decode(&bytes, &generous));
        result.unwrap_or_else(|error| panic!("{format:?}: {error}"));
        // With the measured need as the limit it must either pass in that much or be refused.
        let tight = Limits { max_memory: peak as u64, ..Limits::default() };
        let (_, again) = peak_of(|| drop(decode(&bytes, &tight)));
        assert!(again <= peak + (1 << 20), "{format:?}: {again} of {peak}");
        let less = Limits { max_memory: peak as u64 / 2, ..Limits::default() };
        let (refused, _) = peak_of(|| decode(&bytes, &less));
        assert!(refused.is_err(), "{format:?} is decoded in half of the memory that it needs");
    }
}
