//! Honest images of every format, depth and colour come out right and upright.

use std::sync::LazyLock;

use image::{DynamicImage, ImageFormat};
use media::{DecodedImage, Limits, decode};
use proptest::prelude::*;

use crate::memory::peak_of;
use crate::samples::{self, encode, every_format, gradient};

fn decoded(bytes: &[u8]) -> DecodedImage {
    decode(bytes, &Limits::default()).expect("an honest image").image
}

/// The pixel of an image as four numbers.
fn pixel(image: &DecodedImage, x: u32, y: u32) -> [u8; 4] {
    let channels = if image.has_alpha() { 4 } else { 3 };
    let at = (y * image.width() + x) as usize * channels;
    let p = &image.pixels()[at..at + channels];
    [p[0], p[1], p[2], p.get(3).copied().unwrap_or(255)]
}

#[test]
fn every_format_gives_its_pixels_back() {
    let expected = gradient(40, 24);
    for (name, bytes) in every_format() {
        let image = decode(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(image.format.name(), name);
        let image = image.image;
        assert_eq!((image.width(), image.height()), (40, 24), "{name}");
        // JPEG rounds coefficients; GIF has 256 colours, and its encoder finds them roughly.
        let tolerance = match name {
            "jpeg" => 24,
            "gif" => 64,
            _ => 0,
        };
        for (x, y) in [(0, 0), (10, 20), (19, 12), (5, 23)] {
            let (found, wanted) = (pixel(&image, x, y), expected.get_pixel(x, y).0);
            let off = (0..3).map(|c| found[c].abs_diff(wanted[c])).max();
            assert!(off <= Some(tolerance), "{name} at {x},{y}: {found:?} for {wanted:?}");
        }
    }
}

#[test]
fn depths_and_colours_come_down_to_eight_bits() {
    let rgba = DynamicImage::ImageRgba8(gradient(16, 16));
    let kinds: Vec<(DynamicImage, bool)> = vec![
        (rgba.to_luma8().into(), false),
        (rgba.to_luma_alpha8().into(), true),
        (rgba.to_luma16().into(), false),
        (rgba.to_rgb16().into(), false),
        (rgba.to_rgba16().into(), true),
    ];
    for (kind, alpha) in kinds {
        let image = decoded(&encode(&kind, ImageFormat::Png));
        let wanted = kind.to_rgba8();
        assert_eq!(image.has_alpha(), alpha, "{:?}", kind.color());
        assert_eq!(pixel(&image, 3, 9)[..3], wanted.get_pixel(3, 9).0[..3], "{:?}", kind.color());
    }
    let float = encode(&DynamicImage::ImageRgb32F(rgba.to_rgb32f()), ImageFormat::Tiff);
    assert_eq!(pixel(&decoded(&float), 3, 9)[..3], rgba.to_rgb8().get_pixel(3, 9).0);
}

#[test]
fn a_palette_and_four_inks_become_red_green_blue() {
    let palette = samples::chunk(b"PLTE", &[10, 20, 30, 200, 100, 50]);
    let rows = samples::zlib(&[0, 0b0100_0000]);
    let image = decoded(&samples::png(2, 1, 1, 3, &[palette, samples::chunk(b"IDAT", &rows)]));
    assert_eq!(
        (pixel(&image, 0, 0), pixel(&image, 1, 0)),
        ([10, 20, 30, 255], [200, 100, 50, 255])
    );
    let cyan = decoded(&samples::tiff_picture(1, 1, 5, 4, &[255, 0, 0, 0]));
    assert_eq!(pixel(&cyan, 0, 0), [0, 255, 255, 255]);
    let inks = decoded(&samples::jpeg_blocks(8, 8, 4, 0xc0, 1));
    assert_eq!((inks.width(), inks.has_alpha()), (8, false));
    let [red, green, blue, _] = pixel(&inks, 4, 4);
    assert!(red == green && green == blue && (60..70).contains(&red), "half of half: {red}");
}

#[test]
fn orientation_is_applied() {
    let marked = DynamicImage::ImageRgb8(image::RgbImage::from_fn(32, 16, |x, y| {
        if x < 8 && y < 8 { image::Rgb([255, 0, 0]) } else { image::Rgb([0, 0, 255]) }
    }));
    let jpeg = encode(&marked, ImageFormat::Jpeg);
    // Where the upper left corner goes, by the value of the tag.
    let corners = [
        (1, 0, 0),
        (2, 31, 0),
        (3, 31, 15),
        (4, 0, 15),
        (5, 0, 0),
        (6, 15, 0),
        (7, 15, 31),
        (8, 0, 31),
    ];
    for (value, x, y) in corners {
        let exif = samples::tiff(&[(0x0112, 3, 1, value)], 0, &[]);
        let image = decoded(&samples::with_exif(&jpeg, &exif));
        let size = if value < 5 { (32, 16) } else { (16, 32) };
        assert_eq!((image.width(), image.height()), size, "orientation {value}");
        assert!(pixel(&image, x, y)[0] > 200, "orientation {value}: the corner is not at {x},{y}");
    }
}

#[test]
fn of_an_animation_the_first_frame_is_decoded_and_frames_are_counted() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for shade in [10u8, 200, 90] {
        let frame = image::RgbaImage::from_pixel(6, 4, image::Rgba([shade, shade, shade, 255]));
        encoder.encode_frame(image::Frame::new(frame)).expect("a frame");
    }
    drop(encoder);
    let decoded = decode(&bytes, &Limits::default()).expect("an honest animation");
    assert_eq!(decoded.frames, 3);
    assert!(pixel(&decoded.image, 2, 2)[0].abs_diff(10) < 8);
    let two = Limits { max_frames: 2, ..Limits::default() };
    assert_eq!(
        decode(&bytes, &two).expect_err("three frames").to_string(),
        "the image has more than 2 frames"
    );
}

#[test]
fn a_truncated_image_is_refused_in_every_format() {
    for (name, bytes) in every_format() {
        for share in 1..8 {
            let cut = &bytes[..bytes.len() * share / 8];
            assert!(
                decode(cut, &Limits::default()).is_err(),
                "{name} cut to {share}/8 is accepted"
            );
        }
    }
}

#[test]
fn no_time_is_no_image() {
    let none = Limits { time_budget: std::time::Duration::ZERO, ..Limits::default() };
    for (name, bytes) in every_format() {
        let error = decode(&bytes, &none).expect_err(name);
        assert_eq!(error.to_string(), "decoding the image took longer than 0ns", "{name}");
    }
}

/// Encoding is slow without optimisation, so it happens once.
static EVERY_FORMAT: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(every_format);

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever bytes are bent, the answer is an image or an error, in bounded memory.
    #[test]
    fn bent_images_never_panic_and_never_cost_more_than_allowed(
        which in 0usize..10,
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (name, mut bytes) = EVERY_FORMAT[which].clone();
        for (at, value) in bends {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let limits = Limits { max_memory: 8 << 20, ..Limits::default() };
        let (result, peak) = peak_of(|| decode(&bytes, &limits));
        prop_assert!(peak < 10 << 20, "{} needed {} bytes", name, peak);
        if let Err(error) = result {
            prop_assert!(!error.to_string().contains("panic"), "{}: {}", name, error);
        }
    }
}
