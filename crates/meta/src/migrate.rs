//! Tables of the owning crates. In: an owner and its steps. Out: a database in which each step has
//! run once. Not here: the steps; they stand in the crates that own the tables.
//!
//! Every applied step is recorded with its text and with the version of Headwater that ran it, so
//! that a newer database can be refused by the name of the version that reads it.

use base::{Error, Kind, Result};
use futures::FutureExt;

use crate::{Database, Tx};

const RECORD: &str = "CREATE TABLE IF NOT EXISTS meta_migrations (
    owner TEXT NOT NULL,
    step BIGINT NOT NULL,
    statements TEXT NOT NULL,
    headwater TEXT NOT NULL,
    PRIMARY KEY (owner, step)
)";

/// Makes the tables of this crate itself.
pub(crate) async fn prepare(database: &Database) -> Result<()> {
    if !has_record(database).await? {
        create_record(database).await?;
    }
    migrate(database, "meta", &[crate::leases::TABLE, crate::changes::TABLE]).await
}

/// See [`Database::migrate`].
pub(crate) async fn migrate(
    database: &Database,
    owner: &'static str,
    steps: &'static [&'static str],
) -> Result<()> {
    // Most calls find nothing to do, and then need not wait for writers.
    if database.read(move |tx| pending(tx, owner, steps).boxed()).await? == steps.len() {
        return Ok(());
    }
    database
        .write(move |tx| run_pending(tx, owner, steps).boxed())
        .await
        .map_err(|error| error.context(format!("failed to upgrade the metadata of `{owner}`")))
}

async fn run_pending(
    tx: &mut Tx,
    owner: &'static str,
    steps: &'static [&'static str],
) -> Result<()> {
    for (number, statements) in (1_i64..).zip(steps).skip(pending(tx, owner, steps).await?) {
        // Recording first makes a rival that runs the same step wait here, and not fail on the
        // tables that this one is about to create.
        let recorded = tx
            .execute(
                "INSERT INTO meta_migrations (owner, step, statements, headwater)
                 VALUES ($1, $2, $3, $4) ON CONFLICT (owner, step) DO NOTHING",
                &[
                    owner.into(),
                    number.into(),
                    (*statements).into(),
                    env!("CARGO_PKG_VERSION").into(),
                ],
            )
            .await?;
        if recorded == 1 {
            tx.execute_script(statements).await?;
            tracing::info!(owner, step = number, "upgraded the metadata database");
        }
    }
    Ok(())
}

/// How many of `steps` have run; fails when the database is not an earlier state of them.
async fn pending(
    tx: &mut Tx,
    owner: &'static str,
    steps: &'static [&'static str],
) -> Result<usize> {
    let rows = tx
        .query(
            "SELECT step, statements, headwater FROM meta_migrations WHERE owner = $1 ORDER BY step",
            &[owner.into()],
        )
        .await?;
    if let Some(newest) = rows.last().filter(|_| rows.len() > steps.len()) {
        return Err(newer(owner, newest.int("step")?, steps.len(), &newest.text("headwater")?));
    }
    for (row, statements) in rows.iter().zip(steps) {
        if row.text("statements")? != *statements {
            return Err(rewritten(owner, row.int("step")?, &row.text("headwater")?));
        }
    }
    Ok(rows.len())
}

async fn has_record(database: &Database) -> Result<bool> {
    let sql = if database.is_postgres() {
        "SELECT table_name FROM information_schema.tables
         WHERE table_name = 'meta_migrations' AND table_schema = current_schema()"
    } else {
        "SELECT name FROM sqlite_master WHERE name = 'meta_migrations'"
    };
    Ok(!database.query(sql, &[]).await?.is_empty())
}

async fn create_record(database: &Database) -> Result<()> {
    let created = database.write(|tx| tx.execute_script(RECORD).boxed()).await;
    match created {
        // Postgres lets two `IF NOT EXISTS` race and fails one of them: the table is there now.
        Err(error) if error.kind() == Kind::AlreadyExists => Ok(()),
        other => other.map_err(|error| error.context("failed to create the metadata tables")),
    }
}

fn newer(owner: &str, stored: i64, known: usize, headwater: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!(
            "the metadata of `{owner}` has version {stored}, written by headwater {headwater}; \
             this headwater {} reads versions up to {known}",
            env!("CARGO_PKG_VERSION")
        ),
    )
    .hint(format!("use headwater {headwater} or newer"))
}

fn rewritten(owner: &str, step: i64, headwater: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!(
            "step {step} of the metadata of `{owner}` is not the one that headwater {headwater} ran"
        ),
    )
    .hint("steps are only ever appended; make a new project if this one came from a trial build")
}
