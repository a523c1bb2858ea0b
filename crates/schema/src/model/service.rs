//! Services in the model: who answers, where and how patiently it is asked, and the SDL that it
//! speaks. Built by `compile`; the mesh makes its clients of it.

use std::sync::Arc;
use std::time::Duration;

use base::{Place, Principal};

use crate::fetch::{Fetches, OnError};
use crate::graph::SourceKind;
use crate::load::Source;
use crate::protobuf::Descriptors;

use super::Schema;

/// A module that holds the SDL of a service instead of types of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceModule {
    /// Position in [`Schema::modules`](super::Schema::modules).
    pub module: usize,
    /// `@source` of its header.
    pub source: SourceSpec,
    /// The file's text with spaces where our header stood: what is at a line and column of it is
    /// at the same line and column of the user's file.
    pub sdl: Arc<str>,
    /// What of it only some audiences know.
    pub scopes: Vec<ServiceScope>,
    /// Of a source of kind POSTGRES: its tables, as a schema of their own.
    pub tables: Option<HeldTables>,
    /// Where its values are, when it does not speak GraphQL.
    pub fetches: Option<Arc<Fetches>>,
    /// Files of the schema folder that describe its messages, with which it is deployed.
    pub described: Vec<Source>,
    /// Where `@source` stands.
    pub place: Place,
}

/// `@scope(to:)` of ours in the SDL of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceScope {
    /// The type.
    pub type_name: Arc<str>,
    /// The field, unless the whole type is meant.
    pub field: Option<Arc<str>>,
    /// The audiences that know that it exists.
    pub to: Vec<Arc<str>>,
}

impl ServiceScope {
    /// Whether a caller knows that it exists.
    pub fn is_for(&self, who: &Principal) -> bool {
        who.sees_everything() || self.to.iter().any(|name| who.audiences.has(name))
    }
}

/// The tables of a database; equal when their fingerprints are.
#[derive(Clone, Debug)]
pub struct HeldTables(pub Arc<Schema>);

impl PartialEq for HeldTables {
    fn eq(&self, other: &Self) -> bool {
        self.0.fingerprint == other.0.fingerprint && self.0.holder == other.0.holder
    }
}

impl Eq for HeldTables {}

/// `@source(name, kind, url, timeout, retry, breaker, ttl, write, onError, descriptors, events, eventsPath)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// The name by which errors, metrics and `@override(from:)` know it.
    pub name: Arc<str>,
    /// What it speaks.
    pub kind: SourceKind,
    /// Where it is reached: `http` or `https`, of a database `postgres`; without user
    /// and password.
    pub url: Arc<str>,
    /// How long one call may take, with its retries.
    pub timeout: Duration,
    /// How often a call that failed is made again.
    pub retry: u32,
    /// When it is left alone for a while; `None` for never.
    pub breaker: Option<BreakerSpec>,
    /// How long answers of queries are kept; `None` for not at all.
    pub ttl: Option<Duration>,
    /// Whether rows of a database may be changed from here.
    pub write: bool,
    /// What happens when it does not answer; `None` as is usual: an earlier answer stands in where
    /// some are kept, and else the field is null.
    pub on_error: Option<OnError>,
    /// Of a service of gRPC: its methods and messages; `None` when it is asked for them.
    pub descriptors: Option<Descriptors>,
    /// How a service that speaks GraphQL tells of events.
    pub events: EventSpec,
}

/// `events: WEBSOCKET, eventsPath: "/graphql/ws"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSpec {
    /// By which protocol.
    pub protocol: EventProtocol,
    /// At which path of the same host; `None` for that of the address.
    pub path: Option<Arc<str>>,
}

/// By which protocol a service tells of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventProtocol {
    /// GraphQL over server-sent events.
    #[default]
    Sse,
    /// `graphql-transport-ws` over a WebSocket.
    WebSocket,
}

impl EventProtocol {
    /// As the language writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventProtocol::Sse => "SSE",
            EventProtocol::WebSocket => "WEBSOCKET",
        }
    }
}

/// `breaker: "50% of 20 in 10s"`: opens when at least `calls` were made within `window` and this
/// share of them failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSpec {
    /// How many of a hundred calls have to fail.
    pub percent: u32,
    /// How many calls there have to be.
    pub calls: u32,
    /// The time that is looked at.
    pub window: Duration,
}

impl SourceSpec {
    /// How long a call may take where nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(5);
    /// The breaker where nothing is said.
    pub const BREAKER: BreakerSpec =
        BreakerSpec { percent: 50, calls: 20, window: Duration::from_secs(10) };
}

impl Schema {
    /// The service that is called so.
    pub fn service_named(&self, name: &str) -> Option<&ServiceModule> {
        self.services.iter().find(|service| service.source.name.as_ref() == name)
    }
}
