//! `headwater up`: serves the project over HTTP until Ctrl-C or SIGTERM.

use std::net::SocketAddr;
use std::path::PathBuf;

use base::task;
use server::{Project, Settings};

use crate::arguments::Global;
use crate::printer::{Failure, Outcome, Printer};
use crate::resident::give_back_startup;
use crate::target::project_folder;

/// How long after its start a server has done what only its start needs.
const SETTLED: std::time::Duration = std::time::Duration::from_secs(2);

/// How to serve; flags win over `headwater.toml`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Address and port; port 0 takes a free one. By default 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS", env = "HEADWATER_LISTEN")]
    listen: Option<SocketAddr>,
    /// Certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// TLS ends at a proxy in front of this server.
    #[arg(long)]
    behind_proxy: bool,
    /// Demand tokens on loopback, too.
    #[arg(long)]
    require_tokens: bool,
    /// A host name that requests may use.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// An origin whose pages may call.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
}

pub(crate) async fn run(global: &Global, options: Options, printer: &Printer) -> Outcome {
    if global.server.is_some() {
        return Err(Failure::user("`up` serves a project of this machine", "leave `--server` out"));
    }
    let folder = project_folder(global)?;
    let settings = settings(global, &folder, options)?;
    let project = Project::open(&folder, settings).await?;
    let serving = server::serve(project).await?;
    printer.text(&format!("serving {} at {}", folder.display(), serving.url()));
    printer.remark("press Ctrl-C to stop");
    let _settled = task::spawn("give back what starting needed", async {
        tokio::time::sleep(SETTLED).await;
        give_back_startup();
    });
    serving.until_stopped().await?;
    printer.remark("stopped");
    Ok(())
}

fn settings(
    global: &Global,
    folder: &std::path::Path,
    options: Options,
) -> Result<Settings, Failure> {
    let mut settings = global.settings(folder)?;
    let server = &mut settings.server;
    if let Some(listen) = options.listen {
        server.listen = listen;
    }
    if options.tls_certificate.is_some() {
        server.tls_certificate = options.tls_certificate;
        server.tls_key = options.tls_key;
    }
    server.behind_proxy |= options.behind_proxy;
    server.require_tokens |= options.require_tokens;
    server.allow_hosts.extend(options.allow_host);
    server.allow_origins.extend(options.allow_origin);
    Ok(settings)
}
