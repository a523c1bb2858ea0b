//! Which call of the catalog a method and a path are.

use axum::http::Method;
use lake::rest::{Call, Ident, Namespace, Page, Refusal, Snapshots};

/// What clients are told that there is.
pub(super) const ENDPOINTS: [&str; 28] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/sign",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/unregister",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "POST /v1/{prefix}/namespaces/{namespace}/register-view",
    "POST /v1/{prefix}/tables/rename",
    "POST /v1/{prefix}/transactions/commit",
    "GET /v1/{prefix}/namespaces/{namespace}/views",
    "POST /v1/{prefix}/namespaces/{namespace}/views",
    "GET /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "POST /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "POST /v1/{prefix}/views/rename",
    "POST /v1/aws/s3/sign",
];

/// What stands between the parts of a namespace in a path.
const SEPARATOR: char = '\u{1f}';

/// The call of a method and a path below `/iceberg/v1/`.
pub(super) fn parse(method: &Method, path: &str, query: &str) -> Result<Call, Refusal> {
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let none = || Refusal::bad(format!("No route for request: {method} {path}"));
    let call = match (method.as_str(), segments.as_slice()) {
        ("GET", ["namespaces"]) => Call::ListNamespaces {
            parent: parameter(query, "parent")
                .filter(|text| !text.is_empty())
                .map(|text| namespace(&text)),
            page: page(query)?,
        },
        ("POST", ["namespaces"]) => Call::CreateNamespace,
        ("POST", ["tables", "rename"]) => Call::RenameTable,
        ("POST", ["views", "rename"]) => Call::RenameView,
        ("POST", ["transactions", "commit"]) => Call::CommitTransaction,
        (method, ["namespaces", name]) => in_namespace(method, namespace(name)).ok_or_else(none)?,
        (method, ["namespaces", name, rest @ ..]) => {
            below(method, namespace(name), rest, query)?.ok_or_else(none)?
        }
        _ => return Err(none()),
    };
    Ok(call)
}

fn in_namespace(method: &str, namespace: Namespace) -> Option<Call> {
    Some(match method {
        "GET" => Call::LoadNamespace(namespace),
        "HEAD" => Call::NamespaceExists(namespace),
        "DELETE" => Call::DropNamespace(namespace),
        _ => return None,
    })
}

fn below(
    method: &str,
    namespace: Namespace,
    rest: &[&str],
    query: &str,
) -> Result<Option<Call>, Refusal> {
    let ident = |name: &&str| Ident { namespace: namespace.clone(), name: (*name).to_owned() };
    Ok(Some(match (method, rest) {
        ("POST", ["properties"]) => Call::UpdateProperties(namespace),
        ("GET", ["tables"]) => Call::ListTables(namespace, page(query)?),
        ("POST", ["tables"]) => Call::CreateTable(namespace),
        ("POST", ["register"]) => Call::RegisterTable(namespace),
        ("POST", ["register-view"]) => Call::RegisterView(namespace),
        ("GET", ["views"]) => Call::ListViews(namespace, page(query)?),
        ("POST", ["views"]) => Call::CreateView(namespace),
        ("GET", ["tables", name]) => Call::LoadTable(ident(name), snapshots(query)?),
        ("HEAD", ["tables", name]) => Call::TableExists(ident(name)),
        ("POST", ["tables", name]) => Call::CommitTable(ident(name)),
        ("DELETE", ["tables", name]) => Call::DropTable {
            table: ident(name),
            purge: parameter(query, "purgeRequested")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        },
        ("GET", ["tables", name, "credentials"]) => Call::LoadCredentials(ident(name)),
        ("POST", ["tables", name, "metrics"]) => Call::ReportMetrics(ident(name)),
        ("POST", ["tables", name, "unregister"]) => Call::UnregisterTable(ident(name)),
        ("GET", ["views", name]) => Call::LoadView(ident(name)),
        ("HEAD", ["views", name]) => Call::ViewExists(ident(name)),
        ("POST", ["views", name]) => Call::ReplaceView(ident(name)),
        ("DELETE", ["views", name]) => Call::DropView(ident(name)),
        _ => return Ok(None),
    }))
}

