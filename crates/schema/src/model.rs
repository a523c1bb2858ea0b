//! The compiled central schema: immutable, with every name resolved to a small id.
//!
//! Built by `compile`, read by everything else. A [`TypeId`] is a position in [`Schema::types`], a
//! [`FieldId`] a position in [`ObjectType::fields`]; both are stable within one `Schema` only.

use std::sync::Arc;
use std::time::Duration;

use base::{Place, Team};
use frame::{DataType, Expr};
use indexmap::IndexMap;

use crate::graph::Graph;
use crate::policy::Policy;

mod service;

pub use service::{
    BreakerSpec, EventProtocol, EventSpec, HeldTables, ServiceModule, ServiceScope, SourceSpec,
};

/// Position of a type in [`Schema::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

/// Position of a field in [`ObjectType::fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u32);

/// The whole central schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Modules in the order of their file names.
    pub modules: Vec<Module>,
    /// Object types: tables and embedded objects, in the order of their declaration.
    pub types: IndexMap<Arc<str>, ObjectType>,
    /// Enums.
    pub enums: IndexMap<Arc<str>, EnumType>,
    /// Modules that hold the SDL of a service, in the order of their file names.
    pub services: Vec<ServiceModule>,
    /// What clients see of tables and services together; `None` when there are no services.
    pub graph: Option<Arc<Graph>>,
    /// Who holds the tables.
    pub holder: Holder,
    /// BLAKE3 of the canonical text, in hex: equal schemas have equal fingerprints, whatever their
    /// comments and spacing.
    pub fingerprint: Arc<str>,
}

/// Who holds the tables of a schema: it decides what their API offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Holder {
    /// This project.
    #[default]
    Lake,
    /// A database of somebody else, which keeps no earlier states and no keys of changes.
    Database {
        /// Whether its rows may be changed from here.
        writable: bool,
        /// Types that `extend type` adds to: they are another source's, which has their root fields.
        extended: Vec<Arc<str>>,
    },
}

impl Holder {
    /// Whether rows can be changed.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self, Holder::Database { writable: false, .. })
    }

    /// Whether a type is another source's, which has its root fields.
    pub(crate) fn extends(&self, name: &str) -> bool {
        match self {
            Holder::Lake => false,
            Holder::Database { extended, .. } => extended.iter().any(|known| **known == *name),
        }
    }
}

/// One SDL file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// `@module(name:)`; also the namespace of its tables in the catalog.
    pub name: Arc<str>,
    /// `@module(owner:)`.
    pub owner: Team,
    /// The file's name below the schema folder, with forward slashes.
    pub file: Arc<str>,
    /// The text as it was read.
    pub text: Arc<str>,
}

/// An enum; stored as its value's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumType {
    /// The name.
    pub name: Arc<str>,
    /// The description.
    pub description: Option<Arc<str>>,
    /// Names of the values, in the order of their declaration.
    pub values: Vec<Arc<str>>,
    /// What else is said of each value, in the same order.
    pub details: Vec<EnumValue>,
    /// Where it is declared.
    pub place: Place,
}

/// What is said of an enum's value besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnumValue {
    /// The description.
    pub description: Option<Arc<str>>,
    /// `@deprecated(reason:)`.
    pub deprecated: Option<Arc<str>>,
}

/// An object type.
#[derive(Clone, Debug)]
pub struct ObjectType {
    /// The name.
    pub name: Arc<str>,
    /// The description.
    pub description: Option<Arc<str>>,
    /// Position in [`Schema::modules`].
    pub module: usize,
    /// `@owner`, else the module's owner.
    pub owner: Team,
    /// Whether it is a table or part of one.
    pub kind: ObjectKind,
    /// Fields by API name, in the order of their declaration.
    pub fields: IndexMap<Arc<str>, FieldDef>,
    /// Earlier names.
    pub was: Vec<Was>,
    /// Who sees its rows.
    pub policy: Policy,
    /// Where it is declared.
    pub place: Place,
}

