//! Leases: who may do a thing that only one process may do at a time. In: a name, a holder and a
//! time to live. Out: [`Lease`] with a fencing token. Not here: the work done under a lease.
//!
//! Clocks of machines differ and jump, so an expiry is only a hint when to try. What keeps two
//! holders apart is the fence: it grows with every acquisition and never repeats, and
//! [`check`], inside the transaction that does the work, fails for all but the newest.

use std::time::Duration;

use base::ids::NodeId;
use base::{Clock, Error, Kind, Result, Timestamp};
use futures::FutureExt;

use crate::{Database, Tx};

pub(crate) const TABLE: &str = "CREATE TABLE meta_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
)";

/// A lease that was acquired; it may have expired since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is leased.
    pub name: String,
    /// Who acquired it.
    pub holder: NodeId,
    /// Larger than that of every earlier holder.
    pub fence: i64,
    /// From when on others may take it, by their clocks.
    pub expires_at: Timestamp,
}

/// Takes the lease `name` for `ttl` when nobody holds it; `None` when somebody does, be it the
/// same holder.
pub async fn acquire(
    database: &Database,
    clock: &Clock,
    name: &str,
    holder: NodeId,
    ttl: Duration,
) -> Result<Option<Lease>> {
    let (name, clock) = (name.to_owned(), clock.clone());
    database.write(move |tx| acquire_in(tx, clock.now(), name.clone(), holder, ttl).boxed()).await
}

async fn acquire_in(
    tx: &mut Tx,
    now: Timestamp,
    name: String,
    holder: NodeId,
    ttl: Duration,
) -> Result<Option<Lease>> {
    let expires_at = after(now, ttl);
    let taken = tx
        .query_one(
            "INSERT INTO meta_leases (name, holder, fence, expires_at) VALUES ($1, $2, 1, $3)
             ON CONFLICT (name) DO UPDATE SET
                 holder = excluded.holder,
                 fence = meta_leases.fence + 1,
                 expires_at = excluded.expires_at
             WHERE meta_leases.expires_at <= $4
             RETURNING fence",
            &[(&name).into(), holder.to_string().into(), expires_at.into(), now.into()],
        )
        .await?;
    let Some(row) = taken else { return Ok(None) };
    Ok(Some(Lease { fence: row.int("fence")?, name, holder, expires_at }))
}

/// Prolongs a lease to `ttl` from now; fails with [`Kind::Conflict`] when somebody else has taken
/// it or it was released. An expired lease that nobody took is still its holder's.
pub async fn renew(
    database: &Database,
    clock: &Clock,
    lease: &Lease,
    ttl: Duration,
) -> Result<Lease> {
    let (lease, clock) = (lease.clone(), clock.clone());
    database
        .write(move |tx| {
            let (lease, now) = (lease.clone(), clock.now());
            async move {
                check(tx, &lease).await?;
                let expires_at = after(now, ttl);
                set_expiry(tx, &lease, expires_at).await?;
                Ok(Lease { expires_at, ..lease })
            }
            .boxed()
        })
        .await
}

/// Gives a lease back so that others need not wait for its expiry; does nothing when somebody else
/// has taken it since.
pub async fn release(database: &Database, lease: &Lease) -> Result<()> {
    let lease = lease.clone();
    database
        .write(move |tx| {
            let lease = lease.clone();
            // The row stays, for its fence must outlive every holder.
            async move { set_expiry(tx, &lease, RELEASED).await.map(|_| ()) }.boxed()
        })
        .await
}

/// The expiry of a lease that was given back: earlier than any clock shows.
const RELEASED: Timestamp = Timestamp::from_micros(i64::MIN);

/// Succeeds when `lease` is the newest of its name. To be called in the transaction that does what
/// the lease allows: a holder that slept past its expiry then changes nothing.
pub async fn check(tx: &mut Tx, lease: &Lease) -> Result<()> {
    let row = tx
        .query_one(
            "SELECT fence, expires_at FROM meta_leases WHERE name = $1",
            &[(&lease.name).into()],
        )
        .await?;
    let held = match &row {
        Some(row) => {
            row.int("fence")? == lease.fence && row.int("expires_at")? != RELEASED.as_micros()
        }
        None => false,
    };
    if held {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, format!("the lease `{}` is no longer held", lease.name))
        .hint("another process took over; acquire it again"))
}

async fn set_expiry(tx: &mut Tx, lease: &Lease, expires_at: Timestamp) -> Result<u64> {
    tx.execute(
        "UPDATE meta_leases SET expires_at = $1 WHERE name = $2 AND fence = $3",
        &[expires_at.into(), (&lease.name).into(), lease.fence.into()],
    )
    .await
}

fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let micros = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_add(micros))
}
