//! What changed between two schemas, and what each change means for stored rows and for callers.
//!
//! ```text
//! two Schemas → pairing (renames through @was) → changes of types, tables, fields, enums, services
//!            → wire (the change of the derived API, attributed to those changes)
//! ```
//!
//! In: the deployed schema and the next one. Out: a list of [`Change`]s in a fixed order: modules,
//! enums, then types and their fields as the new schema declares them, removals, services last. Not
//! here: how a change is carried out (`plan`), and whether a schema is valid at all (`check`).

use std::fmt;

use base::Place;

use crate::model::Schema;

mod conversion;
mod enums;
mod fields;
mod kind;
mod pairing;
mod policy;
mod sdl;
mod services;
mod tables;
mod wire;

pub use conversion::{Conversion, conversion};
pub(crate) use enums::holders as enum_holders;
pub(crate) use fields::{column_conversion, type_text};
pub use kind::{ChangeKind, Generated, Mark};
pub use pairing::{FieldPair, Names, Pairing, TypePair};
pub use sdl::{ApiChange, Aspect, diff_sdl};
pub(crate) use tables::{Layout, kept, retain_effect};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// What changed: `Type`, `Type.field`, `Enum.VALUE`, by the new name unless it was removed;
    /// `@source.name` of a service.
    pub path: String,
    /// The change in one sentence, without a full stop.
    pub message: String,
    /// What it means for stored rows.
    pub storage: StorageEffect,
    /// What it means for callers of the API.
    pub wire: WireEffect,
    /// Why the wire effect is what it is: the changes of the derived API, one a line.
    pub wire_reasons: Vec<String>,
    /// What to write instead, when the change cannot be carried out or is probably not meant.
    pub hint: Option<String>,
    /// Where it stands, in the new schema unless it was removed.
    pub place: Place,
    /// See [`Change::is_missing_value`].
    missing_value: bool,
}

/// What a change means for stored rows, from harmless to impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageEffect {
    /// Nothing stored is touched.
    None,
    /// Something is added, widened, renamed or built beside the rows; no row is rewritten or lost.
    Expand,
    /// Every row is read and checked, and files are written anew; nothing is lost.
    Rewrite,
    /// Something stored is given up.
    Contract,
    /// It cannot be carried out in one step; the change's hint says how to do it in two.
    Impossible,
}

/// What a change means for callers of the API, from harmless to breaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireEffect {
    /// The API stays as it is.
    None,
    /// Every call that worked works, with the same meaning.
    Safe,
    /// Every call that worked is still valid, but its answer may hold what the caller does not expect.
    Dangerous,
    /// Some call that worked is refused, or its answer has another type.
    Breaking,
}

impl StorageEffect {
    /// All classes, mildest first.
    pub const ALL: [StorageEffect; 5] = [
        StorageEffect::None,
        StorageEffect::Expand,
        StorageEffect::Rewrite,
        StorageEffect::Contract,
        StorageEffect::Impossible,
    ];

    /// The stable name, for JSON and stored plans.
    pub fn name(self) -> &'static str {
        match self {
            StorageEffect::None => "none",
            StorageEffect::Expand => "expand",
            StorageEffect::Rewrite => "rewrite",
            StorageEffect::Contract => "contract",
            StorageEffect::Impossible => "impossible",
        }
    }
}

impl WireEffect {
    /// All classes, mildest first.
    pub const ALL: [WireEffect; 4] =
        [WireEffect::None, WireEffect::Safe, WireEffect::Dangerous, WireEffect::Breaking];

    /// The stable name, for JSON and stored plans.
    pub fn name(self) -> &'static str {
        match self {
            WireEffect::None => "none",
            WireEffect::Safe => "safe",
            WireEffect::Dangerous => "dangerous",
            WireEffect::Breaking => "breaking",
        }
    }
}

impl fmt::Display for StorageEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for WireEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Change {
    /// A change whose effects are still to be set: none on storage, none on the wire.
    pub(crate) fn new(
        kind: ChangeKind,
        path: impl Into<String>,
        place: &Place,
        message: impl Into<String>,
    ) -> Self {
        Change {
            kind,
            path: path.into(),
            message: message.into(),
            storage: StorageEffect::None,
            wire: WireEffect::None,
            wire_reasons: Vec::new(),
            hint: None,
            place: place.clone(),
            missing_value: false,
        }
    }

    fn storage(mut self, effect: StorageEffect) -> Self {
        self.storage = effect;
        self
    }

    /// Impossible, because existing rows have no value for the required field `name`.
    fn without_value(mut self, name: &str) -> Self {
        self.missing_value = true;
        self.storage(StorageEffect::Impossible).hint(format!(
            "existing rows have no value: give it `@column(default: …)`, or add `{name}` as \
             nullable, fill it, and make it required in a later change"
        ))
    }

    /// Possible after all: the values come back with the field.
    pub(crate) fn restore(&mut self) {
        self.missing_value = false;
        self.storage = StorageEffect::Expand;
        self.hint = None;
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it is impossible only because existing rows have no value for a new required field.
    pub(crate) fn is_missing_value(&self) -> bool {
        self.missing_value
    }

    /// The type, or enum, that the change is about.
    pub fn type_name(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }

    /// The field, or enum value, that the change is about.
    pub fn member_name(&self) -> Option<&str> {
        self.path.split_once('.').map(|(_, member)| member)
    }
}

/// Every change from `old` to `new`, in a fixed order.
pub fn diff(old: &Schema, new: &Schema) -> Vec<Change> {
    attributed(old, new).0
}

/// Every change, and what of the API may hurt callers, with the position of the change behind it.
pub(crate) fn attributed(old: &Schema, new: &Schema) -> (Vec<Change>, Vec<(usize, ApiChange)>) {
    let pairing = Pairing::of(old, new);
    let mut changes = Vec::new();
    enums::changes(old, new, &mut changes);
    tables::contested(&pairing, &mut changes);
    for pair in &pairing.types {
        tables::changes(&pairing, pair, &mut changes);
        fields::changes(&pairing, pair, &mut changes);
    }
    for added in &pairing.added {
        tables::added(&pairing, added, &mut changes);
    }
    for removed in &pairing.removed {
        tables::removed(&pairing, removed, &mut changes);
    }
    tables::name_clashes(&pairing, &mut changes);
    services::changes(old, new, &mut changes);
    let laid = wire::weigh(&pairing, &mut changes);
    (changes, laid)
}
