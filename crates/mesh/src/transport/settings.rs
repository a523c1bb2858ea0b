//! What can be set of one source. In: values that `@source(timeout:, retry:, breaker:)` and
//! `headwater.toml` give. Out: the same, checked. The defaults suit a service in the same data centre
//! that answers in milliseconds. Not here: reading the values from their texts.

use std::time::Duration;

use base::{Error, Result, Secret};
use http::HeaderName;

use super::headers::HeaderRule;

/// Everything about one source.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Where the source is: `http` or `https`, host, port and the path that all calls begin with.
    /// Nothing that a call says can change host or port.
    pub url: String,
    /// Which HTTP is spoken.
    pub protocol: Protocol,
    /// Whom to trust over `https`, and as whom to appear.
    pub tls: TlsSettings,
    /// A call from its first wait to the last byte of its answer, all retries included. A stream must
    /// have begun within it.
    pub timeout: Duration,
    /// From the look-up of the name to the end of the TLS handshake, for each try.
    pub connect_timeout: Duration,
    /// Calls at once. Over HTTP/1.1 this is also the greatest number of connections, because a call
    /// opens one only when all others are busy.
    pub concurrency: usize,
    /// Calls that may wait for one of the places; the next one is refused. Twice or four times the
    /// concurrency keeps a burst; more only makes every answer late.
    pub queue: usize,
    /// Connections over HTTP/2; a second one is opened when the first is full.
    pub shared_connections: usize,
    /// Calls at once on one connection over HTTP/2; most servers allow 100 or more.
    pub calls_per_connection: usize,
    /// How long a connection that nobody uses is kept. Below the keep-alive time of common servers,
    /// so that it is mostly this side that closes.
    pub idle_timeout: Duration,
    /// Streams at once; the next one is refused. They have connections of their own.
    pub streams: usize,
    /// How long a stream may be silent; services send a comment or a ping more often.
    pub stream_idle: Duration,
    /// Whether streams are WebSockets, whose connections speak HTTP/1.1.
    pub sockets: bool,
    /// The path at which streams begin, on the same host; `None` for that of the URL.
    pub stream_path: Option<String>,
    /// Bytes of a call's body.
    pub request_bytes: usize,
    /// Bytes of an answer's body as they travel.
    pub wire_bytes: usize,
    /// Bytes of an answer's body after decompression.
    pub answer_bytes: usize,
    /// Bytes of an answer's head.
    pub head_bytes: usize,
    /// Whether to ask for compressed answers. Off, because it costs more time than a fast network
    /// does; an answer that is compressed all the same is read.
    pub compression: bool,
    /// Which headers travel, beside those of the trace context.
    pub headers: Vec<HeaderRule>,
    /// Under which name the source is told how many milliseconds are left, as Envoy does by
    /// `x-envoy-expected-rq-timeout-ms`.
    pub deadline_header: Option<HeaderName>,
    /// When a call is tried again.
    pub retry: RetrySettings,
    /// When no calls are sent; `None` sends them always.
    pub breaker: Option<BreakerSettings>,
    /// Bytes of answers that are kept for calls with a time to live.
    pub cache_bytes: usize,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 when the server offers it over `https`, otherwise HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, known beforehand without TLS.
    Http2,
}

/// Whom to trust, and as whom to appear.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Whose certificates are good.
    pub roots: Roots,
    /// The certificate to show, for services that ask for one.
    pub identity: Option<Identity>,
}

/// Whose certificates are good.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// Those of the operating system.
    #[default]
    System,
    /// Only these, as PEM.
    Pem(String),
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The chain as PEM, the leaf first.
    pub chain: String,
    /// The key as PEM.
    pub key: Secret,
}

/// When a call is tried again: only where that is safe (see `retry`), and never for more than a share
/// of all calls, so that retries cannot make an overload worse.
#[derive(Clone, Debug)]
pub struct RetrySettings {
    /// Further tries of one call.
    pub most: u32,
    /// Retries in a hundred calls.
    pub budget_percent: u32,
    /// Retries that are saved up while all goes well, and that a new source starts with.
    pub reserve: u32,
    /// The mean wait before the first retry is half of this; it doubles with each.
    pub backoff: Duration,
    /// No wait is longer, but for one that the source asks for.
    pub longest_backoff: Duration,
}

