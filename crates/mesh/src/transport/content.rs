//! Whether an answer is of the type that its reader can read. In: what a call expects, the answer's
//! head. Out: nothing, or what is wrong with it. A page of HTML with status 200 is the usual answer of
//! a proxy whose service is gone, and must not be read as data.

use http::{HeaderMap, HeaderValue, header};

use super::call::Content;

impl Content {
    /// What the source is told that it may answer, unless the call says it itself.
    pub(crate) fn accept(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Content::Json => "application/json",
            Content::Events => "text/event-stream",
            Content::Grpc => "application/grpc",
            Content::Any | Content::Socket => "*/*",
        })
    }

    /// Refuses an answer of another type.
    pub(crate) fn check(self, headers: &HeaderMap) -> Result<(), String> {
        match self {
            Content::Any => return Ok(()),
            Content::Socket => return Err("no WebSocket is spoken at this address".to_owned()),
            Content::Json | Content::Events | Content::Grpc => {}
        }
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let Some(value) = values.next() else {
            return Err("the answer does not say its type".to_owned());
        };
        if values.next().is_some() {
            return Err("the answer says its type twice".to_owned());
        }
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let is_right = match self {
            Content::Json => essence == "application/json" || essence.ends_with("+json"),
            Content::Events => essence == "text/event-stream",
            Content::Grpc => essence == "application/grpc" || essence == "application/grpc+proto",
            Content::Any | Content::Socket => true,
        };
        if !is_right {
            return Err(format!("the answer is of type `{essence}`"));
        }
        let charset = parts.find_map(|part| part.strip_prefix("charset="));
        match charset.map(|charset| charset.trim_matches('"')) {
            None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
            Some(other) => Err(format!("the answer is in the character set `{other}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: Content, given: &[&'static str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        assert_eq!(content.check(&headers).err().as_deref(), expected, "{given:?}");
    }

    #[test]
    fn json_is_known_by_its_type() {
        check(Content::Json, &["application/json"], None);
        check(Content::Json, &["Application/GraphQL-Response+JSON; charset=\"UTF-8\""], None);
        check(Content::Json, &["text/html"], Some("the answer is of type `text/html`"));
        check(
            Content::Json,
            &["application/jsonp"],
            Some("the answer is of type `application/jsonp`"),
        );
        check(Content::Json, &[], Some("the answer does not say its type"));
        check(
            Content::Json,
            &["application/json", "text/html"],
            Some("the answer says its type twice"),
        );
        check(
            Content::Json,
            &["application/json; charset=latin1"],
            Some("the answer is in the character set `latin1`"),
        );
    }

    #[test]
    fn other_readers_expect_other_types() {
        check(Content::Events, &["text/event-stream"], None);
        check(
            Content::Events,
            &["application/json"],
            Some("the answer is of type `application/json`"),
        );
        check(Content::Any, &[], None);
    }
}
