//! Random schemas, and random changes of them, as SDL that compiles.

use base::rng::Rng;
use schema::load::Sources;
use schema::{Schema, compile};

/// Compiles one module that must be valid.
pub(crate) fn compiled(text: &str) -> Schema {
    let sources = Sources::from_texts([("main.graphql", text)]);
    compile(&sources).unwrap_or_else(|faults| panic!("{}\n{text}", faults.render(&sources, false)))
}

/// A schema as a model that can be changed and written.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    types: Vec<TypeModel>,
    /// Values of the one enum.
    colors: Vec<&'static str>,
    next_name: usize,
}

#[derive(Clone, Debug)]
struct TypeModel {
    name: String,
    was: Option<String>,
    described: bool,
    plural: Option<String>,
    keyed: bool,
    lance: bool,
    bucketed: bool,
    partition: &'static str,
    sorted: bool,
    retain: &'static str,
    fields: Vec<FieldModel>,
    /// Position of another type that `ref` points to.
    points_at: Option<usize>,
}

#[derive(Clone, Debug)]
struct FieldModel {
    name: String,
    was: Option<String>,
    kind: usize,
    required: bool,
    default: bool,
    search: bool,
    deprecated: bool,
}

/// Types of fields: text, and a default where the type has one.
const KINDS: [(&str, Option<&str>); 12] = [
    ("String", Some("'x'")),
    ("Int", Some("1")),
    ("Long", Some("1")),
    ("Float", Some("1.5")),
    ("Boolean", Some("true")),
    ("Date", None),
    ("DateTime", None),
    ("UUID", None),
    ("[String!]", None),
    ("Color", None),
    ("Size", None),
    ("Media", None),
];
const COLORS: [&str; 4] = ["RED", "GREEN", "BLUE", "GREY"];

/// Makes and changes models.
pub(crate) struct Maker {
    pub(crate) rng: Rng,
}

impl Maker {
    pub(crate) fn seeded(seed: u64) -> Self {
        Maker { rng: Rng::seeded(seed) }
    }

    fn one_in(&self, many: u64) -> bool {
        self.rng.below(many) == 0
    }

    fn below(&self, limit: usize) -> usize {
        self.rng.below(limit as u64) as usize
    }

    pub(crate) fn model(&self) -> Model {
        let mut model = Model { types: Vec::new(), colors: vec!["RED", "GREEN"], next_name: 0 };
        for _ in 0..1 + self.below(3) {
            self.add_type(&mut model);
        }
        model
    }

    fn add_type(&self, model: &mut Model) {
        let name = fresh(model, "T");
        let mut made = TypeModel {
            plural: (!self.one_in(3)).then(|| format!("{}s", name.to_lowercase())),
            name,
            was: None,
            described: self.one_in(3),
            keyed: !self.one_in(3),
            lance: self.one_in(5),
            bucketed: self.one_in(3),
            partition: ["", "", "day(at)", "month(at)"][self.below(4)],
            sorted: self.one_in(3),
            retain: ["", "", "7d", "30d"][self.below(4)],
            fields: Vec::new(),
            points_at: None,
        };
        for _ in 0..self.below(5) {
            let field = self.field(model);
            made.fields.push(field);
        }
        let keyed: Vec<_> = (0..model.types.len()).filter(|at| model.types[*at].keyed).collect();
        if !keyed.is_empty() && self.one_in(2) {
            made.points_at = Some(keyed[self.below(keyed.len())]);
        }
        model.types.push(made);
    }

    fn field(&self, model: &mut Model) -> FieldModel {
        FieldModel {
            name: fresh(model, "f"),
            was: None,
            kind: self.below(KINDS.len()),
            required: self.one_in(3),
            default: self.one_in(2),
            search: self.one_in(2),
            deprecated: self.one_in(6),
        }
    }

    /// The model with one to five changes.
    pub(crate) fn changed(&self, model: &Model) -> Model {
        let mut changed = model.clone();
        for _ in 0..1 + self.below(5) {
            self.change(&mut changed, model);
        }
        changed
    }

    fn change(&self, model: &mut Model, before: &Model) {
        let at = self.below(model.types.len());
        match self.below(14) {
            0 => self.add_type(model),
            1 if model.types.len() > 1 => {
                model.types.remove(at);
                // Whoever pointed at it, or behind it, points at nothing now.
                model.types.iter_mut().for_each(|other| other.points_at = None);
            }
            2 => self.rename_type(&mut model.types[at], before),
            3 => {
                let field = self.field(model);
                model.types[at].fields.push(field);
            }
            4 => {
                let fields = &mut model.types[at].fields;
                if !fields.is_empty() {
                    fields.remove(self.below(fields.len()));
                }
            }
            5 => self.rename_field(model, at, before),
            6 | 7 => self.change_field(&mut model.types[at]),
            8 => model.types[at].plural = Some(format!("p{}", self.below(1000) + 10)),
            9 => {
                let others: Vec<_> =
                    model.types.iter().filter_map(|other| other.points_at).collect();
                if !others.contains(&at) {
                    model.types[at].keyed = !model.types[at].keyed;
                }
            }
            10 => model.types[at].lance = !model.types[at].lance,
            11 => {
                let found = &mut model.types[at];
                found.bucketed = self.one_in(2);
                found.partition = ["", "day(at)", "year(at)"][self.below(3)];
                found.sorted = self.one_in(2);
            }
            12 => model.types[at].retain = ["", "1d", "90d"][self.below(3)],
            _ => {
                let count = 1 + self.below(COLORS.len());
                let start = self.below(COLORS.len());
                model.colors = (start..start + count).map(|at| COLORS[at % 4]).collect();
                model.types[at].described = !model.types[at].described;
            }
        }
    }

