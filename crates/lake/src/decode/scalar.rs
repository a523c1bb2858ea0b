//! Reads one value without parts from its text: each function is one type's rule.
//!
//! In: the text and kind of a cell. Out: the value, or a [`Misfit`] that says what was expected.

use super::cell::{CellKind, Value};
use super::fault::Misfit;

/// The text of a cell that may hold a scalar: numbers and separated values without their spaces.
pub fn text_of<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    match value.kind {
        CellKind::Bare | CellKind::Quoted | CellKind::String => Some(value.text.trim_ascii()),
        CellKind::Number => Some(value.text),
        _ => None,
    }
}

/// `Int`.
pub fn int(value: &Value<'_>) -> Result<i32, Misfit> {
    const EXPECTED: &str = "an integer of 32 bits";
    let too_large = || Misfit::out_of_range(EXPECTED).hint("declare the field as `Long`");
    if let Some(number) = text_of(value).and_then(plain_integer) {
        return i32::try_from(number).map_err(|_| too_large());
    }
    let number = whole(value, EXPECTED)?;
    i32::try_from(number).map_err(|_| too_large())
}

/// `Long`.
pub fn long(value: &Value<'_>) -> Result<i64, Misfit> {
    const EXPECTED: &str = "an integer of 64 bits";
    if let Some(number) = text_of(value).and_then(plain_integer) {
        return Ok(number);
    }
    let number = whole(value, EXPECTED)?;
    i64::try_from(number)
        .map_err(|_| Misfit::out_of_range(EXPECTED).hint("declare the field as `Decimal`"))
}

/// An integer that is written in another way than by its digits.
fn whole(value: &Value<'_>, expected: &'static str) -> Result<i128, Misfit> {
    let Some(text) = text_of(value) else { return Err(Misfit::of_type(expected)) };
    // `3.0` and `3e2` are integers too; digits after the point that are not zero are not dropped.
    decimal_parts(text, 0).map_err(|_| match fractional(text) {
        true => Misfit::of_type(expected).hint("declare the field as `Float` or `Decimal`"),
        false => Misfit::of_type(expected).hint(number_hint(text)),
    })
}

fn fractional(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite))
}

fn number_hint(text: &[u8]) -> String {
    let separated = text.iter().all(|byte| byte.is_ascii_digit() || b",._' -+".contains(byte));
    if separated && text.iter().any(u8::is_ascii_digit) {
        return "write numbers without separators between thousands".to_owned();
    }
    let word = String::from_utf8_lossy(&text[..text.len().min(16)]);
    format!("if it stands for no value, say `--null '{word}'`")
}

/// The common case, without any fraction: at most 18 digits.
fn plain_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(if negative { -number } else { number })
}

/// `Float`: NaN and infinities are values, spelt `NaN`, `inf`, `-Infinity`.
pub fn float(value: &Value<'_>) -> Result<f64, Misfit> {
    const EXPECTED: &str = "a number";
    let Some(text) = text_of(value) else { return Err(Misfit::of_type(EXPECTED)) };
    if let Some(number) = short_decimal(text) {
        return Ok(number);
    }
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    match parsed {
        Some(number) if number.is_infinite() && text.iter().any(u8::is_ascii_digit) => {
            Err(Misfit::out_of_range("a number that 64 bits can hold"))
        }
        Some(number) => Ok(number),
        None => Err(Misfit::of_type(EXPECTED).hint(float_hint(text))),
    }
}

/// The common case: at most 15 digits with a point among them. The digits and the power of ten are
/// exact then, so that their quotient is rounded only once (Clinger, "How to read floating point
/// numbers accurately", 1990).
fn short_decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, text) = match text {
        [b'-', text @ ..] => (true, text),
        text => (false, text),
    };
    if text.len() > POWERS.len() {
        return None;
    }
    let (mut number, mut digits, mut point) = (0_u64, 0, None);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        match digit {
            0..=9 => {
                number = number * 10 + u64::from(digit);
                digits += 1;
            }
            _ if *byte == b'.' && point.is_none() => point = Some(digits),
            _ => return None,
        }
    }
    let fraction = digits - point.unwrap_or(digits);
    if digits == 0 || digits >= POWERS.len() {
        return None;
    }
    let number = number as f64 / POWERS[fraction];
    Some(if negative { -number } else { number })
}

fn float_hint(text: &[u8]) -> String {
    let comma = text.iter().filter(|byte| **byte == b',').count() == 1;
    if comma && text.iter().all(|byte| byte.is_ascii_digit() || b",-+".contains(byte)) {
        return "write decimals with a point, not a comma".to_owned();
    }
    number_hint(text)
}

