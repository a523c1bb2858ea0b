//! Calls of one source against servers that misbehave on purpose. Every server is a script over a real
//! socket; nothing sleeps: a script tells the test where it is, and time that must pass is advanced.

mod breaker;
mod cache;
mod cancel;
mod faults;
mod http2;
mod pool;
pub(crate) mod server;
mod streams;
mod tls;

use std::time::Duration;

use base::rng::Rng;
use base::{Clock, Principal, Timestamp};
use mesh::transport::{Call, SourceSettings, Transport};

/// A source with settings that let nothing end by itself within a test.
fn settings(url: &str) -> SourceSettings {
    let mut settings = SourceSettings::new(url);
    settings.timeout = Duration::from_secs(600);
    settings.connect_timeout = Duration::from_secs(600);
    settings.idle_timeout = Duration::from_secs(600);
    settings.retry.backoff = Duration::ZERO;
    settings
}

fn clock() -> Clock {
    Clock::fixed(Timestamp::parse("2026-11-30T08:00:00Z").expect("it goes well in a test"))
}

fn transport(url: &str, change: impl FnOnce(&mut SourceSettings)) -> Transport {
    let mut settings = settings(url);
    change(&mut settings);
    Transport::new("stars", settings, clock(), Rng::seeded(7)).expect("it goes well in a test")
}

/// A query: it may arrive twice.
fn query() -> Call {
    Call::get("/stars", Principal::local())
}

/// A mutation: it may not.
fn mutation() -> Call {
    Call::post("/stars", "{}", Principal::local())
}

/// Lets time pass for everything that waits.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits until nothing can move any more: paused time moves only then.
async fn settle() {
    tokio::time::pause();
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::time::resume();
}
