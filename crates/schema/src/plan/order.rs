//! The order of steps: by phase, and inside a phase names first, then what is added, then what is
//! changed.
//!
//! In: the work of all changes. Out: the same work, ordered so that every step finds the tables and
//! columns that it needs, and so that nothing is given up before everything new stands. Not here:
//! which steps there are.

use std::sync::Arc;

use super::Step;
use super::steps::Work;
use crate::diff::Pairing;
use crate::model::{FieldKind, ObjectType, Schema};

/// What becomes true after what, when all steps of a change become true together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    RenameTables,
    RenameColumns,
    CreateTables,
    AddColumns,
    WidenColumns,
    ConvertColumns,
    Formats,
    Keys,
    Layout,
    Indexes,
    Retention,
    Sources,
    DropVectors,
    DropColumns,
    DropTables,
}

/// The rank of a step.
pub(super) fn rank_of(step: &Step) -> Rank {
    match step {
        Step::RenameTable { .. } => Rank::RenameTables,
        Step::RenameColumn { .. } => Rank::RenameColumns,
        Step::CreateTable { .. } | Step::RestoreTable { .. } => Rank::CreateTables,
        Step::AddColumn { .. } | Step::RestoreColumn { .. } => Rank::AddColumns,
        Step::WidenColumn { .. } => Rank::WidenColumns,
        Step::ConvertColumn { .. } => Rank::ConvertColumns,
        Step::ChangeFormat { .. } => Rank::Formats,
        Step::ChangeKey { .. } => Rank::Keys,
        Step::Repartition { .. } | Step::Resort { .. } => Rank::Layout,
        Step::BuildSearch { .. } | Step::BuildVectors { .. } => Rank::Indexes,
        Step::SetRetention { .. } => Rank::Retention,
        Step::ChangeSource { .. } => Rank::Sources,
        Step::DropVectors { .. } => Rank::DropVectors,
        Step::DropColumn { .. } => Rank::DropColumns,
        Step::DropTable { .. } => Rank::DropTables,
    }
}

/// Steps as a switch makes them true, whatever their phases: names come first, because all other
/// steps name tables and columns as the new schema does.
pub fn in_order_of_truth<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<&'a Step> {
    let mut steps: Vec<&Step> = steps.into_iter().collect();
    steps.sort_by_key(|step| rank_of(step));
    steps
}

/// The work in order.
pub(super) fn ordered(pairing: &Pairing<'_>, mut work: Vec<Work>) -> Vec<Work> {
    let creation = by_dependency(pairing.new);
    let removal = by_dependency(pairing.old);
    let rank = |list: &[Arc<str>], name: &Arc<str>| {
        list.iter().position(|other| other == name).unwrap_or(list.len())
    };
    // The sort is stable: within a rank steps stay in the order of the schema.
    work.sort_by_key(|work| {
        let within = match &work.step {
            Step::CreateTable { type_name } | Step::RestoreTable { type_name } => {
                rank(&creation, type_name)
            }
            // What refers to others goes before them.
            Step::DropTable { type_name } => {
                removal.len() - rank(&removal, type_name).min(removal.len())
            }
            _ => 0,
        };
        (work.step.phase(), rank_of(&work.step), within)
    });
    work
}

/// The tables of a schema, each after those that it refers to; a circle is cut where the schema
/// declares its first member.
pub(crate) fn by_dependency(schema: &Schema) -> Vec<Arc<str>> {
    let mut done: Vec<Arc<str>> = Vec::new();
    let mut open: Vec<Arc<str>> = Vec::new();
    for (_, object, _) in schema.tables() {
        visit(schema, object, &mut open, &mut done);
    }
    done
}

fn visit(schema: &Schema, object: &ObjectType, open: &mut Vec<Arc<str>>, done: &mut Vec<Arc<str>>) {
    if open.contains(&object.name) || done.contains(&object.name) {
        return;
    }
    open.push(object.name.clone());
    for field in object.fields.values() {
        if let FieldKind::Reference(reference) = &field.kind
            && !reference.many
        {
            visit(schema, schema.object(reference.target), open, done);
        }
    }
    open.pop();
    done.push(object.name.clone());
}
