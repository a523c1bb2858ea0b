//! What a step does and gives up, in words.
//!
//! In: a step and the two schemas. Out: a [`PlannedStep`]. Not here: the layout of a whole plan on
//! a terminal.

use super::steps::Work;
use super::{PlannedStep, Step};
use crate::compile::source::{breaker_text, time_text};
use crate::diff::{
    Conversion, FieldPair, Layout, Pairing, StorageEffect, TypePair, column_conversion, kept,
    retain_effect, type_text,
};
use crate::model::{
    FieldDef, FieldKind, ObjectType, SourceSpec, TableFormat, TableSpec, VectorSpec,
};

/// The step with its words, storage effect and losses.
pub(super) fn planned(pairing: &Pairing<'_>, work: Work) -> PlannedStep {
    let (text, storage, destroys) = described(pairing, &work.step);
    PlannedStep { step: work.step, storage, wire: work.wire, destroys, text }
}

type Described = (String, StorageEffect, Vec<String>);

fn described(pairing: &Pairing<'_>, step: &Step) -> Described {
    use StorageEffect::{Contract, Expand, Rewrite};
    let words = Words { pairing };
    let plain = |text: String, effect| (text, effect, Vec::new());
    match step {
        Step::CreateTable { type_name } => plain(words.create(type_name), Expand),
        Step::RestoreTable { type_name } => {
            let table = words.table(type_name);
            plain(format!("restore table `{table}` from its last snapshot"), Expand)
        }
        Step::DropTable { type_name } => words.drop_table(type_name),
        Step::RenameTable { from, to } => plain(words.rename_table(from, to), Expand),
        Step::AddColumn { type_name, field } => words.add_column(type_name, field),
        Step::RestoreColumn { type_name, field } => {
            let column = words.column(type_name, field);
            let values = "its old values, but none in rows that were changed since";
            plain(format!("restore column `{column}` with {values}"), Expand)
        }
        Step::DropColumn { type_name, field } => words.drop_column(type_name, field),
        Step::RenameColumn { type_name, from, to } => {
            plain(words.rename_column(type_name, from, to), Expand)
        }
        Step::WidenColumn { type_name, field } => plain(words.widen(type_name, field), Expand),
        Step::ConvertColumn { type_name, field } => words.convert(type_name, field),
        Step::Repartition { type_name } => plain(words.repartition(type_name), Rewrite),
        Step::Resort { type_name } => plain(words.resort(type_name), Rewrite),
        Step::ChangeKey { type_name } => plain(words.change_key(type_name), Rewrite),
        Step::ChangeFormat { type_name } => plain(words.change_format(type_name), Rewrite),
        Step::BuildSearch { type_name } => plain(words.build_search(type_name), Expand),
        Step::BuildVectors { type_name, field } => {
            plain(words.build_vectors(type_name, field), Expand)
        }
        Step::DropVectors { type_name, field } => {
            let place = words.old_column(type_name, field);
            plain(format!("drop the vectors of `{place}`, which can be made again"), Contract)
        }
        Step::SetRetention { type_name } => words.retention(type_name),
        Step::ChangeSource { source } => plain(words.source(source), StorageEffect::None),
    }
}

/// Looks names up in both schemas.
struct Words<'a> {
    pairing: &'a Pairing<'a>,
}

impl<'a> Words<'a> {
    fn pair(&self, type_name: &str) -> Option<&'a TypePair<'a>> {
        self.pairing.types.iter().find(|pair| pair.new.name.as_ref() == type_name)
    }

