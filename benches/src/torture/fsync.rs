//! A crash that keeps what was synced and nothing else: everything acknowledged must be there.
//!
//! In: a seed. A lake runs random writes over a local store whose every sync is recorded; at a
//! random moment the recorded state and the database are copied aside, as a power failure would
//! leave them, and opened again. With the sabotage `skip-fsync` the store acknowledges without
//! syncing, which must be caught.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use base::Principal;
use base::rng::Rng;
use frame::{Value, Write, WriteOp, WriteRequest};
use lake::Lake;
use lake::store::{Durability, LocalStore};
use meta::Database;
use schema::plan::Step;
use testkit::unsynced_store::UnsyncedFolder;

use crate::ledger::{self, Rows};

/// One run; says what it did.
pub(crate) async fn run(seed: u64, sabotage: Option<&str>) -> Result<String> {
    let rng = Rng::seeded(seed);
    let folder = tempfile::tempdir()?;
    let objects = folder.path().join("objects");
    std::fs::create_dir_all(&objects)?;
    let watched = Arc::new(UnsyncedFolder::new(&objects)?);
    let durability = match sabotage {
        None => watch(&watched),
        Some("skip-fsync") => Durability::Skip,
        Some(other) => bail!("this suite cannot sabotage `{other}`; it can `skip-fsync`"),
    };
    let database = open_database(&folder.path().join("meta.db")).await?;
    let store = Arc::new(LocalStore::open_with(&objects, durability)?);
    let lake = ledger::open(store, database.clone(), rng.clone()).await?;
    create(&lake).await?;

    let mut expected = Rows::new();
    let writes = 1 + rng.below(12);
    for _ in 0..writes {
        write(&lake, &rng, &mut expected).await?;
    }

    // The power fails here: what was acknowledged is in `expected`.
    let after = tempfile::tempdir()?;
    let survivors = after.path().join("objects");
    std::fs::create_dir_all(&survivors)?;
    watched.crash(&survivors)?;
    database.snapshot_to(&after.path().join("meta.db")).await?;
    let found =
        reopen(after.path(), &survivors, rng).await.context("failed to read after the crash")?;
    ensure!(
        found == expected,
        "lost or changed: expected {} rows, found {}",
        expected.len(),
        found.len()
    );
    Ok(format!("{writes} writes, {} rows", expected.len()))
}

fn watch(folder: &Arc<UnsyncedFolder>) -> Durability {
    let folder = Arc::clone(folder);
    Durability::Watched(Arc::new(move |path: &Path| folder.synced(path)))
}

async fn open_database(path: &Path) -> Result<Database> {
    Ok(Database::open(&format!("sqlite://{}", path.display())).await?)
}

async fn create(lake: &Lake) -> Result<()> {
    let schema = ledger::schema()?;
    let step = Step::CreateTable { type_name: ledger::TYPE.into() };
    lake.execute_step(&step, &schema::Schema::empty(), &schema, &|_| {}).await?;
    Ok(())
}

/// One random write, and the same to the model once it is acknowledged.
async fn write(lake: &Lake, rng: &Rng, expected: &mut Rows) -> Result<()> {
    let mut rows = Rows::new();
    for _ in 0..=rng.below(20) {
        let id = format!("a{}", rng.below(40));
        rows.insert(id, (rng.below(1000) as i64, (rng.below(2) == 0).then(|| "note".to_owned())));
    }
    let is_delete = rng.below(4) == 0;
    let op = if is_delete {
        WriteOp::Delete(rows.keys().map(|id| vec![Value::from(id.as_str())]).collect())
    } else {
        WriteOp::Upsert(vec![ledger::batch(&rows)?])
    };
    let request = WriteRequest {
        table: ledger::TYPE.into(),
        op,
        idempotency_key: None,
        principal: Principal::local(),
    };
    lake.write(request).await?;
    for (id, row) in rows {
        if is_delete {
            expected.remove(&id);
        } else {
            expected.insert(id, row);
        }
    }
    Ok(())
}

async fn reopen(folder: &Path, objects: &Path, rng: Rng) -> Result<Rows> {
    let database = open_database(&folder.join("meta.db")).await?;
    let store = Arc::new(LocalStore::open(objects)?);
    let lake = ledger::open(store, database, rng).await?;
    ledger::read(&lake, None).await
}
