//! How much memory an import needs: the binary imports a generated file, new and then once more over
//! itself, and its peak must stay below the stated bound.
//!
//! In: a seed and a number of rows. Out: the peaks. The kernel keeps the peak of a process; it is read
//! while the process lives. Not here: how fast an import is (`cargo xtask bench`).

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::rng::Rng;
use base::size::{format_bytes, format_count};

use crate::program::command;

/// What the peak of an import must stay below.
const BOUND: u64 = 1 << 30;
/// Between two looks at a process.
const INTERVAL: Duration = Duration::from_millis(20);

const SDL: &str = r#"extend schema @module(name: "events", owner: "playback")
type Event @key(fields: "id") @table(format: ICEBERG, plural: "events", bucket: { by: "id", count: 8 }, sort: "id") {
  id: Long!
  userId: String!
  at: DateTime!
  amount: Float!
  note: String
}
"#;

/// One run; says what it needed.
pub(crate) async fn run(seed: u64, rows: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("schema"))?;
    fs::write(folder.path().join("schema/events.graphql"), SDL)?;
    let file = folder.path().join("events.csv");
    let bytes = write_rows(&file, &Rng::seeded(seed), rows)?;
    peak(folder.path(), &["apply", "--yes", "--quiet"]).await?;
    let import = ["import", "Event", "events.csv", "--again", "--mode"];
    let new = peak(folder.path(), &[&import[..], &["append"]].concat()).await?;
    let over = peak(folder.path(), &[&import[..], &["upsert"]].concat()).await?;
    ensure!(
        new.max(over) < BOUND,
        "an import needed {}, the bound is {}",
        format_bytes(new.max(over)),
        format_bytes(BOUND)
    );
    Ok(format!(
        "{} rows, {}: {} for new rows, {} for changed ones",
        format_count(rows),
        format_bytes(bytes),
        format_bytes(new),
        format_bytes(over)
    ))
}

fn write_rows(path: &Path, rng: &Rng, rows: u64) -> Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "id,userId,at,amount,note")?;
    for id in 0..rows {
        let (user, day, hour) = (rng.below(100_003), 1 + rng.below(28), rng.below(24));
        let amount = rng.below(1_000_000) as f64 / 7.0;
        let note = rng.below(1000);
        writeln!(
            out,
            "{id},u{user},2026-04-{day:02}T{hour:02}:00:00Z,{amount:.3},\"note {note}, with words\""
        )?;
    }
    out.flush()?;
    Ok(fs::metadata(path)?.len())
}

/// Runs a command of the binary; the most memory that it held, in bytes.
async fn peak(project: &Path, arguments: &[&str]) -> Result<u64> {
    let mut command = command(project, arguments)?;
    command.stdout(Stdio::null());
    let mut child = command.spawn().context("failed to start the binary")?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        if let Ok(text) = fs::read_to_string(&status) {
            peak = high_water(&text).unwrap_or(0).max(peak);
        }
        if let Some(ended) = child.try_wait()? {
            ensure!(ended.success(), "`headwater {}` ended with {ended}", arguments.join(" "));
            return Ok(peak);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