/// Whose files a request that is to be signed may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signs {
    /// Those of whichever table has the object.
    Any,
    /// Those of one table.
    Of(Ident),
    /// Those of a table that is still to be made, in the folders of a session token.
    Staged(String),
}

/// Whether a request wants another request signed, and for which table.
pub(super) fn signs(method: &Method, path: &str) -> Result<Option<Signs>, Refusal> {
    if method != Method::POST {
        return Ok(None);
    }
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Ok(match segments.as_slice() {
        ["aws", "s3", "sign"] => Some(Signs::Any),
        ["aws", "s3", "sign", token] => Some(Signs::Staged((*token).to_owned())),
        ["namespaces", name, "tables", table, "sign"] => {
            Some(Signs::Of(Ident { namespace: namespace(name), name: (*table).to_owned() }))
        }
        _ => None,
    })
}

/// Where requests about a table's files are signed, below the catalog's own address.
pub(super) fn signer(table: &Ident) -> String {
    let parts = table.namespace.join(&SEPARATOR.to_string());
    let [namespace, name] = [&parts, &table.name].map(|text| crate::s3::sign::encoded(text, false));
    format!("v1/namespaces/{namespace}/tables/{name}/sign")
}

fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    let read = |segment: &str| {
        decoded(segment).ok_or_else(|| Refusal::bad(format!("`{segment}` is no text in UTF-8")))
    };
    path.split('/').map(read).collect()
}

fn namespace(segment: &str) -> Namespace {
    segment.split(SEPARATOR).map(ToOwned::to_owned).collect()
}

fn page(query: &str) -> Result<Page, Refusal> {
    let size = parameter(query, "pageSize").map(|text| {
        let size = text.parse().ok().filter(|size| *size > 0);
        size.ok_or_else(|| Refusal::bad(format!("`pageSize` is a number above 0, not `{text}`")))
    });
    Ok(Page { token: parameter(query, "pageToken"), size: size.transpose()? })
}

fn snapshots(query: &str) -> Result<Snapshots, Refusal> {
    match parameter(query, "snapshots").as_deref() {
        None | Some("all") => Ok(Snapshots::All),
        Some("refs") => Ok(Snapshots::Refs),
        Some(other) => Err(Refusal::bad(format!("`snapshots` is `all` or `refs`, not `{other}`"))),
    }
}

/// A parameter of a query, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.into_iter().find(|(key, _)| *key == name)?;
    decoded(&found.1.replace('+', " "))
}

/// Text without its percent signs; `None` when they stand for no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    crate::s3::sign::decoded(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, query: &str, expected: &str) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let parsed = match parse(&method, path, query) {
            Ok(call) => format!("{call:?}"),
            Err(refusal) => refusal.message,
        };
        assert_eq!(parsed, expected, "{method} {path}");
    }

    #[test]
    fn paths_become_calls() {
        check("GET", "namespaces/a%1Fb", "", r#"LoadNamespace(["a", "b"])"#);
        check(
            "GET",
            "namespaces",
            "parent=a%1Fb&pageToken=&pageSize=2",
            r#"ListNamespaces { parent: Some(["a", "b"]), page: Page { token: Some(""), size: Some(2) } }"#,
        );
        check(
            "DELETE",
            "namespaces/a/tables/b%2Fc",
            "purgeRequested=True",
            r#"DropTable { table: Ident { namespace: ["a"], name: "b/c" }, purge: true }"#,
        );
        check(
            "GET",
            "namespaces/a/tables/t",
            "snapshots=refs",
            r#"LoadTable(Ident { namespace: ["a"], name: "t" }, Refs)"#,
        );
        let table = Ident { namespace: vec!["a".into(), "b".into()], name: "c/d".into() };
        assert_eq!(signer(&table), "v1/namespaces/a%1Fb/tables/c%2Fd/sign");
        let found = signs(&Method::POST, signer(&table).trim_start_matches("v1/"));
        assert_eq!(found, Ok(Some(Signs::Of(table))));
        check("PATCH", "namespaces/a", "", "No route for request: PATCH namespaces/a");
        check("GET", "namespaces/%ff", "", "`%ff` is no text in UTF-8");
        check("GET", "namespaces", "pageSize=0", "`pageSize` is a number above 0, not `0`");
    }
}
