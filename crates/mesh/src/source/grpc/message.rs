//! JSON to a message and messages to JSON, by what a service says of them. In: the JSON of a request, or the
//! bytes of an answer. Out: bytes, or JSON within a limit: a message may hold many defaults that take no
//! byte of it. What is what in JSON is in [`mapping`].

use std::io::{self, Write};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::mapping;

/// Messages beyond this many bytes are read where they hinder no other call.
const INLINE: usize = 32 << 10;

/// How much larger the JSON of an answer may be than the answer may.
const WIDER: usize = 4;

/// The bytes of a request.
///
/// # Errors
/// When it is not as the message is; in words.
pub(crate) fn encode(input: &MessageDescriptor, json: &str) -> Result<Vec<u8>, String> {
    // Read as a value first, so that a fault names no line of a text that nobody wrote.
    let value: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let message =
        DynamicMessage::deserialize(input.clone(), value).map_err(|error| error.to_string())?;
    Ok(message.encode_to_vec())
}

/// The JSON of an answer: of its one message, or a list of all.
///
/// # Errors
/// When a message is none, or all of them are too large; in words.
pub(crate) async fn json(
    output: &MessageDescriptor,
    messages: Vec<Bytes>,
    is_list: bool,
    limit: usize,
) -> Result<Bytes, String> {
    let output = output.clone();
    let size: usize = messages.iter().map(Bytes::len).sum();
    let limit = limit.saturating_mul(WIDER);
    if size <= INLINE {
        return written(&output, &messages, is_list, limit);
    }
    let work = move || written(&output, &messages, is_list, limit);
    let ended = base::task::blocking("reading an answer", work).await;
    ended.unwrap_or_else(|error| Err(error.to_string()))
}

fn written(
    output: &MessageDescriptor,
    messages: &[Bytes],
    is_list: bool,
    limit: usize,
) -> Result<Bytes, String> {
    let mut out = Bounded { bytes: Vec::with_capacity(1024), left: limit };
    if !is_list && messages.len() != 1 {
        return Err(format!("there are {} messages in place of one", messages.len()));
    }
    if is_list {
        out.bytes.push(b'[');
    }
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            out.bytes.push(b',');
        }
        write(output, message, &mut out)?;
    }
    if is_list {
        out.bytes.push(b']');
    }
    Ok(out.bytes.into())
}

fn write(output: &MessageDescriptor, message: &Bytes, out: &mut Bounded) -> Result<(), String> {
    let message = DynamicMessage::decode(output.clone(), message.clone())
        .map_err(|error| format!("it is no `{}`: {error}", output.full_name()))?;
    mapping::write(&message, out).map_err(|error| error.to_string())
}

/// Bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other("its JSON is too large"))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use schema::protobuf::Descriptors;

    use super::*;

    const PROTO: &str = r#"syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { option allow_alias = true; KIND_UNSPECIFIED = 0; LONG = 1; LENGTHY = 1; }
