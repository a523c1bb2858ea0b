//! JSON with its floats as they are written. In: a text. Out: its value, where each number with a point or an
//! exponent is the float that is nearest to its digits: the library that reads JSON is a bit off for one in
//! thirteen, so that a float which went out in an answer would not be found by it again.

use bytes::Bytes;
use serde_json::{Number, Value as Json};

use crate::tape::{Bounds, Tape};

/// The library that reads first allows no more, and whoever gives a text bounds its length.
const BOUNDS: Bounds = Bounds { bytes: usize::MAX, depth: 128 };

/// Reads a text.
///
/// # Errors
/// When it is no JSON.
pub fn json(text: &[u8]) -> serde_json::Result<Json> {
    let value: Json = serde_json::from_slice(text)?;
    if !has_float(&value) {
        return Ok(value);
    }
    let tape = Tape::parse(Bytes::copy_from_slice(text), &BOUNDS);
    Ok(tape.map_or(value, |tape| tape.json(tape.root())))
}

/// The number that digits say: a float, where they have a point or an exponent; `None` where it is infinite.
pub(crate) fn number(digits: &str) -> Option<Number> {
    match digits.contains(['.', 'e', 'E']) {
        true => digits.parse().ok().and_then(Number::from_f64),
        false => digits.parse().ok(),
    }
}

fn has_float(value: &Json) -> bool {
    match value {
        Json::Number(number) => number.is_f64(),
        Json::Array(items) => items.iter().any(has_float),
        Json::Object(members) => members.values().any(has_float),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_as_they_are() {
        let text = r#"{"a": [1, -2.5e0, {"b\n": null}], "c": "1.5", "a2": 18446744073709551615, "d": 1e400}"#;
        assert!(json(text.as_bytes()).is_err(), "no float is as great");
        let text = text.replace("1e400", "1e40");
        let found = json(text.as_bytes()).expect("JSON");
        let expected =
            r#"{"a":[1,-2.5,{"b\n":null}],"c":"1.5","a2":18446744073709551615,"d":1e+40}"#;
        assert_eq!(found.to_string(), expected);
        assert!(json(b"{\"a\": 1.5").is_err());
    }

    #[test]
    fn of_members_of_one_name_the_last_one_counts() {
        let text = br#"{"a": 1.5, "b": 0.5, "a": [{"c": 2.5e-1}]}"#;
        let expected: Json = serde_json::from_slice(text).expect("JSON");
        assert_eq!(json(text).expect("JSON").to_string(), expected.to_string());
    }

    #[test]
    fn digits_that_the_library_misses_are_met() {
        let digits = "92.21885624698875";
        assert_eq!(json(digits.as_bytes()).expect("JSON").to_string(), digits);
    }

    proptest! {
        #[test]
        fn a_float_is_read_back_as_it_was(number in proptest::num::f64::NORMAL) {
            let text = serde_json::to_string(&[number]).expect("JSON");
            let read = json(text.as_bytes()).expect("JSON");
            prop_assert_eq!(read[0].as_f64(), Some(number));
        }
    }
}
