//! One round of what is due without being asked.
//!
//! ```text
//! table → turn → compact → join companions → expire → text and vector indexes → dead metadata noted → orphans counted → turn given back
//! all tables → removal of what is doomed or left
//! ```
//!
//! In: nothing but the tables themselves. Out: small files joined, old snapshots gone, indexes that
//! know the newest rows, files that nothing needs removed. What fails is logged and tried again in
//! the next round. Between rounds, what constant commits make necessary. Not here: when rounds are made (`server::maintenance`).

use std::sync::Arc;

use base::{Kind, Result, Timestamp};

use super::GRACE;
use super::turn::{Tended, Turn};
use crate::companion::vectors::VectorSpace;
use crate::{Lake, Table};

/// Maintenance that runs on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The type.
    pub type_name: String,
    /// What is done: `compact`, `expire`.
    pub doing: String,
    /// The node.
    pub node: String,
    /// Since when.
    pub since: Timestamp,
}

impl Lake {
    /// Makes one round over all tables. Tables that another node is at are passed over.
    pub async fn maintain(&self) -> Result<()> {
        for table in self.tables().await? {
            let Some(turn) = Turn::take(self, "maintain", &table).await? else { continue };
            log_failure("maintain", &table.type_name, self.tend(&table).await);
            turn.end(self).await?;
        }
        log_failure("remove superseded metadata", "all tables", self.remove_superseded().await);
        match self.clean_orphans(GRACE).await {
            Ok(cleaned) if cleaned.files > 0 => {
                tracing::info!(files = cleaned.files, bytes = cleaned.bytes, "removed files");
            }
            // Another node cleans up, or a backup runs.
            Err(error) if error.kind() == Kind::Unavailable => {
                tracing::debug!(%error, "no clean-up in this round");
            }
            result => log_failure("remove files", "all tables", result),
        }
        Ok(())
    }

    async fn tend(&self, table: &Arc<Table>) -> Result<()> {
        let type_name = table.type_name.as_ref();
        if self.config().compact {
            self.note(table, "compact").await?;
            compact(&self.unpinned(), type_name).await;
            self.note(table, "join media and vectors").await?;
            log_failure("join media and vectors", type_name, self.join_companions(table).await);
        }
        self.note(table, "expire").await?;
        log_failure("let old snapshots go", type_name, self.expire(type_name, None).await);
        if table.iceberg.is_some() {
            log_failure("let old versions go", type_name, self.expire_versions(table, None).await);
        }
        let table = self.table(type_name).await?;
        self.note(&table, "index texts").await?;
        log_failure("index texts", type_name, self.tend_texts(&table).await);
        self.note(&table, "index vectors").await?;
        log_failure("index vectors", type_name, self.tend_vectors(&table).await);
        self.note(&table, "look for orphans").await?;
        log_failure("look for dead metadata", type_name, self.note_dead(&table).await);
        let bytes = self.left_bytes(&table).await?;
        self.note_end(&table, bytes).await
    }

    async fn join_companions_when_worth(&self, type_name: &str) -> Result<Tended> {
        let table = self.table(type_name).await?;
        if !self.are_companions_scattered(&table).await? {
            return Ok(Tended::Done);
        }
        let Some(turn) = Turn::take(self, "join", &table).await? else {
            return Ok(Tended::ByAnother);
        };
        let joined = self.join_companions(&table).await;
        turn.end(self).await.and(joined.map(|()| Tended::Done))
    }

    async fn tend_vectors(&self, table: &Table) -> Result<()> {
        let schema = self.schema();
        let Some(object) = schema.types.get(&table.type_name) else { return Ok(()) };
        for (def, _) in object.columns().filter(|(def, _)| def.vector.is_some()) {
            let Some(spec) = def.vector.as_ref() else { continue };
            let space = VectorSpace::of(table, spec);
            let rows = self.inner.companions.unindexed(&space).await?;
            if rows > 0 {
                self.inner.budget.take(rows * space.dimension as u64 * 4).await;
                self.inner.companions.tend_index(&space).await?;
            }
        }
        Ok(())
    }

