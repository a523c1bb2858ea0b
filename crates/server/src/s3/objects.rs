//! The operations of the S3 subset over the lake's store.
//!
//! In: a parsed request with the claims of its session token. Out: objects by their logical names.
//! Versions of our own Lance tables are shown under the names that Lance's readers look for.
//! Not here: checksums and bodies (`receive`), uploads in parts (`uploads`), pages (`list`).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::Extensions;
use http_body_util::StreamBody;
use hyper::body::Frame;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    UpdateVersion,
};
use s3s::dto::*;
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};

use super::credentials::{Claims, May};
use super::list::{self, Page, Wanted, tag_of};
use super::receive::{self, Promise};
use super::uploads::{self, Upload};
use super::words::{of_ours, of_store, refuse};
use crate::project::Project;

/// Answers are sent whole up to this size, and as they are read above it.
const WHOLE: u64 = 1 << 20;
/// Keys of one `DeleteObjects`, as S3 has it.
const DELETED_AT_ONCE: usize = 1000;

/// The store, and what is known of it.
pub(super) struct Objects {
    project: Arc<Project>,
    /// One conditional replacement at a time, for stores that know none.
    replacing: tokio::sync::Mutex<()>,
}

/// What a request needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Read,
    Write,
}

/// The names that Lance's readers know versions by.
pub(super) struct Names<'a> {
    project: &'a Project,
}

impl Names<'_> {
    /// Where the object of this name is.
    async fn resolve(&self, key: &str) -> S3Result<Path> {
        if key.contains("/_versions/")
            && let Some(path) =
                self.project.lake.lance_manifest(key).await.map_err(|e| of_ours(&e))?
        {
            return Ok(path);
        }
        parse(key)
    }

    /// Entries with versions under the names that readers look for.
    pub(super) async fn shown(
        &self,
        entries: Vec<(String, Option<ObjectMeta>)>,
        prefix: &str,
    ) -> S3Result<Vec<(String, Option<ObjectMeta>)>> {
        let mut shown = Vec::with_capacity(entries.len());
        let mut datasets: std::collections::BTreeMap<String, Vec<(String, ObjectMeta)>> =
            std::collections::BTreeMap::new();
        for (name, meta) in entries {
            match (name.split_once("/_versions/"), meta) {
                (Some((dataset, _)), Some(meta)) => {
                    datasets.entry(dataset.to_owned()).or_default().push((name, meta));
                }
                (_, meta) => shown.push((name, meta)),
            }
        }
        for (dataset, found) in datasets {
            let versions = self.project.lake.lance_manifests(&dataset).await;
            let versions = versions.map_err(|error| of_ours(&error))?;
            if versions.is_empty() {
                shown.extend(found.into_iter().map(|(name, meta)| (name, Some(meta))));
                continue;
            }
            for (name, path) in versions.into_iter().filter(|(name, _)| name.starts_with(prefix)) {
                let meta = found.iter().find(|(real, _)| *real == path.as_ref());
                shown.extend(meta.map(|(_, meta)| (name, Some(meta.clone()))));
            }
        }
        Ok(shown)
    }
}

impl Objects {
    pub(super) fn new(project: Arc<Project>) -> Self {
        Objects { project, replacing: tokio::sync::Mutex::default() }
    }

    fn store(&self) -> &dyn ObjectStore {
        self.project.lake.config().objects.as_ref()
    }

