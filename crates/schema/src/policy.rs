//! Who may see what: the meaning of `@scope`, `@visible` and `@classified`.
//!
//! In: the policy of a type or field, and who asks. Out: what the caller sees of it, decided for all rows
//! or left to a condition on each. Not here: reading the directives (`compile::policy`), the schema as a
//! caller sees it (`view`), holding rows and values back (`mesh`).

use std::collections::BTreeSet;
use std::sync::Arc;

use base::principal::Audiences;
use base::{Error, Kind, Principal, Result};
use frame::Expr;

use crate::model::{ObjectType, Schema};

/// What `@scope`, `@visible` and `@classified` say of a type or a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// `@scope(to:)`: the audiences that know that it exists; none: everybody.
    pub scope: Vec<Arc<str>>,
    /// `@classified(as:)`: the class of its values, and the audience that is cleared for it.
    pub class: Option<Arc<str>>,
    /// `@visible`: who sees its rows or values.
    pub visible: Option<Visible>,
    /// What a view of the schema shows of it; of the schema itself: all.
    pub shown: Shown,
}

/// `@visible(to:, if:, else:)`: whoever one of the first two admits sees the row or the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Visible {
    /// Audiences that see all.
    pub to: Vec<Arc<str>>,
    /// For everybody else: of which rows.
    pub when: Option<Expr>,
    /// The text of `when`.
    pub text: Option<Arc<str>>,
    /// What stands in place of a value that is not seen.
    pub otherwise: Otherwise,
}

/// `else:` of `@visible`: what a caller gets in place of a value that he does not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// Null, as if there were no value.
    #[default]
    Null,
    /// Null, and an error that says that there may be a value.
    Error,
    /// [`Otherwise::MASK`], whatever the value is, also where there is none.
    Mask,
}

impl Otherwise {
    /// What stands in place of a text that is masked.
    pub const MASK: &str = "***";

    /// As it is written in a schema.
    pub fn name(self) -> &'static str {
        match self {
            Otherwise::Null => "NULL",
            Otherwise::Error => "ERROR",
            Otherwise::Mask => "MASK",
        }
    }

    /// What is written so in a schema.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Otherwise::Null, Otherwise::Error, Otherwise::Mask];
        all.into_iter().find(|otherwise| otherwise.name() == name)
    }
}

/// What a view shows of a type or a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shown {
    /// All of it.
    #[default]
    Whole,
    /// That it exists, but not all rows of it, or not the values of all rows.
    Partly,
    /// Nothing, not even that it exists.
    Hidden,
}

/// What one caller sees of a type or a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sight<'a> {
    /// All.
    Whole,
    /// What this condition holds for.
    When(&'a Expr),
    /// Nothing.
    Never,
    /// Nothing, not even that it exists.
    Hidden,
}

impl Sight<'_> {
    /// What a view shows of it.
    pub fn shown(self) -> Shown {
        match self {
            Sight::Whole => Shown::Whole,
            Sight::When(_) | Sight::Never => Shown::Partly,
            Sight::Hidden => Shown::Hidden,
        }
    }
}

impl Policy {
    /// Whether it holds nothing back from anybody.
    pub fn is_open(&self) -> bool {
        self.scope.is_empty() && self.class.is_none() && self.visible.is_none()
    }

    /// The audiences that it names.
    pub fn audiences(&self) -> impl Iterator<Item = &Arc<str>> {
        let to = self.visible.iter().flat_map(|visible| &visible.to);
        self.scope.iter().chain(&self.class).chain(to)
    }

    /// What stands in place of values that are not seen.
    pub fn otherwise(&self) -> Otherwise {
        self.visible.as_ref().map(|visible| visible.otherwise).unwrap_or_default()
    }

