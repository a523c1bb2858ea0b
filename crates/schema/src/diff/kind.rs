//! The kinds of change, each with a stable code, a mark and a line for the reference page.
//!
//! In: nothing. Out: [`ChangeKind`]. Not here: which effect a change has; that depends on the types
//! on both sides.

/// Whether something was added, changed or removed: the sign in front of it in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// `+`.
    Added,
    /// `~`.
    Changed,
    /// `-`.
    Removed,
}

impl Mark {
    /// The sign.
    pub fn sign(self) -> char {
        match self {
            Mark::Added => '+',
            Mark::Changed => '~',
            Mark::Removed => '-',
        }
    }
}

/// What is generated from a schema and may change with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generated {
    /// The TypeScript types and client.
    TypeScript,
    /// The Python dataclasses.
    Python,
    /// The table definitions.
    Sql,
}

impl Generated {
    /// All of it.
    pub const ALL: [Generated; 3] = [Generated::TypeScript, Generated::Python, Generated::Sql];

    /// The stable name, for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Generated::TypeScript => "typescript",
            Generated::Python => "python",
            Generated::Sql => "sql",
        }
    }
}

/// Declares the kinds once: variant, code, mark, and the line of the reference page.
macro_rules! kinds {
    ($($variant:ident $code:literal $mark:ident $line:literal;)*) => {
        /// A kind of change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ChangeKind { $(#[doc = $line] $variant,)* }

        impl ChangeKind {
            /// All kinds, in the order of the reference page.
            pub const ALL: &'static [ChangeKind] = &[$(ChangeKind::$variant,)*];

            /// The stable name, for JSON and stored plans.
            pub fn code(self) -> &'static str {
                match self { $(ChangeKind::$variant => $code,)* }
            }

            /// Whether something was added, changed or removed.
            pub fn mark(self) -> Mark {
                match self { $(ChangeKind::$variant => Mark::$mark,)* }
            }

            /// One line for the reference page.
            pub fn line(self) -> &'static str {
                match self { $(ChangeKind::$variant => $line,)* }
            }
        }
    };
}

