//! Access tokens: made, checked, listed and revoked. Only a hash is stored.
//!
//! A token reads `hw_<id>_<secret>`; the secret has 256 random bits, so that a plain SHA-256 is as
//! good a hash as a slow one, and checking costs microseconds on every request.

use base::ids::TokenId;
use base::principal::Audiences;
use base::rng::Rng;
use base::{Clock, Error, Kind, Principal, Result, Scope, Team, Timestamp, size};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meta::{Database, Row};
use sha2::{Digest, Sha256};

use crate::s3::credentials::{Keys, LIFETIME_MICROS};
use crate::wire::{TokenCreateRequest, TokenInfo};

/// Tables of tokens.
pub(crate) const MIGRATION: &str = "CREATE TABLE server_tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    subject TEXT NOT NULL,
    team TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
)";

/// What came later: audiences with spaces between them.
pub(crate) const AUDIENCES: &[&str] =
    &["ALTER TABLE server_tokens ADD COLUMN audiences TEXT NOT NULL DEFAULT ''"];

const COLUMNS: &str =
    "id, hash, subject, team, scope, created_at, expires_at, revoked_at, audiences";

/// Makes a token; the answer is the only place where its secret ever stands.
pub async fn create(
    database: &Database,
    clock: &Clock,
    rng: &Rng,
    request: &TokenCreateRequest,
) -> Result<TokenInfo> {
    let scope = parse_scope(&request.scope)?;
    if request.subject.trim().is_empty() || request.team.trim().is_empty() {
        return Err(Error::invalid("a token needs a subject and a team"));
    }
    let audiences = audiences(&request.audiences)?;
    let now = clock.now();
    let expires_at = match &request.expires_in {
        Some(text) => Some(expiry(now, text)?),
        None => None,
    };
    let id = TokenId::generate(rng).as_uuid().simple().to_string();
    let mut secret = [0; 32];
    rng.fill(&mut secret);
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let sql = format!(
        "INSERT INTO server_tokens ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8)"
    );
    let params = [
        id.clone().into(),
        hash(&secret).into(),
        request.subject.clone().into(),
        request.team.clone().into(),
        scope.as_str().into(),
        now.as_micros().into(),
        expires_at.map(Timestamp::as_micros).into(),
        written(&audiences).into(),
    ];
    database.execute(&sql, &params).await?;
    Ok(TokenInfo {
        secret: Some(format!("hw_{id}_{secret}")),
        id,
        subject: request.subject.clone(),
        team: request.team.clone(),
        scope: scope.as_str().to_owned(),
        audiences: audiences.iter().map(ToString::to_string).collect(),
        created_at: now.to_string(),
        expires_at: expires_at.map(|at| at.to_string()),
        revoked_at: None,
    })
}

/// The audiences that a request names.
fn audiences(names: &[String]) -> Result<Audiences> {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(wrong) => Err(Error::invalid(format!("`{wrong}` is no name for an audience"))
            .hint("use letters, digits, `-` and `_`, as the policies of the schema do")),
        None => Ok(Audiences::new(names.iter().map(String::as_str))),
    }
}

fn written(audiences: &Audiences) -> String {
    audiences.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
}

fn audiences_of(row: &Row) -> Result<Audiences> {
    Ok(Audiences::new(row.text("audiences")?.split_whitespace()))
}

fn expiry(now: Timestamp, text: &str) -> Result<Timestamp> {
    let duration = size::parse_duration(text).ok_or_else(|| {
        Error::invalid(format!("`{text}` is no duration")).hint("write `12h` or `30d`")
    })?;
    let micros = i64::try_from(duration.as_micros())
        .ok()
        .and_then(|micros| now.as_micros().checked_add(micros))
        .ok_or_else(|| Error::invalid(format!("`{text}` is too long")))?;
    Ok(Timestamp::from_micros(micros))
}

fn parse_scope(text: &str) -> Result<Scope> {
    Scope::parse(text).ok_or_else(|| {
        Error::invalid(format!("there is no scope `{text}`"))
            .hint("scopes are `read`, `write` and `admin`")
    })
}

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

/// Who a token speaks for. Every failure looks the same from outside, so that nobody learns which
/// ids exist.
pub async fn authenticate(database: &Database, clock: &Clock, token: &str) -> Result<Principal> {
    let refused = || {
        Error::new(Kind::Unauthenticated, "the token is not valid")
            .hint("`headwater token create` makes one; tokens expire and can be revoked")
    };
    let (id, secret) =
        token.strip_prefix("hw_").and_then(|rest| rest.split_once('_')).ok_or_else(refused)?;
    let sql = format!("SELECT {COLUMNS} FROM server_tokens WHERE id = $1");
    let row = database.query_one(&sql, &[id.into()]).await?.ok_or_else(refused)?;
    let now = clock.now().as_micros();
    let is_over = row.opt_int("revoked_at")?.is_some()
        || row.opt_int("expires_at")?.is_some_and(|expires| expires <= now);
    if !is_equal(row.text("hash")?.as_bytes(), hash(secret).as_bytes()) || is_over {
        return Err(refused());
    }
    Ok(Principal {
        subject: row.text("subject")?.into(),
        team: Team::new(row.text("team")?),
        scope: parse_scope(&row.text("scope")?)?,
        audiences: audiences_of(&row)?,
    })
}

