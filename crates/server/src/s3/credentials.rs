//! Credentials for the S3 subset: short-lived, for the folders of one table or namespace, derived and
//! never listed.
//!
//! In: who may do what below which folders, until when. Out: an access key, its secret and a session
//! token, and the way back. The secret is an HMAC of the access key's name and the token carries the
//! claims under an HMAC of their own, both under one key of the project, so that every node checks
//! them without keeping anything. Not here: the signature of a request, which `s3s` checks.

use base::principal::{Audiences, EVERYTHING};
use base::rng::Rng;
use base::{Error, Kind, Principal, Result, Scope, Team, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use lake::rest::Reach;
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::project::Project;
use crate::tokens::is_equal;

/// How long credentials are good for.
pub(crate) const LIFETIME_MICROS: i64 = 3600 * 1_000_000;
/// How long one signed request is good for.
const ONE_MICROS: i64 = 300 * 1_000_000;
/// What our access keys begin with.
const MARK: &str = "HWAK";
/// Random bytes in the name of an access key.
const NAME_BYTES: usize = 12;

/// What credentials let their holder do below their folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Read and list.
    Read,
    /// Also write objects that were not there before, and remove those that are younger than the
    /// credentials: what a tool needs whose commit is checked.
    Add,
    /// Also replace and remove anything.
    All,
}

impl May {
    fn as_str(self) -> &'static str {
        match self {
            May::Read => "read",
            May::Add => "add",
            May::All => "all",
        }
    }

    fn parse(text: &str) -> Option<May> {
        [May::Read, May::Add, May::All].into_iter().find(|may| may.as_str() == text)
    }
}

/// What a session token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The access key that the token belongs to.
    pub(crate) access_key: String,
    /// Who asked for the credentials.
    pub(crate) subject: String,
    /// The team of whoever asked.
    pub(crate) team: String,
    /// What of protected data whoever asked may see; credentials of before there were policies say nothing.
    pub(crate) audiences: Audiences,
    /// Folders of the warehouse, without a slash at the end.
    pub(crate) folders: Vec<String>,
    /// What is allowed there.
    pub(crate) may: May,
    /// When they were made.
    pub(crate) issued: Timestamp,
    /// When they end.
    pub(crate) expires: Timestamp,
}

/// Credentials as a client sets them.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// Name of the key.
    pub(crate) access_key: String,
    /// Its secret.
    pub(crate) secret_key: String,
    /// The claims, authenticated.
    pub(crate) session_token: String,
    /// When they end.
    pub(crate) expires: Timestamp,
}

/// Credentials of this caller for a table's files; where it writes, they may remove there what was written since they
/// were issued.
pub(crate) fn lend(
    project: &Project,
    who: &Principal,
    reach: &Reach,
    writes: bool,
    issued: Timestamp,
) -> Result<Credentials> {
    project.live().deployed.schema.require_all(who, "credentials for files")?;
    let locations = project.lake.locations();
    let folders = reach.locations.iter().map(|location| Ok(locations.path(location)?.to_string()));
    let folders = folders.collect::<Result<_>>()?;
    let may = match (writes, reach.owned) {
        (false, _) => May::Read,
        (true, true) => May::Add,
        (true, false) => May::All,
    };
    Ok(project.keys.issue(issued, &project.rng, who, folders, may))
}

/// When the credentials are issued that sign one request: when those of a client would have been that
/// holds its own, so that the request may remove what its client wrote since then.
pub(crate) fn issued_for_one(now: Timestamp) -> Timestamp {
    Timestamp::from_micros(now.as_micros().saturating_sub(LIFETIME_MICROS - ONE_MICROS))
}

/// Makes and checks credentials under one key of the project.
#[derive(Clone)]
pub(crate) struct Keys {
    key: [u8; 32],
}

