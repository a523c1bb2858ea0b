//! Tables and services of calls as one engine, with a real server that answers by a function of the test
//! and keeps what it heard.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::rng::Rng;
use base::{Clock, Principal, Timestamp};
use mesh::transport::{Protocol, SourceSettings, Transport};
use mesh::{Engine, Request, Rest, Service, Settings};
use parking_lot::Mutex;
use schema::graph::SourceKind;
use schema::{Schema, Sources};
use serde_json::{Map, Value as Json};

use crate::transport::server::{Peer, Server};

/// Answers a request: its method, target and body.
pub(super) type Answerer = Arc<dyn Fn(&str, &str, &str) -> String + Send + Sync>;

/// An engine with the server behind its services.
pub(crate) struct Lab {
    pub(crate) engine: Arc<Engine>,
    pub(super) heard: Arc<Mutex<Vec<String>>>,
    pub(crate) transports: BTreeMap<String, Arc<Transport>>,
    pub(super) clock: Clock,
    _server: Option<Server>,
}

/// Compiles modules, or says what is wrong with them.
pub(crate) fn compiled(modules: &[(String, String)]) -> Arc<Schema> {
    let sources = Sources::from_texts(modules.iter().cloned());
    match schema::compile(&sources) {
        Ok(schema) => Arc::new(schema),
        Err(found) => panic!("{}", found.render(&sources, false)),
    }
}

impl Lab {
    /// An engine over modules; the services are all on one server that answers like this.
    pub(super) async fn open(modules: &[(String, String)], answer: Answerer) -> Lab {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let server = Server::start(move |mut peer: Peer| {
            let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
            async move {
                while let Some(request) = peer.request().await {
                    let (line, said) = told(&request);
                    kept.lock().push(said);
                    let mut parts = line.splitn(3, ' ');
                    let (method, target) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
                    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                    peer.say(answer(method, target, body)).await;
                }
            }
        })
        .await;
        Lab::over(modules, server, heard, |_| {})
    }

    /// An engine over modules whose services are on this server.
    pub(crate) fn over(
        modules: &[(String, String)],
        server: Server,
        heard: Arc<Mutex<Vec<String>>>,
        change: impl Fn(&mut SourceSettings),
    ) -> Lab {
        let url = server.url.clone();
        Lab { heard, _server: Some(server), ..Lab::at(modules, &url, change) }
    }

    /// An engine over modules whose services are at this address.
    pub(crate) fn at(
        modules: &[(String, String)],
        url: &str,
        change: impl Fn(&mut SourceSettings),
    ) -> Lab {
        let schema = compiled(modules);
        let clock = Clock::fixed(Timestamp::parse("2026-11-30T08:00:00Z").expect("a time"));
        let graph = schema.graph.clone().expect("a graph");
        let mut transports = BTreeMap::new();
        let services = schema.services.iter().map(|service| {
            let spec = &service.source;
            let path = spec.url.splitn(4, '/').nth(3).unwrap_or("");
            let mut settings = SourceSettings::new(format!("{url}/{path}"));
            settings.timeout = spec.timeout;
            settings.retry.most = spec.retry;
            settings.retry.backoff = std::time::Duration::ZERO;
            settings.breaker = None;
            if spec.kind == SourceKind::Grpc {
                settings.protocol = Protocol::Http2;
            }
            change(&mut settings);
            let transport = Transport::new(&spec.name, settings, clock.clone(), Rng::seeded(7));
            let transport = Arc::new(transport.expect("a transport"));
            transports.insert(spec.name.to_string(), Arc::clone(&transport));
            let own = graph.sources.iter().find(|source| source.name == spec.name);
            let own = &own.expect("a source of the graph").schema;
            let fetches = service.fetches.clone().expect("calls");
            let (name, rng) = (&spec.name, Rng::seeded(9));
            let rest = match spec.kind {
                SourceKind::Grpc => {
                    let calls = (fetches, spec.descriptors.clone());
                    Rest::grpc(name, transport, own, calls, rng)
                }
                _ => Rest::new(name, transport, own, fetches, rng),
            };
            Arc::new(rest.expect("a service")) as Arc<dyn Service>
        });
        let services = services.collect();
        let tables = Arc::new(crate::fixture::tables(&schema, clock.clone()));
        let settings =
            Settings { clock: clock.clone(), rng: Rng::seeded(7), ..Settings::default() };
        let engine = Engine::federated(schema, tables, services, settings).expect("an engine");
        let (engine, heard) = (Arc::new(engine), Arc::default());
        Lab { engine, heard, transports, clock, _server: None }
    }

    /// The answer to a query.
    pub(crate) async fn ask(&self, query: &str, variables: Map<String, Json>) -> Json {
        let request = Request { variables, ..Request::new(query, Principal::local()) };
        self.engine.execute(request).await.json().expect("JSON")
    }

    /// What was heard since the last time; calls of one level come in any order.
    pub(super) fn heard(&self) -> Vec<String> {
        let mut heard = std::mem::take(&mut *self.heard.lock());
        heard.sort();
        heard
    }
}

/// The first line of a request, and what a test shows of it: headers of its own, and the body.
fn told(request: &str) -> (String, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let line = lines.next().unwrap_or("").to_owned();
    let mut said = line.trim_end_matches(" HTTP/1.1").to_owned();
    for header in lines {
        let is_own = ["x-", "idempotency-", "if-"].iter().any(|start| header.starts_with(start));
        if is_own {
            let secret = header.starts_with("idempotency-");
            let shown = if secret { header.split(':').next().unwrap_or("") } else { header };
            said.push_str(&format!(" [{shown}]"));
        }
    }
    if !body.is_empty() {
        said.push_str(&format!(" {body}"));
    }
    (line, said)
}