/// A token that stands for another one for a while.
#[derive(Clone, Debug)]
pub(crate) struct Exchanged {
    /// The token.
    pub(crate) token: String,
    /// How long it is good for.
    pub(crate) seconds: i64,
    /// What it allows.
    pub(crate) scope: Scope,
}

/// What exchanged tokens begin with.
const EXCHANGED: &str = "hwx_";

/// Whether a token is one that [`exchange`] made.
pub(crate) fn is_exchanged(token: &str) -> bool {
    token.starts_with(EXCHANGED)
}

/// Makes a token that stands for `secret` (itself a token, or one that was exchanged) for an hour,
/// with a narrower scope when one is named. Nothing is stored: it names the first token, whose
/// revocation ends both.
pub(crate) async fn exchange(
    database: &Database,
    clock: &Clock,
    keys: &Keys,
    secret: &str,
    narrowed: Option<Scope>,
) -> Result<Exchanged> {
    let who = if is_exchanged(secret) {
        authenticate_exchanged(database, clock, keys, secret).await?
    } else {
        authenticate(database, clock, secret).await?
    };
    let id = secret.split('_').nth(1).unwrap_or_default();
    let scope = narrowed.map_or(who.scope, |scope| scope.min(who.scope));
    let expires = clock.now().as_micros().saturating_add(LIFETIME_MICROS) / 1_000_000;
    let claims = format!("{EXCHANGED}{id}_{}_{expires}", scope.as_str());
    let mac = URL_SAFE_NO_PAD.encode(keys.mac("token", claims.as_bytes()));
    Ok(Exchanged { token: format!("{claims}_{mac}"), seconds: LIFETIME_MICROS / 1_000_000, scope })
}

/// Who an exchanged token speaks for: whoever the first token spoke for, while that one is good.
pub(crate) async fn authenticate_exchanged(
    database: &Database,
    clock: &Clock,
    keys: &Keys,
    token: &str,
) -> Result<Principal> {
    let refused = || {
        Error::new(Kind::Unauthenticated, "the token is not valid")
            .hint("exchange the token of Headwater again; exchanged tokens end after an hour")
    };
    let parts: Vec<&str> = token.splitn(5, '_').collect();
    let [_, id, scope, expires, mac] = parts.as_slice() else { return Err(refused()) };
    let claims = format!("{EXCHANGED}{id}_{scope}_{expires}");
    let expected = URL_SAFE_NO_PAD.encode(keys.mac("token", claims.as_bytes()));
    let now = clock.now().as_micros();
    let ends = expires.parse::<i64>().unwrap_or(0).saturating_mul(1_000_000);
    if !is_equal(mac.as_bytes(), expected.as_bytes()) || ends <= now {
        return Err(refused());
    }
    let sql = format!("SELECT {COLUMNS} FROM server_tokens WHERE id = $1");
    let row = database.query_one(&sql, &[(*id).into()]).await?.ok_or_else(refused)?;
    if row.opt_int("revoked_at")?.is_some()
        || row.opt_int("expires_at")?.is_some_and(|expires| expires <= now)
    {
        return Err(refused());
    }
    Ok(Principal {
        subject: row.text("subject")?.into(),
        team: Team::new(row.text("team")?),
        scope: parse_scope(scope)?.min(parse_scope(&row.text("scope")?)?),
        audiences: audiences_of(&row)?,
    })
}

/// Compares in a time that depends on the length only.
pub(crate) fn is_equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (l, r)| difference | (l ^ r)) == 0
}

/// All tokens, newest first, without secrets.
pub async fn list(database: &Database) -> Result<Vec<TokenInfo>> {
    let sql = format!("SELECT {COLUMNS} FROM server_tokens ORDER BY created_at DESC, id");
    database.query(&sql, &[]).await?.iter().map(info).collect()
}

/// Whether any token exists: a server that demands tokens and has none lets nobody in.
pub async fn any(database: &Database) -> Result<bool> {
    Ok(database.query_one("SELECT id FROM server_tokens LIMIT 1", &[]).await?.is_some())
}

/// Makes a token worthless at once.
pub async fn revoke(database: &Database, clock: &Clock, id: &str) -> Result<TokenInfo> {
    let sql = "UPDATE server_tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
    database.execute(sql, &[clock.now().as_micros().into(), id.into()]).await?;
    let sql = format!("SELECT {COLUMNS} FROM server_tokens WHERE id = $1");
    let row = database.query_one(&sql, &[id.into()]).await?.ok_or_else(|| {
        Error::not_found(format!("there is no token `{id}`"))
            .hint("`headwater token list` lists them")
    })?;
    info(&row)
}

fn info(row: &Row) -> Result<TokenInfo> {
    let time = |micros: Option<i64>| micros.map(|at| Timestamp::from_micros(at).to_string());
    Ok(TokenInfo {
        id: row.text("id")?,
        subject: row.text("subject")?,
        team: row.text("team")?,
        scope: row.text("scope")?,
        audiences: audiences_of(row)?.iter().map(ToString::to_string).collect(),
        created_at: Timestamp::from_micros(row.int("created_at")?).to_string(),
        expires_at: time(row.opt_int("expires_at")?),
        revoked_at: time(row.opt_int("revoked_at")?),
        secret: None,
    })
}
