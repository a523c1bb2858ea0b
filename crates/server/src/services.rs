//! The services of a schema, as this process reaches them.
//!
//! ```text
//! settings → rules of each source ┐
//! schema   → its sources          ┴→ a client for each, kept while any version that is served uses it
//! ```
//!
//! In: settings once, a schema whenever one is deployed. Out: services for the mesh, in the order of
//! the schema. A source that a new version reaches in the same way keeps its client: its connections,
//! what its breaker knows and its answers outlive a change of the schema. Not here: calls (`mesh`).

mod database;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Weak};

use base::rng::Rng;
use base::{Clock, Error, Result, Secret};
use http::{HeaderName, HeaderValue};
use mesh::transport::{
    BreakerSettings, HeaderRule, Health, Identity, Protocol, Roots, SourceSettings, Transport,
    ViewerPart,
};
use mesh::{Remote, Rest, Service};
use parking_lot::Mutex;
use schema::fetch::OnError;
use schema::graph::SourceKind;
use schema::{EventProtocol, Schema, ServiceModule, SourceSpec};

use crate::settings::{Settings, Source};
use crate::stores::secret_file;
use database::Login;

/// Bytes of an answer of gRPC, unless something else is set, as its clients have it: what is packed takes many
/// times its bytes once it is read.
const GRPC_BYTES: usize = 4 << 20;

/// Calls that the breaker remembers, unless it is to judge by more.
const REMEMBERED: usize = 100;

/// The services of all versions that are served.
#[derive(Debug)]
pub(crate) struct Services {
    /// What the settings say of each source: those of a transport, whose URL the schema gives.
    reached: BTreeMap<String, SourceSettings>,
    /// The sources of which they say how large an answer may be.
    sized: BTreeSet<String>,
    /// Who logs in to those that are databases.
    logins: BTreeMap<String, Login>,
    clock: Clock,
    rng: Rng,
    clients: Mutex<Vec<Client>>,
}

/// The client of a source, while somebody uses it.
#[derive(Debug)]
struct Client {
    spec: SourceSpec,
    held: Held,
}

/// What is kept of a client.
#[derive(Debug)]
enum Held {
    Http(Weak<Transport>),
    Database(database::Held),
}

impl Held {
    fn is_used(&self) -> bool {
        match self {
            Held::Http(transport) => transport.strong_count() > 0,
            Held::Database(held) => held.upgrade().is_some(),
        }
    }

    fn health(&self) -> Option<Health> {
        match self {
            Held::Http(transport) => Some(transport.upgrade()?.health()),
            Held::Database(held) => held.health(),
        }
    }
}

impl Services {
    /// Reads what the settings say of sources, with the files that they name.
    pub(crate) fn open(
        folder: &Path,
        settings: &Settings,
        clock: Clock,
        rng: Rng,
    ) -> Result<Services> {
        let reached = settings.sources.iter().map(|(name, source)| {
            let reached = reached(folder, source);
            let reached = reached.map_err(|error| error.context(format!("`sources.{name}`")))?;
            Ok((name.clone(), reached))
        });
        let reached = reached.collect::<Result<_>>()?;
        let logins = settings.sources.iter().map(|(name, source)| {
            let login = login(folder, source);
            let login = login.map_err(|error| error.context(format!("`sources.{name}`")))?;
            Ok((name.clone(), login))
        });
        let logins = logins.collect::<Result<_>>()?;
        let sized = settings.sources.iter().filter(|(_, source)| source.answer_bytes.is_some());
        let sized = sized.map(|(name, _)| name.clone()).collect();
        Ok(Services { reached, sized, logins, clock, rng, clients: Mutex::default() })
    }

    /// The services of a schema, in its order; those that are tables answer as `engine` says.
    pub(crate) fn of(
        &self,
        schema: &Schema,
        engine: &mesh::Settings,
    ) -> Result<Vec<Arc<dyn Service>>> {
        let mut clients = self.clients.lock();
        clients.retain(|client| client.held.is_used());
        for name in self.reached.keys().filter(|name| schema.service_named(name).is_none()) {
            tracing::warn!("`[sources.{name}]` of headwater.toml names no service of the schema");
        }
        let services = schema.services.iter();
        services.map(|service| self.service(&mut clients, (schema, service), engine)).collect()
    }