    fn names(&self) -> Names<'_> {
        Names { project: &self.project }
    }

    fn bucket(&self, named: &str) -> S3Result<()> {
        let ours = &self.project.lake.config().warehouse;
        if named == ours {
            return Ok(());
        }
        let text = format!("there is no bucket `{named}`; the warehouse is `{ours}`");
        Err(refuse(S3ErrorCode::NoSuchBucket, text))
    }

    /// The claims of a request that asks for one object.
    fn allow<'a>(
        &self,
        extensions: &'a Extensions,
        bucket: &str,
        key: &str,
        need: Need,
    ) -> S3Result<&'a Claims> {
        self.bucket(bucket)?;
        let claims = claims(extensions)?;
        if !claims.covers(key) || key.starts_with(uploads::FOLDER) {
            let text = format!("the credentials do not reach `{key}`");
            return Err(refuse(S3ErrorCode::AccessDenied, text));
        }
        if need == Need::Write && claims.may == May::Read {
            let text = format!("the credentials only read, and `{key}` would be written");
            return Err(refuse(S3ErrorCode::AccessDenied, text));
        }
        Ok(claims)
    }

    fn promise<'a, T>(&self, request: &'a S3Request<T>) -> Promise<'a> {
        Promise {
            headers: &request.headers,
            trailers: request.trailing_headers.as_ref(),
            limit: self.project.settings.limits.upload_body.0,
        }
    }

    async fn head(&self, key: &str, conditions: &Conditions) -> S3Result<ObjectMeta> {
        let path = self.names().resolve(key).await?;
        let meta = self.store().head(&path).await.map_err(|error| of_store(key, error))?;
        conditions.check(key, &meta)?;
        Ok(meta)
    }

    /// Replaces an object when it is still the one that the client knows.
    async fn replace(
        &self,
        path: &Path,
        condition: ETagCondition,
        body: Option<StreamingBlob>,
        promise: &Promise<'_>,
    ) -> S3Result<object_store::PutResult> {
        let changed = || {
            let text = format!("the object `{path}` is another by now");
            refuse(S3ErrorCode::PreconditionFailed, text)
        };
        let _turn = self.replacing.lock().await;
        let present = self.store().head(path).await.map_err(|_| changed())?;
        if condition.as_etag().is_some_and(|wanted| *wanted != tag_of(&present)) {
            return Err(changed());
        }
        // A store that compares by itself does, so that another node cannot come between.
        let version = UpdateVersion { e_tag: present.e_tag.clone(), version: present.version };
        let local = self.store().to_string().starts_with("LocalStore");
        let mode = if local { PutMode::Overwrite } else { PutMode::Update(version) };
        receive::store(self.store(), path, body, promise, mode).await
    }

    /// Which objects tables need, among those that somebody who may only add wants to remove.
    async fn needed(&self, extensions: &Extensions, keys: &[&str]) -> S3Result<HashSet<String>> {
        if claims(extensions)?.may != May::Add {
            return Ok(HashSet::new());
        }
        self.project.lake.needs(keys).await.map_err(|error| of_ours(&error))
    }

    /// Removes one object; one that is not there is removed already.
    async fn remove(
        &self,
        extensions: &Extensions,
        bucket: &str,
        key: &str,
        needed: &HashSet<String>,
    ) -> S3Result<()> {
        let claims = self.allow(extensions, bucket, key, Need::Write)?;
        let path = parse(key)?;
        let known = self.project.lake.lance_manifest(key).await.map_err(|e| of_ours(&e))?;
        if known.is_some() {
            let text = "versions of this table are removed by `headwater compact`";
            return Err(refuse(S3ErrorCode::AccessDenied, text));
        }
        if claims.may == May::Add
            && let Ok(meta) = self.store().head(&path).await
            && (needed.contains(key) || is_older(&meta, claims))
        {
            let text = format!(
                "`{key}` may belong to the table; what nothing needs any more is removed by Headwater"
            );
            return Err(refuse(S3ErrorCode::AccessDenied, text));
        }
        match self.store().delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(of_store(key, error)),
        }
    }

    async fn page(&self, extensions: &Extensions, bucket: &str, wanted: &Wanted) -> S3Result<Page> {
        self.bucket(bucket)?;
        list::page(self.store(), &self.names(), claims(extensions)?, wanted).await
    }
}

/// Whether an object was there before the credentials were; many stores know whole seconds only.
fn is_older(meta: &ObjectMeta, claims: &Claims) -> bool {
    meta.last_modified.timestamp() < claims.issued.as_micros().div_euclid(1_000_000)
}

fn claims(extensions: &Extensions) -> S3Result<&Claims> {
    let missing = || refuse(S3ErrorCode::AccessDenied, "the request has no session token");
    extensions.get::<Claims>().ok_or_else(missing)
}

fn parse(key: &str) -> S3Result<Path> {
    Path::parse(key).map_err(|error| {
        refuse(S3ErrorCode::InvalidArgument, format!("`{key}` is no name of an object: {error}"))
    })
}

