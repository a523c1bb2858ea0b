//! What is measured is right, and near-duplicates are found.

use base::Timestamp;
use image::{DynamicImage, ImageFormat, imageops};
use media::duplicates::{duplicates, parse};
use media::{Limits, Measured, measure};

use crate::samples::{self, encode, every_format, gradient};

fn measured(bytes: &[u8]) -> Measured {
    measure(bytes, &Limits::default()).expect("an honest image")
}

/// A picture with structure: overlapping discs placed by a small generator.
fn scene(seed: u32, side: u32) -> DynamicImage {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let discs: Vec<[u32; 6]> = (0..12)
        .map(|_| [draw(100), draw(100), 5 + draw(25), draw(256), draw(256), draw(256)])
        .collect();
    DynamicImage::ImageRgb8(image::RgbImage::from_fn(side, side, |x, y| {
        let (x, y) = (x * 100 / side, y * 100 / side);
        let inside =
            |d: &&[u32; 6]| x.abs_diff(d[0]).pow(2) + y.abs_diff(d[1]).pow(2) < d[2].pow(2);
        let color = discs.iter().rev().find(inside).map_or([240, 240, 240], |d| [d[3], d[4], d[5]]);
        image::Rgb(color.map(|value| value as u8))
    }))
}

#[test]
fn every_format_is_measured() {
    for (name, bytes) in every_format() {
        let answer = measured(&bytes);
        assert_eq!(answer.hash, blake3::hash(&bytes).to_hex().to_string());
        assert_eq!((answer.format.name(), answer.bytes), (name, bytes.len() as u64));
        assert_eq!((answer.width, answer.height), (40, 24));
        assert!(parse(&answer.perceptual_hash).is_some(), "{}", answer.perceptual_hash);
        assert!((0.0..1.0).contains(&answer.sharpness) && (-1.0..=1.0).contains(&answer.exposure));
        assert!(answer.mean_color.len() == 7 && answer.mean_color.starts_with('#'));
    }
}

#[test]
fn thumbnails_are_small_and_keep_transparency() {
    let wide = DynamicImage::ImageRgba8(gradient(1000, 300));
    let answer = measured(&encode(&wide, ImageFormat::Png));
    let thumbnail = measured(&answer.thumbnail);
    assert_eq!((thumbnail.width, thumbnail.height), (256, 76));
    assert_eq!(
        (thumbnail.format.content_type(), answer.thumbnail_type),
        ("image/png", "image/png")
    );
    let opaque = measured(&encode(&DynamicImage::ImageRgb8(wide.to_rgb8()), ImageFormat::Png));
    assert_eq!(measured(&opaque.thumbnail).format.content_type(), opaque.thumbnail_type);
    assert_eq!(opaque.thumbnail_type, "image/jpeg");
    let sliver = measured(&encode(
        &DynamicImage::ImageRgb8(image::RgbImage::new(3000, 1)),
        ImageFormat::Png,
    ));
    assert_eq!(measured(&sliver.thumbnail).height, 1);
}

#[test]
fn exif_gives_time_camera_and_place() {
    let jpeg = encode(&scene(1, 32), ImageFormat::Jpeg);
    // The directory at 8 has five entries and ends at 74; what they point to follows.
    let texts = b"ACME\0\0\0\0Acme Nine\0\0\0\0\0\0\0";
    let (make, model, exif_at, gps_at) = (74, 82, 98, 200);
    let first = [
        (0x010f, 2, 5, make),
        (0x0110, 2, 10, model),
        (0x0112, 3, 1, 1),
        (0x8769, 4, 1, exif_at),
        (0x8825, 4, 1, gps_at),
    ];
    let mut data = texts.to_vec();
    data.resize((exif_at - 74) as usize, 0);
    data.extend(samples::directory(
        &[
            (0x9003, 2, 20, 160),
            (0x9011, 2, 7, 184),
            (0x9291, 2, 3, u32::from_le_bytes(*b"25\0\0")),
        ],
        0,
    ));
    data.resize((160 - 74) as usize, 0);
    data.extend(b"2026:11:23 08:30:00\0\0\0\0\0+01:00\0");
    data.resize((gps_at - 74) as usize, 0);
    let rationals = gps_at + 2 + 12 * 4 + 4;
    data.extend(samples::directory(
        &[
            (1, 2, 2, u32::from(b'S')),
            (2, 5, 3, rationals),
            (3, 2, 2, u32::from(b'E')),
            (4, 5, 3, rationals + 24),
        ],
        0,
    ));
    for (above, below) in [(33u32, 1u32), (30, 1), (0, 1), (151, 1), (12, 1), (36, 1)] {
        data.extend(above.to_le_bytes());
        data.extend(below.to_le_bytes());
    }
    let answer = measured(&samples::with_exif(&jpeg, &samples::tiff(&first, 0, &data)));
    assert_eq!(answer.taken_at, Timestamp::parse("2026-11-23T07:30:00.25Z"));
    assert_eq!(answer.camera.as_deref(), Some("Acme Nine"));
    assert_eq!(answer.latitude, Some(-33.5));
    assert!((answer.longitude.expect("given") - 151.21).abs() < 1e-9);
}

#[test]
fn near_duplicates_are_grouped_and_different_pictures_are_not() {
    let mut hashes = Vec::new();
    for seed in 0..10 {
        let original = scene(seed, 200);
        let smaller = original.resize_exact(90, 90, imageops::FilterType::Triangle);
        let brighter = original.brighten(12);
        for picture in [
            (&original, ImageFormat::Png),
            (&original, ImageFormat::Jpeg),
            (&smaller, ImageFormat::Png),
            (&brighter, ImageFormat::Jpeg),
        ] {
            hashes.push(
                parse(&measured(&encode(picture.0, picture.1)).perceptual_hash)
                    .expect("hexadecimal"),
            );
        }
    }
    let expected: Vec<Vec<usize>> =
        (0..10).map(|scene| (scene * 4..scene * 4 + 4).collect()).collect();
    assert_eq!(duplicates(&hashes, 8), expected);
}

#[test]
fn a_blurred_copy_is_less_sharp_and_a_dark_one_less_exposed() {
    let original = scene(3, 200);
    let of = |picture: &DynamicImage| measured(&encode(picture, ImageFormat::Png));
    let (plain, blurred, dark) =
        (of(&original), of(&original.blur(3.0)), of(&original.brighten(-90)));
    assert!(
        plain.sharpness > 0.8 && blurred.sharpness < 0.5 * plain.sharpness,
        "{} {}",
        plain.sharpness,
        blurred.sharpness
    );
    assert!(dark.exposure < plain.exposure - 0.2);
}
