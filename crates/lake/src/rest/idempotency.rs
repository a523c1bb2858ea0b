//! Calls that are made once however often they are sent.
//!
//! In: a call with the client's key. Out: the answer of its first time. The key is taken before the
//! call is made, so that a twin that runs at the same time is told to come back, and its answer is
//! kept for longer than the configuration promises. A failure of ours is not kept: the call
//! may be made again. Not here: what the call does.

use base::{Principal, Result};
use serde_json::Value as Json;

use super::{Answer, Call, Outcome, Refusal};
use crate::Lake;

/// How long an answer is kept: longer than the half hour that clients are told.
const KEPT_MICROS: i64 = 3600 * 1_000_000;
/// How long a call may run before its key counts as left by a process that died.
const RUNNING_MICROS: i64 = 120 * 1_000_000;
/// The status of a call that is being made.
const RUNNING: i64 = 0;

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
            Earlier::Answered(outcome) => return *outcome,
            Earlier::Other => {
                let text = format!("the idempotency key `{key}` was used for another request");
                return Err(Refusal::unprocessable(text));
            }
            Earlier::Running => {
                return Err(Refusal::busy("the same request is being answered; ask again"));
            }
        }
    }
    let outcome = super::answer(lake, call, body, who).await;
    keep(lake, key, &outcome).await?;
    outcome
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
    if status == 0 {
        return Ok(Earlier::Running);
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
        let sql = "DELETE FROM lake_rest_answers WHERE name = $1";
        return database.execute(sql, &[key.into()]).await.map(|_| ());
    }
    let sql = "UPDATE lake_rest_answers SET status = $1, body = $2 WHERE name = $3";
    let params = [i64::from(status).into(), body.to_string().into(), key.into()];
    database.execute(sql, &params).await.map(|_| ())
}
