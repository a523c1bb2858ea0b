//! The storage work that each change needs.
//!
//! In: changes. Out: [`Work`]: steps, each once, with the strongest effect on callers of the changes
//! that need it. Not here: their order and their words.

use std::sync::Arc;

use super::{Direction, Step};
use crate::diff::{
    Change, ChangeKind, Conversion, FieldPair, Pairing, TypePair, WireEffect, column_conversion,
    enum_holders,
};
use crate::model::{FieldDef, ObjectType};

/// A step and what it means for callers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Work {
    /// The step.
    pub(super) step: Step,
    /// The strongest effect on callers of the changes that need it.
    pub(super) wire: WireEffect,
}

/// The steps of all changes, each once, in the order of the changes.
pub(super) fn of_changes(
    pairing: &Pairing<'_>,
    changes: &[Change],
    direction: Direction,
) -> Vec<Work> {
    let mut all: Vec<Work> = Vec::new();
    for change in changes {
        for step in of_change(pairing, change, direction) {
            match all.iter_mut().find(|work| work.step == step) {
                Some(work) => work.wire = work.wire.max(change.wire),
                None => all.push(Work { step, wire: change.wire }),
            }
        }
    }
    drop_superseded(&mut all);
    all
}

/// A conversion does what a widening does, and a copy into another format lays rows out anew.
fn drop_superseded(all: &mut Vec<Work>) {
    let steps: Vec<Step> = all.iter().map(|work| work.step.clone()).collect();
    all.retain(|work| match &work.step {
        Step::WidenColumn { type_name, field } => {
            let (type_name, field) = (type_name.clone(), field.clone());
            !steps.contains(&Step::ConvertColumn { type_name, field })
        }
        Step::Repartition { type_name } | Step::Resort { type_name } => {
            !steps.contains(&Step::ChangeFormat { type_name: type_name.clone() })
        }
        _ => true,
    });
}

fn of_change(pairing: &Pairing<'_>, change: &Change, direction: Direction) -> Vec<Step> {
    let name = change.type_name();
    match change.kind {
        ChangeKind::TypeAdded => {
            let added = pairing.added.iter().find(|object| object.name.as_ref() == name);
            added.into_iter().filter_map(|object| create(object, direction)).collect()
        }
        ChangeKind::TypeRemoved => {
            let removed = pairing.removed.iter().find(|object| object.name.as_ref() == name);
            removed.into_iter().filter_map(|object| drop_table(object)).collect()
        }
        ChangeKind::EnumValueRemoved => enum_checks(pairing, name),
        ChangeKind::SourceAdded | ChangeKind::SourceRemoved | ChangeKind::SourceSettings => {
            let source = change.member_name().unwrap_or_default().into();
            vec![Step::ChangeSource { source }]
        }
        _ => {
            let pair = pairing.types.iter().find(|pair| pair.new.name.as_ref() == name);
            pair.map_or_else(Vec::new, |pair| of_pair(pairing, pair, change, direction))
        }
    }
}

fn create(object: &ObjectType, direction: Direction) -> Option<Step> {
    object.table()?;
    let type_name = object.name.clone();
    Some(match direction {
        Direction::Forward => Step::CreateTable { type_name },
        Direction::Undo => Step::RestoreTable { type_name },
    })
}

fn drop_table(object: &ObjectType) -> Option<Step> {
    object.table().map(|_| Step::DropTable { type_name: object.name.clone() })
}

/// Every column that may hold a value that goes is checked.
fn enum_checks(pairing: &Pairing<'_>, enum_name: &str) -> Vec<Step> {
    let kept = |object: &ObjectType, field: &FieldDef| {
        let pair = pairing.pair_of_old(&object.name).filter(|pair| pair.new.table().is_some())?;
        let fields = pair.fields.iter().find(|fields| fields.old.name == field.name)?;
        fields.new.column()?;
        Some(Step::ConvertColumn {
            type_name: pair.new.name.clone(),
            field: fields.new.name.clone(),
        })
    };
    enum_holders(pairing.old, enum_name).filter_map(|(object, field)| kept(object, field)).collect()
}

/// The steps of a change of a type that both schemas have.
fn of_pair(
    pairing: &Pairing<'_>,
    pair: &TypePair<'_>,
    change: &Change,
    direction: Direction,
) -> Vec<Step> {
    if change.kind == ChangeKind::TypeKind {
        return drop_table(pair.old).or_else(|| create(pair.new, direction)).into_iter().collect();
    }
    if pair.old.table().is_none() || pair.new.table().is_none() {
        return Vec::new();
    }
    match change.member_name() {
        None => of_table(pair, change),
        Some(member) => of_field(pairing, pair, change, member, direction),
    }
}

