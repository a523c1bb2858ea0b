//! Changes of types and of the tables behind them.
//!
//! In: a [`Pairing`]. Out: changes of names, kinds, owners, keys and layout. Not here: fields.

use std::sync::Arc;
use std::time::Duration;

use super::{Change, ChangeKind, Pairing, StorageEffect, TypePair, policy};
use crate::model::{
    ObjectKind, ObjectType, OrderBy, PartitionTransform, Schema, TableFormat, TableSpec,
};

/// Types whose `@was` cannot be believed.
pub(super) fn contested(pairing: &Pairing<'_>, changes: &mut Vec<Change>) {
    for (object, claim) in &pairing.contested {
        let name = &object.name;
        let message = format!("`{name}` was `{claim}`, but another type is deployed as `{name}`");
        let change = Change::new(ChangeKind::TypeNameTaken, name.as_ref(), &object.place, message);
        changes.push(change.storage(StorageEffect::Impossible).hint(format!(
            "first apply a schema without the old `{name}`, then rename `{claim}` to `{name}`"
        )));
    }
}

/// Changes of one type that both schemas have, without those of its fields.
pub(super) fn changes(pairing: &Pairing<'_>, pair: &TypePair<'_>, changes: &mut Vec<Change>) {
    let (old, new) = (pair.old, pair.new);
    let mut push = |kind, message: String, storage| {
        changes.push(Change::new(kind, new.name.as_ref(), &new.place, message).storage(storage));
    };
    let name = &new.name;
    let metadata = metadata_effect(new);
    if pair.is_renamed() {
        let message = format!("`{}` is renamed to `{name}`", old.name);
        push(ChangeKind::TypeRenamed, message, metadata);
    }
    if old.description != new.description {
        let message = format!("the description of `{name}` changes");
        push(ChangeKind::TypeDescription, message, StorageEffect::None);
    }
    if old.owner != new.owner {
        let message =
            format!("the owner of `{name}` changes from `{}` to `{}`", old.owner, new.owner);
        push(ChangeKind::TypeOwner, message, StorageEffect::None);
    }
    let (from, to) = (module_name(pairing.old, old), module_name(pairing.new, new));
    if from != to {
        let message = format!("`{name}` moves from module `{from}` to `{to}`");
        push(ChangeKind::TypeModule, message, metadata);
    }
    match (&old.kind, &new.kind) {
        (ObjectKind::Table(before), ObjectKind::Table(after)) => {
            table(pair, before, after, changes);
        }
        (ObjectKind::Table(_), ObjectKind::Embedded) => {
            let message = format!("`{name}` is no longer a table");
            push(ChangeKind::TypeKind, message, StorageEffect::Contract);
        }
        (ObjectKind::Embedded, ObjectKind::Table(_)) => {
            let message = format!("`{name}` becomes a table");
            push(ChangeKind::TypeKind, message, StorageEffect::Expand);
        }
        (ObjectKind::Embedded, ObjectKind::Embedded) => {}
    }
    let policies = (&old.policy, &new.policy);
    changes.extend(policy::change(ChangeKind::TypePolicy, name, &new.place, policies));
    if old.was != new.was && !pair.is_renamed() {
        changes.push(Change::new(
            ChangeKind::Was,
            name.as_ref(),
            &new.place,
            format!("the earlier names of `{name}` change"),
        ));
    }
}

fn metadata_effect(object: &ObjectType) -> StorageEffect {
    match object.kind {
        ObjectKind::Table(_) => StorageEffect::Expand,
        ObjectKind::Embedded => StorageEffect::None,
    }
}

fn module_name<'a>(schema: &'a Schema, object: &ObjectType) -> &'a str {
    schema.modules.get(object.module).map_or("", |module| module.name.as_ref())
}

