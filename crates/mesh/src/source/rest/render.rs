//! A `@fetch` with values to what is sent: target, headers and body.
//!
//! Values are percent-encoded, but for what RFC 3986 calls unreserved, so that none can change the
//! path or the query that it stands in; a step up that a value would make is refused by `transport`,
//! as is another host. A parameter without a value is left out, and so is a header and a member of a
//! body. A path without a value is no path.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use schema::fetch::{Body, Call, Fetch, Hole, Parameter, Piece, Spread, Template};
use serde_json::{Map, Value as Json};

/// What a hole is filled with; nothing where nothing is given.
pub(super) type Fill<'f> = &'f dyn Fn(&Hole) -> Option<Json>;

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
}

/// Why nothing can be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unsent {
    /// A value of the path is missing.
    Missing(Hole),
    /// A value cannot stand where it should.
    Misfit(String),
}

/// Fills in a call.
pub(super) fn render(fetch: &Fetch, fill: Fill<'_>) -> Result<Sent, Unsent> {
    let target = match &fetch.call {
        Call::Http { target, .. } => {
            let mut text = path(&target.path, fill)?;
            let mut sign = '?';
            for one in &target.query {
                for value in parameter(one, fill)? {
                    let _ = write!(text, "{sign}{}={value}", one.name);
                    sign = '&';
                }
            }
            text
        }
        Call::Method(name) => format!("/{name}"),
    };
    let mut headers = HeaderMap::new();
    for (name, template) in &fetch.headers {
        let Some(value) = plain(template, fill)? else { continue };
        let misfit = || Unsent::Misfit(format!("a value cannot stand in the header `{name}`"));
        let name = HeaderName::try_from(name.as_ref()).map_err(|_| misfit())?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| misfit())?);
    }
    let body = match &fetch.body {
        Some(template) => Some(body(template, fill)?.unwrap_or(Json::Null).to_string()),
        None => None,
    };
    Ok(Sent { target, headers, body })
}

fn path(template: &Template, fill: Fill<'_>) -> Result<String, Unsent> {
    let mut out = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Hole(hole) => {
                let words = words(hole, fill)?.filter(|words| !words.iter().any(String::is_empty));
                let words = words.ok_or_else(|| Unsent::Missing(hole.clone()))?;
                out.push_str(&joined(&words));
            }
        }
    }
    Ok(out)
}

/// The values of a parameter, encoded: more than one where it is repeated.
fn parameter(parameter: &Parameter, fill: Fill<'_>) -> Result<Vec<String>, Unsent> {
    if let Some(hole) = parameter.value.whole() {
        let Some(words) = words(hole, fill)? else { return Ok(Vec::new()) };
        return Ok(match hole.spread {
            Spread::Comma => vec![joined(&words)],
            Spread::One | Spread::Repeat => words.iter().map(|word| encoded(word)).collect(),
        });
    }
    let mut out = String::new();
    for piece in &parameter.value.pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Hole(hole) => match words(hole, fill)? {
                Some(words) => out.push_str(&joined(&words)),
                None => return Ok(Vec::new()),
            },
        }
    }
    Ok(vec![out])
}

/// A text with holes as it is; nothing when a value is missing.
fn plain(template: &Template, fill: Fill<'_>) -> Result<Option<String>, Unsent> {
    let mut out = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Hole(hole) => match words(hole, fill)? {
                Some(words) => out.push_str(&words.join(",")),
                None => return Ok(None),
            },
        }
    }
    Ok(Some(out))
}

/// The texts of a value: one, or those of a list; nothing where there is none.
fn words(hole: &Hole, fill: Fill<'_>) -> Result<Option<Vec<String>>, Unsent> {
    let Some(value) = fill(hole) else { return Ok(None) };
    let word = |value: Json| match value {
        Json::String(text) => Ok(text),
        Json::Object(_) | Json::Array(_) | Json::Null => {
            Err(Unsent::Misfit(format!("the value of `{hole}` is no single word")))
        }
        other => Ok(other.to_string()),
    };
    match value {
        Json::Null => Ok(None),
        Json::Array(items) if items.is_empty() => Ok(None),
        Json::Array(items) => items.into_iter().map(word).collect::<Result<_, _>>().map(Some),
        other => Ok(Some(vec![word(other)?])),
    }
}

fn joined(words: &[String]) -> String {
    words.iter().map(|word| encoded(word)).collect::<Vec<_>>().join(",")
}