    /// Vectors of a table that an index should cover and does not.
    pub(super) async fn unindexed_vectors(&self, table: &Table) -> Result<u64> {
        let schema = self.schema();
        let Some(object) = schema.types.get(&table.type_name) else { return Ok(0) };
        let mut rows = 0;
        for spec in object.fields.values().filter_map(|def| def.vector.as_ref()) {
            rows += self.inner.companions.unindexed(&VectorSpace::of(table, spec)).await?;
        }
        Ok(rows)
    }

    /// Maintenance that runs on any node, by the turns that they hold.
    pub async fn running(&self) -> Result<Vec<Running>> {
        let sql = "SELECT r.type_name, r.doing, r.node, r.started_at FROM lake_rounds r
            JOIN meta_leases l ON l.name = 'maintain ' || r.id AND l.holder = r.node
            WHERE r.finished_at IS NULL AND l.expires_at > $1 ORDER BY r.type_name";
        let now = self.config().clock.now().as_micros();
        let rows = self.catalog().database().query(sql, &[now.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(Running {
                    type_name: row.text("type_name")?,
                    doing: row.text("doing")?,
                    node: row.text("node")?,
                    since: Timestamp::from_micros(row.int("started_at")?),
                })
            })
            .collect()
    }

    /// Bytes of a table that nothing needs, as the last round counted them.
    pub(super) async fn orphan_bytes(&self, table: &Table) -> Result<u64> {
        let sql = "SELECT orphan_bytes FROM lake_rounds WHERE id = $1";
        let id = table.id.to_string();
        let row = self.catalog().database().query_one(sql, &[id.into()]).await?;
        let bytes = row.map_or(Ok(0), |row| row.int("orphan_bytes"))?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    async fn note(&self, table: &Table, doing: &str) -> Result<()> {
        let sql = "INSERT INTO lake_rounds (id, type_name, node, started_at, doing, orphan_bytes)
            VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (id) DO UPDATE SET
            type_name = excluded.type_name, node = excluded.node, doing = excluded.doing,
            started_at = excluded.started_at, finished_at = NULL";
        let params = [
            table.id.to_string().into(),
            table.type_name.as_ref().into(),
            self.inner.node.to_string().into(),
            self.config().clock.now().as_micros().into(),
            doing.into(),
        ];
        self.catalog().database().execute(sql, &params).await.map(|_| ())
    }

    async fn note_end(&self, table: &Table, orphan_bytes: u64) -> Result<()> {
        let sql = "UPDATE lake_rounds SET finished_at = $1, orphan_bytes = $2 WHERE id = $3";
        let params = [
            self.config().clock.now().as_micros().into(),
            i64::try_from(orphan_bytes).unwrap_or(i64::MAX).into(),
            table.id.to_string().into(),
        ];
        self.catalog().database().execute(sql, &params).await.map(|_| ())
    }
}

/// What small commits make necessary between two rounds; says whether to look again soon, because another
/// node or a writer was in the way. What fails otherwise is tried again after the next commits.
pub(crate) async fn after_commits(lake: &Lake, type_name: &str) -> Tended {
    let lake = lake.unpinned();
    let mut tended = Tended::Done;
    if lake.config().compact {
        tended = compact(&lake, type_name).await;
        let joined = lake.join_companions_when_worth(type_name).await;
        let joined = unless_gone("join media and vectors", type_name, joined);
        tended = if joined == Tended::ByAnother { joined } else { tended };
    }
    let expired = lake.expire_when_due(type_name).await;
    let expired = unless_gone("let old snapshots go", type_name, expired);
    log_failure("remove superseded metadata", type_name, lake.remove_superseded().await);
    if expired == Tended::ByAnother { expired } else { tended }
}

async fn compact(lake: &Lake, type_name: &str) -> Tended {
    unless_gone("compact", type_name, lake.compact_when_worth(type_name).await)
}

/// A type that was renamed or dropped meanwhile, or whose columns were changed, is the next one's.
fn unless_gone(doing: &str, type_name: &str, result: Result<Tended>) -> Tended {
    match result {
        Ok(tended) => tended,
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Stale) => Tended::Done,
        Err(error) => {
            let lost = error.kind() == Kind::Conflict;
            log_failure(doing, type_name, Err::<(), _>(error));
            if lost { Tended::ByAnother } else { Tended::Done }
        }
    }
}

fn log_failure<T>(doing: &str, what: &str, result: Result<T>) {
    if let Err(error) = result {
        tracing::warn!(what, %error, "failed to {doing}");
    }
}
