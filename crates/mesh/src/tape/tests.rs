//! Tapes against serde_json: what is accepted, and what is read.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::{At, Bounds, Form, Tape};

/// As deep as serde_json reads.
const BOUNDS: Bounds = Bounds { bytes: 1 << 20, depth: 127 };

fn parse(text: &[u8]) -> Result<Tape, String> {
    Tape::parse(Bytes::copy_from_slice(text), &BOUNDS).map_err(|error| error.to_string())
}

/// A value read back from a tape, by its look-ups and not by its raw text.
fn json(tape: &Tape, at: At) -> Json {
    match tape.form(at) {
        Form::Object => {
            let mut object = Map::new();
            let mut next = At(at.0 + 1);
            while tape.form(next) != Form::Close {
                let value = At(next.0 + 1);
                object.insert(tape.text(next).expect("a name"), json(tape, value));
                next = tape.after(value);
            }
            Json::Object(object)
        }
        Form::List => Json::Array(tape.items(at).map(|item| json(tape, item)).collect()),
        Form::Close => panic!("an end is no value"),
        _ => serde_json::from_slice(tape.raw(at)).expect("a scalar"),
    }
}

/// Whether tape and serde_json agree on a text. Numbers that no float holds are ours to accept: their
/// digits are passed on.
fn compare(text: &[u8]) -> Result<bool, String> {
    let wanted = serde_json::from_slice::<Json>(text).map_err(|error| error.to_string());
    match (parse(text), wanted) {
        (Ok(tape), Ok(wanted)) => {
            let found = json(&tape, tape.root());
            let raw: Json = serde_json::from_slice(tape.raw(tape.root())).expect("JSON");
            match found == wanted && raw == wanted {
                true => Ok(true),
                false => Err(format!("{found} is not {wanted}")),
            }
        }
        (Err(_), Err(_)) => Ok(false),
        (Ok(_), Err(error)) if error.starts_with("number out of range") => Ok(true),
        (found, wanted) => Err(format!("{:?} but {wanted:?}", found.map(|_| ()))),
    }
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC{0,12}|[\\x00-\\x7f]{0,20}".prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec(("[a-d\\\\\"é]{0,9}", inner), 0..6)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn texts_are_accepted_and_refused_as_the_standard_says() {
    for (text, is_json) in [
        ("", false),
        (" ", false),
        ("null", true),
        (" \t\r\n[1 , 2]\n", true),
        ("nul", false),
        ("nullx", false),
        ("truE", false),
        ("{}", true),
        ("[]", true),
        ("[1,]", false),
        ("[,1]", false),
        ("{\"a\":1,}", false),
        ("{\"a\" 1}", false),
        ("{a:1}", false),
        ("{\"a\":}", false),
        ("{1:2}", false),
        ("[1}", false),
        ("{\"a\":1]", false),
        ("[1 2]", false),
        ("1 2", false),
        ("[", false),
        ("{\"a\":[", false),
        ("-", false),
        ("-0", true),
        ("01", false),
        ("1.", false),
        (".5", false),
        ("1e", false),
        ("1e+", false),
        ("1E+05", true),
        ("-1.5e-3", true),
        ("+1", false),
        ("\"a", false),
        ("\"\\", false),
        ("\"\\x\"", false),
        ("\"\\u12\"", false),
        ("\"\\u12g4\"", false),
        ("\"\\u00e9\\n\\/\"", true),
        ("\"\\ud83d\\ude00\"", true),
        ("\"\\ud83d\"", false),
        ("\"\\ude00\"", false),
        ("\"\\ud83d\\u0041\"", false),
        ("\"\\ud83d\\ud83d\"", false),
        ("\"a\nb\"", false),
        ("\"\u{7f}é\u{1f600}\"", true),
        ("\u{feff}1", false),
        ("'a'", false),
        ("NaN", false),
        ("1 // one", false),
    ] {
        assert_eq!(compare(text.as_bytes()), Ok(is_json), "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for bytes in
        [&b"\"\xff\""[..], b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"[\"\xe2\x82\"]", b"\x80"]
    {
        let error = parse(bytes).expect_err("no text");
        assert!(error.starts_with("the text is not UTF-8 at byte "), "{error}");
    }
}

#[test]
fn texts_beyond_the_bounds_are_refused() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(compare(deep(127).as_bytes()), Ok(true));
    assert_eq!(compare(deep(128).as_bytes()), Ok(false));
    let error = parse(deep(100_000).as_bytes()).expect_err("too deep");
    assert_eq!(error, "values nest too deeply at byte 127");
    let bounds = Bounds { bytes: 3, depth: 1 };
    let error = Tape::parse(Bytes::from_static(b"1234"), &bounds).expect_err("too long");
    assert_eq!(error.what, "the text is too long");
}

#[test]
fn fields_are_found_in_any_order() {
    let tape = parse(br#"{"a":1,"b":{"a":2,"c":[3]},"\u0063":4,"":5}"#).expect("JSON");
    let root = tape.root();
    let mut cursor = tape.cursor(root);
    for (name, expected) in [
        ("a", Some("1")),
        ("b", Some(r#"{"a":2,"c":[3]}"#)),
        ("c", Some("4")),
        ("", Some("5")),
        ("b", Some(r#"{"a":2,"c":[3]}"#)),
        ("a", Some("1")),
        ("none", None),
        ("c", Some("4")),
    ] {
        let found = tape.field(root, &mut cursor, name).map(|at| tape.raw(at));
        assert_eq!(found, expected.map(str::as_bytes), "{name}");
    }
    let list = tape.get(root, "b").and_then(|b| tape.get(b, "c")).expect("a list");
    assert_eq!(tape.items(list).count(), 1);
    assert_eq!(tape.get(list, "a"), None);
    assert_eq!(tape.items(root).count(), 0);
}

#[test]
fn tags_stay_on_objects_and_change_nothing_else() {
    let text = br#"[{},{"a":[]}]"#;
    let mut tape = parse(text).expect("JSON");
    let items: Vec<At> = tape.items(tape.root()).collect();
    assert_eq!(tape.tag(items[1]), None);
    tape.set_tag(items[1], 7);
    tape.set_tag(items[0], 0);
    assert_eq!((tape.tag(items[0]), tape.tag(items[1])), (Some(0), Some(7)));
    assert_eq!(tape.raw(tape.root()), text);
    assert_eq!(tape.tag(tape.root()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_are_read_as_serde_json_reads_them(value in value(), pretty in any::<bool>()) {
        let text = match pretty {
            true => serde_json::to_vec_pretty(&value),
            false => serde_json::to_vec(&value),
        };
        prop_assert_eq!(compare(&text.expect("text")), Ok(true));
    }

    #[test]
    fn damaged_texts_are_refused_where_serde_json_refuses_them(
        value in value(),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..3, prop::collection::vec(byte(), 0..3)),
            1..4,
        ),
    ) {
        let mut text = serde_json::to_vec(&value).expect("text");
        for (place, length, inserted) in damage {
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, inserted);
        }
        let compared = compare(&text);
        prop_assert!(compared.is_ok(), "{:?} of {:?}", compared, String::from_utf8_lossy(&text));
    }
}

/// Bytes that mean something in JSON, and a few that mean nothing.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(br#"{}[]":,\-+.eE0189truefalsn /bd"#.to_vec()), any::<u8>(),]
}
