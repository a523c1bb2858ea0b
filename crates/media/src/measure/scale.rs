//! Smaller copies of an image: for measuring, for models, for showing. In: a [`DecodedImage`]. Out:
//! the same picture with fewer pixels, or a thumbnail's encoded bytes. Nothing is ever enlarged
//! except by [`stretched`], which models need.

use base::{Error, Kind, Result};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::decode::DecodedImage;

/// The longest side of a thumbnail.
const THUMBNAIL_SIDE: u32 = 256;

/// The picture with its longest side brought down to `side`; a smaller one stays as it is.
pub(crate) fn scaled(image: &DecodedImage, side: u32) -> Result<DecodedImage> {
    let longest = image.width().max(image.height());
    if longest <= side {
        return Ok(image.clone());
    }
    let shrink = |length: u32| {
        let exact = u64::from(length) * u64::from(side) / u64::from(longest);
        u32::try_from(exact).unwrap_or(side).max(1)
    };
    stretched(image, shrink(image.width()), shrink(image.height()))
}

/// The picture at exactly this size, whatever its proportions were.
pub(crate) fn stretched(image: &DecodedImage, width: u32, height: u32) -> Result<DecodedImage> {
    let kind = if image.has_alpha() { PixelType::U8x4 } else { PixelType::U8x3 };
    let pixels = resize(image.pixels(), (image.width(), image.height()), (width, height), kind)?;
    DecodedImage::new(width, height, image.has_alpha(), pixels)
}

/// The middle of the picture in the proportions of this size, brought to this size.
pub(crate) fn cropped(image: &DecodedImage, width: u32, height: u32) -> Result<DecodedImage> {
    let (all_width, all_height) = (u64::from(image.width()), u64::from(image.height()));
    let fit = |whole: u64, other: u64, side: u32, other_side: u32| {
        let wanted = other * u64::from(side) / u64::from(other_side.max(1));
        usize::try_from(wanted.clamp(1, whole)).unwrap_or(usize::MAX)
    };
    let kept_width = fit(all_width, all_height, width, height);
    let kept_height = fit(all_height, all_width, height, width);
    let channels = if image.has_alpha() { 4 } else { 3 };
    let (left, top) =
        ((image.width() as usize - kept_width) / 2, (image.height() as usize - kept_height) / 2);
    let rows = image.pixels().chunks_exact(image.width() as usize * channels);
    let middle = rows
        .skip(top)
        .take(kept_height)
        .flat_map(|row| &row[left * channels..(left + kept_width) * channels])
        .copied()
        .collect();
    let kept = DecodedImage::new(kept_width as u32, kept_height as u32, image.has_alpha(), middle)?;
    stretched(&kept, width, height)
}

/// Area-averaging resize of raw pixels.
pub(crate) fn resize(
    pixels: &[u8],
    from: (u32, u32),
    to: (u32, u32),
    kind: PixelType,
) -> Result<Vec<u8>> {
    let failed =
        |error: String| Error::new(Kind::Internal, format!("failed to scale an image: {error}"));
    let source = ImageRef::new(from.0, from.1, pixels, kind).map_err(|e| failed(e.to_string()))?;
    let mut target = Image::new(to.0, to.1, kind);
    // Bilinear convolution widens its kernel when it shrinks, so nothing is skipped, and it does
    // not ring at edges as Lanczos does.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(e.to_string()))?;
    Ok(target.into_vec())
}

/// The picture laid over white, without opacity.
pub(crate) fn flatten(image: &DecodedImage) -> Result<DecodedImage> {
    if !image.has_alpha() {
        return Ok(image.clone());
    }
    let over_white = |value: u8, opacity: u8| {
        let (value, opacity) = (u32::from(value), u32::from(opacity));
        u8::try_from((value * opacity + 255 * (255 - opacity) + 127) / 255).unwrap_or(u8::MAX)
    };
    let pixels = image
        .pixels()
        .chunks_exact(4)
        .flat_map(|p| [over_white(p[0], p[3]), over_white(p[1], p[3]), over_white(p[2], p[3])])
        .collect();
    DecodedImage::new(image.width(), image.height(), false, pixels)
}

/// Encodes the thumbnail of a picture given with and without its opacity.
pub(super) fn thumbnail(
    image: &DecodedImage,
    flat: &DecodedImage,
) -> Result<(Vec<u8>, &'static str)> {
    let transparent = image.has_alpha() && image.pixels().chunks_exact(4).any(|p| p[3] != u8::MAX);
    let small = scaled(if transparent { image } else { flat }, THUMBNAIL_SIDE)?;
    let (width, height) = (small.width(), small.height());
    let mut bytes = Vec::new();
    let encoded = if transparent {
        PngEncoder::new(&mut bytes).write_image(
            small.pixels(),
            width,
            height,
            ExtendedColorType::Rgba8,
        )
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 82);
        encoder.write_image(small.pixels(), width, height, ExtendedColorType::Rgb8)
    };
    encoded.map_err(|error| Error::internal("failed to encode a thumbnail").caused_by(error))?;
    Ok((bytes, if transparent { "image/png" } else { "image/jpeg" }))
}