/// Whether a type is a table.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectKind {
    /// A type with `@table`.
    Table(TableSpec),
    /// A type without: stored inside the rows of others.
    Embedded,
}

/// `@table` and `@key`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// The format of its files.
    pub format: TableFormat,
    /// Name of the table in SQL and in the catalog, and of the list field of the API when `plural`
    /// was given: `plural`, else the type's name in snake case.
    pub name: Arc<str>,
    /// `plural:` as written; without it the list field is `<type>List`.
    pub plural: Option<Arc<str>>,
    /// `name:`: of a table of a database, how the database calls it, perhaps with its schema.
    pub relation: Option<Arc<str>>,
    /// Of a type of another source, whose rows are there: only their key is known here.
    pub elsewhere: bool,
    /// `@key(fields:)`; empty for an append-only type.
    pub key: Vec<FieldId>,
    /// `bucket:`.
    pub bucket: Option<Bucket>,
    /// `partition:`.
    pub partition: Vec<PartitionField>,
    /// `sort:`.
    pub sort: Vec<OrderBy>,
    /// `retain:`: how long old snapshots are kept.
    pub retain: Option<Duration>,
}

/// File formats of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableFormat {
    /// Iceberg over Parquet.
    Iceberg,
    /// Lance.
    Lance,
}

/// `bucket: {by, count}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The field that is hashed.
    pub by: FieldId,
    /// How many buckets.
    pub count: u32,
}

/// One part of `partition:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    /// The field.
    pub field: FieldId,
    /// What is taken of it.
    pub transform: PartitionTransform,
}

/// Iceberg's partition transforms that the language offers (buckets have an argument of their own).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionTransform {
    /// `field`.
    Identity,
    /// `year(field)`.
    Year,
    /// `month(field)`.
    Month,
    /// `day(field)`.
    Day,
    /// `hour(field)`.
    Hour,
    /// `truncate(field, width)`.
    Truncate(u32),
}

/// One sort key of `sort:` or `order:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// The field.
    pub field: FieldId,
    /// `desc`.
    pub descending: bool,
}

/// `@was(name, until)`: an earlier name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Was {
    /// The earlier name.
    pub name: Arc<str>,
    /// Until when the API still answers to it (`YYYY-MM-DD`).
    pub until: Option<Arc<str>>,
}

/// A field.
#[derive(Clone, Debug)]
pub struct FieldDef {
    /// The API name.
    pub name: Arc<str>,
    /// The description.
    pub description: Option<Arc<str>>,
    /// What stands behind it.
    pub kind: FieldKind,
    /// Whether the API may answer null.
    pub nullable: bool,
    /// Arguments, for references and `@nearest`.
    pub arguments: Vec<Argument>,
    /// Earlier names.
    pub was: Vec<Was>,
    /// `@search`.
    pub search: bool,
    /// `@vector` on `@media` and text columns; a column of type `Vector` has one always.
    pub vector: Option<VectorSpec>,
    /// `@cost`.
    pub cost: Option<Cost>,
    /// `@listSize`.
    pub list_size: Option<ListSize>,
    /// `@deprecated(reason:)`.
    pub deprecated: Option<Arc<str>>,
    /// Who sees its values.
    pub policy: Policy,
    /// Where it is declared.
    pub place: Place,
}

/// What stands behind a field.
#[derive(Clone, Debug)]
pub enum FieldKind {
    /// A stored value.
    Column(ColumnSpec),
    /// Stored media: bytes in a companion table, measures beside them.
    Media(ColumnSpec),
    /// `@ref`: rows of another table.
    Reference(Reference),
    /// `@derived(expr:)`.
    Derived(Derived),
    /// `@nearest(on:)`: rows of the same table.
    Nearest(NearestSpec),
}