message Inner { string name = 1; repeated Inner below = 2; }
message All {
  int64 big = 1; uint64 bigger = 2; int32 small = 3; double share = 4; bool yes = 5;
  string text = 6; bytes raw = 7; Kind kind = 8; Inner inner = 9; repeated int64 many = 10;
  map<string, Inner> by_name = 11; optional int32 perhaps = 12;
  oneof one { string left = 13; Inner right = 14; }
  google.protobuf.Timestamp at = 15; google.protobuf.Duration takes = 16;
  google.protobuf.Int64Value wrapped = 17; google.protobuf.Struct free = 18;
}
message Wide { repeated All all = 1; }
message Odd {
  google.protobuf.Any any = 1; google.protobuf.Timestamp at = 2; google.protobuf.FieldMask mask = 3;
  double number = 4; google.protobuf.DoubleValue wrapped = 5; map<int32, string> texts = 6;
  Kind kind = 7; google.protobuf.Value free = 8; string last = 9;
}
"#;

    fn message(name: &str) -> MessageDescriptor {
        let texts = HashMap::from([("t.proto".to_owned(), PROTO.into())]);
        let descriptors = Descriptors::of_protos("t.proto", texts).expect("descriptors");
        descriptors.pool().get_message_by_name(name).expect("a message")
    }

    async fn there_and_back(json_text: &str) -> serde_json::Value {
        let all = message("t.All");
        let bytes = encode(&all, json_text).expect("a request");
        let text = json(&all, vec![bytes.into()], false, 1 << 20).await.expect("an answer");
        serde_json::from_slice(&text).expect("JSON")
    }

    #[tokio::test]
    async fn every_kind_of_value_is_as_the_mapping_has_it() {
        let given = serde_json::json!({
            "big": "9007199254740993", "bigger": "18446744073709551615", "small": -7, "share": 1.5,
            "yes": true, "text": "\u{e9}\"", "raw": "AAH/", "kind": "LONG",
            "inner": {"name": "a", "below": [{"name": "b", "below": []}]}, "many": ["1", "-2"],
            "byName": {"x": {"name": "y", "below": []}}, "perhaps": 0, "left": "",
            "at": "2026-11-30T08:00:00.000001Z", "takes": "1.500s", "wrapped": "5",
            "free": {"a": [1.0, null, {"b": "c"}]},
        });
        assert_eq!(there_and_back(&given.to_string()).await, given);
    }

    #[tokio::test]
    async fn what_may_be_absent_is_absent_and_all_else_has_its_default() {
        let found = there_and_back("{}").await;
        let expected = serde_json::json!({
            "big": "0", "bigger": "0", "small": 0, "share": 0.0, "yes": false, "text": "", "raw": "",
            "kind": "KIND_UNSPECIFIED", "many": [], "byName": {},
        });
        assert_eq!(found, expected);
        // Both names of a field are heard, and numbers of 64 bits that are no texts.
        let found = there_and_back(r#"{"by_name": {"x": {}}, "big": 5, "perhaps": null}"#).await;
        assert_eq!((&found["big"], &found["byName"]["x"]["name"]), (&"5".into(), &"".into()));
    }

    #[tokio::test]
    async fn what_is_no_such_message_is_refused() {
        let all = message("t.All");
        let refused = |text: &str| encode(&all, text).expect_err("must be refused");
        assert!(refused(r#"{"nothing": 1}"#).contains("nothing"));
        assert!(refused(r#"{"small": 5000000000}"#).contains("out of range"));
        assert!(refused(r#"{"at": "yesterday"}"#).contains("rfc3339"));
        assert!(refused(r#"{"kind": "SHORT"}"#).contains("SHORT"));
        let wrong = json(&all, vec![Bytes::from_static(b"\x0a\xff")], false, 1 << 20).await;
        assert!(wrong.expect_err("must be refused").contains("no `t.All`"));
        let none = json(&all, Vec::new(), false, 1 << 20).await;
        assert!(none.expect_err("must be refused").contains("0 messages"));
    }

    async fn odd(bytes: Vec<u8>) -> String {
        let text = json(&message("t.Odd"), vec![bytes.into()], false, 1 << 20).await;
        String::from_utf8(text.expect("an answer").to_vec()).expect("text")
    }

    /// A field of a length, with its bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    }

    fn any(name: &str, held: &[u8]) -> Vec<u8> {
        let url = format!("type.googleapis.com/{name}");
        [field(1, url.as_bytes()), field(2, held)].concat()
    }

    #[tokio::test]
    async fn one_odd_value_is_null_and_the_rest_is_there() {
        let rest = r#""number":0.0,"texts":{},"kind":"KIND_UNSPECIFIED","last":"x"}"#;
        let with = async |bytes: Vec<u8>| odd([bytes, field(9, b"x")].concat()).await;
        let unknown = with(field(1, &any("t.Nothing", b""))).await;
        assert_eq!(unknown, format!("{{\"any\":null,{rest}"));
        // Beyond the year 9999.
        let late = [&[0x08][..], &[0xff; 5], &[0x7f]].concat();
        assert_eq!(with(field(2, &late)).await, format!("{{\"at\":null,{rest}"));
        let mask = with(field(3, &field(1, b"fooBar"))).await;
        assert_eq!(mask, format!("{{\"mask\":null,{rest}"));
    }

    #[tokio::test]
    async fn what_any_holds_is_shown_within_as_many_levels_as_messages_have() {
        let inner = encode(&message("t.Inner"), r#"{"name": "a"}"#).expect("a request");
        let held = odd(field(1, &any("t.Inner", &inner))).await;
        let shown = r#"{"any":{"@type":"type.googleapis.com/t.Inner","name":"a","below":[]}"#;
        assert!(held.starts_with(shown), "{held}");
        let duration = odd(field(1, &any("google.protobuf.Duration", &[0x08, 0x02]))).await;
        let shown =
            r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"2s"}"#;
        assert!(duration.starts_with(shown), "{duration}");
        // Each is decoded afresh, so that no decoder counts them.
        let nested = (0..5_000).fold(Vec::new(), |held, _| any("google.protobuf.Any", &held));
        let nested = odd(field(1, &nested)).await;
        assert_eq!(nested.matches("@type").count(), 99, "{}", nested.len());
    }

    #[tokio::test]
    async fn equal_messages_have_equal_texts() {
        let members: Vec<String> = (0..40).map(|key| format!("\"{key}\": \"t\"")).collect();
        let text = format!("{{\"texts\": {{{}}}, \"kind\": \"LENGTHY\"}}", members.join(","));
        let bytes = encode(&message("t.Odd"), &text).expect("a request");
        let first = odd(bytes.clone()).await;
        assert!(first.contains(r#""texts":{"0":"t","1":"t","2":"t","3":"t","4":"t""#), "{first}");
        assert!(first.contains(r#""kind":"LONG""#), "{first}");
        let again = encode(&message("t.Odd"), &text).expect("a request");
        assert_eq!(odd(again).await, first);
    }

    #[tokio::test]
    async fn numbers_that_json_cannot_say_are_named() {
        let nan = f64::NAN.to_le_bytes();
        let plain = [&[4 << 3 | 1][..], &nan].concat();
        let wrapped = field(5, &[&[1 << 3 | 1][..], &(-f64::INFINITY).to_le_bytes()].concat());
        let found = odd([plain, wrapped].concat()).await;
        assert!(found.contains(r#""number":"NaN","wrapped":"-Infinity""#), "{found}");
    }

    #[tokio::test]
    async fn defaults_cannot_make_an_answer_of_any_size() {
        // Two bytes each, of which many more become.
        let bytes = Bytes::from([0x0a, 0x00].repeat(10_000));
        let found = json(&message("t.Wide"), vec![bytes], false, 100_000).await;
        assert!(found.expect_err("must be refused").contains("too large"));
    }

    #[tokio::test]
    async fn messages_of_a_stream_are_a_list() {
        let inner = message("t.Inner");
        let one = encode(&inner, r#"{"name": "a"}"#).expect("a request");
        let found = json(&inner, vec![one.into(), Bytes::new()], true, 1 << 20).await;
        let expected = r#"[{"name":"a","below":[]},{"name":"","below":[]}]"#;
        assert_eq!(found.expect("an answer"), expected);
        assert_eq!(json(&inner, Vec::new(), true, 9).await.expect("an answer"), "[]");
    }
}