kinds! {
    EnumAdded "enum-added" Added "An enum is declared.";
    EnumRemoved "enum-removed" Removed "An enum is no longer declared.";
    EnumValueAdded "enum-value-added" Added "An enum gains a value.";
    EnumValueRemoved "enum-value-removed" Removed "An enum loses a value; rows must not hold it.";
    EnumValue "enum-value" Changed "An enum value's description or deprecation changes.";
    EnumDescription "enum-description" Changed "An enum's description changes.";
    TypeAdded "type-added" Added "A type is declared; with `@table`, its table is made.";
    TypeRemoved "type-removed" Removed "A type is no longer declared; with `@table`, its table is dropped.";
    TypeRenamed "type-renamed" Changed "A type has another name, said by `@was`.";
    TypeNameTaken "type-name-taken" Changed "`@was` names a type that goes while the new name is still deployed as another type.";
    TypeKind "type-kind" Changed "A type becomes a table or stops being one.";
    TypeDescription "type-description" Changed "A type's description changes.";
    TypeOwner "type-owner" Changed "A type has another owner.";
    TypePolicy "type-policy" Changed "`@scope` or `@visible` of a type changes: who sees its rows.";
    TypeModule "type-module" Changed "A type moves to another module, and its table to another namespace.";
    TableName "table-name" Changed "`@table(plural:)` changes: the table's SQL name and the list field.";
    TableNameTaken "table-name-taken" Changed "A table takes a SQL name that another deployed table still has.";
    Key "key" Changed "`@key` is added, removed or names other fields.";
    Format "format" Changed "`@table(format:)` changes.";
    Bucket "bucket" Changed "`@table(bucket:)` changes.";
    Partition "partition" Changed "`@table(partition:)` changes.";
    Sort "sort" Changed "`@table(sort:)` changes.";
    Retain "retain" Changed "`@table(retain:)` changes.";
    FieldAdded "field-added" Added "A field is declared; a stored one gets a column.";
    FieldRemoved "field-removed" Removed "A field is no longer declared; a stored one loses its column.";
    FieldRenamed "field-renamed" Changed "A field has another name, said by `@was`.";
    FieldNameTaken "field-name-taken" Changed "`@was` names a field that goes while the new name is still deployed as another field.";
    FieldKind "field-kind" Changed "What stands behind a field changes: a column, a reference, an expression, neighbours.";
    FieldType "field-type" Changed "A stored field has another type.";
    FieldNullable "field-nullable" Changed "A required field may be null.";
    FieldRequired "field-required" Changed "A nullable field is required.";
    FieldDescription "field-description" Changed "A field's description changes.";
    ColumnName "column-name" Changed "`@column(name:)` changes.";
    ColumnNameTaken "column-name-taken" Changed "A field takes a column name that another deployed field still has.";
    Default "default" Changed "`@column(default:)` changes; existing rows keep what they hold.";
    Arguments "arguments" Changed "A field's arguments or their defaults change.";
    Search "search" Changed "`@search` is added or removed.";
    Vector "vector" Changed "`@vector` is added, removed or changed.";
    Reference "reference" Changed "`@ref` has another target or other fields.";
    ReferenceOrder "reference-order" Changed "`@ref(order:)` changes.";
    Derived "derived" Changed "`@derived(expr:)` changes.";
    Nearest "nearest" Changed "`@nearest(on:)` changes.";
    FieldPolicy "field-policy" Changed "`@scope`, `@visible` or `@classified` of a field changes: who sees its values.";
    Deprecated "deprecated" Changed "`@deprecated` is added, removed or has another reason.";
    Cost "cost" Changed "`@cost` changes.";
    ListSize "list-size" Changed "`@listSize` changes.";
    Was "was" Changed "`@was` entries change without a rename.";
    SourceAdded "source-added" Added "A module with the SDL of a service is added.";
    SourceRemoved "source-removed" Removed "A module with the SDL of a service is removed.";
    SourceSettings "source-settings" Changed "`@source` has another address, timeout, breaker or other limit.";
    SourceModule "source-module" Changed "A service's module has another name or owner.";
    SourceSdl "source-sdl" Changed "A service's SDL changes.";
    SourceScope "source-scope" Changed "`@scope` in a service's SDL changes: who knows what of it.";
    SourceFetch "source-fetch" Changed "`@fetch`, `@wire` or `@ref` in a service's module change: values are found elsewhere.";
    Api "api" Removed "A type of the API that several types share goes with its last use.";
}

impl ChangeKind {
    /// Which generated files may change with it.
    pub fn generated(self) -> &'static [Generated] {
        use Generated::{Python, Sql, TypeScript};
        match self {
            ChangeKind::TypeOwner
            | ChangeKind::TypePolicy
            | ChangeKind::FieldPolicy
            | ChangeKind::Retain
            | ChangeKind::Was
            | ChangeKind::Cost
            | ChangeKind::ListSize
            | ChangeKind::ReferenceOrder
            | ChangeKind::Nearest => &[],
            // What is generated knows the tables only.
            ChangeKind::SourceAdded
            | ChangeKind::SourceRemoved
            | ChangeKind::SourceSettings
            | ChangeKind::SourceModule
            | ChangeKind::SourceScope
            | ChangeKind::SourceSdl
            | ChangeKind::SourceFetch => &[],
            ChangeKind::Partition | ChangeKind::Bucket | ChangeKind::Sort | ChangeKind::Format => {
                &[Sql]
            }
            ChangeKind::ColumnName | ChangeKind::ColumnNameTaken | ChangeKind::TableNameTaken => {
                &[Sql]
            }
            ChangeKind::TypeModule => &[Sql],
            ChangeKind::Search
            | ChangeKind::Vector
            | ChangeKind::Reference
            | ChangeKind::Arguments
            | ChangeKind::Default => &[TypeScript],
            ChangeKind::Api => &[TypeScript],
            ChangeKind::Derived | ChangeKind::Deprecated => &[TypeScript, Python],
            _ => &[TypeScript, Python, Sql],
        }
    }
}
