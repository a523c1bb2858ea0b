//! Moves all objects from one place to another while they are read and written.
//!
//! ```text
//! begin → wait for nodes → copy, pass after pass → switch → wait for nodes → copy the rest → finish
//! ```
//!
//! In: the name of the new place. Out: the row of `place`, step by step; every step may be the last
//! before a crash, and running the same command again goes on. Old objects stay until
//! [`Place::finish`]. Not here: how a node follows (`place`).

use std::collections::HashMap;
use std::time::Duration;

use base::ids::NodeId;
use base::{Clock, Error, Kind, Result};
use futures::{FutureExt, TryStreamExt};
use meta::Tx;
use meta::leases::{self, Lease};
use tokio::time::Instant;

use super::copy::{self, Pass};
use super::{Phase, Place, Stored, read_in, remove, write_in};
use crate::failure::failed;

/// The lease of whoever moves.
const LEASE: &str = "lake move";
const LEASE_TIME: Duration = Duration::from_secs(20);
const LEASE_RENEWAL: Duration = Duration::from_secs(5);
/// Objects of a pass below which the rest is left to the pass after the switch.
const FEW: u64 = 64;
/// Passes before the switch at most, however fast others write.
const PASSES: usize = 8;
/// Nodes look at the row every second; one that did not for this long is gone.
const GONE: Duration = Duration::from_secs(10);
/// How long nodes that live may take to follow: as long as their longest upload.
const FOLLOW: Duration = Duration::from_secs(600);
/// Between two looks at what the nodes wrote down.
const LOOK: Duration = Duration::from_millis(200);
/// Every node that lives has written itself down by then.
const APPEAR: Duration = Duration::from_secs(3);

/// How far a move is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveReport {
    /// What happens now: `copy`, `switch`, `remove`.
    pub what: String,
    /// Objects so far.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a move, or its end, did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where the objects are now.
    pub place: String,
    /// Where the old objects are kept; empty when they were removed.
    pub kept: String,
    /// Objects that were copied or removed by this run.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Hears how far a move is.
pub(super) type Progress<'a> = &'a (dyn Fn(MoveReport) + Send + Sync);

impl Place {
    /// Moves the objects to another place, or goes on with a move there that was interrupted.
    pub async fn migrate(&self, clock: &Clock, to: &str, progress: Progress<'_>) -> Result<Moved> {
        let held = Held::acquire(self, clock).await?;
        let result = self.migrate_held(&held, to, progress).await;
        held.release(self).await?;
        result
    }

    /// Removes the old objects after a move; everything must be in the new place.
    pub async fn finish(&self, clock: &Clock, progress: Progress<'_>) -> Result<Moved> {
        let held = Held::acquire(self, clock).await?;
        let result = self.finish_held(&held, progress).await;
        held.release(self).await?;
        result
    }

    async fn migrate_held(&self, held: &Held, to: &str, progress: Progress<'_>) -> Result<Moved> {
        let mut now = self.follow().await?;
        let mut total = Pass::default();
        if now.phase == Phase::Settled {
            if now.place == to {
                return Ok(moved(&now, total));
            }
            self.refuse_unless_empty(to).await?;
            now = self.step(held, &now, |now| copying(now, to)).await?;
        }
        refuse_other(&now, to)?;
        if now.phase == Phase::Copying {
            self.wait_for_nodes(progress).await?;
            for _ in 0..PASSES {
                let pass = self.copy(&now, progress, &mut total).await?;
                if pass.objects < FEW {
                    break;
                }
            }
            now = self.step(held, &now, |now| Ok(switched(now))).await?;
        }
        self.copy_rest(&now, progress, &mut total).await?;
        Ok(moved(&now, total))
    }

    async fn finish_held(&self, held: &Held, progress: Progress<'_>) -> Result<Moved> {
        let now = self.follow().await?;
        if now.phase != Phase::Switched {
            let text = "there is no move to finish";
            return Err(Error::new(Kind::Conflict, text)
                .hint("`headwater migrate-store --to PLACE` starts a move, or goes on with one"));
        }
        let mut total = Pass::default();
        self.wait_for_nodes(progress).await?;
        // A node that missed the switch may still write to the old place. Whatever it commits before
        // the fence is copied now; whatever it commits later is refused.
        let now = self.step(held, &now, |now| Ok(fenced(now))).await?;
        self.copy(&now, progress, &mut total).await?;
        let sides = self.inner.store.sides();
        let Some(old) = sides.second else {
            return Err(Error::internal("a move has no old place"));
        };
        // The move ends when the old place is empty, so that a removal that dies goes on with the same
        // command, and whoever moves back finds an empty place.
        let (old, new) = (old.store.as_ref(), sides.first.store.as_ref());
        let still = || self.still(held, &now).boxed();
        let removed = remove::all(old, new, &still, progress).await?;
        let settled = self.step(held, &now, |now| Ok(settled(now))).await?;
        self.forget(now.generation).await?;
        Ok(moved(&settled, removed))
    }

