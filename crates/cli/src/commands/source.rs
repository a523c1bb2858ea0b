//! `headwater source add`: finds out what runs at an address, and proposes its module.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::Error;
use base::size::counted;
use schema::protobuf::{self, Descriptors};
use server::operations::{self, SourceProposal, SourceRequest};
use server::wire::SchemaText;

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::target::{project_folder, schema_text};

/// What to do with sources.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Ask a service what it is (GraphQL, OpenAPI, gRPC), and propose its schema module.
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
    /// Definitions of gRPC, in place of asking the service: a `.proto` file, or a descriptor set.
    #[arg(long, value_name = "FILE", conflicts_with = "openapi")]
    proto: Option<PathBuf>,
    /// What the service speaks, where that is known: only this is asked.
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Print the module, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What a service may be said to speak.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// gRPC with reflection.
    Grpc,
}

pub(crate) async fn run(global: &Global, command: Command, printer: &Printer) -> Outcome {
    let Command::Add(options) = command;
    let document = options.openapi.as_deref().map(read).transpose()?;
    let descriptors = options.proto.as_deref().map(described).transpose()?;
    let is_grpc = options.kind == Some(Kind::Grpc);
    let (url, name) = (options.url, options.name);
    let request = SourceRequest { url, name, document, descriptors, is_grpc };
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
    let described = proposal.descriptors.as_ref().map(|(file, _)| path.with_file_name(file));
    for file in std::iter::once(&path).chain(&described).filter(|_| !options.dry_run) {
        if file.try_exists().map_err(Error::from)? {
            return Err(Failure::user(
                format!("`{}` is there already", shown(file)),
                "name the source otherwise (`--name`), or compare with `--dry-run`",
            ));
        }
    }
    let conflicts = composed(global, &mut proposal)?;
    if options.dry_run {
        printer.answer(&proposal, || proposal.text.clone());
    } else {
        std::fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(Error::from)?;
        std::fs::write(&path, &proposal.text).map_err(Error::from)?;
        if let Some((file, text)) = &proposal.descriptors {
            let set = protobuf::set_of_text(text).map_err(|fault| Error::internal(fault.words))?;
            std::fs::write(path.with_file_name(file), set).map_err(Error::from)?;
        }
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
    if let Some(descriptors) = &proposal.descriptors {
        text.files.retain(|(file, _)| *file != descriptors.0);
        text.files.push(descriptors.clone());
    }
    text.files.sort();
    Ok(operations::check(&text).err().map(Failure))
}

/// Descriptors of a file; what a `.proto` file imports stands beside it.
fn described(path: &Path) -> Result<Descriptors, Failure> {
    let doing = || format!("failed to read `{}`", path.display());
    let wrong = |fault: protobuf::Fault| {
        let error = Error::invalid(fault.words).hint(fault.hint);
        Failure::from(error.context(doing()))
    };
    if path.extension().is_none_or(|ending| ending != "proto") {
        let bytes = std::fs::read(path).map_err(|error| Error::from(error).context(doing()))?;
        return Descriptors::of_set(&bytes).map_err(wrong);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut texts = HashMap::from([(name.clone(), Arc::from(read(path)?))]);
    let mut waiting = protobuf::imports(&texts[&name]);
    while let Some(import) = waiting.pop() {
        // What is not there is told with the place of its import; protobuf's own files are always there.
        if let (false, Ok(text)) =
            (texts.contains_key(&import), std::fs::read_to_string(folder.join(&import)))
        {
            waiting.extend(protobuf::imports(&text));
            texts.insert(import, text.into());
        }
    }
    Descriptors::of_protos(&name, texts).map_err(wrong)
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
