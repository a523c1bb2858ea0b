//! The one transaction in which a change becomes true, and the holds that let it through.
//!
//! In: everything that becomes true at one moment. Out: all of it, or none. A held table refuses the
//! commits of everybody but its holder, for a bounded time; that only makes the change succeed under
//! constant writes: what keeps it right is that every table must still be at the version that it was
//! read at. Not here: making metadata (`steps`).

use std::sync::Arc;
use std::time::Duration;

use base::ids::TableId;
use base::{Error, Kind, Result, Timestamp};
use futures::FutureExt;
use meta::{Param, Tx};

use super::{COLUMNS, Catalog, Statement, Swap, drop_one, restore_one, row_params, swap_one};
use crate::binding::Binding;
use crate::table::Table;

/// The tables of this module, one migration a line of history.
pub(super) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE lake_deployed (
        one BIGINT PRIMARY KEY,
        version BIGINT NOT NULL,
        oldest BIGINT NOT NULL
    )",
    "INSERT INTO lake_deployed (one, version, oldest) VALUES (1, 0, 0)",
    "CREATE TABLE lake_bindings (
        version BIGINT NOT NULL,
        table_id TEXT NOT NULL,
        type_name TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        binding TEXT NOT NULL,
        PRIMARY KEY (version, table_id)
    )",
    "CREATE TABLE lake_holds (
        table_id TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        until BIGINT NOT NULL
    )",
];

/// How long a hold lasts when its holder dies.
pub(crate) const HOLD: Duration = Duration::from_secs(10);

/// What becomes true at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn {
    /// Tables that change.
    pub(crate) swaps: Vec<Swap>,
    /// Tables that appear.
    pub(crate) created: Vec<Arc<Table>>,
    /// Tables that go.
    pub(crate) dropped: Vec<Arc<Table>>,
    /// Types whose dropped tables come back.
    pub(crate) restored: Vec<Arc<str>>,
    /// How the version that was deployed finds its columns from now on.
    pub(crate) bindings: Vec<(TableId, Arc<Table>, Binding)>,
    /// The version that was deployed, and the one that is.
    pub(crate) versions: Option<(i64, i64)>,
    /// Whose holds end.
    pub(crate) holder: Option<Arc<str>>,
    /// How many tables the holder holds: when it lost one of them, nothing happens.
    pub(crate) held: u64,
    /// What else happens.
    pub(crate) also: Vec<Statement>,
}

impl Catalog {
    /// Makes a change true, all of it or nothing. `Conflict` when a table has moved since it was
    /// read; `Stale` when another version is deployed than the one that the change starts from.
    pub(crate) async fn turn(&self, turn: Turn) -> Result<()> {
        let now = self.clock.now();
        self.publish(move |tx| turn_all(tx, turn.clone(), now).boxed()).await
    }

    /// Holds tables for `holder`, for so long; a hold of somebody else's that has not ended is a
    /// `Conflict`.
    pub(crate) async fn hold(
        &self,
        tables: &[TableId],
        holder: &Arc<str>,
        length: Duration,
    ) -> Result<()> {
        let hold = HoldAll {
            tables: tables.to_vec(),
            holder: Arc::clone(holder),
            now: self.clock.now(),
            length,
        };
        self.database.write(move |tx| hold_all(tx, hold.clone()).boxed()).await
    }

    /// Lets the holds of `holder` last for so long from now on; `Conflict` when it lost one of its
    /// `held` tables: somebody may have committed to it.
    pub(crate) async fn renew(
        &self,
        holder: &Arc<str>,
        held: usize,
        length: Duration,
    ) -> Result<()> {
        let until = after(self.clock.now(), length);
        let sql = "UPDATE lake_holds SET until = $1 WHERE holder = $2";
        let renewed = self.database.execute(sql, &[until.into(), holder.as_ref().into()]).await?;
        if renewed != held as u64 { Err(lost_hold()) } else { Ok(()) }
    }

    /// The tables that somebody other than `holder` holds.
    pub(crate) async fn held(&self, holder: Option<&Arc<str>>) -> Result<Vec<TableId>> {
        let sql = "SELECT table_id FROM lake_holds WHERE holder <> $1 AND until > $2";
        let holder = holder.map_or("", |holder| holder.as_ref());
        let now = self.clock.now().as_micros();
        let rows = self.database.query(sql, &[holder.into(), now.into()]).await?;
        rows.iter().map(|row| super::id_in(row, "table_id")).collect()
    }

