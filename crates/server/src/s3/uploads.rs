//! Objects that arrive in parts: parts wait as objects under `_uploads/` until they are joined.
//!
//! In: `CreateMultipartUpload` and what follows, at any node and in any order. Out: one object, when
//! all its parts are there. Nothing is kept in memory between the requests, so that a node may
//! die; what a client never completed is removed with the orphans. Not here: `PutObject`.

use std::ops::Range;

use base::rng::Rng;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, PutResult};
use s3s::dto::{CompletedPart, StreamingBlob};
use s3s::{S3ErrorCode, S3Result};

use super::list::tag_of;
use super::receive::{self, Promise};
use super::words::{of_store, refuse};

/// Where parts wait.
pub(super) const FOLDER: &str = "_uploads/";
/// The name of the object that says what is uploaded.
const KEY: &str = "key";
/// Parts of one object at most, as S3 has it.
const PARTS: i32 = 10_000;
/// Bytes that are joined at a time.
const PIECE: usize = 8 << 20;

/// An upload that was started.
pub(super) struct Upload<'a> {
    objects: &'a dyn ObjectStore,
    key: &'a str,
    id: &'a str,
}

/// Starts an upload; its id.
pub(super) async fn start(objects: &dyn ObjectStore, rng: &Rng, key: &str) -> S3Result<String> {
    let id = rng.uuid().simple().to_string();
    let marker = Path::from(format!("{FOLDER}{id}/{KEY}"));
    let payload = PutPayload::from(key.to_owned());
    objects.put(&marker, payload).await.map_err(|error| of_store(key, error))?;
    Ok(id)
}

/// Uploads that are under way: their ids and keys, and when each was started.
pub(super) async fn all(objects: &dyn ObjectStore) -> S3Result<Vec<(String, String, ObjectMeta)>> {
    let failed = |error| of_store(FOLDER, error);
    let level = objects.list_with_delimiter(Some(&Path::from(FOLDER))).await.map_err(failed)?;
    let mut found = Vec::new();
    for folder in level.common_prefixes {
        let marker = folder.clone().join(KEY);
        let Ok(given) = objects.get(&marker).await else { continue };
        let meta = given.meta.clone();
        let bytes = given.bytes().await.map_err(failed)?;
        let id = folder.filename().unwrap_or_default().to_owned();
        found.push((id, String::from_utf8_lossy(&bytes).into_owned(), meta));
    }
    found.sort_by(|left, right| (&left.1, &left.0).cmp(&(&right.1, &right.0)));
    Ok(found)
}

impl<'a> Upload<'a> {
    /// The upload of this id, when it is one of this key.
    pub(super) async fn open(
        objects: &'a dyn ObjectStore,
        key: &'a str,
        id: &'a str,
    ) -> S3Result<Upload<'a>> {
        let upload = Upload { objects, key, id };
        let missing = || {
            let text = format!("there is no upload `{id}` of `{key}`; it was completed or aborted");
            refuse(S3ErrorCode::NoSuchUpload, text)
        };
        if !id.chars().all(|c| c.is_ascii_alphanumeric()) || id.is_empty() {
            return Err(missing());
        }
        let found = objects.get(&upload.path(KEY)).await.map_err(|_| missing())?;
        let started = found.bytes().await.map_err(|error| of_store(key, error))?;
        if started != key.as_bytes() { Err(missing()) } else { Ok(upload) }
    }

    /// Stores one part, in the place of an earlier one of its number.
    pub(super) async fn put(
        &self,
        number: i32,
        body: Option<StreamingBlob>,
        promise: &Promise<'_>,
    ) -> S3Result<PutResult> {
        let path = self.part(number)?;
        receive::store(self.objects, &path, body, promise, PutMode::Overwrite).await
    }

    /// Stores a part that is a range of another object.
    pub(super) async fn copy(
        &self,
        number: i32,
        from: &Path,
        bytes: Range<u64>,
    ) -> S3Result<PutResult> {
        receive::copied(self.objects, from, bytes, &self.part(number)?).await
    }

    /// The parts that are there, by number.
    pub(super) async fn parts(&self) -> S3Result<Vec<(i32, ObjectMeta)>> {
        let folder = Path::from(format!("{FOLDER}{}", self.id));
        let listed: Vec<ObjectMeta> = self
            .objects
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|error| of_store(self.key, error))?;
        let numbered = |meta: ObjectMeta| Some((meta.location.filename()?.parse().ok()?, meta));
        let mut parts: Vec<(i32, ObjectMeta)> = listed.into_iter().filter_map(numbered).collect();
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts)
    }

    /// Joins the named parts into the object and forgets the upload.
    pub(super) async fn complete(
        &self,
        target: &Path,
        wanted: &[CompletedPart],
        create: bool,
    ) -> S3Result<PutResult> {
        let present = self.parts().await?;
        let mut chosen = Vec::with_capacity(wanted.len());
        let mut last = 0;
        for part in wanted {
            let number = part.part_number.unwrap_or(0);
            if number <= last {
                let text = "the parts are not in the order of their numbers";
                return Err(refuse(S3ErrorCode::InvalidPartOrder, text));
            }
            last = number;
            let found = present.iter().find(|(other, meta)| {
                *other == number && part.e_tag.as_ref().is_none_or(|tag| *tag == tag_of(meta))
            });
            let Some((_, meta)) = found else {
                let text = format!("part {number} did not come, or is another by now");
                return Err(refuse(S3ErrorCode::InvalidPart, text));
            };
            chosen.push(meta);
        }
        if chosen.is_empty() {
            return Err(refuse(S3ErrorCode::MalformedXML, "an upload has at least one part"));
        }
        if create && self.objects.head(target).await.is_ok() {
            let text = format!("the object `{target}` exists already");
            return Err(refuse(S3ErrorCode::PreconditionFailed, text));
        }
        let made = self.join(target, &chosen).await?;
        self.forget().await?;
        Ok(made)
    }

    async fn join(&self, target: &Path, parts: &[&ObjectMeta]) -> S3Result<PutResult> {
        let failed = |error| of_store(self.key, error);
        let mut upload = self.objects.put_multipart(target).await.map_err(failed)?;
        let mut gathered = bytes::BytesMut::new();
        for part in parts {
            let given = self.objects.get(&part.location).await.map_err(failed)?;
            let mut pieces = given.into_stream();
            while let Some(piece) = pieces.next().await {
                gathered.extend_from_slice(&piece.map_err(failed)?);
                if gathered.len() >= PIECE {
                    let full = PutPayload::from(gathered.split().freeze());
                    upload.put_part(full).await.map_err(failed)?;
                }
            }
        }
        if !gathered.is_empty() {
            upload.put_part(PutPayload::from(gathered.freeze())).await.map_err(failed)?;
        }
        upload.complete().await.map_err(failed)
    }

    /// Removes the parts.
    pub(super) async fn forget(&self) -> S3Result<()> {
        let folder = Path::from(format!("{FOLDER}{}", self.id));
        let listed = self.objects.list(Some(&folder)).map_ok(|meta| meta.location).boxed();
        let removed = self.objects.delete_stream(listed).try_for_each(|_| async { Ok(()) }).await;
        removed.map_err(|error| of_store(self.key, error))
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{FOLDER}{}/{name}", self.id))
    }

    fn part(&self, number: i32) -> S3Result<Path> {
        if !(1..=PARTS).contains(&number) {
            let text = format!("parts have numbers from 1 to {PARTS}, not {number}");
            return Err(refuse(S3ErrorCode::InvalidArgument, text));
        }
        Ok(self.path(&format!("{number:05}")))
    }
}
