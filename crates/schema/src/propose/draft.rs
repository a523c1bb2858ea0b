//! What is known of each proposed type before it is written.
//!
//! In: profiles. Out: one [`Draft`] a file with names that clash with nothing the API makes of other
//! names. Not here: keys, references and layout, which later stages fill in.

use std::collections::HashSet;

use frame::DataType;

use super::name;
use super::profile::{ColumnProfile, FileKind, FileProfile};
use crate::api::{RESERVED_TYPES, key_field_name};

/// The most columns that one type is proposed with; the checker's own limit is 2,000 values a row.
const MOST_COLUMNS: usize = 1_900;

/// A type in the making.
pub(super) struct Draft<'a> {
    pub(super) profile: &'a FileProfile,
    /// The words of one of its rows.
    pub(super) words: Vec<String>,
    pub(super) type_name: String,
    /// The list field and SQL name; `None` when it would clash.
    pub(super) plural: Option<String>,
    pub(super) fields: Vec<DraftField<'a>>,
    /// Position of the key among the fields.
    pub(super) key: Option<usize>,
    /// References to and from other types.
    pub(super) references: Vec<DraftReference>,
    /// Arguments of `@table` beside the format and the name, ready to be written.
    pub(super) layout: Vec<String>,
    /// Embedded types that its columns need: name and lines.
    pub(super) embedded: Vec<(String, Vec<String>)>,
    /// What was guessed about the whole type.
    pub(super) notes: Vec<String>,
}

/// A stored field in the making.
pub(super) struct DraftField<'a> {
    pub(super) column: &'a ColumnProfile,
    pub(super) words: Vec<String>,
    pub(super) name: String,
    pub(super) data_type: DataType,
    /// The name of the embedded type, when `data_type` is a struct or a list of structs.
    pub(super) embedded: Option<String>,
    pub(super) is_id: bool,
    pub(super) note: String,
}

/// A reference in the making.
pub(super) struct DraftReference {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) by: String,
    pub(super) many: bool,
    /// `order:` of a list.
    pub(super) order: Option<String>,
    pub(super) note: String,
}

/// One draft a file.
pub(super) fn drafts(profiles: &[FileProfile]) -> Vec<Draft<'_>> {
    let mut taken = Taken::default();
    profiles.iter().map(|profile| draft(profile, &mut taken)).collect()
}

/// Names that the API of the proposal has already.
#[derive(Default)]
struct Taken {
    types: HashSet<String>,
    roots: HashSet<String>,
    tables: HashSet<String>,
}

/// Endings of the types that the API makes of each table.
const DERIVED: [&str; 10] = [
    "Input",
    "Where",
    "OrderBy",
    "Connection",
    "Edge",
    "Neighbour",
    "Payload",
    "ListPayload",
    "Update",
    "Key",
];

impl Taken {
    /// Takes a type name with everything that the API makes of it, or says that something is taken.
    fn take(&mut self, type_name: &str, plural: Option<&str>) -> bool {
        let lower = |name: String| name.to_lowercase();
        let mut types = vec![lower(type_name.to_owned())];
        let endings = DERIVED.into_iter().chain(crate::api::aggregate_type_endings());
        types.extend(endings.map(|ending| lower(format!("{type_name}{ending}"))));
        let one = key_field_name(type_name);
        let list = plural.map_or_else(|| format!("{one}List"), str::to_owned);
        let mut roots = vec![one.clone(), list.clone(), format!("{list}Aggregate")];
        for verb in ["create", "upsert", "update", "delete", "append"] {
            for subject in [&one, &list] {
                roots.push(format!("{verb}{subject}"));
            }
        }
        let roots: Vec<_> = roots.into_iter().map(lower).collect();
        let unique = roots.iter().collect::<HashSet<_>>().len() == roots.len();
        let table = lower(plural.map_or_else(|| snake(type_name), str::to_owned));
        let reserved = |name: &String| {
            RESERVED_TYPES.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
        };
        let free = unique
            && !types.iter().any(|name| self.types.contains(name) || reserved(name))
            && !roots.iter().any(|name| self.roots.contains(name) || name == "schemafingerprint")
            && !self.tables.contains(&table);
        if free {
            self.types.extend(types);
            self.roots.extend(roots);
            self.tables.insert(table);
        }
        free
    }

    fn take_embedded(&mut self, wanted: &str) -> String {
        let mut number = 1;
        loop {
            let name = numbered(wanted, number);
            let lower = name.to_lowercase();
            let derived = DERIVED.map(|ending| format!("{lower}{}", ending.to_lowercase()));
            let reserved = RESERVED_TYPES.iter().any(|known| known.eq_ignore_ascii_case(&name));
            let clash = self.types.contains(&lower)
                || derived.iter().any(|name| self.types.contains(name))
                || reserved;
            if !clash {
                self.types.insert(lower);
                self.types.extend(derived);
                return name;
            }
            number += 1;
        }
    }
}

fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}{number}") }
}

fn snake(type_name: &str) -> String {
    name::words(type_name).join("_")
}

fn draft<'a>(profile: &'a FileProfile, taken: &mut Taken) -> Draft<'a> {
    let many = name::file_words(&profile.file);
    let words = name::singular(&many);
    let wanted = name::pascal(&words);
    let wanted_plural = name::camel(&if many == words { name::plural(&words) } else { many });
    let mut number = 1;
    let (type_name, plural) = loop {
        let type_name = numbered(&wanted, number);
        let plural = numbered(&wanted_plural, number);
        if taken.take(&type_name, Some(&plural)) {
            break (type_name, Some(plural));
        }
        if taken.take(&type_name, None) {
            break (type_name, None);
        }
        number += 1;
    };
    let mut draft = Draft {
        profile,
        words,
        type_name,
        plural,
        fields: Vec::new(),
        key: None,
        references: Vec::new(),
        layout: Vec::new(),
        embedded: Vec::new(),
        notes: Vec::new(),
    };
    if profile.kind == FileKind::Rows {
        add_fields(&mut draft, taken);
    }
    draft
}

