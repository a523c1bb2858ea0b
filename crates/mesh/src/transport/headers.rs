//! Which headers travel to a source. In: the rules of the source, the headers of the client's request,
//! who asks, and what the mesh itself says. Out: the headers of the call. Nothing of the client's
//! travels by default but the trace context; credentials travel only by a rule that names them; what
//! belongs to one connection never does (RFC 9110, 7.6.1). Not here: `Host` and the length, which
//! belong to the connection.

use base::{Error, Principal, Result};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// One rule; they are followed in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderRule {
    /// The client's header travels as it is.
    Forward(HeaderName),
    /// All headers of the client's that begin like this travel, but for credentials.
    ForwardPrefix(String),
    /// The client's header travels under another name.
    Rename {
        /// What the client says.
        from: HeaderName,
        /// What the source hears.
        to: HeaderName,
    },
    /// The source always hears this.
    Set(HeaderName, HeaderValue),
    /// The source hears who asks.
    Viewer(HeaderName, ViewerPart),
    /// Takes away what earlier rules gave.
    Remove(HeaderName),
}

/// What of the principal a source hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerPart {
    /// Who asks.
    Subject,
    /// For which team.
    Team,
}

/// `traceparent` and `tracestate` of the W3C's Trace Context, which travel by default.
pub(crate) static TRACE: [HeaderName; 2] =
    [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];

/// What no rule may carry: it belongs to the connection, or to the body that the mesh makes.
static NEVER: [HeaderName; 15] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::EXPECT,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::ACCEPT_ENCODING,
];

/// What travels only by its full name.
static CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// The rules of a source, checked.
#[derive(Clone, Debug)]
pub(crate) struct HeaderRules(Vec<HeaderRule>);

impl HeaderRules {
    /// Checks the rules and puts the trace context before them.
    pub(crate) fn new(rules: &[HeaderRule]) -> Result<Self> {
        for rule in rules {
            let names = match rule {
                HeaderRule::Forward(name)
                | HeaderRule::Set(name, _)
                | HeaderRule::Viewer(name, _) => vec![name],
                HeaderRule::Rename { from, to } => vec![from, to],
                HeaderRule::ForwardPrefix(prefix) if prefix.is_empty() => {
                    return Err(Error::invalid("a header rule forwards everything")
                        .hint("name the headers, or what they begin with"));
                }
                HeaderRule::ForwardPrefix(_) | HeaderRule::Remove(_) => Vec::new(),
            };
            if let Some(name) = names.into_iter().find(|name| NEVER.contains(name)) {
                return Err(Error::invalid(format!(
                    "a header rule names `{name}`, which belongs to the connection or to the body"
                )));
            }
        }
        let mut all: Vec<HeaderRule> = TRACE.clone().map(HeaderRule::Forward).into();
        all.extend(rules.iter().map(|rule| match rule {
            HeaderRule::ForwardPrefix(prefix) => {
                HeaderRule::ForwardPrefix(prefix.to_ascii_lowercase())
            }
            other => other.clone(),
        }));
        Ok(HeaderRules(all))
    }

    /// The headers of a call. What the mesh says stands over what a rule gives.
    pub(crate) fn apply(
        &self,
        client: &HeaderMap,
        principal: &Principal,
        own: &HeaderMap,
    ) -> Result<HeaderMap, String> {
        let mut sent = HeaderMap::with_capacity(own.len() + 6);
        let only_here = connection_names(client);
        let travels = |name: &HeaderName| !only_here.contains(name);
        for rule in &self.0 {
            match rule {
                HeaderRule::Forward(name) if travels(name) => copy(client, name, name, &mut sent),
                HeaderRule::Rename { from, to } if travels(from) => {
                    copy(client, from, to, &mut sent);
                }
                HeaderRule::Forward(_) | HeaderRule::Rename { .. } => {}
                HeaderRule::ForwardPrefix(prefix) => {
                    let names = client.keys().filter(|name| {
                        name.as_str().starts_with(prefix.as_str())
                            && travels(name)
                            && !NEVER.contains(name)
                            && !CREDENTIALS.contains(name)
                    });
                    names.for_each(|name| copy(client, name, name, &mut sent));
                }
                HeaderRule::Set(name, value) => {
                    sent.insert(name.clone(), value.clone());
                }
                HeaderRule::Viewer(name, part) => {
                    sent.insert(name.clone(), viewer(principal, *part)?);
                }
                HeaderRule::Remove(name) => {
                    sent.remove(name);
                }
            }
        }
        for name in own.keys() {
            copy(own, name, name, &mut sent);
        }
        Ok(sent)
    }
}

