//! What one may say to any table, and how values and expressions look on the way.
//!
//! In: nothing. Out: [`Value`] and [`DataType`] (one value, one type, each with its Arrow form),
//! [`Expr`] (the one typed expression tree) with its row interpreter, [`ScanRequest`] and
//! [`WriteRequest`] with the traits [`Scan`], [`Write`] and [`Evaluate`], and an in-memory table
//! store that answers them. Not here: SQL, files, GraphQL, parsing of expression text (`schema`).

pub mod aggregate;
pub mod convert;
pub mod data_type;
pub mod expr;
pub mod interpret;
pub mod memory;
pub mod scan;
pub mod value;
pub mod write;

pub use aggregate::{Aggregate, DateUnit, GroupBy, GroupKey, Measure, MeasureOf};
pub use data_type::{DataType, Field};
pub use expr::{BinaryOp, Expr, Function, Node, Span, UnaryOp};
pub use interpret::RowInterpreter;
pub use memory::{Distance, MemoryTable, MemoryTables};
pub use scan::{
    BatchStream, ChangesRequest, ChangesSeen, Evaluate, LimitBy, Nearest, NearestQuery, Order,
    SAME, Scan, ScanRequest, Search, SnapshotRef, State, WENT,
};
pub use value::Value;
pub use write::{Write, WriteOp, WriteReceipt, WriteRequest};
