//! Copies objects from one place to another and reads each copy back.
//!
//! In: two places and what was copied before. Out: a row for every object whose copy has the same
//! bytes; rows are written in groups, so that a killed copy goes on about where it was. Not here:
//! which place takes writes (`migrate`).

use std::collections::HashMap;

use base::{Error, Kind, Result};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use meta::{Database, Param};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::backup;
use crate::failure::failed;

/// Objects that are copied at once; each holds a part of 8 MiB at most.
const AT_ONCE: usize = 8;
/// Copies of one object that may be removed by others before they were read back.
const ATTEMPTS: usize = 3;
/// Objects whose rows are written together.
const TOGETHER: usize = 64;

/// What one pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// Objects copied now.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Objects that were there already.
    pub(super) before: u64,
}

/// An object whose copy was read back.
struct Copied {
    path: String,
    bytes: u64,
    blake3: String,
}

/// Copies what was not copied yet in this move.
pub(super) async fn pass(
    from: &dyn ObjectStore,
    to: &dyn ObjectStore,
    database: &Database,
    generation: i64,
    progress: &(dyn Fn(Pass) + Send + Sync),
) -> Result<Pass> {
    let known = known(database, generation).await?;
    let mut pass = Pass::default();
    let listed = from.list(None).map_err(|error| failed("list objects")(error));
    let mut groups = listed
        .try_filter_map(|meta| {
            let done = known.get(meta.location.as_ref()) == Some(&meta.size);
            std::future::ready(Ok(Some((meta, done))))
        })
        .try_chunks(TOGETHER)
        .boxed();
    while let Some(group) = groups.next().await {
        let group = group.map_err(|error| error.1)?;
        let (before, new): (Vec<_>, Vec<_>) = group.into_iter().partition(|(_, done)| *done);
        pass.before += before.len() as u64;
        let copied: Vec<Option<Copied>> = stream::iter(new)
            .map(|(meta, _)| one(from, to, meta).boxed())
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let copied: Vec<Copied> = copied.into_iter().flatten().collect();
        pass.objects += copied.len() as u64;
        pass.bytes += copied.iter().map(|one| one.bytes).sum::<u64>();
        remember(database, generation, copied).await?;
        progress(pass);
    }
    Ok(pass)
}

/// Copies one object; `None` when it was removed meanwhile.
async fn one(
    from: &dyn ObjectStore,
    to: &dyn ObjectStore,
    meta: ObjectMeta,
) -> Result<Option<Copied>> {
    let path = &meta.location;
    let mut attempts = 0;
    let (bytes, blake3, (read_bytes, read_blake3)) = loop {
        let (bytes, blake3) = match backup::copy(from, path, to, path).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            copied => copied?,
        };
        attempts += 1;
        match hash(to, path).await {
            // Whoever removes an object removes it in both places, one after the other, and has come
            // between the copy and this look at it.
            Err(error) if error.kind() == Kind::NotFound && attempts < ATTEMPTS => {}
            read => break (bytes, blake3, read?),
        }
    };
    if (bytes, &blake3) != (read_bytes, &read_blake3) || bytes != meta.size {
        let text = format!("the copy of `{path}` is not what was copied");
        return Err(Error::new(Kind::Corrupt, text)
            .hint("nothing was switched; look at the new place, then run the same command again"));
    }
    Ok(Some(Copied { path: path.to_string(), bytes, blake3 }))
}

/// The bytes of an object and their hash.
async fn hash(store: &dyn ObjectStore, path: &Path) -> Result<(u64, String)> {
    let doing = || format!("read `{path}` back");
    let mut stream = store.get(path).await.map_err(failed(doing()))?.into_stream();
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    while let Some(chunk) = stream.try_next().await.map_err(failed(doing()))? {
        hasher.update(&chunk);
        bytes += chunk.len() as u64;
    }
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}

