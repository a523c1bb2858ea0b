//! What runs at an address, and the module that it would have. Needs no project.
//!
//! ```text
//! document given    → OpenAPI
//! descriptors given → gRPC
//! address           → { _service { sdl } } → introspection → OpenAPI at the address → at the usual places
//!                   → reflection of gRPC
//! ```
//!
//! In: an address, perhaps a document. Out: a proposal, or all that was tried. A service of another kind
//! gets a [`Probe`] of its own here. Not here: what a document means (`schema::propose::service`),
//! writing the schema folder (`cli`).

use std::time::Duration;

use base::rng::Rng;
use base::{Clock, Error, Principal, Result};
use mesh::transport::{Call, Content, Protocol, SourceSettings, Transport};
use schema::propose::service::{self as propose, INTROSPECTION, ServiceFacts, ServiceProposal};
use schema::protobuf::{self, Descriptors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long one question may take: a person waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where services put their document.
const USUAL: [&str; 9] = [
    "/openapi.json",
    "/openapi.yaml",
    "/openapi.yml",
    "/v3/api-docs",
    "/api-docs",
    "/swagger.json",
    "/swagger/v1/swagger.json",
    "/api/openapi.json",
    "/.well-known/openapi.json",
];

/// What is looked at.
#[derive(Clone, Debug)]
pub struct SourceRequest {
    /// Where the service is.
    pub url: String,
    /// The source's name; by default one of the address.
    pub name: Option<String>,
    /// An OpenAPI document, in place of asking the service.
    pub document: Option<String>,
    /// Descriptors of gRPC, likewise.
    pub descriptors: Option<Descriptors>,
    /// Whether it is known to speak gRPC.
    pub is_grpc: bool,
}

/// A proposed module of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SourceProposal {
    /// File name below the schema folder.
    pub file: String,
    /// What the service speaks, as `@source(kind:)` has it.
    pub kind: String,
    /// What it was told by.
    pub found: String,
    /// The module.
    pub text: String,
    /// What is uncertain or left out.
    pub notes: Vec<String>,
    /// Of gRPC: the file of descriptors that the module names, and its bytes as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<(String, String)>,
}

/// Finds out what runs at an address.
pub async fn source(request: SourceRequest) -> Result<SourceProposal> {
    let url = request.url.trim().to_owned();
    let name = request.name.unwrap_or_else(|| propose::name_of(&url));
    let facts = ServiceFacts { name, url };
    if let Some(document) = &request.document {
        return Ok(proposal(propose::from_openapi(&facts, document)?, "the document"));
    }
    if let Some(descriptors) = &request.descriptors {
        return of_grpc(&facts, descriptors, "the descriptors");
    }
    let probe = Probe::new(&facts.url)?;
    if request.is_grpc {
        return match probe.reflection().await? {
            Some(found) => of_grpc(&facts, &found, "reflection"),
            None => Err(probe.nothing(&facts)),
        };
    }
    if let Some(found) = probe.federation(&facts).await {
        return Ok(proposal(found, "`{ _service { sdl } }`"));
    }
    if let Some(found) = probe.introspection(&facts).await {
        return Ok(proposal(found, "introspection"));
    }
    if let Some((place, text)) = probe.document().await {
        return Ok(proposal(
            propose::from_openapi(&facts, &text)?,
            &format!("the document at `{place}`"),
        ));
    }
    if let Some(found) = probe.reflection().await? {
        return of_grpc(&facts, &found, "reflection");
    }
    Err(probe.nothing(&facts))
}

fn of_grpc(facts: &ServiceFacts, found: &Descriptors, by: &str) -> Result<SourceProposal> {
    let file = format!("{}.binpb", facts.name);
    let mut proposal = proposal(propose::from_descriptors(facts, found, &file)?, by);
    proposal.descriptors = Some((file, protobuf::text_of_set(found.bytes())));
    Ok(proposal)
}

fn proposal(found: ServiceProposal, by: &str) -> SourceProposal {
    SourceProposal {
        file: found.file,
        kind: found.kind.to_owned(),
        found: by.to_owned(),
        text: found.text,
        notes: found.notes,
        descriptors: None,
    }
}

/// Questions to one address.
struct Probe {
    url: String,
    transport: Transport,
    /// For documents that stand at the root of the host.
    root: Option<Transport>,
    tried: parking_lot::Mutex<Vec<String>>,
}

