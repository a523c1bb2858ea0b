//! Remembers which files were imported, part by part.
//!
//! In: a file's fingerprint and how it is imported. Out: where to go on. A part's row is written in
//! the same transaction as its commit, so a row without its data, or data without its row, cannot
//! be. The primary key lets one of several racing imports of a file win.

use std::sync::Arc;

use base::{Error, Result, Timestamp};
use meta::{Database, Param, Row};

use super::{ImportMode, ImportRequest};
use crate::decode::Shape;
use crate::decode::shape::Target;
use crate::history::taken_back;
use crate::{Lake, Table};

const STEPS: &[&str] = &[
    "CREATE TABLE lake_import (
    import TEXT NOT NULL,
    generation BIGINT NOT NULL,
    part BIGINT NOT NULL,
    run TEXT NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_loaded BIGINT NOT NULL,
    rows_rejected BIGINT NOT NULL,
    rejects_bytes BIGINT NOT NULL,
    done BOOLEAN NOT NULL,
    snapshot BIGINT,
    at BIGINT NOT NULL,
    file TEXT NOT NULL,
    type_name TEXT NOT NULL,
    author TEXT NOT NULL,
    PRIMARY KEY (import, generation, part)
)",
    "ALTER TABLE lake_import ADD COLUMN form TEXT",
];

/// The journal of one file's import.
pub(super) struct Journal {
    database: Database,
    /// What is imported how: equal keys mean the same import.
    key: String,
    /// What the type's rows are like. An import that was interrupted goes on although that has changed
    /// since; one that had ended is another one then.
    form: String,
    /// How often it was imported wholly and taken back, or asked for again.
    generation: i64,
    /// This run, to tell its rows from those of a racing one.
    pub(super) run: String,
    file: String,
    type_name: Arc<str>,
    author: Arc<str>,
}

/// How far an import has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// From 0; -1 before the first.
    pub(super) number: i64,
    /// Which run committed it.
    pub(super) run: String,
    /// Rows of the file that were read, good or not.
    pub(super) read: u64,
    /// Rows that were written.
    pub(super) loaded: u64,
    /// Rows that were left out.
    pub(super) rejected: u64,
    /// Length of the rejects file.
    pub(super) rejects_bytes: u64,
    /// Rows of the file up to which parts are committed.
    pub(super) committed: u64,
    /// Whether it is the last.
    pub(super) done: bool,
    /// The snapshot it is in.
    pub(super) snapshot: i64,
    /// What the type's rows were like; unknown of parts that an earlier release committed.
    pub(super) form: Option<String>,
}

/// Where to begin.
pub(super) enum Start {
    /// Nowhere: the file was imported.
    Done(Part),
    /// After this part.
    After(Part),
}

impl Journal {
    /// Finds the journal of this import.
    pub(super) async fn open(
        lake: &Lake,
        request: &ImportRequest,
        fingerprint: &str,
        shape: &Shape,
    ) -> Result<Journal> {
        let database = lake.config().database.clone();
        database.migrate("lake_import", STEPS).await?;
        let table = lake.table(&request.type_name).await?;
        let file = match &request.origin {
            crate::source::Origin::Path(path) => path.display().to_string(),
            crate::source::Origin::Stdin => "<stdin>".to_owned(),
            crate::source::Origin::Bytes { name, .. } => name.clone(),
        };
        let mut journal = Journal {
            database,
            key: key_of(request, &table, fingerprint, None),
            form: form_of(shape),
            generation: 0,
            run: lake.config().rng.uuid().to_string(),
            file,
            type_name: Arc::clone(&request.type_name),
            author: Arc::clone(&request.principal.subject),
        };
        if !journal.find().await? {
            // Earlier releases took every change of the schema for another import.
            let schema = lake.schema();
            let earlier = key_of(request, &table, fingerprint, Some(&schema.fingerprint));
            let present = std::mem::replace(&mut journal.key, earlier);
            if !journal.find().await? {
                journal.key = present;
            }
        }
        Ok(journal)
    }

    /// Finds the latest generation of the key; says whether there is one.
    async fn find(&mut self) -> Result<bool> {
        let sql = "SELECT max(generation) AS latest FROM lake_import WHERE import = $1";
        let row = self.database.query_one(sql, &[self.key.as_str().into()]).await?;
        let latest = row.map(|row| row.opt_int("latest")).transpose()?.flatten();
        self.generation = latest.unwrap_or(0);
        Ok(latest.is_some())
    }

    /// Decides where to begin.
    pub(super) async fn start(&mut self, lake: &Lake, request: &ImportRequest) -> Result<Start> {
        let none = Part { number: -1, ..Part::default() };
        let Some(last) = self.last().await? else { return Ok(Start::After(none)) };
        let table = lake.table(&request.type_name).await?;
        let stands = stands(&table, &last, request.mode)?;
        let is_alike = last.form.as_ref().is_none_or(|form| *form == self.form);
        match (last.done, stands) {
            (true, true) if is_alike && !request.again => Ok(Start::Done(last)),
            (false, true) => Ok(Start::After(last)),
            _ => {
                self.generation += 1;
                Ok(Start::After(none))
            }
        }
    }

