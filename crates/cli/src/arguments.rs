//! The command line as types; the one registry of environment variables, too.

use std::path::{Path, PathBuf};

use base::Secret;
use clap::{Args, Parser, Subcommand, ValueEnum};

use server::settings::telemetry::Variables;
use server::settings::{Secrets, Settings};

use crate::commands::{
    apply, backup, check, compact, connect, documents, explain, export, generate, import, init,
    migrate_store, plan, query, rollback, snapshots, source, sql, token, undo, up, usage,
};

/// One data platform in one binary: a GraphQL schema drives tables, API, search and clients.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The project's folder; by default the nearest one upwards with `headwater.toml` or `schema/`.
    #[arg(long, global = true, env = "HEADWATER_PROJECT", value_name = "FOLDER")]
    pub(crate) project: Option<PathBuf>,
    /// Ask a running server instead of opening the project in process.
    #[arg(long, global = true, env = "HEADWATER_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The token for the server.
    #[arg(
        long,
        global = true,
        env = "HEADWATER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) token: Option<String>,
    /// Print one JSON value instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no remarks.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours; `NO_COLOR` turns them off, too.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(crate) color: When,
    /// What to log to standard error, as `tracing` filters it.
    #[arg(
        long,
        global = true,
        env = "HEADWATER_LOG",
        default_value = "warn,lance_io=error",
        hide = true
    )]
    pub(crate) log: String,
    /// The password of the metadata database.
    #[arg(
        long,
        global = true,
        env = "HEADWATER_METADATA_PASSWORD",
        hide = true,
        hide_env_values = true
    )]
    metadata_password: Option<Secret>,
    /// The name of the key of the object store.
    #[arg(long, global = true, env = "AWS_ACCESS_KEY_ID", hide = true, hide_env_values = true)]
    access_key_id: Option<String>,
    /// The key of the object store.
    #[arg(long, global = true, env = "AWS_SECRET_ACCESS_KEY", hide = true, hide_env_values = true)]
    secret_access_key: Option<Secret>,
    /// What goes with a temporary key.
    #[arg(long, global = true, env = "AWS_SESSION_TOKEN", hide = true, hide_env_values = true)]
    session_token: Option<Secret>,
    /// Set by many terminals and CI systems to turn colours off.
    #[arg(long, global = true, env = "NO_COLOR", hide = true, value_parser = clap::builder::FalseyValueParser::new(), num_args = 0)]
    pub(crate) no_color: bool,
    #[command(flatten)]
    otel: OpenTelemetry,
}

/// The standard variables of OpenTelemetry.
#[derive(Args, Clone, Debug)]
struct OpenTelemetry {
    /// The collector.
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide = true)]
    otel_endpoint: Option<String>,
    /// Headers that the collector hears.
    #[arg(
        long,
        global = true,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide = true,
        hide_env_values = true
    )]
    otel_headers: Option<Secret>,
    /// What this server is called there.
    #[arg(long, global = true, env = "OTEL_SERVICE_NAME", hide = true)]
    otel_service_name: Option<String>,
    /// What is said of it beside its name.
    #[arg(long, global = true, env = "OTEL_RESOURCE_ATTRIBUTES", hide = true)]
    otel_resource_attributes: Option<String>,
    /// The share of requests that are traced. A sampler of another kind may have another argument.
    #[arg(long, global = true, env = "OTEL_TRACES_SAMPLER_ARG", hide = true)]
    otel_traces: Option<String>,
}

impl Global {
    /// The settings of a project, with the secrets and the variables of the environment.
    pub(crate) fn settings(&self, folder: &Path) -> base::Result<Settings> {
        let settings = Settings::read(folder)?;
        let otel = &self.otel;
        let variables = Variables {
            endpoint: otel.otel_endpoint.clone(),
            headers: otel.otel_headers.clone(),
            service_name: otel.otel_service_name.clone(),
            attributes: otel.otel_resource_attributes.clone(),
            traces: otel.otel_traces.as_deref().and_then(|share| share.parse().ok()),
        };
        let telemetry = settings.telemetry.with_variables(&variables)?;
        Ok(Settings { secrets: self.secrets(), telemetry, ..settings })
    }

    /// The secrets of the environment.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets {
            metadata_password: self.metadata_password.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
        }
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project, or propose a schema from files and import them.
    Init(init::Options),
    /// Check the schema and report everything that is wrong with it.
    Check(check::Options),
    /// Show what applying the schema would do.
    Plan(plan::Options),
    /// Bring tables and API to the schema.
    Apply(apply::Options),
    /// Go back to the schema before the present one.
    Undo(undo::Options),
    /// Bring files into a table.
    Import(import::Options),
    /// Write a table, or the answer of a SQL query, to a file.
    Export(export::Options),
    /// Ask a GraphQL question.
    Query(query::Options),
    /// Ask a SQL question.
    Sql(sql::Options),
    /// Show how a question would be answered, without asking it.
    Explain(explain::Options),
    /// Write types and clients from the schema.
    Generate(generate::Options),
    /// Serve the project over HTTP.
    Up(up::Options),
    /// Show the state of the project and what maintenance owes.
    Status,
    /// List the tables.
    Tables,
    /// List the snapshots of a table.
    Snapshots(snapshots::Options),
    /// Go back to a snapshot of a table.
    Rollback(rollback::Options),
    /// Merge small files and apply deletes.
    Compact(compact::Options),
    /// Print what another tool needs to reach the tables of a running server.
    Connect(connect::Options),
    /// Copy the project into a folder, consistently, while writes go on.
    Backup(backup::BackupOptions),
    /// Make a project from a backup.
    Restore(backup::RestoreOptions),
    /// Move all objects to another place while the project is served.
    MigrateStore(migrate_store::Options),
    /// Bring stored formats up to this version.
    Upgrade,
    /// Add services to the schema.
    #[command(subcommand)]
    Source(source::Command),
    /// Show who asks what of the API.
    Usage(usage::Options),
    /// Register, list and remove the documents that clients may ask.
    #[command(subcommand)]
    Documents(documents::Command),
    /// Make, list and revoke access tokens.
    #[command(subcommand)]
    Token(token::Command),
}

impl Command {
    /// Whether the command itself answers to Ctrl-C.
    pub(crate) fn handles_signals(&self) -> bool {
        matches!(self, Command::Up(_))
    }
}
