//! The registry of diagnostic codes: every code once, with its title and what to do about it. The
//! page `docs/reference/diagnostics.md` is made of it.

mod composition;

use std::fmt::Write;

pub use composition::COMPOSITION;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The schema is refused.
    Error,
    /// The schema is accepted, but probably not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A kind of finding; see [`REGISTRY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the registry below says what each one means")]
pub enum Code {
    Syntax,
    Limit,
    MissingModule,
    DuplicateModule,
    BadName,
    DuplicateType,
    DuplicateField,
    ReservedName,
    UnsupportedDefinition,
    BuiltInScalar,
    UnusedType,
    EmptyDefinition,
    UnknownType,
    UnknownDirective,
    NotEnforced,
    WrongLocation,
    RepeatedDirective,
    UnknownArgument,
    MissingArgument,
    WrongValue,
    ListOfLists,
    MissingRef,
    MissingTypeParameter,
    ColumnType,
    ColumnName,
    ColumnDefault,
    RecursiveType,
    MediaField,
    FieldArgument,
    ConflictingDirectives,
    UnsupportedField,
    UnknownField,
    Key,
    TableName,
    SqlWord,
    Bucket,
    Partition,
    Sort,
    Retain,
    Reference,
    Vector,
    Nearest,
    Search,
    Derived,
    DerivedCycle,
    Cost,
    ListSize,
    Was,
    Owner,
    Source,
    Fetch,
    Policy,
    ExpressionSyntax,
    ExpressionName,
    ExpressionType,
    Plan,
    DefaultValueUsesInaccessible,
    DirectiveCompositionError,
    DirectiveDefinitionInvalid,
    EmptyMergedEnumType,
    EmptyMergedInputType,
    EnumValueMismatch,
    ExtensionWithNoBase,
    ExternalArgumentDefaultMismatch,
    ExternalArgumentMissing,
    ExternalArgumentTypeMismatch,
    ExternalMissingOnBase,
    ExternalOnInterface,
    ExternalTypeMismatch,
    ExternalUnused,
    FieldArgumentDefaultMismatch,
    FieldArgumentTypeMismatch,
    FieldTypeMismatch,
    FromSubgraphDoesNotExist,
    ImplementedByInaccessible,
    InputFieldDefaultMismatch,
    InterfaceFieldNoImplem,
    InterfaceKeyMissingImplementationType,
    InterfaceKeyNotOnImplementation,
    InterfaceObjectUsageError,
    InvalidFieldSharing,
    InvalidGraphql,
    InvalidLinkDirectiveUsage,
    InvalidLinkIdentifier,
    InvalidShareableUsage,
    InvalidSubgraphName,
    KeyDirectiveInFieldsArg,
    KeyFieldsHasArgs,
    KeyFieldsSelectInvalidType,
    KeyInvalidFields,
    KeyInvalidFieldsType,
    KeyUnsupportedOnInterface,
    MergedDirectiveApplicationOnExternal,
    NoQueries,
    OnlyInaccessibleChildren,
    OverrideCollisionWithAnotherDirective,
    OverrideFromSelfError,
    OverrideLabelInvalid,
    OverrideOnInterface,
    OverrideSourceHasOverride,
    ProvidesDirectiveInFieldsArg,
    ProvidesFieldsHasArgs,
    ProvidesFieldsMissingExternal,
    ProvidesInvalidFields,
    ProvidesInvalidFieldsType,
    ProvidesOnNonObjectField,
    ProvidesUnsupportedOnInterface,
    QueryRootTypeInaccessible,
    ReferencedInaccessible,
    RequiredArgumentMissingInSomeSubgraph,
    RequiredInaccessible,
    RequiredInputFieldMissingInSomeSubgraph,
    RequiresDirectiveInFieldsArg,
    RequiresFieldsMissingExternal,
    RequiresInvalidFields,
    RequiresInvalidFieldsType,
    RequiresUnsupportedOnInterface,
    RootMutationUsed,
    RootQueryUsed,
    RootSubscriptionUsed,
    SatisfiabilityError,
    TypeDefinitionInvalid,
    TypeKindMismatch,
    UnknownFederationLinkVersion,
    UnsupportedFeature,
}

/// One entry of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// Its stable name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub explanation: &'static str,
}

const fn error(
    code: Code,
    name: &'static str,
    title: &'static str,
    explanation: &'static str,
) -> Entry {
    Entry { code, name, severity: Severity::Error, title, explanation }
}