    async fn copy_rest(
        &self,
        now: &Stored,
        progress: Progress<'_>,
        total: &mut Pass,
    ) -> Result<()> {
        self.wait_for_nodes(progress).await?;
        self.copy(now, progress, total).await.map(|_| ())
    }

    /// Copies from the place that is left to the one that is moved to.
    async fn copy(&self, now: &Stored, progress: Progress<'_>, total: &mut Pass) -> Result<Pass> {
        let sides = self.inner.store.sides();
        let Some(second) = sides.second else {
            return Err(Error::internal("a move has one place only"));
        };
        let (from, to, generation) = match now.phase {
            Phase::Copying => (sides.first, second, now.generation),
            _ => (second, sides.first, now.generation - 1),
        };
        let before = *total;
        let report = |pass: Pass| {
            let (objects, bytes) = (before.objects + pass.objects, before.bytes + pass.bytes);
            progress(MoveReport { what: "copy".to_owned(), objects, bytes });
        };
        let database = &self.inner.database;
        let (from, to) = (from.store.as_ref(), to.store.as_ref());
        let pass = copy::pass(from, to, database, generation, &report).await?;
        total.objects += pass.objects;
        total.bytes += pass.bytes;
        Ok(pass)
    }

    /// Changes the row, under the lease, when it is still as it was read; then follows it.
    async fn step(
        &self,
        held: &Held,
        now: &Stored,
        change: impl Fn(&Stored) -> Result<Stored>,
    ) -> Result<Stored> {
        let (now, next) = (now.clone(), change(now)?);
        let (lease, default) = (held.lease.clone(), self.inner.default.clone());
        let written = next.clone();
        self.inner
            .database
            .write(move |tx| {
                let (now, next, lease, default) =
                    (now.clone(), written.clone(), lease.clone(), default.clone());
                async move {
                    unchanged(tx, &lease, &default, &now).await?;
                    write_in(tx, &next).await
                }
                .boxed()
            })
            .await?;
        self.follow().await?;
        Ok(next)
    }

    /// Fails when another process has taken over, or changed the row.
    async fn still(&self, held: &Held, now: &Stored) -> Result<()> {
        let (lease, default, now) = (held.lease.clone(), self.inner.default.clone(), now.clone());
        self.inner
            .database
            .read(move |tx| {
                let (lease, default, now) = (lease.clone(), default.clone(), now.clone());
                async move { unchanged(tx, &lease, &default, &now).await }.boxed()
            })
            .await
    }

