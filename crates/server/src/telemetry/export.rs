//! Sends spans to a collector, in batches, and never makes a request wait: what there is no room for is
//! dropped and counted.
//!
//! ```text
//! request → queue (bounded) → batch (by count or by time) → OTLP over HTTP → collector
//! ```
//!
//! In: spans of requests that have ended, and encoded metrics. Out: calls of the collector. Not here: what is
//! in spans (`span`) and metrics (`family`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use base::rng::Rng;
use base::task::{self, Task};
use base::{Clock, Principal, Result};
use http::{HeaderValue, header};
use mesh::transport::{Call, Content, HeaderRule, RetrySettings, SourceSettings, Transport};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::proto::Message;
use super::span::{Span, encode};
use super::{attribute, family};
use crate::services::{name as header_name, value as header_value};
use crate::settings::Telemetry as Settings;
use crate::stores::secret_file;

/// Spans of one call.
const BATCH: usize = 512;

/// How long a span waits for others.
const WAIT: Duration = Duration::from_secs(1);

/// Requests whose spans wait; each has one span at least, so that `queue` mostly decides.
const REQUESTS: usize = 4096;

/// Attempts of one call beyond the first.
const RETRIES: u32 = 3;

/// The way to a collector.
pub(super) struct Exporter {
    sender: mpsc::Sender<Vec<Span>>,
    shared: Arc<Shared>,
    /// Ends when it is told to stop, after the last spans.
    sending: parking_lot::Mutex<Option<Task<()>>>,
}

/// What requests and the sending share.
struct Shared {
    transport: Transport,
    resource: Vec<(String, String)>,
    clock: Clock,
    room: usize,
    waiting: AtomicUsize,
    counts: Counts,
    stop: Notify,
}

/// What became of spans.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) exported: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed_calls: AtomicU64,
}

impl Exporter {
    pub(super) fn start(
        folder: &Path,
        settings: &Settings,
        endpoint: &str,
        clock: &Clock,
        rng: &Rng,
    ) -> Result<Exporter> {
        let reached = reached(folder, settings, endpoint)?;
        let shared = Arc::new(Shared {
            transport: Transport::new("telemetry", reached, Clock::system(), rng.clone())?,
            resource: resource(settings, rng),
            clock: clock.clone(),
            room: settings.queue,
            waiting: AtomicUsize::new(0),
            counts: Counts::default(),
            stop: Notify::new(),
        });
        let (sender, receiver) = mpsc::channel(settings.queue.min(REQUESTS));
        let sending = task::spawn("send spans", send(Arc::clone(&shared), receiver));
        Ok(Exporter { sender, shared, sending: parking_lot::Mutex::new(Some(sending)) })
    }

