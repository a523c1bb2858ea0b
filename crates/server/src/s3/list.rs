//! Which objects there are: `ListObjectsV2`, `ListObjects`.
//!
//! In: a prefix of names (any text, not only whole folders), a delimiter, where to go on. Out: one
//! page in the order of the names. Objects outside the folders of the credentials are not shown.

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use s3s::dto::{CommonPrefix, ETag, Object};
use s3s::{S3ErrorCode, S3Result};

use super::credentials::Claims;
use super::uploads::FOLDER;
use super::words::{of_store, refuse};

/// Objects on one page at most, as S3 has it.
const PAGE: usize = 1000;

/// What is listed.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    /// Names after this one.
    pub(super) after: String,
    pub(super) most: Option<i32>,
}

/// One page.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<Object>,
    pub(super) folders: Vec<CommonPrefix>,
    /// The last name, when there are more.
    pub(super) next: Option<String>,
}

impl Page {
    /// Entries on the page.
    pub(super) fn len(&self) -> usize {
        self.objects.len() + self.folders.len()
    }
}

/// An entry by its name: an object, or a prefix that several share.
type Entry = (String, Option<ObjectMeta>);

/// Lists one page.
pub(super) async fn page(
    objects: &dyn ObjectStore,
    lance: &super::objects::Names<'_>,
    claims: &Claims,
    wanted: &Wanted,
) -> S3Result<Page> {
    let below = |folder: &String| folder.starts_with(&wanted.prefix);
    if !claims.covers(&wanted.prefix) && !claims.folders.iter().any(below) {
        let text = format!("the credentials do not reach `{}`", wanted.prefix);
        return Err(refuse(S3ErrorCode::AccessDenied, text));
    }
    let most = wanted.most.map_or(PAGE, |most| usize::try_from(most).unwrap_or(0)).min(PAGE);
    let mut entries = lance.shown(entries(objects, wanted).await?, &wanted.prefix).await?;
    entries.retain(|(name, _)| {
        let seen = claims.covers(name) || claims.folders.iter().any(|one| one.starts_with(name));
        seen && name.starts_with(&wanted.prefix)
            && *name > wanted.after
            && !name.starts_with(FOLDER)
    });
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    entries.dedup_by(|left, right| left.0 == right.0);
    let more = entries.len() > most;
    entries.truncate(most);
    let next = if more { entries.last().map(|(name, _)| name.clone()) } else { None };
    let mut page = Page { next, ..Page::default() };
    for (name, meta) in entries {
        match meta {
            Some(meta) => page.objects.push(object(name, &meta)),
            None => page.folders.push(CommonPrefix { prefix: Some(name) }),
        }
    }
    Ok(page)
}

/// All entries below the folder that the prefix lies in.
async fn entries(objects: &dyn ObjectStore, wanted: &Wanted) -> S3Result<Vec<Entry>> {
    let failed = |error| of_store(&wanted.prefix, error);
    let folder = wanted.prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = Path::parse(folder).map_err(|error| failed(error.into()))?;
    let folder = Some(&folder).filter(|folder| !folder.as_ref().is_empty());
    let named = |meta: ObjectMeta| (meta.location.to_string(), Some(meta));
    if wanted.delimiter.as_deref() == Some("/") {
        let level = objects.list_with_delimiter(folder).await.map_err(failed)?;
        let folders = level.common_prefixes.into_iter().map(|path| (format!("{path}/"), None));
        return Ok(level.objects.into_iter().map(named).chain(folders).collect());
    }
    let all: Vec<ObjectMeta> = objects.list(folder).try_collect().await.map_err(failed)?;
    let named = all.into_iter().map(named);
    Ok(match &wanted.delimiter {
        Some(delimiter) if !delimiter.is_empty() => {
            named.map(|entry| folded(entry, &wanted.prefix, delimiter)).collect()
        }
        _ => named.collect(),
    })
}

/// An object whose name goes on behind the delimiter is part of a common prefix.
fn folded(entry: Entry, prefix: &str, delimiter: &str) -> Entry {
    let Some(rest) = entry.0.strip_prefix(prefix) else { return entry };
    match rest.find(delimiter) {
        Some(end) => (format!("{prefix}{}", &rest[..end + delimiter.len()]), None),
        None => entry,
    }
}

fn object(name: String, meta: &ObjectMeta) -> Object {
    Object {
        key: Some(name),
        size: i64::try_from(meta.size).ok(),
        e_tag: Some(tag_of(meta)),
        last_modified: Some(std::time::SystemTime::from(meta.last_modified).into()),
        ..Object::default()
    }
}

/// What changes whenever the object does; the store's own tag where it has one.
pub(super) fn tag_of(meta: &ObjectMeta) -> ETag {
    let tag = meta
        .e_tag
        .clone()
        .unwrap_or_else(|| format!("{:x}-{:x}", meta.last_modified.timestamp_micros(), meta.size));
    ETag::Strong(tag.trim_matches('"').to_owned())
}
