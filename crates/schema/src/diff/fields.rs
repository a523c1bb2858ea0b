//! Changes of fields: what stands behind them, their types, and the directives on them.
//!
//! In: a pair of types. Out: changes field by field, in the order of the new type, then additions,
//! then removals. Not here: the table around them.

use std::sync::Arc;

use super::conversion::{Conversion, conversion};
use super::{Change, ChangeKind, FieldPair, Pairing, StorageEffect, TypePair, WireEffect, policy};
use crate::model::{
    ColumnSpec, Derived, FieldDef, FieldKind, ObjectType, OrderBy, Reference, Schema, VectorSpec,
};

/// Changes of all fields of a pair of types.
pub(super) fn changes(pairing: &Pairing<'_>, pair: &TypePair<'_>, changes: &mut Vec<Change>) {
    contested(pair, changes);
    for fields in &pair.fields {
        let differ = Differ { pairing, pair, fields: *fields };
        differ.run(changes);
    }
    let becomes_table = pair.old.table().is_none();
    for field in &pair.added {
        changes.push(added(pairing.new, pair, field, becomes_table));
    }
    for field in &pair.removed {
        changes.push(removed(pair, field));
    }
    if pair.old.table().is_some() && pair.new.table().is_some() {
        column_clashes(pair, changes);
    }
}

fn contested(pair: &TypePair<'_>, changes: &mut Vec<Change>) {
    for (field, claim) in &pair.contested {
        let name = &field.name;
        changes.push(
            Change::new(
                ChangeKind::FieldNameTaken,
                path(pair.new, name),
                &field.place,
                format!("`{name}` was `{claim}`, but another field is deployed as `{name}`"),
            )
            .storage(StorageEffect::Impossible)
            .hint(format!(
                "first apply a schema without the old `{name}`, then rename `{claim}` to `{name}`"
            )),
        );
    }
}

fn path(object: &ObjectType, field: &str) -> String {
    format!("{}.{field}", object.name)
}

/// What a new stored field does to existing rows.
fn new_column_effect(field: &FieldDef, column: &ColumnSpec) -> StorageEffect {
    match (&column.default, field.nullable) {
        (Some(_), _) => StorageEffect::Rewrite,
        (None, true) => StorageEffect::Expand,
        (None, false) => StorageEffect::Impossible,
    }
}

fn added(schema: &Schema, pair: &TypePair<'_>, field: &FieldDef, fresh: bool) -> Change {
    let name = &field.name;
    let path = path(pair.new, name);
    let message = format!("field `{path}: {}` is added", type_text(schema, &pair.new.name, field));
    let change = Change::new(ChangeKind::FieldAdded, path, &field.place, message);
    let Some(column) = field.column().filter(|_| pair.new.table().is_some() && !fresh) else {
        return change;
    };
    match new_column_effect(field, column) {
        StorageEffect::Impossible => change.without_value(name),
        effect => change.storage(effect),
    }
}

fn removed(pair: &TypePair<'_>, field: &FieldDef) -> Change {
    let name = &field.name;
    let path = path(pair.new, name);
    let stored =
        field.column().filter(|_| pair.old.table().is_some() && pair.new.table().is_some());
    let Some(column) = stored else {
        let message = format!("field `{path}` is removed");
        return Change::new(ChangeKind::FieldRemoved, path, &field.place, message);
    };
    let message = format!("field `{path}` is removed, and with it column `{}`", column.column);
    let change = Change::new(ChangeKind::FieldRemoved, path, &field.place, message)
        .storage(StorageEffect::Contract);
    let alike = |added: &&&FieldDef| {
        added.column().is_some_and(|other| other.data_type == column.data_type)
    };
    match pair.added.iter().find(alike) {
        Some(like) => change.hint(format!(
            "if `{}` is `{name}` under a new name, write `@was(name: \"{name}\")` on it",
            like.name
        )),
        None => change,
    }
}

