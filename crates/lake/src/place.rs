//! Where the objects are, agreed upon by all nodes: a row of the metadata database.
//!
//! ```text
//! settled(A) → copying(A, B) → switched(B, A) → settled(B)
//! ```
//!
//! In: the database, and a way to open a place by its name. Out: the one store of the lake
//! ([`Place::objects`]), which [`Place::follow`] keeps as the row says. While objects are copied,
//! nodes write to the old place and read both; after the switch they write to the new one and read
//! both; when the move is finished the old place is gone. So every node reads what any other has
//! written, whichever of two neighbouring states each knows of. A node that missed more than that is
//! refused in the transaction of its next commit. Not here: copying (`copy`), the steps of a move
//! (`migrate`), when it is looked at the row (`server`).

mod copy;
mod migrate;
mod remove;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use base::ids::NodeId;
use base::{Error, Kind, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use meta::{Database, Tx};
use object_store::ObjectStore;

pub use migrate::{MoveReport, Moved};

use crate::store::moving::{MovingStore, Side, Sides};

const MIGRATIONS: &[&str] = &[
    "CREATE TABLE lake_place (
        one BIGINT PRIMARY KEY,
        generation BIGINT NOT NULL,
        phase TEXT NOT NULL,
        place TEXT NOT NULL,
        other TEXT NOT NULL,
        fenced BIGINT NOT NULL
    )",
    "CREATE TABLE lake_place_nodes (
        node TEXT PRIMARY KEY,
        generation BIGINT NOT NULL,
        writing BIGINT NOT NULL,
        trouble TEXT NOT NULL,
        beat BIGINT NOT NULL
    )",
    "CREATE TABLE lake_moved (
        generation BIGINT NOT NULL,
        path TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        blake3 TEXT NOT NULL,
        PRIMARY KEY (generation, path)
    )",
];

/// Opens a place by its name: a folder or `s3://bucket/prefix`.
pub type Opener =
    Arc<dyn Fn(String) -> BoxFuture<'static, Result<Arc<dyn ObjectStore>>> + Send + Sync>;

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No move.
    Settled,
    /// Objects are copied; the old place takes writes.
    Copying,
    /// The new place takes writes; the old one is kept.
    Switched,
}

/// The row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Grows with every change.
    pub generation: i64,
    /// How far.
    pub phase: Phase,
    /// The place that takes writes.
    pub place: String,
    /// The other one; empty when settled.
    pub other: String,
    /// Nodes that know of nothing newer than a generation before this one must not commit.
    fenced: i64,
}

/// Where the objects are; clones share it.
#[derive(Clone)]
pub struct Place {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    node: NodeId,
    opener: Opener,
    /// The place when no row says another.
    default: String,
    store: MovingStore,
    generation: AtomicI64,
    /// The node missed a whole move.
    lost: AtomicBool,
    /// One at a time changes the store.
    following: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Settled => "settled",
            Phase::Copying => "copying",
            Phase::Switched => "switched",
        }
    }

    fn parse(text: &str) -> Result<Phase> {
        [Phase::Settled, Phase::Copying, Phase::Switched]
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("unknown phase `{text}` of a move")))
    }
}

impl Place {
    /// Opens the place that the row names, or `default` when there is no row.
    pub async fn open(
        database: Database,
        node: NodeId,
        default: &str,
        opener: Opener,
    ) -> Result<Place> {
        database.migrate("lake_place", MIGRATIONS).await?;
        let stored = read(&database, default).await?;
        let first = Side::new(&stored.place, opener(stored.place.clone()).await?);
        let store = MovingStore::new(first);
        let place = Place {
            inner: Arc::new(Inner {
                database,
                node,
                opener,
                default: default.to_owned(),
                store,
                generation: AtomicI64::new(stored.generation),
                lost: AtomicBool::new(false),
                following: tokio::sync::Mutex::default(),
            }),
        };
        place.take_up(&stored).await?;
        Ok(place)
    }