/// `Boolean`: true/false, t/f, yes/no, y/n, 1/0 in any case.
pub fn boolean(value: &Value<'_>) -> Result<bool, Misfit> {
    match value.kind {
        CellKind::True => return Ok(true),
        CellKind::False => return Ok(false),
        _ => {}
    }
    let text = text_of(value).unwrap_or_default();
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    if is(&["true", "t", "yes", "y", "1"]) {
        Ok(true)
    } else if is(&["false", "f", "no", "n", "0"]) {
        Ok(false)
    } else {
        Err(Misfit::of_type("`true` or `false` (or t/f, yes/no, y/n, 1/0)"))
    }
}

/// `Decimal`: exact; more digits than the type has are refused unless they are zeros.
pub fn decimal(value: &Value<'_>, precision: u8, scale: u8) -> Result<i128, Misfit> {
    let expected = || format!("a decimal of {precision} digits, {scale} of them after the point");
    let text = text_of(value).ok_or_else(|| Misfit::of_type(expected()))?;
    let unscaled = decimal_parts(text, scale).map_err(|kind| match kind {
        Digits::NotANumber => Misfit::of_type(expected()).hint(float_hint(text)),
        Digits::TooFine => Misfit::out_of_range(expected())
            .hint("round it, or declare the field with a larger scale"),
        Digits::TooLarge => Misfit::out_of_range(expected()),
    })?;
    let limit = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
    if unscaled.abs() >= limit {
        return Err(Misfit::out_of_range(expected()));
    }
    Ok(unscaled)
}

/// Why digits do not make a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// It is no number.
    NotANumber,
    /// It has digits below the scale.
    TooFine,
    /// It is too large for 128 bits.
    TooLarge,
}

/// The number times ten to the `scale`, exactly.
pub fn decimal_parts(text: &[u8], scale: u8) -> Result<i128, Digits> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mantissa_end = rest.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(rest.len());
    let exponent = exponent(rest.get(mantissa_end + 1..), mantissa_end < rest.len())?;
    let mut unscaled = 0_i128;
    let (mut digits, mut fraction, mut point) = (0_usize, 0_i64, false);
    let mut pending_zeros = 0_u32;
    for byte in &rest[..mantissa_end] {
        match byte {
            b'.' if !point => point = true,
            b'0'..=b'9' => {
                digits += 1;
                fraction += i64::from(point);
                // Zeros are held back, so that a long tail of them overflows nothing.
                if *byte == b'0' {
                    pending_zeros += 1;
                    continue;
                }
                unscaled = push(unscaled, pending_zeros, *byte - b'0')?;
                pending_zeros = 0;
            }
            _ => return Err(Digits::NotANumber),
        }
    }
    if digits == 0 {
        return Err(Digits::NotANumber);
    }
    let shift = i64::from(scale) + exponent - fraction + i64::from(pending_zeros);
    let shifted = shift_digits(unscaled, shift)?;
    Ok(if negative { -shifted } else { shifted })
}

fn push(number: i128, zeros: u32, digit: u8) -> Result<i128, Digits> {
    if number == 0 {
        return Ok(i128::from(digit));
    }
    10_i128
        .checked_pow(zeros + 1)
        .and_then(|factor| number.checked_mul(factor))
        .and_then(|number| number.checked_add(i128::from(digit)))
        .ok_or(Digits::TooLarge)
}

fn shift_digits(number: i128, shift: i64) -> Result<i128, Digits> {
    if number == 0 {
        return Ok(0);
    }
    // The last digit is not zero here, so any shift to the right would drop one.
    let shift = u32::try_from(shift).map_err(|_| Digits::TooFine)?;
    10_i128.checked_pow(shift).and_then(|factor| number.checked_mul(factor)).ok_or(Digits::TooLarge)
}

fn exponent(text: Option<&[u8]>, present: bool) -> Result<i64, Digits> {
    let Some(text) = text.filter(|_| present) else { return Ok(0) };
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i32>().ok());
    parsed.map(i64::from).filter(|exponent| exponent.abs() < 1000).ok_or(Digits::NotANumber)
}

/// `UUID`.
pub fn uuid(value: &Value<'_>) -> Result<[u8; 16], Misfit> {
    let text = text_of(value).filter(|_| value.kind != CellKind::Number);
    text.and_then(|text| uuid::Uuid::try_parse_ascii(text).ok())
        .map(uuid::Uuid::into_bytes)
        .ok_or_else(|| Misfit::of_type("a UUID like `67e55044-10b1-426f-9247-bb680e5fe0c8`"))
}

