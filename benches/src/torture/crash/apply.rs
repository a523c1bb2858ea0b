//! `headwater apply`, ended in the middle of schema changes of every kind, and resumed.
//!
//! ```text
//! version n → apply of n + 1 → the end → rows as n or n + 1 says → apply --resume → rows as n + 1 says
//! ```
//!
//! In: a seed. Out: what was found. To be killed, the real binary runs on a real project; its end comes
//! once so many objects and pages of the metadata's log were written, as seen from outside, or at a
//! random time. To go dark, the same operation runs in this process over a folder of which only what
//! was synced survives; its end comes at a counted change of that folder, up to 25 ms after one, or at a
//! random time. The real binary resumes either. Not here: what a plan is (`schema::plan`), everything
//! else that dies (`victim`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow::record_batch::RecordBatch;
use base::rng::Rng;
use base::{Clock, Principal, Timestamp};
use frame::{DataType, Field, Scan, ScanRequest, Value};
use futures::{FutureExt as _, TryStreamExt as _};
use lake::place::Opener;
use lake::{Config, Lake};
use meta::Database;
use object_store::ObjectStore;
use schema::Schema;
use serde_json::json;
use server::{Project, Settings, operations};
use testkit::ending_store::{EndingStore, Moment};

use super::session::{LATER, unsynced};
use super::verdict::{AHEAD, Found};
use super::{Way, reach};

/// Rows of each type.
const ROWS: i64 = 60;
/// Written things among which a counted end is drawn: an apply writes 7 to 18 objects and about 30
/// pages.
const WRITTEN: u64 = 45;
/// The longest life that is not counted: an apply takes a third of it on an idle machine.
const LONGEST: Duration = Duration::from_millis(800);
/// Changing calls among which the end of a dark life is drawn.
const CALLS: u64 = 16;
/// The longest dark life that is not counted; it needs no process.
const LONGEST_DARK: Duration = Duration::from_millis(400);
/// The longest dark life whose end is counted.
const COUNTED_DARK: Duration = Duration::from_secs(20);
/// Between two looks.
const INTERVAL: Duration = Duration::from_micros(500);
/// Bytes of a page of the metadata's log.
const PAGE: u64 = 4096;
/// What the plans may lose.
const LOSSES: &str = "Thing.kind,Thing.size,Card.extra";

/// The file of the types.
const SCHEMA_FILE: &str = "shop.graphql";

/// The types, version by version; the one after the last is the first, with the names it has lost.
const VERSIONS: [(&str, &str); 6] = [
    ("bucket: { by: \"id\", count: 2 }", "size: Int note: String | note: String"),
    (
        "bucket: { by: \"id\", count: 2 }",
        "size: Long note: String kind: String! @column(default: \"'plain'\") | note: String extra: String",
    ),
    (
        "bucket: { by: \"id\", count: 2 }",
        "size: Long text: String @was(name: \"note\") @search kind: String! @column(default: \"'plain'\") | text: String @was(name: \"note\") extra: String",
    ),
    (
        "bucket: { by: \"id\", count: 3 }, sort: \"mark\"",
        "size: Long text: String @search kind: String! @column(default: \"'plain'\") | text: String extra: String",
    ),
    (
        "bucket: { by: \"id\", count: 3 }, sort: \"mark\"",
        "size: String text: String @search | text: String",
    ),
    (
        "bucket: { by: \"id\", count: 2 }",
        "size: Int note: String @was(name: \"text\") | note: String @was(name: \"text\")",
    ),
];

/// The text of a version.
fn sdl(version: usize) -> String {
    let (layout, fields) = VERSIONS[version];
    let (thing, card) = fields.split_once(" | ").unwrap_or((fields, ""));
    format!(
        "extend schema @module(name: \"shop\", owner: \"shop\")\n\
         type Thing @key(fields: \"id\") @table(format: ICEBERG, plural: \"things\", {layout}) {{\n\
         id: ID! mark: Long! {thing} }}\n\
         type Card @key(fields: \"id\") @table(format: LANCE, plural: \"cards\") {{\n\
         id: ID! mark: Long! {card} }}\n"
    )
}

/// The version after this one: the last has the fields of the first.
fn next(version: usize) -> usize {
    if version + 1 < VERSIONS.len() { version + 1 } else { 1 }
}

/// A project whose schema changes from life to life.
pub(super) struct Shop {
    way: Way,
    folder: tempfile::TempDir,
    /// Which folder of that one holds the project now: each dark end leaves a new one.
    number: u64,
    rng: Rng,
    version: usize,
    lived: u64,
}

impl Shop {
    pub(super) async fn new(way: Way, seed: u64) -> Result<Shop> {
        let (folder, rng) = (tempfile::tempdir()?, Rng::seeded(seed));
        let shop = Shop { way, folder, number: 0, rng, version: 0, lived: 0 };
        shop.write_schema(0)?;
        ok(&shop.headwater(&["apply", "--yes"])?)?;
        for type_name in ["Thing", "Card"] {
            let size = if type_name == "Thing" { ",size" } else { "" };
            let mut text = format!("id,mark,note{size}\n");
            for mark in 0..ROWS {
                let size = if size.is_empty() { String::new() } else { format!(",{}", mark % 7) };
                text.push_str(&format!("r{mark},{mark},note {mark}{size}\n"));
            }
            let file = format!("{type_name}.csv");
            fs::write(shop.path().join(&file), text)?;
            ok(&shop.headwater(&["import", type_name, &file])?)?;
        }
        Ok(shop)
    }

