//! `@source`: where a service is reached and how patiently. In comes a use of the directive, out
//! comes a [`SourceSpec`] whose values are within their bounds, or everything that is wrong with
//! it. Not here: which file may hold one, and what else stands in that file (`service`).

use std::ops::RangeInclusive;
use std::time::Duration;

use apollo_compiler::parser::SourceSpan;
use base::size::parse_duration;
use url::Url;

use crate::diagnostic::Code;
use crate::fetch::OnError;
use crate::graph::{SourceKind, TABLES};
use crate::load::Sources;
use crate::model::{BreakerSpec, EventProtocol, EventSpec, SourceSpec};
use crate::protobuf::{self, Descriptors};

use super::directives::{Applied, Text};
use super::report::Report;

/// The longest name and the longest address, in bytes.
const MAX_NAME: usize = 63;
const MAX_URL: usize = 2048;

const MAX_RETRY: u32 = 5;
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(300);
pub(super) const TTL: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(86_400);
const PERCENT: RangeInclusive<u32> = 1..=100;
const CALLS: RangeInclusive<u32> = 1..=10_000;
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// Reads a source; `sources` hold what it says of its messages.
pub(super) fn source(
    applied: Applied<'_>,
    sources: &Sources,
    report: &mut Report<'_>,
) -> Option<SourceSpec> {
    let name = applied.text("name").filter(|name| name_is_right(*name, report));
    let kind = kind(applied);
    let url = applied.text("url").filter(|url| url_is_right(*url, kind, report));
    let write = write(applied, kind, report);
    let timeout = time(applied, "timeout", &TIMEOUT, report);
    let ttl = time(applied, "ttl", &TTL, report);
    let retry = retry(applied, report);
    let breaker = breaker(applied, report);
    let on_error = on_error(applied, ttl.flatten().is_some(), report);
    if kind == SourceKind::GraphQl && on_error == Some(Some(OnError::Propagate)) {
        let words = "a service that speaks GraphQL says itself what is null with a field";
        let at = applied.at_argument("onError");
        report.at(Code::Source, at, words).hint("write `onError: NULL` or `onError: STALE`");
    }
    let descriptors = descriptors(applied, kind, sources, report);
    let events = events(applied, kind, report);
    let is_of_calls = matches!(kind, SourceKind::Rest | SourceKind::Grpc);
    let url = url.filter(|url| !is_of_calls || has_no_query(*url, report));
    Some(SourceSpec {
        name: name?.value.into(),
        kind,
        url: url?.value.into(),
        timeout: timeout?.unwrap_or(SourceSpec::TIMEOUT),
        retry: retry?,
        breaker: breaker?,
        ttl: ttl?,
        write: write?,
        on_error: on_error?,
        descriptors: descriptors?,
        events: events?,
    })
}

fn kind(applied: Applied<'_>) -> SourceKind {
    match applied.choice("kind") {
        Some("REST") => SourceKind::Rest,
        Some("GRPC") => SourceKind::Grpc,
        Some("POSTGRES") => SourceKind::Postgres,
        _ => SourceKind::GraphQl,
    }
}

/// `None` when it is wrong, which has been said; `Some(None)` when it is not given.
pub(super) fn on_error(
    applied: Applied<'_>,
    is_kept: bool,
    report: &mut Report<'_>,
) -> Option<Option<OnError>> {
    let on_error = match applied.choice("onError") {
        Some("NULL") => OnError::Null,
        Some("PROPAGATE") => OnError::Propagate,
        Some("STALE") => OnError::Stale,
        _ => return Some(None),
    };
    if on_error == OnError::Stale && !is_kept {
        report
            .at(Code::Source, applied.at_argument("onError"), "no earlier answers are kept here")
            .hint("give a `ttl`, too: `ttl: \"30s\", onError: STALE`");
        return None;
    }
    Some(Some(on_error))
}

/// Calls have paths and queries of their own.
fn has_no_query(url: Text<'_>, report: &mut Report<'_>) -> bool {
    let fine = !url.value.contains('?');
    if !fine {
        report.at(Code::Source, url.at, "the address of a source of calls has no query").hint(
            "write parameters into `@fetch(get: \"/films?key=…\")`, secrets into `headwater.toml`",
        );
    }
    fine
}

