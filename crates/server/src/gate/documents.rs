//! Trusted documents: those that were registered beforehand, each under the SHA-256 of its text.
//!
//! In: documents of clients, checked against the deployed schema. Out: rows of the metadata database, and
//! on every node the same documents in memory, as new as the request that asks. Bounded in number and in
//! bytes, so that they all fit there. Not here: which mode holds, what is done with a document.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base::size::{counted, format_bytes};
use base::{Error, Kind, Principal, Result, Timestamp};
use futures::FutureExt as _;
use meta::{Database, Row, Tx};
use parking_lot::RwLock;

use super::Hash;
use crate::wire::{DocumentInfo, DocumentRegisterAnswer, DocumentText, ErrorBody};
use faults::Fault;

pub(crate) mod faults;

/// Migrations of the table of documents.
pub(crate) const MIGRATIONS: &[&str] = &["CREATE TABLE server_documents (
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (client, id)
)"];

/// Topic of the change counter that every registration and removal bumps.
pub(crate) const TOPIC: &str = "documents";

/// Documents of all clients together.
const MOST: i64 = 10_000;

/// Bytes of all of them.
const MOST_BYTES: i64 = 32 << 20;

const COLUMNS: &str = "client, id, name, bytes, author, at";

/// The registered documents by their hashes, as they were at a count of changes.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    counter: i64,
    by_hash: HashMap<Hash, Arc<str>>,
}

impl Registered {
    /// The document of a hash.
    pub(crate) fn get(&self, hash: &Hash) -> Option<Arc<str>> {
        self.by_hash.get(hash).cloned()
    }
}

/// The registered documents of this node: read when a request needs them and they changed since.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    counter: AtomicI64,
    known: RwLock<Arc<Registered>>,
}

impl Documents {
    /// Hears how often the documents changed.
    pub(crate) fn follow(&self, counter: i64) {
        self.counter.fetch_max(counter, Ordering::Relaxed);
    }

    /// The documents, no older than the last change that was heard of.
    pub(crate) async fn now(&self, database: &Database) -> Result<Arc<Registered>> {
        let wanted = self.counter.load(Ordering::Relaxed);
        let known = Arc::clone(&self.known.read());
        if known.counter == wanted {
            return Ok(known);
        }
        let fresh = Arc::new(read(database, wanted).await?);
        *self.known.write() = Arc::clone(&fresh);
        Ok(fresh)
    }
}

async fn read(database: &Database, counter: i64) -> Result<Registered> {
    let rows = database.query("SELECT id, text FROM server_documents", &[]).await?;
    let entry = |row: &Row| -> Result<(Hash, Arc<str>)> {
        let id = row.text("id")?;
        let hash = Hash::parse(&id).ok_or_else(|| {
            Error::new(Kind::Corrupt, format!("the registered document `{id}` has no such id"))
        })?;
        Ok((hash, row.text("text")?.into()))
    };
    let by_hash = rows.iter().map(entry).collect::<Result<_>>()?;
    Ok(Registered { counter, by_hash })
}

/// A document that may be registered.
#[derive(Clone, Debug)]
struct Sound {
    id: String,
    name: String,
    text: String,
}

/// Registers documents of a client, all or, when one is faulty, none. `check` gives the names of a
/// document's operations, or what is wrong with it.
pub(crate) async fn register(
    database: &Database,
    who: &Principal,
    now: Timestamp,
    client: &str,
    documents: &[DocumentText],
    check: impl Fn(&str) -> Result<Vec<String>, Vec<mesh::GraphqlError>>,
) -> Result<DocumentRegisterAnswer, ErrorBody> {
    let mut sound = Vec::new();
    let mut faults = Vec::new();
    for document in documents {
        match checked(document, &check) {
            Ok(found) => sound.push(found),
            Err(mut found) => faults.append(&mut found),
        }
    }
    if !faults.is_empty() {
        return Err(faults::refusal(faults, documents));
    }
    let (author, client) = (who.subject.to_string(), client.to_owned());
    let answer = database.write(move |tx| {
        let (author, client, sound) = (author.clone(), client.clone(), sound.clone());
        async move { insert(tx, &author, now, &client, &sound).await }.boxed()
    });
    Ok(answer.await?)
}

