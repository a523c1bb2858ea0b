//! Databases as sources: what a schema says of their tables, and what schema and settings together say of the
//! way to them.
//!
//! In: the tables of one source, and its settings as any source has them. Out: a client, which tables of
//! several schemas may share, and for each schema a service that answers for its tables. Not here: statements
//! (`postgres`), which source is asked what (`mesh`).

use std::sync::{Arc, Weak};

use base::{Clock, Result, Secret};
use frame::Field;
use mesh::transport::{Guard, GuardSettings, Guarded, Health, Roots, SourceSettings};
use mesh::{InProcess, Service};
use postgres::{Column, Connection, Database, Identity, Table, Tables};
use schema::{Schema, SourceSpec};

/// Who logs in to a database.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// Connections at most, where settings say so.
    pub(super) connections: Option<usize>,
}

/// Connections to a database where nothing is said: databases have few to give.
const CONNECTIONS: usize = 16;

/// A database with its guard.
#[derive(Clone, Debug)]
pub(super) struct Client {
    database: Arc<Database>,
    guard: Arc<Guard>,
}

/// A client that lives as long as somebody else uses it.
#[derive(Debug)]
pub(super) struct Held {
    database: Weak<Database>,
    guard: Weak<Guard>,
}

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(
        spec: &SourceSpec,
        settings: SourceSettings,
        login: &Login,
        rows: usize,
        clock: Clock,
    ) -> Result<Client> {
        let concurrency = login.connections.unwrap_or(CONNECTIONS);
        let guard = GuardSettings {
            timeout: settings.timeout,
            concurrency,
            queue: concurrency.saturating_mul(4),
            breaker: settings.breaker,
        };
        let identity = settings
            .tls
            .identity
            .map(|identity| Identity { chain: identity.chain, key: identity.key });
        let roots = match settings.tls.roots {
            Roots::Pem(roots) => Some(roots),
            _ => None,
        };
        let connection = Connection {
            url: settings.url,
            user: login.user.clone(),
            password: login.password.clone(),
            roots,
            identity,
        };
        let limits = postgres::Settings {
            timeout: settings.timeout,
            connections: u32::try_from(concurrency).unwrap_or(u32::MAX),
            rows,
            bytes: settings.answer_bytes,
            writable: spec.write,
        };
        let opened = Database::new(&connection, limits);
        let opened = opened
            .map_err(|error| error.context(format!("the source `{}` cannot be set up", spec.name)));
        Ok(Client {
            database: Arc::new(opened?),
            guard: Arc::new(Guard::new(&spec.name, guard, clock)),
        })
    }

    /// The service that answers for the tables of this schema.
    pub(super) fn service(
        &self,
        schema: &Arc<Schema>,
        engine: &mesh::Settings,
    ) -> Result<Arc<dyn Service>> {
        let tables = Tables::new(Arc::clone(&self.database), tables(schema));
        let guarded = Guarded::new(tables, Arc::clone(&self.guard));
        // What a database holds has no media.
        let settings = mesh::Settings { media: None, ..engine.clone() };
        Ok(Arc::new(InProcess::new(Arc::clone(schema), Arc::new(guarded), settings)?))
    }

    /// Lets go of it without forgetting it.
    pub(super) fn downgrade(&self) -> Held {
        Held { database: Arc::downgrade(&self.database), guard: Arc::downgrade(&self.guard) }
    }
}

impl Held {
    /// The client, while somebody uses it.
    pub(super) fn upgrade(&self) -> Option<Client> {
        Some(Client { database: self.database.upgrade()?, guard: self.guard.upgrade()? })
    }

    /// How the database does now.
    pub(super) fn health(&self) -> Option<Health> {
        let client = self.upgrade()?;
        let connections = client.database.connections() as usize;
        Some(Health { connections, ..client.guard.health() })
    }
}

/// What a schema says of the tables of a database.
fn tables(schema: &Schema) -> Vec<Table> {
    let table = |(_, object, spec): (_, &schema::ObjectType, &schema::TableSpec)| Table {
        name: Arc::clone(&object.name),
        relation: (!spec.elsewhere)
            .then(|| spec.relation.clone().unwrap_or_else(|| Arc::clone(&spec.name))),
        columns: object
            .columns()
            .map(|(field, column)| Column {
                field: Field::new(field.name.clone(), column.data_type.clone(), field.nullable),
                column: Arc::clone(&column.column),
            })
            .collect(),
        key: spec.key.iter().map(|id| Arc::clone(&object.field(*id).name)).collect(),
    };
    schema.tables().map(table).collect()
}