const fn warning(
    code: Code,
    name: &'static str,
    title: &'static str,
    explanation: &'static str,
) -> Entry {
    Entry { code, name, severity: Severity::Warning, title, explanation }
}

/// Every code, in the order of the reference page. A name is never used for another meaning.
pub const REGISTRY: &[Entry] = &[
    error(
        Code::Syntax,
        "HW0001",
        "syntax error",
        "The text is not GraphQL SDL. The rest of the file is read as far as possible; faults that may only follow from this one are not reported.",
    ),
    error(
        Code::Limit,
        "HW0002",
        "limit exceeded",
        "A module is too big, nests too deeply, or has too many parts. The message names the limit.",
    ),
    error(
        Code::MissingModule,
        "HW0101",
        "no module",
        "Every file says once which module it is and who owns it: `extend schema @module(name: \"catalog\", owner: \"catalog\")`.",
    ),
    error(
        Code::DuplicateModule,
        "HW0102",
        "module named twice",
        "A file is one module, and a module is one file; both names must be new.",
    ),
    error(
        Code::BadName,
        "HW0103",
        "name not allowed",
        "Names of modules, tables, columns and teams begin with a letter and go on with letters, digits and `_` (teams also `-`); they are at most 63 characters long. Names with two underscores at the start belong to GraphQL.",
    ),
    error(
        Code::DuplicateType,
        "HW0104",
        "type declared twice",
        "A type has one name in all modules; names that differ only in case count as equal.",
    ),
    error(
        Code::DuplicateField,
        "HW0105",
        "field or value declared twice",
        "A type names a field once, and an enum a value once.",
    ),
    error(
        Code::ReservedName,
        "HW0106",
        "reserved name",
        "The name belongs to GraphQL or to something that the API derives from another type (such as `FilmConnection` from `Film`).",
    ),
    error(
        Code::UnsupportedDefinition,
        "HW0107",
        "definition not offered",
        "Modules hold object types and enums. Interfaces, unions, input types, own scalars, own directives, `extend type` and operations are not offered in a module; all but operations are in one that holds a service's SDL.",
    ),
    warning(
        Code::BuiltInScalar,
        "HW0108",
        "built-in scalar declared",
        "The scalar is built in; the declaration changes nothing.",
    ),
    warning(
        Code::UnusedType,
        "HW0109",
        "type not used",
        "A type without `@table` is a part of rows of other types; no type uses this one.",
    ),
    error(
        Code::EmptyDefinition,
        "HW0110",
        "empty definition",
        "A type needs at least one field (a table at least one stored one), an enum at least one value.",
    ),
    error(
        Code::UnknownType,
        "HW0111",
        "unknown type",
        "No module declares this type and it is not built in.",
    ),
    error(Code::UnknownDirective, "HW0201", "unknown directive", "There is no such directive."),
    error(
        Code::NotEnforced,
        "HW0202",
        "directive not enforced yet",
        "The directive (or this argument of it) belongs to the language, but nothing enforces it yet. It is refused rather than ignored.",
    ),
    error(
        Code::WrongLocation,
        "HW0203",
        "directive in a wrong place",
        "The directive does not belong on this kind of definition.",
    ),
    error(
        Code::RepeatedDirective,
        "HW0204",
        "directive repeated",
        "The directive may stand only once on one definition.",
    ),
    error(
        Code::UnknownArgument,
        "HW0205",
        "unknown argument",
        "The directive has no such argument, or it is given twice.",
    ),
    error(
        Code::MissingArgument,
        "HW0206",
        "argument missing",
        "The directive needs this argument.",
    ),
    error(
        Code::WrongValue,
        "HW0207",
        "argument of a wrong kind",
        "The value does not have the type of the directive's argument.",
    ),
    error(
        Code::ListOfLists,
        "HW0301",
        "list of lists",
        "A field is one value or one list of values.",
    ),
    error(
        Code::MissingRef,
        "HW0302",
        "reference without `@ref`",
        "A field whose type is a table says how its rows are found: `@ref(by:)`, or `@nearest(on:)`.",
    ),
    error(
        Code::MissingTypeParameter,
        "HW0303",
        "type needs parameters",
        "`Decimal` needs its digits (`@column(type: \"decimal(18,2)\")`) and `Vector` its length (`@vector(dimension: 128)`).",
    ),
    error(
        Code::ColumnType,
        "HW0304",
        "column type",
        "`@column(type:)` gives digits of a `Decimal` or the length of a `Vector`; other types follow from the field's type.",
    ),
    error(
        Code::ColumnName,
        "HW0305",
        "column name",
        "Two fields are stored in one column, or the name is reserved.",
    ),
    error(
        Code::ColumnDefault,
        "HW0306",
        "column default",
        "`@column(default:)` is an expression of constants with the field's type.",
    ),
    error(
        Code::RecursiveType,
        "HW0307",
        "type contains itself",
        "A type without `@table` is stored inside rows, so it cannot contain itself.",
    ),
    error(
        Code::MediaField,
        "HW0308",
        "media field",
        "A field of type `Media` has `@media`, and only such a field has it.",
    ),
    error(
        Code::FieldArgument,
        "HW0309",
        "argument of a field",
        "A list reference takes `first` and `last`, `@nearest` takes `first`; other fields take no arguments.",
    ),
    error(
        Code::ConflictingDirectives,
        "HW0310",
        "directives that exclude each other",
        "A field is a column, a reference, derived, or a nearest-neighbour search: one of them.",
    ),
    error(
        Code::UnsupportedField,
        "HW0311",
        "field not offered",
        "This combination of type and directives is not offered.",
    ),
    error(
        Code::UnknownField,
        "HW0312",
        "unknown field",
        "The directive names a field that the type does not have.",
    ),
    warning(
        Code::SqlWord,
        "HW0400",
        "table named like a word of SQL",
        "SQL reads the name as a keyword, so that queries must write it in double quotes.",
    ),
    error(
        Code::Key,
        "HW0401",
        "`@key`",
        "A key names stored, non-null fields of its own type, each once, of a type that can be compared exactly.",
    ),
    error(
        Code::TableName,
        "HW0402",
        "table name",
        "Table names are unique over all modules, also when case is ignored, and do not collide with what the API derives.",
    ),
    error(
        Code::Bucket,
        "HW0403",
        "`bucket`",
        "A bucket hashes one stored field into 1 to 4096 buckets.",
    ),
    error(
        Code::Partition,
        "HW0404",
        "`partition`",
        "A partition is a list of `field`, `year(field)`, `month(field)`, `day(field)`, `hour(field)` or `truncate(field, width)` over stored fields.",
    ),
    error(
        Code::Sort,
        "HW0405",
        "sort order",
        "An order is a list of stored fields with an order, each once, with `asc` or `desc`.",
    ),
    error(
        Code::Retain,
        "HW0406",
        "`retain`",
        "A duration is a number and a unit: `90s`, `15m`, `12h`, `30d`, `8w`, `7y`.",
    ),
    error(
        Code::Reference,
        "HW0407",
        "`@ref`",
        "A reference leads from the field that holds a key to the table that has it: both are stored and have one type.",
    ),
    error(
        Code::Vector,
        "HW0408",
        "`@vector`",
        "A vector is made of media or text by a model, or brought by the user in a field of type `Vector`; its length is known.",
    ),
    error(
        Code::Nearest,
        "HW0409",
        "`@nearest`",
        "A nearest-neighbour field is a list of its own type and names a field with a vector.",
    ),
    error(
        Code::Search,
        "HW0410",
        "`@search`",
        "Only stored text is searched: `String` or a list of it.",
    ),
    error(
        Code::Derived,
        "HW0411",
        "`@derived`",
        "A derived field has an expression over fields of its row, or over what `from` selects, with the field's type.",
    ),
    error(
        Code::DerivedCycle,
        "HW0412",
        "derived fields in a circle",
        "A derived field may read others, but not itself through them.",
    ),
    error(Code::Cost, "HW0413", "`@cost`", "A weight is a number that is not negative."),
    error(
        Code::ListSize,
        "HW0414",
        "`@listSize`",
        "Sizes belong to list fields; slicing arguments are arguments of the field.",
    ),
    error(
        Code::Was,
        "HW0415",
        "`@was`",
        "An earlier name must not be a live one, nor be claimed twice; `until` is a date.",
    ),
    error(Code::Owner, "HW0416", "owner", "A team's name is letters, digits, `-` and `_`."),
    error(
        Code::Source,
        "HW0417",
        "`@source`",
        "A source has a name of its own, an address without user and password, and limits within bounds; a file with a source holds that service's SDL and no tables.",
    ),
    error(
        Code::Fetch,
        "HW0418",
        "`@fetch`",
        "Every value of a service that does not speak GraphQL comes from somewhere: it stands in the object that holds it, in the answer of a call whose `{…}` are arguments or fields of that object, or behind `@ref`.",
    ),
    error(
        Code::Policy,
        "HW0419",
        "policies",
        "A policy names audiences or a condition that cannot fail; keys have none, and values that are held back are nullable.",
    ),
    error(
        Code::ExpressionSyntax,
        "HW0501",
        "expression syntax",
        "The expression cannot be read; see the reference of the expression language.",
    ),
    error(
        Code::ExpressionName,
        "HW0502",
        "unknown name in an expression",
        "The expression names a field or function that does not exist.",
    ),
    error(
        Code::ExpressionType,
        "HW0503",
        "types in an expression",
        "An operator or function is given operands that it does not take.",
    ),
    error(
        Code::Plan,
        "HW0601",
        "change cannot be planned",
        "The change between the two schemas cannot be carried out by any order of steps.",
    ),
];

