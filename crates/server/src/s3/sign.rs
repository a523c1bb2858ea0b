//! AWS signature version 4, made for a client that has no secret: remote signing.
//!
//! In: the method, address and headers of a request to our own S3 subset, and derived credentials.
//! Out: the headers that make it a signed request. Not here: whether the client may make it.

use base::Timestamp;
use hmac::Mac as _;
use sha2::{Digest as _, Sha256};

use super::credentials::{Credentials, hex, hmac};

/// A request to be signed.
#[derive(Debug)]
pub(crate) struct ToSign<'a> {
    pub(crate) method: &'a str,
    /// Scheme, host, path and query.
    pub(crate) uri: &'a http::Uri,
    pub(crate) region: &'a str,
    /// Names in lower case, with their values.
    pub(crate) headers: Vec<(String, String)>,
}

/// What the hash of a body that is not signed is called.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Headers that proxies and clients change on the way.
const NOT_SIGNED: [&str; 5] =
    ["authorization", "user-agent", "expect", "x-amzn-trace-id", "transfer-encoding"];

/// All headers of the signed request, in the order of their names.
pub(crate) fn sign(
    request: ToSign<'_>,
    credentials: &Credentials,
    now: Timestamp,
) -> Vec<(String, String)> {
    let time = stamp(now);
    let mut headers = request.headers;
    headers.retain(|(name, _)| !NOT_SIGNED.contains(&name.as_str()));
    let mut set = |name: &str, value: String| {
        headers.retain(|(other, _)| other != name);
        headers.push((name.to_owned(), value));
    };
    set("host", request.uri.authority().map_or_else(String::new, ToString::to_string));
    set("x-amz-date", time.clone());
    set("x-amz-security-token", credentials.session_token.clone());
    let hash = "x-amz-content-sha256";
    if !headers.iter().any(|(name, _)| name == hash) {
        headers.push((hash.to_owned(), UNSIGNED.to_owned()));
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let canonical = canonical(request.method, request.uri, &headers, &names);
    let scope = format!("{}/{}/s3/aws4_request", &time[..8], request.region);
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
    let key = signing_key(&credentials.secret_key, &time[..8], request.region);
    let signature = hex(&keyed(&key, text.as_bytes()));
    headers.push((
        "authorization".to_owned(),
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            credentials.access_key
        ),
    ));
    headers.sort();
    headers
}

fn canonical(method: &str, uri: &http::Uri, headers: &[(String, String)], names: &str) -> String {
    let listed: String = headers
        .iter()
        .map(|(name, value)| {
            let words: Vec<&str> = value.split_whitespace().collect();
            format!("{name}:{}\n", words.join(" "))
        })
        .collect();
    let hash = headers.iter().find(|(name, _)| name == "x-amz-content-sha256");
    let hash = hash.map_or(UNSIGNED, |(_, value)| value.as_str());
    let path = decoded(uri.path()).unwrap_or_else(|| uri.path().to_owned());
    format!("{method}\n{}\n{}\n{listed}\n{names}\n{hash}", encoded(&path, true), query(uri))
}

/// The parameters, decoded and encoded again in the one way, in order.
fn query(uri: &http::Uri) -> String {
    let again = |text: &str| encoded(&decoded(text).unwrap_or_else(|| text.to_owned()), false);
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (again(name), again(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Text in percent signs, in the one way that signatures know.
pub(crate) fn encoded(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Text without its percent signs; `None` when they stand for no text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn signing_key(secret: &str, day: &str, region: &str) -> Vec<u8> {
    let day = keyed(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    let region = keyed(&day, region.as_bytes());
    let service = keyed(&region, b"s3");
    keyed(&service, b"aws4_request")
}

fn keyed(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = hmac(key);
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

/// `20261123T141500Z`.
fn stamp(now: Timestamp) -> String {
    let text = now.to_string();
    let digits: String = text.chars().take_while(|c| *c != '.').collect();
    let digits = digits.trim_end_matches('Z').replace(['-', ':'], "");
    format!("{digits}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the public documentation of the signature, with its own key and time.
    #[test]
    fn the_published_example_of_a_signing_key_comes_out() {
        let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1");
        // The documentation derives the key for `iam`; ours is for `s3`, so that only the steps
        // before the service can be compared.
        let day = keyed(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20120215");
        assert_eq!(hex(&day), "969fbb94feb542b71ede6f87fe4d5fa29c789342b0f407474670f0c2489e0a0d");
        let region = keyed(&day, b"us-east-1");
        assert_eq!(
            hex(&region),
            "69daa0209cd9c5ff5c8ced464a696fd4252e981430b10e3d3fd8e2f197d7a70c"
        );
        assert_eq!(key.len(), 32);
    }

    #[test]
    fn text_is_encoded_in_the_one_way() {
        let uri: http::Uri = "http://h/a%20b/c=d?z=1&a=%2f&b".parse().expect("a uri");
        assert_eq!(query(&uri), "a=%2F&b=&z=1");
        assert_eq!(encoded("a b/c=d", true), "a%20b/c%3Dd");
        assert_eq!(decoded("%e4"), None);
        assert_eq!(
            stamp(Timestamp::parse("2026-11-23T14:15:00Z").expect("a time")),
            "20261123T141500Z"
        );
    }
}
