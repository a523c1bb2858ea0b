//! Pictures that follow from a number: small ones, each unlike the others.
//!
//! In: a number. Out: a picture's bytes, its file's name, and what an answer must say of it. Not here:
//! which pictures there are.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

/// Bytes before the pixels.
const HEAD: u32 = 54;

/// Pixels across and down.
fn sides(number: i64) -> (u32, u32) {
    // A row of pixels of three bytes ends at a multiple of four.
    let side = |number: i64| 4 * (2 + number.rem_euclid(5) as u32);
    (side(number), side(number / 5))
}

/// The picture, as a bitmap.
pub(super) fn bytes(number: i64) -> Vec<u8> {
    let (width, height) = sides(number);
    let pixels = width * height * 3;
    let mut bytes = Vec::with_capacity((HEAD + pixels) as usize);
    bytes.extend_from_slice(b"BM");
    for field in [HEAD + pixels, 0, HEAD, 40, width, height] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&[1, 0, 24, 0]);
    for field in [0, pixels, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    let colours = number.to_le_bytes();
    for pixel in 0..width * height {
        let from = if pixel % width < width / 2 { 0 } else { 3 };
        bytes.extend_from_slice(&colours[from..from + 3]);
    }
    bytes
}

/// What an answer says of it; where it is to be had is another question.
pub(super) fn described(number: i64) -> Value {
    let (width, height) = sides(number);
    let bytes = (HEAD + width * height * 3).to_string();
    json!({ "format": "bmp", "width": width, "height": height, "bytes": bytes })
}

/// How it is written through the API.
pub(super) fn given(number: i64) -> Value {
    json!({ "bytes": base64(&bytes(number)) })
}

/// The name of its file.
pub(super) fn file_name(number: i64) -> String {
    format!("pictures/{number}.bmp")
}

/// Writes files.
pub(super) fn write_all(folder: &Path, count: u64) -> Result<()> {
    fs::create_dir(folder.join("pictures"))?;
    for number in 0..i64::try_from(count)? {
        fs::write(folder.join(file_name(number)), bytes(number))?;
    }
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let number = number << (8 * (3 - three.len()));
        for digit in 0..4 {
            let at = (number >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= three.len() { DIGITS[at] as char } else { '=' });
        }
    }
    text
}
