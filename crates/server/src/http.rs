//! The project over HTTP: GraphQL, operations, media, metrics, health and the UI on one port.
//!
//! ```text
//! connection → guard (host, origin) → authenticate → limit → routes/* → operations, mesh
//! ```
//!
//! In: an open project and its settings. Out: a server that stops gracefully. Beyond loopback it
//! starts only with tokens and TLS (or a proxy that ends TLS). Not here: what the routes do.

mod authenticate;
mod events;
mod guard;
mod metrics;
mod respond;
mod routes;
mod start;
mod system;
mod watch;
mod worded;

use std::sync::Arc;

use mesh::Engine;
use tokio::sync::Semaphore;
use tokio::sync::watch::Sender;

use crate::maintenance::Debt;
use crate::project::Project;
use crate::s3::S3;
use crate::telemetry::Telemetry;
use metrics::Metrics;
use routes::Streams;

pub use start::{Serving, serve};

/// What every request handler sees.
pub(crate) struct App {
    /// The project.
    pub(crate) project: Arc<Project>,
    /// Answers `/system`.
    pub(crate) system: Engine,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// What is told of requests, and whom.
    pub(crate) telemetry: Telemetry,
    /// Whether this port speaks TLS.
    pub(crate) is_tls: bool,
    /// What maintenance owes.
    pub(crate) debt: Debt,
    /// Requests at once.
    pub(crate) slots: Arc<Semaphore>,
    /// Streams and sockets at once.
    pub(crate) streams: Streams,
    /// Whether the server is about to stop, so that streams must end.
    pub(crate) closing: Sender<bool>,
    /// Hosts that requests may name, lowercase, without port.
    pub(crate) hosts: Vec<String>,
    /// Origins whose pages may call, lowercase.
    pub(crate) origins: Vec<String>,
    /// Answers requests that are signed as requests to S3 are.
    pub(crate) s3: S3,
    /// Where the server listens.
    pub(crate) address: std::net::SocketAddr,
    /// Whether a request without a token is refused.
    pub(crate) demands_tokens: bool,
}

/// The state of axum's router.
pub(crate) type Shared = Arc<App>;
