//! The two places between which a project moves: its folder `objects`, and a prefix of a bucket.
//!
//! In: a project, and the server of the bucket. Out: an opener of both; and everything that lies in
//! them as one folder, when what must always hold between them does: what is in both is the same, and
//! where no move is under way one of them is empty. Not here: moving (`moving`), what the objects are
//! (`reach`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use lake::place::Opener;
use lake::store::open_s3;
use meta::Database;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use testkit::Seaweed;
use tokio::sync::OnceCell;

use super::reach::{self, Objects};
use super::verdict::Project;

/// The name of the place that is a folder.
pub(crate) const FOLDER: &str = "objects";
/// Objects that are fetched at the same time.
const AT_ONCE: usize = 8;

/// A part of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) endpoint: String,
    /// `s3://bucket/prefix`.
    pub(crate) place: String,
    /// Its client, once it was asked for; clones share it, because each new one reads all certificates
    /// of the machine.
    store: Arc<OnceCell<Arc<dyn ObjectStore>>>,
}

impl Bucket {
    /// A new one of the server that this process starts.
    pub(crate) fn new() -> Result<Bucket> {
        let server = Seaweed::shared();
        let server = server.context("SeaweedFS is not installed; run `cargo xtask setup`")?;
        Ok(Bucket::at(server.endpoint(), format!("s3://{}", server.new_bucket())))
    }

    /// One that another process knows of.
    pub(crate) fn at(endpoint: String, place: String) -> Bucket {
        Bucket { endpoint, place, store: Arc::default() }
    }

    /// A part of this one.
    pub(crate) fn below(&self, name: &str) -> Bucket {
        Bucket::at(self.endpoint.clone(), format!("{}/{name}", self.place))
    }

    async fn open(&self) -> base::Result<Arc<dyn ObjectStore>> {
        let options = crate::s3::options(&self.endpoint);
        let open = || open_s3(&self.place, &options);
        self.store.get_or_try_init(open).await.map(Arc::clone)
    }

    /// Opens either place: the folder is `local`, and `around` is put around the bucket.
    pub(crate) fn opener(
        &self,
        local: Arc<dyn ObjectStore>,
        around: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static,
    ) -> Opener {
        let (bucket, around) = (self.clone(), Arc::new(around));
        Arc::new(move |name| {
            let (bucket, local, around) = (bucket.clone(), Arc::clone(&local), Arc::clone(&around));
            async move {
                if name == FOLDER { Ok(local) } else { bucket.open().await.map(|s| around(s)) }
            }
            .boxed()
        })
    }
}

/// All objects of a project as files.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// Every object, wherever it lies.
    pub(crate) all: PathBuf,
    /// Those of the place that must have everything that is needed.
    pub(crate) charge: PathBuf,
    _copy: Option<tempfile::TempDir>,
}

/// Brings the objects together.
pub(crate) async fn gather(project: &Project, database: &Database) -> Result<Gathered> {
    let local = project.objects();
    let Some(bucket) = &project.bucket else {
        return Ok(Gathered { all: local.clone(), charge: local, _copy: None });
    };
    let (phase, place) = row(database).await?;
    let copy = tempfile::tempdir_in(&project.folder)?;
    let remote = copy.path().join("bucket");
    let there = download(bucket.open().await?.as_ref(), &remote).await?;
    let here = reach::present(&local)?;
    let (charge, others) = if place == FOLDER { (&local, &there) } else { (&remote, &here) };
    if phase == "settled" {
        ensure!(
            others.is_empty(),
            "the objects are in `{place}` and nothing moves, but {} are left elsewhere: {:?}",
            others.len(),
            others.iter().take(3).collect::<Vec<_>>()
        );
        return Ok(Gathered { all: charge.clone(), charge: charge.clone(), _copy: Some(copy) });
    }
    let all = copy.path().join("all");
    for path in &here {
        link(&local, path, &all)?;
        let same = !there.contains(path) || read(&local, path)? == read(&remote, path)?;
        ensure!(same, "`{path}` has other bytes in the one place than in the other");
    }
    for path in there.difference(&here) {
        link(&remote, path, &all)?;
    }
    // After the switch, what was written before it may be in the old place only.
    let charge = if phase == "copying" { charge.clone() } else { all.clone() };
    Ok(Gathered { all, charge, _copy: Some(copy) })
}

/// How far a move is, and which place takes writes.
async fn row(database: &Database) -> Result<(String, String)> {
    let sql = "SELECT phase, place FROM lake_place WHERE one = 1";
    match database.query_one(sql, &[]).await? {
        Some(row) => Ok((row.text("phase")?, row.text("place")?)),
        None => Ok(("settled".to_owned(), FOLDER.to_owned())),
    }
}

async fn download(store: &dyn ObjectStore, target: &Path) -> Result<Objects> {
    std::fs::create_dir_all(target)?;
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await?;
    let fetch = |meta: ObjectMeta| async move {
        let bytes = store.get(&meta.location).await?.bytes().await?;
        let path = target.join(meta.location.as_ref());
        let Some(folder) = path.parent() else { bail!("`{}` has no folder", meta.location) };
        std::fs::create_dir_all(folder)?;
        std::fs::write(path, bytes)?;
        Ok(meta.location.to_string())
    };
    let names: BTreeSet<String> =
        futures::stream::iter(listed).map(fetch).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(names)
}

fn read(folder: &Path, path: &str) -> Result<Vec<u8>> {
    std::fs::read(folder.join(path)).with_context(|| format!("failed to read `{path}`"))
}

fn link(folder: &Path, path: &str, all: &Path) -> Result<()> {
    let target = all.join(path);
    if let Some(above) = target.parent() {
        std::fs::create_dir_all(above)?;
    }
    Ok(std::fs::hard_link(folder.join(path), target)?)
}
