//! The schema as one caller sees it: in come a schema and who asks, out comes a schema whose fields say
//! what is shown of them, so that the API that follows from it offers nothing else.
//!
//! What is hidden is in no type, no argument, no enum of the API; what is shown partly is read and
//! filtered by, masked, but nothing is ordered, grouped, measured, searched or written by it. Fields that
//! follow from others are shown as these are. Not here: the masks themselves (`mesh`).

mod reduce;

use std::collections::HashSet;

use apollo_compiler::Schema as Sdl;
use base::Principal;

use crate::api::{Verb, api_sdl};
use crate::compile::may_be_asked;
use crate::model::{Derived, FieldDef, FieldId, FieldKind, Giver, ObjectKind, ObjectType, Schema};
use crate::policy::Shown;

pub(crate) use reduce::{pruned, reduced};

impl Schema {
    /// The schema as a caller sees it; itself, when nothing is held back.
    pub fn seen_by(&self, who: &Principal) -> Schema {
        let mut view = self.clone();
        if self.is_whole_for(who) {
            return view;
        }
        for object in view.types.values_mut() {
            object.policy.shown = object.policy.sight(who).shown();
            for field in object.fields.values_mut() {
                field.policy.shown = field.policy.sight(who).shown();
            }
        }
        follow(&mut view);
        quieten(&mut view);
        loop {
            if let Some(graph) = &self.graph {
                view.graph = Some(std::sync::Arc::new(reduced(self, &view, graph, who)));
            }
            let unasked = unaskable(&view);
            if unasked.is_empty() {
                return view;
            }
            hide(&mut view, unasked);
        }
    }
}

/// Derived fields whose inputs the view does not offer, by type and field: whoever could not ask for them
/// is not told what follows from them. Arguments count, too: an order may tell of values.
fn unaskable(view: &Schema) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut tables = None;
    for (index, object) in view.types.values().enumerate() {
        for (position, field) in object.fields.values().enumerate() {
            let FieldKind::Derived(Derived { beyond: Some(beyond), .. }) = &field.kind else {
                continue;
            };
            let of_tables = || Sdl::parse_and_validate(api_sdl(view), "api.graphql").ok();
            let api = match (beyond.giver, &view.graph) {
                (Giver::Graph, Some(graph)) => Some(&graph.api),
                _ => tables.get_or_insert_with(of_tables).as_ref(),
            };
            let is_offered = api.is_some_and(|api| may_be_asked(api, &object.name, beyond));
            if field.is_shown() && object.is_shown() && !is_offered {
                found.push((index, position));
            }
        }
    }
    found
}

fn hide(view: &mut Schema, fields: Vec<(usize, usize)>) {
    for (object, field) in fields {
        let object = view.types.get_index_mut(object).map(|(_, object)| object);
        let field = object.and_then(|object| object.fields.get_index_mut(field));
        if let Some((_, field)) = field {
            field.policy.shown = Shown::Hidden;
        }
    }
}

/// Fields that follow from others are shown as these are: until nothing changes, for one may follow from
/// another that follows.
fn follow(view: &mut Schema) {
    loop {
        let mut hidden = Vec::new();
        for (index, object) in view.types.values().enumerate() {
            for (position, field) in object.fields.values().enumerate() {
                if field.policy.shown != Shown::Hidden && follows_hidden(view, object, field) {
                    hidden.push((index, position));
                }
            }
        }
        if hidden.is_empty() {
            return;
        }
        hide(view, hidden);
    }
}

/// Whether what a field is made of is hidden.
fn follows_hidden(view: &Schema, object: &ObjectType, field: &FieldDef) -> bool {
    let is_hidden =
        |object: &ObjectType, id: FieldId| object.field(id).policy.shown == Shown::Hidden;
    match &field.kind {
        FieldKind::Column(_) | FieldKind::Media(_) => false,
        FieldKind::Derived(derived) => derived.inputs.iter().any(|id| is_hidden(object, *id)),
        // Whose vector is near says much of the vector that one does not see.
        FieldKind::Nearest(nearest) => object.field(nearest.on).policy.shown != Shown::Whole,
        FieldKind::Reference(reference) => {
            let target = view.object(reference.target);
            let holder = if reference.many { target } else { object };
            target.policy.shown == Shown::Hidden || is_hidden(holder, reference.by)
        }
    }
}

/// Takes out what would let hidden values decide: text that is searched, orders that are declared.
fn quieten(view: &mut Schema) {
    let whole: Vec<HashSet<FieldId>> = view.types.values().map(whole_fields).collect();
    for (object, own) in view.types.values_mut().zip(&whole) {
        if let ObjectKind::Table(spec) = &mut object.kind {
            spec.sort.retain(|item| own.contains(&item.field));
        }
        for field in object.fields.values_mut() {
            field.search &= field.policy.shown == Shown::Whole;
            if let FieldKind::Reference(reference) = &mut field.kind {
                let target = whole.get(reference.target.0 as usize);
                let is_whole = |id: &FieldId| target.is_some_and(|target| target.contains(id));
                reference.order.retain(|item| is_whole(&item.field));
            }
        }
    }
}

fn whole_fields(object: &ObjectType) -> HashSet<FieldId> {
    let fields = object.fields.values().enumerate();
    let whole = fields.filter(|(_, field)| field.is_whole());
    whole.map(|(position, _)| FieldId(position as u32)).collect()
}

impl Schema {
    /// Whether it is a view in which something is held back.
    pub(crate) fn is_view(&self) -> bool {
        self.types.values().any(|object| {
            object.policy.shown != Shown::Whole
                || object.fields.values().any(|field| !field.is_whole())
        })
    }
}

impl ObjectType {
    /// Whether all its rows are seen: only then may the number of rows that have a word say how well one
    /// of them matches.
    pub fn has_all_rows(&self) -> bool {
        self.policy.shown == Shown::Whole
    }

    /// Whether the API that this schema gives has the type at all.
    pub(crate) fn is_shown(&self) -> bool {
        self.policy.shown != Shown::Hidden
    }

    /// Whether a caller may do this to the type. A row that has the key of one that is not seen would tell
    /// of it, and a row that is replaced whole would lose what its writer does not see.
    pub(crate) fn offers(&self, verb: Verb) -> bool {
        let is_whole = |field: &FieldDef| field.policy.shown == Shown::Whole;
        let mut columns = self.columns();
        let can_add = || {
            let mut columns = self.columns();
            columns.all(|(field, column)| {
                is_whole(field) || field.nullable || column.default.is_some()
            })
        };
        match (verb, self.policy.shown) {
            (_, Shown::Hidden) => false,
            (Verb::Append, _) => can_add(),
            (_, Shown::Partly) => false,
            (Verb::Create, _) => can_add(),
            (Verb::Upsert, _) => columns.all(|(field, _)| is_whole(field)),
            (Verb::Update | Verb::Delete, _) => true,
        }
    }
}

impl FieldDef {
    /// Whether the API that this schema gives has the field at all.
    pub(crate) fn is_shown(&self) -> bool {
        self.policy.shown != Shown::Hidden
    }

    /// Whether all its values are seen: only then may they decide, and be written.
    pub fn is_whole(&self) -> bool {
        self.policy.shown == Shown::Whole
    }
}
