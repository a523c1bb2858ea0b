//! Copies of the whole database, consistent while others write. In: an open database, and a path.
//! Out: a SQLite file, whatever the database is, and a database filled from such a file. Not here:
//! the objects that the metadata names (`lake` backs them up).
//!
//! SQLite copies itself. A Postgres-wire database is copied by what is recorded about it: the
//! migration steps are run again in the copy, then every table's rows are carried over. So a
//! project can also move from one kind of database to the other.

use std::collections::HashMap;
use std::path::Path;

use base::{Error, Kind, Result};

use crate::database::insist;
use crate::failure::Failure;
use crate::pool::Mode;
use crate::{Database, Options, Param, Row, Tx};

/// Rows carried at a time.
const PAGE: usize = 500;

/// The name under which SQLite's own row number is read.
const ROW_NUMBER: &str = "meta_row_number";

impl Database {
    /// Writes a consistent copy of the whole database to a new SQLite file; the copy is durable
    /// when this returns.
    pub async fn snapshot_to(&self, path: &Path) -> Result<()> {
        let doing = || format!("failed to copy the metadata database to `{}`", path.display());
        if path.try_exists().map_err(|error| Error::from(error).context(doing()))? {
            return Err(Error::new(
                Kind::AlreadyExists,
                format!("`{}` exists already", path.display()),
            )
            .hint("name a file that does not exist"));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        remove_if_present(partial).map_err(|error| error.context(doing()))?;
        match self.pool().vacuum_into(partial).await {
            Some(done) => done.map_err(|failed| failed.error)?,
            None => self.copy_to_file(partial).await?,
        }
        let (partial, path) = (partial.to_owned(), path.to_owned());
        let moved = base::task::blocking("sync a metadata copy", move || publish(&partial, &path));
        moved.await?.map_err(|error| Error::from(error).context(doing()))
    }

    /// Fills this database, in which nothing was stored yet, from a file that [`snapshot_to`] wrote.
    ///
    /// [`snapshot_to`]: Database::snapshot_to
    pub async fn restore_from(&self, snapshot: &Path) -> Result<()> {
        if !snapshot.try_exists()? {
            return Err(Error::not_found(format!("no file `{}`", snapshot.display())));
        }
        let url = format!("sqlite://{}", snapshot.display());
        let source = Database::open_with(&url, self.options().clone()).await?;
        let done = insist(self.options(), || copy(&source, self)).await;
        source.close().await;
        done.map_err(|error| {
            error.context(format!("failed to restore metadata from `{}`", snapshot.display()))
        })
    }

    async fn copy_to_file(&self, path: &Path) -> Result<()> {
        let url = format!("sqlite://{}", path.display());
        let options = Options { connections: 1, ..self.options().clone() };
        let target = Database::open_with(&url, options).await?;
        let done = insist(self.options(), || copy(self, &target)).await;
        // Closing moves what is still in the log into the file itself.
        target.close().await;
        done
    }
}

/// Carries everything over in one transaction on each side.
async fn copy(source: &Database, target: &Database) -> Result<(), Failure> {
    let mut from = Tx::begin(source.pool(), Mode::Read).await?;
    let mut to = Tx::begin(target.pool(), Mode::Write).await?;
    let copied = copy_all(&mut from, &mut to).await;
    // A read that must be repeated leaves nothing behind in the copy.
    let copied = from.finish(copied).await;
    match copied {
        Ok(()) => to.finish(Ok(())).await,
        Err(Failure { error, again: false }) => to.finish(Err(error)).await,
        Err(again) => Err(again),
    }
}

async fn copy_all(from: &mut Tx, to: &mut Tx) -> Result<()> {
    refuse_unless_empty(to).await?;
    run_steps(from, to).await?;
    let mut tables = tables(from).await?;
    tables.retain(|table| table != "meta_migrations");
    let tables = match from.is_postgres() {
        false => referenced_first(from, tables).await?,
        true => referenced_first(to, tables).await?,
    };
    for table in tables.iter().rev() {
        // Steps may have put rows into their tables; the source has them too.
        to.execute(&format!("DELETE FROM {table}"), &[]).await?;
    }
    for table in &tables {
        copy_table(from, to, table).await?;
    }
    Ok(())
}

async fn refuse_unless_empty(to: &mut Tx) -> Result<()> {
    let owner =
        to.query("SELECT owner FROM meta_migrations WHERE owner <> 'meta' LIMIT 1", &[]).await?;
    match owner.first() {
        None => Ok(()),
        Some(row) => Err(Error::new(
            Kind::AlreadyExists,
            format!("the metadata database has tables of `{}` already", row.text("owner")?),
        )
        .hint("restore into a new project or an empty database")),
    }
}

/// Runs in the copy whatever step was run in the source and not there.
async fn run_steps(from: &mut Tx, to: &mut Tx) -> Result<()> {
    let steps = from
        .query(
            "SELECT owner, step, statements, headwater FROM meta_migrations ORDER BY owner, step",
            &[],
        )
        .await?;
    for step in steps {
        let recorded = to
            .execute(
                "INSERT INTO meta_migrations (owner, step, statements, headwater)
                 VALUES ($1, $2, $3, $4) ON CONFLICT (owner, step) DO NOTHING",
                &[
                    step.text("owner")?.into(),
                    step.int("step")?.into(),
                    step.text("statements")?.into(),
                    step.text("headwater")?.into(),
                ],
            )
            .await?;
        if recorded == 1 {
            to.execute_script(&step.text("statements")?).await?;
        }
    }
    Ok(())
}

async fn tables(tx: &mut Tx) -> Result<Vec<String>> {
    let sql = if tx.is_postgres() {
        "SELECT table_name AS name FROM information_schema.tables
         WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name"
    } else {
        "SELECT name FROM sqlite_master
         WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    };
    tx.query(sql, &[]).await?.iter().map(|row| row.text("name")).collect()
}

/// Orders tables so that each comes after those that its foreign keys name. One side of a copy is
/// always SQLite, and it is the one that is asked.
async fn referenced_first(sqlite: &mut Tx, mut tables: Vec<String>) -> Result<Vec<String>> {
    let mut ordered: Vec<String> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let before = ordered.len();
        let mut later = Vec::new();
        for table in tables {
            let named = sqlite
                .query(
                    "SELECT \"table\" AS name FROM pragma_foreign_key_list($1)",
                    &[(&table).into()],
                )
                .await?;
            let named: Vec<String> =
                named.iter().map(|row| row.text("name")).collect::<Result<_>>()?;
            match named.iter().all(|name| *name == table || ordered.contains(name)) {
                true => ordered.push(table),
                false => later.push(table),
            }
        }
        if ordered.len() == before {
            return Err(Error::internal(format!(
                "the tables `{}` of the metadata database refer to each other in a circle",
                later.join("`, `")
            )));
        }
        tables = later;
    }
    Ok(ordered)
}

