//! An object store that speaks S3: its client, with bounds on how long anything may take, and words
//! for what is wrong with it.
//!
//! In: `s3://bucket/prefix` and how to reach it. Out: a store that was asked once and answered. Only
//! plain writes are used, never conditional ones, so that any server of the protocol will do. Not
//! here: where the keys come from (`server`).

use std::sync::Arc;
use std::time::Duration;

use base::{Error, Kind, Result, Secret};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

/// How the store is reached.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Another server than Amazon's: `http://127.0.0.1:8333`.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Who asks; without them the machine's own role is taken.
    pub keys: Option<S3Keys>,
    /// Buckets are host names (`bucket.endpoint`) instead of the first part of the path.
    pub bucket_in_host: bool,
    /// How long one request may take.
    pub request: Duration,
    /// How long one call may take, all its repetitions together.
    pub patience: Duration,
}

/// An access key.
#[derive(Clone, Debug)]
pub struct S3Keys {
    /// The name of the key.
    pub id: String,
    /// The key.
    pub secret: Secret,
    /// The token that goes with a temporary key.
    pub token: Option<Secret>,
}

/// A bucket and what is before every path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    bucket: String,
    prefix: Path,
}

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the first question to a store may take: whoever starts wants to know.
const PROBE: Duration = Duration::from_secs(8);

impl S3Place {
    /// Reads `s3://bucket/prefix`.
    pub fn parse(url: &str) -> Result<S3Place> {
        let wrong = |what: &str| {
            Error::invalid(format!("`{url}` {what}")).hint("write `s3://bucket/prefix`")
        };
        let rest = url.strip_prefix("s3://").ok_or_else(|| wrong("is no place of objects"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket_part =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_bucket_part) {
            return Err(wrong("names no bucket: 3 to 63 of a-z, 0-9, `-` and `.`"));
        }
        let prefix = Path::parse(prefix.trim_end_matches('/'))
            .map_err(|error| wrong("has a prefix that is no path").caused_by(error))?;
        Ok(S3Place { bucket: bucket.to_owned(), prefix })
    }
}

/// Opens the store and asks it for its first object, so that a wrong setting is known at once.
pub async fn open_s3(url: &str, options: &S3Options) -> Result<Arc<dyn ObjectStore>> {
    let place = S3Place::parse(url)?;
    let quick = S3Options { request: PROBE, patience: PROBE, ..options.clone() };
    let probe = client(&place, &quick)?;
    let mut listed = probe.list(Some(&place.prefix));
    let answered = tokio::time::timeout(PROBE * 2, listed.try_next()).await;
    match answered {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(refused(url, &place, options, error)),
        Err(_) => return Err(unreachable_store(url, options)),
    }
    let store = client(&place, options)?;
    Ok(match place.prefix.as_ref() {
        "" => Arc::new(store),
        _ => Arc::new(PrefixStore::new(store, place.prefix)),
    })
}

fn client(place: &S3Place, options: &S3Options) -> Result<AmazonS3> {
    let http = options.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&place.bucket)
        .with_region(&options.region)
        .with_virtual_hosted_style_request(options.bucket_in_host)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 20,
            retry_timeout: options.patience,
        })
        .with_client_options(
            ClientOptions::new()
                .with_allow_http(http)
                .with_connect_timeout(CONNECT.min(options.request))
                .with_timeout(options.request),
        );
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(keys) = &options.keys {
        builder = builder.with_access_key_id(&keys.id).with_secret_access_key(keys.secret.reveal());
        if let Some(token) = &keys.token {
            builder = builder.with_token(token.reveal());
        }
    }
    builder.build().map_err(|error| {
        Error::invalid("the settings of the object store are not valid")
            .hint("see `storage.s3` in docs/reference/settings.md")
            .caused_by(error)
    })
}

fn refused(url: &str, place: &S3Place, options: &S3Options, error: object_store::Error) -> Error {
    // The client words a refused list without saying of which kind it is.
    let said = error.to_string();
    let answered = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
    match error {
        error if answered(&["NoSuchBucket", "404 Not Found"]) => {
            Error::not_found(format!("there is no bucket `{}` for `{url}`", place.bucket))
                .hint("create the bucket, or mend `storage.objects` and `storage.s3.endpoint`")
                .caused_by(error)
        }
        error if answered(&["403 Forbidden", "401 Unauthorized", "AccessDenied"]) => {
            Error::new(Kind::Denied, format!("the object store refuses our key at `{url}`"))
                .hint(
                    "check the key (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                     `storage.s3.credentials_file`) and that it may list, read, write and delete",
                )
                .caused_by(error)
        }
        error => unreachable_store(url, options).caused_by(error),
    }
}

fn unreachable_store(url: &str, options: &S3Options) -> Error {
    let endpoint = options.endpoint.as_deref().unwrap_or("Amazon S3");
    Error::new(Kind::Unavailable, format!("the object store of `{url}` gave no answer"))
        .hint(format!("check that {endpoint} runs and can be reached (`storage.s3.endpoint`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let place = S3Place::parse("s3://films-eu/project/a/").expect("a place");
        assert_eq!((place.bucket.as_str(), place.prefix.as_ref()), ("films-eu", "project/a"));
        let place = S3Place::parse("s3://films").expect("a place");
        assert_eq!((place.bucket.as_str(), place.prefix.as_ref()), ("films", ""));
        for (url, expected) in [
            ("gs://films/a", "`gs://films/a` is no place of objects"),
            ("s3://", "`s3://` names no bucket: 3 to 63 of a-z, 0-9, `-` and `.`"),
            ("s3://Films", "`s3://Films` names no bucket: 3 to 63 of a-z, 0-9, `-` and `.`"),
            ("s3://films/a//b", "`s3://films/a//b` has a prefix that is no path"),
        ] {
            assert_eq!(S3Place::parse(url).expect_err("refused").message(), expected);
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = S3Keys { id: "key".into(), secret: Secret::new("swordfish"), token: None };
        assert!(!format!("{keys:?}").contains("swordfish"));
    }
}
