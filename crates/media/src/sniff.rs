//! The first stage: says what bytes are by looking at them. In: the bytes and, if there is one, the
//! file's name. Out: a [`Format`] that can be decoded, or an error that says what was found instead.
//! The name never decides; it is only compared, so that a file with the wrong extension is found.

use base::{Error, Kind, Result};

/// The image formats that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// JPEG: baseline and progressive; grey, YCbCr, CMYK.
    Jpeg,
    /// PNG and APNG (its default image).
    Png,
    /// GIF (its first frame).
    Gif,
    /// WebP: lossy, lossless, animated (its first frame).
    WebP,
    /// Windows bitmap.
    Bmp,
    /// TIFF (its first page).
    Tiff,
    /// Windows icon (its largest entry).
    Ico,
    /// The Quite OK Image format.
    Qoi,
    /// Truevision TGA.
    Tga,
    /// PBM, PGM, PPM and PAM.
    Pnm,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 10] = [
        Format::Jpeg,
        Format::Png,
        Format::Gif,
        Format::WebP,
        Format::Bmp,
        Format::Tiff,
        Format::Ico,
        Format::Qoi,
        Format::Tga,
        Format::Pnm,
    ];

    /// The name, as the `format` field of a measured image spells it.
    pub fn name(self) -> &'static str {
        self.extensions()[0]
    }

    /// The media type for HTTP.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
            Format::Gif => "image/gif",
            Format::WebP => "image/webp",
            Format::Bmp => "image/bmp",
            Format::Tiff => "image/tiff",
            Format::Ico => "image/x-icon",
            Format::Qoi => "image/qoi",
            Format::Tga => "image/x-tga",
            Format::Pnm => "image/x-portable-anymap",
        }
    }

    /// The extensions that files of this format carry, the format's name first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Format::Jpeg => &["jpeg", "jpg", "jpe", "jfif"],
            Format::Png => &["png", "apng"],
            Format::Gif => &["gif"],
            Format::WebP => &["webp"],
            Format::Bmp => &["bmp", "dib"],
            Format::Tiff => &["tiff", "tif"],
            Format::Ico => &["ico"],
            Format::Qoi => &["qoi"],
            Format::Tga => &["tga", "icb", "vda", "vst"],
            Format::Pnm => &["pnm", "pbm", "pgm", "ppm", "pam"],
        }
    }

    /// The format whose files carry this extension, in any case.
    pub fn from_extension(extension: &str) -> Option<Format> {
        let lower = extension.to_ascii_lowercase();
        Format::ALL.into_iter().find(|format| format.extensions().contains(&lower.as_str()))
    }

    /// The format whose [`Format::name`] this is.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// Extensions of media that are not decoded, so that a JPEG named `clip.mp4` is found out too.
const OTHER_EXTENSIONS: &[&str] = &[
    "avif", "heic", "heif", "svg", "jxl", "psd", "mp4", "mov", "mkv", "webm", "avi", "mp3", "wav",
    "flac", "ogg", "m4a", "pdf", "zip", "txt", "html", "json", "csv",
];

/// Finds the format of `bytes`. With a `name`, an extension that promises something else is an error.
pub fn sniff(bytes: &[u8], name: Option<&str>) -> Result<Format> {
    let subject = name.map_or_else(|| "the image".to_owned(), |name| format!("`{name}`"));
    if bytes.is_empty() {
        return Err(Error::invalid(format!("{subject} is empty (0 bytes)")));
    }
    let format = recognise(bytes).ok_or_else(|| refuse(bytes, &subject))?;
    match name {
        Some(name) => check_name(format, name),
        None => Ok(format),
    }
}

fn check_name(format: Format, name: &str) -> Result<Format> {
    let Some((stem, extension)) = name.rsplit_once('.') else { return Ok(format) };
    let lower = extension.to_ascii_lowercase();
    let promises_other = match Format::from_extension(&lower) {
        Some(promised) => promised != format,
        None => OTHER_EXTENSIONS.contains(&lower.as_str()),
    };
    if !promises_other {
        return Ok(format);
    }
    let message = format!("`{name}` is named as {lower} but holds a {} image", format.name());
    Err(Error::invalid(message)
        .hint(format!("if that is intended, rename it to `{stem}.{}`", format.name())))
}

