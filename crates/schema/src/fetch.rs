//! How the values of a service are fetched that does not speak GraphQL.
//!
//! ```text
//! @fetch, @wire, @ref → compile → Fetches → (mesh) calls over HTTP
//! ```
//!
//! In: nothing; these are the values that compiling makes of a module whose `@source` is of another
//! kind. Out: for every type and field, where its value stands: in the object that holds it, in the
//! answer of a call, or behind a reference. Not here: making calls (`mesh`).

pub mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Name;
use indexmap::IndexMap;

pub use template::{Hole, Parameter, Piece, Spread, Target, Template};

/// Everything that a module says of where its values are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    /// Objects, interfaces and unions.
    pub types: IndexMap<Name, TypeFetches>,
    /// Of enums and input types: members that the service calls otherwise.
    pub members: IndexMap<Name, IndexMap<Name, Arc<str>>>,
    /// What happens when a call fails that does not say it itself.
    pub on_error: Option<OnError>,
    /// How long answers are kept of calls that do not say it themselves.
    pub ttl: Option<Duration>,
}

/// Where a type's values are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeFetches {
    /// `@wire(name:)` of the type: of an object, the word by which the service names it; of an
    /// interface or union, the property that holds such a word.
    pub wire: Option<Arc<str>>,
    /// `@fetch`es of the type: how objects are found by a key.
    pub entities: Vec<EntityFetch>,
    /// Its fields.
    pub fields: IndexMap<Name, FieldSource>,
}

/// How objects are found by a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityFetch {
    /// The fields of the key, as `{…}` names them.
    pub key: Vec<Path>,
    /// The call.
    pub fetch: Fetch,
}

/// Where a field's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSource {
    /// What the service calls it.
    pub wire: Arc<str>,
    /// Where it stands.
    pub origin: Origin,
}

/// Where the value of a field stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the object that has the field.
    Parent,
    /// In the answer of a call.
    Call(Box<Fetch>),
    /// `@ref(by:)`: it is the object whose key is the value of another field of the same object.
    Reference {
        /// The field that holds the key.
        by: Name,
        /// The field of the other object that is its key.
        key: Name,
    },
}

/// `@fetch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// What is called.
    pub call: Call,
    /// Headers by name.
    pub headers: Vec<(Arc<str>, Template)>,
    /// What is sent.
    pub body: Option<Body>,
    /// Where in the answer the value stands.
    pub result: Path,
    /// The hole that takes the keys of many objects at once.
    pub batch: Option<Batch>,
    /// How the next page is found, and how many there may be.
    pub pages: Option<Pages>,
    /// How long an answer is kept; `None` as the source has it.
    pub ttl: Option<Duration>,
    /// What happens when the call fails; `None` as the source has it.
    pub on_error: Option<OnError>,
    /// The header that tells the service that a change comes again.
    pub idempotency_key: Option<Arc<str>>,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// HTTP.
    Http {
        /// Which method.
        verb: Verb,
        /// The path below the source's address, and the query.
        target: Target,
    },
    /// A method of gRPC, as `package.Service/Method`.
    Method(Arc<str>),
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// What is sent: JSON with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A value without holes, as JSON.
    Plain(Arc<str>),
    /// A text with holes in it.
    Text(Template),
    /// The value of a hole, whatever it is.
    Whole(Hole),
    /// A list.
    List(Vec<Body>),
    /// An object; a member whose hole has no value is left out.
    Object(Vec<(Arc<str>, Body)>),
}

/// Many objects are asked for in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose values are asked for.
    pub by: Path,
    /// Where in each item of the answer that value stands again.
    pub key: Path,
    /// Where in each item the value stands that was asked for; nothing for the usual place.
    pub value: Option<Path>,
    /// How many values one call takes.
    pub most: usize,
}

/// How the pages of a list follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// How the next one is found.
    pub next: Next,
    /// How many are read.
    pub most: usize,
}

/// How the next page of a list is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// `Link: <…>; rel="next"` (RFC 8288).
    Link,
    /// A part of the answer is a parameter of the next call's query.
    Cursor {
        /// The parameter.
        parameter: Arc<str>,
        /// Where in the answer its value stands.
        path: Path,
    },
}

/// `onError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The field is null.
    Null,
    /// The object that has the field is null, too.
    Propagate,
    /// An earlier answer stands in, if there is one.
    Stale,
}

/// Names that lead from a value into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Arc<str>>);