/// A stored column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// Name of the column in files and SQL: `@column(name:)`, else the field's.
    pub column: Arc<str>,
    /// The type; of an `@media` field: the struct of [`Schema::media_type`].
    pub data_type: DataType,
    /// The enum, when the API type is one.
    pub enum_name: Option<Arc<str>>,
    /// The embedded object type, when the API type (or its list item) is one.
    pub embedded: Option<TypeId>,
    /// Whether the API type is `ID`, which accepts numbers too.
    pub is_id: bool,
    /// `@column(default:)`, as an expression without fields.
    pub default: Option<Expr>,
}

/// `@ref(by, order)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The type that is referred to.
    pub target: TypeId,
    /// For one row: the field of *this* type that holds the target's key. For many: the field of
    /// the *target* that holds this type's key.
    pub by: FieldId,
    /// Whether it gives a list.
    pub many: bool,
    /// The list's order, on fields of the target; empty means the target's key.
    pub order: Vec<OrderBy>,
}

/// `@derived(from, expr, onError)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The fields of the row that `expr` reads, where it reads nothing else.
    pub inputs: Vec<FieldId>,
    /// The expression.
    pub expr: Expr,
    /// The expression's text.
    pub text: Arc<str>,
    /// What it reads beyond the stored fields of its row: the mesh computes it then, and nobody else.
    pub beyond: Option<Beyond>,
    /// `onError: PROPAGATE`: without a value the object that has the field is null, too.
    pub propagates: bool,
}

/// What a derived field reads beyond the stored fields of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The selection that gives its inputs, on the API of whoever gives them.
    pub from: Arc<str>,
    /// Who gives them.
    pub giver: Giver,
}

/// Who gives the inputs of a derived field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// The tables of the schema alone.
    Tables,
    /// The graph of tables and services.
    Graph,
}

/// `@nearest(on)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestSpec {
    /// The field with `@vector`, or of type `Vector`.
    pub on: FieldId,
}

/// `@vector(from, model, dimension, metric)`.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSpec {
    /// The model that makes the vector of this field; `None` when the user brings vectors.
    pub model: Option<Arc<str>>,
    /// Numbers a vector has; known for built-in models, given for others.
    pub dimension: u32,
    /// The distance.
    pub metric: Metric,
}

/// Distances between vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Squared Euclidean.
    L2,
    /// One minus the cosine.
    Cosine,
    /// One minus the dot product.
    Dot,
}

/// `@cost(weight:)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The weight.
    pub weight: f64,
}

/// `@listSize` of the public cost specification.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListSize {
    /// `assumedSize`.
    pub assumed_size: Option<u32>,
    /// `slicingArguments`.
    pub slicing_arguments: Vec<Arc<str>>,
    /// `sizedFields`.
    pub sized_fields: Vec<Arc<str>>,
    /// `requireOneSlicingArgument`.
    pub require_one_slicing_argument: bool,
}

/// An argument of a field: always `Int` today (`first`, `last`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The name.
    pub name: Arc<str>,
    /// The default value.
    pub default: Option<i64>,
}

/// What a built-in model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelInput {
    /// Media.
    Image,
    /// Text.
    Text,
}

/// A model that needs no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltInModel {
    /// Its name in `@vector(model:)`.
    pub name: &'static str,
    /// Numbers a vector of it has.
    pub dimension: u32,
    /// What it takes.
    pub input: ModelInput,
}

/// The models that need no file; the crate `media` has the same list and makes their vectors.
pub const BUILT_IN_MODELS: [BuiltInModel; 2] = [
    BuiltInModel { name: "image-small", dimension: 256, input: ModelInput::Image },
    BuiltInModel { name: "text-small", dimension: 256, input: ModelInput::Text },
];