    /// Ends all holds of `holder`.
    pub(crate) async fn release(&self, holder: &Arc<str>) -> Result<()> {
        let sql = "DELETE FROM lake_holds WHERE holder = $1";
        self.database.execute(sql, &[holder.as_ref().into()]).await.map(|_| ())
    }

    /// The deployed version of the schema, and the oldest that is served.
    pub async fn deployed(&self) -> Result<(i64, i64)> {
        let sql = "SELECT version, oldest FROM lake_deployed WHERE one = 1";
        let row = self.database.query_one(sql, &[]).await?;
        let row = row.ok_or_else(|| Error::new(Kind::Corrupt, "no deployed version is noted"))?;
        Ok((row.int("version")?, row.int("oldest")?))
    }

    /// Ends the service of every version but the deployed one, with `also` at the same moment.
    pub async fn retire(&self, also: &[Statement]) -> Result<()> {
        let also = also.to_vec();
        self.database.write(move |tx| retire_all(tx, also.clone()).boxed()).await
    }
}

async fn turn_all(tx: &mut Tx, turn: Turn, now: Timestamp) -> Result<()> {
    if let Some((from, to)) = turn.versions {
        let sql =
            "UPDATE lake_deployed SET version = $1, oldest = $2 WHERE one = 1 AND version <= $2";
        if tx.execute(sql, &[to.into(), from.into()]).await? != 1 {
            return Err(Error::new(Kind::Stale, "another schema was deployed meanwhile")
                .hint("run `headwater plan` again and review the new plan"));
        }
        tx.execute("DELETE FROM lake_bindings WHERE version <> $1", &[from.into()]).await?;
    }
    for table in turn.dropped {
        drop_one(tx, table, now).await?;
    }
    // Names may go around in a circle, and each is one table's at any moment.
    for swap in turn.swaps.iter().filter(|swap| swap.renames()) {
        let sql = "UPDATE lake_tables SET type_name = $1, name = $1 WHERE id = $2";
        let id = swap.base.id.to_string();
        tx.execute(sql, &[format!("~{id}").into(), id.into()]).await?;
    }
    for swap in &turn.swaps {
        swap_one(tx, swap, turn.holder.as_deref(), now).await?;
    }
    for type_name in turn.restored {
        if !restore_one(tx, type_name.to_string()).await? {
            let text =
                format!("the table of type `{type_name}` was dropped and its files are gone");
            return Err(Error::not_found(text).hint("restore it from a backup"));
        }
    }
    for table in &turn.created {
        let sql = format!(
            "INSERT INTO lake_tables ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        );
        tx.execute(&sql, &row_params(table)).await?;
    }
    for (id, table, binding) in turn.bindings {
        bind(tx, turn.versions.map_or(0, |(from, _)| from), id, &table, &binding).await?;
    }
    if let Some(holder) = &turn.holder
        && end_holds(tx, holder).await? != turn.held
    {
        return Err(lost_hold());
    }
    for (sql, params) in &turn.also {
        tx.execute(sql, params).await?;
    }
    Ok(())
}

async fn bind(
    tx: &mut Tx,
    version: i64,
    id: TableId,
    table: &Table,
    binding: &Binding,
) -> Result<()> {
    let sql = "INSERT INTO lake_bindings (version, table_id, type_name, namespace, name, binding) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let params: [Param; 6] = [
        version.into(),
        id.to_string().into(),
        table.type_name.as_ref().into(),
        table.namespace.as_ref().into(),
        table.name.as_ref().into(),
        binding.to_text()?.into(),
    ];
    tx.execute(sql, &params).await.map(|_| ())
}

/// Tables to hold.
#[derive(Clone, Debug)]
struct HoldAll {
    tables: Vec<TableId>,
    holder: Arc<str>,
    now: Timestamp,
    length: Duration,
}

