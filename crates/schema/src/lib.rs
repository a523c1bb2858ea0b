//! The central schema: one text that everything else is derived from.
//!
//! ```text
//! files → load → Document → compile → Schema → check → diff → Changes → plan → Plan → generate
//! ```
//!
//! In: SDL files, one module a file. Out: one immutable [`Schema`] whose types and fields have
//! small integer ids, a list of changes between two of them, an ordered
//! `Plan` and generated text (TypeScript, Python, DDL). Not here: carrying a plan
//! out (`server::apply`), tables (`lake`), execution of queries (`mesh`); no I/O but reading the
//! schema folder in `load`.

pub mod api;
mod check;
pub mod compile;
pub mod compose;
pub mod diagnostic;
pub mod diff;
pub mod expression;
pub mod fetch;
pub mod generate;
pub mod graph;
pub mod load;
pub mod model;
pub mod plan;
pub mod policy;
pub mod propose;
pub mod protobuf;
pub mod rules;
pub mod usage;
mod view;

pub use compile::{Inspection, canonical, compile, inspect};
pub use diagnostic::{Code, Diagnostic, Diagnostics, Severity};
pub use load::{Source, Sources, read_folder};
pub use model::{
    Argument, BUILT_IN_MODELS, Beyond, BreakerSpec, Bucket, BuiltInModel, ColumnSpec, Cost,
    Derived, EnumType, EnumValue, EventProtocol, EventSpec, FieldDef, FieldId, FieldKind, Giver,
    HeldTables, Holder, ListSize, Metric, ModelInput, Module, NearestSpec, ObjectKind, ObjectType,
    OrderBy, PartitionField, PartitionTransform, Reference, Schema, ServiceModule, ServiceScope,
    SourceSpec, TableFormat, TableSpec, TypeId, VectorSpec, Was,
};
pub use policy::{Otherwise, Policy, Shown, Sight, Visible};