/// The conditions of a read.
struct Conditions {
    matches: Option<ETagCondition>,
    differs: Option<ETagCondition>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Conditions {
    fn check(&self, key: &str, meta: &ObjectMeta) -> S3Result<()> {
        let tag = tag_of(meta);
        let is = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| *etag == tag);
        // HTTP compares times of whole seconds.
        let second = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
        };
        let changed = second(meta.last_modified.into());
        let at = |time: &Timestamp| {
            let time: std::time::SystemTime = time::of(time);
            second(time)
        };
        let failed = || {
            let text = format!("the object `{key}` is another by now");
            refuse(S3ErrorCode::PreconditionFailed, text)
        };
        if let Some(condition) = &self.matches {
            if !is(condition) {
                return Err(failed());
            }
        } else if self.before.as_ref().is_some_and(|time| changed > at(time)) {
            return Err(failed());
        }
        let same = || refuse(S3ErrorCode::NotModified, format!("the object `{key}` is the same"));
        if let Some(condition) = &self.differs {
            if is(condition) {
                return Err(same());
            }
        } else if self.since.as_ref().is_some_and(|time| changed <= at(time)) {
            return Err(same());
        }
        Ok(())
    }
}

mod time {
    //! Times of the protocol as times of the machine.

    use std::time::SystemTime;

    use s3s::dto::{Timestamp, TimestampFormat};

    /// As the machine counts.
    pub(super) fn of(time: &Timestamp) -> SystemTime {
        let mut text = Vec::new();
        let written = time.format(TimestampFormat::EpochSeconds, &mut text);
        let seconds = std::str::from_utf8(&text).ok().filter(|_| written.is_ok());
        let seconds: f64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(0.0);
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs_f64(seconds.max(0.0))
    }
}

/// The bytes of a range, and how it stands in the object.
fn ranged(range: Option<Range>, size: u64) -> S3Result<(std::ops::Range<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..size, None)) };
    let bytes = range.check(size).map_err(|_| {
        refuse(S3ErrorCode::InvalidRange, format!("the object has {size} bytes, none of the range"))
    })?;
    let shown = format!("bytes {}-{}/{size}", bytes.start, bytes.end.saturating_sub(1));
    Ok((bytes, Some(shown)))
}

