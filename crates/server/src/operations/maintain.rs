//! Operations on tables as a whole: status, tables, snapshots, rollback, compact, backup, restore.

use std::path::Path;

use base::{Error, Principal, Result};
use futures::FutureExt;
use lake::backup::BackupReport;
use lake::place::{self, MoveReport, Phase};
use lake::{Snapshot, Table};
use mesh::transport::Health;
use parking_lot::Mutex;

use super::Report;
use crate::project::Project;
use crate::settings::{FILE as SETTINGS, Secrets, Settings};
use crate::wire::{
    BackupAnswer, BackupRequest, CompactAnswer, CompactRequest, ErrorBody, MoveAnswer, MoveRequest,
    OfType, Progress, RollbackRequest, SchemaText, SnapshotInfo, SourceState, StatusAnswer,
    TableDebt, TableInfo, UpgradeAnswer,
};

pub(super) async fn status(project: &Project) -> Result<StatusAnswer, ErrorBody> {
    let live = project.live();
    let tables = project.lake.status().await?;
    Ok(StatusAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_version: live.deployed.version,
        fingerprint: live.deployed.schema.fingerprint.to_string(),
        pending_changes: has_pending_changes(project),
        bytes: tables.iter().map(|table| table.bytes + table.beside_bytes).sum(),
        tables: tables
            .iter()
            .map(|debt| TableDebt {
                type_name: debt.type_name.to_string(),
                rows: debt.rows,
                files: debt.files,
                small_files: debt.small_files,
                delete_files: debt.delete_files,
                expired_snapshots: debt.expired_snapshots,
                unindexed_rows: debt.unindexed_rows,
                orphan_bytes: debt.orphan_bytes,
            })
            .collect(),
        running: running(project).await?,
        metadata: if project.database.is_postgres() { "postgres" } else { "sqlite" }.to_owned(),
        objects: project.place.stored().await?.place,
        sources: project.services.health().iter().map(source).collect(),
    })
}

fn source(health: &Health) -> SourceState {
    let ended: u64 = health.latency.counts.iter().sum();
    let millis = health.latency.sum_micros as f64 / 1e3;
    SourceState {
        name: health.source.clone(),
        calls: health.calls,
        failed: health.errors.all(),
        mean_millis: if ended == 0 { 0.0 } else { millis / ended as f64 },
        in_flight: (health.in_flight + health.queued) as u64,
        breaker: super::sources::breaker(health.breaker).to_owned(),
    }
}

/// Whether the schema folder holds another schema than the deployed one; files that do not compile
/// differ, too.
fn has_pending_changes(project: &Project) -> bool {
    let Ok(sources) = schema::load::read_folder(&project.schema_folder()) else {
        return false;
    };
    match schema::compile(&sources) {
        Ok(schema) => schema.fingerprint != project.live().deployed.schema.fingerprint,
        Err(_) => true,
    }
}

async fn running(project: &Project) -> Result<Vec<String>> {
    let sql = "SELECT author, steps_done, paused FROM server_applies WHERE finished_at IS NULL";
    let mut lines = Vec::new();
    for row in project.database.query(sql, &[]).await? {
        let (author, done) = (row.text("author")?, row.int("steps_done")?);
        let state = match row.int("paused")? {
            0 => "",
            _ => ", paused: `headwater apply --resume` goes on",
        };
        lines.push(format!("apply by {author}, {done} steps done{state}"));
    }
    if let Some(version) = crate::apply::served(project).await? {
        lines.push(format!(
            "schema version {version} is still served: `headwater apply --contract` ends that"
        ));
    }
    lines.extend(moving(&project.place.stored().await?));
    for one in project.lake.running().await? {
        let (type_name, doing, since) = (&one.type_name, &one.doing, one.since);
        lines.push(format!("maintenance of {type_name} since {since}: {doing}"));
    }
    Ok(lines)
}

/// A move of the objects, in words.
fn moving(stored: &place::Stored) -> Option<String> {
    let (place, other) = (&stored.place, &stored.other);
    match stored.phase {
        Phase::Settled => None,
        Phase::Copying => Some(format!("moving the objects from {place} to {other}")),
        Phase::Switched => Some(format!(
            "the objects are at {place}; those at {other} are kept until \
             `headwater migrate-store --finish`"
        )),
    }
}

