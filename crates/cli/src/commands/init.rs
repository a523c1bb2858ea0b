//! `headwater init`: makes a project; with `--from`, proposes a schema from files and imports them.

use std::path::{Path, PathBuf};

use base::Error;
use server::operations;
use server::wire::{ApplyAnswer, ApplyRequest, ImportRequest, SchemaText};

use crate::arguments::Global;
use crate::commands::import::summary;
use crate::printer::{Failure, Outcome, Printer};
use crate::progress::Bar;
use crate::target::Target;

/// What to make a project of.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The project's folder; this one when left out.
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Files to propose the schema from, and to import: CSV, TSV, JSON Lines, Parquet, Arrow,
    /// folders or zip files of images.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Write the proposed schema, but neither apply it nor import.
    #[arg(long, requires = "from")]
    propose_only: bool,
}

/// The schema of a new project: small enough to read, whole enough to run.
const STARTER: &str = r#"extend schema @module(name: "app", owner: "app")

"One note; rename the type, add fields, then run `headwater plan`."
type Note @key(fields: "id") @table(format: ICEBERG, plural: "notes") {
  id: ID!
  title: String! @search
  writtenAt: DateTime
}
"#;

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let folder = std::path::absolute(&options.folder).map_err(Error::from)?;
    refuse_existing(&folder)?;
    if options.from.is_empty() {
        write_schema(&folder, "app.graphql", STARTER)?;
        printer.answer(&serde_json::json!({ "folder": folder }), || {
            format!(
                "made a project in {}\n  edit  schema/app.graphql\n  then  headwater apply",
                folder.display()
            )
        });
        return Ok(());
    }
    propose(global, &folder, options, printer).await
}

async fn propose(global: &Global, folder: &Path, options: Options, printer: &Printer) -> Outcome {
    let sources: Vec<PathBuf> = options
        .from
        .iter()
        .map(std::path::absolute)
        .collect::<Result<_, _>>()
        .map_err(Error::from)?;
    let bar = Bar::new(printer);
    let proposal = operations::propose(&sources, &mut |progress| bar.report(&progress)).await?;
    drop(bar);
    write_schema(folder, &proposal.file, &proposal.text)?;
    for note in &proposal.notes {
        printer.remark(&format!("  {note}"));
    }
    printer.remark(&format!("wrote {}", folder.join("schema").join(&proposal.file).display()));
    if options.propose_only {
        printer.answer(&proposal, || proposal.text.clone());
        return Ok(());
    }
    let target = Target::local(folder, global.settings(folder)?).await?;
    let request = ApplyRequest {
        schema: SchemaText { files: vec![(proposal.file.clone(), proposal.text.clone())] },
        expected_base: None,
        allow_destructive: Vec::new(),
        resume: false,
        throttle: None,
        keep_old: None,
    };
    let _applied: ApplyAnswer = target.call("apply", &request).await?;
    let mut imports = Vec::new();
    for (type_name, source) in &proposal.imports {
        let request = ImportRequest {
            type_name: type_name.clone(),
            source: source.clone(),
            ..ImportRequest::default()
        };
        let bar = Bar::new(printer);
        let answer = target.import(request, &mut |progress| bar.report(&progress)).await?;
        drop(bar);
        printer.remark(&summary(&answer, &source.display().to_string()));
        imports.push(answer);
    }
    let here =
        global.project.is_none() && std::env::current_dir().is_ok_and(|here| here == *folder);
    let project = if here { String::new() } else { format!(" --project {}", folder.display()) };
    printer
        .answer(&imports, || format!("ready: run `headwater{project} up` and open what it prints"));
    Ok(())
}

fn refuse_existing(folder: &Path) -> Outcome {
    for name in ["headwater.toml", "schema", ".headwater"] {
        if folder.join(name).try_exists().map_err(Error::from)? {
            return Err(Failure::user(
                format!("`{}` is a project already: it has `{name}`", folder.display()),
                "name another folder, or edit the schema there and run `headwater apply`",
            ));
        }
    }
    Ok(())
}

fn write_schema(folder: &Path, name: &str, text: &str) -> Outcome {
    let schema = folder.join("schema");
    let context = |error: std::io::Error| {
        Error::from(error).context(format!("failed to write `{}`", schema.join(name).display()))
    };
    std::fs::create_dir_all(&schema).map_err(context)?;
    std::fs::write(schema.join(name), text).map_err(context)?;
    Ok(())
}
