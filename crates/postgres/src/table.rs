//! What is said of the tables before the database is asked: which type stands for which relation.
//! Not here: what the database says (`catalog`).

use std::sync::Arc;

use frame::Field;

/// A table or view of the database under the name that questions use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name of the type.
    pub name: Arc<str>,
    /// How the database calls it, perhaps with its schema before a point. Without one its rows are
    /// somebody else's: whatever key is asked for is there, and nothing else is known of it.
    pub relation: Option<Arc<str>>,
    /// The columns that are known.
    pub columns: Vec<Column>,
    /// The names of the fields that make the key; none of a table to which rows are only added.
    pub key: Vec<Arc<str>>,
}

/// A column under the name that questions use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, its type and whether it may be null, as questions have it.
    pub field: Field,
    /// How the database calls it.
    pub column: Arc<str>,
}
