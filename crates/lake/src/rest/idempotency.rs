//! Calls that are made once however often they are sent.
//!
//! In: a call with the client's key. Out: the answer of its first time. The key is taken before the
//! call is made, so that a twin that runs at the same time is told to come back, and its answer is
//! kept for longer than the configuration promises. That it was made is noted in the transaction which
//! makes it true: when the answer was lost after that, the present state is told. A failure of ours is not
//! kept: the call may be made again. Not here: what the call does.

use std::sync::Arc;

use base::{Principal, Result};
use meta::Tx;
use serde_json::Value as Json;

use super::json::part;
use super::{Answer, Call, Ident, Outcome, Refusal, Snapshots, tables, views};
use crate::Lake;

tokio::task_local! {
    /// The key of the call that is being made.
    static KEY: Arc<str>;
}

/// How long an answer is kept: longer than the half hour that clients are told.
const KEPT_MICROS: i64 = 3600 * 1_000_000;
/// How long a call may run before its key counts as left by a process that died.
const RUNNING_MICROS: i64 = 120 * 1_000_000;
/// The status of a call that is being made.
const RUNNING: i64 = 0;
/// The status of a call that was made, and whose answer is not known.
const MADE: i64 = 1;

/// Makes a call, or gives the answer that it had.
pub(super) async fn once(
    lake: &Lake,
    key: &str,
    call: &Call,
    body: &Json,
    who: &Principal,
) -> Outcome {
    if uuid::Uuid::parse_str(key).is_err() || key.len() != 36 {
        return Err(Refusal::bad(format!("`{key}` is no idempotency key: it must be a UUID")));
    }
    let request = fingerprint(call, body, who);
    let now = lake.config().clock.now().as_micros();
    if !take(lake, key, &request, now).await? {
        match earlier(lake, key, &request).await? {
            Earlier::Answered(outcome) => return with_reach(lake, call, body, *outcome).await,
            Earlier::Made => return present(lake, call, body).await,
            Earlier::Other => {
                let text = format!("the idempotency key `{key}` was used for another request");
                return Err(Refusal::unprocessable(text));
            }
            Earlier::Running => {
                return Err(Refusal::busy("the same request is being answered; ask again"));
            }
        }
    }
    let outcome = KEY.scope(key.into(), super::answer(lake, call, body, who)).await;
    keep(lake, key, &outcome).await?;
    outcome
}

/// The key of the call that is being made, for the transaction that makes it true.
pub(super) fn key() -> Option<Arc<str>> {
    KEY.try_with(Arc::clone).ok()
}

/// Notes that the call is made.
pub(super) async fn note(tx: &mut Tx, key: Option<&str>) -> Result<()> {
    let Some(key) = key else { return Ok(()) };
    let sql = "UPDATE lake_rest_answers SET status = $1 WHERE name = $2 AND status = $3";
    tx.execute(sql, &[MADE.into(), key.into(), RUNNING.into()]).await.map(|_| ())
}

/// The table that a call makes or changes.
fn table_of(call: &Call, body: &Json) -> Option<Ident> {
    match call {
        Call::CommitTable(table) => Some(table.clone()),
        Call::CreateTable(namespace) | Call::RegisterTable(namespace) => {
            Some(Ident { namespace: namespace.clone(), name: part(body, "name").ok()? })
        }
        _ => None,
    }
}

/// What a call would be answered after it was made: how things are now.
async fn present(lake: &Lake, call: &Call, body: &Json) -> Outcome {
    if let Some(table) = table_of(call, body) {
        return tables::load(lake, &table, Snapshots::All).await;
    }
    match call {
        Call::ReplaceView(view) => views::load(lake, view).await,
        Call::CreateView(namespace) | Call::RegisterView(namespace) => {
            let view = Ident { namespace: namespace.clone(), name: part(body, "name")? };
            views::load(lake, &view).await
        }
        _ => Ok(Answer::empty()),
    }
}

/// A kept answer with what credentials must reach, which is not kept.
async fn with_reach(lake: &Lake, call: &Call, body: &Json, outcome: Outcome) -> Outcome {
    let mut answer = outcome?;
    if let Some(table) = table_of(call, body)
        && let Ok(found) = tables::reach(lake, &table).await
    {
        answer.reach = found.reach;
    }
    Ok(answer)
}

/// What a key stands for.
fn fingerprint(call: &Call, body: &Json, who: &Principal) -> String {
    let text = format!("{}\n{}\n{call:?}\n{body}", who.subject, who.team);
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Takes the key; `false` when it is taken.
async fn take(lake: &Lake, key: &str, request: &str, now: i64) -> Result<bool> {
    let database = lake.catalog().database();
    let sql = "DELETE FROM lake_rest_answers WHERE at < $1 OR (status = $2 AND at < $3)";
    let params = [(now - KEPT_MICROS).into(), RUNNING.into(), (now - RUNNING_MICROS).into()];
    database.execute(sql, &params).await?;
    let sql = "INSERT INTO lake_rest_answers (name, request, status, body, at) \
               VALUES ($1, $2, $3, '', $4) ON CONFLICT (name) DO NOTHING";
    let params = [key.into(), request.into(), RUNNING.into(), now.into()];
    Ok(database.execute(sql, &params).await? == 1)
}

/// What is known of a key that is taken.
enum Earlier {
    Answered(Box<Outcome>),
    Made,
    Other,
    Running,
}

async fn earlier(lake: &Lake, key: &str, request: &str) -> Result<Earlier> {
    let sql = "SELECT request, status, body FROM lake_rest_answers WHERE name = $1";
    let Some(row) = lake.catalog().database().query_one(sql, &[key.into()]).await? else {
        return Ok(Earlier::Running);
    };
    if row.text("request")? != request {
        return Ok(Earlier::Other);
    }
    let status = u16::try_from(row.int("status")?).unwrap_or(0);
    match i64::from(status) {
        RUNNING => return Ok(Earlier::Running),
        MADE => return Ok(Earlier::Made),
        _ => {}
    }
    let body: Option<Json> = serde_json::from_str(&row.text("body")?)
        .map_err(crate::failure::failed("read an earlier answer"))?;
    let outcome = if status < 400 {
        Ok(Answer { status, body, ..Answer::default() })
    } else {
        let error = body.unwrap_or_default();
        let text = |name: &str| error["error"][name].as_str().unwrap_or_default().to_owned();
        Err(Refusal { status, kind: text("type"), message: text("message") })
    };
    Ok(Earlier::Answered(Box::new(outcome)))
}

async fn keep(lake: &Lake, key: &str, outcome: &Outcome) -> Result<()> {
    let database = lake.catalog().database();
    let (status, body) = match outcome {
        Ok(answer) => (answer.status, answer.body.clone().unwrap_or(Json::Null)),
        Err(refusal) => (refusal.status, refusal.body()),
    };
    if status >= 500 {
        let sql = "DELETE FROM lake_rest_answers WHERE name = $1 AND status = $2";
        return database.execute(sql, &[key.into(), RUNNING.into()]).await.map(|_| ());
    }
    let sql = "UPDATE lake_rest_answers SET status = $1, body = $2 WHERE name = $3";
    let params = [i64::from(status).into(), body.to_string().into(), key.into()];
    database.execute(sql, &params).await.map(|_| ())
}