    /// Takes the spans of a request, or drops them at once.
    pub(super) fn take(&self, spans: Vec<Span>) {
        let count = spans.len();
        let shared = &self.shared;
        let waiting = shared.waiting.fetch_add(count, Ordering::Relaxed) + count;
        if waiting > shared.room || self.sender.try_send(spans).is_err() {
            shared.waiting.fetch_sub(count, Ordering::Relaxed);
            shared.counts.dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Sends metrics.
    pub(super) async fn metrics(&self, families: &[family::Family], start: u64) {
        let now = super::span::nanos(self.shared.clock.now());
        let resource = |message: &mut Message| self.shared.resource(message);
        let span = family::Span { start: start.min(now), now };
        let body = family::encode(families, span, resource);
        self.shared.call("/v1/metrics", body).await;
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    pub(super) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Sends what waits, within this time, and takes no more.
    pub(super) async fn stop(&self, time: Duration) {
        self.shared.stop.notify_one();
        let sending = self.sending.lock().take();
        if let Some(sending) = sending
            && tokio::time::timeout(time, sending).await.is_err()
        {
            tracing::warn!("the collector of traces did not take the last of them in time");
        }
        self.shared.transport.close();
    }
}

/// Sends batches until it is told to stop and nothing waits.
async fn send(shared: Arc<Shared>, mut receiver: mpsc::Receiver<Vec<Span>>) {
    loop {
        let first = tokio::select! {
            first = receiver.recv() => first,
            () = shared.stop.notified() => {
                receiver.close();
                receiver.recv().await
            }
        };
        let Some(mut batch) = first else { return };
        gather(&shared, &mut receiver, &mut batch).await;
        let count = batch.len();
        let body = encode(&batch, |message| shared.resource(message));
        let counter = match shared.call("/v1/traces", body).await {
            true => &shared.counts.exported,
            false => &shared.counts.dropped,
        };
        counter.fetch_add(count as u64, Ordering::Relaxed);
        shared.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Adds spans until there are enough, the oldest has waited for long enough, or no more come.
async fn gather(shared: &Shared, receiver: &mut mpsc::Receiver<Vec<Span>>, batch: &mut Vec<Span>) {
    let until = Instant::now() + WAIT;
    while batch.len() < BATCH {
        tokio::select! {
            more = receiver.recv() => match more {
                Some(more) => batch.extend(more),
                None => return,
            },
            () = tokio::time::sleep_until(until) => return,
            () = shared.stop.notified() => receiver.close(),
        }
    }
}

impl Shared {
    /// Whether the collector took it.
    async fn call(&self, target: &str, body: Vec<u8>) -> bool {
        let mut call = Call::post(target, body, Principal::local());
        let kind = HeaderValue::from_static("application/x-protobuf");
        call.headers.insert(header::CONTENT_TYPE, kind);
        call.content = Content::Any;
        // What arrives twice is the same span.
        call.idempotent = true;
        let fault = match self.transport.call(&call).await {
            Ok(answer) if answer.status.is_success() => return true,
            Ok(answer) => format!("it answered with status {}", answer.status),
            Err(error) => error.detail,
        };
        let before = self.counts.failed_calls.fetch_add(1, Ordering::Relaxed);
        // The longer it is away, the more seldom a line says so.
        if (before + 1).is_power_of_two() {
            tracing::warn!(target, "the collector did not take telemetry: {fault}");
        }
        false
    }

    fn resource(&self, message: &mut Message) {
        for (name, value) in &self.resource {
            message.message(1, |pair| attribute(pair, name, value));
        }
    }
}

/// How the collector is reached.
fn reached(folder: &Path, settings: &Settings, endpoint: &str) -> Result<SourceSettings> {
    let mut headers = Vec::new();
    let mut set = |name: &str, text: &str, is_secret: bool| -> Result<()> {
        let mut value = header_value(name, text)?;
        value.set_sensitive(is_secret);
        headers.push(HeaderRule::Set(header_name(name)?, value));
        Ok(())
    };
    for (name, text) in &settings.headers {
        set(name, text, false)?;
    }
    for (name, file) in &settings.secret_files {
        let (_, text) = secret_file(folder, file)?;
        set(name, text.trim_end_matches(['\r', '\n']), true)?;
    }
    for (name, text) in &settings.secret_headers {
        set(name, text.reveal(), true)?;
    }
    Ok(SourceSettings {
        timeout: settings.timeout.0,
        // Spans are sent one batch after the other, metrics beside them.
        concurrency: 2,
        breaker: None,
        cache_bytes: 0,
        headers,
        retry: RetrySettings { most: RETRIES, budget_percent: 100, ..RetrySettings::default() },
        ..SourceSettings::new(endpoint.trim_end_matches('/'))
    })
}

/// What is said of this server.
fn resource(settings: &Settings, rng: &Rng) -> Vec<(String, String)> {
    let own = [
        ("service.name", settings.service_name.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", rng.uuid().to_string()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value)).into_iter();
    let own = own.filter(|(name, _)| !settings.attributes.contains_key(name));
    let given = settings.attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
    own.chain(given).collect()
}