async fn body(found: GetResult, key: &str) -> S3Result<StreamingBlob> {
    if found.range.end - found.range.start <= WHOLE {
        let bytes: Bytes = found.bytes().await.map_err(|error| of_store(key, error))?;
        return Ok(s3s::Body::from(bytes).into());
    }
    let pieces = found.into_stream().map(|piece| piece.map(Frame::data));
    Ok(s3s::Body::http_body_unsync(StreamBody::new(pieces)).into())
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Read)?;
        let conditions = Conditions {
            matches: input.if_match,
            differs: input.if_none_match,
            since: input.if_modified_since,
            before: input.if_unmodified_since,
        };
        let meta = self.head(&input.key, &conditions).await?;
        let (bytes, shown) = ranged(input.range, meta.size)?;
        let options = GetOptions {
            range: shown.is_some().then(|| GetRange::Bounded(bytes.clone())),
            ..GetOptions::default()
        };
        let found = self.store().get_opts(&meta.location, options).await;
        let found = found.map_err(|error| of_store(&input.key, error))?;
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(bytes.end - bytes.start).ok(),
            content_range: shown,
            content_type: Some("application/octet-stream".to_owned()),
            e_tag: Some(tag_of(&meta)),
            last_modified: Some(std::time::SystemTime::from(meta.last_modified).into()),
            body: Some(body(found, &input.key).await?),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Read)?;
        let conditions = Conditions {
            matches: input.if_match,
            differs: input.if_none_match,
            since: input.if_modified_since,
            before: input.if_unmodified_since,
        };
        let meta = self.head(&input.key, &conditions).await?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(meta.size).ok(),
            content_type: Some("application/octet-stream".to_owned()),
            e_tag: Some(tag_of(&meta)),
            last_modified: Some(std::time::SystemTime::from(meta.last_modified).into()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let body = request.input.body.take();
        let input = &request.input;
        let claims = self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        // Folders are names here and nothing else; some clients make them before they write.
        if input.key.ends_with('/') && input.content_length.unwrap_or(0) == 0 {
            return Ok(S3Response::new(PutObjectOutput::default()));
        }
        let path = parse(&input.key)?;
        let promise = self.promise(&request);
        let done = if let Some(known) = self.lance_dataset(&input.key).await? {
            self.lance_version(claims, &known, &input.key, body, &promise).await?
        } else if let Some(condition) = input.if_match.clone() {
            if claims.may == May::Add {
                return Err(never_replaced(&input.key));
            }
            self.replace(&path, condition, body, &promise).await?
        } else {
            let create = input.if_none_match.is_some() || claims.may == May::Add;
            let mode = if create { PutMode::Create } else { PutMode::Overwrite };
            receive::store(self.store(), &path, body, &promise, mode).await?
        };
        let e_tag = done.e_tag.map(|tag| ETag::Strong(tag.trim_matches('"').to_owned()));
        Ok(S3Response::new(PutObjectOutput { e_tag, ..PutObjectOutput::default() }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let claims = self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        let (bucket, key) = source(&input.copy_source)?;
        self.allow(&request.extensions, bucket, key, Need::Read)?;
        let conditions = Conditions {
            matches: input.copy_source_if_match,
            differs: input.copy_source_if_none_match,
            since: input.copy_source_if_modified_since,
            before: input.copy_source_if_unmodified_since,
        };
        let from = self.head(key, &conditions).await?;
        let to = parse(&input.key)?;
        let copied = if claims.may == May::Add || self.lance_dataset(&input.key).await?.is_some() {
            self.store().copy_if_not_exists(&from.location, &to).await
        } else {
            self.store().copy(&from.location, &to).await
        };
        copied.map_err(|error| of_store(&input.key, error))?;
        let made = self.store().head(&to).await.map_err(|error| of_store(&input.key, error))?;
        let result = CopyObjectResult {
            e_tag: Some(tag_of(&made)),
            last_modified: Some(std::time::SystemTime::from(made.last_modified).into()),
            ..CopyObjectResult::default()
        };
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (extensions, input) = (&request.extensions, &request.input);
        let needed = self.needed(extensions, &[&input.key]).await?;
        self.remove(extensions, &input.bucket, &input.key, &needed).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        if input.delete.objects.len() > DELETED_AT_ONCE {
            let text = format!("one request removes at most {DELETED_AT_ONCE} objects");
            return Err(refuse(S3ErrorCode::MalformedXML, text));
        }
        let keys: Vec<&str> = input.delete.objects.iter().map(|one| one.key.as_str()).collect();
        let needed = self.needed(&request.extensions, &keys).await?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let key = object.key;
            match self.remove(&request.extensions, &input.bucket, &key, &needed).await {
                Ok(()) => {
                    deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() });
                }
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(ToOwned::to_owned),
                    key: Some(key),
                    version_id: None,
                }),
            }
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let token = input.continuation_token.clone();
        let wanted = Wanted {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: token.clone().or(input.start_after.clone()).unwrap_or_default(),
            most: input.max_keys,
        };
        let page = self.page(&request.extensions, &input.bucket, &wanted).await?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: token,
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            key_count: i32::try_from(page.len()).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            contents: Some(page.objects),
            common_prefixes: Some(page.folders),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let wanted = Wanted {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().unwrap_or_default(),
            most: input.max_keys,
        };
        let page = self.page(&request.extensions, &input.bucket, &wanted).await?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            marker: input.marker,
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            is_truncated: Some(page.next.is_some()),
            next_marker: page.next,
            contents: Some(page.objects),
            common_prefixes: Some(page.folders),
            ..ListObjectsOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        parse(&input.key)?;
        let id = uploads::start(self.store(), &self.project.rng, &input.key).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let body = request.input.body.take();
        let input = &request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        let upload = Upload::open(self.store(), &input.key, &input.upload_id).await?;
        let done = upload.put(input.part_number, body, &self.promise(&request)).await?;
        let e_tag = done.e_tag.map(|tag| ETag::Strong(tag.trim_matches('"').to_owned()));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        let (bucket, key) = source(&input.copy_source)?;
        self.allow(&request.extensions, bucket, key, Need::Read)?;
        let upload = Upload::open(self.store(), &input.key, &input.upload_id).await?;
        let path = self.names().resolve(key).await?;
        let failed = |error| of_store(key, error);
        let meta = self.store().head(&path).await.map_err(failed)?;
        let range = match &input.copy_source_range {
            Some(text) => Some(Range::parse(text).map_err(|_| {
                refuse(S3ErrorCode::InvalidArgument, format!("`{text}` is no range"))
            })?),
            None => None,
        };
        let (bytes, _) = ranged(range, meta.size)?;
        if bytes.end - bytes.start > self.project.settings.limits.upload_body.0 {
            return Err(refuse(S3ErrorCode::EntityTooLarge, "the part is too large"));
        }
        let done = upload.copy(input.part_number, &path, bytes).await?;
        let e_tag = done.e_tag.map(|tag| ETag::Strong(tag.trim_matches('"').to_owned()));
        let result = CopyPartResult { e_tag, ..CopyPartResult::default() };
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            ..UploadPartCopyOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let claims = self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        if self.lance_dataset(&input.key).await?.is_some() {
            let text = "a version of this table is put in one piece";
            return Err(refuse(S3ErrorCode::InvalidRequest, text));
        }
        let upload = Upload::open(self.store(), &input.key, &input.upload_id).await?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let create = claims.may == May::Add || input.if_none_match.is_some();
        let done = upload.complete(&parse(&input.key)?, &parts, create).await?;
        let e_tag = done.e_tag.map(|tag| ETag::Strong(tag.trim_matches('"').to_owned()));
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag,
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Write)?;
        Upload::open(self.store(), &input.key, &input.upload_id).await?.forget().await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        self.allow(&request.extensions, &input.bucket, &input.key, Need::Read)?;
        let upload = Upload::open(self.store(), &input.key, &input.upload_id).await?;
        let after = input.part_number_marker.unwrap_or(0);
        let most = usize::try_from(input.max_parts.unwrap_or(1000)).unwrap_or(0);
        let found: Vec<_> =
            upload.parts().await?.into_iter().filter(|(number, _)| *number > after).collect();
        let more = found.len() > most;
        let parts: Vec<Part> = found.into_iter().take(most).map(part).collect();
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key.clone()),
            upload_id: Some(input.upload_id.clone()),
            max_parts: input.max_parts,
            part_number_marker: input.part_number_marker,
            is_truncated: Some(more),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            parts: Some(parts),
            ..ListPartsOutput::default()
        }))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        self.bucket(&input.bucket)?;
        let claims = claims(&request.extensions)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let found = uploads::all(self.store()).await?.into_iter();
        let seen = found.filter(|(_, key, _)| claims.covers(key) && key.starts_with(&prefix));
        let uploads = seen.map(|(id, key, meta)| MultipartUpload {
            upload_id: Some(id),
            key: Some(key),
            initiated: Some(std::time::SystemTime::from(meta.last_modified).into()),
            ..MultipartUpload::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(false),
            uploads: Some(uploads.collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

fn part((number, meta): (i32, ObjectMeta)) -> Part {
    Part {
        part_number: Some(number),
        size: i64::try_from(meta.size).ok(),
        e_tag: Some(tag_of(&meta)),
        last_modified: Some(std::time::SystemTime::from(meta.last_modified).into()),
        ..Part::default()
    }
}

fn source(copy: &CopySource) -> S3Result<(&str, &str)> {
    match copy {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket, key)),
        _ => Err(refuse(S3ErrorCode::NotImplemented, "only objects of the warehouse are copied")),
    }
}

fn never_replaced(key: &str) -> s3s::S3Error {
    refuse(
        S3ErrorCode::AccessDenied,
        format!("`{key}` belongs to a table, whose files are never replaced"),
    )
}

impl Objects {
    /// The Lance dataset of ours that a name would be a version of.
    async fn lance_dataset(&self, key: &str) -> S3Result<Option<String>> {
        let Some((dataset, _)) = key.split_once("/_versions/") else { return Ok(None) };
        let is_ours = self.project.lake.is_lance_dataset(dataset).await;
        Ok(is_ours.map_err(|error| of_ours(&error))?.then(|| dataset.to_owned()))
    }

    /// Commits a version of one of our Lance tables that another tool has written.
    async fn lance_version(
        &self,
        claims: &Claims,
        dataset: &str,
        key: &str,
        body: Option<StreamingBlob>,
        promise: &Promise<'_>,
    ) -> S3Result<object_store::PutResult> {
        let name = format!("{dataset}/_versions/{}.put", self.project.rng.uuid().simple());
        let path = parse(&name)?;
        let done = receive::store(self.store(), &path, body, promise, PutMode::Create).await?;
        let live = self.project.live();
        match live.lake.commit_lance_version(dataset, key, &path, &claims.subject).await {
            Ok(()) => Ok(done),
            Err(error) => {
                // When the answer was lost the version may be there, and this is its manifest.
                if error.nothing_happened() {
                    let _removed_with_the_orphans = self.store().delete(&path).await;
                }
                Err(of_ours(&error))
            }
        }
    }
}