    /// Lives that were survived.
    pub(super) fn lived(&self) -> u64 {
        self.lived
    }

    /// Leaves the folder for a look; gives where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.number.to_string())
    }

    fn state(&self) -> PathBuf {
        self.path().join(".headwater")
    }

    fn write_schema(&self, version: usize) -> Result<()> {
        let folder = self.path().join("schema");
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(SCHEMA_FILE), sdl(version))?)
    }

    fn headwater(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command()?;
        command.args(arguments).output().context("failed to start the binary")
    }

    fn command(&self) -> Result<Command> {
        let own = std::env::current_exe()?;
        let binary = own.parent().context("this program has no folder")?.join("headwater");
        let mut command = Command::new(binary);
        command.current_dir(self.path()).stdin(Stdio::null());
        Ok(command)
    }

    /// One apply, its end, and what is found then.
    pub(super) async fn life(&mut self) -> Result<Found> {
        let wanted = next(self.version);
        let ended = match self.way {
            Way::Killed => {
                self.write_schema(wanted)?;
                self.be_killed().await?
            }
            Way::Dark => {
                let ended = self.go_dark(wanted).await?;
                self.write_schema(wanted)?;
                ended
            }
        };
        self.forget_leases().await?;
        self.check().await.context("after the end, before it was resumed")?;
        let resumed = self.headwater(&["apply", "--resume"])?;
        let said = String::from_utf8_lossy(&resumed.stderr).into_owned();
        ensure!(
            resumed.status.success() || said.contains("no apply was interrupted"),
            "the apply was not resumed: {said}"
        );
        ok(&self.headwater(&["apply", "--yes", "--allow-destructive", LOSSES])?)?;
        let mut found = self.check().await.context("after it was resumed")?;
        let project = self.project().await?;
        let deployed = &project.live().deployed.schema;
        let is_there = deployed.modules.iter().any(|module| module.text.as_ref() == sdl(wanted));
        ensure!(is_there, "the deployed schema is not the one that was applied");
        found.whole = u64::from(resumed.status.success());
        found.tended = u64::from(ended);
        found.absent = u64::from(!ended && !resumed.status.success());
        found.orphans = clean_up(&project.lake, &self.state()).await?;
        drop(project);
        self.check().await.context("after the clean-up")?;
        self.version = wanted;
        self.lived += 1;
        Ok(found)
    }

    /// Gives whether the apply had ended before.
    async fn be_killed(&self) -> Result<bool> {
        let mut command = self.command()?;
        command.args(["apply", "--yes", "--allow-destructive", LOSSES]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let counted = self.rng.below(3) > 0;
        let count = written(&self.state())? + 1 + self.rng.below(WRITTEN);
        let limit = Duration::from_micros(self.rng.below(LONGEST.as_micros() as u64));
        let started = Instant::now();
        let mut child = command.spawn().context("failed to start the binary")?;
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.code().is_none_or(|code| code == 0), "the apply failed: {status}");
                return Ok(status.success());
            }
            let is_over =
                if counted { written(&self.state())? >= count } else { started.elapsed() >= limit };
            if is_over {
                child.kill()?;
                child.wait()?;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Applies the version in this process until the power fails; the project goes on in a new folder.
    /// Gives whether the apply had ended before.
    async fn go_dark(&mut self, wanted: usize) -> Result<bool> {
        let counted = self.rng.below(3) > 0;
        let call = if counted { 1 + self.rng.below(CALLS) } else { 0 };
        let later =
            Duration::from_micros(self.rng.below(2) * self.rng.below(LATER.as_micros() as u64));
        let moment = Moment { call, before: self.rng.below(2) == 0, later };
        let limit = LONGEST_DARK.as_micros() as u64;
        let limit =
            if counted { COUNTED_DARK } else { Duration::from_micros(self.rng.below(limit)) };
        let (folder, store) = unsynced(&self.state().join("objects"), moment)?;
        let mut applying = self.apply_over(&store, wanted).await?;
        let ended = tokio::select! {
            done = &mut applying => done?.map(|()| true)?,
            () = store.ended() => false,
            () = tokio::time::sleep(limit) => false,
        };
        store.end();
        if !applying.is_finished() {
            applying.abort();
            let _stopped = (&mut applying).await;
        }
        let before = self.state();
        self.number += 1;
        fs::create_dir_all(self.state().join("objects"))?;
        let database = format!("sqlite://{}", before.join("meta.db").display());
        let database = Database::open(&database).await?;
        database.snapshot_to(&self.state().join("meta.db")).await?;
        folder.crash(&self.state().join("objects"))?;
        store.release();
        Ok(ended)
    }

    /// An apply of the version over this store.
    async fn apply_over(
        &self,
        store: &EndingStore,
        version: usize,
    ) -> Result<base::task::Task<Result<()>>> {
        let objects: Arc<dyn ObjectStore> = Arc::new(store.clone());
        let opener: Opener = Arc::new(move |_| {
            let objects = Arc::clone(&objects);
            async move { Ok(objects) }.boxed()
        });
        let path = self.path();
        let project = Project::open_with(&path, Settings::read(&path)?, opener).await?;
        let losses: Vec<&str> = LOSSES.split(',').collect();
        let request = json!({
            "schema": { "files": [[SCHEMA_FILE, sdl(version)]] },
            "allowDestructive": losses,
        });
        Ok(base::task::spawn("apply until the end", async move {
            let (principal, mut report) = (Principal::local(), |_| {});
            let done = operations::call(&project, &principal, "apply", request, &mut report).await;
            done.map(|_| ()).map_err(|error| anyhow::anyhow!("the apply failed: {error:?}"))
        }))
    }

    async fn project(&self) -> Result<Project> {
        Ok(Project::open(&self.path(), Settings::read(&self.path())?).await?)
    }

    /// What time does for leases of the dead: half a minute passes.
    async fn forget_leases(&self) -> Result<()> {
        let project = self.project().await?;
        project.database.execute("UPDATE meta_leases SET expires_at = 0", &[]).await?;
        Ok(())
    }

    /// All rows are there as the deployed schema says, and so are all objects.
    async fn check(&self) -> Result<Found> {
        let project = self.project().await?;
        let schema = Arc::clone(&project.live().deployed.schema);
        let mut found = Found { acknowledged: 1, ..Found::default() };
        for type_name in ["Thing", "Card"] {
            check_rows(&project.lake, &schema, type_name).await?;
            for snapshot in project.lake.snapshots(type_name).await? {
                found.snapshots += 1;
                ensure!(snapshot.rows == ROWS as u64, "snapshot {} has other rows", snapshot.id);
            }
        }
        reach::walk(&self.state().join("objects"), &project.database).await?;
        Ok(found)
    }
}