pub(super) async fn tables(project: &Project) -> Result<Vec<TableInfo>, ErrorBody> {
    let schema = project.lake.schema();
    let mut answer = Vec::new();
    for table in project.lake.tables().await? {
        let snapshots = project.lake.snapshots(&table.type_name).await?;
        let owner = schema
            .type_named(&table.type_name)
            .map_or_else(String::new, |(_, object)| object.owner.to_string());
        let beside = project.lake.beside_bytes(&table).await?;
        answer.push(table_info(&table, &snapshots, beside, owner));
    }
    Ok(answer)
}

fn table_info(table: &Table, snapshots: &[Snapshot], beside: u64, owner: String) -> TableInfo {
    let current = current(table, snapshots);
    TableInfo {
        type_name: table.type_name.to_string(),
        name: table.name.to_string(),
        module: table.namespace.to_string(),
        owner,
        format: format!("{:?}", table.format).to_uppercase(),
        rows: current.map_or(0, |snapshot| snapshot.rows),
        bytes: beside + current.map_or(0, |snapshot| snapshot.bytes),
        files: current.map_or(0, |snapshot| snapshot.files),
        snapshots: snapshots.len() as u64,
        changed_at: current.map(|snapshot| snapshot.at.to_string()),
    }
}

fn current<'a>(table: &Table, snapshots: &'a [Snapshot]) -> Option<&'a Snapshot> {
    snapshots.iter().find(|snapshot| snapshot.id == table.snapshot_id())
}

pub(super) async fn snapshots(
    project: &Project,
    request: OfType,
) -> Result<Vec<SnapshotInfo>, ErrorBody> {
    let table = project.lake.table(&request.type_name).await?;
    let mut snapshots = project.lake.snapshots(&request.type_name).await?;
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.at, snapshot.id)));
    Ok(snapshots.iter().map(|snapshot| snapshot_info(&table, snapshot)).collect())
}

fn snapshot_info(table: &Table, snapshot: &Snapshot) -> SnapshotInfo {
    SnapshotInfo {
        id: snapshot.id.to_string(),
        at: snapshot.at.to_string(),
        operation: snapshot.operation.to_string(),
        rows: snapshot.rows,
        bytes: snapshot.bytes,
        files: snapshot.files,
        author: snapshot.author.to_string(),
        summary: snapshot.summary.to_string(),
        current: snapshot.id == table.snapshot_id(),
    }
}

pub(super) async fn rollback(
    project: &Project,
    principal: &Principal,
    request: RollbackRequest,
) -> Result<SnapshotInfo, ErrorBody> {
    let id = request.snapshot.parse().map_err(|_| {
        Error::invalid(format!("`{}` is no snapshot id", request.snapshot))
            .hint(format!("`headwater snapshots {}` lists them", request.type_name))
    })?;
    project.lake.rollback(&request.type_name, id, &principal.subject).await?;
    let table = project.lake.table(&request.type_name).await?;
    let snapshots = project.lake.snapshots(&request.type_name).await?;
    let current = current(&table, &snapshots)
        .ok_or_else(|| Error::internal("a table has no snapshot after a rollback"))?;
    Ok(snapshot_info(&table, current))
}

pub(super) async fn compact(
    project: &Project,
    request: CompactRequest,
    report: Report<'_>,
) -> Result<Vec<CompactAnswer>, ErrorBody> {
    let types = match request.type_name {
        Some(name) => vec![name],
        None => {
            let tables = project.lake.tables().await?;
            tables.iter().map(|table| table.type_name.to_string()).collect()
        }
    };
    let mut answers = Vec::new();
    for type_name in types {
        report(Progress { what: format!("compact {type_name}"), ..Progress::default() });
        let before = project.lake.status_of(&type_name).await?;
        project.lake.compact(&type_name).await?;
        project.lake.expire(&type_name, None).await?;
        let after = project.lake.status_of(&type_name).await?;
        answers.push(CompactAnswer {
            type_name,
            files_before: before.files + before.delete_files,
            files_after: after.files + after.delete_files,
            bytes_before: before.bytes,
            bytes_after: after.bytes,
        });
    }
    Ok(answers)
}