/// Columns that take a name in files while another column still has it when the step would run.
fn column_clashes(pair: &TypePair<'_>, changes: &mut Vec<Change>) {
    for (field, column) in pair.new.columns() {
        let owner = pair.old.columns().find(|(_, other)| other.column == column.column);
        let Some((owner, _)) = owner else { continue };
        let mine = pair.fields.iter().find(|fields| fields.new.name == field.name);
        let mine_is_stored = mine.is_some_and(|fields| fields.old.column().is_some());
        if mine_is_stored && mine.is_some_and(|fields| fields.old.name == owner.name) {
            continue;
        }
        let owner_after = pair.fields.iter().find(|fields| fields.old.name == owner.name);
        let owner_stays = owner_after.is_some_and(|fields| fields.new.column().is_some());
        // Columns are added after the renames, so that a name given up by a rename is free.
        if owner_stays && !mine_is_stored {
            continue;
        }
        let name = &field.name;
        let change = Change::new(
            ChangeKind::ColumnNameTaken,
            path(pair.new, name),
            &field.place,
            format!(
                "`{name}` takes the column name `{}`, which `{}` still has",
                column.column, owner.name
            ),
        );
        let hint = if owner_stays {
            "swap the names in two changes, through a third name".to_owned()
        } else {
            format!(
                "if `{name}` is `{0}` under a new name, write `@was(name: \"{0}\")` on it; \
                 otherwise remove `{0}` in a change of its own first",
                owner.name
            )
        };
        changes.push(change.storage(StorageEffect::Impossible).hint(hint));
    }
}

/// The type of a field of the type `owner` as the schema spells it.
pub(crate) fn type_text(schema: &Schema, owner: &str, field: &FieldDef) -> String {
    let bang = if field.nullable { "" } else { "!" };
    let text = match &field.kind {
        FieldKind::Column(column) => column_type_text(schema, column),
        FieldKind::Media(_) => "Media".to_owned(),
        FieldKind::Reference(reference) => {
            let target = &schema.object(reference.target).name;
            if reference.many { format!("[{target}!]") } else { target.to_string() }
        }
        FieldKind::Derived(derived) => derived.expr.data_type.to_string(),
        FieldKind::Nearest(_) => format!("[{owner}!]"),
    };
    format!("{text}{bang}")
}

fn column_type_text(schema: &Schema, column: &ColumnSpec) -> String {
    let base = if let Some(name) = &column.enum_name {
        name.to_string()
    } else if let Some(embedded) = column.embedded {
        schema.object(embedded).name.to_string()
    } else if column.is_id {
        "ID".to_owned()
    } else {
        return column.data_type.to_string();
    };
    match &column.data_type {
        frame::DataType::List { nullable, .. } => {
            let bang = if *nullable { "" } else { "!" };
            format!("[{base}{bang}]")
        }
        _ => base,
    }
}

/// How the stored values of a field become those of the new schema; `None` unless both are stored.
pub(crate) fn column_conversion(
    pairing: &Pairing<'_>,
    fields: FieldPair<'_>,
) -> Option<Conversion> {
    let (before, after) = (fields.old.column()?, fields.new.column()?);
    let media = |field: &FieldDef| matches!(field.kind, FieldKind::Media(_));
    if media(fields.old) != media(fields.new) {
        let why = "media and plain values are stored apart".to_owned();
        return Some(Conversion::Impossible(why));
    }
    let plain = conversion(
        (&before.data_type, fields.old.nullable),
        (&after.data_type, fields.new.nullable),
    );
    Some(if plain == Conversion::Same && narrows_to_enum(pairing, before, after) {
        Conversion::Convert { loses: Vec::new() }
    } else {
        plain
    })
}

/// Whether the new column admits only listed values of which the old one may hold others.
fn narrows_to_enum(pairing: &Pairing<'_>, before: &ColumnSpec, after: &ColumnSpec) -> bool {
    let Some(to) = after.enum_name.as_ref().and_then(|name| pairing.new.enums.get(name)) else {
        return false;
    };
    match before.enum_name.as_ref().and_then(|name| pairing.old.enums.get(name)) {
        // The same enum with fewer values is a change of the enum.
        Some(from) if from.name == to.name => false,
        Some(from) => !from.values.iter().all(|value| to.values.contains(value)),
        None => true,
    }
}

/// One pair of fields, compared.
struct Differ<'a> {
    pairing: &'a Pairing<'a>,
    pair: &'a TypePair<'a>,
    fields: FieldPair<'a>,
}

