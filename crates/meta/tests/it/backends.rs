//! Runs one test on every kind of database.

use std::future::Future;

use meta::Database;
use testkit::{Postgres, TempProject};

/// Where a fresh database is.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) folder: TempProject,
}

impl Place {
    /// A SQLite file that does not exist yet.
    pub(crate) fn sqlite() -> Place {
        let folder = TempProject::empty();
        Place { url: folder.metadata_url(), folder }
    }

    /// An empty Postgres database, when Postgres is installed.
    pub(crate) fn postgres() -> Option<Place> {
        let url = Postgres::shared()?.new_database();
        Some(Place { url, folder: TempProject::empty() })
    }

    pub(crate) async fn open(&self) -> Database {
        Database::open(&self.url).await.expect("an open database")
    }

    /// Opens it with tables for tests.
    pub(crate) async fn open_with_tables(&self) -> Database {
        let database = self.open().await;
        database.migrate("test", STEPS).await.expect("tables for tests");
        database
    }
}

/// The tables that most tests use.
pub(crate) const STEPS: &[&str] = &[
    "CREATE TABLE test_items (
        id BIGINT NOT NULL PRIMARY KEY, name TEXT, data BLOB, flag BOOLEAN, weight DOUBLE PRECISION
    )",
    "CREATE TABLE test_writes (topic TEXT NOT NULL, number BIGINT NOT NULL, counter BIGINT NOT NULL);
     CREATE INDEX test_writes_by_topic ON test_writes (topic, number)",
];

/// Runs the test on a SQLite file, then on Postgres.
pub(crate) async fn on_each<F>(test: impl Fn(Place) -> F)
where
    F: Future<Output = ()>,
{
    test(Place::sqlite()).await;
    if let Some(place) = Place::postgres() {
        test(place).await;
    }
}