fn of_table(pair: &TypePair<'_>, change: &Change) -> Vec<Step> {
    let type_name = pair.new.name.clone();
    let same_name =
        pair.old.table().map(|spec| &spec.name) == pair.new.table().map(|spec| &spec.name);
    match change.kind {
        ChangeKind::TableName if same_name => Vec::new(),
        ChangeKind::TypeRenamed | ChangeKind::TypeModule | ChangeKind::TableName => {
            vec![Step::RenameTable { from: pair.old.name.clone(), to: type_name }]
        }
        ChangeKind::Key => vec![Step::ChangeKey { type_name }],
        ChangeKind::Format => vec![Step::ChangeFormat { type_name }],
        ChangeKind::Bucket | ChangeKind::Partition => vec![Step::Repartition { type_name }],
        ChangeKind::Sort => vec![Step::Resort { type_name }],
        ChangeKind::Retain => vec![Step::SetRetention { type_name }],
        _ => Vec::new(),
    }
}

fn of_field(
    pairing: &Pairing<'_>,
    pair: &TypePair<'_>,
    change: &Change,
    member: &str,
    direction: Direction,
) -> Vec<Step> {
    let type_name = pair.new.name.clone();
    if change.kind == ChangeKind::FieldAdded {
        let added = pair.added.iter().find(|field| field.name.as_ref() == member);
        return added.map_or_else(Vec::new, |field| add_column(&type_name, field, direction));
    }
    if change.kind == ChangeKind::FieldRemoved {
        let removed = pair.removed.iter().find(|field| field.name.as_ref() == member);
        return removed.map_or_else(Vec::new, |field| drop_column(&type_name, field));
    }
    let Some(fields) = pair.fields.iter().find(|fields| fields.new.name.as_ref() == member) else {
        return Vec::new();
    };
    let (old, new) = (fields.old, fields.new);
    if change.kind == ChangeKind::FieldKind {
        let mut steps = add_column(&type_name, new, direction);
        steps.extend(drop_column(&type_name, old));
        return steps;
    }
    if old.column().is_none() || new.column().is_none() {
        return Vec::new();
    }
    let field = new.name.clone();
    match change.kind {
        ChangeKind::FieldRenamed | ChangeKind::ColumnName => {
            vec![Step::RenameColumn { type_name, from: old.name.clone(), to: field }]
        }
        ChangeKind::FieldType | ChangeKind::FieldNullable | ChangeKind::FieldRequired => {
            converted(pairing, &type_name, *fields)
        }
        ChangeKind::Search => vec![Step::BuildSearch { type_name }],
        ChangeKind::Vector if new.vector.is_some() => vec![Step::BuildVectors { type_name, field }],
        ChangeKind::Vector => vec![Step::DropVectors { type_name, field }],
        _ => Vec::new(),
    }
}

fn converted(pairing: &Pairing<'_>, type_name: &Arc<str>, fields: FieldPair<'_>) -> Vec<Step> {
    let (type_name, field) = (type_name.clone(), fields.new.name.clone());
    match column_conversion(pairing, fields) {
        Some(Conversion::Widen) => vec![Step::WidenColumn { type_name, field }],
        Some(Conversion::Convert { .. }) => vec![Step::ConvertColumn { type_name, field }],
        _ => Vec::new(),
    }
}

fn add_column(type_name: &Arc<str>, field: &FieldDef, direction: Direction) -> Vec<Step> {
    if field.column().is_none() {
        return Vec::new();
    }
    let names = || (type_name.clone(), field.name.clone());
    let (table, name) = names();
    let mut steps = vec![match direction {
        Direction::Forward => Step::AddColumn { type_name: table, field: name },
        Direction::Undo => Step::RestoreColumn { type_name: table, field: name },
    }];
    if field.search {
        steps.push(Step::BuildSearch { type_name: type_name.clone() });
    }
    if field.vector.is_some() {
        let (type_name, field) = names();
        steps.push(Step::BuildVectors { type_name, field });
    }
    steps
}

fn drop_column(type_name: &Arc<str>, field: &FieldDef) -> Vec<Step> {
    if field.column().is_none() {
        return Vec::new();
    }
    let names = || (type_name.clone(), field.name.clone());
    let mut steps = Vec::new();
    if field.search {
        steps.push(Step::BuildSearch { type_name: type_name.clone() });
    }
    if field.vector.is_some() {
        let (type_name, field) = names();
        steps.push(Step::DropVectors { type_name, field });
    }
    let (type_name, field) = names();
    steps.push(Step::DropColumn { type_name, field });
    steps
}
