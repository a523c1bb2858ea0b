//! The proposal as text.
//!
//! In: finished drafts. Out: a module of SDL with a comment beside every guess, and the same guesses
//! as notes. Not here: deciding anything but which text is worth searching.

use std::fmt::Write as _;

use frame::DataType;

use super::draft::{Draft, DraftField, DraftReference, parameters, type_text};
use super::profile::FileKind;
use super::{Proposal, ProposedType};

/// Names that people search for whatever the values look like.
const SEARCHED: [&str; 8] =
    ["title", "name", "description", "text", "summary", "body", "comment", "review"];

/// Writes all drafts as one module.
pub(super) fn proposal(drafts: &[Draft<'_>], module: &str, owner: &str) -> Proposal {
    let mut writer = Writer { text: String::new(), notes: Vec::new(), types: Vec::new() };
    let _ = writeln!(
        writer.text,
        "# Proposed from your files. Every comment says what a guess rests on: change what is wrong,\n\
         # delete the comments you no longer need, then run `headwater plan`.\n\
         extend schema @module(name: \"{module}\", owner: \"{owner}\")"
    );
    for draft in drafts {
        match draft.profile.kind {
            FileKind::Images { in_folders } => writer.images(draft, in_folders),
            // A file without columns has no rows to keep.
            FileKind::Rows if draft.fields.is_empty() => {
                writer
                    .note(&draft.type_name, "the file has no columns, so that no type is proposed");
            }
            FileKind::Rows => writer.rows(draft),
        }
    }
    Proposal { text: writer.text, types: writer.types, notes: writer.notes }
}

struct Writer {
    text: String,
    notes: Vec<String>,
    types: Vec<ProposedType>,
}

/// One comment stays on one line, whatever a file is called.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

impl Writer {
    fn note(&mut self, place: &str, note: &str) {
        self.notes.push(format!("{place}: {note}"));
    }

    fn head(&mut self, draft: &Draft<'_>, what: &str) {
        let _ = writeln!(
            self.text,
            "\n# From `{}`: {} {what}, {}.",
            one_line(&draft.profile.file),
            draft.profile.rows,
            base_size(draft.profile.bytes)
        );
        for note in &draft.notes {
            let _ = writeln!(self.text, "# {}.", capitalised(note));
        }
        for note in &draft.notes {
            self.note(&draft.type_name, note);
        }
    }

    fn images(&mut self, draft: &Draft<'_>, in_folders: bool) {
        let name = &draft.type_name;
        self.head(draft, "images");
        let plural = draft
            .plural
            .as_ref()
            .map_or_else(String::new, |plural| format!(", plural: \"{plural}\""));
        let folder = if in_folders {
            "  # The folder of the image, for instance its label.\n  folder: String\n"
        } else {
            ""
        };
        let _ = writeln!(
            self.text,
            "type {name} @key(fields: \"id\") @table(format: ICEBERG{plural}) {{\n  \
             # The path below the folder.\n  id: ID!\n{folder}  \
             # Measured on import: size, format, colour, sharpness, place and time.\n  \
             image: Media! @media @vector(model: \"image-small\")\n  \
             # Images that look like this one.\n  \
             similar(first: Int = 10): [{name}!]! @nearest(on: \"image\")\n}}"
        );
        self.note(name, "images get a vector each, by which similar ones are found");
        let fields =
            ["id", "folder", "image"].into_iter().filter(|field| in_folders || *field != "folder");
        self.types.push(ProposedType {
            file: draft.profile.file.to_string(),
            type_name: name.clone(),
            fields: fields.map(|field| (field.to_owned(), field.to_owned())).collect(),
        });
    }

    fn rows(&mut self, draft: &Draft<'_>) {
        let name = &draft.type_name;
        self.head(draft, "rows");
        let key = draft.key.map(|key| &draft.fields[key].name);
        let key = key.map_or_else(String::new, |key| format!(" @key(fields: \"{key}\")"));
        let plural = draft.plural.iter().map(|plural| format!("plural: \"{plural}\""));
        let arguments: Vec<_> = std::iter::once("format: ICEBERG".to_owned())
            .chain(plural)
            .chain(draft.layout.clone())
            .collect();
        let _ = writeln!(self.text, "type {name}{key} @table({}) {{", arguments.join(", "));
        for (position, field) in draft.fields.iter().enumerate() {
            self.field(draft, field, draft.key == Some(position));
        }
        for reference in &draft.references {
            self.reference(draft, reference);
        }
        self.text.push_str("}\n");
        for (embedded, lines) in &draft.embedded {
            let _ = writeln!(self.text, "\n# Part of the rows of `{name}`.\ntype {embedded} {{");
            for line in lines {
                let _ = writeln!(self.text, "  {line}");
            }
            self.text.push_str("}\n");
        }
        let named = |field: &DraftField<'_>| (field.column.header.to_string(), field.name.clone());
        self.types.push(ProposedType {
            file: draft.profile.file.to_string(),
            type_name: name.clone(),
            fields: draft.fields.iter().map(named).collect(),
        });
    }

    fn field(&mut self, draft: &Draft<'_>, field: &DraftField<'_>, is_key: bool) {
        let nullable =
            field.column.nulls > 0 || field.column.data_type.is_none() || draft.profile.rows == 0;
        let bang = if nullable && !is_key { "" } else { "!" };
        let mut comments = Vec::new();
        if !field.note.is_empty() {
            comments.push(field.note.clone());
        }
        if field.column.nulls > 0 && field.column.data_type.is_some() {
            comments
                .push(format!("missing in {} of {} rows", field.column.nulls, draft.profile.rows));
        }
        let mut directives = parameters(&field.data_type);
        if let Some(why) = searched(draft, field) {
            directives.push_str(" @search");
            comments.push(why);
        }
        let header = field.column.header.as_ref();
        if header != field.name && keeps_header(draft, field) {
            directives = if directives.starts_with(" @column(") {
                directives.replacen(" @column(", &format!(" @column(name: \"{header}\", "), 1)
            } else {
                format!(" @column(name: \"{header}\"){directives}")
            };
        }
        for comment in &comments {
            let _ = writeln!(self.text, "  # {}.", capitalised(comment));
            self.note(&format!("{}.{}", draft.type_name, field.name), comment);
        }
        let data_type = type_text(&field.data_type, field.embedded.as_deref(), field.is_id);
        let _ = writeln!(self.text, "  {}: {data_type}{bang}{directives}", field.name);
    }

    fn reference(&mut self, draft: &Draft<'_>, reference: &DraftReference) {
        let _ = writeln!(self.text, "  # {}.", capitalised(&reference.note));
        self.note(&format!("{}.{}", draft.type_name, reference.name), &reference.note);
        let DraftReference { name, target, by, .. } = reference;
        let line = if reference.many {
            let order = reference
                .order
                .as_ref()
                .map_or_else(String::new, |order| format!(", order: \"{order}\""));
            format!("  {name}(first: Int = 20): [{target}!]! @ref(by: \"{by}\"{order})")
        } else {
            // Not every file is complete: a key may have no row.
            format!("  {name}: {target} @ref(by: \"{by}\")")
        };
        let _ = writeln!(self.text, "{line}");
    }
}

/// Whether the column can keep the file's own name: it is a name, and nobody else's.
fn keeps_header(draft: &Draft<'_>, field: &DraftField<'_>) -> bool {
    let header = field.column.header.as_ref();
    let is_name = header.starts_with(|first: char| first.is_ascii_alphabetic())
        && header.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && header.len() <= 63;
    let others = || draft.fields.iter().filter(|other| other.name != field.name);
    let taken = others().any(|other| {
        other.name.eq_ignore_ascii_case(header) || other.column.header.eq_ignore_ascii_case(header)
    });
    is_name && !taken
}

/// Why a field is worth searching, if it is.
fn searched(draft: &Draft<'_>, field: &DraftField<'_>) -> Option<String> {
    let values = draft.profile.rows.saturating_sub(field.column.nulls);
    if field.data_type != DataType::String || field.is_id || values == 0 {
        return None;
    }
    let mean = field.column.characters / values;
    let spaced = field.column.with_spaces * 100 / values;
    let named = field.words.last().is_some_and(|last| SEARCHED.contains(&last.as_str()));
    let prose = mean >= 12 && spaced >= 30;
    (prose || (named && spaced >= 10))
        .then(|| format!("text to search: {mean} characters on average, {spaced} % with spaces"))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default()
        + letters.as_str()
}

fn base_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