impl Differ<'_> {
    fn run(&self, changes: &mut Vec<Change>) {
        let (old, new) = (self.fields.old, self.fields.new);
        if self.fields.is_renamed() {
            changes.push(self.renamed());
        }
        if kind_name(&old.kind) == kind_name(&new.kind) {
            changes.extend(self.within_kind());
        } else {
            changes.push(self.kind_changed());
        }
        changes.extend(self.nullability());
        changes.extend(self.directives());
        let policies = (&old.policy, &new.policy);
        let kind = ChangeKind::FieldPolicy;
        changes.extend(policy::change(kind, &self.path(), &new.place, policies));
    }

    fn change(&self, kind: ChangeKind, message: impl Into<String>) -> Change {
        let new = self.fields.new;
        Change::new(kind, path(self.pair.new, &new.name), &new.place, message)
    }

    fn path(&self) -> String {
        path(self.pair.new, &self.fields.new.name)
    }

    fn in_tables(&self) -> bool {
        self.pair.old.table().is_some() && self.pair.new.table().is_some()
    }

    fn renamed(&self) -> Change {
        let from = &self.fields.old.name;
        let message = format!("`{}` is renamed to `{}`", path(self.pair.old, from), self.path());
        let change = self.change(ChangeKind::FieldRenamed, message);
        let stored = self.fields.old.column().is_some() && self.fields.new.column().is_some();
        // Parts of embedded objects cannot be renamed: `@was` is not offered there.
        let effect =
            if self.in_tables() && stored { StorageEffect::Expand } else { StorageEffect::None };
        change.storage(effect)
    }

    fn kind_changed(&self) -> Change {
        let (old, new) = (self.fields.old, self.fields.new);
        let message = format!(
            "`{}` changes from {} to {}",
            self.path(),
            kind_name(&old.kind),
            kind_name(&new.kind)
        );
        let change = self.change(ChangeKind::FieldKind, message);
        if !self.in_tables() {
            return change;
        }
        match (old.column(), new.column()) {
            (None, None) => change,
            (Some(_), None) => change.storage(StorageEffect::Contract),
            (None, Some(_)) if is_of_row(&old.kind) => change.storage(StorageEffect::Rewrite),
            (None, Some(column)) => match new_column_effect(new, column) {
                StorageEffect::Impossible => change.without_value(&new.name),
                effect => change.storage(effect),
            },
            (Some(_), Some(_)) => change.storage(StorageEffect::Impossible).hint(format!(
                "add a field of the other kind beside `{}`, and remove this one in a later change",
                old.name
            )),
        }
    }

    /// Changes between two fields of one kind.
    fn within_kind(&self) -> Vec<Change> {
        match (&self.fields.old.kind, &self.fields.new.kind) {
            (FieldKind::Column(old), FieldKind::Column(new))
            | (FieldKind::Media(old), FieldKind::Media(new)) => self.column(old, new),
            (FieldKind::Reference(old), FieldKind::Reference(new)) => self.reference(old, new),
            (FieldKind::Derived(old), FieldKind::Derived(new)) => self.derived(old, new),
            (FieldKind::Nearest(old), FieldKind::Nearest(new)) => {
                let from = self.pair.new_field_name(old.on);
                let to = &self.pair.new.field(new.on).name;
                let message = format!("`{}` looks at `{to}`, looked at `{from}`", self.path());
                let change = self.other_values(ChangeKind::Nearest, message);
                if from == *to { Vec::new() } else { vec![change] }
            }
            _ => Vec::new(),
        }
    }

    fn derived(&self, old: &Derived, new: &Derived) -> Vec<Change> {
        let from = |derived: &Derived| {
            let beyond = derived.beyond.as_ref();
            beyond.map_or_else(|| "its row".to_owned(), |beyond| format!("`{}`", beyond.from))
        };
        let on_error = |derived: &Derived| if derived.propagates { "PROPAGATE" } else { "NULL" };
        let path = self.path();
        let message = if old.text != new.text {
            format!("`{path}` is `{}`, was `{}`", new.text, old.text)
        } else if from(old) != from(new) {
            format!("`{path}` is computed from {}, was from {}", from(new), from(old))
        } else if old.propagates != new.propagates {
            format!("`{path}` fails with `{}`, was `{}`", on_error(new), on_error(old))
        } else {
            return Vec::new();
        };
        vec![self.other_values(ChangeKind::Derived, message)]
    }

    /// A change that no type shows: the same call gets other values.
    fn other_values(&self, kind: ChangeKind, message: String) -> Change {
        let mut change = self.change(kind, message);
        change.wire = WireEffect::Dangerous;
        change.wire_reasons.push("answers have the same shape and other values".to_owned());
        change
    }

    fn column(&self, old: &ColumnSpec, new: &ColumnSpec) -> Vec<Change> {
        let mut changes = Vec::new();
        changes.extend(self.column_type(old, new));
        if self.column_name_changed(old, new) {
            let message = format!(
                "column `{}` of `{}` is renamed to `{}`",
                old.column,
                self.path(),
                new.column
            );
            let change = self.change(ChangeKind::ColumnName, message);
            let expand = if self.in_tables() { StorageEffect::Expand } else { StorageEffect::None };
            changes.push(change.storage(expand));
        }
        if default_text(old) != default_text(new) {
            let message = format!("the default of `{}` changes", self.path());
            changes.push(self.change(ChangeKind::Default, message));
        }
        changes
    }

    /// A field without `@column(name:)` carries its column's name along when it is renamed.
    fn column_name_changed(&self, old: &ColumnSpec, new: &ColumnSpec) -> bool {
        let follows = old.column == self.fields.old.name && new.column == self.fields.new.name;
        old.column != new.column && !(self.fields.is_renamed() && follows)
    }

    fn column_type(&self, old: &ColumnSpec, new: &ColumnSpec) -> Option<Change> {
        let from = self.old_type_in_new_names(old);
        let to = column_type_text(self.pairing.new, new);
        if from == to && old.data_type == new.data_type {
            return None;
        }
        let message = if from == to {
            format!("the fields of `{to}` inside `{}` change", self.path())
        } else {
            format!("`{}` changes from `{from}` to `{to}`", self.path())
        };
        let change = self.change(ChangeKind::FieldType, message);
        let embedded = self.pair.old.table().is_none() && self.pair.new.table().is_none();
        if embedded && narrows_to_enum(self.pairing, old, new) {
            // The rows that hold the object are checked as a whole, which sees types, not values.
            return Some(change.storage(StorageEffect::Impossible).hint(format!(
                "add a field of the new type beside `{}`, fill it, and remove this one in a later \
                 change",
                self.fields.old.name
            )));
        }
        if !self.in_tables() {
            return Some(change);
        }
        // Nullability has a change of its own.
        let same_null = FieldDef { nullable: self.fields.old.nullable, ..self.fields.new.clone() };
        let types_only = FieldPair { old: self.fields.old, new: &same_null };
        Some(match column_conversion(self.pairing, types_only)? {
            Conversion::Same => change,
            Conversion::Widen => change.storage(StorageEffect::Expand),
            Conversion::Convert { loses } if loses.is_empty() => {
                change.storage(StorageEffect::Rewrite)
            }
            Conversion::Convert { .. } => change.storage(StorageEffect::Contract),
            Conversion::Impossible(why) => {
                let hint = format!(
                    "{why}: add a field of the new type beside `{}`, fill it, and remove this one \
                     in a later change",
                    self.fields.old.name
                );
                change.storage(StorageEffect::Impossible).hint(hint)
            }
        })
    }

    fn old_type_in_new_names(&self, old: &ColumnSpec) -> String {
        let text = column_type_text(self.pairing.old, old);
        let Some(embedded) = old.embedded else { return text };
        let before = &self.pairing.old.object(embedded).name;
        text.replace(before.as_ref(), &self.pairing.new_type_name(embedded))
    }

    fn nullability(&self) -> Option<Change> {
        let (old, new) = (self.fields.old, self.fields.new);
        let stored = self.in_tables() && old.column().is_some() && new.column().is_some();
        let path = self.path();
        match (old.nullable, new.nullable) {
            (false, true) => {
                let change =
                    self.change(ChangeKind::FieldNullable, format!("`{path}` may be null"));
                let effect = if stored { StorageEffect::Expand } else { StorageEffect::None };
                Some(change.storage(effect))
            }
            (true, false) => {
                let message = format!("`{path}` is required; rows must not hold null");
                let change = self.change(ChangeKind::FieldRequired, message);
                let effect = if stored { StorageEffect::Rewrite } else { StorageEffect::None };
                Some(change.storage(effect))
            }
            _ => None,
        }
    }

    fn reference(&self, old: &Reference, new: &Reference) -> Vec<Change> {
        let mut changes = Vec::new();
        let before = described(self.pairing.old, self.pair.old, old, |object, id| {
            let pair = self.pairing.pair_of_old(&object.name);
            pair.map_or_else(|| object.field(id).name.clone(), |pair| pair.new_field_name(id))
        });
        let target = self.pairing.new_type_name(old.target);
        let after = described(self.pairing.new, self.pair.new, new, |object, id| {
            object.field(id).name.clone()
        });
        let target_after = &self.pairing.new.object(new.target).name;
        if (&target, old.many, &before.by) != (target_after, new.many, &after.by) {
            let message = format!(
                "`{}` refers to `{target_after}` by `{}`, referred to `{target}` by `{}`",
                self.path(),
                after.by,
                before.by
            );
            changes.push(self.other_values(ChangeKind::Reference, message));
        }
        if before.order != after.order {
            let message = format!("the order of `{}` changes", self.path());
            changes.push(self.other_values(ChangeKind::ReferenceOrder, message));
        }
        changes
    }

    /// Directives that stand on fields of any kind.
    fn directives(&self) -> Vec<Change> {
        let (old, new) = (self.fields.old, self.fields.new);
        let path = self.path();
        let mut changes = Vec::new();
        let mut push = |differs: bool, kind, message: String, storage| {
            if differs {
                changes.push(self.change(kind, message).storage(storage));
            }
        };
        let none = StorageEffect::None;
        let description = format!("the description of `{path}` changes");
        push(old.description != new.description, ChangeKind::FieldDescription, description, none);
        let arguments = format!("the arguments of `{path}` change");
        push(old.arguments != new.arguments, ChangeKind::Arguments, arguments, none);
        let search = if new.search { "is" } else { "is no longer" };
        let stored = new.column().is_some() && old.column().is_some();
        push(
            old.search != new.search && stored,
            ChangeKind::Search,
            format!("text of `{path}` {search} searched"),
            StorageEffect::Expand,
        );
        push(
            old.vector != new.vector && stored,
            ChangeKind::Vector,
            format!(
                "vectors of `{path}` {}",
                vector_change(old.vector.as_ref(), new.vector.as_ref())
            ),
            vector_effect(old.vector.as_ref(), new.vector.as_ref()),
        );
        let deprecated = format!("the deprecation of `{path}` changes");
        push(old.deprecated != new.deprecated, ChangeKind::Deprecated, deprecated, none);
        push(old.cost != new.cost, ChangeKind::Cost, format!("the cost of `{path}` changes"), none);
        let sized = format!("the list size of `{path}` changes");
        push(old.list_size != new.list_size, ChangeKind::ListSize, sized, none);
        let was = format!("the earlier names of `{path}` change");
        push(old.was != new.was && !self.fields.is_renamed(), ChangeKind::Was, was, none);
        changes
    }
}

