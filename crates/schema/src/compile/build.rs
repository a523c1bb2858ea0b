//! Gives every declared field its kind and every table its layout, in an order in which each step
//! finds what it needs: columns, keys, layouts, then what refers to them. In come declarations, out
//! comes a draft; at the end the draft becomes the schema.

use std::sync::Arc;

use apollo_compiler::parser::SourceSpan;
use base::Team;
use indexmap::IndexMap;

use crate::model::{
    ColumnSpec, FieldDef, FieldId, FieldKind, ObjectKind, ObjectType, Schema, TableSpec,
    VectorSpec, Was,
};

use crate::policy::Policy;

use super::column::{self, Columns};
use super::declare::{Declared, Object};
use super::inputs::Pending;
use super::report::Report;
use super::{canonical, derived, field, names, policy, reference, table};

/// What is known of the declared types so far, by position; `None` where something is wrong, which
/// has been said then.
pub(crate) struct Draft {
    /// By object, then by field: the column behind it, when it is one.
    pub(crate) columns: Columns,
    /// By object, then by field: what stands behind it.
    pub(crate) kinds: Vec<Vec<Option<FieldKind>>>,
    /// By object, then by field: its vector.
    pub(crate) vectors: Vec<Vec<Option<VectorSpec>>>,
    /// By object: its key, when it has one and it is right.
    pub(crate) keys: Vec<Vec<FieldId>>,
    /// By object: its layout, when it is a table.
    pub(crate) tables: Vec<Option<TableSpec>>,
    /// By object, then by field: everything else.
    traits: Vec<Vec<field::Traits>>,
    /// By object: its policy, and those of its fields.
    policies: Vec<(Policy, Vec<Policy>)>,
    /// By object: its earlier names.
    pub(crate) was: Vec<Vec<Was>>,
    /// By object: its owner, where it stands on the type.
    owners: Vec<Option<Team>>,
    /// By object: where it is declared.
    places: Vec<base::Place>,
    /// Derived fields whose inputs are on an API that is not known yet.
    pub(crate) pending: Vec<Pending>,
}

impl Draft {
    /// The column behind a field.
    pub(crate) fn column(&self, object: usize, field: usize) -> Option<&ColumnSpec> {
        self.columns[object][field].as_ref()
    }

    /// The earlier names of each field of an object.
    pub(crate) fn field_was(&self, object: usize) -> impl Iterator<Item = &[Was]> {
        self.traits[object].iter().map(|traits| traits.was.as_slice())
    }
}

/// Builds the draft.
pub(crate) fn build(declared: &Declared<'_>, report: &mut Report<'_>) -> Draft {
    let roles = field::roles(declared, report);
    let built = column::columns(declared, &roles, report);
    let mut draft = Draft {
        kinds: Vec::new(),
        vectors: built.vectors,
        keys: Vec::new(),
        tables: Vec::new(),
        traits: Vec::new(),
        policies: Vec::new(),
        was: Vec::new(),
        owners: Vec::new(),
        places: Vec::new(),
        pending: Vec::new(),
        columns: built.columns,
    };
    for (index, object) in declared.objects.values().enumerate() {
        let key = table::key(index, object, &draft, report);
        draft.keys.push(key);
    }
    for (index, object) in declared.objects.values().enumerate() {
        let spec = table::layout(index, object, &draft, report);
        draft.tables.push(spec);
        let was = field::was(&object.directives, object.at(), "type", report);
        draft.was.push(was);
        let owner = owner(object, report);
        draft.owners.push(owner);
        draft.places.push(report.place(report.spot(object.at())).0);
    }
    for (index, object) in declared.objects.values().enumerate() {
        let scope = derived::scope(index, object, declared, &draft, &roles);
        let row = derived::Row { scope, roles: &roles[index] };
        let readable = policy::scope(index, object, &draft);
        let mut kinds = Vec::new();
        let mut traits = Vec::new();
        let mut policies = Vec::new();
        for (position, declared_field) in object.fields.values().enumerate() {
            let subject = field::Subject { declared, object: index, field: declared_field };
            kinds.push(match &roles[index][position] {
                field::Role::Column => {
                    draft.column(index, position).cloned().map(FieldKind::Column)
                }
                field::Role::Media => draft.column(index, position).cloned().map(FieldKind::Media),
                field::Role::Reference(shape) => {
                    reference::reference(subject, shape, &draft, report).map(FieldKind::Reference)
                }
                field::Role::Nearest(shape) => {
                    reference::nearest(subject, shape, &draft, report).map(FieldKind::Nearest)
                }
                field::Role::Derived(shape) => {
                    let pending = &mut draft.pending;
                    derived::derived(subject, shape, &row, pending, report).map(FieldKind::Derived)
                }
                field::Role::Broken => None,
            });
            traits.push(field::traits(subject, &roles[index][position], report));
            let key = &draft.keys[index];
            let role = &roles[index][position];
            let stored = (role, draft.column(index, position));
            policies.push(policy::of_field(subject, stored, key, &readable, report));
        }
        let of_type = policy::of_type(object, &readable, report);
        draft.kinds.push(kinds);
        draft.traits.push(traits);
        draft.policies.push((of_type, policies));
    }
    draft
}

