//! The messages of `graphql-transport-ws`. In: text of a client. Out: what it says, or what is wrong with
//! it; and the texts of ours. Bodies of answers are put in as they are.

use serde_json::{Value, json};

use crate::operations;
use crate::wire::GraphqlRequest;

/// What a client says.
pub(super) enum Said {
    Init(Option<Value>),
    Ping(Option<Value>),
    Pong,
    Subscribe { id: String, request: Box<GraphqlRequest> },
    Complete { id: String },
}

/// The answer to `connection_init`.
pub(super) const ACK: &str = "{\"type\":\"connection_ack\"}";

/// Reads a message.
pub(super) fn read(text: &str) -> Result<Said, String> {
    let message = mesh::exact_json(text.as_bytes())
        .map_err(|error| format!("A message is no JSON: {error}"))?;
    let payload = message.get("payload").filter(|payload| !payload.is_null());
    let object = match payload {
        Some(payload) if !payload.is_object() => Err("`payload` is no object".to_owned()),
        payload => Ok(payload.cloned()),
    };
    let id = || match message.get("id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok(id.to_owned()),
        _ => Err("`id` is no text".to_owned()),
    };
    match message.get("type").and_then(Value::as_str) {
        Some("connection_init") => Ok(Said::Init(object?)),
        Some("ping") => Ok(Said::Ping(object?)),
        Some("pong") => Ok(Said::Pong),
        Some("complete") => Ok(Said::Complete { id: id()? }),
        Some("subscribe") => {
            let request = payload.cloned().unwrap_or(Value::Null);
            let request = operations::parse(request).map_err(|error| error.message)?;
            Ok(Said::Subscribe { id: id()?, request: Box::new(request) })
        }
        Some(other) => Err(format!("There is no message `{other}`")),
        None => Err("A message has no `type`".to_owned()),
    }
}

/// The value of the header that a payload of `connection_init` stands for: `authorization` as it is, or
/// `token` alone.
pub(super) fn authorization(payload: &Value) -> Option<String> {
    let fields = payload.as_object()?;
    let named = |wanted: &str| {
        let mut found = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.find_map(|(_, value)| value.as_str())
    };
    let token = || named("token").map(|token| format!("Bearer {token}"));
    named("authorization").map(str::to_owned).or_else(token)
}

pub(super) fn pong(payload: Option<&Value>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => json!({ "type": "pong" }).to_string(),
    }
}

/// An answer.
pub(super) fn next(id: &str, body: &[u8]) -> String {
    let (id, body) = (Value::from(id), String::from_utf8_lossy(body));
    format!("{{\"id\":{id},\"type\":\"next\",\"payload\":{body}}}")
}

/// The end of an operation.
pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}

/// The end of an operation that did not begin, or broke off: the errors of a refusal.
pub(super) fn error(id: &str, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = match body.get("errors") {
        Some(errors) => errors.clone(),
        None => json!([{ "message": "the operation ended" }]),
    };
    json!({ "id": id, "type": "error", "payload": errors }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_refused() {
        let refused = [
            "",
            "[]",
            "{}",
            "{\"type\":1}",
            "{\"type\":\"start\"}",
            "{\"type\":\"subscribe\",\"payload\":{\"query\":\"{a}\"}}",
            "{\"type\":\"subscribe\",\"id\":\"\",\"payload\":{\"query\":\"{a}\"}}",
            "{\"type\":\"subscribe\",\"id\":\"1\"}",
            "{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":{\"query\":1}}",
            "{\"type\":\"complete\"}",
            "{\"type\":\"ping\",\"payload\":1}",
            "{\"type\":\"connection_init\",\"payload\":\"token\"}",
        ];
        for text in refused {
            assert!(read(text).is_err(), "{text}");
        }
        let taken = [
            "{\"type\":\"connection_init\"}",
            "{\"type\":\"connection_init\",\"payload\":null}",
            "{\"type\":\"pong\",\"payload\":{}}",
            "{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":{\"query\":\"{a}\",\"other\":1}}",
        ];
        for text in taken {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_token_is_found_however_it_is_called() {
        let found = |payload: Value| authorization(&payload);
        assert_eq!(found(json!({"Authorization": "Bearer a"})).as_deref(), Some("Bearer a"));
        assert_eq!(found(json!({"token": "a"})).as_deref(), Some("Bearer a"));
        assert_eq!(found(json!({"other": "a"})), None);
    }

    #[test]
    fn ids_are_quoted() {
        let text = next("a\"b", b"{\"data\":{}}");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, json!({"id": "a\"b", "type": "next", "payload": {"data": {}}}));
    }
}