impl Code {
    /// The registry's entry.
    pub fn entry(self) -> &'static Entry {
        let mut all = REGISTRY.iter().chain(COMPOSITION);
        all.find(|entry| entry.code == self).unwrap_or(&REGISTRY[0])
    }

    /// The stable name, `HW0201`.
    pub fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// What to try when whoever found the fault knew nothing better.
    pub(crate) fn usual_hint(self) -> &'static str {
        match self {
            Code::Syntax => "the fault is here or just before",
            Code::DuplicateField => "keep one of them, or give one another name",
            Code::EmptyDefinition => "add a field or value, or take the definition out",
            Code::UnknownArgument => "give each argument once, by the name it is defined with",
            Code::WrongValue => "write a value of the kind that the directive takes",
            Code::FieldArgument => "write `first: Int = 10`",
            Code::UnsupportedField => "leave it out",
            Code::UnknownField => "name a field of the type",
            Code::Key => "name each field of the key once",
            Code::Partition => "write `day(at), country`",
            Code::Sort => "write `at desc, id`",
            Code::Was => "name each earlier name once",
            Code::ListSize => "give a size of at least 0",
            Code::Limit => "make it smaller",
            Code::ExpressionSyntax => "an expression is written as in SQL: `COALESCE(year, 0) + 1`",
            Code::ExpressionName => "name a stored or derived field of the row",
            Code::ExpressionType => {
                "use an operand of another type, or convert it with `CAST(… AS type)`"
            }
            _ => "see this code in the reference of diagnostics",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        self.entry().severity
    }
}