/// Everything but letters, digits, `-`, `.`, `_` and `~` by its bytes.
fn encoded(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A body; nothing where its hole has no value.
fn body(template: &Body, fill: Fill<'_>) -> Result<Option<Json>, Unsent> {
    Ok(match template {
        // What compiling made is JSON.
        Body::Plain(text) => Some(serde_json::from_str(text).unwrap_or(Json::Null)),
        Body::Text(template) => plain(template, fill)?.map(Json::from),
        Body::Whole(hole) => fill(hole),
        Body::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.extend(body(item, fill)?);
            }
            Some(list.into())
        }
        Body::Object(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                if let Some(value) = body(member, fill)? {
                    object.insert(name.to_string(), value);
                }
            }
            Some(object.into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::fetch::{Target, Verb};
    use serde_json::json;

    fn fetch(target: &str) -> Fetch {
        let target = Target::parse(target).expect("a target");
        Fetch {
            call: Call::Http { verb: Verb::Get, target },
            headers: Vec::new(),
            body: None,
            result: schema::fetch::Path::default(),
            batch: None,
            pages: None,
            ttl: None,
            on_error: None,
            idempotency_key: None,
        }
    }

    fn filled(fetch: &Fetch, values: &Json) -> Result<Sent, Unsent> {
        render(fetch, &|hole| {
            let mut value = values;
            for part in &hole.path.0 {
                value = value.get(part.as_ref())?;
            }
            (!value.is_null()).then(|| value.clone())
        })
    }

    #[test]
    fn values_stay_where_they_are_put() {
        let check = |target: &str, values: Json, expected: &str| {
            assert_eq!(filled(&fetch(target), &values).unwrap().target, expected, "{target}");
        };
        check("/f/{id}", json!({"id": "a/../b?c=d&e#f%2e"}), "/f/a%2F..%2Fb%3Fc%3Dd%26e%23f%252e");
        check(
            "/f/{id}",
            json!({"id": "//evil.example@x\r\nHost: y"}),
            "/f/%2F%2Fevil.example%40x%0D%0AHost%3A%20y",
        );
        check("/f/{id,}", json!({"id": ["a,b", 7, true]}), "/f/a%2Cb,7,true");
        check("/f?a={a}&b={b}&c=1", json!({"b": "ü &"}), "/f?b=%C3%BC%20%26&c=1");
        check("/f?a={a}", json!({"a": [1, 2]}), "/f?a=1&a=2");
        check("/f?a={a&}", json!({"a": [1, 2]}), "/f?a=1&a=2");
        check("/f?a={a,}", json!({"a": [1, "x y"]}), "/f?a=1,x%20y");
        check("/f?a={a,}&b=x{c}", json!({"a": []}), "/f");
        check("/f?q=name:{a.b}", json!({"a": {"b": "c d"}}), "/f?q=name:c%20d");
    }

    #[test]
    fn a_path_without_a_value_is_no_path() {
        for values in [json!({}), json!({"id": null}), json!({"id": ""}), json!({"id": []})] {
            let unsent = filled(&fetch("/f/{id}"), &values).unwrap_err();
            assert!(matches!(unsent, Unsent::Missing(_)), "{values}");
        }
        let misfit = filled(&fetch("/f/{id}"), &json!({"id": {"a": 1}})).unwrap_err();
        assert!(matches!(misfit, Unsent::Misfit(_)));
    }

    #[test]
    fn bodies_and_headers_leave_out_what_is_not_given() {
        let hole = |text: &str| Template::parse(text).unwrap().whole().unwrap().clone();
        let mut fetch = fetch("/f");
        fetch.body = Some(Body::Object(vec![
            ("stars".into(), Body::Whole(hole("{stars}"))),
            ("note".into(), Body::Whole(hole("{note}"))),
            ("by".into(), Body::Text(Template::parse("user/{user}").unwrap())),
            ("kind".into(), Body::Plain("\"film\"".into())),
            ("tags".into(), Body::List(vec![Body::Whole(hole("{tag}")), Body::Plain("1".into())])),
        ]));
        fetch.headers = vec![
            ("x-a".into(), Template::parse("v{a}").unwrap()),
            ("x-b".into(), Template::parse("{b}").unwrap()),
        ];
        let sent = filled(&fetch, &json!({"stars": 5, "user": "a \"b\"", "a": 1})).unwrap();
        let body: Json = serde_json::from_str(&sent.body.unwrap()).unwrap();
        assert_eq!(body, json!({"stars": 5, "by": "user/a \"b\"", "kind": "film", "tags": [1]}));
        assert_eq!(sent.headers.len(), 1);
        let broken = filled(&fetch, &json!({"b": "x\r\ny: z"})).unwrap_err();
        assert!(matches!(broken, Unsent::Misfit(_)), "{broken:?}");
    }
}