    fn new_type(&self, type_name: &str) -> Option<&'a ObjectType> {
        self.pairing.new.types.get(type_name)
    }

    fn spec(&self, type_name: &str) -> Option<&'a TableSpec> {
        self.new_type(type_name)?.table()
    }

    fn table(&self, type_name: &str) -> &'a str {
        self.spec(type_name).map_or("", |spec| spec.name.as_ref())
    }

    /// `table.column` of a field of the new schema.
    fn column(&self, type_name: &str, field: &str) -> String {
        let found = self.new_type(type_name).and_then(|object| object.fields.get(field));
        let column =
            found.and_then(FieldDef::column).map_or(field, |column| column.column.as_ref());
        format!("{}.{column}", self.table(type_name))
    }

    /// The field of the old schema that a step names: under its old name, or its new one.
    fn old_field(&self, type_name: &str, field: &str) -> Option<&'a FieldDef> {
        let pair = self.pair(type_name)?;
        let renamed = pair.fields.iter().find(|fields| fields.new.name.as_ref() == field);
        match renamed {
            Some(fields) => Some(fields.old),
            None => pair.old.fields.get(field),
        }
    }

    /// `table.column` of a field of the old schema, in the new table's name.
    fn old_column(&self, type_name: &str, field: &str) -> String {
        let found = self.old_field(type_name, field);
        let column =
            found.and_then(FieldDef::column).map_or(field, |column| column.column.as_ref());
        format!("{}.{column}", self.table(type_name))
    }

    fn create(&self, type_name: &str) -> String {
        let Some((object, spec)) = self.new_type(type_name).zip(self.spec(type_name)) else {
            return String::new();
        };
        let format = match spec.format {
            TableFormat::Iceberg => "Iceberg",
            TableFormat::Lance => "Lance",
        };
        let layout = Layout::of(object, spec);
        let mut parts = vec![count(object.columns().count(), "column")];
        if layout.key.is_empty() {
            parts.push("append-only".to_owned());
        } else {
            parts.push(format!("key `{}`", layout.key.join(", ")));
        }
        if spec.bucket.is_some() {
            parts.push(format!("bucketed by {}", layout.bucket));
        }
        if !layout.partition.is_empty() {
            parts.push(format!("partitioned by `{}`", layout.partition.join(", ")));
        }
        format!("create {format} table `{}` ({})", spec.name, parts.join(", "))
    }

    fn drop_table(&self, type_name: &str) -> Described {
        let old = self.pairing.old.types.get(type_name);
        let Some((object, spec)) = old.and_then(|object| Some((object, object.table()?))) else {
            return (String::new(), StorageEffect::Contract, Vec::new());
        };
        let columns: Vec<_> = object.columns().map(|(_, column)| column.column.as_ref()).collect();
        let mut destroys =
            vec![format!("table `{}` with all its rows ({})", spec.name, columns.join(", "))];
        destroys
            .extend(media_of(object).map(|field| format!("the media of `{}.{field}`", spec.name)));
        (format!("drop table `{}`", spec.name), StorageEffect::Contract, destroys)
    }

    fn rename_table(&self, from: &str, to: &str) -> String {
        let old = self.pairing.old.types.get(from);
        let before = old.and_then(ObjectType::table).map_or("", |spec| spec.name.as_ref());
        let after = self.table(to);
        let module = |schema: &'a crate::Schema, object: Option<&ObjectType>| {
            let module = object.and_then(|object| schema.modules.get(object.module));
            module.map_or("", |module| module.name.as_ref())
        };
        let from_module = module(self.pairing.old, old);
        let to_module = module(self.pairing.new, self.new_type(to));
        match (before == after, from_module == to_module) {
            (true, true) => format!("move table `{after}` from type `{from}` to `{to}`"),
            (false, true) => format!("rename table `{before}` to `{after}`"),
            (_, false) => format!(
                "move table `{before}` of module `{from_module}` to `{after}` of module `{to_module}`"
            ),
        }
    }

    fn add_column(&self, type_name: &str, field: &str) -> Described {
        let place = self.column(type_name, field);
        let Some(new) = self.new_type(type_name).and_then(|object| object.fields.get(field)) else {
            return (String::new(), StorageEffect::Expand, Vec::new());
        };
        let was_derived = self.old_field(type_name, field).is_some_and(
            |old| matches!(&old.kind, FieldKind::Derived(old) if old.beyond.is_none()),
        );
        let has_default = new.column().is_some_and(|column| column.default.is_some());
        let (given, effect) = match (was_derived, has_default) {
            (true, _) => ("existing rows get the computed value", StorageEffect::Rewrite),
            (false, true) => ("existing rows get the default", StorageEffect::Rewrite),
            (false, false) => ("existing rows get null", StorageEffect::Expand),
        };
        let data_type = type_text(self.pairing.new, type_name, new);
        (format!("add column `{place}` of type `{data_type}`; {given}"), effect, Vec::new())
    }

    fn drop_column(&self, type_name: &str, field: &str) -> Described {
        let place = self.old_column(type_name, field);
        let old = self.old_field(type_name, field);
        let mut destroys = vec![format!("column `{place}` of every row")];
        if old.is_some_and(|old| matches!(old.kind, FieldKind::Media(_))) {
            destroys.push(format!("the media of `{place}`"));
        }
        (format!("drop column `{place}`"), StorageEffect::Contract, destroys)
    }

    fn rename_column(&self, type_name: &str, from: &str, to: &str) -> String {
        let pair = self.pair(type_name);
        let old = pair.and_then(|pair| pair.old.fields.get(from)).and_then(FieldDef::column);
        let before = old.map_or(from, |column| column.column.as_ref());
        let after = self.column(type_name, to);
        let table = self.table(type_name);
        if format!("{table}.{before}") == after {
            format!("column `{after}` is field `{to}`, was `{from}`")
        } else {
            format!("rename column `{table}.{before}` to `{after}`")
        }
    }

    fn types_of(&self, type_name: &str, field: &str) -> Option<(String, String, FieldPair<'a>)> {
        let pair = self.pair(type_name)?;
        let fields = pair.fields.iter().find(|fields| fields.new.name.as_ref() == field)?;
        let from = type_text(self.pairing.old, type_name, fields.old);
        Some((from, type_text(self.pairing.new, type_name, fields.new), *fields))
    }

    fn widen(&self, type_name: &str, field: &str) -> String {
        let place = self.column(type_name, field);
        let Some((from, to, _)) = self.types_of(type_name, field) else { return String::new() };
        format!("widen column `{place}` from `{from}` to `{to}`")
    }

    fn convert(&self, type_name: &str, field: &str) -> Described {
        let place = self.column(type_name, field);
        let Some((from, to, fields)) = self.types_of(type_name, field) else {
            return (String::new(), StorageEffect::Rewrite, Vec::new());
        };
        let text = if from == to {
            format!("check column `{place}` against the new `{to}` and rewrite it")
        } else {
            format!("check and rewrite column `{place}` from `{from}` to `{to}`")
        };
        match column_conversion(self.pairing, fields) {
            Some(Conversion::Convert { loses }) if !loses.is_empty() => {
                let destroys =
                    loses.iter().map(|nested| format!("`{nested}` inside `{place}` of every row"));
                (text, StorageEffect::Contract, destroys.collect())
            }
            _ => (text, StorageEffect::Rewrite, Vec::new()),
        }
    }

    fn layout(&self, type_name: &str) -> Layout {
        let found = self.new_type(type_name).zip(self.spec(type_name));
        found.map_or_else(Layout::default, |(object, spec)| Layout::of(object, spec))
    }

    fn repartition(&self, type_name: &str) -> String {
        let layout = self.layout(type_name);
        let table = self.table(type_name);
        let mut parts = Vec::new();
        if !layout.partition.is_empty() {
            parts.push(format!("partition table `{table}` by `{}`", layout.partition.join(", ")));
        }
        if layout.bucket != "none" {
            parts.push(format!("bucket table `{table}` by {}", layout.bucket));
        }
        if parts.is_empty() {
            parts.push(format!("keep table `{table}` in one part"));
        }
        parts.join(", ")
    }

    fn resort(&self, type_name: &str) -> String {
        let sort = self.layout(type_name).sort;
        let table = self.table(type_name);
        if sort.is_empty() {
            format!("keep table `{table}` in no particular order")
        } else {
            format!("sort table `{table}` by `{}`", sort.join(", "))
        }
    }

    fn change_key(&self, type_name: &str) -> String {
        let key = self.layout(type_name).key;
        let table = self.table(type_name);
        if key.is_empty() {
            format!("table `{table}` has no key and becomes append-only")
        } else {
            let key = key.join(", ");
            format!("check that `{key}` is unique in table `{table}` and make it the key")
        }
    }

    fn change_format(&self, type_name: &str) -> String {
        let format = match self.spec(type_name).map(|spec| spec.format) {
            Some(TableFormat::Lance) => "Lance",
            _ => "Iceberg",
        };
        format!("copy table `{}` into {format} files and switch", self.table(type_name))
    }

    fn build_search(&self, type_name: &str) -> String {
        let object = self.new_type(type_name);
        let fields = object.into_iter().flat_map(|object| object.fields.values());
        let searched: Vec<_> =
            fields.filter(|field| field.search).map(|field| field.name.as_ref()).collect();
        let table = self.table(type_name);
        if searched.is_empty() {
            format!("drop the text index of table `{table}`, which can be made again")
        } else {
            format!("build the text index of table `{table}` over `{}`", searched.join(", "))
        }
    }

    fn build_vectors(&self, type_name: &str, field: &str) -> String {
        let place = self.column(type_name, field);
        let object = self.new_type(type_name);
        let vector = object.and_then(|object| object.fields.get(field)?.vector.as_ref());
        match vector {
            Some(VectorSpec { model: Some(model), dimension, .. }) => {
                format!("compute the vectors of `{place}` with `{model}` ({dimension} numbers)")
            }
            _ => format!("index the vectors of `{place}`"),
        }
    }

    fn retention(&self, type_name: &str) -> Described {
        let retain = |object: Option<&ObjectType>| {
            object.and_then(ObjectType::table).and_then(|spec| spec.retain)
        };
        let new = retain(self.new_type(type_name));
        let old = retain(self.pair(type_name).map(|pair| pair.old));
        let table = self.table(type_name);
        let text = format!("keep snapshots of table `{table}` for {}", kept(new));
        let effect = retain_effect(old, new);
        let destroys = match effect {
            StorageEffect::Contract => {
                vec![format!("snapshots of table `{table}` older than {}", kept(new))]
            }
            _ => Vec::new(),
        };
        (text, effect, destroys)
    }
}

impl Words<'_> {
    /// How a service is asked after the change.
    fn source(&self, name: &str) -> String {
        let Some(service) = self.pairing.new.service_named(name) else {
            return format!("ask service `{name}` no more");
        };
        let SourceSpec { url, timeout, retry, breaker, ttl, on_error, .. } = &service.source;
        let mut parts = vec![format!("timeout {}", time_text(*timeout))];
        if *retry > 0 {
            parts.push(format!("tried up to {} times", retry + 1));
        }
        parts.push(format!("breaker {}", breaker_text(*breaker)));
        if let Some(ttl) = ttl {
            parts.push(format!("answers kept for {}", time_text(*ttl)));
        }
        if let Some(on_error) = on_error {
            parts.push(format!("on error {}", on_error.as_str()));
        }
        format!("ask service `{name}` at {url} ({})", parts.join(", "))
    }
}

fn media_of(object: &ObjectType) -> impl Iterator<Item = &str> {
    let media = object.fields.values().filter(|field| matches!(field.kind, FieldKind::Media(_)));
    media.map(|field| field.name.as_ref())
}

/// `1 column`, `2 columns`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
