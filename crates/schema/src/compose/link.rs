//! Reads `@link`: in come the directives of the schema definition, out comes what each directive
//! of the text means. A text that links no federation is of version 1, whose directives have fixed
//! names.
//!
//! The rules are those of the [link specification](https://specs.apollo.dev/link/v1.0/).

use std::collections::HashMap;

use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::{Name, Node};

use super::report::Report;
use super::text::{Span, Spot};
use crate::diagnostic::Code;

/// A directive that means something to composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Key,
    Requires,
    Provides,
    External,
    Extends,
    Tag,
    Shareable,
    Inaccessible,
    Override,
    ComposeDirective,
    InterfaceObject,
    Authenticated,
    RequiresScopes,
    Policy,
    Context,
    FromContext,
    Cost,
    ListSize,
    Link,
    CacheTag,
    /// A directive of module files, which says where the values come from.
    Ours,
}

/// The directives of federation, and the minor version of 2 that brought each.
const WORDS: [(&str, Word, u32); 19] = [
    ("key", Word::Key, 0),
    ("requires", Word::Requires, 0),
    ("provides", Word::Provides, 0),
    ("external", Word::External, 0),
    ("extends", Word::Extends, 0),
    ("tag", Word::Tag, 0),
    ("shareable", Word::Shareable, 0),
    ("inaccessible", Word::Inaccessible, 0),
    ("override", Word::Override, 0),
    ("composeDirective", Word::ComposeDirective, 1),
    ("interfaceObject", Word::InterfaceObject, 3),
    ("authenticated", Word::Authenticated, 5),
    ("requiresScopes", Word::RequiresScopes, 5),
    ("policy", Word::Policy, 6),
    ("context", Word::Context, 8),
    ("fromContext", Word::FromContext, 8),
    ("cost", Word::Cost, 9),
    ("listSize", Word::ListSize, 9),
    ("cacheTag", Word::CacheTag, 12),
];

/// What version 1 has.
const FIRST: [Word; 6] =
    [Word::Key, Word::Requires, Word::Provides, Word::External, Word::Extends, Word::Tag];

/// Types that federation's specification offers for import.
const TYPES: [&str; 4] = ["FieldSet", "Scope", "Policy", "ContextFieldValue"];

/// The last minor version of federation 2 that is known.
const LAST_MINOR: u32 = 12;

const SPECS: &str = "https://specs.apollo.dev/";

/// What the directives of one text mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// Minor version of federation 2; nothing is version 1.
    pub(crate) minor: Option<u32>,
    words: HashMap<Name, Word>,
    /// Types that are imported under these names.
    types: Vec<Name>,
    /// Names of specifications; what begins with one and two underscores belongs to it.
    prefixes: Vec<String>,
    /// Directives that other specifications bring.
    pub(crate) custom: Vec<Name>,
}

impl Link {
    /// Every directive under its own name, of the newest version: for texts that are not written
    /// by hand.
    pub(crate) fn newest() -> Self {
        let mut link = Link { minor: Some(LAST_MINOR), ..Link::first() };
        for (name, word, _) in WORDS {
            link.insert(name, word);
        }
        for name in ["fetch", "wire", "ref", "owner"] {
            link.insert(name, Word::Ours);
        }
        link
    }

    fn first() -> Self {
        let mut link = Link::default();
        for (name, word, _) in WORDS.iter().filter(|(_, word, _)| FIRST.contains(word)) {
            link.insert(name, *word);
        }
        link.insert("link", Word::Link);
        link
    }

    fn insert(&mut self, name: &str, word: Word) {
        if let Ok(name) = Name::new(name) {
            self.words.insert(name, word);
        }
    }

    /// Whether the text is of federation 1.
    pub(crate) fn is_first(&self) -> bool {
        self.minor.is_none()
    }

    /// What a directive means; nothing when it is not federation's.
    pub(crate) fn word(&self, name: &str) -> Option<Word> {
        self.words.get(name).copied()
    }

    /// Whether a type or a directive's definition is machinery of a linked specification.
    pub(crate) fn is_machinery(&self, name: &str) -> bool {
        const FIXED: [&str; 4] = ["_Any", "_Entity", "_Service", "_FieldSet"];
        FIXED.contains(&name)
            || self.types.iter().any(|known| known == name)
            || self.prefixes.iter().any(|prefix| {
                name.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with("__"))
            })
    }
}

/// A specification as a URL names it.
struct Spec<'t> {
    identity: &'t str,
    name: &'t str,
    version: (u32, u32),
}

impl<'t> Spec<'t> {
    fn of(url: &'t str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let (identity, version) = url.rsplit_once('/')?;
        let (major, minor) = version.strip_prefix('v')?.split_once('.')?;
        let version = (major.parse().ok()?, minor.parse().ok()?);
        let name = identity.rsplit('/').next()?;
        identity.contains("://").then_some(Spec { identity, name, version })
    }
}

/// Reads the directives of the schema definition and its extensions.
pub(crate) fn link(directives: &[(Node<Directive>, Span)], report: &mut Report<'_>) -> Link {
    let mut reader = Reader { link: Link::default(), seen: Vec::new(), report };
    for (directive, span) in directives.iter().filter(|(directive, _)| directive.name == "link") {
        reader.one(directive, *span);
    }
    let linked = !reader.seen.is_empty();
    let mut link = reader.link;
    if link.minor.is_none() {
        let mut words = Link::first().words;
        words.extend(std::mem::take(&mut link.words));
        link.words = words;
        link.prefixes.push("federation".to_owned());
    }
    if linked || link.minor.is_some() {
        link.insert("link", Word::Link);
        link.prefixes.push("link".to_owned());
    }
    link
}