fn recognise(bytes: &[u8]) -> Option<Format> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(&[0xff, 0xd8, 0xff]) {
        Some(Format::Jpeg)
    } else if starts(b"\x89PNG\r\n\x1a\n") {
        Some(Format::Png)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some(Format::Gif)
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(Format::WebP)
    } else if is_bmp(bytes) {
        Some(Format::Bmp)
    } else if is_tiff(bytes) {
        Some(Format::Tiff)
    } else if is_ico(bytes) {
        Some(Format::Ico)
    } else if starts(b"qoif") {
        Some(Format::Qoi)
    } else if is_pnm(bytes) {
        Some(Format::Pnm)
    } else if is_tga(bytes) {
        Some(Format::Tga)
    } else {
        None
    }
}

/// `BM` also begins words, so the size of the second header must be one of those that exist.
fn is_bmp(bytes: &[u8]) -> bool {
    const HEADER_SIZES: [u32; 8] = [12, 16, 40, 52, 56, 64, 108, 124];
    bytes.starts_with(b"BM")
        && little_u32(bytes, 14).is_some_and(|size| HEADER_SIZES.contains(&size))
}

/// Classic and big TIFF in both byte orders; camera raw files share the magic and are refused later
/// by what they hold.
fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic))
}

/// The magic is four small bytes, so the first entry must be plausible too.
fn is_ico(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0, 0, 1, 0]) || bytes.len() < 22 {
        return false;
    }
    let count = u32::from(bytes[4]) | u32::from(bytes[5]) << 8;
    let offset = little_u32(bytes, 18).unwrap_or(0);
    // Offsets of later entries are the decoder's matter; the first must stand behind the directory.
    bytes[9] == 0 && (count == 0 || offset >= 6 + 16 * count)
}

fn is_pnm(bytes: &[u8]) -> bool {
    bytes[0] == b'P'
        && matches!(bytes.get(1), Some(b'1'..=b'7'))
        && matches!(bytes.get(2), Some(b' ' | b'\n' | b'\r' | b'\t' | b'#'))
}

/// TGA has no magic at the front. Version 2 has a footer; of version 1 every header field must be
/// one of the few values that make sense, and uncompressed pixels must fit into the file.
fn is_tga(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..18) else { return false };
    let (map_type, image_type, depth) = (header[1], header[2], header[16]);
    let indexed = matches!(image_type, 1 | 9);
    let known = matches!(image_type, 1 | 2 | 3 | 9 | 10 | 11)
        && map_type <= 1
        && indexed == (map_type == 1);
    let depth_fits = match image_type {
        1 | 9 => matches!(depth, 8 | 16),
        3 | 11 => matches!(depth, 8 | 16),
        _ => matches!(depth, 15 | 16 | 24 | 32),
    };
    if !known || !depth_fits {
        return false;
    }
    if bytes.ends_with(b"TRUEVISION-XFILE.\0") {
        return true;
    }
    let size = |at: usize| u64::from(header[at]) | u64::from(header[at + 1]) << 8;
    let (width, height) = (size(12), size(14));
    let map_bytes = if indexed { size(5) * u64::from(header[7]).div_ceil(8) } else { 0 };
    let map_fits =
        if indexed { matches!(header[7], 15 | 16 | 24 | 32) } else { header[3..8] == [0; 5] };
    let behind = 18 + u64::from(header[0]) + map_bytes;
    let pixel_bytes = width * height * u64::from(depth).div_ceil(8);
    let fits = image_type >= 9 || behind + pixel_bytes <= bytes.len() as u64;
    map_fits && header[17] & 0xc0 == 0 && width > 0 && height > 0 && fits
}