    fn service(
        &self,
        clients: &mut Vec<Client>,
        (schema, service): (&Schema, &ServiceModule),
        engine: &mesh::Settings,
    ) -> Result<Arc<dyn Service>> {
        let spec = &service.source;
        self.warn_of_strangers(spec);
        if let Some(tables) = &service.tables {
            let client = self.database(clients, spec, engine.limits.rows)?;
            return client.service(&tables.0, engine);
        }
        let transport = self.client(clients, spec)?;
        self.adapter(schema, service, transport)
    }

    /// Settings that a source of this kind does not heed are told, and harm nothing.
    fn warn_of_strangers(&self, spec: &SourceSpec) {
        let is_database = spec.kind == SourceKind::Postgres;
        let reached = self.reached.get(spec.name.as_ref());
        let heeds_headers = reached.is_some_and(|reached| {
            !reached.headers.is_empty() || reached.deadline_header.is_some()
        });
        let login = self.logins.get(spec.name.as_ref());
        let logs_in = login.is_some_and(|login| login.user.is_some() || login.password.is_some());
        if is_database && heeds_headers {
            tracing::warn!("`[sources.{}]` says headers, which a database has not", spec.name);
        }
        if !is_database && logs_in {
            tracing::warn!(
                "`[sources.{}]` says who logs in, which only a database asks",
                spec.name
            );
        }
    }

    /// What turns calls of the mesh into those that a service of this kind takes.
    fn adapter(
        &self,
        schema: &Schema,
        service: &ServiceModule,
        transport: Arc<Transport>,
    ) -> Result<Arc<dyn Service>> {
        let source = &service.source;
        let Some(fetches) = &service.fetches else {
            let remote = Remote::new(transport, source.ttl);
            // Where answers are kept they stand in, unless something else is said.
            let stands_in = source.on_error != Some(OnError::Null);
            return Ok(Arc::new(if stands_in { remote } else { remote.without_stale() }));
        };
        let composed = schema.graph.iter().flat_map(|graph| &graph.sources);
        let own = composed.into_iter().find(|own| own.name == source.name);
        let own = own.ok_or_else(|| {
            Error::internal(format!("the source `{}` is not in the graph", source.name))
        })?;
        let (fetches, rng) = (fetches.clone(), self.rng.clone());
        let rest = match source.kind {
            SourceKind::Grpc => {
                let calls = (fetches, source.descriptors.clone());
                Rest::grpc(&source.name, transport, &own.schema, calls, rng)?
            }
            _ => Rest::new(&source.name, transport, &own.schema, fetches, rng)?,
        };
        Ok(Arc::new(rest))
    }

    /// Where a source is reached.
    pub(crate) fn address(&self, spec: &SourceSpec) -> String {
        self.settings(spec).url
    }

    /// How the sources do now, by name; of a source that two versions reach in two ways, both, the
    /// newer one last.
    pub(crate) fn health(&self) -> Vec<Health> {
        let clients = self.clients.lock();
        let mut health: Vec<Health> =
            clients.iter().filter_map(|client| client.held.health()).collect();
        health.sort_by(|a, b| a.source.cmp(&b.source));
        health
    }

    fn client(&self, clients: &mut Vec<Client>, spec: &SourceSpec) -> Result<Arc<Transport>> {
        let known = clients.iter().find(|client| client.spec == *spec);
        if let Some(Held::Http(transport)) = known.map(|client| &client.held)
            && let Some(transport) = transport.upgrade()
        {
            return Ok(transport);
        }
        let settings = self.settings(spec);
        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        let transport = Arc::new(Transport::new(&spec.name, settings, clock, rng)?);
        let held = Held::Http(Arc::downgrade(&transport));
        clients.push(Client { spec: spec.clone(), held });
        Ok(transport)
    }

    fn database(
        &self,
        clients: &mut Vec<Client>,
        spec: &SourceSpec,
        rows: usize,
    ) -> Result<database::Client> {
        let known = clients.iter().find(|client| client.spec == *spec);
        if let Some(Held::Database(held)) = known.map(|client| &client.held)
            && let Some(client) = held.upgrade()
        {
            return Ok(client);
        }
        let login = self.logins.get(spec.name.as_ref()).cloned().unwrap_or_default();
        let settings = self.settings(spec);
        let client = database::Client::new(spec, settings, &login, rows, self.clock.clone())?;
        let held = Held::Database(client.downgrade());
        clients.push(Client { spec: spec.clone(), held });
        Ok(client)
    }

