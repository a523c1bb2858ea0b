//! The order of steps: names first, then what expands, then what rewrites, then what contracts.
//!
//! In: the work of all changes. Out: the same work, ordered so that every step finds the tables and
//! columns that it needs, and so that nothing is given up before everything new stands. Not here:
//! which steps there are.

use std::sync::Arc;

use super::Step;
use super::steps::Work;
use crate::diff::Pairing;
use crate::model::{FieldKind, ObjectType, Schema};

/// The phases, in order; a step never runs before one of an earlier phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
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
    DropVectors,
    DropColumns,
    DropTables,
}

/// The phase of a step.
pub(super) fn phase(step: &Step) -> Phase {
    match step {
        Step::RenameTable { .. } => Phase::RenameTables,
        Step::RenameColumn { .. } => Phase::RenameColumns,
        Step::CreateTable { .. } | Step::RestoreTable { .. } => Phase::CreateTables,
        Step::AddColumn { .. } | Step::RestoreColumn { .. } => Phase::AddColumns,
        Step::WidenColumn { .. } => Phase::WidenColumns,
        Step::ConvertColumn { .. } => Phase::ConvertColumns,
        Step::ChangeFormat { .. } => Phase::Formats,
        Step::ChangeKey { .. } => Phase::Keys,
        Step::Repartition { .. } | Step::Resort { .. } => Phase::Layout,
        Step::BuildSearch { .. } | Step::BuildVectors { .. } => Phase::Indexes,
        Step::SetRetention { .. } => Phase::Retention,
        Step::DropVectors { .. } => Phase::DropVectors,
        Step::DropColumn { .. } => Phase::DropColumns,
        Step::DropTable { .. } => Phase::DropTables,
    }
}

/// The work in order.
pub(super) fn ordered(pairing: &Pairing<'_>, mut work: Vec<Work>) -> Vec<Work> {
    let creation = by_dependency(pairing.new);
    let removal = by_dependency(pairing.old);
    let rank = |list: &[Arc<str>], name: &Arc<str>| {
        list.iter().position(|other| other == name).unwrap_or(list.len())
    };
    // The sort is stable: within a phase steps stay in the order of the schema.
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
        (phase(&work.step), within)
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
