//! `@was`: an earlier name is neither a live one nor the earlier name of something else.

use std::collections::HashMap;

use crate::compile::{Declared, Draft, Object, Report};
use crate::diagnostic::Code;
use crate::model::Was;

pub(super) fn check(declared: &Declared<'_>, draft: &Draft, report: &mut Report<'_>) {
    let mut claimed = Claims::default();
    for (object, was) in declared.objects.values().zip(&draft.was) {
        let live =
            |name: &str| declared.objects.contains_key(name) || declared.enums.contains_key(name);
        for earlier in was {
            let at = object.directives.all("was").find(|applied| {
                applied.text("name").is_some_and(|name| name.value == earlier.name.as_ref())
            });
            let at = at.map_or(object.at(), |applied| applied.at_argument("name"));
            claimed.claim(earlier, object.name(), "type", at, &live, report);
        }
    }
    for (index, object) in declared.objects.values().enumerate() {
        fields(index, object, draft, report);
    }
}

fn fields(index: usize, object: &Object<'_>, draft: &Draft, report: &mut Report<'_>) {
    let mut claimed = Claims::default();
    let live = |name: &str| object.fields.contains_key(name);
    for (field, was) in object.fields.values().zip(draft.field_was(index)) {
        for earlier in was {
            let at = field.directives.all("was").find(|applied| {
                applied.text("name").is_some_and(|name| name.value == earlier.name.as_ref())
            });
            let at = at.map_or(field.at(), |applied| applied.at_argument("name"));
            claimed.claim(earlier, field.name(), "field", at, &live, report);
        }
    }
}

/// Which earlier names are claimed, and by what.
#[derive(Default)]
struct Claims(HashMap<String, String>);

impl Claims {
    fn claim(
        &mut self,
        earlier: &Was,
        by: &str,
        what: &str,
        at: Option<apollo_compiler::parser::SourceSpan>,
        live: &dyn Fn(&str) -> bool,
        report: &mut Report<'_>,
    ) {
        let name = earlier.name.as_ref();
        if live(name) {
            report
                .at(Code::Was, at, format!("`{name}` is the name of a living {what}"))
                .hint("an earlier name must be free: take `@was` out, or rename the other one");
        } else if let Some(other) = self.0.get(name) {
            report
                .at(Code::Was, at, format!("`{name}` is already the earlier name of `{other}`"))
                .hint("only one of them can be what it was");
        } else {
            self.0.insert(name.to_owned(), by.to_owned());
        }
    }
}