    /// What settings and schema say of a source together.
    fn settings(&self, spec: &SourceSpec) -> SourceSettings {
        let reached = self.reached.get(spec.name.as_ref()).cloned();
        let mut settings = reached.unwrap_or_else(|| SourceSettings::new(""));
        if settings.url.is_empty() {
            settings.url = spec.url.to_string();
        }
        if spec.kind == SourceKind::Grpc {
            settings.protocol = Protocol::Http2;
            if !self.sized.contains(spec.name.as_ref()) {
                (settings.answer_bytes, settings.wire_bytes) = (GRPC_BYTES, GRPC_BYTES);
            }
        }
        settings.sockets = spec.events.protocol == EventProtocol::WebSocket;
        settings.stream_path = spec.events.path.as_deref().map(str::to_owned);
        settings.timeout = spec.timeout;
        settings.retry.most = spec.retry;
        settings.breaker = spec.breaker.map(|breaker| BreakerSettings {
            calls: REMEMBERED.max(breaker.calls as usize),
            window: breaker.window,
            minimum: breaker.calls as usize,
            failed_percent: breaker.percent,
            ..BreakerSettings::default()
        });
        settings
    }
}

/// A section of the settings, with the files that it names; the URL is empty where it says none.
fn reached(folder: &Path, source: &Source) -> Result<SourceSettings> {
    let mut settings = SourceSettings::new(source.url.clone().unwrap_or_default());
    settings.headers = rules(folder, source)?;
    settings.deadline_header = source.deadline_header.as_deref().map(name).transpose()?;
    settings.compression = source.compression;
    if source.http2 {
        settings.protocol = Protocol::Http2;
    }
    if let Some(concurrency) = source.concurrency {
        settings.concurrency = concurrency;
        settings.queue = concurrency.saturating_mul(4);
    }
    if let Some(bytes) = source.answer_bytes {
        settings.answer_bytes = usize::try_from(bytes.0).unwrap_or(usize::MAX);
        settings.wire_bytes = settings.answer_bytes;
    }
    if let Some(file) = &source.tls_roots {
        settings.tls.roots = Roots::Pem(secret_file(folder, file)?.1);
    }
    if let (Some(chain), Some(key)) = (&source.tls_certificate, &source.tls_key) {
        let (_, chain) = secret_file(folder, chain)?;
        let (_, key) = secret_file(folder, key)?;
        settings.tls.identity = Some(Identity { chain, key: Secret::new(key) });
    }
    Ok(settings)
}

/// Who logs in, with the file that holds the password.
fn login(folder: &Path, source: &Source) -> Result<Login> {
    let password = source.password_file.as_ref().map(|file| {
        let (_, text) = secret_file(folder, file)?;
        Ok::<_, Error>(Secret::new(text.trim_end_matches(['\r', '\n'])))
    });
    Ok(Login {
        user: source.user.clone(),
        password: password.transpose()?,
        connections: source.concurrency,
    })
}

/// The rules in their order: what clients say, then what is always said, which stands over it.
fn rules(folder: &Path, source: &Source) -> Result<Vec<HeaderRule>> {
    let mut rules = Vec::new();
    for forwarded in &source.forward {
        rules.push(match forwarded.strip_suffix('*') {
            Some(prefix) => HeaderRule::ForwardPrefix(prefix.to_owned()),
            None => HeaderRule::Forward(name(forwarded)?),
        });
    }
    for (from, to) in &source.rename {
        rules.push(HeaderRule::Rename { from: name(from)?, to: name(to)? });
    }
    for (header, text) in &source.set {
        rules.push(HeaderRule::Set(name(header)?, value(header, text)?));
    }
    for (header, file) in &source.secret_files {
        let (_, text) = secret_file(folder, file)?;
        let mut secret = value(header, text.trim_end_matches(['\r', '\n']))?;
        secret.set_sensitive(true);
        rules.push(HeaderRule::Set(name(header)?, secret));
    }
    let viewer =
        [(&source.subject_header, ViewerPart::Subject), (&source.team_header, ViewerPart::Team)];
    for (header, part) in viewer {
        if let Some(header) = header {
            rules.push(HeaderRule::Viewer(name(header)?, part));
        }
    }
    Ok(rules)
}

