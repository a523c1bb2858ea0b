//! Opens a project after a crash and holds everything in it against what was acknowledged.
//!
//! In: the project as the crash left it, the rows before, and the diary. Out: what was found, and the
//! rows from now on; or an error that says what was lost, doubled, half there, not readable or left
//! behind. On the way it finishes what was cut off: imports go on, mutations are asked for again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow::record_batch::RecordBatch;
use base::ids::NodeId;
use base::rng::Rng;
use base::{Clock, Principal, Timestamp};
use frame::{Nearest, NearestQuery, Scan, ScanRequest, Search, Value, Write};
use futures::TryStreamExt as _;
use lake::place::Place;
use lake::store::LocalStore;
use lake::{Config, Lake, Limits};
use meta::Database;
use object_store::ObjectStore;
use testkit::ending_store::EndingStore;

use super::bank::{self, TYPES};
use super::diary::Operation;
use super::oracle::{self, Fate, Model, Said};
use super::places::{self, Bucket, FOLDER};
use super::reach;
use super::victim::{self, Nodes};

/// The warehouse of the tables' locations.
const WAREHOUSE: &str = "torture";
/// Rows that are asked for by their words and their vectors.
const ASKED: u64 = 2;
/// Snapshots of each table that are read whole.
const READ_SNAPSHOTS: usize = 2;
/// How far the clock of the clean-up is ahead: behind the end of every lease of the dead.
pub(super) const AHEAD: i64 = 2 * 3600 * 1_000_000;

/// A project in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    /// Where its objects may be besides.
    pub(crate) bucket: Option<Bucket>,
}

/// What was found after a crash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) acknowledged: u64,
    pub(crate) whole: u64,
    pub(crate) partly: u64,
    pub(crate) absent: u64,
    pub(crate) orphans: u64,
    pub(crate) snapshots: u64,
    pub(crate) tended: u64,
}

impl Project {
    /// Where the objects are.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join(FOLDER)
    }

    /// Opens the metadata database, which must sync every commit.
    pub(crate) async fn database(&self) -> Result<Database> {
        let url = format!("sqlite://{}", self.folder.join("meta.db").display());
        let database = Database::open(&url).await?;
        let row = database.query_one("SELECT synchronous FROM pragma_synchronous", &[]).await?;
        let level = row.context("the database does not say how it syncs")?.int("synchronous")?;
        ensure!(level >= 2, "the metadata database does not sync its commits (level {level})");
        Ok(database)
    }

    /// A lake over these objects.
    pub(crate) async fn lake(
        &self,
        objects: Arc<dyn ObjectStore>,
        database: Database,
        clock: Clock,
        rng: Rng,
    ) -> Result<Lake> {
        let config = Config {
            warehouse: WAREHOUSE.to_owned(),
            objects,
            database,
            clock,
            rng,
            limits: Limits::default(),
            compact: false,
            tends: true,
            retain: Duration::from_secs(7 * 24 * 3600),
            snapshots: None,
        };
        Ok(Lake::open(config, bank::schema()?).await?)
    }

    /// A lake over the project as it is.
    async fn plain(&self, clock: Clock) -> Result<Lake> {
        let (database, rng) = (self.database().await?, Rng::from_entropy());
        let Some(place) = self.place(database.clone()).await? else {
            let store = Arc::new(LocalStore::open(&self.objects())?);
            return self.lake(store, database, clock, rng).await;
        };
        let lake = self.lake(place.objects(), database, clock, rng).await?;
        lake.set_place(place);
        Ok(lake)
    }

    /// Where the objects of a project that moves are.
    pub(crate) async fn place(&self, database: Database) -> Result<Option<Place>> {
        let Some(bucket) = &self.bucket else { return Ok(None) };
        let local = Arc::new(LocalStore::open(&self.objects())?);
        let opener = bucket.opener(local, |store| store);
        let node = NodeId::generate(&Rng::from_entropy());
        Ok(Some(Place::open(database, node, FOLDER, opener).await?))
    }

    /// Makes the tables.
    pub(crate) async fn create(&self) -> Result<()> {
        let lake = self.plain(Clock::system()).await?;
        let schema = bank::schema()?;
        for type_name in TYPES {
            let step = schema::plan::Step::CreateTable { type_name: type_name.into() };
            lake.execute_step(&step, &schema::Schema::empty(), &schema, &|_| {}).await?;
        }
        Ok(())
    }

    /// Nodes over these objects of the folder, all of them at the same time; the bucket ends with
    /// `store`.
    pub(crate) async fn nodes(
        &self,
        objects: &Arc<dyn ObjectStore>,
        store: &EndingStore,
        clocks: [&Clock; 3],
        rng: &Rng,
    ) -> Result<Nodes> {
        let (mut lakes, mut places) = (Vec::new(), Vec::new());
        for clock in clocks {
            let database = self.database().await?;
            let rng = Rng::seeded(rng.next_u64());
            let Some(bucket) = &self.bucket else {
                lakes.push(self.lake(Arc::clone(objects), database, clock.clone(), rng).await?);
                continue;
            };
            let end = store.clone();
            let opener = bucket.opener(Arc::clone(objects), move |s| Arc::new(end.beside(s)));
            let node = NodeId::generate(&rng);
            let place = Place::open(database.clone(), node, FOLDER, opener).await?;
            let lake = self.lake(place.objects(), database, clock.clone(), rng).await?;
            lake.set_place(place.clone());
            lakes.push(lake);
            places.push(place);
        }
        let tender = lakes.pop().context("there are three nodes")?;
        Ok(Nodes { lakes, tender, places })
    }
}