/// Copies all values of a header in place of those that are there.
fn copy(given: &HeaderMap, from: &HeaderName, to: &HeaderName, sent: &mut HeaderMap) {
    let mut values = given.get_all(from).iter();
    let Some(first) = values.next() else { return };
    sent.insert(to.clone(), first.clone());
    values.for_each(|value| {
        sent.append(to.clone(), value.clone());
    });
}

/// The headers that the client's `Connection` says are for this connection alone.
fn connection_names(client: &HeaderMap) -> Vec<HeaderName> {
    let values = client.get_all(header::CONNECTION).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn viewer(principal: &Principal, part: ViewerPart) -> Result<HeaderValue, String> {
    let text = match part {
        ViewerPart::Subject => principal.subject.as_ref(),
        ViewerPart::Team => principal.team.as_str(),
    };
    let value = HeaderValue::from_str(text);
    value.map_err(|_| format!("the {part:?} of the viewer cannot stand in a header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn name(text: &'static str) -> HeaderName {
        HeaderName::from_static(text)
    }

    /// What is sent of this client's request under these rules.
    fn check(rules: &[HeaderRule], client: &[(&str, &str)], expected: &[(&str, &str)]) {
        let own = headers(&[("content-type", "application/json")]);
        let rules = HeaderRules::new(rules).unwrap();
        let found = rules.apply(&headers(client), &Principal::local(), &own).unwrap();
        let mut all = headers(expected);
        all.extend(own);
        assert_eq!(found, all);
    }

    const CLIENT: [(&str, &str); 9] = [
        ("traceparent", "00-1"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("content-type", "text/plain"),
        ("host", "client"),
        ("transfer-encoding", "chunked"),
        ("connection", "close, X-B"),
    ];

    #[test]
    fn nothing_travels_but_the_trace_context() {
        check(&[], &CLIENT, &[("traceparent", "00-1")]);
        check(&[HeaderRule::Remove(name("traceparent"))], &CLIENT, &[]);
    }

    #[test]
    fn rules_choose_rename_set_and_remove() {
        let rules = [
            HeaderRule::Forward(header::AUTHORIZATION),
            HeaderRule::Rename { from: name("x-a"), to: name("x-c") },
            HeaderRule::Set(name("x-d"), HeaderValue::from_static("4")),
            HeaderRule::Viewer(name("x-viewer"), ViewerPart::Subject),
        ];
        let expected = [
            ("traceparent", "00-1"),
            ("authorization", "Bearer x"),
            ("x-c", "1"),
            ("x-d", "4"),
            ("x-viewer", "local"),
        ];
        check(&rules, &CLIENT, &expected);
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let rules = [
            HeaderRule::ForwardPrefix("x-".to_owned()),
            HeaderRule::Viewer(name("x-viewer"), ViewerPart::Team),
        ];
        check(&rules, &[("x-viewer", "root")], &[("x-viewer", "local")]);
    }

    #[test]
    fn a_prefix_carries_no_credentials_and_nothing_of_the_connection() {
        let rules =
            ["x-", "a", "c", "h", "t"].map(|prefix| HeaderRule::ForwardPrefix(prefix.to_owned()));
        check(&rules, &CLIENT, &[("traceparent", "00-1"), ("x-a", "1")]);
    }

    #[test]
    fn rules_for_headers_of_the_connection_are_refused() {
        for name in NEVER.clone() {
            assert!(HeaderRules::new(&[HeaderRule::Forward(name.clone())]).is_err(), "{name}");
            let rule = HeaderRule::Rename { from: header::ETAG, to: name };
            assert!(HeaderRules::new(&[rule]).is_err());
        }
        assert!(HeaderRules::new(&[HeaderRule::ForwardPrefix(String::new())]).is_err());
    }
}