/// The error for bytes that are no image we decode: names what they are, if that can be told.
fn refuse(bytes: &[u8], subject: &str) -> Error {
    let unsupported = |what: &str| {
        Error::new(Kind::Unsupported, format!("{subject} is {what}, which is not decoded"))
            .hint("convert it to JPEG, PNG or WebP first")
    };
    if let Some(what) = iso_media(bytes) {
        return unsupported(what);
    }
    if is_svg(bytes) {
        return unsupported("an SVG drawing");
    }
    if bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return unsupported("video (Matroska or WebM)");
    }
    // Where our own, stricter check has said no, a looser yes counts for nothing.
    let decoded = |found: &infer::Type| Format::from_extension(found.extension()).is_some();
    if let Some(found) = infer::get(bytes).filter(|found| !decoded(found)) {
        let what = match found.matcher_type() {
            infer::MatcherType::Image => format!("an image of type `{}`", found.mime_type()),
            infer::MatcherType::Video => format!("video (`{}`)", found.mime_type()),
            infer::MatcherType::Audio => format!("audio (`{}`)", found.mime_type()),
            _ => format!("no image but `{}`", found.mime_type()),
        };
        return unsupported(&what);
    }
    Error::invalid(format!("{subject} begins like no known image format"))
        .hint("it may be damaged, or text; its first bytes decide, not its name")
}

/// AVIF, HEIC, video and audio share the ISO base media container; the brand tells them apart.
fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) != Some(b"ftyp") {
        return None;
    }
    Some(match bytes.get(8..12)? {
        b"avif" | b"avis" => "an AVIF image",
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => "a HEIC image",
        b"M4A " | b"M4B " => "audio (MPEG-4)",
        b"qt  " => "video (QuickTime)",
        _ => "video (MPEG-4)",
    })
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let head = head.trim_start_matches('\u{feff}').trim_start();
    head.starts_with('<') && head.contains("<svg")
}

fn little_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], name: Option<&str>, expected: &str) {
        let answer = match sniff(bytes, name) {
            Ok(format) => format.name().to_owned(),
            Err(error) => format!("{}: {error}", error.kind().code()),
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn content_decides_and_a_name_that_disagrees_is_refused() {
        let jpeg = [0xff, 0xd8, 0xff, 0xe0];
        check(&jpeg, None, "jpeg");
        check(&jpeg, Some("A.JPG"), "jpeg");
        check(&jpeg, Some("no_extension"), "jpeg");
        check(&jpeg, Some("a.b.data"), "jpeg");
        check(
            &jpeg,
            Some("a.png"),
            "INVALID_INPUT: `a.png` is named as png but holds a jpeg image",
        );
        check(
            &jpeg,
            Some("a.mp4"),
            "INVALID_INPUT: `a.mp4` is named as mp4 but holds a jpeg image",
        );
    }

    #[test]
    fn other_media_is_named_and_refused() {
        check(
            b"\0\0\0\x20ftypavif\0\0\0\0",
            None,
            "UNSUPPORTED: the image is an AVIF image, which is not decoded",
        );
        check(
            b"\0\0\0\x20ftypheic\0\0\0\0",
            None,
            "UNSUPPORTED: the image is a HEIC image, which is not decoded",
        );
        check(
            b"\0\0\0\x20ftypisom\0\0\0\0",
            None,
            "UNSUPPORTED: the image is video (MPEG-4), which is not decoded",
        );
        check(
            b"<?xml version='1.0'?>\n<svg/>",
            Some("a.svg"),
            "UNSUPPORTED: `a.svg` is an SVG drawing, which is not decoded",
        );
        check(
            b"ID3\x03rest",
            None,
            "UNSUPPORTED: the image is audio (`audio/mpeg`), which is not decoded",
        );
        check(
            b"%PDF-1.7",
            None,
            "UNSUPPORTED: the image is no image but `application/pdf`, which is not decoded",
        );
        check(
            b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska",
            None,
            "UNSUPPORTED: the image is video (Matroska or WebM), which is not decoded",
        );
    }

    #[test]
    fn words_that_begin_like_an_image_are_not_one() {
        let unknown = "INVALID_INPUT: the image begins like no known image format";
        check(b"BMW is a maker of cars and engines", None, unknown);
        check(b"P1ease read this", None, unknown);
        check(&[0; 64], None, unknown);
        check(b"x", None, unknown);
        check(b"", Some("a.png"), "INVALID_INPUT: `a.png` is empty (0 bytes)");
    }

    #[test]
    fn every_extension_belongs_to_one_format() {
        for format in Format::ALL {
            for extension in format.extensions() {
                assert_eq!(Format::from_extension(&extension.to_uppercase()), Some(format));
            }
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
    }
}
