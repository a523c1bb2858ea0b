//! Types without `@table` and enums that no type uses: allowed, but probably a table without
//! `@table`.

use std::collections::HashSet;

use crate::compile::{Declared, Draft, Report};
use crate::diagnostic::Code;

pub(super) fn check(declared: &Declared<'_>, _draft: &Draft, report: &mut Report<'_>) {
    let used: HashSet<&str> = declared
        .objects
        .values()
        .flat_map(|object| {
            let own = object.name();
            object
                .fields
                .values()
                .map(|field| field.node.ty.inner_named_type().as_str())
                .filter(move |name| *name != own)
        })
        .collect();
    for object in declared.objects.values() {
        let is_table = object.is_table() || object.directives.broken;
        if !is_table && !used.contains(object.name()) {
            report
                .at(
                    Code::UnusedType,
                    object.at(),
                    format!("nothing uses the type `{}`", object.name()),
                )
                .hint("is it a table? then add `@table` (and `@key`)");
        }
    }
}
