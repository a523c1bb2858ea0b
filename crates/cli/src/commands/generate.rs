//! `headwater generate`: writes types and clients from the schema.

use std::path::PathBuf;

use base::Error;
use server::wire::GenerateRequest;

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::target::schema_text;

/// What to write, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// What to write.
    #[arg(value_parser = ["typescript", "python", "ddl", "sdl"])]
    target: String,
    /// The folder; standard output when left out.
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write nothing, and fail when the files in `--out` are not what would be written: for CI.
    #[arg(long, requires = "out")]
    check: bool,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let request =
        GenerateRequest { target: options.target.clone(), schema: Some(schema_text(global)?) };
    let answer = server::operations::generate(&request)?;
    let Some(out) = &options.out else {
        printer.answer(&answer, || {
            let texts: Vec<&str> = answer.files.iter().map(|(_, text)| text.as_str()).collect();
            texts.join("\n")
        });
        return Ok(());
    };
    let mut changed = Vec::new();
    for (name, text) in &answer.files {
        let path = out.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|present| present == *text) {
            continue;
        }
        changed.push(path.display().to_string());
        if !options.check {
            write(&path, text)?;
        }
    }
    if options.check && !changed.is_empty() {
        return Err(Failure::user(
            format!("{} is not what the schema gives", changed.join(", ")),
            format!("run `headwater generate {} --out {}`", options.target, out.display()),
        ));
    }
    let summary = serde_json::json!({ "files": answer.files.len(), "changed": changed });
    printer.answer(&summary, || match changed.len() {
        0 => format!("{} files are current", answer.files.len()),
        _ => changed.join("\n"),
    });
    Ok(())
}

fn write(path: &std::path::Path, text: &str) -> Outcome {
    let context = |error: std::io::Error| {
        Error::from(error).context(format!("failed to write `{}`", path.display()))
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(context)?;
    }
    std::fs::write(path, text).map_err(context)?;
    Ok(())
}
