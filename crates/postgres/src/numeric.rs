//! The binary form of `NUMERIC`: digits to the base 10,000 with the weight of the first, a sign and a scale.
//! In: digits and a scale, or bytes. Out: the other. A value that the scale or the digits of our type do
//! not hold is none.

const NEGATIVE: u16 = 0x4000;

/// The bytes of `unscaled / 10^scale`.
pub(crate) fn to_bytes(unscaled: i128, scale: u8) -> Vec<u8> {
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let mut groups = groups(whole, fraction);
    let mut weight = whole.len().div_ceil(4) as i16 - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= leading as i16;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign = if unscaled < 0 { NEGATIVE } else { 0 };
    let mut bytes = Vec::with_capacity(8 + 2 * groups.len());
    bytes.extend((groups.len() as u16).to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend((scale as u16).to_be_bytes());
    groups.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
    bytes
}

/// Groups of four digits; the point lies between two groups.
fn groups(whole: &str, fraction: &str) -> Vec<u16> {
    let whole = format!("{whole:0>width$}", width = whole.len().div_ceil(4) * 4);
    let fraction = format!("{fraction:0<width$}", width = fraction.len().div_ceil(4) * 4);
    let digits = whole.bytes().chain(fraction.bytes()).map(|digit| u16::from(digit - b'0'));
    let digits: Vec<u16> = digits.collect();
    digits.chunks(4).map(|four| four.iter().fold(0, |sum, digit| sum * 10 + digit)).collect()
}

/// The digits at this scale; `None` when they are more than `precision`, more than the scale holds, or no
/// number.
pub(crate) fn from_bytes(bytes: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (count, weight, sign) = (word(0)?, word(2)?.cast_signed(), word(4)?);
    if sign & !NEGATIVE != 0 {
        return None;
    }
    let mut unscaled: i128 = 0;
    for place in 0..i32::from(count) {
        let digit = i128::from(word(8 + 2 * place.cast_unsigned() as usize)?);
        let exponent = 4 * (i32::from(weight) - place) + i32::from(scale);
        unscaled = unscaled.checked_add(at_exponent(digit, exponent)?)?;
    }
    let holds = unscaled.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?;
    holds.then_some(if sign == NEGATIVE { -unscaled } else { unscaled })
}

/// `digit * 10^exponent`, when that is a whole number of ours.
fn at_exponent(digit: i128, exponent: i32) -> Option<i128> {
    if digit == 0 {
        return Some(0);
    }
    match u32::try_from(exponent) {
        Ok(exponent) => digit.checked_mul(10_i128.checked_pow(exponent)?),
        // A group of four digits has no whole part left below that.
        Err(_) if exponent < -3 => None,
        Err(_) => {
            let divisor = 10_i128.pow(exponent.unsigned_abs());
            (digit % divisor == 0).then_some(digit / divisor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_after_both_ways() {
        let numbers = [0, 1, -1, 9, 10, 9_999, 10_000, 10_001, 123_456_789, -100_000_000];
        let largest = 10_i128.pow(38) - 1;
        for unscaled in numbers.into_iter().chain([largest, -largest]) {
            for scale in [0, 1, 2, 3, 4, 5, 7, 8, 37, 38] {
                let bytes = to_bytes(unscaled, scale);
                assert_eq!(from_bytes(&bytes, 38, scale), Some(unscaled), "{unscaled} {scale}");
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_manual() {
        // 12345.678 is 1 2345 . 6780.
        let expected = [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 9, 41, 26, 124];
        assert_eq!(to_bytes(12_345_678, 3), expected);
        assert_eq!(to_bytes(0, 2), [0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn what_a_type_does_not_hold_is_no_number() {
        let bytes = to_bytes(12_345_678, 3);
        assert_eq!(from_bytes(&bytes, 8, 3), Some(12_345_678));
        assert_eq!(from_bytes(&bytes, 7, 3), None);
        assert_eq!(from_bytes(&bytes, 38, 2), None);
        assert_eq!(from_bytes(&bytes, 38, 4), Some(123_456_780));
        let not_a_number = [0, 0, 0, 0, 0xC0, 0, 0, 0];
        assert_eq!(from_bytes(&not_a_number, 38, 2), None);
        assert_eq!(from_bytes(&[0, 1], 38, 2), None);
    }
}