/// How much was written, as seen from outside: objects and pages.
fn written(state: &Path) -> Result<u64> {
    let objects = reach::present(&state.join("objects"))?.len() as u64;
    let log = fs::metadata(state.join("meta.db-wal")).map_or(0, |log| log.len() / PAGE);
    Ok(objects + log)
}

fn ok(output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the binary failed: {said}");
    Ok(())
}

async fn check_rows(lake: &Lake, schema: &Schema, type_name: &str) -> Result<()> {
    let (_, object) = schema.type_named(type_name).context("the type is not deployed")?;
    let fields: Vec<Field> = object
        .columns()
        .map(|(def, spec)| Field::new(Arc::clone(&def.name), spec.data_type.clone(), def.nullable))
        .collect();
    let names: Vec<Arc<str>> = fields.iter().map(|field| Arc::clone(&field.name)).collect();
    let request = ScanRequest::new(type_name, names, Principal::local());
    let batches: Vec<RecordBatch> = lake.scan(request).await?.try_collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(frame::convert::rows_of(batch, &fields)?);
    }
    rows.sort();
    let mut expected: Vec<Vec<Value>> =
        (0..ROWS).map(|mark| fields.iter().map(|field| value(field, mark)).collect()).collect();
    expected.sort();
    ensure!(
        rows == expected,
        "`{type_name}` has {} rows of {ROWS}, or others: {:?}, not {:?}",
        rows.len(),
        rows.iter().find(|row| !expected.contains(row)),
        expected.iter().find(|row| !rows.contains(row))
    );
    Ok(())
}

/// What a field of the row with this mark must hold, by its present name and type.
fn value(field: &Field, mark: i64) -> Value {
    match field.name.as_ref() {
        "id" => Value::from(format!("r{mark}").as_str()),
        "mark" => Value::Int(mark),
        "size" if field.data_type == DataType::String => {
            Value::from((mark % 7).to_string().as_str())
        }
        "size" => Value::Int(mark % 7),
        "kind" => Value::from("plain"),
        "extra" => Value::Null,
        _ => Value::from(format!("note {mark}").as_str()),
    }
}

/// Removes what nothing needs; afterwards the objects are those that metadata reaches.
async fn clean_up(lake: &Lake, state: &Path) -> Result<u64> {
    let at = Clock::system().now().as_micros() + AHEAD;
    let clock = Clock::fixed(Timestamp::from_micros(at));
    let config = Config { clock, ..lake.config().clone() };
    let later = Lake::open(config, lake.schema()).await?;
    let cleaned = later.clean_orphans(Duration::ZERO).await?;
    let objects = state.join("objects");
    let reached = reach::walk(&objects, later.catalog().database()).await?;
    let left = reach::orphans(&objects, &reached)?;
    ensure!(left.is_empty(), "the clean-up left {} objects: {:?}", left.len(), left.first());
    Ok(cleaned.files)
}
