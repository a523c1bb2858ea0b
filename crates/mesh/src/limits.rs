//! What one request may ask for; everything beyond is refused with the limit's name.

use std::time::Duration;

/// Bounds of one request. The defaults suit an open endpoint on a small machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Lexical tokens of a document.
    pub tokens: usize,
    /// Nested selection sets.
    pub depth: usize,
    /// Fields with an alias.
    pub aliases: usize,
    /// Fields of a plan, after fragments are spread.
    pub fields: usize,
    /// Selections that are looked at to make a plan, after fragments are spread: fragments under many
    /// variables can be few fields, and still be reached in very many ways.
    pub selections: usize,
    /// Static cost by `@cost` and `@listSize`.
    pub cost: f64,
    /// Items of one list in the value of a variable, and values that one filter compares with.
    pub input_items: usize,
    /// Nested lists and objects in the value of a variable; what is inside own scalars does not count.
    pub input_depth: usize,
    /// Rows of one page, and of one list of references.
    pub page: usize,
    /// Rows read for one request.
    pub rows: usize,
    /// Rows in one mutation.
    pub written_rows: usize,
    /// Rows that a page of a type without a key may lie behind.
    pub offset: usize,
    /// Calls of services for one request.
    pub calls: usize,
    /// Bytes of one answer of a service.
    pub answer_bytes: usize,
    /// Objects and lists within one another in an answer of a service.
    pub answer_depth: usize,
    /// Changes of a table that may wait for a slow subscriber.
    pub queue: usize,
    /// Items of `errors`.
    pub errors: usize,
    /// Bytes of an answer.
    pub response_bytes: usize,
    /// Time for one request.
    pub time: Duration,
    /// Prepared plans that are kept.
    pub plans: usize,
    /// Fields of all plans that are kept, together.
    pub plan_fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tokens: 20_000,
            depth: 20,
            aliases: 100,
            fields: 10_000,
            selections: 100_000,
            cost: 1_000_000.0,
            input_items: 10_000,
            input_depth: 30,
            page: 1_000,
            rows: 100_000,
            written_rows: 10_000,
            offset: 10_000,
            calls: 200,
            answer_bytes: 64 << 20,
            answer_depth: 128,
            queue: 64,
            errors: 100,
            response_bytes: 16 << 20,
            time: Duration::from_secs(30),
            plans: 1_000,
            plan_fields: 200_000,
        }
    }
}