fn name_is_right(name: Text<'_>, report: &mut Report<'_>) -> bool {
    let text = name.value;
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with("__")
        && text.len() <= MAX_NAME;
    if !plain {
        report
            .at(Code::BadName, name.at, format!("`{text}` is no name for a source"))
            .hint("use letters, digits and `_`, as in GraphQL, at most 63 of them");
        return false;
    }
    if text.eq_ignore_ascii_case(TABLES) || text == "_" {
        report
            .at(Code::ReservedName, name.at, format!("a source cannot be named `{text}`"))
            .hint("the tables of the project are the source `lake`: give it another name");
        return false;
    }
    true
}

/// What only one kind of source takes. `None` when it is wrong, which has been said.
fn write(applied: Applied<'_>, kind: SourceKind, report: &mut Report<'_>) -> Option<bool> {
    let mut right = true;
    let only = |argument: &str, is_of: bool, hint: &'static str, report: &mut Report<'_>| {
        if !is_of && applied.at_argument(argument) != applied.at() {
            let words = format!("a source of kind {} has no `{argument}`", kind.as_str());
            report.at(Code::Source, applied.at_argument(argument), words).hint(hint);
            return false;
        }
        true
    };
    let is_database = kind == SourceKind::Postgres;
    right &= only("write", is_database, "a service says itself what may be changed", report);
    for argument in ["ttl", "retry", "onError"] {
        let hint = "a database is asked once for each answer: take it out";
        right &= only(argument, !is_database, hint, report);
    }
    right.then(|| applied.boolean("write").unwrap_or(false))
}

/// What a service of gRPC says of itself. `None` when it is wrong, which has been said.
fn descriptors(
    applied: Applied<'_>,
    kind: SourceKind,
    sources: &Sources,
    report: &mut Report<'_>,
) -> Option<Option<Descriptors>> {
    let Some(text) = applied.text("descriptors") else { return Some(None) };
    if kind != SourceKind::Grpc {
        let words = format!("a source of kind {} has no `descriptors`", kind.as_str());
        report
            .at(Code::Source, text.at, words)
            .hint("they describe the messages of gRPC: take it out, or write `kind: GRPC`");
        return None;
    }
    match protobuf::read(text.value, sources) {
        Ok(descriptors) => Some(Some(descriptors)),
        Err(fault) => {
            report.at(Code::Source, text.at, fault.words).hint(fault.hint);
            None
        }
    }
}

/// How a service that speaks GraphQL tells of events. `None` when it is wrong, which has been said.
fn events(applied: Applied<'_>, kind: SourceKind, report: &mut Report<'_>) -> Option<EventSpec> {
    let given =
        ["events", "eventsPath"].into_iter().find(|it| applied.at_argument(it) != applied.at());
    if let Some(argument) = given
        && kind != SourceKind::GraphQl
    {
        let words = format!("a source of kind {} has no `{argument}`", kind.as_str());
        report
            .at(Code::Source, applied.at_argument(argument), words)
            .hint("it says how a service of kind GRAPHQL tells of events: take it out");
        return None;
    }
    let protocol = match applied.choice("events") {
        Some("WEBSOCKET") => EventProtocol::WebSocket,
        _ => EventProtocol::Sse,
    };
    let Some(path) = applied.text("eventsPath") else {
        return Some(EventSpec { protocol, path: None });
    };
    let whole = format!("http://host{}", path.value);
    let fault = match path.value.starts_with('/') {
        true => fault_of_url(&whole).map(|(words, _)| words.replace("the address", "the path")),
        false => Some("the path for events begins with `/`".to_owned()),
    };
    if let Some(words) = fault {
        report
            .at(Code::Source, path.at, words)
            .hint("write a path of the same host: `eventsPath: \"/graphql/ws\"`");
        return None;
    }
    Some(EventSpec { protocol, path: Some(path.value.into()) })
}

fn url_is_right(url: Text<'_>, kind: SourceKind, report: &mut Report<'_>) -> bool {
    let fault = match kind {
        SourceKind::Postgres => fault_of_database(url.value),
        _ => fault_of_url(url.value),
    };
    let fault = match fault {
        None => return true,
        Some(fault) => fault,
    };
    report.at(Code::Source, url.at, fault.0).hint(fault.1);
    false
}