/// Changes of `@table` and `@key`.
fn table(pair: &TypePair<'_>, old: &TableSpec, new: &TableSpec, changes: &mut Vec<Change>) {
    let name = &pair.new.name;
    let mut push = |kind, storage, what: &str, from: String, to: String| {
        if from != to {
            let message = format!("{what} of `{name}` changes from {from} to {to}");
            let change = Change::new(kind, name.as_ref(), &pair.new.place, message);
            changes.push(change.storage(storage));
        }
    };
    // A type without `plural` carries its table's name along when it is renamed.
    if old.plural != new.plural || !pair.is_renamed() {
        let named = |spec: &TableSpec| match &spec.plural {
            Some(plural) => format!("`{plural}`"),
            None => format!("`{}` (no plural)", spec.name),
        };
        let storage =
            if old.name == new.name { StorageEffect::None } else { StorageEffect::Expand };
        push(ChangeKind::TableName, storage, "the table name", named(old), named(new));
    }
    let rewrite = StorageEffect::Rewrite;
    let before = layout_in_new_names(pair, old);
    let after = Layout::of(pair.new, new);
    push(ChangeKind::Key, rewrite, "the key", listed(&before.key), listed(&after.key));
    push(ChangeKind::Format, rewrite, "the format", format_name(old), format_name(new));
    push(ChangeKind::Bucket, rewrite, "the bucketing", before.bucket, after.bucket);
    push(
        ChangeKind::Partition,
        rewrite,
        "the partitioning",
        listed(&before.partition),
        listed(&after.partition),
    );
    push(ChangeKind::Sort, rewrite, "the sort order", listed(&before.sort), listed(&after.sort));
    let retain = retain_effect(old.retain, new.retain);
    push(ChangeKind::Retain, retain, "the retention", kept(old.retain), kept(new.retain));
}

/// Without `retain:` old snapshots are kept for as long as the lake keeps them anyway; only a
/// stated time that becomes shorter is known to give something up.
pub(crate) fn retain_effect(old: Option<Duration>, new: Option<Duration>) -> StorageEffect {
    match (old, new) {
        (Some(from), Some(to)) if to >= from => StorageEffect::Expand,
        (_, None) => StorageEffect::Expand,
        (_, Some(_)) => StorageEffect::Contract,
    }
}

/// A duration as `retain:` spells it.
pub(crate) fn kept(retain: Option<Duration>) -> String {
    let Some(retain) = retain else { return "the default".to_owned() };
    let seconds = retain.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

fn format_name(spec: &TableSpec) -> String {
    match spec.format {
        TableFormat::Iceberg => "ICEBERG".to_owned(),
        TableFormat::Lance => "LANCE".to_owned(),
    }
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { format!("`{}`", items.join(", ")) }
}

/// The fields that a table's key and layout name, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// `@key`.
    pub(crate) key: Vec<String>,
    /// `bucket:`, or `none`.
    pub(crate) bucket: String,
    /// `partition:`.
    pub(crate) partition: Vec<String>,
    /// `sort:`.
    pub(crate) sort: Vec<String>,
}

impl Layout {
    /// The layout of a table in its own names.
    pub(crate) fn of(object: &ObjectType, spec: &TableSpec) -> Layout {
        Layout::named(spec, &|id| object.field(id).name.clone())
    }

    fn named(spec: &TableSpec, name: &dyn Fn(crate::FieldId) -> Arc<str>) -> Layout {
        let bucket = spec.bucket.as_ref();
        Layout {
            key: spec.key.iter().map(|id| name(*id).to_string()).collect(),
            bucket: bucket
                .map_or("none".to_owned(), |b| format!("`{}` into {}", name(b.by), b.count)),
            partition: spec
                .partition
                .iter()
                .map(|part| transformed(part.transform, &name(part.field)))
                .collect(),
            sort: spec.sort.iter().map(|order| ordered(order, &name(order.field))).collect(),
        }
    }
}

fn layout_in_new_names(pair: &TypePair<'_>, spec: &TableSpec) -> Layout {
    Layout::named(spec, &|id| pair.new_field_name(id))
}