    /// The objects.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.inner.store.clone())
    }

    /// The row as it is now.
    pub async fn stored(&self) -> Result<Stored> {
        read(&self.inner.database, &self.inner.default).await
    }

    /// Brings the store to what the row says. While a move is under way, tells the other nodes so.
    pub async fn follow(&self) -> Result<Stored> {
        let stored = self.stored().await?;
        if stored.generation != self.generation() {
            let _turn = self.inner.following.lock().await;
            if let Err(error) = self.take_up(&stored).await {
                self.tell(&error.to_string()).await?;
                return Err(error);
            }
        }
        if stored.phase != Phase::Settled {
            self.tell("").await?;
        }
        Ok(stored)
    }

    /// The generation that this node acts by.
    pub fn generation(&self) -> i64 {
        self.inner.generation.load(Ordering::SeqCst)
    }

    /// Fails when this node missed a move. To be called in the transaction of every commit.
    pub(crate) async fn check(&self, tx: &mut Tx) -> Result<()> {
        let row = tx.query_one("SELECT fenced FROM lake_place WHERE one = 1", &[]).await?;
        let fenced = row.map_or(Ok(0), |row| row.int("fenced"))?;
        if fenced <= self.generation() && !self.inner.lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.inner.lost.store(true, Ordering::SeqCst);
        Err(Error::new(
            Kind::Unavailable,
            "the objects moved while this node could not be reached; it must not write any more",
        )
        .hint("start this node again; another node takes the request now"))
    }

    /// Makes the sides of the store those of the row. The generation is taken up last, so that who
    /// acts by it finds the store so.
    async fn take_up(&self, stored: &Stored) -> Result<()> {
        let first = self.side(&stored.place).await?;
        let second = match stored.phase {
            Phase::Settled => None,
            _ => Some(self.side(&stored.other).await?),
        };
        // What this node wrote to the old place while nobody looked there any more is lost to the
        // others, so that nothing that it staged may be committed.
        if stored.fenced > self.generation() {
            self.inner.lost.store(true, Ordering::SeqCst);
        }
        self.inner.store.set(Sides { first, second });
        self.inner.generation.store(stored.generation, Ordering::SeqCst);
        Ok(())
    }

    async fn side(&self, name: &str) -> Result<Arc<Side>> {
        let sides = self.inner.store.sides();
        let known = [Some(sides.first), sides.second];
        if let Some(side) = known.into_iter().flatten().find(|side| side.name == name) {
            return Ok(side);
        }
        Ok(Side::new(name, (self.inner.opener)(name.to_owned()).await?))
    }

    /// Writes down that this node lives, what it knows of, and whether it still writes to the place
    /// that is read second.
    async fn tell(&self, trouble: &str) -> Result<()> {
        let sides = self.inner.store.sides();
        let writing = sides.second.map_or(0, |second| second.writing());
        let sql = "INSERT INTO lake_place_nodes (node, generation, writing, trouble, beat)
            VALUES ($1, $2, $3, $4, 1) ON CONFLICT (node) DO UPDATE SET
            generation = excluded.generation, writing = excluded.writing,
            trouble = excluded.trouble, beat = lake_place_nodes.beat + 1";
        let params = [
            self.inner.node.to_string().into(),
            self.generation().into(),
            (writing as i64).into(),
            trouble.into(),
        ];
        self.inner.database.execute(sql, &params).await.map(|_| ())
    }
}

/// Forgets where the objects are, in a copy of the metadata: the settings say it from now on.
pub(crate) async fn forget(database: &Database) -> Result<()> {
    database.migrate("lake_place", MIGRATIONS).await?;
    for table in ["lake_place", "lake_place_nodes", "lake_moved"] {
        database.execute(&format!("DELETE FROM {table}"), &[]).await?;
    }
    Ok(())
}

async fn read(database: &Database, default: &str) -> Result<Stored> {
    let default = default.to_owned();
    database
        .read(move |tx| {
            let default = default.clone();
            async move { read_in(tx, &default).await }.boxed()
        })
        .await
}

async fn read_in(tx: &mut Tx, default: &str) -> Result<Stored> {
    let sql = "SELECT generation, phase, place, other, fenced FROM lake_place WHERE one = 1";
    let Some(row) = tx.query_one(sql, &[]).await? else {
        return Ok(Stored {
            generation: 0,
            phase: Phase::Settled,
            place: default.to_owned(),
            other: String::new(),
            fenced: 0,
        });
    };
    Ok(Stored {
        generation: row.int("generation")?,
        phase: Phase::parse(&row.text("phase")?)?,
        place: row.text("place")?,
        other: row.text("other")?,
        fenced: row.int("fenced")?,
    })
}

/// The topic of the change counter that every change of the row bumps.
pub const TOPIC: &str = "place";

async fn write_in(tx: &mut Tx, stored: &Stored) -> Result<()> {
    let sql = "INSERT INTO lake_place (one, generation, phase, place, other, fenced)
        VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (one) DO UPDATE SET
        generation = excluded.generation, phase = excluded.phase, place = excluded.place,
        other = excluded.other, fenced = excluded.fenced";
    let params = [
        stored.generation.into(),
        stored.phase.as_str().into(),
        stored.place.as_str().into(),
        stored.other.as_str().into(),
        stored.fenced.into(),
    ];
    tx.execute(sql, &params).await?;
    meta::changes::bump(tx, TOPIC).await.map(|_| ())
}
