//! How a request says which document it asks: by its text, by the id of a registered document
//! (`documentId`, as the appendix of GraphQL over HTTP on persisted documents names it), or by a hash in
//! `extensions.persistedQuery`, as Apollo's clients do.
//!
//! In: a request. Out: what it names; a hash that is given beside a text is the text's. Not here: whether
//! there is such a document.

use std::fmt;

use base::{Error, Result};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::wire::GraphqlRequest;

/// The SHA-256 of a document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hash(pub(super) [u8; 32]);

impl Hash {
    /// The hash of a text.
    pub(crate) fn of(text: &str) -> Self {
        Hash(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Hash(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a request asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Named {
    /// A text; `claims` is its hash, when the request gives it so that the text be kept.
    Text { text: String, claims: Option<Hash> },
    /// A registered document.
    Registered(Hash),
    /// A document that was sent before.
    Persisted(Hash),
}

impl Named {
    /// The hash of the document.
    pub(super) fn hash(&self) -> Hash {
        match self {
            Named::Text { claims: Some(hash), .. } => *hash,
            Named::Text { text, claims: None } => Hash::of(text),
            Named::Registered(hash) | Named::Persisted(hash) => *hash,
        }
    }
}

/// Reads what a request asks. Errors: `InvalidInput` when it names nothing, two things, or a hash that is
/// not the text's.
pub(super) fn read(request: &GraphqlRequest) -> Result<Named> {
    let hash = persisted_hash(request)?;
    match (&request.query, &request.document_id, hash) {
        (Some(text), None, None) => Ok(Named::Text { text: text.clone(), claims: None }),
        (Some(text), None, Some(hash)) if Hash::of(text) == hash => {
            Ok(Named::Text { text: text.clone(), claims: Some(hash) })
        }
        (Some(_), None, Some(_)) => {
            Err(Error::invalid("`sha256Hash` is not the SHA-256 of `query`")
                .hint("hash the bytes of the text as it is sent"))
        }
        (None, Some(id), None) => registered(id).map(Named::Registered),
        (None, None, Some(hash)) => Ok(Named::Persisted(hash)),
        (None, None, None) => Err(Error::invalid("there is no `query`")
            .hint("send `{\"query\": \"{ … }\"}`, or a `documentId`")),
        (_, Some(_), _) => Err(Error::invalid("`documentId` names the document alone")
            .hint("leave `query` and `extensions.persistedQuery` out")),
    }
}

/// An id with the prefix that says how it was made, or without one.
fn registered(id: &str) -> Result<Hash> {
    Hash::parse(id.strip_prefix("sha256:").unwrap_or(id)).ok_or_else(|| {
        Error::invalid(format!("`{id}` is no id of a document"))
            .hint("an id is `sha256:` and 64 hexadecimal digits")
    })
}

fn persisted_hash(request: &GraphqlRequest) -> Result<Option<Hash>> {
    let extensions = request.extensions.as_ref();
    let Some(persisted) = extensions.and_then(|extensions| extensions.get("persistedQuery")) else {
        return Ok(None);
    };
    let hint = "send `{\"version\": 1, \"sha256Hash\": \"…\"}`";
    if persisted.get("version").and_then(Json::as_i64) != Some(1) {
        return Err(Error::invalid("`persistedQuery` is not of version 1").hint(hint));
    }
    let hash = persisted.get("sha256Hash").and_then(Json::as_str).and_then(Hash::parse);
    match hash {
        Some(hash) => Ok(Some(hash)),
        None => {
            Err(Error::invalid("`sha256Hash` of `persistedQuery` is no SHA-256 in hexadecimal")
                .hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const QUERY: &str = "{ __typename }";

    fn named(request: Json) -> Result<Named, String> {
        let request = serde_json::from_value(request).unwrap();
        read(&request).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_document_is_named_in_one_of_three_ways() {
        let hash = Hash::of(QUERY);
        let persisted = json!({"persistedQuery": {"version": 1, "sha256Hash": hash.to_string()}});
        let text = |claims| Ok(Named::Text { text: QUERY.to_owned(), claims });
        assert_eq!(named(json!({ "query": QUERY })), text(None));
        assert_eq!(named(json!({ "query": QUERY, "extensions": persisted })), text(Some(hash)));
        assert_eq!(named(json!({ "extensions": persisted })), Ok(Named::Persisted(hash)));
        for id in [format!("sha256:{hash}"), hash.to_string(), hash.to_string().to_uppercase()] {
            assert_eq!(named(json!({ "documentId": id })), Ok(Named::Registered(hash)), "{id}");
        }
    }

    #[test]
    fn what_names_nothing_or_two_things_is_refused() {
        let hash = Hash::of("{ other }").to_string();
        let extended =
            |persisted: Json| json!({"query": QUERY, "extensions": {"persistedQuery": persisted}});
        for (request, words) in [
            (json!({}), "there is no `query`"),
            (json!({"query": QUERY, "documentId": hash}), "`documentId` names the document alone"),
            (json!({"documentId": "md5:00"}), "`md5:00` is no id of a document"),
            (
                json!({"documentId": "é".repeat(32)}),
                &format!("`{}` is no id of a document", "é".repeat(32)),
            ),
            (
                extended(json!({"version": 1, "sha256Hash": hash})),
                "`sha256Hash` is not the SHA-256 of `query`",
            ),
            (
                extended(json!({"version": 2, "sha256Hash": hash})),
                "`persistedQuery` is not of version 1",
            ),
            (extended(json!(["x"])), "`persistedQuery` is not of version 1"),
            (
                extended(json!({"version": 1, "sha256Hash": "00"})),
                "`sha256Hash` of `persistedQuery` is no SHA-256 in hexadecimal",
            ),
        ] {
            assert_eq!(named(request).unwrap_err(), words);
        }
    }

    #[test]
    fn a_hash_is_what_sha_256_gives() {
        let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hash::of("").to_string(), known);
        assert_eq!(Hash::parse(known), Some(Hash::of("")));
    }
}
