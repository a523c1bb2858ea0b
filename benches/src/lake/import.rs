//! Import of one large CSV file into a bucketed, sorted Iceberg table: the binary against PyIceberg
//! and Spark, each as a whole process that starts with nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::measure::{Row, Usage, median, whole};
use crate::{Arguments, data, peer, program, project};

pub(crate) const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Play @table(format: ICEBERG, plural: "plays", bucket: { by: "userId", count: 16 }, sort: "userId, at") {
  userId: Long!
  filmId: Long!
  at: DateTime!
  seconds: Int!
  rating: Float!
  country: String!
}
"#;

/// The most that an import may hold.
const MEMORY_MIB: f64 = 1024.0;

/// The project that the import leaves for the queries.
pub(crate) fn folder(arguments: &Arguments) -> PathBuf {
    arguments.folder.join("plays")
}

/// How many rows are imported.
pub(crate) fn rows(arguments: &Arguments) -> u64 {
    if arguments.quick { 200_000 } else { 10_000_000 }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let rows = rows(arguments);
    let file = data::plays(&arguments.folder, rows)?;
    let rounds = if arguments.quick { 1 } else { 3 };
    let (mut ours, mut pyiceberg, mut spark) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(import(arguments, &file)?);
        pyiceberg.extend(peer(arguments, "import_pyiceberg.py", &file, rows)?);
        spark.extend(peer(arguments, "import_spark.py", &file, rows)?);
    }
    Ok(report(rows, &ours, &pyiceberg, &spark))
}

fn import(arguments: &Arguments, file: &Path) -> Result<Usage> {
    let folder = folder(arguments);
    project::make(&folder, SDL)?;
    let file = file.to_str().context("the file's name is no text")?;
    whole(&mut program::command(&folder, &["import", "Play", file])?)
}

/// A peer's import into a new warehouse; it checks the number of rows itself.
fn peer(arguments: &Arguments, program: &str, file: &Path, rows: u64) -> Result<Option<Usage>> {
    let Some(mut command) = peer::python(arguments, program) else { return Ok(None) };
    let warehouse = arguments.folder.join("peer-warehouse");
    project::clear(&warehouse)?;
    let given = json!({ "file": file, "warehouse": warehouse, "rows": rows });
    let usage = whole(command.arg(given.to_string()));
    std::fs::remove_dir_all(&warehouse)?;
    match usage {
        Err(error) if format!("{error:#}").contains("peer is absent") => Ok(None),
        usage => usage.map(Some),
    }
}

/// One number of what a process needed.
type Number = fn(&Usage) -> f64;

fn report(rows: u64, ours: &[Usage], pyiceberg: &[Usage], spark: &[Usage]) -> Vec<Row> {
    let of = |usages: &[Usage], number: Number| {
        (!usages.is_empty()).then(|| median(usages.iter().map(number).collect()))
    };
    let rate = |usages: &[Usage], time: Number| of(usages, time).map(|time| rows as f64 / time);
    let (wall, cpu): (Number, Number) = (|one| one.wall, |one| one.cpu);
    let mib: Number = |one| one.peak as f64 / f64::from(1 << 20);
    let mine = |time| rate(ours, time).unwrap_or(f64::NAN);
    let title = |what: &str| format!("import {rows} rows of CSV, {what}");
    vec![
        Row::rate(title("by the clock"), mine(wall), "rows/s").against(
            "PyIceberg",
            rate(pyiceberg, wall),
            3.0,
        ),
        Row::rate(title("per core"), mine(cpu), "rows/cpu-s").against(
            "PyIceberg",
            rate(pyiceberg, cpu),
            3.0,
        ),
        Row::rate(title("per core"), mine(cpu), "rows/cpu-s").against(
            "Spark",
            rate(spark, cpu),
            2.0,
        ),
        Row::cost(title("memory"), of(ours, mib).unwrap_or(f64::NAN), "MiB")
            .against("PyIceberg", of(pyiceberg, mib), 1.0)
            .bound(MEMORY_MIB),
    ]
}

/// Fails with the next step when the table that the import leaves is not there.
pub(crate) fn require(arguments: &Arguments) -> Result<PathBuf> {
    let folder = folder(arguments);
    ensure!(folder.is_dir(), "the section `query` needs the table of the section `import`");
    Ok(folder)
}