    fn rename_type(&self, found: &mut TypeModel, before: &Model) {
        let deployed = before.types.iter().any(|old| old.name == found.name);
        if deployed && found.was.is_none() {
            found.was = Some(found.name.clone());
            found.name = format!("{}Renamed", found.name);
        }
    }

    fn rename_field(&self, model: &mut Model, at: usize, before: &Model) {
        let name = fresh(model, "g");
        let found = &mut model.types[at];
        let deployed = |field: &FieldModel| {
            before.types.iter().any(|old| old.fields.iter().any(|other| other.name == field.name))
        };
        if let Some(field) = found.fields.iter_mut().find(|field| deployed(field)) {
            field.was = Some(std::mem::replace(&mut field.name, name));
        }
    }

    fn change_field(&self, found: &mut TypeModel) {
        if found.fields.is_empty() {
            return;
        }
        let at = self.below(found.fields.len());
        let field = &mut found.fields[at];
        match self.below(5) {
            0 => field.kind = self.below(KINDS.len()),
            1 => field.required = !field.required,
            2 => field.default = !field.default,
            3 => field.search = !field.search,
            // From one number to a wider one, or back.
            _ if (1..3).contains(&field.kind) => field.kind = 3 - field.kind,
            _ => field.deprecated = !field.deprecated,
        }
    }
}

/// Names are never used twice, so that a new thing is never taken for an old one.
fn fresh(model: &mut Model, letter: &str) -> String {
    model.next_name += 1;
    format!("{letter}{}", model.next_name)
}

impl Model {
    /// The model as SDL.
    pub(crate) fn sdl(&self) -> String {
        let mut text = "extend schema @module(name: \"main\", owner: \"core\")\n".to_owned();
        for found in &self.types {
            text += &self.type_sdl(found);
        }
        let uses = |name: &str| {
            self.types
                .iter()
                .flat_map(|found| &found.fields)
                .any(|field| KINDS[field.kind].0 == name)
        };
        if uses("Color") {
            text += &format!("enum Color {{ {} }}\n", self.colors.join(" "));
        }
        if uses("Size") {
            text += "type Size { width: Int! height: Int }\n";
        }
        text
    }

    fn type_sdl(&self, found: &TypeModel) -> String {
        let mut table = Vec::new();
        table.extend(found.plural.as_ref().map(|plural| format!("plural: \"{plural}\"")));
        if found.lance {
            table.push("format: LANCE".to_owned());
        } else {
            if found.bucketed {
                table.push("bucket: { by: \"id\", count: 4 }".to_owned());
            }
            if !found.partition.is_empty() {
                table.push(format!("partition: \"{}\"", found.partition));
            }
            if found.sorted {
                table.push("sort: \"at desc\"".to_owned());
            }
        }
        if !found.retain.is_empty() {
            table.push(format!("retain: \"{}\"", found.retain));
        }
        let table =
            if table.is_empty() { String::new() } else { format!("({})", table.join(", ")) };
        let described = if found.described { "\"Words.\"\n" } else { "" };
        let was =
            found.was.as_ref().map_or_else(String::new, |was| format!(" @was(name: \"{was}\")"));
        let key = if found.keyed { " @key(fields: \"id\")" } else { "" };
        let mut text = format!("{described}type {}{was}{key} @table{table} {{\n", found.name);
        text += "  id: ID!\n  at: DateTime\n";
        for field in &found.fields {
            text += &field.sdl();
        }
        if let Some(target) = found.points_at.and_then(|at| self.types.get(at)).filter(|t| t.keyed)
        {
            text += &format!("  targetId: ID\n  target: {} @ref(by: \"targetId\")\n", target.name);
        }
        text + "}\n"
    }
}

impl FieldModel {
    fn sdl(&self) -> String {
        let (kind, default) = KINDS[self.kind];
        let bang = if self.required { "!" } else { "" };
        let mut text = format!("  {}: {kind}{bang}", self.name);
        if let Some(was) = &self.was {
            text += &format!(" @was(name: \"{was}\")");
        }
        if let Some(default) = default.filter(|_| self.default) {
            text += &format!(" @column(default: \"{default}\")");
        }
        if self.search && kind == "String" {
            text += " @search";
        }
        if kind == "Media" {
            text += " @media";
            if self.search {
                text += " @vector(model: \"image-small\")";
            }
        }
        if self.deprecated && !self.required {
            text += " @deprecated(reason: \"old\")";
        }
        text + "\n"
    }
}