/// One look at a project after a crash.
pub(crate) struct Verdict<'a> {
    pub(crate) project: &'a Project,
    pub(crate) said: &'a Said,
    pub(crate) clock: &'a Clock,
    pub(crate) rng: &'a Rng,
    /// Whether everything that nothing needs is removed, and looked for.
    pub(crate) clean: bool,
}

impl Found {
    /// Both together.
    pub(crate) fn plus(self, other: Found) -> Found {
        Found {
            acknowledged: self.acknowledged + other.acknowledged,
            whole: self.whole + other.whole,
            partly: self.partly + other.partly,
            absent: self.absent + other.absent,
            orphans: self.orphans + other.orphans,
            snapshots: self.snapshots + other.snapshots,
            tended: self.tended + other.tended,
        }
    }
}

impl Verdict<'_> {
    /// Looks; the model becomes what is there now.
    pub(crate) async fn reach(&self, model: &mut Model) -> Result<Found> {
        let database = self.project.database().await?;
        check_database(&database).await?;
        let objects = places::gather(self.project, &database).await?;
        reach::walk(&objects.charge, &database).await.context("before anything was done")?;
        let lake = self.project.plain(self.clock.clone()).await?;
        let rows = read_all(&lake).await?;
        let parts = reach::committed_parts(&database).await?;
        let fates = model.settle(self.said, &rows, &parts)?;
        let mut found = Found {
            acknowledged: self.said.done.len() as u64,
            tended: self.said.tended,
            ..Found::default()
        };
        for (_, fate) in &fates {
            match fate {
                Fate::Absent => found.absent += 1,
                Fate::Partly(_) => found.partly += 1,
                Fate::Whole => found.whole += 1,
            }
        }
        found.snapshots = self.snapshots(&lake).await?;
        self.ask(&lake, model).await?;
        self.finish(&lake, model, &fates).await.context("failed to finish what was cut off")?;
        compare(&lake, model).await.context("after what was cut off was finished")?;
        if self.clean {
            found.orphans = self.clean_up(model).await?;
        }
        Ok(found)
    }

    /// Acknowledged snapshots are listed, and listed ones can be read.
    async fn snapshots(&self, lake: &Lake) -> Result<u64> {
        let mut count = 0;
        for type_name in TYPES {
            let listed = lake.snapshots(type_name).await?;
            count += listed.len() as u64;
            for (operation, snapshot) in &self.said.done {
                let is_listed = listed.iter().any(|one| one.id == *snapshot);
                ensure!(
                    operation.type_name != type_name || *snapshot == 0 || is_listed,
                    "snapshot {snapshot} of `{type_name}` is gone, and its time is not over"
                );
            }
            for _ in 0..READ_SNAPSHOTS.min(listed.len()) {
                let one = &listed[self.rng.below(listed.len() as u64) as usize];
                let rows = bank::read(lake, type_name, Some(one.id)).await;
                let rows = rows.with_context(|| format!("snapshot {} of `{type_name}`", one.id))?;
                ensure!(
                    rows.len() as u64 == one.rows,
                    "snapshot {} of `{type_name}` has {} rows and says {}",
                    one.id,
                    rows.len(),
                    one.rows
                );
            }
        }
        Ok(count)
    }

    /// Rows of a drawn type are found by their words and their vectors, or with their pictures.
    async fn ask(&self, lake: &Lake, model: &Model) -> Result<()> {
        let type_name = TYPES[self.rng.below(TYPES.len() as u64) as usize];
        if bank::is_photo(type_name) {
            return bank::check_pictures(lake, &model.rows(type_name)).await;
        }
        let rows: Vec<(String, i64)> = model.rows(type_name).into_iter().collect();
        for _ in 0..ASKED.min(rows.len() as u64) {
            let (id, mark) = &rows[self.rng.below(rows.len() as u64) as usize];
            let mut request = ScanRequest::new(type_name, ["id"], Principal::local());
            let query = NearestQuery::Vectors(vec![bank::spot(*mark)]);
            request.nearest = Some(Nearest { field: "spot".into(), query, count: 1, exact: true });
            expect(lake, request, id, "its vector").await?;
            if bank::is_searched(type_name) {
                let mut request = ScanRequest::new(type_name, ["id"], Principal::local());
                request.search = Some(Search { fields: vec![], text: bank::word(*mark) });
                expect(lake, request, id, "its word").await?;
            }
        }
        Ok(())
    }

    /// Imports go on, mutations with a key are asked for again, and neither happens twice.
    async fn finish(
        &self,
        lake: &Lake,
        model: &mut Model,
        fates: &[(Operation, Fate)],
    ) -> Result<()> {
        for (operation, fate) in fates {
            if let Some(file) = &operation.file {
                let request = victim::import_request(operation, Path::new(file));
                let report = lake.import(request, &mut |_| {}).await?;
                ensure!(
                    report.rows == operation.rows.len() as u64,
                    "an import that went on says {} rows of {}",
                    report.rows,
                    operation.rows.len()
                );
                model.apply(operation);
            } else if operation.key.is_some() {
                let receipt = lake.write(victim::request(lake, operation).await?).await?;
                ensure!(
                    receipt.replayed || *fate == Fate::Absent,
                    "a mutation that is there was made again"
                );
                model.apply(operation);
            }
        }
        let keyed = self.said.done.iter().rev().filter(|(one, _)| one.key.is_some());
        for (operation, snapshot) in keyed.take(2) {
            let receipt = lake.write(victim::request(lake, operation).await?).await?;
            ensure!(
                receipt.replayed && receipt.snapshot == *snapshot,
                "an acknowledged mutation of `{}` ({:?}) was made again: {receipt:?}, not {snapshot}",
                operation.type_name,
                operation.kind
            );
        }
        Ok(())
    }

    /// Removes what nothing needs; afterwards the objects are those that metadata reaches.
    async fn clean_up(&self, model: &Model) -> Result<u64> {
        let now = self.clock.now().max(Clock::system().now());
        let later = Clock::fixed(Timestamp::from_micros(now.as_micros() + AHEAD));
        let lake = self.project.plain(later).await?;
        let cleaned = lake.clean_orphans(Duration::ZERO).await?;
        let objects = places::gather(self.project, lake.catalog().database()).await?;
        let reached = reach::walk(&objects.charge, lake.catalog().database()).await?;
        let left = reach::orphans(&objects.all, &reached)?;
        ensure!(
            left.is_empty(),
            "the clean-up left {} objects that nothing needs: {:?}",
            left.len(),
            left.iter().take(5).collect::<Vec<_>>()
        );
        let lake = self.project.plain(self.clock.clone()).await?;
        compare(&lake, model).await.context("after the clean-up")?;
        self.ask(&lake, model).await.context("after the clean-up")?;
        Ok(cleaned.files)
    }
}