fn owner(object: &Object<'_>, report: &mut Report<'_>) -> Option<Team> {
    let team = object.directives.get("owner")?.text("team")?;
    let spot = report.spot(team.at);
    names::team(team.value, spot, report).then(|| Team::new(team.value))
}

/// The schema of a draft in which nothing is missing, and what is to be settled in it.
pub(crate) fn finish(declared: &Declared<'_>, draft: Draft) -> Option<(Schema, Vec<Pending>)> {
    let mut types = IndexMap::new();
    let Draft { kinds, vectors, tables, traits, policies, was, owners, places, pending, .. } =
        draft;
    let parts = declared.objects.values().zip(kinds).zip(vectors).zip(tables).zip(traits);
    let ends = was.into_iter().zip(owners).zip(places).zip(policies);
    for (((((object, kinds), vectors), table), traits), end) in parts.zip(ends) {
        let (((was, owner), place), (policy, field_policies)) = end;
        let name: Arc<str> = object.name().into();
        let mut fields = IndexMap::new();
        let behind = kinds.into_iter().zip(vectors).zip(traits).zip(field_policies);
        for (declared_field, (((kind, vector), traits), policy)) in
            object.fields.values().zip(behind)
        {
            let definition = field::definition(declared_field, kind?, vector, traits);
            let definition = FieldDef { policy, ..definition };
            fields.insert(definition.name.clone(), definition);
        }
        let object_type = ObjectType {
            name: name.clone(),
            description: object.node.description.as_ref().map(|text| text.as_str().into()),
            module: object.module,
            owner: owner.unwrap_or_else(|| declared.modules[object.module].owner.clone()),
            kind: table.map_or(ObjectKind::Embedded, ObjectKind::Table),
            fields,
            was,
            policy,
            place,
        };
        types.insert(name, object_type);
    }
    let mut schema = Schema {
        modules: declared.modules.clone(),
        types,
        enums: declared.enums.clone(),
        services: declared.services.clone(),
        graph: None,
        holder: declared.holder.clone(),
        fingerprint: "".into(),
    };
    schema.fingerprint = canonical::fingerprint(&schema);
    Some((schema, pending))
}

/// Where a field of the object with this name stands, for messages that point at it.
pub(crate) fn field_named(
    object: &Object<'_>,
    name: &str,
) -> Option<(usize, FieldId, Option<SourceSpan>)> {
    let (index, _, field) = object.fields.get_full(name)?;
    Some((index, FieldId(u32::try_from(index).ok()?), field.at()))
}
