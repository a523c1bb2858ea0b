//! `headwater export`: writes a table, or the answer of a SQL query, to a file or standard output.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use base::Error;
use base::size::counted;
use server::wire::ExportRequest;

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::progress::Bar;
use crate::target::Target;

/// What to export, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The type of the schema.
    #[arg(value_name = "TYPE", required_unless_present = "sql", conflicts_with = "sql")]
    type_name: Option<String>,
    /// Instead of a type: the rows of a query.
    #[arg(long, value_name = "QUERY")]
    sql: Option<String>,
    /// The file; standard output when left out.
    #[arg(long, short, value_name = "FILE")]
    to: Option<PathBuf>,
    /// The format; by default what the file's name says, else CSV.
    #[arg(long, value_parser = ["csv", "jsonl", "parquet", "arrow"])]
    format: Option<String>,
    /// The state at a snapshot id or an RFC 3339 time.
    #[arg(long)]
    at: Option<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let format = format_of(&options);
    let is_text = format == "csv" || format == "jsonl";
    if options.to.is_none() && !is_text && std::io::stdout().is_terminal() {
        return Err(Failure::user(
            format!("`{format}` is not for terminals"),
            "name a file with `--to FILE`",
        ));
    }
    let target = Target::open(global).await?;
    let request =
        ExportRequest { type_name: options.type_name, sql: options.sql, format, at: options.at };
    let bar = Bar::new(printer);
    let Some(path) = options.to else {
        target
            .export(request, Box::new(std::io::stdout()), &mut |progress| bar.report(&progress))
            .await?;
        return Ok(());
    };
    let unfinished = unfinished_name(&path);
    let file = create(&unfinished)?;
    let sink = Box::new(BufWriter::new(file.try_clone().map_err(Error::from)?));
    let result = target.export(request, sink, &mut |progress| bar.report(&progress)).await;
    drop(bar);
    let rows = match result.and_then(|rows| finish(&file, &unfinished, &path).map(|()| rows)) {
        Ok(rows) => rows,
        Err(failure) => {
            // Half a file under its final name would look like a whole one.
            let _best_effort = std::fs::remove_file(&unfinished);
            return Err(failure);
        }
    };
    let answer = serde_json::json!({ "rows": rows, "file": path });
    printer.answer(&answer, || {
        let rows = rows.map_or_else(|| "all rows".to_owned(), |rows| counted(rows, "row"));
        format!("{rows} in {}", path.display())
    });
    Ok(())
}

fn format_of(options: &Options) -> String {
    if let Some(format) = &options.format {
        return format.clone();
    }
    let extension = options.to.as_ref().and_then(|path| path.extension()?.to_str());
    match extension {
        Some("jsonl" | "ndjson") => "jsonl",
        Some("parquet") => "parquet",
        Some("arrow" | "ipc" | "feather") => "arrow",
        _ => "csv",
    }
    .to_owned()
}

fn unfinished_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.unfinished"))
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        Error::from(error).context(format!("failed to create `{}`", path.display())).into()
    })
}

fn finish(mut file: &File, unfinished: &Path, path: &Path) -> Result<(), Failure> {
    file.flush().and_then(|()| file.sync_all()).map_err(Error::from)?;
    std::fs::rename(unfinished, path).map_err(Error::from)?;
    Ok(())
}
