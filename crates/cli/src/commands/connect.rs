//! `headwater connect`: prints what another tool needs to reach the tables of a running server.

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use server::Settings;
use server::wire::{ConnectAnswer, ConnectRequest};

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::target::{Target, project_folder};

/// Which tool, and which table.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The tool.
    #[arg(value_enum, value_name = "TOOL")]
    tool: Tool,
    /// The table, with its namespace: `catalog.films`.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Let the tool write the files of the table, too (only pylance needs to be told).
    #[arg(long)]
    write: bool,
    /// How the tool reaches the server; by default the address of the settings, or `--server`.
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,
}

/// Tools whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    Pyiceberg,
    Spark,
    Duckdb,
    Polars,
    Pylance,
    Trino,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    let url = url(global, &options)?;
    let table = options.table.clone().unwrap_or_else(|| "catalog.films".to_owned());
    if options.tool != Tool::Pylance {
        let snippet = snippet(options.tool, &url, &table);
        let answer = json!({ "url": format!("{url}/iceberg"), "snippet": snippet });
        printer.answer(&answer, || snippet.clone());
        return Ok(());
    }
    let table = options
        .table
        .ok_or_else(|| Failure::user("pylance reads one table", "name it with `--table`"))?;
    let target = Target::open(global).await?;
    let request = ConnectRequest { table, write: options.write };
    let made: ConnectAnswer = target.call("connect", &request).await?;
    let options = storage_options(&url, &made);
    let snippet = pylance(&made.location, &options);
    let answer = json!({
        "url": url,
        "location": made.location,
        "options": options,
        "expiresAt": made.expires_at,
        "snippet": snippet,
    });
    printer.answer(&answer, || snippet.clone());
    printer.remark(&format!("these credentials end at {}", made.expires_at));
    Ok(())
}

fn url(global: &Global, options: &Options) -> Result<String, Failure> {
    if let Some(url) = options.server_url.as_ref().or(global.server.as_ref()) {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let settings = Settings::read(&project_folder(global)?)?;
    let scheme = if settings.server.tls_certificate.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", settings.server.listen))
}

fn snippet(tool: Tool, url: &str, table: &str) -> String {
    let text = match tool {
        Tool::Pyiceberg => include_str!("connect/pyiceberg.py"),
        Tool::Spark => include_str!("connect/spark.py"),
        Tool::Duckdb => include_str!("connect/duckdb.sql"),
        Tool::Polars => include_str!("connect/polars.py"),
        Tool::Pylance => "",
        Tool::Trino => include_str!("connect/trino.properties"),
    };
    text.replace("{url}", url).replace("{table}", table).trim_end().to_owned()
}

/// What clients of Lance take.
fn storage_options(url: &str, made: &ConnectAnswer) -> Map<String, Value> {
    let plain = url.starts_with("http://");
    let options = [
        ("aws_endpoint", url),
        ("aws_region", "us-east-1"),
        ("aws_access_key_id", &made.access_key),
        ("aws_secret_access_key", &made.secret_key),
        ("aws_session_token", &made.session_token),
        ("aws_virtual_hosted_style_request", "false"),
        ("allow_http", if plain { "true" } else { "false" }),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn pylance(location: &str, options: &Map<String, Value>) -> String {
    let lines: String =
        options.iter().map(|(name, value)| format!("    \"{name}\": {value},\n")).collect();
    format!(
        "import lance\n\noptions = {{\n{lines}}}\n\
         dataset = lance.dataset(\"{location}\", storage_options=options)\n\
         print(dataset.to_table())"
    )
}