fn add_fields(draft: &mut Draft<'_>, taken: &mut Taken) {
    let columns = &draft.profile.columns;
    if columns.len() > MOST_COLUMNS {
        draft.notes.push(format!(
            "only the first {MOST_COLUMNS} of {} columns are proposed: a row has at most 2,000 values",
            columns.len()
        ));
    }
    let mut stored = HashSet::new();
    for column in columns.iter().take(MOST_COLUMNS) {
        let words = name::words(&column.header);
        let name = free_name(&mut stored, &name::camel(&words));
        let (data_type, note) = guessed_type(column);
        let mut builder = Embedder { draft, taken };
        let (data_type, embedded) = builder.fitted(&name, data_type);
        draft.fields.push(DraftField {
            column,
            words,
            name,
            data_type,
            embedded,
            is_id: false,
            note,
        });
    }
}

/// Names that no field may have: the API uses them beside or among fields.
const RESERVED_FIELDS: [&str; 5] = ["and", "or", "not", "asof", "idempotencykey"];

fn free_name(stored: &mut HashSet<String>, wanted: &str) -> String {
    let wanted = if RESERVED_FIELDS.contains(&wanted.to_lowercase().as_str()) {
        format!("{wanted}Value")
    } else {
        wanted.to_owned()
    };
    let mut number = 1;
    // Columns of files are told apart whatever their case.
    while !stored.insert(numbered(&wanted, number).to_lowercase()) {
        number += 1;
    }
    numbered(&wanted, number)
}

fn guessed_type(column: &ColumnProfile) -> (DataType, String) {
    match &column.data_type {
        Some(found) => (found.clone(), String::new()),
        None => (DataType::String, "no value was found, so that any text is allowed".to_owned()),
    }
}

/// Makes the embedded types of nested columns.
struct Embedder<'d, 'a> {
    draft: &'d mut Draft<'a>,
    taken: &'d mut Taken,
}

/// Types nest up to 16 deep; a proposal stays readable.
const DEEPEST: usize = 4;

impl Embedder<'_, '_> {
    /// The nearest type that the language has, with the embedded type's name when there is one.
    fn fitted(&mut self, field: &str, data_type: DataType) -> (DataType, Option<String>) {
        let words = name::words(field);
        let wanted = format!("{}{}", self.draft.type_name, name::pascal(&words));
        self.fit(&wanted, data_type, 0)
    }

    fn fit(
        &mut self,
        wanted: &str,
        data_type: DataType,
        depth: usize,
    ) -> (DataType, Option<String>) {
        match data_type {
            DataType::Struct(fields) if fields.is_empty() || depth >= DEEPEST => {
                (DataType::Json, None)
            }
            DataType::Struct(fields) => {
                let name = self.taken.take_embedded(wanted);
                let mut lines = Vec::new();
                let mut stored = HashSet::new();
                let mut fitted = Vec::new();
                for field in fields {
                    let words = name::words(&field.name);
                    let below = free_name(&mut stored, &name::camel(&words));
                    let wanted = format!("{name}{}", name::pascal(&words));
                    let (inner, embedded) = self.fit(&wanted, field.data_type, depth + 1);
                    let text = type_text(&inner, embedded.as_deref(), false);
                    let bang = if field.nullable { "" } else { "!" };
                    lines.push(format!("{below}: {text}{bang}{}", parameters(&inner)));
                    fitted.push(frame::Field::new(below, inner, field.nullable));
                }
                self.draft.embedded.push((name.clone(), lines));
                (DataType::Struct(fitted), Some(name))
            }
            DataType::List { item, nullable } => match *item {
                // Lists of lists have no place in the language.
                DataType::List { .. } | DataType::Vector { .. } => (DataType::Json, None),
                item => {
                    let (item, embedded) = self.fit(wanted, item, depth + 1);
                    (DataType::List { item: Box::new(item), nullable }, embedded)
                }
            },
            DataType::Vector { dimension } if !(1..=16_384).contains(&dimension) => {
                (DataType::Json, None)
            }
            DataType::Vector { .. } if depth > 0 => (DataType::Json, None),
            DataType::Decimal { precision, scale }
                if !(1..=38).contains(&precision) || scale > precision =>
            {
                (DataType::Float, None)
            }
            other => (other, None),
        }
    }
}

/// A type as the schema spells it, without its own `!`.
pub(super) fn type_text(data_type: &DataType, embedded: Option<&str>, is_id: bool) -> String {
    match (data_type, embedded) {
        (DataType::List { item, nullable }, _) => {
            let bang = if *nullable { "" } else { "!" };
            format!("[{}{bang}]", type_text(item, embedded, false))
        }
        (DataType::Struct(_), Some(name)) => name.to_owned(),
        (DataType::Struct(_), None) => "JSON".to_owned(),
        (DataType::Decimal { .. }, _) => "Decimal".to_owned(),
        (DataType::Vector { .. }, _) => "Vector".to_owned(),
        _ if is_id => "ID".to_owned(),
        (plain, _) => plain.to_string(),
    }
}

/// The directive that some types need for what GraphQL's type does not say.
pub(super) fn parameters(data_type: &DataType) -> String {
    match data_type {
        DataType::Decimal { precision, scale } => {
            format!(" @column(type: \"decimal({precision},{scale})\")")
        }
        DataType::Vector { dimension } => format!(" @vector(dimension: {dimension})"),
        DataType::List { item, .. } => parameters(item),
        _ => String::new(),
    }
}