/// The name of a header.
pub(crate) fn name(text: &str) -> Result<HeaderName> {
    HeaderName::try_from(text)
        .map_err(|_| Error::invalid(format!("`{text}` is no name of a header")))
}

/// The value of a header; what a file holds is not shown.
pub(crate) fn value(header: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(text).map_err(|_| {
        Error::invalid(format!("the value of `{header}` has characters that no header holds"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::EventSpec;

    fn open(folder: &Path, text: &str) -> Result<Services> {
        let settings = Settings::parse(text, "headwater.toml")?;
        Services::open(folder, &settings, Clock::system(), Rng::from_entropy())
    }

    fn spec(url: &str) -> SourceSpec {
        SourceSpec {
            name: "reviews".into(),
            kind: SourceKind::GraphQl,
            url: url.into(),
            timeout: SourceSpec::TIMEOUT,
            retry: 0,
            breaker: Some(SourceSpec::BREAKER),
            ttl: None,
            write: false,
            on_error: None,
            descriptors: None,
            events: EventSpec::default(),
        }
    }

    #[test]
    fn a_source_keeps_its_client_while_it_is_reached_in_the_same_way() -> Result<()> {
        let services = open(Path::new("."), "")?;
        let client = |spec: &SourceSpec| services.client(&mut services.clients.lock(), spec);
        let (first, again) = (client(&spec("http://a"))?, client(&spec("http://a"))?);
        assert!(Arc::ptr_eq(&first, &again));
        let other = client(&spec("http://b"))?;
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(services.health().len(), 2);
        drop(other);
        assert_eq!(services.health().len(), 1);
        Ok(())
    }

    #[test]
    fn settings_stand_over_the_address_and_say_the_headers() -> Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("key"), "s3cret\n")?;
        let text = "[sources.reviews]\nurl = \"http://staging/graphql\"\n\
                    forward = [\"authorization\", \"x-tenant-*\"]\nset = { x-from = \"headwater\" }\n\
                    secret_files = { x-api-key = \"key\" }\nsubject_header = \"x-user\"\n";
        let settings = open(folder.path(), text)?.settings(&spec("http://a"));
        assert_eq!(settings.url, "http://staging/graphql");
        let name = HeaderName::from_static;
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        assert_eq!(
            settings.headers,
            [
                HeaderRule::Forward(name("authorization")),
                HeaderRule::ForwardPrefix("x-tenant-".to_owned()),
                HeaderRule::Set(name("x-from"), HeaderValue::from_static("headwater")),
                HeaderRule::Set(name("x-api-key"), secret),
                HeaderRule::Viewer(name("x-user"), ViewerPart::Subject),
            ]
        );
        Ok(())
    }

    #[test]
    fn answers_of_grpc_are_smaller_unless_the_settings_say_how_large() -> Result<()> {
        let grpc = || SourceSpec { kind: SourceKind::Grpc, ..spec("http://a") };
        let bytes = |text: &str, spec: &SourceSpec| -> Result<usize> {
            Ok(open(Path::new("."), text)?.settings(spec).answer_bytes)
        };
        assert_eq!(bytes("", &grpc())?, GRPC_BYTES);
        assert_eq!(bytes("[sources.reviews]\nhttp2 = true\n", &grpc())?, GRPC_BYTES);
        let said = "[sources.reviews]\nanswer_bytes = \"32MiB\"\n";
        assert_eq!(bytes(said, &grpc())?, 32 << 20);
        assert_eq!(bytes("", &spec("http://a"))?, 32 << 20);
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_source_is_told_when_the_project_opens() {
        let refuse = |text: &str| open(Path::new("."), text).expect_err("must be refused");
        let told = refuse("[sources.a]\nforward = [\"x y\"]");
        assert_eq!(
            base::error_chain(&told).join(": "),
            "`sources.a`: `x y` is no name of a header"
        );
        let told = refuse("[sources.a]\nsecret_files = { x-key = \"/nowhere/at/all\" }");
        assert!(base::error_chain(&told).join(": ").contains("/nowhere/at/all"), "{told}");
    }
}
