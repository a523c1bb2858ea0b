//! Load on one gateway: as much as it takes (closed loop), or so many a second (open loop).
//!
//! In: whom to ask, what, for how long. Out: how many requests were answered, all of them rightly, and how
//! long they took. Not here: what the gateway needed for it (`gateway`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use base::task;

use crate::client::{Connection, Target};
use crate::row::quantile;
use crate::work::Work;

/// When a phase ends: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    pub(crate) time: Duration,
    /// So many requests.
    pub(crate) requests: u64,
}

/// What came of a phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// Milliseconds of each request.
    pub(crate) times: Vec<f64>,
}

impl Phase {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Milliseconds within which `part` of the requests were answered.
    pub(crate) fn within(&self, part: f64) -> f64 {
        quantile(self.times.clone(), part)
    }
}

/// Every connection asks again as soon as it has its answer.
pub(crate) async fn closed(
    target: &Target,
    work: &Arc<Work>,
    connections: usize,
    until: Until,
) -> Result<Phase> {
    let (started, left) = (Instant::now(), Arc::new(AtomicU64::new(until.requests)));
    let mut asking = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(target).await?;
        let (work, left) = (Arc::clone(work), Arc::clone(&left));
        asking.push(task::spawn("ask", async move {
            let mut times = Vec::new();
            while started.elapsed() < until.time && take(&left) {
                let asked = Instant::now();
                ask(&mut connection, &work).await?;
                times.push(milliseconds(asked));
            }
            anyhow::Ok(times)
        }));
    }
    gather(asking, started).await
}

/// Requests are due at equal distances, whether earlier ones are answered or not; a request that had to
/// wait for a free connection took as long as from when it was due.
pub(crate) async fn open(
    target: &Target,
    work: &Arc<Work>,
    connections: usize,
    rate: f64,
    time: Duration,
) -> Result<Phase> {
    let (started, turn) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut asking = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(target).await?;
        let (work, turn) = (Arc::clone(work), Arc::clone(&turn));
        asking.push(task::spawn("ask", async move {
            let mut times = Vec::new();
            loop {
                let after = turn.fetch_add(1, Ordering::Relaxed) as f64 / rate;
                let mut due = started + Duration::from_secs_f64(after);
                if after > time.as_secs_f64() {
                    return anyhow::Ok(times);
                }
                if due > Instant::now() {
                    tokio::time::sleep_until(due.into()).await;
                    // The timer's own lateness, up to a millisecond, is not the gateway's.
                    due = Instant::now();
                }
                ask(&mut connection, &work).await?;
                times.push(milliseconds(due));
            }
        }));
    }
    gather(asking, started).await
}

/// Whether there is one more request to make.
fn take(left: &AtomicU64) -> bool {
    let one_less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
}

async fn ask(connection: &mut Connection, work: &Work) -> Result<()> {
    let (number, body) = work.next();
    let (status, answer) = connection.ask(number, &body).await?;
    work.check(&body, status, &answer)
}

async fn gather(asking: Vec<task::Task<Result<Vec<f64>>>>, started: Instant) -> Result<Phase> {
    let mut times = Vec::new();
    for one in asking {
        times.append(&mut one.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Phase { requests: times.len() as u64, seconds, times })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
