//! `headwater backup` and `headwater restore`.

use std::path::PathBuf;

use base::size::{counted, format_bytes};
use server::wire::{BackupAnswer, BackupRequest};

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::progress::Bar;
use crate::target::Target;

/// Where the copy goes.
#[derive(clap::Args, Debug)]
pub(crate) struct BackupOptions {
    /// A new or empty folder (of the server, with `--server`).
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
}

/// Where the copy is, and where the project goes.
#[derive(clap::Args, Debug)]
pub(crate) struct RestoreOptions {
    /// A folder that `backup` made.
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// A new or empty folder for the project.
    #[arg(value_name = "FOLDER")]
    to: PathBuf,
}

pub(crate) async fn backup(global: &Global, options: BackupOptions, printer: &Printer) -> Outcome {
    let target = Target::open(global).await?;
    let folder = std::path::absolute(&options.to).map_err(base::Error::from)?;
    let bar = Bar::new(printer);
    let request = BackupRequest { folder };
    let answer: BackupAnswer =
        target.call_reporting("backup", &request, &mut |progress| bar.report(&progress)).await?;
    drop(bar);
    printer.answer(&answer, || summary("backed up", &answer));
    Ok(())
}

pub(crate) async fn restore(
    global: &Global,
    options: RestoreOptions,
    printer: &Printer,
) -> Outcome {
    if global.server.is_some() {
        return Err(Failure::user(
            "`restore` makes a project on this machine",
            "leave `--server` out, restore, and start `headwater up` on the new project",
        ));
    }
    let bar = Bar::new(printer);
    let answer = server::operations::restore(
        &options.from,
        &options.to,
        global.secrets(),
        &mut |progress| bar.report(&progress),
    )
    .await?;
    drop(bar);
    printer.answer(&answer, || summary("restored", &answer));
    Ok(())
}

fn summary(what: &str, answer: &BackupAnswer) -> String {
    format!(
        "{what} {}: {}, {}, in {}",
        counted(answer.tables, "table"),
        counted(answer.objects, "object"),
        format_bytes(answer.bytes),
        answer.folder.display()
    )
}
