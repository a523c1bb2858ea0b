//! Strings and numbers: where they end, and whether they are JSON.
//!
//! Strings are read eight bytes at a time, as most are short and have no escapes; what is special in a
//! word is found by arithmetic on all of its bytes at once.

use super::Malformed;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks, in the high bit of each byte, the bytes that are zero. A byte above the first that is zero may
/// be marked wrongly; only the first one is used.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Marks quotes, backslashes and control characters, the first of them rightly.
fn specials(word: u64) -> u64 {
    let controls = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
    zeros(word ^ (LOW * u64::from(b'"'))) | zeros(word ^ (LOW * u64::from(b'\\'))) | controls
}

/// The first special byte from a position on.
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = specials(u64::from_le_bytes(*chunk));
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
    Some(at + found)
}

/// Where a string ends, and whether it has escapes. In: where its inside begins. Out: where the closing
/// quote is.
pub(super) fn string(bytes: &[u8], start: usize) -> Result<(usize, bool), Malformed> {
    let mut at = start;
    let mut is_escaped = false;
    loop {
        let found = special(bytes, at).ok_or(Malformed::new(bytes.len(), "a string has no end"))?;
        match bytes.get(found) {
            Some(b'"') => return Ok((found, is_escaped)),
            Some(b'\\') => {
                is_escaped = true;
                at = escape(bytes, found)?;
            }
            _ => return Err(Malformed::new(found, "a control character stands in a string")),
        }
    }
}

/// Where an escape ends.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(bytes, at)? {
            0xdc00..=0xdfff => Err(Malformed::new(at, "half a character is escaped")),
            0xd800..=0xdbff => match unit(bytes, at + 6)? {
                0xdc00..=0xdfff => Ok(at + 12),
                _ => Err(Malformed::new(at, "half a character is escaped")),
            },
            _ => Ok(at + 6),
        },
        _ => Err(Malformed::new(at, "an escape is unknown")),
    }
}

/// The value of `\u` and four digits.
fn unit(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let wrong = Malformed::new(at, "an escape is incomplete");
    let Some([b'\\', b'u', digits @ ..]) = bytes.get(at..at + 6) else { return Err(wrong) };
    digits.iter().try_fold(0, |sum, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(wrong)?;
        Ok(sum * 16 + digit)
    })
}

/// Where a number ends.
pub(super) fn number(bytes: &[u8], start: usize) -> Result<usize, Malformed> {
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        Some(b'1'..=b'9') => digits(bytes, at),
        _ => return Err(Malformed::new(at, "a number has no digits")),
    };
    if bytes.get(at) == Some(&b'.') {
        at = some_digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let is_signed = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = some_digits(bytes, at + 1 + usize::from(is_signed))?;
    }
    Ok(at)
}

fn digits(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn some_digits(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let end = digits(bytes, at);
    if end == at { Err(Malformed::new(at, "a number has no digits")) } else { Ok(end) }
}
