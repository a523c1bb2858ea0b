//! The object store of this machine, for the programs that stand on it.

use std::time::Duration;

use base::Secret;
use lake::store::{S3Keys, S3Options};
use testkit::seaweed;

/// How the server of this machine is reached.
pub(crate) fn options(endpoint: &str) -> S3Options {
    let keys =
        S3Keys { id: seaweed::KEY_ID.to_owned(), secret: Secret::new(seaweed::KEY), token: None };
    S3Options {
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        keys: Some(keys),
        bucket_in_host: false,
        request: Duration::from_secs(20),
        patience: Duration::from_secs(45),
    }
}