/// The objects whose copies were read back, with their sizes, page by page.
async fn known(database: &Database, generation: i64) -> Result<HashMap<String, u64>> {
    const PAGE: i64 = 5000;
    let mut known = HashMap::new();
    let mut after = String::new();
    loop {
        let sql = "SELECT path, bytes FROM lake_moved WHERE generation = $1 AND path > $2 \
                   ORDER BY path LIMIT $3";
        let params = [generation.into(), after.as_str().into(), PAGE.into()];
        let rows = database.query(sql, &params).await?;
        for row in &rows {
            let bytes = u64::try_from(row.int("bytes")?).unwrap_or(0);
            after = row.text("path")?;
            known.insert(after.clone(), bytes);
        }
        if (rows.len() as i64) < PAGE {
            return Ok(known);
        }
    }
}

async fn remember(database: &Database, generation: i64, copied: Vec<Copied>) -> Result<()> {
    if copied.is_empty() {
        return Ok(());
    }
    let rows: Vec<[Param; 4]> = copied
        .into_iter()
        .map(|one| {
            let bytes = i64::try_from(one.bytes).unwrap_or(i64::MAX);
            [generation.into(), one.path.into(), bytes.into(), one.blake3.into()]
        })
        .collect();
    database
        .write(move |tx| {
            let rows = rows.clone();
            async move {
                for row in &rows {
                    let sql = "INSERT INTO lake_moved (generation, path, bytes, blake3)
                        VALUES ($1, $2, $3, $4) ON CONFLICT (generation, path) DO UPDATE SET
                        bytes = excluded.bytes, blake3 = excluded.blake3";
                    tx.execute(sql, row).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, PutMultipartOptions,
        PutOptions, PutPayload, PutResult,
    };

    use super::*;

    /// A new place in which every object is removed as soon as it was written, as by a clean-up; the
    /// old place loses it too when it is named here.
    #[derive(Debug)]
    struct Removing {
        new: InMemory,
        old: Option<Arc<InMemory>>,
    }

    impl fmt::Display for Removing {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Removing")
        }
    }

    #[async_trait]
    impl ObjectStore for Removing {
        async fn put_opts(
            &self,
            to: &Path,
            payload: PutPayload,
            options: PutOptions,
        ) -> object_store::Result<PutResult> {
            let done = self.new.put_opts(to, payload, options).await?;
            self.new.delete(to).await?;
            if let Some(old) = &self.old {
                old.delete(to).await?;
            }
            Ok(done)
        }

        async fn put_multipart_opts(
            &self,
            to: &Path,
            options: PutMultipartOptions,
        ) -> object_store::Result<Box<dyn MultipartUpload>> {
            self.new.put_multipart_opts(to, options).await
        }

        async fn get_opts(
            &self,
            from: &Path,
            options: GetOptions,
        ) -> object_store::Result<GetResult> {
            self.new.get_opts(from, options).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, object_store::Result<Path>>,
        ) -> BoxStream<'static, object_store::Result<Path>> {
            self.new.delete_stream(locations)
        }

        fn list(
            &self,
            prefix: Option<&Path>,
        ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
            self.new.list(prefix)
        }

        async fn list_with_delimiter(
            &self,
            prefix: Option<&Path>,
        ) -> object_store::Result<ListResult> {
            self.new.list_with_delimiter(prefix).await
        }

        async fn copy_opts(
            &self,
            from: &Path,
            to: &Path,
            options: CopyOptions,
        ) -> object_store::Result<()> {
            self.new.copy_opts(from, to, options).await
        }
    }

    /// Copies an object of an old place that loses it meanwhile, or keeps it.
    async fn copied(loses: bool) -> Result<Option<Copied>> {
        let (old, path) = (Arc::new(InMemory::new()), Path::from("a"));
        old.put(&path, "1".into()).await.expect("an object");
        let meta = old.head(&path).await.expect("an object");
        let new = Removing { new: InMemory::new(), old: loses.then(|| Arc::clone(&old)) };
        one(old.as_ref(), &new, meta).await
    }

    #[tokio::test]
    async fn an_object_that_is_removed_while_it_is_copied_is_left_out() {
        assert!(copied(true).await.expect("no error").is_none());
        let lost = copied(false).await.err().expect("the new place loses what is written");
        assert_eq!(lost.kind(), Kind::NotFound);
    }
}
