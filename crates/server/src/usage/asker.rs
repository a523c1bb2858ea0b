//! Which program asks.
//!
//! In: the headers of a request, and whom its token speaks for. Out: a name and a version, of bounded length.
//! Not here: whether it may ask, what it pays.

use std::sync::Arc;

use http::HeaderMap;

/// The name under which clients are counted for which there was no room.
pub(super) const OTHERS: &str = "(others)";

/// The name of the UI of the project itself, which never falls behind the API: what it asks is nobody's use.
const UI: &str = "headwater-ui";

/// Characters of a name, and of a version.
const LONGEST: usize = 64;

/// Headers by which clients say what they are, ours first: name, version. Apollo's clients send the second
/// pair, others the third.
const HEADERS: [(&str, &str); 3] = [
    ("headwater-client", "headwater-client-version"),
    ("apollographql-client-name", "apollographql-client-version"),
    ("graphql-client-name", "graphql-client-version"),
];

/// A program, as it calls itself; else whom its token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) client: Arc<str>,
    /// Empty when it says none.
    pub(crate) version: Arc<str>,
}

impl Asker {
    /// Who sent these headers.
    pub(crate) fn of(headers: &HeaderMap, subject: &str) -> Asker {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let said = HEADERS.iter().find_map(|(name, version)| {
            let name = text(name).map(str::trim).filter(|name| !name.is_empty())?;
            Some((name, text(version).unwrap_or_default()))
        });
        match said {
            // `web/3.1` says both.
            Some((name, "")) => match name.split_once('/') {
                Some((name, version)) => Asker::named(name, version),
                None => Asker::named(name, ""),
            },
            Some((name, version)) => Asker::named(name, version),
            None => Asker::named(subject, ""),
        }
    }

    /// A client by its name.
    pub(crate) fn named(client: &str, version: &str) -> Asker {
        let cut = |text: &str| -> Arc<str> {
            let shown = text.trim().chars().filter(|c| !c.is_control());
            shown.take(LONGEST).collect::<String>().into()
        };
        Asker { client: cut(client), version: cut(version) }
    }

    /// Whether it is the project's own UI.
    pub(crate) fn is_ui(&self) -> bool {
        self.client.as_ref() == UI
    }

    /// All those for whom there was no room.
    pub(super) fn others() -> Asker {
        Asker { client: OTHERS.into(), version: "".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)], client: &str, version: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        assert_eq!(Asker::of(&map, "team-token"), Asker::named(client, version), "{headers:?}");
    }

    #[test]
    fn clients_are_called_what_they_say() {
        check(&[], "team-token", "");
        check(&[("headwater-client", "web/3.1")], "web", "3.1");
        check(&[("headwater-client", "web")], "web", "");
        check(&[("headwater-client", " ")], "team-token", "");
        let both = [("headwater-client", "web/app"), ("headwater-client-version", "2")];
        check(&both, "web/app", "2");
        let apollo = [("apollographql-client-name", "ios"), ("apollographql-client-version", "9")];
        check(&apollo, "ios", "9");
        check(&[("headwater-client", &"x".repeat(500))], &"x".repeat(LONGEST), "");
    }
}