async fn copy_table(from: &mut Tx, to: &mut Tx, table: &str) -> Result<()> {
    let types = column_types(to, table).await?;
    let mut after = 0;
    // Each table's cursor has a name of its own, for the driver remembers the columns of a statement
    // by its text.
    if from.is_postgres() {
        from.query(&format!("DECLARE copied_{table} CURSOR FOR SELECT * FROM {table}"), &[])
            .await?;
    }
    loop {
        let page = if from.is_postgres() {
            from.query(&format!("FETCH {PAGE} FROM copied_{table}"), &[]).await?
        } else {
            let sql = format!(
                "SELECT rowid AS {ROW_NUMBER}, * FROM {table} WHERE rowid > $1
                 ORDER BY rowid LIMIT {PAGE}"
            );
            from.query(&sql, &[after.into()]).await?
        };
        for row in &page {
            insert(to, table, row, &types).await?;
        }
        match page.last() {
            Some(last) if !from.is_postgres() => after = last.int(ROW_NUMBER)?,
            Some(_) => {}
            None => break,
        }
    }
    if from.is_postgres() {
        from.query(&format!("CLOSE copied_{table}"), &[]).await?;
    }
    Ok(())
}

/// The declared types of a Postgres table; SQLite takes values as they come.
async fn column_types(to: &mut Tx, table: &str) -> Result<HashMap<String, String>> {
    if !to.is_postgres() {
        return Ok(HashMap::new());
    }
    let rows = to
        .query(
            "SELECT column_name, data_type FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1",
            &[table.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.text("column_name")?, row.text("data_type")?))).collect()
}

async fn insert(
    to: &mut Tx,
    table: &str,
    row: &Row,
    types: &HashMap<String, String>,
) -> Result<()> {
    let columns = row.columns().iter().zip(row.values()).filter(|(name, _)| *name != ROW_NUMBER);
    let (names, values): (Vec<&str>, Vec<Param>) = columns
        .map(|(name, value)| (name.as_str(), fit(value, types.get(name).map(String::as_str))))
        .unzip();
    let marks: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "));
    to.execute(&sql, &values).await.map(|_| ())
}

/// SQLite keeps booleans as numbers, and whole floats may come back as integers.
fn fit(value: &Param, declared: Option<&str>) -> Param {
    match (value, declared) {
        (Param::Int(number), Some("boolean")) => Param::Bool(*number != 0),
        (Param::Int(number), Some("double precision")) => Param::Float(*number as f64),
        _ => value.clone(),
    }
}

fn remove_if_present(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Makes the copy durable, then gives it its name.
fn publish(partial: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::File::open(partial)?.sync_all()?;
    std::fs::rename(partial, path)?;
    let folder = std::path::absolute(path)?;
    std::fs::File::open(folder.parent().unwrap_or(Path::new("/")))?.sync_all()
}
