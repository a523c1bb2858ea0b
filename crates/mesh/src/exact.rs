//! JSON with its floats as they are written. In: a text. Out: its value, where each number with a point or an
//! exponent is the float that is nearest to its digits: the library that reads JSON is a bit off for one in
//! thirteen, so that a float which went out in an answer would not be found by it again.

use serde_json::value::RawValue;
use serde_json::{Map, Number, Value as Json};

/// Reads a text.
///
/// # Errors
/// When it is no JSON.
pub fn json(text: &[u8]) -> serde_json::Result<Json> {
    let value: Json = serde_json::from_slice(text)?;
    if !has_float(&value) {
        return Ok(value);
    }
    let raw: &RawValue = serde_json::from_slice(text)?;
    exact(raw.get())
}

/// The float that digits say; `None` when they say none, or one that is infinite.
pub(crate) fn number(digits: &str) -> Option<Number> {
    digits.parse().ok().and_then(Number::from_f64)
}

fn has_float(value: &Json) -> bool {
    match value {
        Json::Number(number) => number.is_f64(),
        Json::Array(items) => items.iter().any(has_float),
        Json::Object(members) => members.values().any(has_float),
        _ => false,
    }
}

fn exact(text: &str) -> serde_json::Result<Json> {
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: indexmap::IndexMap<String, &RawValue> = serde_json::from_str(text)?;
            let members = members.into_iter().map(|(name, value)| Ok((name, exact(value.get())?)));
            members.collect::<serde_json::Result<Map<_, _>>>().map(Json::Object)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            items.into_iter().map(|item| exact(item.get())).collect()
        }
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => match number(text) {
            Some(number) => Ok(Json::Number(number)),
            None => serde_json::from_str(text),
        },
        _ => serde_json::from_str(text),
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