impl Path {
    /// Reads names with dots between them; nothing when a name is empty.
    pub fn parse(text: &str) -> Option<Path> {
        if text.is_empty() {
            return Some(Path::default());
        }
        let parts: Vec<Arc<str>> = text.split('.').map(Arc::from).collect();
        parts.iter().all(|part| !part.is_empty()).then_some(Path(parts))
    }

    /// One name.
    pub fn of(name: impl Into<Arc<str>>) -> Path {
        Path(vec![name.into()])
    }

    /// The first name.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", AsRef::as_ref)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Verb {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }
}

impl OnError {
    /// As the language writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            OnError::Null => "NULL",
            OnError::Propagate => "PROPAGATE",
            OnError::Stale => "STALE",
        }
    }
}

impl Fetch {
    /// Every hole, in the order of the text.
    pub fn holes(&self) -> Vec<&Hole> {
        let mut holes = Vec::new();
        if let Call::Http { target, .. } = &self.call {
            holes.extend(target.path.holes());
            holes.extend(target.query.iter().flat_map(|parameter| parameter.value.holes()));
        }
        holes.extend(self.headers.iter().flat_map(|(_, value)| value.holes()));
        if let Some(body) = &self.body {
            body.holes(&mut holes);
        }
        holes
    }
}

impl Body {
    fn holes<'b>(&'b self, holes: &mut Vec<&'b Hole>) {
        match self {
            Body::Plain(_) => {}
            Body::Text(text) => holes.extend(text.holes()),
            Body::Whole(hole) => holes.push(hole),
            Body::List(items) => items.iter().for_each(|item| item.holes(holes)),
            Body::Object(members) => members.iter().for_each(|(_, value)| value.holes(holes)),
        }
    }
}

/// The call as people write it: `GET /films/{id}`.
impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            Call::Http { verb, target } => write!(f, "{} {target}", verb.as_str()),
            Call::Method(name) => f.write_str(name),
        }
    }
}

impl Fetches {
    /// In words, where every value is that does not simply stand in its object under its own name.
    pub fn places(&self) -> BTreeMap<String, String> {
        let mut places = BTreeMap::new();
        for (name, of) in &self.types {
            let calls: Vec<String> = of.entities.iter().map(|it| it.fetch.details()).collect();
            if !calls.is_empty() {
                places.insert(name.to_string(), calls.join(" or "));
            }
            if let Some(wire) = &of.wire {
                places.insert(format!("{name} @wire"), format!("the name \"{wire}\""));
            }
            for (field, source) in &of.fields {
                let place = match &source.origin {
                    Origin::Call(fetch) => fetch.details(),
                    Origin::Reference { by, .. } => format!("the key in `{by}`"),
                    Origin::Parent if *source.wire == **field => continue,
                    Origin::Parent => format!("the name \"{}\"", source.wire),
                };
                places.insert(format!("{name}.{field}"), place);
            }
        }
        for (name, members) in &self.members {
            for (member, wire) in members {
                places.insert(format!("{name}.{member}"), format!("the name \"{wire}\""));
            }
        }
        places
    }
}

impl Fetch {
    /// The call with all that is said of it, in words.
    fn details(&self) -> String {
        let mut parts = vec![self.to_string()];
        for (name, value) in &self.headers {
            parts.push(format!("header \"{name}: {value}\""));
        }
        if let Some(body) = &self.body {
            parts.push(format!("body {body}"));
        }
        if !self.result.0.is_empty() {
            parts.push(format!("result \"{}\"", self.result));
        }
        if let Some(batch) = &self.batch {
            let value = batch.value.as_ref().map(|value| format!(" value \"{value}\""));
            let value = value.unwrap_or_default();
            parts.push(format!("{} at once by \"{}\"{value}", batch.most, batch.key));
        }
        match &self.pages {
            Some(Pages { next: Next::Link, most }) => parts.push(format!("{most} pages by link")),
            Some(Pages { next: Next::Cursor { parameter, path }, most }) => {
                parts.push(format!("{most} pages by {parameter}={path}"));
            }
            None => {}
        }
        parts.extend(self.ttl.map(|ttl| format!("kept for {ttl:?}")));
        parts.extend(self.on_error.map(|it| format!("on error {}", it.as_str())));
        parts.extend(self.idempotency_key.iter().map(|name| format!("key in \"{name}\"")));
        parts.join(", ")
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Plain(text) => f.write_str(text),
            Body::Text(text) => write!(f, "\"{text}\""),
            Body::Whole(hole) => write!(f, "{hole}"),
            Body::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Body::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                write!(f, "{{{}}}", members.join(", "))
            }
        }
    }
}
