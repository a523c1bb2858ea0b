//! The second stage: encoded bytes to 8-bit RGB or RGBA pixels, upright. In: the bytes, their
//! [`Format`] (by looking) and [`Limits`]. Out: [`Decoded`]. The container is walked and the cost
//! estimated before the decoder may allocate pixels; 16-bit, float, grey, palette and CMYK are
//! brought to 8-bit RGB(A); EXIF orientation is applied; of an animation, a multi-page file or an
//! icon the first (icon: largest) picture is decoded. Colour profiles are not applied.

mod container;
mod input;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use base::{Error, Kind, Result};
use image::codecs::{bmp, gif, ico, jpeg, png, pnm, qoi, tga, tiff, webp};
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageResult};

use crate::decode::container::Container;
use crate::decode::input::Input;
use crate::limits::Limits;
use crate::measure::exif;
use crate::sniff::{Format, sniff};

/// Upright 8-bit pixels, interleaved, row by row from the top, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedImage {
    width: u32,
    height: u32,
    alpha: bool,
    pixels: Vec<u8>,
}

/// What decoding gives.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What the bytes are.
    pub format: Format,
    /// The pixels.
    pub image: DecodedImage,
    /// The raw EXIF block (a TIFF structure), if there is one.
    pub exif: Option<Vec<u8>>,
    /// Frames, pages or entries in the file; only one of them is in `image`.
    pub frames: u32,
}

impl DecodedImage {
    /// Wraps pixels: three bytes each, or four with `alpha`. A length that does not fit is refused.
    pub fn new(width: u32, height: u32, alpha: bool, pixels: Vec<u8>) -> Result<Self> {
        let channels = if alpha { 4 } else { 3 };
        let expected = u64::from(width) * u64::from(height) * channels;
        if expected == 0 || pixels.len() as u64 != expected {
            let message = format!(
                "{width} x {height} pixels of {channels} bytes cannot be {} bytes long",
                pixels.len()
            );
            return Err(Error::invalid(message));
        }
        Ok(DecodedImage { width, height, alpha, pixels })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Whether pixels have a fourth byte: opacity.
    pub fn has_alpha(&self) -> bool {
        self.alpha
    }

    /// The bytes of all pixels.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// Decodes one image within `limits`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    limits.check_input(bytes)?;
    let format = sniff(bytes, None)?;
    let container = container::inspect(format, bytes)?;
    limits.check_frames(container.frames)?;
    let input = Input::new(bytes, Instant::now(), limits.time_budget);
    let overrun = input.overrun();
    let failed = |error: Error| if overrun.get() { limits.time_exceeded() } else { error };
    let (image, exif) =
        contained(format, || pixels(format, input, &container, limits)).map_err(failed)?;
    Ok(Decoded { format, image, exif, frames: container.frames })
}

fn pixels(
    format: Format,
    input: Input<'_>,
    container: &Container,
    limits: &Limits,
) -> Result<(DecodedImage, Option<Vec<u8>>)> {
    let bytes = input.bytes();
    if let Some((width, height)) = container.promised {
        limits.check_dimensions(width, height)?;
    }
    let named = |error| from_image_error(format, error);
    let mut decoder = open(format, input, limits).map_err(named)?;
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    container.check_work(width, height)?;
    let exif = exif_block(format, bytes, decoder.as_mut());
    let orientation = exif.as_deref().map_or(Orientation::NoTransforms, exif::orientation);
    limits.check_memory(peak_memory(container, bytes, decoder.as_ref(), orientation))?;
    // The output is allocated outside of the decoder, so the decoder may use what it leaves.
    let rest = limits.max_memory.saturating_sub(decoder.total_bytes());
    decoder.set_limits(image_limits(limits, rest)).map_err(named)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(named)?;
    picture = to_eight_bit(picture);
    picture.apply_orientation(orientation);
    Ok((into_decoded(picture)?, exif))
}

fn open<'a>(
    format: Format,
    input: Input<'a>,
    limits: &Limits,
) -> ImageResult<Box<dyn ImageDecoder + 'a>> {
    Ok(match format {
        Format::Jpeg => Box::new(jpeg::JpegDecoder::new(input)?),
        Format::Png => {
            Box::new(png::PngDecoder::with_limits(input, image_limits(limits, limits.max_memory))?)
        }
        Format::Gif => Box::new(gif::GifDecoder::new(input)?),
        Format::WebP => Box::new(webp::WebPDecoder::new(input)?),
        Format::Bmp => Box::new(bmp::BmpDecoder::new(input)?),
        Format::Tiff => Box::new(tiff::TiffDecoder::new(input)?),
        Format::Ico => Box::new(ico::IcoDecoder::new(input)?),
        Format::Qoi => Box::new(qoi::QoiDecoder::new(input)?),
        Format::Tga => Box::new(tga::TgaDecoder::new(input)?),
        Format::Pnm => Box::new(pnm::PnmDecoder::new(input)?),
    })
}