    /// The row of one part.
    pub(super) async fn part(&self, number: i64) -> Result<Option<Part>> {
        let sql = "SELECT * FROM lake_import WHERE import = $1 AND generation = $2 AND part = $3";
        let key = [self.key.as_str().into(), self.generation.into(), number.into()];
        self.database.query_one(sql, &key).await?.map(|row| read(&row)).transpose()
    }

    async fn last(&self) -> Result<Option<Part>> {
        let sql = "SELECT * FROM lake_import WHERE import = $1 AND generation = $2
            ORDER BY part DESC LIMIT 1";
        let key = [self.key.as_str().into(), self.generation.into()];
        self.database.query_one(sql, &key).await?.map(|row| read(&row)).transpose()
    }

    /// The statement that records a part.
    pub(super) fn statement(&self, part: &Part, now: Timestamp) -> (String, Vec<Param>) {
        let sql = "INSERT INTO lake_import (import, generation, part, run, rows_read, rows_loaded,
            rows_rejected, rejects_bytes, done, at, file, type_name, author, form)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let count = |count: u64| Param::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let values = vec![
            self.key.as_str().into(),
            self.generation.into(),
            part.number.into(),
            self.run.as_str().into(),
            count(part.read),
            count(part.loaded),
            count(part.rejected),
            count(part.rejects_bytes),
            Param::Bool(part.done),
            now.as_micros().into(),
            self.file.as_str().into(),
            self.type_name.as_ref().into(),
            self.author.as_ref().into(),
            self.form.as_str().into(),
        ];
        (sql.to_owned(), values)
    }

    /// Notes the snapshot of a part, which is known only after the commit. When this is lost, only
    /// the notice of a later roll-back is.
    pub(super) async fn note_snapshot(&self, part: &Part) -> Result<()> {
        let sql = "UPDATE lake_import SET snapshot = $1
            WHERE import = $2 AND generation = $3 AND part = $4";
        let values = [
            part.snapshot.into(),
            self.key.as_str().into(),
            self.generation.into(),
            part.number.into(),
        ];
        self.database.execute(sql, &values).await.map(|_| ())
    }

    /// Records a part that has no rows to commit.
    pub(super) async fn record(&self, statement: &(String, Vec<Param>)) -> Result<()> {
        self.database.execute(&statement.0, &statement.1).await.map(|_| ())
    }

    /// The same for every run that would commit the same rows.
    pub(super) fn idempotency_key(&self, part: &Part) -> String {
        format!("import {} {} {}", self.key, self.generation, part.number)
    }
}

/// Equal for the same content that is to be read and written in the same way.
fn key_of(
    request: &ImportRequest,
    table: &Table,
    fingerprint: &str,
    schema: Option<&str>,
) -> String {
    let mut options = request.options.clone();
    // Bounds change nothing about which rows there are.
    options.limits = crate::source::ReadLimits::default();
    let schema = schema.map_or_else(String::new, |schema| format!("\n{schema}"));
    let mode = request.mode.as_str();
    let said = format!("{fingerprint}\n{}\n{mode}{schema}\n{options:?}", table.id);
    blake3::hash(said.as_bytes()).to_hex().to_string()
}

/// Equal for types whose rows have the same columns, in whatever order.
fn form_of(shape: &Shape) -> String {
    let column = |target: &Target| {
        let must = if target.nullable { "" } else { "!" };
        format!("{}: {}{must}", target.name, target.data_type)
    };
    let mut columns: Vec<String> = shape.targets.iter().map(column).collect();
    columns.sort_unstable();
    blake3::hash(columns.join("\n").as_bytes()).to_hex().to_string()
}

/// Whether what the part committed is still in the table: not rolled back, and, for a replacement,
/// not followed by anything else.
fn stands(table: &Table, part: &Part, mode: ImportMode) -> Result<bool> {
    let Some(metadata) = &table.iceberg else { return Ok(true) };
    if mode == ImportMode::Replace {
        return Ok(table.snapshot_id() == part.snapshot);
    }
    // An unknown snapshot has expired, and 0 is none.
    Ok(metadata.snapshot_by_id(part.snapshot).is_none() || !taken_back(metadata, part.snapshot))
}

fn read(row: &Row) -> Result<Part> {
    let count = |column: &str| -> Result<u64> {
        u64::try_from(row.int(column)?)
            .map_err(|_| Error::new(base::Kind::Corrupt, format!("column `{column}` is negative")))
    };
    Ok(Part {
        number: row.int("part")?,
        run: row.text("run")?,
        read: count("rows_read")?,
        loaded: count("rows_loaded")?,
        rejected: count("rows_rejected")?,
        rejects_bytes: count("rejects_bytes")?,
        committed: count("rows_read")?,
        done: row.bool("done")?,
        snapshot: row.opt_int("snapshot")?.unwrap_or(0),
        form: row.opt_text("form")?,
    })
}