/// The text of `docs/reference/diagnostics.md`.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Diagnostics of the central schema\n\n\
         Made from the registry in `crates/schema/src/diagnostic/code.rs`; do not edit it by hand.\n\
         `headwater check` prints these codes; a code never changes its meaning.\n\n\
         | code | what | meaning |\n| --- | --- | --- |\n",
    );
    rows(&mut page, REGISTRY);
    page.push_str(
        "\n## Composition\n\n\
         Several sources that cannot be one graph are refused with the codes of Apollo Federation, where \
         it has one; both places are named.\n\n\
         | code | what | meaning |\n| --- | --- | --- |\n",
    );
    rows(&mut page, COMPOSITION);
    page
}

fn rows(page: &mut String, entries: &[Entry]) {
    for entry in entries {
        let warning = if entry.severity == Severity::Warning { " (warning)" } else { "" };
        let cell = entry.explanation.replace('|', "\\|");
        // Writing to a `String` cannot fail.
        let _ = writeln!(page, "| {} | {}{warning} | {cell} |", entry.name, entry.title);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_used_once_and_the_registry_is_in_order() {
        for registry in [REGISTRY, COMPOSITION] {
            let names: Vec<&str> = registry.iter().map(|entry| entry.name).collect();
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(names, sorted);
        }
    }

    #[test]
    fn every_code_is_its_own_entry() {
        for entry in REGISTRY.iter().chain(COMPOSITION) {
            assert_eq!(entry.code.entry().name, entry.name);
        }
        // `Plan` is the last variant of its own registry, so its position counts them.
        assert_eq!(Code::Plan as usize + 1, REGISTRY.len());
        let all = Code::UnsupportedFeature as usize + 1;
        assert_eq!(all, REGISTRY.len() + COMPOSITION.len());
    }
}
