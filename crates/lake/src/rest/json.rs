//! Reading the bodies of calls: typed, with the place of what is wrong in the words.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{Ident, Namespace, Page, Refusal};

/// A part of a body that must be there.
pub(super) fn part<T: DeserializeOwned>(body: &Json, name: &str) -> Result<T, Refusal> {
    let found = body.get(name).filter(|value| !value.is_null());
    let found = found.ok_or_else(|| Refusal::bad(format!("the body has no `{name}`")))?;
    T::deserialize(found).map_err(|error| wrong(name, &error))
}

/// A part of a body that may be missing.
pub(super) fn maybe<T: DeserializeOwned>(body: &Json, name: &str) -> Result<Option<T>, Refusal> {
    match body.get(name).filter(|value| !value.is_null()) {
        Some(found) => T::deserialize(found).map(Some).map_err(|error| wrong(name, &error)),
        None => Ok(None),
    }
}

fn wrong(name: &str, error: &serde_json::Error) -> Refusal {
    Refusal::bad(format!("`{name}` cannot be read: {error}"))
}

/// Properties: texts by name.
pub(super) fn properties(body: &Json, name: &str) -> Result<HashMap<String, String>, Refusal> {
    let found: Option<BTreeMap<String, String>> = maybe(body, name)?;
    Ok(found.unwrap_or_default().into_iter().collect())
}

/// A table or a view by name.
pub(super) fn ident(value: &Json) -> Result<Ident, Refusal> {
    let namespace: Namespace = part(value, "namespace")?;
    let ident = Ident { namespace, name: part(value, "name")? };
    check_name(&ident.name)?;
    Ok(ident)
}

/// The longest name of a table, a view or a part of a namespace.
const LONGEST: usize = 200;
/// Parts of a namespace at most.
const DEEPEST: usize = 8;

/// Refuses names that could not be told apart in a path or in SQL.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let odd = name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control);
    if odd {
        let text = format!("`{name}` is no name: 1 to {LONGEST} characters, none of control");
        return Err(Refusal::bad(text));
    }
    Ok(())
}

/// Refuses namespaces that have no name or one too long.
pub(super) fn check_namespace(namespace: &Namespace) -> Result<(), Refusal> {
    if namespace.is_empty() || namespace.len() > DEEPEST {
        return Err(Refusal::bad(format!("a namespace has 1 to {DEEPEST} parts")));
    }
    namespace.iter().try_for_each(|part| check_name(part))
}

/// Puts a list of metadata in the order of its ids: the library keeps maps.
pub(super) fn ordered(metadata: &mut Json, list: &str, id: &str) {
    if let Some(items) = metadata.get_mut(list).and_then(Json::as_array_mut) {
        items.sort_by_key(|item| item.get(id).and_then(Json::as_i64));
    }
}

/// One page of a list, and where the next begins.
pub(super) fn paged<T: Clone>(all: &[T], page: &Page) -> Result<(Vec<T>, Option<String>), Refusal> {
    let token = page.token.as_deref().filter(|token| !token.is_empty());
    let start = match token {
        Some(token) => token
            .parse()
            .map_err(|_| Refusal::bad(format!("`{token}` is no token of a page of this list")))?,
        None => 0_usize,
    };
    let start = start.min(all.len());
    let end = start.saturating_add(page.size.unwrap_or(usize::MAX)).min(all.len());
    let next = (end < all.len()).then(|| end.to_string());
    Ok((all[start..end].to_vec(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let check = |token: Option<&str>, size, expected: &[i32], next: Option<&str>| {
            let page = Page { token: token.map(ToOwned::to_owned), size };
            let (found, more) = paged(&[1, 2, 3], &page).expect("a page");
            assert_eq!((found.as_slice(), more.as_deref()), (expected, next));
        };
        check(None, None, &[1, 2, 3], None);
        check(Some(""), Some(2), &[1, 2], Some("2"));
        check(Some("2"), Some(2), &[3], None);
        check(Some("9"), Some(2), &[], None);
        assert!(paged(&[1], &Page { token: Some("x".to_owned()), size: None }).is_err());
    }
}
