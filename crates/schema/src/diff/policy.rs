//! Changes of who sees what. In: two policies of one type or field. Out: a change, breaking unless
//! everybody sees at least what he saw. Not here: the API, which is the same for whoever sees all.

use std::sync::Arc;

use base::Place;

use super::{Change, ChangeKind, WireEffect};
use crate::compile::policy_text;
use crate::expression;
use crate::model::{ServiceModule, ServiceScope};
use crate::policy::{Otherwise, Policy, Visible};

/// What changes of a policy; nothing, when it says the same.
pub(super) fn change(
    kind: ChangeKind,
    path: &str,
    place: &Place,
    (old, new): (&Policy, &Policy),
) -> Option<Change> {
    let (before, after) = (policy_text(old), policy_text(new));
    if before == after {
        return None;
    }
    let message = format!("who sees `{path}` changes: {}, was {}", said(&after), said(&before));
    Some(weighed(Change::new(kind, path, place, message), loosens(old, new)))
}

fn said(text: &str) -> String {
    match text.trim() {
        "" => "everybody".to_owned(),
        text => format!("`{text}`"),
    }
}

fn weighed(mut change: Change, loosens: bool) -> Change {
    change.wire = if loosens { WireEffect::Safe } else { WireEffect::Breaking };
    if !loosens {
        let reason = "callers of whom the policy does not speak see less than they saw";
        change.wire_reasons.push(reason.to_owned());
    }
    change
}

/// Whether everybody sees at least what he saw.
fn loosens(old: &Policy, new: &Policy) -> bool {
    scope_loosens(&old.scope, &new.scope) && values_loosen(old, new)
}

fn scope_loosens(old: &[Arc<str>], new: &[Arc<str>]) -> bool {
    new.is_empty() || (!old.is_empty() && old.iter().all(|name| new.contains(name)))
}

fn values_loosen(old: &Policy, new: &Policy) -> bool {
    let is_open = |policy: &Policy| policy.class.is_none() && policy.visible.is_none();
    if is_open(new) || is_open(old) {
        return is_open(new);
    }
    let admitted = |policy: &Policy| {
        let to = policy.visible.iter().flat_map(|visible| &visible.to);
        to.chain(&policy.class).cloned().collect::<Vec<_>>()
    };
    let now = admitted(new);
    otherwise_loosens(old.otherwise(), new.otherwise())
        && admitted(old).iter().all(|name| now.contains(name))
        && when(old.visible.as_ref()).is_none_or(|old| Some(old) == when(new.visible.as_ref()))
}

/// Whether whoever does not see a value gets what he can go on with as before: an answer that had no error
/// has none. A mask is a text where a text or null was.
fn otherwise_loosens(old: Otherwise, new: Otherwise) -> bool {
    new == old || new == Otherwise::Mask || old == Otherwise::Error
}

fn when(visible: Option<&Visible>) -> Option<String> {
    visible?.when.as_ref().map(expression::print)
}

/// What changes of what only some audiences know of a service.
pub(super) fn of_service(path: &str, old: &ServiceModule, new: &ServiceModule) -> Option<Change> {
    if old.scopes == new.scopes {
        return None;
    }
    let same =
        |a: &ServiceScope, b: &ServiceScope| (&a.type_name, &a.field) == (&b.type_name, &b.field);
    let loosens = new.scopes.iter().all(|scope| {
        let before = old.scopes.iter().find(|before| same(before, scope));
        before.is_some_and(|before| scope_loosens(&before.to, &scope.to))
    });
    let message = format!("who knows what of source `{}` changes", new.source.name);
    let change = Change::new(ChangeKind::SourceScope, path, &new.place, message);
    Some(weighed(change, loosens))
}