/// What is wrong with an address, and what to write instead.
fn fault_of_url(text: &str) -> Option<(String, &'static str)> {
    const EXAMPLE: &str = "write it in full: \"http://127.0.0.1:4001/graphql\"";
    let fault = |words: &str, hint| Some((words.to_owned(), hint));
    if text.len() > MAX_URL {
        return fault("the address of a source has at most 2048 characters", EXAMPLE);
    }
    // A parser of addresses for browsers mends what it can; what is written here is used as it is.
    if text.chars().any(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c)) {
        return fault(
            "the address of a source has characters that no address holds",
            "write a host in its ASCII form, and other characters as `%20`",
        );
    }
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"))
    else {
        return fault("the address of a source begins with `http://` or `https://`", EXAMPLE);
    };
    let Ok(parsed) = Url::parse(text) else {
        return fault("the address of a source cannot be read", EXAMPLE);
    };
    if rest.starts_with('/') || parsed.host_str().is_none_or(str::is_empty) {
        return fault("the address of a source names no host", EXAMPLE);
    }
    if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        return fault(
            "the address of a source holds no user and no password",
            "the schema is read by many: put secrets into `headwater.toml`",
        );
    }
    if parsed.fragment().is_some() {
        return fault("the address of a source ends before `#`", "leave `#` and what follows out");
    }
    None
}

/// Likewise, of a database.
fn fault_of_database(text: &str) -> Option<(String, &'static str)> {
    const EXAMPLE: &str = "write it in full: \"postgres://127.0.0.1:5432/shop\"";
    let fault = |words: &str, hint| Some((words.to_owned(), hint));
    let scheme = ["postgres://", "postgresql://"].iter().find(|scheme| text.starts_with(*scheme));
    let Some(scheme) = scheme else {
        return fault("the address of a database begins with `postgres://`", EXAMPLE);
    };
    // All else is as of any address.
    let rest = &text[scheme.len()..];
    if let Some((words, hint)) = fault_of_url(&format!("http://{rest}")) {
        let hint = if hint.contains("in full") { EXAMPLE } else { hint };
        return Some((words, hint));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = place.split_once('/').map_or("", |(_, database)| database);
    if database.is_empty() || database.contains('/') {
        return fault("the address of a database ends with the name of the database", EXAMPLE);
    }
    let modes = ["", "sslmode=disable", "sslmode=require", "sslmode=verify-full"];
    if !modes.contains(&query) {
        return fault(
            "of a database's address only `sslmode` is known after `?`",
            "write `?sslmode=verify-full`, `require` or `disable`; all else is in `headwater.toml`",
        );
    }
    None
}

/// `None` when it is wrong, which has been said; `Some(None)` when it is not given.
pub(super) fn time(
    applied: Applied<'_>,
    argument: &str,
    bounds: &RangeInclusive<Duration>,
    report: &mut Report<'_>,
) -> Option<Option<Duration>> {
    let Some(text) = applied.text(argument) else { return Some(None) };
    if let Some(time) = parse_duration(text.value).filter(|time| bounds.contains(time)) {
        return Some(Some(time));
    }
    let (least, most) = (time_text(*bounds.start()), time_text(*bounds.end()));
    let words = format!("`{argument}` is a time between {least} and {most}");
    report.at(Code::Source, text.at, words).hint("write `200ms`, `2s` or `1m`");
    None
}

fn retry(applied: Applied<'_>, report: &mut Report<'_>) -> Option<u32> {
    let Some(count) = applied.int("retry") else { return Some(0) };
    let count = u32::try_from(count).ok().filter(|count| *count <= MAX_RETRY);
    if count.is_none() {
        report
            .at(Code::Source, applied.at_argument("retry"), "`retry` is between 0 and 5")
            .hint("a service that is down is not helped by more calls");
    }
    count
}

/// `None` when it is wrong, which has been said; `Some(None)` when there is to be none.
fn breaker(applied: Applied<'_>, report: &mut Report<'_>) -> Option<Option<BreakerSpec>> {
    let Some(text) = applied.text("breaker") else { return Some(Some(SourceSpec::BREAKER)) };
    if text.value.trim() == "off" {
        return Some(None);
    }
    match parse_breaker(text.value) {
        Ok(breaker) => Some(Some(breaker)),
        Err(words) => {
            breaker_fault(words, text.at, report);
            None
        }
    }
}

fn breaker_fault(words: String, at: Option<SourceSpan>, report: &mut Report<'_>) {
    report.at(Code::Source, at, words).hint(
        "write `50% of 20 in 10s`: open when half of at least 20 calls in 10 s failed; or `off`",
    );
}

/// `50% of 20 in 10s`.
fn parse_breaker(text: &str) -> Result<BreakerSpec, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [percent, "of", calls, "in", window] = words.as_slice() else {
        return Err("a breaker is a share of failures, a number of calls and a time".to_owned());
    };
    let number = |text: &str, bounds: &RangeInclusive<u32>| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && bounds.contains(number))
    };
    let percent = percent.strip_suffix('%').and_then(|percent| number(percent, &PERCENT));
    let window = parse_duration(window).filter(|window| WINDOW.contains(window));
    Ok(BreakerSpec {
        percent: percent.ok_or("the share of failures is between `1%` and `100%`")?,
        calls: number(calls, &CALLS).ok_or("the number of calls is between 1 and 10000")?,
        window: window.ok_or("the time of a breaker is between 1s and 10m")?,
    })
}