fn after(now: Timestamp, length: Duration) -> i64 {
    now.as_micros().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

fn lost_hold() -> Error {
    Error::new(Kind::Conflict, "a table was held for too long, and others changed it")
}

/// Ends the hold of somebody else, which is over, before a commit to the table: whoever held it must
/// learn that the table has moved, whatever the clocks of the two say.
pub(super) async fn break_hold(tx: &mut Tx, table: TableId, holder: &str) -> Result<()> {
    let sql = "DELETE FROM lake_holds WHERE table_id = $1 AND holder <> $2";
    tx.execute(sql, &[table.to_string().into(), holder.into()]).await.map(|_| ())
}

/// Ends the holds of whoever commits; says how many they were.
pub(super) async fn end_holds(tx: &mut Tx, holder: &str) -> Result<u64> {
    tx.execute("DELETE FROM lake_holds WHERE holder = $1", &[holder.into()]).await
}

async fn hold_all(tx: &mut Tx, hold: HoldAll) -> Result<()> {
    let HoldAll { tables, holder, now, length } = hold;
    let until = after(now, length);
    for table in tables {
        let id = table.to_string();
        let sql = "DELETE FROM lake_holds WHERE table_id = $1 AND (holder = $2 OR until <= $3)";
        let params = [id.as_str().into(), holder.as_ref().into(), now.as_micros().into()];
        tx.execute(sql, &params).await?;
        let sql = "INSERT INTO lake_holds (table_id, holder, until) VALUES ($1, $2, $3)";
        let params = [id.as_str().into(), holder.as_ref().into(), until.into()];
        tx.execute(sql, &params).await.map_err(|error| match error.kind() {
            Kind::AlreadyExists => Error::new(Kind::Conflict, "another change holds the table"),
            _ => error,
        })?;
    }
    Ok(())
}

async fn retire_all(tx: &mut Tx, also: Vec<Statement>) -> Result<()> {
    tx.execute("UPDATE lake_deployed SET oldest = version WHERE one = 1", &[]).await?;
    tx.execute("DELETE FROM lake_bindings", &[]).await?;
    for (sql, params) in &also {
        tx.execute(sql, params).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base::Clock;
    use base::rng::Rng;
    use object_store::memory::InMemory;

    use super::*;
    use crate::storage::{LakeStorage, Traffic};

    async fn catalog() -> (Catalog, Clock) {
        let database = meta::Database::open("sqlite::memory:").await.unwrap();
        let traffic = Arc::new(Traffic::default());
        let storage = LakeStorage::new("test", Arc::new(InMemory::new()), traffic);
        let clock = Clock::fixed(Timestamp::from_micros(1));
        (Catalog::open(database, storage.file_io(), clock.clone()).await.unwrap(), clock)
    }

    fn turn(holder: &Arc<str>) -> Turn {
        Turn {
            versions: Some((0, 1)),
            holder: Some(Arc::clone(holder)),
            held: 1,
            ..Turn::default()
        }
    }

    #[tokio::test]
    async fn whoever_commits_over_a_hold_that_is_over_takes_it_away() {
        let (catalog, clock) = catalog().await;
        let table = TableId::generate(&Rng::seeded(1));
        let (mine, theirs): (Arc<str>, Arc<str>) = ("mine".into(), "theirs".into());
        catalog.hold(&[table], &mine, HOLD).await.unwrap();
        let refused = catalog.hold(&[table], &theirs, HOLD).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert_eq!(catalog.held(Some(&theirs)).await.unwrap(), [table]);
        clock.advance(HOLD.as_micros() as i64 - 1);
        catalog.renew(&mine, 1, HOLD).await.unwrap();
        clock.advance(HOLD.as_micros() as i64 - 1);
        assert_eq!(catalog.held(Some(&theirs)).await.unwrap(), [table]);
        // It is over, and nobody has noticed: it can still be renewed, and counts.
        clock.advance(2);
        assert_eq!(catalog.held(Some(&theirs)).await.unwrap(), []);
        catalog.renew(&mine, 1, HOLD).await.unwrap();
        // A commit of somebody else's, whose clock is ahead.
        let broken = catalog.database.write(move |tx| break_hold(tx, table, "").boxed()).await;
        broken.unwrap();
        assert_eq!(catalog.renew(&mine, 1, HOLD).await.unwrap_err().kind(), Kind::Conflict);
        assert_eq!(catalog.turn(turn(&mine)).await.unwrap_err().kind(), Kind::Conflict);
        assert_eq!(catalog.deployed().await.unwrap(), (0, 0), "nothing of the switch happened");
        catalog.hold(&[table], &mine, HOLD).await.unwrap();
        catalog.turn(turn(&mine)).await.unwrap();
        assert_eq!(catalog.deployed().await.unwrap(), (1, 0));
    }
}