fn image_limits(limits: &Limits, memory: u64) -> image::Limits {
    let mut answer = image::Limits::no_limits();
    answer.max_image_width = Some(limits.max_width);
    answer.max_image_height = Some(limits.max_height);
    answer.max_alloc = Some(memory);
    answer
}

/// A TIFF is its own EXIF block. A broken EXIF block makes no image unreadable, so it is dropped.
fn exif_block(format: Format, bytes: &[u8], decoder: &mut dyn ImageDecoder) -> Option<Vec<u8>> {
    const MAX_EXIF: usize = 1 << 20;
    let block = match format {
        Format::Tiff => return exif::relevant_head(bytes).map(<[u8]>::to_vec),
        _ => decoder.exif_metadata().ok().flatten()?,
    };
    (block.len() <= MAX_EXIF).then_some(block)
}

/// The most bytes that will be alive at once, from what the header says.
fn peak_memory(
    container: &Container,
    bytes: &[u8],
    decoder: &dyn ImageDecoder,
    orientation: Orientation,
) -> u64 {
    let (width, height) = decoder.dimensions();
    let count = u64::from(width) * u64::from(height);
    let native = decoder.total_bytes();
    let color = decoder.color_type();
    let out = count * if color.has_alpha() { 4 } else { 3 };
    let kept = matches!(color, ColorType::Rgb8 | ColorType::Rgba8);
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let decoding = native + count * container.working_bytes_per_pixel + bytes.len() as u64;
    let converting = if kept { native } else { native + out };
    let turning = if turned { 2 * out } else { out };
    decoding.max(converting).max(turning)
}

fn to_eight_bit(picture: DynamicImage) -> DynamicImage {
    match picture {
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => picture,
        other if other.color().has_alpha() => DynamicImage::ImageRgba8(other.into_rgba8()),
        other => DynamicImage::ImageRgb8(other.into_rgb8()),
    }
}

fn into_decoded(picture: DynamicImage) -> Result<DecodedImage> {
    let (width, height, alpha) = (picture.width(), picture.height(), picture.color().has_alpha());
    DecodedImage::new(width, height, alpha, picture.into_bytes())
}

fn from_image_error(format: Format, error: ImageError) -> Error {
    let name = format.name();
    match &error {
        ImageError::Limits(_) => Error::new(
            Kind::LimitExceeded,
            format!("the {name} image needs more than the limits allow"),
        ),
        ImageError::Unsupported(_) => Error::new(
            Kind::Unsupported,
            format!("the {name} image uses a variant that is not decoded"),
        )
        .hint("convert it to JPEG, PNG or WebP first"),
        ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            truncated(format)
        }
        _ => Error::new(Kind::Corrupt, format!("the {name} image is damaged")),
    }
    .caused_by(error)
}

/// The error for data that ends too early.
fn truncated(format: Format) -> Error {
    Error::new(Kind::Corrupt, format!("the {} image is truncated", format.name()))
        .hint("copy or download it again")
}

/// Runs a decoder. Decoders are other people's code fed with hostile bytes: their panics end here.
fn contained<T>(format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let message = format!("the {} image makes its decoder panic: {text}", format.name());
        Err(Error::new(Kind::Corrupt, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_an_error_that_names_it() {
        let answer: Result<()> = contained(Format::Gif, || panic!("index {} out of range", 7));
        let error = answer.expect_err("panicked");
        assert_eq!(error.kind(), Kind::Corrupt);
        assert_eq!(
            error.to_string(),
            "the gif image makes its decoder panic: index 7 out of range"
        );
    }

    #[test]
    fn pixels_of_the_wrong_length_are_no_image() {
        assert!(DecodedImage::new(2, 2, false, vec![0; 12]).is_ok());
        for (width, height, alpha, length) in
            [(2, 2, true, 12), (0, 2, false, 0), (2, 2, false, 11)]
        {
            assert!(DecodedImage::new(width, height, alpha, vec![0; length]).is_err());
        }
    }
}