impl Schema {
    /// The schema without any module: what is in force before the first one is applied.
    pub fn empty() -> Self {
        let mut schema = Schema {
            modules: Vec::new(),
            types: IndexMap::new(),
            enums: IndexMap::new(),
            services: Vec::new(),
            graph: None,
            holder: Holder::Lake,
            fingerprint: "".into(),
        };
        schema.fingerprint = crate::compile::fingerprint(&schema);
        schema
    }

    /// The texts from which the schema was compiled.
    pub fn sources(&self) -> crate::load::Sources {
        let modules = self.modules.iter().map(|module| (module.file.clone(), module.text.clone()));
        let described = self.services.iter().flat_map(|service| &service.described);
        let described = described.map(|file| (file.file.clone(), file.text.clone()));
        let mut sources = crate::load::Sources::from_texts(modules.chain(described));
        // Two services may be described by one file.
        sources.files.dedup_by(|a, b| a.file == b.file);
        sources
    }

    /// The type with this name.
    pub fn type_named(&self, name: &str) -> Option<(TypeId, &ObjectType)> {
        let (index, _, object) = self.types.get_full(name)?;
        Some((TypeId(u32::try_from(index).ok()?), object))
    }

    /// The type with this id.
    ///
    /// # Panics
    /// When the id comes from another schema.
    pub fn object(&self, id: TypeId) -> &ObjectType {
        &self.types[id.0 as usize]
    }

    /// All tables, with their ids.
    pub fn tables(&self) -> impl Iterator<Item = (TypeId, &ObjectType, &TableSpec)> {
        self.types.values().enumerate().filter_map(|(index, object)| match &object.kind {
            ObjectKind::Table(spec) => Some((TypeId(index as u32), object, spec)),
            ObjectKind::Embedded => None,
        })
    }

    /// The table with this SQL name.
    pub fn table_named(&self, name: &str) -> Option<(TypeId, &ObjectType, &TableSpec)> {
        self.tables().find(|(_, _, spec)| spec.name.as_ref() == name)
    }

    /// What the API and SQL show of an `@media` field.
    pub fn media_type() -> DataType {
        use frame::Field;
        DataType::Struct(vec![
            Field::new("hash", DataType::String, false),
            Field::new("format", DataType::String, false),
            Field::new("bytes", DataType::Long, false),
            Field::new("width", DataType::Int, true),
            Field::new("height", DataType::Int, true),
            Field::new("takenAt", DataType::DateTime, true),
            Field::new("camera", DataType::String, true),
            Field::new("latitude", DataType::Float, true),
            Field::new("longitude", DataType::Float, true),
            Field::new("perceptualHash", DataType::String, true),
            Field::new("sharpness", DataType::Float, true),
            Field::new("exposure", DataType::Float, true),
            Field::new("meanColor", DataType::String, true),
        ])
    }
}

impl ObjectType {
    /// The table's part, when the type is one.
    pub fn table(&self) -> Option<&TableSpec> {
        match &self.kind {
            ObjectKind::Table(spec) => Some(spec),
            ObjectKind::Embedded => None,
        }
    }

    /// The field with this API name.
    pub fn field_named(&self, name: &str) -> Option<(FieldId, &FieldDef)> {
        let (index, _, field) = self.fields.get_full(name)?;
        Some((FieldId(u32::try_from(index).ok()?), field))
    }

    /// The field with this id.
    ///
    /// # Panics
    /// When the id comes from another type.
    pub fn field(&self, id: FieldId) -> &FieldDef {
        &self.fields[id.0 as usize]
    }

    /// The stored fields, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&FieldDef, &ColumnSpec)> {
        self.fields.values().filter_map(|field| match &field.kind {
            FieldKind::Column(column) | FieldKind::Media(column) => Some((field, column)),
            _ => None,
        })
    }
}

impl FieldDef {
    /// The stored column behind the field, if there is one.
    pub fn column(&self) -> Option<&ColumnSpec> {
        match &self.kind {
            FieldKind::Column(column) | FieldKind::Media(column) => Some(column),
            _ => None,
        }
    }
}