/// `day(at)`.
pub(crate) fn transformed(transform: PartitionTransform, field: &str) -> String {
    match transform {
        PartitionTransform::Identity => field.to_owned(),
        PartitionTransform::Year => format!("year({field})"),
        PartitionTransform::Month => format!("month({field})"),
        PartitionTransform::Day => format!("day({field})"),
        PartitionTransform::Hour => format!("hour({field})"),
        PartitionTransform::Truncate(width) => format!("truncate({field}, {width})"),
    }
}

/// `at desc`.
pub(crate) fn ordered(order: &OrderBy, field: &str) -> String {
    if order.descending { format!("{field} desc") } else { field.to_owned() }
}

/// A type of the new schema only.
pub(super) fn added(pairing: &Pairing<'_>, object: &ObjectType, changes: &mut Vec<Change>) {
    let name = &object.name;
    let module = module_name(pairing.new, object);
    let message = match &object.kind {
        ObjectKind::Table(spec) => {
            format!("type `{name}` is added to module `{module}` as table `{}`", spec.name)
        }
        ObjectKind::Embedded => format!("type `{name}` is added to module `{module}`"),
    };
    let change = Change::new(ChangeKind::TypeAdded, name.as_ref(), &object.place, message);
    changes.push(change.storage(metadata_effect(object)));
}

/// A type of the old schema only.
pub(super) fn removed(pairing: &Pairing<'_>, object: &ObjectType, changes: &mut Vec<Change>) {
    let name = &object.name;
    let (message, storage) = match &object.kind {
        ObjectKind::Table(spec) => (
            format!("type `{name}` is removed, and with it table `{}`", spec.name),
            StorageEffect::Contract,
        ),
        ObjectKind::Embedded => (format!("type `{name}` is removed"), StorageEffect::None),
    };
    let mut change = Change::new(ChangeKind::TypeRemoved, name.as_ref(), &object.place, message)
        .storage(storage);
    if let Some(like) = pairing.added.iter().find(|added| looks_like(object, added)) {
        change = change.hint(format!(
            "if `{}` is `{name}` under a new name, write `@was(name: \"{name}\")` on it",
            like.name
        ));
    }
    changes.push(change);
}

/// Whether more than half of the stored fields have the same name in both.
fn looks_like(old: &ObjectType, new: &ObjectType) -> bool {
    let stored = old.columns().count();
    let shared = old.columns().filter(|(field, _)| new.fields.contains_key(&field.name)).count();
    old.table().is_some() && new.table().is_some() && stored > 0 && shared * 2 > stored
}

/// Tables that take a SQL name while another table still has it when the step would run.
pub(super) fn name_clashes(pairing: &Pairing<'_>, changes: &mut Vec<Change>) {
    for (_, object, spec) in pairing.new.tables() {
        let Some((_, owner, _)) = pairing.old.table_named(&spec.name) else { continue };
        let mine = pairing.types.iter().find(|pair| pair.new.name == object.name);
        let mine_is_table = mine.is_some_and(|pair| pair.old.table().is_some());
        if mine.is_some_and(|pair| pair.old.name == owner.name && mine_is_table) {
            continue;
        }
        let owner_after =
            pairing.pair_of_old(&owner.name).filter(|pair| pair.new.table().is_some());
        // A new table is made after the renames, so that a name given up by a rename is free.
        if owner_after.is_some() && !mine_is_table {
            continue;
        }
        let name = &object.name;
        let message = format!(
            "`{name}` takes the table name `{}`, which table `{}` still has",
            spec.name, owner.name
        );
        let change = Change::new(ChangeKind::TableNameTaken, name.as_ref(), &object.place, message);
        let hint = match owner_after {
            None => format!(
                "if `{name}` is `{0}` under a new name, write `@was(name: \"{0}\")` on it; \
                 otherwise give it another `plural`, or remove `{0}` in a change of its own first",
                owner.name
            ),
            Some(_) => "swap the names in two changes, through a third name".to_owned(),
        };
        changes.push(change.storage(StorageEffect::Impossible).hint(hint));
    }
}
