//! One file a subcommand. Each turns its options into a request, carries it out on the target, and
//! prints the answer.

pub(crate) mod apply;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod connect;
pub(crate) mod documents;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod migrate_store;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod rollback;
pub(crate) mod snapshots;
pub(crate) mod source;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod tables;
pub(crate) mod token;
pub(crate) mod undo;
pub(crate) mod up;
pub(crate) mod upgrade;
pub(crate) mod usage;

use crate::arguments::{Arguments, Command};
use crate::printer::{Outcome, Printer};

/// Carries the command out.
pub(crate) async fn run(arguments: Arguments, printer: &Printer) -> Outcome {
    let global = &arguments.global;
    match arguments.command {
        Command::Init(options) => init::run(global, options, printer).await,
        Command::Check(options) => check::run(global, options, printer).await,
        Command::Plan(options) => plan::run(global, options, printer).await,
        Command::Apply(options) => apply::run(global, options, printer).await,
        Command::Undo(options) => undo::run(global, options, printer).await,
        Command::Import(options) => import::run(global, options, printer).await,
        Command::Export(options) => export::run(global, options, printer).await,
        Command::Query(options) => query::run(global, options, printer).await,
        Command::Sql(options) => sql::run(global, options, printer).await,
        Command::Explain(options) => explain::run(global, options, printer).await,
        Command::Generate(options) => generate::run(global, options, printer).await,
        Command::Up(options) => up::run(global, options, printer).await,
        Command::Status => status::run(global, printer).await,
        Command::Tables => tables::run(global, printer).await,
        Command::Snapshots(options) => snapshots::run(global, options, printer).await,
        Command::Rollback(options) => rollback::run(global, options, printer).await,
        Command::Compact(options) => compact::run(global, options, printer).await,
        Command::Connect(options) => connect::run(global, options, printer).await,
        Command::Backup(options) => backup::backup(global, options, printer).await,
        Command::Restore(options) => backup::restore(global, options, printer).await,
        Command::MigrateStore(options) => migrate_store::run(global, options, printer).await,
        Command::Upgrade => upgrade::run(global, printer).await,
        Command::Source(command) => source::run(global, command, printer).await,
        Command::Usage(options) => usage::run(global, options, printer).await,
        Command::Documents(command) => documents::run(global, command, printer).await,
        Command::Token(command) => token::run(global, command, printer).await,
    }
}
