//! `headwater source add`: finds out what runs at an address, and proposes its module.

use std::path::{Path, PathBuf};

use base::Error;
use base::size::counted;
use server::operations::{self, SourceProposal, SourceRequest};
use server::wire::SchemaText;

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::target::{project_folder, schema_text};

/// What to do with sources.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Ask a service what it is (GraphQL, Federation or OpenAPI) and propose its schema module.
    Add(Add),
}

/// Which service, and what is known of it.
#[derive(clap::Args, Debug)]
pub(crate) struct Add {
    /// Where the service is: of its GraphQL, or what paths of its API begin with.
    #[arg(value_name = "URL")]
    url: String,
    /// The name of the source and of its module; by default one of the address.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An OpenAPI document (3.0 or 3.1, JSON or YAML), in place of asking the service.
    #[arg(long, value_name = "FILE")]
    openapi: Option<PathBuf>,
    /// Print the module, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(global: &Global, command: Command, printer: &Printer) -> Outcome {
    let Command::Add(options) = command;
    let document = options.openapi.as_deref().map(read).transpose()?;
    let request = SourceRequest { url: options.url, name: options.name, document };
    let mut proposal = operations::source(request).await?;
    printer.remark(&format!("{}: told by {}", proposal.kind, proposal.found));
    proposal.notes.iter().for_each(|note| printer.remark(&format!("  {note}")));
    let folder = match project_folder(global) {
        Ok(folder) => folder,
        // Without a project there is nothing to compose with, and nothing to write into.
        Err(_) if options.dry_run => {
            printer.answer(&proposal, || proposal.text.clone());
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    let settings = global.settings(&folder)?;
    let path = folder.join(&settings.schema).join(&proposal.file);
    if !options.dry_run && path.try_exists().map_err(Error::from)? {
        return Err(Failure::user(
            format!("`{}` is there already", shown(&path)),
            "name the source otherwise (`--name`), or compare with `--dry-run`",
        ));
    }
    let conflicts = composed(global, &mut proposal)?;
    if options.dry_run {
        printer.answer(&proposal, || proposal.text.clone());
    } else {
        std::fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(Error::from)?;
        std::fs::write(&path, &proposal.text).map_err(Error::from)?;
    }
    if let Some(mut failure) = conflicts {
        let what =
            if options.dry_run { "would not compose" } else { "was written, but does not compose" };
        failure.0.message =
            format!("`{}` {what} with the project: {}", proposal.file, failure.0.message);
        return Err(failure);
    }
    if !options.dry_run {
        printer.answer(&proposal, || {
            let lines = proposal.text.lines().count();
            format!(
                "wrote {} ({})\n  next  headwater plan",
                shown(&path),
                counted(lines as u64, "line")
            )
        });
    }
    Ok(())
}

/// What keeps the module from composing with the rest of the project.
fn composed(global: &Global, proposal: &mut SourceProposal) -> Result<Option<Failure>, Failure> {
    let mut text: SchemaText = schema_text(global)?;
    text.files.retain(|(file, _)| *file != proposal.file);
    text.files.push((proposal.file.clone(), proposal.text.clone()));
    text.files.sort();
    Ok(operations::check(&text).err().map(Failure))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::from(error).context(format!("failed to read `{}`", path.display())).into()
    })
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