fn checked(
    document: &DocumentText,
    check: impl Fn(&str) -> Result<Vec<String>, Vec<mesh::GraphqlError>>,
) -> Result<Sound, Vec<Fault>> {
    let id = Hash::of(&document.text).to_string();
    let given = document.id.as_deref().map(|given| given.strip_prefix("sha256:").unwrap_or(given));
    if given.is_some_and(|given| given != id) {
        return Err(vec![Fault::of_id(&document.file, &id)]);
    }
    match check(&document.text) {
        Ok(names) => Ok(Sound { id, name: names.join(", "), text: document.text.clone() }),
        Err(errors) => {
            Err(errors.into_iter().map(|error| Fault::of(&document.file, error)).collect())
        }
    }
}

async fn insert(
    tx: &mut Tx,
    author: &str,
    now: Timestamp,
    client: &str,
    documents: &[Sound],
) -> Result<DocumentRegisterAnswer> {
    let sql = format!(
        "INSERT INTO server_documents ({COLUMNS}, text) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (client, id) DO NOTHING"
    );
    let mut registered = 0;
    for document in documents {
        let bytes = i64::try_from(document.text.len()).unwrap_or(i64::MAX);
        let params = [
            client.into(),
            (&document.id).into(),
            (&document.name).into(),
            bytes.into(),
            author.into(),
            now.as_micros().into(),
            (&document.text).into(),
        ];
        registered += tx.execute(&sql, &params).await?;
    }
    refuse_too_many(tx).await?;
    if registered > 0 {
        meta::changes::bump(tx, TOPIC).await?;
    }
    let known = documents.len() as u64 - registered;
    Ok(DocumentRegisterAnswer { client: client.to_owned(), registered, known })
}

async fn refuse_too_many(tx: &mut Tx) -> Result<()> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS documents, \
               CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM server_documents";
    let row = tx.query_one(sql, &[]).await?;
    let (documents, bytes) = match &row {
        Some(row) => (row.int("documents")?, row.int("bytes")?),
        None => (0, 0),
    };
    if documents <= MOST && bytes <= MOST_BYTES {
        return Ok(());
    }
    let most = counted(MOST.unsigned_abs(), "document");
    let text = format!("at most {most} of {} are kept", format_bytes(MOST_BYTES.unsigned_abs()));
    Err(Error::new(Kind::LimitExceeded, text)
        .hint("remove those that no client sends any more: `headwater documents remove`"))
}

/// All documents, those of one client together, without their texts.
pub(crate) async fn list(database: &Database) -> Result<Vec<DocumentInfo>> {
    let sql = format!("SELECT {COLUMNS} FROM server_documents ORDER BY client, name, id");
    database.query(&sql, &[]).await?.iter().map(info).collect()
}

fn info(row: &Row) -> Result<DocumentInfo> {
    Ok(DocumentInfo {
        id: row.text("id")?,
        name: row.text("name")?,
        client: row.text("client")?,
        bytes: row.int("bytes")?.unsigned_abs(),
        author: row.text("author")?,
        at: Timestamp::from_micros(row.int("at")?).to_string(),
    })
}

/// Removes documents by their ids, by their client, or by both; gives how many.
pub(crate) async fn remove(
    database: &Database,
    ids: Vec<String>,
    client: Option<String>,
) -> Result<u64> {
    if ids.is_empty() && client.is_none() {
        return Err(Error::invalid("give ids, a client, or both")
            .hint("`headwater documents list` lists them"));
    }
    if let Some(id) = ids.iter().find(|id| Hash::parse(id).is_none()) {
        return Err(Error::invalid(format!("`{id}` is no id of a document"))
            .hint("an id is 64 hexadecimal digits; `headwater documents list` lists them"));
    }
    let removed = database.write(move |tx| {
        let (ids, client) = (ids.clone(), client.clone());
        async move { remove_in(tx, &ids, client.as_deref()).await }.boxed()
    });
    match removed.await? {
        0 => Err(Error::not_found("there is no such document")
            .hint("`headwater documents list` lists them")),
        removed => Ok(removed),
    }
}

async fn remove_in(tx: &mut Tx, ids: &[String], client: Option<&str>) -> Result<u64> {
    let mut removed = 0;
    match (ids, client) {
        ([], Some(client)) => {
            let sql = "DELETE FROM server_documents WHERE client = $1";
            removed += tx.execute(sql, &[client.into()]).await?;
        }
        (ids, Some(client)) => {
            let sql = "DELETE FROM server_documents WHERE id = $1 AND client = $2";
            for id in ids {
                removed += tx.execute(sql, &[id.into(), client.into()]).await?;
            }
        }
        (ids, None) => {
            for id in ids {
                let sql = "DELETE FROM server_documents WHERE id = $1";
                removed += tx.execute(sql, &[id.into()]).await?;
            }
        }
    }
    meta::changes::bump(tx, TOPIC).await?;
    Ok(removed)
}