    /// Waits until every node that lives acts by the row and writes nothing to the place that is
    /// left.
    async fn wait_for_nodes(&self, progress: Progress<'_>) -> Result<()> {
        progress(MoveReport { what: "wait for all nodes".to_owned(), ..MoveReport::default() });
        let began = Instant::now();
        let generation = self.generation();
        let mut seen: HashMap<String, (i64, Instant)> = HashMap::new();
        loop {
            self.follow().await?;
            let nodes = self.nodes().await?;
            let mut behind = Vec::new();
            for node in &nodes {
                let (beat, since) = seen.entry(node.name.clone()).or_insert((node.beat, began));
                if *beat != node.beat {
                    (*beat, *since) = (node.beat, Instant::now());
                }
                let is_behind = node.generation < generation || node.writing > 0;
                if is_behind && since.elapsed() < GONE {
                    behind.push(node);
                } else if is_behind {
                    self.forget_node(&node.name).await?;
                }
            }
            if behind.is_empty() && began.elapsed() >= APPEAR {
                return Ok(());
            }
            if began.elapsed() > FOLLOW {
                return Err(does_not_follow(behind.first().copied()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        let sql = "SELECT node, generation, writing, trouble, beat FROM lake_place_nodes";
        let rows = self.inner.database.query(sql, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(Node {
                    name: row.text("node")?,
                    generation: row.int("generation")?,
                    writing: row.int("writing")?,
                    trouble: row.text("trouble")?,
                    beat: row.int("beat")?,
                })
            })
            .collect()
    }

    async fn forget_node(&self, name: &str) -> Result<()> {
        let sql = "DELETE FROM lake_place_nodes WHERE node = $1";
        self.inner.database.execute(sql, &[name.into()]).await.map(|_| ())
    }

    /// The notes of a move that has ended.
    async fn forget(&self, generation: i64) -> Result<()> {
        let database = &self.inner.database;
        database.execute("DELETE FROM lake_place_nodes", &[]).await?;
        let sql = "DELETE FROM lake_moved WHERE generation <= $1";
        database.execute(sql, &[generation.into()]).await.map(|_| ())
    }

    async fn refuse_unless_empty(&self, to: &str) -> Result<()> {
        let store = (self.inner.opener)(to.to_owned()).await?;
        let first = store.list(None).try_next().await.map_err(failed(format!("list `{to}`")))?;
        match first {
            None => Ok(()),
            Some(found) => Err(Error::new(
                Kind::AlreadyExists,
                format!("`{to}` is not empty: it has `{}`", found.location),
            )
            .hint("name an empty folder, or a prefix of a bucket that nothing is below")),
        }
    }
}

async fn unchanged(tx: &mut Tx, lease: &Lease, default: &str, now: &Stored) -> Result<()> {
    leases::check(tx, lease).await?;
    if read_in(tx, default).await? == *now {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, "the place of the objects was changed meanwhile"))
}

/// What a node wrote down.
struct Node {
    name: String,
    generation: i64,
    writing: i64,
    trouble: String,
    beat: i64,
}

fn does_not_follow(node: Option<&Node>) -> Error {
    let (name, trouble) = node.map_or(("", ""), |node| (node.name.as_str(), node.trouble.as_str()));
    let text = format!("node {name} did not follow the move within {FOLLOW:?}");
    let error = Error::new(Kind::Unavailable, text)
        .hint("mend or stop that node, then run the same command again; nothing is lost");
    match trouble {
        "" => error,
        trouble => error.caused_by(Error::new(Kind::Unavailable, trouble)),
    }
}

fn refuse_other(now: &Stored, to: &str) -> Result<()> {
    let target = if now.phase == Phase::Copying { &now.other } else { &now.place };
    if target == to {
        return Ok(());
    }
    let text = format!("the objects are moving to `{target}` already");
    let hint = match now.phase {
        Phase::Copying => format!("go on with `headwater migrate-store --to {target}` first"),
        _ => "end that move with `headwater migrate-store --finish` first".to_owned(),
    };
    Err(Error::new(Kind::Conflict, text).hint(hint))
}

fn copying(now: &Stored, to: &str) -> Result<Stored> {
    let (generation, phase) = (now.generation + 1, Phase::Copying);
    Ok(Stored { generation, phase, other: to.to_owned(), ..now.clone() })
}

fn switched(now: &Stored) -> Stored {
    Stored {
        generation: now.generation + 1,
        phase: Phase::Switched,
        place: now.other.clone(),
        other: now.place.clone(),
        fenced: now.fenced,
    }
}

/// Nodes that do not know of the switch must not commit any more.
fn fenced(now: &Stored) -> Stored {
    Stored { fenced: now.generation, ..now.clone() }
}

fn settled(now: &Stored) -> Stored {
    Stored {
        generation: now.generation + 1,
        phase: Phase::Settled,
        place: now.place.clone(),
        other: String::new(),
        fenced: now.fenced,
    }
}

fn moved(now: &Stored, pass: Pass) -> Moved {
    let (place, kept) = (now.place.clone(), now.other.clone());
    Moved { place, kept, objects: pass.objects, bytes: pass.bytes }
}

/// The lease of a move, renewed until it is released.
struct Held {
    lease: Lease,
    _renewal: base::task::Task<()>,
}

impl Held {
    async fn acquire(place: &Place, clock: &Clock) -> Result<Held> {
        let inner = &place.inner;
        let holder: NodeId = inner.node;
        let lease = leases::acquire(&inner.database, clock, LEASE, holder, LEASE_TIME).await?;
        let lease = lease.ok_or_else(|| {
            Error::new(Kind::Conflict, "another process is moving the objects").hint(
                "`headwater status` shows how far it is; when it died, wait half a minute and \
                 run the same command",
            )
        })?;
        let renewal = renew(inner.database.clone(), clock.clone(), lease.clone());
        Ok(Held { lease, _renewal: renewal })
    }

    async fn release(&self, place: &Place) -> Result<()> {
        leases::release(&place.inner.database, &self.lease).await
    }
}

fn renew(database: meta::Database, clock: Clock, mut lease: Lease) -> base::task::Task<()> {
    base::task::spawn("renew the lease of a move", async move {
        loop {
            tokio::time::sleep(LEASE_RENEWAL).await;
            match leases::renew(&database, &clock, &lease, LEASE_TIME).await {
                Ok(renewed) => lease = renewed,
                Err(error) => tracing::warn!(%error, "failed to renew the lease of a move"),
            }
        }
    })
}