impl Probe {
    fn new(url: &str) -> Result<Probe> {
        let plain = url.split(['?', '#']).next().unwrap_or_default();
        let path = plain
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/'))
            .map(|at| plain.find("://").map_or(at, |start| start + 3 + at));
        let root =
            path.map(|at| &plain[..at]).filter(|_| path.is_some_and(|at| plain.len() > at + 1));
        Ok(Probe {
            url: plain.to_owned(),
            transport: transport(settings(plain))?,
            root: root.map(|root| transport(settings(root))).transpose()?,
            tried: parking_lot::Mutex::default(),
        })
    }

    async fn federation(&self, facts: &ServiceFacts) -> Option<ServiceProposal> {
        let answer = self.ask("{ _service { sdl } }", "federation").await?;
        let sdl = answer.pointer("/data/_service/sdl").and_then(Value::as_str);
        if sdl.is_none() {
            self.note("federation: it is no subgraph");
        }
        Some(propose::from_federation(facts, sdl?))
    }

    async fn introspection(&self, facts: &ServiceFacts) -> Option<ServiceProposal> {
        let answer = self.ask(INTROSPECTION, "introspection").await?;
        match propose::from_introspection(facts, &answer) {
            Ok(found) => Some(found),
            Err(error) => {
                self.note(&format!("introspection: {}", error.message()));
                None
            }
        }
    }

    /// The answer of a GraphQL service.
    async fn ask(&self, query: &str, what: &str) -> Option<Value> {
        let body = json!({ "query": query }).to_string();
        let mut call = Call::post("", body, Principal::local());
        call.idempotent = true;
        match self.transport.call(&call).await {
            Ok(answer) => serde_json::from_slice(&answer.body).ok(),
            Err(error) => {
                self.note(&format!("{what}: {} ({error})", error.detail));
                None
            }
        }
    }

    /// The first OpenAPI document, and where it stands.
    async fn document(&self) -> Option<(String, String)> {
        let own =
            std::iter::once(("", &self.transport)).chain(USUAL.map(|at| (at, &self.transport)));
        let root = self.root.iter().flat_map(|root| USUAL.map(|at| (at, root)));
        for (place, transport) in own.chain(root) {
            let mut call = Call::get(place, Principal::local());
            call.content = Content::Any;
            let answer = match transport.call(&call).await {
                Ok(answer) => answer,
                // A service that cannot be reached will not be at its other places either.
                Err(error) if error.answer.is_none() && !is_status(&error) => {
                    self.note(&format!("GET {place}: {}", error.detail));
                    return None;
                }
                Err(_) => continue,
            };
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if answer.status.is_success() && propose::is_openapi(&text) {
                let shown = if place.is_empty() { "the address itself" } else { place };
                return Some((shown.to_owned(), text));
            }
        }
        self.note("OpenAPI: no document at the address or at the usual places below it");
        None
    }

    /// What a service of gRPC says of itself, below its address.
    async fn reflection(&self) -> Result<Option<Descriptors>> {
        let mut settings = settings(&self.url);
        settings.protocol = Protocol::Http2;
        let transport = transport(settings)?;
        let asker = Call::get("", Principal::local());
        match mesh::reflect(&transport, &asker, &[]).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => {
                // Who does not speak HTTP/2 breaks off at one moment or another, which tells nothing.
                let words = match error.is_grpc {
                    true if error.detail.is_empty() => error.words,
                    true => format!("{}: {}", error.words, error.detail),
                    false => "nothing at the host speaks it".to_owned(),
                };
                self.note(&format!("gRPC: {words}"));
                Ok(None)
            }
        }
    }

    /// That nothing answers, with all that was tried.
    fn nothing(&self, facts: &ServiceFacts) -> Error {
        let tried = self.tried.lock().join("\n  ");
        Error::invalid(format!("nothing that is known answers at {}\n  {tried}", facts.url)).hint(
            "start the service, name the address of its GraphQL, OpenAPI or gRPC, or give a document: `--openapi FILE`, `--proto FILE`",
        )
    }

    fn note(&self, text: &str) {
        self.tried.lock().push(text.to_owned());
    }
}

fn is_status(error: &mesh::transport::CallError) -> bool {
    matches!(error.kind, mesh::transport::CallErrorKind::Status(_))
}

fn settings(url: &str) -> SourceSettings {
    let mut settings = SourceSettings::new(url);
    settings.timeout = TIMEOUT;
    settings.connect_timeout = TIMEOUT;
    settings.breaker = None;
    settings
}

fn transport(settings: SourceSettings) -> Result<Transport> {
    Transport::new("source", settings, Clock::system(), Rng::from_entropy())
}
