//! Binds, checks that it is safe to serve there, serves, and stops gracefully.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use base::task::{self, Task};
use base::{Error, Kind, Result};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::{Semaphore, watch as signals};

use super::metrics::Metrics;
use super::{App, Shared, routes, system, watch};
use crate::maintenance::{self, Debt};
use crate::project::Project;
use crate::s3::S3;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::tokens;

/// How long requests in flight may take to finish after a stop was asked for.
const GRACE: Duration = Duration::from_secs(20);

/// How long the head of a request may take to arrive.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// A server that is listening.
pub struct Serving {
    address: SocketAddr,
    is_tls: bool,
    handle: Handle<SocketAddr>,
    task: Task<std::io::Result<()>>,
    app: Shared,
    /// Stop with the server.
    _maintenance: [Task<()>; 3],
    _reports: Option<Task<()>>,
}

/// Starts to serve. Errors: `Denied` when the settings would expose the project; `Io` when the
/// address is taken.
pub async fn serve(project: Project) -> Result<Serving> {
    refuse_exposure(&project).await?;
    let settings = project.settings.clone();
    let listener = bind(settings.server.listen)?;
    let address = listener.local_addr()?;
    let tls = tls(&settings).await?;
    let is_tls = tls.is_some();
    let project = Arc::new(project);
    let maintenance = maintenance::start(&project);
    let app = Arc::new(app(project, &settings, address)?);
    let reports = watch::reports(&app);
    let service =
        routes::router(Arc::clone(&app)).into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let server_handle = handle.clone();
    let task = match tls {
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(server_handle);
            bound_heads(server.http_builder());
            task::spawn("serve https", async move { server.serve(service).await })
        }
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(server_handle);
            bound_heads(server.http_builder());
            task::spawn("serve http", async move { server.serve(service).await })
        }
    };
    Ok(Serving { address, is_tls, handle, task, app, _maintenance: maintenance, _reports: reports })
}

/// A client that sends the head of its request too slowly is let go.
fn bound_heads(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
}

fn app(project: Arc<Project>, settings: &Settings, address: SocketAddr) -> Result<App> {
    let lowercase =
        |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    let mut hosts = lowercase(&settings.server.allow_hosts);
    hosts.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()]);
    hosts.push(match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        // As the `Host` header spells it.
        IpAddr::V6(ip) => format!("[{ip}]"),
    });
    Ok(App {
        system: system::engine(Arc::clone(&project))?,
        metrics: Metrics::new(),
        telemetry: Telemetry::start(&project.folder, settings, &project.clock, &project.rng)?,
        is_tls: settings.server.tls_certificate.is_some(),
        debt: Debt::default(),
        slots: Arc::new(Semaphore::new(settings.limits.concurrent_requests)),
        streams: routes::Streams::new(settings.graphql.subscriptions),
        closing: signals::Sender::new(false),
        hosts,
        origins: lowercase(&settings.server.allow_origins),
        s3: S3::new(&project),
        address,
        demands_tokens: settings.server.require_tokens
            || !settings.server.listen.ip().is_loopback(),
        project,
    })
}

/// Beyond loopback, anybody can knock: tokens and encryption are not optional there.
async fn refuse_exposure(project: &Project) -> Result<()> {
    let server = &project.settings.server;
    let has_tokens = tokens::any(&project.database).await?;
    if server.require_tokens && !has_tokens {
        return Err(Error::new(Kind::Denied, "tokens are demanded and there is none")
            .hint("make one with `headwater token create NAME --team TEAM --scope admin`"));
    }
    if server.listen.ip().is_loopback() {
        return Ok(());
    }
    let beyond = format!("`{}` can be reached from other machines", server.listen);
    if !has_tokens {
        return Err(Error::new(Kind::Denied, format!("{beyond}, and there is no token yet"))
            .hint("make one with `headwater token create NAME --team TEAM --scope admin`"));
    }
    if server.tls_certificate.is_none() && !server.behind_proxy {
        return Err(Error::new(Kind::Denied, format!("{beyond}, and requests would not be encrypted")).hint(
            "add `--tls-certificate` and `--tls-key`, or `--behind-proxy` when a proxy in front ends TLS",
        ));
    }
    Ok(())
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address).map_err(|error| {
        Error::from(error)
            .context(format!("failed to listen at `{address}`"))
            .hint("name another port with `--listen`, or port 0 for a free one")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn tls(settings: &Settings) -> Result<Option<RustlsConfig>> {
    let (Some(certificate), Some(key)) =
        (&settings.server.tls_certificate, &settings.server.tls_key)
    else {
        return Ok(None);
    };
    // Another part of the process may have installed the same provider before.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = RustlsConfig::from_pem_file(certificate, key).await.map_err(|error| {
        Error::from(error).context(format!(
            "failed to read the certificate `{}` and its key `{}`",
            certificate.display(),
            key.display()
        ))
    })?;
    Ok(Some(config))
}

impl Serving {
    /// The address to open.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests in flight finish, for a stated time, and stops.
    pub async fn stop(self) -> Result<()> {
        self.app.closing.send_replace(true);
        self.handle.graceful_shutdown(Some(GRACE));
        self.ended().await
    }

    /// Serves until Ctrl-C or SIGTERM, then stops gracefully.
    pub async fn until_stopped(self) -> Result<()> {
        let (handle, app) = (self.handle.clone(), Arc::clone(&self.app));
        let signals = task::spawn("wait for a signal", async move {
            signal().await;
            app.closing.send_replace(true);
            handle.graceful_shutdown(Some(GRACE));
        });
        let result = self.ended().await;
        drop(signals);
        result
    }

    /// Waits for the end, writes down what was asked until then, and tells the last of it.
    async fn ended(self) -> Result<()> {
        let result = self.task.await;
        maintenance::write_usage(&self.app.project).await;
        watch::report(&self.app).await;
        self.app.telemetry.stop().await;
        result?.map_err(Error::from)
    }
}

#[cfg(unix)]
async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    else {
        let _interrupted = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _interrupted = tokio::signal::ctrl_c().await;
}
