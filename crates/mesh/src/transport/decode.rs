//! Compressed bodies. In: bytes as they travelled, and the name of the coding. Out: what they stand
//! for, up to a limit: a bomb of a few bytes stops there. One coding is understood at a time (RFC 9110,
//! 8.4): gzip, deflate, br, zstd. Not here: asking for them.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderValue, header};

/// Bodies beyond this many bytes are decompressed where they hinder no other call.
const INLINE: usize = 16 << 10;
/// The greatest window of zstd that HTTP allows: 8 MiB (RFC 9659).
const ZSTD_WINDOW: u32 = 23;

/// What is asked for where compression is wanted.
pub(crate) static ACCEPTED: HeaderValue = HeaderValue::from_static("zstd, gzip, br, deflate");
/// What is asked for where it is not.
pub(crate) static IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body is not decompressed.
#[derive(Debug)]
pub(crate) enum Undecoded {
    /// It is beyond the limit.
    TooLarge,
    /// It is not what its coding says, or not whole.
    Broken(String),
}

impl Coding {
    /// What the head says; an error names a coding that is not understood.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let mut found = Coding::Plain;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            for name in text.split(',').map(str::trim) {
                let coding = match name {
                    // `none` is no coding that anybody registered, but common servers of events say it.
                    "" | "identity" | "none" => continue,
                    "gzip" | "x-gzip" => Coding::Gzip,
                    "deflate" => Coding::Deflate,
                    "br" => Coding::Brotli,
                    "zstd" => Coding::Zstd,
                    _ => return Err(format!("the coding `{name}` is not understood")),
                };
                if found != Coding::Plain {
                    return Err("more than one coding is not understood".to_owned());
                }
                found = coding;
            }
        }
        Ok(found)
    }

    /// The bytes that a body stands for.
    pub(crate) async fn decode(self, body: Bytes, limit: usize) -> Result<Bytes, Undecoded> {
        match self {
            Coding::Plain if body.len() > limit => Err(Undecoded::TooLarge),
            Coding::Plain => Ok(body),
            _ if body.len() <= INLINE => self.decode_now(&body, limit),
            _ => {
                let work = move || self.decode_now(&body, limit);
                let ended = base::task::blocking("decompressing an answer", work).await;
                ended.unwrap_or_else(|error| Err(Undecoded::Broken(error.to_string())))
            }
        }
    }

    fn decode_now(self, body: &[u8], limit: usize) -> Result<Bytes, Undecoded> {
        let broken = |error: std::io::Error| Undecoded::Broken(error.to_string());
        match self {
            Coding::Plain => read(body, limit),
            Coding::Gzip => read(MultiGzDecoder::new(body), limit),
            Coding::Deflate if is_zlib(body) => read(ZlibDecoder::new(body), limit),
            Coding::Deflate => read(DeflateDecoder::new(body), limit),
            Coding::Brotli => read(brotli_decompressor::Decompressor::new(body, 4096), limit),
            Coding::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(body).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(broken)?;
                read(decoder, limit)
            }
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, Undecoded> {
    let mut bytes = Vec::new();
    let mut bounded = decoder.take(limit as u64 + 1);
    let read = bounded.read_to_end(&mut bytes);
    // What was read counts even where the rest is broken: a bomb is a bomb.
    if bytes.len() > limit {
        return Err(Undecoded::TooLarge);
    }
    read.map_err(|error| Undecoded::Broken(error.to_string()))?;
    Ok(bytes.into())
}

/// `deflate` means zlib's format, but some servers send it without the wrapping. The first byte tells:
/// 8 in its low half is zlib's, and would be a block with bits set that must be 0 in the other.
fn is_zlib(body: &[u8]) -> bool {
    body.first().is_some_and(|first| first & 0x0f == 8)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"where a river begins, where a river begins, where a river begins";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The text in every coding.
    fn coded() -> Vec<(Coding, Vec<u8>)> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(TEXT).unwrap();
        raw.write_all(TEXT).unwrap();
        vec![
            (Coding::Gzip, gzip(TEXT)),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
            (Coding::Zstd, zstd::encode_all(TEXT, 3).unwrap()),
            (Coding::Brotli, BROTLI.to_vec()),
        ]
    }

    /// A brotli stream of one uncompressed block with [`TEXT`] (RFC 7932, 9.2).
    const BROTLI: &[u8] = &{
        let mut stream = [0_u8; 68];
        // Window bits 16 (`0`), not the last block (`0`), four nibbles of length (`00`), the length
        // less one (`0x3f`), uncompressed (`1`); then the last, empty block (`11`).
        let head: u32 = (0x3f << 4) | (1 << 20);
        (stream[0], stream[1], stream[2]) = (head as u8, (head >> 8) as u8, (head >> 16) as u8);
        let mut at = 0;
        while at < TEXT.len() {
            stream[3 + at] = TEXT[at];
            at += 1;
        }
        stream[67] = 3;
        stream
    };

    #[test]
    fn every_coding_is_read_to_its_end_and_no_further_than_the_limit() {
        for (coding, bytes) in coded() {
            let decoded = coding.decode_now(&bytes, TEXT.len());
            assert_eq!(decoded.unwrap(), TEXT, "{coding:?}");
            let beyond = coding.decode_now(&bytes, TEXT.len() - 1);
            assert!(matches!(beyond, Err(Undecoded::TooLarge)), "{coding:?}");
            for cut in 1..bytes.len() {
                let half = coding.decode_now(&bytes[..cut], 1 << 20);
                assert!(matches!(half, Err(Undecoded::Broken(_))), "{coding:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn gzip_may_have_several_members() {
        let both = [gzip(b"a"), gzip(b"b")].concat();
        assert_eq!(Coding::Gzip.decode_now(&both, 9).unwrap(), "ab".as_bytes());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100 << 10);
        assert!(matches!(Coding::Gzip.decode_now(&bomb, 1 << 20), Err(Undecoded::TooLarge)));
    }

    #[test]
    fn codings_are_read_from_the_head() {
        let check = |values: &[&'static str], expected: Result<Coding, &str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            let found = Coding::of(&headers);
            assert_eq!(found.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e));
        };
        check(&[], Ok(Coding::Plain));
        check(&["identity, GZIP"], Ok(Coding::Gzip));
        check(&["br", "gzip"], Err("more than one coding is not understood"));
        check(&["compress"], Err("the coding `compress` is not understood"));
    }
}
