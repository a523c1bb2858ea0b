//! Takes the body of an upload in and stores it, checked against every checksum that the client sent.
//!
//! In: a body whose signature (of the whole or of each chunk) `s3s` checks as it is read. Out: a
//! stored object, or nothing: a body that breaks off, is too large or does not match its checksum
//! leaves no object.

use std::ops::Range;

use base::size::format_bytes;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::HeaderMap;
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, PutResult,
};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3ErrorCode, S3Result, TrailingHeaders};

use super::words::{of_store, refuse};

/// Bytes that are gathered before they go to the store.
const PART: usize = 8 << 20;

/// What the client says that its body is.
pub(super) struct Promise<'a> {
    /// Headers with checksums, or with the names of those that follow the body.
    pub(super) headers: &'a HeaderMap,
    /// What follows the body.
    pub(super) trailers: Option<&'a TrailingHeaders>,
    /// The most bytes that are taken.
    pub(super) limit: u64,
}

/// Checksums while they are computed.
struct Sums {
    hasher: ChecksumHasher,
    md5: Option<Md5>,
    bytes: u64,
}

/// Checksums by their names in headers.
const NAMES: [&str; 5] = ["crc32", "crc32c", "sha1", "sha256", "crc64nvme"];

/// Stores a body. `create` refuses to replace an object.
pub(super) async fn store(
    objects: &dyn ObjectStore,
    path: &Path,
    body: Option<StreamingBlob>,
    promise: &Promise<'_>,
    mode: PutMode,
) -> S3Result<PutResult> {
    let mut body = body.unwrap_or_else(|| s3s::Body::empty().into());
    let mut sums = Sums::of(promise.headers);
    let mut gathered = BytesMut::new();
    let mut upload: Option<Box<dyn MultipartUpload>> = None;
    while let Some(piece) = body.next().await {
        let taken = piece.map_err(|error| broken(&error)).and_then(|piece| {
            sums.add(&piece, promise.limit)?;
            Ok(piece)
        });
        match taken {
            Ok(piece) => gathered.extend_from_slice(&piece),
            Err(error) => return Err(given_up(upload, error).await),
        }
        if gathered.len() < PART {
            continue;
        }
        let part = gathered.split().freeze();
        if let Err(error) = send(objects, path, &mut upload, part).await {
            return Err(given_up(upload, error).await);
        }
    }
    if let Err(error) = sums.check(promise) {
        return Err(given_up(upload, error).await);
    }
    let failed = |error| of_store(path.as_ref(), error);
    if upload.is_none() {
        let payload = PutPayload::from(gathered.freeze());
        return objects.put_opts(path, payload, mode.into()).await.map_err(failed);
    }
    if !gathered.is_empty() {
        send(objects, path, &mut upload, gathered.freeze()).await?;
    }
    if matches!(mode, PutMode::Create) && objects.head(path).await.is_ok() {
        let text = format!("the object `{path}` exists already");
        return Err(given_up(upload, refuse(S3ErrorCode::PreconditionFailed, text)).await);
    }
    complete(upload, path).await
}

/// Stores some bytes of an object as another one, a part at a time.
pub(super) async fn copied(
    objects: &dyn ObjectStore,
    from: &Path,
    bytes: Range<u64>,
    to: &Path,
) -> S3Result<PutResult> {
    let failed = |error| of_store(from.as_ref(), error);
    let part = |start: u64| start..bytes.end.min(start + PART as u64);
    if bytes.end - bytes.start <= PART as u64 {
        let whole = objects.get_range(from, bytes).await.map_err(failed)?;
        let stored = objects.put(to, PutPayload::from(whole)).await;
        return stored.map_err(|error| of_store(to.as_ref(), error));
    }
    let mut upload = None;
    for start in bytes.clone().step_by(PART) {
        let read = objects.get_range(from, part(start)).await.map_err(failed);
        let sent = match read {
            Ok(read) => send(objects, to, &mut upload, read).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            return Err(given_up(upload, error).await);
        }
    }
    complete(upload, to).await
}

async fn complete(upload: Option<Box<dyn MultipartUpload>>, path: &Path) -> S3Result<PutResult> {
    match upload {
        Some(mut upload) => upload.complete().await.map_err(|error| of_store(path.as_ref(), error)),
        None => Err(refuse(S3ErrorCode::InternalError, "an upload was lost")),
    }
}