impl Keys {
    /// Under this key.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Keys { key }
    }

    /// New credentials of this caller, as if made at `issued`.
    fn issue(
        &self,
        issued: Timestamp,
        rng: &Rng,
        who: &Principal,
        folders: Vec<String>,
        may: May,
    ) -> Credentials {
        let mut name = [0; NAME_BYTES];
        rng.fill(&mut name);
        let claims = Claims {
            access_key: format!("{MARK}{}", hex(&name).to_uppercase()),
            subject: who.subject.to_string(),
            team: who.team.to_string(),
            audiences: match who.sees_everything() {
                true => Audiences::new([EVERYTHING]),
                false => who.audiences.clone(),
            },
            folders,
            may,
            issued,
            expires: Timestamp::from_micros(issued.as_micros().saturating_add(LIFETIME_MICROS)),
        };
        Credentials {
            secret_key: self.secret(&claims.access_key),
            session_token: self.token(&claims),
            expires: claims.expires,
            access_key: claims.access_key,
        }
    }

    /// The secret of an access key; any name has one, but only ours come with a token.
    pub(crate) fn secret(&self, access_key: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac("s3-secret", access_key.as_bytes()))
    }

    /// The claims behind a session token, when it is ours, belongs to the access key and has not
    /// ended.
    pub(crate) fn claims(&self, access_key: &str, token: &str, now: Timestamp) -> Result<Claims> {
        let claims = self.told(token)?;
        if claims.access_key != access_key {
            let text = "the session token belongs to another access key";
            return Err(Error::new(Kind::Unauthenticated, text));
        }
        if claims.expires <= now {
            return Err(Error::new(Kind::Unauthenticated, "the credentials have expired")
                .hint("load the table again, or ask the catalog for credentials"));
        }
        Ok(claims)
    }

    /// What a session token of ours says; that it has not ended is for the caller to ask.
    fn told(&self, token: &str) -> Result<Claims> {
        let refused = |text: &str| Error::new(Kind::Unauthenticated, text.to_owned());
        let strange = || refused("the session token is not one of this project");
        let (payload, mac) = token.split_once('.').ok_or_else(strange)?;
        let expected = URL_SAFE_NO_PAD.encode(self.mac("s3-session", payload.as_bytes()));
        if !is_equal(mac.as_bytes(), expected.as_bytes()) {
            return Err(strange());
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| strange())?;
        read(&payload).ok_or_else(strange)
    }

    /// The claims behind a session token, for the caller that it was made for alone.
    pub(crate) fn claims_of(&self, who: &Principal, token: &str, now: Timestamp) -> Result<Claims> {
        let claims = self.told(token)?;
        if (claims.subject.as_str(), claims.team.as_str()) != (&*who.subject, who.team.as_str()) {
            let text = "the session token belongs to another caller";
            return Err(Error::new(Kind::Denied, text));
        }
        self.claims(&claims.access_key, token, now)
    }

    /// A value that only this project can make for these bytes; `purpose` keeps uses apart.
    pub(crate) fn mac(&self, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        let mut mac = hmac(&self.key);
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        mac.finalize().into_bytes().to_vec()
    }

    fn token(&self, claims: &Claims) -> String {
        let payload = URL_SAFE_NO_PAD.encode(written(claims).to_string());
        let mac = URL_SAFE_NO_PAD.encode(self.mac("s3-session", payload.as_bytes()));
        format!("{payload}.{mac}")
    }
}

impl Claims {
    /// Whom the credentials speak for, as far as policies ask.
    pub(crate) fn principal(&self) -> Principal {
        Principal {
            subject: self.subject.as_str().into(),
            team: Team::new(self.team.as_str()),
            scope: Scope::Read,
            audiences: self.audiences.clone(),
        }
    }