pub(super) async fn backup(
    project: &Project,
    request: BackupRequest,
    report: Report<'_>,
) -> Result<BackupAnswer, ErrorBody> {
    let tables = project.lake.tables().await?.len() as u64;
    let report = Mutex::new(report);
    let on_progress = |done: BackupReport| {
        let what = format!("back up {} objects", done.objects);
        (report.lock())(Progress { what, bytes: done.bytes, ..Progress::default() });
    };
    let done = project.lake.backup(&request.folder, &on_progress).await?;
    keep_settings(&project.folder, &request.folder)?;
    let (objects, bytes) = (done.objects, done.bytes);
    Ok(BackupAnswer { folder: request.folder, tables, objects, bytes })
}

/// Moves the objects to another place, or ends a move.
pub(super) async fn migrate(
    project: &Project,
    request: MoveRequest,
    report: Report<'_>,
) -> Result<MoveAnswer, ErrorBody> {
    let report = Mutex::new(report);
    let on_progress = |done: MoveReport| {
        let what = match done.objects {
            0 => done.what,
            objects => format!("{} {objects} objects", done.what),
        };
        (report.lock())(Progress { what, bytes: done.bytes, ..Progress::default() });
    };
    let moved = match (&request.to, request.finish) {
        (Some(to), false) => {
            let to = place_named(to)?;
            project.place.migrate(&project.clock, &to, &on_progress).await?
        }
        (None, true) => project.place.finish(&project.clock, &on_progress).await?,
        _ => {
            return Err(Error::invalid("give either `to` or `finish`")
                .hint("`to` starts a move or goes on with one, `finish` removes the old objects")
                .into());
        }
    };
    let (objects, bytes) = (moved.objects, moved.bytes);
    Ok(MoveAnswer { place: moved.place, kept: moved.kept, objects, bytes })
}

/// The name of a place, checked before anything else is done.
fn place_named(to: &str) -> Result<String> {
    if to.contains("://") {
        lake::store::S3Place::parse(to)?;
    }
    match to.trim_end_matches('/') {
        "" => Err(Error::invalid("the new place has no name")
            .hint("name a folder or `s3://bucket/prefix`")),
        name => Ok(name.to_owned()),
    }
}

/// The settings travel with a backup: they name the warehouse that its objects belong to.
fn keep_settings(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.join(SETTINGS), to.join(SETTINGS));
    if from.try_exists()? {
        std::fs::copy(&from, &to).map_err(|error| {
            Error::from(error).context(format!("failed to write `{}`", to.display()))
        })?;
    }
    Ok(())
}

/// Makes a project in an empty folder from a backup. Needs no project.
pub async fn restore(
    from: &Path,
    to: &Path,
    secrets: Secrets,
    report: Report<'_>,
) -> Result<BackupAnswer, ErrorBody> {
    report(Progress { what: format!("restore {}", from.display()), ..Progress::default() });
    let settings = Settings { secrets, ..Settings::read(from)? };
    let done = Project::restore(from, to, &settings).boxed().await?;
    keep_settings(from, to)?;
    let project = Project::open(to, settings).await?;
    write_schema(&project)?;
    let tables = project.lake.tables().await?.len() as u64;
    let (objects, bytes) = (done.objects, done.bytes);
    Ok(BackupAnswer { folder: to.to_path_buf(), tables, objects, bytes })
}

/// The deployed text becomes the new project's schema folder, so that `plan` shows no change.
fn write_schema(project: &Project) -> Result<()> {
    let live = project.live();
    let files = live.deployed.schema.sources();
    for (file, text) in SchemaText::from(&files).files {
        let path = project.schema_folder().join(&file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if file.ends_with(".binpb") {
            let set = schema::protobuf::set_of_text(&text);
            std::fs::write(path, set.map_err(|fault| Error::internal(fault.words))?)?;
        } else {
            std::fs::write(path, text)?;
        }
    }
    Ok(())
}

/// Opening a project brings the metadata tables up; data files of the first version need nothing.
pub(super) fn upgrade(project: &Project) -> UpgradeAnswer {
    UpgradeAnswer { upgraded: project.upgraded.clone() }
}
