//! Tables held in memory: the second implementation of `Scan` and `Write`, for tests and small data.

/// A set of tables in memory.
#[derive(Debug, Default)]
pub struct MemoryTables {}