struct Reader<'r, 'g> {
    link: Link,
    seen: Vec<String>,
    report: &'r mut Report<'g>,
}

impl Reader<'_, '_> {
    fn fault(&mut self, code: Code, span: Span, message: String, hint: &str) {
        let spot = Spot { source: 0, span };
        self.report.add(code, spot, Vec::new(), message).hint(hint);
    }

    fn one(&mut self, directive: &Directive, span: Span) {
        let text = |name: &str| directive.specified_argument_by_name(name);
        let Some(url) = text("url").and_then(|value| value.as_str()) else {
            let words = "`@link` needs the `url` of a specification".to_owned();
            return self.fault(Code::InvalidLinkDirectiveUsage, span, words, EXAMPLE);
        };
        let Some(spec) = Spec::of(url) else {
            // Another specification may be named as it likes; nothing of it is used here.
            if url.starts_with(SPECS) {
                let words = format!("`{url}` does not end with a name and a version");
                self.fault(Code::InvalidLinkIdentifier, span, words, EXAMPLE);
            }
            return;
        };
        if self.seen.iter().any(|seen| seen == spec.identity) {
            let words = format!("`{}` is linked twice", spec.identity);
            let hint = "write one `@link` with all imports";
            return self.fault(Code::InvalidLinkDirectiveUsage, span, words, hint);
        }
        self.seen.push(spec.identity.to_owned());
        let prefix = text("as").and_then(|value| value.as_str()).unwrap_or(spec.name).to_owned();
        let imports = self.imports(text("import"), span);
        match spec.identity.strip_prefix(SPECS) {
            Some("federation") => self.federation(&spec, &prefix, &imports, span),
            Some("link") => self.link.insert(&prefix, Word::Link),
            Some(name @ ("tag" | "inaccessible" | "cost")) => self.small(name, &prefix, &imports),
            _ => self.custom(&prefix, &imports),
        }
    }

    /// `(what the specification calls it, what it is called here)`.
    fn imports(&mut self, value: Option<&Node<Value>>, span: Span) -> Vec<(String, String)> {
        let Some(value) = value else { return Vec::new() };
        let items = match value.as_ref() {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        let mut imports = Vec::new();
        for item in items {
            match import(item) {
                Some(import) => imports.push(import),
                None => self.fault(
                    Code::InvalidLinkDirectiveUsage,
                    span,
                    format!("`{}` is nothing that can be imported", item.serialize().no_indent()),
                    "write `\"@key\"` or `{name: \"@key\", as: \"@primary\"}`",
                ),
            }
        }
        imports
    }

    fn federation(
        &mut self,
        spec: &Spec<'_>,
        prefix: &str,
        imports: &[(String, String)],
        span: Span,
    ) {
        let (major, minor) = spec.version;
        if major != 2 || minor > LAST_MINOR {
            let words = format!("federation v{major}.{minor} is not known");
            let hint = format!("name a version from v2.0 to v2.{LAST_MINOR}");
            return self.fault(Code::UnknownFederationLinkVersion, span, words, &hint);
        }
        self.link.minor = Some(minor);
        self.link.prefixes.push(prefix.to_owned());
        for (name, word, _) in WORDS.iter().filter(|(_, _, since)| *since <= minor) {
            let imported = imports.iter().find(|(what, _)| what.strip_prefix('@') == Some(name));
            match imported {
                Some((_, here)) => self.link.insert(here.trim_start_matches('@'), *word),
                None => self.link.insert(&format!("{prefix}__{name}"), *word),
            }
        }
        for (what, here) in imports {
            let known = |(name, _, since): &(&str, Word, u32)| {
                what.strip_prefix('@') == Some(name) && *since <= minor
            };
            if WORDS.iter().any(known) {
                continue;
            }
            if TYPES.contains(&what.as_str()) {
                self.link.types.extend(Name::new(here).ok());
                continue;
            }
            let words = format!("federation v2.{minor} has no `{what}` to import");
            let later = WORDS.iter().find(|(name, ..)| what.strip_prefix('@') == Some(name));
            let hint = match later {
                Some((_, _, since)) => format!("`{what}` came with v2.{since}"),
                None => "directives are imported with their `@`".to_owned(),
            };
            self.fault(Code::InvalidLinkDirectiveUsage, span, words, &hint);
        }
    }

    /// A specification that brings the one directive that it is named after.
    fn small(&mut self, name: &str, prefix: &str, imports: &[(String, String)]) {
        self.link.prefixes.push(prefix.to_owned());
        for (known, word, _) in WORDS {
            let imported = imports.iter().find(|(what, _)| what.strip_prefix('@') == Some(known));
            match imported {
                Some((_, here)) => self.link.insert(here.trim_start_matches('@'), word),
                None if known == name => self.link.insert(prefix, word),
                None => {}
            }
        }
    }

    fn custom(&mut self, prefix: &str, imports: &[(String, String)]) {
        let here = imports.iter().map(|(_, here)| here.trim_start_matches('@'));
        self.link.custom.extend(here.chain([prefix]).filter_map(|name| Name::new(name).ok()));
    }
}

const EXAMPLE: &str =
    "write `@link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\"])`";

fn import(value: &Value) -> Option<(String, String)> {
    if let Some(name) = value.as_str() {
        return Some((name.to_owned(), name.to_owned()));
    }
    let parts = value.as_object()?;
    let part = |wanted: &str| {
        parts.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| value.as_str())
    };
    let name = part("name")?;
    let here = part("as").unwrap_or(name);
    // A directive stays a directive, a type a type.
    (name.starts_with('@') == here.starts_with('@')).then(|| (name.to_owned(), here.to_owned()))
}
