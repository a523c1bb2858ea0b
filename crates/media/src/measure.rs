//! The third stage: everything that is known about an image without a model. In: bytes and limits.
//! Out: [`Measured`]. The measures of quality and colour are taken on a copy of at most 512 pixels
//! a side, laid over white where it is transparent, so that they compare between images of any
//! size. Not here: embeddings.

pub(crate) mod exif;
mod perceptual;
mod quality;
mod scale;

use base::{Result, Timestamp};

use crate::decode::{DecodedImage, decode};
use crate::limits::Limits;
use crate::sniff::Format;

pub(crate) use scale::{cropped, flatten, scaled, stretched};

/// An image, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// BLAKE3 of the encoded bytes, 64 hexadecimal digits.
    pub hash: String,
    /// What the bytes are; its name is the `format` field.
    pub format: Format,
    /// Length of the encoded bytes.
    pub bytes: u64,
    /// Pixels in a row of the upright picture.
    pub width: u32,
    /// Rows of the upright picture.
    pub height: u32,
    /// Frames, pages or entries in the file; all other measures are of one of them.
    pub frames: u32,
    /// EXIF: when it was taken. A camera that does not state its offset is taken to stand in UTC.
    pub taken_at: Option<Timestamp>,
    /// EXIF: maker and model.
    pub camera: Option<String>,
    /// EXIF: degrees, north positive.
    pub latitude: Option<f64>,
    /// EXIF: degrees, east positive.
    pub longitude: Option<f64>,
    /// 64-bit DCT hash as 16 hexadecimal digits; near-duplicates differ in few bits
    /// ([`crate::hamming_distance`]).
    pub perceptual_hash: String,
    /// From 0 (flat) towards 1: `v / (v + 100)` of the variance `v` of the Laplacian of 8-bit luma,
    /// so 0.5 lies at the variance of 100 that is commonly taken as the border to blur.
    pub sharpness: f64,
    /// From -1 (all black) over 0 (balanced) to 1 (all white): the mean of `2 * luma - 1` and of
    /// the share of pixels clipped to white less the share clipped to black.
    pub exposure: f64,
    /// Mean colour as `#rrggbb`.
    pub mean_color: String,
    /// At most 256 pixels a side, never enlarged: JPEG, or PNG when the image has transparency.
    pub thumbnail: Vec<u8>,
    /// The media type of `thumbnail`.
    pub thumbnail_type: &'static str,
    /// The upright pixels, for [`crate::Model::embed_image`].
    pub image: DecodedImage,
}

/// Decodes and measures one image.
pub fn measure(bytes: &[u8], limits: &Limits) -> Result<Measured> {
    let decoded = decode(bytes, limits)?;
    let tags = decoded.exif.as_deref().map(exif::read).unwrap_or_default();
    let small = scaled(&decoded.image, 512)?;
    let flat = flatten(&small)?;
    let luma = quality::luma(&flat);
    let (thumbnail, thumbnail_type) = scale::thumbnail(&small, &flat)?;
    Ok(Measured {
        hash: blake3::hash(bytes).to_hex().to_string(),
        format: decoded.format,
        bytes: bytes.len() as u64,
        width: decoded.image.width(),
        height: decoded.image.height(),
        frames: decoded.frames,
        taken_at: tags.taken_at,
        camera: tags.camera,
        latitude: tags.latitude,
        longitude: tags.longitude,
        perceptual_hash: format!("{:016x}", perceptual::hash(&luma)?),
        sharpness: quality::sharpness(&luma),
        exposure: quality::exposure(&luma),
        mean_color: quality::mean_color(&flat),
        thumbnail,
        thumbnail_type,
        image: decoded.image,
    })
}
