//! Where a source is: host and port are fixed by its settings, and a call chooses only the path below
//! and the query. In: the URL, then targets. Out: what is sent as the request's target. This is what
//! keeps a value in a query from reaching another server, or another part of this one. Not here:
//! looking the name up.

use base::{Error, Result};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// Bytes of a target; servers commonly refuse more than 8 KiB.
const LONGEST_TARGET: usize = 16 << 10;

/// A source's place.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    /// The value of `Host`.
    pub(crate) host_header: HeaderValue,
    /// The path that all targets begin with, without the last `/`.
    base: String,
}

impl Address {
    /// Reads a source's URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("the URL `{url}` of a source {what}"));
        if url.contains('#') {
            return Err(wrong("has a fragment"));
        }
        let uri: Uri = url.parse().map_err(|error| wrong("cannot be read").caused_by(error))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| wrong("does not begin with `http` or `https`"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("does not begin with `http` or `https`"));
        }
        let authority = parts.authority.ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("holds a name or a password").hint("set a header by a rule instead"));
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(wrong("has a query"));
        }
        let base = path.path().trim_end_matches('/').to_owned();
        if climbs(&base) {
            return Err(wrong("has a path with `..`"));
        }
        let host_header = HeaderValue::from_str(authority.as_str())
            .map_err(|error| wrong("has a host that cannot be sent").caused_by(error))?;
        Ok(Address { scheme, authority, host_header, base })
    }

    /// The URL without a path, for connecting.
    pub(crate) fn origin(&self) -> Uri {
        let root = PathAndQuery::from_static("/");
        self.absolute(root)
    }

    /// The whole URL of a target, as HTTP/2 sends it.
    pub(crate) fn absolute(&self, target: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        // The three parts were read by themselves, and there is no fourth.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// The target of what an answer to `current` names as the next page. Only its path and query count:
    /// host and port stay those of the source, whatever a proxy made of them.
    pub(crate) fn target_of(&self, link: &str, current: &str) -> Result<String, String> {
        let path = match link.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                rest.find(['/', '?']).map_or("/", |at| &rest[at..])
            }
            _ => link,
        };
        let path = path.split('#').next().unwrap_or_default();
        if path.starts_with('?') && path.len() == link.len() {
            let own = current.split('?').next().unwrap_or_default();
            return Ok(format!("{own}{path}"));
        }
        let below = path.strip_prefix(self.base.as_str());
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        let below = below.filter(|_| path.starts_with(['/', '?']));
        below.map(str::to_owned).ok_or_else(|| "the next page is outside of the source".to_owned())
    }

    /// A target at another path of the same host.
    pub(crate) fn elsewhere(&self, path: &str) -> Result<PathAndQuery> {
        let wrong = |what: String| {
            Error::invalid(format!("the path `{path}` of `{}` {what}", self.authority))
        };
        let climbing = climbs(path.split('?').next().unwrap_or_default());
        if !path.starts_with('/') || climbing || path.contains('#') {
            return Err(wrong("begins with `/`, and has neither `..` nor `#`".to_owned()));
        }
        PathAndQuery::try_from(path).map_err(|error| wrong(format!("cannot be sent: {error}")))
    }

    /// The request's target for a call's; an error says in words why it cannot be sent.
    pub(crate) fn target(&self, given: &str) -> Result<PathAndQuery, String> {
        if given.len() > LONGEST_TARGET {
            return Err(format!("the target is longer than {LONGEST_TARGET} bytes"));
        }
        if !given.is_empty() && !given.starts_with(['/', '?']) {
            return Err(format!("the target `{given}` begins with neither `/` nor `?`"));
        }
        if given.contains('#') {
            return Err(format!("the target `{given}` has a fragment"));
        }
        let path = given.split('?').next().unwrap_or_default();
        if climbs(path) {
            return Err(format!("the target `{given}` has `.` or `..` in its path"));
        }
        let missing = if self.base.is_empty() && path.is_empty() { "/" } else { "" };
        let whole = format!("{}{missing}{given}", self.base);
        PathAndQuery::try_from(whole).map_err(|error| format!("the target `{given}`: {error}"))
    }
}

/// Whether a path has a segment that a server could take for a step up or for none. Escaped dots and
/// slashes count, because some servers unescape first.
fn climbs(path: &str) -> bool {
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    let plain = plain.replace("%5c", "/").replace('\\', "/");
    plain.split('/').any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The target that is sent, or why none is.
    fn check(url: &str, given: &str, expected: Result<&str, &str>) {
        let address = Address::parse(url).unwrap();
        let found = address.target(given);
        let found = found.as_ref().map(PathAndQuery::as_str).map_err(String::as_str);
        assert_eq!(found, expected, "{url} {given}");
        let Ok(target) = found else { return };
        let whole = address.absolute(PathAndQuery::try_from(target.to_owned()).unwrap());
        assert_eq!(whole.authority(), Some(&address.authority), "{url} {given}");
    }

    #[test]
    fn targets_stay_below_the_path_of_the_source() {
        check("http://a:1/graphql", "", Ok("/graphql"));
        check("http://a", "", Ok("/"));
        check("http://a", "?film=1", Ok("/?film=1"));
        check("http://a/v1/", "/stars?film=../1", Ok("/v1/stars?film=../1"));
        check("http://a", "//b/stars", Ok("//b/stars"));
        check("http://a", "/@b/...", Ok("/@b/..."));
    }

    #[test]
    fn the_next_page_is_below_the_source_wherever_its_link_points() {
        let address = Address::parse("http://a/v1").unwrap();
        let check = |link: &str, expected: Option<&str>| {
            let found = address.target_of(link, "/films?page=1");
            assert_eq!(found.as_deref().ok(), expected, "{link}");
        };
        check("http://a/v1/films?page=2", Some("/films?page=2"));
        check("https://evil.example/v1/films?page=2#x", Some("/films?page=2"));
        check("/v1/films?page=2", Some("/films?page=2"));
        check("?page=2", Some("/films?page=2"));
        check("http://a/v1?page=2", Some("?page=2"));
        check("http://a/v2/films", None);
        check("http://a/v10/films", None);
        check("//evil.example/v1/films", None);
        check("films?page=2", None);
        check("javascript:alert(1)", None);
    }

    #[test]
    fn targets_that_lead_elsewhere_are_refused() {
        let climbing = |given: &str| {
            let message = format!("the target `{given}` has `.` or `..` in its path");
            check("http://a/v1", given, Err(&message));
        };
        for given in
            ["/../admin", "/%2e%2E/admin", "/x/..%2fadmin", "/..\\admin", "/..%5cx", "/./x"]
        {
            climbing(given);
        }
        let plain = "the target `.evil/` begins with neither `/` nor `?`";
        check("http://a", ".evil/", Err(plain));
        check("http://a", "/x#y", Err("the target `/x#y` has a fragment"));
        check("http://a", "/x y", Err("the target `/x y`: invalid uri character"));
        check("http://a", "/x\r\ny: z", Err("the target `/x\r\ny: z`: invalid uri character"));
    }

    #[test]
    fn urls_that_are_no_source_are_refused() {
        let refused = |url: &str, expected: &str| {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error.message(), format!("the URL `{url}` of a source {expected}"));
        };
        refused("file:///etc/passwd", "cannot be read");
        refused("ftp://a/", "does not begin with `http` or `https`");
        refused("a:80", "does not begin with `http` or `https`");
        refused("http://u:p@a/", "holds a name or a password");
        refused("http://a/?x=1", "has a query");
        refused("http://a/b/../c", "has a path with `..`");
    }
}