    /// What a caller sees.
    pub fn sight(&self, who: &Principal) -> Sight<'_> {
        let is_of = |names: &[Arc<str>]| names.iter().any(|name| who.audiences.has(name));
        if who.sees_everything() || self.is_open() {
            return Sight::Whole;
        }
        if !self.scope.is_empty() && !is_of(&self.scope) {
            return Sight::Hidden;
        }
        let is_cleared = self.class.as_ref().is_some_and(|class| who.audiences.has(class));
        match &self.visible {
            _ if is_cleared => Sight::Whole,
            None if self.class.is_none() => Sight::Whole,
            None => Sight::Never,
            Some(visible) if is_of(&visible.to) => Sight::Whole,
            Some(visible) => visible.when.as_ref().map_or(Sight::Never, Sight::When),
        }
    }
}

impl ObjectType {
    /// Whether anything of the type is held back from somebody.
    pub fn is_protected(&self) -> bool {
        !self.policy.is_open() || self.fields.values().any(|field| !field.policy.is_open())
    }

    /// Whether a caller sees all rows of the type, with all their values.
    pub fn is_whole_for(&self, who: &Principal) -> bool {
        let mut policies =
            std::iter::once(&self.policy).chain(self.fields.values().map(|field| &field.policy));
        policies.all(|policy| policy.sight(who) == Sight::Whole)
    }
}

impl Schema {
    /// The audiences that policies name, tables' and services'.
    pub fn audiences(&self) -> BTreeSet<&Arc<str>> {
        let tables = self.types.values().flat_map(|object| {
            let fields = object.fields.values().flat_map(|field| field.policy.audiences());
            object.policy.audiences().chain(fields)
        });
        let services = self.services.iter().flat_map(|service| &service.scopes);
        tables.chain(services.flat_map(|scope| &scope.to)).collect()
    }

    /// Whether anything is held back from somebody.
    pub fn is_protected(&self) -> bool {
        let has_scopes = self.services.iter().any(|service| !service.scopes.is_empty());
        has_scopes || self.types.values().any(ObjectType::is_protected)
    }

    /// Whether a caller sees everything that there is.
    pub fn is_whole_for(&self, who: &Principal) -> bool {
        let mut scopes = self.services.iter().flat_map(|service| &service.scopes);
        who.sees_everything()
            || (self.types.values().all(|object| object.is_whole_for(who))
                && scopes.all(|scope| scope.is_for(who)))
    }

    /// Which of several views of the schema a caller has, by the audiences that make a difference; `None`
    /// for the whole schema.
    pub fn view_of(&self, who: &Principal) -> Option<Audiences> {
        if self.is_whole_for(who) {
            return None;
        }
        let named = self.audiences();
        Some(Audiences::new(named.into_iter().filter(|name| who.audiences.has(name)).cloned()))
    }

    /// Refuses doors that give rows as they are stored to callers who may not see all of a type. A type that
    /// the caller does not know of is told apart from one that is not there by nothing.
    ///
    /// # Errors
    /// [`Kind::Denied`], or [`Kind::NotFound`] of a type that is hidden.
    pub fn require_whole(&self, object: &ObjectType, who: &Principal, door: &str) -> Result<()> {
        if object.is_whole_for(who) {
            return Ok(());
        }
        let name = &object.name;
        if object.policy.sight(who) == Sight::Hidden {
            return Err(Error::not_found(format!("the schema has no type `{name}`")));
        }
        let text = format!("{door} gives rows as they are stored, and `{name}` has policies");
        Err(Error::new(Kind::Denied, text).hint(HINT))
    }

    /// Likewise, of a door that leads to all tables.
    ///
    /// # Errors
    /// [`Kind::Denied`].
    pub fn require_all(&self, who: &Principal, door: &str) -> Result<()> {
        if self.is_whole_for(who) {
            return Ok(());
        }
        let text = format!("{door} is not for callers from whom policies hold something back");
        Err(Error::new(Kind::Denied, text).hint(HINT))
    }
}

/// What whoever meets a closed door may do.
const HINT: &str =
    "ask by GraphQL, which shows what you may see, or use a token with `--audience everything`";