async fn send(
    objects: &dyn ObjectStore,
    path: &Path,
    upload: &mut Option<Box<dyn MultipartUpload>>,
    part: Bytes,
) -> S3Result<()> {
    let failed = |error| of_store(path.as_ref(), error);
    let upload = match upload {
        Some(upload) => upload,
        empty => empty.insert(objects.put_multipart(path).await.map_err(failed)?),
    };
    upload.put_part(PutPayload::from(part)).await.map_err(failed)
}

/// Lets go of a half-made object; that it fails too changes nothing for the client.
async fn given_up(upload: Option<Box<dyn MultipartUpload>>, error: s3s::S3Error) -> s3s::S3Error {
    if let Some(mut upload) = upload {
        let _left_to_the_store = upload.abort().await;
    }
    error
}

fn broken(error: &s3s::StdError) -> s3s::S3Error {
    let text = error.to_string();
    let code = if text.contains("SignatureMismatch") || text.contains("signature") {
        S3ErrorCode::SignatureDoesNotMatch
    } else {
        S3ErrorCode::IncompleteBody
    };
    refuse(code, format!("the body broke off: {text}"))
}

impl Sums {
    fn of(headers: &HeaderMap) -> Sums {
        let mut hasher = ChecksumHasher::default();
        let announced = headers.get_all("x-amz-trailer").iter();
        let announced: Vec<&str> = announced.filter_map(|value| value.to_str().ok()).collect();
        let is_wanted = |name: &str| {
            let header = format!("x-amz-checksum-{name}");
            let listed = |value: &&str| value.split(',').any(|one| one.trim() == header);
            headers.contains_key(&header) || announced.iter().any(listed)
        };
        hasher.crc32 = is_wanted("crc32").then(Default::default);
        hasher.crc32c = is_wanted("crc32c").then(Default::default);
        hasher.sha1 = is_wanted("sha1").then(Default::default);
        hasher.sha256 = is_wanted("sha256").then(Default::default);
        hasher.crc64nvme = is_wanted("crc64nvme").then(Default::default);
        let md5 = headers.contains_key("content-md5").then(Md5::new);
        Sums { hasher, md5, bytes: 0 }
    }

    fn add(&mut self, piece: &[u8], limit: u64) -> S3Result<()> {
        self.bytes += piece.len() as u64;
        if self.bytes > limit {
            let text = format!(
                "the body is larger than {}; send less, or raise `limits.upload_body`",
                format_bytes(limit)
            );
            return Err(refuse(S3ErrorCode::EntityTooLarge, text));
        }
        self.hasher.update(piece);
        if let Some(md5) = &mut self.md5 {
            md5.update(piece);
        }
        Ok(())
    }

    fn check(self, promise: &Promise<'_>) -> S3Result<()> {
        use base64::Engine as _;
        let trailers = promise.trailers.and_then(TrailingHeaders::take).unwrap_or_default();
        let said = |header: &str| {
            let value = promise.headers.get(header).or_else(|| trailers.get(header))?;
            value.to_str().ok().map(|text| text.trim().to_owned())
        };
        let computed = self.hasher.finalize();
        for name in NAMES {
            let wanted = said(&format!("x-amz-checksum-{name}"));
            matches(name, wanted, value(&computed, name))?;
        }
        let md5 = self.md5.map(|md5| {
            base64::engine::general_purpose::STANDARD.encode(md5.finalize().as_ref() as &[u8])
        });
        matches("md5", said("content-md5"), md5)
    }
}

fn matches(name: &str, said: Option<String>, computed: Option<String>) -> S3Result<()> {
    match (said, computed) {
        (Some(said), Some(computed)) if said != computed => {
            let text = format!("the {name} of the body is `{computed}`, not `{said}`");
            Err(refuse(S3ErrorCode::BadDigest, text))
        }
        (None, Some(_)) => {
            let text = format!("the {name} that the request announces did not come");
            Err(refuse(S3ErrorCode::InvalidRequest, text))
        }
        _ => Ok(()),
    }
}

fn value(computed: &Checksum, name: &str) -> Option<String> {
    match name {
        "crc32" => computed.checksum_crc32.clone(),
        "crc32c" => computed.checksum_crc32c.clone(),
        "sha1" => computed.checksum_sha1.clone(),
        "sha256" => computed.checksum_sha256.clone(),
        _ => computed.checksum_crc64nvme.clone(),
    }
}
