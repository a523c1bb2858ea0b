//! Computes expressions one row at a time: the simple reference, and the evaluator for small inputs.

/// Evaluates over batches row by row.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowInterpreter;