/// A time as the language writes it.
pub(crate) fn time_text(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        _ if millis == 0 || !millis.is_multiple_of(1000) => format!("{millis}ms"),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ => format!("{}s", millis / 1000),
    }
}

/// A breaker as the language writes it.
pub(crate) fn breaker_text(breaker: Option<BreakerSpec>) -> String {
    breaker.map_or_else(
        || "off".to_owned(),
        |BreakerSpec { percent, calls, window }| {
            format!("{percent}% of {calls} in {}", time_text(window))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_whole_and_hold_no_secrets() {
        let fine = [
            "http://127.0.0.1:4001/graphql",
            "https://shop.example/graphql?tenant=a@b",
            "HTTP://[::1]:80",
            "https://shop.example",
        ];
        for text in fine {
            assert_eq!(fault_of_url(text), None, "{text}");
        }
        let faults = [
            ("", "begins with"),
            ("shop.example/graphql", "begins with"),
            ("ftp://shop.example", "begins with"),
            ("http:shop.example", "begins with"),
            ("http://", "cannot be read"),
            ("http:///graphql", "names no host"),
            ("http://shop.example:99999/", "cannot be read"),
            ("http://user@shop.example/", "no user"),
            ("https://user:pass@shop.example/", "no user"),
            ("https://@shop.example/", "no user"),
            ("http://shop example/", "no address holds"),
            (" http://shop.example/", "no address holds"),
            ("http://käse.example/", "no address holds"),
            ("http://shop.example/{id}", "no address holds"),
            ("http://shop.example/#x", "before `#`"),
        ];
        for (text, words) in faults {
            let (found, hint) = fault_of_url(text).unwrap();
            assert!(found.contains(words) && !hint.is_empty(), "{text}: {found}");
        }
        assert!(fault_of_url(&format!("http://a/{}", "a".repeat(MAX_URL))).is_some());
    }

    #[test]
    fn addresses_of_databases_name_the_database_and_no_user() {
        let fine = [
            "postgres://127.0.0.1:5432/shop",
            "postgresql://db.example/shop?sslmode=verify-full",
            "postgres://[::1]/a%20b",
        ];
        for text in fine {
            assert_eq!(fault_of_database(text), None, "{text}");
        }
        let faults = [
            ("http://db.example/shop", "begins with `postgres://`"),
            ("postgres://", "cannot be read"),
            ("postgres:///shop", "names no host"),
            ("postgres://db.example", "name of the database"),
            ("postgres://db.example/", "name of the database"),
            ("postgres://db.example/a/b", "name of the database"),
            ("postgres://me@db.example/shop", "no user"),
            ("postgres://me:pass@db.example/shop", "no user"),
            ("postgres://db.example/shop?password=x", "only `sslmode`"),
            ("postgres://db.example/shop?sslmode=allow", "only `sslmode`"),
        ];
        for (text, words) in faults {
            let (found, hint) = fault_of_database(text).unwrap();
            assert!(found.contains(words) && !hint.is_empty(), "{text}: {found}");
        }
    }

    #[test]
    fn breakers_read_and_print() {
        for text in ["50% of 20 in 10s", "1% of 1 in 1s", "100% of 10000 in 10m"] {
            assert_eq!(breaker_text(parse_breaker(text).ok()), text);
        }
        assert_eq!(parse_breaker(" 50%  of 20\tin 10s "), Ok(SourceSpec::BREAKER));
        let faults = [
            "",
            "50%",
            "50 of 20 in 10s",
            "0% of 20 in 10s",
            "101% of 20 in 10s",
            "-5% of 20 in 10s",
            "+5% of 20 in 10s",
            "50% of 0 in 10s",
            "50% of 10001 in 10s",
            "50% of 20 in 10",
            "50% of 20 in 11m",
            "50% of 20 in 999ms",
            "50% of 20 in 10s.",
            "50% OF 20 IN 10s",
            "99999999999999999999% of 20 in 10s",
        ];
        for text in faults {
            assert!(parse_breaker(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_print_as_they_read() {
        let times = ["1ms", "1500ms", "2s", "90s", "5m", "24h"];
        for text in times {
            assert_eq!(time_text(parse_duration(text).unwrap()), text);
        }
    }
}