/// `Bytes`: base64 with or without padding.
pub fn bytes(value: &Value<'_>) -> Result<Vec<u8>, Misfit> {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let text = text_of(value).filter(|_| value.kind != CellKind::Number);
    text.and_then(|text| STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok())
        .ok_or_else(|| Misfit::of_type("bytes in base64"))
}

/// `String`.
pub fn string<'a>(value: &Value<'a>) -> Result<&'a [u8], Misfit> {
    match value.kind {
        CellKind::Bare | CellKind::Quoted | CellKind::String => Ok(value.text),
        CellKind::Number | CellKind::True | CellKind::False => Err(Misfit::of_type("text")
            .hint("write the value in quotes, or declare the field with the value's own type")),
        _ => Err(Misfit::of_type("text").hint("declare the field as `JSON`")),
    }
}

/// `ID`: text, or an integer taken as text.
pub fn id<'a>(value: &Value<'a>) -> Result<&'a [u8], Misfit> {
    match value.kind {
        CellKind::Number if plain_integer(value.text).is_some() || whole_digits(value.text) => {
            Ok(value.text)
        }
        CellKind::Bare | CellKind::Quoted | CellKind::String => Ok(value.text),
        _ => Err(Misfit::of_type("an id: text or an integer")),
    }
}

fn whole_digits(text: &[u8]) -> bool {
    text.strip_prefix(b"-").unwrap_or(text).iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> Value<'_> {
        Value { kind: CellKind::Bare, text: text.as_bytes(), origin: 0 }
    }

    #[test]
    fn integers_are_exact() {
        for (text, expected) in [
            ("17", Some(17)),
            (" -3 ", Some(-3)),
            ("3.0", Some(3)),
            ("3e2", Some(300)),
            ("2147483648", None),
            ("3.5", None),
            ("1,000", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(int(&bare(text)).ok(), expected, "{text}");
        }
        assert_eq!(long(&bare("9223372036854775807")), Ok(i64::MAX));
        assert_eq!(long(&bare("-9223372036854775808")), Ok(i64::MIN));
        assert!(long(&bare("9223372036854775808")).is_err());
    }

    #[test]
    fn decimals_lose_nothing() {
        for (text, expected) in [
            ("1.25", Ok(125)),
            ("-0.50", Ok(-50)),
            ("1.250000000000000000000000000000000000000000000", Ok(125)),
            ("1.251", Err(Digits::TooFine)),
            ("1e3", Ok(100_000)),
            ("12e-1", Ok(120)),
            ("12e-3", Err(Digits::TooFine)),
            (".5", Ok(50)),
            ("5.", Ok(500)),
            ("1e40", Err(Digits::TooLarge)),
            (".", Err(Digits::NotANumber)),
            ("1.2.3", Err(Digits::NotANumber)),
            ("0e999", Ok(0)),
        ] {
            assert_eq!(decimal_parts(text.as_bytes(), 2), expected, "{text}");
        }
        assert!(decimal(&bare("1000.00"), 5, 2).is_err());
        assert_eq!(decimal(&bare("999.99"), 5, 2), Ok(99_999));
    }

    #[test]
    fn floats_keep_what_is_not_a_number() {
        assert!(float(&bare("NaN")).expect("nan").is_nan());
        assert_eq!(float(&bare("-inf")), Ok(f64::NEG_INFINITY));
        assert_eq!(
            float(&bare("1e400")).expect_err("range").kind,
            super::super::fault::FaultKind::Range
        );
        assert!(float(&bare("1,5")).expect_err("comma").hint.expect("hint").contains("point"));
    }

    proptest::proptest! {
        #[test]
        fn short_decimals_are_read_as_the_standard_library_does(text in "-?[0-9]{0,16}\\.?[0-9]{0,6}") {
            if let Some(number) = short_decimal(text.as_bytes()) {
                let expected = text.parse::<f64>().map(f64::to_bits);
                proptest::prop_assert_eq!(Ok(number.to_bits()), expected, "{}", text);
            }
        }

        #[test]
        fn decimals_read_back_what_they_print(number in -10_i128.pow(30)..10_i128.pow(30)) {
            let sign = if number < 0 { "-" } else { "" };
            let digits = number.unsigned_abs();
            let text = format!("{sign}{}.{:03}", digits / 1000, digits % 1000);
            proptest::prop_assert_eq!(decimal_parts(text.as_bytes(), 3), Ok(number));
        }
    }
}