async fn check_database(database: &Database) -> Result<()> {
    let sql = "SELECT integrity_check FROM pragma_integrity_check";
    let row = database.query_one(sql, &[]).await?.context("no answer about the database")?;
    let said = row.text("integrity_check")?;
    ensure!(said == "ok", "the metadata database is damaged: {said}");
    Ok(())
}

async fn read_all(lake: &Lake) -> Result<BTreeMap<String, oracle::Rows>> {
    let mut all = BTreeMap::new();
    for type_name in TYPES {
        let rows = bank::read(lake, type_name, None).await;
        all.insert(
            type_name.to_owned(),
            rows.with_context(|| format!("failed to read `{type_name}`"))?,
        );
    }
    Ok(all)
}

async fn compare(lake: &Lake, model: &Model) -> Result<()> {
    for (type_name, rows) in read_all(lake).await? {
        oracle::same(&type_name, &model.rows(&type_name), &rows)?;
    }
    Ok(())
}

/// The request gives exactly this row.
async fn expect(lake: &Lake, request: ScanRequest, id: &str, by: &str) -> Result<()> {
    let type_name = request.table.to_string();
    let batches: Vec<RecordBatch> = lake.scan(request).await?.try_collect().await?;
    let mut ids = Vec::new();
    for batch in &batches {
        let column = batch.column(0).as_ref();
        ids.extend(frame::convert::values_of(column, &frame::DataType::String)?);
    }
    let is_found = matches!(ids.as_slice(), [Value::String(only)] if only.as_ref() == id);
    ensure!(is_found, "row `{id}` of `{type_name}` is not found by {by}: {ids:?}");
    Ok(())
}