fn kind_name(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Column(_) => "a column",
        FieldKind::Media(_) => "media",
        FieldKind::Reference(_) => "a reference",
        FieldKind::Derived(_) => "an expression",
        FieldKind::Nearest(_) => "neighbours",
    }
}

/// Whether it is computed of its row alone, so that rows can be filled with it.
fn is_of_row(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Derived(derived) if derived.beyond.is_none())
}

fn default_text(column: &ColumnSpec) -> Option<String> {
    // Spans are places in a text, not part of the value.
    column.default.as_ref().map(|expr| format!("{:?}", expr.node))
}

fn vector_change(old: Option<&VectorSpec>, new: Option<&VectorSpec>) -> String {
    let made = |spec: &VectorSpec| match &spec.model {
        Some(model) => format!("model `{model}`, {} numbers, {:?}", spec.dimension, spec.metric),
        None => format!("{} numbers, {:?}", spec.dimension, spec.metric),
    };
    match (old, new) {
        (None, Some(new)) => format!("are kept ({})", made(new)),
        (Some(old), None) => format!("are no longer kept ({})", made(old)),
        (Some(old), Some(new)) => format!("change from {} to {}", made(old), made(new)),
        (None, None) => "do not change".to_owned(),
    }
}

fn vector_effect(old: Option<&VectorSpec>, new: Option<&VectorSpec>) -> StorageEffect {
    match (old, new) {
        (Some(_), None) => StorageEffect::Contract,
        (Some(old), Some(new)) if (&old.model, old.dimension) != (&new.model, new.dimension) => {
            StorageEffect::Rewrite
        }
        _ => StorageEffect::Expand,
    }
}

struct Described {
    by: Arc<str>,
    order: Vec<(Arc<str>, bool)>,
}

/// The fields that a reference names, by name.
fn described(
    schema: &Schema,
    this: &ObjectType,
    reference: &Reference,
    name: impl Fn(&ObjectType, crate::FieldId) -> Arc<str>,
) -> Described {
    let target = schema.object(reference.target);
    let holder = if reference.many { target } else { this };
    let named = |order: &OrderBy| (name(target, order.field), order.descending);
    Described { by: name(holder, reference.by), order: reference.order.iter().map(named).collect() }
}
