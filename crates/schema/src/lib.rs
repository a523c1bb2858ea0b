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
pub mod diff;
pub mod generate;
pub mod model;
pub mod plan;
pub mod propose;

pub use model::{
    Argument, Bucket, ColumnSpec, Cost, Derived, EnumType, FieldDef, FieldId, FieldKind, ListSize,
    Metric, Module, NearestSpec, ObjectKind, ObjectType, OrderBy, PartitionField,
    PartitionTransform, Reference, Schema, TableFormat, TableSpec, TypeId, VectorSpec, Was,
};