    /// Whether an object, or everything below a prefix, is in one of the folders.
    pub(crate) fn covers(&self, key: &str) -> bool {
        self.folders.iter().any(|folder| {
            folder.is_empty()
                || key.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// An HMAC under a key of any length.
pub(super) fn hmac(key: &[u8]) -> Hmac<Sha256> {
    // HMAC hashes keys that are longer than a block, so that no length is refused.
    Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

/// Bytes in lowercase hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn written(claims: &Claims) -> Json {
    json!({
        "v": 1,
        "key": claims.access_key,
        "sub": claims.subject,
        "team": claims.team,
        "aud": claims.audiences.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        "in": claims.folders,
        "may": claims.may.as_str(),
        "iat": claims.issued.as_micros(),
        "exp": claims.expires.as_micros(),
    })
}

fn read(payload: &[u8]) -> Option<Claims> {
    let json: Json = serde_json::from_slice(payload).ok()?;
    let text = |name: &str| json.get(name)?.as_str().map(ToOwned::to_owned);
    let time = |name: &str| Some(Timestamp::from_micros(json.get(name)?.as_i64()?));
    if json.get("v")?.as_i64()? != 1 {
        return None;
    }
    let folders = json.get("in")?.as_array()?.iter();
    let audiences = json.get("aud").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    Some(Claims {
        access_key: text("key")?,
        subject: text("sub")?,
        team: text("team")?,
        audiences: Audiences::new(audiences.iter().filter_map(Json::as_str)),
        folders: folders
            .map(|folder| folder.as_str().map(ToOwned::to_owned))
            .collect::<Option<_>>()?,
        may: May::parse(&text("may")?)?,
        issued: time("iat")?,
        expires: time("exp")?,
    })
}

#[cfg(test)]
mod tests {
    use base::Clock;

    use super::*;

    fn issued(keys: &Keys) -> Credentials {
        let folders = vec!["catalog/films-1".to_owned()];
        let who = Principal::local();
        keys.issue(Clock::system().now(), &Rng::seeded(7), &who, folders, May::Add)
    }

    #[test]
    fn claims_come_back_and_cover_their_folder_alone() {
        let keys = Keys::new([1; 32]);
        let made = issued(&keys);
        let now = Clock::system().now();
        let claims = keys.claims(&made.access_key, &made.session_token, now).expect("ours");
        assert_eq!((claims.may, claims.team.as_str()), (May::Add, "local"));
        assert!(claims.covers("catalog/films-1/data/a.parquet"));
        assert!(!claims.covers("catalog/films-10/data/a.parquet"));
        assert!(!claims.covers("catalog/films-1"));
    }

    #[test]
    fn a_session_token_speaks_for_its_caller_alone() {
        let keys = Keys::new([1; 32]);
        let made = issued(&keys);
        let now = Clock::system().now();
        let of = |who: &Principal, now| keys.claims_of(who, &made.session_token, now);
        assert_eq!(of(&Principal::local(), now).expect("ours").folders, ["catalog/films-1"]);
        let other = Principal { team: Team::new("others"), ..Principal::local() };
        let refused = of(&other, now).expect_err("refused");
        assert_eq!(refused.to_string(), "the session token belongs to another caller");
        let late = of(&Principal::local(), made.expires).expect_err("refused");
        assert_eq!(late.to_string(), "the credentials have expired");
    }

    #[test]
    fn strange_changed_borrowed_and_expired_tokens_are_refused() {
        let keys = Keys::new([1; 32]);
        let made = issued(&keys);
        let now = Clock::system().now();
        let refused = |keys: &Keys, key: &str, token: &str, now| {
            keys.claims(key, token, now).expect_err("refused").to_string()
        };
        let strange = "the session token is not one of this project";
        let other = Keys::new([2; 32]);
        assert_eq!(refused(&other, &made.access_key, &made.session_token, now), strange);
        let changed = made.session_token.replacen('e', "f", 1);
        assert_eq!(refused(&keys, &made.access_key, &changed, now), strange);
        assert_eq!(
            refused(&keys, "HWAK00", &made.session_token, now),
            "the session token belongs to another access key"
        );
        assert_eq!(
            refused(&keys, &made.access_key, &made.session_token, made.expires),
            "the credentials have expired"
        );
    }
}