/// When no calls are sent because most of the last ones failed.
#[derive(Clone, Debug)]
pub struct BreakerSettings {
    /// The last calls that count.
    pub calls: usize,
    /// How long each of them counts.
    pub window: Duration,
    /// Fewer calls than this say nothing.
    pub minimum: usize,
    /// The share of failures that opens the breaker, in percent.
    pub failed_percent: u32,
    /// How long it stays open before one call is let through to try.
    pub open_for: Duration,
    /// Tries, one at a time, that must go well before all calls are sent again.
    pub probes: u32,
}

impl SourceSettings {
    /// The defaults for a source at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        SourceSettings {
            url: url.into(),
            protocol: Protocol::default(),
            tls: TlsSettings::default(),
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_millis(500),
            concurrency: 64,
            queue: 256,
            shared_connections: 2,
            calls_per_connection: 100,
            idle_timeout: Duration::from_secs(15),
            streams: 256,
            stream_idle: Duration::from_secs(60),
            sockets: false,
            stream_path: None,
            request_bytes: 16 << 20,
            wire_bytes: 32 << 20,
            answer_bytes: 32 << 20,
            head_bytes: 64 << 10,
            compression: false,
            headers: Vec::new(),
            deadline_header: None,
            retry: RetrySettings::default(),
            breaker: Some(BreakerSettings::default()),
            cache_bytes: 16 << 20,
        }
    }

    /// Refuses what could never work.
    pub(crate) fn check(&self) -> Result<()> {
        let breaker = self.breaker.as_ref();
        let faults = [
            (self.timeout.is_zero(), "`timeout` is 0: no call could be answered"),
            (self.connect_timeout.is_zero(), "`connect_timeout` is 0: no source could be reached"),
            (self.concurrency == 0, "`concurrency` is 0: no call could be sent"),
            // A semaphore of the runtime counts no further.
            (
                self.concurrency > MOST || self.streams > MOST,
                "there are more places than 1,000,000",
            ),
            (self.shared_connections == 0, "`shared_connections` is 0: no source could be reached"),
            (self.calls_per_connection == 0, "`calls_per_connection` is 0: no call could be sent"),
            (self.stream_idle.is_zero(), "`stream_idle` is 0: every stream would end at once"),
            (self.head_bytes < 1024, "`head_bytes` is below 1 KiB: most answers would be refused"),
            (self.retry.budget_percent > 100, "the retry budget is more than 100 %"),
            (
                breaker.is_some_and(|breaker| breaker.calls == 0 || breaker.calls > MOST),
                "the breaker counts no calls, or more than 1,000,000",
            ),
            (
                breaker.is_some_and(|breaker| breaker.minimum == 0),
                "the breaker's `minimum` is 0: it would judge by no call",
            ),
            (
                breaker.is_some_and(|breaker| breaker.minimum > breaker.calls),
                "the breaker's `minimum` is more than its `calls`: it would never open",
            ),
            (
                breaker.is_some_and(|b| b.failed_percent == 0 || b.failed_percent > 100),
                "the breaker's `failed_percent` is not within 1 and 100",
            ),
            (
                breaker.is_some_and(|breaker| breaker.probes == 0),
                "the breaker's `probes` is 0: it would never close",
            ),
        ];
        match faults.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, message)) => Err(Error::invalid(message)),
            None => Ok(()),
        }
    }
}

/// The greatest count of anything that is set.
const MOST: usize = 1_000_000;

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            most: 2,
            budget_percent: 10,
            reserve: 10,
            backoff: Duration::from_millis(20),
            longest_backoff: Duration::from_millis(250),
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings {
            calls: 100,
            window: Duration::from_secs(10),
            minimum: 20,
            failed_percent: 50,
            open_for: Duration::from_secs(5),
            probes: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut SourceSettings), expected: Option<&str>) {
        let mut settings = SourceSettings::new("http://a");
        change(&mut settings);
        let found = settings.check().err().map(|error| error.message().to_owned());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn what_could_never_work_is_refused() {
        check(|_| {}, None);
        check(|s| s.breaker = None, None);
        check(|s| s.concurrency = 0, Some("`concurrency` is 0: no call could be sent"));
        check(
            |s| s.breaker = Some(BreakerSettings { minimum: 200, ..BreakerSettings::default() }),
            Some("the breaker's `minimum` is more than its `calls`: it would never open"),
        );
    }
}
