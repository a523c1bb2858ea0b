//! Keys that all nodes of a project share, made once and kept in the metadata database.

use base::rng::Rng;
use base::{Error, Kind, Result};
use meta::Database;

/// The table of keys.
pub(crate) const MIGRATION: &str =
    "CREATE TABLE server_secrets (name TEXT PRIMARY KEY, secret BLOB NOT NULL)";

/// The key of this name. Two nodes that make it at once get the same one.
pub(crate) async fn get_or_make(database: &Database, rng: &Rng, name: &str) -> Result<[u8; 32]> {
    let mut fresh = [0; 32];
    rng.fill(&mut fresh);
    let insert =
        "INSERT INTO server_secrets (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    database.execute(insert, &[name.into(), fresh.to_vec().into()]).await?;
    let select = "SELECT secret FROM server_secrets WHERE name = $1";
    let row = database
        .query_one(select, &[name.into()])
        .await?
        .ok_or_else(|| Error::internal("a key is gone right after it was made"))?;
    row.blob("secret")?
        .try_into()
        .map_err(|_| Error::new(Kind::Corrupt, format!("the key `{name}` has the wrong length")))
}
